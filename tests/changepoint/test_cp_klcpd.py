import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel

from msig_lib.changepoint.forecasting import TrainingDiverged
from msig_lib.changepoint.klcpd import KLCPDSettings, fit_klcpd, mmd2

quick = settings(max_examples=25, deadline=None)
SMALL = KLCPDSettings(window=6, hidden=6, steps=25, critic_steps=3, batch=32)
TINY = dataclasses.replace(SMALL, steps=2)


def noise(n, seed, frames=40, at=None, shift=3.0):
    """Independent noise in 2 x 2 features, the mean of all of them shifted from frame `at` on."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, frames, 2, 2))
    if at is not None:
        X += shift * (np.arange(frames)[None, :, None, None] >= np.asarray(at)[:, None, None, None])
    return X.astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return fit_klcpd(noise(100, 0), SMALL, seed=0)


def by_hand(P, Q, bandwidth):
    """The biased estimate as loops over floats."""

    def kernel(a, b):
        d = sum((x - y) ** 2 for x, y in zip(a, b))
        return sum(math.exp(-d / (2 * bandwidth * scale)) for scale in (0.25, 0.5, 1, 2, 4)) / 5

    def mean(A, B):
        return sum(kernel(a, b) for a in A for b in B) / (len(A) * len(B))

    return mean(P, P) + mean(Q, Q) - 2 * mean(P, Q)


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 5), st.floats(0.1, 10))
@quick
def test_mmd_equals_the_sums_written_out(seed, p, q, bandwidth):
    rng = np.random.default_rng(seed)
    P, Q = rng.normal(size=(2, p, 3)), 1 + 2 * rng.normal(size=(2, q, 3))
    found = mmd2(torch.from_numpy(P), torch.from_numpy(Q), bandwidth)
    for i in range(2):
        assert found[i].item() == pytest.approx(by_hand(P[i].tolist(), Q[i].tolist(), bandwidth), abs=1e-12)


@given(st.integers(0, 10_000))
@quick
def test_mmd_is_zero_for_one_sample_twice_symmetric_and_blind_to_where_it_is(seed):
    rng = np.random.default_rng(seed)
    P, Q = torch.from_numpy(rng.normal(size=(2, 1, 6, 3)))
    assert mmd2(P, P.flip(1), 1.0).item() == pytest.approx(0, abs=1e-12)
    assert mmd2(P, Q, 1.0).item() > 1e-4
    assert mmd2(Q + 7, P + 7, 1.0).item() == pytest.approx(mmd2(P, Q, 1.0).item(), abs=1e-12)


def test_mmd_has_the_gradient_of_its_formula():
    P, Q = torch.randn(2, 2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(
        lambda a, b: mmd2(a, b, 0.7), (P.requires_grad_(), (Q + 1).requires_grad_())
    )


@pytest.mark.parametrize("inputs", ["values", "changes"])
def test_scores_are_the_mmd_of_the_codes_before_and_from_a_frame(inputs):
    train = noise(30, 0)
    model = fit_klcpd(train, dataclasses.replace(TINY, inputs=inputs), seed=0)
    X, w = noise(3, 1, frames=20), 6
    scores = model.scores(X)
    assert scores.shape == (3, 20) and scores.dtype == np.float64
    z = (X - train.mean((0, 1))) / train.std((0, 1))
    if inputs == "changes":
        unit = np.sqrt((np.diff(train / train.std((0, 1)), axis=1) ** 2).mean((0, 1)))
        z = np.concatenate([np.diff(z[:, :2], axis=1), np.diff(z, axis=1)], 1) / unit
    z = torch.from_numpy(z.reshape(3, 20, 4).astype(np.float32))
    for t in range(w, 20 - w + 1):
        with torch.no_grad():
            P, Q = (model.kernel.encode(part).double().numpy() for part in (z[:, t - w : t], z[:, t : t + w]))
        for s in range(3):
            value = 0.0
            for h in model.bandwidth * np.array([0.25, 0.5, 1, 2, 4]):
                gamma = 1 / (2 * h)
                value += rbf_kernel(P[s], gamma=gamma).mean() + rbf_kernel(Q[s], gamma=gamma).mean()
                value -= 2 * rbf_kernel(P[s], Q[s], gamma=gamma).mean()
            assert scores[s, t] == pytest.approx(value / 5, rel=1e-3, abs=1e-6)
    low = scores[:, w : 20 - w + 1].min(1, keepdims=True)
    assert (scores[:, :w] == low).all() and (scores[:, 20 - w + 1 :] == low).all()


def test_the_score_of_a_jump_peaks_at_the_first_frame_after_it(model):
    at = np.random.default_rng(2).integers(8, 33, size=60)
    found = model.scores(noise(60, 3, at=at, shift=4.0)).argmax(1)
    assert (found == at).mean() >= 0.9


def test_the_game_is_played_as_published(model):
    error = model.history[:, 2]
    assert np.isfinite(model.history).all() and len(model.history) == SMALL.steps
    assert error[-5:].mean() < error[:5].mean()  # lambda_ae: the codes keep what they are of
    for weight in model.kernel.encoder.parameters():
        assert weight.abs().max() <= SMALL.weight_clip
    # the generator learns to write windows that the kernel takes for real ones, here each at its own level
    level = 2 * np.random.default_rng(1).normal(size=(100, 1, 2, 2)) + 0.1 * noise(100, 0)
    s = dataclasses.replace(SMALL, critic_steps=1, steps=80, learning_rate=1e-2)
    told = fit_klcpd(level.astype(np.float32), s, seed=0).history[:, 0]
    assert told[-5:].mean() < 0.6 * told[:5].mean()
    # lambda_real keeps windows of the data alike
    kept = fit_klcpd(noise(100, 0), dataclasses.replace(SMALL, lambda_real=10.0, learning_rate=3e-3), seed=0)
    free = fit_klcpd(noise(100, 0), dataclasses.replace(SMALL, lambda_real=0.0, learning_rate=3e-3), seed=0)
    assert kept.history[-5:, 1].mean() < free.history[-5:, 1].mean()


def test_changes_do_not_see_where_a_series_is():
    X = noise(10, 4)
    model = fit_klcpd(X, dataclasses.replace(TINY, inputs="changes"), seed=0)
    np.testing.assert_allclose(model.scores(X + 2), model.scores(X), atol=1e-5)
    model = fit_klcpd(X, TINY, seed=0)
    assert not np.allclose(model.scores(X + 2), model.scores(X), atol=1e-4)


def test_the_same_seed_gives_the_same_model_and_the_global_state_stays():
    X = noise(12, 8)
    state = torch.get_rng_state()
    scores = [fit_klcpd(X, TINY, seed=seed).scores(X) for seed in (1, 1, 2)]
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(scores[0], scores[1]) and not np.allclose(scores[0], scores[2])


@pytest.mark.parametrize("shape", [(5, 40, 1, 1), (1, 12, 4, 3), (300, 15, 2, 1)])
def test_any_numbers_of_variables_features_and_frames(shape):
    X = np.random.default_rng(0).normal(size=shape)
    X[:, :, 0, 0] = 1e5  # a channel that never changes, here at times the only one
    found = fit_klcpd(X, TINY, seed=0).scores(X)
    assert found.shape == shape[:2] and np.isfinite(found).all() and (found >= 0).all()


def test_mistakes_say_what_was_expected(model):
    X = noise(6, 9)
    bad = X.copy()
    bad[4, 3] = np.inf
    cases = [
        (X[0], ValueError, "shape"), (bad, ValueError, "1 series"), (X.tolist(), TypeError, "numpy array"),
        (X[:, :11], ValueError, "at least 12"),
    ]  # fmt: skip
    for value, error, words in cases:
        with pytest.raises(error, match=words):
            fit_klcpd(value, TINY, seed=0)
        with pytest.raises(error, match=words):
            model.scores(value)
    with pytest.raises(ValueError, match="as in training"):
        model.scores(X[:, :, :1])
    with pytest.raises(TrainingDiverged, match="learning_rate"):
        fit_klcpd(X, dataclasses.replace(TINY, learning_rate=1e30, clip=1e30), seed=0)
    for bad_value in (
        {"window": 1}, {"hidden": 0}, {"critic_steps": 0}, {"inputs": "both"}, {"learning_rate": 0.0},
        {"lambda_real": -1.0}, {"weight_clip": math.inf},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(bad_value))):
            KLCPDSettings(**bad_value)
