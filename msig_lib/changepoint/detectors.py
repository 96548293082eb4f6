"""Detectors without any training: differences, local polynomials, a mean shift, and answers that ignore the data.

Each takes X [S, T, N, M] and returns float64 [S, T]: high where frame t is likely the first frame after a change.
Frames that a detector cannot score get the lowest score of their series. Detectors of motion take the first half
of the features as locations and the second half as their velocities, as `springs` gives them. The physical change
lies between frames t-1 and t, so every score of frame t is made of spans that contain both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FEATURES = ("all", "location", "velocity")
CHUNK = 64
"""Series whose windows are held at once (ours: 20 channels in windows of 40 frames are 30 MB)."""


def as_series(X: npt.ArrayLike, least: int, what: str = "this detector") -> Floats:
    """Return X as float64 [S, T, N, M]; ValueError unless it is finite with at least `least` frames."""
    x = np.asarray(X)
    if x.ndim != 4 or 0 in x.shape:
        raise ValueError(
            f"X has shape {x.shape}, expected (series, frames, variables, features), none of them 0"
        )
    if x.dtype.kind not in "fiu":
        raise TypeError(f"X is of type {x.dtype}, expected numbers")
    if x.shape[1] < least:
        raise ValueError(f"{what} needs {least} frames, the series have {x.shape[1]}; use a smaller window")
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError("X holds values that are not finite: fill or leave out the gaps first")
    return x


def at_frames(scores: npt.ArrayLike, first: int, n_frames: int) -> Floats:
    """Return scores [S, n] of frames first..first+n-1 as float64 [S, n_frames], the rest at each row's minimum."""
    values = np.asarray(scores, dtype=np.float64)
    placed = np.repeat(values.min(axis=1, keepdims=True), n_frames, axis=1)
    placed[:, first : first + values.shape[1]] = values
    return placed


