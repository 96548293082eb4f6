"""Reasoning in words, and what is right in it: every token is checked against the chart's table.

A trace reads marks ("red 4", in a grouped chart "left red 4", the group once for all that follow), carries a
running count or sum after each where the question needs one ("red 4 4 blue 7 11"), draws what follows from
the readings ("tallest 7 shortest 4") and ends with the answer ("### 11"). Marks may be read in any order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msig_lib.chartqa.data import GROUPS, Table, Tables
from msig_lib.chartqa.render import COLOURS

if TYPE_CHECKING:
    from msig_lib.chartqa.questions import Question

ANSWER = "###"  # thesis 7.3: the answer comes after "### Answer:"
# Kinds of question with a trace; what is carried along while reading, and what is drawn at the end.
CARRIES = {"count": "count", "sum": "sum", "total": "sum", "compare": "sum", "difference": "", "second": ""}
DRAWS = {"difference": ("tallest", "shortest"), "second": ("tallest", "second")}
NUMBER = re.compile("0|[1-9][0-9]{0,2}")
ERRORS = ("malformed", "mark", "reading", "arithmetic", "missing", "answer")


@dataclass(frozen=True, slots=True)
class Step:
    """Tokens `start` to `stop` of a trace: a mark, something drawn from the readings, or the answer.

    `error` is "" when the step is right given what the trace said before; else one of ERRORS, and `token` is
    the place of the first token that is wrong (-1 when none is).
    """

    start: int
    stop: int
    error: str
    token: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `check_trace` found: the steps, whether the trace could not be read to its end, the words after the
    last "###" (None without one), and whether they are the right answer."""

    steps: tuple[Step, ...]
    malformed: bool
    answer: str | None
    answer_right: bool

    @property
    def first_wrong(self) -> int | None:
        """The number of the first wrong step, None when all are right."""
        return next((i for i, step in enumerate(self.steps) if step.error), None)

    @property
    def token(self) -> int | None:
        """The place of the first wrong token, None when all are right; the length of the trace when it stops early."""
        return next((step.token for step in self.steps if step.error), None)

    @property
    def error(self) -> str:
        """What is wrong with the first wrong step, one of ERRORS; "" when all are right."""
        return next((step.error for step in self.steps if step.error), "")

    @property
    def right(self) -> bool:
        """Whether every step is right, the answer included."""
        return self.first_wrong is None


def extract_answer(text: str) -> str | None:
    """Return the words after the last "###", None without one (the thesis's rule-based extraction, 12.2)."""
    _, mark, after = text.rpartition(ANSWER)
    return " ".join(after.split()) if mark else None


def write_trace(kind: str, table: Table, asked: Sequence[str]) -> str:
    """Return the right trace of a question, reading the marks from left to right; ValueError for other kinds.

    `asked`: the two marks of a "sum" in their order, the threshold of a "count".
    """
    if kind not in CARRIES:
        raise ValueError(f"no trace for questions of kind {kind!r}, only for {', '.join(CARRIES)}")
    names = asked if kind == "sum" else table.names
    words: list[str] = []
    group, carried, totals = "", 0, dict.fromkeys(GROUPS, 0)
    for name in names:
        *of, colour = name.split()
        value = table.value(name)
        if of and of[0] != group:
            group = of[0]
            words.append(group)
            carried = 0 if kind == "compare" else carried
        words += [colour, str(value)]
        if CARRIES[kind]:
            carried += value if CARRIES[kind] == "sum" else int(value > int(asked[0]))
            words.append(str(carried))
        totals[group] = carried
    ranked = sorted(table.values)
    if kind in DRAWS:
        low = ranked[0] if kind == "difference" else ranked[-2]
        words += [DRAWS[kind][0], str(ranked[-1]), DRAWS[kind][1], str(low)]
    answer = {
        "difference": ranked[-1] - ranked[0],
        "second": table.colours[table.values.index(ranked[-2])],
        "compare": abs(totals[GROUPS[0]] - totals[GROUPS[1]]),
    }.get(kind, carried)
    return " ".join([*words, ANSWER, str(answer)])


def check_trace(text: str, table: Table, question: Question) -> Verdict:
    """Compare every step of a trace with the table, given what the trace itself said before.

    A step after a wrong one is judged by what the trace claimed: "red 5 5 blue 7 12" has one wrong step when
    red is 4. A mark is wrong when the chart has none of that name, it was read before, or it was not asked for;
    a group when it has no mark left to read. What is drawn and the answer are "missing" marks when not all that
    count were read, and so is the second group of a comparison. A trace is malformed from the first token that
    is not of the kind that can come there (a word for a number, no group where one is needed, the same group
    named again, something after the answer), or where it stops early; nothing after that is judged. The first
    wrong token is therefore the first after which no right trace goes on. Raises ValueError for a question
    whose kind has no trace.
    """
    if question.kind not in CARRIES:
        raise ValueError(f"no trace for questions of kind {question.kind!r}, only for {', '.join(CARRIES)}")
    reader = _Reader(text.split(), table, question.kind, question.asked)
    malformed = reader.read()
    answer = extract_answer(text)
    return Verdict(tuple(reader.steps), malformed, answer, answer == question.answer)


