"""Runs with real kernels on tiny notebooks: cached, whole or absent, and failures that can be read."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from tiny_checkout import Tiny

from msig_lib.project import project
from msig_lib.runs import execute, key, provenance, recheck, results, store
from msig_lib.runs.progress import Progress


def run(*chapters: str, force: bool = False, **given) -> tuple[list[execute.Outcome], str]:
    jobs = key.plan(project(), list(chapters), "quick", given)
    out = io.StringIO()
    with Progress(len(jobs), Console(file=out, width=400)) as progress:
        outcomes = execute.run_all(project(), jobs, threads=1, force=force, progress=progress)
    return outcomes, out.getvalue()


def test_a_run_is_recorded_and_not_repeated(inside: Tiny):
    (first,), told = run("ch01")
    assert first.error is None and not first.cached and "[1/1] ch01_first done in" in told
    names = {path.name for path in first.run_dir.iterdir()}
    assert names == {
        "ch01_first.ipynb", "results.jsonl", "items", "data.jsonl", "log.txt", "provenance.json", "run.json"
    }  # fmt: skip
    read = results.read(first.run_dir)
    assert read.matrix("score", method="a")[1].tolist() == [[2.0, 0.0]] and read.checks() == {"adds-up": True}

    (again,), told = run("ch01")
    assert again.cached and again.run_dir == first.run_dir and "cached" in told

    text = (first.run_dir / "provenance.json").read_text()
    facts = json.loads(text)
    assert facts["parameters"]["seeds"] == facts["seeds"] == [0] and facts["parameters"]["tier"] == "quick"
    assert facts["key"] == first.job.key and facts["commit"] is None and facts["threads"] == 1
    assert facts["data"] == {"toy": store.sha256(inside.root / "data/toy")}
    assert facts["peak_memory_mib"] > 10 and facts["seconds"] > 0 and len(facts["cells"]) == 5
    assert 0.1 < facts["cpu_seconds"] < 60
    # Nothing that is published tells whose machine it was.
    for name in ("provenance.json", "ch01_first.ipynb", "run.json"):
        published = (first.run_dir / name).read_text()
        assert str(inside.root) not in published and str(Path.home()) + "/" not in published

    notebook = json.loads((first.run_dir / "ch01_first.ipynb").read_text())
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert notebook["cells"][-1]["outputs"][0]["data"]["text/plain"] == ["2"]

    # Damage is noticed on reuse, and the notebook runs again.
    (first.run_dir / "results.jsonl").write_text("")
    (third,), told = run("ch01")
    assert (
        not third.cached and "results.jsonl changed" in third.warnings[0] and "warning: damaged run" in told
    )


def test_cpu_time_counts_a_kernel_and_its_own_processes_and_not_waiting():
    burn = "import time\nwhile time.process_time() < .3: pass"
    outer = f"import subprocess, sys, time; time.sleep(.5); subprocess.run([sys.executable, '-c', {burn!r}])"
    with provenance.CpuTime() as cpu:
        subprocess.run([sys.executable, "-c", outer], check=True)
    assert 0.3 <= cpu.seconds < 0.75


def test_a_failing_cell_is_named_and_the_other_notebooks_go_on(inside: Tiny):
    path = inside.root / "notebooks/tiers/quick.yml"
    path.write_text(path.read_text().replace("seeds: [0]", "fail: true"))
    (bad, good), told = run()
    assert good.error is None and good.run_dir is not None and bad.run_dir is None
    assert "notebooks/ch01_first.ipynb, cell 5 of 6: time.sleep(sleep)" in bad.error
    assert "ValueError: asked to fail" in bad.error and "fail=True" in bad.error
    assert "[1/2] ch01_first FAILED" in told and "[2/2] ch02_second done" in told
    paths = [Path(line.split(": ", 1)[1]) for line in bad.error.splitlines()[-2:]]
    assert "ValueError: asked to fail" in paths[0].read_text()
    partial = json.loads(paths[1].read_text())
    assert any("Measuring" in "".join(cell["source"]) for cell in partial["cells"])
    assert inside.runs() == [] and list((inside.cache / "runs/.work").iterdir()) == []


def test_data_that_is_used_but_not_declared_is_an_error_with_the_remedy(inside: Tiny):
    (bad,), _ = run("ch01", extra_data="other")
    assert "does not declare: other" in bad.error and "`data: [other, toy]` for ch01_first" in bad.error
    assert inside.runs() == []


def test_the_kernel_is_this_interpreter_offline_and_dies_with_a_message(inside: Tiny, monkeypatch):
    # A user's start-up file must not reach the kernel.
    startup = inside.root / "home/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("print('from the start-up file')")
    monkeypatch.setenv("IPYTHONDIR", str(inside.root / "home"))
    wanted = [
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "PYTHONHASHSEED",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
    ]
    inside.write(
        "ch02_second",
        ("code", "size = 3\nname = 'x'", ["parameters"]),
        (
            "code",
            f"import os, sys\nprint(sys.executable, os.getcwd())\nprint([os.environ[n] for n in {wanted}])",
        ),
        ("code", "if size == 9:\n    os._exit(3)"),
    )
    (good,), _ = run("ch02")
    printed = (good.run_dir / "log.txt").read_text()
    assert f"{sys.executable} {inside.root}/notebooks\n" in printed and "['1', '1', '0', '1', '1']" in printed
    assert "start-up" not in printed + (good.run_dir / "ch02_second.ipynb").read_text()
    (bad,), _ = run("ch02", size=9)
    assert "cell 3 of 3: if size == 9:" in bad.error and "kernel died" in bad.error


def test_kill_at_any_moment_leaves_earlier_runs_usable_and_the_next_call_clean(tiny: Tiny):
    earlier = tiny.msig("run", "ch02")
    assert earlier.returncode == 0, earlier.stderr
    child = tiny.start("run", "ch01", "-p", "sleep=60")
    # The second cell has written its rows when the process is killed in the third.
    deadline = time.monotonic() + 60
    while not list(tiny.cache.glob("runs/.work/*/run/results.jsonl")):
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.1)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert tiny.runs() == [] and list((tiny.cache / "runs/.work").iterdir())
    after = tiny.msig("run", "ch02")
    assert after.returncode == 0 and "cached" in after.stdout
    assert list((tiny.cache / "runs/.work").iterdir()) == []


def test_two_processes_with_the_same_run_take_turns(tiny: Tiny):
    pair = [tiny.start("run", "ch01", "-p", "sleep=1") for _ in range(2)]
    told = [child.communicate(timeout=100)[0] for child in pair]
    assert [child.returncode for child in pair] == [0, 0], told
    assert sum("cached" in text for text in told) == 1 and sum("done in" in text for text in told) == 1
    assert len(tiny.runs()) == 1


def test_check_compares_two_executions(inside: Tiny):
    inside.write(
        "ch02_second",
        ("code", "size = 3\nname = 'x'", ["parameters"]),
        ("code", "import time\ntime.time()", ["nbval-ignore-output"]),
        ("code", "size"),
        ("code", "# never twice the same\nimport uuid\nprint(uuid.uuid4().hex)"),
    )
    jobs = key.plan(project(), [], "smoke")
    out = io.StringIO()
    with Progress(2, Console(file=out, width=400)) as progress:
        same, differs = recheck.check_all(project(), jobs, threads=1, progress=progress)
    assert same.error is None and "ch01_first same outputs twice" in out.getvalue()
    # Code cells of the executed notebook: parameters, injected parameters, time, size, uuid.
    assert "code cell 5: import uuid" in differs.error and "code cell 3" not in differs.error
    assert "mismatch 'stdout'" in differs.error


def test_stored_outputs_are_refused(inside: Tiny):
    path = inside.root / "notebooks/ch02_second.ipynb"
    document = json.loads(path.read_text())
    document["cells"][2]["execution_count"] = 4
    path.write_text(json.dumps(document))
    (told,) = recheck.sources(key.plan(project(), [], "smoke"))
    assert "ch02_second.ipynb" in told and "cell 3" in told and "nbstripout" in told


@pytest.mark.parametrize("limit", [0.01, 100])
def test_a_run_over_the_tier_s_limit_is_a_warning(inside: Tiny, limit: float, monkeypatch):
    with (inside.root / "notebooks/tiers/quick.yml").open("a") as handle:
        handle.write(f"tier: {{limit_s: {limit}}}\n")
    monkeypatch.setattr(execute, "_papermill", write_empty_notebook)
    (outcome,), _ = run("ch02")
    assert bool(outcome.warnings) == (limit < 1)


def write_empty_notebook(job, cells, target, log, progress) -> None:
    time.sleep(0.02)
    target.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    log.write_text("")
