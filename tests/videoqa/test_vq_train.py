"""Stages of training: what learns, what stays, and which pairs self-play has."""

from __future__ import annotations

import numpy as np
import pytest

from msig_lib.preference.pairs import Pairs
from msig_lib.videoqa import signal
from msig_lib.videoqa.captions import Captioner
from msig_lib.videoqa.data import make_clips
from msig_lib.videoqa.model import VideoLearner, VideoSettings
from msig_lib.videoqa.signal import Pool
from msig_lib.videoqa.study import WORDS
from msig_lib.videoqa.train import (
    PreferenceSettings,
    StageSettings,
    caption_questions,
    prefer,
    self_play_pairs,
    stills,
    supervise,
)

SMALL = VideoSettings(tower_width=24, width=32, layers=1, heads=2, stem=((4, 5, 4),))
CLIPS = make_clips(12, seed=1)
CAPTIONS = Captioner(seed=0).write(CLIPS.scenes)
QUESTIONS = signal.instruction_data(CAPTIONS, seed=0)
FIRST = VideoLearner.new(WORDS, SMALL, seed=0)
POOL = signal.draw(FIRST, QUESTIONS[:6], CLIPS.frames, 3, seed=0)
PARTS = ("vision_tower", "multi_modal_projector", "language_model")


def moved(one, two):
    a, b = one.state(), two.state()
    return {part for part in PARTS for name in a if part in name and not np.array_equal(a[name], b[name])}


def test_supervised_stages_change_projector_and_decoder_and_not_the_tower_or_the_start():
    before = FIRST.state()
    for asked in (caption_questions(CAPTIONS), QUESTIONS):
        tuned, run = supervise(FIRST, asked, CLIPS.frames, StageSettings(2, 4), seed=0)
        assert moved(FIRST, tuned) == {"multi_modal_projector", "language_model"} and len(run.losses) == 2
    assert all(np.array_equal(before[name], value) for name, value in FIRST.state().items())


def test_preference_training_keeps_the_projector_unless_told():
    pairs = Pairs([0, 3], [1, 4], [0, 1])
    for projector in (False, True):
        how = PreferenceSettings(projector=projector, learning_rate=1e-2, epochs=2, batch=2)
        tuned, run = prefer(FIRST, POOL, pairs, CLIPS.frames, how, seed=0)
        assert moved(FIRST, tuned) == {"language_model", *(["multi_modal_projector"] * projector)}
        assert len(run.loss) == how.steps(2) == 2
        assert run.preference[0] == pytest.approx(np.log(2), abs=1e-6)  # the copy is its own reference


def test_the_chosen_become_more_probable_than_the_rejected_and_winners_learns_them_alone():
    pairs = Pairs([0], [4], [0])
    for objective in ("dpo", "winners"):
        how = PreferenceSettings(objective, learning_rate=3e-3, epochs=30, batch=1)
        _, run = prefer(FIRST, POOL, pairs, CLIPS.frames, how, seed=0)
        assert run.margin[-1] > run.margin[0] + 0.05
        wanted = run.preference if objective == "dpo" else run.nll
        assert np.allclose(run.loss, wanted)


def test_self_play_prefers_the_reference_to_an_own_answer_that_differs():
    texts = [f"{q.answer}" if k % 2 else f"{q.answer} x" for q in QUESTIONS[:6] for k in range(3)]
    pool = Pool(QUESTIONS[:6], 3, POOL.ids, texts, POOL.logprobs)
    pairs = self_play_pairs(pool, seed=0)
    assert 0 < len(pairs) < 6 and (pairs.chosen == len(pool) + pairs.group).all()
    assert all(texts[row] != QUESTIONS[row // 3].answer for row in pairs.rejected)
    assert (pairs.rejected // 3 == pairs.group).all()
    tuned, run = prefer(FIRST, pool, pairs, CLIPS.frames, PreferenceSettings(epochs=1), seed=0)
    assert np.isfinite(run.loss).all() and moved(FIRST, tuned) == {"language_model"}


def test_stills_show_one_frame_of_each_clip_all_the_time():
    still = stills(CLIPS.frames, seed=0)
    assert still.shape == CLIPS.frames.shape and still.dtype == np.uint8
    assert (still == still[:, :1]).all()
    assert all(any((clip[0] == frame).all() for frame in own) for clip, own in zip(still, CLIPS.frames))
    assert len({int((CLIPS.frames[n] == still[n, 0]).all((1, 2, 3)).argmax()) for n in range(12)}) > 1


def test_steps_are_epochs_over_the_pairs_and_unknown_objectives_are_named():
    how = PreferenceSettings(epochs=3, batch=32)
    assert [how.steps(n) for n in (1, 32, 100)] == [1, 3, 10]
    with pytest.raises(ValueError, match="objective is 'ppo', expected one of dpo, winners"):
        PreferenceSettings("ppo")
    with pytest.raises(ValueError, match="there are no pairs"):
        prefer(FIRST, POOL, Pairs([], [], []), CLIPS.frames, seed=0)
