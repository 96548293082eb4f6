"""Labelled documents of chapter 2 as matrices: texts, indicators, label names and frequencies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from msig_lib.datasets import LabelledText
from msig_lib.stats import ranking


@dataclass(frozen=True)
class Part:
    """One split: `texts` (n), `labels` csr 0/1 [n, L], `rows` (n) indices into the data set."""

    texts: list[str]
    labels: sparse.csr_matrix
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class XMTCData:
    """A multi-label data set split in three; labels are those with at least one training positive."""

    name: str
    label_names: list[str]
    train: Part
    dev: Part
    test: Part

    @cached_property
    def n_positives(self) -> np.ndarray:
        """Training positives of each label, int [L]."""
        return np.asarray(self.train.labels.sum(axis=0)).ravel().astype(int)

    @cached_property
    def is_tail(self) -> np.ndarray:
        """Mask of the tail labels, bool [L] (thesis 2.5.1: 1 to 9 training positives)."""
        return ranking.tail_labels(self.n_positives)

    @cached_property
    def propensities(self) -> np.ndarray:
        """Propensities p_l, float [L], with A = .55 and B = 1.5 (Jain et al., 2016, for the smaller sets)."""
        return ranking.propensities(self.n_positives, len(self.train))

    def statistics(self) -> dict[str, float]:
        """Return the columns of the thesis's table 2.1 for this data set."""
        return {
            "N_train": len(self.train),
            "N_test": len(self.test),
            "labels a document": float(self.train.labels.sum() / len(self.train)),
            "L": len(self.label_names),
            "tail labels": int(self.is_tail.sum()),
            "tail share": float(self.is_tail.mean()),
        }

    def with_labels(self, keep: np.ndarray) -> XMTCData:
        """Return the same documents with only the labels `keep` (indices), for measuring cost against L."""
        keep = np.asarray(keep)
        parts = [Part(p.texts, p.labels[:, keep].tocsr(), p.rows) for p in (self.train, self.dev, self.test)]
        return XMTCData(self.name, [self.label_names[i] for i in keep], *parts)


def from_labelled_text(source: LabelledText, *, min_words: int = 1) -> XMTCData:
    """Return `source` as matrices, keeping the labels that have a positive training document.

    Documents of dev and test that lose all their labels stay: a ranking cannot be right for them, and
    dropping them would flatter every method. Documents shorter than `min_words` are dropped from train only.
    Raises ValueError when a split is empty.
    """
    split = np.asarray(source.split)
    counts = np.zeros(len(source.label_names), dtype=int)
    rows = {name: np.flatnonzero(split == name) for name in ("train", "dev", "test")}
    rows["train"] = np.array(
        [i for i in rows["train"] if len(source.texts[i].split()) >= min_words], dtype=int
    )
    for name, index in rows.items():
        if len(index) == 0:
            raise ValueError(
                f"data set {source.name!r} has no document in split {name!r} "
                f"(found {sorted(set(split.tolist()))}); expected train, dev and test"
            )
    for i in rows["train"]:
        counts[list(set(source.labels[i]))] += 1
    known = np.flatnonzero(counts)
    new_index = np.full(len(counts), -1)
    new_index[known] = np.arange(len(known))

    def part(index: np.ndarray) -> Part:
        columns = [sorted({new_index[j] for j in source.labels[i] if new_index[j] >= 0}) for i in index]
        indptr = np.concatenate([[0], np.cumsum([len(c) for c in columns])])
        flat = np.array([j for c in columns for j in c], dtype=np.int32)
        matrix = sparse.csr_matrix(
            (np.ones(len(flat), np.float32), flat, indptr), shape=(len(index), len(known))
        )
        return Part([source.texts[i] for i in index], matrix, index)

    names = [source.label_names[j] for j in known]
    return XMTCData(source.name, names, part(rows["train"]), part(rows["dev"]), part(rows["test"]))
