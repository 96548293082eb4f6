"""The pipeline of chapter 2 on a small generated corpus: what it may read, choose and repeat."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.tiny import build_tiny_encoder
from msig_lib.runs import results
from msig_lib.xmtc import figures
from msig_lib.xmtc.data import Part, XMTCData
from msig_lib.xmtc.evaluate import significance_marks
from msig_lib.xmtc.finetune import FineTuneSettings
from msig_lib.xmtc.study import Dense, Study, measure_cost
from msig_lib.xmtc.train import TrainSettings

TOPICS = 12
WORDS = [f"word{i}" for i in range(4 * TOPICS)]


def world(rng: np.random.Generator) -> XMTCData:
    """Documents of one or two topics; each topic has four words of its own."""

    def part(n: int) -> Part:
        labels = np.zeros((n, TOPICS), np.float32)
        texts = []
        for row in labels:
            topics = rng.choice(TOPICS, size=rng.integers(1, 3), replace=False)
            row[topics] = 1
            texts.append(" ".join(rng.choice(WORDS[4 * t : 4 * t + 4]) for t in topics for _ in range(3)))
        return Part(texts, sparse.csr_matrix(labels), np.arange(n))

    return XMTCData("topics", [f"topic {i}" for i in range(TOPICS)], part(60), part(30), part(40))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    folder = build_tiny_encoder(tmp_path_factory.mktemp("e"), [" ".join(WORDS) + " topic"], seed=0)
    made = Study(
        world(np.random.default_rng(0)),
        SentenceEncoder.load(f"hf:{folder}"),
        settings=TrainSettings(epochs=2, batch=16, subset=12),
    )
    made.fit(
        {"depl": Dense("dual", 4), "classifier": Dense("classifier"), "depl_cls": Dense("joint", 4)}, [0, 1]
    )
    return made


def test_the_svm_writes_the_words_of_its_topic(study):
    for label, words in enumerate(study.describe(4).words):
        assert set(words) <= set(WORDS[4 * label : 4 * label + 4])


def test_descriptions_know_their_writers(study):
    assert study.describe(0).texts == study.data.label_names
    assert study.describe(4, "random").words != study.describe(4).words
    with pytest.raises(ValueError, match="expected 'svm', 'mean' or 'random'"):
        study.describe(4, "oracle")


@pytest.mark.parametrize(
    "method", ["svm", "popularity", "neighbours", "neighbours_dense", "frozen_names", "depl"]
)
def test_every_method_scores_every_label(study, method):
    scores = study.scores(method, "test", 0)
    assert scores.shape == (40, TOPICS) and np.isfinite(scores).all()


def test_an_unfitted_method_is_named(study):
    with pytest.raises(KeyError, match="'depl_w9' was not fitted; fitted: depl, classifier, depl_cls"):
        study.scores("depl_w9", "test", 0)


def test_same_seed_same_scores_and_seeds_differ(study):
    again = Study(study.data, study.encoder, settings=study.settings, threads=2)
    again.fit({"depl": Dense("dual", 4)}, [1, 0])
    assert np.array_equal(again.scores("depl", "test", 0), study.scores("depl", "test", 0))
    assert not np.array_equal(study.scores("depl", "test", 0), study.scores("depl", "test", 1))


def test_choices_read_dev_and_never_test(study):
    """Rates and fusion weights are the same when the test labels are wiped out."""
    blind = XMTCData(
        "blind", study.data.label_names, study.data.train, study.data.dev,
        Part(study.data.test.texts, study.data.test.labels * 0, study.data.test.rows),
    )  # fmt: skip
    other = Study(blind, study.encoder, settings=study.settings)
    methods = {"depl": Dense("dual", 4), "classifier": Dense("classifier")}
    mine = Study(study.data, study.encoder, settings=study.settings)
    pd.testing.assert_frame_equal(
        mine.choose_rates(methods, [0.5, 2.0], seed=0), other.choose_rates(methods, [0.5, 2.0], seed=0)
    )
    other.fit(methods, [0])
    mine.fit(methods, [0])
    assert np.array_equal(mine.fuse(["svm", "depl"], 0), other.fuse(["svm", "depl"], 0))


def test_a_name_stands_for_one_method(study):
    with pytest.raises(ValueError, match=r"'depl' is .* already"):
        study.fit({"depl": Dense("dual", 2)}, [0])


def test_chosen_rates_are_used_and_start_no_further_than_asked(study):
    made = Study(study.data, study.encoder, settings=study.settings)
    table = made.choose_rates({"depl": Dense("dual", 4)}, [0.5, 4.0], seed=0)
    best = table.loc["depl"].idxmax()
    assert made.tuned["depl"].learning_rate == pytest.approx(best * study.settings.learning_rate)


def test_frozen_tuning_leaves_the_start_as_it_was(study):
    before = study.scores("classifier", "test", 0)
    budget = FineTuneSettings(steps=3, batch=8)
    frozen, free = (study.tune("classifier", 0, free=free, settings=budget) for free in (False, True))
    assert np.array_equal(study.scores("classifier", "test", 0), before)
    assert frozen.shape == free.shape == before.shape and not np.array_equal(frozen, free)


def test_results_become_a_table_in_the_methods_order(study):
    log = results.open()
    for method in ("svm", "neighbours"):
        study.record(log, study.scores(method, "test"), method=method)
    table = figures.results_table(log.frame(), ["neighbours", "svm"], ["p@1", "psp@1"])
    assert list(table.index) == [figures.NAMES["neighbours"], "SVM"]
    assert table.loc["SVM", "p@1"] == pytest.approx(log.matrix("p@1", method="svm")[1].mean())


def test_cost_leaves_out_sizes_beyond_the_labels(study):
    table = measure_cost(study, [4, TOPICS, 99], seed=0)
    assert table["labels"].tolist() == [4, TOPICS] and (table.drop(columns="labels") > 0).all(axis=None)


def test_significance_marks_only_what_is_better():
    rng = np.random.default_rng(0)
    base, noise = rng.random(300), 0.1 * rng.random(300)
    marks = significance_marks({"svm": base, "better": base + noise, "worse": base - noise}, {"*": "svm"})
    assert marks == {"svm": "", "better": "*", "worse": ""}


def test_tail_shares_are_those_of_the_tables_counts():
    shares = figures.tail_shares()
    assert shares.loc["EURLex-4K", "from table 2.1"] == pytest.approx(2413 / 3956)
