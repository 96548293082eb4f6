"""Figures of chapter 6's judges and captions: versions of the judge, confusion of two, captions by training size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from msig_lib.display import COLOURS, style
from msig_lib.display.marks import WIDTH, apart, known, legend, looks, points, row_names, wrapped
from msig_lib.display.tidy import checked_rows
from msig_lib.videoqa.figures import DOMAINS

MEASURES = {  # of captions: title, what the axis says, factor
    "rating": ("rating by the thesis's scale", "0 to 6", 1),
    "coverage": ("the scene's claims that it has", "per cent", 100),
    "invented": ("false claims", "a caption", 1),
}
SCORES = (1, 2, 3, 4, 5)
INK = 0.75  # opacity of a cell with everything in it: the number stays readable on light and dark pages


def judges(frame: pd.DataFrame, names: Mapping[str, str] | None = None, title: str = "") -> Figure:
    """Draw the accuracy that each judge gives to each model, a row a judge, a line a model (table 11.1).

    `frame` has judge, model and value in 0..1, and may have lo and hi. Where no two lines cross, all judges rank the
    models alike. `names` says what a model is called.
    """
    whole = checked_rows(frame, ["judge", "model", "value"], ["judge", "model"], within={"value": 0})
    rows, models = (list(dict.fromkeys(whole[name])) for name in ("judge", "model"))
    look = looks(models)
    with style():
        fig, ax = plt.subplots(figsize=(WIDTH, 0.55 * len(rows) + 1.3 + 0.2 * -(-len(models) // 2)))
        for k, model in enumerate(models):
            own = whole[whole["model"] == model].sort_values("judge", key=lambda names: names.map(rows.index))
            at = own["judge"].map(rows.index) + 0.09 * (k - (len(models) - 1) / 2)
            called = (names or {}).get(model, model)
            points(ax, at, own, across=True, label=wrapped(called, 32), lw=1.2, **look[model])
        row_names(ax, rows)
        ax.set_xlabel("accuracy, per cent")
        ax.set_title(title)
        legend(fig, [ax], ncols=2)
    return fig


def confusion(frame: pd.DataFrame, names: Mapping[str, str] | None = None) -> Figure:
    """Draw how often the caption judge gives a score where the clip's judge gives another, a square a case.

    `frame` has case, given and frames (scores 1 to 5) and value, the share of all answers of the case; cells that are
    not in the table are empty. Bold lines part the scores that count as right from the others.
    """
    keys = ["case", "given", "frames"]
    whole = checked_rows(frame, [*keys, "value"], keys, within={"value": 0})
    for name in ("given", "frames"):
        if not set(whole[name]) <= set(SCORES):
            raise ValueError(f"{name} has {sorted(set(whole[name]) - set(SCORES))}; give scores 1 to 5")
    cases = list(dict.fromkeys(whole["case"]))
    columns = min(2, len(cases))
    lines = -(-len(cases) // columns)
    with style(axes__grid=False):
        size = (WIDTH, (2.3 if columns > 1 else 3.6) * lines + 0.4)
        fig, axes = plt.subplots(lines, columns, figsize=size, squeeze=False)
        for ax in axes.flat[len(cases) :]:
            ax.set_axis_off()
        for case, ax in zip(cases, axes.flat):
            for row in whole[whole["case"] == case].itertuples():
                if not np.isfinite(row.value):
                    continue
                corner = (row.frames - 0.5, row.given - 0.5)
                ax.add_patch(Rectangle(corner, 1, 1, color=COLOURS[0], alpha=INK * row.value, lw=0))
                text = f"{100 * row.value:.0f}" if 0.005 <= row.value else "·" if row.value else ""
                ax.text(row.frames, row.given, text, ha="center", va="center", fontsize=8.5)
            ax.axhline(2.5, color=COLOURS[5], lw=1.6)
            ax.axvline(2.5, color=COLOURS[5], lw=1.6)
            ax.set(xlim=(0.5, 5.5), ylim=(0.5, 5.5), xticks=SCORES, yticks=SCORES, aspect="equal")
            ax.set_title(wrapped((names or {}).get(case, case), 24), fontsize=9)
        fig.supxlabel("score by the clip", fontsize=10)
        fig.supylabel("score by the caption", fontsize=10)
    return fig


def caption_quality(frame: pd.DataFrame) -> Figure:
    """Draw how good captions are against the number that a model was pre-trained on (figure 11.2), a panel a measure.

    `frame` has measure (a key of `MEASURES`), size (captions, above 0), domain ("in", "out") and value, and may have
    lo and hi.
    """
    keys = ["measure", "size", "domain"]
    whole = checked_rows(frame, [*keys, "value"], keys)
    known(whole["measure"], MEASURES, "measure")
    known(whole["domain"], DOMAINS, "domain")
    if (whole["size"] <= 0).any():
        raise ValueError(f"size={whole['size'].min():g}; give numbers of captions, above 0")
    shares = whole.loc[whole["measure"] == "coverage", "value"].dropna()
    if not shares.between(0, 1).all():
        raise ValueError(f"coverage from {shares.min():g} to {shares.max():g}; give shares, 0 to 1")
    measures = [name for name in MEASURES if (whole["measure"] == name).any()]
    look = looks(list(DOMAINS))
    with style():
        size = (WIDTH, 1.6 * len(measures) + 0.9)
        fig, axes = plt.subplots(len(measures), 1, figsize=size, squeeze=False, sharex=True)
        moved = []
        for measure, ax in zip(measures, axes[:, 0]):
            title, unit, scale = MEASURES[measure]
            for k, (domain, words) in enumerate(DOMAINS.items()):
                rows = whole[(whole["measure"] == measure) & (whole["domain"] == domain)].sort_values("size")
                if len(rows):
                    drawn = points(ax, rows["size"], rows, scale=scale, label=words, **look[domain])
                    moved.append((ax, drawn, 2.0 * (k - 0.5)))
            ax.set_title(title)
            ax.set_ylabel(unit)
            ax.set_xscale("log")
        ticks = sorted(set(whole["size"]))
        axes[-1, 0].set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
        axes[-1, 0].minorticks_off()
        apart(fig, moved)
        fig.supxlabel("captions it was pre-trained on", fontsize=10)
        legend(fig, axes[:, 0], ncols=2)
    return fig
