"""Exact rankings of all labels, chunk by chunk."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from msig_lib.xmtc.svm import SparseLinear


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the `k` best columns of each row, int64 [n, k], best first, ties to the lower index.

    Scores of -inf and columns beyond the label set give -1.
    """
    n, n_labels = scores.shape
    out = np.full((n, k), -1, dtype=np.int64)
    m = min(k, n_labels)
    if n == 0 or m == 0:
        return out
    # Everything at least as good as the m-th best is a candidate; sorting those keeps ties exact.
    for start in range(0, n, 512):
        block = np.asarray(scores[start : start + 512])
        least = -np.partition(-block, m - 1, axis=1)[:, m - 1]
        for i, row in enumerate(block):
            found = np.flatnonzero(row >= least[i])
            best = found[np.argsort(-row[found], kind="stable")[:m]]
            out[start + i, : len(best)] = np.where(np.isneginf(row[best]), -1, best)
    return out


def hard_negatives(
    X: sparse.csr_matrix, model: SparseLinear, Y: sparse.csr_matrix, *, k: int = 10
) -> np.ndarray:
    """Return the `k` labels of highest SVM score that each document does not have, int64 [n, k]."""
    parts = []
    for start in range(0, X.shape[0], 512):
        scores = model.decision_function(X[start : start + 512])
        scores[Y[start : start + 512].toarray() > 0] = -np.inf
        parts.append(top_k(scores, k))
    return np.concatenate(parts)
