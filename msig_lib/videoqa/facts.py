"""What can be said of a scene, as claims that are right, contradicted, or neither."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

from msig_lib.videoqa.data import BACKGROUNDS, COLOURS, PATHS, SIZES, SPEEDS, VERBS, Scene

CLIP = "clip"  # the subject of what is said of the whole clip
SIDES = ("left", "right", "top", "bottom")
MOST_THINGS, MOST_BOUNCES = 4, 3
# relation: the values it can have; those with None have names of things, or events, as values
RELATIONS: dict[str, tuple[str, ...] | None] = {
    "background": BACKGROUNDS,  # of the clip
    "things": tuple(str(i) for i in range(1, MOST_THINGS + 1)),  # of the clip: how many
    "size": SIZES,  # said of every thing
    "moves": PATHS,  # said of every thing: where it moves at first, or "still"
    "speed": SPEEDS,  # said of every thing that moves
    "bounces": tuple(str(i) for i in range(MOST_BOUNCES + 1)),  # said of every thing that moves, "0" included
    "becomes": COLOURS,  # said of a thing that changes its colour
    "enters": SIDES,  # said of a thing that enters: from where
    "leaves": SIDES,  # said of a thing that leaves: by where
    "behind": None,  # said of a thing that is covered for a while: the name of the thing in front
    "before": None,  # subject and value are events such as "red circle bounces", in order of time
}


@dataclass(frozen=True, order=True)
class Claim:
    """One thing said: Claim("red circle", "moves", "right"), Claim("clip", "things", "2"),
    Claim("red circle", "behind", "blue square"), Claim("red circle enters", "before", "blue square bounces").
    """

    subject: str  # a thing's name, CLIP, or an event (for "before")
    relation: str  # one of RELATIONS
    value: str


def event_frames(scene: Scene) -> dict[str, int]:
    """Return the frame of every event, called "red circle bounces" with the verbs of data.VERBS.

    Only the first bounce of a thing counts. The order is that of the events.
    """
    out: dict[str, int] = {}
    for event in scene.events:
        out.setdefault(f"{scene.things[event.thing].name} {VERBS[event.kind]}", event.frame)
    return out


def timeline(scene: Scene) -> tuple[tuple[str, ...], ...]:
    """Return the events (of `event_frames`) in order of time, those of one frame together."""
    frames = event_frames(scene)
    return tuple(
        tuple(event for event, frame in frames.items() if frame == at) for at in sorted({*frames.values()})
    )


def claims_of(scene: Scene) -> frozenset[Claim]:
    """Return everything that can be said of a scene ("before" for every two events of different frames)."""
    out = [Claim(subject, relation, value) for (subject, relation), value in _values(scene).items()]
    for first, then in combinations(timeline(scene), 2):
        out += [Claim(a, "before", b) for a in first for b in then]
    return frozenset(out)


def contradicts(claim: Claim, scene: Scene) -> bool:
    """Return whether a claim is false: another value is true, or a thing or an event is not in the scene.

    What is not said of a thing by `claims_of` (that it enters, say) is false of it, whatever the value, but for
    "bounces" "0". One event "before" another of the same frame is neither right nor contradicted. Raises
    ValueError for a relation that is not one of RELATIONS.
    """
    _check(claim)
    if claim.relation == "before":
        frames = event_frames(scene)
        first, then = frames.get(claim.subject), frames.get(claim.value)
        return first is None or then is None or then < first
    names = {thing.name for thing in scene.things}
    if claim.relation == "bounces" and claim.subject in names:
        return _values(scene).get((claim.subject, "bounces"), "0") != claim.value
    return _values(scene).get((claim.subject, claim.relation)) != claim.value


def wrong(claim: Claim, scene: Scene) -> tuple[Claim, ...]:
    """Return the contradicted claims that differ from a right one in the value only, in a fixed order.

    "before" is turned round. "behind" takes the names of the scene's other things, so that with two things there
    is none. A thing never "becomes" the colour it has. Raises ValueError for an unknown relation.
    """
    _check(claim)
    if claim.relation == "before":
        turned = (Claim(claim.value, "before", claim.subject),)
    else:
        values = RELATIONS[claim.relation] or tuple(thing.name for thing in scene.things)
        turned = tuple(
            Claim(claim.subject, claim.relation, value)
            for value in values
            if value != claim.subject and (claim.relation != "becomes" or value != claim.subject.split()[0])
        )
    return tuple(other for other in turned if contradicts(other, scene))


def _check(claim: Claim) -> None:
    if claim.relation not in RELATIONS:
        raise ValueError(f"no relation {claim.relation!r}; there are {', '.join(RELATIONS)}")


def _values(scene: Scene) -> dict[tuple[str, str], str]:
    """Return the value of every subject and relation but "before"."""
    out = {(CLIP, "background"): scene.background, (CLIP, "things"): str(len(scene.things))}
    bounces = Counter(event.thing for event in scene.events if event.kind == "bounce")
    for k, thing in enumerate(scene.things):
        out[thing.name, "size"] = thing.size
        out[thing.name, "moves"] = thing.path
        if thing.pace:
            out[thing.name, "speed"] = thing.pace
            out[thing.name, "bounces"] = str(bounces[k])
    said = {"enter": "enters", "leave": "leaves", "change": "becomes", "behind": "behind"}
    for event in scene.events:
        if event.kind in said:
            out.setdefault((scene.things[event.thing].name, said[event.kind]), event.detail)
    return out
