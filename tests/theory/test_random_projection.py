"""The exact law against Student's t, the F ratio, whole random matrices, and its two-sided bounds."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from msig_lib.theory import checks
from msig_lib.theory import random_projection as rp

COSINES = st.floats(-0.999, 0.999)
WIDTHS = st.integers(1, 2000)


@given(COSINES, WIDTHS)
def test_error_probability_is_students_tail_and_the_f_ratio(cosine, d):
    student = stats.t.cdf(-np.sqrt(d) * cosine / np.sqrt(1 - cosine**2), d)
    ratio = stats.f.cdf((1 - cosine) / (1 + cosine), d, d)
    assert rp.error_probability(cosine, d) == pytest.approx(student, rel=1e-6, abs=1e-200)
    assert rp.error_probability(cosine, d) == pytest.approx(ratio, rel=1e-6, abs=1e-200)


@given(st.floats(0, 0.999), WIDTHS)
def test_exact_probability_lies_between_floor_and_bound(cosine, d):
    exact = rp.error_probability(cosine, d)
    assert rp.error_floor(cosine, d) <= exact * (1 + 1e-9) + 1e-300
    assert exact <= rp.error_bound(cosine, d) * (1 + 1e-9) + 1e-300
    assert rp.error_bound(cosine, d) <= 0.5 * np.exp(-d * cosine**2 / 2) * (1 + 1e-9)


@given(st.floats(0.001, 0.99), st.integers(1, 500))
def test_error_probability_falls_with_cosine_and_width(cosine, d):
    assert rp.error_probability(cosine, d + 1) <= rp.error_probability(cosine, d)
    assert rp.error_probability(min(cosine + 0.01, 1), d) <= rp.error_probability(cosine, d)


@given(st.floats(1e-250, 0.49), WIDTHS)
def test_needed_cosine_inverts_the_law(probability, d):
    cosine = rp.needed_cosine(probability, d)
    assume(cosine < 0.9999)  # closer to 1 the cosine itself has too few digits
    assert np.log(rp.error_probability(cosine, d)) == pytest.approx(np.log(probability), rel=1e-5, abs=1e-5)


def test_law_against_whole_embedding_matrices():
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((2, 30))
    b += 0.9 * a
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    wrong = 0
    for _ in range(4000):
        e = rp.embedding(6, 30, rng)
        wrong += (e @ a) @ (e @ b) <= 0
    low, high = stats.binomtest(int(wrong), 4000).proportion_ci(0.999)
    assert low <= rp.error_probability(cosine, 6) <= high


@settings(max_examples=20, deadline=None)
@given(COSINES, st.integers(1, 400), st.floats(-2, 3))
def test_product_cdf_agrees_with_conditional_normal_integral(cosine, d, value):
    """Given r = |Ea|, <Ea, Eb> is normal with mean c r^2 and variance (1 - c^2) r^2 / d."""

    def inner(r):
        spread = np.sqrt((1 - cosine**2) / d) * r
        return (
            stats.norm.cdf((value - cosine * r**2) / spread) * stats.chi.pdf(r * np.sqrt(d), d) * np.sqrt(d)
        )

    centre = 1.0
    expected, _ = integrate.quad(
        inner, 1e-12, 1 + 12 / np.sqrt(d), points=[centre, max(0.01, 1 - 2 / np.sqrt(d))], limit=400
    )
    assert rp.product_cdf(value, cosine, d) == pytest.approx(expected, abs=2e-6)


@given(COSINES, st.integers(1, 600))
def test_product_cdf_at_zero_is_the_error_probability(cosine, d):
    assert rp.product_cdf(0.0, cosine, d) == pytest.approx(float(rp.error_probability(cosine, d)), abs=1e-9)


@pytest.mark.parametrize("cosine", [-1.0, 1.0])
def test_product_cdf_of_parallel_vectors_is_chi_square(cosine):
    values = np.array([-1.3, -0.2, 0.0, 0.7, 1.4])
    law = stats.chi2(9, scale=1 / 9)
    expected = law.cdf(values) if cosine > 0 else law.sf(-values)
    np.testing.assert_allclose(rp.product_cdf(values, cosine, 9), expected, atol=1e-10)


def test_simulation_moments_and_repeatability():
    draws = rp.simulate_products(0.4, 25, 40_000, np.random.default_rng(1))
    again = rp.simulate_products(0.4, 25, 40_000, np.random.default_rng(1))
    np.testing.assert_array_equal(draws, again)
    assert draws.mean() == pytest.approx(0.4, abs=0.006)
    assert draws.var() == pytest.approx((1 + 0.4**2) / 25, rel=0.03)


@pytest.mark.parametrize(("margin", "labels", "d"), [(0.3, 20, 64), (0.6, 5, 8), (0.0, 3, 16), (1.0, 4, 3)])
def test_any_error_against_whole_matrices(margin, labels, d):
    rng = np.random.default_rng(2)
    a = np.zeros(labels + 2)
    a[0], a[-1] = margin, np.sqrt(1 - margin**2)
    wrong = 0
    for _ in range(3000):
        scores = (e := rp.embedding(d, labels + 2, rng)).T @ (e @ a)
        wrong += np.any(scores[0] <= scores[1:-1])
    low, high = stats.binomtest(int(wrong), 3000).proportion_ci(0.999)
    exact = rp.any_error_probability(margin, labels, d)
    assert low <= exact <= high
    drawn = rp.simulate_any_error(margin, labels, d, 4000, rng).sum()
    low, high = stats.binomtest(int(drawn), 4000).proportion_ci(0.999)
    assert low <= exact <= high


@given(st.floats(0.0, 1.0), st.integers(1, 10**6), st.integers(1, 1024))
def test_union_of_exact_pairs_bounds_any_error(margin, labels, d):
    union = labels * rp.error_probability(margin / np.sqrt(2), d)
    assert rp.any_error_probability(margin, labels, d) <= union + 1e-7


def test_one_negative_is_one_pair():
    assert rp.any_error_probability(0.4, 1, 32) == pytest.approx(
        float(rp.error_probability(0.4 / np.sqrt(2), 32)), abs=1e-9
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rp.error_probability(1.2, 8), "cosines lie in"),
        (lambda: rp.error_probability(0.5, 0), "embedding width"),
        (lambda: rp.error_probability(0.5, 2.5), "embedding width"),
        (lambda: rp.needed_cosine(1.5, 8), "between 0 and 1"),
        (lambda: rp.any_error_probability(1.2, 3, 8), "normalise"),
        (lambda: rp.any_error_probability(0.2, 0, 8), "at least one"),
    ],
)
def test_mistakes_are_explained(call, message):
    with pytest.raises(checks.TheoryError, match=message):
        call()
