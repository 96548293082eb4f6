"""Whether a confidence of 80% is right four times in five: reliability, calibration error, temperature.

Self-training takes the most confident pseudo labels, so what it learns from depends on how confidence and
correctness go together (thesis 3.5.4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, special, stats

from msig_lib.stats import Interval

BINS = 15  # Guo et al. (2017) use 15; ours have equal mass, because confidences crowd at the upper end
TEMPERATURES = (0.01, 100.0)  # ours: the range searched; a best value on its border means "none inside"


@dataclass(frozen=True)
class Calibration:
    """Calibration of one set of predictions, all in 0..1 but `gap`.

    `ece` is the expected calibration error with its interval; `floor` what perfectly calibrated predictions
    with these confidences would show on as many documents; `gap` mean confidence less accuracy (above 0:
    overconfident).
    """

    ece: Interval
    floor: float
    confidence: float
    accuracy: float

    @property
    def gap(self) -> float:
        return self.confidence - self.accuracy


def reliability(confidence: npt.ArrayLike, hits: npt.ArrayLike, *, bins: int = BINS) -> pd.DataFrame:
    """Return the reliability diagram's rows, bins of equal mass from the least to the most confident.

    `confidence` float [n] in 0..1, `hits` bool [n]. Columns: n, confidence and accuracy (means of the bin),
    lo and hi (95% Wilson interval of the accuracy). Equal confidences share a bin, so there can be fewer.
    """
    sure, right = _checked(confidence, hits)
    place = _bins(sure, bins)
    rows = []
    for k in np.unique(place):
        inside = place == k
        n, share = int(inside.sum()), float(right[inside].mean())
        z = stats.norm.isf(0.025)
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
        rows.append((n, float(sure[inside].mean()), share, centre - half, centre + half))
    return pd.DataFrame(rows, columns=["n", "confidence", "accuracy", "lo", "hi"])


def expected_calibration_error(confidence: npt.ArrayLike, hits: npt.ArrayLike, *, bins: int = BINS) -> float:
    """Return the mean over documents of |accuracy - mean confidence| of their bin, in 0..1.

    Arguments as in `reliability`. It is above 0 even for a calibrated model, by chance: see `calibration`.
    """
    sure, right = _checked(confidence, hits)
    return float(_ece(sure[None], right[None].astype(np.float64), _bins(sure, bins)[None])[0])


def calibration(
    confidence: npt.ArrayLike,
    hits: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    bins: int = BINS,
    level: float = 0.95,
    n_boot: int = 1000,
) -> Calibration:
    """Return the calibration error with its interval over documents, and what chance alone would give.

    The error is biased upward, and resampling adds such a bias again. So the interval's lower end is that of
    the basic (pivotal) bootstrap, which takes the bias out, or 0 where calibrated predictions would show as
    much in one of 20 draws; the upper end is the larger of the basic and the percentile bootstrap's. Measured
    coverage of 95% intervals with 500 to 1,000 documents: 88% to 99%. `floor` draws hits with the stated
    confidences. Arguments as in `reliability`.
    """
    sure, right = _checked(confidence, hits)
    if not 0 < level < 1 or n_boot < 100:
        raise ValueError(f"level={level}, n_boot={n_boot}; use 0 < level < 1 and at least 100 resamples")
    n, place = len(sure), _bins(sure, bins)
    estimate = expected_calibration_error(sure, right, bins=bins)
    draws, calm = [], []
    step = max(1, 2_000_000 // n)
    for start in range(0, n_boot, step):
        size = (min(step, n_boot - start), n)
        rows = rng.integers(n, size=size)
        draws.append(_ece(sure[rows], right[rows].astype(np.float64), place[rows]))
        simulated = (rng.random(size) < sure).astype(np.float64)
        calm.append(_ece(np.broadcast_to(sure, size), simulated, np.broadcast_to(place, size)))
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(draws), [tail, 1 - tail])
    chance = np.concatenate(calm)
    by_chance = estimate <= np.quantile(chance, level)
    lo = 0.0 if by_chance else max(2 * estimate - high, 0.0)
    interval = Interval(estimate, float(lo), float(max(2 * estimate - low, high)), 1, n)
    return Calibration(interval, float(chance.mean()), float(sure.mean()), float(right.mean()))


def brier(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> np.ndarray:
    """Return each document's Brier score, float64 [n]: the squared distance to its label's unit vector (0..2)."""
    p, true = _distributions(probabilities, labels)
    return (p**2).sum(axis=1) - 2 * p[np.arange(len(true)), true] + 1


def log_loss(scores: npt.ArrayLike, labels: npt.ArrayLike, temperature: float = 1.0) -> float:
    """Return the mean of -log softmax(scores / temperature)[label] in nats; `scores` [n, L], labels int [n]."""
    logits, true = _logits(scores, labels)
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, expected a number above 0")
    scaled = logits / temperature
    return float((special.logsumexp(scaled, axis=1) - scaled[np.arange(len(true)), true]).mean())


def best_temperature(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the temperature in .01..100 that minimises `log_loss` on these documents (Guo et al., 2017).

    A diagnostic, for documents of dev: it needs labels, so no zero-shot method may use it. Above 1, the
    scores are overconfident.
    """
    logits, true = _logits(scores, labels)
    low, high = np.log(TEMPERATURES)
    found = optimize.minimize_scalar(
        lambda t: log_loss(logits, true, float(np.exp(t))), bounds=(low, high), method="bounded"
    )
    return float(np.exp(found.x))


