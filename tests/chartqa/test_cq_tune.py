"""What training on one's own traces changes and what not, with hand-made pools and a tiny learner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from msig_lib.chartqa import signal, tune
from msig_lib.chartqa.data import ChartSettings, make_charts
from msig_lib.chartqa.model import Learner
from msig_lib.chartqa.questions import ask
from msig_lib.chartqa.traces import check_traces
from msig_lib.chartqa.train import mixed
from msig_lib.lm.scoring import score
from msig_lib.lm.threads import torch_threads
from msig_lib.lm.vision import VisionSettings
from msig_lib.preference.dpo import DPOSettings
from msig_lib.preference.pairs import Pairs

SMALL = VisionSettings(tower_width=32, width=32, layers=1, heads=2)
CHARTS = make_charts(60, ChartSettings(styles=("bars",), marks=(2, 3)), seed=0)
QUESTIONS = ask(CHARTS.tables, 8, ("total",), seed=0)
DIRECT = ask(CHARTS.tables, 30, ("sum", "difference"), seed=1)
QUICK = tune.RFTSettings(steps=2, batch=8, learning_rate=1e-2)
STRONG = tune.PreferenceSettings(learning_rate=1e-2, epochs=2)


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


@pytest.fixture(scope="module")
def learner():
    return Learner.new(SMALL, seed=0)


@pytest.fixture(scope="module")
def end(learner):
    return learner.tokenizer.eos_token_id


def wrong(trace):
    *words, answer = trace.split()
    return " ".join([*words, str(int(answer) + 1)])


@pytest.fixture(scope="module")
def pool(learner, end):
    """Four samples a question: the right trace twice, a wrong answer, and the same one again."""
    texts = [text for q in QUESTIONS for text in (q.trace, wrong(q.trace), q.trace, wrong(q.trace))]
    ids = [(*learner.tokenizer(text, add_special_tokens=False)["input_ids"], end) for text in texts]
    asked = [q for q in QUESTIONS for _ in range(4)]
    logprobs = [np.zeros(len(own), np.float32) for own in ids]
    verdicts = check_traces(texts, asked, CHARTS.tables)
    return signal.Pool(QUESTIONS, 4, ids, texts, logprobs, verdicts)


PAIRS = Pairs(np.arange(0, 32, 4), np.arange(1, 32, 4), np.arange(8))


def said(example):
    """The ids that an example teaches."""
    return tuple(i for i, target in zip(example.ids, example.targets) if target)


def same(one, two, part=""):
    """Whether the weights whose name has `part` are the same to the bit."""
    a, b = one.state(), two.state()
    names = [name for name in a if part in name]
    assert names
    return all(np.array_equal(a[name], b[name]) for name in names)


@pytest.fixture
def taught(monkeypatch):
    """What `train` was called with by `rft`, without training."""
    calls = []
    monkeypatch.setattr(
        tune, "train", lambda model, examples, how, *, seed: calls.append((examples, how, seed))
    )
    return calls


@pytest.mark.parametrize("mix", ["direct", "cot"])
@pytest.mark.parametrize("rows", [[5], [0, 2, 5, 9], list(range(32))])
def test_traces_are_half_of_what_is_learnt_beside_the_mix(learner, pool, taught, rows, mix):
    tune.rft(learner, (pool, rows), DIRECT, CHARTS, QUICK, seed=3, mix=mix)
    ((examples, how, seed),) = taught
    known = mixed(learner, mix, DIRECT, CHARTS, seed=3)
    half = len(known)
    assert examples[:half] == known and len(examples) == 2 * half >= 2 * len(rows)
    rows = np.random.default_rng(3).permutation(rows)[:half]  # a random part of too many
    rows = [rows[i % len(rows)] for i in range(half)]  # the traces again and again
    asked = pool.asked(rows)
    assert [said(one) for one in examples[half:]] == [pool.ids[row] for row in rows]
    for one, prompt, question in zip(examples[half:], learner.prompts(asked, CHARTS, "cot"), asked):
        assert list(one.ids[: len(prompt)]) == prompt
        np.testing.assert_array_equal(one.images[0], CHARTS.images[question.chart])
    assert len({tuple(one.ids) for one in examples[half:]}) > 1 or len(set(rows)) == 1
    assert (how.steps, how.batch, how.learning_rate, seed) == (2, 8, 1e-2, 3)


def test_the_control_takes_as_many_steps_on_the_mix_alone(learner, taught):
    tune.rft(learner, None, DIRECT, CHARTS, QUICK, seed=3)
    ((examples, how, _),) = taught
    assert examples == mixed(learner, "direct", DIRECT, CHARTS, seed=3) and how.steps == 2


def test_rft_trains_a_copy(learner, pool):
    before = learner.state()
    tuned, run = tune.rft(learner, (pool, np.array([0, 4])), DIRECT, CHARTS, QUICK, seed=0)
    again, _ = tune.rft(learner, (pool, np.array([0, 4])), DIRECT, CHARTS, QUICK, seed=0)
    assert len(run.losses) == 2 and same(tuned, again) and not same(tuned, learner)
    assert all(np.array_equal(value, learner.state()[name]) for name, value in before.items())
    with pytest.raises(ValueError, match="no trace was accepted"):
        tune.rft(learner, (pool, []), DIRECT, CHARTS, QUICK, seed=0)
    with pytest.raises(ValueError, match="mix 'all'"):
        tune.rft(learner, (pool, [0]), DIRECT, CHARTS, QUICK, seed=0, mix="all")


def margins(learner, pool):
    values = np.array([row.sum() for row in tune.trace_logprobs(learner, pool, CHARTS)])
    return values[PAIRS.chosen] - values[PAIRS.rejected]


def test_dpo_moves_the_decoder_towards_the_winners_and_nothing_else(learner, pool):
    before = learner.state()
    tuned, run = tune.prefer(learner, pool, PAIRS, CHARTS, STRONG, seed=0)
    assert same(tuned, learner, "vision_tower") and same(tuned, learner, "projector")
    assert not same(tuned, learner, "language_model")
    assert all(np.array_equal(value, learner.state()[name]) for name, value in before.items())
    assert run.loss[0] == pytest.approx(np.log(2), abs=1e-5)  # the copy is its own reference
    assert margins(tuned, pool).mean() > margins(learner, pool).mean() + 1
    learnt_more = tune.rft(learner, None, DIRECT, CHARTS, QUICK, seed=0)[0]
    assert not same(learnt_more, learner, "projector")  # the original is not frozen by it


@pytest.fixture
def preferred(monkeypatch):
    """What `train_dpo` was called with, without training."""
    calls = []

    def noted(*arguments, seed, reference):
        assert reference is None  # nobody said that the learner wrote the pool
        calls.append((*arguments, seed))

    monkeypatch.setattr(tune, "train_dpo", noted)
    return calls


def test_pairs_name_the_same_traces_as_in_the_pool(learner, pool, preferred):
    pairs = Pairs([30, 4, 8], [29, 7, 11], [7, 1, 2])
    settings = tune.PreferenceSettings("both", beta=0.3, learning_rate=3e-4, epochs=40)
    tune.prefer(learner, pool, pairs, CHARTS, settings, seed=5)
    ((_, examples, at, how, loss, seed),) = preferred
    assert len(examples) == 6
    for side, rows in (("chosen", pairs.chosen), ("rejected", pairs.rejected)):
        expected = tune.own(learner, pool, rows, CHARTS)
        assert [examples[i] for i in getattr(at, side)] == expected
        assert [said(one) for one in expected] == [pool.ids[row] for row in rows]
    assert (how.steps, how.learning_rate, seed) == (4, 3e-4, 5)  # 120 pairs in batches of 32
    assert loss == DPOSettings(0.3, 1.0, 0.3)


@pytest.mark.parametrize("limit", [1, 4, None])
def test_a_cut_response_has_no_end_token(learner, pool, end, preferred, limit):
    tune.prefer(learner, pool, PAIRS, CHARTS, tune.PreferenceSettings(limit=limit), seed=0)
    ((_, examples, at, *_),) = preferred
    for side, rows in ((at.chosen, PAIRS.chosen), (at.rejected, PAIRS.rejected)):
        assert [said(examples[i]) for i in side] == [pool.ids[row][:limit] for row in rows]
    assert all((said(one)[-1] == end) == (limit is None) for one in examples)


def test_a_response_as_long_as_the_limit_stays_whole(learner, pool, preferred):
    words = len(pool.ids[0]) - 1  # the end token does not count
    tune.prefer(learner, pool, PAIRS, CHARTS, tune.PreferenceSettings(limit=words), seed=0)
    ((_, examples, at, *_),) = preferred
    assert said(examples[at.chosen[0]]) == pool.ids[0]


def test_the_control_ignores_the_losers(learner, pool):
    ids = list(pool.ids)
    for row in PAIRS.rejected.tolist():
        ids[row] = ids[row][::-1]
    changed = replace(pool, ids=ids)
    for objective, ignored in (("nll", True), ("dpo", False), ("both", False)):
        settings = replace(STRONG, objective=objective)
        one, other = (tune.prefer(learner, p, PAIRS, CHARTS, settings, seed=0)[0] for p in (pool, changed))
        assert same(one, other) == ignored, objective
        assert not same(one, learner)


def test_no_pairs_are_an_error(learner, pool):
    with pytest.raises(ValueError, match="no pairs"):
        tune.prefer(learner, pool, Pairs([], [], []), CHARTS, STRONG, seed=0)


def test_traces_score_as_they_were_drawn(learner):
    drawn = signal.draw(learner, QUESTIONS, CHARTS, 3, seed=0)
    found = tune.trace_logprobs(learner, drawn, CHARTS)
    assert len(found) == len(drawn) == 24
    for row in range(24):
        np.testing.assert_allclose(found[row], drawn.logprobs[row], atol=1e-4)
    some = [7, 2, 7]
    for row, values in zip(some, tune.trace_logprobs(learner, drawn, CHARTS, some)):
        np.testing.assert_allclose(values, drawn.logprobs[row], atol=1e-4)
    assert tune.trace_logprobs(learner, drawn, CHARTS, []) == []


def test_a_repeated_trace_is_scored_once(learner, pool, monkeypatch):
    asked = []
    monkeypatch.setattr(tune, "score", lambda m, e, **kw: asked.append(len(e)) or score(m, e, **kw))
    twin = replace(pool, ids=[pool.ids[row % 4] for row in range(len(pool))])  # one text for all questions
    found = tune.trace_logprobs(learner, twin, CHARTS)
    assert asked == [16]
    for q in range(8):
        own = found[4 * q : 4 * q + 4]
        assert own[0] is own[2] and own[1] is own[3] and own[0] is not own[1]
    assert len({values.tobytes() for values in found}) == 16  # another chart: other log-probabilities


def test_settings():
    with pytest.raises(ValueError, match="objective is 'ipo', expected one of dpo, nll, both"):
        tune.PreferenceSettings("ipo")
    assert tune.PreferenceSettings().loss == DPOSettings(0.1, 1.0, 0.0)
    assert tune.PreferenceSettings("nll").loss == DPOSettings(0.1, 0.0, 1.0)
    with pytest.raises(ValueError, match="beta is 0"):
        _ = tune.PreferenceSettings(beta=0).loss


def test_a_limit_below_one_is_an_error(learner, pool):
    with pytest.raises(ValueError, match="limit is 0"):
        tune.prefer(learner, pool, PAIRS, CHARTS, tune.PreferenceSettings(limit=0), seed=0)


def test_the_pool_s_own_log_probabilities_are_the_reference(learner):
    questions, charts = DIRECT[:6], CHARTS
    drawn = signal.draw(learner, questions, charts, 4, seed=2)
    rows = np.arange(len(drawn))
    computed = [row.sum() for row in tune.trace_logprobs(learner, drawn, charts)]
    np.testing.assert_allclose(tune.reference_logprobs(drawn, rows, drawn.ids), computed, atol=1e-4)
    cut = [own[:2] for own in drawn.ids]
    expected = [row[:2].sum() for row in drawn.logprobs]
    np.testing.assert_allclose(tune.reference_logprobs(drawn, rows, cut), expected, atol=1e-6)
    pairs = Pairs(rows[::2], rows[1::2], rows[::2] // 4)
    how = tune.PreferenceSettings(learning_rate=1e-3)
    one, other = (
        tune.prefer(learner, drawn, pairs, charts, how, seed=0, on_policy=known)[0].state()
        for known in (True, False)
    )
    assert max(np.abs(one[name] - other[name]).max() for name in one) < 1e-4
