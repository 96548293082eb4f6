"""Theorem 8's counterexamples, our theorem's rate, directions against scikit-learn and brute force."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.svm import SVC

from msig_lib.theory import checks, margin
from msig_lib.theory import max_margin as mm

CASE = np.array([[1.0, 0.0], [2.0, 1.0]])
ACROSS = np.array([[0.3, 1.0], [0.3, -1.0]])
ANGLES = np.linspace(0, np.pi, 20001)
CIRCLE = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, (6, 2), elements=st.floats(-3, 3)))
def test_directions_against_every_angle(points):
    assume(np.all(np.linalg.norm(points, axis=1) > 0.1))
    widest = np.abs(points @ CIRCLE.T).min(axis=0).max()
    unit, gap = mm.widest_gap(points)
    assert gap == pytest.approx(widest, abs=2e-3)
    assert np.linalg.norm(unit) == pytest.approx(1)
    side = np.sign(points @ CIRCLE[7000])
    assume(np.all(side != 0))
    signed = side[:, None] * points
    best = max((signed @ CIRCLE.T).min(axis=0).max(), (-signed @ CIRCLE.T).min(axis=0).max())
    assume(best > 0.02)
    assert mm.hard_margin(signed)[1] == pytest.approx(best, abs=2e-3)


def test_hard_margin_against_scikit_learn():
    rng = np.random.default_rng(3)
    points = rng.standard_normal((30, 4)) + np.array([2.5, 0, 0, 1])
    both = np.vstack([points, -points])  # symmetric classes have no intercept
    svm = SVC(kernel="linear", C=1e6).fit(both, np.repeat([1, -1], 30))
    unit, gap = mm.hard_margin(points)
    np.testing.assert_allclose(unit, svm.coef_[0] / np.linalg.norm(svm.coef_), atol=2e-3)
    assert gap == pytest.approx(1 / np.linalg.norm(svm.coef_), rel=2e-3)


@pytest.mark.parametrize("tau", [0.1, 0.5, 1.0])
def test_margin_constraint_gives_another_direction(tau):
    w = mm.box_minimiser(CASE, tau, 5.0)
    np.testing.assert_allclose(CASE @ w, [5, 5], atol=1e-4)
    unit = w / np.linalg.norm(w)
    assert (CASE @ unit).min() == pytest.approx(np.sqrt(0.5), abs=1e-4)
    assert mm.hard_margin(CASE)[1] == pytest.approx(1.0)


def test_printed_constraint_has_no_minimiser():
    """Only m_i <= B: margins may fall without bound, and the loss, even in them, then goes to 0."""
    unit, _ = mm.hard_margin(CASE)
    losses = [margin.loss(CASE @ (-t * unit), 0.1).sum() for t in (1, 10, 100)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 1e-40


def test_norm_constraint_alone_finds_the_widest_gap_of_any_labelling():
    free = mm.norm_minimiser(ACROSS, 0.1, 50.0, inside=False)
    held = mm.norm_minimiser(ACROSS, 0.1, 50.0, inside=True)
    assert abs(free[1]) / 50 == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(held / 50, [1, 0], atol=1e-6)
    assert margin.loss(ACROSS @ free, 0.1).sum() < margin.loss(ACROSS @ held, 0.1).sum()


@settings(max_examples=25, deadline=None)
@given(
    arrays(np.float64, (5, 2), elements=st.floats(-2, 2)),
    st.floats(0.05, 1.0),
    st.sampled_from([3.0, 20.0, 200.0]),
)
def test_rate_of_the_repaired_theorem(points, tau, radius):
    points = points + np.array([2.5, 0.0])
    unit, gap = mm.hard_margin(points)
    w = mm.norm_minimiser(points, tau, radius, inside=True)
    assert np.linalg.norm(w / radius - unit) <= mm.direction_error_bound(radius, gap, len(points)) + 1e-6
    assert (points @ w).min() / radius >= gap - np.log(2 * len(points) * (1 + radius * gap)) / radius - 1e-6


@given(st.floats(-400, 400), st.floats(0.05, 1.0))
def test_log_loss(m, tau):
    expected = margin.loss(m, tau)
    assume(expected > 1e-200)
    assert mm.log_loss(m, tau) == pytest.approx(float(np.log(margin.loss(abs(m), tau))), abs=1e-6)


def test_descent_turns_towards_the_svm_and_hinge_does_not():
    rng = np.random.default_rng(0)
    points = np.abs(rng.standard_normal((12, 2))) * [0.3, 1.5] + [0.5, -0.6]
    unit, _ = mm.hard_margin(points)
    start = points.mean(axis=0) * 0.1
    runs = [mm.Descent("t2l", tau=0.1), mm.Descent("logistic", "logistic"), mm.Descent("hinge", "hinge")]
    steps, w = mm.descend(points, runs, start, rate=0.1, steps=20_000, records=20)
    angle = mm.angles(w, unit)
    assert steps[0] == 1 and steps[-1] == 20_000
    assert np.all(angle[-1, :2] < angle[0, :2] / 2)
    assert np.all(points @ w[-1, 0] > 0)
    np.testing.assert_allclose(
        w[-1, 2], mm.descend(points, runs[2:], start, rate=0.1, steps=10_000)[1][-1, 0]
    )


def test_descend_records_plain_gradient_steps():
    _, w = mm.descend(CASE, [mm.Descent("t2l", tau=0.2)], np.array([0.1, 0.2]), rate=0.3, steps=3, records=5)
    expected = np.array([0.1, 0.2])
    for _ in range(3):
        expected = margin.step_shared(expected, CASE, 0.2, 0.3)
    np.testing.assert_allclose(w[-1, 0], expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mm.hard_margin(np.array([[1.0, 0], [-1, 0]])), "not separable"),
        (lambda: mm.widest_gap(np.ones((3, 3))), "plane only"),
        (lambda: mm.norm_minimiser(np.array([[1.0, 0], [-1, 0]]), 0.1, 5.0, inside=True), "not separable"),
        (lambda: mm.Descent("x", "square").slope(np.zeros(2)), "unknown loss"),
    ],
)
def test_mistakes_are_explained(call, message):
    with pytest.raises(checks.TheoryError, match=message):
        call()
