import shutil

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from msig_lib.lm.checkpoints import CheckpointUnavailable
from msig_lib.lm.decoder import build_decoder, build_tokenizer, save_decoder
from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.generate import Message, Sampling
from msig_lib.lm.local import LocalModel
from msig_lib.lm.sampling import sample
from msig_lib.lm.scoring import Example, score
from msig_lib.lm.threads import torch_threads
from msig_lib.lm.training import TrainSettings, train
from msig_lib.lm.vision import VisionSettings, build, freeze, image_prompt, with_images
from msig_lib.lm.vision_inputs import IMAGE

WORDS = "USER ASSISTANT : what is the colour of a bar ? red green blue yes no \n"
# Ours, in the manner of LLaVA's: images of a message first, then its text.
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] + ' : ' }}"
    "{% for c in m['content'] if c['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] + '\n' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}assistant :{% endif %}"
)
TOKENIZER = build_tokenizer([WORDS, "user assistant"], special=[IMAGE])
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
NEVER = tuple(TOKENIZER.convert_tokens_to_ids(["<pad>", "<unk>", IMAGE]))
GREEDY = Sampling(temperature=0, max_tokens=6)


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):  # the work is tiny: several threads only wait for each other
        yield


def parts(groups):
    sizes = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)
    text = LlamaConfig(
        vocab_size=len(TOKENIZER),
        num_key_value_heads=2 // groups,
        initializer_range=0.3,
        max_position_embeddings=256,
        bos_token_id=TOKENIZER.bos_token_id,
        eos_token_id=TOKENIZER.eos_token_id,
        pad_token_id=TOKENIZER.pad_token_id,
        **sizes,
    )
    return text, CLIPVisionConfig(image_size=16, patch_size=8, **sizes)


