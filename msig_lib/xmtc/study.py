"""One data set taken through chapter 2's pipeline: each step once, kept, and at hand for the next.

features → SVM → descriptions → embeddings → dense models → scores → rankings
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.xmtc import evaluate, finetune, ranking, signal, svm, train
from msig_lib.xmtc.data import XMTCData
from msig_lib.xmtc.features import Features

FUSION_WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Weights tried for a dense logit beside an SVM score; ours, chosen among on the development set."""


class Study:
    """The methods of chapter 2 on one data set.

    `data` holds the three splits, `encoder` the frozen sentence encoder. Every matrix of scores is float32
    [documents of the part, L]. Nothing reads the test part but `scores(..., part="test")`.
    """

    def __init__(
        self,
        data: XMTCData,
        encoder: SentenceEncoder,
        *,
        settings: train.TrainSettings | None = None,
        svm_settings: svm.SVMSettings | None = None,
        threads: int = 1,
        max_tokens: int = 128,
    ) -> None:
        self.data, self.encoder, self.threads, self.max_tokens = data, encoder, threads, max_tokens
        self.settings = settings or train.TrainSettings()
        self.svm_settings = svm_settings or svm.SVMSettings()

    @cached_property
    def features(self) -> Features:
        """tf-idf of the training documents."""
        return Features.fit(self.data.train.texts)

    @cached_property
    def sparse(self) -> dict:
        """tf-idf matrices of the three parts, csr float32."""
        parts = {"train": self.data.train, "dev": self.data.dev, "test": self.data.test}
        return {name: self.features.transform(part.texts) for name, part in parts.items()}

    @cached_property
    def svm(self) -> svm.SparseLinear:
        """The one-against-all linear SVM: writer of the descriptions, and a method of its own."""
        return svm.fit_one_vs_all(
            self.sparse["train"], self.data.train.labels, settings=self.svm_settings, threads=self.threads
        )

    @cached_property
    def hard_negatives(self) -> np.ndarray:
        """The SVM's ten best wrong labels of each training document, int [n, 10] (section 2.3.3)."""
        return ranking.hard_negatives(
            self.sparse["train"], self.svm, self.data.train.labels, k=self.settings.hard_per_document
        )

    @cached_property
    def documents(self) -> dict[str, np.ndarray]:
        """Sentence embeddings of the three parts, float32 [n, dim]."""
        parts = {"train": self.data.train, "dev": self.data.dev, "test": self.data.test}
        return {name: self.encoder.encode(p.texts, max_tokens=self.max_tokens) for name, p in parts.items()}

    def describe(self, n_words: int = 16, *, words: str = "svm", seed: int = 0) -> signal.Descriptions:
        """Return label descriptions of `n_words` words: the SVM's, another label's or the mean document's."""
        names, vocabulary = self.data.label_names, self.features.words
        if words == "svm":
            return signal.describe_labels(self.svm, vocabulary, names, n_words=n_words)
        if words == "mean":
            return signal.tfidf_keywords(
                self.sparse["train"], self.data.train.labels, vocabulary, names, n_words=n_words
            )
        if words == "random":
            return signal.random_keywords(self.describe(n_words), seed=seed)
        raise ValueError(f"words is {words!r}, expected 'svm', 'mean' or 'random'")

    def embed(self, descriptions: signal.Descriptions) -> np.ndarray:
        """Return the frozen encoder's embedding of every label text, float32 [L, dim] (eq. 2.2)."""
        return self.encoder.encode(descriptions.texts, max_tokens=64)

    def fit(self, kind: str, seed: int, labels: np.ndarray | None = None) -> train.Trained:
        """Train 'dual' (DE-ret, DEPL), 'classifier' or 'joint' (DEPL+cls) on the frozen embeddings."""
        common = {
            "seed": seed,
            "hard": self.hard_negatives,
            "settings": self.settings,
            "threads": self.threads,
        }
        documents, targets = self.documents["train"], self.data.train.labels
        if kind == "classifier":
            return train.train_classifier(documents, targets, **common)
        fit = {"dual": train.train_dual_encoder, "joint": train.train_joint}.get(kind)
        if fit is None or labels is None:
            raise ValueError(
                f"kind is {kind!r}, expected 'classifier', or 'dual' or 'joint' with label embeddings"
            )
        return fit(documents, labels, targets, **common)

    def tune(
        self,
        start: train.Trained,
        descriptions: signal.Descriptions | None,
        *,
        seed: int,
        free: bool,
        settings: finetune.FineTuneSettings | None = None,
    ) -> np.ndarray:
        """Train `start` further with the encoder's top layers free or frozen; return its test scores.

        Same documents, steps and batches either way, so that only the encoder's freedom differs. `start` itself
        stays as it is. `descriptions` None is the classifier.
        """
        settings = settings or finetune.FineTuneSettings()
        layer = self.encoder.layers - settings.layers
        states = {p: self._states(p, layer) for p in ("train", "test")}
        texts = None
        if descriptions is not None:
            texts = self.encoder.token_states(descriptions.texts, layer=layer, max_tokens=64)
        tuned = finetune.fine_tune(
            copy.deepcopy(start.model),
            self.encoder,
            states["train"],
            self.data.train.labels,
            texts,
            seed=seed,
            tune=free,
            hard=self.hard_negatives,
            settings=settings,
            threads=self.threads,
        )
        return tuned.score(states["test"], texts)

    def _states(self, part: str, layer: int):
        texts = getattr(self.data, part).texts
        return self.encoder.token_states(texts, layer=layer, max_tokens=self.max_tokens)

    def untrained(self, labels: np.ndarray, part: str) -> np.ndarray:
        """Return the frozen encoder's cosine between documents and label texts: no training at all."""
        return self.documents[part] @ labels.T

    def sparse_scores(self, part: str) -> np.ndarray:
        """Return the SVM's scores."""
        return self.svm.decision_function(self.sparse[part])

    def neighbours(self, part: str, *, dense: bool = False) -> np.ndarray:
        """Return nearest-neighbour scores on tf-idf or on the frozen embeddings."""
        known = self.documents["train"] if dense else self.sparse["train"]
        asked = self.documents[part] if dense else self.sparse[part]
        return evaluate.nearest_neighbours(known, asked, self.data.train.labels)

    def fusion_weight(self, base: np.ndarray, added: np.ndarray) -> float:
        """Return the weight of `added` beside `base` (scores on dev) with the best tail F1@5 on dev."""
        found = {w: self.tail_f1(base + np.float32(w) * added) for w in FUSION_WEIGHTS}
        return max(found, key=lambda w: (found[w], -w))

    def tail_f1(self, dev_scores: np.ndarray) -> float:
        """Return tail F1@5 on dev, the measure by which this chapter chooses anything."""
        topk = ranking.top_k(dev_scores, 5)
        return evaluate.summary(topk, self.data.dev, self.data)[f"tail_f1@{evaluate.F1_K}"]

    def fuse(self, dev: Sequence[np.ndarray], test: Sequence[np.ndarray]) -> tuple[np.ndarray, list[float]]:
        """Add scores one after the other, each with the weight that dev chooses; return (test, weights)."""
        base_dev, base, weights = dev[0], test[0], [1.0]
        for more_dev, more in zip(dev[1:], test[1:]):
            weights.append(self.fusion_weight(base_dev, more_dev))
            base_dev = base_dev + np.float32(weights[-1]) * more_dev
            base = base + np.float32(weights[-1]) * more
        return base, weights


