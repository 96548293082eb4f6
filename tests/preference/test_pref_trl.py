"""Our DPO loss, rewards and gradients are TRL's: against its stored values, and against TRL itself where it is."""

import json

import make_trl_reference as reference
import numpy as np
import pytest
import torch

from msig_lib.lm.scoring import Example
from msig_lib.lm.threads import torch_threads
from msig_lib.preference.dpo import DPOSettings, dpo_loss, pad, token_rewards, truncate
from msig_lib.preference.train import example_logprobs, response_logprobs

STORED = np.load(reference.FILE, allow_pickle=False)
END = reference.TOKENIZER.eos_token_id
CLOSE = dict(rtol=0, atol=1e-5)


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


def stored(kind, number):
    prefix = f"{kind}.{number}."
    return {name.removeprefix(prefix): STORED[name] for name in STORED.files if name.startswith(prefix)}


def examples(tokens):
    """The same pairs in our form: chosen, then rejected; a response is cut where TRL cuts it."""
    encode = lambda text: reference.TOKENIZER(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    found = []
    for side in ("chosen", "rejected"):
        for pair in reference.texts():
            response = [*encode(pair[side]), END]
            if tokens is not None:
                response = truncate(response, tokens)
            context = [reference.TOKENIZER.bos_token_id, *encode(pair["prompt"])]
            found.append(Example.of(context, response))
    return found


def check_whole(case, expected):
    beta, nll, preference, tokens = case
    policy, before, both = reference.model(2), reference.model(3), examples(tokens)
    assert [example.ids[-1] for example in both] == expected["last"].tolist()
    values, mask = example_logprobs(policy, both)
    known = torch.from_numpy(response_logprobs(before, both))
    n = reference.PAIRS
    found = dpo_loss(
        values[:n],
        values[n:],
        known[:n],
        known[n:],
        DPOSettings(beta, preference, nll),
        chosen_mask=mask[:n],
        rejected_mask=mask[n:],
    )
    found.loss.backward()
    np.testing.assert_allclose(found.loss.item(), expected["loss"], **CLOSE)
    np.testing.assert_allclose(reference.gradients(policy), expected["gradients"], **CLOSE)
    assert np.abs(expected["gradients"]).max() > 0.01
    ours = torch.stack([beta * found.chosen_ratios, beta * found.rejected_ratios, found.margins], 1)
    np.testing.assert_allclose(ours.numpy(), expected["rewards"], **CLOSE)
    assert found.accuracy.item() == pytest.approx(float(expected["accuracy"]))
    with torch.inference_mode():
        first = example_logprobs(before, both)[0]
    tokens_of = token_rewards(values.detach().numpy(), first.numpy(), mask.numpy(), beta=beta)
    np.testing.assert_allclose(tokens_of.sum(1).reshape(2, n), expected["rewards"][:, :2].T, **CLOSE)


def check_alone(case, expected):
    beta, nll, preference = case
    given = reference.token_values()
    n = reference.PAIRS
    _, mask = pad([np.zeros(length) for length in given["lengths"]])
    mask = torch.from_numpy(np.pad(mask, ((0, 0), (0, reference.LONGEST - mask.shape[1]))))
    policy = torch.from_numpy(given["policy"]).requires_grad_()
    before = torch.from_numpy(given["reference"])
    found = dpo_loss(
        policy[:n],
        policy[n:],
        before[:n],
        before[n:],
        DPOSettings(beta, preference, nll),
        chosen_mask=mask[:n],
        rejected_mask=mask[n:],
    )
    found.loss.backward()
    np.testing.assert_allclose(found.loss.item(), expected["loss"], **CLOSE)
    np.testing.assert_allclose(policy.grad.numpy(), expected["gradients"], **CLOSE)
    assert found.margins.mean().item() == pytest.approx(float(expected["margin"]), abs=1e-5)
    assert found.accuracy.item() == pytest.approx(float(expected["accuracy"]))


def test_the_stored_values_are_of_these_cases():
    says = json.loads(str(STORED["provenance"]))
    assert says["trl"] and says["transformers"]
    assert [tuple(case) for case in says["whole"]] == reference.WHOLE
    assert [tuple(case) for case in says["alone"]] == reference.ALONE


@pytest.mark.parametrize("number", range(len(reference.WHOLE)))
def test_a_model_gets_trls_loss_rewards_and_gradients(number):
    check_whole(reference.WHOLE[number], stored("whole", number))


def test_trl_cuts_without_an_end_token_and_so_do_we():
    whole, cut = stored("whole", 0)["last"], stored("whole", 2)["last"]
    assert (whole == END).all() and 0 < (cut == END).sum() < len(cut)
    assert abs(stored("whole", 0)["loss"] - stored("whole", 2)["loss"]) > 0.01


@pytest.mark.parametrize("number", range(len(reference.ALONE)))
def test_given_log_probabilities_get_trls_loss_and_gradients(number):
    check_alone(reference.ALONE[number], stored("alone", number))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("case", reference.WHOLE[1::2])
def test_trl_itself_agrees(case, monkeypatch):
    pytest.importorskip("trl")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    check_whole(case, reference.whole(*case))
    check_alone(case[:3], reference.alone(*case[:3]))
