"""The generated pages: start, scorecard, errata, data and run statistics, each a function to MyST text."""

from __future__ import annotations

from collections.abc import Container, Sequence
from html import escape
from typing import Any

import pandas as pd

from msig_lib.claims import Erratum
from msig_lib.display import inline, table
from msig_lib.site import html, ledger
from msig_lib.site.chapters import Chapter
from msig_lib.site.ledger import Entry

LEAD = (
    "Models can make the training signals that other models, or they themselves, learn from: descriptions "
    "of labels, new examples, graphs, question-answer pairs, preferences, traces of reasoning. This book "
    "rebuilds a PhD thesis on that idea as code that runs, and checks what it states."
)


def start(chapters: Sequence[Chapter], lines: Sequence[Entry], tier: str, intro: str) -> str:
    """Return the start page: what the book is, one figure of a chapter, and the chapters' cards."""
    ran = [chapter for chapter in chapters if chapter.notebook is not None]
    first = next(iter(ran), None)
    actions = (
        [f'<a href="{first.name}.html">Start with {escape(first.short or first.title)}</a>'] if first else []
    )
    actions += [
        '<a href="scorecard.html">See the scorecard</a>',
        '<a href="reading.html">How to re-run it</a>',
    ]
    parts = [
        "# Model-generated training signals, reproduced\n",
        html.raw(
            f'<div class="msig-hero"><p class="msig-lead">{LEAD}</p>'
            f'<p class="msig-actions">{"".join(actions)}</p></div>'
        ),
        intro,
        f"## What was found\n\n{_found(ran, lines, tier)}",
        html.raw(ledger.counts(lines, "scorecard.html")) if lines else "",
        _cover(ran),
        "## The chapters\n",
        html.raw(
            f'<ul class="msig-cards">{"".join(_card(chapter, lines, tier) for chapter in chapters)}</ul>'
        ),
    ]
    return "\n".join(part for part in parts if part)


def _found(ran: Sequence[Chapter], lines: Sequence[Entry], tier: str) -> str:
    tested = [line for line in lines if line.verdict != "not attempted"]
    return (
        f"{html.count(len(ran), 'chapter')} of this build ran at tier *{tier}*, and "
        f"{len(tested)} of {html.count(len(lines), 'claim')} in the ledger could be tested there. "
        "Every number below is computed; follow a count to the claims behind it."
    )


def _cover(ran: Sequence[Chapter]) -> str:
    for chapter in ran:
        figure = chapter.cover()
        if figure:
            link = (
                f'<p class="msig-meta">From <a href="{chapter.name}.html">{escape(chapter.heading)}</a>.</p>'
            )
            return html.raw(figure + link)
    return ""


def _card(chapter: Chapter, lines: Sequence[Entry], tier: str) -> str:
    over = " · ".join(
        part
        for part in (f"Chapter {chapter.number}" if chapter.number else "", chapter.short, chapter.area)
        if part
    )
    signal = f"<p>{inline(chapter.signal)}</p>" if chapter.signal else ""
    if chapter.notebook is None:
        state = "not in this build" if chapter.written else "planned"
        return (
            f'<li class="msig-card msig-card-planned"><p class="msig-over">{escape(over)}</p>'
            f'<span class="msig-title">{escape(chapter.title)}</span>{signal}'
            f'<ul class="msig-badges"><li><span class="msig-badge msig-planned">{state}</span></li></ul></li>'
        )
    own = [line.verdict for line in lines if line.chapter == chapter.name]
    time = html.duration(chapter.provenance.get("seconds"))
    return (
        f'<li class="msig-card"><p class="msig-over">{escape(over)}</p>'
        f'<a class="msig-title" href="{chapter.name}.html">{escape(chapter.title)}</a>{signal}'
        f'<p class="msig-meta">Tier {escape(tier)}, executed in {time}</p>{html.badges(own)}</li>'
    )


def scorecard(chapters: Sequence[Chapter], lines: Sequence[Entry], tier: str) -> str:
    """Return the page with every claim and its verdict."""
    titles = {chapter.name: chapter.heading for chapter in chapters}
    intro = (
        "Every statement of the thesis that the book takes up, with the verdict that code computed at tier "
        f"*{tier}*. [How verdicts come about](reading.md).\n\n"
        "In the small drawings the vertical line is no difference, the shaded zone is what the claim says, "
        "and the bar is the interval that was measured."
    )
    downloads = (
        '<p>Download: <a href="_static/scorecard.csv" download>CSV</a>, '
        '<a href="_static/scorecard.json" download>JSON</a>.</p>'
    )
    if not lines:
        return f"# Scorecard\n\n{intro}\n\nThere are no claims in this build.\n"
    body = ledger.counts(lines) + ledger.filter_form(lines, titles)
    body += ledger.table(lines, caption="All claims with their verdicts", chapters=True) + downloads
    return f"# Scorecard\n\n{intro}\n\n{html.raw(body)}"


