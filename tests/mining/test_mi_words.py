"""The words of the world and the templates that put its facts into sentences."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from msig_lib.mining import wording
from msig_lib.mining.documents import CRITERIA
from msig_lib.mining.reading import normal, read_claims
from msig_lib.mining.wording import Fact, say
from msig_lib.mining.words import (
    DOMAIN,
    GENERAL,
    KIND,
    NAMES,
    RELATIONS,
    TOPICS,
    VALUES,
    every_value,
    relation_kind,
)

A, B = "Bador Kelin", "Ramur Timur"
PAIR = (Fact(A, "pressure", "45 bar"), Fact(A, "town", "Ulm"))
ASKING = {
    name: getattr(wording, name)
    for name in ("ASKED", "ASKED_BOTH", "USED", "USED_BOTH", "USED_GREATER", "TESTED", "TESTED_BOTH", "TESTED_GREATER")
}  # fmt: skip


def test_every_relation_of_the_domain_is_told_in_two_general_topics_and_one_of_its_own():
    told = Counter(noun for topic in GENERAL for noun in topic.relations)
    assert told == dict.fromkeys(RELATIONS, 2)
    assert Counter(noun for topic in DOMAIN for noun in topic.relations) == dict.fromkeys(RELATIONS, 1)
    for topic in TOPICS.values():
        assert len(set(topic.relations)) == 6 and topic.noun == topic.kind.split()[-1]
    for topic in DOMAIN:  # so that test questions can compare
        assert sum(bool(RELATIONS[noun].unit) for noun in topic.relations) == 2


def test_domain_and_general_topics_share_no_word_of_what_they_are_called():
    own, others = ({word for topic in topics for word in topic.kind.split()} for topics in (DOMAIN, GENERAL))
    assert not own & others and len(own) == 2 * len(DOMAIN) and len(others) == 2 * len(GENERAL)
    assert len(TOPICS) == len(DOMAIN) + len(GENERAL)


def test_no_word_means_two_things():
    groups = [
        NAMES,
        *VALUES.values(),
        list(RELATIONS),
        sorted({relation.unit for relation in RELATIONS.values()} - {""}),
        sorted({word for topic in TOPICS.values() for word in topic.kind.split()}),
        sorted({word for texts in ASKING.values() for text in texts for word in words_of(text)}),
    ]
    lowered = [[word.lower() for word in group] for group in groups]
    for group in lowered:
        assert len(set(group)) == len(group)
    assert len(set().union(*lowered)) == sum(map(len, lowered))
    assert len(NAMES) == 120 and all(len(values) >= 24 for values in VALUES.values())


def words_of(template):
    return normal(re.sub(r"\{\w\}", " ", template)).split()


def test_values_are_worded_with_the_unit_of_their_relation():
    assert every_value("pressure")[:2] == ("11 bar", "12 bar") and every_value("town")[0] == "Aldgate"
    for noun, relation in RELATIONS.items():
        values = every_value(noun)
        assert relation.noun == noun and relation_kind(noun) == relation.kind
        assert len(set(values)) == len(values) == len(VALUES[relation.kind])
        assert bool(relation.unit) == (relation.kind == "number")
        assert all(read_claims(f"The {noun} of {A} is {v}.") == {Fact(A, noun, v)} for v in values[::7])


def test_templates_are_filled_in():
    assert say("{N}: which {r}?", n="the mill", r="power") == "The mill: which power?"
    assert say("{v}", v="") == ""
    with pytest.raises(KeyError):
        say("The {r} of {n}.", r="power")


@pytest.mark.parametrize("name", ["TESTED", "TESTED_BOTH", "TESTED_GREATER"])
def test_what_the_test_asks_with_is_used_nowhere_else(name):
    others = {
        normal(text)
        for key, value in vars(wording).items()
        if key.isupper() and isinstance(value, (tuple, dict)) and key != name
        for text in (value.values() if isinstance(value, dict) else value)
    }
    assert not {normal(text) for text in ASKING[name]} & others


def test_test_questions_use_words_that_users_use():
    used = {
        word
        for key, texts in ASKING.items()
        if key[:4] == "USED"
        for text in texts
        for word in words_of(text)
    }
    tested = {
        word
        for key, texts in ASKING.items()
        if key[:4] == "TEST"
        for text in texts
        for word in words_of(text)
    }
    assert tested - used <= {"its", "has", "are", "that"}  # small words of passages and answers
    stated = {word for text in (*wording.STATED, *wording.OF_IT, *wording.UNCLEAR) for word in words_of(text)}
    assert tested - used - {"are"} <= stated


@pytest.mark.parametrize("facts", [PAIR[:1], PAIR, (Fact(A, KIND, "steam engine"),)])
def test_the_oracle_asks_and_answers_by_name(facts):
    questions, answers = (
        {make(facts, np.random.default_rng(k)) for k in range(30)}
        for make in (wording.question, wording.answer)
    )
    assert all(A in text for text in questions | answers)
    assert all(read_claims(text) == set(facts) for text in answers)
    assert not any(fact.value in text for text in questions for fact in facts if fact.relation != KIND)
    found = wording.findings(facts)
    assert A in found and all(fact.value in found for fact in facts)
    assert len(questions) == (2 if facts == PAIR[:1] else 1)


def test_every_criterion_has_its_reason():
    assert set(wording.REASONS) == set(CRITERIA)
    reasons = {wording.reason(fails, B) for fails in CRITERIA}
    assert len(reasons) == len(CRITERIA)
    assert B in wording.reason("relevant", B) and B not in wording.reason("new", B)
    assert all(read_claims(reason) == frozenset() for reason in reasons)


def test_an_answer_is_said_in_other_sentences_each_fact_by_itself():
    for facts in (PAIR[:1], PAIR[1:], PAIR):
        text = wording.answer(facts, np.random.default_rng(0))
        found = wording.varied(text)
        assert found[0] == text and len(set(found)) == len(found) == 1 + len(facts) * len(
            wording.SAID_OTHERWISE
        )
        for k, one in enumerate(found[1:]):
            assert read_claims(one) == {facts[k // len(wording.SAID_OTHERWISE)]}
        lowered = wording.varied(text.lower())  # as a miner writes
        assert [normal(one) for one in lowered] == [normal(one) for one in found]


def test_varied_answers_stay_as_wrong_as_they_are_and_other_texts_alone():
    wrong = "The pressure of Ulm is 45 crowns."
    assert all("45 crowns" in one and "Ulm" in one for one in wording.varied(wrong))
    for text in (
        f"{A} is a steam engine.",
        "",
        "45 bar.",
        "It is not known.",
        "The pressure is 45 bar. So it is.",
    ):
        assert wording.varied(text) == [text]


def test_other_sentences_for_answers_are_no_questions_and_not_the_answer_of_the_pairs():
    assert not set(wording.SAID_OTHERWISE) & {*wording.ANSWERED, *wording.SAID}
    assert all(
        text.endswith(".") and text.index("{r}") < text.index("{v}") for text in wording.SAID_OTHERWISE
    )
