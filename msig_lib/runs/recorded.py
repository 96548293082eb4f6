"""What a slower tier recorded, for a notebook that shows it beside its own numbers, marked as recorded.

    from msig_lib.runs import recorded
    full = recorded.read("ch04_change_points", slower_than="quick")
    if full is not None:
        full.results.frame(), full.told

A notebook that imports this module runs again when such a record changes (see `runs.key`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msig_lib.errors import message
from msig_lib.project import project
from msig_lib.runs.results import Results, ResultsError
from msig_lib.runs.rows import Row
from msig_lib.tiers import TIERS

FILE = "msig_lib/runs/recorded.py"  # how the key of a run names this module


@dataclass(frozen=True)
class Recorded:
    """The rows of one recorded run (means a seed, no items), its tier, and its provenance."""

    tier: str
    results: Results
    provenance: dict[str, Any]

    @property
    def told(self) -> str:
        """Return in one sentence that these numbers were not measured now, and where they come from."""
        facts = self.provenance
        commit = (facts.get("commit") or {}).get("id") or "no commit"
        machine = (facts.get("hardware") or {}).get("processor") or "an unnamed processor"
        return (
            f"Recorded at tier {self.tier}, not measured in this run: {len(facts.get('seeds') or [])} seeds, "
            f"{facts.get('seconds', 0) / 60:.0f} minutes on {machine}, commit {commit[:12]}."
        )


def read(chapter: str, *, slower_than: str) -> Recorded | None:
    """Return the fastest recorded run of a chapter among the tiers slower than `slower_than`, or None.

    Raises ValueError for an unknown tier, ResultsError for a record that cannot be read.
    """
    for tier, path in paths(chapter, slower_than).items():
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            rows = [
                Row(row["metric"], row["value"], row["seed"], row["factors"], detail=row.get("detail", {}))
                for row in document["rows"]
            ]
            facts = dict(document["provenance"])
        except (ValueError, KeyError, TypeError) as error:
            raise ResultsError(f"{path} is no record of a run: {message(error)}; record it again") from None
        return Recorded(tier, Results(rows, f"the record of tier {tier}"), facts)
    return None


def paths(chapter: str, slower_than: str, folder: Path | None = None) -> dict[str, Path]:
    """Return {tier: file} of a chapter's records at tiers slower than `slower_than`, the fastest first."""
    if slower_than not in TIERS:
        raise ValueError(f"slower_than is {slower_than!r}, expected one of {', '.join(TIERS)}")
    folder = project().recorded if folder is None else folder
    found = {tier: folder / f"{chapter}.{tier}.json" for tier in TIERS[TIERS.index(slower_than) + 1 :]}
    return {tier: path for tier, path in found.items() if path.is_file()}


def fingerprints(chapter: str, slower_than: str, folder: Path | None = None) -> dict[str, str]:
    """Return {tier: SHA-256} of the same records: part of the key of a notebook that may show them."""
    return {
        tier: hashlib.sha256(path.read_bytes()).hexdigest()
        for tier, path in paths(chapter, slower_than, folder).items()
    }
