"""Readers of the extreme classification repository's formats (EURLex-4K, Wiki10-31K, AmazonCat-13K,
Wiki-500K).

Two forms are published for each set: bag-of-words features (`train.txt`, `test.txt`) and raw text
(`trn.json.gz`, `tst.json.gz`, and label names in `Yf.txt` or `lbl.json.gz`). Everything malformed is refused
with file and line.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
from scipy import sparse

from msig_lib.datasets import files
from msig_lib.datasets.manifests import Manifest
from msig_lib.datasets.text import LabelledText, content_fingerprint
from msig_lib.errors import MsigError


class FormatError(MsigError, ValueError):
    """Raised for a line that is not in the format, as `file:line: reason`."""


@dataclass(frozen=True)
class BagOfWords:
    """Features `x` (n, n_features) float32 and labels `y` (n, n_labels) float32 of ones, both CSR with sorted
    indices."""

    x: sparse.csr_matrix
    y: sparse.csr_matrix


def _fail(path: Path, number: int, reason: str) -> NoReturn:
    raise FormatError(f"{path}:{number}: {reason}")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line, decompressed when need be, without its line end."""
    with files.open_content(path) as stream:
        for number, blob in enumerate(stream, start=1):
            try:
                yield number, blob.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                yield number, blob.decode("latin-1").rstrip("\r\n")  # some of the repository's label files


def read_bag_of_words(path: Path) -> BagOfWords:
    """Read "N V L" followed by N lines of "label,label feature:value feature:value"; a line may lack either
    part."""
    lines = _lines(path)
    number, header = next(lines, (1, ""))
    sizes = header.split()
    if len(sizes) != 3 or not all(s.isascii() and s.isdigit() for s in sizes):
        _fail(path, number, f"expected a header 'documents features labels', got {header[:60]!r}")
    n, n_features, n_labels = map(int, sizes)
    features, values, labels = array("q"), array("f"), array("q")
    x_starts, y_starts = array("q", [0]), array("q", [0])
    for number, line in lines:
        if not line.strip() and len(x_starts) > n:
            continue  # blank lines at the end
        first, _, rest = line.partition(" ")
        if ":" in first:  # no labels, and no space where they would be
            first, rest = "", line
        _add_labels(labels, first, n_labels, path, number)
        _add_features(features, values, rest, n_features, path, number)
        x_starts.append(len(features))
        y_starts.append(len(labels))
        if len(x_starts) > n + 1:
            _fail(path, number, f"more than the {n} documents the header announces")
    if len(x_starts) != n + 1:
        _fail(path, number, f"the file ends after {len(x_starts) - 1} of {n} documents")
    x = sparse.csr_matrix((np.array(values), np.array(features), np.array(x_starts)), shape=(n, n_features))
    ones = np.ones(len(labels), dtype=np.float32)
    y = sparse.csr_matrix((ones, np.array(labels), np.array(y_starts)), shape=(n, n_labels))
    for matrix, what in ((x, "feature"), (y, "label")):
        before = matrix.nnz
        matrix.sum_duplicates()  # also sorts the indices
        if matrix.nnz != before:
            raise FormatError(f"{path}: a document names the same {what} twice.")
    return BagOfWords(x, y)


def _add_labels(labels: array, text: str, n_labels: int, path: Path, number: int) -> None:
    for item in text.split(",") if text else ():
        if not (item.isascii() and item.isdigit()) or int(item) >= n_labels:
            _fail(path, number, f"{item!r} is no label index below {n_labels}")
        labels.append(int(item))


def _add_features(
    features: array, values: array, text: str, n_features: int, path: Path, number: int
) -> None:
    for item in text.split():
        index, _, value = item.partition(":")
        try:
            if not (index.isascii() and index.isdigit()) or int(index) >= n_features:
                raise ValueError
            number_value = float(value)
        except ValueError:
            _fail(path, number, f"{item!r} is no 'feature:value' with a feature below {n_features}")
        if not np.isfinite(number_value):
            _fail(path, number, f"{item!r} has a value that is not finite")
        features.append(int(index))
        values.append(number_value)


def read_label_names(path: Path) -> list[str]:
    """Read label names: one a line, or JSON lines with a `title` when the name holds ".json"."""
    if ".json" not in path.name:
        return [line.strip() for _, line in _lines(path)]
    return [str(_record(path, number, line, ("title",))["title"]).strip() for number, line in _lines(path)]


def _record(path: Path, number: int, line: str, needed: tuple[str, ...]) -> dict:
    try:
        record = json.loads(line)
    except ValueError as error:
        _fail(path, number, f"not JSON ({error})")
    if not isinstance(record, dict) or any(key not in record for key in needed):
        _fail(path, number, f"expected an object with {', '.join(needed)}")
    return record


def read_raw_text(path: Path, n_labels: int) -> tuple[list[str], list[list[int]], list[str]]:
    """Read JSON lines with title, content and target_ind; return texts, ascending label indices and ids."""
    texts, labels, ids = [], [], []
    for number, line in _lines(path):
        if not line.strip():
            continue
        record = _record(path, number, line, ("content", "target_ind"))
        found = record["target_ind"]
        valid = isinstance(found, list) and all(type(i) is int and 0 <= i < n_labels for i in found)
        if not valid:
            _fail(
                path,
                number,
                f"target_ind must be a list of label indices below {n_labels}, got {str(found)[:60]}",
            )
        texts.append(" ".join(f"{record.get('title', '')} {record['content']}".split()))
        labels.append(sorted(set(found)))
        ids.append(str(record.get("uid", number)))
    return texts, labels, ids


def load(
    manifest: Manifest, *, form: str = "text", download: bool = True
) -> LabelledText | dict[str, BagOfWords]:
    """Return the set as LabelledText (`form="text"`) or {"train": ..., "test": ...} of BagOfWords
    (`form="bow"`)."""
    if form not in ("text", "bow"):
        raise ValueError(f"form={form!r}: expected 'text' or 'bow'.")
    by_name = {Path(f.path).name: f for f in manifest.files}
    if form == "bow":
        return {
            split: read_bag_of_words(files.obtain(manifest, by_name[f"{split}.txt"], download=download))
            for split in ("train", "test")
        }
    paths = {
        name: files.obtain(manifest, f, download=download) for name, f in by_name.items() if not f.optional
    }
    names = read_label_names(next(p for name, p in paths.items() if name.startswith(("Y", "lbl"))))
    return from_raw_text(manifest.name, paths["trn.json.gz"], paths["tst.json.gz"], names)


def from_raw_text(name: str, train: Path, test: Path, label_names: list[str]) -> LabelledText:
    """Make a LabelledText of the two raw-text files; the label vocabulary is the published one, whole."""
    parts = {"train": read_raw_text(train, len(label_names)), "test": read_raw_text(test, len(label_names))}
    texts, labels, ids = ([item for part in parts.values() for item in part[k]] for k in range(3))
    data = LabelledText(
        name=name,
        texts=texts,
        labels=labels,
        label_names=label_names,
        split=np.array([split for split, part in parts.items() for _ in part[0]]),
        groups=np.arange(len(texts), dtype=np.int64),
        fingerprint="",
        names=ids,
    )
    return replace(data, fingerprint=content_fingerprint(data))
