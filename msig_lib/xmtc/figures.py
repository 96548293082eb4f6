"""Figures and tables of chapter 2, each a function of tidy results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from msig_lib.display import COLOURS, style
from msig_lib.stats import Interval
from msig_lib.xmtc.data import XMTCData
from msig_lib.xmtc.signal import Descriptions

NAMES = {
    "popularity": "most frequent labels",
    "neighbours": "nearest neighbours, tf-idf",
    "neighbours_dense": "nearest neighbours, encoder",
    "frozen_names": "names, frozen",
    "frozen_keywords": "keywords, frozen",
    "de_ret": "DE-ret (names)",
    "depl": "DEPL",
    "depl_w4": "DEPL, 4 words",
    "depl_w8": "DEPL, 8 words",
    "depl_w32": "DEPL, 32 words",
    "depl_random_words": "another label's words",
    "depl_mean_words": "mean tf-idf words",
    "classifier": "classifier",
    "depl_cls": "DEPL+cls",
    "svm": "SVM",
    "svm_neighbours": "SVM + nearest neighbours",
    "svm_classifier": "SVM + classifier",
    "svm_depl": "SVM + DEPL",
    "svm_depl_classifier": "SVM + DEPL + classifier",
}
"""What a reader sees for each method of the results table, weakest and simplest first."""

MAIN = [name for name in NAMES if not name.startswith("depl_") or name == "depl_cls"]
"""The methods of the main table: all but the ablations."""

METRICS = {f"{short}@{k}": f"{name}@{k}" for short, name in (("p", "P"), ("psp", "PSP")) for k in (1, 3, 5)}
METRICS |= {"tail_f1@5": "tail F1@5", "head_f1@5": "head F1@5"}
"""How the measures of the results are written."""

TABLE_2_1 = {  # thesis, table 2.1: labels and tail labels; 2.5.1: the share of tail labels stated in the text
    "EURLex-4K": (3956, 2413, 0.6348),
    "AmazonCat-13K": (13330, 3936, 0.2953),
    "Wiki10-31K": (30938, 26545, 0.8865),
    "Wiki-500K": (501070, 338719, 0.6760),
}

TABLE_2_3 = {  # thesis, table 2.3, EURLex-4K: PSP@1, PSP@3, PSP@5 in per cent
    "X-Transformer": (37.85, 47.05, 51.81),
    "XLNet-APLC": (42.21, 49.83, 52.88),
    "LightXML": (40.54, 47.56, 50.50),
    "AttentionXML": (44.20, 50.85, 53.87),
    "SVM": (39.18, 48.31, 53.37),
    "DEPL": (45.60, 52.28, 53.52),
    "DEPL+cls": (44.60, 52.74, 54.64),
}


def tail_shares() -> pd.DataFrame:
    """Return the tail shares that table 2.1 implies beside those of the thesis's text."""
    rows = {name: (tail / labels, stated) for name, (labels, tail, stated) in TABLE_2_1.items()}
    return pd.DataFrame(rows, index=["from table 2.1", "in the text"]).T


