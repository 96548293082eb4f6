"""What a prediction reads: a text, its augmented versions (eq. 3.9), or itself with its neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from msig_lib.zeroshot.model import Bank
from msig_lib.zeroshot.signal import augment


class Views:
    """The views of every text, averaged: by default each text is its own only view.

    `ids` int64 (n,) are texts of `bank`. `augmented` lists for each text generated continuations, each of
    which makes the view text ⊕ continuation; a text without any stands for itself. `neighbour_mean=k` adds to
    each text its k nearest texts of `pool_ids` by the frozen encoder: a control that costs no generation.
    """

    def __init__(
        self,
        bank: Bank,
        ids: np.ndarray,
        augmented: Sequence[Sequence[str]] | None = None,
        neighbour_mean: int = 0,
        pool_ids: np.ndarray | None = None,
    ) -> None:
        if augmented is not None and neighbour_mean:
            raise ValueError("augmented texts and neighbour_mean were both given, expected one of them")
        if augmented is not None and len(augmented) != len(ids):
            raise ValueError(f"augmented has {len(augmented)} rows for {len(ids)} texts: give a list a text")
        self.bank, self.ids = bank, ids
        self.counts = np.ones(len(ids), dtype=np.int64)
        if augmented is not None:
            texts = [bank.texts[i] for i in ids]
            groups = [group or [text] for text, group in zip(texts, augment(texts, augmented))]
            self.counts = np.array([len(group) for group in groups], dtype=np.int64)
            self.ids = bank.add([text for group in groups for text in group])
        elif neighbour_mean and len(ids):
            near = nearest(bank, ids, pool_ids, neighbour_mean)
            self.counts += near.shape[1]
            self.ids = np.column_stack([ids, near]).ravel()

    def vectors(self, learner: nn.Module, *, unit: bool = True) -> np.ndarray:
        """Return each text's mean vector over its views, float32 [n, dim], normalised if `unit`."""
        found = self.bank.transform(learner, self.ids, unit=unit)
        return found if len(found) == len(self.counts) else group_mean(found, self.counts, unit)


def group_mean(vectors: np.ndarray, counts: np.ndarray, unit: bool = True) -> np.ndarray:
    """Return the means of consecutive groups of `counts` (at least 1 each) rows, normalised if `unit`."""
    mean = np.add.reduceat(vectors, np.cumsum(counts) - counts, axis=0) / counts[:, None].astype(np.float32)
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12) if unit else mean


def nearest(bank: Bank, ids: np.ndarray, pool_ids: np.ndarray, k: int) -> np.ndarray:
    """Return the ids of the k texts of `pool_ids` nearest to each text by cosine, int64 [n, k].

    The frozen encoder's vectors decide. A text is not its own neighbour; k is cut to what the pool has.
    """
    pool_ids = np.unique(pool_ids)
    pool, texts = bank.embed(pool_ids), bank.embed(ids)
    k = min(k, len(pool_ids) - bool(np.isin(ids, pool_ids).any()))
    out = np.empty((len(ids), k), dtype=np.int64)
    for start in range(0, len(ids), 1024):
        block = slice(start, start + 1024)
        cosine = torch.from_numpy(texts[block] @ pool.T)
        cosine[torch.from_numpy(ids[block, None] == pool_ids)] = -2.0
        out[block] = pool_ids[cosine.topk(k, dim=1).indices.numpy()]
    return out
