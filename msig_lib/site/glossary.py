"""The glossary: methods, measures, losses and theorems by name, found by the search, with their chapters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from msig_lib.site.chapters import Chapter, SiteError


class Term(BaseModel):
    """One entry: its name, other names, what it is (MyST), and the chapters where it is at work."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    term: Annotated[str, Field(min_length=1)]
    also: list[str] = []
    says: Annotated[str, Field(min_length=1)]
    chapters: list[str] = []


def load(path: Path) -> list[Term]:
    """Return the entries of book/glossary.yml in alphabetical order (none without the file).

    Raises SiteError for an entry that cannot be read and for a name that is explained twice.
    """
    given = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    terms, seen = [], set()
    for entry in given or []:
        try:
            term = Term.model_validate(entry)
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise SiteError(f"book/glossary.yml, {entry!r:.60}: {told}") from None
        for name in (term.term, *term.also):
            if name.lower() in seen:
                raise SiteError(f"book/glossary.yml explains {name!r} twice; keep one entry")
            seen.add(name.lower())
        terms.append(term)
    return sorted(terms, key=lambda one: one.term.lower())


def page(terms: Sequence[Term], chapters: Sequence[Chapter]) -> str:
    """Return the page as MyST; chapters that are not in the build are named without a link.

    Raises SiteError for a chapter that no card knows.
    """
    known = {chapter.name: chapter for chapter in chapters}
    intro = (
        "Methods, measures, losses and theorems by name, each with the chapter where it is at work. "
        "Symbols have [a page of their own](notation.md)."
    )
    if not terms:
        return f"# Glossary\n\n{intro}\n\nThere are no entries in this build.\n"
    body = "\n\n".join(_entry(term, known) for term in terms)
    return f"# Glossary\n\n{intro}\n\n````{{glossary}}\n{body}\n````\n"


def _entry(term: Term, known: dict[str, Chapter]) -> str:
    where = []
    for name in term.chapters:
        if name not in known:
            raise SiteError(
                f"book/glossary.yml, {term.term}: unknown chapter {name!r}; there are: {', '.join(known)}"
            )
        chapter = known[name]
        title = chapter.heading.replace(". ", ".\u00a0", 1)
        where.append(f"{{doc}}`{title} <{name}>`" if chapter.notebook is not None else title)
    text = " ".join(term.says.split()) + (f" *In:* {', '.join(where)}." if where else "")
    return "\n".join([term.term, *term.also, f"  {text}"])
