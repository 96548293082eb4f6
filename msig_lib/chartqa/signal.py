"""What the learner generates and what is made of it: sampled traces, the accepted ones, and pairs of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from msig_lib.chartqa.data import Charts
from msig_lib.chartqa.questions import Question
from msig_lib.chartqa.render import COLOURS
from msig_lib.chartqa.traces import Verdict, check_traces
from msig_lib.preference.pairs import BAND, Pairs, pairs_from_outcomes
from msig_lib.preference.selection import Selection, select_right

if TYPE_CHECKING:
    from msig_lib.chartqa.model import Learner

WINNERS = ("outcome", "checked", "lucky")
"""Who may win a pair: a right answer (the thesis), a right answer by a right trace, or one by a wrong trace."""


@dataclass(frozen=True, eq=False)
class Pool:
    """M sampled traces for each of Q questions, in rows 0 .. Q M - 1, question by question.

    `ids` are their tokens, `logprobs` float32 arrays of the tokens' log-probabilities in nats under the model that
    wrote them, `verdicts` what the checker says of each.
    """

    questions: Sequence[Question]
    samples: int
    ids: Sequence[tuple[int, ...]]
    texts: Sequence[str]
    logprobs: Sequence[np.ndarray]
    verdicts: Sequence[Verdict]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def group(self) -> npt.NDArray[np.int64]:
        """The question of each row, int64 [Q M]."""
        return np.repeat(np.arange(len(self.questions)), self.samples)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether the answer is right, bool [Q M]: the outcome reward, all that the thesis sees."""
        return np.array([verdict.answer_right for verdict in self.verdicts], dtype=bool)

    @property
    def sound(self) -> npt.NDArray[np.bool_]:
        """Whether every step is right, bool [Q M]: what only this world can tell."""
        return np.array([verdict.right for verdict in self.verdicts], dtype=bool)

    def asked(self, rows: npt.ArrayLike | None = None) -> list[Question]:
        """Return the question of each row (of all rows without any given)."""
        rows = np.arange(len(self)) if rows is None else np.asarray(rows)
        return [self.questions[row // self.samples] for row in rows.tolist()]

    def square(self, values: npt.ArrayLike) -> np.ndarray:
        """Return values [Q M] as [Q, M]."""
        return np.asarray(values).reshape(len(self.questions), self.samples)


def draw(
    learner: Learner,
    questions: Sequence[Question],
    charts: Charts,
    samples: int,
    *,
    seed: int,
    temperature: float = 1.0,  # thesis 7.3.3: for short answers
) -> Pool:
    """Return `samples` traces for every question, checked against the charts' tables."""
    drawn = learner.respond(questions, charts, "cot", n=samples, temperature=temperature, seed=seed)
    flat = [one for own in drawn for one in own]
    asked = [question for question in questions for _ in range(samples)]
    texts = [one.text for one in flat]
    return Pool(
        list(questions),
        samples,
        [one.ids for one in flat],
        texts,
        [one.logprobs for one in flat],
        check_traces(texts, asked, charts.tables),
    )


def accepted(pool: Pool, *, seed: int, per_question: int = 3, winners: str = "outcome") -> Selection:
    """Return the traces that rejection sampling trains on, at most `per_question` different ones a question.

    `winners` as in `pairs`; "all" takes traces whatever their answer, the control without a reward.
    """
    fit = np.ones(len(pool), dtype=bool) if winners == "all" else _winning(pool, winners)
    return select_right(fit, pool.group, pool.ids, seed=seed, per_question=per_question)


def pairs(pool: Pool, *, seed: int, winners: str = "outcome", per_question: int = 3) -> Pairs:
    """Return pairs of a better and a worse trace of the questions whose share of right answers is in `BAND` (7.3.3).

    Losers have a wrong answer. Winners are drawn from right answers ("outcome"), of these from right traces only
    ("checked") or from wrong ones only ("lucky"); the band is that of the answers in each case. ValueError for
    others.
    """
    if winners == "outcome":
        return pairs_from_outcomes(pool.right, pool.group, seed=seed, per_question=per_question)
    wins = _winning(pool, winners)
    share = pool.square(pool.right).mean(1)
    inside = np.repeat((share >= BAND[0]) & (share <= BAND[1]), pool.samples)
    use = np.flatnonzero(inside & (wins | ~pool.right))
    found = pairs_from_outcomes(
        pool.right[use], pool.group[use], seed=seed, band=(0.0, 1.0), per_question=per_question
    )
    return Pairs(use[found.chosen], use[found.rejected], found.group, found.counts)


def purity(pool: Pool, rows: npt.ArrayLike) -> float:
    """Return the share of these rows whose every step is right, NaN without rows."""
    chosen = pool.sound[np.asarray(rows, dtype=np.int64)]
    return float(chosen.mean()) if len(chosen) else float("nan")


def _winning(pool: Pool, winners: str) -> npt.NDArray[np.bool_]:
    if winners not in WINNERS:
        raise ValueError(f"winners is {winners!r}, expected one of {', '.join(WINNERS)}")
    return {"outcome": pool.right, "checked": pool.sound, "lucky": pool.right & ~pool.sound}[winners]


def annotate(questions: Sequence[Question], share: float, *, seed: int) -> list[str]:
    """Return an annotation for each question: its answer, or in a random `share` of them a wrong one nearby.

    Wrong numbers are one or two off, as miscounts and wrong sums are (thesis 12.1.2); wrong colours another colour.
    ValueError for a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}, expected 0 <= share <= 1")
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(questions)) < share
    out = []
    for question, spoiled in zip(questions, wrong.tolist()):
        colour = str(rng.choice([name for name in COLOURS if name != question.answer]))
        near = [int(question.answer) + off for off in (-2, -1, 1, 2)] if question.answer.isdigit() else []
        number = int(rng.choice([value for value in near if value >= 0])) if near else 0
        wrong_answer = str(number) if near else colour
        out.append(wrong_answer if spoiled else question.answer)
    return out
