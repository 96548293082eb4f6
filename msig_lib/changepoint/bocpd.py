"""Bayesian online change-point detection with an autoregressive Gaussian process (ARGP-BOCPD, thesis table 4.1).

Within a run between two changes every channel follows y_t = f(y_{t-1}, ..., y_{t-p}) + noise, f a Gaussian process
of which a new run knows nothing (Saatci, Turner & Rasmussen, 2010); the run length has the posterior of Adams & MacKay
(2007). Hyperparameters come from unlabelled training series by marginal likelihood. Exact on runs of up to `cap`
frames; longer ones predict from their last `cap` frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.optimize import minimize

from msig_lib.changepoint.detectors import Floats, as_series, at_frames
from msig_lib.changepoint.kernels import chunks, znormed

CHUNK = 16
"""Series whose predictive tables are held at once (ours: 20 channels of 100 frames and cap 50 are 13 MB)."""
COMBINE = ("sum", "joint")
BOUNDS = (
    (1e-4, 1e2),
    (1e-8, 1e2),
    (1e-1, 1e2),
    (1e-8, 1e1),
)  # ours, of linear, rbf, length, noise in z-normed units


@dataclass(frozen=True)
class BOCPDSettings:
    """The predictive model's form, the prior of changes, and how channels are put together."""

    order: int = 3  # ours: frames that predict the next; 3 hold a location's speed and acceleration
    hazard: float = 0.01  # ours: one change in a series of 100 frames (thesis 4.2)
    lookahead: int = (
        2  # ours: frames after t that may speak for a change at t. From `order` on, frames predicted
    )
    #   from both sides of the change are over, a run that begins later looks better, and the peak comes late
    cap: int = 50  # ours: longest run with an exact posterior, half a series
    combine: str = "sum"  # ours: every channel its own run length, probabilities summed; "joint": one for all
    fit_channels: int = (
        60  # ours: channels of training series in the marginal likelihood; more changed nothing
    )

    def __post_init__(self) -> None:
        if self.order < 1 or self.fit_channels < 1:
            raise ValueError(
                f"order {self.order}, fit_channels {self.fit_channels} were given, expected 1 or more"
            )
        if not 0 < self.hazard < 1:
            raise ValueError(f"hazard is {self.hazard}, expected a probability of a change a frame, in 0..1")
        if not 0 <= self.lookahead < self.cap:
            raise ValueError(f"lookahead is {self.lookahead}, expected 0..{self.cap - 1}, below the cap")
        if self.combine not in COMBINE:
            raise ValueError(f'combine is {self.combine!r}, expected "sum" or "joint"')


@dataclass(frozen=True)
class ARGP:
    """k(a, b) = linear a.b + rbf exp(-|a - b|^2 / (2 length^2)) on p past values, and noise on the diagonal.

    `linear`, `rbf` and `noise` are variances, for channels with deviation 1.
    """

    order: int
    linear: float
    rbf: float
    length: float
    noise: float

    def __post_init__(self) -> None:
        if self.order < 1 or min(self.linear, self.rbf) < 0 or min(self.length, self.noise) <= 0:
            raise ValueError(
                f"{self} was given, expected order from 1, variances from 0, length and noise above"
            )


def fit_argp(train: npt.ArrayLike, settings: BOCPDSettings = BOCPDSettings(), *, seed: int) -> ARGP:
    """Return the ARGP with the largest marginal likelihood of `fit_channels` random channels of training series.

    `train` [S, T, N, M], without labels: whole series, changes included. L-BFGS on the logarithms within `BOUNDS`.
    """
    x = as_series(train, settings.order + 2, f"an ARGP of order {settings.order}")
    z = znormed(x).swapaxes(1, 2).reshape(-1, x.shape[1])
    z = z[z.any(axis=1)]
    if not len(z):
        raise ValueError("all channels of the training series are constant, expected some that move")
    rng = np.random.default_rng(seed)
    chosen = z[rng.choice(len(z), size=min(settings.fit_channels, len(z)), replace=False)]
    inputs, targets = lagged(chosen, settings.order)
    bounds = np.log(BOUNDS)
    found = minimize(
        lambda logs: -log_marginal(inputs, targets, ARGP(settings.order, *np.exp(logs))) / targets.size,
        np.log([1.0, 0.1, 2.0, 0.01]),
        method="L-BFGS-B",
        bounds=bounds,
    )
    return ARGP(settings.order, *(float(value) for value in np.exp(np.clip(found.x, *bounds.T))))


