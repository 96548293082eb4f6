"""Assemble the book's source from pages, executed notebooks and verdicts, and render it with Jupyter Book."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from msig_lib import datasets
from msig_lib.claims import Comparison, Erratum, Verdict, errata, recorded
from msig_lib.project import Project
from msig_lib.site import chapters as _chapters
from msig_lib.site import details, ledger, pages, slower
from msig_lib.site.chapters import Chapter, SiteError
from msig_lib.site.check import check

ANSI = re.compile(r"\x1b\[[0-9;]*m")
LAST_PROBLEMS = 15
NOT_PAGES = ("claims", "recorded", "errata.yml", "chapters.yml")


def build(project: Project, runs: Mapping[str, Path], tier: str, verdicts: Iterable[Verdict]) -> Path:
    """Render the book and return the path of its start page, `_build/book/index.html`.

    `runs` maps chapters to run directories (see msig_lib.runs), `verdicts` come from msig_lib.claims. The
    earlier rendering is replaced only when everything worked. Raises SiteError with the reasons otherwise;
    the whole log is `_build/book.log`.
    """
    project.build.mkdir(parents=True, exist_ok=True)
    verdicts = list(verdicts)
    with tempfile.TemporaryDirectory(prefix=".book-", dir=project.build) as folder:
        source = Path(folder) / "source"
        assemble(project, source, runs, tier, verdicts)
        html = render(source, Path(folder) / "out", log=project.build / "book.log")
        problems = check(html)
        if problems:
            raise SiteError(_told("the rendered book is not in order", problems))
        return replace(html, project.build / "book")


def assemble(
    project: Project, target: Path, runs: Mapping[str, Path], tier: str, verdicts: Sequence[Verdict]
) -> list[Chapter]:
    """Write the book's source into `target`: pages by hand and generated, notebooks, contents, settings."""
    lines = ledger.entries(verdicts, built=runs)
    shutil.copytree(project.book, target, ignore=shutil.ignore_patterns(*NOT_PAGES))
    found = _chapters.load(project.book, runs)
    ran = [chapter for chapter in found if chapter.notebook is not None]
    names = [chapter.name for chapter in ran]
    defaults = _tier_parameters(project, tier)
    corrections = _errata(project)
    records = recorded.read(project.recorded) if project.recorded.is_dir() else {}
    places = [place.split("#", 1) for entry in corrections for place in entry.shown_by if "#" in place]
    for chapter in ran:
        own = [line for line in lines if line.chapter == chapter.name]
        document = details.page(
            chapter,
            own,
            tier=tier,
            defaults=defaults.get(chapter.name, {}),
            anchors=[anchor for name, anchor in places if name == chapter.name],
            recorded=slower.section(
                {
                    t: document
                    for (name, t), document in records.items()
                    if name == chapter.name and t != tier
                },
                [
                    verdict.claim.test
                    for verdict in verdicts
                    if verdict.claim.chapter == chapter.name and isinstance(verdict.claim.test, Comparison)
                ],
            ),
        )
        _write(target / f"{chapter.name}.ipynb", json.dumps(document, indent=1, ensure_ascii=False))
    intro = target / "intro.md"
    told = intro.read_text(encoding="utf-8") if intro.exists() else ""
    intro.unlink(missing_ok=True)
    _write(target / "index.md", pages.start(found, lines, tier, told))
    _write(target / "scorecard.md", pages.scorecard(found, lines, tier))
    _write(target / "errata.md", pages.errata(corrections, lines, names))
    _write(target / "data.md", pages.data(datasets.describe()))
    _write(target / "statistics.md", pages.statistics(ran))
    _write(target / "_static" / "scorecard.csv", ledger.as_csv(lines))
    _write(target / "_static" / "scorecard.json", ledger.as_json(lines, tier))
    _write(target / "_toc.yml", yaml.safe_dump(contents(ran), sort_keys=False))
    settings = yaml.safe_load((target / "_config.yml").read_text(encoding="utf-8"))
    _write(
        target / "_config.yml", yaml.safe_dump(with_buttons(settings), sort_keys=False, allow_unicode=True)
    )
    return found


def _errata(project: Project) -> list[Erratum]:
    path = project.book / "errata.yml"
    return errata.load(path) if path.is_file() else []


def _tier_parameters(project: Project, tier: str) -> dict[str, Any]:
    path = project.tiers / f"{tier}.yml"
    given = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    return {name: (entry or {}).get("parameters") or {} for name, entry in (given or {}).items()}


def contents(ran: Sequence[Chapter]) -> dict[str, Any]:
    """Return the table of contents: the pages around the chapters that were executed."""

    def part(caption: str, *files: str) -> dict[str, Any]:
        return {"caption": caption, "chapters": [{"file": name} for name in files]}

    titled = [{"file": chapter.name, "title": chapter.heading} for chapter in ran]
    chapters = [{"caption": "Chapters", "chapters": titled}] if ran else []
    parts = [
        part("Before you start", "reading", "notation"),
        *chapters,
        part("The ledger", "scorecard", "errata"),
        part("Material", "data", "statistics", "references"),
    ]
    return {"format": "jb-book", "root": "index", "parts": parts}


def with_buttons(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with repository, issue and launch buttons when a repository address is set."""
    settings = json.loads(json.dumps(settings))
    repository = settings.get("repository") or {}
    known = bool(repository.get("url"))
    page = settings.setdefault("html", {})
    page |= {"use_repository_button": known, "use_issues_button": known}
    if known:
        launch = settings.setdefault("launch_buttons", {})
        launch.setdefault("binderhub_url", "https://mybinder.org")
    else:
        settings.pop("repository", None)
        settings.pop("launch_buttons", None)
    return settings


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


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
