"""Write the book's source: pages by hand and generated, executed notebooks, contents, settings."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from msig_lib import datasets
from msig_lib.claims import Comparison, Erratum, Verdict, errata, recorded
from msig_lib.project import Project
from msig_lib.site import chapters as _chapters
from msig_lib.site import details, glossary, ledger, material, pages, slower, start
from msig_lib.site.chapters import Chapter

NOT_PAGES = ("claims", "recorded", "chapters.yml", "errata.yml", "glossary.yml", "names.yml")
SHIPPED = ("CITATION.cff", "requirements.lock", "environment.yml")  # to download from the pages


def assemble(
    project: Project,
    target: Path,
    runs: Mapping[str, Path],
    tier: str,
    verdicts: Sequence[Verdict],
    cached: Collection[str] = (),
) -> list[Chapter]:
    """Write the book's source into `target`; `cached` names the chapters whose run came from the cache."""
    names = _yaml(project.book / "names.yml") or {}
    lines = ledger.entries(verdicts, built=runs, names=names)
    shutil.copytree(project.book, target, ignore=shutil.ignore_patterns(*NOT_PAGES))
    for name in SHIPPED:
        if (project.root / name).is_file():
            shutil.copyfile(project.root / name, target / "_static" / name)
    found = _chapters.load(project.book, runs)
    ran = [chapter for chapter in found if chapter.notebook is not None]
    corrections = _errata(project)
    _notebooks(project, target, ran, tier, lines, verdicts, corrections, names)
    intro = target / "intro.md"
    told = intro.read_text(encoding="utf-8") if intro.exists() else ""
    intro.unlink(missing_ok=True)
    settings = _yaml(target / "_config.yml")
    generated = {
        "index.md": start.page(found, lines, tier, told),
        "scorecard.md": pages.scorecard(found, lines, tier),
        "errata.md": pages.errata(corrections, lines, found),
        "glossary.md": glossary.page(glossary.load(project.book / "glossary.yml"), found),
        "data.md": pages.data(datasets.describe(), found),
        "statistics.md": material.statistics(ran, cached),
        "environment.md": material.environment(project.root, ran),
        "cite.md": material.cite(project, found, settings),
        "_static/scorecard.csv": ledger.as_csv(lines),
        "_static/scorecard.json": ledger.as_json(lines, tier),
        "_toc.yml": yaml.safe_dump(contents(ran), sort_keys=False),
        "_config.yml": yaml.safe_dump(with_buttons(settings), sort_keys=False, allow_unicode=True),
    }
    for name, text in generated.items():
        _write(target / name, text)
    return found


def _notebooks(
    project: Project,
    target: Path,
    ran: Sequence[Chapter],
    tier: str,
    lines: Sequence[ledger.Entry],
    verdicts: Sequence[Verdict],
    corrections: Sequence[Erratum],
    names: ledger.Names,
) -> None:
    """Write the executed notebooks with what the book adds to them."""
    defaults = _tier_parameters(project, tier)
    records = recorded.read(project.recorded) if project.recorded.is_dir() else {}
    places = [place.split("#", 1) for entry in corrections for place in entry.shown_by if "#" in place]
    told = Counter(name for chapter in ran for name in chapter.targets())
    shared = {name for name, times in told.items() if times > 1}
    for chapter in ran:
        mine = [verdict.claim.test for verdict in verdicts if verdict.claim.chapter == chapter.name]
        earlier = {t: record for (name, t), record in records.items() if name == chapter.name and t != tier}
        document = details.page(
            chapter,
            [line for line in lines if line.chapter == chapter.name],
            tier=tier,
            defaults=defaults.get(chapter.name, {}),
            anchors=[anchor for name, anchor in places if name == chapter.name],
            recorded=slower.section(
                earlier,
                [test for test in mine if isinstance(test, Comparison)],
                ledger.of_chapter(names, chapter.name),
            ),
            shared=shared,
        )
        _write(target / f"{chapter.name}.ipynb", json.dumps(document, indent=1, ensure_ascii=False))


def _errata(project: Project) -> list[Erratum]:
    path = project.book / "errata.yml"
    return errata.load(path) if path.is_file() else []


def _tier_parameters(project: Project, tier: str) -> dict[str, Any]:
    given = _yaml(project.tiers / f"{tier}.yml") or {}
    return {name: (entry or {}).get("parameters") or {} for name, entry in given.items()}


def contents(ran: Sequence[Chapter]) -> dict[str, Any]:
    """Return the table of contents: the pages around the chapters that were executed."""

    def part(caption: str, *files: str) -> dict[str, Any]:
        return {"caption": caption, "chapters": [{"file": name} for name in files]}

    titled = [{"file": chapter.name, "title": chapter.heading} for chapter in ran]
    chapters = [{"caption": "Chapters", "chapters": titled}] if ran else []
    parts = [
        part("Before you start", "reading", "notation", "glossary"),
        *chapters,
        part("The ledger", "scorecard", "errata"),
        part("Material", "data", "statistics", "environment", "cite", "references"),
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
        # A launched page opens the notebook's source, which is not where the book's pages are.
        repository.setdefault("path_to_book", "notebooks")
        launch = settings.setdefault("launch_buttons", {})
        launch.setdefault("binderhub_url", "https://mybinder.org")
    else:
        settings.pop("repository", None)
        settings.pop("launch_buttons", None)
    return settings


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
