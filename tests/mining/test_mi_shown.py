"""What chapter 5's tables and figures show is what the log holds."""

import numpy as np
import pandas as pd
import pytest
from mi_log import ARMS, PLAIN, add, chatbot, full_log

from msig_lib.mining import shown, shown_rows, study_checks, thesis
from msig_lib.mining.grades import possible_counts
from msig_lib.mining.study import TOPICS
from msig_lib.mining.words import DOMAIN
from msig_lib.runs.results import Log
from msig_lib.stats.measured import RECORDED

LOG = full_log()
TABLES = [name for name in dir(shown) if name.endswith("_table") and name != "thesis_table"] + [
    "table_5_1",
    "known_by_topic",
]
FRAMES = [name for name in dir(shown) if name.endswith("_frame")]


def cell(text):
    """Value and interval of a cell, in per cent."""
    value, *ends = text.rstrip("†").replace("[", "").replace("]", "").replace(",", "").split()
    return float(value), tuple(map(float, ends))


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_empty_without_measurements_and_marked_where_recorded(name):
    make = getattr(shown, name)
    assert len(make(Log())) == 0
    live, kept = make(LOG), make(Log(), LOG)
    assert len(live) and list(live.columns) == list(kept.columns) and live.index.equals(kept.index)
    assert all("†" not in text and "nan" not in text for text in live.to_numpy().ravel())
    assert all(text.endswith("†") for text in kept.to_numpy().ravel() if text)


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_empty_without_measurements_and_say_what_is_recorded(name):
    make = getattr(shown, name)
    empty = make(Log())
    live, kept = make(LOG), make(Log(), LOG)
    assert len(empty) == 0 and set(live) <= set(empty) and {"value", "lo", "hi", "origin"} <= set(live)
    assert len(live) == len(kept) > 0 and set(kept["origin"]) == {RECORDED}
    assert live["value"].tolist() == pytest.approx(kept["value"].tolist())
    assert live["value"].between(0, 1).all()


def test_table_5_1_has_the_scores_of_its_four_arms_in_order():
    table = shown.table_5_1(LOG)
    assert list(table.index) == list(ARMS) and list(table) == [*TOPICS, "all topics"]
    for arm in ARMS:
        for topic, named in [*zip(TOPICS, TOPICS), ("all", "all topics")]:
            value, (low, high) = cell(table.loc[arm, named])
            exact = LOG.matrix("score", arm=arm, topic=topic, **PLAIN)[1].mean()
            assert value == pytest.approx(100 * exact, abs=0.06) and low <= value <= high


def test_rows_that_leave_out_an_arm_s_usual_factors_are_of_this_arm():
    log = Log()
    add(log, "known", 0.25, arm="+ QA")
    add(log, "known", 0.75, arm="+ QA", source="oracle", error=0.2)
    assert cell(shown.known_table(log).loc["+ QA", "known"])[0] == 25.0
    assert shown_rows.factors_of(log, "known", **shown_rows.of_arm("+ QA"))["source"] is None
    assert shown_rows.factors_of(log, "known", **shown_rows.of_arm("+ QA", error=0.3)) is None


def test_what_this_run_measured_comes_before_what_is_recorded():
    log = Log()
    chatbot(log, 0.1, arm="+ QA")
    table = shown.known_table(log, LOG)
    assert "†" not in table.loc["+ QA", "known"] and cell(table.loc["+ QA", "known"])[0] == 10.0
    assert table.loc["+ passages", "known"].endswith("†")
    assert shown.judges_table(LOG, LOG).equals(shown.judges_table(LOG))


def test_miners_are_named_by_what_sets_them_apart():
    names = shown.quality_frame(LOG)["miner"].tolist()
    assert names == [
        "teacher", "rules", "miner, 2,400 instances", "miner, 600 instances", "miner without analysis, 2,400 instances",
    ]  # fmt: skip
    values = dict(zip(names, shown.quality_frame(LOG)["value"]))
    assert values["miner, 2,400 instances"] == 0.7 and values["miner, 600 instances"] == 0.45
    table = shown.quality_table(LOG)
    assert (
        "miner, 2,400 instances, teacher 20% wrong" in table.index
        and "teacher, 20% wrong, agreed" in table.index
    )
    assert table.loc["miner, 600 instances", "right pairs"] == "55.0"
    assert cell(table.loc["miner, 600 instances", "found"])[0] == 45.0


def test_errors_are_of_the_pairs_and_of_what_chatbots_know():
    frame = shown.errors_frame(LOG).set_index(["measure", "source", "error"])["value"]
    assert frame["wrong pairs", "teacher", 0.4] == pytest.approx(0.4)
    assert frame["wrong pairs", "miner", 0.2] == pytest.approx(0.4)  # 1 - (0.5 + 0.1)
    assert frame["wrong pairs", "miner", 0.0] == pytest.approx(0.2)  # of 2,400 instances, not of 600
    assert frame["known facts", "agreed", 0.2] == pytest.approx(0.4)
    assert frame["known facts", "miner", 0.0] == pytest.approx(ARMS["+ QA"])
    table = shown.errors_table(LOG)
    assert list(table.index) == ["0%", "20%", "40%"] and table.loc["0%", "wrong pairs, agreed"] == ""
    assert cell(table.loc["40%", "known facts, teacher"])[0] == 20.0


