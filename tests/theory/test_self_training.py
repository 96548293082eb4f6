"""Worlds, starts and descent in the plane."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from msig_lib.theory import checks
from msig_lib.theory import self_training as st2
from msig_lib.theory.margin import contrastive_loss

POINTS, LABELS = st2.blobs(st2.World(), np.random.default_rng(0))


def test_world_is_balanced_and_repeatable():
    again, _ = st2.blobs(st2.World(), np.random.default_rng(0))
    np.testing.assert_array_equal(POINTS, again)
    assert LABELS.sum() == 0
    assert st2.wrong_share(np.array([1.0, 0.0]), POINTS, LABELS) == 0


@given(st.floats(0, 0.5))
def test_start_has_the_asked_share_of_wrong_labels(share):
    w = st2.start_with_wrong(POINTS, LABELS, share)
    assert np.linalg.norm(w) == pytest.approx(1)
    assert share <= st2.wrong_share(w, POINTS, LABELS) <= share + 0.06


def test_repairs_a_fifth_and_freezes_two_fifths():
    few = st2.self_train(POINTS, st2.start_with_wrong(POINTS, LABELS, 0.2), 0.1)[-1]
    many = st2.self_train(POINTS, st2.start_with_wrong(POINTS, LABELS, 0.4), 0.1)[-1]
    assert st2.wrong_share(few, POINTS, LABELS) == 0
    assert st2.wrong_share(many, POINTS, LABELS) == pytest.approx(0.5, abs=0.02)


def test_temperature_one_with_q_fixed_moves_nothing():
    start = st2.start_with_wrong(POINTS, LABELS, 0.2)
    np.testing.assert_array_equal(st2.self_train(POINTS, start, 1.0, steps=5)[-1], start)
    assert np.linalg.norm(st2.self_train(POINTS, start, 1.0, steps=5, detached=False)[-1] - start) > 0.01


def test_entropy_and_density_fall():
    path = st2.self_train(POINTS, st2.start_with_wrong(POINTS, LABELS, 0.2), 0.1)
    entropy = st2.mean_entropy(path, POINTS)
    assert entropy[0] <= np.log(2) and entropy[-1] < 0.1 * entropy[0]
    assert st2.near_boundary(path[-1], POINTS, 0.3) < st2.near_boundary(path[0], POINTS, 0.3)


def test_entropy_is_a_mean_and_the_loss_a_sum():
    """Eq. (3.7) lacks 1/N: at tau = 1 the summed loss is N times the conditional entropy."""
    w = np.array([0.7, -0.2])
    scores = torch.tensor(np.column_stack([POINTS @ w, np.zeros(len(POINTS))]))
    summed = float(contrastive_loss(scores, 1.0, detached=False))
    assert summed == pytest.approx(len(POINTS) * float(st2.mean_entropy(w, POINTS)))


def test_too_many_wrong_labels_are_refused():
    with pytest.raises(checks.TheoryError, match="at most 50%"):
        st2.start_with_wrong(POINTS, LABELS, 0.95)
