"""Metrics against scikit-learn and loops, calibration against loops and a simulation of known calibration."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn.metrics import accuracy_score, brier_score_loss, confusion_matrix, f1_score
from sklearn.metrics import log_loss as sklearn_log_loss

from msig_lib.zeroshot import calibration, evaluate

RNG = np.random.default_rng(0)
LABELS = RNG.integers(5, size=400)
SCORES = RNG.normal(size=(400, 5)) + 1.5 * np.eye(5)[LABELS]
PREDICTED = SCORES.argmax(axis=1)


def test_accuracy_confusion_and_f1_equal_scikit_learn():
    assert evaluate.accuracy(LABELS, SCORES) == accuracy_score(LABELS, PREDICTED)
    assert (evaluate.correct(LABELS, SCORES) == evaluate.correct(LABELS, PREDICTED)).all()
    assert evaluate.correct(LABELS, SCORES).dtype == bool
    assert (evaluate.confusion(LABELS, PREDICTED, 5) == confusion_matrix(LABELS, PREDICTED)).all()
    expected = f1_score(LABELS, PREDICTED, average=None)
    assert evaluate.f1_per_class(LABELS, PREDICTED, 5) == pytest.approx(expected)
    assert evaluate.macro_f1(LABELS, PREDICTED, 5) == pytest.approx(expected.mean())


def test_a_class_that_is_neither_present_nor_predicted_has_no_f1():
    found = evaluate.f1_per_class([0, 1, 1], [0, 1, 0], 4)
    assert np.isnan(found[2:]).all() and found[:2] == pytest.approx([2 / 3, 2 / 3])
    assert evaluate.macro_f1([0, 1, 1], [0, 1, 0], 4) == pytest.approx(2 / 3)
    assert evaluate.f1_per_class([0, 0], [1, 1], 2).tolist() == [0, 0]


def test_precision_of_the_most_confident_equals_sorting():
    hits, sure = LABELS == PREDICTED, SCORES.max(axis=1)
    found = evaluate.precision_at_confident(hits, sure, (1, 10, 300, 400, 1000))
    best = np.argsort(-sure)
    assert found == {k: pytest.approx(hits[best[:k]].mean()) for k in (1, 10, 300, 400)}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=30), st.integers(1, 30))
def test_ties_enter_with_their_mean_whatever_the_order(pairs, k):
    hits, sure = np.array([h for h, _ in pairs]), np.array([float(c) for _, c in pairs])
    found = evaluate.precision_at_confident(hits, sure, [k])
    turned = evaluate.precision_at_confident(hits[::-1], sure[::-1], [k])
    assert found == pytest.approx(turned)
    if k <= len(hits):
        rng = np.random.default_rng(k)
        orders = [rng.permutation(len(hits)) for _ in range(150)]
        drawn = [hits[o][np.argsort(-sure[o], kind="stable")[:k]].mean() for o in orders]
        assert found[k] == pytest.approx(np.mean(drawn), abs=0.2)


def test_precision_by_predicted_class_equals_a_loop():
    sure = SCORES.max(axis=1)
    frame = evaluate.precision_by_class(LABELS, PREDICTED, sure, 5, ks=(5, 70, 5000))
    assert set(frame.k) <= {5, 70}
    for _, row in frame.iterrows():
        rows = np.flatnonzero(row.predicted == PREDICTED)
        best = rows[np.argsort(-sure[rows])[: int(row.k)]]
        assert row.precision == pytest.approx((LABELS[best] == row.predicted).mean())
    for c in range(5):
        assert ((frame.predicted == c) & (frame.k == 70)).sum() == int((PREDICTED == c).sum() >= 70)


def test_flips_and_pairs_of_a_history_worked_by_hand():
    true = np.array([0, 0, 1, 1, 2, 2])
    rounds = [np.array([0, 1, 1, 0, 0, 2]), np.array([0, 0, 2, 2, 1, 2]), np.array([1, 1, 2, 2, 2, 2])]
    flips = evaluate.flips(rounds, true)
    assert flips.accuracy.tolist() == pytest.approx([3 / 6, 3 / 6, 2 / 6])
    assert flips.wrong_to_right.tolist() == [0, 1, 1]
    assert flips.right_to_wrong.tolist() == [0, 1, 2]
    assert flips.wrong_to_wrong.tolist() == [0, 2, 0]
    pairs = evaluate.confusion_over_rounds(rounds, true, 3)
    told = {(r["true"], r["predicted"]): [r[0], r[1], r[2], r["growth"]] for _, r in pairs.iterrows()}
    assert told == {
        (0, 1): [1, 0, 2, 1],
        (1, 2): [0, 2, 2, 2],
        (1, 0): [1, 0, 0, -1],
        (2, 0): [1, 0, 0, -1],
        (2, 1): [0, 1, 0, 0],
    }
    assert pairs.growth.is_monotonic_decreasing
    selected = [np.array([0, 1]), np.array([], dtype=int), np.array([4, 5, 0])]
    assert evaluate.selected_precision(rounds, selected, true) == pytest.approx(
        [0.5, np.nan, 2 / 3], nan_ok=True
    )


def test_right_and_wrong_flips_explain_every_change_of_accuracy():
    rounds = [RNG.integers(5, size=400) for _ in range(4)]
    flips = evaluate.flips(rounds, LABELS)
    net = (flips.wrong_to_right - flips.right_to_wrong).to_numpy()[1:] / 400
    assert np.diff(flips.accuracy) == pytest.approx(net)


def test_majority_and_random_baselines():
    scores = evaluate.majority([2, 2, 0], 4, 3)
    assert scores.shape == (4, 3) and evaluate.predictions(scores).tolist() == [2] * 4
    drawn = evaluate.guess(5000, 4, np.random.default_rng(1))
    assert np.bincount(evaluate.predictions(drawn)) == pytest.approx([1250] * 4, rel=0.1)
    assert (drawn == evaluate.guess(5000, 4, np.random.default_rng(1))).all()


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda: evaluate.predictions(np.array([[0.1, np.nan]])), "NaN"),
        (lambda: evaluate.predictions(np.zeros(3)), "expected \\[n"),
        (lambda: evaluate.correct([0, 1], [0, 1, 1]), "2 labels"),
        (lambda: evaluate.correct([0.5, 1], [0, 1]), "expected class numbers"),
        (lambda: evaluate.accuracy([], np.zeros((0, 2))), "at least one"),
        (lambda: evaluate.confusion([0, 3], [0, 1], 3), "0..2"),
        (lambda: evaluate.confusion([0, -1], [0, 1], 3), "0..2"),
        (lambda: evaluate.precision_at_confident([1, 0], [0.1, 0.2]), "bool"),
        (lambda: evaluate.precision_at_confident([True], [np.nan]), "finite"),
        (lambda: evaluate.precision_at_confident([True], [0.5], [0]), "from 1"),
        (lambda: evaluate.flips([], [0]), "0 rounds"),
        (lambda: evaluate.flips([[0, 1]], [0]), "2 predicted"),
        (lambda: evaluate.selected_precision([[0]], [], [0]), "0 selections"),
        (lambda: evaluate.majority([], 3, 2), "no known labels"),
        (lambda: evaluate.guess(-1, 2, RNG), "0 or more"),
    ],
)
def test_bad_input_says_what_was_expected(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def brute_force(confidence, hits, bins):
    """ECE by sorting and cutting into equal parts, in plain loops."""
    order = sorted(range(len(hits)), key=lambda i: confidence[i])
    total = 0.0
    for part in np.array_split(np.array(order), bins):
        gap = sum(float(hits[i]) for i in part) / len(part) - sum(confidence[i] for i in part) / len(part)
        total += len(part) / len(hits) * abs(gap)
    return total


@pytest.mark.parametrize("bins", [1, 5, 20])
def test_calibration_error_equals_a_loop(bins):
    confidence = RNG.random(400)
    hits = RNG.random(400) < confidence**2
    assert calibration.expected_calibration_error(confidence, hits, bins=bins) == pytest.approx(
        brute_force(confidence, hits, bins)
    )
    frame = calibration.reliability(confidence, hits, bins=bins)
    assert len(frame) == bins and frame.n.sum() == 400 and np.ptp(frame.n) <= 1
    weighted = (frame.n * (frame.accuracy - frame.confidence).abs()).sum() / 400
    assert weighted == pytest.approx(calibration.expected_calibration_error(confidence, hits, bins=bins))
    assert (frame.lo <= frame.accuracy + 1e-12).all() and (frame.accuracy <= frame.hi + 1e-12).all()


def test_equal_confidences_share_a_bin_so_that_order_does_not_matter():
    confidence = np.repeat([0.3, 0.9], [37, 63])
    hits = np.arange(100) % 3 > 0
    frame = calibration.reliability(confidence, hits, bins=10)
    assert frame.n.tolist() == [37, 63]
    order = RNG.permutation(100)
    assert calibration.reliability(confidence[order], hits[order], bins=10).n.tolist() == [37, 63]


def test_a_calibrated_simulation_lies_at_the_floor_and_a_skewed_one_above():
    rng = np.random.default_rng(3)
    confidence = rng.beta(4, 2, size=3000)
    calm = calibration.calibration(confidence, rng.random(3000) < confidence, rng=rng, n_boot=300)
    assert calm.ece.lo == pytest.approx(0, abs=0.01) and calm.ece.estimate == pytest.approx(
        calm.floor, abs=0.012
    )
    skewed = calibration.calibration(confidence, rng.random(3000) < confidence - 0.1, rng=rng, n_boot=300)
    assert skewed.ece.lo < 0.1 < skewed.ece.hi and skewed.ece.lo > 2 * skewed.floor
    assert skewed.gap == pytest.approx(0.1, abs=0.03)


def test_the_interval_covers_a_known_calibration_error():
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(40):
        confidence = 0.5 + 0.5 * rng.random(300)
        found = calibration.calibration(confidence, rng.random(300) < confidence - 0.15, rng=rng, n_boot=100)
        covered += found.ece.lo <= 0.15 <= found.ece.hi
    assert covered >= 34  # 95% of 40 are 38; 33 or fewer would come by chance once in 100


def test_brier_and_log_loss_equal_scikit_learn():
    p = special.softmax(SCORES, axis=1)
    assert calibration.brier(p, LABELS).mean() == pytest.approx(
        brier_score_loss(LABELS, p, labels=range(5), scale_by_half=False)
    )
    assert calibration.log_loss(SCORES, LABELS) == pytest.approx(sklearn_log_loss(LABELS, p))
    cooled = special.softmax(SCORES / 3, axis=1)
    assert calibration.log_loss(SCORES, LABELS, 3.0) == pytest.approx(sklearn_log_loss(LABELS, cooled))


@pytest.mark.parametrize("heat", [0.3, 4.0])
def test_the_best_temperature_undoes_a_known_one(heat):
    rng = np.random.default_rng(5)
    logits = rng.normal(scale=2, size=(8000, 4))
    drawn = (rng.random((8000, 1)) > special.softmax(logits, axis=1).cumsum(axis=1)).sum(axis=1)
    found = calibration.best_temperature(heat * logits, drawn)
    assert found == pytest.approx(heat, rel=0.08)
    grid = [calibration.log_loss(heat * logits, drawn, t) for t in np.geomspace(0.05, 20, 60)]
    assert calibration.log_loss(heat * logits, drawn, found) <= min(grid) + 1e-9


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda: calibration.reliability([0.5, 1.4], np.array([True, False])), "0..1"),
        (lambda: calibration.reliability([0.5], np.array([1])), "expected bool"),
        (lambda: calibration.reliability([], np.array([], dtype=bool)), "one a document"),
        (lambda: calibration.reliability([0.5], np.array([True]), bins=0), "1 or more"),
        (lambda: calibration.calibration([0.5], np.array([True]), rng=RNG, n_boot=3), "100 resamples"),
        (lambda: calibration.brier([[0.5, 0.9]], [0]), "sum to 1"),
        (lambda: calibration.log_loss([[0.5, 0.9]], [2]), "0..1"),
        (lambda: calibration.log_loss([[0.5, np.inf]], [1]), "infinite"),
        (lambda: calibration.log_loss([[0.5, 0.1]], [1], 0.0), "above 0"),
        (lambda: calibration.best_temperature(np.zeros((0, 3)), np.array([], dtype=int)), "not empty"),
    ],
)
def test_bad_input_to_calibration_says_what_was_expected(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def test_frames_are_empty_rather_than_missing_columns():
    frame = evaluate.precision_by_class([0], [0], [0.5], 2, ks=(10,))
    assert isinstance(frame, pd.DataFrame) and list(frame.columns) == ["predicted", "k", "precision"]
