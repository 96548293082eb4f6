"""Keep the memory of arrays that are given back, for the next ones: Linux clears every page it hands out anew."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, MMAP_MAX = -1, -2, -3, -4  # malloc.h of glibc
KEEP = {MMAP_MAX: 0, TRIM_THRESHOLD: -1, TOP_PAD: 2**26}  # -1: never
# what glibc arrives at by itself in a process that gives back arrays of 32 MB
USUAL = {MMAP_MAX: 65_536, TRIM_THRESHOLD: 2**26, TOP_PAD: 2**17, MMAP_THRESHOLD: 2**25}


@contextmanager
def kept_memory() -> Iterator[None]:
    """Run the block with an allocator that hands back nothing to the system before the block is over.

    Large arrays are otherwise mapped anew each time, and the system clears them page by page: a seventh of a training
    step at width 256 and batch 128. Results do not change. Of glibc (Linux) only; elsewhere nothing happens. Blocks may
    be nested: the inner one changes nothing.
    """
    libc = _glibc()
    if libc is None or _Kept.depth:
        yield
        return
    for name, value in KEEP.items():
        libc.mallopt(name, value)
    _Kept.depth += 1
    try:
        yield
    finally:
        _Kept.depth -= 1
        for name, value in USUAL.items():
            libc.mallopt(name, value)
        libc.malloc_trim(0)


class _Kept:
    depth = 0  # of blocks that are open in this process: the allocator has one set of options


@lru_cache(maxsize=1)
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return (
        libc
        if all(hasattr(libc, name) for name in ("gnu_get_libc_version", "mallopt", "malloc_trim"))
        else None
    )
