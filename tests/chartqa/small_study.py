"""What the tests of chapter 7's study share: sizes that take seconds, and what its rows and traces must be."""

from __future__ import annotations

import json

import numpy as np

from msig_lib.chartqa import study, tune
from msig_lib.chartqa.study import Plan
from msig_lib.chartqa.train import MIXES, BaseSettings, MixSettings
from msig_lib.lm.vision import VisionSettings
from msig_lib.runs import results

PLAN = Plan(
    marks=(2, 3),
    charts=200,
    questions=60,
    dev=10,
    test=12,
    vision=VisionSettings(tower_width=32, width=32, layers=1, heads=2),
    base=BaseSettings(captions=60, lookups=40, sums=20, running=10, steps=6, batch=16),
    mixes=MixSettings(steps=dict.fromkeys(MIXES, 4), batch=16),
    rft=tune.RFTSettings(steps=2, batch=16, learning_rate=1e-2, questions=30),
    rft_questions=10,
    rft_samples=4,
    pool_questions=12,
    pool_samples=8,
    rates=(1e-3,),
    verified=6,
    verified_samples=8,
    filter_questions=20,
)


def equal(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def recorded(rows, seed=0):
    """The rows by metric and factors, each of which can be recorded and none of which replaces another."""
    log = results.Log()
    study.record(log, rows)
    assert len(log) == sum(not np.isnan(row.values).all() for row in rows)
    assert len({(row.metric, json.dumps(row.factors, sort_keys=True)) for row in rows}) == len(rows)
    assert all(row.seed == seed for row in rows)
    sizes = log.frame().groupby("metric")["n_items"].nunique()
    assert (sizes == 1).all()
    return log


def spoilt(trace, way):
    words = trace.split()
    if way == "lucky":
        words[1] = str(int(words[1]) + 1)
    if way == "wrong":
        words[-1] = "45"
    return " ".join(words)
