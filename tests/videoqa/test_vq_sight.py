"""Eyes for single frames: what frames show is right by their pixels, and the tower learns it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from msig_lib.videoqa import sight
from msig_lib.videoqa.data import COLOURS, SHAPES, SIZES, ClipSettings, make_clips
from msig_lib.videoqa.model import VideoLearner, VideoSettings
from msig_lib.videoqa.render import BACKGROUNDS, PALETTE

SMALL = VideoSettings(tower_width=32, width=32, layers=1, heads=2, stem=((6, 5, 4),))
CLIPS = make_clips(40, ClipSettings(noise=0, tint=0), seed=3)
SEEN = sight.seen(CLIPS.scenes, frames=10, size=32)
FRAMES = CLIPS.frames.reshape(-1, 32, 32, 3)


def test_a_colour_is_there_when_its_pixels_are():
    for k, colour in enumerate(COLOURS):
        pixels = (FRAMES == np.array(PALETTE[colour])).all(3).any((1, 2))
        assert not (pixels & ~SEEN.there[:, k]).any()  # what is seen is there
        hidden = SEEN.there[:, k] & ~pixels  # behind another, or with its rim alone in the picture
        assert hidden.sum() < 0.1 * SEEN.there[:, k].sum()


def test_places_are_the_middle_of_the_pixels_of_things_that_are_whole_and_alone():
    compared = 0
    for n in range(len(FRAMES)):
        if SEEN.there[n].sum() != 1:
            continue
        (k,) = np.flatnonzero(SEEN.there[n])
        y, x = np.nonzero((FRAMES[n] == np.array(PALETTE[COLOURS[k]])).all(2))
        if (
            SHAPES[SEEN.shape[n, k]] == "triangle"
            or min(x.min(), y.min()) == 0
            or max(x.max(), y.max()) == 31
        ):
            continue
        assert abs(x.mean() - SEEN.x[n, k]) <= 0.51 and abs(y.mean() - SEEN.y[n, k]) <= 0.51
        assert (len(x) > 60) == (
            SIZES[SEEN.size[n, k]] == "large" and SHAPES[SEEN.shape[n, k]] != "cross"
        ) or (SHAPES[SEEN.shape[n, k]] == "cross")
        compared += 1
    assert compared > 30


def test_backgrounds_are_those_of_the_scenes():
    assert [BACKGROUNDS[k] for k in SEEN.background[::10]] == [scene.background for scene in CLIPS.scenes]


def test_a_tower_learns_what_frames_show_and_depends_on_its_seed_alone():
    clips, other = make_clips(120, seed=5), make_clips(20, seed=6)
    before = sight.abilities(clips, other, sight.SightSettings(steps=1), seed=0, video=SMALL)
    after = sight.abilities(clips, other, sight.SightSettings(steps=150), seed=0, video=SMALL)
    assert after["background"] > 0.9 and after["x"] > before["x"] + 0.05
    state = torch.random.get_rng_state()
    how = sight.SightSettings(steps=2, batch=8)
    one, two, three = (sight.train_tower(clips, how, seed=s, video=SMALL)[0] for s in (0, 0, 1))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["projection.weight"], three["projection.weight"])
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("tokens", [1, 4])
def test_a_learner_with_the_tower_sees_in_each_frame_what_the_tower_sees_in_it_alone(tokens):
    video = VideoSettings(tower_width=32, width=32, layers=1, heads=2, stem=((6, 5, 2),), tokens=tokens)
    eyes, _ = sight._train(make_clips(20, seed=5), sight.SightSettings(steps=2, batch=8), 0, video)
    weights = {name: value.numpy() for name, value in eyes.tower.state_dict().items()}
    learner = VideoLearner.new(["red"], video, seed=0)
    sight.with_tower(learner.model, weights)
    pixels = torch.from_numpy(CLIPS.frames[:2]).permute(0, 4, 1, 2, 3).flatten(2, 3).float() / 127.5 - 1
    alone = torch.from_numpy(FRAMES[:20]).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        strip = learner.model.model.vision_tower(pixels).last_hidden_state
        single = eyes.tower(alone).last_hidden_state
    assert torch.allclose(strip.reshape(20, tokens, 32), single, atol=1e-5)
