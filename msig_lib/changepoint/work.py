"""What a training step of GNN+RNN works out, how fast this machine does it, and what the library's layers save."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from msig_lib.changepoint.data import edges
from msig_lib.changepoint.gru import GRU
from msig_lib.changepoint.model import CorrelationDynamics
from msig_lib.changepoint.pairs import sum_messages
from msig_lib.changepoint.settings import ModelSettings, TrainSettings
from msig_lib.changepoint.train import objective
from msig_lib.lm.threads import one_blas_thread, torch_threads


@dataclass(frozen=True)
class Work:
    """Floating-point operations of matrix products, two for each multiplication, of one series."""

    forward: float  # with the first layer of a network on pairs worked out on variables
    again: float  # second layers on pairs that the backward pass works out again, not to keep them
    pairwise: float  # forward, with the first layer worked out on every pair

    @property
    def step(self) -> float:
        """Of a training step: a backward pass takes two products for each of the forward pass."""
        return 3 * self.forward + self.again

    @property
    def pairwise_step(self) -> float:
        """Of a training step that works out and keeps all layers on every pair."""
        return 3 * self.pairwise


def operations(settings: ModelSettings, variables: int, frames: int, features: int = 4) -> Work:
    """Return the work on one series of `GNN+RNN` with two levels and an MLP decoder, official convention.

    ValueError for another model, fewer than 2 variables or frames.
    """
    s = settings
    if (s.temporal, s.spatial, s.decoder_output, s.levels, s.official) != ("gru", "gnn", "mlp", 2, True):
        raise ValueError(
            f"{s} was given, expected GNN+RNN with 2 levels and an MLP decoder, official convention"
        )
    if min(variables, frames) < 2:
        raise ValueError(f"{variables} variables and {frames} frames were given, expected at least 2 of each")
    n, e, m, d, w = variables, variables * (variables - 1), features, s.encoder_width, s.decoder_width
    on_variables = m * d + d * d + 2 * 4.5 * d * d + 2 * d * d  # first MLP, GRUs of both directions, node MLP
    on_pairs = d * d + d * d + 2 * d  # second layers of the messages and of the logits, logits
    decoder, messages = (m + w) * w + w * w + w * m, w * w
    first = 2 * (2 * d * d) * frames + 2 * m * w * (frames - 1)  # first layers on pairs, for one row
    rest = frames * (n * on_variables + e * on_pairs) + (frames - 1) * (n * decoder + e * messages)
    return Work(
        forward=2.0 * (rest + n * first),
        again=2.0 * e * (frames * 2 * d * d + (frames - 1) * messages),
        pairwise=2.0 * (rest + e * first),
    )


def rate(
    settings: ModelSettings, *, series: int = 8, variables: int = 5, frames: int = 100
) -> dict[str, float]:
    """Return what one training step takes on one thread: "seconds", its "GFLOP", "GFLOP/s", and "machine GFLOP/s".

    The machine's rate is that of products of 512 rows with a square matrix as wide as the encoder.
    """
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((series, frames, variables, 4), dtype=np.float32))
    model, generator, d = (
        CorrelationDynamics(4, settings),
        torch.Generator().manual_seed(0),
        settings.encoder_width,
    )

    def one() -> None:
        model.zero_grad()
        loss, change, _ = objective(model, x, TrainSettings(), generator)
        (loss + change).backward()

    a, b = torch.from_numpy(rng.standard_normal((512, d), dtype=np.float32)), torch.eye(d)
    with torch_threads(1), one_blas_thread():
        seconds = fastest(one)
        product = fastest(lambda: [a @ b for _ in range(50)]) / 50
    done = operations(settings, variables, frames).step * series / 1e9
    return {
        "seconds": seconds,
        "GFLOP": done,
        "GFLOP/s": done / seconds,
        "machine GFLOP/s": 2 * 512 * d * d / product / 1e9,
    }


def savings(width: int = 64, *, series: int = 8, variables: int = 5, frames: int = 100) -> pd.DataFrame:
    """Return seconds on one thread of two layers, forward and backward: "written plainly" and "here".

    The GRU along time: one call of PyTorch's for each variable, against all variables in one compiled recurrence.
    The messages: both layers on every pair, against the first on variables and compiled sums of a block of pairs.
    """
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(frames, series, variables, width, generator=generator, requires_grad=True)
    plain, ours = nn.GRU(width, width // 2, bidirectional=True), GRU(width, width // 2)
    one, two = nn.Linear(2 * width, width), nn.Linear(width, width)
    receivers, senders = (torch.from_numpy(k) for k in edges(variables))
    weight = torch.ones(frames * series, variables * (variables - 1))

    def every_pair() -> torch.Tensor:
        rows = h.flatten(0, 1)
        y = F.elu(two(F.elu(one(torch.cat([rows[:, receivers], rows[:, senders]], dim=-1)))))
        return y.unflatten(1, (variables, variables - 1)).sum(2)

    def blocks() -> torch.Tensor:
        rows, part = h.flatten(0, 1), one.weight.chunk(2, dim=1)
        p, q = F.linear(rows, part[0], one.bias), F.linear(rows, part[1])
        return sum_messages(p, q, weight, two.weight, two.bias, ("elu", "elu"))

    layers = {
        "GRU along time": (
            lambda: torch.stack([plain(h[:, :, i])[0] for i in range(variables)], dim=2),
            lambda: ours(h.flatten(1, 2)),
        ),
        "messages of pairs": (every_pair, blocks),
    }
    with torch_threads(1), one_blas_thread():
        rows = {
            name: [fastest(lambda f=f: f().sum().backward()) for f in both] for name, both in layers.items()
        }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["written plainly", "here"])
    return frame.assign(ratio=frame["written plainly"] / frame["here"])


def fastest(run: Callable[[], object], repeats: int = 3) -> float:
    """Return the seconds of the fastest of `repeats` runs, after one that compiles what has to be compiled."""
    run()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)
