"""Small pictures of charts, many at a time: bars, grouped bars with a legend, and lines."""

from __future__ import annotations

import functools
import numbers
import statistics
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

STYLES = ("bars", "grouped", "lines")  # issue 6
# Ours: eight colours that stay apart in a picture of 32 x 48 under the noise and the jitter of below.
PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (215, 40, 45),
    "orange": (245, 140, 20),
    "yellow": (235, 215, 40),
    "green": (45, 160, 60),
    "cyan": (60, 205, 215),
    "blue": (40, 75, 205),
    "purple": (150, 60, 185),
    "brown": (115, 75, 45),
}
COLOURS = tuple(PALETTE)
TOP = 9  # prototype: values are 1..9, all different within a chart
PAPER, INK = 244, 40  # grey levels of the background and of axes and lines
MARGIN = 3  # columns left of the first mark: ticks, axis, and a free one
CHUNK = 512  # charts drawn at a time, so that they stay in the processor's cache


@dataclass(frozen=True)
class RenderSettings:
    """Size and disturbance of the pictures; ValueError for what cannot be drawn."""

    height: int = 32  # prototype, in pixels; a value is (height - 4) // 9 pixels high
    width: int = 48  # prototype
    noise: float = 10.0  # ours: standard deviation of a pixel's noise, in grey levels of 255
    jitter: float = 1.0  # ours: marks move sideways by up to so many pixels; unless 0, the chart up by 0 or 1
    #   and a bar takes .6 to .8 of its room instead of .7
    colour_jitter: int = 12  # ours: each colour is moved by up to so many levels a channel

    def __post_init__(self) -> None:
        for name, least in (("height", 4 + TOP), ("width", 40), ("colour_jitter", 0)):
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or value < least:
                raise ValueError(f"{name} is {value!r}, expected a whole number of at least {least}")
        for name in ("noise", "jitter"):
            if not 0 <= getattr(self, name) <= 100:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0..100")

    @property
    def unit(self) -> int:
        """Pixels of height for one unit of value."""
        return (self.height - 4) // TOP


