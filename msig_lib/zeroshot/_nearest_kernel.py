"""The compiled part of `retrieval`: the largest similarities of each row, ranked again without rounding noise."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def rank_rows(similar, asked, documents, own, spare, out):
    """Fill `out` int64 [q, k] with the columns nearest to each row, nearest first, -1 where there are no more.

    The best k + `spare` columns of `similar` float32 [q, n] but column `own[row]` (-1 for none) are ranked by
    the dot products of `asked` [q, dim] and `documents` [n, dim] in float64, rounded to 9 decimals, ties by
    column: so the order does not feel the last bits of `similar`, which change with the batch it is made in.
    """
    n, dim, k = similar.shape[1], asked.shape[1], out.shape[1]
    size = min(n, k + spare)
    place = np.empty(size, dtype=np.int64)
    value = np.empty(size, dtype=np.float32)
    exact = np.empty(size, dtype=np.float64)
    for row in range(similar.shape[0]):
        kept, least = 0, 0  # `least`: where the smallest value is, once all places are taken
        for column in range(n):
            if column == own[row]:
                continue
            if kept < size:
                place[kept], value[kept] = column, similar[row, column]
                kept += 1
                if kept == size:
                    least = value.argmin()
            elif similar[row, column] > value[least]:
                place[least], value[least] = column, similar[row, column]
                least = value.argmin()
        for i in range(kept):
            dot = 0.0
            for d in range(dim):
                dot += np.float64(asked[row, d]) * np.float64(documents[place[i], d])
            dot = np.round(dot, 9)
            column = place[i]
            j = i  # insertion into the sorted front
            while j > 0 and (exact[j - 1] < dot or (exact[j - 1] == dot and place[j - 1] > column)):
                exact[j], place[j] = exact[j - 1], place[j - 1]
                j -= 1
            exact[j], place[j] = dot, column
        for i in range(k):
            out[row, i] = place[i] if i < kept else -1
