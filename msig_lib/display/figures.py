"""Figures as inline SVG panels that wrap on a phone and follow the page's theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from msig_lib.display.colours import FOREGROUND
from msig_lib.display.svg import to_svg
from msig_lib.display.words import DisplayError, checked_name, checked_text, digest, inline, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 500  # px; a wider panel scrolls inside itself on a phone instead of shrinking its text
RASTER_POINTS = 2000


@dataclass(frozen=True)
class FigureOutput:
    """A finished figure: `html` for a page, `fingerprint` (SHA-256 of its data) to compare executions."""

    name: str
    html: str = field(repr=False)
    fingerprint: str
    caption: str = field(repr=False)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        text = f"figure {self.name}: {plain(self.caption)}\ndata sha256 {self.fingerprint}"
        return {"text/html": self.html, "text/plain": text}


def figure(
    panels: Figure | Sequence[Figure],
    *,
    name: str,
    caption: str,
    alt: str | Sequence[str],
    data: Any = None,
    rasterise: bool | int = False,
) -> FigureOutput:
    """Return matplotlib figures as one `<figure>` of inline SVG panels, and close them.

    `name` (lower-case words joined by dashes) is the figure's anchor and must be unique on its page;
    `caption` is one line of Markdown that says what to see; `alt` describes the picture, as one text or one a
    panel; `data` (table, arrays, dict) is what is drawn, and its digest is the text form of the output
    (without it, the drawing's). `rasterise` turns artists of more than 2,000 (or the given number of) points
    into a picture.
    Raises DisplayError when a name, caption or alternative text is missing.
    """
    import matplotlib.pyplot as plt

    figures = list(panels) if isinstance(panels, Sequence) else [panels]
    checked_name(name, "figure")
    checked_text(caption, f"the caption of figure {name!r}")
    alts = [alt] + [""] * (len(figures) - 1) if isinstance(alt, str) else list(alt)
    if not figures or len(alts) != len(figures):
        raise DisplayError(
            f"figure {name!r}: {len(figures)} panels and {len(alts)} alternative texts; "
            "give one text for all, or one for each panel"
        )
    limit = (RASTER_POINTS if rasterise is True else int(rasterise)) if rasterise else None
    parts, widest = [], 0.0
    for number, (panel, text) in enumerate(zip(figures, alts)):
        if number == 0 or not isinstance(alt, str):
            checked_text(text, f"the alternative text of figure {name!r}")
        svg, width = to_svg(panel, f"{name}-{number + 1}", rasterise=limit)
        parts.append(panel_html(svg, width, text, label=f"{name}, panel {number + 1}"))
        plt.close(panel)
        widest = max(widest, width)
    body = "".join(parts)
    html = (
        f'<figure class="msig-figure" id="fig-{name}" style="margin:1em 0;color:{FOREGROUND}">'
        # As many equal columns as fit, so that the last panel of an odd number is no larger than the others.
        '<div class="msig-panels" style="display:grid;gap:.75rem;justify-items:center;align-items:start;'
        f'grid-template-columns:repeat(auto-fit,minmax(min(100%,{0.74 * widest:.0f}px),1fr))">'
        f"{body}</div>"
        f'<figcaption class="mathjax_process" style="margin-top:.5em">{inline(caption)}</figcaption></figure>'
    )
    return FigureOutput(name, html, digest(data) if data is not None else digest(body), caption)


def panel_html(svg: str, width: float, alt: str, *, label: str) -> str:
    """Return one panel: the SVG with its alternative text in a box of at most 1.15 of its width (px)."""
    spoken = f'role="img" aria-label="{escape(alt)}"' if alt else 'aria-hidden="true"'
    wide = width > WIDE
    least = f"min-width:{0.72 * width:.0f}px;" if wide else ""
    drawing = svg.replace(
        "<svg ", f'<svg {spoken} focusable="false" style="display:block;width:100%;height:auto;{least}" ', 1
    )
    scroll = f' tabindex="0" role="region" aria-label="{escape(label)}, scrolls sideways"' if wide else ""
    box = f"flex:1 1 {0.74 * width:.0f}px;width:100%;max-width:{1.15 * width:.0f}px;min-width:0"
    return (
        f'<div class="msig-panel"{scroll} style="{box}{";overflow-x:auto" if wide else ""}">{drawing}</div>'
    )
