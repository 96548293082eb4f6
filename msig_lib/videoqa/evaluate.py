"""What is measured of answers: accuracy and score by a judge, length, what is invented; captions; the best of N."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from msig_lib.preference.verifiers import answer_codes, best_of_n, majority_vote, mean_accuracy, pass_at_n
from msig_lib.videoqa.captions import CaptionCheck, check_caption
from msig_lib.videoqa.data import COLOURS, SHAPES, Clips, Scene
from msig_lib.videoqa.judges import CORRECT, FrameJudge, Judge
from msig_lib.videoqa.model import VideoLearner
from msig_lib.videoqa.questions import Question
from msig_lib.videoqa.reading import content
from msig_lib.videoqa.signal import LONGEST, Pool
from msig_lib.videoqa.train import caption_questions

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answered:
    """Answers to Q questions and what the frame judge says: `scores` int [Q] of 1 to 5; `words`, `invents` [Q]."""

    texts: list[str]
    scores: npt.NDArray[np.int64]
    words: Floats
    invents: Floats

    @property
    def right(self) -> Floats:
        """1 where an answer counts as right (score >= 3), float [Q]."""
        return (self.scores >= CORRECT).astype(float)


def answer(learner: VideoLearner, questions: Sequence[Question], clips: Clips) -> Answered:
    """Let the learner give its most probable answers (thesis 6.3.2: greedy), and judge them by the clips themselves."""
    found = learner.respond(questions, clips.frames, max_tokens=LONGEST)
    return answered([own[0].text for own in found], questions, clips.scenes)


def answered(texts: Sequence[str], questions: Sequence[Question], scenes: Sequence[Scene]) -> Answered:
    """Judge answers by the clips themselves."""
    of = [scenes[q.clip] for q in questions]
    judged = FrameJudge().judge(of, [q.text for q in questions], [q.answer for q in questions], list(texts))
    words = np.array([len(text.split()) for text in texts], dtype=float)
    invented = np.array([invents(text, scene) for text, scene in zip(texts, of)], dtype=float)
    return Answered(list(texts), judged.scores, words, invented)


def invents(text: str, scene: Scene) -> bool:
    """Return whether an answer names a thing (colour and shape) that is not in the clip.

    A thing that changes its colour may be called by either.
    """
    there = {thing.name for thing in scene.things}
    there |= {f"{thing.becomes} {thing.shape}" for thing in scene.things if thing.becomes}
    words = content(text)
    named = {f"{a} {b}" for a, b in pairwise(words) if a in COLOURS and b in SHAPES}
    return bool(named - there)


def judged(
    judge: Judge, texts: Sequence[str], questions: Sequence[Question], evidence: Sequence
) -> npt.NDArray[np.int64]:
    """Return a judge's scores 1 to 5 of answers, int [Q]; `evidence` has a caption (or a scene) for each clip."""
    return judge.judge(
        [evidence[q.clip] for q in questions],
        [q.text for q in questions],
        [q.answer for q in questions],
        list(texts),
    ).scores


def describe(learner: VideoLearner, clips: Clips) -> list[CaptionCheck]:
    """Let the learner describe clips and check every claim against the scenes."""
    asked = caption_questions([""] * len(clips))
    return [
        check_caption(own[0].text, scene)
        for own, scene in zip(learner.respond(asked, clips.frames), clips.scenes)
    ]


def ranked(pool: Pool, right: npt.ArrayLike, ratio: npt.ArrayLike, sizes: Sequence[int]) -> dict[str, Floats]:
    """Return accuracy by rule and question with N of a pool's answers, float [Q, len(sizes)] each (figure 6.4).

    `right` bool [Q M], `ratio` float [Q M]: how much more probable an answer is after DPO than before, in nats. The
    values are exact means over all subsets of N answers (see `preference.verifiers`).
    """
    shape = (len(pool.questions), pool.samples)
    good, ratios = np.asarray(right, dtype=bool).reshape(shape), np.asarray(ratio, dtype=float).reshape(shape)
    codes = answer_codes(pool.answers())
    n = np.asarray(sizes)
    return {
        "one sample": np.repeat(mean_accuracy(good, n).value[:, :1], len(n), 1),
        "dpo ratio": best_of_n(ratios, good, n).value,
        "sft probability": best_of_n(pool.logprobs.reshape(shape), good, n).value,
        "majority": majority_vote(codes, good, n).value,
        "oracle": pass_at_n(good, n).value,
    }
