import json
import shutil

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.tiny import build_tiny_encoder
from msig_lib.xmtc.classifier import MODES, DEPLClassifier, as_indicator
from msig_lib.xmtc.saving import SavedModelError
from msig_lib.xmtc.train import TrainSettings

TOPICS = {
    "fruit": "apple pear plum cherry juice sweet orchard",
    "vehicle": "train car wheel engine road rail driver",
    "weather": "rain snow wind cloud storm sunny cold",
    "music": "piano violin melody rhythm song choir note",
}
FAST = TrainSettings(epochs=3, batch=16, subset=8)


def corpus(n=80, seed=0):
    rng = np.random.default_rng(seed)
    names = list(TOPICS)
    texts, labels = [], []
    for _ in range(n):
        chosen = list(rng.choice(names, size=rng.integers(1, 3), replace=False))
        words = [word for name in chosen for word in rng.choice(TOPICS[name].split(), 4)]
        texts.append(" ".join(rng.permutation(words)))
        labels.append(chosen)
    return texts, labels


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny_encoder(folder, [*TOPICS, *TOPICS.values(), "planet"], seed=0)
    return SentenceEncoder.load(f"hf:{folder}")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path / "cache"))


def make(encoder, **options):
    return DEPLClassifier(**{"encoder": encoder, "train_settings": FAST, "n_words": 4, "top_k": 2} | options)


@pytest.fixture(scope="module")
def fitted(encoder):
    return make(encoder).fit(*corpus())


@pytest.mark.parametrize("mode", MODES)
def test_learns_topics(mode, encoder):
    model = make(
        encoder, mode=mode, train_settings=TrainSettings(epochs=30, batch=16, learning_rate=1e-2)
    ).fit(*corpus())
    texts, labels = corpus(40, seed=1)
    assert model.score(texts, labels) > 0.9
    assert model.decision_function(texts).shape == (40, 4)
    assert [len(row) for row in model.predict(texts)] == [2] * 40


def test_scikit_learn_conventions(encoder):
    model = make(encoder, n_words=3, C=0.5)
    assert model.get_params()["n_words"] == 3 and not [n for n in vars(model) if n.endswith("_")]
    copy = clone(model.set_params(C=2.0))
    assert copy.C == 2.0 and copy.train_settings == FAST
    with pytest.raises(NotFittedError):
        model.predict(["apple"])
    assert model.fit(*corpus(20)) is model
    assert "DEPLClassifier(" in repr(model)


def test_ranking_scores_and_lists_agree(fitted):
    texts = corpus(10, seed=2)[0]
    scores = fitted.decision_function(texts)
    for row, found, names in zip(scores, fitted.predict_topk(texts, 4), fitted.predict(texts)):
        assert [name for name, _ in found] == list(fitted.classes_[np.argsort(-row)])
        assert [value for _, value in found] == pytest.approx(sorted(row, reverse=True))
        assert names == [name for name, _ in found[:2]]


def test_same_seed_same_scores(encoder, fitted):
    texts = corpus(10, seed=3)[0]
    again = make(encoder).fit(*corpus()).decision_function(texts)
    assert np.array_equal(again, fitted.decision_function(texts))


def test_fusion_is_svm_plus_weighted_dense(encoder, fitted):
    texts = corpus(10, seed=4)[0]
    parts = {m: make(encoder, mode=m).fit(*corpus()).decision_function(texts) for m in ("svm", "depl")}
    np.testing.assert_allclose(
        fitted.decision_function(texts), parts["svm"] + 0.1 * parts["depl"], rtol=1e-4, atol=1e-5
    )


def test_describe(fitted):
    found = fitted.describe("fruit")
    words = [word for word, _ in found.keywords]
    assert set(words) <= set(TOPICS["fruit"].split()) and 0 < len(words) <= 4
    assert found.text == " ".join(["fruit", *words])
    assert [w for _, w in found.keywords] == sorted((w for _, w in found.keywords), reverse=True)
    texts, labels = corpus()
    assert "fruit" in labels[texts.index(found.example)]
    assert found.n_positives == sum("fruit" in row for row in labels)
    with pytest.raises(ValueError, match="did you mean 'fruit'"):
        fitted.describe("fruits")


@pytest.mark.parametrize("mode", MODES)
def test_empty_texts_and_no_texts(mode, encoder):
    model = make(encoder, mode=mode).fit([*corpus()[0], ""], [*corpus()[1], ["music"]])
    scores = model.decision_function(["", "qqq zzz"])
    assert scores.shape == (2, 4) and np.isfinite(scores).all()
    assert model.decision_function([]).shape == (0, 4) and model.predict([]) == []


@pytest.mark.parametrize("mode", MODES)
def test_label_without_a_training_text(mode, encoder):
    model = make(encoder, mode=mode).fit(*corpus(), label_names=["planet", *TOPICS])
    assert model.n_positives_[0] == 0 and model.describe("planet").example is None
    assert model.describe("planet").keywords == []
    names = [name for name, _ in model.predict_topk(["a planet"], 5)[0]]
    scores = model.decision_function(["a planet"])
    assert ("planet" in names) is (mode != "svm")
    assert np.isfinite(scores[0, 1:]).all() and np.isneginf(scores[0, 0]) == (mode == "svm")


