"""What a page shows of the world: charts with units, questions and traces as sentences, the steps that are wrong."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt
from PIL import Image

from msig_lib.chartqa.data import GROUPS, Charts, Table
from msig_lib.chartqa.questions import Question
from msig_lib.chartqa.render import PALETTE, TOP
from msig_lib.chartqa.traces import ANSWER, CARRIES, Verdict, check_trace
from msig_lib.display import FigureOutput, inline
from msig_lib.display.colours import FOREGROUND
from msig_lib.display.figures import panel_html
from msig_lib.display.words import checked_name, checked_text, digest

# Titles and units, for people only: a chart has the one of its row. No unit has a plural of its own.
TOPICS = (
    ("Honey harvested", "kg"),
    ("Rain in a week", "mm"),
    ("Paths mended", "km"),
    ("Power from the roof", "MWh"),
    ("Apples pressed", "t"),
    ("Wood stacked", "m³"),
)
MARKS = {"bars": "bar", "grouped": "bar", "lines": "point"}
STYLE_WORDS = {"bars": "Bar chart", "grouped": "Chart of grouped bars", "lines": "Line chart"}
NOTES = {
    "mark": "no such mark, or one that was read before or not asked for",
    "reading": "the chart shows another value",
    "arithmetic": "this does not follow",
    "missing": "a mark was left out before this",
    "answer": "this does not follow from the steps",
    "malformed": "this cannot be read",
}
UNIT, FLOOR, HEAD, LEFT = (
    18,
    30,
    34,
    40,
)  # px: of a unit of value, below the axis, above the highest bar, left
ROOM = 52  # px for a mark


@dataclass(frozen=True)
class ShownStep:
    """A step of a trace as a sentence; `note` says what is wrong with it, "" when it is right."""

    text: str
    note: str


def topic_of(chart: int) -> tuple[str, str]:
    """Return the title and the unit that a chart of this row is shown with."""
    return TOPICS[chart % len(TOPICS)]


def describe(table: Table, chart: int) -> str:
    """Return the alternative text of a chart: what it is and every value."""
    title, unit = topic_of(chart)
    if table.style == "grouped":
        sides = [[i for i, g in enumerate(table.groups) if g == group] for group in GROUPS]
        values = "; ".join(f"{group} group: {_listed(table, side)}" for group, side in zip(GROUPS, sides))
    else:
        values = _listed(table, range(len(table.values)))
    return f"{STYLE_WORDS[table.style]}, {title.lower()} in {unit}: {values}."


def _listed(table: Table, marks: Sequence[int]) -> str:
    return ", ".join(f"{table.colours[i]} {table.values[i]}" for i in marks)


def question_sentence(question: Question, table: Table | None = None) -> str:
    """Return a question as a sentence with units; `table` is its chart (None for text-only arithmetic).

    Raises ValueError for a question about a chart without its table.
    """
    if table is None:
        if question.chart >= 0:
            raise ValueError(f"question {question.text!r} is about chart {question.chart}: give its table")
        if question.kind == "running":
            return f"What are the running sums of {question.asked[0].replace(' ', ', ')}?"
        return f"What is {question.asked[0]} {'plus' if question.kind == 'add' else 'minus'} {question.asked[1]}?"
    mark, unit = MARKS[table.style], topic_of(question.chart)[1]
    asked = question.asked
    sentences = {
        "count": "How many {mark}s are above {0} {unit}?",
        "sum": "What do the {0} {mark} and the {1} {mark} add up to, in {unit}?",
        "total": "What do all {mark}s add up to, in {unit}?",
        "compare": "By how many {unit} do the totals of the left and the right group differ?",
        "difference": "How many {unit} is the tallest {mark} above the shortest?",
        "second": "What colour is the second tallest {mark}?",
        "lookup": "How many {unit} does the {0} {mark} show?",
        "caption": "What are the values of all {mark}s, in {unit}?",
    }
    if table.style == "lines":
        sentences["difference"] = "How many {unit} is the highest point above the lowest?"
        sentences["second"] = "What colour is the second highest point?"
    return sentences[question.kind].format(*asked, mark=mark, unit=unit)


def trace_sentences(
    text: str, question: Question, table: Table, verdict: Verdict | None = None
) -> list[ShownStep]:
    """Return a trace as sentences with units, one a step, the answer after "### Answer:" as in the thesis.

    `verdict` is that of `check_trace` (made here when it is not given). What cannot be read is quoted as it is.
    """
    verdict = verdict or check_trace(text, table, question)
    tokens, unit = text.split(), topic_of(question.chart)[1]
    out, group = [], ""
    for number, step in enumerate(verdict.steps):
        words = tokens[step.start : step.stop]
        group = next((word for word in words if word in GROUPS), group)
        cut = verdict.malformed and number == len(verdict.steps) - 1
        shown = f"“{' '.join(words)}”" if cut and words else "…" if cut else ""
        notes = [NOTES[step.error]] if step.error not in ("", "malformed") else []
        if cut:
            notes.append("it stops too early" if step.token == len(tokens) else NOTES["malformed"])
        out.append(ShownStep(shown or _sentence(words, group, question.kind, unit), "; ".join(notes)))
    return out


def _sentence(words: Sequence[str], group: str, kind: str, unit: str) -> str:
    if words[0] == ANSWER:
        return f"### Answer: {words[1]}" + ("" if kind in ("count", "second") else f" {unit}")
    if words[0] in ("tallest", "shortest", "second"):
        return f"The {words[0].replace('second', 'second tallest')} is {words[1]} {unit}."
    words = [word for word in words if word not in GROUPS]
    name = f"{group} {words[0]}".strip().capitalize()
    carried = {
        "count": "; {} so far are above.",
        "sum": ", which makes {} " + unit + (" on this side." if kind == "compare" else " so far."),
        "": ".",
    }[CARRIES[kind]]
    return f"{name} shows {words[1]} {unit}" + carried.format(*words[2:])


def trace_html(text: str, question: Question, table: Table, verdict: Verdict | None = None) -> str:
    """Return a trace as an ordered list in HTML: every step with a tick or, with the reason, a cross."""
    items = []
    for step in trace_sentences(text, question, table, verdict):
        sign = (
            "<span role='img' aria-label='wrong'>✗</span>"
            if step.note
            else "<span role='img' aria-label='right'>✓</span>"
        )
        note = f" <em>({escape(step.note)})</em>" if step.note else ""
        colour = "var(--msig-bad, inherit)" if step.note else "inherit"
        items.append(f'<li style="color:{colour}">{sign} {escape(step.text, quote=False)}{note}</li>')
    return f'<ol class="msig-trace">{"".join(items)}</ol>'


def chart_svg(table: Table, chart: int) -> tuple[str, float]:
    """Return (inline `<svg>` text, width in px) of a chart for people: names, values, unit and title in words.

    Text and axes take the page's colour; the marks keep the palette's, and each has its name and value beside
    it, so that nothing rests on colour alone.
    """
    title, unit = topic_of(chart)
    n = len(table.values)
    gap = [0.5 * (g == GROUPS[1]) for g in table.groups]
    width = LEFT + ROOM * (n + max(gap)) + 8
    axis = HEAD + UNIT * TOP
    x = [LEFT + ROOM * (k + 0.5 + gap[k]) for k in range(n)]
    y = [axis - UNIT * value for value in table.values]
    parts = [f'<text x="4" y="12" font-size="12">{escape(title)}, {escape(unit)}</text>']
    for tick in range(0, TOP + 1, 3):
        at = axis - UNIT * tick
        parts.append(f'<path d="M{LEFT} {at}H{width:g}" stroke="currentColor" stroke-opacity=".2"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4}" font-size="11" text-anchor="end">{tick}</text>')
    if table.style == "lines":
        path = "L".join(f"{a:g} {b:g}" for a, b in zip(x, y))
        parts.append(f'<path d="M{path}" fill="none" stroke="currentColor" stroke-width="1.5"/>')
    for k in range(n):
        fill = "#{:02x}{:02x}{:02x}".format(*PALETTE[table.colours[k]])
        paint = f'fill="{fill}" stroke="currentColor" stroke-width=".7"'
        if table.style == "lines":
            parts.append(f'<rect x="{x[k] - 6:g}" y="{y[k] - 6:g}" width="12" height="12" {paint}/>')
        else:
            parts.append(
                f'<rect x="{x[k] - 16:g}" y="{y[k]:g}" width="32" height="{axis - y[k]:g}" {paint}/>'
            )
        label = f'font-size="11" text-anchor="middle" x="{x[k]:g}"'
        parts.append(
            f'<text {label} y="{y[k] - (10 if table.style == "lines" else 4):g}">{table.values[k]}</text>'
        )
        parts.append(f'<text {label} y="{axis + 13}">{table.colours[k]}</text>')
    for group in [group for group in GROUPS if group in table.groups]:
        of_group = [a for a, g in zip(x, table.groups) if g == group]
        middle = sum(of_group) / len(of_group)
        parts.append(
            f'<text font-size="11" text-anchor="middle" x="{middle:g}" y="{axis + 27}">{group}</text>'
        )
    parts.append(f'<path d="M{LEFT} {HEAD - 8}V{axis}H{width:g}" fill="none" stroke="currentColor"/>')
    box = f"0 0 {width:g} {axis + FLOOR}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" fill="currentColor">{"".join(parts)}</svg>',
        width,
    )


def image_html(image: npt.NDArray[np.uint8], alt: str, scale: int = 5) -> str:
    """Return a picture uint8 (H, W, 3) as the model sees it, as an `<img>` with PNG data, `scale` times as large.

    Raises ValueError for another shape or type.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"the picture is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    height, width = image.shape[:2]
    return (
        f'<img alt="{escape(checked_text(alt, "the alternative text of a picture"))}" width="{width * scale}" '
        f'height="{height * scale}" style="image-rendering:pixelated;max-width:100%;height:auto" '
        f'src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
    )


