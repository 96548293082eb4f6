"""`msig claims` and `msig run --record`: from cached runs to verdicts, shown, compared, recorded."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from msig_lib.errors import MsigError

if TYPE_CHECKING:
    from msig_lib.runs.key import Job


def verdicts(runs: Mapping[str, Path], tier: str, chapters: list[str] | None = None) -> list[Any]:
    """Return the verdicts of the given chapters' claims (None: all) from runs and records."""
    from msig_lib import claims
    from msig_lib.claims import recorded
    from msig_lib.runs import results

    wanted = [claim for claim in claims.load() if chapters is None or claim.chapter in chapters]
    measured = {chapter: results.read(folder) for chapter, folder in runs.items()}
    return claims.evaluate(wanted, measured, tier, recorded=recorded.read())


def latest(jobs: Sequence[Job]) -> tuple[dict[str, Path], list[str]]:
    """Return ({chapter: its run, else its latest one at this tier}, chapters without any).

    A run that is not of the present sources is used, with a note, so that looking costs nothing.
    """
    from msig_lib.runs import store

    found: dict[str, Path] = {}
    for job in jobs:
        run = store.find(job.chapter, job.tier, job.key)[0] if job.key else None
        if run is None and (run := store.latest(job.chapter, job.tier, own=True)):
            print(f"note: {job.chapter} changed since its latest run at tier {job.tier}", file=sys.stderr)
        if run:
            found[job.chapter] = run.folder
    return found, [job.chapter for job in jobs if job.chapter not in found]


def record(chapter: str, tier: str, run_dir: Path) -> Path:
    """Write book/recorded/<chapter>.<tier>.json: rows, provenance and the comparisons of its claims."""
    from msig_lib.claims import recorded
    from msig_lib.runs import record as kept

    judged = verdicts({chapter: run_dir}, tier, [chapter])
    return recorded.write(chapter, tier, kept.rows(run_dir), kept.origin(run_dir), judged)


def claims(
    tier: Annotated[str, typer.Option("--tier", help="The tier whose runs are judged.")] = "quick",
    chapter: Annotated[str | None, typer.Option("--chapter", help="Only this one (or prefix).")] = None,
    check: Annotated[bool, typer.Option("--check", help="Status 1 when a verdict turned over.")] = False,
    record: Annotated[bool, typer.Option("--record", help="Keep the verdicts in book/recorded.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print every claim with its verdict, computed from the latest runs at a tier."""
    from msig_lib.claims import regress
    from msig_lib.project import project
    from msig_lib.runs import key, notebook

    if record and chapter:
        raise MsigError("--record keeps the verdicts of all chapters; leave out --chapter")
    known = list(notebook.chapters(project()))
    chapters = notebook.chosen([chapter], known) if chapter else None
    jobs = [job for job in key.plan(project(), [], tier) if job.chapter in (chapters or known)]
    runs, missing = latest(jobs)
    judged = verdicts(runs, tier, chapters)
    if as_json:
        print(json.dumps([_plain(verdict) for verdict in judged], indent=1, ensure_ascii=False))
    else:
        _show(judged)
        for name in missing:
            print(f"{name}: no run at tier {tier} yet (msig run {name} --tier {tier})", file=sys.stderr)
    if check:
        before = regress.load()
        if chapter:
            kept = {verdict.claim.id for verdict in judged}
            before = {at: {k: v for k, v in ids.items() if k in kept} for at, ids in before.items()}
        found_changes = regress.compare(judged, before, tier)
        for note in found_changes.notes:
            print(f"note: {note}", file=sys.stderr)
        if not found_changes.ok:
            raise MsigError("verdicts turned over:\n  " + "\n  ".join(found_changes.failures))
    if record:
        print(f"recorded: {regress.record(judged, tier)}", file=sys.stderr)


def _plain(verdict: Any) -> dict[str, Any]:
    fields = {field.name: getattr(verdict, field.name) for field in dataclasses.fields(verdict)}
    claim = fields.pop("claim")
    told = {name: getattr(claim, name) for name in ("id", "chapter", "where", "statement")} | fields
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in told.items()
    }


def _show(verdicts: list[Any]) -> None:
    width = max((len(verdict.claim.id) for verdict in verdicts), default=0)
    for verdict in verdicts:
        numbers = ""
        if verdict.estimate is not None and verdict.lo is not None:
            numbers = f"{verdict.estimate:+.3f} [{verdict.lo:+.3f}, {verdict.hi:+.3f}]"
        print(f"{verdict.verdict:<14} {verdict.claim.id:<{width}}  {numbers or verdict.reason}")
    counts: dict[str, int] = {}
    for verdict in verdicts:
        counts[verdict.verdict] = counts.get(verdict.verdict, 0) + 1
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"{len(verdicts)} claims" + (f": {told}" if told else ""))
