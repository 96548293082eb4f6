"""Figures of the random-projection chapter, each a function of tidy results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from msig_lib.display import COLOURS, MUTED, style
from msig_lib.theory import jl, keyword_bound, random_projection

FORMS = {
    "printed": "printed: 10 √(ln M / d)",
    "corrected": "corrected: 10 √(ln 2M / d)",
    "non-negative": "non-negative: 6 √(ln 2M / d)",
    "exact": "exact law",
}


def _widths(ax: plt.Axes, widths: Sequence[int]) -> None:
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(list(widths)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.tick_params(axis="x", rotation=45)
    ax.set_xlabel("embedding width d")


def exact_law(measured: pd.DataFrame) -> Figure:
    """Draw the exact error probability against the cosine with Monte-Carlo points.

    `measured` has columns d, cosine, share, low, high (95% interval).
    """
    with style():
        fig, ax = plt.subplots()
        grid = np.linspace(0, 0.8, 161)
        for k, (d, rows) in enumerate(measured.groupby("d")):
            ax.plot(
                grid, random_projection.error_probability(grid, int(d)), color=COLOURS[k], label=f"d = {d}"
            )
            seen = rows[rows.share > 0]
            bars = np.array([seen.share - seen.low, seen.high - seen.share])
            ax.errorbar(seen.cosine, seen.share, yerr=bars, fmt="o", color=COLOURS[k], ms=3.5)
        ax.set(yscale="log", ylim=(1e-5, 1), xlabel="cosine of document and keyword difference",
               ylabel="probability of an error")  # fmt: skip
        ax.legend()
    return fig


def jl_against_width(measured: pd.DataFrame, gamma: float) -> Figure:
    """Draw the chance of a deviation of at least `gamma` against d: measured, exact, and three bounds.

    `measured` has columns d, cosine, share, low, high; each cosine gets its own exact line and points.
    """
    widths = sorted(measured.d.unique())
    with style():
        fig, ax = plt.subplots()
        ax.plot(
            widths,
            [min(float(jl.stated_bound(gamma, d)), 1.0) for d in widths],
            "--",
            color=COLOURS[1],
            label="4 exp(−γ²d/8)",
        )
        ax.plot(
            widths, [jl.chi_square_bound(gamma, d) for d in widths], ":", color=COLOURS[2], label="χ² bound"
        )
        for k, (cosine, rows) in enumerate(measured.groupby("cosine")):
            colour = (COLOURS[0], COLOURS[3], COLOURS[4])[k]
            exact = [float(jl.failure_probability(gamma, cosine, d)) for d in widths]
            ax.plot(widths, exact, color=colour, label=f"exact, cosine {cosine:g}")
            seen = rows[rows.share > 0]
            bars = np.array([seen.share - seen.low, seen.high - seen.share])
            ax.errorbar(seen.d, seen.share, yerr=bars, fmt="o", color=colour, ms=3.5)
        _widths(ax, widths)
        ax.set(yscale="log", ylim=(1e-5, 1.5), ylabel=f"P(deviation ≥ {gamma:g})")
        ax.legend(fontsize=8)
    return fig


def jl_range(dimension: int) -> Figure:
    """Draw the exact failure probability of a = b over the stated bound, against gamma (above 0: false)."""
    gamma = np.linspace(0.05, 9, 600)
    with style():
        fig, ax = plt.subplots()
        for k, d in enumerate((1, 8, dimension)):
            exact = jl.failure_probability(gamma, 1.0, d)
            bound = np.log10(4) - gamma**2 * d / 8 / np.log(10)
            ratio = np.where(exact > 1e-290, np.log10(np.maximum(exact, 1e-300)) - bound, np.nan)
            ax.plot(gamma, np.clip(ratio, -12, 30), color=COLOURS[k], label=f"d = {d}")
        ax.axhline(0, color=MUTED, lw=1)
        ax.axvline(jl.largest_gamma(), color=MUTED, lw=1, ls="--")
        ax.axvspan(0, 0.8, color=COLOURS[2], alpha=0.15, lw=0)
        ax.set(ylim=(-6, 8), xlabel="γ", ylabel="log₁₀(exact / stated bound)")
        ax.legend()
    return fig


def required_margins(widths: Sequence[int], data: Sequence[str]) -> list[Figure]:
    """Draw one panel a form: the margin for an error chance of 1/M against d, and the largest possible."""
    panels = []
    with style():
        for form in ("corrected", "exact"):
            fig, ax = plt.subplots()
            for k, name in enumerate(data):
                m = keyword_bound.SHAPES[name] - 1
                ax.plot(
                    widths,
                    [keyword_bound.required_margin(m, d, form) for d in widths],
                    color=COLOURS[k],
                    label=name,
                )
            ax.axhspan(1, 4, color=MUTED, alpha=0.18, lw=0)
            ax.annotate("impossible: above 1", (0.97, 0.9), xycoords="axes fraction", ha="right")
            _widths(ax, widths)
            ax.set(ylim=(0, 2.2), ylabel="required ε − δ", title=FORMS[form])
            ax.legend(fontsize=8, loc="lower left" if form == "corrected" else "center right")
            panels.append(fig)
    return panels


def real_margins(values: Mapping[str, np.ndarray], needed: Mapping[str, float]) -> Figure:
    """Draw the cumulative share of pairs over their margin, with the margins that statements require."""
    with style():
        fig, ax = plt.subplots()
        for k, (name, numbers) in enumerate(values.items()):
            ordered = np.sort(numbers)
            ax.plot(ordered, np.linspace(0, 1, len(ordered)), color=COLOURS[k], label=name)
        for k, (name, number) in enumerate(needed.items()):
            ax.axvline(number, color=COLOURS[len(values) + k], ls="--", lw=1.4, label=name)
        ax.set(xlabel="margin", ylabel="share of pairs below", xlim=(-0.05, max(needed.values()) * 1.08))
        ax.legend(fontsize=8)
    return fig


def four_ways(pairs: pd.DataFrame, edges: Sequence[float]) -> Figure:
    """Draw the share of errors against the cosine, one line a source (the columns other than `cosine`)."""
    marks = ("s", "o", "^", "v", "D", "x")
    with style():
        fig, ax = plt.subplots(figsize=(5.0, 3.4))
        bins = pd.cut(pairs.cosine, list(edges))
        grouped = pairs.groupby(bins, observed=True)
        centre = grouped.cosine.mean()[grouped.size() >= 30]
        for k, name in enumerate(column for column in pairs if column != "cosine"):
            mean = grouped[name].mean().loc[centre.index]
            ax.plot(centre, np.maximum(mean, 2e-5), color=COLOURS[k], marker=marks[k], label=name)
        ax.set(yscale="log", ylim=(1.5e-5, 2), xlabel="cosine of document and keyword difference",
               ylabel="share of wrong pairs")  # fmt: skip
        ax.legend(fontsize=8)
    return fig


def negative_share(lines: Mapping[str, np.ndarray], names: Sequence[str]) -> Figure:
    """Draw the share of a label's gradient mass that comes from negatives, against its frequency bin."""
    with style():
        fig, ax = plt.subplots()
        for k, (name, values) in enumerate(lines.items()):
            ax.plot(range(len(names)), values, marker="osv^Dx"[k], label=name)
        ax.axhline(0.5, color=MUTED, lw=1)
        ax.set_xticks(range(len(names)), names)
        ax.set(ylim=(0.35, 1.03), xlabel="training positives of the label", ylabel="share from negatives")
        ax.legend(fontsize=8)
    return fig


