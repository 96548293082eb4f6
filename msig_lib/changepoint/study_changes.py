"""Several changes in a series, or none: how many a detector finds with a threshold chosen on validation series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from msig_lib.changepoint.data import Series
from msig_lib.changepoint.evaluate import ToleranceCounts, tolerance_f1
from msig_lib.changepoint.signal import peak_times, znorm
from msig_lib.stats import Interval, ratio_interval

CANDIDATES = 60  # thresholds tried, between quantiles of the validation series' peaks
HIGHEST = 8  # peaks of a series that a threshold may keep; the worlds have fewer changes


@dataclass(frozen=True)
class Rule:
    """Which peaks are changes: those above `threshold`, of scores as they are or normalised in their series."""

    threshold: float
    normalised: bool

    def __call__(self, scores: npt.ArrayLike) -> list[npt.NDArray[np.int64]]:
        """Return the changes found in each series, from scores [S, T]; the first and last quarter are left out."""
        scores = np.asarray(scores, dtype=np.float64)
        start = scores.shape[1] // 4
        return peak_times(_scaled(scores, self.normalised), n=HIGHEST, threshold=self.threshold, start=start)


def choose_rule(scores: npt.ArrayLike, series: Series) -> Rule:
    """Return the rule with the highest F1 on validation `series`, from their scores [S, T].

    ValueError when the scores are not those of the series.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.shape != series.X.shape[:2]:
        raise ValueError(f"scores have shape {scores.shape}, expected {series.X.shape[:2]}")
    found = []
    for normalised in (False, True):
        scaled, start = _scaled(scores, normalised), scores.shape[1] // 4
        peaks = peak_times(scaled, n=HIGHEST, start=start)
        heights = np.concatenate([row[frames] for row, frames in zip(scaled, peaks)])
        steps = np.unique(np.quantile(heights, np.linspace(0, 1, CANDIDATES)))
        for threshold in [steps[0], *(steps[:-1] + steps[1:]) / 2]:
            rule = Rule(float(threshold), normalised)
            found.append((tolerance_f1(rule(scores), series.times()).f1, rule))
    return max(found, key=lambda pair: pair[0])[1]


def find(
    valid: tuple[npt.ArrayLike, Series], test: tuple[npt.ArrayLike, Series]
) -> tuple[Rule, ToleranceCounts]:
    """Choose a rule on the scores and series `valid` and count what it finds in `test`."""
    rule = choose_rule(*valid)
    return rule, tolerance_f1(rule(test[0]), test[1].times())


def f1_interval(counts: Sequence[ToleranceCounts]) -> Interval:
    """Return the 95% interval of F1 over series and seeds, `counts` of each seed on the same series."""
    top = [2 * of.matched for of in counts]
    bottom = [of.predicted + of.true for of in counts]
    return ratio_interval(top, bottom, rng=np.random.default_rng(0))


def summary(found: Mapping[str, Sequence[ToleranceCounts]], series: Series) -> pd.DataFrame:
    """Return a row a method: F1 with its interval, precision, recall, and alarms a series without any change."""
    quiet = np.array([len(times) == 0 for times in series.times()])
    rows = {}
    for name, counts in found.items():
        f1 = f1_interval(counts)
        rows[name] = {
            "F1": f"{f1.estimate:.3f} [{max(f1.lo, 0):.3f}, {min(f1.hi, 1):.3f}]",
            "precision": f"{np.mean([of.precision for of in counts]):.3f}",
            "recall": f"{np.mean([of.recall for of in counts]):.3f}",
            "alarms without a change": f"{np.mean([of.predicted[quiet] for of in counts]):.2f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _scaled(scores: npt.NDArray[np.float64], normalised: bool) -> npt.NDArray[np.float64]:
    start = scores.shape[1] // 4
    return znorm(scores, start, scores.shape[1] - start) if normalised else scores
