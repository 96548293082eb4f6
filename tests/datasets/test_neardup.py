from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.datasets import neardup

WORDS = st.sampled_from("add the two rows of an array matrix fast slow sum mean".split())
TEXTS = st.lists(st.lists(WORDS, min_size=1, max_size=14).map(" ".join), min_size=1, max_size=14)


def brute_force(texts: list[str], cosine: float, words: int) -> np.ndarray:
    """Union by relabelling, tf-idf written out (sublinear, smoothed idf, l2)."""
    bags = [Counter(re.findall(r"\w+", t.lower())) for t in texts]
    df = Counter(w for bag in bags for w in bag)
    vectors = []
    for bag in bags:
        v = {w: (1 + math.log(c)) * (math.log((1 + len(texts)) / (1 + df[w])) + 1) for w, c in bag.items()}
        norm = math.sqrt(sum(x * x for x in v.values()))
        vectors.append({w: x / norm for w, x in v.items()})
    group = list(range(len(texts)))
    for i in range(len(texts)):
        for j in range(i):
            similarity = sum(x * vectors[j].get(w, 0) for w, x in vectors[i].items())
            same = texts[i].split()[:words] == texts[j].split()[:words]
            if same or similarity >= cosine - 1e-9:
                group = [group[j] if g == group[i] else g for g in group]
    return np.array(group)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from([1, 3, 1024]))
def test_groups_equal_a_brute_force_union(texts, block):
    groups = neardup.near_duplicate_groups(texts, cosine=0.9, words=5, block=block)
    expected = brute_force(texts, 0.9, 5)
    assert np.array_equal(groups[:, None] == groups, expected[:, None] == expected)
    first_seen = list(dict.fromkeys(groups.tolist()))
    assert first_seen == list(range(len(first_seen)))


def test_empty():
    assert neardup.near_duplicate_groups([]).shape == (0,)
    assert neardup.group_fraction([], np.zeros(0, dtype=int)).shape == (0,)


def test_fraction_depends_on_the_groups_content_only():
    texts = ["b text", "a text", "c"]
    one = neardup.group_fraction(texts, np.array([0, 0, 1]))
    other = neardup.group_fraction(texts[::-1], np.array([0, 1, 1]))
    assert np.array_equal(one, other[::-1])
    assert one[0] != neardup.group_fraction(["a text", "b text!"], np.array([0, 0]))[0]


def test_shares():
    fractions = neardup.group_fraction([str(i) for i in range(20_000)], np.arange(20_000))
    share = Counter(neardup.hash_split(fractions).tolist())
    # binomial: 4 standard errors are .013 at most
    assert abs(share["train"] / 20_000 - 0.7) < 0.013 and abs(share["dev"] / 20_000 - 0.1) < 0.009
    with pytest.raises(ValueError, match="sum to 1"):
        neardup.hash_split(fractions, (0.5, 0.1, 0.1))
