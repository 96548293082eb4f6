"""The contrastive self-training loss (3.5) for two classes: value, slope and limits, Eqs. (3.20)-(3.22).

With d = <x, e_1 - e_2>, P = sigmoid(d) and Q = sigmoid(d / tau) the loss of one text is
    l(d) = log(1 + e^-d) + d sigmoid(-d / tau).
It is even in d: the loss sees how far a text is from the boundary and not on which side.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import special

from msig_lib.theory import checks

GRADIENT_LIMIT = 2.0  # ours: the largest temperature at which every |d| grows, gradient through Q
DETACHED_LIMIT = 1.0  # ours: the same with Q held fixed; at 1 nothing moves


def loss(d: np.ndarray | float, tau: float) -> np.ndarray:
    """Return Eq. (3.20) for each score d, float64, same shape."""
    t = checks.temperature(tau)
    x = np.asarray(d, dtype=np.float64)
    return np.logaddexp(0, -x) + x * special.expit(-x / t)


def slope(
    d: np.ndarray | float, tau: float | np.ndarray, *, detached: bool | np.ndarray = False
) -> np.ndarray:
    """Return dl/dd: Eq. (3.21), or only its second part when Q is `detached`; both settings broadcast."""
    x = np.asarray(d, dtype=np.float64)
    near = special.expit(-x / tau)
    second = near - special.expit(-x)
    return np.where(detached, second, second - (x / tau) * near * special.expit(x / tau))


def sharp_loss(d: np.ndarray | float) -> np.ndarray:
    """Return the limit tau -> 0, Eq. (3.6): log(1 + e^-|d|), the cross entropy of the pseudo label."""
    return np.logaddexp(0, -np.abs(np.asarray(d, dtype=np.float64)))


def entropy(d: np.ndarray | float) -> np.ndarray:
    """Return H(sigmoid(d)) in nats, which the loss is at tau = 1 (Eq. 3.8 for one text)."""
    p = special.expit(np.asarray(d, dtype=np.float64))
    return special.entr(p) + special.entr(1 - p)


def tail_bounds(m: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Return (e^-m / 2, (1 + m) e^-m), which enclose the loss for m >= 0 and 0 < tau <= 1."""
    x = np.asarray(m, dtype=np.float64)
    return np.exp(-x) / 2, (1 + x) * np.exp(-x)


def step_alone(d: float, tau: float, rate: float, *, detached: bool = False) -> float:
    """Return d' = d - rate * slope(d): Theorem 7's step, in which a score is its own parameter."""
    return float(d - rate * slope(d, tau, detached=detached))


def step_shared(
    w: np.ndarray, points: np.ndarray, tau: float, rate: float, *, detached: bool = False
) -> np.ndarray:
    """Return w' after one gradient step on the sum over `points` [n, k] of l(<w, x_i>)."""
    return w - rate * points.T @ slope(points @ w, tau, detached=detached)


def contrastive_loss(scores: torch.Tensor, tau: float, *, detached: bool) -> torch.Tensor:
    """Return Eq. (3.5), summed over texts, for similarities [n, classes]; `detached` holds Q fixed."""
    weight = torch.softmax(scores / checks.temperature(tau), dim=-1)
    weight = weight.detach() if detached else weight
    return -(weight * torch.log_softmax(scores, dim=-1)).sum()


def autograd_slope(d: np.ndarray, tau: float, *, detached: bool) -> np.ndarray:
    """Return dl/dd by automatic differentiation of Eq. (3.5) on the two scores (d, 0), float64 [n]."""
    x = torch.tensor(np.asarray(d, dtype=np.float64), requires_grad=True)
    contrastive_loss(torch.stack([x, torch.zeros_like(x)], dim=-1), tau, detached=detached).backward()
    return x.grad.numpy()


def margin_gain(
    w: np.ndarray, points: np.ndarray, tau: float, rate: float, *, detached: bool = False
) -> tuple[float, float]:
    """Return both sides of our Theorem 7: (weighted gain of the margins, rate * |gradient|^2).

    The gain is the sum of |l'(d_i)| (s_i d_i' - |d_i|), with s_i = sign d_i the pseudo label before the step.
    """
    before = points @ w
    force = slope(before, tau, detached=detached)
    after = points @ step_shared(w, points, tau, rate, detached=detached)
    gain = np.abs(force) @ (np.sign(before) * after - np.abs(before))
    return float(gain), float(rate * np.sum((points.T @ force) ** 2))
