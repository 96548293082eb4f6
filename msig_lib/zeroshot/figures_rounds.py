"""Figures of what self-training does round by round, and of how far its confidence can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from msig_lib.display import COLOURS, MUTED, NEUTRAL, style
from msig_lib.zeroshot.figures_vectors import cells, square

RIGHT, WRONG = COLOURS[0], COLOURS[1]


def reliability(frames: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw accuracy against mean confidence, one line a variant, with 95% intervals (`calibration.reliability`).

    Below the diagonal a model is overconfident.
    """
    with style():
        fig, ax = plt.subplots(figsize=(4.4, 3.8))
        ax.plot([0, 100], [0, 100], "--", color=MUTED, lw=1.2, label="calibrated")
        for k, (name, frame) in enumerate(frames.items()):
            y = 100 * frame["accuracy"].to_numpy()
            error = np.abs(100 * frame[["lo", "hi"]].to_numpy().T - y)
            ax.errorbar(
                100 * frame["confidence"],
                y,
                error,
                marker="osD^v"[k % 5],
                ms=4,
                lw=1.3,
                color=COLOURS[k % len(COLOURS)],
                label=name,
            )
        ax.set(xlabel="mean confidence of the bin, per cent", ylabel="right, per cent", xlim=(0, 102))
        ax.set_ylim(0, 102)
        fig.legend(loc="outside upper center", ncols=2)
    return fig


def confusion_pairs(pairs: pd.DataFrame, class_names: Sequence[str], *, n: int = 5) -> Figure:
    """Draw how many texts of a class hold another's pseudo label, round by round, for the largest wrong pairs.

    `pairs` is `evaluate.confusion_over_rounds`; the `n` pairs that grew most are drawn, named
    "true class → pseudo label".
    """
    rounds = [column for column in pairs.columns if isinstance(column, int | np.integer)]
    if not rounds or n < 1:
        raise ValueError(f"{len(rounds)} rounds and n={n}; give evaluate.confusion_over_rounds and n from 1")
    shown = pairs.head(n)
    with style():
        fig, ax = plt.subplots(figsize=(4.8, 2.5 + 0.18 * len(shown)))
        for k, (_, row) in enumerate(shown.iterrows()):
            name = f"{class_names[int(row['true'])]} → {class_names[int(row['predicted'])]}"
            counts = [row[t] for t in rounds]
            ax.plot(rounds, counts, marker="osD^v"[k % 5], ms=4, color=COLOURS[k % len(COLOURS)], label=name)
        ax.set_xticks(rounds)
        ax.set(xlabel="round", ylabel="wrongly labelled texts")
        ax.set_ylim(bottom=0)
        fig.legend(loc="outside upper left", ncols=1)
    return fig


def flips(frame: pd.DataFrame) -> Figure:
    """Draw what each round mends and breaks in the pseudo labels as bars up and down (`evaluate.flips`)."""
    later = frame[frame["round"] > 0]
    with style():
        fig, ax = plt.subplots(figsize=(4.4, 2.9))
        ax.bar(later["round"], later["wrong_to_right"], 0.6, color=RIGHT, label="wrong to right")
        ax.bar(later["round"], -later["right_to_wrong"], 0.6, color=WRONG, label="right to wrong")
        net = later["wrong_to_right"] - later["right_to_wrong"]
        ax.plot(later["round"], net, "_", color=NEUTRAL, ms=18, mew=2, label="net")
        ax.axhline(0, color=NEUTRAL, lw=0.8)
        ax.set_xticks(later["round"])
        ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        ax.set(xlabel="round", ylabel="pool texts")
        fig.legend(loc="outside upper center", ncols=3)
    return fig


def round_frame(
    counts: npt.ArrayLike,
    class_names: Sequence[str],
    *,
    title: str = "",
    selected: npt.ArrayLike | None = None,
) -> Figure:
    """Draw the pseudo labels of one round as a confusion matrix: right ones blue, wrong ones orange.

    `counts` int [L, L] (`evaluate.confusion`) by true class (row) and pseudo label (column); a cell's density
    grows with its share of the row. `selected` int [L, L] are the counts of the rows trained on. Title lines
    tell how many of each are right.
    """
    found = square(counts, class_names, "counts")
    n = len(class_names)
    colours = np.empty((n, n, 3))
    colours[:] = to_rgb(WRONG)
    colours[np.arange(n), np.arange(n)] = to_rgb(RIGHT)
    lines = [title] if title else []
    right, total = int(found.trace()), int(found.sum())
    lines.append(f"{right:,} right, {total - right:,} wrong ({right / max(total, 1):.1%} right)")
    if selected is not None:
        taken = square(selected, class_names, "selected")
        right, of = int(taken.trace()), int(taken.sum())
        lines.append(f"trained on {of:,}: {of - right:,} wrong ({right / max(of, 1):.1%} right)")
    with style(axes__grid=False):
        shares = found / np.maximum(found.sum(axis=1, keepdims=True), 1)
        fig, ax = cells(
            shares, class_names, colours, lambda i, j: f"{found[i, j]:.0f}" if found[i, j] else ""
        )
        ax.set_title("\n".join(lines))
        ax.set(xlabel="pseudo label", ylabel="true class")
    return fig
