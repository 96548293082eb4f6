import re

import pytest
from vq_log import ACCURACY, Q, curve, made

from msig_lib.runs import results
from msig_lib.stats.told import points, told, verdict
from msig_lib.videoqa import sentences, sentences_judges, shown, thesis

LOG = made()
EMPTY = results.open()
ALL = (
    sentences.world,
    sentences.results,
    sentences.controls,
    sentences.sampled,
    sentences.early,
    sentences_judges.signal,
    sentences_judges.agreement,
    sentences.peak,
    sentences.ranker,
    sentences_judges.caption_sizes,
    sentences.side_effects,
    sentences.taken_away,
)


@pytest.mark.parametrize("sentence", ALL)
def test_nothing_is_said_of_nothing_and_recorded_numbers_are_marked(sentence):
    assert sentence(EMPTY) == ""
    said = sentence(LOG)
    assert said and "nan" not in said and "†" not in said
    recorded = sentence(EMPTY, LOG)
    assert re.sub("†", "", recorded) == said
    assert sentence is sentences.world or "†" in recorded


def test_differences_are_told_with_what_their_interval_allows():
    assert points(0.021, 0.003, 0.04) == "+2.1 [+0.3, +4.0]" and points(-0.5) == "-50.0"
    assert verdict(0.1, float("nan"), float("nan")) == "measured once"
    assert verdict(-0.1, -0.2, -0.05) == "a loss" and verdict(0.1, 0.005, 0.2) == "not decided"
    row = {"value": 0.1, "lo": 0.05, "hi": 0.2, "origin": "recorded"}
    assert told(row) == "**+10.0 [+5.0, +20.0]**† points (a gain)"


def test_each_row_of_the_tables_stands_beside_the_thesiss_change():
    said = sentences.results(LOG)
    assert len(said.splitlines()) == 12
    first = said.splitlines()[0]
    gain = 100 * (ACCURACY["dpo"] - ACCURACY["sft"]) / Q
    assert f"**{gain:+.1f} [" in first and first.endswith("(a gain); thesis +9.4")
    assert (
        "[8] questions on single frames against [6] SFT, out of the domain" in said and "thesis -7.2" in said
    )
    assert [line for line in said.splitlines() if "out of" in line and "thesis" in line][1:] == [
        said.splitlines()[3]
    ]


def test_answers_that_lost_score_are_counted_in_the_thesis_and_here():
    said = sentences.score_lost(LOG)
    assert "MSVD-QA (by 0.03 a question" in said and "TGIF-QA (by 0.02" in said and "MSRVTT" not in said
    here = [line for line in said.splitlines() if "Here" in line]
    # In the made-up log an answer that becomes right gains 2 or 3.
    assert len(here) == 2 and not any("lost at the least" in line for line in here)
    worse = results.open()
    for model, right, score in (("sft", [0.0, 1.0], [2.0, 5.0]), ("dpo", [1.0, 1.0], [3.0, 4.0])):
        worse.add("accuracy", right, seed=0, **shown.of_model(model, "in"))
        worse.add("score", score, seed=0, **shown.of_model(model, "in"))
    assert "changes the score by +0.00 with +50.0 points; **0.50** a question" in sentences.score_lost(worse)


def test_the_judges_agreement_and_the_pairs_are_told():
    assert sentences_judges.signal(LOG) == (
        "The judges put **90.0%** of the answers on one side (rank correlation of the scores 0.80). The caption's "
        "judge gives 80 pairs a seed: by the clip **70.0%** are the right way round, 10.0% reversed, and in 20.0% both "
        "answers are right or both wrong."
    )


def test_errors_of_captions_are_told_up_to_where_the_gain_is_above_none():
    said = sentences_judges.agreement(LOG)
    lines = said.splitlines()
    assert len(lines) == 3 and lines[1].startswith(
        "- With 0% and with 50% omissions, the judges agree on **100.0%** and **80.0%**"
    )
    assert all("surely a gain up to 10%" in line for line in lines)


def test_where_dpo_is_best_on_the_way():
    said = sentences.peak(LOG)
    assert (
        "In the domain: highest after 2.0 epochs, **68.8%**; before 51.2%, at the end, after 3.0 epochs, 66."
        in said
    )
    assert sentences.peaks(shown.epochs(LOG)) == {"in": 2, "out": 2}


def test_ranker_generator_and_pool_are_compared_at_the_largest_n():
    said = sentences.ranker(LOG)
    assert (
        len(said.splitlines()) == 8
        and "best of 64 by the DPO ratio against the DPO model's own answer, in" in said
    )
    assert "**-5.0 [" in said.splitlines()[0]  # 12 + 2 x 6 against 26 of 40
    theirs = sentences.ranker_in_the_thesis()
    assert all(number in theirs for number in ("43.3", "57.8", "about 62", "68.29"))


def test_judges_differ_in_absolute_terms_and_rank_alike():
    said = sentences_judges.judges(LOG)
    assert "by up to **30** points; 4 of 4 put the models in the order of the clip's judge" in said
    assert "number 2 by accuracy, is number 4, 5, 3 by score" in said and "up to 12 points apart" in said


def test_probabilities_that_both_fell_are_said_to():
    said = sentences.probabilities(shown.training({("dpo", 0): curve(), ("winners", 0): curve(fall=-0.1)}))
    first, second = said.splitlines()
    assert "[7] DPO: chosen **-1.85** nats, rejected -5.55" in first and first.endswith("Both fell.")
    assert "chosen **+1.85**" in second and "fell" not in second
    assert sentences.probabilities(shown.training({})) == ""


def test_the_cost_in_the_thesis_is_reckoned():
    said = sentences_judges.cost_in_the_thesis()
    assert "**111** tokens each" in said and "**25.2** dollars" in said and "57." in said
    assert f"{thesis.PAIRS:,} pairs: 5,100 dollars" in said and "7,373 dollars" in said


def test_the_cost_here_is_set_against_the_thesiss():
    said = sentences_judges.cost_here(LOG)
    assert "has **14.6** tokens" in said and "Here it has 0.20: clips this small" in said
    assert sentences_judges.cost_here(EMPTY) == ""
    long = results.open()
    for what, tokens in (("caption", 10.0), ("clip", 40.0)):
        long.add("tokens", tokens, study="cost", what=what)
    assert sentences_judges.cost_here(long).startswith("A clip has 4.0 tokens")


def test_rates_are_in_order_without_what_has_none():
    assert list(sentences.rates_of(shown.evidence(LOG)[0])) == [0.0, 0.1, 0.3, 0.5]
    assert list(sentences.rates_of(shown.evidence(EMPTY)[0])) == []
