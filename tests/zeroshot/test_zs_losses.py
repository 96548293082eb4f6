import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, normalize

from msig_lib.zeroshot.losses import conditional_entropy, g2l_loss, soft_targets, t2g_loss, t2l_loss

quick = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 10_000)


def logits_of(seed, n=5, labels=4, spread=3.0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(spread * rng.normal(size=(n, labels))).requires_grad_()


def by_hand(p_logits, q_logits, tau):
    """Eq. 3.5 with 1/N as loops over floats."""
    total = 0.0
    for p_row, q_row in zip(p_logits, q_logits):
        p = [math.exp(v) for v in p_row]
        q = [math.exp((v - max(q_row)) / tau) for v in q_row]
        total -= sum(b / sum(q) * math.log(a / sum(p)) for a, b in zip(p, q))
    return total / len(p_logits)


def contrast_by_hand(texts, generated, labels, generated_labels, scale, form):
    """Eq. 3.10 as loops over floats; texts without a generated text of their label are left out."""
    values = []
    for x, label in zip(texts, labels):
        keys = [g for g, other in zip(generated, generated_labels) if other == label]
        below = sum(math.exp(scale * float(x @ y)) for y in (generated if form == "corrected" else texts))
        if keys:
            values.append(-sum(math.log(math.exp(scale * float(x @ g)) / below) for g in keys) / len(keys))
    return sum(values) / len(values)


@given(seeds, st.floats(0.01, 1.0), st.booleans())
@quick
def test_t2l_equals_the_sum_written_out(seed, tau, detach):
    logits = logits_of(seed)
    found = t2l_loss(logits, tau, detach)
    assert found.item() == pytest.approx(by_hand(logits.tolist(), logits.tolist(), tau), rel=1e-9)
    other = logits_of(seed + 1)
    found = t2l_loss(logits, tau, detach, target_logits=other)
    assert found.item() == pytest.approx(by_hand(logits.tolist(), other.tolist(), tau), rel=1e-9)
    assert g2l_loss(logits, tau, detach, other).item() == found.item()


@given(seeds)
@quick
def test_hard_targets_are_the_limit_of_small_tau(seed):
    logits = logits_of(seed)
    hard = t2l_loss(logits, 0)
    assert hard.item() == pytest.approx(cross_entropy(logits, logits.argmax(1)).item(), rel=1e-9)
    gap = logits.detach().topk(2, dim=1).values
    gap = float((gap[:, 0] - gap[:, 1]).min())
    assert t2l_loss(logits, gap / 40).item() == pytest.approx(hard.item(), rel=1e-9)


@given(seeds)
@quick
def test_at_tau_1_the_loss_is_the_entropy_and_a_detached_q_gives_no_gradient(seed):
    logits = logits_of(seed)
    entropy = conditional_entropy(logits)
    p = torch.softmax(logits, 1)
    assert entropy.item() == pytest.approx(torch.distributions.Categorical(p).entropy().mean().item())
    assert t2l_loss(logits, 1.0).item() == pytest.approx(entropy.item())
    (gradient,) = torch.autograd.grad(t2l_loss(logits, 1.0, detach=True), logits)
    assert gradient.abs().max() < 1e-12
    (through,) = torch.autograd.grad(t2l_loss(logits, 1.0, detach=False), logits)
    (wanted,) = torch.autograd.grad(entropy, logits)
    torch.testing.assert_close(through, wanted)
    assert through.abs().max() > 1e-6


def test_a_frozen_target_gets_a_gradient_only_when_it_is_not_detached():
    logits, target = logits_of(1), logits_of(2)
    t2l_loss(logits, 0.5, True, target).backward()
    assert target.grad is None and logits.grad.abs().sum() > 0
    t2l_loss(logits, 0.5, False, target).backward()
    assert target.grad.abs().sum() > 0


@given(st.floats(-8, 8).filter(lambda d: abs(d) > 1e-3), st.floats(0.05, 0.95), st.booleans())
@quick
def test_a_step_moves_a_pseudo_label_away_from_the_boundary_right_or_wrong(d, tau, detach):
    # Theorem 7's case: two labels, the text's logits are (d, 0), and only d moves
    x = torch.tensor([d], dtype=torch.float64, requires_grad=True)
    logits = torch.stack([x, torch.zeros_like(x)], dim=1)
    (gradient,) = torch.autograd.grad(t2l_loss(logits, tau, detach), x)
    assert abs(d - gradient.item()) > abs(d) and (d - gradient.item()) * d > 0


def test_the_wrong_label_of_the_errata_goes_from_minus_a_tenth_to_minus_a_half():
    x = torch.tensor([-0.1], dtype=torch.float64, requires_grad=True)
    logits = torch.stack([x, torch.zeros_like(x)], dim=1)
    (gradient,) = torch.autograd.grad(t2l_loss(logits, 0.1, detach=False), x)
    assert -0.1 - gradient.item() == pytest.approx(-0.503, abs=5e-4)


def test_soft_targets_sum_to_one_and_refuse_a_negative_tau():
    logits = logits_of(3)
    assert soft_targets(logits, 0.1).sum(1).tolist() == pytest.approx([1.0] * 5)
    assert soft_targets(logits, 0).tolist() == np.eye(4)[logits.argmax(1)].tolist()
    for tau in (-0.1, float("nan")):
        with pytest.raises(ValueError, match="tau is"):
            t2l_loss(logits, tau)


def contrast_case(seed, b=6, m=7, dim=5):
    rng = np.random.default_rng(seed)
    vectors = [normalize(torch.from_numpy(rng.normal(size=(n, dim))), dim=1) for n in (b, m)]
    labels = [torch.from_numpy(rng.integers(0, 3, n)) for n in (b, m)]
    labels[1][0] = labels[0][0]  # at least one partner
    return *vectors, *labels


@given(seeds, st.sampled_from(["corrected", "thesis"]), st.sampled_from([1.0, 7.0]))
@quick
def test_t2g_equals_the_sum_written_out(seed, form, scale):
    case = contrast_case(seed)
    found = t2g_loss(*case, scale=scale, form=form).item()
    wanted = contrast_by_hand(case[0], case[1], case[2].tolist(), case[3].tolist(), scale, form)
    assert found == pytest.approx(wanted, rel=1e-9)
    assert form == "thesis" or found >= 0


def test_the_printed_loss_falls_below_any_bound_and_the_corrected_one_does_not():
    texts, generated, labels, _ = contrast_case(5, m=6)
    generated = texts + 0.1 * generated
    printed = [
        t2g_loss(texts, t * generated, labels, labels, form="thesis").item() for t in (1, 10, 100, 1e6)
    ]
    assert printed == sorted(printed, reverse=True) and printed[-1] < -1e5
    corrected = [t2g_loss(texts, t * generated, labels, labels).item() for t in (1, 10, 100, 1e6)]
    assert min(corrected) >= 0
    # descending on the vectors themselves ends the same way
    free = generated.clone().requires_grad_()
    for _ in range(200):
        (gradient,) = torch.autograd.grad(t2g_loss(texts, free, labels, labels, form="thesis"), free)
        free = (free - 10 * gradient).detach().requires_grad_()
    assert t2g_loss(texts, free, labels, labels, form="thesis") < -50


def test_with_one_partner_each_t2g_is_cross_entropy_over_the_generated_texts():
    texts, generated, *_ = contrast_case(6, m=6)
    own = torch.arange(6)
    wanted = cross_entropy(4.0 * texts @ generated.T, own)
    assert t2g_loss(texts, generated, own, own, scale=4.0).item() == pytest.approx(wanted.item())


def test_texts_without_a_partner_are_left_out_and_with_none_the_loss_is_0():
    texts, generated, *_ = contrast_case(7, m=6)
    own = torch.arange(6)
    some = own.clone()
    some[3:] += 10
    wanted = cross_entropy((texts @ generated.T)[:3], own[:3])
    assert t2g_loss(texts, generated, some, own).item() == pytest.approx(wanted.item())
    texts.requires_grad_()
    none = t2g_loss(texts, generated, own + 10, own)
    none.backward()
    assert none.item() == 0 and not texts.grad.any()


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="'corrected' or 'thesis'"):
        t2g_loss(*contrast_case(8), form="printed")
