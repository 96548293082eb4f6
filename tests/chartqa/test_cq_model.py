"""The learner on a tiny world: what it is asked and taught, that it learns to read, and that copies are apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from msig_lib.chartqa.data import ChartSettings, make_world
from msig_lib.chartqa.model import Learner
from msig_lib.chartqa.questions import arithmetic, ask
from msig_lib.chartqa.train import MIXES, BaseSettings, MixSettings, fine_tune, mixed, train_base
from msig_lib.lm.scoring import score
from msig_lib.lm.vision import VisionSettings

SMALL = VisionSettings(tower_width=32, width=32, layers=1, heads=2)
BARS = ChartSettings(styles=("bars",))


@pytest.fixture(scope="module")
def charts():
    return make_world({"train": 300, "dev": 20, "test": 5, "shifted": 5}, BARS, seed=0)["train"]


@pytest.fixture(scope="module")
def questions(charts):
    return ask(charts.tables, 60, ("count", "sum", "total", "difference", "second"), seed=0)


@pytest.fixture(scope="module")
def learner():
    return Learner.new(SMALL, seed=0)


def test_every_word_of_the_world_is_known(learner, charts, questions):
    words = [q.prompt(form) + " " + q.target(form) for q in questions for form in ("direct", "cot")]
    words += [q.prompt("direct") for q in arithmetic(30, seed=0)]
    unknown = learner.tokenizer.unk_token_id
    assert not any(unknown in learner.tokenizer(text)["input_ids"] for text in words)


def test_an_example_is_image_question_and_response(learner, charts, questions):
    one = learner.examples(questions[:1], charts, "cot")[0]
    (prompt,) = learner.prompts(questions[:1], charts, "cot")
    assert list(one.ids[: len(prompt)]) == prompt
    said = learner.tokenizer.decode([i for i, t in zip(one.ids, one.targets) if t], skip_special_tokens=True)
    assert said == questions[0].trace
    np.testing.assert_array_equal(one.images[0], charts.images[questions[0].chart])
    (text,) = learner.examples(arithmetic(1, ("add",), seed=0), None, "direct")
    assert not len(getattr(text, "images", ()))
    with pytest.raises(ValueError, match="no charts were given"):
        learner.prompts(questions[:1], None, "cot")


def test_responses_do_not_depend_on_the_other_questions_and_score_as_drawn(learner, charts, questions):
    asked = questions[:6]
    drawn = learner.respond(asked, charts, "cot", n=2, temperature=1.0, seed=5)
    alone = learner.respond(asked[3:4], charts, "cot", n=2, temperature=1.0, seed=5)
    assert [one.ids for one in drawn[3]] == [one.ids for one in alone[0]]
    assert all(
        one.logprobs.shape == (len(one.ids),) and (one.logprobs <= 0).all() for row in drawn for one in row
    )
    again = learner.responses(asked, charts, "cot", [row[0].ids for row in drawn])
    for row, logprobs in zip(drawn, score(learner.model, again)):
        np.testing.assert_allclose(row[0].logprobs, logprobs, atol=1e-4)


def test_a_copy_learns_alone(learner, charts, questions):
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    settings = MixSettings(steps=dict.fromkeys(MIXES, 2), batch=8)
    copy, trained = fine_tune(learner, "both", questions, charts, settings, seed=0)
    assert len(trained.losses) == 2
    assert all(torch.equal(value, learner.model.state_dict()[name]) for name, value in before.items())
    assert any(not torch.equal(value, copy.model.state_dict()[name]) for name, value in before.items())


def test_mixes_hold_what_they_are_named_after(learner, charts, questions):
    s = MixSettings(format_examples=10, replay=0.1)
    size = {mix: len(mixed(learner, mix, questions, charts, s, seed=0)) for mix in MIXES}
    few = min(
        10 * len({q.kind for q in questions}), len(questions)
    )  # of each form, repeated beside the other
    beside = few * math.ceil(len(questions) / 9 / few)
    forms = {"format": 2 * few, "direct": len(questions) + beside, "both": 2 * len(questions)}
    forms["cot"] = forms["direct"]
    assert {mix: size[mix] - n for mix, n in forms.items()} == {
        mix: round(0.1 * n) for mix, n in forms.items()
    }
    with pytest.raises(ValueError, match="mix 'all'"):
        mixed(learner, "all", questions, charts, s, seed=0)


def test_the_base_learns(charts):
    settings = BaseSettings(captions=200, lookups=100, sums=40, running=20, steps=65, batch=32)
    losses = []
    learner = train_base(
        charts, settings, seed=0, vision=SMALL, after_step=lambda step, model: losses.append(step)
    )
    assert losses == list(range(1, 66))
    captions = ask(charts.tables, 20, ("caption",), seed=0)
    cost = [
        -np.concatenate(score(one.model, one.examples(captions, charts, "direct"))).mean()
        for one in (Learner.new(SMALL, seed=0), learner)
    ]
    assert cost[1] < 0.7 * cost[0]
    with pytest.raises(ValueError, match="at least 1"):
        BaseSettings(captions=0)
