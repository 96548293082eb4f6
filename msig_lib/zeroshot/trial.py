"""One seed of one task in chapter 3: the pool drawn, its vectors, its generators, and any method trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.zeroshot import baselines, baselines_text, signal
from msig_lib.zeroshot.corpus_lm import CorpusLM, CorpusLMSettings
from msig_lib.zeroshot.data import Task
from msig_lib.zeroshot.model import EmbeddingBank
from msig_lib.zeroshot.ngram import NeighbourhoodNgram, NgramSettings
from msig_lib.zeroshot.retrieval import Corpus, Retrieval
from msig_lib.zeroshot.settings import SelfTrainSettings
from msig_lib.zeroshot.train import SelfTrained, self_train


@dataclass(frozen=True)
class Method:
    """What a variant of self-training reads: generators by name, and switches.

    `augment` writes continuations of the pool texts for their pseudo labels (eq. 3.9), `conditional` texts for
    a pseudo label (eq. 3.11), `contrastive` adds the loss between a text and generated text (eq. 3.10).
    `neighbours` is the control without generation: the mean with the k nearest pool vectors. `salient` takes
    sentences as positives (PESCO-like). `share` is the part of the pool at hand.
    """

    augment: str | None = None
    conditional: str | None = None
    contrastive: bool = False
    neighbours: int = 0
    salient: bool = False
    selection: str = "balanced"
    balanced_pool: bool = False
    tau: float = 0.1  # thesis 3.5.6
    share: float = 1.0
    keep: int | None = None
    samples: int | None = None  # M, where it differs from the settings'
    scale: float | None = None  # of the similarities, where it differs from the settings'


@dataclass(frozen=True)
class BackgroundTexts:
    """Unlabelled texts from outside the pool, with their vectors float32 [m, dim]."""

    texts: list[str]
    vectors: np.ndarray


class Pool:
    """The unlabelled texts of one seed with what is made of them once: vectors, scores, generated text.

    `rows` int64 index `task.texts["train"]`. Generators write from these texts, or from these and a corpus.
    """

    def __init__(self, trial: Trial, rows: np.ndarray) -> None:
        self.trial, self.rows = trial, rows
        self.texts = [trial.task.texts["train"][i] for i in rows]
        self.vectors = trial.bank.embed(trial.bank.add(self.texts))
        self.scores = trial.settings.scale * self.vectors @ trial.label_vectors.T
        self.generators: dict[str, signal.PoolGenerator] = {}
        self._continued: dict[str, list[list[str]]] = {}
        self.conditional: dict[str, dict[tuple[int, int], list[str]]] = {}

    @property
    def labels(self) -> np.ndarray:
        """True classes of the pool, for measuring alone."""
        return self.trial.task.labels["train"][self.rows]

    def generator(self, name: str) -> signal.PoolGenerator:
        """Return the generator `name`: ngram, retrieval, each also as background_..., copy, random, continuation."""
        if name not in self.generators:
            self.generators[name] = self._make(name)
        return self.generators[name]

    def _make(self, name: str) -> signal.PoolGenerator:
        trial = self.trial
        if name == "copy":
            return signal.Copy.fit(self.texts)
        if name == "random":
            return signal.RandomDocument.fit(self.texts)
        if name == "continuation":
            more, after = trial.task.texts, trial.task.continuations
            texts = [*self.texts, *more["dev"], *more["test"]]
            known = [*(after["train"][i] for i in self.rows), *after["dev"], *after["test"]]
            return signal.Continuation.fit(texts, known)
        kind, corpus = name.removeprefix("background_"), None
        if name.startswith("background_"):
            if trial.background is None:
                raise ValueError(f"generator {name!r} needs a background corpus: pass one to Study")
            outside = trial.background
            scores = trial.settings.scale * outside.vectors @ trial.label_vectors.T
            corpus = Corpus(outside.texts, outside.vectors, scores)
        if kind == "retrieval":
            return Retrieval.fit(self.texts, self.vectors, self.scores, corpus=corpus)
        if kind == "ngram":
            return NeighbourhoodNgram.fit(
                self.texts, self.vectors, self.scores, settings=trial.ngram, corpus=corpus
            )
        if name == "corpus_lm":
            return self._language_model()
        raise KeyError(f"generator {name!r} is unknown")

    def _language_model(self) -> CorpusLM:
        """Return a small language model trained on this pool and its first guesses."""
        trial = self.trial
        return CorpusLM.fit(
            self.texts, self.vectors, self.scores, trial.task.class_names,
            CorpusLMSettings(steps=trial.lm_steps), seed=trial.seed,
        )  # fmt: skip

    def continuations(self, name: str) -> list[list[str]]:
        """Return the K texts generated after each pool text; deterministic generators write one."""
        if name not in self._continued:
            n = self.trial.samples_of(name, self.trial.settings.K)
            rows = range(len(self.texts))
            self._continued[name] = self.generator(name).generate(rows, None, n, seed=self.trial.seed)
        return self._continued[name]


class Trial:
    """All that one seed needs; `bank` holds every vector, so nothing is encoded twice."""

    def __init__(
        self,
        task: Task,
        encoder: SentenceEncoder,
        seed: int,
        *,
        pool_size: int,
        settings: SelfTrainSettings,
        ngram: NgramSettings,
        background: BackgroundTexts | None = None,
        lm_steps: int | None = None,
        max_tokens: int = 128,
    ) -> None:
        self.task, self.seed, self.settings, self.ngram = task, seed, settings, ngram
        self.background, self.lm_steps = background, lm_steps
        self.pool_size = min(pool_size, len(task.texts["train"]))
        self.bank = EmbeddingBank(encoder, max_tokens)
        for part in ("train", "dev", "test"):  # one call a part: the same for every seed, so cached
            self.bank.add(task.texts[part])
        ids = [self.bank.add(prompts) for prompts in task.prompts()]
        means = np.stack([self.bank.embed(one).mean(axis=0) for one in ids])
        self.label_vectors = means / np.linalg.norm(means, axis=1, keepdims=True)
        self.methods: dict[str, Method] = {}
        self.trained: dict[str, SelfTrained] = {}
        self._pools: dict[tuple[bool, float], Pool] = {}

    def vectors(self, part: str) -> np.ndarray:
        """Return the frozen vectors of a part's texts, float32 [n, dim]."""
        return self.bank.embed(self.bank.add(self.task.texts[part]))

    @property
    def pool(self) -> Pool:
        """The whole pool, drawn as it comes."""
        return self.pool_of(Method())

    def pool_of(self, method: Method) -> Pool:
        """Return the pool that a method sees; a part of the pool is a random subset of it."""
        key = (method.balanced_pool, method.share)
        if key not in self._pools:
            size = self.pool_size
            if method.balanced_pool:
                counts = np.bincount(self.task.labels["train"], minlength=len(self.task.class_names))
                size = min(size, int(counts.min()) * len(counts))
            rows = self.task.pool(size, self.seed, balanced=method.balanced_pool)
            if method.share < 1:
                rng = np.random.default_rng([self.seed, 1])
                rows = np.sort(rng.choice(rows, max(1, round(method.share * len(rows))), replace=False))
            self._pools[key] = Pool(self, rows)
        return self._pools[key]

    def samples_of(self, generator: str, n: int) -> int:
        """Return how many texts a generator is asked for: one of the controls, which need no mean."""
        return 1 if generator in ("copy", "continuation", "random") else n

    def self_train(self, method: Method, **changes) -> SelfTrained:
        """Train the method on this seed's pool; `changes` are settings, such as learning_rate and steps."""
        pool, s = self.pool_of(method), self.settings
        settings = replace(
            s,
            tau=method.tau,
            selection=method.selection,
            neighbour_mean=method.neighbours,
            keep=method.keep,
            K=s.K if method.augment else 0,  # a generator with K > 0 would elaborate by itself
            M=method.samples or s.M,
            scale=method.scale or s.scale,
            contrastive_weight=s.contrastive_weight if method.contrastive or method.salient else 0.0,
            **changes,
        )
        generator, gendict = None, None
        if method.conditional:
            generator = pool.generator(method.conditional)
            key = f"{method.conditional} {settings.M}"
            gendict = pool.conditional.setdefault(key, {})
        return self_train(
            self.bank,
            self.task.prompts(),
            pool.texts,
            seed=self.seed,
            settings=settings,
            generator=generator,
            augmented=pool.continuations(method.augment) if method.augment else None,
            positives=self.salient(pool) if method.salient else None,
            generated=gendict,
        )

    def salient(self, pool: Pool) -> list[list[str]]:
        """Return each pool text's sentence nearest to the prompt of its pseudo label (PESCO-like positives)."""
        embed = lambda texts: self.bank.embed(self.bank.add(texts))  # noqa: E731
        return baselines_text.salient_sentences(
            pool.texts, pool.scores.argmax(axis=1), embed, self.label_vectors
        )

    def elaborated(self, name: str, part: str, rows: Sequence[int]) -> list[list[str]]:
        """Return K continuations of a part's texts by a generator that saw only the pool (section 3.5.7)."""
        texts = [self.task.texts[part][i] for i in rows]
        vectors = self.bank.embed(self.bank.add(texts))
        n = self.samples_of(name, self.settings.K)
        return self.pool.generator(name).elaborate(texts, n, seed=self.seed, vectors=vectors)

    @cached_property
    def untrained(self) -> SelfTrained:
        """The zero-shot classifier as a model: no steps taken."""
        return self.self_train(Method(), steps=0)

    @cached_property
    def label_words(self) -> baselines_text.LabelWords:
        """Class vocabularies and pseudo labels of the LOTClass-like baseline."""
        pool = self.pool
        return baselines_text.label_words(pool.texts, pool.vectors, self.task.class_names, self.label_vectors)

    def baseline(self, name: str, part: str = "test") -> np.ndarray:
        """Return the scores float32 [n, L] on a part of a baseline that trains no head; KeyError if unknown."""
        pool, asked, labels = self.pool, self.vectors(part), self.label_vectors
        n = len(self.task.class_names)
        if name == "zero_shot":
            return baselines.zero_shot(asked, labels)
        if name == "neighbour_vote":
            return baselines.neighbour_vote(pool.vectors, labels, asked)
        if name == "kmeans":
            return baselines.lloyd(pool.vectors, labels, asked)
        if name == "label_spreading":
            return baselines.label_spreading(pool.vectors, labels, asked)
        if name == "sklearn_self_training":
            return baselines.self_training_classifier(pool.vectors, labels, asked)
        if name == "lotclass":
            rows, given = self.label_words.most_confident()
            return baselines.seeded_regression(pool.vectors, rows, given, asked, n)
        if name == "generator_classifier":
            rows, given = baselines.most_confident(pool.scores, 0.5)
            model = baselines_text.NgramClassifier().fit([pool.texts[i] for i in rows], given, n)
            return model.scores(self.task.texts[part])
        if name == "supervised_pool":
            return baselines.supervised(pool.vectors, pool.labels, asked, n, seed=self.seed)
        if name == "supervised":
            train = self.vectors("train")
            return baselines.supervised(train, self.task.labels["train"], asked, n, seed=self.seed)
        raise KeyError(f"baseline {name!r} is unknown")
