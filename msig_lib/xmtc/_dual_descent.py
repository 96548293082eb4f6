"""Compiled kernels of the one-against-all SVM: dual coordinate descent on a block of labels.

The problem of one label is, with y in {-1, 1} and the intercept b treated as the weight of a constant 1,

    min  1/2 (|w|^2 + b^2) + C sum_i c_i max(0, 1 - y_i (w x_i + b))^2

whose dual has one variable alpha_i >= 0 a document. Coordinate descent on it: Hsieh et al., ICML 2008.
Few documents have alpha_i > 0, so each label keeps a list of documents and all labels of a block are scored
together to find those that are missing from their lists.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_FAST = {"reassoc", "contract", "arcp", "nsz"}  # sums may be reordered; infinities and NaN keep their meaning


@njit(cache=True, nogil=True, fastmath=_FAST)
def _solve(indptr, indices, data, sqnorm, docs, sign, alpha, size, w, null, C, tol, max_epochs, rng):
    """Minimise over the documents in `docs[:size]`; return how many keep alpha > 0 (moved to the front).

    `w` [V + 1] holds the weights and, last, the bias; `null` is [weight, alpha] of a document without words.
    """
    V = w.shape[0] - 1
    diag = 0.5 / C
    live = size
    for _ in range(max_epochs):
        worst = 0.0
        if null[0] > 0:
            extra = diag / null[0]
            gradient = -w[V] - 1.0 + null[1] * extra
            new = max(null[1] - gradient / (1.0 + extra), 0.0)
            worst = abs(new - null[1])
            w[V] -= new - null[1]
            null[1] = new
        i = live - 1
        while i >= 0:
            # One step of a random permutation, drawn as the sweep goes down.
            rng[0] = rng[0] * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
            j = np.int64(((rng[0] >> np.uint64(33)) * np.uint64(i + 1)) >> np.uint64(31))
            doc, y, a = docs[j], sign[j], alpha[j]
            docs[j], sign[j], alpha[j] = docs[i], sign[i], alpha[i]
            docs[i], sign[i], alpha[i] = doc, y, a
            start, stop = indptr[doc], indptr[doc + 1]
            score = w[V]
            for p in range(start, stop):
                score += data[p] * w[indices[p]]
            gradient = y * score - 1.0 + a * diag
            if a == 0.0 and gradient >= 0.0:
                # Far inside its margin: out of the sweep. The scoring pass brings it back if it is needed.
                live -= 1
                docs[i], sign[i], alpha[i] = docs[live], sign[live], alpha[live]
                docs[live], sign[live], alpha[live] = doc, y, 0.0
            else:
                worst = max(worst, abs(gradient))
                if abs(gradient) > 0.1 * tol:  # a smaller step would not be missed
                    new = max(a - gradient / (sqnorm[doc] + 1.0 + diag), 0.0)
                    step = (new - a) * y
                    alpha[i] = new
                    for p in range(start, stop):
                        w[indices[p]] += step * data[p]
                    w[V] += step
            i -= 1
        if worst < tol:
            break
    kept = 0
    for i in range(live):
        if alpha[i] > 0.0:
            docs[kept], sign[kept], alpha[kept] = docs[i], sign[i], alpha[i]
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def _score(indptr, indices, data, tile, bias, width, out):
    """Write the scores of every document for `width` labels: one pass over X for all of them."""
    for doc in range(indptr.shape[0] - 1):
        row = out[doc]
        for k in range(width):
            row[k] = bias[k]
        for p in range(indptr[doc], indptr[doc + 1]):
            x = data[p]
            weights = tile[indices[p]]
            for k in range(width):
                row[k] += x * weights[k]


@njit(cache=True, nogil=True)
def _violations(pos_ptr, pos_docs, docs, size, labels, scores):
    """Turn scores f into -y f, so that above -1 violates the margin, and -inf for documents in the list."""
    for c, k in enumerate(labels):
        for i in range(pos_ptr[k], pos_ptr[k + 1]):
            scores[pos_docs[i], c] = -scores[pos_docs[i], c]
        for i in range(size[k]):
            scores[docs[k, i], c] = -np.inf


@njit(cache=True, nogil=True)
def _admit(found, violation, count):
    """Move the `count` documents of `found` with the largest violation to its front; return the largest + 1."""
    if len(found) == 0:
        return 0.0
    values = violation[found]
    worst = 1.0 + values.max()
    if count < len(found):
        least = np.partition(values, len(found) - count)[len(found) - count]
        equal = count - np.sum(values > least)
        kept = 0
        for i in range(len(found)):
            if values[i] == least:
                equal -= 1
            if values[i] > least or (values[i] == least and equal >= 0):
                found[kept] = found[i]
                kept += 1
    return worst


@njit(cache=True, nogil=True)
def solve_block(
    indptr,
    indices,
    data,
    sqnorm,
    pos_ptr,
    pos_docs,
    C,
    tol,
    max_epochs,
    max_rounds,
    first,
    W,
    n_active,
    rounds,
):
    """Solve the labels whose positives are `pos_docs[pos_ptr[k]:pos_ptr[k + 1]]`, all with >= 1 positive.

    Fills W [labels, V + 1] (bias last), n_active [labels] and rounds [labels]; rounds is -1 where violations
    above `tol` were left. `first` is the least number of missing documents admitted in one round.
    """
    n = indptr.shape[0] - 1
    n_labels, V = W.shape[0], W.shape[1] - 1
    docs = np.empty((n_labels, n), np.int32)
    sign = np.empty((n_labels, n), np.int8)
    alpha = np.empty((n_labels, n), np.float64)
    size = np.zeros(n_labels, np.int64)
    null = np.zeros((n_labels, 2))
    goal = np.full(n_labels, 0.1)  # how exactly the next round is solved
    rng = np.empty(1, np.uint64)
    tile = np.zeros((V, n_labels), np.float32)
    bias = np.zeros(n_labels, np.float32)
    scores = np.empty((n, n_labels), np.float32)
    missing = np.zeros(n_labels, np.int64)
    open_labels = np.arange(n_labels)
    width = n_labels
    for k in range(n_labels):
        count = pos_ptr[k + 1] - pos_ptr[k]
        docs[k, :count] = pos_docs[pos_ptr[k] : pos_ptr[k + 1]]
        sign[k, :count] = 1
        alpha[k, :count] = 0.0
        size[k] = count
        null[k, 0] = n - count
    for r in range(max_rounds):
        for c in range(width):
            k = open_labels[c]
            rng[0] = np.uint64(size[k] + 1)
            size[k] = _solve(
                indptr, indices, data, sqnorm, docs[k], sign[k], alpha[k], size[k], W[k], null[k],
                C, goal[k], max_epochs, rng,
            )  # fmt: skip
            bias[c] = W[k, V]
        for f in range(V):
            for c in range(width):
                tile[f, c] = W[open_labels[c], f]
        _score(indptr, indices, data, tile, bias, width, scores)
        _violations(pos_ptr, pos_docs, docs, size, open_labels[:width], scores)
        missing[:] = 0
        for doc in range(n):
            for c in range(width):
                if scores[doc, c] > tol - 1.0:
                    k = open_labels[c]
                    docs[k, size[k] + missing[k]] = doc
                    missing[k] += 1
        still = 0
        for c in range(width):
            k = open_labels[c]
            n_active[k] = size[k]
            admitted = min(missing[k], max(first, size[k]))
            worst = _admit(docs[k, size[k] : size[k] + missing[k]], scores[:, c], admitted)
            positives = pos_docs[pos_ptr[k] : pos_ptr[k + 1]]
            for i in range(size[k], size[k] + admitted):
                at = np.searchsorted(positives, docs[k, i])
                sign[k, i] = 1 if at < len(positives) and positives[at] == docs[k, i] else -1
                alpha[k, i] = 0.0
            size[k] += admitted
            rounds[k] = r + 1
            unfinished = missing[k] > 0 or goal[k] > 0.5 * tol or null[k, 0] > 0
            # While documents are still missing by far, an exact solution without them is wasted.
            goal[k] = min(max(0.2 * worst, 0.5 * tol), 0.1)
            if r > 0 and null[k, 0] > 0:
                # The stand-in for all other documents has done its work: from here on only real ones count.
                null[k, 0] = 0.0
                W[k, V] += null[k, 1]
                null[k, 1] = 0.0
            if unfinished:
                open_labels[still] = k
                still += 1
        width = still
        if width == 0:
            break
    for c in range(width):
        rounds[open_labels[c]] = -1
