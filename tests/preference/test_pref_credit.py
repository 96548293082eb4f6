from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from msig_lib.preference.credit import lowest_hits, step_rewards, threshold_hits, wrong_token_auc

quick = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 100_000)


def traces(seed, rows=5, longest=6):
    """Small integer rewards (ties), masks with gaps, and marked tokens in most of the traces."""
    rng = np.random.default_rng(seed)
    mask = rng.random((rows, longest)) < 0.8
    mask[:, 0] = True
    marked = mask & (rng.random((rows, longest)) < 0.4)
    marked[rng.random(rows) < 0.2] = False
    return rng.integers(-2, 3, (rows, longest)).astype(float), mask, marked


def lowest_by_hand(values, marked):
    lowest = [bool(marked[i]) for i in range(len(values)) if values[i] == min(values)]
    return sum(lowest) / len(lowest)


def threshold_by_hand(values, marked, threshold):
    first = next((i for i in range(len(values)) if values[i] < threshold), None)
    return float(first is not None and marked[first])


@given(seeds, st.sampled_from([-1.5, 0.0, 1.0, 9.0, -9.0]))
@quick
def test_hits_and_chance_against_all_orders(seed, threshold):
    rewards, mask, marked = traces(seed)
    low, below = lowest_hits(rewards, mask, marked), threshold_hits(rewards, mask, marked, threshold)
    rows = [row for row in range(len(rewards)) if marked[row].any()]
    assert low.rows.tolist() == below.rows.tolist() == rows
    for place, row in enumerate(rows):
        values, where = rewards[row][mask[row]], marked[row][mask[row]]
        assert low.hit[place] == pytest.approx(lowest_by_hand(values, where))
        assert below.hit[place] == threshold_by_hand(values, where, threshold)
        orders = [list(order) for order in permutations(values)]
        assert low.chance[place] == pytest.approx(np.mean([lowest_by_hand(o, where) for o in orders]))
        expected = np.mean([threshold_by_hand(o, where, threshold) for o in orders])
        assert below.chance[place] == pytest.approx(expected, abs=1e-12)


@given(seeds)
@quick
def test_auc_is_scikit_learns(seed):
    rewards, mask, marked = traces(seed)
    found = wrong_token_auc(rewards, mask, marked)
    for row, value in enumerate(found):
        where = marked[row][mask[row]]
        if where.all() or not where.any():
            assert np.isnan(value)
        else:
            assert value == pytest.approx(roc_auc_score(where, -rewards[row][mask[row]]))
    if marked.any() and (mask & ~marked).any():
        pooled = wrong_token_auc(rewards, mask, marked, pooled=True)
        assert pooled == pytest.approx([roc_auc_score(marked[mask], -rewards[mask])])


def test_nothing_outside_the_mask_is_looked_at():
    rewards = np.array([[0.0, -1.0, np.nan, -99.0]])
    mask, marked = np.array([[True, True, False, False]]), np.array([[False, True, False, False]])
    assert lowest_hits(rewards, mask, marked).hit.tolist() == [1.0]
    assert threshold_hits(rewards, mask, marked, -0.5).hit.tolist() == [1.0]
    assert wrong_token_auc(rewards, mask, marked).tolist() == [1.0]


def test_no_trace_with_a_mistake():
    rewards, mask, _ = traces(0)
    none = np.zeros_like(mask)
    for found in (lowest_hits(rewards, mask, none), threshold_hits(rewards, mask, none, 0.0)):
        assert len(found.rows) == len(found.hit) == len(found.chance) == 0


@pytest.mark.parametrize("how, combine", [("mean", np.mean), ("sum", np.sum), ("min", np.min)])
def test_rewards_of_steps(how, combine):
    rng = np.random.default_rng(3)
    rewards, steps = rng.normal(size=(6, 9)), rng.integers(-1, 4, (6, 9))
    steps[0] = np.where(steps[0] == 2, 3, steps[0])  # a step without tokens
    values, mask = step_rewards(rewards, steps, how=how)
    assert values.shape == mask.shape == (6, 4) and not mask[0, 2]
    for row in range(6):
        for step in range(4):
            inside = rewards[row][steps[row] == step]
            assert mask[row, step] == bool(len(inside))
            assert values[row, step] == pytest.approx(combine(inside) if len(inside) else 0.0)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda r, m, w: lowest_hits(r, m[:, 1:], w), ValueError, r"mask \(5, 5\)"),
        (lambda r, m, w: lowest_hits(r, m, w.astype(int)), TypeError, "marks int64"),
        (lambda r, m, w: lowest_hits(r, m, ~m), ValueError, "outside the mask"),
        (lambda r, m, w: lowest_hits(np.where(m, np.inf, r), m, w), ValueError, "not finite"),
        (lambda r, m, w: threshold_hits(r, m, w, np.nan), ValueError, "threshold is NaN"),
        (lambda r, m, w: step_rewards(r, m), ValueError, "integers"),
        (lambda r, m, w: step_rewards(r, m.astype(int), how="max"), ValueError, "how is 'max'"),
    ],
)
def test_bad_input(call, error, says):
    with pytest.raises(error, match=says):
        call(*traces(0))
