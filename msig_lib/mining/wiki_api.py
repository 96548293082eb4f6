"""Questions to a wiki's web API: asked politely, checked, and kept on disk so that none is asked twice."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from msig_lib.cachedir import cache_dir
from msig_lib.datasets.hashing import aside, write_whole
from msig_lib.errors import MsigError
from msig_lib.lm.generate import Usage
from msig_lib.lm.wire import REPEATED, SHOWN, Outcome, _is_local, _retry_after, backoff
from msig_lib.mining.library import one_line

log = logging.getLogger(__name__)
MOST_BYTES = 8 * 2**20  # ours: the longest articles have some hundred kilobytes
MOST_ROUNDS = 20  # ours: replies that one question may be continued over
MAXLAG = 5  # seconds that the wiki's copies may be behind; its manual's advice
FIRST_WAIT = 1.0  # ours: seconds before the first repetition, doubled each time
JITTER = 0.25  # ours: of that, added to Retry-After
BUSY = {"maxlag", "ratelimited", "readonly"}  # the API's codes of errors that pass


class WikiError(MsigError):
    """Raised when a wiki gives no usable reply; what it replied before is in the cache."""


class WikiApi:
    """The api.php of a wiki at `base_url`; for the settings see `mediawiki.MediaWiki`."""

    def __init__(
        self,
        base_url: str,
        *,
        user_agent: str,
        cache: Path | str | bool,
        timeout: float,
        retries: int,
        delay: float,
        longest_wait: float,
    ) -> None:
        self.url = _checked_url(base_url)
        told = isinstance(user_agent, str) and user_agent.isascii() and user_agent.isprintable()
        if not told or not ("@" in user_agent or "://" in user_agent):
            raise ValueError(
                f"user_agent is {user_agent!r:.80}, expected who asks and how to reach them, in ASCII: "
                "'my-corpus/1.0 (me@example.org)'"
            )
        if not timeout > 0 or retries < 0 or not delay >= 0 or not longest_wait >= 0:
            raise ValueError(
                f"timeout {timeout}, retries {retries}, delay {delay}, longest_wait {longest_wait}: expected "
                "above 0, and 0 or more for the others"
            )
        self.local = _is_local(self.url)
        self.user_agent = user_agent
        self.timeout, self.retries, self.delay, self.longest_wait = timeout, retries, delay, longest_wait
        folder = cache_dir("wiki") if cache is True else cache
        self.folder = Path(folder) if folder is not False else None
        self.usage = Usage()
        self._free_from = 0.0  # when the next request may be made, by the monotonic clock

    def replies(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the `query` part of each reply to a question, until it is not continued; WikiError without one.

        Checked are the forms of `search` and `pages`: lists of objects with a title.
        """
        params = {"action": "query", "format": "json", "formatversion": 2, "maxlag": MAXLAG, **asked}
        for _ in range(MOST_ROUNDS):
            data = self._ask({name: str(value) for name, value in params.items()})
            yield data.get("query", {})
            if "continue" not in data:
                return
            params |= data["continue"]
        raise WikiError(f"{self.url}: it continues after {MOST_ROUNDS} replies to one question")

    def _ask(self, params: dict[str, str]) -> dict[str, Any]:
        """Return the reply to a request, from the cache or the wiki."""
        start = time.perf_counter()
        path = None
        request = [str(self.url), params]
        data = None
        if self.folder is not None:
            path = self.folder / f"{_sha256(request)}.json"
            data = _kept(path, request)
        self.usage.cached += data is not None
        if data is None:
            try:
                data = self._request(params)
            finally:
                self.usage.seconds += time.perf_counter() - start
            if path is not None:
                _keep(path, request, data)
        self.usage.answers += 1
        return data

    def _request(self, params: dict[str, str]) -> dict[str, Any]:
        """Return the wiki's reply, after as many tries as it takes."""
        problem = ""
        for attempt in range(self.retries + 1):
            time.sleep(max(0.0, self._free_from - time.monotonic()))
            outcome = self._get(params)
            self._free_from = time.monotonic() + self.delay
            self.usage.calls += 1
            self.usage.retries += attempt > 0
            if outcome.data is not None:
                return outcome.data
            problem = outcome.problem
            pause = backoff(attempt, FIRST_WAIT, self.longest_wait)
            if outcome.wait is not None:
                if outcome.wait > self.longest_wait:
                    asks = f"it asks to wait {outcome.wait:.0f} s, longer than longest_wait"
                    raise WikiError(f"{self.url}: {problem}; {asks} ({self.longest_wait:g} s)")
                pause = outcome.wait + pause * JITTER
            if not outcome.again:
                raise WikiError(f"{self.url}: {problem}")
            log.info("%s: %s (try %d of %d)", self.url, problem, attempt + 1, self.retries + 1)
            self._free_from = max(self._free_from, time.monotonic() + pause)
        raise WikiError(f"{self.url}: {problem} ({self.retries + 1} tries)")

    def _get(self, params: dict[str, str]) -> Outcome:
        """Make one request; raises nothing that a server or a network can cause."""
        start = time.monotonic()
        headers = {"User-Agent": self.user_agent, "Accept": "application/json"}
        try:
            with (
                # proxies of the environment are for other machines; redirects are not followed
                httpx.Client(timeout=self.timeout, trust_env=not self.local, verify=not self.local) as client,
                client.stream("GET", self.url, params=params, headers=headers) as response,
            ):
                raw = bytearray()
                for chunk in response.iter_bytes():
                    raw += chunk
                    if len(raw) > MOST_BYTES:
                        return Outcome(problem=f"the reply is longer than {MOST_BYTES} bytes")
                    if time.monotonic() - start > self.timeout:
                        raise httpx.ReadTimeout("")
                return _read(response, bytes(raw), searched="list" in params)
        except httpx.TimeoutException:
            return Outcome(problem=f"no whole reply within {self.timeout:g} s", again=True)
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            words = one_line(str(error)) or type(error).__name__
            return Outcome(problem=f"the connection failed: {words[:SHOWN]}", again=True)


