"""Metrics against scikit-learn, plain loops, scipy's assignment and a bootstrap over series."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import roc_auc_score

from msig_lib.changepoint import evaluate
from msig_lib.changepoint.signal import Scores, ensemble, peak_times

FEW = settings(max_examples=60, deadline=None)


def pooled(scores, times, neighbours, start, stop):
    """Labels and scores of the frames that count, one at a time."""
    labels, values = [], []
    for row, time in zip(scores, times):
        for frame in range(start, stop + 1):
            if neighbours == "drop" and time >= 0 and frame in (time - 1, time + 1):
                continue
            labels.append(frame == time)
            values.append(row[frame])
    return labels, values


def world(seed, n=8, n_frames=30, levels=6):
    """Scores with many ties, and change times in 5..25 of which some are -1."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, size=(n, n_frames)).astype(float)
    times = rng.integers(5, 26, size=n)
    times[rng.random(n) < 0.2] = -1
    times[0] = 5 + seed % 21
    return scores, times


@FEW
@given(st.integers(0, 10_000), st.sampled_from(["drop", "keep"]))
def test_auc_and_its_items_are_those_of_scikit_learn_and_of_double_loops(seed, neighbours):
    scores, times = world(seed)
    labels, values = pooled(scores, times, neighbours, 5, 25)
    expected = roc_auc_score(labels, values)
    options = {"neighbours": neighbours, "start": 5}
    assert evaluate.auc(scores, times, **options) == pytest.approx(expected, abs=1e-12)
    items = evaluate.auc_items(scores, times, **options)
    assert items.shape == (8,) and items.mean() == pytest.approx(expected, abs=1e-13)

    # Obuchowski's variance of a clustered AUC, written out from its sums.
    groups = [pooled([row], [time], neighbours, 5, 25) for row, time in zip(scores, times)]
    high = [v for label, v in zip(labels, values) if label]
    low = [v for label, v in zip(labels, values) if not label]
    psi = lambda x, y: (x > y) + 0.5 * (x == y)  # noqa: E731
    variance = 0.0
    for own_labels, own in groups:
        top = [np.mean([psi(v, y) for y in low]) - expected for label, v in zip(own_labels, own) if label]
        rest = [
            np.mean([psi(x, v) for x in high]) - expected for label, v in zip(own_labels, own) if not label
        ]
        variance += 8 / 7 * (sum(top) / len(high) + sum(rest) / len(low)) ** 2
    assert items.std(ddof=1) ** 2 / 8 == pytest.approx(variance, abs=1e-12)


def test_the_spread_of_items_is_that_of_a_bootstrap_over_series():
    rng = np.random.default_rng(0)
    n = 150
    # Frames of a series are related: each has a level of its own, so that frames as samples would mislead.
    scores = rng.normal(size=(n, 40)) + 1.5 * rng.normal(size=(n, 1))
    times = rng.integers(5, 35, size=n)
    scores[np.arange(n), times] += 1.5
    items = evaluate.auc_items(scores, times, start=5, stop=34)
    clustered = items.std(ddof=1) / np.sqrt(n)
    drawn = []
    for _ in range(400):
        rows = rng.integers(n, size=n)
        drawn.append(evaluate.auc(scores[rows], times[rows], start=5, stop=34))
    assert clustered == pytest.approx(np.std(drawn), rel=0.12)
    naive = np.sqrt(np.var(evaluate._placements(*evaluate._frames(scores, times, "drop", 5, 34)[:2])[0]) / n)
    assert clustered < 0.9 * naive  # the change and the other frames of its series rise together


def test_auc_by_hand_and_its_range():
    scores = np.zeros((2, 100))
    scores[0, 30], scores[1, 75], scores[1, 74] = 1, 1, 5
    assert evaluate.auc(scores, [30, 75]) == 1  # 74 is beside the change
    assert evaluate.auc(scores, [30, 75], neighbours="keep") == pytest.approx(1 - 1 / 100)
    scores[0, 76] = scores[0, 24] = 9  # not looked at
    assert evaluate.auc(scores, [30, 75]) == 1
    with pytest.raises(
        ValueError, match=r"1 changes are outside the frames 25\.\.74, the first at 75 in series 1"
    ):
        evaluate.auc(scores, [30, 75], stop=74)
    with pytest.raises(ValueError, match="0 positives"):
        evaluate.auc(scores, [-1, -1])
    with pytest.raises(ValueError, match="NaN"):
        evaluate.auc(np.full((1, 100), np.nan), [30])
    with pytest.raises(ValueError, match="neighbours"):
        evaluate.auc(scores, [30, 75], neighbours="none")
    with pytest.raises(ValueError, match="whole numbers"):
        evaluate.auc(scores, [30.0, 75.0])
    with pytest.raises(ValueError, match="shape"):
        evaluate.auc(scores[0], [30])


