"""Keywords, margins and Theorem 3: delta, Lemmas 4 and 5, the union bound, and where it says anything.

`features` are documents [n, v], `weights` label vectors [L, v] (NumPy arrays or SciPy sparse matrices).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from msig_lib.theory import checks
from msig_lib.theory.random_projection import error_probability, needed_cosine

# exponent divisor k and |b|^2 of 4 exp(-m^2 d / k): thesis Lemma 5; |b|^2 <= 2 for non-negative vectors
DIVISORS = {"thesis": 50.0, "non-negative": 18.0}
SHAPES = {"EURLex-4K": 3956, "AmazonCat-13K": 13330, "Wiki10-31K": 30938, "Wiki-500K": 501070}  # table 2.1, L
SQRT2 = float(np.sqrt(2.0))
LARGEST_MARGIN = 1.0  # <a, w_p> - <a, w_n> <= <a, w_p> <= 1 for non-negative a, w of length at most 1


def top_keywords(weights: Any, k: int) -> sparse.csr_array:
    """Return v [L, v]: each row of `weights` with its `k` largest positive entries kept, the rest 0."""
    rows = sparse.csr_array(weights)
    if k < 0:
        raise checks.TheoryError(f"the number of keywords cannot be negative, was {k}")
    columns, values, ends = [], [], [0]
    for start, stop in zip(rows.indptr[:-1], rows.indptr[1:]):
        data, index = rows.data[start:stop], rows.indices[start:stop]
        best = np.lexsort((index, -data))[:k]
        best = np.sort(best[data[best] > 0])
        columns.append(index[best])
        values.append(data[best])
        ends.append(ends[-1] + len(best))
    return sparse.csr_array((np.concatenate(values), np.concatenate(columns), ends), shape=rows.shape)


def scores(features: Any, weights: Any) -> np.ndarray:
    """Return <phi(x), w_l> for all documents and labels, float64 [n, L]."""
    product = sparse.csr_array(features) @ sparse.csr_array(weights).T
    return np.asarray(product.todense(), dtype=np.float64)


def smallest_delta(features: Any, weights: Any, keywords: Any) -> np.ndarray:
    """Return the smallest delta >= 0 of Definition 1 for each label over all `features`, float64 [L]."""
    return np.maximum(scores(features, weights) - scores(features, keywords), 0).max(axis=0)


def positive_form(weights: Any) -> np.ndarray:
    """Return label vectors with entries >= 0 and length <= 1 that rank every document alike (thesis 2.4.2).

    One constant is added to every entry of every label, and all are divided by the largest length.
    """
    dense = np.asarray(sparse.csr_array(weights).todense(), dtype=np.float64)
    shifted = dense - min(dense.min(), 0.0)
    return shifted / np.linalg.norm(shifted, axis=1).max()


def stated_bound(margin: float | np.ndarray, dimension: int, form: str = "thesis") -> np.ndarray:
    """Return Lemma 5's bound 4 exp(-m^2 d / k) for m = epsilon - delta > 0, else 1; `form` of DIVISORS."""
    if form not in DIVISORS:
        raise checks.TheoryError(f"unknown form {form!r}; choose from {', '.join(DIVISORS)}")
    m = np.asarray(margin, dtype=np.float64)
    d = checks.dimension(dimension)
    return np.where(m > 0, np.minimum(4 * np.exp(-(m**2) * d / DIVISORS[form]), 1.0), 1.0)


def exact_bound(margin: float | np.ndarray, dimension: int, length: float | np.ndarray = SQRT2) -> np.ndarray:
    """Return the best possible form of Lemma 5: the exact chance at cosine m / |b| (1 for m <= 0).

    `length` bounds |v_p - v_n|; sqrt(2) serves non-negative vectors of length at most 1, 2 any such vectors.
    """
    m = np.asarray(margin, dtype=np.float64)
    return np.where(m > 0, error_probability(np.clip(m / length, -1, 1), dimension), 1.0)


def required_margin(negatives: int | np.ndarray, dimension: int, form: str) -> np.ndarray:
    """Return the smallest epsilon - delta for which the union bound over M `negatives` is at most 1/M.

    Forms: "printed" (10 sqrt(ln M / d), which yields 4/M), "corrected" (10 sqrt(ln(2M) / d)),
    "non-negative" (6 sqrt(ln(2M) / d)), "exact" (sqrt(2) times the cosine whose exact chance is 1/M^2).
    """
    m, d = np.asarray(negatives, dtype=np.float64), checks.dimension(dimension)
    if np.any(m < 2):
        raise checks.TheoryError(f"the number of negative labels must be at least 2, was {negatives!r}")
    if form == "printed":
        return 10 * np.sqrt(np.log(m) / d)
    if form == "corrected":
        return 10 * np.sqrt(np.log(2 * m) / d)
    if form == "non-negative":
        return 6 * np.sqrt(np.log(2 * m) / d)
    if form == "exact":
        return np.sqrt(2) * needed_cosine(1 / m**2, d)
    raise checks.TheoryError(f"unknown form {form!r}; choose printed, corrected, non-negative or exact")


def union_bound(
    margin: float | np.ndarray, negatives: int, dimension: int, form: str = "thesis"
) -> np.ndarray:
    """Return M times the pair bound (not cut at 1): forms of `stated_bound`, and "exact" (`exact_bound`)."""
    pair = exact_bound if form == "exact" else lambda m, d: stated_bound(m, d, form)
    return negatives * pair(margin, dimension)


def vacuity_table(widths: Sequence[int] = (384, 768, 1024)) -> pd.DataFrame:
    """Return the required margins for the thesis's data sets (M = L - 1, table 2.1), one row a set and width.

    Columns: data, M, d, printed, corrected, non-negative, exact, and whether the last three lie below
    the largest possible margin, 1.
    """
    rows = []
    for data, labels in SHAPES.items():
        for d in widths:
            row: dict[str, Any] = {"data": data, "M": labels - 1, "d": d}
            for form in ("printed", "corrected", "non-negative", "exact"):
                row[form] = float(required_margin(labels - 1, d, form))
            rows.append(row)
    table = pd.DataFrame(rows)
    for form in ("corrected", "non-negative", "exact"):
        table[f"{form} attainable"] = table[form] <= LARGEST_MARGIN
    return table
