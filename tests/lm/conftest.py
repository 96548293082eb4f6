"""The model that tests of vision-language models share."""

from __future__ import annotations

import pytest
from tiny_vision import SMALL, TOKENIZER

from msig_lib.lm.vision import build


@pytest.fixture(scope="module")
def vision_model():
    """A tiny untrained vision-language model; tests that train build their own."""
    return build(TOKENIZER, SMALL, seed=1)
