"""Metrics by part and the trivial baselines, against loops."""

import numpy as np
import pytest
from scipy import sparse

from msig_lib.xmtc import evaluate
from msig_lib.xmtc.data import Part, XMTCData


@pytest.fixture
def data() -> XMTCData:
    rng = np.random.default_rng(0)

    def part(n):
        labels = (rng.random((n, 30)) < np.linspace(0.02, 0.6, 30)).astype(np.float32)
        return Part([f"text {i}" for i in range(n)], sparse.csr_matrix(labels), np.arange(n))

    return XMTCData("random", [f"l{i}" for i in range(30)], part(60), part(20), part(40))


def test_metrics_have_one_value_per_document_or_label(data):
    topk = np.argsort(-np.random.default_rng(1).random((40, 30)), axis=1)[:, :5]
    rows = evaluate.metrics(topk, data.test, data)
    assert {len(rows[f"p@{k}"]) for k in (1, 3, 5)} == {40}
    assert len(rows["tail_f1@5"]) == data.is_tail.sum()
    truth = data.test.labels.toarray()
    label = int(np.flatnonzero(data.is_tail & (truth.sum(0) > 0))[0])
    predicted = (topk == label).any(axis=1)
    hit = (predicted & (truth[:, label] > 0)).sum()
    expected = 2 * hit / (predicted.sum() + truth[:, label].sum())
    assert rows["tail_f1@5"][np.flatnonzero(data.is_tail).tolist().index(label)] == pytest.approx(expected)


def test_a_perfect_ranking_has_precision_and_psp_one(data):
    labels = data.test.labels.toarray()
    keep = labels.sum(1) >= 1
    part = Part(list(np.array(data.test.texts)[keep]), sparse.csr_matrix(labels[keep]), np.flatnonzero(keep))
    best = np.argsort(-(labels[keep] / data.propensities), axis=1, kind="stable")[:, :5]
    rows = evaluate.metrics(best, part, data)
    assert rows["p@1"].mean() == 1 and rows["psp@1"].mean() == pytest.approx(1)


@pytest.mark.parametrize("dense", [False, True])
def test_nearest_neighbours_equals_a_loop(dense):
    rng = np.random.default_rng(2)
    known, asked = rng.random((25, 8)), rng.random((7, 8))
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    labels = sparse.csr_matrix((rng.random((25, 4)) < 0.4).astype(np.float32))
    wrap = (lambda x: x) if dense else sparse.csr_matrix
    got = evaluate.nearest_neighbours(wrap(known), wrap(asked), labels, n=3, block=2)
    for i, row in enumerate(asked @ known.T):
        nearest = np.argsort(-row)[:3]
        assert got[i] == pytest.approx((row[nearest, None] * labels.toarray()[nearest]).sum(0), abs=1e-6)


def test_popularity_ranks_by_training_frequency(data):
    scores = evaluate.popularity(data, 2)
    assert scores.shape == (2, 30) and scores[0].argmax() == data.n_positives.argmax()
