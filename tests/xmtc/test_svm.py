import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.svm import LinearSVC

from msig_lib.xmtc.svm import SparseLinear, SVMSettings, fit_one_vs_all

TIGHT = SVMSettings(tol=1e-5)


def corpus(n=400, n_features=120, n_labels=12, seed=0):
    """Rows of length 1 with a few words each; a label's documents share a word; frequencies from 1 to n/2."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.06, size=(n, n_features)).astype(float)
    Y = np.zeros((n, n_labels))
    for label in range(n_labels):
        chosen = rng.choice(n, size=int(np.geomspace(1, n / 2, n_labels)[label]), replace=False)
        Y[chosen, label] = 1
        counts[chosen, label % n_features] += rng.random(len(chosen)) < 0.8
    norms = np.linalg.norm(counts, axis=1, keepdims=True)
    X = np.divide(counts, norms, out=np.zeros_like(counts), where=norms > 0)
    return sparse.csr_array(X), sparse.csr_array(Y)


def gradient(model, X, Y, C=1.0):
    """The primal gradient of every label in float64, [L, V + 1]: zero at the solution over ALL documents."""
    X, Y = X.toarray(), Y.toarray()
    X = np.hstack([X, np.ones((len(X), 1))])
    W = np.hstack([model.weights.toarray(), model.bias[:, None]]).astype(float)
    sign = 2 * Y - 1
    slack = np.maximum(0, 1 - sign * (X @ W.T))
    return W - 2 * C * (sign * slack).T @ X


@pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
def test_coefficients_are_those_of_linear_svc(C):
    X, Y = corpus()
    model = fit_one_vs_all(X, Y, settings=SVMSettings(C=C, tol=1e-5, first_documents=5))
    assert model.converged.all()
    for label in range(Y.shape[1]):
        peer = LinearSVC(C=C, dual=True, tol=1e-9, max_iter=200_000, random_state=0)
        peer.fit(X, Y[:, [label]].toarray().ravel())
        coefficients = model.weights[[label]].toarray().ravel()
        assert np.linalg.norm(coefficients - peer.coef_) < 1e-3 * np.linalg.norm(peer.coef_)
        assert model.bias[label] == pytest.approx(peer.intercept_[0], rel=1e-3, abs=1e-3)


def test_a_tail_label_keeps_few_documents_and_still_solves_for_all_of_them():
    X, Y = corpus(n=3000, n_features=600, n_labels=8, seed=1)
    model = fit_one_vs_all(X, Y, settings=TIGHT)
    assert model.n_support[0] < 0.2 * X.shape[0]
    assert np.abs(gradient(model, X, Y)).max() < 0.02  # sums of up to 3,000 slacks, each right to 1e-5


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 12),
    st.integers(1, 4),
    st.sampled_from([0.5, 1.0, 4.0]),
    st.booleans(),
)
def test_the_gradient_vanishes_on_degenerate_data(seed, n, n_features, C, empty):
    # Small integers: repeated rows with opposite labels, empty rows and columns, labels of all or one document.
    rng = np.random.default_rng(seed)
    X = sparse.csr_array(rng.integers(0, 3, size=(n, n_features)) * (0.0 if empty else 0.5))
    Y = sparse.csr_array((rng.random((n, 3)) < rng.random(3)).astype(float))
    model = fit_one_vs_all(X, Y, settings=SVMSettings(C=C, tol=1e-5, max_epochs=2000))
    has = np.asarray(Y.sum(axis=0)).ravel() > 0
    assert model.converged.all()
    assert np.abs(gradient(model, X, Y, C))[has].max(initial=0) < 1e-3
    assert np.isneginf(model.bias[~has]).all() and model.weights[~has].nnz == 0


def test_the_default_tolerance_ranks_as_the_tight_one():
    X, Y = corpus(seed=3)
    coarse, tight = (fit_one_vs_all(X, Y, settings=s).decision_function(X) for s in (None, TIGHT))
    assert np.abs(coarse - tight).max() < 5e-3


def test_threads_and_blocks_do_not_change_the_solution():
    X, Y = corpus(n_labels=40)
    one = fit_one_vs_all(X, Y)
    four = fit_one_vs_all(X, Y, threads=4)
    assert (one.weights != four.weights).nnz == 0 and np.array_equal(one.bias, four.bias)
    small = fit_one_vs_all(X, Y, settings=SVMSettings(block=3))
    assert np.abs((one.weights - small.weights).toarray()).max() < 2e-3


def test_labels_without_and_with_every_document():
    X, _ = corpus()
    n = X.shape[0]
    every, none = np.ones((n, 1)), np.zeros((n, 1))
    nearly = every.copy()
    nearly[3] = 0
    Y = sparse.csr_array(np.hstack([none, every, nearly]))
    model = fit_one_vs_all(X, Y, settings=TIGHT)
    assert model.bias[0] == -np.inf and model.weights[[0]].nnz == 0
    assert model.decision_function(X)[:, 1].min() > 0.9
    scores = model.decision_function(X)[:, 2]
    assert scores.argmin() == 3
    assert np.abs(gradient(model, X, Y)[1:]).max() < 0.01
    kept = fit_one_vs_all(X, Y, settings=SVMSettings(bias_without_positives=-1.0))
    assert kept.bias[0] == -1.0


def test_constant_and_unused_features_and_empty_documents():
    X, Y = corpus()
    X = sparse.hstack(
        [X, sparse.csr_array(np.ones((X.shape[0], 1))), sparse.csr_array((X.shape[0], 2))]
    ).tocsr()
    X = sparse.vstack([X, sparse.csr_array((1, X.shape[1]))]).tocsr()
    Y = sparse.vstack([Y, sparse.csr_array((1, Y.shape[1]))]).tocsr()
    model = fit_one_vs_all(X, Y, settings=TIGHT)
    assert np.abs(gradient(model, X, Y)).max() < 0.01
    assert model.weights[:, [-1, -2]].nnz == 0
    assert np.array_equal(model.decision_function(X)[-1], model.bias)


def test_an_unfinished_label_is_reported():
    X, Y = corpus()
    assert not fit_one_vs_all(X, Y, settings=SVMSettings(max_rounds=1)).converged.all()


def test_pruning_drops_small_weights_only():
    X, Y = corpus()
    full = fit_one_vs_all(X, Y).weights.toarray()
    pruned = fit_one_vs_all(X, Y, settings=SVMSettings(prune=0.05)).weights.toarray()
    assert np.array_equal(pruned, np.where(np.abs(full) > 0.05, full, 0))


def test_scores_are_the_product_and_survive_a_file(tmp_path):
    X, Y = corpus(n_labels=600)
    model = fit_one_vs_all(X, Y)
    scores = X.toarray() @ model.weights.toarray().T + model.bias
    assert np.abs(model.decision_function(X) - scores).max() < 1e-5
    model.save(tmp_path / "svm.npz")
    again = SparseLinear.load(tmp_path / "svm.npz")
    assert (again.weights != model.weights).nnz == 0
    assert np.array_equal(again.bias, model.bias) and np.array_equal(again.converged, model.converged)


def test_no_labels_and_no_positives_at_all():
    X, _ = corpus()
    assert fit_one_vs_all(X, sparse.csr_array((X.shape[0], 0))).weights.shape == (0, X.shape[1])
    assert np.isneginf(fit_one_vs_all(X, sparse.csr_array((X.shape[0], 2))).bias).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, Y: (X.toarray(), Y), "sparse"),
        (lambda X, Y: (X[:-1], Y), "399 documents and Y has 400"),
        (lambda X, Y: (X * np.nan, Y), "not finite"),
        (lambda X, Y: (X, Y * 2), "other than 0 and 1"),
        (lambda X, Y: (X[:0], Y[:0]), "no documents"),
    ],
)
def test_mistakes_are_named(change, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            fit_one_vs_all(*change(*corpus()))


def test_settings_and_sizes_are_checked():
    X, Y = corpus()
    with pytest.raises(ValueError, match="threads is 0"):
        fit_one_vs_all(X, Y, threads=0)
    with pytest.raises(ValueError, match="C is 0"):
        SVMSettings(C=0)
    with pytest.raises(ValueError, match="float32"):
        SVMSettings(tol=1e-8)
    with pytest.raises(ValueError, match="7 features"):
        fit_one_vs_all(X, Y).decision_function(sparse.csr_array((1, 7)))
