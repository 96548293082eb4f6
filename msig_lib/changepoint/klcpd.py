"""KL-CPD (Chang, Li, Yang and Poczos 2019) of table 4.1: a kernel learned against generated windows.

With X_p and X_f the windows before and from a frame, G a generator of windows like X_f, f the code of a window's
frames and MMD_f the maximum mean discrepancy between the codes of two windows, the two players are

    f:  max  MMD_f(X_f, G(X_p, X_f))  -  lambda_real MMD_f(X_p, X_f)  -  lambda_ae (|X - F(f(X))|^2 over both windows)
    G:  min  MMD_f(X_f, G(X_p, X_f)),

f and F (its decoder) being trained `critic_steps` times as often, and the score of frame t is MMD_f(X_p, X_f) there.
Generated windows stand for a distribution close to the data's: a kernel that tells them from it has power there, and
lambda_real keeps it from calling the data's own course a change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from msig_lib.changepoint.forecasting import (
    Scale,
    TrainingDiverged,
    at_least,
    check_series,
    fill_lowest,
)

__all__ = ["KLCPD", "KLCPDSettings", "fit_klcpd", "mmd2"]
Array = np.ndarray
PAIRS_AT_ONCE = 500  # windows compared at once in scoring; ours: memory, 500 x 50 x 50 float64 is 10 MB


@dataclass(frozen=True)
class KLCPDSettings:
    """The settings of `fit_klcpd`; raises ValueError for impossible values.

    Window and rate were chosen without the task's labels, on 300 simulated validation series that were each cut at a
    random frame and continued by another one: windows of 10 and 25 find the cut with AUC .99 and .96 (at a rate of
    3e-4; at 1e-3 with .99 and .89), and 10 takes a quarter of the time.
    """

    window: int = 10  # official code: frames before and from t (the paper's experiments: 25)
    inputs: str = "values"  # paper; "changes": what is compared is the change from frame to frame
    hidden: int = 10  # official code: width of the codes and of the generator
    steps: int = 200  # ours: updates of the generator, for time
    critic_steps: int = 5  # official code: updates of the kernel for each
    batch: int = 64  # ours (official code: 128): half the time
    learning_rate: float = 3e-4  # official code
    lambda_ae: float = 1e-3  # official code
    lambda_real: float = 0.1  # official code
    weight_clip: float = 0.1  # official code: bound of the encoder's weights
    clip: float = 10.0  # official code: norm of the gradient
    noise: float = 1.0  # official code: standard deviation of what is added to the generator's state

    def __post_init__(self) -> None:
        at_least(self, 2, "window")
        at_least(self, 1, "hidden", "steps", "critic_steps", "batch")
        if self.inputs not in ("values", "changes"):
            raise ValueError(f"inputs is {self.inputs!r}, expected 'values' or 'changes'")
        for name in ("learning_rate", "weight_clip", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a number above 0")
        for name in ("lambda_ae", "lambda_real", "noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a number of at least 0")


def mmd2(P: Tensor, Q: Tensor, bandwidth: float) -> Tensor:
    """Return the squared MMD of each pair of samples, [B], from P [B, p, d] and Q [B, q, d].

    The kernel is the mean of five Gaussians exp(-|a - b|^2 / (2 h)), h = `bandwidth` (a squared distance) times
    1/4, 1/2, 1, 2, 4; the estimate is the biased one, over all pairs, so it is never negative.

    >>> float(mmd2(torch.zeros(1, 2, 3), torch.zeros(1, 4, 3), 1.0))
    0.0
    """
    both = torch.cat([P, Q], 1)
    both = both - both.mean(1, keepdim=True)  # distances stay, their rounding shrinks
    norms = both.square().sum(2)
    distances = norms[:, :, None] + norms[:, None] - 2 * both @ both.transpose(1, 2)
    widest = torch.exp(distances.clamp_min(0) / (-8 * bandwidth))
    kernel, power = widest, widest
    for _ in range(4):  # halving h squares the Gaussian: one exponential for all five
        power = power * power
        kernel = kernel + power
    sign = torch.cat(
        [both.new_full((P.shape[1],), 1 / P.shape[1]), both.new_full((Q.shape[1],), -1 / Q.shape[1])]
    )
    return ((kernel @ sign) @ sign / 5).clamp_min(0)


class Kernel(nn.Module):
    """The code of a window's frames by a GRU, and the window back from it."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.GRU(width, hidden, batch_first=True)
        self.decoder = nn.GRU(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, width)  # ours: a GRU's own output could not leave [-1, 1]

    def encode(self, windows: Tensor) -> Tensor:
        """Return the codes [B, w, hidden] of windows [B, w, F]."""
        return self.encoder(windows)[0]

    def decode(self, codes: Tensor) -> Tensor:
        """Return windows [B, w, F] from codes."""
        return self.out(self.decoder(codes)[0])

    def clip_(self, bound: float) -> None:
        """Bring the encoder's weights into [-bound, bound]."""
        with torch.no_grad():
            for weight in self.encoder.parameters():
                weight.clamp_(-bound, bound)


