"""The sample of ChartQA's test split: real charts, questions people and models wrote, and their answers."""

from __future__ import annotations

import csv
import gzip
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from msig_lib import datasets
from msig_lib.errors import MsigError

NAME, FOLDER = "chartqa_sample", "chartqa_test_sample"
FILE = re.compile(r"(simple|complex)_test_(human|augmented)_(simple|complex)\.json\.gz")
FIELDS = ("imgname", "query", "label")
PLAIN_NAME = re.compile(r"[^/\\.\0][^/\\\0]*\.png")  # names have commas; no way out of the folder


class FormatError(MsigError, ValueError):
    """Raised for a file that is not in the sample's format, as `file: reason`."""


@dataclass(frozen=True)
class RealQuestion:
    """A question about a real chart.

    `chart` and `difficulty` are "simple" or "complex" (of the chart and of the question), `source` is "human"
    or "augmented"; `image` is the picture's name, and it and its table are not part of the sample for all.
    """

    image: str
    text: str
    answer: str
    chart: str
    source: str
    difficulty: str


@dataclass(frozen=True)
class RealTable:
    """The data of a real chart: the header, the first cell of each row, and the values, float64 (rows, columns),
    nan where there is none."""

    header: tuple[str, ...]
    rows: tuple[str, ...]
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class ChartQASample:
    """All questions of a folder, in the order of its files, and how to read its pictures and tables."""

    folder: Path
    questions: tuple[RealQuestion, ...]

    def __len__(self) -> int:
        return len(self.questions)

    @property
    def with_image(self) -> list[int]:
        """The questions whose picture is here."""
        here = {path.name for path in (self.folder / "png").glob("*.png")}
        return [i for i, question in enumerate(self.questions) if question.image in here]

    def image(self, name: str) -> npt.NDArray[np.uint8]:
        """Return a picture, uint8 (H, W, 3), transparency on white; KeyError when it is not part of the sample."""
        path = self._path("png", name)
        try:
            with Image.open(path, formats=["PNG"]) as opened:
                picture = opened.convert("RGBA")
        except (OSError, SyntaxError, ValueError) as error:
            raise FormatError(f"{path}: no readable PNG ({error})") from error
        paper = Image.new("RGBA", picture.size, "white")
        return np.asarray(Image.alpha_composite(paper, picture).convert("RGB"))

    def table(self, name: str) -> RealTable | None:
        """Return the data of a picture, None where the sample has no table for it."""
        try:
            path = self._path("tables", name, ".csv")
        except KeyError:
            return None
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header, *rows = [row for row in csv.reader(stream) if row] or [[]]
        if len(header) < 2 or any(len(row) != len(header) for row in rows):
            raise FormatError(f"{path}: expected a header of two or more cells, and rows of as many")
        try:
            values = [[_cell(cell) for cell in row[1:]] for row in rows]
        except ValueError as error:
            raise FormatError(f"{path}: {error}") from error
        shaped = np.array(values, dtype=np.float64).reshape(len(rows), len(header) - 1)
        return RealTable(tuple(header), tuple(row[0] for row in rows), shaped)

    def _path(self, part: str, name: str, suffix: str = ".png") -> Path:
        if not PLAIN_NAME.fullmatch(name):
            raise KeyError(f"{name!r} is no name of a picture, such as '00795994017065.png'")
        path = (self.folder / part / name).with_suffix(suffix)
        if not path.is_file():
            raise KeyError(f"{path.name} is not in {part} of the sample: see `with_image`")
        return path


def load() -> ChartQASample:
    """Return the verified sample (manifest `chartqa_sample`); DataNotAvailable when it is not here."""
    return read(datasets.load(NAME).paths[FOLDER])


def read(folder: Path | str) -> ChartQASample:
    """Return the sample in a folder of the format: `qa/*.json.gz`, and `png/` and `tables/` for some questions.

    Each file of questions is a list of {"imgname", "query", "label"} and its name says of which kind it is
    ("simple_test_human_complex.json.gz": simple chart, written by people, complex question). A question that
    is listed twice with the same answer is kept once. Raises FormatError, with the file, for anything else.
    """
    folder = Path(folder)
    paths = sorted((folder / "qa").glob("*"))
    if not paths:
        raise FormatError(
            f"{folder / 'qa'}: no files, expected names such as simple_test_human_simple.json.gz"
        )
    questions: dict[RealQuestion, None] = {}
    for path in paths:
        if not (kind := FILE.fullmatch(path.name)):
            raise FormatError(f"{path}: expected a name such as simple_test_human_simple.json.gz")
        chart, source, difficulty = kind.groups()
        for number, row in enumerate(_rows(path)):
            if not isinstance(row, dict) or not all(
                isinstance(row.get(f), str) and row[f].strip() for f in FIELDS
            ):
                raise FormatError(
                    f"{path}: entry {number} is {str(row)[:80]}, expected texts {', '.join(FIELDS)}"
                )
            if not PLAIN_NAME.fullmatch(row["imgname"]):
                raise FormatError(f"{path}: entry {number} names the picture {row['imgname']!r}")
            question = RealQuestion(
                row["imgname"], row["query"].strip(), row["label"].strip(), chart, source, difficulty
            )
            questions.setdefault(question)
    return ChartQASample(folder, tuple(questions))


def _rows(path: Path) -> list:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            rows = json.load(stream)
    except (OSError, EOFError, ValueError) as error:
        raise FormatError(f"{path}: no gzipped JSON ({error})") from error
    if not isinstance(rows, list):
        raise FormatError(f"{path}: expected a list of questions, got {type(rows).__name__}")
    return rows


def _cell(text: str) -> float:
    """Read a cell of a table: empty and "nan" are nan; ValueError for other words."""
    value = float(text) if text.strip() else math.nan
    if math.isinf(value):
        raise ValueError(f"{text!r} is not finite")
    return value
