"""Baselines against independent implementations on generated worlds, and their behaviour at the edges."""

import math
from collections import Counter

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from msig_lib.zeroshot import baselines, baselines_text, evaluate

L, DIM = 4, 24


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def world():
    """Four clusters of unit vectors, and prompts that are off their centres: zero-shot is wrong in places."""
    rng = np.random.default_rng(0)
    centres = unit(rng.normal(size=(L, DIM)))
    labels = {name: rng.integers(L, size=n) for name, n in (("pool", 400), ("test", 300))}
    vectors = {
        name: unit(1.2 * centres[y] + 0.3 * rng.normal(size=(len(y), DIM))).astype(np.float32)
        for name, y in labels.items()
    }
    prompts = unit(centres + 0.18 * rng.normal(size=(L, DIM))).astype(np.float32)
    return vectors, labels, prompts


CALLS = {
    "zero_shot": lambda v, y, p: baselines.zero_shot(v["test"], p),
    "supervised": lambda v, y, p: baselines.supervised(v["pool"], y["pool"], v["test"], L, seed=0),
    "self_training": lambda v, y, p: baselines.self_training_classifier(v["pool"], p, v["test"]),
    "label_spreading": lambda v, y, p: baselines.label_spreading(v["pool"], p, v["test"]),
    "neighbour_vote": lambda v, y, p: baselines.neighbour_vote(v["pool"], p, v["test"]),
    "lloyd": lambda v, y, p: baselines.lloyd(v["pool"], p, v["test"]),
    "mixture": lambda v, y, p: baselines.gaussian_mixture(v["pool"], p, v["test"], seed=0),
}


@pytest.mark.parametrize("name", list(CALLS))
def test_scores_are_distributions_the_same_each_time_and_better_than_zero_shot(world, name):
    vectors, labels, prompts = world
    scores = CALLS[name](vectors, labels, prompts)
    assert scores.shape == (300, L) and scores.dtype == np.float32
    assert (scores >= 0).all() and scores.sum(axis=1) == pytest.approx(np.ones(300), abs=1e-4)
    assert (scores == CALLS[name](vectors, labels, prompts)).all()
    floor = evaluate.accuracy(labels["test"], baselines.zero_shot(vectors["test"], prompts))
    assert 0.6 < floor < 0.93
    assert evaluate.accuracy(labels["test"], scores) >= floor + 0.03 * (name != "zero_shot")


@pytest.mark.parametrize("name", list(CALLS))
@pytest.mark.parametrize("size, classes", [(1, 1), (3, 1), (4, 4)])
def test_tiny_pools_and_a_single_class_work(name, size, classes):
    rng = np.random.default_rng(size)
    v = {part: unit(rng.normal(size=(n, 6))).astype(np.float32) for part, n in (("pool", size), ("test", 2))}
    prompts = unit(rng.normal(size=(classes, 6))).astype(np.float32)
    if name == "supervised":
        scores = baselines.supervised(v["pool"], np.arange(size) % classes, v["test"], classes, seed=0)
    elif name == "mixture" and size == 1:
        with pytest.raises(ValueError, match="at least 2"):
            CALLS[name](v, None, prompts)
        return
    else:
        scores = CALLS[name](v, None, prompts)
    assert scores.shape == (2, classes) and scores.sum(axis=1) == pytest.approx(np.ones(2), abs=1e-4)


def test_zero_shot_is_the_softmax_of_scaled_cosines(world):
    vectors, _, prompts = world
    found = baselines.zero_shot(vectors["test"][:3] * 2, prompts, scale=7)
    for i in range(3):
        weights = [math.exp(7 * float(vectors["test"][i] @ prompts[c])) for c in range(L)]
        assert found[i] == pytest.approx([w / sum(weights) for w in weights], rel=1e-4)


def test_most_confident_takes_the_same_number_of_every_class():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.1, 0.9], [0.8, 0.2]])
    rows, classes = baselines.most_confident(scores, 2 / 3)  # 2 / 3 of 6 / 2: two a class
    assert rows.tolist() == [0, 1, 4] and classes.tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="at most 1"):
        baselines.most_confident(scores, 1.5)


def test_supervised_with_one_penalty_is_scikit_learn_and_rare_classes_are_kept(world):
    vectors, labels, _ = world
    settings = baselines.SupervisedSettings(c_grid=(10.0,))
    found = baselines.supervised(
        vectors["pool"], labels["pool"], vectors["test"], L + 2, seed=1, settings=settings
    )
    model = LogisticRegression(C=10.0, max_iter=300).fit(vectors["pool"], labels["pool"])
    assert found[:, :L] == pytest.approx(model.predict_proba(vectors["test"]), abs=1e-5)
    assert not found[:, L:].any()
    few = np.where(np.arange(400) == 7, L, labels["pool"])  # class L has a single document
    scores = baselines.supervised(vectors["pool"], few, vectors["test"], L + 1, seed=1)
    assert scores.shape == (300, L + 1)


