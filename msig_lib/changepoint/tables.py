"""What was measured of change points as tidy tables with intervals."""

from __future__ import annotations

from typing import Any

import pandas as pd

from msig_lib.stats import measured
from msig_lib.stats.measured import cells

__all__ = ["SHARES", "cells", "intervals"]
SHARES = ("auc", "auc_official", "auc_plain", "tri", "f1", "type_auc", "type_accuracy", "graph_accuracy")
"""Measures between 0 and 1; an interval that reaches beyond is cut there."""


def intervals(now: Any, metric: str, recorded: Any = None, **wanted: object) -> pd.DataFrame:
    """Return `stats.measured.intervals` of a metric of this chapter."""
    return measured.intervals(now, metric, recorded, share=metric in SHARES, **wanted)
