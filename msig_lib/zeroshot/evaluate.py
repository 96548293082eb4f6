"""How good a zero-shot classifier is, where its confidence helps, and what self-training does round by round."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

KS = (10, 30, 100, 300, 1000)
"""Sizes of the most confident part (figure 3.3, lower: the thesis speaks of the top 10 and the top 30)."""


def predictions(scores: npt.ArrayLike) -> np.ndarray:
    """Return the class with the highest score, int64 [n], for `scores` [n, L] (eq. 3.2; ties: the first class).

    Raises ValueError unless `scores` is a finite matrix with at least one column.
    """
    values = np.asarray(scores)
    if values.ndim != 2 or values.shape[1] < 1:
        raise ValueError(f"scores have shape {values.shape}, expected [n documents, L classes]")
    if not np.isfinite(values).all():
        rows = np.flatnonzero(~np.isfinite(values).all(axis=1))
        raise ValueError(f"scores of {len(rows)} documents are NaN or infinite, the first in row {rows[0]}")
    return values.argmax(axis=1).astype(np.int64)


def correct(labels: npt.ArrayLike, scores: npt.ArrayLike) -> np.ndarray:
    """Return for each document whether it is classified right, bool [n].

    `labels` int [n]; `scores` is [n, L], or int [n] where the classes are known already. The mean is the
    accuracy of table 3.2; the array is what a paired interval over documents needs.
    """
    given = np.asarray(scores)
    predicted = predictions(given) if given.ndim == 2 else _classes(given, "predicted")
    true = _classes(labels, "labels")
    _same_length(labels=true, predicted=predicted)
    return true == predicted


def accuracy(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the share of documents classified right, in 0..1; arguments as in `correct`."""
    hits = correct(labels, scores)
    if not len(hits):
        raise ValueError("no documents: an accuracy needs at least one")
    return float(hits.mean())


def confusion(labels: npt.ArrayLike, predicted: npt.ArrayLike, n_classes: int) -> np.ndarray:
    """Return int64 [L, L]: documents of the row's class that were given the column's class."""
    true, given = _classes(labels, "labels", n_classes), _classes(predicted, "predicted", n_classes)
    _same_length(labels=true, predicted=given)
    return np.bincount(true * n_classes + given, minlength=n_classes**2).reshape(n_classes, n_classes)


def f1_per_class(labels: npt.ArrayLike, predicted: npt.ArrayLike, n_classes: int) -> np.ndarray:
    """Return F1 of each class, float64 [L] (figure 3.3, upper).

    A class that neither occurs nor is predicted has no F1: NaN.
    """
    counts = confusion(labels, predicted, n_classes)
    size = counts.sum(axis=0) + counts.sum(axis=1)
    return np.divide(2.0 * counts.diagonal(), size, out=np.full(n_classes, np.nan), where=size > 0)


def macro_f1(labels: npt.ArrayLike, predicted: npt.ArrayLike, n_classes: int) -> float:
    """Return the mean of `f1_per_class` over the classes that occur or are predicted."""
    return float(np.nanmean(f1_per_class(labels, predicted, n_classes)))


def precision_at_confident(
    hits: npt.ArrayLike, confidence: npt.ArrayLike, ks: Sequence[int] = KS
) -> dict[int, float]:
    """Return {k: precision among the k most confident documents} (figure 3.3, lower).

    `hits` bool [n] (`correct`), `confidence` float [n], higher is surer. Ties on the border of the k enter
    with their mean, so that the order of the documents does not matter. A k beyond n is left out.
    """
    right, sure = _hits(hits), _confidence(confidence)
    _same_length(hits=right, confidence=sure)
    if any(k < 1 for k in ks):
        raise ValueError(f"ks are {list(ks)}, expected numbers of documents from 1")
    ordered = np.sort(sure)[::-1]
    found = {}
    for k in ks:
        if k > len(right):
            continue
        above, tied = sure > ordered[k - 1], sure == ordered[k - 1]
        inside = right[above].sum() + (k - above.sum()) * right[tied].mean()
        found[int(k)] = float(inside / k)
    return found


def precision_by_class(
    labels: npt.ArrayLike,
    predicted: npt.ArrayLike,
    confidence: npt.ArrayLike,
    n_classes: int,
    ks: Sequence[int] = KS,
) -> pd.DataFrame:
    """Return precision among the k most confident of each predicted class, one row a class and k.

    Columns: predicted (class number), k, precision. It is what balanced selection takes from (algorithm 1,
    line 5); a class with fewer than k documents has no row for that k.
    """
    true, given = _classes(labels, "labels", n_classes), _classes(predicted, "predicted", n_classes)
    sure = _confidence(confidence)
    _same_length(labels=true, predicted=given, confidence=sure)
    rows = []
    for c in range(n_classes):
        own = given == c
        for k, value in precision_at_confident(true[own] == c, sure[own], ks).items():
            rows.append({"predicted": c, "k": k, "precision": value})
    return pd.DataFrame(rows, columns=["predicted", "k", "precision"])


