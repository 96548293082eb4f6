"""Who moves a label: gradients of the cross entropy from positives and from negatives (2.4.1, Eq. 2.5).

Arrays: probabilities [n, L] in (0, 1), `positives` bool [n, L], features [n, d], label vectors [L, d].
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from msig_lib.theory.checks import TheoryError


def logit_gradient(probabilities: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Return dLoss/ds = p - y for every pair, float64 [n, L] (Eq. 2.5)."""
    if probabilities.shape != positives.shape:
        raise TheoryError(
            f"probabilities {probabilities.shape} and positives {positives.shape} differ in shape"
        )
    return np.asarray(probabilities, dtype=np.float64) - positives


@dataclass(frozen=True)
class GradientMass:
    """Per label, float64 [L]: what its positive and its negative documents ask of it in one full-batch step.

    `positive` and `negative` sum |dLoss/ds|; `pull` and `push` are the lengths of the two sums of features in
    the update of w_l (2.4.1, Q2); `cosine` is the angle between them; `net` is the length of what remains.
    """

    frequency: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    pull: np.ndarray
    push: np.ndarray
    cosine: np.ndarray
    net: np.ndarray

    @property
    def negative_share(self) -> np.ndarray:
        """Share of the summed |dLoss/ds| that comes from negative documents."""
        return self.negative / (self.positive + self.negative)


def gradient_mass(probabilities: np.ndarray, positives: np.ndarray, features: np.ndarray) -> GradientMass:
    """Split the gradient of every label into what its positives and its negatives contribute (2.4.1, Q2)."""
    slope = logit_gradient(probabilities, positives)
    toward = np.where(positives, -slope, 0.0)
    away = np.where(positives, 0.0, slope)
    pull, push = toward.T @ features, away.T @ features
    lengths = np.linalg.norm(pull, axis=1), np.linalg.norm(push, axis=1)
    product = np.maximum(lengths[0] * lengths[1], 1e-300)
    return GradientMass(
        frequency=positives.sum(axis=0).astype(np.float64),
        positive=toward.sum(axis=0),
        negative=away.sum(axis=0),
        pull=lengths[0],
        push=lengths[1],
        cosine=np.einsum("ld,ld->l", pull, push) / product,
        net=np.linalg.norm(pull - push, axis=1),
    )


def encoder_mass(
    probabilities: np.ndarray, positives: np.ndarray, vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return per label the mass it sends into the document features (2.4.1, Q1): (as positive, as negative).

    The gradient at phi(x) is the sum of (p - y) w_l over labels; a part is |p - y| |w_l|.
    """
    slope = np.abs(logit_gradient(probabilities, positives)) * np.linalg.norm(vectors, axis=1)
    return np.where(positives, slope, 0).sum(axis=0), np.where(positives, 0, slope).sum(axis=0)


@dataclass(frozen=True)
class ClassifierSettings:
    """How the free label vectors of `train_classifier` learn."""

    steps: int = (
        200  # ours: full-batch steps; from prior biases every label's two masses then balance within 2%
    )
    learning_rate: float = 0.05  # ours: Adam on unit features, falling linearly to 0
    decay: float = (
        1.0  # ours: L2 on the vectors (not on biases) as scikit-learn's C = 1, so that an optimum exists
    )
    scale: float = 20.0  # ours: the chapter 2 classifier's scale on unit features
    seed: int = 0


def train_classifier(
    features: np.ndarray,
    positives: np.ndarray,
    settings: ClassifierSettings | None = None,
    *,
    prior_bias: bool = False,
    watch: tuple[int, ...] = (),
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Train one logistic unit a label on fixed unit features by full-batch Adam; decay on vectors.

    Returns {step: (probabilities [n, L], vectors [L, d])} for the steps in `watch` (0 = before the first)
    and the last one. Vectors start at random (standard deviation d^-1/2 / scale), biases at 0, or with
    `prior_bias` at the logit of the label's frequency.
    """
    chosen = settings or ClassifierSettings()
    x = torch.as_tensor(np.asarray(features, dtype=np.float32))
    y = torch.as_tensor(np.asarray(positives, dtype=np.float32))
    draw = torch.Generator().manual_seed(chosen.seed)
    start = torch.randn(y.shape[1], x.shape[1], generator=draw) / (chosen.scale * x.shape[1] ** 0.5)
    rate = y.mean(0).clamp(1 / (2 * len(y)), 1 - 1 / (2 * len(y)))
    bias = torch.logit(rate) if prior_bias else torch.zeros(y.shape[1])
    weights, bias = start.requires_grad_(), bias.clone().requires_grad_()
    optimiser = torch.optim.Adam([weights, bias], lr=chosen.learning_rate)
    kept = {}
    for step in range(chosen.steps + 1):
        probability = torch.sigmoid(chosen.scale * (x @ weights.T) + bias)
        if step in watch or step == chosen.steps:
            kept[step] = (
                probability.detach().double().numpy(),
                chosen.scale * weights.detach().double().numpy(),
            )
        if step < chosen.steps:
            # The gradient of the summed cross entropy by hand: p - y, Eq. (2.5).
            slope = (probability - y).detach()
            weights.grad = chosen.scale * (slope.T @ x + chosen.decay * chosen.scale * weights.detach())
            bias.grad = slope.sum(0)
            optimiser.param_groups[0]["lr"] = chosen.learning_rate * (1 - step / chosen.steps)
            optimiser.step()
    return kept


def by_frequency(
    frequency: np.ndarray, values: np.ndarray, edges: tuple[float, ...] = (1, 2, 4, 10, 30, 100, np.inf)
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return (bin names, median of `values` [bins], labels a bin [bins]) over bins [edge, next edge)."""
    names, medians, counts = [], [], []
    for low, high in pairwise(edges):
        inside = (frequency >= low) & (frequency < high)
        last = f"{high - 1:g}" if np.isfinite(high) else ""
        names.append(f"{low:g}" if last == f"{low:g}" else f"{low:g}-{last}" if last else f"{low:g}+")
        counts.append(int(inside.sum()))
        medians.append(float(np.median(values[inside])) if inside.any() else np.nan)
    return names, np.array(medians), np.array(counts)
