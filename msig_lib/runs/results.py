"""The tidy table of what a notebook measured: metric, value, seed and named factors, with values per item.

    from msig_lib.runs import results
    log = results.open()
    log.add("P@1", hits, seed=0, method="svm", data="docstrings")     # hits: array [n_items]

A run directory holds `results.jsonl` (one row a line) and `items/*.npy` (float64). This module imports
little on purpose: every notebook imports it, and a change of it makes every notebook run again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from msig_lib.errors import listing
from msig_lib.runs import rows as _rows
from msig_lib.runs.rows import CHECK, FILE, ITEMS, ResultsError, Row, Scalar

if TYPE_CHECKING:
    import pandas as pd

ENV = "MSIG_RUN_DIR"
__all__ = ["CHECK", "ENV", "FILE", "ITEMS", "Log", "Results", "ResultsError", "Row", "Scalar", "open", "read"]


class Results:
    """The rows of one run, in the order in which they were recorded."""

    def __init__(self, rows: Sequence[Row] = (), source: str = "these results"):
        self.rows: list[Row] = list(rows)
        self.source = source

    def __len__(self) -> int:
        return len(self.rows)

    def metrics(self) -> list[str]:
        """Return the recorded metrics in order of first appearance."""
        return list(dict.fromkeys(row.metric for row in self.rows))

    def frame(self) -> pd.DataFrame:
        """Return one line a row: metric, value, seed (Int64), n_items, then one column per factor."""
        import pandas as pd

        names = list(dict.fromkeys(name for row in self.rows for name in row.factors))
        lines = [
            [row.metric, row.value, row.seed, 1 if row.items is None else len(row.items)]
            + [row.factors.get(name) for name in names]
            for row in self.rows
        ]
        table = pd.DataFrame(lines, columns=["metric", "value", "seed", "n_items", *names], dtype=object)
        for name in names:
            table[name] = table[name].convert_dtypes()
        return table.astype({"metric": "str", "value": "float64", "seed": "Int64", "n_items": "int64"})

    def select(self, metric: str, **factors: Scalar) -> list[Row]:
        """Return the rows of one thing measured (`metric` under `factors`), sorted by seed.

        Raises ResultsError when nothing matches, or when the matching rows still differ in some factor.
        """
        what = _rows.asked(metric, factors)
        named = [row for row in self.rows if row.metric == metric]
        if not named:
            raise ResultsError(f"no rows for {what} in {self.source}; metrics: {listing(self.metrics())}")
        found = [row for row in named if row.matches(factors)]
        if not found:
            raise ResultsError(f"no rows for {what} in {self.source}; {metric} has {_rows.spread(named)}")
        combos = list(dict.fromkeys(json.dumps(row.factors, sort_keys=True) for row in found))
        if len(combos) > 1:
            raise ResultsError(
                f"{what} matches {len(combos)} different things in {self.source}; "
                f"also give one of: {_rows.spread(found, differing=True)}"
            )
        return sorted(found, key=lambda row: (row.seed is not None, row.seed or 0))

    def matrix(self, metric: str, **factors: Scalar) -> tuple[list[int | None], np.ndarray]:
        """Return (seeds, values float64 [n_seeds, n_items]) of one metric under given factors.

        Rows without items give one column. Items that were recorded with ids are put in the order of the
        first seed's ids (see `ids`). Raises ResultsError when nothing or several things match, or when the
        items of the seeds do not pair.
        """
        rows = self.select(metric, **factors)
        what = _rows.asked(metric, factors)
        items = [np.array([row.value]) if row.items is None else row.items for row in rows]
        if len({len(values) for values in items}) > 1:
            sizes = ", ".join(f"seed {row.seed}: {len(values)}" for row, values in zip(rows, items))
            raise ResultsError(f"{what} has a different number of items for each seed ({sizes})")
        if len({row.ids is None for row in rows}) > 1:
            raise ResultsError(f"{what} was recorded with ids for some seeds only; give ids for all or none")
        first = rows[0].ids
        if first is not None:
            for k, row in enumerate(rows):
                if row.ids == first:
                    continue
                place = {name: at for at, name in enumerate(row.ids or ())}
                if set(place) != set(first):
                    raise ResultsError(f"{what} has other items for seed {row.seed} than for {rows[0].seed}")
                items[k] = items[k][[place[name] for name in first]]
        return [row.seed for row in rows], np.stack(items)

    def ids(self, metric: str, **factors: Scalar) -> list[str] | None:
        """Return the names of the columns of `matrix(metric, **factors)`, or None when none were recorded."""
        names = self.select(metric, **factors)[0].ids
        return None if names is None else list(names)

    def checks(self) -> dict[str, bool]:
        """Return {name: whether the statement held} for every recorded check (held for every seed)."""
        held: dict[str, bool] = {}
        for row in self.rows:
            if row.metric == CHECK:
                name = str(row.factors["name"])
                held[name] = held.get(name, True) and row.value == 1.0
        return held


class Log(Results):
    """Results that can be added to; on disk when it has a folder, else in memory."""

    def __init__(self, folder: Path | None = None):
        super().__init__(source=f"{folder}" if folder else "this session's results")
        self.folder = folder
        if folder is not None:
            (folder / ITEMS).mkdir(parents=True, exist_ok=True)
            _rows.drop_torn_line(folder / FILE)
            self.rows = _rows.read_rows(folder)
        self._places = {_rows.key(row): place for place, row in enumerate(self.rows)}

    def add(
        self,
        metric: str,
        values: Any,
        *,
        seed: int | None = None,
        ids: Sequence[Any] | None = None,
        **factors: Any,
    ) -> float:
        """Record one number, or an array [n_items] whose mean without NaN is the row's value; return that.

        `ids` names the items (unique, one each). Factors are plain values (str, int, float, bool, None).
        Raises ResultsError for values that are all NaN, infinite or not one-dimensional, ids of another
        length, and, on disk, a row recorded twice (in memory a cell that runs again replaces its rows).
        """
        what = _rows.asked(metric, factors)
        value, items = _rows.checked_values(values, what)
        if ids is not None:
            if items is None:
                raise ResultsError(f"{what}: ids were given for a single number; give them with an array")
            ids = tuple(str(name) for name in ids)
            if len(ids) != len(items):
                raise ResultsError(f"{what}: {len(items)} values but {len(ids)} ids; give one id a value")
            if len(set(ids)) != len(ids):
                raise ResultsError(f"{what}: ids repeat; every item needs its own")
        factors = _rows.checked_factors(factors, what)
        self._append(Row(_rows.named(metric), value, _rows.checked_seed(seed, what), factors, items, ids))
        return value

    def check(self, name: str, passed: bool, *, seed: int | None = None, **detail: Any) -> bool:
        """Record whether a statement holds (row of metric "check", factor name=...); return it.

        `detail` (numbers, short texts) is kept with the row and shown, and is not a factor.
        """
        if not isinstance(passed, bool | np.bool_):
            raise ResultsError(f"check {name!r}: passed must be True or False, was {passed!r}")
        what = f"check {name!r}"
        told = {key: _rows.checked_scalar(value, f"{what}, {key}") for key, value in detail.items()}
        factors = {"name": _rows.named(name)}
        self._append(Row(CHECK, float(passed), _rows.checked_seed(seed, what), factors, detail=told))
        return bool(passed)

    def _append(self, row: Row) -> None:
        before = self._places.get(_rows.key(row))
        if self.folder is not None:
            if before is not None:
                raise ResultsError(
                    f"{_rows.asked(row.metric, row.factors)}, seed {row.seed} was recorded already; "
                    "a factor that tells the two apart is missing"
                )
            _rows.write_row(self.folder, row)
        if before is None:
            self._places[_rows.key(row)] = len(self.rows)
            self.rows.append(row)
        else:
            self.rows[before] = row


def open(folder: str | os.PathLike[str] | None = None) -> Log:
    """Return the log of this run: in `folder`, else in $MSIG_RUN_DIR when it is set, else in memory."""
    given = folder or os.environ.get(ENV)
    return Log(Path(given) if given else None)


def read(run_dir: str | os.PathLike[str]) -> Results:
    """Return what a run recorded (maybe no rows); raises ResultsError when there is no such folder."""
    folder = Path(run_dir)
    if not folder.is_dir():
        raise ResultsError(f"no run directory at {folder}; run the notebook first (`msig run`)")
    return Results(_rows.read_rows(folder), source=str(folder))
