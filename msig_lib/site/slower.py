"""What the slower tiers recorded for a chapter, shown on its page beside what this build measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from statistics import fmean
from typing import Any

from msig_lib.claims import Comparison
from msig_lib.display.tables import number
from msig_lib.site import html, ledger
from msig_lib.site.ledger import Names

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Means:
    """Means over seeds of one metric; `means` has a row for what differs, `shared` is what does not, in words."""

    data: str
    metric: str
    shared: str
    means: Mapping[str, float]


def section(
    records: Mapping[str, Record], comparisons: Collection[Comparison], names: Names | None = None
) -> str:
    """Return a chapter's records (tier -> document of book/recorded) as MyST, "" when there is none.

    `names` are those of `ledger.entries`. Of what the chapter's claims compare; a record has far more.
    """
    parts = []
    for tier, document in records.items():
        rows = [row for row in document["rows"] if compared(row, comparisons)]
        found = means(rows, names or {})
        if found:
            parts.append(html.raw(f"<p>{origin(tier, document['provenance'])}</p>"))
        for data in dict.fromkeys(one.data for one in found):
            caption = f"Means over seeds, tier {tier}" + (f", {data}" if data else "")
            parts.append(html.raw(_table([one for one in found if one.data == data], caption)))
    if not parts:
        return ""
    return "## Recorded at slower tiers\n\n" + "\n".join(parts)


def compared(row: Mapping[str, Any], comparisons: Collection[Comparison]) -> bool:
    """Return whether a recorded row is on a side of one of the comparisons."""
    return any(
        row["metric"] == (side.metric or test.metric)
        and all(row["factors"].get(name) == value for name, value in {**test.factors, **side.factors}.items())
        for test in comparisons
        for side in (test.a, test.b)
        if side.value is None
    )


def means(rows: Sequence[Mapping[str, Any]], names: Names) -> list[Means]:
    """Return the means of rows with the same factors, a group for each metric, those of a data set together."""
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in rows:
        own = row["factors"]
        groups.setdefault((own.get("data", ""), row["metric"], *sorted(own)), []).append(row)
    known = names.get("values", {})
    out = []
    for (data, metric, *_), group in groups.items():
        values = {name: {row["factors"][name] for row in group} for name in group[0]["factors"]}
        differ = [name for name, found in values.items() if len(found) > 1]
        alike = [
            ledger.factor(name, *values[name], known) for name in values if name not in (*differ, "data")
        ]
        if not differ:  # a single row: what it is names it
            differ, alike = [name for name in values if name != "data"], []
        found: dict[str, list[float]] = {}
        for row in group:
            what = ", ".join(ledger.factor(name, row["factors"][name], known) for name in differ)
            found.setdefault(what, []).append(row["value"])
        title = ledger.written(metric, names.get("metrics", {}))
        out.append(
            Means(
                ledger.written(data, known),
                title,
                ", ".join(word for word in alike if word != title),
                {what: fmean(several) for what, several in found.items()},
            )
        )
    return out


def _table(groups: Sequence[Means], caption: str) -> str:
    """Return groups as one table of two columns, a heading for each metric."""
    bodies = []
    for one in groups:
        shared = f' <span class="msig-meta">{escape(one.shared)}</span>' if one.shared else ""
        rows = "".join(
            f'<tr><th scope="row">{escape(what) or "all"}</th><td class="num">{number(mean)}</td></tr>'
            for what, mean in one.means.items()
        )
        bodies.append(
            f'<tbody><tr><th scope="rowgroup" colspan="2" class="msig-metric">{escape(one.metric)}{shared}</th></tr>'
            f"{rows}</tbody>"
        )
    return (
        f'<div class="msig-table"><table class="msig"><caption>{escape(caption)}</caption>'
        f"{''.join(bodies)}</table></div>"
    )


def origin(tier: str, told: Mapping[str, Any]) -> str:
    """Return where a record comes from, as a sentence (HTML)."""
    commit = (told.get("commit") or {}).get("id") or "no commit"
    hardware = told.get("hardware") or {}
    machine = hardware.get("processor") or "an unnamed processor"
    return (
        f"Recorded, not measured in this build: tier {escape(tier)}, {escape(_date(told.get('started')))}commit "
        f"<code>{escape(commit[:12])}</code>, {html.duration(told.get('seconds'))} on {escape(str(machine))} "
        f"({told.get('threads')} threads), seeds {escape(', '.join(map(str, told.get('seeds') or [])))}."
    )


def _date(started: object) -> str:
    try:
        return f"{datetime.fromisoformat(str(started)):%Y-%m-%d %H:%M}, "
    except ValueError:
        return ""
