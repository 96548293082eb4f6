import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.chartqa.data import SHIFTED, ChartSettings, Table, draw_tables
from msig_lib.chartqa.questions import KINDS, VOCABULARY, ask, make_question, solve
from msig_lib.chartqa.render import COLOURS
from msig_lib.chartqa.traces import (
    ERRORS,
    check_trace,
    check_traces,
    extract_answer,
    trace_report,
    write_trace,
)

BARS = Table("bars", ("red", "blue", "green"), ("", "", ""), (4, 7, 2))
GROUPED = Table("grouped", ("red", "blue", "red", "blue"), ("left", "left", "right", "right"), (4, 7, 1, 9))
ASKED = {"count": ("3",), "sum": ("blue", "red")}
RIGHT = {
    "count": "red 4 1 blue 7 2 green 2 2 ### 2",
    "sum": "blue 7 7 red 4 11 ### 11",
    "total": "red 4 4 blue 7 11 green 2 13 ### 13",
    "difference": "red 4 blue 7 green 2 tallest 7 shortest 2 ### 5",
    "second": "red 4 blue 7 green 2 tallest 7 second 4 ### red",
}


def question(kind, table=BARS, asked=None):
    return make_question(kind, table, ASKED.get(kind, ()) if asked is None else asked, chart=0)


def verdict(text, kind, table=BARS, asked=None):
    return check_trace(text, table, question(kind, table, asked))


def everything(part, n=400, seed=0):
    tables = draw_tables(2 * n, part, np.random.default_rng(seed))
    return tables, ask(tables, n, seed=seed)


def test_traces_are_written_as_documented():
    for kind, text in RIGHT.items():
        assert question(kind).trace == text
    grouped = "left red 4 4 blue 7 11 right red 1 1 blue 9 10 ### 1"
    assert question("compare", GROUPED).trace == grouped
    assert question("total", GROUPED).trace == "left red 4 4 blue 7 11 right red 1 12 blue 9 21 ### 21"
    assert question("sum", GROUPED, ("left red", "left blue")).trace == "left red 4 4 blue 7 11 ### 11"
    assert question("sum", GROUPED, ("left red", "right red")).trace == "left red 4 4 right red 1 5 ### 5"


@pytest.mark.parametrize("part", [ChartSettings(), SHIFTED, ChartSettings(marks=(2, 4))])
def test_every_written_trace_is_right_and_ends_with_the_answer(part):
    tables, questions = everything(part, 300)
    for asked, found in zip(questions, check_traces([q.trace for q in questions], questions, tables)):
        assert found.right and found.answer_right and not found.malformed and found.error == ""
        assert found.first_wrong is None and found.token is None
        assert found.answer == asked.answer == solve(asked.kind, tables[asked.chart], asked.asked)
        starts, stops = [s.start for s in found.steps], [s.stop for s in found.steps]
        assert starts == [0, *stops[:-1]] and stops[-1] == len(asked.trace.split())
    assert {q.kind for q in questions} == set(KINDS)


TABLES, QUESTIONS = everything(ChartSettings(), 240, seed=1)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_any_wrong_token_is_found_in_its_step(data):
    asked = data.draw(st.sampled_from(QUESTIONS))
    tokens = asked.trace.split()
    place = data.draw(st.integers(0, len(tokens) - 1))
    new = data.draw(st.sampled_from([word for word in VOCABULARY if word != tokens[place]]))
    old = tokens[place]
    table = TABLES[asked.chart]
    step = next(
        i for i, s in enumerate(check_trace(asked.trace, table, asked).steps) if s.start <= place < s.stop
    )
    tokens[place] = new
    found = check_trace(" ".join(tokens), table, asked)
    assert not found.right and found.first_wrong == step
    # Marks may be read in any order: another colour or group is wrong only once its value (or, for a group, the
    # missing colour) is read, one or two tokens on and in the same step. Everything else is wrong where it stands.
    later = 2 if "left" in (old, new) or "right" in (old, new) else 1 if old in COLOURS else 0
    assert place <= found.token <= place + later
    assert found.answer_right == (extract_answer(" ".join(tokens)) == asked.answer)


def orders(kind, table, asked):
    """Every order in which the marks of a question may be read."""
    names = asked if kind == "sum" else table.names
    for order in itertools.permutations(names):
        sides = [name.split()[0] for name in order]
        if kind != "compare" or sum(a != b for a, b in itertools.pairwise(sides)) == 1:
            yield order


@cache
def right_traces(kind, table, asked):
    """All right traces, written out here a second time."""
    out = []
    for order in orders(kind, table, asked):
        words, side, carried, sums = [], None, 0, {}
        for name in order:
            value = dict(zip(table.names, table.values))[name]
            parts = name.split()
            if len(parts) == 2:
                if parts[0] != side:
                    words.append(parts[0])
                    carried = 0 if kind == "compare" else carried
                side = parts[0]
            words += [parts[-1], str(value)]
            if kind == "count":
                carried += value > int(asked[0])
            else:
                carried += value
            sums[side] = carried
            if kind not in ("difference", "second"):
                words.append(str(int(carried)))
        if kind == "difference":
            words += f"tallest {max(table.values)} shortest {min(table.values)}".split()
        if kind == "second":
            words += f"tallest {max(table.values)} second {sorted(table.values)[-2]}".split()
        out.append([*words, "###", solve(kind, table, asked)])
    return out


