"""The compiled part of `verifiers`: votes over all subsets of a pool at once, and weighted votes subset by subset."""

from __future__ import annotations

import numpy as np
from numba import njit

TIE = 1e-9  # ours: sums of the same weights in another order differ by rounding


@njit(cache=True, nogil=True)
def binomials(size):
    """Return C(n, k) as float64 [size + 1, size + 1], 0 above the diagonal."""
    table = np.zeros((size + 1, size + 1))
    for n in range(size + 1):
        table[n, 0] = 1.0
        for k in range(1, n + 1):
            table[n, k] = table[n - 1, k - 1] + table[n - 1, k]
    return table


@njit(cache=True, nogil=True)
def majority(counts, right, silent, choose, out):
    """Fill `out` float64 [size + 1] with P(the most frequent answer of a random subset of N is right), by N.

    `counts` int64 [A] are the samples of each answer in the pool, `right` bool [A], `silent` the samples
    without an answer, `choose` the binomials up to `size`, the pool's size. A right answer wins with v votes
    when no other has more, and shares the win with t others that have v too: ways[t, n] counts, for the
    others together, the choices of n samples of which t answers have exactly v and none has more.
    """
    size = len(out) - 1
    out[:] = 0.0
    for winner in range(len(counts)):
        if not right[winner]:
            continue
        for votes in range(1, counts[winner] + 1):
            room = size - votes
            ties = min(len(counts) - 1, room // votes)
            ways = np.zeros((ties + 1, room + 1))
            for n in range(min(silent, room) + 1):
                ways[0, n] = choose[silent, n]
            filled = min(silent, room)
            for other in range(len(counts)):
                if other == winner:
                    continue
                most = min(votes, counts[other])
                longest = min(room, filled + most)
                # From above, so that what is read still lacks this answer: it adds terms of smaller t and n only.
                for t in range(ties, -1, -1):
                    for n in range(longest, -1, -1):
                        total = 0.0
                        for u in range(min(most, votes - 1, n) + 1):
                            total += ways[t, n - u] * choose[counts[other], u]
                        if most == votes and t > 0 and n >= votes:
                            total += ways[t - 1, n - votes] * choose[counts[other], votes]
                        ways[t, n] = total
                filled = longest
            for n in range(filled + 1):
                shared = 0.0
                for t in range(ties + 1):
                    shared += ways[t, n] / (1 + t)
                out[n + votes] += choose[counts[winner], votes] * shared
    for n in range(size + 1):
        out[n] /= choose[size, n]


@njit(cache=True, nogil=True)
def weighted(orders, answers, weights, right, wanted, total, squares):
    """Add to `total` and `squares` float64 [L] the right share of the heaviest answers of each row's first n.

    `orders` int64 [R, L] are rows of samples; `answers` int64 [M] (-1: none), `weights` float64 [M], `right`
    bool [A]. Position n - 1 is filled where `wanted` bool [L]. Answers that tie share the vote.
    """
    length = orders.shape[1]
    weight = np.empty(len(right))
    seen = np.empty(len(right), dtype=np.bool_)
    for row in range(orders.shape[0]):
        weight[:] = 0.0
        seen[:] = False
        for place in range(length):
            sample = orders[row, place]
            answer = answers[sample]
            if answer >= 0:
                weight[answer] += weights[sample]
                seen[answer] = True
            if not wanted[place]:
                continue
            heaviest = -1.0
            for one in range(len(right)):
                if seen[one]:
                    heaviest = max(heaviest, weight[one])
            tied, good = 0, 0
            for one in range(len(right)):
                if seen[one] and weight[one] >= heaviest * (1 - TIE):
                    tied += 1
                    good += right[one]
            if tied:
                total[place] += good / tied
                squares[place] += (good / tied) ** 2
