"""Train a model on pairs by DPO; the control that only learns the winners is the same loop on the same batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from msig_lib.lm.scoring import target_logprobs, token_batches
from msig_lib.lm.training import Trained, TrainSettings, train
from msig_lib.preference.dpo import DPOLoss, DPOSettings, dpo_loss
from msig_lib.preference.pairs import Pairs

# (model, examples) -> log-probabilities float [B, L] with gradients and the bool mask [B, L] of response tokens.
LogProbabilities = Callable[[nn.Module, Sequence[Any]], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class DPOTrained:
    """What happened, each float64 [steps]: means over the batch's pairs, before that step's update.

    `loss` is what was minimised, `preference` and `nll` its two terms (recorded whatever their weight),
    `margin` the mean margin, `accuracy` the share of margins above 0; `chosen` and `rejected` are
    log-probabilities of whole responses in nats, `chosen_ratio` and `rejected_ratio` the same minus the
    reference's, which leaves out how long a batch's responses are. `run` has the gradient's norms, the tokens
    and the seconds.
    """

    loss: np.ndarray
    preference: np.ndarray
    nll: np.ndarray
    margin: np.ndarray
    accuracy: np.ndarray
    chosen: np.ndarray
    rejected: np.ndarray
    chosen_ratio: np.ndarray
    rejected_ratio: np.ndarray
    run: Trained


def example_logprobs(
    model: nn.Module,
    examples: Sequence[Any],
    targets: Callable[[nn.Module, Sequence[Any]], Tensor] = target_logprobs,
) -> tuple[Tensor, Tensor]:
    """Return the target log-probabilities as float [B, L] with their mask, 0 outside it; with gradients.

    For `lm.scoring.Example`s, or anything with `targets` (marks of the predicted tokens) for which
    `targets(model, examples)` gives the values of all targets one after another, float [number of targets].
    """
    flat = targets(model, examples)
    counts = torch.tensor([sum(example.targets) for example in examples], device=flat.device)
    mask = torch.arange(int(counts.max()), device=flat.device) < counts[:, None]
    return flat.new_zeros(mask.shape).masked_scatter(mask, flat), mask


def response_logprobs(
    model: nn.Module,
    examples: Sequence[Any],
    *,
    log_probabilities: LogProbabilities = example_logprobs,
    batch_tokens: int = 8192,
) -> np.ndarray:
    """Return the log-probability of every response, float32 [len(examples)] in nats, without gradients.

    The examples need a length; those of like length share a batch of at most `batch_tokens` tokens. With the
    model before training this is the reference; with the trained model, minus the reference, the log-ratio.
    """
    out = np.empty(len(examples), dtype=np.float32)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for rows in token_batches([len(example) for example in examples], batch_tokens):
                values, mask = log_probabilities(model, [examples[row] for row in rows])
                out[rows] = values.masked_fill(~mask, 0.0).sum(1).float().cpu().numpy()
    finally:
        model.train(was_training)
    return out


def dpo_train_settings(pairs: int, *, learning_rate: float, epochs: float = 1.0) -> TrainSettings:
    """Return how chapter 7 trains on so many pairs: batch 32, warm-up .03, cosine to 0, no weight decay.

    `learning_rate` has no default: the thesis's 5e-7 is for 8 billion parameters.
    """
    if pairs < 1 or not epochs > 0:
        raise ValueError(
            f"{pairs} pairs and {epochs} epochs given, expected at least 1 pair and epochs above 0"
        )
    return TrainSettings(
        steps=max(1, math.ceil(pairs * epochs / 32)),  # thesis 7.6: 1 epoch
        batch=32,  # thesis 7.6
        learning_rate=learning_rate,
        warmup=0.03,  # official code
        final=0.0,  # official code: cosine decay
        weight_decay=0.0,  # ours: the reference already holds the weights near their start
    )


@dataclass(frozen=True)
class _Pair:
    """Two examples and the reference's log-probabilities of them."""

    chosen: Any
    rejected: Any
    reference: tuple[float, float]

    def __len__(self) -> int:
        return len(self.chosen) + len(self.rejected)


