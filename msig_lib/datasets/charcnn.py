"""The full sets in the format of Zhang, Zhao and LeCun (2015): DBpedia, Yahoo! Answers, Amazon reviews.

A tar.gz of train.csv and test.csv without a header. A row is a class from 1 and text fields, all in double
quotes; a quote inside is doubled, a line end inside is a backslash and an n. The archive is read as a stream:
with `limit` or `pool`, memory does not grow with the file.
"""

from __future__ import annotations

import csv
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from msig_lib.datasets import archive, files
from msig_lib.datasets.classified import DEV, Options, Row, assemble, order
from msig_lib.datasets.manifests import Manifest
from msig_lib.datasets.text import LabelledText
from msig_lib.datasets.xc import FormatError


@dataclass(frozen=True)
class Format:
    """What a set's files hold: number of text fields, names in `classes.txt`, and their sensible names."""

    fields: int
    published: tuple[str, ...]
    names: tuple[str, ...]


FORMATS = {
    "dbpedia14": Format(
        2,
        tuple(
            "Company EducationalInstitution Artist Athlete OfficeHolder MeanOfTransportation Building "
            "NaturalPlace Village Animal Plant Album Film WrittenWork".split()
        ),
        (
            "company",
            "educational institution",
            "artist",
            "athlete",
            "office holder",
            "means of transportation",
            "building",
            "natural place",
            "village",
            "animal",
            "plant",
            "album",
            "film",
            "written work",
        ),
    ),
    "yahoo_answers": Format(
        3,  # question, its details, best answer; the last two may be empty
        (
            "Society & Culture",
            "Science & Mathematics",
            "Health",
            "Education & Reference",
            "Computers & Internet",
            "Sports",
            "Business & Finance",
            "Entertainment & Music",
            "Family & Relationships",
            "Politics & Government",
        ),
        (
            "society and culture",
            "science and mathematics",
            "health",
            "education and reference",
            "computers and internet",
            "sports",
            "business and finance",
            "entertainment and music",
            "family and relationships",
            "politics and government",
        ),
    ),
    "amazon_polarity": Format(2, (), ("negative", "positive")),  # its archive may lack classes.txt
}


@dataclass(frozen=True)
class Record:
    """One row of a file: class from 0, text fields as written, line where the row begins."""

    label: int
    fields: tuple[str, ...]
    line: int


def records(
    stream: IO[bytes], where: str, *, classes: int, fields: int, class_at: int = 0, first: int = 1
) -> Iterator[Record]:
    """Yield the rows of a CSV file without a header; `class_at` is the column (0 or -1) of the class number,
    `first` the smallest one.

    Raises FormatError, as `file:line: reason`, for a row with another number of columns, a class that is no
    number or out of range, broken quotes, bytes that are no UTF-8, and a row without any text.
    """
    # Line by line, so that a byte that is no UTF-8 is told where it is; a quote that is never closed ends at
    # csv's limit for a field.
    reader = csv.reader((line.decode("utf-8") for line in stream), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            _fail(where, line, f"{error}; expected fields in double quotes, quotes inside doubled")
        except UnicodeDecodeError as error:
            _fail(where, reader.line_num + 1, f"{error.reason} (byte {error.start}); expected UTF-8")
        if row is None:
            return
        if len(row) != fields + 1:
            _fail(where, line, f"{len(row)} columns; expected a class and {fields} of text")
        number = row.pop(class_at).strip()
        if not (number.isascii() and number.isdigit() and first <= int(number) < first + classes):
            last = first + classes - 1
            _fail(where, line, f"class {number[:40]!r}; expected a whole number from {first} to {last}")
        if not any(field.strip() for field in row):
            _fail(where, line, "no text; expected at least one field that is not empty")
        yield Record(int(number) - first, tuple(row), line)


def _fail(where: str, line: int, reason: str) -> NoReturn:
    raise FormatError(f"{where}:{line}: {reason}.")


def load(manifest: Manifest, *, download: bool = True, **options) -> LabelledText:
    """Return one of FORMATS; `options` as in classified.Options. Fields are joined with a space.

    Copies are recognised among the documents that are kept; train documents that are copies of any test
    document, kept or not, are dropped.
    """
    settings, form = Options(**options), FORMATS[manifest.name]
    (source,) = files.obtain_all(manifest, download=download).values()
    _check_classes(source, form)
    test = _read(source, "test.csv", form, settings.size("test"))
    size = settings.size("train")
    train = _read(source, "train.csv", form, None if size is None else size + DEV, test.hashes)
    notes = {
        "test documents read": test.total,
        "train documents read": train.total,
        "copies within test": test.copies,
        "copies within train": train.copies,
        "train documents that are in test": train.elsewhere,
    }
    return assemble(
        manifest.name, list(form.names), train.rows, test.rows, settings, notes, total=train.total
    )


def _check_classes(source: Path, form: Format) -> None:
    with archive.opened(source, "classes.txt") as stream:
        if stream is None or not form.published:
            return
        found = tuple(stream.read(10_000).decode("utf-8", errors="replace").split("\n"))
    found = tuple(name.strip() for name in found if name.strip())
    if found != form.published:
        raise FormatError(
            f"{source}: classes.txt has {', '.join(found)[:300]}; expected {', '.join(form.published)}."
        )


@dataclass
class _Part:
    """What was read of one file: rows, short hashes of all texts in it, and counts."""

    rows: list[Row]
    hashes: set[int]
    total: int = 0
    copies: int = 0
    elsewhere: int = 0


def _read(source: Path, name: str, form: Format, count: int | None, without: Iterable[int] = ()) -> _Part:
    """Read a file's first `count` different texts by hash (None: all), leaving out those in `without`.

    `hashes` is filled only for test.csv (400,000 numbers at most), which train is compared with.
    """
    part = _Part([], set())
    heap: list[tuple[int, bytes]] = []  # the largest hash on top
    kept: dict[bytes, Row] = {}
    with archive.opened(source, name) as stream:
        if stream is None:
            raise FormatError(f"{source}: has no {name}; expected train.csv and test.csv in it.")
        for record in records(stream, f"{source}:{name}", classes=len(form.names), fields=form.fields):
            part.total += 1
            row = Row(_text(record.fields), record.label, f"{name}:{record.line}")
            digest = order(row.text)
            number = int.from_bytes(digest[:8], "big")
            if name == "test.csv":
                part.hashes.add(number)
            if number in without:
                part.elsewhere += 1
            elif digest in kept:
                part.copies += 1
            elif count is None or len(kept) < count:
                kept[digest] = row
                heapq.heappush(heap, (-number, digest))
            elif count and number < -heap[0][0]:
                kept[digest] = row
                del kept[heapq.heappushpop(heap, (-number, digest))[1]]
    part.rows = list(kept.values())
    return part


def _text(fields: tuple[str, ...]) -> str:
    return " ".join(" ".join(fields).replace("\\n", " ").split())
