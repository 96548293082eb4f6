"""Chapter 4: one training epoch at the official sizes against the same equations written down plainly."""

from __future__ import annotations

import torch

from msig_lib.changepoint.model import CorrelationDynamics
from msig_lib.changepoint.settings import ModelSettings, TrainSettings
from msig_lib.changepoint.springs import simulate
from msig_lib.changepoint.train import Epoch, fit
from tests.benchmarks.compare import Benchmark, Disagreement
from tests.benchmarks.plain_cord import PlainCORD

WIDTH = 256  # thesis 9.2.1, GNN; official decoder
BATCH = 128  # official code
TOLERANCE = 1e-4  # of the loss, relative


def _start() -> CorrelationDynamics:
    return CorrelationDynamics(4, ModelSettings(encoder_width=WIDTH, decoder_width=WIDTH), seed=0)


def _epoch(model: torch.nn.Module, series: int) -> Epoch:
    X = simulate("connection", series, seed=0).X
    X = (X - X.mean((0, 1, 2))) / X.std((0, 1, 2))
    return fit(model, X, TrainSettings(epochs=1, batch_size=BATCH), seed=0)[0]


def _check(found: Epoch, expected: Epoch) -> str:
    apart = abs(found.loss - expected.loss) / expected.loss
    if not apart <= TOLERANCE:
        raise Disagreement(f"the losses are {found.loss:.6g} and {expected.loss:.6g}, {apart:.1e} apart")
    return f"width {WIDTH}, batch {BATCH}, two batches of 100 frames of 5; losses {apart:.0e} apart"


def benchmarks() -> list[Benchmark]:
    return [
        Benchmark(
            "changepoint-training",
            lambda: _epoch(_start(), 2 * BATCH),
            lambda: _epoch(PlainCORD(_start()), 2 * BATCH),
            "peer/ours >= 3",
            _check,
            warm=lambda: _epoch(_start(), 2),
            repeats=2,
        )
    ]
