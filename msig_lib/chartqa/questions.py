"""Questions about charts that need several readings and arithmetic, word by word for a word-level tokeniser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from msig_lib.chartqa.data import GROUPS, Table, Tables
from msig_lib.chartqa.render import COLOURS, TOP
from msig_lib.chartqa.traces import ANSWER, CARRIES, write_trace

KINDS = tuple(CARRIES)  # with a trace: count, sum, total, compare, difference, second
BASE_KINDS = ("lookup", "caption")  # for the base model's training only: the answer is read off
TEXT_KINDS = ("add", "subtract", "running")  # for the base model's training only: without a chart
STYLE_KINDS = {
    "bars": ("count", "sum", "total", "difference", "second", *BASE_KINDS),
    "lines": ("count", "sum", "total", "difference", "second", *BASE_KINDS),
    # The second tallest of a grouped chart would need two words to name.
    "grouped": ("count", "sum", "total", "compare", "difference", *BASE_KINDS),
}
# Ours: eight of the values 1..9 leave two possible answers to these, so that half of them could be guessed.
MOST_MARKS = {"count": 7, "difference": 7}
TEXTS = {
    "count": "how many are above {0} ?",
    "sum": "what is {0} plus {1} ?",
    "total": "what is the total ?",
    "compare": "by how much do the totals of left and right differ ?",
    "difference": "what is the tallest minus the shortest ?",
    "second": "which is the second tallest ?",
    "lookup": "how tall is {0} ?",
    "caption": "describe the chart",
    "add": "what is {0} plus {1} ?",
    "subtract": "what is {0} minus {1} ?",
    "running": "running sums of {0}",
}
PROMPTS = {
    "direct": "short answer",
    "cot": "reason first",
}  # thesis 7.3 asks in two sentences; these are ours
LIMIT = 45  # the largest number: the sum of 1..9
THRESHOLDS = (3, 4, 5, 6)  # of "count": beyond these the threshold alone tells half of the answers
NUMBERS = tuple(str(i) for i in range(LIMIT + 1))
_WORDS = " ".join([*TEXTS.values(), *PROMPTS.values()]).split()
# Every word that a prompt, an answer or a trace of this module can have.
VOCABULARY: list[str] = [
    *NUMBERS,
    *COLOURS,
    *GROUPS,
    ANSWER,
    *dict.fromkeys(word for word in _WORDS if "{" not in word and word not in GROUPS),
]


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its answer and its right trace.

    `chart` is the row of the chart (-1: none), `kind` one of KINDS, BASE_KINDS, TEXT_KINDS; `trace` ("" but for
    KINDS) ends with the answer; `asked` is what the text was filled with.
    """

    chart: int
    kind: str
    text: str
    answer: str
    trace: str
    asked: tuple[str, ...] = ()

    def prompt(self, form: str) -> str:
        """Return the text with the request for a "direct" answer or for a trace ("cot"); KeyError for others."""
        return f"{self.text} {PROMPTS[form]}"

    def target(self, form: str) -> str:
        """Return the right response to `prompt(form)`; ValueError for "cot" when there is no trace."""
        if form == "cot" and not self.trace:
            raise ValueError(f"a question of kind {self.kind!r} has no trace: ask for 'direct'")
        return {"direct": self.answer, "cot": self.trace}[form]


def kinds_of(table: Table) -> tuple[str, ...]:
    """Return the kinds of question that can be asked about a chart."""
    return tuple(k for k in STYLE_KINDS[table.style] if len(table.values) <= MOST_MARKS.get(k, len(COLOURS)))


def solve(kind: str, table: Table, asked: Sequence[str] = ()) -> str:
    """Return the answer to a question about a table, by its definition; KeyError for an unknown kind."""
    return _SOLVED[kind](table, asked)


def _second(table: Table, _: Sequence[str]) -> str:
    return table.colours[sorted(range(len(table.values)), key=table.values.__getitem__)[-2]]


def _compare(table: Table, _: Sequence[str]) -> str:
    sides = [sum(v for v, g in zip(table.values, table.groups) if g == group) for group in GROUPS]
    return str(abs(sides[0] - sides[1]))


def _caption(table: Table, _: Sequence[str]) -> str:
    words: list[str] = []
    for k, (group, colour, value) in enumerate(zip(table.groups, table.colours, table.values)):
        words += [group] if group and (k == 0 or table.groups[k - 1] != group) else []
        words += [colour, str(value)]
    return " ".join(words)


_SOLVED: dict[str, Callable[[Table, Sequence[str]], str]] = {
    "count": lambda table, asked: str(sum(v > int(asked[0]) for v in table.values)),
    "sum": lambda table, asked: str(table.value(asked[0]) + table.value(asked[1])),
    "total": lambda table, _: str(sum(table.values)),
    "difference": lambda table, _: str(max(table.values) - min(table.values)),
    "compare": _compare,
    "second": _second,
    "lookup": lambda table, asked: str(table.value(asked[0])),
    "caption": _caption,
}


def make_question(kind: str, table: Table, asked: Sequence[str] = (), *, chart: int) -> Question:
    """Return one question about a chart, with its trace where its kind has one.

    `asked`: two names of marks for "sum", one for "lookup", a threshold for "count". Raises ValueError for a
    kind that is not one of `kinds_of(table)`, or the wrong number of `asked`.
    """
    if kind not in kinds_of(table):
        raise ValueError(
            f"{kind!r} cannot be asked of {table.style} with {len(table.values)} marks, only "
            f"{', '.join(kinds_of(table))}"
        )
    wanted = {"sum": 2, "lookup": 1, "count": 1}.get(kind, 0)
    if len(asked) != wanted or (wanted == 2 and asked[0] == asked[1]):
        raise ValueError(f"{kind!r} was asked with {list(asked)}, expected {wanted} different words or names")
    trace = write_trace(kind, table, asked) if kind in KINDS else ""
    return Question(chart, kind, TEXTS[kind].format(*asked), solve(kind, table, asked), trace, tuple(asked))


