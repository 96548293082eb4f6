import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from msig_lib.xmtc.ranking import EmbeddingScorer, SparseScorer, hard_negatives, rank, top_k
from msig_lib.xmtc.svm import SparseLinear

FEW_VALUES = st.sampled_from([-np.inf, -2.0, -1.0, 0.0, 0.5, 3.0])  # ties and missing labels are the rule


def brute_force(scores, k):
    """Sort (score, label) pairs of every row in plain Python."""
    out = np.full((len(scores), k), -1)
    for i, row in enumerate(scores):
        pairs = sorted((-s, label) for label, s in enumerate(row.tolist()) if s != -np.inf)
        for place, (_, label) in enumerate(pairs[:k]):
            out[i, place] = label
    return out


def whole_numbers(seed, n, n_labels, n_features=6):
    """A sparse model and embeddings of small integers, whose sums are exact in any order."""
    rng = np.random.default_rng(seed)
    X = sparse.csr_array(
        rng.integers(0, 3, (n, n_features)) * (rng.random((n, n_features)) < 0.4), dtype=np.float32
    )
    weights = sparse.csr_array(rng.integers(-2, 3, (n_labels, n_features)), dtype=np.float32)
    bias = rng.integers(-2, 2, n_labels).astype(np.float32)
    bias[rng.random(n_labels) < 0.2] = -np.inf
    model = SparseLinear(weights, bias, np.zeros(n_labels, int), np.ones(n_labels, bool))
    D, E = (rng.integers(-2, 3, (m, 4)).astype(np.float32) for m in (n, n_labels))
    return X, model, D, E


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        st.tuples(st.integers(0, 5), st.integers(0, 12)),
        elements=FEW_VALUES,
    ),
    st.integers(1, 15),
)
def test_top_k_is_a_sort_with_ties_to_the_lower_label(scores, k):
    found = top_k(scores, k)
    assert found.dtype == np.int64 and found.shape == (len(scores), k)
    assert np.array_equal(found, brute_force(scores, k))


def test_top_k_sees_differences_that_float32_would_lose():
    assert top_k(np.array([[1.0, 1.0 + 1e-12]]), 1)[0, 0] == 1


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(0, 6),
    st.integers(0, 20),
    st.integers(1, 25),
    st.sampled_from([1e-6, 0.02, 32]),
)
def test_rank_in_any_chunks_is_the_sort_of_all_scores(seed, n, n_labels, k, chunk_mb):
    X, model, D, E = whole_numbers(seed, n, n_labels)
    sparse_scores = X.toarray() @ model.weights.toarray().T + model.bias
    dense_scores = 2 * (D @ E.T) - 1
    parts = [SparseScorer(X, model), EmbeddingScorer(D, E, scale=2.0, bias=-1.0)]
    for scorers, weights, scores in [
        (parts[0], None, sparse_scores),
        (parts[1], None, dense_scores),
        (parts, [1.0, 0.5], sparse_scores + 0.5 * dense_scores),
        (parts, [0.25, 1.0], 0.25 * sparse_scores + dense_scores),
    ]:
        found = rank(scorers, k, weights=weights, chunk_mb=chunk_mb)
        assert np.array_equal(found.labels, brute_force(scores, k))
        ranked = np.take_along_axis(scores, np.maximum(found.labels, 0), axis=1) if n_labels else found.scores
        assert np.array_equal(found.scores, np.where(found.labels >= 0, ranked, -np.inf))


def test_rank_over_more_documents_than_one_chunk():
    X, model, D, E = whole_numbers(0, 2500, 40)
    found = rank([SparseScorer(X, model), EmbeddingScorer(D, E)], 3, chunk_mb=0.2)
    scores = X.toarray() @ model.weights.toarray().T + model.bias + D @ E.T
    assert np.array_equal(found.labels, brute_force(scores, 3))


def test_unseen_labels_can_be_ranked_in_a_fusion():
    X, model, D, E = whole_numbers(3, 20, 30)
    assert np.isneginf(model.bias).any()
    finite = np.where(np.isneginf(model.bias), -1.0, model.bias)
    found = rank([SparseScorer(X, model, unseen=-1.0), EmbeddingScorer(D, E)], 30)
    assert np.array_equal(
        found.labels, brute_force(X.toarray() @ model.weights.toarray().T + finite + D @ E.T, 30)
    )


def test_hard_negatives_leave_out_the_positives():
    X, model, _, _ = whole_numbers(5, 50, 30)
    Y = sparse.csr_array((np.random.default_rng(0).random((50, 30)) < 0.3).astype(np.float32))
    scores = X.toarray() @ model.weights.toarray().T + model.bias
    scores[Y.toarray() > 0] = -np.inf
    assert np.array_equal(hard_negatives(X, model, Y, k=7), brute_force(scores, 7))


def test_scorers_do_not_change_what_they_were_given():
    X, model, D, E = whole_numbers(7, 10, 8)
    before = [a.copy() for a in (X.data, model.weights.data, model.bias, D, E)]
    rank([SparseScorer(X, model), EmbeddingScorer(D, E, scale=3.0, bias=1.0)], 4, weights=[0.5, 2.0])
    assert all(np.array_equal(a, b) for a, b in zip(before, (X.data, model.weights.data, model.bias, D, E)))


def test_mistakes_are_named():
    X, model, D, E = whole_numbers(0, 10, 8)
    with pytest.raises(ValueError, match="k is 0"):
        top_k(np.zeros((2, 3)), 0)
    with pytest.raises(ValueError, match="document 1 hold NaN"):
        top_k(np.array([[0.0, 1.0], [np.nan, 0.0]]), 1)
    with pytest.raises(ValueError, match="expected one weight a scorer"):
        rank([SparseScorer(X, model), EmbeddingScorer(D, E)], 2, weights=[1.0])
    with pytest.raises(ValueError, match="equal sizes"):
        rank([SparseScorer(X, model), EmbeddingScorer(D[:5], E)], 2)
    with pytest.raises(ValueError, match="X has 5 features"):
        SparseScorer(X[:, :5], model)
    with pytest.raises(ValueError, match="one dim"):
        EmbeddingScorer(D, E[:, :2])
    with pytest.raises(ValueError, match="exclude has shape"):
        rank(SparseScorer(X, model), 2, exclude=sparse.csr_array((3, 3)))
