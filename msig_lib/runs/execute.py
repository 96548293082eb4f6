"""Execute notebooks with papermill into run directories that appear whole or not at all.

A run directory holds `<chapter>.ipynb` (executed), `results.jsonl`, `items/`, `data.jsonl`, `log.txt`,
`provenance.json` and, written last, `run.json`.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msig_lib.errors import MsigError
from msig_lib.project import Project
from msig_lib.runs import kernel, provenance, store
from msig_lib.runs.key import Job
from msig_lib.runs.notebook import Cell, read_cells
from msig_lib.runs.progress import Progress

LOG = "log.txt"
DATA = "data.jsonl"
INJECTED = "injected-parameters"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class RunFailed(MsigError):
    """Raised for a notebook that could not be executed to its end; says where and where to read on."""


@dataclass(frozen=True)
class Outcome:
    """What became of one job: its run directory, or the error; warnings in either case."""

    job: Job
    run_dir: Path | None = None
    cached: bool = False
    seconds: float = 0.0
    error: str | None = None
    warnings: list[str] = field(default_factory=list)


def run_all(
    project: Project, jobs: Sequence[Job], *, threads: int, force: bool = False, progress: Progress
) -> list[Outcome]:
    """Run jobs one after the other; a failing one does not keep the others from running."""
    store.clean()
    outcomes = []
    for job in jobs:
        progress.notebook(job.chapter)
        try:
            outcome = run(project, job, threads=threads, force=force, progress=progress)
        except MsigError as error:
            outcome = Outcome(job, error=str(error), seconds=progress.seconds())
        progress.finish(_told(outcome))
        for warning in outcome.warnings:
            progress.say(f"  warning: {warning}")
        outcomes.append(outcome)
    return outcomes


def _told(outcome: Outcome) -> str:
    if outcome.error:
        return f"FAILED after {outcome.seconds:.1f} s: {outcome.error.splitlines()[0]}"
    return f"cached ({outcome.job.key[:12]})" if outcome.cached else f"done in {outcome.seconds:.1f} s"


def run(project: Project, job: Job, *, threads: int, force: bool = False, progress: Progress) -> Outcome:
    """Return the run of a job, from the cache or executed now.

    Two processes with the same job take turns, and the second finds the first one's run. Raises RunFailed.
    """
    from filelock import FileLock, Timeout

    if job.problem:
        raise RunFailed(f"cannot run at tier {job.tier}: {job.problem}")
    for name, why in job.without.items():
        progress.say(f"{job.chapter} runs without the optional data set {name}: {why}")
    lock = FileLock(store.lock_folder() / f"{job.chapter}-{job.tier}-{job.key[: store.KEY_LENGTH]}.lock")
    try:
        lock.acquire(timeout=0.05)
    except Timeout:
        progress.say(f"{job.chapter}: another msig runs the same; waiting for it")
        lock.acquire()
    try:
        found, told = (None, []) if force else store.find(job.chapter, job.tier, job.key)
        if found:
            return Outcome(job, found.folder, cached=True, seconds=found.marker["seconds"], warnings=told)
        with store.work_folder() as work:
            return _execute(project, job, work, threads, progress, told)
    finally:
        lock.release()


def _execute(
    project: Project, job: Job, work: Path, threads: int, progress: Progress, told: list[str]
) -> Outcome:
    out = work / "run"
    out.mkdir()
    cells = read_cells(job.notebook)
    target = out / f"{job.chapter}.ipynb"
    record = {**provenance.facts(project, job, threads), "started": store.utc()}
    begin = time.monotonic()
    with (
        kernel.kernelspec(work, project, out, threads),
        provenance.PeakMemory() as memory,
        provenance.CpuTime() as cpu,
    ):
        error = _papermill(job, cells, target, out / LOG, progress)
    seconds = round(time.monotonic() - begin, 2)
    _tidy(target, job)
    error = error or _undeclared(job, out / DATA)
    if error:
        raise RunFailed(_keep_failure(job, out, error))
    record |= {"seconds": seconds, "cpu_seconds": cpu.seconds, "peak_memory_mib": memory.mib}
    record["cells"] = _durations(target)
    (out / provenance.FILE).write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
    _strip_times(target)
    facts = {"seconds": seconds, "parts": job.parts, "own": job.own}
    run = store.publish(out, job.chapter, job.tier, job.key, facts)
    warnings = list(told)
    if job.limit_s and seconds > job.limit_s:
        warnings.append(f"{job.chapter} took {seconds:.0f} s; tier {job.tier} allows {job.limit_s:.0f} s")
    return Outcome(job, run.folder, seconds=seconds, warnings=warnings)


def _papermill(job: Job, cells: list[Cell], target: Path, log: Path, progress: Progress) -> str | None:
    """Execute the notebook; return what failed (None: nothing)."""
    import logging

    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    places = _Places(cells, bool(job.parameters))
    current = [0]

    def begin(cell: Any, cell_index: int) -> None:
        current[0] = places.source(cell_index)
        progress.cell(current[0] + 1, len(cells), places.heading(current[0]))

    with log.open("w", encoding="utf-8") as handle:
        try:
            papermill.execute_notebook(
                str(job.notebook),
                str(target),
                parameters=job.parameters,
                kernel_name=kernel.NAME,
                progress_bar=False,
                stdout_file=handle,
                stderr_file=handle,
                start_timeout=120,
                cwd=str(job.notebook.parent),
                on_cell_execute=begin,
            )
            return None
        except PapermillExecutionError as error:
            handle.write("\n" + ANSI.sub("", "\n".join(error.traceback)) + "\n")
            why = f"{error.ename}: {ANSI.sub('', error.evalue)}"
        except (DeadKernelError, RuntimeError) as error:
            why = f"the kernel died ({error}); was there enough memory?"
        handle.write(why + "\n")
    cell = cells[current[0]]
    return f"cell {current[0] + 1} of {len(cells)}: {cell.first_line}\n  {why}"


class _Places:
    """Where executed cells stand in the source notebook (papermill adds a cell of parameters)."""

    def __init__(self, cells: list[Cell], injects: bool):
        self.headings = [""]
        tagged = [number for number, cell in enumerate(cells) if "parameters" in cell.tags]
        self.after = tagged[0] if injects and tagged else len(cells)
        for cell in cells:
            titles = re.findall(r"^#+\s+(.+)$", cell.source, re.MULTILINE) if cell.kind == "markdown" else []
            self.headings.append(titles[-1].strip() if titles else self.headings[-1])

    def source(self, index: int) -> int:
        return index - 1 if index > self.after else index

    def heading(self, number: int) -> str:
        return self.headings[number + 1]


def _tidy(target: Path, job: Job) -> None:
    """Take this machine's paths out of the executed notebook and fold the injected parameters away."""
    if not target.exists():
        return
    document = json.loads(target.read_text(encoding="utf-8"))
    papermill = document["metadata"].get("papermill", {})
    papermill |= {"input_path": f"notebooks/{job.notebook.name}", "output_path": target.name}
    papermill |= {"environment_variables": {}}
    for cell in document["cells"]:
        tags = cell["metadata"].get("tags", [])
        if INJECTED in tags and "hide-input" not in tags:
            tags.append("hide-input")
    target.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _durations(target: Path) -> list[dict[str, Any]]:
    """Return [{cell, seconds}] of the executed code cells, by their place in the executed notebook."""
    document = json.loads(target.read_text(encoding="utf-8"))
    return [
        {"cell": number, "seconds": round(cell["metadata"]["papermill"]["duration"], 3)}
        for number, cell in enumerate(document["cells"], 1)
        if cell["cell_type"] == "code" and cell["metadata"].get("papermill", {}).get("duration") is not None
    ]


