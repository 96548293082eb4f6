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
    return _components(np.concatenate(rows), np.concatenate(columns), n)


def phrase_groups(texts: list[str], *, words: int = 5, share: float = 0.7, reach: int = 16) -> np.ndarray:
    """Return a group number for each text by shared phrases: (n,) int64, in order of first appearance.

    Two texts are linked when at least `share` of the phrases of `words` words in one of them (the one with
    fewer) are also in the other, so that a text is found again below a title or cut short. A phrase in more
    than `reach` texts links only those within `reach` of each other in the list of these. Time and memory
    grow with the number of words (.1 s for 1,000 news items), where all cosines would grow with its square.
    """
    vocabulary: dict[str, int] = {}
    tokens = [[vocabulary.setdefault(w, len(vocabulary)) for w in _WORD.findall(t.lower())] for t in texts]
    lengths = np.array([len(t) for t in tokens], dtype=np.int64)
    flat = np.array([i for t in tokens for i in t], dtype=np.uint64)
    document = np.repeat(np.arange(len(texts)), lengths)
    n = max(len(flat) - words + 1, 0)
    mixed = np.zeros(n, dtype=np.uint64)  # a number for each phrase, modulo 2**64
    for i in range(words):
        mixed = (mixed * np.uint64(0x9E3779B97F4A7C15)) ^ (flat[i : i + n] + np.uint64(0x632BE59BD9B4E019))
    inside = document[:n] == document[words - 1 : words - 1 + n]
    pairs = np.unique(np.stack([mixed[inside], document[:n][inside].astype(np.uint64)]), axis=1)
    phrase, owner = pairs[0], pairs[1].astype(np.int64)
    counts = np.bincount(owner, minlength=len(texts))
    shared = [np.zeros(0, dtype=np.int64)]
    for offset in range(1, reach + 1):
        same = phrase[:-offset] == phrase[offset:]
        shared.append(owner[:-offset][same] * len(texts) + owner[offset:][same])
    link, times = np.unique(np.concatenate(shared), return_counts=True)
    first, second = np.divmod(link, max(len(texts), 1))
    keep = times >= share * np.minimum(counts[first], counts[second])
    return _components(first[keep], second[keep], len(texts))


def _components(rows: np.ndarray, columns: np.ndarray, n: int) -> np.ndarray:
    graph = sparse.coo_matrix((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(n, n))
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


def near_any(texts: list[str], references: list[str], *, cosine: float = 0.9, words: int = 8) -> np.ndarray:
    """Return whether each text is linked (as in `near_duplicate_groups`) to any reference: (n,) bool."""
    found = np.zeros(len(texts), dtype=bool)
    if not texts or not references:
        return found
    opening = {first_words(text, words) for text in references}
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    x = vectorizer.fit_transform([*texts, *references]).tocsr()
    transposed = x[len(texts) :].T.tocsr()
    for start in range(0, len(texts), 1024):
        similar = x[start : min(start + 1024, len(texts))] @ transposed
        found[start : start + 1024] = similar.max(axis=1).toarray().ravel() >= cosine - 1e-9
    return found | np.array([first_words(text, words) in opening for text in texts])


def contains_any(texts: list[str], references: list[str], *, opening: int = 5) -> np.ndarray:
    """Return whether each text contains all words of any reference, in order and without a gap: (n,) bool."""
    sought: dict[str, list[str]] = {}  # first words of a reference -> its words, with a space on either side
    sizes = set()
    for reference in references:
        words = _WORD.findall(reference.lower())
        if words:
            sizes.add(min(len(words), opening))
            sought.setdefault(" ".join(words[:opening]), []).append(f" {' '.join(words)} ")
    found = np.zeros(len(texts), dtype=bool)
    for row, text in enumerate(texts):
        words = _WORD.findall(text.lower())
        whole = f" {' '.join(words)} "
        starts = (" ".join(words[i : i + n]) for n in sizes for i in range(len(words) - n + 1))
        found[row] = any(reference in whole for start in starts for reference in sought.get(start, ()))
    return found
