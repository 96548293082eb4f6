"""What a text data set is once it is loaded: texts, label names, splits and near-duplicate groups."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace

import numpy as np

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class LabelledText:
    """Texts with zero or more labels each.

    `labels[i]` are ascending indices into `label_names`; `split` (n,) holds "train", "dev" or "test";
    `groups` (n,) int64 numbers sets of near-duplicates, none of which straddles a split. `names` says where
    each text is from. `continuations[i]` is what the source says after `texts[i]` ("" for nothing); the list
    is empty where that is not known. `fingerprint` is the SHA-256 of everything held here.
    """

    name: str
    texts: list[str]
    labels: list[list[int]]
    label_names: list[str]
    split: np.ndarray
    groups: np.ndarray
    fingerprint: str
    names: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    continuations: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)

    def subset(self, split: str) -> LabelledText:
        """Return the documents of one split (same label vocabulary); ValueError for an unknown or empty
        split."""
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}.")
        return self.take(np.flatnonzero(self.split == split))

    def take(self, rows: np.ndarray) -> LabelledText:
        """Return the documents at `rows` (int indices), in that order, with the same label vocabulary."""
        chosen = [int(i) for i in rows]
        part = replace(
            self,
            texts=[self.texts[i] for i in chosen],
            labels=[self.labels[i] for i in chosen],
            split=self.split[chosen] if chosen else self.split[:0],
            groups=self.groups[chosen] if chosen else self.groups[:0],
            names=[self.names[i] for i in chosen] if self.names else [],
            packages=[self.packages[i] for i in chosen] if self.packages else [],
            continuations=[self.continuations[i] for i in chosen] if self.continuations else [],
        )
        return replace(part, fingerprint=content_fingerprint(part))

    def positives(self) -> np.ndarray:
        """Return the number of training documents of each label: (n_labels,) int64."""
        rows = np.flatnonzero(self.split == "train")
        flat = [label for i in rows for label in self.labels[i]]
        return np.bincount(np.asarray(flat, dtype=np.int64), minlength=len(self.label_names))


def content_fingerprint(data: LabelledText) -> str:
    """Return the SHA-256 of texts, labels, splits, groups, names and continuations (where there are any),
    independent of how they are stored."""
    digest = hashlib.sha256()
    digest.update(json.dumps(data.label_names, ensure_ascii=True).encode())
    names = data.names or [""] * len(data)
    for row in zip(data.texts, data.labels, data.split.tolist(), data.groups.tolist(), names):
        digest.update(json.dumps(row, ensure_ascii=True).encode() + b"\n")
    for text in data.continuations:  # none: the fingerprint that data without this field always had
        digest.update(b"+" + json.dumps(text, ensure_ascii=True).encode() + b"\n")
    return digest.hexdigest()