def test_lloyd_equals_a_loop(world):
    vectors, _, prompts = world
    centres = prompts.astype(float)
    for _ in range(2):
        own = [int(np.argmax([x @ c for c in centres])) for x in vectors["pool"]]
        for c in range(L):
            rows = vectors["pool"][np.array(own) == c].astype(float)
            if len(rows):
                mean = rows.sum(axis=0)
                centres[c] = mean / np.linalg.norm(mean)
    found = baselines.lloyd(vectors["pool"], prompts, vectors["test"], rounds=2)
    assert found == pytest.approx(baselines.zero_shot(vectors["test"], centres), abs=1e-5)


def test_neighbour_vote_equals_a_loop(world):
    vectors, _, prompts = world
    found = baselines.neighbour_vote(vectors["pool"], prompts, vectors["test"][:5], neighbours=3)
    soft = baselines.zero_shot(vectors["pool"], prompts)
    for i, x in enumerate(vectors["test"][:5]):
        assert found[i] == pytest.approx(soft[np.argsort(-(vectors["pool"] @ x))[:3]].mean(axis=0), abs=1e-6)


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda v, p: baselines.zero_shot(v[0], p), "expected \\[n, dim\\]"),
        (lambda v, p: baselines.zero_shot(v, p[:, :3]), "expected \\[n, dim\\]"),
        (lambda v, p: baselines.zero_shot(v * np.nan, p), "NaN"),
        (lambda v, p: baselines.zero_shot(v, p, scale=0), "above 0"),
        (lambda v, p: baselines.neighbour_vote(v, p, v, neighbours=0), "1 or more"),
        (lambda v, p: baselines.supervised(v, [0] * 3, v, L, seed=0), "one int for each"),
        (lambda v, p: baselines.supervised(v, [L] * len(v), v, L, seed=0), "0..3"),
        (lambda v, p: baselines.seeded_regression(v, [], np.array([], int), v, L), "one int for each"),
        (lambda v, p: baselines.gaussian_mixture(v[:2], p, v, seed=0), "2 documents for 4"),
        (lambda v, p: baselines.lloyd(v[:0], p, v), "expected \\[n, dim\\]"),
    ],
)
def test_bad_input_says_what_was_expected(world, call, told):
    with pytest.raises(ValueError, match=told):
        call(world[0]["pool"], world[2])


# texts


TOPICS = {
    "sport": "match goal player team league coach striker".split(),
    "food": "recipe oven butter flour dinner taste kitchen".split(),
    "money": "bank loan market profit shares invest price".split(),
}
FILLER = "the a one of today was with and some many new old".split()


@pytest.fixture(scope="module")
def corpus():
    """Texts of topic words and filler; the vector of a text counts topics with noise."""
    rng = np.random.default_rng(1)
    labels = rng.integers(3, size=300)
    names = list(TOPICS)
    texts = [
        " ".join(rng.permutation([*rng.choice(TOPICS[names[c]], 3), *rng.choice(FILLER, 5)])) for c in labels
    ]
    vectors = unit(np.eye(3)[labels] @ np.eye(3, 8) + 0.25 * rng.normal(size=(300, 8))).astype(np.float32)
    return texts, labels, vectors, names, np.eye(3, 8, dtype=np.float32)


def test_label_words_find_each_class_s_words_and_label_by_counting(corpus):
    texts, labels, vectors, names, prompts = corpus
    settings = baselines_text.LabelWordSettings(n_words=7)
    found = baselines_text.label_words(texts, vectors, names, prompts, settings=settings)
    for c, name in enumerate(names):
        assert found.words[c][0] == name and set(found.words[c][1:]) == set(TOPICS[name])
    assert (found.labels == labels).mean() > 0.99
    rows, classes = found.most_confident(0.5)
    assert np.bincount(classes).tolist() == [50, 50, 50] and (classes == labels[rows]).all()
    assert found.counts.shape == (300, 3) and found.confidence.min() >= 0


def test_a_text_without_label_words_has_no_pseudo_label(corpus):
    texts, _, vectors, names, prompts = corpus
    texts, vectors = [*texts, "the a one", "", "!!"], np.vstack([vectors, vectors[:3]])
    found = baselines_text.label_words(texts, vectors, names, prompts)
    assert found.labels[-3:].tolist() == [-1, -1, -1] and not found.confidence[-3:].any()
    assert len(texts) - 1 not in found.most_confident(1.0)[0]
    nothing = baselines_text.label_words(["?", ""], vectors[:2], names, prompts)
    assert nothing.labels.tolist() == [-1, -1] and nothing.words == [["sport"], ["food"], ["money"]]


