"""Chapter 4: simulating particles and springs, all series together against a plain loop over series and steps."""

from __future__ import annotations

import time

import numpy as np

from msig_lib.changepoint.springs import SpringSettings, draw, integrate, simulate
from tests.benchmarks.compare import Benchmark, Disagreement
from tests.changepoint.plain_springs import Plain, plain_dataset

# The loop takes as long for each series, so 64 of the thesis's 2,100 tell its speed; `check` runs all 2,100.
SERIES, THESIS, SEED = 64, 700, 42
KINDS = ("location", "speed", "connection")


def _ours() -> np.ndarray:
    settings = SpringSettings()
    return integrate(
        draw("connection", SERIES, seed=SEED, settings=settings, convention="official"), settings
    )


def _plain() -> list[Plain]:
    return plain_dataset("connection", SERIES, SEED)


def _check(found: np.ndarray, expected: list[Plain]) -> str:
    same = np.array_equal(found, [plain.states for plain in expected])
    start = time.perf_counter()
    for kind in KINDS:
        simulate(kind, THESIS, seed=SEED, convention="official")
    seconds = time.perf_counter() - start
    if not same:
        raise Disagreement(f"the {SERIES} series differ")
    return (
        f"{SERIES} series of 10,000 steps, equal to the last bit; the {len(KINDS) * THESIS:,} of the thesis, "
        f"with their draws, take {seconds:.2f} s"
    )


def benchmarks() -> list[Benchmark]:
    warm = lambda: simulate("location", 1, seed=0, settings=SpringSettings(frames=2, steps=1))  # noqa: E731
    return [
        Benchmark("changepoint-simulator", _ours, _plain, "peer/ours >= 100", _check, warm=warm, repeats=2)
    ]
