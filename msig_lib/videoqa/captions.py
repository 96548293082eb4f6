"""Captions of clips: written from claims, read back, with errors of a chosen rate, and rated by thesis 11.6's scale.

The captioner stands where the thesis has GPT-4V (6.2.1): what it makes up or leaves out can be set.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from msig_lib.videoqa.data import COLOURS, SHAPES, VERBS, Scene
from msig_lib.videoqa.facts import CLIP, RELATIONS, Claim, claims_of, contradicts, wrong

PROMPT = "describe the clip"
# A sentence says one or more of these of its subject, in this order, with commas between; "before" is said of events.
CLAUSES = {
    "things": "shows {} things",
    "background": "has a {} background",
    "size": "is {}",
    "moves": "moves {}",
    "speed": "is {}",
    "enters": "enters from the {}",
    "bounces": "bounces {} times",
    "becomes": "becomes {}",
    "behind": "goes behind the {}",
    "leaves": "leaves by the {}",
}
_ALTERED = {
    "shows 1 things": "shows 1 thing",
    "bounces 1 times": "bounces 1 time",
    "moves still": "stays still",
}
_NAMES = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)
_SUBJECTS = (CLIP, *_NAMES)
_HAPPENS = frozenset(f"{name} {verb}" for name in _NAMES for verb in VERBS.values())
GOOD, MUCH, SOME = 0.9, 0.7, 0.3  # ours: coverage for "good coverage", "very" and "somewhat informative"


def _clause(relation: str, value: str) -> str:
    plain = CLAUSES[relation].format(value)
    return _ALTERED.get(plain, plain)


_READ = {_clause(r, value): (r, value) for r in CLAUSES for value in RELATIONS[r] or _NAMES}
# Every word (and mark) that a caption or its prompt can have.
VOCABULARY: list[str] = sorted(
    {
        word
        for text in [*_READ, *_SUBJECTS, *VERBS.values(), PROMPT, "the before , ."]
        for word in text.split()
    }
)


def write_caption(claims: Collection[Claim], rng: np.random.Generator | None = None) -> str:
    """Return the sentences that say these claims and nothing else, word by word ("the red circle is small , ... .").

    First the clip, then its things, by name or with `rng` in random order, then what happens before what. Raises
    ValueError for a claim that no sentence says.
    """
    said: dict[str, dict[str, list[str]]] = {"things": {}, "before": {}}
    for claim in sorted(claims, key=lambda one: (_place(one.relation), one)):
        if claim.relation == "before" and {claim.subject, claim.value} <= _HAPPENS:
            said["before"].setdefault(claim.subject, []).append(f"the {claim.value}")
        elif claim.relation in CLAUSES and claim.subject in _SUBJECTS:
            clause = _clause(claim.relation, claim.value)
            if clause not in _READ:
                raise ValueError(f"{claim} has a value that its relation does not take: see facts.RELATIONS")
            said["things"].setdefault(claim.subject, []).append(clause)
        else:
            raise ValueError(
                f"{claim} cannot be said: see facts.RELATIONS for relations, subjects and values"
            )
    things, before = said["things"], said["before"]
    order = sorted(things)
    if rng is not None:
        rng.shuffle(order)
    order.sort(key=lambda subject: subject != CLIP)
    sentences = [f"the {subject} {' , '.join(things[subject])} ." for subject in order]
    sentences += [f"the {event} before {' , '.join(before[event])} ." for event in sorted(before)]
    return " ".join(sentences)


def caption(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """Return the caption that says everything that can be said of a scene; `rng` as in `write_caption`."""
    return write_caption(claims_of(scene), rng)


def read_caption(text: str) -> frozenset[Claim]:
    """Return what a caption claims: the inverse of `write_caption`.

    Any case and spacing will do; what no sentence of this module says (a model may write anything) is passed over.
    """
    found = set()
    for sentence in normal(text).split("."):
        words = sentence.split()
        words = words[words[:1] in (["the"], ["a"]) :]
        event, is_order, later = " ".join(words).partition(" before ")
        if is_order and event in _HAPPENS:
            values = {one.strip().removeprefix("the ") for one in later.split(",")}
            found |= {Claim(event, "before", value) for value in values & _HAPPENS}
            continue
        size = 1 if words[:1] == [CLIP] else 2
        subject = " ".join(words[:size])
        if subject in _SUBJECTS:
            read = (_READ.get(clause.strip()) for clause in " ".join(words[size:]).split(","))
            found |= {Claim(subject, *one) for one in read if one is not None}
    return frozenset(found)


def normal(text: str) -> str:
    """Return a text in lower case with one space between words and marks."""
    return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))


class Captioner:
    """Captions with errors: of each claim, omitted with rate `omission`, else wrong with rate `hallucination`.

    What is omitted (or, for the same omission, wrong) at one rate is so at every higher one, by the same wrong claim:
    the draws depend on `seed` and the scene only, not on the rates or on which other clips are described. A claim that
    has no wrong version (`facts.wrong`) stays right. ValueError for rates outside [0, 1].
    """

    def __init__(self, hallucination: float = 0.0, omission: float = 0.0, *, seed: int) -> None:
        for name, rate in (("hallucination", hallucination), ("omission", omission)):
            if not 0 <= rate <= 1:
                raise ValueError(f"{name} is {rate}, expected a rate 0 <= {name} <= 1 of all claims")
        self.hallucination, self.omission, self.seed = hallucination, omission, seed

    def claims(self, scene: Scene) -> frozenset[Claim]:
        """Return what this captioner claims of a scene."""
        return self._claims(scene, self._rng(scene))

    def write(self, scenes: Iterable[Scene]) -> list[str]:
        """Return a caption for each scene, its things in an order that is drawn too."""
        out = []
        for scene in scenes:
            rng = self._rng(scene)
            claims = self._claims(scene, rng)
            out.append(write_caption(claims, rng))
        return out

    def _rng(self, scene: Scene) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(repr(scene).encode())])

    def _claims(self, scene: Scene, rng: np.random.Generator) -> frozenset[Claim]:
        right = sorted(claims_of(scene))
        draws = rng.random((len(right), 3)).tolist()
        out = set()
        for claim, (left_out, made_up, which) in zip(right, draws):
            if left_out < self.omission:
                continue
            others = wrong(claim, scene) if made_up < self.hallucination else ()
            out.add(others[int(which * len(others))] if others else claim)
        return frozenset(out)


@dataclass(frozen=True)
class CaptionCheck:
    """What is right, invented and missing in a caption; `coverage` is the share of the scene's claims that it has."""

    right: frozenset[Claim]
    invented: frozenset[Claim]
    missing: frozenset[Claim]

    @property
    def coverage(self) -> float:
        """Share of the scene's claims that the caption has."""
        return len(self.right) / max(1, len(self.right) + len(self.missing))

    @property
    def rating(self) -> int:
        """The rating of `evaluate_caption`, 0 to 6."""
        informative = (self.coverage >= SOME) + (self.coverage >= MUCH)
        if self.invented:
            return int(informative)
        return int(3 + informative + (self.coverage >= GOOD))


def check_caption(text: str, scene: Scene) -> CaptionCheck:
    """Return a caption's claims against a scene; of what is neither right nor contradicted nothing is counted."""
    said, true = read_caption(text), claims_of(scene)
    return CaptionCheck(
        said & true, frozenset(one for one in said - true if contradicts(one, scene)), true - said
    )


def evaluate_caption(text: str, scene: Scene) -> int:
    """Return a rating 0 to 6 (the scale of thesis figure 11.14; what its words mean in numbers is ours).

    Without invention 6, 5, 4 or 3, for at least 90%, 70%, 30% of the scene's claims, or less; with any invention 2, 1
    or 0, for at least 70%, 30%, or less.
    """
    return check_caption(text, scene).rating


def _place(relation: str) -> int:
    return list(CLAUSES).index(relation) if relation in CLAUSES else len(CLAUSES)


def words_in(texts: Sequence[str]) -> float:
    """Return the mean number of words and marks in texts, what the cost of a caption depends on; NaN without any."""
    return float(np.mean([len(normal(text).split()) for text in texts])) if len(texts) else float("nan")
