"""What learns in chapter 3, and the banks of texts it reads: a head, the top layers or the whole encoder."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from msig_lib.lm.encoder import SentenceEncoder, check_texts, pad_ids, pool
from msig_lib.lm.processor import Precision, use_bf16
from msig_lib.lm.top_layers import TopLayers


def label_scores(texts: Tensor, labels: Tensor, scale: float = 1.0) -> Tensor:
    """Return g(x, c), the scaled similarity of every text [n, dim] with every label [L, dim] (eq. 3.1).

    With unit vectors it is the cosine times `scale`; P(y|x) is its softmax over labels (eq. 3.3).
    """
    return scale * (texts @ labels.T)


class Head(nn.Module):
    """f(x) = W z / |W z| for the frozen encoder's unit vector z; W is square and starts as the identity."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(dim))

    def forward(self, z: Tensor, unit: bool = True) -> Tensor:
        """Return vectors [n, dim] for `z` [n, dim], of length 1 unless `unit` is False."""
        out = z @ self.weight.T
        return normalize(out, dim=1) if unit else out


class Bank(ABC):
    """Texts with ids, read by a learner. A text that was added before keeps its id.

    One job owns one bank: it grows with every text and is not made for several threads. `learning_rate` is
    what its learner is trained with by default, `threads` how many torch threads suit a step (None: all).
    """

    learning_rate: float
    threads: int | None = None

    def __init__(self, encoder: SentenceEncoder, max_tokens: int = 128) -> None:
        self.encoder = encoder
        self.max_tokens = max_tokens  # thesis 3.5.5: 128 (192 for Yahoo and Amazon)
        self.texts: list[str] = []
        self._ids: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.texts)

    def add(self, texts: Sequence[str]) -> np.ndarray:
        """Return the ids of `texts`, int64 (n,); those not seen before are encoded in one call."""
        texts = check_texts(texts)
        new = [text for text in dict.fromkeys(texts) if text not in self._ids]
        if new:
            self._encode(new)
            self._ids |= {text: len(self.texts) + i for i, text in enumerate(new)}
            self.texts.extend(new)
        return np.array([self._ids[text] for text in texts], dtype=np.int64)

    def embed(self, ids: np.ndarray) -> np.ndarray:
        """Return the frozen pretrained encoder's unit vectors, float32 [n, dim]."""
        return self.transform(self.learner(), ids)

    def transform(
        self, learner: nn.Module, ids: np.ndarray, *, unit: bool = True, batch: int = 64
    ) -> np.ndarray:
        """Return what `forward` gives without gradients, float32 [n, dim]; each id is computed once."""
        distinct, inverse = np.unique(np.asarray(ids, dtype=np.int64), return_inverse=True)
        order = distinct[np.argsort(-self._lengths(distinct), kind="stable")]
        out = np.empty((len(distinct), self.encoder.dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), batch):
                rows = order[start : start + batch]
                vectors = self.forward(learner, torch.from_numpy(rows), unit=unit)
                out[np.searchsorted(distinct, rows)] = vectors.cpu().numpy()
        return out[inverse]

    @abstractmethod
    def learner(self) -> nn.Module:
        """Return a fresh learner that gives the pretrained encoder's vectors."""

    @abstractmethod
    def forward(self, learner: nn.Module, ids: Tensor, *, unit: bool = True) -> Tensor:
        """Return the learner's vectors of `ids` int64 (n,), [n, dim] with gradients, of length 1 if `unit`."""

    @abstractmethod
    def _encode(self, texts: list[str]) -> None:
        """Store what the learner reads of new texts."""

    @abstractmethod
    def _lengths(self, ids: np.ndarray) -> np.ndarray:
        """Return the tokens of each text, to batch like lengths together."""


