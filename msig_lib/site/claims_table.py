"""The claims with their verdicts as a page shows them: table with its intervals, counts, filter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from msig_lib.display import inline
from msig_lib.display.words import signs
from msig_lib.site import html
from msig_lib.site.ledger import Entry


def signed(value: float) -> str:
    """Return a difference with its sign and three decimals."""
    return signs(f"{value:+.3f}")


def table(lines: Sequence[Entry], *, caption: str, chapters: bool = False) -> str:
    """Return claims as a table that narrow screens show as a list; `chapters` adds the chapter's link."""
    heads = ("Verdict", "Claim", "Thesis", "Here", "Difference, 95% interval")
    head = "".join(f'<th scope="col" role="columnheader">{name}</th>' for name in heads)
    rows = "".join(_row(line, chapters) for line in lines)
    return (
        f'<table class="msig-claims" role="table"><caption>{escape(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table>'
    )


def _row(line: Entry, chapters: bool) -> str:
    about = [escape(f"Thesis {line.where}")] if line.where else []
    about.append(f"tier {escape(line.tier)}" + (", recorded earlier" if line.source == "recorded" else ""))
    if line.link and line.verdict != "not attempted" and (chapters or line.anchor):
        place = line.link if chapters else f"#{line.anchor}"
        about.append(f'<a href="{escape(place)}">where it is measured</a>')
    # With numbers beside it, the reason would only say them again.
    reason = f'<span class="msig-meta">{inline(line.reason)}</span>' if line.estimate is None else ""
    ours, difference = _ours(line), _difference(line)
    return (
        f'<tr role="row" id="claim-{escape(line.id)}" data-claim data-chapter="{escape(line.chapter)}" '
        f'data-verdict="{html.slug(line.verdict)}" data-tier="{escape(line.tier)}">'
        f'<td role="cell">{html.badge(line.verdict)}</td>'
        f'<th scope="row" role="rowheader" class="mathjax_process">'
        f'<span class="msig-statement">{inline(line.statement)}</span>'
        f'<span class="msig-meta">{" · ".join(about)}</span>{reason}</th>'
        f'<td role="cell" data-label="Thesis" class="num">{_theirs(line)}</td>'
        f'<td role="cell" data-label="Here" class="num">{ours}</td>'
        f'<td role="cell" data-label="Difference" class="num">{difference}</td></tr>'
    )


def _theirs(line: Entry) -> str:
    """Return the thesis's own figures, and their difference where it gives both."""
    numbers = " against ".join(f"{value:g}" for value in (line.thesis_a, line.thesis_b) if value is not None)
    if not numbers:
        return escape(line.thesis, quote=False)
    about = line.thesis.partition(" (")[2].removesuffix(")")
    if line.thesis_a is not None and line.thesis_b is not None:
        about = f"{signs(f'{line.thesis_a - line.thesis_b:+.4g}')} · {about}".removesuffix(" · ")
    told = f'<span class="msig-meta">{escape(about, quote=False)}</span>' if about else ""
    return f'<span class="msig-range">{numbers}</span>{told}'


def _ours(line: Entry) -> str:
    if line.a_mean is None:
        return ""
    parts = [f"{escape(line.a)} {signs(f'{line.a_mean:.3f}')}"]
    if line.b_mean is not None:
        parts.append(f"{escape(line.b)} {signs(f'{line.b_mean:.3f}')}")
    sizes = [html.count(n, one) for n, one in ((line.n_seeds, "seed"), (line.n_items, "item")) if n]
    about = [", ".join([line.metric, *sizes]).strip(", "), line.settings]
    return f'{"<br>".join(parts)}<span class="msig-meta">{escape(" · ".join(filter(None, about)))}</span>'


def _difference(line: Entry) -> str:
    if line.estimate is None:
        return ""
    if line.lo is None or line.hi is None:
        return signed(line.estimate)
    text = f'{signed(line.estimate)} <span class="msig-range">[{signed(line.lo)}, {signed(line.hi)}]</span>'
    return text + _interval(line.estimate, line.lo, line.hi, line.smallest_effect or 0.0, line.direction)


def _interval(estimate: float, lo: float, hi: float, smallest: float, direction: str) -> str:
    """Draw the interval over the zone that the claim names; the numbers beside it say the same."""
    reach = 1.15 * max(abs(lo), abs(hi), abs(estimate), 1.6 * smallest, 1e-9)

    def x(value: float) -> str:
        return f"{72 + 70 * max(-1.0, min(1.0, value / reach)):.1f}"

    zones = {
        "greater": (smallest, reach),
        "less": (-reach, -smallest),
        "not_greater": (-reach, smallest),
        "equal": (-smallest, smallest),
    }
    zone = ""
    if direction in zones:
        left, right = (float(x(edge)) for edge in zones[direction])
        zone = f'<rect class="zone" x="{left:.1f}" y="1" width="{right - left:.1f}" height="18" rx="2"/>'
    return (
        '<svg class="msig-interval" viewBox="0 0 144 20" aria-hidden="true" focusable="false">'
        f'{zone}<line class="zero" x1="72" x2="72" y1="0" y2="20"/>'
        f'<line class="bar" x1="{x(lo)}" x2="{x(hi)}" y1="10" y2="10"/>'
        f'<circle class="dot" cx="{x(estimate)}" cy="10" r="4"/></svg>'
    )


def counts(lines: Sequence[Entry], page: str = "") -> str:
    """Return the number of claims for each verdict, each a link to the filtered scorecard."""
    found = Counter(line.verdict for line in lines)
    items = "".join(
        f'<li><a href="{page}?verdict={html.slug(name)}">'
        f"<strong>{found[name]}</strong>"
        f'<span class="msig-badge msig-{html.slug(name)}">{html.named(name, found[name])}</span></a></li>'
        for name in html.VERDICTS
    )
    return f'<ul class="msig-counts">{items}</ul>'


def filter_form(lines: Sequence[Entry], titles: Mapping[str, str]) -> str:
    """Return the controls that narrow the table; hidden until the script that serves them runs."""

    def select(name: str, label: str, options: Mapping[str, str]) -> str:
        body = "".join(f'<option value="{escape(v)}">{escape(t)}</option>' for v, t in options.items())
        return f'<label>{label}<select name="{name}"><option value="">all</option>{body}</select></label>'

    chapters = {line.chapter: titles.get(line.chapter, line.chapter) for line in lines}
    verdicts = {html.slug(v): v for v in html.VERDICTS if any(line.verdict == v for line in lines)}
    tiers = {line.tier: line.tier for line in lines}
    return (
        '<form class="msig-filter" data-msig-filter hidden>'
        + select("chapter", "Chapter", chapters)
        + select("verdict", "Verdict", verdicts)
        + select("tier", "Tier", tiers)
        + '<label>Words<input type="search" name="words" size="14" autocomplete="off"></label>'
        '<button type="reset">Show all</button><output data-count aria-live="polite"></output></form>'
    )
