import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from msig_lib.lm.decoder import build_decoder, build_tokenizer
from msig_lib.lm.scoring import Example, prompt_example, score, target_logprobs, text_example
from msig_lib.lm.threads import torch_threads
from msig_lib.lm.training import TrainingDiverged, TrainSettings, batch_rows, train

WORDS = [f"w{i}" for i in range(20)]
TOKENIZER = build_tokenizer([" ".join(WORDS)])
QUICK = TrainSettings(steps=8, batch=4, learning_rate=1e-2, sort_within=3)


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):  # the work is tiny: several threads only wait for each other
        yield


def decoder(seed=1, dropout=0.0):
    model = build_decoder(TOKENIZER, seed=seed, width=16, layers=2, heads=2, max_positions=64)
    model.config.attention_dropout = dropout
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = dropout
    return model


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 12))) for _ in range(30)]
    return [
        prompt_example(TOKENIZER, text, text) if i % 2 else text_example(TOKENIZER, text)
        for i, text in enumerate(texts)
    ]


def weights(model):
    return torch.cat([value.detach().flatten() for value in model.parameters()])


def huggingface_loss(model, example):
    """The same by transformers: labels of -100 are ignored, and the mean is over the rest."""
    ids = torch.tensor([example.ids])
    labels = ids.masked_fill(~torch.tensor([example.targets]), -100)
    return model(input_ids=ids, labels=labels).loss


@pytest.mark.parametrize("kind", ["llama", "other head"])
def test_target_logprobs_equal_transformers_loss(examples, kind):
    model = decoder()
    if kind == "other head":
        model.config.model_type = "not a plain head"
    found = target_logprobs(model, examples)
    expected = [huggingface_loss(model, example).item() * sum(example.targets) for example in examples]
    parts = np.split(found.detach().numpy(), np.cumsum([sum(e.targets) for e in examples])[:-1])
    np.testing.assert_allclose([-part.sum() for part in parts], expected, rtol=1e-5)
    for part, scored in zip(parts, score(model, examples, batch_tokens=40)):
        np.testing.assert_allclose(part, scored, atol=1e-6)


def test_examples_mark_what_is_predicted():
    bos, end = TOKENIZER.bos_token_id, TOKENIZER.eos_token_id
    a, b = TOKENIZER.convert_tokens_to_ids(["w1", "w2"])
    assert prompt_example(TOKENIZER, "w1", "w2") == Example((bos, a, b, end), (False, False, True, True))
    assert text_example(TOKENIZER, "w1 w2") == Example((bos, a, b, end), (False, True, True, True))
    assert text_example(TOKENIZER, "w1 w2", max_tokens=2).ids == (bos, a)
    with pytest.raises(ValueError, match="context alone has 3"):
        prompt_example(TOKENIZER, "w1 w2", "w2", max_tokens=3)
    with pytest.raises(ValueError, match="2 token ids but 1"):
        Example((1, 2), (True,))
    with pytest.raises(ValueError, match="start with <bos>"):
        Example((1, 2), (True, True))


def test_every_pass_reads_every_example_once():
    lengths = np.random.default_rng(0).integers(1, 30, 50)
    settings = TrainSettings(steps=40, batch=5, sort_within=4)
    rows = np.concatenate([batch_rows(lengths, settings, 3, step) for step in range(40)])
    for first in (0, 100):  # windows of 20 rows meet the passes of 50 every 100 rows
        assert np.bincount(rows[first : first + 100]).tolist() == [2] * 50
    assert not np.array_equal(rows[:100], rows[100:])
    other = np.concatenate([batch_rows(lengths, settings, 4, step) for step in range(40)])
    assert not np.array_equal(rows, other)


def test_sorting_saves_padding():
    lengths = np.random.default_rng(0).integers(1, 100, 1000)

    def padded(settings):
        batches = [lengths[batch_rows(lengths, settings, 0, step)] for step in range(20)]
        return sum(batch.max() * len(batch) for batch in batches) / sum(batch.sum() for batch in batches)

    sorted_, unsorted = (padded(TrainSettings(20, batch=16, sort_within=k)) for k in (20, 0))
    assert sorted_ < 1.1 < 1.6 < unsorted


