"""How the learner is taught: a base that can see and calculate, then one of four mixes of answers and traces."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from msig_lib.chartqa.data import Charts
from msig_lib.chartqa.model import FORMS, Learner
from msig_lib.chartqa.questions import Question, arithmetic, ask
from msig_lib.lm.scoring import Example
from msig_lib.lm.training import Trained, TrainSettings, train
from msig_lib.lm.vision import VisionSettings

MIXES = ("format", "direct", "cot", "both")
"""Table 7.2's rows: a few of both to learn the form, answers alone, traces alone, answers and traces."""


@dataclass(frozen=True)
class BaseSettings:
    """What the base learns from before any question: captions, look-ups, and arithmetic in words alone.

    It stands for the pretrained model the thesis starts from. Raises ValueError for impossible numbers.
    """

    captions: int = 12_000  # prototype: 16,000
    lookups: int = 4_000  # prototype: 8,000; ours: learnt first of all
    sums: int = 8_000  # prototype: additions and subtractions
    running: int = 8_000  # prototype: 10,000 running sums, in a second phase
    steps: int = (
        1_600  # ours: all at once knows running sums (.91) that a second phase of 500 steps does not (.08)
    )
    learning_rate: float = 3e-3  # ours: 2e-3 reads worse after as many steps
    batch: int = 64  # prototype

    def __post_init__(self) -> None:
        counts = (self.captions, self.lookups, self.sums, self.running, self.steps, self.batch)
        if min(counts) < 1:
            raise ValueError(f"every number of {self} has to be at least 1")


@dataclass(frozen=True)
class MixSettings:
    """How a mix is learnt; steps by mix, as all of them have to be trained to their end."""

    steps: dict[str, int] = field(
        default_factory=lambda: {"format": 150, "direct": 1_400, "cot": 1_200, "both": 2_200}  # prototype
    )
    learning_rate: float = (
        4e-3  # ours: .35, .58, .78 with 1, 2, 4e-3 on development questions (traces, 450 steps)
    )
    format_learning_rate: float = 1e-3  # ours: prototype's 5e-4, as the others raised
    format_examples: int = 50  # thesis 7.4.1: of each data set; ours: of each kind of question, in each form
    format_share: float = 0.1  # ours: they are repeated to this share of a mix, as the base never saw a trace
    replay: float = 0.1  # prototype: captions among the examples, so that reading is not unlearnt
    batch: int = 64  # prototype


def train_base(
    charts: Charts,
    settings: BaseSettings | None = None,
    *,
    seed: int,
    vision: VisionSettings | None = None,
    after_step: Callable[[int, object], None] | None = None,
) -> Learner:
    """Return a learner that describes charts, reads marks off and adds, from `charts` (training part)."""
    s = settings or BaseSettings()
    learner = Learner.new(vision, seed=seed)
    seen = ask(charts.tables, s.captions, ("caption",), seed=seed) + ask(
        charts.tables, s.lookups, ("lookup",), seed=seed
    )
    examples = learner.examples(seen, charts, "direct")
    examples += learner.examples(arithmetic(s.sums, ("add", "subtract"), seed=seed), None, "direct")
    examples += learner.examples(arithmetic(s.running, ("running",), seed=seed), None, "direct")
    how = TrainSettings(s.steps, s.batch, s.learning_rate)
    train(learner.model, examples, how, seed=seed, after_step=after_step)
    return learner


def mixed(
    learner: Learner,
    mix: str,
    questions: Sequence[Question],
    charts: Charts,
    settings: MixSettings | None = None,
    *,
    seed: int,
) -> list[Example]:
    """Return a mix's examples: right responses to `questions`, and captions of their charts as replay.

    "direct" and "cot" have a few examples of the other form, repeated, so that the learner knows what each prompt
    asks for (thesis, figure 7.4: 450 beside 193,000).
    """
    s = settings or MixSettings()
    if mix not in MIXES:
        raise ValueError(f"mix {mix!r} was given, expected one of {', '.join(MIXES)}")
    few = questions[: s.format_examples * len({question.kind for question in questions})]
    if mix in ("format", "both"):
        questions = few if mix == "format" else questions
        examples = [one for form in FORMS for one in learner.examples(questions, charts, form)]
    else:
        examples = learner.examples(questions, charts, mix)
        other = learner.examples(few, charts, "cot" if mix == "direct" else "direct")
        times = math.ceil(s.format_share / (1 - s.format_share) * len(examples) / len(other))
        examples += other * times
    again = round(s.replay * len(examples))
    rows = np.unique([q.chart for q in questions])
    captions = ask(charts.tables.subset(rows), min(again, len(rows)), ("caption",), seed=seed)
    return examples + learner.examples(
        [replace(q, chart=int(rows[q.chart])) for q in captions], charts, "direct"
    )


def fine_tune(
    base: Learner,
    mix: str,
    questions: Sequence[Question],
    charts: Charts,
    settings: MixSettings | None = None,
    *,
    seed: int,
    steps: int | None = None,
    after_step: Callable[[int, object], None] | None = None,
) -> tuple[Learner, Trained]:
    """Return a copy of `base` trained on a mix, and what happened; `steps` in the place of the mix's own."""
    s = settings or MixSettings()
    learner = base.clone()
    examples = mixed(learner, mix, questions, charts, s, seed=seed)
    rate = s.format_learning_rate if mix == "format" else s.learning_rate
    how = TrainSettings(steps or s.steps[mix], s.batch, rate)
    return learner, train(learner.model, examples, how, seed=seed, after_step=after_step)
