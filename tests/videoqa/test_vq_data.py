from dataclasses import replace

import numpy as np
import pytest

from msig_lib.videoqa.data import (
    DIFFERENT,
    EVENTS,
    HELD_OUT,
    SUBSETS,
    Clips,
    ClipSettings,
    make_clips,
    make_world,
)
from msig_lib.videoqa.drawing import draw_scenes
from msig_lib.videoqa.render import PALETTE, RADIUS, SHAPES, SIZES, _stamps

CLEAN = ClipSettings(things=(1, 3), noise=0, tint=0)


@pytest.fixture(scope="module")
def clips():
    return make_clips(400, CLEAN, seed=0)


@pytest.fixture(scope="module")
def world():
    return make_world({"train": 60, "dev": 5, "test-in": 30, "test-out": 30}, seed=3)


def pixels(frames, colour):
    """How many pixels of a colour each frame has, and half-way between their ends (x, y): a triangle's mean is off."""
    on = (frames == np.array(PALETTE[colour])).all(axis=-1)
    middle = np.full((len(frames), 2), np.nan)
    for place in np.flatnonzero(on.any(axis=(1, 2))):
        y, x = np.nonzero(on[place])
        middle[place] = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
    return on.sum(axis=(1, 2)), middle


def area(thing):
    """How many pixels a thing has."""
    return _stamps()[SIZES.index(thing.size) * len(SHAPES) + SHAPES.index(thing.shape)].sum()


def events_of(scene, k, kind):
    return [event for event in scene.events if event.thing == k and event.kind == kind]


def test_what_is_said_of_lone_things_is_read_off_the_pixels(clips):
    """Colours, paths, speeds, entering, leaving and bounces: an independent reader of clips of one thing."""
    lone = [i for i, scene in enumerate(clips.scenes) if len(scene.things) == 1]
    assert len(lone) > 80
    for i in lone:
        scene, (thing,) = clips.scenes[i], clips.scenes[i].things
        first, middle = pixels(clips.frames[i], thing.colour)
        if thing.becomes:
            after, later = pixels(clips.frames[i], thing.becomes)
            assert (after[: thing.changes] == 0).all() and (first[thing.changes :] == 0).all()
            assert [e.frame for e in events_of(scene, 0, "change")] == [thing.changes]
            first, middle = first + after, np.where(after[:, None] > 0, later, middle)
        there = np.flatnonzero(first)
        assert (there[0] == 0) == (thing.enters == 0) and (there[-1] == 9) == (thing.leaves == 10)
        assert thing.enters - 6 <= there[0] <= thing.enters and thing.leaves - 1 <= there[-1]
        x, y = np.diff(middle[first == first.max()], axis=0).T  # the frames that show all of it
        if thing.path == "still":
            assert not x.any() and not y.any()
            continue
        moved, rest = (x, y) if thing.path in ("left", "right") else (y, x)
        assert not rest.any()
        turns = (np.diff(np.sign(moved[moved != 0])) != 0).sum()
        bounces = events_of(scene, 0, "bounce")
        assert turns == len(bounces)
        if len(moved) > 1 and not bounces:
            assert np.sign(moved.sum()) == (1 if thing.path in ("right", "down") else -1)
            assert abs(moved.mean()) == pytest.approx(thing.speed, abs=1 / len(moved) + 0.01)
        for event in bounces:
            edge = {"left": 0, "top": 0, "right": 31, "bottom": 31}[event.detail]
            where = middle[event.frame][0 if event.detail in ("left", "right") else 1]
            assert abs(where - edge) <= RADIUS[thing.size] + thing.speed + 1


def test_things_differ_in_colour_and_events_are_in_order_and_of_their_thing(clips):
    kinds = set()
    for scene in clips.scenes:
        colours = [c for thing in scene.things for c in (thing.colour, thing.becomes) if c]
        assert len(set(colours)) == len(colours)
        assert [event.frame for event in scene.events] == sorted(event.frame for event in scene.events)
        for k, thing in enumerate(scene.things):
            assert [e.frame for e in events_of(scene, k, "enter")] == [thing.enters] * (thing.enters > 0)
            assert [e.frame for e in events_of(scene, k, "leave")] == [thing.leaves] * (thing.leaves < 10)
            assert thing.pace == ("" if thing.speed == 0 else "slow" if thing.speed < 2 else "fast")
            for event in events_of(scene, k, "behind"):
                assert event.detail in {front.name for front in scene.things[k + 1 :]}
        kinds |= {event.kind for event in scene.events}
    assert kinds == set(EVENTS)
    assert {len(scene.things) for scene in clips.scenes} == {1, 2, 3}


