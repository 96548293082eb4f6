"""What decided the label of one text: the encoder before and after training, neighbours, generated text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from msig_lib.lm.encoder import check_texts
from msig_lib.zeroshot.signal import augment

if TYPE_CHECKING:
    from msig_lib.zeroshot.classifier import GENCoClassifier


@dataclass(frozen=True)
class Near:
    """A text of the pool with its pseudo label, the probability of that label, and the cosine in -1..1."""

    text: str
    label: str
    probability: float
    cosine: float


@dataclass(frozen=True)
class Written:
    """A generated continuation, and what the text together with it is read as."""

    text: str
    label: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Explanation:
    """Why a text gets its label.

    `probabilities` are by label, the most probable first; `before` are those of the encoder as it was before
    training. `near` holds the nearest pool texts after training. `written` are continuations by the
    generator, and `with_written` the probabilities of the text's mean over them (eq. 3.9), both empty without
    a generator; `changed` says whether that mean would have another label than the text by itself.
    """

    text: str
    label: str
    probabilities: dict[str, float]
    before: dict[str, float]
    near: list[Near]
    written: list[Written]
    with_written: dict[str, float]

    @property
    def changed(self) -> bool:
        alone = self.with_written and next(iter(self.with_written))
        return bool(alone) and alone != self.label


def explain(model: GENCoClassifier, text: str, near: int, samples: int) -> Explanation:
    """Return why the fitted `model` sorts `text` as it does; see GENCoClassifier.explain."""
    (text,) = check_texts([text])
    if near < 0 or samples < 0:
        raise ValueError(f"near is {near} and samples {samples}, expected 0 or more")
    by_label = _Labels([str(name) for name in model.classes_])
    probabilities = by_label(model.predict_proba([text])[0])
    label = str(model.predict([text])[0])
    if not text.strip():
        return Explanation(text, label, probabilities, probabilities, [], [], {})
    read = model.as_read([text])
    frozen = model.encoder_.encode(read, max_tokens=model.max_tokens, cache=False)
    before = by_label(softmax(model.scale_ * frozen @ model.frozen_label_vectors_.T)[0])
    written, with_written = [], {}
    if samples and model.generator_ is not None:
        (continued,) = model.continuations(read, samples)
        rows = softmax(model.logits(augment(read, [continued])[0]))
        for more, row in zip(continued, rows):
            one = by_label(row)
            written.append(Written(more, next(iter(one)), one))
        with_written = by_label(softmax(model.logits(read, samples))[0])
    return Explanation(text, label, probabilities, before, _nearest(model, read, near), written, with_written)


class _Labels:
    """Turns a row of probabilities into {label: probability}, the most probable first."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def __call__(self, row: np.ndarray) -> dict[str, float]:
        return {self.names[i]: float(row[i]) for i in np.argsort(-row, kind="stable")}


def _nearest(model: GENCoClassifier, read: list[str], count: int) -> list[Near]:
    vector = model.reader_.vectors(read)[0]
    cosines = model.pool_vectors_ @ (vector / max(float(np.linalg.norm(vector)), 1e-12))
    return [
        Near(
            model.pool_texts_[row],
            str(model.classes_[model.pool_labels_[row]]),
            float(model.pool_probabilities_[row]),
            float(cosines[row]),
        )
        for row in np.argsort(-cosines, kind="stable")[:count]
    ]


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return the softmax of every row of `scores` [n, L], float64."""
    odds = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)
