"""Questions about the encyclopedia: those of users, and those of the test in other words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from msig_lib.mining import wording
from msig_lib.mining.data import Passage
from msig_lib.mining.wording import Fact, pick, say
from msig_lib.mining.words import RELATIONS


@dataclass(frozen=True)
class Question:
    """A test question; kind "one" (fact), "both" (two facts of an entity), or "greater" (of two entities)."""

    text: str
    reference: str
    kind: str
    topic: str
    facts: tuple[Fact, ...]


def draw_test_questions(
    passages: Sequence[Passage], n: int, *, seed: int, shares: tuple[float, float] = (0.2, 0.2)
) -> list[Question]:
    """Return up to n questions about the passages' facts, drawn without repetition, in the words of tests.

    `shares` of them are about two facts of an entity and about the greater of two numbers. ValueError for n below 0,
    or shares that are negative or more than one together.
    """
    if n < 0 or min(shares) < 0 or sum(shares) > 1:
        raise ValueError(
            f"n is {n} and shares {shares}, expected n from 0, and shares from 0 that are at most 1 together"
        )
    rng = np.random.default_rng([seed, 8])
    both, greater = (round(n * share) for share in shares)
    singles = [(one, (fact,)) for one in passages for fact in one.facts]
    found = [_ask("one", *singles[k], rng) for k in rng.permutation(len(singles))[: n - both - greater]]
    pairs = [
        (one, (a, b)) for one in passages for a in one.facts for b in one.facts if a.relation < b.relation
    ]
    found += [_ask("both", *pairs[k], rng) for k in rng.permutation(len(pairs))[:both]]
    ranked = list(_comparable(passages))
    found += [_ask("greater", *ranked[k], rng) for k in rng.permutation(len(ranked))[:greater]]
    return found


TESTS = {
    "one": (wording.TESTED, wording.SAID),
    "both": (wording.TESTED_BOTH, wording.SAID_BOTH),
    "greater": (wording.TESTED_GREATER, wording.SAID_GREATER),
}
USERS = {
    "one": (wording.USED, wording.SAID),
    "both": (wording.USED_BOTH, wording.SAID_BOTH),
    "greater": (wording.USED_GREATER, wording.SAID_GREATER),
}


def conversations(passages: Sequence[Passage], n: int, *, seed: int) -> list[Question]:
    """Return n questions of users about the passages' facts with their answers, drawn with repetition."""
    rng = np.random.default_rng([seed, 9])
    ranked = list(_comparable(passages))
    found = []
    for greater in rng.random(n) < 0.15:
        if greater and ranked:
            found.append(_ask("greater", *ranked[int(rng.integers(len(ranked)))], rng, USERS))
        else:
            found.append(draw_question(passages[int(rng.integers(len(passages)))], rng))
    return found


def draw_question(passage: Passage, rng: np.random.Generator, *, both: float = 0.15) -> Question:
    """Return a user's question about one fact of the passage, or with probability `both` about two."""
    size = 2 if rng.random() < both else 1
    facts = tuple(passage.facts[k] for k in rng.choice(len(passage.facts), size, replace=False))
    return _ask("one" if size == 1 else "both", passage, facts, rng, USERS)


def number_of(fact: Fact) -> int:
    """Return the number of a fact whose relation is counted in units; ValueError for others."""
    if not RELATIONS[fact.relation].unit:
        raise ValueError(f"{fact} has no number: its values are {RELATIONS[fact.relation].kind}s")
    return int(fact.value.split()[0])


def _ask(
    kind: str, passage: Passage, facts: tuple[Fact, ...], rng: np.random.Generator, words: dict | None = None
) -> Question:
    asked, said = (words or TESTS)[kind]
    parts = wording.parts_of(facts)
    reference = dict(parts)
    if kind == "greater":
        first, second = facts
        parts = {"n": first.entity, "m": second.entity, "r": first.relation}
        winner = first if number_of(first) > number_of(second) else second
        reference = {"n": winner.entity, "r": first.relation}
    return Question(
        say(pick(asked, rng), **parts), say(pick(said, rng), **reference), kind, passage.topic, facts
    )


def _comparable(passages: Sequence[Passage]) -> Iterator[tuple[Passage, tuple[Fact, ...]]]:
    """Yield pairs of facts of two entities with different numbers of one relation, in both orders."""
    counted: dict[str, list[tuple[Passage, Fact]]] = {}
    for passage in passages:
        for fact in passage.facts:
            if RELATIONS[fact.relation].unit:
                counted.setdefault(fact.relation, []).append((passage, fact))
    for found in counted.values():
        for passage, a in found:
            for _, b in found:
                if a.entity != b.entity and a.value != b.value:
                    yield passage, (a, b)
