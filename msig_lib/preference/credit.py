"""How well token rewards find the first mistake of a trace, against the same rewards in random order (figure 7.6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """How often a rule pointed at the first mistake, for the T traces that have one.

    `rows` int64 [T] are those traces; `hit` float64 [T] is 1 where the rule pointed at a marked token (a share
    where it had to choose among ties), and `chance` float64 [T] the exact mean of `hit` over all orders of
    that trace's rewards. Means over traces are `hit.mean()` and `chance.mean()`.
    """

    rows: npt.NDArray[np.int64]
    hit: Floats
    chance: Floats


def lowest_hits(rewards: npt.ArrayLike, mask: npt.ArrayLike, first_wrong: npt.ArrayLike) -> Found:
    """Return how often a trace's lowest reward is at its first mistake.

    `rewards` float [B, L], `mask` bool [B, L] the trace's tokens, `first_wrong` bool [B, L] the first wrong
    token, or all tokens of the first wrong step; traces without a mark are left out. Chance is the marked
    share of the tokens. Raises ValueError for shapes that differ, a mark outside the mask or rewards that
    are not finite.
    """
    values, inside, marked = _checked(rewards, mask, first_wrong)
    rows = np.flatnonzero(marked.any(1))
    values, inside, marked = values[rows], inside[rows], marked[rows]
    values = np.where(inside, values, np.inf)
    lowest = inside & (values == values.min(1, initial=np.inf)[:, None])
    return Found(rows, (lowest & marked).sum(1) / lowest.sum(1), marked.sum(1) / inside.sum(1))


def threshold_hits(
    rewards: npt.ArrayLike, mask: npt.ArrayLike, first_wrong: npt.ArrayLike, threshold: float
) -> Found:
    """Return how often the first reward below `threshold` is at a trace's first mistake.

    Arguments as for `lowest_hits`. A trace without such a reward is a miss. Choose the threshold on other
    traces than these. Of n tokens with k below it, in random order, the one at position p (from 0) is the
    first below with probability C(n - 1 - p, k - 1) / C(n, k).
    """
    values, inside, marked = _checked(rewards, mask, first_wrong)
    if np.isnan(threshold):
        raise ValueError("threshold is NaN, expected a number")
    rows = np.flatnonzero(marked.any(1))
    values, inside, marked = values[rows], inside[rows], marked[rows]
    below = inside & (values < threshold)
    first = below & (np.cumsum(below, axis=1) == 1)
    position = np.cumsum(inside, axis=1) - 1
    n, k = inside.sum(1)[:, None], below.sum(1)[:, None]
    chance = np.where(marked & (k > 0), np.exp(_log_comb(n - 1 - position, k - 1) - _log_comb(n, k)), 0.0)
    return Found(rows, (first & marked).sum(1).astype(np.float64), chance.sum(1))


def wrong_token_auc(
    rewards: npt.ArrayLike, mask: npt.ArrayLike, wrong: npt.ArrayLike, *, pooled: bool = False
) -> Floats:
    """Return P(a wrong token's reward is below another token's), ties half: float64 [B], or [1] when pooled.

    `wrong` bool [B, L] marks the wrong tokens (of the first wrong step, or of all wrong steps). Each trace by
    itself, NaN where it has no wrong or only wrong tokens; `pooled` compares the tokens of all traces, which
    also rewards knowing which traces are wrong. Chance is .5.
    """
    values, inside, marked = _checked(rewards, mask, wrong)
    if pooled:
        values, marked = values[inside][None], marked[inside][None]
        inside = np.ones_like(marked)
    ranks = rankdata(np.where(inside, -values, np.nan), axis=1, nan_policy="omit")
    bad = marked.sum(1)
    good = inside.sum(1) - bad
    above = np.where(marked, ranks, 0.0).sum(1) - bad * (bad + 1) / 2
    return np.divide(above, bad * good, out=np.full(len(values), np.nan), where=bad * good > 0)


def step_rewards(rewards: npt.ArrayLike, steps: npt.ArrayLike, *, how: str = "mean") -> tuple[Floats, Bools]:
    """Return the rewards of steps float64 [B, K] and which of them exist bool [B, K], for the functions above.

    `steps` int [B, L] is each token's step 0..K-1, -1 outside the trace; `how` is "mean", "sum" or "min" of a
    step's tokens. A step without tokens does not exist and has the value 0.
    """
    values, number = np.asarray(rewards, dtype=np.float64), np.asarray(steps)
    if values.ndim != 2 or values.shape != number.shape or not np.issubdtype(number.dtype, np.integer):
        raise ValueError(
            f"rewards {values.shape} and steps {number.dtype} {number.shape} given, expected [B, L] both, and integers"
        )
    if how not in ("mean", "sum", "min"):
        raise ValueError(f"how is {how!r}, expected 'mean', 'sum' or 'min'")
    shape = (len(values), int(number.max(initial=-1)) + 1)
    at = np.nonzero(number >= 0)
    cell = (at[0], number[at])
    count, out = np.zeros(shape, dtype=np.int64), np.zeros(shape)
    np.add.at(count, cell, 1)
    if how == "min":
        out[count > 0] = np.inf
        np.minimum.at(out, cell, values[at])
    else:
        np.add.at(out, cell, values[at])
        out = out / np.maximum(count, 1) if how == "mean" else out
    return out, count > 0


def _log_comb(n: npt.ArrayLike, k: npt.ArrayLike) -> Floats:
    """Return log C(n, k), -inf where there is no such choice."""
    n, k = np.broadcast_arrays(n, k)
    possible = (k >= 0) & (k <= n)
    n, k = np.where(possible, n, 0), np.where(possible, k, 0)
    return np.where(possible, gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), -np.inf)


def _checked(
    rewards: npt.ArrayLike, mask: npt.ArrayLike, marks: npt.ArrayLike
) -> tuple[Floats, Bools, Bools]:
    values, inside, marked = np.asarray(rewards, dtype=np.float64), np.asarray(mask), np.asarray(marks)
    if values.ndim != 2 or not values.shape == inside.shape == marked.shape:
        raise ValueError(
            f"rewards {values.shape}, mask {inside.shape} and marks {marked.shape} given, expected [B, L] each"
        )
    if inside.dtype != bool or marked.dtype != bool:
        raise TypeError(f"mask is {inside.dtype} and the marks {marked.dtype}, expected bool")
    if (marked & ~inside).any():
        raise ValueError("a token outside the mask is marked as wrong; mark tokens of the trace only")
    if not np.isfinite(values[inside]).all():
        raise ValueError("rewards are not finite inside the mask")
    return values, inside, marked
