"""Near-duplicate groups of short texts, and splits that no group straddles."""

from __future__ import annotations

import hashlib
import re

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer

_WORD = re.compile(r"\w+")


def first_words(text: str, n: int = 8) -> str:
    """Return the first `n` words in lower case (fewer when the text is shorter)."""
    return " ".join(_WORD.findall(text.lower())[:n])


def near_duplicate_groups(
    texts: list[str], *, cosine: float = 0.9, words: int = 8, block: int = 1024
) -> np.ndarray:
    """Return a group number for each text: (n,) int64, numbered in order of first appearance.

    Two texts are linked when their first `words` words agree or when their tf-idf cosine is at least
    `cosine`; groups are the connected components. Similarities are computed `block` rows at a time, so memory
    stays flat.
    """
    n = len(texts)
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    keys: dict[str, int] = {}
    first = np.array([keys.setdefault(first_words(t, words), i) for i, t in enumerate(texts)])
    rows, columns = [np.arange(n)], [first]
    # float64 and sorted features: the same texts give the same similarities, whatever their order of reading
    x = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b").fit_transform(texts).tocsr()
    transposed = x.T.tocsr()
    for start in range(0, n, block):
        similar = (x[start : start + block] @ transposed).tocoo()
        keep = (similar.data >= cosine - 1e-9) & (similar.row + start < similar.col)
        rows.append(similar.row[keep] + start)
        columns.append(similar.col[keep])
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = sparse.coo_matrix((np.ones(len(row), dtype=bool), (row, column)), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    _, position, inverse = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(position))[inverse].astype(np.int64)


def group_fraction(texts: list[str], groups: np.ndarray) -> np.ndarray:
    """Return a number in [0, 1) for each group, from a hash of its texts: (n_groups,) float64."""
    members: list[list[str]] = [[] for _ in range(int(groups.max(initial=-1)) + 1)]
    for text, group in zip(texts, groups):
        members[group].append(text)
    digests = (hashlib.sha256("\n".join(sorted(m)).encode()).digest() for m in members)
    return np.array([int.from_bytes(d[:8], "big") / 2.0**64 for d in digests])


def hash_split(fractions: np.ndarray, shares: tuple[float, float, float] = (0.7, 0.1, 0.2)) -> np.ndarray:
    """Return "train", "dev" or "test" for each fraction in [0, 1), in about the given shares."""
    if abs(sum(shares) - 1) > 1e-9 or min(shares) < 0:
        raise ValueError(f"shares {shares} must be non-negative and sum to 1.")
    edges = np.cumsum(shares)[:2]
    return np.array(["train", "dev", "test"])[np.searchsorted(edges, fractions, side="right")]
