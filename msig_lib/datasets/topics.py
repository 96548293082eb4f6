"""The corpora `docstring_topics` and `docstring_background`: what public functions and classes do, by subject.

A document of `docstring_topics` is the first sentence of the description of a public function, method or
class; its single label is the subject of the module that defines it; `continuations` holds the rest of the
description. Made on the spot from installed packages, which are read and never imported.

The classes and their names below were fixed by what the modules are about (a subject that a reader would
name on seeing the module's path) and by size (at least 100 different sentences), before any accuracy was looked
at. They stay as they are: changing one because a classifier finds it hard would be tuning on test data.

`docstring_background` is the larger corpus without labels of the same kind: whole descriptions from the same
packages and three more, without the documents above and their near-duplicates, so that what a generator
learns from it comes from outside the pool and never from a test document.
"""

from __future__ import annotations

import gc
import hashlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from msig_lib.datasets import built, docparse, neardup, source
from msig_lib.datasets.source import Definition
from msig_lib.datasets.text import LabelledText, content_fingerprint

# Class name -> modules, each with all that is below it ("*": with all names that begin so); a longer path wins.
CLASSES: dict[str, tuple[str, ...]] = {
    "dates and times": (
        "matplotlib.dates",
        "pandas.core.arrays.datetimelike",
        "pandas.core.arrays.datetimes",
        "pandas.core.arrays.period",
        "pandas.core.arrays.timedeltas",
        "pandas.core.indexes.accessors",
        "pandas.core.indexes.datetimelike",
        "pandas.core.indexes.datetimes",
        "pandas.core.indexes.period",
        "pandas.core.indexes.timedeltas",
        "pandas.core.resample",
        "pandas.core.tools.datetimes",
        "pandas.core.tools.timedeltas",
        "pandas.core.tools.times",
        "pandas.tseries",
    ),
    "distributed computing": ("torch.distributed", "torch.nn.parallel"),
    "geometry": ("scipy.spatial", "sympy.geometry"),
    "graphs and networks": ("networkx", "scipy.sparse.csgraph"),
    "image processing": ("PIL", "scipy.ndimage", "sklearn.feature_extraction.image", "transformers.image*"),
    "linear algebra": ("numpy.linalg", "scipy.linalg", "sympy.matrices"),
    "neural networks": ("torch.nn",),
    "optimization": ("scipy.optimize",),
    "physics": ("sympy.physics",),
    "plotting": ("matplotlib", "pandas.plotting", "seaborn"),
    "polynomials": ("numpy.lib._polynomial_impl", "numpy.polynomial", "sympy.polys"),
    "probability and statistics": ("scipy.stats", "sympy.stats", "torch.distributions"),
    "signal processing": ("numpy.fft", "scipy.fft", "scipy.fftpack", "scipy.signal"),
    "sparse matrices": ("scipy.sparse",),
    "text and strings": (
        "numpy._core.defchararray",
        "numpy._core.strings",
        "pandas.core.strings",
        "sklearn.feature_extraction.text",
        "transformers.tokenization*",
    ),
}
# Import name -> distribution. The last three have no class of their own and serve the background alone.
PACKAGES = source.PACKAGES | {
    "PIL": "pillow",
    "seaborn": "seaborn",
    "aeon": "aeon",
    "ruptures": "ruptures",
    "sentence_transformers": "sentence-transformers",
}
PER_CLASS = 300
MIN_WORDS = 6  # shorter sentences ("Return a copy.") are about nothing
SHARES = (0.6, 0.1, 0.3)  # of groups: train (the unlabelled pool), dev, test

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|etc|al|eqs?|figs?|refs?|no|resp|approx|dr|[A-Z]))\.$", re.I
)


@dataclass(frozen=True)
class _Document:
    text: str
    rest: str
    package: str
    name: str
    topic: int  # index into CLASSES, -1: none


def topic_of(module: str) -> int:
    """Return the class (index) of a module's full dotted name, -1 when it belongs to none."""
    best, length = -1, 0
    for index, paths in enumerate(CLASSES.values()):
        for path in paths:
            start = path[:-1] if path.endswith("*") else f"{path}."
            if f"{module}.".startswith(start) and len(path) > length:
                best, length = index, len(path)
    return best


def first_sentence(text: str) -> tuple[str, str]:
    """Return the first sentence of a paragraph and what follows it ("" for nothing)."""
    for end in _END.finditer(text):
        if not _ABBREVIATION.search(text[: end.start()]):
            return text[: end.end()].rstrip(), text[end.end() :]
    return text, ""


def split_description(docstring: str) -> tuple[str, str]:
    """Return the first sentence of a docstring's description and the rest of the description.

    The sentence ends at the latest with its paragraph: many summaries have no full stop.
    """
    whole = docparse.parse(docstring).description
    for paragraph in re.split(r"\n\s*\n", docstring):
        opening = docparse.parse(paragraph).description
        if opening:
            if not whole.startswith(opening):  # mark-up that spans paragraphs
                opening = whole
            sentence, _ = first_sentence(opening)
            return sentence, whole[len(sentence) :].strip()
    return "", ""


def key(text: str) -> str:
    """Return a text in lower case, letters and digits only: how copies are recognised."""
    return "".join(c for c in text.lower() if c.isalnum())


def read(packages: Iterable[str] = tuple(PACKAGES)) -> list[_Document]:
    """Read every documented public definition, in the order of packages, files and lines."""
    documents = []
    collecting = gc.isenabled()
    gc.disable()  # syntax trees hold no cycles; the collector would walk millions of nodes for nothing
    try:
        for package in packages:
            documents += [_document(definition) for definition in source.definitions(package)]
    finally:
        if collecting:
            gc.enable()
    return [d for d in documents if len(f"{d.text} {d.rest}".split()) >= MIN_WORDS]


