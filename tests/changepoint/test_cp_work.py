"""The operations counted by hand against PyTorch's own counter, and the measurements on small sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from msig_lib.changepoint import work
from msig_lib.changepoint.model import CorrelationDynamics
from msig_lib.changepoint.settings import ModelSettings
from tests.benchmarks.plain_cord import PlainCORD


@pytest.mark.parametrize(("d", "w", "variables", "frames"), [(8, 6, 4, 7), (16, 16, 5, 12)])
def test_the_operations_are_those_that_pytorch_counts(d, w, variables, frames):
    settings = ModelSettings(encoder_width=d, decoder_width=w)
    plain = PlainCORD(CorrelationDynamics(4, settings))
    x = torch.randn(1, frames, variables, 4)
    with FlopCounterMode(display=False) as counter:
        plain.rollout(x, plain.sample_graph(plain.encode(x)), 3)
    counted = counter.get_total_flops()
    assert work.operations(settings, variables, frames).pairwise == pytest.approx(counted)


def test_the_first_layer_on_variables_saves_work_and_a_second_pass_costs_some():
    of = work.operations(ModelSettings(encoder_width=256, decoder_width=256), 5, 100)
    assert of.forward < of.pairwise and of.step < of.pairwise_step
    assert of.again == pytest.approx(2 * 20 * 256**2 * (2 * 100 + 99))
    more = work.operations(ModelSettings(), 20, 100)
    assert more.pairwise_step / more.step > of.pairwise_step / of.step  # pairs grow with the square


def test_measurements_are_positive_and_consistent():
    found = work.rate(ModelSettings(encoder_width=8, decoder_width=8), series=1, variables=3, frames=12)
    assert found["GFLOP/s"] == pytest.approx(found["GFLOP"] / found["seconds"])
    assert all(np.isfinite(v) and v > 0 for v in found.values())
    saved = work.savings(8, series=1, variables=3, frames=6)
    assert (saved > 0).all(axis=None)
    np.testing.assert_allclose(saved.ratio, saved["written plainly"] / saved["here"])


def test_another_model_is_refused():
    with pytest.raises(ValueError, match="expected GNN"):
        work.operations(ModelSettings(spatial="transformer"), 5, 100)
    with pytest.raises(ValueError, match="at least 2"):
        work.operations(ModelSettings(), 1, 100)
