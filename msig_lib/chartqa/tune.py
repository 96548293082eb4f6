"""How the learner is trained on what it wrote itself: accepted traces (RFT), and pairs of traces (DPO)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from msig_lib.chartqa.data import Charts
from msig_lib.chartqa.model import Learner
from msig_lib.chartqa.questions import Question
from msig_lib.chartqa.signal import Pool
from msig_lib.chartqa.train import MixSettings, mixed
from msig_lib.lm.scoring import Example, score
from msig_lib.lm.training import Trained, TrainSettings, train
from msig_lib.lm.vision import freeze
from msig_lib.preference.dpo import DPOSettings, truncate
from msig_lib.preference.pairs import Pairs
from msig_lib.preference.train import DPOTrained, dpo_train_settings, train_dpo


@dataclass(frozen=True)
class RFTSettings:
    """How traces that were accepted are learnt, beside what the model learnt before (thesis 7.5: all direct data)."""

    steps: int = 500  # prototype
    learning_rate: float = 2e-3  # ours: half of the mixes'; prototype: 5e-4, half of its own
    questions: int = 4_000  # ours: of the mix, more than 500 steps go through
    batch: int = 64  # prototype


@dataclass(frozen=True)
class PreferenceSettings:
    """How pairs are learnt. Objectives: "dpo", "nll" (only the winners, the control), "both" (DPO and .3 NLL)."""

    objective: str = "dpo"
    beta: float = 0.1  # thesis 7.3.3
    learning_rate: float = 2e-4  # ours: from `RATES`, on development questions
    epochs: float = 1.0  # thesis 7.6
    limit: int | None = (
        None  # tokens a response is cut to; thesis 12.3.1: 90 words, none here: traces are short
    )

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective is {self.objective!r}, expected one of {', '.join(OBJECTIVES)}")

    @property
    def loss(self) -> DPOSettings:
        """The loss of `preference.dpo`."""
        return DPOSettings(self.beta, *OBJECTIVES[self.objective])


OBJECTIVES = {
    "dpo": (1.0, 0.0),
    "nll": (0.0, 1.0),
    "both": (1.0, 0.3),
}  # weights of DPO and NLL; prototype: .3
RATES = (5e-5, 2e-4, 8e-4)  # ours: learning rates that each arm chooses among on development questions


def rft(
    learner: Learner,
    traces: tuple[Pool, Sequence[int]] | None,
    questions: Sequence[Question],
    charts: Charts,
    settings: RFTSettings | None = None,
    *,
    seed: int,
    mix: str = "direct",
    mixes: MixSettings | None = None,
) -> tuple[Learner, Trained]:
    """Return a copy trained on rows of a pool of its own traces and on the mix it knows, half and half, and the run.

    Without traces: on the mix of `questions` alone, for as many steps, the control that tells what training longer
    does. Raises ValueError when there is no row.
    """
    s = settings or RFTSettings()
    tuned = learner.clone()
    known = mixed(tuned, mix, questions, charts, mixes, seed=seed)
    examples = known
    if traces is not None:
        pool, rows = traces
        if not len(rows):
            raise ValueError("no trace was accepted: sample more, or start from a better model")
        order = np.random.default_rng(seed).permutation(np.asarray(rows))
        written = own(tuned, pool, order[: len(known)], charts)
        examples = known + [written[i % len(written)] for i in range(len(known))]
    how = TrainSettings(s.steps, s.batch, s.learning_rate)
    return tuned, train(tuned.model, examples, how, seed=seed)


def own(learner: Learner, pool: Pool, rows: Sequence[int], charts: Charts) -> list[Example]:
    """Return rows of a pool as examples to learn or to score."""
    rows = np.asarray(rows, dtype=np.int64)
    return learner.responses(pool.asked(rows), charts, "cot", [pool.ids[row] for row in rows.tolist()])


def prefer(
    learner: Learner,
    pool: Pool,
    chosen: Pairs,
    charts: Charts,
    settings: PreferenceSettings | None = None,
    *,
    seed: int,
    on_policy: bool = False,
) -> tuple[Learner, DPOTrained]:
    """Return a copy trained on pairs of rows of a pool, and what happened; the tower and projector stay (thesis 7.6).

    The copy is the reference of its own training; with `on_policy` the pool was drawn from `learner`, and its
    log-probabilities are not computed again. A response longer than `limit` is cut and gets no end token (official
    code). ValueError without pairs.
    """
    s = settings or PreferenceSettings()
    tuned = learner.clone()
    freeze(tuned.model)
    used = np.unique(np.concatenate([chosen.chosen, chosen.rejected]))
    end = tuned.tokenizer.eos_token_id
    ids = [pool.ids[row] if s.limit is None else truncate(pool.ids[row], s.limit, end=end) for row in used]
    examples = tuned.responses(pool.asked(used), charts, "cot", ids)
    at = Pairs(
        np.searchsorted(used, chosen.chosen),
        np.searchsorted(used, chosen.rejected),
        chosen.group,
        chosen.counts,
    )
    how = dpo_train_settings(max(1, len(at)), learning_rate=s.learning_rate, epochs=s.epochs)
    before = reference_logprobs(pool, used, ids) if on_policy else None
    return tuned, train_dpo(tuned.model, examples, at, how, s.loss, seed=seed, reference=before)


def reference_logprobs(pool: Pool, rows: Sequence[int], ids: Sequence[Sequence[int]]) -> np.ndarray:
    """Return log-probabilities in nats, float32, of (cut) rows under the model that wrote the pool."""
    return np.array([pool.logprobs[row][: len(own)].sum() for row, own in zip(rows, ids)], dtype=np.float32)


def trace_logprobs(
    learner: Learner, pool: Pool, charts: Charts, rows: Sequence[int] | None = None
) -> list[np.ndarray]:
    """Return the log-probabilities in nats of each token of a pool's traces (of all rows, or of these).

    A trace that was drawn more than once is scored once.
    """
    rows = np.arange(len(pool)) if rows is None else np.asarray(rows, dtype=np.int64)
    keys = [(row // pool.samples, pool.ids[row]) for row in rows.tolist()]
    first = {key: row for key, row in zip(reversed(keys), reversed(rows.tolist()))}
    values = score(learner.model, own(learner, pool, list(first.values()), charts), batch_tokens=2048)
    found = dict(zip(first, values))
    return [found[key] for key in keys]
