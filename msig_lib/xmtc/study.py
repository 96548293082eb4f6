"""One data set taken through chapter 2's pipeline: each step once, kept, and at hand for the next.

features → SVM → descriptions → embeddings → dense models → scores → rankings
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.threads import torch_threads
from msig_lib.xmtc import evaluate, finetune, ranking, signal, svm, train
from msig_lib.xmtc.data import Part, XMTCData
from msig_lib.xmtc.features import Features

FUSION_WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Weights tried for added scores beside an SVM's; ours, chosen among on the development set."""


LABEL_TOKENS = 96
"""Tokens of a label text that the encoder reads; ours, enough for 32 words."""


@dataclass(frozen=True)
class Dense:
    """A dense method: `kind` 'dual' (DE-ret, DEPL), 'classifier' or 'joint' (DEPL+cls), and its label text."""

    kind: str
    n_words: int = 16  # thesis 2.5.5: the best length of its ablation
    words: str = "svm"  # whose words: 'svm', or the controls 'mean' and 'random'


class Study:
    """The methods of chapter 2 on one data set.

    `data` holds the three splits, `encoder` the frozen sentence encoder. Scores are float32 [documents of the
    part, L]. Fitting reads the training part, choices read dev, and only scores of "test" read the test part.
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
        self.methods: dict[str, Dense] = {}
        self.models: dict[tuple[str, int], train.Trained] = {}
        self.tuned: dict[str, train.TrainSettings] = {}
        self.embed = lru_cache(maxsize=None)(self._embed)

    @property
    def parts(self) -> dict[str, Part]:
        """The three splits by name."""
        return {"train": self.data.train, "dev": self.data.dev, "test": self.data.test}

    @cached_property
    def features(self) -> Features:
        """tf-idf of the training documents."""
        return Features.fit(self.data.train.texts)

    @cached_property
    def sparse(self) -> dict:
        """tf-idf matrices of the parts, csr float32."""
        return {name: self.features.transform(part.texts) for name, part in self.parts.items()}

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
        """Sentence embeddings of the parts, float32 [n, dim]."""
        return {
            name: self.encoder.encode(p.texts, max_tokens=self.max_tokens) for name, p in self.parts.items()
        }

    def describe(self, n_words: int = 16, words: str = "svm") -> signal.Descriptions:
        """Return label descriptions with the SVM's words, or for 'mean' and 'random' a control's."""
        names, vocabulary = self.data.label_names, self.features.words
        if words == "svm":
            return signal.describe_labels(self.svm, vocabulary, names, n_words=n_words)
        if words == "mean":
            return signal.tfidf_keywords(
                self.sparse["train"], self.data.train.labels, vocabulary, names, n_words=n_words
            )
        if words == "random":
            return signal.random_keywords(self.describe(n_words), seed=0)
        raise ValueError(f"words is {words!r}, expected 'svm', 'mean' or 'random'")

    def _embed(self, n_words: int = 16, words: str = "svm") -> np.ndarray:
        """Return the frozen encoder's embedding of every label text, float32 [L, dim] (eq. 2.2)."""
        return self.encoder.encode(self.describe(n_words, words).texts, max_tokens=LABEL_TOKENS)

    def choose_rates(
        self, methods: Mapping[str, Dense], factors: Sequence[float], *, seed: int
    ) -> pd.DataFrame:
        """Choose for every method the factor on all learning rates with the best tail F1@5 on dev.

        The same factors for all methods, so each has the same budget of trials. Returns tail F1@5 on dev, one
        row a method and one column a factor; `fit` uses what was chosen.
        """
        jobs = [
            (method, self._scaled(factor), seed) for name, method in methods.items() for factor in factors
        ]
        trials = iter(self._fit(jobs))
        found: dict[str, dict[float, float]] = {}
        for name, method in methods.items():
            made = {factor: next(trials) for factor in factors}
            found[name] = {
                factor: self.tail_f1(model.score(self.documents["dev"], self._label_text(method)))
                for factor, model in made.items()
            }
            best = max(made, key=found[name].__getitem__)
            self.methods[name], self.tuned[name], self.models[name, seed] = (
                method,
                self._scaled(best),
                made[best],
            )
        return pd.DataFrame(found).T

    def fit(self, methods: Mapping[str, Dense], seeds: Sequence[int]) -> None:
        """Train every method for every seed on the same frozen embeddings, and keep the models.

        A method without rates of its own (`choose_rates`) has those of 'depl', of which it is a variant. Models
        that exist already stay. Raises ValueError when a name stands for another method already.
        """
        for name, method in methods.items():
            if self.methods.setdefault(name, method) != method:
                raise ValueError(f"{name!r} is {self.methods[name]} already: give {method} another name")
        rates = {name: self.tuned.get(name, self.tuned.get("depl", self.settings)) for name in methods}
        wanted = [(name, seed) for name in methods for seed in seeds if (name, seed) not in self.models]
        jobs = [(methods[name], rates[name], seed) for name, seed in wanted]
        self.models.update(zip(wanted, self._fit(jobs)))

    def _scaled(self, factor: float) -> train.TrainSettings:
        s = self.settings
        return replace(s, learning_rate=factor * s.learning_rate, vector_rate=factor * s.vector_rate)

    def _fit(self, jobs: Sequence[tuple[Dense, train.TrainSettings, int]]) -> list[train.Trained]:
        """Train several models at once, one thread each: the steps are too small to share between threads."""
        hard, documents, targets = self.hard_negatives, self.documents["train"], self.data.train.labels
        texts = {method: self._label_text(method) for method, _, _ in jobs}

        def one(job: tuple[Dense, train.TrainSettings, int]) -> train.Trained:
            method, settings, seed = job
            options = {"seed": seed, "hard": hard, "settings": settings}
            if method.kind == "classifier":
                return train.train_classifier(documents, targets, **options)
            fit = {"dual": train.train_dual_encoder, "joint": train.train_joint}[method.kind]
            return fit(documents, texts[method], targets, **options)

        with torch_threads(1), ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(one, jobs))

    def _label_text(self, method: Dense) -> np.ndarray | None:
        return None if method.kind == "classifier" else self.embed(method.n_words, method.words)

    def scores(self, method: str, part: str, seed: int | None = None) -> np.ndarray:
        """Return the scores of a trained method (with its seed) or of one that trains nothing dense.

        The latter are: svm; popularity; neighbours (tf-idf) and neighbours_dense (encoder); frozen_names and
        frozen_keywords (the untrained encoder's cosine). Raises KeyError for a method not fitted.
        """
        if method in self.methods:
            labels = self._label_text(self.methods[method])
            return self.models[method, seed].score(self.documents[part], labels)
        if method == "svm":
            return self.svm.decision_function(self.sparse[part])
        if method == "popularity":
            return evaluate.popularity(self.data, len(self.parts[part]))
        if method in ("neighbours", "neighbours_dense"):
            space = self.documents if method == "neighbours_dense" else self.sparse
            return evaluate.nearest_neighbours(space["train"], space[part], self.data.train.labels)
        words = {"frozen_names": 0, "frozen_keywords": 16}.get(method)
        if words is None:
            raise KeyError(f"method {method!r} was not fitted; fitted: {', '.join(self.methods) or 'none'}")
        return self.documents[part] @ self.embed(words).T

    def fuse(self, methods: Sequence[str], seed: int | None = None) -> np.ndarray:
        """Return the test scores of methods added up, each weight chosen on dev after the one before."""
        base = {part: self.scores(methods[0], part, seed) for part in ("dev", "test")}
        for method in methods[1:]:
            more = {part: self.scores(method, part, seed) for part in ("dev", "test")}
            found = {w: self.tail_f1(base["dev"] + np.float32(w) * more["dev"]) for w in FUSION_WEIGHTS}
            weight = np.float32(max(found, key=lambda w: (found[w], -w)))
            base = {part: base[part] + weight * more[part] for part in base}
        return base["test"]

    def tail_f1(self, dev_scores: np.ndarray) -> float:
        """Return tail F1@5 on dev, the measure by which this chapter chooses anything."""
        found = evaluate.summary(ranking.top_k(dev_scores, 5), self.data.dev, self.data)
        return found.get(f"tail_f1@{evaluate.F1_K}", 0.0)

    def tune(
        self, method: str, seed: int, *, free: bool, settings: finetune.FineTuneSettings | None = None
    ) -> np.ndarray:
        """Train a fitted method further with the encoder's top layers free or frozen; return its test scores.

        Same start, documents, steps and batches either way: only the encoder's freedom differs.
        """
        settings = settings or finetune.FineTuneSettings()
        layer, text = self.encoder.layers - settings.layers, self.methods[method]
        states = {
            part: self.encoder.token_states(self.parts[part].texts, layer=layer, max_tokens=self.max_tokens)
            for part in ("train", "test")
        }
        labels = None
        if text.kind != "classifier":
            texts = self.describe(text.n_words, text.words).texts
            labels = self.encoder.token_states(texts, layer=layer, max_tokens=LABEL_TOKENS)
        tuned = finetune.fine_tune(
            copy.deepcopy(self.models[method, seed].model),
            self.encoder,
            states["train"],
            self.data.train.labels,
            labels,
            seed=seed,
            tune=free,
            hard=self.hard_negatives,
            settings=settings,
            threads=self.threads,
        )
        return tuned.score(states["test"], labels)

    def record(self, log, scores: np.ndarray, *, method: str, seed: int | None = None) -> None:
        """Add every metric of one method's test scores to `log`, a table of results."""
        topk = ranking.top_k(scores, 5)
        for name, values in evaluate.metrics(topk, self.data.test, self.data).items():
            log.add(name, values, seed=seed, method=method, data=self.data.name)


def measure_cost(study: Study, sizes: Sequence[int], *, seed: int) -> pd.DataFrame:
    """Return seconds of SVM training, dual-encoder training and ranking for nested random subsets of labels.

    One row a size (those beyond the label set are left out). The dual encoder reads label names alone.
    """
    order = np.random.default_rng(seed).permutation(len(study.data.label_names))
    names = study.embed(0)
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
