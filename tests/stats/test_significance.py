"""The significance tests against scipy, the formulas of Yang and Liu, loops, and what they must control."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from msig_lib.stats import holm, macro_t_test, micro_sign_test, micro_sign_test_decisions


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_macro_t_test_is_the_paired_t_test_over_labels(alternative):
    a, b = np.random.default_rng(0).random((2, 40))
    b[3] = np.nan
    got = macro_t_test(a, b, alternative)
    keep = ~np.isnan(b)
    want = stats.ttest_rel(a[keep], b[keep], alternative=alternative)
    assert (got.statistic, got.pvalue) == pytest.approx((want.statistic, want.pvalue))
    assert got.n == 39 and got.effect == pytest.approx((a - b)[keep].mean())
    d = (a - b)[keep]
    assert got.statistic == pytest.approx(d.mean() / (d.std(ddof=1) / math.sqrt(39)))


def test_seeds_are_averaged_before_testing():
    a, b = np.random.default_rng(0).random((2, 3, 25))
    got, want = macro_t_test(a, b), stats.ttest_rel(a.mean(0), b.mean(0), alternative="greater")
    assert got.n == 25 and got.pvalue == pytest.approx(want.pvalue)


def test_equal_sides_are_not_significant_and_constant_gains_are():
    x = np.array([0.5, 0.25, 0.75])
    assert macro_t_test(x, x).pvalue == 1 and micro_sign_test(x, x).pvalue == 1
    assert macro_t_test(x + 0.25, x).pvalue == 0 and macro_t_test(x - 0.25, x).pvalue == 1
    assert macro_t_test(x - 0.25, x, "less").pvalue == 0


def test_sign_test_by_hand():
    # 8 wins of 10 untied items: (45 + 10 + 1) / 1024.
    a = np.array([1.0] * 8 + [0.0] * 2 + [0.5] * 5)
    b = np.array([0.0] * 8 + [1.0] * 2 + [0.5] * 5)
    got = micro_sign_test(a, b)
    assert got.pvalue == pytest.approx(56 / 1024) and got.n == 10 and got.statistic == 0.8
    assert micro_sign_test(a, b, "two-sided").pvalue == pytest.approx(112 / 1024)
    # Yang and Liu's normal approximation, for many items.
    a, b = np.repeat([1.0, 0.0], [540, 460]), np.repeat([0.0, 1.0], [540, 460])
    z = (540 - 500) / (0.5 * math.sqrt(1000))
    assert micro_sign_test(a, b).pvalue == pytest.approx(stats.norm.sf(z), abs=0.002)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 10), st.integers(3, 8), st.integers(1, 3))
def test_decisions_are_counted_as_in_a_loop(seed, n_docs, n_labels, k):
    rng = np.random.default_rng(seed)
    ranks = [np.argsort(rng.random((n_docs, n_labels)), axis=1)[:, :k] for _ in range(2)]
    ranks[0][rng.random(ranks[0].shape) < 0.2] = -1
    truth = (rng.random((n_docs, n_labels)) < 0.4).astype(int)
    wins = losses = 0
    for doc in range(n_docs):
        for label in range(n_labels):
            right = [(label in r[doc]) == bool(truth[doc, label]) for r in ranks]
            wins += right[0] and not right[1]
            losses += right[1] and not right[0]
    got = micro_sign_test_decisions(*ranks, truth, k)
    assert got.n == wins + losses
    if got.n:
        want = sum(math.comb(got.n, i) for i in range(wins, got.n + 1)) / 2**got.n
        assert got.statistic == wins / got.n and got.pvalue == pytest.approx(want)


def slow_holm(p):
    m, order, running, out = len(p), sorted(range(len(p)), key=p.__getitem__), 0.0, [0.0] * len(p)
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (m - rank) * p[i]))
        out[i] = running
    return out


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_the_step_down_formula(p):
    adjusted = holm(p)
    np.testing.assert_allclose(adjusted, slow_holm(p))
    # The rejections at 5% are those of Holm's procedure: stop at the first p > alpha / (m - i).
    rejected = 0
    for i, value in enumerate(sorted(p)):
        if value > 0.05 / (len(p) - i):
            break
        rejected += 1
    near = np.abs(adjusted - 0.05) < 1e-12
    assert near.any() or int((adjusted <= 0.05).sum()) == rejected


def test_holm_keeps_the_shape_and_leaves_nan_out():
    got = holm([[0.01, np.nan], [0.04, 0.03]])
    np.testing.assert_allclose(got, [[0.03, np.nan], [0.06, 0.06]])


def test_holm_controls_false_marks_in_a_table():
    p = np.random.default_rng(0).random((4000, 12))  # 12 comparisons, none of them real
    assert ((p < 0.05).any(axis=1)).mean() > 0.4
    assert 0.04 < np.mean([(holm(row) < 0.05).any() for row in p]) < 0.06


def test_p_values_are_uniform_when_nothing_differs():
    rng = np.random.default_rng(1)
    p = [macro_t_test(rng.normal(size=60), rng.normal(size=60)).pvalue for _ in range(1500)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: macro_t_test([1.0], [2.0]), "at least 2"),
        (lambda: macro_t_test([1.0, 2.0], [1.0]), "shape"),
        (lambda: micro_sign_test([1.0, 2.0], [2.0, 1.0], "better"), "'greater'"),
        (lambda: holm([0.5, 1.5]), "between 0 and 1"),
    ],
)
def test_mistakes_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
