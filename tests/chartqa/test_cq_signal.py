"""Pools of traces whose truth is known: what is accepted, what is paired, and what annotators get wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from msig_lib.chartqa import signal
from msig_lib.chartqa.data import ChartSettings, draw_tables, make_charts
from msig_lib.chartqa.model import Learner, Response
from msig_lib.chartqa.questions import VOCABULARY, ask, make_question
from msig_lib.chartqa.render import COLOURS
from msig_lib.chartqa.traces import check_trace
from msig_lib.lm.vision import VisionSettings
from msig_lib.preference.pairs import pairs_from_outcomes

SMALL = VisionSettings(tower_width=32, width=32, layers=1, heads=2)
M = 8
CHARTS = make_charts(60, ChartSettings(styles=("bars",)), seed=0)
QUESTIONS = ask(CHARTS.tables, 40, ("count", "sum", "total", "difference", "second"), seed=0)


def other(word):
    """Another word of the same sort."""
    return COLOURS[COLOURS.index(word) - 1] if word in COLOURS else str(int(word) + 1)


def spoil(trace, how):
    """A right trace, one whose first reading ("lucky"), answer ("answer") or both ("wrong") are wrong, or a cut one."""
    words = trace.split()
    if how in ("lucky", "wrong"):
        words[1] = other(words[1])
    if how in ("answer", "wrong"):
        words[-1] = other(words[-1])
    return " ".join(words[:2] if how == "short" else words)


WAYS = {"right": (True, True), "lucky": (True, False), "answer": (False, False), "wrong": (False, False)}
WAYS |= {"short": (False, False)}  # whether the answer is right, and every step


def made(seed):
    """A pool with every share of right answers, and the way of each row."""
    rng = np.random.default_rng(seed)
    ways = []
    for _ in QUESTIONS:
        good = rng.integers(M + 1)
        own = [*rng.choice(["right", "lucky"], good), *rng.choice(["answer", "wrong", "short"], M - good)]
        ways += rng.permutation(own).tolist()
    asked = [q for q in QUESTIONS for _ in range(M)]
    texts = [spoil(q.trace, way) for q, way in zip(asked, ways)]
    ids = [tuple(VOCABULARY.index(word) for word in text.split()) for text in texts]
    verdicts = [check_trace(text, CHARTS.tables[q.chart], q) for text, q in zip(texts, asked)]
    return signal.Pool(QUESTIONS, M, ids, texts, [np.zeros(len(one)) for one in ids], verdicts), ways


POOL, HOW = made(0)


def test_a_pool_says_what_each_row_is():
    assert len(POOL) == len(QUESTIONS) * M
    for row, way in enumerate(HOW):
        assert (POOL.right[row], POOL.sound[row]) == WAYS[way]
        assert POOL.group[row] == row // M and POOL.asked([row])[0] is QUESTIONS[row // M]
    assert [POOL.square(np.arange(len(POOL)))[q, m] for q in (0, 7) for m in (0, 5)] == [0, 5, 61 - 5, 61]
    assert POOL.asked() == [q for q in QUESTIONS for _ in range(M)]
    assert POOL.asked(np.array([17, 3, 17])) == [QUESTIONS[2], QUESTIONS[0], QUESTIONS[2]]
    assert POOL.asked([]) == []


class Scripted:
    """A learner that says sample m of question q in a known way."""

    def __init__(self):
        self.options = None

    def respond(self, questions, charts, form, **options):
        self.options = {"form": form, **options}
        ways = list(WAYS)
        texts = [
            [spoil(q.trace, ways[(i + m) % 5]) for m in range(options["n"])] for i, q in enumerate(questions)
        ]
        return [
            [Response((i, m), text, np.array([-i, -m], np.float32)) for m, text in enumerate(own)]
            for i, own in enumerate(texts)
        ]


def test_draw_checks_every_sample_against_its_own_question():
    learner = Scripted()
    pool = signal.draw(learner, QUESTIONS[:10], CHARTS, 3, seed=4, temperature=0.7)
    assert learner.options == {"form": "cot", "n": 3, "temperature": 0.7, "seed": 4}
    assert (len(pool), pool.samples, len(pool.questions)) == (30, 3, 10)
    for row in range(30):
        i, m = divmod(row, 3)
        assert pool.ids[row] == (i, m) and pool.logprobs[row].tolist() == [-i, -m]
        assert (pool.right[row], pool.sound[row]) == list(WAYS.values())[(i + m) % 5]
        assert pool.verdicts[row] == check_trace(
            pool.texts[row], CHARTS.tables[QUESTIONS[i].chart], QUESTIONS[i]
        )


def test_a_seed_fixes_what_is_drawn():
    learner = Learner.new(SMALL, seed=0)
    one, same, another = (signal.draw(learner, QUESTIONS[:3], CHARTS, 2, seed=seed) for seed in (5, 5, 6))
    assert one.ids == same.ids and one.texts == same.texts and one.verdicts == same.verdicts
    assert all(np.array_equal(a, b) for a, b in zip(one.logprobs, same.logprobs))
    assert one.ids != another.ids
    assert [len(logprobs) for logprobs in one.logprobs] == [len(ids) for ids in one.ids]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("per_question", [1, 3])
@pytest.mark.parametrize("winners", signal.WINNERS)
def test_pairs_are_what_they_promise(winners, per_question, seed):
    pool, _ = made(seed)
    found = signal.pairs(pool, seed=seed, winners=winners, per_question=per_question)
    assert pool.right[found.chosen].all() and not pool.right[found.rejected].any()
    if winners != "outcome":
        assert (pool.sound[found.chosen] == (winners == "checked")).all()
    else:
        assert 0 < pool.sound[found.chosen].mean() < 1
    for rows in (found.chosen, found.rejected):
        np.testing.assert_array_equal(pool.group[rows], found.group)
    used = np.concatenate([found.chosen, found.rejected])
    assert len(np.unique(used)) == len(used)
    wins = {"outcome": pool.right, "checked": pool.sound, "lucky": pool.right & ~pool.sound}[winners]
    for q in range(len(QUESTIONS)):  # the band is that of the answers, whoever wins
        right, won = pool.square(pool.right)[q], pool.square(wins)[q]
        expected = min(won.sum(), (~right).sum(), per_question) if 0.25 <= right.mean() <= 0.85 else 0
        assert (found.group == q).sum() == expected
    assert found.counts.pairs == len(found) > 0


def test_pairs_by_outcome_are_the_thesis_s():
    found = signal.pairs(POOL, seed=3)
    expected = pairs_from_outcomes(POOL.right, POOL.group, seed=3)
    for name in ("chosen", "rejected", "group"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.counts == expected.counts
    other_seed = signal.pairs(POOL, seed=4)
    assert not np.array_equal(found.chosen, other_seed.chosen)


def test_where_all_right_answers_have_right_traces_checking_changes_only_the_order():
    clean = replace(POOL, verdicts=[replace(v, steps=()) if v.answer_right else v for v in POOL.verdicts])
    outcome, checked = (signal.pairs(clean, seed=0, winners=w) for w in ("outcome", "checked"))
    np.testing.assert_array_equal(outcome.group, checked.group)
    assert len(signal.pairs(clean, seed=0, winners="lucky")) == 0


@pytest.mark.parametrize("per_question", [1, 2, 8])
@pytest.mark.parametrize("winners", [*signal.WINNERS, "all"])
def test_accepted_traces_are_different_and_few(winners, per_question):
    found = signal.accepted(POOL, seed=1, winners=winners, per_question=per_question)
    fit = {
        "outcome": POOL.right,
        "checked": POOL.sound,
        "lucky": POOL.right & ~POOL.sound,
        "all": np.ones(len(POOL), bool),
    }[winners]
    assert fit[found.rows].all()
    for q in range(len(QUESTIONS)):
        own = [row for row in found.rows if row // M == q]
        texts = {POOL.texts[row] for row in range(q * M, q * M + M) if fit[row]}
        assert len({POOL.texts[row] for row in own}) == len(own) == min(len(texts), per_question)
    again = signal.accepted(POOL, seed=1, winners=winners, per_question=per_question)
    np.testing.assert_array_equal(again.rows, found.rows)
    if per_question == 1:
        assert not np.array_equal(
            signal.accepted(POOL, seed=2, winners=winners, per_question=1).rows, found.rows
        )
    if winners == "all":  # outcomes are not looked at
        blind = replace(POOL, verdicts=POOL.verdicts[::-1])
        rows = signal.accepted(blind, seed=1, winners="all", per_question=per_question).rows
        np.testing.assert_array_equal(rows, found.rows)


def test_purity_is_the_share_of_right_traces():
    ways = np.array(HOW)
    assert signal.purity(POOL, np.flatnonzero(ways == "right")) == 1
    assert signal.purity(POOL, np.flatnonzero(ways == "lucky").tolist()) == 0
    rows = [*np.flatnonzero(ways == "right")[:3], *np.flatnonzero(ways == "short")[:9]]
    assert signal.purity(POOL, rows) == 0.25
    assert np.isnan(signal.purity(POOL, []))


def near(annotation, answer):
    """Whether a wrong annotation is one that people would write."""
    if answer in COLOURS:
        return annotation in COLOURS and annotation != answer
    return annotation.isdigit() and 1 <= abs(int(annotation) - int(answer)) <= 2


TABLES = draw_tables(400, ChartSettings(styles=("bars",)), np.random.default_rng(1))
ASKED = ask(TABLES, 1200, ("sum", "count", "second"), seed=1)


def test_annotations_are_wrong_as_often_as_asked_for():
    truth = [q.answer for q in ASKED]
    assert signal.annotate(ASKED, 0.0, seed=0) == truth
    for share in (0.1, 0.6):
        said = signal.annotate(ASKED, share, seed=0)
        wrong = [a != b for a, b in zip(said, truth)]
        for kind in ("sum", "count", "second"):
            own = [bad for bad, q in zip(wrong, ASKED) if q.kind == kind]
            assert binomtest(sum(own), len(own), share).pvalue > 1e-3
        assert all(near(a, b) for a, b, bad in zip(said, truth, wrong) if bad)
        assert said == signal.annotate(ASKED, share, seed=0) != signal.annotate(ASKED, share, seed=1)


def test_a_spoiled_colour_is_another_colour():
    asked = [q for q in ASKED if q.kind == "second"]
    said = signal.annotate(asked, 1.0, seed=0)
    assert all(near(a, q.answer) for a, q in zip(said, asked)) and set(said) == set(COLOURS)


@pytest.mark.parametrize("value", range(10))
def test_a_spoiled_number_is_never_the_answer(value):
    bars = CHARTS.tables[0]
    question = replace(make_question("total", bars, chart=0), answer=str(value))
    said = signal.annotate([question] * 60, 1.0, seed=value)
    assert all(near(one, str(value)) for one in said) and len(set(said)) > 1


def test_bad_input():
    with pytest.raises(ValueError, match="winners is 'best', expected one of outcome, checked, lucky"):
        signal.pairs(POOL, seed=0, winners="best")
    with pytest.raises(ValueError, match="winners is 'none'"):
        signal.accepted(POOL, seed=0, winners="none")
    with pytest.raises(ValueError, match="winners is 'all'"):  # a winner needs a right answer
        signal.pairs(POOL, seed=0, winners="all")
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="expected 0 <= share <= 1"):
            signal.annotate(QUESTIONS, share, seed=0)
