"""The losses of chapter 3, one per function, and the softmax they share (eqs. 3.3-3.11)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, one_hot, softmax

FORMS = ("corrected", "thesis")


def soft_targets(logits: Tensor, tau: float) -> Tensor:
    """Return Q [n, L], the softmax of `logits` [n, L] at temperature `tau` (eq. 3.4).

    `tau` = 0 is the limit: all weight on the largest logit (eq. 3.6). ValueError when it is negative.
    """
    if not tau >= 0:
        raise ValueError(f"tau is {tau}, expected 0 (hard pseudo labels) or more; the thesis uses 0.1")
    if tau == 0:
        return one_hot(logits.argmax(1), logits.shape[1]).to(logits.dtype)
    return softmax(logits / tau, dim=1)


def t2l_loss(logits: Tensor, tau: float, detach: bool = True, target_logits: Tensor | None = None) -> Tensor:
    """Text to label: the mean over texts of - sum_j Q_j log P_j (eqs. 3.3-3.5, with 1/N).

    `logits` [n, L] are similarities times the scale; P is their softmax. Q is made of the same logits, or of
    `target_logits` (the frozen copy's, or the official code's dot products). `detach=True` lets no gradient
    through Q, so that at `tau` = 1 with Q from the same logits the gradient is zero; with `detach=False`
    that case descends on the conditional entropy (eq. 3.8).
    """
    q = soft_targets(logits if target_logits is None else target_logits, tau)
    return -((q.detach() if detach else q) * log_softmax(logits, dim=1)).sum(1).mean()


def g2l_loss(logits: Tensor, tau: float, detach: bool = True, target_logits: Tensor | None = None) -> Tensor:
    """Generated text to label (eq. 3.11): `t2l_loss` on texts that were generated for the pseudo labels."""
    return t2l_loss(logits, tau, detach, target_logits)


def conditional_entropy(logits: Tensor) -> Tensor:
    """Return H(C | X) in nats, the mean over rows of the entropy of softmax(logits) (eqs. 3.7-3.8, with 1/N)."""
    log_p = log_softmax(logits, dim=1)
    return -(log_p.exp() * log_p).sum(1).mean()


def t2g_loss(
    texts: Tensor,
    generated: Tensor,
    labels: Tensor,
    generated_labels: Tensor,
    *,
    scale: float = 1.0,
    form: str = "corrected",
) -> Tensor:
    """Text to generated text, contrastive (eq. 3.10), the mean over texts.

    `texts` [b, dim] with pseudo `labels` [b]; `generated` [m, dim] with `generated_labels` [m]. A(i) holds
    the generated texts with the label of text i; a text without any is left out, and with none at all the
    loss is 0. `form="corrected"` (and the official code) sums the denominator over the generated texts, so
    that the loss is at least 0. `form="thesis"` is as printed, over the batch's texts: the numerator is not
    part of it, and with a dot product the loss has no lower bound.
    """
    if form not in FORMS:
        raise ValueError(f"form is {form!r}, expected {' or '.join(map(repr, FORMS))}")
    similarity = scale * (texts @ generated.T)
    rivals = similarity if form == "corrected" else scale * (texts @ texts.T)
    positive = (labels[:, None] == generated_labels[None, :]).to(similarity.dtype)
    count = positive.sum(1)
    mean = (positive * similarity).sum(1) / count.clamp_min(1)
    each = (torch.logsumexp(rivals, dim=1) - mean) * (count > 0)
    return each.sum() / (count > 0).sum().clamp_min(1)
