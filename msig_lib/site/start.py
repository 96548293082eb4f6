"""The start page: what the book is, the result that surprises most, the counts, and a card for each chapter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from msig_lib.display import inline
from msig_lib.site import claims_table, html
from msig_lib.site.chapters import Chapter, SiteError
from msig_lib.site.ledger import Entry

LEAD = (
    "Models can write the training signals that other models learn from: descriptions of labels, new texts, "
    "graphs, question-answer pairs, preferences, traces of reasoning. This book rebuilds a PhD thesis on that "
    "idea as code that runs on a laptop, and lets the code judge what the thesis states."
)
MAX_THUMBNAIL = 150_000  # characters of SVG; a heavier drawing stays on its own page
UPSET = ("contradicted", "erratum")


def page(chapters: Sequence[Chapter], lines: Sequence[Entry], tier: str, intro: str) -> str:
    """Return the start page as MyST; `intro` (MyST) follows what fits one screen."""
    ran = [chapter for chapter in chapters if chapter.notebook is not None]
    known = {line.id: line for line in lines}
    cards = "".join(_card(chapter, lines, known) for chapter in chapters)
    parts = [
        "# Model-generated training signals, reproduced\n",
        html.raw(f'<div class="msig-hero"><p class="msig-lead">{LEAD}</p>{_actions(ran)}</div>'),
        html.raw(_surprise(ran, known)),
        html.raw(f"{_found(ran, lines, tier)}{claims_table.counts(lines, 'scorecard.html')}")
        if lines
        else "",
        "## The chapters\n",
        html.raw(f'<ul class="msig-cards">{cards}</ul>'),
        f"## How it is made\n\n{intro}" if intro else "",
    ]
    return "\n".join(part for part in parts if part)


def _actions(ran: Sequence[Chapter]) -> str:
    first = next(iter(ran), None)
    start = (
        [f'<a href="{first.name}.html">Start with {escape(first.short or first.title)}</a>'] if first else []
    )
    more = [
        '<a href="scorecard.html">See the scorecard</a>',
        '<a href="reading.html">How to read and re-run it</a>',
    ]
    return f'<p class="msig-actions">{"".join([*start, *more])}</p>'


def _found(ran: Sequence[Chapter], lines: Sequence[Entry], tier: str) -> str:
    tested = sum(line.verdict != "not attempted" for line in lines)
    return (
        f'<p class="msig-found">{html.count(len(ran), "chapter")} of this build ran at tier <em>{escape(tier)}</em>; '
        f"{tested} of {html.count(len(lines), 'claim')} could be tested. Follow a count to the claims behind it.</p>"
    )


def finding(chapter: Chapter, known: Mapping[str, Entry]) -> Entry | None:
    """Return the claim that a chapter's card names, None when it names none.

    Raises SiteError when there is no such claim or it belongs to another chapter.
    """
    if not chapter.finding:
        return None
    found = known.get(chapter.finding)
    if found is None or found.chapter != chapter.name:
        have = ", ".join(line.id for line in known.values() if line.chapter == chapter.name) or "none"
        raise SiteError(
            f"book/chapters.yml, {chapter.name}: no claim {chapter.finding!r}; its claims: {have}"
        )
    return found


def surprise(ran: Sequence[Chapter], known: Mapping[str, Entry]) -> tuple[Chapter, Entry] | None:
    """Return the chapter and the claim to show first: measured, and not as stated.

    The card marked `surprise` comes first, then the others in the order of the book.
    """
    for chapter in sorted(ran, key=lambda one: not one.surprise):
        line = finding(chapter, known)
        if line is not None and line.verdict in UPSET and line.estimate is not None:
            return chapter, line
    return None


def _surprise(ran: Sequence[Chapter], known: Mapping[str, Entry]) -> str:
    found = surprise(ran, known)
    if found is None:
        return ""
    chapter, line = found
    lo, hi = (claims_table.signed(line.lo or 0.0), claims_table.signed(line.hi or 0.0))
    over = f"The result that surprises most · {chapter.heading}"
    sizes = [html.count(n, one) for n, one in ((line.n_seeds, "seed"), (line.n_items, "item")) if n]
    recorded = ", recorded earlier" if line.source == "recorded" else ""
    return (
        f'<section class="msig-surprise" aria-label="The result that surprises most"><div>'
        f'<p class="msig-over">{escape(over)}</p><p class="msig-claimed">“{inline(line.statement)}”</p>'
        f'<p>{html.badge(line.verdict)} <span class="msig-meta">Thesis {escape(line.where)}</span></p></div>'
        f"<div>{_bars(line)}"
        f'<p class="msig-measured"><strong>{claims_table.signed(line.estimate or 0.0)}</strong> [{lo}, {hi}]</p>'
        f'<p class="msig-meta">Difference in {escape(line.metric)} with its 95% interval, {", ".join(sizes)}, '
        f"tier {escape(line.tier)}{recorded}. "
        f'<a href="{escape(line.link)}">See how it was measured</a></p></div></section>'
    )


def _bars(line: Entry) -> str:
    """Draw both sides as bars from zero, with their numbers; nothing when one is below zero or missing."""
    sides = [(line.a, line.a_mean), (line.b, line.b_mean)]
    if any(value is None or value < 0 for _, value in sides):
        return ""
    top = max(value or 0.0 for _, value in sides) or 1.0
    rows = "".join(
        f'<span>{escape(name)}</span><span class="msig-bar" style="--share:{100 * (value or 0.0) / top:.1f}%">'
        f"{value:.3f}</span>"
        for name, value in sides
    )
    return f'<div class="msig-bars">{rows}</div>'


def thumbnail(cover: str | None) -> str:
    """Return the first panel of a figure for a card, "" when there is none or it is heavy."""
    found = re.search(r"<svg .*?</svg>", cover or "", re.DOTALL)
    if found is None or len(found[0]) > MAX_THUMBNAIL:
        return ""
    drawing = re.sub(r'(<svg [^>]*?)style="[^"]*"', r"\1", found[0], count=1)
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)
    if size and float(size[2]) > 0.95 * float(
        size[1]
    ):  # a tall drawing would be too small to read: show its top
        drawing = drawing.replace("<svg ", '<svg preserveAspectRatio="xMidYMin slice" ', 1)
    return f'<div class="msig-thumb">{drawing}</div>'


def _card(chapter: Chapter, lines: Sequence[Entry], known: Mapping[str, Entry]) -> str:
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
    told = chapter.provenance
    time = html.took(told)
    return (
        f'<li class="msig-card"><p class="msig-over">{escape(over)}</p>'
        f'<a class="msig-title" href="{chapter.name}.html">{escape(chapter.title)}</a>'
        f"{thumbnail(chapter.cover())}{signal}{_finding(finding(chapter, known))}"
        f'<p class="msig-meta">Tier {escape(str(told.get("tier", "")))}, executed in {time}</p>'
        f"{html.badges(own)}</li>"
    )


def _finding(line: Entry | None) -> str:
    if line is None or line.estimate is None or line.lo is None or line.hi is None:
        return ""
    numbers = f"{claims_table.signed(line.estimate)} [{claims_table.signed(line.lo)}, {claims_table.signed(line.hi)}]"
    return (
        f'<p class="msig-finding">{html.badge(line.verdict)} {inline(line.statement)} '
        f'<span class="msig-meta">Measured: {numbers}</span></p>'
    )
