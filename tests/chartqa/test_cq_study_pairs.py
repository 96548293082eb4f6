"""The second half of the study of chapter 7 at sizes that take seconds: pairs, verifiers, blame and the filter.

The tiny learner writes no right trace in that time, so sections that sample from it are given hand-made pools.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from small_study import PLAN, equal, recorded

from msig_lib.chartqa import evaluate, signal, study, tune
from msig_lib.chartqa import study_pairs as pairs
from msig_lib.chartqa.study_pairs import CONTROLS, Arm
from msig_lib.lm.threads import torch_threads


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


ARMS = [Arm(), *CONTROLS, Arm(winners="checked"), Arm(winners="lucky"), Arm(other=True), Arm(limit=4)]


@pytest.fixture
def made(sampled, taught):
    return pairs.prefer(PLAN, taught.states[1.0], 0.5, ARMS, 0, other=taught.states[0.25])


def test_every_arm_is_trained_tested_and_recorded_under_its_own_factors(made, sampled, taught):
    rows, found = made
    log = recorded(rows)
    assert [one.arm for one in found] == ARMS and [one.rate for one in found] == [1e-3] * 7
    (weights, charts, pool, _), (other, *_) = sampled
    assert equal(weights, taught.states[1.0]) and equal(other, taught.states[0.25])
    assert charts is study.world(PLAN)["train"]
    assert {row.factors["strength"] for row in log.rows} == {0.5}
    assert log.select("sample_accuracy")[0].value == pytest.approx(pool.right.mean())
    assert log.select("pairs")[0].value == len(signal.pairs(pool, seed=0))
    for arm, purity in ((Arm(winners="checked"), 1), (Arm(winners="lucky"), 0)):
        assert log.select("winner_right", **arm.factors)[0].value == purity
    outcome, coin = (
        log.select("winner_right", **arm.factors)[0].value for arm in (Arm(), Arm(shuffled=True))
    )
    assert 0 < outcome == coin < 1  # of the pairs before the coin is thrown
    for arm in ARMS:
        assert len(log.select("accuracy", model="after", form="cot", **arm.factors)) == 1
    states = [one.state for one in found]
    assert all(not equal(a, b) for i, a in enumerate(states) for b in [weights, *states[:i]])
    # learning from the same pairs, the control only looks at the winners
    assert found[0].trained.loss[0] == pytest.approx(np.log(2), abs=1e-5) != found[1].trained.loss[0]


def test_verifiers_and_blame_are_measured_against_the_writer(made, sampled, taught):
    start, seed = taught.states[1.0], 5
    _, found = made
    some = [found[0], found[1]]
    rows, verified = pairs.verify(PLAN, start, 1.0, some, seed)
    log = recorded(rows, seed=seed)
    assert {row.factors["study"] for row in log.rows} == {"verify"}
    writer, charts, pool, _ = sampled[-1]
    assert pool is verified.pool and equal(writer, start) and charts is study.world(PLAN)["test"]
    assert list(verified.logprobs) == ["SFT", "DPO", "winners only"]
    before = [row.sum() for row in pool.logprobs]
    after = [r.sum() for r in tune.trace_logprobs(study.learner(PLAN, found[0].state), pool, charts)]
    ratio = np.subtract(after, before, dtype=np.float64)
    curve = evaluate.curves(pool, {"DPO ratio": ratio}, [1, 2, 4, 8], seed=seed)["vote by DPO ratio"]
    for k, n in enumerate((1, 2, 4, 8)):
        items = log.select("verified", verifier="vote by DPO ratio", n=n)[0].items
        np.testing.assert_allclose(items, curve.value[:, k], atol=1e-9)
    assert set(log.frame().query("metric == 'verified'")["n"]) == {1, 2, 4, 8}
    within = log.select("within_auc", verifier="DPO ratio")[0].items
    np.testing.assert_array_equal(within, evaluate.within_question_auc(pool, ratio))
    rules = {row.factors["rule"] for row in log.rows if row.metric == "first_mistake"}
    assert rules == {"SFT probability", "DPO reward", "winners only reward", "chance"}
    marked = evaluate.first_mistakes(pool)
    rewards = [verified.logprobs["DPO"][r] - pool.logprobs[r] for r in marked.rows]
    hit, chance = evaluate.found_first(pool, marked, rewards)
    np.testing.assert_array_equal(log.select("first_mistake", rule="DPO reward")[0].items, hit)
    np.testing.assert_array_equal(log.select("first_mistake", rule="chance")[0].items, chance)


def test_another_model_s_traces_need_another_model(sampled, taught):
    with pytest.raises(ValueError, match="give its weights as `other`"):
        pairs.prefer(PLAN, taught.states[1.0], 1.0, [Arm(other=True)], 0)


@pytest.mark.parametrize(
    "scores, rate", [((0.2, 0.5, 0.4), 2.0), ((0.5, 0.5, 0.1), 1.0), ((0, 0.1, 0.3), 4.0)]
)
def test_the_rate_is_the_one_that_is_best_on_development_questions(monkeypatch, base, scores, rate):
    tried = []

    class Tuned:
        def __init__(self, rate):
            self.rate = rate

        def state(self):
            return {"rate": np.array(self.rate)}

    def train(first, pool, chosen, charts, how, *, seed, on_policy):
        assert on_policy  # the arm does not ask for another model's traces
        tried.append(how)
        return Tuned(how.learning_rate), f"run at {how.learning_rate}"

    monkeypatch.setattr(tune, "prefer", train)
    monkeypatch.setattr(pairs, "dev_accuracy", lambda plan, of: dict(zip((1.0, 2.0, 4.0), scores))[of.rate])
    plan, arm = replace(PLAN, rates=(4.0, 2.0, 1.0)), Arm("both", beta=0.3, limit=5)
    found = pairs._best(plan, None, None, None, None, arm, 0)
    assert (found.rate, found.state["rate"], found.trained) == (rate, rate, f"run at {rate}")
    assert {(how.objective, how.beta, how.limit) for how in tried} == {("both", 0.3, 5)} and len(tried) == 3
    alone = pairs._best(replace(PLAN, rates=(8.0,)), None, None, None, None, arm, 0)
    assert alone.rate == 8.0  # nothing to choose: development questions are not asked


def test_arms_have_names_and_factors_of_their_own():
    arms = [
        Arm(objective, winners, shuffled, other, beta, limit, per)
        for objective, winners, shuffled, other, beta, limit, per in product(
            tune.OBJECTIVES, signal.WINNERS, (False, True), (False, True), (0.03, 0.1, 0.3), (None, 4), (1, 3)
        )
    ]
    assert len({pairs.name_of(arm) for arm in arms}) == len(arms)
    assert len({json.dumps(arm.factors) for arm in arms}) == len(arms)
    assert all(value is not None for arm in arms for value in arm.factors.values())
    assert [pairs.name_of(arm) for arm in (Arm(), *CONTROLS)] == [
        "DPO",
        "winners only",
        "DPO, shuffled pairs",
    ]


def test_a_teacher_that_is_always_right_filters_perfectly(truthful, base):
    truthful |= {"cot": ["right"] * 15 + ["lucky"] * 5}
    plan = replace(PLAN, noise=0.4)
    log = recorded(pairs.distil(plan, base, 2), seed=2)
    agrees = {
        row.factors["share"]: row.value for row in log.rows if row.factors.get("rule") == "teacher agrees"
    }
    assert set(agrees.values()) == {1.0} and len(agrees) == 4
    chance = log.select("filter", rule="as many at random", share="kept that are good")[0]
    said = signal.annotate(plan.ask("filter", 20)[0], 0.4, seed=2)
    good = np.array([a == q.answer for a, q in zip(said, plan.ask("filter", 20)[0])])
    assert np.isfinite(chance.items).sum() == good.sum() and chance.value < 1
    assert log.select("teacher_accuracy")[0].value == 1
    sound = np.arange(20) < 15
    assert log.select("kept_trace_right")[0].value == pytest.approx(sound[good].mean())


def test_a_teacher_that_keeps_nothing_still_gives_rows(truthful, base):
    truthful |= {"cot": ["wrong"] * 20}
    log = recorded(pairs.distil(PLAN, base, 0))
    shares = {row.factors["share"] for row in log.rows if row.metric == "filter"}
    assert "kept that are good" not in shares and log.select("teacher_accuracy")[0].value == 0
