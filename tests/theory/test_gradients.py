"""Gradient masses against autograd, and the balance that a bias enforces."""

import numpy as np
import pytest
import torch

from msig_lib.theory import checks
from msig_lib.theory import gradients as gr


def world(seed=0, n=60, labels=8, d=5):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    positives = rng.random((n, labels)) < np.linspace(0.03, 0.5, labels)
    positives[0] = True
    return x, positives


def test_masses_against_autograd():
    x, y = world()
    w = torch.randn(8, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    phi = torch.tensor(x, requires_grad=True)
    logits = phi @ w.T
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.tensor(y, dtype=torch.float64), reduction="sum"
    )
    loss.backward()
    mass = gr.gradient_mass(torch.sigmoid(logits).detach().numpy(), y, x)
    np.testing.assert_allclose(mass.net, w.grad.norm(dim=1).numpy(), rtol=1e-9)
    np.testing.assert_allclose(
        mass.net**2, mass.pull**2 + mass.push**2 - 2 * mass.cosine * mass.pull * mass.push, rtol=1e-9
    )
    slope = gr.logit_gradient(torch.sigmoid(logits).detach().numpy(), y)
    np.testing.assert_allclose(slope @ w.detach().numpy(), phi.grad.numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mass.negative - mass.positive, slope.sum(axis=0), atol=1e-9)


def test_share_at_one_half_is_the_share_of_negatives():
    _, y = world()
    mass = gr.gradient_mass(np.full(y.shape, 0.5), y, np.ones((len(y), 1)))
    np.testing.assert_allclose(mass.negative_share, 1 - y.mean(axis=0))


def test_share_at_the_prior_is_one_half():
    _, y = world()
    mass = gr.gradient_mass(np.tile(y.mean(axis=0), (len(y), 1)), y, np.ones((len(y), 1)))
    np.testing.assert_allclose(mass.negative_share, 0.5)


def test_masses_balance_at_the_optimum():
    x, y = world()
    settings = gr.ClassifierSettings(steps=600, learning_rate=0.05, scale=1.0)
    both = [gr.train_classifier(x, y, settings, prior_bias=prior)[600][0] for prior in (False, True)]
    np.testing.assert_allclose(both[0], both[1], atol=2e-3)  # one convex problem, one optimum
    np.testing.assert_allclose(gr.gradient_mass(both[1], y, x).negative_share, 0.5, atol=2e-3)


def test_encoder_mass_adds_up():
    x, y = world()
    rng = np.random.default_rng(0)
    p, w = rng.random(y.shape), rng.standard_normal((8, 5))
    pull, push = gr.encoder_mass(p, y, w)
    expected = (np.abs(p - y) * np.linalg.norm(w, axis=1)).sum()
    assert pull.sum() + push.sum() == pytest.approx(expected)
    assert np.all(pull >= 0) and x.shape[0] == len(y)


def test_bins():
    names, medians, counts = gr.by_frequency(np.array([1, 1, 3, 50, 200]), np.array([1.0, 3, 5, 7, 9]))
    assert names == ["1", "2-3", "4-9", "10-29", "30-99", "100+"]
    np.testing.assert_array_equal(counts, [2, 1, 0, 0, 1, 1])
    np.testing.assert_array_equal(medians, [2, 5, np.nan, np.nan, 7, 9])


def test_shapes_must_agree():
    with pytest.raises(checks.TheoryError, match="differ in shape"):
        gr.logit_gradient(np.ones((2, 3)), np.ones((3, 2), dtype=bool))
