"""Colours keep their contrast on every page and their distance for every eye."""

import itertools

import matplotlib
import numpy as np
import pytest

from msig_lib.display import COLOURS, PALETTE, style

PAGES = (
    "#ffffff",
    "#121212",
    "#14181e",
    "#111111",
)  # light; dark of this theme, of its parent, of JupyterLab
# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
EYES = {
    "full": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def linear(colour):
    value = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    light = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (a, b))
    return (light[1] + 0.05) / (light[0] + 0.05)


def lab(rgb):
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    xyz = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_contrast_formula_on_known_pairs():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", PALETTE)
def test_every_colour_is_seen_on_every_page(name, page):
    assert contrast(PALETTE[name], page) >= 3.0


@pytest.mark.parametrize("eye", EYES)
def test_colours_differ_for_every_eye(eye):
    seen = [lab(np.array(EYES[eye]) @ linear(colour)) for colour in COLOURS]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 25


def test_style_is_undone_and_takes_overrides():
    before = matplotlib.rcParams["font.size"], matplotlib.rcParams["axes.grid"]
    with style(axes__grid=False, font__size=17):
        assert matplotlib.rcParams["font.size"] == 17
        assert not matplotlib.rcParams["axes.grid"]
    assert before == (matplotlib.rcParams["font.size"], matplotlib.rcParams["axes.grid"])