@FEW
@given(st.integers(0, 10_000))
def test_auc_sees_ranks_only(seed):
    scores, times = world(seed)
    same = evaluate.auc(np.exp(scores / 3), times, start=5)
    assert evaluate.auc(scores, times, start=5) == pytest.approx(same, abs=1e-13)
    assert evaluate.auc(-scores, times, start=5) == pytest.approx(1 - same, abs=1e-13)


def test_distance_and_triangle_utility_equal_loops():
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 9, size=(50, 100)).astype(float)
    times = rng.integers(25, 76, size=50)
    times[3] = -1
    far, utility = evaluate.distance(scores, times), evaluate.triangle_utility(scores, times)
    assert np.isnan(far[3]) and np.isnan(utility[3])
    for row, time, found, gain in zip(scores, times, far, utility):
        if time >= 0:
            best = max(range(25, 76), key=lambda t: (row[t], -t))
            assert found == abs(best - time) and gain == pytest.approx(max(0, 1 - abs(best - time) / 15))
    predicted = np.full(50, 40)
    assert evaluate.distance(predicted, times)[0] == abs(40 - times[0])
    assert evaluate.triangle_utility(predicted, np.full(50, 43), width=6).tolist() == [0.5] * 50
    with pytest.raises(ValueError, match="int"):
        evaluate.distance(np.full(50, 40.0), times)
    with pytest.raises(ValueError, match="width"):
        evaluate.triangle_utility(predicted, times, width=0)


frames = st.lists(st.integers(0, 60), max_size=6)


@settings(max_examples=300, deadline=None)
@given(frames, frames, st.integers(0, 12))
def test_matching_is_the_largest_assignment(predicted, changes, tolerance):
    found = evaluate.match_within(predicted, changes, tolerance)
    cost = np.array([[-float(abs(p - c) <= tolerance) for c in changes] for p in predicted])
    cost = cost.reshape(len(predicted), len(changes))
    rows, columns = linear_sum_assignment(cost)
    assert found == -cost[rows, columns].sum()


def test_tolerance_f1_by_hand():
    counts = evaluate.tolerance_f1([[30, 34, 70], [], np.array([50])], [(32, 60), (40,), ()], tolerance=3)
    assert counts.matched.tolist() == [1, 0, 0]  # 30 and 34 are near one change, which counts once
    assert counts.predicted.tolist() == [3, 0, 1] and counts.true.tolist() == [2, 1, 0]
    assert (counts.precision, counts.recall, counts.f1) == (1 / 4, 1 / 3, pytest.approx(2 / 7))
    single = evaluate.tolerance_f1(np.array([30, 50, 40]), np.array([33, 60, -1]))
    assert single.matched.tolist() == [1, 0, 0] and single.true.tolist() == [1, 1, 0]
    nothing = evaluate.tolerance_f1([[]], [[]])
    assert np.isnan([nothing.precision, nothing.recall, nothing.f1]).all()
    scores = np.zeros((1, 100))
    scores[0, [30, 31, 60]] = 3, 2, 1
    assert evaluate.tolerance_f1(peak_times(scores, n=2), [(31, 62)]).f1 == 1
    with pytest.raises(ValueError, match="2 series but changes of 1"):
        evaluate.tolerance_f1([[1], [2]], [[1]])
    with pytest.raises(TypeError, match="series 0"):
        evaluate.tolerance_f1([[1.5]], [[1]])
    with pytest.raises(ValueError, match="tolerance"):
        evaluate.tolerance_f1([[1]], [[1]], tolerance=-1)


