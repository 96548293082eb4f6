"""Every figure draws the table it is given, names what it draws, fits a phone, and refuses what is wrong."""

import itertools
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from msig_lib.chartqa import figures as F
from msig_lib.chartqa import figures_traces as T
from msig_lib.display import COLOURS, NEUTRAL
from msig_lib.display.svg import to_svg

MODELS = ["both", "format", "direct"]  # no traces only, and not in the figure's order
FORMS = ["direct", "cot"]
RULES = ["SFT probability", "DPO ratio", "DPO, right traces win, beta 0.3 ratio"]
N = [1, 2, 8, 64]
TOKENS = "red 4 4 blue 7 11 yellow 3 14 green 8 22 ###".split()
REWARDS = {"DPO reward": np.linspace(-1, 2, 13) ** 2, "SFT probability": -np.arange(13.0) % 7}


def tidy(**factors):
    """All combinations of the factors, shuffled, a value and its interval for each; one row has none."""
    rows = pd.MultiIndex.from_product(factors.values(), names=factors).to_frame(index=False)
    rows["value"] = 0.2 + 0.6 * np.random.default_rng(1).random(len(rows))
    rows = rows.assign(lo=rows["value"] - 0.03, hi=rows["value"] + 0.02)
    rows.loc[0, ["lo", "hi"]] = np.nan
    return rows.sample(frac=1, random_state=0, ignore_index=True)


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
FIRST = tidy(rule=["SFT probability", "DPO reward", "chance"])
CUTS = tidy(limit=[0, 14, 6]).assign(
    value=[0.01, -0.02, 0.03], lo=[0.0, np.nan, 0.01], hi=[0.02, np.nan, 0.05]
)
ACCEPTED = pd.DataFrame(
    {"model": ["self-written", "no traces", "any answer"], "gain": [0.1, 0.01, -0.2], "lo": [0.05, np.nan, -0.3],
     "hi": [0.15, np.nan, -0.1], "wrong": [0.99, np.nan, 0.5]}
)  # fmt: skip
THESIS = {("format", "direct"): 0.702, ("both", "cot"): 0.83, ("cot", "cot"): 0.822}


def alone(frame):
    """The table as one seed alone gives it, and only its first row: no interval."""
    return frame.drop(columns=["lo", "hi"]).head(1)


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
    "tokens": lambda: T.token_rewards(TOKENS, REWARDS, 12),
    "one token": lambda: T.token_rewards(["4"], {"DPO reward": [2.0]}, 0),
    "first": lambda: T.first_mistake(FIRST),
    "first of one": lambda: T.first_mistake(alone(FIRST)),
    "cuts": lambda: T.truncation(CUTS, 0.85),
    "one cut": lambda: T.truncation(alone(CUTS)),
    "accepted": lambda: T.accepted(ACCEPTED),
    "accepted of one": lambda: T.accepted(alone(ACCEPTED)),
}


@pytest.fixture(autouse=True)
def nothing_stays_open():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")


def named(ax, label):
    """The line of a label."""
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return line


def bars(ax):
    """(place, lo, hi) of every bar of a panel that stands, and of every one that lies."""
    upright, lying = set(), set()
    for lines in ax.collections:
        for (x0, y0), (x1, y1) in lines.get_segments():
            (upright if x0 == x1 else lying).add(
                tuple(np.round((x0, y0, y1) if x0 == x1 else (y0, x0, x1), 6))
            )
    return upright, lying


def expected_bars(places, rows):
    ends = 100 * rows[["lo", "hi"]].to_numpy()
    return {
        tuple(np.round((at, *pair), 6)) for at, pair in zip(places, ends) if np.isfinite(pair).all()
    }  # fmt: skip


def at_height(ax, y):
    """Whether a line crosses the whole panel at y."""
    return any(
        list(line.get_ydata()) == pytest.approx([y, y]) and len(line.get_xdata()) == 2 for line in ax.lines
    )


def legend_of(figure):
    return [text.get_text() for found in figure.legends for text in found.get_texts()]


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes if ax.axison]


def texts(figure):
    return [text for text in figure.findobj(plt.Text) if text.get_text() and text.get_visible()]


