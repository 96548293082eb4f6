"""The generated text of chapter 3: what a generator is, what it costs, controls, and whether it obeys a label."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from msig_lib.lm.arrays import texts_sha256
from msig_lib.lm.encoder import check_texts

GenDict = MutableMapping[tuple[int, int], list[str]]  # Algorithm 1: (row, label) -> conditional texts


@dataclass
class Cost:
    """What a generator has written so far and what it took: `seconds` of generating, `fit_seconds` before.

    `words` are split at white space; `tokens` are None for generators that count none.
    """

    texts: int = 0
    words: int = 0
    seconds: float = 0.0
    fit_seconds: float = 0.0
    tokens: int | None = None


class TextGenerator(Protocol):
    """Writes text from pool texts (section 3.4.2), or from pool texts and labels (section 3.4.3).

    `fingerprint` tells apart any two generators that could write different texts. What is written for a row
    depends on the row, its label, the sample's number and `seed`, never on what else is asked for with it.
    """

    name: str
    cost: Cost

    @property
    def fingerprint(self) -> str: ...

    def generate(
        self, rows: Sequence[int], labels: Sequence[int] | None, n: int, *, seed: int
    ) -> list[list[str]]:
        """Return `n` texts for each of `rows`, elaborating (labels None) or written for a label each."""
        ...

    def elaborate(
        self, texts: Sequence[str], n: int, *, seed: int, vectors: npt.ArrayLike | None = None
    ) -> list[list[str]]:
        """Return `n` texts for each of `texts`, which need not be in the pool (inference time).

        `vectors` float32 [n texts, dim] are read by generators that look for neighbours.
        """
        ...


class PoolGenerator:
    """The common part of our generators: checks, cost, fingerprint. Subclasses write `_write`.

    `texts` is the pool that `rows` index.
    """

    name = "generator"

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = check_texts(texts)
        if not self.texts:
            raise ValueError("the pool has no texts: a generator needs at least one to write from")
        self.cost = Cost()
        self._hash = ""

    @classmethod
    def fit(cls, texts: Sequence[str]) -> Self:
        """Return a generator over the pool `texts`."""
        return cls(texts)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the kind of generator, the pool, and everything in `_parts`."""
        if not self._hash:
            parts = [type(self).__name__, texts_sha256(self.texts), *self._parts()]
            self._hash = texts_sha256(parts)
        return self._hash

    def generate(
        self, rows: Sequence[int], labels: Sequence[int] | None, n: int, *, seed: int
    ) -> list[list[str]]:
        """Return `n` texts for each of `rows`; see `TextGenerator`. ValueError for rows or labels that are not.

        A generator that knows no labels writes the same for every label.
        """
        index = _whole_numbers("rows", rows, len(self.texts))
        wanted = None
        if labels is not None:
            wanted = _whole_numbers("labels", labels, None)
            if len(wanted) != len(index):
                raise ValueError(f"{len(index)} rows but {len(wanted)} labels: one label a row, or None")
        return self._timed(lambda: self._write(index, wanted, _at_least_one(n), seed))

    def elaborate(
        self, texts: Sequence[str], n: int, *, seed: int, vectors: npt.ArrayLike | None = None
    ) -> list[list[str]]:
        """Return `n` texts for each of `texts`, the same for the same text wherever it stands."""
        texts = check_texts(texts)
        return self._timed(lambda: self._elaborate(texts, _at_least_one(n), seed, vectors))

    def _timed(self, work: Callable[[], list[list[str]]]) -> list[list[str]]:
        start = time.perf_counter()
        out = work()
        self.cost.seconds += time.perf_counter() - start
        self.cost.texts += sum(map(len, out))
        self.cost.words += sum(len(text.split()) for group in out for text in group)
        return out

    def _parts(self) -> Iterable[str]:
        """What else than the pool decides the texts."""
        return ()

    def _write(self, rows: np.ndarray, labels: np.ndarray | None, n: int, seed: int) -> list[list[str]]:
        raise NotImplementedError

    def _elaborate(self, texts: list[str], n: int, seed: int, vectors) -> list[list[str]]:
        raise NotImplementedError


