"""A small LLaVA: a vision tower, a projector and a Llama decoder of transformers' own classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import LlavaConfig, LlavaForConditionalGeneration, PreTrainedModel, PreTrainedTokenizerFast

from msig_lib.lm.decoder import decoder_config
from msig_lib.lm.scoring import Example
from msig_lib.lm.vision_inputs import IMAGE, check_image, digest, expand_marks
from msig_lib.lm.vision_prefix import SHARED_PREFIX
from msig_lib.lm.vision_tower import PatchTowerConfig


@dataclass(frozen=True)
class VisionSettings:
    """Size of a small LLaVA; sizes of images are (height, width) in pixels.

    An image takes one token for each rectangle of `patch_size`: 8 for a chart of the defaults; 10 video
    frames of 32 x 32 cut into (16, 16) take 40. Raises ValueError for sizes that do not divide.
    """

    image_size: tuple[int, int] = (32, 48)  # prototype of chapter 7
    patch_size: tuple[int, int] = (32, 6)  # prototype: 8 vertical strips
    tower_width: int = 192  # ours: with it the defaults have the prototype's 480k parameters
    stem: tuple[tuple[int, int, int], ...] = ()  # ours: convolutions before it: channels, kernel, stride
    width: int = 96  # prototype: 128 was no better and 1.45 times slower
    layers: int = 3  # prototype
    heads: int = 4  # prototype
    inner: int | None = None  # ours: Llama's 8/3 of the width
    activation: str = "relu"  # prototype
    max_positions: int = 256  # ours: costs nothing; room for 10 frames and a conversation
    initial: float | None = None  # ours: 1 / sqrt(width), see `build`

    def __post_init__(self) -> None:
        for name in ("image_size", "patch_size"):
            pair = getattr(self, name)
            if len(pair) != 2 or min(pair) < 1:
                raise ValueError(f"{name} is {pair}, expected (height, width) in pixels from 1")
        if any(whole % part for whole, part in zip(self.image_size, self.patch_size)):
            raise ValueError(
                f"patch_size {self.patch_size} does not divide image_size {self.image_size}: the image is cut "
                "into whole rectangles"
            )
        if any(len(one) != 3 or min(one) < 1 or one[1] % 2 == 0 for one in self.stem):
            raise ValueError(f"stem is {self.stem}, expected (channels, kernel, stride) from 1, kernels odd")
        if min(self.tower_width, self.layers) < 1 or (self.initial is not None and self.initial <= 0):
            raise ValueError(f"widths, layers from 1 and initial > 0 are expected, given {self}")


@dataclass(frozen=True, eq=False)
class ImageExample(Example):
    """An `Example` with the images that its image tokens stand for, in order: uint8 [k, H, W, 3], or a list.

    Images are not copied: many examples may hold views of one array. Equal when ids, targets and pixels are.
    """

    images: Sequence[np.ndarray] = field(repr=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImageExample):
            return NotImplemented
        same = self.ids == other.ids and self.targets == other.targets
        return same and digest(self.images) == digest(other.images)

    def __hash__(self) -> int:
        return hash((self.ids, self.targets, digest(self.images)))


def build(
    tokenizer: PreTrainedTokenizerFast,
    settings: VisionSettings = VisionSettings(),
    *,
    seed: int,
) -> LlavaForConditionalGeneration:
    """Return an untrained LLaVA for `tokenizer`'s vocabulary, in float32, input and output words tied.

    Tower: `PatchTower`. Projector: two layers, as in LLaVA 1.5. Weights depend on `seed` only, drawn with
    standard deviation `initial`; torch's global state is left as it was. Raises ValueError for a tokeniser
    without the mark "<image>".

    Measured on charts of 4 to 6 bars (captions and look-ups mixed, one core): look-ups right after 25 s, 89-96%
    over three seeds; after 54 s, 99.8%. At equal CPU time a ViT layer over the same strips: 14% and 99.3%; a CLIP
    tower of 8 x 8 patches (36 tokens): 13% at 47 s. 12 or 16 strips: no better, with more tokens to read. With
    transformers' initial weights of .02 instead of 1 / sqrt(width) look-ups took 127 s to reach 93%.
    """
    mark = tokenizer.convert_tokens_to_ids(IMAGE)
    if mark is None or mark == tokenizer.unk_token_id:
        raise ValueError(f"the tokeniser has no {IMAGE}: call build_tokenizer(..., special=[{IMAGE!r}])")
    initial = settings.initial or settings.width**-0.5
    text = decoder_config(
        tokenizer,
        width=settings.width,
        layers=settings.layers,
        heads=settings.heads,
        inner=settings.inner,
        max_positions=settings.max_positions,
        activation=settings.activation,
    )
    text.initializer_range = initial
    tower = PatchTowerConfig(
        image_size=list(settings.image_size),
        patch_size=list(settings.patch_size),
        hidden_size=settings.tower_width,
        stem=[list(one) for one in settings.stem] or None,
    )
    config = LlavaConfig(
        vision_config=tower,
        text_config=text,
        image_token_index=mark,
        image_seq_length=tower.tokens,
        projector_hidden_act=settings.activation,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",  # the tower has no class token to leave out
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):  # transformers draws initial weights from torch's global state
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration._from_config(
            config, attn_implementation=SHARED_PREFIX, dtype=torch.float32
        )
    return model.eval()


def freeze(model: PreTrainedModel, *, tower: bool = True, projector: bool = True) -> None:
    """Keep the vision tower and the projector from changing (True), or let them change (False).

    The thesis freezes both for DPO (chapters 6 and 7). LLaVA-NeXT's mark of a line's end counts as projector.
    """
    base = model.base_model
    base.vision_tower.requires_grad_(not tower)
    base.multi_modal_projector.requires_grad_(not projector)
    if hasattr(base, "image_newline"):
        base.image_newline.requires_grad_(not projector)


def image_prompt(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, images: Sequence[np.ndarray], text: str
) -> list[int]:
    """Return <bos>, the tokens of `images` (uint8 [k, H, W, 3], or a list of images), and the text's tokens.

    `text` may hold a mark "<image>" for each image where it belongs; without any, images come first. No image
    and no mark is a plain prompt. Raises ValueError for another number of marks or an image of wrong size.
    """
    if IMAGE not in text:
        text = f"{IMAGE * len(images)}{text}"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return [tokenizer.bos_token_id, *expand_marks(model, ids, images)]


def image_example(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    images: Sequence[np.ndarray],
    prompt: str,
    answer: str,
) -> ImageExample:
    """Return images, prompt and answer as an example whose targets are the answer's tokens and the end token.

    `images`: uint8 [k, H, W, 3]; see `image_prompt`.
    """
    context = image_prompt(model, tokenizer, images, prompt)
    target = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    return with_images(Example.of(context, target), images)


def with_images(example: Example, images: Sequence[np.ndarray]) -> ImageExample:
    """Return the example with its images, for instance a sampled response after an `image_prompt`."""
    for image in images:
        check_image(image)
    return ImageExample(example.ids, example.targets, images)
