import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from msig_lib.xmtc import shortlist
from msig_lib.xmtc.ranking import EmbeddingScorer, SparseScorer, rank
from msig_lib.xmtc.svm import SparseLinear


def scorers(seed, n, n_labels, dim=8):
    rng = np.random.default_rng(seed)
    X = sparse.csr_array(rng.integers(0, 3, (n, 6)), dtype=np.float32)
    weights = sparse.csr_array(rng.integers(-1, 2, (n_labels, 6)), dtype=np.float32)
    bias = rng.integers(-2, 2, n_labels).astype(np.float32)
    bias[rng.random(n_labels) < 0.2] = -np.inf
    model = SparseLinear(weights, bias, np.zeros(n_labels, int), np.ones(n_labels, bool))
    D, E = (rng.integers(-2, 3, (m, dim)).astype(np.float32) for m in (n, n_labels))
    return [SparseScorer(X, model, unseen=-4.0), EmbeddingScorer(D, E, scale=2.0, bias=1.0)]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 15), st.integers(1, 18), st.floats(0, 1))
def test_candidates_are_ranked_as_the_exact_ranking_restricted_to_them(seed, n, n_labels, k, share):
    parts = scorers(seed, n, n_labels)
    keep = np.random.default_rng(seed).random((n, n_labels)) < share  # rows without any candidate included
    found = shortlist.rank_shortlist(parts, sparse.csr_array(keep), k, weights=[1.0, 0.5])
    exact = rank(parts, k, weights=[1.0, 0.5], exclude=sparse.csr_array(~keep))
    assert np.array_equal(found.labels, exact.labels)
    assert np.array_equal(found.scores, exact.scores)


def test_all_clusters_propose_every_label_once():
    D, E = scorers(1, 20, 100)[1].documents, scorers(1, 20, 100)[1].labels
    clusters = shortlist.LabelClusters.fit(E, seed=0)
    found = clusters.candidates(D, n_probe=10)
    assert found.toarray().all() and found.nnz == found.shape[0] * found.shape[1]
    assert clusters.candidates(D, n_probe=1).nnz < found.nnz


def test_nearest_clusters_hold_the_nearest_labels():
    rng = np.random.default_rng(0)
    centres = np.linalg.qr(rng.normal(size=(32, 32)))[0][:20]
    labels = np.repeat(centres, 50, axis=0) + 0.05 * rng.normal(size=(1000, 32))
    documents = labels[rng.integers(0, 1000, 100)].astype(np.float32)
    scorer = EmbeddingScorer(documents, labels.astype(np.float32))
    candidates = shortlist.LabelClusters.fit(labels.astype(np.float32), n_clusters=20, seed=0).candidates(
        documents, 2
    )
    exact = rank(scorer, 5).labels
    assert shortlist.recall(candidates, exact).mean() > 0.9
    assert candidates.nnz < 0.3 * 100 * 1000


def test_union_and_recall_count_labels():
    first = shortlist.from_ranking(np.array([[3, 1], [2, -1], [-1, -1]]), 5)
    second = shortlist.from_ranking(np.array([[3], [4], [0]]), 5)
    both = shortlist.union(first, second)
    assert both.toarray().tolist() == [[0, 1, 0, 1, 0], [0, 0, 1, 0, 1], [1, 0, 0, 0, 0]]
    share = shortlist.recall(first, np.array([[3, 0], [2, 4], [-1, -1]]))
    assert share[:2].tolist() == [0.5, 0.5] and np.isnan(share[2])


def test_mistakes_are_named():
    parts = scorers(0, 4, 6)
    with pytest.raises(ValueError, match="candidates have shape"):
        shortlist.rank_shortlist(parts, sparse.csr_array((4, 5)), 2)
    with pytest.raises(ValueError, match="k is 0"):
        shortlist.rank_shortlist(parts, sparse.csr_array((4, 6)), 0)
    with pytest.raises(ValueError, match="9 clusters for 6 labels"):
        shortlist.LabelClusters.fit(parts[1].labels, n_clusters=9)
