"""One HTTP request of a language model's server; the only place that ever holds the API key."""

from __future__ import annotations

import ipaddress
import json
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx

PATH = "/chat/completions"
MOST_BYTES = 32 * 2**20  # ours: a reply is some kilobytes; more is a mistake or an attack
SHOWN = 300  # characters of a server's own words in an error
MASK = "[API key]"
REPEATED = {408, 409, 425, 429}  # these and 5xx may go well the next time
_jitter = random.Random()  # only spreads waiting times, no result depends on it


@dataclass(frozen=True)
class Outcome:
    """What came of one request: `data`, a JSON object, or else `problem`.

    `again`: it may go well the next time; `wait`: not before so many seconds (Retry-After); `refused`: the
    server did not accept the request as it was put (400, 422).
    """

    data: dict[str, Any] | None = None
    problem: str = ""
    again: bool = False
    wait: float | None = None
    refused: bool = False


class Wire:
    """Where requests go and how; raises ValueError for an address that cannot be one.

    Holds the name of the key's environment variable, never the key. May be copied and pickled.
    """

    def __init__(self, base_url: str, *, key_env: str | None, timeout: float, connections: int) -> None:
        self.base_url = _checked_url(base_url)
        self.key_env = key_env
        self.timeout = timeout
        self.connections = connections
        self.local = _is_local(httpx.URL(self.base_url))

    def client(self) -> httpx.Client:
        """Return a client for several threads; close it after use. Redirects, which may leak, are not followed."""
        return httpx.Client(
            timeout=httpx.Timeout(self.timeout, connect=min(self.timeout, 10.0)),
            limits=httpx.Limits(max_connections=self.connections),
            trust_env=not self.local,  # proxies of the environment are for other machines
            verify=self.base_url.startswith("https:"),  # reading the certificates takes time
        )

    def post(self, client: httpx.Client, body: Mapping[str, Any]) -> Outcome:
        """Send one request and return what came of it; raises nothing that a server or a network can cause."""
        key, problem = self._key()
        if problem:
            return Outcome(problem=problem)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        start = time.monotonic()
        try:
            # ASCII only, so that half a surrogate pair in a text of the user's cannot fail here
            with client.stream(
                "POST",
                self.base_url + PATH,
                content=json.dumps(body).encode("ascii"),
                headers={**headers, "Content-Type": "application/json", "Accept": "application/json"},
            ) as response:
                raw = bytearray()
                for chunk in response.iter_bytes():
                    raw += chunk
                    if len(raw) > MOST_BYTES:
                        return Outcome(problem=f"the reply is longer than {MOST_BYTES} bytes", again=True)
                    if time.monotonic() - start > self.timeout:
                        raise httpx.ReadTimeout("")
                return _read(response, bytes(raw), key, self.key_env)
        except httpx.TimeoutException:
            return Outcome(problem=f"no whole reply within {self.timeout:g} s", again=True)
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            words = _without(key, str(error), 1) or type(error).__name__
            return Outcome(problem=f"the connection failed: {words[:SHOWN]}", again=True)

    def _key(self) -> tuple[str, str]:
        """Return (the key or "", why it must not be used or "")."""
        key = os.environ.get(self.key_env, "").strip() if self.key_env else ""
        if not all(33 <= ord(letter) <= 126 for letter in key):
            return (
                "",
                f"the environment variable {self.key_env} holds letters that no API key has; set it again",
            )
        if key and not self.local and self.base_url.startswith("http:"):
            return "", (
                f"the key in {self.key_env} would cross the network unencrypted: use an https address, "
                "or key_env=None for a server that needs no key"
            )
        return key, ""


def backoff(attempt: int, first: float, longest: float) -> float:
    """Return the seconds to wait before repetition `attempt` (from 0): doubled each time, half of it random."""
    return min(longest, first * 2.0 ** min(attempt, 60)) * _jitter.uniform(0.5, 1.0)


def _read(response: httpx.Response, raw: bytes, key: str, key_env: str | None) -> Outcome:
    status, kind = response.status_code, response.headers.get("content-type", "")
    data, flaw = (
        _parse(raw, key) if "json" in kind.lower() else (None, f"content type {kind!r:.60}, not JSON")
    )
    flaw = _without(key, flaw, 1)
    if status >= 300:
        words = _words(data) if data is not None else ""
        told = f"HTTP {status}" + (f": {_without(key, words, 1)[:SHOWN]}" if words else "")
        if status in (401, 403):
            told += f" (the key is read from the environment variable {key_env})" if key_env else ""
            told += "" if key or not key_env else ", which is not set"
        again = status in REPEATED or status >= 500
        return Outcome(
            problem=told,
            again=again,
            wait=_retry_after(response) if again else None,
            refused=status in (400, 422),
        )
    if data is None:
        return Outcome(problem=f"the reply is not in the protocol: {flaw}", again=True)
    return Outcome(data)


def _parse(raw: bytes, key: str) -> tuple[dict[str, Any] | None, str]:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return None, f"{len(raw)} bytes that are not whole JSON"
    if not isinstance(data, dict):
        return None, f"a JSON {type(data).__name__} instead of an object"
    return _masked(data, key), ""


def _masked(value: Any, key: str) -> Any:
    """Return parsed JSON without the key, wherever a server repeats it."""
    if isinstance(value, str):
        return _without(key, value, 8)  # shorter ones are placeholders ("EMPTY"), and words of real answers
    if isinstance(value, list):
        return [_masked(one, key) for one in value]
    if isinstance(value, dict):
        return {_without(key, name, 8): _masked(one, key) for name, one in value.items()}
    return value


def _without(key: str, text: str, shortest: int) -> str:
    for form in {key, quote(key, safe=""), json.dumps(key)[1:-1]} if len(key) >= shortest else ():
        text = text.replace(form, MASK)
    return text


def _words(data: Mapping[str, Any]) -> str:
    """Return what a server's error says, from the forms that are in use."""
    error = data.get("error", data.get("detail", data.get("message", "")))
    if isinstance(error, Mapping):
        error = error.get("message", "")
    return " ".join(str(error).split())


def _retry_after(response: httpx.Response) -> float | None:
    given = response.headers.get("retry-after", "").strip()
    try:
        seconds = float(given)
    except ValueError:
        try:
            at = parsedate_to_datetime(given)
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        seconds = (at - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if seconds == seconds else None


def _checked_url(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError):
        url = None
    if url is None or url.scheme not in ("http", "https") or not url.host:
        raise ValueError("base_url is no web address, expected one like http://127.0.0.1:8000/v1")
    if url.userinfo or url.query or url.fragment:  # may be secret, so it is not shown
        raise ValueError(
            f"base_url for {url.host} has a user, password, query or fragment, expected none: "
            "put the key in an environment variable and give its name as key_env"
        )
    return str(url).rstrip("/").removesuffix(PATH)


def _is_local(url: httpx.URL) -> bool:
    if url.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return False