def errata(entries: Sequence[Erratum], lines: Sequence[Entry], built: Container[str]) -> str:
    """Return the page of corrections: place, what it says, what is right, and what shows it."""
    verdicts = {line.id: line for line in lines}
    parts = [
        "# Errata",
        "What we would correct in the text of the thesis. Each entry points to the notebook cell or the test "
        "that shows it.",
    ]
    if not entries:
        parts.append("There are no entries in this build.")
    for entry in entries:
        shown = ", ".join(_shown_by(place, built) for place in entry.shown_by)
        line = verdicts.get(entry.claim or "")
        ledger_link = f'<a href="scorecard.html#claim-{line.id}">in the ledger</a>' if line else ""
        rows = {"Shown by": shown, "Verdict": f"{html.badge(line.verdict)} {ledger_link}" if line else ""}
        parts += [
            html.raw(f'<span id="{entry.id}" class="msig-anchor"></span>'),
            f"## {entry.where[0].upper()}{entry.where[1:]}",
            f"**It says:** {entry.says}",
            f"**Right is:** {entry.right}",
            html.raw(html.facts({name: value for name, value in rows.items() if value})),
        ]
    return "\n\n".join(parts) + "\n"


def _shown_by(place: str, built: Container[str]) -> str:
    name, _, anchor = place.partition("#")
    if name in built:
        return f'<a href="{escape(name)}.html#{escape(anchor)}">{escape(name)}, {escape(anchor)}</a>'
    return f"<code>{escape(place)}</code>"


def data(sets: pd.DataFrame) -> str:
    """Return the page of data sets: what each is, its terms, size, fingerprint and who uses it."""
    intro = (
        "Every data set is described by a file in `data_manifests/` and checked against its fingerprint on "
        "every load. `msig data list` says which are on your machine, `msig data fetch NAME` gets one."
    )
    cards = "".join(_data_card(row) for row in sets.to_dict("records"))
    return f"# Data\n\n{intro}\n\n" + html.raw(f'<ul class="msig-cards">{cards}</ul>')


def _data_card(row: dict[str, Any]) -> str:
    def text(name: str) -> str:
        value = row.get(name)
        return "" if value is None or value != value else str(value)

    size = text("megabytes")
    rows = {
        "Licence": escape(text("licence")),
        "Size": f"{float(size):,.1f} MB" if size else "",
        "Fingerprint": f"<code>{escape(text('fingerprint'))}</code>" if text("fingerprint") else "",
        "Used by": escape(text("chapters")),
        "Tiers": escape(text("tiers")),
        "Home": f'<a href="{escape(text("homepage"))}">{escape(_host(text("homepage")))}</a>'
        if text("homepage")
        else "",
    }
    return (
        f'<li class="msig-card" id="data-{escape(text("name"))}">'
        f'<p class="msig-over"><code>{escape(text("name"))}</code></p>'
        f'<p class="msig-title">{escape(text("title"))}</p><p>{inline(text("what"))}</p>'
        f"{html.facts({name: value for name, value in rows.items() if value})}</li>"
    )


def _host(address: str) -> str:
    return address.split("//", 1)[-1].split("/", 1)[0]


def statistics(chapters: Sequence[Chapter]) -> str:
    """Return the page that says what each notebook took: time, memory, and its slowest cell."""
    rows = []
    for chapter in chapters:
        told = chapter.provenance
        if not told:
            continue
        cells = told.get("cells") or []
        slowest = max(cells, key=lambda cell: cell["seconds"], default=None)
        rows.append(
            {
                "notebook": f"[{chapter.short or chapter.title}]({chapter.name}.html)",
                "tier": told.get("tier", ""),
                "time": html.duration(told.get("seconds")),
                "peak memory": f"{(told.get('peak_memory_mib') or 0) / 1024:.2f} GiB",
                "threads": told.get("threads"),
                "code cells": len(cells),
                "slowest cell": html.duration(slowest["seconds"]) if slowest else "",
                "run key": f"`{str(told.get('key', ''))[:12]}`",
            }
        )
    intro = (
        "What each notebook took when it was executed. A run is kept under a key made of the notebook, its "
        "parameters, the library code that it imports, the pinned packages and the fingerprints of its data; "
        "with the same key nothing is executed again."
    )
    total = sum(chapter.provenance.get("seconds") or 0.0 for chapter in chapters)
    if not rows:
        return f"# Run statistics\n\n{intro}\n\nNo notebook is in this build.\n"
    shown = table(pd.DataFrame(rows), caption="Executed notebooks of this build")
    return f"# Run statistics\n\n{intro}\n\nIn all: {html.duration(total)}.\n\n{html.raw(shown.html)}"
