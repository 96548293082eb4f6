"""The claims with their verdicts as a page shows them: table, counts, filter, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from msig_lib.display import inline
from msig_lib.site import html


@dataclass(frozen=True)
class Entry:
    """One claim with its verdict, all of it as text or numbers (NaN-free; None where nothing was measured)."""

    id: str
    chapter: str
    where: str
    statement: str
    tier: str
    anchor: str | None
    verdict: str
    direction: str | None
    smallest_effect: float | None
    thesis: str
    a: str
    b: str
    a_mean: float | None
    b_mean: float | None
    estimate: float | None
    lo: float | None
    hi: float | None
    n_seeds: int | None
    n_items: int | None
    reason: str
    metric: str = ""

    @property
    def link(self) -> str:
        """The address of the cell that measured it."""
        return f"{self.chapter}.html" + (f"#{self.anchor}" if self.anchor else "")


def get(thing: Any, name: str, default: Any = None) -> Any:
    """Return a field of a mapping or an attribute of an object, or `default` when it is missing or None."""
    value = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
    return default if value is None else value


def entries(verdicts: Iterable[Any]) -> list[Entry]:
    """Return verdicts (see msig_lib.claims) in the form of this page, in their order."""
    return [_entry(verdict) for verdict in verdicts]


def _entry(verdict: Any) -> Entry:
    claim = get(verdict, "claim")
    test = get(claim, "test", {})
    numbers = {name: _number(get(verdict, name)) for name in ("estimate", "lo", "hi", "a_mean", "b_mean")}
    return Entry(
        id=claim.id if not isinstance(claim, Mapping) else claim["id"],
        chapter=get(claim, "chapter"),
        where=get(claim, "where", ""),
        statement=get(claim, "statement", ""),
        tier=get(claim, "tier", ""),
        anchor=get(claim, "anchor"),
        verdict=str(get(verdict, "verdict")).replace("_", " "),
        direction=get(test, "direction"),
        smallest_effect=_number(get(test, "smallest_effect")),
        thesis=_thesis(get(claim, "paper")),
        a=_side(get(test, "a")),
        b=_side(get(test, "b")),
        n_seeds=get(verdict, "n_seeds"),
        n_items=get(verdict, "n_items"),
        reason=str(get(verdict, "reason", "") or get(claim, "needs", "")),
        metric=str(get(test, "metric", "")),
        **numbers,
    )


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def _side(factors: Any) -> str:
    """Return what a side is in words: the values of its factors."""
    if factors is None:
        return ""
    given = factors if isinstance(factors, Mapping) else _fields(factors)
    return ", ".join(str(value).replace("_", " ") for value in given.values() if value is not None)


def _fields(thing: Any) -> dict[str, Any]:
    return thing.model_dump() if hasattr(thing, "model_dump") else dict(vars(thing))


def _thesis(paper: Any) -> str:
    if not paper:
        return ""
    if isinstance(paper, str):
        return paper
    given = dict(paper) if isinstance(paper, Mapping) else _fields(paper)
    a, b = given.get("a"), given.get("b")
    sides = f"{a} against {b}" if a is not None and b is not None else "" if a is None else f"{a}"
    context = ", ".join(str(given[key]) for key in ("metric", "data") if given.get(key))
    return f"{sides} ({context})" if sides and context else sides or context


def signed(value: float) -> str:
    """Return a difference with its sign and three decimals."""
    return f"{value:+.3f}".replace("-", "−")


def table(lines: Sequence[Entry], *, caption: str, chapters: bool = False) -> str:
    """Return claims as a table that narrow screens show as a list; `chapters` adds the chapter's link."""
    heads = ("Verdict", "Claim", "Thesis", "Here", "Difference, 95% interval")
    head = "".join(f'<th scope="col" role="columnheader">{name}</th>' for name in heads)
    rows = "".join(_row(line, chapters) for line in lines)
    return (
        f'<table class="msig-claims" role="table"><caption>{escape(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead><tbody role="rowgroup">{rows}</tbody></table>'
    )


def _row(line: Entry, chapters: bool) -> str:
    about = [escape(f"Thesis {line.where}")] if line.where else []
    about.append(f"tier {escape(line.tier)}")
    if line.verdict != "not attempted" or line.anchor:
        place = line.link if chapters else f"#{line.anchor or ''}"
        about.append(f'<a href="{escape(place)}">where it is measured</a>')
    reason = f'<span class="msig-meta">{inline(line.reason)}</span>' if line.reason else ""
    ours, difference = _ours(line), _difference(line)
    return (
        f'<tr role="row" id="claim-{escape(line.id)}" data-claim data-chapter="{escape(line.chapter)}" '
        f'data-verdict="{html.slug(line.verdict)}" data-tier="{escape(line.tier)}">'
        f'<td role="cell">{html.badge(line.verdict)}</td>'
        f'<th scope="row" role="rowheader" class="mathjax_process">'
        f'<span class="msig-statement">{inline(line.statement)}</span>'
        f'<span class="msig-meta">{" · ".join(about)}</span>{reason}</th>'
        f'<td role="cell" data-label="Thesis">{escape(line.thesis, quote=False)}</td>'
        f'<td role="cell" data-label="Here" class="num">{ours}</td>'
        f'<td role="cell" data-label="Difference" class="num">{difference}</td></tr>'
    )


def _ours(line: Entry) -> str:
    if line.a_mean is None:
        return ""
    parts = [f"{escape(line.a)} {line.a_mean:.3f}"]
    if line.b_mean is not None:
        parts.append(f"{escape(line.b if line.b.strip('.0123456789') else 'value')} {line.b_mean:.3f}")
    sizes = [html.count(n, one) for n, one in ((line.n_seeds, "seed"), (line.n_items, "item")) if n]
    metric = f'<span class="msig-meta">{escape(", ".join([line.metric, *sizes]).strip(", "))}</span>'
    return "<br>".join(parts) + metric


def _difference(line: Entry) -> str:
    if line.estimate is None:
        return ""
    if line.lo is None or line.hi is None:
        return signed(line.estimate)
    text = f"{signed(line.estimate)} [{signed(line.lo)}, {signed(line.hi)}]"
    return text + _interval(line.estimate, line.lo, line.hi, line.smallest_effect or 0.0, line.direction or "")


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
        f'<li><a href="{page}?verdict={html.slug(name)}"><strong>{found[name]}</strong>{html.badge(name)}</a></li>'
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


def as_json(lines: Sequence[Entry], tier: str) -> str:
    """Return the ledger as JSON."""
    return json.dumps({"tier": tier, "claims": [asdict(line) for line in lines]}, indent=1, ensure_ascii=False) + "\n"


def as_csv(lines: Sequence[Entry]) -> str:
    """Return the ledger as CSV, one claim a line."""
    buffer = io.StringIO()
    names = list(Entry.__dataclass_fields__)
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
    return buffer.getvalue()
