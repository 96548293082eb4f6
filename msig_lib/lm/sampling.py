"""Sample from a decoder: prompts read once, their samples drawn together, finished ones dropped."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from msig_lib.lm.generate import Sampling
from msig_lib.lm.vision_inputs import check_rows, digest, image_inputs
from msig_lib.lm.vision_prefix import SHARED_PREFIX, SharedPrefixLayer

ROOM = 32  # ours: steps that a grown cache leaves free
HEAP = (
    2**25 - 2**18
)  # bytes: once so many are freed, glibc gives no smaller block back; measured 1.15 times as fast
DROP_SHARE = 0.2  # ours: finished rows are dropped once they are this share; dropping copies the cache


@dataclass(frozen=True)
class Sampled:
    """One sampled continuation.

    `ids` with the end token, if it came; `logprobs` float32, one a token: the model's own, at temperature 1
    and over its whole vocabulary whatever the sampling. `finish`: "stop" (end token, or `done` said so) or
    "length".
    """

    ids: tuple[int, ...]
    logprobs: np.ndarray
    finish: str


def sample(
    model: torch.nn.Module,
    prompts: Sequence[Sequence[int]],
    n: int = 1,
    sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
    *,
    seed: int,
    end: Sequence[int] | None = None,
    suppress: Sequence[int] = (),
    done: Callable[[Sequence[int]], bool] | None = None,
    rows: int = 256,
    images: Sequence[Sequence[np.ndarray] | None] | None = None,
) -> list[list[Sampled]]:
    """Draw `n` continuations of every prompt (token ids, at least one each).

    A prompt is read once and its cache shared out to its samples. Sample k of a prompt depends on the seed,
    the prompt, k, and how often the same prompt came before it, but on no other prompt (up to the rounding of
    a batched product) and not on n. Temperature 0 is greedy; `min_tokens` holds back end tokens only.

    `end`: end tokens (default: the model's); `suppress`: tokens never drawn; `done(ids)`: asked after each
    token whether a sample is finished (stop strings); `rows`: at most so many samples are drawn together;
    `images`: those of each prompt (uint8 [k, H, W, 3], None for none), which are part of it and hold its place
    as the image tokens of `lm.vision.image_prompt`. A model that reads images never draws an image token.
    Raises ValueError for an empty prompt, or one that leaves no room in the model's context; `max_tokens` is
    cut to that room.
    """
    prompts = [tuple(prompt) for prompt in prompts]
    if n < 1 or rows < 1:
        raise ValueError(f"n is {n} and rows {rows}, expected numbers from 1")
    limit = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    for i, prompt in enumerate(prompts):
        if not prompt:
            raise ValueError(f"prompts[{i}] is empty: a decoder needs a token to start from, usually <bos>")
        if limit is not None and len(prompt) >= limit:
            raise ValueError(
                f"prompts[{i}] has {len(prompt)} tokens, but the model reads {limit} with its answer: shorten it"
            )
    end = _end_tokens(model) if end is None else tuple(end)
    never = getattr(model.config, "image_token_id", None)
    draw = _Draw(sampling, end, (*suppress, *(() if never is None else (never,))), done, limit)
    if images is not None:
        check_rows(model, prompts, images)
    images = [None] * len(prompts) if images is None else images
    seen: Counter[tuple[Any, ...]] = Counter()
    keys = []
    for prompt, own in zip(prompts, images):
        named = prompt, digest(own)
        keys.append(_key(seed, *named, seen[named]))
        seen[named] += 1
    out: list[list[Sampled]] = [[] for _ in prompts]
    torch.empty(HEAP, dtype=torch.uint8)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for chosen, first, count in _groups([len(prompt) for prompt in prompts], n, rows):
                shown = image_inputs(model, [images[i] for i in chosen if images[i] is not None])
                found = _sample_group(
                    model, [prompts[i] for i in chosen], shown, [keys[i] for i in chosen], first, count, draw
                )
                for place, i in enumerate(chosen):
                    out[i] += found[place * count : (place + 1) * count]
    finally:
        model.train(was_training)
    return out


@dataclass(frozen=True)
class _Draw:
    """What is the same for every group."""

    sampling: Sampling
    end: tuple[int, ...]
    suppress: tuple[int, ...]
    done: Callable[[Sequence[int]], bool] | None
    limit: int | None

    def room(self, length: int) -> int:
        """Return how many tokens may follow a prompt of `length` tokens."""
        most = self.sampling.max_tokens
        return most if self.limit is None else min(most, self.limit - length)


def _groups(lengths: Sequence[int], n: int, rows: int) -> Iterator[tuple[list[int], int, int]]:
    """Yield (prompts of like length, number of their first sample, samples a prompt) within `rows`."""
    order = np.argsort(lengths, kind="stable").tolist()
    together = max(1, rows // n)
    for start in range(0, len(order), together):
        for first in range(0, n, rows):
            yield order[start : start + together], first, min(rows, n - first)


def _sample_group(
    model: torch.nn.Module,
    prompts: Sequence[tuple[int, ...]],
    images: dict[str, Tensor],
    keys: Sequence[int],
    first: int,
    count: int,
    draw: _Draw,
) -> list[Sampled]:
    """Return `count` samples of each prompt, all drawn side by side; sample numbers start at `first`."""
    room = np.array([draw.room(len(prompt)) for prompt in prompts]).repeat(count)  # tokens a sample may have
    steps, total = int(room.max()), len(room)
    batch = _Batch(model, prompts, images, count, steps, draw.limit)
    device = batch.live.device
    uniform = _uniform(keys, first, count, steps).to(device)
    tokens = torch.zeros(total, steps, dtype=torch.int64, device=device)
    logprobs = torch.zeros(total, steps, device=device)
    length, finish = room.copy(), np.full(total, "length")
    open_ = np.ones(total, dtype=bool)  # by row of the batch: not finished
    end = torch.tensor(draw.end, dtype=torch.int64, device=device)
    for step in range(steps):
        token, logprob = _next(batch.logits, uniform[batch.live, step], step, draw)
        tokens[batch.live, step] = token
        logprobs[batch.live, step] = logprob
        over = torch.isin(token, end).cpu().numpy() & open_
        if draw.done is not None:
            for row in np.flatnonzero(open_ & ~over):
                over[row] = draw.done(tokens[batch.live[row], : step + 1].tolist())
        rows = batch.live.cpu().numpy()
        length[rows[over]], finish[rows[over]] = step + 1, "stop"
        open_ &= ~over & (room[rows] > step + 1)
        if not open_.any():
            break
        if (~open_).mean() >= DROP_SHARE:
            keep = torch.from_numpy(np.flatnonzero(open_)).to(device)
            batch.keep(keep)
            token, open_ = token[keep], np.ones(len(keep), dtype=bool)
        batch.advance(token)
    ids, values = tokens.cpu().numpy(), logprobs.cpu().numpy()
    return [
        Sampled(tuple(ids[row, : length[row]].tolist()), values[row, : length[row]], str(finish[row]))
        for row in range(total)
    ]


class _Batch:
    """The samples in the making: their cache, and `logits` [rows, vocabulary] of each one's next token.

    `live` holds the sample's number of each row. Prompts of unequal length are padded on the left.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        prompts: Sequence[tuple[int, ...]],
        images: dict[str, Tensor],
        count: int,
        steps: int,
        limit: int | None,
    ) -> None:
        self.model = model
        self.last = None if limit is None else limit - 1
        device = next(model.parameters()).device
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        self.width = int(lengths.max())
        ids = torch.zeros(len(prompts), self.width, dtype=torch.int64)
        for row, prompt in enumerate(prompts):
            ids[row, self.width - len(prompt) :] = torch.tensor(prompt)
        mask, position = None, None
        if bool((lengths < self.width).any()):
            mask = (torch.arange(self.width, device=device) >= (self.width - lengths)[:, None]).long()
            position = (mask.cumsum(1) - 1).clamp_min(0)
        self.cache = _cache(model)
        self.logits = self._read(ids.to(device), mask, position, **images).repeat_interleave(count, 0)
        self.cache.batch_repeat_interleave(count)
        self.position = lengths.repeat_interleave(count)
        self.live = torch.arange(len(self.position), device=device)
        self.mask = None
        if mask is not None:
            room = mask.new_ones(len(self.live), steps)
            self.mask = torch.cat([mask.repeat_interleave(count, 0), room], 1)

    def advance(self, token: Tensor) -> None:
        """Read one token a row, int64 [rows]."""
        self.width += 1
        mask = None if self.mask is None else self.mask[:, : self.width]
        self.logits = self._read(token[:, None], mask, self.position[:, None])
        self.position = self.position + 1
        if self.last is not None:  # finished rows that are not dropped yet may run over the context
            self.position = self.position.clamp_max(self.last)

    def keep(self, rows: Tensor) -> None:
        """Drop all other rows."""
        self.cache.batch_select_indices(rows)
        self.live, self.position = self.live[rows], self.position[rows]
        self.mask = None if self.mask is None else self.mask[rows]

    def _read(self, ids: Tensor, mask: Tensor | None, position: Tensor | None, **images: Tensor) -> Tensor:
        return self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=position,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
            **images,
        ).logits[:, -1]