def check_traces(texts: Sequence[str], questions: Sequence[Question], tables: Tables) -> list[Verdict]:
    """Return the verdict on each text, the trace for the question of the same row; repeated ones are checked once."""
    if len(texts) != len(questions):
        raise ValueError(f"{len(texts)} traces for {len(questions)} questions, expected one question a trace")
    rows: dict[int, Table] = {}
    known: dict[tuple[str, int, str, tuple[str, ...]], Verdict] = {}
    out = []
    for text, question in zip(texts, questions):
        key = (text, question.chart, question.kind, question.asked)
        if key not in known:
            if question.chart not in rows:
                rows[question.chart] = tables[question.chart]
            known[key] = check_trace(text, rows[question.chart], question)
        out.append(known[key])
    return out


def trace_report(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Return shares of verdicts: answers and whole traces right, false positives, and first errors of each kind.

    "false_positive" is the share, among traces with the right answer, of those with a wrong step (nan without
    any); the others are of all traces. ValueError without verdicts.
    """
    if not verdicts:
        raise ValueError("no verdicts, expected one or more")
    n, right = len(verdicts), sum(v.answer_right for v in verdicts)
    lucky = sum(v.answer_right and not v.right for v in verdicts)
    errors = Counter(v.error for v in verdicts)
    return {
        "answer_right": right / n,
        "trace_right": errors[""] / n,
        "false_positive": lucky / right if right else float("nan"),
        **{name: errors[name] / n for name in ERRORS},
    }


class _Malformed(Exception):
    """The token at the reader's place is of the wrong kind."""


class _Reader:
    """Reads one trace; what it collects is what the trace itself claims."""

    def __init__(self, tokens: list[str], table: Table, kind: str, asked: Sequence[str]):
        self.tokens, self.kind, self.table = tokens, kind, table
        self.threshold = int(asked[0]) if kind == "count" else 0
        self.values = dict(zip(table.names, table.values))
        self.wanted = set(asked) if kind == "sum" else set(self.values)
        self.grouped = table.style == "grouped"
        self.at = 0
        self.group = ""
        self.carried = 0  # the running count or sum, as claimed
        self.totals = dict.fromkeys(GROUPS, 0)  # of "compare", as claimed
        self.read_marks: dict[str, int] = {}  # the readings, as claimed
        self.drawn: list[int] = []
        self.steps: list[Step] = []
        self.error, self.token = "", -1  # of the current step

    def read(self) -> bool:
        """Fill `steps`, up to the end or the first malformed one; return whether one is malformed."""
        answered = False
        while not answered or self.at < len(self.tokens):
            start, self.error, self.token = self.at, "", -1
            try:
                answered = self._step(answered)
            except _Malformed:
                if not self.error:  # else an earlier token of the step is wrong already
                    self.error, self.token = "malformed", self.at
                self.steps.append(Step(start, len(self.tokens), self.error, self.token))
                return True
            self.steps.append(Step(start, self.at, self.error, self.token))
        return False

    def _step(self, answered: bool) -> bool:
        """Read one step, chosen by its first word; return whether it is the answer."""
        if answered:
            raise _Malformed
        left = DRAWS.get(self.kind, ())[len(self.drawn) :]
        opening = left[0] if left else ANSWER
        if self._peek() != opening and not self.drawn:
            self._mark()
            return False
        self._next(self._peek() == opening)
        if not self.wanted <= set(self.read_marks):
            self._wrong("missing")
        self._draw(opening) if left else self._answer()
        return not left

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _next(self, fits: bool) -> str:
        if not fits:
            raise _Malformed
        self.at += 1
        return self.tokens[self.at - 1]

    def _number(self) -> int:
        return int(self._next(NUMBER.fullmatch(self._peek()) is not None))

    def _wrong(self, error: str) -> None:
        """Note what is wrong with the token just read, unless an earlier one of this step was."""
        if not self.error:
            self.error, self.token = error, self.at - 1

    def _mark(self) -> None:
        if self.grouped and (self.group == "" or self._peek() in GROUPS):
            self._turn(self._next(self._peek() in GROUPS and self._peek() != self.group))
        name = f"{self.group} {self._next(self._peek() in COLOURS)}".lstrip()
        if name in self.read_marks or name not in self.wanted:
            self._wrong("mark")
        value = self._number()
        if value != self.values.get(name, value):
            self._wrong("reading")
        self.read_marks[name] = value
        if carries := CARRIES[self.kind]:
            expected = self.carried + (value if carries == "sum" else int(value > self.threshold))
            self.carried = self._number()
            if self.carried != expected:
                self._wrong("arithmetic")
        if self.group:
            self.totals[self.group] = self.carried

    def _turn(self, group: str) -> None:
        """Go on to a group that has marks to read; a comparison ends the one before, complete, and sums from 0."""
        left = [name.split()[0] for name in self.wanted - set(self.read_marks)]
        if self.kind == "compare":
            if self.group in left:
                self._wrong("missing")
            self.carried = 0
        if group not in left:
            self._wrong("mark")
        self.group = group

    def _draw(self, word: str) -> None:
        value = self._number()
        ranked = sorted(self.read_marks.values(), reverse=True)
        place = {"tallest": 0, "second": 1, "shortest": len(ranked) - 1}[word]
        if not 0 <= place < len(ranked) or value != ranked[place]:
            self._wrong("arithmetic")
        self.drawn.append(value)

    def _answer(self) -> None:
        if self.kind == "second":
            colour = self._next(self._peek() in COLOURS)
            if self.read_marks.get(colour) != self.drawn[1]:
                self._wrong("answer")
            return
        expected = self.carried
        if self.kind == "difference":
            expected = self.drawn[0] - self.drawn[1]
        elif self.kind == "compare":
            expected = abs(self.totals[GROUPS[0]] - self.totals[GROUPS[1]])
        if self._number() != expected:
            self._wrong("answer")
