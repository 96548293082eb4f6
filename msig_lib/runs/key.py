"""The key of a run: all that its result depends on, in parts, and what differs between two keys."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msig_lib.errors import MsigError, listing, message
from msig_lib.project import Project
from msig_lib.runs import imports, parameters, recorded
from msig_lib.runs import notebook as nb


class NotHere(MsigError):
    """Raised for a data set that exists but is neither in the mirror nor in the cache."""


FORMAT = 1  # of a run directory; a change makes every notebook run again


@dataclass(frozen=True)
class Job:
    """One notebook to run at one tier; `problem` tells why it cannot be run.

    `own`: the parameters are the tier's own, so the results may stand for the tier in book and ledger.
    `data` are the fingerprints of the data sets that the notebook may load; `without` says of each optional
    set that is not at hand why it is not.
    """

    chapter: str
    tier: str
    notebook: Path
    parameters: dict[str, Any]
    data: dict[str, str]
    limit_s: float | None
    parts: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    problem: str | None = None
    own: bool = True
    without: dict[str, str] = field(default_factory=dict)


def digest(value: Any) -> str:
    """Return the SHA-256 of a plain value, through JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def plan(
    project: Project,
    asked: list[str],
    tier: str,
    given: Mapping[str, Any] | None = None,
) -> list[Job]:
    """Return the jobs for chapters at a tier, keys included; `given` are parameters from the command line.

    Raises MsigError for unknown chapters, tiers and parameters. What concerns one chapter alone (data that is
    not there, a notebook that cannot be read) is kept as that job's problem, so that the others can go on.
    """
    entries = nb.read_tier(project, tier)
    notebooks = nb.chapters(project)
    names: list[str] = []
    for one in asked or [""]:
        meant = nb.chosen([one] if one else [], list(notebooks))
        here = [name for name in meant if name in entries.entries]
        if not here:
            raise nb.NotebookError(
                f"notebooks/tiers/{tier}.yml has no entry for {listing(meant)}; it has {listing(entries.entries)}"
            )
        names += [name for name in here if name not in names]
    jobs = []
    for name in names:
        entry = entries.entries[name]
        defaults = parameters.read(notebooks[name])
        values = parameters.resolve(name, defaults, tier, entry.parameters, given)
        own = values == parameters.resolve(name, defaults, tier, entry.parameters)
        jobs.append(_job(project, name, entries, notebooks[name], values, own))
    return jobs


def _job(project: Project, name: str, tier: nb.Tier, path: Path, values: dict[str, Any], own: bool) -> Job:
    limit = tier.settings.limit_s
    try:
        data, without = _data(tier.entries[name])
        parts = _parts(project, path, values, data, tier.name)
    except (MsigError, OSError) as error:
        return Job(name, tier.name, path, values, {}, limit, problem=message(error))
    return Job(name, tier.name, path, values, data, limit, parts, digest(parts), own=own, without=without)


def _data(entry: nb.Entry) -> tuple[dict[str, str], dict[str, str]]:
    """Return {data set: fingerprint} of what is needed or at hand, and {optional set: why it is not here}."""
    data = {which: fingerprint(which) for which in entry.data}
    without = {}
    for which in entry.optional:
        try:
            data[which] = fingerprint(which)
        except NotHere as error:
            without[which] = str(error)
    return dict(sorted(data.items())), without


def fingerprint(name: str) -> str:
    """Return a data set's fingerprint; raises MsigError saying why when it cannot be loaded now (NotHere:
    because it would have to be fetched first)."""
    from msig_lib import datasets

    try:
        there, why = datasets.available(name)
        if there:
            return datasets.fingerprint(name)
    except MsigError:
        raise
    except Exception as error:
        raise MsigError(f"data set {name!r} cannot be used: {message(error)}") from None
    raise NotHere(f"data set {name!r} cannot be used: {why}")


def _parts(
    project: Project, path: Path, values: dict[str, Any], data: dict[str, str], tier: str
) -> dict[str, Any]:
    cells = nb.read_cells(path)
    modules = imports.closure(cells, project.package, path.name)
    parts = {
        "format": FORMAT,
        "notebook": digest([[cell.kind, cell.source, list(cell.tags)] for cell in cells]),
        "parameters": values,
        "modules": modules,
        "lock": hashlib.sha256(project.lock.read_bytes()).hexdigest(),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "data": data,
    }
    if recorded.FILE in modules:  # the notebook may show what slower tiers recorded
        parts["recorded"] = recorded.fingerprints(path.stem, tier, project.recorded)
    return parts


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what changed from one run's parts to another's, one short sentence each."""
    told = []
    if old.get("notebook") != new["notebook"]:
        told.append("the notebook changed")
    told += _changes(old.get("modules", {}), new["modules"], "{} changed", "{} is imported now", "{} is gone")
    before, now = old.get("parameters", {}), new["parameters"]
    for name in sorted({*before, *now}):
        if name not in now or name not in before or before[name] != now[name]:
            values = [repr(side[name]) if name in side else "absent" for side in (before, now)]
            told.append(f"parameter {name}: {values[0]} -> {values[1]}")
    if old.get("lock") != new["lock"]:
        told.append("requirements.lock changed")
    told += _changes(
        old.get("data", {}),
        new["data"],
        "data {} changed",
        "data {} is used now",
        "data {} is not used any more",
    )
    told += _changes(
        old.get("recorded", {}),
        new.get("recorded", {}),
        "the record of tier {} changed",
        "a record of tier {} is there now",
        "the record of tier {} is gone",
    )
    if old.get("python") != new["python"]:
        told.append(f"Python {old.get('python')} -> {new['python']}")
    if old.get("format") != new["format"]:
        told.append("the format of run directories changed")
    return told


def _changes(
    old: Mapping[str, str], new: Mapping[str, str], changed: str, added: str, gone: str
) -> list[str]:
    told = []
    for name in sorted({*old, *new}):
        if name in old and name in new:
            if old[name] != new[name]:
                told.append(changed.format(name))
        else:
            told.append((added if name in new else gone).format(name))
    return told
