"""Training of the dense models on cached sentence embeddings with in-batch label subsets (section 2.3.3)."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from msig_lib.lm.threads import torch_threads
from msig_lib.xmtc.model import (
    DualEncoder,
    JointModel,
    LabelClassifier,
    binary_cross_entropy,
    check_loss,
    joint_cross_entropy,
    score,
    score_blocks,
)


@dataclass(frozen=True)
class TrainSettings:
    """How a dense model is trained; the thesis states none of these numbers, so all are ours."""

    epochs: int = 10  # ours: development P@1 is flat after
    batch: int = 256  # ours: documents a step; on dev no worse than 128 and a third faster
    subset: int = 1024  # ours: labels a step, positives, hard and random together (the thesis: "fixed-sized")
    hard_per_document: int = 10  # ours: the SVM's highest-scoring negatives of each document
    hard_share: float = 0.5  # ours: the most of the room left by the positives that hard negatives may fill
    learning_rate: float = 1e-3  # ours: Adam, poolers
    vector_rate: float = 2e-3  # ours: Adam, free label vectors
    scale_rate: float = 1e-2  # ours: Adam, the learned scale and biases, which have far to go
    decay: bool = True  # ours: all rates fall linearly to a twentieth over the training
    loss: str = "corrected"  # ours: "thesis" is the printed log sigma(1 - f), see the errata
    patience: int | None = None  # ours: stop after as many epochs without a better dev P@1

    def __post_init__(self) -> None:
        check_loss(self.loss)
        for name in ("epochs", "batch", "subset"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if not 0 <= self.hard_share <= 1:
            raise ValueError(f"hard_share is {self.hard_share}, expected 0..1")


@dataclass(frozen=True)
class Development:
    """Development documents, embeddings [n, dim], and their labels [n, L]: the only data a choice may use."""

    documents: np.ndarray
    targets: sp.csr_array


@dataclass
class Trained:
    """A trained model with its history: one dict an epoch (epoch, loss, dev_p@1 where there is dev)."""

    model: nn.Module
    history: list[dict[str, float]] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0

    def score(self, documents: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Return every document's logit for every label, float32 [n, L]."""
        return score(self.model, documents, labels)


