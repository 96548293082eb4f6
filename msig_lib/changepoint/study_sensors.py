"""The sensor study of chapter 4 (table 4.4's form): every detector on real series with one known transition each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from msig_lib import datasets
from msig_lib.changepoint import sensors
from msig_lib.changepoint.data import Series
from msig_lib.changepoint.estimator import CorrelationCPD
from msig_lib.changepoint.sensor_windows import WindowSettings
from msig_lib.changepoint.study import CORD, deep, detection
from msig_lib.lm.processes import in_processes
from msig_lib.lm.threads import torch_threads

SEED = 0  # of the windows and joins: one set of series for all seeds of the learners
SHORT = WindowSettings(frames=60, low=15, high=45)  # ours: bees turn too often for windows of 100
SETS = {
    "basic_motions": lambda: sensors.basic_motions(seed=SEED),
    "basic_motions_blend": lambda: sensors.basic_motions(seed=SEED, blend=5),
    "gesture": lambda: sensors.actrectut("gesture", seed=SEED, bridge=64, stride=25),
    "walk": lambda: sensors.actrectut("walk", seed=SEED, stride=25),
    "beedance": lambda: sensors.klcpd("beedance", seed=SEED, window=SHORT, stride=5),
    "pamap2": lambda: sensors.pamap2(seed=SEED),
}
"""Real series by name; learners train on all windows of the training recordings, whatever they hold."""

NEEDS = {"gesture": "actrectut", "walk": "actrectut", "beedance": "klcpd", "pamap2": "pamap2"}
"""Data sets that have to be fetched first; the others come with an installed package."""

TITLES = {
    "basic_motions": "BasicMotions, joined",
    "basic_motions_blend": "BasicMotions, cross-faded",
    "gesture": "ActRecTut gestures",
    "walk": "ActRecTut walking",
    "beedance": "bee dance",
    "pamap2": "PAMAP2",
}


def at_hand(names: Sequence[str]) -> list[str]:
    """Return the names of `SETS` whose data are here; KeyError for an unknown one."""
    _check(names)
    return [name for name in names if name not in NEEDS or datasets.available(NEEDS[name])[0]]


@lru_cache(maxsize=len(SETS))
def parts(name: str) -> dict[str, Series]:
    """Return "train", "valid", "test" (and "control") of a set, every channel standardised by train's figures.

    KeyError for an unknown name, DataNotAvailable where the files of a set are not here.
    """
    _check([name])
    return sensors.standardise(SETS[name]())


@dataclass(frozen=True)
class SensorJob:
    """One model to train on one set."""

    method: str
    data: str
    seed: int
    options: tuple[tuple[str, object], ...] = ()


def learn(job: SensorJob) -> tuple[dict[str, np.ndarray], float]:
    """Train on the unlabelled windows of a set; return {part: scores [S, T]} of what is tested, and CPU seconds.

    Parts are "test", and "control" where there is one; the seconds are those of training.
    """
    found = parts(job.data)
    with torch_threads(1):
        began = time.process_time()
        if job.method in CORD:
            chosen = {**CORD[job.method], "scale": "variable", **dict(job.options)}
            model = CorrelationCPD(seed=job.seed, **chosen).fit(found["train"].X)
            scorer = model.score_samples
        else:
            scorer = deep(job.method, found["train"].X, job.seed, **dict(job.options)).scores
        seconds = time.process_time() - began
        scores = {part: detection(scorer(found[part].X)) for part in ("test", "control") if part in found}
    return scores, seconds


def learn_all(jobs: Sequence[SensorJob], *, threads: int = 1) -> list[tuple[dict[str, np.ndarray], float]]:
    """Return `learn` of every job in order, `threads` at a time in processes of their own."""
    return in_processes(learn, [(job,) for job in jobs], threads=threads)


def position_only(train: Series, n_series: int, *, width: float = 3.0) -> np.ndarray:
    """Return how often changes of `train` lie near each frame, float64 [n_series, T], for every series alike.

    A control that has labels and ignores the values: what it finds is where changes lie, not what they are.
    """
    t = np.arange(train.X.shape[1])
    times = train.change_time[train.change_time >= 0]
    density = np.exp(-((t[:, None] - times) ** 2) / (2 * width**2)).sum(axis=1)
    return np.tile(density, (n_series, 1))


def _check(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in SETS]
    if unknown:
        raise KeyError(f"{', '.join(unknown)}: unknown sensor series, there are {', '.join(SETS)}")
