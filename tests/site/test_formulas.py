"""Long formulas break where TeX would break them, and never where that would change them."""

import pytest
from docutils import nodes
from docutils.utils import new_document

from msig_lib.site import formulas

WHOLE = [
    "x > 0",  # short
    r"\sum_{i=1}^{n} f(a = b, c = d, e = g, h = k)",  # every relation is inside something
    r"\left| a - b + c - d + e - f + g - h + k - l \right|",
    r"\begin{cases} a & = b \\ c & = d \end{cases}",
    "g = h(abcdefghijklmnop = q",  # a parenthesis that does not close
    r"abcdefghijk \cdot lmnopqrst",  # nothing to break at
]


@pytest.mark.parametrize("latex", WHOLE)
def test_what_cannot_be_broken_stays_whole(latex):
    assert formulas.pieces(latex) == [latex]


@pytest.mark.parametrize(
    ("latex", "parts"),
    [
        (r"\ell(d) = -Q_1\ln P_1 - Q_2\ln P_2", [r"\ell(d) ={}", r"-Q_1\ln P_1 - Q_2\ln P_2"]),
        (r"\epsilon-\delta+abcdefgh =: m > 0", [r"\epsilon-\delta+{}", r"abcdefgh =: m >{}", "0"]),
        (r"0 \le \ell(d) + abcdefghijk \le 1/2", [r"0 \le \ell(d) +{}", r"abcdefghijk \le{}", "1/2"]),
    ],
)
def test_lines_end_after_relations_and_in_long_parts_after_signs(latex, parts):
    assert formulas.pieces(latex) == parts


@pytest.mark.parametrize(
    "latex", [*WHOLE, r"|w'|^2 = |w|^2+2\eta\sum_i a_i|d_i|+\eta^2|\nabla\mathcal{L}|^2"]
)
def test_the_parts_together_are_the_formula(latex):
    joined = "".join(formulas.pieces(latex)).replace("{}", "")
    assert joined.replace(" ", "") == latex.replace(" ", "")


def paragraph(latex, text):
    document = new_document("a page")
    document += nodes.paragraph("", "", nodes.Text("as "), nodes.math(latex, latex), nodes.Text(text))
    formulas.breakable(document)
    return document[0]


def test_a_mark_stays_beside_its_formula():
    found = paragraph("d", ". And")
    assert found.astext() == "as d. And"
    assert [type(child) for child in found.children] == [nodes.Text, nodes.inline, nodes.Text]
    assert found[1].astext() == "d." and found[1]["classes"] == ["msig-together"]


def test_text_without_a_mark_is_left_alone():
    found = paragraph("d", " and")
    assert found.astext() == "as d and" and isinstance(found[1], nodes.math)


def test_a_long_formula_becomes_several():
    found = paragraph(r"\sigma(u)\sigma(-u) = \frac14+O(u^2)", ", so")
    assert [child.astext() for child in found.findall(nodes.math)] == [
        r"\sigma(u)\sigma(-u) ={}", r"\frac14+O(u^2)"
    ]  # fmt: skip
    assert found.astext().endswith(", so")


def test_equal_texts_of_one_paragraph_are_told_apart():
    document = new_document("a page")
    parts = [nodes.emphasis("", "By the lemma"), nodes.Text(", "), nodes.math("a", "a"), nodes.Text(", "),
             nodes.math("b", "b"), nodes.Text(", "), nodes.math("c", "c"), nodes.Text(".")]  # fmt: skip
    document += nodes.paragraph("", "", *parts)
    formulas.breakable(document)
    assert document.astext() == "By the lemma, a, b, c."
