"""Ranking metrics of extreme classification, from the top-k labels of every document (thesis 2.5.2).

Rankings are integer arrays `topk` [n_docs, k], best label first, -1 where a method predicts nothing;
the truth is a 0/1 sparse matrix [n_docs, n_labels]. Metrics return one value per document or per label,
so that two methods can be paired; averages are the caller's (`np.nanmean`) or come from
`msig_lib.stats.intervals`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

Floats = npt.NDArray[np.float64]
Truth = sp.spmatrix | sp.sparray | npt.ArrayLike  # 0/1 [n_docs, n_labels]

# Jain, Prabhu and Varma (2016), as listed by the extreme classification repository.
PROPENSITY_AB: dict[str, tuple[float, float]] = {
    "EURLex-4K": (0.55, 1.5),
    "Wiki10-31K": (0.55, 1.5),
    "AmazonCat-13K": (0.55, 1.5),
    "Wiki-500K": (0.5, 0.4),
}


def as_truth(truth: Truth) -> sp.csr_array:
    """Return `truth` as a csr array of 0/1 with sorted indices; ValueError when it is anything else."""
    matrix = sp.csr_array(truth)
    if matrix.ndim != 2:
        raise ValueError(f"truth has {matrix.ndim} dimensions; give a 0/1 matrix [n_docs, n_labels].")
    if matrix.nnz and not np.all(np.isin(matrix.data, (0, 1))):
        odd = matrix.data[~np.isin(matrix.data, (0, 1))][0]
        raise ValueError(
            f"truth holds the value {odd}; give 0/1 (a repeated label in a document adds up to 2)."
        )
    if not matrix.has_canonical_format or (matrix.nnz and not matrix.data.all()):
        matrix = matrix.copy()
        matrix.sum_duplicates()
        if matrix.nnz and matrix.data.max() > 1:
            raise ValueError("truth names a label twice for one document; remove the duplicates.")
        matrix.eliminate_zeros()
    return matrix


def _checked(topk: npt.ArrayLike, truth: sp.csr_array, k: int) -> npt.NDArray[np.int64]:
    ranks = np.asarray(topk)
    n_docs, n_labels = truth.shape
    if ranks.ndim != 2 or not np.issubdtype(ranks.dtype, np.integer):
        raise ValueError(f"topk is {ranks.dtype} of shape {ranks.shape}; give label indices [n_docs, k].")
    if len(ranks) != n_docs:
        raise ValueError(
            f"topk ranks {len(ranks)} documents and truth has {n_docs}; give the same documents."
        )
    if not 1 <= k <= ranks.shape[1]:
        raise ValueError(
            f"k={k}, and topk has {ranks.shape[1]} columns; use 1 <= k <= columns, or rank more labels."
        )
    ranks = ranks[:, :k].astype(np.int64, copy=False)
    if ranks.size and (ranks.max() >= n_labels or ranks.min() < -1):
        raise ValueError(
            f"topk holds labels {ranks.min()}..{ranks.max()}; truth has 0..{n_labels - 1} (-1: no label)."
        )
    ordered = np.sort(ranks, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        doc = int(np.flatnonzero(twice.any(axis=1))[0])
        raise ValueError(
            f"topk ranks a label twice for document {doc}: {ranks[doc].tolist()}; rank each label once."
        )
    return ranks


def hits_at_k(topk: npt.ArrayLike, truth: Truth, k: int) -> npt.NDArray[np.bool_]:
    """Return bool [n_docs, k]: whether the label at each of the first `k` ranks is a true label.

    Raises ValueError for a shape that does not fit, an unknown label, or a label ranked twice.
    """
    true = as_truth(truth)
    return _hits(_checked(topk, true, k), true)


def _hits(ranks: npt.NDArray[np.int64], true: sp.csr_array) -> npt.NDArray[np.bool_]:
    n_docs, n_labels = true.shape
    if not true.nnz:
        return np.zeros(ranks.shape, dtype=bool)
    # Both sides become one sorted list of (document, label) numbers, so that one binary search answers all.
    row = np.repeat(np.arange(n_docs, dtype=np.int64), np.diff(true.indptr))
    keys = row * n_labels + true.indices
    wanted = np.arange(n_docs, dtype=np.int64)[:, None] * n_labels + ranks
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return (keys[at] == wanted) & (ranks >= 0)


def precision_at_k(topk: npt.ArrayLike, truth: Truth, k: int) -> Floats:
    """Return P@k of every document, float [n_docs] in [0, 1]: the true share of the first `k` ranks.

    >>> precision_at_k([[0, 2], [1, -1]], [[1, 0, 0], [0, 1, 0]], k=2).tolist()
    [0.5, 0.5]
    """
    return hits_at_k(topk, truth, k).sum(axis=1) / k


def propensities(n_pos: npt.ArrayLike, n_train: int, a: float = 0.55, b: float = 1.5) -> Floats:
    """Return the propensity q_l in (0, 1] of every label with `n_pos` training positives, [n_labels].

    1 / q_l = 1 + C (N_l + b)^-a with C = (ln n_train - 1) (b + 1)^a (Jain et al. 2016); a and b per
    data set in `PROPENSITY_AB`. Raises ValueError when `n_train` < 3, where C would not be positive.

    >>> round(float(1 / propensities([1], n_train=15_539)[0]), 2)
    9.65
    """
    counts = np.asarray(n_pos, dtype=np.float64)
    if n_train < 3:
        raise ValueError(
            f"n_train={n_train}; propensities need at least 3 training documents (ln n_train > 1)."
        )
    if counts.size and (counts.min() < 0 or counts.max() > n_train):
        raise ValueError(
            f"n_pos spans {counts.min():g}..{counts.max():g}; give counts between 0 and {n_train}."
        )
    c = (np.log(n_train) - 1) * (b + 1) ** a
    return 1.0 / (1.0 + c * (counts + b) ** -a)


def psp_terms(topk: npt.ArrayLike, truth: Truth, propensity: npt.ArrayLike, k: int) -> tuple[Floats, Floats]:
    """Return per document the inverse propensity gained in `k` ranks and the best possible, [n_docs] each.

    PSP@k as the field reports it is `gained.sum() / best.sum()`: hand both to `ratio_interval` for an
    interval.
    """
    true = as_truth(truth)
    ranks = _checked(topk, true, k)
    q = np.asarray(propensity, dtype=np.float64)
    n_docs, n_labels = true.shape
    if q.shape != (n_labels,) or not np.all((q > 0) & (q <= 1)):
        raise ValueError(
            f"propensity has shape {q.shape}; give {n_labels} values in (0, 1], see propensities()."
        )
    gained = np.where(_hits(ranks, true), 1.0 / q[ranks], 0.0).sum(axis=1)
    # Sorted by (document, gain), the best k of a document are the last k of its stretch.
    row = np.repeat(np.arange(n_docs), np.diff(true.indptr))
    gain = 1.0 / q[true.indices]
    order = np.lexsort((gain, row))
    place = true.indptr[row + 1] - np.arange(true.nnz)  # 1 for the last of a document's stretch
    best = np.bincount(row, weights=np.where(place <= k, gain[order], 0.0), minlength=n_docs)
    return gained, best


def psp_at_k(
    topk: npt.ArrayLike,
    truth: Truth,
    propensity: npt.ArrayLike,
    k: int,
    convention: str = "normalised",
) -> Floats:
    """Return propensity-scored precision of every document, float [n_docs], so that its mean is PSP@k.

    "normalised": gained_i n / sum(best), whose mean is exactly the pooled ratio that the field reports;
    an interval over these values holds the denominator fixed (equal for both methods of a pair; see
    `ratio_interval` otherwise). "thesis": gained_i / k, the formula printed in 2.5.2, which is not
    bounded by 1.
    """
    gained, best = psp_terms(topk, truth, propensity, k)
    if convention == "thesis":
        return gained / k
    if convention != "normalised":
        raise ValueError(f"convention={convention!r}; use 'normalised' or 'thesis'.")
    if not best.sum():
        raise ValueError("truth holds no label at all, so PSP@k is undefined; give documents with labels.")
    return gained * (len(gained) / best.sum())


@dataclass(frozen=True)
class LabelCounts:
    """Table 2.2 of the thesis without the true negatives: int arrays [n_labels] over the test documents."""

    tp: npt.NDArray[np.int64]
    fp: npt.NDArray[np.int64]
    fn: npt.NDArray[np.int64]


def label_counts(topk: npt.ArrayLike, truth: Truth, k: int) -> LabelCounts:
    """Return every label's contingency table (table 2.2), the first `k` ranks being the predictions."""
    true = as_truth(truth)
    ranks = _checked(topk, true, k)
    hits, n_labels = _hits(ranks, true), true.shape[1]
    tp = np.bincount(ranks[hits], minlength=n_labels)
    fp = np.bincount(ranks[~hits & (ranks >= 0)], minlength=n_labels)
    return LabelCounts(tp=tp, fp=fp, fn=np.bincount(true.indices, minlength=n_labels) - tp)


