import numpy as np
import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    TopPLogitsWarper,
)

from msig_lib.lm.generate import Sampling
from msig_lib.lm.sampling import DROP_SHARE, invert, sample
from msig_lib.lm.scoring import Example, score
from msig_lib.lm.threads import torch_threads

END, VOCABULARY = 1, 23
SIZES = dict(vocab_size=VOCABULARY, eos_token_id=END, bos_token_id=0, pad_token_id=0)
PROMPTS = [[2, 3, 4, 5, 6, 7], [2, 9], [2, 3, 8], [2], [2, 9, 9, 9, 9, 9, 9, 9, 9]]


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):  # the work is tiny: several threads only wait for each other
        yield


def build(kind, seed=0):
    small = dict(SIZES, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "gpt2":
            model = GPT2LMHeadModel(GPT2Config(**SIZES, n_embd=16, n_layer=2, n_head=2, n_positions=40))
        elif kind == "sliding window":
            config = MistralConfig(
                **small, num_key_value_heads=1, sliding_window=5, max_position_embeddings=40
            )
            model = MistralForCausalLM(config)
        else:
            groups = 1 if kind == "grouped" else 2
            config = LlamaConfig(**small, num_key_value_heads=groups, max_position_embeddings=40)
            model = LlamaForCausalLM(config)
        with torch.no_grad():  # spread the distributions: fresh weights give nearly uniform ones
            for value in model.parameters():
                if value.ndim == 2:
                    value *= 5
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return build("llama")


def flat(found):
    return [one.ids for row in found for one in row]


@pytest.mark.parametrize("kind", ["llama", "grouped", "sliding window", "gpt2"])
@pytest.mark.parametrize("rows", [7, 256])
def test_logprobs_equal_a_scoring_pass(kind, rows):
    model = build(kind)
    settings = Sampling(temperature=0.8, top_p=0.9, max_tokens=30, min_tokens=3)
    found = sample(model, PROMPTS, 6, settings, seed=1, rows=rows)
    examples = [Example.of(prompt, one.ids) for prompt, row in zip(PROMPTS, found) for one in row]
    samples = [one for row in found for one in row]
    assert {one.finish for one in samples} == {"stop", "length"}  # rows were dropped on the way
    for one, expected in zip(samples, score(model, examples, batch_tokens=1)):
        assert len(one.logprobs) == len(one.ids)
        np.testing.assert_allclose(one.logprobs, expected, atol=1e-5)
        assert (one.finish == "stop") == (one.ids[-1] == END)
        assert END not in one.ids[:-1] and END not in one.ids[:2]


def test_scoring_many_together_is_scoring_one(model):
    examples = [Example.of(prompt, (3, 4, 1)) for prompt in PROMPTS]
    for together, alone in zip(score(model, examples), score(model, examples, batch_tokens=1)):
        np.testing.assert_allclose(together, alone, atol=1e-6)
    assert score(model, []) == []


@pytest.mark.parametrize("kind", ["llama", "sliding window", "gpt2"])
def test_greedy_is_transformers_greedy(kind):
    model = build(kind)
    found = sample(model, PROMPTS, 2, Sampling(temperature=0, max_tokens=12), seed=0)
    for prompt, (one, again) in zip(PROMPTS, found):
        peer = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=12)[0, len(prompt) :]
        assert one.ids == again.ids == tuple(peer.tolist())


def test_a_sample_depends_on_its_prompt_and_number_only(model):
    settings = Sampling(max_tokens=10)
    base = sample(model, PROMPTS, 4, settings, seed=3)
    assert flat(base) == flat(sample(model, PROMPTS, 4, settings, seed=3, rows=3))
    for prompt, row in zip(PROMPTS, base):
        assert flat([row]) == flat(sample(model, [prompt], 4, settings, seed=3))
        assert flat([row])[:2] == flat(sample(model, [prompt], 2, settings, seed=3))
    assert flat(base) != flat(sample(model, PROMPTS, 4, settings, seed=4))
    assert len(set(flat(base))) > 15
    first, second = sample(model, [PROMPTS[0]] * 2, 4, settings, seed=3)
    assert flat([first]) == flat(base[:1]) and not set(flat([first])) & set(flat([second]))


def test_torchs_global_state_is_neither_read_nor_changed(model):
    torch.manual_seed(1)
    first = sample(model, PROMPTS, 2, Sampling(max_tokens=5), seed=3)
    state = torch.get_rng_state()
    second = sample(model, PROMPTS, 2, Sampling(max_tokens=5), seed=3)
    assert flat(first) == flat(second) and torch.equal(state, torch.get_rng_state())


