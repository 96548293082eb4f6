"""What chapter 7's page shows of traces is what they hold: mistakes, tokens and their rewards; and small things."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msig_lib import datasets
from msig_lib.chartqa import evaluate, real, shown, signal
from msig_lib.chartqa.data import ChartSettings, make_charts
from msig_lib.chartqa.questions import STYLE_KINDS, VOCABULARY, ask
from msig_lib.chartqa.study_pairs import Verified
from msig_lib.chartqa.traces import check_trace
from msig_lib.runs.results import Log

CHARTS = make_charts(40, ChartSettings(marks=(4, 6)), seed=0)
QUESTIONS = ask(CHARTS.tables, 40, ("sum", "total"), seed=0)


def test_a_misread_trace_has_one_wrong_step_and_it_is_the_last_reading():
    up = 0
    for question in QUESTIONS:
        table = CHARTS.tables[question.chart]
        text = shown.misread(question)
        found = check_trace(text, table, question)
        assert [step.error for step in found.steps].count("") == len(found.steps) - 1
        assert (found.error, found.malformed, found.answer_right) == ("reading", False, False)
        assert found.first_wrong == len(found.steps) - 2  # the last before the answer
        before, after = question.trace.split(), text.split()
        off = int(after[-1]) - int(before[-1])
        assert off == (1 if before[-4] == "1" else -1)
        assert int(after[-4]) - int(before[-4]) == off and len(before) == len(after)
        up += off == 1
    assert 0 < up < len(QUESTIONS)
    assert {CHARTS.tables[q.chart].style for q in QUESTIONS} == set(STYLE_KINDS)


@pytest.mark.parametrize("kind", ["count", "compare", "difference", "second", "lookup"])
def test_only_traces_that_end_with_a_sum_are_misread(kind):
    (question,) = ask(CHARTS.tables, 1, (kind,), seed=0)
    with pytest.raises(ValueError, match=f"kind '{kind}', expected 'total' or 'sum'"):
        shown.misread(question)


TOTALS = [q for q in QUESTIONS if q.kind == "total" and CHARTS.tables[q.chart].style == "bars"][:3]


def spoilt(trace, how):
    """A right trace, or one with a mistake at a known place; "lucky" ones keep the right answer."""
    words = trace.split()
    if how in ("lucky", "reading"):
        words[1] = "9" if words[1] != "9" else "8"
    elif how == "carried":
        words[2] = str(int(words[2]) + 1)
    elif how == "skipped":  # the last mark is not read: the "###" is wrong
        words = [*words[:-5], *words[-2:]]
    if how in ("reading", "answer"):
        words[-1] = "45" if words[-1] != "45" else "44"
    if how == "short":
        words = words[:4]
    if how == "unreadable":
        words[0] = "7"
    return " ".join(words)


def judged(ways, samples, models=("DPO", "winners only"), seed=0):
    """Traces whose truth is known, and log-probabilities drawn at random."""
    rng = np.random.default_rng(seed)
    questions = [TOTALS[k] for k in range(len(ways) // samples)]
    asked = [q for q in questions for _ in range(samples)]
    texts = [spoilt(q.trace, way) for q, way in zip(asked, ways)]
    ids = [(*(VOCABULARY.index(word) for word in text.split()), len(VOCABULARY)) for text in texts]
    verdicts = [check_trace(text, CHARTS.tables[q.chart], q) for text, q in zip(texts, asked)]
    before = [rng.normal(-1, 1, len(one)).astype(np.float32) for one in ids]
    pool = signal.Pool(questions, samples, ids, texts, before, verdicts)
    after = {name: [row + rng.normal(0, 1, len(row)).astype(np.float32) for row in before] for name in models}
    return Verified(pool, {"SFT": before, **after}, evaluate.first_mistakes(pool))


@pytest.mark.parametrize(
    "how, place", [("carried", 2), ("skipped", -3), ("reading", None), ("answer", None), ("short", None)]
)
def test_the_mistake_that_is_shown_is_not_at_an_end_of_its_trace(how, place):
    for row, ways in ((1, ["right", how, how]), (2, ["reading", "answer", how])):
        found = shown.one_mistake(one := judged(ways, 3))
        if place is None:
            assert found is None
            continue
        words, rewards, at = found
        assert words == [*one.pool.texts[row].split(), "(end)"]
        assert at == one.pool.verdicts[row].token == place % len(words)
        assert rewards.keys() == {"DPO reward", "winners only reward", "SFT probability"}
        for name, values in shown.rewards_of(one, row).items():
            np.testing.assert_array_equal(rewards[name], values)
            assert len(values) == len(words)


def test_no_mistake_is_shown_without_one_or_without_a_model_to_blame_it():
    assert shown.one_mistake(judged(["right"] * 4, 2)) is None
    assert shown.one_mistake(judged(["carried"] * 4, 2, models=())) is None
    assert shown.one_mistake(judged(["carried"] * 4, 2, models=("DPO",))) is not None


def test_rewards_are_scaled_differences_and_the_writer_keeps_its_log_probability():
    one = judged(["right", "short", "lucky", "answer"], 2)
    for row in range(4):
        found = shown.rewards_of(one, row)
        assert list(found) == ["DPO reward", "winners only reward", "SFT probability"]
        np.testing.assert_array_equal(found["SFT probability"], one.pool.logprobs[row])
        for name in ("DPO", "winners only"):
            expected = 0.1 * (one.logprobs[name][row].astype(float) - one.pool.logprobs[row])
            np.testing.assert_allclose(found[f"{name} reward"], expected, atol=1e-6)
            assert found[f"{name} reward"].shape == (len(one.pool.ids[row]),)
    assert list(shown.rewards_of(judged(["right"] * 2, 2, models=()), 1)) == ["SFT probability"]


def test_words_are_the_tokens_and_an_end_where_there_is_one():
    one = judged(["right", "short"], 2)
    assert shown.words_of(one, 0) == [*TOTALS[0].trace.split(), "(end)"]
    one.pool.ids[1] = one.pool.ids[1][:-1]  # cut by the limit
    assert shown.words_of(one, 1) == TOTALS[0].trace.split()[:4]


def test_explored_rows_are_a_right_and_a_wrong_answer_of_one_question():
    ways = ["answer", "lucky", "right", "short", *["right"] * 4, "right", "right", "reading", "short"]
    one = judged(ways, 4)
    assert shown.explored(one) == [(1, 0), (8, 10)]
    assert shown.explored(one, most=1) == [(1, 0)]
    assert one.pool.right[[1, 8]].all() and not one.pool.right[[0, 10]].any()
    for every in ("right", "answer"):
        assert shown.explored(judged([every] * 4, 2)) == [(0, 0)]


# Small things


@given(st.lists(st.sampled_from("abcdx"), max_size=12))
def test_rows_come_in_the_order_asked_for_and_equal_ones_as_they_were(names):
    frame = pd.DataFrame({"model": names, "place": range(len(names))}, index=[5] * len(names))
    found = shown.in_order(frame, "model", dict.fromkeys("dbca"))
    expected = [(name, k) for name in "dbca" for k, other in enumerate(names) if other == name]
    assert list(zip(found["model"], found["place"])) == expected


def test_values_are_told_with_what_they_are_of():
    frame = pd.DataFrame({"model": ["a", "b"], "n": [1, 64], "value": [0.256, 1.0]})
    assert shown.told(frame, ["model", "n"]) == "a 1 0.26; b 64 1.00"
    assert shown.told(frame[1:], ["n"]) == "64 1.00" and shown.told(frame[:0], ["n"]) == ""


def test_points_are_per_cent_with_signs_and_an_interval_where_there_is_one():
    assert shown.points(0.021, 0.003, 0.04) == "+2.1 [+0.3, +4.0]"
    assert shown.points(-0.5, -0.6, 0.123) == "-50.0 [-60.0, +12.3]"
    assert shown.points(0.0123) == shown.points(0.0123, np.nan, np.nan) == "+1.2"


def test_has_asks_for_a_row_of_the_metric_with_all_factors():
    log = Log()
    log.add("accuracy", 0.5, seed=0, study="rft", model="before")
    assert shown.has(log, {"study": "rft"}) and shown.has(log, {})
    assert not shown.has(log, {"study": "rft", "model": "after"})
    assert not shown.has(log, {"study": "rft"}, "accepted") and not shown.has(Log(), {})


def test_the_tolerance_is_five_of_a_hundred_and_swapped_it_is_not():
    frame = shown.tolerance_edges()
    assert (frame["relaxed"] == [abs(round(10 * p) - 1000) <= 50 for p in frame["prediction"]]).all()
    swapped = [20 * abs(round(10 * p) - 1000) <= round(10 * p) for p in frame["prediction"]]
    assert (frame["swapped"] == swapped).all()
    differ = frame[frame["relaxed"] != frame["swapped"]]
    assert {95.1, 105.2} <= set(differ["prediction"]) and {95.0, 105.0, 105.3} & set(frame["prediction"])


def test_the_sample_is_left_out_where_it_is_not_at_hand(monkeypatch):
    monkeypatch.setattr(datasets, "available", lambda name: (name != real.NAME, "not here"))
    monkeypatch.setattr(real, "load", lambda: pytest.fail("loaded"))
    assert shown.real_sample() is None


def test_answers_of_the_sample_are_counted_by_who_asked(monkeypatch):
    answers = {"human": ["2010", "1.5", "blue", "1850"], "augmented": ["7", "2101"]}
    questions = [
        real.RealQuestion("a.png", "?", answer, "simple", source, "simple")
        for source, own in answers.items()
        for answer in own
    ]
    monkeypatch.setattr(datasets, "available", lambda name: (name == real.NAME, "here"))
    monkeypatch.setattr(real, "load", lambda: SimpleNamespace(questions=questions))
    found = shown.real_sample()
    assert found.index.tolist() == ["human", "augmented"] and found["questions"].tolist() == [4, 2]
    assert found["numbers"].tolist() == [0.75, 1.0] and found["years"].tolist() == [0.25, 0.0]
    forgiven = found["years for which 20 years later passes"]
    assert forgiven["human"] == 1.0 and np.isnan(forgiven["augmented"])
