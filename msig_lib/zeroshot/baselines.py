"""What GENCo is compared with, on the same cached embeddings: supervised, self-trained and clustering baselines.

Every function takes unit vectors float32 [n, dim] of a pool (`pool`) and of the documents asked (`test`) and
returns scores [n_test, L], each row a distribution over the classes. `label_vectors` [L, dim] are the mean
embeddings of each class's prompts. Baselines that read texts are in `baselines_text`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from msig_lib.zeroshot.selection import select

SCALE = 20.0
"""What cosines are multiplied by before a softmax (ours: the scale of SelfTrainSettings)."""


@dataclass(frozen=True)
class SupervisedSettings:
    """Logistic regression on frozen embeddings, its penalty chosen inside its own training labels."""

    c_grid: tuple[float, ...] = (1.0, 10.0, 100.0)  # ours: a decade each; unit vectors need little penalty
    folds: int = 3  # ours: the choice is flat, three folds are enough
    max_iter: int = 300  # ours: lbfgs converges within it on all our sets


@dataclass(frozen=True)
class SeededSettings:
    """Self-training that starts from the most confident zero-shot labels and needs no labels to choose from."""

    start: float = 0.2  # ours: share of pool/L taken per class, the best of .05 to .5 on dev of two sets
    penalty: float = 10.0  # ours: C; 1 may leave all below the threshold, 100 was no better (dev)
    threshold: float = 0.75  # scikit-learn's default
    max_iter: int = 10  # scikit-learn's default


@dataclass(frozen=True)
class SpreadingSettings:
    """Label spreading over the graph of nearest neighbours (Zhou et al., 2004)."""

    start: float = 0.2  # as SeededSettings
    neighbours: int = 10  # ours: as the generators' neighbourhood
    alpha: float = 0.2  # scikit-learn's default
    max_iter: int = 100  # ours: scikit-learn's 30 stops early on chains of neighbours


def zero_shot(test: npt.ArrayLike, label_vectors: npt.ArrayLike, *, scale: float = SCALE) -> np.ndarray:
    """Return the softmax of scaled cosines to the label vectors, float32 [n, L] (eqs 3.1 and 3.3)."""
    vectors, prompts = _pair(test, label_vectors)
    if not scale > 0:
        raise ValueError(f"scale is {scale}, expected a number above 0")
    return special.softmax(scale * (_unit(vectors) @ _unit(prompts).T), axis=1).astype(np.float32)


def most_confident(scores: npt.ArrayLike, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows, their classes), the same number of the surest documents for every predicted class.

    That number is `share` of n / L, at least 1; a class predicted less often gives all it has. Confidence is
    the highest score; ties go to the earlier document.
    """
    values = np.asarray(scores)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"scores have shape {values.shape}, expected [n, L] with at least one document")
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}, expected above 0 and at most 1")
    predicted, sure = values.argmax(axis=1), values.max(axis=1)
    each = max(1, round(share * len(values) / values.shape[1]))
    rows = select(predicted, sure, each, values.shape[1])
    return rows, predicted[rows]


