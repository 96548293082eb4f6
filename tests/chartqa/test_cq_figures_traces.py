"""Every figure of traces draws what it is given, names what it draws, fits a phone, and refuses what is wrong."""

import numpy as np
import pandas as pd
import pytest
from drawn import alone, at_height, bars, check_readable, expected_bars, tidy
from matplotlib.colors import to_hex

from msig_lib.chartqa import figures_traces as T
from msig_lib.display import COLOURS, NEUTRAL

pytestmark = pytest.mark.usefixtures("nothing_stays_open")

TOKENS = "red 4 4 blue 7 11 yellow 3 14 green 8 22 ###".split()
REWARDS = {"DPO reward": np.linspace(-1, 2, 13) ** 2, "SFT probability": -np.arange(13.0) % 7}
FIRST = tidy(rule=["SFT probability", "DPO reward", "chance"])
CUTS = tidy(limit=[0, 14, 6]).assign(
    value=[0.01, -0.02, 0.03], lo=[0.0, np.nan, 0.01], hi=[0.02, np.nan, 0.05]
)
ACCEPTED = pd.DataFrame(
    {"model": ["self-written", "no traces", "any answer"], "gain": [0.1, 0.01, -0.2], "lo": [0.05, np.nan, -0.3],
     "hi": [0.15, np.nan, -0.1], "wrong": [0.99, np.nan, 0.5]}
)  # fmt: skip

DRAWN = {
    "tokens": lambda: T.token_rewards(TOKENS, REWARDS, 12),
    "one token": lambda: T.token_rewards(["4"], {"DPO reward": [2.0]}, 0),
    "first": lambda: T.first_mistake(FIRST),
    "first of one": lambda: T.first_mistake(alone(FIRST)),
    "cuts": lambda: T.truncation(CUTS, 0.85),
    "one cut": lambda: T.truncation(alone(CUTS)),
    "accepted": lambda: T.accepted(ACCEPTED),
    "accepted of one": lambda: T.accepted(alone(ACCEPTED)),
}


@pytest.mark.parametrize("name", list(DRAWN))
def test_figures_are_readable_on_a_phone_in_both_themes(name):
    check_readable(DRAWN[name]())


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
