"""Tables: accessible, formatted, the best marked, the same bytes twice."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from msig_lib.display import DisplayError, table


class Cells(HTMLParser):
    """Collects (tag, attributes, text) of a table's cells by row."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.caption, self.inside = [], "", None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append([tag, dict(attrs), "", False])
        self.inside = "caption" if tag == "caption" else tag if tag in ("th", "td") else self.inside
        if tag == "strong":
            self.rows[-1][-1][3] = True

    def handle_endtag(self, tag):
        if tag in ("th", "td", "caption"):
            self.inside = None

    def handle_data(self, data):
        if self.inside == "caption":
            self.caption += data
        elif self.inside:
            self.rows[-1][-1][2] += data


FRAME = pd.DataFrame(
    {"method": ["SVM", "a<b"], "P@1": [0.5184, -0.25], "n": [12345, 3], "late": [np.nan, 1.5]}
)


def test_structure():
    html = table(FRAME, caption="Scores, *all*").html
    cells = Cells(html)
    assert cells.caption == "Scores, all"
    assert 'role="region"' in html and 'tabindex="0"' in html and 'aria-label="Scores, all"' in html
    assert [c[1].get("scope") for c in cells.rows[0]] == ["col"] * 4
    assert [row[0][:2] for row in cells.rows[1:]] == [["th", {"scope": "row"}]] * 2
    assert [c[2] for c in cells.rows[1]] == ["SVM", "0.518", "12,345", "–"]
    assert [c[2] for c in cells.rows[2]] == ["a<b", "−0.250", "3", "1.500"]


def test_formats_by_column_and_for_all():
    by_column = Cells(
        table(FRAME, caption="c", formats={"P@1": "{:.1%}", "n": lambda v: f"{v} documents"}).html
    )
    assert [c[2] for c in by_column.rows[1]] == ["SVM", "51.8%", "12345 documents", "–"]
    assert Cells(table(FRAME, caption="c", formats=".1f").html).rows[1][1][2] == "0.5"


@pytest.mark.parametrize("how,row", [("max", 1), ("min", 2)])
def test_best_is_marked(how, row):
    cells = Cells(table(FRAME, caption="c", highlight={"P@1": how}).html)
    marked = [(r, c) for r, line in enumerate(cells.rows) for c, cell in enumerate(line) if cell[3]]
    assert marked == [(row, 1)]


def test_ties_are_all_marked_and_missing_values_never():
    frame = pd.DataFrame({"x": [2.0, 2.0, np.nan, 1.0]}, index=["a", "b", "c", "d"])
    cells = Cells(table(frame, caption="c", highlight="max").html)
    assert [line[1][3] for line in cells.rows[1:]] == [True, True, False, False]


def test_no_line_ends_inside_an_interval_and_minus_signs_are_true():
    texts = ["0.5 [-0.1, 1,000.2]\u2020, [a, b]", "50% [4%, 60%]", "rows 3-5 of a-1"]
    shown = [
        cell[2] for row in Cells(table(pd.DataFrame({"x": texts}), caption="c").html).rows[1:] for cell in row
    ]
    assert shown == [
        "0.5 [\u22120.1,\u00a01,000.2]\u2020, [a, b]", "50% [4%,\u00a060%]", "rows 3-5 of a-1"
    ]  # fmt: skip


def test_index_and_two_header_levels():
    columns = pd.MultiIndex.from_tuples([("EURLex", "P@1"), ("EURLex", "P@3"), ("Wiki10", "P@1")])
    frame = pd.DataFrame([[1.0, 2.0, 3.0]], index=pd.Index(["SVM"], name="method"), columns=columns)
    cells = Cells(table(frame, caption="c").html)
    assert [(c[2], c[1].get("colspan")) for c in cells.rows[0] if c[0] == "th"] == [
        ("EURLex", "2"),
        ("Wiki10", "1"),
    ]
    assert [c[2] for c in cells.rows[1]] == ["method", "P@1", "P@3", "P@1"]
    assert cells.rows[2][0][0] == "th"


def test_two_executions_agree_and_data_counts():
    assert table(FRAME, caption="c").html == table(FRAME.copy(), caption="c").html
    assert table(FRAME, caption="c").fingerprint != table(FRAME.assign(n=[1, 2]), caption="c").fingerprint


@pytest.mark.parametrize(
    "wrong",
    [{"highlight": "best"}, {"highlight": {"nope": "max"}}, {"formats": {"nope": ".1f"}}, {"caption": ""}],
)
def test_mistakes_are_told(wrong):
    with pytest.raises(DisplayError):
        table(FRAME, **{"caption": "c", **wrong})
