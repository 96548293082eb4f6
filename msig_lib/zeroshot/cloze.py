"""A masked language model that fills the class into a gap after the text (iPET-like, Schick and Schütze 2021).

The thesis's iPET fine-tunes about 15 masked models on each other's pseudo labels. Here the model stays frozen:
each pattern's generation is a logistic regression on the state of the gap, trained on what the other patterns
agree on. No masked model comes with the book, so this row needs one to be named.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from scipy import special

from msig_lib.lm.checkpoints import (
    OFFLINE,
    CheckpointUnavailable,
    checkpoint_folder,
    fingerprint,
    no_progress,
    require_safetensors,
)
from msig_lib.lm.encoder import check_texts
from msig_lib.zeroshot.baselines import most_confident, seeded_regression

VARIABLE = "MSIG_MASKED_MODEL"

# Our own wording after the example in thesis 3.5.2.
PATTERNS = (
    "{text} This text is about {gap}.",
    "{gap}: {text}",
    "{text} Its topic is {gap}.",
    "Under {gap} one reads: {text}",
)


@dataclass(frozen=True)
class ClozeSettings:
    """How patterns teach each other; Schick and Schütze's values need far larger pools than ours."""

    patterns: tuple[str, ...] = PATTERNS
    shares: tuple[float, ...] = (
        0.1,
        0.3,
        0.9,
    )  # ours: of pool/L per class; iPET multiplies by 5 a generation
    teachers: float = 0.5  # ours: share of the other patterns that teach one; iPET .25 of 15 models
    penalty: float = 10.0  # as baselines.SeededSettings
    calibrate: bool = True  # ours: less the class's score beside an empty text, or frequent names win
    max_tokens: int = 128  # thesis 3.5.5
    batch: int = 32  # ours

    def __post_init__(self) -> None:
        bad = [p for p in self.patterns if p.count("{text}") != 1 or p.count("{gap}") != 1]
        if not self.patterns or bad:
            raise ValueError(f"patterns need {{text}} and {{gap}} once each; got {bad or 'no pattern'}")


@dataclass(frozen=True)
class Availability:
    """Whether a masked model can be used, and the reason when it cannot; true or false in a condition."""

    ok: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.ok


def available(name: str | None = None) -> Availability:
    """Say whether a masked model is configured: `name` ("hf:<folder or model>"), else $MSIG_MASKED_MODEL.

    Only a folder is looked into; a model's name is taken at its word, and `Cloze.load` fetches it.
    """
    name = name or os.environ.get(VARIABLE, "")
    if not name:
        return Availability(
            False, f"no masked language model is configured: set {VARIABLE}=hf:<folder or model name>"
        )
    if not name.startswith("hf:") or len(name) == 3:
        return Availability(False, f"{name!r} is no masked model: write hf:<folder or model name>")
    folder = Path(name[3:]).expanduser()
    if name[3:].startswith((".", "/", "~")) and not folder.is_dir():
        return Availability(False, f"{folder} is not a folder; give the folder of a masked language model")
    if folder.is_dir():
        try:
            require_safetensors(folder)
        except CheckpointUnavailable as error:
            return Availability(False, str(error))
    return Availability(True)