def _next(logits: Tensor, uniform: Tensor, step: int, draw: _Draw) -> tuple[Tensor, Tensor]:
    """Return a token for every row of logits [b, vocabulary], and its log-probability under the model."""
    logits = logits.float()
    normaliser = logits.logsumexp(-1)
    banned = draw.suppress if step >= draw.sampling.min_tokens else (*draw.suppress, *draw.end)
    allowed = logits
    if banned:
        allowed = logits.index_fill(1, torch.tensor(banned, device=logits.device), -torch.inf)
    if draw.sampling.temperature == 0:
        token = allowed.argmax(1)
    else:
        token = invert(allowed, uniform, draw.sampling.temperature, draw.sampling.top_p)
    return token, logits.gather(1, token[:, None])[:, 0] - normaliser


def invert(logits: Tensor, uniform: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """Return int64 [b]: the token at which each row's cumulative distribution passes `uniform` in [0, 1).

    One uniform number a token instead of one a word of the vocabulary, and a row's token does not depend on
    the other rows. `top_p` keeps the most probable tokens up to and with the one that reaches that mass.
    """
    wide = logits.shape[1] > 2**14  # float32 sums of more terms would lose rare words
    scaled = logits if temperature == 1 else logits / temperature
    probs = torch.softmax(scaled, dim=-1, dtype=torch.float64 if wide else None)
    index = None
    if top_p < 1:
        probs, index = probs.sort(dim=-1, descending=True, stable=True)
        probs = probs.masked_fill(probs.cumsum(-1) - probs >= top_p, 0)
    mass = probs.cumsum(-1)
    total = mass[:, -1]
    # strictly below the total, so that rounding never gives a word of probability zero
    goal = torch.minimum(uniform.to(mass.dtype) * total, total * (1 - 1e-6))
    place = torch.searchsorted(mass, goal[:, None], right=True)
    return (place if index is None else index.gather(1, place))[:, 0]


def _uniform(keys: Sequence[int], first: int, count: int, steps: int) -> Tensor:
    """Return float64 [prompts x count, steps] in [0, 1): one independent stream for each sample."""
    values = np.empty((len(keys), count, steps))
    for row, key in enumerate(keys):
        for k in range(count):
            values[row, k] = np.random.Generator(np.random.Philox(key=[key, first + k])).random(steps)
    return torch.from_numpy(values.reshape(len(keys) * count, steps))


def _key(seed: int, prompt: Sequence[int], images: str, occurrence: int) -> int:
    text = f"{seed} {occurrence} {' '.join(map(str, prompt))}{images and ' | '}{images}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def _end_tokens(model: torch.nn.Module) -> tuple[int, ...]:
    """Return the end tokens of the generation configuration, else of the model's."""
    settings = getattr(model, "generation_config", None)
    end = getattr(settings, "eos_token_id", None)
    if end is None:
        end = model.config.get_text_config(decoder=True).eos_token_id
    return () if end is None else (end,) if isinstance(end, int) else tuple(end)


class _RoomyLayer(DynamicLayer):
    """A cache layer with free room at its end: transformers' own copies everything for each token."""

    _held: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        have = self.get_seq_length()
        if have == 0:  # the prompt: it is repeated next, so no room yet
            self.keys, self.values = key_states, value_states
            return self.keys, self.values
        need = have + key_states.shape[-2]
        if self._held is None or self._held[0].shape[-2] < need:
            self._held = _grown(self.keys, need), _grown(self.values, need)
        for held, new in zip(self._held, (key_states, value_states)):
            held[:, :, have:need] = new
        self.keys, self.values = (held[:, :, :need] for held in self._held)
        return self.keys, self.values

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._held = None

    def batch_select_indices(self, indices: Tensor) -> None:
        have = self.get_seq_length()
        self._held = tuple(part.index_select(0, indices) for part in self._held or (self.keys, self.values))
        self.keys, self.values = (held[:, :, :have] for held in self._held)


def _grown(old: Tensor, need: int) -> Tensor:
    have = old.shape[-2]
    held = old.new_empty(*old.shape[:2], need + max(ROOM, need // 2), old.shape[-1])
    held[:, :, :have] = old
    return held


def _cache(model: torch.nn.Module) -> DynamicCache:
    """Return an empty cache; plain layers get room, others (sliding windows) stay as the model wants them."""
    cache = DynamicCache(config=model.config)
    layer = SharedPrefixLayer if model.config._attn_implementation == SHARED_PREFIX else _RoomyLayer
    cache.layers = [layer() if type(old) is DynamicLayer else old for old in cache.layers]
    return cache
