"""Speed as a ratio against a peer in the same process: what a benchmark is, and how one is run."""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

STATUS = Path("/proc/self/status")
FORMS = {"peer/ours": lambda ours, peer: peer / ours, "ours/peer": lambda ours, peer: ours / peer}
SIGNS = {">=": operator.ge, "<=": operator.le}


class NotRun(Exception):
    """Raised by `prepare` when the benchmark cannot run here; its text is the reason."""


class Disagreement(Exception):
    """Raised by `check` when the two results differ by more than is allowed; its text says by how much."""


@dataclass(frozen=True)
class Benchmark:
    """Two ways to the same result, and the ratio of their times that is asked for.

    `asked` reads "peer/ours >= 4" or "ours/peer <= 2". `check` gets both last results and returns what it
    compared as text, or raises Disagreement. `prepare` loads what both share and `warm` compiles; neither is
    timed, but the time of `warm` is shown.
    """

    name: str
    ours: Callable[[], Any]
    peer: Callable[[], Any]
    asked: str
    check: Callable[[Any, Any], str]
    prepare: Callable[[], None] = lambda: None
    warm: Callable[[], Any] = lambda: None
    repeats: int = 3

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(peer/ours|ours/peer) (>=|<=) [0-9.]+", self.asked):
            raise ValueError(f"asked is {self.asked!r}, expected for instance 'peer/ours >= 4'.")


@dataclass
class Outcome:
    """What a run measured; `failed` holds the reason, if any, and `not_run` why nothing was measured."""

    benchmark: Benchmark
    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)  # MiB above the start, by side
    warm_seconds: float = 0.0
    agreement: str = ""
    failed: str = ""
    not_run: str = ""

    @property
    def ratios(self) -> np.ndarray:
        """One ratio a repeat, in the direction that is asked for."""
        form = FORMS[self.benchmark.asked.split()[0]]
        return np.array([form(a, b) for a, b in zip(self.ours, self.peer)])


def run(benchmark: Benchmark, repeats: int, say: Callable[[str], None]) -> Outcome:
    """Time both sides `repeats` times, alternating which is first, so that a busy machine slows both."""
    outcome = Outcome(benchmark)
    try:
        benchmark.prepare()
    except NotRun as reason:
        outcome.not_run = str(reason)
        return outcome
    start = time.perf_counter()
    benchmark.warm()
    outcome.warm_seconds = time.perf_counter() - start
    last = {}
    for repeat in range(repeats):
        for side in ("ours", "peer") if repeat % 2 == 0 else ("peer", "ours"):
            last.pop(side, None)  # the earlier result would count as memory
            before = _reset_peak()
            start = time.perf_counter()
            last[side] = getattr(benchmark, side)()
            getattr(outcome, side).append(time.perf_counter() - start)
            outcome.memory[side] = max(outcome.memory.get(side, 0.0), _memory("VmHWM") - before)
            say(f"{benchmark.name}: {side} {getattr(outcome, side)[-1]:.2f} s ({repeat + 1} of {repeats})")
    try:
        outcome.agreement = benchmark.check(last["ours"], last["peer"])
    except Disagreement as reason:
        outcome.agreement = outcome.failed = str(reason)
    _, sign, bound = benchmark.asked.split()
    if not SIGNS[sign](float(np.median(outcome.ratios)), float(bound)):
        outcome.failed = "; ".join(filter(None, [outcome.failed, "the ratio misses what is asked"]))
    return outcome


def _memory(name: str) -> float:
    """Return a field of this process's status in MiB, NaN where the system does not tell."""
    if not STATUS.exists():
        return float("nan")
    found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else float("nan")


def _reset_peak() -> float:
    """Let the peak of this process begin anew, and return what it holds now, in MiB."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return float("nan")
    return _memory("VmRSS")
