"""Figures of the chapter's results, each a function of a tidy table; see also `figures_springs`.

Tables are DataFrames with one row for each point that is drawn, summarised over seeds and series beforehand.
Methods are named as readers see them. Every figure is at most 5.2 inches wide (a wider one scrolls on a phone).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from msig_lib.changepoint.figures_panels import (
    KINDS,
    curves,
    in_order,
    known_names,
    legend,
    log_axis,
    looks_of,
    noise_axis,
)
from msig_lib.changepoint.figures_springs import WIDTH, checked_change, mark_change
from msig_lib.display import COLOURS, MUTED, NEUTRAL, style
from msig_lib.display.tidy import checked_rows

METRICS = ("AUC", "TRI")
BARS = "95% interval"

TABLE_4_1 = {  # thesis, table 4.1: (AUC, TRI) for a location, a speed and a connection change
    "ARGP-BOCPD": ((0.5244, 0.0880), (0.5231, 0.0660), (0.5442, 0.1287)),
    "RDR-KCPD": ((0.5095, 0.0680), (0.5279, 0.1093), (0.5234, 0.0860)),
    "Mstats-KCPD": ((0.5380, 0.0730), (0.5369, 0.0727), (0.5508, 0.0833)),
    "RNN": ((0.5413, 0.2567), (0.5381, 0.2660), (0.5446, 0.3047)),
    "LSTNet": ((0.5817, 0.3487), (0.5817, 0.3460), (0.5337, 0.2193)),
    "KL-CPD": ((0.5247, 0.1053), (0.5378, 0.1352), (0.5574, 0.3127)),
    "GNN+RNN": ((0.9864, 0.9740), (0.9700, 0.9320), (0.9681, 0.9153)),
    "Trans+RNN": ((0.9885, 0.9773), (0.9755, 0.9080), (0.9469, 0.9040)),
    "GNN+Trans": ((0.9692, 0.9333), (0.9609, 0.8473), (0.8840, 0.8527)),
}

TABLE_4_2 = {  # thesis, table 4.2: the same for the correlation score (cor) and the independent one (ind)
    "GNN+RNN, cor": ((0.5145, 0.3153), (0.5590, 0.3553), (0.9649, 0.9073)),
    "GNN+RNN, ind": ((0.9835, 0.9727), (0.9587, 0.9493), (0.8093, 0.7320)),
    "Trans+RNN, cor": ((0.4944, 0.2626), (0.5463, 0.3266), (0.9755, 0.9273)),
    "Trans+RNN, ind": ((0.9859, 0.9720), (0.9685, 0.9233), (0.7774, 0.6460)),
    "GNN+Trans, cor": ((0.5544, 0.3467), (0.5832, 0.4266), (0.9098, 0.8787)),
    "GNN+Trans, ind": ((0.9855, 0.9693), (0.9623, 0.9133), (0.7912, 0.7620)),
}

TABLE_4_3 = {  # thesis, table 4.3: type AUC, then accuracy for a location, a speed and a connection change
    "GNN+RNN, with label": (0.972, 0.98, 0.97, 0.68),
    "Trans+RNN, with label": (0.979, 0.98, 0.96, 0.93),
    "GNN+Trans, with label": (0.916, 0.98, 0.96, 0.87),
    "GNN+RNN, without label": (0.969, 0.98, 0.96, 0.73),
    "Trans+RNN, without label": (0.973, 0.96, 0.92, 0.84),
    "GNN+Trans, without label": (0.929, 0.91, 0.83, 0.75),
}

TABLE_9_1 = {  # thesis, table 9.1: accuracy of the springs, for a location, a speed and a connection change
    "GNN+RNN": (0.9607, 0.9604, 0.9045),
    "Trans+RNN": (0.9779, 0.9736, 0.9311),
    "GNN+Trans": (0.9749, 0.9747, 0.9253),
}

TABLE_4_4 = {  # thesis, table 4.4: (AUC, TRI) on PAMAP2
    "ARGP-BOCPD": ((0.5079, 0.1773),),
    "RDR-KCPD": ((0.5633, 0.1933),),
    "Mstats-KCPD": ((0.5112, 0.1480),),
    "RNN": ((0.5540, 0.2393),),
    "LSTNet": ((0.5688, 0.3145),),
    "KL-CPD": ((0.5326, 0.2102),),
    "GNN+RNN": ((0.7868, 0.7574),),
    "Trans+RNN": ((0.7903, 0.7750),),
    "GNN+Trans": ((0.8277, 0.8020),),
}


def thesis_frame(
    table: Mapping[str, Sequence[tuple[float, float]]], kinds: Sequence[str] = KINDS
) -> pd.DataFrame:
    """Return a thesis table as tidy rows (method, kind, metric, thesis), to be merged for `table_bars`."""
    if any(len(cells) != len(kinds) for cells in table.values()):
        raise ValueError(f"{len(kinds)} kinds {list(kinds)}; give one for each pair of columns of the table")
    rows = [
        (method, kind, metric, value)
        for method, cells in table.items()
        for kind, pair in zip(kinds, cells)
        for metric, value in zip(METRICS, pair)
    ]
    return pd.DataFrame(rows, columns=["method", "kind", "metric", "thesis"])


def auc_by_noise(
    frame: pd.DataFrame,
    *,
    methods: Sequence[str] | None = None,
    highlight: Collection[str] = (),
    bars: str = BARS,
) -> Figure:
    """Draw AUC against the observation noise: the figure of the chapter.

    `frame` has noise (standard deviation), method, kind (a column each), auc in 0..1, and may have lo and hi
    (the error bars, named `bars`) and observed ("with velocity", ...; a row each). `methods` gives the order,
    hence colours that stay the same in other figures; `highlight` are drawn thicker.
    """
    labels = {"xlabel": "observation noise (s.d.)", "ylabel": "AUC", "bars": bars}
    parts = {"line": "method", "column": "kind", "row": "observed"}
    fig, axes = curves(frame, "noise", "auc", **parts, **labels, lines=methods, highlight=highlight)
    with style():
        for ax in axes.flat:
            ax.axhline(0.5, color=MUTED, ls=":", lw=1.2, zorder=1)
            noise_axis(ax, frame["noise"])
    return fig


def auc_by_change_size(
    frame: pd.DataFrame,
    *,
    methods: Sequence[str] | None = None,
    highlight: Collection[str] = (),
    units: Mapping[str, str] | None = None,
    bars: str = BARS,
) -> Figure:
    """Draw AUC against the size of the change, a column a kind, sizes on a log axis.

    `frame` has size (above 0), method, kind, auc, and may have lo, hi and observed, as in `auc_by_noise`;
    `units[kind]` is the label of a column's axis (default: what `springs` draws from).
    """
    if "size" in frame and not (frame["size"] > 0).all():
        raise ValueError(f"sizes from {frame['size'].min()}; give sizes above 0, their axis is a log one")
    told = {"location": "kick (s.d., box units)", "speed": "kick (s.d. of speed)", "connection": "pairs"}
    told |= units or {}
    labels = {"xlabel": "size of the change", "ylabel": "AUC", "bars": bars}
    parts = {"line": "method", "column": "kind", "row": "observed"}
    fig, axes = curves(frame, "size", "auc", **parts, **labels, lines=methods, highlight=highlight)
    with style():
        for ax, kind in zip(axes[-1], in_order(frame, "kind", KINDS)):
            sizes = frame.loc[frame["kind"] == kind, "size"] if kind else frame["size"]
            log_axis(ax, sizes)
            ax.set_xlabel(told.get(kind, "size of the change"), fontsize=9)
        for ax in axes.flat:
            ax.axhline(0.5, color=MUTED, ls=":", lw=1.2, zorder=1)
    return fig


def tolerance_curve(
    frame: pd.DataFrame,
    *,
    methods: Sequence[str] | None = None,
    highlight: Collection[str] = (),
    label: str = "F1",
    bars: str = BARS,
) -> Figure:
    """Draw how often the predicted time is right within a tolerance (frames), a line a method.

    `frame` has tolerance, method, value in 0..1, and may have kind (a column each), lo and hi.
    """
    labels = {"xlabel": "tolerance, frames", "ylabel": label, "bars": bars}
    parts = {"line": "method", "column": "kind"}
    fig, axes = curves(frame, "tolerance", "value", **parts, **labels, lines=methods, highlight=highlight)
    for ax in axes.flat:
        ax.set_ylim(-0.02, 1.02)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    return fig


def alpha_sweep(frame: pd.DataFrame, *, chosen: float | None = 0.75, bars: str = BARS) -> Figure:
    """Draw the accuracy of the change's type against alpha, a line a kind of change (figure 9.2).

    `frame` has alpha, kind, value in 0..1 (`evaluate.alpha_sweep`), and may have lo, hi and label ("with" or
    "without" the labelled time; a column each). `chosen` is marked (thesis 4.4.4: .75).
    """
    if "label" in frame:
        told = {"with": "with label", "without": "without label"}
        frame = frame.assign(label=[told.get(name, name) for name in frame["label"]])
    marked = "" if chosen is None else f" (dotted: {chosen:g})"
    labels = {"xlabel": f"alpha{marked}", "ylabel": "right type, per cent", "bars": bars}
    fig, axes = curves(frame, "alpha", "value", line="kind", column="label", factor=100, **labels)
    for ax in axes.flat:
        if chosen is not None:
            ax.axvline(chosen, color=NEUTRAL, ls=":", lw=1.2)
        ax.set_ylim(-2, 102)
    return fig


def table_bars(
    frame: pd.DataFrame,
    *,
    methods: Sequence[str] | None = None,
    highlight: Collection[str] = (),
    bars: str = BARS,
    thesis: str = "thesis",
) -> Figure:
    """Draw tables 4.1 or 4.4 as bars with intervals, the thesis's figures as hollow diamonds.

    `frame` has method (a row each), kind (a column each; a change or a data set), metric (a row of panels),
    value in 0..1, and may have lo, hi and thesis (NaN for none). Bars of AUC start at .5 (chance), others at
    0; `highlight` are blue.
    """
    keys = ["method", "kind", "metric"]
    checked_rows(frame, [*keys, "value"], keys, within={"value": 0})
    known_names(highlight, frame["method"], methods)
    order, kinds = in_order(frame, "method", methods or ()), in_order(frame, "kind", KINDS)
    metrics = in_order(frame, "metric", METRICS)
    with style():
        fig, axes = plt.subplots(
            len(metrics),
            len(kinds),
            figsize=(WIDTH if len(kinds) > 1 else 4.4, len(metrics) * (0.19 * len(order) + 0.35) + 0.8),
            squeeze=False,
            sharex="row",
            sharey=True,
        )
        for (r, c), ax in np.ndenumerate(axes):
            cell = frame[(frame["metric"] == metrics[r]) & (frame["kind"] == kinds[c])].set_index("method")
            cell = cell.reindex(order)
            y, base = np.arange(len(order)), 0.5 if metrics[r] == "AUC" else 0.0
            colours = [COLOURS[0] if name in highlight else COLOURS[5] for name in order]
            ax.barh(y, cell["value"].fillna(base) - base, 0.56, left=base, color=colours)
            ax.axvline(base, color=NEUTRAL, lw=0.8)
            if "lo" in cell:
                ax.hlines(y, cell["lo"], cell["hi"], color=NEUTRAL, lw=1.5)
            if "thesis" in cell:
                ax.plot(cell["thesis"], y, "D", color=COLOURS[1], mfc="none", ms=5, mew=1.4)
            ax.set_xlabel(metrics[r])
            ax.set_title(kinds[c] if r == 0 else "")
            ax.grid(axis="y", visible=False)
        axes[0, 0].set_yticks(range(len(order)), order)
        axes[0, 0].set_ylim(len(order) - 0.4, -0.6)
        ax = axes[0, 0]
        if "lo" in frame:
            ax.plot([], [], color=NEUTRAL, lw=1.5, label=bars)
        if "thesis" in frame:
            ax.plot([], [], "D", color=COLOURS[1], mfc="none", ms=5, mew=1.4, label=thesis)
        if ax.get_legend_handles_labels()[0]:
            fig.legend(loc="outside upper center", ncols=2)
    return fig


def growth(
    frame: pd.DataFrame,
    *,
    methods: Sequence[str] | None = None,
    slopes: Sequence[int] = (1, 2),
) -> Figure:
    """Draw time and memory against the number of variables and of frames, on log axes.

    `frame` has varied ("variables" or "frames", a column each), size, seconds and megabytes, and may have
    method (a line each). Dotted lines grow as size to the powers `slopes`, from the first method's
    first point.
    """
    whole = checked_rows(frame, ["varied", "size", "seconds", "megabytes"], ["varied", "size", "method"])
    if not (frame[["size", "seconds", "megabytes"]] > 0).all(axis=None):
        raise ValueError("size, seconds and megabytes must be above 0: the axes are log ones")
    looks, varied = looks_of(whole, "method", methods), in_order(whole, "varied", ("variables", "frames"))
    with style():
        fig, axes = plt.subplots(
            2,
            len(varied),
            figsize=(WIDTH if len(varied) > 1 else 3.6, 4.2),
            squeeze=False,
            sharex="col",
            sharey="row",
        )
        for (r, c), ax in np.ndenumerate(axes):
            column = ("seconds", "megabytes")[r]
            cell = whole[whole["varied"] == varied[c]].sort_values("size")
            first = cell[cell["method"] == next((m for m in looks if (cell["method"] == m).any()), "")]
            for slope in slopes:
                ends = first["size"].to_numpy(dtype=float)[[0, -1]]
                line = first[column].iloc[0] * (ends / ends[0]) ** slope
                ax.plot(ends, line, ":", color=MUTED, lw=1.2)
                ax.annotate(
                    f"size{'' if slope == 1 else '²' if slope == 2 else f'^{slope}'}",
                    (ends[1], line[1]),
                    xytext=(-2, 3),
                    textcoords="offset points",
                    ha="right",
                    fontsize=8,
                )
            for name, look in looks.items():
                points = cell[cell["method"] == name]
                ax.plot(points["size"], points[column], ms=4, lw=1.5, label=name, **look)
            ax.set_yscale("log")
            log_axis(ax, cell["size"])
            ax.set_ylabel(("time, s", "memory, MB")[r] if c == 0 else "")
            if r == 1:
                ax.set_xlabel(f"number of {varied[c]}")
        legend(fig, axes[0, 0], looks)
    return fig


def training(frame: pd.DataFrame, *, methods: Sequence[str] | None = None, log: bool = True) -> Figure:
    """Draw losses by epoch: a thin line a seed, a thick one for their mean, a panel a loss.

    `frame` has epoch, seed, loss (its name) and value, and may have method (a colour each). The mean is drawn
    where all seeds of the method have the epoch; `log` takes log axes for losses that are above 0.
    """
    whole = checked_rows(frame, ["epoch", "seed", "loss", "value"], ["epoch", "seed", "loss", "method"])
    looks, losses = looks_of(whole, "method", methods), in_order(whole, "loss", ())
    columns = min(len(losses), 2)
    rows = -(-len(losses) // columns)
    with style():
        size = (WIDTH if columns > 1 else 4.2, 2.2 * rows + 0.6)
        fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
        for ax in axes.flat[len(losses) :]:
            ax.set_axis_off()
        for name, ax in zip(losses, axes.flat):
            for method, look in looks.items():
                cell = whole[(whole["loss"] == name) & (whole["method"] == method)]
                table = cell.pivot(index="epoch", columns="seed", values="value").sort_index()
                for seed in table.columns:
                    ax.plot(table.index, table[seed], color=look["color"], lw=0.9, alpha=0.6)
                mean = table.mean(axis=1, skipna=False)
                ax.plot(table.index, mean, ls=look["ls"], color=look["color"], lw=2, label=method)
            values = whole.loc[whole["loss"] == name, "value"]
            if log and (values.dropna() > 0).all():
                ax.set_yscale("log")
            ax.set(xlabel="epoch", ylabel=name)
        legend(fig, axes[0, 0], looks)
    return fig


def why_trivial_wins(
    series: Mapping[str, npt.ArrayLike], change_time: int, *, of: str = "velocity", around: int = 20
) -> Figure:
    """Draw location, velocity and 2nd and 3rd differences around a kick: why no model is needed without noise.

    `series[name]` float [T, 2] is one coordinate's location and velocity, of the same draws at no noise and at
    some (a column each); `of` says whose differences. A difference is drawn at the last frame it uses, so
    `change_time` is the first that sees the kick; a panel tells how the largest one that uses both sides of
    the change compares with the largest elsewhere in the series. `around` frames on either side are drawn,
    each panel on a scale of its own.
    """
    given = {name: np.asarray(values, dtype=float) for name, values in series.items()}
    shapes = {values.shape for values in given.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2 or next(iter(shapes))[1] != 2:
        raise ValueError(
            f"series of shapes {sorted(shapes)}; expected [T, 2] of one T, location and velocity"
        )
    frames = len(next(iter(given.values())))
    if checked_change(change_time, frames) < 3 or frames < change_time + 4:
        raise ValueError(f"change_time={change_time} of {frames} frames; leave 3 frames before and after it")
    if of not in ("location", "velocity"):
        raise ValueError(f"of={of!r}; the differences are of 'velocity' or 'location'")
    labels = ("location", "velocity", f"2nd difference\nof {of}", f"3rd difference\nof {of}")
    first, last = max(change_time - around, 0), min(change_time + around, frames - 1)
    with style():
        size = (WIDTH if len(given) > 1 else 3.6, 5.0)
        fig, axes = plt.subplots(4, len(given), figsize=size, squeeze=False, sharex=True)
        for (name, values), column in zip(given.items(), axes.T):
            column[0].set_title(name)
            for row, order in enumerate((0, 0, 2, 3)):
                which = row if row < 2 else ("location", "velocity").index(of)
                found = np.diff(values[:, which], order)
                time = np.arange(order, frames)
                seen = (time >= first) & (time <= last)
                column[row].plot(time[seen], found[seen], ".-", ms=3, lw=1.2, color=COLOURS[0])
                if order:
                    using = (time >= change_time) & (time < change_time + order)
                    ratio = np.abs(found[using]).max() / max(np.abs(found[~using]).max(), 1e-12)
                    told = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
                    column[row].set_title(f"kick: {told} × the rest", fontsize=9, loc="right")
                mark_change(column[row], change_time)
            column[-1].set_xlabel("frame")
        for ax, label in zip(axes[:, 0], labels):
            ax.set_ylabel(label, fontsize=9)
    return fig
