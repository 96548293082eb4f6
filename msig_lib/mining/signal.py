"""The training signal: teachers that analyse, ask and answer, and the seed data of a miner (thesis 5.3.1)."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from msig_lib.lm.generate import Completion, Sampling, TextModel
from msig_lib.mining import prompts, rules, wording
from msig_lib.mining.data import Passage, draw_fact
from msig_lib.mining.documents import Document, Mined, Teacher
from msig_lib.mining.parse import malformed, read_fields, read_output
from msig_lib.mining.wording import Fact
from msig_lib.mining.words import GENERAL, KIND

ASKING = Sampling(temperature=0.0, max_tokens=300)  # ours: a reply is a few sentences, the likeliest is best
BOTH = (
    0.5  # ours: how often the oracle asks about both facts of a sentence with two, and not about one of them
)
STEPS = (("analysis",), ("analysis", "question"), ("analysis", "question", "answer"))  # read after each reply
ONE_STEP = (("question", "answer"),)
PIECE = re.compile(r"\d+(?:[.,]\d+)*|\w+")
LITTLE = frozenset(
    "a an and are as at be been by for from had has have in is it its of on or the to was were with".split()
)
Item = tuple[Document, int]


class OracleTeacher:
    """Whoever knows the world: the words of `wording` about the sentences of `passages`.

    With the probability `error_rate` an answer is wrong: one of the values that are asked for is another of the same
    relation, in the analysis too. Which ones depends on the seed, the document's id and the sentence, and a higher
    rate adds to those of a lower one; nothing else changes with the rate. Refusals are always right. Of a sentence with
    two facts it asks about both, or about one of them. Raises ValueError for a rate outside [0, 1], and in `ask` for a
    document that is not of the `passages`.
    """

    def __init__(
        self, passages: Iterable[Passage], *, analysis: bool = True, error_rate: float = 0.0
    ) -> None:
        if not 0 <= error_rate <= 1:
            raise ValueError(f"error_rate is {error_rate}, expected 0 <= error_rate <= 1")
        self.analysis = analysis
        self.error_rate = error_rate
        self.name = "oracle" if not error_rate else f"oracle, {error_rate:.0%} wrong"
        self._passages = {passage.document: passage for passage in passages}
        words = [wording.ANALYSES, wording.REASONS, wording.ASKED, wording.ASKED_BOTH]
        words += [wording.ANSWERED, wording.ANSWERED_BOTH]
        known = (repr(passage) for passage in self._passages.values())
        self.fingerprint = _hash("oracle", analysis, error_rate, BOTH, words, *known)

    def ask(self, items: Sequence[Item], *, seed: int) -> list[Mined]:
        """Return the oracle's finding on each (document, number of its sentence), in order."""
        return [self._said(document, i, seed) for document, i in checked(items)]

    def _said(self, document: Document, i: int, seed: int) -> Mined:
        passage = self._passages.get(document)
        if passage is None:
            raise ValueError(
                f"document {document.id!r} with this text is not one of the oracle's {len(self._passages)} passages: "
                "give it the passages that are asked about"
            )
        of = passage.sentences[i]
        if of.fails:
            reason = wording.reason(of.fails, of.about) if self.analysis else ""
            return Mined(document.id, i, reason, of.fails)
        key = hashlib.sha256(json.dumps([int(seed), document.id, i]).encode()).digest()
        choices, errors = (np.random.default_rng([int.from_bytes(key), k]) for k in range(2))
        facts = list(of.facts)
        asked = list(range(len(facts)))
        if len(facts) > 1 and choices.random() >= BOTH:
            asked = [int(choices.integers(len(facts)))]
        if errors.random() < self.error_rate:
            k = asked[int(errors.integers(len(asked)))]
            facts[k] = another(facts[k], errors)
        chosen = [facts[k] for k in asked]
        question = wording.question(chosen, choices)
        answer = wording.answer(chosen, choices)
        analysis = wording.findings(facts) if self.analysis else ""
        return Mined(document.id, i, analysis, None, question, answer)


def another(fact: Fact, rng: np.random.Generator) -> Fact:
    """Return the fact with another value that its relation can have.

    What it is becomes something of a general topic: a miner that learns from an erring teacher is not to meet the words
    of the domain that one of a right teacher has not met.
    """
    if fact.relation != KIND:
        return draw_fact(fact.entity, fact.relation, rng, other_than=fact.value)
    kinds = [topic.kind for topic in GENERAL if topic.kind != fact.value]
    return replace(fact, value=kinds[int(rng.integers(len(kinds)))])


