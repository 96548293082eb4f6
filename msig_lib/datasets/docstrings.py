"""The corpus `docstrings`: what functions and classes do, in words, labelled with the names of their
parameters.

Made on the spot from nine pinned packages that the book installs anyway. A document is the description of a
public function, method or class. Its labels are the parameter names of the *signature*, as words: read from
the syntax tree they are exact, whereas names found in the prose of a parameter section would carry that
parser's mistakes.
"""

from __future__ import annotations

import gc
import re
import sys
from dataclasses import replace

import numpy as np

from msig_lib.datasets import built, docparse, neardup, source
from msig_lib.datasets.text import LabelledText, content_fingerprint

# Below this a description says little beyond the name of what it describes, and the 8-word rule for
# near-duplicates would compare nearly all of it.
MIN_WORDS = 10
MIN_LETTERS = 3  # of a label: "n" or "ax" name nothing that a text could be about
NOT_LABELS = frozenset({"self", "cls", "args", "kwargs", "kwds", "mcs"})


def labels_of(parameters: tuple[str, ...]) -> list[str]:
    """Return the label texts of a signature, sorted, without duplicates and without names that say
    nothing."""
    found = {docparse.label_text(name) for name in parameters if name not in NOT_LABELS}
    return sorted(label for label in found if len(re.sub(r"[\W\d_]", "", label)) >= MIN_LETTERS)


def build(packages: tuple[str, ...] = tuple(source.PACKAGES)) -> LabelledText:
    """Read the packages' documentation and make the corpus; takes about 20 s on one core and needs no
    network.

    Definitions with the same description and the same labels are kept once. Labels without a training
    positive are dropped (a document may thereby keep none outside train; such documents are dropped as well).
    """
    rows: dict[tuple[str, tuple[str, ...]], tuple[str, str]] = {}
    collecting = gc.isenabled()
    gc.disable()  # syntax trees hold no cycles; the collector would walk millions of nodes for nothing
    try:
        for package in packages:
            for definition in source.definitions(package):
                labels = tuple(labels_of(definition.parameters))
                description = docparse.parse(definition.docstring).description if labels else ""
                if len(description.split()) >= MIN_WORDS:
                    rows.setdefault((description, labels), (package, definition.name))
    finally:
        if collecting:
            gc.enable()
    texts = [description for description, _ in rows]
    groups = neardup.near_duplicate_groups(texts)
    split = neardup.hash_split(neardup.group_fraction(texts, groups))[groups]
    return _assemble(texts, [labels for _, labels in rows], list(rows.values()), split, groups)


def _assemble(texts, label_sets, origins, split, groups) -> LabelledText:
    vocabulary = sorted({label for labels, s in zip(label_sets, split) if s == "train" for label in labels})
    index = {label: i for i, label in enumerate(vocabulary)}
    labels = [[index[label] for label in found if label in index] for found in label_sets]
    keep = [i for i, found in enumerate(labels) if found]
    _, numbers = np.unique(groups[keep], return_inverse=True)
    data = LabelledText(
        name="docstrings",
        texts=[texts[i] for i in keep],
        labels=[labels[i] for i in keep],
        label_names=vocabulary,
        split=np.asarray(split)[keep],
        groups=numbers.astype(np.int64),
        fingerprint="",
        names=[origins[i][1] for i in keep],
        packages=[origins[i][0] for i in keep],
        notes={"without a label seen in training": len(texts) - len(keep)},
    )
    return replace(data, fingerprint=content_fingerprint(data))


def limited(data: LabelledText, limit: int) -> LabelledText:
    """Return about `limit` documents: whole groups, in the order of a hash of their texts, splits as they
    were."""
    if limit < 1:
        raise ValueError(f"limit={limit}: expected a positive number of documents, or None for all of them.")
    # not the hash that made the splits: its order would fill train first
    fraction = (neardup.group_fraction(data.texts, data.groups) * 2.0**20) % 1.0
    order = np.argsort(fraction, kind="stable")
    sizes = np.bincount(data.groups)[order]
    count = max(1, int(np.searchsorted(np.cumsum(sizes), limit, side="right")))
    rows = np.flatnonzero(np.isin(data.groups, order[:count]))
    label_sets = [tuple(data.label_names[j] for j in data.labels[i]) for i in rows]
    origins = [(data.packages[i], data.names[i]) for i in rows]
    return _assemble([data.texts[i] for i in rows], label_sets, origins, data.split[rows], data.groups[rows])


def load(limit: int | None = None) -> LabelledText:
    """Return the corpus from the cache, or build it and keep it there; `limit` gives a small fixed part of
    it."""
    data = CORPUS.load()
    return data if limit is None else limited(data, limit)


# Functions in lambdas, so that a test can put its own in their place.
CORPUS = built.Built("docstrings", lambda: build(), lambda: source.versions(), sys.modules[__name__])
fingerprint, cached_fingerprint = CORPUS.fingerprint, CORPUS.cached_fingerprint
available, _cache_path = CORPUS.available, CORPUS.path
