"""What chapter 7's tables and figures show is what the log holds: gains by hand, arms, tokens and their rewards."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib import datasets
from msig_lib.chartqa import evaluate, real, shown, signal
from msig_lib.chartqa.data import ChartSettings, make_charts
from msig_lib.chartqa.questions import STYLE_KINDS, VOCABULARY, ask
from msig_lib.chartqa.study import RFT_ARMS
from msig_lib.chartqa.study_pairs import CONTROLS, Arm, Preferred, Verified, name_of
from msig_lib.chartqa.traces import check_trace
from msig_lib.runs.results import Log

ITEMS, SEEDS = 40, (0, 1, 2)


def hits(share, seed):
    """Right answers, of which the share is exact and the places are the seed's."""
    found = np.zeros(ITEMS)
    found[np.random.default_rng([seed, round(share * ITEMS)]).permutation(ITEMS)[: round(share * ITEMS)]] = 1
    return found


def add(log, share, metric="accuracy", **factors):
    for seed in SEEDS:
        log.add(metric, hits(share, seed), seed=seed, **factors)


def mean(log, metric="accuracy", **factors):
    return log.matrix(metric, **factors)[1].mean()


# Traces


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


# Rejection sampling


def rft_log(start="direct", arms=tuple(RFT_ARMS), lift=0.0):
    log = Log()
    for k, model in enumerate(["before", *arms]):
        for form, share in (("direct", 0.2), ("cot", 0.3)):
            add(
                log,
                share + 0.1 * k + lift * (model != "before"),
                study="rft",
                start=start,
                model=model,
                form=form,
            )
    for model, wrong in (("self-written", 0.25), ("any answer", 0.7), ("checked", 0.0)):
        for seed in SEEDS:
            if model in arms:
                log.add("accepted", 1000.0 + seed, seed=seed, study="rft", start=start, model=model)
                log.add("accepted_wrong", wrong, seed=seed, study="rft", start=start, model=model)
    return log  # fmt: skip


def test_gains_of_rejection_sampling_are_paired_differences_of_reasoned_answers():
    log = rft_log()
    found = shown.rft_gains(log)
    assert found["model"].tolist() == list(RFT_ARMS)
    before = log.matrix("accuracy", study="rft", model="before", form="cot")[1]
    for row in found.itertuples():
        after = log.matrix("accuracy", study="rft", model=row.model, form="cot")[1]
        assert row.gain == pytest.approx((after - before).mean()) and row.lo < row.gain < row.hi
    wrong = dict(zip(found["model"], found["wrong"]))
    assert np.isnan(wrong.pop("no traces"))
    assert wrong == pytest.approx({"self-written": 0.25, "any answer": 0.7, "checked": 0.0})


def test_the_table_of_rejection_sampling_says_the_same_and_leaves_out_what_was_not_trained():
    log = rft_log(arms=("self-written", "no traces", "checked"))
    table = shown.rft_table(log)
    assert table.index.tolist() == ["before", "self-written", "no traces", "checked"]
    assert table["answer at once"].tolist() == ["0.200", "0.300", "0.400", "0.500"]
    assert table["reason first"].tolist() == ["0.300", "0.400", "0.500", "0.600"]
    gains = shown.rft_gains(log).set_index("model")
    for model, text in table["gain, points"].items():
        expected = "" if model == "before" else shown.points(*gains.loc[model, ["gain", "lo", "hi"]])
        assert text == expected
    assert table["accepted"].tolist() == ["", "1,001", "", "1,001"]
    assert table["with a wrong step"].tolist() == ["", "25%", "", "0%"]
    assert [text[:5] for text in table["gain, points"]] == ["", "+10.0", "+20.0", "+30.0"]


def test_an_arm_that_accepted_no_traces_has_no_gain():
    log = rft_log(arms=("self-written", "no traces"))
    log.add("accepted", 0.0, seed=0, study="rft", start="direct", model="checked")
    assert shown.rft_gains(log)["model"].tolist() == ["self-written", "no traces"]
    assert "checked" not in shown.rft_table(log).index


