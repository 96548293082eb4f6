"""How good answers and traces are, which of N samples to believe, and where a trace first goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from msig_lib.chartqa.data import Charts
from msig_lib.chartqa.model import Learner
from msig_lib.chartqa.questions import Question
from msig_lib.chartqa.signal import Pool
from msig_lib.chartqa.traces import Verdict, check_traces
from msig_lib.preference import credit, verifiers
from msig_lib.preference.dpo import pad

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """Greedy responses to Q questions in one form: texts, right answers bool [Q], and verdicts on traces."""

    form: str
    texts: Sequence[str]
    right: npt.NDArray[np.bool_]
    verdicts: Sequence[Verdict] = ()

    @property
    def lucky(self) -> Floats:
        """1 where a right answer comes with a wrong step, 0 where all is right, NaN for wrong answers; [Q]."""
        sound = np.array([verdict.right for verdict in self.verdicts], dtype=float)
        return np.where(self.right, 1.0 - sound, np.nan)


def answer(learner: Learner, questions: Sequence[Question], charts: Charts | None, form: str) -> Answers:
    """Return the most probable responses to `questions` in a form ("direct" or "cot")."""
    drawn = [own[0] for own in learner.respond(questions, charts, form)]
    texts = [one.text for one in drawn]
    right = np.array([one.answer(form) == q.answer for one, q in zip(drawn, questions)], dtype=bool)
    verdicts = check_traces(texts, questions, charts.tables) if form == "cot" else ()
    return Answers(form, texts, right, verdicts)


def curves(
    pool: Pool, scores: Mapping[str, npt.ArrayLike], n: Sequence[int], *, beta: float = 0.1, seed: int
) -> dict[str, verifiers.Curve]:
    """Return figure 7.5: accuracy by N of each verifier's best-of-N and weighted vote, and what needs no verifier.

    `scores` are log-ratios or log-probabilities of the pool's traces, float [Q M] in nats. A score weighs a vote by
    the reward model's sigmoid(beta score) for a log-ratio, and by exp(score) for a log-probability
    ("probability" in its name). Also "majority", "one sample" and "any right".
    """
    right = pool.square(pool.right)
    codes = verifiers.answer_codes(
        [[pool.verdicts[q * pool.samples + m].answer for m in range(pool.samples)] for q in range(len(right))]
    )
    found = {
        "one sample": verifiers.mean_accuracy(right, n),
        "majority": verifiers.majority_vote(codes, right, n),
        "any right": verifiers.pass_at_n(right, n),
    }
    for name, values in scores.items():
        square = pool.square(np.asarray(values, dtype=np.float64))
        kind, scale = ("softmax", 1.0) if "probability" in name else ("sigmoid", beta)
        weights = verifiers.vote_weights(square, kind=kind, scale=scale)
        found[f"best by {name}"] = verifiers.best_of_n(square, right, n)
        found[f"vote by {name}"] = verifiers.weighted_vote(codes, weights, right, n, seed=seed)
    return found


def within_question_auc(pool: Pool, score: npt.ArrayLike) -> Floats:
    """Return P(a right answer scores above a wrong one of the same question), ties half: [Q], NaN without both."""
    values, right = pool.square(np.asarray(score, dtype=np.float64)), pool.square(pool.right)
    return credit.wrong_token_auc(values, np.ones_like(right), ~right)


@dataclass(frozen=True, eq=False)
class Marked:
    """Traces with a wrong step: rows of the pool [B], which places are tokens bool [B, L], and the first wrong one."""

    rows: npt.NDArray[np.int64]
    inside: npt.NDArray[np.bool_]
    first: npt.NDArray[np.bool_]


def first_mistakes(pool: Pool) -> Marked:
    """Return the traces of a pool whose first wrong token is one of theirs, with that token marked.

    A trace that stops too early has its mistake after its last token and is left out. The end token counts as a
    token of the trace: a rule may point at it, and is wrong then.
    """
    places = [verdict.token for verdict in pool.verdicts]
    lengths = [len(text.split()) for text in pool.texts]
    rows = [r for r, place in enumerate(places) if place is not None and 0 <= place < lengths[r]]
    if not rows:
        return Marked(np.empty(0, dtype=np.int64), *np.zeros((2, 0, 1), dtype=bool))
    _, inside = pad([pool.logprobs[row] for row in rows])
    first = np.zeros_like(inside)
    first[np.arange(len(rows)), [places[row] for row in rows]] = True
    return Marked(np.array(rows), inside, first & inside)


def found_first(pool: Pool, marked: Marked, rewards: Sequence[npt.ArrayLike]) -> tuple[Floats, Floats]:
    """Return how often the lowest of a trace's token rewards is its first mistake, and chance, both [Q].

    `rewards` has an array of token rewards for each marked trace. Means over the marked traces of a question,
    NaN where it has none, so that intervals are over questions.
    """
    values, inside = pad(rewards)
    if inside.shape != marked.inside.shape or (inside != marked.inside).any():
        raise ValueError(
            f"rewards are {inside.shape}, expected one a token of the marked traces {marked.inside.shape}"
        )
    found = credit.lowest_hits(values, inside, marked.first)
    return tuple(by_question(pool, marked.rows[found.rows], each) for each in (found.hit, found.chance))


def by_question(pool: Pool, rows: npt.NDArray[np.int64], values: Floats) -> Floats:
    """Return the mean of values [B] at rows [B] of a pool for each question, [Q], NaN without rows."""
    of, q = rows // pool.samples, len(pool.questions)
    total, count = np.bincount(of, values, q), np.bincount(of, minlength=q)
    return np.divide(total, count, out=np.full(q, np.nan), where=count > 0)


def filtered(kept: npt.ArrayLike, good: npt.ArrayLike) -> dict[str, Floats]:
    """Return a filter's precision and recall as items [Q], NaN where a question does not count.

    `kept`, `good` bool [Q]. "kept that are good" and "good that are kept" are precision and recall of keeping;
    "dropped that are bad" and "bad that are dropped" those of dropping.
    """
    keep, true = np.asarray(kept, dtype=bool), np.asarray(good, dtype=bool)
    return {
        "kept that are good": np.where(keep, true, np.nan),
        "good that are kept": np.where(true, keep, np.nan),
        "dropped that are bad": np.where(~keep, ~true, np.nan),
        "bad that are dropped": np.where(~true, ~keep, np.nan),
    }
