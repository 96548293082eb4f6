"""Links between texts by shared phrases, and between a text and a list of references."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from msig_lib.datasets import neardup


def brute_force(texts: list[str], words: int, share: float) -> list[frozenset[int]]:
    """Connected components by merging sets, phrases as tuples of words."""
    phrases = [{tuple(t.split()[i : i + words]) for i in range(len(t.split()) - words + 1)} for t in texts]
    parts = [{i} for i in range(len(texts))]
    for i in range(len(texts)):
        for j in range(i):
            both = len(phrases[i] & phrases[j])
            if both and both >= share * min(len(phrases[i]), len(phrases[j])):
                a, b = (next(p for p in parts if k in p) for k in (i, j))
                if a is not b:
                    parts.remove(b)
                    a |= b
    return sorted((frozenset(p) for p in parts), key=min)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), max_size=9).map(" ".join), max_size=12))
def test_groups_by_phrases_equal_a_brute_force_union(texts):
    groups = neardup.phrase_groups(texts, words=3, share=0.7)
    assert groups.dtype == np.int64 and len(groups) == len(texts)
    found = [frozenset(np.flatnonzero(groups == g).tolist()) for g in range(int(groups.max(initial=-1)) + 1)]
    assert found == brute_force(texts, 3, 0.7)


def test_a_text_is_found_below_a_title_and_cut_short():
    body = "the central bank raised its rate by a quarter of a point on Tuesday"
    groups = neardup.phrase_groups(
        [f"Rates up again (AP) {body}", "something else altogether is said here", body[:60]]
    )
    assert groups.tolist() == [0, 1, 0]


def test_a_phrase_in_very_many_texts_does_not_link_them():
    texts = [
        f"this is a common opening of word{i} other{i} thing{i} place{i} more{i} last{i}" for i in range(99)
    ]
    assert len(set(neardup.phrase_groups(texts).tolist())) == 99


def test_near_any_equals_all_pairs_of_cosines_and_openings():
    rng = np.random.default_rng(0)
    vocabulary = [f"w{i}" for i in range(5)]
    texts, references = (
        [" ".join(rng.choice(vocabulary, rng.integers(1, 14))) for _ in range(n)] for n in (60, 25)
    )
    x = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b").fit_transform([*texts, *references])
    cosine = (x @ x.T).toarray()[:60, 60:]
    expected = [
        bool((cosine[i] >= 0.9 - 1e-9).any()) or any(t.split()[:8] == r.split()[:8] for r in references)
        for i, t in enumerate(texts)
    ]
    assert neardup.near_any(texts, references).tolist() == expected and 5 < sum(expected) < 55
    assert neardup.near_any([], references).tolist() == [] and not neardup.near_any(texts, []).any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abc"), max_size=9).map(" ".join), max_size=6),
    st.lists(st.lists(st.sampled_from("abc"), max_size=7).map(" ".join), max_size=4),
)
def test_contains_any_equals_a_search_in_strings(texts, references):
    expected = [any(r and f" {r} " in f" {t} " for r in references) for t in texts]
    assert neardup.contains_any(texts, references).tolist() == expected


def test_contains_any_reads_words_and_no_marks():
    assert neardup.contains_any(["Now, compute THE (fast) transform."], ["compute the fast transform"]).all()
    assert not neardup.contains_any(["recompute the fast transform"], ["compute the fast"]).any()
