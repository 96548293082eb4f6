"""Figures of the chapter's results, each a function of a table of `msig_lib.stats.measured.intervals`.

Shares and gains are 0..1 in the tables, per cent and points in the figures. Those of traces are in
`figures_traces`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from matplotlib.transforms import ScaledTranslation

from msig_lib.chartqa.figures_traces import (
    MARKS,
    WIDTH,
    known,
    name_lines,
    points,
    row_names,
    wrapped,
)
from msig_lib.display import COLOURS, MUTED, NEUTRAL, style
from msig_lib.display.marks import legend
from msig_lib.display.marks import log_ratios as training  # noqa: F401 (a figure of this chapter as well)
from msig_lib.display.tidy import checked_rows

FORMS = {"direct": "direct answer", "cot": "step by step"}
MODELS = {"format": "format only", "direct": "answers only", "cot": "traces only", "both": "answers + traces"}
"""What a reader sees for the four mixes of table 7.2; another name stands for itself."""
WINNERS = {  # words, marker, colour
    "outcome": ("right answers win", "o", COLOURS[0]),
    "checked": ("right traces win", "^", COLOURS[2]),
    "lucky": ("lucky traces win", "X", COLOURS[1]),
}
MUTED_LINES = {"one sample": ":", "any right": "--"}
PANELS = {"best of N": "best by ", "vote": "vote by "}


def mixes(
    frame: pd.DataFrame,
    thesis: Mapping[tuple[str, str], float] | None = None,
    names: Mapping[str, str] | None = None,
) -> Figure:
    """Draw accuracy of each model in both forms of prompt (table 7.2), the thesis's as hollow diamonds.

    `frame` has model, form ("direct" or "cot"), value in 0..1, and may have lo and hi; `thesis[model, form]` is a
    share as well, and left out for models that are not in the table. `names` says what a model is called.
    """
    whole = checked_rows(frame, ["model", "form", "value"], ["model", "form"], within={"value": 0})
    known(whole["form"], FORMS, "form")
    models, called = _models(whole, names)
    told = dict(thesis or {})
    known([key[1] for key in told], FORMS, "form of the thesis's values")
    known([key[0] for key in told], [*models, *MODELS, *(names or {})], "model of the thesis's values")
    if any(not 0 <= value <= 1 for value in told.values()):
        raise ValueError(f"the thesis's values {list(told.values())}; give shares, 0 to 1 (not per cent)")
    with style():
        fig, ax = plt.subplots(figsize=(WIDTH, 0.55 * len(models) + 1.2))
        for k, (form, words) in enumerate(FORMS.items()):
            rows = whole[whole["form"] == form]
            place = {model: row + 0.4 * (k - 0.5) for row, model in enumerate(models)}
            look = {"color": COLOURS[k], "marker": MARKS[k], "ls": "none"}
            if len(rows):
                points(ax, rows["model"].map(place), rows, across=True, label=words, **look)
            theirs = {model: told[model, form] for model in models if (model, form) in told}
            hollow = {"color": COLOURS[k], "mfc": "none", "ms": 8, "mew": 1.3}
            ax.plot([100 * v for v in theirs.values()], [place[m] for m in theirs], "D", **hollow)
        if any(model in models for model, _ in told):
            ax.plot([], [], "D", color=NEUTRAL, mfc="none", ms=7, mew=1.3, label="thesis")
        row_names(ax, [called[model] for model in models])
        ax.set_xlim(-2, 102)
        ax.set_xlabel("accuracy, per cent")
        legend(fig, [ax], ncols=3)
    return fig


def by_budget(frame: pd.DataFrame, names: Mapping[str, str] | None = None) -> Figure:
    """Draw accuracy against the share of the training's steps, a panel a form of prompt, a line a model.

    `frame` has model, form ("direct" or "cot"), budget in 0..1, value in 0..1, and may have lo and hi.
    """
    keys = ["model", "form", "budget"]
    whole = checked_rows(frame, [*keys, "value"], keys, within={"value": 0, "budget": 0})
    known(whole["form"], FORMS, "form")
    models, called = _models(whole, names)
    looks = _looks(models)
    forms = [form for form in FORMS if (whole["form"] == form).any()]
    ticks = sorted(set(whole["budget"]))
    with style():
        size = (WIDTH, 2.9 + 0.2 * -(-len(models) // 2))
        fig, axes = plt.subplots(1, len(forms), figsize=size, squeeze=False, sharey=True)
        aside = []
        for form, ax in zip(forms, axes[0]):
            for k, model in enumerate(models):
                rows = whole[(whole["form"] == form) & (whole["model"] == model)].sort_values("budget")
                if len(rows):
                    label = wrapped(called[model], 22)
                    drawn = points(ax, 100 * rows["budget"], rows, label=label, lw=1.5, **looks[model])
                    aside.append((ax, drawn, 1.5 * (k - (len(models) - 1) / 2)))
            ax.set_title(FORMS[form])
            ax.set_xticks([100 * tick for tick in ticks], [f"{100 * tick:g}" for tick in ticks])
            ax.margins(x=0.12)
        _move(fig, aside)
        axes[0, 0].set_ylabel("accuracy, per cent")
        fig.supxlabel("training, per cent of its steps", fontsize=10)
        legend(fig, axes[0], ncols=2)
    return fig


def gain_map(frame: pd.DataFrame, controls: pd.DataFrame | None = None) -> Figure:
    """Draw what pairs are worth against how pure their winners are, a panel a strength: the chapter's figure.

    `frame` has strength_accuracy (CoT accuracy of the model before), purity (winners whose every step is right)
    in 0..1, winners ("outcome", "checked", "lucky"), value (gain in accuracy, -1..1), and may have lo and hi.
    `controls` has strength_accuracy, control (its name), value, and may have lo and hi: a line and a band in the
    panel of the same strength.
    """
    keys = ["strength_accuracy", "winners"]
    within = {"strength_accuracy": 0, "value": -1}
    whole = checked_rows(frame, [*keys, "purity", "value"], keys, within={**within, "purity": 0})
    known(whole["winners"], WINNERS, "winners")
    lines = whole[:0].assign(control="")
    if controls is not None and len(controls):
        keys = ["strength_accuracy", "control"]
        lines = checked_rows(controls, [*keys, "value"], keys, within=within).dropna(subset="value")
    strengths = sorted({round(v, 6) for part in (whole, lines) for v in part["strength_accuracy"]})
    digits = 0 if len({f"{100 * value:.0f}" for value in strengths}) == len(strengths) else 1
    places = list(dict.fromkeys(lines["control"]))
    with style():
        size = (WIDTH, 1.95 * len(strengths) + 0.95)
        fig, axes = plt.subplots(len(strengths), 1, figsize=size, squeeze=False, sharex=True, sharey=True)
        for strength, ax in zip(strengths, axes[:, 0]):
            ax.axhline(0, color=NEUTRAL, lw=1)
            here = whole[whole["strength_accuracy"].round(6) == strength]
            for name, (words, marker, colour) in WINNERS.items():
                rows = here[(here["winners"] == name) & here["purity"].notna()]
                if len(rows):
                    look = {"color": colour, "marker": marker, "ms": 7, "ls": "none"}
                    points(ax, 100 * rows["purity"], rows, label=words, **look)
            ax.set_title(f"CoT accuracy before: {100 * strength:.{digits}f}%")
            ax.set_xlim(-5, 105)
        own = [lines[lines["strength_accuracy"].round(6) == strength] for strength in strengths]
        for ax, rows in zip(axes[:, 0], own):
            for row in rows.to_dict("records"):
                k = places.index(row["control"])
                look = {"color": COLOURS[(4, 5, 3)[k % 3]], "ls": ("--", ":", "-.")[k % 3]}
                ax.axhline(100 * row["value"], lw=1.6, **look)
                if np.isfinite([row["lo"], row["hi"]]).all():
                    ax.axhspan(100 * row["lo"], 100 * row["hi"], color=look["color"], alpha=0.13)
        for ax, rows in zip(axes[:, 0], own):
            name_lines(ax, dict(zip(rows["control"], 100 * rows["value"])))
        fig.supxlabel("winners whose every step is right, per cent", fontsize=10)
        fig.supylabel("gain in accuracy, points", fontsize=10)
        legend(fig, axes[:, 0], ncols=2)
    return fig


def verifier_curves(frame: pd.DataFrame, highlight: Collection[str] = ()) -> Figure:
    """Draw accuracy by the number of samples: best of N on the left, votes on the right (figure 7.5).

    `frame` has verifier ("best by RULE", "vote by RULE", "majority", "one sample", "any right": the names of
    `evaluate.curves`), n, value in 0..1, and may have lo and hi. A rule looks the same in both panels; "one sample"
    and "any right" are muted lines without bars in both. `highlight` are verifiers or rules drawn thicker.
    """
    whole = checked_rows(frame, ["verifier", "n", "value"], ["verifier", "n"], within={"value": 0})
    if (whole["n"] < 1).any():
        raise ValueError(f"n={whole['n'].min():g}; give numbers of samples, from 1")
    found = {name: _panel_rule(str(name)) for name in dict.fromkeys(whole["verifier"])}
    named = {name: rule for name, (panel, rule) in found.items() if panel}
    if isinstance(highlight, str):
        raise ValueError(f"highlight={highlight!r}; give a list of names")
    known(highlight, [*named, *dict.fromkeys(named.values())], "highlight")
    rules = list(dict.fromkeys(named.values()))
    looks = _looks(rules)
    panels = [panel for panel in PANELS if any(panel == where for where, _ in found.values())]
    panels = panels or ["best of N"]
    with style():
        entries = len(rules) + sum(name in found for name in MUTED_LINES)
        size = (WIDTH, 2.7 + 0.2 * -(-entries // 2))
        fig, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False, sharey=True)
        aside = []
        for panel, ax in zip(panels, axes[0]):
            for name, (where, rule) in found.items():
                rows = whole[whole["verifier"] == name].sort_values("n")
                if where == panel:
                    thick = name in highlight or rule in highlight
                    wide = {"lw": 2.6, "ms": 5.5} if thick else {"lw": 1.3, "ms": 4}
                    drawn = points(ax, rows["n"], rows, label=wrapped(rule, 22), **looks[rule], **wide)
                    aside.append((ax, drawn, rules.index(rule) - (len(rules) - 1) / 2))
                elif not where:
                    look = {"color": MUTED, "ls": MUTED_LINES[name], "lw": 1.6}
                    points(ax, rows["n"], rows, bars=False, label=name, **look)
            ax.set_title(panel)
            ax.set_xscale("log", base=2)
            ticks = sorted(set(whole["n"]))
            ax.set_xticks(ticks, [f"{n:g}" for n in ticks], fontsize=8)
            ax.xaxis.set_minor_locator(NullLocator())
        _move(fig, aside)
        axes[0, 0].set_ylabel("accuracy, per cent")
        fig.supxlabel("samples N", fontsize=10)
        legend(fig, axes[0], ncols=2, last=MUTED_LINES)
    return fig


def _panel_rule(name: str) -> tuple[str, str]:
    """Return the panel ("" for all) and the rule of a verifier; ValueError for a name that is none of theirs."""
    if name in MUTED_LINES or name == "majority":
        return ("" if name in MUTED_LINES else "vote"), name
    for panel, start in PANELS.items():
        if name.startswith(start):
            return panel, name.removeprefix(start)
    raise ValueError(
        f"verifier {name!r}; expected 'best by RULE', 'vote by RULE', 'majority', 'one sample' or 'any right'"
    )


def _models(frame: pd.DataFrame, names: Mapping[str, str] | None) -> tuple[list[str], dict[str, str]]:
    """Return the models, table 7.2's first, and what each is called."""
    found = list(dict.fromkeys(frame["model"]))
    order = [name for name in MODELS if name in found] + [name for name in found if name not in MODELS]
    called = {**MODELS, **(names or {})}
    return order, {name: called.get(name, str(name)) for name in order}


def _looks(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return colour, marker and dash of each line, no two alike."""
    return {
        name: {"color": COLOURS[k % 6], "marker": MARKS[k % 8], "ls": ("-", "--", ":")[k // 6 % 3]}
        for k, name in enumerate(names)
    }


def _move(fig: Figure, aside: Sequence[tuple[plt.Axes, list[Any], float]]) -> None:
    """Move artists sideways by some points, so that no bar hides another, once their data have set the limits."""
    for ax, _, _ in aside:
        ax.autoscale_view()
    for ax, drawn, by in aside:
        for artist in drawn:
            artist.set_transform(ax.transData + ScaledTranslation(by / 72, 0, fig.dpi_scale_trans))
