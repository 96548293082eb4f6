import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from vq_drawn import across, bars, lines, texts, title

from msig_lib.display import figure
from msig_lib.display.marks import SIDES, log_ratios
from msig_lib.videoqa import figures, figures_judges

RATES = (0.0, 0.1, 0.3, 0.5)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def table(rows, width=0.02):
    frame = pd.DataFrame(rows)
    return frame.assign(lo=frame["value"] - width, hi=frame["value"] + width)


AGREEMENT = table(
    [
        {"kind": kind, "rate": rate, "value": 1 - rate / (1 + k)}
        for k, kind in enumerate(figures.KINDS)
        for rate in reversed(RATES)
    ]
)
GAINS = table(
    [
        {"kind": kind, "rate": rate, "domain": domain, "value": 0.1 - rate / (2 + k)}
        for k, kind in enumerate(figures.KINDS)
        for rate in RATES
        for domain in ("out", "in")
    ]
)


def test_the_chapters_figure_has_agreement_and_gain_of_each_domain_by_rate():
    fig = figures.evidence(AGREEMENT, GAINS, at=0.1)
    same, inside, outside = fig.axes
    for k, words in enumerate(figures.KINDS.values()):
        x, y = lines(same)[words]
        np.testing.assert_allclose(x, [0, 10, 30, 50])
        np.testing.assert_allclose(y, [100 - 100 * r / (1 + k) for r in RATES])
        for ax in (inside, outside):
            np.testing.assert_allclose(
                lines(ax)[words][1], [10 - 100 * r / (2 + k) for r in RATES], atol=1e-9
            )
    assert len(bars(same)) == 12 and bars(same)[0] == (pytest.approx(48), pytest.approx(52))
    assert title(inside) == "gain by DPO, in the domain" and "out of" in title(outside)
    assert 0 in across(inside).values() and 0 not in across(same).values()
    assert {"hallucinations", "omissions", "both"} <= set(texts(fig))
    assert "<svg" in figure(fig, name="evidence", caption="C.", alt="A.").html


def test_the_chapters_figure_needs_known_kinds_shares_and_one_row_a_point():
    with pytest.raises(ValueError, match="'noise'"):
        figures.evidence(AGREEMENT.replace("both", "noise"), GAINS)
    with pytest.raises(ValueError, match="shares"):
        figures.evidence(AGREEMENT.assign(value=100 * AGREEMENT["value"], lo=0, hi=100), GAINS)
    with pytest.raises(ValueError, match="several rows"):
        figures.evidence(AGREEMENT, pd.concat([GAINS, GAINS]))
    with pytest.raises(ValueError, match="domain"):
        figures.evidence(AGREEMENT, GAINS.replace("in", "elsewhere"))
    few = GAINS[(GAINS["domain"] == "in") & (GAINS["kind"] == "both")]
    assert len(figures.evidence(AGREEMENT.drop(columns=["lo", "hi"]), few).axes) == 2


SUBSETS = table(
    [
        {
            "model": model,
            "domain": domain,
            "subset": f"{domain} {k}",
            "value": 0.3 + 0.1 * k + 0.2 * (model == "dpo"),
        }
        for model in ("sft", "dpo")
        for domain in ("in", "out")
        for k in range(3)
    ]
)


def test_both_models_stand_in_the_row_of_each_subset():
    fig = figures.by_subset(SUBSETS, "here")
    assert [title(ax) for ax in fig.axes] == ["here, in the domain", "here, out of the domain"]
    for ax in fig.axes:
        drawn = lines(ax)
        np.testing.assert_allclose(drawn["SFT"][0], [30, 40, 50])
        np.testing.assert_allclose(drawn["DPO"][0], [50, 60, 70])
        np.testing.assert_allclose(np.round(drawn["DPO"][1]), [0, 1, 2])
        assert (drawn["SFT"][1] < drawn["DPO"][1]).all()
        assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top
    assert {"in 0", "out 2", "SFT", "DPO"} <= set(texts(fig))
    with pytest.raises(ValueError, match="model"):
        figures.by_subset(SUBSETS.replace("dpo", "gpt"))


WAY = table(
    [
        {"epoch": epoch, "domain": domain, "value": 0.5 + epoch / 25}
        for epoch in (2, 0, 1)
        for domain in ("in", "out")
    ]
)


def test_epochs_are_in_order_and_the_highest_is_ringed():
    ax = figures.by_epochs(WAY, {"in": 2}).axes[0]
    np.testing.assert_allclose(lines(ax)["in the domain"], [[0, 1, 2], [50, 54, 58]])
    ring = [line for line in ax.get_lines() if line.get_marker() == "o" and line.get_markersize() == 12]
    assert [len(line.get_xdata()) for line in ring] == [1, 0] and ring[0].get_xdata()[0] == 2
    with pytest.raises(ValueError, match="needs rows"):
        figures.by_epochs(WAY.rename(columns={"epoch": "step"}))


RANKED = table(
    [
        {"rule": rule, "n": n, "domain": domain, "value": 0.2 + 0.05 * k * (n > 1)}
        for k, rule in enumerate(("dpo ratio", "majority", "oracle"))
        for n in (1, 64, 8)
        for domain in ("in", "out")
    ]
    + [
        {"rule": rule, "n": 1, "domain": domain, "value": value}
        for rule, value in (("sft greedy", 0.5), ("dpo greedy", 0.6))
        for domain in ("in", "out")
    ]
)


