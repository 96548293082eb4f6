import numpy as np
import pytest
import torch
from tiny_vision import MARK, SMALL, TOKENIZER, WORDS, pictures

from msig_lib.lm.decoder import build_decoder, build_tokenizer, parameters
from msig_lib.lm.sampling import sample
from msig_lib.lm.scoring import Example, prompt_example, score, target_logprobs
from msig_lib.lm.threads import torch_threads
from msig_lib.lm.training import TrainSettings, train
from msig_lib.lm.vision import (
    ImageExample,
    VisionSettings,
    build,
    freeze,
    image_example,
    image_prompt,
    with_images,
)
from msig_lib.lm.vision_inputs import IMAGE
from msig_lib.lm.vision_tower import PatchTower, PatchTowerConfig

COLOURS = {"red": (210, 40, 40), "green": (40, 160, 60), "blue": (50, 70, 210)}


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):  # the work is tiny: several threads only wait for each other
        yield


@pytest.fixture(scope="module")
def mixed(vision_model):
    """Examples with none, one and several images, of unequal lengths."""
    shown = pictures(8)
    return [
        image_example(vision_model, TOKENIZER, shown[:1], "which colour ?", "red"),
        prompt_example(TOKENIZER, "which is the first ?", "red yes"),
        image_example(
            vision_model, TOKENIZER, shown[1:4], f"one {IMAGE} two {IMAGE} the {IMAGE} ?", "no blue green"
        ),
        image_example(vision_model, TOKENIZER, shown[4:6], "third", ""),
        image_example(vision_model, TOKENIZER, shown[:1], "second colour ?", "green"),
    ]


def plain_features(model, images):
    """Tokens of images written out: loops over rectangles, then the tower's and the projector's matrices."""
    tower, projector = model.model.vision_tower, model.model.multi_modal_projector
    height, width = tower.config.patch_size
    rows = []
    for image in images:
        pixels = image.astype(np.float64) / 127.5 - 1
        place = 0
        for top in range(0, image.shape[0], height):
            for left in range(0, image.shape[1], width):
                patch = pixels[top : top + height, left : left + width]
                flat = torch.from_numpy(np.moveaxis(patch, 2, 0).ravel()).float()
                state = tower.projection.weight @ flat + tower.projection.bias + tower.position.weight[place]
                state = projector.linear_1.weight @ state.relu() + projector.linear_1.bias
                rows.append(projector.linear_2.weight @ state.relu() + projector.linear_2.bias)
                place += 1
    return torch.stack(rows)


def plain_logits(model, ids, images):
    """Logits of one row from the decoder alone, fed with words and image tokens in their places."""
    embedded = model.get_input_embeddings()(torch.tensor([ids]))
    if len(images):
        embedded[0, torch.tensor(ids) == MARK] = plain_features(model, images)
    states = model.model.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
    return model.lm_head(states)[0]


@torch.no_grad()
def test_log_probabilities_equal_the_model_written_out(vision_model, mixed):
    expected = []
    for one in mixed:
        logprobs = plain_logits(vision_model, one.ids, getattr(one, "images", ())).log_softmax(-1)
        expected += [logprobs[i - 1, token] for i, token in enumerate(one.ids) if one.targets[i]]
    found = target_logprobs(vision_model, mixed)
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=0)
    for alone, together in zip(mixed, score(vision_model, mixed)):
        np.testing.assert_allclose(together, score(vision_model, [alone])[0], atol=1e-5)


def test_rectangles_in_rows_from_the_top_left():
    settings = VisionSettings(image_size=(8, 12), patch_size=(4, 6), width=16, heads=2)
    model = build(TOKENIZER, settings, seed=0)
    shown = pictures(3, size=(8, 12))
    with torch.no_grad():
        found = model.get_image_features(
            torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 127.5 - 1
        ).pooler_output
        torch.testing.assert_close(torch.cat(found), plain_features(model, shown), atol=1e-5, rtol=1e-4)
    assert [len(tokens) for tokens in found] == [4, 4, 4]


def test_prompts_hold_a_token_for_each_rectangle(vision_model):
    shown = pictures(2)
    one, two = TOKENIZER.convert_tokens_to_ids(["one", "two"])
    begin = TOKENIZER.bos_token_id
    assert image_prompt(vision_model, TOKENIZER, shown, "one") == [begin, *[MARK] * 6, one]
    found = image_prompt(vision_model, TOKENIZER, shown, f"{IMAGE} one {IMAGE} two")
    assert found == [begin, *[MARK] * 3, one, *[MARK] * 3, two]
    assert image_prompt(vision_model, TOKENIZER, [], "one two") == [begin, one, two]
    frames = VisionSettings(image_size=(32, 32), patch_size=(16, 16), width=16, heads=2)
    video = build(TOKENIZER, frames, seed=0)
    assert image_prompt(video, TOKENIZER, pictures(10, size=(32, 32)), "one").count(MARK) == 40


def test_the_default_has_the_prototypes_size():
    assert 470_000 < parameters(build(build_tokenizer([WORDS], special=[IMAGE]), seed=0)) < 485_000


