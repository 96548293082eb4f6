"""`python -m tests.benchmarks`: run every bench_*.py of this folder and print one table of ratios."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from tests.benchmarks.compare import Outcome, run


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks whose name holds `--only`; return 1 when a ratio misses or results disagree."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help="run the benchmarks whose name holds this")
    parser.add_argument("--repeats", type=int, help="pairs of runs (default: each benchmark's)")
    parser.add_argument("--list", action="store_true", help="list the names and what is asked")
    options = parser.parse_args(arguments)
    if options.repeats is not None and options.repeats < 1:
        parser.error(f"--repeats is {options.repeats}, expected at least 1")
    found = []
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        found += importlib.import_module(f"tests.benchmarks.{path.stem}").benchmarks()
    chosen = [b for b in found if options.only in b.name]
    if not chosen:
        parser.error(f"no benchmark holds {options.only!r}; there are: {', '.join(b.name for b in found)}")
    if options.list:
        print("\n".join(f"{b.name}: {b.asked}" for b in chosen))
        return 0
    with threadpool_limits(1):
        outcomes = [run(b, options.repeats or b.repeats, _say) for b in chosen]
    print(pd.DataFrame([_row(o) for o in outcomes]).to_string(index=False))
    print(
        "\nMedian over interleaved pairs of runs, wall time, one thread a side, lowest and highest ratio in "
        "brackets.\nMemory: peak above the start of the run, MiB, ours | peer. Compiling (or reading "
        "compiled code from the cache) is not in the ratio: seconds in 'warm'."
    )
    for outcome in outcomes:
        if outcome.agreement:
            print(f"{outcome.benchmark.name}: {outcome.agreement}")
    failed = [o for o in outcomes if o.failed]
    for outcome in failed:
        print(f"FAILED {outcome.benchmark.name}: {outcome.failed}")
    return 1 if failed else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _row(o: Outcome) -> dict[str, str]:
    if o.not_run:
        measured = f"not run: {o.not_run}"
        return {
            "benchmark": o.benchmark.name,
            "asked": o.benchmark.asked,
            "measured": measured,
        } | dict.fromkeys(("pairs", "ours s", "peer s", "memory", "warm", "ok"), "-")
    r, ours, peer = o.ratios, sorted(o.ours), sorted(o.peer)
    return {
        "benchmark": o.benchmark.name,
        "asked": o.benchmark.asked,
        "pairs": str(len(r)),
        "measured": f"{pd.Series(r).median():.2f} [{r.min():.2f}, {r.max():.2f}]",
        "ours s": f"{pd.Series(ours).median():.2f}",
        "peer s": f"{pd.Series(peer).median():.2f}",
        "memory": " | ".join(f"{o.memory[side]:.0f}" for side in ("ours", "peer")),
        "warm": f"{o.warm_seconds:.1f}",
        "ok": "NO" if o.failed else "yes",
    }


if __name__ == "__main__":
    sys.exit(main())