def label_f1_at_k(
    topk: npt.ArrayLike,
    truth: Truth,
    k: int,
    convention: str | None = None,
) -> Floats:
    """Return F1@k of every label, float [n_labels] (thesis 2.5.2: 2PR/(P+R), written 2TP/(2TP+FP+FN)).

    `convention` fixes the cases the thesis leaves open. None: NaN where a label is neither true nor
    predicted. "all": 0 there, so every label counts. "present": NaN for every label without a test
    positive, predicted or not, so the labels that count depend on the truth alone and any two methods
    pair.
    """
    counts = label_counts(topk, truth, k)
    bottom = 2 * counts.tp + counts.fp + counts.fn
    f1 = np.divide(2.0 * counts.tp, bottom, out=np.full(len(bottom), np.nan), where=bottom > 0)
    if convention == "all":
        return np.nan_to_num(f1, nan=0.0)
    if convention == "present":
        return np.where(counts.tp + counts.fn > 0, f1, np.nan)
    if convention is not None:
        raise ValueError(f"convention={convention!r}; use 'all', 'present' or None.")
    return f1


def tail_labels(n_pos: npt.ArrayLike, low: int = 1, high: int = 9) -> npt.NDArray[np.bool_]:
    """Return bool [n_labels]: labels with `low`..`high` training positives, 1-9 in thesis table 2.1."""
    counts = np.asarray(n_pos)
    return (counts >= low) & (counts <= high)


