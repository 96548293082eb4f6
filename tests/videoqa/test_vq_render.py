from dataclasses import replace

import numpy as np
import pytest

from msig_lib.videoqa.data import PATHS, ClipSettings, make_clips
from msig_lib.videoqa.drawing import draw_scenes
from msig_lib.videoqa.render import (
    CHUNK,
    COLOURS,
    PALE,
    PALETTE,
    RADIUS,
    _stamps,
    covered,
    positions,
    render,
)

CLEAN = ClipSettings(noise=0, tint=0)


def walk(thing, frames=10, size=32, parts=100):
    """Where a thing is, by small steps: an independent reckoning."""
    step = dict(right=(1, 0), left=(-1, 0), up=(0, -1), down=(0, 1), still=(0, 0))[thing.path]
    at, way = np.array(thing.start), np.array(step, dtype=float)
    low, high = RADIUS[thing.size], size - 1 - RADIUS[thing.size]
    out = [at.copy()]
    for _ in range(frames - 1):
        for _ in range(parts):
            at += way * thing.speed / parts
            outward = ((at > high) & (way > 0)) | ((at < low) & (way < 0))
            if thing.leaves == frames and outward.any():
                way = -way
        out.append(at.copy())
    return np.array(out)


def test_things_are_where_small_steps_lead_them():
    scenes = draw_scenes(30, replace(CLEAN, fast=(4.4, 5.4)), np.random.default_rng(0))
    for thing in [thing for scene in scenes for thing in scene.things]:
        found = positions(
            np.array(thing.start),
            np.array(PATHS.index(thing.path)),
            np.array(thing.speed),
            np.array(RADIUS[thing.size]),
            np.array(thing.leaves == 10),
            frames=10,
            size=32,
        )
        np.testing.assert_allclose(found, walk(thing), atol=0.2)


def test_without_disturbance_the_pixels_are_the_things_and_nothing_else():
    clips = make_clips(CHUNK + 4, CLEAN, seed=1)
    for frames, scene in zip(clips.frames, clips.scenes):
        expected = np.broadcast_to(np.uint8(PALE[scene.background][0]), frames.shape).copy()
        for thing in scene.things:  # the last one in front
            kind = list(RADIUS).index(thing.size) * 4 + ("circle", "square", "triangle", "cross").index(
                thing.shape
            )
            for f, (x, y) in enumerate(np.rint(walk(thing)).astype(int)):
                colour = thing.becomes if thing.becomes and f >= thing.changes else thing.colour
                for v, u in zip(*np.nonzero(_stamps()[kind])):
                    if 0 <= y + v - 5 < 32 and 0 <= x + u - 5 < 32:
                        expected[f, y + v - 5, x + u - 5] = PALETTE[colour]
        # Small steps and one formula may round a centre that lies half-way to different pixels.
        assert (frames != expected).any(axis=-1).mean() < 0.02
        seen = {tuple(shade) for shade in frames.reshape(-1, 3)}
        own = {PALETTE[c] for t in scene.things for c in (t.colour, t.becomes) if c}
        assert seen - {(PALE[scene.background][0],) * 3} <= own


def test_what_is_covered_is_what_two_pictures_tell():
    rng = np.random.default_rng(2)
    kind = rng.integers(0, 8, size=(40, 2))
    centres = rng.uniform(-3, 35, size=(40, 2, 3, 2))
    found = covered(centres, kind, size=32)
    assert (found[..., 1, 0] == 0).all() and (found[..., 0, 0] == 0).all() and (found > 0.2).any()
    for s in range(40):
        for f in range(3):
            canvas = np.zeros((2, 60, 60), dtype=bool)  # 14 pixels around the picture
            for k, (x, y) in enumerate(np.rint(centres[s, :, f]).astype(int)):
                canvas[k, y + 9 : y + 20, x + 9 : x + 20] = _stamps()[kind[s, k]]
            both = (canvas[0] & canvas[1])[14:46, 14:46].sum()
            assert found[s, f, 0, 1] == pytest.approx(both / canvas[0].sum())


def test_stamps_differ_and_are_as_wide_as_their_radius_says():
    stamps = _stamps()
    assert len({stamp.tobytes() for stamp in stamps}) == 8
    for i, stamp in enumerate(stamps):
        radius = list(RADIUS.values())[i // 4]
        assert np.ptp(np.nonzero(stamp)[0]) == np.ptp(np.nonzero(stamp)[1]) == 2 * radius


def test_noise_has_the_asked_deviation_and_tint_moves_whole_colours():
    scenes = draw_scenes(40, CLEAN, np.random.default_rng(3))
    clean = render(scenes, CLEAN, np.random.default_rng(0))
    noisy = render(scenes, replace(CLEAN, noise=9.0), np.random.default_rng(0))
    middle = (clean > 45) & (clean < 210)  # at the ends of the scale the noise is cut off
    difference = noisy.astype(int)[middle] - clean[middle]
    assert abs(difference.mean()) < 0.1 and abs(difference.std() - 9) < 0.1
    tinted = render(scenes, replace(CLEAN, tint=10), np.random.default_rng(0)).astype(int)
    assert 5 < abs(tinted - clean).max() <= 10
    assert len(np.unique(tinted[0].reshape(-1, 3), axis=0)) == len(np.unique(clean[0].reshape(-1, 3), axis=0))


def test_the_same_generator_state_gives_the_same_pixels_and_no_scenes_give_none():
    scenes = draw_scenes(5, CLEAN, np.random.default_rng(4))
    settings = ClipSettings()
    one, two, other = (render(scenes, settings, np.random.default_rng(s)) for s in (1, 1, 2))
    assert (one == two).all() and (one != other).any()
    assert render((), settings, np.random.default_rng(0)).shape == (0, 10, 32, 32, 3)


def test_backgrounds_are_grey_and_only_one_has_squares():
    for name in PALE:
        picture = make_clips(1, replace(CLEAN, backgrounds=(name,), things=(1, 1)), seed=0).frames[0, 0]
        colourless = picture[(picture == picture[..., :1]).all(axis=-1)][:, 0]
        assert set(colourless.tolist()) == set(PALE[name])
    assert len(COLOURS) == 6