@cache
def _any_error_curve(dimension: int, labels: int, margins: tuple[float, ...]) -> tuple[float, ...]:
    """The exact line of the explorer, which frames of one width and number of labels share."""
    return tuple(random_projection.any_error_probability(m, labels, dimension) for m in margins)


def any_error(dimension: int, labels: int, margin: float, delta: float, simulated: float) -> Figure:
    """Draw one frame of the explorer: the chance of any error against the margin left, the chosen point."""
    grid = np.linspace(0.02, 1, 40)
    with style():
        fig, ax = plt.subplots(figsize=(4.4, 2.9))
        for k, (form, label) in enumerate(
            (("thesis", "theorem 3"), ("non-negative", "constant 18"), ("exact", "exact pairs, union"))
        ):
            bound = keyword_bound.union_bound(grid, labels, dimension, form)
            ax.plot(grid, np.minimum(bound, 1), color=COLOURS[k + 1], ls=("--", "-.", ":")[k], label=label)
        true = _any_error_curve(dimension, labels, tuple(grid))
        ax.plot(grid, true, color=COLOURS[0], label="exact")
        ax.plot(max(margin - delta, 0), simulated, "o", color=COLOURS[0], ms=7, label="simulated here")
        ax.set(xlabel="ε − δ", ylabel="P(any error)", ylim=(-0.03, 1.06), xlim=(0, 1.02))
        ax.legend(fontsize=8, loc="upper right" if dimension * (margin - delta) ** 2 > 8 else "center right")
    return fig
