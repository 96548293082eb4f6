import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.preference.dpo import DPOSettings, dpo_loss, pad, token_rewards, truncate, truncate_text

quick = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 10_000)


def batch(seed, pairs=4, longest=6, dtype=torch.float64):
    """Four arrays [pairs, longest] of log-probabilities and the two masks."""
    rng = np.random.default_rng(seed)
    values = [torch.from_numpy(-rng.exponential(1.0, (pairs, longest))).to(dtype) for _ in range(4)]
    masks = [torch.arange(longest) < torch.from_numpy(rng.integers(1, longest + 1, (pairs, 1))) for _ in "ab"]
    return values, dict(chosen_mask=masks[0], rejected_mask=masks[1])


def by_hand(values, masks, beta, preference, nll):
    """The loss as loops over floats."""
    terms, likelihood, tokens = [], 0.0, 0
    won, lost = masks["chosen_mask"].tolist(), masks["rejected_mask"].tolist()
    for i in range(len(won)):
        total = [
            sum(v for v, inside in zip(values[k][i].tolist(), (won, lost)[k % 2][i]) if inside)
            for k in range(4)
        ]
        margin = beta * ((total[0] - total[2]) - (total[1] - total[3]))
        terms.append(math.log(1 + math.exp(-margin)))
        likelihood -= total[0]
        tokens += sum(won[i])
    return preference * sum(terms) / len(terms) + nll * likelihood / tokens


@given(seeds, st.floats(0.01, 3), st.floats(0, 2), st.floats(0.1, 2))
@quick
def test_the_loss_is_the_equation_written_out(seed, beta, nll, preference):
    values, masks = batch(seed)
    found = dpo_loss(*values, DPOSettings(beta, preference, nll), **masks)
    assert found.loss.item() == pytest.approx(by_hand(values, masks, beta, preference, nll), rel=1e-9)


@given(seeds)
@quick
def test_sums_and_tokens_give_the_same(seed):
    values, masks = batch(seed)
    inside = [masks["chosen_mask"], masks["rejected_mask"]] * 2
    sums = [(one * mask).sum(1) for one, mask in zip(values, inside)]
    both = DPOSettings(nll_weight=0.3)
    tokens = dpo_loss(*values, both, **masks)
    summed = dpo_loss(*sums, both, chosen_tokens=masks["chosen_mask"].sum(1))
    mixed = dpo_loss(values[0], values[1], sums[2], sums[3], both, **masks)
    for name in ("loss", "margins", "chosen", "rejected", "chosen_ratios", "rejected_ratios", "accuracy"):
        assert torch.allclose(getattr(tokens, name), getattr(summed, name))
        assert torch.allclose(getattr(tokens, name), getattr(mixed, name))
    assert math.isnan(dpo_loss(*sums).nll) and torch.isfinite(dpo_loss(*sums).loss)


def test_what_is_outside_the_mask_does_not_matter_even_when_it_is_no_number():
    values, masks = batch(3)
    inside = [masks["chosen_mask"], masks["rejected_mask"]] * 2
    clean = [one.clone().requires_grad_() for one in values]
    spoilt = [one.masked_fill(~mask, torch.nan).requires_grad_() for one, mask in zip(values, inside)]
    losses = [dpo_loss(*arrays, DPOSettings(nll_weight=1), **masks).loss for arrays in (clean, spoilt)]
    assert losses[0].item() == losses[1].item()
    for loss in losses:
        loss.backward()
    for a, b, mask in zip(clean[:2], spoilt[:2], inside):
        assert torch.equal(a.grad, b.grad) and (b.grad[~mask] == 0).all() and b.grad[mask].all()
    assert clean[2].grad is None and clean[3].grad is None  # the reference is held fixed


def test_numbers_at_the_start_and_gradients_far_from_it():
    values, masks = batch(5)
    start = dpo_loss(values[0], values[1], values[0], values[1], **masks)
    assert start.loss.item() == pytest.approx(math.log(2)) and start.accuracy == 0
    far = torch.tensor([-5000.0], requires_grad=True)
    zero = torch.zeros(1)
    dpo_loss(far, zero, zero, zero, DPOSettings(beta=1.0)).loss.backward()
    assert far.grad.item() == -1  # no overflow where the sigmoid is 0


