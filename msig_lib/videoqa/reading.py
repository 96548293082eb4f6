"""What a question about a clip asks, and the rubric 1 to 5 of an answer against the right one (thesis 11.15)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msig_lib.videoqa.captions import normal
from msig_lib.videoqa.data import BACKGROUNDS, COLOURS, PATHS, SHAPES, SIZES, SPEEDS, VERBS
from msig_lib.videoqa.facts import SIDES
from msig_lib.videoqa.questions import TEXTS

_NUMBERS = {
    "zero": "0",
    "none": "0",
    "never": "0",
    "once": "1",
    "one": "1",
    "twice": "2",
    "two": "2",
    "three": "3",
}
# What kind of thing a word says; words that are not here say nothing ("it", "the", "to").
_KIND: dict[str, str] = {
    **dict.fromkeys((*PATHS, *SIDES), "way"),
    **dict.fromkeys(BACKGROUNDS, "background"),
    **dict.fromkeys(COLOURS, "colour"),
    **dict.fromkeys(SHAPES, "shape"),
    **dict.fromkeys(SIZES, "size"),
    **dict.fromkeys(SPEEDS, "speed"),
    **dict.fromkeys(VERBS.values(), "verb"),
    **dict.fromkeys("0123456789", "number"),
}
_QUESTIONS = {
    kind: re.compile(re.escape(text).replace(r"\{0\}", "(.+?)").replace(r"\{1\}", "(.+?)"))
    for kind, text in TEXTS.items()
}


def read_question(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the kind of a question and what it names, None for one in other words than `questions.TEXTS`.

    >>> read_question("Which is faster, red circle or blue square?")
    ('faster', ('red circle', 'blue square'))
    """
    line = normal(text)
    for kind, pattern in _QUESTIONS.items():
        if found := pattern.fullmatch(line):
            return kind, found.groups()
    return None


def content(text: str) -> tuple[str, ...]:
    """Return the words of an answer that say something, numbers as digits, up to "before" or "than".

    >>> content("The red circle bounces twice, before the blue one.")
    ('red', 'circle', 'bounces', '2')
    """
    words: list[str] = []
    for word in normal(text).split():
        if word in ("before", "than"):
            break
        words.append(_NUMBERS.get(word, word))
    return tuple(word for word in words if word in _KIND)


def grade(answer: str, right: str, options: Iterable[str] = (), *, ordered: bool = True) -> tuple[int, str]:
    """Return a score 1 to 5 for an answer against the right one, and why.

    5: it says just that, in whatever other words.
    4: it says that more than once, or with something of another kind than asked (the speed, say).
    3: part of it and nothing else ("green" for "red to green"), unless that is part of another of `options`, what
       the question lets choose from, as well.
    2: it says something of the asked kind, but wrong; or the right thing and a rival ("left or right").
    1: nothing that answers.

    Without `ordered`, words count in any order. A right answer without a word of the world ("the dog") has to be
    said word by word.
    """
    given, wanted = content(answer), content(right)
    if not wanted:
        same = bool(normal(right)) and normal(answer) == normal(right)
        return (5, "right") if same else (1, f"not {right}")
    if not given:
        return 1, "says nothing that answers"
    if not ordered:
        given, wanted = tuple(sorted(given)), tuple(sorted(wanted))
    if given == wanted:
        return 5, "right"
    kinds = {_KIND[word] for word in wanted}
    same_kind = tuple(word for word in given if _KIND[word] in kinds)
    times = len(same_kind) // len(wanted)
    if times and same_kind == wanted * times:
        return 4, "right, and says more than asked"
    if len(given) < len(wanted) and _within(given, wanted):
        others = [content(one) for one in options]
        if any(_within(given, other) for other in others if sorted(other) != sorted(wanted)):
            return 2, f"could be {right} or another"
        return 3, "right, but incomplete"
    if same_kind:
        return 2, f"wrong, it is {right}"
    return 1, "beside the question"


def _within(part: Sequence[str], whole: Sequence[str]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in part)
