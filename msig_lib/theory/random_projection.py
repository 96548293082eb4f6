"""Inner products under a Gaussian random embedding: their exact law, and the exact chance of an error.

The thesis (2.4.3) models a sentence encoder by a matrix E [d, v] with independent entries N(0, 1/d) and
bounds the chance that <Ea, Eb> <= 0 although <a, b> > 0. With c = cos(a, b) that chance is known exactly,
P(T_d <= -sqrt(d) c / sqrt(1 - c^2)) for Student's T_d, and depends on nothing but c and d.
"""

from __future__ import annotations

import numpy as np
from scipy import special, stats

from msig_lib.theory import checks

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(240)


def embedding(dimension: int, vocabulary: int, rng: np.random.Generator) -> np.ndarray:
    """Draw E, float64 [dimension, vocabulary], entries of standard deviation dimension^-1/2 (2.4.3)."""
    d = checks.dimension(dimension)
    return rng.standard_normal((d, vocabulary)) / np.sqrt(d)


def error_probability(cosine: float | np.ndarray, dimension: int) -> np.ndarray:
    """Return P(<Ea, Eb> <= 0) exactly, shape of `cosine` = cos(a, b).

    The incomplete beta form I_{(1-c)/2}(d/2, d/2) of Student's tail keeps its relative accuracy far out.

        >>> float(error_probability(0.5, 4))
        0.15625
    """
    d = checks.dimension(dimension)
    return special.betainc(d / 2, d / 2, (1 - checks.cosines(cosine)) / 2)


def error_bound(cosine: float | np.ndarray, dimension: int) -> np.ndarray:
    """Return the closed bound (1/2)(1 - c^2)^(d/2) on `error_probability` for c >= 0, and 1 for c < 0."""
    d, c = checks.dimension(dimension), checks.cosines(cosine)
    return np.where(c >= 0, 0.5 * (1 - c**2) ** (d / 2), 1.0)


def error_floor(cosine: float | np.ndarray, dimension: int) -> np.ndarray:
    """Return (1 - c^2)^(d/2) / (d B(d/2, 1/2)), a lower bound on `error_probability` for c >= 0; else 1/2."""
    d, c = checks.dimension(dimension), checks.cosines(cosine)
    return np.where(c >= 0, (1 - c**2) ** (d / 2) / (d * special.beta(d / 2, 0.5)), 0.5)


def needed_cosine(probability: float | np.ndarray, dimension: int) -> np.ndarray:
    """Return the cosine at which `error_probability` equals `probability` in (0, 1)."""
    d, p = checks.dimension(dimension), np.asarray(probability, dtype=np.float64)
    if not np.all((p > 0) & (p < 1)):
        raise checks.TheoryError(f"a probability between 0 and 1 is needed, was {probability!r}")
    # Student's quantile, because 1 - 2x loses the digits of a beta quantile x near 1/2.
    t = -stats.t.ppf(p, d)
    return t / np.hypot(np.sqrt(d), t)


def product_cdf(value: float | np.ndarray, cosine: float, dimension: int) -> np.ndarray:
    """Return P(<Ea, Eb> <= value) for unit vectors a and b at `cosine`, by a one-dimensional quadrature.

    By polarisation 2 d <Ea, Eb> = (1 + c) C - (1 - c) C' with independent chi-square C, C' of d degrees.
    """
    d, c = checks.dimension(dimension), float(checks.cosines(cosine))
    z = np.asarray(value, dtype=np.float64)
    if c == -1.0:
        return special.gammaincc(d / 2, np.maximum(-z, 0) * d / 2)
    # The square root of C' has standard deviation below 0.75 for every d: ten units each side hold it. Below
    # `first` the inner probability is 0; the squared nodes resolve its square-root rise there when d = 1.
    high = np.sqrt(d) + 10
    with np.errstate(divide="ignore"):
        first = np.sqrt(np.maximum(-z, 0) * np.divide(2 * d, 1 - c) if c < 1 else np.where(z < 0, np.inf, 0))
    low = np.clip(first, max(0.0, np.sqrt(d) - 10), high)[..., None]
    root = low + (high - low) * ((_NODES + 1) / 2) ** 2
    weight = stats.chi.pdf(root, d) * _WEIGHTS * (_NODES + 1) / 2 * (high - low)
    reach = np.maximum((2 * d * z[..., None] + (1 - c) * root**2) / (1 + c), 0)
    return np.clip((special.gammainc(d / 2, reach / 2) * weight).sum(axis=-1), 0.0, 1.0)


def simulate_products(cosine: float, dimension: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `draws` matrices E and return <Ea, Eb> for unit a, b at `cosine`, float64 [draws].

    Only the two columns of E on the plane of a and b matter, so that only they are drawn.
    """
    d, c = checks.dimension(dimension), float(checks.cosines(cosine))
    first = rng.standard_normal((draws, d)) / np.sqrt(d)
    second = rng.standard_normal((draws, d)) / np.sqrt(d)
    return np.einsum("nd,nd->n", first, c * first + np.sqrt(1 - c**2) * second)


def any_error_probability(margin: float, labels: int, dimension: int) -> float:
    """Return the exact chance of at least one error among `labels` negatives in the model of the explorer.

    One positive and `labels` negative keyword vectors are orthonormal, the document has inner product
    `margin` in [0, 1] with the positive and 0 with the negatives: every pair has exactly this margin. Given
    |Ea| the errors are exceedances of independent normals over a common threshold (double quadrature).
    """
    d = checks.dimension(dimension)
    _check_margin(margin, labels)
    low, high = max(0.0, np.sqrt(d) - 9), np.sqrt(d) + 9
    length = low + (high - low) * (_NODES + 1) / 2
    weight = stats.chi.pdf(length, d) * _WEIGHTS * (high - low) / 2
    noise = 9 * _NODES
    noise_weight = stats.norm.pdf(noise) * 9 * _WEIGHTS
    threshold = margin * length[:, None] + np.sqrt(1 - margin**2) * noise
    missed = -np.expm1(labels * special.log_ndtr(threshold))
    return float(np.clip(weight @ missed @ noise_weight, 0.0, 1.0))


def simulate_any_error(
    margin: float, labels: int, dimension: int, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw whether any of `labels` negatives overtakes the positive, bool [draws], in the same model.

    The projections are drawn in full (d numbers for the document and for the positive); of the negatives
    only their largest score matters, the maximum of `labels` independent normal variables.
    """
    d = checks.dimension(dimension)
    _check_margin(margin, labels)
    document = rng.standard_normal((draws, d)) / np.sqrt(d)
    other = rng.standard_normal((draws, d)) / np.sqrt(d)
    positive = margin * document + np.sqrt(1 - margin**2) * other
    score = np.einsum("nd,nd->n", document, positive)
    largest = special.ndtri_exp(np.log(rng.random(draws)) / labels)
    return score <= np.linalg.norm(document, axis=1) * largest / np.sqrt(d)


def _check_margin(margin: float, labels: int) -> None:
    if not 0 <= margin <= 1:
        raise checks.TheoryError(
            f"a margin between non-negative unit vectors lies in [0, 1], was {margin}; normalise first"
        )
    if labels < 1:
        raise checks.TheoryError(f"at least one negative label is needed, was {labels}")
