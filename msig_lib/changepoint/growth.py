"""How time and memory of one training step grow with the number of variables and of frames, measured."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from msig_lib.changepoint.model import CorrelationDynamics
from msig_lib.changepoint.settings import TrainSettings
from msig_lib.changepoint.train import objective

SERIES = 2  # of a step; ours: enough to be a batch
FEATURES = 4  # as the springs


def step(variables: int, frames: int, *, repeats: int = 2) -> dict[str, float]:
    """Return seconds (the fastest of `repeats`) and the rise of peak memory, MB, of a training step in this process.

    Of the model with default settings. ValueError for less than 2 variables or frames, or no repeat.
    """
    if min(variables, frames) < 2 or repeats < 1:
        raise ValueError(
            f"{variables} variables, {frames} frames, {repeats} repeats were given, expected 2, 2 and 1 at least"
        )
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((SERIES, frames, variables, FEATURES), dtype=np.float32))
    model, generator = CorrelationDynamics(FEATURES), torch.Generator().manual_seed(0)
    settings = TrainSettings()
    objective(model, x[:1, :12, :2], settings, generator)[0].backward()  # compiles what has to be compiled
    before, seconds = _start_peak(), []
    for _ in range(repeats):
        began = time.perf_counter()
        model.zero_grad()
        loss, change, _ = objective(model, x, settings, generator)
        (loss + change).backward()
        seconds.append(time.perf_counter() - began)
    return {"seconds": min(seconds), "megabytes": max(_peak() - before, 0.1)}


def measure(variables: Sequence[int], frames: Sequence[int]) -> pd.DataFrame:
    """Return rows varied ("variables" or "frames"), size, seconds, megabytes, each of a process of its own.

    The other number is the smallest of its list; the size that both share is measured once. ValueError for an empty
    list, RuntimeError with what a process said when it fails.
    """
    if not len(variables) or not len(frames):
        raise ValueError(f"variables {variables} and frames {frames} were given, expected sizes of both")
    rows, known = [], {}
    for varied, sizes in (("variables", variables), ("frames", frames)):
        for size in sizes:
            n, t = (size, min(frames)) if varied == "variables" else (min(variables), size)
            if (n, t) not in known:
                known[n, t] = _apart(n, t)
            rows.append({"varied": varied, "size": size, **known[n, t]})
    return pd.DataFrame(rows)


def told(frame: pd.DataFrame) -> str:
    """Say how much more the largest size takes than the smallest."""
    parts = []
    for varied, of in frame.groupby("varied", sort=False):
        of = of.sort_values("size")
        low, high = of.iloc[0], of.iloc[-1]
        parts.append(
            f"{high['size'] / low['size']:.0f} times the {varied} take **{high.seconds / low.seconds:.0f} times** "
            f"the time, with {high.megabytes:.0f} MB above the start against {low.megabytes:.0f}"
        )
    return "; ".join(parts) + "."


def _apart(variables: int, frames: int) -> dict[str, float]:
    code = f"from msig_lib.changepoint import growth; growth._main({variables}, {frames})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["nothing; it may have run out of memory"]
        raise RuntimeError(
            f"{variables} variables, {frames} frames: the process ended with {done.returncode} and said {said[0]}"
        )
    return json.loads(done.stdout)


def _main(variables: int, frames: int) -> None:
    torch.set_num_threads(1)
    print(json.dumps(step(variables, frames)))


def _start_peak() -> float:
    """Forget the peak so far where the system lets us (Linux), and return the memory held now, MB."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # then the rise is over the peak so far, and too small
    return _peak()


def _peak() -> float:
    """Return the largest resident memory since `_start_peak`, MB."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
