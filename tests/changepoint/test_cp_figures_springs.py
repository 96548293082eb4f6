"""Every figure of series, graphs and scores draws the data it is given, names them and refuses what is wrong."""

import numpy as np
import pytest
from drawn_lines import CHANGE, KINDS, T, check_readable, holds, legend_of

from msig_lib import display
from msig_lib.changepoint import figures_explorer as X
from msig_lib.changepoint import figures_springs as S
from msig_lib.display.svg import to_svg

pytestmark = pytest.mark.usefixtures("nothing_stays_open")

RNG = np.random.default_rng(0)
time = np.arange(T)[:, None, None] / 10
WITHOUT = np.concatenate([np.sin(time + np.arange(5)[:, None]), np.cos(time * [[1, 2]])[:, [0] * 5]], axis=2)
WITHOUT[..., 2:] += np.arange(5)[:, None] / 3
WITHOUT = WITHOUT[..., [0, 2, 1]]
ACTUAL = WITHOUT.copy()
ACTUAL[CHANGE:] += 0.2
BEFORE = np.array([[0, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0]])  # pairs 01, 02, 23
AFTER = np.array([[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0]])  # 02 lost, 03 new
GUESS = np.where(AFTER, 0.8, 0.1)
SCORE = RNG.normal(size=T)
SCORE[CHANGE + 1] = 9
SCORES = {kind: {"correlation": SCORE, "ensemble": SCORE + k} for k, kind in enumerate(KINDS)}
WINDOW = RNG.normal(size=(T, 4, 2)) * [3, 0.1] + 7
GRAPH = RNG.random((T, 6))
EDGES = [f"{j}→{i}" for i in range(3) for j in range(3) if i != j]

DRAWN = {
    "trajectories": lambda: S.trajectories(ACTUAL, WITHOUT, CHANGE),
    "trajectories alone": lambda: S.trajectories(ACTUAL[:, :1]),
    "graphs": lambda: S.graphs(BEFORE, AFTER, np.where(BEFORE, 0.9, 0.2), GUESS),
    "graphs alone": lambda: S.graphs(BEFORE, BEFORE),
    "scores": lambda: S.scores_over_time(SCORES, dict.fromkeys(KINDS, CHANGE), evaluated=(15, 45)),
    "one score": lambda: S.scores_over_time({"mine": SCORE}, -1),
    "window": lambda: S.series_panel(
        WINDOW, CHANGE, seconds_per_frame=0.2, transition=("walking", "running")
    ),
    "one channel": lambda: S.series_panel(WINDOW[:, :1, :1], CHANGE),
    "graph over time": lambda: S.graph_over_time(GRAPH, EDGES, CHANGE, GRAPH > 0.5),
    "graph of one edge": lambda: S.graph_over_time(GRAPH[:, :1], ["a-b"]),
    "explorer": lambda: X.explorer_frame(ACTUAL, {"A": SCORE, "B": SCORE}, CHANGE, evaluated=(15, 45)),
    "explorer of one": lambda: X.explorer_frame(ACTUAL[:, :1], {"A": SCORE}, -1),
}


@pytest.mark.parametrize("name", list(DRAWN))
def test_axes_are_named_and_filled_and_a_page_can_show_them(name):
    check_readable(DRAWN[name]())