def test_students_of_other_mixes_and_earlier_runs_are_told_apart():
    log, earlier = rft_log(arms=("self-written",)), rft_log(lift=0.2)
    for row in rft_log("both", lift=0.3).rows:
        log.add(row.metric, row.value if row.items is None else row.items, seed=row.seed, **row.factors)
    now, both = shown.rft_gains(log), shown.rft_gains(log, start="both")
    assert dict(zip(now["model"], now["gain"])) == pytest.approx({"self-written": 0.1})
    assert both["gain"].tolist() == pytest.approx([0.4, 0.5, 0.6, 0.7])
    mixed = shown.rft_gains(log, earlier)
    assert mixed["gain"].tolist() == pytest.approx([0.1, 0.4, 0.5, 0.6])
    assert mixed["origin"].tolist() == ["this run"] + ["recorded"] * 3
    assert shown.rft_table(log, start="both")["reason first"].tolist()[:2] == ["0.300", "0.700"]
    assert len(shown.rft_gains(Log())) == 0 and "model" in shown.rft_gains(Log())


# Pairs


ARMS = [Arm(), *CONTROLS, Arm(winners="checked"), Arm(winners="lucky"), Arm(limit=8), Arm(limit=4)]
GAINS = [0.1, 0.05, -0.1, 0.2, 0.15, -0.05, 0.25]


def dpo_rows(log, strength, before=0.5, arms=ARMS, gains=GAINS):
    named = {"study": "dpo", "strength": strength}
    for form, share in (("direct", 0.1), ("cot", before)):
        add(log, share, **named, model="before", form=form)
    for k, (arm, gain) in enumerate(zip(arms, gains)):
        for seed in SEEDS:
            log.add("winner_right", 0.2 + 0.1 * k, seed=seed, **named, **arm.factors)
        for form, share in (("direct", 0.1), ("cot", before + gain)):
            add(log, share, **named, model="after", form=form, **arm.factors)
    return log


@pytest.fixture(scope="module")
def log():
    return dpo_rows(dpo_rows(rft_log(), 1.0), 0.25, before=0.2, arms=ARMS[:5], gains=GAINS)


def test_arms_are_those_with_rows_at_the_strength_in_their_order(log):
    assert shown.arms_of(log, 1.0) == ARMS and shown.arms_of(log, 0.25) == ARMS[:5]
    assert shown.arms_of(log, 0.5) == [] and shown.arms_of(Log(), 1.0) == []
    assert [arm.limit for arm in shown.arms_of(log, 1.0)] == [None] * 5 + [8, 4]


@settings(max_examples=30)
@given(
    st.builds(
        Arm,
        objective=st.sampled_from(["dpo", "nll", "both"]),
        winners=st.sampled_from(signal.WINNERS),
        shuffled=st.booleans(),
        other=st.booleans(),
        beta=st.sampled_from([0.02, 0.1, 0.5]),
        limit=st.sampled_from([None, 4, 90]),
        per_question=st.integers(1, 3),
    )
)
def test_an_arm_comes_back_from_the_factors_of_its_rows(arm):
    log = Log()
    log.add("accuracy", [1.0], seed=0, strength=0.5, **arm.factors)
    log.add("winner_right", 1.0, seed=0, strength=0.5, **Arm(per_question=9).factors)
    assert shown.arms_of(log, 0.5) == [arm]


def test_gains_of_arms_are_paired_differences_and_have_their_winners(log):
    for strength, gains in ((1.0, GAINS), (0.25, GAINS[:5])):
        found = shown.dpo_gains(log, None, strength)
        assert list(found.index) == ARMS[: len(gains)]
        assert found["value"].tolist() == pytest.approx(gains)
        assert found["pure"].tolist() == pytest.approx([0.2 + 0.1 * k for k in range(len(gains))])
        assert (found["lo"] < found["value"]).all() and (found["value"] < found["hi"]).all()
        assert set(found["origin"]) == {"this run"} and set(found["seeds"]) == {3}
    assert len(shown.dpo_gains(Log(), None, 1.0)) == len(shown.dpo_gains(log, Log(), 0.5)) == 0


