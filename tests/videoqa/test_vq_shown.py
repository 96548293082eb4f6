import numpy as np
import pandas as pd
import pytest
from vq_log import ACCURACY, JUDGES, RATES, Q, curve, made, marks

from msig_lib.display.marks import log_ratios
from msig_lib.runs import results
from msig_lib.videoqa import figures, figures_judges, shown, shown_rows, thesis
from msig_lib.videoqa.data import SUBSETS, make_clips

LOG = made()
EMPTY = results.open()


def test_pooled_rows_are_all_subsets_of_a_domain_one_after_another():
    seeds, found = LOG.matrix("accuracy", **shown.of_model("dpo", "out"))
    assert seeds == [0, 1] and found.shape == (2, 4 * Q)
    np.testing.assert_array_equal(found[0], np.tile(marks(ACCURACY["dpo"] - 8), 4))
    assert len([row for row in LOG.rows if row.factors.get("subset") == shown.ALL]) == 5 * 2 * 2 * len(
        shown.MODELS
    )
    mixed = results.open()
    for subset in reversed(SUBSETS["test-in"]):
        mixed.add(
            "score", [float(len(subset))], seed=3, study="table", model="sft", domain="in", subset=subset
        )
    (one,) = shown.pooled(mixed)
    assert one.values.tolist() == [len(name) for name in SUBSETS["test-in"]] and one.seed == 3


def test_the_tables_have_a_row_a_model_with_its_gain_and_the_thesiss():
    found = shown.results_table(LOG, "in")
    assert list(found.index) == list(shown.MODELS.values())
    row = found.loc["[7] DPO"]
    share, _, ends = row["accuracy"].partition("%")
    assert float(share) == pytest.approx(100 * (ACCURACY["dpo"] + 0.5) / Q, abs=0.051) and ends.startswith(
        " ["
    )
    assert row["gain, points"].startswith("+15.0 [") and row["thesis: gain"] == "+9.4"
    assert row["thesis: accuracy"] == "75.5" and row["thesis: score"] == "3.17"
    assert (
        found.loc["[6] SFT", "gain, points"] == ""
        and found.loc["DPO, shuffled pairs", "thesis: accuracy"] == ""
    )
    assert row["gain, sampled"].startswith("+12.0 [") and row["thesis: gain"] == "+9.4"
    assert found.loc["DPO from there", "gain, points"].startswith("+10.0 [")
    assert found.loc["SFT, stopped early", "gain, points"] == ""
    assert shown.results_table(LOG, "out").loc["[8] questions on single frames", "thesis: gain"] == "-7.2"
    assert "†" in shown.results_table(EMPTY, "in", LOG).loc["[6] SFT", "accuracy"]
    assert len(shown.results_table(EMPTY, "in")) == 0


def test_subsets_stand_in_the_worlds_order_and_the_thesiss_as_shares():
    found = shown.by_subset(LOG)
    assert list(dict.fromkeys(found["subset"])) == [name for part in SUBSETS.values() for name in part]
    one = found[(found["model"] == "sft") & (found["subset"] == "faster")].iloc[0]
    assert one["value"] == pytest.approx((ACCURACY["sft"] - 8 + 0.5) / Q) and one["domain"] == "out"
    theirs = shown.thesis_by_subset()
    assert len(theirs) == 14 and theirs["value"].between(0.3, 0.8).all()
    for frame in (found, theirs):
        figures.by_subset(frame)


def test_evidence_is_from_one_run_and_pairs_each_gain_with_sft_of_its_domain():
    same, gained = shown.evidence(LOG)
    assert len(same) == 3 * len(RATES) and len(gained) == 6 * len(RATES)
    at = gained[(gained["kind"] == "both") & (gained["domain"] == "out")].set_index("rate")["value"]
    np.testing.assert_allclose(at, [(int(8 - 20 * rate) + 0.5) / Q for rate in RATES])
    figures.evidence(same, gained)
    recorded, of = shown.evidence(EMPTY, LOG)
    assert set(recorded["origin"]) == set(of["origin"]) == {"recorded"}
    other = results.open()
    other.add("same_side", 0.5, seed=0, study="evidence", kind="both", rate=0.1)
    same, gained = shown.evidence(other, LOG)  # nothing of the record beside a live point
    assert len(same) == 1 and len(gained) == 0
    table = shown.evidence_table(LOG)
    assert table.loc["omissions, 50%", "one side"] == "80.0%" and table.loc["both, 0%", "pairs"] == "100"
    assert table.loc["hallucinations, 10%", "gain, in the domain"].startswith("+16.2")
    assert table.loc["both, 30%", "right way round"] == "80.0%" and len(shown.evidence_table(EMPTY)) == 0


def test_confusions_name_their_cases():
    found = shown.confusions(LOG, [("hallucination", 0.0), ("hallucination", 0.5), ("omission", 0.5)])
    assert list(dict.fromkeys(found["case"])) == ["no errors", "50% hallucinations", "50% omissions"]
    assert found.groupby("case")["value"].sum().tolist() == pytest.approx([1, 1, 1])
    figures_judges.confusion(found)
    one = shown.confusion(LOG)
    assert len(one) == 5 and one["value"].sum() == pytest.approx(1) and len(shown.confusion(EMPTY)) == 0
    figures_judges.confusion(one)
    assert len(shown.confusions(EMPTY, [("both", 0.0)])) == 0


