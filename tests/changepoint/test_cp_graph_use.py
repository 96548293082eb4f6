"""Forecast errors by graph against windows forecast one at a time with `rollout`."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from msig_lib.changepoint.estimator import CorrelationCPD
from msig_lib.changepoint.graph_use import SOURCES, errors_by_graph
from msig_lib.changepoint.settings import ModelSettings, TrainSettings

WINDOW = 3


def series(n=4, n_frames=14, n_variables=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_frames, n_variables, 2)).cumsum(axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    model = CorrelationCPD(
        window=WINDOW,
        model_settings=ModelSettings(encoder_width=8, decoder_width=8),
        train_settings=TrainSettings(epochs=1, batch_size=2),
    ).fit(series())
    with torch.no_grad():  # so little training leaves the graphs without a use: here forecasts depend on them
        model.model_.decoder.out.weight *= 30
    return model


def by_hand(model, x, graph):
    """Mean over frames t >= 1 of the error of frames t..t+k-1 (those that exist), rolled out from t - 1."""
    errors = []
    for t in range(1, len(x)):
        span = slice(t - 1, min(t + WINDOW, len(x)))
        part = torch.from_numpy(x[None, span])
        with torch.no_grad():
            found = model.rollout(part, torch.from_numpy(graph[None, span]), WINDOW)[0].numpy()
        errors.append(((found.astype(np.float64) - x[span][1:]) ** 2).mean())
    return np.mean(errors)


def test_errors_are_those_of_windows_forecast_one_at_a_time(fitted):
    X = series(seed=5)
    graph = fitted.score_samples(X).graph
    normed = ((X - fitted.mean_) / fitted.scale_).astype(np.float32)
    found = errors_by_graph(fitted, X, seed=0)
    assert tuple(found) == SOURCES
    assert all(v.shape == (4,) and v.dtype == np.float64 for v in found.values())
    table = np.array(
        [[by_hand(fitted.model_, x, g) for g in graph] for x in normed]
    )  # series, graph of series
    np.testing.assert_allclose(found["generated"], table.diagonal(), rtol=1e-4)
    average = [by_hand(fitted.model_, x, graph.mean(0)) for x in normed]
    np.testing.assert_allclose(found["average"], average, rtol=1e-4)
    assert np.ptp(table, axis=1).min() > 1e-3 * table.mean()  # the graphs matter, or this would test nothing
    other = found["another series'"]
    match = [np.isclose(other, table[np.arange(4), (np.arange(4) + k) % 4], rtol=1e-4) for k in range(4)]
    assert sum(m.all() for m in match) == 1 and not match[0].any()  # one shift for all, and nobody its own


def test_two_series_swap_their_graphs_for_every_seed(fitted):
    X = series(2, seed=9)
    graph = fitted.score_samples(X).graph
    normed = ((X - fitted.mean_) / fitted.scale_).astype(np.float32)
    swapped = [by_hand(fitted.model_, normed[s], graph[1 - s]) for s in (0, 1)]
    for seed in range(3):
        np.testing.assert_allclose(
            errors_by_graph(fitted, X, seed=seed)["another series'"], swapped, rtol=1e-4
        )


def test_batches_do_not_matter_and_other_seeds_pair_other_series(fitted):
    X = series(7, seed=3)
    whole = errors_by_graph(fitted, X)
    for batch in (1, 3):
        for name, values in errors_by_graph(fitted, X, batch=batch).items():
            np.testing.assert_allclose(values, whole[name], rtol=1e-5)
    again = errors_by_graph(fitted, X)
    assert all(np.array_equal(whole[name], again[name]) for name in SOURCES)
    pairings = {tuple(errors_by_graph(fitted, X, seed=s)["another series'"].round(9)) for s in range(6)}
    assert 1 < len(pairings) <= 6


def test_a_decoder_that_ignores_the_graph_is_as_good_with_any():
    model = CorrelationCPD(
        window=WINDOW,
        model_settings=ModelSettings(encoder_width=8, decoder_width=8),
        train_settings=TrainSettings(epochs=0),
    ).fit(series())
    torch.nn.init.zeros_(model.model_.decoder.out.weight)
    found = errors_by_graph(model, series(seed=1))
    for name in SOURCES[1:]:
        np.testing.assert_array_equal(found[name], found["generated"])
    x = (series(seed=1) - model.mean_) / model.scale_
    ahead = [((x[:, t : t + WINDOW] - x[:, [t - 1]]) ** 2).mean((1, 2, 3)) for t in range(1, 14)]
    np.testing.assert_allclose(found["generated"], np.mean(ahead, axis=0), rtol=1e-4)  # "nothing moves"


def test_bad_input_is_refused(fitted):
    with pytest.raises(ValueError, match="at least 2 series of at least 2 variables"):
        errors_by_graph(fitted, series(1))
    with pytest.raises(ValueError, match="at least 2 series of at least 2 variables"):
        errors_by_graph(fitted, series(n_variables=1))
    with pytest.raises(ValueError, match="fitted on 3"):
        errors_by_graph(fitted, series(n_variables=4))
    with pytest.raises(ValueError, match="batch is 0"):
        errors_by_graph(fitted, series(), batch=0)
    with pytest.raises(ValueError, match="graph has shape"):
        errors_by_graph(fitted, series(), np.zeros((3, 14, 2), dtype=np.float32))
    with pytest.raises(TypeError, match="array of numbers"):
        errors_by_graph(fitted, np.full((2, 14, 3, 2), "a"))
    with pytest.raises(NotFittedError):
        errors_by_graph(CorrelationCPD(), series())
    gap = series()
    gap[0, 3, 1] = np.nan
    with pytest.warns(UserWarning, match="interpolated") as told:
        errors_by_graph(fitted, gap)
    assert len(told) == 1
