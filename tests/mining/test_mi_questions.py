"""Questions of users and of the test: right references, words of their own, nothing twice."""

from __future__ import annotations

import re

import numpy as np
import pytest

from msig_lib.mining.data import WorldSettings, fresh_passages, make_world, reworded, write_passage
from msig_lib.mining.judges import OracleJudge
from msig_lib.mining.questions import conversations, draw_question, draw_test_questions, number_of
from msig_lib.mining.reading import normal, read_asked, read_claims
from msig_lib.mining.signal import OracleTeacher
from msig_lib.mining.train import FULL, in_full
from msig_lib.mining.wording import Fact
from msig_lib.mining.words import NAMES, RELATIONS, TOPICS, VALUES

MARKS = {
    **dict.fromkeys((name.lower() for name in NAMES), "name"),
    **dict.fromkeys(RELATIONS, "noun"),
    **dict.fromkeys((value.lower() for values in VALUES.values() for value in values), "value"),
    **dict.fromkeys((one.unit for one in RELATIONS.values() if one.unit), "unit"),
}


def shape(text):
    """A text with every name, noun and value left out: its template."""
    return " ".join(MARKS.get(word, word) for word in normal(text).split())


@pytest.fixture(scope="module")
def world():
    return make_world(seed=2)


@pytest.fixture(scope="module")
def others(world):
    return [passage for topic in world.known.values() for passage in topic]


def all_tests(world, n=10**5, seed=0):
    """All test questions that there are, topic by topic."""
    return [q for topic in world.passages.values() for q in draw_test_questions(topic, n, seed=seed)]


def split_sentences(text):
    return [part for part in re.split(r"(?<=[.?!]) ", text) if part]


def test_test_questions_share_no_text_and_no_template_with_what_is_learnt(world, others):
    tested = all_tests(world)
    fresh = list(fresh_passages(world, 60, seed=1, mixed=True))
    learnt = [one.text for one in conversations(others, 3000, seed=0)]
    learnt += [one.reference for one in conversations(others, 3000, seed=0)]
    rng = np.random.default_rng(0)
    learnt += [draw_question(passage, rng, both=0.5).text for passage in fresh]
    told = [
        *world.domain,
        *others,
        *fresh,
        *(one for p in world.domain for one in reworded(world, p, 4, seed=0)),
    ]
    learnt += [sentence.text for passage in told for sentence in passage.sentences]
    learnt += [f"{FULL} {sentence.text}" for passage in fresh for sentence in passage.sentences]
    learnt += [in_full(one.facts) for passage in fresh for one in passage.sentences if one.facts]
    for seed in range(3):
        teacher = OracleTeacher([*world.domain, *fresh], error_rate=0.3)
        items = [(p.document, i) for p in (*world.domain, *fresh) for i in range(len(p.sentences))]
        for mined in teacher.ask(items, seed=seed):
            learnt += [mined.question, mined.answer, mined.analysis]
    learnt += [part for text in learnt for part in split_sentences(text)]
    assert not {normal(one.text) for one in tested} & {normal(text) for text in learnt}
    shapes = {shape(one.text) for one in tested}
    assert len(shapes) == 7 and not shapes & {shape(text) for text in learnt}
    assert {shape(text) for text in learnt if "?" in text}  # the comparison compares something


def test_every_reference_is_right(world, others):
    held = {fact for passage in (*world.domain, *others) for fact in passage.facts}
    for one in (*all_tests(world, 300), *conversations(others, 400, seed=3)):
        assert set(one.facts) <= held and len(set(one.facts)) == (1 if one.kind == "one" else 2)
        read = read_asked(one.text)
        assert set(read.relations) == {fact.relation for fact in one.facts}
        assert read.entities == tuple(dict.fromkeys(fact.entity for fact in one.facts))
        if one.kind == "greater":
            numbers = {fact.entity: int(re.search(r"\d+", fact.value)[0]) for fact in one.facts}
            (winner,) = [name for name in numbers if name in one.reference]
            assert numbers[winner] == max(numbers.values()) > min(numbers.values())
            assert one.facts[0].relation in one.reference and len({f.relation for f in one.facts}) == 1
        else:
            assert read_claims(one.reference) == set(one.facts)
            assert len({fact.entity for fact in one.facts}) == 1
    every = [*all_tests(world, 300), *conversations(others, 400, seed=3)]
    assert (OracleJudge().judge(every, [one.reference for one in every]).scores == 5).all()


def test_all_questions_that_there_are(world):
    (name, passages), *_ = world.passages.items()
    found = draw_test_questions(passages, 10**5, seed=0)
    count = {kind: sum(one.kind == kind for one in found) for kind in ("one", "both", "greater")}
    numbers = {}
    for passage in passages:
        for fact in passage.facts:
            if RELATIONS[fact.relation].unit:
                numbers.setdefault(fact.relation, []).append(fact.value)
    compared = sum(a != b for values in numbers.values() for a in values for b in values)
    assert count == {"one": 8 * 5, "both": 8 * 10, "greater": compared}
    assert len({one.text for one in found}) == len(found) and {one.topic for one in found} == {name}
    assert {one.facts[0] for one in found if one.kind == "one"} == {f for p in passages for f in p.facts}