class EmbeddingBank(Bank):
    """Cached sentence vectors with a `Head`: a run takes about a second and one thread."""

    learning_rate = 3e-4  # ours: chosen in the prototype
    threads = 1  # the products are too small to share

    def __init__(self, encoder: SentenceEncoder, max_tokens: int = 128) -> None:
        super().__init__(encoder, max_tokens)
        self._vectors = torch.empty(0, encoder.dim)

    def learner(self) -> Head:
        return Head(self.encoder.dim)

    def embed(self, ids: np.ndarray) -> np.ndarray:
        return self._vectors[torch.as_tensor(ids, dtype=torch.int64)].numpy()

    def forward(self, learner: nn.Module, ids: Tensor, *, unit: bool = True) -> Tensor:
        return learner(self._vectors[ids], unit)

    def transform(
        self, learner: nn.Module, ids: np.ndarray, *, unit: bool = True, batch: int = 4096
    ) -> np.ndarray:
        return super().transform(learner, ids, unit=unit, batch=batch)

    def _encode(self, texts: list[str]) -> None:
        n = len(self.texts)
        if n + len(texts) > len(self._vectors):  # grow by doubling: rounds add texts many times
            grown = torch.empty(max(2 * len(self._vectors), n + len(texts)), self.encoder.dim)
            grown[:n] = self._vectors[:n]
            self._vectors = grown
        found = self.encoder.encode(texts, max_tokens=self.max_tokens)
        self._vectors[n : n + len(texts)] = torch.from_numpy(found)

    def _lengths(self, ids: np.ndarray) -> np.ndarray:
        return np.zeros(len(ids), dtype=np.int64)


class StatesBank(Bank):
    """Cached hidden states below the last `n` layers, which learn (`lm.top_layers.TopLayers`).

    About 96 KiB a text of 128 tokens; a step costs n / layers of one of the whole encoder.
    """

    learning_rate = 1e-4  # ours: chosen in the prototype

    def __init__(
        self,
        encoder: SentenceEncoder,
        n: int = 1,
        *,
        max_tokens: int = 128,
        precision: Precision = "auto",
    ) -> None:
        super().__init__(encoder, max_tokens)
        self.n = n
        self.precision: Precision = precision
        self._below = TopLayers(encoder, n, precision=precision).below
        self._states: list[np.ndarray] = []

    def learner(self) -> TopLayers:
        return TopLayers(self.encoder, self.n, precision=self.precision).to(self.encoder.device)

    def forward(self, learner: nn.Module, ids: Tensor, *, unit: bool = True) -> Tensor:
        if not unit:
            raise ValueError("the top layers give unit vectors only: use another bank for unnormalised ones")
        states = [self._states[i] for i in ids.tolist()]
        lengths = torch.tensor([len(s) for s in states])
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        padded = torch.zeros(*mask.shape, self.encoder.dim)
        padded[mask] = torch.from_numpy(np.concatenate(states)).float()
        return learner(padded.to(self.encoder.device), mask.to(self.encoder.device))

    def _encode(self, texts: list[str]) -> None:
        found = self.encoder.token_states(
            texts, layer=self._below, max_tokens=self.max_tokens, precision=self.precision
        )
        self._states.extend(np.split(found.states, found.offsets[1:]))

    def _lengths(self, ids: np.ndarray) -> np.ndarray:
        return np.array([len(self._states[i]) for i in ids])


class TextBank(Bank):
    """Token ids with the whole encoder as learner, dropout off so that a seed fixes the numbers."""

    learning_rate = 1e-5  # thesis 3.5.5

    def __init__(
        self, encoder: SentenceEncoder, *, max_tokens: int = 128, precision: Precision = "auto"
    ) -> None:
        super().__init__(encoder, max_tokens)
        self.half = use_bf16(precision, encoder.device)
        self._tokens: list[list[int]] = []

    def learner(self) -> nn.Module:
        return copy.deepcopy(self.encoder.model).requires_grad_(True).eval()

    def forward(self, learner: nn.Module, ids: Tensor, *, unit: bool = True) -> Tensor:
        device = self.encoder.device
        padded, mask = pad_ids(
            [self._tokens[i] for i in ids.tolist()], self.encoder.tokenizer.pad_token_id or 0
        )
        padded, mask = padded.to(device), mask.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.half):
            states = learner(input_ids=padded, attention_mask=mask).last_hidden_state
        out = pool(states.float(), mask)
        return normalize(out, dim=1) if unit else out

    def _encode(self, texts: list[str]) -> None:
        self._tokens.extend(self.encoder.tokenise(texts, self.max_tokens))

    def _lengths(self, ids: np.ndarray) -> np.ndarray:
        return np.array([len(self._tokens[i]) for i in ids])
