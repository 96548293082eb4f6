"""The system's Chromium and a local server, for the site tests and the PDF."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from msig_lib.errors import MsigError

ENV = "MSIG_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The sandbox needs rights that containers withhold; the pages are our own and load nothing from elsewhere.
OPTIONS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


class BrowserMissing(MsigError):
    """Raised when there is no Chromium, or no Playwright to drive it; says what to install."""


def find() -> str:
    """Return the path of the system's Chromium (`MSIG_CHROMIUM` comes first); raises BrowserMissing."""
    path = os.environ.get(ENV) or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None or not Path(path).exists():
        told = f"{ENV} names {path}, which is not there" if path else "no Chromium found"
        raise BrowserMissing(f"{told}; install Chromium or Chrome, or set {ENV} to its path")
    return path


@contextmanager
def launch() -> Iterator[Any]:
    """Start the system's Chromium, driven by Playwright, and close it at the end; raises BrowserMissing."""
    path = find()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise BrowserMissing("the package playwright is not installed; `make env` installs it") from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


class _Quiet(SimpleHTTPRequestHandler):
    """A file server that does not write a line for every request."""

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine alone and give its address, such as "http://127.0.0.1:40123"."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
