"""What was measured as tidy tables with intervals: rows of this run, and recorded ones where it has none."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from msig_lib.stats.intervals import mean_interval, paired_interval

NOW, RECORDED = "this run", "recorded"


@dataclass(frozen=True)
class Measured:
    """One row for the log: `log.add(metric, values, seed=seed, **factors)`."""

    metric: str
    values: Any
    seed: int
    factors: dict[str, Any]


def record(log: Any, found: Iterable[Measured]) -> None:
    """Add measurements to a log of results; what was measured of nothing (all NaN) is left out."""
    for one in found:
        if np.isfinite(one.values).any():
            log.add(one.metric, one.values, seed=one.seed, **one.factors)


def intervals(
    now: Any, metric: str, recorded: Any = None, *, share: bool = False, **wanted: object
) -> pd.DataFrame:
    """Return a row for everything that `metric` was measured of: its factors, value, lo, hi, seeds and origin.

    `now` and `recorded` are tables of results (`frame()`, `matrix(metric, **factors)`); `wanted` keeps rows with
    these factors (a list: any of them; None: rows without the factor). What this run has not measured comes from
    `recorded`, whose intervals are over seeds alone, and says so in the column origin. 95% intervals over seeds
    and items; one number alone has none (NaN). `share` says that the measure is between 0 and 1: intervals are cut
    there.
    """
    parts = [_intervals(now, metric, NOW, share, wanted)]
    if recorded is not None:
        parts.append(_intervals(recorded, metric, RECORDED, share, wanted))
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=["value", "lo", "hi", "seeds", "origin"])
    found = pd.concat(parts, ignore_index=True)
    factors = [name for name in found if name not in ("value", "lo", "hi", "seeds", "origin")]
    return found.drop_duplicates(factors, ignore_index=True) if factors else found.head(1)


def _intervals(
    results: Any, metric: str, origin: str, share: bool, wanted: Mapping[str, object]
) -> pd.DataFrame:
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
            if share:
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


def differences(
    now: Any,
    metric: str,
    pairs: Mapping[Hashable, tuple[Mapping[str, object], Mapping[str, object]]],
    recorded: Any = None,
) -> pd.DataFrame:
    """Return the mean of a - b for each pair (factors of a, factors of b): value, lo, hi, seeds, origin by name.

    Paired by item and by the seeds that both have (`stats.paired_interval`); from `recorded`, by seed, where this run
    lacks a side.
    Pairs that neither has are left out. What is selected has to be one thing measured (see `Results.select`).
    """
    rows = {}
    for name, (a, b) in pairs.items():
        for results, origin in ((now, NOW), (recorded, RECORDED)):
            if results is None or not (_has(results, metric, a) and _has(results, metric, b)):
                continue
            (of_a, x), (of_b, y) = results.matrix(metric, **a), results.matrix(metric, **b)
            seeds = [seed for seed in of_a if seed in of_b] if len(of_b) > 1 else of_a
            if not seeds:
                raise ValueError(
                    f"{name}: a was measured with seeds {of_a} and b with {of_b}: nothing to pair"
                )
            x = x[[of_a.index(seed) for seed in seeds]]
            y = y[[of_b.index(seed) for seed in seeds]] if len(of_b) > 1 else y
            interval = paired_interval(x, y, rng=np.random.default_rng(0))
            rows[name] = [interval.estimate, interval.lo, interval.hi, len(seeds), origin]
            break
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "lo", "hi", "seeds", "origin"])


def _has(results: Any, metric: str, wanted: Mapping[str, object]) -> bool:
    return any(row.metric == metric and row.matches(dict(wanted)) for row in results.rows)
