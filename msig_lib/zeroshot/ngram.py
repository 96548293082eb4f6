"""A generator without training: for each text a word model of itself and its nearest documents."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt

from msig_lib.zeroshot._ngram_kernel import write_words
from msig_lib.zeroshot.retrieval import Corpus, Neighbourhood, neighbours_of_rows
from msig_lib.zeroshot.signal import PoolGenerator, streams, text_keys


@dataclass(frozen=True)
class NgramSettings:
    """How a local model is made and read; raises ValueError for impossible values.

    The next word follows the last two words somewhere in the text and its neighbours with probability
    `trigram`, the last word there with `bigram`, and the last word anywhere (for a label: anywhere in its
    confident half) with `table`. An order that knows no next word gives way to the next one.
    """

    neighbours: int = 10  # ours: prototype
    trigram: float = 0.45  # ours: prototype
    bigram: float = 0.40  # ours: prototype
    table: float = 0.15  # ours: prototype
    least_words: int = 24  # ours: prototype
    most_words: int = 36  # ours: prototype; the thesis's 64 to 128 tokens are no better for a local model

    def __post_init__(self) -> None:
        shares = (self.trigram, self.bigram, self.table)
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(f"trigram, bigram and table are {shares}, expected shares that add to 1")
        if self.neighbours < 0 or not 1 <= self.least_words <= self.most_words:
            raise ValueError(f"neighbours >= 0 and 1 <= least_words <= most_words are expected, given {self}")


class NeighbourhoodNgram(PoolGenerator):
    """Writes from a text and its nearest documents, word by word; make one with `fit`.

    >>> generator = NeighbourhoodNgram.fit(texts, encoder.encode(texts), label_scores=scores)
    >>> generator.generate([0, 1], None, 3, seed=0)      # two texts elaborated three times
    >>> generator.generate([0, 1], [2, 2], 3, seed=0)    # the same as texts of class 2
    """

    name = "n-gram"

    def __init__(self, near: Neighbourhood, settings: NgramSettings | None = None) -> None:
        super().__init__(near.texts[: near.n_pool])
        self.near = near
        self.settings = settings or NgramSettings()
        numbers: dict[str, int] = {}
        rows = [_numbered(text, numbers) for text in near.texts]
        self._vocabulary = numbers
        self._words, self._starts = _packed(rows)
        self._tables: dict[int | None, tuple[np.ndarray, np.ndarray]] = {}

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        vectors: npt.ArrayLike,
        label_scores: npt.ArrayLike | None = None,
        settings: NgramSettings | None = None,
        *,
        corpus: Corpus | tuple | None = None,
    ) -> Self:
        """Return the generator over the pool `texts` with `vectors` float32 [n, dim].

        `label_scores` [n, L] are logits of P(label | text), needed to write for a label. `corpus`, a `Corpus`
        or (texts, vectors), lends documents from outside the pool, those with a text of the pool left out.
        """
        compile_kernels()
        start = time.perf_counter()
        out = cls(Neighbourhood(texts, vectors, label_scores, corpus), settings)
        out.cost.fit_seconds = time.perf_counter() - start
        return out

    def update(self, label_scores: npt.ArrayLike) -> None:
        """Take other label scores [pool, L] for the pool (pseudo labels change from round to round)."""
        self.near.update(label_scores)
        self._tables = {None: self._tables[None]} if None in self._tables else {}
        self._hash = ""

    def _parts(self):
        return [repr(sorted(asdict(self.settings).items())), *self.near.parts()]

    def _write(self, rows, labels, n, seed):
        k = self.settings.neighbours
        documents = np.column_stack([rows, neighbours_of_rows(self.near, rows, labels, k)])
        states = streams(seed, rows, labels, n)
        if labels is None:
            return self._sample(documents, None, states)
        out: list[list[str]] = [[]] * len(rows)
        for label in np.unique(labels):
            here = np.flatnonzero(labels == label)
            found = self._sample(documents[here], int(label), states[here])
            for row, texts in zip(here, found):
                out[row] = texts
        return out

    def _elaborate(self, texts, n, seed, vectors):
        documents = self.near.nearest_to_texts(texts, vectors, self.settings.neighbours)
        return self._sample(documents, None, streams(seed, text_keys(texts), None, n), texts)

    def _sample(
        self,
        documents: np.ndarray,
        label: int | None,
        states: np.ndarray,
        own: Sequence[str] = (),
    ) -> list[list[str]]:
        """Return what local models write: of `documents` [q, k] and, if given, texts outside the pool."""
        s = self.settings
        first, followers = self._table(label)
        numbers = self._vocabulary
        if own:  # words that only these texts have must not stay: they would change later texts
            numbers = dict(numbers)
        own_words, own_starts = _packed([_numbered(t, numbers) for t in own] or [[]] * len(documents))
        if len(numbers) > len(self._vocabulary):
            first = np.pad(first, (0, len(numbers) - len(self._vocabulary)), mode="edge")
        shares = np.array([s.trigram, s.trigram + s.bigram])
        out = np.zeros((*states.shape, s.most_words), dtype=np.int32)
        write_words(
            own_words, own_starts, self._words, self._starts, documents, first, followers,
            states, shares, s.least_words, s.most_words, out,
        )  # fmt: skip
        spelled = ["", *numbers]
        return [["".join([spelled[w] for w in words]).strip() for words in q] for q in out.tolist()]

    def _table(self, label: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Return (first, followers): the words after w are `followers[first[w]:first[w + 1]]`."""
        if label not in self._tables:
            documents = np.arange(len(self.near.texts)) if label is None else self.near.members(label)
            pieces = [self._words[self._starts[d] : self._starts[d + 1]] for d in np.sort(documents)]
            gap = np.zeros(1, dtype=np.int32)
            text = np.concatenate([gap, *(part for p in pieces if len(p) for part in (p, gap))])
            order = np.argsort(text[:-1], kind="stable")
            counts = np.bincount(text[:-1], minlength=len(self._vocabulary) + 1)
            first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
            self._tables[label] = (first, text[1:][order])
        return self._tables[label]


@lru_cache(maxsize=1)
def compile_kernels() -> None:
    """Compile what is compiled, or load it, so that it enters no generator's cost."""
    NeighbourhoodNgram(Neighbourhood(["a"], np.ones((1, 1)))).generate([0], None, 1, seed=0)


# Scripts that put no space between words are cut into letters with their marks: everything else at spaces.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_MARKS = "\u0e33\u0eb3" + "".join(
    c for c in map(chr, range(0xE00, 0x1800)) if unicodedata.category(c)[0] == "M"
)
_WORD = re.compile(rf"\s*(?:[{_UNSPACED}][{_MARKS}]*|[^\s{_UNSPACED}]+)")


def word_pieces(text: str) -> list[str]:
    """Return the words of a text, each with the space before it as " " (none where the script has none).

    >>> word_pieces("Two  words")
    [' Two', ' words']
    """
    found = [f" {piece.lstrip()}" if piece[0].isspace() else piece for piece in _WORD.findall(text)]
    if found and not found[0].startswith(" ") and not re.match(f"[{_UNSPACED}]", found[0]):
        found[0] = f" {found[0]}"
    return found


def _numbered(text: str, numbers: dict[str, int]) -> list[int]:
    """Return the numbers of a text's words, from 1; new words get the next one."""
    return [numbers.setdefault(word, len(numbers) + 1) for word in word_pieces(text)]


def _packed(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return all rows in one int32 array, and where each starts, int64 [rows + 1]."""
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    flat = [word for row in rows for word in row]
    return np.array(flat, dtype=np.int32), starts