def test_equal_examples_are_computed_once(vision_model, mixed):
    again = [
        with_images(Example(one.ids, one.targets), one.images.copy())
        for one in mixed
        if hasattr(one, "images")
    ]
    other = with_images(mixed[0], 255 - mixed[0].images)
    assert again[0] == mixed[0] and hash(again[0]) == hash(mixed[0]) and other != mixed[0]
    assert mixed[1] != again[0] and len({*mixed, *again, other}) == len(mixed) + 1
    rows = []
    hook = vision_model.model.language_model.register_forward_hook(
        lambda *args: rows.append(len(args[-1].last_hidden_state))
    )
    try:
        found = score(vision_model, [*mixed, *again, other])
    finally:
        hook.remove()
    assert sum(rows) == len(mixed) + 1
    np.testing.assert_array_equal(found[0], found[len(mixed)])
    assert not np.allclose(found[0], found[-1], atol=1e-3)


def test_training_reads_images_and_frozen_parts_stay():
    """Three bars, one colour each: which colour stands first, second, third?"""
    settings = VisionSettings(image_size=(6, 12), patch_size=(6, 4), width=32, layers=2, heads=4)
    rng = np.random.default_rng(0)
    names, colours = list(COLOURS), np.array(list(COLOURS.values()))
    drawn = rng.integers(0, 3, (240, 3))
    images = colours[drawn].repeat(4, axis=1)[:, None].repeat(6, axis=1)
    images = np.clip(images + rng.normal(0, 10, images.shape), 0, 255).astype(np.uint8)
    places = rng.integers(0, 3, 240)
    model = build(TOKENIZER, settings, seed=0)
    examples = [
        image_example(
            model, TOKENIZER, image[None], f"which is the {('first', 'second', 'third')[k]} ?", names[row[k]]
        )
        for image, row, k in zip(images, drawn, places)
    ]
    freeze(model)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    train(model, examples[:200], TrainSettings(steps=2, batch=16), seed=0)
    frozen = {name for name, value in model.named_parameters() if torch.equal(value, before[name])}
    assert frozen == {name for name in before if "vision_tower" in name or "projector" in name}
    freeze(model, tower=False, projector=False)
    history = train(model, examples[:200], TrainSettings(steps=120, batch=32, learning_rate=4e-3), seed=0)
    assert history.tokens == pytest.approx(120 * 32 * len(examples[0]), rel=0.01)
    with torch.no_grad():
        right = [
            plain_logits(model, one.ids[:-2], one.images)[-1].argmax() == one.ids[-2]
            for one in examples[200:]
        ]
    assert np.mean(right) > 0.9  # chance is a third


def test_the_seed_alone_fixes_weights_and_training(vision_model, mixed):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    built = [build(TOKENIZER, SMALL, seed=seed) for seed in (1, 1, 2)]
    settings = TrainSettings(steps=3, batch=2)
    runs = [train(one, mixed, settings, seed=4).losses for one in built[:2]]
    assert torch.equal(torch.rand(3), expected) and np.array_equal(*runs)
    weights = [one.model.vision_tower.projection.weight for one in built]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], vision_model.model.vision_tower.projection.weight)  # it was trained


def test_initial_weights_have_the_spread_that_was_asked():
    wide = build(TOKENIZER, VisionSettings(width=64, initial=0.3), seed=0)
    plain = build(TOKENIZER, VisionSettings(width=64), seed=0)
    for name in ("language_model.layers.0.mlp.up_proj", "multi_modal_projector.linear_1"):
        for built, spread in ((wide, 0.3), (plain, 0.125)):
            assert built.model.get_submodule(name).weight.std().item() == pytest.approx(spread, rel=0.05)


def test_mistakes(vision_model, mixed):
    shown = pictures(2)
    with pytest.raises(ValueError, match="has no <image>: call build_tokenizer"):
        build(build_tokenizer([WORDS]), seed=0)
    with pytest.raises(ValueError, match="does not divide"):
        VisionSettings(patch_size=(32, 5))
    with pytest.raises(ValueError, match="image_size is"):
        VisionSettings(image_size=(0, 5))
    with pytest.raises(ValueError, match="initial > 0"):
        VisionSettings(initial=0.0)
    with pytest.raises(ValueError, match="1 marks <image> for 2 images"):
        image_prompt(vision_model, TOKENIZER, shown, f"{IMAGE} one")
    with pytest.raises(ValueError, match="5 x 12 pixels"):
        image_prompt(vision_model, TOKENIZER, shown[:, 1:], "one")
    with pytest.raises(TypeError, match="float64, expected a numpy array of uint8"):
        image_prompt(vision_model, TOKENIZER, shown / 255, "one")
    with pytest.raises(ValueError, match=r"shape \(6, 12, 1\)"):
        with_images(Example((1, 2), (False, True)), shown[..., :1])
    prompt = image_prompt(vision_model, TOKENIZER, shown[:1], "one")
    with pytest.raises(ValueError, match=r"prompts\[1\] has 3 image tokens, but its 0 images need 0"):
        sample(vision_model, [prompt, prompt], seed=0, images=[shown[:1], None])
    with pytest.raises(ValueError, match="images for 1"):
        sample(vision_model, [prompt, prompt], seed=0, images=[shown[:1]])
    with pytest.raises(TypeError, match="'llama' was given images"):
        sample(build_decoder(TOKENIZER, seed=0, width=16, heads=2), [[2]], seed=0, images=[shown[:1]])
    with pytest.raises(ValueError, match="this tower reads"):
        PatchTower(PatchTowerConfig(image_size=[4, 4], patch_size=[2, 2]))(torch.zeros(1, 3, 4, 6))
    assert isinstance(mixed[0], ImageExample) and "images" not in repr(mixed[0])
