"""How the sides of a claim are told apart in words."""

import pytest

from msig_lib.claims import Comparison
from msig_lib.site import ledger

NAMES = {"values": {"dpo": "DPO", "rule=best": "the best"}, "metrics": {"acc": "accuracy"}}


def sides(a, b):
    test = Comparison(metric="acc", a=a, b=b, direction="greater", smallest_effect=0.0)
    return ledger._sides(test, NAMES)


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ({"model": "dpo"}, {"model": "sft"}, ("DPO", "sft", "")),
        ({"model": "dpo", "n": 1}, {"model": "sft", "n": 1}, ("DPO", "sft", "n 1")),
        ({"model": "dpo", "n": 1}, {"model": "dpo", "n": 2400}, ("n 1", "n 2,400", "DPO")),
        # numbers and absences that only one side has
        ({"model": "dpo", "beta": 0.1, "cut": False}, {"model": "before"}, ("DPO", "before", "beta 0.1, without cut")),
        ({"model": "dpo", "cut": True}, {"model": "dpo", "cut": False}, ("with cut", "without cut", "DPO")),
        ({"rule": "best", "n": 64}, {"value": 0.5}, ("the best", "fixed value", "n 64")),
        ({"n": 64}, {"value": 0.5}, ("n 64", "fixed value", "")),  # nothing else names it
        ({"model": "dpo"}, {"model": "dpo", "metric": "acc"}, ("DPO", "accuracy", "")),
    ],
)  # fmt: skip
def test_sides_say_what_sets_them_apart(a, b, told):
    assert sides(a, b) == told


def test_a_name_may_hold_in_one_chapter_alone():
    names = {
        "values": {"kind=both": "left out and made up", "ch05 kind=both": "two facts"},
        "metrics": {"f1": "F1"},
    }
    told = {
        chapter: ledger.factor("kind", "both", ledger.of_chapter(names, chapter)["values"])
        for chapter in ("ch05_knowledge_mining", "ch06_video_preferences")
    }
    assert told == {"ch05_knowledge_mining": "two facts", "ch06_video_preferences": "left out and made up"}
    assert ledger.of_chapter(names, "ch05_x")["metrics"] == {"f1": "F1"}
