"""What was measured as tidy tables with intervals: rows of this run, and recorded ones where it has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from msig_lib.stats import mean_interval

NOW, RECORDED = "this run", "recorded"
SHARES = ("auc", "auc_official", "auc_plain", "tri", "f1", "type_auc", "type_accuracy", "graph_accuracy")
"""Measures between 0 and 1; an interval that reaches beyond is cut there."""


def intervals(now: Any, metric: str, recorded: Any = None, **wanted: object) -> pd.DataFrame:
    """Return a row for everything that `metric` was measured of: its factors, value, lo, hi, seeds and origin.

    `now` and `recorded` are tables of results (`frame()`, `matrix(metric, **factors)`); `wanted` keeps rows with
    these factors (a list: any of them; None: rows without the factor). What this run has not measured comes from
    `recorded`, whose intervals are over seeds alone, and says so in the column origin. 95% intervals over seeds
    and items; one number alone has none (NaN).
    """
    parts = [_intervals(now, metric, NOW, wanted)]
    if recorded is not None:
        parts.append(_intervals(recorded, metric, RECORDED, wanted))
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=["value", "lo", "hi", "seeds", "origin"])
    found = pd.concat(parts, ignore_index=True)
    factors = [name for name in found if name not in ("value", "lo", "hi", "seeds", "origin")]
    return found.drop_duplicates(factors, ignore_index=True) if factors else found.head(1)


def _intervals(results: Any, metric: str, origin: str, wanted: Mapping[str, object]) -> pd.DataFrame:
    frame = results.frame()
    frame = frame[frame["metric"] == metric]
    for name, value in wanted.items():
        allowed = list(value) if isinstance(value, list | tuple | set) else [value]
        without = None in allowed  # `isin` finds no missing numbers
        if name not in frame:
            frame = frame if without else frame[:0]
        else:
            frame = frame[frame[name].isin(allowed) | (frame[name].isna() & without)]
    factors = [
        name
        for name in frame
        if name not in ("metric", "value", "seed", "n_items") and frame[name].notna().any()
    ]
    rows = []
    for _, one in frame[factors].drop_duplicates().iterrows():
        named = {name: (None if pd.isna(value) else value) for name, value in one.items()}
        seeds, values = results.matrix(metric, **named)
        if values.size == 1:  # one number: nothing to estimate a spread from
            found = [float(values[0, 0]), np.nan, np.nan]
        else:
            interval = mean_interval(values, rng=np.random.default_rng(0))
            found = [interval.estimate, interval.lo, interval.hi]
            if metric in SHARES:
                found[1:] = max(interval.lo, 0.0), min(interval.hi, 1.0)
        rows.append({**named, "value": found[0], "lo": found[1], "hi": found[2], "seeds": len(seeds),
                     "origin": origin})  # fmt: skip
    return pd.DataFrame(rows)


def cells(frame: pd.DataFrame, index: str, columns: Sequence[str], *, digits: int = 3) -> pd.DataFrame:
    """Return a table of texts "value [lo, hi]" from `intervals`, recorded ones marked with a dagger.

    A row for each value of `index`, a column for each combination in `columns`, both in the order of the frame.
    ValueError for columns that are not there, or when two rows of the frame fall into one cell.

    >>> one = {"method": ["a"], "kind": ["x"], "value": [0.5], "lo": [0.4], "hi": [0.6], "origin": ["recorded"]}
    >>> cells(pd.DataFrame(one), "method", ["kind"]).loc["a", "x"]
    '0.500 [0.400, 0.600]†'
    """
    columns = [columns] if isinstance(columns, str) else list(columns)
    absent = [name for name in (index, *columns) if name not in frame]
    if absent:
        raise ValueError(f"the frame has no {', '.join(absent)}, only {', '.join(map(str, frame))}")
    twice = frame.duplicated([index, *columns])
    if twice.any():
        first = frame.loc[twice, [index, *columns]].to_dict("records")[0]
        raise ValueError(
            f"several rows fall into the cell {', '.join(f'{name} {value}' for name, value in first.items())}: "
            "keep one of them, or add the factor in which they differ to columns"
        )
    shown = frame.assign(text=[_text(row, digits) for row in frame.to_dict("records")])
    wide = shown.pivot(index=index, columns=columns, values="text")
    order = [
        tuple(row) if len(columns) > 1 else row[0] for row in frame[columns].drop_duplicates().to_numpy()
    ]
    return wide.reindex(index=list(dict.fromkeys(frame[index])), columns=order).fillna("")


def _text(row: Mapping[str, Any], digits: int) -> str:
    mark = "†" if row["origin"] == RECORDED else ""
    if not np.isfinite(row["lo"]):
        return f"{row['value']:.{digits}f}{mark}"
    return f"{row['value']:.{digits}f} [{row['lo']:.{digits}f}, {row['hi']:.{digits}f}]{mark}"
