"""Hashes of files, files that appear whole or not at all, and files set aside."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file as lower-case hex, reading it in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_whole(path: Path, blob: bytes) -> None:
    """Write a file under a temporary name in its own folder, then rename it: readers see all of it or
    none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(blob)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def aside(path: Path, actual: str) -> Path:
    """Rename a file whose content is wrong to `<name>.bad-<first 8 of its hash>` and return the new path."""
    moved = path.with_name(f"{path.name}.bad-{actual[:8]}")
    os.replace(path, moved)
    return moved