def test_steps_ranker_and_captions_are_what_their_figures_take():
    assert len(shown.epochs(LOG)) == 8 and len(shown.ranked(LOG)) == 2 * 17
    figures.by_epochs(shown.epochs(LOG))
    figures.ranker(shown.ranked(LOG), [*shown.RULES])
    found = shown.captions(LOG)
    assert set(found["measure"]) == set(figures_judges.MEASURES) and len(found) == 12
    figures_judges.caption_quality(found)
    assert len(shown.captions(EMPTY)) == len(shown.epochs(EMPTY)) == len(shown.ranked(EMPTY)) == 0
    assert set(shown.ranked(EMPTY, LOG)["origin"]) == {"recorded"}


def test_judges_rank_models_and_the_thesiss_versions_do():
    found = shown.judged(LOG, "in")
    assert list(dict.fromkeys(found["judge"])) == [
        "the clip's judge",
        "caption judge",
        list(JUDGES)[2],
        "shared words",
    ]
    order = shown.ranks(found)
    assert order.loc["dpo"].tolist() == [1] * 4 and order.loc["pretrained"].tolist() == [4] * 4
    theirs = shown.ranks(shown.thesis_judged())
    assert theirs.loc["sft"].tolist() == [2, 2, 2]
    assert set(found["model"]) <= set(shown.COMPARED)
    figures_judges.judges(found)
    figures_judges.judges(shown.thesis_judged())
    assert shown.judged(LOG, "out", metric="judged_score")["value"].between(1, 5).all()


def test_training_curves_are_a_row_a_step_and_side():
    frame = shown.training({("dpo", 0): curve(), ("dpo", 1): curve(), ("shuffled", 0): curve(5)})
    assert len(frame) == 2 * (20 + 20 + 5) and set(frame["arm"]) == {"[7] DPO", "DPO, shuffled pairs"}
    last = frame[(frame["step"] == 20) & (frame["side"] == "rejected")]["value"]
    np.testing.assert_allclose(last, [-5.7, -5.7])
    log_ratios(frame)
    assert list(shown.training({}).columns) == ["step", "arm", "side", "value", "seed"]


def test_side_effects_and_kinds_are_tables_of_texts():
    found = shown.side_effects(LOG, "in")
    assert found.loc["[7] DPO", "words an answer"] == f"{2 + (26 // 4 + 27 // 4) / 2 / Q:.2f}"
    assert found.loc["[6] SFT", "names what is not there"].startswith(f"{4 / Q:.1%}")
    kinds = shown.by_kind(LOG, "in")
    assert list(kinds.index) == ["direction", "size"] and kinds.loc["size", "best guess"] == "55.0%"
    assert kinds.loc["direction", "gain, points"].startswith("+20.0")
    assert len(shown.by_kind(EMPTY, "in")) == 0 and len(shown.side_effects(EMPTY, "in")) == 0


def test_values_are_told_in_words():
    frame = pd.DataFrame({"kind": ["both"], "rate": [0.1], "value": [0.912]})
    assert shown.told(frame, ["kind", "rate"]) == "both 0.1 0.91"
    assert set(thesis.TABLE_6_2) - set(shown.MODELS) == set(list(thesis.TABLE_6_2)[:5])  # others' models


def test_the_ends_of_sizes_trainings_and_judges_are_rows_of_their_own():
    found = shown_rows.ends_of_captions(LOG)
    assert {one.factors["captions"] for one in found} == {"fewest", "most"} and len(found) == 3 * 2 * 2 * 2
    assert all("size" not in one.factors and "study" not in one.factors for one in found)
    most = next(one for one in found if one.metric == "caption_rating" and one.factors["captions"] == "most")
    np.testing.assert_array_equal(most.values, 1 + marks(20) * 2)
    ends = {one.factors["side"]: one.values for one in shown_rows.ends_of_training({("dpo", 0): curve()})}
    assert ends == {"chosen": pytest.approx(-1.85), "rejected": pytest.approx(-5.55)}
    way = shown_rows.on_the_way(LOG)
    at = {
        one.factors["epoch"]: one.values.sum()
        for one in way
        if one.seed == 1 and one.factors["domain"] == "in"
    }
    assert at == {0: 21, 1: 26, 2: 28, 3: 27}
    apart = [one for one in shown_rows.judges_apart(LOG) if one.factors["model"] == "sft"]
    assert len(apart) == 4 and all(one.values == pytest.approx(12 / Q) for one in apart)
    assert shown_rows.ends_of_captions(EMPTY) == shown_rows.judges_apart(EMPTY) == []
    assert shown_rows.on_the_way(EMPTY) == []


def test_one_order_is_that_of_the_models_that_are_asked_for():
    frame = pd.DataFrame(
        [(judge, model, value) for judge, values in (("a", (1, 2, 3)), ("b", (2, 1, 3))) for model, value in
         zip(("x", "y", "z"), values)],
        columns=["judge", "model", "value"],
    )  # fmt: skip
    assert shown_rows.one_order(frame, ["x", "z"]) and not shown_rows.one_order(frame, ["x", "y", "z"])


def test_the_captioners_rows_are_what_the_checker_finds():
    scenes = make_clips(30, seed=2).scenes
    found = shown_rows.captioner(scenes, [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)], seed=1)
    assert found.iloc[0].tolist()[:3] == [6, 1, 0] and found.iloc[1]["false claims"] > 1
    assert found.iloc[2]["claims it has"] < 0.7 and found.iloc[2]["false claims"] == 0
    assert found.index[1] == "50% made up, 0% left out"
    assert found.iloc[2]["words and marks"] < found.iloc[0]["words and marks"]