def ask(
    tables: Tables, n: int, kinds: Sequence[str] = KINDS, *, seed: int, balance: bool = True
) -> list[Question]:
    """Return n questions, as many of each kind (the first ones get what is left over), in random order.

    A chart is asked at most once for each kind. With `balance`, charts are preferred whose answer is rare among
    charts with as many marks (and, for a count, with the same threshold), so that neither the question nor the
    number of marks tells much; this works while a kind takes at most about half of the charts that have it.
    The same tables and seed give the same questions. Raises ValueError for kinds without a chart or when a kind
    has too few charts.
    """
    if isinstance(kinds, str) or not kinds or not set(kinds) <= {*KINDS, *BASE_KINDS}:
        raise ValueError(f"kinds is {kinds!r}, expected some of {', '.join((*KINDS, *BASE_KINDS))}")
    if n < 0:
        raise ValueError(f"{n} questions were asked for, expected 0 or more")
    all_tables = [tables[row] for row in range(len(tables))]
    out: list[Question] = []
    for i, kind in enumerate(kinds):
        wanted = n // len(kinds) + (i < n % len(kinds))
        rng = np.random.default_rng([seed, list(TEXTS).index(kind)])
        rows = [row for row, table in enumerate(all_tables) if kind in kinds_of(table)]
        if wanted > len(rows):
            raise ValueError(
                f"{wanted} questions of kind {kind!r} were asked for, but {len(rows)} of {len(tables)} charts "
                "have it: make more charts, or ask for fewer questions"
            )
        asked = _draw_asked(kind, [all_tables[row] for row in rows], rng)
        keys = [
            (
                len(all_tables[row].values),
                words if kind == "count" else (),
                solve(kind, all_tables[row], words),
            )
            for row, words in zip(rows, asked)
        ]
        often = Counter(keys) if balance and kind != "caption" else dict.fromkeys(keys, 1)
        # Weighted sampling without replacement (Efraimidis and Spirakis 2006), weights 1 / how often.
        order = np.log(1 - rng.random(len(rows))) * np.array([often[key] for key in keys], dtype=float)
        chosen = np.argsort(-order, kind="stable")[:wanted]
        out += [make_question(kind, all_tables[rows[c]], asked[c], chart=rows[c]) for c in chosen]
    shuffled = np.random.default_rng([seed, len(TEXTS)]).permutation(len(out))
    return [out[i] for i in shuffled]


def _draw_asked(kind: str, tables: Sequence[Table], rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Draw what a kind's text is filled with, for each table."""
    if kind == "count":
        return [(str(k),) for k in rng.choice(THRESHOLDS, size=len(tables))]
    if kind not in ("sum", "lookup"):
        return [()] * len(tables)
    first, other = rng.random((2, len(tables)))
    out = []
    for table, a, b in zip(tables, first, other):
        names = table.names
        i = int(a * len(names))
        j = (i + 1 + int(b * (len(names) - 1))) % len(names)
        out.append((names[i], names[j]) if kind == "sum" else (names[i],))
    return out


def arithmetic(n: int, kinds: Sequence[str] = TEXT_KINDS, *, seed: int) -> list[Question]:
    """Return n questions without a chart, each of a kind drawn at random; ValueError for other kinds.

    "add" has a result up to 45 and a second number of 1..9, "subtract" numbers up to 30, and "running" asks for
    each of two to eight different numbers of 1..9 and, after it, the sum so far, as traces do.
    """
    if isinstance(kinds, str) or not kinds or not set(kinds) <= set(TEXT_KINDS):
        raise ValueError(f"kinds is {kinds!r}, expected some of {', '.join(TEXT_KINDS)}")
    rng = np.random.default_rng(seed)
    out = []
    for kind in rng.choice(list(kinds), size=n).tolist():
        if kind == "running":
            digits = (rng.permutation(TOP)[: rng.integers(2, 9)] + 1).tolist()
            sums = np.cumsum(digits).tolist()
            asked = (" ".join(map(str, digits)),)
            answer = " ".join(f"{value} {total}" for value, total in zip(digits, sums))
        elif kind == "add":
            a, b = int(rng.integers(0, LIMIT - TOP + 1)), int(rng.integers(1, TOP + 1))
            asked, answer = (str(a), str(b)), str(a + b)
        else:
            b, a = sorted(rng.integers(0, 31, size=2).tolist())
            asked, answer = (str(a), str(b)), str(a - b)
        out.append(Question(-1, kind, TEXTS[kind].format(*asked), answer, "", asked))
    return out


def answer_statistics(questions: Sequence[Question]) -> pd.DataFrame:
    """Return one row per kind: how well the answer can be guessed, and how long the traces are.

    Columns: `kind`, `n`, `answers` (different ones), `best_constant` and `accuracy` (the most frequent answer
    and its share), `tokens_mean` and `tokens_max` (of the traces, in words; nan where there is none).
    """
    rows = []
    for kind in dict.fromkeys(question.kind for question in questions):
        of_kind = [question for question in questions if question.kind == kind]
        counts = Counter(question.answer for question in of_kind)
        best, times = counts.most_common(1)[0]
        words = [len(question.trace.split()) or float("nan") for question in of_kind]
        rows.append((kind, len(of_kind), len(counts), best, times / len(of_kind), np.mean(words), max(words)))
    columns = ["kind", "n", "answers", "best_constant", "accuracy", "tokens_mean", "tokens_max"]
    return pd.DataFrame(rows, columns=columns)
