"""Figures of chapter 6's models: evidence and its errors, tables 6.2 and 6.3, training steps, ranker and generator.

Each is a function of a table of `msig_lib.stats.measured.intervals`; those of judges and captions are in
`figures_judges`. Shares and gains are 0..1 in the tables, per cent and points in the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from msig_lib.display import COLOURS, MUTED, NEUTRAL, style
from msig_lib.display.marks import WIDTH, apart, known, legend, looks, points, row_names, wrapped
from msig_lib.display.tidy import checked_rows

KINDS = {"hallucination": "hallucinations", "omission": "omissions", "both": "both"}
DOMAINS = {"in": "in the domain", "out": "out of the domain"}
AFTER = {"sft": ("SFT", COLOURS[0], "o"), "dpo": ("DPO", COLOURS[1], "s")}
DECODED = {"sft greedy": "SFT, greedy", "dpo greedy": "DPO, greedy"}
RULES = {"dpo ratio": "DPO ratio", "sft probability": "SFT probability", **DECODED}
BOUNDS = ("oracle",)


def evidence(agreement: pd.DataFrame, gains: pd.DataFrame, at: float | None = None) -> Figure:
    """Draw how often both judges agree, and DPO's gain, against the error rate of captions: the chapter's figure.

    `agreement` has kind (a key of `KINDS`), rate and value (share, 0..1); `gains` the same and domain ("in", "out"),
    value a difference of accuracies. Both may have lo and hi. A panel for the agreement, one for each domain's gain;
    `at` is the rate that the other figures of the chapter have, a vertical line.
    """
    keys = ["kind", "rate"]
    same = checked_rows(agreement, [*keys, "value"], keys, within={"rate": 0, "value": 0})
    gained = checked_rows(
        gains, ["domain", *keys, "value"], ["domain", *keys], within={"rate": 0, "value": -1}
    )
    for frame in (same, gained):
        known(frame["kind"], KINDS, "kind")
    known(gained["domain"], DOMAINS, "domain")
    domains = [name for name in DOMAINS if (gained["domain"] == name).any()]
    look = looks(list(KINDS))
    with style():
        size = (WIDTH, 1.75 * (1 + len(domains)) + 0.9)
        fig, axes = plt.subplots(1 + len(domains), 1, figsize=size, squeeze=False, sharex=True)
        panels = [
            (axes[0, 0], same),
            *((ax, gained[gained["domain"] == d]) for ax, d in zip(axes[1:, 0], domains)),
        ]
        moved = []
        for ax, frame in panels:
            for k, (kind, words) in enumerate(KINDS.items()):
                rows = frame[frame["kind"] == kind].sort_values("rate")
                if len(rows):
                    drawn = points(ax, 100 * rows["rate"], rows, label=words, lw=1.6, **look[kind])
                    moved.append((ax, drawn, 2.0 * (k - 1)))
            if at is not None:
                ax.axvline(100 * at, color=MUTED, ls=":", lw=1.2)
        axes[0, 0].set_title("answers that both judges put on one side")
        axes[0, 0].set_ylabel("per cent")
        for ax, domain in zip(axes[1:, 0], domains):
            ax.axhline(0, color=NEUTRAL, lw=1)
            ax.set_title(f"gain by DPO, {DOMAINS[domain]}")
            ax.set_ylabel("points")
        apart(fig, moved)
        fig.supxlabel("claims of the caption with an error, per cent", fontsize=10)
        legend(fig, [axes[0, 0]], ncols=3)
    return fig


def by_subset(frame: pd.DataFrame, title: str = "") -> Figure:
    """Draw accuracy of SFT and DPO on each set of questions, in and out of the domain (tables 6.2 and 6.3).

    `frame` has model ("sft", "dpo"), domain ("in", "out"), subset and value in 0..1, and may have lo and hi.
    """
    keys = ["model", "domain", "subset"]
    whole = checked_rows(frame, [*keys, "value"], keys, within={"value": 0})
    known(whole["model"], AFTER, "model")
    known(whole["domain"], DOMAINS, "domain")
    domains = [name for name in DOMAINS if (whole["domain"] == name).any()]
    sets = {d: list(dict.fromkeys(whole.loc[whole["domain"] == d, "subset"])) for d in domains}
    with style():
        height = 0.38 * sum(map(len, sets.values())) + 0.75 * len(domains) + 0.6
        ratios = {"height_ratios": [len(sets[d]) for d in domains]}
        fig, axes = plt.subplots(
            len(domains), 1, figsize=(WIDTH, height), squeeze=False, sharex=True, gridspec_kw=ratios
        )
        for domain, ax in zip(domains, axes[:, 0]):
            here = whole[whole["domain"] == domain]
            for k, (model, (words, colour, marker)) in enumerate(AFTER.items()):
                rows = here[here["model"] == model]
                at = rows["subset"].map(sets[domain].index) + 0.24 * (k - 0.5)
                points(ax, at, rows, across=True, label=words, color=colour, marker=marker, ls="none")
            row_names(ax, sets[domain])
            ax.set_title(f"{title}, {DOMAINS[domain]}" if title else DOMAINS[domain])
        fig.supxlabel("accuracy, per cent", fontsize=10)
        legend(fig, axes[:, 0], ncols=2)
    return fig


def by_epochs(frame: pd.DataFrame, peak: Mapping[str, float] | None = None) -> Figure:
    """Draw accuracy of DPO against its training epochs, a line a domain (figures 6.4 and 11.10).

    `frame` has epoch (0: before), domain ("in", "out") and value in 0..1, and may have lo and hi. `peak[domain]` is
    an epoch to mark.
    """
    whole = checked_rows(frame, ["epoch", "domain", "value"], ["epoch", "domain"], within={"value": 0})
    known(whole["domain"], DOMAINS, "domain")
    look = looks(list(DOMAINS))
    with style():
        fig, ax = plt.subplots(figsize=(WIDTH, 3.0))
        moved = []
        for k, (domain, words) in enumerate(DOMAINS.items()):
            rows = whole[whole["domain"] == domain].sort_values("epoch")
            if not len(rows):
                continue
            moved.append((ax, points(ax, rows["epoch"], rows, label=words, **look[domain]), 2.0 * (k - 0.5)))
            at = rows[rows["epoch"] == (peak or {}).get(domain)]
            ring = {"color": look[domain]["color"], "marker": "o", "mfc": "none", "ms": 12, "ls": "none"}
            ax.plot(at["epoch"], 100 * at["value"], **ring)
        ax.set(xlabel="epochs of DPO", ylabel="accuracy, per cent")
        apart(fig, moved)
        legend(fig, [ax], ncols=2)
    return fig


def ranker(frame: pd.DataFrame, rules: Sequence[str] | None = None) -> Figure:
    """Draw accuracy of the best of N samples by rule, and of both models' greedy answers (figures 6.4 and 11.11).

    `frame` has rule, n, domain ("in", "out") and value in 0..1, and may have lo and hi; the rules "sft greedy" and
    "dpo greedy" (n = 1) are lines across, "oracle" (any sample right) is muted. A panel a domain; `rules` keeps some.
    """
    keys = ["domain", "rule", "n"]
    whole = checked_rows(frame, [*keys, "value"], keys, within={"value": 0})
    known(whole["domain"], DOMAINS, "domain")
    if (whole["n"] < 1).any():
        raise ValueError(f"n={whole['n'].min():g}; give numbers of samples, from 1")
    found = [name for name in dict.fromkeys(whole["rule"]) if name not in DECODED]
    if rules is not None:
        known(rules, [*found, *DECODED], "rules")
        found = [name for name in found if name in rules]
    look = looks([name for name in found if name not in BOUNDS])
    domains = [name for name in DOMAINS if (whole["domain"] == name).any()]
    with style():
        size = (WIDTH, 2.8 + 0.2 * -(-(len(found) + len(DECODED)) // 2))
        fig, axes = plt.subplots(1, len(domains), figsize=size, squeeze=False, sharey=True)
        moved = []
        for domain, ax in zip(domains, axes[0]):
            here = whole[whole["domain"] == domain]
            for k, name in enumerate(found):
                rows = here[here["rule"] == name].sort_values("n")
                if name in BOUNDS:
                    points(
                        ax,
                        rows["n"],
                        rows,
                        bars=False,
                        label=f"{name}: any right",
                        color=MUTED,
                        ls=":",
                        lw=1.6,
                    )
                elif len(rows):
                    drawn = points(
                        ax,
                        rows["n"],
                        rows,
                        label=wrapped(RULES.get(name, name), 22),
                        ms=4,
                        lw=1.4,
                        **look[name],
                    )
                    moved.append((ax, drawn, 1.5 * (k - (len(found) - 1) / 2)))
            for k, (name, words) in enumerate(DECODED.items()):
                for row in here[here["rule"] == name].to_dict("records"):
                    ax.axhline(
                        100 * row["value"], color=COLOURS[4 + k], ls=("--", "-")[k], lw=1.8, label=words
                    )
            ax.set_title(DOMAINS[domain], fontsize=9.5)
            ax.set_xscale("log", base=2)
            ticks = sorted(set(whole["n"]))
            ax.set_xticks(ticks, [f"{n:g}" for n in ticks], fontsize=8)
            ax.xaxis.set_minor_locator(NullLocator())
        apart(fig, moved)
        axes[0, 0].set_ylabel("accuracy, per cent")
        fig.supxlabel("samples N", fontsize=10)
        last = [*DECODED.values(), *(f"{name}: any right" for name in BOUNDS)]
        legend(fig, axes[0], ncols=2, last=last)
    return fig
