"""The generated encyclopedia: what is said of a sentence is what its text says."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from msig_lib.mining import data, wording
from msig_lib.mining.data import WorldSettings, draw_fact, fresh_passages, make_world, new_names, reworded
from msig_lib.mining.reading import read_claims
from msig_lib.mining.wording import Fact
from msig_lib.mining.words import DOMAIN, GENERAL, KIND, NAMES, RELATIONS, TOPICS, every_value

SMALL = WorldSettings(entities=1, known=1)
HEDGE = re.compile("Some say that|Perhaps")
WITHOUT_NOUN = tuple(text.split("{")[0] for text in wording.FOLLOWED)
EVERY = (*DOMAIN, *GENERAL)
SMALL_WORDS = set(
    "The the of is For its Its As has and it give as books Some say that Perhaps Once more was said".split()
)


@st.composite
def world_settings(draw):
    shares = st.sampled_from([0.0, 0.3, 1.0])
    few, more = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    named = {name: draw(shares) for name in ("pronouns", "doubles", "spread")}
    try:
        return WorldSettings(1, 1, facts=draw(st.integers(2, 6)), fillers=(few, few + more), **named)
    except ValueError as error:
        assert "5 to 9 sentences" in str(error)
        assume(False)


def every(world):
    return [one for topics in (world.passages, world.known) for topic in topics.values() for one in topic]


def check(passage, of, facts=None):
    """Everything that is known of a passage can be read from its text."""
    assert 5 <= len(passage.sentences) <= 9
    assert passage.document.sentences == tuple(one.text for one in passage.sentences)
    assert passage.entity == passage.document.title
    told = passage.facts
    assert len({fact.relation for fact in told}) == len(told) == of.facts
    assert {fact.entity for fact in told} == {passage.entity}
    assert facts is None or set(told) == set(facts)
    opening = passage.sentences[0]
    assert opening.facts == (Fact(passage.entity, KIND, opening.text.partition(" is a ")[2][:-1]),)
    for i, one in enumerate(passage.sentences):
        before = passage.sentences[i - 1].text if one.text.startswith(WITHOUT_NOUN) else ""
        assert read_claims(f"{before} {one.text}", entity=passage.entity) == set(one.facts)
        assert one.needs_context == (one.about not in one.text)
        assert (one.fails is None) <= bool(one.facts)
        check_refusal(passage, i) if one.fails else None
    rest = len(passage.sentences) - 1 - of.facts
    assert rest <= of.fillers[1] + (of.spread > 0)
    assert rest >= of.fillers[0] - (of.doubles > 0)


def check_refusal(passage, i):
    """A sentence that is not worth asking about fails the criterion that it names."""
    one, true = passage.sentences[i], {fact.relation: fact.value for fact in passage.facts}
    earlier = {fact for before in passage.sentences[:i] if not before.fails for fact in before.facts}
    assert (one.about != passage.entity) == (one.fails == "relevant")
    if one.fails == "new":
        assert set(one.facts) <= earlier and len(one.facts) == 1
    elif one.fails == "relevant":
        assert one.facts[0].entity == one.about and passage.entity not in one.text
    elif one.fails == "clear":
        (held,) = read_claims(HEDGE.sub("", one.text), entity=passage.entity)
        assert HEDGE.search(one.text) and held.value in every_value(held.relation)
        assert held.entity == passage.entity and held.value != true[held.relation]
    else:
        assert one.fails == "informative" and not one.facts


@settings(max_examples=25, deadline=None)
@example(of=WorldSettings(1, 1, facts=2, fillers=(3, 4), doubles=1.0, spread=1.0), seed=0)
@given(of=world_settings(), seed=st.integers(0, 10**6))
def test_any_world_is_what_its_texts_say(of, seed):
    world = make_world(of, seed=seed)
    for passage in every(world):
        check(passage, of)
        assert passage.topic in TOPICS and passage.document.id == f"{passage.topic}/{passage.entity}"
        assert {fact.relation for fact in passage.facts} <= set(TOPICS[passage.topic].relations)
        assert passage.sentences[0].facts[0].value == TOPICS[passage.topic].kind
    for passage in fresh_passages(world, 4, seed=seed, topics=EVERY, mixed=True):
        check(passage, of)
    told = world.domain[0]
    for other in reworded(world, told, 2, seed=seed):
        check(other, of, told.facts)


def test_every_passage_has_rewordings_of_its_own():
    """The layouts (how each sentence is begun, with values and names left out) are not those of its neighbours."""
    world = make_world(replace(SMALL, entities=6), seed=1)
    told = [[_layout(one) for one in reworded(world, passage, 7, seed=3)] for passage in world.domain]
    assert len({layout for own in told for layout in own}) > 0.9 * sum(map(len, told))
    assert told == [[_layout(one) for one in reworded(world, own, 7, seed=3)] for own in world.domain]
    (first, *_) = world.domain
    assert [_layout(one) for one in reworded(world, first, 7, seed=4)] != told[0]
    assert [one.document for one in reworded(world, first, 2, seed=3)] == [
        one.document for one in reworded(world, first, 7, seed=3)[:2]
    ]


def _layout(passage):
    """Each sentence's words but for names, relations and values, and where its facts stand in the passage."""
    places = {fact: k for k, fact in enumerate(sorted(passage.facts))}
    return tuple(
        (one.fails, one.needs_context, " ".join(word for word in one.text.split() if word in SMALL_WORDS),
         tuple(places.get(fact) for fact in one.facts))
        for one in passage.sentences
    )  # fmt: skip


