from dataclasses import replace

import numpy as np
import pytest

from msig_lib.chartqa.data import SHIFTED, ChartSettings, draw_tables
from msig_lib.chartqa.render import CHUNK, INK, PALETTE, PAPER, STYLES, TOP, RenderSettings, render

CLEAN = RenderSettings(noise=0, jitter=0, colour_jitter=0)
COLOURS = np.array(list(PALETTE.values()))


def drawn(tables, settings, seed=0):
    rng = np.random.default_rng(seed)
    return render(tables.style, tables.colours, tables.groups, tables.values, settings, rng)


def read_back(image, style, unit):
    """Read a chart's colours and values off its pixels: an independent reader, for any amount of disturbance.

    Every pixel takes the nearest of the colours, paper and ink; a mark is a run of columns with enough pixels of
    one colour. A bar ends where the paper begins; a square's height is the middle of its pixels.
    """
    shades = np.concatenate([COLOURS, [[PAPER] * 3, [INK] * 3]])
    pixels = ((image[:, :, None].astype(int) - shades) ** 2).sum(-1).argmin(-1)
    axis = int((pixels[-2:] == len(COLOURS) + 1).mean(axis=1).argmax()) + len(image) - 2
    body = pixels[2:axis]  # below the legend
    least = 3 if style == "lines" else unit - 1
    found, last = [], None
    for column in range(3, image.shape[1]):
        counts = np.bincount(body[:, column][body[:, column] < len(COLOURS)], minlength=len(COLOURS))
        colour = int(counts.argmax()) if counts.max() >= least else None
        if colour is not None and colour != last:
            found.append((colour, []))
        if colour is not None:
            rows = np.flatnonzero(body[:, column] == colour) + 2
            bar = (body[:, column] != len(COLOURS)).sum()
            found[-1][1].append(axis - rows.mean() - 0.5 if style == "lines" else bar)
        last = colour
    return [colour for colour, _ in found], [round(np.median(seen) / unit) for _, seen in found]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("disturbed", "marks", "share"),
    [(CLEAN, (2, 8), 1.0), (RenderSettings(), (4, 6), 0.99), (SHIFTED.drawing, SHIFTED.marks, 0.75)],
)
def test_an_independent_reader_finds_the_table_in_the_pixels(style, disturbed, marks, share):
    tables = draw_tables(200, ChartSettings(styles=(style,), marks=marks), np.random.default_rng(1))
    images = drawn(tables, disturbed)
    right = 0
    for row, image in enumerate(images):
        n = tables.count[row]
        expected = tables.colours[row, :n].tolist(), tables.values[row, :n].tolist()
        right += read_back(image, style, disturbed.unit) == expected
    assert right >= share * len(tables)


def test_the_legend_shows_a_grouped_charts_colours_in_order_and_no_other_chart_has_one():
    for style in STYLES:
        tables = draw_tables(60, ChartSettings(styles=(style,)), np.random.default_rng(2))
        top = drawn(tables, CLEAN)[:, 0]
        for row in range(len(tables)):
            runs = [tuple(p) for p, before in zip(top[row, 1:], top[row]) if tuple(p) != tuple(before)]
            seen = [shade for shade in runs if shade != (PAPER,) * 3]
            n = tables.count[row] // 2
            legend = [tuple(COLOURS[c]) for c in tables.colours[row, :n]]
            assert seen == (legend if style == "grouped" else [])


def test_noise_has_the_asked_deviation_and_mean_zero():
    tables = draw_tables(300, ChartSettings(styles=("bars",)), np.random.default_rng(3))
    settings = replace(CLEAN, noise=9.0)
    # Mid-grey levels only: at the ends of the scale the noise is cut off.
    clean, noisy = drawn(tables, CLEAN), drawn(tables, settings)
    middle = (clean > 40) & (clean < 215)
    difference = noisy.astype(int)[middle] - clean[middle]
    assert abs(difference.mean()) < 0.1 and abs(difference.std() - 9) < 0.1
    assert (drawn(tables, CLEAN, seed=1) == clean).all()  # without disturbance nothing is drawn by chance


def test_disturbances_change_the_pixels_and_jitter_keeps_marks_apart():
    tables = draw_tables(100, ChartSettings(marks=(8, 8)), np.random.default_rng(4))
    clean = drawn(tables, CLEAN)
    for change in ({"noise": 5.0}, {"jitter": 1.0}, {"colour_jitter": 9}):
        assert (drawn(tables, replace(CLEAN, **change)) != clean).any(axis=(1, 2, 3)).mean() > 0.9
    shaken = drawn(tables, replace(CLEAN, jitter=3.0))
    for row in np.flatnonzero(tables.style == 0):
        assert read_back(shaken[row], "bars", CLEAN.unit)[0] == tables.colours[row].tolist()


def test_pictures_depend_on_the_generator_only_and_not_on_each_other_in_a_chunk():
    tables = draw_tables(CHUNK + 30, ChartSettings(), np.random.default_rng(5))
    images = drawn(tables, RenderSettings(), seed=7)
    assert images.dtype == np.uint8 and images.shape == (CHUNK + 30, 32, 48, 3)
    assert (drawn(tables, RenderSettings(), seed=7) == images).all()
    assert (drawn(tables, RenderSettings(), seed=8) != images).any(axis=(1, 2, 3)).all()
    assert (drawn(tables.subset(slice(0, CHUNK)), RenderSettings(), seed=7) == images[:CHUNK]).all()
    assert drawn(tables.subset([]), RenderSettings()).shape == (0, 32, 48, 3)


def test_other_sizes_scale_the_values():
    settings = replace(CLEAN, height=64, width=96)
    tables = draw_tables(40, ChartSettings(styles=("bars",)), np.random.default_rng(6))
    images = drawn(tables, settings)
    assert settings.unit == 6 and images.shape[1:] == (64, 96, 3)
    for row, image in enumerate(images):
        n = tables.count[row]
        assert read_back(image, "bars", 6)[1] == tables.values[row, :n].tolist()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"height": 12}, "height is 12, expected a whole number of at least 13"),
        ({"width": 8}, "width is 8"),
        ({"height": 32.5}, "height is 32.5"),
        ({"noise": -1.0}, "noise is -1.0, expected 0..100"),
        ({"jitter": float("nan")}, "jitter is nan"),
        ({"colour_jitter": -1}, "colour_jitter is -1"),
    ],
)
def test_impossible_settings_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        RenderSettings(**wrong)
    assert RenderSettings(height=4 + TOP).unit == 1
