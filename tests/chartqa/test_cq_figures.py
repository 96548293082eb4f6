"""Every figure of results draws its table, names what it draws, fits a phone, and refuses what is wrong."""

import itertools

import numpy as np
import pandas as pd
import pytest
from drawn import alone, at_height, bars, check_readable, expected_bars, legend_of, named, tidy, titles
from matplotlib import pyplot as plt

from msig_lib.chartqa import figures as F
from msig_lib.chartqa.figures_traces import wrapped

pytestmark = pytest.mark.usefixtures("nothing_stays_open")

MODELS = ["both", "format", "direct"]  # no traces only, and not in the figure's order
FORMS = ["direct", "cot"]
RULES = ["SFT probability", "DPO ratio", "DPO, right traces win, beta 0.3 ratio"]
N = [1, 2, 8, 64]
MIXES = tidy(model=MODELS, form=FORMS)
BUDGETS = tidy(model=MODELS, form=FORMS, budget=[0.25, 0.5, 1.0])
GAINS = tidy(strength_accuracy=[0.85, 0.24], winners=["lucky", "outcome", "checked"]).assign(
    purity=lambda d: d["winners"].map({"lucky": 0.0, "outcome": 0.4, "checked": 1.0}),
    value=lambda d: d["value"] - 0.5, lo=lambda d: d["lo"] - 0.5, hi=lambda d: d["hi"] - 0.5,
)  # fmt: skip
CONTROLS = pd.DataFrame(
    {"strength_accuracy": [0.24, 0.24, 0.85], "control": ["winners only", "shuffled pairs", "winners only"],
     "value": [0.011, 0.012, -0.02], "lo": [0.0, np.nan, -0.03], "hi": [0.02, np.nan, -0.01]}
)  # fmt: skip
STEPS = tidy(
    arm=["DPO", "winners only", "shuffled"], side=["chosen", "rejected"], seed=[0, 1], step=[0, 9, 20]
)
VERIFIED = tidy(
    verifier=["any right", "one sample", "majority", *(f"{how} by {r}" for r in RULES for how in ("best", "vote"))],
    n=N,
)  # fmt: skip
THESIS = {("format", "direct"): 0.702, ("both", "cot"): 0.83, ("cot", "cot"): 0.822}

DRAWN = {
    "mixes": lambda: F.mixes(MIXES, THESIS),
    "mixes of one": lambda: F.mixes(alone(MIXES)),
    "budget": lambda: F.by_budget(BUDGETS),
    "budget of one": lambda: F.by_budget(alone(BUDGETS)),
    "gain": lambda: F.gain_map(GAINS, CONTROLS),
    "gain of one": lambda: F.gain_map(alone(GAINS)),
    "training": lambda: F.training(STEPS),
    "training of one": lambda: F.training(alone(STEPS)),
    "verifiers": lambda: F.verifier_curves(VERIFIED, ["DPO ratio"]),
    "one verifier": lambda: F.verifier_curves(alone(VERIFIED)),
}


@pytest.mark.parametrize("name", list(DRAWN))
def test_figures_are_readable_on_a_phone_in_both_themes(name):
    check_readable(DRAWN[name]())


