from dataclasses import fields

import numpy as np
import pytest
import torch

from msig_lib.lm.decoder import build_decoder, build_tokenizer
from msig_lib.lm.scoring import Example, score
from msig_lib.lm.threads import torch_threads
from msig_lib.lm.training import TrainingDiverged, TrainSettings
from msig_lib.preference.dpo import DPOSettings, dpo_loss
from msig_lib.preference.pairs import Pairs, shuffle_pairs
from msig_lib.preference.train import (
    dpo_train_settings,
    example_logprobs,
    response_logprobs,
    train_dpo,
)

TOKENIZER = build_tokenizer([" ".join(f"w{i}" for i in range(20))])
QUICK = TrainSettings(steps=12, batch=6, learning_rate=3e-3, weight_decay=0.0, sort_within=2)


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


def decoder(seed=1):
    return build_decoder(TOKENIZER, seed=seed, width=16, layers=1, heads=2, max_positions=32)


def weights(model):
    return torch.cat([value.detach().flatten() for value in model.parameters()])


@pytest.fixture(scope="module")
def examples():
    """Responses of even words (rows 0..29) and of odd ones after the same prompts (30..59)."""
    rng = np.random.default_rng(0)
    out = []
    for odd in (0, 1):
        for prompt in range(30):
            ids = 4 + 2 * rng.integers(0, 10, rng.integers(1, 6)) + odd
            out.append(Example.of([2, 4 + prompt % 20], [*ids.tolist(), 3]))
    return out


PAIRS = Pairs(np.arange(30), np.arange(30) + 30, np.arange(30))


def test_log_probabilities_are_those_of_scoring(examples):
    model = decoder()
    values, mask = example_logprobs(model, examples)
    scored = score(model, examples)
    assert mask.sum(1).tolist() == [len(one) for one in scored]
    for row, inside, expected in zip(values, mask, scored):
        np.testing.assert_allclose(row[inside].detach().numpy(), expected, atol=1e-6)
    assert (values[~mask] == 0).all() and values.requires_grad
    found = response_logprobs(model, examples, batch_tokens=40)
    np.testing.assert_allclose(found, [one.sum() for one in scored], rtol=1e-5)
    assert found.dtype == np.float32


def margins(model, examples, reference):
    now = torch.from_numpy(response_logprobs(model, examples))
    first = torch.from_numpy(reference)
    rows = PAIRS.chosen, PAIRS.rejected
    return dpo_loss(now[rows[0]], now[rows[1]], first[rows[0]], first[rows[1]])


def test_it_learns_to_prefer(examples):
    model = decoder()
    reference = response_logprobs(model, examples)
    found = train_dpo(model, examples, PAIRS, QUICK, seed=0)
    assert all(getattr(found, f.name).shape == (12,) for f in fields(found) if f.name != "run")
    assert found.loss[0] == pytest.approx(np.log(2), abs=1e-5) and found.margin[0] == pytest.approx(
        0, abs=1e-5
    )
    np.testing.assert_allclose(found.margin, 0.1 * (found.chosen_ratio - found.rejected_ratio), atol=1e-5)
    np.testing.assert_allclose(found.loss, found.preference, atol=1e-6)
    after = margins(model, examples, reference)
    assert after.accuracy > 0.9 and found.accuracy[-1] > 0.9 and after.margins.mean() > 0.1
    assert after.rejected_ratios.mean() < 0  # the losers were pushed down
    assert not model.training and found.run.tokens > 0


def test_the_control_is_the_same_loop_on_the_same_batches(examples):
    runs = {}
    for name, objective in (
        ("dpo", DPOSettings()),
        ("both", DPOSettings(nll_weight=0.3)),
        ("nll", DPOSettings(preference_weight=0.0, nll_weight=0.3)),
    ):
        model = decoder()
        runs[name] = train_dpo(model, examples, PAIRS, QUICK, objective, seed=0), model
    first = {name: found for name, (found, _) in runs.items()}
    for name in ("both", "nll"):  # before the first update the batch and the model are the same
        for field in ("chosen", "rejected", "nll", "preference"):
            assert getattr(first[name], field)[0] == getattr(first["dpo"], field)[0]
    assert first["nll"].run.tokens == first["dpo"].run.tokens
    np.testing.assert_allclose(first["nll"].loss, 0.3 * first["nll"].nll, rtol=1e-5)
    np.testing.assert_allclose(
        first["both"].loss, first["both"].preference + 0.3 * first["both"].nll, rtol=1e-5
    )
    assert first["nll"].chosen_ratio[-1] > 0.5 and first["nll"].nll[-1] < first["nll"].nll[0]
    assert first["both"].chosen_ratio[-1] > first["dpo"].chosen_ratio[-1]


