"""How the learner of chapter 6 is trained: captions, questions and answers, then pairs of its own (thesis 6.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msig_lib.lm.scoring import Example
from msig_lib.lm.training import Trained, TrainSettings, train
from msig_lib.lm.vision import freeze
from msig_lib.preference.dpo import DPOSettings
from msig_lib.preference.pairs import Pairs
from msig_lib.preference.train import DPOTrained, train_dpo
from msig_lib.videoqa.captions import PROMPT
from msig_lib.videoqa.model import VideoLearner
from msig_lib.videoqa.questions import Question
from msig_lib.videoqa.signal import Pool

AfterStep = Callable[[int, Any], None]


@dataclass(frozen=True)
class StageSettings:
    """One stage of supervised training. Small batches: with 64 rows a step, as many clips taught half as much."""

    steps: int
    batch: int = 24  # ours: on development questions, at equal work
    learning_rate: float = 3e-3  # ours: as chapter 7's base

    @property
    def train(self) -> TrainSettings:
        """The settings of `lm.training.train`."""
        return TrainSettings(self.steps, self.batch, self.learning_rate)


@dataclass(frozen=True)
class PreferenceSettings:
    """How pairs are learnt. Objectives: "dpo", or "winners", which learns the chosen answers alone (the control)."""

    objective: str = "dpo"
    beta: float = 0.1  # thesis 6.2.3
    learning_rate: float = 3e-4  # ours: on development questions; thesis: 5e-7 for 7 billion parameters
    epochs: float = 3.0  # thesis 6.3
    batch: int = 32  # ours; thesis 6.3: 128 of 17,000 pairs
    projector: bool = False  # official code: the projector stays; True is row [10] of table 6.2

    def __post_init__(self) -> None:
        if self.objective not in WEIGHTS:
            raise ValueError(f"objective is {self.objective!r}, expected one of {', '.join(WEIGHTS)}")

    def steps(self, pairs: int) -> int:
        """Return the number of steps for so many pairs."""
        return max(1, math.ceil(pairs * self.epochs / self.batch))

    def train(self, pairs: int) -> TrainSettings:
        """Return the settings of the training loop for so many pairs."""
        return TrainSettings(
            self.steps(pairs),
            self.batch,
            self.learning_rate,
            warmup=0.1,  # official code
            final=0.0,  # official code, there linear
            weight_decay=0.0,  # as chapter 7: the reference holds the weights near their start
        )


WEIGHTS = {"dpo": (1.0, 0.0), "winners": (0.0, 1.0)}  # of the preference and of the likelihood of the chosen


def caption_questions(captions: Sequence[str]) -> list[Question]:
    """Return the request for a description of each clip, with its caption as the answer."""
    return [Question(row, "caption", PROMPT, text, ()) for row, text in enumerate(captions)]


def stills(frames: np.ndarray, *, seed: int) -> np.ndarray:
    """Return clips uint8 [n, F, H, W, 3] in which nothing happens: one frame of each, drawn at random, F times over.

    Instruction data beside them is row [8] of table 6.2, image instructions: the student gets to know all forms of
    questions and answers, and never sees a question beside a movement.
    """
    at = np.random.default_rng(seed).integers(0, frames.shape[1], len(frames))
    one = frames[np.arange(len(frames)), at][:, None]
    return np.broadcast_to(one, frames.shape)


def supervise(
    learner: VideoLearner,
    questions: Sequence[Question],
    frames: np.ndarray,
    settings: StageSettings,
    *,
    seed: int,
    after_step: AfterStep | None = None,
) -> tuple[VideoLearner, Trained]:
    """Return a copy that learnt the questions' answers, the tower as it was (thesis 6.3), and the run."""
    tuned = learner.clone()
    freeze(tuned.model, projector=False)
    examples = tuned.examples(questions, frames)
    return tuned, train(tuned.model, examples, settings.train, seed=seed, after_step=after_step)


def prefer(
    learner: VideoLearner,
    pool: Pool,
    pairs: Pairs,
    frames: np.ndarray,
    settings: PreferenceSettings | None = None,
    *,
    seed: int,
    after_step: AfterStep | None = None,
) -> tuple[VideoLearner, DPOTrained]:
    """Return a copy that learnt pairs of rows of a pool which `learner` wrote, and what happened (thesis 6.2.3).

    Rows from `len(pool)` on are the references of its questions, for self-play. ValueError without pairs.
    """
    s = settings or PreferenceSettings()
    tuned = learner.clone()
    freeze(tuned.model, projector=not s.projector)
    used = np.unique(np.concatenate([pairs.chosen, pairs.rejected]))
    examples = _rows(tuned, pool, used, frames)
    at = Pairs(np.searchsorted(used, pairs.chosen), np.searchsorted(used, pairs.rejected), pairs.group)
    how, loss = s.train(max(1, len(pairs))), DPOSettings(s.beta, *WEIGHTS[s.objective])
    return tuned, train_dpo(tuned.model, examples, at, how, loss, seed=seed, after_step=after_step)


def _rows(learner: VideoLearner, pool: Pool, rows: np.ndarray, frames: np.ndarray) -> list[Example]:
    own = [row for row in rows.tolist() if row < len(pool)]
    right = [pool.questions[row - len(pool)] for row in rows.tolist() if row >= len(pool)]
    found = learner.responses(pool.asked(own), frames, [pool.ids[row] for row in own])
    return found + learner.examples(right, frames)


def self_play_pairs(pool: Pool, *, seed: int) -> Pairs:
    """Return the pairs of row [11]: the reference of every question against one of the model's own answers.

    An answer that is the reference word by word gives no pair.
    """
    rng = np.random.default_rng(seed)
    own = pool.samples * np.arange(len(pool.questions)) + rng.integers(0, pool.samples, len(pool.questions))
    other = np.array(
        [pool.texts[row] != q.answer for row, q in zip(own.tolist(), pool.questions)], dtype=bool
    )
    at = np.flatnonzero(other)
    return Pairs(len(pool) + at, own[at], at)
