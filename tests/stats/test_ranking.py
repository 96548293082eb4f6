"""Ranking metrics against brute-force loops, scikit-learn and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from msig_lib.stats import ranking


def world(seed: int, n_docs: int, n_labels: int, k: int):
    """Random rankings with some empty ranks, and a random truth in which some documents have no label."""
    rng = np.random.default_rng(seed)
    topk = np.argsort(rng.random((n_docs, n_labels)), axis=1)[:, :k]
    topk[rng.random(topk.shape) < 0.15] = -1
    truth = (rng.random((n_docs, n_labels)) < 0.3).astype(int)
    return topk, truth, rng.integers(0, 30, n_labels)


def slow_counts(topk, truth, k):
    n_labels = len(truth[0])
    tp, fp, fn = [0] * n_labels, [0] * n_labels, [0] * n_labels
    for ranks, row in zip(topk.tolist(), truth.tolist()):
        predicted = {label for label in ranks[:k] if label >= 0}
        for label in range(n_labels):
            tp[label] += label in predicted and row[label] == 1
            fp[label] += label in predicted and row[label] == 0
            fn[label] += label not in predicted and row[label] == 1
    return tp, fp, fn


worlds = st.tuples(st.integers(0, 10**6), st.integers(1, 12), st.integers(3, 9), st.integers(1, 3))


@settings(max_examples=60, deadline=None)
@given(worlds)
def test_every_metric_agrees_with_loops(params):
    topk, truth, n_pos = world(*params)
    k, sparse = params[3], sp.csr_matrix(truth)
    q = ranking.propensities(np.minimum(n_pos, 40), 40)
    hits = [[label >= 0 and row[label] == 1 for label in ranks[:k]] for ranks, row in zip(topk, truth)]
    np.testing.assert_array_equal(ranking.hits_at_k(topk, sparse, k), hits)
    np.testing.assert_allclose(ranking.precision_at_k(topk, sparse, k), [sum(h) / k for h in hits])

    gained, best = ranking.psp_terms(topk, sparse, q, k)
    want = [sum(1 / q[label] for label, hit in zip(r, h) if hit) for r, h in zip(topk, hits)]
    top = [sum(sorted((1 / q[label] for label in np.flatnonzero(row)), reverse=True)[:k]) for row in truth]
    np.testing.assert_allclose(gained, want)
    np.testing.assert_allclose(best, top)
    np.testing.assert_allclose(ranking.psp_at_k(topk, sparse, q, k, "thesis"), np.array(want) / k)
    if sum(top):
        assert math.isclose(ranking.psp_at_k(topk, sparse, q, k).mean(), sum(want) / sum(top))

    tp, fp, fn = slow_counts(topk, truth, k)
    counts = ranking.label_counts(topk, sparse, k)
    assert (counts.tp.tolist(), counts.fp.tolist(), counts.fn.tolist()) == (tp, fp, fn)
    for convention in ("all", "present"):
        values = []
        for label in np.flatnonzero((n_pos >= 1) & (n_pos <= 9)):
            if convention == "present" and not truth[:, label].any():
                continue
            p = tp[label] / (tp[label] + fp[label]) if tp[label] + fp[label] else 0.0
            r = tp[label] / (tp[label] + fn[label]) if tp[label] + fn[label] else 0.0
            values.append(2 * p * r / (p + r) if p + r else 0.0)
        got = ranking.macro_f1_at_k(topk, sparse, k, ranking.tail_labels(n_pos), convention)
        np.testing.assert_allclose(got, sum(values) / len(values) if values else np.nan)


@pytest.mark.parametrize("seed", range(5))
def test_label_f1_is_sklearns_on_the_indicator_of_the_top_k(seed):
    topk, truth, _ = world(seed, 40, 12, 4)
    predicted = np.zeros_like(truth)
    for doc, ranks in enumerate(topk):
        predicted[doc, ranks[ranks >= 0]] = 1
    want = f1_score(truth, predicted, average=None, zero_division=np.nan)
    got = ranking.label_f1_at_k(topk, sp.csr_array(truth), 4)
    np.testing.assert_allclose(got, want)
    all_labels = f1_score(truth, predicted, average="macro", zero_division=0)
    assert math.isclose(ranking.macro_f1_at_k(topk, truth, 4), all_labels)


def test_an_example_by_hand():
    topk = np.array([[0, 1], [0, 2], [3, -1]])
    truth = sp.csr_matrix([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 0]])
    assert ranking.precision_at_k(topk, truth, 1).tolist() == [1, 1, 1]
    assert ranking.precision_at_k(topk, truth, 2).tolist() == [0.5, 0.5, 0.5]
    # label 0: TP 2; label 1: FP 1, FN 1; label 2: FP 1; label 3: TP 1; label 4: neither true nor predicted.
    np.testing.assert_array_equal(ranking.label_f1_at_k(topk, truth, 2), [1, 0, 0, 1, np.nan])
    np.testing.assert_array_equal(ranking.label_f1_at_k(topk, truth, 2, "present"), [1, 0, np.nan, 1, np.nan])
    assert ranking.macro_f1_at_k(topk, truth, 2, convention="all") == 2 / 5
    assert ranking.macro_f1_at_k(topk, truth, 2, convention="present") == 2 / 3
    q = np.array([0.5, 0.25, 1, 0.5, 1])
    gained, best = ranking.psp_terms(topk, truth, q, 2)
    assert gained.tolist() == [2, 2, 2] and best.tolist() == [2, 6, 2]
    assert math.isclose(ranking.psp_at_k(topk, truth, q, 2).mean(), 0.6)


def test_propensity_of_a_label_seen_once_in_eurlex():
    assert 1 / ranking.propensities([1], 15_539)[0] == pytest.approx(math.log(15_539), rel=1e-12)
    q = ranking.propensities(np.arange(1, 1000), 15_539)
    assert np.all(np.diff(q) > 0) and q.max() < 1


def test_a_perfect_ranking_scores_one_and_nothing_scores_more():
    rng = np.random.default_rng(0)
    truth = (rng.random((50, 20)) < 0.2).astype(int)
    truth[:, 0] |= truth.sum(axis=1) == 0
    q = ranking.propensities(rng.integers(1, 60, 20), 100)
    best_first = np.argsort(-truth / q, axis=1)[:, :3]
    assert ranking.psp_at_k(best_first, truth, q, 3).mean() == pytest.approx(1)


def test_frequency_bins_run_from_rare_to_common():
    f1 = np.array([0.9, 0.1, np.nan, 0.3, 0.5, 0.7])
    bins = ranking.f1_in_frequency_bins(f1, [50, 1, 2, 3, 0, 9], size=2)
    assert bins["rank"].tolist() == [1, 3, 5]
    assert bins["n_labels"].tolist() == [2, 2, 1] and bins["n_counted"].tolist() == [1, 2, 1]
    assert bins["train_positives"].tolist() == [1.5, 6, 50]
    np.testing.assert_allclose(bins["f1"], [0.1, 0.5, 0.9])
    one = ranking.f1_in_frequency_bins(np.nan_to_num(f1), [50, 1, 2, 3, 1, 9], size=100)
    assert one["f1"].item() == pytest.approx(np.nan_to_num(f1).mean())


def test_tail_is_one_to_nine_training_positives():
    assert ranking.tail_labels([0, 1, 9, 10]).tolist() == [False, True, True, False]


def test_unsorted_and_explicit_zero_entries_do_not_matter():
    topk, truth, _ = world(3, 8, 6, 3)
    clean = sp.csr_matrix(truth)
    messy = sp.csr_matrix((clean.data.copy(), clean.indices.copy(), clean.indptr.copy()), shape=clean.shape)
    for doc in range(8):
        part = slice(messy.indptr[doc], messy.indptr[doc + 1])
        messy.indices[part] = messy.indices[part][::-1]
    messy.has_sorted_indices = False
    before = messy.indices.copy()
    np.testing.assert_array_equal(ranking.hits_at_k(topk, messy, 3), ranking.hits_at_k(topk, clean, 3))
    np.testing.assert_array_equal(messy.indices, before)  # the caller's matrix is left alone
    zeros = sp.csr_matrix(truth)
    zeros.data[0] = 0
    truth[tuple(np.argwhere(truth)[0])] = 0
    np.testing.assert_array_equal(ranking.hits_at_k(topk, zeros, 3), ranking.hits_at_k(topk, truth, 3))


@pytest.mark.parametrize(
    ("topk", "truth", "k", "message"),
    [
        ([[0, 0]], [[1, 0]], 2, "twice for document 0"),
        ([[0, 2]], [[1, 0]], 2, r"0\.\.1"),
        ([[0, 1]], [[1, 0]], 3, "k=3"),
        ([[0.0, 1.0]], [[1, 0]], 2, "label indices"),
        ([[0, 1]], [[1, 0], [0, 1]], 2, "truth has 2"),
        ([[0, 1]], [[2, 0]], 2, "value 2"),
        ([[0, 1]], sp.csr_matrix(([1, 1], ([0, 0], [1, 1])), shape=(1, 2)), 2, "2|twice"),
    ],
)
def test_mistakes_say_what_to_do(topk, truth, k, message):
    with pytest.raises(ValueError, match=message):
        ranking.precision_at_k(np.asarray(topk), truth, k)


def test_mistakes_in_options():
    with pytest.raises(ValueError, match="'all', 'present'"):
        ranking.label_f1_at_k([[0]], [[1]], 1, "tail")
    with pytest.raises(ValueError, match="propensity"):
        ranking.psp_at_k([[0]], [[1]], [0.5, 0.5], 1)
    with pytest.raises(ValueError, match="no label"):
        ranking.psp_at_k([[0]], [[0]], [0.5], 1)
