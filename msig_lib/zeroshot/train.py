"""Self-training on generated text (Algorithm 1): pseudo labels, balanced selection, generation, descent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from msig_lib.lm.threads import torch_threads
from msig_lib.zeroshot import selection
from msig_lib.zeroshot.descent import Batches, TrainingDiverged, descend
from msig_lib.zeroshot.losses import conditional_entropy
from msig_lib.zeroshot.model import Bank
from msig_lib.zeroshot.selection import Round
from msig_lib.zeroshot.settings import OFFICIAL_AG_NEWS, SelfTrainSettings
from msig_lib.zeroshot.signal import GenDict, TextGenerator, conditional
from msig_lib.zeroshot.views import Views, group_mean

__all__ = [
    "OFFICIAL_AG_NEWS", "Round", "SelfTrainSettings", "SelfTrained", "TrainingDiverged", "self_train"
]  # fmt: skip
Texts = Sequence[Sequence[str]]  # some texts for each text


@dataclass
class SelfTrained:
    """A learner with the prompts it reads labels by; `history` has one `Round` a round and one for the end."""

    bank: Bank
    learner: nn.Module
    prompt_ids: list[np.ndarray]
    pool_ids: np.ndarray
    settings: SelfTrainSettings
    history: list[Round] = field(default_factory=list)

    def label_vectors(self) -> np.ndarray:
        """Return each label's mean prompt vector, float32 [L, dim]: of length 1 unless official."""
        unit = not self.settings.official
        found = self.bank.transform(self.learner, np.concatenate(self.prompt_ids), unit=unit)
        return group_mean(found, np.array([len(ids) for ids in self.prompt_ids]), unit)

    def predict_scores(
        self, texts: Sequence[str] | np.ndarray, augmented: Texts | None = None, neighbour_mean: int = 0
    ) -> np.ndarray:
        """Return the logits of P(y | text), float32 [n, L]; their argmax is the prediction (eq. 3.2).

        `texts` are strings or ids of the bank. `augmented` lists for each text generated continuations, whose
        vectors are averaged (eq. 3.9); `neighbour_mean=k` averages it with its k nearest pool texts instead.
        """
        is_ids = isinstance(texts, np.ndarray) and texts.dtype.kind in "iu"
        ids = texts.astype(np.int64) if is_ids else self.bank.add(texts)
        return self.scores(Views(self.bank, ids, augmented, neighbour_mean, self.pool_ids))

    def scores(self, views: Views) -> np.ndarray:
        """Return scaled cosines with the labels, or plain dot products if official, float32 [n, L]."""
        vectors = views.vectors(self.learner, unit=not self.settings.official)
        return np.float32(self.settings.training_scale) * vectors @ self.label_vectors().T


def self_train(
    bank: Bank,
    prompts: Texts,
    pool_texts: Sequence[str],
    *,
    seed: int,
    settings: SelfTrainSettings | None = None,
    generator: TextGenerator | None = None,
    augmented: Texts | None = None,
    positives: Texts | None = None,
    generated: GenDict | None = None,
    threads: int | None = None,
) -> SelfTrained:
    """Train a fresh learner of `bank` on the pool's own pseudo labels (Algorithm 1).

    `prompts` lists the prompts of each label. `augmented` lists continuations of each pool text, written by
    `generator` when not given: the first K make its pseudo label (eq. 3.9) and its partners in eq. 3.10.
    `generator` also writes M texts for each trained (row, pseudo label) that `generated` (GenDict, filled
    here) lacks; one a step takes the text's place (eq. 3.11). K = 0 and M = 0 turn these off. `positives`
    lists other partners of each pool text in eq. 3.10. With none of these, this is self-training on eq. 3.5;
    with `steps=0` it is the zero-shot classifier.

    A label without a selected text is only a rival; a pool smaller than the labels is trained on as it is.
    The same seed and `generated` give the same numbers. Raises ValueError for an empty pool or label,
    TrainingDiverged when the loss is not a number.

    >>> found = self_train(EmbeddingBank(encoder), task.prompts(), texts, seed=0)  # doctest: +SKIP
    >>> found.predict_scores(["The match ended in a draw."]).argmax(1)  # doctest: +SKIP
    """
    job = _Job(bank, prompts, pool_texts, seed, settings or SelfTrainSettings(), generator, generated)
    job.prepare(augmented, positives)
    return job.run(bank.threads if threads is None else threads)