def save(folder, kind, template=None):
    """Write a tiny checkpoint as a real one is: weights, processor, tokeniser."""
    text, tower = parts(groups=2 if kind == "llava_next" else 1)
    mark = TOKENIZER.convert_tokens_to_ids(IMAGE)
    size = dict(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    grid = [[16, 32], [32, 16], [32, 32]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if kind == "llava":
            config = LlavaConfig(vision_config=tower, text_config=text, image_token_index=mark)
            model, pixels, processor = (
                LlavaForConditionalGeneration(config),
                LlavaImageProcessorPil(**size),
                LlavaProcessor,
            )
        else:
            config = LlavaNextConfig(
                vision_config=tower, text_config=text, image_token_index=mark, image_grid_pinpoints=grid
            )
            pixels = LlavaNextImageProcessorPil(image_grid_pinpoints=grid, **size)
            model, processor = LlavaNextForConditionalGeneration(config), LlavaNextProcessor
    model.save_pretrained(folder)
    processor(
        image_processor=pixels,
        tokenizer=TOKENIZER,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["llava", "llava_next"])
def folder(request, tmp_path_factory):
    return save(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def local(folder):
    return LocalModel.load(f"hf:{folder}")


def by_transformers(folder, local, images, text):
    """The same by the checkpoint's own processor and `generate`."""
    inputs = local.model.pixels.processor(
        images=list(images),
        text=text,
        return_tensors="pt",
        images_kwargs={"input_data_format": "channels_last"},
    )
    model = AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True)
    with torch.inference_mode():
        logits = model(**inputs).logits[0]
        out = model.generate(**inputs, do_sample=False, max_new_tokens=6, suppress_tokens=list(NEVER))
    return inputs["input_ids"][0].tolist(), logits, out[0, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("count", [1, 2])
def test_an_image_checkpoint_answers_as_transformers_does(folder, local, count):
    images = IMAGES[:count]
    text = IMAGE * count + "what is the colour ?"
    ids, logits, expected = by_transformers(folder, local, images, text)
    assert local.encode("what is the colour ?", images) == local.encode(text, images) == ids
    (found,) = sample(local.model, [ids], 1, GREEDY, seed=0, images=[images], suppress=NEVER)
    assert list(found[0].ids) == expected
    (completion,) = local.complete(["what is the colour ?"], sampling=GREEDY, seed=0, images=[images])[0]
    assert completion.text == TOKENIZER.decode(expected, skip_special_tokens=True)
    (values,) = score(local.model, [with_images(Example.of(ids[:-3], ids[-3:]), images)])
    peer = logits.log_softmax(-1)[torch.arange(-4, -1), ids[-3:]]
    np.testing.assert_allclose(values, peer, atol=1e-5)


def test_images_of_other_sizes_and_rows_without(local):
    wide, tall = IMAGES[0], IMAGES[1].transpose(1, 0, 2)
    images = [[wide, tall], None, [tall]]
    prompts = ["what colour ?", "is it a bar ?", "red ?"]
    found = local.complete(prompts, n=3, sampling=Sampling(max_tokens=8), seed=1, images=images)
    for prompt, own, row in zip(prompts, images, found):
        alone = local.complete([prompt], n=3, sampling=Sampling(max_tokens=8), seed=1, images=[own])
        assert [one.text for one in row] == [one.text for one in alone[0]]
        ids = local.encode(prompt, () if own is None else own)
        for one in sample(local.model, [ids], 3, Sampling(max_tokens=8), seed=1, images=[own])[0]:
            example = Example.of(ids, one.ids)
            (values,) = score(local.model, [example if own is None else with_images(example, own)])
            np.testing.assert_allclose(one.logprobs, values, atol=1e-5)
    values = local.score(prompts, ["red", "", "blue yes"], images=images)
    assert [len(one) for one in values] == [1, 0, 2] and not np.allclose(
        values[0], local.score(prompts[:1], ["red"], images=[[tall, wide]])[0], atol=1e-4
    )


def test_an_image_checkpoint_trains_with_tower_and_projector_frozen(folder):
    local = LocalModel.load(f"hf:{folder}")
    examples = [
        with_images(Example.of(local.encode("what colour ?", [image]), [9, 3]), [image]) for image in IMAGES
    ]
    freeze(local.model)
    before = {name: value.detach().clone() for name, value in local.model.named_parameters()}
    history = train(local.model, examples, TrainSettings(steps=12, batch=3, learning_rate=1e-2), seed=0)
    assert history.losses[-1] < history.losses[0] / 2
    same = {name for name, value in local.model.named_parameters() if torch.equal(value, before[name])}
    assert same == {n for n in before if any(p in n for p in ("vision_tower", "projector", "image_newline"))}


def test_messages_through_the_template_of_an_image_model(tmp_path):
    local = LocalModel.load(f"hf:{save(tmp_path, 'llava_next', TEMPLATE)}")
    talk = (Message("system", "yes"), Message("user", "what colour ?"))
    text = f"system : yes\nuser : {IMAGE}\nwhat colour ?\nassistant :"
    processor = local.model.pixels.processor
    expected = processor(
        images=[IMAGES[0]],
        text=text,
        add_special_tokens=False,
        images_kwargs={"input_data_format": "channels_last"},
    )
    assert local.encode(talk, IMAGES[:1]) == expected["input_ids"][0]
    assert IMAGE not in local.complete([talk], seed=0, sampling=GREEDY, images=[IMAGES[:1]])[0][0].text


def test_our_own_tower_comes_back_through_the_same_path(tmp_path):
    settings = VisionSettings(image_size=(20, 30), patch_size=(20, 10), width=16, layers=2, heads=2)
    model = build(TOKENIZER, settings, seed=3)
    save_decoder(tmp_path, model, TOKENIZER)
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}
    local = LocalModel.load(f"hf:{tmp_path}")
    assert type(local.model) is LlavaForConditionalGeneration
    ids = image_prompt(model, TOKENIZER, IMAGES[:2], "what colour ?")
    assert local.encode("what colour ?", IMAGES[:2]) == ids
    settings = Sampling(max_tokens=9)
    found, expected = (
        sample(m, [ids], 4, settings, seed=1, images=[IMAGES[:2]])[0] for m in (local.model, model)
    )
    for one, other in zip(found, expected):
        assert one.ids == other.ids
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-6)
    wrapped = [
        LocalModel.of(build(TOKENIZER, VisionSettings(), seed=seed), TOKENIZER).fingerprint
        for seed in (1, 1, 2)
    ]
    assert wrapped[0] == wrapped[1] != wrapped[2]


def test_llama_and_roberta_through_the_same_path(tmp_path):
    model = build_decoder(TOKENIZER, seed=1, width=16, layers=1, heads=2)
    assert isinstance(model, LlamaForCausalLM)
    llama = LocalModel.load(f"hf:{save_decoder(tmp_path / 'llama', model, TOKENIZER)}")
    ids = torch.tensor([llama.encode("what is the colour ?")])
    with torch.inference_mode():
        assert torch.equal(llama.model(ids).logits, model(ids).logits)
    with pytest.raises(TypeError, match="was given images"):
        llama.complete(["what"], seed=0, images=[IMAGES[:1]])
    config = RobertaConfig(
        vocab_size=len(TOKENIZER), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=40, pad_token_id=TOKENIZER.pad_token_id,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        RobertaForMaskedLM(config).save_pretrained(tmp_path / "roberta")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=TOKENIZER.backend_tokenizer, pad_token="<pad>", unk_token="<unk>", mask_token=IMAGE
    )
    tokenizer.save_pretrained(tmp_path / "roberta")
    encoder = SentenceEncoder.load(f"hf:{tmp_path / 'roberta'}")
    peer = AutoModel.from_pretrained(tmp_path / "roberta", add_pooling_layer=False).eval()
    inputs = tokenizer(["what is the colour ?"], return_tensors="pt", return_token_type_ids=False)
    with torch.inference_mode():
        states = peer(**inputs).last_hidden_state[0].mean(0).numpy()
    found = encoder.encode(["what is the colour ?"], max_tokens=16, cache=False)[0]
    np.testing.assert_allclose(found, states / np.linalg.norm(states), atol=1e-5)
    with pytest.raises(ValueError, match=r"an encoder \(roberta\).*SentenceEncoder"):
        LocalModel.load(f"hf:{tmp_path / 'roberta'}")


def test_only_safetensors(folder, tmp_path):
    pickled = shutil.copytree(folder, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(CheckpointUnavailable, match="safetensors"):
        LocalModel.load(f"hf:{pickled}")
