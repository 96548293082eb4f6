"""How much of a real encoder the random-projection theorem explains: one set of label pairs, four answers.

A pair is (document, positive p, negative n) that the sparse classifier ranks correctly; an error is a
dense score of n at least as high as that of p (Eq. 2.6). Features and weights may be sparse matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse, stats
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from msig_lib.theory.checks import TheoryError
from msig_lib.theory.keyword_bound import scores, stated_bound, top_keywords
from msig_lib.theory.random_projection import embedding, error_probability


@dataclass(frozen=True)
class Pairs:
    """Pairs that the sparse classifier gets right; every array has one entry a pair.

    `margin` is epsilon (full weights), `kept` the margin of the keyword vectors, `delta` the smallest delta
    that Lemma 4 needs here, `length` |v_p - v_n|, `cosine` that of document and v_p - v_n.
    """

    document: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    margin: np.ndarray
    kept: np.ndarray
    delta: np.ndarray
    length: np.ndarray
    cosine: np.ndarray

    def __len__(self) -> int:
        return len(self.document)


def ranked_pairs(
    features: Any,
    weights: Any,
    positives: Sequence[Sequence[int]],
    *,
    keywords: int,
    negatives: int,
    rng: np.random.Generator,
) -> tuple[Pairs, sparse.csr_array]:
    """Return correctly ranked pairs, `negatives` random ones for each (document, positive), and v [L, v].

    Documents are normalised to length 1; `weights` are divided by their largest length, as the theorem asks.
    """
    phi = _unit_rows(features)
    w = sparse.csr_array(weights, dtype=np.float64)
    largest = float(np.sqrt(w.multiply(w).sum(axis=1).max()))
    if largest == 0:
        raise TheoryError(
            "all label weights are zero; pass the weights of a fitted classifier [labels, words]"
        )
    w = w / largest
    v = top_keywords(w, keywords)
    full, short = scores(phi, w), scores(phi, v)
    document, positive, negative = [], [], []
    for i, labels in enumerate(positives):
        for p in labels:
            below = np.setdiff1d(np.flatnonzero(full[i] < full[i, p]), np.asarray(labels))
            drawn = rng.choice(below, min(negatives, len(below)), replace=False)
            document += [i] * len(drawn)
            positive += [p] * len(drawn)
            negative += drawn.tolist()
    x, p, n = (np.array(part, dtype=np.int64) for part in (document, positive, negative))
    if not len(x):
        raise TheoryError("the sparse classifier ranks no positive above any negative; check its weights")
    length = _lengths(v, p, n)
    kept = short[x, p] - short[x, n]
    lost = full - short
    cosine = np.divide(kept, length, out=np.zeros_like(kept), where=length > 0)
    pairs = Pairs(
        x, p, n,
        margin=full[x, p] - full[x, n],
        kept=kept,
        delta=np.maximum(np.maximum(lost[x, p], lost[x, n]), 0),
        length=length,
        cosine=np.clip(cosine, -1, 1),
    )  # fmt: skip
    return pairs, v


def bound_errors(pairs: Pairs, dimension: int, form: str = "thesis") -> np.ndarray:
    """Return Lemma 5's bound on the chance of an error, with each pair's own delta (generous), [pairs]."""
    return stated_bound(pairs.margin - pairs.delta, dimension, form)


def exact_errors(pairs: Pairs, dimension: int) -> np.ndarray:
    """Return the exact chance of an error for Gaussian embeddings, [pairs]."""
    return error_probability(pairs.cosine, dimension)


def projected_errors(
    features: Any, keywords: Any, pairs: Pairs, dimension: int, *, kind: str, draws: int, seed: int
) -> np.ndarray:
    """Return the share of `draws` random projections in which each pair is an error, float64 [pairs].

    `kind`: "gaussian" draws E here; "sklearn-gaussian" and "sklearn-sparse" use scikit-learn's transformers.
    """
    phi, v = _unit_rows(features), sparse.csr_array(keywords)
    children = np.random.SeedSequence(seed).spawn(draws)
    wrong = np.zeros(len(pairs))
    for child in children:
        if kind == "gaussian":
            matrix = embedding(dimension, phi.shape[1], np.random.default_rng(child)).T
            documents, labels = phi @ matrix, v @ matrix
        elif kind in ("sklearn-gaussian", "sklearn-sparse"):
            maker = GaussianRandomProjection if kind == "sklearn-gaussian" else SparseRandomProjection
            state = int(child.generate_state(1)[0])
            projection = maker(n_components=dimension, random_state=state).fit(phi)
            documents, labels = (_dense(projection.transform(part)) for part in (phi, v))
        else:
            raise TheoryError(f"unknown kind {kind!r}; choose gaussian, sklearn-gaussian or sklearn-sparse")
        wrong += dense_errors(documents, labels, pairs)
    return wrong / draws


def dense_errors(documents: np.ndarray, labels: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Return for each pair whether dense vectors [n, d], [L, d] make the error of Eq. (2.6), bool [pairs]."""
    score = np.asarray(documents) @ np.asarray(labels).T
    return score[pairs.document, pairs.positive] <= score[pairs.document, pairs.negative]


def pair_cosines(features: Any, vectors: Any, pairs: Pairs) -> np.ndarray:
    """Return the cosine of each pair's document with u_p - u_n for other label vectors u [L, v], [pairs]."""
    phi, u = _unit_rows(features), sparse.csr_array(vectors, dtype=np.float64)
    score = scores(phi, u)
    kept = score[pairs.document, pairs.positive] - score[pairs.document, pairs.negative]
    length = _lengths(u, pairs.positive, pairs.negative)
    return np.clip(np.divide(kept, length, out=np.zeros_like(kept), where=length > 0), -1, 1)


def kept_positives(pairs: Pairs, wrong: np.ndarray) -> np.ndarray:
    """Return for each (document, positive) whether none of its pairs is `wrong`, float64 [positives]."""
    _, group = np.unique(np.column_stack([pairs.document, pairs.positive]), axis=0, return_inverse=True)
    return (np.bincount(group.ravel(), weights=wrong) == 0).astype(np.float64)


def explained(chance: np.ndarray, wrong: np.ndarray) -> float:
    """Return how well `chance` ranks errors above non-errors: area under the ROC curve (.5 = not at all)."""
    errors = int(wrong.sum())
    if errors in (0, len(wrong)):
        return float("nan")
    ranks = stats.rankdata(chance)
    return float((ranks[wrong].sum() - errors * (errors + 1) / 2) / (errors * (len(wrong) - errors)))


def _lengths(v: sparse.csr_array, p: np.ndarray, n: np.ndarray) -> np.ndarray:
    gram = (v @ v.T).toarray()
    square = np.diagonal(gram)
    return np.sqrt(np.maximum(square[p] + square[n] - 2 * gram[p, n], 0))


def _dense(matrix: Any) -> np.ndarray:
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)


def _unit_rows(features: Any) -> sparse.csr_array:
    rows = sparse.csr_array(features, dtype=np.float64)
    norms = np.sqrt(rows.multiply(rows).sum(axis=1))
    return sparse.csr_array(sparse.diags_array(1 / np.maximum(norms, 1e-300)) @ rows)
