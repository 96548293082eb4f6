"""What the slower tiers recorded for a chapter, shown on its page beside what this build measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from msig_lib.claims import Comparison
from msig_lib.display import table
from msig_lib.site import html, ledger
from msig_lib.site.ledger import Names

Record = Mapping[str, Any]


def section(
    records: Mapping[str, Record], comparisons: Collection[Comparison], names: Names | None = None
) -> str:
    """Return a chapter's records (tier -> document of book/recorded) as MyST, "" when there is none.

    `names` are those of `ledger.entries`. Of what the chapter's claims compare; a record has far more.
    """
    parts = []
    for tier, document in records.items():
        tables = [
            html.raw(html.readable(table(frame, caption=f"Tier {tier}, {told}means over seeds").html))
            for told, frame in means(
                [row for row in document["rows"] if compared(row, comparisons)], names or {}
            )
        ]
        if tables:
            parts += [html.raw(f"<p>{origin(tier, document['provenance'])}</p>"), *tables]
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


def means(rows: Sequence[Mapping[str, Any]], names: Names) -> list[tuple[str, pd.DataFrame]]:
    """Return ("<what all rows share>: " or "", table of means) for rows with the same factors.

    A row of a table is what differs between them in words, a column a metric.
    """
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["factors"].get("data"), *sorted(row["factors"])), []).append(row)
    out = []
    for group in groups.values():
        values = {name: {row["factors"][name] for row in group} for name in group[0]["factors"]}
        differ = [name for name, found in values.items() if len(found) > 1] or list(values)
        known = names.get("values", {})
        frame = pd.DataFrame(
            {
                "what": ", ".join(ledger.factor(name, row["factors"][name], known) for name in differ),
                "metric": ledger.written(row["metric"], names.get("metrics", {})),
                "value": row["value"],
            }
            for row in group
        )
        frame = frame.groupby(["what", "metric"], sort=False)["value"].mean().unstack("metric")
        shared = [ledger.factor(name, *values[name], known) for name in values if name not in differ]
        out.append((f"{', '.join(shared)}: " if shared else "", frame.rename_axis(index=None, columns=None)))
    return out


def origin(tier: str, told: Mapping[str, Any]) -> str:
    """Return where a record comes from, as a sentence (HTML)."""
    commit = (told.get("commit") or {}).get("id") or "no commit"
    hardware = told.get("hardware") or {}
    machine = hardware.get("processor") or "an unnamed processor"
    return (
        f"Recorded, not measured in this build: tier {escape(tier)}, started {escape(str(told.get('started', '')))} "
        f"at <code>{escape(commit[:12])}</code>, {html.duration(told.get('seconds'))} on {escape(str(machine))} "
        f"({told.get('threads')} threads), seeds {escape(', '.join(map(str, told.get('seeds') or [])))}."
    )