@pytest.mark.parametrize("mode", MODES)
def test_single_class(mode, encoder):
    texts = [text for text in TOPICS.values() for _ in range(3)]
    for labels in ([["fruit"]] * 12, [["fruit"]] * 3 + [[]] * 9):
        model = make(encoder, mode=mode).fit(texts, labels)
        assert model.predict(["apple"]) == [["fruit"]]
        assert model.describe("fruit").n_positives == sum(map(len, labels))


def test_duplicates_in_a_row_count_once(encoder, fitted):
    texts, labels = corpus()
    model = make(encoder).fit(texts, [[*row, *row] for row in labels])
    assert np.array_equal(model.n_positives_, fitted.n_positives_)
    assert np.array_equal(model.decision_function(texts[:5]), fitted.decision_function(texts[:5]))


def test_indicator_and_lists_are_the_same(encoder, fitted):
    texts, labels = corpus()
    names, matrix = as_indicator(labels)
    assert names == sorted(TOPICS) and np.array_equal(matrix.toarray().sum(1), [len(r) for r in labels])
    for given in (matrix, matrix.toarray(), sparse.csc_matrix(matrix)):
        model = make(encoder).fit(texts, given, label_names=names)
        assert np.array_equal(model.decision_function(texts[:5]), fitted.decision_function(texts[:5]))


def test_labels_unseen_in_training(fitted):
    with pytest.raises(ValueError, match=r"'planet'.*unseen='ignore'"):
        fitted.score(["apple", "rain"], [["fruit"], ["planet"]])
    assert fitted.score(["apple plum", "a planet"], [["fruit"], ["planet"]], unseen="ignore") == 0.5


TEXTS = ["apple pear", "apple car", "car wheel"]


@pytest.mark.parametrize(
    "texts, labels, names, error, says",
    [
        ("apple pear", [["a"]], None, TypeError, "one string"),
        ([b"x", "y"], [["a"], ["b"]], None, TypeError, r"texts\[0\] is a bytes"),
        (TEXTS, "abc", None, TypeError, "labels is one string"),
        (TEXTS, ["a", "b", "c"], None, TypeError, r"labels\[0\] is the string 'a'"),
        (TEXTS, [[1], [2], [3]], None, TypeError, r"labels\[0\] is \[1\]"),
        (TEXTS, [["a"], ["b"]], None, ValueError, "3 texts but 2 rows"),
        (TEXTS, [[], [], []], None, ValueError, "nothing to learn"),
        (TEXTS, [["a"], ["b"], ["c"]], ["a", "b"], ValueError, "'c'"),
        (TEXTS, [["a"], ["b"], ["b"]], ["a", "b", "a"], ValueError, "more than once"),
        (TEXTS, np.eye(3), None, ValueError, "pass label_names"),
        (TEXTS, np.eye(3), ["a"], ValueError, "3 columns"),
        (TEXTS, 2 * np.eye(3), ["a", "b", "c"], ValueError, "holds 2, expected 0 and 1"),
        (["", "...", "!"], [["a"], ["b"], ["b"]], None, ValueError, "no vocabulary"),
    ],
)
def test_user_mistakes(encoder, texts, labels, names, error, says):
    with pytest.raises(error, match=says):
        make(encoder).fit(texts, labels, label_names=names)


def test_unknown_mode(encoder):
    with pytest.raises(ValueError, match="'sparse', expected one of fusion, depl, svm"):
        make(encoder, mode="sparse").fit(*corpus())


@pytest.mark.parametrize("mode", MODES)
def test_saved_model_is_the_same(mode, encoder, tmp_path):
    model = make(encoder, mode=mode, C=0.7).fit(*corpus(), label_names=["planet", *TOPICS])
    model.save(tmp_path / "m")
    again = DEPLClassifier.load(tmp_path / "m")
    texts = [*corpus(10, seed=5)[0], ""]
    np.testing.assert_array_equal(again.decision_function(texts), model.decision_function(texts))
    assert again.describe("fruit") == model.describe("fruit")
    assert again.C == 0.7 and again.train_settings == FAST and again.predict(texts) == model.predict(texts)
    assert {p.suffix for p in (tmp_path / "m").iterdir()} == {".json", ".safetensors"}
    with pytest.raises(FileExistsError, match="nothing is overwritten"):
        model.save(tmp_path / "m")
    assert {p.name for p in tmp_path.iterdir()} <= {"m", "cache"}


def test_damaged_saves_are_refused(fitted, tmp_path):
    fitted.save(tmp_path / "m")
    for name in ("arrays.safetensors", "state.json"):
        shutil.copytree(tmp_path / "m", tmp_path / name)
        raw = bytearray((tmp_path / name / name).read_bytes())
        raw[-2] ^= 1
        (tmp_path / name / name).write_bytes(raw)
        with pytest.raises(SavedModelError, match=f"{name} is damaged.*SHA-256"):
            DEPLClassifier.load(tmp_path / name)
    with pytest.raises(SavedModelError, match=r"holds no manifest\.json"):
        DEPLClassifier.load(tmp_path / "nowhere")
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    (tmp_path / "m" / "manifest.json").write_text(json.dumps(manifest | {"version": 99}))
    with pytest.raises(SavedModelError, match="99"):
        DEPLClassifier.load(tmp_path / "m")


def test_saved_model_needs_its_own_encoder(fitted, tmp_path):
    fitted.save(tmp_path / "m")
    other = SentenceEncoder.load(f"hf:{build_tiny_encoder(tmp_path / 'e', list(TOPICS.values()), seed=9)}")
    with pytest.raises(SavedModelError, match=other.fingerprint):
        DEPLClassifier.load(tmp_path / "m", encoder=other)
