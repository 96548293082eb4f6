"""What book/errata.yml says about chapter 2, computed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer

from msig_lib.stats import label_f1_at_k, propensities, psp_at_k

BERT = 768
LABELS = {
    "EURLex-4K": 3_956,
    "AmazonCat-13K": 13_330,
    "Wiki10-31K": 30_938,
    "Wiki-500K": 501_070,
}  # table 2.1
TAIL = {"EURLex-4K": 2_413, "AmazonCat-13K": 3_936, "Wiki10-31K": 26_545, "Wiki-500K": 338_719}


def union_bound(m: float, gap: float, d: float, constant: float = 50.0) -> float:
    """4 M exp(-(eps - delta)^2 d / constant), theorem 3."""
    return 4 * m * math.exp(-(gap**2) * d / constant)


def test_the_condition_of_theorem_3_gives_four_over_m():
    m, d = sympy.symbols("M d", positive=True)
    bound = 4 * m * sympy.exp(-(100 * sympy.log(m) / d) * d / 50)
    assert sympy.simplify(bound - 4 / m) == 0
    right = 4 * m * sympy.exp(-sympy.expand_log(100 * sympy.log(2 * m), force=True) / 50)
    assert sympy.simplify(sympy.expand(right) - 1 / m) == 0
    big = 3_955
    assert union_bound(big, 10 * math.sqrt(math.log(big) / BERT), BERT) == pytest.approx(4 / big)
    assert union_bound(big, 10 * math.sqrt(math.log(2 * big) / BERT), BERT) == pytest.approx(1 / big)


def test_the_condition_printed_in_the_proof_fails_too():
    big = 3_955
    squared = 10 * math.sqrt(math.log(big) / BERT)  # the proof has (eps - delta)^2 here
    assert math.exp(-squared * BERT / 50) > 1 / (4 * big**2)
    assert union_bound(big, math.sqrt(squared), BERT) > 1 / big


def test_lemma_5_bounds_the_squared_norm_and_two_is_enough():
    rng = np.random.default_rng(0)
    v = np.abs(rng.normal(size=(2, 4_000, 6))) * (rng.random((2, 4_000, 6)) < 0.5)
    v /= np.maximum(np.linalg.norm(v, axis=2, keepdims=True), 1)
    assert (np.linalg.norm(v[0] - v[1], axis=1) ** 2).max() <= 2 + 1e-12
    # |b| <= 4, as printed, would not give (2.11): gamma/2 (1 + 16) is 3.4 times eps - delta.
    gap, gamma = sympy.symbols("x gamma", positive=True)
    assert (gamma / 2 * (1 + 4)).subs(gamma, sympy.Rational(2, 5) * gap) == gap
    assert (gamma / 2 * (1 + 4**2)).subs(gamma, sympy.Rational(2, 5) * gap) == sympy.Rational(17, 5) * gap
    # |b|^2 <= 2 allows gamma = 2/3 (eps - delta), so 18 stands in place of 50.
    assert (gamma / 2 * (1 + 2)).subs(gamma, sympy.Rational(2, 3) * gap) == gap
    assert (gamma**2 / 8).subs(gamma, sympy.Rational(2, 3) * gap) == gap**2 / 18
    for m in LABELS.values():
        threshold = 6 * math.sqrt(math.log(2 * m) / BERT)
        assert union_bound(m, threshold, BERT, constant=18) == pytest.approx(1 / m)


def test_no_margin_reaches_the_condition_at_berts_width():
    needed = {name: 10 * math.sqrt(math.log(2 * (n - 1)) / BERT) for name, n in LABELS.items()}
    assert {name: round(x, 2) for name, x in needed.items()} == {
        "EURLex-4K": 1.08,
        "AmazonCat-13K": 1.15,
        "Wiki10-31K": 1.20,
        "Wiki-500K": 1.34,
    }
    # tf-idf and label vectors without negative entries: <phi, w_p> - <phi, w_n> <= <phi, w_p> <= 1, attained.
    rng = np.random.default_rng(1)
    phi, p, n = np.abs(rng.normal(size=(3, 20_000, 4))) ** 3
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (phi, p, n)]
    margins = (unit[0] * (unit[1] - unit[2])).sum(axis=1)
    assert 0.9 < margins.max() <= 1
    assert np.array([1.0, 0]) @ (np.array([1.0, 0]) - np.array([0, 1.0])) == 1
    printed = [10 * math.sqrt(math.log(n - 1) / BERT) for n in LABELS.values()]
    assert min(needed.values()) > 1 and min(printed) > 1
    assert 10 * math.sqrt(math.log(2_164) / BERT) < 1 < 10 * math.sqrt(math.log(2_165) / BERT)
    # The bound says anything at all (is below 1) only above a margin of .79 with EURLex-4K's labels.
    assert math.sqrt(50 * math.log(4 * 3_955) / BERT) == pytest.approx(0.793, abs=5e-4)


def test_the_johnson_lindenstrauss_tail_is_not_for_every_gamma():
    # With a = b of length 1, <Ea, Eb> is chi-square_d / d: the exact tail against 4 exp(-gamma^2 d / 8).
    d = 100
    for gamma, holds in ((0.1, True), (0.4, True), (0.8, True), (1.6, True), (4.0, False)):
        upper = stats.chi2.logsf(d * (1 + gamma), d)
        lower = stats.chi2.logcdf(d * (1 - gamma), d) if gamma < 1 else -np.inf
        assert (np.logaddexp(upper, lower) <= math.log(4) - gamma**2 * d / 8) == holds
    # Up to .8, all that eps - delta <= 2 can ask for, Chernoff's exponents suffice for each of the two norms.
    gammas = np.linspace(1e-3, 0.8, 400)
    assert np.all((gammas - np.log1p(gammas)) / 2 >= gammas**2 / 8)
    assert np.all((-gammas - np.log1p(-gammas)) / 2 >= gammas**2 / 8)


@pytest.mark.parametrize(("reading", "scale"), [("standard deviation", 1.0), ("variance", 8.0)])
def test_the_entries_standard_deviation_is_d_to_the_minus_half(reading, scale):
    d, rng = 64, np.random.default_rng(2)
    spread = d**-0.5 if reading == "standard deviation" else d**-0.25
    a, b = rng.random((2, 30))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    products = [(e @ a) @ (e @ b) for e in (rng.normal(scale=spread, size=(d, 30)) for _ in range(3_000))]
    # Read as a variance, inner products come out sqrt(d) = 8 times too large.
    assert np.mean(products) / (a @ b) == pytest.approx(scale, rel=0.03)
    beyond = np.mean(np.abs(np.array(products) - a @ b) >= 1.0)  # gamma = 1 in (2.10)
    assert (beyond <= 4 * math.exp(-d / 8)) == (reading == "standard deviation")


def test_positive_label_embeddings_keep_ranks_and_shrink_margins():
    rng = np.random.default_rng(3)
    words, labels = 2_000, 40
    w = rng.normal(size=(labels, words)) * (rng.random((labels, words)) < 0.05)  # signed, like SVM weights
    w /= np.linalg.norm(w, axis=1).max()
    phi = rng.random((30, words)) * (rng.random((30, words)) < 0.02)
    phi /= np.linalg.norm(phi, axis=1, keepdims=True)
    shifted = w - w.min() + 1e-9
    positive = shifted / np.linalg.norm(shifted, axis=1).max()
    assert positive.min() > 0 and np.linalg.norm(positive, axis=1).max() <= 1 + 1e-12
    before, after = phi @ w.T, phi @ positive.T
    np.testing.assert_array_equal(np.argsort(before, axis=1), np.argsort(after, axis=1))
    margins = [(scores[:, :1] - scores[:, 1:]).ravel() for scores in (before, after)]
    clear = np.abs(margins[0]) > 1e-9
    kept = margins[1][clear] / margins[0][clear]
    assert clear.mean() > 0.9 and np.ptp(kept) < 1e-6 and kept[0] < 0.1
    # With the signed weights themselves lemma 4 fails: delta = 0 for both labels, and the margin moves by .8.
    doc, w_p, w_n = np.array([0.6, 0.8]), np.array([0.6, 0.0]), np.array([0.5, -1.0])
    v_p, v_n = w_p, np.array([0.5, 0.0])
    assert doc @ v_p >= doc @ w_p and doc @ v_n >= doc @ w_n
    assert abs(doc @ (w_p - w_n) - doc @ (v_p - v_n)) == pytest.approx(0.8)


def test_the_embedding_of_keyword_text_is_not_that_of_the_svm_weights():
    corpus = ["ball goal", "ball", "goal", "bank loan", "loan"]
    tfidf = TfidfVectorizer().fit(corpus)
    column = tfidf.vocabulary_
    v = np.zeros((2, len(column)))
    v[0, [column["ball"], column["goal"]]] = 0.9, 0.1  # label p
    v[1, [column["ball"], column["goal"]]] = 0.1, 0.9  # label n: the same keywords, weighted otherwise
    phi = tfidf.transform(["ball"]).toarray()[0]
    gap = phi @ (v[0] - v[1])  # w = v, so delta = 0
    assert gap == pytest.approx(0.8) and np.linalg.norm(v, axis=1).max() <= 1
    texts = tfidf.transform(["ball goal", "goal ball"]).toarray()  # keywords in order of weight
    neural = phi @ (texts[0] - texts[1])  # E cannot tell equal vectors apart, whatever it is
    assert neural == 0  # "<= 0" is theorem 3's error: it is certain here,
    assert union_bound(1, gap, BERT) < 3e-4  # and its bound says 2 in 10,000


def test_the_negative_part_of_the_dual_loss():
    f = sympy.symbols("f", real=True)
    sigma = 1 / (1 + sympy.exp(-f))
    right, printed = -sympy.log(1 - sigma), -sympy.log(sigma.subs(f, 1 - f))
    assert float(printed.subs(f, 0)) == pytest.approx(0.313, abs=5e-4)
    assert float(right.subs(f, 0)) == pytest.approx(0.693, abs=5e-4)
    for at in (-2.0, 0.3, 4.0):  # what is printed is the right loss moved by one
        assert float(printed.subs(f, at)) == pytest.approx(float(right.subs(f, at - 1)))
    # DEPL+cls gives probabilities: squashed again, a perfect prediction keeps a loss of .313.
    probability = np.array([0.0, 1.0])
    squashed = 1 / (1 + np.exp(-probability))
    assert -np.log(squashed[1]) == pytest.approx(0.313, abs=5e-4) and squashed.max() < 0.74


def test_the_hinge_loss_alone_does_not_determine_the_keywords():
    x, y = np.array([[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]), np.array([1, -1])

    def hinge(w):
        return np.maximum(0, 1 - y * (x @ w)).mean()

    one, other = np.array([2.0, 0, -1]), np.array([0, 1.5, -1])
    assert hinge(one) == hinge(other) == hinge(10 * one) == 0  # all are minima, of any length,
    assert one.argmax() != other.argmax()  # and they disagree on the best keyword

    def objective(w):
        return hinge(w) + 0.05 * (w @ w)

    assert objective((one + other) / 2) < min(
        objective(one), objective(other)
    )  # with the L2 term: one minimum


def test_tail_shares_follow_from_table_2_1():
    share = {name: round(100 * TAIL[name] / LABELS[name], 2) for name in LABELS}
    assert share == {"EURLex-4K": 61.0, "AmazonCat-13K": 29.53, "Wiki10-31K": 85.8, "Wiki-500K": 67.6}
    assert share["EURLex-4K"] != 63.48 and share["Wiki10-31K"] != 88.65


def test_psp_as_printed_is_not_bounded_by_one():
    n_train = 15_539  # EURLex-4K
    q = propensities([1, 1, 100], n_train)
    assert 1 / q[0] == pytest.approx(9.65, abs=5e-3)
    truth = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]])
    perfect = np.array([[0, 2, 1], [1, 0, 2], [2, 0, 1]])
    assert psp_at_k(perfect, truth, q, 1).mean() == pytest.approx(1)
    assert psp_at_k(perfect, truth, q, 1, "thesis").max() == pytest.approx(9.65, abs=5e-3)


def test_the_theorem_needs_a_margin_above_delta():

    # likes. Here w = v (nothing is lost), and the chance of an error is known: Student's t.
    phi, w_p, w_n = np.array([1.0, 0, 0]), np.array([0.2, 0.9, 0]), np.array([0, 0, 0.9])
    b, d, delta = w_p - w_n, 64, 5.0
    assert phi @ w_p >= phi @ w_p - delta and phi @ b == pytest.approx(0.2)
    cosine = phi @ b / np.linalg.norm(b)
    exact = stats.t.cdf(-math.sqrt(d) * cosine / math.sqrt(1 - cosine**2), d)
    rng = np.random.default_rng(4)
    e = rng.normal(scale=d**-0.5, size=(4_000, d, 3))
    wrong = (np.einsum("kdi,i->kd", e, phi) * np.einsum("kdi,i->kd", e, b)).sum(axis=1) <= 0
    assert wrong.mean() == pytest.approx(exact, abs=0.02) and exact > 0.1
    assert union_bound(1, 0.2 - delta, d) < 1e-11


def test_the_union_bound_is_an_inequality():
    gaps, d = np.array([0.6, 0.8, 1.0]), 256
    total = 4 * np.exp(-(gaps**2) * d / 50).sum()
    assert total < 0.7 * union_bound(3, gaps.min(), d)
    assert 4 * np.exp(-(np.full(3, 0.6) ** 2) * d / 50).sum() == pytest.approx(union_bound(3, 0.6, d))


def test_table_2_3_has_cells_where_a_neural_baseline_is_ahead():
    neural = {  # PSP@1, 3, 5: the best of the four neural baselines, DEPL, DEPL+cls
        "EURLex-4K": ((44.20, 50.85, 53.87), (45.60, 52.28, 53.52), (44.60, 52.74, 54.64)),
        "Wiki10-31K": ((14.49, 15.65, 16.54), (17.20, 16.90, 16.95), (16.73, 16.84, 16.67)),
        "AmazonCat-13K": ((53.94, 68.48, 76.43), (55.94, 70.01, 76.87), (55.21, 69.73, 75.94)),
        "Wiki-500K": ((31.20, 37.31, 41.74), (32.07, 40.60, 43.74), (32.18, 39.89, 41.46)),
    }
    behind = {
        (data, method, k)
        for data, (best, *ours) in neural.items()
        for method, row in zip(("DEPL", "DEPL+cls"), ours)
        for k, x, y in zip((1, 3, 5), row, best)
        if x < y
    }
    assert behind == {
        ("EURLex-4K", "DEPL", 5),
        ("AmazonCat-13K", "DEPL+cls", 5),
        ("Wiki-500K", "DEPL+cls", 5),
    }


def test_f1_as_printed_is_undefined_for_a_label_never_hit():
    tp, fp, fn = 0, 2, 1
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    with pytest.raises(ZeroDivisionError):
        _ = 2 * precision * recall / (precision + recall)
    # Labels 0-3: hit; predicted in vain and missed; predicted without being in the test set; in neither.
    topk, truth = np.array([[0, 1], [2, 1]]), np.zeros((3, 4), dtype=int)
    truth[0, 0] = truth[2, 1] = 1
    topk = np.vstack([topk, [[0, 2]]])
    truth[2, 0] = 1
    assert label_f1_at_k(topk, truth, 2, "all").mean() == pytest.approx(1 / 4)
    assert np.nanmean(label_f1_at_k(topk, truth, 2, "present")) == pytest.approx(1 / 2)
    only_hits = label_f1_at_k(topk, truth, 2)
    assert only_hits[only_hits > 0].mean() == 1  # and leaving every 0/0 out would call this perfect