def _strip_times(target: Path) -> None:
    """Remove papermill's times, which provenance has, so that equal runs give equal notebooks."""
    document = json.loads(target.read_text(encoding="utf-8"))
    kept = document["metadata"].get("papermill", {})
    document["metadata"]["papermill"] = {"parameters": kept.get("parameters", {})}
    for cell in document["cells"]:
        cell["metadata"].pop("papermill", None)
        cell["metadata"].pop("execution", None)
    target.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _undeclared(job: Job, used: Path) -> str | None:
    """Return what to add to the tier file when a notebook loaded data that is not part of its key."""
    lines = used.read_text(encoding="utf-8").splitlines() if used.exists() else []
    extra = sorted({json.loads(line)["name"] for line in lines if line.strip()} - set(job.data))
    if not extra:
        return None
    if came := sorted(set(extra) & set(job.without)):
        return f"used {', '.join(came)}, which was not here when the run began\n  run it again"
    needed = ", ".join(sorted({*job.data, *extra}))
    return (
        f"used data that it does not declare: {', '.join(extra)}\n"
        f"  write `data: [{needed}]` for {job.chapter} in notebooks/tiers/{job.tier}.yml"
    )


def _keep_failure(job: Job, out: Path, error: str) -> str:
    """Move what a failed run left to `runs/<chapter>/failed/` and return the whole message."""
    place = store.runs_root() / job.chapter / store.FAILED
    place.mkdir(parents=True, exist_ok=True)
    kept = place / f"{store.utc(compact=True)}-{job.key[:8]}"
    if kept.exists():
        kept = place / f"{kept.name}-{os.getpid()}-{time.monotonic_ns()}"
    os.rename(out, kept)
    values = ", ".join(f"{name}={value!r}" for name, value in job.parameters.items()) or "none"
    lines = [
        f"notebooks/{job.notebook.name}, {error}",
        f"  parameters: {values}",
        f"  log: {kept / LOG}",
        f"  notebook up to there: {kept / f'{job.chapter}.ipynb'}",
    ]
    return "\n".join(lines)
