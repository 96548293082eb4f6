"""What the tests of chapter 5's study share: sizes that take seconds, and what rows have to be."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from msig_lib.lm.training import TrainSettings
from msig_lib.mining import study
from msig_lib.mining.data import WorldSettings
from msig_lib.mining.study import Plan
from msig_lib.mining.train import BaseSettings, ChatSettings
from msig_lib.runs.results import Log

PLAN = Plan(
    world=WorldSettings(entities=2, known=1),
    base=BaseSettings(width=16, layers=1, heads=2, copy_steps=2, steps=2, batch=2),
    chat=ChatSettings(tokens=600, batch=4),
    miner=TrainSettings(2, 4),
    conversations=40,
    questions=10,
    dev=6,
)
BIG = replace(PLAN, world=WorldSettings(entities=5, known=1))


def equal(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def same(one, two):
    return [m.metric for m in one] == [m.metric for m in two] and all(
        (a.seed, a.factors) == (b.seed, b.factors) and np.array_equal(a.values, b.values, equal_nan=True)
        for a, b in zip(one, two)
    )


def rows(found, metric):
    return [one for one in found if one.metric == metric]


def recorded(found, seed):
    """The rows can be recorded, and none replaces another."""
    log = Log()
    study.record(log, found)
    assert len(log) == sum(bool(np.isfinite(one.values).any()) for one in found)
    assert len({(one.metric, json.dumps(one.factors, sort_keys=True)) for one in found}) == len(found)
    assert {one.seed for one in found} == {seed}


def facts_of(plan):
    return [fact for passage in study.world(plan).domain for fact in passage.facts]


def worth_asking(plan):
    return [one for passage in study.world(plan).domain for one in passage.sentences if not one.fails]
