"""The learner's layers against plain loops in float64, PyTorch's own layers and gradcheck."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from msig_lib.changepoint import _activation, layers
from msig_lib.changepoint.data import edges
from msig_lib.changepoint.gru import GRU
from msig_lib.changepoint.pairs import pair_index, read_pairs, sum_messages


@pytest.fixture(autouse=True)
def _weights():
    torch.manual_seed(0)


ACTS = {"linear": lambda v: v, "relu": torch.relu, "elu": F.elu}


def draw(*shape: int, seed: int = 0, grad: bool = False) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_(grad)


@_activation.compiled
def exponentials(x, out):
    for i in range(x.size):
        out[i] = _activation.exp(x[i])


def test_exponential_is_that_of_numpy():
    x = np.concatenate([np.linspace(-87, 88, 20001), [0.0, -0.0, 1e-8]]).astype(np.float32)
    out = np.empty_like(x)
    exponentials(x, out)
    np.testing.assert_allclose(out, np.exp(x.astype(np.float64)), rtol=3e-7)


def test_exponential_passes_nan_on_and_ends_where_float32_does():
    x = np.array([np.nan, np.inf, -np.inf, 1000, -1000], dtype=np.float32)
    out = np.empty_like(x)
    exponentials(x, out)
    assert np.isnan(out[0]) and (out[[1, 3]] > 1e38).all() and (out[[2, 4]] < 1e-37).all()


def test_pairs_are_in_the_order_of_the_data():
    for n in (2, 3, 6):
        for mine, theirs in zip(pair_index(n), edges(n)):
            np.testing.assert_array_equal(mine.numpy(), theirs)


def pair_arguments(rows: int, n: int, h: int, h2: int, grad: bool = False) -> list[torch.Tensor]:
    """p, q, weight, read, w, b."""
    shapes = [(rows, n, h), (rows, n, h), (rows, n * (n - 1)), (2, h2), (h2, h), (h2,)]
    return [draw(*s, seed=k, grad=grad) for k, s in enumerate(shapes)]


@pytest.mark.parametrize(
    ("n", "rows"), [(2, 1), (4, 7), (9, 3), (70, 1)]
)  # 70: more senders than a block holds
def test_pairs_equal_loops(n, rows):
    p, q, weight, read, w, b = pair_arguments(rows, n, 5, 3)
    for acts in (("elu", "elu"), ("relu", "relu"), ("relu", "linear")):
        sums, reads = torch.zeros(rows, n, 3, dtype=p.dtype), torch.zeros(rows, n * (n - 1), 2, dtype=p.dtype)
        for r in range(rows):
            for e, (i, j) in enumerate(zip(*edges(n))):
                y = ACTS[acts[1]](w @ ACTS[acts[0]](p[r, i] + q[r, j]) + b)
                sums[r, i] += weight[r, e] * y
                reads[r, e] = read @ y
        torch.testing.assert_close(sum_messages(p, q, weight, w, b, acts), sums)
        torch.testing.assert_close(read_pairs(p, q, read, w, b, acts), reads)
        single = [a.float() for a in (p, q, weight, w, b)]
        torch.testing.assert_close(sum_messages(*single, acts).double(), sums, rtol=1e-4, atol=1e-4)
        if acts[0] != "elu" or n > 9:
            break


@pytest.mark.parametrize("acts", [("elu", "elu"), ("relu", "relu"), ("relu", "linear")])
def test_gradients_of_pairs(acts):
    p, q, weight, read, w, b = pair_arguments(3, 3, 3, 2, grad=True)
    assert torch.autograd.gradcheck(lambda *a: sum_messages(*a, acts), (p, q, weight, w, b))
    assert torch.autograd.gradcheck(lambda *a: read_pairs(*a, acts), (p, q, read, w, b))


def test_pairs_do_not_feel_the_block_they_are_computed_in():
    p, q, weight, read, w, b = pair_arguments(40, 5, 4, 4, grad=True)  # 800 pairs, 64 at a time
    acts = ("elu", "elu")
    whole = sum_messages(p, q, weight, w, b, acts), read_pairs(p, q, read, w, b, acts)
    whole_grad = torch.autograd.grad((whole[0] ** 2).sum() + (whole[1] ** 2).sum(), (p, q, w, b))
    total = [torch.zeros_like(a) for a in (p, q, w, b)]
    for r in range(40):
        rows = slice(r, r + 1)
        one = (
            sum_messages(p[rows], q[rows], weight[rows], w, b, acts),
            read_pairs(p[rows], q[rows], read, w, b, acts),
        )
        for mine, all_of_them in zip(one, whole):
            torch.testing.assert_close(mine, all_of_them[rows])
        for sofar, g in zip(total, torch.autograd.grad(sum((o**2).sum() for o in one), (p, q, w, b))):
            sofar += g
    for mine, theirs in zip(total, whole_grad):
        torch.testing.assert_close(mine, theirs)


def as_torch(mine: GRU, d_in: int) -> nn.GRU:
    """torch.nn.GRU with the same weights."""
    theirs = nn.GRU(d_in, mine.width, bidirectional=mine.directions == 2).double()
    with torch.no_grad():
        for d, end in enumerate(["_l0", "_l0_reverse"][: mine.directions]):
            getattr(theirs, f"weight_ih{end}").copy_(mine.weight_in[d].flatten(0, 1))
            getattr(theirs, f"weight_hh{end}").copy_(mine.weight_state[d].flatten(0, 1))
            getattr(theirs, f"bias_ih{end}").copy_(mine.bias_in[d].flatten())
            getattr(theirs, f"bias_hh{end}").copy_(F.pad(mine.bias_state[d], (2 * mine.width, 0)))
    return theirs


@pytest.mark.parametrize(
    ("directions", "rows"), [(1, 3), (2, 3), (2, 70)]
)  # 70: more rows than a block holds
def test_gru_is_that_of_torch(directions, rows):
    mine = GRU(4, 5, directions).double()
    theirs = as_torch(mine, 4)
    x, start = draw(6, rows, 4, grad=True), draw(rows, directions, 5, grad=True)
    out = mine(x, start)
    expected = theirs(x, start.transpose(0, 1).contiguous())[0]
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(mine(x), theirs(x)[0])
    torch.testing.assert_close(mine.float()(x.float()).double(), theirs(x)[0], rtol=1e-5, atol=1e-5)
    g = draw(*out.shape, seed=5)
    for a, b in zip(torch.autograd.grad(out, (x, start), g), torch.autograd.grad(expected, (x, start), g)):
        torch.testing.assert_close(a, b)


def test_gradients_of_gru():
    gru = GRU(2, 3).double()
    weights = dict(gru.named_parameters())
    run = lambda x, start, *v: functional_call(gru, dict(zip(weights, v)), (x, start))  # noqa: E731
    arguments = draw(4, 2, 2, grad=True), draw(2, 2, 3, grad=True), *weights.values()
    assert torch.autograd.gradcheck(run, arguments)


def test_gru_step_by_step():
    gru = GRU(3, 4, directions=1).double()
    x, state = draw(5, 2, 3), draw(2, 4)
    expected = gru(x, state[:, None])
    for t in range(5):
        state = gru.step(x[t], state)
        torch.testing.assert_close(state, expected[t])


def test_attention_is_torchs_encoder_layer():
    d, heads = 12, 3
    mine = layers.Attention(d, heads).double()
    theirs = nn.TransformerEncoderLayer(d, heads, heads * d, dropout=0.0, batch_first=True).double()
    with torch.no_grad():
        pairs = [
            (theirs.self_attn.in_proj_weight, mine.qkv.weight),
            (theirs.self_attn.in_proj_bias, mine.qkv.bias),
            *((getattr(a, k), getattr(b, k)) for a, b in [
                (theirs.self_attn.out_proj, mine.out), (theirs.linear1, mine.wide),
                (theirs.linear2, mine.narrow), (theirs.norm1, mine.norm_1), (theirs.norm2, mine.norm_2),
            ] for k in ("weight", "bias")),
        ]  # fmt: skip
        for copy, original in pairs:
            copy.copy_(original)
    h = draw(2, 7, d)
    torch.testing.assert_close(mine(h), theirs(h))


def test_positions_equal_the_formula():
    found = layers.positions(5, 6)
    for t, k in product(range(5), range(3)):
        angle = t / 10000 ** (2 * k / 6)
        assert found[t, 2 * k] == pytest.approx(math.sin(angle), abs=1e-6)
        assert found[t, 2 * k + 1] == pytest.approx(math.cos(angle), abs=1e-6)


def mlp(module: layers.EluMLP, h: torch.Tensor) -> torch.Tensor:
    """EluMLP on rows [n, d] with the batch's statistics, in plain operations."""
    y = F.elu(
        F.elu(h @ module.first.weight.T + module.first.bias) @ module.second.weight.T + module.second.bias
    )
    return (y - y.mean(0)) / (y.var(0, unbiased=False) + 1e-5).sqrt() * module.norm.weight + module.norm.bias


