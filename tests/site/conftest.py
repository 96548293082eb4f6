"""The fake book, rendered once, and a browser that reports every error and every request."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fake

from msig_lib import site

REQUIRED = os.environ.get("MSIG_REQUIRE_BROWSER") == "1"
OPTIONS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> Path:
    """The folder of the rendered fake book."""
    root = tmp_path_factory.mktemp("checkout")
    project = fake.checkout(root)
    run = fake.run(root / "runs" / "one")
    return site.build(project, {fake.CHAPTER: run}, "quick", fake.verdicts()).parent


class Quiet(SimpleHTTPRequestHandler):
    """A file server that does not write a line for every request."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def address(book):
    """The address of a local server of the book."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(book)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _missing(reason: str):
    if REQUIRED:
        pytest.fail(f"{reason}, and MSIG_REQUIRE_BROWSER=1 asks for it")
    pytest.skip(f"{reason}; install it to test the site (set MSIG_REQUIRE_BROWSER=1 to make this an error)")


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, driven by Playwright."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("MSIG_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        _missing("no Chromium found")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("the package playwright is not installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield started
        started.close()


@pytest.fixture
def visit(browser, address):
    """Open pages of the book; at the end, no console error, failed request or foreign request may have been seen."""
    problems: list[str] = []
    contexts = []

    def watch(page):
        def request(made):
            if not made.url.startswith((address, "data:", "blob:")):
                problems.append(f"request to another host: {made.url}")

        def failed(made):
            if made.failure != "csp":  # a page without script refuses scripts so
                problems.append(f"failed: {made.url} {made.failure}")

        page.on("request", request)
        page.on("requestfailed", failed)
        page.on("response", lambda got: got.status >= 400 and problems.append(f"{got.status}: {got.url}"))
        page.on("console", lambda said: said.type == "error" and problems.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: problems.append(f"script error: {error}"))

    def open_page(name: str, *, width: int = 1440, theme: str = "light", script: bool = True):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, java_script_enabled=script
        )
        contexts.append(context)
        page = context.new_page()
        watch(page)
        page.goto(f"{address}/{name}")
        page.wait_for_load_state("networkidle")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems
