"""Errata of the thesis: `book/errata.yml`, each entry with the code that shows it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from msig_lib.claims.schema import Claim, ClaimError, Strict, raise_mistakes, read_entries
from msig_lib.errors import listing
from msig_lib.project import project


class Erratum(Strict):
    """One place where the thesis's text is wrong or incomplete; `says` and `right` are Markdown in our words.

    `shown_by` names what demonstrates it: `chNN_name#anchor` (a heading, tag or name in that notebook) or
    `tests/.../test_file.py::test_name`, one or several. `claim` is the claim of kind erratum, if there is
    one.
    """

    id: str = Field(pattern=r"^ch\d\d-e\d\d$")
    chapter: str = Field(pattern=r"^ch\d\d(_[a-z0-9]+)*$")
    where: str = Field(min_length=1)
    says: str = Field(min_length=1)
    right: str = Field(min_length=1)
    shown_by: tuple[str, ...] = Field(min_length=1, strict=False)
    claim: str | None = None

    @field_validator("shown_by", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


def load(path: Path | None = None) -> list[Erratum]:
    """Return the errata of `path` (default: the checkout's book/errata.yml) in order.

    Raises ClaimError with one line per mistake: file, entry and field.
    """
    path = Path(path) if path is not None else project().book / "errata.yml"
    if not path.is_file():
        raise ClaimError(f"no errata at {path}; expected a YAML list of entries.")
    entries, wrong = read_entries(path, Erratum, "erratum")
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            wrong.append(f"{path.name}, erratum {entry.id}: id is used already")
        if entry.id.split("-")[0] != entry.chapter.split("_")[0]:
            wrong.append(f"{path.name}, erratum {entry.id}: id and chapter {entry.chapter} differ")
        seen.add(entry.id)
    raise_mistakes(wrong)
    return entries


def problems(errata: Iterable[Erratum], claims: Sequence[Claim] = (), root: Path | None = None) -> list[str]:
    """Return what keeps the errata from being shown, a line each: a missing notebook, anchor, test or claim.

    With `claims`, every entry's claim must exist and be of kind erratum.
    """
    root = Path(root) if root is not None else project().root
    kinds = {claim.id: claim.kind for claim in claims}
    wrong = []
    for entry in errata:
        for place in entry.shown_by:
            if complaint := _complaint(place, root):
                wrong.append(f"erratum {entry.id}: {complaint}")
        if claims and entry.claim is not None and kinds.get(entry.claim) != "erratum":
            found = f"is of kind {kinds[entry.claim]}" if entry.claim in kinds else "does not exist"
            wrong.append(f"erratum {entry.id}: its claim {entry.claim} {found}; expected kind erratum")
    return wrong


def anchors(notebook: Path) -> set[str]:
    """Return what can be pointed at in a notebook: heading slugs, MyST targets, cell tags, names and ids."""
    found: set[str] = set()
    for cell in json.loads(notebook.read_text(encoding="utf-8")).get("cells", []):
        metadata = cell.get("metadata", {})
        found.update(metadata.get("tags", []))
        found.update(str(metadata[key]) for key in ("name", "label") if key in metadata)
        if "id" in cell:
            found.add(cell["id"])
        if cell.get("cell_type") == "markdown":
            text = "".join(cell["source"])
            found.update(re.findall(r"^\(([^)\s]+)\)=\s*$", text, flags=re.MULTILINE))
            found.update(
                slug(title) for title in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, flags=re.MULTILINE)
            )
    return found


def slug(title: str) -> str:
    """Return a heading's anchor in the rendered page (GitHub's rule, as MyST uses it).

    >>> slug("Where DEPL *fails*: the head")
    'where-depl-fails-the-head'
    """
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def _complaint(place: str, root: Path) -> str | None:
    if "::" in place:
        file, _, name = place.partition("::")
        path = root / file
        if not path.is_file() or not file.startswith("tests/"):
            return f"shown_by {place}: no test file {file}"
        known = _tests(path)
        bare = name.partition("[")[0]
        return (
            None if bare in known else f"shown_by {place}: no such test; {file} has {listing(sorted(known))}"
        )
    name, hash_, anchor = place.partition("#")
    if not hash_ or not anchor:
        return f"shown_by {place}: expected notebook#anchor or tests/path.py::test_name"
    path = root / "notebooks" / f"{Path(name).stem}.ipynb"
    if not path.is_file():
        return f"shown_by {place}: no notebook {path.name}"
    known = anchors(path)
    return None if anchor in known else f"shown_by {place}: no such anchor; it has {listing(sorted(known))}"


def _tests(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names.update(
                f"{node.name}::{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)
            )
    return names
