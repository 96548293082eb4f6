"""Assemble the book's source from pages, executed notebooks and verdicts, and render it with Jupyter Book."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from msig_lib.claims import Verdict
from msig_lib.project import Project
from msig_lib.site.assemble import assemble
from msig_lib.site.chapters import SiteError
from msig_lib.site.check import check

ANSI = re.compile(r"\x1b\[[0-9;]*m")
LAST_PROBLEMS = 15


def build(
    project: Project,
    runs: Mapping[str, Path],
    tier: str,
    verdicts: Iterable[Verdict],
    cached: Collection[str] = (),
) -> Path:
    """Render the book and return the path of its start page, `_build/book/index.html`.

    `runs` maps chapters to run directories (see msig_lib.runs), `verdicts` come from msig_lib.claims, `cached`
    names the chapters that were not executed for this build. The earlier rendering is replaced only when
    everything worked. Raises SiteError with the reasons otherwise;
    the whole log is `_build/book.log`.
    """
    project.build.mkdir(parents=True, exist_ok=True)
    verdicts = list(verdicts)
    with tempfile.TemporaryDirectory(prefix=".book-", dir=project.build) as folder:
        source = Path(folder) / "source"
        assemble(project, source, runs, tier, verdicts, cached)
        html = render(source, Path(folder) / "out", log=project.build / "book.log")
        problems = check(html)
        if problems:
            raise SiteError(_told("the rendered book is not in order", problems))
        return replace(html, project.build / "book")


def render(source: Path, out: Path, *, log: Path) -> Path:
    """Run Jupyter Book with warnings as errors; return the folder of pages or raise SiteError."""
    start = "from jupyter_book.cli.main import main; main()"  # the package has no __main__
    command = [sys.executable, "-c", start, "build", str(source), "--path-output", str(out)]
    command += ["-W", "-n", "--keep-going"]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        encoding="utf-8",
        errors="replace",
    )
    text = ANSI.sub("", done.stdout).replace(f"{source}{os.sep}", "")
    log.write_text(text, encoding="utf-8")
    html = out / "_build" / "html"
    if done.returncode or not (html / "index.html").is_file():
        found = [
            line.strip() for line in text.splitlines() if re.search(r"\b(WARNING|ERROR|CRITICAL)\b", line)
        ]
        tail = [line for line in text.splitlines() if line.strip()][-5:]
        raise SiteError(_told(f"Jupyter Book failed (all of it: {log})", list(dict.fromkeys(found)) or tail))
    return html


def replace(html: Path, target: Path) -> Path:
    """Put a finished rendering in place of the earlier one and return its start page."""
    old = target.with_name(f".{target.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    shutil.move(html, target)
    shutil.rmtree(old, ignore_errors=True)
    return target / "index.html"


def _told(what: str, problems: Sequence[str]) -> str:
    more = [f"… and {len(problems) - LAST_PROBLEMS} more"] if len(problems) > LAST_PROBLEMS else []
    return "\n  ".join([f"{what}:", *problems[:LAST_PROBLEMS], *more])
