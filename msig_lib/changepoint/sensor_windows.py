"""Continuous recordings with dated changes, and the windows cut out of them (thesis 4.5).

Parts of a data set are made by cutting recordings first and windows afterwards, so that no window can reach
from one part into another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from msig_lib.changepoint.data import Series

Dating = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class WindowSettings:
    """How windows are cut: their length, where their one change lies, and how much of the time is kept."""

    frames: int = 100  # thesis 4.5: T = 100
    low: int = 25  # thesis 4.5: the transition lies in [25, 75], 0-based here
    high: int = 75
    every: int = 1  # keep every k-th frame; thesis 4.5: 20 for PAMAP2

    def __post_init__(self) -> None:
        if not 1 <= self.low <= self.high < self.frames:
            raise ValueError(
                f"changes in [{self.low}, {self.high}] of {self.frames} frames were asked for, expected "
                "1 <= low <= high < frames"
            )
        if self.every < 1:
            raise ValueError(f"every is {self.every}, expected 1 (all frames) or more")


@dataclass(frozen=True, eq=False)
class Recording:
    """One continuous stretch: `signal` float32 (T, N, M) and the activity of every frame, `labels` int64 (T,).

    `names` says what the labels are called; None for labels that only number the stretches between changes.
    """

    signal: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    names: Mapping[int, str] | None
    person: str

    def __post_init__(self) -> None:
        if self.signal.ndim != 3 or self.labels.shape != self.signal.shape[:1]:
            raise ValueError(
                f"a signal of shape {self.signal.shape} with labels of shape {self.labels.shape} was given, "
                "expected (frames, variables, features) and (frames,)"
            )

    def __len__(self) -> int:
        return len(self.signal)

    @cached_property
    def changes(self) -> npt.NDArray[np.int64]:
        """First frame of every new activity, int64 (C,), ascending, in 1..T-1."""
        return np.flatnonzero(np.diff(self.labels)) + 1

    @cached_property
    def kinds(self) -> np.ndarray:
        """What each change is, str (C,): "<activity before> to <activity after>", or "change"."""
        if self.names is None:
            return np.full(len(self.changes), "change")
        called = [self.names.get(x, f"activity {x}") for x in self.labels.tolist()]
        kinds = [f"{called[i - 1]} to {called[i]}" for i in self.changes.tolist()]
        return np.array(kinds, dtype=np.str_)

    def between(self, start: int, stop: int) -> Recording:
        """Return the frames start..stop-1."""
        return replace(self, signal=self.signal[start:stop], labels=self.labels[start:stop])

    def thinned(self, every: int) -> Recording:
        """Return every `every`-th frame and label, unfiltered as in the thesis; what happens between is lost."""
        return replace(self, signal=self.signal[::every], labels=self.labels[::every])

    def cut(self, shares: Sequence[float]) -> list[Recording]:
        """Return consecutive stretches that hold these shares of the changes, cut midway between two changes.

        Shares are of any scale and rounded; ValueError when there are fewer changes than shares.
        """
        n, parts = len(self.changes), len(shares)
        if n < parts:
            raise ValueError(
                f"a recording with {n} changes cannot be cut into {parts} parts with a change each"
            )
        ends = np.rint(np.cumsum(shares)[:-1] / sum(shares) * n).astype(int)
        for k in range(parts - 1):
            ends[k] = min(max(ends[k], ends[k - 1] + 1 if k else 1), n - parts + k + 1)
        cuts = [0, *((self.changes[ends - 1] + self.changes[ends]) // 2).tolist(), len(self)]
        return [self.between(a, b) for a, b in pairwise(cuts)]


def bridged(labels: np.ndarray, transient: int, longest: int, dated: Dating = "middle") -> np.ndarray:
    """Return labels (T,) in which short transient stretches between two activities belong to these activities.

    A stretch of at most `longest` frames (0: none) becomes one change, from the one activity to the other,
    dated at its first frame ("start"), in its middle, or at the first frame of the next activity ("end"), and
    no change where both activities are the same. Longer ones, and those at either end of the labels, stay an
    activity of their own: entering and leaving them are two changes.
    """
    if dated not in ("start", "middle", "end"):
        raise ValueError(f"dated={dated!r} was given, expected 'start', 'middle' or 'end'")
    if longest < 0:
        raise ValueError(f"bridging of {longest} frames was asked for, expected 0 (none) or more")
    labels = np.array(labels, dtype=np.int64)  # a copy
    borders = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    for a, b in pairwise(borders[1:-1]):  # neither the first nor the last stretch
        if labels[a] == transient and b - a <= longest:
            date = {"start": a, "middle": (a + b) // 2, "end": b}[dated]
            labels[a:date], labels[date:b] = labels[a - 1], labels[b]
    return labels


@dataclass(frozen=True, eq=False)
class Windows:
    """Places of K windows: recording, start and change position in the window, int64 (K,); kind str (K,)."""

    recording: np.ndarray
    start: np.ndarray
    position: np.ndarray
    kind: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    def series(self, recordings: Sequence[Recording], name: str, frames: int, rows: np.ndarray) -> Series:
        """Return the windows `rows` as series; X is a copy."""
        pairs = zip(self.recording[rows].tolist(), self.start[rows].tolist())
        X = np.stack([recordings[r].signal[s : s + frames] for r, s in pairs])
        return Series(X, self.position[rows], self.kind[rows], name)


def place_windows(
    recordings: Sequence[Recording], settings: WindowSettings, rng: np.random.Generator
) -> Windows:
    """Place one window around every change that can be the only one in it, in [low, high] (thesis 4.5).

    The position is uniform over those that leave no second change in the window and no frame outside the
    recording. Recordings must be thinned already. Windows of neighbouring changes may overlap.
    """
    found: list[tuple[int, int, int, str]] = []
    for number, recording in enumerate(recordings):
        distances = np.diff([0, *recording.changes, len(recording)])
        least = np.maximum(settings.low, settings.frames - distances[1:])
        most = np.minimum(settings.high, distances[:-1])
        for i in np.flatnonzero(least <= most) if len(recording.changes) else ():
            position = int(rng.integers(least[i], most[i] + 1))
            found.append((number, int(recording.changes[i]) - position, position, str(recording.kinds[i])))
    number, start, position, kind = zip(*found) if found else ((), (), (), ())
    return Windows(
        *(np.array(column, dtype=np.int64) for column in (number, start, position)),
        kind=np.array(kind, dtype=np.str_),
    )


def one_change(
    recordings: Sequence[Recording], name: str, part: str, settings: WindowSettings, rng: np.random.Generator
) -> Series:
    """Return the windows of `place_windows` as series; ValueError that counts the changes when there is none."""
    thin = [recording.thinned(settings.every) for recording in recordings]
    windows = place_windows(thin, settings, rng)
    if not len(windows):
        raise ValueError(_none(thin, name, part, settings))
    return windows.series(thin, name, settings.frames, np.arange(len(windows)))


def every_window(
    recordings: Sequence[Recording], name: str, part: str, settings: WindowSettings, stride: int
) -> Series:
    """Return all windows at a distance of `stride` kept frames, whatever changes they hold.

    `changes` lists all of them; the kind is "none", the transition's name, or "several". For learning without
    labels, where the thesis's choice of windows would waste most of a recording.
    """
    if stride < 1:
        raise ValueError(f"stride is {stride}, expected 1 frame or more")
    X, times, kinds = [], [], []
    for recording in (recording.thinned(settings.every) for recording in recordings):
        for start in range(0, len(recording) - settings.frames + 1, stride):
            piece = recording.between(start, start + settings.frames)
            X.append(piece.signal)
            times.append(tuple(piece.changes.tolist()))
            kinds.append(["none", *piece.kinds[:1], "several"][min(len(piece.changes), 2)])
    if not X:
        raise ValueError(f"{name}: no stretch of part {part!r} has {settings.frames} frames")
    time = np.array([t[0] if len(t) == 1 else -1 for t in times], dtype=np.int64)
    return Series(np.stack(X), time, np.array(kinds), name, changes=tuple(times))


def random_parts(
    recordings: Sequence[Recording],
    name: str,
    settings: WindowSettings,
    sizes: Mapping[str, int],
    rng: np.random.Generator,
) -> dict[str, Series]:
    """Return windows divided at random: `sizes` to "valid" and "test" as far as possible, the rest to "train".

    Windows that share frames stay in one part, so a size can be missed by a few. ValueError when windows are
    too few for three parts.
    """
    thin = [recording.thinned(settings.every) for recording in recordings]
    windows = place_windows(thin, settings, rng)
    if len(windows) <= sum(sizes.values()):
        raise ValueError(
            f"{name}: {len(windows)} windows were found, too few for {dict(sizes)} and a training part. "
            + _none(thin, name, "all", settings)
        )
    joined = (np.diff(windows.recording) == 0) & (np.diff(windows.start) < settings.frames)
    groups = np.split(np.arange(len(windows)), np.flatnonzero(~joined) + 1)
    rows: dict[str, list[int]] = {"train": [], **{part: [] for part in sizes}}
    for k in rng.permutation(len(groups)):
        fits = (part for part, size in sizes.items() if len(rows[part]) + len(groups[k]) <= size)
        rows[next(fits, "train")].extend(groups[k].tolist())
    if short := [part for part, chosen in rows.items() if not chosen]:
        raise ValueError(
            f"{name}: part {short[0]!r} is empty, for windows that share frames stay together and form "
            f"groups of {[len(group) for group in groups]}; ask for other sizes than {dict(sizes)}"
        )
    return {
        part: windows.series(thin, name, settings.frames, np.sort(np.array(chosen)))
        for part, chosen in rows.items()
    }


def _none(recordings: Sequence[Recording], name: str, part: str, settings: WindowSettings) -> str:
    distances = np.concatenate([np.diff([0, *r.changes, len(r)]) for r in recordings] or [[0]])
    return (
        f"{name}, part {part!r}: {sum(len(r.changes) for r in recordings)} changes, {np.median(distances):.0f} "
        f"frames apart (median), in {len(recordings)} recordings. A window needs {settings.frames} frames with "
        f"exactly one change in [{settings.low}, {settings.high}]: ask for fewer frames or a smaller `every`."
    )
