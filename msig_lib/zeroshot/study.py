"""One task taken through chapter 3 for all seeds: every method and control on the same vectors.

texts → pool of a seed → pseudo labels → generated text → self-training → scores of the test texts
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy import special
from threadpoolctl import threadpool_limits

from msig_lib import datasets
from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.threads import torch_threads
from msig_lib.zeroshot import evaluate
from msig_lib.zeroshot.data import Task
from msig_lib.zeroshot.ngram import NgramSettings
from msig_lib.zeroshot.settings import HEAD, SelfTrainSettings
from msig_lib.zeroshot.trial import BackgroundTexts, Method, Trial

T = TypeVar("T")
NGRAM = "ngram"
BACKGROUND_TOKENS = 48
"""Tokens of a background document that the encoder reads; ours, whole descriptions are long."""

METHODS = {
    "self_training": Method(),
    "self_training_unbalanced": Method(selection="confidence"),
    "self_training_balanced_pool": Method(balanced_pool=True),
    "pesco": Method(salient=True),
    "self_training_copy": Method(augment="copy"),
    "self_training_random": Method(augment="random"),
    "self_training_neighbours": Method(neighbours=10),
    "self_training_ia": Method(augment=NGRAM),
    "self_training_ca": Method(conditional=NGRAM),
    "genco_no_ca": Method(augment=NGRAM, contrastive=True),
    "genco_no_ia": Method(conditional=NGRAM, contrastive=True),
    "genco_no_t2g": Method(augment=NGRAM, conditional=NGRAM),
    "genco": Method(augment=NGRAM, conditional=NGRAM, contrastive=True),
}
"""The variants of self-training in the chapter's tables; `genco` is all of Algorithm 1."""

SINGLE_STEPS = (
    "self_training_copy", "self_training_random", "self_training_neighbours", "self_training_ia",
    "self_training_ca", "genco_no_t2g",
)  # fmt: skip
"""Those of `METHODS` that take one step from self-training or GENCo, beyond the thesis's own ablations."""

UNTRAINED = (
    "zero_shot", "neighbour_vote", "kmeans", "label_spreading", "sklearn_self_training", "lotclass",
    "generator_classifier", "supervised_pool",
)  # fmt: skip
"""The baselines of `Trial.baseline` that depend on the seed's pool and train no head by self-training."""


