"""The study of chapter 7 at sizes that take seconds: what each section trains, chooses and records.

The tiny learner writes no right trace in that time, so sections that sample from it are given hand-made pools.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from msig_lib.chartqa import evaluate, signal, study, tune
from msig_lib.chartqa import study_pairs as pairs
from msig_lib.chartqa.model import Learner
from msig_lib.chartqa.questions import KINDS
from msig_lib.chartqa.study import Plan
from msig_lib.chartqa.study_pairs import CONTROLS, Arm
from msig_lib.chartqa.traces import check_traces
from msig_lib.chartqa.train import MIXES, BaseSettings, MixSettings, fine_tune
from msig_lib.lm.threads import torch_threads
from msig_lib.lm.vision import VisionSettings
from msig_lib.preference.selection import Selection
from msig_lib.runs import results

PLAN = Plan(
    marks=(2, 3),
    charts=200,
    questions=60,
    dev=10,
    test=12,
    vision=VisionSettings(tower_width=32, width=32, layers=1, heads=2),
    base=BaseSettings(captions=60, lookups=40, sums=20, running=10, steps=6, batch=16),
    mixes=MixSettings(steps=dict.fromkeys(MIXES, 4), batch=16),
    rft=tune.RFTSettings(steps=2, batch=16, learning_rate=1e-2, questions=30),
    rft_questions=10,
    rft_samples=4,
    pool_questions=12,
    pool_samples=8,
    rates=(1e-3,),
    verified=6,
    verified_samples=8,
    filter_questions=20,
)


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


@pytest.fixture(scope="module")
def base():
    return study.base(PLAN, 0)


@pytest.fixture(scope="module")
def taught(base):
    return study.teach(PLAN, base, "both", 0)


def equal(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def recorded(rows, seed=0):
    """The rows by metric and factors, each of which can be recorded and none of which replaces another."""
    log = results.Log()
    study.record(log, rows)
    assert len(log) == sum(not np.isnan(row.values).all() for row in rows)
    assert len({(row.metric, json.dumps(row.factors, sort_keys=True)) for row in rows}) == len(rows)
    assert all(row.seed == seed for row in rows)
    sizes = log.frame().groupby("metric")["n_items"].nunique()
    assert (sizes == 1).all()
    return log


def test_parts_of_the_world_are_disjoint_and_made_once():
    world = study.world(PLAN)
    assert world is study.world(replace(PLAN, rates=(1.0,)))
    keys = {part: set(world[part].tables.keys()) for part in ("train", "dev", "test")}
    assert len(world["train"]) == 200
    assert all(not keys[a] & keys[b] for a, b in (("train", "dev"), ("train", "test"), ("dev", "test")))
    other = study.world(replace(PLAN, styles=("lines",)))
    assert other is not world and other["test"].tables[0].style == "lines"
    assert {world["test"].tables[row].style for row in range(20)} == {"bars"}


def test_a_plan_asks_the_kinds_that_its_charts_have():
    assert set(PLAN.kinds) == set(KINDS) - {"compare"}
    grouped = replace(PLAN, styles=("grouped",), marks=(4, 4))
    assert set(grouped.kinds) == set(KINDS) - {"second"}
    questions, charts = grouped.ask("dev", 10)
    assert {q.kind for q in questions} == set(grouped.kinds) and charts is study.world(grouped)["dev"]
    some = replace(PLAN, only=("sum", "compare", "count"))
    assert some.kinds == ("count", "sum") and {q.kind for q in some.ask("dev", 4)[0]} == {"count", "sum"}


def test_streams_of_questions_differ_and_test_questions_are_about_test_charts():
    asked = {what: PLAN.ask(what, 12) for what in study.DRAWS}
    world = study.world(PLAN)
    for what, (questions, charts) in asked.items():
        assert charts is world[what if what in ("dev", "test") else "train"] and len(questions) == 12
        assert questions == PLAN.ask(what, 12)[0]
    streams = [asked[what][0] for what in study.DRAWS]
    assert all(one != other for i, one in enumerate(streams) for other in streams[:i])


def test_processes_give_what_one_process_gives(base):
    one, two = (study.in_processes(study.base, [(PLAN, 0), (PLAN, 1)], threads=k) for k in (1, 2))
    assert equal(one[0], base) and equal(one[0], two[0]) and equal(one[1], two[1])


def test_work_alone_stays_in_this_process_on_one_thread():
    with torch_threads(2):
        assert study.in_processes(torch.get_num_threads, iter([()]), threads=2) == [1]
        assert study.in_processes(pow, [(2, 3), (3, 2)], threads=1) == [8, 9]
        assert torch.get_num_threads() == 2
    assert study.in_processes(pow, [], threads=2) == []


def test_a_base_and_its_weights_come_back_from_a_seed(base):
    assert equal(study.base(PLAN, 0), base) and not equal(study.base(PLAN, 1), base)
    assert equal(study.learner(PLAN, base).state(), base)
    assert not equal(Learner.new(PLAN.vision, seed=0).state(), base)


def test_a_mix_is_looked_at_on_the_way_and_ends_where_training_ends(taught, base):
    assert list(taught.states) == [0.25, 0.5, 1.0] and (taught.mix, taught.seed) == ("both", 0)
    questions, charts = PLAN.ask("train", PLAN.questions)
    snapshots = {}

    def keep(step, model):
        snapshots[step] = Learner(model, None).state()

    first = study.learner(PLAN, base)
    tuned, run = fine_tune(first, "both", questions, charts, PLAN.mixes, seed=0, after_step=keep)
    assert equal(taught.states[1.0], tuned.state()) and np.array_equal(run.losses, taught.losses)
    for share, step in ((0.25, 1), (0.5, 2), (1.0, 4)):
        assert equal(taught.states[share], snapshots[step])
    log = recorded(taught.measured)
    assert set(log.frame()["budget"]) == {0.25, 0.5, 1.0}
    assert {
        (row.factors["budget"], row.factors["form"]) for row in log.rows if row.metric == "accuracy"
    } == set(product((0.25, 0.5, 1.0), ("direct", "cot")))
    assert all(len(row.items) == PLAN.test for row in log.rows if row.metric == "accuracy")


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


def spoilt(trace, way):
    words = trace.split()
    if way == "lucky":
        words[1] = str(int(words[1]) + 1)
    if way == "wrong":
        words[-1] = "45"
    return " ".join(words)


def test_a_model_is_tested_in_both_forms_and_its_luck_recorded(truthful, base):
    of = study.learner(PLAN, base)
    truthful |= {
        "direct": ["wrong"] * 9 + ["right"] * 3,
        "cot": ["right"] * 6 + ["lucky"] * 2 + ["wrong"] * 4,
    }
    log = recorded(study.tested(PLAN, of, 7, study="x", model="y"), seed=7)
    rows = {(row.metric, row.factors.get("form")): row.value for row in log.rows}
    assert rows == {
        ("accuracy", "direct"): 0.25,
        ("accuracy", "cot"): pytest.approx(8 / 12),
        ("trace_right", None): 0.5,
        ("false_positive", None): 0.25,
    }
    assert all(row.factors.items() >= {"study": "x", "model": "y"}.items() for row in log.rows)
    truthful |= {"cot": ["wrong"] * 12}
    assert "false_positive" not in recorded(study.tested(PLAN, of, 0)).metrics()


def test_choices_are_made_on_development_questions(base, monkeypatch):
    asked = []

    def answer(of, questions, charts, form):
        asked.append((charts, form))
        return evaluate.Answers(form, [], np.arange(len(questions)) < 3)

    monkeypatch.setattr(evaluate, "answer", answer)
    assert study.dev_accuracy(PLAN, study.learner(PLAN, base)) == 0.3
    assert asked == [(study.world(PLAN)["dev"], "cot")]


def test_abilities_are_those_on_development_charts(base, monkeypatch):
    share = {"caption": 10, "lookup": 5, "add": 0, "subtract": 0}

    def answer(of, questions, charts, form):
        (share_of,) = {share[q.kind] for q in questions}
        assert form == "direct" and len(questions) == PLAN.dev and equal(of.state(), base)
        assert charts is (None if share_of == 0 else study.world(PLAN)["dev"])
        return evaluate.Answers(form, [], np.arange(10) < share_of)

    monkeypatch.setattr(evaluate, "answer", answer)
    found = study.abilities(PLAN, base)
    assert found == {"describe a chart": 1.0, "read one mark": 0.5, "add and subtract": 0.0}
    assert all(type(value) is float for value in found.values())


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


def test_self_teaching_compares_arms_that_differ_in_their_traces_alone(sampled, taught, monkeypatch):
    calls, rft = [], tune.rft

    def spy(first, traces, questions, *rest, **options):
        assert len(questions) == 30 and options == {"mix": "cot", "mixes": PLAN.mixes, "seed": 3}
        calls.append(None if traces is None else traces[1])
        return rft(first, traces, questions, *rest, **options)

    monkeypatch.setattr(tune, "rft", spy)
    start = taught.states[1.0]
    log = recorded(study.self_teach(PLAN, start, 3, of="cot"), seed=3)
    ((weights, charts, pool, seed),) = sampled
    assert equal(weights, start) and charts is study.world(PLAN)["train"] and seed == 3
    assert (len(pool.questions), pool.samples) == (10, 4)
    rows = dict(zip(study.RFT_ARMS, calls, strict=True))
    assert rows["no traces"] is None and pool.sound[rows["checked"]].all()
    assert pool.right[rows["self-written"]].all() and not pool.sound[rows["self-written"]].all()
    assert not pool.right[rows["any answer"]].all()
    for arm in ("self-written", "any answer", "checked"):
        assert log.select("accepted", model=arm)[0].value == len(rows[arm])
        wrong = log.select("accepted_wrong", model=arm)[0].value
        assert wrong == pytest.approx(1 - pool.sound[rows[arm]].mean())
    models = {row.factors["model"] for row in log.rows if row.metric == "accuracy"}
    assert models == {"before", *study.RFT_ARMS}
    assert {row.factors["start"] for row in log.rows} == {"cot"}


def test_an_arm_without_accepted_traces_is_left_out(sampled, taught, monkeypatch):
    real, nothing = signal.accepted, Selection(np.zeros(0, np.int64), 10, 10, 40, 0, 0)
    monkeypatch.setattr(
        signal, "accepted", lambda pool, **how: nothing if how["winners"] == "checked" else real(pool, **how)
    )
    log = recorded(study.self_teach(PLAN, taught.states[1.0], 0))
    assert log.select("accepted", model="checked")[0].value == 0
    assert "checked" not in {row.factors["model"] for row in log.rows if row.metric != "accepted"}


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
