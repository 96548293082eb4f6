"""Chapter 3: encoding texts, and self-training a head on cached embeddings against the whole encoder."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from functools import cache

import numpy as np
from sentence_transformers import SentenceTransformer

from msig_lib import datasets
from msig_lib.lm.encoder import MINILM_PACKAGE, EncoderUnavailable, SentenceEncoder
from msig_lib.zeroshot.data import Task, from_labelled_text
from msig_lib.zeroshot.model import Bank, EmbeddingBank, TextBank
from msig_lib.zeroshot.train import SelfTrained, SelfTrainSettings, self_train
from tests.benchmarks.compare import Benchmark, Disagreement, NotRun

TEXTS, TOKENS = 400, 128
# A whole run with all four rounds, but only as many steps as fine-tuning the encoder does in seconds.
POOL, SETTINGS = 60, replace(SelfTrainSettings(), steps=8)


@cache
def _task() -> Task:
    ready, reason = datasets.available("docstring_topics")
    if not ready:
        raise NotRun(reason)
    return from_labelled_text(datasets.load("docstring_topics"))


@cache
def _encoder() -> SentenceEncoder:
    try:
        return SentenceEncoder.load("minilm")
    except EncoderUnavailable as error:
        raise NotRun(str(error)) from error


def _encoding() -> Benchmark:
    @cache
    def other() -> SentenceTransformer:
        package = importlib.util.find_spec(MINILM_PACKAGE)
        model = SentenceTransformer(f"{package.submodule_search_locations[0]}/model", device="cpu")
        model.max_seq_length = TOKENS
        return model

    def prepare() -> None:
        _task(), _encoder(), other()

    def texts() -> list[str]:
        return _task().texts["train"][:TEXTS]

    def ours() -> np.ndarray:
        return _encoder().encode(texts(), max_tokens=TOKENS, cache=False)

    def peer() -> np.ndarray:
        return other().encode(texts(), normalize_embeddings=True, show_progress_bar=False)

    def warm() -> None:
        _encoder().encode(texts()[:32], max_tokens=TOKENS, cache=False)
        other().encode(texts()[:32], show_progress_bar=False)

    def check(found: np.ndarray, expected: np.ndarray) -> str:
        lowest = float((found * expected).sum(1).min())
        said = f"{TEXTS} texts of at most {TOKENS} tokens; lowest cosine between the two {lowest:.6f}"
        if not lowest > 0.999:
            raise Disagreement(said)
        return said

    # Both sort by length and pad in batches of their default size (16 and 32), in their default precision.
    return Benchmark("zeroshot-encoding", ours, peer, "peer/ours >= 0.9", check, prepare=prepare, warm=warm)


def _self_training() -> Benchmark:
    @cache
    def bank(kind: type[Bank]) -> Bank:
        made = kind(_encoder(), max_tokens=TOKENS)
        made.add([prompt for row in _task().prompts() for prompt in row])
        made.add(pool())
        return made

    @cache
    def pool() -> list[str]:
        task = _task()
        return [task.texts["train"][row] for row in task.pool(POOL, seed=0)]

    def prepare() -> None:
        bank(EmbeddingBank), bank(TextBank)

    def train(kind: type[Bank]) -> SelfTrained:
        return self_train(bank(kind), _task().prompts(), pool(), seed=0, settings=SETTINGS)

    def check(head: SelfTrained, whole: SelfTrained) -> str:
        steps = [sum(now.steps for now in run.history) for run in (head, whole)]
        same = [np.mean(a.labels == b.labels) for a, b in zip(head.history, whole.history)]
        said = (
            f"{POOL} texts, {len(_task().class_names)} classes, {steps[0]} and {steps[1]} steps of the "
            f"same size; pseudo labels agree on {same[0]:.0%} of the pool at the start, {same[-1]:.0%} at the end"
        )
        if steps[0] != steps[1] or same[0] < 0.98:  # two precisions may read a tie differently
            raise Disagreement(said)
        return said

    return Benchmark(
        "zeroshot-self-training",
        lambda: train(EmbeddingBank),
        lambda: train(TextBank),
        "peer/ours >= 50",
        check,
        prepare=prepare,
        warm=lambda: train(EmbeddingBank),
        repeats=2,
    )


def benchmarks() -> list[Benchmark]:
    return [_encoding(), _self_training()]
