"""Fixtures of the tests of chapter 7's figures and study."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from small_study import PLAN, spoilt

from msig_lib.chartqa import evaluate, signal, study, tune
from msig_lib.chartqa.traces import check_traces


@pytest.fixture
def nothing_stays_open():
    """Warnings of a drawing are errors, and no figure stays open."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def base():
    return study.base(PLAN, 0)


@pytest.fixture(scope="module")
def taught(base):
    return study.teach(PLAN, base, "both", 0)


@pytest.fixture
def truthful(monkeypatch):
    """Every learner answers as `script(question number)` says: "right", "lucky", or "wrong"."""
    script = {}

    def answer(of, questions, charts, form):
        way = (
            [script.get(form, "right")] * len(questions)
            if isinstance(script.get(form), str)
            else script[form]
        )
        texts = [spoilt(q.target("cot"), w) if form == "cot" else q.answer for q, w in zip(questions, way)]
        right = np.array([w != "wrong" for w in way])
        verdicts = check_traces(texts, questions, charts.tables) if form == "cot" else ()
        return evaluate.Answers(form, texts, right, verdicts)

    monkeypatch.setattr(evaluate, "answer", answer)
    return script


@pytest.fixture
def sampled(monkeypatch):
    """Pools in the place of sampled ones: 1 to 6 right traces a question, a lucky one, the rest wrong; no two alike."""
    drawn = []

    def draw(of, questions, charts, samples, *, seed):
        ways = [
            "right" if m <= (q + len(drawn)) % 6 else "lucky" if m == (q + len(drawn)) % 6 + 1 else "wrong"
            for q in range(len(questions))
            for m in range(samples)
        ]
        asked = [q for q in questions for _ in range(samples)]
        texts = [spoilt(q.trace, way) for q, way in zip(asked, ways)]
        words, end = of.tokenizer, of.tokenizer.eos_token_id
        ids = [(*words(text, add_special_tokens=False)["input_ids"], end) for text in texts]
        pool = signal.Pool(questions, samples, ids, texts, [], check_traces(texts, asked, charts.tables))
        pool = replace(pool, logprobs=tune.trace_logprobs(of, pool, charts))
        drawn.append((of.state(), charts, pool, seed))
        return pool

    monkeypatch.setattr(signal, "draw", draw)
    return drawn