class ModelTeacher:
    """A language model, local or on a server, asked in three steps, each about what the one before left.

    Steps: an analysis, or a refusal with the criterion that fails; a question; an answer (thesis 5.3.1, figures 10.1 to
    10.3). Without `analysis` one step (figure 10.7). A reply that is not as asked for, or that was cut at
    `sampling.max_tokens`, makes the finding malformed; it holds all replies about the sentence. Equal prompts are
    asked once, so that an answer, and its place in a cache, do not depend on what else is asked. Of long documents
    `longest` characters are shown (`prompts.excerpt`).
    """

    def __init__(
        self,
        model: TextModel,
        *,
        analysis: bool = True,
        sampling: Sampling = ASKING,
        longest: int = prompts.LONGEST,
    ) -> None:
        if longest < 1:
            raise ValueError(f"longest is {longest}, expected characters to show, from 1")
        self.model = model
        self.name = model.name
        self.analysis = analysis
        self.sampling = sampling
        self.longest = longest
        words = [prompts.ANALYSIS, prompts.QUESTION, prompts.ANSWER] if analysis else [prompts.PAIR]
        self.fingerprint = _hash("model", model.fingerprint, words, asdict(sampling), longest)

    def ask(self, items: Sequence[Item], *, seed: int) -> list[Mined]:
        """Return the model's finding on each (document, number of its sentence), in order."""
        items = checked(items)
        texts, cut = [""] * len(items), set()
        left = list(range(len(items)))
        for wanted in STEPS if self.analysis else ONE_STEP:
            asked = [self._prompt(wanted[-1], *items[row], texts[row]) for row in left]
            for row, reply in zip(left, self._replies(asked, seed)):
                texts[row] = "\n".join(filter(None, (texts[row], reply.text)))
                if reply.finish == "length":
                    cut.add(row)
            left = [row for row in left if row not in cut and tuple(read_fields(texts[row]) or ()) == wanted]
        return [
            malformed(texts[row], document.id, i)
            if row in cut
            else read_output(texts[row], self.analysis, document.id, i)
            for row, (document, i) in enumerate(items)
        ]

    def _prompt(self, step: str, document: Document, i: int, text: str) -> str:
        said = read_fields(text) or {}
        if not self.analysis:
            return prompts.pair_prompt(document, i, longest=self.longest)
        if step == "analysis":
            return prompts.analysis_prompt(document, i, longest=self.longest)
        if step == "question":
            return prompts.question_prompt(document, i, said["analysis"], longest=self.longest)
        return prompts.answer_prompt(document, said["question"], i, longest=self.longest)

    def _replies(self, asked: Sequence[str], seed: int) -> list[Completion]:
        distinct = list(dict.fromkeys(asked))
        found = self.model.complete(distinct, sampling=self.sampling, seed=seed) if distinct else []
        replies = {prompt: group[0] for prompt, group in zip(distinct, found)}
        return [replies[prompt] for prompt in asked]


class TemplateTeacher:
    """Rules that turn a sentence into a question and answer with the sentence (`rules`); no training, any English text.

    The baseline of every table on miners. It gives no analysis, and the seed changes nothing.
    """

    name = "templates"

    def __init__(self) -> None:
        self.fingerprint = _hash("templates", inspect.getsource(rules))

    def ask(self, items: Sequence[Item], *, seed: int = 0) -> list[Mined]:
        """Return the rules' finding on each (document, number of its sentence), in order."""
        found = []
        for document, i in checked(items):
            made = rules.pair(document, i)
            fields = {"fails": made} if isinstance(made, str) else {"question": made[0], "answer": made[1]}
            found.append(Mined(document.id, i, **fields))
        return found


def seed_instances(
    teacher: Teacher, documents: Sequence[Document], n: int, seed: int
) -> list[tuple[Document, Mined]]:
    """Return what a teacher says about `n` random sentences (thesis 5.3.1: 600), refusals and malformed ones included.

    One random sentence of each of n random documents; where there are fewer documents, one of each and then further
    sentences, all different. Raises ValueError when there are fewer sentences than n.
    """
    documents = [document for document in documents if document.sentences]
    total = sum(len(document.sentences) for document in documents)
    if not 0 <= n <= total:
        raise ValueError(
            f"n is {n}, but the {len(documents)} documents with text have {total} sentences: give more documents, "
            f"or a number from 0 to {total}"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(documents)).tolist()
    first = {row: int(rng.integers(len(documents[row].sentences))) for row in order}
    chosen = list(first.items())[:n]
    if n > len(chosen):
        rest = [
            (row, i)
            for row, document in enumerate(documents)
            for i in range(len(document.sentences))
            if i != first[row]
        ]
        chosen += [rest[k] for k in rng.permutation(len(rest))[: n - len(chosen)]]
    items = [(documents[row], i) for row, i in chosen]
    return [(document, mined) for (document, _), mined in zip(items, teacher.ask(items, seed=seed))]


def agree(a: Sequence[Mined], b: Sequence[Mined], *, share: float = 1.0) -> npt.NDArray[np.bool_]:
    """Return whether two findings on each of n sentences give the same answer, bool [n]: to filter one by the other.

    Both are kept, their answers have the same numbers, and at least `share` of the words in either are in both, apart
    from a few that carry little ("the", "has"), case, order and punctuation. 1 suits answers with fixed wording, a
    model that words them freely needs less. Raises ValueError for findings on different sentences, or a share outside
    (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}, expected 0 < share <= 1")
    if len(a) != len(b) or any((x.document, x.sentence) != (y.document, y.sentence) for x, y in zip(a, b)):
        raise ValueError(
            f"the {len(a)} and {len(b)} findings are not on the same sentences: expected one of each, in one order"
        )
    return np.array(
        [x.kept and y.kept and _same(x.answer, y.answer, share) for x, y in zip(a, b)], dtype=bool
    )


def _same(a: str, b: str, share: float) -> bool:
    one, two = ({piece.casefold() for piece in PIECE.findall(text)} for text in (a, b))
    one, two = one - LITTLE or one, two - LITTLE or two
    if {piece for piece in one ^ two if piece[0].isdecimal()}:
        return False
    return len(one & two) >= share * len(one | two)


def checked(items: Sequence[Item]) -> list[Item]:
    """Return the items as a list; ValueError for the number of a sentence that a document does not have."""
    items = list(items)
    for document, i in items:
        if not 0 <= i < len(document.sentences):
            raise ValueError(
                f"sentence {i} of document {document.id!r} is asked about, but it has {len(document.sentences)} "
                "sentences, counted from 0"
            )
    return items


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
