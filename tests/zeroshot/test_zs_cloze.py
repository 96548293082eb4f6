"""The cloze baseline on a tiny masked model that is taught which words go with which class."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from msig_lib.lm.checkpoints import CheckpointUnavailable
from msig_lib.zeroshot import cloze

TOPICS = {
    "sport": "goal team coach player".split(),
    "food": "oven butter flour taste".split(),
    "open money": "bank loan profit shares".split(),
}
NAMES = list(TOPICS)
SETTINGS = cloze.ClozeSettings(patterns=cloze.PATTERNS[:3], shares=(0.3, 0.9), max_tokens=24, batch=16)


def draw(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    return [" ".join(rng.choice(TOPICS[NAMES[c]], 4)) for c in labels], labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT of width 32, trained for a second to fill the gaps of the patterns."""
    words = [w for own in TOPICS.values() for w in own] + [w for name in NAMES for w in name.split()]
    frames = [w for p in cloze.PATTERNS for w in p.replace("{", " ").replace("}", " ").lower().split()]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    marks = [".", ":", ","]
    vocabulary = {w: i for i, w in enumerate(dict.fromkeys([*special, *marks, *words, *frames]))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    named = {f"{k}_token": f"[{k.upper()}]" for k in ("pad", "unk", "cls", "sep", "mask")}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.1,
        max_position_embeddings=32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertForMaskedLM(config)
        optimiser = torch.optim.Adam(model.parameters(), 1e-2)
        texts, labels = draw(64, 0)
        for step in range(60):
            pattern = SETTINGS.patterns[step % 3]
            size = 1 + step % 2
            filled = [pattern.replace("{gap}", "[MASK]" * size).replace("{text}", t) for t in texts]
            inputs = fast(filled, padding=True, return_tensors="pt")
            target = torch.full(inputs["input_ids"].shape, -100)
            names = [fast(NAMES[c], add_special_tokens=False)["input_ids"] for c in labels]
            wanted = [(ids * size)[:size] for ids in names]
            target[inputs["input_ids"] == vocabulary["[MASK]"]] = torch.tensor(wanted).ravel()
            known = {k: inputs[k] for k in ("input_ids", "attention_mask")}
            loss = model(**known, labels=target).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    path = tmp_path_factory.mktemp("masked")
    model.save_pretrained(path)
    fast.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    return cloze.Cloze.load(f"hf:{folder}")


def test_a_taught_model_fills_in_the_class_and_generations_are_repeatable(model):
    texts, labels = draw(60, 1)
    scores = cloze.cloze_scores(model, texts, NAMES, settings=SETTINGS)
    assert scores.shape == (60, 3) and scores.dtype == np.float32
    assert scores.sum(axis=1) == pytest.approx(np.ones(60), abs=1e-5)
    assert (scores.argmax(axis=1) == labels).mean() > 0.6
    pool, _ = draw(80, 2)
    taught = cloze.ipet(model, pool, texts, NAMES, seed=0, settings=SETTINGS)
    assert (taught.argmax(axis=1) == labels).mean() > 0.6
    assert (taught == cloze.ipet(model, pool, texts, NAMES, seed=0, settings=SETTINGS)).all()


def test_scores_equal_one_text_at_a_time(model):
    texts = ["goal team", "oven butter flour taste goal", ""]
    pattern = SETTINGS.patterns[0]
    scores, states = model.read(texts, NAMES, pattern, SETTINGS)
    fast, net = model.tokenizer, model.model
    for i, text in enumerate(texts):
        for c, name in enumerate(NAMES):
            ids = fast(name, add_special_tokens=False)["input_ids"]
            filled = pattern.replace("{text}", text).replace("{gap}", "[MASK] " * len(ids))
            row = fast(filled, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                logp = net(row).logits[0].log_softmax(-1)
            places = (row[0] == fast.mask_token_id).nonzero()[:, 0]
            expected = np.mean([float(logp[p, k]) for p, k in zip(places, ids)])
            assert scores[i, c] == pytest.approx(expected, abs=1e-4)
    assert np.linalg.norm(states, axis=1) == pytest.approx(np.ones(3), abs=1e-5)


def test_long_texts_lose_their_end_and_never_the_gap(model):
    long = "goal " * 500
    scores = cloze.cloze_scores(model, [long, "[MASK] goal [MASK]"], NAMES, settings=SETTINGS)
    assert np.isfinite(scores).all()
    with pytest.raises(ValueError, match="too few"):
        model.read(["goal"], NAMES, cloze.PATTERNS[0], cloze.ClozeSettings(max_tokens=8))


def test_without_a_model_the_reason_says_what_to_set(monkeypatch, tmp_path):
    monkeypatch.delenv(cloze.VARIABLE, raising=False)
    assert not cloze.available() and cloze.VARIABLE in cloze.available().reason
    assert not cloze.available("bert") and "hf:" in cloze.available("bert").reason
    assert "not a folder" in cloze.available(f"hf:{tmp_path / 'none'}").reason
    assert "safetensors" in cloze.available(f"hf:{tmp_path}").reason
    with pytest.raises(CheckpointUnavailable, match="no masked language model"):
        cloze.Cloze.load()


def test_a_configured_folder_is_available(monkeypatch, folder):
    monkeypatch.setenv(cloze.VARIABLE, f"hf:{folder}")
    assert cloze.available() and cloze.Cloze.load().name == f"hf:{folder}"


def test_bad_settings_names_and_pools_are_told(model):
    with pytest.raises(ValueError, match="once each"):
        cloze.ClozeSettings(patterns=("{text} is about it",))
    with pytest.raises(ValueError, match="reword"):
        model.name_tokens(["sport", "zebra"])
    with pytest.raises(ValueError, match="no texts"):
        cloze.ipet(model, [], ["goal"], NAMES, seed=0, settings=SETTINGS)