def graphs(seed, n_series=4, n_frames=12, n=4):
    rng = np.random.default_rng(seed)
    half = np.triu(rng.integers(0, 2, size=(n_series, 2, n, n)), 1)
    return rng.random((n_series, n_frames, n * (n - 1))), half + half.swapaxes(2, 3), np.array([3, 11, -1, 6])


@pytest.mark.parametrize("formula", ["repaired", "printed"])
@pytest.mark.parametrize("swap", [False, True])
def test_graph_accuracy_equals_the_formula_in_loops(formula, swap):
    probability, truth, times = graphs(0)
    n, n_frames = 4, 12
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    found = evaluate.graph_accuracy(probability, truth, times, formula=formula, swap=swap)
    for s in range(4):
        right = 0
        for t in range(n_frames):
            now = truth[s, int(times[s] >= 0 and t >= times[s])]
            for e, (i, j) in enumerate(pairs):
                if formula == "printed" and i > j:
                    continue
                says = probability[s, t, e] >= 0.5
                right += (not says if swap else says) == now[i, j]
        assert found[s] == pytest.approx(right / (n_frames * n * (n - 1)))


def test_graph_accuracy_of_the_truth_is_one_and_half_as_printed():
    _, truth, times = graphs(1)
    after = (times[:, None] >= 0) & (np.arange(12) >= times[:, None])
    exact = np.where(after[..., None, None], truth[:, None, 1], truth[:, None, 0])
    probability = exact[:, :, ~np.eye(4, dtype=bool)].astype(np.float32)
    assert (evaluate.graph_accuracy(probability, truth, times) == 1).all()
    assert (evaluate.graph_accuracy(probability, truth, times, formula="printed") == 0.5).all()
    assert not evaluate.better_naming(probability, truth, times)
    assert evaluate.better_naming(1 - probability, truth, times)
    assert (evaluate.graph_accuracy(1 - probability, truth, times, swap=True) == 1).all()
    probability[:, :6] = 1 - probability[:, :6]
    assert (evaluate.graph_accuracy(probability, truth, times, start=6, stop=11) == 1).all()
    half = np.full_like(probability, 0.5)  # counts as connected
    assert evaluate.graph_accuracy(half, np.ones_like(truth), times).tolist() == [1, 1, 1, 1]
    with pytest.raises(ValueError, match="formula"):
        evaluate.graph_accuracy(probability, truth, times, formula="thesis")
    with pytest.raises(ValueError, match="N of at least 2"):
        evaluate.graph_accuracy(probability[..., :5], truth, times)


KINDS = np.array(["location", "speed", "connection", "connection"] * 10)


def typed(seed=0):
    rng = np.random.default_rng(seed)
    related, dynamic = rng.normal(size=(2, 40, 100))
    times = rng.integers(30, 70, size=40)
    rows = np.arange(40)
    related[rows, times] += 2.5 * (KINDS == "connection")
    dynamic[rows, times] += 2.5 * (KINDS != "connection") + 0.5
    return Scores(related, dynamic, ensemble(related, dynamic)), times


def loop_margin(scores, alpha, times):
    out = []
    for r, d, e, time in zip(scores.correlation, scores.independent, scores.ensemble, times):
        at = 25 + int(np.argmax(e[25:76])) if time is None else time
        norm = [(s[at] - np.mean(s[25:76])) / np.std(s[25:76]) for s in (r, d)]
        out.append(norm[0] - alpha * norm[1])
    return np.array(out)


