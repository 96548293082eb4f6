"""What the tests of vision models share: a tokeniser, the smallest settings, and random pictures for them."""

from __future__ import annotations

import numpy as np

from msig_lib.lm.decoder import build_tokenizer
from msig_lib.lm.vision import VisionSettings
from msig_lib.lm.vision_inputs import IMAGE

WORDS = "which is the first second third colour ? one two yes no red green blue"
TOKENIZER = build_tokenizer([WORDS], special=[IMAGE])
MARK = TOKENIZER.convert_tokens_to_ids(IMAGE)
SMALL = VisionSettings(image_size=(6, 12), patch_size=(6, 4), tower_width=24, width=16, layers=2, heads=2)


def pictures(n: int, seed: int = 0, size: tuple[int, int] = (6, 12)) -> np.ndarray:
    """Return n pictures, uint8 [n, height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (n, *size, 3), dtype=np.uint8)