class Surrogate(nn.Module):
    """A generator of windows: the window before is encoded, noise added, and the next frames decoded from it,
    each from the true frame before it (as the official code; its first input is 0)."""

    def __init__(self, width: int, hidden: int, noise: float) -> None:
        super().__init__()
        self.encoder = nn.GRU(width, hidden, batch_first=True)
        self.decoder = nn.GRU(width, hidden, batch_first=True)
        self.out = nn.Linear(hidden, width)
        self.noise = noise

    def forward(self, past: Tensor, future: Tensor) -> Tensor:
        """Return windows [B, w, F] like `future`."""
        state = self.encoder(past)[1]
        state = state + self.noise * torch.randn_like(state)
        shifted = torch.cat([torch.zeros_like(future[:, :1]), future[:, :-1]], 1)
        return self.out(self.decoder(shifted, state)[0])


@dataclass(frozen=True)
class KLCPD:
    """A learned kernel; `history` has a row a generator update: MMD(X_f, G), MMD(X_p, X_f), reconstruction error."""

    kernel: Kernel
    scale: Scale
    settings: KLCPDSettings
    bandwidth: float
    history: Array

    def scores(self, X: Array) -> Array:
        """Return MMD^2 between the codes of the `window` frames before t and from t, float64 [S, T].

        X is float [S, T, N, M], T >= 2 window; frames nearer to an end than `window` get the series' lowest
        score. Raises TypeError, ValueError for an X that cannot be scored.
        """
        w = self.settings.window
        X = check_series(X, 2 * w, self.scale.mean.shape)
        n = X.shape[1] - 2 * w + 1
        parts = []
        with torch.no_grad():
            for part in _inputs(X, self.scale, self.settings).split(max(1, PAIRS_AT_ONCE // n)):
                windows = part.unfold(1, w, 1).transpose(2, 3)
                codes = self.kernel.encode(windows.flatten(0, 1)).double().unflatten(0, windows.shape[:2])
                found = mmd2(codes[:, :n].flatten(0, 1), codes[:, w:].flatten(0, 1), self.bandwidth)
                parts.append(found.view(len(part), n).numpy())
        return fill_lowest(np.concatenate(parts), w, w - 1)


def fit_klcpd(train_X: Array, settings: KLCPDSettings | None = None, *, seed: int) -> KLCPD:
    """Learn the kernel of KL-CPD from series train_X, float [S, T, N, M], without labels.

    Simplifications against the published code: the MMD is exact, not from random features; its bandwidth is the
    median squared distance of the first kernel's codes (there: of the data, which makes the kernel all but linear
    on codes that the weight clipping keeps small); the decoder has a linear output; a fixed number of steps (there:
    the weights with the lowest MMD of real windows in a batch). The same seed gives the same model. Raises
    TypeError, ValueError for series that cannot be used, TrainingDiverged when a loss is not a number.

    >>> fit_klcpd(train.X, seed=0).scores(test.X).shape  # doctest: +SKIP
    (300, 100)
    """
    s = settings or KLCPDSettings()
    X = check_series(train_X, 2 * s.window)
    scale, rng = Scale.of(X), np.random.default_rng(seed)
    z = _inputs(X, scale, s)
    starts, offsets = X.shape[1] - 2 * s.window + 1, np.arange(2 * s.window)

    def draw() -> tuple[Tensor, Tensor]:
        series, start = rng.integers(len(X), size=s.batch), rng.integers(starts, size=s.batch)
        frames = torch.from_numpy(start[:, None] + offsets)
        both = z[torch.from_numpy(series)[:, None], frames]
        return both[:, : s.window], both[:, s.window :]

    with torch.random.fork_rng(devices=[]):  # initial weights and noise; the caller's state stays
        torch.manual_seed(int(rng.integers(2**31)))
        kernel = Kernel(z.shape[2], s.hidden)
        generator = Surrogate(z.shape[2], s.hidden, s.noise)
        kernel.clip_(s.weight_clip)
        bandwidth = _median(kernel, torch.cat(draw(), 1))
        history = _play(kernel, generator, draw, bandwidth, s)
    return KLCPD(kernel.eval(), scale, s, bandwidth, history)


def _inputs(X: Array, scale: Scale, s: KLCPDSettings) -> Tensor:
    """Return what the windows are cut from, [S, T, F]."""
    z = torch.from_numpy(scale.apply(X))
    if s.inputs == "values":
        return z
    moved = (z[:, 1:] - z[:, :-1]) / torch.from_numpy(scale.change)
    return torch.cat([moved[:, :1], moved], 1)  # the first frame has no change of its own


def _median(kernel: Kernel, windows: Tensor) -> float:
    """Return the median squared distance between codes of windows, above 0."""
    with torch.no_grad():
        codes = kernel.encode(windows).flatten(0, 1)[:: max(1, windows.shape[1] // 8)]
    return max(float(torch.pdist(codes).square().median()), 1e-6)


def _play(kernel: Kernel, generator: Surrogate, draw, bandwidth: float, s: KLCPDSettings) -> Array:
    """Train both in turns; return the history, float64 [steps, 3]."""
    kernel_adam = torch.optim.Adam(kernel.parameters(), lr=s.learning_rate, fused=True)
    generator_adam = torch.optim.Adam(generator.parameters(), lr=s.learning_rate, fused=True)
    history = np.full((s.steps, 3), np.nan)
    for step in range(s.steps):
        for _ in range(s.critic_steps):
            past, future = draw()
            with torch.no_grad():
                fake = generator(past, future)
            codes = kernel.encode(torch.cat([past, future, fake]))
            code_past, code_future, code_fake = codes.chunk(3)
            told = mmd2(code_future, code_fake, bandwidth).mean()
            real = mmd2(code_past, code_future, bandwidth).mean()
            rebuilt = kernel.decode(codes[len(past) :])
            # the mean over real windows plus the mean over generated ones
            error = 2 * (rebuilt - torch.cat([future, fake])).square().mean()
            _descend(kernel_adam, kernel, -told + s.lambda_real * real + s.lambda_ae * error, s, step)
            kernel.clip_(s.weight_clip)
        history[step] = told.item(), real.item(), error.item() / 2
        past, future = draw()
        fake = generator(past, future)
        code_future, code_fake = kernel.encode(torch.cat([future, fake])).chunk(2)
        _descend(generator_adam, generator, mmd2(code_future, code_fake, bandwidth).mean(), s, step)
    return history


def _descend(
    optimiser: torch.optim.Optimizer, network: nn.Module, loss: Tensor, s: KLCPDSettings, step: int
) -> None:
    if not math.isfinite(loss.item()):
        raise TrainingDiverged(
            f"the loss is {loss.item()} at step {step}: try a lower learning_rate (it is {s.learning_rate:g})"
        )
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), s.clip)
    optimiser.step()
