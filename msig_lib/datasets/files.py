"""Find or download the files of a data set and check every one of them, every time.

A folder named by `MSIG_DATA_MIRROR` comes first and is never written to; then the user's cache; then the
public addresses. A file whose hash is wrong is never used: one in our cache is set aside, one in the mirror
is refused.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from msig_lib.cachedir import cache_dir
from msig_lib.datasets.hashing import aside, sha256_file, write_whole
from msig_lib.datasets.manifests import DataFile, Manifest
from msig_lib.errors import MsigError

ENV = "MSIG_DATA_MIRROR"
TIMEOUT = 60  # seconds without an answer


class DataError(MsigError):
    """Base of what can go wrong with a data set's files."""


class DataMismatch(DataError):
    """Raised when a file is not the one the manifest describes."""


class DataNotAvailable(DataError):
    """Raised when a file is neither in the mirror nor in the cache and cannot be downloaded."""


@dataclass(frozen=True)
class FileState:
    """What `verify` found for one file: state is "verified", "missing" or "wrong"."""

    path: str
    state: str
    where: str  # "mirror", "cache" or ""
    detail: str = ""


def mirror() -> Path | None:
    """Return the folder of `MSIG_DATA_MIRROR`, None when it is not set; DataNotAvailable when it is no
    folder."""
    given = os.environ.get(ENV)
    if not given:
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise DataNotAvailable(f"{ENV}={given}: there is no such folder. Correct the variable, or unset it.")
    return folder


def locate(manifest: Manifest, file: DataFile) -> tuple[Path, str] | None:
    """Return where a file lies now and which place that is ("mirror" or "cache"), without checking its
    content."""
    folder = mirror()
    if folder is not None and (folder / file.path).exists():
        return folder / file.path, "mirror"
    cached = cache_path(manifest, file)
    for candidate in (cached, _plain(cached)) if file.content_sha256 else (cached,):
        if candidate.exists():
            return candidate, "cache"
    return None


def cache_path(manifest: Manifest, file: DataFile) -> Path:
    """Return the place of a file in the user's cache."""
    return cache_dir("data").joinpath(manifest.name, *(Path(file.path).parts[1:] or (file.path,)))


def _plain(path: Path) -> Path:
    return path.with_suffix("")


