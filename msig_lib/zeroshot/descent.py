"""The steps of a self-training round: batches drawn ahead, one forward pass and one AdamW update each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from msig_lib.errors import TrainingDiverged
from msig_lib.zeroshot.losses import t2g_loss, t2l_loss
from msig_lib.zeroshot.model import Bank, label_scores
from msig_lib.zeroshot.settings import SelfTrainSettings


@dataclass(frozen=True)
class Batches:
    """What every step of a round reads, as ids of the bank, int64 [steps, .]; L classes.

    `learned` are the texts of eq. 3.5 (or 3.11) with pseudo labels `classes`, `prompts` those of the labels,
    which `average` float32 [L, prompts] turns into one vector a label (None: they are one a label).
    `generated` are the generated texts of eq. 3.10 (None: without it) and `texts` what they are compared with
    (None: the learned texts). `frozen` float32 [steps, b, L] are the logits of Q from the round's copy of the
    learner (None: from the learner as it is).
    """

    learned: np.ndarray
    classes: np.ndarray
    prompts: np.ndarray
    average: np.ndarray | None = None
    generated: np.ndarray | None = None
    texts: np.ndarray | None = None
    frozen: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.learned)


def descend(
    bank: Bank,
    learner: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Batches,
    rates: np.ndarray,
    s: SelfTrainSettings,
) -> np.ndarray:
    """Take one step a batch at the learning rates `rates` (steps,), and return the losses, float64 [steps, 3].

    The columns are the sum, t2l (or g2l) and t2g, NaN where there is none. Raises TrainingDiverged.
    """
    device = next(learner.parameters()).device
    parts = [p for p in (batches.learned, batches.prompts, batches.generated, batches.texts) if p is not None]
    sizes = [part.shape[1] for part in parts]
    ids = torch.from_numpy(np.concatenate(parts, axis=1))
    classes = torch.from_numpy(batches.classes).to(device)
    average = None if batches.average is None else torch.from_numpy(batches.average).to(device)
    frozen = None if batches.frozen is None else torch.from_numpy(batches.frozen).to(device)
    losses = np.full((len(batches), 3), np.nan)
    for i, rate in enumerate(rates.tolist()):
        for group in optimiser.param_groups:
            group["lr"] = rate
        vectors = bank.forward(learner, ids[i], unit=not s.official)
        target = None if frozen is None else frozen[i]
        if s.official:  # Q from plain dot products, P from cosines
            if target is None:
                target = _logits(vectors.split(sizes), average, 1.0, unit=False)
            vectors = normalize(vectors, dim=1)
        found = vectors.split(sizes)
        loss = t2l = t2l_loss(_logits(found, average, s.training_scale), s.tau, s.detach, target)
        if batches.generated is not None:
            texts = found[0] if batches.texts is None else found[3]
            t2g = t2g_loss(
                texts, found[2], classes[i], classes[i], scale=s.contrastive_scale, form=s.contrastive_form
            )
            loss = t2l + s.contrastive_weight * t2g
            losses[i, 2] = t2g.item()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses[i, :2] = loss.item(), t2l.item()
        if not np.isfinite(losses[i, 0]):
            raise TrainingDiverged(
                f"the loss is {losses[i, 0]} at step {i} of a round: try a lower learning_rate (it is "
                f"{rate:g}) or scale ({s.training_scale:g}), or look for vectors that are not finite"
            )
    return losses


def _logits(found: Sequence[Tensor], average: Tensor | None, scale: float, unit: bool = True) -> Tensor:
    """Return the logits [b, L] of the learned texts `found[0]` against the prompts `found[1]`."""
    labels = found[1] if average is None else average @ found[1]
    if unit and average is not None:
        labels = normalize(labels, dim=1)
    return label_scores(found[0], labels, scale)