def bocpd(X: npt.ArrayLike, model: ARGP, settings: BOCPDSettings = BOCPDSettings()) -> Floats:
    """Return how likely the current run began at t, seen from t + lookahead, as float64 [S, T].

    X [S, T, N, M]; every channel is z-normed over its series. The score is P(latest change at t | frames up to
    t + lookahead), or up to the last frame near the end: summed over channels with combine="sum", its logarithm
    for all channels with one run length with "joint". Frames up to `order` have no score.
    """
    if model.order != settings.order:
        raise ValueError(f"the model is of order {model.order}, the settings of {settings.order}")
    p = model.order
    x = as_series(X, p + 2, f"an ARGP of order {p}")
    z = znormed(x).swapaxes(1, 2)  # [S, C, T]
    n = x.shape[1] - p
    times = np.arange(1, n)  # among the predicted frames; a change at the first cannot be told from none
    seen = np.minimum(times + settings.lookahead, n - 1)
    scores = np.empty((len(z), n - 1))
    for start in range(0, len(z), CHUNK):
        part = z[start : start + CHUNK]
        table = log_predictive(part.reshape(-1, part.shape[2]), model, settings.cap)
        table = table.reshape(*part.shape[:2], *table.shape[1:])
        if settings.combine == "joint":
            table = table.sum(axis=1)
        posterior = run_length_posterior(table, settings.hazard)[..., seen, seen - times]
        scores[start : start + CHUNK] = (
            posterior if settings.combine == "joint" else np.exp(posterior).sum(axis=1)
        )
    return at_frames(scores, p + 1, x.shape[1])


def fit_scores(
    train: npt.ArrayLike, X: npt.ArrayLike, settings: BOCPDSettings = BOCPDSettings(), *, seed: int
) -> Floats:
    """Return `bocpd` of X with the ARGP fitted to `train`, float64 [S, T]."""
    return bocpd(X, fit_argp(train, settings, seed=seed), settings)


def run_length_posterior(log_predictive: npt.ArrayLike, hazard: float) -> Floats:
    """Return log P(r_t = r | y_1..t), float64 [..., n, R + 1] (Adams & MacKay, 2007, algorithm 1).

    `log_predictive` [..., n, R + 1] holds log p(y_t | the r frames before it are of its run); r = 0: the run begins
    at t. Runs of R frames and more share the last column. The first frame begins a run; every later one does with
    probability `hazard`.
    """
    table = np.asarray(log_predictive, dtype=np.float64)
    if table.ndim < 2 or table.shape[-1] < 2 or 0 in table.shape:
        raise ValueError(
            f"log_predictive has shape {table.shape}, expected [..., frames, 2 or more run lengths]"
        )
    if not 0 < hazard < 1:
        raise ValueError(f"hazard is {hazard}, expected in 0..1")
    posterior = np.full(table.shape, -np.inf)
    posterior[..., 0, 0] = 0.0
    for t in range(1, table.shape[-2]):
        before = posterior[..., t - 1, :]
        now = np.full(before.shape, -np.inf)
        now[..., 0] = np.log(hazard)  # `before` sums to 1
        now[..., 1:] = np.log1p(-hazard) + before[..., :-1]
        now[..., -1] = np.logaddexp(now[..., -1], np.log1p(-hazard) + before[..., -1])
        reached = slice(min(t + 1, table.shape[-1]))
        now[..., reached] += table[..., t, reached]
        top = now[..., reached].max(axis=-1, keepdims=True)
        now -= top + np.log(np.exp(now - top).sum(axis=-1, keepdims=True))
        posterior[..., t, :] = now
    return posterior


