"""The spring study: worlds, learning that repeats anywhere, records against plain recomputations."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.metrics import roc_auc_score

from msig_lib.changepoint import evaluate, free, study
from msig_lib.changepoint.data import Series
from msig_lib.changepoint.estimator import CorrelationCPD
from msig_lib.changepoint.forecasters import RNNSettings, fit_rnn
from msig_lib.changepoint.graph_use import errors_by_graph
from msig_lib.changepoint.settings import ModelSettings, TrainSettings
from msig_lib.changepoint.signal import Scores
from msig_lib.changepoint.springs import SpringSettings, observe, splits
from msig_lib.changepoint.study import TEST_SEED, Job, View, World
from msig_lib.lm.threads import torch_threads
from msig_lib.runs import results

SMALL = SpringSettings(particles=3, frames=60, steps=3, step=0.03, connection_label="graph")
WORLD = World(4, 2, 3, settings=SMALL)
TINY = (
    ("train_settings", TrainSettings(epochs=1, batch_size=4)),
    ("model_settings", ModelSettings(encoder_width=8, decoder_width=8)),
)
OTHERS = {"big": study.with_size(WORLD, 2.0)}


def asked(job):
    """What every job is also tested on."""
    return OTHERS


CORD = Job("cord_gnn_rnn", 0, View(0.02), TINY)
RNN = Job("rnn", 1, View(0.02, True), (("steps", 2), ("hidden", 4)))


@pytest.fixture(scope="module")
def learned():
    return study.learn_all([CORD, RNN], WORLD, asked)


def same(left, right):
    """Whether two scores, or what is learnt, hold the same numbers, to the last bit."""
    if isinstance(left, Scores):
        names = ("correlation", "independent", "ensemble", "graph")
        return all(np.array_equal(getattr(left, n), getattr(right, n)) for n in names)
    if isinstance(left, study.Learned):
        steps = [
            [{k: v for k, v in row.items() if k != "seconds"} for row in one.history] for one in (left, right)
        ]
        pairs = [(left.scores, right.scores)]
        for a, b in ((left.others, right.others), (left.by_graph, right.by_graph)):
            assert list(a) == list(b)
            pairs += [(a[name], b[name]) for name in a]
        return left.job == right.job and steps[0] == steps[1] and all(same(a, b) for a, b in pairs)
    return np.array_equal(left, right)


# Worlds and views


def test_parts_are_the_splits_of_a_seed_as_a_sensor_sees_them():
    made = splits(4, 2, 3, seed=5, settings=SMALL)
    for k, name in enumerate(study.PARTS):
        clean, seen = WORLD.part(name, seed=5), WORLD.part(name, View(0.1, True), 5)
        np.testing.assert_array_equal(clean.X, made[name].X)
        np.testing.assert_array_equal(clean.change_time, made[name].change_time)
        expected = observe(made[name], noise=0.1, hide_velocity=True, seed=15 + k)
        np.testing.assert_array_equal(seen.X, expected.X)
        assert seen.X.shape == (*clean.X.shape[:3], 2) and len(seen) == 3 * (4, 2, 3)[k]
        np.testing.assert_array_equal(seen.X, WORLD.part(name, View(0.1, True), 5).X)
    noise = [WORLD.part(n, View(0.1), 5).X[0, 0] - WORLD.part(n, seed=5).X[0, 0] for n in study.PARTS]
    assert not np.allclose(noise[0], noise[1]) and not np.allclose(noise[1], noise[2])


def test_seeds_have_their_own_series_and_the_compared_ones_come_with_their_counterfactual():
    assert not np.array_equal(WORLD.part("train", seed=0).X, WORLD.part("train", seed=1).X)
    tested = WORLD.part("test")
    np.testing.assert_array_equal(tested.X, WORLD.part("test", seed=TEST_SEED).X)
    assert tested.counterfactual is not None and WORLD.part("test", seed=0).counterfactual is None
    before = tested.change_time.min() - 1
    np.testing.assert_array_equal(tested.X[:, :before], tested.counterfactual[:, :before])
    assert set(tested.kind) == set(study.KINDS)


def test_a_world_keeps_to_its_settings_and_convention():
    official = World(1, 1, 4, settings=SpringSettings(frames=100, steps=3, step=0.03), convention="official")
    times = official.part("test").change_time
    assert times.min() >= 34 and times.max() <= 65
    with pytest.raises(ValueError, match="part 'tests' was asked for, expected 'train', 'valid', 'test'"):
        WORLD.part("tests")
    with pytest.raises(ValueError, match="noise is -1"):
        WORLD.part("test", View(-1))


def test_views_and_their_factors_tell_each_other_apart():
    found = study.views([0.0, 0.05])
    assert found == [View(0.0), View(0.05), View(0.0, True), View(0.05, True)]
    assert study.views(iter([0.0, 0.05])) == found  # an iterator is not used up by the first half
    assert study.views([0.1], [True]) == [View(0.1, True)]
    assert len({tuple(v.factors.items()) for v in found}) == 4
    assert View(0, True).factors == {"noise": 0.0, "seen": "location"}


def test_larger_changes_have_larger_kicks_and_flip_more_pairs():
    five = World()
    for factor, flips in ((0.25, 1), (0.5, 2), (1.0, 5), (1.5, 8), (2.0, 9), (10.0, 9)):
        made = study.with_size(five, factor)
        assert made.settings.flips == flips == study.least_flips(five.settings, factor)
        assert made.settings.location_kick == pytest.approx(0.1 * factor)
        assert made.settings.speed_kick == pytest.approx(0.02 * factor)
        assert replace(made, settings=five.settings) == five
    chosen = replace(five, settings=replace(five.settings, flips=3))
    assert study.with_size(chosen, 2.0).settings.flips == 6
    assert study.with_size(chosen, 1.0).settings == chosen.settings
    assert study.with_size(World(settings=SpringSettings(particles=2)), 2.0).settings.flips == 1
    drawn = [w.part("test") for w in (WORLD, OTHERS["big"])]
    rows = drawn[0].kind == "location"
    moved = [abs(s.X - s.counterfactual)[rows, s.change_time[rows]][..., :2] for s in drawn]
    np.testing.assert_allclose(moved[1], 2 * moved[0], rtol=0.02, atol=1e-3)


def test_the_decoder_remembers_where_one_frame_does_not_tell_how_a_particle_moves():
    for view in study.views([0.0, 0.05]):
        options = dict(study.recipe(view, 3))
        assert options["train_settings"].epochs == 3
        assert options["model_settings"].decoder_output == ("mlp" if view == View() else "rnn")
        assert set(options) <= set(CorrelationCPD().get_params())
        assert hash(Job("cord_gnn_rnn", 0, view, study.recipe(view, 3)))


def test_every_encoder_has_a_learning_rate_of_its_own():
    assert list(study.LEARNING_RATES) == list(study.CORD)
    rates = {
        method: dict(study.recipe(View(), 2, method))["train_settings"].learning_rate for method in study.CORD
    }
    assert rates == study.LEARNING_RATES
    assert study.recipe(View(), 2) == study.recipe(View(), 2, "cord_gnn_rnn")
    assert rates["cord_gnn_rnn"] == TrainSettings().learning_rate
    with pytest.raises(ValueError, match="'rnn' has no recipe"):
        study.recipe(View(), 2, "rnn")


def test_every_learner_and_peer_has_a_name():
    assert {*study.CORD, *study.DEEP, *study.PEERS, *study.SHOWN, *study.THESIS} <= set(study.NAMES)
    detectors = set(free.families(True, True, WORLD.part("train", seed=0)))
    assert detectors <= set(study.NAMES)
    assert len(set(study.NAMES.values())) == len(study.NAMES)


# Learning


def test_learning_repeats_and_is_the_same_in_processes_of_its_own(learned):
    assert [one.job for one in learned] == [CORD, RNN]
    assert all(same(a, study.learn(job, WORLD, OTHERS)) for a, job in zip(learned, (CORD, RNN)))
    apart = study.learn_all([CORD, RNN], WORLD, asked, threads=2)
    assert all(same(a, b) for a, b in zip(learned, apart))
    views, slow = [View(0.02), View(0.02, True)], ("bocpd", "rdr", "mmd", "graphical_lasso", "best_split")
    free_here = study.score_free_all(WORLD, views, without=slow)
    free_apart = study.score_free_all(WORLD, views, without=slow, threads=2)
    get_reusable_executor().shutdown(wait=True)  # idle processes would stay for minutes
    for here, there in zip(free_here, free_apart):
        assert list(here) == list(there) and all(same(here[name], there[name]) for name in here)
    assert "kinematic" in free_here[0] and "kinematic" not in free_here[1]
    assert not set(slow) & set(free_here[0])


def test_what_is_learnt_has_the_scores_of_every_world(learned):
    cord, rnn = learned
    tested = WORLD.part("test", CORD.view)
    assert isinstance(cord.scores, Scores) and isinstance(cord.others["big"], Scores)
    assert cord.scores.graph.shape == (9, 60, 6) and cord.scores.start == 15
    assert not same(cord.scores, cord.others["big"])
    assert cord.by_graph == {} and len(cord.history) == 1  # the view is noisy
    assert rnn.scores.shape == rnn.others["big"].shape == tested.X.shape[:2] and rnn.by_graph == {}
    assert study.detection(cord.scores) is cord.scores.ensemble and study.detection(rnn.scores) is rnn.scores
    again = study.learn(replace(CORD, seed=1), WORLD)
    assert again.others == {} and not same(again.scores, cord.scores)


def test_learning_is_the_estimator_on_the_series_of_the_job_s_seed(learned):
    cord, rnn = learned
    tested = WORLD.part("test", CORD.view).X
    model = CorrelationCPD(spatial="gnn", temporal="gru", seed=0, threads=1, **dict(TINY))
    model.fit(WORLD.part("train", CORD.view, 0).X)
    assert same(model.score_samples(tested), cord.scores)
    assert same(model.score_samples(OTHERS["big"].part("test", CORD.view).X), cord.others["big"])
    with torch_threads(1):
        forecaster = fit_rnn(WORLD.part("train", RNN.view, 1).X, RNNSettings(steps=2, hidden=4), seed=1)
        assert same(forecaster.scores(WORLD.part("test", RNN.view).X), rnn.scores)


def test_forecasts_by_other_graphs_are_made_of_the_plain_view():
    job = replace(CORD, view=View())
    found = study.learn(job, WORLD)
    model = CorrelationCPD(spatial="gnn", temporal="gru", seed=0, threads=1, **dict(TINY))
    model.fit(WORLD.part("train", View(), 0).X)
    expected = errors_by_graph(model, WORLD.part("test", View()).X)
    assert list(found.by_graph) == list(expected) == ["generated", "another series'", "average"]
    assert all(np.array_equal(found.by_graph[source], expected[source]) for source in expected)


def test_a_model_is_asked_about_the_worlds_that_the_page_shows():
    sized, several = {"2": WORLD}, {"several": WORLD}

    def names(method, seed=0, noise=0.0, hidden=False):
        return list(study.asked_of(Job(method, seed, View(noise, hidden)), sized, several, seed=0))

    assert names("cord_gnn_rnn") == names("cord_gnn_rnn", 1) == names("rnn", 1) == ["2", "several"]
    assert names("cord_trans_rnn") == names("klcpd", 1) == ["several"]
    assert names("cord_gnn_rnn", 0, 0.05) == ["2"]
    assert names("cord_gnn_rnn", 1, 0.05) == names("rnn", 0, 0.05) == []
    assert names("cord_gnn_rnn", 0, 0.05, True) == []


def test_what_is_tested_does_not_change_what_is_learnt(learned):
    """The test series are others here: the history and the scores of the former ones stay as they were."""
    wider = replace(WORLD, test=5, valid=1)
    with_former = study.learn(CORD, wider, {"former": WORLD})
    rows = [{k: v for k, v in one.history[0].items() if k != "seconds"} for one in (learned[0], with_former)]
    assert rows[0] == rows[1]
    assert same(with_former.others["former"], learned[0].scores)
    deep = study.learn(RNN, wider, {"former": WORLD})
    assert same(deep.others["former"], learned[1].scores) and len(deep.scores) == 15


def test_seconds_are_those_of_training_alone(monkeypatch):
    clock, part = [0.0], World.part

    def passes(seconds, value):
        clock[0] += seconds
        return value

    def scored(X):
        return passes(100, np.zeros(X.shape[:2]))

    monkeypatch.setattr(study, "time", SimpleNamespace(process_time=lambda: clock[0]))
    monkeypatch.setattr(World, "part", lambda *given: passes(1000, part(*given)))
    monkeypatch.setattr(study, "deep", lambda *given, **options: passes(5, SimpleNamespace(scores=scored)))
    assert study.learn(RNN, WORLD, OTHERS).seconds == 5


def test_unknown_methods_and_options_are_refused():
    with pytest.raises(ValueError, match=r"'rnnn' is no learner, expected one of cord_gnn_rnn, .*klcpd"):
        study.learn(Job("rnnn", 0), WORLD)
    with pytest.raises(TypeError, match="stepz"):
        study.learn(Job("rnn", 0, options=(("stepz", 3),)), WORLD)
    with pytest.raises(ValueError, match="steps is 0"):
        study.deep("lstnet", np.zeros((2, 30, 2, 1)), 0, steps=0)


@pytest.mark.parametrize("method", list(study.DEEP))
def test_a_peer_is_trained_with_its_own_settings_but_for_those_given(method, monkeypatch):
    settings = study.DEEP[method][1]
    seen = {}
    monkeypatch.setitem(study.DEEP, method, (lambda X, s, seed: seen.update(X=X, s=s, seed=seed), settings))
    study.deep(method, "X", 7, steps=3)
    assert seen == {"X": "X", "s": replace(settings, steps=3), "seed": 7}


# What learns nothing


def test_detectors_are_chosen_on_valid_and_tested_once(monkeypatch):
    asked, part = [], World.part
    monkeypatch.setattr(World, "part", lambda *given: asked.append(given[1]) or part(*given))
    expected = free.choose(part(WORLD, "valid", View(0.02, True)), springs=True, without=("bocpd", "rdr"))
    seen, choose = [], free.choose
    monkeypatch.setattr(
        study.free,
        "choose",
        lambda valid, **options: seen.append((valid, options)) or choose(valid, **options),
    )
    found = study.score_free(WORLD, View(0.02, True), without=("bocpd", "rdr"))
    assert asked == ["valid", "test"]
    (valid, options), *rest = seen
    assert not rest and options["velocity"] is False and options["train"] is None
    np.testing.assert_array_equal(valid.X, part(WORLD, "valid", View(0.02, True)).X)
    X = part(WORLD, "test", View(0.02, True)).X
    assert list(found) == list(expected)
    for name, (detector, _) in expected.items():
        np.testing.assert_array_equal(found[name], detector(X))


# Records


def by_hand(scores, series, kind, neighbours):
    """AUC of the frames of all series of a kind, z-scored over the frames looked at, one frame at a time."""
    start = scores.shape[1] // 4
    labels, values = [], []
    for s in np.flatnonzero(series.kind == kind):
        inside = scores[s, start : scores.shape[1] - start + 1]
        z = (scores[s] - inside.mean()) / inside.std()
        for t in range(start, scores.shape[1] - start + 1):
            away = abs(t - series.change_time[s])
            if 0 < away <= {"keep": 0, "drop": 1, "near": 2}[neighbours]:
                continue
            labels.append(away == 0)
            values.append(z[max(t - 1, 0) : t + 2].max() if neighbours == "near" else z[t])
    return roc_auc_score(labels, values)


def test_a_record_is_by_kind_and_as_worked_out_by_hand():
    series = WORLD.part("test")
    scores = np.random.default_rng(0).normal(size=(9, 60)) * np.geomspace(1, 1e4, 9)[:, None]
    log = results.Log()
    study.record(log, scores, series, method="m", seed=3, noise=0.0)
    assert set(log.metrics()) == {"auc", "auc_official", "auc_plain", "tri", "distance", "f1"}
    assert len(log) == 18 and {row.seed for row in log.rows} == {3}
    for kind in study.KINDS:
        rows = series.kind == kind
        for metric, neighbours in (("auc", "near"), ("auc_official", "drop"), ("auc_plain", "keep")):
            (row,) = log.select(metric, kind=kind, method="m", noise=0.0)
            assert row.value == pytest.approx(by_hand(scores, series, kind, neighbours), abs=1e-12)
            assert len(row.items) == rows.sum() == 3
        off = abs(15 + scores[rows, 15:46].argmax(axis=1) - series.change_time[rows])
        np.testing.assert_array_equal(log.select("distance", kind=kind)[0].items, off)
        np.testing.assert_array_equal(log.select("f1", kind=kind)[0].items, off <= 5)
        np.testing.assert_allclose(log.select("tri", kind=kind)[0].items, np.maximum(0, 1 - off / 15))


def test_a_record_does_not_see_the_scale_of_a_series_nor_its_ends():
    series = WORLD.part("test")
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(9, 60))
    other = scores * rng.uniform(0.1, 100, size=(9, 1)) + rng.normal(size=(9, 1)) * 1000
    other[:, :14] += 1e6  # the frame before the first is its neighbour (`near`)
    other[:, 47:] -= 1e6
    logs = results.Log(), results.Log()
    for log, values in zip(logs, (scores, other)):
        study.record(log, values, series, method="m")
    for a, b in zip(logs[0].rows, logs[1].rows):
        np.testing.assert_allclose(a.items, b.items, atol=1e-9, err_msg=a.metric)
    plain = evaluate.auc(other[:3], series.change_time[:3], start=15)
    assert abs(plain - logs[1].select("auc_official", kind="location")[0].value) > 1e-3  # it would matter


def test_scores_of_other_series_are_refused():
    series, log = WORLD.part("test"), results.Log()
    for wrong in (np.zeros((8, 60)), np.zeros((9, 59)), np.zeros(60)):
        with pytest.raises(ValueError, match=r"expected \(9, 60\), one for each frame of the series"):
            study.record(log, wrong, series, method="m")
    three = np.zeros((9, 60))
    with pytest.raises(ValueError, match="of the three scores of CORD_CPD: `detection`"):
        study.record(log, Scores(three, three, three), series, method="m")
    with pytest.raises(ValueError, match="is nan, expected finite"):
        study.record(log, np.full((9, 60), np.nan) + three, series, method="m")
    with pytest.raises(ValueError, match="needs both"):
        study.record(log, three, Series(series.X, np.full(9, -1), ["none"] * 9, "made"), method="m")
    assert len(log) == 0


def test_a_trained_model_is_recorded_with_its_scores_graphs_types_and_cost(learned):
    log, series = results.Log(), WORLD.part("test", CORD.view)
    cord, rnn = learned
    study.record_learned(log, cord, series, size=1.0)
    study.record_learned(log, rnn, WORLD.part("test", RNN.view))
    common = {"method": "cord_gnn_rnn", "noise": 0.02, "seen": "location and speed", "size": 1.0}
    for score in ("ensemble", "correlation", "independent"):
        one = results.Log()
        study.record(one, getattr(cord.scores, score), series, method="m")
        for row in one.rows:
            kept = log.select(row.metric, kind=row.factors["kind"], score=score, **common)
            assert [r.seed for r in kept] == [0]
            np.testing.assert_array_equal(kept[0].items, row.items)
    assert log.select("train_seconds", **common)[0].value == cord.seconds > 0
    for source, errors in cord.by_graph.items():
        np.testing.assert_array_equal(log.select("forecast_error", source=source, **common)[0].items, errors)
    connected = cord.scores.graph >= 0.5
    for kind in study.KINDS:
        rows = np.flatnonzero(series.kind == kind)
        right = [
            np.mean([[connected[s, t, e] == series.graph[s, int(t >= series.change_time[s]), i, j]
                      for e, (i, j) in enumerate((i, j) for i in range(3) for j in range(3) if i != j)]
                     for t in range(60)])
            for s in rows
        ]  # fmt: skip
        np.testing.assert_allclose(log.select("graph_accuracy", kind=kind, **common)[0].items, right)
    z = cord.scores.normed()
    for label, times in (("with", series.change_time), ("without", cord.scores.predicted())):
        margin = (z[0] - 0.75 * z[1])[np.arange(9), times]
        (row,) = log.select("type_auc", label=label, kind="all", **common)
        assert row.value == pytest.approx(roc_auc_score(series.kind == "connection", margin), abs=1e-12)
        for kind in study.KINDS:
            told = (margin >= 0)[series.kind == kind] == (kind == "connection")
            (row,) = log.select("type_accuracy", label=label, kind=kind, **common)
            np.testing.assert_array_equal(row.items, told)
    forecasts = [row for row in log.rows if row.factors["method"] == "rnn" and row.metric != "train_seconds"]
    assert {row.factors["score"] for row in forecasts} == {"forecast"} and len(forecasts) == 18
    assert {(row.factors["noise"], row.factors["seen"]) for row in forecasts} == {(0.02, "location")}


def test_graphs_are_compared_only_where_both_are_known(learned):
    series = WORLD.part("test", CORD.view)
    for found, of in (
        (learned[0].scores, replace(series, graph=None)),
        (replace(learned[0].scores, graph=None), series),
    ):
        with pytest.raises(ValueError, match="graphs can be compared only where"):
            study.record_graphs(results.Log(), found, of)
