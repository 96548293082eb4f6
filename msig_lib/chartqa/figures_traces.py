"""Figures of traces: rewards of their tokens (figure 7.6), first mistakes, cut and accepted ones; names and points.

Shares and gains are 0..1 in tables and per cent or points in figures. Every figure is at most 4.2 inches wide, so
that a phone shows it whole.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from msig_lib.display import COLOURS, MUTED, NEUTRAL, style
from msig_lib.display.tidy import checked_rows

WIDTH = 4.2  # inches
MARKS = "os^DvPXp"
LOW, HIGH = COLOURS[0], COLOURS[1]  # cool and warm, thesis 7.6.4
PER_LINE = 10  # tokens beside each other
INK = 0.6  # opacity of the largest reward: the number on it stays readable on light and dark pages


def token_rewards(
    tokens: Sequence[str], rows: Mapping[str, npt.ArrayLike], wrong: int | None = None
) -> Figure:
    """Draw what each rule says of every token of a trace (figure 7.6), a band of cells a rule.

    `rows[rule]` float [L] for L `tokens`, shown minus its mean and as a share of its largest magnitude: negative
    blue, positive orange, the number in the cell, the lowest one bold. The token at `wrong`, the first that
    is wrong (None: none is), is outlined and named. Raises ValueError for other lengths, numbers that are not
    finite, and a `wrong` that is none of the tokens.
    """
    rules = _rules(tokens, rows, wrong)
    lines = -(-len(tokens) // PER_LINE)
    columns = -(-len(tokens) // lines)
    note, word, name, cell = 0.2, 0.22, 0.19, 0.24  # heights, inches
    tall = note + word + (name + cell) * len(rules)
    with style():
        fig, ax = plt.subplots(figsize=(WIDTH, lines * tall + 0.15))
        wide = max(columns, 6)
        ax.set(xlim=(0, wide), ylim=(lines * tall, 0))
        ax.set_axis_off()
        for place, token in enumerate(tokens):
            line, x = divmod(place, columns)
            top = line * tall + note
            middle = {"ha": "center", "va": "center", "fontsize": 8}
            ax.text(x + 0.5, top + word / 2, token, **middle, gid=f"token {place}")
            for k, (rule, values) in enumerate(rules.items()):
                y = top + word + k * (name + cell) + name
                value = values[place]
                paint = {"facecolor": LOW if value < 0 else HIGH, "alpha": INK * abs(value)}
                ax.add_patch(Rectangle((x + 0.03, y), 0.94, cell, **paint, gid=f"{rule} {place}"))
                weight = "bold" if value == values.min() else "normal"
                ax.text(x + 0.5, y + cell / 2, _signed(value), **middle, weight=weight, gid=f"{rule} {place}")
                if x == 0:
                    ax.text(0.05, y - 0.03, rule, ha="left", va="bottom", fontsize=8, color=MUTED)
            if place == wrong:
                box = {"fill": False, "edgecolor": NEUTRAL, "linewidth": 1.5, "gid": "wrong"}
                ax.add_patch(Rectangle((x, top), 1, tall - note, **box, clip_on=False))
                half = 0.45 * wide / WIDTH  # of the name, in columns
                at = min(max(x + 0.5, half), wide - half)
                ax.text(at, top - 0.02, "first mistake", ha="center", va="bottom", fontsize=8.5)
    return fig


def reward_words(
    tokens: Sequence[str], rewards: Mapping[str, npt.ArrayLike] | npt.ArrayLike, wrong: int | None = None
) -> str:
    """Return `token_rewards` in words: the trace, its first mistake, and the lowest token (of each rule).

    Arguments and errors are those of `token_rewards`; `rewards` may be one rule's array.
    """
    named = rewards if isinstance(rewards, Mapping) else {"The reward": rewards}
    count = len(tokens)
    said = [f"Trace: {' '.join(tokens)}."]
    for number, (rule, values) in enumerate(_rules(tokens, named, wrong).items()):
        if number == 0:
            said.append(
                "No token is wrong."
                if wrong is None
                else f"The first mistake is token {wrong + 1} of {count}, “{tokens[wrong]}”."
            )
        lowest = np.flatnonzero(values == values.min()).tolist()
        if len(lowest) == count > 1:
            said.append(f"{rule} is the same at every token.")
            continue
        places = " and ".join(f"token {at + 1}, “{tokens[at]}”" for at in lowest)
        hit = ", the first mistake" if lowest == [wrong] else ""
        said.append(f"{rule} is lowest at {places}{hit}.")
    return " ".join(said)


def first_mistake(frame: pd.DataFrame) -> Figure:
    """Draw how often the lowest token of a trace is its first mistake, a row a rule, the best on top.

    `frame` has rule, value in 0..1, and may have lo and hi; the rule "chance" is a dashed line.
    """
    whole = checked_rows(frame, ["rule", "value"], ["rule"], within={"value": 0})
    rules = whole[whole["rule"] != "chance"].sort_values("value", ascending=False, kind="stable")
    with style():
        fig, ax = plt.subplots(figsize=(WIDTH, 0.42 * max(len(rules), 1) + 1.1))
        points(ax, np.arange(len(rules)), rules, across=True, color=COLOURS[0], marker="o", ls="none")
        for value in whole.loc[whole["rule"] == "chance", "value"].dropna():
            ax.axvline(100 * value, color=NEUTRAL, ls="--", lw=1.2)
            at = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points"}
            ax.annotate(f"chance {100 * value:.0f}%", (100 * value, 1), (0, 3), **at, ha="left", fontsize=9)
        row_names(ax, rules["rule"])
        ax.set_xlim(left=0)
        # Centred on the figure: beside long names of rules the axes are narrower than this label.
        fig.supxlabel("traces whose lowest token is the first mistake, %", fontsize=9)
    return fig


def truncation(frame: pd.DataFrame, before: float | None = None) -> Figure:
    """Draw the gain in accuracy against where responses are cut for DPO (thesis 12.3), "not cut" last.

    `frame` has limit (tokens; 0 is not cut), value (gain in -1..1), and may have lo and hi; `before` is the
    accuracy before, 0..1, which the axis then tells.
    """
    whole = checked_rows(frame, ["limit", "value"], ["limit"], within={"value": -1})
    if (whole["limit"] < 0).any():
        raise ValueError(f"limit {whole['limit'].min():g}; give numbers of tokens, 0 for responses not cut")
    if before is not None and not 0 <= before <= 1:
        raise ValueError(f"before={before}; give the accuracy before as a share, 0 to 1")
    order = whole.sort_values("limit", key=lambda limit: limit.where(limit > 0, np.inf))
    told = "" if before is None else f"\n(before: {100 * before:.0f}%)"
    with style():
        fig, ax = plt.subplots(figsize=(WIDTH, 2.8))
        ax.axhline(0, color=NEUTRAL, lw=1)
        points(ax, np.arange(len(order)), order, color=COLOURS[0], marker="o", ls="none")
        texts = [f"{limit:g}" if limit else "not cut" for limit in order["limit"]]
        ax.set_xticks(range(len(order)), texts)
        ax.set_xlim(-0.5, len(order) - 0.5)
        ax.set(xlabel="responses cut to, tokens", ylabel=f"gain in accuracy, points{told}")
    return fig


def accepted(frame: pd.DataFrame) -> Figure:
    """Draw the gain of each way to accept self-written traces, beside it how many of those have a wrong step.

    `frame` has model, gain in -1..1, wrong (share of the accepted traces in 0..1, NaN where none were used),
    and may have lo and hi of the gain. Models stand in the order of the table.
    """
    whole = checked_rows(frame, ["model", "gain", "wrong"], ["model"], within={"gain": -1, "wrong": 0})
    with style():
        fig, ax = plt.subplots(figsize=(WIDTH, 0.42 * len(whole) + 1.3))
        ax.axvline(0, color=NEUTRAL, lw=1)
        look = {"color": COLOURS[0], "marker": "o", "ls": "none"}
        points(ax, np.arange(len(whole)), whole, value="gain", across=True, **look)
        row_names(ax, whole["model"])
        for place, share in enumerate(whole["wrong"]):
            text = "no traces" if np.isnan(share) else f"{100 * share:.0f}%"
            ax.text(1.05, place, text, transform=ax.get_yaxis_transform(), va="center", fontsize=9)
        at = {"transform": ax.transAxes, "va": "bottom", "fontsize": 9}
        ax.text(1.05, 1.02, "accepted traces\nwith a wrong step", **at)
        fig.supxlabel("gain in accuracy, points", fontsize=10)
    return fig


def _rules(
    tokens: Sequence[str], rows: Mapping[str, npt.ArrayLike], wrong: int | None
) -> dict[str, npt.NDArray[np.float64]]:
    """Return each rule's values [L] less their mean and over the largest magnitude (0 where all are equal)."""
    if isinstance(tokens, str) or not len(tokens) or not rows:
        raise ValueError(f"tokens {tokens!r} and {len(rows)} rules; give a list of words and a rule or more")
    if wrong is not None and not 0 <= wrong < len(tokens):
        raise ValueError(
            f"wrong={wrong} of {len(tokens)} tokens; give a place from 0, or None where no token is wrong "
            "(a trace that stops too early has its mistake after its last token: leave it out)"
        )
    found = {}
    for rule, values in rows.items():
        given = np.asarray(values, dtype=np.float64)
        if given.shape != (len(tokens),) or not np.isfinite(given).all():
            raise ValueError(
                f"{rule}: values of shape {given.shape}, {int((~np.isfinite(given)).sum())} of them not finite; "
                f"give a finite number for each of the {len(tokens)} tokens"
            )
        # Equal values stay equal: their mean may miss them by rounding.
        centred = given - (given.mean() if np.ptp(given) else given[0])
        found[rule] = centred / (np.abs(centred).max() or 1.0)
    return found


