"""Ranking beyond 50,000 labels: a shortlist of candidates for each document, then their exact scores.

Two sources of candidates complement each other as the models do (thesis 2.3.4): the best labels of the sparse
model, which are cheap to find, and the labels in the clusters nearest to the document's embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import sparse
from sklearn.cluster import MiniBatchKMeans

from msig_lib.xmtc.ranking import EmbeddingScorer, Ranking, SparseScorer, _empty, top_k

EXACT_LABELS = 50_000  # the largest set that the chapter ranks exactly


@dataclass(frozen=True)
class LabelClusters:
    """k-means clusters of label embeddings: `centres` float32 [c, dim], `cluster` int [L] of each label."""

    centres: np.ndarray
    cluster: np.ndarray

    @classmethod
    def fit(cls, labels: np.ndarray, *, n_clusters: int | None = None, seed: int = 0) -> LabelClusters:
        """Cluster label embeddings [L, dim]; by default into sqrt(L) clusters, which balances both steps."""
        n_clusters = n_clusters or max(1, int(np.sqrt(len(labels))))
        if n_clusters > len(labels):
            raise ValueError(f"{n_clusters} clusters for {len(labels)} labels: expected no more than labels")
        means = MiniBatchKMeans(n_clusters, random_state=seed, n_init=1, batch_size=4096).fit(labels)
        return cls(means.cluster_centers_.astype(np.float32), means.labels_.astype(np.int64))

    def candidates(self, documents: np.ndarray, n_probe: int) -> sparse.csr_array:
        """Return the labels of the `n_probe` clusters with the largest inner product, csr bool [n, L]."""
        near = top_k(documents @ self.centres.T, min(n_probe, len(self.centres)))
        order = np.argsort(self.cluster, kind="stable")
        start = np.searchsorted(self.cluster[order], np.arange(len(self.centres) + 1))
        rows = [np.concatenate([order[start[c] : start[c + 1]] for c in row]) for row in near]
        return _as_csr(rows, len(self.cluster))


def from_ranking(labels: np.ndarray, n_labels: int) -> sparse.csr_array:
    """Return ranked labels [n, m] (-1 for none), such as a sparse model's top m, as candidates."""
    return _as_csr([row[row >= 0] for row in labels], n_labels)


def union(*candidates: sparse.csr_array) -> sparse.csr_array:
    """Return the candidates that any of the sources proposes, csr bool [n, L]."""
    total = candidates[0]
    for other in candidates[1:]:
        total = total + other
    return sparse.csr_array(total.astype(bool))


def rank_shortlist(
    scorers: SparseScorer | EmbeddingScorer | Sequence[SparseScorer | EmbeddingScorer],
    candidates: sparse.csr_array,
    k: int,
    *,
    weights: Sequence[float] | None = None,
) -> Ranking:
    """Return the `k` best of each document's candidates by their exact weighted scores, as `ranking.rank` does.

    Memory: the candidates and one float a candidate. Raises ValueError for k < 1 or sizes that differ.
    """
    scorers = [scorers] if not isinstance(scorers, Sequence) else list(scorers)
    weights = [1.0] * len(scorers) if weights is None else list(weights)
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")
    for scorer in scorers:
        if candidates.shape != (scorer.n_documents, scorer.n_labels):
            raise ValueError(
                f"candidates have shape {candidates.shape}, expected {(scorer.n_documents, scorer.n_labels)}"
            )
    candidates = sparse.csr_array(candidates, copy=True)
    candidates.sort_indices()
    total = np.zeros(candidates.nnz, np.float32)
    for scorer, weight in zip(scorers, weights):
        total += np.float32(weight) * _pair_scores(scorer, candidates)
    best = _empty(candidates.shape[0], int(k))
    for i in range(candidates.shape[0]):
        start, stop = candidates.indptr[i], candidates.indptr[i + 1]
        place = top_k(total[None, start:stop], k)[0]
        found = place >= 0
        best.labels[i, found] = candidates.indices[start:stop][place[found]]
        best.scores[i, found] = total[start:stop][place[found]]
    return best


def recall(candidates: sparse.csr_array, exact: np.ndarray) -> np.ndarray:
    """Return for each document the share of its exact top k that the candidates hold, float [n], NaN if none."""
    found = from_ranking(exact, candidates.shape[1])
    hits = np.asarray(found.multiply(candidates.astype(bool)).sum(axis=1)).ravel()
    counts = np.diff(found.indptr)
    return np.divide(hits, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def _as_csr(rows: list[np.ndarray], n_labels: int) -> sparse.csr_array:
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.concatenate([*rows, np.empty(0, np.int64)]).astype(np.int64)
    matrix = sparse.csr_array((np.ones(len(indices), bool), indices, indptr), shape=(len(rows), n_labels))
    matrix.sort_indices()
    return matrix


def _pair_scores(scorer: SparseScorer | EmbeddingScorer, pairs: sparse.csr_array) -> np.ndarray:
    if isinstance(scorer, EmbeddingScorer):
        rows = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))
        out = np.empty(pairs.nnz, np.float32)
        for start in range(0, pairs.nnz, 65_536):
            part = slice(start, start + 65_536)
            out[part] = np.einsum(
                "ij,ij->i", scorer.documents[rows[part]], scorer.labels[pairs.indices[part]], dtype=np.float32
            )
        return np.float32(scorer.scale) * out + np.float32(scorer.bias)
    model, X = scorer.model, sparse.csr_array(scorer.X, dtype=np.float32)
    bias = model.bias
    if scorer.unseen is not None:
        bias = np.where(np.isneginf(bias), np.float32(scorer.unseen), bias)
    w = model.weights
    return bias[pairs.indices] + _sparse_dots(
        X.indptr, X.indices, X.data, w.indptr, w.indices, w.data, pairs.indptr, pairs.indices, X.shape[1]
    )


@njit(cache=True, nogil=True)
def _sparse_dots(x_ptr, x_ind, x_val, w_ptr, w_ind, w_val, pair_ptr, pair_ind, n_features):
    out = np.empty(len(pair_ind), np.float32)
    dense = np.zeros(n_features, np.float32)
    for i in range(len(pair_ptr) - 1):
        for p in range(x_ptr[i], x_ptr[i + 1]):
            dense[x_ind[p]] += x_val[p]
        for q in range(pair_ptr[i], pair_ptr[i + 1]):
            label = pair_ind[q]
            total = np.float32(0)
            for p in range(w_ptr[label], w_ptr[label + 1]):
                total += w_val[p] * dense[w_ind[p]]
            out[q] = total
        for p in range(x_ptr[i], x_ptr[i + 1]):
            dense[x_ind[p]] = 0
    return out