def test_fewer_examples_than_a_batch():
    settings = TrainSettings(2, batch=5, sort_within=2)
    rows = np.concatenate([batch_rows(np.array([2, 3]), settings, 0, step) for step in range(2)])
    assert np.bincount(rows).tolist() == [5, 5]


def test_rate_rises_then_falls_as_a_cosine():
    settings = TrainSettings(steps=100, learning_rate=2.0, warmup=0.1, final=0.1)
    rates = [settings.rate(step) for step in range(100)]
    np.testing.assert_allclose(rates[:11], 2.0 * np.arange(1, 12) / 11)
    assert rates[55] == pytest.approx(2.0 * (0.1 + 0.9 / 2))  # half of the way down
    assert np.all(np.diff(rates[10:]) < 0) and rates[-1] == pytest.approx(0.2, rel=0.01)
    assert TrainSettings(steps=1).rate(0) == TrainSettings(steps=1).learning_rate


def test_the_loop_is_a_plain_adamw_loop(examples):
    """Written out with torch's unfused AdamW, one example at a time, and transformers' own loss."""
    settings = replace(QUICK, sort_within=0, weight_decay=0.1, clip=0.5)
    found = decoder()
    history = train(found, examples, settings, seed=7)
    model = decoder()
    matrices = [value for value in model.parameters() if value.ndim == 2]
    vectors = [value for value in model.parameters() if value.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        betas=settings.betas,
        fused=False,
    )
    lengths = np.array([len(example) for example in examples])
    losses = []
    for step in range(settings.steps):
        batch = [examples[row] for row in batch_rows(lengths, settings, 7, step)]
        terms = sum(sum(example.targets) for example in batch)
        loss = sum(huggingface_loss(model, one) * sum(one.targets) for one in batch) / terms
        loss.backward()
        norm = math.sqrt(sum(float(value.grad.square().sum()) for value in model.parameters()))
        assert history.norms[step] == pytest.approx(norm, rel=1e-3)
        for value in model.parameters():
            value.grad *= min(1.0, 0.5 / norm)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate(step)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    np.testing.assert_allclose(history.losses, losses, rtol=1e-4)
    torch.testing.assert_close(weights(found), weights(model), rtol=1e-2, atol=2e-4)


def test_a_seed_fixes_the_run_and_the_global_state_is_left(examples):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    models = [decoder(dropout=0.2) for _ in range(3)]
    runs = [train(model, examples, QUICK, seed=seed) for model, seed in zip(models, (3, 3, 4))]
    assert torch.equal(torch.rand(3), expected)
    assert np.array_equal(runs[0].losses, runs[1].losses)
    assert not np.array_equal(runs[0].losses, runs[2].losses)
    assert torch.equal(weights(models[0]), weights(models[1])) and not models[0].training


class Killed(Exception):
    pass


@pytest.mark.parametrize("killed_after", [3, 5, 8])
def test_a_resumed_run_is_bit_equal(examples, tmp_path, killed_after):
    whole = decoder(dropout=0.2)
    expected = train(whole, examples, QUICK, seed=3)

    def kill(step, model):
        if step == killed_after:
            raise Killed

    path = tmp_path / "runs" / "run.safetensors"
    with pytest.raises(Killed):
        train(
            decoder(dropout=0.2),
            examples,
            QUICK,
            seed=3,
            checkpoint=path,
            checkpoint_every=2,
            after_step=kill,
        )
    steps = []
    model = decoder(seed=99, dropout=0.2)  # its weights are replaced
    found = train(
        model, examples, QUICK, seed=3, checkpoint=path, after_step=lambda step, _: steps.append(step)
    )
    assert steps[0] == killed_after // 2 * 2 - 2 * (killed_after % 2 == 0) + 1
    assert torch.equal(weights(model), weights(whole))
    assert np.array_equal(found.losses, expected.losses) and np.array_equal(found.norms, expected.norms)
    done = decoder(seed=98)
    again = train(
        done, examples, QUICK, seed=3, checkpoint=path, after_step=lambda *_: pytest.fail("trained")
    )
    assert torch.equal(weights(done), weights(whole)) and np.array_equal(again.losses, expected.losses)
    assert [p.name for p in path.parent.iterdir()] == ["run.safetensors"]