def test_a_word_of_several_class_names_counts_for_none(corpus):
    _, _, vectors, _, prompts = corpus
    texts = ["world news", "sport news", "news news", "sport"]
    found = baselines_text.label_words(texts, vectors[:4], ["sport news", "world news", "x"], prompts)
    assert found.labels.tolist() == [1, 0, -1, 0]


def test_texts_are_cut_into_sentences_then_clauses():
    assert baselines_text.pieces("One here. Two there! Three") == ["One here.", "Two there!", "Three"]
    assert baselines_text.pieces("Return the mean, or nothing at all") == [
        "Return the mean",
        "or nothing at all",
    ]
    assert baselines_text.pieces("Uncut") == ["Uncut"] and baselines_text.pieces("  ") == []
    assert baselines_text.pieces("第一句。 第二句。") == ["第一句。", "第二句。"]


def test_the_salient_sentence_is_nearest_to_the_predicted_label():
    told = {"Ball and goal.": [1, 0.1], "Stocks fell.": [0.1, 1], "It rained.": [0.5, -1]}
    calls = []

    def embed(texts):
        calls.append(texts)
        return np.array([told[t] for t in texts], dtype=np.float32)

    text = " ".join(told)
    found = baselines_text.salient_sentences([text, text, "Alone.", ""], [0, 1, 0, 1], embed, np.eye(2))
    assert found == [["Ball and goal."], ["Stocks fell."], [], []]
    assert calls == [list(told)]  # each sentence is embedded once
    two = baselines_text.salient_sentences([text], [0], embed, np.eye(2), n=2)
    assert two == [["Ball and goal.", "It rained."]]
    assert baselines_text.salient_sentences(["Alone."], [0], embed, np.eye(2)) == [[]]


def brute_force(train, labels, text, n_classes, trust):
    """log p(text | c) by loops over dictionaries of counts."""

    def grams(t):
        words = ["", "", *t.split(), ""]
        return [tuple(words[k : k + 3]) for k in range(len(words) - 2)]

    every = Counter(g[2] for t in train for g in grams(t))
    out = []
    for c in range(n_classes):
        own = [g for t, y in zip(train, labels) if y == c for g in grams(t)]
        uni, bi, tri = (Counter(g[k:] for g in own) for k in (2, 1, 0))
        after1, after2 = Counter(g[1:2] for g in own), Counter(g[:2] for g in own)
        total = 0.0
        for g in grams(text):
            p = (every[g[2]] + 1) / (sum(every.values()) + len(every) + 1)
            p = (uni[g[2:]] + trust[0] * p) / (len(own) + trust[0])
            p = (bi[g[1:]] + trust[1] * p) / (after1[g[1:2]] + trust[1])
            p = (tri[g] + trust[2] * p) / (after2[g[:2]] + trust[2])
            total += math.log(p)
        out.append(total)
    return out


def test_the_ngram_likelihood_equals_dictionaries_and_classifies(corpus):
    texts, labels, *_ = corpus
    model = baselines_text.NgramClassifier().fit(texts[:200], labels[:200], 3)
    asked = [*texts[200:205], "an unseen goal", ""]
    expected = [brute_force(texts[:200], labels[:200], t, 3, model.settings.trust) for t in asked]
    assert model.log_likelihood(asked) == pytest.approx(np.array(expected))
    scores = model.scores(texts[200:])
    assert scores.dtype == np.float32 and evaluate.accuracy(labels[200:], scores) > 0.95


def test_a_text_of_unknown_words_is_told_apart_by_its_length_at_most():
    model = baselines_text.NgramClassifier().fit(["a b", "b a"], [0, 1], 2)
    assert model.scores(["zzz"])[0] == pytest.approx([0.5, 0.5], abs=1e-6)
    assert np.isfinite(model.log_likelihood(["", "zzz " * 500])).all()


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda: baselines_text.label_words(["a"], np.ones((2, 3)), ["x", "y"], np.ones((2, 3))), "1 texts"),
        (lambda: baselines_text.label_words(["a"], np.ones((1, 3)), ["x"], np.ones((1, 3))), "two or more"),
        (lambda: baselines_text.salient_sentences(["a"], [2], None, np.eye(2)), "0..1"),
        (lambda: baselines_text.salient_sentences(["a"], [0.0], None, np.eye(2)), "one int a text"),
        (lambda: baselines_text.salient_sentences(["a"], [0], None, np.eye(2), n=0), "1 or more"),
        (lambda: baselines_text.NgramClassifier().fit([], [], 2), "not none"),
        (lambda: baselines_text.NgramClassifier().fit(["a"], [2], 2), "0..1"),
        (lambda: baselines_text.NgramClassifier().scores(["a"]), "fit"),
    ],
)
def test_bad_input_to_text_baselines_says_what_was_expected(call, told):
    with pytest.raises((ValueError, RuntimeError), match=told):
        call()


def test_a_bare_string_is_refused():
    with pytest.raises(TypeError, match="one string"):
        baselines_text.NgramClassifier().fit("text", [0], 1)
