"""Execute smoke-tier notebooks a second time with nbval: the same seed must give the same outputs.

Compared are text, HTML (so the inline-SVG figures too) and every other MIME type but PNG and JPEG, which
nbval leaves out: pixels depend on fonts and are no data. Cells tagged `nbval-ignore-output` show times.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msig_lib.errors import MsigError
from msig_lib.project import Project
from msig_lib.runs import execute, kernel, store
from msig_lib.runs.key import Job
from msig_lib.runs.notebook import read_cells
from msig_lib.runs.progress import Progress

TIER = "smoke"
RESULT = re.compile(r"::Cell (\d+) (PASSED|FAILED|SKIPPED|ERROR|XFAIL|XPASS)")
SHOWN = 40  # lines of nbval's comparison in an error; the log has all


@dataclass(frozen=True)
class Checked:
    """What the check of one notebook found; `error` is None when both executions agree."""

    chapter: str
    error: str | None
    seconds: float
    warnings: tuple[str, ...] = ()


def sources(jobs: Sequence[Job]) -> list[str]:
    """Return what is wrong with stored notebooks: outputs or execution counts in their cells."""
    told = []
    for job in jobs:
        bad = [str(number) for number, cell in enumerate(read_cells(job.notebook), 1) if cell.has_output]
        if bad:
            told.append(
                f"notebooks/{job.notebook.name} holds outputs or execution counts in cell {', '.join(bad)}; "
                f"run `nbstripout notebooks/{job.notebook.name}`"
            )
    return told


def check_all(
    project: Project, jobs: Sequence[Job], *, threads: int, force: bool = False, progress: Progress
) -> list[Checked]:
    """Run each job (or take it from the cache), then execute its result again and compare."""
    store.clean()
    found = []
    for job in jobs:
        progress.notebook(job.chapter)
        try:
            outcome = execute.run(project, job, threads=threads, force=force, progress=progress)
            warnings = list(outcome.warnings)
            first = outcome.seconds
            if job.limit_s and first > job.limit_s and not warnings:
                warnings.append(
                    f"{job.chapter} took {first:.0f} s; tier {job.tier} allows {job.limit_s:.0f} s"
                )
            error = again(project, job, outcome.run_dir, threads=threads, progress=progress)
        except MsigError as problem:
            error, warnings, first = str(problem), [], 0.0
        seconds = progress.seconds()
        told = f"same outputs twice ({first:.1f} s, checked in {seconds:.1f} s)"
        if error:
            told = f"FAILED after {seconds:.1f} s: {error.splitlines()[0]}"
        progress.finish(told)
        for warning in warnings:
            progress.say(f"  warning: {warning}")
        found.append(Checked(job.chapter, error, seconds, tuple(warnings)))
    return found


def again(project: Project, job: Job, run_dir: Path, *, threads: int, progress: Progress) -> str | None:
    """Execute a run's notebook again in a scratch copy; return where its outputs differ, or None."""
    with store.work_folder() as work:
        place = work / "second"
        place.mkdir()
        copy = place / f"{job.chapter}.ipynb"
        shutil.copy(run_dir / copy.name, copy)
        total = sum(cell.kind == "code" for cell in read_cells(copy))
        command = [sys.executable, "-m", "pytest", "-p", "nbval.plugin", "--nbval", "-p", "no:cacheprovider"]
        command += ["-c", "/dev/null", "--rootdir", str(place), "-v", "--color=no", "--tb=short", str(copy)]
        with kernel.kernelspec(work, project, place / "run", threads) as environment:
            (place / "run").mkdir()
            environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
            environment.pop("PYTEST_ADDOPTS", None)
            lines = []
            with subprocess.Popen(
                command,
                env=environment,
                cwd=place,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as child:
                for line in child.stdout or ():
                    lines.append(line.rstrip("\n"))
                    if hit := RESULT.search(line):
                        progress.cell(int(hit.group(1)) + 1, total, "second execution")
            if child.returncode == 0:
                return None
        return _difference(job, copy, lines)


def _difference(job: Job, copy: Path, lines: list[str]) -> str:
    """Return a message from nbval's report, which stays as a whole in the failures' folder."""
    place = store.runs_root() / job.chapter / store.FAILED
    place.mkdir(parents=True, exist_ok=True)
    log = place / f"{store.utc(compact=True)}-{job.key[:8]}-{time.monotonic_ns() % 10**6}-nbval.txt"
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    hits = [RESULT.search(line) for line in lines]
    failed = sorted({int(hit.group(1)) for hit in hits if hit and hit.group(2) in ("FAILED", "ERROR")})
    code = [cell for cell in read_cells(copy) if cell.kind == "code"]
    told = [f"notebooks/{job.notebook.name}: the second execution differs from the first"]
    told += [f"  code cell {number + 1}: {code[number].first_line}" for number in failed]
    report = "\n".join(lines)
    start = report.find("FAILURES")
    body = [line for line in report[start:].split("\n")[1:] if line.strip()] if start >= 0 else lines[-SHOWN:]
    end = next((k for k, line in enumerate(body) if "short test summary" in line), len(body))
    told += [f"  | {line}" for line in body[:end][:SHOWN]]
    told.append(f"  whole report: {log}")
    told.append("  seed what is random, sort what has no order, or tag a cell of times nbval-ignore-output")
    return "\n".join(told)
