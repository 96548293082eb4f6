import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.preference.pairs import Pairs, pairs_from_outcomes, pairs_from_scores, shuffle_pairs

quick = settings(max_examples=50, deadline=None)


def pool(seed, questions=12, most=10):
    """Outcomes of 1..most samples a question, in mixed order, names of questions with gaps."""
    rng = np.random.default_rng(seed)
    group = np.repeat(rng.permutation(3 * questions)[:questions], rng.integers(1, most + 1, questions))
    rng.shuffle(group)
    rate = dict(zip(np.unique(group), rng.choice([0.0, 0.2, 0.5, 0.8, 1.0], questions)))
    return rng.random(len(group)) < np.array([rate[g] for g in group]), group


@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([(0.25, 0.85), (0.0, 1.0), (0.5, 0.5)]))
@quick
def test_every_pair_and_every_count_is_as_the_rules_say(seed, per_question, band):
    right, group = pool(seed)
    found = pairs_from_outcomes(right, group, seed=seed, band=band, per_question=per_question)
    assert right[found.chosen].all() and not right[found.rejected].any()
    np.testing.assert_array_equal(group[found.chosen], found.group)
    np.testing.assert_array_equal(group[found.rejected], found.group)
    assert len(set(found.chosen.tolist())) == len(set(found.rejected.tolist())) == len(found)
    expected = dict.fromkeys(("all_wrong", "all_right", "below", "above", "kept", "short"), 0)
    numbers = {}
    for name in np.unique(group):
        good, size = int(right[group == name].sum()), int((group == name).sum())
        if good == 0:
            expected["all_wrong"] += 1
        elif good == size:
            expected["all_right"] += 1
        elif good / size < band[0]:
            expected["below"] += 1
        elif good / size > band[1]:
            expected["above"] += 1
        else:
            expected["kept"] += 1
            numbers[name] = min(good, size - good, per_question)
            expected["short"] += numbers[name] < per_question
    assert {name: getattr(found.counts, name) for name in expected} == expected
    assert found.counts.questions == len(np.unique(group)) and found.counts.pairs == len(found)
    assert {n: int((found.group == n).sum()) for n in numbers} == numbers and len(found) == sum(
        numbers.values()
    )


def test_the_bands_ends_are_in():
    group = np.repeat([0, 1, 2, 3], 20)
    right = np.concatenate([np.arange(20) < n for n in (4, 5, 17, 18)])
    found = pairs_from_outcomes(right, group, seed=0)
    assert set(found.group.tolist()) == {1, 2} and len(found) == 6
    assert (found.counts.below, found.counts.above) == (1, 1)


def test_all_pairs_are_equally_likely_and_a_seed_fixes_them():
    right, group = np.array([True, False, True, False, False]), np.zeros(5, dtype=int)
    drawn = [pairs_from_outcomes(right, group, seed=seed, per_question=1) for seed in range(1200)]
    kinds, counts = np.unique([(p.chosen[0], p.rejected[0]) for p in drawn], axis=0, return_counts=True)
    assert len(kinds) == 6 and counts.min() > 140 and counts.max() < 260  # 200 each, standard deviation 13
    again = pairs_from_outcomes(right, group, seed=7, per_question=1)
    assert np.array_equal(again.chosen, drawn[7].chosen) and np.array_equal(again.rejected, drawn[7].rejected)


def test_scores_make_one_pair_a_question_and_drop_the_one_sided():
    scores = np.array([5, 3, 2, 1, 4, 4, 1, 2, 2.9, 3.0])
    group = np.array([0, 0, 0, 0, 1, 1, 2, 2, 3, 3])
    drawn = [pairs_from_scores(scores, group, seed=seed) for seed in range(60)]
    for found in drawn:
        assert found.group.tolist() == [0, 3] and (found.chosen[1], found.rejected[1]) == (9, 8)
        assert scores[found.chosen].min() >= 3 > scores[found.rejected].max()
    assert {int(found.chosen[0]) for found in drawn} == {0, 1}
    assert {int(found.rejected[0]) for found in drawn} == {2, 3}
    counts = drawn[0].counts
    assert (counts.questions, counts.kept, counts.all_right, counts.all_wrong) == (4, 2, 1, 1)
    with pytest.raises(ValueError, match="1 of the scores are NaN"):
        pairs_from_scores([1.0, np.nan], [0, 0], seed=0)


def test_the_shuffled_control_swaps_about_half_and_keeps_the_rest():
    n = 2000
    pairs = Pairs(np.arange(n), np.arange(n) + n, np.arange(n) // 3)
    found = shuffle_pairs(pairs, seed=1)
    swapped = found.chosen == pairs.rejected
    assert abs(swapped.mean() - 0.5) < 0.05
    np.testing.assert_array_equal(found.chosen[~swapped], pairs.chosen[~swapped])
    np.testing.assert_array_equal(found.chosen + found.rejected, pairs.chosen + pairs.rejected)
    assert np.array_equal(shuffle_pairs(pairs, seed=1).chosen, found.chosen)
    assert not np.array_equal(shuffle_pairs(pairs, seed=2).chosen, found.chosen)


def test_a_subset():
    pairs = pairs_from_outcomes([True, False, True, False], [0, 0, 4, 4], seed=0)
    some = pairs.subset(np.array([False, True]))
    assert (some.chosen.tolist(), some.rejected.tolist(), some.group.tolist()) == ([2], [3], [4])
    assert some.counts == pairs.counts and len(pairs.subset([1, 1, 0])) == 3


def test_nothing_to_pair():
    for right, group in (([], []), ([True, True], [0, 1])):
        found = pairs_from_outcomes(np.array(right, bool), np.array(group, int), seed=0)
        assert len(found) == 0 and found.chosen.dtype == np.int64


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: pairs_from_outcomes([1, 0], [0, 0], seed=0), TypeError, "right is int64"),
        (lambda: pairs_from_outcomes([True], [0.5], seed=0), TypeError, "group float64"),
        (lambda: pairs_from_outcomes([True], [0, 0], seed=0), ValueError, r"\(1,\) and group \(2,\)"),
        (lambda: pairs_from_outcomes([True], [0], seed=0, band=(0.9, 0.1)), ValueError, "band"),
        (lambda: pairs_from_outcomes([True], [0], seed=0, per_question=0), ValueError, "per_question"),
        (lambda: Pairs([0, 1], [1], [0, 0]), ValueError, "three arrays"),
    ],
)
def test_bad_input(call, error, says):
    with pytest.raises(error, match=says):
        call()
