"""Nearest documents: the neighbourhood that generators write from, and retrieval as a generator."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt

from msig_lib.lm.arrays import texts_sha256
from msig_lib.lm.encoder import check_texts
from msig_lib.zeroshot._nearest_kernel import rank_rows
from msig_lib.zeroshot.signal import PoolGenerator

SPARE = 8  # ours: candidates beyond k that are ranked again in float64
FEWEST = 10  # ours: the neighbours of a local model; fewer documents would be quoted, not recombined
BLOCK = 16_000_000  # similarities held at a time: 64 MB


@dataclass(frozen=True)
class Corpus:
    """Unlabelled documents from outside the pool: `texts`, `vectors` float32 [m, dim] and, for writing text
    for a label, `label_scores` [m, L] from the same model as the pool's."""

    texts: Sequence[str]
    vectors: npt.ArrayLike
    label_scores: npt.ArrayLike | None = None


class Neighbourhood:
    """Pool documents, then those of a corpus whose text is not in the pool, with their nearest ones.

    `texts` in that order, the first `n_pool` of them the pool's; `vectors` float32 [n, dim], normalised.
    """

    def __init__(
        self,
        texts: Sequence[str],
        vectors: npt.ArrayLike,
        label_scores: npt.ArrayLike | None = None,
        corpus: Corpus | tuple | None = None,
    ) -> None:
        self.texts = check_texts(texts)
        self.n_pool = len(self.texts)
        self.vectors = unit_vectors(vectors, self.n_pool, "texts")
        outside = None
        if corpus is not None:
            corpus = corpus if isinstance(corpus, Corpus) else Corpus(*corpus)
            more = check_texts(corpus.texts)
            found = unit_vectors(corpus.vectors, len(more), "corpus texts")
            known = set(self.texts)
            keep = [i for i, text in enumerate(more) if text not in known]
            self.texts = self.texts + [more[i] for i in keep]
            self.vectors = np.concatenate([self.vectors, found[keep]])
            outside = corpus.label_scores
            if outside is not None:
                outside = _scores(outside, len(more), "corpus texts")[keep]
        self._outside = outside
        self._labelled(label_scores)

    def _labelled(self, label_scores: npt.ArrayLike | None) -> None:
        self._members: dict[int, np.ndarray] = {}
        self.label_scores = None if label_scores is None else _scores(label_scores, self.n_pool, "texts")
        self._odds = None

    def update(self, label_scores: npt.ArrayLike) -> None:
        """Take other `label_scores` [n_pool, L] for the pool (pseudo labels change from round to round)."""
        self._labelled(label_scores)

    def parts(self) -> list[str]:
        """What decides the neighbours, as strings for a fingerprint."""
        arrays = [self.vectors, self.label_scores, self._outside]
        hashes = ["" if a is None else hashlib.sha256(np.ascontiguousarray(a)).hexdigest() for a in arrays]
        return [texts_sha256(self.texts), *hashes]

    def members(self, label: int) -> np.ndarray:
        """Return the documents of a class's confident half, int64, most confident first.

        Ranked are the documents whose largest score is the label's, by P(label | text), the softmax of
        the scores; then all others by P(label | text). The half has at least `FEWEST` documents, so that a
        class without a confident document, or without any, lends the documents that are least unlike it.
        """
        if label not in self._members:
            odds = self.probabilities
            if label >= odds.shape[1]:
                raise ValueError(f"label {label} was asked for, but label_scores has {odds.shape[1]} columns")
            own = odds.argmax(1) == label
            order = np.lexsort([-odds[:, label], ~own])
            self._members[label] = order[: max(-(-int(own.sum()) // 2), FEWEST)].astype(np.int64)
        return self._members[label]

    @property
    def probabilities(self) -> np.ndarray:
        """P(label | document), float64 [n, L]: the softmax of the label scores; ValueError without them."""
        if self._odds is None:
            if self.label_scores is None:
                raise ValueError(
                    "text for a label needs label_scores [texts, labels]: pass them to fit or update"
                )
            scores = self.label_scores
            if len(self.texts) > self.n_pool:
                if self._outside is None or self._outside.shape[1] != scores.shape[1]:
                    raise ValueError(
                        "text for a label needs the corpus's label_scores too, from the same model: "
                        "pass Corpus(texts, vectors, label_scores)"
                    )
                scores = np.concatenate([scores, self._outside])
            odds = np.exp(scores - scores.max(1, keepdims=True))
            self._odds = odds / odds.sum(1, keepdims=True)
        return self._odds

    @cached_property
    def _places(self) -> dict[str, int]:
        return {text: i for i, text in reversed(list(enumerate(self.texts)))}

    def nearest_to_texts(self, texts: Sequence[str], vectors: npt.ArrayLike | None, k: int) -> np.ndarray:
        """Return `nearest` of texts from anywhere, but never a document with the same words.

        ValueError when their `vectors` float32 [n texts, dim] are missing or of another size.
        """
        if vectors is None:
            raise ValueError(
                "texts outside the pool have no vectors here: pass vectors=encoder.encode(texts), "
                "from the encoder of the pool's vectors"
            )
        found = unit_vectors(vectors, len(texts), "texts")
        if len(texts) and found.shape[1] != self.vectors.shape[1]:
            raise ValueError(
                f"vectors have {found.shape[1]} columns, those of the pool {self.vectors.shape[1]}"
            )
        own = np.array([self._places.get(text, -1) for text in texts], dtype=np.int64)
        return self.nearest(found, k, own=own)

    def nearest(
        self, vectors: np.ndarray, k: int, *, label: int | None = None, own: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the `k` documents nearest to each of `vectors` [q, dim] by cosine, nearest first.

        int64 [q, k], filled up with -1. Only documents of `label`'s confident half are taken, if given, and
        never the documents `own` int [q] (-1 for none). Equally near documents come in order.
        """
        allowed = None if label is None else np.sort(self.members(label))
        documents = self.vectors if allowed is None else self.vectors[allowed]
        own = np.full(len(vectors), -1) if own is None else np.asarray(own)
        if allowed is not None:
            place = np.minimum(np.searchsorted(allowed, own), len(allowed) - 1)
            own = np.where(allowed[place] == own, place, -1)
        out = np.empty((len(vectors), k), dtype=np.int64)
        step = max(1, BLOCK // len(documents))
        for start in range(0, len(vectors), step):
            part = slice(start, start + step)
            asked = vectors[part]
            rank_rows(asked @ documents.T, asked, documents, own[part], SPARE, out[part])
        return out if allowed is None else np.where(out >= 0, allowed[out], -1)


class Retrieval(PoolGenerator):
    """Text of a model that can only quote: sample i is the i-th nearest other document.

    For a label, the nearest of its confident half. With fewer documents than samples they start again; with
    none (a pool of one text) the text itself is given. Nothing is random, so `seed` changes nothing.
    """

    name = "retrieval"

    def __init__(self, near: Neighbourhood) -> None:
        super().__init__(near.texts[: near.n_pool])
        self.near = near

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        vectors: npt.ArrayLike,
        label_scores: npt.ArrayLike | None = None,
        *,
        corpus: Corpus | tuple | None = None,
    ) -> Self:
        """Return retrieval from the pool and, if given, an outside corpus (see `NeighbourhoodNgram.fit`)."""
        compile_kernel()
        start = time.perf_counter()
        out = cls(Neighbourhood(texts, vectors, label_scores, corpus))
        out.cost.fit_seconds = time.perf_counter() - start
        return out

    def update(self, label_scores: npt.ArrayLike) -> None:
        """Take other label scores [pool, L] for the pool."""
        self.near.update(label_scores)
        self._hash = ""

    def _parts(self):
        return self.near.parts()

    def _write(self, rows, labels, n, seed):
        found = neighbours_of_rows(self.near, rows, labels, n)
        return [self._quote(many, self.texts[row]) for row, many in zip(rows, found)]

    def _elaborate(self, texts, n, seed, vectors):
        found = self.near.nearest_to_texts(texts, vectors, n)
        return [self._quote(many, text) for text, many in zip(texts, found)]

    def _quote(self, documents: np.ndarray, text: str) -> list[str]:
        real = [self.near.texts[d] for d in documents if d >= 0] or [text]
        return [real[i % len(real)] for i in range(len(documents))]


def neighbours_of_rows(
    near: Neighbourhood, rows: np.ndarray, labels: np.ndarray | None, k: int
) -> np.ndarray:
    """Return the documents nearest to pool `rows`, of the wanted label if any, int64 [rows, k], -1 for none."""
    if labels is None:
        distinct, inverse = np.unique(rows, return_inverse=True)
        return near.nearest(near.vectors[distinct], k, own=distinct)[inverse]
    out = np.full((len(rows), k), -1, dtype=np.int64)
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        out[here] = near.nearest(near.vectors[rows[here]], k, label=int(label), own=rows[here])
    return out


@lru_cache(maxsize=1)
def compile_kernel() -> None:
    """Compile the kernel, or load it, so that it enters no generator's cost."""
    Neighbourhood(["a"], np.ones((1, 1))).nearest(np.ones((1, 1), dtype=np.float32), 1)


def unit_vectors(vectors: npt.ArrayLike, n: int, what: str) -> np.ndarray:
    """Return `vectors` float32 [n, dim] divided by their norms (zero vectors stay); ValueError if they cannot."""
    found = np.ascontiguousarray(vectors, dtype=np.float32)
    if found.ndim != 2 or len(found) != n or not np.isfinite(found).all():
        raise ValueError(f"vectors of shape {found.shape} for {n} {what}, expected finite numbers [{n}, dim]")
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def _scores(label_scores: npt.ArrayLike, n: int, what: str) -> np.ndarray:
    found = np.asarray(label_scores, dtype=np.float64)
    if found.ndim != 2 or len(found) != n or not found.shape[1] or not np.isfinite(found).all():
        raise ValueError(f"label_scores of shape {found.shape} for {n} {what}, expected finite [{n}, labels]")
    return found
