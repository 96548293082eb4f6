"""Read what a text claims of the encyclopedia's world, however it is worded: shared by judges and miner quality."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from msig_lib.mining.wording import Fact
from msig_lib.mining.words import KIND, NAMES, RELATIONS, TOPICS, VALUES

END = re.compile(r"[.!?;]+(?!\d)|\n")  # of a sentence; 4.5 is one number
NUMBER = re.compile(r"\d+(?:\.\d+)?")
OPEN = ("some say", "not", "nobody knows", "no one knows", "perhaps", "whether")
"""Words of sentences that leave open what holds, and so claim nothing."""

_PARTS = {name.lower(): name for name in NAMES}
_UNITS = {relation.unit: noun for noun, relation in RELATIONS.items() if relation.unit}
_WORDS = {value.lower(): (value, kind) for kind in ("person", "place", "substance") for value in VALUES[kind]}
_YEARS = frozenset(VALUES["year"])
_CALLED = [topic.kind.split() for topic in TOPICS.values()]
_KINDS = tuple(f"{like} {noun}" for like, _ in _CALLED for _, noun in _CALLED)


@dataclass(frozen=True)
class Asked:
    """What a question asks: the entities and relations it names, in order and each once."""

    entities: tuple[str, ...]
    relations: tuple[str, ...]


class _Mark(NamedTuple):
    """A name, a relation's noun, or a value at token `at`; `fits` is the kind or unit of a value."""

    at: int
    text: str
    fits: str = ""


