"""Links of the rendered book to other hosts, and whether they still lead somewhere (needs a network)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

from msig_lib.site.check import read_pages

TIMEOUT_S = 30.0
AT_ONCE = 4
# Hosts answer these to programs while a reader's browser is served; only a person can tell.
REFUSED = (401, 403, 405, 406, 418, 429, 503)


@dataclass(frozen=True)
class Answer:
    """What one address answered: "ok", "refused" (to a program) or "lost", with the reason."""

    address: str
    state: str
    told: str
    pages: tuple[str, ...]


def external(folder: Path) -> dict[str, list[str]]:
    """Return {address without its anchor: pages that link to it} of a rendered book."""
    found: dict[str, list[str]] = {}
    for name, page in read_pages(folder).items():
        for link in page.links:
            if urlsplit(link).scheme in ("http", "https"):
                where = found.setdefault(urldefrag(link)[0], [])
                if name not in where:
                    where.append(name)
    return dict(sorted(found.items()))


def check_all(links: Mapping[str, Iterable[str]], timeout_s: float = TIMEOUT_S) -> list[Answer]:
    """Ask every address once, redirects followed; nothing is downloaded beyond the answer's head."""
    import httpx

    agent = {"User-Agent": "Mozilla/5.0 (link check of a book)"}
    with httpx.Client(follow_redirects=True, timeout=timeout_s, headers=agent) as client:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            states = list(pool.map(lambda address: _ask(client, address), links))
    return [Answer(address, *state, tuple(pages)) for (address, pages), state in zip(links.items(), states)]


def _ask(client: object, address: str) -> tuple[str, str]:
    import httpx

    try:
        with client.stream("GET", address) as got:  # type: ignore[attr-defined]
            status = got.status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return "lost", f"{type(error).__name__}: {error}"
    if status < 400:
        return "ok", str(status)
    return ("refused" if status in REFUSED else "lost"), f"status {status}"