def test_type_metrics_equal_loops_and_scikit_learn():
    scores, times = typed()
    table = evaluate.type_table(scores, KINDS, times).set_index(["label", "metric", "kind"])
    for label, at in (("with", times), ("without", [None] * 40)):
        margin = loop_margin(scores, 0.75, at)
        truth = KINDS == "connection"
        expected = roc_auc_score(truth, margin)
        assert table.value[label, "auc", "all"] == pytest.approx(expected, abs=1e-12)
        for kind in ("location", "speed", "connection"):
            right = ((margin >= 0) == truth)[kind == KINDS]
            assert table.value[label, "accuracy", kind] == pytest.approx(right.mean())
            assert table.n[label, "accuracy", kind] == len(right)
        labelled = None if label == "without" else times
        assert (evaluate.type_right(scores, KINDS, labelled) == ((margin >= 0) == truth)).all()
        higher = evaluate.type_right(scores, KINDS, labelled, tau=0.7, alpha=0.2)
        other = loop_margin(scores, 0.2, at)
        assert (higher == ((other >= 0.7) == truth)).all()
        strict = evaluate.type_table(scores, KINDS, times, tau=0.7, alpha=0.2)
        strict = strict[(strict.label == label) & (strict.kind == "speed")]
        assert strict.value.tolist() == pytest.approx([higher[KINDS == "speed"].mean()])
        items = evaluate.type_auc_items(margin, truth)
        assert items.mean() == pytest.approx(expected, abs=1e-13)
        assert evaluate.type_auc(margin, truth) == pytest.approx(expected, abs=1e-13)


def test_items_of_a_type_auc_have_delongs_variance():
    rng = np.random.default_rng(3)
    truth = np.arange(30) < 12
    margin = rng.normal(size=30).round(1) + truth
    items = evaluate.type_auc_items(margin, truth)
    psi = (margin[truth][:, None] > margin[~truth]) + 0.5 * (margin[truth][:, None] == margin[~truth])
    delong = psi.mean(1).var() / 12 + psi.mean(0).var() / 18
    assert items.var() / 30 == pytest.approx(delong)


def test_alpha_sweep_is_the_table_at_every_alpha():
    scores, times = typed(1)
    sweep = evaluate.alpha_sweep(scores, KINDS, times, alphas=(0, 0.75, 1))
    assert list(sweep.columns) == ["alpha", "label", "metric", "kind", "value", "n"]
    assert len(sweep) == 3 * 2 * 3 and set(sweep.metric) == {"accuracy"}
    table = evaluate.type_table(scores, KINDS, times)
    middle = sweep[sweep.alpha == 0.75].drop(columns="alpha").reset_index(drop=True)
    pd.testing.assert_frame_equal(middle, table[table.metric == "accuracy"].reset_index(drop=True))
    # Where s_d stands above its mean, a larger alpha can only turn answers to "independent".
    known = sweep[(sweep.label == "with") & (sweep.kind == "connection")].value.tolist()
    assert known[0] >= known[-1]


def test_types_refuse_series_without_one_change_and_keep_other_names():
    scores, times = typed()
    kinds = KINDS.copy()
    kinds[5] = "none"
    with pytest.raises(ValueError, match="series 5 is of kind 'none'"):
        evaluate.type_right(scores, kinds, times)
    with pytest.raises(ValueError, match=r"expected \(40,\)"):
        evaluate.type_table(scores, KINDS[:3], times)
    with pytest.raises(ValueError, match="a bool for each"):
        evaluate.type_auc(np.zeros(3), [1, 0, 1])
    walk = np.where(KINDS == "connection", "walk to run", "sit to stand")
    right = evaluate.type_right(scores, walk, times, correlation_kinds=("walk to run",))
    assert (right == evaluate.type_right(scores, KINDS, times)).all()
    one_kind = evaluate.type_table(scores, np.full(40, "speed"), times)
    assert set(one_kind.metric) == {"accuracy"}  # one kind alone has no AUC


def test_near_forgives_one_frame_and_leaves_chance_alone():
    rng = np.random.default_rng(0)
    times = rng.integers(25, 76, 400)
    noise = rng.random((400, 100))
    assert abs(evaluate.auc(noise, times, neighbours="near") - 0.5) < 0.03
    peaks = [0.1 * noise.copy() for _ in range(4)]
    for delay, scores in enumerate(peaks):
        scores[np.arange(400), times + delay] = 1.0
    found = [evaluate.auc(scores, times, neighbours="near") for scores in peaks]
    assert found[0] == found[1] == 1.0
    assert found[2] < 0.9 and found[3] < 0.9
    # by hand: the maximum of three, without two frames on each side
    score, time = noise[:1], times[:1]
    wide = np.array([score[0, max(t - 1, 0) : t + 2].max() for t in range(100)])
    others = [wide[t] for t in range(25, 76) if abs(t - time[0]) > 2]
    assert evaluate.auc(score, time, neighbours="near") == np.mean(wide[time[0]] > np.array(others))
