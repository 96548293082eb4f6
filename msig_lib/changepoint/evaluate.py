"""How well changes are found: AUC, triangle utility, distance, tolerance F1, learnt graphs, kinds of change.

Scores are float [S, T], higher where a change is likelier; a change time is the first frame after the change,
-1 for a series without one. Frames start..stop, both included, are looked at: 25..T-25 unless said otherwise,
the range of the thesis's changes (4.4.1; the official code ends one frame earlier, at T-26).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import maximum_filter1d

from msig_lib.changepoint.data import edge_values
from msig_lib.changepoint.signal import MARGIN, Scores, change_type, frame_range, predicted_time, type_margin

Floats = npt.NDArray[np.float64]
WIDTH = 15  # frames, thesis 4.4.2
NEIGHBOURS = {"drop": 1, "keep": 0, "near": 2}  # frames on each side of a change that are left out
TOLERANCE = 5  # frames, ours: the window of the independent score
CORRELATION_KINDS = ("connection",)  # thesis 4.4.1: location and speed are independent changes


def auc(
    scores: npt.ArrayLike,
    change_time: npt.ArrayLike,
    *,
    neighbours: str = "drop",
    start: int = MARGIN,
    stop: int | None = None,
) -> float:
    """Return the ROC AUC of all frames of all series pooled, the frame of the change against the others (4.4.2).

    `neighbours="drop"` leaves out the frames beside each change (official code), "keep" counts them as others.
    "near" forgives a frame: every score becomes the highest of itself and its two neighbours, and two frames
    on each side of a change are left out, so that chance is still .5.
    Equal scores count half. ValueError for a change outside start..stop, or when there is none at all.
    """
    values, positive, _ = _frames(scores, change_time, neighbours, start, stop)
    of_positive, _ = _placements(values, positive)
    return float(of_positive.mean())


def auc_items(
    scores: npt.ArrayLike,
    change_time: npt.ArrayLike,
    *,
    neighbours: str = "drop",
    start: int = MARGIN,
    stop: int | None = None,
) -> Floats:
    """Return what every series adds to `auc`, float64 [S]: their mean is the pooled AUC.

    std(ddof=1) / sqrt(S) is its standard error with series as clusters (Obuchowski 1997, DeLong's placements):
    frames of one series are not independent. A value can be below 0 or above 1.
    """
    values, positive, series = _frames(scores, change_time, neighbours, start, stop)
    return _items(values, positive, series, len(np.asarray(scores)))


def triangle_utility(
    scores: npt.ArrayLike,
    change_time: npt.ArrayLike,
    *,
    width: float = WIDTH,
    start: int = MARGIN,
    stop: int | None = None,
) -> Floats:
    """Return max(0, 1 - |predicted - change| / width) of every series, float64 [S] (TRI, 4.4.2).

    Arguments as in `distance`.
    """
    if not width > 0:
        raise ValueError(f"width is {width}, expected frames above 0")
    return np.maximum(0.0, 1.0 - distance(scores, change_time, start=start, stop=stop) / width)


def distance(
    scores: npt.ArrayLike, change_time: npt.ArrayLike, *, start: int = MARGIN, stop: int | None = None
) -> Floats:
    """Return |predicted - change| in frames, float64 [S] (DIST, appendix 9.2.5); NaN for a series without a change.

    `scores` is float [S, T], of which the highest within start..stop is predicted, or int [S], predicted frames.
    """
    given = np.asarray(scores)
    if given.ndim != 2 and (given.ndim != 1 or given.dtype.kind not in "iu"):
        raise ValueError(f"scores are {given.dtype} {given.shape}, expected float [S, T], or int [S] frames")
    predicted = predicted_time(given, start, stop) if given.ndim == 2 else given.astype(np.int64)
    times = _times(change_time, len(predicted))
    return np.where(times < 0, np.nan, np.abs(predicted - times))


@dataclass(frozen=True)
class ToleranceCounts:
    """Changes matched, predicted and true in each series, int64 [S]; the ratios pool all series."""

    matched: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    true: npt.NDArray[np.int64]

    @property
    def precision(self) -> float:
        """Share of the predictions that are a change; NaN without predictions."""
        return _ratio(self.matched, self.predicted)

    @property
    def recall(self) -> float:
        """Share of the changes that are predicted; NaN without changes."""
        return _ratio(self.matched, self.true)

    @property
    def f1(self) -> float:
        """2 matched / (predicted + true); NaN when there is neither. `stats.ratio_interval` takes both sums."""
        return _ratio(2 * self.matched, self.predicted + self.true)


def tolerance_f1(
    predicted: Sequence[npt.ArrayLike], changes: Sequence[npt.ArrayLike], *, tolerance: int = TOLERANCE
) -> ToleranceCounts:
    """Return how many changes are predicted within `tolerance` frames, one prediction for one change.

    `predicted` and `changes` list the frames of every series, none to several: `signal.peak_times` and
    `Series.times()`, or int [S], one each and -1 for none. The matching is the largest there is.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance is {tolerance}, expected frames from 0")
    found, true = _lists(predicted), _lists(changes)
    if len(found) != len(true):
        raise ValueError(f"predictions of {len(found)} series but changes of {len(true)}: expected the same")
    matched = [match_within(p, c, tolerance) for p, c in zip(found, true)]
    sizes = ([len(p) for p in found], [len(c) for c in true])
    return ToleranceCounts(*(np.array(counts, dtype=np.int64) for counts in (matched, *sizes)))


def match_within(predicted: Sequence[int], changes: Sequence[int], tolerance: int) -> int:
    """Return the most pairs (prediction, change) within `tolerance` frames in which nothing is used twice.

    Going up both lists and pairing the first two in reach is optimal, as all intervals have the same length.
    """
    left, right, pairs = sorted(predicted), sorted(changes), 0
    i = j = 0
    while i < len(left) and j < len(right):
        if abs(left[i] - right[j]) <= tolerance:
            pairs, i, j = pairs + 1, i + 1, j + 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    return pairs


def graph_accuracy(
    probability: npt.ArrayLike,
    graph: npt.ArrayLike,
    change_time: npt.ArrayLike,
    *,
    formula: str = "repaired",
    swap: bool = False,
    start: int = 0,
    stop: int | None = None,
) -> Floats:
    """Return the share of (frame, pair) whose connection is right, float64 [S] (appendix 9.2.2, table 9.1).

    `probability` [S, T, E] of a connection counts as one from .5 on; `graph` [S, 2, N, N] is the truth before and
    from `change_time` on. "printed" sums over i < j and divides by T N (N-1): .5 at most. "repaired" sums over
    i != j. Classes learnt without labels have no names: `swap` reads them the other way round; choose it with
    `better_naming` on training or validation series. Frames start..stop, by default all (official code: 25..T-26).
    """
    if formula not in ("repaired", "printed"):
        raise ValueError(f"formula is {formula!r}, expected 'repaired' or 'printed'")
    values, truth = np.asarray(probability), np.asarray(graph)
    n = truth.shape[-1]
    if truth.shape != (len(values), 2, n, n) or values.ndim != 3 or values.shape[2] != n * (n - 1) or n < 2:
        raise ValueError(
            f"probability has shape {values.shape} and graph {truth.shape}, expected [S, T, N(N-1)] and "
            "[S, 2, N, N] with N of at least 2"
        )
    n_frames = values.shape[1]
    times = _times(change_time, len(values))
    first, last = frame_range(n_frames, start, stop)
    frames = np.arange(first, last + 1)
    after = (times[:, None] >= 0) & (frames >= times[:, None])
    true = np.where(after[..., None], edge_values(truth)[:, None, 1], edge_values(truth)[:, None, 0]) > 0
    right = ((values[:, frames] >= 0.5) != swap) == true
    if formula == "repaired":
        return right.mean(axis=(1, 2))
    upper = edge_values(np.triu(np.ones((n, n), dtype=bool)))
    return right[:, :, upper].sum(axis=(1, 2)) / (len(frames) * n * (n - 1))


def better_naming(probability: npt.ArrayLike, graph: npt.ArrayLike, change_time: npt.ArrayLike) -> bool:
    """Return whether `graph_accuracy` is higher with the classes swapped; ask training or validation series."""
    return bool(graph_accuracy(probability, graph, change_time).mean() < 0.5)


def type_auc(margin: npt.ArrayLike, correlation: npt.ArrayLike) -> float:
    """Return the ROC AUC with which `margin` [S] tells changes of the correlation (bool [S]) apart (table 4.3)."""
    of_positive, _ = _placements(*_two_types(margin, correlation))
    return float(of_positive.mean())


def type_auc_items(margin: npt.ArrayLike, correlation: npt.ArrayLike) -> Floats:
    """Return what every series adds to `type_auc`, float64 [S], as `auc_items` does for `auc`."""
    values, positive = _two_types(margin, correlation)
    return _items(values, positive, np.arange(len(values)), len(values))


def type_right(
    scores: Scores,
    kind: npt.ArrayLike,
    times: npt.ArrayLike | None = None,
    *,
    alpha: float | None = None,
    tau: float = 0.0,
    convention: str = "thesis",
    correlation_kinds: Sequence[str] = CORRELATION_KINDS,
) -> npt.NDArray[np.bool_]:
    """Return for every series whether its kind of change is told right, bool [S]; its mean is table 4.3's accuracy.

    `kind` str [S]: those in `correlation_kinds` are changes of the correlation, the others independent. `times`
    int [S] are the labels, None: "without label". ValueError for series of kind "none" or "several".
    """
    correlation = _correlation(kind, len(scores), correlation_kinds)
    return (change_type(scores, times, alpha, tau, convention) == "correlation") == correlation


def type_table(
    scores: Scores,
    kind: npt.ArrayLike,
    change_time: npt.ArrayLike,
    *,
    alpha: float | None = None,
    tau: float = 0.0,
    convention: str = "thesis",
    correlation_kinds: Sequence[str] = CORRELATION_KINDS,
) -> pd.DataFrame:
    """Return table 4.3 for one model, tidy: label ("with", "without"), metric, kind ("all" or one), value, n.

    The metric "auc" is over all series; "accuracy" is over those of a kind.
    """
    kinds, rows = np.asarray(kind, dtype=np.str_), []
    correlation = _correlation(kinds, len(scores), correlation_kinds)
    for label, times in (("with", _times(change_time, len(scores))), ("without", None)):
        margin = type_margin(scores, times, alpha, convention)
        if correlation.any() and not correlation.all():
            rows.append((label, "auc", "all", type_auc(margin, correlation), len(kinds)))
        right = (margin >= tau) == correlation
        rows += [
            (label, "accuracy", name, right[kinds == name].mean(), int((kinds == name).sum()))
            for name in dict.fromkeys(kinds.tolist())
        ]
    return pd.DataFrame(rows, columns=["label", "metric", "kind", "value", "n"])


def alpha_sweep(
    scores: Scores,
    kind: npt.ArrayLike,
    change_time: npt.ArrayLike,
    *,
    alphas: Sequence[float] = tuple(np.linspace(0, 1, 21)),
    tau: float = 0.0,
    correlation_kinds: Sequence[str] = CORRELATION_KINDS,
) -> pd.DataFrame:
    """Return the accuracies of `type_table` for every alpha (figure 9.2), tidy, with a column alpha in front."""
    tables = []
    for alpha in alphas:
        table = type_table(
            scores, kind, change_time, alpha=float(alpha), tau=tau, correlation_kinds=correlation_kinds
        )
        table.insert(0, "alpha", float(alpha))
        tables.append(table[table.metric == "accuracy"])
    return pd.concat(tables, ignore_index=True)


def _frames(
    scores: npt.ArrayLike, change_time: npt.ArrayLike, neighbours: str, start: int, stop: int | None
) -> tuple[Floats, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Pool the frames that count: their scores, whether they are a change, and their series."""
    if neighbours not in NEIGHBOURS:
        raise ValueError(f"neighbours is {neighbours!r}, expected {', '.join(map(repr, NEIGHBOURS))}")
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"scores have shape {values.shape}, expected [S series, T frames]")
    if not np.isfinite(values).all():
        raise ValueError("scores hold NaN or infinite values, expected a number for every frame")
    first, last = frame_range(values.shape[1], start, stop)
    times = _times(change_time, len(values))
    outside = np.flatnonzero((times >= 0) & ((times < first) | (times > last)))
    if len(outside):
        raise ValueError(
            f"{len(outside)} changes are outside the frames {first}..{last}, the first at {times[outside[0]]} in "
            f"series {outside[0]}: pass start and stop, or leave these series out"
        )
    gap = np.where(times[:, None] < 0, values.shape[1], np.abs(np.arange(first, last + 1) - times[:, None]))
    if neighbours == "near":
        values = maximum_filter1d(values, 3, axis=1, mode="nearest")
    used = (gap == 0) | (gap > NEIGHBOURS[neighbours])
    series = np.broadcast_to(np.arange(len(values))[:, None], gap.shape)
    return values[:, first : last + 1][used], (gap == 0)[used], series[used]


def _placements(values: Floats, positive: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Share of the others below each positive, and of the positives above each other; equal ones count half."""
    high, low = np.sort(values[positive]), np.sort(values[~positive])
    if not len(high) or not len(low):
        raise ValueError(f"{len(high)} positives and {len(low)} others: a ROC AUC needs both")

    def below(sorted_values: Floats, of: Floats) -> Floats:
        left = np.searchsorted(sorted_values, of, side="left")
        return (left + np.searchsorted(sorted_values, of, side="right")) / (2 * len(sorted_values))

    return below(low, values[positive]), 1.0 - below(high, values[~positive])


def _items(
    values: Floats, positive: npt.NDArray[np.bool_], cluster: npt.NDArray[np.int64], n_clusters: int
) -> Floats:
    """AUC + n x (what a cluster's positives and others differ from it, as shares of all positives and others)."""
    of_positive, of_other = _placements(values, positive)
    area = of_positive.mean()
    own = np.bincount(cluster[positive], of_positive - area, n_clusters) / len(of_positive)
    own += np.bincount(cluster[~positive], of_other - area, n_clusters) / len(of_other)
    return area + n_clusters * (own - own.mean())


def _two_types(margin: npt.ArrayLike, correlation: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.bool_]]:
    values, positive = np.asarray(margin, dtype=np.float64), np.asarray(correlation)
    if values.ndim != 1 or values.shape != positive.shape or positive.dtype != bool:
        raise ValueError(
            f"margin has shape {values.shape}, correlation is {positive.dtype} {positive.shape}: "
            "expected a float and a bool for each series"
        )
    if not np.isfinite(values).all():
        raise ValueError("margin holds NaN or infinite values, expected a number for every series")
    return values, positive


def _correlation(kind: npt.ArrayLike, n: int, correlation_kinds: Sequence[str]) -> npt.NDArray[np.bool_]:
    kinds = np.asarray(kind, dtype=np.str_)
    if kinds.shape != (n,):
        raise ValueError(f"kind has shape {kinds.shape}, expected ({n},): one for each series")
    without = np.flatnonzero(np.isin(kinds, ("none", "several")))
    if len(without):
        raise ValueError(
            f"series {without[0]} is of kind {str(kinds[without[0]])!r}, and {len(without)} of them have not one "
            "change: leave them out"
        )
    return np.isin(kinds, list(correlation_kinds))


def _times(change_time: npt.ArrayLike, n: int) -> npt.NDArray[np.int64]:
    times = np.asarray(change_time)
    if times.shape != (n,) or times.dtype.kind not in "iu":
        raise ValueError(f"change_time is {times.dtype} {times.shape}, expected whole numbers for {n} series")
    return times.astype(np.int64)


def _lists(times: Sequence[npt.ArrayLike]) -> list[list[int]]:
    """Frames of every series as a list; a bare number stands for itself, -1 for none."""
    rows = [np.asarray(row) for row in times]
    for i, row in enumerate(rows):
        if row.ndim > 1 or (row.size and row.dtype.kind not in "iu"):
            raise TypeError(
                f"the times of series {i} are {times[i]!r}, expected whole numbers, none to several"
            )
    return [([] if row < 0 else [int(row)]) if row.ndim == 0 else [int(t) for t in row] for row in rows]


def _ratio(top: npt.NDArray[np.int64], bottom: npt.NDArray[np.int64]) -> float:
    return float(top.sum() / bottom.sum()) if bottom.sum() else float("nan")
