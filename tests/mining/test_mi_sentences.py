"""What chapter 5 says of its results: every number and verdict is that of a log made by hand."""

import re

import numpy as np
import pytest
from mi_log import ITEMS, PLAIN, add, chatbot, full_log, miner

from msig_lib.mining import sentences
from msig_lib.runs.results import Log

LOG = full_log()
NAMES = "miners nouns steps stored augmented cost rewordings errors judges two_facts".split()


def gains(text):
    """The differences (points) and verdicts of a text, in order."""
    found = re.findall(r"\*\*([+−][\d.]+)(?: \[.*?\])?†?\*\* points \((.*?)\)", text)
    return [(float(gain.replace("−", "-")), said) for gain, said in found]


def shares(text):
    """The shares (per cent) that are set in bold, in order."""
    return [float(share) for share in re.findall(r"\*\*([\d.]+)%", text)]


@pytest.mark.parametrize(
    ("lo", "hi", "expected"),
    [
        (0.001, 0.2, "more"),
        (0.0, 0.2, "no measurable difference"),
        (-0.2, 0.0, "no measurable difference"),
        (-0.2, -0.001, "less"),
        (-0.1, 0.1, "no measurable difference"),
        (np.nan, np.nan, "measured once, which decides nothing"),
    ],
)
def test_a_verdict_is_where_the_whole_interval_is(lo, hi, expected):
    assert sentences.verdict({"lo": lo, "hi": hi}) == expected


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_said_of_nothing_and_recorded_numbers_are_marked(name):
    say = getattr(sentences, name)
    assert say(Log()) == say(Log(), Log()) == ""
    live, kept = say(LOG), say(Log(), LOG)
    assert "†" not in live and "†" in kept and "nan" not in live + kept
    assert re.fullmatch(r"[A-Z].*\.", live)
    assert gains(live) == gains(kept) and shares(live) == shares(kept)


def test_a_miner_is_compared_with_one_without_analysis_and_with_rules():
    said = sentences.miners(LOG)
    assert shares(said) == [70.0] and gains(said) == [(10.0, "more"), (40.0, "more")]
    assert "without analysis (60.0%)" in said and "(30.0%)" in said
    log = Log()
    for analysis, share in ((True, 0.3), (False, 0.5)):
        for n in (600, 2400):  # the most seeds count
            miner(
                log,
                share + (n == 600) * 0.4,
                0.5,
                miner="miner",
                analysis=analysis,
                instances=n,
                error=0.0,
                nouns=24,
            )
    assert gains(sentences.miners(log)) == [(-20.0, "less")] and shares(sentences.miners(log)) == [30.0]


def test_relations_that_no_seed_had_are_told_with_and_without_analysis():
    said = sentences.nouns(LOG)
    assert shares(said) == [10.0, 40.0] and said.count("(where it has them 80.0%)") == 2
    assert said.index("with analysis") < said.index("without analysis")


def test_each_step_of_table_5_1_is_a_paired_difference():
    said = sentences.steps(LOG)
    assert gains(said) == [(1.0, "no measurable difference"), (19.0, "more"), (7.5, "more")]
    log = Log()
    for arm, share in (("+ passages", 0.6), ("+ QA", 0.6), ("+ augmented", 0.2)):
        chatbot(log, share, arm=arm)
    assert gains(sentences.steps(log)) == [(0.0, "no measurable difference"), (-20.0, "less")]
    once = Log()
    for arm, value in (("+ passages", 0.25), ("+ QA", 0.5)):
        once.add("score", value, seed=0, arm=arm, topic="all", **PLAIN)
    assert gains(sentences.steps(once)) == [(25.0, "measured once, which decides nothing")]


def test_what_is_stored_is_told_beside_what_is_known():
    said = sentences.stored(LOG)
    assert shares(said) == [95.0, 2.0, 95.0, 40.0] and gains(said) == [(38.0, "more")]
    log = Log()
    chatbot(log, 0.1, recited=0.5, arm="+ passages")
    assert shares(sentences.stored(log)) == [50.0, 10.0] and gains(sentences.stored(log)) == []


