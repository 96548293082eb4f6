"""Data sets: described by manifests, verified on every load, or made on the spot.

from msig_lib import datasets
corpus = datasets.load("docstrings")
train = corpus.subset("train")
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from msig_lib.datasets import charcnn, docstrings, eurlex57k, files, news, topics, xc
from msig_lib.datasets import manifests as _manifest
from msig_lib.datasets.files import DataError, DataMismatch, DataNotAvailable, FileState
from msig_lib.datasets.manifests import DataFile, Manifest, ManifestError
from msig_lib.datasets.text import LabelledText
from msig_lib.project import project

__all__ = [
    "DataError",
    "DataFile",
    "DataMismatch",
    "DataNotAvailable",
    "FileSet",
    "FileState",
    "LabelledText",
    "Manifest",
    "ManifestError",
    "available",
    "describe",
    "fetch",
    "fingerprint",
    "load",
    "manifest",
    "names",
    "states",
    "verify",
]

RUN_DIR = "MSIG_RUN_DIR"


@dataclass(frozen=True)
class FileSet:
    """Verified local paths of a set that has no loader of its own; `paths` has the manifest's paths as
    keys."""

    name: str
    paths: dict[str, Path]
    fingerprint: str


def _files(entry: Manifest) -> FileSet:
    return FileSet(entry.name, files.obtain_all(entry), _of_files(entry))


def _docstrings(_: Manifest, limit: int | None = None) -> LabelledText:
    return docstrings.load(limit=limit)


def _topics(_: Manifest, limit: int | None = None) -> LabelledText:
    return topics.load(limit=limit)


def _background(_: Manifest, limit: int | None = None) -> LabelledText:
    return topics.background(limit=limit)


BUILT = {
    "docstrings": docstrings.CORPUS,
    "docstring_topics": topics.TOPICS,
    "docstring_background": topics.BACKGROUND,
}
LOADERS: dict[str, Callable] = {
    "docstrings": _docstrings,
    "docstring_topics": _topics,
    "docstring_background": _background,
    "ag_news": news.ag_news,
    "dbpedia14_subset": news.dbpedia14_subset,
    **{name: charcnn.load for name in charcnn.FORMATS},
    "eurlex57k": eurlex57k.load,
    "eurlex4k": xc.load,
    "wiki10_31k": xc.load,
    "amazoncat_13k": xc.load,
    "wiki_500k": xc.load,
}


def names() -> list[str]:
    """Return the names of all described data sets, sorted."""
    return list(_manifest.read_all())


def manifest(name: str) -> Manifest:
    """Return the manifest of a data set; KeyError lists the names there are."""
    folder = project().manifests
    known = sorted(path.stem for path in folder.glob("*.yml"))
    if name not in known:
        raise KeyError(f"unknown data set {name!r}: expected one of {', '.join(known)}.")
    return _manifest.read(folder / f"{name}.yml")


def load(name: str, **options):
    """Return a data set, every file of it verified: LabelledText where a loader exists, else FileSet.

    Options are the loader's (built sets: limit; single-label sets: limit, pool, dev, test; `eurlex57k`:
    limit, dev, test, max_words; repository sets:
    form). In a run (`MSIG_RUN_DIR`) the name and fingerprint are noted in `data.jsonl`. Raises KeyError for
    an unknown name, DataNotAvailable or DataMismatch.
    """
    entry = manifest(name)
    data = LOADERS.get(name, _files)(entry, **options)
    if run := os.environ.get(RUN_DIR):
        line = json.dumps({"name": name, "fingerprint": fingerprint(name)}) + "\n"
        with (Path(run) / "data.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(line)
    return data


def fingerprint(name: str) -> str:
    """Return the SHA-256 that stands for a data set in run keys.

    For files it is made of the manifest's hashes, without reading them (of optional files, when they are
    here; a file without a published hash is read once); for a built corpus, of its content, so that it may
    have to be built. It does not depend on a loader's options, which are parameters of the
    run.
    """
    entry = manifest(name)
    return BUILT[name].fingerprint() if entry.kind == "built" else _of_files(entry, record=True)


def _of_files(entry: Manifest, record: bool = False) -> str:
    """The fingerprint of a set's files: those it needs, and those optional ones that are here. `record`: a
    file that is here and whose hash nobody knows yet is hashed, and its hash kept."""
    lines = []
    for file in entry.files:
        found = files.locate(entry, file) if file.optional or (record and file.trust == "first-use") else None
        if file.replaces or (file.optional and found is None):
            continue
        identity = file.identity or files.first_use_sha256(entry, file)
        if identity is None and found and record:
            files.check(entry, file, *found)
            identity = files.first_use_sha256(entry, file)
        if identity is None:
            raise DataNotAvailable(
                f"{entry.name} has no fingerprint yet: the hash of {file.path} is not known, and is "
                f"recorded when the file is first loaded. {files.missing(entry, file)}"
            )
        lines.append(f"{file.path} {identity}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def available(name: str) -> tuple[bool, str]:
    """Return whether a data set can be loaded now without a network, and where it is or why not.

    Looks whether files are there, not at their content: `verify` does that.
    """
    entry = manifest(name)
    if entry.kind == "built":
        return BUILT[name].available()
    places = set()
    try:
        for file in entry.required:
            spares = (f for f in entry.files if file.path in f.replaces)
            found = next(filter(None, (files.locate(entry, f) for f in (file, *spares))), None)
            if found is None:
                return False, files.missing(entry, file)
            places.add(found[1])
    except DataError as error:
        return False, str(error)
    return True, "in the " + " and the ".join(sorted(places))


def verify(name: str) -> list[FileState]:
    """Check the content of every file of a set, without downloading, and return what was found.

    Raises DataMismatch when a file is wrong and DataNotAvailable when one that is needed is not here. A built
    corpus is checked in the cache; it may be missing there, for it is made when it is loaded.
    """
    found = states(name)
    if wrong := [s.detail for s in found if s.state == "wrong"]:
        raise DataMismatch("\n".join(wrong))
    entry = manifest(name)
    here = {s.path for s in found if s.state == "verified"}
    for file in entry.required:
        if file.path not in here and not any(file.path in f.replaces for f in entry.files if f.path in here):
            raise DataNotAvailable(files.missing(entry, file))
    return found


def states(name: str) -> list[FileState]:
    """Return one state ("verified", "missing", "wrong") for each file of a set; raises only for an unknown
    name."""
    entry = manifest(name)
    if entry.kind == "built":
        here = BUILT[name].cached_fingerprint()
        found = ("verified", "cache", here) if here else ("missing", "", "made when it is loaded")
        return [FileState(name, *found)]
    return list(files.states(entry))


def fetch(name: str) -> dict[str, Path]:
    """Bring all files of a set here (or build it) and return their verified paths by manifest path."""
    entry = manifest(name)
    if entry.kind == "built":
        BUILT[name].load()
        return {}
    return files.obtain_all(entry)


def describe() -> pd.DataFrame:
    """Return one row per data set for the data page: terms, size, fingerprint, chapters, and whether it is
    here."""
    rows = []
    for name, entry in _manifest.read_all().items():
        here, why = available(name)
        rows.append(
            {
                "name": name,
                "title": entry.title,
                "what": entry.what,
                "licence": entry.licence,
                "megabytes": None if entry.size is None else round(entry.size / 1e6, 1),
                "fingerprint": _known_fingerprint(entry)[:12],
                "chapters": ", ".join(entry.chapters),
                "tiers": ", ".join(entry.tiers),
                "homepage": entry.homepage or "",
                "available": here,
                "where": why,
            }
        )
    return pd.DataFrame(rows)


def _known_fingerprint(entry: Manifest) -> str:
    """The fingerprint if it can be told without building or downloading, else ""."""
    try:
        if entry.kind == "built":
            return BUILT[entry.name].cached_fingerprint() or ""
        return _of_files(entry)
    except DataError:
        return ""