def _signed(value: float) -> str:
    """Return a share with its sign in as few characters as cells have room for."""
    size = f"{abs(value):.2f}".removeprefix("0").removesuffix(".00") or "0"
    return size if size == "0" else f"{'−' if value < 0 else '+'}{size}"


def known(values: Iterable[object], allowed: Collection[str], what: str) -> None:
    """Raise ValueError for a value that is none of those allowed."""
    strange = [value for value in dict.fromkeys(values) if value not in allowed]
    if strange:
        raise ValueError(f"{what} {strange}; expected some of {list(allowed)}")


def points(
    ax: plt.Axes,
    at: npt.ArrayLike,
    rows: pd.DataFrame,
    *,
    value: str = "value",
    across: bool = False,
    bars: bool = True,
    **look: Any,
) -> list[Any]:
    """Draw 100 times the values of `rows` at `at`, with a bar from lo to hi where both are known; return the artists.

    `across` draws to the right, not upwards; `look` are settings of `plot`.
    """
    at, values = np.asarray(at, dtype=float), 100 * rows[value].to_numpy(dtype=float)
    drawn = ax.plot(*((values, at) if across else (at, values)), zorder=3, **look)
    ends = 100 * rows[["lo", "hi"]].to_numpy(dtype=float)
    told = np.isfinite(ends).all(axis=1)
    if bars and told.any():
        bar = ax.hlines if across else ax.vlines
        drawn.append(bar(at[told], *ends[told].T, colors=look["color"], lw=1.3, zorder=2))
    return drawn


