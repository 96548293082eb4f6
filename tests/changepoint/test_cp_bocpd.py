"""The run-length recursion against all segmentations, the Gaussian process against its definition, toy changes."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from msig_lib.changepoint import bocpd
from msig_lib.changepoint.bocpd import ARGP, BOCPDSettings

MODEL = ARGP(order=2, linear=0.8, rbf=0.3, length=1.5, noise=0.05)


def normal_model(y, run):
    """Log density of y after the values `run` of its run: unit normal mean, noise variance 1/4 (conjugate)."""
    precision = 1 + len(run) / 0.25
    return norm(sum(run) / 0.25 / precision, np.sqrt(0.25 + 1 / precision)).logpdf(y)


def predictive_table(y):
    n = len(y)
    table = np.zeros((n, n))
    for t in range(n):
        for r in range(t + 1):
            table[t, r] = normal_model(y[t], y[t - r : t])
    return table


def segment_evidence(y):
    """The same model's log evidence of a whole segment, from its joint normal density."""
    return multivariate_normal(cov=np.ones((len(y), len(y))) + 0.25 * np.eye(len(y))).logpdf(y)


@pytest.mark.parametrize("hazard", [0.02, 0.3])
def test_run_lengths_are_those_of_all_segmentations(hazard):
    y = np.array([0.3, 0.1, 2.2, 2.0, 2.4, -1.0, -0.7])
    got = bocpd.run_length_posterior(predictive_table(y), hazard)
    for seen in range(1, len(y) + 1):
        weights = np.zeros(len(y))
        for changes in product([False, True], repeat=seen - 1):
            starts = [0, *(t + 1 for t, change in enumerate(changes) if change), seen]
            log_weight = sum(segment_evidence(y[a:b]) for a, b in pairwise(starts))
            log_weight += sum(np.log(hazard if change else 1 - hazard) for change in changes)
            weights[seen - 1 - starts[-2]] += np.exp(log_weight)
        np.testing.assert_allclose(np.exp(got[seen - 1]), weights / weights.sum(), rtol=1e-9, atol=1e-15)


def test_long_runs_share_the_last_column():
    """With predictions that forget after 3 frames, a cap at 3 loses nothing."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(2, 12, 12))
    table[:, :, 3:] = table[:, :, 3:4]
    whole = np.exp(bocpd.run_length_posterior(table, 0.1))
    capped = np.exp(bocpd.run_length_posterior(table[:, :, :4], 0.1))
    np.testing.assert_allclose(capped[..., :3], whole[..., :3], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(capped[..., 3], whole[..., 3:].sum(axis=-1), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(whole.sum(axis=-1), 1.0)


@pytest.mark.parametrize("cap", [1, 4, 30])
def test_predictive_is_the_conditional_of_the_gaussian_process(cap):
    y = np.random.default_rng(1).normal(size=(3, 16)).cumsum(axis=1)
    table = bocpd.log_predictive(y, MODEL, cap)
    assert table.shape == (3, 14, min(cap, 13) + 1)
    for b, t in product(range(3), range(14)):
        for r in range(table.shape[2]):
            if r > t:
                assert table[b, t, r] == 0
                continue
            frames = range(t - r, t + 1)
            inputs = np.array([[y[b, i + 1], y[b, i]] for i in frames])  # the last value first
            squared = ((inputs[:, None] - inputs[None]) ** 2).sum(axis=2)
            K = 0.8 * inputs @ inputs.T + 0.3 * np.exp(-squared / (2 * 1.5**2)) + 0.05 * np.eye(r + 1)
            weights = np.linalg.lstsq(K[:-1, :-1], K[:-1, -1])[0] if r else np.zeros(0)
            mean = weights @ [y[b, i + 2] for i in frames[:-1]]
            deviation = np.sqrt(K[-1, -1] - weights @ K[:-1, -1])
            assert table[b, t, r] == pytest.approx(
                norm(mean, deviation).logpdf(y[b, t + 2]), rel=1e-8, abs=1e-10
            )


def test_predictions_multiply_to_the_marginal_likelihood():
    y = np.random.default_rng(2).normal(size=(4, 20))
    inputs, targets = bocpd.lagged(y, 2)
    np.testing.assert_array_equal(inputs[1, 3], y[1, [4, 3]])
    np.testing.assert_array_equal(targets, y[:, 2:])
    by_frame = bocpd.log_predictive(y, MODEL, 50)[:, np.arange(18), np.arange(18)].sum()
    exact = sum(
        multivariate_normal(cov=K).logpdf(target)
        for K, target in zip(bocpd.covariance(inputs, MODEL), targets)
    )
    assert bocpd.log_marginal(inputs, targets, MODEL) == pytest.approx(exact)
    assert by_frame == pytest.approx(exact)


def oscillations(n=6, frames=60, at=30, seed=0):
    """Series [n, frames, 2, 1] of two noisy oscillations, of which the period changes at frame `at`."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames, dtype=np.float64)
    phase = np.where(t < at, 0.5 * t, 0.5 * at + 1.5 * (t - at))[None, :, None, None]
    values = np.sin(phase + rng.uniform(0, 6, size=(n, 1, 2, 1)))
    return (values + 0.02 * rng.normal(size=values.shape)).astype(np.float32)


