"""What figures of tidy tables share: points with their intervals, looks of lines, names of rows, one legend.

Shares and gains are 0..1 in tables and per cent or points in figures. A figure is `WIDTH` inches wide, so that a phone
shows it whole.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from msig_lib.display.colours import COLOURS, NEUTRAL, style
from msig_lib.display.tidy import checked_rows

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 4.2  # inches
MARKS = "os^DvPXp"
DASHES = ("-", "--", ":", "-.")
SIDES = {"chosen": (COLOURS[0], "-"), "rejected": (COLOURS[1], "--")}


def known(values: Iterable[object], allowed: Collection[str], what: str) -> None:
    """Raise ValueError for a value that is none of those allowed."""
    strange = [value for value in dict.fromkeys(values) if value not in allowed]
    if strange:
        raise ValueError(f"{what} {strange}; expected some of {list(allowed)}")


def looks(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return colour, marker and dash of each line, no two alike for up to 24 names."""
    return {
        name: {"color": COLOURS[k % 6], "marker": MARKS[k % 8], "ls": DASHES[k // 6 % 4]}
        for k, name in enumerate(names)
    }


def points(
    ax: Axes,
    at: npt.ArrayLike,
    rows: pd.DataFrame,
    *,
    scale: float = 100,
    across: bool = False,
    bars: bool = True,
    **look: Any,
) -> list[Any]:
    """Draw `scale` times the values of `rows` at `at`, with a bar from lo to hi where both are known.

    `across` draws to the right, not upwards; `look` are settings of `plot`. Returns the artists.
    """
    at, values = np.asarray(at, dtype=float), scale * rows["value"].to_numpy(dtype=float)
    drawn = ax.plot(*((values, at) if across else (at, values)), zorder=3, **look)
    ends = scale * rows[["lo", "hi"]].to_numpy(dtype=float)
    told = np.isfinite(ends).all(axis=1)
    if bars and told.any():
        bar = ax.hlines if across else ax.vlines
        drawn.append(bar(at[told], *ends[told].T, colors=look["color"], lw=1.3, zorder=2))
    return drawn


def apart(fig: Figure, drawn: Sequence[tuple[Axes, list[Any], float]]) -> None:
    """Move artists sideways by some points, so that no bar hides another, once their data have set the limits."""
    from matplotlib.transforms import ScaledTranslation

    for ax, _, _ in drawn:
        ax.autoscale_view()
    for ax, artists, by in drawn:
        for artist in artists:
            artist.set_transform(ax.transData + ScaledTranslation(by / 72, 0, fig.dpi_scale_trans))


def row_names(ax: Axes, names: Iterable[object], width: int = 20) -> None:
    """Name the rows of a figure from the top, long names in several lines."""
    texts = [wrapped(name, width) for name in names]
    ax.set_yticks(range(len(texts)), texts)
    ax.set_ylim(max(len(texts), 1) - 0.5, -0.5)


def wrapped(name: object, width: int) -> str:
    """Return a name in lines of at most about `width` characters."""
    return textwrap.fill(str(name), width, break_long_words=False)


def legend(fig: Figure, axes: Iterable[Axes], *, ncols: int, last: Collection[str] = ()) -> None:
    """Put one legend of all panels above them, in at most `ncols` columns, the labels of `last` at its end."""
    shown: dict[str, Any] = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels()):
            shown.setdefault(name, handle)
    order = sorted(shown, key=lambda name: name in last)
    for columns in range(min(ncols, len(order)), 0, -1):
        drawn = fig.legend([shown[name] for name in order], order, loc="outside upper center", ncols=columns)
        if columns == 1 or drawn.get_window_extent().width <= fig.bbox.width:
            return
        drawn.remove()  # wider than the figure, it would be cut off


def log_ratios(frame: pd.DataFrame, names: Mapping[str, str] | None = None) -> Figure:
    """Draw the log-probability of chosen and rejected responses over that of the reference, a panel an arm.

    `frame` has step, arm, side ("chosen" or "rejected"), value (mean log-ratio, nats) and seed: a thin line
    a seed, a thick one for the mean where all seeds of the arm have the step. `names` says what an arm is called.
    """
    from matplotlib import pyplot as plt

    keys = ["arm", "side", "seed", "step"]
    whole = checked_rows(frame, [*keys, "value"], keys)
    known(whole["side"], SIDES, "side")
    arms = list(dict.fromkeys(whole["arm"]))
    columns = min(len(arms), 2)
    rows = -(-len(arms) // columns)
    with style():
        size = (WIDTH, 1.9 * rows + 0.9 if columns > 1 else 3.0)
        fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True)
        for ax in axes.flat[len(arms) :]:
            ax.set_axis_off()
        for arm, ax in zip(arms, axes.flat):
            ax.axhline(0, color=NEUTRAL, lw=1)
            for side, (colour, dash) in SIDES.items():
                part = whole[(whole["arm"] == arm) & (whole["side"] == side)]
                if not len(part):
                    continue
                table = part.pivot(index="step", columns="seed", values="value").sort_index()
                for seed in table if table.shape[1] > 1 else ():
                    ax.plot(table.index, table[seed], color=colour, ls=dash, lw=0.8, alpha=0.55)
                mean = table.mean(axis=1, skipna=False)
                ax.plot(table.index, mean, color=colour, ls=dash, lw=2.2, label=side)
            ax.set_title(wrapped((names or {}).get(arm, arm), 22), fontsize=9)
            ax.tick_params(labelbottom=True)  # also where the panel below is empty
        fig.supxlabel("training step", fontsize=10)
        fig.supylabel("log-ratio to the reference, nats", fontsize=10)
        legend(fig, axes.flat, ncols=2)
    return fig
