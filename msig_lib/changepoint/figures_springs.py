"""Figures of series themselves: particles, springs, sensor windows, and scores and graphs over time.

Every function takes plain arrays and returns a matplotlib figure of at most 5.2 inches (a wider one scrolls on
a phone). Frames count from 0; `change_time` is the first frame after the change and -1 where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from msig_lib.display import COLOURS, MUTED, NEUTRAL, style

BOX = 5.0  # half the side of the particles' box, official code
SPRING_WIDTH = 3.2  # points, of a spring and of a probability of 1
KEPT, NEW, ABSENT = COLOURS[0], COLOURS[1], COLOURS[3]
WIDTH = 5.2  # inches

SCORES = {
    "correlation": "correlation s_r",
    "independent": "independent s_d",
    "ensemble": "ensemble s_en",
}
"""What a reader sees for each score of the method; another name stands for itself."""


def trajectories(
    actual: npt.ArrayLike,
    counterfactual: npt.ArrayLike | None = None,
    change_time: int = -1,
    *,
    box: float = BOX,
) -> Figure:
    """Draw the particles' paths and their x and y over time (figures 9.5 to 9.7).

    `actual` and `counterfactual` float [T, N, M], features 0 and 1 the location in box units, at most 6
    particles. Solid is observed, dashed what would have been without the change (from the last frame before
    it); rings and a vertical line mark the change. The view is as wide as the paths, walls at +-`box` show where
    they come near.
    """
    found = particles(actual, "actual")
    start = max(checked_change(change_time, len(found)) - 1, 0)
    other = None if counterfactual is None else particles(counterfactual, "counterfactual")
    if other is not None and other.shape != found.shape:
        raise ValueError(f"counterfactual has shape {other.shape}, expected actual's, {found.shape}")
    time = np.arange(len(found))
    with style():
        fig, axes = plt.subplot_mosaic(
            [["paths", "x"], ["paths", "y"]], figsize=(WIDTH, 3.1), width_ratios=[1.25, 1]
        )
        draw_paths(axes["paths"], found, change_time, box, other)
        for k, name in enumerate("xy"):
            for i in range(found.shape[1]):
                axes[name].plot(time, found[:, i, k], color=COLOURS[i], lw=1.3)
                if other is not None:
                    axes[name].plot(time[start:], other[start:, i, k], "--", color=COLOURS[i], lw=1.2)
            mark_change(axes[name], change_time)
            axes[name].set(ylabel=f"{name}, box units", xlim=(0, len(found) - 1))
        axes["x"].tick_params(labelbottom=False)
        axes["y"].set_xlabel("frame")
        shown = [Line2D([], [], color=NEUTRAL, lw=1.3, label="observed")]
        if other is not None:
            shown.append(Line2D([], [], color=NEUTRAL, ls="--", lw=1.2, label="expected without the change"))
        if change_time >= 0:
            shown.append(Line2D([], [], color=NEUTRAL, ls=":", marker="o", mfc="none", label="change"))
        fig.legend(handles=shown, loc="outside upper center", ncols=3)
    return fig


def graphs(
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    estimated_before: npt.ArrayLike | None = None,
    estimated_after: npt.ArrayLike | None = None,
) -> Figure:
    """Draw the springs before and after a change (figure 9.1) and the model's probabilities of them below.

    `before`, `after` [N, N], nonzero where particles are connected; the estimates are probabilities [N, N] in
    0..1, the mean of the two directions is drawn as a line's width and opacity. Colours tell the truth of that
    panel in both rows: a spring, a new spring, and, of the estimate, no spring there; dots are springs lost.
    """
    truth = [_square(graph, name) > 0 for graph, name in ((before, "before"), (after, "after"))]
    estimates: list[np.ndarray | None] = [None, None]
    for k, (graph, name) in enumerate(
        ((estimated_before, "estimated_before"), (estimated_after, "estimated_after"))
    ):
        if graph is not None:
            estimates[k] = values = _square(graph, name)
            if not np.all((values >= 0) & (values <= 1)):
                raise ValueError(f"{name} has values from {values.min():g} to {values.max():g}; give 0 to 1")
    if len({graph.shape for graph in (*truth, *estimates) if graph is not None}) > 1:
        raise ValueError("the graphs are of different numbers of particles; give [N, N] of one N")
    rows = 1 + any(graph is not None for graph in estimates)
    with style():
        fig, axes = plt.subplots(rows, 2, figsize=(4.2, 2.0 * rows + 0.5), squeeze=False)
        for k, name in enumerate(("before", "after")):
            lost = truth[0] & ~truth[1] if k else np.zeros_like(truth[0])
            colours = np.where(truth[k], np.where(truth[0] | (k == 0), KEPT, NEW), ABSENT)
            axes[0, k].set_title(f"springs {name}")
            _network(axes[0, k], truth[k].astype(float), colours, lost)
            if rows > 1:
                axes[1, k].set_axis_off()
            estimate = estimates[k]
            if estimate is not None:
                axes[1, k].set_title(f"model, {name}")
                _network(axes[1, k], estimate, colours, np.zeros_like(lost))
        shown = [Line2D([], [], color=KEPT, lw=SPRING_WIDTH, label="spring")]
        if np.any(truth[1] & ~truth[0]):
            shown.append(Line2D([], [], color=NEW, lw=SPRING_WIDTH, label="new spring"))
        if np.any(truth[0] & ~truth[1]):
            shown.append(Line2D([], [], color=MUTED, ls=":", lw=1.5, label="lost spring"))
        if rows > 1:
            shown.append(Line2D([], [], color=ABSENT, lw=SPRING_WIDTH, label="no spring there"))
        fig.legend(handles=shown, loc="outside lower center", ncols=2)
    return fig


def scores_over_time(
    scores: Mapping[str, npt.ArrayLike] | Mapping[str, Mapping[str, npt.ArrayLike]],
    change_time: int | Mapping[str, int],
    *,
    evaluated: tuple[int, int] | None = None,
    names: Mapping[str, str] = SCORES,
    label: str = "score, z",
) -> Figure:
    """Draw scores over time, a row a score and a column a series (figure 9.4), with the change as a line.

    `scores[series][score]` float [T], or `scores[score]` for one series; `change_time[series]` likewise. A
    ring is the highest score, of the frames `evaluated` (first, last + 1) if given; the others are shaded.
    """
    nested = {name: value for name, value in scores.items() if isinstance(value, Mapping)}
    series = nested if nested else {"": scores}
    if not scores or len(nested) not in (0, len(scores)) or not all(series.values()):
        raise ValueError("no scores to draw, or mixed ones: give {score: [T]} or {series: {score: [T]}}")
    rows = list(dict.fromkeys(name for found in series.values() for name in found))
    with style():
        fig, axes = plt.subplots(
            len(rows),
            len(series),
            figsize=(WIDTH if len(series) > 1 else 4.2, 0.85 * len(rows) + 0.9),
            squeeze=False,
            sharex="col",
            sharey="row",
        )
        for (kind, found), column in zip(series.items(), axes.T):
            if isinstance(change_time, Mapping) and kind not in change_time:
                raise ValueError(f"change_time has no {kind!r}; it has {list(change_time)}")
            change = change_time[kind] if isinstance(change_time, Mapping) else change_time
            column[0].set_title(kind)
            for name, ax in zip(rows, column):
                if name in found:
                    draw_score(ax, np.asarray(found[name], dtype=float), change, evaluated)
            column[-1].set_xlabel("frame")
        for name, ax in zip(rows, axes[:, 0]):
            ax.set_ylabel(names.get(name, name).replace(" ", "\n"), fontsize=9)
        fig.supylabel(label, fontsize=9)
    return fig


def series_panel(
    window: npt.ArrayLike,
    change_time: int,
    *,
    variables: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    seconds_per_frame: float | None = None,
    transition: tuple[str, str] | None = None,
) -> Figure:
    """Draw a window of a real series: a panel a variable, its features below each other, the change as a line.

    `window` float [T, N, M], each channel drawn standardised over the window (a constant one is flat, a
    NaN is a gap) and shifted by 5 standard deviations a channel; `transition` names the activities before and after.
    """
    x = np.asarray(window, dtype=float)
    if x.ndim != 3 or 0 in x.shape:
        raise ValueError(f"window has shape {x.shape}, expected [frames, variables, features]")
    frames, n, m = x.shape
    checked_change(change_time, frames)
    of = [
        _names(variables, n, "variables", "variable"),
        _names(features, m, "features", "feature"),
    ]
    step = 1.0 if seconds_per_frame is None else seconds_per_frame
    if step <= 0:
        raise ValueError(f"seconds_per_frame={step}; give the time between two frames, above 0")
    known = np.ma.masked_invalid(x)
    mean, spread = known.mean(axis=0).filled(0), known.std(axis=0).filled(0)
    flat = (x - mean) / np.where(spread > 0, spread, 1)
    columns = min(n, 3)
    rows = -(-n // columns)
    with style():
        fig, axes = plt.subplots(
            rows,
            columns,
            figsize=(WIDTH if columns > 1 else 4.2, rows * max(0.24 * m + 0.35, 0.9) + 0.75),
            squeeze=False,
            sharex=True,
            sharey=True,
        )
        for ax in axes.flat[n:]:
            ax.set_axis_off()
        for i, ax in enumerate(axes.flat[:n]):
            for k in range(m):
                ax.plot(step * np.arange(frames), flat[:, i, k] - 5 * k, color=COLOURS[k % 6], lw=1.1)
            mark_change(ax, step * change_time)
            ax.set_title(of[0][i])
            ax.set_xlim(0, step * (frames - 1))
            if i + columns >= n:
                ax.tick_params(labelbottom=True)
        axes[0, 0].set_yticks(-5 * np.arange(m), of[1])
        fig.supxlabel("frame" if seconds_per_frame is None else "time, s", fontsize=10)
        fig.supylabel("standardised channels", fontsize=10)
        if transition is not None:
            fig.suptitle(" → ".join(transition), fontsize=10.5)
    return fig


def graph_over_time(
    graph: npt.ArrayLike,
    edge_names: Sequence[str],
    change_time: int = -1,
    true: npt.ArrayLike | None = None,
    *,
    label: str = "probability of a connection",
) -> Figure:
    """Draw the probability of every edge at every frame as a map, above it the true graph where given.

    `graph` float [T, E] in 0..1 (NaN is left empty), `edge_names` E texts from the top row down, `true` [T, E]
    in 0..1. Denser blue is more probable; the page shows through at 0.
    """
    maps = {"model": np.asarray(graph, dtype=float)}
    if true is not None:
        maps = {"true": np.asarray(true, dtype=float), **maps}
    frames, edges = maps["model"].shape if maps["model"].ndim == 2 else (0, 0)
    for name, values in maps.items():
        if not frames or values.shape != (frames, len(edge_names)):
            raise ValueError(
                f"{name} graph has shape {values.shape} for {len(edge_names)} edge names; expected [T, E]"
            )
        if not np.all((np.nan_to_num(values) >= 0) & (np.nan_to_num(values) <= 1)):
            raise ValueError(f"{name} graph has values outside 0..1; give probabilities, not logits")
    checked_change(change_time, frames)
    rgb = to_rgb(COLOURS[0])
    density = LinearSegmentedColormap.from_list("density", [(*rgb, 0.0), (*rgb, 0.95)])
    every = -(-edges // 30)  # names that fit
    with style(axes__grid=False):
        height = len(maps) * min(max(0.14 * edges, 1.0), 4.0) + 1.0
        fig, axes = plt.subplots(len(maps), 1, figsize=(4.8, height), squeeze=False, sharex=True)
        for (name, values), ax in zip(maps.items(), axes[:, 0]):
            image = ax.imshow(values.T, cmap=density, vmin=0, vmax=1, aspect="auto")
            mark_change(ax, change_time if change_time < 0 else change_time - 0.5)
            ax.set_yticks(range(0, edges, every), list(edge_names)[::every], fontsize=8)
            ax.set_ylabel("edge")
            if len(maps) > 1:
                ax.set_title(name)
        axes[-1, 0].set_xlabel("frame")
        fig.colorbar(image, ax=axes[:, 0], label=label, fraction=0.05, shrink=0.8)
    return fig


def peak(score: npt.ArrayLike, evaluated: tuple[int, int] | None = None) -> int:
    """Return the frame of the highest score among frames evaluated[0] to evaluated[1] - 1 (default: all)."""
    values = np.asarray(score, dtype=float)
    first, stop = evaluated or (0, len(values))
    if not 0 <= first < stop <= len(values) or not np.isfinite(values[first:stop]).any():
        raise ValueError(
            f"no finite score in frames {first} to {stop - 1} of {len(values)}; give evaluated=(first, "
            "last + 1) within the series"
        )
    return first + int(np.nanargmax(values[first:stop]))


def mark_change(ax: plt.Axes, change_time: float) -> None:
    """Draw a dotted vertical line at `change_time`, nothing where it is negative."""
    if change_time >= 0:
        ax.axvline(change_time, color=NEUTRAL, ls=":", lw=1.4)


def checked_change(change_time: int, frames: int) -> int:
    """Return `change_time` when it is a frame or -1; raises ValueError otherwise."""
    if not -1 <= change_time < frames:
        raise ValueError(
            f"change_time={change_time} in a series of {frames} frames; give 0 to {frames - 1}, "
            "or -1 where there is no change"
        )
    return int(change_time)


def draw_paths(
    ax: plt.Axes, found: np.ndarray, change_time: int, box: float, other: np.ndarray | None = None
) -> None:
    start = max(checked_change(change_time, len(found)) - 1, 0)
    for i in range(found.shape[1]):
        ax.plot(*found[:, i, :2].T, color=COLOURS[i], lw=1.3)
        if other is not None:
            ax.plot(*other[start:, i, :2].T, "--", color=COLOURS[i], lw=1.2)
        ax.annotate(str(i + 1), found[-1, i, :2], xytext=(2, 2), textcoords="offset points", fontsize=8)
    if change_time >= 0:
        ax.plot(*found[change_time, :, :2].T, "o", color=NEUTRAL, mfc="none", ms=5, mew=1)
    ax.plot([-box, box, box, -box, -box], [-box, -box, box, box, -box], color=MUTED, lw=1)
    shown = [part[..., :2].reshape(-1, 2) for part in (found, other) if part is not None]
    low, high = np.nanmin(np.vstack(shown), axis=0), np.nanmax(np.vstack(shown), axis=0)
    half = 0.55 * max(*(high - low), 0.2)
    middle = (low + high) / 2
    ax.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    ax.set(xlabel="x, box units", ylabel="y, box units", aspect="equal")
    ax.grid(visible=False)


def draw_score(ax: plt.Axes, score: np.ndarray, change_time: int, evaluated: tuple[int, int] | None) -> None:
    checked_change(change_time, len(score))
    top = peak(score, evaluated)
    ax.plot(np.arange(len(score)), score, color=COLOURS[0], lw=1.3)
    ax.plot(top, score[top], "o", color=COLOURS[1], mfc="none", ms=6, mew=1.5)
    if evaluated is not None:
        for span in ((0, evaluated[0]), (evaluated[1] - 1, len(score) - 1)):
            ax.axvspan(*span, color=MUTED, alpha=0.1, lw=0)
    mark_change(ax, change_time)
    ax.margins(y=0.15)
    ax.set_xlim(0, len(score) - 1)


def _network(ax: plt.Axes, weights: np.ndarray, colours: np.ndarray, lost: np.ndarray) -> None:
    n = len(weights)
    angle = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    place = np.column_stack([np.cos(angle), np.sin(angle)])
    for i in range(n):
        for j in range(i):
            ends, weight = place[[j, i]].T, (weights[i, j] + weights[j, i]) / 2
            if lost[i, j]:
                ax.plot(*ends, ":", color=MUTED, lw=1.5)
            elif weight >= 0.01:
                width = SPRING_WIDTH * weight
                ax.plot(*ends, color=colours[i, j], lw=width, alpha=weight, solid_capstyle="round")
        ax.plot(*place[i], "o", color=COLOURS[i % 6], mec=NEUTRAL, mew=0.8, ms=9, zorder=3)
        ax.text(*1.27 * place[i], str(i + 1), ha="center", va="center", fontsize=9)
    ax.set(xlim=(-1.45, 1.45), ylim=(-1.4, 1.4), aspect="equal")
    ax.set_axis_off()


def particles(values: npt.ArrayLike, what: str) -> np.ndarray:
    x = np.asarray(values, dtype=float)
    if x.ndim != 3 or len(x) < 2 or not 1 <= x.shape[1] <= len(COLOURS) or x.shape[2] < 2:
        raise ValueError(
            f"{what} has shape {x.shape}; expected [frames, particles, features] with 2 frames or more, at "
            f"most {len(COLOURS)} particles and the location as features 0 and 1"
        )
    return x


def _square(values: npt.ArrayLike, what: str) -> np.ndarray:
    x = np.array(values, dtype=float)
    if x.ndim != 2 or x.shape[0] != x.shape[1] or len(x) < 2:
        raise ValueError(f"{what} has shape {x.shape}, expected a square [N, N] of at least 2 particles")
    np.fill_diagonal(x, 0)
    return x


def _names(given: Sequence[str] | None, n: int, what: str, one: str) -> list[str]:
    names = [f"{one} {k + 1}" for k in range(n)] if given is None else list(given)
    if len(names) != n:
        raise ValueError(f"{len(names)} names of {what} for {n}; give one each")
    return names
