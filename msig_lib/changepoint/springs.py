"""Particles joined by springs, disturbed at a known time: the world of thesis 4.4.1."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from msig_lib.changepoint import _springs_kernel as kernel
from msig_lib.changepoint.data import Series

CHANGES = ("location", "speed", "connection")  # thesis 4.4.1
KINDS = (*CHANGES, "none", "several")
CONVENTIONS = ("ours", "official")
TRIES = 10_000  # how often connections are drawn anew before giving up on enough of them being different


@dataclass(frozen=True)
class SpringSettings:
    """The system and its changes, in its own units of length and time; a frame is `steps * step` = .1 long.

    Raises ValueError for impossible values.
    """

    particles: int = 5  # thesis 4.4.1
    frames: int = 100  # thesis 4.4.1
    steps: int = 100  # official code: a frame is every 100th of 10,000 steps
    step: float = 0.001  # official code, in units of time
    box: float = 5.0  # thesis 4.4.1: locations are in [-5, 5]
    location_spread: float = 0.5  # official code: standard deviation of the first locations
    start_speed: float = 0.5  # official code: norm of the first speeds
    spring: float = 0.1  # official code: force per length of a spring
    force_cap: float = 100.0  # official code: largest force along an axis, never reached in the box
    connection_probability: float = 0.5  # official code
    location_kick: float = 0.1  # thesis 4.4.1; a standard deviation (official code)
    speed_kick: float = 0.02  # thesis 4.4.1; a standard deviation (official code)
    flips: int | None = None  # least pairs that a connection change flips; None: half of them, rounded up
    #   (thesis 4.4.1: 5 of 10), and 6 by the official convention
    first_change: int | None = None  # earliest change time; None: frames // 4 (thesis 4.4.1: 25 of 100)
    last_change: int | None = None  # latest, inclusive; None: frames - frames // 4 (thesis 4.4.1: 75 of 100)
    connection_label: str | None = None  # "frame" labels a connection change like the others; "graph" labels
    #   the frame before, whose next step the new springs make; None: "frame" (ours), "graph" (official code)
    n_changes: int = 3  # ours: of a series of kind "several"
    min_gap: int = 10  # ours: least frames between two of these
    shared_start: bool = False  # ours: whether kinds share start, springs and change time for the same seed

    def __post_init__(self) -> None:
        least = {"particles": 2, "frames": 2, "steps": 1, "n_changes": 1, "min_gap": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or value < bound:
                raise ValueError(f"{name} is {value!r}, expected a whole number of at least {bound}")
        for name in ("step", "box", "force_cap"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, expected above 0")
        for name in ("location_spread", "start_speed", "spring", "location_kick", "speed_kick"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 0")
        if not 0 <= self.connection_probability <= 1:
            raise ValueError(f"connection_probability is {self.connection_probability}, expected 0..1")
        if self.flips is not None and not 1 <= self.flips <= self.pairs:
            raise ValueError(
                f"flips is {self.flips}, expected 1..{self.pairs}: {self.particles} particles make that many pairs"
            )
        if self.connection_label not in (None, "frame", "graph"):
            raise ValueError(
                f"connection_label is {self.connection_label!r}, expected 'frame', 'graph' or None"
            )
        first, last = self.change_range
        if not 1 <= first <= last < self.frames:
            raise ValueError(
                f"changes were asked for in {first}..{last}, expected within 1..{self.frames - 1} of "
                f"{self.frames} frames: set first_change and last_change"
            )
        if self.connection_label == "graph" and last + 1 == self.frames:
            raise ValueError("connection_label='graph' needs a frame after last_change: make it smaller")

    @property
    def pairs(self) -> int:
        """How many pairs of particles there are."""
        return self.particles * (self.particles - 1) // 2

    @property
    def change_range(self) -> tuple[int, int]:
        """The earliest and the latest change time, both inclusive (the official convention has its own)."""
        quarter = self.frames // 4
        first = max(quarter, 1) if self.first_change is None else self.first_change
        return first, self.frames - max(quarter, 1) if self.last_change is None else self.last_change


@dataclass(frozen=True, eq=False)
class Draws:
    """Everything random in S series of N particles with up to C changes each; no draw depends on a trajectory."""

    location: npt.NDArray[np.float64]  # (S, 2, N)
    speed: npt.NDArray[np.float64]  # (S, 2, N)
    graphs: npt.NDArray[np.uint8]  # (S, C + 1, N, N) before the first change and after each
    times: npt.NDArray[np.int64]  # (S, C) first frame after each change, ascending
    labels: npt.NDArray[np.int64]  # (S, C) the same but for `SpringSettings.connection_label`
    kicks: npt.NDArray[np.float64]  # (S, C, 2, 2, N) added to the locations and to the speeds
    changes: npt.NDArray[np.int64]  # (S, C) which of CHANGES


def simulate(
    kind: str,
    n: int,
    *,
    seed: int,
    settings: SpringSettings | None = None,
    convention: str = "ours",
    counterfactual: bool = False,
) -> Series:
    """Return n series of one kind (thesis 4.4.1), X (n, frames, particles, 4): location x, y and speed x, y.

    `kind` is "location", "speed", "connection" (all particles and both axes change at once), "none", or
    "several" (`n_changes` of these, each of a type drawn at random). `change_time` is the first frame that
    differs from the series without the change; see `SpringSettings.connection_label` for the exception.
    The first series of a larger `n` are those of a smaller one. With `counterfactual` the same draws without
    any change are integrated too.

    `convention="official"` makes the series of the official code to the last bit: its stream of draws,
    change times 50 + int(15(2u - 1)), at least 6 flipped pairs, and one stream for all kinds, so that location
    and speed series of the same seed share everything but the change. ValueError for impossible arguments.

    >>> simulate("speed", 3, seed=0).X.shape
    (3, 100, 5, 4)
    """
    settings = settings or SpringSettings()
    _check(kind, n, seed, convention)
    draws = draw(kind, n, seed=seed, settings=settings, convention=convention)
    states = integrate(draws, settings).astype(np.float32)
    without = None
    if counterfactual:
        none = np.zeros((n, 0), dtype=np.int64)
        without = integrate(replace(draws, times=none), settings).astype(np.float32)
    labels = draws.labels
    return Series(
        X=states,
        change_time=labels[:, 0] if labels.shape[1] == 1 else np.full(n, -1),
        kind=np.full(n, kind),
        name="particle_spring",
        graph=draws.graphs[:, [0, -1]],
        counterfactual=without,
        changes=tuple(map(tuple, labels.tolist())) if kind == "several" else None,
    )


def splits(
    n_train: int = 500,
    n_valid: int = 100,
    n_test: int = 100,
    *,
    seed: int,
    settings: SpringSettings | None = None,
    convention: str = "ours",
    kinds: Sequence[str] = CHANGES,
    counterfactual: bool = False,
) -> dict[str, Series]:
    """Return "train", "valid" and "test" (thesis 4.4.1): that many series of each kind, the kinds in turn.

    Row r is of kind `kinds[r % len(kinds)]`. The splits come from independent streams; by the official
    convention they are consecutive parts of one stream per kind, as its script makes them (seed 42).
    """
    sizes = {"train": n_train, "valid": n_valid, "test": n_test}
    if isinstance(kinds, str) or not kinds or len(set(kinds)) < len(kinds):
        raise ValueError(f"kinds is {kinds!r}, expected a list of different kinds among {', '.join(KINDS)}")
    for name, size in sizes.items():
        _check_count(f"n_{name}", size)
    options = {"settings": settings, "convention": convention, "counterfactual": counterfactual}
    if convention == "official":
        whole = [simulate(kind, sum(sizes.values()), seed=seed, **options) for kind in kinds]
        ends = np.cumsum(list(sizes.values()))
        rows = {name: slice(end - sizes[name], end) for name, end in zip(sizes, ends)}
        parts = {name: [series.subset(rows[name]) for series in whole] for name in sizes}
    else:
        _check_count("seed", seed)
        seeds = np.random.SeedSequence(seed).generate_state(len(sizes), np.uint64).tolist()
        parts = {
            name: [simulate(kind, sizes[name], seed=own, **options) for kind in kinds]
            for name, own in zip(sizes, seeds)
        }
    return {
        name: Series.concatenate(parts[name]).subset(
            np.arange(len(kinds) * size).reshape(len(kinds), size).T.ravel()
        )
        for name, size in sizes.items()
    }


def observe(series: Series, *, noise: float = 0.0, hide_velocity: bool = False, seed: int) -> Series:
    """Return `series` as a sensor sees it: N(0, noise^2) added to every feature of X, the speeds left out.

    `noise` is in the units of the features. The same noise is added to the counterfactual, so that the two
    still agree before the change. For the same seed the noise of a feature does not depend on the other
    arguments but for its scale. ValueError when `noise` is negative or there are no speeds to hide.
    """
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise is {noise}, expected a standard deviation of at least 0")
    _check_count("seed", seed)
    if hide_velocity and series.X.shape[3] != 4:
        raise ValueError(
            f"hide_velocity keeps the first 2 of 4 features (location, speed), but X has {series.X.shape[3]}"
        )
    seen = slice(0, 2) if hide_velocity else slice(None)
    added = np.zeros(series.X.shape, dtype=np.float32)
    if noise:
        added = np.random.default_rng(seed).standard_normal(series.X.shape, dtype=np.float32)
        added *= np.float32(noise)
    without = series.counterfactual
    return replace(
        series,
        X=(series.X + added)[..., seen],
        counterfactual=None if without is None else (without + added)[..., seen],
    )


def draw(kind: str, n: int, *, seed: int, settings: SpringSettings, convention: str = "ours") -> Draws:
    """Return all draws of `simulate`, in the order of the official code: a series' start, then its changes."""
    _check(kind, n, seed, convention)
    official = convention == "official"
    if official:
        _check_official(kind, settings)
        # The official code draws everything from numpy's older generator; only that gives its series.
        start = change = np.random.RandomState(seed)
    else:
        code = KINDS.index(kind)
        start = np.random.default_rng([seed, 0, 0 if settings.shared_start else 1 + code])
        change = np.random.default_rng([seed, 1, 1 + code])
    size, count = settings.particles, {"none": 0, "several": settings.n_changes}.get(kind, 1)
    location, speed = np.zeros((2, n, 2, size))
    graphs = np.zeros((n, count + 1, size, size), dtype=np.uint8)
    labels, changes = np.zeros((2, n, count), dtype=np.int64)
    kicks = np.zeros((n, count, 2, 2, size))
    for s in range(n):
        graphs[s] = _connections(start, settings)
        location[s] = start.standard_normal((2, size))
        speed[s] = start.standard_normal((2, size))
        u = start.random()
        if kind == "several":
            labels[s] = _separated(change, settings)
            changes[s] = change.integers(len(CHANGES), size=count)
        elif count:
            labels[s] = _time(u, settings, official)
            changes[s] = CHANGES.index(kind)
        for c, which in enumerate(changes[s]):
            if CHANGES[which] == "connection":
                graphs[s, c + 1 :] = _reconnected(change, graphs[s, c], settings, official)
            elif CHANGES[which] == "speed":
                kicks[s, c, 1] = change.normal(0, settings.speed_kick, (2, size))
            else:
                kicks[s, c, 0] = change.normal(0, settings.location_kick, (2, size))
    location *= settings.location_spread
    speed = speed * settings.start_speed / np.sqrt((speed**2).sum(1, keepdims=True))
    early = (settings.connection_label or ("graph" if official else "frame")) == "graph"
    early = early * (changes == CHANGES.index("connection"))
    # What is drawn is the change officially; by our convention the label, so that labels fill their range.
    times, labels = (labels, labels - early) if official else (labels + early, labels)
    return Draws(location, speed, graphs, times, labels, kicks, changes)


