"""The generated pages of the ledger and the data: each a function to MyST text."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from html import escape
from typing import Any

import pandas as pd

from msig_lib.claims import Erratum
from msig_lib.display import inline
from msig_lib.site import claims_table, html
from msig_lib.site.chapters import Chapter
from msig_lib.site.ledger import Entry


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
        '<p class="msig-downloads">All of it, to work with: '
        '<a href="_static/scorecard.csv" download>CSV</a>, <a href="_static/scorecard.json" download>JSON</a></p>'
    )
    if not lines:
        return f"# Scorecard\n\n{intro}\n\nThere are no claims in this build.\n"
    body = claims_table.counts(lines) + downloads + claims_table.filter_form(lines, titles)
    body += claims_table.table(lines, caption="All claims with their verdicts", chapters=True)
    return f"# Scorecard\n\n{intro}\n\n{html.raw(body)}"


def errata(entries: Sequence[Erratum], lines: Sequence[Entry], chapters: Sequence[Chapter]) -> str:
    """Return the page of corrections by chapter: place, what it says, what is right, and what shows it."""
    verdicts = {line.id: line for line in lines}
    titles = {chapter.name: chapter.heading for chapter in chapters}
    built = {chapter.name for chapter in chapters if chapter.notebook is not None}
    parts = [
        "# Errata",
        f"What we would correct in the text of the thesis: {html.count(len(entries), 'entry', 'entries')}. Each "
        "points to the notebook cell or the test that shows it.",
    ]
    order = [*titles, *(entry.chapter for entry in entries if entry.chapter not in titles)]
    last = None
    for entry in sorted(entries, key=lambda one: order.index(one.chapter)):
        if entry.chapter != last:
            last = entry.chapter
            parts.append(f"## {titles.get(last, last)}")
        parts += _erratum(entry, verdicts.get(entry.claim or ""), built)
    return "\n\n".join(parts) + "\n"


def _erratum(entry: Erratum, line: Entry | None, built: Container[str]) -> list[str]:
    shown = ", ".join(_shown_by(place, built) for place in entry.shown_by)
    ledger_link = f'<a href="scorecard.html#claim-{line.id}">in the ledger</a>' if line else ""
    rows = {"Shown by": shown, "Verdict": f"{html.badge(line.verdict)} {ledger_link}" if line else ""}
    return [
        html.raw(f'<span id="{entry.id}" class="msig-anchor"></span>'),
        f"### {entry.where[0].upper()}{entry.where[1:]}",
        f"**It says:** {entry.says}",
        f"**Right is:** {entry.right}",
        html.raw(html.facts({name: value for name, value in rows.items() if value})),
    ]


def _shown_by(place: str, built: Container[str]) -> str:
    name, _, anchor = place.partition("#")
    if name in built:
        return f'<a href="{escape(name)}.html#{escape(anchor)}">{escape(name)}, {escape(anchor)}</a>'
    # A long path may break after a slash, a colon or an underscore, not in the middle of a word.
    broken = re.sub("(/|::|_)", r"\1<wbr>", escape(place))
    return f"<code>{broken}</code>"


def data(sets: pd.DataFrame, chapters: Sequence[Chapter]) -> str:
    """Return the page of data sets: what each is, its terms, size, fingerprint and who uses it."""
    intro = (
        "Every data set is described by a file in `data_manifests/` and checked against its fingerprint on "
        "every load. `msig data list` says which are on your machine, `msig data fetch NAME` gets one."
    )
    cards = "".join(_data_card(row, chapters) for row in sets.to_dict("records"))
    return f"# Data\n\n{intro}\n\n" + html.raw(f'<ul class="msig-cards">{cards}</ul>')


def _data_card(row: dict[str, Any], chapters: Sequence[Chapter]) -> str:
    def text(name: str) -> str:
        value = row.get(name)
        return "" if value is None or value != value else str(value)

    size = text("megabytes")
    rows = {
        "Licence": escape(text("licence")),
        "Size": f"{float(size):,.1f} MB" if size else "",
        "Fingerprint": f"<code>{escape(text('fingerprint'))}</code>" if text("fingerprint") else "",
        "Used by": _users(text("chapters"), chapters),
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


def _users(named: str, chapters: Sequence[Chapter]) -> str:
    """Return the chapters that use a data set, as links where they are in the build."""
    told = []
    for name in filter(None, (part.strip() for part in named.split(","))):
        built = [one for one in chapters if one.name.startswith(name) and one.notebook is not None]
        links = ", ".join(f'<a href="{one.name}.html">{escape(one.short or one.title)}</a>' for one in built)
        told.append(f"{escape(name)} ({links})" if links else escape(name))
    return "; ".join(told)


def _host(address: str) -> str:
    return address.split("//", 1)[-1].split("/", 1)[0]
