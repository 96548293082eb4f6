"""The dense models of chapter 2: a dual encoder on label text, free label vectors, and the two together.

They read sentence embeddings, not tokens: the encoder under them is frozen here, and `finetune.py` trains it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid, normalize, softplus


class Pooler(nn.Module):
    """Linear pooling layer W h + b of equation 2.1, from the identity, then scaled to length 1.

    [n, dim] to [n, dim]. From the identity the untrained model is the frozen encoder's own cosine; the
    length is ours, since products of unscaled embeddings did not train at these sizes.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, hidden: Tensor) -> Tensor:
        return normalize(self.unscaled(hidden), dim=-1)

    def unscaled(self, hidden: Tensor) -> Tensor:
        """Return W h + b before the scaling."""
        return linear(hidden, self.weight, self.bias)


def scaled_cosine(first: Tensor, second: Tensor, scale: Tensor) -> Tensor:
    """Return `scale` times the cosines [n, m] of rows [n, dim] and [m, dim].

    The products are divided by the lengths, not the vectors: a third of a training step less than scaling
    every vector first.
    """
    first_length = torch.linalg.vector_norm(first, dim=1).clamp_min(1e-12)
    second_length = torch.linalg.vector_norm(second, dim=1).clamp_min(1e-12)
    return (first @ second.T) * (scale / first_length)[:, None] / second_length


class DualEncoder(nn.Module):
    """f_dual(x, l) = scale <doc(x), label(text(l))> + bias: DE-ret on label names, DEPL on descriptions.

    Scale and bias are learned: cosines alone cannot reach the probabilities of rare labels.
    """

    def __init__(self, dim: int, *, scale: float = 20.0, bias: float = -10.0) -> None:
        super().__init__()
        self.document = Pooler(dim)
        self.label = Pooler(dim)
        self.scale = nn.Parameter(torch.tensor(float(scale)))
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    def forward(self, documents: Tensor, labels: Tensor) -> Tensor:
        """Return logits [n, m] for document embeddings [n, dim] and label-text embeddings [m, dim]."""
        documents, labels = self.document.unscaled(documents), self.label.unscaled(labels)
        return scaled_cosine(documents, labels, self.scale) + self.bias


class LabelClassifier(nn.Module):
    """f_cls(x, l) = scale <doc(x), w_l> + bias (eq. 2.3), with w_l a free vector per label, from zero.

    The fixed scale lets the small vectors of rare labels matter within a few steps.
    """

    def __init__(self, dim: int, n_labels: int, *, scale: float = 20.0, bias: float = -6.0) -> None:
        super().__init__()
        self.document = Pooler(dim)
        self.weight = nn.Parameter(torch.zeros(n_labels, dim))
        self.bias = nn.Parameter(torch.tensor(float(bias)))
        self.scale = float(scale)

    def forward(self, documents: Tensor, subset: Tensor | None = None) -> Tensor:
        """Return logits [n, m] for the labels of `subset` (int64 [m]; None means all)."""
        weight = self.weight if subset is None else self.weight[subset]
        return self.scale * (self.document(documents) @ weight.T) + self.bias


class JointModel(nn.Module):
    """DEPL+cls (eq. 2.4): the average of both probabilities, with the document pooler shared."""

    def __init__(self, retriever: DualEncoder, classifier: LabelClassifier) -> None:
        super().__init__()
        classifier.document = retriever.document  # one encoder for both, section 2.3.5
        self.retriever = retriever
        self.classifier = classifier

    def forward(
        self, documents: Tensor, labels: Tensor, subset: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the logits of retrieval and of classification, [n, m] each."""
        vectors = self.retriever.document(documents)
        r, c = self.retriever, self.classifier
        weight = c.weight if subset is None else c.weight[subset]
        retrieval = scaled_cosine(vectors, r.label.unscaled(labels), r.scale) + r.bias
        return retrieval, c.scale * (vectors @ weight.T) + c.bias


def log_average(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return (log p, log(1 - p)) of p = (sigmoid(first) + sigmoid(second)) / 2 without cancellation."""
    yes = torch.logaddexp(logsigmoid(first), logsigmoid(second)) - math.log(2)
    no = torch.logaddexp(logsigmoid(-first), logsigmoid(-second)) - math.log(2)
    return yes, no


def binary_cross_entropy(logits: Tensor, targets: Tensor, *, loss: str = "corrected") -> Tensor:
    """Return the loss of section 2.3.3, summed over labels and averaged over documents (a scalar).

    `loss="corrected"` has log(1 - sigma(f)) for a negative; `"thesis"` has log sigma(1 - f) as printed,
    which is the same curve moved by one: at f = 0 it is .313 where the corrected one is .693.
    """
    check_loss(loss)
    # -log sigma(f) = softplus(f) - f and -log sigma(1 - f) = softplus(f - 1)
    if loss == "corrected":
        return (softplus(logits).sum() - (logits * targets).sum()) / len(logits)
    return torch.where(targets > 0, softplus(-logits), softplus(logits - 1)).sum() / len(logits)


def joint_cross_entropy(first: Tensor, second: Tensor, targets: Tensor, *, loss: str = "corrected") -> Tensor:
    """Return the loss of DEPL+cls (section 2.3.5), summed over labels and averaged over documents.

    `"corrected"` is the cross entropy of the average probability p. `"thesis"` puts p where f was and so
    takes a second sigmoid of it, as the text says.
    """
    check_loss(loss)
    if loss == "thesis":
        average = (first.sigmoid() + second.sigmoid()) / 2
        return binary_cross_entropy(average, targets, loss="thesis")
    yes, no = log_average(first, second)
    return -torch.where(targets > 0, yes, no).sum() / len(first)


def check_loss(loss: str) -> None:
    """Raise ValueError unless `loss` is 'corrected' or 'thesis'."""
    if loss not in ("corrected", "thesis"):
        raise ValueError(f"loss is {loss!r}, expected 'corrected' or 'thesis' (as printed in the text)")


def score(
    model: nn.Module, documents: np.ndarray, labels: np.ndarray | None = None, *, block: int = 1024
) -> np.ndarray:
    """Return every document's logit for every label, float32 [n, L]; a joint model's are log-odds of eq. 2.4.

    `documents` [n, dim] and `labels` [L, dim] are sentence embeddings; free label vectors need no `labels`.
    """
    return np.concatenate(list(score_blocks(model, documents, labels, block=block)))


def score_blocks(
    model: nn.Module, documents: np.ndarray, labels: np.ndarray | None = None, *, block: int = 1024
) -> Iterator[np.ndarray]:
    """Yield `score` for `block` documents at a time, so that large label sets need little memory."""
    if labels is None and not isinstance(model, LabelClassifier):
        raise ValueError(f"{type(model).__name__} scores label texts: pass labels, their embeddings [L, dim]")
    texts = None if labels is None else torch.as_tensor(labels)
    with torch.inference_mode():
        if len(documents) == 0:
            yield np.empty((0, _n_labels(model, labels)), dtype=np.float32)
        for start in range(0, len(documents), block):
            rows = torch.as_tensor(documents[start : start + block])
            if isinstance(model, LabelClassifier):
                yield model(rows).numpy()
            elif isinstance(model, JointModel):
                yes, no = log_average(*model(rows, texts))
                yield (yes - no).numpy()
            else:
                yield model(rows, texts).numpy()


def _n_labels(model: nn.Module, labels: np.ndarray | None) -> int:
    return len(model.weight) if isinstance(model, LabelClassifier) else len(labels)
