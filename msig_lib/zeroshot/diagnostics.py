"""What the generated text of a trial does before anything is trained: obedience, mended labels, pseudo labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from msig_lib.zeroshot import baselines, evaluate, figures_rounds, figures_vectors, signal
from msig_lib.zeroshot.model import StatesBank
from msig_lib.zeroshot.selection import Round
from msig_lib.zeroshot.train import self_train
from msig_lib.zeroshot.trial import Trial
from msig_lib.zeroshot.views import Views

PER_LABEL = 10  # ours: texts written for each label; with five seeds and 15 labels 750 of them


def written_for_labels(
    trial: Trial, generator: str, *, per_label: int = PER_LABEL
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return texts written for every label from random pool texts: (texts, intended int [n], rows int [n])."""
    labels = np.repeat(np.arange(len(trial.task.class_names)), per_label)
    rows = np.random.default_rng([trial.seed, 2]).integers(len(trial.pool.texts), size=len(labels))
    found = trial.pool.generator(generator).generate(rows.tolist(), labels.tolist(), 1, seed=trial.seed)
    return [group[0] for group in found], labels, rows


def label_control(trial: Trial, generator: str, *, per_label: int = PER_LABEL) -> signal.LabelControl:
    """Return how the encoder reads texts that a generator wrote for each label (figure 3.4, left)."""
    texts, labels, _ = written_for_labels(trial, generator, per_label=per_label)
    vectors = trial.bank.embed(trial.bank.add(texts))
    return signal.label_control(vectors, labels, trial.label_vectors)


def judge(trial: Trial, texts: Sequence[str]) -> np.ndarray:
    """Return the probabilities float32 [n, L] of a supervised judge that saw no pool text.

    A logistic regression on the true labels of the training texts outside the pool, and of dev. It measures
    generated text and trains nothing else.
    """
    task = trial.task
    outside = np.setdiff1d(np.arange(len(task.texts["train"])), trial.pool.rows)
    known = np.concatenate([trial.vectors("train")[outside], trial.vectors("dev")])
    labels = np.concatenate([task.labels["train"][outside], task.labels["dev"]])
    asked = trial.bank.embed(trial.bank.add(list(texts)))
    everything = np.arange(len(known))
    return baselines.seeded_regression(known, everything, labels, asked, len(task.class_names))


def projected(trial: Trial, generator: str, *, most: int = 6, texts: int = 25, moved: int = 4) -> Figure:
    """Draw pool texts, texts written for their wrong guesses, and prompts in two dimensions (figure 3.4, right).

    The first `most` classes, `texts` random pool texts of each by true class, and arrows from `moved` wrongly
    guessed ones to what was written for the guess.
    """
    pool, n = trial.pool, min(most, len(trial.task.class_names))
    rng, given = np.random.default_rng([trial.seed, 4]), pool.scores.argmax(axis=1)
    order = rng.permutation(len(pool.texts))
    rows = np.concatenate([order[pool.labels[order] == c][:texts] for c in range(n)])
    wrong = [int(r) for r in order if given[r] != pool.labels[r] and pool.labels[r] < n and given[r] < n][
        :moved
    ]
    rows = np.concatenate([rows, np.array(wrong, dtype=np.int64)])
    labels = [int(given[r]) for r in wrong]
    written = pool.generator(generator).generate(wrong, labels, 1, seed=trial.seed) if wrong else []
    vectors = trial.bank.embed(trial.bank.add([group[0] for group in written]))
    return figures_vectors.projection(
        pool.vectors[rows],
        vectors,
        trial.label_vectors[:n],
        trial.task.class_names[:n],
        text_class=pool.labels[rows],
        generated_class=np.array(labels, dtype=np.int64),
        arrows=[(len(rows) - len(wrong) + i, i) for i in range(len(wrong))],
    )


