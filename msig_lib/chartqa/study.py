"""The study of chapter 7, section by section: each takes weights and a seed, and returns weights and measurements.

charts -> base -> four mixes (table 7.2) -> traces of its own (table 7.4) -> pairs (7.6.1) -> verifiers (figure 7.5)

Every section is a function of picklable arguments, so that seeds run side by side in processes; the world is made
anew in each of them from its seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from msig_lib.chartqa import evaluate, signal, tune
from msig_lib.chartqa.data import Charts, ChartSettings, World, make_world
from msig_lib.chartqa.model import FORMS, Learner
from msig_lib.chartqa.questions import KINDS, Question, arithmetic, ask, kinds_of
from msig_lib.chartqa.train import BaseSettings, MixSettings, fine_tune, train_base
from msig_lib.lm.processes import in_processes as in_processes  # notebooks call it as study.in_processes
from msig_lib.lm.vision import VisionSettings
from msig_lib.stats.measured import Measured
from msig_lib.stats.measured import record as record  # and as study.record

State = dict[str, np.ndarray]
WORLD_SEED = 0  # ours: one world for all seeds; seeds draw the training
DRAWS = {"train": 1, "pool": 2, "rft": 3, "filter": 4, "dev": 5, "test": 6}  # streams of questions


@dataclass(frozen=True)
class Plan:
    """Sizes of everything; seeds of the runs are not part of it."""

    styles: tuple[str, ...] = ("bars",)
    marks: tuple[int, int] = (4, 6)  # prototype
    only: tuple[str, ...] = ()  # kinds of question; none given: all that a chart of these styles has
    charts: int = 22_000  # ours: enough for 16,000 captions and balanced questions
    questions: int = 16_000  # prototype
    dev: int = 400
    test: int = 800
    base: BaseSettings = field(default_factory=BaseSettings)
    mixes: MixSettings = field(default_factory=MixSettings)
    vision: VisionSettings = field(default_factory=VisionSettings)
    shares: tuple[float, ...] = (0.25, 0.5, 1.0)  # of a mix's steps after which it is looked at
    rft: tune.RFTSettings = field(default_factory=tune.RFTSettings)
    rft_questions: int = 2_000  # prototype
    rft_samples: int = 16  # prototype; thesis 7.5: 32
    pool_questions: int = 1_000
    pool_samples: int = 8  # prototype; thesis 7.3.3: 32
    rates: tuple[float, ...] = tune.RATES
    verified: int = 200  # test questions with a pool of many samples
    verified_samples: int = 64  # thesis, figure 7.5
    filter_questions: int = 1_000
    noise: float = 0.1  # share of wrong annotations

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of question that are asked: some chart of these styles has them."""
        tables = world(self)["test"].tables
        there = {kind for row in range(len(tables)) for kind in kinds_of(tables[row])}
        return tuple(kind for kind in KINDS if kind in there and (not self.only or kind in self.only))

    def ask(self, what: str, n: int) -> tuple[list[Question], Charts]:
        """Return n questions of a stream of `DRAWS` and the charts that they are about."""
        charts = world(self)[what if what in ("dev", "test") else "train"]
        return ask(charts.tables, n, self.kinds, seed=DRAWS[what]), charts


def world(plan: Plan) -> World:
    """Return the charts of a plan: to train on, and disjoint ones for development and test."""
    sizes = (("train", plan.charts), ("dev", max(2 * plan.dev, 50)), ("test", max(2 * plan.test, 50)))
    return _world(sizes, plan.styles, plan.marks)


@lru_cache(maxsize=2)
def _world(sizes: tuple[tuple[str, int], ...], styles: tuple[str, ...], marks: tuple[int, int]) -> World:
    return make_world(dict(sizes), ChartSettings(styles, marks), seed=WORLD_SEED)


def base(plan: Plan, seed: int) -> State:
    """Return the weights of a learner that sees and adds, but was never asked a question of the study."""
    return train_base(world(plan)["train"], plan.base, seed=seed, vision=plan.vision).state()