def test_answers_as_text_are_compared_in_both_forms():
    said = sentences.augmented(LOG)
    assert gains(said) == [(15.0, "more"), (5.0, "more")]
    assert said.index("several wordings") < said.index("the very words of the pairs")
    one = few_without(LOG, "+ augmented, same words")
    assert gains(sentences.augmented(one)) == [(15.0, "more")] and "very words" not in sentences.augmented(
        one
    )
    assert gains(sentences.augmented(one, LOG)) == [(15.0, "more"), (5.0, "more")]


def test_the_cost_is_told_by_kind_of_text_and_of_the_mining():
    said = sentences.cost(LOG)
    assert re.findall(r"the ([a-z ]+) have \*\*([\d,]+)\*\*", said) == [
        ("conversations", "10,000"), ("passages", "5,000"), ("pairs", "3,333"), ("answers as text", "2,500"),
    ]  # fmt: skip
    assert "read 20,000 tokens and wrote 4,000, after 300,000 tokens" in said
    log = Log()
    chatbot(log, 0.1, arm="+ passages")
    said = sentences.cost(log)
    assert "10,000" in said and "miner" not in said and "pairs" not in said


def test_rewordings_are_compared_with_one_wording_and_with_pairs():
    said = sentences.rewordings(LOG)
    assert "passages in 8 wordings" in said and shares(said) == [20.0]
    assert gains(said) == [(18.0, "more"), (-20.0, "less")]
    few = Log()
    for arm, n, share in (("+ passages", 1, 0.1), ("rewordings", 4, 0.3)):
        chatbot(few, share, arm=arm, wordings=n)
    said = sentences.rewordings(few, LOG)  # this run's own 4 come first
    assert "passages in 4 wordings" in said and gains(said) == [(20.0, "more")]
    assert sentences.rewordings(few_without(few, "rewordings")) == ""


def few_without(log, arm):
    other = Log()
    other.rows = [row for row in log.rows if row.factors.get("arm") != arm]
    return other


def test_errors_are_told_at_the_rate_of_which_most_was_measured():
    said = sentences.errors(LOG)
    assert "errs in 20% of its answers" in said  # all three at 20, two at 40
    assert shares(said) == [20.0, 40.0, 2.0]
    assert gains(said) == [(15.0, "more"), (15.0, "more"), (5.0, "more"), (-20.0, "less")]
    assert (
        "for 50.0% of the sentences worth asking, against one of a teacher that does not err (70.0%)" in said
    )
    log = Log()
    chatbot(log, 0.4, arm="+ QA", source="oracle")
    assert sentences.errors(log) == ""
    chatbot(log, 0.4, arm="+ QA", source="oracle", error=0.3)
    assert gains(sentences.errors(log)) == [(0.0, "no measurable difference")]


def test_judges_are_told_with_the_order_of_chatbots():
    said = sentences.judges(LOG)
    assert shares(said) == [60.0, 70.0] and "83% of the pairs" in said and "93% of the pairs" in said
    log = Log()
    log.add("agreement", 0.25, seed=0, judge="overlap", measure="exact")
    assert sentences.judges(log).endswith("the same grade in **25.0%**.")


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0.5, "not measurably different from"),
        (0.9, "more than"),
        (0.1, "less than"),
        (None, "measured once beside"),
    ],
)
def test_questions_with_two_answers_stand_beside_a_coin(share, told):
    log = Log()
    if share is None:
        log.add("accuracy", 0.6, seed=0, arm="+ QA", kind="greater", **PLAIN)
    else:
        add(log, "accuracy", share, items=ITEMS, arm="+ QA", kind="greater", **PLAIN)
    said = sentences.two_facts(log)
    assert f"{told} the 50% of a coin" in said and shares(said) == [100 * (share or 0.6)]


def test_the_fullest_arm_is_asked_for_two_facts():
    said = sentences.two_facts(LOG)
    assert said.startswith("With “+ augmented”, **55.0%**") and shares(said)[1] == 15.0


def test_what_to_remember_is_a_list_of_what_was_measured():
    lines = sentences.taken_away(LOG).split("\n")
    assert len(lines) == 4 and all(line.startswith("- ") for line in lines)
    assert sentences.taken_away(Log()) == ""
    only = Log()
    add(only, "found", 0.5, miner="template", error=0.0)
    assert sentences.taken_away(only) == ""
