"""Eyes before words: a vision tower that has learnt what single frames show, in the place of the thesis's CLIP.

The thesis takes a visual encoder that was trained elsewhere and keeps it as it is (6.3). Ours learns, frame by frame
and without a word of a caption or a question, which colours are there, where, and as what shape and size. Of motion,
events and order in time it learns nothing: one frame has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from msig_lib.lm.training import Trained, TrainSettings, train
from msig_lib.lm.vision_tower import PatchTower, PatchTowerConfig
from msig_lib.videoqa.data import COLOURS, SHAPES, SIZES, Clips, Scene
from msig_lib.videoqa.model import VideoSettings
from msig_lib.videoqa.render import BACKGROUNDS, RADIUS, STEPS, positions

BINS = 11  # ours: places along a side that are told apart, 3 pixels each
State = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class SightSettings:
    """How the tower learns to see; chosen by what it tells of development frames."""

    steps: int = 1_500  # ours
    batch: int = 128  # ours, frames
    learning_rate: float = 3e-3  # ours


@dataclass(frozen=True, eq=False)
class Seen:
    """What N frames show, by colour: `there` bool [N, C], `x`, `y` float [N, C] in pixels, `shape`, `size` int [N, C].

    `background` int [N]. Where a colour is not there the others say nothing. A thing that is hidden counts as there.
    """

    there: npt.NDArray[np.bool_]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    shape: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    background: npt.NDArray[np.int64]


def seen(scenes: Sequence[Scene], *, frames: int, size: int) -> Seen:
    """Return what the frames of scenes show, clip after clip."""
    things = [(s, thing) for s, scene in enumerate(scenes) for thing in scene.things]
    radius = np.array([RADIUS[thing.size] for _, thing in things])
    centres = positions(
        np.array([thing.start for _, thing in things], dtype=np.float64),
        np.array([list(STEPS).index(thing.path) for _, thing in things]),
        np.array([thing.speed for _, thing in things], dtype=np.float64),
        radius,
        np.array([thing.leaves >= frames for _, thing in things]),
        frames=frames,
        size=size,
    )
    reach = radius[:, None, None]
    drawn = np.rint(centres)
    inside = ((drawn >= -reach) & (drawn <= size - 1 + reach)).all(2)  # some of its box is in the picture
    shape = (len(scenes), frames, len(COLOURS))
    there = np.zeros(shape, dtype=bool)
    places = np.zeros((2, *shape))
    kinds = np.zeros((2, *shape), dtype=np.int64)
    for k, (s, thing) in enumerate(things):
        colour = np.full(frames, COLOURS.index(thing.colour))
        if thing.becomes:
            colour[thing.changes :] = COLOURS.index(thing.becomes)
        at = (s, np.flatnonzero(inside[k]), colour[inside[k]])
        there[at] = True
        for axis in (0, 1):
            places[(axis, *at)] = centres[k, inside[k], axis]
        kinds[(0, *at)], kinds[(1, *at)] = SHAPES.index(thing.shape), SIZES.index(thing.size)
    ground = np.repeat([BACKGROUNDS.index(scene.background) for scene in scenes], frames)
    flat = (len(scenes) * frames, len(COLOURS))
    return Seen(
        there.reshape(flat),
        places[0].reshape(flat),
        places[1].reshape(flat),
        kinds[0].reshape(flat),
        kinds[1].reshape(flat),
        ground,
    )


class Eyes(nn.Module):
    """A tower for single frames and what is read off its states, linearly."""

    def __init__(self, settings: VideoSettings) -> None:
        super().__init__()
        vision = settings.vision
        self.tower = PatchTower(
            PatchTowerConfig(
                image_size=[settings.size, settings.size],
                patch_size=list(vision.patch_size),
                hidden_size=vision.tower_width,
                stem=[list(one) for one in vision.stem] or None,
            )
        )
        for layer in self.tower.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.reset_parameters()  # transformers' .02 is for deep stacks of attention
        nn.init.zeros_(self.tower.position.weight)
        self.each = 1 + 2 * BINS + len(SHAPES) + len(SIZES)
        states = settings.tokens * vision.tower_width
        self.read = nn.Linear(states, len(COLOURS) * self.each + len(BACKGROUNDS))

    def forward(self, frames: npt.NDArray[np.uint8]) -> tuple[list[Tensor], Tensor]:
        """Return logits of (there, x, y, shape, size) by colour, each [N, C, ...], and of the background [N, 4]."""
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
        found = self.read(self.tower(pixels).last_hidden_state.flatten(1))
        by_colour = found[:, : len(COLOURS) * self.each].view(len(frames), len(COLOURS), self.each)
        return list(by_colour.split([1, BINS, BINS, len(SHAPES), len(SIZES)], 2)), found[
            :, -len(BACKGROUNDS) :
        ]


@dataclass(frozen=True)
class _Row:
    at: int

    def __len__(self) -> int:
        return 1


def train_tower(
    clips: Clips,
    settings: SightSettings | None = None,
    *,
    seed: int,
    video: VideoSettings | None = None,
) -> tuple[dict[str, np.ndarray], Trained]:
    """Return the weights of a tower that was trained on single frames of clips, for `with_tower`, and the run."""
    eyes, run = _train(clips, settings or SightSettings(), seed, video or VideoSettings())
    return {name: value.numpy().copy() for name, value in eyes.tower.state_dict().items()}, run


def _train(clips: Clips, s: SightSettings, seed: int, video: VideoSettings) -> tuple[Eyes, Trained]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        eyes = Eyes(video)
    eyes.tower.position.weight.requires_grad_(False)
    frames = clips.frames.reshape(-1, *clips.frames.shape[2:])
    right = seen(clips.scenes, frames=clips.frames.shape[1], size=clips.frames.shape[2])

    def loss(model: nn.Module, batch: Sequence[_Row]) -> tuple[Tensor, int]:
        rows = np.array([one.at for one in batch])
        return _loss(*model(frames[rows]), right, rows), 1

    how = TrainSettings(s.steps, s.batch, s.learning_rate, final=0.0)
    return eyes, train(eyes, [_Row(at) for at in range(len(frames))], how, seed=seed, loss=loss)


def _loss(by_colour: list[Tensor], ground: Tensor, right: Seen, rows: np.ndarray) -> Tensor:
    """Return the sum of cross-entropies, those of place, shape and size over the colours that are there."""
    there = torch.from_numpy(right.there[rows])
    wanted = [_bins(right.x[rows]), _bins(right.y[rows]), right.shape[rows], right.size[rows]]
    total = functional.binary_cross_entropy_with_logits(by_colour[0][..., 0], there.float())
    total = total + functional.cross_entropy(ground, torch.from_numpy(right.background[rows]))
    for logits, value in zip(by_colour[1:], wanted):
        total = total + functional.cross_entropy(logits[there], torch.from_numpy(value)[there])
    return total


def _bins(pixels: np.ndarray, size: int = 32) -> npt.NDArray[np.int64]:
    return (np.clip(pixels, 0, size - 1) * BINS / size).astype(np.int64)


def abilities(
    clips: Clips, other: Clips, settings: SightSettings, *, seed: int, video: VideoSettings | None = None
) -> dict[str, float]:
    """Train on `clips` and return the shares of `other`'s frames' colours, places, shapes and sizes told right."""
    eyes, _ = _train(clips, settings, seed, video or VideoSettings())
    right = seen(other.scenes, frames=other.frames.shape[1], size=other.frames.shape[2])
    with torch.inference_mode():
        by_colour, ground = eyes(other.frames.reshape(-1, *other.frames.shape[2:]))
    there = right.there
    told = [logits.argmax(-1).numpy()[there] for logits in by_colour[1:]]
    wanted = [_bins(right.x)[there], _bins(right.y)[there], right.shape[there], right.size[there]]
    shares = {name: float((a == b).mean()) for name, a, b in zip(("x", "y", "shape", "size"), told, wanted)}
    return {
        "there": float(((by_colour[0][..., 0].numpy() > 0) == there).mean()),
        **shares,
        "background": float((ground.argmax(1).numpy() == right.background).mean()),
    }


def with_tower(model: nn.Module, tower: State) -> None:
    """Put a trained tower's weights into a LLaVA that reads clips as strips; its places in the strip stay zero."""
    own = model.model.vision_tower
    own.load_state_dict(
        {
            name: torch.zeros_like(value) if name == "position.weight" else torch.from_numpy(tower[name])
            for name, value in own.state_dict().items()
        }
    )
