"""Every figure of results draws its table, names its axes and lines, fits a page and refuses what is wrong."""

import numpy as np
import pandas as pd
import pytest
from drawn_lines import CHANGE, KINDS, T, check_readable, holds, legend_of

from msig_lib.changepoint import figures as F
from msig_lib.changepoint import figures_panels as P

pytestmark = pytest.mark.usefixtures("nothing_stays_open")

METHODS = ["CORD_CPD", "RNN", "second difference"]
SEEN = ["with velocity", "without velocity"]


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
KICK = {"no noise": KICKED, "noise": KICKED + np.random.default_rng(0).normal(0, 0.05, KICKED.shape)}

DRAWN = {
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


@pytest.mark.parametrize("name", list(DRAWN))
def test_axes_are_named_and_filled_and_a_page_can_show_them(name):
    check_readable(DRAWN[name]())


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
        (lambda: F.auc_by_noise(NOISE.drop(columns="method")), "needs rows and method"),
        (lambda: F.auc_by_noise(NOISE.assign(auc=99)), "auc has values"),
        (lambda: F.auc_by_noise(NOISE.assign(noise=NOISE.noise - 1)), "0 or more"),
        (lambda: F.auc_by_noise(NOISE, highlight=["rnn"]), "give a list of names"),
        (lambda: F.auc_by_noise(NOISE, highlight="RNN"), "give a list of names"),
        (lambda: F.auc_by_change_size(SIZE.assign(size=0)), "above 0"),
        (lambda: F.table_bars(BARS, highlight=["rnn"]), "give a list of names"),
        (lambda: F.table_bars(BARS.assign(value=50)), "value has values"),
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
