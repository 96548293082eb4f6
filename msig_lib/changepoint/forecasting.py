"""Change points from forecasting errors: what the trained forecasters of table 4.1 share.

A forecaster learns from series without labels what comes next. It scores frame t by how wrong its forecast of the
frames from t on is, made from the frames before t (eq. 4.2). The networks are in `forecasters` and `lstnet`.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from msig_lib.errors import TrainingDiverged

__all__ = ["Check", "DescentSettings", "Forecaster", "Scale", "TrainingDiverged", "forecast_loss"]
Array = np.ndarray
HELD_OUT_MOST = 50  # series; ours: their frames are enough to choose weights by, and each check costs time
FRAMES_AT_ONCE = 2_000  # forecast at once outside training; ours: with 5 frames of 20 features each, 1 MB
RESIDUAL_SERIES = 300  # ours: as many training series tell the variance of an error


@dataclass(frozen=True)
class DescentSettings:
    """How a forecaster is trained and scores; raises ValueError for impossible values."""

    steps: int
    batch: int
    learning_rate: float  # at the start; falls to 0 along half a cosine
    score_window: int  # frames of a forecast, k of eq. 4.2
    # eq. 4.2 is "mse"; "residual" divides each squared error by its mean in training, by feature and step ahead
    weighting: str = "mse"
    clip: float = 1.0  # ours: norm of the gradient; a batch with a large kick in it would be a large step
    # LSTNet's official code keeps the best weights on validation data; these are a share of the training series
    held_out: float = 0.1
    checks: int = 8  # ours: how often it looks, evenly over the steps; small training sets are overfitted

    def __post_init__(self) -> None:
        at_least(self, 1, "steps", "batch", "score_window", "checks")
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a number above 0")
        if not 0 <= self.held_out <= 0.5:
            raise ValueError(f"held_out is {self.held_out}, expected a share in 0..0.5")
        if self.weighting not in ("mse", "residual"):
            raise ValueError(f"weighting is {self.weighting!r}, expected 'mse' or 'residual'")


def at_least(settings: object, bound: int, *names: str) -> None:
    """Raise ValueError unless each named setting is a whole number of at least `bound`."""
    for name in names:
        value = getattr(settings, name)
        if not isinstance(value, numbers.Integral) or value < bound:
            raise ValueError(f"{name} is {value!r}, expected a whole number of at least {bound}")


@dataclass(frozen=True)
class Scale:
    """A training set's scale, by variable and feature: `mean` and `std` of the values, float32 [N, M], and
    `change`, the root mean square of their change from frame to frame in standard deviations, float32 [N M]."""

    mean: Array
    std: Array
    change: Array

    @classmethod
    def of(cls, X: Array) -> Scale:
        """Return the scale of X, float [S, T, N, M]; what never varies is divided by 1."""
        mean, std = X.mean((0, 1), dtype=np.float64), X.std((0, 1), dtype=np.float64)
        std[std <= 1e-6 * np.abs(mean)] = 1.0  # float32 rounding of a constant
        moved = np.diff(X, axis=1).astype(np.float64) / std
        change = np.sqrt((moved**2).mean((0, 1)))
        change[change < 1e-6] = 1.0
        return cls(mean.astype(np.float32), std.astype(np.float32), change.astype(np.float32).reshape(-1))

    def apply(self, X: Array) -> Array:
        """Return the standardised series as one vector a frame, float32 [S, T, N M]."""
        return ((X - self.mean) / self.std).reshape(*X.shape[:2], -1)


def check_series(X: Array, least: int, like: tuple[int, int] | None = None) -> Array:
    """Return X as float32; raises unless it is finite [S, T, N, M] with T >= least (and N, M as in `like`)."""
    if not isinstance(X, np.ndarray) or X.dtype.kind not in "fiu":
        raise TypeError(f"X is {type(X).__name__}, expected a numeric numpy array [series, frames, N, M]")
    if X.ndim != 4 or 0 in X.shape:
        raise ValueError(f"X has shape {X.shape}, expected [series, frames, variables, features], none 0")
    if like is not None and X.shape[2:] != like:
        raise ValueError(
            f"X has {X.shape[2]} variables x {X.shape[3]} features, expected {like[0]} x {like[1]} as in "
            "training: train another model for these series"
        )
    if X.shape[1] < least:
        raise ValueError(f"X has {X.shape[1]} frames, expected at least {least} for these settings' windows")
    X = X.astype(np.float32, copy=False)
    if not np.isfinite(X).all():
        raise ValueError(f"{(~np.isfinite(X)).any((1, 2, 3)).sum()} series of X have NaN or infinite values")
    return X


class Network(nn.Module):
    """A forecasting network: `first` is the first frame it can forecast, `horizon` how many frames a forecast has."""

    first: int
    horizon: int

    def forecast(self, z: Tensor) -> Tensor:
        """Return all forecasts of series z [S, T, F]: [S, T - first, horizon, F], of t, t + 1, ... from frames < t."""
        raise NotImplementedError


@dataclass(frozen=True)
class Check:
    """The losses after `step` steps: the mean over the steps since the last check, and on held-out series."""

    step: int
    loss: float
    held_out: float  # NaN without held-out series


@dataclass(frozen=True)
class Forecaster:
    """A trained forecaster; `residual` is its mean squared error, float32 [horizon, N M] in standard deviations."""

    network: Network
    scale: Scale
    weighting: str
    residual: Array
    history: tuple[Check, ...]

    @property
    def window(self) -> int:
        """How many frames are forecast for a score."""
        return self.network.horizon

    def _standard(self, X: Array) -> Tensor:
        X = check_series(X, self.network.first + 1, self.scale.mean.shape)
        return torch.from_numpy(self.scale.apply(X))

    def forecast(self, X: Array) -> Array:
        """Return float32 [S, T, k, N, M], the forecast in X's units of frame t + j (axis 2) from the frames < t.

        X is float [S, T, N, M]. Frames too early to be forecast are NaN; forecasts may go past the last frame.
        Raises TypeError, ValueError for an X that cannot be scored.
        """
        z = self._standard(X)
        found = np.full((*z.shape[:2], self.window, z.shape[2]), np.nan, np.float32)
        found[:, self.network.first :] = torch.cat([f for _, f in _forecasts(self.network, z)]).numpy()
        found = found.reshape(*found.shape[:3], *self.scale.mean.shape)
        return found * self.scale.std + self.scale.mean

    def scores(self, X: Array) -> Array:
        """Return eq. 4.2 at every frame, float64 [S, T]: high where the frames from t on were not foreseen.

        X is float [S, T, N, M]. The error of the forecast of frames t..t+k-1, in training standard deviations,
        is averaged over those that exist; frames too early for a forecast get the series' lowest score.
        Raises TypeError, ValueError for an X that cannot be scored.
        """
        z = self._standard(X)
        weight = None
        if self.weighting == "residual":  # what never varied in training has a residual near 0
            weight = 1 / np.maximum(self.residual, 1e-6 * self.residual.mean() + 1e-12)
        return fill_lowest(_errors(self.network, z, weight), self.network.first)


def _forecasts(network: Network, z: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield some series at a time and their forecasts."""
    network.eval()
    for part in z.split(max(1, FRAMES_AT_ONCE // z.shape[1])):
        with torch.no_grad():
            yield part, network.forecast(part)


def _errors(network: Network, z: Tensor, weight: Array | None = None) -> Array:
    return np.concatenate(
        [window_errors(found, part, network.first, weight) for part, found in _forecasts(network, z)]
    )


def window_targets(z: Tensor, first: int, horizon: int) -> Tensor:
    """Return the frames that forecasts are of, [S, T - first, horizon, F], NaN past the last frame."""
    padded = torch.cat([z, z.new_full((z.shape[0], horizon - 1, z.shape[2]), math.nan)], 1)
    return padded[:, first:].unfold(1, horizon, 1).transpose(2, 3)


def window_errors(forecasts: Tensor, z: Tensor, first: int, weight: Array | None = None) -> Array:
    """Return the mean squared error of each forecast over its frames that exist, float64 [S, T - first].

    `weight` [horizon, F] multiplies the squared errors.
    """
    squared = (forecasts - window_targets(z, first, forecasts.shape[2])).double().square_()
    if weight is not None:
        squared *= torch.from_numpy(weight).double()
    return squared.mean(3).nanmean(2).numpy()


def fill_lowest(scores: Array, before: int, after: int = 0) -> Array:
    """Return scores [S, n] with `before` and `after` frames added that have each series' lowest score."""
    low = scores.min(1, keepdims=True)
    return np.concatenate([low.repeat(before, 1), scores, low.repeat(after, 1)], 1)


def forecast_loss(model: Forecaster, X: Array) -> dict[str, float]:
    """Return mean squared errors of k-frame forecasts of X: the model's, persistence's, constant velocity's.

    X is float [S, T, N, M]; errors are in training standard deviations, at the frames that the model can forecast.
    Persistence repeats the last frame, constant velocity also its last change.
    """
    z = model._standard(X)
    first, steps = model.network.first, torch.arange(1, model.window + 1)[:, None]
    last, before = z[:, first - 1 : -1, None], z[:, first - 2 : -2, None]
    errors = {
        "model": _errors(model.network, z),
        "persistence": window_errors(last.expand(-1, -1, model.window, -1), z, first),
        "constant velocity": window_errors(last + steps * (last - before), z, first),
    }
    return {name: float(value.mean()) for name, value in errors.items()}


def fit_forecaster(
    make: Callable[[Scale], Network],
    draw: Callable[[Network, Tensor, np.random.Generator], Tensor],
    X: Array,
    settings: DescentSettings,
    seed: int,
) -> Forecaster:
    """Train the network of `make(scale)` on series X; `draw` returns the loss of one batch of standardised series.

    Of the weights at each check the best on the held-out series are kept. Raises TrainingDiverged.
    """
    scale = Scale.of(X)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(X))
    n_held = min(round(settings.held_out * len(X)), HELD_OUT_MOST)
    z = torch.from_numpy(scale.apply(X))
    held, z_train = z[order[:n_held]], z[order[n_held:]]
    with torch.random.fork_rng(devices=[]):  # initial weights and dropout; the caller's state stays
        torch.manual_seed(int(rng.integers(2**31)))
        network = make(scale)
        history = descend(
            network,
            lambda: draw(network, z_train, rng),
            (lambda: float(_errors(network, held).mean())) if n_held else None,
            settings,
        )
    return Forecaster(network, scale, settings.weighting, _residual(network, z_train), history)


def _residual(network: Network, z: Tensor) -> Array:
    """Return the mean squared error of the forecasts by step and feature, float32 [horizon, F]."""
    total, count = 0.0, 0
    for part, found in _forecasts(network, z[:RESIDUAL_SERIES]):
        squared = (found - window_targets(part, network.first, network.horizon)).square()
        total = total + squared.double().nansum((0, 1))
        count = count + squared.isfinite().sum((0, 1))
    return (total / count).float().numpy()


def descend(
    network: Network,
    loss: Callable[[], Tensor],
    held_out: Callable[[], float] | None,
    s: DescentSettings,
) -> tuple[Check, ...]:
    """Take the settings' Adam steps on `loss`, keep the weights with the lowest `held_out`; return the checks."""
    optimiser = torch.optim.Adam(network.parameters(), lr=s.learning_rate, fused=True)
    at = {math.ceil(s.steps * (i + 1) / s.checks) for i in range(s.checks)}
    history: list[Check] = []
    losses: list[float] = []
    best, best_weights = math.inf, None
    for step in range(s.steps):
        for group in optimiser.param_groups:
            group["lr"] = s.learning_rate * 0.5 * (1 + math.cos(math.pi * step / s.steps))
        network.train()
        value = loss()
        losses.append(value.item())
        if not math.isfinite(losses[-1]):
            raise TrainingDiverged(
                f"the loss is {losses[-1]} at step {step}: try a lower learning_rate (it is {s.learning_rate:g})"
            )
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), s.clip)
        optimiser.step()
        if step + 1 in at:
            found = math.nan if held_out is None else held_out()
            history.append(Check(step + 1, float(np.mean(losses)), found))
            losses = []
            if found < best:
                best = found
                best_weights = {name: value.clone() for name, value in network.state_dict().items()}
    if best_weights is not None:
        network.load_state_dict(best_weights)
    network.eval()
    return tuple(history)
