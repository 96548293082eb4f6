"""Keep results of the slower tiers in the repository: rows without items, provenance and comparisons."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msig_lib.errors import MsigError
from msig_lib.project import Project
from msig_lib.runs import provenance, results


def write(
    project: Project, chapter: str, tier: str, run_dir: Path, claims: Sequence[dict[str, Any]] = ()
) -> Path:
    """Write `book/recorded/<chapter>.<tier>.json` from a run and return its path.

    `claims` are the comparisons of the chapter's claims as plain values (the caller computes them). The parts
    of the key stay out: the key stands for them.
    """
    rows = [
        {
            "metric": row.metric,
            "value": row.value,
            "seed": row.seed,
            "n_items": 1 if row.items is None else len(row.items),
            "factors": row.factors,
            **({"detail": row.detail} if row.detail else {}),
        }
        for row in results.read(run_dir).rows
    ]
    origin = json.loads((run_dir / provenance.FILE).read_text(encoding="utf-8"))
    origin.pop("parts", None)
    origin.pop("cells", None)
    document = {"chapter": chapter, "tier": tier, "provenance": origin, "rows": rows, "claims": list(claims)}
    path = project.recorded / f"{chapter}.{tier}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)
    return path


def read(project: Project, chapter: str, tier: str) -> dict[str, Any] | None:
    """Return what was recorded for a chapter at a tier, or None; raises MsigError for a broken file."""
    path = project.recorded / f"{chapter}.{tier}.json"
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise MsigError(f"{path} cannot be read ({error}); record it again or restore it") from None


def rows(document: dict[str, Any]) -> results.Results:
    """Return the rows of a recorded document as Results (values only: items are not recorded)."""
    made = [
        results.Row(row["metric"], row["value"], row["seed"], row["factors"], detail=row.get("detail", {}))
        for row in document["rows"]
    ]
    return results.Results(made, source=f"book/recorded/{document['chapter']}.{document['tier']}.json")
