"""Correlation-change detectors without training: is the way variables go together different before and after t?

Each takes X [S, T, N, M] and returns float64 [S, T] as `detectors` do. `correlation_distance` and
`graphical_lasso_distance` know nothing about the data; `spring_regression` is given the form of the physical law (a
pull along x_j - x_i) and `spring_evidence` its constants too: what somebody who knows the physics could reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from msig_lib.changepoint.data import edges
from msig_lib.changepoint.detectors import CHUNK, Floats, as_series, at_frames, frame_length, halves

OBSERVED = {"features": 0, "differences": 1, "second_differences": 2}
NORMS = ("l1", "frobenius")
KINDS = ("location", "speed", "connection")
FRAME = 0.1  # official code: time between frames of springs, where hidden velocities do not tell it
TINY = 1e-9  # a window's variance below this share of its series' is none: what float32 cannot hold


@dataclass(frozen=True)
class SpringPrior:
    """Standard deviations of what changes, and how strong springs are: what the oracle knows of the world."""

    spring: float = 0.1  # official code: force per length of a spring, in units of the locations and of dt
    probability: float = 0.5  # official code: that two particles are joined
    location_kick: float = 0.1  # thesis 4.4.1
    speed_kick: float = 0.02  # thesis 4.4.1
    start: float = 10.0  # ours: wide, where and how fast a window's motion begins
    floor: float = 1e-4  # ours: least noise; what trapezoids miss between frames .1 apart (median 6e-5)

    def __post_init__(self) -> None:
        positive = (self.spring, self.location_kick, self.speed_kick, self.start, self.floor)
        if min(positive) <= 0 or not 0 < self.probability < 1:
            raise ValueError(f"{self} was given, expected values above 0 and a probability below 1")

    @property
    def mean(self) -> float:
        """Mean of k_ij."""
        return self.spring * self.probability

    @property
    def deviation(self) -> float:
        """Standard deviation of k_ij, and of a change of it by sqrt(2)."""
        return self.spring * (self.probability * (1 - self.probability)) ** 0.5


def window_correlations(x: Floats, window: int) -> Floats:
    """Return the correlation matrices of every window, float64 [S, L - window + 1, ..., C, C].

    x float64 [S, L, ..., C]: the matrices are between the C values of the last axis, those between stay apart. A
    value that does not move within a window has correlation 0 with all others.
    """
    centred = x - x.mean(axis=1, keepdims=True)
    scale = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    z = centred / np.where(scale > 0, scale, 1.0)
    mean = _sliding_sum(z, window) / window
    covariance = _sliding_sum(z[..., :, None] * z[..., None, :], window) / window
    covariance -= mean[..., :, None] * mean[..., None, :]
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    moves = variance > TINY
    inverse = np.where(moves, 1 / np.sqrt(np.where(moves, variance, 1.0)), 0.0)
    correlation = np.clip(covariance * inverse[..., :, None] * inverse[..., None, :], -1.0, 1.0)
    diagonal = np.arange(x.shape[-1])
    correlation[..., diagonal, diagonal] = 1.0
    return correlation


def correlation_distance(
    X: npt.ArrayLike,
    *,
    window: int = 15,
    on: str = "second_differences",
    across: str = "variables",
    norm: str = "l1",
) -> Floats:
    """Return the distance between the correlation matrices of the windows before and from t on, float64 [S, T].

    `on` "features", their "differences" or "second_differences" (in springs: the forces), `window` of them a side,
    none of which mixes frames before t with frames from t on. `across` "variables": one [N, N] matrix for each
    feature, summed; "channels": one [N*M, N*M] matrix. `norm` "l1" sums |differences|, "frobenius" is the root of
    the summed squares. ValueError for fewer than 2 variables or windows that do not fit.
    """
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}, expected one of {', '.join(NORMS)}")
    observed = _observed(X, window, on, across)
    scores = []
    for start in range(0, len(observed), CHUNK):
        change = _change(window_correlations(observed[start : start + CHUNK], window), window, OBSERVED[on])
        axes = tuple(range(2, change.ndim))
        scores.append(np.abs(change).sum(axes) if norm == "l1" else np.sqrt((change**2).sum(axes)))
    return at_frames(np.concatenate(scores), window + OBSERVED[on], np.shape(X)[1])


def graphical_lasso_distance(
    X: npt.ArrayLike,
    *,
    window: int = 20,
    on: str = "second_differences",
    across: str = "variables",
    penalty: float = 0.1,
) -> Floats:
    """Return the L1 distance between the sparse inverse correlations before and from t on, float64 [S, T].

    Every window's correlation matrix (mean over features with `across` "variables") is inverted with an L1 penalty
    on what is off the diagonal, as scikit-learn's `graphical_lasso` does (`penalty` is its alpha, .1 ours), but for
    all windows at once by `graphical_lasso`. Other arguments and errors as `correlation_distance`.
    """
    observed = _observed(X, window, on, across)
    scores = []
    for start in range(0, len(observed), CHUNK):
        correlation = window_correlations(observed[start : start + CHUNK], window)
        if correlation.ndim == 5:
            correlation = correlation.mean(axis=2)
        change = _change(graphical_lasso(correlation, penalty), window, OBSERVED[on])
        scores.append(np.abs(change).sum(axis=(2, 3)))
    return at_frames(np.concatenate(scores), window + OBSERVED[on], np.shape(X)[1])


def graphical_lasso(
    covariance: npt.ArrayLike, penalty: float, *, tolerance: float = 1e-5, max_iter: int = 1000
) -> Floats:
    """Return argmin over P of tr(C P) - log det P + penalty * sum of |P_ij|, i != j, for every C [..., n, n].

    Alternating direction method of multipliers (Boyd et al., 2011, section 6.5) on all matrices side by side, each
    until its two residuals are below `tolerance`. ValueError for a penalty that is not positive or no convergence.
    """
    given = np.asarray(covariance, dtype=np.float64)
    if given.ndim < 2 or given.shape[-1] != given.shape[-2]:
        raise ValueError(f"covariance has shape {given.shape}, expected [..., n, n]")
    if not penalty > 0:
        raise ValueError(f"penalty is {penalty}, expected above 0")
    n = given.shape[-1]
    flat = given.reshape(-1, n, n)
    result = np.empty_like(flat)
    rows = np.arange(len(flat))  # those not converged yet
    sparse, dual = np.tile(np.eye(n), (len(flat), 1, 1)), np.zeros_like(flat)
    step = np.ones((len(flat), 1, 1))
    off = penalty * ~np.eye(n, dtype=bool)
    for _ in range(max_iter):
        values, vectors = np.linalg.eigh(step * (sparse - dual) - flat[rows])
        values = (values + np.sqrt(values**2 + 4 * step[:, 0])) / (2 * step[:, 0])
        dense = (vectors * values[:, None, :]) @ vectors.swapaxes(1, 2)
        before = sparse
        target = dense + dual
        sparse = np.sign(target) * np.maximum(np.abs(target) - off / step, 0.0)
        dual = target - sparse
        primal = np.abs(dense - sparse).max(axis=(1, 2), keepdims=True)
        moved = np.abs(step * (sparse - before)).max(axis=(1, 2), keepdims=True)
        size = np.abs(sparse).max(axis=(1, 2), keepdims=True)
        done = ((primal < tolerance * size) & (moved < tolerance))[:, 0, 0]
        # Inverses of nearly singular matrices are large: their step size is balanced as in Boyd et al., 3.4.1.
        scale = np.where(primal / size > 5 * moved, 2.0, np.where(moved > 5 * primal / size, 0.5, 1.0))
        step, dual = step * scale, dual / scale
        if done.any():
            result[rows[done]] = sparse[done]
            rows, sparse, dual, step = rows[~done], sparse[~done], dual[~done], step[~done]
        if not len(rows):
            return result.reshape(given.shape)
    raise ValueError(
        f"{len(rows)} of {len(flat)} graphical lassos did not converge in {max_iter} steps: raise the penalty "
        f"({penalty}), the tolerance ({tolerance}) or max_iter"
    )


def spring_regression(
    X: npt.ArrayLike, *, window: int = 8, velocity: bool = True, ridge: float = 1.0
) -> Floats:
    """Return the L1 distance between the springs regressed before and from t on, float64 [S, T]; physics-informed.

    On `window` accelerations a side, a_i = sum over j of k_ij (x_j - x_i) is solved for each receiver i by least
    squares; the score is the sum of |k_ij after - k_ij before| over directed pairs. Accelerations are differences
    of the velocities (the second half of the features), or second differences of all features without `velocity`.
    `ridge` is relative to the mean square of the regressors (1 ours, with the window the best on validation series
    with noise 0 and .02; far less lets walls and noise through). `spring_evidence` has a model of noise.
    """
    x, location, speed = _motion(X, velocity)
    if window < 1 or ridge <= 0:
        raise ValueError(f"window {window}, ridge {ridge} were given, expected at least 1 and above 0")
    receivers, senders = edges(x.shape[2])
    pull = location[:, :, senders] - location[:, :, receivers]
    pull = pull.reshape(*x.shape[:3], -1, location.shape[3])  # [S, T, N, N-1, axes]
    if (
        velocity
    ):  # item u is the interval from frame u to u + 1, in which a change at u + 1 is already at work
        force, pull = np.diff(speed, axis=1), (pull[:, 1:] + pull[:, :-1]) / 2
    else:  # item u is centred at frame u + 1, of which the frame after is the first that a new law moves in full
        force, pull = np.diff(location, 2, axis=1), pull[:, 1:-1]
    order = 1 if velocity else 2
    first, last = window + order, x.shape[1] - window - order + 1  # of the frames that have a score
    if first > last:
        raise ValueError(
            f"a spring regression on {window} accelerations a side needs {2 * (window + order) - 1} frames, the series "
            f"have {x.shape[1]}; use a smaller window"
        )
    square = _sliding_sum(np.einsum("stnja,stnka->stnjk", pull, pull), window)
    product = _sliding_sum(np.einsum("stnja,stna->stnj", pull, force), window)
    size = np.trace(square, axis1=-2, axis2=-1)[..., None, None] / square.shape[-1]
    square += np.where(size > 0, ridge * size, 1.0) * np.eye(square.shape[-1])
    springs = np.linalg.solve(square, product[..., None])[..., 0]  # [S, windows, N, N-1]
    t = np.arange(first, last + 1)
    change = springs[:, t - 1] - springs[:, t - order - window]  # before: no frame from t on
    return at_frames(np.abs(change).sum(axis=(2, 3)), first, x.shape[1])


def spring_evidence_by_kind(
    X: npt.ArrayLike,
    *,
    window: int = 20,
    velocity: bool = True,
    prior: SpringPrior = SpringPrior(),
    dt: float | None = None,
) -> Floats:
    """Return log P(frames around t | a change of this kind at t) - log P(... | none), float64 [3, S, T].

    Kinds in the order of `KINDS`. The oracle of the spring world: it knows the equation of motion, how strong
    springs are and how large kicks are (`prior`), not which springs there are, nor the noise. On `window` frames a
    side each receiver has x_i(t) = x_i + v_i t + sum over j of k_ij times the twice integrated x_j - x_i, and v_i(t)
    its derivative; a change adds, right after frame t - 1, a kick of x_i, of v_i, or new k_ij. All unknowns have
    normal priors, the noise variance is that of the least-squares fit with all kicks, so that a reflection at a wall,
    which is not modelled, counts as noise. Integrals are trapezoids of the observed locations. Receivers are taken
    as independent. `dt` is by default `frame_length` of X, without `velocity` (all features are locations) .1, that
    of springs. ValueError for windows that do not fit or have fewer values than unknowns.
    """
    x, location, speed = _motion(X, velocity)
    n, axes = x.shape[2], location.shape[3]
    values_each, unknowns = 2 * window * x.shape[3], 4 * axes + 2 * (n - 1)
    if window < 1 or values_each <= unknowns or x.shape[1] < 2 * window:
        raise ValueError(
            f"a window of {window} frames a side has {values_each} values a variable for {unknowns} unknowns, and the "
            f"series have {x.shape[1]} frames: choose a window that has more values and fits twice"
        )
    step = dt if dt is not None else frame_length(x) if velocity else FRAME
    receivers, senders = edges(n)
    pull = (location[:, :, senders] - location[:, :, receivers]).reshape(*x.shape[:3], n - 1, axes)
    once = _integral(pull, step)
    twice = _integral(once, step)
    t = (np.arange(2 * window) - (window - 1)) * step  # 0 at the last frame before the change
    after = (t > 0).astype(np.float64)
    one, none = np.ones_like(t), np.zeros_like(t)
    alone = _by_axis([(one, none), (t, one), (after, none), (after * t, after)], axes, velocity)
    kicks, springs = [prior.location_kick, prior.speed_kick], [prior.deviation, 2**0.5 * prior.deviation]
    sizes = [axes, axes, axes, axes, n - 1, n - 1]
    deviation = np.repeat([prior.start, prior.start, *kicks, *springs], sizes)
    at = np.cumsum([0, 2 * axes, axes, axes, n - 1, n - 1])  # where the groups of columns begin
    smooth = [*range(at[1]), *range(at[3], at[4])]
    added = [range(at[1], at[2]), range(at[2], at[3]), range(at[4], at[5])]  # in the order of KINDS
    scores = np.empty((len(KINDS), len(x), x.shape[1] - 2 * window + 1))
    for column in range(scores.shape[2]):
        span, last = slice(column, column + 2 * window), slice(window - 1, window)
        i1, i2 = once[:, span], twice[:, span]
        since = [i2 - i2[:, last] - t[:, None, None, None] * i1[:, last], i1 - i1[:, last]]
        kinds = 2 if velocity else 1
        base = _stacked(since[:kinds])  # [S, N, values, N-1]
        change = _stacked([after[:, None, None, None] * part for part in since[:kinds]])
        values = _stacked([location[:, span], speed[:, span]][:kinds])[..., 0]
        values = values - prior.mean * base.sum(axis=-1)
        design = [np.broadcast_to(alone, (*base.shape[:2], *alone.shape)), base, change]
        columns = np.concatenate(design, axis=-1) * deviation
        gram, product, noise = _normal_equations(columns, values, prior.floor)
        without = _evidence(gram, product, noise, smooth)
        for row, kind in enumerate(added):
            gain = _evidence(gram, product, noise, [*smooth, *kind]) - without
            scores[row, :, column] = gain.sum(axis=1)
    return np.stack([at_frames(kind, window, x.shape[1]) for kind in scores])


def spring_evidence(
    X: npt.ArrayLike,
    *,
    window: int = 20,
    velocity: bool = True,
    prior: SpringPrior = SpringPrior(),
    dt: float | None = None,
) -> Floats:
    """Return the log posterior of the change time given one change, kinds equally likely, float64 [S, T].

    log of the summed evidence of `spring_evidence_by_kind` (see there for what this oracle knows), less its log sum
    over the frames t of the series that can be scored: what is unlike in series is not in their scores.
    """
    given = {"window": window, "velocity": velocity, "prior": prior, "dt": dt}
    evidence = spring_evidence_by_kind(X, **given)
    n_frames = evidence.shape[2]
    either = logsumexp(evidence[:, :, window : n_frames - window + 1], axis=0)
    return at_frames(either - logsumexp(either, axis=1, keepdims=True), window, n_frames)


def _observed(X: npt.ArrayLike, window: int, on: str, across: str) -> Floats:
    """Return what is correlated, float64 [S, items, M, N] across variables or [S, items, N*M] across channels."""
    if on not in OBSERVED or across not in ("variables", "channels"):
        raise ValueError(
            f'on is {on!r} and across {across!r}, expected one of {", ".join(OBSERVED)}, and "variables" or "channels"'
        )
    if window < 2:
        raise ValueError(f"window is {window}, expected at least 2 items to correlate")
    x = as_series(X, 2 * (window + OBSERVED[on]), f"a window of {window} {on} on both sides")
    if x.shape[2] < 2 and across == "variables":
        raise ValueError("X has 1 variable, expected at least 2 to correlate")
    x = np.diff(x, OBSERVED[on], axis=1)
    return x.swapaxes(2, 3) if across == "variables" else x.reshape(*x.shape[:2], -1)


def _change(of_windows: Floats, window: int, order: int) -> Floats:
    """Return after minus before for t = window + order and on; item i spans frames i..i + order."""
    count = of_windows.shape[1] - window - order
    return of_windows[:, window + order :] - of_windows[:, :count]


def _sliding_sum(x: Floats, window: int) -> Floats:
    total = np.concatenate([np.zeros_like(x[:, :1]), x.cumsum(axis=1)], axis=1)
    return total[:, window:] - total[:, :-window]


def _motion(X: npt.ArrayLike, velocity: bool) -> tuple[Floats, Floats, Floats]:
    x = as_series(X, 2, "a spring system")
    if x.shape[2] < 2:
        raise ValueError("X has 1 variable, expected at least 2 for springs between them")
    return (x, *halves(x)) if velocity else (x, x, x)


def _integral(x: Floats, step: float) -> Floats:
    """Return the trapezoid integral along axis 1 from the first frame on."""
    parts = step * (x[:, 1:] + x[:, :-1]) / 2
    return np.concatenate([np.zeros_like(x[:, :1]), parts.cumsum(axis=1)], axis=1)


def _by_axis(columns: list[tuple[np.ndarray, np.ndarray]], axes: int, velocity: bool) -> np.ndarray:
    """Return [values, columns * axes]: each (location, velocity) column once for each axis alone."""
    stacked = [np.concatenate(pair) if velocity else pair[0] for pair in columns]
    parts = [np.kron(np.eye(axes)[:, [a]], column[:, None]) for column in stacked for a in range(axes)]
    length = len(parts[0]) if parts else 0
    return np.concatenate(parts, axis=1) if parts else np.zeros((length, 0))


def _stacked(parts: list[Floats]) -> Floats:
    """Return [S, N, axes * kinds * frames, columns] from kinds x [S, frames, N, (columns,) axes]."""
    whole = np.stack([part if part.ndim == 5 else part[:, :, :, None] for part in parts])  # kinds first
    order = whole.transpose(1, 3, 5, 0, 2, 4)
    return order.reshape(*order.shape[:2], -1, order.shape[-1])


def _normal_equations(design: Floats, values: Floats, floor: float) -> tuple[Floats, Floats, Floats]:
    """Return A'A [S, N, p, p], A'y [S, N, p] and the residual variance [S, N], at least floor^2."""
    gram = design.swapaxes(2, 3) @ design
    product = (design.swapaxes(2, 3) @ values[..., None])[..., 0]
    best = np.linalg.solve(gram + floor**2 * np.eye(gram.shape[-1]), product[..., None])
    rest = ((values - (design @ best)[..., 0]) ** 2).sum(axis=-1)
    return gram, product, np.maximum(rest / (design.shape[2] - design.shape[3]), floor**2)


def _evidence(gram: Floats, product: Floats, noise: Floats, columns: Sequence[int]) -> Floats:
    """Return log N(y; 0, noise (A A' / noise + 1)) of these columns but for a constant, [S, N]; prior N(0, 1)."""
    inner = gram[..., columns, :][..., columns] / noise[..., None, None] + np.eye(len(columns))
    outer = product[..., columns] / noise[..., None]
    explained = (outer * np.linalg.solve(inner, outer[..., None])[..., 0]).sum(axis=-1)
    return (explained - np.linalg.slogdet(inner)[1]) / 2
