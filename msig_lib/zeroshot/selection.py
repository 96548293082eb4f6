"""Which pseudo-labelled texts are trained on, in which batches, and what a round leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

KINDS = ("balanced", "confidence")


@dataclass(frozen=True)
class Round:
    """One self-training round: what the copy made at its start said, and what was trained on.

    For a pool of n texts and L classes: `labels` int64 (n,), `confidence` float32 (n,) = P of that label,
    `selected` int64 ascending rows, `class_counts` and `selected_counts` int64 (L,), `entropy` the mean of
    P over the pool in nats; `loss`, `t2l` and `t2g` means over the round's `steps` (NaN without steps);
    `generated` counts the conditional texts newly written. The last entry of a history has no steps: it is
    what the trained learner says.
    """

    labels: np.ndarray
    confidence: np.ndarray
    selected: np.ndarray
    class_counts: np.ndarray
    selected_counts: np.ndarray
    entropy: float
    steps: int = 0
    loss: float = float("nan")
    t2l: float = float("nan")
    t2g: float = float("nan")
    generated: int = 0


def check_schedule(schedule: Sequence[tuple[float, float]]) -> None:
    """Raise ValueError unless `schedule` is [(start, size), ...] with starts rising from 0 and below 1."""
    starts = [start for start, _ in schedule]
    if not starts or starts[0] != 0 or sorted(set(starts)) != starts or starts[-1] >= 1:
        raise ValueError(
            f"schedule starts at {starts} of the run, expected rising fractions from 0 to below 1"
        )
    if not all(0 < size for _, size in schedule):
        raise ValueError(f"schedule has the sizes {[size for _, size in schedule]}, expected them above 0")


def plan(
    schedule: Sequence[tuple[float, float]], steps: int, n_texts: int, n_labels: int
) -> list[tuple[int, int]]:
    """Return (steps, S_t) of every round that has steps: S_t texts a class, at least 1.

    `schedule` gives for each round the part of the run at which it starts, and S_t as a part of the mean
    number of pool texts a class.
    """
    bounds = [round(start * steps) for start, _ in schedule] + [steps]
    sizes = [max(1, round(size * n_texts / n_labels)) for _, size in schedule]
    return [(b - a, size) for a, b, size in zip(bounds, bounds[1:], sizes) if b > a]


def select(
    labels: np.ndarray, confidence: np.ndarray, per_class: int, n_labels: int, kind: str = "balanced"
) -> np.ndarray:
    """Return the rows to train on, int64 ascending; the lower row wins between equal confidences.

    "balanced" takes the `per_class` most confident of every pseudo label (section 3.4.4), all of a class that
    has fewer; "confidence" takes the `per_class` * `n_labels` most confident of all.
    """
    if kind not in KINDS:
        raise ValueError(f"selection is {kind!r}, expected {' or '.join(map(repr, KINDS))}")
    order = np.argsort(-confidence, kind="stable")
    if kind == "confidence":
        return np.sort(order[: per_class * n_labels])
    parts = [order[labels[order] == label][:per_class] for label in range(n_labels)]
    return np.sort(np.concatenate(parts))


def draw_batches(
    selected: np.ndarray,
    labels: np.ndarray,
    steps: int,
    per_class: int,
    n_labels: int,
    kind: str,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the rows of every step, int64 [steps, b].

    "balanced" gives `per_class` of every pseudo label that has a selected text: other classes have no text
    in the batch, only their prompt. "confidence" gives `per_class` * `n_labels` of all. Each group is gone
    through in shuffled passes, so that a group smaller than its share repeats texts.
    """
    if kind == "confidence":
        return _passes(selected, steps, per_class * n_labels, rng)
    groups = [selected[labels[selected] == label] for label in range(n_labels)]
    return np.concatenate([_passes(g, steps, per_class, rng) for g in groups if len(g)], axis=1)


def _passes(rows: np.ndarray, steps: int, each: int, rng: np.random.Generator) -> np.ndarray:
    passes = -(-steps * each // len(rows))
    order = rng.permuted(np.tile(rows, (passes, 1)), axis=1)
    return order.ravel()[: steps * each].reshape(steps, each)
