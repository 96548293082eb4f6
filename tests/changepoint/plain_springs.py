"""The official particle-spring system as a plain loop over series and steps, for tests and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Plain:
    """One series: states float64 (frames, N, 4), the official label, connections before and after."""

    states: np.ndarray
    label: int
    before: np.ndarray
    after: np.ndarray


def connect(rng: np.random.RandomState, n: int) -> np.ndarray:
    """Return symmetric connections as 0.0 or 1.0, each pair with probability 1/2."""
    below = np.tril(rng.choice([0.0, 1.0], size=(n, n), p=[0.5, 0.5]), -1)
    return below + below.T


def plain_series(
    rng: np.random.RandomState,
    kind: str,
    n: int = 5,
    frames: int = 100,
    steps: int = 100,
    start_speed: float = 0.5,
    spring: float = 0.1,
    cap: float = 100.0,
    box: float = 5.0,
    dt: float = 0.001,
) -> Plain:
    """Draw and integrate one series of kind "location", "speed" or "connection", step by step."""
    before = after = connect(rng, n)
    x = rng.randn(2, n).T * 0.5
    v = rng.randn(2, n).T
    v = v * start_speed / np.sqrt(v[:, 0] ** 2 + v[:, 1] ** 2)[:, None]
    change = frames // 2 + int(15 * (2 * rng.rand() - 1))

    def accelerate(v: np.ndarray, x: np.ndarray, connected: np.ndarray) -> np.ndarray:
        stretch = x[:, None, :] - x[None, :, :]  # (receiver, sender, axis)
        force = (-spring * connected[:, :, None] * stretch).sum(axis=1)
        return v + dt * np.clip(force, -cap, cap)

    def reflect(x: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, v = np.where(x > box, 2 * box - x, x), np.where(x > box, -np.abs(v), v)
        return np.where(x < -box, -2 * box - x, x), np.where(x < -box, np.abs(v), v)

    x, v = reflect(x, v)
    v = accelerate(v, x, before)
    kept = []
    for i in range(1, frames * steps + 1):
        x = x + dt * v
        x, v = reflect(x, v)
        if i % steps == 0:
            kept.append(np.concatenate([x, v], axis=1))
        v = accelerate(v, x, after)
        if i == change * steps:
            if kind == "connection":
                after = connect(rng, n)
                while np.sum(after != before) < 2 * 6:
                    after = connect(rng, n)
            elif kind == "speed":
                v = v + rng.normal(0, 0.02, (2, n)).T
            else:
                x = x + rng.normal(0, 0.1, (2, n)).T
    return Plain(np.stack(kept), change - (kind == "connection"), before, after)


def plain_dataset(kind: str, count: int, seed: int, **options: float) -> list[Plain]:
    """Return `count` series from one stream, as the official script makes a data set."""
    rng = np.random.RandomState(seed)
    return [plain_series(rng, kind, **options) for _ in range(count)]
