"""What a figure holds, read back from its artists."""

import numpy as np
from matplotlib import pyplot as plt


def lines(ax):
    """Return {label: (x, y)} of the lines of an axes that have a name."""
    return {
        line.get_label(): (np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float))
        for line in ax.get_lines()
        if not line.get_label().startswith("_")
    }


def across(ax):
    """Return the heights of the lines that go all the way across an axes."""
    return {
        line.get_label(): line.get_ydata()[0] for line in ax.get_lines() if list(line.get_xdata()) == [0, 1]
    }


def title(ax):
    """Return the title of an axes, which the book's style puts on the left."""
    return ax.get_title(loc="left")


def bars(ax):
    """Return the ends of every interval, sorted [(low, high)], of upright ones."""
    found = [segment for made in ax.collections for segment in getattr(made, "get_segments", list)()]
    return sorted((round(a[1], 6), round(b[1], 6)) for a, b in found)


def texts(fig):
    """Return every text that is drawn, after a layout: titles, ticks, labels and legends."""
    fig.canvas.draw()
    return [text.get_text() for text in fig.findobj(plt.Text) if text.get_text()]
