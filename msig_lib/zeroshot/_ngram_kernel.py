"""The compiled part of `ngram`: sample words from a few documents and a bigram table."""

from __future__ import annotations

import numpy as np
from numba import njit

BOUNDARY = 0  # the word before a document's first and after its last


@njit(cache=True, nogil=True)
def _draw(state, bound):
    """Advance `state[0]` (SplitMix64) and return a whole number in 0..bound-1."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.int64(((z >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def _matches(local, size, before, last, trigram, found):
    """Write the positions in `local[:size]` that follow `last` (and `before`, if `trigram`); return how many."""
    count = 0
    for i in range(1, size):
        if local[i - 1] == last and (not trigram or (i >= 2 and local[i - 2] == before)):
            found[count] = i
            count += 1
    return count


@njit(cache=True, nogil=True)
def write_words(
    own_words, own_starts, words, starts, documents, first, followers, states, shares, least, most, out
):
    """Fill `out` int32 [q, n, most] with words, 0 after the last: q local models, n samples each.

    The local model of query q is its own words `own_words[own_starts[q]:own_starts[q + 1]]` and documents
    `documents[q]` (-1 for none) of `words`, cut by `starts`. `followers[first[w]:first[w + 1]]` are the words
    seen after w in the table; `states` uint64 [q, n]; `shares` are the cumulated trigram and bigram shares.
    """
    longest = 0
    for q in range(documents.shape[0]):
        size = own_starts[q + 1] - own_starts[q] + 2
        for d in documents[q]:
            if d >= 0:
                size += starts[d + 1] - starts[d] + 1
        longest = max(longest, size)
    local = np.zeros(longest, dtype=np.int32)
    found = np.zeros(longest, dtype=np.int64)
    state = np.zeros(1, dtype=np.uint64)
    for q in range(documents.shape[0]):
        size = 1
        local[0] = BOUNDARY
        for i in range(own_starts[q], own_starts[q + 1]):
            local[size] = own_words[i]
            size += 1
        if size > 1:
            local[size] = BOUNDARY
            size += 1
        for d in documents[q]:
            if d >= 0 and starts[d + 1] > starts[d]:
                for i in range(starts[d], starts[d + 1]):
                    local[size] = words[i]
                    size += 1
                local[size] = BOUNDARY
                size += 1
        if size == 1:
            continue  # nothing but empty documents
        for sample in range(states.shape[1]):
            state[0] = states[q, sample]
            target = least + _draw(state, most - least + 1)
            written, before, last = 0, BOUNDARY, BOUNDARY
            while written < target:
                share = _draw(state, 1 << 24) / (1 << 24)
                word = np.int32(-1)
                in_table = first[last + 1] - first[last]
                # after a boundary the trigram would go on with the same next document every time
                if share < shares[0] and last != BOUNDARY:
                    count = _matches(local, size, before, last, True, found)
                    if count:
                        word = local[found[_draw(state, count)]]
                if word < 0 and (share < shares[1] or not in_table):
                    count = _matches(local, size, before, last, False, found)
                    if count:
                        word = local[found[_draw(state, count)]]
                if word < 0 and in_table:
                    word = followers[first[last] + _draw(state, in_table)]
                if word < 0:
                    word = np.int32(BOUNDARY)
                before, last = last, word
                if word != BOUNDARY:
                    out[q, sample, written] = word
                    written += 1