@pytest.mark.parametrize("name", list(DRAWN))
def test_figures_are_readable_on_a_phone_in_both_themes(name):
    figure = DRAWN[name]()
    assert figure.get_size_inches()[0] <= 4.2
    assert min(text.get_fontsize() for text in texts(figure)) >= 8
    for ax in figure.axes:
        assert not ax.axison or ax.get_xlabel() or figure.get_supxlabel()
        shown = [line for line in ax.lines if not line.get_label().startswith("_")]
        looks = [(line.get_marker(), line.get_linestyle()) for line in shown]
        assert len(set(looks)) == len(looks)  # no line is told from another by its colour alone
    svg = to_svg(figure, "test")[0]
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= set(COLOURS)  # but for what follows the theme
    assert len(svg) < 80_000
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 > -0.03 and drawn.y0 > -0.03 and drawn.x1 < width + 0.03 and drawn.y1 < height + 0.03


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
    words = {rule: T.wrapped(rule, 22) for rule in [*RULES, "majority"]}
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


def test_cells_hold_rewards_less_their_mean_over_the_largest():
    figure = T.token_rewards(TOKENS, REWARDS, 7)
    (ax,) = figure.axes
    cells = {patch.get_gid(): patch for patch in ax.patches}
    said = {text.get_gid(): text for text in ax.texts if text.get_gid()}
    assert [said[f"token {k}"].get_text() for k in range(13)] == TOKENS
    rows = {}
    for rule, values in REWARDS.items():
        centred = values - values.mean()
        for k, value in enumerate(centred / np.abs(centred).max()):
            cell, text = cells[f"{rule} {k}"], said[f"{rule} {k}"]
            number = float(text.get_text().replace("−", "-"))
            assert number == pytest.approx(value, abs=0.0051)
            assert text.get_text()[0] == ("−" if value < 0 else "+")
            assert to_hex(cell.get_facecolor()) == COLOURS[0 if value < 0 else 1]
            assert cell.get_alpha() == pytest.approx(T.INK * abs(value))
            assert text.get_fontweight() == ("bold" if values[k] == values.min() else "normal")
            x, y = text.get_position()
            assert cell.get_x() < x < cell.get_x() + cell.get_width()
            assert cell.get_y() < y < cell.get_y() + cell.get_height()
            assert said[f"token {k}"].get_position()[0] == x and said[f"token {k}"].get_position()[1] < y
            rows.setdefault((rule, y), []).append(k)
    assert list(rows.values()) == [list(range(7)), list(range(7, 13))] * 2  # thirteen words in two lines
    box = cells["wrong"]
    held = [gid for gid, text in said.items() if box.get_window_extent().contains(*_middle(text))]
    assert sorted(held) == ["DPO reward 7", "SFT probability 7", "token 7"]
    assert to_hex(box.get_edgecolor()) == NEUTRAL and not box.get_fill()
    assert [t.get_text() for t in ax.texts].count("first mistake") == 1
    assert [t.get_text() for t in ax.texts].count("DPO reward") == 2  # once a line
    calm = T.token_rewards(TOKENS[:10], {"same": np.full(10, 0.1)}).axes[0]
    assert {t.get_text() for t in calm.texts if (t.get_gid() or "").startswith("same")} == {"0"}
    assert "first mistake" not in [t.get_text() for t in calm.texts]
    assert len({t.get_position()[1] for t in calm.texts if (t.get_gid() or "").startswith("token")}) == 1


def _middle(text):
    return text.get_transform().transform(text.get_position())


def test_rewards_in_words_name_the_lowest_and_the_first_mistake():
    both = {"DPO reward": [0, -3, 1], "SFT probability": [-2, 0, -2]}
    assert T.reward_words(["red", "5", "###"], both, 1) == (
        "Trace: red 5 ###. The first mistake is token 2 of 3, “5”. DPO reward is lowest at token 2, “5”, "
        "the first mistake. SFT probability is lowest at token 1, “red” and token 3, “###”."
    )
    assert T.reward_words(["red", "4"], [1.0, 0.5]) == (
        "Trace: red 4. No token is wrong. The reward is lowest at token 2, “4”."
    )
    assert T.reward_words(["red", "4"], [0.1, 0.1], 0).endswith("The reward is the same at every token.")


