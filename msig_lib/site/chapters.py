"""What the book knows about a chapter: its card, its executed notebook and where that came from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from docutils.nodes import make_id

from msig_lib.claims.errata import slug
from msig_lib.errors import MsigError
from msig_lib.runs import parameters

PROVENANCE = "provenance.json"
COVER = "cover"
TARGET = re.compile(r"^\(([^)\s]+)\)=\s*$", re.MULTILINE)


class SiteError(MsigError):
    """Raised when the book cannot be assembled, rendered or is not as it should be; says what and where."""


@dataclass(frozen=True)
class Chapter:
    """A chapter's card, and its run when there is one."""

    name: str
    title: str
    number: int | None = None
    short: str = ""
    area: str = ""
    signal: str = ""
    finding: str = ""  # the claim that its card shows
    surprise: bool = False  # the start page shows this card's finding first
    figure: str = ""  # the figure of its card; without it the cell tagged `cover`
    cite: tuple[str, ...] = ()  # its papers, keys of references.bib
    written: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict, repr=False)  # of its cell of parameters
    notebook: Mapping[str, Any] | None = field(default=None, repr=False)
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def heading(self) -> str:
        """The chapter's number, name and title on one line."""
        lead = f"{self.number}. " if self.number else ""
        return f"{lead}{self.short + ': ' if self.short else ''}{self.title}"

    def ids(self) -> set[str]:
        """Return the ids that the rendered page will have from headings and explicit targets."""
        return {make_id(name) for cell in self.cells() for name in (*_titles(cell), *_targets(cell))}

    def targets(self) -> set[str]:
        """Return the explicit targets, `(name)=`, of the notebook's text."""
        return {name for cell in self.cells() for name in _targets(cell)}

    def place(self, anchor: str) -> int | None:
        """Return the number of the cell that `anchor` (heading, target or cell tag) stands for, or None."""
        for number, cell in enumerate(self.cells()):
            if anchor in _names(cell):
                return number
        return None

    def anchors(self) -> list[str]:
        """Return everything in the notebook that a claim can point to, sorted."""
        return sorted(set().union(*map(_names, self.cells())))

    def cells(self) -> Sequence[Mapping[str, Any]]:
        """Return the cells of the executed notebook (none when the chapter was not run)."""
        return (self.notebook or {}).get("cells", ())

    def cover(self) -> str | None:
        """Return the figure (HTML) that the card names, else that of the cell tagged `cover`, else the first."""
        first = tagged = None
        for cell in self.cells():
            for output in cell.get("outputs", ()):
                text = "".join(output.get("data", {}).get("text/html", ""))
                if '<figure class="msig-figure"' not in text:
                    continue
                if self.figure and f'id="fig-{self.figure}"' in text:
                    return text
                first = first or text
                if COVER in cell["metadata"].get("tags", ()):
                    tagged = tagged or text
        return tagged or first


def source(cell: Mapping[str, Any]) -> str:
    """Return a cell's text."""
    return "".join(cell["source"])


def _titles(cell: Mapping[str, Any]) -> list[str]:
    text = source(cell) if cell["cell_type"] == "markdown" else ""
    return re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, re.MULTILINE)


def _targets(cell: Mapping[str, Any]) -> list[str]:
    text = source(cell) if cell["cell_type"] == "markdown" else ""
    return TARGET.findall(text)


def _names(cell: Mapping[str, Any]) -> set[str]:
    """Return the names under which claims and errata may know a cell."""
    titles, targets = _titles(cell), _targets(cell)
    told = cell.get("metadata", {})
    known = {*told.get("tags", ()), *(str(told[key]) for key in ("name", "label") if key in told), *targets}
    return known | {slug(title) for title in titles} | {make_id(name) for name in (*titles, *targets)}


def load(folder: Path, runs: Mapping[str, Path]) -> list[Chapter]:
    """Return the chapters of `folder`/chapters.yml in order, those of `runs` with what was executed.

    Runs that the file does not list come last, with their notebook's own title. Raises SiteError when a run's
    notebook or provenance is missing.
    """
    path = folder / "chapters.yml"
    cards = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else []
    known = {card["notebook"]: card for card in cards}
    chapters = []
    for name in [*known, *(name for name in sorted(runs) if name not in known)]:
        card = known.get(name, {})
        notebook, provenance, defaults = _run(name, Path(runs[name])) if name in runs else (None, {}, {})
        chapters.append(
            Chapter(
                name=name,
                title=card.get("title") or _title(notebook, name),
                number=card.get("number"),
                short=card.get("name", ""),
                area=card.get("field", ""),
                signal=card.get("signal", ""),
                finding=card.get("finding", ""),
                surprise=bool(card.get("surprise")),
                figure=card.get("figure", ""),
                cite=tuple(card.get("cite", ())),
                written=name in runs or (folder.parent / "notebooks" / f"{name}.ipynb").is_file(),
                notebook=notebook,
                provenance=provenance,
                defaults=defaults,
            )
        )
    return chapters


def _run(name: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    found = [folder / f"{name}.ipynb", folder / "notebook.ipynb"]
    notebook = next((path for path in found if path.is_file()), None)
    if notebook is None or not (folder / PROVENANCE).is_file():
        lacks = PROVENANCE if notebook else found[0].name
        raise SiteError(
            f"the run of {name} in {folder} has no {lacks}; run it again: msig run {name} --force"
        )
    return (
        json.loads(notebook.read_text(encoding="utf-8")),
        json.loads((folder / PROVENANCE).read_text(encoding="utf-8")),
        parameters.read(notebook),
    )


def _title(notebook: Mapping[str, Any] | None, name: str) -> str:
    for cell in (notebook or {}).get("cells", ()):
        match = (
            re.search(r"^#\s+(.+)$", source(cell), re.MULTILINE) if cell["cell_type"] == "markdown" else None
        )
        if match:
            return match[1].strip()
    return name
