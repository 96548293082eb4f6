import numpy as np
import pytest
from scipy import sparse

from msig_lib.xmtc.features import Features, TfidfSettings
from msig_lib.xmtc.signal import (
    Descriptions,
    describe_labels,
    frequent_keywords,
    keyword_sources,
    random_keywords,
    tfidf_keywords,
)
from msig_lib.xmtc.svm import SparseLinear, fit_one_vs_all

WORDS = ["alpha", "beta", "gamma", "delta", "eps"]
NAMES = ["first label", "second", "none"]


def model():
    weights = np.array([[0.5, 2.0, -3.0, 0.5, 0.1], [0.0, -1.0, 0.3, 0.0, 0.0], [0, 0, 0, 0, 0]], np.float32)
    return SparseLinear(sparse.csr_array(weights), np.zeros(3, np.float32), np.zeros(3), np.ones(3, bool))


def test_words_are_the_largest_positive_weights_in_order():
    found = describe_labels(model(), WORDS, NAMES, n_words=3)
    assert found.words == [["beta", "alpha", "delta"], ["gamma"], []]  # the tie goes to the earlier feature
    assert [w.tolist() for w in found.weights] == [[2.0, 0.5, 0.5], [np.float32(0.3)], []]
    assert found.texts == ["first label beta alpha delta", "second gamma", "none"]


def test_no_words_leave_the_names():
    assert describe_labels(model(), WORDS, NAMES, n_words=0).texts == NAMES


def test_lengths_are_checked():
    with pytest.raises(ValueError, match="2 names and 5 words"):
        describe_labels(model(), WORDS, NAMES[:2])
    with pytest.raises(ValueError, match="n_words is -1"):
        describe_labels(model(), WORDS, NAMES, n_words=-1)


def test_the_svm_describes_a_planted_label_by_its_words():
    rng = np.random.default_rng(0)
    filler = [f"w{i}" for i in range(60)]
    texts, labels = [], []
    for i in range(300):
        words = list(rng.choice(filler, 8))
        labels.append(i % 5)
        texts.append(" ".join([*words, f"topic{i % 5}", f"theme{i % 5}"]))
    features = Features.fit(texts)
    Y = sparse.csr_array((np.ones(300), (np.arange(300), labels)), shape=(300, 5))
    found = describe_labels(
        fit_one_vs_all(features.transform(texts), Y), features.words, list("abcde"), n_words=2
    )
    assert [set(w) for w in found.words] == [{f"topic{i}", f"theme{i}"} for i in range(5)]


def documents():
    X = np.array([[1.0, 0, 0, 0.2, 0], [0.6, 0.5, 0, 0, 0], [0, 0, 0.9, 0, 0.1], [0, 0, 0, 1.0, 0]])
    Y = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], float)
    return sparse.csr_array(X), sparse.csr_array(Y)


def test_tfidf_control_ranks_the_mean_document():
    X, Y = documents()
    found = tfidf_keywords(X, Y, WORDS, NAMES, n_words=2)
    assert found.words == [["alpha", "beta"], ["gamma", "eps"], []]
    assert found.weights[0] == pytest.approx([0.8, 0.25])


def test_random_control_gives_every_label_the_words_of_another():
    own = Descriptions(list("abcdefg"), [[f"own{i}"] for i in range(7)], [np.ones(1)] * 7)
    found = random_keywords(own, seed=0)
    assert all(a != b for a, b in zip(found.words, own.words))
    assert sorted(found.words) == sorted(own.words) and found.names == own.names
    assert random_keywords(own, seed=0).words == found.words
    assert any(random_keywords(own, seed=s).words != found.words for s in range(1, 5))
    with pytest.raises(ValueError, match="at least two"):
        random_keywords(Descriptions(["a"], [["x"]], [np.ones(1)]), seed=0)


def test_frequency_control_draws_distinct_words_by_their_document_frequency():
    n = 400
    X = sparse.csr_array(np.random.default_rng(0).random((n, 4)) < [0.9, 0.3, 0.1, 0.0]).astype(float)
    own = Descriptions([str(i) for i in range(3000)], [["x"]] * 3000, [np.ones(1)] * 3000)
    drawn = [words[0] for words in frequent_keywords(own, X, WORDS[:4], seed=1).words]
    share = np.array([drawn.count(word) for word in WORDS[:4]]) / 3000
    expected = np.bincount(X.indices, minlength=4) / X.nnz
    assert np.abs(share - expected).max() < 0.04 and share[3] == 0
    whole = frequent_keywords(Descriptions(["a"], [["x"] * 3], [np.ones(3)]), X, WORDS[:4], seed=0)
    assert sorted(whole.words[0]) == ["alpha", "beta", "gamma"]
    with pytest.raises(ValueError, match="4 words asked"):
        frequent_keywords(Descriptions(["a"], [["x"] * 4], [np.ones(4)]), X, WORDS[:4], seed=0)


def test_sources_of_the_words():
    X, Y = documents()
    found = Descriptions(
        ["alpha set", "second", "none"],
        [["alpha", "beta", "gamma", "delta"], ["gamma"], []],
        [np.ones(1)] * 3,
    )
    table = keyword_sources(found, X, Y, WORDS)
    assert table["n_positives"].tolist() == [2, 1, 0] and table["n_words"].tolist() == [4, 1, 0]
    assert table["in_positives"].tolist()[:2] == [0.75, 1.0] and np.isnan(table["in_positives"][2])
    assert table["in_name"].tolist()[:2] == [0.25, 0.0]


def test_features_have_length_one_and_unknown_text_is_empty():
    features = Features.fit(["red green", "red blue", "green red"])
    assert features.words.tolist() == ["green", "red"]  # blue occurs in one document
    X = features.transform(["red red green", "purple", ""])
    assert X.dtype == np.float32
    assert np.linalg.norm(X.toarray(), axis=1) == pytest.approx([1, 0, 0])
    with pytest.raises(ValueError, match="smaller min_df"):
        Features.fit(["one", "two"], TfidfSettings(min_df=2))