def record(
    log, scores: np.ndarray, study: Study, *, method: str, seed: int | None, data: str
) -> Mapping[str, float]:
    """Record every metric of one method's test scores in `log` (a results log) and return the means."""
    topk = ranking.top_k(scores, 5)
    means = {}
    for name, values in evaluate.metrics(topk, study.data.test, study.data).items():
        means[name] = log.add(name, values, seed=seed, method=method, data=data)
    return means


def measure_cost(study: Study, sizes: Sequence[int], *, seed: int) -> pd.DataFrame:
    """Return seconds of SVM training, dual-encoder training and ranking for nested random subsets of labels.

    One row a size (those beyond the label set are left out). The dual encoder reads label names alone.
    """
    order = np.random.default_rng(seed).permutation(len(study.data.label_names))
    names = study.embed(study.describe(0))
    rows = []
    for size in (n for n in sizes if n <= len(order)):
        keep = np.sort(order[:size])
        targets = study.data.train.labels[:, keep]
        start = time.perf_counter()
        model = svm.fit_one_vs_all(
            study.sparse["train"], targets, settings=study.svm_settings, threads=study.threads
        )
        fitted = time.perf_counter()
        train.train_dual_encoder(
            study.documents["train"],
            names[keep],
            targets,
            seed=seed,
            settings=study.settings,
            threads=study.threads,
        )
        learned = time.perf_counter()
        ranking.top_k(model.decision_function(study.sparse["test"]), 5)
        done = time.perf_counter()
        rows.append([size, fitted - start, learned - fitted, done - learned])
    return pd.DataFrame(rows, columns=["labels", "SVM training", "dual-encoder training", "SVM ranking"])