def test_a_thing_loses_pixels_when_it_goes_behind_another_and_only_then(clips):
    for i, scene in enumerate(clips.scenes):
        for k, thing in enumerate(scene.things):
            if len(scene.things) > 2 or thing.enters or thing.leaves < 10 or thing.becomes:
                continue
            count, _ = pixels(clips.frames[i], thing.colour)
            behind = events_of(scene, k, "behind")
            lost = count < 0.65 * area(thing) + 1e-9
            assert lost.any() == bool(behind)
            assert not behind or np.flatnonzero(lost)[0] == behind[0].frame


def test_held_out_pairs_are_seen_in_one_subset_only(world):
    assert set(HELD_OUT) == set(PALETTE)
    for name, part in world.items():
        things = [thing for scene in part.scenes for thing in scene.things]
        seen = {(c, thing.shape) for thing in things for c in (thing.colour, thing.becomes) if c}
        held = seen & set(HELD_OUT.items())
        if name == "test-out/combinations":
            assert all(HELD_OUT[thing.colour] == thing.shape for thing in things)
        else:
            assert not held


def test_each_subset_is_what_its_name_says(world):
    assert list(world) == ["train", "dev", *(f"{p}/{name}" for p in SUBSETS for name in SUBSETS[p])]
    assert set(DIFFERENT) == {name for names in SUBSETS.values() for name in names}
    assert all(part.split == name for name, part in world.items())
    for name, kinds in {
        "arrivals": ("enter", "leave"),
        "walls": ("bounce",),
        "crossings": ("behind",),
    }.items():
        for scene in world[f"test-in/{name}"].scenes:
            assert {event.kind for event in scene.events} & set(kinds)
    assert all(any(t.becomes for t in scene.things) for scene in world["test-in/changes"].scenes)
    assert {len(scene.things) for scene in world["test-out/crowded"].scenes} == {3, 4}
    assert {scene.background for scene in world["test-out/backgrounds"].scenes} == {"white", "checked"}
    assert {scene.background for scene in world["train"].scenes} == {"black", "grey"}
    speeds = {n: [t.speed for s in world[n].scenes for t in s.things] for n in ("train", "test-out/faster")}
    assert max(speeds["test-out/faster"]) > max(speeds["train"]) + 0.5


def test_clips_depend_on_the_seed_and_the_split_only(world):
    again = make_world({"dev": 5, "test-in": 30}, seed=3)
    for name, part in again.items():
        assert (part.frames == world[name].frames).all() and part.scenes == world[name].scenes
    other = make_world({"dev": 5}, seed=4)["dev"]
    assert other.scenes != world["dev"].scenes
    assert make_clips(0, seed=0).frames.shape == (0, 10, 32, 32, 3)


def test_a_subset_of_clips_has_their_frames_and_scenes(clips):
    part = clips.subset([3, 1])
    assert part.scenes == (clips.scenes[3], clips.scenes[1]) and (part.frames[0] == clips.frames[3]).all()
    assert len(clips.subset(np.arange(400) < 7)) == 7 and len(clips.subset([])) == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"frames": 3}, "frames is 3"),
        ({"size": 32.0}, "size is 32.0"),
        ({"things": (2, 1)}, "things is"),
        ({"things": (1, 5)}, "things is"),
        ({"slow": (1.0, 2.5)}, "slow is"),
        ({"backgrounds": ("pink",)}, "backgrounds is"),
        ({"happens": ("dance",)}, "happens is"),
        ({"happens": ("behind",)}, "one thing"),
        ({"still": 1.0}, "still in"),
    ],
)
def test_settings_that_cannot_be_drawn_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        ClipSettings(**given)


def test_other_mistakes_are_told(clips):
    with pytest.raises(ValueError, match="expected 0 or more"):
        make_clips(-1, seed=0)
    with pytest.raises(ValueError, match="sizes has"):
        make_world({"test": 3}, seed=0)
    with pytest.raises(ValueError, match="expected uint8"):
        Clips(clips.frames[:2], clips.scenes[:1])
    with pytest.raises(ValueError, match="proposed scenes suit"):
        draw_scenes(1, replace(CLEAN, changing=0, happens=("change",)), np.random.default_rng(0))
