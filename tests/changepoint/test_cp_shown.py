"""What the page shows is what was measured: graphs, true edges, and sentences against counts made by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.changepoint import figures, figures_explorer, shown, study, tables
from msig_lib.changepoint.data import Series, edge_values, edges
from msig_lib.changepoint.signal import Scores
from msig_lib.changepoint.springs import SpringSettings, observe, simulate
from msig_lib.changepoint.study import NAMES, Job, Learned, View, World
from msig_lib.runs.results import Log

SMALL = SpringSettings(particles=3, frames=24, steps=5, step=0.02, connection_label="graph")
SEEN, HIDDEN = View().factors["seen"], View(hidden=True).factors["seen"]


def scored(n=3, n_frames=24, pairs=6, seed=0):
    rng = np.random.default_rng(seed)
    parts = rng.random((2, n, n_frames)), rng.random((n, n_frames, pairs), dtype=np.float32)
    return Scores(*parts[0], parts[0].sum(0), parts[1], start=6)


@given(st.integers(1, 7))
def test_square_undoes_the_listing_of_pairs(n):
    graph = np.arange(n * n, dtype=np.float32).reshape(n, n) + 1
    np.fill_diagonal(graph, 0)
    full = shown.square(edge_values(graph))
    assert full.dtype == np.float32
    np.testing.assert_array_equal(full, graph)
    names = shown.edge_names(n)
    assert len(names) == n * (n - 1) and names == [
        f"{i + 1} hears {j + 1}" for i, j in np.argwhere(graph > 0)
    ]


@pytest.mark.parametrize("values", [np.zeros(7), np.zeros((2, 20)), np.zeros(1)])
def test_square_refuses_what_is_no_list_of_pairs(values):
    with pytest.raises(ValueError, match=r"expected \[N\(N-1\)\]"):
        shown.square(values)


def test_true_edges_are_the_second_graph_from_the_change_on():
    series = Series.concatenate(
        [simulate(kind, 3, seed=4, settings=SMALL) for kind in ("connection", "none")]
    )
    found = shown.true_edges(series)
    assert found.shape == (6, 24, 6) and found.dtype == np.float32
    for s in range(6):
        for t in range(24):
            after = 0 <= series.change_time[s] <= t
            for e, (i, j) in enumerate(zip(*edges(3))):
                assert found[s, t, e] == series.graph[s, int(after), i, j]
    assert (found[:3, 0] != found[:3, -1]).any()


def test_true_edges_need_known_graphs_and_one_change():
    series = simulate("speed", 2, seed=0, settings=SMALL)
    with pytest.raises(ValueError, match="particle_spring have no graph"):
        shown.true_edges(replace(series, graph=None))
    many = simulate("several", 2, seed=0, settings=replace(SMALL, n_changes=2, min_gap=3))
    with pytest.raises(ValueError, match="several changes"):
        shown.true_edges(many)


def test_a_coordinate_is_a_place_and_its_speed():
    series = simulate("speed", 2, seed=0, settings=SMALL)
    found = shown.coordinate(series, particle=2, row=1)
    np.testing.assert_array_equal(found, np.stack([series.X[1, :, 2, 0], series.X[1, :, 2, 2]], axis=1))
    with pytest.raises(ValueError, match="2 features, expected 4"):
        shown.coordinate(observe(series, hide_velocity=True, seed=0))


def test_the_three_scores_are_z_scores_over_the_frames_looked_at():
    scores = scored()
    found = shown.three(scores, 1)
    for name in ("correlation", "independent"):
        raw = getattr(scores, name)[1]
        inside = raw[6:19]  # frames 6..24-6, both included
        z = (raw - inside.mean()) / inside.std()
        np.testing.assert_allclose(found[name][6:19], z[6:19], atol=1e-12)
        assert found[name].max() <= z[6:19].max() + 1e-12 and found[name].min() >= z[6:19].min() - 1e-12
    np.testing.assert_array_equal(found["ensemble"][6:19], scores.ensemble[1][6:19])


def test_what_does_not_count_stays_in_the_range_of_what_does():
    score = np.array([90.0, 80.0, 1.0, 2.0, 3.0, -50.0])  # frames 2..6-2 count
    np.testing.assert_array_equal(shown.cut_off(score, 2), [3.0, 3.0, 1.0, 2.0, 3.0, 1.0])


def test_noise_is_the_same_each_time_and_one_kind_keeps_all_else():
    series = simulate("speed", 4, seed=0, settings=SMALL)
    first, again = shown.noisy(series, 0.05), shown.noisy(series, 0.05)
    np.testing.assert_array_equal(first.X, again.X)
    assert 0.03 < (first.X - series.X).std() < 0.07
    same = shown.one_kind(series)
    assert set(same.kind) == {"transition"} and same.X is series.X
    np.testing.assert_array_equal(same.change_time, series.change_time)


def test_of_the_three_scores_the_ensemble_is_kept_and_others_stay():
    frame = pd.DataFrame(
        [
            ("cord_gnn_rnn", "ensemble", 0.9),
            ("cord_gnn_rnn", "correlation", 0.8),
            ("cord_trans_rnn", "independent", 0.7),
            ("rnn", "forecast", 0.6),
            ("local_fit", None, 0.5),
        ],
        columns=["method", "score", "value"],
        index=[3, 3, 3, 4, 4],
    )
    found = shown.of_ensemble(frame)
    assert found["value"].tolist() == [0.9, 0.6, 0.5] and "score" not in found
    assert found.index.tolist() == [0, 1, 2]
    assert shown.of_ensemble(found) is found
    assert shown.in_table_order(frame) == ["cord_gnn_rnn", "cord_trans_rnn", "rnn", "local_fit"]
    assert shown.in_table_order(frame[::-1]) == shown.in_table_order(frame)


def test_sizes_in_units_are_those_of_the_worlds_that_are_simulated():
    world = World()
    rows = [(kind, size) for size in (0.25, 0.5, 1.0, 2.0) for kind in study.KINDS]
    found = shown.in_units(pd.DataFrame(rows, columns=["kind", "size"]), world.settings)["size"]
    expected = []
    for kind, size in rows:
        made = study.with_size(world, size).settings
        expected.append(
            {"location": made.location_kick, "speed": made.speed_kick, "connection": made.flips}[kind]
        )
    assert found.tolist() == pytest.approx(expected)
    assert found.tolist()[2::3] == [1, 2, 5, 9]


def cells(seed=0, methods=("cord_gnn_rnn", "rnn", "local_fit", "second_difference", "spring_evidence")):
    rng = np.random.default_rng(seed)
    rows = []
    for method in methods:
        for kind in study.KINDS:
            for noise in (0.0, 0.05):
                for seen in (SEEN, HIDDEN):
                    value, half = rng.random(), 0.2 * rng.random()
                    rows.append((method, kind, noise, seen, value, value - half, value + half))
    return pd.DataFrame(rows, columns=["method", "kind", "noise", "seen", "value", "lo", "hi"])


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_standing_is_beside_the_best_that_learns_nothing_and_words_count_it(seed):
    frame = cells(seed)
    found = shown.standing(frame, "cord_gnn_rnn")
    assert len(found) == 12
    ahead, by_kind = 0, {}
    for row in frame[frame.method == "cord_gnn_rnn"].to_dict("records"):
        where = (frame.kind == row["kind"]) & (frame.noise == row["noise"]) & (frame.seen == row["seen"])
        others = frame[where & frame.method.isin(["local_fit", "second_difference"])].to_dict("records")
        best = max(others, key=lambda other: other["value"])
        stands = found[
            (found.kind == row["kind"]) & (found.noise == row["noise"]) & (found.seen == row["seen"])
        ].to_dict("records")
        assert len(stands) == 1 and stands[0]["value"] == row["value"]
        assert (stands[0]["rival"], stands[0]["rival_value"]) == (best["method"], best["value"])
        win, loss = row["lo"] > best["hi"], row["hi"] < best["lo"]
        ahead += win
        counts = by_kind.setdefault(row["kind"], [0, 0, 0])
        counts[0 if win else 1 if loss else 2] += 1
        told = f"{row['kind']} at noise {row['noise']:g}, {row['seen']} seen ({row['value']:.2f} against "
        assert (told + f"{best['value']:.2f})" in shown.where_best(frame, "cord_gnn_rnn")) == win
    said = shown.where_best(frame, "cord_gnn_rnn")
    assert (f"**{ahead} of 12** cells" in said) if ahead else ("none of the 12 cells" in said)
    away = shown.taken_away(frame, "cord_gnn_rnn")
    for kind, (wins, losses, ties) in by_kind.items():
        assert f"{kind}: ahead in {wins}, behind in {losses}, no clear difference in {ties}" in away


def test_rivals_are_neither_networks_nor_told_the_law_whatever_the_labels_of_the_rows():
    frame = cells(methods=("cord_gnn_rnn", *study.DEEP, *shown.UNTOLD, "mmd"))
    frame.loc[frame.method != "mmd", "value"] = 0.99
    found = shown.standing(frame, "cord_gnn_rnn")
    assert set(found["rival"]) == {"mmd"} and len(found) == 12
    pd.testing.assert_frame_equal(found, shown.standing(frame.set_axis([0] * len(frame)), "cord_gnn_rnn"))
    alone = frame[frame.method != "mmd"]
    assert len(shown.standing(alone, "cord_gnn_rnn")) == 0
    for say in (shown.standing, shown.where_best, shown.taken_away):
        with pytest.raises(ValueError, match=r"no rows of 'lstnett', only of cord_gnn_rnn, rnn"):
            say(frame, "lstnett")


def test_words_over_noise_are_means_over_kinds_of_what_is_shown():
    frame = cells()
    said = shown.by_noise_in_words(frame, ["rnn", "cord_gnn_rnn", "bocpd"])
    parts = []
    for method in ("rnn", "cord_gnn_rnn"):
        mine = frame[(frame.method == method) & (frame.seen == SEEN)]
        low, high = (mine[mine.noise == noise]["value"].mean() for noise in (0.0, 0.05))
        parts.append(f"{NAMES[method]}: {low:.2f} at noise 0, {high:.2f} at 0.05")
    assert said == "; ".join(parts)  # in the order asked for; bocpd was not measured
    assert shown.by_noise_in_words(frame.assign(value=0.5), ["rnn"]).count("0.50") == 2


def test_the_explorer_gets_every_setting_with_the_scores_of_its_own_world():
    world = World(2, 2, 2, settings=SMALL)
    worlds = {1.0: world, 2.0: study.with_size(world, 2.0)}
    views = [View(), View(0.05)]
    learned = {
        ("cord_gnn_rnn", 7, view): Learned(
            Job("cord_gnn_rnn", 7, view), scored(6, seed=k), [], 0.0, {"2": scored(6, seed=10 + k)}
        )
        for k, view in enumerate(views)
    }
    rivals = {view: (lambda X: X.sum((2, 3), dtype=np.float64), "local_fit") for view in views}
    frames = shown.explored(learned, 7, worlds, rivals)
    assert set(frames) == {(k, v.noise, s) for k in study.KINDS for v in views for s in worlds}
    for (kind, noise, size), one_frame in frames.items():
        series = worlds[size].part("test", View(noise))
        row = series.kind.tolist().index(kind)
        one = learned["cord_gnn_rnn", 7, View(noise)]
        own = one.scores if size == 1.0 else one.others["2"]
        looked_at = slice(*one_frame["evaluated"])
        np.testing.assert_array_equal(
            one_frame["scores"]["CORD_CPD"][looked_at], own.ensemble[row][looked_at]
        )
        np.testing.assert_array_equal(one_frame["paths"], series.X[row])
        rival = one_frame["scores"][NAMES["local_fit"]]
        np.testing.assert_allclose(rival, series.X[row].sum((1, 2), dtype=np.float64))
        assert one_frame["change_time"] == series.change_time[row]
        # Changes lie in frames 6..18 of 24, and the last of these must be one that can be found.
        first, end = one_frame["evaluated"]
        assert (first, end) == (6, 19)
        words = figures_explorer.explorer_words(
            kind=kind, noise=noise, size=size, **{k: v for k, v in one_frame.items() if k != "paths"}
        )
        assert f"CORD_CPD: highest at frame {6 + own.ensemble[row, 6:19].argmax()}," in words


def test_the_thesis_s_tables_come_under_the_names_of_this_page():
    auc = shown.thesis_rows(figures.TABLE_4_1)
    assert auc["CORD_CPD GNN+RNN"] == [0.9864, 0.9700, 0.9681] and auc["KL-CPD"][2] == 0.5574
    assert shown.thesis_rows(figures.TABLE_4_1, metric=1)["LSTNet"] == [0.3487, 0.3460, 0.2193]
    scores = shown.thesis_rows(figures.TABLE_4_2)
    assert scores["CORD_CPD Trans+RNN, correlation"] == [0.4944, 0.5463, 0.9755]
    assert scores["CORD_CPD GNN+RNN, independent"][2] == 0.8093
    assert shown.thesis_rows(figures.TABLE_4_3)["CORD_CPD GNN+RNN, without label"] == [
        0.969,
        0.98,
        0.96,
        0.73,
    ]
    assert set(shown.thesis_rows(figures.TABLE_9_1)) <= set(study.NAMES.values())
    with pytest.raises(KeyError, match="nobody"):
        shown.thesis_rows({"nobody": (0.5,)})


def test_the_thesis_s_figures_stand_beside_ours_and_nothing_where_it_has_none():
    ours = pd.DataFrame({"location": ["0.9", "0.8"]}, index=["RNN", "random"])
    found = tables.beside(ours, {"RNN": [0.5413], "LSTNet": [0.5817]}, ["location"])
    assert found.columns.tolist() == ["location", "thesis: location"]
    assert found.loc["RNN"].tolist() == ["0.9", "0.541"] and found.loc["random"].tolist() == ["0.8", ""]
    with pytest.raises(ValueError, match=r"rows RNN of the thesis .* each with 1 figures"):
        tables.beside(ours, {"RNN": [0.5, 0.6]}, ["location"])
    with pytest.raises(ValueError, match="rows LSTNet of the thesis were given for RNN, random"):
        tables.beside(ours, {"LSTNet": [0.5]}, ["location"])


def test_encoders_that_learnt_no_graph_are_counted_by_seed_and_from_the_record_where_need_be():
    now, before = Log(), Log()
    for seed, values in enumerate([(0.8, 0.7), (0.6, 0.4), (0.9, 0.9)]):
        for kind, value in zip(("speed", "connection"), values):
            now.add("graph_accuracy", value, seed=seed, method="cord_gnn_rnn", kind=kind, noise=0.0)
            now.add("graph_accuracy", 0.1, seed=seed, method="cord_gnn_rnn", kind=kind, noise=0.1)
            for method in ("cord_gnn_rnn", "cord_trans_trans"):
                before.add("graph_accuracy", 0.5, seed=seed, method=method, kind=kind, noise=0.0)
    said = shown.without_a_graph(now, before, noise=0.0)
    assert "GNN+RNN **1** of 3, else 0.82 right;" in said and "Trans+Trans **3** of 3 †." in said
    assert "Trans+RNN" not in said and "†" not in shown.without_a_graph(now, None, noise=0.0)
