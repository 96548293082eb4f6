from dataclasses import replace

import numpy as np
import pytest

from msig_lib.chartqa import data
from msig_lib.chartqa.data import (
    SHIFTED,
    Charts,
    ChartSettings,
    Table,
    Tables,
    draw_tables,
    make_charts,
    make_world,
)
from msig_lib.chartqa.render import COLOURS, STYLES, RenderSettings


def test_tables_keep_the_rules_of_the_world():
    tables = draw_tables(3000, ChartSettings(), np.random.default_rng(0))
    assert np.bincount(tables.style, minlength=3).min() > 900
    for row in range(len(tables)):
        table = tables[row]
        assert 4 <= len(table.values) <= 6 and len(set(table.values)) == len(table.values)
        assert set(table.values) <= set(range(1, 10)) and len(set(table.names)) == len(table.names)
        if table.style == "grouped":
            half = len(table.values) // 2
            assert table.groups == ("left",) * half + ("right",) * half
            assert table.colours[:half] == table.colours[half:]
        else:
            assert set(table.groups) == {""} and len(set(table.colours)) == len(table.colours)
    bars = tables.count[tables.style == STYLES.index("bars")]
    assert np.bincount(bars)[4:].min() > 250  # 4, 5 and 6 bars equally often
    first = np.bincount(tables.colours[:, 0])
    assert len(first) == len(COLOURS) and first.min() > 300


def test_a_table_names_its_marks():
    table = Table("grouped", ("red", "blue", "red", "blue"), ("left", "left", "right", "right"), (4, 7, 1, 9))
    assert table.names == ("left red", "left blue", "right red", "right blue")
    assert table.value("right red") == 1
    with pytest.raises(KeyError, match="no mark is called 'red'; there are left red"):
        table.value("red")


def test_charts_depend_on_the_seed_and_subsets_keep_rows_together():
    charts = make_charts(50, seed=3)
    again = make_charts(50, seed=3)
    assert (charts.images == again.images).all() and charts.tables.keys() == again.tables.keys()
    assert make_charts(50, seed=4).tables.keys() != charts.tables.keys()
    part = charts.subset([7, 2])
    assert (
        len(part) == 2 and part.tables[0] == charts.tables[7] and (part.images[1] == charts.images[2]).all()
    )
    assert len(charts.subset(charts.tables.style == 0)) == (charts.tables.style == 0).sum()


def test_keys_are_equal_exactly_for_equal_tables():
    tables = draw_tables(4000, ChartSettings(marks=(2, 4)), np.random.default_rng(1))
    assert (tables.count == 2).any()
    rows = [tables[row] for row in range(len(tables))]
    keys = tables.keys()
    assert len(set(keys)) == len(set(rows)) < len(rows)
    wider = draw_tables(4000, ChartSettings(marks=(2, 6)), np.random.default_rng(2))
    shared = {wider[row] for row in range(len(wider))} & set(rows)
    assert len(set(wider.keys()) & set(keys)) == len(shared) > 0  # the width of the arrays does not matter


def test_no_chart_is_in_two_parts_and_replaced_ones_are_counted(monkeypatch):
    few = ChartSettings(styles=("bars",), marks=(2, 2))  # 8 x 7 x 9 x 8 = 4,032 tables
    world = make_world({"train": 900, "dev": 300, "test": 300}, few, seed=0)
    sets = {part: set(charts.tables.keys()) for part, charts in world.parts.items()}
    assert {part: len(charts) for part, charts in world.parts.items()} == {
        "train": 900,
        "dev": 300,
        "test": 300,
    }
    assert not (sets["train"] & sets["dev"] or sets["train"] & sets["test"] or sets["dev"] & sets["test"])
    assert world.repeated["test"] == 0 < world.repeated["dev"] < world.repeated["train"]
    # About the share that chance gives: 900 draws, 300 + 300 tables of 4,032 taken.
    assert 0.5 < world.repeated["train"] / (900 * 600 / 4032) < 1.5
    monkeypatch.setattr(data, "_without", lambda taken, n, part, s, rng: (draw_tables(n, s, rng), 0))
    unchecked = make_world({"train": 900, "test": 300}, few, seed=0)
    assert set(unchecked["train"].tables.keys()) & set(unchecked["test"].tables.keys())


def test_parts_come_from_independent_streams():
    world = make_world({"train": 40, "dev": 40, "test": 40, "shifted": 40}, seed=5)
    assert list(world.parts) == ["train", "dev", "test", "shifted"]
    other = make_world({"test": 40, "train": 90}, seed=5)
    assert (other["test"].images == world["test"].images).all()
    assert (make_world({"test": 40}, seed=6)["test"].images != world["test"].images).any()
    firsts = {world[part].tables.keys()[0] for part in world.parts}
    assert len(firsts) == 4
    with pytest.raises(KeyError, match="no part 'valid'; there are train"):
        world["valid"]


def test_the_shifted_part_has_more_bars_and_more_noise():
    world = make_world({"test": 200, "shifted": 200}, seed=1)
    assert set(world["test"].tables.count) == {4, 5, 6} and set(world["shifted"].tables.count) == {7, 8}
    corner = {part: world[part].images[:, 8:28, -1].astype(float) for part in world.parts}
    assert corner["shifted"].std() > 1.5 * corner["test"].std()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"styles": ("pie",)}, "styles is .*expected different ones of bars, grouped, lines"),
        ({"styles": ()}, "styles is"),
        ({"styles": ("bars", "bars")}, "styles is"),
        ({"marks": (1, 4)}, r"marks is \(1, 4\), expected 2 <= fewest <= most <= 8"),
        ({"marks": (5, 4)}, "marks is"),
        ({"marks": (4, 9)}, "marks is"),
        ({"marks": (4.0, 5)}, "expected two whole numbers"),
        ({"marks": (5, 5)}, "grouped charts need an even number"),
    ],
)
def test_impossible_settings_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        ChartSettings(**wrong)


def test_mistakes_are_told():
    with pytest.raises(ValueError, match=r"unknown parts \['valid'\]"):
        make_world({"valid": 3}, seed=0)
    with pytest.raises(ValueError, match=r"only .* tables are not in another part, expected 4000"):
        make_world({"test": 3000, "train": 4000}, ChartSettings(styles=("bars",), marks=(2, 2)), seed=0)
    with pytest.raises(ValueError, match="-1 tables"):
        make_charts(-1, seed=0)
    tables = draw_tables(3, SHIFTED, np.random.default_rng(0))
    with pytest.raises(ValueError, match="expected uint8"):
        Charts(np.zeros((2, 32, 48, 3), dtype=np.uint8), tables)
    with pytest.raises(ValueError, match=r"expected \(S,\) and \(S, K\)"):
        Tables(tables.style[:2], tables.colours, tables.groups, tables.values)
    with pytest.raises(ValueError, match="groups"):
        Tables(tables.style, tables.colours, tables.groups[:, :2], tables.values)
    with pytest.raises(ValueError, match="a colour without a value"):
        Tables(tables.style, tables.colours, tables.groups, tables.values * 0)
    assert len(make_world({"test": 0}, seed=0)["test"]) == 0


def test_settings_can_be_changed_one_by_one():
    quiet = replace(SHIFTED, drawing=RenderSettings(noise=0))
    assert quiet.marks == (7, 8) and quiet.grouped_counts == (8,)
    assert ChartSettings(marks=(2, 7)).grouped_counts == (4, 6)
