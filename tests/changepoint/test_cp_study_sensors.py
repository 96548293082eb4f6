"""The sensor study on made-up sets: standardised once, learnt without labels, and a control that has only labels."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from msig_lib.changepoint import study, study_sensors
from msig_lib.changepoint.data import Series
from msig_lib.changepoint.estimator import CorrelationCPD
from msig_lib.changepoint.forecasters import RNNSettings, fit_rnn
from msig_lib.changepoint.settings import ModelSettings, TrainSettings
from msig_lib.changepoint.study_sensors import SensorJob
from msig_lib.runs import results

TINY = (
    ("train_settings", TrainSettings(epochs=1, batch_size=4)),
    ("model_settings", ModelSettings(encoder_width=8, decoder_width=8)),
)
RNN = (("steps", 2), ("hidden", 4))


def made(seed, n, n_frames=40):
    rng = np.random.default_rng(seed)
    times = rng.integers(10, 31, size=n)
    X = rng.normal(size=(n, n_frames, 3, 1)).cumsum(axis=1) * [[1.0], [50.0], [0.01]] + [[5.0], [0.0], [-3.0]]
    return Series(X, times, ["a to b", "b to a"] * (n // 2), "toy")


@pytest.fixture
def toy(monkeypatch):
    """Two sets, one with a control, and how often each was made."""
    built = []

    def of(name, *parts):
        return lambda: (
            built.append(name) or {part: made(k, 8 if k == 0 else 4) for k, part in enumerate(parts)}
        )

    sets = {
        "toy": of("toy", "train", "valid", "test", "control"),
        "bare": of("bare", "train", "valid", "test"),
    }
    monkeypatch.setattr(study_sensors, "SETS", sets)
    parts = study_sensors.parts  # tests put others in its place
    parts.cache_clear()
    yield built
    parts.cache_clear()


def test_parts_are_standardised_by_the_channels_of_train_and_made_once(toy):
    found = study_sensors.parts("toy")
    raw = made(0, 8).X.astype(np.float64)
    mean, spread = raw.mean((0, 1)), raw.std((0, 1))
    for k, part in enumerate(("train", "valid", "test", "control")):
        np.testing.assert_allclose(found[part].X, (made(k, 8 if k == 0 else 4).X - mean) / spread, atol=2e-5)
    np.testing.assert_allclose(found["train"].X.std((0, 1)), 1.0, atol=1e-4)
    assert study_sensors.parts("toy") is found and toy == ["toy"]


def test_unknown_sets_are_told_apart_from_those_that_are_not_here(monkeypatch):
    assert set(study_sensors.TITLES) == set(study_sensors.SETS) and set(study_sensors.NEEDS) < set(
        study_sensors.SETS
    )
    for ask in (study_sensors.at_hand, lambda names: study_sensors.parts(names[0])):
        with pytest.raises(
            KeyError, match=r"dance: unknown sensor series, there are basic_motions.*beedance"
        ):
            ask(["dance"])
    everything = list(study_sensors.SETS)
    monkeypatch.setattr(study_sensors.datasets, "available", lambda name: (name == "klcpd", "told"))
    assert study_sensors.at_hand(everything) == ["basic_motions", "basic_motions_blend", "beedance"]
    monkeypatch.setattr(study_sensors.datasets, "available", lambda name: (False, "told"))
    assert study_sensors.at_hand(["walk", "basic_motions"]) == ["basic_motions"]
    assert study_sensors.at_hand([]) == []


def test_learning_is_the_estimator_by_variable_on_the_training_windows(toy):
    found = study_sensors.parts("toy")
    jobs = [SensorJob("cord_gnn_rnn", "toy", 3, TINY), SensorJob("rnn", "bare", 4, RNN)]
    (cord, seconds), (rnn, _) = study_sensors.learn_all(jobs)
    assert list(cord) == ["test", "control"] and list(rnn) == ["test"] and seconds > 0
    model = CorrelationCPD(spatial="gnn", temporal="gru", scale="variable", seed=3, threads=1, **dict(TINY))
    model.fit(found["train"].X)
    for part, scores in cord.items():
        np.testing.assert_array_equal(scores, model.score_samples(found[part].X).ensemble)
    bare = study_sensors.parts("bare")
    forecaster = fit_rnn(bare["train"].X, RNNSettings(steps=2, hidden=4), seed=4)
    np.testing.assert_allclose(rnn["test"], forecaster.scores(bare["test"].X), rtol=1e-5)
    again, _ = study_sensors.learn(jobs[0])
    assert all(np.array_equal(cord[part], again[part]) for part in cord)
    other, _ = study_sensors.learn(replace(jobs[0], seed=5))
    assert not np.array_equal(other["test"], cord["test"])


def test_labels_and_untested_parts_change_nothing(toy, monkeypatch):
    job = SensorJob("cord_gnn_rnn", "toy", 3, TINY)
    before, _ = study_sensors.learn(job)
    true = study_sensors.parts("toy")

    def hidden(name):
        blank = {
            k: replace(s, change_time=np.full(len(s), -1), kind=["none"] * len(s)) for k, s in true.items()
        }
        return {k: s for k, s in blank.items() if k != "valid"}

    monkeypatch.setattr(study_sensors, "parts", hidden)
    after, _ = study_sensors.learn(job)
    assert all(np.array_equal(before[part], after[part]) for part in ("test", "control"))


def test_seconds_are_those_of_training_alone(toy, monkeypatch):
    clock = [0.0]

    def passes(seconds, value):
        clock[0] += seconds
        return value

    learner = SimpleNamespace(scores=lambda X: passes(100, np.zeros(X.shape[:2])))
    parts = study_sensors.parts
    monkeypatch.setattr(study_sensors, "time", SimpleNamespace(process_time=lambda: clock[0]))
    monkeypatch.setattr(study_sensors, "parts", lambda name: passes(1000, parts(name)))
    monkeypatch.setattr(study_sensors, "deep", lambda *given, **options: passes(5, learner))
    assert study_sensors.learn(SensorJob("rnn", "toy", 0))[1] == 5


def test_unknown_methods_are_refused(toy):
    with pytest.raises(ValueError, match="'corde' is no learner, expected one of cord_gnn_rnn"):
        study_sensors.learn(SensorJob("corde", "toy", 0))
    with pytest.raises(KeyError, match="dance"):
        study_sensors.learn(SensorJob("rnn", "dance", 0))


def test_scores_of_sensors_can_be_recorded(toy):
    found = study_sensors.parts("toy")
    scores, _ = study_sensors.learn(SensorJob("rnn", "toy", 0, RNN))
    log = results.Log()
    for part, values in scores.items():
        study.record(log, values, found[part], method="rnn", seed=0, data="toy", part=part)
    assert {row.factors["kind"] for row in log.rows} == {"a to b", "b to a"}
    assert len(log) == 2 * 2 * 6


def test_the_control_is_how_often_changes_of_train_lie_near_a_frame():
    train = made(0, 8)
    train = replace(train, change_time=np.where(np.arange(8) == 2, -1, train.change_time))
    found = study_sensors.position_only(train, 3, width=2.0)
    expected = [
        sum(np.exp(-0.5 * ((t - c) / 2.0) ** 2) for c in train.change_time.tolist() if c >= 0)
        for t in range(40)
    ]
    assert found.shape == (3, 40) and found.dtype == np.float64
    np.testing.assert_allclose(found, [expected] * 3)
    alone = replace(train, change_time=np.where(np.arange(8) == 0, 17, -1))
    assert study_sensors.position_only(alone, 1).argmax() == 17
    nothing = replace(train, change_time=np.full(8, -1))
    assert (study_sensors.position_only(nothing, 2) == 0).all()
