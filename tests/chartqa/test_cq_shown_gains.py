"""What chapter 7's tables and figures show of gains is what the log holds: rejection sampling, pairs and their arms."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.chartqa import shown, signal
from msig_lib.chartqa.study import RFT_ARMS
from msig_lib.chartqa.study_pairs import CONTROLS, Arm, Preferred, name_of
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
