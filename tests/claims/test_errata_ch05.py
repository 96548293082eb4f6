"""Errata of chapter 5 that the thesis's own table shows."""

import pytest

from msig_lib.mining import thesis
from msig_lib.mining.grades import possible_counts


@pytest.mark.parametrize("definition", ["mean", "range"])
@pytest.mark.parametrize("topic", thesis.TOPICS.values())
def test_no_number_of_questions_up_to_60_gives_the_printed_scores(topic, definition):
    column = thesis.column(topic)
    assert possible_counts(column, thesis.DECIMALS[topic], definition, limit=60) == []


def test_a_mean_of_thirty_grades_would_be_found():
    assert 30 in possible_counts([100 * 3.8 / 5], 2, "mean", limit=60)
