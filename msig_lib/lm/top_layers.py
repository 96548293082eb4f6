"""The top layers of an encoder as a trainable module on cached hidden states of the layer below."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from msig_lib.lm.encoder import Pooling, SentenceEncoder, TokenStates, pool
from msig_lib.lm.processor import Precision, use_bf16


class TopLayers(nn.Module):
    """A trainable copy of the last `n` layers of a BERT-style encoder, followed by pooling to unit vectors.

    With `states = encoder.token_states(texts, layer=top.below)` it gives `encoder.encode(texts)` before
    training, at 1/layers of the cost for n = 1. Dropout stays off, so that a seed fixes the numbers. Products
    are in bf16 where the processor has it (`precision`, as in `encode`); weights stay float32. Raises
    ValueError for another kind of encoder, or for an impossible `n`.
    """

    def __init__(
        self,
        encoder: SentenceEncoder,
        n: int = 1,
        *,
        pooling: Pooling = "mean",
        precision: Precision = "auto",
    ) -> None:
        super().__init__()
        layers = getattr(getattr(encoder.model, "encoder", None), "layer", None)
        if encoder.model.config.model_type not in ("bert", "roberta", "xlm-roberta") or layers is None:
            raise ValueError(
                f"{encoder.name} is a {encoder.model.config.model_type} model; training on cached states is "
                "written for BERT, RoBERTa and XLM-RoBERTa layers"
            )
        if not 1 <= n <= encoder.layers:
            raise ValueError(f"n is {n}, expected 1..{encoder.layers} for {encoder.name}")
        self.below = encoder.layers - n
        self.pooling: Pooling = pooling
        self.layers = nn.ModuleList(copy.deepcopy(layer) for layer in layers[self.below :])
        self.layers.requires_grad_(True).eval()
        self.half = use_bf16(precision, encoder.device)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return unit vectors [b, dim] for padded states [b, t, dim] and their mask bool [b, t]."""
        blocked = torch.zeros(mask.shape, dtype=states.dtype, device=states.device)
        blocked = blocked.masked_fill(~mask, torch.finfo(states.dtype).min)[:, None, None, :]
        with torch.autocast(states.device.type, torch.bfloat16, enabled=self.half):
            for layer in self.layers:
                states = layer(states, blocked)
        return normalize(pool(states.float(), mask, self.pooling), dim=1)

    def embed(self, states: TokenStates, *, batch: int = 64) -> np.ndarray:
        """Return the unit vectors of all texts, float32 [n, dim], without gradients."""
        device = next(self.parameters()).device
        out = np.empty((len(states), states.states.shape[1]), dtype=np.float32)
        order = np.argsort(-states.lengths, kind="stable")
        with torch.inference_mode():
            for start in range(0, len(order), batch):
                rows = order[start : start + batch]
                values, mask = states.batch(rows)
                out[rows] = self(values.to(device), mask.to(device)).cpu().numpy()
        return out
