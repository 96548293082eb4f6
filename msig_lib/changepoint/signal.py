"""Scores of a change from what the model generates: its graphs (s_r), its forecasts (s_d), and both (s_en)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from msig_lib.changepoint.model import CorrelationDynamics

Floats = npt.NDArray[np.float64]
MARGIN = 25  # thesis 4.4.1: changes are drawn from frames [25, 75] of 100, so scores are compared there
ALPHA = 0.75  # thesis 9.2.4, from figure 9.2
NORMS, ENDS = ("evaluated", "all"), ("partial", "zero")
PAIRS = (
    2**18
)  # ours: series x frames x directed pairs that are read at a time, 64 MB a float32 layer of width 64


@dataclass(frozen=True)
class Scores:
    """Change scores of S series of T frames, float64 [S, T], higher: more likely the first frame after a change.

    `start` and `stop` (as in `frame_range`) are the frames in which a change is looked for, `norm` says over which
    frames Eq. 4.4 takes its mean and deviation: those ("evaluated") or "all". ValueError for shapes that differ.
    """

    correlation: Floats  # s_r, Eq. 4.1
    independent: Floats  # s_d, Eq. 4.2
    ensemble: Floats  # s_en, Eq. 4.3
    graph: npt.NDArray[np.float32] | None = None  # [S, T, E] probability that a pair is connected
    start: int = MARGIN
    stop: int | None = None
    norm: str = "evaluated"

    def __post_init__(self) -> None:
        shapes = {np.shape(self.correlation), np.shape(self.independent), np.shape(self.ensemble)}
        if self.graph is not None:
            shapes.add(np.shape(self.graph)[:2])
        if len(shapes) > 1 or len(next(iter(shapes))) != 2:
            raise ValueError(f"scores of shapes {sorted(shapes)} were given, expected one shape [S, T]")
        if self.norm not in NORMS:
            raise ValueError(f"norm is {self.norm!r}, expected {' or '.join(map(repr, NORMS))}")

    def __len__(self) -> int:
        return len(self.correlation)

    def normed(self) -> tuple[Floats, Floats]:
        """Return Norm(s_r) and Norm(s_d), float64 [S, T] each (Eq. 4.4)."""
        start, stop = (0, None) if self.norm == "all" else (self.start, self.stop)
        return znorm(self.correlation, start, stop), znorm(self.independent, start, stop)

    def predicted(self) -> npt.NDArray[np.int64]:
        """Return the frame with the highest ensemble score within `start`..`stop`, int64 [S]."""
        return predicted_time(self.ensemble, self.start, self.stop)


@dataclass(frozen=True)
class ScoreSettings:
    """How `score` reads a trained model; `OFFICIAL` does as the official test script."""

    window: int = 5  # official code: k of Eq. 4.2
    hard: bool = False  # ours: forecasts with the graph's probabilities, less noise (official: hard samples)
    seed: int = 0  # of the hard samples; nothing else is random
    batch: int = 64  # ours: series read at a time, fewer where they are long or of many variables
    start: int = MARGIN  # thesis 4.4.1
    stop: int | None = None  # T - start
    norm: str = "evaluated"  # ours: what happens at the ends does not count ("all": official code)
    ends: str = "partial"  # ours: at the end, s_d of the frames that are left ("zero": official code)
    keep_graph: bool = True

    def __post_init__(self) -> None:
        for name, least in {"window": 1, "batch": 1, "start": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {least}")
        for name, allowed in {"norm": NORMS, "ends": ENDS}.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, expected {' or '.join(map(repr, allowed))}"
                )


OFFICIAL = ScoreSettings(hard=True, norm="all", ends="zero")  # checked in the official test script


def score(
    model: CorrelationDynamics, X: npt.NDArray[np.float32], settings: ScoreSettings | None = None
) -> Scores:
    """Return the three change scores of X float32 [S, T, N, M], normalised as in training (Eqs. 4.1-4.4).

    s_r is from the graphs' probabilities; s_d from forecasts of `window` frames, with these probabilities or with
    hard samples. A single variable (N = 1) has no pairs: s_r is 0, and it is forecast beside a copy of itself.
    ValueError for another shape, for values that are not finite, and for series of no more than `window` frames.
    """
    settings = settings or ScoreSettings()
    x = np.asarray(X)
    if x.ndim != 4 or x.shape[3] != model.n_features or x.dtype.kind not in "fiu" or not x.shape[2]:
        raise ValueError(
            f"X is {x.dtype} {x.shape}, expected numbers (series, frames, variables, {model.n_features} features)"
        )
    if x.shape[1] <= settings.window:
        raise ValueError(
            f"the series have {x.shape[1]} frames and the window {settings.window}: expected at least "
            f"{settings.window + 1} frames, give longer series or a smaller window"
        )
    if not np.isfinite(x).all():
        raise ValueError("X holds NaN or infinite values, expected finite numbers")
    n_series, n_frames, n, _ = x.shape
    frame_range(n_frames, settings.start, settings.stop)  # refused before the work
    x = beside_itself(np.asarray(x, dtype=np.float32))
    pairs = x.shape[2] * (x.shape[2] - 1)
    batch = max(1, min(settings.batch, PAIRS // (n_frames * pairs)))
    generator = torch.Generator().manual_seed(settings.seed) if settings.hard else None
    related, dynamic = np.zeros((2, n_series, n_frames))
    kept = np.zeros((n_series, n_frames, n * (n - 1)), dtype=np.float32) if settings.keep_graph else None
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for first in range(0, n_series, batch):
                rows = slice(first, first + batch)
                part = torch.from_numpy(x[rows])
                logits = model.encode(part)
                graph = model.sample_graph(logits)
                if n > 1:
                    related[rows] = correlation_score(graph.numpy())
                    if kept is not None:
                        kept[rows] = graph.numpy()
                if settings.hard:
                    graph = model.sample_graph(logits, generator, hard=True)
                dynamic[rows] = model.window_errors(part, graph, settings.window).numpy()
    finally:
        model.train(training)
    if settings.ends == "zero":
        dynamic[:, 0] = dynamic[:, n_frames - settings.window :] = 0.0
    start, stop = (0, None) if settings.norm == "all" else (settings.start, settings.stop)
    both = ensemble(related, dynamic, start, stop)
    return Scores(related, dynamic, both, kept, settings.start, settings.stop, settings.norm)


def beside_itself(X: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return X [S, T, N, M], a single variable twice: the graph networks need a pair, this one says nothing new."""
    return np.repeat(X, 2, axis=2) if X.shape[2] == 1 else X


