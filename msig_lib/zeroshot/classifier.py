"""GENCo as a scikit-learn classifier: class names and unlabelled texts in, labels out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from msig_lib.lm.encoder import SentenceEncoder, check_texts
from msig_lib.lm.threads import torch_threads
from msig_lib.zeroshot import saving
from msig_lib.zeroshot.data import TEMPLATES, label_prompts
from msig_lib.zeroshot.explanation import Explanation, explain, softmax
from msig_lib.zeroshot.generators import Choice, make_generator
from msig_lib.zeroshot.model import Bank, EmbeddingBank, StatesBank, TextBank
from msig_lib.zeroshot.reader import Reader
from msig_lib.zeroshot.selection import Round
from msig_lib.zeroshot.settings import HEAD, SelfTrainSettings
from msig_lib.zeroshot.signal import PoolGenerator, augment
from msig_lib.zeroshot.train import self_train
from msig_lib.zeroshot.views import group_mean

TRAINS = ("head", "top_layer", "encoder")
BLOCK = 512  # texts that are in memory as vectors at a time
LONGEST = 100  # ours: characters read for each token that is; English has 4 to 5


class GENCoClassifier(ClassifierMixin, BaseEstimator):
    """Sorts texts under class names, learning from unlabelled texts and from what a generator writes about them.

    Parameters
    ----------
    labels : class names in words that mean something ("sports", not "class 3"), each once.
    encoder : "minilm", "hf:<name or folder>" or a loaded SentenceEncoder.
    generator : None (the default: self-training alone, which chapter 3 found at least as good as with a
        generator that knows only the pool, at a hundredth of the time), "ngram", "retrieval"; a language
        model (`lm.generate.TextModel`: a local one or a server), which is then prompted; a generator that was
        fitted on the texts that `fit` is given; or a function (texts, vectors [n, dim], scores [n, L],
        labels) -> generator.
    templates : prompts of a label, each with "{label}".
    trains : "head" (a square matrix on frozen sentence vectors, seconds), "top_layer" or "encoder".
    settings : SelfTrainSettings; None takes the chapter's (`HEAD`), or the
        defaults where more than a head is trained. `steps=0` is the plain zero-shot classifier.
    inference_samples : continuations whose mean a prediction reads (eq. 3.9, section 3.5.7); 0 reads the text.
    max_tokens, random_state, threads : tokens read per text, seed, torch threads (None: as it is).

    Attributes: `classes_` (label names [L]), `encoder_`, `reader_` (the trained encoder), `generator_`,
    `label_vectors_` float32 [L, dim]; of the texts learned from `pool_texts_`, `pool_vectors_`,
    `pool_labels_` int64 and `pool_probabilities_`; `n_blank_`; `history_`, a dict a round.

    Defined corners: a blank text says nothing: it is left out when fitting, and predicted with probability 1/L
    for every label, so as the first one. Of a long text the first `max_tokens` tokens are read, within its
    first 100 x `max_tokens` characters. With one label nothing is trained. There may be fewer texts than
    labels; a label that no text is like stays a rival. A text may occur many times.

    >>> model = GENCoClassifier(["politics", "sports"]).fit(texts)  # doctest: +SKIP
    >>> model.predict(["The match ended in a draw."])  # doctest: +SKIP
    array(['sports'], dtype=object)
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        encoder: str | SentenceEncoder = "minilm",
        generator: Choice = None,
        templates: Sequence[str] = TEMPLATES,
        trains: str = "head",
        settings: SelfTrainSettings | None = None,
        inference_samples: int = 0,  # ours: generation costs, and `explain` shows what it would change
        max_tokens: int = 128,  # thesis 3.5.5
        random_state: int = 0,
        threads: int | None = None,
    ) -> None:
        self.labels = labels
        self.encoder = encoder
        self.generator = generator
        self.templates = templates
        self.trains = trains
        self.settings = settings
        self.inference_samples = inference_samples
        self.max_tokens = max_tokens
        self.random_state = random_state
        self.threads = threads

    def fit(self, texts: Sequence[str], y: object = None) -> GENCoClassifier:
        """Learn from unlabelled `texts`; `y` is ignored, it is there for pipelines.

        Raises TypeError for what is not a list of strings, ValueError for labels that are empty or occur twice
        and when no text has a word.
        """
        labels = check_labels(self.labels)
        prompts = label_prompts(labels, self.templates)
        settings = self._settings(len(labels))
        texts = check_texts(texts)
        pool = [text for text in self.as_read(texts) if text.strip()]
        if not pool:
            raise ValueError(
                f"none of the {len(texts)} texts has a word in it: fit learns from unlabelled texts, "
                "usually those that are to be sorted"
            )
        given = self.encoder
        self.encoder_ = given if isinstance(given, SentenceEncoder) else SentenceEncoder.load(given)
        with torch_threads(self.threads):
            bank = self._bank()
            frozen = bank.embed(bank.add(pool))
            flat = bank.embed(bank.add([prompt for row in prompts for prompt in row]))
            names = group_mean(flat, np.array([len(row) for row in prompts]))
            generator = None
            if settings.steps or self.inference_samples:
                scores = settings.scale * frozen @ names.T
                generator = make_generator(self.generator, pool, frozen, scores, labels)
            found = self_train(
                bank,
                prompts,
                pool,
                seed=self.random_state,
                settings=settings,
                generator=generator if settings.steps else None,
                threads=self.threads,
            )
            self.label_vectors_ = found.label_vectors()
            self.pool_vectors_ = bank.transform(found.learner, found.pool_ids)
        last = found.history[-1]
        self.classes_ = np.array(labels, dtype=object)
        self.generator_ = generator
        self.scale_ = settings.training_scale
        self.frozen_label_vectors_ = names
        self.reader_ = Reader.of(self.encoder_, found.learner, self.max_tokens, unit=not settings.official)
        self.pool_texts_, self.pool_frozen_ = pool, frozen
        self.pool_labels_, self.pool_probabilities_ = last.labels, last.confidence
        self.n_blank_ = len(texts) - len(pool)
        self.history_ = [_plain(one) for one in found.history]
        return self

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return the logits of P(label | text), float32 [n, L] (eqs. 3.1-3.3); all 0 for a blank text."""
        check_is_fitted(self, "classes_")
        texts = check_texts(texts)
        out = np.zeros((len(texts), len(self.classes_)), dtype=np.float32)
        with torch_threads(self.threads):
            for rows, block in self._blocks(texts):
                out[rows] = self.logits(block, self.inference_samples)
        return out

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Return P(label | text), float64 [n, L], rows that add to 1; columns are in the order of `classes_`."""
        return softmax(self.decision_function(texts))

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Return the most probable label of every text, object [n]; the first one wins a tie."""
        best = self.decision_function(texts).argmax(1)
        return self.classes_[best]

    def score(
        self, texts: Sequence[str], y: Sequence[str], sample_weight: npt.ArrayLike | None = None
    ) -> float:
        """Return the accuracy against the labels `y`; ValueError for labels that are none of `classes_`."""
        check_is_fitted(self, "classes_")
        y = list(y)
        unknown = sorted({str(label) for label in y} - set(self.classes_))
        if unknown:
            raise ValueError(f"y holds {unknown[:5]}, expected labels among {list(self.classes_[:30])}")
        texts = check_texts(texts)
        if len(texts) != len(y) or not y:
            raise ValueError(f"{len(texts)} texts but {len(y)} labels: expected a text, and one label a text")
        return float(np.average(self.predict(texts) == np.array(y, dtype=object), weights=sample_weight))

    def explain(self, text: str, *, near: int = 5, samples: int = 3) -> Explanation:
        """Return what decided the label of `text`: see `Explanation`.

        `near` is the number of pool texts, `samples` that of generated continuations (0: none are written).
        """
        check_is_fitted(self, "classes_")
        return explain(self, text, near, samples)

    def save(self, folder: Path | str) -> None:
        """Write the fitted model to a new folder: safetensors and JSON, no pickle, with hashes.

        The texts learned from are in it. A generator that was given by its name is there again after `load`,
        any other is not.
        """
        check_is_fitted(self, "classes_")
        saving.save(self, Path(folder))

    @classmethod
    def load(
        cls, folder: Path | str, *, encoder: SentenceEncoder | None = None, generator: Choice = None
    ) -> GENCoClassifier:
        """Read a model written by `save`; format version, file hashes and the encoder's hash are checked.

        `encoder` saves loading one that is at hand, `generator` gives back one that could not be saved.
        Raises lm.saved.SavedModelError with what does not fit.
        """
        return saving.load(cls, Path(folder), encoder, generator)

    def logits(self, read: Sequence[str], samples: int = 0) -> np.ndarray:
        """Return the logits of texts as they are read, none of them blank, float32 [n, L].

        With `samples`, of the mean over so many of their continuations (eq. 3.9).
        """
        if samples:
            groups = augment(read, self.continuations(read, samples))
            flat = self.reader_.vectors([view for group in groups for view in group])
            vectors = group_mean(flat, np.array([len(group) for group in groups]), self.reader_.unit)
        else:
            vectors = self.reader_.vectors(read)
        return np.float32(self.scale_) * vectors @ self.label_vectors_.T

    def continuations(self, read: Sequence[str], samples: int) -> list[list[str]]:
        """Return `samples` texts that the generator writes after each text."""
        vectors = {}
        if isinstance(self.generator_, PoolGenerator):
            vectors["vectors"] = self.encoder_.encode(read, max_tokens=self.max_tokens, cache=False)
        return self.generator_.elaborate(read, samples, seed=self.random_state, **vectors)

    def as_read(self, texts: Sequence[str]) -> list[str]:
        """Return texts cut to the characters that are looked at, so that a long one costs no more.

        Halves of surrogate pairs, which no tokeniser takes, become U+FFFD.
        """
        most = LONGEST * self.max_tokens
        return [_sound(text if len(text) <= most else text.lstrip()[:most]) for text in texts]

    def _settings(self, n_labels: int) -> SelfTrainSettings:
        settings = self.settings or (HEAD if self.trains == "head" else SelfTrainSettings())
        if not isinstance(settings, SelfTrainSettings):
            raise TypeError(f"settings is a {type(settings).__name__}, expected SelfTrainSettings")
        if self.trains not in TRAINS:
            raise ValueError(f"trains is {self.trains!r}, expected one of {', '.join(TRAINS)}")
        if settings.official and self.trains != "head":
            raise ValueError('convention="official" reads unnormalised vectors: use trains="head"')
        if self.inference_samples < 0 or (self.inference_samples and self.generator is None):
            raise ValueError(
                f"inference_samples is {self.inference_samples} with generator {self.generator!r}: expected 0, "
                "or more and a generator"
            )
        return settings if n_labels > 1 else replace(settings, steps=0)  # one label has no rival

    def _bank(self) -> Bank:
        if self.trains == "head":
            return EmbeddingBank(self.encoder_, self.max_tokens)
        kind = StatesBank if self.trains == "top_layer" else TextBank
        return kind(self.encoder_, max_tokens=self.max_tokens)

    def _blocks(self, texts: list[str]) -> Iterator[tuple[np.ndarray, list[str]]]:
        """Yield (rows, texts as they are read) of those that are not blank."""
        for start in range(0, len(texts), BLOCK):
            block = self.as_read(texts[start : start + BLOCK])
            rows = [i for i, text in enumerate(block) if text.strip()]
            if rows:
                yield np.array(rows) + start, [block[i] for i in rows]


def check_labels(labels: Sequence[str]) -> list[str]:
    """Return class names as a list; TypeError or ValueError names what is wrong with them."""
    if isinstance(labels, str):
        raise TypeError(f"labels is one string, expected a list of class names: {labels.split(',')}")
    names = list(labels)
    wrong = next((i for i, name in enumerate(names) if not isinstance(name, str)), None)
    if wrong is not None:
        raise TypeError(f"labels[{wrong}] is {names[wrong]!r}, expected a string")
    if not names or not all(name.strip() for name in names):
        raise ValueError(f"labels is {names}, expected one or more names that are not empty")
    plain = [" ".join(name.split()).casefold() for name in names]
    twice = [name for name, same in zip(names, plain) if plain.count(same) > 1]
    if twice:
        raise ValueError(
            f"labels holds {', '.join(map(repr, twice))}, the same name twice (case and spaces do not count): "
            "give each class once, with a name of its own"
        )
    return names


def _sound(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _plain(one: Round) -> dict[str, Any]:
    """Return a round without what is as long as the pool, as JSON values."""
    kept = {
        name: value for name, value in asdict(one).items() if name.endswith("counts") or np.isscalar(value)
    }
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in kept.items()}
