import json
import pickle
import shutil
import tracemalloc

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.generate import Completion, Usage
from msig_lib.lm.saved import SavedModelError
from msig_lib.lm.tiny import build_tiny_encoder
from msig_lib.zeroshot.classifier import BLOCK, LONGEST, TRAINS, GENCoClassifier, check_labels
from msig_lib.zeroshot.retrieval import Retrieval
from msig_lib.zeroshot.settings import SelfTrainSettings
from msig_lib.zeroshot.train import self_train

TOPICS = {
    "fruit": "fruit apple pear plum cherry juice",
    "vehicle": "vehicle train car wheel engine road",
    "weather": "weather rain snow wind cloud storm",
}
LABELS = list(TOPICS)
FAST = SelfTrainSettings(steps=20, K=2, M=2)


def corpus(n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(len(LABELS), size=n)
    texts = [" ".join(rng.choice(TOPICS[LABELS[i]].split(), 5)) for i in y]
    return texts, [LABELS[i] for i in y]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny_encoder(folder, ["category : it is about .", *TOPICS.values()], seed=0)
    return SentenceEncoder.load(f"hf:{folder}")


def make(encoder, labels=LABELS, **options):
    given = {"encoder": encoder, "generator": "ngram", "settings": FAST, "max_tokens": 32} | options
    return GENCoClassifier(labels, **given)


@pytest.fixture(scope="module")
def fitted(encoder):
    return make(encoder).fit(corpus()[0])


class Model:
    """A language model that always goes on with the same words."""

    name, fingerprint = "echo", "echo 1"

    def __init__(self):
        self.usage, self.prompts = Usage(), []

    def complete(self, prompts, *, n=1, sampling=None, seed):
        self.prompts += prompts
        return [[Completion(f"rain and snow {i}", tokens=4) for i in range(n)] for _ in prompts]


@pytest.mark.parametrize("trains", TRAINS)
@pytest.mark.parametrize("generator", ["ngram", "retrieval", None])
def test_sorts_texts_without_labels(encoder, trains, generator):
    model = make(encoder, trains=trains, generator=generator).fit(corpus()[0])
    texts, y = corpus(40, seed=1)
    p = model.predict_proba(texts)
    assert p.shape == (40, 3) and p.dtype == np.float64 and np.allclose(p.sum(1), 1)
    assert list(model.predict(texts)) == [LABELS[i] for i in p.argmax(1)]
    assert model.score(texts, y) == accuracy_score(y, model.predict(texts))
    assert [one["steps"] for one in model.history_] == [2, 3, 6, 9, 0]
    json.dumps(model.history_)


def test_training_improves_on_zero_shot(encoder):
    texts, y = corpus(200)
    settings = SelfTrainSettings(steps=200, learning_rate=1e-2)
    before = make(encoder, settings=SelfTrainSettings(steps=0)).fit(texts).score(texts, y)
    after = make(encoder, settings=settings).fit(texts).score(texts, y)
    assert after > before


@pytest.mark.parametrize("trains, official", [("head", True), *((one, False) for one in TRAINS)])
def test_predictions_are_those_of_the_trained_learner(encoder, trains, official):
    """The reader, which keeps no text, against the bank and learner that self_train leaves behind."""
    convention = {"convention": "official", "targets": "frozen"} if official else {}
    settings = SelfTrainSettings(steps=20, **convention)
    texts, new = corpus()[0], corpus(30, seed=2)[0]
    model = make(encoder, trains=trains, generator=None, settings=settings).fit(texts)
    prompts = [[f"Category: {name}.", f"It is about {name}."] for name in LABELS]
    found = self_train(model._bank(), prompts, texts, seed=0, settings=settings)
    np.testing.assert_allclose(model.decision_function(new), found.predict_scores(new), rtol=1e-3, atol=2e-3)
    np.testing.assert_array_equal(model.pool_labels_, found.history[-1].labels)
    np.testing.assert_allclose(
        model.predict_proba(texts).max(1), model.pool_probabilities_, rtol=1e-2, atol=1e-3
    )


def test_scikit_learn_conventions(encoder):
    model = make(encoder, random_state=3)
    assert not [name for name in vars(model) if name.endswith("_")]
    assert model.labels is LABELS and model.get_params()["random_state"] == 3
    other = clone(model.set_params(inference_samples=1))
    assert other.inference_samples == 1 and other.settings == FAST and other.labels == LABELS
    with pytest.raises(NotFittedError):
        model.predict(["apple"])
    assert model.fit(corpus()[0]) is model and list(model.classes_) == LABELS
    assert "GENCoClassifier(" in repr(model)
    piped = make_pipeline(make(encoder)).fit(corpus()[0], corpus()[1])
    assert len(piped.predict(["apple"])) == 1


def test_same_seed_same_numbers_and_another_differs(encoder, fitted):
    texts = corpus(20, seed=3)[0]
    assert np.array_equal(make(encoder).fit(corpus()[0]).predict_proba(texts), fitted.predict_proba(texts))
    other = make(encoder, random_state=1).fit(corpus()[0])
    assert not np.array_equal(other.predict_proba(texts), fitted.predict_proba(texts))


def test_a_text_has_one_answer_whatever_comes_with_it(fitted):
    texts = corpus(BLOCK + 40, seed=4)[0]
    together = fitted.predict_proba(texts)
    np.testing.assert_allclose(fitted.predict_proba(texts[-3:]), together[-3:], rtol=1e-3, atol=1e-4)


def test_blank_texts(encoder, fitted):
    texts = corpus()[0]
    model = make(encoder).fit(["", *texts[:30], " \n\t\u3000", *texts[30:]])
    assert model.n_blank_ == 2 and model.pool_texts_ == texts
    found = model.predict_proba(["", texts[0], "  "])
    assert found[[0, 2]].tolist() == [[1 / 3] * 3] * 2 and list(model.predict([""])) == [LABELS[0]]
    np.testing.assert_allclose(found[1], fitted.predict_proba(texts[:1])[0], rtol=1e-5)
    assert model.explain(" ").near == [] and model.explain(" ").probabilities == dict.fromkeys(LABELS, 1 / 3)


@pytest.mark.parametrize("texts", [[], [""], [" ", "\n"]])
def test_nothing_to_learn_from(encoder, texts):
    with pytest.raises(ValueError, match=f"none of the {len(texts)} texts has a word"):
        make(encoder).fit(texts)


def test_nothing_to_predict(fitted):
    assert fitted.predict([]).shape == (0,) and fitted.predict_proba([]).shape == (0, 3)
    with pytest.raises(ValueError, match="0 texts but 0 labels"):
        fitted.score([], [])


def test_long_texts_are_cut_and_memory_stays_flat(encoder, fitted):
    head = corpus(1, seed=5)[0][0]
    long = [f"{head} " * 200_000, " " * 3_000_000 + head]
    tracemalloc.start()
    found = fitted.predict_proba(long)
    model = make(encoder).fit([*corpus()[0], *long])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6  # the texts themselves are 9 MB: a copy of one, and no list of its words
    assert max(map(len, model.pool_texts_)) <= LONGEST * 32
    cut = fitted.predict_proba([f"{head} " * 30, head])
    np.testing.assert_allclose(found, cut, rtol=1e-4)


def test_one_label(encoder):
    model = make(encoder, ["fruit"]).fit(corpus()[0])
    assert set(model.predict(["apple", "car", ""])) == {"fruit"}
    assert model.predict_proba(["apple"]).tolist() == [[1.0]] and model.explain("apple").label == "fruit"


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("generator", ["ngram", "retrieval", None])
def test_fewer_texts_than_labels(encoder, n, generator):
    model = make(encoder, generator=generator).fit(corpus(n)[0])
    assert np.isfinite(model.predict_proba(corpus(10)[0])).all()


def test_label_that_no_text_is_like(encoder):
    texts = [t for t, label in zip(*corpus(60)) if label != "weather"]
    model = make(encoder).fit(texts)
    assert model.predict_proba(texts).shape == (len(texts), 3)


def test_repeated_texts(encoder):
    model = make(encoder).fit(["apple pear"] * 5 + ["train car"] * 5)
    assert len(model.pool_labels_) == 10 and len(set(model.pool_labels_[:5])) == 1


def test_other_scripts_and_odd_text(encoder):
    odd = [
        "今日は雨が降る",
        "سيارة على الطريق",
        "🍎🍐",
        "яблоко",
        "e\u0301\u200b",
        "\ud83d",
        "\x00",
        "a" * 5000,
        "...!",
    ]
    model = make(encoder).fit([*corpus()[0], *odd])
    assert np.isfinite(model.predict_proba(odd)).all() and model.n_blank_ == 0
    assert len(model.explain(odd[0]).near) == 5


@pytest.mark.parametrize(
    "labels, error, says",
    [
        ("fruit,car", TypeError, r"expected a list of class names: \['fruit', 'car'\]"),
        (["fruit", 3], TypeError, r"labels\[1\] is 3"),
        ([], ValueError, "one or more names"),
        (["fruit", " "], ValueError, "not empty"),
        (["fruit", "car", "Fruit", "car "], ValueError, "'fruit', 'car', 'Fruit', 'car '"),
    ],
)
def test_labels_that_cannot_be(labels, error, says):
    with pytest.raises(error, match=says):
        check_labels(labels)
    with pytest.raises(error, match=says):
        GENCoClassifier(labels).fit(["a"])


@pytest.mark.parametrize(
    "options, texts, error, says",
    [
        ({}, "apple", TypeError, "one string"),
        ({}, ["apple", None], TypeError, r"texts\[1\] is a NoneType"),
        ({}, [b"apple"], TypeError, r"texts\[0\] is a bytes"),
        ({"templates": ("no place",)}, ["a"], ValueError, "no place for the class name"),
        ({"templates": "{label}"}, ["a"], TypeError, "lists of strings"),
        ({"trains": "all"}, ["a"], ValueError, "'all', expected one of head"),
        ({"generator": "gpt"}, ["a"], ValueError, "'gpt', expected 'ngram', 'retrieval'"),
        ({"generator": 3}, ["a"], TypeError, "generator is a int"),
        ({"settings": {"tau": 1}}, ["a"], TypeError, "expected SelfTrainSettings"),
        ({"inference_samples": 2, "generator": None}, ["a"], ValueError, "inference_samples is 2"),
        ({"max_tokens": 999}, ["a"], ValueError, "max_tokens is 999"),
        (
            {"trains": "encoder", "settings": SelfTrainSettings(convention="official")},
            ["a"],
            ValueError,
            'trains="head"',
        ),
    ],
)
def test_user_mistakes(encoder, options, texts, error, says):
    with pytest.raises(error, match=says):
        make(encoder, **options).fit(texts)


def test_scoring_against_other_labels(fitted):
    with pytest.raises(ValueError, match=r"'planet'.*among"):
        fitted.score(["a"], ["planet"])
    with pytest.raises(ValueError, match="2 texts but 1 labels"):
        fitted.score(["a", "b"], ["fruit"])


def test_templates_of_the_user(encoder):
    texts = corpus(30)[0]
    settings = SelfTrainSettings(steps=0)
    model = make(encoder, templates=["{label}"], settings=settings).fit(texts)
    vectors = encoder.encode(texts, max_tokens=32), encoder.encode(LABELS, max_tokens=32)
    np.testing.assert_allclose(
        model.decision_function(texts), 20 * vectors[0] @ vectors[1].T, rtol=1e-3, atol=1e-3
    )


def test_explanation(fitted):
    text = "apple juice rain"
    found = fitted.explain(text, near=4, samples=3)
    p = dict(zip(LABELS, fitted.predict_proba([text])[0]))
    assert found.label == fitted.predict([text])[0] == next(iter(found.probabilities))
    assert found.probabilities == pytest.approx(p)
    assert set(found.before) == set(LABELS) and sum(found.before.values()) == pytest.approx(1)
    assert [one.cosine for one in found.near] == sorted((one.cosine for one in found.near), reverse=True)
    for one in found.near:
        row = fitted.pool_texts_.index(one.text)
        assert one.label == LABELS[fitted.pool_labels_[row]]
        assert one.probability == fitted.pool_probabilities_[row]
    assert len(found.near) == 4 and len(found.written) == 3
    for one in found.written:
        expected = dict(zip(LABELS, fitted.predict_proba([f"{text} {one.text}"])[0]))
        assert one.probabilities == pytest.approx(expected, rel=1e-3) and one.label in LABELS
    assert found.changed == (next(iter(found.with_written)) != found.label)
    assert fitted.explain(text, samples=0).written == [] and not fitted.explain(text, samples=0).changed
    with pytest.raises(ValueError, match="near is -1"):
        fitted.explain(text, near=-1)
    with pytest.raises(TypeError, match=r"texts\[0\] is a int"):
        fitted.explain(5)


def test_continuations_at_inference_are_averaged(encoder):
    texts, text = corpus()[0], "apple juice"
    model = make(encoder, inference_samples=2).fit(texts)
    found = model.explain(text, samples=2)
    assert found.with_written == pytest.approx(found.probabilities)
    vectors = model.reader_.vectors([f"{text} {one.text}" for one in found.written])
    mean = vectors.mean(0) / np.linalg.norm(vectors.mean(0))
    np.testing.assert_allclose(
        model.decision_function([text])[0], 20 * model.label_vectors_ @ mean, rtol=1e-3, atol=1e-3
    )


def test_language_model_as_generator(encoder):
    model = Model()
    classifier = make(encoder, generator=model).fit(corpus()[0])
    assert any(text in prompt for prompt in model.prompts for text in corpus()[0])
    assert all(any(name in prompt for prompt in model.prompts) for name in LABELS)
    assert classifier.explain("apple").written[0].text == "rain and snow 0"
    assert classifier.generator_.cost.tokens > 0


def test_generator_made_by_a_function_or_fitted_before(encoder):
    texts = corpus()[0]
    seen = []

    def maker(pool, vectors, scores, labels):
        seen.append((pool, vectors.shape, scores.shape, labels))
        return Retrieval.fit(pool, vectors, scores)

    first = make(encoder, generator=maker).fit([*texts, ""])
    assert seen == [(texts, (60, 32), (60, 3), LABELS)]
    named = make(encoder, generator="retrieval").fit(texts)
    assert np.array_equal(first.predict_proba(texts), named.predict_proba(texts))
    ready = make(encoder, generator=named.generator_).fit(texts)
    assert np.isfinite(ready.predict_proba(texts)).all()
    with pytest.raises(ValueError, match="fitted on other texts"):
        make(encoder, generator=named.generator_).fit(texts[:5])


@pytest.mark.parametrize("trains", TRAINS)
def test_saved_model_is_the_same(encoder, trains, tmp_path):
    model = make(encoder, trains=trains, templates=["{label}"], inference_samples=1).fit(
        ["", "\ud83d", *corpus()[0]]
    )
    model.save(tmp_path / "m")
    again = GENCoClassifier.load(tmp_path / "m")
    texts = [*corpus(20, seed=6)[0], ""]
    assert np.array_equal(again.predict_proba(texts), model.predict_proba(texts))
    assert again.explain(texts[0]) == model.explain(texts[0])
    same = ("templates", "settings", "trains", "generator", "max_tokens", "inference_samples", "random_state")
    assert [list(v) if isinstance(v := getattr(again, n), tuple) else v for n in same] == [
        getattr(model, n) for n in same
    ]
    assert (again.n_blank_, again.pool_texts_) == (1, model.pool_texts_)
    assert again.history_[0]["class_counts"] == model.history_[0]["class_counts"]
    assert {path.suffix for path in (tmp_path / "m").iterdir()} == {".json", ".safetensors"}
    with pytest.raises(FileExistsError, match="nothing is overwritten"):
        model.save(tmp_path / "m")
    assert {path.name for path in tmp_path.iterdir()} <= {"m", "cache"}
    size = sum(path.stat().st_size for path in (tmp_path / "m").iterdir())
    assert size < 200_000  # only the weights that were trained
    assert make(encoder).fit(again.pool_texts_).label_vectors_.shape == again.label_vectors_.shape


def test_model_whose_generator_cannot_be_saved(encoder, tmp_path):
    make(encoder, generator=Model()).fit(corpus()[0]).save(tmp_path / "a")
    again = GENCoClassifier.load(tmp_path / "a", encoder=encoder)
    assert again.generator_ is None and again.explain("apple").written == []
    given = GENCoClassifier.load(tmp_path / "a", encoder=encoder, generator=Model())
    assert given.explain("apple").written[0].text == "rain and snow 0"
    make(encoder, generator=Model(), inference_samples=2).fit(corpus()[0]).save(tmp_path / "b")
    with pytest.raises(SavedModelError, match=r"2 continuations by echo.*pass generator="):
        GENCoClassifier.load(tmp_path / "b", encoder=encoder)


def test_damaged_saves_are_refused(encoder, fitted, tmp_path):
    fitted.save(tmp_path / "m")
    for name in ("arrays.safetensors", "state.json"):
        shutil.copytree(tmp_path / "m", tmp_path / name)
        raw = bytearray((tmp_path / name / name).read_bytes())
        raw[-2] ^= 1
        (tmp_path / name / name).write_bytes(raw)
        with pytest.raises(SavedModelError, match=f"{name} is damaged.*SHA-256"):
            GENCoClassifier.load(tmp_path / name)
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    (tmp_path / "m" / "manifest.json").write_text(json.dumps(manifest | {"format": "msig DEPLClassifier"}))
    with pytest.raises(SavedModelError, match="this library reads"):
        GENCoClassifier.load(tmp_path / "m")
    with pytest.raises(SavedModelError, match=r"expected a folder written by GENCoClassifier\.save"):
        GENCoClassifier.load(tmp_path / "nowhere")


def test_saved_model_needs_its_own_encoder(fitted, tmp_path):
    fitted.save(tmp_path / "m")
    other = SentenceEncoder.load(f"hf:{build_tiny_encoder(tmp_path / 'e', LABELS, seed=9)}")
    with pytest.raises(SavedModelError, match=other.fingerprint):
        GENCoClassifier.load(tmp_path / "m", encoder=other)


def test_nothing_is_kept_of_predicted_texts(fitted, tmp_path):
    cache = tmp_path / "cache"
    before = len(pickle.dumps(fitted.pool_vectors_)), sorted(cache.rglob("*"))
    fitted.predict_proba(corpus(300, seed=8)[0])
    assert (len(pickle.dumps(fitted.pool_vectors_)), sorted(cache.rglob("*"))) == before


def test_by_default_nothing_is_generated(encoder):
    model = GENCoClassifier(LABELS, encoder=encoder, max_tokens=32).fit(corpus()[0])
    assert model.generator is None and all(not one["generated"] for one in model.history_)