def frame_range(n_frames: int, start: int = MARGIN, stop: int | None = None) -> tuple[int, int]:
    """Return the first and the last frame to look at, both included; `stop` None is T - start (25..75 of 100).

    ValueError when no frame is left.
    """
    last = min(n_frames - start, n_frames - 1) if stop is None else stop
    if not 0 <= start <= last < n_frames:
        raise ValueError(
            f"frames {start}..{last} of a series of {n_frames} frames were asked for, expected "
            f"0 <= start <= stop <= {n_frames - 1}: pass a smaller start, or start and stop"
        )
    return start, last


def correlation_score(graph: npt.ArrayLike) -> Floats:
    """Return s_r, the L1 distance of neighbouring graphs, float64 [S, T], 0 in the first frame (Eq. 4.1).

    `graph` [S, T, E] holds the probability of a connection for every directed pair; without pairs s_r is 0.
    """
    values = np.asarray(graph)
    if values.ndim != 3:
        raise ValueError(f"graph has shape {values.shape}, expected [S series, T frames, E directed pairs]")
    out = np.zeros(values.shape[:2])
    out[:, 1:] = np.abs(np.diff(values, axis=1)).sum(axis=2, dtype=np.float64)
    return out


def znorm(scores: npt.ArrayLike, start: int = MARGIN, stop: int | None = None) -> Floats:
    """Return (s - mean) / deviation of every series, float64 [S, T] (Eq. 4.4); zeros where s is constant.

    Mean and deviation are over the frames start..stop (`frame_range`; start=0: all), the result is for all frames.
    """
    values = _scores(scores)
    first, last = frame_range(values.shape[1], start, stop)
    part = values[:, first : last + 1]
    mean, spread = part.mean(axis=1, keepdims=True), part.std(axis=1, keepdims=True)
    # A constant that float64 cannot average exactly leaves a spread of rounding errors: it is constant all the same.
    flat = np.ptp(part, axis=1, keepdims=True) == 0
    return np.where(flat, 0.0, (values - mean) / np.where(flat | (spread == 0), 1.0, spread))


def ensemble(
    correlation: npt.ArrayLike, independent: npt.ArrayLike, start: int = MARGIN, stop: int | None = None
) -> Floats:
    """Return s_en = Norm(s_r) + Norm(s_d), float64 [S, T] (Eq. 4.3); frames as in `znorm`."""
    return znorm(correlation, start, stop) + znorm(independent, start, stop)


