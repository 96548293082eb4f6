"""The learner of clips: what it is asked and taught, that frames keep their order, and that copies are apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from msig_lib.lm.decoder import build_tokenizer
from msig_lib.lm.training import TrainSettings, train
from msig_lib.lm.vision import build, freeze
from msig_lib.lm.vision_inputs import IMAGE
from msig_lib.preference.dpo import DPOSettings
from msig_lib.preference.pairs import Pairs
from msig_lib.preference.train import train_dpo
from msig_lib.videoqa.model import CUTS, FRAMES, VideoLearner, VideoSettings

WORDS = ("which way does it move ?", "left right", "describe it : the red square moves")
SMALL = VideoSettings(tower_width=32, width=32, layers=1, heads=2)


@dataclass(frozen=True)
class Asked:
    clip: int
    text: str = "which way does it move ?"
    answer: str = "left"


@pytest.fixture(scope="module")
def frames():
    """Clips of a bright column that goes right in even clips, and the same frames backwards in odd ones."""
    clips = np.full((24, FRAMES, 32, 32, 3), 127, dtype=np.uint8)
    start = np.random.default_rng(0).integers(0, 10, 12)
    for i, first in enumerate(start):
        for t in range(FRAMES):
            clips[2 * i, t, :, first + 2 * t : first + 2 * t + 4] = 255
    clips[1::2] = clips[::2, ::-1]
    return clips


@pytest.fixture(scope="module")
def questions(frames):
    return [Asked(i, answer="left" if i % 2 else "right") for i in range(len(frames))]


@pytest.fixture(scope="module")
def learner():
    return VideoLearner.new(WORDS, SMALL, seed=0)


@pytest.mark.parametrize("tokens", CUTS)
def test_a_frame_takes_its_tokens_and_they_are_in_the_order_of_time(tokens, frames):
    one = VideoLearner.new(WORDS, replace(SMALL, tokens=tokens), seed=0)
    (prompt,) = one.prompts([Asked(0)], frames)
    assert prompt.count(one.model.config.image_token_id) == FRAMES * tokens
    assert prompt[0] == one.tokenizer.bos_token_id
    assert one.tokenizer.decode(prompt, skip_special_tokens=True) == "which way does it move?"
    tower = one.model.base_model.vision_tower
    seen = []
    for clip in (frames[:1], np.concatenate([frames[0, :4], 255 - frames[0, 4:5], frames[0, 5:]])[None]):
        (example,) = one.examples([Asked(0)], clip)
        pixels = torch.from_numpy(example.images).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            seen.append(tower(pixels).last_hidden_state[0])
    changed = (seen[0] != seen[1]).any(1).nonzero()[:, 0].tolist()
    assert set(changed) <= set(range(4 * tokens, 5 * tokens)) and changed


def test_a_clip_is_handed_over_without_a_copy_and_unchanged(learner, frames, questions):
    example = learner.examples(questions[5:6], frames)[0]
    assert np.shares_memory(example.images, frames)
    np.testing.assert_array_equal(example.images.reshape(frames.shape[1:]), frames[5])
    said = [i for i, target in zip(example.ids, example.targets) if target]
    assert learner.tokenizer.decode(said, skip_special_tokens=True) == "left"
    assert said[-1] == learner.tokenizer.eos_token_id
    (other,) = learner.examples(questions[5:6], frames, ["right"])
    assert other.ids[:-2] == example.ids[:-2] and other.ids[-2] != example.ids[-2]


def test_a_model_of_single_images_reads_the_frames_as_ten_images(frames, questions):
    tokenizer = build_tokenizer([], words=WORDS, special=[IMAGE])
    vision = replace(SMALL.vision, image_size=(32, 32), patch_size=(32, 32))
    one = VideoLearner(build(tokenizer, vision, seed=0), tokenizer)
    (example,) = one.examples(questions[:1], frames)
    np.testing.assert_array_equal(example.images, frames[0])
    assert example.ids.count(one.model.config.image_token_id) == FRAMES
    ((response,),) = one.respond(questions[:1], frames, max_tokens=3)
    assert len(response.ids) <= 3


def test_responses_do_not_depend_on_the_other_questions_and_score_as_drawn(learner, frames, questions):
    how = dict(n=6, temperature=1.0, top_p=0.95, max_tokens=5, seed=5)
    drawn = learner.respond(questions[:4], frames, **how)
    alone = learner.respond(questions[2:3], frames, **how)
    assert [one.ids for one in drawn[2]] == [one.ids for one in alone[0]]
    assert len({one.ids for row in drawn for one in row}) > 1
    for k in range(6):
        again = learner.responses(questions[:4], frames, [row[k].ids for row in drawn])
        for row, logprobs in zip(drawn, learner.score(again)):
            np.testing.assert_allclose(row[k].logprobs, logprobs, atol=1e-4)
            assert len(row[k].text.split()) == len(row[k].ids) - (
                row[k].ids[-1] == learner.tokenizer.eos_token_id
            )


def test_it_learns_what_only_the_order_of_the_frames_tells(frames, questions):
    one = VideoLearner.new(WORDS, SMALL, seed=0)
    train(one.model, one.examples(questions, frames), TrainSettings(50, 24, learning_rate=5e-3), seed=0)
    said = [row[0].text for row in one.respond(questions, frames, max_tokens=2)]
    assert np.mean([text == q.answer for text, q in zip(said, questions)]) >= 0.9


def test_preference_training_changes_the_decoder_alone(learner, frames, questions):
    tuned = learner.clone()
    freeze(tuned.model)
    before = learner.state()
    examples = tuned.examples(questions[:8], frames) + tuned.examples(questions[:8], frames, ["it moves"] * 8)
    pairs = Pairs(np.arange(8), np.arange(8, 16), np.arange(8))
    trained = train_dpo(
        tuned.model,
        examples,
        pairs,
        TrainSettings(8, 4, learning_rate=1e-3),
        DPOSettings(beta=0.1),
        seed=0,
    )
    assert trained.margin[-1] > 0
    after = tuned.state()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed and not any("vision" in name or "projector" in name for name in changed)
    assert all(np.array_equal(before[name], value) for name, value in learner.state().items())
    assert all(value.requires_grad for value in tuned.clone().model.parameters())
    other = VideoLearner.new(WORDS, SMALL, seed=1).with_state(after)
    assert other.respond(questions[:3], frames, max_tokens=3)[0][0].ids == (
        tuned.respond(questions[:3], frames, max_tokens=3)[0][0].ids
    )


def test_the_seed_decides_the_weights():
    states = [VideoLearner.new(WORDS, SMALL, seed=seed).state() for seed in (3, 3, 4)]
    same = [all(np.array_equal(states[0][name], other[name]) for name in other) for other in states[1:]]
    assert same == [True, False]


def test_a_question_may_have_no_clip_and_mistakes_are_named(learner, frames):
    (text,) = learner.examples([Asked(-1)], None)
    assert learner.model.config.image_token_id not in text.ids and not len(text.images)
    with pytest.raises(ValueError, match="no frames were given"):
        learner.prompts([Asked(0)], None)
    with pytest.raises(ValueError, match="is about clip 24"):
        learner.prompts([Asked(24)], frames)
    with pytest.raises(ValueError, match="expected \\[clips, frames"):
        learner.prompts([Asked(0)], frames[0])
    with pytest.raises(ValueError, match="build it with that image_size"):
        learner.prompts([Asked(0)], frames[:, :, :16])
    with pytest.raises(ValueError, match="tokens is 3"):
        VideoSettings(tokens=3)
    with pytest.raises(ValueError, match="even number"):
        VideoSettings(size=31)
