"""Sizes of chapter 6's study that take seconds, and a judge's table made by hand."""

from __future__ import annotations

import json

import numpy as np

from msig_lib.runs import results
from msig_lib.videoqa import study
from msig_lib.videoqa.model import VideoSettings
from msig_lib.videoqa.sight import SightSettings
from msig_lib.videoqa.train import StageSettings

PLAN = study.Plan(
    clips=60,
    dev=6,
    test=3,
    video=VideoSettings(tower_width=24, width=32, layers=1, heads=2, stem=((4, 5, 4),)),
    sight=SightSettings(steps=3, batch=16),
    captions=StageSettings(4, 8),
    sft=StageSettings(8, 8),
    shares=(0.5, 1.0),
    pool=30,
    rates=(1e-3,),
    ranked=4,
    ranked_samples=4,
)


def equal(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def recorded(rows):
    """Put rows into a log; each can be recorded and none replaces another."""
    log = results.Log()
    study.record(log, rows)
    keys = {(row.metric, row.seed, json.dumps(row.factors, sort_keys=True)) for row in rows}
    assert len(keys) == len(rows) == len(log)
    return log
