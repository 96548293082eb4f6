"""Judges of answers on the rubric of thesis figure 10.9, in our words: 1 to 5 for correctness and invention.

The world's oracle, the overlap of words with the reference, the likeness of sentence vectors, a language model.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.generate import Sampling, TextModel
from msig_lib.mining import prompts
from msig_lib.mining.questions import Question
from msig_lib.mining.reading import normal, read_asked, read_claims, read_greater
from msig_lib.mining.wording import Fact

Ints = npt.NDArray[np.int64]
GRADES = (1, 2, 3, 4, 5)
NO_GRADE = 0
JUDGING = Sampling(temperature=0.0, max_tokens=200)  # ours: a sentence and a number, the likeliest
SCORE = re.compile(r"\**score\s*:\s*\**\s*([1-5])\s*\**\.?", re.IGNORECASE)
REASON = re.compile(r"\**reason\s*:\s*\**\s*(\S.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Judged:
    """Grades of answers: `scores` int64 [n], 1 to 5, or 0 where the judge gave none that can be read; `reasons`."""

    scores: Ints
    reasons: list[str]

    @property
    def unreadable(self) -> int:
        """How many answers got no grade."""
        return int((self.scores == NO_GRADE).sum())


class Judge(Protocol):
    """Whatever grades answers; `fingerprint` tells apart any two that could grade differently."""

    name: str
    fingerprint: str

    def judge(self, questions: Sequence[Question], answers: Sequence[str]) -> Judged:
        """Return a grade for each answer, in order."""
        ...


class OracleJudge:
    """The rubric read off the world's facts.

    What an answer claims is read by `reading.read_claims`; a value alone answers what was asked. Grades:

    5: every asked fact is claimed, and nothing else.
    4: every asked fact is claimed, and something is made up about another relation or entity.
    3: one of two asked facts is claimed; or all of them, and another value for one of them too (naming every
       value there is must not pay).
    2: no asked fact is claimed, but something is about an asked entity or relation: a wrong value, or another fact.
    1: nothing is claimed (empty, no value, left open), or only what is not about them.

    Of "greater" questions the fact is which of the two it is (`reading.read_greater`), and the number of either may
    be told; the wrong one is 2, and so is the right one where another relation than the asked is named.
    `known` are facts of the world that an answer may add without making anything up; the asked ones always may.
    """

    name = "oracle"

    def __init__(self, known: Iterable[Fact] = ()) -> None:
        self._known = frozenset(known)
        self.fingerprint = _hash("oracle", 1, *sorted([f.entity, f.relation, f.value] for f in self._known))

    def judge(self, questions: Sequence[Question], answers: Sequence[str]) -> Judged:
        """Return the grades and why; ValueError unless there is one answer for each question."""
        _check(questions, answers)
        return _judged(self._one(question, answer) for question, answer in zip(questions, answers))

    def _one(self, question: Question, answer: str) -> tuple[int, str]:
        relations = tuple(fact.relation for fact in question.facts)
        entities = {fact.entity for fact in question.facts}
        if question.kind == "greater":
            return self._greater(question, answer, entities, relations[0])
        wanted = frozenset(question.facts)
        claims = read_claims(answer, entity=question.facts[0].entity, relations=relations)
        asked = {(fact.entity, fact.relation) for fact in wanted}
        rivals = {claim for claim in claims - wanted if (claim.entity, claim.relation) in asked}
        made_up = claims - wanted - rivals - self._known
        right = len(wanted & claims)
        if right == len(wanted):
            if rivals:
                return 3, f"right, but also claims {_worded(rivals)}"
            return (4, f"right, but makes up {_worded(made_up)}") if made_up else (5, "right")
        if right:
            return 3, f"{right} of {len(wanted)} right"
        return _about(claims, entities, relations)

    def _greater(self, question: Question, answer: str, entities: set[str], relation: str) -> tuple[int, str]:
        winner = read_greater(question.reference)
        claims = read_claims(answer, relations=(relation,))
        nouns = read_asked(answer).relations
        named = read_greater(answer) if "greater" in normal(answer).split() or not claims else ""
        if named == winner and (not nouns or relation in nouns):
            made_up = claims - set(question.facts) - self._known
            return (4, f"right, but makes up {_worded(made_up)}") if made_up else (5, "right")
        if named in entities or (named and relation in nouns):
            return 2, f"says that {named} has the greater {' or '.join(nouns) or relation}"
        return _about(claims, entities, (relation,))


class OverlapJudge:
    """1 + 4 F1, rounded, of the words that answer and reference share (each as often as it is in both).

    Words as `reading.normal` makes them. It cannot tell a wrong value in right words: what the oracle's grade is
    compared with.
    """

    name = "overlap"
    fingerprint = "overlap 1"

    def judge(self, questions: Sequence[Question], answers: Sequence[str]) -> Judged:
        """Return the grades and why; ValueError unless there is one answer for each question."""
        _check(questions, answers)
        shares = [word_f1(question.reference, answer) for question, answer in zip(questions, answers)]
        return _judged((1 + int(4 * share + 0.5), f"F1 {share:.2f}") for share in shares)


class EmbeddingJudge:
    """The cosine of the sentence vectors of answer and reference, cut at four thresholds that are fitted.

    `fit` takes graded answers, of development questions, not of those that are judged afterwards; their grades are
    the oracle's in this chapter, so that the judge shows how much of the oracle's grade the cosine can carry at best.
    `thresholds_` float64 [4] are the least cosines for grades 2 to 5, inf for grades it never gives.
    """

    name = "embedding"

    def __init__(self, encoder: SentenceEncoder | None = None) -> None:
        self.encoder = encoder
        self.thresholds_: npt.NDArray[np.float64] | None = None

    @property
    def fingerprint(self) -> str:
        """Stands for the encoder and the thresholds."""
        thresholds = None if self.thresholds_ is None else self.thresholds_.tolist()
        return _hash("embedding", 1, self._loaded().fingerprint, thresholds)

    def fit(
        self, questions: Sequence[Question], answers: Sequence[str], scores: npt.ArrayLike
    ) -> EmbeddingJudge:
        """Fit the thresholds to grades [n]: least squares over all that rise with the cosine (isotonic regression).

        ValueError for grades that are not one of 1 to 5 for each answer, or for no answers.
        """
        _check(questions, answers)
        grades = np.asarray(scores)
        if grades.shape != (len(answers),) or not len(answers) or not np.isin(grades, GRADES).all():
            raise ValueError(
                f"scores has shape {grades.shape} and values {np.unique(grades)[:6]} for {len(answers)} answers: "
                "expected a grade 1 to 5 for each, and one answer or more"
            )
        cosines = self._cosines(questions, answers)
        order = np.argsort(cosines, kind="stable")
        curve = IsotonicRegression(y_min=1, y_max=5).fit(cosines, grades).predict(cosines[order])
        # The best rising curve of whole numbers is the best rising curve, rounded.
        steps = np.searchsorted(np.floor(curve + 0.5), GRADES[1:])
        padded = np.concatenate([cosines[order], [np.inf]])
        self.thresholds_ = np.where(
            steps == 0, -np.inf, (padded[np.maximum(steps - 1, 0)] + padded[steps]) / 2
        )
        return self

    def judge(self, questions: Sequence[Question], answers: Sequence[str]) -> Judged:
        """Return the grades and why, 1 for blank answers; ValueError before `fit`."""
        _check(questions, answers)
        if self.thresholds_ is None:
            raise ValueError(
                "the judge has no thresholds yet: call fit with graded answers of development questions"
            )
        cosines = self._cosines(questions, answers)
        grades = 1 + (cosines[:, None] >= self.thresholds_).sum(1)
        grades[[not answer.strip() for answer in answers]] = 1
        return _judged((int(grade), f"cosine {cosine:.2f}") for grade, cosine in zip(grades, cosines))

    def _loaded(self) -> SentenceEncoder:
        if self.encoder is None:
            self.encoder = SentenceEncoder.load("minilm")
        return self.encoder

    def _cosines(self, questions: Sequence[Question], answers: Sequence[str]) -> npt.NDArray[np.float64]:
        texts = [*(question.reference for question in questions), *answers]
        of = {text: row for row, text in enumerate(dict.fromkeys(texts))}  # many answers are the same
        vectors = self._loaded().encode(list(of), precision="fp32", cache=False)[[of[text] for text in texts]]
        return (vectors[: len(answers)] * vectors[len(answers) :]).sum(1).astype(np.float64)


class ModelJudge:
    """A language model that explains and then grades (`prompts.judge_prompt`).

    A reply has to begin with "Reason:" and end in a line "Score: " with one of 1 to 5, the only such line; anything
    else gets no grade (0), its reason is the reply, and `Judged.unreadable` counts it. Equal prompts are asked once.
    """

    def __init__(self, model: TextModel, *, sampling: Sampling = JUDGING, seed: int = 0) -> None:
        self.model = model
        self.sampling = sampling
        self.seed = seed
        self.name = model.name
        self.fingerprint = _hash("model", model.fingerprint, prompts.JUDGE, asdict(sampling), seed)

    def judge(self, questions: Sequence[Question], answers: Sequence[str]) -> Judged:
        """Return the grades and the model's reasons; ValueError unless there is one answer for each question."""
        _check(questions, answers)
        asked = [prompts.judge_prompt(q.text, q.reference, answer) for q, answer in zip(questions, answers)]
        distinct = list(dict.fromkeys(asked))
        found = self.model.complete(distinct, sampling=self.sampling, seed=self.seed) if distinct else []
        replies = {prompt: group[0].text for prompt, group in zip(distinct, found)}
        return _judged(read_grade(replies[prompt]) for prompt in asked)


