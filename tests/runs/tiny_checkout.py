"""A throwaway checkout with tiny notebooks, so that the runner is tested on runs of about a second."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msig_lib

REAL = Path(msig_lib.__file__).parent
# What the tiny checkout has of the real library; its datasets and method modules are written here.
COPIED = ("errors.py", "project.py", "cachedir.py", "tiers.py", *(path.name for path in REAL.glob("cli*.py")))

DATASETS = """
import json, os
from pathlib import Path

def _file(name):
    return Path(os.environ["MSIG_ROOT"]) / "data" / name

def names():
    return sorted(path.name for path in _file("").iterdir())

def describe(name):
    return f"the {name} data"

def fetch(name):
    pass

verify = fetch

def available(name):
    return _file(name).exists(), f"no file for {name}"

def fingerprint(name):
    import hashlib
    return hashlib.sha256(_file(name).read_bytes()).hexdigest()

def load(name):
    with open(Path(os.environ["MSIG_RUN_DIR"]) / "data.jsonl", "a") as handle:
        handle.write(json.dumps({"name": name, "fingerprint": fingerprint(name)}) + "\\n")
    return _file(name).read_text()
"""


def notebook(*cells: tuple[str, str] | tuple[str, str, list[str]]) -> dict:
    """A source notebook of (kind, source[, tags]) cells."""
    made = []
    for number, (kind, source, *tags) in enumerate(cells):
        cell = {"cell_type": kind, "id": f"c{number}", "metadata": {"tags": tags[0]} if tags else {}}
        cell["source"] = source
        if kind == "code":
            cell |= {"outputs": [], "execution_count": None}
        made.append(cell)
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return {
        "cells": made,
        "metadata": {"kernelspec": spec, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


PARAMETERS = 'tier = "quick"\nseeds = [0, 1]\nscale = 1.0\nsleep = 0.0\nfail = False\nextra_data = None'
STORY = (
    "import os, time\n"
    "from msig_lib.runs import results\n"
    "from msig_lib.alpha import value\n"
    "log = results.open()\n"
    "for seed in seeds:\n"
    "    log.add('score', [scale * value(), seed], seed=seed, method='a', data='toy')"
)
DATA_AND_CHECK = (
    "from msig_lib import datasets\n"
    "for name in ['toy', *([extra_data] if extra_data else [])]:\n"
    "    datasets.load(name)\n"
    "log.check('adds-up', True)\n"
    "len(log.frame())"
)


@dataclass
class Tiny:
    """A tiny checkout and cache."""

    root: Path
    cache: Path

    @property
    def env(self) -> dict[str, str]:
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("MSIG", "PYTEST"))}
        return {
            **keep,
            "MSIG_ROOT": str(self.root),
            "MSIG_CACHE": str(self.cache),
            "PYTHONPATH": str(self.root),
        }

    def write(self, chapter: str, *cells: tuple) -> None:
        place = self.root / "notebooks" / f"{chapter}.ipynb"
        place.write_text(json.dumps(notebook(*cells)))

    def msig(self, *words: str, **options) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "msig_lib.cli", *words],
            env=self.env, cwd=self.root, capture_output=True, text=True, timeout=120, **options,
        )  # fmt: skip
        return done

    def start(self, *words: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "msig_lib.cli", *words], env=self.env, cwd=self.root,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def runs(self, chapter: str = "ch01_first", tier: str = "quick") -> list[Path]:
        return sorted((self.cache / "runs" / chapter / tier).glob("*"))


def build(root: Path, cache: Path) -> Tiny:
    """Write the tiny checkout: two chapters, a package each, a data set and two tiers."""
    tiny = Tiny(root, cache)
    for folder in ("notebooks/tiers", "msig_lib/datasets", "data", "book/claims"):
        (root / folder).mkdir(parents=True)
    shutil.copytree(REAL / "runs", root / "msig_lib/runs", ignore=shutil.ignore_patterns("__pycache__"))
    for name in COPIED:
        shutil.copy(REAL / name, root / "msig_lib" / name)
    (root / "msig_lib/__init__.py").write_text("")
    (root / "msig_lib/alpha.py").write_text("from . import beta\n\ndef value():\n    return beta.BASE\n")
    (root / "msig_lib/beta.py").write_text("BASE = 2.0\n")
    (root / "msig_lib/gamma.py").write_text("OTHER = 1\n")
    (root / "msig_lib/datasets/__init__.py").write_text(DATASETS)
    (root / "data/toy").write_text("toy data")
    (root / "data/other").write_text("other data")
    (root / "requirements.lock").write_text("numpy==1.0\n")
    tiny.write(
        "ch01_first",
        ("markdown", "# First\n\nA story."),
        ("code", PARAMETERS, ["parameters"]),
        ("markdown", "## Measuring"),
        ("code", STORY),
        ("code", "# wait\ntime.sleep(sleep)\nif fail:\n    raise ValueError('asked to fail')"),
        ("code", DATA_AND_CHECK),
    )  # fmt: skip
    tiny.write(
        "ch02_second",
        ("markdown", "# Second"),
        ("code", 'tier = "quick"\nsize = 3\nname = "x"', ["parameters"]),
        ("code", "from msig_lib.gamma import OTHER\nprint(size + OTHER)"),
    )
    tiers = "ch01_first: {data: [toy], parameters: {seeds: [0]}}\nch02_second: {parameters: {size: 4}}\n"
    for name in ("smoke", "quick"):
        (root / "notebooks/tiers" / f"{name}.yml").write_text(tiers)
    return tiny
