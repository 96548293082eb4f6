"""A vision tower of one or two linear maps: an image is cut into rectangles, and each becomes one token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling


class PatchTowerConfig(PreTrainedConfig):
    """`image_size` and `patch_size` are [height, width] in pixels; the second divides the first.

    `stem` are convolutions [channels, kernel, stride], each with relu, of a rectangle before it is mapped (kernels
    odd, padded so that a stride of 1 keeps the size): what looks the same everywhere, as a shape does, need not be
    learnt anew for every place.
    """

    model_type = "msig_patch_tower"

    image_size: list[int] | None = None
    patch_size: list[int] | None = None
    hidden_size: int = 192
    num_channels: int = 3
    stem: list[list[int]] | None = None
    initializer_range: float = 0.02

    @property
    def tokens(self) -> int:
        """How many tokens an image has."""
        return (self.image_size[0] // self.patch_size[0]) * (self.image_size[1] // self.patch_size[1])


class PatchTower(PreTrainedModel):
    """Rectangles of pixels to vectors: relu(W x + b + position), in rows from the top left; x after the stem, if any.

    `forward(pixel_values)` takes float32 [S, 3, H, W] in -1..1 and returns hidden states [S, tokens,
    hidden_size] where a LLaVA model looks for them. Registered with transformers, so a saved model that
    holds it is loaded like any other once this module is imported, without remote code.
    """

    config_class = PatchTowerConfig
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    _supports_sdpa = True  # there is no attention: whatever the decoder uses is fine

    def __init__(self, config: PatchTowerConfig) -> None:
        super().__init__(config)
        height, width = config.patch_size
        channels, self.stem = config.num_channels, None
        if config.stem:
            layers: list[nn.Module] = []
            for out, kernel, stride in config.stem:
                layers += [nn.Conv2d(channels, out, kernel, stride, kernel // 2), nn.ReLU()]
                channels, height, width = out, -(-height // stride), -(-width // stride)
            self.stem = nn.Sequential(*layers)
        inputs = channels * height * width
        self.projection = nn.Linear(inputs, config.hidden_size)
        self.position = nn.Embedding(config.tokens, config.hidden_size)
        self.post_init()

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Return the hidden states; raises ValueError for images of another size."""
        size = tuple(pixel_values.shape[-2:])
        if size != tuple(self.config.image_size):
            raise ValueError(f"images of {size} pixels, but this tower reads {self.config.image_size}")
        (height, width), images = self.config.patch_size, len(pixel_values)
        rows, columns = size[0] // height, size[1] // width
        cut = pixel_values.reshape(images, -1, rows, height, columns, width)
        patches = cut.permute(0, 2, 4, 1, 3, 5)  # [S, rows, columns, channels, height, width]
        if self.stem is not None:
            patches = self.stem(patches.flatten(0, 2).contiguous(memory_format=torch.channels_last))
        patches = patches.reshape(images, rows * columns, -1)
        states = torch.relu(self.projection(patches) + self.position.weight)
        return BaseModelOutputWithPooling(last_hidden_state=states, hidden_states=(states,))


AutoConfig.register(PatchTowerConfig.model_type, PatchTowerConfig, exist_ok=True)
AutoModel.register(PatchTowerConfig, PatchTower, exist_ok=True)