def integrate(draws: Draws, settings: SpringSettings) -> npt.NDArray[np.float64]:
    """Return the trajectories (S, frames, N, 4) in float64, all series together.

    First the speeds gain `step` times the force; then each step moves, reflects at the walls, keeps a frame
    if it is the last of `steps`, and adds `step` times the force at the new locations. A change comes after
    the whole last step of the frame before it. ValueError when particles escape: the step is too long.
    """
    n, _, size = draws.location.shape
    states = np.zeros((n, settings.frames, size, 4))
    kernel.integrate(
        draws.location, draws.speed, draws.graphs, draws.times, draws.kicks, settings.steps,
        float(settings.step), float(settings.box), float(settings.spring), float(settings.force_cap), states,
    )  # fmt: skip
    if not (np.abs(states[..., :2]) <= settings.box).all():
        raise ValueError(
            f"particles left the box: a step of {settings.step} is too long for springs of {settings.spring}, "
            f"speeds of {settings.start_speed} and kicks of {settings.location_kick} and {settings.speed_kick}; "
            "make one of them smaller"
        )
    return states


def _connections(rng: np.random.Generator | np.random.RandomState, settings: SpringSettings) -> np.ndarray:
    """Return connections [N, N], each pair with the probability of the settings."""
    # The official code draws the whole square and keeps what is below its diagonal.
    square = rng.random((settings.particles, settings.particles)) >= 1 - settings.connection_probability
    below = np.tril(square, -1)
    return below | below.T


