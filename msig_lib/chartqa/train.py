"""How the learner is taught: a base that can see and calculate, then one of four mixes of answers and traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from msig_lib.chartqa.data import Charts
from msig_lib.chartqa.model import Learner
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

    captions: int = 16_000  # prototype
    lookups: int = 8_000  # prototype
    sums: int = 8_000  # prototype: additions and subtractions
    running: int = 10_000  # prototype: running sums, in the second phase
    steps: int = 1_800  # prototype
    more_steps: int = 600  # prototype: with the running sums
    learning_rate: float = 2e-3  # prototype
    more_learning_rate: float = 1e-3  # prototype
    batch: int = 64  # prototype

    def __post_init__(self) -> None:
        counts = (
            self.captions,
            self.lookups,
            self.sums,
            self.running,
            self.steps,
            self.more_steps,
            self.batch,
        )
        if min(counts) < 1:
            raise ValueError(f"every number of {self} has to be at least 1")


@dataclass(frozen=True)
class MixSettings:
    """How a mix is learnt; steps by mix, as all of them have to be trained to their end."""

    steps: dict[str, int] = field(
        default_factory=lambda: {"format": 150, "direct": 1_400, "cot": 1_200, "both": 2_200}  # prototype
    )
    learning_rate: float = 1e-3  # prototype
    format_learning_rate: float = 5e-4  # prototype
    format_examples: int = 50  # thesis 7.3.2: 50 of each form
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
    first = TrainSettings(s.steps, s.batch, s.learning_rate)
    train(learner.model, examples, first, seed=seed, after_step=after_step)
    examples += learner.examples(arithmetic(s.running, ("running",), seed=seed), None, "direct")
    train(learner.model, examples, TrainSettings(s.more_steps, s.batch, s.more_learning_rate), seed=seed + 1)
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

    "direct" and "cot" have a few examples of the other form, so that the learner knows what each prompt asks for
    (thesis, figure 7.4: 450 beside 193,000).
    """
    s = settings or MixSettings()
    if mix not in MIXES:
        raise ValueError(f"mix {mix!r} was given, expected one of {', '.join(MIXES)}")
    few = questions[: s.format_examples]
    parts = {
        "direct": questions if mix in ("direct", "both") else few,
        "cot": questions if mix in ("cot", "both") else few,
    }
    examples = [one for form, of in parts.items() for one in learner.examples(of, charts, form)]
    questions = few if mix == "format" else questions
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
