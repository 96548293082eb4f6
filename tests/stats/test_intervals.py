"""Intervals: how often they cover the truth in simulated experiments, and their exact small cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from msig_lib.stats import mean_interval, paired_interval, psp_terms, ratio_interval

TRUTH = 0.1


def experiment(rng, n_seeds, n_items, seed_sd, item_sd, noise_sd):
    """Two-way random effects: seeds, items, and what is particular to a seed on an item."""
    seed = seed_sd * rng.normal(size=(n_seeds, 1))
    return TRUTH + seed + item_sd * rng.normal(size=n_items) + noise_sd * rng.normal(size=(n_seeds, n_items))


def two_way_bootstrap(x, rng, n_boot=300):
    """The textbook interval that we do not use: seeds and items drawn with replacement."""
    s, n = x.shape
    draws = [x[rng.integers(s, size=s)][:, rng.integers(n, size=n)].mean() for _ in range(n_boot)]
    return np.quantile(draws, [0.025, 0.975])


@pytest.mark.parametrize(
    ("n_seeds", "n_items", "sds", "low", "high"),
    [
        (1, 100, (0, 1, 0), 0.92, 0.98),
        (3, 100, (0, 1, 1), 0.92, 0.99),
        (3, 100, (0.1, 1, 1), 0.92, 0.99),
        (3, 100, (1, 1, 1), 0.92, 0.98),
        (5, 12, (0.5, 1, 1), 0.92, 0.99),
    ],
)
def test_95_percent_intervals_cover(n_seeds, n_items, sds, low, high):
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(600):
        got = mean_interval(experiment(rng, n_seeds, n_items, *sds), rng=rng, n_boot=300)
        covered += got.lo <= TRUTH <= got.hi
    # 600 experiments: the standard error of a coverage of .95 is .009.
    assert low <= covered / 600 <= high


def test_resampling_three_seeds_covers_far_too_little():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(150):
        lo, hi = two_way_bootstrap(experiment(rng, 3, 60, 1, 1, 1), rng)
        covered += lo <= TRUTH <= hi
    assert covered / 150 < 0.85  # the reason for the t part of ours


def test_ratio_interval_covers_the_ratio():
    rng, covered = np.random.default_rng(5), 0
    for _ in range(400):
        den = rng.gamma(2.0, size=80)
        num = den * rng.beta(2, 3, size=80)  # E[num] / E[den] = 2/5
        got = ratio_interval(num, den, rng=rng, n_boot=300)
        assert got.estimate == pytest.approx(num.sum() / den.sum())
        covered += got.lo <= 0.4 <= got.hi
    assert 0.91 <= covered / 400 <= 0.985


def test_one_item_is_the_t_interval_over_seeds():
    a, b = np.array([[0.5], [0.7], [0.9]]), np.array([[0.4], [0.4], [0.8]])
    got = paired_interval(a, b, rng=np.random.default_rng(0))
    want = stats.t.interval(0.95, 2, loc=(a - b).mean(), scale=stats.sem((a - b).ravel()))
    assert (got.lo, got.hi) == pytest.approx(want)
    assert (got.n_seeds, got.n_items) == (3, 1)


def test_one_seed_and_one_item_have_no_interval():
    got = mean_interval([[0.5]], rng=np.random.default_rng(0))
    assert got.estimate == 0.5 and np.isnan(got.lo) and np.isnan(got.hi)


def test_many_seeds_on_items_that_do_not_vary_give_the_t_interval():
    x = np.repeat(np.random.default_rng(1).normal(size=(6, 1)), 50, axis=1)
    got = mean_interval(x, rng=np.random.default_rng(0), n_boot=4000)
    want = stats.t.interval(0.95, 5, loc=x[:, 0].mean(), scale=stats.sem(x[:, 0]))
    assert (got.lo, got.hi) == pytest.approx(want, rel=0.02)


def test_many_items_of_one_seed_give_the_normal_interval():
    x = np.random.default_rng(1).normal(size=3000)
    got = mean_interval(x, rng=np.random.default_rng(0), n_boot=4000)
    assert (got.lo, got.hi) == pytest.approx(stats.norm.interval(0.95, x.mean(), stats.sem(x)), abs=0.003)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 30), st.floats(-3, 3), st.floats(0.1, 10))
def test_shift_scale_and_sides(seed, n_seeds, n_items, shift, scale):
    g = np.random.default_rng(seed)
    a, b = g.normal(size=(2, n_seeds, n_items))
    base = paired_interval(a, b, rng=np.random.default_rng(1), n_boot=200)
    assert base.estimate == pytest.approx((a - b).mean())
    assert base.lo <= base.estimate + 1e-9 and base.hi >= base.estimate - 1e-9
    moved = paired_interval(scale * a + shift, scale * b, rng=np.random.default_rng(1), n_boot=200)
    want = [scale * v + shift for v in (base.estimate, base.lo, base.hi)]
    assert [moved.estimate, moved.lo, moved.hi] == pytest.approx(want, abs=1e-8)
    order = g.permutation(n_seeds)
    again = paired_interval(a[order], b[order], rng=np.random.default_rng(1), n_boot=200)
    assert [again.lo, again.hi] == pytest.approx([base.lo, base.hi], abs=1e-8)


def test_nan_items_are_dropped_pairwise():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 3, 20))
    b[:, 4], a[:, 7] = np.nan, np.nan
    keep = [i for i in range(20) if i not in (4, 7)]
    got = paired_interval(a, b, rng=np.random.default_rng(0))
    want = paired_interval(a[:, keep], b[:, keep], rng=np.random.default_rng(0))
    assert got == want and got.n_items == 18
    b[0, 1] = np.nan  # missing for one seed only: the others still count
    want = np.mean([np.nanmean((a - b)[s]) for s in range(3)])
    assert paired_interval(a, b, rng=rng).estimate == pytest.approx(want)


def test_one_row_is_one_model_for_all_seeds():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(3, 20)), rng.normal(size=20)
    got = paired_interval(a, b, rng=np.random.default_rng(0))
    assert got == paired_interval(a, np.tile(b, (3, 1)), rng=np.random.default_rng(0))
    assert got.n_seeds == 3


def test_psp_with_a_fixed_denominator_is_close_to_the_ratio_for_a_paired_difference():
    rng = np.random.default_rng(4)
    truth = (rng.random((600, 30)) < 0.1).astype(int)
    q = rng.uniform(0.1, 0.9, 30)
    scores = rng.random((2, 600, 30)) + np.array([0.35, 0.3])[:, None, None] * truth
    terms = [psp_terms(np.argsort(-s, axis=1)[:, :3], truth, q, 3) for s in scores]
    best = terms[0][1]
    pooled = ratio_interval(terms[0][0] - terms[1][0], best, rng=np.random.default_rng(0))
    fixed = paired_interval(
        terms[0][0] / best.mean(), terms[1][0] / best.mean(), rng=np.random.default_rng(0)
    )
    assert fixed.estimate == pytest.approx(pooled.estimate)
    assert (fixed.lo, fixed.hi) == pytest.approx((pooled.lo, pooled.hi), abs=0.1 * (pooled.hi - pooled.lo))


def test_the_same_generator_gives_the_same_interval_whatever_the_chunk(monkeypatch):
    x = np.random.default_rng(0).normal(size=(3, 50))
    first = mean_interval(x, rng=np.random.default_rng(9))
    assert first == mean_interval(x, rng=np.random.default_rng(9))
    monkeypatch.setattr("msig_lib.stats.intervals.CHUNK", 500)
    other = mean_interval(x, rng=np.random.default_rng(9))
    assert (other.lo, other.hi) == pytest.approx((first.lo, first.hi))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 3)), "same seeds or a single row"),
        (np.zeros(3), np.zeros(4), "same items"),
        (np.zeros((0, 3)), np.zeros(3), "not empty"),
        (np.full(3, np.nan), np.zeros(3), "every entry is NaN"),
        (np.array([np.inf, 1]), np.zeros(2), "infinite"),
    ],
)
def test_mistakes_say_what_to_do(a, b, message):
    with pytest.raises(ValueError, match=message):
        paired_interval(a, b, rng=np.random.default_rng(0))


def test_level_and_resamples_are_checked():
    with pytest.raises(ValueError, match="level=95"):
        mean_interval([1.0, 2.0], rng=np.random.default_rng(0), level=95)
    with pytest.raises(ValueError, match="denominators"):
        ratio_interval([1.0, 2.0], [1.0], rng=np.random.default_rng(0))
