"""Training of the correlation-aware dynamics model: it learns, repeats itself, and stops when it cannot go on."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from msig_lib.changepoint.model import CorrelationDynamics
from msig_lib.changepoint.settings import ModelSettings, TrainSettings
from msig_lib.changepoint.train import Epoch, TrainingDiverged, evaluate_loss, fit

SMALL = ModelSettings(encoder_width=16, decoder_width=16)


def oscillators(s: int = 12, t: int = 24, n: int = 3, seed: int = 0) -> np.ndarray:
    """Variables that turn with their own phase, [S, T, N, 2]: every change of x is decided by x."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, (s, 1, n))
    angle = phase + 0.3 * np.arange(t)[None, :, None]
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)


def trained(X: np.ndarray, settings: ModelSettings = SMALL, seed: int = 0, **options: object):
    model = CorrelationDynamics(X.shape[3], settings, seed=seed)
    options = {"epochs": 6, "batch_size": 4, "learning_rate": 1e-2, "rollout": 4, **options}
    return model, fit(model, X, TrainSettings(**options), seed=seed)


@pytest.mark.parametrize(
    ("temporal", "spatial", "convention", "output"),
    [
        *product(("gru", "transformer"), ("gnn", "transformer"), ("official",), ("mlp",)),
        ("gru", "gnn", "thesis", "mlp"),
        ("transformer", "transformer", "thesis", "rnn"),
        ("gru", "gnn", "official", "rnn"),
    ],
)
def test_every_encoder_learns(temporal, spatial, convention, output):
    settings = ModelSettings(
        encoder_width=16, decoder_width=16, temporal=temporal, spatial=spatial, convention=convention,
        decoder_output=output,
    )  # fmt: skip
    model, history = trained(oscillators(), settings, loss=convention)
    assert [e.number for e in history] == list(range(6))
    assert history[-1].loss < 0.6 * history[0].loss
    assert not model.training
    for epoch in history:
        assert epoch.loss == pytest.approx(epoch.reconstruction + epoch.smoothness)
        assert epoch.valid is None and epoch.seconds > 0


def test_forecasts_beat_standing_still():
    X = oscillators(24)
    model, _ = trained(X, epochs=25)
    still = ((X[:, 1:] - X[:, :-1]) ** 2).mean()
    x = torch.from_numpy(oscillators(seed=1))
    with torch.no_grad():
        error = ((model.rollout(x, model.sample_graph(model.encode(x)), 1) - x[:, 1:]) ** 2).mean()
    assert error < 0.2 * still


def test_the_same_seed_gives_the_same_numbers_whatever_the_global_one():
    X = oscillators(6)
    torch.manual_seed(1)
    one, first = trained(X, epochs=2)
    torch.manual_seed(2)
    two, second = trained(X, epochs=2)
    assert [e.loss for e in first] == [e.loss for e in second]
    for a, b in zip(one.state_dict().values(), two.state_dict().values()):
        assert torch.equal(a, b)
    again = CorrelationDynamics(2, SMALL, seed=0)
    other = fit(again, X, TrainSettings(epochs=2, batch_size=4, learning_rate=1e-2, rollout=4), seed=1)
    assert other[0].loss != first[0].loss


def test_validation_loss_is_that_of_the_trained_weights():
    X, valid = oscillators(6), oscillators(5, seed=3)
    model, settings = CorrelationDynamics(2, SMALL), TrainSettings(epochs=2, rollout=4, batch_size=2)
    seen: list[Epoch] = []
    history = fit(model, X, settings, seed=0, valid=valid, on_epoch=seen.append)
    assert seen == history
    assert history[-1].valid == pytest.approx(evaluate_loss(model, torch.from_numpy(valid), settings))
    assert history[0].valid != history[1].valid
    # it changes nothing in the training
    alone = fit(CorrelationDynamics(2, SMALL), X, settings, seed=0)
    assert [e.loss for e in alone] == [e.loss for e in history]


def test_the_validation_loss_does_not_feel_its_batches():
    model, valid = CorrelationDynamics(2, SMALL), torch.from_numpy(oscillators(5))
    losses = [evaluate_loss(model, valid, TrainSettings(batch_size=b, rollout=4)) for b in (1, 2, 5)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


def test_smoothness_makes_the_graph_change_less():
    X = oscillators() + np.random.default_rng(0).normal(0, 0.3, (12, 24, 3, 2)).astype(np.float32)
    changes = []
    for smoothness in (0.0, 1e7):
        model, _ = trained(X, smoothness=smoothness)
        with torch.no_grad():
            changes.append(float(model.encode(torch.from_numpy(X)).diff(dim=1).abs().mean()))
    assert changes[1] < 0.5 * changes[0]


def test_it_stops_when_the_loss_is_no_number():
    X = oscillators(4) * np.float32(1e25)
    with pytest.raises(TrainingDiverged, match=r"epoch 0, step 0.*finite and normalised"):
        trained(X)


def test_a_broken_weight_stops_it_before_the_optimiser_spreads_it():
    model = CorrelationDynamics(2, SMALL)
    with torch.no_grad():
        model.decoder.message_2.bias[0] = float("nan")
    healthy = model.head.second.weight.clone()
    with pytest.raises(TrainingDiverged, match="the loss became nan"):
        fit(model, oscillators(4), seed=0)
    assert torch.equal(model.head.second.weight, healthy)


def test_corners():
    X = oscillators(3, 2, 2)  # the shortest and smallest
    _, history = trained(X, epochs=2, batch_size=8, rollout=10)
    assert np.isfinite(history[-1].loss)
    assert trained(X, epochs=0)[1] == []
    assert np.isfinite(trained(X[:1], epochs=1)[1][0].loss)
    hard = trained(oscillators(4), hard=True, epochs=1)[1]
    assert np.isfinite(hard[0].loss)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((2, 5, 3)), r"X is float64 of shape \(2, 5, 3\)"),
        (np.zeros((0, 5, 3, 2)), "expected numbers"),
        (np.full((2, 5, 3, 2), np.nan), "not finite"),
        (np.full((2, 5, 3, 2), "a"), "expected numbers"),
        (np.zeros((2, 5, 3, 4)), "2 features"),
        (np.zeros((2, 1, 3, 2)), "frames >= 2"),
    ],
)
def test_bad_series(X, message):
    with pytest.raises(ValueError, match=message):
        fit(CorrelationDynamics(2, SMALL), X, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "epochs is -1"),
        ({"epochs": 1.5}, "epochs is 1.5, expected a whole number"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"rollout": 0}, "rollout is 0"),
        ({"margin": -1}, "margin is -1"),
        ({"loss": "elbo"}, "loss is 'elbo', expected 'official' or 'thesis'"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"variance": -1.0}, "variance is -1.0"),
        ({"smoothness": float("nan")}, "smoothness is nan"),
        ({"clip": float("inf")}, "clip is inf"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ValueError, match=message):
        TrainSettings(**options)
