"""A step is timed in a process of its own, failures say what they said, and the sentence reads the frame."""

import json
import subprocess

import pandas as pd
import pytest

from msig_lib.changepoint import growth


def test_a_step_takes_time_and_memory_and_leaves_the_seed_of_others_alone():
    found = growth.step(3, 14, repeats=1)
    assert set(found) == {"seconds", "megabytes"} and found["seconds"] > 0 and found["megabytes"] >= 0.1


@pytest.mark.parametrize("given", [(1, 14), (3, 1)])
def test_sizes_without_a_pair_or_a_step_are_refused(given):
    with pytest.raises(ValueError, match=r"expected 2, 2 and 1 at least"):
        growth.step(*given)
    with pytest.raises(ValueError, match="0 repeats"):
        growth.step(3, 14, repeats=0)


def test_one_size_varies_while_the_other_is_the_smallest(monkeypatch):
    asked = []
    monkeypatch.setattr(
        growth, "_apart", lambda n, t: asked.append((n, t)) or {"seconds": n * n * t, "megabytes": float(n)}
    )
    found = growth.measure([10, 5, 20], [200, 100])
    assert asked == [(10, 100), (5, 100), (20, 100), (5, 200)]  # what both lists share is measured once
    assert found["varied"].tolist() == ["variables"] * 3 + ["frames"] * 2
    assert found["size"].tolist() == [10, 5, 20, 200, 100]
    assert found["seconds"].tolist() == [n * n * t for n, t in [*asked, (5, 100)]]
    said = growth.told(found)  # the smallest and the largest, in whatever order they were measured
    assert "4 times the variables take **16 times** the time, with 20 MB above the start against 5" in said
    assert "2 times the frames take **2 times** the time, with 5 MB above the start against 5." in said
    for sizes in (([], [100]), ([5], [])):
        with pytest.raises(ValueError, match="expected sizes of both"):
            growth.measure(*sizes)


def test_the_sentence_changes_with_the_numbers():
    frame = pd.DataFrame(
        {"varied": ["frames"] * 2, "size": [10, 30], "seconds": [1.0, 7.0], "megabytes": [2.0, 9.0]}
    )
    assert growth.told(frame) == (
        "3 times the frames take **7 times** the time, with 9 MB above the start against 2."
    )


def test_each_size_has_a_process_of_its_own():
    found = growth._apart(2, 8)  # what `measure` asks for each
    assert set(found) == {"seconds", "megabytes"} and 0 < found["seconds"] < 60 and found["megabytes"] > 0


@pytest.mark.parametrize(
    "stderr, said", [("Traceback\n  x\nValueError: no\n", "ValueError: no"), ("", "memory")]
)
def test_a_process_that_fails_tells_why(monkeypatch, stderr, said):
    done = subprocess.CompletedProcess([], -9, json.dumps({"seconds": 1}), stderr)
    monkeypatch.setattr(growth.subprocess, "run", lambda *args, **options: done)
    with pytest.raises(RuntimeError, match=rf"4 variables, 30 frames: the process ended with -9.*{said}"):
        growth.measure([4], [30])
