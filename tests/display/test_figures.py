"""Figures: valid, themed, distinct on one page, and the same bytes twice."""

import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("agg")
from matplotlib import pyplot as plt

from msig_lib.display import NEUTRAL, DisplayError, figure, marks, style

SVG = "{http://www.w3.org/2000/svg}"


def panel(points=10, seed=0, **options):
    rng = np.random.default_rng(seed)
    with style():
        drawing, axes = plt.subplots(**options)
        axes.plot(np.arange(5), np.arange(5) ** 2, "s-", label="squares")
        axes.scatter(rng.normal(size=points), rng.normal(size=points), s=4)
        axes.axhline(2, color=NEUTRAL)
        axes.set(xlabel="seconds", ylabel="P@1", title="a < b & c")
        axes.legend()
    return drawing


def make(name="one", panels=1, **more):
    drawings = [panel(seed=k) for k in range(panels)]
    given = {"caption": "What *to* see.", "alt": "Dots and a line.", **more}
    return figure(drawings, name=name, **given)


def svgs(html):
    return [ElementTree.fromstring(text) for text in re.findall(r"<svg .*?</svg>", html, re.DOTALL)]


def test_same_figure_gives_same_bytes():
    assert make(panels=2).html == make(panels=2).html


def test_raster_gives_same_bytes_and_a_small_page():
    many = [figure(panel(20_000), name="dots", caption="c", alt="a", rasterise=True).html for _ in range(2)]
    assert many[0] == many[1]
    vector = figure(panel(20_000), name="dots", caption="c", alt="a").html
    assert "data:image/png" in many[0] and len(many[0]) < len(vector) / 4


def test_foreground_follows_the_page():
    html = make().html
    assert "currentColor" in html
    assert not re.search(r"#(000000|010203|020304|ffffff)\b", html)
    assert "<style" not in html and "<metadata" not in html and "font-family" not in html


def test_text_stays_text():
    root = svgs(make().html)[0]
    words = {element.text for element in root.iter(f"{SVG}text")}
    assert {"seconds", "P@1", "a < b & c", "squares"} <= words


def test_ids_are_unique_over_figures_and_every_reference_resolves():
    page = make("one", panels=2).html + make("two", panels=2).html
    roots = svgs(page)
    assert len(roots) == 4
    ids = [element.get("id") for root in roots for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > 4
    assert all(name.startswith(("one-", "two-")) for name in ids)
    references = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page))
    assert {a or b for a, b in references} == set(ids)


def test_alternative_text_is_escaped_and_given_once_or_for_each_panel():
    html = make(panels=2, alt='says "x" < y').html
    assert html.count('role="img"') == 1 and html.count('aria-hidden="true"') == 1
    assert "says &quot;x&quot; &lt; y" in html
    assert make(panels=2, alt=["left", "right"]).html.count('role="img"') == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"alt": " "},
        {"caption": ""},
        {"name": "Not Good"},
        {"name": "1st"},
        {"alt": ["a", "b"]},
        {"alt": ["ok", ""], "panels": 2},
    ],
)
def test_mistakes_are_told(wrong):
    with pytest.raises(DisplayError):
        make(**wrong)


def test_fingerprint_is_of_the_data():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    one, two = make(data=frame), make("other", data=frame.copy())
    other = make(data=frame.assign(a=[1.0, 2.001]))
    assert one.fingerprint == two.fingerprint != other.fingerprint
    assert one.fingerprint in one._repr_mimebundle_()["text/plain"]
    assert make(data=frame.assign(a=[1.0, 2.0 + 1e-13])).fingerprint == one.fingerprint


def test_figures_are_closed_and_wide_ones_scroll():
    plt.close("all")
    narrow, wide = make(), figure(panel(figsize=(9, 3)), name="wide", caption="c", alt="a")
    assert plt.get_fignums() == []
    assert 'tabindex="0"' in wide.html and 'tabindex="0"' not in narrow.html


def test_figure_made_without_the_style_is_themed_too():
    drawing, axes = plt.subplots()
    axes.bar([0], [1], color="black")
    html = figure(drawing, name="plain", caption="c", alt="a").html
    assert not re.search(r"(fill|stroke):#(000000|ffffff)", html)


@pytest.mark.parametrize(
    ("names", "columns"), [(["one", "two", "three"], 3), (["a name of many words"] * 3, 2)]
)
def test_a_legend_has_as_many_columns_as_the_figure_has_room_for(names, columns):
    with style():
        fig, ax = plt.subplots(figsize=(4.2, 3))
        for k, name in enumerate(names):
            ax.plot([0, k], label=f"{name} {k}")
        marks.legend(fig, [ax], ncols=3)
    (legend,) = fig.legends
    assert legend._ncols == columns and legend.get_window_extent().width <= fig.bbox.width
    plt.close(fig)


def test_panels_share_columns_of_one_width():
    html = make(panels=3).html
    assert len(svgs(html)) == 3 and "grid-template-columns:repeat(auto-fit,minmax(min(100%," in html
