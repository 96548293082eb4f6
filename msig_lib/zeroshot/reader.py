"""A trained learner that reads any number of texts, block by block, and keeps none of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.top_layers import TopLayers
from msig_lib.zeroshot.model import Head


class Reader:
    """Gives a trained learner's vectors of texts, where a `Bank` would keep every text it ever saw.

    `encoder` is the pretrained one with, if layers were trained, their new weights; `head` [dim, dim] or None
    comes after it. `unit` says whether vectors have length 1.
    """

    def __init__(
        self, encoder: SentenceEncoder, head: np.ndarray | None, max_tokens: int, *, unit: bool = True
    ) -> None:
        self.encoder, self.head = encoder, head
        self.max_tokens, self.unit = max_tokens, unit

    @classmethod
    def of(
        cls, encoder: SentenceEncoder, learner: nn.Module, max_tokens: int, *, unit: bool = True
    ) -> Reader:
        """Return the reader of a learner of one of the three banks of `encoder`."""
        if isinstance(learner, Head):
            return cls(encoder, learner.weight.detach().cpu().numpy().copy(), max_tokens, unit=unit)
        if isinstance(learner, TopLayers):
            model = copy.deepcopy(encoder.model)
            for place, layer in enumerate(learner.layers, start=learner.below):
                model.encoder.layer[place].load_state_dict(layer.state_dict())
        else:
            model = copy.deepcopy(learner)
        return cls(_with_model(encoder, model), None, max_tokens, unit=unit)

    @classmethod
    def from_arrays(
        cls, encoder: SentenceEncoder, arrays: Mapping[str, np.ndarray], max_tokens: int, *, unit: bool = True
    ) -> Reader:
        """Return the reader whose `arrays` these are, over the pretrained `encoder`."""
        if "head" in arrays:
            return cls(encoder, arrays["head"], max_tokens, unit=unit)
        model = copy.deepcopy(encoder.model)
        state = model.state_dict()
        for name, value in arrays.items():
            state[name].copy_(torch.from_numpy(value))  # a view of the model's own weights
        return cls(_with_model(encoder, model), None, max_tokens, unit=unit)

    def arrays(self, pretrained: SentenceEncoder) -> dict[str, np.ndarray]:
        """Return what was learned: the head, or every weight that is not the pretrained one."""
        if self.head is not None:
            return {"head": self.head}
        before = pretrained.model.state_dict()
        after = self.encoder.model.state_dict()
        return {
            name: value.cpu().numpy() for name, value in after.items() if not torch.equal(value, before[name])
        }

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of `texts`, float32 [n, dim]; nothing is cached."""
        found = self.encoder.encode(texts, max_tokens=self.max_tokens, cache=False)
        if self.head is not None:
            found = found @ self.head.T
            if self.unit:
                found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return found


def _with_model(encoder: SentenceEncoder, model: nn.Module) -> SentenceEncoder:
    return SentenceEncoder(
        model, encoder.tokenizer, name=f"{encoder.name}, trained", fingerprint="", device=str(encoder.device)
    )
