"""Verdicts compared with the recorded ones: the build fails when one turns over, not when the thesis is
wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from msig_lib.claims.recorded import LEDGER, read_json, write_json
from msig_lib.claims.schema import ClaimError
from msig_lib.claims.verdicts import OUTCOMES, Verdict
from msig_lib.project import project
from msig_lib.tiers import TIERS, Tier

Ledger = dict[str, dict[str, str]]
_OPPOSITE = {"reproduced": "contradicted", "contradicted": "reproduced"}


@dataclass(frozen=True)
class Regression:
    """What changed against the recorded verdicts: failures stop a build, notes are for reading."""

    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.failures


def _path(path: Path | None) -> Path:
    return Path(path) if path is not None else project().recorded / LEDGER


def load(path: Path | None = None) -> Ledger:
    """Return {tier: {claim id: verdict}} of book/recorded/verdicts.json, empty when there is no file yet."""
    path = _path(path)
    if not path.exists():
        return {}
    ledger = read_json(path)
    for tier, verdicts in ledger.items():
        if tier not in TIERS or not isinstance(verdicts, dict) or set(verdicts.values()) - set(OUTCOMES):
            raise ClaimError(f"{path}: {tier!r} must be a tier with {{claim id: verdict}}; record again.")
    return ledger


def compare(current: Iterable[Verdict], recorded: Mapping[str, Mapping[str, str]], tier: Tier) -> Regression:
    """Compare verdicts at `tier` with the recorded ones of that tier.

    Failures: reproduced turned contradicted or back, and an erratum that was tested and is no longer shown
    (recorded or not). Every other difference is a note: inconclusive in between, new, or no longer there. At
    tier smoke nothing is compared.
    """
    if tier == "smoke":
        return Regression()
    before = recorded.get(tier, {})
    failures, notes, seen = [], [], set()
    for verdict in current:
        claim, now = verdict.claim.id, verdict.verdict
        then = before.get(claim)
        seen.add(claim)
        told = f"{claim}: recorded as {then}, now {now} ({verdict.reason})"
        if verdict.claim.kind == "erratum" and now not in ("erratum", "not attempted"):
            failures.append(f"{claim}: an erratum that is not shown any more ({verdict.reason})")
        elif then is None:
            notes.append(f"{claim}: new, {now}")
        elif now == _OPPOSITE.get(then):
            failures.append(f"{told}; if the method's change is right, record the verdicts anew")
        elif now != then:
            notes.append(told)
    notes += [
        f"{claim}: recorded as {then}, no such claim now"
        for claim, then in before.items()
        if claim not in seen
    ]
    return Regression(tuple(failures), tuple(notes))


def record(current: Iterable[Verdict], tier: Tier, path: Path | None = None) -> Path:
    """Write the verdicts of `tier` into the ledger, other tiers untouched; return its path.

    Claims that were not attempted keep what was recorded, so that running one chapter does not forget others.
    Raises ClaimError at tier smoke.
    """
    if tier == "smoke":
        raise ClaimError(
            "verdicts at tier smoke mean nothing and are not recorded; use quick, full or paper."
        )
    path = _path(path)
    ledger = load(path)
    before = ledger.get(tier, {})
    now = {}
    for verdict in current:
        kept = before.get(verdict.claim.id) if verdict.verdict == "not attempted" else None
        now[verdict.claim.id] = kept or verdict.verdict
    ledger[tier] = now
    write_json(path, ledger)
    return path