def row_names(ax: plt.Axes, names: Iterable[object]) -> None:
    """Name the rows of a figure from the top, long names in several lines."""
    texts = [wrapped(name, 20) for name in names]
    ax.set_yticks(range(len(texts)), texts)
    ax.set_ylim(max(len(texts), 1) - 0.5, -0.5)


def name_lines(ax: plt.Axes, at: Mapping[str, float]) -> None:
    """Name horizontal lines right of a panel of gain_map, with values, so far apart that no name hides another."""
    low, high = ax.get_ylim()
    texts = {
        name: f"{wrapped(name, 14)}\n{'−' if value < 0 else '+'}{abs(value):.1f}"
        for name, value in at.items()
    }
    line = (high - low) / 9.5  # of text
    below = -np.inf
    y = {}
    for name, value in sorted(at.items(), key=lambda item: item[1]):
        half = line * (texts[name].count("\n") + 1) / 2
        y[name] = max(value, below + half)
        below = y[name] + half
    down = max(below - max(high, *at.values()), 0) if at else 0
    across = ax.get_yaxis_transform()
    for name, text in texts.items():
        leader = {"arrowstyle": "-", "color": MUTED, "lw": 0.8, "shrinkB": 0, "relpos": (0, 0.5)}
        to = {"xytext": (1.05, y[name] - down), "textcoords": across, "va": "center", "fontsize": 8.5}
        ax.annotate(text, (1, at[name]), xycoords=across, annotation_clip=False, arrowprops=leader, **to)


def wrapped(name: object, width: int) -> str:
    """Return a name in lines of at most about `width` characters."""
    return textwrap.fill(str(name), width, break_long_words=False)
