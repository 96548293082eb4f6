"""The study of chapter 3 on a tiny encoder: what each method reads, and that nothing depends on threads."""

from dataclasses import replace

import numpy as np
import pytest

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.tiny import build_tiny_encoder
from msig_lib.runs import results
from msig_lib.zeroshot import diagnostics
from msig_lib.zeroshot.data import Task
from msig_lib.zeroshot.ngram import NgramSettings
from msig_lib.zeroshot.settings import HEAD
from msig_lib.zeroshot.study import METHODS, UNTRAINED, Study, together
from msig_lib.zeroshot.trial import BackgroundTexts, Method

WORDS = {"sports": "goal match team league coach", "money": "bank market price shares profit"}
SETTINGS = replace(HEAD, K=2, M=2, steps=8)


def texts(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n)
    names = list(WORDS)
    return [" ".join(rng.choice(WORDS[names[y]].split(), 4)) + f" {i}" for i, y in enumerate(labels)], labels


@pytest.fixture(scope="module")
def task():
    parts = {part: texts(n, k) for k, (part, n) in enumerate({"train": 60, "dev": 20, "test": 30}.items())}
    return Task(
        "toy",
        list(WORDS),
        {part: found[0] for part, found in parts.items()},
        {part: found[1].astype(np.int64) for part, found in parts.items()},
        continuations={part: [f"after {text}" for text in found[0]] for part, found in parts.items()},
    )


@pytest.fixture(scope="module")
def encoder(task, tmp_path_factory):
    every = [t for part in task.texts.values() for t in part] + [p for c in task.prompts() for p in c]
    return SentenceEncoder.load(f"hf:{build_tiny_encoder(tmp_path_factory.mktemp('tiny'), every, seed=0)}")


@pytest.fixture
def make(task, encoder):
    def build(seeds=(0, 1), **options):
        options = {
            "pool_size": 40,
            "settings": SETTINGS,
            "ngram": NgramSettings(least_words=4, most_words=6),
        } | options
        return Study(task, encoder, list(seeds), **options)

    return build


def test_every_method_and_baseline_gives_scores_of_every_test_text(make, task):
    study = make()
    study.fit(METHODS)
    for method in (*UNTRAINED, *METHODS):
        for scores in study.scores(method).values():
            assert scores.shape == (30, 2) and np.isfinite(scores).all(), method


def test_threads_and_company_change_nothing(make):
    methods = {name: METHODS[name] for name in ("self_training", "genco")}
    alone, both = make(), make(threads=2)
    alone.fit(methods)
    together({"a": both, "b": make()}, lambda one: one.fit(methods))
    for name in methods:
        for seed, scores in alone.scores(name).items():
            np.testing.assert_array_equal(scores, both.scores(name)[seed])


def test_methods_read_what_they_say(make, monkeypatch):
    asked = []
    from msig_lib.zeroshot import trial as module

    def spy(bank, prompts, pool_texts, **options):
        asked.append(options)
        return module_self_train(bank, prompts, pool_texts, **options)

    module_self_train = module.self_train
    monkeypatch.setattr(module, "self_train", spy)
    trial = make(seeds=[0]).trials[0]
    for name in ("self_training", "self_training_ia", "self_training_ca", "genco_no_t2g", "genco", "pesco"):
        trial.self_train(METHODS[name])
    plain, ia, ca, no_t2g, genco, pesco = asked
    assert (
        plain["generator"] is None
        and plain["augmented"] is None
        and plain["settings"].contrastive_weight == 0
    )
    assert ia["augmented"] is not None and ia["generator"] is None and ia["settings"].K == 2
    assert ca["augmented"] is None and ca["generator"] is not None and ca["settings"].K == 0
    assert no_t2g["settings"].contrastive_weight == 0 < genco["settings"].contrastive_weight
    assert ca["generated"] is genco["generated"]  # variants of a seed share what was written
    assert len(pesco["positives"]) == 40


def test_a_share_of_the_pool_is_part_of_it_and_the_balanced_pool_is_balanced(make, task):
    trial = make(seeds=[3]).trials[3]
    part = trial.pool_of(Method(share=0.25))
    assert len(part.rows) == 10 and set(part.rows) <= set(trial.pool.rows)
    balanced = trial.pool_of(Method(balanced_pool=True))
    assert len(set(np.bincount(balanced.labels))) == 1


