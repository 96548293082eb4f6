"""The Johnson-Lindenstrauss statement holds on its range and fails beyond it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from msig_lib.theory import checks, jl
from msig_lib.theory import random_projection as rp

WIDTHS = st.integers(1, 3000)


@given(st.floats(1e-3, 1.6237), st.floats(-1, 1), WIDTHS)
def test_statement_holds_on_its_range(gamma, cosine, d):
    assert jl.failure_probability(gamma, cosine, d) <= jl.stated_bound(gamma, d) + 1e-9


@given(st.floats(1e-3, 20), st.floats(-1, 1), WIDTHS)
def test_chi_square_form_holds_for_every_gamma(gamma, cosine, d):
    assert jl.failure_probability(gamma, cosine, d) <= jl.chi_square_bound(gamma, d) + 1e-9


@given(st.floats(1e-3, 1.6237), WIDTHS)
def test_chi_square_form_is_the_sharper_one_on_the_range(gamma, d):
    assert jl.chi_square_bound(gamma, d) <= jl.stated_bound(gamma, d) * (1 + 1e-9)


@given(st.floats(1e-3, 20), WIDTHS)
def test_chernoff_bounds_the_tails(gamma, d):
    for exact, bound in zip(jl.length_tails(gamma, d), jl.chernoff_tails(gamma, d)):
        assert exact <= bound * (1 + 1e-9) + 1e-300


@given(st.floats(1e-3, 3), st.floats(-1, 1), WIDTHS)
def test_one_sided_form_bounds_the_lower_deviation(gamma, cosine, d):
    assert rp.product_cdf(cosine - gamma, cosine, d) <= jl.one_sided_bound(gamma, d) + 1e-9


@pytest.mark.parametrize(("gamma", "d"), [(10.0, 1), (5.0, 4), (3.0, 16), (2.0, 256), (1.8, 1000)])
def test_unconditioned_statement_is_false(gamma, d):
    """a = b: |Ea|^2 is a chi-square over d, whose tail is known without our code."""
    assert stats.chi2.sf(d * (1 + gamma), d) > 4 * np.exp(-(gamma**2) * d / 8)


def test_range_is_the_best_possible():
    limit = jl.largest_gamma()
    assert limit - np.log1p(limit) == pytest.approx(limit**2 / 4, abs=1e-12)
    # beyond it the large-deviation rate of the chi-square is below gamma^2 / 8
    for gamma in (limit + 0.02, 2.0, 5.0):
        assert (gamma - np.log1p(gamma)) / 2 < gamma**2 / 8


def test_failure_probability_against_simulation():
    rng = np.random.default_rng(0)
    drawn = rp.simulate_products(0.3, 20, 30_000, rng)
    share = np.mean(np.abs(drawn - 0.3) >= 0.4)
    assert jl.failure_probability(0.4, 0.3, 20) == pytest.approx(share, abs=0.007)


def test_gamma_must_be_positive():
    with pytest.raises(checks.TheoryError, match="positive"):
        jl.stated_bound(0.0, 4)
