import dataclasses

import numpy as np
import pytest
import torch

from msig_lib.changepoint.forecasters import (
    LSTNetSettings,
    RNNSettings,
    TrainingDiverged,
    fit_lstnet,
    fit_rnn,
    forecast_loss,
)
from msig_lib.changepoint.forecasting import Scale, window_errors
from msig_lib.changepoint.lstnet import LSTNet

N, M, T = 3, 2, 40
JOINT = RNNSettings(hidden=16, steps=120, batch=16)
SHARED = dataclasses.replace(JOINT, variant="shared", batch=32)
LSTNET = LSTNetSettings(
    window=8, kernel=3, hidden_cnn=8, hidden_rnn=8, skip=2, hidden_skip=3, highway=6, steps=150, batch=64
)
FITS = {"joint": (fit_rnn, JOINT), "shared": (fit_rnn, SHARED), "lstnet": (fit_lstnet, LSTNET)}
TINY = {
    "joint": (fit_rnn, dataclasses.replace(JOINT, steps=3)),
    "shared": (fit_rnn, dataclasses.replace(SHARED, steps=3)),
    "lstnet": (fit_lstnet, dataclasses.replace(LSTNET, steps=3)),
}
every = pytest.mark.parametrize("kind", FITS)


def rotations(n, seed, frames=T, kick_at=None, noise=0.01):
    """Variables that go round at .3 to .5 radians a frame in units of their own; a kick turns all of them at once."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, (n, 1, N)) + np.arange(frames)[:, None] * np.array([0.3, 0.4, 0.5])
    if kick_at is not None:
        angle += np.where(np.arange(frames)[None, :, None] >= np.asarray(kick_at)[:, None, None], 1.5, 0)
    X = np.stack([np.cos(angle), np.sin(angle)], 3) + noise * rng.normal(size=(n, frames, N, M))
    return (X * [5.0, 0.1] + [3.0, -1.0]).astype(np.float32)


def training():
    """Series with an unlabelled kick each, as the thesis's: without, a kick's step is taken for a speed after it."""
    return rotations(150, 0, kick_at=np.random.default_rng(9).integers(5, T - 5, size=150))


@pytest.fixture(scope="module")
def models():
    return {kind: fit(training(), s, seed=0) for kind, (fit, s) in FITS.items()}


@every
def test_a_linear_system_is_forecast_better_than_by_persistence_and_constant_velocity(models, kind):
    loss = forecast_loss(models[kind], rotations(60, 1))
    assert loss["model"] < 0.1 * loss["persistence"]
    assert loss["model"] < 0.5 * loss["constant velocity"]


@every
def test_the_score_of_a_jump_peaks_at_the_first_frame_after_it(models, kind):
    at = np.random.default_rng(2).integers(12, 32, size=40)
    assert (models[kind].scores(rotations(40, 3, kick_at=at)).argmax(1) == at).mean() >= 0.95


@every
def test_scores_are_the_mean_squared_error_of_the_forecasts_written_out(models, kind):
    model, X = models[kind], rotations(2, 4)
    forecasts, scores, k = model.forecast(X), model.scores(X), model.window
    assert forecasts.shape == (2, T, k, N, M) and scores.dtype == np.float64
    first = {"lstnet": 8}.get(kind, 2)
    train = training().astype(np.float64)
    std = train.std((0, 1))
    weight = {"mse": np.ones((k, N * M)), "residual": 1 / model.residual}
    for weighting in ("mse", "residual"):
        found = dataclasses.replace(model, weighting=weighting).scores(X)
        by_hand = np.zeros((2, T))
        for s in range(2):
            for t in range(first, T):
                steps = range(min(k, T - t))
                by_hand[s, t] = np.mean(
                    [
                        weight[weighting][j].reshape(N, M)
                        * ((forecasts[s, t, j].astype(float) - X[s, t + j]) / std) ** 2
                        for j in steps
                    ]
                )
            by_hand[s, :first] = by_hand[s, first:].min()
        np.testing.assert_allclose(found, by_hand, rtol=2e-3, atol=1e-6)
    assert np.isnan(forecasts[:, :first]).all() and np.isfinite(forecasts[:, first:]).all()


@every
def test_a_forecast_uses_only_frames_before_it_and_a_series_only_itself(models, kind):
    X = rotations(3, 5)
    other = X.copy()
    other[:, 20:] += np.random.default_rng(0).normal(size=other[:, 20:].shape).astype(np.float32)
    model = models[kind]
    before, after = model.forecast(X), model.forecast(other)
    np.testing.assert_allclose(before[:, :21], after[:, :21], rtol=1e-4, atol=1e-5)
    assert not np.allclose(before[:, 21], after[:, 21], rtol=1e-3)
    many = np.concatenate([X] * 40)  # scored in more than one piece
    np.testing.assert_allclose(model.scores(many)[-3:], model.scores(X), rtol=1e-4, atol=1e-7)


def test_only_the_joint_rnn_and_lstnet_let_variables_speak_to_each_other(models):
    X = rotations(2, 6)
    other = X.copy()
    other[:, :, 2] = rotations(2, 7)[:, :, 2]
    for kind, apart in (("shared", True), ("joint", False), ("lstnet", False)):
        found = [models[kind].forecast(x)[:, 8:, :, :2] for x in (X, other)]
        assert np.allclose(*found, rtol=1e-5, atol=1e-6) == apart


@every
def test_the_weights_kept_are_the_best_on_the_held_out_series(models, kind):
    history = models[kind].history
    assert [c.step for c in history][-1] == FITS[kind][1].steps and len(history) == 8
    X = training()
    rng = np.random.default_rng(0)
    held = X[rng.permutation(150)[:15]]
    found = forecast_loss(models[kind], held)["model"]
    assert found == pytest.approx(min(c.held_out for c in history), rel=1e-4)


def test_lstnet_is_its_equations_written_out():
    rng, w, k = np.random.default_rng(0), 8, 2
    X = rng.normal(size=(20, 30, N, M)).astype(np.float32)
    s = dataclasses.replace(LSTNET, score_window=k)
    scale = Scale.of(X)
    torch.manual_seed(0)
    network = LSTNet(scale, s).double().eval()
    torch.nn.init.normal_(network.autoregressive)
    p = {name: value.detach().numpy() for name, value in network.named_parameters()}
    window = rng.normal(size=(w, N * M))
    change = np.diff(window, axis=0) / scale.change
    inputs = np.concatenate([window, np.vstack([np.zeros(N * M), change])], 1)

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    def gru(name, frames):
        wi, wh = p[f"{name}.weight_ih_l0"], p[f"{name}.weight_hh_l0"]
        bi, bh = p[f"{name}.bias_ih_l0"], p[f"{name}.bias_hh_l0"]
        h = np.zeros(wh.shape[1])
        for x in frames:
            (ir, iz, new), (hr, hz, hn) = np.split(wi @ x + bi, 3), np.split(wh @ h + bh, 3)
            r, z = sigmoid(ir + hr), sigmoid(iz + hz)
            h = (1 - z) * np.tanh(new + r * hn) + z * h
        return h

    filters = p["convolution.weight"]  # [C, 2 F, 3]
    local = [
        np.maximum(0, np.einsum("cfi,if->c", filters, inputs[i : i + 3]) + p["convolution.bias"])
        for i in range(w - 2)
    ]
    state = [gru("gru", local)] + [gru("skip_gru", local[phase::2]) for phase in range(2)]
    found = (p["head.weight"] @ np.concatenate(state) + p["head.bias"]).reshape(k, N * M)
    for j in range(k):
        for n in range(N):
            for m in range(M):
                past = [*change[-6:, n * M + m], window[-1, n * M + m]]
                found[j, n * M + m] += past @ p["autoregressive"][m, :, j]
        found[j] *= (j + 1) * scale.change
    forecast = network.forecast(torch.from_numpy(np.concatenate([window, window[:1]])[None]))
    np.testing.assert_allclose(forecast[0, 0].detach().numpy(), window[-1] + found, rtol=1e-9)


@pytest.mark.parametrize("kind", TINY)
def test_the_same_seed_gives_the_same_model_and_the_global_state_stays(kind):
    fit, s = TINY[kind]
    X = rotations(12, 8)
    state = torch.get_rng_state()
    scores = [fit(X, s, seed=seed).scores(X) for seed in (1, 1, 2)]
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(scores[0], scores[1]) and not np.allclose(scores[0], scores[2])


@pytest.mark.parametrize("kind", TINY)
@pytest.mark.parametrize("shape", [(5, 40, 1, 1), (1, 14, 4, 3), (20, 120, 2, 1)])
def test_any_numbers_of_variables_features_and_frames(kind, shape):
    fit, s = TINY[kind]
    X = np.random.default_rng(0).normal(size=shape)
    X[:, :, 0, 0] = 1e5  # a channel that never changes
    model = fit(X, s, seed=0)
    for frames in (9, shape[1], 130):
        found = model.scores(np.random.default_rng(1).normal(size=(3, frames, *shape[2:])))
        assert found.shape == (3, frames) and np.isfinite(found).all()
    assert model.scale.std[0, 0] == 1


@pytest.mark.parametrize("kind", TINY)
def test_mistakes_say_what_was_expected(kind):
    fit, s = TINY[kind]
    X = rotations(6, 9)
    model = fit(X, s, seed=0)
    bad = X.copy()
    bad[4, 3] = np.nan
    cases = [
        (X[0], ValueError, "shape"), (X[:0], ValueError, "shape"), (bad, ValueError, "1 series"),
        (X.tolist(), TypeError, "numpy array"), (X.astype(str), TypeError, "numeric"),
        (X[:, :2], ValueError, "frames, expected at least"),
    ]  # fmt: skip
    for value, error, words in cases:
        with pytest.raises(error, match=words):
            fit(value, s, seed=0)
        with pytest.raises(error, match=words):
            model.scores(value)
    with pytest.raises(ValueError, match="as in training"):
        model.scores(X[:, :, :2])
    with pytest.raises(TrainingDiverged, match="learning_rate"):
        fit(X, dataclasses.replace(s, learning_rate=1e30, clip=1e30, steps=20), seed=0)


@pytest.mark.parametrize(
    ("settings", "bad"),
    [(RNNSettings, b) for b in (
        {"variant": "both"}, {"hidden": 0}, {"steps": 0}, {"steps": 1.5}, {"score_window": 0}, {"held_out": 0.9},
        {"learning_rate": float("nan")}, {"weighting": "l1"}, {"crop": 6}, {"checks": 0},
    )]
    + [(LSTNetSettings, b) for b in (
        {"window": 1}, {"kernel": 25}, {"skip": 20}, {"skip": -1}, {"highway": 24}, {"dropout": 1.0}, {"batch": 0},
    )],
)  # fmt: skip
def test_impossible_settings_are_refused(settings, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        settings(**bad)


def test_lstnet_without_skip_and_highway_and_over_a_window_of_frames():
    X = rotations(8, 1)
    s = dataclasses.replace(TINY["lstnet"][1], skip=0, highway=0, score_window=4)
    assert fit_lstnet(X, s, seed=0).forecast(X).shape == (8, T, 4, N, M)


def test_errors_past_the_last_frame_do_not_count():
    z = torch.arange(5.0)[None, :, None]
    forecasts = torch.zeros(1, 3, 4, 1)  # of frames 2..4, four frames each
    found = window_errors(forecasts, z, 2)
    np.testing.assert_allclose(found, [[(4 + 9 + 16) / 3, (9 + 16) / 2, 16]])
