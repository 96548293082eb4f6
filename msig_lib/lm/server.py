"""A language model behind any server that speaks the OpenAI chat completions protocol."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from msig_lib.errors import MsigError
from msig_lib.lm.answers import AnswerCache
from msig_lib.lm.generate import Completion, Message, Prompt, Sampling, Usage, check_prompts, request_key
from msig_lib.lm.wire import Wire, backoff

log = logging.getLogger(__name__)
MOST_AT_ONCE = 16  # ours: samples a request; a lost reply loses no more than these
RETRY_JITTER = 0.25  # ours: of the backoff, added to Retry-After so that requests do not come back together
_LOCK = threading.Lock()  # of all usages; in the module, so that a server can be copied


class ServerError(MsigError):
    """Raised when a server gives no usable answer; what was answered before is kept in the cache."""


@dataclass(frozen=True)
class _Task:
    """Samples `indices` of prompt number `row`, asked for in one request."""

    row: int
    indices: tuple[int, ...]


@dataclass(frozen=True)
class _Reply:
    """The answers by key that one request brought, in the order asked for, or why it brought none."""

    answers: dict[str, Completion] = field(default_factory=dict)
    problem: str = ""
    refused: bool = False


class OpenAIServer:
    """A `TextModel` that asks `<base_url>/chat/completions`, several requests at a time.

    `key_env` names the environment variable that holds the API key (None: no key is sent). It is read for
    every request and kept nowhere: not in this object, errors, logs or the cache, even where the server
    repeats it. A key is only ever sent over https or to this machine. `timeout` is the most seconds a request
    may take in all, `retries` how often it is repeated after 429 (waiting as Retry-After says), 408, 5xx, a
    lost connection, a timeout or an answer that is not in the protocol. `cache` is an `AnswerCache`, a file
    for one, True (the user's) or False. `extra` adds fields to the request, None takes one out:
    `{"max_tokens": None, "max_completion_tokens": 400}`.

    Attributes: `name`, `fingerprint` (address, model and extra fields: whatever else the server may change is
    not seen), `usage`.

    >>> model = OpenAIServer("http://127.0.0.1:8000/v1", "some-model", key_env=None)
    >>> model.complete(["Say hello."], n=2, seed=0)  # doctest: +SKIP
    [[Completion(text='Hello!', ...), Completion(text='Hello.', ...)]]
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        key_env: str | None = "OPENAI_API_KEY",
        timeout: float = 60.0,
        retries: int = 5,
        concurrency: int = 4,
        cache: AnswerCache | Path | str | bool = True,
        extra: Mapping[str, Any] | None = None,
        first_wait: float = 0.5,
        longest_wait: float = 60.0,
    ) -> None:
        if not isinstance(model, str) or not model:
            raise ValueError(f"model is {model!r}, expected the name that the server knows the model by")
        if not timeout > 0 or retries < 0 or concurrency < 1:
            raise ValueError(
                f"timeout {timeout}, retries {retries}, concurrency {concurrency}: expected above 0, "
                "0 or more, and 1 or more"
            )
        self.wire = Wire(base_url, key_env=key_env, timeout=timeout, connections=concurrency)
        self.name = model
        self.retries = retries
        self.concurrency = concurrency
        self.first_wait = first_wait
        self.longest_wait = longest_wait
        self.extra = json.loads(json.dumps(dict(extra or {})))  # a copy that is plain JSON
        if isinstance(cache, bool):
            self.cache = AnswerCache() if cache else None
        else:
            self.cache = cache if isinstance(cache, AnswerCache) else AnswerCache(cache)
        parts = json.dumps([self.wire.base_url, model, self.extra], sort_keys=True)
        self.fingerprint = hashlib.sha256(parts.encode()).hexdigest()
        self.usage = Usage()
        self._one_at_a_time = False  # the server was seen to ignore or refuse `n`
        self._least = True  # the server was not seen to refuse `min_tokens`

    def __repr__(self) -> str:
        return f"OpenAIServer({self.wire.base_url!r}, {self.name!r})"

    def complete(
        self,
        prompts: Sequence[Prompt],
        *,
        n: int = 1,
        sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
        seed: int,
    ) -> list[list[Completion]]:
        """Return `n` completions of every prompt; only what the cache lacks is asked of the server.

        The seed is sent along, a different one for each sample, and a server may or may not obey it: what
        makes a run repeatable is the cache. `min_tokens` is sent too, unless the server refuses it. Where a
        reply to `n` > 1 gives only the sum of its tokens, each completion has its share. Raises ServerError
        when a request fails for good; answers that came before it are in the cache, so that the same call
        goes on from there.
        """
        asked = check_prompts(prompts)
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"n is {n!r}, expected a whole number from 1")
        start = time.perf_counter()
        seen: Counter[tuple[Message, ...]] = Counter()
        keys: list[list[str]] = []
        for prompt in asked:
            keys.append(
                [request_key(self.fingerprint, prompt, sampling, seed, seen[prompt], i) for i in range(n)]
            )
            seen[prompt] += 1
        found = self.cache.get([key for row in keys for key in row]) if self.cache is not None else {}
        cached = len(found)
        try:
            missing = [tuple(i for i in range(n) if row[i] not in found) for row in keys]
            self._ask_all(asked, keys, missing, sampling, found)
        finally:
            with _LOCK:
                self.usage.cached += cached
                self.usage.answers += len(found)
                self.usage.seconds += time.perf_counter() - start
        return [[found[key] for key in row] for row in keys]

    def _ask_all(
        self,
        prompts: list[tuple[Message, ...]],
        keys: list[list[str]],
        missing: list[tuple[int, ...]],
        sampling: Sampling,
        found: dict[str, Completion],
    ) -> None:
        """Ask for the `missing` samples of every prompt, `concurrency` requests at a time, into `found`."""
        todo = [task for row, indices in enumerate(missing) for task in self._tasks(row, indices)][::-1]
        if not todo:
            return
        stop = threading.Event()
        failure = ""
        running: dict[Future[_Reply], tuple[_Task, bool]] = {}
        with self.wire.client() as client, ThreadPoolExecutor(self.concurrency) as pool:
            try:
                while running or (todo and not failure):
                    while todo and not failure and len(running) < self.concurrency:
                        task = todo.pop()
                        if self._one_at_a_time and len(task.indices) > 1:
                            todo += self._tasks(task.row, task.indices)[::-1]
                            continue
                        row_keys = [keys[task.row][i] for i in task.indices]
                        body = self._body(prompts[task.row], row_keys, sampling)
                        future = pool.submit(self._ask, client, body, row_keys, sampling.stop, stop)
                        running[future] = task, "min_tokens" in body
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        (task, had_least), reply = running.pop(future), future.result()
                        found.update(reply.answers)
                        rest = task.indices[len(reply.answers) :]
                        if reply.refused and had_least:  # no field of the protocol: some refuse it
                            self._least = False
                            todo.append(task)
                        elif rest and (reply.answers or (reply.refused and len(rest) > 1)):
                            self._one_at_a_time = True
                            todo += self._tasks(task.row, rest)[::-1]
                        elif rest and not failure:
                            failure = reply.problem
                            stop.set()
            finally:  # requests under way end, and their answers are kept, also after Ctrl-C
                stop.set()
        if failure:
            raise self._error(failure, sum(map(len, keys)), len(found))

    def _tasks(self, row: int, indices: tuple[int, ...]) -> list[_Task]:
        size = 1 if self._one_at_a_time else MOST_AT_ONCE
        return [_Task(row, indices[start : start + size]) for start in range(0, len(indices), size)]

    def _body(self, prompt: tuple[Message, ...], keys: list[str], sampling: Sampling) -> dict[str, Any]:
        """Return the request for as many samples as `keys`; the seed follows from the first of them."""
        body: dict[str, Any] = {
            "model": self.name,
            "messages": [{"role": one.role, "content": one.content} for one in prompt],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": int(keys[0][:7], 16),
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.min_tokens and self._least:
            body["min_tokens"] = sampling.min_tokens
        if len(keys) > 1:
            body["n"] = len(keys)
        return {name: value for name, value in {**body, **self.extra}.items() if value is not None}

    def _ask(
        self,
        client: httpx.Client,
        body: dict[str, Any],
        keys: list[str],
        stop: tuple[str, ...],
        halt: threading.Event,
    ) -> _Reply:
        """Send one request until it is answered or given up; answers are on the disk when this returns."""
        for attempt in range(self.retries + 1):
            outcome = self.wire.post(client, body)
            completions: list[Completion] = []
            problem = outcome.problem
            if outcome.data is not None:
                try:
                    completions = read_completions(outcome.data, len(keys), stop)
                except ValueError as error:
                    problem = f"the reply is not in the protocol: {error}"
            again = outcome.again or outcome.data is not None
            self._count(outcome.data, attempt)
            if completions:
                answers = dict(zip(keys, completions))
                if self.cache is not None:
                    self.cache.put(answers, model=self.name)
                return _Reply(answers)
            pause = backoff(attempt, self.first_wait, self.longest_wait)
            if outcome.wait is not None:
                if outcome.wait > self.longest_wait:
                    asks = f"the server asks to wait {outcome.wait:.0f} s, longer than longest_wait"
                    return _Reply(problem=f"{problem}; {asks} ({self.longest_wait:g} s)")
                pause = outcome.wait + pause * RETRY_JITTER
            if not again:
                return _Reply(problem=problem, refused=outcome.refused)
            log.info("%s: %s (try %d of %d)", self.name, problem, attempt + 1, self.retries + 1)
            if attempt == self.retries or halt.wait(pause):
                break
        return _Reply(problem=f"{problem} ({attempt + 1} tries)")

    def _count(self, data: dict[str, Any] | None, attempt: int) -> None:
        reported = (data or {}).get("usage")
        reported = reported if isinstance(reported, dict) else {}
        with _LOCK:
            self.usage.calls += 1
            self.usage.retries += attempt > 0
            self.usage.prompt_tokens += _number(reported.get("prompt_tokens"))
            self.usage.completion_tokens += _number(reported.get("completion_tokens"))

    def _error(self, problem: str, wanted: int, known: int) -> ServerError:
        kept = ""
        if self.cache is not None and known:
            kept = f" {known} of {wanted} answers are in the cache, the same call goes on from there."
        return ServerError(f"{self.wire.base_url}, model {self.name}: {problem}.{kept}")


def read_completions(data: dict[str, Any], asked: int, stop: tuple[str, ...] = ()) -> list[Completion]:
    """Return the completions of a reply, at most `asked`; ValueError says what is missing or wrong."""
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices:
        raise ValueError("it has no choices")
    found: list[tuple[str, str]] = []
    for choice in choices[:asked]:
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict) or "content" not in message:
            raise ValueError("a choice has no message with content")
        finish, text = choice.get("finish_reason"), message["content"]
        if text is None and isinstance(finish, str):
            text = ""  # a refusal, or a model that was still thinking at max_tokens
        if not isinstance(text, str):
            raise ValueError(f"a message's content is a {type(text).__name__}, not a string")
        places = [place for place in map(text.find, stop) if place >= 0]
        text = text[: min(places)] if places else text
        found.append((text, "length" if finish == "length" and not places else "stop"))
    reported = data.get("usage")
    total = _number(reported.get("completion_tokens") if isinstance(reported, dict) else None)
    each, more = divmod(total, len(found))
    return [Completion(text, finish, each + (i < more)) for i, (text, finish) in enumerate(found)]


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