def _bins(sure: np.ndarray, bins: int) -> np.ndarray:
    """Bin number of each document: its rank in `bins` equal parts; the middle rank for equal confidences."""
    if bins < 1:
        raise ValueError(f"bins is {bins}, expected 1 or more")
    rank = stats.rankdata(sure) - 0.5
    return np.minimum((rank * bins / len(sure)).astype(np.int64), bins - 1)


def _ece(sure: np.ndarray, right: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Calibration error of each row of [r, n]: the sum over bins of |sum of (hit - confidence)| / n."""
    r, n = sure.shape
    width = int(place.max()) + 1
    where = (place + width * np.arange(r)[:, None]).ravel()
    gaps = np.bincount(where, weights=(right - sure).ravel(), minlength=r * width)
    return np.abs(gaps.reshape(r, width)).sum(axis=1) / n


def _checked(confidence: npt.ArrayLike, hits: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(hits)
    if sure.ndim != 1 or sure.shape != right.shape or not len(sure):
        raise ValueError(f"confidence has shape {sure.shape} and hits {right.shape}; give one a document")
    if right.dtype != bool:
        raise ValueError(f"hits are {right.dtype}, expected bool (evaluate.correct gives them)")
    # float32 probabilities of a softmax can pass 1 by rounding
    if not ((sure >= 0) & (sure <= 1 + 1e-5)).all():
        raise ValueError("confidence leaves 0..1; give probabilities (a softmax over classes), not scores")
    return np.minimum(sure, 1.0), right


def _logits(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    logits, true = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2 or true.shape != logits.shape[:1] or not len(true):
        raise ValueError(
            f"scores have shape {logits.shape} and labels {true.shape}; give [n, L] and [n], not empty"
        )
    if not np.issubdtype(true.dtype, np.integer) or true.min() < 0 or true.max() >= logits.shape[1]:
        raise ValueError(f"labels must be class numbers 0..{logits.shape[1] - 1} (int)")
    if not np.isfinite(logits).all():
        raise ValueError("scores hold NaN or infinite values; give finite logits")
    return logits, true


def _distributions(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p, true = _logits(probabilities, labels)
    if (p < 0).any() or not np.allclose(p.sum(axis=1), 1, atol=1e-4):
        raise ValueError("probabilities must be 0 or more and sum to 1 in each row")
    return p, true
