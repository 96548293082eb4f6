"""Baselines that read texts: label words (LOTClass), salient sentences (PESCO), the generator as classifier.

Each keeps the idea of its namesake and leaves out what needs a large model, hence "-like".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse, special
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

from msig_lib.lm.encoder import check_texts
from msig_lib.zeroshot.selection import select

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
SENTENCE = re.compile(r"(?<=[.!?…。！？])\s+|\n+")
CLAUSE = re.compile(r"[,;:—–]\s+|\s+[-–—]\s+")


@dataclass(frozen=True)
class LabelWordSettings:
    """How class vocabularies are made and read (Meng et al., 2020: a masked model proposes the words there)."""

    n_words: int = 50  # ours: half of LOTClass's 100, the pools here are a hundredth of its corpora
    min_documents: int = 3  # ours: a word's vector is a mean over documents; two say nothing
    max_share: float = 0.2  # ours: a word of every fifth document tells no class from another
    start: float = 0.2  # ours: share of pool/L taken per class; better than .5 and 1 on dev of two data sets


@dataclass(frozen=True)
class LabelWords:
    """Class vocabularies and the pseudo labels that counting them gives.

    `words[c]` are the words of class c, its name's own first (without "and" and the like). `labels` int64 [n]
    is -1 where no class has the most words; `confidence` float32 [n] is the lead of the first class over the
    second in weighted counts; `counts` float32 [n, L].
    """

    words: list[list[str]]
    labels: np.ndarray
    confidence: np.ndarray
    counts: np.ndarray

    def most_confident(self, share: float = LabelWordSettings.start) -> tuple[np.ndarray, np.ndarray]:
        """Return (rows, classes): for each class, at most `share` of n / L documents, the surest first served."""
        if not 0 < share <= 1:
            raise ValueError(f"share is {share}, expected above 0 and at most 1")
        each = max(1, round(share * len(self.labels) / len(self.words)))
        rows = select(self.labels, self.confidence, each, len(self.words))
        return rows, self.labels[rows]


def label_words(
    texts: Sequence[str],
    vectors: npt.ArrayLike,
    class_names: Sequence[str],
    label_vectors: npt.ArrayLike,
    *,
    settings: LabelWordSettings = LabelWordSettings(),
) -> LabelWords:
    """Return words that go with each class name in the pool, and pseudo labels from counting them.

    `vectors` [n, dim] embed `texts`, `label_vectors` [L, dim] the prompts of `class_names`. A word is the mean
    of the documents that hold it; less the mean document, it is compared with each prompt less the mean prompt.
    It joins the one class it is nearest to, weighted by its lead over the second; the name's own words weigh 1,
    as much as the best other word. Nothing is trained and no label is read.
    """
    documents = check_texts(texts)
    x, prompts = np.asarray(vectors, dtype=np.float64), np.asarray(label_vectors, dtype=np.float64)
    n, n_classes = len(documents), len(class_names)
    if x.shape != (n, prompts.shape[-1]) or prompts.shape[0] != n_classes or not n:
        raise ValueError(
            f"{n} texts, vectors {x.shape}, {n_classes} class names, label vectors {prompts.shape}; "
            "expected [n, dim] and [L, dim]"
        )
    if n_classes < 2:
        raise ValueError(f"{n_classes} class: words can only be told apart between two or more")
    counter = CountVectorizer(tokenizer=_words, token_pattern=None, lowercase=False, binary=True)
    names = [[w for w in _words(n) if w not in ENGLISH_STOP_WORDS] or _words(n) for n in class_names]
    try:
        present = sparse.csr_array(counter.fit_transform(documents), dtype=np.float64)
        vocabulary = counter.get_feature_names_out()
    except ValueError:  # scikit-learn's "empty vocabulary": texts without a single word
        present, vocabulary = sparse.csr_array((n, 0)), np.array([], dtype=str)
    often = present.sum(axis=0)
    own = {word for parts in names for word in parts}
    kept = np.array(
        [
            settings.min_documents <= count <= max(settings.max_share * n, settings.min_documents)
            and word not in own
            and word not in ENGLISH_STOP_WORDS
            and len(word) > 2
            for word, count in zip(vocabulary, often)
        ],
        dtype=bool,
    )
    means = (present[:, kept].T @ x) / np.maximum(often[kept], 1)[:, None] - x.mean(axis=0)
    near = _unit(means) @ _unit(prompts - prompts.mean(axis=0)).T
    weights = np.zeros((len(vocabulary), n_classes))
    words: list[list[str]] = []
    best = near.argmax(axis=1) if len(near) else np.array([], dtype=int)
    ordered = np.sort(near, axis=1)
    lead = ordered[:, -1] - ordered[:, -2]
    columns = np.flatnonzero(kept)
    place = {word: i for i, word in enumerate(vocabulary)}
    for c in range(n_classes):
        mine = np.flatnonzero((best == c) & (near[:, c] > 0))
        mine = mine[np.argsort(-lead[mine], kind="stable")[: settings.n_words]]
        if len(mine):
            weights[columns[mine], c] = lead[mine] / lead[mine].max()
        shared = [word for word in names[c] if sum(word in other for other in names) == 1]
        for word in shared:
            if word in place:
                weights[place[word], c] = 1.0
        words.append(list(dict.fromkeys(names[c])) + [str(vocabulary[columns[i]]) for i in mine])
    counts = present @ weights
    top = np.sort(counts, axis=1)
    confidence = top[:, -1] - top[:, -2]
    labels = np.where(confidence > 0, counts.argmax(axis=1), -1)
    return LabelWords(
        words, labels.astype(np.int64), confidence.astype(np.float32), counts.astype(np.float32)
    )


def pieces(text: str) -> list[str]:
    """Return the sentences of a text, or its clauses where it is a single sentence; [] for an empty text."""
    parts = [part.strip() for part in SENTENCE.split(text) if part.strip()]
    if len(parts) == 1:
        parts = [part.strip() for part in CLAUSE.split(parts[0]) if len(_words(part)) >= 2]
        parts = parts or [text.strip()]
    return parts


def salient_sentences(
    texts: Sequence[str],
    labels: npt.ArrayLike,
    embed: Callable[[list[str]], np.ndarray],
    label_vectors: npt.ArrayLike,
    *,
    n: int = 1,
) -> list[list[str]]:
    """Return for each text its `n` sentences nearest to the prompt of its predicted label (Wang et al., 2023).

    `labels` int [len(texts)] are pseudo labels, `embed` maps texts to vectors [m, dim], `label_vectors` is
    [L, dim]. A text of one sentence gives a clause, and one that cannot be cut gives []: it would be its own
    positive. The lists are `positives` of `train.self_train`.
    """
    documents = check_texts(texts)
    given, prompts = np.asarray(labels), _unit(np.asarray(label_vectors, dtype=np.float64))
    if given.shape != (len(documents),) or not (given.size == 0 or np.issubdtype(given.dtype, np.integer)):
        raise ValueError(
            f"{len(documents)} texts and labels {given.dtype} {given.shape}; give one int a text"
        )
    if given.size and not 0 <= given.min() <= given.max() < len(prompts):
        raise ValueError(
            f"labels reach from {given.min()} to {given.max()}, expected classes 0..{len(prompts) - 1}"
        )
    if n < 1:
        raise ValueError(f"n is {n}, expected 1 or more sentences")
    cut = [parts if len(parts) > 1 else [] for parts in map(pieces, documents)]
    flat = list(dict.fromkeys(part for parts in cut for part in parts))
    if not flat:
        return [[] for _ in documents]
    near = dict(zip(flat, _unit(np.asarray(embed(flat), dtype=np.float64)) @ prompts.T))
    return [
        sorted(parts, key=lambda part, c=c: -near[part][c])[: min(n, len(parts))]
        for parts, c in zip(cut, given)
    ]


@dataclass(frozen=True)
class NgramClassifierSettings:
    """Class-conditional trigrams, each order smoothed by the one below it (MacKay and Peto, 1995)."""

    trust: tuple[float, float, float] = (50.0, 5.0, 2.0)
    """Pseudo counts given to the order below: all classes' words, then words, then bigrams (ours)."""
    temperature: float = 1.0  # of the posterior; 1 is naive Bayes's own, overconfident


