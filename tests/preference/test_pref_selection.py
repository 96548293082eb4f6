import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score

from msig_lib.preference.selection import agreeing, filter_quality, select_right

quick = settings(max_examples=50, deadline=None)


@given(st.integers(0, 10_000), st.integers(1, 4))
@quick
def test_right_distinct_and_no_more_than_asked(seed, per_question):
    rng = np.random.default_rng(seed)
    group, right = rng.integers(0, 8, 60), rng.random(60) < 0.6
    texts = [f"text {i}" for i in rng.integers(0, 6, 60)]
    found = select_right(right, group, texts, seed=seed, per_question=per_question)
    assert right[found.rows].all() and (np.diff(found.rows) > 0).all()
    taken = {}
    for row in found.rows.tolist():
        taken.setdefault(group[row], []).append(texts[row])
    distinct = {}
    for row in np.flatnonzero(right):
        distinct.setdefault(group[row], set()).add(texts[row])
    assert set(taken) == set(distinct)  # every question with a right sample gives one
    for name, chosen in taken.items():
        assert len(chosen) == len(set(chosen)) == min(per_question, len(distinct[name]))
    n_distinct = sum(map(len, distinct.values()))
    assert (found.wrong, found.repeated) == ((~right).sum(), right.sum() - n_distinct)
    assert found.over == n_distinct - len(found.rows)
    assert found.questions == len(set(group)) and found.without == len(set(group)) - len(distinct)


def test_frequent_texts_are_likelier_and_a_seed_fixes_the_draw():
    texts = [("a",)] * 3 + [("b",)]
    draw = lambda seed: select_right([True] * 4, [0] * 4, texts, seed=seed, per_question=1).rows[0]  # noqa: E731
    share = np.mean([draw(seed) < 3 for seed in range(300)])
    assert abs(share - 0.75) < 0.09
    assert draw(3) == draw(3)


def test_no_right_sample():
    found = select_right([False, False], [0, 1], ["x", "y"], seed=0)
    assert len(found.rows) == 0 and found.rows.dtype == np.int64 and found.without == 2
    with pytest.raises(ValueError, match="1 texts for 2"):
        select_right([True, True], [0, 0], ["x"], seed=0)
    with pytest.raises(TypeError, match="expected bool"):
        select_right([1, 0], [0, 0], ["x", "y"], seed=0)
    with pytest.raises(ValueError, match="per_question is 0"):
        select_right([True], [0], ["x"], seed=0, per_question=0)


def test_a_teacher_that_disagrees_is_dropped():
    near = lambda one, other: abs(float(one) - float(other)) <= 0.05 * float(other)  # noqa: E731
    assert agreeing(["4", "5", None], ["4", "6", "7"]).tolist() == [True, False, False]
    assert agreeing(["4", "104", None], ["4", "100", "7"], near).tolist() == [True, True, False]
    with pytest.raises(ValueError, match="1 teacher answers, 2"):
        agreeing(["4"], ["4", "5"])


@given(st.integers(0, 10_000))
@quick
def test_the_filters_precision_and_recall(seed):
    kept, good = np.random.default_rng(seed).random((2, 30)) < 0.5
    found = filter_quality(kept, good)
    assert found.precision == pytest.approx(precision_score(good, kept))
    assert found.recall == pytest.approx(recall_score(good, kept))
    assert found.precision_dropped == pytest.approx(precision_score(~good, ~kept))
    assert found.recall_dropped == pytest.approx(recall_score(~good, ~kept))


def test_a_filter_that_keeps_all():
    found = filter_quality(np.array([True, True]), np.array([True, False]))
    assert (found.precision, found.recall, found.recall_dropped) == (0.5, 1.0, 0.0)
    assert np.isnan(found.precision_dropped)
    with pytest.raises(ValueError, match="expected bool"):
        filter_quality([1], [True])
