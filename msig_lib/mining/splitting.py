"""Split a text into sentences by rules, for English and what is written like it."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Never the end of a sentence: a name, or an example, follows.
BEFORE_MORE = frozenset(
    "mr mrs ms mx messrs dr prof rev hon pres gov sen rep gen adm col capt cmdr lt maj sgt cpl pvt "
    "mme mlle e.g i.e eg ie cf vs v viz ca approx resp incl".split()
)
# No end before a number.
BEFORE_NUMBER = frozenset(
    "no nos nr fig figs eq eqs sec secs ch chap vol vols p pp art ref refs tab app ed para "
    "jan feb mar apr jun jul aug sep sept oct nov dec c".split()
)
# An end only where the next word is one that sentences begin with: names go on after these.
MAY_END = frozenset(
    "st mt ft inc ltd co corp bros dept univ assn al jr sr esq ph.d m.sc b.sc d.c ave blvd rd".split()
)
STARTERS = frozenset(
    "the a an this that these those it its he she they we you i his her their our my there here in on at by for from "
    "with under over between as after before when while once until if unless although though because since during "
    "despite however moreover therefore thus instead but and or nor yet then also both each every some many most "
    "several all no not nobody nothing one two three another other others such what who whose which where why how is "
    "are was were do does did has have had can could would should must today later now only even perhaps to of".split()
)

# Marks that may end a sentence, what closes with them (quotes, brackets, notes: [1]), then a space; those of
# Chinese and Japanese need none. Every run is tried once from its start, so that the time is linear.
END = re.compile(
    r"(?<![.!?…؟।])[.!?…؟।]++(?:\[[^\[\]]{1,40}\]|[\"'”’»)\]])*+(?= )|(?<![。！？])[。！？]++[」』”’）]*+(?!$)"
)
NEXT = re.compile(r" ?[\"'“‘«„(\[¿¡*_–—-]*+ ?(\w+)?(\.)?")
INITIALS = re.compile(r"(?:\w\.-?)*+[^\W\d_]")  # J, J.R.R, J.-P, U.S, p.m
LABEL = re.compile(r"\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5}")  # of a list's item: "1. The", "b. The", "iv. The"
BULLET = re.compile(r"(?:[-*•–]|\d{1,2}[.)])\s")
HEADING = 0.5  # ours: a line shorter than this share of the longest ends a sentence before a capital letter


def split_sentences(text: str) -> list[str]:
    """Return the sentences of `text` in order; a run of white space in them is one space, and nothing else is lost.

    Known are abbreviations, initials, decimals, numbers of a list, closing quotes, brackets and footnotes. A blank
    line ends a sentence, and so do a line before an item of a list and a heading; any other line end is a space.
    Where a case decides, a text without capital letters is taken as having none to go by. Rules err: after "Inc."
    or "p.m." a sentence ends only if the next word is one that sentences often begin with.

    >>> split_sentences('Dr. J. Ames paid 3.5 million. "Why?" he was asked. In the U.S. Army? No.')
    ['Dr. J. Ames paid 3.5 million.', '"Why?" he was asked.', 'In the U.S. Army?', 'No.']
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}, expected a string")
    cased = text != text.lower()
    return [sentence for block in _blocks(text) for sentence in _sentences(block, cased)]


def _blocks(text: str) -> Iterator[str]:
    """Yield parts that no sentence crosses, each on one line."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    longest = max(map(len, lines), default=0)
    block: list[str] = []
    for line, after in zip(lines, [*lines[1:], ""]):
        if line:
            block.append(line)
        heading = len(line) < HEADING * longest and after[:1].isupper()
        if block and (not after or heading or BULLET.match(after)):
            yield " ".join(block)
            block = []


def _sentences(block: str, cased: bool) -> Iterator[str]:
    start = 0
    for end in END.finditer(block):
        if _ends(block, start, end, cased):
            yield block[start : end.end()]
            start = end.end() + block.startswith(" ", end.end())
    yield block[start:]


def _ends(block: str, start: int, end: re.Match[str], cased: bool) -> bool:
    """Return whether the marks `end` close the sentence that begins at `start`."""
    if end[0][0] in "。！？":
        return True
    following, point = NEXT.match(block, end.end()).groups()  # type: ignore[union-attr]  # it matches anywhere
    following = following or ""
    if cased and following[:1].islower():
        return False
    if end[0] != ".":
        return True
    place = max(start, block.rfind(" ", start, end.start()) + 1)
    word = block[place : end.start()].lstrip("\"'“‘«„([*_")
    known = word.casefold()
    if known in BEFORE_MORE or (place == start and LABEL.fullmatch(word)):
        return False
    if known in BEFORE_NUMBER and following[:1].isdigit():
        return False
    if known in MAY_END or (INITIALS.fullmatch(word) and (word.isupper() or "." in word)):
        return following.casefold() in STARTERS and not (point and len(following) == 1)
    return True