class NgramClassifier:
    """The n-gram generator turned round: the class under which a text is likeliest to be generated.

    `fit(texts, labels, n_classes)` counts word trigrams of each class (labels are pseudo labels, in our
    tables those of the zero-shot's confident half); `scores(texts)` are the posteriors with equal priors,
    float32 [n, L]. Attribute: `n_words`, the size of the vocabulary.
    """

    def __init__(self, settings: NgramClassifierSettings = NgramClassifierSettings()) -> None:
        self.settings = settings

    def fit(self, texts: Sequence[str], labels: npt.ArrayLike, n_classes: int) -> NgramClassifier:
        """Count; return self. Raises ValueError without texts or with labels outside 0..n_classes-1."""
        documents, given = check_texts(texts), np.asarray(labels)
        if not documents or given.shape != (len(documents),) or not np.issubdtype(given.dtype, np.integer):
            raise ValueError(
                f"{len(documents)} texts and labels {given.dtype} {given.shape}; give one int a text, not none"
            )
        if given.min() < 0 or given.max() >= n_classes:
            raise ValueError(f"labels reach from {given.min()} to {given.max()}, expected 0..{n_classes - 1}")
        self._ids: list[dict[tuple[str, ...], int]] = [{}, {}, {}]
        seen: list[list[tuple[int, int]]] = [[], [], []]
        for text, c in zip(documents, given.tolist()):
            for gram in _grams(text):
                for order in range(3):
                    known = self._ids[order]
                    seen[order].append((known.setdefault(gram[2 - order :], len(known)), c))
        self.n_words = len(self._ids[0])
        self._counts = []
        for order in range(3):
            table = np.zeros((len(self._ids[order]) + 1, n_classes))  # the last row: never seen
            if seen[order]:
                at = np.array(seen[order])
                np.add.at(table, (at[:, 0], at[:, 1]), 1.0)
            self._counts.append(table)
        self._contexts: list[dict[tuple[str, ...], int]] = []
        self._totals = []
        for order in (1, 2):
            places: dict[tuple[str, ...], int] = {}
            where = np.array(
                [places.setdefault(gram[:-1], len(places)) for gram in self._ids[order]], dtype=int
            )
            total = np.zeros((len(places) + 1, n_classes))
            np.add.at(total, where, self._counts[order][:-1])
            self._contexts.append(places)
            self._totals.append(total)
        return self

    def log_likelihood(self, texts: Sequence[str]) -> np.ndarray:
        """Return log p(text | class) in nats, end of text included, float64 [n, L]."""
        documents = check_texts(texts)
        if not hasattr(self, "_counts"):
            raise RuntimeError(
                "this NgramClassifier has counted nothing yet: call fit(texts, labels, n_classes)"
            )
        grams = [_grams(text) for text in documents]
        flat = [gram for some in grams for gram in some]
        owner = np.repeat(np.arange(len(documents)), [len(some) for some in grams])
        mu = self.settings.trust
        words = self._counts[0]
        everywhere = (words.sum(axis=1, keepdims=True) + 1) / (words.sum() + len(words))
        at = np.array([self._ids[0].get(gram[2:], -1) for gram in flat], dtype=int)
        p = (words[at] + mu[0] * everywhere[at]) / (words.sum(axis=0) + mu[0])
        for order in (1, 2):
            own = np.array([self._ids[order].get(gram[2 - order :], -1) for gram in flat], dtype=int)
            context = np.array(
                [self._contexts[order - 1].get(g[2 - order : -1], -1) for g in flat], dtype=int
            )
            p = (self._counts[order][own] + mu[order] * p) / (self._totals[order - 1][context] + mu[order])
        out = np.zeros((len(documents), words.shape[1]))
        np.add.at(out, owner, np.log(p))
        return out

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Return the posterior over the classes with equal priors, float32 [n, L]."""
        heat = self.settings.temperature
        return special.softmax(self.log_likelihood(texts) / heat, axis=1).astype(np.float32)


def _grams(text: str) -> list[tuple[str, str, str]]:
    """Return the trigram that ends in each word of a text and in its end; "" stands before and after it."""
    words = ["", "", *_words(text), ""]
    return list(zip(words, words[1:], words[2:]))


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
