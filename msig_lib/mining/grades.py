"""Grades 1 to 5 as scores, what printed scores could be means of, and how far two judges agree."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.metrics import cohen_kappa_score

Floats = npt.NDArray[np.float64]
DEFINITIONS = ("range", "mean")
"""Of a normalised score: "range" (grade - 1) / 4, ours (thesis 5.6.2 leaves it open); "mean" grade / 5, to compare."""


def normalised(scores: npt.ArrayLike, definition: str = "range") -> Floats:
    """Return grades [n] as scores float64 [n] between 0 (.2 for "mean") and 1, NaN for no grade (0).

    ValueError for other grades than 0 to 5 or another definition than `DEFINITIONS`.

    >>> normalised([1, 3, 5, 0])
    array([0. , 0.5, 1. , nan])
    """
    grades = _grades(scores).astype(np.float64)
    grades[grades == 0] = np.nan
    return grades / 5 if _known(definition) == "mean" else (grades - 1) / 4


def possible_counts(
    values: Sequence[float | str], decimals: int, definition: str, limit: int = 200
) -> list[int]:
    """Return every n up to `limit` such that each printed value can be 100 times a mean score of n grades 1 to 5.

    `values` are percentages, rounded to `decimals` (a mean that lies halfway may have gone either way). All have to be
    possible with the same n: systems of one topic answer the same questions. Exact, in fractions. The thesis says
    that there were about 30 questions a topic (5.5.2). ValueError for decimals or a limit below 0 or no values.

    >>> possible_counts(["83.3"], 1, "mean", limit=10)
    [6]
    """
    _known(definition)
    if decimals < 0 or limit < 0 or isinstance(values, str) or not len(values):
        raise ValueError(
            f"values is {values!r}, decimals {decimals}, limit {limit}: expected a list of percentages, both from 0"
        )
    half = Fraction(1, 2 * 10**decimals)
    means = []  # the least and the greatest mean grade that is printed so
    for value in values:
        ends = [(Fraction(Decimal(str(value))) + side * half) / 100 for side in (-1, 1)]
        means.append([5 * end if definition == "mean" else 1 + 4 * end for end in ends])
    return [
        n
        for n in range(1, limit + 1)
        if all(math.ceil(max(low * n, n)) <= min(high * n, 5 * n) for low, high in means)
    ]


def agreement(a: npt.ArrayLike, b: npt.ArrayLike) -> dict[str, float]:
    """Return how far two judges agree on the same answers: grades [n], or [systems, n] to compare their order too.

    Answers without a grade (0) from either are left out. `n` answers compared; `exact` share of equal grades; `kappa`
    Cohen's with quadratic weights; `spearman` rank correlation (both NaN where one judge gives a single grade);
    `ordered_alike` share of pairs of systems that both judges put in the same order by mean grade (equal is an order
    of its own; NaN with one system). ValueError for different shapes, other grades or nothing to compare.
    """
    x, y = _grades(a), _grades(b)
    if x.shape != y.shape or x.ndim not in (1, 2):
        raise ValueError(f"a has shape {x.shape} and b {y.shape}: expected the same, [n] or [systems, n]")
    both = (x > 0) & (y > 0)
    if not both.any():
        raise ValueError(f"no answer has a grade from both judges, of {x.size}: nothing to compare")
    one, two = x[both], y[both]
    varied = len(set(one.tolist())) > 1 and len(set(two.tolist())) > 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # systems without a common answer have no mean
        means = [np.nanmean(np.where(both, grades, np.nan), axis=-1) for grades in (x, y)]
    order = [
        np.sign(round(means[0][i] - means[0][j], 9)) == np.sign(round(means[1][i] - means[1][j], 9))
        for i, j in combinations(range(len(x)) if x.ndim == 2 else (), 2)
        if np.isfinite(means[0][[i, j]]).all()
    ]
    return {
        "n": int(both.sum()),
        "exact": float((one == two).mean()),
        "kappa": float(cohen_kappa_score(one, two, weights="quadratic", labels=range(1, 6)))
        if varied
        else np.nan,
        "spearman": float(stats.spearmanr(one, two).statistic) if varied else np.nan,
        "ordered_alike": float(np.mean(order)) if order else np.nan,
    }


def _grades(scores: npt.ArrayLike) -> npt.NDArray[np.int64]:
    given = np.asarray(scores)
    if given.dtype.kind not in "iuf" or not np.isin(given, range(6)).all():
        raise ValueError(
            f"grades are {np.unique(given)[:6]}, expected whole numbers 1 to 5, or 0 where there is none"
        )
    return given.astype(np.int64)


def _known(definition: str) -> str:
    if definition not in DEFINITIONS:
        raise ValueError(f"definition is {definition!r}, expected one of {', '.join(DEFINITIONS)}")
    return definition