def tree_sha256(folder: Path) -> str:
    """Return the hash of a folder: SHA-256 of the sorted lines "<sha256>  <path>" of its files; links are
    refused."""
    lines = []
    for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix()):
        if path.is_symlink():
            raise DataMismatch(f"{path} is a link; a data folder holds plain files only.")
        if path.is_file():
            lines.append(f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check(manifest: Manifest, file: DataFile, path: Path, where: str) -> Path:
    """Return `path` when its content is the file's, else raise DataMismatch (and set a cached file aside)."""
    actual = tree_sha256(path) if path.is_dir() else sha256_file(path)
    if file.trust == "first-use":
        return _first_use(manifest, file, path, where, actual)
    plain = file.content_sha256 is not None and path == _plain(cache_path(manifest, file))
    expected = file.content_sha256 if plain else file.sha256
    if actual != expected:
        raise DataMismatch(_refusal(manifest, file, path, where, expected, actual, "by data_manifests"))
    return path


def _refusal(
    manifest: Manifest, file: DataFile, path: Path, where: str, expected: str | None, actual: str, source: str
) -> str:
    size = f", {path.stat().st_size:,} bytes" if path.is_file() else ""
    size += f" where {file.bytes:,} are expected" if file.bytes and path.is_file() else ""
    text = f"{manifest.name}: {path} has the wrong content{size}.\n"
    text += f"  expected {expected} ({source})\n  actual   {actual}\n"
    if where == "cache":
        moved = aside(path, actual)
        text += f"It was set aside as {moved.name}. "
        return text + f"Run `msig data fetch {manifest.name}` to download it again."
    return text + f"It is in the mirror, which is only read: replace it there, or unset {ENV} to download it."


def _first_use(manifest: Manifest, file: DataFile, path: Path, where: str, actual: str) -> Path:
    lock = cache_dir("data") / "first-use.json"
    known = json.loads(lock.read_text(encoding="utf-8")) if lock.is_file() else {}
    key = f"{manifest.name}/{file.path}"
    if key not in known:
        write_whole(lock, (json.dumps(known | {key: actual}, indent=1, sort_keys=True) + "\n").encode())
        print(
            f"{key}: no hash of this file is known to the book. This copy's hash, {actual}, is recorded in "
            f"{lock}; every later load must match it. Compare it with its publisher's if you can.",
            file=sys.stderr,
        )
    elif known[key] != actual:
        source = f"recorded at first use in {lock}; delete that entry if the new file is right"
        raise DataMismatch(_refusal(manifest, file, path, where, known[key], actual, source))
    return path


def first_use_sha256(manifest: Manifest, file: DataFile) -> str | None:
    """Return the hash recorded when a file without a known hash was first used here."""
    lock = cache_dir("data") / "first-use.json"
    known = json.loads(lock.read_text(encoding="utf-8")) if lock.is_file() else {}
    return known.get(f"{manifest.name}/{file.path}")


def obtain(manifest: Manifest, file: DataFile, *, download: bool = True) -> Path:
    """Return the verified local path of one file, downloading it when it is nowhere and has an address."""
    if found := locate(manifest, file):
        return check(manifest, file, *found)
    if not download or not file.urls:
        raise DataNotAvailable(missing(manifest, file))
    return _download(manifest, file)


def missing(manifest: Manifest, file: DataFile) -> str:
    """Return what to tell a reader whose file is nowhere."""
    folder = mirror()
    looked = f"{folder / file.path} and " if folder else ""
    sources = (f for f in manifest.files if f is file or file.path in f.replaces)
    how = (
        f"`msig data fetch {manifest.name}` downloads it."
        if any(f.urls for f in sources)
        else manifest.obtain
    )
    return (
        f"{manifest.name}: {file.path} is not here (looked at {looked}{cache_path(manifest, file)}). {how} "
        f"Or set {ENV} to a folder that holds {file.path}."
    )


def _download(manifest: Manifest, file: DataFile) -> Path:
    import pooch  # and requests: only when something is downloaded

    target = cache_path(manifest, file)
    if file.content_sha256:  # the address offers the plain file
        target = _plain(target)
    expected = file.identity
    failures, wrong = [], False
    for url in file.urls:
        try:
            pooch.retrieve(
                url,
                known_hash=f"sha256:{expected}" if expected else None,
                fname=target.name,
                path=target.parent,
                downloader=pooch.HTTPDownloader(timeout=TIMEOUT),
            )
            return check(manifest, file, target, "cache")
        except ValueError as error:  # pooch deletes a download whose hash is wrong
            failures.append(f"  {url}: {error}")
            wrong = True
        except (OSError, DataError) as error:  # requests' errors are OSErrors
            failures.append(f"  {url}: {type(error).__name__}: {error}")
            wrong = wrong or isinstance(error, DataMismatch)
    kind = DataMismatch if wrong else DataNotAvailable
    raise kind(
        f"{manifest.name}: {file.path} could not be downloaded"
        + (f" (expected sha256 {expected})" if expected else "")
        + ".\n"
        + "\n".join(failures)
        + f"\nTry again later, or put the file in a folder as {file.path} and set {ENV} to that folder."
    )


def obtain_all(manifest: Manifest, *, download: bool = True) -> dict[str, Path]:
    """Return the verified paths of all required files, or of the files that stand in for missing ones."""
    paths: dict[str, Path] = {}
    for file in manifest.required:
        try:
            paths[file.path] = obtain(manifest, file, download=download)
        except DataNotAvailable:
            spare = next((s for s in manifest.files if file.path in s.replaces), None)
            if spare is None:
                raise
            if spare.path not in paths:
                paths[spare.path] = obtain(manifest, spare, download=download)
    for file in manifest.files:
        if file.optional and locate(manifest, file):
            paths[file.path] = obtain(manifest, file, download=False)
    return paths


def states(manifest: Manifest) -> Iterator[FileState]:
    """Check every file that is here; yield one state for each, without downloading."""
    for file in manifest.files:
        found = locate(manifest, file)
        if found is None:
            yield FileState(file.path, "missing", "", "optional" if file.optional or file.replaces else "")
            continue
        try:
            check(manifest, file, *found)
            yield FileState(file.path, "verified", found[1])
        except DataMismatch as error:
            yield FileState(file.path, "wrong", found[1], str(error))


def open_content(path: Path) -> IO[bytes]:
    """Open a file for reading its content: decompressed when it is gzip or xz, by its first bytes, else as it
    is."""
    with path.open("rb") as stream:
        magic = stream.read(6)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path, "rb")
    return lzma.open(path, "rb") if magic == b"\xfd7zXZ\x00" else path.open("rb")
