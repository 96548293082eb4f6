from collections import Counter
from itertools import combinations

import pytest

from msig_lib.videoqa.data import VERBS, ClipSettings, make_clips
from msig_lib.videoqa.facts import Claim, claims_of
from msig_lib.videoqa.questions import (
    GAP,
    KINDS,
    ONE_FRAME,
    VOCABULARY,
    answer_statistics,
    ask,
    questions_from,
)


@pytest.fixture(scope="module")
def clips():
    return make_clips(500, ClipSettings(things=(2, 3)), seed=0)


@pytest.fixture(scope="module")
def questions(clips):
    return ask(clips, 180, seed=1)


def first_frames(scene):
    """The frame of the first event of each kind of each thing, as (name, verb)."""
    out = {}
    for event in reversed(scene.events):
        out[scene.things[event.thing].name, VERBS[event.kind]] = event.frame
    return out


def solved(question, scene):
    """The answer by the scene's numbers alone: an independent solver."""
    words = question.text.split()
    named = [t for t in scene.things if t.name in question.text]
    kind, frames = question.kind, first_frames(scene)
    if kind == "direction":
        return named[0].path
    if kind == "size":
        return named[0].size
    if kind == "bounces":
        k = scene.things.index(named[0])
        return str(sum(event.kind == "bounce" and event.thing == k for event in scene.events))
    if kind == "faster":
        return max(named, key=lambda thing: thing.speed).name
    if kind == "change":
        (thing,) = [t for t in scene.things if t.shape == words[3]]
        return f"{thing.colour} to {thing.becomes}"
    if kind == "order":
        events = [" ".join(words[i : i + 3]) for i in (4, 8)]
        return min(events, key=lambda e: frames[e.rsplit(" ", 1)[0], e.split()[-1]])
    if kind == "first":
        return min((t for t in scene.things if t.enters), key=lambda t: t.enters).name
    verb = {"behind": "hides", "leaves": "leaves"}[kind]
    (name,) = [name for name, done in frames if done == verb]
    return name


def test_answers_are_those_of_an_independent_solver(clips, questions):
    assert Counter(q.kind for q in questions) == dict.fromkeys(KINDS, 20)
    for question in questions:
        scene = clips.scenes[question.clip]
        assert question.answer == solved(question, scene)
        assert question.claims and set(question.claims) <= claims_of(scene)


def test_no_two_questions_are_alike_and_all_words_are_in_the_vocabulary(questions):
    assert len({(q.clip, q.text) for q in questions}) == len(questions)
    words = {word for q in questions for word in f"{q.text} {q.answer}".split()}
    assert words <= set(VOCABULARY) and len(set(VOCABULARY)) == len(VOCABULARY)
    assert set(ONE_FRAME) < set(KINDS) and len(KINDS) - len(ONE_FRAME) >= 6


def test_events_that_are_compared_are_apart_in_time(clips, questions):
    compared = [q for q in questions if q.kind in ("order", "first")]
    for question in compared:
        frames = first_frames(clips.scenes[question.clip])
        for claim in question.claims:
            first, then = (frames[e.rsplit(" ", 1)[0], e.split()[-1]] for e in (claim.subject, claim.value))
            assert then - first >= GAP


def test_balance_makes_answers_hard_to_guess(clips):
    for kind, most in (("bounces", 0.6), ("direction", 0.4), ("size", 0.6)):
        with_it, without = (ask(clips, 150, (kind,), seed=2, balance=b) for b in (True, False))
        (share,) = answer_statistics(with_it).accuracy
        assert share < most
        if kind == "bounces":
            assert share < answer_statistics(without).accuracy.item() - 0.1
    order = ask(clips, 200, ("faster",), seed=2)
    first = sum(q.text.index(q.answer) < 20 for q in order)
    assert 70 < first < 130


def test_the_same_seed_gives_the_same_questions(clips, questions):
    assert ask(clips, 180, seed=1) == questions
    assert ask(clips, 180, seed=2) != questions


def test_questions_follow_from_claims_also_from_wrong_and_from_few():
    claims = [
        Claim("red circle", "moves", "right"),
        Claim("red circle", "becomes", "blue"),
        Claim("green square", "leaves", "top"),
        Claim("green square", "moves", "still"),
        Claim("green square leaves", "before", "red circle changes"),
    ]
    found = {(q.kind, q.text): q.answer for q in questions_from(claims, clip=7)}
    assert found == {
        ("direction", "which way does the red circle move first ?"): "right",
        ("change", "how does the circle change its colour ?"): "red to blue",
        ("leaves", "which one leaves ?"): "green square",
        ("order", "which is first , green square leaves or red circle changes ?"): "green square leaves",
        ("order", "which is first , red circle changes or green square leaves ?"): "green square leaves",
    }
    assert {q.clip for q in questions_from(claims, clip=7)} == {7} and not questions_from([])


def test_what_enters_first_is_asked_only_when_the_claims_tell():
    names = ["red circle", "blue square", "green cross"]
    enters = [Claim(name, "enters", "left") for name in names]
    order = [Claim(f"{a} enters", "before", f"{b} enters") for a, b in combinations(names, 2)]
    (question,) = questions_from(enters + order, ("first",))
    assert question.answer == "red circle" and set(question.claims) == {*order[:2]}
    assert not questions_from(enters + order[1:], ("first",))
    assert not questions_from(enters[:1], ("first",))


def test_mistakes_are_told(clips):
    for kinds in ("order", (), ("colour",)):
        with pytest.raises(ValueError, match="kinds is"):
            ask(clips, 3, kinds, seed=0)
    with pytest.raises(ValueError, match="expected 0 or more"):
        ask(clips, -1, seed=0)
    with pytest.raises(ValueError, match="make more clips"):
        ask(clips.subset([0]), 50, ("size",), seed=0)
    assert ask(clips, 0, seed=0) == []
