"""Train a decoder: batches by length, warm-up and cosine, clipping, checkpoints that resume bit-equal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from msig_lib.errors import TrainingDiverged
from msig_lib.lm.resuming import Checkpoint
from msig_lib.lm.scoring import target_logprobs

# A loss takes (model, the batch's examples) and returns (the sum over its terms, the number of terms).
Loss = Callable[[nn.Module, Sequence[Any]], tuple[Tensor, int]]


@dataclass(frozen=True)
class TrainSettings:
    """How to train; raises ValueError for impossible values."""

    steps: int
    batch: int = 64  # prototype of chapter 7
    learning_rate: float = (
        2e-3  # prototypes of chapters 5 and 7: 1e-3 to 3e-3 from scratch, 5e-4 to 1e-3 after
    )
    warmup: float = 0.05  # ours: share of the steps; Adam's second moments are noise before
    final: float = 0.1  # ours: the cosine ends at this share of the rate (Llama's choice)
    weight_decay: float = 0.1  # ours: as Llama; on matrices only
    betas: tuple[float, float] = (0.9, 0.95)  # ours: as Llama
    clip: float = 1.0  # ours: as Llama; norm of the gradient
    sort_within: int = 20  # ours: so many batches are drawn together and sorted by length; 0 = no sorting
    bf16: bool = False  # prototype: autocast is slower than fp32 at these sizes on a CPU; for a GPU

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.sort_within < 0:
            raise ValueError(f"steps, batch >= 1 and sort_within >= 0 are expected, given {self}")
        if not (self.learning_rate > 0 and self.clip > 0 and 0 <= self.warmup < 1 and 0 <= self.final <= 1):
            raise ValueError(
                f"learning_rate, clip > 0, warmup in [0, 1) and final in [0, 1] expected, given {self}"
            )

    def rate(self, step: int) -> float:
        """Return the learning rate of step 0, 1, ...: linear from near 0, then half a cosine to `final`."""
        rise = round(self.warmup * self.steps)
        if step < rise:
            return self.learning_rate * (step + 1) / (rise + 1)
        done = (step - rise) / max(1, self.steps - rise)
        return self.learning_rate * (self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(frozen=True)
class Trained:
    """What happened: per step the mean loss and the gradient's norm before clipping, float64 [steps]."""

    losses: np.ndarray
    norms: np.ndarray
    tokens: int  # tokens of this call's batches, without padding
    seconds: float  # of this call: a resumed run counts only its own steps


def target_loss(model: nn.Module, examples: Sequence[Any]) -> tuple[Tensor, int]:
    """Return the summed negative log-likelihood of the targets, and how many there are."""
    logprobs = target_logprobs(model, examples)
    return -logprobs.sum(), len(logprobs)


def train(
    model: nn.Module,
    examples: Sequence[Any],
    settings: TrainSettings,
    *,
    seed: int,
    loss: Loss = target_loss,
    after_step: Callable[[int, nn.Module], None] | None = None,
    checkpoint: Path | str | None = None,
    checkpoint_every: int = 200,
    progress: str | None = None,
) -> Trained:
    """Train `model` in place and leave it in evaluation mode.

    `examples` are `Example`s, or anything with a length that `loss` understands. `seed` fixes the order of the
    examples and any dropout; torch's global state is left as it was. With `checkpoint`, a file, the run is
    written there every so many steps and at the end, and a run that finds its own file goes on from there, to
    the same bits as one that was never stopped; a file of another run raises ValueError. `after_step(step,
    model)` is called with the number of steps done. `progress` names a bar that shows on a terminal only.
    Raises TrainingDiverged when the loss is not finite.
    """
    if not len(examples):
        raise ValueError("there are no examples to train on")
    if not any(value.requires_grad for value in model.parameters()):
        raise ValueError("no parameter of the model may change: call model.requires_grad_(True) first")
    lengths = np.array([len(example) for example in examples])
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(
        _groups(model, settings.weight_decay), settings.learning_rate, settings.betas, fused=True
    )
    losses, norms = np.full((2, settings.steps), np.nan)
    saved = Checkpoint(checkpoint, model, optimizer, settings, seed, examples) if checkpoint else None
    tokens, start = 0, time.perf_counter()
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        first = saved.restore(losses, norms) if saved else 0
        model.train()
        bar = tqdm(total=settings.steps, initial=first, desc=progress, disable=None if progress else True)
        try:
            for step in range(first, settings.steps):
                rows = batch_rows(lengths, settings, seed, step)
                with torch.autocast(device.type, torch.bfloat16, enabled=settings.bf16):
                    total, count = loss(model, [examples[row] for row in rows])
                mean = total / max(1, count)
                mean.backward()
                norm = nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
                losses[step], norms[step] = mean.item(), norm.item()
                if not (math.isfinite(losses[step]) and math.isfinite(norms[step])):
                    raise TrainingDiverged(_diverged(step, losses, norms, settings))
                for group in optimizer.param_groups:
                    group["lr"] = settings.rate(step)
                optimizer.step()
                optimizer.zero_grad()
                tokens += int(lengths[rows].sum())
                bar.update()
                if after_step is not None:
                    after_step(step + 1, model)
                    model.train()
                if saved and ((step + 1) % checkpoint_every == 0 or step + 1 == settings.steps):
                    saved.write(step + 1, losses, norms)
        finally:
            bar.close()
            optimizer.zero_grad()
            model.eval()
    return Trained(losses, norms, tokens, time.perf_counter() - start)


def batch_rows(lengths: np.ndarray, settings: TrainSettings, seed: int, step: int) -> np.ndarray:
    """Return the rows of the examples in batch `step`, a pure function of its arguments.

    The stream is one permutation of all examples after another. Every `sort_within` batches of it are sorted
    by length, cut, and shuffled as batches: little padding, and lengths mixed over time.
    """
    window = max(1, settings.sort_within)
    block, place = divmod(step, window)
    size = window * settings.batch
    positions = np.arange(block * size, (block + 1) * size)
    passes = positions // len(lengths)
    rows = np.empty(size, dtype=np.int64)
    for number in np.unique(passes):
        order = _permutation(seed, int(number), len(lengths))
        here = passes == number
        rows[here] = order[positions[here] - number * len(lengths)]
    if settings.sort_within:
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        place = np.random.default_rng([seed, 1, block]).permutation(window)[place]
    return rows[place * settings.batch : (place + 1) * settings.batch]


@lru_cache(maxsize=2)  # asked for once a step
def _permutation(seed: int, number: int, size: int) -> np.ndarray:
    return np.random.default_rng([seed, 0, number]).permutation(size)


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    trained = [value for value in model.parameters() if value.requires_grad]
    return [
        {"params": [value for value in trained if value.ndim >= 2], "weight_decay": weight_decay},
        {"params": [value for value in trained if value.ndim < 2], "weight_decay": 0.0},
    ]


def _diverged(step: int, losses: np.ndarray, norms: np.ndarray, settings: TrainSettings) -> str:
    before = f"the loss before was {losses[step - 1]:.4g}" if step else "this was the first step"
    return (
        f"training stopped at step {step + 1} of {settings.steps}: the loss is {losses[step]:.4g} and the "
        f"gradient's norm {norms[step]:.4g} ({before}, learning rate {settings.rate(step):.3g}). "
        "Lower learning_rate or raise warmup; if it happens at once, look for non-finite weights."
    )