def test_ranker_and_generator_share_their_panels():
    fig = figures.ranker(RANKED)
    assert len(fig.axes) == 2
    for ax in fig.axes:
        drawn = lines(ax)
        np.testing.assert_allclose(drawn["majority"], [[1, 8, 64], [20, 25, 25]])
        np.testing.assert_allclose(drawn["oracle: any right"][1], [20, 30, 30])
        assert across(ax) == {"SFT, greedy": 50, "DPO, greedy": 60}
        assert ax.get_xscale() == "log"
    assert len(bars(fig.axes[0])) == 6  # none for the bound
    assert "majority" not in lines(figures.ranker(RANKED, ["dpo ratio"]).axes[0])
    with pytest.raises(ValueError, match="rules"):
        figures.ranker(RANKED, ["coin"])
    with pytest.raises(ValueError, match="n=0"):
        figures.ranker(RANKED.assign(n=RANKED["n"] - 1))


JUDGED = table(
    [
        {"judge": judge, "model": model, "value": 0.3 + 0.1 * k + 0.2 * m}
        for k, judge in enumerate(("frames", "caption", "overlap"))
        for m, model in enumerate(("sft", "dpo"))
    ]
)


def test_every_model_is_a_line_through_all_judges():
    fig = figures_judges.judges(JUDGED, {"dpo": "DPO"}, "here")
    ax = fig.axes[0]
    drawn = lines(ax)
    np.testing.assert_allclose(drawn["sft"][0], [30, 40, 50])
    np.testing.assert_allclose(drawn["DPO"][0], [50, 60, 70])
    np.testing.assert_allclose(np.round(drawn["sft"][1]), [0, 1, 2])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["frames", "caption", "overlap"]
    with pytest.raises(ValueError, match="needs rows"):
        figures_judges.judges(JUDGED.drop(columns="judge"))


def test_a_confusion_has_a_cell_for_each_pair_of_scores():
    frame = pd.DataFrame(
        [
            {"case": case, "given": given, "frames": seen, "value": 0.2 * (given == seen)}
            for case in ("none", "some")
            for given in range(1, 6)
            for seen in range(1, 6)
        ]
    )
    fig = figures_judges.confusion(frame, {"none": "no errors"})
    assert [title(ax) for ax in fig.axes] == ["no errors", "some"]
    for ax in fig.axes:
        assert len(ax.patches) == 25
        shown = {text.get_position(): text.get_text() for text in ax.texts}
        assert shown[4, 4] == "20" and shown[4, 2] == ""
    lone = figures_judges.confusion(frame[(frame["case"] == "none") & (frame["given"] == 5)])
    assert len(lone.axes[0].patches) == 5
    rare = frame[:1].assign(value=0.001)
    assert [text.get_text() for text in figures_judges.confusion(rare).axes[0].texts] == ["·"]
    with pytest.raises(ValueError, match="scores 1 to 5"):
        figures_judges.confusion(frame.assign(given=frame["given"] + 1))


CAPTIONS = table(
    [
        {"measure": measure, "size": size, "domain": domain, "value": value * size / 4000}
        for measure, value in (("rating", 4), ("coverage", 0.8), ("invented", 2))
        for size in (1000, 4000, 2000)
        for domain in ("in", "out")
    ]
)


def test_captions_have_a_panel_a_measure_in_its_own_unit():
    fig = figures_judges.caption_quality(CAPTIONS)
    rating, coverage, invented = fig.axes
    np.testing.assert_allclose(lines(rating)["in the domain"], [[1000, 2000, 4000], [1, 2, 4]])
    np.testing.assert_allclose(lines(coverage)["out of the domain"][1], [20, 40, 80])
    np.testing.assert_allclose(lines(invented)["in the domain"][1], [0.5, 1, 2])
    assert "4,000" in texts(fig)
    with pytest.raises(ValueError, match="size=0"):
        figures_judges.caption_quality(CAPTIONS.assign(size=CAPTIONS["size"] - 1000))
    with pytest.raises(ValueError, match="give shares"):
        figures_judges.caption_quality(CAPTIONS.assign(value=100 * CAPTIONS["value"], lo=0, hi=900))
    with pytest.raises(ValueError, match="measure"):
        figures_judges.caption_quality(CAPTIONS.replace("rating", "length"))


def test_log_ratios_have_a_line_a_seed_and_their_mean_where_all_have_the_step():
    frame = pd.DataFrame(
        [
            {"step": step, "arm": arm, "side": side, "value": seed - step, "seed": seed}
            for arm in ("dpo", "shuffled", "winners")
            for side in SIDES
            for seed in (0, 2)
            for step in range(3 + (seed > 0))
        ]
    )
    fig = log_ratios(frame, {"dpo": "DPO"})
    assert [title(ax) for ax in fig.axes[:3]] == ["DPO", "shuffled", "winners"] and not fig.axes[3].axison
    x, y = lines(fig.axes[0])["chosen"]
    np.testing.assert_allclose(x, range(4))
    np.testing.assert_allclose(y, [1, 0, -1, np.nan])
    assert len(fig.axes[0].get_lines()) == 1 + 2 * 3
    with pytest.raises(ValueError, match="side"):
        log_ratios(frame.replace("chosen", "won"))