def macro_f1_at_k(
    topk: npt.ArrayLike,
    truth: Truth,
    k: int,
    labels: npt.ArrayLike | None = None,
    convention: str = "all",
) -> float:
    """Return macro-F1@k over `labels` (bool mask or indices; default all), NaN when none counts.

    Conventions as in `label_f1_at_k`; with `tail_labels(n_pos)` it is figure 2.3's measure.
    """
    f1 = label_f1_at_k(topk, truth, k, convention)
    chosen = f1 if labels is None else f1[np.asarray(labels)]
    return float(np.nanmean(chosen)) if np.isfinite(chosen).any() else float("nan")


def f1_in_frequency_bins(
    f1: npt.ArrayLike, n_pos: npt.ArrayLike, size: int = 100, min_pos: int = 1
) -> pd.DataFrame:
    """Return mean F1 in bins of `size` labels from rare to common (figure 2.1: 100 labels a bin).

    `f1` float [n_labels] may hold NaN (left out of the means); labels under `min_pos` training
    positives are left out; equal counts keep the order of their index. Columns: rank (1-based, of the
    bin's first label), n_labels, n_counted (labels with a defined F1), train_positives (mean), f1
    (mean, NaN when none counts).
    """
    values, counts = np.asarray(f1, dtype=np.float64), np.asarray(n_pos)
    if values.shape != counts.shape or values.ndim != 1:
        raise ValueError(
            f"f1 has shape {values.shape} and n_pos {counts.shape}; give one value per label in each."
        )
    if size < 1:
        raise ValueError(f"size={size}; a bin holds at least one label.")
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] >= min_pos]
    frame = pd.DataFrame({"bin": np.arange(len(order)) // size, "pos": counts[order], "f1": values[order]})
    bins = frame.groupby("bin").agg(
        n_labels=("pos", "size"),
        n_counted=("f1", "count"),
        train_positives=("pos", "mean"),
        f1=("f1", "mean"),
    )
    bins.insert(0, "rank", bins.index.to_numpy() * size + 1)
    return bins.reset_index(drop=True)
