"""Every figure draws the data it is given, names its axes and lines, fits a page and refuses what is wrong."""

import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from msig_lib import display
from msig_lib.changepoint import figures as F
from msig_lib.changepoint import figures_explorer as X
from msig_lib.changepoint import figures_panels as P
from msig_lib.changepoint import figures_springs as S
from msig_lib.display.svg import to_svg

T, CHANGE = 60, 25
KINDS = ("location", "speed", "connection")
METHODS = ["CORD_CPD", "RNN", "second difference"]
SEEN = ["with velocity", "without velocity"]
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


def tidy(**factors):
    """All combinations of the factors, a value and its interval for each."""
    rows = pd.MultiIndex.from_product(factors.values(), names=factors).to_frame(index=False)
    rows["value"] = 0.55 + 0.4 * np.random.default_rng(1).random(len(rows))
    rows = rows.assign(lo=rows["value"] - 0.03, hi=rows["value"] + 0.02)
    return rows.sample(frac=1, random_state=0, ignore_index=True)  # no figure may count on the order of rows


NOISE = tidy(noise=[0, 0.005, 0.02, 0.1], method=METHODS, kind=KINDS, observed=SEEN).rename(
    columns={"value": "auc"}
)
SIZE = tidy(size=[0.05, 0.1, 0.4], method=METHODS, kind=KINDS).rename(columns={"value": "auc"})
BARS = tidy(method=METHODS, kind=KINDS, metric=["AUC", "TRI"]).assign(thesis=0.5)
ALPHA = tidy(alpha=[0, 0.5, 1], kind=KINDS, label=["with", "without"])
TOLERANCE = tidy(tolerance=[0, 2, 5, 15], method=METHODS)
GROWTH = tidy(varied=["variables", "frames"], size=[5, 10, 50], method=["ours", "plain"]).assign(
    seconds=lambda d: d["size"] * d["value"], megabytes=lambda d: d["size"] ** 2 * d["value"]
)
LOSSES = tidy(epoch=[1, 2, 3], seed=[0, 1, 2], loss=["training", "validation"])
KICKED = np.column_stack([np.cumsum(np.linspace(0, 1, T)) / 10, np.linspace(0, 1, T)])
KICKED[CHANGE:, 1] += 0.1
KICK = {"no noise": KICKED, "noise": KICKED + RNG.normal(0, 0.05, KICKED.shape)}

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
    "noise": lambda: F.auc_by_noise(NOISE, highlight=METHODS[:1]),
    "noise of one": lambda: F.auc_by_noise(NOISE[(NOISE.noise == 0) & (NOISE.kind == "speed")].head(1)),
    "size, plain": lambda: F.auc_by_change_size(pd.DataFrame({"size": [2], "method": ["A"], "auc": [0.9]})),
    "size": lambda: F.auc_by_change_size(SIZE),
    "bars": lambda: F.table_bars(BARS, highlight=METHODS[:1]),
    "one bar": lambda: F.table_bars(BARS.drop(columns=["lo", "hi", "thesis"]).head(1)),
    "alpha": lambda: F.alpha_sweep(ALPHA),
    "alpha of one": lambda: F.alpha_sweep(ALPHA.head(1), chosen=None),
    "tolerance": lambda: F.tolerance_curve(TOLERANCE),
    "growth": lambda: F.growth(GROWTH),
    "growth of one": lambda: F.growth(GROWTH[GROWTH.method == "ours"].drop(columns="method")),
    "training": lambda: F.training(LOSSES),
    "training of one": lambda: F.training(LOSSES.head(1)),
    "why": lambda: F.why_trivial_wins(KICK, CHANGE),
    "why of one": lambda: F.why_trivial_wins({"no noise": KICKED}, CHANGE, of="location"),
}


@pytest.fixture(autouse=True)
def nothing_stays_open():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")


def lines(ax, *, of=None):
    """Lines of an axes (of a label or colour) that have more than a point."""
    wanted = [line for line in ax.lines if of in (None, line.get_label(), line.get_color())]
    return [np.asarray(line.get_ydata(), dtype=float) for line in wanted if len(line.get_ydata())]


def holds(ax, values):
    """Whether one of the lines of an axes has exactly these y values."""
    return any(len(y) == len(values) and np.allclose(y, values, equal_nan=True) for y in lines(ax))


def legend_of(figure):
    return [text.get_text() for found in figure.legends for text in found.get_texts()]


