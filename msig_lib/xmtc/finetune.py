"""Fine-tuning the encoder's top layers under a dense model, on cached states of the layer below.

The thesis holds that head labels, which dominate the gradient, spoil the representation that tail labels
need. A frozen encoder cannot be spoilt, so that explanation is tested here: the same steps with the encoder
free (`tune=True`) or frozen, below free label vectors or below label texts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from msig_lib.lm.encoder import SentenceEncoder, TokenStates
from msig_lib.lm.threads import torch_threads
from msig_lib.lm.top_layers import TopLayers
from msig_lib.xmtc.model import LabelClassifier, score
from msig_lib.xmtc.train import LabelSampler, TrainSettings, batch_loss, parameter_groups

# ours: the heads go on from where they were, at a quarter to a third of their first rates
HEAD = TrainSettings(learning_rate=3e-4, vector_rate=5e-4)


@dataclass(frozen=True)
class FineTuneSettings:
    """How the encoder is fine-tuned; the thesis trains all of BERT and states none of these numbers."""

    layers: int = 1  # ours: the top layer; the encoder's number of layers tunes all but the word vectors
    steps: int = 120  # ours: one pass over 7,500 documents, what the quick tier affords
    batch: int = 64  # ours: documents a step
    label_texts: int | None = 32  # ours: label texts a step with gradient, positives first; None = all
    refresh: int = 40  # ours: steps until the other label texts are encoded anew; 120 cost .02 of dev P@1
    encoder_rate: float = 1e-4  # ours: Adam, the encoder's layers
    head: TrainSettings = HEAD  # poolers, label vectors, subset and loss

    def __post_init__(self) -> None:
        for name in ("layers", "steps", "batch", "refresh"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")


@dataclass
class FineTuned:
    """A dense model with the layers below it. `history`: one dict each tenth of the steps (step, loss)."""

    model: nn.Module
    top: TopLayers
    history: list[dict[str, float]] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0

    def score(self, documents: TokenStates, labels: TokenStates | None = None) -> np.ndarray:
        """Return every document's logit for every label, float32 [n, L]."""
        texts = None if labels is None else self.top.embed(labels)
        return score(self.model, self.top.embed(documents), texts)


def fine_tune(
    model: nn.Module,
    encoder: SentenceEncoder,
    documents: TokenStates,
    targets: sp.csr_array,
    labels: TokenStates | None = None,
    *,
    seed: int,
    tune: bool = True,
    hard: np.ndarray | None = None,
    settings: FineTuneSettings | None = None,
    threads: int | None = None,
) -> FineTuned:
    """Go on training `model` in place, with (`tune`) or without a trainable copy of the encoder's top layers.

    `documents` and `labels` are `encoder.token_states(..., layer=encoder.layers - settings.layers)`; a
    LabelClassifier takes no `labels`. Start from a model trained on the frozen embeddings, or from a new one.
    """
    settings = settings or FineTuneSettings()
    top = TopLayers(encoder, settings.layers)
    targets = sp.csr_array(targets)
    _check(model, documents, targets, labels)
    generator = torch.Generator().manual_seed(seed)
    sampler = LabelSampler(targets, hard, settings.head)
    begin = time.perf_counter()
    result = FineTuned(model, top)
    with torch_threads(threads):
        source = _Source(top, documents, labels, tune)
        groups = parameter_groups(model, settings.head)
        if tune:
            groups.append({"params": list(top.parameters()), "lr": settings.encoder_rate})
        optimizer = torch.optim.Adam(groups, fused=True)
        decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=settings.steps)
        losses: list[float] = []
        for rows in _like_lengths(documents.lengths, settings, generator):
            if labels is not None and tune and result.steps and result.steps % settings.refresh == 0:
                source.refresh_labels()
            subset, wanted = sampler.draw(rows, generator)
            texts = None if labels is None else source.labels(subset, wanted, settings.label_texts, generator)
            loss = batch_loss(model, source.documents(rows), texts, subset, wanted, settings.head.loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            decay.step()
            losses.append(float(loss.detach()))
            result.steps += 1
            if result.steps % max(1, settings.steps // 10) == 0:
                result.history.append({"step": result.steps, "loss": float(np.mean(losses))})
                losses.clear()
    result.seconds = time.perf_counter() - begin
    return result


class _Source:
    """Embeddings of documents and label texts under the current encoder; frozen ones are computed once."""

    def __init__(
        self, top: TopLayers, documents: TokenStates, labels: TokenStates | None, tune: bool
    ) -> None:
        self.top, self.document_states, self.label_states, self.tune = top, documents, labels, tune
        self.document_bank = None if tune else torch.from_numpy(top.embed(documents))
        self.label_bank: Tensor | None = None
        if labels is not None:
            self.refresh_labels()

    def refresh_labels(self) -> None:
        self.label_bank = torch.from_numpy(self.top.embed(self.label_states))

    def documents(self, rows: np.ndarray) -> Tensor:
        if self.document_bank is not None:
            return self.document_bank[rows]
        return self._encode(self.document_states, rows)

    def labels(self, subset: Tensor, wanted: Tensor, limit: int | None, generator: torch.Generator) -> Tensor:
        """Return embeddings of `subset` [m, dim]; up to `limit` of them, positives first, carry gradients."""
        if not self.tune:
            return self.label_bank[subset]
        order = torch.randperm(len(subset), generator=generator)
        positive = wanted.amax(0)[order] > 0
        order = torch.cat([order[positive], order[~positive]])[:limit]
        fresh = self._encode(self.label_states, subset[order].numpy())
        self.label_bank[subset[order]] = fresh.detach()
        return self.label_bank[subset].index_put((order,), fresh)

    def _encode(self, states: TokenStates, rows: np.ndarray) -> Tensor:
        # the layers may be on a GPU; the heads are small and stay on the CPU, gradients cross back
        values, mask = states.batch(rows)
        device = next(self.top.parameters()).device
        return self.top(values.to(device), mask.to(device)).cpu()


def _like_lengths(
    lengths: np.ndarray, settings: FineTuneSettings, generator: torch.Generator
) -> Iterator[np.ndarray]:
    """Yield `steps` batches of rows: random over an epoch, of like length within a batch to save padding."""
    left, pooled = settings.steps, 16 * settings.batch
    while left > 0:
        order = torch.randperm(len(lengths), generator=generator).numpy()
        chunks = []
        for start in range(0, len(order), pooled):
            part = order[start : start + pooled]
            part = part[np.argsort(lengths[part], kind="stable")]
            chunks += np.split(part, range(settings.batch, len(part), settings.batch))
        for i in torch.randperm(len(chunks), generator=generator).tolist()[:left]:
            yield chunks[i]
        left -= len(chunks)


def _check(
    model: nn.Module, documents: TokenStates, targets: sp.csr_array, labels: TokenStates | None
) -> None:
    if len(documents) != targets.shape[0]:
        raise ValueError(f"states of {len(documents)} documents for {targets.shape[0]} rows of targets")
    if isinstance(model, LabelClassifier) != (labels is None):
        raise ValueError(
            "labels are the states of the label texts: every model but LabelClassifier needs them"
        )
    if labels is not None and len(labels) != targets.shape[1]:
        raise ValueError(f"states of {len(labels)} label texts for {targets.shape[1]} columns of targets")
