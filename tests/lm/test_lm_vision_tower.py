"""The tower's stem of convolutions, against a plain loop, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_vision import SMALL, TOKENIZER, pictures

from msig_lib.lm.vision import VisionSettings, build
from msig_lib.lm.vision_tower import PatchTower, PatchTowerConfig

STEMMED = replace(SMALL, stem=((3, 3, 2), (5, 1, 1)))


def convolve(image, weight, bias, stride):
    """relu of a convolution of [C, H, W] in float64, pixel by pixel, zeros around."""
    k = weight.shape[2]
    around = np.pad(image, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    rows, columns = (-(-size // stride) for size in image.shape[1:])
    out = np.zeros((len(weight), rows, columns))
    for r in range(rows):
        for c in range(columns):
            seen = around[:, r * stride : r * stride + k, c * stride : c * stride + k]
            out[:, r, c] = (weight * seen).sum((1, 2, 3)) + bias
    return np.maximum(out, 0)


def test_a_stem_sees_each_rectangle_on_its_own():
    torch.manual_seed(0)
    tower = PatchTower(
        PatchTowerConfig(image_size=[6, 12], patch_size=[6, 4], hidden_size=7, stem=[[3, 3, 2], [5, 1, 1]])
    )
    for value in tower.parameters():
        torch.nn.init.normal_(value, std=0.3)
    pixels = torch.randn(2, 3, 6, 12)
    found = tower(pixels).last_hidden_state.detach().numpy()
    w = {name: value.detach().double().numpy() for name, value in tower.state_dict().items()}
    for s in range(2):
        for t in range(3):
            part = pixels[s, :, :, 4 * t : 4 * t + 4].double().numpy()
            part = convolve(part, w["stem.0.weight"], w["stem.0.bias"], 2)
            part = convolve(part, w["stem.2.weight"], w["stem.2.bias"], 1)
            wanted = w["projection.weight"] @ part.ravel() + w["projection.bias"] + w["position.weight"][t]
            assert np.allclose(found[s, t], np.maximum(wanted, 0), atol=1e-5)


def test_a_model_with_a_stem_is_saved_and_loaded_like_any_other(tmp_path):
    model = build(TOKENIZER, STEMMED, seed=0)
    assert model.config.vision_config.stem == [[3, 3, 2], [5, 1, 1]]
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    pixels = torch.from_numpy(pictures(2)).permute(0, 3, 1, 2).float() / 127.5 - 1
    one, two = (m.model.vision_tower(pixels).last_hidden_state for m in (model, again))
    assert torch.equal(one, two)


def test_without_a_stem_the_tower_has_one_map():
    names = set(build(TOKENIZER, SMALL, seed=0).model.vision_tower.state_dict())
    assert names == {"projection.weight", "projection.bias", "position.weight"}


@pytest.mark.parametrize("stem", [((3, 2, 1),), ((3, 3),), ((0, 3, 1),), ((3, 3, 0),)])
def test_stems_that_cannot_be_are_refused(stem):
    with pytest.raises(ValueError, match=r"expected \(channels, kernel, stride\) from 1, kernels odd"):
        VisionSettings(stem=stem)