@settings(max_examples=800, deadline=None)
@given(st.data())
def test_the_first_wrong_token_is_where_no_right_trace_goes_on(data):
    """Against a list of all right traces: the first token after which none of them fits any more."""
    table = data.draw(st.sampled_from([BARS, GROUPED]))
    kinds = [
        k
        for k in KINDS
        if not (table is BARS and k == "compare") and not (table is GROUPED and k == "second")
    ]
    kind = data.draw(st.sampled_from(kinds))
    pairs = st.sampled_from(list(itertools.permutations(table.names, 2)))
    asked = ("3",) if kind == "count" else data.draw(pairs) if kind == "sum" else ()
    right = right_traces(kind, table, asked)
    tokens = list(data.draw(st.sampled_from(right)))
    words = ["red", "blue", "green", "left", "right", "###", "tallest", "shortest", "second", "how", "04"]
    for _ in range(data.draw(st.integers(0, 3))):
        change = data.draw(st.sampled_from(["put", "cut", "add", "swap", "stop"]))
        i = data.draw(st.integers(0, max(len(tokens) - 1, 0)))
        word = data.draw(st.sampled_from([*words, *map(str, range(14)), *tokens]))
        if change == "put":
            tokens[i : i + 1] = [word]
        elif change == "cut":
            del tokens[i : i + 1]
        elif change == "add":
            tokens.insert(i, word)
        elif change == "stop":
            del tokens[i:]
        else:
            j = data.draw(st.integers(0, max(len(tokens) - 1, 0)))
            tokens[i : i + 1], tokens[j : j + 1] = tokens[j : j + 1], tokens[i : i + 1]
    found = verdict(" ".join(tokens), kind, table, asked)
    if tokens in right:
        assert found.right and found.answer_right
        return
    fitting = max(
        next((i for i, (a, b) in enumerate(zip(tokens, trace)) if a != b), min(len(tokens), len(trace)))
        for trace in right
    )
    assert not found.right and found.token == fitting
    assert found.steps[found.first_wrong].start <= fitting
    assert found.error in ERRORS and all(s.error in ("", *ERRORS) for s in found.steps)
    assert [s.start for s in found.steps][1:] == [s.stop for s in found.steps][:-1]
    assert found.steps[-1].stop == len(tokens)


@pytest.mark.parametrize(
    ("kind", "text", "step", "token", "error", "malformed"),
    [
        ("total", "blue 7 7 green 2 9 red 4 13 ### 13", None, None, "", False),  # another order
        ("total", "red 5 5 blue 7 12 green 2 14 ### 14", 0, 1, "reading", False),
        ("total", "red 4 4 blue 7 12 green 2 14 ### 14", 1, 5, "arithmetic", False),
        ("total", "red 4 4 blue 7 11 blue 7 18 ### 18", 2, 6, "mark", False),
        ("total", "red 4 4 brown 7 11 green 2 13 ### 13", 1, 3, "mark", False),
        ("total", "red 4 4 blue 7 11 ### 13", 2, 6, "missing", False),
        ("total", "red 4 4 blue 7 11 green 2 13 ### 12", 3, 10, "answer", False),
        ("total", "red 4 4 blue 7 11 green 2 13", 3, 9, "malformed", True),
        ("total", "red 4 4 blue 7 11 green 2 13 ### 13 13", 4, 11, "malformed", True),
        ("total", "### 13", 0, 0, "missing", False),
        ("total", "", 0, 0, "malformed", True),
        ("total", "red 5 4 blue ###", 0, 1, "reading", True),
        ("total", "red 4 four", 0, 2, "malformed", True),
        ("sum", "red 4 4 green 2 6 ### 6", 1, 3, "mark", False),
        ("sum", "red 4 4 blue 7 11 ### 11", None, None, "", False),
        ("count", "red 4 1 blue 7 1 green 2 1 ### 1", 1, 5, "arithmetic", False),
        ("difference", "red 4 blue 7 green 2 tallest 7 shortest 4 ### 3", 4, 9, "arithmetic", False),
        ("difference", "red 4 blue 7 green 2 tallest 7 ### 5", 4, 8, "malformed", True),
        ("second", "red 4 blue 7 green 2 tallest 7 second 4 ### blue", 5, 11, "answer", False),
        ("second", "red 4 blue 7 green 2 tallest 7 second 4 ### 4", 5, 11, "malformed", True),
    ],
)
def test_each_kind_of_error(kind, text, step, token, error, malformed):
    found = verdict(text, kind)
    assert (found.first_wrong, found.token, found.error, found.malformed) == (step, token, error, malformed)
    assert found.right == (error == "")


