"""Read notebooks lightly (plain JSON) and list the book's chapters and tiers."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from msig_lib.errors import MsigError, listing
from msig_lib.project import Project
from msig_lib.tiers import TIERS

# Seconds on 2 cores without a GPU; architecture: "Four tiers". A tier file may set its own under `tier:`.
LIMITS = {"smoke": 30.0, "quick": 360.0, "full": 3600.0}


class NotebookError(MsigError):
    """Raised for a notebook or tier file that cannot be used, or a name that does not exist."""


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook: kind ("code", "markdown", "raw"), source text and tags."""

    kind: str
    source: str
    tags: tuple[str, ...]
    has_output: bool = False

    @property
    def first_line(self) -> str:
        """The first line that is not blank (of code: nor a comment), or an empty text."""
        lines = [line.strip() for line in self.source.splitlines() if line.strip()]
        code = [line for line in lines if not line.startswith("#")] if self.kind == "code" else lines
        return next(iter(code or lines), "")


def read_cells(path: Path) -> list[Cell]:
    """Return the cells of a notebook file; raises NotebookError when it is not one."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return [_cell(cell) for cell in document["cells"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotebookError(f"{path} is not a notebook that can be read ({error!r})") from None


def _cell(cell: dict[str, Any]) -> Cell:
    source = cell["source"]
    text = source if isinstance(source, str) else "".join(source)
    tags = tuple(cell.get("metadata", {}).get("tags", ()))
    return Cell(
        cell["cell_type"], text, tags, bool(cell.get("outputs")) or cell.get("execution_count") is not None
    )


def chapters(project: Project) -> dict[str, Path]:
    """Return {chapter: notebook path}, sorted by name."""
    return {path.stem: path for path in sorted(project.notebooks.glob("*.ipynb")) if path.stem[0] not in "._"}


def chosen(asked: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the chapters meant by `asked` (a full name, or a prefix such as "ch02"); all when it is empty.

    Raises NotebookError, with the valid names and a close one, for anything else.
    """
    if not asked:
        return list(known)
    found: list[str] = []
    for name in asked:
        name = Path(name).name.removesuffix(".ipynb")
        hits = [name] if name in known else [chapter for chapter in known if chapter.startswith(name)]
        if not hits:
            raise NotebookError(unknown("chapter", name, known))
        found += [chapter for chapter in hits if chapter not in found]
    return found


def unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """Return the message for a name that does not exist: what was given, a close match, the valid ones."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown {kind} {name!r}{hint}; valid: {listing(known)}"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Settings(_Strict):
    """A tier's own settings: how many seconds a notebook may take before a warning (None: no limit)."""

    limit_s: float | None = Field(default=None, gt=0)


class Entry(_Strict):
    """What one chapter runs with at one tier: data sets that go into the key, and parameters.

    `optional` data sets are used, and part of the key, where they are at hand (in the mirror or the cache);
    elsewhere the notebook runs without them.
    """

    data: list[str] = []
    optional: list[str] = []
    parameters: dict[str, Any] = {}

    @model_validator(mode="after")
    def _needed_or_optional(self) -> Entry:
        if both := sorted(set(self.data) & set(self.optional)):
            raise ValueError(f"{', '.join(both)}: either `data` (needed) or `optional`, not both")
        return self


@dataclass(frozen=True)
class Tier:
    """One tier file."""

    name: str
    path: Path
    settings: Settings
    entries: dict[str, Entry]


def tiers(project: Project) -> list[str]:
    """Return the names of the tiers that exist, cheapest first."""
    names = [path.stem for path in project.tiers.glob("*.yml")]
    return sorted(names, key=lambda name: (TIERS.index(name) if name in TIERS else len(TIERS), name))


def read_tier(project: Project, name: str) -> Tier:
    """Return one tier; raises NotebookError for an unknown tier, or what is wrong in its file."""
    known = tiers(project)
    if name not in known:
        raise NotebookError(unknown("tier", name, known))
    path = project.tiers / f"{name}.yml"
    where = f"notebooks/tiers/{name}.yml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise NotebookError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise NotebookError(
            f"{where} must map chapters to {{data: [...], optional: [...], parameters: {{...}}}}"
        )
    entries: dict[str, Entry] = {}
    settings = Settings(limit_s=LIMITS.get(name))
    notebooks = list(chapters(project))
    for key, value in document.items():
        try:
            if key == "tier":
                settings = Settings.model_validate(value)
                continue
            entries[str(key)] = Entry.model_validate(value or {})
        except ValidationError as error:
            what = "; ".join(f"{'.'.join(map(str, e['loc'])) or key}: {e['msg']}" for e in error.errors())
            raise NotebookError(f"{where}, {key}: {what}") from None
        if key not in notebooks:
            raise NotebookError(f"{where}: {unknown('chapter', str(key), notebooks)}")
    return Tier(name, path, settings, entries)