def lagged(y: npt.ArrayLike, order: int) -> tuple[Floats, Floats]:
    """Return inputs [B, T - order, order] (the last value first) and targets [B, T - order] of series y [B, T]."""
    values = np.asarray(y, dtype=np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(values, order + 1, axis=1)
    return np.ascontiguousarray(windows[..., -2::-1]), np.ascontiguousarray(windows[..., -1])


def covariance(inputs: Floats, model: ARGP) -> Floats:
    """Return the ARGP's covariance of the targets, noise included, [B, n, n] from inputs [B, n, order]."""
    dots = inputs @ inputs.swapaxes(1, 2)
    norms = np.diagonal(dots, axis1=1, axis2=2)
    squared = np.maximum(norms[:, :, None] + norms[:, None, :] - 2 * dots, 0.0)
    return (
        model.linear * dots
        + model.rbf * np.exp(-squared / (2 * model.length**2))
        + model.noise * np.eye(inputs.shape[1])
    )


def log_marginal(inputs: Floats, targets: Floats, model: ARGP) -> float:
    """Return the sum of log N(targets; 0, covariance(inputs)) over all series, each a run of its own."""
    total = -0.5 * targets.size * np.log(2 * np.pi)
    for rows in chunks(*targets.shape):
        root = np.linalg.cholesky(covariance(inputs[rows], model))
        white = np.linalg.solve(root, targets[rows, :, None])
        total -= 0.5 * (white**2).sum() + np.log(np.diagonal(root, axis1=1, axis2=2)).sum()
    return float(total)


def log_predictive(y: npt.ArrayLike, model: ARGP, cap: int) -> Floats:
    """Return log p(y_t | the r frames before, a run's own), float64 [B, T - order, min(cap, T - order - 1) + 1].

    y [B, T]; column r holds run length r, 0 where r is more than there is. For every start of a run one Cholesky
    factor gives all its predictions; the factor without its first frame is a rank-one update of the one before, so
    that a series costs T * cap^2 and not T * cap^3 operations.
    """
    inputs, targets = lagged(y, model.order)
    longest = min(cap, targets.shape[1] - 1)
    table = np.zeros((*targets.shape, longest + 1))
    for rows in chunks(*targets.shape):
        _fill(covariance(inputs[rows], model), targets[rows], table[rows])
    return table


@njit(cache=True, nogil=True)
def _fill(covariances, targets, table):
    """Write the log predictive densities of every run start into `table` [B, n, R + 1]."""
    n, width = targets.shape[1], table.shape[2]
    upper = np.empty((n, n))
    update = np.empty(n)
    rest = np.empty(n)
    constant = 0.5 * np.log(2 * np.pi)
    for b in range(targets.shape[0]):
        known = 0  # targets before `known` are in the factor
        for start in range(n):
            if start > 0:  # leave out the target before: its row is added to what remains
                for j in range(start, known):
                    update[j] = upper[start - 1, j]
                for k in range(start, known):
                    old = upper[k, k]
                    new = np.sqrt(old * old + update[k] * update[k])
                    c, s = new / old, update[k] / old
                    upper[k, k] = new
                    for j in range(k + 1, known):
                        value = (upper[k, j] + s * update[j]) / c
                        upper[k, j] = value
                        update[j] = c * update[j] - s * value
            end = min(start + width, n)
            for j in range(known, end):  # append targets
                for k in range(start, j + 1):
                    update[k] = covariances[b, k, j]
                for k in range(start, j):
                    value = update[k] / upper[k, k]
                    upper[k, j] = value
                    for i in range(k + 1, j):
                        update[i] -= upper[k, i] * value
                    update[j] -= value * value
                upper[j, j] = np.sqrt(update[j])
            known = max(known, end)
            for j in range(start, end):
                rest[j] = targets[b, j]
            for i in range(start, end):
                white = rest[i] / upper[i, i]
                for j in range(i + 1, end):
                    rest[j] -= upper[i, j] * white
                table[b, i, i - start] = -0.5 * white * white - np.log(upper[i, i]) - constant
