"""Small clips of moving shapes, many at a time: where things are, what covers what, and the pixels."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from numba import njit

if TYPE_CHECKING:
    from msig_lib.videoqa.data import ClipSettings, Scene

PALETTE: dict[str, tuple[int, int, int]] = {  # ours: apart from each other and from every background
    "red": (220, 45, 45),
    "green": (50, 170, 60),
    "blue": (50, 90, 225),
    "yellow": (235, 215, 45),
    "purple": (165, 65, 200),
    "orange": (245, 140, 25),
}
COLOURS = tuple(PALETTE)
SHAPES = ("circle", "square", "triangle", "cross")
RADIUS = {"small": 3, "large": 5}  # ours, in pixels: a thing is 2 r + 1 pixels wide
SIZES = tuple(RADIUS)
PALE: dict[str, tuple[int, int]] = {  # the two grey levels of a background's squares
    "black": (18, 18),
    "grey": (105, 105),
    "white": (228, 228),
    "checked": (60, 150),
}
BACKGROUNDS = tuple(PALE)
SQUARE = 8  # pixels a side, of a checked background
STEPS = {
    "right": (1, 0),
    "left": (-1, 0),
    "up": (0, -1),
    "down": (0, 1),
    "still": (0, 0),
}  # y grows downwards
CHUNK = 32  # clips drawn at a time, so that they stay in the processor's cache


def render(
    scenes: Sequence[Scene], settings: ClipSettings, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Return the frames of scenes, uint8 (S, frames, size, size, 3).

    A thing is a stamp of one colour at its centre, rounded to whole pixels; a later one of a scene is in front.
    Of the settings, `frames` and `size` count, `tint` (each colour of a clip is moved by up to so many grey
    levels a channel) and `noise` (standard deviation of each value's noise, in grey levels of 255). The same
    generator state gives the same pixels.
    """
    out = np.empty((len(scenes), settings.frames, settings.size, settings.size, 3), dtype=np.uint8)
    for first in range(0, len(scenes), CHUNK):
        _draw(out[first : first + CHUNK], scenes[first : first + CHUNK], settings, rng)
    return out


def positions(
    start: npt.NDArray[np.floating],
    path: npt.NDArray[np.integer],
    speed: npt.NDArray[np.floating],
    radius: npt.NDArray[np.integer],
    stays: npt.NDArray[np.bool_],
    *,
    frames: int,
    size: int,
) -> npt.NDArray[np.float64]:
    """Return the centres (x and y) of things in every frame, float64 [..., frames, 2].

    `start` [..., 2] is the centre in frame 0, `path` [...] counts in data.PATHS, `speed` is in pixels a frame.
    A thing that `stays` bounces off the walls so that it never leaves the picture again (one that starts
    outside comes in first); another goes straight on.
    """
    step = np.array(list(STEPS.values()))[path]
    room = (size - 1 - 2 * radius)[..., None]
    gone = travelled(start, path, radius, size=size)[..., None] + speed[..., None] * np.arange(frames)
    there = gone % (2 * room)
    folded = np.where(there <= room, there, 2 * room - there)
    along = np.where(stays[..., None] & (gone > 0), folded, gone)
    moved = along - along[..., :1]
    return start[..., None, :] + step[..., None, :] * moved[..., None]


def travelled(
    start: npt.NDArray[np.floating],
    path: npt.NDArray[np.integer],
    radius: npt.NDArray[np.integer],
    *,
    size: int,
) -> npt.NDArray[np.float64]:
    """Return how far things are, in frame 0, from the wall behind them, in pixels; below 0 when still outside."""
    near = radius.astype(np.float64)
    x, y = start[..., 0], start[..., 1]
    rest = [x - near, size - 1 - near - x, size - 1 - near - y, y - near, np.zeros_like(x)]
    return np.choose(path, rest)


def covered(
    centres: npt.NDArray[np.floating], kind: npt.NDArray[np.integer], *, size: int
) -> npt.NDArray[np.float64]:
    """Return which share of thing i thing j hides, by frame, float64 [S, frames, K, K], 0 unless j is in front.

    `centres` [S, K, frames, 2]; `kind` [S, K] is size * len(SHAPES) + shape, -1 for no thing. Shares are of the
    whole thing, but only pixels within the picture are counted.
    """
    n, things, frames = centres.shape[:3]
    out = np.zeros((n, frames, things, things))
    _cover(np.rint(centres).astype(np.int64), kind.astype(np.int64), _stamps(), size, out)
    return out


