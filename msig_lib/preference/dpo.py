"""The DPO loss with its optional likelihood term, token rewards, and responses cut without an end token."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

Arrays = npt.NDArray[np.float32] | npt.NDArray[np.float64]


@dataclass(frozen=True)
class DPOSettings:
    """What is minimised: preference_weight x DPO(beta) + nll_weight x NLL of the chosen responses.

    `preference_weight` = 0 is the control that only learns the winners. Raises ValueError for impossible values.
    """

    beta: float = 0.1  # thesis 6.2.3 and 7.3.3
    preference_weight: float = 1.0  # thesis
    nll_weight: float = 0.0  # thesis: no such term; 0.3 helped most in the prototype of chapter 7

    def __post_init__(self) -> None:
        weights = (self.preference_weight, self.nll_weight)
        if not (math.isfinite(self.beta) and self.beta > 0):
            raise ValueError(f"beta is {self.beta}, expected a number above 0; the thesis uses 0.1")
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
            raise ValueError(f"preference_weight and nll_weight are {weights}, expected >= 0 and not both 0")


@dataclass(frozen=True)
class DPOLoss:
    """The loss of a batch of B pairs and what it is made of; only `loss` is meant for `backward`.

    `loss`, `preference` (mean of -log sigmoid(margin)), `nll` (a chosen token's mean negative log-likelihood,
    NaN where the number of tokens is unknown) and `accuracy` (share of margins above 0) are float [].
    `margins` = beta (chosen_ratios - rejected_ratios), `chosen` and `rejected` (log-probabilities of whole
    responses, nats) and their `*_ratios` to the reference are float [B].
    """

    loss: Tensor
    preference: Tensor
    nll: Tensor
    accuracy: Tensor
    margins: Tensor
    chosen: Tensor
    rejected: Tensor
    chosen_ratios: Tensor
    rejected_ratios: Tensor


def dpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    settings: DPOSettings = DPOSettings(),
    *,
    chosen_mask: Tensor | None = None,
    rejected_mask: Tensor | None = None,
    chosen_tokens: Tensor | None = None,
) -> DPOLoss:
    """Return the DPO loss of B pairs from natural-log probabilities (thesis 7.3.3).

    Each of the first four is float [B, L] of tokens, with its bool mask [B, L] of the response's tokens (what
    is outside it may be anything), or float [B], summed already. No gradient flows into the reference. The NLL
    term is the mean over all chosen tokens of the batch; with `chosen` [B] it needs `chosen_tokens` int [B].
    Raises ValueError for shapes that do not fit and TypeError for a mask that is not bool.

    DPO = -mean log sigmoid(beta [(log p(y_w) - log r(y_w)) - (log p(y_l) - log r(y_l))])
    """
    won = _summed(chosen, chosen_mask, "chosen")
    lost = _summed(rejected, rejected_mask, "rejected")
    before_won = _summed(reference_chosen.detach(), chosen_mask, "reference_chosen")
    before_lost = _summed(reference_rejected.detach(), rejected_mask, "reference_rejected")
    sizes = [len(values) for values in (won, lost, before_won, before_lost)]
    if len(set(sizes)) > 1 or not sizes[0]:
        raise ValueError(
            f"chosen, rejected and their references have {sizes} rows, expected the same, at least 1"
        )
    won_ratios, lost_ratios = won - before_won, lost - before_lost
    margins = settings.beta * (won_ratios - lost_ratios)
    preference = -logsigmoid(margins).mean()
    if chosen.ndim == 2 and chosen_mask is not None:
        chosen_tokens = chosen_mask.sum(1)
    if chosen_tokens is None:
        if settings.nll_weight:
            raise ValueError("nll_weight is above 0 and chosen is summed: give chosen_tokens, int [B]")
        nll = won.new_tensor(math.nan)
    else:
        nll = -won.sum() / chosen_tokens.sum()
    # A term of weight 0 is left out: 0 times an infinite value would be NaN.
    terms = ((settings.preference_weight, preference), (settings.nll_weight, nll))
    return DPOLoss(
        loss=sum(weight * term for weight, term in terms if weight),
        preference=preference.detach(),
        nll=nll.detach(),
        accuracy=(margins.detach() > 0).to(margins.dtype).mean(),
        margins=margins.detach(),
        chosen=won.detach(),
        rejected=lost.detach(),
        chosen_ratios=won_ratios.detach(),
        rejected_ratios=lost_ratios.detach(),
    )


def _summed(values: Tensor, mask: Tensor | None, name: str) -> Tensor:
    """Return [B]: sums over the masked tokens; values outside the mask get no gradient, even when not finite."""
    if values.ndim == 1:
        return values
    if values.ndim != 2 or mask is None or mask.shape != values.shape:
        given = "no mask" if mask is None else f"a mask {tuple(mask.shape)}"
        raise ValueError(
            f"{name} is {tuple(values.shape)} with {given}, expected [B, L] with a mask [B, L] or sums [B]"
        )
    if mask.dtype != torch.bool:
        raise TypeError(f"the mask of {name} is {mask.dtype}, expected torch.bool: use mask.bool()")
    if not bool(mask.any(1).all()):
        raise ValueError(f"the mask of {name} leaves a response without tokens; drop that pair")
    return values.masked_fill(~mask, 0.0).sum(1)


def pad(rows: Sequence[npt.ArrayLike]) -> tuple[Arrays, npt.NDArray[np.bool_]]:
    """Return ragged rows (as `lm.scoring.score` gives them) as float32 [B, L], 0 after each end, and the mask.

    Raises ValueError when there are no rows.
    """
    if not len(rows):
        raise ValueError("there are no rows to pad, expected at least one response")
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, None]
    values = np.zeros(mask.shape, dtype=np.float32)
    values[mask] = np.concatenate([np.asarray(row, dtype=np.float32) for row in rows])
    return values, mask


def token_rewards(
    logprobs: npt.ArrayLike,
    reference: npt.ArrayLike,
    mask: npt.ArrayLike,
    *,
    beta: float = 0.1,
    centred: bool = False,
) -> Arrays:
    """Return each token's DPO reward, float [B, L]: beta (log p(y_i) - log r(y_i)), 0 outside the mask.

    `logprobs`, `reference` float [B, L] in nats, `mask` bool [B, L]. `centred` subtracts each response's mean,
    as figure 7.6 does. The rewards of a response sum to beta times its log-ratio. Raises ValueError for
    shapes that differ.
    """
    policy, before, inside = np.asarray(logprobs), np.asarray(reference), np.asarray(mask)
    if policy.ndim != 2 or not policy.shape == before.shape == inside.shape or inside.dtype != bool:
        raise ValueError(
            f"logprobs {policy.shape}, reference {before.shape} and mask {inside.shape} ({inside.dtype}) "
            "given, expected the same [B, L] and a bool mask"
        )
    rewards = beta * (np.where(inside, policy, 0) - np.where(inside, before, 0))
    if centred:
        rewards = rewards - rewards.sum(1, keepdims=True) / np.maximum(inside.sum(1, keepdims=True), 1)
    return np.where(inside, rewards, 0).astype(policy.dtype)


def truncate(response: Sequence[int], limit: int, *, end: int | None = None) -> tuple[int, ...]:
    """Return the first `limit` tokens of a response (thesis 12.3.1: 90 for DPO); a cut one has no end token.

    With `end`, the end token does not count, as words are counted: a response of exactly `limit` tokens and
    the end token stays whole. Without, all tokens count (as with TRL's `max_length`).

    >>> truncate([5, 6, 1], 2, end=1), truncate([5, 6, 1], 2), truncate([5, 6, 1], 1, end=1)
    ((5, 6, 1), (5, 6), (5,))
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}, expected at least 1 token")
    whole = tuple(response)
    ended = end is not None and whole[-1:] == (end,)
    return whole if len(whole) - ended <= limit else whole[:limit]


def truncate_text(text: str, words: int) -> tuple[str, bool]:
    """Return a text's first `words` words, and whether that is all of it; an end token follows only then.

    Words are what white space separates (official code of chapter 7). White space between them is kept.

    >>> truncate_text("Two bars.  Answer: 4", 2), truncate_text("4", 2)
    (('Two bars.', False), ('4', True))
    """
    if words < 1:
        raise ValueError(f"words is {words}, expected at least 1")
    ends = [word.end() for word in islice(re.finditer(r"\S+", text), words + 1)]
    return (text[: ends[words - 1]], False) if len(ends) > words else (text, True)
