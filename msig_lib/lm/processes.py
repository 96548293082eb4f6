"""Run work side by side in processes of one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    return joblib.Parallel(n_jobs=threads, backend="loky")(
        joblib.delayed(_alone)(work, *each) for each in calls
    )


def _alone(work: Callable, *arguments: Any) -> Any:
    with torch_threads(1):
        return work(*arguments)
