"""Self-training in the plane: what the loss does to wrong pseudo labels and to the points near the boundary.

A linear score <w, x> without intercept; the pseudo label is its sign. Two classes of two blobs each: the gap
between the classes is the widest one, or, as a switch, the gap across them is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from msig_lib.theory import margin
from msig_lib.theory.checks import TheoryError


@dataclass(frozen=True)
class World:
    """Two classes in the plane, symmetric under x -> -x in distribution."""

    points: int = 200  # ours: enough for 0.5% steps of the share of wrong labels
    between: float = 1.6  # ours: half the distance between the classes
    within: float = 1.0  # ours: half the distance between the two blobs of a class
    spread: float = 0.35  # ours: standard deviation of a blob


def blobs(world: World, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return (points float64 [n, 2], labels -1 or 1 [n]); the first coordinate separates the classes."""
    label = np.where(np.arange(world.points) % 2 == 0, 1.0, -1.0)
    half = np.where(np.arange(world.points) // 2 % 2 == 0, 1.0, -1.0)
    centre = np.column_stack([label * world.between, half * world.within])
    return centre + world.spread * rng.standard_normal((world.points, 2)), label


def wrong_share(w: np.ndarray, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the share of points on the wrong side for each w [..., 2]."""
    return ((w @ points.T) * labels <= 0).mean(axis=-1)


def start_with_wrong(points: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    """Return the unit w, turned as little as possible from (1, 0), that has at least `share` wrong labels."""
    turns = np.radians(np.arange(0.0, 90.5, 0.5))
    w = np.column_stack([np.cos(turns), np.sin(turns)])
    enough = np.flatnonzero(wrong_share(w, points, labels) >= share)
    if not len(enough):
        raise TheoryError(f"no boundary within 90 degrees has {share:.0%} wrong labels; ask for at most 50%")
    return w[enough[0]]


def self_train(
    points: np.ndarray,
    start: np.ndarray,
    tau: float,
    *,
    rate: float = 0.5,
    steps: int = 400,
    detached: bool = True,
) -> np.ndarray:
    """Return w after each step of full-batch descent on the mean loss, float64 [steps + 1, 2]."""
    path = [np.asarray(start, dtype=np.float64)]
    for _ in range(steps):
        path.append(margin.step_shared(path[-1], points, tau, rate / len(points), detached=detached))
    return np.array(path)


def frozen_labels(
    points: np.ndarray, start: np.ndarray, *, rate: float = 0.5, steps: int = 400
) -> np.ndarray:
    """Return the path of descent on the logistic loss of the start's pseudo labels, never renewed."""
    side = np.sign(points @ start)
    path = [np.asarray(start, dtype=np.float64)]
    for _ in range(steps):
        force = -side * special.expit(-side * (points @ path[-1]))
        path.append(path[-1] - rate / len(points) * points.T @ force)
    return np.array(path)


def near_boundary(w: np.ndarray, points: np.ndarray, distance: float) -> np.ndarray:
    """Return the share of points closer than `distance` to the boundary of each w [..., 2]."""
    length = np.linalg.norm(w, axis=-1, keepdims=True)
    return (np.abs(w @ points.T) < distance * length).mean(axis=-1)


def mean_entropy(w: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the mean conditional entropy H(C | X) in nats for each w [..., 2] (Eq. 3.7 with its 1/N)."""
    return margin.entropy(w @ points.T).mean(axis=-1)
