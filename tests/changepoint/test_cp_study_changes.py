"""Several changes or none: the rule is the best on validation series, and its counts are those of a plain loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from msig_lib.changepoint import study_changes as changes
from msig_lib.changepoint.detectors import second_difference
from msig_lib.changepoint.evaluate import tolerance_f1
from msig_lib.changepoint.study import World

WORLD = World(1, 30, 30, kinds=("none", "several"))
VALID, TEST = replace(WORLD, tested=10_001).part("test"), WORLD.part("test")


def test_a_world_of_other_kinds_has_series_with_and_without_changes():
    counts = [len(times) for times in TEST.times()]
    assert sorted(set(counts)) == [0, WORLD.settings.n_changes] and len(TEST) == 60
    assert not np.array_equal(VALID.X, TEST.X)


def test_the_rule_is_the_best_of_all_thresholds():
    scores = second_difference(VALID.X)
    rule = changes.choose_rule(scores, VALID)
    best = tolerance_f1(rule(scores), VALID.times()).f1
    assert best > 0.5
    for factor in (0.2, 0.5, 0.9, 1.1, 2.0, 5.0):
        other = changes.Rule(rule.threshold * factor, rule.normalised)
        assert tolerance_f1(other(scores), VALID.times()).f1 <= best + 0.02  # between two candidates


def test_a_perfect_score_finds_every_change_and_no_other():
    def told(series):
        scores = np.random.default_rng(0).random(series.X.shape[:2])
        for row, times in zip(scores, series.times()):
            row[list(times)] = 9.0
        return scores

    rule, counts = changes.find((told(VALID), VALID), (told(TEST), TEST))
    assert not rule.normalised  # series without a change have to stay below
    assert counts.f1 == counts.precision == counts.recall == 1.0
    shown = changes.summary({"told": [counts, counts]}, TEST)
    assert shown.loc["told", "F1"] == "1.000 [1.000, 1.000]"
    assert shown.loc["told", "alarms without a change"] == "0.00"


def test_the_interval_is_around_the_pooled_ratio():
    _, counts = changes.find((second_difference(VALID.X), VALID), (second_difference(TEST.X), TEST))
    interval = changes.f1_interval([counts])
    assert interval.estimate == pytest.approx(counts.f1)
    assert interval.lo < counts.f1 < interval.hi


def test_scores_of_other_series_are_refused():
    with pytest.raises(ValueError, match="scores have shape"):
        changes.choose_rule(np.zeros((3, 100)), VALID)