def test_the_control_learns_from_the_winners_only():
    values, masks = batch(7)
    values = [one.requires_grad_() for one in values]
    found = dpo_loss(*values, DPOSettings(preference_weight=0, nll_weight=0.3), **masks)
    found.loss.backward()
    assert values[1].grad is None
    tokens = masks["chosen_mask"].sum()
    assert torch.allclose(values[0].grad, -0.3 * masks["chosen_mask"].double() / tokens)
    assert found.loss.item() == pytest.approx(0.3 * found.nll.item())
    assert found.preference > 0 and len(found.margins) == 4  # still measured


@pytest.mark.parametrize(
    "wrong, error, says",
    [
        (dict(chosen_mask=None), ValueError, r"chosen is \(4, 6\) with no mask"),
        (dict(rejected_mask=torch.ones(4, 5, dtype=torch.bool)), ValueError, r"a mask \(4, 5\)"),
        (dict(chosen_mask=torch.ones(4, 6)), TypeError, r"torch.float32.*mask.bool\(\)"),
        (dict(chosen_mask=torch.arange(4)[:, None] > torch.zeros(6)), ValueError, "without tokens"),
    ],
)
def test_bad_masks(wrong, error, says):
    values, masks = batch(0)
    with pytest.raises(error, match=says):
        dpo_loss(*values, **masks | wrong)


def test_bad_sums_and_settings():
    four, three = torch.zeros(4), torch.zeros(3)
    with pytest.raises(ValueError, match=r"\[4, 4, 4, 3\] rows"):
        dpo_loss(four, four, four, three)
    with pytest.raises(ValueError, match="chosen_tokens"):
        dpo_loss(four, four, four, four, DPOSettings(nll_weight=0.1))
    for wrong in (dict(beta=0), dict(beta=math.inf), dict(preference_weight=0), dict(nll_weight=-1)):
        with pytest.raises(ValueError, match="expected"):
            DPOSettings(**wrong)


@given(seeds)
@quick
def test_token_rewards_add_up_to_the_response(seed):
    values, masks = batch(seed)
    inside = masks["chosen_mask"].numpy()
    found = token_rewards(values[0].numpy(), values[2].numpy(), inside, beta=0.5)
    ratios = dpo_loss(*values, **masks).chosen_ratios
    np.testing.assert_allclose(found.sum(1), 0.5 * ratios.numpy())
    assert (found[~inside] == 0).all()
    centred = token_rewards(values[0].numpy(), values[2].numpy(), inside, beta=0.5, centred=True)
    np.testing.assert_allclose(centred.sum(1), 0, atol=1e-12)
    shift = found - centred  # the same for all tokens of a response
    for row, mask in zip(shift, inside):
        assert np.ptp(row[mask]) < 1e-12 and (row[~mask] == 0).all()
    with pytest.raises(ValueError, match="bool mask"):
        token_rewards(values[0], values[2], inside.astype(int))


def test_padding_ragged_rows():
    values, mask = pad([np.array([-1.0, -2.0], np.float32), [-3.0], []])
    np.testing.assert_array_equal(values, np.float32([[-1, -2], [-3, 0], [0, 0]]))
    assert values.dtype == np.float32 and mask.tolist() == [[True, True], [True, False], [False, False]]
    with pytest.raises(ValueError, match="no rows"):
        pad([])


@given(st.lists(st.integers(2, 9), max_size=8), st.booleans(), st.integers(1, 10))
@quick
def test_a_cut_response_has_no_end_token(words, ended, limit):
    end = 1
    response = words + [end] * ended
    found = truncate(response, limit, end=end)
    assert found == tuple(response) if len(words) <= limit else found == tuple(words[:limit])
    assert (end in found) == (ended and len(words) <= limit)
    assert truncate(response, limit) == tuple(response[:limit])


@given(st.text(alphabet="ab \n.", max_size=20), st.integers(1, 6))
@quick
def test_words_of_a_text(text, words):
    found, whole = truncate_text(text, words)
    assert text.startswith(found) and whole == (len(text.split()) <= words)
    assert found == text if whole else found.split() == text.split()[:words] and found[-1].strip()


def test_a_response_of_exactly_the_limit_keeps_its_end_token_where_words_are_counted():
    assert truncate([5, 6, 1], 2, end=1) == (5, 6, 1)
    assert truncate([5, 6, 1], 2) == (5, 6)  # all tokens count, as with TRL's max_length
    assert truncate([5, 6, 7, 1], 2, end=1) == (5, 6)


def test_no_words_left():
    for cut in (lambda: truncate([1], 0), lambda: truncate_text("a", 0)):
        with pytest.raises(ValueError, match="at least 1"):
            cut()