@pytest.mark.parametrize("official", [True, False])
def test_gnn_equals_loops(official):
    d, n = 4, 3
    layer = layers.GNNSpatial(d, 0, official).double()
    h = draw(2, 2, n, d)
    rows = h.flatten(0, 1)
    total = torch.zeros_like(rows)
    for r, i, j in product(range(4), range(n), range(n)):
        if i != j:
            first = F.elu(layer.first.weight @ torch.cat([rows[r, i], rows[r, j]]) + layer.first.bias)
            total[r, i] += F.elu(layer.second.weight @ first + layer.second.bias)  # Eq. 4.15
    if official:
        total = total / (n - 1)
    flat = total.flatten(0, 1)
    flat = (flat - flat.mean(0)) / (flat.var(0, unbiased=False) + 1e-5).sqrt()
    joined = flat if official else rows.flatten(0, 1) + flat  # Eq. 4.16
    torch.testing.assert_close(layer(h).flatten(0, 2), mlp(layer.node, joined))


def test_graph_head_equals_loops():
    head, h = layers.GraphHead(4).double(), draw(3, 5, 4)
    found = head(h)
    for r in range(3):
        for e, (i, j) in enumerate(zip(*edges(5))):
            first = F.elu(head.first.weight @ torch.cat([h[r, i], h[r, j]]) + head.first.bias)
            second = F.elu(head.second.weight @ first + head.second.bias)
            torch.testing.assert_close(found[r, e], head.out.weight @ second + head.out.bias)


