"""The cache of runs: whole directories found by key, verified, listed, set aside and pruned.

`runs/<chapter>/<tier>/<key>/` is complete when its `run.json` is there; it names every file with its SHA-256.
What is being made lies in `runs/.work/` and is renamed into place in one step.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msig_lib.cachedir import cache_dir

MARKER = "run.json"
FAILED = "failed"
KEY_LENGTH = 24  # characters of the key in a folder's name; run.json has all of it


@dataclass(frozen=True)
class Stored:
    """One complete run: its folder and what its marker says."""

    folder: Path
    marker: dict[str, Any]

    @property
    def key(self) -> str:
        return self.marker["key"]

    @property
    def finished(self) -> str:
        return self.marker["finished"]

    def size(self) -> int:
        """Return the bytes that the run's files take."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def runs_root() -> Path:
    """Return the folder of all runs."""
    return cache_dir("runs")


def lock_folder() -> Path:
    """Return (and create) the folder of the locks by which processes take turns."""
    path = runs_root() / ".locks"
    path.mkdir(exist_ok=True)
    return path


def utc(compact: bool = False) -> str:
    """Return the time now in UTC, as ISO text or, compact, for a folder's name."""
    now = datetime.datetime.now(datetime.UTC)
    return now.strftime("%Y%m%dT%H%M%S") if compact else now.isoformat(timespec="milliseconds")


def stored(chapter: str, tier: str) -> list[Stored]:
    """Return the complete runs of a chapter at a tier, the latest first (files not verified)."""
    found = []
    for marker in (runs_root() / chapter / tier).glob(f"*/{MARKER}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            run = Stored(marker.parent, json.loads(marker.read_text(encoding="utf-8")))
            found.append((run.finished, run.key, run))
    return [run for *_, run in sorted(found, key=lambda item: item[:2], reverse=True)]


def latest(chapter: str, tier: str, own: bool = False) -> Stored | None:
    """Return the latest complete run of a chapter at a tier, whatever its key, or None.

    With `own`, only runs with the tier's own parameters count (none that were changed by hand).
    """
    return next((run for run in stored(chapter, tier) if run.marker.get("own") or not own), None)


def find(chapter: str, tier: str, key: str) -> tuple[Stored | None, list[str]]:
    """Return (the verified run with this key or None, what was set aside because it was damaged)."""
    told = []
    folders = sorted((runs_root() / chapter / tier).glob(f"{key[:KEY_LENGTH]}*"))
    runs = {run.folder: run for run in stored(chapter, tier)}
    good = None
    for folder in folders:
        run = runs.get(folder)
        if run is not None and run.key != key:
            continue
        harm = "its marker cannot be read" if run is None else damage(run)
        if harm is None:
            good = run if good is None or run.finished > good.finished else good
        elif folder.is_dir():
            told.append(f"damaged run set aside ({harm}): {set_aside(folder)}")
    return good, told


def damage(run: Stored) -> str | None:
    """Return what is wrong with a run's files (missing, changed, extra), or None when all hashes agree."""
    names = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*") if path.is_file()}
    for name in sorted(names ^ {*run.marker["files"], MARKER}):
        return f"{name} is {'not named in run.json' if name in names else 'missing'}"
    for name, known in run.marker["files"].items():
        if sha256(run.folder / name) != known:
            return f"{name} changed"
    return None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def set_aside(folder: Path) -> Path:
    """Move a folder out of use to `runs/.damaged/` and return where it is."""
    target = runs_root() / ".damaged" / f"{utc(compact=True)}-{uuid.uuid4().hex[:6]}-{folder.name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(folder, target)
    return target


def publish(work: Path, chapter: str, tier: str, key: str, facts: dict[str, Any]) -> Stored:
    """Mark a finished work folder complete and rename it into place; return the run.

    Another run with the same key stays until the new one is in place, and goes then. Publishers take turns: a name
    that one of them has freed may be another's new run by the time it is removed.
    """
    from filelock import FileLock

    files = {
        path.relative_to(work).as_posix(): sha256(path) for path in sorted(work.rglob("*")) if path.is_file()
    }
    marker = {**facts, "chapter": chapter, "tier": tier, "key": key, "finished": utc(), "files": files}
    with (work / MARKER).open("w", encoding="utf-8") as handle:
        json.dump(marker, handle, indent=1, sort_keys=True, ensure_ascii=False)
        handle.flush()
        os.fsync(handle.fileno())
    base = runs_root() / chapter / tier
    base.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_folder() / f"publish-{chapter}-{tier}-{key[:KEY_LENGTH]}.lock"):
        before = list(base.glob(f"{key[:KEY_LENGTH]}*"))
        final = _rename_free(work, base, key[:KEY_LENGTH])
        for folder in before:
            remove(folder)
    return Stored(final, marker)


def _rename_free(work: Path, base: Path, name: str) -> Path:
    for attempt in range(1000):
        final = base / (name if attempt == 0 else f"{name}.{attempt}")
        if not final.exists():
            with contextlib.suppress(OSError):
                os.rename(work, final)
                return final
    raise OSError(f"no free name for a run below {base}")


def remove(folder: Path) -> None:
    """Delete a run in two steps, so that no reader ever finds half of one."""
    with work_folder() as work, contextlib.suppress(OSError):
        os.rename(folder, work / "gone")


def _start_time(pid: int) -> float | None:
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """Give a folder of this process below `runs/.work/`; it is deleted afterwards unless it was renamed."""
    start = int(_start_time(os.getpid()) or 0)
    path = runs_root() / ".work" / f"{os.getpid()}-{start}-{uuid.uuid4().hex[:8]}"
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def clean() -> int:
    """Delete the work folders of processes that are no more; return how many there were."""
    gone = 0
    for path in (runs_root() / ".work").glob("*-*-*"):
        pid, start, _ = path.name.split("-", 2)
        alive = _start_time(int(pid)) if pid.isdigit() else None
        # Two seconds of play: the start time is derived from the system clock, which may be adjusted.
        if alive is None or abs(alive - int(start)) > 2:
            shutil.rmtree(path, ignore_errors=True)
            gone += 1
    return gone


def every() -> list[Stored]:
    """Return all complete runs, by chapter and tier, the latest first within each."""
    pairs = sorted(
        {
            (path.parent.parent.parent.name, path.parent.parent.name)
            for path in runs_root().glob(f"[!.]*/*/*/{MARKER}")
        }
    )
    return [run for chapter, tier in pairs for run in stored(chapter, tier)]


def prune(keep: int) -> tuple[int, int]:
    """Delete all but the latest `keep` runs of each chapter and tier, and failures; return (runs, bytes)."""
    clean()
    count = size = 0
    seen: dict[tuple[str, str], int] = {}
    for run in every():
        place = (run.marker["chapter"], run.marker["tier"])
        seen[place] = seen.get(place, 0) + 1
        if seen[place] > keep:
            size += run.size()
            count += 1
            remove(run.folder)
    for folder in [*runs_root().glob(f"*/{FAILED}/*"), *runs_root().glob(".damaged/*")]:
        size += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder, ignore_errors=True)
    return count, size