def test_every_kind_of_sentence_comes_up():
    world = make_world(seed=2)
    sentences = [one for passage in every(world) for one in passage.sentences]
    assert {one.fails for one in sentences} == {None, *data.FILLERS}
    assert {len(one.facts) for one in sentences if not one.fails} == {1, 2}
    places = {
        i for p in every(world) for i, one in enumerate(p.sentences) if one.text.startswith(WITHOUT_NOUN)
    }
    assert len(places) > 3
    facts = [one for one in sentences if not one.fails and one.facts[0].relation != KIND]
    assert 0.7 < np.mean([one.needs_context for one in facts]) < 0.9
    lengths = [len(passage.sentences) for passage in every(world)]
    assert min(lengths) >= 6 and max(lengths) == 9
    stated = [one for one in facts if len(one.facts) == 1]
    assert {one.facts[0].relation for one in stated} == set(RELATIONS)


def test_a_world_depends_on_its_seed_only():
    one, again, other = make_world(seed=4), make_world(seed=4), make_world(seed=5)
    assert one == again
    assert not {p.document.text for p in every(one)} & {p.document.text for p in every(other)}
    assert len(one.names & other.names) < 10


def test_a_world_has_the_entities_that_are_asked_for():
    world = make_world(WorldSettings(entities=3, known=2), seed=0)
    assert [len(group) for group in world.passages.values()] == [3] * 4
    assert [len(group) for group in world.known.values()] == [2] * 8
    assert list(world.passages) == [topic.name for topic in DOMAIN]
    assert list(world.known) == [topic.name for topic in GENERAL]
    assert world.domain == tuple(every(world)[:12])
    names = [passage.entity for passage in every(world)]
    assert len(set(names)) == 28 and set(names) == world.names
    assert list(world.by_id().values()) == every(world)
    assert all(set(name.split()) <= set(NAMES) and len(name.split()) == 2 for name in names)


@pytest.mark.parametrize("mixed", [False, True])
def test_fresh_passages_name_nobody_of_the_world(monkeypatch, mixed):
    monkeypatch.setattr(data, "NAMES", NAMES[:7])  # 42 names, 36 of them in the world
    world = make_world(replace(SMALL, entities=5, known=2), seed=1)
    assert len(world.names) == 36
    fresh = list(fresh_passages(world, 60, seed=3, mixed=mixed))
    rewritten = [other for one in world.domain for other in reworded(world, one, 3, seed=1)]
    whole = [*fresh, *rewritten, *every(world)]
    others = {one.about for passage in whole for one in passage.sentences if one.fails == "relevant"}
    assert len(others) > 3 and not others & world.names
    assert not {passage.entity for passage in fresh} & world.names
    for name in world.names:
        assert not any(name in passage.document.text for passage in fresh)


