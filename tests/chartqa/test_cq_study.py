"""The study of chapter 7 at sizes that take seconds: what each section trains, chooses and records.

The tiny learner writes no right trace in that time, so sections that sample from it are given hand-made pools.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from small_study import PLAN, equal, recorded

from msig_lib.chartqa import evaluate, signal, study, tune
from msig_lib.chartqa.model import Learner
from msig_lib.chartqa.questions import KINDS
from msig_lib.chartqa.train import fine_tune
from msig_lib.lm.threads import torch_threads
from msig_lib.preference.selection import Selection


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


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
