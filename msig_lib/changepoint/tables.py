"""What was measured of change points as tidy tables with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from msig_lib.stats import measured
from msig_lib.stats.measured import cells

__all__ = ["SHARES", "beside", "cells", "intervals"]
SHARES = ("auc", "auc_official", "auc_plain", "tri", "f1", "type_auc", "type_accuracy", "graph_accuracy")
"""Measures between 0 and 1; an interval that reaches beyond is cut there."""


def intervals(now: Any, metric: str, recorded: Any = None, **wanted: object) -> pd.DataFrame:
    """Return `stats.measured.intervals` of a metric of this chapter."""
    return measured.intervals(now, metric, recorded, share=metric in SHARES, **wanted)


def beside(ours: pd.DataFrame, thesis: Mapping[str, Sequence[float]], columns: Sequence[str]) -> pd.DataFrame:
    """Return a table of `cells` with the thesis's figures beside it, empty where it has none.

    `thesis` has for rows of `ours`, by their names, a figure for each of `columns`, shown as "thesis: ...". ValueError
    for other numbers of figures, and when no row of `ours` is among them.
    """
    wrong = [row for row, figures in thesis.items() if len(figures) != len(columns)]
    if wrong or not set(thesis) & set(ours.index):
        raise ValueError(
            f"rows {', '.join(wrong or thesis)} of the thesis were given for {', '.join(map(str, ours.index))}, "
            f"expected some of these, each with {len(columns)} figures"
        )
    shown = [f"thesis: {name}" for name in columns]
    theirs = pd.DataFrame.from_dict(dict(thesis), orient="index", columns=shown).map("{:.3f}".format)
    return ours.join(theirs).fillna("")
