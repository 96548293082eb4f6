"""The estimator finds a change it can learn, keeps scikit-learn's rules, and its defined corners are as defined."""

import doctest
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from msig_lib.changepoint import estimator, signal
from msig_lib.changepoint.estimator import CorrelationCPD, as_series
from msig_lib.changepoint.settings import ModelSettings, TrainSettings

TINY = ModelSettings(encoder_width=8, decoder_width=8)
ONCE = TrainSettings(epochs=1)


def series(n=8, n_frames=40, n_variables=3, n_features=2, seed=0):
    steps = np.random.default_rng(seed).normal(size=(n, n_frames, n_variables, n_features))
    return steps.cumsum(axis=1).astype(np.float32)


def tiny(**given):
    return CorrelationCPD(**{"model_settings": TINY, "train_settings": ONCE} | given)


@pytest.fixture(scope="module")
def fitted():
    return tiny().fit(series())


def test_the_docstring_runs():
    names = {"np": np, "TrainSettings": TrainSettings, "CorrelationCPD": CorrelationCPD}
    example = doctest.DocTestFinder().find(CorrelationCPD, "CorrelationCPD", globs=names)
    runner = doctest.DocTestRunner()
    results = [runner.run(test) for test in example]
    assert sum(r.attempted for r in results) >= 4 and sum(r.failed for r in results) == 0


def test_it_finds_jumps_of_waves_that_it_was_never_told_of():
    rng = np.random.default_rng(0)
    n, n_frames = 60, 60
    phase = rng.uniform(0, 6.3, size=(n, 1, 3))
    waves = np.sin(0.2 * np.arange(n_frames)[:, None] + phase)
    velocity = np.cos(0.2 * np.arange(n_frames)[:, None] + phase)
    X = np.stack([waves, velocity], axis=-1)
    times = rng.integers(15, 46, size=n)
    after = np.arange(n_frames)[None, :, None] >= times[:, None, None]
    X[..., 0] += 0.6 * after * rng.choice([-1, 1], size=(n, 1, 3))
    model = CorrelationCPD(
        model_settings=ModelSettings(encoder_width=16, decoder_width=16),
        train_settings=TrainSettings(epochs=12),
        window=2,
    )
    model.fit(X[:40])
    assert model.history_[-1]["mse"] < 0.5 * model.history_[0]["mse"]
    found = model.predict(X[40:])
    assert found.dtype == np.int64 and found.shape == (20,)
    assert (np.abs(found - times[40:]) <= 1).mean() > 0.8
    assert (model.predict_type(X[40:], times[40:]) == "independent").mean() > 0.8


def test_it_keeps_the_rules_of_scikit_learn(fitted):
    given_ = {"window": 3, "alpha": 0.5, "seed": 4, "model_settings": TINY, "scale": "variable"}
    model = CorrelationCPD("transformer", "gru", **given_)
    assert {name: model.get_params()[name] for name in given_} == given_
    other = clone(model).set_params(window=2)
    assert (other.window, other.spatial, model.window) == (2, "transformer", 3)
    assert not [name for name in vars(model) if name.endswith("_")]
    for call in (model.predict, model.score_samples, model.predict_type, model.graph):
        with pytest.raises(NotFittedError):
            call(series())
    with pytest.raises(NotFittedError):
        model.save("nowhere")
    assert fitted.fit(series(), y=[1, 2]) is fitted
    assert (fitted.n_variables_in_, fitted.n_features_in_) == (3, 2)
    assert list(fitted.history_[0])[:2] == ["number", "loss"] and len(fitted.history_) == 1
    assert {type(value) for value in fitted.history_[0].values()} == {int, float, type(None)}


def test_the_settings_reach_the_model():
    model = tiny(spatial="transformer", model_settings=ModelSettings(encoder_width=8, heads=2)).fit(series())
    assert (model.model_.settings.spatial, model.model_.settings.temporal) == ("transformer", "gru")
    with pytest.raises(ValueError, match="spatial is 'mlp'"):
        tiny(spatial="mlp").fit(series())
    with pytest.raises(TypeError, match=r"ModelSettings\(\*\*settings\)"):
        CorrelationCPD(model_settings={"levels": 2}).fit(series())
    with pytest.raises(ValueError, match="scale is 'none'"):
        tiny(scale="none").fit(series())


