"""The language-model room: sampling against `generate`, and scoring at the targets against all positions."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from msig_lib.lm.decoder import build_decoder, build_tokenizer
from msig_lib.lm.generate import Sampling
from msig_lib.lm.sampling import Sampled, sample
from msig_lib.lm.scoring import Example, score
from tests.benchmarks.compare import Benchmark, Disagreement

QUESTIONS, SAMPLES, PROMPT, LONGEST = 32, 16, (24, 33), 48
WORDS, END_LOGIT = 600, 3.3  # an untrained model with this logit ends after 21 tokens on average


@cache
def _model() -> LlamaForCausalLM:
    """Return a decoder of the chapters' size (.39M parameters) that ends its texts at random."""
    tokenizer = build_tokenizer([" ".join(f"w{i}" for i in range(WORDS))])
    model = build_decoder(tokenizer, seed=0)
    head = torch.nn.Linear(model.config.hidden_size, model.config.vocab_size)
    with torch.no_grad():
        head.weight.copy_(model.lm_head.weight)
        head.bias.zero_()
        head.bias[model.config.eos_token_id] = END_LOGIT
    model.lm_head = head
    return model


@cache
def _prompts() -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [[2, *rng.integers(4, WORDS, rng.integers(*PROMPT) - 1).tolist()] for _ in range(QUESTIONS)]


def _generate(prompts: list[list[int]]) -> list[list[int]]:
    """Return the new tokens of `SAMPLES` samples a prompt by one call of transformers' `generate`."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    with torch.inference_mode():
        out = _model().generate(
            ids,
            attention_mask=mask,
            num_return_sequences=SAMPLES,
            do_sample=True,
            top_k=0,
            max_new_tokens=LONGEST,
        )[:, longest:]
    end = _model().config.eos_token_id
    return [row[: row.index(end) + 1] if end in row else row for row in out.tolist()]


def _ours() -> list[list[Sampled]]:
    return sample(_model(), _prompts(), SAMPLES, Sampling(max_tokens=LONGEST), seed=1)


def _by_question() -> list[list[int]]:
    return [row for prompt in _prompts() for row in _generate([prompt])]


def _at_once() -> list[list[int]]:
    return _generate(_prompts())


def _same_lengths(found: list[list[Sampled]], other: list[list[int]]) -> str:
    """Compare what can be compared of two random draws: how many samples, and how long they are."""
    ours = np.array([len(one.ids) for row in found for one in row])
    theirs = np.array([len(row) for row in other])
    error = np.hypot(ours.std(), theirs.std()) / np.sqrt(len(ours))
    said = f"{QUESTIONS} questions x {SAMPLES} samples, {ours.mean():.1f} and {theirs.mean():.1f} tokens a sample"
    if len(ours) != len(theirs) or abs(ours.mean() - theirs.mean()) > 4 * error:
        raise Disagreement(said)
    return said


def _sampling(name: str, peer: object, asked: str) -> Benchmark:
    return Benchmark(f"lm-sampling-{name}", _ours, peer, asked, _same_lengths, prepare=_warm, repeats=5)


def _warm() -> None:
    sample(_model(), _prompts()[:1], 1, Sampling(max_tokens=2), seed=0)


def _scoring() -> Benchmark:
    @cache
    def examples() -> list[Example]:
        rng = np.random.default_rng(1)
        rows = [rng.integers(4, WORDS, rng.integers(60, 120)).tolist() for _ in range(256)]
        return [Example.of(row[:-20], row[-20:]) for row in rows]

    def prepare() -> None:
        _warm()
        examples()

    def ours() -> list[np.ndarray]:
        return score(_model(), examples())

    def peer() -> list[Tensor]:
        out = []
        with torch.inference_mode():
            for first in range(0, len(examples()), 64):
                batch = [torch.tensor(example.ids) for example in examples()[first : first + 64]]
                ids = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True)
                logprobs = torch.log_softmax(_model()(ids[:, :-1]).logits, dim=-1)
                taken = logprobs.gather(2, ids[:, 1:, None])[..., 0]
                out += [row[len(one) - 21 : len(one) - 1] for row, one in zip(taken, batch)]
        return out

    def check(found: list[np.ndarray], other: list[Tensor]) -> str:
        gap = max(np.abs(a - b.numpy()).max() for a, b in zip(found, other))
        if gap > 1e-5:
            raise Disagreement(f"log-probabilities up to {gap:.1e} apart")
        return f"{len(found)} texts, 20 targets each; largest gap of a log-probability {gap:.1e}"

    return Benchmark("lm-scoring", ours, peer, "peer/ours >= 1", check, prepare=prepare, repeats=5)


def benchmarks() -> list[Benchmark]:
    return [
        _sampling("by-question", _by_question, "peer/ours >= 5"),
        _sampling("at-once", _at_once, "peer/ours >= 1"),
        _scoring(),
    ]
