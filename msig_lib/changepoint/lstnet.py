"""LSTNet (Lai, Chang, Yang and Liu 2018), a forecaster of table 4.1 on a window of frames."""

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
    at_least,
    check_series,
    fit_forecaster,
)

__all__ = ["LSTNetSettings", "fit_lstnet"]
WINDOWS_AT_ONCE = 1_000  # ours: windows forecast at once outside training, for memory


@dataclass(frozen=True)
class LSTNetSettings(DescentSettings):
    """The settings of `fit_lstnet`; raises ValueError for impossible values.

    Chosen by the loss of one-step forecasts on 300 simulated validation series with noise .03: rates .002, .005 and
    .01 within 2%; a highway over 8, 16 and 23 changes 7.2, 6.9 and 6.7e-3; dropout 0 or .2 and skip 0 or 6 within 2%.
    """

    window: int = (
        24  # ours: frames a forecast is made from (official code: 168 hours); changes are from frame 25
    )
    score_window: int = 1  # the paper forecasts one frame, at one distance; 5 is k of s_d
    hidden_cnn: int = 50  # ours: for time (official code: 100)
    kernel: int = 6  # official code: frames that a filter sees
    hidden_rnn: int = 50  # ours: for time (official code: 100)
    skip: int = 6  # ours: frames between the skip-GRU's states (official code: the 24 of a day); 0 is without
    hidden_skip: int = 5  # official code
    highway: int = 23  # official code: 24 values, here the changes between them and the last; 0 is without
    dropout: float = 0.2  # official code
    steps: int = 800
    batch: int = 128  # official code
    learning_rate: float = 5e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "window", "hidden_cnn", "kernel", "hidden_rnn", "hidden_skip")
        at_least(self, 0, "skip", "highway")
        positions = self.window - self.kernel + 1
        if self.window < 2 or positions < 1 or self.skip > positions or self.highway >= self.window:
            raise ValueError(
                f"window is {self.window}, kernel {self.kernel}, skip {self.skip} and highway {self.highway}: "
                "expected a window of 2 or more, kernel + skip of at most window + 1, highway below the window"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}, expected 0 <= dropout < 1")


class LSTNet(Network):
    """Convolution over the window, a GRU and a skip-GRU over its positions, and an autoregressive highway.

    Simplifications: the forecast is of the change from the last frame (as CORD's decoder; the paper: of the value,
    which the highway then has to copy); the convolution and the highway see values and changes (linear in the
    paper's input, better conditioned); the GRUs have tanh (the paper's equations: ReLU; its code: tanh); the
    highway's weights are each feature's own, shared over variables (the paper: one set, its series are all alike).
    """

    def __init__(self, scale: Scale, s: LSTNetSettings) -> None:
        super().__init__()
        self.first, self.horizon, self.skip, self.highway = s.window, s.score_window, s.skip, s.highway
        F, self.features = len(scale.change), scale.mean.shape[1]
        self.convolution = nn.Conv1d(2 * F, s.hidden_cnn, s.kernel)
        self.gru = nn.GRU(s.hidden_cnn, s.hidden_rnn, batch_first=True)
        width = s.hidden_rnn
        if self.skip:
            self.skip_gru = nn.GRU(s.hidden_cnn, s.hidden_skip, batch_first=True)
            width += self.skip * s.hidden_skip
        self.head = nn.Linear(width, s.score_window * F)
        if self.highway:
            self.autoregressive = nn.Parameter(torch.zeros(self.features, self.highway + 1, s.score_window))
        self.dropout = nn.Dropout(s.dropout)
        self.register_buffer("change", torch.from_numpy(scale.change))
        self.register_buffer("ahead", torch.arange(1.0, s.score_window + 1)[:, None])

    def displacement(self, windows: Tensor) -> Tensor:
        """Return how far the frames after windows [B, w, F] are foreseen from their last one, [B, k, F]."""
        moved = (windows[:, 1:] - windows[:, :-1]) / self.change
        inputs = torch.cat([windows, torch.cat([torch.zeros_like(windows[:, :1]), moved], 1)], 2)
        local = self.dropout(torch.relu(self.convolution(inputs.transpose(1, 2)))).transpose(1, 2)
        state = self.gru(local)[1][0]
        if self.skip:
            periods = local.shape[1] // self.skip
            recent = local[:, -periods * self.skip :].unflatten(1, (periods, self.skip))
            phases = recent.transpose(1, 2).flatten(0, 1)  # one row a phase, every skip-th position
            state = torch.cat([state, self.skip_gru(phases)[1][0].view(len(windows), -1)], 1)
        found = self.head(self.dropout(state)).unflatten(1, (self.horizon, -1))
        if self.highway:
            past = torch.cat([moved[:, -self.highway :], windows[:, -1:]], 1).unflatten(
                2, (-1, self.features)
            )
            found = found + torch.einsum("bhnm,mhk->bknm", past, self.autoregressive).flatten(2)
        return found * self.ahead * self.change

    def forecast(self, z: Tensor) -> Tensor:
        """Return [S, T - window, k, F], see `Network`."""
        windows = z[:, :-1].unfold(1, self.first, 1).transpose(2, 3)
        flat = windows.flatten(0, 1)
        moved = torch.cat([self.displacement(part) for part in flat.split(WINDOWS_AT_ONCE)])
        return moved.unflatten(0, windows.shape[:2]) + z[:, self.first - 1 : -1, None]


def fit_lstnet(train_X: np.ndarray, settings: LSTNetSettings | None = None, *, seed: int) -> Forecaster:
    """Train LSTNet on series train_X, float [S, T, N, M], without labels: one window of a random series a row.

    The loss is the squared error of the k-frame forecast (the paper offers it and the absolute error). `scores` of
    the model is the squared error at t, from the `window` frames before. The same seed gives the same model. Raises
    TypeError, ValueError for series that cannot be used, TrainingDiverged when the loss is not a number.

    >>> fit_lstnet(train.X, seed=0).scores(test.X).shape  # doctest: +SKIP
    (300, 100)
    """
    s = settings or LSTNetSettings()
    X = check_series(train_X, s.window + s.score_window)
    starts = X.shape[1] - s.window - s.score_window + 1

    def draw(network: LSTNet, z: Tensor, rng: np.random.Generator) -> Tensor:
        series, start = rng.integers(len(z), size=s.batch), rng.integers(starts, size=s.batch)
        frames = start[:, None] + np.arange(s.window + s.score_window)
        part = z[torch.from_numpy(series)[:, None], torch.from_numpy(frames)]
        target = part[:, s.window :] - part[:, s.window - 1 : s.window]
        return (network.displacement(part[:, : s.window]) - target).square().mean()

    return fit_forecaster(lambda scale: LSTNet(scale, s), draw, X, s, seed)
