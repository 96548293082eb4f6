"""The signal of chapter 6: instruction data from captions (6.2.2), scores by a judge, and pairs of answers (6.2.3)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import spearmanr

from msig_lib.preference.pairs import Pairs, pairs_from_scores
from msig_lib.videoqa.captions import read_caption
from msig_lib.videoqa.data import Scene
from msig_lib.videoqa.facts import claims_of
from msig_lib.videoqa.judges import CORRECT, Judge
from msig_lib.videoqa.model import VideoLearner
from msig_lib.videoqa.questions import KINDS, Question, questions_from

SAMPLES = 6  # thesis 6.2.3: answers to each question
LONGEST = 12  # ours, in tokens: twice the longest answer of this world
PER_CAPTION = 3  # thesis 6.2.2: question-answer pairs from each caption


@dataclass(frozen=True, eq=False)
class Pool:
    """M sampled answers to each of Q questions, in rows 0 .. Q M - 1, question by question."""

    questions: Sequence[Question]
    samples: int
    ids: Sequence[tuple[int, ...]]
    texts: Sequence[str]
    logprobs: npt.NDArray[np.float32]  # [Q M], of whole answers in nats, under the model that wrote them

    def __len__(self) -> int:
        return len(self.ids)

    def asked(self, rows: Sequence[int]) -> list[Question]:
        """Return the question of each row."""
        return [self.questions[row // self.samples] for row in rows]

    def answers(self) -> list[list[str]]:
        """Return the answers by question, as `caption_reward` takes them."""
        return [list(self.texts[at : at + self.samples]) for at in range(0, len(self), self.samples)]


def draw(
    learner: VideoLearner,
    questions: Sequence[Question],
    frames: npt.NDArray[np.uint8],
    samples: int = SAMPLES,
    *,
    seed: int,
    temperature: float = 1.0,  # thesis 6.2.3
    top_p: float = 0.95,  # official code
    max_tokens: int = LONGEST,
) -> Pool:
    """Return `samples` answers to every question about the clips `frames` uint8 [n, F, H, W, 3]."""
    found = learner.respond(
        questions, frames, n=samples, temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed
    )
    flat = [one for own in found for one in own]
    total = np.array([one.logprobs.sum() for one in flat], dtype=np.float32)
    return Pool(list(questions), samples, [one.ids for one in flat], [one.text for one in flat], total)


def caption_reward(
    captions: Sequence[Hashable],
    questions: Sequence[str],
    references: Sequence[str],
    answers: Sequence[str] | Sequence[Sequence[str]],
    judge: Judge,
) -> pd.DataFrame:
    """Score answers to n questions by a caption of each one's clip; for anybody's data, all of it strings.

    `answers` has for each question one string or a list of them (the thesis samples six at temperature 1.0). Returns
    a row for each answer, in order: `question` (0 .. n - 1), `sample`, `answer`, `score` (1 to 5), `explanation`,
    `judge` and `version`. Equal inputs are judged once. A `FrameJudge` takes scenes in place of captions. Raises
    ValueError unless there is one of each for every question.
    """
    given = {"captions": captions, "questions": questions, "references": references, "answers": answers}
    sizes = {name: "one string" if isinstance(one, str) else len(one) for name, one in given.items()}
    if len(set(sizes.values())) > 1 or "one string" in sizes.values():
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(f"given: {told}; expected four lists with one entry for each question")
    own = [[one] if isinstance(one, str) else list(one) for one in answers]
    rows = np.repeat(np.arange(len(own)), [len(one) for one in own])
    flat = [answer for one in own for answer in one]
    judged = judge.judge(
        [captions[row] for row in rows],
        [questions[row] for row in rows],
        [references[row] for row in rows],
        flat,
    )
    return pd.DataFrame(
        {
            "question": rows,
            "sample": [place for one in own for place in range(len(one))],
            "answer": flat,
            "score": judged.scores,
            "explanation": judged.explanations,
            "judge": judge.name,
            "version": judge.version,
        }
    )


def preference_pairs(
    scores: pd.DataFrame, *, seed: int, threshold: float = CORRECT, per_question: int = 1
) -> Pairs:
    """Return a random pair of an answer with score >= `threshold` and one below it, for each question that has both.

    `scores` is the table of `caption_reward`; the pairs hold its row numbers and its questions, and count those that
    were dropped as all good or all bad (thesis 6.2.3). ValueError for a table without these columns.
    """
    lacking = {"question", "score"} - set(scores.columns)
    if lacking:
        raise ValueError(f"the table has no column {', '.join(sorted(lacking))}: give that of caption_reward")
    return pairs_from_scores(
        scores["score"].to_numpy(),
        scores["question"].to_numpy(),
        seed=seed,
        threshold=threshold,
        per_question=per_question,
    )


def qa_pairs(
    evidence: str | Scene,
    n: int = PER_CAPTION,
    *,
    seed: int,
    clip: int = -1,
    kinds: Sequence[str] = KINDS,
) -> list[Question]:
    """Return n different questions with answers that a caption alone gives, its errors included (thesis 6.2.2).

    `evidence` is a caption, or a scene for what an errorless one would give. Kinds are drawn first, each once before
    any comes again; fewer than n where the caption holds no more. `clip` is what the questions say they are about.
    """
    claims = read_caption(evidence) if isinstance(evidence, str) else claims_of(evidence)
    found = questions_from(claims, kinds, clip=clip)
    rng = np.random.default_rng(seed)
    draw = rng.random(len(found))
    # The rank of each within its kind by a random draw, then a random order of the kinds.
    turn = {kind: place for kind, place in zip(kinds, rng.permutation(len(kinds)).tolist())}
    seen: dict[str, int] = {}
    keys: list[tuple[int, int, int]] = []
    for row in np.argsort(draw).tolist():
        kind = found[row].kind
        seen[kind] = seen.get(kind, -1) + 1
        keys.append((seen[kind], turn[kind], row))
    return [found[row] for _, _, row in sorted(keys)[:n]]


def instruction_data(captions: Sequence[str], n: int = PER_CAPTION, *, seed: int) -> list[Question]:
    """Return up to n questions for each caption; `clip` is the caption's row."""
    seeds = np.random.SeedSequence(seed).generate_state(len(captions)).tolist()
    return [
        question
        for row, text in enumerate(captions)
        for question in qa_pairs(text, n, seed=seeds[row], clip=row)
    ]