def test_trajectories_hold_the_series_and_what_was_expected_from_the_change_on():
    figure = S.trajectories(ACTUAL, WITHOUT, CHANGE)
    paths, x, y = figure.axes
    for i in range(5):
        assert holds(paths, ACTUAL[:, i, 1]) and holds(paths, WITHOUT[CHANGE - 1 :, i, 1])
        for k, ax in enumerate((x, y)):
            assert holds(ax, ACTUAL[:, i, k]) and holds(ax, WITHOUT[CHANGE - 1 :, i, k])
    dashed = [line for line in x.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 5 and all(line.get_xdata()[0] == CHANGE - 1 for line in dashed)
    assert any(np.array_equal(line.get_xdata(), [CHANGE, CHANGE]) for line in x.lines)
    assert holds(paths, [-5, -5, 5, 5, -5])  # the walls
    assert legend_of(figure) == ["observed", "expected without the change", "change"]
    assert (x.get_ylabel(), y.get_xlabel()) == ("x, box units", "frame")
    low, high = paths.get_xlim()
    assert low < ACTUAL[..., 0].min() and high > ACTUAL[..., 0].max()


def test_graphs_tell_new_lost_and_estimated_springs():
    figure = S.graphs(BEFORE, AFTER, np.where(BEFORE, 0.9, 0.2), GUESS)

    def drawn(ax):  # colour and width of each pair's line, by its ends' particles
        angle = np.pi / 2 - 2 * np.pi * np.arange(4) / 4
        found = {}
        for line in ax.lines:
            if len(line.get_xdata()) == 2:
                ends = [
                    int(np.argmin(np.hypot(np.cos(angle) - x, np.sin(angle) - y)))
                    for x, y in line.get_xydata()
                ]
                found[tuple(sorted(ends))] = (line.get_color(), line.get_linewidth(), line.get_linestyle())
        return found

    before, after, guess_before, guess_after = map(drawn, figure.axes)
    assert before == {pair: (S.KEPT, S.SPRING_WIDTH, "-") for pair in ((0, 1), (0, 2), (2, 3))}
    assert set(after) == {(0, 1), (0, 2), (2, 3), (0, 3)}
    assert after[0, 2][2] == ":" and after[0, 3][0] == S.NEW and after[0, 1][0] == S.KEPT
    assert guess_after[0, 3] == (S.NEW, pytest.approx(0.8 * S.SPRING_WIDTH), "-")
    assert guess_after[0, 2] == (S.ABSENT, pytest.approx(0.1 * S.SPRING_WIDTH), "-")
    assert guess_before[0, 2][0] == S.KEPT and len(guess_before) == 6
    assert legend_of(figure) == ["spring", "new spring", "lost spring", "no spring there"]
    lopsided = S.graphs(BEFORE, AFTER, estimated_after=np.triu(GUESS))  # the mean of both directions
    assert drawn(lopsided.axes[3])[0, 1][1] == pytest.approx(0.4 * S.SPRING_WIDTH)
    assert not lopsided.axes[2].lines


def test_scores_over_time_mark_the_change_and_the_peak_of_the_evaluated_frames():
    late = np.where(np.arange(T) == 59, 20, SCORE)
    figure = S.scores_over_time({"speed": {"correlation": late}}, {"speed": CHANGE}, evaluated=(15, 45))
    (ax,) = figure.axes
    assert holds(ax, late)
    (ring,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert (int(ring.get_xdata()[0]), float(ring.get_ydata()[0])) == (CHANGE + 1, 9.0)
    assert any(np.array_equal(line.get_xdata(), [CHANGE, CHANGE]) for line in ax.lines)
    assert (ax.get_ylabel(), figure.get_supylabel()) == ("correlation\ns_r", "score, z")
    full = S.scores_over_time(SCORES, dict.fromkeys(KINDS, CHANGE))
    titles = [ax.get_title(loc="left") for ax in full.axes[:3]]
    assert titles == list(KINDS) and len(full.axes) == 6
    assert holds(full.axes[5], SCORES["connection"]["ensemble"])
    assert S.peak(late) == 59 and S.peak(late, (15, 45)) == CHANGE + 1
    assert S.peak([np.nan, 1, 2, np.nan]) == 2


def test_a_window_shows_every_channel_standardised_in_its_place():
    gap = WINDOW.copy()
    gap[3, 1, 0], gap[:, 2, 1] = np.nan, 4.0
    figure = S.series_panel(
        gap, CHANGE, variables=list("abcd"), features=["x", "y"], seconds_per_frame=0.5, transition=("a", "b")
    )
    shown = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title(loc="left") for ax in shown] == list("abcd")
    for i, ax in enumerate(shown):
        for k in range(2):
            values = gap[:, i, k]
            spread = np.nanstd(values)
            expected = (values - np.nanmean(values)) / (spread if spread else 1) - 5 * k
            assert holds(ax, expected)
        assert any(np.array_equal(line.get_xdata(), [CHANGE / 2] * 2) for line in ax.lines)
    assert figure.get_supxlabel() == "time, s" and figure.get_suptitle() == "a → b"
    assert [t.get_text() for t in shown[0].get_yticklabels()] == ["x", "y"]


def test_the_map_of_a_graph_holds_it_with_its_edges_names():
    figure = S.graph_over_time(GRAPH, EDGES, CHANGE, GRAPH > 0.5)
    true, model = figure.axes[:2]
    assert np.array_equal(model.images[0].get_array(), GRAPH.T)
    assert np.array_equal(true.images[0].get_array(), GRAPH.T > 0.5)
    assert [t.get_text() for t in model.get_yticklabels()] == EDGES
    assert (model.images[0].norm.vmin, model.images[0].norm.vmax) == (0, 1)
    assert figure.axes[2].get_ylabel() == "probability of a connection"
    many = S.graph_over_time(RNG.random((T, 90)), [str(k) for k in range(90)], CHANGE)
    assert len(many.axes[0].get_yticks()) == 30


def test_the_explorer_is_small_and_says_what_it_shows():
    near = np.where(np.arange(T) == CHANGE + 1, 30, SCORE)
    far = np.where(np.arange(T) == 10, 50, SCORE)
    words = X.explorer_words(
        {"A": near, "B": far}, CHANGE, kind="speed", noise=0.05, size=0.2, evaluated=(15, 45)
    )
    assert words == (
        "A speed change of size 0.2 at frame 25, observation noise 0.05. A: highest at frame 26, 1 frame off. "
        "B: highest at frame 26, 1 frame off."
    )
    assert X.explorer_words({"B": far}, 12, kind="speed", noise=0).endswith("frame 10, 2 frames off.")
    assert X.explorer_words({"A": near}, 26, kind="x", noise=0).endswith("frame 26, on the change.")
    assert X.explorer_words({"A": near}, -1, kind="none", noise=0) == (
        "No change, observation noise 0. A: highest at frame 26."
    )
    frame = X.explorer_frame(ACTUAL + RNG.normal(0, 0.05, ACTUAL.shape), {"A": near, "B": far}, CHANGE)
    assert [ax.get_title(loc="left") for ax in frame.axes] == ["", "A", "B"]
    assert holds(frame.axes[1], near) and holds(frame.axes[2], far)
    assert len(to_svg(frame, "f")[0]) < 25_000
    made = display.explorer(
        lambda noise: X.explorer_frame(ACTUAL + noise, {"A": SCORE}, CHANGE),
        {"noise": [0.0, 0.1]},
        name="changes",
        caption="Paths and scores.",
        alt=lambda noise: X.explorer_words({"A": SCORE}, CHANGE, kind="speed", noise=noise),
    )
    assert made.frames == 2 and len(made.html) < 60_000


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda: S.trajectories(ACTUAL[0]), "frames, particles"),
        (lambda: S.trajectories(ACTUAL[..., :1]), "features 0 and 1"),
        (lambda: S.trajectories(np.zeros((9, 7, 2))), "at most 6"),
        (lambda: S.trajectories(ACTUAL, WITHOUT[:-1], CHANGE), "expected actual's"),
        (lambda: S.trajectories(ACTUAL, WITHOUT, T), "0 to 59, or -1"),
        (lambda: S.graphs(BEFORE[0], AFTER), "a square"),
        (lambda: S.graphs(BEFORE, AFTER[:3, :3]), "different numbers"),
        (lambda: S.graphs(BEFORE, AFTER, 7 * GUESS), "give 0 to 1"),
        (lambda: S.scores_over_time({}, 3), "no scores"),
        (lambda: S.scores_over_time({"a": {}}, 3), "no scores"),
        (lambda: S.scores_over_time({"a": {"b": SCORE}, "c": SCORE}, 3), "mixed"),
        (lambda: S.scores_over_time(SCORES, {"speed": 3}), "no 'location'"),
        (lambda: S.scores_over_time({"a": SCORE}, 3, evaluated=(50, 90)), "within the series"),
        (lambda: S.peak([np.nan, np.nan]), "no finite score"),
        (lambda: S.series_panel(WINDOW[0], 3), "frames, variables"),
        (lambda: S.series_panel(WINDOW, 3, features=["x"]), "1 names of features for 2"),
        (lambda: S.series_panel(WINDOW, 3, seconds_per_frame=0), "above 0"),
        (lambda: S.graph_over_time(GRAPH, EDGES[:3]), "3 edge names"),
        (lambda: S.graph_over_time(GRAPH - 1, EDGES), "not logits"),
        (lambda: S.graph_over_time(GRAPH, EDGES, CHANGE, GRAPH[1:]), "true graph"),
        (lambda: X.explorer_frame(ACTUAL, {}, CHANGE), "no scores"),
        (lambda: X.explorer_frame(ACTUAL, {"A": SCORE[1:]}, CHANGE), "one value a frame"),
        (lambda: X.explorer_words({}, CHANGE, kind="speed", noise=0), "no scores"),
    ],
)
def test_bad_input_says_what_was_expected(call, told):
    with pytest.raises(ValueError, match=told):
        call()
