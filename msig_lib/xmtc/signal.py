"""The generated signal of chapter 2: descriptions of labels, written by a linear SVM (thesis 2.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from msig_lib.xmtc.svm import SparseLinear


@dataclass(frozen=True)
class Descriptions:
    """Label names with generated words.

    `words[l]` are the words of label l, most important first, and `weights[l]` float32 their importance.
    """

    names: list[str]
    words: list[list[str]]
    weights: list[np.ndarray]

    @property
    def texts(self) -> list[str]:
        """What the retriever reads: the name, then its words (pseudo_label in 2.3.2)."""
        return [" ".join([name, *words]) for name, words in zip(self.names, self.words)]


def describe_labels(
    model: SparseLinear, vocabulary: Sequence[str], names: Sequence[str], *, n_words: int = 16
) -> Descriptions:
    """Return for each label its name and the `n_words` features with the largest positive SVM weights.

    `vocabulary` (n_features) in column order, `names` (n_labels). Ties go to the earlier feature; a label with
    fewer positive weights has fewer words; 0 words leaves the name alone. Raises ValueError on lengths that
    do not fit the model.
    """
    if len(names) != model.n_labels or len(vocabulary) != model.n_features:
        raise ValueError(
            f"{len(names)} names and {len(vocabulary)} words for a model of {model.n_labels} labels and "
            f"{model.n_features} features: they must agree"
        )
    return _strongest(model.weights, vocabulary, names, n_words)


def tfidf_keywords(
    X: sparse.csr_matrix,
    Y: sparse.csr_matrix,
    vocabulary: Sequence[str],
    names: Sequence[str],
    *,
    n_words: int = 16,
) -> Descriptions:
    """Return the strongest words of each label's mean document: a control that trains nothing.

    `X` csr [n, n_features] tf-idf, `Y` csr [n, n_labels] 0/1.
    """
    counts = np.maximum(np.asarray(Y.sum(axis=0)).ravel(), 1)
    means = sparse.diags_array(1.0 / counts) @ (sparse.csr_array(Y).T @ sparse.csr_array(X))
    return _strongest(sparse.csr_array(means), vocabulary, names, n_words)


def random_keywords(descriptions: Descriptions, *, seed: int) -> Descriptions:
    """Return the same names with the words of another label, drawn without repetition: a control of equal length."""
    n = len(descriptions.names)
    if n < 2:
        raise ValueError(f"{n} label: another label's words need at least two labels")
    order = np.random.default_rng(seed).permutation(n)
    other = np.empty(n, dtype=int)
    other[order] = np.roll(order, 1)  # one cycle through all labels, so nobody keeps its own words
    return Descriptions(
        list(descriptions.names),
        [descriptions.words[i] for i in other],
        [descriptions.weights[i] for i in other],
    )


def frequent_keywords(
    descriptions: Descriptions, X: sparse.csr_matrix, vocabulary: Sequence[str], *, seed: int
) -> Descriptions:
    """Return the same names, each with as many words drawn by their document frequency: a control that knows no label.

    `X` csr [n, n_features]; a label's words are distinct, and their weights are the shares of documents.
    Raises ValueError when a description is longer than the vocabulary in use.
    """
    share = np.bincount(X.indices, minlength=X.shape[1]) / max(X.shape[0], 1)
    used = np.flatnonzero(share)
    longest = max(map(len, descriptions.words), default=0)
    if longest > len(used):
        raise ValueError(f"{longest} words asked of a vocabulary of which {len(used)} words are in use")
    rng = np.random.default_rng(seed)
    words, weights = [], []
    for own in descriptions.words:
        # The first arrivals of exponential clocks are a sample without repetition by their rates.
        arrival = rng.exponential(size=len(used)) / share[used]
        drawn = used[np.argsort(arrival, kind="stable")[: len(own)]]
        words.append([str(vocabulary[i]) for i in drawn])
        weights.append(share[drawn].astype(np.float32))
    return Descriptions(list(descriptions.names), words, weights)


def keyword_sources(
    descriptions: Descriptions, X: sparse.csr_matrix, Y: sparse.csr_matrix, vocabulary: Sequence[str]
) -> pd.DataFrame:
    """Return where each label's generated words come from, one row a label.

    Columns: label, n_positives, n_words, in_positives (share of the words that occur in a document with the
    label) and in_name (share that the name holds already); the shares are NaN for a label without words.
    `X` csr [n, n_features], `Y` csr [n, n_labels] 0/1, `vocabulary` (n_features).
    """
    column = {str(word): i for i, word in enumerate(vocabulary)}
    occurs = sparse.csr_array(sparse.csr_array(Y).T @ (sparse.csr_array(X) != 0).astype(np.float32))
    rows = []
    for label, (name, words) in enumerate(zip(descriptions.names, descriptions.words)):
        seen = set(occurs.indices[occurs.indptr[label] : occurs.indptr[label + 1]].tolist())
        parts = set(name.lower().split())
        n = len(words)
        rows.append(
            {
                "label": name,
                "n_words": n,
                "in_positives": sum(column[word] in seen for word in words) / n if n else np.nan,
                "in_name": sum(word in parts for word in words) / n if n else np.nan,
            }
        )
    frame = pd.DataFrame(rows, columns=["label", "n_words", "in_positives", "in_name"])
    frame.insert(1, "n_positives", np.asarray(Y.sum(axis=0)).ravel().astype(int))
    return frame


def _strongest(
    weights: sparse.csr_array, vocabulary: Sequence[str], names: Sequence[str], n: int
) -> Descriptions:
    if n < 0:
        raise ValueError(f"n_words is {n}, expected 0 or more")
    words, kept = [], []
    for label in range(weights.shape[0]):
        start, stop = weights.indptr[label], weights.indptr[label + 1]
        values, features = weights.data[start:stop], weights.indices[start:stop]
        features, values = features[values > 0], values[values > 0]
        best = np.lexsort((features, -values))[:n]
        words.append([str(vocabulary[i]) for i in features[best]])
        kept.append(values[best].astype(np.float32))
    return Descriptions(list(names), words, kept)
