"""Intervals are those of `mean_interval`, rows of this run win over recorded ones, and tables say which is which."""

import doctest

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.changepoint.tables import intervals
from msig_lib.runs import results
from msig_lib.runs.results import Results
from msig_lib.runs.rows import Row
from msig_lib.stats import mean_interval, paired_interval
from msig_lib.stats import measured as tables
from msig_lib.stats.measured import NOW, RECORDED, cells, differences


def some(seeds=(0, 1, 2), n_items=5, methods=("a", "b"), kinds=("x", "y"), start=0):
    log, rng = results.Log(), np.random.default_rng(start)
    for method in methods:
        for kind in kinds:
            for seed in seeds:
                log.add("auc", rng.random(n_items), seed=seed, method=method, kind=kind, noise=0.0)
    return log


def as_recorded(log):
    """The same rows as a record keeps them: means by seed, no items."""
    return Results([Row(r.metric, r.value, r.seed, r.factors) for r in log.rows], "a record")


def test_the_docstring_runs():
    assert doctest.testmod(tables).failed == 0 and doctest.testmod(tables).attempted > 0


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 1000))
def test_each_row_is_the_mean_interval_of_its_matrix(n_seeds, n_items, start):
    log = some(tuple(range(n_seeds)), n_items, start=start)
    found = intervals(log, "auc")
    assert [(r.method, r.kind) for r in found.itertuples()] == [(m, k) for m in "ab" for k in "xy"]
    for row in found.to_dict("records"):
        items = np.stack([r.items for r in log.rows if r.factors["method"] == row["method"]
                          and r.factors["kind"] == row["kind"]])  # fmt: skip
        assert items.shape == (n_seeds, n_items)
        assert row["seeds"] == n_seeds and row["origin"] == NOW and row["noise"] == 0.0
        assert row["value"] == pytest.approx(items.mean(), abs=1e-12)
        if items.size == 1:  # one number has no spread
            assert np.isnan(row["lo"]) and np.isnan(row["hi"])
            continue
        expected = mean_interval(items, rng=np.random.default_rng(0))
        bounds = (max(expected.lo, 0.0), min(expected.hi, 1.0))  # of a share
        assert (row["value"], row["lo"], row["hi"]) == (expected.estimate, *bounds)
        assert row["lo"] <= row["value"] <= row["hi"]


def test_what_is_wanted_is_kept_by_value_by_list_and_by_absence():
    log = some()
    log.add("auc", [0.1, 0.2], method="c", kind="x", noise=0.05, score="own")
    log.add("auc", [0.1, 0.3], method="c", kind="x", noise=0, score="other")
    log.add("tri", [0.5, 0.6], method="c", kind="x", noise=0.0)

    def methods(**wanted):
        return intervals(log, "auc", **wanted)["method"].tolist()

    assert methods(kind="y") == ["a", "b"]
    assert methods(noise=[0.05, 0.1]) == ["c"] and methods(noise=0.05) == ["c"]
    assert methods(noise=0.0, kind="x") == ["a", "b", "c"]  # 0 and 0.0 are one value
    assert methods(score=None) == ["a", "a", "b", "b"]  # rows that lack the factor
    assert methods(score=["own", None], kind="x") == ["a", "b", "c"]
    assert methods(world=None) == methods() and len(intervals(log, "auc", world="far")) == 0
    assert intervals(log, "tri")["value"].tolist() == [0.55]
    nothing = intervals(log, "distance")
    assert len(nothing) == 0 and list(nothing) == ["value", "lo", "hi", "seeds", "origin"]
    assert len(intervals(results.Log(), "auc")) == 0


def test_a_factor_that_no_row_has_is_no_column_and_bools_are_factors_like_others():
    log = results.Log()
    log.add("auc", [0.1, 0.2], seed=0, hard=True)
    log.add("auc", [0.3, 0.4], seed=0, hard=False)
    log.add("other", 1.0, seed=0, size=2)
    found = intervals(log, "auc")
    assert "size" not in found and found["value"].tolist() == pytest.approx([0.15, 0.35])
    assert intervals(log, "auc", hard=False)["value"].tolist() == pytest.approx([0.35])
    log.add("auc", [0.5, 0.6], seed=0, size=2)
    assert intervals(log, "auc", hard=None)["value"].tolist() == pytest.approx([0.55])
    assert intervals(log, "auc", size=None)["value"].tolist() == pytest.approx([0.15, 0.35])
    assert len(intervals(log, "auc", size=[2, None])) == 3
    bare = results.Log()
    for seed in (0, 1, 2):
        bare.add("auc", 0.5 + seed, seed=seed)
    assert intervals(bare, "auc")["value"].tolist() == [1.5]


def test_rows_of_this_run_win_over_recorded_ones_which_are_marked_and_over_seeds_alone():
    now = some((0, 1, 2), methods=("a",), start=1)
    old = some((0, 1, 2, 3, 4), methods=("a", "b"), start=2)
    recorded = as_recorded(old)
    found = intervals(now, "auc", recorded)
    assert len(found) == 4
    live, kept = found[found.method == "a"], found[found.method == "b"]
    assert set(live["origin"]) == {NOW} and set(kept["origin"]) == {RECORDED}
    pd.testing.assert_frame_equal(
        live.reset_index(drop=True), intervals(now, "auc"), check_dtype=False, check_like=True
    )
    for row in kept.to_dict("records"):
        values = [
            r.value for r in old.rows if r.factors["method"] == "b" and r.factors["kind"] == row["kind"]
        ]
        expected = mean_interval(np.array(values)[:, None], rng=np.random.default_rng(0))
        bounds = (max(expected.lo, 0.0), min(expected.hi, 1.0))  # of a share
        assert (row["value"], row["lo"], row["hi"]) == (expected.estimate, *bounds)
        assert row["seeds"] == 5
    # The order of the two does not depend on which one has more.
    assert intervals(recorded, "auc", now)["origin"].tolist() == [NOW] * 4