def halves(x: Floats) -> tuple[Floats, Floats]:
    """Return (locations, velocities), the first and the second half of the features; ValueError if they are odd."""
    if x.shape[3] % 2:
        raise ValueError(
            f"X has {x.shape[3]} features, expected locations and as many velocities; where velocities are "
            'hidden use a detector of all features (`features="all"`, `velocity=False`)'
        )
    return x[..., : x.shape[3] // 2], x[..., x.shape[3] // 2 :]


def difference(
    X: npt.ArrayLike, order: int, *, features: str = "all", power: float = 1.0, lean: float = 0.5
) -> Floats:
    """Return the summed |order-th difference|^power over variables and features around t, float64 [S, T].

    A change between t-1 and t is a step there (a kick), or a bend at t-1 (a new force). Two spans of order + 1
    frames see either as large as any other does: the one that wins for a bend counts in full, the other by
    `lean`, so that both kinds peak at t. (Official connection labels are one frame earlier: they lose a frame.)
    """
    if order < 1 or power <= 0 or not 0 <= lean < 1:
        raise ValueError(
            f"order {order}, power {power}, lean {lean} were given, expected an order from 1, a power "
            "above 0, a lean in 0..1, below 1"
        )
    if features not in FEATURES:
        raise ValueError(f"features is {features!r}, expected one of {', '.join(FEATURES)}")
    x = as_series(X, order + 2, f"a difference of order {order}")
    if features != "all":
        x = halves(x)[FEATURES.index(features) - 1]
    size = (np.abs(np.diff(x, order, axis=1)) ** power).sum(axis=(2, 3))  # [:, i] spans frames i..i+order
    start, other = (order + 2) // 2, -1 if order % 2 else 1  # the full span of frame t begins at t - start
    if order == 1:
        return at_frames(size, 1, x.shape[1])
    first = start + (other < 0)  # frames for which both spans exist
    count = x.shape[1] - order - 1
    full = size[:, first - start :][:, :count]
    return at_frames(full + lean * size[:, first - start + other :][:, :count], first, x.shape[1])


def second_difference(X: npt.ArrayLike, *, lean: float = 0.5) -> Floats:
    """Return the sum of |x[t+1] - 2 x[t] + x[t-1]| over all features, placed as `difference`, float64 [S, T].

    Needs nothing. On noise-free springs it beats every row of table 4.1; a reflection at a wall is its false alarm.
    """
    return difference(X, 2, lean=lean)


def third_difference(X: npt.ArrayLike, *, features: str = "velocity", lean: float = 0.5) -> Floats:
    """Return the sum of squared third differences of the velocities, placed as `difference`, float64 [S, T].

    Needs velocities; features="all" or "location" where they are hidden.
    """
    return difference(X, 3, features=features, power=2.0, lean=lean)


def frame_length(X: npt.ArrayLike) -> float:
    """Return the time dt between frames that best explains all moves: x[t] - x[t-1] = dt (v[t-1] + v[t]) / 2.

    Least squares over all series of X [S, T, N, M], locations and velocities. ValueError if nothing moves.
    """
    location, velocity = halves(as_series(X, 2, "the time between frames"))
    mean = (velocity[:, 1:] + velocity[:, :-1]) / 2
    power = float((mean**2).sum())
    if power == 0:
        raise ValueError("all velocities are 0, so the time between frames cannot be told from them")
    return float((np.diff(location, axis=1) * mean).sum() / power)


def kinematic_residual(X: npt.ArrayLike, *, dt: float | None = None) -> Floats:
    """Return how far moves and velocities break the laws of smooth motion at t, float64 [S, T].

    Needs velocities. Sum of |x[t] - x[t-1] - dt (v[t-1] + v[t]) / 2| and of the velocities' second differences
    (`difference`), each divided by its median over the frames of the series; `dt` by default from `frame_length`
    of X. Its false alarms are reflections at walls, where velocities turn around without a change.
    """
    x = as_series(X, 4, "the kinematic residual")
    step = frame_length(x) if dt is None else dt
    location, velocity = halves(x)
    residual = np.abs(np.diff(location, axis=1) - step * (velocity[:, 1:] + velocity[:, :-1]) / 2)
    parts = at_frames(residual.sum(axis=(2, 3)), 1, x.shape[1]), difference(velocity, 2)
    return sum(part / _positive(np.median(part, axis=1, keepdims=True)) for part in parts)


def local_fit(
    X: npt.ArrayLike,
    *,
    window: int = 20,
    degree: int = 3,
    jumps: Sequence[int] = (0, 1),
    coupled: bool = False,
    dt: float | None = None,
) -> Floats:
    """Return the log likelihood ratio of a break at t in local polynomials, float64 [S, T]: for noisy series.

    On the `window` frames on each side of t one polynomial of `degree` is fitted to each channel, with and without
    a break: the derivatives in `jumps` (0 the value, 1 the slope, ...) are then free to differ after t. The score
    is the sum of log(RSS without / RSS with) over channels, so their units do not matter; a break in all
    derivatives up to `degree` is the distance of separate fits. With `coupled` a location and its velocity share
    one polynomial, v = x'(t) / dt with `dt` from `frame_length` of X: jumps 0, 1, 2 are then a kick of location, of
    speed and a new force, and channels with equal noise are assumed. Choose window and degree on validation series:
    noise wants larger windows; without noise 5 frames do. Where velocities are hidden a new force is a jump of the
    second derivative: jumps=(0, 1, 2). ValueError when the window cannot hold the polynomial.
    """
    order = sorted(set(jumps))
    equations = 2 * window * (2 if coupled else 1)
    if window < 2 or not order or order[0] < 0 or degree < 0 or degree + 1 + len(order) >= equations:
        raise ValueError(
            f"window {window}, degree {degree} and jumps {tuple(jumps)} were given, expected jumps from 0 on and "
            f"fewer unknowns than the {equations} values in the window"
        )
    x = as_series(X, 2 * window, f"a local fit on {window} frames a side")
    if coupled:
        step = frame_length(x) if dt is None else dt
        pair = np.stack(halves(x), axis=-1)  # [S, T, N, M/2, 2]
    else:
        step, pair = 1.0, x[..., None]
    smooth, broken = _designs(window, degree, order, step if coupled else None)
    scores = np.empty((len(x), x.shape[1] - 2 * window + 1))
    for start in range(0, len(x), CHUNK):
        view = np.lib.stride_tricks.sliding_window_view(pair[start : start + CHUNK], 2 * window, axis=1)
        values = view.reshape(*view.shape[:2], -1, equations)
        rounding = (np.finfo(np.float32).eps * _positive(np.abs(values).max(axis=-1))) ** 2 * equations
        rest = values - (values @ smooth) @ smooth.T
        without = (rest**2).sum(axis=-1)
        gain = np.minimum(((rest @ broken) ** 2).sum(axis=-1), without)
        # Below float32's rounding nothing can be told apart.
        ratio = (without + rounding) / (without - gain + rounding)
        scores[start : start + CHUNK] = np.log(ratio).sum(axis=-1)
    return at_frames(scores, window, x.shape[1])


def motion_fit(X: npt.ArrayLike, *, window: int = 20, degree: int = 4) -> Floats:
    """Return `local_fit` of locations and velocities together, free to jump in either or in the force, [S, T].

    Needs velocities. The defaults were best on validation springs at noise .05, and near the best at .02 and .1.
    """
    return local_fit(X, window=window, degree=degree, jumps=(0, 1, 2), coupled=True)


def cusum(X: npt.ArrayLike, *, min_size: int = 5) -> Floats:
    """Return the mean-shift statistic t (T - t) / T * |mean before - mean from t on|^2, float64 [S, T].

    Summed over channels, each z-normed over its series; both sides have at least `min_size` frames (ours).
    """
    if min_size < 1:
        raise ValueError(f"min_size is {min_size}, expected at least 1 frame a side")
    x = as_series(X, 2 * min_size, f"a mean shift with {min_size} frames a side")
    n = x.shape[1]
    flat = x.reshape(len(x), n, -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    z = flat / _positive(flat.std(axis=1, keepdims=True))
    t = np.arange(min_size, n - min_size + 1)
    before = z.cumsum(axis=1)[:, t - 1] / t[:, None]  # the mean over all is 0: that after follows from it
    return at_frames((t * n / (n - t)) * (before**2).sum(axis=-1), min_size, n)


def centre_bump(X: npt.ArrayLike, *, width: float = 10.0) -> Floats:
    """Return the same Gaussian bump at the middle frame for every series, float64 [S, T]; it ignores the values.

    `width` is its deviation in frames; any width ranks frames alike. Beats chance where changes are near the middle.
    """
    x = as_series(X, 1)
    if width <= 0:
        raise ValueError(f"width is {width}, expected frames above 0")
    t = np.arange(x.shape[1])
    return np.tile(np.exp(-((t - x.shape[1] // 2) ** 2) / (2 * width**2)), (len(x), 1))


def always_frame(X: npt.ArrayLike, frame: int = 50) -> Floats:
    """Return 1 at `frame` (50: the middle of the thesis's series) and 0 elsewhere, float64 [S, T]."""
    x = as_series(X, 1)
    if not 0 <= frame < x.shape[1]:
        raise ValueError(f"frame is {frame}, expected 0..{x.shape[1] - 1}")
    return np.tile((np.arange(x.shape[1]) == frame).astype(np.float64), (len(x), 1))


def random(X: npt.ArrayLike, *, seed: int) -> Floats:
    """Return independent uniform scores in [0, 1), float64 [S, T]; the first rows do not depend on S."""
    x = as_series(X, 1)
    return np.random.default_rng(seed).random(x.shape[:2])


def _designs(
    window: int, degree: int, jumps: list[int], dt: float | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return orthonormal bases [values, k] of the polynomials, and of what the breaks add to them."""
    t = np.arange(2 * window) - (window - 0.5)  # frames, 0 between t-1 and t

    def columns(powers: Sequence[int], after: np.ndarray) -> np.ndarray:
        parts = []
        for power in powers:
            value = after * (t / window) ** power
            if dt is None:
                parts.append(value)
                continue
            slope = after * power * (t / window) ** max(power - 1, 0) / (window * dt)
            parts.append(np.concatenate([value, slope]))
        matrix = np.stack(parts, axis=1)
        return matrix / np.linalg.norm(matrix, axis=0)

    smooth, _ = np.linalg.qr(columns(range(degree + 1), np.ones_like(t)))
    added = columns(jumps, (t > 0).astype(np.float64))
    added -= smooth @ (smooth.T @ added)
    basis, size, _ = np.linalg.svd(added, full_matrices=False)
    return smooth, basis[:, size > 1e-10]


def _positive(values: Floats) -> Floats:
    return np.where(values > 0, values, 1.0)