@pytest.mark.parametrize("name", list(DRAWN))
def test_axes_are_named_and_filled_and_a_page_can_show_them(name):
    figure = DRAWN[name]()
    assert figure.get_size_inches()[0] <= 5.2  # a wider panel scrolls on a phone
    texts = [t for t in figure.findobj(plt.Text) if t.get_text()]
    assert min(text.get_fontsize() for text in texts) >= 8
    shown = [ax for ax in figure.axes if ax.axison and ax.get_label() != "<colorbar>"]
    assert all(ax.lines or ax.patches or ax.images for ax in shown)
    if shown:  # springs on a circle have no axes
        assert figure.get_supxlabel() or any(ax.get_xlabel() for ax in shown)
        assert figure.get_supylabel() or any(ax.get_ylabel() or ax.get_yticklabels() for ax in shown)
    for line in figure.findobj(plt.Line2D):
        assert not str(line.get_color()).startswith("C")  # "C0" would be resolved outside the book's style
    html = display.figure(figure, name="test", caption="What to see.", alt="A drawing.").html
    assert "<svg" in html and len(html) < 120_000


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


def test_auc_by_noise_holds_every_line_and_bar_where_it_belongs():
    figure = F.auc_by_noise(NOISE, highlight=["RNN"], bars="two standard errors")
    assert [ax.get_title(loc="left") for ax in figure.axes] == [*KINDS, "", "", ""]
    assert [figure.axes[k].get_ylabel() for k in (0, 3)] == [f"{seen}\nAUC" for seen in SEEN]
    assert figure.get_supxlabel() == "observation noise (s.d.); bars: two standard errors"
    assert sorted(legend_of(figure)) == sorted(METHODS)
    for k, ax in enumerate(figure.axes):
        cell = NOISE[(NOISE.kind == KINDS[k % 3]) & (NOISE.observed == SEEN[k // 3])]
        for method in METHODS:
            points = cell[cell.method == method].sort_values("noise")
            (line,) = [found for found in ax.lines if found.get_label() == method]
            assert np.array_equal(line.get_xdata(), points["noise"]) and holds(ax, points["auc"])
            assert line.get_linewidth() == (2.4 if method == "RNN" else 1.2)
            ends = points[["lo", "hi"]].assign(gap=np.nan).to_numpy().ravel()
            assert holds(ax, ends)
        low, high = ax.get_ylim()
        assert low < cell["lo"].min() and high > cell["hi"].max()
        assert ax.get_xlim()[0] < 0 and ax.get_xlim()[1] > 0.1
        assert holds(ax, [0.5, 0.5])  # chance
    over = (
        F.auc_by_noise(NOISE.assign(lo=-0.4, hi=1.6)[NOISE.noise.eq(0) & NOISE.kind.eq("speed")])
        .axes[0]
        .get_ylim()
    )  # as an interval of few seeds may
    assert -0.1 < over[0] < 0 and 1 < over[1] < 1.1


def test_the_legend_lies_outside_the_axes():
    many = pd.concat(
        [
            NOISE[NOISE.observed == SEEN[0]].assign(method=f"{m} {k}")
            for k in range(4)
            for m in ("a", "long name")
        ]
    )
    many = many.drop_duplicates(["noise", "method", "kind", "observed"])
    figure = F.auc_by_noise(many)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert len(legend_of(figure)) == 8
    assert not any(box.overlaps(ax.get_window_extent()) for ax in figure.axes)
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


def test_a_method_looks_the_same_in_every_figure_of_one_order():
    table = NOISE[(NOISE.kind == "speed") & (NOISE.observed == SEEN[0])]
    few = F.auc_by_noise(table[table.method != "RNN"], methods=METHODS, highlight=["RNN"])
    full = F.auc_by_noise(table, methods=METHODS)

    def looks(figure):
        named = [line for line in figure.axes[0].lines if line.get_label() in METHODS]
        return {
            line.get_label(): (line.get_color(), line.get_marker(), line.get_linestyle()) for line in named
        }

    assert looks(few).items() < looks(full).items()
    crowd = pd.DataFrame({"method": [f"m{k}" for k in range(20)]})
    assert len({tuple(look.values()) for look in P.looks_of(crowd, "method", None).values()}) == 20


def test_sizes_alphas_and_tolerances_hold_their_tables():
    figure = F.auc_by_change_size(SIZE, methods=METHODS, units={"speed": "kick, frames"})
    assert [ax.get_xlabel() for ax in figure.axes] == ["kick (s.d., box units)", "kick, frames", "pairs"]
    cell = SIZE[(SIZE.kind == "speed") & (SIZE.method == "RNN")].sort_values("size")
    assert figure.axes[1].get_xscale() == "log" and holds(figure.axes[1], cell["auc"])
    figure = F.alpha_sweep(ALPHA)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["with label", "without label"]
    cell = ALPHA[(ALPHA.kind == "speed") & (ALPHA.label == "without")].sort_values("alpha")
    ends = 100 * cell[["lo", "hi"]].assign(gap=np.nan).to_numpy().ravel()
    assert holds(figure.axes[1], 100 * cell["value"]) and holds(figure.axes[1], ends)
    assert legend_of(figure) == list(KINDS)
    assert any(np.array_equal(line.get_xdata(), [0.75, 0.75]) for line in figure.axes[0].lines)
    assert figure.axes[0].get_ylabel() == "right type, per cent"
    figure = F.tolerance_curve(TOLERANCE, label="recall", methods=METHODS)
    cell = TOLERANCE[TOLERANCE.method == "RNN"].sort_values("tolerance")
    assert holds(figure.axes[0], cell["value"])
    assert figure.get_supxlabel().startswith("tolerance, frames")
    assert figure.axes[0].get_ylabel() == "recall" and legend_of(figure) == METHODS


def test_bars_lead_from_chance_to_the_value_beside_the_thesis():
    table = BARS.assign(thesis=np.where(BARS.method == "RNN", 0.4, np.nan))
    figure = F.table_bars(table, highlight=["RNN"], methods=METHODS[::-1])
    assert legend_of(figure) == ["95% interval", "thesis"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == METHODS[::-1]
    for k, ax in enumerate(figure.axes):
        metric = ("AUC", "TRI")[k // 3]
        cell = table[(table.kind == KINDS[k % 3]) & (table.metric == metric)].set_index("method")
        ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
        assert ends == pytest.approx(cell.loc[METHODS[::-1], "value"].tolist())
        assert {bar.get_x() for bar in ax.patches} == {0.5 if metric == "AUC" else 0.0}
        assert ax.get_xlabel() == metric
        (hollow,) = [line for line in ax.lines if line.get_marker() == "D" and len(line.get_xdata()) == 3]
        assert hollow.get_markerfacecolor() == "none"
        assert np.allclose(hollow.get_xdata(), [np.nan, 0.4, np.nan], equal_nan=True)
        segments = np.array(ax.collections[0].get_segments())
        assert segments[:, :, 0] == pytest.approx(cell.loc[METHODS[::-1], ["lo", "hi"]].to_numpy())


def test_growth_and_training_hold_their_tables():
    figure = F.growth(GROWTH, methods=["ours", "plain"])
    assert legend_of(figure) == ["ours", "plain"]
    for k, ax in enumerate(figure.axes):
        cell = GROWTH[GROWTH.varied == ("variables", "frames")[k % 2]].sort_values("size")
        column = ("seconds", "megabytes")[k // 2]
        assert all(holds(ax, cell[cell.method == name][column]) for name in ("ours", "plain"))
        first = cell[(cell.method == "ours") & (cell["size"] == 5)][column].item()
        assert holds(ax, [first, 10 * first]) and holds(ax, [first, 100 * first])  # size and its square
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [ax.get_ylabel() for ax in figure.axes] == ["time, s", "", "memory, MB", ""]
    assert [ax.get_xlabel() for ax in figure.axes[2:]] == ["number of variables", "number of frames"]
    uneven = LOSSES[~((LOSSES.seed == 2) & (LOSSES.epoch == 3))]
    figure = F.training(uneven)
    for name, ax in zip(dict.fromkeys(uneven.loss), figure.axes):
        table = uneven[uneven.loss == name].pivot(index="epoch", columns="seed", values="value")
        assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("epoch", name, "log")
        assert all(holds(ax, table[seed]) for seed in (0, 1, 2))
        (mean,) = [line for line in ax.lines if line.get_linewidth() == 2]
        assert np.allclose(mean.get_ydata(), [*table.mean(axis=1)[:2], np.nan], equal_nan=True)
    assert F.training(LOSSES.assign(value=-1.0)).axes[0].get_yscale() == "linear"


def test_a_kick_is_where_the_differences_peak():
    figure = F.why_trivial_wins(KICK, CHANGE, around=10)
    clean = figure.axes[::2]
    seen = slice(CHANGE - 10, CHANGE + 11)
    assert holds(clean[0], KICKED[seen, 0]) and holds(clean[1], KICKED[seen, 1])
    third = np.array([np.nan] * 3 + [v[3] - 3 * v[2] + 3 * v[1] - v[0] for v in _fours(KICKED[:, 1])])
    assert holds(clean[3], third[seen])
    noisy = KICK["noise"][:, 1]
    second = np.array([0, 0] + [noisy[t] - 2 * noisy[t - 1] + noisy[t - 2] for t in range(2, T)])
    kick = np.abs(second[[CHANGE, CHANGE + 1]]).max()
    rest = np.abs(np.delete(second, [CHANGE, CHANGE + 1])).max()
    told = figure.axes[5].get_title(loc="right")
    assert told == f"kick: {kick / rest:.2g} × the rest"
    assert float(clean[2].get_title(loc="right").split()[1].replace(",", "")) > 1000
    assert [ax.get_ylabel() for ax in clean[2:]] == [f"{k} difference\nof velocity" for k in ("2nd", "3rd")]


def _fours(v):
    return [v[t - 3 : t + 1] for t in range(3, len(v))]


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


def test_the_thesis_s_tables_hold_what_it_says_of_them():
    frame = F.thesis_frame(F.TABLE_4_1)
    assert len(frame) == 9 * 3 * 2
    auc = frame[frame.metric == "AUC"].pivot(index="method", columns="kind", values="thesis")
    ours = auc.index.str.contains("[+]")
    assert (auc[ours].min() > auc[~ours].max()).all() and auc["connection"].idxmax() == "GNN+RNN"
    assert (auc.loc["Trans+RNN", ["location", "speed"]] == auc[["location", "speed"]].max()).all()
    split = F.thesis_frame(F.TABLE_4_2).query("metric == 'AUC'").set_index(["method", "kind"])["thesis"]
    for model in ("GNN+RNN", "Trans+RNN", "GNN+Trans"):
        assert split[f"{model}, cor", "connection"] > split[f"{model}, ind", "connection"]
        assert split[f"{model}, cor", "speed"] < split[f"{model}, ind", "speed"] < 0.97  # 4.4.4: "over 0.97"
    real = F.thesis_frame(F.TABLE_4_4, ["PAMAP2"]).pivot(index="method", columns="metric", values="thesis")
    assert (real.idxmax() == "GNN+Trans").all()
    assert F.TABLE_4_3["Trans+RNN, with label"][0] == max(row[0] for row in F.TABLE_4_3.values())
    assert set(F.TABLE_9_1) == {"GNN+RNN", "Trans+RNN", "GNN+Trans"}
    merged = BARS.drop(columns="thesis").merge(frame, how="left")
    assert merged["thesis"].notna().sum() == 6  # RNN


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
        (lambda: F.auc_by_noise(NOISE.drop(columns="method")), "needs rows and method"),
        (lambda: F.auc_by_noise(NOISE.head(0)), "0 rows"),
        (lambda: F.auc_by_noise(pd.concat([NOISE, NOISE])), "summarise them first"),
        (lambda: F.auc_by_noise(NOISE.drop(columns="hi")), "only one of lo and hi"),
        (lambda: F.auc_by_noise(NOISE.assign(lo=1, hi=0)), "lo above hi"),
        (lambda: F.auc_by_noise(NOISE.assign(auc=99)), "give 0 to 1"),
        (lambda: F.auc_by_noise(NOISE.assign(noise=NOISE.noise - 1)), "0 or more"),
        (lambda: F.auc_by_noise(NOISE, highlight=["rnn"]), "give a list of names"),
        (lambda: F.auc_by_noise(NOISE, highlight="RNN"), "give a list of names"),
        (lambda: F.auc_by_change_size(SIZE.assign(size=0)), "above 0"),
        (lambda: F.table_bars(BARS, highlight=["rnn"]), "give a list of names"),
        (lambda: F.table_bars(BARS.assign(value=50)), "give 0 to 1"),
        (lambda: F.growth(GROWTH.assign(seconds=0)), "above 0"),
        (lambda: F.training(LOSSES.drop(columns="seed")), "needs rows and seed"),
        (lambda: F.why_trivial_wins({}, CHANGE), "location and velocity"),
        (lambda: F.why_trivial_wins({"a": KICKED, "b": KICKED[1:]}, CHANGE), "one T"),
        (lambda: F.why_trivial_wins(KICK, 2), "leave 3 frames"),
        (lambda: F.why_trivial_wins(KICK, CHANGE, of="speed"), "'velocity' or 'location'"),
        (lambda: F.thesis_frame(F.TABLE_4_4), "give one for each pair"),
    ],
)
def test_bad_input_says_what_was_expected(call, told):
    with pytest.raises(ValueError, match=told):
        call()
