"""Every figure of chapter 5 draws its frame, names what it draws, fits a phone, and refuses what is wrong."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from mi_log import ARMS, full_log

from msig_lib.display import COLOURS
from msig_lib.display.svg import to_svg
from msig_lib.mining import figures as F
from msig_lib.mining import shown, thesis

LOG = full_log()
FRAMES = {
    "scores": shown.scores_frame(LOG),
    "known_and_recited": shown.known_frame(LOG),
    "rewordings": shown.rewordings_frame(LOG),
    "errors": shown.errors_frame(LOG),
    "quality": shown.quality_frame(LOG),
}


@pytest.fixture(autouse=True)
def nothing_stays_open():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")


def named(ax, label):
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return line


def bars(ax, across=True):
    """The ends of every bar of a panel."""
    found = set()
    for lines in ax.collections:
        for start, end in lines.get_segments():
            found.add(tuple(np.round((start[int(not across)], end[int(not across)]), 6)))
    return found


def ends(rows):
    return {tuple(np.round(pair, 6)) for pair in 100 * rows[["lo", "hi"]].to_numpy(float)}


def legend_of(figure):
    return [text.get_text() for found in figure.legends for text in found.get_texts()]


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("name", list(FRAMES))
def test_figures_are_readable_on_a_phone_in_both_themes(name, alone):
    frame = FRAMES[name].drop(columns=["lo", "hi"]).head(1) if alone else FRAMES[name]
    figure = F.scores(frame, thesis.scores()) if name == "scores" else getattr(F, name)(frame)
    assert figure.get_size_inches()[0] <= 4.2
    texts = [text for text in figure.findobj(plt.Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in texts) >= 8
    for ax in figure.axes:
        assert not ax.axison or ax.get_xlabel() or figure.get_supxlabel()
        lines = [line for line in ax.lines if not line.get_label().startswith("_")]
        looks = [(line.get_marker(), line.get_linestyle()) for line in lines]
        assert len(set(looks)) == len(looks)  # no line is told from another by its colour alone
    svg = to_svg(figure, "test")[0]
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= set(COLOURS)  # but for what follows the theme
    assert len(svg) < 80_000
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 > -0.03 and drawn.y0 > -0.03 and drawn.x1 < width + 0.03 and drawn.y1 < height + 0.03


def test_scores_have_a_panel_a_topic_and_the_thesis_s_beside_ours():
    figure = F.scores(FRAMES["scores"], thesis.scores())
    panels = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title(loc="left") for ax in panels] == ["all topics", *thesis.TOPICS]
    assert legend_of(figure) == ["here", "thesis"]
    for ax in panels:
        rows = FRAMES["scores"][FRAMES["scores"]["topic"] == ax.get_title(loc="left")]
        assert named(ax, "here").get_xdata() == pytest.approx((100 * rows["value"]).tolist())
        assert named(ax, "here").get_ydata().tolist() == [0, 1, 2, 3]
        assert bars(ax) == ends(rows)
    for ax in panels[1:]:
        hollow = named(ax, "thesis")
        assert hollow.get_xdata() == pytest.approx(thesis.column(ax.get_title(loc="left")))
        assert hollow.get_markerfacecolor() == "none" and hollow.get_ydata().tolist() == [0, 1, 2, 3]
    assert [t.get_text() for t in panels[0].get_yticklabels()] == list(ARMS)
    assert legend_of(F.scores(FRAMES["scores"])) == ["here"]
    with pytest.raises(ValueError, match="not per cent"):
        F.scores(FRAMES["scores"], {("+ QA", "steam engines"): 79.8})


def test_known_and_recited_facts_are_joined_by_arm():
    frame = FRAMES["known_and_recited"]
    (ax,) = F.known_and_recited(frame).axes
    arms = list(dict.fromkeys(frame["arm"]))
    for measure, words in ((shown.RECITED, "continued from the passage"), (shown.KNOWN, "right when asked")):
        rows = frame[frame["measure"] == measure]
        assert named(ax, words).get_xdata() == pytest.approx((100 * rows["value"]).tolist())
        assert np.round(named(ax, words).get_ydata()).tolist() == [arms.index(arm) for arm in rows["arm"]]
    joined = {tuple(sorted(100 * frame.loc[frame["arm"] == arm, "value"])) for arm in arms}
    assert bars(ax) == ends(frame) | {tuple(np.round(pair, 6)) for pair in joined}


def test_wordings_are_a_line_and_single_arms_cross_the_panel():
    (ax,) = F.rewordings(FRAMES["rewordings"]).axes
    line = named(ax, "passages alone")
    assert line.get_xdata().tolist() == [1, 2, 8] and line.get_ydata() == pytest.approx([2, 3, 20])
    heights = [line.get_ydata()[0] for line in ax.lines if line.get_label().startswith("_")]
    assert heights == pytest.approx([40, 55])
    assert bars(ax, across=False) == ends(FRAMES["rewordings"])
    with pytest.raises(ValueError, match="from 1"):
        F.rewordings(FRAMES["rewordings"].assign(wordings=0).head(1))


def test_errors_have_a_line_a_source_in_both_panels():
    frame = FRAMES["errors"]
    figure = F.errors(frame)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["wrong pairs", "known facts"]
    for ax, measure in zip(figure.axes, (shown.WRONG, shown.KNOWN)):
        for source, (words, *_) in F.SOURCES.items():
            rows = frame[(frame["measure"] == measure) & (frame["source"] == source)]
            assert named(ax, words).get_xdata() == pytest.approx((100 * rows["error"]).tolist())
            assert named(ax, words).get_ydata() == pytest.approx((100 * rows["value"]).tolist())
        assert ax.get_ylim()[0] <= 0
    assert len(F.errors(frame[frame["measure"] == shown.KNOWN]).axes) == 1
    for column, match in (("source", "source \\['else'\\]"), ("measure", "measure \\['else'\\]")):
        with pytest.raises(ValueError, match=match):
            F.errors(frame.head(1).assign(**{column: "else"}))


def test_miners_are_rows_from_the_top():
    frame = FRAMES["quality"]
    (ax,) = F.quality(frame).axes
    (line,) = ax.lines
    assert line.get_xdata() == pytest.approx((100 * frame["value"]).tolist())
    assert [t.get_text().replace("\n", " ") for t in ax.get_yticklabels()] == frame["miner"].tolist()
    assert ax.yaxis_inverted() and bars(ax) == ends(frame)


@pytest.mark.parametrize("name", list(FRAMES))
def test_what_is_no_frame_of_shares_is_refused(name):
    draw, frame = getattr(F, name), FRAMES[name]
    for wrong in (frame.head(0), frame.assign(value=50.0), pd.concat([frame, frame])):
        with pytest.raises(ValueError):
            draw(wrong)
