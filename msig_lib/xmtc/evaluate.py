"""The metrics of thesis 2.5.2 per document and per label, and the trivial baselines beside every method."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import sparse

from msig_lib.stats import holm, macro_t_test, ranking
from msig_lib.xmtc.data import Part, XMTCData
from msig_lib.xmtc.ranking import top_k as ranking_topk

KS = (1, 3, 5)
F1_K = 5
"""k of macro-F1@k: 5 for every data set but Wiki10-31K, where it is 19 (thesis 2.5.2)."""


def metrics(topk: np.ndarray, part: Part, data: XMTCData, *, f1_k: int = F1_K) -> dict[str, np.ndarray]:
    """Return every metric of one ranking `topk` int [n, >= 5], one value per document or label.

    Per document: p@k and psp@k (normalised, so that the mean is the pooled ratio that the field reports).
    Per label: tail_f1@k over tail labels that occur in the part ("present": the others are NaN), the same
    with absent labels as 0 (`_all`), and head_f1@k over labels with 10 or more training documents.
    """
    q = data.propensities
    rows: dict[str, np.ndarray] = {}
    for k in KS:
        rows[f"p@{k}"] = ranking.precision_at_k(topk, part.labels, k)
        rows[f"psp@{k}"] = ranking.psp_at_k(topk, part.labels, q, k)
    present = ranking.label_f1_at_k(topk, part.labels, f1_k, "present")
    every = ranking.label_f1_at_k(topk, part.labels, f1_k, "all")
    rows[f"tail_f1@{f1_k}"] = present[data.is_tail]
    rows[f"tail_f1@{f1_k}_all"] = every[data.is_tail]
    rows[f"head_f1@{f1_k}"] = present[~data.is_tail]
    return {name: values for name, values in rows.items() if np.isfinite(values).any()}


def summary(topk: np.ndarray, part: Part, data: XMTCData) -> dict[str, float]:
    """Return the mean of every metric of `metrics`."""
    return {name: float(np.nanmean(values)) for name, values in metrics(topk, part, data).items()}


def binned_f1(topk: np.ndarray, part: Part, data: XMTCData, *, size: int = 100) -> pd.DataFrame:
    """Return F1@5 in bins of `size` labels from rare to common, in figure 2.1's form."""
    f1 = ranking.label_f1_at_k(topk, part.labels, F1_K, "present")
    return ranking.f1_in_frequency_bins(f1, data.n_positives, size=size)


def popularity(data: XMTCData, n: int) -> np.ndarray:
    """Return scores float [n, L] that rank the labels by training frequency for every document."""
    return np.broadcast_to(data.n_positives.astype(np.float32), (n, len(data.label_names)))


def nearest_neighbours(
    known: np.ndarray | sparse.csr_matrix,
    asked: np.ndarray | sparse.csr_matrix,
    labels: sparse.csr_matrix,
    *,
    n: int = 10,
    block: int = 512,
) -> np.ndarray:
    """Return scores float32 [m, L]: the labels of the `n` nearest training documents, weighted by cosine.

    `known` [N, d] and `asked` [m, d] hold rows of length 1 (sparse or dense), `labels` csr [N, L]. Nothing is
    trained, so a method that does not beat this has learned little.
    """
    out = np.empty((asked.shape[0], labels.shape[1]), dtype=np.float32)
    for start in range(0, asked.shape[0], block):
        similar = asked[start : start + block] @ known.T
        similar = np.asarray(similar.toarray() if sparse.issparse(similar) else similar, dtype=np.float32)
        nearest = ranking_topk(similar, n)
        weights = np.take_along_axis(similar, nearest, axis=1)
        rows = np.repeat(np.arange(len(nearest)), nearest.shape[1])
        chosen = sparse.csr_array((weights.ravel(), (rows, nearest.ravel())), shape=similar.shape)
        out[start : start + block] = (chosen @ labels).toarray()
    return out


def significance_marks(
    values: Mapping[str, np.ndarray], references: Mapping[str, str], level: float = 0.05
) -> dict[str, str]:
    """Return for each method the marks of the references it beats (figure 2.3's * and †).

    `values[method]` float [labels] is F1 of each label; `references` maps a mark to a method. One-sided macro
    t-tests over labels, Holm-adjusted over all of them together.
    """
    pairs = [(m, mark) for m in values for mark, other in references.items() if m not in references.values()]
    p = [macro_t_test(values[m], values[references[mark]]).pvalue for m, mark in pairs]
    marks = {m: "" for m in values}
    for (method, mark), adjusted in zip(pairs, holm(np.array(p))):
        marks[method] += mark if adjusted < level else ""
    return marks