def predicted_time(
    scores: npt.ArrayLike, start: int = MARGIN, stop: int | None = None
) -> npt.NDArray[np.int64]:
    """Return the frame of the highest score within start..stop, int64 [S]; the first of equal ones."""
    values = _scores(scores)
    first, last = frame_range(values.shape[1], start, stop)
    return first + values[:, first : last + 1].argmax(axis=1)


def peak_times(
    scores: npt.ArrayLike,
    *,
    n: int | None = None,
    threshold: float | None = None,
    min_distance: int = 10,
    start: int = MARGIN,
    stop: int | None = None,
) -> list[npt.NDArray[np.int64]]:
    """Return for every series the ascending frames of its highest peaks within start..stop, int64 each.

    A peak is a frame (or the first of equal ones) above both neighbours, or at an end of the range above its only
    one. Peaks are taken from the highest down, `n` of them at most, each above `threshold` and at least
    `min_distance` frames from those taken; there may be none. The first is `predicted_time`. ValueError when
    neither `n` nor `threshold` is given.
    """
    if (n is None and threshold is None) or (n is not None and n < 1) or min_distance < 1:
        raise ValueError(
            f"n is {n}, threshold {threshold} and min_distance {min_distance}: expected n of at least 1, "
            "a threshold or both, and a distance of at least 1 frame"
        )
    values = _scores(scores)
    first, last = frame_range(values.shape[1], start, stop)
    found = []
    for row in values[:, first : last + 1]:
        peaks = _peaks(row)
        peaks = peaks[np.argsort(-row[peaks], kind="stable")]
        if threshold is not None:
            peaks = peaks[row[peaks] > threshold]
        taken: list[int] = []
        for frame in peaks.tolist():
            if len(taken) == n:
                break
            if all(abs(frame - other) >= min_distance for other in taken):
                taken.append(frame)
        found.append(first + np.array(sorted(taken), dtype=np.int64))
    return found


def type_margin(
    scores: Scores,
    times: npt.ArrayLike | None = None,
    alpha: float | None = None,
    convention: str = "thesis",
) -> Floats:
    """Return how much a change looks like one of the correlation, float64 [S] (section 4.4.4, Eq. 4.4).

    "thesis": Norm(s_r) - alpha Norm(s_d), alpha .75; "official": s_r - s_d as they are, without Norm and alpha
    (checked in its test script). At the labelled `times` [S], or at the highest ensemble score where there are
    none. Its ROC AUC is table 4.3's. ValueError for times outside the series, or an alpha that would be ignored.
    """
    if convention not in ("thesis", "official"):
        raise ValueError(f"convention is {convention!r}, expected 'thesis' or 'official'")
    if convention == "official" and alpha is not None:
        raise ValueError(f"alpha is {alpha}, but the official code has none: leave it out, or use 'thesis'")
    n_frames = scores.ensemble.shape[1]
    at = scores.predicted() if times is None else np.asarray(times)
    if at.shape != (len(scores),) or at.dtype.kind not in "iu":
        raise ValueError(
            f"times are {at.dtype} {at.shape}, expected whole numbers, one for {len(scores)} series"
        )
    wrong = np.flatnonzero((at < 0) | (at >= n_frames))
    if len(wrong):
        raise ValueError(
            f"time {at[wrong[0]]} of series {wrong[0]} is not one of its frames 0..{n_frames - 1}: "
            "leave out series without a change"
        )
    related, dynamic = scores.normed() if convention == "thesis" else (scores.correlation, scores.independent)
    weight = (ALPHA if alpha is None else alpha) if convention == "thesis" else 1.0
    rows = np.arange(len(scores))
    return related[rows, at] - weight * dynamic[rows, at]


def change_type(
    scores: Scores,
    times: npt.ArrayLike | None = None,
    alpha: float | None = None,
    tau: float = 0.0,
    convention: str = "thesis",
) -> npt.NDArray[np.str_]:
    """Return "correlation" where `type_margin` is at least `tau`, else "independent", str [S] (appendix 9.2.4)."""
    return np.where(type_margin(scores, times, alpha, convention) >= tau, "correlation", "independent")


def _scores(scores: npt.ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"scores have shape {values.shape}, expected [S series, T frames]")
    if not np.isfinite(values).all():
        row, frame = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"the score of series {row} in frame {frame} is {values[row, frame]}, expected finite numbers: "
            "give frames without a score the lowest of their series"
        )
    return values


def _peaks(row: Floats) -> npt.NDArray[np.int64]:
    """First frames of the runs of equal values that are higher than the runs beside them."""
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(row)) + 1])
    steps = np.concatenate([[1.0], np.diff(row[firsts]), [-1.0]])
    return firsts[(steps[:-1] > 0) & (steps[1:] < 0)]