class Cloze:
    """A frozen masked language model that scores class names in a gap; make one with `Cloze.load`."""

    def __init__(
        self,
        model: transformers.PreTrainedModel,
        tokenizer: transformers.PreTrainedTokenizerBase,
        *,
        name: str,
        fingerprint: str,
    ) -> None:
        if tokenizer.mask_token is None:
            raise CheckpointUnavailable(
                f"{name} has no mask token: give a masked language model (BERT, RoBERTa)"
            )
        if not tokenizer.is_fast:
            raise CheckpointUnavailable(f"{name} has no fast tokenizer, which cutting long texts needs")
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name, self.fingerprint = name, fingerprint

    @classmethod
    def load(cls, name: str | None = None) -> Cloze:
        """Load "hf:<folder or model name>", or $MSIG_MASKED_MODEL; only safetensors, no remote code.

        Raises CheckpointUnavailable with what to do.
        """
        found = available(name)
        if not found:
            raise CheckpointUnavailable(found.reason)
        name = name or os.environ[VARIABLE]
        folder = checkpoint_folder(name[3:], what="masked model")
        require_safetensors(folder)
        with no_progress():
            model = transformers.AutoModelForMaskedLM.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, **OFFLINE
            )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **OFFLINE)
        return cls(model, tokenizer, name=name, fingerprint=fingerprint(folder))

    def name_tokens(self, class_names: Sequence[str]) -> list[list[int]]:
        """Return the token ids that stand for each class name in a gap (its verbaliser)."""
        ids = [self.tokenizer(f" {name}", add_special_tokens=False)["input_ids"] for name in class_names]
        unknown = self.tokenizer.unk_token_id
        bad = [name for name, own in zip(class_names, ids) if not own or own == [unknown]]
        if bad:
            raise ValueError(f"the masked model has no tokens for the class names {bad}: reword them")
        return ids

    @torch.inference_mode()
    def read(
        self, texts: Sequence[str], class_names: Sequence[str], pattern: str, settings: ClozeSettings
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (scores float32 [n, L], states float32 [n, dim]) of one pattern.

        A score is the mean log-probability of the name's tokens in a gap of as many masks, in nats; a state is
        the last hidden state of the first mask of a gap of one, of length 1.
        """
        documents, names = check_texts(texts), self.name_tokens(class_names)
        scores = np.empty((len(documents), len(names)), dtype=np.float32)
        states = np.zeros((len(documents), int(self.model.config.hidden_size)), dtype=np.float32)
        for size in sorted({1, *map(len, names)}):
            own = [c for c, ids in enumerate(names) if len(ids) == size]
            wanted = torch.tensor([names[c] for c in own], dtype=torch.long).reshape(len(own), size)
            for start in range(0, len(documents), settings.batch):
                rows = slice(start, start + settings.batch)
                logp, state = self._gap(documents[rows], pattern, size, settings.max_tokens)
                if size == 1:
                    states[rows] = torch.nn.functional.normalize(state, dim=1).numpy()
                for column, ids in zip(own, wanted):
                    picked = logp[:, torch.arange(size), ids]
                    scores[rows, column] = picked.mean(dim=1).numpy()
        return scores, states

    def _gap(
        self, texts: Sequence[str], pattern: str, size: int, max_tokens: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log-probabilities [b, size, vocabulary] at the masks, and the first mask's state [b, dim]."""
        gap = self.tokenizer.mask_token * size
        frame = pattern.replace("{gap}", gap).replace("{text}", "")
        limit = min(max_tokens, int(getattr(self.model.config, "max_position_embeddings", max_tokens)) - 2)
        room = limit - len(self.tokenizer(frame)["input_ids"]) - 1
        if room < 1:
            raise ValueError(f"max_tokens is {max_tokens}, too few for the pattern {pattern!r} and one word")
        filled = [pattern.replace("{gap}", gap).replace("{text}", self._cut(text, room)) for text in texts]
        inputs = self.tokenizer(filled, padding=True, return_tensors="pt")
        known = {key: inputs[key] for key in ("input_ids", "attention_mask")}
        output = self.model(**known, output_hidden_states=True)
        places = (inputs["input_ids"] == self.tokenizer.mask_token_id).nonzero()
        at = places[:, 1].reshape(len(texts), size)
        rows = torch.arange(len(texts))[:, None]
        return output.logits[rows, at].log_softmax(-1), output.hidden_states[-1][rows[:, 0], at[:, 0]]

    def _cut(self, text: str, room: int) -> str:
        """Return the text's beginning of at most `room` tokens, without masks of its own."""
        text = text.replace(self.tokenizer.mask_token, " ")
        spans = self.tokenizer(
            text, add_special_tokens=False, truncation=True, max_length=room, return_offsets_mapping=True
        )["offset_mapping"]
        return text[: spans[-1][1]] if spans else ""


def cloze_scores(
    cloze: Cloze,
    texts: Sequence[str],
    class_names: Sequence[str],
    *,
    settings: ClozeSettings = ClozeSettings(),
) -> np.ndarray:
    """Return the mean over patterns of the class distributions in the gap, float32 [n, L]; no training."""
    read = [_distribution(cloze, texts, class_names, p, settings)[0] for p in settings.patterns]
    return np.mean(read, axis=0).astype(np.float32)


def ipet(
    cloze: Cloze,
    pool: Sequence[str],
    test: Sequence[str],
    class_names: Sequence[str],
    *,
    seed: int,
    settings: ClozeSettings = ClozeSettings(),
) -> np.ndarray:
    """Return the ensemble's class distributions after generations of self-training, float32 [n_test, L].

    In each generation every pattern learns from the pool texts on which a random part of the other patterns
    is surest, the same number a class and more each time. Without generations: `cloze_scores`.
    """
    if not len(pool):
        raise ValueError("the pool has no texts: the patterns learn from its pseudo labels")
    rng = np.random.default_rng(seed)
    own = [_distribution(cloze, pool, class_names, p, settings) for p in settings.patterns]
    asked = [_distribution(cloze, test, class_names, p, settings) for p in settings.patterns]
    said, answers = [probabilities for probabilities, _ in own], [p for p, _ in asked]
    n = len(settings.patterns)
    for share in settings.shares:
        taught, told = [], []
        for k in range(n):
            others = [j for j in range(n) if j != k] or [k]
            few = max(1, round(settings.teachers * len(others)))
            chosen = rng.choice(others, few, replace=False)
            rows, labels = most_confident(np.mean([said[j] for j in chosen], axis=0), share)
            both = np.vstack([own[k][1], asked[k][1]])
            found = seeded_regression(
                own[k][1], rows, labels, both, len(class_names), penalty=settings.penalty
            )
            taught.append(found[: len(pool)])
            told.append(found[len(pool) :])
        said, answers = taught, told
    return np.mean(answers, axis=0).astype(np.float32)


def _distribution(
    cloze: Cloze, texts: Sequence[str], class_names: Sequence[str], pattern: str, settings: ClozeSettings
) -> tuple[np.ndarray, np.ndarray]:
    scores, states = cloze.read(texts, class_names, pattern, settings)
    if settings.calibrate:
        scores = scores - cloze.read([""], class_names, pattern, settings)[0]
    return special.softmax(scores, axis=1).astype(np.float32), states