class LabelSampler:
    """Draws the label subset S_b of a batch: all its positives, then hard negatives, then random ones.

    `targets` [n, L] sparse, `hard` int [n, h] label indices per document (-1: none). The subset has
    `settings.subset` labels, more when the batch's positives alone are more, and all L when L is smaller.
    """

    def __init__(self, targets: sp.csr_array, hard: np.ndarray | None, settings: TrainSettings) -> None:
        self.indptr = np.asarray(targets.indptr, dtype=np.int64)
        self.indices = np.asarray(targets.indices, dtype=np.int64)
        self.n_labels = targets.shape[1]
        self.hard = None if hard is None else np.asarray(hard)[:, : settings.hard_per_document]
        self.settings = settings
        self._column = np.full(self.n_labels, -1, dtype=np.int64)

    def draw(self, rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return (subset int64 [m], targets float32 [len(rows), m]) for the documents `rows`."""
        counts = self.indptr[rows + 1] - self.indptr[rows]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        positives = self.indices[np.repeat(self.indptr[rows], counts) + within]
        subset = self._subset(positives, rows, generator)
        self._column[subset] = np.arange(len(subset))
        targets = torch.zeros(len(rows), len(subset))
        targets[np.repeat(np.arange(len(rows)), counts), self._column[positives]] = 1.0
        self._column[subset] = -1
        return torch.from_numpy(subset), targets

    def _subset(self, positives: np.ndarray, rows: np.ndarray, generator: torch.Generator) -> np.ndarray:
        size = self.settings.subset
        if size >= self.n_labels:
            return np.arange(self.n_labels)
        taken = np.zeros(self.n_labels, dtype=bool)
        taken[positives] = True
        parts = [np.flatnonzero(taken)]
        room = size - len(parts[0])
        if self.hard is not None and room > 0:
            hard = np.unique(self.hard[rows])
            hard = hard[hard >= 0]  # a ranking fills up with -1 when there are few labels
            hard = hard[~taken[hard]]
            keep = torch.randperm(len(hard), generator=generator).numpy()[
                : int(room * self.settings.hard_share)
            ]
            parts.append(hard[keep])
            taken[parts[-1]] = True
            room -= len(parts[-1])
        if room > 0:
            order = torch.randperm(self.n_labels, generator=generator).numpy()
            parts.append(order[~taken[order]][:room])
        return np.concatenate(parts)


def train_dual_encoder(
    documents: np.ndarray,
    labels: np.ndarray,
    targets: sp.csr_array,
    *,
    seed: int,
    hard: np.ndarray | None = None,
    settings: TrainSettings | None = None,
    dev: Development | None = None,
    threads: int | None = None,
) -> Trained:
    """Train DE-ret or DEPL, which differ only in the text behind `labels`.

    `documents` float32 [n, dim] and `labels` [L, dim] are sentence embeddings, `targets` sparse [n, L].
    """
    model = DualEncoder(documents.shape[1])
    return train(
        model, documents, targets, labels, seed=seed, hard=hard, settings=settings, dev=dev, threads=threads
    )


def train_classifier(
    documents: np.ndarray,
    targets: sp.csr_array,
    *,
    seed: int,
    hard: np.ndarray | None = None,
    settings: TrainSettings | None = None,
    dev: Development | None = None,
    threads: int | None = None,
) -> Trained:
    """Train the classifier without label text (eq. 2.3): a document pooler and free label vectors."""
    model = LabelClassifier(documents.shape[1], targets.shape[1])
    return train(model, documents, targets, seed=seed, hard=hard, settings=settings, dev=dev, threads=threads)


def train_joint(
    documents: np.ndarray,
    labels: np.ndarray,
    targets: sp.csr_array,
    *,
    seed: int,
    hard: np.ndarray | None = None,
    settings: TrainSettings | None = None,
    dev: Development | None = None,
    threads: int | None = None,
) -> Trained:
    """Train DEPL+cls (eq. 2.4) on the cross entropy of the average probability."""
    dim, n_labels = documents.shape[1], targets.shape[1]
    model = JointModel(DualEncoder(dim), LabelClassifier(dim, n_labels))
    return train(
        model, documents, targets, labels, seed=seed, hard=hard, settings=settings, dev=dev, threads=threads
    )


def train(
    model: nn.Module,
    documents: np.ndarray,
    targets: sp.csr_array,
    labels: np.ndarray | None = None,
    *,
    seed: int,
    hard: np.ndarray | None = None,
    settings: TrainSettings | None = None,
    dev: Development | None = None,
    threads: int | None = None,
) -> Trained:
    """Train `model` in place with Adam and return it with its history.

    With `dev`, P@1 on it is recorded every epoch, and with `settings.patience` it chooses the epoch that is
    kept. The same seed gives the same numbers. Raises ValueError when the shapes do not fit together.
    """
    settings = settings or TrainSettings()
    targets = sp.csr_array(targets)
    _check(model, documents, targets, labels, hard, settings, dev)
    generator = torch.Generator().manual_seed(seed)
    rows_x = torch.as_tensor(np.ascontiguousarray(documents, dtype=np.float32))
    texts = None if labels is None else torch.as_tensor(np.ascontiguousarray(labels, dtype=np.float32))
    sampler = LabelSampler(targets, hard, settings)
    optimizer = torch.optim.Adam(parameter_groups(model, settings), fused=True)
    steps = settings.epochs * -(-len(documents) // settings.batch)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05 if settings.decay else 1.0, steps)
    result, best = Trained(model), _Best(settings.patience)
    begin = time.perf_counter()
    with torch_threads(threads):
        for epoch in range(settings.epochs):
            total = 0.0
            for rows in batches(len(documents), settings.batch, generator):
                subset, wanted = sampler.draw(rows, generator)
                here = None if texts is None else texts[subset]
                loss = batch_loss(model, rows_x[rows], here, subset, wanted, settings.loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                falling.step()
                total += float(loss.detach()) * len(rows)
                result.steps += 1
            result.history.append({"epoch": epoch + 1, "loss": total / len(documents)})
            if dev is not None:
                result.history[-1]["dev_p@1"] = precision_at_1(model, dev, labels)
                if best.no_better(result.history[-1]["dev_p@1"], model):
                    break
        best.restore(model)
    result.seconds = time.perf_counter() - begin
    return result


def batches(n: int, size: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """Yield the rows of one epoch in random order, `size` at a time (int64)."""
    yield from np.split(torch.randperm(n, generator=generator).numpy(), range(size, n, size))


def parameter_groups(model: nn.Module, settings: TrainSettings) -> list[dict]:
    """Sort parameters into free label vectors, scalars (scale, bias) and the rest, each with its rate."""
    rates = {"vector": settings.vector_rate, "scalar": settings.scale_rate, "rest": settings.learning_rate}
    groups: dict[str, list[nn.Parameter]] = {kind: [] for kind in rates}
    vectors = {id(m.weight) for m in model.modules() if isinstance(m, LabelClassifier)}
    for value in model.parameters():
        groups["vector" if id(value) in vectors else "scalar" if value.ndim == 0 else "rest"].append(value)
    return [{"params": groups[kind], "lr": rates[kind]} for kind in rates if groups[kind]]


def precision_at_1(model: nn.Module, dev: Development, labels: np.ndarray | None) -> float:
    """Return the share of development documents whose highest-scoring label is right."""
    best = np.concatenate([block.argmax(1) for block in score_blocks(model, dev.documents, labels)])
    return float(np.mean(np.asarray(dev.targets[np.arange(len(best)), best]).ravel() > 0))


def batch_loss(
    model: nn.Module, x: Tensor, texts: Tensor | None, subset: Tensor, wanted: Tensor, loss: str
) -> Tensor:
    """Return one batch's loss: documents `x` [b, dim], label texts [m, dim] of `subset`, `wanted` [b, m]."""
    if isinstance(model, LabelClassifier):
        return binary_cross_entropy(model(x, subset), wanted, loss=loss)
    if isinstance(model, JointModel):
        return joint_cross_entropy(*model(x, texts, subset), wanted, loss=loss)
    return binary_cross_entropy(model(x, texts), wanted, loss=loss)


class _Best:
    """Keeps the parameters of the best development epoch when there is a patience."""

    def __init__(self, patience: int | None) -> None:
        self.patience, self.value, self.waited, self.state = patience, -np.inf, 0, None

    def no_better(self, value: float, model: nn.Module) -> bool:
        if self.patience is None:
            return False
        if value > self.value:
            self.value, self.waited, self.state = value, 0, copy.deepcopy(model.state_dict())
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model: nn.Module) -> None:
        if self.state is not None:
            model.load_state_dict(self.state)


def _check(model, documents, targets, labels, hard, settings, dev) -> None:
    n, n_labels = targets.shape
    if len(documents) != n:
        raise ValueError(f"{len(documents)} document embeddings for {n} rows of targets: one row each")
    if n == 0:
        raise ValueError("there are no training documents")
    if labels is None and not isinstance(model, LabelClassifier):
        raise ValueError(f"{type(model).__name__} learns from label texts: pass labels, their embeddings")
    if labels is not None and len(labels) != n_labels:
        raise ValueError(f"{len(labels)} label embeddings for {n_labels} columns of targets")
    if hard is not None and len(hard) != n:
        raise ValueError(f"hard has {len(hard)} rows for {n} documents: one row of label indices each")
    if settings.patience is not None and dev is None:
        raise ValueError("patience chooses an epoch on development data: pass dev, or patience=None")
