from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.videoqa.captions import (
    CLAUSES,
    VOCABULARY,
    Captioner,
    caption,
    check_caption,
    evaluate_caption,
    normal,
    read_caption,
    words_in,
    write_caption,
)
from msig_lib.videoqa.data import COLOURS, SHAPES, VERBS, make_clips
from msig_lib.videoqa.facts import CLIP, RELATIONS, Claim, claims_of, contradicts

NAMES = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
EVENTS = st.builds("{} {}".format, st.sampled_from(NAMES), st.sampled_from(sorted(VERBS.values())))


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    relation = draw(st.sampled_from(sorted(RELATIONS)))
    if relation == "before":
        return Claim(draw(EVENTS), relation, draw(EVENTS))
    subject = CLIP if relation in ("things", "background") else draw(st.sampled_from(NAMES))
    return Claim(subject, relation, draw(st.sampled_from(RELATIONS[relation] or NAMES)))


@pytest.fixture(scope="module")
def scenes():
    return make_clips(60, seed=3).scenes


@settings(max_examples=60, deadline=None)
@given(st.frozensets(claims(), max_size=12), st.integers(0, 9))
def test_reading_gives_back_any_claims_that_were_written(said, seed):
    text = write_caption(said, np.random.default_rng(seed))
    assert read_caption(text) == said
    assert read_caption(text.replace(" ,", ",").replace(" .", ".\n").title()) == said
    assert set(text.split()) <= set(VOCABULARY) and text == normal(text)


def test_a_caption_reads_as_english():
    said = [
        Claim("red circle", "moves", "still"),
        Claim("red circle", "bounces", "1"),
        Claim(CLIP, "things", "1"),
        Claim("red circle enters", "before", "red circle hides"),
        Claim("red circle enters", "before", "red circle leaves"),
        Claim("red circle", "behind", "blue square"),
    ]
    assert write_caption(said) == (
        "the clip shows 1 thing . the red circle stays still , bounces 1 time , goes behind the blue square . "
        "the red circle enters before the red circle hides , the red circle leaves ."
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "nothing to see",
        "the red circle",
        "the red circle flies .",
        "the dog is small .",
        "the clip",
    ],
)
def test_what_no_sentence_says_is_passed_over(text):
    assert read_caption(text) == frozenset()
    good = "the red circle is small ."
    assert read_caption(f"{text} . {good}") == {Claim("red circle", "size", "small")}


@pytest.mark.parametrize(
    "claim",
    [
        Claim("red circle", "likes", "cheese"),
        Claim("dog", "size", "small"),
        Claim("red circle", "size", "huge"),
        Claim("red circle", "before", "blue square"),
    ],
)
def test_a_claim_that_cannot_be_said_is_refused(claim):
    with pytest.raises(ValueError, match="RELATIONS"):
        write_caption([claim])


def test_an_errorless_caption_says_all_of_a_scene(scenes):
    assert set(CLAUSES) | {"before"} == set(RELATIONS)
    for scene in scenes:
        assert read_caption(caption(scene)) == claims_of(scene)
        assert evaluate_caption(caption(scene, np.random.default_rng(0)), scene) == 6
    assert Captioner(seed=1).claims(scenes[0]) == claims_of(scenes[0])


def test_lower_rates_are_nested_in_higher_ones_and_met(scenes):
    right = [claims_of(scene) for scene in scenes]
    wrong_before: list[frozenset[Claim]] = [frozenset()] * len(scenes)
    for rate in (0.25, 0.5, 1.0):
        said = [Captioner(rate, seed=5).claims(scene) for scene in scenes]
        wrong = [a - b for a, b in zip(said, right)]
        assert all(before <= now for before, now in zip(wrong_before, wrong))
        assert all(contradicts(claim, scene) for own, scene in zip(wrong, scenes) for claim in own)
        assert sum(map(len, wrong)) / sum(map(len, right)) == pytest.approx(rate, abs=0.08)
        wrong_before = wrong
    kept_before = right
    for rate in (0.25, 0.5, 1.0):
        kept = [Captioner(omission=rate, seed=5).claims(scene) for scene in scenes]
        assert all(now <= before for before, now in zip(kept_before, kept))
        assert sum(map(len, kept)) / sum(map(len, right)) == pytest.approx(1 - rate, abs=0.08)
        kept_before = kept


def test_a_caption_depends_on_the_seed_and_the_scene_only(scenes):
    captioner = Captioner(0.3, 0.2, seed=2)
    texts = captioner.write(scenes)
    assert texts == Captioner(0.3, 0.2, seed=2).write(scenes)
    assert captioner.write([scenes[7], scenes[3]]) == [texts[7], texts[3]]
    assert texts != Captioner(0.3, 0.2, seed=3).write(scenes)
    assert [read_caption(text) for text in texts] == [captioner.claims(scene) for scene in scenes]
    assert words_in(texts[:1]) == len(texts[0].split())
    assert np.isnan(words_in([]))


def test_a_rating_falls_with_what_is_missing_and_drops_by_three_or_more_with_invention(scenes):
    scene = max(scenes, key=lambda one: len(claims_of(one)))
    right = sorted(claims_of(scene))
    n = len(right)
    for kept, rating in ((n, 6), (round(0.8 * n), 5), (round(0.5 * n), 4), (1, 3), (0, 3)):
        text = write_caption(right[:kept])
        check = check_caption(text, scene)
        assert check.coverage == pytest.approx(kept / n)
        assert check.rating == rating and not check.invented and len(check.missing) == n - kept
        thing = scene.things[0]
        false = Claim(thing.name, "size", "small" if thing.size == "large" else "large")
        spoiled = check_caption(write_caption([*right[:kept], false]), scene)
        assert spoiled.invented == {false}
        assert spoiled.rating == {6: 2, 5: 2, 4: 1, 3: 0}[rating]
    assert evaluate_caption("the dog runs .", scene) == 3
    assert replace(check, right=frozenset(), missing=frozenset()).coverage == 0


@pytest.mark.parametrize("rates", [(-0.1, 0), (1.1, 0), (0, 2), (float("nan"), 0)])
def test_impossible_rates_are_refused(rates):
    with pytest.raises(ValueError, match="expected a rate"):
        Captioner(*rates, seed=0)
