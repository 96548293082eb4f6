"""Numbers of the slower tiers, kept as small JSON: book/recorded/<chapter>.<tier>.json.

{"rows": [...], "provenance": {...}, "comparisons": {claim id: {estimate, lo, hi, n_seeds, n_items, a_mean,
b_mean, test}}}; a check has {passed, test}. `test` is the claim's fingerprint, so that numbers of a claim
whose test was changed since are not taken for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msig_lib.claims.schema import Check, ClaimError
from msig_lib.claims.verdicts import Verdict
from msig_lib.project import project
from msig_lib.tiers import TIERS, Tier

NUMBERS = ("estimate", "lo", "hi", "n_seeds", "n_items", "a_mean", "b_mean")
LEDGER = "verdicts.json"


def read(folder: Path | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    """Return {(chapter, tier): document} of every record in `folder` (default: book/recorded).

    Raises ClaimError, naming the file, for one that is not such a document.
    """
    folder = Path(folder) if folder is not None else project().recorded
    records: dict[tuple[str, str], dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        if path.name == LEDGER:
            continue
        chapter, _, tier = path.stem.rpartition(".")
        if not chapter or tier not in TIERS:
            raise ClaimError(f"{path}: expected a name like ch02_extreme_classification.full.json.")
        document = read_json(path)
        missing = {"rows", "provenance", "comparisons"} - set(document)
        if missing or not isinstance(document["comparisons"], dict):
            raise ClaimError(f"{path}: lacks {', '.join(sorted(missing)) or 'comparisons by claim id'}.")
        records[chapter, tier] = document
    return records


def comparisons(verdicts: Iterable[Verdict]) -> dict[str, dict[str, Any]]:
    """Return the numbers of the measured verdicts by claim id, as a record holds them."""
    out: dict[str, dict[str, Any]] = {}
    for verdict in verdicts:
        if verdict.source != "measured":
            continue
        if isinstance(verdict.claim.test, Check):
            held = verdict.verdict in ("reproduced", "erratum")
            out[verdict.claim.id] = {"passed": held, "test": verdict.claim.fingerprint()}
        else:
            numbers = {name: getattr(verdict, name) for name in NUMBERS}
            out[verdict.claim.id] = {**numbers, "test": verdict.claim.fingerprint()}
    return out


def write(
    chapter: str,
    tier: Tier,
    rows: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
    verdicts: Iterable[Verdict],
    folder: Path | None = None,
) -> Path:
    """Record one chapter's run at one tier (`rows`: plain values, no items); return the file's path."""
    folder = Path(folder) if folder is not None else project().recorded
    mine = [verdict for verdict in verdicts if verdict.claim.chapter == chapter]
    path = folder / f"{chapter}.{tier}.json"
    document = {"rows": list(rows), "provenance": dict(provenance), "comparisons": comparisons(mine)}
    write_json(path, document)
    return path


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`; raises ClaimError when it is not one."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ClaimError(f"{path} cannot be read as JSON ({error}); restore it, or record again.") from None
    if not isinstance(document, dict):
        raise ClaimError(f"{path} holds a {type(document).__name__}, not an object; record again.")
    return document


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON that does not change when nothing changed, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