def test_fit_finds_the_noise_of_an_autoregression():
    rng = np.random.default_rng(3)
    y = rng.normal(size=(20, 200))
    for t in range(2, 200):
        y[:, t] = 1.6 * y[:, t - 1] - 0.8 * y[:, t - 2] + rng.normal(size=20)
    train = y[:, 50:].reshape(5, 4, 150, 1).swapaxes(1, 2)
    settings = BOCPDSettings(order=2, fit_channels=6)
    model = bocpd.fit_argp(train, settings, seed=0)
    share = 1 / np.var(y[:, 50:])  # of the variance of a z-normed channel
    assert 0.85 * share < model.noise < 1.2 * share
    assert model == bocpd.fit_argp(train, settings, seed=0)
    z = (y[:, 50:] - y[:, 50:].mean(axis=1, keepdims=True)) / y[:, 50:].std(axis=1, keepdims=True)
    inputs, targets = bocpd.lagged(z, 2)
    best = bocpd.log_marginal(inputs, targets, model)
    for factor in (0.5, 2.0):
        assert best > bocpd.log_marginal(inputs, targets, replace(model, noise=factor * model.noise))


@pytest.mark.parametrize("combine", bocpd.COMBINE)
def test_a_change_of_period_is_found(combine):
    x = oscillations()
    settings = BOCPDSettings(combine=combine, fit_channels=8)
    scores = bocpd.fit_scores(oscillations(at=60, seed=1), x, settings, seed=0)
    assert scores.shape == (6, 60) and np.isfinite(scores).all()
    assert (scores[:, :4] == scores.min(axis=1, keepdims=True)).all()
    assert (np.abs(scores[:, 8:].argmax(axis=1) + 8 - 30) <= 3).all()
    np.testing.assert_array_equal(
        scores, bocpd.fit_scores(oscillations(at=60, seed=1), x.copy(), settings, seed=0)
    )


def test_score_is_the_posterior_of_the_run_that_began_there():
    x, model = oscillations(2), ARGP(3, 0.9, 0.01, 2.0, 0.01)
    settings = BOCPDSettings(lookahead=4, cap=10)
    z = x[..., 0].astype(np.float64).swapaxes(1, 2)
    z = (z - z.mean(axis=2, keepdims=True)) / z.std(axis=2, keepdims=True)
    expected = np.zeros((2, 60))
    for s, c in product(range(2), range(2)):
        posterior = np.exp(bocpd.run_length_posterior(bocpd.log_predictive(z[s, [c]], model, 10)[0], 0.01))
        for t in range(4, 60):
            seen = min(t + 4, 59)
            expected[s, t] += posterior[seen - 3, seen - t]
    scores = bocpd.bocpd(x, model, settings)
    np.testing.assert_allclose(scores[:, 4:], expected[:, 4:], rtol=1e-9)


def test_constant_channels_add_nothing_to_the_order_of_frames():
    x = oscillations(2)
    still = np.concatenate([x, np.ones_like(x)], axis=2)
    model = ARGP(3, 0.9, 0.01, 2.0, 0.01)
    assert np.isfinite(bocpd.bocpd(np.ones_like(x), model)).all()
    difference = bocpd.bocpd(still, model) - bocpd.bocpd(x, model)
    assert np.ptp(difference[:, 10:]) < 0.05
    with pytest.raises(ValueError, match="all channels of the training series are constant"):
        bocpd.fit_argp(np.ones_like(x), seed=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BOCPDSettings(order=0), "order 0"),
        (lambda: BOCPDSettings(hazard=1.0), "hazard is 1.0"),
        (lambda: BOCPDSettings(lookahead=50), "lookahead is 50"),
        (lambda: BOCPDSettings(combine="mean"), "combine is 'mean'"),
        (lambda: ARGP(1, 1.0, 1.0, 0.0, 1.0), "length and noise above"),
        (lambda: bocpd.bocpd(oscillations(), MODEL), "model is of order 2"),
        (lambda: bocpd.bocpd(oscillations(frames=4), replace(MODEL, order=3)), "needs 5 frames"),
        (lambda: bocpd.fit_argp(oscillations()[0], seed=0), "expected \\(series, frames"),
        (lambda: bocpd.run_length_posterior(np.zeros(4), 0.1), "2 or more run lengths"),
        (lambda: bocpd.run_length_posterior(np.zeros((4, 4)), 0.0), "hazard is 0.0"),
    ],
)
def test_mistakes_are_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()
