"""What the page's explorer shows: sampled answers to a question about a clip, as two judges marked them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from msig_lib.videoqa.display import judged_html, readable
from msig_lib.videoqa.judges import CORRECT, FrameJudge
from msig_lib.videoqa.study import Plan, world

if TYPE_CHECKING:
    from msig_lib.videoqa.study_pairs import Judged


def chosen(judged: Judged, most: int = 8) -> list[int]:
    """Return up to `most` questions: half of them with answers on which the judges differ, in order of question.

    The rest gave a pair that the clip confirms. Where there are too few of one, the other's or any fill up.
    """
    shape = (len(judged.pool.questions), judged.pool.samples)
    own, true = (np.asarray(s).reshape(shape) >= CORRECT for s in (judged.scores, judged.by_frames))
    apart = (own != true).any(axis=1)
    paired = np.isin(np.arange(shape[0]), judged.pairs.group)
    kinds = [np.flatnonzero(apart & paired), np.flatnonzero(~apart & paired), np.arange(shape[0])]
    picked = [q for kind in kinds[:2] for q in kind[: most // 2].tolist()]
    for kind in kinds:
        picked += [q for q in kind.tolist() if q not in picked][: most - len(picked)]
    return sorted(picked)


def frame_html(plan: Plan, judged: Judged, question: int) -> str:
    """Return one question as HTML: its clip, caption, answers with scores and reasons, and its pair."""
    asked, clips = judged.pool.questions[question], world(plan)["train"]
    rows = range(question * judged.pool.samples, (question + 1) * judged.pool.samples)
    answers = [judged.pool.texts[row] for row in rows]
    scene, n = clips.scenes[asked.clip], len(answers)
    why = FrameJudge().judge([scene] * n, [asked.text] * n, [asked.answer] * n, answers).explanations
    return judged_html(
        clips.frames[asked.clip],
        scene,
        judged.captions[question],
        (asked.text, asked.answer),
        answers,
        [(int(judged.scores[row]), judged.explanations[row]) for row in rows],
        [(int(judged.by_frames[row]), reason) for row, reason in zip(rows, why)],
        pair_of(judged, question),
    )


def frame_words(judged: Judged, question: int) -> str:
    """Return what is shown in a sentence: the question, and the pair (the table beside it has every answer)."""
    asked, pair = judged.pool.questions[question], pair_of(judged, question)
    at = question * judged.pool.samples
    if pair is None:
        return f"{readable(asked.text)} All answers are on one side of the judge's threshold: no pair."
    chosen, rejected = (readable(judged.pool.texts[at + place]) or "nothing" for place in pair)
    return f"{readable(asked.text)} Chosen: {chosen}. Rejected: {rejected}."


def pair_of(judged: Judged, question: int) -> tuple[int, int] | None:
    """Return the places of a question's chosen and rejected answer among its samples, None where it gave no pair."""
    found = np.flatnonzero(judged.pairs.group == question)
    if not len(found):
        return None
    at = question * judged.pool.samples
    return int(judged.pairs.chosen[found[0]]) - at, int(judged.pairs.rejected[found[0]]) - at
