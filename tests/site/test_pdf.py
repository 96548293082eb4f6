"""The book as one sheet and as a PDF."""

import re

import fake
import pytest

from msig_lib import site
from msig_lib.site import pdf


@pytest.fixture(scope="module")
def sheet(book):
    return pdf.sheet_of(book, pdf.order(book))


def test_pages_come_in_the_order_of_the_contents(book):
    names = pdf.order(book)
    assert names[:2] == ["index.html", "reading.html"] and len(names) == len(set(names))
    assert names.index("glossary.html") < names.index(f"{fake.CHAPTER}.html") < names.index("scorecard.html")
    assert "search.html" not in names


def test_every_id_is_there_once_and_every_link_within_the_book_leads_to_one(sheet):
    tags = re.findall(r"<[a-zA-Z][^>]*>", sheet)
    ids = [name for tag in tags for name in re.findall(r'\sid="([^"]+)"', tag)]
    assert len(ids) == len(set(ids)) > 50
    hrefs = [name for tag in tags for name in re.findall(r'\shref="([^"]*)"', tag)]
    inner = [name for name in hrefs if name.startswith("#")]
    assert {name[1:] for name in inner} <= {*ids, ""} and len(inner) > 20
    assert f"#{fake.CHAPTER}--results" in inner
    assert not [name for name in hrefs if re.match(r"[\w-]+\.html", name)]


def test_nothing_runs_on_the_sheet_but_maths(sheet):
    scripts = re.findall(r"<script.*?</script>", sheet, re.DOTALL)
    assert scripts and all("athJax" in script or "mathjax" in script for script in scripts)


def test_no_book_is_told(tmp_path):
    with pytest.raises(site.SiteError, match="holds no rendered book; make it first: msig book"):
        pdf.order(tmp_path)


@pytest.mark.site
def test_pdf_has_an_outline_formulas_and_every_page(browser, book, tmp_path):
    made = pdf.write(book, tmp_path / "book.pdf", browser).read_bytes()
    assert made.startswith(b"%PDF") and b"/Outlines" in made and b"/StructTreeRoot" in made
    assert len(re.findall(rb"/Type\s*/Page\b", made)) >= len(pdf.order(book))
    assert re.search(rb"/FontName\s*/[A-Z]{6}\+MJX|/FontName\s*/[A-Z]{6}\+MathJax", made)
    assert not list(book.glob("print-*"))
