"""Images on their way into a LLaVA-style model: pixels, image tokens, and which model wants what."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
import transformers
from torch import Tensor

from msig_lib.lm.vision_tower import PatchTowerConfig

IMAGE = "<image>"  # the mark of an image in a text; LLaVA's own
IMAGE_MODELS = ("llava", "llava_next")  # model types whose images these functions know


class Pixels(Protocol):
    """How a model wants its images, each uint8 [H, W, 3]."""

    def __call__(self, images: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """Return the model's arguments for these images, on the CPU."""
        ...

    def tokens(self, height: int, width: int) -> int:
        """Return how many image tokens one image of this size takes."""
        ...


class PatchPixels:
    """Pixels for our own `PatchTower`: x / 127.5 - 1, all images of the one size it was built for."""

    def __init__(self, config: PatchTowerConfig) -> None:
        self.config = config

    def __call__(self, images: Sequence[np.ndarray]) -> dict[str, Tensor]:
        for image in images:
            self.tokens(*image.shape[:2])
        stacked = torch.from_numpy(np.stack(images))
        return {"pixel_values": stacked.permute(0, 3, 1, 2).float() / 127.5 - 1}

    def tokens(self, height: int, width: int) -> int:
        if [height, width] != list(self.config.image_size):
            raise ValueError(
                f"an image has {height} x {width} pixels, but this model reads {self.config.image_size} "
                "(height, width): build it with that image_size"
            )
        return self.config.tokens


class CheckpointPixels:
    """Pixels by a checkpoint's own processor: resizing, cutting, normalisation and token counts are its."""

    def __init__(self, processor: transformers.ProcessorMixin) -> None:
        self.processor = processor
        self._counts: dict[tuple[int, int], int] = {}

    def __call__(self, images: Sequence[np.ndarray]) -> dict[str, Tensor]:
        found = self.processor.image_processor(
            images=list(images), input_data_format="channels_last", return_tensors="pt"
        )
        return {key: found[key] for key in ("pixel_values", "image_sizes") if key in found}

    def tokens(self, height: int, width: int) -> int:
        if (height, width) not in self._counts:  # asked by example, the one way that all processors share
            blank = np.zeros((height, width, 3), dtype=np.uint8)
            mark = self.processor.image_token
            ids = self.processor(
                images=[blank], text=[mark], images_kwargs={"input_data_format": "channels_last"}
            )
            self._counts[height, width] = ids["input_ids"][0].count(self.processor.image_token_id)
        return self._counts[height, width]


def pixels_of(model: Any) -> Pixels:
    """Return the model's `Pixels`; TypeError for a model that reads no images or came without a processor."""
    found = getattr(model, "pixels", None)
    if found is not None:
        return found
    tower = getattr(model.config, "vision_config", None)
    if isinstance(tower, PatchTowerConfig):
        return PatchPixels(tower)
    raise TypeError(
        f"a model of type {model.config.model_type!r} was given images: build one with lm.vision.build, or "
        "load a LLaVA or LLaVA-NeXT checkpoint with LocalModel.load"
    )


def image_inputs(model: Any, images: Sequence[np.ndarray]) -> dict[str, Tensor]:
    """Return the model's arguments for the images of a batch, on its device; none for no images.

    Each element of `images` is uint8 [k, H, W, 3] or a list of images, those of one row; an empty one is fine.
    """
    flat = [image for row in images for image in row]
    if not flat:
        return {}
    device = next(model.parameters()).device
    return {key: value.to(device) for key, value in pixels_of(model)(flat).items()}


def expand_marks(model: Any, ids: Sequence[int], images: Sequence[np.ndarray]) -> list[int]:
    """Return `ids` with every image mark repeated for the tokens of its image, in order.

    `images`: uint8 [k, H, W, 3] or a list of images. Raises ValueError when there are not as many marks.
    """
    mark = model.config.image_token_id
    marks = sum(token == mark for token in ids)
    if marks != len(images):
        raise ValueError(f"the text has {marks} marks {IMAGE} for {len(images)} images, expected one each")
    counts = iter([pixels_of(model).tokens(*check_image(image).shape[:2]) for image in images])
    return [copy for token in ids for copy in ([token] * next(counts) if token == mark else [token])]


def check_rows(model: Any, prompts: Sequence[Sequence[int]], images: Sequence[Any]) -> None:
    """Raise ValueError unless every prompt holds the tokens of its own images."""
    if len(images) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts but images for {len(images)}: one entry each is expected")
    mark = getattr(model.config, "image_token_id", None)
    for i, (prompt, own) in enumerate(zip(prompts, images)):
        found = sum(token == mark for token in prompt)
        own = () if own is None else own
        wanted = sum(pixels_of(model).tokens(*check_image(image).shape[:2]) for image in own)
        if found != wanted:
            raise ValueError(
                f"prompts[{i}] has {found} image tokens, but its {len(own)} images need {wanted}: make it with "
                "lm.vision.image_prompt"
            )


def check_image(image: np.ndarray) -> np.ndarray:
    """Return the image; TypeError or ValueError unless it is uint8 [H, W, 3]."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, "dtype", type(image).__name__)
        raise TypeError(f"an image is of {kind}, expected a numpy array of uint8")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"an image has shape {image.shape}, expected [height, width, 3]")
    return image


def digest(images: Sequence[np.ndarray] | None) -> str:
    """Return what names these images in a key: a hash of shapes and bytes, "" for none."""
    if images is None or not len(images):
        return ""
    found = hashlib.sha256()
    for image in images:
        found.update(repr(image.shape).encode())
        found.update(np.ascontiguousarray(image).tobytes())
    return found.hexdigest()
