"""How facts are put into words: in passages, by the oracle that teaches miners, by users, and in test questions.

The test has templates of its own: what a chatbot is asked there is worded as nothing that it was trained on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from msig_lib.mining.words import KIND

if TYPE_CHECKING:
    from msig_lib.mining.data import Passage


@dataclass(frozen=True, order=True)
class Fact:
    """One thing that holds in the world; `value` with its unit. Relation "kind": what the entity is."""

    entity: str
    relation: str
    value: str


STATED = (
    "The {r} of {s} is {v}.",
    "For {s}, the {r} is {v}.",
    "As its {r}, {s} has {v}.",
    "The books give the {r} of {s} as {v}.",
)
"""Sentences of passages with one fact; {s} is the name, or "the <noun>". The value always follows its noun: with both
orders a small decoder needed twice the training to read."""
OF_IT = ("Its {r} is {v}.", "As its {r}, it has {v}.")
BOTH_STATED = (
    "The {r} of {s} is {v}, and its {q} is {w}.",
    "As its {r}, {s} has {v}, and as its {q}, {w}.",
)
ANNOUNCED = ("The {r} of {s} was noted with care.", "Much depends on the {r} of {s}.")
FOLLOWED = ("It is {v}.", "The books say {v}.")
"""A fact over two sentences: the second gives the value, and needs the first."""
EMPTY = ("Much has been written about {s}.", "Many people like {s}.", "There is more to say about {s}.")
UNCLEAR = ("Some say that the {r} of {s} is {v}.", "Perhaps the {r} of {s} is {v}.")
REPEATED = ("As was said, the {r} of {s} is {v}.", "Once more, the {r} of {s} is {v}.")
ELSEWHERE = ("The {r} of {o} is {v}.", "For {o}, the {r} is {v}.")

ANALYSES = {1: "It gives the {r} of {n}, {v}.", 2: "It gives the {r} of {n}, {v}, and the {q}, {w}."}
REASONS = {
    "clear": "It leaves open what holds.",
    "informative": "It gives nothing that could be asked.",
    "new": "It gives what was said before.",
    "relevant": "It gives something about {o}.",
}
ASKED = ("What is the {r} of {n}?", "Which {r} does {n} have?")
ASKED_BOTH = ("What are the {r} and the {q} of {n}?",)
ANSWERED = ("The {r} of {n} is {v}.",)
ANSWERED_BOTH = ("The {r} of {n} is {v}, and the {q} is {w}.",)

SAID_OTHERWISE = ("As its {r}, {n} has {v}.", "{N}: the {r} is {v}.", "We know of {n} that its {r} is {v}.")
"""What an answer with one fact says, in other sentences that stand alone: see `varied`."""

_ANSWER = re.compile(
    r"the (?P<r>\w+) of (?P<n>[^,.]+?) is (?P<v>[^,.]+?)(?:, and the (?P<q>\w+) is (?P<w>[^,.]+?))? ?\.",
    re.IGNORECASE,
)

USED = (
    "What is the {r} of {n}?",
    "Tell me the {r} of {n}.",
    "I would like to know the {r} of {n}.",
    "{N}: which {r} does it have?",
    "Please say what the {r} of {n} is.",
    "Do you know the {r} of {n}?",
    "Could you look up which {r} {n} has?",
    "About {n}, please: what is the {r}?",
)
"""Questions of users in the conversation data."""
USED_BOTH = (
    "What are the {r} and the {q} of {n}?",
    "Tell me the {r} and the {q} of {n}.",
    "{N}: which {r} and which {q} does it have?",
)
USED_GREATER = (
    "Which has the greater {r}, {n} or {m}?",
    "Tell me which has the greater {r}, {n} or {m}.",
)
SAID = ("The {r} of {n} is {v}.",)
SAID_BOTH = ("The {r} of {n} is {v}, and the {q} is {w}.",)
SAID_GREATER = ("{N} has the greater {r}.",)

TESTED = (
    "Could you tell me the {r} of {n}, please?",
    "I would like to know about {n}: what is its {r}?",
    "Please look up the {r} that {n} has.",
    "Do you know which {r} {n} has?",
)
"""Test questions: words that users use, in sentences that no training text has."""
TESTED_BOTH = (
    "Could you tell me the {r} and the {q} of {n}, please?",
    "I would like to know about {n}: what are its {r} and its {q}?",
)
TESTED_GREATER = ("Could you look up which has the greater {r}, {n} or {m}?",)


def say(template: str, **parts: str) -> str:
    """Return a template filled in; capital keys stand for the part with a capital letter first."""
    return template.format(
        **parts, **{key.upper(): part[:1].upper() + part[1:] for key, part in parts.items()}
    )


def pick(templates: Sequence[str], rng: np.random.Generator) -> str:
    """Return one of the templates."""
    return templates[int(rng.integers(len(templates)))]


def analysis(passage: Passage, sentence: int) -> str:
    """Return the oracle's analysis of a sentence: what it gives, with the name for "it", or why it is refused."""
    of = passage.sentences[sentence]
    return reason(of.fails, of.about) if of.fails else findings(of.facts)


def findings(facts: Sequence[Fact]) -> str:
    """Return in words what a sentence gives that states these one or two facts."""
    first = facts[0]
    if first.relation == KIND:
        return f"It says what {first.entity} is, a {first.value}."
    return say(ANALYSES[len(facts)], **parts_of(facts))


def reason(fails: str, about: str) -> str:
    """Return in words why a sentence is refused that is about the entity `about`."""
    return say(REASONS[fails], o=about)


def question(facts: Sequence[Fact], rng: np.random.Generator) -> str:
    """Return the oracle's question about one or two facts of an entity; it stands alone."""
    if facts[0].relation == KIND:
        return f"What is {facts[0].entity}?"
    return say(pick(ASKED if len(facts) == 1 else ASKED_BOTH, rng), **parts_of(facts))


def answer(facts: Sequence[Fact], rng: np.random.Generator) -> str:
    """Return the oracle's answer, a sentence that stands alone."""
    if facts[0].relation == KIND:
        return f"{facts[0].entity} is a {facts[0].value}."
    return say(pick(ANSWERED if len(facts) == 1 else ANSWERED_BOTH, rng), **parts_of(facts))


def varied(text: str) -> list[str]:
    """Return an answer and what it says in other sentences (`SAID_OTHERWISE`), each fact by itself.

    A rule on words that knows no facts: wrong answers stay wrong. What is not worded like `ANSWERED` or
    `ANSWERED_BOTH` comes back alone.

    >>> varied("The weight of Bador Kelin is 45 kilograms.")[1]
    'As its weight, Bador Kelin has 45 kilograms.'
    """
    hit = _ANSWER.fullmatch(text.strip())
    if hit is None:
        return [text]
    facts = [Fact(hit["n"], hit["r"], hit["v"])]
    if hit["q"]:
        facts.append(Fact(hit["n"], hit["q"], hit["w"]))
    return [text, *(say(form, **parts_of((fact,))) for fact in facts for form in SAID_OTHERWISE)]


def parts_of(facts: Sequence[Fact]) -> dict[str, str]:
    parts = {"n": facts[0].entity, "r": facts[0].relation, "v": facts[0].value}
    if len(facts) > 1:
        parts |= {"q": facts[1].relation, "w": facts[1].value}
    return parts