def test_live_rows_win_although_the_record_has_factors_and_number_types_that_they_lack():
    now, old = results.Log(), results.Log()
    now.add("auc", [0.1, 0.2], seed=0, method="a", noise=0)
    old.add("auc", 0.9, seed=0, method="a", noise=0.0)
    old.add("auc", 0.8, seed=0, method="a", noise=0.0, data="walk")
    old.add("auc", 0.7, seed=0, method="b", noise=0.05, score="own")
    found = intervals(now, "auc", old)
    assert found["value"].tolist() == pytest.approx([0.15, 0.8, 0.7])
    assert found["origin"].tolist() == [NOW, RECORDED, RECORDED]
    assert intervals(now, "auc", old, data="walk")["value"].tolist() == [0.8]
    assert intervals(results.Log(), "auc", old)["origin"].tolist() == [RECORDED] * 3


def test_seeds_with_different_numbers_of_items_are_an_error_that_says_so():
    log = results.Log()
    log.add("auc", [0.1, 0.2], seed=0, method="a")
    log.add("auc", [0.1, 0.2, 0.3], seed=1, method="a")
    with pytest.raises(ValueError, match="different number of items"):
        intervals(log, "auc")


FRAME = pd.DataFrame(
    {
        "method": ["b", "b", "a", "a"],
        "kind": ["y", "x", "y", "x"],
        "value": [0.5, 0.25, 1.0, 0.125],
        "lo": [0.4, np.nan, 0.9, 0.0],
        "hi": [0.6, np.nan, 1.1, 0.25],
        "origin": [NOW, RECORDED, RECORDED, NOW],
    }
)


def test_cells_are_texts_in_the_order_of_the_frame_and_recorded_ones_have_a_dagger():
    wide = cells(FRAME, "method", ["kind"], digits=2)
    assert wide.index.tolist() == ["b", "a"] and wide.columns.tolist() == ["y", "x"]
    assert wide.loc["b", "y"] == "0.50 [0.40, 0.60]" and wide.loc["b", "x"] == "0.25†"
    assert wide.loc["a", "y"] == "1.00 [0.90, 1.10]†" and wide.loc["a", "x"] == "0.12 [0.00, 0.25]"
    pd.testing.assert_frame_equal(wide, cells(FRAME, "method", "kind", digits=2))
    assert cells(FRAME.iloc[:3], "method", ["kind"]).loc["a", "x"] == ""  # nothing was measured


def test_several_columns_make_two_levels_also_where_a_factor_is_missing():
    frame = FRAME.assign(score=["one", None, "one", None])
    wide = cells(frame, "method", ["kind", "score"])
    assert wide.shape == (2, 2) and wide["y"]["one"].tolist()[0].startswith("0.500")
    both = pd.concat([FRAME.assign(metric="AUC"), FRAME.assign(metric="TRI")])
    assert cells(both, "method", ["metric", "kind"])["TRI"].loc["b", "x"] == "0.250†"


def test_cells_say_what_is_wrong_with_a_frame():
    with pytest.raises(ValueError, match="no when, only method"):
        cells(FRAME, "method", ["when"])
    with pytest.raises(ValueError, match="no kind"):
        cells(intervals(results.Log(), "auc"), "value", ["kind"])
    with pytest.raises(ValueError, match=r"several rows fall into the cell kind y.*add the factor"):
        cells(FRAME, "kind", [])
    with pytest.raises(ValueError, match="method b, kind y"):
        cells(pd.concat([FRAME, FRAME]), "method", ["kind"])


def test_differences_pair_seeds_and_items_and_fall_back_to_the_record():
    log = some(methods=("a", "b"), kinds=("x",))
    of = {name: log.matrix("auc", method=name, kind="x")[1] for name in "ab"}
    found = differences(log, "auc", {"a - b": ({"method": "a"}, {"method": "b"})})
    expected = paired_interval(of["a"], of["b"], rng=np.random.default_rng(0))
    row = found.loc["a - b"]
    assert (row["value"], row["lo"], row["hi"]) == (expected.estimate, expected.lo, expected.hi)
    assert row["seeds"] == 3 and row["origin"] == NOW
    ask = {"there": ({"method": "a"}, {"method": "b"}), "nowhere": ({"method": "a"}, {"method": "c"})}
    both = differences(results.Log(), "auc", ask, as_recorded(log))
    assert list(both.index) == ["there"] and both.loc["there", "origin"] == RECORDED
    assert both.loc["there", "value"] == pytest.approx(expected.estimate)
    assert len(differences(results.Log(), "auc", ask)) == 0
    log.add("auc", np.zeros(5), seed=7, method="c", kind="x", noise=0.0)
    log.add("auc", np.zeros(5), seed=8, method="c", kind="x", noise=0.0)
    log.add("auc", np.ones(5), seed=1, method="d", kind="x", noise=0.0)
    log.add("auc", np.ones(5), seed=9, method="d", kind="x", noise=0.0)
    some_seeds = differences(log, "auc", {"d - a": ({"method": "d"}, {"method": "a"})}).loc["d - a"]
    assert some_seeds["seeds"] == 1 and some_seeds["value"] == pytest.approx(1 - of["a"][1].mean())
    with pytest.raises(ValueError, match="nothing to pair"):
        differences(log, "auc", {"a - c": ({"method": "a"}, {"method": "c"})})
