"""Small pieces of HTML that several pages share: badges, counts, facts, times."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

VERDICTS = ("reproduced", "contradicted", "inconclusive", "not attempted", "erratum")
"""The verdicts, in the order in which counts are shown."""
MANY = {"erratum": "errata"}


def raw(html: str) -> str:
    """Return HTML as a MyST block."""
    return f"````{{raw}} html\n{html}\n````\n"


LONG = re.compile(r'<(td|th scope="row")>(?=[^<]{36})')
NAMED = re.compile(r'<th scope="row">(?=[^<]{18})')


def readable(table: str) -> str:
    """Return a table's HTML in which long texts and names of rows have room."""
    return NAMED.sub('<th scope="row" class="msig-named">', LONG.sub(r'<\1 class="msig-long">', table))


def slug(verdict: str) -> str:
    """Return a verdict as it stands in class names and addresses."""
    return verdict.replace(" ", "-").replace("_", "-")


def badge(verdict: str, count: int | None = None) -> str:
    """Return a verdict as a coloured sign with its word, and how often it was given."""
    text = verdict if count is None else f"{count} {named(verdict, count)}"
    return f'<span class="msig-badge msig-{slug(verdict)}">{escape(text)}</span>'


def named(verdict: str, count: int) -> str:
    """Return the word for so many claims of a verdict."""
    return verdict if count == 1 else MANY.get(verdict, verdict)


def badges(verdicts: Iterable[str]) -> str:
    """Return the counts of verdicts as a list of badges (empty text when there are none)."""
    counts = Counter(verdicts)
    items = "".join(f"<li>{badge(name, counts[name])}</li>" for name in VERDICTS if counts[name])
    return f'<ul class="msig-badges">{items}</ul>' if items else ""


def facts(rows: Mapping[str, str]) -> str:
    """Return names and values (HTML) as a definition list."""
    body = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in rows.items())
    return f'<dl class="msig-facts">{body}</dl>'


def duration(seconds: float | None) -> str:
    """Return seconds as "4.2 s", "3 min 05 s" or "1 h 12 min"."""
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def took(told: Mapping[str, Any]) -> str:
    """Return how long a run took by the clock and, where its provenance says so, of the processor."""
    clock, cpu = told.get("seconds"), told.get("cpu_seconds")
    return duration(clock) + (f" ({duration(cpu)} of CPU time)" if cpu is not None else "")


def count(number: int, one: str, many: str | None = None) -> str:
    """Return "1 claim" or "3 claims"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
