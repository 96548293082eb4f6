"""What a file in `data_manifests/` may say, and reading them all."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from msig_lib.errors import MsigError
from msig_lib.project import project

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Address = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
Tier = Literal["smoke", "quick", "full", "paper"]


class ManifestError(MsigError, ValueError):
    """Raised for a manifest that does not follow the schema, with file, field and reason."""


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or str(pure) != path:
        raise ValueError(f"{path!r} must be a plain relative path with forward slashes")
    return path


RelativePath = Annotated[str, AfterValidator(_inside)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataFile(_Model):
    """One file (or, with format "folder", one folder) of a data set.

    `sha256` is the hash of the file as it lies in a mirror; for a folder, of the sorted lines "<sha256>
    <path>" of its files. `content_sha256` is the hash of the decompressed content, for a file that the public
    address offers uncompressed. `trust: first-use` says that nobody here knows the hash: the first copy's
    hash is recorded in the user's cache and every later load must match it.
    """

    path: RelativePath
    format: Text
    sha256: Sha256 | None
    trust: Literal["pinned", "first-use"] = "pinned"
    content_sha256: Sha256 | None = None
    bytes: Annotated[int, Field(gt=0)] | None = None
    urls: tuple[Address, ...] = ()
    replaces: tuple[RelativePath, ...] = ()  # files of this set that this one can stand in for
    optional: bool = False

    @model_validator(mode="after")
    def _hash_or_first_use(self) -> DataFile:
        if self.trust == "pinned" and self.sha256 is None:
            raise ValueError(
                f"{self.path}: no sha256; write the hash, or `trust: first-use` if it is not known"
            )
        if self.trust == "first-use" and (self.sha256 or self.content_sha256):
            raise ValueError(f"{self.path}: `trust: first-use` is for files without a known hash")
        if self.content_sha256 and not self.path.endswith((".gz", ".xz")):
            raise ValueError(f"{self.path}: content_sha256 is for .gz and .xz files")
        if self.format == "folder" and self.urls:
            raise ValueError(f"{self.path}: a folder has no address; list its files")
        return self

    @property
    def identity(self) -> str | None:
        """The hash that stands for this file in a fingerprint: of its content where that is pinned."""
        return self.content_sha256 or self.sha256


class Manifest(_Model):
    """One data set: what it is, where it is from, under which terms, and how its files are recognised."""

    name: Name
    title: Text
    what: Text
    kind: Literal["built", "files"]
    homepage: Address | None = None
    files: tuple[DataFile, ...] = ()
    content: dict[
        str, Sha256
    ] = {}  # hashes that the loader checks, for files that come in several containers
    licence: Text
    citation: Text
    chapters: tuple[Name, ...]
    tiers: tuple[Tier, ...]
    obtain: Text  # how a reader gets it

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if (self.kind == "built") == bool(self.files):
            raise ValueError("a set of kind `files` lists its files; a set of kind `built` has none")
        paths = [f.path for f in self.files]
        if doubled := {p for p in paths if paths.count(p) > 1}:
            raise ValueError(f"listed twice: {', '.join(sorted(doubled))}")
        if unknown := {r for f in self.files for r in f.replaces} - set(paths):
            raise ValueError(f"`replaces` names files that are not listed: {', '.join(sorted(unknown))}")
        if outside := [f.path for f in self.files if f.format != "folder" and "/" not in f.path]:
            raise ValueError(f"give the files a folder of their own: {', '.join(outside)}")
        return self

    @property
    def required(self) -> tuple[DataFile, ...]:
        """The files a loader needs, without stand-ins and optional ones."""
        return tuple(f for f in self.files if not f.replaces and not f.optional)

    @property
    def size(self) -> int | None:
        """Bytes of the required files, None when one of them is not known."""
        sizes = [f.bytes for f in self.required]
        return None if not sizes or None in sizes else sum(sizes)

    def file(self, path: str) -> DataFile:
        """Return the entry of one path; KeyError names those there are."""
        for entry in self.files:
            if entry.path == path:
                return entry
        raise KeyError(f"{self.name} has no file {path!r}: it has {', '.join(f.path for f in self.files)}.")


def read(path: Path) -> Manifest:
    """Read and check one manifest; ManifestError names the file, the field and what is wrong."""
    try:
        found = Manifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise ManifestError(f"{path}: not a valid manifest.\n{error}") from error
    if found.name != path.stem:
        raise ManifestError(f"{path}: `name: {found.name}` must be the file's name, {path.stem!r}.")
    return found


def read_all(folder: Path | None = None) -> dict[str, Manifest]:
    """Return every manifest by name, sorted; `folder` defaults to the checkout's `data_manifests/`."""
    where = folder or project().manifests
    found = [read(path) for path in sorted(where.glob("*.yml"))]
    return {m.name: m for m in found}
