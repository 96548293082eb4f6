"""What a chatbot knows: answers to test questions, facts known, and what it can only recite (thesis 5.6.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from msig_lib.lm.generate import Sampling
from msig_lib.lm.local import LocalModel
from msig_lib.mining import wording
from msig_lib.mining.data import Passage
from msig_lib.mining.judges import OracleJudge
from msig_lib.mining.questions import Question
from msig_lib.mining.reading import normal
from msig_lib.mining.train import chat_prompt
from msig_lib.mining.wording import Fact, say

ANSWERING = Sampling(temperature=0.0, max_tokens=40)  # ours: the longest right answer has 24
Right = npt.NDArray[np.bool_]


def answer(model: LocalModel, questions: Sequence[Question]) -> list[str]:
    """Return the chatbot's most probable answer to each question."""
    return _said(model, [chat_prompt(question.text) for question in questions])


def right(questions: Sequence[Question], answers: Sequence[str]) -> Right:
    """Return bool [n], whether each answer claims all that is asked for and nothing else."""
    return OracleJudge().judge(questions, answers).scores == 5


def known(model: LocalModel, facts: Sequence[Fact]) -> Right:
    """Return bool [n], whether the chatbot knows each fact: right in most of the wordings of tests."""
    asked = [
        Question(say(template, **wording.parts_of((fact,))), "", "one", "", (fact,))
        for fact in facts
        for template in wording.TESTED
    ]
    found = right(asked, answer(model, asked)).reshape(len(facts), len(wording.TESTED))
    return found.mean(1) > 0.5


def recited(model: LocalModel, passages: Iterable[Passage]) -> Right:
    """Return bool [facts], whether the chatbot goes on with a fact's value when it has read its passage up to there.

    The facts of all passages in order, but for those of sentences that are refused and those of what an entity is.
    """
    begun, values = [], []
    for passage in passages:
        for number, sentence in enumerate(passage.sentences):
            for fact in sentence.facts if not sentence.fails else ():
                if fact.value not in sentence.text or fact not in passage.facts:
                    continue
                before = passage.document.sentences[:number]
                begun.append(" ".join([*before, sentence.text[: sentence.text.rindex(fact.value)].rstrip()]))
                values.append(normal(fact.value))
    said = _said(model, begun, Sampling(temperature=0.0, max_tokens=3))
    return np.array([normal(text).startswith(value) for text, value in zip(said, values)], dtype=bool)


def _said(model: LocalModel, prompts: Sequence[str], sampling: Sampling = ANSWERING) -> list[str]:
    return [found[0].text for found in model.complete(prompts, sampling=sampling, seed=0)]
