"""Scenes drawn at random such that everything that happens in them can be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from msig_lib.videoqa.render import COLOURS, RADIUS, SHAPES, SIZES, STEPS, covered, positions, travelled
from msig_lib.videoqa.scenes import EVENTS, HELD_OUT, HIDDEN, PATHS, WALLS, ClipSettings, Event, Scene, Thing

LEGS = 1.5  # ours: a thing goes so many pixels at least before its first bounce and after its last
TOGETHER = 0.4  # ours: where the first thing enters, how often all others enter too
CROSSING = 0.6  # ours: share of clips whose second thing is led over the first one's way


def draw_scenes(n: int, settings: ClipSettings, rng: np.random.Generator) -> tuple[Scene, ...]:
    """Return n scenes whose events can all be seen, every number of things equally likely.

    Scenes are proposed until there are enough; ValueError when hardly any suits the settings.
    """
    if n < 0:
        raise ValueError(f"{n} clips were asked for, expected 0 or more")
    least, most = settings.things
    counts = rng.integers(least, most + 1, size=n)
    short = {c: int((counts == c).sum()) for c in range(least, most + 1)}
    found: dict[int, list[Scene]] = {c: [] for c in short}
    tried = 0
    while any(len(found[c]) < short[c] for c in short):
        batch = min(4096, 64 + 4 * sum(max(0, short[c] - len(found[c])) for c in short))
        for scene in _propose(batch, settings, rng):
            found[len(scene.things)].append(scene)
        tried += batch
        if tried > 20_000 + 1_000 * n:
            raise ValueError(
                f"too few of {tried} proposed scenes suit {settings}: ask for less of them at once"
            )
    ready = {c: iter(found[c]) for c in found}
    return tuple(next(ready[c]) for c in counts.tolist())


@dataclass
class _Batch:
    """Proposed scenes as arrays: [S] or [S, K] each, `start` [S, K, 2], and whether a scene can be used, `good` [S]."""

    there: np.ndarray
    colour: np.ndarray
    shape: np.ndarray
    large: np.ndarray
    path: np.ndarray
    speed: np.ndarray
    start: np.ndarray
    enters: np.ndarray
    leaves: np.ndarray
    becomes: np.ndarray
    changes: np.ndarray
    background: np.ndarray
    good: np.ndarray

    @property
    def radius(self) -> np.ndarray:
        return np.array(list(RADIUS.values()))[self.large]


def _propose(n: int, settings: ClipSettings, rng: np.random.Generator) -> list[Scene]:
    """Return those of n proposed scenes that can be used."""
    batch = _looks(n, settings, rng)
    _move(batch, settings, rng)
    size, frames = settings.size, settings.frames
    stays = batch.leaves == frames
    where = {"frames": frames, "size": size}
    way = (batch.path, batch.speed, batch.radius, stays)
    if settings.things[1] > 1:  # lead the second thing over the middle of the first one's way
        middle = positions(batch.start, *way, **where)[:, 0, frames // 2]
        near = batch.radius[:, 1, None]
        lane = np.clip(middle + rng.uniform(-3, 3, size=(n, 2)), near, size - 1 - near)
        across = np.array([step[::-1] for step in STEPS.values()], dtype=bool)[batch.path[:, 1]]
        across &= (rng.random(n) < CROSSING)[:, None]
        batch.start[:, 1] = np.where(across, lane, batch.start[:, 1])
    centres = positions(batch.start, *way, **where)
    _check_bounces(batch, stays, settings)
    _change(batch, settings, rng)
    behind = _check_covers(batch, centres, settings)
    scenes = [_scene(batch, i, behind[i], settings) for i in np.flatnonzero(batch.good)]
    if settings.happens:
        scenes = [scene for scene in scenes if {event.kind for event in scene.events} & {*settings.happens}]
    return scenes


def _looks(n: int, settings: ClipSettings, rng: np.random.Generator) -> _Batch:
    """Propose colours, all different within a clip, shapes, sizes, paths, and backgrounds."""
    least, most = settings.things
    there = np.arange(most) < rng.integers(least, most + 1, size=n)[:, None]
    colour = np.argsort(rng.random((n, len(COLOURS))), axis=1)[:, :most]
    held = np.array([SHAPES.index(HELD_OUT[name]) for name in COLOURS])[colour]
    other = (held + rng.integers(1, len(SHAPES), size=(n, most))) % len(SHAPES)
    still = rng.random((n, most)) < settings.still
    path = np.where(still, PATHS.index("still"), rng.integers(0, len(PATHS) - 1, size=(n, most)))
    low, high = np.array([settings.slow, settings.fast])[rng.integers(0, 2, size=(n, most))].T.swapaxes(1, 2)
    grounds = rng.integers(0, len(settings.backgrounds), size=n)
    return _Batch(
        there=there,
        colour=colour,
        shape=held if settings.unseen else other,
        large=rng.integers(0, 2, size=(n, most)),
        path=path,
        speed=np.where(still, 0.0, rng.uniform(low, high)),
        start=np.zeros((n, most, 2)),
        enters=np.zeros((n, most), dtype=np.int64),
        leaves=np.full((n, most), settings.frames),
        becomes=np.full((n, most), -1),
        changes=np.zeros((n, most), dtype=np.int64),
        background=np.array(settings.backgrounds)[grounds],
        good=np.ones(n, dtype=bool),
    )


def _move(batch: _Batch, settings: ClipSettings, rng: np.random.Generator) -> None:
    """Propose where things start: half of those that move stay inside, .3 enter, .2 leave where they can."""
    shape, last = batch.path.shape, settings.frames - 1
    radius, speed = batch.radius, batch.speed
    moves = speed > 0
    pace = np.where(moves, speed, 1.0)
    room = settings.size - 1 - 2 * radius
    part = rng.random(shape)
    together = (part[:, :1] >= 0.5) & (part[:, :1] < 0.8) & (rng.random((shape[0], 1)) < TOGETHER)
    part = np.where(together, part[:, :1], part)
    share = rng.random(shape)
    whole = np.ceil(
        (radius + 1.5) / pace
    )  # frames that a thing needs from its middle on an edge to be all in or out
    # A thing that enters is still all outside in frame 0; one that leaves is all outside in the last frame.
    first = whole + np.floor(rng.random(shape) * np.maximum(1, last - 1 - whole))
    enters = moves & (part >= 0.5) & (part < 0.8) & (first <= last - 2)
    gone = np.minimum(last - whole, np.floor((room + radius) / pace)) - rng.integers(0, 4, size=shape)
    leaves = moves & (part >= 0.8) & (gone >= 2)
    inside = share * np.minimum(
        pace, pace * first - radius - 1
    )  # of its middle, in the frame that it enters in
    along = np.where(enters, inside - radius - pace * first, share * room)
    along = np.where(leaves, room + radius + (1 - share) * pace - pace * gone, along)
    batch.good &= ~(batch.there & leaves & (along < 0)).any(axis=1)  # it would start outside
    batch.enters[:] = np.where(enters, first, 0)
    batch.leaves[:] = np.where(leaves, gone, settings.frames)
    lane = radius[..., None] + rng.random((*shape, 2)) * room[..., None]
    step = np.array(list(STEPS.values()))[batch.path]
    forward = along[..., None] + radius[..., None]
    batch.start[:] = np.where(step > 0, forward, np.where(step < 0, settings.size - 1 - forward, lane))


def _check_bounces(batch: _Batch, stays: np.ndarray, settings: ClipSettings) -> None:
    """Leave out scenes with a bounce too near to the beginning or the end of the clip to be seen."""
    room = settings.size - 1 - 2 * batch.radius
    along = travelled(batch.start, batch.path, batch.radius, size=settings.size)
    end = along + batch.speed * (settings.frames - 1)
    bounces = np.where(stays & (batch.speed > 0), np.floor(end / room), 0)
    early = room - along < np.maximum(LEGS, batch.speed)
    late = end - bounces * room < np.maximum(LEGS, batch.speed)
    batch.good &= ~(batch.there & (bounces > 0) & (early | late)).any(axis=1)


def _change(batch: _Batch, settings: ClipSettings, rng: np.random.Generator) -> None:
    """Propose which thing of a clip changes its colour, to what and when: three frames at least on both sides."""
    n, most = batch.colour.shape
    rows = np.arange(n)
    thing = np.argmax(rng.random((n, most)) * batch.there, axis=1)
    used = np.zeros((n, len(COLOURS)), dtype=bool)
    for k in range(most):
        used[rows, batch.colour[:, k]] |= batch.there[:, k]
    held = np.array([SHAPES.index(HELD_OUT[name]) for name in COLOURS])
    free = ~used & (settings.unseen | (held != batch.shape[rows, thing][:, None]))
    colour = np.argmax(rng.random((n, len(COLOURS))) * free, axis=1)
    low = batch.enters[rows, thing] + 3 - (batch.enters[rows, thing] == 0)
    high = np.minimum(batch.leaves[rows, thing], settings.frames) - 2
    at = low + np.floor(rng.random(n) * (high - low + 1)).astype(np.int64)
    changing = (rng.random(n) < settings.changing) & free.any(axis=1) & (high >= low)
    batch.becomes[rows[changing], thing[changing]] = colour[changing]
    batch.changes[rows[changing], thing[changing]] = at[changing]


def _check_covers(batch: _Batch, centres: np.ndarray, settings: ClipSettings) -> np.ndarray:
    """Return by which thing each is covered and from which frame, int64 [S, K, 2] (-1: by none).

    Leaves out scenes in which it is unclear whether a thing is covered, in which one is from its first frame on
    or by two others, or hidden for most of its time.
    """
    kind = np.where(batch.there, batch.large * len(SHAPES) + batch.shape, -1)
    share = covered(centres, kind, size=settings.size)  # [S, F, i, j]
    frame = np.arange(settings.frames)[:, None]
    seen = (frame >= batch.enters[:, None]) & (frame < batch.leaves[:, None])  # [S, F, K]
    peak, (free, hides) = share.max(axis=1), HIDDEN
    # What covers a thing may itself be half in the picture only.
    outside = (share * ~seen[..., None]).max(axis=1)  # while it enters or leaves
    begins = np.take_along_axis(share, batch.enters[:, None, :, None].clip(0, settings.frames - 1), axis=1)[
        :, 0
    ]
    unclear = ((peak > free) & (peak < hides)) | (begins > free) | (outside > free)
    hidden = share.sum(axis=(1, 3)) > 0.5 * seen.sum(axis=1)
    over = peak >= hides
    batch.good &= ~(unclear.any(axis=(1, 2)) | hidden.any(axis=1) | (over.sum(axis=2) > 1).any(axis=1))
    by = np.where(over.any(axis=2), over.argmax(axis=2), -1)
    since = (share >= hides).any(axis=3).argmax(axis=1)
    return np.stack([by, since], axis=2)


def _scene(batch: _Batch, i: int, behind: np.ndarray, settings: ClipSettings) -> Scene:
    """Return one proposed scene with its events in order of frame."""
    things, events = [], []
    for k in range(int(batch.there[i].sum())):
        turned = int(batch.becomes[i, k])
        thing = Thing(
            SHAPES[batch.shape[i, k]],
            COLOURS[batch.colour[i, k]],
            SIZES[batch.large[i, k]],
            PATHS[batch.path[i, k]],
            float(batch.speed[i, k]),
            int(batch.enters[i, k]),
            int(batch.leaves[i, k]),
            (float(batch.start[i, k, 0]), float(batch.start[i, k, 1])),
            COLOURS[turned] if turned >= 0 else "",
            int(batch.changes[i, k]),
        )
        things.append(thing)
        if thing.becomes:
            events.append(Event(thing.changes, "change", k, thing.becomes))
        if thing.path == "still":
            continue
        back, ahead = WALLS[thing.path]
        if thing.enters:
            events.append(Event(thing.enters, "enter", k, back))
        if thing.leaves < settings.frames:
            events.append(Event(thing.leaves, "leave", k, ahead))
            continue
        radius = RADIUS[thing.size]
        room = settings.size - 1 - 2 * radius
        x, y = thing.start
        along = {"right": x, "left": settings.size - 1 - x, "up": settings.size - 1 - y, "down": y}[
            thing.path
        ]
        hits = int((along - radius + thing.speed * (settings.frames - 1)) // room)
        for hit in range(1, hits + 1):
            frame = int(np.ceil((hit * room - along + radius) / thing.speed))
            events.append(Event(frame, "bounce", k, ahead if hit % 2 else back))
    for k in range(len(things)):
        if behind[k, 0] >= 0:
            events.append(Event(int(behind[k, 1]), "behind", k, things[behind[k, 0]].name))
    events.sort(key=lambda event: (event.frame, event.thing, EVENTS.index(event.kind)))
    return Scene(tuple(things), tuple(events), str(batch.background[i]))
