"""The RNN of table 4.1: a GRU that forecasts each frame's change (thesis 4.4.2), and LSTNet beside it.

>>> model = fit_rnn(train.X, RNNSettings(variant="shared"), seed=0)  # doctest: +SKIP
>>> model.scores(test.X).shape  # doctest: +SKIP
(300, 100)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from msig_lib.changepoint.forecasting import (
    DescentSettings,
    Forecaster,
    Network,
    Scale,
    TrainingDiverged,
    at_least,
    check_series,
    fit_forecaster,
    forecast_loss,
    window_targets,
)
from msig_lib.changepoint.lstnet import LSTNetSettings, fit_lstnet

__all__ = [
    "Forecaster", "LSTNetSettings", "RNNSettings", "TrainingDiverged", "fit_lstnet", "fit_rnn", "forecast_loss"
]  # fmt: skip
VARIANTS = ("joint", "shared")


@dataclass(frozen=True)
class RNNSettings(DescentSettings):
    """The settings of `fit_rnn`; raises ValueError for impossible values.

    Chosen by the loss of 5-frame forecasts on 300 simulated validation series, without noise and with noise .03:
    rates .002, .005 and .01 gave 1.60, 1.41 and 1.33e-3, .02 is within 1% of .01; batches of 32 and 64 are equal at
    equal time; a width of 128 has 3% less for a fifth more time.
    """

    variant: str = "joint"  # all variables in one vector; "shared": each alone, the same weights for all
    score_window: int = 5  # official code: k of s_d; 1 scores one-step forecasts
    hidden: int = 64
    crop: int = 100  # ours: frames of a series that a step learns from; the length of the thesis's series
    steps: int = 500
    batch: int = 32  # series ("shared": single variables of series)
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "hidden")
        at_least(self, RNN.first + self.score_window, "crop")
        if self.variant not in VARIANTS:
            raise ValueError(f"variant is {self.variant!r}, expected {' or '.join(map(repr, VARIANTS))}")


class RNN(Network):
    """A GRU over the frames with a linear head: the mean change a frame up to each of the next k.

    `groups` = 1 sees all F features in one vector, `groups` = N each variable's alone with the same weights. The
    head also sees the GRU's input (values and last changes), so that going on at the same velocity needs no
    hidden unit. Thesis: the forecast is a change, x^(t+1) = x^t + dx^t; ours: of k frames at once, not by rollout.
    """

    first = 2  # a last change is needed

    def __init__(self, scale: Scale, groups: int, hidden: int, horizon: int) -> None:
        super().__init__()
        self.horizon, self.groups = horizon, groups
        width = len(scale.change) // groups
        self.gru = nn.GRU(2 * width, hidden, batch_first=True)
        self.head = nn.Linear(hidden + 2 * width, horizon * width)
        self.register_buffer("change", torch.from_numpy(scale.change).view(groups, width))
        self.register_buffer("ahead", torch.arange(1.0, horizon + 1)[:, None])

    def displacement(self, rows: Tensor, change: Tensor) -> Tensor:
        """Return how far frames t, t + 1, ... are foreseen from frame t - 1, [R, T - first, k, width].

        `rows` [R, T, width] are single groups of series, `change` [R, width] their scale.
        """
        moved = torch.zeros_like(rows)
        moved[:, 1:] = (rows[:, 1:] - rows[:, :-1]) / change[:, None]
        inputs = torch.cat([rows, moved], 2)[:, :-1]
        states = torch.cat([self.gru(inputs)[0], inputs], 2)[:, self.first - 1 :]
        return self.head(states).unflatten(2, (self.horizon, -1)) * self.ahead * change[:, None, None]

    def forecast(self, z: Tensor) -> Tensor:
        """Return [S, T - first, k, F], see `Network`."""
        S, T, _ = z.shape
        rows = z.unflatten(2, (self.groups, -1)).transpose(1, 2).flatten(0, 1)
        moved = self.displacement(rows, self.change.repeat(S, 1))
        moved = moved.view(S, self.groups, T - self.first, self.horizon, -1).permute(0, 2, 3, 1, 4).flatten(3)
        return moved + z[:, self.first - 1 : -1, None]


def fit_rnn(train_X: np.ndarray, settings: RNNSettings | None = None, *, seed: int) -> Forecaster:
    """Train the RNN forecaster of table 4.1 on series train_X, float [S, T, N, M], without labels.

    The loss is the squared error of k-frame forecasts at every frame, in standard deviations. The same seed gives
    the same model. Raises TypeError, ValueError for series that cannot be used, TrainingDiverged when the loss is
    not a number.
    """
    s = settings or RNNSettings()
    X = check_series(train_X, RNN.first + s.score_window)
    groups, length = X.shape[2] if s.variant == "shared" else 1, min(s.crop, X.shape[1])
    frames = np.arange(length)

    def draw(network: RNN, z: Tensor, rng: np.random.Generator) -> Tensor:
        series, group = np.divmod(rng.integers(len(z) * groups, size=s.batch), groups)
        at = rng.integers(X.shape[1] - length + 1, size=s.batch)[:, None] + frames
        rows = z.unflatten(2, (groups, -1))[series[:, None], at, group[:, None]]
        target = window_targets(rows, network.first, network.horizon) - rows[:, network.first - 1 : -1, None]
        error = network.displacement(rows, network.change[group]) - target
        return torch.where(target.isnan(), 0, error).square().mean()

    return fit_forecaster(lambda scale: RNN(scale, groups, s.hidden, s.score_window), draw, X, s, seed)