def test_shuffled_pairs_teach_no_preference(examples):
    gains = []
    for pairs in (PAIRS, shuffle_pairs(PAIRS, seed=0)):
        model = decoder()
        reference = response_logprobs(model, examples)
        train_dpo(model, examples, pairs, QUICK, seed=0)
        gains.append(margins(model, examples, reference).margins.mean().item())
    assert gains[0] > 3 * abs(gains[1])


def test_a_seed_fixes_the_run_to_the_bit_and_the_reference_may_be_given(examples):
    runs = []
    for seed, given in ((0, False), (0, True), (1, False)):
        model = decoder()
        reference = response_logprobs(model, examples) if given else None
        found = train_dpo(model, examples, PAIRS, QUICK, seed=seed, reference=reference)
        runs.append((weights(model), found.loss))
    assert torch.equal(runs[0][0], runs[1][0]) and np.array_equal(runs[0][1], runs[1][1])
    assert not torch.equal(runs[0][0], runs[2][0])


def test_only_rows_in_pairs_are_read_and_the_reference_once(examples):
    seen = []

    def logprobs(model, batch):
        seen.append((torch.is_grad_enabled(), [example.ids for example in batch]))
        return example_logprobs(model, batch)

    some = PAIRS.subset(np.arange(4))
    train_dpo(decoder(), examples, some, QUICK, seed=0, log_probabilities=logprobs)
    wanted = sorted(examples[row].ids for row in [0, 1, 2, 3, 30, 31, 32, 33])
    before = [ids for grad, batch in seen if not grad for ids in batch]
    assert sorted(before) == wanted  # each once
    trained = [batch for grad, batch in seen if grad]
    assert len(trained) == 12 and all(len(batch) == 12 for batch in trained)
    assert {ids for batch in trained for ids in batch} == set(wanted)


def test_any_model_will_do():
    """No decoder and no Example: one number a response, as an image model could give."""

    class Table(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.value = torch.nn.Parameter(torch.zeros(4))

    def logprobs(model, batch):
        rows = torch.tensor([one[0] for one in batch])
        return model.value[rows][:, None].expand(-1, 3), torch.tensor([[True, False, False]] * len(batch))

    model = Table()
    pairs = Pairs([0, 1], [2, 3], [0, 1])
    train_dpo(model, [(0,), (1,), (2,), (3,)], pairs, QUICK, seed=0, log_probabilities=logprobs)
    assert (model.value[:2] > 0).all() and (model.value[2:] < 0).all()


def test_a_loss_that_is_no_number_stops_the_run(examples):
    def broken(model, batch):
        values, mask = example_logprobs(model, batch)
        return values * (torch.nan if torch.is_grad_enabled() else 1.0), mask

    model = decoder()
    before = weights(model)
    with pytest.raises(TrainingDiverged, match="step 1 of 12: the loss is nan"):
        train_dpo(model, examples, PAIRS, QUICK, seed=0, log_probabilities=broken)
    assert torch.equal(weights(model), before)


def test_chapter_7s_settings():
    found = dpo_train_settings(100, learning_rate=1e-4, epochs=2)
    assert (found.steps, found.batch, found.final, found.learning_rate) == (7, 32, 0.0, 1e-4)
    assert found.rate(found.steps - 1) < 0.2 * 1e-4
    for wrong in (dict(pairs=0), dict(epochs=0)):
        with pytest.raises(ValueError, match="expected at least 1 pair"):
            dpo_train_settings(**{"pairs": 3, "learning_rate": 1e-4} | wrong)


@pytest.mark.parametrize(
    "change, says",
    [
        (dict(pairs=Pairs([], [], [])), "no pairs"),
        (dict(pairs=Pairs([0], [60], [0])), r"rows 0..60, but there are 60"),
        (dict(reference=np.zeros(3)), r"\(3,\), expected \(60,\)"),
        (dict(reference=np.full(60, np.nan)), "not finite"),
        (dict(log_probabilities=lambda m, b: (torch.zeros(3, 2), torch.ones(3, 2) > 0)), "for 12 examples"),
    ],
)
def test_bad_input(examples, change, says):
    if "log_probabilities" in change:
        change = change | dict(reference=np.zeros(60))
    with pytest.raises(ValueError, match=says):
        train_dpo(**dict(model=decoder(), examples=examples, pairs=PAIRS, settings=QUICK, seed=0) | change)
