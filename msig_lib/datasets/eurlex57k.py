"""EURLEX57K: European laws with the names of the EuroVoc concepts they were indexed with (Chalkidis et al.,
2019)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from msig_lib.datasets import archive, files
from msig_lib.datasets.manifests import Manifest
from msig_lib.datasets.text import SPLITS, LabelledText, content_fingerprint

LABELS = "eurlex57k/EURLEX57K.labels.json.gz"
ZIP = "eurlex57k/datasets.zip"


@dataclass(frozen=True)
class Options:
    """Which documents, and how much of each.

    `limit`, `dev` and `test` are numbers of training, development and test documents (None: all), the first
    in the order of a hash of the document's CELEX number, so that a smaller slice is part of a larger one.
    `max_words` cuts each text (None: whole). The text is title, header, recitals and main body; the
    attachments, mostly signatures and dates, are left out (as in the data set's own baselines).
    """

    limit: int | None = None
    dev: int | None = None
    test: int | None = None
    max_words: int | None = None  # ours: whole; encoders cut at their own length

    def __post_init__(self) -> None:
        for name in ("limit", "dev", "test", "max_words"):
            value = getattr(self, name)
            if value is not None and (
                not isinstance(value, int) or value < (0 if name in ("dev", "test") else 1)
            ):
                raise ValueError(f"{name}={value!r}: expected a positive whole number, or None for no limit.")


@dataclass(frozen=True)
class _Law:
    celex: str
    text: str
    concepts: tuple[str, ...]


def load(manifest: Manifest, *, download: bool = True, **options) -> LabelledText:
    """Return the laws as LabelledText; `options` as in Options.

    Laws in train whose text occurs again in train or in dev or test are dropped from train, and their number
    is in `notes`. Labels are those with a training positive; a law left without one is dropped (also
    counted).
    """
    settings = Options(**options)
    paths = files.obtain_all(manifest, download=download)
    with files.open_content(paths[LABELS]) as stream:
        concepts = {key: entry["label"].strip() for key, entry in json.load(stream).items()}
    laws = {split: list(_read(manifest, paths, split)) for split in SPLITS}
    return assemble(laws, concepts, settings)


def _read(manifest: Manifest, paths: dict[str, Path], split: str) -> Iterator[_Law]:
    own = paths.get(f"eurlex57k/eurlex57k_{split}.tar.xz")
    source = own or paths[ZIP]
    digests = []
    for path, blob in archive.contents(source):
        if path.suffix != ".json" or path.parent.name != split or "__MACOSX" in path.parts:
            continue
        if own is None:  # a tar's hash is pinned; for the zip the content is checked instead
            digests.append(f"{path.stem} {hashlib.sha256(blob).hexdigest()}\n")
        yield _parse(blob, f"{source}:{path}")
    if own is None:
        actual = hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
        if actual != manifest.content[split]:
            raise files.DataMismatch(
                f"{manifest.name}: the documents of split {split!r} in {source} are not the ones described.\n"
                f"  expected {manifest.content[split]} (content, by data_manifests)\n  actual   {actual}\n"
                f"Delete the file, or set {files.ENV} to a folder with the right one."
            )


def _parse(blob: bytes, where: str) -> _Law:
    try:
        law = json.loads(blob)
        body = law["main_body"]
        parts = [law["title"], law["header"], law["recitals"], *([body] if isinstance(body, str) else body)]
        text = " ".join(" ".join(part or "" for part in parts).split())
        return _Law(law["celex_id"], text, tuple(sorted(set(law["concepts"]), key=_by_number)))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{where}: not a document of EURLEX57K ({type(error).__name__}: {error})."
        ) from error


def _by_number(concept: str) -> tuple[int, str]:
    return (len(concept), concept)


def _order(law: _Law) -> str:
    return hashlib.sha256(law.celex.encode()).hexdigest()


def assemble(laws: dict[str, list[_Law]], concepts: dict[str, str], settings: Options) -> LabelledText:
    """Select, cut and index: the part of `load` that reads no file."""
    seen = {law.text for split in ("dev", "test") for law in laws[split]}
    train, dropped = [], 0
    for law in sorted(laws["train"], key=_order):
        dropped += law.text in seen
        if law.text not in seen:
            train.append(law)
        seen.add(law.text)
    chosen = {
        "train": train[: settings.limit],
        "dev": sorted(laws["dev"], key=_order)[: settings.dev],
        "test": sorted(laws["test"], key=_order)[: settings.test],
    }
    used = sorted({c for law in chosen["train"] for c in law.concepts}, key=_by_number)
    index = {concept: i for i, concept in enumerate(used)}
    rows = [(law, split) for split in SPLITS for law in sorted(chosen[split], key=lambda law: law.celex)]
    rows_with = [(law, split) for law, split in rows if any(c in index for c in law.concepts)]
    data = LabelledText(
        name="eurlex57k",
        texts=[_cut(law.text, settings.max_words) for law, _ in rows_with],
        labels=[[index[c] for c in law.concepts if c in index] for law, _ in rows_with],
        label_names=[concepts.get(c, c) for c in used],
        split=np.array([split for _, split in rows_with]),
        groups=np.arange(
            len(rows_with), dtype=np.int64
        ),  # exact copies are dropped, near ones not looked for
        fingerprint="",
        names=[law.celex for law, _ in rows_with],
        notes={
            "train documents dropped as exact copies": dropped,
            "documents without a label seen in training": len(rows) - len(rows_with),
            "labels without a name": sum(c not in concepts for c in used),
        },
    )
    return replace(data, fingerprint=content_fingerprint(data))


def _cut(text: str, words: int | None) -> str:
    return text if words is None else " ".join(text.split(" ", words)[:words])
