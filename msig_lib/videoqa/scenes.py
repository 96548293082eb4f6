"""What a clip of chapter 6 consists of, in words and numbers: its things, its events, and what can be set."""

from __future__ import annotations

import numbers
from dataclasses import dataclass

from msig_lib.videoqa.render import BACKGROUNDS, COLOURS, SHAPES, STEPS

PATHS = tuple(STEPS)  # where a thing moves at first: right, left, up, down, or still
SPEEDS = ("slow", "fast")
PACE = 2.0  # ours: pixels a frame; below it a thing is slow
VERBS = {"enter": "enters", "leave": "leaves", "bounce": "bounces", "change": "changes", "behind": "hides"}
EVENTS = tuple(VERBS)
WALLS = {
    "right": ("left", "right"),
    "left": ("right", "left"),
    "up": ("bottom", "top"),
    "down": ("top", "bottom"),
}  # behind and ahead
HELD_OUT = {
    colour: SHAPES[i % len(SHAPES)] for i, colour in enumerate(COLOURS)
}  # ours: never seen in training
HIDDEN = (
    0.12,
    0.35,
)  # ours: a thing is behind another when over .35 of it is covered; .12 to .35 is not drawn


@dataclass(frozen=True)
class Thing:
    """One moving shape; its name ("red circle") has the colour it starts with."""

    shape: str
    colour: str
    size: str
    path: str
    speed: float  # pixels a frame, 0 for "still"
    enters: int  # the first frame with its centre in the picture (0: there from the start)
    leaves: int  # the first frame with its centre out of the picture (the number of frames: it stays)
    start: tuple[float, float]  # x and y of its centre in frame 0 (outside, for one that enters later)
    becomes: str = ""  # the colour it changes to
    changes: int = 0  # the first frame with that colour

    @property
    def name(self) -> str:
        """What questions and captions call it."""
        return f"{self.colour} {self.shape}"

    @property
    def pace(self) -> str:
        """One of SPEEDS, or "" for a thing that is still."""
        return "" if self.path == "still" else SPEEDS[self.speed >= PACE]


@dataclass(frozen=True)
class Event:
    """What happens to thing number `thing` in frame `frame`; `kind` is one of EVENTS.

    `detail`: the side it enters from, leaves by or bounces off (left, right, top, bottom), the colour it
    changes to, or the name of the thing that covers it.
    """

    frame: int
    kind: str
    thing: int
    detail: str


@dataclass(frozen=True)
class Scene:
    """A clip's exact annotation: its things (a later one is in front), its events by frame, its background."""

    things: tuple[Thing, ...]
    events: tuple[Event, ...]
    background: str


@dataclass(frozen=True)
class ClipSettings:
    """What clips look like; ValueError for what cannot be drawn."""

    frames: int = 10  # issue 8, thesis 6.2.1
    size: int = 32  # issue 8, in pixels
    things: tuple[int, int] = (
        1,
        2,
    )  # ours: fewest and most; learners this small do not tell three apart in minutes
    slow: tuple[float, float] = (1.0, 1.5)  # ours, in pixels a frame: apart, so that the words are exact
    fast: tuple[float, float] = (2.8, 3.8)
    backgrounds: tuple[str, ...] = ("black", "grey")  # the others are out of the domain
    unseen: bool = False  # only the pairs of colour and shape in HELD_OUT, or only the others
    still: float = 0.15  # ours: share of things that do not move
    changing: float = 0.4  # ours: share of clips in which one thing changes its colour, where one can
    happens: tuple[str, ...] = ()  # one event at least is of these kinds
    noise: float = 6.0  # ours: standard deviation of a value's camera noise, in grey levels of 255
    tint: int = 10  # ours: each colour of a clip is moved by up to so many levels a channel

    def __post_init__(self) -> None:
        for name, least, most in (("frames", 8, 64), ("size", 24, 64), ("tint", 0, 20)):
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or not least <= value <= most:
                raise ValueError(f"{name} is {value!r}, expected a whole number of {least}..{most}")
        if not 1 <= self.things[0] <= self.things[1] <= len(COLOURS) - 2:
            raise ValueError(f"things is {self.things}, expected 1 <= fewest <= most <= {len(COLOURS) - 2}")
        if not 0.9 <= self.slow[0] <= self.slow[1] < PACE <= self.fast[0] <= self.fast[1] <= 6:
            raise ValueError(
                f"slow is {self.slow}, fast {self.fast}: expected .9 <= slow < {PACE} <= fast <= 6"
            )
        if not self.backgrounds or set(self.backgrounds) - set(BACKGROUNDS):
            raise ValueError(
                f"backgrounds is {self.backgrounds!r}, expected some of {', '.join(BACKGROUNDS)}"
            )
        if set(self.happens) - set(EVENTS):
            raise ValueError(f"happens is {self.happens!r}, expected some of {', '.join(EVENTS)}")
        if "behind" in self.happens and self.things[0] < 2:
            raise ValueError(f"things is {self.things}: nothing goes behind another in clips of one thing")
        if not (0 <= self.still <= 0.9 and 0 <= self.changing <= 1 and 0 <= self.noise <= 100):
            raise ValueError("expected still in 0..0.9, changing in 0..1 and noise in 0..100")