class Copy(PoolGenerator):
    """Control: the text itself. Says how much of a gain is due to a longer input alone."""

    name = "copy"

    def _write(self, rows, labels, n, seed):
        return [[self.texts[row]] * n for row in rows]

    def _elaborate(self, texts, n, seed, vectors):
        return [[text] * n for text in texts]


class RandomDocument(PoolGenerator):
    """Control: any other document of the pool (the text itself in a pool of one)."""

    name = "random document"

    def _write(self, rows, labels, n, seed):
        others = len(self.texts) - 1
        if not others:
            return [[self.texts[row]] * n for row in rows]
        drawn = streams(seed, rows, labels, n) % np.uint64(others)
        return [[self.texts[d + (d >= row)] for d in many] for row, many in zip(rows, drawn.astype(np.int64))]

    def _elaborate(self, texts, n, seed, vectors):
        drawn = streams(seed, text_keys(texts), None, n) % np.uint64(len(self.texts))
        return [[self.texts[d] for d in many] for many in drawn.astype(np.int64)]


class Continuation(PoolGenerator):
    """Oracle: what the source says after the text, "" where that is not known, whatever the label.

    `texts` may hold more than the pool, which comes first: then `elaborate` knows those too.
    """

    name = "true continuation"

    def __init__(self, texts: Sequence[str], continuations: Sequence[str]) -> None:
        super().__init__(texts)
        self.continuations = check_texts(continuations)
        if len(self.continuations) != len(self.texts):
            raise ValueError(f"{len(self.texts)} texts but {len(self.continuations)} continuations")
        self._after = dict(zip(self.texts, self.continuations))

    @classmethod
    def fit(cls, texts: Sequence[str], continuations: Sequence[str]) -> Self:
        """Return the oracle over the pool `texts` and what follows each."""
        return cls(texts, continuations)

    def _parts(self):
        return [texts_sha256(self.continuations)]

    def _write(self, rows, labels, n, seed):
        return [[self.continuations[row]] * n for row in rows]

    def _elaborate(self, texts, n, seed, vectors):
        unknown = [text for text in texts if text not in self._after]
        if unknown:
            raise ValueError(
                f"the continuations of {len(unknown)} texts are not known, the first is {unknown[0][:60]!r}: "
                "fit on them too, after the pool's texts"
            )
        return [[self._after[text]] * n for text in texts]


