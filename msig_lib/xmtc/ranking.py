"""Exact rankings of all labels in bounded memory, for one scorer or a weighted sum of several (thesis 2.3.4).

A scorer gives the scores of a slice of documents for a slice of labels. Labels are taken block by block, in
their order, and each document keeps its k best so far; `shortlist.py` is for sets where that takes too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numba import njit
from scipy import sparse

from msig_lib.xmtc.svm import SparseLinear

CHUNK_MB = 16  # ours: the working memory of a ranking; larger is slower, for it leaves the cache
_DOCUMENTS = 1024  # ours: documents scored together, so that their scores are ranked while still in the cache


class Ranking(NamedTuple):
    """`labels` int64 [n, k], best first, -1 where there is none; `scores` float32 [n, k], -inf there."""

    labels: np.ndarray
    scores: np.ndarray


class Scorer(Protocol):
    """What `rank` needs: two sizes, and scores by slices."""

    n_documents: int
    n_labels: int
    width: int  # floats held for one label of a block

    def prepare(self, labels: slice) -> object:
        """Return what all documents share for this block of labels."""

    def scores(self, documents: slice, prepared: object) -> np.ndarray:
        """Return float32 [documents, labels of the block], an array the caller may change."""


@dataclass(frozen=True)
class SparseScorer:
    """f_sparse (2.3.2) of the documents X, csr [n, n_features].

    `unseen` replaces the -inf of labels without training positives, which a fusion could not outweigh.
    """

    X: sparse.csr_array | sparse.csr_matrix
    model: SparseLinear
    unseen: float | None = None

    def __post_init__(self) -> None:
        if self.X.shape[1] != self.model.n_features:
            raise ValueError(
                f"X has {self.X.shape[1]} features, the model was fitted on {self.model.n_features}"
            )

    @property
    def n_documents(self) -> int:
        return self.X.shape[0]

    @property
    def n_labels(self) -> int:
        return self.model.n_labels

    @property
    def width(self) -> int:
        return self.model.n_features

    def prepare(self, labels: slice) -> tuple[np.ndarray, np.ndarray]:
        bias = self.model.bias[labels]
        if self.unseen is not None:
            bias = np.where(np.isneginf(bias), np.float32(self.unseen), bias)
        # A dense block: the product with it is about ten times faster than with sparse weights.
        return self.model.weights[labels].T.toarray(order="C"), bias

    def scores(self, documents: slice, prepared: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        weights, bias = prepared
        out = self.X[documents] @ weights
        out += bias
        return out.astype(np.float32, copy=False)


@dataclass(frozen=True)
class EmbeddingScorer:
    """f_dual (2.3.3) up to scale: `scale * documents @ labels.T + bias`, float32 [n, dim] and [L, dim]."""

    documents: np.ndarray
    labels: np.ndarray
    scale: float = 1.0
    bias: float = 0.0

    def __post_init__(self) -> None:
        if (
            self.documents.ndim != 2
            or self.labels.ndim != 2
            or self.documents.shape[1] != self.labels.shape[1]
        ):
            raise ValueError(
                f"documents have shape {self.documents.shape} and labels {self.labels.shape}: "
                "expected [n, dim] and [L, dim] with one dim"
            )

    @property
    def n_documents(self) -> int:
        return self.documents.shape[0]

    @property
    def n_labels(self) -> int:
        return self.labels.shape[0]

    @property
    def width(self) -> int:
        return self.labels.shape[1]

    def prepare(self, labels: slice) -> np.ndarray:
        return np.ascontiguousarray((self.labels[labels] * np.float32(self.scale)).T, dtype=np.float32)

    def scores(self, documents: slice, prepared: np.ndarray) -> np.ndarray:
        out = self.documents[documents].astype(np.float32, copy=False) @ prepared
        if self.bias:
            out += np.float32(self.bias)
        return out


def rank(
    scorers: Scorer | Sequence[Scorer],
    k: int,
    *,
    weights: Sequence[float] | None = None,
    exclude: sparse.sparray | sparse.spmatrix | None = None,
    chunk_mb: float = CHUNK_MB,
) -> Ranking:
    """Return the `k` best labels of every document by the weighted sum of the scorers.

    Ties go to the lower label. Labels of score -inf, those in `exclude` (csr [n, L], nonzero = leave out) and
    ranks beyond the label set are -1. Besides the result, memory holds one block of label weights (about
    `chunk_mb`) and the scores of 1,024 documents for it (no more than that again for each scorer).
    Raises ValueError for k < 1, sizes that differ, or scores that are NaN.
    """
    scorers = [scorers] if not isinstance(scorers, Sequence) else list(scorers)
    weights = [1.0] * len(scorers) if weights is None else list(weights)
    sizes = {(s.n_documents, s.n_labels) for s in scorers}
    if len(sizes) != 1 or len(weights) != len(scorers):
        raise ValueError(
            f"{len(scorers)} scorers of (documents, labels) {sorted(sizes)} and {len(weights)} weights: "
            "expected one weight a scorer and equal sizes"
        )
    (n, n_labels), k = sizes.pop(), _at_least_one(k)
    if exclude is not None and exclude.shape != (n, n_labels):
        raise ValueError(f"exclude has shape {exclude.shape}, expected {(n, n_labels)}")
    exclude = None if exclude is None else sparse.csc_array(exclude)
    best = _empty(n, k)
    floats = sum(s.width for s in scorers) + len(scorers) * _DOCUMENTS
    block = max(1, int(chunk_mb * 2**20 / 4 / floats))
    for first in range(0, n_labels, block):
        labels = slice(first, min(first + block, n_labels))
        prepared = [s.prepare(labels) for s in scorers]
        left_out = None if exclude is None else sparse.csr_array(exclude[:, labels])
        for start in range(0, n, _DOCUMENTS):
            documents = slice(start, min(start + _DOCUMENTS, n))
            total = _weighted(scorers, prepared, weights, documents)
            if left_out is not None:
                total[left_out[documents].nonzero()] = -np.inf
            _keep_best(total, first, best, documents)
    return best


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the `k` best columns of each row of `scores`, int64 [n, k], best first, ties to the lower index.

    Scores of -inf and columns beyond the label set give -1. Raises ValueError when a score is NaN.
    """
    scores = np.asarray(scores)
    best = _empty(
        scores.shape[0], _at_least_one(k), scores.dtype if scores.dtype == np.float64 else np.float32
    )
    _keep_best(scores, 0, best, slice(0, scores.shape[0]))
    return best.labels


