"""Data that a notebook uses where it is at hand: part of the key then, told when it is not."""

from __future__ import annotations

import io
import json
import os

import pytest
from rich.console import Console
from tiny_checkout import Tiny

from msig_lib.errors import MsigError
from msig_lib.project import project
from msig_lib.runs import execute, kernel, key, store
from msig_lib.runs import notebook as nb
from msig_lib.runs.progress import Progress

STORY = "from msig_lib import datasets\nif datasets.available('extra')[0]:\n    print(datasets.load('extra'))"


@pytest.fixture
def optional(inside: Tiny, monkeypatch) -> Tiny:
    """The tiny checkout with a chapter that reads `extra` where it is there; it is not there yet."""

    def fingerprint(name: str) -> str:
        path = inside.root / "data" / name
        if not path.exists():
            raise key.NotHere(f"data set {name!r} cannot be used: no file for {name}")
        return store.sha256(path)

    monkeypatch.setattr(key, "fingerprint", fingerprint)
    inside.write("ch02_second", ("code", "size = 1", ["parameters"]), ("code", STORY))
    tier(inside, "{data: [toy], optional: [extra]}")
    return inside


def tier(tiny: Tiny, entry: str) -> None:
    (tiny.root / "notebooks/tiers/quick.yml").write_text(f"ch02_second: {entry}\n")


def run() -> tuple[execute.Outcome, str]:
    out = io.StringIO()
    jobs = key.plan(project(), [], "quick")
    with Progress(1, Console(file=out, width=400)) as progress:
        (outcome,) = execute.run_all(project(), jobs, threads=1, progress=progress)
    return outcome, out.getvalue()


def test_each_state_has_its_own_run_and_absence_is_told_once(optional: Tiny):
    without, told = run()
    assert without.error is None and not without.cached
    assert told.count("runs without the optional data set extra: ") == 1 and "no file for extra" in told
    facts = json.loads((without.run_dir / "provenance.json").read_text())
    assert facts["without"] == ["extra"] and list(facts["data"]) == ["toy"]

    extra = optional.root / "data/extra"
    extra.write_text("more of it")
    having, told = run()
    assert having.error is None and not having.cached and "without the optional" not in told
    assert "more of it" in (having.run_dir / "log.txt").read_text()
    facts = json.loads((having.run_dir / "provenance.json").read_text())
    assert facts["without"] == [] and sorted(facts["data"]) == ["extra", "toy"]
    assert key.differences(without.job.parts, having.job.parts) == ["data extra is used now"]

    extra.write_text("another")
    assert key.differences(having.job.parts, run()[0].job.parts) == ["data extra changed"]
    extra.unlink()
    again, told = run()
    assert again.cached and again.run_dir == without.run_dir and "without the optional" in told


def test_data_that_is_neither_needed_nor_optional_still_fails(optional: Tiny):
    (optional.root / "data/extra").write_text("more of it")
    tier(optional, "{data: [toy]}")
    outcome, _ = run()
    assert "used data that it does not declare: extra" in outcome.error


def test_data_that_comes_while_the_notebook_runs_is_an_error(optional: Tiny, tmp_path):
    job = key.plan(project(), [], "quick")[0]
    assert list(job.without) == ["extra"]
    (tmp_path / "data.jsonl").write_text('{"name": "extra", "fingerprint": "x"}\n')
    assert "run it again" in execute._undeclared(job, tmp_path / "data.jsonl")
    (tmp_path / "data.jsonl").write_text('{"name": "toy", "fingerprint": "x"}\n')
    assert execute._undeclared(job, tmp_path / "data.jsonl") is None


def test_needed_data_that_is_absent_is_a_problem(optional: Tiny):
    tier(optional, "{data: [extra]}")
    assert "no file for extra" in key.plan(project(), [], "quick")[0].problem


def test_a_set_in_both_lists_is_refused(optional: Tiny):
    tier(optional, "{data: [toy], optional: [toy]}")
    with pytest.raises(nb.NotebookError, match=r"quick\.yml.*toy: either `data`"):
        nb.read_tier(project(), "quick")


def test_a_misspelt_optional_set_is_a_problem_and_not_an_absence(optional: Tiny, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(MsigError, match=r"'ag_nws' cannot be used.*ag_news") as caught:
        key.fingerprint("ag_nws")
    assert not isinstance(caught.value, key.NotHere)


def test_what_could_be_downloaded_is_not_here(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path))
    monkeypatch.delenv("MSIG_DATA_MIRROR", raising=False)
    with pytest.raises(key.NotHere, match="msig data fetch ag_news"):
        key.fingerprint("ag_news")
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(tmp_path / "gone"))
    with pytest.raises(key.NotHere, match="no such folder"):
        key.fingerprint("ag_news")


def test_a_relative_mirror_means_the_caller_s_folder_in_the_kernel_too(optional: Tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MSIG_DATA_MIRROR", "here")
    assert kernel.environment(project(), tmp_path, 1)["MSIG_DATA_MIRROR"] == os.path.join(tmp_path, "here")
    monkeypatch.delenv("MSIG_DATA_MIRROR")
    assert "MSIG_DATA_MIRROR" not in kernel.environment(project(), tmp_path, 1)
