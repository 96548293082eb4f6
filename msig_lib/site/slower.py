"""What the slower tiers recorded for a chapter, shown on its page beside what this build measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from msig_lib.claims import Comparison
from msig_lib.display import table
from msig_lib.site import html

Record = Mapping[str, Any]


def section(records: Mapping[str, Record], comparisons: Collection[Comparison]) -> str:
    """Return a chapter's records (tier -> document of book/recorded) as MyST, "" when there is none.

    One table for each tier and data set: means over seeds, a row for each method (or other factor), a column
    for each metric; of what the chapter's claims compare, a record has far more.
    """
    parts = []
    for tier, document in records.items():
        tables = [
            html.raw(table(frame, caption=f"Tier {tier}{name}: means over seeds").html)
            for name, frame in means([row for row in document["rows"] if compared(row, comparisons)])
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


def means(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, pd.DataFrame]]:
    """Return (" on <data>" or "", table of means) for every data set among recorded rows."""
    kept = [
        {
            "data": row["factors"].get("data", ""),
            "what": ", ".join(str(value) for name, value in row["factors"].items() if name != "data"),
            "metric": row["metric"],
            "value": row["value"],
        }
        for row in rows
    ]
    if not kept:
        return []
    out = []
    for data, part in pd.DataFrame(kept).groupby("data", sort=False):
        frame = part.groupby(["what", "metric"], sort=False)["value"].mean().unstack("metric")
        out.append((f" on {data}" if data else "", frame.rename_axis(index=None, columns=None)))
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
