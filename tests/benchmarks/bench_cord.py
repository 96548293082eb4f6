"""Chapter 4: one training epoch at the official sizes against the same equations written down plainly.

Beside the ratio stands its limit: that of an epoch which does nothing but this library's matrix products at the rate of
this machine. Products in bfloat16 would move the limit, and are no way there: with only the backward pass of linear
layers in bfloat16 (AVX-512 BF16, 2.2 times the rate) the losses of this epoch were 2e-4 (batch 16) to 1e-3 (batch 64)
apart. Ours runs as `CorrelationCPD.fit` does, with the memory of arrays kept; the peer has the default allocator.
"""

from __future__ import annotations

import math
import time

import torch

from msig_lib.changepoint import work
from msig_lib.changepoint.memory import kept_memory
from msig_lib.changepoint.model import CorrelationDynamics
from msig_lib.changepoint.settings import ModelSettings, TrainSettings
from msig_lib.changepoint.springs import simulate
from msig_lib.changepoint.train import Epoch, fit
from tests.benchmarks.compare import Benchmark, Disagreement
from tests.benchmarks.plain_cord import PlainCORD

WIDTH = 256  # thesis 9.2.1, GNN; official decoder
BATCH = 128  # official code
TOLERANCE = 1e-4  # of the loss, relative
SERIES = 2 * BATCH
SETTINGS = ModelSettings(encoder_width=WIDTH, decoder_width=WIDTH)


def _start() -> CorrelationDynamics:
    return CorrelationDynamics(4, SETTINGS, seed=0)


def _epoch(model: torch.nn.Module, series: int) -> Epoch:
    X = simulate("connection", series, seed=0).X
    X = (X - X.mean((0, 1, 2))) / X.std((0, 1, 2))
    return fit(model, X, TrainSettings(epochs=1, batch_size=BATCH), seed=0)[0]


def _kept_epoch() -> Epoch:
    with kept_memory():
        return _epoch(_start(), SERIES)


def _check(found: Epoch, expected: Epoch) -> str:
    apart = abs(found.loss - expected.loss) / expected.loss
    if not apart <= TOLERANCE:
        raise Disagreement(f"the losses are {found.loss:.6g} and {expected.loss:.6g}, {apart:.1e} apart")
    return (
        f"width {WIDTH}, batch {BATCH}, two batches of 100 frames of 5; losses {apart:.0e} apart; "
        + _limit(found.seconds, expected.seconds, _machine_rate())
    )


def _machine_rate() -> float:
    """Return the GFLOP/s of this machine's products of 512 rows with a square matrix of this width, one thread.

    In CPU time, as the seconds of an epoch, so that other work on the machine does not count.
    """
    a, b, out = torch.ones(512, WIDTH), torch.eye(WIDTH), torch.empty(512, WIDTH)
    least = math.inf
    for _ in range(10):
        began = time.process_time()
        for _ in range(50):
            torch.mm(a, b, out=out)
        least = min(least, time.process_time() - began)
    return 2e-9 * 512 * WIDTH**2 * 50 / least


def _limit(ours: float, peer: float, rate: float) -> str:
    """Say how much work our seconds hold, how near to the machine's GFLOP/s it comes, and what ratio would be left."""
    of = work.operations(SETTINGS, 5, 100)
    done, plain = of.step * SERIES / 1e9, of.pairwise_step * SERIES / 1e9
    return (
        f"{done:.0f} GFLOP of products in {ours:.1f} s: {done / ours / rate:.0%} of the machine's {rate:.0f} GFLOP/s "
        f"(plainly {plain:.0f} in {peer:.1f} s, {plain / peer / rate:.0%}); with nothing but ours the ratio would be "
        f"{peer * rate / done:.2f}"
    )


def benchmarks() -> list[Benchmark]:
    return [
        Benchmark(
            "changepoint-training",
            _kept_epoch,
            lambda: _epoch(PlainCORD(_start()), SERIES),
            "peer/ours >= 3",
            _check,
            warm=lambda: _epoch(_start(), 2),
            repeats=2,
        )
    ]
