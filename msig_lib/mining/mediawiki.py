"""Articles of any wiki that runs MediaWiki, Wikipedia for one, as a library to search in."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msig_lib.mining.documents import Document, make_document
from msig_lib.mining.library import one_line
from msig_lib.mining.wiki_api import MOST_ROUNDS, WikiApi, WikiError

__all__ = ["MediaWiki", "WikiError", "prose"]

log = logging.getLogger(__name__)
PAGE = 50  # results a request; the API's limit for a stranger's list
MOST_RESULTS = PAGE * MOST_ROUNDS
LONGEST_QUERY = 300  # characters; Wikipedia's search takes no longer ones
NO_TITLE = re.compile(r"[#<>\[\]|{}]")  # what no title has; "|" would ask for several pages
HEADING = re.compile(r"(={2,6}) ?(.+?) ?\1")
END_MATTER = frozenset(
    "bibliography|citations|external links|footnotes|further reading|notes|notes and references|references|see also|"
    "sources|works cited".split("|")
)
"""Headings of lists and links, which have no sentences."""


class MediaWiki:
    """A `Library` of a wiki's articles; `base_url` is the address of its api.php, https or on this machine.

    `user_agent` says who asks and how to reach them, as Wikipedia's rules want it. One request is made at a time,
    `delay` seconds after the last one's end. `timeout` is the most seconds it may take in all, `retries` how often
    it is repeated after 429 (waiting as Retry-After says, at most `longest_wait` seconds), 408, 5xx, a wiki that is
    behind or busy, a lost connection, a timeout or a broken reply. HTTP redirects are not followed. `cache` is a
    folder, True (the user's) or False; what is in it is never asked again: delete it to get newer articles.
    Raises ValueError for impossible settings.

    Pages come as plain text: whatever they say is data. Attributes: `name` (the host), `fingerprint` (address; the
    wiki's edits are not seen), `usage`, and `problems`, why a title gave no article: "missing", "disambiguation",
    "no text", "no possible title" or "on another wiki".

    >>> address = "https://en.wikipedia.org/w/api.php"
    >>> wiki = MediaWiki(address, user_agent="my-corpus/1.0 (me@example.org)")
    >>> wiki.search("list of steam engines", 3)  # doctest: +SKIP
    """

    def __init__(
        self,
        base_url: str,
        *,
        user_agent: str,
        cache: Path | str | bool = True,
        timeout: float = 30.0,
        retries: int = 5,
        delay: float = 1.0,
        longest_wait: float = 60.0,
    ) -> None:
        self.api = WikiApi(
            base_url,
            user_agent=user_agent,
            cache=cache,
            timeout=timeout,
            retries=retries,
            delay=delay,
            longest_wait=longest_wait,
        )
        self.name = self.api.url.netloc.decode("ascii")
        self.fingerprint = hashlib.sha256(str(self.api.url).encode()).hexdigest()
        self.usage = self.api.usage
        self.problems: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"MediaWiki({str(self.api.url)!r})"

    def search(self, query: str, limit: int) -> list[str]:
        """Return at most `limit` titles of articles, best first; [] where nothing is found.

        Of a query longer than 300 characters the first are searched for. Raises ValueError for a blank one and an
        impossible limit, and WikiError.
        """
        words = one_line(query)[:LONGEST_QUERY].strip()
        if not words or not 1 <= limit <= MOST_RESULTS:
            raise ValueError(
                f"query is {query!r:.80}, limit {limit}: expected words, and 1 to {MOST_RESULTS}"
            )
        asked = {"list": "search", "srsearch": words, "srnamespace": 0, "srinfo": "", "srprop": ""}
        found: dict[str, None] = {}
        for reply in self.api.replies({**asked, "srlimit": min(limit, PAGE)}):
            known = len(found)
            found |= dict.fromkeys(one_line(one["title"]) for one in reply["search"])
            if len(found) >= limit or len(found) == known:
                break
        return list(found)[:limit]

    def article(self, title: str) -> Document | None:
        """Return the article of a title, or of the page that it redirects to; None where `problems` says why.

        Its id is "<host>:<page>@<revision>". Headings and the lists at its end are left out. Raises WikiError.
        """
        title = one_line(title)
        if not title or NO_TITLE.search(title):
            self.problems[title] = "no possible title"
            return None
        asked = {
            "titles": title,
            "redirects": 1,
            "prop": "extracts|info|pageprops",
            "ppprop": "disambiguation",
        }
        page: dict[str, Any] = {}
        for reply in self.api.replies({**asked, "explaintext": 1, "exsectionformat": "wiki", "exlimit": 1}):
            for one in reply.get("pages", []):  # of one page, in parts if it is continued
                if page and page["title"] != one["title"]:
                    raise WikiError(f"{self.api.url}: several pages came for the title {title!r}")
                page |= one
        problem = _problem(page)
        if not problem and "extract" not in page:
            raise WikiError(f"{self.api.url}: it gives no plain text, its extension TextExtracts is missing")
        revision = f"@{page['lastrevid']}" if "lastrevid" in page else ""
        mark = one_line(f"{self.name}:{page.get('pageid', title)}{revision}")
        document = make_document(prose(page.get("extract", "")), mark, one_line(page.get("title", "")))
        if not problem and document.sentences:
            return document
        self.problems[title] = problem or "no text"
        log.info("%s: %r is no article: %s", self.name, title, self.problems[title])
        return None


def prose(extract: str) -> str:
    """Return the paragraphs of a plain-text extract, a blank line between them.

    Headings ("== History ==") go, and sections of links and references with all that is in them. Control
    characters become spaces.
    """
    kept = []
    skipped = 0  # the level of the heading whose section is left out; 0: none is
    for line in map(one_line, extract.splitlines()):
        heading = HEADING.fullmatch(line)
        if heading:
            level = len(heading[1])
            if not skipped or level <= skipped:
                skipped = level if heading[2].casefold() in END_MATTER else 0
        elif line and not skipped:
            kept.append(line)
    return "\n\n".join(kept)


def _problem(page: Mapping[str, Any]) -> str:
    """Return why a page is no article, "" if it is one."""
    if not page:
        return "on another wiki"
    if page.get("invalid"):
        return "no possible title"
    if page.get("missing") or page.get("special"):
        return "missing"
    properties = page.get("pageprops")
    return "disambiguation" if isinstance(properties, dict) and "disambiguation" in properties else ""