def test_first_mistakes_stand_from_the_best_beside_chance():
    frame = FIRST.assign(value=FIRST.rule.map({"SFT probability": 0.5, "DPO reward": 0.7, "chance": 0.06}))
    figure = T.first_mistake(frame.assign(lo=frame.value - 0.1, hi=frame.value + 0.05))
    (ax,) = figure.axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["DPO reward", "SFT probability"]
    (line,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert line.get_xydata().tolist() == [pytest.approx([70, 0]), pytest.approx([50, 1])]
    assert bars(ax)[1] == {(0, 60, 75), (1, 40, 55)}
    (chance,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert list(chance.get_xdata()) == pytest.approx([6, 6])
    assert [t.get_text() for t in ax.texts] == ["chance 6%"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1] and ax.get_xlim()[0] == 0
    assert not T.first_mistake(frame[frame.rule != "chance"]).axes[0].texts
    assert not T.first_mistake(frame[frame.rule == "chance"]).axes[0].get_yticklabels()


def test_cuts_stand_in_order_and_what_is_not_cut_last():
    figure = T.truncation(CUTS, before=0.85)
    (ax,) = figure.axes
    order = CUTS.set_index("limit").loc[[6, 14, 0]]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["6", "14", "not cut"]
    (line,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert line.get_xdata().tolist() == [0, 1, 2]
    assert line.get_ydata() == pytest.approx((100 * order.value).tolist())
    assert bars(ax)[0] == expected_bars(range(3), order) and len(bars(ax)[0]) == 2
    assert at_height(ax, 0) and ax.get_ylabel() == "gain in accuracy, points\n(before: 85%)"
    assert T.truncation(CUTS).axes[0].get_ylabel() == "gain in accuracy, points"


def test_the_share_of_wrong_traces_stands_beside_every_gain():
    (ax,) = T.accepted(ACCEPTED).axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ACCEPTED.model.tolist()
    (line,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert line.get_xydata().tolist() == [pytest.approx([x, y]) for y, x in enumerate((10, 1, -20))]
    assert bars(ax)[1] == {(0, 5, 15), (2, -30, -10)}
    beside = {t.get_text(): t.get_position()[1] for t in ax.texts if t.get_text() != ax.texts[-1].get_text()}
    assert beside == {"99%": 0, "no traces": 1, "50%": 2}
    assert ax.texts[-1].get_text() == "accepted traces\nwith a wrong step"
    assert any(list(line.get_xdata()) == [0, 0] for line in ax.lines)


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: F.mixes(MIXES[:0]), "0 rows"),
        (lambda: F.mixes(MIXES.drop(columns="form")), "needs rows and form"),
        (lambda: F.mixes(MIXES.drop(columns="lo")), "only one of lo and hi"),
        (lambda: F.mixes(MIXES.assign(lo=2.0)), "lo above hi"),
        (lambda: F.mixes(MIXES.assign(value=50.0)), "not per cent"),
        (lambda: F.mixes(MIXES.assign(model=None)), "6 rows have no model"),
        (lambda: F.mixes(MIXES.assign(model="both")), "several rows of"),
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
        (lambda: T.token_rewards([], {"a": []}), "give a list of words"),
        (lambda: T.token_rewards(TOKENS, {}), "a rule or more"),
        (lambda: T.token_rewards("red 4", {"a": [1.0]}), "give a list of words"),
        (lambda: T.token_rewards(TOKENS, {"a": [1.0, 2.0]}), r"a: values of shape \(2,\)"),
        (lambda: T.token_rewards(TOKENS, {"a": np.full(13, np.nan)}), "13 of them not finite"),
        (lambda: T.token_rewards(TOKENS, REWARDS, 13), "wrong=13 of 13 tokens"),
        (lambda: T.reward_words(TOKENS, REWARDS, -1), "wrong=-1"),
        (lambda: T.first_mistake(FIRST.assign(rule="a")), "several rows"),
        (lambda: T.truncation(CUTS.assign(limit=[-1, 2, 3])), "not cut"),
        (lambda: T.truncation(CUTS, 85), "before=85"),
        (lambda: T.accepted(ACCEPTED.assign(wrong=99.0)), "wrong has values"),
        (lambda: T.accepted(ACCEPTED.drop(columns="wrong")), "needs rows and wrong"),
    ],
)
def test_what_is_wrong_is_said(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
