"""Chapter 6: drawing clips, many at a time against a plain numpy loop over frames and things."""

from __future__ import annotations

import time
from functools import cache

import numpy as np

from msig_lib.videoqa.data import ClipSettings, Scene, Thing, make_clips
from msig_lib.videoqa.drawing import draw_scenes
from msig_lib.videoqa.render import PALE, PALETTE, RADIUS, SQUARE, STEPS, render
from tests.benchmarks.compare import Benchmark, Disagreement

CLIPS, SEED = 400, 0
CLEAN = ClipSettings(noise=0, tint=0)


@cache
def _scenes() -> tuple[Scene, ...]:
    return draw_scenes(CLIPS, ClipSettings(), np.random.default_rng(SEED))


def _ours() -> np.ndarray:
    return render(_scenes(), ClipSettings(), np.random.default_rng(SEED))


def _plain(settings: ClipSettings | None = None) -> np.ndarray:
    settings = settings or ClipSettings()
    rng = np.random.default_rng(SEED)
    return np.array([_frame(scene, f, settings, rng) for scene in _scenes() for f in range(settings.frames)])


def _frame(scene: Scene, f: int, settings: ClipSettings, rng: np.random.Generator) -> np.ndarray:
    """Return one frame uint8 [H, H, 3]: a mask for each thing, the last one in front, then noise."""
    y, x = np.mgrid[: settings.size, : settings.size]
    levels = np.array(PALE[scene.background])[(y // SQUARE + x // SQUARE) % 2]
    picture = np.repeat(levels[..., None], 3, axis=2).astype(float)
    for thing in scene.things:
        r = RADIUS[thing.size]
        u, v = (at - middle for at, middle in zip((x, y), _centre(thing, f, settings)))
        box = (abs(u) <= r) & (abs(v) <= r)
        mask = {
            "circle": u**2 + v**2 <= (r + 0.3) ** 2,
            "square": box,
            "triangle": box & (2 * abs(u) <= v + r),
            "cross": box & ((abs(u) <= r // 3) | (abs(v) <= r // 3)),
        }[thing.shape]
        picture[mask] = PALETTE[thing.becomes if thing.becomes and f >= thing.changes else thing.colour]
    if settings.noise:
        picture += rng.normal(0, settings.noise, picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _centre(thing: Thing, f: int, settings: ClipSettings) -> np.ndarray:
    at, step = np.array(thing.start), np.array(STEPS[thing.path])
    at = at + step * thing.speed * f
    if thing.leaves == settings.frames:  # reflect at the walls that it goes towards, again and again
        low, high = RADIUS[thing.size], settings.size - 1 - RADIUS[thing.size]
        axis = int(step[1] != 0)
        ahead = high if step.sum() > 0 else low
        while step.any() and (at[axis] > ahead if ahead == high else at[axis] < ahead):
            at[axis] = 2 * ahead - at[axis]
            ahead = low + high - ahead
    return np.rint(at)


def _check(found: np.ndarray, other: np.ndarray) -> str:
    clean = render(_scenes(), CLEAN, np.random.default_rng(SEED))
    plain = _plain(CLEAN).reshape(clean.shape)
    # Two formulas may round a centre that lies half-way to different pixels.
    apart = (clean != plain).any(axis=-1).mean()
    start = time.process_time()
    make_clips(2000, seed=SEED)
    rate = 2000 / (time.process_time() - start)
    told = f"without noise {apart:.2%} of the pixels differ; {rate:,.0f} clips a CPU-second with their scenes drawn"
    if apart > 0.002 or found.size != other.size:
        raise Disagreement(told)
    return told


def benchmarks() -> list[Benchmark]:
    return [Benchmark("videoqa-clips", _ours, _plain, "peer/ours >= 5", _check, prepare=_scenes, warm=_ours)]