def supervised(
    train: npt.ArrayLike,
    labels: npt.ArrayLike,
    test: npt.ArrayLike,
    n_classes: int,
    *,
    seed: int,
    settings: SupervisedSettings = SupervisedSettings(),
) -> np.ndarray:
    """Return the probabilities of a logistic regression with true labels, float32 [n_test, L] (row 1 or 6).

    `train` [n, dim] with `labels` int [n] is all of train, or the pool alone ("down-sampled"). The penalty is
    chosen by cross-validation within `train`; a class too rare for two folds leaves the choice to the middle
    of the grid. A class without a document has probability 0.
    """
    known, asked = _pair(train, test)
    true = _labels(labels, len(known), n_classes)
    counts = np.bincount(true)
    folds = int(min(settings.folds, counts[counts > 0].min()))
    if (counts > 0).sum() < 2:
        return _spread(np.ones((len(asked), 1)), np.unique(true), n_classes)
    model = LogisticRegression(C=settings.c_grid[len(settings.c_grid) // 2], max_iter=settings.max_iter)
    if folds >= 2 and len(settings.c_grid) > 1:
        cv = StratifiedKFold(folds, shuffle=True, random_state=seed)
        model = GridSearchCV(model, {"C": list(settings.c_grid)}, cv=cv, scoring="accuracy")
    model.fit(known, true)
    return _spread(model.predict_proba(asked), model.classes_, n_classes)


def seeded_regression(
    pool: npt.ArrayLike,
    rows: npt.ArrayLike,
    labels: npt.ArrayLike,
    test: npt.ArrayLike,
    n_classes: int,
    *,
    penalty: float = SeededSettings.penalty,
) -> np.ndarray:
    """Return the probabilities of a logistic regression on pseudo labels, float32 [n_test, L].

    `rows` int [m] of the pool have the pseudo `labels` int [m]; no round follows.
    """
    known, asked = _pair(pool, test)
    chosen = np.asarray(rows, dtype=np.int64)
    given = _labels(labels, len(chosen), n_classes)
    if len(np.unique(given)) < 2:
        return _spread(np.ones((len(asked), 1)), np.unique(given), n_classes)
    model = LogisticRegression(C=penalty, max_iter=SupervisedSettings.max_iter).fit(known[chosen], given)
    return _spread(model.predict_proba(asked), model.classes_, n_classes)


def self_training_classifier(
    pool: npt.ArrayLike,
    label_vectors: npt.ArrayLike,
    test: npt.ArrayLike,
    *,
    settings: SeededSettings = SeededSettings(),
) -> np.ndarray:
    """Return the probabilities of scikit-learn's SelfTrainingClassifier, float32 [n_test, L].

    It starts from the most confident zero-shot labels of every class; the rest of the pool is unlabelled.
    """
    known, asked, n_classes, partial = _seeds(pool, label_vectors, test, settings.start)
    if len(np.unique(partial[partial >= 0])) < 2:
        return _spread(np.ones((len(asked), 1)), np.unique(partial[partial >= 0]), n_classes)
    inner = LogisticRegression(C=settings.penalty, max_iter=SupervisedSettings.max_iter)
    model = SelfTrainingClassifier(inner, threshold=settings.threshold, max_iter=settings.max_iter)
    with warnings.catch_warnings():  # a start that covers the whole pool leaves nothing to label: no mistake
        warnings.filterwarnings("ignore", message="y contains no unlabeled samples")
        model.fit(known, partial)
    return _spread(model.predict_proba(asked), model.classes_, n_classes)


def label_spreading(
    pool: npt.ArrayLike,
    label_vectors: npt.ArrayLike,
    test: npt.ArrayLike,
    *,
    settings: SpreadingSettings = SpreadingSettings(),
) -> np.ndarray:
    """Return scikit-learn's LabelSpreading from the most confident zero-shot labels, float32 [n_test, L].

    The graph is over the pool alone: a document asked reads the labels of its nearest pool documents.
    """
    known, asked, n_classes, partial = _seeds(pool, label_vectors, test, settings.start)
    near = min(settings.neighbours, len(known))
    model = LabelSpreading(kernel="knn", n_neighbors=near, alpha=settings.alpha, max_iter=settings.max_iter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping after max_iter is part of the settings
        warnings.filterwarnings("ignore", message="invalid value encountered in divide")
        model.fit(known, partial)
        # Documents that no label reached have no distribution; they must not pull their neighbours to zero.
        spread = np.nan_to_num(model.label_distributions_)
        found = NearestNeighbors(n_neighbors=near).fit(known).kneighbors(asked, return_distance=False)
    return _spread(_rows_to_one(spread[found].sum(axis=1)), model.classes_, n_classes)


def neighbour_vote(
    pool: npt.ArrayLike,
    label_vectors: npt.ArrayLike,
    test: npt.ArrayLike,
    *,
    neighbours: int = 10,
    scale: float = SCALE,
) -> np.ndarray:
    """Return the mean zero-shot distribution of the nearest pool documents, float32 [n_test, L]; no training.

    `neighbours` (10 as the generators' neighbourhood) is cut to the size of the pool.
    """
    known, asked = _pair(pool, test)
    if neighbours < 1:
        raise ValueError(f"neighbours is {neighbours}, expected 1 or more")
    near = NearestNeighbors(n_neighbors=min(neighbours, len(known))).fit(_unit(known))
    found = near.kneighbors(_unit(asked), return_distance=False)
    return zero_shot(known, label_vectors, scale=scale)[found].mean(axis=1)


def lloyd(
    pool: npt.ArrayLike,
    label_vectors: npt.ArrayLike,
    test: npt.ArrayLike,
    *,
    rounds: int = 10,
    scale: float = SCALE,
) -> np.ndarray:
    """Return cosines to the centres of spherical k-means started at the prompts, float32 softmax [n_test, L].

    Each of `rounds` assigns the pool to its nearest centre and moves each centre to the mean direction of its
    documents (an empty one stays): self-training without an encoder, a loss or a selection.
    """
    known, centres = _pair(pool, label_vectors)
    known, centres = _unit(known), _unit(centres)
    for _ in range(rounds):
        own = (known @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, own, known)
        moved = np.where(np.linalg.norm(sums, axis=1, keepdims=True) > 0, sums, centres)
        moved = _unit(moved)
        if np.allclose(moved, centres, atol=1e-7):
            break
        centres = moved
    return zero_shot(test, centres, scale=scale)


def gaussian_mixture(
    pool: npt.ArrayLike,
    label_vectors: npt.ArrayLike,
    test: npt.ArrayLike,
    *,
    seed: int,
    start: float = SeededSettings.start,
) -> np.ndarray:
    """Return the responsibilities of a Gaussian mixture with one component a class, float32 [n_test, L].

    Components are spherical and start at the mean of each class's most confident zero-shot documents (at the
    prompt for a class without one); expectation-maximisation then runs on the pool without any label.
    """
    known, asked, n_classes, partial = _seeds(pool, label_vectors, test, start)
    if len(known) < max(2, n_classes):
        raise ValueError(
            f"{len(known)} documents for {n_classes} classes; a mixture needs one a class, at least 2"
        )
    means = np.array(_unit(np.asarray(label_vectors, dtype=np.float64)))
    for c in range(n_classes):
        if (partial == c).any():
            means[c] = known[partial == c].mean(axis=0)
    model = GaussianMixture(n_classes, covariance_type="spherical", means_init=means, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(known.astype(np.float64))
    return model.predict_proba(asked.astype(np.float64)).astype(np.float32)


def _seeds(
    pool: npt.ArrayLike, label_vectors: npt.ArrayLike, test: npt.ArrayLike, share: float
) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """Return pool, test, L and the start: class of each pool document, -1 for unlabelled."""
    known, asked = _pair(pool, test)
    scores = zero_shot(known, label_vectors)
    rows, classes = most_confident(scores, share)
    partial = np.full(len(known), -1)
    partial[rows] = classes
    return known, asked, scores.shape[1], partial


def _pair(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(first), np.asarray(second)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not len(a):
        raise ValueError(f"vectors have shapes {a.shape} and {b.shape}, expected [n, dim] and [m, dim]")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("vectors hold NaN or infinite values; embed the texts again")
    return a, b


def _labels(labels: npt.ArrayLike, n: int, n_classes: int) -> np.ndarray:
    true = np.asarray(labels)
    if true.shape != (n,) or not n or not np.issubdtype(true.dtype, np.integer):
        raise ValueError(f"labels are {true.dtype} of shape {true.shape}, expected one int for each of {n}")
    if true.min() < 0 or true.max() >= n_classes:
        raise ValueError(
            f"labels reach from {true.min()} to {true.max()}, expected classes 0..{n_classes - 1}"
        )
    return true.astype(np.int64)


def _spread(found: np.ndarray, classes: np.ndarray, n_classes: int) -> np.ndarray:
    """Put the columns of the classes that a model knows into all L columns."""
    out = np.zeros((len(found), n_classes), dtype=np.float32)
    out[:, np.asarray(classes, dtype=np.int64)] = found
    return out


def _rows_to_one(values: np.ndarray) -> np.ndarray:
    total = values.sum(axis=1, keepdims=True)
    even = np.full_like(values, 1.0 / values.shape[1])
    return np.divide(values, total, out=even, where=total > 0)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
