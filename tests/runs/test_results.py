"""The results table: what goes in comes out, and what makes no sense is refused with a reason."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msig_lib.runs import results

NUMBERS = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan)), min_size=1, max_size=20).filter(
    lambda values: not all(map(math.isnan, values))
)


@given(values=NUMBERS, seed=st.one_of(st.none(), st.integers(0, 9)), method=st.text(min_size=1, max_size=5))
def test_what_is_written_is_read_back_exactly(tmp_path_factory, values, seed, method):
    folder = tmp_path_factory.mktemp("run")
    written = results.open(folder).add("score", values, seed=seed, method=method, words=8)
    row = results.read(folder).rows[0]
    known = [value for value in values if not math.isnan(value)]
    assert row.value == written == pytest.approx(math.fsum(known) / len(known), rel=1e-12, abs=1e-9)
    assert (row.metric, row.seed, row.factors) == ("score", seed, {"method": method, "words": 8})
    np.testing.assert_array_equal(row.items, values)
    assert results.read(folder).matrix("score")[1].shape == (1, len(values))


def test_the_folder_comes_from_the_environment_and_without_it_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_RUN_DIR", str(tmp_path / "run"))
    results.open().add("score", 0.5)
    line = json.loads((tmp_path / "run/results.jsonl").read_text())
    assert line == {"metric": "score", "value": 0.5, "seed": None, "factors": {}, "items": None}
    monkeypatch.delenv("MSIG_RUN_DIR")
    log = results.open()
    log.add("score", 0.5)
    assert len(log) == 1 and log.folder is None


def test_the_frame_is_tidy():
    log = results.open()
    log.add("P@1", [1.0, 0.0, math.nan], seed=np.int64(0), method="svm", words=np.int32(8))
    log.add("P@1", 0.25, seed=1, method="names")
    log.check("sums-to-one", np.bool_(True), total=1.0)
    frame = log.frame()
    assert list(frame.columns) == ["metric", "value", "seed", "n_items", "method", "words", "name"]
    assert frame["value"].tolist() == [0.5, 0.25, 1.0]
    assert frame["n_items"].tolist() == [3, 1, 1]
    assert frame["words"].tolist()[0] == 8 and str(frame["words"].dtype) == "Int64"
    assert log.checks() == {"sums-to-one": True}
    assert results.open().frame().shape == (0, 4)


def test_a_check_holds_only_when_it_holds_for_every_seed():
    log = results.open()
    log.check("ordered", True, seed=0)
    log.check("ordered", False, seed=1)
    assert log.checks() == {"ordered": False}


def test_the_matrix_sorts_seeds_and_aligns_items_by_their_ids(tmp_path):
    log = results.open(tmp_path)
    log.add("f1", [3.0, 1.0, 2.0], seed=4, ids=["c", "a", "b"], method="x")
    log.add("f1", [10.0, 20.0, 30.0], seed=2, ids=["a", "b", "c"], method="x")
    seeds, values = results.read(tmp_path).matrix("f1", method="x")
    assert seeds == [2, 4]
    np.testing.assert_array_equal(values, [[10, 20, 30], [1, 2, 3]])
    assert results.read(tmp_path).ids("f1", method="x") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("P@2", {}), "metrics: P@1"),
        (("P@1", {"method": "tree"}), "method in {'svm', 'names'}"),
        (("P@1", {}), "matches 3 different things"),
        (("P@1", {"method": "names"}), "words in {0, 16}"),
    ],
)
def test_a_question_without_one_answer_lists_what_there_is(asked, says):
    log = results.open()
    log.add("P@1", 0.5, seed=0, method="svm")
    log.add("P@1", 0.5, seed=0, method="names", words=0)
    log.add("P@1", 0.5, seed=0, method="names", words=16)
    with pytest.raises(results.ResultsError) as caught:
        log.matrix(asked[0], **asked[1])
    assert says in str(caught.value)
    assert log.matrix("P@1", method="names", words=16)[0] == [0]
    assert log.matrix("P@1", words=None)[0] == [0]


@pytest.mark.parametrize(
    ("values", "options", "says"),
    [
        ([math.nan, math.nan], {}, "every value is NaN"),
        (math.nan, {}, "every value is NaN"),
        ([], {}, "no values"),
        ([[1.0, 2.0]], {}, "shape (1, 2)"),
        ([1.0, math.inf], {}, "infinity"),
        ("high", {}, "number"),
        ([1.0, 2.0], {"ids": ["a"]}, "2 values but 1 ids"),
        ([1.0, 2.0], {"ids": ["a", "a"]}, "repeat"),
        (1.0, {"ids": ["a"]}, "single number"),
        (1.0, {"seed": 0.5}, "seed must be an int"),
        (1.0, {"method": ["svm"]}, "factor method"),
        (1.0, {"value": 3}, "column already"),
    ],
)
def test_bad_values_are_refused_and_leave_no_row(tmp_path, values, options, says):
    log = results.open(tmp_path)
    with pytest.raises(results.ResultsError) as caught:
        log.add("score", values, **options)
    assert says in str(caught.value)
    assert len(results.read(tmp_path)) == len(log) == 0


def test_seeds_whose_items_do_not_pair_are_refused():
    log = results.open()
    log.add("a", [1.0, 2.0], seed=0)
    log.add("a", [1.0], seed=1)
    log.add("b", [1.0, 2.0], seed=0, ids=["x", "y"])
    log.add("b", [1.0, 2.0], seed=1, ids=["x", "z"])
    for metric, says in (("a", "different number"), ("b", "other items")):
        with pytest.raises(results.ResultsError, match=says):
            log.matrix(metric)


def test_a_row_recorded_twice_is_an_error_on_disk_and_replaces_in_memory(tmp_path):
    disk, memory = results.open(tmp_path), results.open()
    for log in (disk, memory):
        log.add("score", 1.0, seed=0, method="a")
    with pytest.raises(results.ResultsError, match="recorded already"):
        disk.add("score", 2.0, seed=0, method="a")
    memory.add("score", 2.0, seed=0, method="a")
    assert [row.value for row in memory.rows] == [2.0]


def test_a_torn_last_line_is_no_row_and_is_cut_before_the_next(tmp_path):
    results.open(tmp_path).add("score", [1.0, 2.0], seed=0)
    with (tmp_path / "results.jsonl").open("a") as handle:
        handle.write('{"metric": "sco')
    assert len(results.read(tmp_path)) == 1
    again = results.open(tmp_path)
    again.add("score", [3.0, 4.0], seed=1)
    assert results.read(tmp_path).matrix("score")[1].tolist() == [[1, 2], [3, 4]]


def test_a_missing_items_file_and_a_missing_run_are_told(tmp_path):
    results.open(tmp_path).add("score", [1.0, 2.0], seed=0)
    next((tmp_path / "items").glob("*.npy")).unlink()
    with pytest.raises(results.ResultsError, match="line 1 cannot be read"):
        results.read(tmp_path)
    with pytest.raises(results.ResultsError, match="no run directory"):
        results.read(tmp_path / "absent")
