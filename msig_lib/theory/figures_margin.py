"""Figures of the margin chapter, each a function of tidy results; all return matplotlib figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from msig_lib.display import COLOURS, MUTED, style
from msig_lib.theory import margin, max_margin, self_training

MARKS = "osv^Dx"


def loss_and_slope(taus: Sequence[float]) -> list[Figure]:
    """Draw the loss for each temperature and its limit tau -> 0, then the slopes, Q live and held fixed."""
    d = np.linspace(-4, 4, 401)
    with style():
        first, ax = plt.subplots()
        for k, tau in enumerate(taus):
            ax.plot(d, margin.loss(d, tau), color=COLOURS[k], label=f"τ = {tau:g}")
        ax.plot(d, margin.sharp_loss(d), color=MUTED, ls="--", lw=1.2, label="τ → 0")
        ax.set(xlabel="score d", ylabel="loss (nats)")
        ax.legend()
        second, ax = plt.subplots()
        for k, tau in enumerate(taus):
            ax.plot(d, margin.slope(d, tau), color=COLOURS[k], label=f"τ = {tau:g}")
            ax.plot(d, margin.slope(d, tau, detached=True), color=COLOURS[k], ls=":")
        ax.axhline(0, color=MUTED, lw=1)
        ax.set(xlabel="score d", ylabel="dℓ/dd (dotted: Q fixed)")
        ax.legend()
    return [first, second]


def temperature_range(taus: np.ndarray, live: np.ndarray, held: np.ndarray) -> Figure:
    """Draw the share of scores d > 0 that one step pushes outwards, against the temperature."""
    with style():
        fig, ax = plt.subplots()
        ax.plot(taus, live, color=COLOURS[0], label="gradient through Q")
        ax.plot(taus, held, color=COLOURS[1], ls="--", label="Q held fixed")
        ax.axvspan(0, 1, color=MUTED, alpha=0.15, lw=0)
        ax.set(xlabel="temperature τ (shaded: the thesis's range)", ylabel="share of scores whose |d| grows")
        ax.legend()
    return fig


def directions(points: np.ndarray, arrows: Mapping[str, np.ndarray]) -> Figure:
    """Draw signed points and unit directions, each with its boundary through the origin."""
    with style():
        fig, ax = plt.subplots(figsize=(3.8, 3.4))
        reach = 1.25 * np.abs(points).max()
        ax.plot(points[:, 0], points[:, 1], "o", color=MUTED, ms=8)
        for k, (name, u) in enumerate(arrows.items()):
            across = np.array([-u[1], u[0]]) * 3 * reach
            ax.plot(
                [-across[0], across[0]],
                [-across[1], across[1]],
                color=COLOURS[k],
                lw=1.2,
                ls=("-", "--", ":")[k],
            )
            ax.annotate(
                "", u * reach * 0.6, (0, 0), arrowprops={"arrowstyle": "->", "color": COLOURS[k], "lw": 2}
            )
            ax.plot([], [], color=COLOURS[k], ls=("-", "--", ":")[k], label=name)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="z₁", ylabel="z₂")
        ax.legend(fontsize=8, loc="lower left")
    return fig


def rate(radii: np.ndarray, errors: Mapping[str, np.ndarray], gap: float, count: int) -> Figure:
    """Draw |w_B / B - u*| against the radius B for each loss, under our bound."""
    with style():
        fig, ax = plt.subplots()
        bound = [max_margin.direction_error_bound(b, gap, count) for b in radii]
        ax.loglog(radii, bound, color=MUTED, ls="--", label="bound of the theorem")
        for k, (name, values) in enumerate(errors.items()):
            ax.loglog(radii, np.maximum(values, 1e-9), color=COLOURS[k], marker=MARKS[k], ms=4, label=name)
        ax.set(xlabel="radius B", ylabel="distance of w_B / B to the SVM", ylim=(1e-4, 8))
        ax.legend(fontsize=8)
    return fig


def angle_of_descent(iterations: np.ndarray, degrees: Mapping[str, np.ndarray]) -> Figure:
    """Draw the angle to the hard-margin SVM against the iteration, log-log."""
    with style():
        fig, ax = plt.subplots(figsize=(4.8, 3.3))
        for k, (name, values) in enumerate(degrees.items()):
            ls = ("-", "--", ":")[k // 3]
            ax.loglog(iterations, np.maximum(values, 1e-3), color=COLOURS[k], ls=ls, label=name)
        ax.set(xlabel="iteration", ylabel="angle to the SVM (degrees)")
        ax.legend(fontsize=8)
    return fig


def self_training_frame(
    points: np.ndarray, labels: np.ndarray, start: np.ndarray, end: np.ndarray, title: str
) -> Figure:
    """Draw one frame of the explorer: the classes, the boundary before (dashed) and after (solid)."""
    with style():
        fig, ax = plt.subplots(figsize=(4.0, 3.3))
        for value, mark, colour in ((1.0, "o", COLOURS[0]), (-1.0, "s", COLOURS[1])):
            part = points[labels == value]
            ax.plot(part[:, 0], part[:, 1], mark, color=colour, ms=3, mew=0, alpha=0.8)
        wrong = (points @ end) * labels <= 0
        ax.plot(points[wrong, 0], points[wrong, 1], "x", color=COLOURS[3], ms=5, mew=1)
        for w, ls in ((start, "--"), (end, "-")):
            u = w / np.linalg.norm(w)
            ax.plot([-5 * u[1], 5 * u[1]], [5 * u[0], -5 * u[0]], color=MUTED, ls=ls, lw=1.6)
        ax.set(xlim=(-3.2, 3.2), ylim=(-2.6, 2.6), xlabel="x₁", ylabel="x₂", title=title)
    return fig


def wrong_after(before: Sequence[float], after: Mapping[str, np.ndarray]) -> Figure:
    """Draw the share of wrong pseudo labels after self-training against the share before."""
    with style():
        fig, ax = plt.subplots()
        ax.plot([0, 0.5], [0, 0.5], color=MUTED, lw=1, ls="--")
        for k, (name, values) in enumerate(after.items()):
            ax.plot(before, values, marker=MARKS[k], ms=4, color=COLOURS[k], label=name)
        ax.set(
            xlabel="wrong pseudo labels before", ylabel="wrong after", xlim=(-0.01, 0.51), ylim=(-0.02, 0.8)
        )
        ax.legend(fontsize=8, loc="upper left")
    return fig


def entropy_view(
    points: np.ndarray, path: np.ndarray, taus: Sequence[float], distance: float
) -> list[Figure]:
    """Draw along a self-training path: losses beside the entropy, then points near the boundary."""
    steps = np.arange(len(path))
    scores = path @ points.T
    with style():
        first, ax = plt.subplots()
        ax.plot(
            steps,
            self_training.mean_entropy(path, points),
            color=COLOURS[0],
            lw=3,
            alpha=0.5,
            label="entropy H(C | X)",
        )
        for k, tau in enumerate(taus):
            ax.plot(
                steps,
                margin.loss(scores, tau).mean(axis=1),
                color=COLOURS[k + 1],
                ls="--",
                label=f"loss, τ = {tau:g}",
            )
        ax.set(xlabel="step", ylabel="nats a text")
        ax.legend(fontsize=8)
        second, ax = plt.subplots()
        for k, (w, name) in enumerate(((path[0], "before"), (path[-1], "after"))):
            away = np.abs(points @ w) / np.linalg.norm(w)
            ax.hist(away, bins=np.linspace(0, 3, 25), color=COLOURS[k], alpha=0.55, label=name)
        ax.axvline(distance, color=MUTED, ls="--", lw=1)
        ax.set(xlabel="distance to the boundary", ylabel="points")
        ax.legend()
    return [first, second]
