"""Rows of the results table: their values checked, written line by line, and read back.

Part of what every notebook imports (see `results`), so it imports little.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from msig_lib.errors import MsigError, listing

FILE = "results.jsonl"
ITEMS = "items"
CHECK = "check"
RESERVED = ("metric", "value", "values", "seed", "seeds", "n_items", "items", "ids")
Scalar = str | int | float | bool | None


class ResultsError(MsigError, ValueError):
    """Raised for a value that cannot be recorded, or a question that the recorded rows do not answer."""


@dataclass(frozen=True)
class Row:
    """One recorded number; `items` is float64 [n_items] or None, `ids` names the items."""

    metric: str
    value: float
    seed: int | None
    factors: dict[str, Scalar]
    items: np.ndarray | None = field(default=None, compare=False)
    ids: tuple[str, ...] | None = field(default=None, compare=False)
    detail: dict[str, Scalar] = field(default_factory=dict, compare=False)

    def matches(self, factors: dict[str, Scalar]) -> bool:
        """Whether every given factor has this value here (None: the row lacks the factor or holds None)."""
        return all(_same(self.factors.get(name), wanted) for name, wanted in factors.items())


def _same(left: Scalar, right: Scalar) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def asked(metric: str, factors: dict[str, Any]) -> str:
    return ", ".join([repr(metric), *(f"{name}={value!r}" for name, value in factors.items())])


def key(row: Row) -> tuple[str, int | None, str]:
    return row.metric, row.seed, json.dumps(row.factors, sort_keys=True)


def spread(rows: Sequence[Row], differing: bool = False) -> str:
    names = dict.fromkeys(name for row in rows for name in row.factors)
    parts = []
    for name in names:
        values = list(dict.fromkeys(repr(row.factors.get(name)) for row in rows))
        if len(values) > 1 or not differing:
            parts.append(f"{name} in {{{listing(values)}}}")
    return "; ".join(parts) or "no factors"


def named(name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        raise ResultsError(f"a metric or check needs a name (text that is not empty), was {name!r}")
    return name


def checked_seed(seed: Any, what: str) -> int | None:
    if seed is None or (isinstance(seed, int | np.integer) and not isinstance(seed, bool)):
        return None if seed is None else int(seed)
    raise ResultsError(f"{what}: seed must be an int or None, was {seed!r}")


def checked_scalar(value: Any, what: str) -> Scalar:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and np.isfinite(value):
        return value
    raise ResultsError(f"{what} must be text, a finite number, a bool or None, was {value!r}")


def checked_factors(factors: dict[str, Any], what: str) -> dict[str, Scalar]:
    for name in factors:
        if name in RESERVED:
            raise ResultsError(f"{what}: {name!r} cannot be a factor, it is a column already; rename it")
    return {name: checked_scalar(value, f"{what}: factor {name}") for name, value in factors.items()}


def checked_values(values: Any, what: str) -> tuple[float, np.ndarray | None]:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ResultsError(f"{what}: values must be a number or an array of numbers ({error})") from None
    if array.ndim > 1:
        raise ResultsError(
            f"{what}: values have shape {array.shape}; give a number or one row [n_items] a seed"
        )
    if array.size == 0:
        raise ResultsError(f"{what}: no values were given")
    if np.isinf(array).any():
        raise ResultsError(
            f"{what}: values hold infinity; record a finite number or NaN for an undefined item"
        )
    if np.isnan(array).all():
        raise ResultsError(f"{what}: every value is NaN; leave out what could not be measured")
    return float(np.nanmean(array)), None if array.ndim == 0 else array.copy()


def _place(path: Path, content: bytes) -> None:
    if not path.exists():
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        temporary.write_bytes(content)
        os.replace(temporary, path)


def write_row(folder: Path, row: Row) -> None:
    """Append one row; its item files are in place before the line that names them."""
    line: dict[str, Any] = {
        "metric": row.metric,
        "value": row.value,
        "seed": row.seed,
        "factors": row.factors,
        "items": None,
    }
    if row.items is not None:
        content = row.items.tobytes()
        path = folder / ITEMS / f"{hashlib.sha256(content).hexdigest()[:20]}.npy"
        if not path.exists():
            temporary = path.with_name(f"{path.stem}.{os.getpid()}.part.npy")
            np.save(temporary, row.items, allow_pickle=False)
            os.replace(temporary, path)
        line["items"] = f"{ITEMS}/{path.name}"
    if row.ids is not None:
        content = json.dumps(row.ids, ensure_ascii=False).encode()
        name = f"{ITEMS}/{hashlib.sha256(content).hexdigest()[:20]}.ids.json"
        _place(folder / name, content)
        line["ids"] = name
    if row.detail:
        line["detail"] = row.detail
    text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
    handle = os.open(folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def drop_torn_line(path: Path) -> None:
    """Cut a last line without its end, left by a process that was killed while it wrote."""
    if path.exists():
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)


def read_rows(folder: Path) -> list[Row]:
    path = folder / FILE
    if not path.exists():
        return []
    rows, names = [], {}
    complete = path.read_text(encoding="utf-8").rpartition("\n")[0]
    for number, text in enumerate(filter(None, complete.split("\n")), 1):
        try:
            line = json.loads(text)
            items = np.load(folder / line["items"], allow_pickle=False) if line["items"] else None
            if (ids := line.get("ids")) and ids not in names:
                names[ids] = tuple(json.loads((folder / ids).read_text(encoding="utf-8")))
            rows.append(
                Row(
                    line["metric"],
                    line["value"],
                    line["seed"],
                    line["factors"],
                    items,
                    names[ids] if ids else None,
                    line.get("detail", {}),
                )
            )
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise ResultsError(
                f"{path}, line {number} cannot be read ({error}); run the notebook again"
            ) from None
    return rows
