"""The whole book as one PDF: its pages on one sheet in the order of the contents, printed by Chromium."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any

from msig_lib.site import browser
from msig_lib.site.chapters import SiteError

LEFT_OUT = ("genindex.html", "search.html", "prf-prf.html")
SHEET = {"width": 680, "height": 980}  # A4 less its margins, at 96 px an inch
READY_MS = 300_000  # MathJax sets some thousand formulas on a busy machine
ARTICLE = re.compile(r'<article class="bd-article"[^>]*>(.*?)</article>', re.DOTALL)
TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
TAG = re.compile(r"<[a-zA-Z][^>]*>")
ID = re.compile(r'\s(id|for|aria-labelledby|aria-describedby)="([^"]+)"')
LINK = re.compile(r'\shref="([^"]*)"')
FOOTER = (
    '<div style="width:100%;font-size:8px;text-align:center;color:#444">'
    '<span class="pageNumber"></span></div>'
)
# MathJax's promise may be kept before its last formula is set.
MATHS_SET = """() => [...document.querySelectorAll('article span.math, article div.math')].every(
  e => e.querySelector('mjx-container'))"""
# Chromium cannot print what lies outside the sheet, so that what is too wide is made smaller.
FIT = """() => {
  document.querySelectorAll('details').forEach(e => { e.open = true; });
  const wide = '.msig-scroll > table, table.msig-claims, .msig-print div.math, .msig-print table.docutils,'
    + ' .msig-panel > svg, .msig-frame > *';
  for (const e of document.querySelectorAll(wide)) {
    const box = e.parentElement.clientWidth, own = Math.max(e.scrollWidth, e.getBoundingClientRect().width);
    if (own > box + 1) e.style.zoom = Math.max(0.35, box / own);
  }
}"""


def write(book: Path, target: Path, started: Any = None) -> Path:
    """Print the rendered book in the folder `book` to the PDF file `target` and return it.

    `started` is a running browser of Playwright's; without it the system's Chromium is started. Raises SiteError
    when `book` holds no rendered book, BrowserMissing without Chromium.
    """
    sheet = sheet_of(book, order(book))
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the pages, so that styles and MathJax are found under the same addresses.
    with tempfile.NamedTemporaryFile(
        "w", dir=book, prefix="print-", suffix=".html", encoding="utf-8"
    ) as file:
        file.write(sheet)
        file.flush()
        with browser.served(book) as address:
            where = f"{address}/{Path(file.name).name}"
            if started is not None:
                _print(started, where, target)
            else:
                with browser.launch() as own:
                    _print(own, where, target)
    return target


def _print(started: Any, where: str, target: Path) -> None:
    page = started.new_page(viewport=SHEET, color_scheme="light")
    try:
        page.set_default_timeout(READY_MS)
        page.goto(where, wait_until="load", timeout=READY_MS)
        page.wait_for_function(MATHS_SET)
        page.emulate_media(media="print", color_scheme="light")
        page.evaluate(FIT)
        page.pdf(
            path=str(target),
            format="A4",
            margin={"top": "16mm", "bottom": "18mm", "left": "15mm", "right": "15mm"},
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            outline=True,
            tagged=True,
        )
    finally:
        page.close()


def order(book: Path) -> list[str]:
    """Return the pages of a rendered book in the order of its contents."""
    start = book / "index.html"
    if not start.is_file():
        raise SiteError(f"{book} holds no rendered book; make it first: msig book")
    text = start.read_text(encoding="utf-8")
    navigation = re.search(r'<nav class="bd-links[^"]*".*?</nav>', text, re.DOTALL)
    links = re.findall(r'href="([^"#?:]+\.html)', navigation[0] if navigation else "")
    names = ["index.html", *(name for name in links if name not in LEFT_OUT)]
    return [name for name in dict.fromkeys(names) if (book / name).is_file()]


def sheet_of(book: Path, names: Sequence[str]) -> str:
    """Return one HTML page with the articles of all pages; links between them lead within it."""
    texts = {name: (book / name).read_text(encoding="utf-8") for name in names}
    mathematical = next((text for text in texts.values() if "mathjax/" in text), next(iter(texts.values())))
    head = mathematical[: mathematical.index("</head>")]
    kept = re.findall(r'<link [^>]*rel="stylesheet"[^>]*>', head)
    kept += [script for script in SCRIPT.findall(head) if "MathJax" in script or "mathjax/" in script]
    articles = "\n".join(_article(name, text, texts) for name, text in texts.items())
    title = _title(texts[names[0]])
    return (
        f'<!doctype html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">'
        f'<title>{escape(title)}</title>{"".join(kept)}</head><body class="msig-sheet">{articles}</body></html>'
    )


def _title(text: str) -> str:
    found = TITLE.search(text)
    return unescape(found[1]).split("—")[-1].strip() if found else ""


def _article(name: str, text: str, known: dict[str, str]) -> str:
    found = ARTICLE.search(text)
    if found is None:
        raise SiteError(f"{name} has no article; render the book again: msig book")
    own = name.removesuffix(".html")

    def mark(match: re.Match[str]) -> str:
        values = " ".join(f"{own}--{value}" for value in match[2].split())
        return f' {match[1]}="{values}"'

    def link(match: re.Match[str]) -> str:
        page, _, anchor = match[1].partition("#")
        page = page.partition("?")[0] or name
        if page not in known:
            return match[0]
        place = f"{page.removesuffix('.html')}--{anchor}" if anchor else page.removesuffix(".html")
        return f' href="#{place}"'

    def renamed(tag: re.Match[str]) -> str:
        return LINK.sub(link, ID.sub(mark, tag[0]))

    body = TAG.sub(renamed, SCRIPT.sub("", found[1]))
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{own}--\1)", body)
    return f'<article class="bd-article msig-print" id="{own}">{body}</article>'
