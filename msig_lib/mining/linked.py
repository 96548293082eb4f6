"""Calls that need each other's results, side by side in processes: no core waits while a call can start."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor

from msig_lib.lm.processes import in_processes, replacing_quietly


@dataclass(frozen=True)
class Of:
    """Stands among a call's arguments for the result of another call; `get` takes from it what is needed."""

    key: Hashable
    get: Callable[[Any], Any] | None = None


def linked(calls: Mapping[Hashable, tuple[Callable, tuple]], *, threads: int) -> dict[Hashable, Any]:
    """Return the result of every call (work, arguments) by its key, in the order given.

    `threads` at a time in processes of one thread each, a call as soon as those are done that its arguments (`Of`)
    name, of several the first. With one thread all in this process. ValueError for calls that need a missing one or
    each other; an error of a call is raised, and no further call started.

        linked({"base": (study.base, (plan, 0)), "miner": (study.mined_by, (plan, Of("base"), seeding, 0))}, threads=2)
    """
    waiting = {key: (work, arguments, _needs(arguments)) for key, (work, arguments) in calls.items()}
    absent = {need for *_, needs in waiting.values() for need in needs} - waiting.keys()
    if threads < 1 or absent:
        raise ValueError(
            f"threads is {threads} and calls need {sorted(map(str, absent))}, which are not among them: expected "
            "one thread or more, and calls whose needs are calls"
        )
    done: dict[Hashable, Any] = {}
    if threads == 1:
        while waiting:
            key = _next(waiting, done, idle=True)
            work, arguments, _ = waiting.pop(key)
            done[key] = _alone(work, *_filled(arguments, done))
        return {key: done[key] for key in calls}
    running: dict[Future, Hashable] = {}
    with replacing_quietly(), ProcessPoolExecutor(max_workers=threads, env={"OMP_NUM_THREADS": "1"}) as pool:
        while waiting or running:
            while waiting and len(running) < threads:
                key = _next(waiting, done, idle=not running)
                if key is None:
                    break
                work, arguments, _ = waiting.pop(key)
                running[pool.submit(_alone, work, *_filled(arguments, done))] = key
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                done[running.pop(future)] = future.result()
    return {key: done[key] for key in calls}


def _next(waiting: Mapping[Hashable, tuple], done: Mapping[Hashable, Any], *, idle: bool) -> Hashable | None:
    """Return the first call that can start; None where one has to be waited for."""
    for key, (*_, needs) in waiting.items():
        if needs <= done.keys():
            return key
    if idle:
        raise ValueError(f"the calls {sorted(map(str, waiting))} need each other: none of them can start")
    return None


def _needs(arguments: tuple) -> set[Hashable]:
    return {one.key for one in arguments if isinstance(one, Of)}


def _filled(arguments: tuple, done: Mapping[Hashable, Any]) -> list[Any]:
    return [
        (one.get(done[one.key]) if one.get else done[one.key]) if isinstance(one, Of) else one
        for one in arguments
    ]


def _alone(work: Callable, *arguments: Any) -> Any:
    return in_processes(work, [arguments], threads=1)[0]
