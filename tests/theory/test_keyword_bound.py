"""Definition 1, Lemmas 4 and 5 and Theorem 3: true where their conditions hold, false where they do not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from msig_lib.theory import checks
from msig_lib.theory import keyword_bound as kb
from msig_lib.theory import random_projection as rp

UNIT = st.floats(0, 1, width=32)


@st.composite
def worlds(draw):
    v = draw(st.integers(2, 8))
    phi = draw(arrays(np.float64, (4, v), elements=UNIT)) + 1e-3
    w = draw(arrays(np.float64, (5, v), elements=UNIT))
    phi /= np.linalg.norm(phi, axis=1, keepdims=True)
    return phi, w / max(np.linalg.norm(w, axis=1).max(), 1e-9), draw(st.integers(0, v))


@given(worlds())
def test_lemma_4_holds_for_non_negative_weights(world):
    phi, w, k = world
    v = kb.top_keywords(w, k).toarray()
    delta = kb.smallest_delta(phi, w, v)
    full, kept = phi @ w.T, phi @ v.T
    for p in range(len(w)):
        for n in range(len(w)):
            change = (kept[:, p] - kept[:, n]) - (full[:, p] - full[:, n])
            # one-sided and label-wise: sharper than the thesis's |change| <= delta
            assert np.all(change >= -delta[p] - 1e-9)
            assert np.all(change <= delta[n] + 1e-9)


def test_lemma_4_fails_for_signed_weights():
    phi = np.array([[0.6, 0.8]])
    w = np.array([[0.5, 0.0], [0.4, -0.5]])
    v = kb.top_keywords(w, 1).toarray()
    delta = kb.smallest_delta(phi, w, v).max()
    change = (phi @ (v[0] - v[1]) - phi @ (w[0] - w[1])).item()
    assert delta == pytest.approx(0.0)  # keywords score higher than the full weights
    assert change == pytest.approx(-0.4)  # and yet the margin falls


@given(worlds())
def test_largest_margin_is_one_and_length_at_most_root_two(world):
    phi, w, _ = world
    gaps = w[:, None] - w[None]
    assert (phi @ gaps.reshape(-1, w.shape[1]).T).max() <= kb.LARGEST_MARGIN + 1e-9
    assert np.linalg.norm(gaps, axis=-1).max() <= kb.SQRT2 + 1e-9


@given(st.floats(1e-3, 1), st.integers(1, 2000), st.floats(0.05, 1))
def test_exact_bound_is_below_both_printed_forms(margin, d, shrink):
    """For every |b| <= sqrt 2 that the margin allows, the true chance obeys all three bounds."""
    length = max(margin, kb.SQRT2 * shrink)
    true = rp.error_probability(min(margin / length, 1), d)
    exact = kb.exact_bound(margin, d)
    assert true <= exact * (1 + 1e-9) + 1e-300
    assert exact <= kb.stated_bound(margin, d, "non-negative") * (1 + 1e-9)
    assert kb.stated_bound(margin, d, "non-negative") <= kb.stated_bound(margin, d) * (1 + 1e-9)


@given(st.integers(2, 10**7), st.integers(8, 4096))
def test_corrected_thresholds_give_one_over_m_and_the_printed_one_four_over_m(m, d):
    for form, divisor in (("printed", 50), ("corrected", 50), ("non-negative", 18)):
        margin = kb.required_margin(m, d, form)
        bound = m * 4 * np.exp(-(margin**2) * d / divisor)
        assert bound == pytest.approx((4 if form == "printed" else 1) / m, rel=1e-6)


@given(st.integers(2, 10**6), st.integers(64, 4096))
def test_exact_threshold_gives_one_over_m(m, d):
    margin = float(kb.required_margin(m, d, "exact"))
    assert kb.union_bound(margin, m, d, "exact") == pytest.approx(1 / m, rel=1e-4)
    assert margin < kb.required_margin(m, d, "non-negative")


def test_printed_condition_fails_on_eurlex():
    m, d = 3955, 768
    margin = kb.required_margin(m, d, "printed")
    assert kb.union_bound(margin, m, d) == pytest.approx(1.0114e-3, rel=1e-3)
    assert kb.union_bound(margin, m, d) > 1 / m


def test_proofs_squared_condition_fails():
    """(eps - delta)^2 >= 10 sqrt(ln M / d), as the proof prints it, does not give 1/M at BERT's width."""
    m = 3955

    def bound(d):
        return kb.union_bound((10 * np.sqrt(np.log(m) / d)) ** 0.5, m, d)

    assert bound(768) > 1 / m
    assert bound(1024) < 1 / m  # it suffices from d = 25 ln(4 M^2)^2 / ln M = 973 on


def test_vacuity_table_at_berts_width():
    table = kb.vacuity_table()
    assert len(table) == 12
    bert = table[table.d == 768]
    assert not bert["corrected attainable"].any()
    assert bert["exact attainable"].all()
    np.testing.assert_allclose(bert.corrected, [1.0811, 1.1519, 1.1986, 1.3413], atol=1e-4)


@settings(max_examples=40)
@given(arrays(np.float64, (4, 6), elements=st.floats(-1, 1)), st.integers(0, 7))
def test_top_keywords_against_brute_force(w, k):
    v = kb.top_keywords(sparse.csr_matrix(w), k).toarray()
    for row, kept in zip(w, v):
        best = sorted((x for x in row if x > 0), reverse=True)[:k]
        assert sorted(kept[kept > 0], reverse=True) == pytest.approx(best)
        assert np.all((kept == 0) | (kept == row))


def test_positive_form_keeps_ranks_and_shrinks_margins():
    rng = np.random.default_rng(0)
    phi = np.abs(rng.standard_normal((20, 40)))
    phi /= np.linalg.norm(phi, axis=1, keepdims=True)
    w = rng.standard_normal((8, 40))
    w /= np.linalg.norm(w, axis=1).max()
    positive = kb.positive_form(w)
    assert positive.min() >= 0
    assert np.linalg.norm(positive, axis=1).max() == pytest.approx(1)
    np.testing.assert_array_equal(np.argsort(phi @ w.T), np.argsort(phi @ positive.T))
    before, after = (np.ptp(phi @ x.T, axis=1) for x in (w, positive))
    assert np.all(after < before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kb.stated_bound(0.1, 8, "best"), "unknown form"),
        (lambda: kb.required_margin(10, 8, "best"), "unknown form"),
        (lambda: kb.required_margin(1, 8, "exact"), "at least 2"),
        (lambda: kb.top_keywords(np.eye(2), -1), "negative"),
    ],
)
def test_mistakes_are_explained(call, message):
    with pytest.raises(checks.TheoryError, match=message):
        call()
