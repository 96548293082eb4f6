"""Interactive figures from one source: native controls over precomputed frames, live widgets in Jupyter.

On the static page there is no kernel: every combination of the controls' values is drawn beforehand, and the
few lines in book/_static/msig.js show the right one. Without script the default frame is visible.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from msig_lib.display.colours import FOREGROUND
from msig_lib.display.figures import FigureOutput, panel_html
from msig_lib.display.svg import to_svg
from msig_lib.display.tables import TableOutput
from msig_lib.display.words import DisplayError, checked_name, checked_text, digest, inline, plain

MAX_FRAMES = 400
MAX_BYTES = 400_000


@dataclass(frozen=True)
class Control:
    """One parameter of an explorer: its values in order, how they are shown, and which one comes first."""

    name: str
    label: str
    values: tuple[Any, ...]
    shown: tuple[str, ...]
    start: int
    kind: str  # "range" or "select"


@dataclass(frozen=True)
class Explorer:
    """A finished explorer: `html` holds all frames; `live()` gives ipywidgets that call `render` again."""

    name: str
    html: str = field(repr=False)
    fingerprint: str
    frames: int
    caption: str = field(repr=False)
    render: Callable[..., Any] = field(repr=False)
    controls: tuple[Control, ...] = field(repr=False)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        text = f"explorer {self.name}: {plain(self.caption)}\n{self.frames} frames, sha256 {self.fingerprint}"
        return {"text/html": self.html, "text/plain": text}

    def live(self) -> Any:
        """Return ipywidgets with the same controls that call `render` in the running kernel."""
        import ipywidgets
        import matplotlib.pyplot as plt
        from IPython.display import HTML, display

        def show(**values: Any) -> None:
            body, _, _ = _frame(self.render(**values), f"{self.name}-live", "live")
            display(HTML(body))
            plt.close("all")

        sliders = {
            control.name: ipywidgets.SelectionSlider(
                options=list(zip(control.shown, control.values)),
                value=control.values[control.start],
                description=control.label,
                continuous_update=False,
            )
            if control.kind == "range"
            else ipywidgets.Dropdown(
                options=list(zip(control.shown, control.values)),
                value=control.values[control.start],
                description=control.label,
            )
            for control in self.controls
        }
        return ipywidgets.VBox([*sliders.values(), ipywidgets.interactive_output(show, sliders)])


def explorer(
    render: Callable[..., Any],
    controls: Mapping[str, Sequence[Any] | Mapping[str, Any]],
    *,
    name: str,
    caption: str,
    alt: str | Callable[..., str],
    live: bool = False,
) -> Any:
    """Return an interactive figure: `render(**values)` drawn for every combination of the controls' values.

    `controls` maps each parameter of `render` to its values, or to {"values": [...], "label": text, "start":
    value, "format": specification or function, "kind": "range" or "select"} (numbers get a slider, texts a
    list). `render` returns a matplotlib figure, a `table`, or HTML text. `alt(**values)` describes a
    frame and is read out when it changes; a text holds for all frames. With `live=True` the result is a
    widget that calls `render` in the kernel instead.
    Raises DisplayError for more than 400 frames or more than 400 kB.
    """
    checked_name(name, "explorer")
    checked_text(caption, f"the caption of explorer {name!r}")
    known = tuple(_control(key, given) for key, given in controls.items())
    count = 1
    for control in known:
        count *= len(control.values)
    if not known or count > MAX_FRAMES:
        raise DisplayError(f"explorer {name!r}: {count if known else 0} frames; give 1 to {MAX_FRAMES}")
    if live:
        return Explorer(name, "", "", count, caption, render, known).live()
    bodies: list[str] = []
    places: dict[str, int] = {}
    alts: list[str] = []
    order: list[int] = []
    for combination in itertools.product(*(range(len(c.values)) for c in known)):
        values = {c.name: c.values[k] for c, k in zip(known, combination)}
        said = checked_text(alt(**values) if callable(alt) else alt, f"the alternative text of {name!r}")
        body, _, drawn = _frame(render(**values), f"{name}-f", said)
        alts.append(said)
        key = body if drawn else f"html:{body}"
        if key not in places:
            places[key] = len(bodies)
            bodies.append(body)
        order.append(places[key])
    first = 0
    for control in known:
        first = first * len(control.values) + control.start
    html = _page(name, caption, known, bodies, order, alts, first)
    if len(html) > MAX_BYTES:
        raise DisplayError(
            f"explorer {name!r} takes {len(html) // 1000} kB for {count} frames; keep it under "
            f"{MAX_BYTES // 1000} kB: fewer values, fewer points, or a small table in place of a drawing"
        )
    return Explorer(name, html, digest([bodies, order, alts]), count, caption, render, known)


def _control(name: str, given: Sequence[Any] | Mapping[str, Any]) -> Control:
    more = dict(given) if isinstance(given, Mapping) else {"values": given}
    values = tuple(more.get("values", ()))
    if not values:
        raise DisplayError(
            f"control {name!r} has no values; give a list, or {{'values': [...], 'label': ...}}"
        )
    start = more.get("start", values[0])
    if start not in values:
        raise DisplayError(f"control {name!r}: start {start!r} is none of its values {list(values)}")
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    kind = more.get("kind", "range" if numeric and len(values) > 2 else "select")
    if kind not in ("range", "select"):
        raise DisplayError(f"control {name!r}: kind {kind!r}; expected 'range' or 'select'")
    how = more.get("format", "")
    shown = tuple(how(value) if callable(how) else format(value, how) for value in values)
    return Control(name, more.get("label", name.replace("_", " ")), values, shown, values.index(start), kind)


def _frame(made: Any, prefix: str, alt: str) -> tuple[str, float, bool]:
    """Return (HTML, width in px, whether it is a drawing) of what `render` returned."""
    if isinstance(made, FigureOutput | TableOutput):
        return made.html, 0.0, False
    if isinstance(made, str):
        return made, 0.0, False
    if hasattr(made, "savefig"):
        import matplotlib.pyplot as plt

        svg, width = to_svg(made, prefix)
        plt.close(made)
        # The frame's text is announced by the live line below; the drawing keeps a fixed, silent label.
        return panel_html(svg, width, "", label=prefix), width, True
    if hasattr(made, "_repr_html_"):
        return made._repr_html_(), 0.0, False
    raise DisplayError(
        f"render returned {type(made).__name__}; expected a matplotlib figure, a table or HTML text"
    )


def _page(
    name: str,
    caption: str,
    controls: tuple[Control, ...],
    bodies: list[str],
    order: list[int],
    alts: list[str],
    first: int,
) -> str:
    inputs = "".join(_input(name, control) for control in controls)
    store = {"sizes": [len(c.values) for c in controls], "order": order, "frames": bodies, "alts": alts}
    packed = base64.b64encode(
        gzip.compress(json.dumps(store, ensure_ascii=False).encode(), 9, mtime=0)
    ).decode()
    return (
        f'<figure class="msig-figure msig-explorer" id="fig-{name}" data-msig-explorer style="margin:1em 0;'
        f'color:{FOREGROUND}"><div class="msig-controls" role="group" hidden '
        f'aria-label="Controls of {escape(name)}">{inputs}</div>'
        '<div class="msig-frame" style="display:flex;justify-content:center">'
        f"{bodies[order[first]]}</div>"
        f'<p class="msig-said" aria-live="polite">{escape(alts[first], quote=False)}</p>'
        f'<figcaption class="mathjax_process">{inline(caption)}</figcaption>'
        f'<script type="application/octet-stream" data-msig-frames>{packed}</script></figure>'
    )


def _input(name: str, control: Control) -> str:
    ident = f"{name}-{re.sub(r'[^a-z0-9]+', '-', control.name.lower())}"
    label = f'<label for="{ident}">{escape(control.label)}</label>'
    if control.kind == "range":
        texts = escape(json.dumps(control.shown, ensure_ascii=False))
        return (
            f'<div class="msig-control">{label}<input type="range" id="{ident}" min="0" '
            f'max="{len(control.values) - 1}" step="1" value="{control.start}" data-shown="{texts}" '
            f'aria-valuetext="{escape(control.shown[control.start])}">'
            f'<output for="{ident}">{escape(control.shown[control.start])}</output></div>'
        )
    options = "".join(
        f'<option value="{k}"{" selected" if k == control.start else ""}>{escape(text)}</option>'
        for k, text in enumerate(control.shown)
    )
    return f'<div class="msig-control">{label}<select id="{ident}">{options}</select></div>'