def test_winners_that_were_not_recorded_are_unknown():
    log = dpo_rows(Log(), 1.0, arms=[Arm()])
    log.rows = [row for row in log.rows if row.metric != "winner_right"]
    found = shown.dpo_gains(log, None, 1.0)
    assert np.isnan(found["pure"].iloc[0]) and found["value"].iloc[0] == pytest.approx(0.1)
    assert list(shown.dpo_table(log, None, [1.0]).columns[:1]) == ["④ 100%, from 50.0%"]


def test_accuracy_before_dpo_is_that_of_reasoned_answers(log):
    assert shown.before_dpo(log, None, 1.0) == pytest.approx(0.5)
    assert shown.before_dpo(log, None, 0.25) == pytest.approx(0.2)
    assert np.isnan(shown.before_dpo(log, None, 0.5)) and np.isnan(shown.before_dpo(Log(), None, 1.0))
    assert shown.before_dpo(Log(), log, 1.0) == pytest.approx(0.5)
    assert np.isnan(shown.before_dpo(rft_log(), None, 1.0))


def test_the_table_of_arms_marks_what_an_earlier_run_measured():
    now = dpo_rows(Log(), 1.0, arms=[Arm(), CONTROLS[0]])
    earlier = dpo_rows(Log(), 1.0, before=0.4, arms=[Arm(limit=8), Arm()], gains=[0.25, 0.3])
    table = shown.dpo_table(now, earlier, [1.0])
    gains = shown.dpo_gains(now, earlier, 1.0)
    assert gains["origin"].tolist() == ["this run", "this run", "recorded"]
    assert gains["value"].tolist() == pytest.approx([0.1, 0.05, 0.25])
    own = table["④ 100%, from 50.0%"]
    assert own.index.tolist() == ["DPO", "winners only", "DPO, cut to 8"]
    for (name, text), row in zip(own.items(), gains.itertuples()):
        assert text == shown.points(row.value, row.lo, row.hi) + "†" * (name == "DPO, cut to 8")
    assert table["right traces win, ④ 100%, from 50.0%"].tolist() == ["20%", "30%", "20%"]
    assert not shown.dpo_table(now, None, [1.0])["④ 100%, from 50.0%"].str.contains("†").any()


def test_the_table_of_arms_has_columns_for_each_strength_and_gaps_for_arms_not_trained(log):
    table = shown.dpo_table(log, None, [0.25, 1.0])
    assert table.columns.tolist() == [
        "④ 25%, from 20.0%",
        "④ 100%, from 50.0%",
        "right traces win, ④ 25%, from 20.0%",
        "right traces win, ④ 100%, from 50.0%",
    ]
    assert set(table.index) == {name_of(arm) for arm in ARMS}
    assert (table.loc["DPO, cut to 8"] == "").tolist() == [True, False, True, False]
    assert table.loc["winners only", "④ 25%, from 20.0%"].startswith("+5.0 [")
    assert table.loc["DPO, shuffled pairs", "④ 100%, from 50.0%"].startswith("-10.0 [")


def test_the_map_has_what_differs_in_winners_alone_and_the_controls_apart(log):
    more = dpo_rows(Log(), 1.0, arms=[*ARMS, Arm(beta=0.5), Arm("both"), Arm(other=True)], gains=[*GAINS] * 2)
    for given_log, strengths in ((log, [0.25, 1.0]), (more, [1.0])):
        gains, controls = shown.gain_map(given_log, None, strengths)
        n = len(strengths)
        assert gains["winners"].tolist() == ["outcome", "checked", "lucky"] * n
        assert gains["value"].tolist() == pytest.approx([0.1, 0.2, 0.15] * n)
        assert gains["purity"].tolist() == pytest.approx([0.2, 0.5, 0.6] * n)
        assert controls["control"].tolist() == ["winners only", "shuffled pairs"] * n
        assert controls["value"].tolist() == pytest.approx([0.05, -0.1] * n)
        assert "purity" not in controls
        before = [shown.before_dpo(given_log, None, strength) for strength in strengths]
        assert gains["strength_accuracy"].tolist() == np.repeat(before, 3).tolist()
        assert controls["strength_accuracy"].tolist() == np.repeat(before, 2).tolist()
        found = shown.dpo_gains(given_log, None, strengths[-1])
        assert gains[["lo", "hi"]].to_numpy()[-3].tolist() == found.loc[Arm(), ["lo", "hi"]].tolist()
    assert [len(frame) for frame in shown.gain_map(Log(), None, [1.0])] == [0, 0]