@dataclass(frozen=True)
class Agreement:
    """How two judges agree on n answers.

    `same_side`: the share that both or neither call right (score >= 3); `spearman`: of the scores, NaN where one judge
    gives one score only; `confusion` int64 [5, 5]: answers by the first judge's score (rows) and the second's.
    """

    same_side: float
    spearman: float
    confusion: npt.NDArray[np.int64]


def agreement(scores: npt.ArrayLike, others: npt.ArrayLike, *, threshold: float = CORRECT) -> Agreement:
    """Compare the scores 1 to 5 of two judges on the same answers; ValueError for anything else or for none."""
    a, b = np.asarray(scores), np.asarray(others)
    if a.ndim != 1 or a.shape != b.shape or not len(a) or not np.isin([a, b], (1, 2, 3, 4, 5)).all():
        raise ValueError(
            f"scores of {a.shape} and {b.shape} given, expected two arrays [n] of 1 to 5, n >= 1"
        )
    confusion = np.zeros((5, 5), dtype=np.int64)
    np.add.at(confusion, (a.astype(int) - 1, b.astype(int) - 1), 1)
    constant = len(np.unique(a)) == 1 or len(np.unique(b)) == 1
    rank = float("nan") if constant else float(spearmanr(a, b).statistic)
    return Agreement(float(((a >= threshold) == (b >= threshold)).mean()), rank, confusion)
