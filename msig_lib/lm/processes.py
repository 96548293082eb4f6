"""Run work side by side in processes of one thread each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import joblib

from msig_lib.lm.threads import torch_threads


def in_processes(work: Callable, arguments: Iterable[tuple], *, threads: int) -> list:
    """Return `work(*arguments)` for each, in order, `threads` at a time in processes of one thread each.

    With one thread or one call at most, the work is done in this process, also on one thread. `work` and its
    arguments must be picklable.

        in_processes(learn, [(plan, seed) for seed in seeds], threads=2)
    """
    calls = list(arguments)
    if threads == 1 or len(calls) < 2:
        return [_alone(work, *each) for each in calls]
    with replacing_quietly():
        return joblib.Parallel(n_jobs=threads, backend="loky")(
            joblib.delayed(_alone)(work, *each) for each in calls
        )


@contextmanager
def replacing_quietly() -> Iterator[None]:
    """Say nothing when loky replaces a worker that has grown (by a world it made, say): nothing is lost."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        yield


def _alone(work: Callable, *arguments: Any) -> Any:
    with torch_threads(1):
        return work(*arguments)
