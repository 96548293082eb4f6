"""Where this project keeps what can be made again: runs, data and arrays."""

from __future__ import annotations

import os
from pathlib import Path

import pooch

ENV = "MSIG_CACHE"


def cache_root() -> Path:
    """Return the user's cache folder for this project (`MSIG_CACHE`, or the system's usual place)."""
    given = os.environ.get(ENV)
    return Path(given).expanduser().resolve() if given else Path(pooch.os_cache("msig"))


def cache_dir(room: str) -> Path:
    """Return (and create) the folder `room` of the cache: `runs`, `data` or `arrays`."""
    path = cache_root() / room
    path.mkdir(parents=True, exist_ok=True)
    return path
