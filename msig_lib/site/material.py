"""The pages of material: what the runs took, the environment, how to cite."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from msig_lib.display import table
from msig_lib.project import Project
from msig_lib.site import html
from msig_lib.site.chapters import Chapter


def statistics(chapters: Sequence[Chapter], cached: Collection[str] = ()) -> str:
    """Return the page that says what each notebook took: time, CPU time, memory, cache, its slowest cell.

    `cached` names the chapters whose run this build took from the cache.
    """
    intro = (
        "What each notebook took when it was executed. A run is kept under a key made of the notebook, its "
        "parameters, the library code that it imports, the pinned packages and the fingerprints of its data; "
        "with the same key nothing is executed again. The time by the clock grows when other programs share the "
        "machine; the CPU time (user and system, of the notebook's kernel and its processes) does not."
    )
    rows = [_statistics(chapter, chapter.name in cached) for chapter in chapters if chapter.provenance]
    if not rows:
        return f"# Run statistics\n\n{intro}\n\nNo notebook is in this build.\n"
    hits = sum(chapter.name in cached for chapter in chapters if chapter.provenance)
    clock = sum(chapter.provenance.get("seconds") or 0.0 for chapter in chapters)
    cpu = sum(chapter.provenance.get("cpu_seconds") or 0.0 for chapter in chapters)
    most = max((chapter.provenance.get("peak_memory_mib") or 0.0 for chapter in chapters), default=0.0)
    totals = {
        "Notebooks": f"{len(rows)}, of which this build took {hits} from the cache",
        "Time": html.duration(clock),
        "CPU time": html.duration(cpu) if cpu else "",
        "Most memory": f"{most / 1024:.2f} GiB" if most else "",
    }
    shown = table(pd.DataFrame(rows), caption="Executed notebooks of this build")
    facts = html.facts({name: value for name, value in totals.items() if value})
    return f"# Run statistics\n\n{intro}\n\n{html.raw(facts)}\n\n{html.raw(shown.html)}"


def _statistics(chapter: Chapter, cached: bool) -> dict[str, Any]:
    told = chapter.provenance
    cells = told.get("cells") or []
    slowest = max(cells, key=lambda cell: cell["seconds"], default=None)
    cpu = told.get("cpu_seconds")
    name = f"{chapter.number or ''} {chapter.short or chapter.title}"
    return {
        "notebook": f"[{_whole(name)}]({chapter.name}.html)",
        "tier": told.get("tier", ""),
        "time": _whole(html.duration(told.get("seconds"))),
        "CPU time": _whole(html.duration(cpu) if cpu is not None else "not taken"),
        "peak memory": _whole(f"{(told.get('peak_memory_mib') or 0) / 1024:.2f} GiB"),
        "threads": told.get("threads"),
        "from the cache": "yes" if cached else "no",
        "code cells": len(cells),
        "slowest cell": _whole(html.duration(slowest["seconds"])) if slowest else "",
        "run key": f"`{str(told.get('key', ''))[:12]}`",
    }


def _whole(text: str) -> str:
    """Return a text that a narrow table does not break into lines."""
    return text.strip().replace(" ", "\N{NO-BREAK SPACE}")


def environment(root: Path, chapters: Sequence[Chapter]) -> str:
    """Return the page that says what the book runs on: how to install it, packages, machines of the runs."""
    pins = _pins(root / "requirements.lock")
    direct = _direct(root / "pyproject.toml")
    parts = [
        "# Environment",
        "Every package is pinned; `make book` installs the pins into a folder of the checkout and changes nothing "
        "outside it. Once installed, nothing needs a network, an account or a GPU.",
        "## Install",
        "```bash\n# Python >= 3.11 and make\nmake env\n# or with conda\nconda env create -f environment.yml\n"
        "pip install --no-deps -e .\n# what this machine lacks, and what to do about it\nmsig doctor\n```",
    ]
    if pins:
        parts.append(
            html.raw(
                '<p>The pins to download: <a href="_static/requirements.lock" download>requirements.lock</a> (pip), '
                '<a href="_static/environment.yml" download>environment.yml</a> (conda).</p>'
            )
        )
    parts.append("## Where the runs of this build were made")
    machines = sorted({_machine(chapter.provenance) for chapter in chapters if chapter.provenance})
    parts.append("\n".join(f"- {machine}" for machine in machines) or "No notebook is in this build.")
    if pins:
        own = pd.DataFrame(
            [{"package": name, "version": pins[name]} for name in sorted(direct) if name in pins]
        )
        rest = ", ".join(f"{name} {version}" for name, version in pins.items() if name not in direct)
        parts += [
            "## Packages",
            html.raw(table(own, caption="Packages that the library and the book use").html)
            if len(own)
            else "",
            f":::{{dropdown}} {html.count(len(pins) - len(own), 'package')} that these bring along\n{rest}\n:::",
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _machine(told: Mapping[str, Any]) -> str:
    has = told.get("hardware") or {}
    parts = [str(has.get("processor") or "an unnamed processor")]
    if has.get("cores"):
        parts.append(html.count(int(has["cores"]), "core"))
    if has.get("memory_gib"):
        parts.append(f"{has['memory_gib']:g} GiB of memory")
    parts.append(f"{has.get('system', '')} {has.get('architecture', '')}".strip())
    parts.append(f"Python {told.get('python', '')}")
    return ", ".join(part for part in parts if part)


def _name(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _pins(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found = (line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))
    return {_name(name): version.strip() for name, version in found}


def _direct(path: Path) -> set[str]:
    told = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    wanted = told.get("project", {}).get("dependencies", [])
    return {_name(re.split(r"[\s<>=!~\[;]", text, maxsplit=1)[0]) for text in wanted}


def cite(project: Project, chapters: Sequence[Chapter], settings: Mapping[str, Any]) -> str:
    """Return the page that says how to cite the book, the thesis and each chapter's paper, with BibTeX."""
    path = project.root / "CITATION.cff"
    told = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    works = _bibliography(project.book / "references.bib")
    parts = [
        "# How to cite",
        "Cite the thesis for the methods and their original results, the chapter's paper where there is one, and "
        "this book for the reproduction: its measurements, controls, verdicts and errata.",
    ]
    if told:
        parts += ["## This book", f"```bibtex\n{_software(told, str(settings.get('copyright', '')))}\n```"]
        parts.append(
            html.raw(
                '<p>The same for machines: <a href="_static/CITATION.cff" download>CITATION.cff</a>. Name the '
                "commit and the tier of the numbers that you use; each chapter's run details have them.</p>"
            )
        )
    if "zhang2025thesis" in works:
        parts += ["## The thesis", f"```bibtex\n{works['zhang2025thesis']}\n```"]
    papers = [(chapter, key) for chapter in chapters for key in chapter.cite if key in works]
    if papers:
        parts.append("## Papers of the chapters")
        parts += [f"**{chapter.heading}**\n\n```bibtex\n{works[key]}\n```" for chapter, key in papers]
    return "\n\n".join(parts) + "\n"


def _software(told: Mapping[str, Any], year: str) -> str:
    authors = [
        author.get("name") or f"{author.get('family-names', '')}, {author.get('given-names', '')}"
        for author in told.get("authors", [])
    ]
    fields = {
        "title": "{" + str(told.get("title", "")) + "}",
        "author": " and ".join("{" + name + "}" if "," not in name else name for name in authors),
        "version": str(told.get("version", "")),
        "year": year,
        "url": str(told.get("repository-code") or told.get("url") or ""),
    }
    body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"@software{{msig,\n{body}\n}}"


def _bibliography(path: Path) -> dict[str, str]:
    """Return {key: entry as it is written} of a BibTeX file."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    entries = re.findall(r"^@\w+\{([^,]+),.*?^\}", text, re.MULTILINE | re.DOTALL)
    whole = [match[0] for match in re.finditer(r"^@\w+\{[^,]+,.*?^\}", text, re.MULTILINE | re.DOTALL)]
    return dict(zip(entries, whole))
