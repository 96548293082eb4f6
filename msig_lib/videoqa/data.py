"""The world of chapter 6: clips of moving shapes with exact annotations, and their splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from msig_lib.videoqa.drawing import draw_scenes
from msig_lib.videoqa.render import BACKGROUNDS, COLOURS, SHAPES, SIZES, render
from msig_lib.videoqa.scenes import (
    EVENTS,
    HELD_OUT,
    PATHS,
    SPEEDS,
    VERBS,
    ClipSettings,
    Event,
    Scene,
    Thing,
)

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "DIFFERENT",
    "EVENTS",
    "HELD_OUT",
    "PATHS",
    "SHAPES",
    "SIZES",
    "SPEEDS",
    "SUBSETS",
    "VERBS",
    "ClipSettings",
    "Clips",
    "Event",
    "Scene",
    "Thing",
    "make_clips",
    "make_world",
]

SUBSETS = {  # ours, four in the domain by what happens, and four out of it, as tables 6.2 and 6.3 have
    "test-in": ("arrivals", "walls", "changes", "crossings"),
    "test-out": ("combinations", "crowded", "faster", "backgrounds"),
}
# What each subset changes; "faster" keeps to the words slow and fast.
DIFFERENT: dict[str, dict[str, object]] = {
    "arrivals": {"happens": ("enter", "leave")},
    "walls": {"happens": ("bounce",)},
    "changes": {"happens": ("change",)},
    "crossings": {"happens": ("behind",), "things": (2, 2)},
    "combinations": {"unseen": True},
    "crowded": {"things": (3, 4)},
    "faster": {"slow": (1.5, 1.9), "fast": (4.4, 5.4)},
    "backgrounds": {"backgrounds": ("white", "checked")},
}


@dataclass(frozen=True, eq=False)
class Clips:
    """S clips: `frames` uint8 (S, F, H, W, 3), their `scenes`, and the name of their split.

    ValueError for other shapes.
    """

    frames: npt.NDArray[np.uint8]
    scenes: tuple[Scene, ...]
    split: str = ""

    def __post_init__(self) -> None:
        shape, dtype = self.frames.shape, self.frames.dtype
        if dtype != np.uint8 or len(shape) != 5 or shape[4] != 3 or shape[0] != len(self.scenes):
            raise ValueError(
                f"frames {shape} {dtype} for {len(self.scenes)} scenes, expected uint8 (S, F, H, W, 3)"
            )

    def __len__(self) -> int:
        return len(self.scenes)

    def subset(self, rows: npt.ArrayLike) -> Clips:
        """Return the clips of these rows (numbers or booleans)."""
        at = np.arange(len(self))[np.asarray(rows) if np.size(rows) else np.zeros(0, dtype=np.int64)]
        return Clips(self.frames[at], tuple(self.scenes[i] for i in at), self.split)


def make_clips(n: int, settings: ClipSettings | None = None, *, seed: int, split: str = "") -> Clips:
    """Return n clips that depend on the settings and the seed only."""
    settings = settings or ClipSettings()
    rng = np.random.default_rng(seed)
    scenes = draw_scenes(n, settings, rng)
    return Clips(render(scenes, settings, rng), scenes, split)


def make_world(
    sizes: Mapping[str, int], settings: ClipSettings | None = None, *, seed: int
) -> dict[str, Clips]:
    """Return the splits by name: "train", "dev", "test-in/arrivals", ..., "test-out/combinations", ...

    `sizes` says how many clips "train", "dev", and each subset of "test-in" and "test-out" have; one that is
    missing is left out. Every split has its own random numbers: its clips do not depend on other sizes.
    Raises ValueError for another name. Equal settings, sizes and seed give equal clips.
    """
    settings = settings or ClipSettings()
    if set(sizes) - {"train", "dev", *SUBSETS}:
        raise ValueError(f"sizes has {', '.join(sizes)}, expected some of train, dev, {', '.join(SUBSETS)}")
    out = {}
    for part, name in [("train", ""), ("dev", ""), *((p, name) for p in SUBSETS for name in SUBSETS[p])]:
        if part in sizes:
            key = int.from_bytes((name or part).encode(), "big")
            own = replace(settings, **DIFFERENT.get(name, {}))
            split = f"{part}/{name}" if name else part
            out[split] = make_clips(sizes[part], own, seed=[seed, key], split=split)
    return out
