import json
import shutil

import numpy as np
import pytest
import torch

from msig_lib.lm.checkpoints import CheckpointUnavailable
from msig_lib.lm.decoder import build_decoder, build_tokenizer, save_decoder
from msig_lib.lm.generate import Completion, Message, Sampling
from msig_lib.lm.local import LocalModel
from msig_lib.lm.threads import torch_threads

WORDS = "the cat sat on a mat . stop here ### answer : yes no user assistant \n"
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} : {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant :{% endif %}"
)


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):  # the work is tiny: several threads only wait for each other
        yield


def parts(seed=1):
    tokenizer = build_tokenizer([WORDS])
    model = build_decoder(tokenizer, seed=seed, width=16, layers=2, heads=2, max_positions=64)
    with torch.no_grad():
        model.model.embed_tokens.weight *= 5
    return model, tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_decoder(tmp_path_factory.mktemp("decoder"), *parts())


@pytest.fixture(scope="module")
def local(folder):
    return LocalModel.load(f"hf:{folder}")


def test_completions(local):
    before = local.usage.completion_tokens
    found = local.complete(["the cat", "", "a mat ."], n=3, sampling=Sampling(max_tokens=9), seed=1)
    assert [len(row) for row in found] == [3, 3, 3]
    assert all(isinstance(one, Completion) for row in found for one in row)
    for one in (one for row in found for one in row):
        assert len(one.logprobs) == one.tokens <= 9 and one.finish in ("stop", "length")
        assert "<" not in one.text
    total = sum(one.tokens for row in found for one in row)
    assert local.usage.completion_tokens - before == total and local.usage.seconds > 0
    assert found == local.complete(["the cat", "", "a mat ."], n=3, sampling=Sampling(max_tokens=9), seed=1)
    assert local.complete([], seed=0) == []


def test_log_probabilities_equal_score(local):
    (row,) = local.complete(["the cat sat"], n=20, sampling=Sampling(max_tokens=6), seed=2)
    for one in row:
        ids = local.tokenizer(one.text, add_special_tokens=False)["input_ids"]
        if one.finish == "length" and len(ids) == one.tokens:  # the text holds all that was drawn
            (scores,) = local.score(["the cat sat"], [one.text])
            np.testing.assert_allclose(scores, one.logprobs, atol=1e-5)
            break
    else:
        pytest.fail("no sample to compare")
    assert [len(scores) for scores in local.score(["a", "", "the"], ["cat sat", "", "no ."])] == [2, 0, 2]
    with pytest.raises(ValueError, match="1 prompts but 2 completions"):
        local.score(["a"], ["b", "c"])


def test_stop_strings(local):
    def complete(*stop):
        return local.complete(["the"], n=40, sampling=Sampling(max_tokens=30, stop=stop), seed=3)[0]

    free = complete()
    middle = next(one.text for one in free if one.tokens == 30)[20:29]  # a string over several tokens
    for stop in (middle, "cat", "t s", "no such text"):
        stopped = complete(stop)
        assert any(stop in one.text for one in free) == (stop in (middle, "cat", "t s"))
        for plain, cut in zip(free, stopped):
            assert cut.text == plain.text.partition(stop)[0]
            assert len(cut.logprobs) == cut.tokens <= plain.tokens
            assert cut.finish == ("stop" if stop in plain.text else plain.finish)
            np.testing.assert_allclose(cut.logprobs, plain.logprobs[: cut.tokens], atol=1e-5)


def test_messages_with_and_without_a_template(local):
    talk = (Message("system", "answer yes"), Message("user", "the cat ?"))
    decode = local.tokenizer.decode
    assert decode(local.encode(talk), skip_special_tokens=True).startswith("answer yes\n\nthe cat")
    assert local.encode("the cat") == local.tokenizer("the cat")["input_ids"]
    assert local.encode("") == [local.tokenizer.bos_token_id]
    model, tokenizer = parts()
    tokenizer.chat_template = TEMPLATE
    chat = LocalModel.of(model, tokenizer)
    expected = tokenizer("user : the cat\nassistant :", add_special_tokens=False)["input_ids"]
    assert chat.encode("the cat") == chat.encode((Message("user", "the cat"),)) == expected


def test_fingerprint_follows_weights_and_tokenizer(folder, local, tmp_path):
    again = LocalModel.load(f"hf:{shutil.copytree(folder, tmp_path / 'same')}")
    assert again.fingerprint == local.fingerprint
    weights = LocalModel.load(f"hf:{save_decoder(tmp_path / 'weights', *parts(seed=2))}")
    words = shutil.copytree(folder, tmp_path / "words")
    changed = json.loads((words / "tokenizer.json").read_text())
    changed["model"]["vocab"]["dog"] = changed["model"]["vocab"].pop("cat")
    (words / "tokenizer.json").write_text(json.dumps(changed))
    template = shutil.copytree(folder, tmp_path / "template")
    (template / "chat_template.jinja").write_text(TEMPLATE)
    found = [weights.fingerprint] + [LocalModel.load(f"hf:{f}").fingerprint for f in (words, template)]
    assert len({local.fingerprint, *found}) == 4
    in_memory = [LocalModel.of(*parts(seed=seed)).fingerprint for seed in (1, 1, 2)]
    assert in_memory[0] == in_memory[1] != in_memory[2]


def test_a_loaded_model_answers_as_the_one_in_memory(local):
    settings = Sampling(max_tokens=12)
    models = (local, LocalModel.of(*parts()))
    found, expected = (model.complete(["the"], n=4, sampling=settings, seed=5)[0] for model in models)
    for one, other in zip(found, expected):
        assert (one.text, one.finish, one.tokens) == (other.text, other.finish, other.tokens)
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-5)


def test_only_safetensors_and_no_remote_code(folder, tmp_path):
    pickled = shutil.copytree(folder, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(CheckpointUnavailable, match="safetensors"):
        LocalModel.load(f"hf:{pickled}")
    remote = shutil.copytree(folder, tmp_path / "remote")
    config = json.loads((remote / "config.json").read_text())
    config |= {
        "model_type": "its_own",
        "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"},
    }
    (remote / "config.json").write_text(json.dumps(config))
    (remote / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ValueError):
        LocalModel.load(f"hf:{remote}")
    assert not (tmp_path / "ran").exists()


def test_mistakes(local, monkeypatch):
    with pytest.raises(ValueError, match="'hf:<model name or folder>'"):
        LocalModel.load("llama")
    with pytest.raises(TypeError, match=r"pass \[prompt\]"):
        local.complete("the cat", seed=0)
    with pytest.raises(ValueError, match="shorten it"):
        local.complete(["the " * 64], seed=0)
    import huggingface_hub

    def refuse(*_, **__):
        raise ConnectionError("offline")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(CheckpointUnavailable, match=r"the model 'nobody/nothing'.*copy the model's folder"):
        LocalModel.load("hf:nobody/nothing")