def _draw(out: np.ndarray, scenes: Sequence[Scene], settings: ClipSettings, rng: np.random.Generator) -> None:
    """Draw some clips into `out`."""
    n, most = len(scenes), max(len(scene.things) for scene in scenes)
    kind = np.full((n, most), -1)
    start, speed = np.zeros((n, most, 2)), np.zeros((n, most))
    path, stays = np.zeros((n, most), dtype=np.int64), np.ones((n, most), dtype=bool)
    hue = np.zeros((n, most, settings.frames), dtype=np.int64)
    for s, scene in enumerate(scenes):
        for k, thing in enumerate(scene.things):
            kind[s, k] = SIZES.index(thing.size) * len(SHAPES) + SHAPES.index(thing.shape)
            start[s, k], speed[s, k] = thing.start, thing.speed
            path[s, k] = _PATHS.index(thing.path)
            stays[s, k] = thing.leaves >= settings.frames
            hue[s, k] = COLOURS.index(thing.colour)
            if thing.becomes:
                hue[s, k, thing.changes :] = COLOURS.index(thing.becomes)
    radius = np.array(list(RADIUS.values()))[np.maximum(kind, 0) // len(SHAPES)]
    centres = positions(start, path, speed, radius, stays, frames=settings.frames, size=settings.size)

    levels = np.array([PALE[scene.background] for scene in scenes])
    ink = np.broadcast_to(np.array(list(PALETTE.values())), (n, len(PALETTE), 3))
    ink = ink + rng.integers(-settings.tint, settings.tint + 1, size=ink.shape)
    levels = levels + rng.integers(-settings.tint, settings.tint + 1, size=(n, 1))
    ink, levels = (np.clip(shade, 0, 255).astype(np.uint8) for shade in (ink, levels))
    square = np.arange(settings.size) // SQUARE
    board = (square[:, None] + square) % 2
    out[...] = levels[:, board][:, None, :, :, None]
    shade = ink[np.arange(n)[:, None, None], hue]
    _stamp(out, np.rint(centres).astype(np.int64), kind, _stamps(), shade)
    if settings.noise:
        table = _noise_levels(float(settings.noise))
        noise = table[rng.integers(0, 256, size=out.shape, dtype=np.uint8)]
        noise += out
        np.clip(noise, 0, 255, out=noise)
        out[...] = noise


_PATHS = tuple(STEPS)


@functools.lru_cache(maxsize=1)
def _stamps() -> npt.NDArray[np.bool_]:
    """Return which pixels each kind of thing has, bool [kinds, 2 R + 1, 2 R + 1], around the centre."""
    most = max(RADIUS.values())
    at = np.arange(-most, most + 1)
    y, x = at[:, None], at[None, :]
    out = []
    for r in RADIUS.values():
        box = (abs(x) <= r) & (abs(y) <= r)
        circle = x * x + y * y <= (r + 0.3) ** 2
        triangle = box & (2 * abs(x) <= y + r)
        cross = box & ((abs(x) <= r // 3) | (abs(y) <= r // 3))
        out += [circle, box, triangle, cross]
    return np.array(out)


@functools.lru_cache(maxsize=16)
def _noise_levels(deviation: float) -> npt.NDArray[np.int16]:
    """Return 256 equally likely noise levels: quantiles of a normal distribution, scaled to its deviation."""
    normal = statistics.NormalDist()
    levels = np.array([normal.inv_cdf((i + 0.5) / 256) for i in range(256)])
    return np.rint(deviation * levels / levels.std()).astype(np.int16)


@njit(cache=True, nogil=True)
def _stamp(pictures, centres, kind, stamps, shade):
    """Draw the things of each clip into `pictures` uint8 [S, F, H, H, 3], the last one in front.

    `centres` int64 [S, K, F, 2], `kind` int64 [S, K], `stamps` bool [kinds, W, W], `shade` uint8 [S, K, F, 3].
    """
    n, frames, size = pictures.shape[:3]
    reach = stamps.shape[1] // 2
    for s in range(n):
        for k in range(kind.shape[1]):
            if kind[s, k] < 0:
                continue
            for f in range(frames):
                left, top = centres[s, k, f, 0] - reach, centres[s, k, f, 1] - reach
                for v in range(max(0, -top), min(stamps.shape[1], size - top)):
                    for u in range(max(0, -left), min(stamps.shape[1], size - left)):
                        if stamps[kind[s, k], v, u]:
                            for c in range(3):
                                pictures[s, f, top + v, left + u, c] = shade[s, k, f, c]


@njit(cache=True, nogil=True)
def _cover(centres, kind, stamps, size, out):
    """Fill `out` float64 [S, F, K, K] with the share of thing i that thing j > i hides within the picture."""
    reach = stamps.shape[1] // 2
    wide = stamps.shape[1]
    for s in range(out.shape[0]):
        for i in range(kind.shape[1]):
            if kind[s, i] < 0:
                continue
            area = stamps[kind[s, i]].sum()
            for j in range(i + 1, kind.shape[1]):
                if kind[s, j] < 0:
                    continue
                for f in range(out.shape[1]):
                    left, top = centres[s, i, f, 0] - reach, centres[s, i, f, 1] - reach
                    dx = centres[s, i, f, 0] - centres[s, j, f, 0]
                    dy = centres[s, i, f, 1] - centres[s, j, f, 1]
                    hidden = 0
                    for v in range(max(0, -top, -dy), min(wide, size - top, wide - dy)):
                        for u in range(max(0, -left, -dx), min(wide, size - left, wide - dx)):
                            if stamps[kind[s, i], v, u] and stamps[kind[s, j], v + dy, u + dx]:
                                hidden += 1
                    out[s, f, i, j] = hidden / area
