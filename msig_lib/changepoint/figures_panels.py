"""Small multiples of lines that the chapter's result figures share, with their looks, legends and axes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from matplotlib.transforms import ScaledTranslation

from msig_lib.changepoint.figures_springs import WIDTH
from msig_lib.display import COLOURS, marks, style
from msig_lib.display.tidy import checked_rows

KINDS = ("location", "speed", "connection")
MARKS = "osD^vPXp"


def curves(
    frame: pd.DataFrame,
    x: str,
    y: str,
    *,
    line: str,
    column: str,
    row: str | None = None,
    lines: Sequence[str] | None = None,
    highlight: Collection[str] = (),
    xlabel: str,
    ylabel: str,
    bars: str,
    factor: float = 1.0,
) -> tuple[Figure, np.ndarray]:
    """Return small multiples of `y` against `x`, and their axes [rows, columns]; a line a value of `line`.

    Bars lead from lo to hi where the table has them, shifted by a hair so that none hides another; `factor`
    multiplies y, lo and hi.
    """
    parts = [name for name in (line, column, row) if name is not None]
    whole = checked_rows(frame, [line, x, y], [x, *parts], within={y: 0})
    known_names(highlight, whole[line], lines)
    looks = looks_of(whole, line, lines)
    columns = in_order(whole, column, (*KINDS, "with label"))
    rows = in_order(whole, row, ("with velocity", "location and speed")) if row else [""]
    size = (WIDTH if len(columns) > 1 else 4.2, 1.75 * len(rows) + 0.75 + 0.22 * -(-len(looks) // 3))
    if len(columns) * len(rows) == 1:
        size = (4.2, 3.1 + 0.22 * -(-len(looks) // 3))
    aside: list[tuple[plt.Axes, list, float]] = []  # moved once all data have set the axes' limits
    with style():
        fig, axes = plt.subplots(
            len(rows), len(columns), figsize=size, squeeze=False, sharex="col", sharey=True
        )
        for (r, c), ax in np.ndenumerate(axes):
            cell = whole[whole[column] == columns[c]]
            cell = cell[cell[row] == rows[r]] if row else cell
            for k, name in enumerate(looks):
                points = cell[cell[line] == name].sort_values(x)
                look, thick = looks[name], name in highlight
                wide = {"lw": 2.4, "ms": 5, "zorder": 4} if thick else {"lw": 1.2, "ms": 3.5, "zorder": 3}
                drawn = ax.plot(points[x], factor * points[y], label=name, **look, **wide)
                if "lo" in frame:
                    known = points.dropna(subset=["lo", "hi"])
                    ends = factor * known[["lo", "hi"]].assign(gap=np.nan).to_numpy()
                    # One path for all bars of a line, broken by gaps, keeps the page small.
                    drawn += ax.plot(np.repeat(known[x], 3), ends.ravel(), color=look["color"], lw=1)
                aside.append((ax, drawn, k - (len(looks) - 1) / 2))
            ax.margins(x=0.08)
            ax.set_title(str(columns[c]) if r == 0 else "")
            ax.set_ylabel((f"{rows[r]}\n{ylabel}" if rows[r] else ylabel) if c == 0 else "")
        low, high = axes[0, 0].get_ylim()  # of all panels; what no share can be is cut off
        axes[0, 0].set_ylim(max(low, -0.04 * factor), min(high, 1.04 * factor))
        for ax, drawn, points_aside in aside:
            shift = ScaledTranslation(points_aside / 72, 0, fig.dpi_scale_trans)
            for artist in drawn:
                artist.set_transform(ax.transData + shift)
        told = f"; bars: {bars}" if "lo" in frame else ""
        fig.supxlabel(xlabel + told, fontsize=10)
        legend(fig, axes[0, 0], looks)
    return fig, axes


def known_names(names: Collection[str], found: Iterable[str], order: Sequence[str] | None) -> None:
    """Raise ValueError for a name to highlight that is neither in the table nor in the order of methods."""
    unknown = sorted(set(names) - set(found) - set(order or ()))
    if isinstance(names, str) or unknown:
        raise ValueError(f"highlight={names!r}; give a list of names of {list(dict.fromkeys(found))}")


def in_order(frame: pd.DataFrame, column: str, first: Sequence[str]) -> list[str]:
    """Return the values of a column: those of `first` in its order, then the others as they come."""
    if column not in frame:
        return [""]
    found = list(dict.fromkeys(frame[column]))
    return [name for name in first if name in found] + [name for name in found if name not in first]


def looks_of(frame: pd.DataFrame, column: str, order: Sequence[str] | None) -> dict[str, dict[str, str]]:
    """Return colour, marker and dash of each line, by its place in `order`, present or not, then as they come."""
    places = list(dict.fromkeys([*(order or ()), *in_order(frame, column, KINDS)]))
    return {
        name: {"color": COLOURS[k % 6], "marker": MARKS[k % 8], "ls": ("-", "--", ":")[k // 6 % 3]}
        for k, name in enumerate(places)
        if (frame[column] == name).any()
    }


def legend(fig: Figure, ax: plt.Axes, looks: Mapping[str, object]) -> None:
    """Put a legend of the lines above the panels, unless there is one line without a name."""
    if len(looks) > 1 or any(looks):
        marks.legend(fig, [ax], ncols=3)


def noise_axis(ax: plt.Axes, noise: pd.Series) -> None:
    """Scale a panel's noise as a log axis that also holds 0."""
    values = sorted(set(noise))
    positive = [value for value in values if value > 0]
    if values[0] < 0:
        raise ValueError(f"noise {values[0]}: a standard deviation is 0 or more")
    if len(positive) > 1 or (positive and values[0] == 0):
        ax.set_xscale("symlog", linthresh=positive[0], linscale=0.4)
    _ticks(ax, values)


def log_axis(ax: plt.Axes, values: pd.Series) -> None:
    ax.set_xscale("log")
    _ticks(ax, sorted(set(values)))


def _ticks(ax: plt.Axes, values: Sequence[float]) -> None:
    texts = [f"{v:,g}".replace("0.", ".", 1) if 0 < v < 1 else f"{v:,g}" for v in values]
    ax.set_xticks(values, texts, fontsize=8, rotation=90 if len(values) > 5 else 0)
    ax.xaxis.set_minor_locator(NullLocator())
