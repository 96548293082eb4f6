import base64
import io
import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from msig_lib.chartqa.data import ChartSettings, Table, make_charts
from msig_lib.chartqa.display import (
    TOPICS,
    chart_svg,
    describe,
    image_html,
    question_sentence,
    shown_question,
    topic_of,
    trace_html,
    trace_sentences,
)
from msig_lib.chartqa.questions import BASE_KINDS, KINDS, arithmetic, ask, make_question
from msig_lib.chartqa.render import PALETTE
from msig_lib.display.words import DisplayError

CHARTS = make_charts(120, ChartSettings(), seed=0)
QUESTIONS = ask(CHARTS.tables, 160, (*KINDS, *BASE_KINDS), seed=0)
BARS = Table("bars", ("red", "blue", "green"), ("", "", ""), (4, 7, 2))
GROUPED = Table("grouped", ("red", "blue", "red", "blue"), ("left", "left", "right", "right"), (4, 7, 1, 9))


def test_the_alternative_text_has_every_value():
    assert describe(BARS, 1) == "Bar chart, rain in a week in mm: red 4, blue 7, green 2."
    assert describe(GROUPED, 0).endswith("in kg: left group: red 4, blue 7; right group: red 1, blue 9.")
    assert topic_of(len(TOPICS) + 1) == TOPICS[1]


@pytest.mark.parametrize("row", range(30))
def test_the_drawing_shows_every_mark_with_its_name_value_and_height(row):
    table = CHARTS.tables[row]
    svg, width = chart_svg(table, row)
    root = ElementTree.fromstring(svg)
    tag = "{http://www.w3.org/2000/svg}"
    assert root.get("viewBox").split()[2] == f"{width:g}" and root.get("fill") == "currentColor"
    marks = [r for r in root.iter(f"{tag}rect")]
    fills = ["#{:02x}{:02x}{:02x}".format(*PALETTE[c]) for c in table.colours]
    assert [mark.get("fill") for mark in marks] == fills
    tops = [float(mark.get("y")) for mark in marks]
    assert [value for _, value in sorted(zip(tops, table.values))] == sorted(table.values, reverse=True)
    if table.style != "lines":
        heights = np.array([float(mark.get("height")) for mark in marks])
        np.testing.assert_allclose(heights / heights[0], np.array(table.values) / table.values[0])
    texts = [text.text for text in root.iter(f"{tag}text")]
    assert all(texts.count(c) == table.colours.count(c) for c in table.colours)
    assert all(str(value) in texts for value in table.values)
    assert ("left" in texts) == (table.style == "grouped") and texts[0] == ", ".join(topic_of(row))
    assert not re.search(r'fill="(?:black|#000)|\bid=', svg)  # follows the theme; nothing to clash on a page
    boxes = [(float(m.get("x")), float(m.get("x")) + float(m.get("width"))) for m in marks]
    assert boxes[0][0] > 0 and boxes[-1][1] < width and all(a[1] < b[0] for a, b in pairwise(boxes))


def test_the_picture_is_the_models_own():
    html = image_html(CHARTS.images[3], 'a "chart" <&>')
    data = base64.b64decode(re.search(r"base64,([^\"]+)", html)[1])
    with Image.open(io.BytesIO(data)) as picture:
        assert (np.asarray(picture) == CHARTS.images[3]).all()
    assert 'alt="a &quot;chart&quot; &lt;&amp;&gt;"' in html and 'width="240"' in html
    with pytest.raises(ValueError, match="the picture is float64"):
        image_html(CHARTS.images[0] / 255, "x")
    with pytest.raises(DisplayError, match="alternative text of a picture is empty"):
        image_html(CHARTS.images[0], " ")


