"""What the book knows about a chapter: its card, its executed notebook and where that came from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import yaml

from msig_lib.errors import MsigError

PROVENANCE = "provenance.json"
COVER = "cover"


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
    notebook: Mapping[str, Any] | None = field(default=None, repr=False)
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def heading(self) -> str:
        """The chapter's number, name and title on one line."""
        lead = f"{self.number}. " if self.number else ""
        return f"{lead}{self.short + ': ' if self.short else ''}{self.title}"

    def anchors(self) -> set[str]:
        """Return what a claim may point to: headings, explicit targets and cell tags."""
        from docutils.nodes import make_id

        found: set[str] = set()
        for cell in (self.notebook or {}).get("cells", ()):
            found.update(cell.get("metadata", {}).get("tags", ()))
            if cell["cell_type"] == "markdown":
                text = source(cell)
                found.update(make_id(title) for title in re.findall(r"^#+\s+(.+?)\s*$", text, re.MULTILINE))
                found.update(make_id(label) for label in re.findall(r"^\((.+)\)=\s*$", text, re.MULTILINE))
        return found

    def cover(self) -> str | None:
        """Return the figure (HTML) of the cell tagged `cover`, else the first figure, else None."""
        first = None
        for cell in (self.notebook or {}).get("cells", ()):
            for output in cell.get("outputs", ()):
                text = "".join(output.get("data", {}).get("text/html", ""))
                if '<figure class="msig-figure"' in text:
                    if COVER in cell["metadata"].get("tags", ()):
                        return text
                    first = first or text
        return first


def source(cell: Mapping[str, Any]) -> str:
    """Return a cell's text."""
    return "".join(cell["source"])


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
        notebook, provenance = _run(name, Path(runs[name])) if name in runs else (None, {})
        chapters.append(
            Chapter(
                name=name,
                title=card.get("title") or _title(notebook, name),
                number=card.get("number"),
                short=card.get("name", ""),
                area=card.get("field", ""),
                signal=card.get("signal", ""),
                notebook=notebook,
                provenance=provenance,
            )
        )
    return chapters


def _run(name: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    found = [folder / f"{name}.ipynb", folder / "notebook.ipynb"]
    notebook = next((path for path in found if path.is_file()), None)
    if notebook is None or not (folder / PROVENANCE).is_file():
        lacks = PROVENANCE if notebook else found[0].name
        raise SiteError(f"the run of {name} in {folder} has no {lacks}; run it again: msig run {name} --force")
    return (
        json.loads(notebook.read_text(encoding="utf-8")),
        json.loads((folder / PROVENANCE).read_text(encoding="utf-8")),
    )


def _title(notebook: Mapping[str, Any] | None, name: str) -> str:
    for cell in (notebook or {}).get("cells", ()):
        match = re.search(r"^#\s+(.+)$", source(cell), re.MULTILINE) if cell["cell_type"] == "markdown" else None
        if match:
            return match[1].strip()
    return name


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def text_of(html: str) -> str:
    """Return the text of HTML."""
    parser = _Text()
    parser.feed(html)
    return " ".join("".join(parser.parts).split())
