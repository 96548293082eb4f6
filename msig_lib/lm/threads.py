"""Limit the threads of torch and of compiled kernels for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import scipy.linalg.cython_blas  # noqa: F401 - the library that compiled kernels multiply with, loaded so that it is found
import torch
from threadpoolctl import threadpool_limits


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


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run the block with matrix products of numpy, scipy and compiled kernels on one thread; torch keeps its own.

    Products of a block of rows are too small to share: a second thread waits for its turn more than it works.
    """
    with threadpool_limits(1, user_api="blas"):
        yield
