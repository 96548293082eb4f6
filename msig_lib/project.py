"""Find the checkout and name its folders, so that nothing else spells a path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ENV = "MSIG_ROOT"


class ProjectNotFound(RuntimeError):
    """Raised when no checkout of the book is around the working folder."""


@dataclass(frozen=True)
class Project:
    """The folders of one checkout."""

    root: Path

    @property
    def notebooks(self) -> Path:
        return self.root / "notebooks"

    @property
    def tiers(self) -> Path:
        return self.root / "notebooks" / "tiers"

    @property
    def book(self) -> Path:
        return self.root / "book"

    @property
    def claims(self) -> Path:
        return self.root / "book" / "claims"

    @property
    def recorded(self) -> Path:
        return self.root / "book" / "recorded"

    @property
    def manifests(self) -> Path:
        return self.root / "data_manifests"

    @property
    def lock(self) -> Path:
        return self.root / "requirements.lock"

    @property
    def package(self) -> Path:
        return self.root / "msig_lib"

    @property
    def build(self) -> Path:
        return self.root / "_build"


def project(start: Path | None = None) -> Project:
    """Return the checkout around `start` (default: `MSIG_ROOT`, the working folder, then this package).

    Raises ProjectNotFound when none of them lies in a folder with `notebooks/tiers` and `msig_lib`.
    """
    given = os.environ.get(ENV)
    starts = [start] if start else [Path(given)] if given else [Path.cwd(), Path(__file__).parent]
    for begin in starts:
        for folder in (begin.resolve(), *begin.resolve().parents):
            if (folder / "notebooks" / "tiers").is_dir() and (folder / "msig_lib").is_dir():
                return Project(folder)
    raise ProjectNotFound(
        f"no checkout of the book found from {', '.join(map(str, starts))}: expected a folder that holds "
        f"notebooks/tiers and msig_lib. Run inside the checkout, or set {ENV} to it."
    )


def project_root() -> Path:
    """Return the root folder of the checkout."""
    return project().root
