"""Attention of samples that share their prompt's keys and values instead of each holding a copy of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

SHARED_PREFIX = "msig_shared_prefix"  # a model's `attn_implementation`
ROOM = 32  # ours: tokens that a sample's own part of the cache grows by


class SharedPrefixLayer(DynamicLayer):
    """A cache layer of prompts [prompts, heads, P, dim] and of the samples' own tokens [rows, heads, t, dim].

    An image and its question are most of what a short answer attends to, so a copy for each of N samples is
    most of the memory that a step reads. `batch_repeat_interleave(N)` begins the samples, each prompt's N rows
    together; until then it is an ordinary layer.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own: tuple[Tensor, Tensor] | None = None  # keys and values, with room
        self.tokens = 0  # of a sample so far

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Any, Any]:
        if self.own is None:
            return super().update(key_states, value_states)
        if self.tokens == self.own[0].shape[2]:
            self.own = tuple(torch.cat([part, torch.empty_like(part[:, :, :ROOM])], 2) for part in self.own)
        self.tokens += 1
        for held, new in zip(self.own, (key_states, value_states)):
            held[:, :, self.tokens - 1] = new[:, :, 0]
        return self, None

    def get_seq_length(self) -> int:
        return super().get_seq_length() + self.tokens

    def batch_repeat_interleave(self, repeats: int) -> None:
        prompts, heads, _, dim = self.keys.shape
        self.own = tuple(self.keys.new_empty(prompts * repeats, heads, ROOM, dim) for _ in range(2))
        self.most = repeats  # rows of the prompt that has most
        self.prompt = torch.arange(prompts, device=self.keys.device).repeat_interleave(repeats)
        self.slot: Tensor | None = None  # each row's place among prompts x most; None: all are taken

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows `indices`, which are in rising order."""
        self.own = tuple(part.index_select(0, indices) for part in self.own)
        self.prompt = self.prompt[indices]
        counts = torch.bincount(self.prompt, minlength=len(self.keys))
        self.most = int(counts.max())
        rank = torch.arange(len(indices), device=indices.device) - (counts.cumsum(0) - counts)[self.prompt]
        self.slot = self.prompt * self.most + rank

    def by_prompt(self, rows: Tensor) -> Tensor:
        """Lay out [rows, heads, k] as [prompts, heads, most, k], zero where a prompt has fewer rows."""
        if self.slot is not None:
            places = rows.new_zeros(len(self.keys) * self.most, *rows.shape[1:])
            rows = places.index_copy_(0, self.slot, rows)
        return rows.view(len(self.keys), self.most, *rows.shape[1:]).transpose(1, 2)

    def by_row(self, laid: Tensor) -> Tensor:
        """Return [rows, heads, k] of what `by_prompt` laid out."""
        rows = laid.transpose(1, 2).flatten(0, 1)
        return rows if self.slot is None else rows.index_select(0, self.slot)

    def product(self, rows: Tensor, prefix: Tensor) -> Tensor:
        """Return rows [rows, heads, groups, k] times each one's prompt's prefix [prompts, heads, k, m]."""
        groups, (prompts, heads, _, width) = rows.shape[2], prefix.shape
        laid = self.by_prompt(rows.flatten(2)).reshape(prompts, heads, self.most * groups, -1)
        out = (laid @ prefix).view(prompts, heads, self.most, groups * width)
        return self.by_row(out).view(*rows.shape[:3], width)


def attend(
    module: nn.Module, query: Tensor, key: Any, value: Any, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Softmax attention over a prompt's tokens and a sample's own; torch's where no prefix is shared.

    `query` [rows, heads x groups, 1, dim] (groups of heads may share keys), `key` the `SharedPrefixLayer`,
    `attention_mask` bool [rows, 1, 1, P + t]. Returns [rows, 1, heads x groups, dim].
    """
    if not isinstance(key, SharedPrefixLayer):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    keys, values = (part[:, :, : key.tokens] for part in key.own)
    rows, heads, _, dim = keys.shape
    query = query.reshape(rows, heads, -1, dim) * options["scaling"]
    scores = torch.cat([key.product(query, key.keys.transpose(2, 3)), query @ keys.transpose(2, 3)], 3)
    if attention_mask is not None:
        scores = scores.masked_fill_(~attention_mask, -torch.inf)
    weights, length = scores.softmax(3), key.keys.shape[2]
    out = key.product(weights[..., :length], key.values) + weights[..., length:] @ values
    return out.view(rows, 1, -1, dim), None


AttentionInterface.register(SHARED_PREFIX, attend)
AttentionMaskInterface.register(SHARED_PREFIX, sdpa_mask)