def hard_negatives(
    X: sparse.csr_matrix, model: SparseLinear, Y: sparse.csr_matrix, *, k: int = 10
) -> np.ndarray:
    """Return the `k` labels of highest SVM score that each document does not have, int64 [n, k] (2.3.3)."""
    return rank(SparseScorer(X, model), k, exclude=Y).labels


def _weighted(scorers: list, prepared: list, weights: list[float], documents: slice) -> np.ndarray:
    total = scorers[0].scores(documents, prepared[0])
    if weights[0] != 1:
        total *= np.float32(weights[0])
    for scorer, shared, weight in zip(scorers[1:], prepared[1:], weights[1:]):
        part = scorer.scores(documents, shared)
        part *= np.float32(weight)
        total += part
    return total


def _at_least_one(k: int) -> int:
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")
    return int(k)


def _empty(n: int, k: int, dtype: type = np.float32) -> Ranking:
    return Ranking(np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, dtype))


def _keep_best(scores: np.ndarray, first: int, best: Ranking, documents: slice) -> None:
    scores = np.ascontiguousarray(scores, dtype=best.scores.dtype)
    bad = _insert(scores, first, best.labels[documents], best.scores[documents])
    if bad >= 0:
        raise ValueError(
            f"the scores of document {documents.start + bad} hold NaN, which has no rank: "
            "look for NaN or infinities in the features, embeddings and weights"
        )


@njit(cache=True, nogil=True)
def _insert(scores, first, labels, kept):
    """Merge scores [n, m] of labels first.. into the sorted best [n, k]; return a row with NaN, or -1."""
    n, m = scores.shape
    k = labels.shape[1]
    for i in range(n):
        least = kept[i, k - 1]
        for j in range(m):
            s = scores[i, j]
            if s > least:
                # Only a strictly better score moves up, so that of equal ones the lower label stays ahead.
                at = k - 1
                while at > 0 and s > kept[i, at - 1]:
                    kept[i, at] = kept[i, at - 1]
                    labels[i, at] = labels[i, at - 1]
                    at -= 1
                kept[i, at] = s
                labels[i, at] = first + j
                least = kept[i, k - 1]
            elif s != s:
                return i
    return -1
