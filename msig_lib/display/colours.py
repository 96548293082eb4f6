"""Colours that are readable on light and dark pages, and the matplotlib style that uses them.

Text, spines and ticks are drawn in `NEUTRAL`, a colour that nothing else uses: `msig_lib.display.svg`
replaces it by `currentColor`, so that it becomes the page's own text colour. `MUTED` and `PAPER` become the
page's muted text colour and its background in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# In the spirit of Okabe and Ito (2008), darkened where a colour would vanish on white. Every colour has a
# contrast of at least 3:1 on white and on the dark pages (#121212, #14181e), and any two differ by more than
# 25 (CIE76) for full-colour, protan and deutan vision; tests/display keeps both.
PALETTE: dict[str, str] = {
    "blue": "#0057f0",
    "orange": "#d97c00",
    "green": "#21a583",
    "red": "#ae4228",
    "violet": "#9286e7",
    "slate": "#4f698a",
}
COLOURS: tuple[str, ...] = tuple(PALETTE.values())

NEUTRAL = "#010203"
MUTED = "#020304"
PAPER = "#fdfcfe"

# What each stand-in becomes in the page; the fallbacks serve JupyterLab, then anything else.
CSS: dict[str, str] = {
    NEUTRAL: "currentColor",
    MUTED: "var(--pst-color-text-muted, var(--jp-ui-font-color2, currentColor))",
    PAPER: "var(--pst-color-background, var(--jp-layout-color0, Canvas))",
}
FOREGROUND = "var(--pst-color-text-base, var(--jp-ui-font-color1, inherit))"

PANEL = (4.2, 3.0)  # inches; two of them share a line of the book, one fills a phone


@contextmanager
def style(**overrides: Any) -> Iterator[None]:
    """Draw with the book's style inside the `with` block; `overrides` are matplotlib rc settings.

    Keys of `overrides` use `__` for the dot (`axes__grid=False`).
    """
    import matplotlib
    from cycler import cycler

    settings: dict[str, Any] = {
        "figure.figsize": PANEL,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "font.size": 10,
        "axes.titlesize": 10.5,
        "axes.labelsize": 10,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "legend.handlelength": 1.6,
        "text.color": NEUTRAL,
        "axes.labelcolor": NEUTRAL,
        "axes.edgecolor": NEUTRAL,
        "axes.titlecolor": NEUTRAL,
        "xtick.color": NEUTRAL,
        "ytick.color": NEUTRAL,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": NEUTRAL,
        "grid.alpha": 0.13,
        "grid.linewidth": 0.7,
        "axes.prop_cycle": cycler(color=COLOURS),
        "axes.titlelocation": "left",
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "errorbar.capsize": 2.5,
        "hatch.color": NEUTRAL,
        "hatch.linewidth": 0.7,
        "patch.linewidth": 0.0,
        "image.cmap": "cividis",
        "image.interpolation": "nearest",
        "svg.fonttype": "none",
        "axes.formatter.use_mathtext": False,
        "axes.unicode_minus": True,
    }
    settings.update({key.replace("__", "."): value for key, value in overrides.items()})
    with matplotlib.rc_context(settings):
        yield
