"""The world of chapter 7: charts drawn from exact tables, and their parts for training and testing."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from msig_lib.chartqa.render import COLOURS, STYLES, TOP, RenderSettings, render

GROUPS = ("left", "right")
PARTS = ("train", "dev", "test", "shifted")
SURPLUS = 64  # tables drawn beyond those that are needed, to replace repeated ones


@dataclass(frozen=True)
class ChartSettings:
    """What charts look like; ValueError for what cannot be drawn."""

    styles: tuple[str, ...] = STYLES  # issue 6; each as often as the others
    marks: tuple[int, int] = (4, 6)  # prototype: fewest and most bars; grouped charts take the even numbers
    drawing: RenderSettings = field(default_factory=RenderSettings)

    def __post_init__(self) -> None:
        if not self.styles or len(set(self.styles)) < len(self.styles) or set(self.styles) - set(STYLES):
            raise ValueError(f"styles is {self.styles!r}, expected different ones of {', '.join(STYLES)}")
        least, most = self.marks
        if not (isinstance(least, numbers.Integral) and isinstance(most, numbers.Integral)):
            raise ValueError(f"marks is {self.marks!r}, expected two whole numbers")
        if not 2 <= least <= most <= len(COLOURS):
            raise ValueError(
                f"marks is {self.marks}, expected 2 <= fewest <= most <= {len(COLOURS)}, one colour each"
            )
        if "grouped" in self.styles and not self.grouped_counts:
            raise ValueError(
                f"marks is {self.marks}: grouped charts need an even number from 4; widen it or drop the style"
            )

    @property
    def grouped_counts(self) -> tuple[int, ...]:
        """How many marks a grouped chart may have: as many on the left as on the right."""
        return tuple(range(max(4, self.marks[0] + self.marks[0] % 2), self.marks[1] + 1, 2))


SHIFTED = ChartSettings(marks=(7, 8), drawing=RenderSettings(noise=25.0))  # ours: more bars, more noise


@dataclass(frozen=True)
class Table:
    """One chart's exact values, from left to right: mark k is `colours[k]` of group `groups[k]` ("" for none)."""

    style: str
    colours: tuple[str, ...]
    groups: tuple[str, ...]
    values: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What questions call the marks: "red", or "left red" in a grouped chart."""
        return tuple(f"{group} {colour}".lstrip() for group, colour in zip(self.groups, self.colours))

    def value(self, name: str) -> int:
        """Return the value of a mark; KeyError for a name that is not in the chart."""
        try:
            return self.values[self.names.index(name)]
        except ValueError:
            raise KeyError(f"no mark is called {name!r}; there are {', '.join(self.names)}") from None


@dataclass(frozen=True, eq=False)
class Tables:
    """S tables with up to K marks each, as arrays.

    `style` int8 (S,) counts in STYLES; `colours` int8 (S, K) in COLOURS, -1 where there is no mark (only at
    the end of a row); `groups` int8 (S, K) in GROUPS, 0 without groups; `values` int8 (S, K) are 1..9, 0
    where there is no mark. ValueError for other shapes. `tables[i]` is one as a Table.
    """

    style: npt.NDArray[np.int8]
    colours: npt.NDArray[np.int8]
    groups: npt.NDArray[np.int8]
    values: npt.NDArray[np.int8]

    def __post_init__(self) -> None:
        shape = self.colours.shape
        if self.style.ndim != 1 or len(shape) != 2 or len(self.style) != shape[0]:
            raise ValueError(f"style {self.style.shape} and colours {shape}, expected (S,) and (S, K)")
        if self.groups.shape != shape or self.values.shape != shape:
            raise ValueError(f"groups {self.groups.shape}, values {self.values.shape}, expected {shape}")
        if ((self.colours < 0) != (self.values < 1)).any():
            raise ValueError("a mark has a colour without a value, or a value without a colour")

    def __len__(self) -> int:
        return len(self.style)

    def __getitem__(self, row: int) -> Table:
        n = int((self.colours[row] >= 0).sum())
        style = STYLES[self.style[row]]
        groups = (GROUPS[g] if style == "grouped" else "" for g in self.groups[row, :n])
        colours = (COLOURS[c] for c in self.colours[row, :n])
        return Table(style, tuple(colours), tuple(groups), tuple(self.values[row, :n].tolist()))

    @property
    def count(self) -> npt.NDArray[np.int64]:
        """How many marks each chart has, (S,)."""
        return (self.colours >= 0).sum(axis=1)

    def subset(self, rows: npt.ArrayLike | slice) -> Tables:
        """Return the tables of these rows (numbers, booleans or a slice)."""
        at = _index(rows)
        return Tables(self.style[at], self.colours[at], self.groups[at], self.values[at])

    def keys(self) -> list[bytes]:
        """Return one key a chart: equal for equal style, colours, groups and values in the same order."""
        style = np.broadcast_to(self.style[:, None, None], (*self.colours.shape, 1))
        each = np.concatenate([style, np.stack([self.colours, self.groups, self.values], axis=2)], axis=2)
        return [row[:n].tobytes() for row, n in zip(each, self.count)]


@dataclass(frozen=True, eq=False)
class Charts:
    """S charts: `images` uint8 (S, H, W, 3) and their exact `tables`; ValueError for other shapes."""

    images: npt.NDArray[np.uint8]
    tables: Tables

    def __post_init__(self) -> None:
        shape = self.images.shape
        if (
            self.images.dtype != np.uint8
            or len(shape) != 4
            or shape[3:] != (3,)
            or shape[0] != len(self.tables)
        ):
            raise ValueError(
                f"images {shape} {self.images.dtype} for {len(self.tables)} tables, expected uint8 (S, H, W, 3)"
            )

    def __len__(self) -> int:
        return len(self.tables)

    def subset(self, rows: npt.ArrayLike | slice) -> Charts:
        """Return the charts of these rows (numbers, booleans or a slice)."""
        at = _index(rows)
        return Charts(self.images[at], self.tables.subset(at))


@dataclass(frozen=True, eq=False)
class World:
    """The parts of a world by name, and for each how many repeated charts were replaced when it was drawn."""

    parts: dict[str, Charts]
    repeated: dict[str, int]

    def __getitem__(self, part: str) -> Charts:
        if part not in self.parts:
            raise KeyError(f"no part {part!r}; there are {', '.join(self.parts)}")
        return self.parts[part]


def _index(rows: npt.ArrayLike | slice) -> np.ndarray | slice:
    """Return what selects rows of an array; an empty list selects none."""
    at = rows if isinstance(rows, slice) else np.asarray(rows)
    return at if isinstance(at, slice) or at.size else at.astype(np.int64)


def draw_tables(n: int, settings: ChartSettings, rng: np.random.Generator) -> Tables:
    """Return n tables: styles and numbers of marks equally likely, colours and values without repetition."""
    if n < 0:
        raise ValueError(f"{n} tables were asked for, expected 0 or more")
    least, most = settings.marks
    style = rng.choice([STYLES.index(name) for name in settings.styles], size=n).astype(np.int8)
    grouped = style == STYLES.index("grouped")
    count = rng.integers(least, most + 1, size=n)
    count = np.where(grouped, rng.choice(settings.grouped_counts or (0,), size=n), count)
    colours = np.argsort(rng.random((n, len(COLOURS))), axis=1)[:, :most]
    values = np.argsort(rng.random((n, TOP)), axis=1)[:, :most] + 1
    place = np.arange(most)
    half = np.where(grouped, count // 2, most)[:, None]  # both groups show the same colours in the same order
    colours = np.take_along_axis(colours, place % half, axis=1)
    there = place < count[:, None]
    return Tables(
        style,
        np.where(there, colours, -1).astype(np.int8),
        np.where(there, place // half, 0).astype(np.int8),
        np.where(there, values, 0).astype(np.int8),
    )


def make_charts(n: int, settings: ChartSettings | None = None, *, seed: int) -> Charts:
    """Return n charts that depend on the settings and the seed only."""
    settings = settings or ChartSettings()
    rng = np.random.default_rng(seed)
    return _with_images(draw_tables(n, settings, rng), settings, rng)


def make_world(
    sizes: Mapping[str, int] | None = None,
    settings: ChartSettings | None = None,
    shifted: ChartSettings = SHIFTED,
    *,
    seed: int,
) -> World:
    """Return the parts of a world, each from its own stream of one seed, without a chart in two of them.

    `sizes` gives the charts of each part of PARTS that is wanted (default: 16,000 to train, 2,000 each for
    dev, test and shifted). A table (style, colours, values) that occurs in an earlier part, in the order test,
    dev, shifted, train, is replaced and counted in `repeated`; test is therefore the same whatever the other
    sizes. Raises ValueError for an unknown part, or when there are not enough different tables.
    """
    sizes = {"train": 16_000, "dev": 2_000, "test": 2_000, "shifted": 2_000} if sizes is None else dict(sizes)
    settings = settings or ChartSettings()
    if unknown := set(sizes) - set(PARTS):
        raise ValueError(f"unknown parts {sorted(unknown)}: expected some of {', '.join(PARTS)}")
    parts, repeated = {}, {}
    taken: set[bytes] = set()
    for part in sorted(sizes, key=("test", "dev", "shifted", "train").index):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(PARTS.index(part),)))
        of_part = shifted if part == "shifted" else settings
        tables, repeated[part] = _without(taken, sizes[part], part, of_part, rng)
        taken.update(tables.keys())
        parts[part] = _with_images(tables, of_part, rng)
    return World({part: parts[part] for part in sizes}, {part: repeated[part] for part in sizes})


def _without(
    taken: set[bytes], n: int, part: str, settings: ChartSettings, rng: np.random.Generator
) -> tuple[Tables, int]:
    """Draw n tables whose keys are not in `taken`; return them and how many were left out for it."""
    drawn = draw_tables(n + SURPLUS + n // 8, settings, rng)
    fresh = np.fromiter((key not in taken for key in drawn.keys()), dtype=bool, count=len(drawn))
    rows = np.flatnonzero(fresh)[:n]
    if len(rows) < n:
        raise ValueError(
            f"{part}: only {len(rows)} of {len(drawn)} tables are not in another part, expected {n}: ask for "
            "fewer charts, or allow more marks"
        )
    return drawn.subset(rows), int((~fresh[: rows[-1]]).sum()) if n else 0


def _with_images(tables: Tables, settings: ChartSettings, rng: np.random.Generator) -> Charts:
    images = render(tables.style, tables.colours, tables.groups, tables.values, settings.drawing, rng)
    return Charts(images, tables)