def mended(trial: Trial, generator: str, *, most: int = 150) -> dict[tuple[str, str], float]:
    """Return the judge's mean P(pseudo label), of texts and of texts written for it, where it is wrong and right.

    Keys are ("wrong" or "right", "original" or "generated"). Section 3.4.3's argument is about the wrong ones:
    text written for a wrong pseudo label is nearer to that label than the text itself. `most` random rows each;
    NaN where there is none.
    """
    pool, rng = trial.pool, np.random.default_rng([trial.seed, 3])
    given = pool.scores.argmax(axis=1)
    kinds = {
        kind: rng.permutation(np.flatnonzero(found))[:most]
        for kind, found in (("wrong", given != pool.labels), ("right", given == pool.labels))
    }
    rows = np.concatenate(list(kinds.values()))
    written = pool.generator(generator).generate(rows.tolist(), given[rows].tolist(), 1, seed=trial.seed)
    p = judge(trial, [pool.texts[r] for r in rows] + [group[0] for group in written])
    p = p.reshape(2, len(rows), -1)[:, np.arange(len(rows)), given[rows]]
    ends = np.split(p, [len(kinds["wrong"])], axis=1)
    return {
        (kind, text): float(of[i].mean()) if of.size else float("nan")
        for kind, of in zip(kinds, ends)
        for i, text in enumerate(("original", "generated"))
    }


def pseudo_labels(trial: Trial, generator: str | None = None) -> np.ndarray:
    """Return the untrained encoder's P(y | x) on the pool, float32 [n, L]; with a generator, by eq. 3.9."""
    pool = trial.pool
    if generator is None:
        return baselines.zero_shot(pool.vectors, trial.label_vectors)
    views = Views(trial.bank, trial.bank.add(pool.texts), pool.continuations(generator))
    return baselines.zero_shot(views.vectors(trial.bank.learner()), trial.label_vectors)


def precision_by_share(
    trial: Trial, probabilities: np.ndarray, shares: Sequence[float]
) -> dict[float, float]:
    """Return the precision of pseudo labels among the most confident share of the pool, by share."""
    hits = evaluate.correct(trial.pool.labels, probabilities)
    counts = [max(1, round(share * len(hits))) for share in shares]
    found = evaluate.precision_at_confident(hits, probabilities.max(axis=1), counts)
    return {share: found[count] for share, count in zip(shares, counts)}


def examples(trial: Trial, generator: str, rows: Sequence[int]) -> pd.DataFrame:
    """Return pool texts beside a continuation and a text written for the pseudo label, one row each."""
    pool, names = trial.pool, trial.task.class_names
    given = pool.scores.argmax(axis=1)
    after = pool.generator(generator).generate(list(rows), None, 1, seed=trial.seed)
    for_label = pool.generator(generator).generate(
        list(rows), [int(given[r]) for r in rows], 1, seed=trial.seed
    )
    return pd.DataFrame(
        [
            [pool.texts[r], names[pool.labels[r]], names[given[r]], one[0], other[0]]
            for r, one, other in zip(rows, after, for_label)
        ],
        columns=[
            "text",
            "true class",
            "pseudo label",
            "generated continuation",
            "generated for the pseudo label",
        ],
    )


def frozen_and_tuned(trial: Trial, steps: int, threads: int | None = None) -> dict[str, np.ndarray]:
    """Return test scores after self-training with a head on frozen vectors, and with the top layer free.

    The same pool, seed, batches and steps, each with its bank's usual learning rate. The top layer costs about
    a hundred times as much.
    """
    settings = replace(trial.settings, steps=steps, contrastive_weight=0.0)
    asked = trial.task.texts["test"]
    found = {}
    for name, bank, rate in (
        ("self_training_frozen", trial.bank, trial.settings.learning_rate),
        ("self_training_top_layer", StatesBank(trial.bank.encoder, max_tokens=trial.bank.max_tokens), None),
    ):
        model = self_train(
            bank,
            trial.task.prompts(),
            trial.pool.texts,
            seed=trial.seed,
            settings=replace(settings, learning_rate=rate),
            threads=threads,
        )
        found[name] = model.predict_scores(asked)
    return found


def round_figure(one: Round, true: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draw one round's guesses against the true classes, with the counts of those trained on."""
    n = len(class_names)
    taken = evaluate.confusion(true[one.selected], one.labels[one.selected], n) if len(one.selected) else None
    return figures_rounds.round_frame(evaluate.confusion(true, one.labels, n), class_names, selected=taken)


def round_words(one: Round, true: np.ndarray) -> str:
    """Say what `round_figure` shows."""
    right = float((one.labels == true).mean())
    taken = (
        f"; {(one.labels == true)[one.selected].mean():.0%} of those trained on" if len(one.selected) else ""
    )
    return f"{right:.0%} of the guesses are right{taken}"
