"""Differences of shares in words: points with their interval, and what the interval lets one say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from msig_lib.stats.measured import RECORDED

if TYPE_CHECKING:
    import pandas as pd


def points(value: float, lo: float = np.nan, hi: float = np.nan) -> str:
    """Return a difference of shares in points, with its interval where there is one.

    >>> points(0.021, 0.003, 0.04), points(-0.005)
    ('+2.1 [+0.3, +4.0]', '-0.5')
    """
    if not np.isfinite(lo):
        return f"{100 * value:+.1f}"
    return f"{100 * value:+.1f} [{100 * lo:+.1f}, {100 * hi:+.1f}]"


def verdict(value: float, lo: float, hi: float, smallest: float = 0.01) -> str:
    """Return whether a difference is a gain, a loss, none or not decided: its interval against +- `smallest`.

    >>> verdict(0.05, 0.02, 0.08), verdict(0.0, -0.005, 0.005), verdict(0.02, -0.01, 0.05)
    ('a gain', 'no difference', 'not decided')
    """
    if not np.isfinite(lo):
        return "measured once"
    if lo > smallest:
        return "a gain"
    if hi < -smallest:
        return "a loss"
    if -smallest < lo and hi < smallest:
        return "no difference"
    return "not decided"


def told(row: Mapping[str, Any]) -> str:
    """Return a row of `stats.measured.differences` as Markdown: points, interval, and what they let one say."""
    mark = "†" * (row["origin"] == RECORDED)
    of = verdict(row["value"], row["lo"], row["hi"])
    return f"**{points(row['value'], row['lo'], row['hi'])}**{mark} points ({of})"


def listed(found: pd.DataFrame) -> str:
    """Return `stats.measured.differences` as a list of Markdown, a line each."""
    return "\n".join(f"- {name}: {told(row)}" for name, row in found.iterrows())