def render(
    style: npt.NDArray[np.integer],
    colours: npt.NDArray[np.integer],
    groups: npt.NDArray[np.integer],
    values: npt.NDArray[np.integer],
    settings: RenderSettings,
    rng: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """Return pictures uint8 (S, height, width, 3) of S charts with up to K marks each, from left to right.

    `style` (S,) counts in STYLES, `colours` (S, K) in COLOURS (-1: no mark), `groups` (S, K) is 0 or 1, and
    `values` (S, K) are 1..9. Bars stand on the axis; in a grouped chart a gap of 3/4 of a mark's room parts
    the groups, and the legend on top shows the colours in order; lines join one square per mark. The same
    generator state gives the same pixels.
    """
    out = np.empty((len(style), settings.height, settings.width, 3), dtype=np.uint8)
    for start in range(0, len(style), CHUNK):
        part = slice(start, start + CHUNK)
        _draw(out[part], style[part], colours[part], groups[part], values[part], settings, rng)
    return out


def _draw(
    out: np.ndarray,
    style: np.ndarray,
    colours: np.ndarray,
    groups: np.ndarray,
    values: np.ndarray,
    settings: RenderSettings,
    rng: np.random.Generator,
) -> None:
    """Draw one chunk into `out`."""
    (n, marks), (height, width) = colours.shape, out.shape[1:3]
    rows = np.arange(n)
    lifted = rng.integers(0, 2, size=n) if settings.jitter else np.zeros(n, dtype=np.int64)
    base = height - 1 - lifted  # the axis; bars end above it, and the highest one under the legend
    step = settings.colour_jitter
    ink = np.array(list(PALETTE.values())) + rng.integers(-step, step + 1, size=(n, len(PALETTE), 3))
    ink = np.concatenate([np.clip(ink, 0, 255), np.full((n, 1, 3), PAPER)], axis=1).astype(np.uint8)

    lines = style == STYLES.index("lines")
    left, right = _edges(lines, colours, groups, width, settings, rng)
    owner = np.full((n, width), -1)  # which mark stands in a column of pixels
    x = np.arange(width)
    for k in range(marks):
        np.copyto(owner, k, where=(x >= left[:, k, None]) & (x < right[:, k, None]))
    peak = base[:, None] - settings.unit * values  # (n, K) the row of each mark's value
    top = np.where(lines[:, None], peak - 2, peak)
    bottom = np.where(lines[:, None], peak + 2, base[:, None])
    top, bottom = (_by_column(rows, edge, owner, height) for edge in (top, bottom))
    shade = ink[rows[:, None], _by_column(rows, colours, owner, -1)]  # (n, width, 3)

    picture = np.full((n, height, width, 3), PAPER, dtype=np.uint8)
    _axes(picture, base, settings.unit)
    if lines.any():
        _join(picture, lines, (left + right) // 2, peak, (colours >= 0).sum(axis=1))
    y = np.arange(height)[:, None]
    inside = (y >= top[:, None]) & (y < bottom[:, None])
    np.copyto(picture, shade[:, None], where=inside[..., None])
    _legend(picture, style, colours, groups, ink)

    table = _noise_levels(float(settings.noise))
    noise = table[rng.integers(0, 256, size=picture.shape, dtype=np.uint8)]
    np.clip(picture + noise, 0, 255, out=noise)
    out[...] = noise


def _edges(
    lines: np.ndarray,
    colours: np.ndarray,
    groups: np.ndarray,
    width: int,
    settings: RenderSettings,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first column of each mark and the one after its last, int64 (n, K) each; 0 and 0 for no mark."""
    n, marks = colours.shape
    there = colours >= 0
    gap = 0.75 * groups  # in marks; only the right group is moved
    room = (width - MARGIN - 1) / (there.sum(axis=1) + gap.max(axis=1))  # pixels for a mark
    share = 0.7 + rng.uniform(-0.1, 0.1, size=n) * (settings.jitter > 0)  # how much of it a bar takes
    wide = np.where(lines, np.clip(room * 0.6, 3, 4), room * share)
    slack = np.minimum(settings.jitter, (room - wide) / 2)
    centre = MARGIN + (np.arange(marks) + 0.5 + gap) * room[:, None]
    centre += rng.uniform(-1, 1, size=(n, marks)) * slack[:, None]
    left = np.rint(centre - wide[:, None] / 2).astype(np.int64)
    right = left + np.maximum(np.rint(wide[:, None]).astype(np.int64), 2)
    return np.where(there, left, 0), np.where(there, np.minimum(right, width), 0)


def _by_column(rows: np.ndarray, per_mark: np.ndarray, owner: np.ndarray, empty: int) -> np.ndarray:
    """Spread (n, K) over the columns of pixels (n, width); `empty` where no mark stands."""
    return np.where(owner >= 0, per_mark[rows[:, None], np.maximum(owner, 0)], empty)


def _axes(picture: np.ndarray, base: np.ndarray, unit: int) -> None:
    """Draw the axes, with a tick at every unit of value."""
    y = np.arange(picture.shape[1])
    height = base[:, None] - y  # (n, H) pixels above the axis
    upright = (height >= 0) & (height <= TOP * unit)
    picture[:, :, 1][upright] = INK
    picture[:, :, 0][upright & (height % unit == 0)] = INK
    picture[np.arange(len(base)), base, 1:] = INK


def _join(
    picture: np.ndarray, lines: np.ndarray, centre: np.ndarray, peak: np.ndarray, count: np.ndarray
) -> None:
    """Draw a thin line from mark to mark in the charts that are lines."""
    y = np.arange(picture.shape[1])[:, None]
    x = np.arange(picture.shape[2])
    for i in np.flatnonzero(lines):
        at, high = centre[i, : count[i]], peak[i, : count[i]]
        path = np.interp(x, at, high, left=np.inf, right=np.inf)
        after = np.interp(x + 1, at, high, left=np.inf, right=np.inf)
        low = np.minimum(path, after)
        on = (y >= np.floor(low)) & (y <= np.maximum(path, np.where(np.isinf(after), path, after)))
        picture[i][on & np.isfinite(path)] = INK


def _legend(
    picture: np.ndarray, style: np.ndarray, colours: np.ndarray, groups: np.ndarray, ink: np.ndarray
) -> None:
    """Draw a square for each colour of a grouped chart in its first two rows, in the order of the bars."""
    grouped = np.flatnonzero(style == STYLES.index("grouped"))
    for k in range(colours.shape[1]):
        rows = grouped[(colours[grouped, k] >= 0) & (groups[grouped, k] == 0)]
        first = MARGIN + 1 + 5 * k
        picture[rows, :2, first : first + 3] = ink[rows, colours[rows, k]][:, None, None]


@functools.lru_cache(maxsize=16)
def _noise_levels(deviation: float) -> npt.NDArray[np.int16]:
    """Return 256 equally likely noise levels: quantiles of a normal distribution, scaled to its deviation.

    A random byte looked up here costs a fifth of drawing from the distribution.
    """
    normal = statistics.NormalDist()
    levels = np.array([normal.inv_cdf((i + 0.5) / 256) for i in range(256)])
    return np.rint(deviation * levels / levels.std()).astype(np.int16)