def test_without_train_settings_the_number_of_steps_is_that_of_the_chapter(monkeypatch):
    seen = []
    monkeypatch.setattr(
        estimator.train, "fit", lambda model, X, chosen, seed: seen.append(chosen.epochs) or []
    )
    for n in (8, 1500, 20_000):
        CorrelationCPD(model_settings=TINY).fit(np.random.default_rng(0).normal(size=(n, 6, 2)))
    assert seen == [1100, 6, 1]


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(fitted):
    again = tiny().fit(series())
    for name in ("correlation", "independent", "ensemble", "graph"):
        assert (getattr(again.score_samples(series(4, seed=1)), name)
                == getattr(fitted.score_samples(series(4, seed=1)), name)).all()  # fmt: skip
    other = tiny(seed=1).fit(series())
    assert not np.allclose(other.score_samples(series()).graph, fitted.score_samples(series()).graph)


def test_one_threads_number_is_used_and_restored():
    import torch

    before = torch.get_num_threads()
    tiny(threads=1).fit(series())
    assert torch.get_num_threads() == before


def test_scores_graphs_and_times_belong_together(fitted):
    X = series(6, seed=2)
    scores = fitted.score_samples(X)
    assert (scores.start, scores.stop) == (10, None)  # a quarter of 40 frames
    graph = fitted.graph_
    assert graph.shape == (6, 40, 3, 3) and graph.dtype == np.float32
    assert (graph[:, :, range(3), range(3)] == 0).all()
    assert (graph[:, :, 1, [0, 2]] == scores.graph[:, :, 2:4]).all()  # receiver 1 hears 0 and 2
    alone = fitted.graph(X[:2])  # matrix products may round otherwise in a batch of another size
    np.testing.assert_allclose(alone, graph[:2], atol=1e-6)
    assert (fitted.graph_ == alone).all() and alone.shape == (2, 40, 3, 3)
    times = fitted.predict(X)
    assert (times == signal.predicted_time(scores.ensemble, 10)).all()
    assert (fitted.predict_type(X) == signal.change_type(scores)).all()
    other = clone(fitted).set_params(alpha=0.1, tau=0.3).fit(series())
    assert (other.predict_type(X) == signal.change_type(scores, alpha=0.1, tau=0.3)).all()
    assert (fitted.predict_type(X, times + 1) == signal.change_type(scores, times + 1)).all()


def test_several_changes_are_peaks(fitted):
    X = series(6, seed=2)
    scores = fitted.score_samples(X)
    found = fitted.predict(X, n_changes=3, min_distance=5)
    expected = signal.peak_times(scores.ensemble, n=3, min_distance=5, start=10)
    assert [t.tolist() for t in found] == [t.tolist() for t in expected]
    assert [len(t) for t in fitted.predict(X, threshold=1e9)] == [0] * 6
    assert [t.tolist() for t in fitted.predict(X, n_changes=1)] == [[t] for t in fitted.predict(X)]
    with pytest.raises(ValueError, match="n is 0"):
        fitted.predict(X, n_changes=0)


def test_graphs_are_there_only_after_scoring():
    model = tiny().fit(series())
    assert not hasattr(model, "graph_")
    with pytest.raises(AttributeError, match="call score_samples"):
        model.graph_  # noqa: B018


@pytest.mark.parametrize("scale, axes", [("feature", (0, 1, 2)), ("variable", (0, 1))])
def test_series_are_normed_by_the_training_series(scale, axes):
    X = series() * [1, 100] + 7
    model = tiny(scale=scale).fit(X)
    assert model.mean_ == pytest.approx(X.mean(axes).reshape(model.mean_.shape), rel=1e-6)
    assert model.scale_ == pytest.approx(X.std(axes).reshape(model.scale_.shape), rel=1e-6)
    assert model.mean_.shape == ((1, 2) if scale == "feature" else (3, 2))
    same = tiny(scale=scale).fit(series())  # other units, same scores
    a, b = model.score_samples(X).independent, same.score_samples(series()).independent
    assert a == pytest.approx(b, rel=1e-2, abs=1e-3)


