from copy import deepcopy

import numpy as np
import pytest
from tiny_vision import MARK, SMALL, TOKENIZER, pictures
from transformers import LlavaForConditionalGeneration

from msig_lib.lm.generate import Sampling
from msig_lib.lm.sampling import _cache, sample
from msig_lib.lm.scoring import Example, score
from msig_lib.lm.threads import torch_threads
from msig_lib.lm.vision import build, image_prompt, with_images
from msig_lib.lm.vision_inputs import IMAGE
from msig_lib.lm.vision_prefix import SHARED_PREFIX, SharedPrefixLayer

PROMPTS = ["which colour ?", "which is the second colour ?", f"{IMAGE} one {IMAGE} two ?", "first ?"]


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):  # the work is tiny: several threads only wait for each other
        yield


@pytest.fixture(scope="module")
def asked(vision_model):
    shown = pictures(6, seed=3)
    images = [shown[:1], shown[1:2], shown[2:4], None]
    rows = [
        image_prompt(vision_model, TOKENIZER, () if own is None else own, t)
        for t, own in zip(PROMPTS, images)
    ]
    return rows, images


@pytest.mark.parametrize("rows", [5, 256])
def test_sampled_log_probabilities_equal_a_scoring_pass(vision_model, asked, rows):
    prompts, images = asked
    settings = Sampling(temperature=1.3, max_tokens=12)
    found = sample(vision_model, prompts, 8, settings, seed=1, images=images, rows=rows)
    assert {one.finish for row in found for one in row} == {"stop", "length"}
    examples = [
        Example.of(prompt, one.ids) if own is None else with_images(Example.of(prompt, one.ids), own)
        for prompt, own, row in zip(prompts, images, found)
        for one in row
    ]
    for one, expected in zip((one for row in found for one in row), score(vision_model, examples)):
        np.testing.assert_allclose(one.logprobs, expected, atol=1e-5)
        assert MARK not in one.ids


@pytest.mark.parametrize("groups", [1, 2])
def test_a_shared_prefix_gives_what_copies_of_it_give(asked, groups):
    prompts, images = asked
    model = build(TOKENIZER, SMALL, seed=5)
    if groups == 2:  # two heads that share keys and values
        config = deepcopy(model.config)
        config.text_config.num_key_value_heads = 1
        model = LlavaForConditionalGeneration._from_config(config, attn_implementation=SHARED_PREFIX).eval()
    settings = Sampling(max_tokens=40, temperature=0.9)  # more than the room that a cache begins with
    shared = sample(model, prompts, 20, settings, seed=3, images=images)
    shown = {type(layer) for layer in _cache(model).layers}
    model.set_attn_implementation("sdpa")
    assert shown == {SharedPrefixLayer} != {type(layer) for layer in _cache(model).layers}
    copied = sample(model, prompts, 20, settings, seed=3, images=images)
    assert max(len(one.ids) for row in shared for one in row) == 40
    for one, other in zip((o for row in shared for o in row), (o for row in copied for o in row)):
        assert one.ids == other.ids
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-5)


def test_a_sample_depends_on_its_own_images_and_question_only(vision_model, asked):
    prompts, images = asked
    settings = Sampling(max_tokens=10)
    together = sample(vision_model, prompts, 6, settings, seed=2, images=images)
    for prompt, own, row in zip(prompts, images, together):
        (alone,) = sample(vision_model, [prompt], 6, settings, seed=2, images=[own])
        assert [one.ids for one in alone] == [one.ids for one in row]
        (fewer,) = sample(vision_model, [prompt], 2, settings, seed=2, images=[own])
        assert [one.ids for one in fewer] == [one.ids for one in row][:2]
    text = sample(vision_model, prompts[3:], 6, settings, seed=2)  # without images at all: the same stream
    assert [one.ids for one in text[0]] == [one.ids for one in together[3]]
    same, other = images[0], 255 - images[0]
    first, again, third = sample(
        vision_model, [prompts[0]] * 3, 6, settings, seed=2, images=[same, other, same]
    )
    assert [one.ids for one in first] == [one.ids for one in together[0]]
    assert [one.ids for one in again] != [one.ids for one in first] != [one.ids for one in third]


def test_a_prefix_is_read_once_for_all_its_samples(vision_model, asked):
    prompts, images = asked
    seen, towers = [], []
    hooks = [
        vision_model.model.language_model.layers[0].register_forward_hook(
            lambda _, args, __: seen.append(args[0].shape)
        ),
        vision_model.model.vision_tower.register_forward_hook(lambda *args: towers.append(len(args[-1][0]))),
    ]
    try:
        sample(vision_model, prompts, 16, Sampling(max_tokens=8), seed=0, images=images)
    finally:
        for hook in hooks:
            hook.remove()
    assert towers == [4]  # four images among the prompts
    assert seen[0][:2] == (4, max(map(len, prompts))) and all(shape[1] == 1 for shape in seen[1:])
    assert seen[1][0] <= 64 and seen[-1][0] < seen[1][0]
