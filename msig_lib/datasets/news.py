"""AG News from its public parts, and a subset of DBpedia.

Both have sources that were tokenised by others (KEAML): `classified.detokenise` puts them together again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from msig_lib.datasets import charcnn, files
from msig_lib.datasets.classified import Options, Row, assemble, clean, detokenise
from msig_lib.datasets.manifests import Manifest
from msig_lib.datasets.text import LabelledText

# The names that the official prompts use, in the files' order (World, Sports, Business, Sci/Tech).
NEWS = ["politics", "sports", "business", "technology"]
DBPEDIA = list(charcnn.FORMATS["dbpedia14"].names)


def ag_news(manifest: Manifest, *, download: bool = True, **options) -> LabelledText:
    """Return AG News: the official test split, and as much of train as is here; `options` as in Options.

    Train is the file `train.csv` where a mirror or the cache has it, else the three public parts. Two of
    these lack titles and were tokenised. A text is title and description, cleaned of what the collection's
    web export left in it (`classified.clean`).
    """
    settings = Options(**options)
    paths = files.obtain_all(manifest, download=download)
    of = {Path(path).name.removesuffix(".gz"): local for path, local in paths.items()}
    test = list(_titled(of["charcnn_test.csv"]))
    if "train.csv" in of:
        train = list(_titled(of["train.csv"]))
    else:
        train = list(_plain(of["lst11111_train.csv"], len(NEWS), -1, clean, untitled=False))
        for name in ("keaml_train.csv", "keaml_ub_train.csv"):
            train += _plain(of[name], len(NEWS), 0, detokenise, untitled=True)
    read = {"test documents read": len(test), "train documents read": len(train)}
    return assemble(manifest.name, NEWS, train, test, settings, read)


def dbpedia14_subset(manifest: Manifest, *, download: bool = True, **options) -> LabelledText:
    """Return 14,000 abstracts of DBpedia in 14 classes; `options` as in Options.

    This subset has no official split: train, dev and test are 60, 10 and 30% of the near-duplicate groups by
    a hash of their texts.
    """
    settings = Options(**options)
    paths = files.obtain_all(manifest, download=download)
    (source,) = (local for path, local in paths.items() if ".csv" in path)
    rows = list(_plain(source, len(DBPEDIA), 0, detokenise, untitled=False))
    return assemble(manifest.name, DBPEDIA, rows, None, settings, {"documents read": len(rows)})


def _titled(path: Path) -> Iterator[Row]:
    with files.open_content(path) as stream:
        for record in charcnn.records(stream, str(path), classes=len(NEWS), fields=2):
            yield Row(clean(" ".join(record.fields)), record.label, f"{_name(path)}:{record.line}")


def _plain(
    path: Path, classes: int, at: int, restore: Callable[[str], str], *, untitled: bool
) -> Iterator[Row]:
    with files.open_content(path) as stream:
        for record in charcnn.records(stream, str(path), classes=classes, fields=1, class_at=at, first=0):
            yield Row(restore(record.fields[0]), record.label, f"{_name(path)}:{record.line}", untitled)


def _name(path: Path) -> str:
    return path.name.removesuffix(".gz")  # the public address offers the plain file
