"""Questions about clips, most of which need more than one frame, word by word for a word-level tokeniser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd

from msig_lib.videoqa.data import COLOURS, PATHS, SHAPES, SIZES, VERBS, Clips, Scene
from msig_lib.videoqa.facts import MOST_BOUNCES, Claim, claims_of, event_frames

TEXTS = {
    "direction": "which way does the {0} move first ?",  # right, left, up, down
    "bounces": "how many times does the {0} bounce ?",  # 0, 1, 2, 3
    "change": "how does the {0} change its colour ?",  # {0} is a shape that the clip has once; "red to green"
    "order": "which is first , {0} or {1} ?",  # "red circle bounces" or "blue square enters"
    "first": "which one enters first ?",  # a name, of those of two things or more that enter
    "behind": "which one goes behind another ?",  # a name, where one does
    "leaves": "which one leaves ?",  # a name, where one does
    "faster": "which is faster , {0} or {1} ?",  # a name
    "size": "is the {0} small or large ?",  # needs one frame only
}
KINDS = tuple(TEXTS)
ONE_FRAME = ("size",)
GAP = 2  # ours, in frames: events nearer in time are not asked about
# Every word that a question or an answer can have.
VOCABULARY: list[str] = [
    *dict.fromkeys(
        [
            *(word for text in TEXTS.values() for word in text.split() if "{" not in word),
            *(*COLOURS, *SHAPES, *SIZES, *PATHS[:-1], *VERBS.values(), "to"),
            *(str(i) for i in range(MOST_BOUNCES + 1)),
        ]
    )
]


@dataclass(frozen=True)
class Question:
    """A question about clip number `clip` (-1: none), its answer, and the claims that the answer follows from."""

    clip: int
    kind: str
    text: str
    answer: str
    claims: tuple[Claim, ...]


def questions_from(
    claims: Collection[Claim], kinds: Sequence[str] = KINDS, *, clip: int = -1
) -> list[Question]:
    """Return every question that claims alone answer (right or wrong ones: a caption's, say), in a fixed order.

    Two things are compared in both orders. Of claims that say two values of one thing, the first in order counts.
    Raises ValueError for a kind that is not one of KINDS.
    """
    _check(kinds)
    said: dict[str, dict[str, Claim]] = {relation: {} for relation in _USED}
    for claim in sorted(claims):
        if claim.relation in said:
            said[claim.relation].setdefault(claim.subject, claim)
    before = sorted(claim for claim in claims if claim.relation == "before")
    return [
        Question(clip, kind, TEXTS[kind].format(*asked), answer, evidence)
        for kind in kinds
        for asked, answer, evidence in _ASKED[kind](said, before)
    ]


def ask(
    clips: Clips, n: int, kinds: Sequence[str] = KINDS, *, seed: int, balance: bool = True
) -> list[Question]:
    """Return n different questions, as many of each kind (the first ones get what is left over), in random order.

    Events are compared only when they are two frames apart. With `balance`, questions with a rare answer are
    preferred (a rare pair of verbs, for "order"; a rare place in the text, for "faster"), so that the question
    tells little; this works while a kind takes at most about half of what could be asked. The same clips and
    seed give the same questions. Raises ValueError for unknown kinds or when a kind has too few questions.
    """
    if n < 0:
        raise ValueError(f"{n} questions were asked for, expected 0 or more")
    _check(kinds)
    every: dict[str, list[Question]] = {kind: [] for kind in kinds}
    for i, scene in enumerate(clips.scenes):
        for question in questions_from(claims_of(scene), kinds, clip=i):
            if is_clear(question, scene):
                every[question.kind].append(question)
    out: list[Question] = []
    for i, kind in enumerate(every):
        wanted = n // len(every) + (i < n % len(every))
        if wanted > len(every[kind]):
            raise ValueError(
                f"{wanted} questions of kind {kind!r} were asked for, but {len(clips)} clips give "
                f"{len(every[kind])}: make more clips, or ask for fewer questions or other kinds"
            )
        rng = np.random.default_rng([seed, KINDS.index(kind)])
        keys = [_key(question) if balance else "" for question in every[kind]]
        often = Counter(keys)
        # Weighted sampling without replacement (Efraimidis and Spirakis 2006), weights 1 / how often.
        order = np.log(1 - rng.random(len(keys))) * np.array([often[key] for key in keys], dtype=float)
        out += [every[kind][c] for c in np.argsort(-order, kind="stable")[:wanted]]
    shuffled = np.random.default_rng([seed, len(KINDS)]).permutation(len(out))
    return [out[i] for i in shuffled]


def answer_statistics(questions: Sequence[Question]) -> pd.DataFrame:
    """Return one row per kind: `kind`, `n`, `answers` (different ones), `best_constant` and its share, `accuracy`."""
    rows = []
    for kind in dict.fromkeys(question.kind for question in questions):
        counts = Counter(question.answer for question in questions if question.kind == kind)
        best, times = counts.most_common(1)[0]
        rows.append((kind, counts.total(), len(counts), best, times / counts.total()))
    return pd.DataFrame(rows, columns=["kind", "n", "answers", "best_constant", "accuracy"])


def _check(kinds: Sequence[str]) -> None:
    if isinstance(kinds, str) or not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f"kinds is {kinds!r}, expected some of {', '.join(KINDS)}")


def is_clear(question: Question, scene: Scene) -> bool:
    """Whether the events that a question compares are apart enough in time to be told."""
    frames = event_frames(scene)
    return all(
        frames[claim.value] - frames[claim.subject] >= GAP
        for claim in question.claims
        if claim.relation == "before"
    )


def _key(question: Question) -> str:
    """What should be equally frequent among the questions of a kind."""
    if question.kind == "order":
        (claim,) = question.claims
        place = question.text.index(question.answer) > len("which is first , ")
        return f"{claim.subject.split()[-1]} {claim.value.split()[-1]} {place}"
    if question.kind == "faster":
        return str(question.text.index(question.answer) > len("which is faster , "))
    return question.answer


Said = dict[str, dict[str, Claim]]
Asked = Iterator[tuple[tuple[str, ...], str, tuple[Claim, ...]]]
_USED = ("size", "moves", "speed", "bounces", "becomes", "enters", "leaves", "behind")


def _names(said: Said) -> set[str]:
    """Return every thing that something is said of."""
    return {name for of_things in said.values() for name in of_things}


def _value(relation: str, said: Said) -> Asked:
    """Ask for the value of what is said of each thing."""
    for name, claim in said[relation].items():
        if claim.value != "still":
            yield (name,), claim.value, (claim,)


def _change(said: Said, _: list[Claim]) -> Asked:
    shapes = Counter(name.split()[1] for name in _names(said))
    for name, claim in said["becomes"].items():
        colour, shape = name.split()
        if shapes[shape] == 1:
            yield (shape,), f"{colour} to {claim.value}", (claim,)


def _order(_: Said, before: list[Claim]) -> Asked:
    for claim in before:
        for asked in permutations((claim.subject, claim.value)):
            yield asked, claim.subject, (claim,)


def _first(said: Said, before: list[Claim]) -> Asked:
    enter = [f"{name} enters" for name in said["enters"]]
    for event in enter:
        evidence = tuple(c for c in before if c.subject == event and c.value in enter)
        if len(enter) > 1 and {c.value for c in evidence} == {*enter} - {event}:
            yield (), event.removesuffix(" enters"), evidence


def _only(relation: str, said: Said) -> Asked:
    """Ask for the one thing of which something is said, where there are others."""
    if len(said[relation]) == 1 and len(_names(said)) > 1:
        ((name, claim),) = said[relation].items()
        yield (), name, (claim,)


def _faster(said: Said, _: list[Claim]) -> Asked:
    for asked in permutations(said["speed"].values(), 2):
        speeds = {claim.value: claim.subject for claim in asked}
        if len(speeds) == 2:
            yield tuple(claim.subject for claim in asked), speeds["fast"], asked


_ASKED = {
    "direction": lambda said, _: _value("moves", said),
    "bounces": lambda said, _: _value("bounces", said),
    "change": _change,
    "order": _order,
    "first": _first,
    "behind": lambda said, _: _only("behind", said),
    "leaves": lambda said, _: _only("leaves", said),
    "faster": _faster,
    "size": lambda said, _: _value("size", said),
}
