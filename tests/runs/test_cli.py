"""The command line: clear errors without a traceback, reasons, and light imports."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tiny_checkout import Tiny

from msig_lib import cli, cli_doctor
from msig_lib.project import project
from msig_lib.runs import execute, key, record, results, store


@pytest.fixture
def msig(inside: Tiny, capsys, monkeypatch):
    """Call the command line in this process; returns (status, stdout, stderr)."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["msig", *words])
        with pytest.raises(SystemExit) as ended:
            cli.app()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def quick_runs(monkeypatch):
    """Runs without a kernel: a notebook with no cells, and one recorded row."""

    def execute_nothing(job, cells, target, log, progress) -> None:
        target.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
        log.write_text("")
        out = results.open(target.parent)
        out.add("score", [1.0, 0.0], seed=0, method="a")
        out.check("adds-up", True, total=1.0)

    monkeypatch.setattr(execute, "_papermill", execute_nothing)


def test_the_command_line_imports_nothing_heavy():
    heavy = {"numpy", "pandas", "papermill", "torch"}
    script = f"import sys, msig_lib.cli; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out == "[]\n"


def test_help_names_every_command(msig):
    status, out, _ = msig("--help")
    assert status == 0 and all(
        f"\n  {name} " in out for name in "run check book claims data runs doctor".split()
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "ch3"], "unknown chapter 'ch3'"),
        (["run", "--tier", "quik"], "did you mean 'quick'?); valid: smoke, quick"),
        (["run", "ch02", "-p", "siz=3"], "did you mean 'size'?"),
        (["run", "ch02", "-p", "size=big"], "size must be int like 3, was given 'big'"),
        (["run", "ch02", "--seeds", "5"], "unknown parameter 'seeds'"),
        (["run", "ch01", "--seeds", "5", "-p", "seeds=1"], "not both"),
        (["run", "ch01", "--record", "--seeds", "2"], "--record"),
        (["book", "--no-run"], "no run of ch01_first, ch02_second at tier quick"),
        (["data", "verify", "toi"], "unknown data set 'toi'"),
    ],
)
def test_a_mistake_is_told_in_a_line_and_nothing_runs(msig, inside, monkeypatch, words, says):
    from msig_lib import datasets

    monkeypatch.setattr(datasets, "names", lambda: ["toy"], raising=False)
    status, _, err = msig(*words)
    assert status == 1 and err.startswith("error: ") and says in err and "Traceback" not in err
    assert inside.runs() == []


