"""What stands beside the study of chapter 5: where misses are, corpora, prompts, judges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mi_study import BIG, PLAN, recorded, rows, worth_asking

from msig_lib.mining import study, study_checks
from msig_lib.mining.reading import normal
from msig_lib.mining.study import ARMS, TOPICS, Chatbot
from msig_lib.mining.words import KIND


def kind_of(sentence):
    """The kind, found another way: by what the text has, not by the facts' order."""
    (first, *more) = sentence.facts
    if first.relation == KIND:
        return "opening"
    if not any(fact.relation in normal(sentence.text).split() for fact in sentence.facts):
        return "continues"
    if more:
        return "two facts"
    return "stands alone" if first.entity in sentence.text else "needs context"


def test_misses_are_told_by_kind_of_sentence():
    oracle = study.asked_by(BIG, "oracle", 2)
    sentences = {
        (one.document.id, i): sentence
        for one in study.world(BIG).domain
        for i, sentence in enumerate(one.sentences)
    }
    found = study_checks.missed(BIG, [oracle])
    assert [one.factors for one in found] == [
        {"miner": "oracle", "error": 0.0, "sentence": kind} for kind in study_checks.SENTENCES
    ]
    assert all(one.values.all() for one in found)
    assert sum(len(one.values) for one in found) == len(worth_asking(BIG))
    recorded(found, 2)
    for kind in study_checks.SENTENCES:
        spoilt = [
            replace(one, answer="Nothing.")
            if one.kept and kind_of(sentences[one.document, one.sentence]) == kind
            else one
            for one in oracle.findings
        ]
        found = study_checks.missed(BIG, [replace(oracle, findings=spoilt)])
        assert {one.factors["sentence"]: one.values.mean() for one in found} == {
            name: float(name != kind) for name in study_checks.SENTENCES
        }


def test_corpora_are_measured_by_topic_and_filter_and_the_oracle_s_is_right():
    found = study_checks.corpora(PLAN)
    recorded(found, 0)
    at = {(one.factors["topic"], one.factors["filter"], one.factors["measure"]): one.values for one in found}
    assert {topic for topic, *_ in at} == set(TOPICS)
    for topic in TOPICS:
        assert at[topic, "oracle", "precision"] == 1 >= at[topic, "none", "precision"]
        assert at[topic, "none", "recall"] >= at[topic, "words alike", "recall"]


def test_a_miner_reads_less_than_its_teacher():
    found = study_checks.prompt_words(PLAN)
    recorded(found, 0)
    at = {(one.factors["who"], one.factors["analysis"]): one.values for one in found}
    assert at["teacher", True] > at["teacher", False] > at["miner", False] > 10
    assert at["teacher", True] > 3 * at["miner", True]


def test_judges_are_compared_seed_by_seed_on_the_arms_of_the_table():
    dev = PLAN.dev_questions()

    def bot(arm, seed, said):
        """It answers rightly but for every so-many-th question."""

        def answers(questions):
            return ["" if said and k % said == 0 else one.reference for k, one in enumerate(questions)]

        of = {topic: answers(PLAN.questions_of(topic)) for topic in TOPICS}
        return Chatbot(arm, seed, of, answers(dev), [], 0.0)

    bots = [bot(arm, seed, said) for seed in (0, 3) for arm, said in zip(ARMS, (1, 2, 3, 0))]
    found = study_checks.judges(PLAN, [*bots, bot("rewordings", 0, 1)])
    at = {(one.factors["judge"], one.factors["measure"], one.seed): one.values for one in found}
    assert {seed for *_, seed in at} == {0, 3} and {judge for judge, *_ in at} == {"overlap", "embedding"}
    assert at["overlap", "exact", 0] == at["overlap", "exact", 3] > 0.9
    assert at["overlap", "n", 0] == 4 * 4 * PLAN.questions == rows_of(bots) / 2
    assert at["embedding", "ordered_alike", 0] == 1.0


def rows_of(bots):
    return sum(len(said) for bot in bots for said in bot.answers.values())


def test_real_text_is_left_out_where_it_is_not_at_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(tmp_path))
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path))
    assert study_checks.real_text() == []


def test_real_text_is_measured_where_it_is_at_hand():
    from msig_lib import datasets

    if not datasets.available("xquad_en")[0]:
        pytest.skip("needs the data set xquad_en")
    found = study_checks.real_text()
    recorded(found, 0)
    at = {
        (one.factors["pairs"], one.factors["by"], one.factors["measure"]): np.mean(one.values)
        for one in found
    }
    assert at["template", "pair", "covered"] > at["shuffled", "pair", "covered"]
    assert at["template", "pair", "possible"] >= at["template", "pair", "covered"]
    assert len(rows(found, "coverage")) == len(found) == 20