def test_normalised_logits_neither_drift_together_nor_depend_on_the_batch_once_trained():
    head, h = layers.GraphHead(4, norm=True).double(), draw(6, 5, 4)
    plain = layers.GraphHead(4).double()
    plain.load_state_dict(head.state_dict(), strict=False)
    with torch.no_grad():
        head.norm.weight.copy_(torch.tensor([2.0, 0.5]))
        plain.out.bias.zero_()
    read = plain(h)
    mean, var = read.mean((0, 1)), read.var((0, 1), unbiased=False)
    expected = (read - mean) / (var + 1e-5).sqrt() * head.norm.weight + head.out.bias
    torch.testing.assert_close(head(h), expected)
    with torch.no_grad():  # what drives every pair to the same side: a shift of what is read
        head.second.bias += 5.0
    torch.testing.assert_close(head(h).mean((0, 1)), head.out.bias)
    head(h).sum().backward()
    assert all(p.grad is not None for p in head.parameters())
    head.eval()
    torch.testing.assert_close(head(h)[:2], head(h[:2]))


def test_linear_head_is_equation_4_8_and_cannot_express_every_graph():
    head, h = layers.LinearHead(4).double(), draw(3, 4, 4)
    found = head(h)
    at = {pair: e for e, pair in enumerate(zip(*(k.tolist() for k in edges(4))))}
    for (i, j), e in at.items():
        expected = torch.cat([h[:, i], h[:, j]], dim=1) @ head.first.weight.T + head.first.bias
        torch.testing.assert_close(found[:, e], expected)
    # whatever the weights, "0 hears 1, 2 hears 3" and "0 hears 3, 2 hears 1" add up to the same
    straight, crossed = found[:, at[0, 1]] + found[:, at[2, 3]], found[:, at[0, 3]] + found[:, at[2, 1]]
    torch.testing.assert_close(straight, crossed)


@pytest.mark.parametrize("kind", [layers.GNNSpatial, layers.TransformerSpatial])
@pytest.mark.parametrize("official", [True, False])
def test_spatial_layers_do_not_know_the_order_of_variables(kind, official):
    layer, h = kind(8, 2, official).double(), draw(2, 3, 5, 8)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(layer(h)[:, :, order], layer(h[:, :, order].clone()))


@pytest.mark.parametrize("kind", [layers.GRUTemporal, layers.TransformerTemporal])
def test_temporal_layers_see_one_variable_at_a_time(kind):
    layer, h = kind(3, 8, 2).double(), draw(4, 2, 3, 3)
    changed = h.clone()
    changed[:, 1, 2] += 1.0
    difference = (layer(changed) - layer(h)).abs().amax((0, 3))
    assert difference[1, 2] > 1e-3
    assert difference.sum() == difference[1, 2]
    # frames do see each other, in both directions of time
    changed = h.clone()
    changed[2] += 1.0
    assert ((layer(changed) - layer(h)).abs().amax((1, 2, 3)) > 1e-6).all()