def _reconnected(
    rng: np.random.Generator | np.random.RandomState,
    graph: np.ndarray,
    settings: SpringSettings,
    official: bool,
) -> np.ndarray:
    """Return connections that differ from `graph` in enough pairs, drawn again until they do."""
    flips = settings.flips or (6 if official else (settings.pairs + 1) // 2)
    for _ in range(TRIES):
        drawn = _connections(rng, settings)
        if np.count_nonzero(drawn != graph) >= 2 * flips:
            return drawn
    raise ValueError(
        f"no connections that differ in {flips} of {settings.pairs} pairs were found in {TRIES} draws: lower "
        f"flips, or bring connection_probability ({settings.connection_probability}) closer to .5"
    )


def _time(u: float, settings: SpringSettings, official: bool) -> int:
    """Return the first frame after a change from u in [0, 1)."""
    if official:
        return settings.frames // 2 + int(15 * (u * 2 - 1))
    first, last = settings.change_range
    return first + int(u * (last - first + 1))


def _separated(rng: np.random.Generator, settings: SpringSettings) -> np.ndarray:
    """Return `n_changes` times in the range at least `min_gap` apart, every such choice equally likely."""
    first, last = settings.change_range
    free = last - first + 1 - (settings.n_changes - 1) * (settings.min_gap - 1)
    if free < settings.n_changes:
        raise ValueError(
            f"{settings.n_changes} changes at least {settings.min_gap} frames apart do not fit in {first}..{last}: "
            "lower n_changes or min_gap, or widen first_change and last_change"
        )
    chosen = np.sort(rng.choice(free, settings.n_changes, replace=False))
    return first + chosen + np.arange(settings.n_changes) * (settings.min_gap - 1)


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} is {value!r}, expected a whole number of at least 0")


def _check(kind: str, n: int, seed: int, convention: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}")
    if convention not in CONVENTIONS:
        raise ValueError(f"convention is {convention!r}, expected 'ours' or 'official'")
    _check_count("n", n)
    _check_count("seed", seed)


def _check_official(kind: str, settings: SpringSettings) -> None:
    """Refuse what the official code cannot do, rather than ignore a setting."""
    if kind == "several":
        raise ValueError("the official code makes one change a series: use convention='ours' for 'several'")
    if settings.first_change is not None or settings.last_change is not None or settings.shared_start:
        raise ValueError(
            "first_change, last_change and shared_start are for convention='ours': the official code draws "
            "change times within 15 frames of the middle and uses one stream"
        )
    if settings.frames % 2 or settings.frames < 32:
        raise ValueError(f"frames is {settings.frames}, expected an even number of at least 32 officially")
    if kind == "connection" and settings.flips is None and settings.pairs < 6:
        raise ValueError(f"{settings.pairs} pairs cannot flip 6 times as officially: set flips")
