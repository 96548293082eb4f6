"""Recorded numbers on a chapter's page."""

import pytest

from msig_lib.claims import Comparison
from msig_lib.site import slower

ROWS = [
    {"metric": "f1", "value": 0.2, "seed": 0, "n_items": 5, "factors": {"method": "a", "data": "x"}},
    {"metric": "f1", "value": 0.4, "seed": 1, "n_items": 5, "factors": {"method": "a", "data": "x"}},
    {"metric": "f1", "value": 0.7, "seed": None, "n_items": 5, "factors": {"method": "b", "data": "y"}},
    {"metric": "other", "value": 9.0, "seed": 0, "n_items": 5, "factors": {"method": "a", "data": "x"}},
]
TOLD = {"commit": {"id": "abcdef0123456789"}, "seconds": 90.0, "seeds": [0, 1], "threads": 2, "hardware": {}}
F1 = Comparison(metric="f1", a={"method": "a"}, b={"method": "b"}, direction="greater", smallest_effect=0.0)


def test_a_row_is_shown_when_a_claim_compares_it():
    assert [slower.compared(row, [F1]) for row in ROWS] == [True, True, True, False]
    on_x = Comparison(
        metric="f1", data="x", a={"method": "a"}, b={"value": 0.1}, direction="greater", smallest_effect=0.0
    )
    assert [slower.compared(row, [on_x]) for row in ROWS] == [True, True, False, False]
    other = Comparison(
        metric="f1", a={"metric": "other"}, b={"value": 1.0}, direction="greater", smallest_effect=0.0
    )
    assert [slower.compared(row, [other]) for row in ROWS] == [False, False, False, True]
    assert not any(slower.compared(row, []) for row in ROWS)


def test_means_are_over_seeds_for_each_data_set():
    x, y = slower.means(ROWS[:3], {})
    assert (x.data, y.data, x.shared) == ("x", "y", "")  # one method alone: its factors are its name
    assert x.means == pytest.approx({"a": 0.3}) and y.means == {"b": 0.7} and x.metric == "f1"


def test_rows_say_what_differs_and_headings_what_does_not():
    factors = [
        {"method": method, "analysis": on, "n": 2400}
        for method in ("dpo", "other_one")
        for on in (True, False)
    ]
    rows = [
        {"metric": "tail_f1@5", "value": k / 10, "seed": 0, "factors": of} for k, of in enumerate(factors)
    ]
    rows.append({"metric": "tail_f1@5", "value": 9.0, "seed": 0, "factors": {"size": 0.5}})
    rows.append({"metric": "p@1", "value": 0.25, "seed": 0, "factors": factors[0]})
    names = {"values": {"dpo": "DPO"}, "metrics": {"tail_f1@5": "tail F1@5"}}
    first, second, third = slower.means(rows, names)
    assert (first.metric, first.shared, first.data) == ("tail F1@5", "n 2,400", "")
    assert first.means == pytest.approx({
        "DPO, with analysis": 0.0, "DPO, without analysis": 0.1,
        "other one, with analysis": 0.2, "other one, without analysis": 0.3,
    })  # fmt: skip
    assert second.means == {"size 0.5": 9.0} and third.means == {"DPO, with analysis, n 2,400": 0.25}


def test_a_chapter_without_records_has_no_section():
    assert slower.section({}, [F1]) == ""
    assert slower.section({"full": {"rows": ROWS, "provenance": TOLD}}, []) == ""


def test_the_section_says_that_it_was_not_measured_here():
    told = TOLD | {"started": "2026-11-21T05:45:16.610+00:00"}
    text = slower.section({"full": {"rows": ROWS, "provenance": told}}, [F1])
    assert "2026-11-21 05:45, commit" in text and "tier full, x" in text
    assert "Recorded, not measured in this build" in text and "abcdef012345" in text and "0.300" in text
