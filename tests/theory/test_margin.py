"""The loss against its definition, SymPy and autograd; where Theorem 7 is true, and where it is not."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from msig_lib.theory import checks, margin, margin_symbolic

SCORES = st.floats(-30, 30)
TAUS = st.floats(0.05, 1.0)


@pytest.mark.parametrize("statement", list(margin_symbolic.verify()))
def test_sympy_proves_every_statement(statement):
    assert margin_symbolic.verify()[statement]


def test_sympy_check_can_fail(monkeypatch):
    first, second = margin_symbolic.printed_slope()
    monkeypatch.setattr(margin_symbolic, "printed_slope", lambda: (-first, second))
    assert not margin_symbolic.verify()["(3.21) is the derivative of (3.20)"]


@given(SCORES, TAUS)
def test_loss_is_the_definition(d, tau):
    scores = torch.tensor([[d, 0.0]], dtype=torch.float64)
    expected = margin.contrastive_loss(scores, tau, detached=False)
    assert margin.loss(d, tau) == pytest.approx(float(expected), rel=1e-9, abs=1e-12)


@given(st.lists(SCORES, min_size=1, max_size=6), TAUS, st.booleans())
def test_slope_is_autograds(d, tau, detached):
    np.testing.assert_allclose(
        margin.slope(np.array(d), tau, detached=detached),
        margin.autograd_slope(np.array(d), tau, detached=detached),
        rtol=1e-7, atol=1e-10,
    )  # fmt: skip


@given(SCORES, TAUS)
def test_loss_is_even(d, tau):
    assert margin.loss(d, tau) == pytest.approx(float(margin.loss(-d, tau)), rel=1e-9, abs=1e-12)


@given(SCORES)
def test_limits(d):
    assert margin.loss(d, 1.0) == pytest.approx(float(margin.entropy(d)), rel=1e-7, abs=1e-11)
    assert margin.entropy(d) == pytest.approx(stats.bernoulli(1 / (1 + np.exp(-d))).entropy(), abs=1e-10)
    assert margin.loss(d, 1e-4) == pytest.approx(float(margin.sharp_loss(d)), abs=1e-4)
    assert margin.slope(d, 1.0, detached=True) == 0


@given(st.floats(0, 300), TAUS)
def test_tail_bounds(m, tau):
    low, high = margin.tail_bounds(m)
    assert low <= margin.loss(m, tau) * (1 + 1e-12)
    assert margin.loss(m, tau) <= high * (1 + 1e-12)


def test_at_temperature_one_the_dropped_term_dominates():
    """(3.27) keeps log(1 + e^m) - m, about e^-m, and drops m e^-m."""
    m = np.array([5.0, 10.0, 20.0])
    kept = np.log1p(np.exp(-m))
    assert np.all(margin.loss(m, 1.0) / kept > m)
    np.testing.assert_allclose(margin.loss(m, 0.1) / kept, 1, atol=1e-9)


@given(st.floats(1e-3, 20), st.floats(0.05, 2.0), st.sampled_from([-1.0, 1.0]), st.floats(0.01, 100))
def test_single_score_grows_for_temperatures_up_to_two(d, tau, sign, rate):
    assert abs(margin.step_alone(sign * d, tau, rate)) > d * (1 - 1e-12)
    assert margin.slope(sign * d, tau) * sign < 0


@given(st.floats(1e-3, 20), st.floats(0.05, 0.999), st.sampled_from([-1.0, 1.0]))
def test_single_score_grows_with_q_fixed_below_one(d, tau, sign):
    assert margin.slope(sign * d, tau, detached=True) * sign < 0


@given(st.floats(2.2, 10), st.floats(1e-3, 0.05))
def test_single_score_shrinks_above_two(tau, d):
    assert margin.slope(d, tau) > 0


@given(st.floats(1.05, 10), st.floats(0.01, 20))
def test_single_score_shrinks_with_q_fixed_above_one(tau, d):
    assert margin.slope(d, tau, detached=True) > 0


def test_counterexample_wrong_pseudo_label():
    """A text of class 1 with score -0.1: its margin falls to -0.503 in one step at rate 1."""
    assert margin.step_alone(-0.1, 0.1, 1.0) == pytest.approx(-0.50269, abs=1e-5)


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("rate", [1e-2, 1e-4, 1e-6])
def test_counterexample_shared_weights(detached, rate):
    """Both pseudo labels are right, and the first margin falls, however small the step."""
    points = np.array([[1.0, 0.0], [-10.0, 1.0]])
    w = np.array([0.1, 1.2])
    after = points @ margin.step_shared(w, points, 0.1, rate, detached=detached)
    assert np.all(points @ w > 0)
    assert 0 < after[0] < 0.1
    assert after[1] > 0.2


POINTS = arrays(np.float64, (5, 3), elements=st.floats(-2, 2))
WEIGHTS = arrays(np.float64, (3,), elements=st.floats(-2, 2))


@given(POINTS, WEIGHTS, TAUS, st.floats(1e-3, 1e3), st.booleans())
def test_weighted_margin_gain_is_the_squared_gradient(points, w, tau, rate, detached):
    """Our Theorem 7, for every step size and every separable or inseparable set."""
    assume(tau < 1 or not detached)
    gain, square = margin.margin_gain(w, points, tau, rate, detached=detached)
    assert gain == pytest.approx(square, rel=1e-6, abs=1e-9)


@given(arrays(np.float64, (5, 3), elements=st.floats(0, 2)), TAUS, st.floats(1e-3, 1e3), st.data())
def test_every_margin_grows_when_signed_points_are_pairwise_acute(directions, tau, rate, data):
    signs = data.draw(arrays(np.float64, (5,), elements=st.sampled_from([-1.0, 1.0])))
    w = np.array([0.3, 0.2, 0.5])
    points = signs[:, None] * directions  # signed by their pseudo labels they all lie in the positive orthant
    before = np.abs(points @ w)
    after = signs * (points @ margin.step_shared(w, points, tau, rate))
    length = (points**2).sum(axis=1)
    grown = before + rate * np.abs(margin.slope(points @ w, tau)) * length
    assert np.all(after >= grown * (1 - 1e-9) - 1e-9)


def test_temperature_must_be_positive():
    with pytest.raises(checks.TheoryError, match="sharp_loss"):
        margin.loss(0.3, 0.0)
