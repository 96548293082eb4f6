"""The check of the tidy tables that figures draw: a row for each point, with the ends of its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def checked_rows(
    frame: pd.DataFrame,
    needed: Sequence[str],
    keys: Sequence[str],
    *,
    within: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return `frame` with lo and hi (NaN where it has none) and an empty text in the columns of `keys` it lacks.

    Every combination of `keys` must be one row, without gaps; a column of `within` must lie between its number
    and 1, or be NaN (an interval may reach beyond). Raises ValueError for a table without rows or without a column
    of `needed`, for one of lo and hi alone, for lo above hi, and for what breaks these rules.

        whole = checked_rows(frame, ["method", "value"], ["method", "kind"], within={"value": 0})
    """
    missing = [name for name in needed if name not in frame]
    if missing or not len(frame):
        raise ValueError(
            f"the table has {len(frame)} rows and columns {list(frame.columns)}; "
            f"it needs rows and {', '.join(missing or needed)}"
        )
    if ("lo" in frame) != ("hi" in frame):
        raise ValueError("the table has only one of lo and hi; give both ends of the interval, or neither")
    whole = frame if "lo" in frame else frame.assign(lo=np.nan, hi=np.nan)
    if (whole["lo"] > whole["hi"]).any():
        raise ValueError("the table has rows with lo above hi; lo is the lower end of the interval")
    for name, low in (within or {}).items():
        if not whole[name].dropna().between(low, 1).all():
            found = f"from {whole[name].min():g} to {whole[name].max():g}"
            raise ValueError(f"{name} has values {found}; give shares, {low:g} to 1 (not per cent or points)")
    whole = whole.assign(**{name: "" for name in keys if name not in whole})
    for name in keys:
        if whole[name].isna().any():
            raise ValueError(f"{int(whole[name].isna().sum())} rows have no {name}; leave them out first")
    twice = whole.duplicated(list(keys), keep=False)
    if twice.any():
        at = whole.loc[twice, list(keys)].iloc[0].to_dict()
        raise ValueError(
            f"several rows of {at}; keep one of each: select the other factors first, or summarise them first "
            "(a mean over seeds, with an interval)"
        )
    return whole
