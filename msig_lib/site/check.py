"""Check the rendered book: loads nothing from elsewhere, links resolve, headings and pictures in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED_LINKS = {
    "stylesheet",
    "icon",
    "shortcut",
    "preload",
    "prefetch",
    "modulepreload",
    "preconnect",
    "dns-prefetch",
    "manifest",
}
SOURCES = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "iframe": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
    "track": ("src",),
    "input": ("src",),
}
CSS_URL = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s;]+)""")
JS_IMPORT = re.compile(r"""(?:\bfrom|\bimport|\bimport\(|importScripts\()\s*["'](?:https?:)?//([^"'/]+)""")


@dataclass
class Page:
    """What one HTML page holds that can be checked."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    headings: list[int] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self.inside = ""
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        page, given = self.page, {name: value or "" for name, value in attrs}
        self.inside = tag if tag in ("style", "script") and not given.get("src") else ""
        if name := given.get("id"):
            if name in page.ids:
                page.problems.append(f"the id {name!r} is there twice")
            page.ids.add(name)
        if tag == "a" and given.get("name"):
            page.ids.add(given["name"])
        if tag in ("a", "area") and "href" in given:
            page.links.append(given["href"])
        if tag == "link" and LOADED_LINKS & set(given.get("rel", "").lower().split()):
            page.loads.append(given.get("href", ""))
        for name in SOURCES.get(tag, ()):
            if name in given:
                values = (
                    [part.split()[0] for part in given[name].split(", ")]
                    if name == "srcset"
                    else [given[name]]
                )
                page.loads.extend(values)
        page.loads.extend(CSS_URL.findall(given.get("style", "")))
        if re.fullmatch(r"h[1-6]", tag):
            page.headings.append(int(tag[1]))
        silent = given.get("aria-hidden") == "true"
        if tag == "img" and "alt" not in given and not silent:
            page.problems.append(f"<img src={given.get('src', '')!r}> has no alternative text")
        if given.get("role") == "img" and not (given.get("aria-label") or given.get("aria-labelledby")):
            page.problems.append(f'<{tag} role="img"> has no alternative text')

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "style":
            self.page.loads.extend(CSS_URL.findall(data))
        elif self.inside == "script":
            self.page.loads.extend(f"https://{host}" for host in JS_IMPORT.findall(data))


def check(folder: Path) -> list[str]:
    """Return everything that is wrong with the rendered book in `folder` (an empty list when nothing is).

    Scripts, styles, pictures, fonts and imports must be local and there; links within the book and their
    anchors must resolve (links to other sites are not followed); a page has exactly one h1, no id twice, and
    alternative text on every picture.
    """
    folder = folder.resolve()
    pages = {path: _read(path) for path in sorted(folder.rglob("*.html")) if not _asset(path, folder)}
    problems = []
    for path, page in pages.items():
        name = path.relative_to(folder).as_posix()
        found = [
            *page.problems,
            *_headings(page),
            *_loads(page.loads, path, folder),
            *_links(page, path, pages, folder),
        ]
        problems += [f"{name}: {problem}" for problem in found]
    for path in sorted(folder.rglob("*.css")):
        loads = CSS_URL.findall(path.read_text(encoding="utf-8", errors="replace"))
        problems += [
            f"{path.relative_to(folder)}: {problem}" for problem in _loads(loads, path, folder, there=False)
        ]
    for path in sorted(folder.rglob("*.js")):
        hosts = set(JS_IMPORT.findall(path.read_text(encoding="utf-8", errors="replace")))
        problems += [f"{path.relative_to(folder)}: imports from {host}" for host in sorted(hosts)]
    if not pages:
        problems.append(f"{folder} holds no page")
    return problems


def read_pages(folder: Path) -> dict[str, Page]:
    """Return {page, as a path within the book: what it holds} of a rendered book."""
    paths = (path for path in sorted(folder.rglob("*.html")) if not _asset(path, folder))
    return {path.relative_to(folder).as_posix(): _read(path) for path in paths}


def _asset(path: Path, folder: Path) -> bool:
    return path.relative_to(folder).parts[0] in ("_static", "_sources", "_images", "_downloads")


def _read(path: Path) -> Page:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    return reader.page


def _headings(page: Page) -> Iterator[str]:
    if page.headings.count(1) != 1:
        yield f"has {page.headings.count(1)} h1 headings; expected exactly one"


def _other_host(address: str) -> bool:
    return bool(urlsplit(address).netloc)


def _loads(addresses: list[str], path: Path, folder: Path, there: bool = True) -> Iterator[str]:
    for address in addresses:
        parts = urlsplit(address)
        if parts.netloc:
            yield f"loads {address} from another host"
        elif there and parts.scheme == "" and parts.path and not _target(parts.path, path, folder).is_file():
            yield f"loads {address}, which is not there"


def _target(address: str, path: Path, folder: Path) -> Path:
    base = folder if address.startswith("/") else path.parent
    return (base / unquote(address).lstrip("/")).resolve()


def _links(page: Page, path: Path, pages: dict[Path, Page], folder: Path) -> Iterator[str]:
    for address in page.links:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = _target(parts.path, path, folder) if parts.path else path
        if not target.exists():
            yield f"links to {address}, which is not there"
        elif parts.fragment and target in pages:
            anchor = unquote(parts.fragment)
            if anchor not in pages[target].ids and anchor not in ("", "top"):
                yield f"links to {address}, which has no such anchor"