def test_questions_become_sentences_with_units():
    shown = {question_sentence(q, CHARTS.tables[q.chart]) for q in QUESTIONS}
    assert all(re.fullmatch(r"[A-Z].*\?", text) and "{" not in text for text in shown)
    for question in QUESTIONS:
        sentence = question_sentence(question, CHARTS.tables[question.chart])
        assert all(word in sentence for word in question.asked)
        assert question.kind == "second" or f" {topic_of(question.chart)[1]}" in sentence
    assert (
        question_sentence(make_question("count", BARS, ("4",), chart=1), BARS)
        == "How many bars are above 4 mm?"
    )
    points = Table("lines", BARS.colours, BARS.groups, BARS.values)
    text = question_sentence(make_question("second", points, chart=1), points)
    assert text == "What colour is the second highest point?"
    for question in arithmetic(40, seed=0):
        sentence = question_sentence(question)
        assert all(number in sentence for number in re.findall(r"\d+", question.text))
    with pytest.raises(ValueError, match="is about chart 1: give its table"):
        question_sentence(make_question("total", BARS, chart=1))


def test_right_traces_become_sentences_that_keep_every_number():
    for question in QUESTIONS:
        if not question.trace:
            continue
        steps = trace_sentences(question.trace, question, CHARTS.tables[question.chart])
        assert all(step.note == "" for step in steps)
        text = " ".join(step.text for step in steps)
        unitless = text.replace("m³", "")
        assert re.findall(r"\d+", unitless) == re.findall(r"\d+", question.trace)
        assert f"### Answer: {question.answer}" in steps[-1].text
    compare = make_question("compare", GROUPED, chart=0)
    steps = trace_sentences(compare.trace, compare, GROUPED)
    assert [s.text for s in steps][2:] == [
        "Right red shows 1 kg, which makes 1 kg on this side.",
        "Right blue shows 9 kg, which makes 10 kg on this side.",
        "### Answer: 1 kg",
    ]


@pytest.mark.parametrize(
    ("text", "notes", "last"),
    [
        (
            "red 5 5 blue 7 12 green 2 14 ### 14",
            ["the chart shows another value", "", "", ""],
            "### Answer: 14 kg",
        ),
        (
            "red 4 4 blue 7 12 green 2 14 ### 13",
            ["", "this does not follow", "", "from the steps"],
            "### Answer: 13 kg",
        ),
        ("red 4 4 ### 4", ["", "a mark was left out before this"], "### Answer: 4 kg"),
        ("red 4 4 red 4 8", ["", "no such mark", "too early"], "…"),
        ("red 4 4 blue 7", ["", "it stops too early"], "“blue 7”"),
        ("red 4 4 <b> 7", ["", "this cannot be read"], "“<b> 7”"),
        ("red 5 ? x", ["another value; this cannot be read"], "“red 5 ? x”"),
        ("", ["it stops too early"], "…"),
    ],
)
def test_wrong_steps_say_what_is_wrong(text, notes, last):
    question = make_question("total", BARS, chart=0)
    steps = trace_sentences(text, question, BARS)
    assert len(steps) == len(notes) and steps[-1].text == last
    for step, note in zip(steps, notes):
        assert note in step.note and (note != "" or step.note == "")
    html = trace_html(text, question, BARS)
    assert html.count("✗") == sum(note != "" for note in notes) and html.count("<li") == len(notes)
    ElementTree.fromstring(html)  # nothing of the trace becomes markup


def test_a_shown_question_is_a_figure_with_both_pictures_and_its_traces():
    question = next(q for q in QUESTIONS if q.kind == "total")
    shown = shown_question(
        CHARTS, question, [question.trace, "red 4 4"], name="example", caption="One *chart*."
    )
    html = shown.html
    assert html.count("<svg") == 1 and html.count("<img") == 1 and html.count("<ol") == 2
    assert describe(CHARTS.tables[question.chart], question.chart) in html and "<em>chart</em>" in html
    assert question_sentence(question, CHARTS.tables[question.chart]) in html
    same = shown_question(
        CHARTS, question, [question.trace, "red 4 4"], name="example", caption="One *chart*."
    )
    other = shown_question(CHARTS, question, [question.trace], name="example", caption="One *chart*.")
    assert same.fingerprint == shown.fingerprint != other.fingerprint and same.html == html
    assert len(html) < 15_000
    with pytest.raises(DisplayError, match="figure name 'An example'"):
        shown_question(CHARTS, question, [], name="An example", caption="x")
    with pytest.raises(DisplayError, match="the caption of figure"):
        shown_question(CHARTS, question, [], name="example", caption="")