def shown_question(
    charts: Charts, question: Question, traces: Sequence[str], *, name: str, caption: str
) -> FigureOutput:
    """Return a figure: a chart drawn for people and as the model sees it, its question, and checked traces.

    `name` and `caption` are those of `msig_lib.display.figure`, and so are the errors.
    """
    checked_name(name, "figure")
    checked_text(caption, f"the caption of figure {name!r}")
    table, alt = charts.tables[question.chart], describe(charts.tables[question.chart], question.chart)
    svg, width = chart_svg(table, question.chart)
    picture = image_html(charts.images[question.chart], "The same chart as the model sees it.")
    lists = "".join(f"<div>{trace_html(text, question, table)}</div>" for text in traces)
    row = "display:flex;flex-wrap:wrap;gap:.75rem;justify-content:center"
    html = (
        f'<figure class="msig-figure" id="fig-{name}" style="margin:1em 0;color:{FOREGROUND}">'
        f'<div class="msig-panels" style="{row};align-items:center">'
        f"{panel_html(svg, width, alt, label=name)}{picture}</div>"
        f"<p><strong>{escape(question_sentence(question, table), quote=False)}</strong></p>"
        f'<div style="{row};justify-content:flex-start">{lists}</div>'
        f'<figcaption class="mathjax_process" style="margin-top:.5em">{inline(caption)}</figcaption></figure>'
    )
    shown = {"image": charts.images[question.chart], "text": question.text, "traces": list(traces)}
    return FigureOutput(name, html, digest(shown), caption)
