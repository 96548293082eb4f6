"""Read and extract archives that other people made, without following anything out of the folder.

Refused: links, devices, absolute and parent paths, more than `max_bytes` of content or `max_members` members
(a small archive can unpack to more than the disk holds). A refused archive leaves nothing behind.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from msig_lib.errors import MsigError

GIB = 1024**3
CHUNK = 1024 * 1024


class UnsafeArchive(MsigError, ValueError):
    """Raised for an archive that holds what a data set has no need of, or that is damaged."""


def contents(
    archive: Path, *, max_bytes: int = 4 * GIB, max_members: int = 1_000_000
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield (path, content) of every regular file of a .tar(.gz|.xz|.bz2) or .zip, in the archive's order.

    For archives of many small files; nothing is written to disk. UnsafeArchive names the offending member.
    """
    with _damage(archive):
        for path, stream in _members(archive, _Guard(archive, max_bytes, max_members)):
            yield path, stream.read()


@contextmanager
def opened(
    archive: Path, name: str, *, max_bytes: int = 4 * GIB, max_members: int = 1_000_000
) -> Iterator[IO[bytes] | None]:
    """Open the first regular file called `name`, in whatever folder of the archive; None when there is none.

    For large files, which are so read piece by piece and never held whole.
    """
    with _damage(archive):
        members = _members(archive, _Guard(archive, max_bytes, max_members))
        try:
            yield next((stream for path, stream in members if path.name == name), None)
        finally:
            members.close()


@contextmanager
def _damage(archive: Path) -> Iterator[None]:
    try:
        yield
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        lzma.LZMAError,
        zlib.error,
        EOFError,
        gzip.BadGzipFile,
    ) as error:
        raise UnsafeArchive(f"{archive}: damaged or not an archive ({error}).") from error


def _members(archive: Path, guard: _Guard) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    """Path and stream of each file; a stream must be read before the next member is asked for."""
    return _zip_members(archive, guard) if zipfile.is_zipfile(archive) else _tar_members(archive, guard)


class _Guard:
    def __init__(self, archive: Path, max_bytes: int, max_members: int) -> None:
        self.archive, self.max_bytes, self.max_members = archive, max_bytes, max_members
        self.bytes = self.count = 0

    def admit(self, name: str, size: int) -> PurePosixPath:
        path = PurePosixPath(name)
        drive = bool(path.parts) and ":" in path.parts[0]
        if not name or "\\" in name or "\0" in name or path.is_absolute() or ".." in path.parts or drive:
            raise UnsafeArchive(f"{self.archive}: member {name!r} points out of the folder.")
        self.count += 1
        self.bytes += size
        if self.count > self.max_members:
            raise UnsafeArchive(f"{self.archive}: more than {self.max_members:,} members.")
        if self.bytes > self.max_bytes:
            raise UnsafeArchive(
                f"{self.archive}: unpacks to more than {self.max_bytes:,} bytes (at {name!r})."
            )
        return path


def _tar_members(archive: Path, guard: _Guard) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    with tarfile.open(archive, "r|*") as tar:
        for member in tar:
            if not (member.isfile() or member.isdir()) or member.issparse():
                raise UnsafeArchive(f"{archive}: member {member.name!r} is a link, device or sparse file.")
            path = guard.admit(member.name, member.size)
            if member.isfile():
                yield path, tar.extractfile(member)


def _zip_members(archive: Path, guard: _Guard) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    with zipfile.ZipFile(archive) as pack:
        for member in pack.infolist():
            mode = stat.S_IFMT(member.external_attr >> 16)
            if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UnsafeArchive(f"{archive}: member {member.filename!r} is a link or device.")
            path = guard.admit(member.filename, member.file_size)
            if not member.is_dir():
                with pack.open(member) as stream:  # reads no more than file_size, and checks the CRC
                    yield path, stream


def extract(archive: Path, into: Path, *, max_bytes: int = 4 * GIB, max_members: int = 1_000_000) -> Path:
    """Unpack an archive into the new folder `into`, which appears whole or not at all; return it."""
    if into.exists():
        raise FileExistsError(f"{into} exists already: remove it first, or choose another folder.")
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=f".{into.name}.") as temporary:
        root = Path(temporary) / "content"
        root.mkdir()
        with _damage(archive):
            for path, stream in _members(archive, _Guard(archive, max_bytes, max_members)):
                target = root.joinpath(*path.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as out:  # "x": a second member of the same name is an error
                    shutil.copyfileobj(stream, out, CHUNK)
        os.replace(root, into)
    return into


def decompress(packed: Path, to: Path, *, max_bytes: int = 4 * GIB) -> Path:
    """Unpack one .gz or .xz file to `to`, which appears whole or not at all; return it."""
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(packed.suffix)
    if opener is None:
        raise UnsafeArchive(f"{packed}: expected a .gz or .xz file.")
    to.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=to.parent, prefix=f".{to.name}.", suffix=".part")
    written = 0
    try:
        with _damage(packed), os.fdopen(handle, "wb") as out, opener(packed, "rb") as stream:
            while chunk := stream.read(CHUNK):
                written += len(chunk)
                if written > max_bytes:
                    raise UnsafeArchive(f"{packed}: unpacks to more than {max_bytes:,} bytes.")
                out.write(chunk)
        os.replace(temporary, to)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return to
