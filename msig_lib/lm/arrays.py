"""Arrays on disk, keyed by what they were made from and verified when they are read."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from msig_lib.cachedir import cache_dir

log = logging.getLogger(__name__)


def file_sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def texts_sha256(texts: Iterable[str]) -> str:
    """Return the SHA-256 of a list of strings; lengths are hashed too, so that no two lists collide."""
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()


def cached_array(key: Mapping[str, Any], compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the array stored under `key` (JSON values), or compute, store and return it.

    The file is `<key's hash>-<content's SHA-256>.npy` in the cache room `arrays`, written aside and then
    renamed, never pickled. A file whose content does not match its name is removed and computed again.
    """
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_dir("arrays")
    for path in sorted(folder.glob(f"{name}-*.npy")):
        found = _read_verified(path)
        if found is not None:
            return found
    array = np.ascontiguousarray(compute())
    if array.dtype == object:
        raise TypeError("cached_array stores plain numbers, but compute() returned an object array")
    _write(folder, name, array)
    return array


def _read_verified(path: Path) -> np.ndarray | None:
    try:
        if file_sha256(path) == path.stem.rpartition("-")[2]:
            return np.load(path, allow_pickle=False)
        log.warning("cached array %s does not match its hash; it is computed again", path.name)
        path.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        log.warning("cached array %s cannot be read (%s); it is computed again", path.name, error)
    return None


def _write(folder: Path, name: str, array: np.ndarray) -> None:
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".part-", suffix=".npy")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / f"{name}-{file_sha256(temporary)}.npy")
    except OSError as error:  # a full or read-only disk must not lose the computed array
        log.warning("the array could not be cached (%s)", error)
    finally:
        Path(temporary).unlink(missing_ok=True)
