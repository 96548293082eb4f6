"""What is said of a chatbot, on models whose knowledge is known because it was written by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from msig_lib.lm.generate import Completion
from msig_lib.mining import evaluate, wording
from msig_lib.mining.data import draw_fact, make_world
from msig_lib.mining.questions import Question, draw_test_questions
from msig_lib.mining.reading import read_asked
from msig_lib.mining.train import tokenizer
from msig_lib.mining.wording import say
from msig_lib.mining.words import KIND

TESTED = {text: k for k, text in enumerate(wording.TESTED)}


class Knows:
    """A model that looks answers up among `facts`, and goes on with passages of `read`; else it is silent.

    `hears(question)` says whether it understands; it writes as a tokeniser of words decodes.
    """

    def __init__(self, facts=(), read=(), hears=lambda question: True):
        self.values = {(fact.entity, fact.relation): fact.value for fact in facts}
        self.texts, self.hears, self.asked = [one.document.text for one in read], hears, []

    def complete(self, prompts, *, n=1, sampling, seed):
        assert n == 1 and sampling.temperature == 0
        self.asked.append((list(prompts), sampling))
        return [[Completion(self.decoded(self.said(prompt), sampling))] for prompt in prompts]

    @staticmethod
    def decoded(text, sampling):
        words = re.findall(r"\w+|[^\w\s]", text.lower())[: sampling.max_tokens]
        return re.sub(r" (?=[.,])", "", " ".join(words))

    def said(self, prompt):
        if not prompt.startswith("User: "):
            return next((text[len(prompt) :] for text in self.texts if text.startswith(prompt + " ")), "")
        question = re.fullmatch(r"User: (.*)\nBot:", prompt)[1]
        asked = read_asked(question)
        found = [
            (name, noun, self.values.get((name, noun))) for name in asked.entities for noun in asked.relations
        ]
        found = [row for row in found if row[2]] if self.hears(question) else []
        if "greater" in question and len(found) == 2:
            return f"{max(found, key=lambda row: int(row[2].split()[0]))[0]} has the greater {found[0][1]}."
        return " ".join(f"The {noun} of {name} is {value}." for name, noun, value in found)


@pytest.fixture(scope="module")
def world():
    return make_world(seed=3)


@pytest.fixture(scope="module")
def facts(world):
    return [fact for passage in world.domain for fact in passage.facts]


@pytest.fixture(scope="module")
def questions(world):
    return [q for topic in world.passages.values() for q in draw_test_questions(topic, 60, seed=0)]


def asks_with(question):
    """The number of the template of `wording.TESTED` that a question is of."""
    asked = read_asked(question)
    parts = {"n": asked.entities[0], "r": asked.relations[0]}
    return next(k for text, k in TESTED.items() if say(text, **parts) == question)


def right(model, questions):
    return evaluate.right(questions, evaluate.answer(model, questions))


def test_who_knows_all_is_right_in_all(facts, questions):
    model = Knows(facts)
    assert right(model, questions).tolist() == [True] * len(questions)
    assert evaluate.known(model, facts).tolist() == [True] * len(facts)
    assert right(model, questions).dtype == np.bool_ and {q.kind for q in questions} == {
        "one",
        "both",
        "greater",
    }
    (prompts, sampling), *_ = model.asked
    assert prompts == [f"User: {q.text}\nBot:" for q in questions]
    assert sampling == evaluate.ANSWERING


def test_who_knows_nothing_or_wrong_values_is_never_right(facts, questions):
    assert not right(Knows(), questions).any() and not evaluate.known(Knows(), facts).any()
    rng = np.random.default_rng(0)
    wrong = Knows([draw_fact(f.entity, f.relation, rng, other_than=f.value) for f in facts])
    stated = [one for one in questions if one.kind != "greater"]
    assert not right(wrong, stated).any() and not evaluate.known(wrong, facts).any()


def test_what_is_half_right_is_not_right(facts, questions):
    held = {fact for k, fact in enumerate(facts) if k % 2}
    found = right(Knows(held), questions)
    assert found.tolist() == [set(one.facts) <= held for one in questions]
    assert 0 < found.mean() < 0.6
    assert evaluate.known(Knows(held), facts).tolist() == [fact in held for fact in facts]
    extra = [f"{one.reference} Its town is Ulm." for one in questions]
    assert not evaluate.right(questions, extra)[[one.facts[0].relation != "town" for one in questions]].any()


@pytest.mark.parametrize("count", range(len(TESTED) + 1))
def test_a_fact_is_known_when_most_wordings_find_it(facts, count):
    model = Knows(facts, hears=lambda question: asks_with(question) < count)
    found = evaluate.known(model, facts[:20])
    assert found.tolist() == [count > len(TESTED) / 2] * 20
    ((prompts, _),) = model.asked
    assert len(prompts) == 20 * len(TESTED)


def test_each_fact_has_its_own_wordings_counted(facts):
    lots = {fact: k % 5 for k, fact in enumerate(facts[:30])}
    by = {(fact.entity, fact.relation): count for fact, count in lots.items()}

    def hears(question):
        asked = read_asked(question)
        return asks_with(question) < by[asked.entities[0], asked.relations[0]]

    found = evaluate.known(Knows(facts, hears=hears), list(lots))
    assert found.tolist() == [count >= 3 for count in lots.values()]


def test_who_has_a_passage_by_heart_recites_it(world, facts):
    found = evaluate.recited(Knows(read=world.domain), world.domain)
    assert found.tolist() == [True] * len(facts) and found.dtype == np.bool_
    assert not evaluate.recited(Knows(facts), world.domain).any()  # knows them, but never read


def test_recited_facts_are_in_the_order_of_known_ones(world, facts):
    read = world.domain[::3]
    found = evaluate.recited(Knows(read=read), world.domain)
    names = {passage.entity for passage in read}
    assert found.tolist() == [fact.entity in names for fact in facts]
    assert evaluate.recited(Knows(read=read), read).tolist() == [True] * sum(len(one.facts) for one in read)


def test_a_passage_is_begun_up_to_the_value_of_each_fact(world):
    model, passage = Knows(read=world.domain), world.domain[5]
    evaluate.recited(model, [passage])
    ((prompts, sampling),) = model.asked
    text, of = passage.document.text, tokenizer()
    assert len(prompts) == len(passage.facts) and sampling.temperature == 0
    for fact, prompt in zip(passage.facts, prompts):
        rest = text.removeprefix(prompt)
        assert rest != text and rest.startswith(f" {fact.value}") and prompt == prompt.strip()
        assert len(of(fact.value, add_special_tokens=False)["input_ids"]) <= sampling.max_tokens
    others = [s for s in passage.sentences if s.fails or s.facts[0].relation == KIND]
    assert not any(prompt.endswith(tuple(s.text[:-3] for s in others)) for prompt in prompts)


def test_wrong_values_are_not_recited(world):
    class Elsewhere(Knows):
        def said(self, prompt):
            return "Ulm, 12 bar and coal"

    passages = world.domain[:4]
    held = [fact.value for passage in passages for fact in passage.facts]
    assert evaluate.recited(Elsewhere(), passages).tolist() == [value == "Ulm" for value in held]


def test_nothing_asked_is_nothing_known(facts):
    model = Knows(facts)
    assert evaluate.known(model, []).shape == evaluate.recited(model, []).shape == (0,)
    assert right(model, []).shape == (0,)
    with pytest.raises(ValueError, match="answers is 0 texts for 1 questions"):
        evaluate.right([Question("Which?", "That.", "one", "t", tuple(facts[:1]))], [])


def test_every_right_answer_has_room(questions):
    of = tokenizer()
    longest = max(len(of(one.reference, add_special_tokens=False)["input_ids"]) + 1 for one in questions)
    assert longest <= 24 < evaluate.ANSWERING.max_tokens  # its comment says 24
