"""Intervals over seeds and items: how sure a mean, a paired difference or a pooled ratio is.

Measurements are arrays [n_seeds, n_items]: every training seed is measured on the same items (documents,
labels, trajectories), so both rows and columns are samples. The thesis reports neither; its tests look at
items alone.

Items are bootstrapped. Seeds are not: three seeds have only 27 resamples, the spread of which is too small by
(S-1)/S and ends at the extremes seen, so that a nominal 95% interval covers about 75% when seeds dominate. We
estimate the seeds' own variance instead (what is left of the spread of the seeds' means after the item noise
in it, the two-way random-effects estimate) and add to every resample a draw of Student's t with S-1 degrees
of freedom times its standard error. With one seed that part is missing: the interval then speaks of this one
trained model. Few items are widened by sqrt(n/(n-1)) t/z, the expanded percentile interval of Hesterberg
(2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
CHUNK = 2_000_000  # resampled items held at once, ours: 16 MB of indices


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval [lo, hi], and how many seeds and (used) items it rests on.

    `lo` and `hi` are NaN when one seed and one item leave nothing to estimate a spread from.
    """

    estimate: float
    lo: float
    hi: float
    n_seeds: int
    n_items: int

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.lo:.3f}, {self.hi:.3f}]"


def mean_interval(
    values: npt.ArrayLike, *, rng: np.random.Generator, level: float = 0.95, n_boot: int = 2000
) -> Interval:
    """Return the interval of the mean of `values` [n_seeds, n_items] or [n_items]; NaN entries are left out.

    The estimate is the mean over seeds of each seed's mean over its items.
    """
    x = _matrix(values, "values")
    valid = np.isfinite(x)
    return _interval(np.where(valid, x, 0.0), valid.astype(np.float64), valid, rng, level, n_boot)


def paired_interval(
    a: npt.ArrayLike, b: npt.ArrayLike, *, rng: np.random.Generator, level: float = 0.95, n_boot: int = 2000
) -> Interval:
    """Return the interval of mean(a - b) for `a`, `b` [n_seeds, n_items] (or [n_items]) on the same items.

    A single row is one model for all seeds of the other side. Entries that are NaN on either side are left
    out. Raises ValueError for shapes that cannot be paired.
    """
    x, y = _matrix(a, "a"), _matrix(b, "b")
    if x.shape[1] != y.shape[1] or len({len(x), len(y)} - {1}) > 1:
        raise ValueError(
            f"a is {x.shape} and b is {y.shape} [n_seeds, n_items]; a pair needs the same items in the same "
            "order, and the same seeds or a single row."
        )
    return mean_interval(x - y, rng=rng, level=level, n_boot=n_boot)


def ratio_interval(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    n_boot: int = 2000,
) -> Interval:
    """Return the interval of sum(numerators) / sum(denominators) over items, averaged over seeds.

    Shapes as in `paired_interval`; PSP@k is such a ratio (`ranking.psp_terms`). For two methods that share
    the denominators, give the difference of their numerators. Raises ValueError when a seed's denominators
    sum to 0.
    """
    x, y = _matrix(numerators, "numerators"), _matrix(denominators, "denominators")
    if x.shape[1] != y.shape[1] or len({len(x), len(y)} - {1}) > 1:
        raise ValueError(
            f"numerators are {x.shape} and denominators {y.shape}; give both for the same items."
        )
    x, y = np.broadcast_arrays(x, y)
    valid = np.isfinite(x) & np.isfinite(y)
    return _interval(np.where(valid, x, 0.0), np.where(valid, y, 0.0), valid, rng, level, n_boot)


def _matrix(values: npt.ArrayLike, name: str) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim == 1:
        x = x[None]
    if x.ndim != 2 or not x.size:
        raise ValueError(f"{name} has shape {x.shape}; give [n_seeds, n_items] or [n_items], not empty.")
    if np.isinf(x).any():
        raise ValueError(f"{name} holds an infinite value; give numbers, or NaN for an item without a value.")
    return x