def test_cuts_are_sorted_and_no_cut_is_zero(log):
    found = shown.truncation_frame(log, None, 1.0)
    assert found["limit"].tolist() == [0, 4, 8] and found.index.tolist() == [0, 1, 2]
    assert found["value"].tolist() == pytest.approx([0.1, 0.25, -0.05])
    gains = shown.dpo_gains(log, None, 1.0)
    assert found["lo"].tolist() == [gains.loc[Arm(limit=cut), "lo"] for cut in (None, 4, 8)]
    assert found["hi"].tolist() == [gains.loc[Arm(limit=cut), "hi"] for cut in (None, 4, 8)]
    assert shown.truncation_frame(log, None, 0.25)["limit"].tolist() == [0]


def test_curves_of_training_are_those_of_dpo_and_its_controls():
    def made(arm, start):
        ratios = SimpleNamespace(
            chosen_ratio=np.arange(3) + start, rejected_ratio=-np.arange(3.0, dtype=np.float32) - start
        )
        return Preferred(arm, {}, ratios, 1e-3)

    preferred = {
        (1.0, 0): [made(Arm(), 0), made(Arm(winners="checked"), 50), made(CONTROLS[0], 10)],
        (1.0, 4): [made(CONTROLS[1], 20), made(Arm(limit=8), 60)],
    }
    found = shown.training_frame(preferred)
    expected = [
        (step, arm, side, sign * (step - 1 + start), seed)
        for arm, start, seed in (("DPO", 0, 0), ("winners only", 10, 0), ("DPO, shuffled pairs", 20, 4))
        for side, sign in (("chosen", 1), ("rejected", -1))
        for step in (1, 2, 3)
    ]
    assert [tuple(row) for row in found.itertuples(index=False)] == expected
    empty = shown.training_frame({(1.0, 0): []})
    assert len(empty) == 0 and empty.columns.tolist() == found.columns.tolist()


def test_dpo_and_rejection_sampling_are_compared_on_the_student_of_both_mixes(log):
    both = Log()
    for row in [*log.rows, *rft_log("both", lift=0.1).rows]:
        both.add(row.metric, row.value if row.items is None else row.items, seed=row.seed, **row.factors)
    asked = shown.rft_and_dpo(1.0)
    assert list(asked) == ["before", "DPO", "RFT"]
    found = {method: mean(both, **factors) for method, factors in asked.items()}
    assert found == pytest.approx({"before": 0.3, "DPO": 0.6, "RFT": 0.5})
    assert all(shown.has(both, factors) for factors in asked.values())
    assert [shown.has(log, factors) for factors in asked.values()] == [False, True, False]
    assert not shown.has(both, shown.rft_and_dpo(0.5)["DPO"])


def test_a_student_s_points_of_the_figure_come_from_one_run():
    arms = {Arm(): 0.1, Arm(winners="checked"): 0.2}
    now, record = dpo_rows(Log(), 1.0, arms=[Arm()]), dpo_rows(Log(), 1.0, arms=arms)
    live, _ = shown.gain_map(now, record, [1.0])
    assert live["winners"].tolist() == ["outcome"]  # the record's right traces are of other charts
    assert set(shown.gain_map(Log(), record, [1.0])[0]["winners"]) == {"outcome", "checked"}
