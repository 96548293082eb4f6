import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from msig_lib.lm.decoder import build_decoder, build_tokenizer, parameters, save_decoder
from msig_lib.lm.threads import torch_threads

PROSE = [
    "The cat (a tabby) sat on 3.5 mats, didn't it?",
    "A well-known case: - [see below]!\nSecond line... ### Answer: 1,200; 40%",
    "dogs and/or cats",
]


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):  # the work is tiny: several threads only wait for each other
        yield


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(PROSE, special=["<topic>"])


@pytest.mark.parametrize("text", PROSE)
def test_prose_comes_back(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id and tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["dogs", "3.5", "didn't", "###", "?", "\n", "-", "(", ")"]), min_size=1))
def test_own_pieces_come_back(pieces):
    tokenizer = build_tokenizer(PROSE)
    ids = tokenizer.convert_tokens_to_ids(pieces)
    text = tokenizer.decode(ids)
    again = tokenizer(text, add_special_tokens=False)["input_ids"]
    joined = " ".join(pieces)  # a run of one sign is one piece, so "? ?" and "- -" may merge
    if not any(f"{sign} {sign}" in joined for sign in "?-()"):
        assert again == ids


def test_frequency_cut_and_forced_words():
    tokenizer = build_tokenizer(["b b b a a c c d"], max_words=2, words=["d", "new words"])
    known = [token for token in tokenizer.get_vocab() if not token.startswith("<")]
    assert sorted(known) == ["a", "b", "d", "new", "words"]  # a before c: a tie goes by the alphabet
    assert tokenizer("c b", add_special_tokens=False)["input_ids"][0] == tokenizer.unk_token_id
    frequent = build_tokenizer(["b b b a a c c d"], min_count=2)
    assert "d" not in frequent.get_vocab() and "c" in frequent.get_vocab()


def test_marks_stay_whole_and_are_hidden(tokenizer):
    ids = tokenizer("dogs<topic> cats", add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["dogs", "<topic>", "cats"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "dogs cats"


def test_lower_case():
    tokenizer = build_tokenizer(["The THE the Über"], lowercase=True)
    assert len(set(tokenizer("the The THE", add_special_tokens=False)["input_ids"])) == 1
    assert "über" in tokenizer.get_vocab()


def test_a_saved_decoder_is_an_ordinary_checkpoint(tokenizer, tmp_path):
    model = build_decoder(tokenizer, seed=1, width=16, layers=2, heads=2)
    save_decoder(tmp_path, model, tokenizer)
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}
    other = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    words = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    inputs = words(PROSE[:1], return_tensors="pt")
    assert inputs["input_ids"].tolist() == [tokenizer(PROSE[0])["input_ids"]]
    assert "token_type_ids" not in inputs
    assert words.decode(inputs["input_ids"][0], skip_special_tokens=True) == PROSE[0]
    with torch.inference_mode():
        assert torch.equal(other(**inputs).logits, model(**inputs).logits)


def test_the_seed_alone_fixes_the_weights(tokenizer):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    same = [build_decoder(tokenizer, seed=s, width=16, layers=1, heads=2) for s in (1, 1, 2)]
    assert torch.equal(torch.rand(3), expected)
    first, again, other = (model.model.embed_tokens.weight for model in same)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_number_of_parameters(tokenizer):
    width, layers, words = 24, 2, len(tokenizer)
    model = build_decoder(tokenizer, seed=0, width=width, layers=layers, heads=2)
    block = 4 * width**2 + 3 * width * 64 + 2 * width  # attention, gated perceptron of width 8/3 x 24, norms
    assert parameters(model) == words * width + layers * block + width
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize(
    "wrong, error, says",
    [
        (dict(texts="one"), TypeError, "one string"),
        (dict(texts=[]), ValueError, "no piece"),
        (dict(texts=["a"], min_count=2), ValueError, "no piece"),
        (dict(texts=["a"], min_count=0), ValueError, "from 1"),
        (dict(texts=["a"], special=["<bos>"]), ValueError, "different marks"),
    ],
)
def test_mistakes_in_building_a_tokenizer(wrong, error, says):
    with pytest.raises(error, match=says):
        build_tokenizer(**wrong)


def test_impossible_width(tokenizer):
    with pytest.raises(ValueError, match="multiple of 2 x heads = 8"):
        build_decoder(tokenizer, seed=0, width=18, heads=4)
