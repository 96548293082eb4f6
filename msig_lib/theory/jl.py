"""The Johnson-Lindenstrauss lemma for inner products, Eq. (2.10): its valid range and its tight forms.

For unit vectors the event is |<Ea, Eb> - <a, b>| >= gamma. All functions take gamma > 0 and the width d.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from msig_lib.theory import checks
from msig_lib.theory.random_projection import product_cdf


def stated_bound(gamma: float | np.ndarray, dimension: int) -> np.ndarray:
    """Return 4 exp(-gamma^2 d / 8), the right side of Eq. (2.10), stated for every gamma > 0."""
    return 4 * np.exp(-(_positive(gamma) ** 2) * checks.dimension(dimension) / 8)


def largest_gamma() -> float:
    """Return the root of gamma - ln(1 + gamma) = gamma^2 / 4 (1.6238): up to it (2.10) holds for every d."""
    return float(optimize.brentq(lambda g: g - np.log1p(g) - g * g / 4, 1.0, 2.0, xtol=1e-14))


def length_tails(gamma: float | np.ndarray, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact chances (|Ex|^2 >= 1 + gamma, |Ex|^2 <= 1 - gamma) for a unit vector x."""
    d, g = checks.dimension(dimension), _positive(gamma)
    above = special.gammaincc(d / 2, d * (1 + g) / 2)
    return above, special.gammainc(d / 2, d * np.maximum(1 - g, 0) / 2)


def chernoff_tails(gamma: float | np.ndarray, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the Chernoff bounds on `length_tails`: exp(-d/2 (g - ln(1+g))) and exp(d/2 (g + ln(1-g)))."""
    d, g = checks.dimension(dimension), _positive(gamma)
    above = np.exp(-d / 2 * (g - np.log1p(g)))
    inside = np.minimum(g, 1 - 1e-300)
    with np.errstate(divide="ignore"):
        below = np.where(g < 1, np.exp(d / 2 * (inside + np.log1p(-inside))), 0.0)
    return above, below


def chi_square_bound(gamma: float | np.ndarray, dimension: int) -> np.ndarray:
    """Return the chi-square form of the lemma, 2 (upper + lower tail), for every gamma > 0."""
    above, below = length_tails(gamma, dimension)
    return np.minimum(2 * (above + below), 1.0)


def one_sided_bound(gamma: float | np.ndarray, dimension: int) -> np.ndarray:
    """Return the bound on the lower deviation <Ea, Eb> <= <a, b> - gamma alone: upper + lower tail."""
    above, below = length_tails(gamma, dimension)
    return np.minimum(above + below, 1.0)


def failure_probability(gamma: float | np.ndarray, cosine: float, dimension: int) -> np.ndarray:
    """Return P(|<Ea, Eb> - <a, b>| >= gamma) exactly, for unit a, b at `cosine`."""
    g = _positive(gamma)
    below = product_cdf(cosine - g, cosine, dimension)
    above = product_cdf(-cosine - g, -cosine, dimension)  # E with b replaced by -b
    return np.minimum(below + above, 1.0)


def _positive(gamma: float | np.ndarray) -> np.ndarray:
    array = np.asarray(gamma, dtype=np.float64)
    if not np.all(array > 0):
        raise checks.TheoryError(f"gamma must be positive, was {gamma!r}")
    return array
