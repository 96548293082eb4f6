from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.preference.verifiers import (
    answer_codes,
    best_of_n,
    log_probability_score,
    log_ratio_score,
    majority_vote,
    mean_accuracy,
    pass_at_n,
    vote_weights,
    weighted_vote,
)

quick = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 100_000)


def pool(seed, questions=3, samples=None, answers=4):
    """Answers (some missing), outcomes that belong to the answers, integer scores with ties."""
    rng = np.random.default_rng(seed)
    samples = rng.integers(1, 8) if samples is None else samples
    codes = rng.integers(-1, answers, (questions, samples))
    truth = rng.random((questions, answers)) < 0.4
    right = np.take_along_axis(truth, np.maximum(codes, 0), 1) & (codes >= 0)
    return codes, right, rng.integers(0, 4, (questions, samples)).astype(float)


def brute(right, rule):
    """Mean over all subsets of what `rule(question, subset)` says is right, exactly, [Q, M]."""
    questions, samples = right.shape
    return np.array(
        [
            [
                float(sum(rule(q, list(s)) for s in combinations(range(samples), n)) / comb(samples, n))
                for n in range(1, samples + 1)
            ]
            for q in range(questions)
        ]
    )


def best(scores, right):
    def rule(q, subset):
        top = max(scores[q][i] for i in subset)
        tied = [i for i in subset if scores[q][i] == top]
        return Fraction(sum(int(right[q][i]) for i in tied), len(tied))

    return rule


def vote(codes, right, weights):
    def rule(q, subset):
        heavy, good = {}, {}
        for i in subset:
            if codes[q][i] >= 0:
                heavy[codes[q][i]] = heavy.get(codes[q][i], 0) + Fraction(float(weights[q][i]))
                good[codes[q][i]] = int(right[q][i])
        tied = [a for a, w in heavy.items() if w == max(heavy.values())]
        return Fraction(sum(good[a] for a in tied), len(tied)) if tied else Fraction(0)

    return rule


@given(seeds)
@quick
def test_best_of_n_is_the_mean_over_all_subsets(seed):
    _, right, scores = pool(seed)
    found = best_of_n(scores, right)
    np.testing.assert_allclose(found.value, brute(right, best(scores, right)), atol=1e-12)
    assert (found.error == 0).all() and found.n.tolist() == list(range(1, right.shape[1] + 1))


@given(seeds)
@quick
def test_pass_and_mean(seed):
    _, right, _ = pool(seed)
    samples, count = right.shape[1], right.sum(1)
    sizes = np.arange(1, samples + 1)
    expected = [[1 - comb(samples - int(c), int(n)) / comb(samples, int(n)) for n in sizes] for c in count]
    np.testing.assert_allclose(pass_at_n(right).value, expected, atol=1e-12)
    np.testing.assert_allclose(mean_accuracy(right).value, right.mean(1)[:, None] + 0 * sizes, atol=1e-12)


@given(seeds, st.integers(1, 6))
@quick
def test_majority_is_the_mean_over_all_subsets(seed, answers):
    codes, right, _ = pool(seed, answers=answers)
    expected = brute(right, vote(codes, right, np.ones(right.shape)))
    np.testing.assert_allclose(majority_vote(codes, right).value, expected, atol=1e-12)


@given(seeds)
@quick
def test_weighted_vote_is_the_mean_over_all_subsets(seed):
    codes, right, scores = pool(seed)
    weights = 2.0**scores  # sums in any order are exact, so ties are the same in both
    found = weighted_vote(codes, weights, right, seed=0)
    np.testing.assert_allclose(found.value, brute(right, vote(codes, right, weights)), atol=1e-12)
    assert (found.error == 0).all()


def test_drawn_subsets_agree_with_all_of_them_within_their_error():
    codes, right, scores = pool(5, questions=60, samples=9)
    weights = 2.0**scores
    exact = weighted_vote(codes, weights, right, seed=0, draws=126)
    drawn = weighted_vote(codes, weights, right, seed=1, draws=100)
    assert (exact.error == 0).all() and (drawn.error > 0).any(0).tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0]
    sampled = drawn.error > 0
    z = (drawn.value - exact.value)[sampled] / drawn.error[sampled]
    assert 0.8 < z.std() < 1.25 and abs(z.mean()) < 0.4
    assert np.array_equal(drawn.value[:, [0, 8]], exact.value[:, [0, 8]])
    again = weighted_vote(codes, weights, right, seed=1, draws=100)
    assert np.array_equal(again.value, drawn.value) and np.array_equal(again.error, drawn.error)
    np.testing.assert_allclose(drawn.mean, drawn.value.mean(0))
    np.testing.assert_allclose(drawn.mean_error[3], np.sqrt((drawn.error[:, 3] ** 2).sum()) / 60)


