"""Limit torch's threads for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Run the block with `threads` torch threads and restore the number after; None changes nothing."""
    if threads is None:
        yield
        return
    if threads < 1:
        raise ValueError(f"threads is {threads}, expected a number from 1, or None to leave it as it is")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
