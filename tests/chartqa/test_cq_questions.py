from collections import Counter

import numpy as np
import pytest

from msig_lib.chartqa.data import SHIFTED, ChartSettings, Table, draw_tables
from msig_lib.chartqa.questions import (
    BASE_KINDS,
    KINDS,
    LIMIT,
    PROMPTS,
    TEXT_KINDS,
    TEXTS,
    VOCABULARY,
    Question,
    answer_statistics,
    arithmetic,
    ask,
    kinds_of,
    make_question,
    solve,
)
from msig_lib.chartqa.render import COLOURS, STYLES
from msig_lib.lm.decoder import build_tokenizer

TABLES = draw_tables(4000, ChartSettings(), np.random.default_rng(0))
SHIFTED_TABLES = draw_tables(2000, SHIFTED, np.random.default_rng(1))


def column(name):
    """The colour and the group of a mark's name, as numbers."""
    *group, colour = name.split()
    return COLOURS.index(colour), int(group == ["right"])


def by_arrays(tables, question):
    """The answer, computed a second time and from the arrays."""
    row = question.chart
    there = tables.colours[row] >= 0
    values, groups = tables.values[row][there].astype(int), tables.groups[row][there]

    def named(name):
        colour, group = column(name)
        (place,) = np.flatnonzero((tables.colours[row] == colour) & (tables.groups[row] == group))
        return int(tables.values[row, place])

    match question.kind:
        case "count":
            return str((values > int(question.asked[0])).sum())
        case "sum" | "lookup":
            return str(sum(map(named, question.asked)))
        case "total":
            return str(values.sum())
        case "difference":
            return str(np.ptp(values))
        case "second":
            return COLOURS[tables.colours[row, np.argsort(values)[-2]]]
        case "compare":
            return str(abs(values[groups == 0].sum() - values[groups == 1].sum()))


@pytest.mark.parametrize("tables", [TABLES, SHIFTED_TABLES])
def test_answers_agree_with_the_arrays(tables):
    questions = ask(tables, 900, (*KINDS, "lookup"), seed=2)
    assert {q.kind for q in questions} == {*KINDS, "lookup"}
    for question in questions:
        assert question.answer == by_arrays(tables, question)
        assert question.text == TEXTS[question.kind].format(*question.asked)
        assert (question.trace != "") == (question.kind in KINDS)


def test_a_caption_lists_the_chart():
    bars = Table("bars", ("red", "blue"), ("", ""), (4, 7))
    grouped = Table(
        "grouped", ("red", "blue", "red", "blue"), ("left", "left", "right", "right"), (4, 7, 1, 9)
    )
    assert solve("caption", bars) == "red 4 blue 7"
    assert solve("caption", grouped) == "left red 4 blue 7 right red 1 blue 9"


def test_every_word_is_one_token_of_the_vocabulary():
    assert 80 <= len(VOCABULARY) <= 100 and len(set(VOCABULARY)) == len(VOCABULARY)
    tokenizer = build_tokenizer([" ".join(VOCABULARY)])
    assert len(tokenizer) == len(VOCABULARY) + 4
    questions = [
        *ask(TABLES, 600, (*KINDS, *BASE_KINDS), seed=0),
        *ask(SHIFTED_TABLES, 600, (*KINDS, *BASE_KINDS), seed=0),
        *arithmetic(600, seed=0),
    ]
    used = set()
    for question in questions:
        for form in PROMPTS:
            if form == "cot" and not question.trace:
                continue
            for text in (question.prompt(form), question.target(form)):
                ids = tokenizer(text)["input_ids"][1:]
                assert len(ids) == len(text.split()) and tokenizer.unk_token_id not in ids
                used.update(text.split())
    assert set(VOCABULARY) - used <= {"0", "44", "45"}  # nothing that is never said
    assert max(len(q.trace.split()) for q in questions[:600]) <= 24


def test_questions_are_spread_over_kinds_and_charts_and_follow_the_seed():
    questions = ask(TABLES, 1003, seed=4)
    assert ask(TABLES, 1003, seed=4) == questions != ask(TABLES, 1003, seed=5)
    counts = Counter(q.kind for q in questions)
    assert [counts[kind] for kind in KINDS] == [168] + [167] * 5
    assert max(Counter((q.chart, q.kind) for q in questions).values()) == 1
    assert [q.kind for q in questions[:200]] != sorted(q.kind for q in questions[:200])
    styles = {kind: {STYLES[TABLES.style[q.chart]] for q in questions if q.kind == kind} for kind in KINDS}
    assert styles["compare"] == {"grouped"} and styles["second"] == {"bars", "lines"}
    assert all(styles[kind] == set(STYLES) for kind in ("count", "sum", "total", "difference"))
    assert [q for q in questions if q.kind == "sum"] == _unordered(
        ask(TABLES, 167, ("sum",), seed=4), questions
    )


def _unordered(some, like):
    place = {question: i for i, question in enumerate(like)}
    return sorted(some, key=place.__getitem__)