def test_a_pool_of_64_against_fresh_subsets():
    codes, right, scores = pool(2, questions=4, samples=64, answers=9)
    scores += np.random.default_rng(0).random(scores.shape)
    n = np.array([1, 5, 16, 63, 64])
    equal = weighted_vote(codes, np.ones(right.shape), right, n, seed=3, draws=4000)
    majority = majority_vote(codes, right, n)
    assert (np.abs(equal.value - majority.value) <= 4.5 * equal.error + 1e-12).all()
    rng, top = np.random.default_rng(1), best_of_n(scores, right, n)
    for q in range(4):
        subsets = np.argsort(rng.random((4000, 64)), axis=1)
        for k, size in enumerate(n):
            first = subsets[:, :size]
            hits = right[q][first[np.arange(4000), scores[q][first].argmax(1)]]
            assert abs(hits.mean() - top.value[q, k]) <= 4.5 * hits.std() / np.sqrt(4000) + 1e-12
    assert np.array_equal(top.value[:, 4], right[np.arange(4), scores.argmax(1)])


def test_many_samples_stay_exact():
    codes, right = np.tile(np.arange(300) % 3, (1, 1)), np.tile(np.arange(300) % 3 == 0, (1, 1))
    found = majority_vote(codes, right, [1, 2, 150, 299, 300]).value[0]
    np.testing.assert_allclose(found, 1 / 3, rtol=1e-12)  # three answers alike in everything


def test_what_a_perfect_and_a_useless_score_reach():
    _, right, _ = pool(11, questions=20, samples=8)
    assert np.array_equal(best_of_n(right, right).value, pass_at_n(right).value)
    worst = best_of_n(-right.astype(float), right).value
    assert (worst <= mean_accuracy(right).value + 1e-12).all() and (np.diff(worst, axis=1) <= 1e-12).all()


def test_scores_of_responses():
    policy = [np.float32([-1, -2]), np.float32([-0.5])]
    before = [np.float32([-1.5, -3]), np.float32([-0.25])]
    assert log_probability_score(policy).tolist() == [-3, -0.5]
    assert log_probability_score(policy, mean=True).tolist() == [-1.5, -0.5]
    assert log_ratio_score(policy, before).tolist() == [1.5, -0.25]
    with pytest.raises(ValueError, match="numbers of tokens"):
        log_ratio_score(policy, before[::-1])
    with pytest.raises(ValueError, match="no tokens"):
        log_probability_score([[]])


def test_answers_become_numbers_question_by_question():
    found = answer_codes([["4", None, "4", "7"], ["7", "4", None, None]])
    assert found.tolist() == [[0, -1, 0, 1], [0, 1, -1, -1]]
    with pytest.raises(ValueError, match="unequal length"):
        answer_codes([["a"], []])


def test_weights_from_scores():
    scores = np.array([[0.0, 10.0, -2000.0]])
    assert vote_weights(scores)[0, :2].tolist() == pytest.approx([0.5, 1 / (1 + np.exp(-1))])
    soft = vote_weights(scores, kind="softmax", scale=1.0)
    assert soft[0, :2].tolist() == pytest.approx([np.exp(-10), 1.0]) and (soft > 0).all()
    with pytest.raises(ValueError, match="kind is 'linear'"):
        vote_weights(scores, kind="linear")


GOOD = np.array([[True, False]])


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: best_of_n([[0.0, 1.0]], [[1, 0]]), r"right is int64 \(1, 2\)"),
        (lambda: best_of_n([[0.0]], GOOD), r"scores are \(1, 1\)"),
        (lambda: best_of_n([[0.0, np.nan]], GOOD), "finite"),
        (lambda: pass_at_n(GOOD, [3]), r"n is 3..3, expected 1..2"),
        (lambda: pass_at_n(GOOD, [0.5]), "whole numbers"),
        (lambda: majority_vote([[0, 0]], GOOD), "right in one sample and wrong in another"),
        (lambda: majority_vote([[-1, 0]], GOOD), "has no answer"),
        (lambda: majority_vote([[0.0, 1.0]], GOOD), "expected integers"),
        (lambda: majority_vote(np.zeros((1, 1001), int), np.zeros((1, 1001), bool)), "at most 1000"),
        (lambda: weighted_vote([[0, 1]], [[1.0, 0.0]], GOOD, seed=0), "vote_weights"),
        (lambda: weighted_vote([[0, 1]], [[1.0, 1.0]], GOOD, seed=0, draws=1), "draws is 1"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