def test_known_facts_stand_beside_recited_ones_and_beside_wordings():
    frame = shown.known_frame(LOG).set_index(["arm", "measure"])["value"]
    assert frame["+ passages", "recited facts"] == 0.95 and frame["+ passages", "known facts"] == 0.02
    assert frame["passages in 8 wordings, no QA", "known facts"] == 0.2
    assert not any("2 wordings" in arm for arm, _ in frame.index)
    wordings = shown.rewordings_frame(LOG)
    alone = wordings[wordings["arm"] == "passages alone"]
    assert dict(zip(alone["wordings"], alone["value"])) == {1: 0.02, 2: 0.03, 8: 0.2}
    assert shown.known_table(LOG).loc["+ QA", "tokens"] == "400,000"


def test_tokens_are_shown_by_kind_of_text():
    table = shown.known_table(LOG)
    kinds = ["of conversations", "of passages", "of pairs", "of answers as text"]
    assert list(table) == ["recited", "known", "tokens", *kinds]
    assert table.loc["+ QA", kinds].tolist() == ["100,000", "200,000", "300,000", ""]
    assert table.loc["QA only", kinds].tolist() == ["100,000", "", "200,000", ""]
    texts = shown.texts_table(LOG)
    assert texts.index.tolist() == ["conversations", "passages", "pairs", "answers as text"]
    assert texts["tokens, read once"].tolist() == ["10,000", "5,000", "3,333", "2,500"]
    assert texts["times read, “+ augmented”"].tolist() == ["10", "40", "90", "160"]
    assert texts["times read, “+ passages”"].tolist() == ["10", "40", "", ""]
    assert shown.texts_table(Log()).empty and shown.texts_table(Log(), LOG).iloc[0, 0] == "10,000†"


def test_misses_are_shown_by_kind_of_sentence_without_errors():
    table = shown.missed_table(LOG)
    assert list(table) == ["what it is", "one fact, by name"]
    assert table.index.tolist() == shown.quality_frame(LOG)["miner"].tolist()
    assert cell(table.loc["miner, 2,400 instances", "what it is"])[0] == 35.0
    assert set(shown.SENTENCES) == set(study_checks.SENTENCES)


def test_facts_known_are_shown_in_the_form_of_table_5_1():
    table = shown.known_by_topic(LOG)
    assert list(table.index) == list(ARMS) and list(table) == [*TOPICS, "all topics"]
    for arm, share in ARMS.items():
        cells = [cell(table.loc[arm, topic])[0] for topic in TOPICS]
        assert cells == pytest.approx([100 * share + k for k in range(4)], abs=0.51)
        assert cell(table.loc[arm, "all topics"])[0] == pytest.approx(100 * share)
    assert shown.known_by_topic(Log()).empty


def test_two_arms_are_compared_item_by_item_in_one_log():
    a, b = shown_rows.of_arm("+ QA"), shown_rows.of_arm("+ passages")
    row = shown_rows.compared(LOG, None, "known", a, b)
    assert (row["a"], row["b"], row["value"]) == pytest.approx((0.4, 0.02, 0.38)) and row["lo"] > 0
    only = Log()
    chatbot(only, 0.9, arm="+ QA")
    row = shown_rows.compared(only, LOG, "known", a, b)
    assert row["origin"] == RECORDED and row["value"] == pytest.approx(0.38)
    assert shown_rows.compared(only, None, "known", a, b) is None


def test_texts_have_signs_intervals_and_no_minus_zero():
    row = {"value": -0.0001, "lo": -0.02, "hi": 0.0199, "origin": RECORDED}
    assert shown.points(row) == "+0.0 [−2.0, +2.0]†"
    assert shown.percent({**row, "lo": np.nan, "value": 0.123}) == "12.3†"
    frame = pd.DataFrame({"arm": ["a", "b"], "topic": ["x", "y"], "value": [0.256, 1.0]})
    assert shown.told(frame, ["arm", "topic"]) == "a, x: 25.6%; b, y: 100.0%"


def test_the_thesis_s_table_is_its_sixteen_figures():
    assert len(thesis.TABLE_5_1) == 16 and list(thesis.TOPICS) == [topic.name for topic in DOMAIN]
    assert set(thesis.ARMS) == set(ARMS)
    assert thesis.TABLE_5_1["OASST + passage + QA + Aug", "Advances in Robotics Surgery"] == 74.96
    assert (
        thesis.column("steam engines") == thesis.column("History of Steam Engine") == [70.6, 73.2, 79.8, 83.2]
    )
    assert thesis.scores()["+ QA", "healing plants"] == pytest.approx(0.6892)
    printed = shown.thesis_table()
    assert (
        printed.shape == (4, 4)
        and printed.loc["OASST + passage", "Artificial General Intelligence"] == "78.00"
    )
    assert printed.loc["OASST", "History of Steam Engine"] == "70.6"
    for topic in thesis.TOPICS.values():
        possible_counts(printed[topic].tolist(), thesis.DECIMALS[topic], "mean")
