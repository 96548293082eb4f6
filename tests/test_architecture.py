"""The house rules that a machine can keep: who imports whom, sizes, and nothing unpickled."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "msig_lib"
SOURCES = sorted(PACKAGE.rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
METHODS = {"xmtc", "zeroshot", "changepoint", "mining", "videoqa", "chartqa", "theory"}
BASE = {"errors", "project", "cachedir", "tiers"}
# What each room may import of the others; every room may import BASE.
SHARED = {"lm", "preference", "datasets", "stats", "display"}
ALLOWED = {
    **{method: SHARED for method in METHODS},
    "lm": set(),
    "preference": {"lm", "datasets", "stats"},
    "datasets": set(),
    "stats": set(),
    "display": set(),
    "runs": {"datasets"},
    "claims": {"stats", "runs", "datasets"},
    "site": {"runs", "claims", "datasets", "display", "stats"},
    "cli": {
        "cli",
        "cli_data",
        "cli_claims",
        "cli_doctor",
        "cli_label",
        "cli_mine",
        "cli_site",
        "runs",
        "claims",
        "site",
        "datasets",
    },
    "cli_label": {"zeroshot", "lm"},  # a method for the user's own data, loaded when it is called
    "cli_mine": {"mining", "lm"},  # so is this
    "cli_site": {"site"},
}
MAX_LINES, MAX_CELL = 400, 25
UNSAFE = {"torch.load", "joblib.load", "pd.read_pickle", "pandas.read_pickle", "yaml.unsafe_load"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imported(path: Path) -> set[str]:
    """Dotted names of this package that a file imports, wherever in it."""
    own = [*path.relative_to(ROOT).with_suffix("").parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join([*own[: len(own) - node.level], *filter(None, [node.module])])
                if node.level
                else node.module
            )
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "msig_lib"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_rooms_import_only_what_the_plan_allows(path: Path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in ("__init__", *BASE):
        allowed = BASE
    else:
        kind = "cli" if room.startswith("cli") and room not in ALLOWED else room
        assert kind in ALLOWED, f"{name_of(path)}: {room} is no room of architecture.md; add its rule here"
        allowed = ALLOWED[kind] | BASE | {room}
    wrong = sorted(name for name in imported(path) if room_of(name) not in allowed | {"__version__"})
    assert not wrong, f"{name_of(path)} must not import {', '.join(wrong)}"


def test_claims_read_results_and_nothing_else_of_the_runner():
    for path in (PACKAGE / "claims").glob("*.py"):
        of_runs = {name for name in imported(path) if room_of(name) == "runs"}
        assert all(name.startswith("msig_lib.runs.results") for name in of_runs), (
            f"{name_of(path)}: {of_runs}"
        )


def test_what_every_notebook_imports_stays_light():
    """The runner's own code must not make notebooks run again (see msig_lib.runs.imports)."""
    assert (PACKAGE / "runs/__init__.py").read_text() == ""
    for name in ("results", "rows"):
        rooms = imported(PACKAGE / f"runs/{name}.py")
        assert all(re.match(r"msig_lib\.(errors|runs(\.rows)?)\b", one) for one in rooms), rooms


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_hold_one_concept(path: Path):
    count = len(path.read_text(encoding="utf-8").splitlines())
    assert count <= MAX_LINES, f"{name_of(path)} has {count} lines; over {MAX_LINES} is two files"


def dangers(source: str) -> list[str]:
    """What would run code from data: pickle in any form, torch.load, remote code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [
            n for n in names if n.split(".")[0] in ("pickle", "cloudpickle", "dill", "shelve", "marshal")
        ]
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            found += [called] if called in UNSAFE else []
            for keyword in node.keywords:
                literal = getattr(keyword.value, "value", True)
                if keyword.arg in ("allow_pickle", "trust_remote_code") and literal is not False:
                    found.append(f"{keyword.arg}={ast.unparse(keyword.value)}")
    return found


def code_of(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_search_for_dangers_finds_them():
    bad = (
        "import pickle\nfrom cloudpickle import loads\ntorch.load(p)\nnp.load(p, allow_pickle=True)\n"
        "AutoModel.from_pretrained(n, trust_remote_code=flag)\n"
        "import torch.nn\nnp.load(p, allow_pickle=False)\n"
    )
    named = {"pickle", "cloudpickle", "torch.load", "allow_pickle=True", "trust_remote_code=flag"}
    assert set(dangers(bad)) == named


def test_nothing_is_unpickled_and_no_remote_code_is_trusted():
    found = {
        name_of(path): dangers(path.read_text(encoding="utf-8"))
        for path in [*SOURCES, *ROOT.glob("tools/*.py")]
    }
    for path in NOTEBOOKS:
        found[name_of(path)] = [danger for code in code_of(path) for danger in dangers(_python(code))]
    assert {name: bad for name, bad in found.items() if bad} == {}


def _python(code: str) -> str:
    return "\n".join("pass" if line.lstrip()[:1] in ("%", "!") else line for line in code.splitlines())


def test_cells_of_notebooks_are_short_and_hold_no_outputs():
    for path in NOTEBOOKS:
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], 1):
            if cell["cell_type"] == "code":
                where = f"{name_of(path)}, cell {number}"
                lines = "".join(cell["source"]).splitlines()
                assert len(lines) <= MAX_CELL, f"{where} has {len(lines)} lines; {MAX_CELL} at most"
                assert not cell["outputs"] and cell["execution_count"] is None, f"{where}: run nbstripout"


def test_notebooks_import_methods_and_results_but_not_the_runner():
    for path in NOTEBOOKS:
        for code in code_of(path):
            for node in ast.walk(ast.parse(_python(code))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("msig_lib"):
                    names = {f"{node.module}.{alias.name}" for alias in node.names}
                    bad = {n for n in names if room_of(n) in ("claims", "site", "cli")}
                    shown = ("msig_lib.runs.results", "msig_lib.runs.recorded")
                    bad |= {n for n in names if room_of(n) == "runs" and not n.startswith(shown)}
                    assert not bad, f"{name_of(path)}: {bad}"
