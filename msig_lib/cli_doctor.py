"""`msig doctor`: is this machine ready to make the book, and if not, what to do."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from msig_lib.cachedir import ENV as CACHE_ENV
from msig_lib.cachedir import cache_root
from msig_lib.errors import MsigError, listing
from msig_lib.project import Project

MIRROR = "MSIG_DATA_MIRROR"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NEEDED_GIB, GOOD_GIB = 1.0, 5.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at: level is "ok", "warn" or "fail"; `todo` says what to do about it."""

    level: str
    what: str
    todo: str = ""


def examine(project: Project) -> list[Finding]:
    """Return the findings, in the order in which they are shown."""
    return [_python(), *_packages(project), _threads(), _cache(), _disk(), _chromium(), _mirror(), *_data()]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = importlib.metadata.metadata("msig-lib")["Requires-Python"].removeprefix(">=")
    if sys.version_info < tuple(map(int, wanted.split("."))):
        return Finding("fail", f"Python {version}", f"install Python {wanted} or later and make .venv anew")
    return Finding("ok", f"Python {version}")


def _packages(project: Project) -> list[Finding]:
    pins = [line.strip().split("==") for line in project.lock.read_text().splitlines() if "==" in line]
    missing, other = [], []
    for name, version in pins:
        try:
            found = importlib.metadata.version(name).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if found != version:
            other.append(f"{name} {found} (lock: {version})")
    todo = "run `make env`, or `pip install -r requirements.lock`"
    findings = []
    if missing:
        findings.append(Finding("fail", f"packages missing: {listing(missing, 8)}", todo))
    if other:
        findings.append(Finding("warn", f"packages of another version: {listing(other, 8)}", todo))
    return findings or [Finding("ok", f"{len(pins)} packages as in requirements.lock")]


def _threads() -> Finding:
    from msig_lib.runs.kernel import default_threads

    count = default_threads()
    if count < 2:
        return Finding("warn", "1 core is usable", "the tiers' time limits are for 2; expect twice the time")
    return Finding("ok", f"notebooks get {count} threads of {os.cpu_count()} cores (--threads changes it)")


def _cache() -> Finding:
    try:
        root = cache_root()
        root.mkdir(parents=True, exist_ok=True)
        probe = root / f".probe-{uuid.uuid4().hex}"
        probe.write_text("x")
        probe.unlink()
    except OSError as error:
        return Finding(
            "fail", f"cache folder cannot be written ({error})", f"set {CACHE_ENV} to one that can"
        )
    return Finding("ok", f"cache folder {root}")


def _disk() -> Finding:
    place = cache_root()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 2**30
    what = f"{free:.1f} GiB free for the cache"
    todo = f"make room (`msig runs prune --keep 1`), or set {CACHE_ENV} to a larger disk"
    if free < NEEDED_GIB:
        return Finding("fail", what, todo)
    return Finding("warn" if free < GOOD_GIB else "ok", what, todo if free < GOOD_GIB else "")


def _chromium() -> Finding:
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found:
        return Finding("ok", f"browser for the site's tests: {found}")
    todo = "only the site's tests and the PDF need it: install your system's chromium (Debian: apt install chromium)"
    return Finding("warn", "no Chromium found", todo)


def _mirror() -> Finding:
    given = os.environ.get(MIRROR)
    if not given:
        return Finding("ok", f"no data mirror set ({MIRROR}); data sets are downloaded when asked for")
    if not Path(given).is_dir():
        return Finding("fail", f"{MIRROR} is {given}, which is no folder", f"correct or unset {MIRROR}")
    return Finding("ok", f"data mirror {given}")


def _data() -> list[Finding]:
    try:
        from msig_lib import datasets

        states = {name: datasets.available(name) for name in datasets.names()}
    except MsigError as error:
        return [Finding("fail", f"data manifests: {error}", "correct the file in data_manifests")]
    except (ImportError, AttributeError) as error:
        return [Finding("warn", f"data sets cannot be listed ({error})", "run `make env`")]
    ready = [name for name, (there, _) in states.items() if there]
    return [
        Finding("ok", f"data sets ready without a network: {listing(ready)} ({len(ready)}/{len(states)})")
    ]
