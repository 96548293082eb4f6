"""Scores against loops over frames, with models whose forecasts are known; types and peaks against definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as scipy_signal
from scipy import stats

from msig_lib.changepoint import signal
from msig_lib.changepoint.model import CorrelationDynamics
from msig_lib.changepoint.settings import ModelSettings
from msig_lib.changepoint.signal import OFFICIAL, Scores, ScoreSettings

RNG = np.random.default_rng(0)
SMALL = ModelSettings(encoder_width=8, decoder_width=8)
X = RNG.normal(size=(7, 60, 3, 2)).cumsum(axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return CorrelationDynamics(2, SMALL, seed=3).eval()


def test_correlation_score_equals_a_loop():
    graph = RNG.random((3, 9, 12)).astype(np.float32)
    found = signal.correlation_score(graph)
    assert found.dtype == np.float64 and (found[:, 0] == 0).all()
    for s in range(3):
        for t in range(1, 9):
            expected = sum(abs(float(graph[s, t, e]) - float(graph[s, t - 1, e])) for e in range(12))
            assert found[s, t] == pytest.approx(expected, rel=1e-6)
    assert (signal.correlation_score(np.zeros((2, 5, 0))) == 0).all()
    with pytest.raises(ValueError, match="directed pairs"):
        signal.correlation_score(graph[0])


def test_znorm_is_the_z_score_of_the_evaluated_frames():
    scores = RNG.normal(size=(4, 100)) * [[1], [1e-9], [1e9], [5]] + 3
    assert signal.znorm(scores, 0) == pytest.approx(stats.zscore(scores, axis=1), rel=1e-6)
    part = signal.znorm(scores)[:, 25:76]
    assert part == pytest.approx(stats.zscore(scores[:, 25:76], axis=1), rel=1e-6)
    assert part.mean(axis=1) == pytest.approx(np.zeros(4), abs=1e-6)
    assert part.std(axis=1) == pytest.approx(np.ones(4))
    assert signal.ensemble(scores, scores[::-1]) == pytest.approx(
        signal.znorm(scores) + signal.znorm(scores[::-1])
    )


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e12, 1e12), st.floats(0.01, 100), st.floats(-100, 100))
def test_znorm_of_a_constant_is_zero_and_scale_and_shift_do_not_count(constant, factor, shift):
    scores = np.full((1, 60), constant)
    scores[0, 2] = constant + 1e6  # outside the frames that are looked at
    assert (signal.znorm(scores, 10)[:, :2] == 0).all() and (signal.znorm(scores, 10)[:, 3:] == 0).all()
    values = np.random.default_rng(1).normal(size=(2, 60))
    assert signal.znorm(values * factor + shift, 10) == pytest.approx(signal.znorm(values, 10), abs=1e-9)


@pytest.mark.parametrize("given_range, expected", [((), (25, 75)), ((0,), (0, 99)), ((10, 20), (10, 20))])
def test_frames_include_both_ends(given_range, expected):
    assert signal.frame_range(100, *given_range) == expected


@pytest.mark.parametrize("wrong", [(60,), (-1,), (30, 20), (0, 100)])
def test_frames_that_are_not_there_are_refused(wrong):
    with pytest.raises(ValueError, match="pass a smaller start"):
        signal.frame_range(100, *wrong)


def test_predicted_time_takes_the_first_of_equal_frames_in_the_range():
    scores = np.zeros((3, 100))
    scores[0, [24, 76]] = 9
    scores[1, [40, 60]] = 1
    scores[2, 75] = 1
    assert signal.predicted_time(scores).tolist() == [25, 40, 75]
    with pytest.raises(ValueError, match="series 1 in frame 4 is nan"):
        signal.predicted_time(np.where((np.arange(3) == 1)[:, None] & (np.arange(100) == 4), np.nan, 0.0))


rows = st.lists(st.integers(0, 6), min_size=12, max_size=40)


@settings(max_examples=150, deadline=None)
@given(rows, st.integers(1, 5), st.integers(1, 9))
def test_peaks_are_local_maxima_apart_and_begin_with_the_prediction(row, n, apart):
    scores = np.array([row], dtype=float)
    found = signal.peak_times(scores, n=n, min_distance=apart, start=2)[0]
    first, last = signal.frame_range(len(row), 2)
    assert signal.predicted_time(scores, 2)[0] in found
    assert 1 <= len(found) <= n and (np.diff(found) >= apart).all()
    assert found.dtype == np.int64 and found.min() >= first and found.max() <= last
    # scipy knows the same peaks; it has no peaks at the ends, so they are put between lower values.
    inner = np.concatenate([[-1.0], scores[0, first : last + 1], [-1.0]])
    plateaus = scipy_signal.find_peaks(inner, plateau_size=1)[1]["left_edges"] - 1 + first
    assert set(found) <= set(plateaus.tolist())
    every = signal.peak_times(scores, n=100, min_distance=1, start=2)[0]
    assert every.tolist() == plateaus.tolist()
    high = signal.peak_times(scores, threshold=3, min_distance=apart, start=2)[0]
    assert all(row[t] > 3 for t in high)
    left = [t for t in plateaus if row[t] > 3 and all(abs(t - h) >= apart for h in high)]
    assert not left  # whatever is high enough was taken or is near one that was


def test_peaks_need_a_number_or_a_threshold():
    for wrong in ({}, {"n": 0}, {"n": 1, "min_distance": 0}):
        with pytest.raises(ValueError, match="min_distance"):
            signal.peak_times(np.zeros((1, 100)), **wrong)
    assert signal.peak_times(np.zeros((2, 100)), threshold=0.5)[1].tolist() == []


def brute_score(model, x, window, generator=None):
    """s_r and s_d frame by frame in plain loops, forecasting one series at a time."""
    with torch.no_grad():
        logits = model.encode(torch.from_numpy(x))
        probability = torch.softmax(logits.double(), -1)[..., 1].numpy()
        graph = model.sample_graph(logits, generator, hard=generator is not None)
        n_series, n_frames = x.shape[:2]
        related, dynamic = np.zeros((n_series, n_frames)), np.full((n_series, n_frames), np.nan)
        for s in range(n_series):
            for t in range(1, n_frames):
                related[s, t] = np.abs(probability[s, t] - probability[s, t - 1]).sum()
                part = torch.from_numpy(x[s, None, t - 1 :])
                ahead = model.rollout(part, graph[s, None, t - 1 :], window)[0, :window]
                dynamic[s, t] = np.mean((ahead.numpy() - x[s, t : t + window]) ** 2)
    dynamic[:, 0] = np.nanmin(dynamic, axis=1)
    return probability, related, dynamic


def test_score_equals_forecasting_in_loops(model):
    chosen = ScoreSettings(window=4, start=10)
    found = signal.score(model, X[:3], chosen)
    probability, related, dynamic = brute_score(model, X[:3], 4)
    assert found.graph.dtype == np.float32 and found.graph == pytest.approx(probability, abs=1e-5)
    assert found.correlation == pytest.approx(related, abs=1e-5)
    assert found.independent == pytest.approx(dynamic, rel=1e-4)
    assert found.ensemble == pytest.approx(signal.ensemble(related, dynamic, 10), abs=1e-3)
    assert (found.start, found.stop, found.norm) == (10, None, "evaluated")
    assert found.predicted().tolist() == signal.predicted_time(found.ensemble, 10).tolist()


def test_official_scores_sample_hard_graphs_and_leave_the_ends_at_zero(model):
    found = signal.score(model, X[:3], OFFICIAL)
    _, related, dynamic = brute_score(model, X[:3], 5, torch.Generator().manual_seed(0))
    assert found.correlation == pytest.approx(related, abs=1e-5)  # from probabilities all the same
    assert found.independent[:, 1:-5] == pytest.approx(dynamic[:, 1:-5], rel=1e-4)
    assert (found.independent[:, 0] == 0).all() and (found.independent[:, -5:] == 0).all()
    expected = stats.zscore(found.correlation, axis=1) + stats.zscore(found.independent, axis=1)
    assert found.ensemble == pytest.approx(expected, abs=1e-6)
    assert found.normed()[0] == pytest.approx(stats.zscore(found.correlation, axis=1), abs=1e-6)


def test_scores_do_not_depend_on_batches_and_hard_samples_only_on_their_seed(model):
    for hard in (False, True):
        one = signal.score(model, X, ScoreSettings(hard=hard, start=10, seed=5))
        other = signal.score(model, X, ScoreSettings(hard=hard, start=10, seed=5, batch=2))
        assert one.independent == pytest.approx(other.independent, rel=1e-4, abs=1e-6)
    again = signal.score(model, X, ScoreSettings(hard=True, start=10, seed=5))
    assert (one.independent == again.independent).all()
    assert not (
        one.independent == signal.score(model, X, ScoreSettings(hard=True, start=10)).independent
    ).all()


def test_long_series_are_read_in_smaller_batches(model, monkeypatch):
    sizes = []
    monkeypatch.setattr(signal, "PAIRS", 2 * 60 * 6)  # two series of 60 frames and 6 pairs
    whole = model.encode
    monkeypatch.setattr(model, "encode", lambda x: sizes.append(len(x)) or whole(x))
    found = signal.score(model, X, ScoreSettings(start=10, keep_graph=False))
    assert sizes == [2, 2, 2, 1] and found.graph is None


def test_one_variable_has_the_independent_score_alone(model):
    found = signal.score(model, X[:, :, :1], ScoreSettings(start=10))
    assert (found.correlation == 0).all() and found.graph.shape == (7, 60, 0)
    assert found.ensemble == pytest.approx(signal.znorm(found.independent, 10))
    with torch.no_grad():  # the error of the variable beside its copy is the error of the variable
        twice = torch.from_numpy(np.repeat(X[:1, :, :1], 2, axis=2))
        graph = model.sample_graph(model.encode(twice))
        each = model.rollout(twice, graph, 1)[:, 20]
    assert each[0, 0].tolist() == pytest.approx(each[0, 1].tolist())
    alone = signal.score(model, X[:1, :, :1], ScoreSettings(start=10, window=1)).independent[0, 21]
    assert alone == pytest.approx(float(((each[0, 0].numpy() - X[0, 21, 0]) ** 2).mean()), rel=1e-4)


def test_score_leaves_the_mode_of_the_model_as_it_was(model):
    model.train()
    signal.score(model, X[:1], ScoreSettings(start=10))
    assert model.training
    model.eval()
    signal.score(model, X[:1], ScoreSettings(start=10))
    assert not model.training


def test_score_refuses_what_it_cannot_read(model):
    for wrong, words in (
        (X[0], "variables, 2 features"),
        (X[..., :1], "2 features"),
        (X[:, :5], "5 frames and the window 5"),
        (np.where(X > 5, np.nan, X), "NaN"),
        (X[:, :40], "pass a smaller start"),
    ):
        with pytest.raises(ValueError, match=words):
            signal.score(model, wrong)
    for wrong in ({"window": 0}, {"batch": 0}, {"start": -1}, {"norm": "none"}, {"ends": "none"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ScoreSettings(**wrong)


def example(norm="evaluated"):
    rng = np.random.default_rng(4)
    related, dynamic = rng.random((2, 5, 100)) * [[[50]], [[1]]]
    both = signal.ensemble(related, dynamic, *(() if norm == "evaluated" else (0,)))
    return Scores(related, dynamic, both, norm=norm)


@pytest.mark.parametrize("norm", ["evaluated", "all"])
@pytest.mark.parametrize("alpha", [None, 0.0, 0.3, 1.0])
def test_type_margin_equals_the_formula(norm, alpha):
    scores, times = example(norm), np.array([30, 75, 25, 50, 2])
    frames = slice(25, 76) if norm == "evaluated" else slice(None)
    weight = 0.75 if alpha is None else alpha
    for at in (times, None):
        found = signal.type_margin(scores, at, alpha)
        kinds = signal.change_type(scores, at, alpha, tau=0.2)
        for s in range(5):
            t = at[s] if at is not None else 25 + int(np.argmax(scores.ensemble[s, 25:76]))
            r, d = scores.correlation[s], scores.independent[s]
            value = (r[t] - r[frames].mean()) / r[frames].std()
            value -= weight * (d[t] - d[frames].mean()) / d[frames].std()
            assert found[s] == pytest.approx(value)
            assert kinds[s] == ("correlation" if value >= 0.2 else "independent")


def test_official_types_compare_the_scores_as_they_are():
    scores, times = example(), np.array([30, 75, 25, 50, 2])
    rows = np.arange(5)
    expected = scores.independent[rows, times] - scores.correlation[rows, times] > 0
    found = signal.change_type(scores, times, convention="official")
    assert ((found == "independent") == expected).all()
    with pytest.raises(ValueError, match="the official code has none"):
        signal.change_type(scores, times, alpha=0.5, convention="official")


def test_types_refuse_wrong_times_and_scores_of_different_shapes():
    scores = example()
    for wrong, words in (
        ([-1] * 5, "time -1 of series 0"),
        ([100] * 5, "0..99"),
        ([3.0] * 5, "whole"),
        ([3], "5"),
    ):
        with pytest.raises(ValueError, match=words):
            signal.type_margin(scores, np.array(wrong))
    with pytest.raises(ValueError, match="convention"):
        signal.type_margin(scores, convention="paper")
    with pytest.raises(ValueError, match="one shape"):
        Scores(np.zeros((2, 3)), np.zeros((2, 4)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="one shape"):
        Scores(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 4, 6)))
    with pytest.raises(ValueError, match="norm"):
        Scores(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 3)), norm="none")
