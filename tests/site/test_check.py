"""The checker finds what it is for."""

import pytest

from msig_lib.site import check

GOOD = '<h1>Title</h1><a href="other.html#there">x</a><a href="https://example.org">y</a>'


def write(folder, body, name="index.html"):
    (folder / name).write_text(f"<!doctype html><html><body>{body}</body></html>", encoding="utf-8")


@pytest.fixture
def pages(tmp_path):
    write(tmp_path, GOOD)
    write(tmp_path, '<h1>Other</h1><p id="there"><a href="index.html">back</a>', "other.html")
    return tmp_path


def test_good_pages_pass(pages):
    (pages / "a.svg").write_text("<svg/>")
    (pages / "a.js").write_text('import x from "./local.js"; fetch("https://example.org")')
    write(
        pages,
        GOOD
        + '<img src="a.svg" alt=""><img src="data:image/png;base64,AA" alt="x"><svg role="img" aria-label="x">',
    )
    assert check(pages) == []


@pytest.mark.parametrize(
    "body,told",
    [
        ('<script src="https://cdn.example.org/x.js"></script>', "from another host"),
        ('<script src="//cdn.example.org/x.js"></script>', "from another host"),
        ('<link rel="stylesheet" href="https://fonts.example.org/f.css">', "from another host"),
        ('<link rel="preconnect" href="https://fonts.example.org">', "from another host"),
        ('<img alt="x" src="http://example.org/a.png">', "from another host"),
        ('<img alt="x" srcset="a.png 1x, https://example.org/b.png 2x" src="">', "b.png from another host"),
        ('<div style="background: url(https://example.org/a.png)"></div>', "from another host"),
        ("<style>@import 'https://example.org/a.css';</style>", "from another host"),
        ("<style>p { src: url('https://example.org/a.woff2') }</style>", "from another host"),
        ("<script>import('https://example.org/a.js')</script>", "from another host"),
        ('<script type="module">import x from "https://example.org/a.js"</script>', "from another host"),
        ('<svg><use href="https://example.org/a.svg#i"/></svg>', "from another host"),
        ('<script src="missing.js"></script>', "missing.js, which is not there"),
        ('<a href="gone.html">x</a>', "gone.html, which is not there"),
        ('<a href="other.html#gone">x</a>', "no such anchor"),
        ('<a href="#gone">x</a>', "no such anchor"),
        ("<h1>Second</h1>", "2 h1 headings"),
        ('<svg role="img"></svg>', "no alternative text"),
        ('<img src="data:,">', "no alternative text"),
        ('<p id="a"></p><p id="a"></p>', "there twice"),
    ],
)
def test_faults_are_found(pages, body, told):
    write(pages, GOOD + body)
    found = check(pages)
    assert len([line for line in found if told in line and line.startswith("index.html: ")]) == 1, found


def test_no_heading_foreign_styles_and_imports(pages):
    write(pages, "<p>no heading")
    (pages / "_static").mkdir()
    (pages / "_static" / "a.css").write_text("@font-face { src: url(https://example.org/f.woff) }")
    (pages / "_static" / "a.js").write_text('import("https://example.org/x.js")')
    assert sorted(check(pages)) == [
        "_static/a.css: loads https://example.org/f.woff from another host",
        "_static/a.js: imports from example.org",
        "index.html: has 0 h1 headings; expected exactly one",
    ]


def test_empty_folder_is_no_book(tmp_path):
    assert check(tmp_path) == [f"{tmp_path} holds no page"]