def test_fresh_passages_come_from_their_seed_and_topics_in_turn():
    world = make_world(SMALL, seed=0)
    found = list(fresh_passages(world, 20, seed=1))
    assert found == list(fresh_passages(world, 20, seed=1)) != list(fresh_passages(world, 20, seed=2))
    assert found[:5] == list(fresh_passages(world, 5, seed=1))
    assert [one.topic for one in found] == [GENERAL[row % 8].name for row in range(20)]
    assert len({one.document.id for one in found}) == 20
    assert list(fresh_passages(world, 0, seed=1)) == []


def test_mixed_passages_have_any_relations_and_words_of_two_topics():
    world = make_world(SMALL, seed=0)
    nouns = tuple(list(RELATIONS)[5:14])
    told = list(fresh_passages(world, 120, seed=1, mixed=True, nouns=nouns))
    own = {fact.relation for passage in told for fact in passage.facts}
    assert own == set(nouns)
    stated = {one.relation for p in told for s in p.sentences for one in s.facts} - {KIND}
    assert stated == set(nouns)  # in fillers too
    kinds = {passage.sentences[0].facts[0].value for passage in told}
    general = [topic.kind.split() for topic in GENERAL]
    assert kinds <= {f"{like} {noun}" for like, _ in general for _, noun in general}
    assert len(kinds - {topic.kind for topic in GENERAL}) > 20
    for topic in DOMAIN:
        assert not any(topic.noun in passage.document.text.split() for passage in told)
    with pytest.raises(ValueError, match="nouns are fuel, power, expected six or more"):
        next(fresh_passages(world, 1, seed=0, mixed=True, nouns=("fuel", "power")))


def test_rewordings_differ_and_begin_alike():
    world = make_world(SMALL, seed=3)
    for passage in world.domain:
        found = reworded(world, passage, 6, seed=2)
        assert found == reworded(world, passage, 6, seed=2) != reworded(world, passage, 6, seed=3)
        assert found[:2] == reworded(world, passage, 2, seed=2)
        assert len({one.document.text for one in (passage, *found)}) == 7
        assert {one.document.id for one in found} == {passage.document.id}
        assert {one.topic for one in found} == {passage.topic}
        assert reworded(world, passage, 0, seed=2) == []


def test_a_wrong_value_is_another_of_the_same_relation():
    rng = np.random.default_rng(0)
    found = {draw_fact("A", "town", rng, other_than="Ulm").value for _ in range(400)}
    assert found == set(every_value("town")) - {"Ulm"}
    found = {draw_fact("A", "dose", rng).value for _ in range(1500)}
    assert found == set(every_value("dose"))


def test_names_are_drawn_without_repetition():
    rng = np.random.default_rng(0)
    taken = frozenset(new_names(300, rng, frozenset()))
    others = new_names(3000, rng, taken)
    assert len(taken) == 300 and len(set(others)) == 3000 and not taken & set(others)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"entities": 0}, "entities and known from 1"),
        ({"known": 0}, "entities and known from 1"),
        ({"facts": 1}, "facts from 2 to 6"),
        ({"facts": 7}, "facts from 2 to 6"),
        ({"entities": 2000}, "8032 entities are wanted, but there are names for 7140"),
        ({"pronouns": 1.1}, "shares from 0 to 1"),
        ({"doubles": -0.1}, "shares from 0 to 1"),
        ({"spread": float("nan")}, "shares from 0 to 1"),
        ({"fillers": (2, 1)}, "the fewest and the most"),
        ({"fillers": (-1, 1)}, "the fewest and the most"),
        ({"fillers": (1, 2, 3)}, "the fewest and the most"),
        ({"facts": 3, "fillers": (0, 3)}, "5 to 9 sentences"),
        ({"facts": 6, "fillers": (2, 2)}, "5 to 9 sentences"),
    ],
)
def test_impossible_worlds_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        WorldSettings(**wrong)
