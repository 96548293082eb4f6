"""An output that grows part by part: stopped anywhere, it goes on to the same bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from msig_lib.mining.journal import Journal, JournalError

SETTINGS = {"input": "abc", "seed": 0, "ways": [1, 2]}
PARTS = [b"one\ntwo\n", b"", b"three\n", "vier \u00fc\n".encode()]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def out(tmp_path):
    (tmp_path / "room").mkdir()
    return tmp_path / "room" / "pairs.jsonl"


def write(out, stop=None, settings=SETTINGS):
    """Write what is missing of the parts, up to `stop`; returns the numbers of those that were written."""
    with Journal(out, settings) as journal:
        if journal.finished:
            return []
        numbers = list(range(journal.done, len(PARTS) if stop is None else stop))
        assert journal.state == ({"last": journal.done - 1} if journal.done else {})
        for i in numbers:
            journal.append(PARTS[i], i + 1, {"last": i})
        if stop is None:
            journal.finish({"told": "all"})
    return numbers


def names(out):
    return sorted(path.name for path in out.parent.iterdir())


def test_parts_and_facts(out):
    assert write(out, stop=2) == [0, 1] and names(out) == ["pairs.jsonl", "pairs.jsonl.journal"]
    assert out.read_bytes() == PARTS[0]
    assert write(out) == [2, 3] and names(out) == ["pairs.jsonl", "pairs.provenance.json"]
    assert out.read_bytes() == b"".join(PARTS)
    facts = json.loads((out.parent / "pairs.provenance.json").read_text())
    assert facts["settings"] == SETTINGS and facts["told"] == "all"
    assert facts["output"]["bytes"] == len(b"".join(PARTS))
    with Journal(out, SETTINGS) as journal:
        assert journal.finished == facts
        with pytest.raises(JournalError, match="complete"):
            journal.append(b"more", 9, {})
    assert out.read_bytes() == b"".join(PARTS)


class Killed(BaseException):
    pass


def killed_at(out, at, half):
    """Write, but end at step `at` of what reaches the disk, before it or half through; returns whether it came."""
    steps = 0
    replace, fsync, unlink = os.replace, os.fsync, Path.unlink

    def step(file=None):
        nonlocal steps
        steps += 1
        if steps == at and half and file is not None:
            os.ftruncate(file, max(0, os.fstat(file).st_size - 3))
        if steps == at and half == (file is not None):
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", lambda *paths: step() or replace(*paths))
        patch.setattr(os, "fsync", lambda file: step(file) or fsync(file))
        patch.setattr(Path, "unlink", lambda path: step() or unlink(path))
        try:
            write(out)
        except Killed:
            pass
    return steps >= at


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("again", [1, 3, 4])
def test_stopped_at_every_step(tmp_path, half, again):
    """Wherever a process ends, and the next one too, the file is whole in the end, with each part once."""
    at = 1
    (tmp_path / "1").mkdir()
    while killed_at(out := tmp_path / f"{at}" / "pairs.jsonl", at, half):
        killed_at(out, again, half)
        write(out)
        assert out.read_bytes() == b"".join(PARTS), at
        assert names(out) == ["pairs.jsonl", "pairs.provenance.json"], at
        at += 1
        (tmp_path / f"{at}").mkdir()
    assert at > 12  # two steps a note, one a part, three in the end


def test_bytes_after_the_last_part_are_cut_off(out):
    write(out, stop=3)
    with out.open("ab") as file:
        file.write(b'{"half a li')
    assert write(out) == [3] and out.read_bytes() == b"".join(PARTS)


@pytest.mark.parametrize("content", [b"one\n", b"ONE\ntwo\nthree\n", b""])
def test_changed_output_is_not_gone_on_with(out, content):
    write(out, stop=3)
    out.write_bytes(content)
    with pytest.raises(JournalError, match="was changed"):
        write(out)
    assert out.read_bytes() == content


def test_moved_output(out):
    write(out, stop=3)
    out.rename(out.with_name("elsewhere"))
    with pytest.raises(JournalError, match="changed or moved"):
        write(out)
    out.with_name("elsewhere").rename(out)
    write(out)
    out.unlink()
    with pytest.raises(JournalError, match=r"provenance.json is there, but .*pairs.jsonl is not"):
        write(out)


@pytest.mark.parametrize("stop", [2, None])
def test_other_settings_are_refused_by_name(out, stop):
    write(out, stop=stop)
    before = out.read_bytes()
    with pytest.raises(
        JournalError, match=r"seed was 0 and is 1; new was null and is \"x\". Run it with the same"
    ):
        write(out, settings=SETTINGS | {"seed": 1, "new": "x"})
    assert out.read_bytes() == before


def test_foreign_files_are_not_touched(out):
    out.write_bytes(b"mine")
    with pytest.raises(JournalError, match="exists and is not overwritten"):
        write(out)
    out.with_name("pairs.jsonl.journal").write_text("{")
    with pytest.raises(JournalError, match="no record of this command"):
        write(out)
    out.with_name("pairs.jsonl.journal").write_text('{"format": "other"}')
    with pytest.raises(JournalError, match="its format is 'other'"):
        write(out)
    assert out.read_bytes() == b"mine"


def test_complete_but_changed(out):
    write(out)
    out.write_bytes(b"edited")
    with pytest.raises(JournalError, match="changed since"):
        write(out)


def test_folder_that_is_not_there(tmp_path):
    with pytest.raises(JournalError, match=r"folder .*nowhere"):
        Journal(tmp_path / "nowhere" / "o.jsonl", {})


CHILD = """
import sys
from msig_lib.mining.journal import Journal
with Journal(sys.argv[1], {}) as journal:
    journal.append(b"one\\ntwo\\n", 1, {"last": 0})
    print("open", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time(out):
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "open\n"
        with pytest.raises(JournalError, match="another process"):
            write(out, settings={})
    finally:
        child.kill()
        child.wait()
    assert write(out, settings={}) == [1, 2, 3]  # a killed process holds nothing
    assert out.read_bytes() == b"".join(PARTS)
