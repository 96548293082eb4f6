"""Figures and tables of chapter 3, each a function of tidy results; see also `figures_rounds` and `figures_vectors`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from msig_lib.display import COLOURS, MUTED, NEUTRAL, style
from msig_lib.stats import Interval

NAMES = {
    "majority": "most frequent class",
    "zero_shot": "zero-shot",
    "neighbour_vote": "zero-shot, vote of neighbours",
    "generator_classifier": "generator as classifier",
    "lotclass": "label words (LOTClass-like)",
    "ipet": "cloze (iPET-like)",
    "kmeans": "k-means from the prompts",
    "mixture": "Gaussian mixture",
    "label_spreading": "label spreading",
    "sklearn_self_training": "SelfTrainingClassifier",
    "pesco": "salient sentences (PESCO-like)",
    "self_training_unbalanced": "self-training, unbalanced",
    "self_training": "self-training",
    "self_training_balanced_pool": "self-training, balanced pool",
    "self_training_copy": "self-training, text repeated",
    "self_training_random": "self-training, random document",
    "self_training_neighbours": "self-training, neighbours' mean",
    "self_training_inference": "self-training + inference IA",
    "zero_shot_inference": "zero-shot + inference IA",
    "self_training_ia": "self-training + IA",
    "self_training_ca": "self-training + CA",
    "genco_no_t2g": "GENCo − contrastive loss",
    "genco_no_ca": "GENCo − CA",
    "genco_no_ia": "GENCo − IA",
    "genco": "GENCo",
    "genco_filter": "GENCo, best 5 of 20 texts",
    "genco_inference": "GENCo + inference IA",
    "supervised_pool": "supervised, the pool",
    "supervised": "supervised",
}
"""What a reader sees for each method of the results table, simplest first and supervised last."""

MAIN = [
    "majority",
    "zero_shot",
    "neighbour_vote",
    "generator_classifier",
    "lotclass",
    "ipet",
    "kmeans",
    "label_spreading",
    "sklearn_self_training",
    "pesco",
    "self_training_unbalanced",
    "self_training",
    "self_training_ia",
    "self_training_ca",
    "genco_no_t2g",
    "genco_no_ca",
    "genco_no_ia",
    "genco",
    "supervised_pool",
    "supervised",
]
"""The rows of the main table (table 3.2's form), baselines and controls included."""

GENERATORS = {
    "none": "nothing added",
    "copy": "the text repeated",
    "random": "a random document",
    "corpus_lm": "language model of the pool",
    "ngram": "n-grams of the pool",
    "background_ngram": "n-grams, outside corpus",
    "neighbour_mean": "mean of neighbours (free)",
    "retrieval": "retrieval, the pool",
    "background_retrieval": "retrieval, outside corpus",
    "prompted": "instruction model",
    "continuation": "the true continuation",
}
"""What a reader sees for each source of added text, by what it knows of the topic: least first."""

DATASETS = {
    "docstring_topics": "Docstring topics",
    "ag_news": "AG News",
    "dbpedia14_subset": "DBpedia",
    "dbpedia14": "DBpedia",
    "yahoo": "Yahoo Answers",
    "amazon": "Amazon",
}

COLUMNS_3 = ("AG News", "DBpedia", "Yahoo Answers", "Amazon")

TABLE_3_2 = {  # thesis, table 3.2: test accuracy in per cent; NaN is a dash. * is on a down-sampled pool
    "Supervised": (94.2, 99.3, 77.3, 97.1),
    "SimCSE (Sentence-enc)": (74.5, 73.8, 55.6, 88.8),
    "Alpaca-7B (LLM)": (77.4, 60.6, 52.1, 86.6),
    "iPET": (86.0, 85.2, 68.2, 95.2),
    "LOTClass": (86.4, 91.1, float("nan"), 91.6),
    "Supervised-downsample*": (93.8, 98.7, 76.5, 97.0),
    "PESCO*": (85.0, 96.6, 65.8, 92.4),
    "GENCo*": (89.2, 98.3, 68.7, 95.4),
    "GENCo* - CA": (87.5, 97.6, 65.1, 94.3),
    "GENCo* - IA": (86.2, 97.1, 63.5, 93.6),
    "SimCSE + Self-training (Eq 3.5)*": (83.2, 94.3, 62.7, 91.5),
}

TABLE_3_4 = {  # thesis, table 3.4: accuracy by temperature of eq. 3.5, (mean, spread) "over 5 runs"
    1.0: ((82.75, 0.06), (93.77, 0.07), (62.66, 0.06), (91.39, 0.06)),
    0.5: ((83.04, 0.05), (94.19, 0.05), (62.70, 0.10), (91.44, 0.06)),
    0.1: ((83.18, 0.05), (94.29, 0.05), (62.74, 0.08), (91.48, 0.05)),
    0.05: ((83.03, 0.05), (94.34, 0.03), (62.77, 0.10), (91.42, 0.04)),
    0.01: ((83.02, 0.05), (94.33, 0.03), (62.76, 0.11), (91.42, 0.04)),
}

TABLE_3_5 = {  # thesis, table 3.5: accuracy with and without augmentation at inference
    "Sentence-enc": (75.6, 73.4, 55.5, 89.6),
    "Sentence-enc + Inf-Aug": (78.2, 74.7, 57.4, 90.2),
    "Self-train": (83.3, 96.3, 62.5, 91.1),
    "Self-train + Inf-Aug": (83.9, 96.8, 64.3, 91.3),
    "GENCo": (89.2, 98.4, 68.6, 95.3),
    "GENCo + Inf-Aug": (89.7, 98.5, 70.2, 95.4),
}

Rows = Mapping[str, Mapping[str, Interval]]
"""Intervals by series (a data set) and then by row (a method, a generator, a pool size)."""


def thesis_table(table: Mapping[Any, Sequence[Any]]) -> pd.DataFrame:
    """Return one of the thesis's tables as a DataFrame, one column a data set, in its order."""
    return pd.DataFrame.from_dict(dict(table), orient="index", columns=list(COLUMNS_3))


def results_table(rows: Rows, methods: Sequence[str] | None = None, *, percent: bool = True) -> pd.DataFrame:
    """Return "mean [low, high]" of every method (row) and data set (column), in table 3.2's form.

    `rows[data][method]` are intervals of accuracies in 0..1. `methods` gives the order (default: `NAMES`);
    one that no data set has is left out, a missing cell is None.
    """
    order = list(NAMES) if methods is None else list(methods)
    present = [m for m in order if any(m in cells for cells in rows.values())]
    factor, digits = (100.0, 1) if percent else (1.0, 3)

    def told(v: Interval | None) -> str | None:
        if v is None:
            return None
        mean, low, high = (f"{factor * x:.{digits}f}" for x in (v.estimate, v.lo, v.hi))
        return mean if np.isnan(v.lo) else f"{mean} [{low}, {high}]"

    cells = {DATASETS.get(data, data): [told(found.get(m)) for m in present] for data, found in rows.items()}
    return pd.DataFrame(cells, index=[NAMES.get(m, m) for m in present], dtype=object)


def interval_dots(
    rows: Rows,
    *,
    label: str,
    names: Mapping[str, str] = NAMES,
    order: Sequence[str] | None = None,
    zero: bool = False,
    percent: bool = True,
) -> Figure:
    """Draw a dot with its 95% interval for each row, one colour and marker a data set.

    `rows[data][row]` are intervals in 0..1 (or differences); `order` lists the rows from the top (default:
    `names`' order, then those it does not know); `zero` draws a line at no difference.
    """
    found = list(dict.fromkeys(row for cells in rows.values() for row in cells))
    ranked = [row for row in (order or [*names, *found]) if row in found]
    ranked = list(dict.fromkeys(ranked))
    if not ranked:
        raise ValueError("no rows to draw: give {data: {row: Interval}} with at least one interval")
    factor, step = 100.0 if percent else 1.0, 0.62 / len(rows)
    with style():
        height = len(ranked) * max(0.25, 0.13 * len(rows)) + 0.8 + 0.22 * (len(rows) > 1)
        fig, ax = plt.subplots(figsize=(5.0, height))
        for k, (data, cells) in enumerate(rows.items()):
            for y, row in enumerate(ranked):
                if row not in cells:
                    continue
                v, at = cells[row], y + step * (k - (len(rows) - 1) / 2)
                ax.plot([factor * v.lo, factor * v.hi], [at, at], "-", color=COLOURS[k], lw=1.8)
                ax.plot(factor * v.estimate, at, "osD^v"[k % 5], color=COLOURS[k], ms=4.5)
            ax.plot([], [], "osD^v"[k % 5] + "-", color=COLOURS[k], label=DATASETS.get(data, data))
        if zero:
            ax.axvline(0, color=MUTED, lw=1)
        ax.set_yticks(range(len(ranked)), [names.get(row, row) for row in ranked])
        ax.set_ylim(len(ranked) - 0.4, -0.6)
        ax.set_xlabel(label)
        ax.margins(x=0.04)
        if len(rows) > 1:
            fig.legend(loc="outside upper center", ncols=len(rows))
    return fig


def per_class_f1(
    class_names: Sequence[str], f1: Mapping[str, npt.ArrayLike], *, label: str = "F1, per cent"
) -> Figure:
    """Draw F1 of each class as one bar a variant, with and without augmentation (figure 3.3, upper).

    `f1[variant]` float [L] in 0..1; a NaN (class neither present nor predicted) has no bar.
    """
    step = 0.8 / max(len(f1), 1)
    with style():
        fig, ax = plt.subplots(figsize=(4.6, 0.17 * len(class_names) * len(f1) + 1.1))
        for k, (variant, values) in enumerate(f1.items()):
            heights = 100 * np.asarray(values, dtype=float)
            if heights.shape != (len(class_names),):
                raise ValueError(
                    f"F1 of {variant!r} has shape {heights.shape} for {len(class_names)} classes"
                )
            y = np.arange(len(class_names)) + step * (k - (len(f1) - 1) / 2)
            ax.barh(y, np.nan_to_num(heights), 0.92 * step, color=COLOURS[k], label=variant)
        ax.set_yticks(range(len(class_names)), list(class_names))
        ax.set(xlabel=label, xlim=(0, 100), ylim=(len(class_names) - 0.4, -0.6))
        ax.grid(axis="y", visible=False)
        fig.legend(loc="outside upper center", ncols=2)
    return fig


def ranking_precision(curves: Mapping[str, Mapping[int, float]]) -> Figure:
    """Draw precision among the k most confident against k, one line a variant (figure 3.3, lower)."""
    with style():
        fig, ax = plt.subplots(figsize=(4.4, 3.0))
        for k, (variant, points) in enumerate(curves.items()):
            y = [100 * value for value in points.values()]
            ax.plot(list(points), y, marker="osD^v"[k % 5], ms=4, color=COLOURS[k % 6], label=variant)
        ticks = sorted({k for points in curves.values() for k in points})
        _log_ticks(ax, ticks)
        ax.set(xlabel="k most confident texts", ylabel="precision, per cent")
        ax.legend()
    return fig


def gain_by_knowledge(gains: Rows, *, label: str = "gain in accuracy, points") -> Figure:
    """Draw the gain over the same method without added text, by what the generator knows (the chapter's question).

    `gains[data][generator]` are intervals of paired differences, in 0..1; rows in `GENERATORS`' order.
    """
    return interval_dots(gains, label=label, names=GENERATORS, zero=True)


def gain_by_pool(
    curves: Mapping[str, Mapping[int, Interval]],
    *,
    label: str = "gain in accuracy, points",
    zero: bool = True,
) -> Figure:
    """Draw intervals against the number of pool texts, one line a method or data set (log scale)."""
    with style():
        fig, ax = plt.subplots(figsize=(4.6, 3.1))
        _lines(ax, curves)
        _log_ticks(ax, sorted({size for points in curves.values() for size in points}))
        if zero:
            ax.axhline(0, color=MUTED, lw=1)
        ax.set(xlabel="texts in the unlabelled pool", ylabel=label)
        ax.legend()
    return fig


def accuracy_by_tau(
    curves: Mapping[str, Mapping[float, Interval]],
    reference: Mapping[str, float] | None = None,
    *,
    label: str = "accuracy, per cent",
) -> Figure:
    """Draw accuracy against tau (table 3.4 as a figure), with the zero-shot accuracy of a curve dashed."""
    with style():
        fig, ax = plt.subplots(figsize=(4.6, 3.1))
        _lines(ax, curves)
        for k, name in enumerate(curves):
            if reference and name in reference:
                ax.axhline(100 * reference[name], color=COLOURS[k % 6], ls="--", lw=1.2)
        if reference:
            ax.plot([], [], "--", color=NEUTRAL, lw=1.2, label="zero-shot")
        _log_ticks(ax, sorted({tau for points in curves.values() for tau in points}))
        ax.set(xlabel="tau of eq. 3.4", ylabel=label)
        fig.legend(loc="outside upper center", ncols=3)
    return fig


def _lines(ax: plt.Axes, curves: Mapping[str, Mapping[Any, Interval]]) -> None:
    """Draw one line with error bars a curve, shifted by a hair so that bars do not hide each other."""
    for k, (name, points) in enumerate(curves.items()):
        x = np.array(list(points), dtype=float) * 1.03 ** (k - (len(curves) - 1) / 2)
        y = 100 * np.array([v.estimate for v in points.values()])
        ends = 100 * np.array([[v.lo, v.hi] for v in points.values()]).T
        error = np.abs(ends - y)
        mark, colour = "osD^v"[k % 5], COLOURS[k % len(COLOURS)]
        ax.errorbar(x, y, error, color=colour, marker=mark, ms=4, label=DATASETS.get(name, name))


def _log_ticks(ax: plt.Axes, ticks: Sequence[float]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(list(ticks), [f"{t:,g}" if t < 1e6 else f"{t:.0e}" for t in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
