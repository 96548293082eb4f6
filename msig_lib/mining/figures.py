"""Figures of the chapter's results, each a function of a frame of `shown`.

Shares are 0..1 in the frames and per cent in the figures. Every figure is at most 4.2 inches wide, so that a phone
shows it whole; bars are 95% intervals over seeds and items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from matplotlib.transforms import ScaledTranslation

from msig_lib.display import COLOURS, MUTED, style
from msig_lib.display.marks import WIDTH, known, legend, points, row_names, wrapped
from msig_lib.display.tidy import checked_rows
from msig_lib.mining.shown import KNOWN, RECITED, WRONG

STORED = {  # words, marker, colour
    RECITED: ("continued from the passage", "s", COLOURS[1]),
    KNOWN: ("right when asked", "o", COLOURS[0]),
}
SOURCES = {
    "teacher": ("the teacher's pairs", "s", "--", COLOURS[1]),
    "miner": ("a miner's that learnt from it", "o", "-", COLOURS[0]),
    "agreed": ("the teacher's, agreed twice", "^", ":", COLOURS[2]),
}
"""Words, marker, dash and colour of who wrote the pairs."""
PANELS = {WRONG: "wrong pairs", KNOWN: "known facts"}


def scores(frame: pd.DataFrame, thesis: Mapping[tuple[str, str], float] | None = None) -> Figure:
    """Draw the normalised score of each arm, a panel a topic (table 5.1), the thesis's as hollow diamonds.

    `frame` has arm, topic, value in 0..1, and may have lo and hi; `thesis[arm, topic]` is a share as well (see
    `thesis.scores`), and left out for what is not in the table. ValueError for a table of another form, or for
    shares of the thesis that are none.
    """
    whole = checked_rows(frame, ["arm", "topic", "value"], ["arm", "topic"], within={"value": 0})
    told = dict(thesis or {})
    if any(not 0 <= value <= 1 for value in told.values()):
        raise ValueError(f"the thesis's values {list(told.values())}; give shares, 0 to 1 (not per cent)")
    arms, topics = (list(dict.fromkeys(whole[name])) for name in ("arm", "topic"))
    columns = min(len(topics), 2)
    lines = -(-len(topics) // columns)
    with style():
        size = (WIDTH, (0.27 * len(arms) + 0.45) * lines + 0.75)
        fig, axes = plt.subplots(lines, columns, figsize=size, squeeze=False, sharex=True, sharey=True)
        for topic, ax in zip(topics, axes.flat):
            rows = whole[whole["topic"] == topic]
            points(
                ax,
                rows["arm"].map(arms.index),
                rows,
                across=True,
                color=COLOURS[0],
                marker="o",
                ls="none",
                label="here",
            )
            theirs = {arms.index(arm): told[arm, topic] for arm in arms if (arm, topic) in told}
            if theirs:
                hollow = {"color": COLOURS[1], "mfc": "none", "ms": 6, "mew": 1.3, "ls": "none"}
                ax.plot(
                    [100 * value for value in theirs.values()], list(theirs), "D", label="thesis", **hollow
                )
            ax.set_title(topic)
            ax.set_xlim(-2, 102)
            row_names(ax, arms, 14)
        for ax in axes.flat[len(topics) :]:
            ax.set_axis_off()
        for ax in axes[-2, len(topics) - columns * (lines - 1) :] if lines > 1 else ():
            ax.tick_params(labelbottom=True)  # nothing is below
        fig.supxlabel("normalised score, per cent", fontsize=10)
        legend(fig, axes.flat, ncols=2)
    return fig


def known_and_recited(frame: pd.DataFrame) -> Figure:
    """Draw for each arm the facts that it continues from their passage, and those it knows when asked.

    The chapter's figure: what is stored is not yet what can be asked for. `frame` has arm, measure (`shown.RECITED` or
    `shown.KNOWN`), value in 0..1, and may have lo and hi.
    """
    keys = ["arm", "measure"]
    whole = checked_rows(frame, [*keys, "value"], keys, within={"value": 0})
    known(whole["measure"], STORED, "measure")
    arms = list(dict.fromkeys(whole["arm"]))
    with style():
        fig, ax = plt.subplots(figsize=(WIDTH, 0.42 * len(arms) + 1.2))
        for arm, rows in whole.groupby("arm", sort=False):
            ends = 100 * rows["value"].to_numpy(float)
            ax.hlines(arms.index(arm), ends.min(), ends.max(), colors=MUTED, lw=1, zorder=1)
        for k, (measure, (words, marker, colour)) in enumerate(STORED.items()):
            rows = whole[whole["measure"] == measure]
            if len(rows):
                at = rows["arm"].map(arms.index) + 0.12 * (2 * k - 1)
                points(ax, at, rows, across=True, color=colour, marker=marker, ls="none", ms=6, label=words)
        row_names(ax, arms, 20)
        ax.set_xlim(-2, 102)
        fig.supxlabel("facts of the passages, per cent", fontsize=10)
        legend(fig, [ax], ncols=2)
    return fig


def rewordings(frame: pd.DataFrame) -> Figure:
    """Draw known facts by the number of wordings of each passage; an arm with one number of them is a dashed line too.

    `frame` has arm, wordings (from 1), value in 0..1, and may have lo and hi.
    """
    keys = ["arm", "wordings"]
    whole = checked_rows(frame, [*keys, "value"], keys, within={"value": 0})
    if (whole["wordings"] < 1).any():
        raise ValueError(f"wordings={whole['wordings'].min():g}; give numbers of wordings, from 1")
    with style():
        fig, ax = plt.subplots(figsize=(WIDTH, 3.0))
        drawn = []
        for k, (arm, rows) in enumerate(whole.groupby("arm", sort=False)):
            rows, look = rows.sort_values("wordings"), {"color": COLOURS[k % 6], "marker": "os^DvP"[k % 6]}
            line = "-" if len(rows) > 1 else ("none", "--", ":", "-.")[k % 4]
            if len(rows) == 1 and line != "none":
                ax.axhline(100 * rows["value"].iloc[0], color=look["color"], ls=line, lw=1.3)
            drawn.append(points(ax, rows["wordings"], rows, ls=line, label=str(arm), **look))
        ax.set_xscale("log", base=2)
        ticks = sorted(set(whole["wordings"]))
        ax.set_xticks(ticks, [f"{n:g}" for n in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.margins(x=0.1)
        ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
        _aside(fig, ax, drawn)
        ax.set_xlabel("wordings of each passage")
        ax.set_ylabel("known facts, per cent")
        legend(fig, [ax], ncols=2)
    return fig


def errors(frame: pd.DataFrame) -> Figure:
    """Draw what a teacher's wrong answers do: the share of wrong pairs, and what a chatbot knows that learns from them.

    `frame` has measure (`shown.WRONG` or `shown.KNOWN`: a panel each), source ("teacher", "miner", "agreed": a line
    each), error (the teacher's share of wrong answers) and value in 0..1, and may have lo and hi.
    """
    keys = ["measure", "source", "error"]
    whole = checked_rows(frame, [*keys, "value"], keys, within={"value": 0, "error": 0})
    known(whole["measure"], PANELS, "measure")
    known(whole["source"], SOURCES, "source")
    panels = [measure for measure in PANELS if (whole["measure"] == measure).any()]
    ticks = sorted(set(whole["error"]))
    with style():
        fig, axes = plt.subplots(1, len(panels), figsize=(WIDTH, 3.2), squeeze=False)
        for measure, ax in zip(panels, axes[0]):
            drawn = []
            for source, (words, marker, dash, colour) in SOURCES.items():
                rows = whole[(whole["measure"] == measure) & (whole["source"] == source)].sort_values("error")
                if len(rows):
                    look = {"color": colour, "marker": marker, "ls": dash, "lw": 1.5}
                    drawn.append(points(ax, 100 * rows["error"], rows, label=words, **look))
            ax.set_title(PANELS[measure])
            ax.set_xticks([100 * tick for tick in ticks], [f"{100 * tick:g}" for tick in ticks])
            ax.margins(x=0.12)
            ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
            _aside(fig, ax, drawn)
        axes[0, 0].set_ylabel("per cent")
        fig.supxlabel("wrong answers of the teacher, per cent", fontsize=10)
        legend(fig, axes[0], ncols=1)
    return fig


def quality(frame: pd.DataFrame) -> Figure:
    """Draw how many of the sentences worth asking each miner finds a right pair for, a row a miner.

    `frame` has miner (its name), value in 0..1, and may have lo and hi.
    """
    whole = checked_rows(frame, ["miner", "value"], ["miner"], within={"value": 0})
    with style():
        lines = max(wrapped(name, 26).count("\n") + 1 for name in whole["miner"])
        fig, ax = plt.subplots(figsize=(WIDTH, max(0.42, 0.17 * lines + 0.08) * len(whole) + 0.9))
        points(ax, np.arange(len(whole)), whole, across=True, color=COLOURS[0], marker="o", ls="none")
        row_names(ax, whole["miner"], 26)
        ax.set_xlim(-2, 102)
        # Centred on the figure: beside long names the axes are narrower than this label.
        fig.supxlabel("sentences worth asking with a right pair, %", fontsize=9.5)
    return fig


def _aside(fig: Figure, ax: plt.Axes, drawn: Sequence[list[Any]]) -> None:
    """Move lines sideways by some points, so that no bar hides another, once their data have set the limits."""
    ax.autoscale_view()
    for k, artists in enumerate(drawn):
        for artist in artists:
            by = 2.0 * (k - (len(drawn) - 1) / 2)
            artist.set_transform(ax.transData + ScaledTranslation(by / 72, 0, fig.dpi_scale_trans))
