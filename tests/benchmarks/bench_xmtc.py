"""Chapter 2: training one SVM a label, and ranking all labels."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import sparse
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from msig_lib import datasets
from msig_lib.stats import ranking as metrics
from msig_lib.xmtc.data import XMTCData, from_labelled_text
from msig_lib.xmtc.features import Features
from msig_lib.xmtc.ranking import Ranking, SparseScorer, rank, top_k
from msig_lib.xmtc.svm import SparseLinear, fit_one_vs_all
from tests.benchmarks.compare import Benchmark, Disagreement, NotRun

OPTIONS = {"docstrings": {}, "eurlex57k": {"limit": 10_000, "dev": 100, "test": 2_000}}
ALLOWED = 0.5  # points of P@1 and of tail F1@5 between the two solutions
DOCUMENTS, LABELS = 10_000, 5_000


@cache
def _data(name: str) -> tuple[XMTCData, sparse.csr_matrix, sparse.csr_matrix]:
    ready, reason = datasets.available(name)
    if not ready:
        raise NotRun(reason)
    data = from_labelled_text(datasets.load(name, **OPTIONS[name]))
    features = Features.fit(data.train.texts)
    return data, features.transform(data.train.texts), features.transform(data.test.texts)


def _compile() -> None:
    X = sparse.csr_array(np.eye(3, dtype=np.float32))
    rank(SparseScorer(X, fit_one_vs_all(X, X)), 2)


def _training(name: str) -> Benchmark:
    @cache
    def wide() -> tuple[sparse.csr_matrix, sparse.csc_matrix]:
        # LinearSVC works in float64: converting once here spares it a conversion a label.
        data, X, _ = _data(name)
        return X.astype(np.float64), data.train.labels.tocsc()

    def prepare() -> None:
        wide()

    def ours() -> SparseLinear:
        data, X, _ = _data(name)
        return fit_one_vs_all(X, data.train.labels, threads=1)

    def peer() -> OneVsRestClassifier:
        return OneVsRestClassifier(LinearSVC(), n_jobs=1).fit(*wide())

    def check(model: SparseLinear, other: OneVsRestClassifier) -> str:
        data, X, X_test = _data(name)
        coefficients = np.vstack([e.coef_ for e in other.estimators_]).astype(np.float32)
        bias = np.array([e.intercept_[0] for e in other.estimators_], dtype=np.float32)
        rankings = [rank(SparseScorer(X_test, model), 5).labels, top_k(X_test @ coefficients.T + bias, 5)]
        p1 = [100 * metrics.precision_at_k(r, data.test.labels, 1).mean() for r in rankings]
        f1 = [100 * metrics.macro_f1_at_k(r, data.test.labels, 5, labels=data.is_tail) for r in rankings]
        said = (
            f"{X.shape[0]} documents, {X.shape[1]} words, {model.n_labels} labels ({data.is_tail.sum()} tail); "
            f"P@1 {p1[0]:.2f} and {p1[1]:.2f}, tail F1@5 {f1[0]:.2f} and {f1[1]:.2f}; "
            f"{(~model.converged).sum()} labels not solved"
        )
        if max(abs(p1[0] - p1[1]), abs(f1[0] - f1[1])) > ALLOWED:
            raise Disagreement(f"more than {ALLOWED} points apart: {said}")
        return said

    return Benchmark(
        f"svm-training-{name}", ours, peer, "peer/ours >= 4", check, prepare=prepare, warm=_compile
    )


def _prediction() -> Benchmark:
    @cache
    def fitted() -> tuple[sparse.csr_array, SparseLinear, np.ndarray]:
        data, X, X_test = _data("docstrings")
        frequent = np.sort(np.argsort(-data.n_positives, kind="stable")[:LABELS])
        model = fit_one_vs_all(X, data.train.labels[:, frequent])
        every = sparse.csr_array(sparse.vstack([X_test, X]))
        return every[np.arange(DOCUMENTS) % every.shape[0]], model, model.weights.T.toarray(order="C")

    def prepare() -> None:
        fitted()

    def ours() -> Ranking:
        X, model, _ = fitted()
        return rank(SparseScorer(X, model), 5)

    def peer() -> np.ndarray:
        # Dense weights: SciPy's product of two sparse matrices takes several times longer.
        X, _, weights = fitted()
        return X @ weights

    def check(found: Ranking, product: np.ndarray) -> str:
        X, model, _ = fitted()
        scores = product + model.bias
        best = np.take_along_axis(scores, found.labels, axis=1)
        gap = np.abs(np.sort(scores, axis=1)[:, ::-1][:, :5] - best).max()
        said = f"{X.shape[0]} documents, {model.n_labels} labels; largest gap to the scores of a full sort {gap:.1e}"
        if gap > 1e-5:
            raise Disagreement(said)
        return said

    return Benchmark(
        "svm-prediction", ours, peer, "ours/peer <= 2", check, prepare=prepare, warm=_compile, repeats=15
    )  # fmt: skip


def benchmarks() -> list[Benchmark]:
    return [_training("docstrings"), _training("eurlex57k"), _prediction()]