class Study:
    """A task with its seeds; `each` runs a function once for every seed, several at a time, one thread each.

    `workers` run the seeds; several studies may share them (see `together`). None makes `threads` of them.
    """

    def __init__(
        self,
        task: Task,
        encoder: SentenceEncoder,
        seeds: Sequence[int],
        *,
        pool_size: int,
        settings: SelfTrainSettings | None = None,
        ngram: NgramSettings | None = None,
        background: BackgroundTexts | None = None,
        lm_steps: int | None = None,
        threads: int = 1,
        workers: ThreadPoolExecutor | None = None,
        max_tokens: int = 128,
    ) -> None:
        self.task, self.seeds = task, list(seeds)
        self.workers = workers or ThreadPoolExecutor(threads)
        self.settings = settings or HEAD
        self.rates: dict[str, float] = {}
        with torch_threads(threads):  # one after the other: the first encodes the texts, the others read them
            self.trials = {
                seed: Trial(
                    task, encoder, seed, pool_size=pool_size, settings=self.settings,
                    ngram=ngram or NgramSettings(), background=background, lm_steps=lm_steps,
                    max_tokens=max_tokens,
                )
                for seed in self.seeds
            }  # fmt: skip

    def each(self, work: Callable[[Trial], T]) -> dict[int, T]:
        """Return {seed: work(trial)}; a trial is one thread's, so results do not depend on the number of threads."""
        with one_thread_each():
            return dict(zip(self.seeds, self.workers.map(work, self.trials.values())))

    def choose_rates(self, methods: Mapping[str, Method], factors: Sequence[float]) -> pd.DataFrame:
        """Choose for every method the learning rate, of the same few, with the best dev accuracy (first seed).

        The only use of labels in training anything but the supervised rows. Returns the accuracies on dev, one
        row a method and one column a factor on the bank's rate.
        """
        trial, true = self.trials[self.seeds[0]], self.task.labels["dev"]
        base = self.settings.learning_rate or trial.bank.learning_rate

        def work() -> dict[str, dict[float, float]]:
            found: dict[str, dict[float, float]] = {}
            for name, method in methods.items():
                found[name] = {}
                for factor in factors:
                    model = trial.self_train(method, learning_rate=factor * base)
                    scores = model.predict_scores(self.task.texts["dev"])
                    found[name][factor] = float(evaluate.correct(true, scores).mean())
            return found

        with one_thread_each():
            found = self.workers.submit(work).result()
        for name, accuracies in found.items():
            self.rates[name] = base * max(factors, key=accuracies.__getitem__)
        return pd.DataFrame(found).T

    def fit(self, methods: Mapping[str, Method], rates_of: str | None = None) -> None:
        """Train every method for every seed; one without a rate of its own takes that of `rates_of`."""

        def work(trial: Trial) -> None:
            for name, method in methods.items():
                if name not in trial.trained:
                    trial.methods[name] = method
                    rate = self.rates.get(name, self.rates.get(rates_of or "self_training"))
                    trial.trained[name] = trial.self_train(method, learning_rate=rate)

        self.each(work)

    def scores(self, method: str, part: str = "test") -> dict[int, np.ndarray]:
        """Return {seed: scores float32 [n, L]} of a trained method or a baseline."""

        def work(trial: Trial) -> np.ndarray:
            if method in trial.trained:
                return trial.trained[method].predict_scores(self.task.texts[part])
            return trial.baseline(method, part)

        return self.each(work)

    def supervised(self) -> dict[None, np.ndarray]:
        """Return {None: scores} of a classifier with the true labels of all training texts: one for all seeds."""
        return {None: self.trials[self.seeds[0]].baseline("supervised")}

    def majority(self) -> dict[int, np.ndarray]:
        """Return {seed: scores} of answering the pool's most frequent true class."""
        n, size = len(self.task.class_names), len(self.task.texts["test"])
        return {s: evaluate.majority(trial.pool.labels, size, n) for s, trial in self.trials.items()}

    def predict(self, method: str, rows: np.ndarray, generator: str | None) -> dict[int, np.ndarray]:
        """Return {seed: scores float32 [len(rows), L]} of test rows, from continued texts if a generator is named.

        `method` is trained, or "zero_shot". The generator has seen only the pool (section 3.5.7).
        """

        def work(trial: Trial) -> np.ndarray:
            more = trial.elaborated(generator, "test", rows) if generator else None
            texts = [self.task.texts["test"][i] for i in rows]
            model = trial.trained.get(method) or trial.untrained
            return model.predict_scores(texts, augmented=more)

        return self.each(work)

    def record(
        self,
        log,
        name: str,
        scores: Mapping[int | None, np.ndarray],
        *,
        method: str,
        rows: np.ndarray | None = None,
    ) -> None:
        """Add to `log` under metric `name` whether each test text (or those at `rows`) is right, for every seed."""
        true = self.task.labels["test"]
        true = true if rows is None else true[rows]
        for seed, found in scores.items():
            hits = evaluate.correct(true, found).astype(float)
            log.add(name, hits, seed=seed, method=method, data=self.task.name)

    def record_gain(self, log, endings: Mapping[float, str]) -> None:
        """Add GENCo's gain over self-training on every test text, for each share of the pool, as "gain_by_pool".

        `endings` gives for a share what follows "genco" and "self_training" in the methods' names.
        """
        for share, ending in endings.items():
            for seed in self.seeds:
                more, less = (
                    log.matrix("accuracy", method=f"{base}{ending}", data=self.task.name)
                    for base in ("genco", "self_training")
                )
                gain = more[1][more[0].index(seed)] - less[1][less[0].index(seed)]
                log.add("gain_by_pool", gain, seed=seed, method=f"pool_{share:g}", data=self.task.name)

    def confidence(self, method: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the stated confidence of each test text's class, float [n], and whether it is right, bool [n]."""
        trial = self.trials[seed]
        model = trial.trained.get(method) or trial.untrained
        p = special.softmax(model.predict_scores(self.task.texts["test"]), axis=1)
        return p.max(axis=1), evaluate.correct(self.task.labels["test"], p)

    def writers(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Return (continuations by, texts for a class by) for generators by name.

        The oracle only knows what follows a text; its texts for a class are the n-gram model's.
        """
        return [(name, NGRAM if name == "continuation" else name) for name in names]


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Keep torch and BLAS to one thread while several trials run side by side."""
    with torch_threads(1), threadpool_limits(1):
        yield


def together(studies: Mapping[str, Study], work: Callable[[Study], T]) -> dict[str, T]:
    """Return {name: work(study)} for several studies at a time; they should share their workers."""
    with one_thread_each(), ThreadPoolExecutor(len(studies)) as pool:
        return dict(zip(studies, pool.map(work, studies.values())))


def background_corpus(
    encoder: SentenceEncoder, *, limit: int = 0, threads: int | None = None
) -> BackgroundTexts:
    """Return documentation from outside every split of `docstring_topics`, with the encoder's vectors.

    `limit` takes that many documents (0: all).
    """
    found = datasets.load("docstring_background", **({"limit": limit} if limit else {}))
    with torch_threads(threads):
        return BackgroundTexts(found.texts, encoder.encode(found.texts, max_tokens=BACKGROUND_TOKENS))
