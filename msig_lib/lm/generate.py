"""What writes text: prompts, how to sample, completions, and the one interface of all language models."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, Protocol

Finish = Literal["stop", "length"]
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn; temperature 0 is greedy. Raises ValueError for impossible values.

    `stop` lists strings that end a completion; they are not part of its text.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 128  # thesis 3.5.5: generated texts have 64 to 128 tokens
    min_tokens: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.stop, str):
            raise TypeError(
                f"stop is the string {self.stop!r}, expected a tuple of strings: ({self.stop!r},)"
            )
        object.__setattr__(self, "stop", tuple(self.stop))
        if not all(isinstance(one, str) and one for one in self.stop):
            raise ValueError(f"stop is {self.stop!r}, expected strings that are not empty")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature is {self.temperature}, expected 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}, expected above 0 and at most 1")
        if self.max_tokens < 1 or not 0 <= self.min_tokens <= self.max_tokens:
            raise ValueError(
                f"max_tokens is {self.max_tokens} and min_tokens {self.min_tokens}, "
                "expected 1 or more, and 0..max_tokens"
            )


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; `role` is system, user or assistant."""

    role: str
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"role is {self.role!r}, expected one of {', '.join(ROLES)}")
        if not isinstance(self.content, str):
            raise TypeError(f"content is a {type(self.content).__name__}, expected a string")


Prompt = str | tuple[Message, ...]


@dataclass(frozen=True)
class Completion:
    """One completion of a prompt.

    `finish` is "stop" (the model ended, or a stop string came) or "length" (`max_tokens` came first).
    `tokens` counts what was drawn. `logprobs` holds one natural logarithm a token, None where not known.
    """

    text: str
    finish: Finish = "stop"
    tokens: int = 0
    logprobs: tuple[float, ...] | None = None


@dataclass
class Usage:
    """What a model was asked so far.

    `calls` counts what was really computed or requested (for a server HTTP requests, retries included),
    `answers` the completions given, `cached` those of them that cost no call. `seconds` is the time spent
    inside `complete`.
    """

    calls: int = 0
    answers: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    seconds: float = 0.0


class TextModel(Protocol):
    """A language model: a world's oracle, a local checkpoint, a server.

    `fingerprint` tells apart any two models that could answer differently, as far as that can be known.
    """

    name: str
    fingerprint: str
    usage: Usage

    def complete(
        self,
        prompts: Sequence[Prompt],
        *,
        n: int = 1,
        sampling: Sampling = Sampling(),
        seed: int,
    ) -> list[list[Completion]]:
        """Return `n` completions of every prompt, in order. The same seed asks for the same answers."""
        ...


def messages(prompt: Prompt) -> tuple[Message, ...]:
    """Return a prompt as messages: a string is what the user says. TypeError or ValueError for no prompt."""
    if isinstance(prompt, str):
        return (Message("user", prompt),)
    found = tuple(prompt) if isinstance(prompt, (tuple, list)) else None
    if found is None or not all(isinstance(one, Message) for one in found):
        raise TypeError(f"a prompt is {prompt!r:.80}, expected a string or a tuple of Message")
    if not found:
        raise ValueError("a prompt has no messages, expected at least one")
    return found


def check_prompts(prompts: Sequence[Prompt]) -> list[tuple[Message, ...]]:
    """Return every prompt as messages; TypeError for one bare string or for what is no prompt."""
    if isinstance(prompts, str):
        raise TypeError("prompts is one string, expected a list of prompts: pass [prompt]")
    return [messages(prompt) for prompt in prompts]


def request_key(
    fingerprint: str,
    prompt: Sequence[Message],
    sampling: Sampling,
    seed: int,
    occurrence: int,
    index: int,
) -> str:
    """Return the SHA-256 that names one answer in a cache.

    `occurrence` says how often the same prompt came before in the same call, so that `[prompt] * 8` asks for
    eight answers; `index` is the answer's number among the `n` of its prompt.
    """
    turns = [[one.role, one.content] for one in prompt]
    parts = [fingerprint, turns, asdict(sampling), int(seed), occurrence, index]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