def _interval(
    num: Floats,
    den: Floats,
    valid: npt.NDArray[np.bool_],
    rng: np.random.Generator,
    level: float,
    n_boot: int,
) -> Interval:
    """The core of all three: seeds' ratios sum(num) / sum(den), averaged; a mean has den = 1."""
    if not 0 < level < 1 or n_boot < 100:
        raise ValueError(f"level={level}, n_boot={n_boot}; use 0 < level < 1 and at least 100 resamples.")
    used = valid.any(axis=0)
    num, den, valid = num[:, used], den[:, used], valid[:, used]
    total = den.sum(axis=1)
    if not used.any() or not total.all():
        seeds = np.flatnonzero(total == 0).tolist()
        raise ValueError(
            f"no value to average for the seeds in rows {seeds}: every entry is NaN or weighs 0."
        )
    n_seeds, n_items = num.shape
    per_seed = num.sum(axis=1) / total
    estimate = float(per_seed.mean())
    tail = (1 - level) / 2
    if n_items == 1:
        if n_seeds == 1:
            return Interval(estimate, float("nan"), float("nan"), 1, 1)
        half = stats.t.isf(tail, n_seeds - 1) * per_seed.std(ddof=1) / np.sqrt(n_seeds)
        return Interval(estimate, float(estimate - half), float(estimate + half), n_seeds, 1)

    widen = np.sqrt(n_items / (n_items - 1)) * stats.t.isf(tail, n_items - 1) / stats.norm.isf(tail)
    draws = estimate + widen * (_resampled(num, den, rng, n_boot) - estimate)
    if n_seeds > 1:
        # Evenly spaced quantiles in random order: t with 2 degrees of freedom is too heavy-tailed to sample.
        t = stats.t.ppf((rng.permutation(len(draws)) + 0.5) / len(draws), n_seeds - 1)
        draws = draws + t * _seed_error(num, den, valid, per_seed)
    lo, hi = np.quantile(draws, [tail, 1 - tail])
    return Interval(estimate, float(lo), float(hi), n_seeds, n_items)


def _resampled(num: Floats, den: Floats, rng: np.random.Generator, n_boot: int) -> Floats:
    """Means over seeds of the ratio in `n_boot` resamples of the items (as weights, a chunk at a time)."""
    n_items = num.shape[1]
    step = max(1, CHUNK // n_items)
    means = []
    for start in range(0, n_boot, step):
        rows = min(step, n_boot - start)
        drawn = rng.integers(n_items, size=(rows, n_items)) + n_items * np.arange(rows)[:, None]
        weight = (
            np.bincount(drawn.ravel(), minlength=rows * n_items).reshape(rows, n_items).astype(np.float64)
        )
        top, bottom = weight @ num.T, weight @ den.T
        ratio = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)
        # A resample can miss every valid item of a seed, or of all seeds; then that part of it says nothing.
        says = np.isfinite(ratio)
        some = says.any(axis=1)
        means.append(np.where(says, ratio, 0.0).sum(axis=1)[some] / says.sum(axis=1)[some])
    return np.concatenate(means)


def _seed_error(num: Floats, den: Floats, valid: npt.NDArray[np.bool_], per_seed: Floats) -> float:
    """Standard error of the mean that is due to the seeds themselves, 0 when item noise explains it all."""
    n_seeds, n_items = num.shape
    # What each item adds to its seed's ratio (linearised, mean 0 per seed); items common to seeds cancel out.
    share = n_items * (num - per_seed[:, None] * den) / den.sum(axis=1, keepdims=True)
    counts = np.maximum(valid.sum(axis=0), 1)
    rest = np.where(valid, share - share.sum(axis=0) / counts, 0.0)
    freedom = max((n_seeds - 1) * (n_items - 1), 1)
    noise = (rest**2).sum() / freedom / n_items
    return float(np.sqrt(max(per_seed.var(ddof=1) - noise, 0.0) / n_seeds))