def _document(definition: Definition) -> _Document:
    text, rest = split_description(definition.docstring)
    return _Document(text, rest, definition.package, definition.name, topic_of(definition.module))


def select(documents: list[_Document], per_class: int = PER_CLASS) -> LabelledText:
    """Return `docstring_topics`: at most `per_class` different documents a class, the first by a hash of
    their text."""
    classes: dict[str, set[int]] = {}
    first: dict[str, _Document] = {}
    candidates = [d for d in documents if d.topic >= 0 and len(d.text.split()) >= MIN_WORDS]
    for document in candidates:
        classes.setdefault(key(document.text), set()).add(document.topic)
        first.setdefault(key(document.text), document)
    order = sorted(first, key=lambda k: hashlib.sha256(k.encode()).digest())
    chosen: list[_Document] = []
    for topic in range(len(CLASSES)):
        own = [first[k] for k in order if classes[k] == {topic}]
        chosen += sorted(own[:per_class], key=lambda d: d.name)
    texts = [d.text for d in chosen]
    groups = neardup.near_duplicate_groups(texts)
    data = LabelledText(
        name="docstring_topics",
        texts=texts,
        labels=[[d.topic] for d in chosen],
        label_names=list(CLASSES),
        split=neardup.hash_split(neardup.group_fraction(texts, groups), SHARES)[groups],
        groups=groups,
        fingerprint="",
        names=[d.name for d in chosen],
        packages=[d.package for d in chosen],
        notes={
            "copies dropped": len(candidates) - len(first),
            "texts dropped because they occur in two classes": sum(len(c) > 1 for c in classes.values()),
            "documents beyond the limit of a class": sum(len(c) == 1 for c in classes.values()) - len(chosen),
            "documents with a near-duplicate": int((np.bincount(groups)[groups] > 1).sum()),
        },
        continuations=[d.rest for d in chosen],
    )
    return replace(data, fingerprint=content_fingerprint(data))


def outside(documents: list[_Document], topics: LabelledText) -> LabelledText:
    """Return `docstring_background`: whole descriptions of all definitions that are neither documents of
    `topics` nor near-duplicates of one (of any split)."""
    taken = {key(text) for text in topics.texts}
    names = set(topics.names)
    first: dict[str, _Document] = {}
    copies = 0
    for document in documents:
        if document.name in names or key(document.text) in taken:
            continue
        k = key(f"{document.text} {document.rest}")
        copies += k in first
        first.setdefault(k, document)
    kept = list(first.values())
    near = neardup.near_any([d.text for d in kept], topics.texts)
    near |= neardup.contains_any([f"{d.text} {d.rest}" for d in kept], topics.texts)
    rows = [d for d, bad in zip(kept, near) if not bad]
    data = LabelledText(
        name="docstring_background",
        texts=[f"{d.text} {d.rest}".strip() for d in rows],
        labels=[[] for _ in rows],
        label_names=[],
        split=np.array(["train"] * len(rows)),
        groups=np.arange(len(rows), dtype=np.int64),
        fingerprint="",
        names=[d.name for d in rows],
        packages=[d.package for d in rows],
        notes={"copies dropped": copies, "near-duplicates of topic documents dropped": int(near.sum())},
    )
    return replace(data, fingerprint=content_fingerprint(data))


def build() -> tuple[LabelledText, LabelledText]:
    """Read the packages once and make both corpora."""
    documents = read()
    topics = select(documents)
    return topics, outside(documents, topics)


def _build(which: int) -> LabelledText:
    both = build()
    other = (TOPICS, BACKGROUND)[1 - which]
    if other.cached_fingerprint() is None:
        other.store(both[1 - which])
    return both[which]


def _pins() -> dict[str, str]:
    return source.versions(tuple(PACKAGES.values()))


TOPICS = built.Built("docstring_topics", lambda: _build(0), _pins, sys.modules[__name__])
BACKGROUND = built.Built("docstring_background", lambda: _build(1), _pins, sys.modules[__name__])


def load(limit: int | None = None) -> LabelledText:
    """Return `docstring_topics`; `limit` gives a fixed part of about so many documents (see `limited`)."""
    data = TOPICS.load()
    return data if limit is None else limited(data, limit)


def background(limit: int | None = None) -> LabelledText:
    """Return `docstring_background` (no labels, all "train"); `limit`: the first so many by hash."""
    data = BACKGROUND.load()
    return data if limit is None else limited(data, limit)


def limited(data: LabelledText, limit: int) -> LabelledText:
    """Return about `limit` documents: whole groups by a hash of their texts, each split and class in its
    share, so that a smaller part lies in a larger one."""
    if limit < 1:
        raise ValueError(f"limit={limit}: expected a positive number of documents, or None for all of them.")
    order = np.argsort(neardup.group_fraction(data.texts, data.groups) * 2.0**20 % 1.0, kind="stable")
    rank = np.empty(len(order))
    rank[order] = np.arange(len(order))
    # Group by group in the order of the hash, the same share of every split and class.
    strata = {}
    for row in np.argsort(rank[data.groups], kind="stable"):
        strata.setdefault((str(data.split[row]), tuple(data.labels[row])), []).append(row)
    share = min(1.0, limit / len(data))
    keep = {
        int(data.groups[row]) for rows in strata.values() for row in rows[: max(1, int(share * len(rows)))]
    }
    rows = np.flatnonzero(np.isin(data.groups, list(keep)))
    return data.take(rows)