def test_a_defect_of_ours_keeps_its_traceback(inside, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["msig", "runs", "list"])
    monkeypatch.setattr(store, "every", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.app()


def test_explain_tells_why_and_runs_nothing(msig, inside, quick_runs):
    assert msig("run", "--explain")[1].count("would run: no earlier run at this tier") == 2
    assert inside.runs() == []
    assert msig("run")[0] == 0
    assert msig("run", "--explain")[1].count(": cached: key") == 2
    (inside.root / "msig_lib/beta.py").write_text("BASE = 3.0\n")
    out = msig("run", "--explain")[1]
    assert "ch01_first (quick): would run: msig_lib/beta.py changed\n" in out and out.count("cached") == 1
    out = msig("run", "ch01", "--explain", "--seeds", "3")[1]
    assert "msig_lib/beta.py changed; parameter seeds: [0] -> [0, 1, 2]" in out


def test_a_run_with_changed_parameters_never_stands_for_the_tier(msig, inside, quick_runs):
    msig("run", "ch01")
    msig("run", "ch01", "-p", "scale=9")
    assert len(inside.runs()) == 2
    assert store.latest("ch01_first", "quick").marker["parts"]["parameters"]["scale"] == 9.0
    assert store.latest("ch01_first", "quick", own=True).marker["parts"]["parameters"]["scale"] == 1.0
    assert key.plan(project(), ["ch01"], "quick", {"scale": "1.0"})[0].own


def test_runs_are_listed_and_pruned(msig, inside, quick_runs):
    msig("run")
    msig("run", "ch01", "-p", "scale=2")
    status, out, _ = msig("runs", "list")
    assert status == 0 and out.count("ch01_first") == 2 and out.count("ch02_second") == 1
    assert "1 runs deleted" in msig("runs", "prune", "--keep", "1")[1]
    assert len(inside.runs()) == 1


def test_a_record_holds_values_and_origin_but_no_items(inside, msig, quick_runs):
    msig("run", "ch01")
    folder = store.latest("ch01_first", "quick").folder
    first, second = record.rows(folder)
    assert first == {"metric": "score", "value": 0.5, "seed": 0, "n_items": 2, "factors": {"method": "a"}}
    assert second["factors"] == {"name": "adds-up"} and second["detail"] == {"total": 1.0}
    origin = record.origin(folder)
    assert origin["key"] and "parts" not in origin and json.dumps(origin)


def test_failures_end_with_their_reasons_and_status_one(msig, inside, monkeypatch):
    monkeypatch.setattr(execute, "_papermill", lambda job, *rest: "cell 2 of 6: x\n  ValueError: no")
    status, out, err = msig("run")
    assert status == 1 and "2 of 2 notebooks failed: ch01_first, ch02_second" in err
    assert "ValueError: no" in err.splitlines()[-4] and "[2/2] ch02_second FAILED" in out


def test_doctor_compares_packages_with_the_lock(inside, monkeypatch):
    levels = {finding.what: finding for finding in cli_doctor.examine(project())}
    assert any("numpy" in what and "lock: 1.0" in what for what in levels)
    (inside.root / "requirements.lock").write_text("no-such-package-here==1.0\n")
    (missing,) = [f for f in cli_doctor.examine(project()) if "no-such-package-here" in f.what]
    assert missing.level == "fail" and "pip install -r requirements.lock" in missing.todo
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(inside.root / "absent"))
    assert any(f.level == "fail" and "MSIG_DATA_MIRROR" in f.what for f in cli_doctor.examine(project()))


def test_doctor_ends_with_status_one_on_a_failure(msig, inside, monkeypatch):
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(inside.root / "absent"))
    status, out, _ = msig("doctor")
    assert status == 1 and "fail  MSIG_DATA_MIRROR" in out and "-> correct or unset" in out


CLAIM = """
- id: ch01-a-scores
  chapter: ch01_first
  where: "1.1"
  statement: "The method scores above nothing."
  tier: quick
  anchor: measuring
  test: {metric: score, a: {method: a}, b: {value: -10.0}, direction: greater, smallest_effect: 0.01}
- id: ch01-adds-up
  chapter: ch01_first
  where: "1.2"
  statement: "It adds up."
  tier: quick
  anchor: measuring
  test: {check: adds-up}
"""


def test_claims_are_judged_from_the_runs_and_recorded(msig, inside, quick_runs):
    (inside.root / "book/claims/ch01.yml").write_text(CLAIM)
    status, out, err = msig("claims")
    assert status == 0 and out.count("not attempted") == 3 and "no run at tier quick yet" in err
    msig("run", "ch01", "--record")
    kept = json.loads((inside.root / "book/recorded/ch01_first.quick.json").read_text())
    assert set(kept["comparisons"]) == {"ch01-a-scores", "ch01-adds-up"} and len(kept["rows"]) == 2
    told = json.loads(msig("claims", "--json", "--chapter", "ch01")[1])
    assert {claim["id"]: claim["estimate"] for claim in told}["ch01-a-scores"] == 10.5
    status, out, err = msig("claims", "--record")
    assert (
        status == 0
        and "reproduced     ch01-a-scores" in out
        and "erratum        ch01-adds-up" in out
        and "recorded: " in err
    )
    assert msig("claims", "--check")[0] == 0
    assert "leave out --chapter" in msig("claims", "--record", "--chapter", "ch01")[2]
    ledger = inside.root / "book/recorded/verdicts.json"
    ledger.write_text(
        ledger.read_text().replace('"ch01-a-scores": "reproduced"', '"ch01-a-scores": "contradicted"')
    )
    status, _, err = msig("claims", "--check")
    assert status == 1 and "ch01-a-scores: recorded as contradicted, now reproduced" in err