def abilities(plan: Plan, state: State) -> dict[str, float]:
    """Return what a learner can do on development charts: share of captions and look-ups that are right, and sums."""
    of, charts = learner(plan, state), world(plan)["dev"]
    asked = {
        "describe a chart": (ask(charts.tables, plan.dev, ("caption",), seed=0), charts),
        "read one mark": (ask(charts.tables, plan.dev, ("lookup",), seed=0), charts),
        "add and subtract": (arithmetic(plan.dev, ("add", "subtract"), seed=DRAWS["dev"]), None),
    }
    return {
        name: float(evaluate.answer(of, questions, images, "direct").right.mean())
        for name, (questions, images) in asked.items()
    }


def learner(plan: Plan, state: Mapping[str, np.ndarray]) -> Learner:
    """Return a learner with these weights."""
    return Learner.new(plan.vision, seed=0).with_state(state)


@dataclass(frozen=True, eq=False)
class Taught:
    """A mix's training: weights and measurements after each of the plan's shares of its steps."""

    mix: str
    seed: int
    states: dict[float, State]
    measured: list[Measured]
    losses: np.ndarray
    seconds: float


def teach(plan: Plan, start: State, mix: str, seed: int) -> Taught:
    """Train a mix (table 7.2) from the base and test it, at the end and on the way."""
    questions, charts = plan.ask("train", plan.questions)
    first = learner(plan, start)
    steps = plan.mixes.steps[mix]
    stops = {max(1, round(share * steps)): share for share in plan.shares}
    states: dict[float, State] = {}

    def keep(step: int, model: Any) -> None:
        if step in stops:
            states[stops[step]] = Learner(model, first.tokenizer).state()

    _, run = fine_tune(first, mix, questions, charts, plan.mixes, seed=seed, after_step=keep)
    found = []
    for share, state in states.items():
        found += tested(plan, learner(plan, state), seed, study="mixes", model=mix, budget=share)
    return Taught(mix, seed, states, found, run.losses, run.seconds)


def tested(plan: Plan, of: Learner, seed: int, **factors: Any) -> list[Measured]:
    """Return accuracy in both forms on the test questions, and how its traces are: right, or right by luck."""
    questions, charts = plan.ask("test", plan.test)
    out = []
    for form in FORMS:
        found = evaluate.answer(of, questions, charts, form)
        out.append(Measured("accuracy", found.right.astype(float), seed, {**factors, "form": form}))
        if form == "cot":
            sound = np.array([verdict.right for verdict in found.verdicts], dtype=float)
            out.append(Measured("trace_right", sound, seed, factors))
            if found.right.any():
                out.append(Measured("false_positive", found.lucky, seed, factors))
    return out


def dev_accuracy(plan: Plan, of: Learner) -> float:
    """Return CoT accuracy on the development questions, by which every choice is made."""
    questions, charts = plan.ask("dev", plan.dev)
    return float(evaluate.answer(of, questions, charts, "cot").right.mean())


RFT_ARMS = {"self-written": "outcome", "no traces": None, "any answer": "all", "checked": "checked"}
"""Table 7.4's model and its controls: as many steps without traces; traces whatever their answer; right traces."""


def self_teach(plan: Plan, start: State, seed: int, of: str = "direct") -> list[Measured]:
    """Sample from a student trained on the mix `of`, accept, train (tables 7.4 and 12.3.2), and the controls."""
    first = learner(plan, start)
    questions, charts = plan.ask("rft", plan.rft_questions)
    known = plan.ask("train", plan.questions)[0][: plan.rft.questions]
    pool = signal.draw(first, questions, charts, plan.rft_samples, seed=seed)
    named = {"study": "rft", "start": of}
    found = tested(plan, first, seed, **named, model="before")
    for arm, winners in RFT_ARMS.items():
        traces, which = None, {**named, "model": arm}
        if winners is not None:
            rows = signal.accepted(pool, seed=seed, winners=winners).rows
            found.append(Measured("accepted", float(len(rows)), seed, which))
            if not len(rows):
                continue
            found.append(Measured("accepted_wrong", 1 - signal.purity(pool, rows), seed, which))
            traces = (pool, rows)
        tuned, _ = tune.rft(first, traces, known, charts, plan.rft, mix=of, mixes=plan.mixes, seed=seed)
        found += tested(plan, tuned, seed, **which)
    return found
