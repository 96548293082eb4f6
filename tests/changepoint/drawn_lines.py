"""What the tests of chapter 4's figures share: a series' length and change, and what a drawn figure shows."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt

from msig_lib import display

T, CHANGE = 60, 25
KINDS = ("location", "speed", "connection")


def lines(ax, *, of=None):
    """Lines of an axes (of a label or colour) that have more than a point."""
    wanted = [line for line in ax.lines if of in (None, line.get_label(), line.get_color())]
    return [np.asarray(line.get_ydata(), dtype=float) for line in wanted if len(line.get_ydata())]


def holds(ax, values):
    """Whether one of the lines of an axes has exactly these y values."""
    return any(len(y) == len(values) and np.allclose(y, values, equal_nan=True) for y in lines(ax))


def legend_of(figure):
    return [text.get_text() for found in figure.legends for text in found.get_texts()]


def check_readable(figure):
    """Axes are named and filled, texts are large enough, and a page can show the figure."""
    assert figure.get_size_inches()[0] <= 5.2  # a wider panel scrolls on a phone
    texts = [t for t in figure.findobj(plt.Text) if t.get_text()]
    assert min(text.get_fontsize() for text in texts) >= 8
    shown = [ax for ax in figure.axes if ax.axison and ax.get_label() != "<colorbar>"]
    assert all(ax.lines or ax.patches or ax.images for ax in shown)
    if shown:  # springs on a circle have no axes
        assert figure.get_supxlabel() or any(ax.get_xlabel() for ax in shown)
        assert figure.get_supylabel() or any(ax.get_ylabel() or ax.get_yticklabels() for ax in shown)
    for line in figure.findobj(plt.Line2D):
        assert not str(line.get_color()).startswith("C")  # "C0" would be resolved outside the book's style
    html = display.figure(figure, name="test", caption="What to see.", alt="A drawing.").html
    assert "<svg" in html and len(html) < 120_000
