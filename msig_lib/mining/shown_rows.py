"""Rows of the chapter's log as frames, and what a reader sees for its arms and miners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from msig_lib.mining.study import ARMS, CONTROLS
from msig_lib.mining.words import RELATIONS
from msig_lib.stats.measured import NOW, RECORDED, differences, intervals

PLAIN = {"source": "miner", "error": 0.0, "wordings": 1}
"""Factors of an arm of table 5.1, also where a row leaves them out."""
COLUMNS = ["value", "lo", "hi", "origin"]
INSTANCES = "instances"
"""The factor of a miner's number of seed instances."""


def measured(
    now: Any,
    metric: str,
    recorded: Any = None,
    *,
    bounded: bool = False,
    defaults: Mapping[str, Any] | None = None,
    **wanted: Any,
) -> pd.DataFrame:
    """Return `stats.measured.intervals` with `defaults` for factors that rows leave out, then kept by `wanted`.

    `bounded` says that the measure is between 0 and 1. Columns are factors, then `COLUMNS`; those of `defaults` and
    `wanted` are there also when nothing was measured.
    """
    plain = dict(defaults or {})
    asked = {
        name: [*_several(value), *([None] if plain.get(name) in _several(value) else [])]
        for name, value in wanted.items()
        if name != "share"  # which means something else to `intervals`
    }
    found = intervals(now, metric, recorded, share=bounded, **asked).drop(columns="seeds")
    if "share" in wanted and "share" in found:
        found = found[found["share"].isin(_several(wanted["share"]))]
    for name in {**plain, **wanted}:
        if name not in found:
            found[name] = plain.get(name)
        elif name in plain:
            found[name] = [plain[name] if pd.isna(value) else value for value in found[name]]
    factors = [name for name in found if name not in COLUMNS]
    return found.drop_duplicates(factors, ignore_index=True)[[*factors, *COLUMNS]]


def factors_of(results: Any, metric: str, **wanted: Any) -> dict[str, Any] | None:
    """Return the exact factors of what was measured with `wanted`, arms completed by `PLAIN`; None where nothing was.

    Of several miners the one with the most relations and seed instances.
    """
    found = [f for f in _things(results, metric) if _matches({**PLAIN, **_given(f)}, wanted)]
    return max(found, key=lambda f: (f.get("nouns") or 0, f.get(INSTANCES) or 0), default=None)


def compared(
    now: Any, recorded: Any, metric: str, a: Mapping[str, Any], b: Mapping[str, Any]
) -> pd.Series | None:
    """Return the mean of a - b, paired by seed and item: value, lo, hi, seeds, origin, and `a` and `b`, the two means.

    From the first of the two logs that has both sides (`factors_of`), None where neither has.
    """
    for results, origin in ((now, NOW), (recorded, RECORDED)):
        sides = [factors_of(results, metric, **side) for side in (a, b)]
        if None not in sides:
            row = differences(results, metric, {0: tuple(sides)}).loc[0]
            means = [intervals(results, metric, **side)["value"].iloc[0] for side in sides]
            return pd.Series({**row, "origin": origin, "a": means[0], "b": means[1]})
    return None


def of_arm(arm: str, **more: Any) -> dict[str, Any]:
    """Return the factors of an arm: those of `PLAIN` but for what is given."""
    return {**PLAIN, "arm": arm, **more}


def arm_name(row: Mapping[str, Any]) -> str:
    """Return what a reader sees for an arm, given its factors."""
    row = {**PLAIN, **row}
    if row["arm"] == "rewordings":
        return f"passages in {row['wordings']} wordings, no QA"
    wrong = f", {row['error']:.0%} wrong" if row["error"] else ""
    by = {"miner": "", "oracle": " by the teacher", "template": " by rules", "agreed": " by the teacher"}
    if row["source"] == "miner" and wrong:
        return f"{row['arm']}, miner's teacher {row['error']:.0%} wrong"
    return f"{row['arm']}{by[row['source']]}{wrong}" + ", agreed" * (row["source"] == "agreed")


def miner_name(row: Mapping[str, Any], seeds: bool = False) -> str:
    """Return what a reader sees for a miner or a teacher, given its factors; `seeds`: with its seed instances."""
    wrong = f" {row['error']:.0%} wrong" if row.get("error") else ""
    if row["miner"] != "miner":
        name = {"oracle": "teacher", "template": "rules", "agreed": "teacher"}[row["miner"]]
        return name + f",{wrong}" * bool(wrong) + ", agreed" * (row["miner"] == "agreed")
    name = "miner" if row["analysis"] else "miner without analysis"
    if seeds:
        name += f", {int(row[INSTANCES]):,} instances"
    if row["nouns"] < len(RELATIONS):
        name += f", {int(row['nouns'])} relations"
    return name + (f", teacher{wrong}" if wrong else "")


def by_arm(found: pd.DataFrame) -> pd.DataFrame:
    """Sort by arm, those of table 5.1 first, and name them."""
    rows = found.to_dict("records")
    return found.assign(arm=[arm_name(row) for row in rows]).iloc[_order(rows, _arm_place)]


def by_miner(found: pd.DataFrame) -> pd.DataFrame:
    """Sort by miner and name them: teacher, rules, miners with and without analysis, then those taught with errors."""
    rows = found.to_dict("records")
    several = INSTANCES in found and found[INSTANCES].nunique() > 1
    return found.assign(miner=[miner_name(row, several) for row in rows]).iloc[_order(rows, _miner_place)]


def _order(rows: Sequence[Mapping[str, Any]], place: Callable[[Mapping[str, Any]], tuple]) -> list[int]:
    return sorted(range(len(rows)), key=lambda k: place(rows[k]))


def _arm_place(row: Mapping[str, Any]) -> tuple:
    sources = ["miner", "oracle", "template", "agreed"]
    arms = [*ARMS, *CONTROLS, "rewordings"]
    plain = row["source"] == "miner" and not row["error"]
    return (not plain, arms.index(row["arm"]), row["wordings"], sources.index(row["source"]), row["error"])


def _miner_place(row: Mapping[str, Any]) -> tuple:
    order = ["oracle", "template", "miner", "agreed"]
    known = row["miner"] == "miner"
    seeding = (not row["analysis"], -row["nouns"], -row[INSTANCES]) if known else (False, 0, 0)
    return (row["error"] > 0, order.index(row["miner"]), *seeding, row["error"])


def ordered(
    frame: pd.DataFrame, first: str, order: Iterable[Any], second: str, then: Iterable[Any]
) -> pd.DataFrame:
    """Return the rows whose `first` and `second` are in `order` and `then`, sorted by them."""
    places = [{name: k for k, name in enumerate(names)} for names in (list(order), list(then))]
    known = frame[frame[first].isin(list(places[0])) & frame[second].isin(list(places[1]))]
    at = known[[first, second]].assign(a=known[first].map(places[0]), b=known[second].map(places[1]))
    return known.loc[at.sort_values(["a", "b"]).index, [first, second, *COLUMNS]].reset_index(drop=True)


def _things(results: Any, metric: str) -> list[dict[str, Any]]:
    """Return the factors of everything measured, each with every factor's name that the metric has."""
    rows = [row.factors for row in results.rows if row.metric == metric] if results is not None else []
    names = dict.fromkeys(name for factors in rows for name in factors)
    found: list[dict[str, Any]] = []
    for factors in rows:
        exact = {name: factors.get(name) for name in names}
        if exact not in found:
            found.append(exact)
    return found


def _given(factors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in factors.items() if value is not None}


def _matches(named: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(named.get(name) in _several(value) for name, value in wanted.items())


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