def test_mixes_hold_both_forms_and_the_thesis():
    figure = F.mixes(MIXES, THESIS, names={"both": "everything"})
    (ax,) = figure.axes
    order = ["format", "direct", "both"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["format only", "answers only", "everything"]
    assert legend_of(figure) == ["direct answer", "step by step", "thesis"]
    lying = set()
    for form, shift, words in (("direct", -0.2, "direct answer"), ("cot", 0.2, "step by step")):
        rows = MIXES[MIXES.form == form]
        places = [order.index(model) + shift for model in rows.model]
        line = named(ax, words)
        assert line.get_xdata() == pytest.approx((100 * rows.value).tolist())
        assert line.get_ydata() == pytest.approx(places)
        lying |= expected_bars(places, rows)
    assert bars(ax) == (set(), lying) and len(lying) == 5  # one has no interval
    hollow = [line for line in ax.lines if line.get_marker() == "D" and len(line.get_xdata())]
    drawn = {(round(float(x), 6), round(float(y), 6)) for line in hollow for x, y in line.get_xydata()}
    assert drawn == {(70.2, -0.2), (83.0, 2.2)}  # "cot" is not in the table
    assert all(line.get_markerfacecolor() == "none" for line in hollow)
    assert legend_of(F.mixes(MIXES[MIXES.form == "cot"])) == ["step by step"]


def test_budgets_hold_a_line_a_model_in_the_panel_of_its_form():
    figure = F.by_budget(
        BUDGETS[~((BUDGETS.model == "both") & (BUDGETS.form == "direct"))], {"format": "form"}
    )
    assert titles(figure) == ["direct answer", "step by step"]
    assert sorted(legend_of(figure)) == ["answers + traces", "answers only", "form"]
    for ax, form, there in zip(figure.axes, FORMS, (2, 3)):
        upright = set()
        assert len([line for line in ax.lines if not line.get_label().startswith("_")]) == there
        for model, words in (("format", "form"), ("direct", "answers only"), ("both", "answers + traces"))[
            :there
        ]:
            rows = BUDGETS[(BUDGETS.form == form) & (BUDGETS.model == model)].sort_values("budget")
            line = named(ax, words)
            assert line.get_xdata().tolist() == [25, 50, 100]
            assert line.get_ydata() == pytest.approx((100 * rows.value).tolist())
            upright |= expected_bars([25, 50, 100], rows)
        assert bars(ax) == (upright, set())
        low, high = ax.get_ylim()
        assert low < 100 * BUDGETS.lo.min() + 40 and all(low < b[1] and b[2] < high for b in upright)
    assert titles(F.by_budget(BUDGETS[BUDGETS.form == "cot"])) == ["step by step"]


def test_lines_side_by_side_are_moved_so_that_no_bar_hides_another():
    rows = BUDGETS.assign(value=0.5, lo=0.4, hi=0.6)
    ax = F.by_budget(rows).axes[0]
    ax.figure.draw_without_rendering()
    pixels = [line.get_transform().transform(line.get_xydata())[0, 0] for line in ax.lines]
    assert np.diff(sorted(pixels)) == pytest.approx([1.5 * ax.figure.dpi / 72] * 2)
    bar = [found.get_transform().transform(found.get_segments()[0])[0, 0] for found in ax.collections]
    assert sorted(bar) == pytest.approx(sorted(pixels))


def test_gains_stand_at_their_purity_beside_their_controls():
    unknown = pd.DataFrame([{"strength_accuracy": 0.24, "winners": "lucky", "purity": np.nan, "value": 0.9}])
    gains = pd.concat([GAINS[~((GAINS.strength_accuracy == 0.24) & (GAINS.winners == "lucky"))], unknown])
    figure = F.gain_map(gains, CONTROLS)
    assert titles(figure) == ["CoT accuracy before: 24%", "CoT accuracy before: 85%"]
    assert legend_of(figure) == ["right answers win", "right traces win", "lucky traces win"]
    weak, strong = figure.axes
    assert len(weak.get_legend_handles_labels()[1]) == 2  # a purity that is not known has no place
    for ax, strength in zip((weak, strong), (0.24, 0.85)):
        upright = set()
        assert at_height(ax, 0)
        here = gains[(gains.strength_accuracy == strength) & gains.purity.notna()]
        for row in here.itertuples():
            line = named(ax, F.WINNERS[row.winners][0])
            assert line.get_xydata().tolist() == [pytest.approx([100 * row.purity, 100 * row.value])]
            upright |= expected_bars([100 * row.purity], here[here.winners == row.winners])
        assert bars(ax) == (upright, set())
        low, high = ax.get_ylim()
        assert low < 100 * here.value.min() and high > 100 * here.value.max()
    assert (
        at_height(weak, 1.1) and at_height(weak, 1.2) and not at_height(strong, 1.1) and at_height(strong, -2)
    )
    bands = [[(band.get_y(), band.get_height()) for band in ax.patches] for ax in (weak, strong)]
    assert bands == [[pytest.approx((0, 2))], [pytest.approx((-3, 2))]]  # one control has no interval
    said = [[text.get_text().split("\n") for text in ax.texts] for ax in (weak, strong)]
    assert said == [[["winners only", "+1.1"], ["shuffled pairs", "+1.2"]], [["winners only", "−2.0"]]]
    figure.draw_without_rendering()
    first, second = map(plt.Text.get_window_extent, weak.texts)  # without their leaders
    assert second.y0 >= first.y1 - 1  # the names keep apart though the lines touch
    assert titles(F.gain_map(GAINS.assign(strength_accuracy=GAINS.strength_accuracy / 1000))) == [
        "CoT accuracy before: 0.0%", "CoT accuracy before: 0.1%"
    ]  # fmt: skip
    only = F.gain_map(GAINS[GAINS.strength_accuracy == 0.24], CONTROLS)  # a model without pairs has controls
    assert len(only.axes) == 2 and len(titles(F.gain_map(GAINS, CONTROLS[:0]))) == 2


def test_names_of_lines_stay_inside_the_figure_when_all_are_at_the_top():
    crowd = pd.DataFrame(
        {"strength_accuracy": 0.24, "control": list("abcd"), "value": [0.4, 0.41, 0.4, 0.42]}
    )
    figure = F.gain_map(GAINS, crowd)
    figure.draw_without_rendering()
    boxes = sorted(map(plt.Text.get_window_extent, figure.axes[0].texts), key=lambda box: box.y0)
    assert all(upper.y0 >= lower.y1 - 1 for lower, upper in itertools.pairwise(boxes))
    assert boxes[-1].y1 <= figure.axes[0].get_window_extent().y1 + 12


def test_training_shows_every_seed_and_their_mean():
    uneven = STEPS[~((STEPS.arm == "DPO") & (STEPS.seed == 1) & (STEPS.step == 20))]
    figure = F.training(uneven)
    shown = [ax for ax in figure.axes if ax.axison]
    assert titles(figure) == list(dict.fromkeys(uneven.arm)) and legend_of(figure) == ["chosen", "rejected"]
    assert figure.get_supylabel() == "log-ratio to the reference, nats"
    for ax, arm in zip(shown, titles(figure)):
        assert at_height(ax, 0)
        for side in ("chosen", "rejected"):
            part = uneven[(uneven.arm == arm) & (uneven.side == side)]
            table = part.pivot(index="step", columns="seed", values="value")
            mean = named(ax, side)
            thin = [line for line in ax.lines if line.get_color() == mean.get_color() and line is not mean]
            assert mean.get_linewidth() > 2 * thin[0].get_linewidth()
            wanted = (table[0] + table[1]) / 2  # NaN where a seed lacks the step
            assert np.allclose(mean.get_ydata(), wanted, equal_nan=True)
            assert np.array_equal(mean.get_xdata(), [0, 9, 20])
            for line, seed in zip(thin, (0, 1), strict=True):
                assert np.allclose(line.get_ydata(), table[seed], equal_nan=True)
        assert named(ax, "chosen").get_linestyle() != named(ax, "rejected").get_linestyle()
    single = F.training(STEPS[(STEPS.arm == "DPO") & (STEPS.seed == 0) & (STEPS.side == "chosen")]).axes[0]
    assert (
        len([line for line in single.lines if line.get_label() == "chosen" or len(line.get_xdata()) > 2]) == 1
    )


def test_verifiers_share_a_look_in_both_panels():
    figure = F.verifier_curves(VERIFIED, ["DPO ratio", "best by SFT probability"])
    assert titles(figure) == ["best of N", "vote"]
    best, vote = figure.axes
    words = {rule: wrapped(rule, 22) for rule in [*RULES, "majority"]}
    assert sorted(legend_of(figure)[:4]) == sorted(words.values())
    assert sorted(legend_of(figure)[4:]) == ["any right", "one sample"]
    for ax, how in ((best, "best"), (vote, "vote")):
        upright = set()
        drawn = {f"{how} by {rule}": words[rule] for rule in RULES} | {"any right": "any right"}
        drawn |= {"one sample": "one sample"} | ({"majority": "majority"} if how == "vote" else {})
        assert {line.get_label() for line in ax.lines} == set(drawn.values())
        for name, label in drawn.items():
            rows = VERIFIED[VERIFIED.verifier == name].sort_values("n")
            assert named(ax, label).get_xdata().tolist() == N
            assert named(ax, label).get_ydata() == pytest.approx((100 * rows.value).tolist())
            if name not in ("any right", "one sample"):
                upright |= expected_bars(N, rows)
        assert bars(ax)[0] == upright
        assert ax.get_xscale() == "log" and [t.get_text() for t in ax.get_xticklabels()] == [
            "1",
            "2",
            "8",
            "64",
        ]
    for rule in RULES:
        pair = [named(ax, words[rule]) for ax in (best, vote)]
        assert len({(line.get_color(), line.get_marker(), line.get_linestyle()) for line in pair}) == 1
        thick = [line.get_linewidth() > 2 for line in pair]
        assert thick == {"DPO ratio": [True, True], "SFT probability": [True, False]}.get(
            rule, [False, False]
        )
    assert titles(F.verifier_curves(VERIFIED[VERIFIED.verifier.isin(["majority", "any right"])])) == ["vote"]
    assert titles(F.verifier_curves(VERIFIED[VERIFIED.verifier == "any right"])) == ["best of N"]


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: F.mixes(MIXES.drop(columns="form")), "needs rows and form"),
        (lambda: F.mixes(MIXES.assign(value=50.0)), "not per cent"),
        (
            lambda: F.mixes(MIXES.head(1).assign(form="CoT")),
            r"form \['CoT'\]; expected some of \['direct', 'cot'\]",
        ),
        (lambda: F.mixes(MIXES, {("both", "step"): 0.7}), "form of the thesis"),
        (lambda: F.mixes(MIXES, {("Both", "cot"): 0.7}), "model of the thesis"),
        (lambda: F.mixes(MIXES, {("both", "cot"): 83.0}), "give shares"),
        (lambda: F.by_budget(BUDGETS.head(1).assign(form="x")), r"form \['x'\]"),
        (lambda: F.by_budget(BUDGETS.assign(budget=BUDGETS.budget * 100)), "budget has values"),
        (lambda: F.gain_map(GAINS.head(1).assign(winners="right")), r"winners \['right'\]"),
        (lambda: F.gain_map(GAINS.assign(value=2.0)), "value has values"),
        (lambda: F.gain_map(GAINS.assign(purity=-0.1)), "purity has values"),
        (lambda: F.gain_map(GAINS, CONTROLS.drop(columns="control")), "needs rows and control"),
        (lambda: F.gain_map(GAINS, pd.concat([CONTROLS, CONTROLS])), "several rows"),
        (lambda: F.training(STEPS.head(1).assign(side="winner")), r"side \['winner'\]"),
        (lambda: F.training(STEPS.drop(columns="seed")), "needs rows and seed"),
        (
            lambda: F.verifier_curves(VERIFIED.head(1).assign(verifier="DPO")),
            "verifier 'DPO'; expected 'best by RULE'",
        ),
        (lambda: F.verifier_curves(VERIFIED[VERIFIED.n == 1].assign(n=0)), "from 1"),
        (lambda: F.verifier_curves(VERIFIED, ["DPO"]), r"highlight \['DPO'\]"),
        (lambda: F.verifier_curves(VERIFIED, "DPO ratio"), "give a list"),
    ],
)
def test_what_is_wrong_is_said(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