@pytest.mark.parametrize(
    ("kind", "asked", "text", "step", "token", "error"),
    [
        ("compare", (), "left red 4 4 right red 1 1 blue 9 10 ### 6", 1, 4, "missing"),
        ("compare", (), "left red 4 4 blue 7 11 left red 4 15 ### 15", 2, 7, "malformed"),
        ("compare", (), "left red 4 4 blue 7 11 right red 1 12 blue 9 21 ### 10", 2, 10, "arithmetic"),
        ("compare", (), "left red 4 4 blue 7 11 right red 1 1 ### 10", 3, 11, "missing"),
        ("compare", (), "right blue 9 9 red 1 10 left blue 7 7 red 4 11 ### 1", None, None, ""),
        ("total", (), "left red 4 4 right red 1 5 left blue 7 12 right blue 9 21 ### 21", None, None, ""),
        ("total", (), "red 4 4", 0, 0, "malformed"),
        ("sum", ("left red", "left blue"), "right red 1 1 blue 9 10 ### 10", 0, 0, "mark"),
        ("sum", ("left red", "right blue"), "right blue 9 9 left red 4 13 ### 13", None, None, ""),
        ("count", ("3",), "left red 4 1 blue 7 2 right red 1 2 blue 9 3 left ### 3", 4, 14, "mark"),
    ],
)
def test_groups_are_named_when_they_change_and_compared_one_after_the_other(
    kind, asked, text, step, token, error
):
    found = verdict(text, kind, GROUPED, asked or None)
    assert (found.first_wrong, found.token, found.error) == (step, token, error)


def test_later_steps_are_judged_by_what_the_trace_claimed():
    found = verdict("red 5 5 blue 7 12 green 2 14 ### 14", "total")
    assert [s.error for s in found.steps] == ["reading", "", "", ""] and not found.answer_right
    found = verdict("red 9 blue 7 green 2 tallest 9 shortest 2 ### 7", "difference")
    assert [s.error for s in found.steps] == ["reading", "", "", "", "", ""]
    found = verdict("left red 4 4 blue 7 11 right red 2 2 blue 9 11 ### 0", "compare", GROUPED)
    assert [s.error for s in found.steps] == ["", "", "reading", "", ""]


def test_a_right_answer_by_a_wrong_trace_is_told_apart():
    found = verdict("red 5 5 blue 6 11 green 2 13 ### 13", "total")
    assert found.answer_right and not found.right and found.first_wrong == 0
    guess = verdict("red ### 1 ### 13", "total")
    assert guess.malformed and guess.answer == "13" and guess.answer_right and not guess.right


def test_the_answer_is_what_follows_the_last_mark():
    assert extract_answer("red 4 ### 4 ### 5") == "5"
    assert extract_answer("### left red") == "left red" and extract_answer("### ") == ""
    assert extract_answer("13") is None and verdict("red 4 4", "total").answer is None
    assert not verdict("red 4 4 blue 7 11 green 2 13 13", "total").answer_right


def test_many_traces_are_checked_as_one_by_one():
    rng = np.random.default_rng(3)
    texts, asked = [], []
    for i in range(600):
        one = QUESTIONS[i % len(QUESTIONS)]
        tokens = one.trace.split()
        for _ in range(rng.integers(3)):
            tokens[rng.integers(len(tokens))] = VOCABULARY[rng.integers(60)]
        texts.append(" ".join(tokens))
        asked.append(one)
    found = check_traces(texts, asked, TABLES)
    assert found == [check_trace(t, TABLES[q.chart], q) for t, q in zip(texts, asked)]
    # The same words for another question about the same chart are not the same trace.
    one_table = draw_tables(1, ChartSettings(styles=("bars",)), np.random.default_rng(0))
    names = one_table[0].names
    two = [
        make_question("sum", one_table[0], pair, chart=0)
        for pair in ((names[0], names[1]), (names[1], names[2]))
    ]
    assert [v.right for v in check_traces([two[0].trace] * 2, two, one_table)] == [True, False]


def test_the_report_counts_false_positives_among_right_answers():
    texts = [
        RIGHT["total"],
        "red 5 5 blue 6 11 green 2 13 ### 13",
        "red 4 4 blue 7 12 green 2 14 ### 14",
        "red 4",
    ]
    report = trace_report([verdict(text, "total") for text in texts])
    assert report["answer_right"] == 0.5 and report["trace_right"] == 0.25 and report["false_positive"] == 0.5
    assert report["reading"] == report["arithmetic"] == report["malformed"] == 0.25
    assert sum(report[name] for name in ERRORS) + report["trace_right"] == 1
    assert np.isnan(trace_report([verdict("red 4", "total")])["false_positive"])


def test_mistakes_are_told():
    lookup = make_question("lookup", BARS, ("red",), chart=0)
    with pytest.raises(ValueError, match="no trace for questions of kind 'lookup', only for count"):
        check_trace("### 4", BARS, lookup)
    with pytest.raises(ValueError, match="no trace for questions of kind 'caption'"):
        write_trace("caption", BARS, ())
    with pytest.raises(ValueError, match="2 traces for 1 questions"):
        check_traces(["", ""], [question("total")], TABLES)
    with pytest.raises(ValueError, match="no verdicts"):
        trace_report([])