@pytest.mark.parametrize(("tables", "limit"), [(TABLES, 0.35), (SHIFTED_TABLES, 0.5)])
def test_no_answer_can_be_guessed_from_the_question_and_the_number_of_marks(tables, limit):
    questions = ask(tables, 1800 if limit < 0.5 else 600, seed=6)
    for kind in KINDS:
        seen = {}
        for question in questions:
            if question.kind == kind:
                key = (question.asked if kind == "count" else (), tables.count[question.chart])
                seen.setdefault(key, Counter())[question.answer] += 1
        best = sum(max(counts.values()) for counts in seen.values())
        assert best / sum(sum(counts.values()) for counts in seen.values()) < limit, kind


def test_balance_makes_the_best_constant_answer_worse():
    even, plain = (
        answer_statistics(ask(TABLES, 1800, seed=7, balance=b)).set_index("kind") for b in (True, False)
    )
    assert (even.accuracy < 0.3).all()
    for kind in ("difference", "sum", "compare"):  # the others are spread or depend on the threshold
        assert even.accuracy[kind] < 0.85 * plain.accuracy[kind]


def test_half_guessable_questions_are_not_asked():
    eight = next(
        t for t in map(SHIFTED_TABLES.__getitem__, range(99)) if t.style == "bars" and len(t.values) == 8
    )
    assert not {"count", "difference"} & set(kinds_of(eight)) and "total" in kinds_of(eight)
    with pytest.raises(ValueError, match="'count' cannot be asked of bars with 8 marks, only sum, total"):
        make_question("count", eight, ("4",), chart=0)


def test_arithmetic_is_right_and_within_the_vocabulary():
    questions = arithmetic(2000, seed=8)
    assert questions == arithmetic(2000, seed=8) and {q.kind for q in questions} == set(TEXT_KINDS)
    for question in questions:
        words = question.text.split()
        numbers = [int(word) for word in words if word.isdigit()]
        if question.kind == "running":
            pairs = np.array(question.answer.split(), dtype=int).reshape(-1, 2)
            assert pairs[:, 0].tolist() == numbers and pairs[:, 1].tolist() == np.cumsum(numbers).tolist()
            assert 2 <= len(set(numbers)) == len(numbers) <= 8
        else:
            a, b = numbers
            assert int(question.answer) == (a + b if question.kind == "add" else a - b)
            assert words[3] == ("plus" if question.kind == "add" else "minus")
        assert all(0 <= int(word) <= LIMIT for word in question.answer.split())
        assert question.chart == -1 and question.trace == ""
    assert {q.kind for q in arithmetic(50, ("add",), seed=0)} == {"add"}


def test_statistics_of_answers():
    made = [Question(0, "total", "", a, t) for a, t in [("3", "a b"), ("3", "a b c d"), ("4", "a b c")]]
    made.append(Question(0, "lookup", "", "7", ""))
    table = answer_statistics(made).set_index("kind")
    assert table.loc["total", ["n", "answers", "best_constant"]].tolist() == [3, 2, "3"]
    assert table.accuracy["total"] == pytest.approx(2 / 3) and table.accuracy["lookup"] == 1
    assert (
        table.tokens_mean["total"] == 3
        and table.tokens_max["total"] == 4
        and np.isnan(table.tokens_max["lookup"])
    )


def test_prompts_and_targets():
    question = make_question("lookup", Table("lines", ("red", "blue"), ("", ""), (4, 7)), ("blue",), chart=5)
    assert question.prompt("direct") == "how tall is blue ? short answer" and question.target("direct") == "7"
    with pytest.raises(ValueError, match="'lookup' has no trace"):
        question.target("cot")
    with pytest.raises(KeyError):
        question.prompt("long")
    total = make_question("total", Table("lines", ("red", "blue"), ("", ""), (4, 7)), chart=5)
    assert total.prompt("cot").endswith("reason first") and total.target("cot") == "red 4 4 blue 7 11 ### 11"


def test_mistakes_are_told():
    bars = Table("bars", ("red", "blue"), ("", ""), (4, 7))
    with pytest.raises(ValueError, match="'compare' cannot be asked of bars"):
        make_question("compare", bars, chart=0)
    for kind, asked in (("sum", ("red",)), ("sum", ("red", "red")), ("count", ()), ("total", ("red",))):
        with pytest.raises(ValueError, match=f"'{kind}' was asked with"):
            make_question(kind, bars, asked, chart=0)
    with pytest.raises(KeyError, match="no mark is called 'green'"):
        make_question("lookup", bars, ("green",), chart=0)
    for kinds in ("total", (), ("add",), ("total", "parity")):
        with pytest.raises(ValueError, match="expected some of count"):
            ask(TABLES, 10, kinds, seed=0)
    with pytest.raises(ValueError, match="9000 questions of kind 'total' were asked for, but 4000 of 4000"):
        ask(TABLES, 9000, ("total",), seed=0)
    with pytest.raises(ValueError, match="-1 questions"):
        ask(TABLES, -1, seed=0)
    with pytest.raises(ValueError, match="expected some of add, subtract, running"):
        arithmetic(3, ("times",), seed=0)
    assert ask(TABLES, 0, seed=0) == [] == arithmetic(0, seed=0)