def test_rates_are_chosen_on_dev_alone(make, task):
    changed = dict(task.labels, test=1 - task.labels["test"])
    one, other = make(seeds=[0]), make(seeds=[0])
    other.task = replace(task, labels=changed)
    names = {"self_training": METHODS["self_training"]}
    assert one.choose_rates(names, [0.5, 1.0]).equals(other.choose_rates(names, [0.5, 1.0]))


def test_results_are_recorded_per_text(make):
    study, log = make(), results.open()
    study.fit({name: METHODS[name] for name in ("self_training", "genco")})
    for name in ("self_training", "genco"):
        study.record(log, "accuracy", study.scores(name), method=name)
    study.record_gain(log, {1.0: ""})
    seeds, gain = log.matrix("gain_by_pool", method="pool_1", data="toy")
    sides = [log.matrix("accuracy", method=m, data="toy")[1] for m in ("genco", "self_training")]
    assert seeds == [0, 1]
    np.testing.assert_array_equal(gain, sides[0] - sides[1])


def test_every_writer_writes(make, task, encoder):
    outside = [f"{text} again" for text in task.texts["dev"]]
    study = make(seeds=[0], background=BackgroundTexts(outside, encoder.encode(outside)))
    trial = study.trials[0]
    for name in (
        "ngram",
        "retrieval",
        "background_ngram",
        "background_retrieval",
        "copy",
        "random",
        "continuation",
    ):
        found = trial.pool.continuations(name)
        assert len(found) == 40 and len(found[0]) == (1 if name in ("copy", "continuation", "random") else 2)
        assert len(trial.elaborated(name, "test", [0, 1])) == 2
    with pytest.raises(KeyError, match="nobody"):
        trial.pool.generator("nobody")
    with pytest.raises(ValueError, match="background"):
        make(seeds=[0]).trials[0].pool.generator("background_ngram")
    with pytest.raises(KeyError, match="unknown"):
        trial.baseline("oracle")


def test_diagnostics_measure_and_train_nothing(make):
    trial = make(seeds=[0]).trials[0]
    control = diagnostics.label_control(trial, "ngram")
    assert control.confusion.shape == (2, 2) and 0 <= control.share <= 1
    fits = diagnostics.mended(trial, "ngram")
    assert set(fits) == {(k, v) for k in ("wrong", "right") for v in ("original", "generated")}
    alone, more = (diagnostics.pseudo_labels(trial, g) for g in (None, "ngram"))
    np.testing.assert_array_equal(alone.argmax(1), trial.pool.scores.argmax(1))
    np.testing.assert_allclose(more.sum(1), 1, atol=1e-5)
    found = diagnostics.precision_by_share(trial, alone, (0.1, 1.0))
    assert found[1.0] == pytest.approx((alone.argmax(1) == trial.pool.labels).mean())
    assert list(diagnostics.examples(trial, "ngram", [0, 1])["text"]) == trial.pool.texts[:2]
    assert not trial.trained


def test_projection_draws_texts_prompts_and_what_was_written(make):
    trial = make(seeds=[0]).trials[0]
    figure = diagnostics.projected(trial, "ngram", texts=5, moved=2)
    assert len(figure.axes[0].lines) >= 2 * 3  # texts, generated and prompt of each class


def test_the_judge_saw_no_pool_text(make, monkeypatch):
    trial, seen = make(seeds=[0]).trials[0], []
    real = diagnostics.baselines.seeded_regression

    def spy(known, *rest, **options):
        seen.append(known)
        return real(known, *rest, **options)

    monkeypatch.setattr(diagnostics.baselines, "seeded_regression", spy)
    diagnostics.judge(trial, ["goal match"])
    pool = {row.tobytes() for row in trial.pool.vectors}
    assert len(seen[0]) == 20 + 20 and not pool & {row.tobytes() for row in seen[0]}


def test_frozen_and_tuned_start_alike(make):
    found = diagnostics.frozen_and_tuned(make(seeds=[0]).trials[0], steps=0)
    a, b = found.values()
    np.testing.assert_allclose(a, b, atol=1e-2)
