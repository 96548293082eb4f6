"""A rendered book and a browser that reports every error and every request.

The book is a small fake one, rendered once; or, where MSIG_SITE_BOOK names a folder of pages, that book (`make
site` names the real one), with the tests that hold for any book.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fake

from msig_lib import site
from msig_lib.site import browser as chromium

HERE = Path(__file__).parent
REQUIRED = os.environ.get("MSIG_REQUIRE_BROWSER") == "1"
GIVEN = os.environ.get("MSIG_SITE_BOOK", "")
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
FAKE_PAGES = (
    *("index", "reading", "notation", "glossary", fake.CHAPTER, "scorecard", "errata", "data", "statistics"),
    *("environment", "cite", "references", "search"),
)


def pages() -> list[str]:
    """The pages to test: those of the given book, or of the fake one."""
    if not GIVEN:
        return [f"{name}.html" for name in FAKE_PAGES]
    found = sorted(path.name for path in Path(GIVEN).glob("*.html"))
    return found or pytest.exit(f"MSIG_SITE_BOOK={GIVEN} holds no page; make it first: make book", 2)


def pytest_generate_tests(metafunc):
    for fixture in ("desk", "phone"):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, pages(), indirect=True, scope="module")


def pytest_collection_modifyitems(items):
    """With a given book, only what holds for any book is tested."""
    for item in items if GIVEN else ():
        if HERE in item.path.parents and item.path.name != "test_pages.py":
            item.add_marker(pytest.mark.skip(reason="is about the fake book; MSIG_SITE_BOOK names another"))


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> Path:
    """The folder of the rendered book."""
    if GIVEN:
        return Path(GIVEN).resolve()
    root = tmp_path_factory.mktemp("checkout")
    project = fake.checkout(root)
    run = fake.run(root / "runs" / "one")
    return site.build(project, {fake.CHAPTER: run}, "quick", fake.verdicts()).parent


@pytest.fixture(scope="session")
def address(book):
    """The address of a local server of the book."""
    with chromium.served(book) as where:
        yield where


def _missing(reason: str):
    if REQUIRED:
        pytest.fail(f"{reason}, and MSIG_REQUIRE_BROWSER=1 asks for it")
    pytest.skip(f"{reason} (set MSIG_REQUIRE_BROWSER=1 to make this an error)")


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, driven by Playwright."""
    try:
        chromium.find()
    except chromium.BrowserMissing as missing:
        _missing(str(missing))
    with chromium.launch() as started:
        yield started


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, of the version and checksum in package-lock.json."""
    if not AXE.is_file() and REQUIRED and shutil.which("npm"):
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=HERE, check=False)
    if not AXE.is_file():
        _missing("axe-core is not installed; run `npm ci --ignore-scripts` in tests/site")
    return AXE.read_text(encoding="utf-8")


class Watched:
    """A page in a context of its own that notes errors, failed and foreign requests, and how much it loaded."""

    def __init__(self, browser, address: str, name: str, *, width=1440, theme="light", script=True):
        self.name, self.problems, self.sizes = name, [], {}
        self.address = address
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, java_script_enabled=script
        )
        self.page = self.context.new_page()
        self._watch()
        self.page.goto(f"{address}/{name}")
        self.page.wait_for_load_state("networkidle")

    def _watch(self):
        page, problems = self.page, self.problems

        def request(made):
            if not made.url.startswith((self.address, "data:", "blob:")):
                problems.append(f"request to another host: {made.url}")

        def failed(made):
            if made.failure != "csp":  # a page without script refuses scripts so
                problems.append(f"failed: {made.url} {made.failure}")

        def response(got):
            self.sizes[got.url] = int(got.headers.get("content-length", 0))
            if got.status >= 400:
                problems.append(f"{got.status}: {got.url}")

        page.on("request", request)
        page.on("requestfailed", failed)
        page.on("response", response)
        page.on("console", lambda said: said.type == "error" and problems.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: problems.append(f"script error: {error}"))


@pytest.fixture
def visit(browser, address):
    """Open pages of the book; at the end, no console error, failed request or foreign request may have been seen."""
    opened = []

    def open_page(name: str, **how):
        opened.append(Watched(browser, address, name, **how))
        return opened[-1].page

    yield open_page
    for one in opened:
        one.context.close()
    assert [problem for one in opened for problem in one.problems] == []


@pytest.fixture(scope="module")
def desk(request, browser, address):
    """A page on a wide light screen, opened once for all the tests that look at it."""
    one = Watched(browser, address, request.param)
    yield one
    one.context.close()


@pytest.fixture(scope="module")
def phone(request, browser, address):
    """A page on a narrow dark screen."""
    one = Watched(browser, address, request.param, width=390, theme="dark")
    yield one
    one.context.close()