def results_table(frame: pd.DataFrame, methods: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    """Return means over seeds, one row a method and one column a metric (table 2.3's form)."""
    wanted = frame[frame["metric"].isin(metrics) & frame["method"].isin(methods)]
    means = wanted.groupby(["method", "metric"])["value"].mean().unstack("metric")
    means = means.reindex(index=list(methods), columns=[m for m in metrics if m in means.columns])
    return means.rename(index=NAMES).rename_axis(index=None, columns=None)


def description(found: Descriptions, label: int) -> Figure:
    """Draw the generated words of one label with the SVM's weights as bars."""
    words, weights = found.words[label], found.weights[label]
    with style():
        fig, ax = plt.subplots(figsize=(4.4, 0.22 * max(len(words), 1) + 0.7))
        ax.barh(range(len(words)), weights, color=COLOURS[0], height=0.7)
        ax.set_yticks(range(len(words)), words)
        ax.invert_yaxis()
        ax.set(xlabel="weight in the SVM", title=found.names[label])
    return fig


def frequency(data: XMTCData) -> Figure:
    """Draw training documents against rank for every label, log-log, the tail marked (the problem)."""
    counts = np.sort(data.n_positives)[::-1]
    rank = np.arange(1, len(counts) + 1)
    with style():
        fig, ax = plt.subplots()
        tail = counts <= 9
        ax.loglog(
            rank[~tail], counts[~tail], drawstyle="steps-post", color=COLOURS[1], label="head: 10 or more"
        )
        ax.loglog(rank[tail], counts[tail], drawstyle="steps-post", color=COLOURS[0], label="tail: 1 to 9")
        ax.set(xlabel="label, by frequency", ylabel="training documents")
        ax.legend()
    return fig


def interval_bars(
    rows: Mapping[str, Interval], *, label: str, marks: Mapping[str, str] | None = None
) -> Figure:
    """Draw a dot with its 95% interval for every method, `marks` behind it (figure 2.3's form)."""
    with style():
        fig, ax = plt.subplots(figsize=(4.6, 0.28 * len(rows) + 0.8))
        for y, (method, value) in enumerate(rows.items()):
            ax.plot([value.lo, value.hi], [y, y], color=COLOURS[0], lw=2)
            ax.plot(value.estimate, y, "o", color=COLOURS[0])
            if marks and marks.get(method):
                ax.annotate(marks[method], (value.hi, y), xytext=(4, -3), textcoords="offset points")
        ax.set_yticks(range(len(rows)), [NAMES.get(m, m) for m in rows])
        ax.invert_yaxis()
        ax.set_xlabel(label)
        ax.set_xlim(left=min(0, *(v.lo for v in rows.values())))
        ax.margins(x=0.12)
    return fig


def binned(frames: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw mean F1@5 against label rank from rare to common, one line a method (figure 2.1's form)."""
    with style():
        fig, ax = plt.subplots(figsize=(4.6, 3.2))
        for k, (method, frame) in enumerate(frames.items()):
            ax.plot(
                frame["rank"],
                frame["f1"],
                "-",
                color=COLOURS[k % len(COLOURS)],
                marker="osv^D"[k % 5],
                ms=3,
                label=NAMES[method],
            )
        ax.set(xlabel="label rank, rare to common", ylabel="F1@5, mean of the bin")
        ax.legend()
    return fig


def lengths(curves: Mapping[str, Sequence[tuple[int, Interval]]], reference: Mapping[str, float]) -> Figure:
    """Draw tail F1 against words a description with 95% intervals (figure 2.4's form)."""
    with style():
        fig, ax = plt.subplots()
        for k, (name, points) in enumerate(curves.items()):
            x = np.arange(len(points)) + 0.06 * k
            y = np.array([p.estimate for _, p in points])
            err = np.array([[p.estimate - p.lo for _, p in points], [p.hi - p.estimate for _, p in points]])
            ax.errorbar(x, y, err, color=COLOURS[k], marker="o", ms=4, capsize=2, label=name)
            ax.set_xticks(range(len(points)), [str(n) for n, _ in points])
        for k, (name, value) in enumerate(reference.items()):
            ax.axhline(value, color=COLOURS[k + 3], ls="--", lw=1, label=name)
        ax.set(xlabel="generated words in a description", ylabel="tail F1@5")
        ax.set_ylim(bottom=0)
        ax.legend()
    return fig


def frozen_or_tuned(rows: Mapping[str, Mapping[str, Interval]], *, label: str) -> Figure:
    """Draw one line a model from its frozen to its tuned encoder, with 95% intervals."""
    with style():
        fig, ax = plt.subplots(figsize=(4.2, 3))
        for k, (name, pair) in enumerate(rows.items()):
            x = np.arange(len(pair)) + 0.05 * k
            y = np.array([p.estimate for p in pair.values()])
            err = np.array(
                [[p.estimate - p.lo for p in pair.values()], [p.hi - p.estimate for p in pair.values()]]
            )
            ax.errorbar(x, y, err, color=COLOURS[k], marker="o", capsize=3, label=name)
            ax.set_xticks(range(len(pair)), list(pair))
        ax.set_xlim(-0.4, len(pair) - 0.6)
        ax.set(ylabel=label)
        ax.legend()
    return fig


def cost(frame: pd.DataFrame) -> Figure:
    """Draw seconds of SVM training, prediction and dual-encoder training against the number of labels."""
    with style():
        fig, ax = plt.subplots()
        for k, column in enumerate(c for c in frame.columns if c != "labels"):
            ax.loglog(
                frame["labels"],
                frame[column],
                "-",
                color=COLOURS[k % len(COLOURS)],
                marker="osv^"[k % 4],
                ms=4,
                label=column,
            )
        ax.set(xlabel="labels", ylabel="seconds")
        ax.set_xticks(frame["labels"], [f"{n:,}" for n in frame["labels"]])
        ax.set_xticks([], minor=True)
        ax.legend()
    return fig