class _Job:
    """One run of `self_train`."""

    def __init__(
        self,
        bank: Bank,
        prompts: Texts,
        pool_texts: Sequence[str],
        seed: int,
        settings: SelfTrainSettings,
        generator: TextGenerator | None,
        generated: GenDict | None,
    ) -> None:
        if not len(pool_texts):
            raise ValueError("the pool has no texts: self-training needs at least one")
        if isinstance(prompts, str) or any(isinstance(p, str) for p in prompts):
            raise TypeError(
                "prompts is a list of strings or one string, expected a list of prompts per label"
            )
        if not len(prompts) or not all(len(p) for p in prompts):
            raise ValueError("prompts has no label, or a label without a prompt: give each at least one")
        self.bank, self.settings, self.generator = bank, settings, generator
        # a stream each, so that variants of one seed draw the same batches
        self.rng_rows, self.rng_prompts, self.rng_texts, other = np.random.default_rng(seed).spawn(4)
        self.generated: GenDict = {} if generated is None else generated
        self.seed = int(other.integers(2**31))  # one for all generation: a pair has one text in all rounds
        prompt_ids = np.split(
            bank.add([p for row in prompts for p in row]), np.cumsum([len(p) for p in prompts])[:-1]
        )
        self.pool_ids = bank.add(pool_texts)
        self.out = SelfTrained(bank, bank.learner(), prompt_ids, self.pool_ids, settings)
        self.n_labels = len(prompts)
        self.rate = settings.learning_rate or bank.learning_rate

    def prepare(self, augmented: Texts | None, positives: Texts | None) -> None:
        """Settle what pseudo labels read, and the partners of each pool text in eq. 3.10."""
        s, n = self.settings, len(self.pool_ids)
        for name, given in (("augmented", augmented), ("positives", positives)):
            if given is not None and len(given) != n:
                raise ValueError(f"{name} has {len(given)} rows for {n} pool texts, expected a list for each")
        if augmented is None and self.generator is not None and s.K:
            augmented = self.generator.generate(range(n), None, s.K, seed=self.seed)
        augmented = None if augmented is None or not s.K else [list(row)[: s.K] for row in augmented]
        self.views = Views(self.bank, self.pool_ids, augmented, s.neighbour_mean, self.pool_ids)
        self.partners = augmented if positives is None else positives

    def run(self, threads: int | None) -> SelfTrained:
        s = self.settings
        optimiser = torch.optim.AdamW(
            self.out.learner.parameters(), lr=self.rate, eps=s.eps, weight_decay=s.weight_decay, fused=True
        )
        rates = self.rate * (1 - np.arange(s.steps) / max(s.steps, 1))
        for steps, per_class in selection.plan(s.schedule, s.steps, len(self.pool_ids), self.n_labels):
            labels, confidence, entropy = self.pseudo_labels()
            selected = selection.select(labels, confidence, per_class, self.n_labels, s.selection)
            rows = selection.draw_batches(
                selected, labels, steps, s.per_class_batch, self.n_labels, s.selection, self.rng_rows
            )
            before = len(self.generated)
            batches = self.batches(rows, labels)
            with torch_threads(threads):
                losses = descend(self.bank, self.out.learner, optimiser, batches, rates[:steps], s)
            rates = rates[steps:]
            self.record(labels, confidence, entropy, selected, losses, len(self.generated) - before)
        self.record(*self.pseudo_labels())
        return self.out

    def pseudo_labels(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the pool's labels and confidences, and mean entropy, by the learner as it is (line 5)."""
        scores = self.out.scores(self.views)
        if not np.isfinite(scores).all():
            raise TrainingDiverged(f"{(~np.isfinite(scores)).any(1).sum()} pool texts have no finite score")
        logits = torch.from_numpy(scores)
        best = torch.softmax(logits, dim=1).max(1)
        return best.indices.numpy(), best.values.numpy(), float(conditional_entropy(logits))

    def batches(self, rows: np.ndarray, labels: np.ndarray) -> Batches:
        """Return what the steps with the pool texts `rows` [steps, b] read (lines 6-11)."""
        s, texts = self.settings, self.pool_ids[rows]
        written = self.generator is not None and s.M > 0
        learned = self.conditional(rows, labels) if written else texts
        prompts, average = self.prompts(len(rows))
        generated = None
        if s.contrastive_weight and (written or self.partners is not None):
            generated = learned if self.partners is None else self.partner(rows)
        frozen = None
        if s.targets == "frozen":
            distinct, inverse = np.unique(learned, return_inverse=True)
            scores = self.out.scores(Views(self.bank, distinct))
            frozen = scores[inverse].reshape(*learned.shape, self.n_labels)
        queries = texts if written and generated is not None else None
        return Batches(learned, labels[rows], prompts, average, generated, queries, frozen)

    def conditional(self, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the id of a text generated for each (row, pseudo label), writing what is missing (line 7-11)."""
        s, used = self.settings, np.unique(rows)
        if s.update_generator:
            self.generator.update(self.out.scores(self.views))
        found = conditional(
            self.generator, used.tolist(), labels[used].tolist(), s.M, seed=self.seed, cache=self.generated
        )
        texts = {row: group or [self.text(row)] for row, group in zip(used.tolist(), found)}
        if s.keep is not None:
            texts = self.best_read(texts, labels)
        draws = self.rng_texts.random(rows.size)
        drawn = [texts[row][int(u * len(texts[row]))] for row, u in zip(rows.ravel().tolist(), draws)]
        return self.bank.add(drawn).reshape(rows.shape)  # only what a step reads is ever encoded

    def best_read(self, texts: dict[int, list[str]], labels: np.ndarray) -> dict[int, list[str]]:
        """Keep of each row's texts the `keep` with the highest P(pseudo label | text) (official code)."""
        ids = self.bank.add([text for group in texts.values() for text in group])
        p = torch.softmax(torch.from_numpy(self.out.scores(Views(self.bank, ids))), dim=1).numpy()
        at, out = 0, {}
        for row, group in texts.items():
            mine = p[at : at + len(group), labels[row]]
            out[row] = [group[i] for i in np.argsort(-mine, kind="stable")[: self.settings.keep]]
            at += len(group)
        return out

    def text(self, row: int) -> str:
        return self.bank.texts[self.pool_ids[row]]

    def partner(self, rows: np.ndarray) -> np.ndarray:
        """Return the id of one random partner of each row; a row without any is its own."""
        chosen = []
        for row, u in zip(rows.ravel().tolist(), self.rng_texts.random(rows.size)):
            group = self.partners[row]
            chosen.append(group[int(u * len(group))] if len(group) else self.text(row))
        return self.bank.add(chosen).reshape(rows.shape)

    def prompts(self, steps: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the prompt ids of each step, int64 [steps, p], and the matrix [L, p] that averages them."""
        groups = self.out.prompt_ids
        counts = np.array([len(ids) for ids in groups])
        if self.settings.prompts == "one" or counts.max() == 1:
            which = (self.rng_prompts.random((steps, len(groups))) * counts).astype(int)
            return np.column_stack([ids[which[:, j]] for j, ids in enumerate(groups)]), None
        average = np.repeat(np.diag(1 / counts), counts, axis=1).astype(np.float32)
        return np.tile(np.concatenate(groups), (steps, 1)), average

    def record(
        self,
        labels: np.ndarray,
        confidence: np.ndarray,
        entropy: float,
        selected: np.ndarray | None = None,
        losses: np.ndarray | None = None,
        generated: int = 0,
    ) -> None:
        selected = np.zeros(0, dtype=np.int64) if selected is None else selected
        losses = np.full((0, 3), np.nan) if losses is None else losses
        mean = losses.mean(axis=0).tolist() if len(losses) else [float("nan")] * 3
        counts = [np.bincount(y, minlength=self.n_labels) for y in (labels, labels[selected])]
        self.out.history.append(
            Round(labels, confidence, selected, *counts, entropy, len(losses), *mean, generated)
        )
