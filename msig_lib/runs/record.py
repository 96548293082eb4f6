"""What a run contributes to `book/recorded`: its rows without items, and where they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msig_lib.runs import provenance, results


def rows(run_dir: Path) -> list[dict[str, Any]]:
    """Return a run's rows as plain values: metric, value, seed, n_items, factors (and a check's detail)."""
    return [
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


def origin(run_dir: Path) -> dict[str, Any]:
    """Return a run's provenance without the parts of its key (the key stands for them) and without cells."""
    facts = json.loads((run_dir / provenance.FILE).read_text(encoding="utf-8"))
    return {name: value for name, value in facts.items() if name not in ("parts", "cells")}