def flips(rounds: Sequence[npt.ArrayLike], labels: npt.ArrayLike) -> pd.DataFrame:
    """Return what each round of self-training changed in the pseudo labels, one row a round.

    `rounds` holds the pseudo labels of each round, int [n] each; `labels` int [n] are the true ones, which
    only the evaluation reads. Columns: round (from 0), accuracy, right_to_wrong, wrong_to_right and
    wrong_to_wrong (documents whose pseudo label changed since the round before; 0 in round 0).
    """
    true, history = _history(rounds, labels)
    rows = []
    for t, now in enumerate(history):
        before = history[max(t - 1, 0)]
        was, is_now = before == true, now == true
        rows.append(
            {
                "round": t,
                "accuracy": float(is_now.mean()),
                "right_to_wrong": int((was & ~is_now).sum()),
                "wrong_to_right": int((~was & is_now).sum()),
                "wrong_to_wrong": int((~was & ~is_now & (before != now)).sum()),
            }
        )
    return pd.DataFrame(rows)


def confusion_over_rounds(
    rounds: Sequence[npt.ArrayLike], labels: npt.ArrayLike, n_classes: int
) -> pd.DataFrame:
    """Return how many documents each wrong pair (true, predicted) holds in each round.

    Arguments as in `flips`. One row a pair that ever occurs, `true` and `predicted` as class numbers, one
    column a round (0, 1, ...), and `growth`, the last round less the first; what grows most comes first.
    """
    true, history = _history(rounds, labels)
    counts = np.stack([confusion(true, now, n_classes) for now in history])
    counts[:, np.arange(n_classes), np.arange(n_classes)] = 0
    pairs = np.argwhere(counts.sum(axis=0) > 0)
    frame = pd.DataFrame(
        np.column_stack([pairs, counts[:, pairs[:, 0], pairs[:, 1]].T]),
        columns=["true", "predicted", *range(len(history))],
    )
    frame["growth"] = frame[len(history) - 1] - frame[0]
    return frame.sort_values(
        ["growth", "true", "predicted"], ascending=[False, True, True], ignore_index=True
    )


def selected_precision(
    rounds: Sequence[npt.ArrayLike], selected: Sequence[npt.ArrayLike], labels: npt.ArrayLike
) -> np.ndarray:
    """Return the share of right pseudo labels among the rows trained on, float64 [rounds]; NaN for none.

    `selected` holds for each round the pool rows (int) that were taken.
    """
    true, history = _history(rounds, labels)
    if len(selected) != len(history):
        raise ValueError(f"{len(selected)} selections for {len(history)} rounds; give one for each round")
    shares = [
        (now[chosen] == true[chosen]).mean() if len(chosen) else np.nan
        for now, chosen in zip(history, (np.asarray(rows, dtype=np.int64) for rows in selected))
    ]
    return np.array(shares, dtype=np.float64)


def majority(known: npt.ArrayLike, n: int, n_classes: int) -> np.ndarray:
    """Return scores float32 [n, L] that give every document the class frequencies of `known` labels (int)."""
    shares = np.bincount(_classes(known, "known", n_classes), minlength=n_classes).astype(np.float32)
    if not shares.sum():
        raise ValueError("no known labels: the most frequent class needs at least one")
    return np.tile(shares / shares.sum(), (n, 1))


def guess(n: int, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Return random scores float32 [n, L], each row a draw from the flat Dirichlet distribution."""
    if n < 0 or n_classes < 1:
        raise ValueError(f"n is {n} and n_classes {n_classes}, expected 0 or more and 1 or more")
    return rng.dirichlet(np.ones(n_classes), size=n).astype(np.float32)


def _classes(values: npt.ArrayLike, name: str, n_classes: int | None = None) -> np.ndarray:
    found = np.asarray(values)
    if found.ndim != 1 or not (found.size == 0 or np.issubdtype(found.dtype, np.integer)):
        raise ValueError(
            f"{name} are {found.dtype} of shape {found.shape}, expected class numbers, one int a document"
        )
    found = found.astype(np.int64)
    top = np.inf if n_classes is None else n_classes
    if found.size and not (found.min() >= 0 and found.max() < top):
        raise ValueError(
            f"{name} reach from {found.min()} to {found.max()}, expected 0..{top - 1 if n_classes else '...'}"
        )
    return found


def _hits(values: npt.ArrayLike) -> np.ndarray:
    found = np.asarray(values)
    if found.ndim != 1 or found.dtype != bool:
        raise ValueError(f"hits are {found.dtype} of shape {found.shape}, expected one bool a document")
    return found


def _confidence(values: npt.ArrayLike) -> np.ndarray:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ValueError(f"confidence has shape {found.shape}; give one finite number a document")
    return found


def _same_length(**arrays: np.ndarray) -> None:
    sizes = {name: len(values) for name, values in arrays.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{size} {name}" for name, size in sizes.items())
        raise ValueError(f"{told}: give one of each for every document, in the same order")


def _history(rounds: Sequence[npt.ArrayLike], labels: npt.ArrayLike) -> tuple[np.ndarray, list[np.ndarray]]:
    true = _classes(labels, "labels")
    history = [_classes(now, f"the pseudo labels of round {t}") for t, now in enumerate(rounds)]
    if not history or not len(true):
        raise ValueError(f"{len(history)} rounds of {len(true)} documents; give at least one of each")
    for now in history:
        _same_length(labels=true, predicted=now)
    return true, history