def test_a_prompt_is_read_once_and_finished_rows_are_dropped(model):
    shapes = []
    hook = model.model.embed_tokens.register_forward_hook(lambda _, args, __: shapes.append(args[0].shape))
    try:
        found = sample(model, PROMPTS, 20, Sampling(max_tokens=30), seed=1)
    finally:
        hook.remove()
    assert shapes[0] == (5, 9) and all(shape[1] == 1 for shape in shapes[1:])
    rows = [shape[0] for shape in shapes[1:]]
    assert rows == sorted(rows, reverse=True) and rows[0] <= 100 and rows[-1] < 50
    for step, batch in enumerate(rows, 1):  # finished rows are never a large share of the batch
        running = sum(len(ids) > step for ids in flat(found))
        assert running <= batch and (batch - running) / batch < DROP_SHARE


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_p", [0.3, 0.8, 1.0])
def test_inverted_distribution_is_transformers_distribution(temperature, top_p):
    logits = torch.randn(3, 40, generator=torch.Generator().manual_seed(1)) * 2
    kept = logits / temperature if top_p == 1 else TopPLogitsWarper(top_p)(None, logits / temperature)
    expected = torch.softmax(kept.double(), dim=1)
    grid = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    for row in range(3):
        drawn = invert(logits[row].expand(len(grid), -1), grid, temperature, top_p)
        shares = torch.bincount(drawn, minlength=40) / len(grid)
        np.testing.assert_allclose(shares, expected[row], atol=1e-3)
        assert not shares[expected[row] == 0].any()


@pytest.mark.parametrize("words", [5, 20_000])
def test_impossible_words_are_never_drawn(words):
    logits = torch.full((2, words), -torch.inf)
    logits[:, 3] = 0.0
    ends = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    assert invert(logits, ends).tolist() == invert(logits, ends, 1.0, 0.5).tolist() == [3, 3]


def test_samples_follow_the_models_distribution(model):
    found = sample(model, [[2, 3]], 4000, Sampling(max_tokens=1), seed=0, rows=4000)
    with torch.inference_mode():
        expected = torch.softmax(model(torch.tensor([[2, 3]])).logits[0, -1], dim=0).numpy()
    counts = np.bincount([ids[0] for ids in flat(found)], minlength=VOCABULARY)
    error = np.sqrt(expected * (1 - expected) / 4000)
    assert np.all(np.abs(counts / 4000 - expected) < 4.5 * error + 1e-9)


def test_suppressed_end_and_done(model):
    found = sample(model, PROMPTS, 8, Sampling(max_tokens=6), seed=1, suppress=[END, 5, 6], end=[7])
    drawn = {token for ids in flat(found) for token in ids}
    assert not drawn & {END, 5, 6} and 7 in drawn
    assert all((one.ids[-1] == 7) == (one.finish == "stop") for row in found for one in row)
    halted = sample(
        model, PROMPTS, 8, Sampling(max_tokens=6), seed=1, suppress=[END], done=lambda ids: len(ids) > 2
    )
    assert {len(ids) for ids in flat(halted)} == {3}
    assert {one.finish for row in halted for one in row} == {"stop"}


def test_answers_end_at_the_models_context(model):
    long = [2] * 37
    found = sample(model, [long, [2]], 3, Sampling(max_tokens=60), seed=0, suppress=[END])
    assert [len(one.ids) for row in found for one in row] == [3, 3, 3, 39, 39, 39]
    examples = [Example.of(prompt, one.ids) for prompt, row in zip([long, [2]], found) for one in row]
    for one, expected in zip(found[0] + found[1], score(model, examples)):
        np.testing.assert_allclose(one.logprobs, expected, atol=1e-5)
    gpt2 = build("gpt2")  # positions are table rows here: running over them would fail
    assert len(sample(gpt2, [long, [2]], 20, Sampling(max_tokens=60), seed=0, suppress=[END])[1]) == 20


@pytest.mark.parametrize(
    "wrong, says",
    [
        (dict(prompts=[[2], []]), r"prompts\[1\] is empty"),
        (dict(prompts=[[2] * 40]), "has 40 tokens"),
        (dict(n=0), "n is 0"),
        (dict(rows=0), "rows 0"),
    ],
)
def test_mistakes(model, wrong, says):
    with pytest.raises(ValueError, match=says):
        sample(**{"model": model, "prompts": PROMPTS, "seed": 0} | wrong)


def test_no_prompts(model):
    assert sample(model, [], 3, seed=0) == []
