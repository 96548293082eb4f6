"""Errata of chapter 6 that the thesis's own figures show, and what its averages say where they hold."""

import pytest

from msig_lib.videoqa import thesis
from msig_lib.videoqa.judges import PROMPT, FrameJudge


def means(table):
    return {model: thesis.mean(thesis.accuracies(row)) for model, row in table.items()}


def test_the_version_of_the_judge_that_is_used_is_not_the_one_that_is_selected():
    assert thesis.JUDGE_6_3_1["used"] != thesis.JUDGE_6_3_1["selected"]
    assert thesis.JUDGE_6_3_1["selected"].removeprefix("gpt-3.5-turbo-") in thesis.TABLE_11_1
    assert thesis.JUDGE_6_3_1["used"].removeprefix("gpt-3.5-turbo-") not in thesis.TABLE_11_1


def test_the_fourth_benchmark_has_no_result():
    assert set(thesis.BENCHMARKS_6_3_1) - set(thesis.PUBLIC) == {"Next-QA"}
    for table in (thesis.TABLE_6_1, *thesis.TABLE_11_1.values()):
        assert {len(thesis.accuracies(row)) for row in table.values()} == {len(thesis.PUBLIC)}


def test_the_captions_alone_cost_more_than_the_whole_reward_is_said_to():
    found = thesis.costs()
    assert found["answers"] == 120_000
    assert found["dollars for the captions alone"] == pytest.approx(25.2)
    assert found["dollars for the captions alone"] > thesis.COST
    assert found["tokens an answer for the stated cost"] == pytest.approx(111.1, abs=0.05)
    assert found["tokens an answer for the stated cost"] < thesis.CAPTION_TOKENS
    assert found["dollars for captions and prompts"] == pytest.approx(56.7)


def test_350_steps_are_not_two_and_a_half_epochs():
    found = thesis.costs()
    assert found["epochs at the peak"] == pytest.approx(2.64, abs=0.005)
    assert found["steps in the stated epochs"] == pytest.approx(332, abs=0.5)
    # With 17,499 pairs, the most that 17k can stand for:
    assert thesis.PEAK_STEPS * thesis.BATCH / 17_499 > 2.55


def test_the_projector_is_not_trained_in_the_row_that_the_method_is():
    rows = list(thesis.TABLE_6_2)
    assert rows.index("dpo") + 1 == 7 and rows.index("dpo-projector") + 1 == 10
    assert thesis.TABLE_6_2["dpo"] != thesis.TABLE_6_2["dpo-projector"]


def test_the_judge_that_sees_the_video_is_told_to_compare_with_what_it_is_not_given():
    assert not thesis.JUDGE_11_16["given"] & thesis.JUDGE_11_16["asked to compare"]
    assert "{caption}" in PROMPT and "{reference}" in PROMPT  # figure 11.15's has both
    assert "reference" in (FrameJudge.__doc__ or "")  # ours says that it reads none


def test_the_averages_of_the_text_hold():
    own = means(thesis.TABLE_11_1["0613"])
    assert own["dpo"] == pytest.approx(70.75, abs=0.005) and own["sft"] == pytest.approx(62.65, abs=0.005)
    assert own["dpo"] - own["sft"] == pytest.approx(8.1, abs=0.05)
    inside, outside = means(thesis.TABLE_6_2), means(thesis.TABLE_6_3)
    assert (inside["image"], inside["sft"]) == pytest.approx((65.97, 66.06), abs=0.005)
    assert (outside["image"], outside["sft"]) == pytest.approx((49.32, 56.50), abs=0.005)
    assert inside["other"] - inside["sft"] == pytest.approx(0.2, abs=0.05)
    assert inside["sft"] - inside["self-play"] == pytest.approx(3, abs=0.5)
    assert thesis.TABLE_6_3["dpo"][2] == thesis.FIGURE_6_4["dpo"]
    assert thesis.TABLE_6_3["sft"][2] == pytest.approx(thesis.FIGURE_6_4["sft greedy"], abs=0.05)
    assert sum(thesis.CAPTIONS.values()) == 900_000


def test_table_6_1_is_table_11_1_rounded_and_its_summary_holds():
    for model, row in thesis.TABLE_6_1.items():
        exact = thesis.TABLE_11_1["0613"][model]
        assert row == pytest.approx(exact, abs=0.051)
    for version, table in thesis.TABLE_11_1.items():
        summary = thesis.SUMMARY_11_1[version]
        assert thesis.ranks(table) == {model: rank for model, (_, rank) in summary.items()}
        for model, value in means(table).items():
            assert value == pytest.approx(summary[model][0], abs=0.006)


def test_the_order_by_accuracy_is_the_same_under_every_version_and_the_order_by_score_is_not():
    by_accuracy = [thesis.ranks(table) for table in thesis.TABLE_11_1.values()]
    assert by_accuracy[0] == by_accuracy[1] == by_accuracy[2]
    by_score = [thesis.ranks(table, thesis.scores) for table in thesis.TABLE_11_1.values()]
    assert [ranks["sft"] for ranks in by_score] == [4, 5, 3]


def test_on_two_sets_answers_must_have_lost_score_while_more_became_right():
    lost = thesis.least_score_lost(thesis.TABLE_6_3["sft"], thesis.TABLE_6_3["dpo"])
    assert [name for name, value in zip(thesis.OUT, lost) if value > 0] == ["MSVD-QA", "TGIF-QA"]
    assert lost[0] == pytest.approx(0.0665 - 0.03 - 0.01)
    assert thesis.least_score_lost((50.0, 3.0), (60.0, 3.2)) == (0.0,)
