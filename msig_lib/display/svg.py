"""Turn a matplotlib figure into a small inline SVG that takes its colours and its font from the page."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from msig_lib.display.colours import CSS, MUTED, NEUTRAL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG = "http://www.w3.org/2000/svg"
HREF = "{http://www.w3.org/1999/xlink}href"
RASTER_DPI = 200
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_BLACK = re.compile(r"#(?:000000|262626|333333)\b")  # matplotlib's and seaborn's own foregrounds
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_ROUNDED = ("d", "x", "y", "points", "transform", "width", "height", "cx", "cy", "r")
ElementTree.register_namespace("", SVG)


def to_svg(figure: Figure, prefix: str, *, rasterise: int | None = None) -> tuple[str, float]:
    """Return (inline `<svg>` text, natural width in CSS px) of a figure.

    Every id starts with `prefix`, so that several figures can share a page. With `rasterise`, artists of more
    than that many points become an embedded picture. The same figure and prefix give the same bytes.
    """
    import matplotlib

    if figure.get_layout_engine() is None:
        figure.set_layout_engine("constrained")
    if rasterise is not None:
        _rasterise(figure, rasterise)
    buffer = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix, "svg.id": None}):
        figure.savefig(buffer, format="svg", metadata=nothing, transparent=True, dpi=RASTER_DPI)
    width = float(figure.get_size_inches()[0]) * 96
    return _clean(buffer.getvalue(), prefix), width


def _rasterise(figure: Figure, limit: int) -> None:
    for axes in figure.axes:
        for artist in [*axes.collections, *axes.lines]:
            points = artist.get_offsets() if hasattr(artist, "get_offsets") else artist.get_xdata()
            if len(points) > limit:
                artist.set_rasterized(True)
                # A picture cannot follow the theme: give it a grey that is seen on both.
                colour = artist.get_color() if hasattr(artist, "get_color") else None
                if colour in (NEUTRAL, MUTED, "k", "black"):
                    artist.set_color("#7a7a7a")


def _clean(text: str, prefix: str) -> str:
    root = ElementTree.fromstring(text)
    parents = {child: parent for parent in root.iter() for child in parent}
    for element in list(root.iter()):
        tag = element.tag.removeprefix(f"{{{SVG}}}") if isinstance(element.tag, str) else ""
        if tag in ("metadata", "style"):
            parents[element].remove(element)
    used = set()
    for element in root.iter():
        target = element.attrib.pop(HREF, None)
        if target is not None:
            element.set("href", target if target.startswith("data:") else _named(target, prefix))
            if target.startswith("#"):
                used.add(target[1:])
            else:
                element.set("href", re.sub(r"\s+", "", target))
        for key, value in element.attrib.items():
            used.update(_REFERENCE.findall(value))
            element.set(key, _REFERENCE.sub(lambda m: f"url(#{prefix}-{m[1]})", value))
    for element in root.iter():
        if "id" in element.attrib:
            name = element.attrib.pop("id")
            if name in used:
                element.set("id", f"{prefix}-{name}")
        _restyle(element)
        if element.tag != f"{{{SVG}}}text" and element.tag != f"{{{SVG}}}tspan":
            element.text = None
        element.tail = None
    _flatten(root)
    box = root.get("viewBox", "0 0 1 1")
    width, height = (float(part) for part in box.split()[2:])
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("viewBox", f"0 0 {width:g} {height:g}")
    # Defaults that matplotlib's style sheet would otherwise set for the whole page.
    root.set("fill", "currentColor")
    root.set("stroke-linejoin", "round")
    root.set("stroke-linecap", "butt")
    out = ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)
    return out.replace(" />", "/>")


def _named(reference: str, prefix: str) -> str:
    return f"#{prefix}-{reference[1:]}"


def _restyle(element: Any) -> None:
    for key in _ROUNDED:
        if key in element.attrib and len(element.attrib[key]) > 5:
            short = _NUMBER.sub(lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), element.attrib[key])
            element.set(key, " ".join(short.split()))
    for key in ("fill", "stroke"):
        if key in element.attrib:
            element.set(key, _themed(element.attrib[key]))
    if "style" in element.attrib:
        rules = [rule.strip() for rule in element.attrib["style"].split(";") if rule.strip()]
        kept = [_themed(rule) for rule in rules if not rule.startswith("font-family")]
        element.set("style", ";".join(rule.replace(": ", ":", 1) for rule in kept))


def _themed(value: str) -> str:
    for stand_in, css in CSS.items():
        value = value.replace(stand_in, css)
    return _BLACK.sub("currentColor", value)


def _flatten(element: Any) -> None:
    """Drop groups that say nothing: without attributes and with at most one child, or with none at all."""
    for place, child in reversed(list(enumerate(element))):
        _flatten(child)
        if child.tag == f"{{{SVG}}}g" and not child.attrib:
            element[place : place + 1] = list(child)
        elif child.tag == f"{{{SVG}}}defs" and len(child) == 0:
            element.remove(child)
        elif child.tag == f"{{{SVG}}}path" and child.get("style") == "fill:none":
            element.remove(child)