def augment(texts: Sequence[str], generated: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return x ⊕ x_aug (eq. 3.9) for every text x and each text generated for it; an empty side adds nothing.

    >>> augment(["a cat"], [["and a dog", ""]])
    [['a cat and a dog', 'a cat']]
    """
    if len(texts) != len(generated):
        raise ValueError(f"{len(texts)} texts but generated text for {len(generated)}: one list a text")
    return [[f"{x} {a}" if x and a else x or a for a in group] for x, group in zip(texts, generated)]


def conditional(
    generator: TextGenerator,
    rows: Sequence[int],
    labels: Sequence[int],
    n: int,
    *,
    seed: int,
    cache: GenDict,
) -> list[list[str]]:
    """Return `n` texts for each (row, label), writing only what `cache` lacks (Algorithm 1, lines 7-11).

    A pair with fewer than `n` texts in the cache is written again, one with more gives its first `n`.
    """
    if len(rows) != len(labels):
        raise ValueError(f"{len(rows)} rows but {len(labels)} labels: one label a row")
    pairs = [(int(row), int(label)) for row, label in zip(rows, labels)]
    missing = [pair for pair in dict.fromkeys(pairs) if len(cache.get(pair, ())) < n]
    if missing:
        found = generator.generate([row for row, _ in missing], [label for _, label in missing], n, seed=seed)
        cache.update(zip(missing, map(list, found)))
    return [cache[pair][:n] for pair in pairs]


@dataclass(frozen=True)
class LabelControl:
    """Whether the encoder reads in generated texts the labels that they were written for.

    `share` in 0..1 over all texts, `shares` float64 [L] by intended label, and `confusion` float64 [L, L]:
    the mean P(column | text) over the texts written for the row's label (figure 3.4, left). NaN for a label
    without texts.
    """

    share: float
    shares: np.ndarray
    confusion: np.ndarray
    counts: np.ndarray


def label_control(
    generated_vectors: npt.ArrayLike,
    intended: npt.ArrayLike,
    label_vectors: npt.ArrayLike,
    *,
    scale: float = 20.0,  # ours: as SelfTrainSettings.scale; at 1 every row of the confusion is nearly flat
) -> LabelControl:
    """Return how unit vectors [n, dim] of texts written for `intended` int [n] agree with those of labels [L, dim].

    P is the softmax of `scale` times the cosine (eq. 3.3); a text counts as read when its intended label has
    the largest, the lower label winning a tie.
    """
    vectors = np.asarray(generated_vectors, dtype=np.float64)
    names = np.asarray(label_vectors, dtype=np.float64)
    labels = _whole_numbers("intended", intended, len(names))
    if vectors.ndim != 2 or names.ndim != 2 or vectors.shape[1] != names.shape[1]:
        raise ValueError(f"vectors of shape {vectors.shape} and labels of {names.shape}: expected [n, dim]")
    if len(labels) != len(vectors):
        raise ValueError(f"{len(vectors)} generated vectors but {len(labels)} intended labels")
    logits = scale * vectors @ names.T
    read = logits.argmax(1) == labels
    odds = np.exp(logits - logits.max(1, keepdims=True))
    counts = np.bincount(labels, minlength=len(names))
    sums = np.zeros((len(names), len(names)))
    np.add.at(sums, labels, odds / odds.sum(1, keepdims=True))
    with np.errstate(invalid="ignore"):
        shares = np.bincount(labels, weights=read, minlength=len(names)) / counts
        confusion = sums / counts[:, None]
    return LabelControl(float(read.mean()) if len(read) else float("nan"), shares, confusion, counts)


def cost_table(generators: Iterable[TextGenerator]) -> list[dict[str, object]]:
    """Return one row a generator: texts, words, tokens, seconds to fit and to write, milliseconds a text."""
    return [
        {
            "generator": one.name,
            "texts": one.cost.texts,
            "words a text": one.cost.words / max(one.cost.texts, 1),
            "tokens": one.cost.tokens,
            "fit seconds": one.cost.fit_seconds,
            "seconds": one.cost.seconds,
            "ms a text": 1000 * one.cost.seconds / max(one.cost.texts, 1),
        }
        for one in generators
    ]


def streams(seed: int, keys: np.ndarray, labels: np.ndarray | None, n: int) -> np.ndarray:
    """Return the state that sample k of each key starts from, uint64 [len(keys), n].

    A hash of (seed, key, label, k) alone, by the finaliser of SplitMix64 (Steele et al., 2014).
    """
    labels = np.zeros(len(keys), np.uint64) if labels is None else labels.astype(np.uint64) + np.uint64(1)
    state = np.full(len(keys), seed % 2**64, dtype=np.uint64)
    for part in (np.asarray(keys).astype(np.uint64), labels):
        state = _mix(state ^ _mix(part))
    return _mix(state[:, None] ^ _mix(np.arange(n, dtype=np.uint64))[None, :])


def _mix(value: np.ndarray) -> np.ndarray:
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def text_keys(texts: Sequence[str]) -> np.ndarray:
    """Return a 64-bit hash of each text, uint64 [n]: the key of a text that is no row of the pool."""
    raw = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(raw), dtype="<u8").astype(np.uint64)


def _whole_numbers(name: str, values: npt.ArrayLike, size: int | None) -> np.ndarray:
    given = np.asarray(values)
    if given.size == 0:
        return np.zeros(0, dtype=np.int64)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise ValueError(f"{name} are {given.dtype} of shape {given.shape}, expected a list of whole numbers")
    if given.min() < 0 or (size is not None and given.max() >= size):
        upper = f"0..{size - 1}" if size is not None else "0 or more"
        raise ValueError(f"{name} run from {given.min()} to {given.max()}, expected {upper}")
    return given.astype(np.int64)


def _at_least_one(n: int) -> int:
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"n is {n!r}, expected a whole number of texts from 1")
    return int(n)
