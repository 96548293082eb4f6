"""One-against-all linear SVM, the sparse model of chapter 2 (thesis 2.3.2), solved for blocks of labels at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike

import numpy as np
from scipy import sparse

from msig_lib.xmtc._dual_descent import solve_block


@dataclass(frozen=True)
class SVMSettings:
    """How the one-against-all SVM is solved."""

    C: float = 1.0  # scikit-learn's default; the thesis gives none
    tol: float = 1e-3  # ours: largest margin violation left, over every document; scores then agree to ~1e-3
    max_epochs: int = 200  # ours: sweeps over a label's list in one round; reached only by degenerate data
    max_rounds: int = 40  # ours: times that missing documents are looked for; 4 to 8 are usual
    first_documents: int = 100  # ours: least number of missing documents admitted in a round
    block: int = 32  # ours: labels scored together; more are a little faster and take more memory
    prune: float = (
        0.0  # ours: weights of smaller size are dropped (DiSMEC, Babbar & Schoelkopf 2017, uses 0.01)
    )
    bias_without_positives: float = -np.inf  # ours: such a label is never predicted; see fit_one_vs_all

    def __post_init__(self) -> None:
        for name in ("C", "max_epochs", "max_rounds", "first_documents", "block"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a number above 0.")
        if self.tol < 1e-5:
            raise ValueError(
                f"tol is {self.tol}, but documents are scored in float32: expected at least 1e-5. "
                "Use sklearn.svm.LinearSVC for a tighter solution of few labels."
            )
        if self.prune < 0:
            raise ValueError(
                f"prune is {self.prune}, expected 0 (keep all weights) or a small positive number."
            )


@dataclass(frozen=True)
class SparseLinear:
    """Linear scorers of many labels over sparse features: scores = X @ weights.T + bias.

    weights: CSR float32 [n_labels, n_features], rows sorted by feature; bias: float32 [n_labels], -inf where a
    label had no positive document; n_support: int [n_labels], documents with a dual variable above zero;
    converged: bool [n_labels], False where `max_rounds` ended the search for violations.
    """

    weights: sparse.csr_array
    bias: np.ndarray
    n_support: np.ndarray
    converged: np.ndarray

    @property
    def n_labels(self) -> int:
        return self.weights.shape[0]

    @property
    def n_features(self) -> int:
        return self.weights.shape[1]

    def decision_function(self, X: sparse.sparray | sparse.spmatrix) -> np.ndarray:
        """Return all scores, float32 [n_documents, n_labels]; see `ranking.rank` for more than memory holds."""
        if X.shape[1] != self.n_features:
            raise ValueError(f"X has {X.shape[1]} features, the model was fitted on {self.n_features}.")
        X = sparse.csr_array(X, dtype=np.float32)
        out = np.empty((X.shape[0], self.n_labels), np.float32)
        for start in range(0, self.n_labels, 512):
            # Dense weights, a block at a time: about ten times faster than a product of two sparse matrices.
            block = slice(start, start + 512)
            out[:, block] = X @ self.weights[block].T.toarray(order="C") + self.bias[block]
        return out

    def save(self, path: str | PathLike) -> None:
        """Write the model to an .npz file without pickled objects."""
        w = self.weights
        np.savez(
            path, data=w.data, indices=w.indices, indptr=w.indptr, shape=np.array(w.shape),
            bias=self.bias, n_support=self.n_support, converged=self.converged,
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | PathLike) -> SparseLinear:
        """Read a model written by `save`."""
        with np.load(path, allow_pickle=False) as f:
            weights = sparse.csr_array((f["data"], f["indices"], f["indptr"]), shape=tuple(f["shape"]))
            return cls(weights, f["bias"], f["n_support"], f["converged"])


def fit_one_vs_all(
    X: sparse.sparray | sparse.spmatrix,
    Y: sparse.sparray | sparse.spmatrix,
    *,
    settings: SVMSettings | None = None,
    threads: int = 1,
) -> SparseLinear:
    """Fit one linear SVM a label: L2-regularised squared hinge, regularised intercept (as LinearSVC's defaults).

    X: sparse [n_documents, n_features]; Y: sparse binary [n_documents, n_labels]. The thesis prints the plain
    hinge and omits the regulariser (2.3.2); the squared hinge is what LinearSVC minimises by default.

    Each label is solved on a list of documents only: its positives, then those with the largest margin
    violations, found by scoring every document for a block of labels at once, until no document violates its
    margin by more than `tol`. At first one document without words stands for all others, with their number as
    its weight, so that the bias is right before any negative is known; it is removed before the last rounds, so
    the solution is that of all documents. The result does not depend on `threads`. Working memory is about
    550 bytes a document and 650 bytes a feature for each thread, at the default block.

    A label without positives gets zero weights and `bias_without_positives`: -inf, never predicted; set it to
    about -1, the score of a far document, to let a dense model that knows the label's text decide in a fusion.
    A label that every document has is solved like any other. Empty documents score the bias.

    Raises ValueError for shapes that do not match, values that are not finite, Y not binary, threads < 1.
    """
    settings = settings or SVMSettings()
    X, Y = _checked(X, Y, threads)
    n_labels, n_features = Y.shape[1], X.shape[1]
    # Frequent features side by side, so that most weights a document reads share a few cache lines.
    frequency = np.bincount(X.indices, minlength=n_features)
    column = np.argsort(-frequency, kind="stable")
    X = sparse.csr_array(X[:, column])
    place = np.argsort(column)
    sqnorm = np.asarray(X.multiply(X).sum(axis=1), dtype=np.float64).ravel()
    indices, indptr = X.indices.astype(np.int32, copy=False), X.indptr.astype(np.int64, copy=False)
    counts = np.diff(Y.indptr)

    bias = np.full(n_labels, settings.bias_without_positives, np.float32)
    n_support = np.zeros(n_labels, np.int64)
    rounds = np.zeros(n_labels, np.int64)
    rows: list[tuple[np.ndarray, np.ndarray]] = [(np.empty(0, np.int32), np.empty(0, np.float32))] * n_labels

    def solve(labels: np.ndarray) -> None:
        W = np.zeros((len(labels), n_features + 1))
        active, used = np.zeros(len(labels), np.int64), np.zeros(len(labels), np.int64)
        pos_ptr = np.concatenate([[0], np.cumsum(counts[labels])])
        pos_docs = np.concatenate([Y.indices[Y.indptr[k] : Y.indptr[k + 1]] for k in labels]).astype(np.int32)
        solve_block(
            indptr, indices, X.data, sqnorm, pos_ptr, pos_docs, float(settings.C), float(settings.tol),
            settings.max_epochs, settings.max_rounds, settings.first_documents, W, active, used,
        )  # fmt: skip
        bias[labels], n_support[labels], rounds[labels] = W[:, -1], active, used
        for k, w in zip(labels, W[:, place]):
            kept = np.flatnonzero(np.abs(w) > settings.prune).astype(np.int32)
            rows[k] = (kept, w[kept].astype(np.float32))

    # Frequent labels first: they take longest, and labels of one block then need about as many rounds.
    blocks = list(_blocks(np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)], settings.block))
    if threads == 1:
        for labels in blocks:
            solve(labels)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(solve, blocks))

    lengths = np.array([len(kept) for kept, _ in rows], dtype=np.int64)
    weights = sparse.csr_array(
        (
            np.concatenate([values for _, values in rows] or [np.empty(0, np.float32)]),
            np.concatenate([kept for kept, _ in rows] or [np.empty(0, np.int32)]),
            np.concatenate([[0], np.cumsum(lengths)]),
        ),
        shape=(n_labels, n_features),
    )
    return SparseLinear(weights, bias, n_support, rounds >= 0)


def _blocks(labels: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(labels), size):
        yield labels[start : start + size]


def _checked(X, Y, threads: int) -> tuple[sparse.csr_array, sparse.csc_array]:
    if not (sparse.issparse(X) and sparse.issparse(Y)):
        raise ValueError(
            f"X is {type(X).__name__} and Y is {type(Y).__name__}, expected SciPy sparse matrices. "
            "Convert with scipy.sparse.csr_array(...)."
        )
    if X.shape[0] != Y.shape[0]:
        raise ValueError(
            f"X has {X.shape[0]} documents and Y has {Y.shape[0]}, expected one row of each a document."
        )
    if X.shape[0] == 0:
        raise ValueError("X has no documents: pass at least one training document.")
    if threads < 1:
        raise ValueError(f"threads is {threads}, expected at least 1.")
    X = sparse.csr_array(X, dtype=np.float32, copy=True)
    X.sum_duplicates()
    Y = sparse.csc_array(Y, copy=True)
    Y.sum_duplicates()
    Y.eliminate_zeros()
    if not np.isfinite(X.data).all():
        raise ValueError("X holds values that are not finite: remove NaN and infinities from the features.")
    if Y.nnz and not (Y.data == 1).all():
        raise ValueError("Y holds values other than 0 and 1: pass a binary document-by-label matrix.")
    return X, Y