def test_series_of_fewer_dimensions_are_series_of_one_feature():
    X = series(5, n_features=1)
    full, flat = tiny().fit(X), tiny().fit(X[..., 0])
    assert (full.predict(X) == flat.predict(X[..., 0])).all()
    one = tiny().fit(X[0, :, :, 0])
    assert one.predict(X[0, :, :, 0]).shape == (1,) and one.n_variables_in_ == 3


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.0, 0.7))
def test_nan_is_interpolated_as_by_pandas(seed, share):
    import pandas as pd

    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2, 12, 2, 2))
    X[rng.random(X.shape) < share] = np.nan
    X[:, 5] = 1.0  # every channel has a number
    missing = int(np.isnan(X).sum())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = as_series(X)
    assert len(caught) == (missing > 0)
    if missing:
        assert str(caught[0].message).startswith(f"{missing} values are NaN")
    for s in range(2):
        table = pd.DataFrame(X[s].reshape(12, 4)).interpolate(limit_direction="both")
        assert found[s].reshape(12, 4) == pytest.approx(table.to_numpy())


def test_what_is_given_is_not_written_into():
    X = series().astype(np.float64)
    X[0, 3, 0, 0] = np.nan
    kept = X.copy()
    with pytest.warns(UserWarning, match="1 values are NaN, in 1 of the channels of 1 series"):
        tiny().fit(X)
    assert np.array_equal(X, kept, equal_nan=True)


def test_what_cannot_be_read_is_refused_by_fit_and_by_predict(fitted):
    X = series()
    gone, endless = X.copy(), X.copy()
    gone[2, :, 1, 0] = np.nan
    endless[1, 2, 0, 1] = -np.inf
    cases = (
        (gone, ValueError, "series 2 has no number at all in variable 1, feature 0"),
        (endless, ValueError, r"infinite at .*\(1, 2, 0, 1\)"),
        (X[:, :5], ValueError, "5 frames and window is 5"),
        (X[:0], ValueError, "none of them empty"),
        (X[0, 0, 0], ValueError, r"shape \(2,\)"),
        (X[None], ValueError, "expected"),
        (np.full((2, 40, 3), "a"), TypeError, "numbers"),
        (X + 1j, TypeError, "complex"),
    )
    for wrong, kind, words in cases:
        for call in (tiny().fit, fitted.predict):
            with pytest.raises(kind, match=words):
                call(wrong)
    with pytest.raises(ValueError, match="too large for a mean"):
        tiny().fit(np.full((2, 40, 3, 2), 1e308) * [1, -1])
    with pytest.raises(ValueError, match="check their units"):
        fitted.predict(X.astype(np.float64) * 1e60)


def test_other_variables_or_features_are_refused_other_lengths_are_not(fitted):
    for wrong in (series(n_variables=4), series(n_features=1)):
        with pytest.raises(ValueError, match="fitted on 3 with 2"):
            fitted.predict(wrong)
    for n_frames, start in ((6, 1), (7, 1), (25, 6), (150, 25)):
        scores = fitted.score_samples(series(2, n_frames=n_frames))
        assert scores.ensemble.shape == (2, n_frames) and scores.start == start
        assert np.isfinite(scores.ensemble).all()
        assert ((scores.predicted() >= start) & (scores.predicted() <= n_frames - start)).all()
    assert (fitted.set_params(margin=3).predict(series()) >= 3).all()
    for margin in (0, 21):
        with pytest.raises(
            ValueError, match=rf"margin is {margin} and the series have 40 frames, expected 1\.\.20"
        ):
            fitted.set_params(margin=margin).predict(series())
    fitted.set_params(margin=None)


def test_constant_channels_become_zero():
    X = series().astype(np.float64)
    X[..., 1] = 1e20 / 3
    model = tiny().fit(X)
    assert np.abs((X - model.mean_) / model.scale_)[..., 1].max() < 1e-9
    assert np.isfinite(model.score_samples(X).ensemble).all()
    nothing = np.full((3, 40, 2, 1), 5.0)
    still = tiny().fit(nothing)
    scores = still.score_samples(nothing)
    assert (still.mean_, still.scale_) == (5, 5) and np.isfinite(scores.ensemble).all()
    assert np.isfinite(tiny().fit(np.zeros((3, 40, 2, 1))).score_samples(nothing).ensemble).all()


def test_one_variable_has_no_pairs():
    X = series(n_variables=1)
    model = tiny().fit(X)
    scores = model.score_samples(X)
    assert (scores.correlation == 0).all() and scores.graph.shape == (8, 40, 0)
    assert (model.predict(X) == signal.predicted_time(scores.independent, 10)).all()
    assert model.graph_.shape == (8, 40, 1, 1) and not model.graph_.any()
