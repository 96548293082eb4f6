"""The correlation-aware dynamics model against plain loops in float64, and its properties."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from msig_lib.changepoint.data import edges
from msig_lib.changepoint.model import CorrelationDynamics
from msig_lib.changepoint.settings import ModelSettings, TrainSettings
from msig_lib.changepoint.train import objective

ENCODERS = list(product(("gru", "transformer"), ("gnn", "transformer"), ("official", "thesis")))


def small(**options: object) -> CorrelationDynamics:
    """A tiny model in float64, in evaluation mode, with a last layer that is not nearly 0."""
    settings = ModelSettings(**{"encoder_width": 8, "decoder_width": 6, "heads": 2, **options})
    model = CorrelationDynamics(3, settings, seed=4).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        layer = model.decoder.out
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * 0.3)
        layer.bias.fill_(0.05)
    return model


def series(s: int = 2, t: int = 7, n: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(s, t, n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_graph(s: int = 2, t: int = 7, n: int = 4, seed: int = 1) -> torch.Tensor:
    return torch.rand(s, t, n * (n - 1), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("temporal", "spatial", "convention"), ENCODERS)
def test_graphs_follow_the_variables(temporal, spatial, convention):
    model, x, n = small(temporal=temporal, spatial=spatial, convention=convention), series(n=5), 5
    order = torch.tensor([2, 4, 0, 1, 3])
    place = {pair: e for e, pair in enumerate(zip(*(k.tolist() for k in edges(n))))}
    moved = [place[int(order[i]), int(order[j])] for i, j in place]
    logits = model.encode(x)
    assert logits.shape == (2, 7, 20, 2)
    torch.testing.assert_close(model.encode(x[:, :, order]), logits[:, :, moved])
    torch.testing.assert_close(model.encode(x[1:]), logits[1:])  # in evaluation, series do not see each other
    graph = model.sample_graph(logits)
    torch.testing.assert_close(
        model.rollout(x[:, :, order], graph[:, :, moved], 3), model.rollout(x, graph, 3)[:, :, order]
    )
    assert (logits[:, :, 0] - logits[:, :, 1]).abs().max() > 1e-6  # and pairs differ


@pytest.mark.parametrize("levels", [1, 3])
def test_levels_alternate(levels):
    model = small(levels=levels)
    assert (len(model.temporal), len(model.spatial)) == (levels, levels - 1)
    assert model.encode(series()).shape == (2, 7, 12, 2)


@pytest.mark.parametrize("temporal", ["gru", "transformer"])
def test_any_number_of_variables_and_frames(temporal):
    model = small(temporal=temporal, decoder_output="rnn")
    for s, t, n in ((1, 2, 2), (3, 11, 2), (1, 2, 7)):
        x = series(s, t, n)
        graph = model.sample_graph(model.encode(x))
        assert graph.shape == (s, t, n * (n - 1)) and torch.isfinite(graph).all()
        assert model.rollout(x, graph, 10).shape == (s, t - 1, n, 3)
        assert torch.isfinite(model.window_errors(x, graph, 5)).all()


def dense(layer: torch.nn.Linear, v: torch.Tensor) -> torch.Tensor:
    return layer.weight @ v + layer.bias


def node_vectors(model: CorrelationDynamics, x: torch.Tensor, graph: torch.Tensor) -> list[torch.Tensor]:
    """Eqs. 4.17-4.18 for one frame x [N, M] and graph [E], edge by edge."""
    d, n, official = model.decoder, len(x), model.settings.official
    total = [torch.zeros_like(dense(d.message_2, F.relu(dense(d.message_1, torch.cat([x[0], x[0]])))))] * n
    for e, (i, j) in enumerate(zip(*edges(n))):
        message = dense(d.message_2, F.relu(dense(d.message_1, torch.cat([x[i], x[j]]))))
        total[i] = total[i] + graph[e] * (F.relu(message) if official else message)
    joined = [torch.cat([x[i], total[i]]) if official else x[i] + total[i] for i in range(n)]
    return [F.relu(dense(d.node_2, F.relu(dense(d.node_1, v)))) for v in joined]


def gru_cell(gru: torch.nn.Module, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    (wr, wz, wn), (ur, uz, un) = gru.weight_in[0], gru.weight_state[0]
    br, bz, bn = gru.bias_in[0]
    r, z = torch.sigmoid(wr @ x + br + ur @ h), torch.sigmoid(wz @ x + bz + uz @ h)
    n = torch.tanh(wn @ x + bn + r * (un @ h + gru.bias_state[0]))
    return (1 - z) * n + z * h


def forecast(
    model: CorrelationDynamics, x: torch.Tensor, graph: torch.Tensor, start: int, steps: int
) -> list[torch.Tensor]:
    """The frames after `start` of one series x [T, N, M], predicted one by one; true frames up to `start`."""
    d, n = model.decoder, x.shape[1]
    state = [torch.zeros(model.settings.decoder_width, dtype=x.dtype)] * n
    found = []
    for t in range(0 if d.gru is not None else start, start + steps):
        now = x[t] if t <= start else found[-1]
        h = node_vectors(model, now, graph[min(t, len(x) - 1)])
        if d.gru is not None:
            h = state = [gru_cell(d.gru, h[i], state[i]) for i in range(n)]
        change = torch.stack([dense(d.out, v) for v in h])
        if t >= start:
            found.append(now + change)
    return found


DECODERS = [
    {"convention": "official"}, {"convention": "thesis"}, {"decoder_output": "rnn"}
]  # fmt: skip


@pytest.mark.parametrize("options", DECODERS)
def test_rollouts_equal_loops(options):
    model, x, graph = small(**options), series(n=3), some_graph(n=3)
    for steps in (1, 3, 6, 10):  # 3 divides T - 1 = 6; 10 does not fit
        found = model.rollout(x, graph, steps)
        for s, start in product(range(2), range(0, 6, steps)):
            expected = forecast(model, x[s], graph[s], start, min(steps, 6 - start))
            torch.testing.assert_close(found[s, start : start + steps], torch.stack(expected))


@pytest.mark.parametrize("options", DECODERS[1:3])
def test_window_errors_equal_loops(options):
    model, x, graph = small(**options), series(n=3), some_graph(n=3)
    for k in (1, 3, 20):
        found = model.window_errors(x, graph, k)
        expected = torch.zeros(2, 7, dtype=x.dtype)
        for s, t in product(range(2), range(1, 7)):
            steps = min(k, 7 - t)  # a window over the end counts the frames there are
            window = torch.stack(forecast(model, x[s], graph[s], t - 1, steps))
            expected[s, t] = ((window - x[s, t : t + steps]) ** 2).mean()  # Eq. 4.2
        expected[:, 0] = expected[:, 1:].min(dim=1).values
        torch.testing.assert_close(found, expected)


def test_no_message_without_a_connection():
    model, x = small(), series()
    alone = model.rollout(x, torch.zeros_like(some_graph()), 2)
    others = x.clone()
    others[:, :, 1:] += 1.0
    torch.testing.assert_close(
        model.rollout(others, torch.zeros_like(some_graph()), 2)[:, :, 0], alone[:, :, 0]
    )
    assert (model.rollout(others, some_graph(), 2)[:, :, 0] - alone[:, :, 0]).abs().max() > 1e-3


def test_probabilities_without_a_generator():
    model = small()
    logits = model.encode(series()) * 30
    expected = torch.softmax(logits, dim=-1)[..., 1]
    torch.testing.assert_close(model.sample_graph(logits), expected)
    torch.testing.assert_close(model.sample_graph(logits, hard=True), (expected > 0.5).double())


def test_samples_are_those_of_the_gumbel_softmax():
    model = small(temperature=0.5)
    logits = torch.tensor([0.3, 1.1]).expand(1, 1, 20_000, 2)
    generator = torch.Generator().manual_seed(3)
    soft = model.sample_graph(logits, generator).flatten().numpy()
    hard = model.sample_graph(logits, generator, hard=True).flatten().numpy()
    torch.manual_seed(0)
    expected = F.gumbel_softmax(logits, tau=0.5)[..., 1].flatten().numpy()
    assert stats.ks_2samp(soft, expected).pvalue > 1e-3
    assert set(np.unique(hard)) == {0.0, 1.0}
    assert hard.mean() == pytest.approx(1 / (1 + np.exp(-0.8)), abs=0.015)  # argmax of Gumbels: the softmax


def test_hard_samples_have_the_gradient_of_soft_ones():
    model = small()
    grads = []
    for hard in (False, True):
        logits = model.encode(series()).detach().requires_grad_()
        sample = model.sample_graph(logits, torch.Generator().manual_seed(0), hard)
        grads.append(torch.autograd.grad((sample * some_graph()).sum(), logits)[0])
    torch.testing.assert_close(*grads)
    assert grads[0].abs().max() > 0


@pytest.mark.parametrize("loss", ["official", "thesis"])
@pytest.mark.parametrize("frames", [7, 14])
def test_objective_equals_loops(loss, frames):
    model, x = small(), series(t=frames, n=3)
    settings = TrainSettings(loss=loss, rollout=4, variance=0.02, smoothness=7.0, margin=5)
    reconstruction, smooth, mse = objective(model, x, settings, None)
    logits = model.encode(x)
    graph = torch.softmax(logits, dim=-1)[..., 1]
    squares, count = 0.0, 0
    for s, start in product(range(2), range(0, frames - 1, 4)):
        for k, frame in enumerate(forecast(model, x[s], graph[s], start, min(4, frames - 1 - start))):
            squares = squares + ((frame - x[s, start + 1 + k]) ** 2).sum()
            count += frame.numel()
    changes = []
    if loss == "official":
        inner = range(6, frames - 5) if frames > 11 else range(1, frames)
        for s, t, e, c in product(range(2), inner, range(6), range(2)):
            changes.append((logits[s, t, e, c] - logits[s, t - 1, e, c]) ** 2)
        expected = squares / count / (2 * 0.02) * 400, 7 * sum(changes) / len(changes)
    else:
        for s, t in product(range(2), range(1, frames)):
            changes.append(sum((graph[s, t, e] - graph[s, t - 1, e]) ** 2 for e in range(6)))
        # Eqs. 4.21 and 4.22, the mean of both series
        expected = squares / (2 * 0.02) / 2, 7 * sum(changes) / (frames - 1) / 2
    torch.testing.assert_close(reconstruction, expected[0])
    torch.testing.assert_close(smooth, expected[1])
    torch.testing.assert_close(mse, squares / count)


def test_the_seed_decides_the_weights_and_nothing_else_does():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one = CorrelationDynamics(3, seed=0).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)
    two, other = CorrelationDynamics(3, seed=0).state_dict(), CorrelationDynamics(3, seed=1).state_dict()
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert not torch.equal(one["head.first.weight"], other["head.first.weight"])


def test_training_starts_from_no_change():
    model, x = CorrelationDynamics(3, seed=0), series().float()
    moved = model.rollout(x, some_graph().float(), 1) - x[:, :-1]
    assert moved.abs().max() < 0.2 and moved.abs().max() > 0


def test_official_normalisation_follows_the_training_series():
    model, x = small().train(), series()
    before = model.first.norm.running_mean.clone()
    model.encode(x)
    assert not torch.equal(model.first.norm.running_mean, before)
    assert not torch.allclose(model.encode(x), model.eval().encode(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.encode(series()[..., :2]), "expected .series, frames >= 2, variables >= 2, 3 features"),
        (lambda m: m.encode(series()[0]), r"x has shape \(7, 4, 3\)"),
        (lambda m: m.encode(series()[:, :1]), "frames >= 2"),
        (lambda m: m.encode(series()[:, :, :1]), "variables >= 2"),
        (lambda m: m.rollout(series(), some_graph(n=3), 1), r"expected .* = \(2, 7, 12\)"),
        (lambda m: m.rollout(series(), some_graph(), 0), "steps is 0, expected at least 1"),
        (lambda m: m.window_errors(series(), some_graph(), 0), "k is 0, expected at least 1"),
        (lambda m: CorrelationDynamics(0), "n_features is 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(small())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temporal": "lstm"}, "temporal is 'lstm', expected 'gru' or 'transformer'"),
        ({"spatial": "cnn"}, "spatial is 'cnn'"),
        ({"convention": "mine"}, "convention is 'mine'"),
        ({"decoder_output": "gru"}, "decoder_output is 'gru'"),
        ({"encoder_width": 7}, "even"),
        ({"encoder_width": 12, "spatial": "transformer"}, "not a multiple of heads 8"),
        ({"encoder_width": 64.0}, "whole number"),
        ({"levels": 0}, "levels is 0"),
        ({"levels": True}, "levels is True"),
        ({"temperature": 0.0}, "temperature is 0"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ValueError, match=message):
        ModelSettings(**options)
