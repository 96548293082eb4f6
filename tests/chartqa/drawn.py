"""What the tests of chapter 7's figures share: tables to draw, and what a drawn figure shows."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from msig_lib.display import COLOURS
from msig_lib.display.svg import to_svg


def tidy(**factors):
    """All combinations of the factors, shuffled, a value and its interval for each; one row has none."""
    rows = pd.MultiIndex.from_product(factors.values(), names=factors).to_frame(index=False)
    rows["value"] = 0.2 + 0.6 * np.random.default_rng(1).random(len(rows))
    rows = rows.assign(lo=rows["value"] - 0.03, hi=rows["value"] + 0.02)
    rows.loc[0, ["lo", "hi"]] = np.nan
    return rows.sample(frac=1, random_state=0, ignore_index=True)


def alone(frame):
    """The table as one seed alone gives it, and only its first row: no interval."""
    return frame.drop(columns=["lo", "hi"]).head(1)


def named(ax, label):
    """The line of a label."""
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return line


def bars(ax):
    """(place, lo, hi) of every bar of a panel that stands, and of every one that lies."""
    upright, lying = set(), set()
    for lines in ax.collections:
        for (x0, y0), (x1, y1) in lines.get_segments():
            (upright if x0 == x1 else lying).add(
                tuple(np.round((x0, y0, y1) if x0 == x1 else (y0, x0, x1), 6))
            )
    return upright, lying


def expected_bars(places, rows):
    ends = 100 * rows[["lo", "hi"]].to_numpy()
    return {
        tuple(np.round((at, *pair), 6)) for at, pair in zip(places, ends) if np.isfinite(pair).all()
    }  # fmt: skip


def at_height(ax, y):
    """Whether a line crosses the whole panel at y."""
    return any(
        list(line.get_ydata()) == pytest.approx([y, y]) and len(line.get_xdata()) == 2 for line in ax.lines
    )


def legend_of(figure):
    return [text.get_text() for found in figure.legends for text in found.get_texts()]


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes if ax.axison]


def texts(figure):
    return [text for text in figure.findobj(plt.Text) if text.get_text() and text.get_visible()]


def check_readable(figure):
    """A phone shows the whole figure, in both themes, and no line is told from another by its colour alone."""
    assert figure.get_size_inches()[0] <= 4.2
    assert min(text.get_fontsize() for text in texts(figure)) >= 8
    for ax in figure.axes:
        assert not ax.axison or ax.get_xlabel() or figure.get_supxlabel()
        shown = [line for line in ax.lines if not line.get_label().startswith("_")]
        looks = [(line.get_marker(), line.get_linestyle()) for line in shown]
        assert len(set(looks)) == len(looks)  # no line is told from another by its colour alone
    svg = to_svg(figure, "test")[0]
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= set(COLOURS)  # but for what follows the theme
    assert len(svg) < 80_000
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 > -0.03 and drawn.y0 > -0.03 and drawn.x1 < width + 0.03 and drawn.y1 < height + 0.03
