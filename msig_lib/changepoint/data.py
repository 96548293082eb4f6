"""Multivariate series with a change each, and the order in which pairs of variables are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


def edges(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the receivers and the senders of all n(n-1) directed pairs, int64 (E,) each.

    Receiver-major: for each receiver 0..n-1 every other variable as sender, ascending. ValueError for n < 1.

    >>> edges(3)[0].tolist(), edges(3)[1].tolist()
    ([0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1])
    """
    if n < 1:
        raise ValueError(f"edges of {n} variables were asked for, expected at least 1 variable")
    receivers, senders = np.nonzero(~np.eye(n, dtype=bool))
    return receivers, senders


def edge_values(graph: Any) -> Any:
    """Return the values (..., E) of an array or tensor (..., N, N), value of pair = graph[receiver, sender].

    The order is that of `edges`; the diagonal is left out. ValueError unless the last two sizes are equal.
    """
    if graph.ndim < 2 or graph.shape[-1] != graph.shape[-2]:
        raise ValueError(f"a graph of shape {tuple(graph.shape)} was given, expected (..., N, N)")
    return graph[(..., *edges(graph.shape[-1]))]


@dataclass(frozen=True, eq=False)
class Series:
    """S series of T frames of N variables with M features each, and what is known about their changes.

    Arrays of another number type are converted to the one stated. ValueError when sizes do not fit together.
    """

    X: npt.NDArray[np.float32]  # (S, T, N, M)
    change_time: npt.NDArray[np.int64]  # (S,) first frame after the change; -1 where none or several
    kind: np.ndarray  # (S,) of str: "location", "speed", "connection", "none", "several", or a transition
    name: str  # of the data set
    graph: npt.NDArray[np.uint8] | None = (
        None  # (S, 2, N, N) true connections before the first, after the last
    )
    counterfactual: npt.NDArray[np.float32] | None = None  # (S, T, N, M) the same draws without a change
    changes: tuple[tuple[int, ...], ...] | None = None  # all change times of each series, ascending

    def __post_init__(self) -> None:
        put = object.__setattr__  # frozen: conversions happen here only
        put(self, "X", np.asarray(self.X, dtype=np.float32))
        put(self, "change_time", _whole(self.change_time))
        put(self, "kind", np.asarray(self.kind, dtype=np.str_))
        if self.X.ndim != 4 or 0 in self.X.shape[1:]:
            raise ValueError(f"X has shape {self.X.shape}, expected (series, frames, variables, features)")
        n_series, n_frames, n, _ = self.X.shape
        for field in ("change_time", "kind"):
            if getattr(self, field).shape != (n_series,):
                given = getattr(self, field).shape
                raise ValueError(f"{field} has shape {given}, expected ({n_series},): one a series of X")
        wrong = (self.change_time != -1) & ((self.change_time < 1) | (self.change_time >= n_frames))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"change_time is {self.change_time[row]} in series {row}, expected 1..{n_frames - 1}, the first "
                "frame after the change, or -1 for none or several"
            )
        if self.graph is not None:
            graph = np.asarray(self.graph)
            if graph.shape != (n_series, 2, n, n):
                raise ValueError(f"graph has shape {graph.shape}, expected {(n_series, 2, n, n)}")
            if not np.isin(graph, (0, 1)).all() or np.diagonal(graph, axis1=2, axis2=3).any():
                raise ValueError("graph holds the connections as 0 or 1, with 0 on the diagonal")
            if not np.array_equal(graph, graph.swapaxes(2, 3)):
                raise ValueError("graph is not symmetric, expected graph[s, :, i, j] == graph[s, :, j, i]")
            put(self, "graph", graph.astype(np.uint8, copy=False))
        if self.counterfactual is not None:
            put(self, "counterfactual", np.asarray(self.counterfactual, dtype=np.float32))
            if self.counterfactual.shape != self.X.shape:
                raise ValueError(
                    f"counterfactual has shape {self.counterfactual.shape}, expected that of X, {self.X.shape}"
                )
        if self.changes is not None:
            put(self, "changes", _checked_changes(self.changes, self.change_time, n_frames))

    def __len__(self) -> int:
        return len(self.X)

    def times(self) -> tuple[tuple[int, ...], ...]:
        """Return all change times of each series: `changes`, or else what `change_time` says."""
        if self.changes is not None:
            return self.changes
        return tuple(() if time < 0 else (time,) for time in self.change_time.tolist())

    def subset(self, rows: int | slice | npt.ArrayLike) -> Series:
        """Return the chosen series in the order of `rows`: a number, a slice, row numbers or a bool mask (S,).

        Arrays are copied unless `rows` is a slice. IndexError for a row that is not there.
        """
        if not isinstance(rows, slice):
            rows = np.atleast_1d(np.asarray(rows))
            if rows.size == 0:
                rows = rows.astype(bool if rows.dtype == bool else np.int64)
            if rows.ndim != 1 or rows.dtype.kind not in "biu":
                raise TypeError("rows are row numbers, a bool for each series, or a slice")
            if rows.dtype == bool and len(rows) != len(self):
                raise IndexError(f"{len(rows)} bools were given for {len(self)} series")
        chosen = np.arange(len(self))[rows]
        return Series(
            X=self.X[rows],
            change_time=self.change_time[rows],
            kind=self.kind[rows],
            name=self.name,
            graph=None if self.graph is None else self.graph[rows],
            counterfactual=None if self.counterfactual is None else self.counterfactual[rows],
            changes=None if self.changes is None else tuple(self.changes[row] for row in chosen),
        )

    @staticmethod
    def concatenate(parts: Sequence[Series]) -> Series:
        """Return the series of all parts, in order; ValueError when their frames, variables or features differ.

        `graph` and `counterfactual` are kept where every part has them; differing names are joined with " + ".
        """
        if not parts:
            raise ValueError("no parts were given, expected at least one Series")
        shapes = {part.X.shape[1:] for part in parts}
        if len(shapes) > 1:
            raise ValueError(f"parts of different (frames, variables, features): {sorted(shapes)}")

        def joined(field: str) -> np.ndarray | None:
            arrays = [getattr(part, field) for part in parts]
            return None if any(array is None for array in arrays) else np.concatenate(arrays)

        several = any(part.changes is not None for part in parts)
        return Series(
            X=joined("X"),
            change_time=joined("change_time"),
            kind=joined("kind"),
            name=" + ".join(dict.fromkeys(part.name for part in parts)),
            graph=joined("graph"),
            counterfactual=joined("counterfactual"),
            changes=tuple(times for part in parts for times in part.times()) if several else None,
        )


def _whole(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    given = np.asarray(values)
    if given.size and given.dtype.kind not in "iu":
        raise TypeError(f"change_time is of type {given.dtype}, expected whole numbers (-1 for no change)")
    return given.astype(np.int64)


def _checked_changes(
    changes: Sequence[Sequence[int]], change_time: np.ndarray, n_frames: int
) -> tuple[tuple[int, ...], ...]:
    """Return `changes` as tuples; ValueError unless ascending, within the frames and as `change_time` says."""
    if len(changes) != len(change_time):
        raise ValueError(f"changes of {len(changes)} series were given, expected {len(change_time)}")
    rows = tuple(tuple(int(time) for time in times) for times in changes)
    for row, times in enumerate(rows):
        if list(times) != sorted(set(times)) or (times and not 1 <= times[0] <= times[-1] < n_frames):
            raise ValueError(
                f"changes of series {row} are {times}, expected ascending frames in 1..{n_frames - 1}"
            )
        single = times[0] if len(times) == 1 else -1
        if change_time[row] != single:
            raise ValueError(
                f"change_time is {change_time[row]} in series {row} and changes says {times}, expected {single}"
            )
    return rows