def read_grade(reply: str) -> tuple[int, str]:
    """Return the grade and the reason of a model's reply, (0, the reply) if it cannot be read.

    >>> read_grade("Reason: The year is wrong.\\nScore: 2")
    (2, 'The year is wrong.')
    """
    *before, last = [line.strip() for line in reply.splitlines() if line.strip()] or [""]
    score, reason = SCORE.fullmatch(last), REASON.fullmatch("\n".join(before))
    if score is None or reason is None or any(re.match(r"\**score\s*:", line, re.I) for line in before):
        return NO_GRADE, reply
    return int(score[1]), reason[1]


def word_f1(reference: str, answer: str) -> float:
    """Return the F1 of the words of two texts as multisets, 0 where they share none."""
    a, b = Counter(normal(reference).split()), Counter(normal(answer).split())
    shared = (a & b).total()
    return 2 * shared / (a.total() + b.total()) if shared else 0.0


def _about(claims: frozenset[Fact], entities: set[str], relations: Sequence[str]) -> tuple[int, str]:
    if any(claim.entity in entities or claim.relation in relations for claim in claims):
        return 2, f"claims {_worded(claims)}"
    return 1, f"claims {_worded(claims)}, which was not asked" if claims else "claims nothing"


def _worded(facts: Iterable[Fact]) -> str:
    return ", ".join(f"{f.relation or '?'} of {f.entity or '?'}: {f.value}" for f in sorted(facts))


def _judged(graded: Iterable[tuple[int, str]]) -> Judged:
    found = list(graded)
    return Judged(np.array([grade for grade, _ in found], dtype=np.int64), [reason for _, reason in found])


def _check(questions: Sequence[Question], answers: Sequence[str]) -> None:
    if isinstance(answers, str) or len(questions) != len(answers):
        given = "one string" if isinstance(answers, str) else f"{len(answers)} texts"
        raise ValueError(f"answers is {given} for {len(questions)} questions: expected a list, one for each")


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
