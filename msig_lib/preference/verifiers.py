"""Which of N samples to answer with, for every N from one pool of M: best-of-N, votes, and what they are held against.

Each estimate is the mean over all subsets of N of the M samples, drawn without replacement, of how often the
chosen answer is right: unbiased for N fresh samples, and with no noise of its own where the closed form is
used. Pools are arrays [Q, M], questions by samples.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from msig_lib.preference import _votes_kernel as kernel

Floats = npt.NDArray[np.float64]
MOST = 1000  # samples a question: C(1000, 500) is still a float64


@dataclass(frozen=True)
class Curve:
    """Accuracy by N: `n` int64 [K], `value` float64 [Q, K] in [0, 1], one row a question (to pair methods).

    `error` float64 [Q, K] is the standard error that comes from drawing subsets: 0 where all were counted.
    """

    n: npt.NDArray[np.int64]
    value: Floats
    error: Floats

    @property
    def mean(self) -> Floats:
        """Mean over questions, float64 [K]."""
        return self.value.mean(0)

    @property
    def mean_error(self) -> Floats:
        """Standard error of `mean` that comes from drawing subsets, float64 [K]; not that of the questions."""
        return np.sqrt((self.error**2).sum(0)) / len(self.error)


def log_probability_score(logprobs: Sequence[npt.ArrayLike], *, mean: bool = False) -> Floats:
    """Return each response's log-probability in nats, float64 [S]: the sum over its tokens, or their mean.

    `logprobs` holds one array of token log-probabilities a response (`lm.scoring.score`), none empty.
    """
    rows = [np.asarray(row, dtype=np.float64) for row in logprobs]
    if not all(row.ndim == 1 and len(row) for row in rows):
        raise ValueError("a response has no tokens or is no list of them; expected one float array [L] each")
    return np.array([row.mean() if mean else row.sum() for row in rows])


def log_ratio_score(policy: Sequence[npt.ArrayLike], reference: Sequence[npt.ArrayLike]) -> Floats:
    """Return each response's DPO reward log p(y) - log r(y) in nats, float64 [S] (thesis 7.6.2, without beta).

    Both hold one array of token log-probabilities a response. Raises ValueError when their lengths differ.
    """
    if [np.shape(row) for row in policy] != [np.shape(row) for row in reference]:
        raise ValueError("policy and reference differ in their numbers of tokens; score the same responses")
    return log_probability_score(policy) - log_probability_score(reference)


def answer_codes(answers: Sequence[Sequence[Hashable | None]]) -> npt.NDArray[np.int64]:
    """Return answers [Q][M] as numbers int64 [Q, M], equal for equal answers of a question, -1 for None."""
    if len({len(row) for row in answers}) != 1:
        raise ValueError("answers has no rows, or rows of unequal length; expected M samples a question")
    out = np.full((len(answers), len(answers[0])), -1, dtype=np.int64)
    for q, row in enumerate(answers):
        kinds: dict[Hashable, int] = {}
        for m, one in enumerate(row):
            if one is not None:
                out[q, m] = kinds.setdefault(one, len(kinds))
    return out


def vote_weights(scores: npt.ArrayLike, *, kind: str = "sigmoid", scale: float = 0.1) -> Floats:
    """Return positive weights [Q, M] for weighted voting; the thesis does not say how a score becomes one.

    "sigmoid": 1 / (1 + e^(-scale s)), the reward model's probability to beat a response of log-ratio 0 when
    `scale` is DPO's beta. "softmax": e^(scale (s - max of the question)); with `scale` 1 and a log-probability
    every sample counts with its probability.
    """
    values = _matrix(scores, "scores")
    if kind not in ("sigmoid", "softmax") or not scale > 0:
        raise ValueError(f"kind is {kind!r} and scale {scale}, expected 'sigmoid' or 'softmax', above 0")
    # 1e-300: a weight that underflows would be no vote at all.
    found = expit(scale * values) if kind == "sigmoid" else np.exp(scale * (values - values.max(1)[:, None]))
    return np.maximum(found, 1e-300)


def mean_accuracy(right: npt.ArrayLike, n: npt.ArrayLike | None = None) -> Curve:
    """Return the accuracy of a sample picked at random, the same for every N; `right` bool [Q, M]."""
    return best_of_n(np.zeros(np.shape(right)), right, n)


def pass_at_n(right: npt.ArrayLike, n: npt.ArrayLike | None = None) -> Curve:
    """Return how often at least one of N samples is right: 1 - C(M - c, N) / C(M, N) with c right ones of M."""
    return best_of_n(np.asarray(right, dtype=np.float64), right, n)


def best_of_n(scores: npt.ArrayLike, right: npt.ArrayLike, n: npt.ArrayLike | None = None) -> Curve:
    """Return how often the highest-scored of N samples is right, exactly.

    `scores` float [Q, M], `right` bool [Q, M], `n` int [K] (default 1..M). The sample of rank i (from 0) is the
    best of a subset with probability C(M - 1 - i, N - 1) / C(M, N); samples with equal scores share the
    probabilities of their ranks. Raises ValueError for shapes that differ, scores that are not finite, or N
    outside 1..M.
    """
    good, sizes = _pool(right, n)
    values = _matrix(scores, "scores")
    if values.shape != good.shape:
        raise ValueError(f"scores are {values.shape} and right {good.shape}, expected the same [Q, M]")
    questions, pool = good.shape
    order = np.argsort(-values, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, 1)
    new = np.ones((questions, pool), dtype=bool)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    tied = np.cumsum(new.ravel()) - 1
    hits = np.take_along_axis(good, order, 1).ravel()
    share = (np.bincount(tied, weights=hits) / np.bincount(tied))[tied].reshape(questions, pool)
    rank = np.arange(pool - 1)[:, None]
    steps = np.maximum(pool - sizes - rank, 0) / (pool - 1 - rank)
    weight = np.cumprod(np.concatenate([(sizes / pool)[None], steps]), axis=0)
    value = share @ weight
    return Curve(sizes, value, np.zeros_like(value))


def majority_vote(answers: npt.ArrayLike, right: npt.ArrayLike, n: npt.ArrayLike | None = None) -> Curve:
    """Return how often the most frequent answer of N samples is right, exactly (all subsets are counted).

    `answers` int [Q, M] as from `answer_codes`, `right` bool [Q, M], `n` int [K] (default 1..M). Samples
    without an answer (-1) do not vote; a subset without any answer is wrong, and answers with equally many
    votes share the win. Raises ValueError for shapes that differ, an answer that is both right and wrong, a
    right sample without an answer, or more than 1,000 samples a question.
    """
    good, sizes = _pool(right, n)
    codes = _codes(answers, good)
    pool = good.shape[1]
    if pool > MOST:
        raise ValueError(f"{pool} samples a question given, expected at most {MOST}")
    choose = kernel.binomials(pool)
    by_size = np.empty(pool + 1)
    value = np.empty((len(good), len(sizes)))
    for q, (row, hits) in enumerate(zip(codes, good)):
        place, counts, correct = _ballot(row, hits)
        kernel.majority(counts, correct, int((place < 0).sum()), choose, by_size)
        value[q] = by_size[sizes]
    return Curve(sizes, value, np.zeros_like(value))


def weighted_vote(
    answers: npt.ArrayLike,
    weights: npt.ArrayLike,
    right: npt.ArrayLike,
    n: npt.ArrayLike | None = None,
    *,
    seed: int,
    draws: int = 512,  # ours: a question's error is then at most .023, a mean of 500 questions' .001
) -> Curve:
    """Return how often the answer with the largest sum of weights among N samples is right.

    As `majority_vote`, with `weights` float [Q, M], positive (`vote_weights`). Where a pool has at most
    `draws` subsets of N, all are counted and `error` is 0; elsewhere `draws` random ones are, the same
    permutations for every N, and `error` is their standard error.
    """
    good, sizes = _pool(right, n)
    codes, heavy = _codes(answers, good), _matrix(weights, "weights")
    questions, pool = good.shape
    if heavy.shape != good.shape or not (heavy > 0).all():
        raise ValueError(
            f"weights are {heavy.shape}, expected positive ones {good.shape}: see `vote_weights`"
        )
    if draws < 2:
        raise ValueError(f"draws is {draws}, expected at least 2")
    counted = np.array([comb(pool, int(size)) <= draws for size in sizes])
    subsets = {size: np.array(list(combinations(range(pool), size))) for size in sizes[counted].tolist()}
    drawn = np.zeros(pool, dtype=bool)
    drawn[sizes[~counted] - 1] = True
    longest = int(sizes[~counted].max(initial=0))
    rng = np.random.default_rng(seed)
    value, error = np.zeros((2, questions, len(sizes)))
    for q in range(questions):
        place, _, correct = _ballot(codes[q], good[q])
        if longest:
            orders = rng.permuted(np.tile(np.arange(pool), (draws, 1)), axis=1)[:, :longest]
            total, squares = np.zeros((2, longest))
            kernel.weighted(orders, place, heavy[q], correct, drawn[:longest], total, squares)
            mean = total[sizes[~counted] - 1] / draws
            spread = squares[sizes[~counted] - 1] / draws - mean**2
            value[q, ~counted] = mean
            error[q, ~counted] = np.sqrt(np.maximum(spread, 0.0) / (draws - 1))
        for column in np.flatnonzero(counted):
            orders = subsets[int(sizes[column])]
            wanted = np.arange(orders.shape[1]) == orders.shape[1] - 1
            total, squares = np.zeros((2, orders.shape[1]))
            kernel.weighted(orders, place, heavy[q], correct, wanted, total, squares)
            value[q, column] = total[-1] / len(orders)
    return Curve(sizes, value, error)


def _pool(
    right: npt.ArrayLike, n: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return the outcomes and the sizes N, checked."""
    good = np.asarray(right)
    if good.dtype != bool or good.ndim != 2 or not good.size:
        raise ValueError(f"right is {good.dtype} {good.shape}, expected bool [Q, M], not empty")
    sizes = np.arange(1, good.shape[1] + 1) if n is None else np.atleast_1d(np.asarray(n))
    if sizes.ndim != 1 or not np.issubdtype(sizes.dtype, np.integer) or not sizes.size:
        raise ValueError(f"n is {n!r}, expected whole numbers [K]")
    if sizes.min() < 1 or sizes.max() > good.shape[1]:
        raise ValueError(f"n is {sizes.min()}..{sizes.max()}, expected 1..{good.shape[1]}, the pool's size")
    return good, sizes.astype(np.int64)


def _matrix(values: npt.ArrayLike, name: str) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 2 or not np.isfinite(found).all():
        raise ValueError(f"{name} is {found.shape}, expected finite numbers [Q, M]")
    return found


def _codes(answers: npt.ArrayLike, good: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    codes = np.asarray(answers)
    if codes.shape != good.shape or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"answers are {codes.dtype} {codes.shape}, expected integers {good.shape}")
    if (good & (codes < 0)).any():
        raise ValueError("a right sample has no answer (-1); give it its answer's number")
    return codes.astype(np.int64)


def _ballot(
    codes: npt.NDArray[np.int64], hits: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return each sample's answer as 0..A-1 or -1 [M], the votes for each answer [A] and whether it is right."""
    place = np.full(len(codes), -1, dtype=np.int64)
    voting = codes >= 0
    _, place[voting], counts = np.unique(codes[voting], return_inverse=True, return_counts=True)
    of_right = np.bincount(place[voting], weights=hits[voting], minlength=len(counts))
    if ((of_right > 0) & (of_right < counts)).any():
        raise ValueError("an answer is right in one sample and wrong in another of the same question")
    return place, counts.astype(np.int64), of_right > 0
