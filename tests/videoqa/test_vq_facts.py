from itertools import product

import numpy as np
import pytest

from msig_lib.videoqa.data import ClipSettings, Event, Scene, Thing
from msig_lib.videoqa.drawing import draw_scenes
from msig_lib.videoqa.facts import CLIP, RELATIONS, Claim, claims_of, contradicts, timeline, wrong

RED = Thing("circle", "red", "small", "right", 1.2, 0, 10, (5.0, 9.0), "green", 4)
BLUE = Thing("square", "blue", "large", "up", 3.0, 2, 10, (20.0, 40.0))
GREY = Thing("cross", "yellow", "small", "still", 0.0, 0, 10, (9.0, 9.0))
EVENTS = (
    Event(2, "enter", 1, "bottom"),
    Event(4, "change", 0, "green"),
    Event(4, "behind", 0, "yellow cross"),
    Event(6, "bounce", 1, "top"),
    Event(8, "bounce", 1, "bottom"),
)
SCENE = Scene((RED, BLUE, GREY), EVENTS, "black")


@pytest.fixture(scope="module")
def scenes():
    return draw_scenes(60, ClipSettings(), np.random.default_rng(0))


def test_all_claims_of_a_scene_by_hand():
    said = {
        "clip": {"background": "black", "things": "3"},
        "red circle": {
            "size": "small",
            "moves": "right",
            "speed": "slow",
            "bounces": "0",
            "becomes": "green",
            "behind": "yellow cross",
        },
        "blue square": {"size": "large", "moves": "up", "speed": "fast", "bounces": "2", "enters": "bottom"},
        "yellow cross": {"size": "small", "moves": "still"},
    }
    order = [
        ("blue square enters", "red circle changes"),
        ("blue square enters", "red circle hides"),
        ("blue square enters", "blue square bounces"),
        ("red circle changes", "blue square bounces"),
        ("red circle hides", "blue square bounces"),
    ]
    expected = {Claim(s, r, v) for s, of in said.items() for r, v in of.items()}
    assert claims_of(SCENE) == expected | {Claim(a, "before", b) for a, b in order}
    assert timeline(SCENE) == (
        ("blue square enters",),
        ("red circle changes", "red circle hides"),
        ("blue square bounces",),
    )


@pytest.mark.parametrize(
    ("claim", "false"),
    [
        (Claim("red circle", "moves", "left"), True),
        (Claim("red circle", "enters", "left"), True),  # it does not enter
        (Claim("green circle", "size", "small"), True),  # it is called by the colour it starts with
        (Claim("yellow cross", "bounces", "0"), False),  # right, though claims_of does not say it
        (Claim("yellow cross", "bounces", "1"), True),
        (Claim("purple cross", "bounces", "0"), True),
        (Claim("yellow cross", "speed", "slow"), True),
        (Claim("red circle changes", "before", "red circle hides"), False),  # in the same frame: neither
        (Claim("red circle hides", "before", "red circle changes"), False),
        (Claim("red circle changes", "before", "blue square enters"), True),
        (Claim("red circle leaves", "before", "blue square enters"), True),
        (Claim(CLIP, "things", "3"), False),
        (Claim(CLIP, "things", "2"), True),
    ],
)
def test_what_contradicts_a_scene_by_hand(claim, false):
    assert contradicts(claim, SCENE) is false


def test_no_right_claim_is_contradicted_and_every_wrong_one_is(scenes):
    for scene in scenes:
        right = claims_of(scene)
        assert not any(contradicts(claim, scene) for claim in right)
        for claim in right:
            turned = wrong(claim, scene)
            assert all(contradicts(other, scene) and other.relation == claim.relation for other in turned)
            assert turned or claim.relation == "behind"
            assert len(set(turned)) == len(turned) and not right & {*turned}


def test_every_value_of_every_relation_is_right_or_contradicted(scenes):
    for scene, (relation, values) in product(scenes[:20], RELATIONS.items()):
        subjects = [CLIP] if relation in ("background", "things") else [thing.name for thing in scene.things]
        for subject, value in product(subjects, values or ()):
            claim = Claim(subject, relation, value)
            still = relation == "bounces" and value == "0"
            assert contradicts(claim, scene) != (claim in claims_of(scene)) or still


def test_a_right_order_has_no_circle(scenes):
    for scene in scenes:
        order = {(c.subject, c.value) for c in claims_of(scene) if c.relation == "before"}
        assert not order & {(b, a) for a, b in order}
        assert {(a, d) for (a, b), (c, d) in product(order, order) if b == c} <= order


def test_wrong_claims_by_hand():
    assert wrong(Claim("red circle", "moves", "right"), SCENE) == tuple(
        Claim("red circle", "moves", way) for way in ("left", "up", "down", "still")
    )
    assert {claim.value for claim in wrong(Claim("red circle", "becomes", "green"), SCENE)} == {
        "blue",
        "yellow",
        "purple",
        "orange",
    }
    assert wrong(Claim("red circle", "behind", "yellow cross"), SCENE) == (
        Claim("red circle", "behind", "blue square"),
    )
    a, b = "blue square enters", "red circle hides"
    assert wrong(Claim(a, "before", b), SCENE) == (Claim(b, "before", a),)


def test_an_unknown_relation_is_refused():
    for check in (contradicts, wrong):
        with pytest.raises(ValueError, match="no relation 'likes'"):
            check(Claim("red circle", "likes", "right"), SCENE)
