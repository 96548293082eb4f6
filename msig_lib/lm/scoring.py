"""What a decoder reads: token ids with a mask of the tokens to predict, and their log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from msig_lib.lm.vision_inputs import image_inputs

PLAIN_HEAD = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3")  # no scaling or capping of logits


@dataclass(frozen=True)
class Example:
    """Token ids and which of them are targets: only those are predicted and enter a loss.

    The first token has nothing before it, so it is never a target. Raises ValueError for a mask of another
    length or without a target.
    """

    ids: tuple[int, ...]
    targets: tuple[bool, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.targets):
            raise ValueError(f"{len(self.ids)} token ids but {len(self.targets)} marks of targets")
        if not any(self.targets) or self.targets[0]:
            raise ValueError("an example needs a target, and its first token cannot be one: start with <bos>")

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, context: Sequence[int], target: Sequence[int]) -> Example:
        """Return the example that predicts `target` after `context` (at least one token, usually <bos>)."""
        return cls((*context, *target), (False,) * len(context) + (True,) * len(target))


def text_example(tokenizer: Any, text: str, *, max_tokens: int | None = None) -> Example:
    """Return one document as an example: all its tokens and the end token are targets.

    With `max_tokens` a longer document is cut, and then has no end token.
    """
    return _cut(tokenizer, [], text, max_tokens)


def prompt_example(tokenizer: Any, prompt: str, answer: str, *, max_tokens: int | None = None) -> Example:
    """Return `prompt` and `answer` as an example whose targets are the answer's tokens and the end token."""
    return _cut(tokenizer, tokenizer(prompt, add_special_tokens=False)["input_ids"], answer, max_tokens)


def _cut(tokenizer: Any, prompt: list[int], target: str, max_tokens: int | None) -> Example:
    context = [tokenizer.bos_token_id, *prompt]
    ids = [*tokenizer(target, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    if max_tokens is not None:
        if max_tokens <= len(context):
            raise ValueError(f"max_tokens is {max_tokens}, but the context alone has {len(context)} tokens")
        ids = ids[: max_tokens - len(context)]
    return Example.of(context, ids)


def pad_examples(examples: Sequence[Example], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Return ids int64 [b, longest], filled with 0 on the right, and the mask bool of the targets.

    A causal decoder's real tokens never see what stands to their right, so no attention mask is needed.
    """
    longest = max(map(len, examples))
    ids = np.zeros((len(examples), longest), dtype=np.int64)
    targets = np.zeros((len(examples), longest), dtype=bool)
    for row, example in enumerate(examples):
        ids[row, : len(example)] = example.ids
        targets[row, : len(example)] = example.targets
    return torch.from_numpy(ids).to(device), torch.from_numpy(targets).to(device)


def target_logprobs(model: torch.nn.Module, examples: Sequence[Example]) -> Tensor:
    """Return the log-probabilities of all targets, float32 [number of targets], in the examples' order.

    With gradients. Examples may carry the `images` that their image tokens stand for (`lm.vision`). Where the
    logits are a plain product (`PLAIN_HEAD`) they are formed at the targets only, which saves most of the work
    when contexts are long.
    """
    ids, targets = pad_examples(examples, next(model.parameters()).device)
    before, keep = ids[:, :-1], targets[:, 1:]
    images = image_inputs(model, [getattr(example, "images", ()) for example in examples])
    if model.config.get_text_config(decoder=True).model_type in PLAIN_HEAD:
        hidden = model.base_model(input_ids=before, use_cache=False, **images).last_hidden_state
        logits = model.get_output_embeddings()(hidden[keep])
    else:
        logits = model(input_ids=before, use_cache=False, **images).logits[keep]
    return -cross_entropy(logits.float(), ids[:, 1:][keep], reduction="none")


def score(
    model: torch.nn.Module, examples: Sequence[Example], *, batch_tokens: int = 8192
) -> list[np.ndarray]:
    """Return each example's target log-probabilities, float32 [its targets], without gradients.

    Examples of like length share a batch of at most `batch_tokens` tokens with padding (or one example).
    Equal examples are computed once, and share an array. On a CPU a small model is about 1.5 times as fast with
    2048 `batch_tokens`, which stay in its caches.
    """
    distinct = list(dict.fromkeys(examples))
    found: dict[Example, np.ndarray] = {}
    with torch.inference_mode():
        for rows in token_batches([len(example) for example in distinct], batch_tokens):
            chosen = [distinct[row] for row in rows]
            counts = [sum(example.targets) for example in chosen]
            values = target_logprobs(model, chosen).cpu().numpy()
            found.update(zip(chosen, np.split(values, np.cumsum(counts)[:-1])))
    return [found[example] for example in examples]


def token_batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Yield rows in batches of like length, longest first, none above `batch_tokens` with its padding."""
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // max(1, lengths[order[start]]))
        yield order[start : start + size].tolist()
        start += size
