"""The cache of runs: whole or absent, verified, pruned; all without a kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from msig_lib.runs import store

KEY = "ab" * 32


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path))
    return tmp_path / "runs"


def publish(key: str = KEY, text: str = "x", chapter: str = "ch01") -> store.Stored:
    with store.work_folder() as work:
        out = work / "run"
        (out / "items").mkdir(parents=True)
        (out / "a.txt").write_text(text)
        (out / "items/b.bin").write_bytes(b"\0\1")
        return store.publish(out, chapter, "quick", key, {"seconds": 1.0, "parts": {}})


def test_a_published_run_is_found_by_its_key_and_no_work_is_left(cache):
    run = publish()
    found, told = store.find("ch01", "quick", KEY)
    assert found and found.folder == run.folder == cache / "ch01/quick" / KEY[:24] and told == []
    assert set(found.marker["files"]) == {"a.txt", "items/b.bin"}
    assert list((cache / ".work").iterdir()) == []
    assert store.find("ch01", "quick", "cd" * 32) == (None, [])
    assert store.find("ch01", "full", KEY) == (None, [])


def test_a_key_that_shares_only_the_folder_s_name_is_another_run():
    publish()
    assert store.find("ch01", "quick", KEY[:24] + "0" * 40) == (None, [])
    assert store.find("ch01", "quick", KEY)[0] is not None


@pytest.mark.parametrize("harm", ["changed", "missing", "extra", "marker", "no marker"])
def test_a_damaged_run_is_set_aside_and_not_used(cache, harm):
    folder = publish().folder
    if harm == "changed":
        (folder / "items/b.bin").write_bytes(b"\0\2")
    elif harm == "missing":
        (folder / "a.txt").unlink()
    elif harm == "extra":
        (folder / "c.txt").write_text("")
    elif harm == "marker":
        (folder / "run.json").write_text("{")
    else:
        (folder / "run.json").unlink()
    found, told = store.find("ch01", "quick", KEY)
    assert found is None and "set aside" in told[0]
    assert not folder.exists() and len(list((cache / ".damaged").iterdir())) == 1
    assert publish().folder == folder and store.find("ch01", "quick", KEY)[0]


def test_a_second_run_of_the_same_key_replaces_the_first(cache):
    first, second = publish(text="1"), publish(text="2")
    found, _ = store.find("ch01", "quick", KEY)
    assert found and (found.folder / "a.txt").read_text() == "2" and found.folder == second.folder
    assert not first.folder.exists() and len(store.stored("ch01", "quick")) == 1


def test_many_publishers_of_one_key_leave_one_whole_run():
    def several() -> None:
        for _ in range(10):
            publish()

    threads = [threading.Thread(target=several) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found, told = store.find("ch01", "quick", KEY)
    assert found and told == []


def test_a_publisher_does_not_remove_a_new_run_that_has_the_name_of_an_old_one(monkeypatch):
    publish()
    rename, others = store._rename_free, [threading.Thread(target=publish) for _ in range(2)]

    def rename_and_wait(*args):
        final = rename(*args)
        monkeypatch.setattr(store, "_rename_free", rename)
        for other in others:  # the first takes the second name's place, the second the first name
            other.start()
            other.join(0.5)
        return final

    monkeypatch.setattr(store, "_rename_free", rename_and_wait)
    publish()
    for other in others:
        other.join()
    found, told = store.find("ch01", "quick", KEY)
    assert found and told == []


def test_the_latest_run_comes_first_and_prune_keeps_as_many_as_asked(cache):
    for number in range(4):
        publish(key=f"{number:02d}" * 32)
        publish(key=f"{number:02d}" * 32, chapter="ch02")
    (cache / "ch01/failed/20200101T000000-abc").mkdir(parents=True)
    assert store.latest("ch01", "quick").key == "03" * 32
    count, size = store.prune(keep=1)
    assert count == 6 and size > 0
    assert [run.key for run in store.every()] == ["03" * 32] * 2
    assert list((cache / "ch01/failed").iterdir()) == []


def test_work_of_a_killed_process_is_cleaned_and_that_of_a_living_one_is_not(cache):
    script = (
        "from msig_lib.runs import store; import time\n"
        "with store.work_folder() as work:\n"
        "    (work / 'half').write_text('x'); print('ready', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    with store.work_folder() as own:
        assert store.clean() == 0 and len(list((cache / ".work").iterdir())) == 2
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert store.clean() == 1
        assert list((cache / ".work").iterdir()) == [own]
    # The number of a dead process may be in use again: the start time tells them apart.
    (cache / f".work/{os.getpid()}-1000-abcdef").mkdir()
    assert store.clean() == 1
