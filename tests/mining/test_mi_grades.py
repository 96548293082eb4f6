from collections import Counter
from fractions import Fraction
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.mining.grades import agreement, normalised, possible_counts

# thesis table 5.1: a topic's scores for the four kinds of training data
TABLE = {
    "machines": ["77.14", "78.00", "80.67", "82.38"],
    "medicine": ["66.65", "68.22", "68.92", "70.47"],
    "engines": ["70.6", "73.2", "79.8", "83.2"],
    "surgery": ["70.96", "71.56", "75.63", "74.96"],
}


def test_grades_become_scores():
    np.testing.assert_array_equal(normalised([1, 2, 3, 4, 5, 0]), [0, 0.25, 0.5, 0.75, 1, np.nan])
    np.testing.assert_array_equal(normalised([1, 5, 0], "mean"), [0.2, 1, np.nan])
    for wrong in ([6], [-1], [2.5], [np.nan], ["3"]):
        with pytest.raises(ValueError, match=r"grades are .* expected whole numbers 1 to 5"):
            normalised(wrong)
    with pytest.raises(ValueError, match="definition is 'z', expected one of range, mean"):
        normalised([1], "z")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.sampled_from(["range", "mean"]), st.integers(0, 2), st.data())
def test_what_grades_give_is_possible_and_nothing_else_is(n, definition, decimals, data):
    score = (lambda g: (Fraction(g) - 1) / 4) if definition == "range" else (lambda g: Fraction(g, 5))
    value = data.draw(st.integers(0, 100 * 10**decimals)) / 10**decimals
    brute = []
    for size in range(1, n + 1):
        means = {sum(map(score, row)) / size for row in combinations_with_replacement(range(1, 6), size)}
        printed = Fraction(str(value))
        if any(abs(100 * mean - printed) <= Fraction(1, 2 * 10**decimals) for mean in means):
            brute.append(size)
    assert possible_counts([value], decimals, definition, limit=n) == brute
    grades = data.draw(st.lists(st.integers(1, 5), min_size=n, max_size=n))
    own = f"{100 * normalised(grades, definition).mean():.{decimals}f}"
    assert n in possible_counts([own], decimals, definition, limit=n)


def test_table_5_1_is_no_mean_of_whole_grades_of_about_30_questions():
    first = {
        (topic, definition): possible_counts(values, len(values[0].split(".")[1]), definition, limit=120)[:1]
        for topic, values in TABLE.items()
        for definition in ("mean", "range")
    }
    assert {key: found for key, found in first.items() if found} == {("engines", "mean"): [94]}
    assert possible_counts(TABLE["machines"], 2, "mean", limit=300) == [210]


def test_all_values_need_the_same_count():
    a, b = (set(possible_counts([value], 2, "mean", limit=100)) for value in ("77.14", "78.00"))
    assert set(possible_counts(["77.14", "78.00"], 2, "mean", limit=100)) == a & b == {70}
    for values, decimals, limit in (([], 2, 9), (["1"], -1, 9), (["1"], 2, -1), ("77", 2, 9)):
        with pytest.raises(ValueError, match="expected a list of percentages"):
            possible_counts(values, decimals, "mean", limit=limit)
    with pytest.raises(ValueError, match="definition is 'x'"):
        possible_counts(["1"], 0, "x")


def kappa(a, b):
    """Cohen's kappa with quadratic weights, from its definition."""
    n, pairs, of_a, of_b = len(a), Counter(zip(a, b)), Counter(a), Counter(b)
    seen = sum((x - y) ** 2 * count for (x, y), count in pairs.items()) / n
    chance = sum((x - y) ** 2 * of_a[x] * of_b[y] for x in of_a for y in of_b) / n**2
    return 1 - seen / chance


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_agreement_is_what_its_definitions_say(rows):
    both = [(x, y) for x, y in rows if x and y]
    a, b = zip(*rows)
    if not both:
        with pytest.raises(ValueError, match="no answer has a grade from both judges"):
            agreement(a, b)
        return
    found = agreement(a, b)
    assert found["n"] == len(both) and found["exact"] == np.mean([x == y for x, y in both])
    one, two = zip(*both)
    if len(set(one)) > 1 and len(set(two)) > 1:
        assert found["kappa"] == pytest.approx(kappa(one, two))
        ranks = [[np.mean([v < x for v in s]) + np.mean([v <= x for v in s]) for x in s] for s in (one, two)]
        assert found["spearman"] == pytest.approx(np.corrcoef(ranks)[0, 1])
    else:
        assert np.isnan(found["kappa"]) and np.isnan(found["spearman"])
    assert np.isnan(found["ordered_alike"])


def test_the_order_of_systems_is_compared():
    a = [[1, 2, 3], [2, 3, 3], [5, 5, 0], [1, 2, 3]]
    assert agreement(a, a)["ordered_alike"] == 1
    b = [[1, 1, 1], [2, 3, 3], [1, 2, 5], [1, 1, 2]]
    # by both judges' grades: a has 2 = 2 < 8/3 < 5 of systems 0, 3, 1, 2; b has 1 < 4/3 < 3/2 < 8/3 of 0, 3, 2, 1
    assert agreement(a, b)["ordered_alike"] == 4 / 6
    assert agreement(a, b)["n"] == 11
    assert np.isnan(agreement([[1, 2], [0, 0]], [[1, 2], [3, 3]])["ordered_alike"])
    with pytest.raises(ValueError, match=r"a has shape \(2,\) and b \(3,\)"):
        agreement([1, 2], [1, 2, 3])