@pytest.mark.parametrize(
    "change, says",
    [
        (dict(seed=4), "seed 3 there, 4 here"),
        (dict(settings=replace(QUICK, learning_rate=1e-3)), "settings .*0.01.* there, .*0.001"),
        (dict(examples=[Example((2, 5), (False, True))]), "differs in examples"),
        (dict(model=build_decoder(TOKENIZER, seed=0, width=8, layers=1, heads=2)), "differs in parameters"),
    ],
)
def test_another_runs_checkpoint_is_refused(examples, tmp_path, change, says):
    path = tmp_path / "run.safetensors"
    run = dict(model=decoder(), examples=examples, settings=QUICK, seed=3, checkpoint=path)
    train(**run)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=says):
        train(**run | change)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [b"", b"not safetensors at all", None])
def test_a_damaged_checkpoint_is_refused(examples, tmp_path, damage):
    path = tmp_path / "run.safetensors"
    train(decoder(), examples, QUICK, seed=3, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    with pytest.raises(ValueError, match="not a training checkpoint"):
        train(decoder(), examples, QUICK, seed=3, checkpoint=path)


def test_training_stops_at_a_loss_that_is_no_number(examples):
    model = decoder()
    before = {}

    def broken(model, batch):
        calls = before.setdefault("calls", [])
        calls.append(1)
        before["weights"] = weights(model)
        logprobs = target_logprobs(model, batch)
        return -logprobs.sum() * (torch.nan if len(calls) == 4 else 1.0), len(logprobs)

    with pytest.raises(TrainingDiverged, match=r"step 4 of 8: the loss is nan .*the loss before was \d"):
        train(model, examples, QUICK, seed=0, loss=broken)
    assert torch.equal(weights(model), before["weights"]) and not model.training
    with pytest.raises(TrainingDiverged, match="inf"):
        train(
            decoder(), examples, QUICK, seed=0, loss=lambda m, b: (target_logprobs(m, b).sum() * torch.inf, 1)
        )


def test_it_learns():
    examples = [prompt_example(TOKENIZER, one, other) for one, other in pairwise(WORDS)]
    settings = TrainSettings(steps=60, batch=19, learning_rate=2e-2)
    model = decoder()
    history = train(model, examples, settings, seed=0)
    assert history.losses[-1] < 0.1 < 2 < history.losses[0]
    assert all(np.all(values > np.log(0.5)) for values in score(model, examples))
    assert history.tokens == 60 * 19 * 4 and history.seconds > 0


@pytest.mark.parametrize(
    "wrong", [dict(steps=0), dict(batch=0), dict(learning_rate=0.0), dict(warmup=1.0), dict(clip=0.0)]
)
def test_impossible_settings(wrong):
    with pytest.raises(ValueError, match="expected, given"):
        TrainSettings(**{"steps": 3} | wrong)


def test_nothing_to_train_on():
    with pytest.raises(ValueError, match="no examples"):
        train(decoder(), [], QUICK, seed=0)


def test_a_frozen_model_is_refused_and_frozen_parts_stay(examples):
    model = decoder().requires_grad_(False)
    with pytest.raises(ValueError, match="requires_grad_"):
        train(model, examples, QUICK, seed=0)
    before = weights(model)
    model.model.norm.weight.requires_grad_(True)
    train(model, examples, QUICK, seed=0)
    changed = (weights(model) != before).sum()
    assert 0 < changed <= model.model.norm.weight.numel()
