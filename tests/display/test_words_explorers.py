"""Sentences and explorers."""

import base64
import gzip
import itertools
import json
import re

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")
from matplotlib import pyplot as plt

from msig_lib.display import DisplayError, explorer, inline, style, words


def draw(height, kind):
    with style():
        figure, axes = plt.subplots()
        axes.plot([0, 1], [0, height if kind == "up" else 1])
    return figure


CONTROLS = {
    "height": {"values": [1, 2, 3], "start": 2, "label": "Height", "format": "d"},
    "kind": ["up", "flat"],
}


def make(**more):
    given = {
        "name": "demo",
        "caption": "Move it, $x$.",
        "alt": lambda height, kind: f"Line {kind} {height}.",
        **more,
    }
    return explorer(given.pop("render", draw), given.pop("controls", CONTROLS), **given)


def store(html):
    packed = re.search(r"<script[^>]*data-msig-frames>([^<]+)</script>", html)[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_frames_are_in_the_order_of_the_controls():
    made = make()
    held = store(made.html)
    assert held["sizes"] == [3, 2] and made.frames == 6
    pairs = itertools.product([1, 2, 3], ["up", "flat"])
    assert held["alts"] == [f"Line {kind} {height}." for height, kind in pairs]


def test_equal_frames_are_stored_once():
    held = store(make().html)
    flat = {held["order"][k] for k in (1, 3, 5)}
    assert len(flat) == 1 and len(held["frames"]) == 3  # height 1 up is the flat line too


def test_default_frame_is_visible_without_script_and_controls_are_not():
    html = make().html
    held = store(html)
    assert held["frames"][held["order"][2]] in html and "Line up 2." in html
    assert re.search(r'class="msig-controls"[^>]*hidden', html)


def test_controls_are_native_and_labelled():
    html = make().html
    for ident in re.findall(r'<(?:input|select)[^>]* id="([^"]+)"', html):
        assert f'<label for="{ident}">' in html
    assert 'aria-live="polite"' in html and 'aria-valuetext="2"' in html


def test_deterministic_and_of_the_content():
    assert make().html == make().html
    assert make().fingerprint != make(alt="other").fingerprint


def test_html_frames_and_tables():
    made = make(render=lambda n: f"<p>{n}</p>", controls={"n": [1, 2]}, alt="A number.")
    assert store(made.html)["frames"] == ["<p>1</p>", "<p>2</p>"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"controls": {}},
        {"controls": {"height": [], "kind": ["up"]}},
        {"controls": {"height": {"values": [1], "start": 5}, "kind": ["up"]}},
        {"controls": {"height": list(range(401)), "kind": ["up"]}},
        {"alt": ""},
        {"render": lambda height, kind: 3},
        {"render": lambda height, kind: np.random.default_rng(height).bytes(300_000).hex()},
    ],
)
def test_mistakes_are_told(wrong):
    with pytest.raises(DisplayError):
        make(**wrong)


def test_live_widgets_draw_in_the_kernel():
    widgets = pytest.importorskip("ipywidgets")
    box = make(live=True)
    slider, choice = box.children[:2]
    assert isinstance(slider, widgets.SelectionSlider) and slider.value == 2
    assert isinstance(choice, widgets.Dropdown) and choice.value == "up"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("-0.5 [-1.2, -.3]†", "\u22120.5 [\u22121.2, \u2212.3]†"),
        ("by **-3** points, +2 to (-1)", "by **\u22123** points, +2 to (\u22121)"),
        ("`x[-1]` and $-1$, 3-5, 1e-3, k-2, 2026-11-21, --force, 10^-4", None),  # code, maths, ranges, names
        ("- a list\n- -1 in it", "- a list\n- \u22121 in it"),
    ],
)
def test_only_signs_of_numbers_become_minus_signs(written, shown):
    assert words.signs(written) == (shown or written)


def test_inline_markdown_escapes_html_and_keeps_maths():
    assert inline("*a* `b` <i>") == "<em>a</em> <code>b</code> &lt;i&gt;"
    assert r"\(x_1 &lt; 2\)" in inline("so $x_1 < 2$.")
    assert inline("costs $5") == "costs $5"