def train_dpo(
    model: nn.Module,
    examples: Sequence[Any],
    pairs: Pairs,
    settings: TrainSettings,
    objective: DPOSettings = DPOSettings(),  # noqa: B008 (frozen)
    *,
    seed: int,
    log_probabilities: LogProbabilities = example_logprobs,
    reference: np.ndarray | None = None,
    after_step: Callable[[int, nn.Module], None] | None = None,
    progress: str | None = None,
) -> DPOTrained:
    """Train `model` in place on `pairs` of rows of `examples` by `dpo_loss`; it is left in evaluation mode.

    `reference` float [len(examples)] are the responses' log-probabilities under the reference model, as
    `response_logprobs` gives them; without it they are those of `model` as it is now, computed once for the
    rows in `pairs`. `seed` fixes the order of the pairs; batches have pairs of like length, and both sides are
    read together. Dropout, if the model has any, is on while training, but not in the reference.
    `after_step` and `progress` as in `lm.training.train`. Raises ValueError for no pairs, rows that are not
    there, or a reference of another length or not finite, and TrainingDiverged when the loss is not finite.
    """
    rows = np.unique(np.concatenate([pairs.chosen, pairs.rejected]))
    if not len(rows):
        raise ValueError("there are no pairs to train on; `pairs.counts` says what was dropped and why")
    if rows[0] < 0 or rows[-1] >= len(examples):
        raise ValueError(f"pairs name the rows {rows[0]}..{rows[-1]}, but there are {len(examples)} examples")
    if reference is None:
        reference = np.full(len(examples), np.nan, dtype=np.float32)
        reference[rows] = response_logprobs(
            model, [examples[row] for row in rows], log_probabilities=log_probabilities
        )
    elif np.shape(reference) != (len(examples),):
        raise ValueError(f"reference is {np.shape(reference)}, expected ({len(examples)},): one an example")
    reference = np.asarray(reference)
    if not np.isfinite(reference[rows]).all():
        raise ValueError("reference is not finite for some rows in pairs; leave it out to have it computed")
    items = [
        _Pair(examples[one], examples[other], (float(reference[one]), float(reference[other])))
        for one, other in zip(pairs.chosen.tolist(), pairs.rejected.tolist())
    ]
    records: list[list[float]] = []

    def loss(model: nn.Module, batch: Sequence[_Pair]) -> tuple[Tensor, int]:
        found = _batch_loss(model, batch, objective, log_probabilities)
        records.append(torch.stack(_record(found)).tolist())
        return found.loss, 1

    run = train(model, items, settings, seed=seed, loss=loss, after_step=after_step, progress=progress)
    return DPOTrained(run.losses, *np.array(records).T, run)


def _batch_loss(
    model: nn.Module,
    batch: Sequence[_Pair],
    objective: DPOSettings,
    log_probabilities: LogProbabilities,
) -> DPOLoss:
    size = len(batch)
    both = [pair.chosen for pair in batch] + [pair.rejected for pair in batch]
    values, mask = log_probabilities(model, both)
    if values.shape != mask.shape or values.shape[:1] != (2 * size,):
        raise ValueError(
            f"log_probabilities gave values {tuple(values.shape)} and a mask {tuple(mask.shape)} "
            f"for {2 * size} examples, expected both [{2 * size}, L]"
        )
    values = values.float()
    reference = values.new_tensor([pair.reference for pair in batch])
    return dpo_loss(
        values[:size],
        values[size:],
        reference[:, 0],
        reference[:, 1],
        objective,
        chosen_mask=mask[:size],
        rejected_mask=mask[size:],
    )


def _record(found: DPOLoss) -> tuple[Tensor, ...]:
    """Return one step's values in the order of DPOTrained's fields, without the loss."""
    return (
        found.preference,
        found.nll,
        found.margins.mean(),
        found.accuracy,
        found.chosen.mean(),
        found.rejected.mean(),
        found.chosen_ratios.mean(),
        found.rejected_ratios.mean(),
    )