def _read(response: httpx.Response, raw: bytes, searched: bool) -> Outcome:
    status, kind = response.status_code, one_line(response.headers.get("content-type", ""))
    if 300 <= status < 400:
        to = one_line(response.headers.get("location", "nowhere"))[:SHOWN]
        return Outcome(problem=f"HTTP {status} to {to}: not followed; if it is right, give it as base_url")
    data: Any = None
    flaw = f"content type {kind[:60]!r}, not JSON; base_url should be the address of the wiki's api.php"
    is_json = "json" in kind.lower()
    if is_json:
        try:
            data = json.loads(raw)
            flaw = _flaw(data, searched)
        except (ValueError, RecursionError):
            flaw = f"{len(raw)} bytes that are not whole JSON"
    error = data.get("error") if isinstance(data, dict) else None
    if status >= 400 or error is not None:
        error = error if isinstance(error, dict) else {}
        code = str(error.get("code", ""))
        again = status in REPEATED or status >= 500 or code in BUSY or code.startswith("internal_api_error")
        told = one_line(f"HTTP {status} {code} {error.get('info', '')}")[:SHOWN]
        return Outcome(problem=told, again=again, wait=_retry_after(response) if again else None)
    if flaw:
        return Outcome(problem=f"the reply is not in the protocol: {flaw}", again=is_json)
    return Outcome(data)


def _flaw(data: Any, searched: bool) -> str:
    """Return what a reply lacks of the API's form, "" if nothing that is read here."""
    if not isinstance(data, dict):
        return f"a JSON {type(data).__name__} instead of an object"
    query = data.get("query", {} if "batchcomplete" in data else None)
    if not isinstance(query, dict) or (searched and "search" not in query):
        return "no results in it"
    if not isinstance(data.get("continue", {}), dict):
        return "its continuation is no object"
    for name in ("search", "pages"):
        rows = query.get(name, [])
        if not isinstance(rows, list) or not all(
            isinstance(one, dict)
            and isinstance(one.get("title"), str)
            and isinstance(one.get("extract", ""), str)
            for one in rows
        ):
            return f"its {name} are no list of titles"
    return ""


def _kept(path: Path, request: list[Any]) -> dict[str, Any] | None:
    """Return the reply kept for a request; a file that does not hold its own hash is set aside."""
    try:
        raw = path.read_bytes()
        try:
            kept = json.loads(raw)
            if kept.pop("sha256") == _sha256(kept) and kept["request"] == request:
                return kept["reply"]
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            pass
        moved = aside(path, hashlib.sha256(raw).hexdigest())
        log.warning("a damaged reply in the cache is kept as %s and asked for again", moved)
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("the reply in the cache %s cannot be read (%s)", path, error)
    return None


def _keep(path: Path, request: list[Any], reply: dict[str, Any]) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    kept = {"request": request, "fetched": now, "reply": reply}
    try:
        write_whole(path, json.dumps({**kept, "sha256": _sha256(kept)}).encode("ascii"))
    except OSError as error:
        log.warning("the reply cannot be kept as %s (%s)", path, error)


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("ascii")).hexdigest()


def _checked_url(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError):
        url = httpx.URL("")
    if not url.host or not (url.scheme == "https" or (url.scheme == "http" and _is_local(url))):
        raise ValueError(
            "base_url is no address that can be asked, expected the https address of a wiki's api.php: "
            "https://en.wikipedia.org/w/api.php (http only on this machine)"
        )
    if url.userinfo or url.query or url.fragment:  # may be secret, so it is not shown
        raise ValueError(f"base_url for {url.host} has a user, password, query or fragment, expected none")
    return url