@pytest.mark.parametrize("n", [0, 1, 7, 50])
def test_test_questions_come_from_their_seed_in_their_shares(world, n):
    passages = world.passages["steam engines"]
    found = draw_test_questions(passages, n, seed=5)
    assert found == draw_test_questions(passages, n, seed=5) and len(found) == n
    assert len({one.text for one in found}) == n
    assert (
        sum(one.kind == "both" for one in found)
        == sum(one.kind == "greater" for one in found)
        == round(n / 5)
    )
    if n > 1:
        assert found != draw_test_questions(passages, n, seed=6)
    told = draw_test_questions(passages, n, seed=5, shares=(0.0, 1.0))
    assert {one.kind for one in told} <= {"greater"} and len(told) == n


@pytest.mark.parametrize("n, shares", [(-1, (0.2, 0.2)), (10, (0.8, 0.8)), (10, (-0.1, 0.2))])
def test_impossible_numbers_of_questions_are_refused(world, n, shares):
    with pytest.raises(ValueError, match="expected n from 0, and shares"):
        draw_test_questions(world.domain, n, seed=0, shares=shares)


def test_which_name_comes_first_tells_nothing(world, others):
    drawn = [
        one
        for seed in range(40)
        for one in draw_test_questions(world.passages["steam engines"], 50, seed=seed)
    ]
    drawn = [one for one in drawn if one.kind == "greater"]
    talks = [one for one in conversations(others, 4000, seed=0) if one.kind == "greater"]
    for greater in (drawn, talks):
        first = np.mean([one.facts[0].entity in one.reference for one in greater])
        assert len(greater) >= 400 and abs(first - 0.5) < 1.25 / np.sqrt(len(greater))
        for one in greater:
            assert one.text.index(one.facts[0].entity) < one.text.index(one.facts[1].entity)


def test_conversations_come_from_their_seed_and_their_passages(world, others):
    found = conversations(others, 4000, seed=1)
    assert found == conversations(others, 4000, seed=1) and len(found) == 4000
    assert found[:50] != conversations(others, 4000, seed=2)[:50]
    own = {passage.entity for passage in others}
    assert {fact.entity for one in found for fact in one.facts} == own
    assert not any(name in one.text for one in found[:500] for name in world.names - own)
    share = {kind: np.mean([one.kind == kind for one in found]) for kind in ("greater", "both")}
    assert share["greater"] == pytest.approx(0.15, abs=0.02)
    assert share["both"] == pytest.approx(0.85 * 0.15, abs=0.02)
    assert len({shape(one.text) for one in found}) == 8 + 3 + 2
    by = {passage.entity: passage.topic for passage in others}
    assert all(one.topic == by[one.facts[0].entity] for one in found)
    assert conversations(others, 0, seed=1) == []


def test_without_two_numbers_nothing_is_compared():
    world = make_world(WorldSettings(entities=1, known=1), seed=0)
    for passage in world.domain:
        assert {one.kind for one in draw_test_questions([passage], 50, seed=0)} == {"one", "both"}
        assert {one.kind for one in conversations([passage], 50, seed=0)} == {"one", "both"}


def test_equal_numbers_are_not_compared():
    def robot(name, speed):
        facts = [Fact(name, "speed", speed), Fact(name, "owner", "Dahl"), Fact(name, "opening", "1820")]
        return write_passage(TOPICS["surgical robots"], facts, WorldSettings(), np.random.default_rng(0))

    for other, count in (("20 knots", 0), ("21 knots", 2)):
        passages = [robot("Bador Kelin", "20 knots"), robot("Ramur Timur", other)]
        found = draw_test_questions(passages, 50, seed=0, shares=(0.0, 1.0))
        assert [one.reference for one in found] == ["Ramur Timur has the greater speed."] * count


def test_a_question_is_about_one_fact_or_two_as_often_as_stated(world):
    rng = np.random.default_rng(0)
    passage = world.domain[3]
    for share, least, most in ((0.0, 0, 0), (1.0, 300, 300), (0.15, 25, 65)):
        found = [draw_question(passage, rng, both=share) for _ in range(300)]
        assert least <= sum(one.kind == "both" for one in found) <= most
        assert {fact for one in found for fact in one.facts} == set(passage.facts)


def test_numbers_are_read_with_their_unit():
    assert number_of(Fact("A", "power", "45 kilowatts")) == 45
    for fact in (Fact("A", "town", "Ulm"), Fact("A", "patent", "1820")):
        with pytest.raises(ValueError, match=f"{fact.relation}.* has no number"):
            number_of(fact)