def normal(text: str) -> str:
    """Return a text as words in lower case with a space between them: no punctuation but decimal points.

    >>> normal(" The pressure (of Bador-Kelin) is 1,045.5 BAR .")
    'the pressure of bador kelin is 1045.5 bar'
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return " ".join(re.sub(r"(?!(?<=\d)\.(?=\d))[^\w]|_", " ", text).split())


def read_claims(text: str, *, entity: str = "", relations: Sequence[str] = ()) -> frozenset[Fact]:
    """Return what a text claims, as facts in the world's spelling.

    A sentence's values go to the relations it names: by kind of value and unit first, several of one kind in their
    order, then whatever is left in its order ("the pressure is 40 metres" claims that). A value without a noun belongs
    to the relation that its unit tells; else to one that the sentences before left without a value, or to one of
    `relations` (what was asked), of its kind if there is one; else to "". A sentence's entity is the one it names (of
    several, value by value in their order, or the nearest); else `entity`, or without one the first the text names.
    "<name> is a <kind>" claims the relation `KIND`. A sentence that leaves open what holds (`OPEN`) claims nothing.
    Any number is a value, and one name alone an entity, also where the world has none such.
    """
    found: set[Fact] = set()
    waiting = list(relations)
    parts = [normal(part).split() for part in END.split(text)]
    named = [mark.text for tokens in parts for mark in _entities(tokens)]
    default = entity or (named[0] if named else "")
    for tokens in parts:
        if any(f" {words} " in f" {' '.join(tokens)} " for words in OPEN):
            continue
        entities, nouns, values = _entities(tokens), _nouns(tokens), _values(tokens)
        found |= _kinds(tokens, entities, default, KIND in relations)
        pairs = _pair(nouns, values, waiting)
        for k, (noun, value) in enumerate(pairs):
            found.add(Fact(_whose(entities, value.at, k, len(pairs)) or default, noun, value.text))
        given = {noun for noun, _ in pairs}
        if open_nouns := [mark.text for mark in nouns if mark.text not in given]:
            waiting = open_nouns
        elif values:
            waiting = list(relations)
    return frozenset(found)


def read_asked(question: str) -> Asked:
    """Return the entities and relations that a question names; "What is <name>?" asks for the relation `KIND`."""
    tokens = normal(question).split()
    entities, nouns = _entities(tokens), [mark.text for mark in _nouns(tokens)]
    if not nouns and entities and re.match(r"(?:what|who) (?:is|was)\b", " ".join(tokens)):
        nouns = [KIND] if entities[0].at == 2 else []
    return Asked(tuple(dict.fromkeys(mark.text for mark in entities)), tuple(nouns))


def read_greater(text: str) -> str:
    """Return the entity that a text says is greater: the last named before "greater", else the first after it.

    Without that word, the only one that is named; "" if there is none, or several, or the text leaves it open.
    """
    for part in END.split(text):
        tokens = normal(part).split()
        entities = _entities(tokens)
        if not entities or any(f" {words} " in f" {' '.join(tokens)} " for words in OPEN):
            continue
        if "greater" in tokens:
            before = [mark for mark in entities if mark.at < tokens.index("greater")]
            return before[-1].text if before else entities[0].text
        names = {mark.text for mark in entities}
        return entities[0].text if len(names) == 1 else ""
    return ""


def _entities(tokens: Sequence[str]) -> list[_Mark]:
    """Return the names: two parts that follow each other, or one alone."""
    found, at = [], 0
    while at < len(tokens):
        parts = [_PARTS.get(token) for token in tokens[at : at + 2]]
        if parts[0]:
            whole = [part for part in parts if part]
            found.append(_Mark(at, " ".join(whole)))
            at += len(whole)
        else:
            at += 1
    return found


def _nouns(tokens: Sequence[str]) -> list[_Mark]:
    first = {token: at for at, token in reversed(list(enumerate(tokens))) if token in RELATIONS}
    return [_Mark(at, token) for token, at in sorted(first.items(), key=lambda item: item[1])]


def _values(tokens: Sequence[str]) -> list[_Mark]:
    found = []
    for at, token in enumerate(tokens):
        if token in _WORDS:
            found.append(_Mark(at, *_WORDS[token]))
        elif NUMBER.fullmatch(token):
            unit = tokens[at + 1] if at + 1 < len(tokens) and tokens[at + 1] in _UNITS else ""
            fits = unit or ("year" if token in _YEARS else "number")
            found.append(_Mark(at, f"{token} {unit}".strip(), fits))
    return found


def _pair(nouns: list[_Mark], values: list[_Mark], waiting: Sequence[str]) -> list[tuple[str, _Mark]]:
    """Return each value with its relation, "" where none can be told, in the order of the values."""
    names = [mark.text for mark in nouns]
    found: dict[_Mark, str] = {}
    for fits in dict.fromkeys(value.fits for value in values):
        of = [noun for noun in names if _fits(noun, fits)]
        for k, value in enumerate(value for value in values if value.fits == fits):
            if of:
                found[value] = of[min(k, len(of) - 1)]
    left = [noun for noun in names if noun not in found.values()]
    for k, value in enumerate(value for value in values if value not in found):
        if k < len(left):
            found[value] = left[k]
        elif value.fits in _UNITS:
            found[value] = _UNITS[value.fits]
        else:
            fitting = [noun for noun in waiting if noun != KIND and _fits(noun, value.fits)]
            other = [noun for noun in waiting if noun != KIND and not names]
            taken = [noun for noun in fitting or other if noun not in found.values()]
            found[value] = (taken or fitting or other or [""])[0]
    return [(found[value], value) for value in values]


def _fits(noun: str, fits: str) -> bool:
    relation = RELATIONS[noun]
    return fits == (relation.unit or relation.kind)


def _whose(entities: list[_Mark], at: int, k: int, values: int) -> str:
    """Return the entity that a sentence's value number `k` of `values`, at token `at`, belongs to; "" for none."""
    if not entities:
        return ""
    if len(entities) == values:
        return entities[k].text
    before = [mark for mark in entities if mark.at < at]
    return before[-1].text if before else entities[0].text


def _kinds(tokens: Sequence[str], entities: list[_Mark], default: str, asked: bool) -> set[Fact]:
    """Return what a sentence says things are: "<name> is a <kind>", or the bare kind where that was asked."""
    text = " ".join(tokens)
    found = set()
    for kind in _KINDS:
        for hit in re.finditer(rf"\b(?:is|was) an? {kind}\b", text):
            at = text[: hit.start()].count(" ")
            before = [mark for mark in entities if mark.at < at]
            found.add(Fact(before[-1].text if before else default, KIND, kind))
        if asked and not entities and re.fullmatch(rf"(?:an? )?{kind}", text):
            found.add(Fact(default, KIND, kind))
    return found
