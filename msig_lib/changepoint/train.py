"""Unsupervised training of the model: reconstruct the series through the generated graphs (Eqs. 4.21-4.22)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from msig_lib.changepoint.model import CorrelationDynamics
from msig_lib.changepoint.settings import TrainSettings
from msig_lib.errors import TrainingDiverged
from msig_lib.lm.threads import one_blas_thread


@dataclass(frozen=True)
class Epoch:
    """Means over one pass: the loss, its two terms, the squared error and the validation loss where asked for."""

    number: int
    loss: float
    reconstruction: float  # weighted as in the loss
    smoothness: float  # weighted as in the loss
    mse: float
    valid: float | None
    seconds: float  # CPU time of the process


def objective(
    model: CorrelationDynamics, x: torch.Tensor, settings: TrainSettings, generator: torch.Generator | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return L_obj (Eq. 4.21), lambda L_smooth (Eq. 4.22) and the mean squared error for x [S, T, N, M].

    Without a generator the graph is the softmax probability.
    """
    logits = model.encode(x)
    graph = model.sample_graph(logits, generator, settings.hard)
    mse = ((model.rollout(x, graph, settings.rollout) - x[:, 1:]) ** 2).mean()
    _, t, n, m = x.shape
    if settings.loss == "official":
        inner = logits[:, settings.margin : t - settings.margin] if t > 2 * settings.margin + 1 else logits
        change, scale = inner.diff(dim=1).square().mean(), 400.0
    else:
        change = torch.softmax(logits, -1)[..., 1].diff(dim=1).square().sum(2).mean()
        scale = float(n * (t - 1) * m)
    return mse * (scale / (2 * settings.variance)), settings.smoothness * change, mse


@one_blas_thread()
def fit(
    model: CorrelationDynamics,
    X: np.ndarray,
    settings: TrainSettings | None = None,
    *,
    seed: int,
    valid: np.ndarray | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train `model` on X float32 [S, T, N, M], already normalised, and return what each epoch cost.

    `seed` draws the order of the series and the Gumbel noise; the model keeps the weights it came with.
    `valid` is scored after each epoch with softmax probabilities as the graph. Raises TrainingDiverged when the
    loss or a gradient is not a number.
    """
    settings = settings or TrainSettings()
    x = _tensor(X, "X")
    held_out = None if valid is None else _tensor(valid, "valid")
    order, noise = np.random.default_rng(seed).spawn(2)
    generator = torch.Generator().manual_seed(int(noise.integers(2**62)))
    steps_an_epoch = math.ceil(len(x) / settings.batch_size)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)
    total, usual = settings.epochs * steps_an_epoch, None
    history: list[Epoch] = []
    for epoch in range(settings.epochs):
        began, sums = time.process_time(), np.zeros(3)
        model.train()
        for step, rows in enumerate(np.array_split(order.permutation(len(x)), steps_an_epoch)):
            done = (epoch * steps_an_epoch + step) / total
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
            optimiser.zero_grad()
            parts = objective(model, x[torch.from_numpy(rows)], settings, generator)
            (parts[0] + parts[1]).backward()
            norm = float(torch.nn.utils.get_total_norm([p.grad for p in model.parameters()]))
            values = np.array([float(p.detach()) for p in parts])
            if not (math.isfinite(norm) and np.isfinite(values).all()):
                raise TrainingDiverged(
                    f"the loss became {values[0] + values[1]} in epoch {epoch}, step {step}: "
                    "check that the series are finite and normalised, or lower learning_rate"
                )
            usual = norm if usual is None else usual
            if norm > settings.clip * usual:
                for p in model.parameters():
                    p.grad.mul_(settings.clip * usual / norm)
            usual = 0.95 * usual + 0.05 * min(norm, settings.clip * usual)
            optimiser.step()
            sums += values * len(rows)
        mean = (sums / len(x)).tolist()
        seconds = time.process_time() - began
        score = None if held_out is None else evaluate_loss(model, held_out, settings)
        history.append(Epoch(epoch, mean[0] + mean[1], mean[0], mean[1], mean[2], score, seconds))
        if on_epoch is not None:
            on_epoch(history[-1])
    model.eval()
    return history


@torch.no_grad()
def evaluate_loss(model: CorrelationDynamics, x: torch.Tensor, settings: TrainSettings) -> float:
    """Return the loss of x [S, T, N, M] with softmax probabilities as the graph, in evaluation mode."""
    was, sums = model.training, 0.0
    model.eval()
    for rows in torch.split(x, settings.batch_size):
        parts = objective(model, rows, settings, None)
        sums += float(parts[0] + parts[1]) * len(rows)
    model.train(was)
    return sums / len(x)


def _tensor(X: np.ndarray, name: str) -> torch.Tensor:
    array = np.asarray(X)
    if array.dtype.kind not in "fiu" or array.ndim != 4 or not len(array):
        raise ValueError(
            f"{name} is {array.dtype} of shape {array.shape}, expected numbers (series, frames, variables, features)"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite: fill or drop them first")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
