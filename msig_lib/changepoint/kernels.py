"""Two-sample detectors on sliding windows: kernel MMD (Mstats-KCPD), relative density ratio (RDR-KCPD), ruptures.

All look at what lies before and after frame t as two samples of frames and score how different they are, so they
see changes of the distribution of values, not of the law of motion. Every channel is z-normed over its series. They
need no training; `train` only fills the windows at the ends when `pad` is "train" (thesis, appendix 9.2.5).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt
import ruptures as rpt

from msig_lib.changepoint.detectors import as_series, at_frames

HELD = 64 * 100**2
"""Numbers of the [T, T] kernel matrices held at once (ours: those of 64 series of 100 frames, 5 MB each array)."""
COSTS = ("rbf", "normal", "l2")
PADS = ("none", "train")


@dataclass(frozen=True)
class MMDSettings:
    """Kernel maximum mean discrepancy between the frames before and after t."""

    window: int = 5  # ours: the best of 3 to 25 on validation series (mean AUC of kinds, springs, noise .05)
    blocks: int = 1  # ours: reference windows before t whose MMDs are averaged; the M-statistic's N
    pad: str = "none"  # "train" is the thesis's (9.2.5); "none" gives frames without full windows no score


@dataclass(frozen=True)
class DensityRatioSettings:
    """Relative Pearson divergence by relative unconstrained least-squares importance fitting (RuLSIF)."""

    window: int = 5  # ours: as MMDSettings
    stacked: int = 1  # ours: consecutive frames in a sample (k of Liu et al., 2013, who take 5 to 10)
    alpha: float = 0.1  # Liu et al., 2013; the thesis names no value
    width: float = (
        1.0  # kernel width in median distances: the median heuristic; `choose_density_ratio` selects
    )
    ridge: float = (
        1.0  # ours: best of .01, .1 and 1 with that window; `choose_density_ratio` selects without labels
    )
    pad: str = "none"  # as MMDSettings


def znormed(X: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return float64 [S, T, N*M], every channel of every series with mean 0 and deviation 1 (0 if constant)."""
    x = as_series(X, 1)
    flat = x.reshape(*x.shape[:2], -1)
    centred = flat - flat.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    constant = deviation <= 1e-7 * np.abs(flat).max(axis=1, keepdims=True)  # what float32 cannot tell from 0
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, deviation))


def median_distance(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the median distance between two different frames of each series, float64 [S]; 1 where it is 0."""
    rows, columns = np.triu_indices(z.shape[1], k=1)
    if not len(rows):
        return np.ones(len(z))
    median = np.empty(len(z))
    for part in chunks(len(z), z.shape[1]):
        median[part] = np.median(np.sqrt(_squared_distances(z[part])[:, rows, columns]), axis=1)
    return np.where(median > 0, median, 1.0)


def chunks(n: int, n_frames: int) -> list[slice]:
    """Return slices over n series of which [n_frames, n_frames] matrices of at most `HELD` numbers are held."""
    size = max(1, HELD // n_frames**2)
    return [slice(start, start + size) for start in range(0, n, size)]


def mmd(
    X: npt.ArrayLike,
    settings: MMDSettings = MMDSettings(),
    *,
    train: npt.ArrayLike | None = None,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """Return the unbiased MMD^2 between the `window` frames before t and those from t on, float64 [S, T].

    X [S, T, N, M]. With k(x, y) = exp(-|x - y|^2 / (2 h^2)), h the median distance between frames of the series,
    MMD^2 = mean over i != j of k(b_i, b_j) + k(a_i, a_j) - 2 * mean over all i, j of k(b_i, a_j). As in the
    M-statistic (Li, Xie, Dai & Song, 2015) the window after t is compared with `blocks` disjoint windows before
    it and the values are averaged. It differs from theirs: the blocks are the nearest ones before t instead of
    draws from a pool, those that do not exist are left out, and the mean is not divided by its null deviation.
    `seed` chooses the frames of `train` under pad="train". ValueError for windows that do not fit.
    """
    x, w = as_series(X, 1), settings.window
    if w < 2 or settings.blocks < 1:
        raise ValueError(f"window {w} and blocks {settings.blocks} were given, expected at least 2 and 1")
    _check_room(x, w, settings.pad)
    before = w * settings.blocks
    z, lead, width = _padded(x, before, w, settings.pad, train, seed)
    times = np.arange(max(w, lead), min(z.shape[1] - w + 1, lead + x.shape[1]))
    scores = np.empty((len(z), len(times)))
    for rows in chunks(len(z), z.shape[1]):
        gram = np.exp(-_squared_distances(z[rows]) / (2 * width[rows, None, None] ** 2))
        area = np.zeros((len(gram), gram.shape[1] + 1, gram.shape[1] + 1))
        area[:, 1:, 1:] = gram.cumsum(axis=1).cumsum(axis=2)  # sums over any block by four look-ups
        after = (_block(area, times, times, w) - w) / (w * (w - 1))  # k(x, x) = 1: the diagonal holds w
        total, number = np.zeros((len(gram), len(times))), np.zeros(len(times))
        for back in range(w, before + 1, w):
            there = times >= back
            starts, t = times[there] - back, times[there]
            inner = (_block(area, starts, starts, w) - w) / (w * (w - 1))
            total[:, there] += inner + after[:, there] - 2 * _block(area, starts, t, w) / w**2
            number[there] += 1
        scores[rows] = total / number
    return at_frames(scores, int(times[0]) - lead, x.shape[1])


def relative_density_ratio(
    X: npt.ArrayLike,
    settings: DensityRatioSettings = DensityRatioSettings(),
    *,
    train: npt.ArrayLike | None = None,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """Return the symmetric relative Pearson divergence of the frames before and from t on, float64 [S, T].

    X [S, T, N, M]. PE_alpha(P, Q) = 1/2 E_(alpha P + (1 - alpha) Q)[(r - 1)^2] with r = p / (alpha p + (1 - alpha) q)
    modelled as a sum of Gaussians at P's samples, fitted by ridge regression (RuLSIF: Yamada et al., 2011; Liu et
    al., 2013); the score is PE(before, after) + PE(after, before). A sample is `stacked` consecutive frames. The
    kernel width is settings.width median distances; `choose_density_ratio` selects it and the ridge by
    cross-validation. ValueError for windows that do not fit.
    """
    x, w = as_series(X, 1), settings.window
    _check_ratio(settings)
    _check_room(x, w, settings.pad)
    z, lead, width = _padded(x, w, w, settings.pad, train, seed)
    times = np.arange(w, min(z.shape[1] - w + 1, lead + x.shape[1]))
    scores = np.empty((len(z), len(times)))
    n = w - settings.stacked + 1  # samples a side
    for rows in chunks(len(z), z.shape[1]):
        gram = _stacked_gram(z[rows], settings, width[rows])
        for column, t in enumerate(times):
            old, new = slice(t - w, t - w + n), slice(t, t + n)
            forward = _divergence(gram[:, old, old], gram[:, new, old], settings)
            scores[rows, column] = forward + _divergence(gram[:, new, new], gram[:, old, new], settings)
    return at_frames(scores, w - lead, x.shape[1])


def choose_density_ratio(
    train: npt.ArrayLike,
    settings: DensityRatioSettings = DensityRatioSettings(),
    *,
    seed: int,
    widths: tuple[float, ...] = (0.6, 0.8, 1.0, 1.2, 1.4),  # Liu et al., 2013
    ridges: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1e0, 1e1),  # Liu et al., 2013
    windows: int = 200,  # ours: Liu et al. select again at every t; one choice for all is 100 times cheaper
    folds: int = 5,  # Liu et al., 2013
) -> DensityRatioSettings:
    """Return `settings` with the kernel width and the ridge of the least held-out error, without any labels.

    `train` [S, T, N, M]. At `windows` random (series, t) the samples on both sides are cut into `folds`; the error
    is the fitted ratio's squared loss on the samples left out, alpha/2 E_P g^2 + (1 - alpha)/2 E_Q g^2 - E_P g.
    """
    x, w, n = as_series(train, 1), settings.window, settings.window - settings.stacked + 1
    _check_ratio(settings)
    _check_room(x, w, "none")
    if not 2 <= folds <= n or windows < 1:
        raise ValueError(
            f"folds {folds}, windows {windows} were given, expected 2..{n} folds, at least 1 window"
        )
    if not widths or not ridges:
        raise ValueError(f"widths {widths}, ridges {ridges} were given, expected at least one of each")
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(x), size=windows)
    starts = rng.integers(x.shape[1] - 2 * w + 1, size=windows)
    fold = np.argsort(rng.random(n)) % folds
    z = znormed(x)
    width = median_distance(z)[rows]
    cut = z[rows[:, None], starts[:, None] + np.arange(2 * w)]  # [windows, 2w, D]
    old, new = slice(0, n), slice(w, w + n)
    best, chosen = np.inf, settings
    for factor, ridge in product(widths, ridges):
        trial = replace(settings, width=factor, ridge=ridge)
        gram = _stacked_gram(cut, trial, width)
        error = 0.0
        for own, other in ((old, new), (new, old)):
            numerator, denominator = gram[:, own, own], gram[:, other, own]
            for held in range(folds):
                keep, out = fold != held, fold == held
                theta = _ratio(numerator[:, keep], denominator[:, keep], trial)
                g_p, g_q = (k[:, out] @ theta[:, :, None] for k in (numerator, denominator))
                loss = trial.alpha / 2 * (g_p**2).mean() + (1 - trial.alpha) / 2 * (g_q**2).mean()
                error += float(loss - g_p.mean())
        if error < best:
            best, chosen = error, trial
    return chosen


def ruptures_gain(
    X: npt.ArrayLike, *, cost: str = "rbf", min_size: int | None = None
) -> npt.NDArray[np.float64]:
    """Return how much a single split at t lowers the cost of each series, float64 [S, T].

    X [S, T, N, M], z-normed. gain(t) = c(0..T) - c(0..t) - c(t..T) with the cost functions of `ruptures`: "rbf"
    (kernel, median heuristic), "normal" (log determinant of the covariance), "l2" (means). Its maximum is the
    answer of ruptures' exact searches for one change (Dynp, Binseg). Both sides have at least `min_size` frames: 5
    by default (ours), for "normal" 5 more than there are channels, fewer make the covariance singular.
    """
    z = znormed(X)
    n_frames = z.shape[1]
    if cost not in COSTS:
        raise ValueError(f"cost is {cost!r}, expected one of {', '.join(COSTS)}")
    least = min_size if min_size is not None else 5 + (z.shape[2] if cost == "normal" else 0)
    if least < 1 or 2 * least > n_frames:
        raise ValueError(
            f"min_size is {least} frames a side, the series have {n_frames}; use longer series, a smaller min_size, "
            "or another cost"
        )
    scores = np.empty((len(z), n_frames - 2 * least + 1))
    for row, signal in enumerate(z):
        with warnings.catch_warnings():  # CostNormal tells of its small ridge each time it is made
            warnings.simplefilter("ignore", UserWarning)
            measure = rpt.costs.cost_factory(cost).fit(signal)
        whole = measure.error(0, n_frames)
        for column, t in enumerate(range(least, n_frames - least + 1)):
            scores[row, column] = whole - measure.error(0, t) - measure.error(t, n_frames)
    return at_frames(scores, least, n_frames)


def _ratio(numerator: np.ndarray, denominator: np.ndarray, settings: DensityRatioSettings) -> np.ndarray:
    """Return theta [B, centres] of the relative ratio from kernel rows [B, n, centres] of P and of Q."""
    p, q = numerator.swapaxes(1, 2), denominator.swapaxes(1, 2)
    second = settings.alpha * (p @ numerator) / numerator.shape[1]
    second += (1 - settings.alpha) * (q @ denominator) / denominator.shape[1]
    second += settings.ridge * np.eye(second.shape[-1])
    return np.linalg.solve(second, numerator.mean(axis=1)[:, :, None])[:, :, 0]


def _divergence(numerator: np.ndarray, denominator: np.ndarray, settings: DensityRatioSettings) -> np.ndarray:
    theta = _ratio(numerator, denominator, settings)[:, :, None]
    g_p, g_q = (numerator @ theta)[:, :, 0], (denominator @ theta)[:, :, 0]
    spread = settings.alpha * (g_p**2).mean(axis=1) + (1 - settings.alpha) * (g_q**2).mean(axis=1)
    return g_p.mean(axis=1) - spread / 2 - 0.5


def _stacked_gram(z: np.ndarray, settings: DensityRatioSettings, width: np.ndarray) -> np.ndarray:
    """Return the kernel between samples that begin at each frame, [B, T - stacked + 1, ...]."""
    distances, n = _squared_distances(z), z.shape[1] - settings.stacked + 1
    total = sum(distances[:, shift : shift + n, shift : shift + n] for shift in range(settings.stacked))
    scale = 2 * settings.stacked * (settings.width * width[:, None, None]) ** 2  # k frames: k squared medians
    return np.exp(-total / scale)


def _squared_distances(z: np.ndarray) -> np.ndarray:
    norms = np.einsum("stc,stc->st", z, z)
    squared = norms[:, :, None] + norms[:, None, :] - 2 * z @ z.swapaxes(1, 2)
    diagonal = np.arange(z.shape[1])
    squared[:, diagonal, diagonal] = 0.0
    return np.maximum(squared, 0.0)


def _block(area: np.ndarray, rows: np.ndarray, columns: np.ndarray, w: int) -> np.ndarray:
    """Return the sums of the w x w blocks that begin at (rows, columns) from cumulated sums, [B, len(rows)]."""
    r, c = rows + w, columns + w
    return area[:, r, c] - area[:, rows, c] - area[:, r, columns] + area[:, rows, columns]


def _padded(
    x: np.ndarray, before: int, after: int, pad: str, train: npt.ArrayLike | None, seed: int
) -> tuple[np.ndarray, int, np.ndarray]:
    """Return z-normed series (with `before` and `after` frames of training series around them under pad="train"),
    the number of frames put in front, and the median distance of each series without them."""
    z = znormed(x)
    width = median_distance(z)
    if pad == "none":
        return z, 0, width
    if train is None:
        raise ValueError('pad is "train" but no training series were given, expected train [S, T, N, M]')
    source = as_series(train, 1)
    longest = max(before, after)
    if source.shape[2:] != x.shape[2:] or source.shape[1] < longest:
        raise ValueError(
            f"train has shape {source.shape}, expected at least {longest} frames of {x.shape[2:]} "
            "(variables, features), as the series to score"
        )
    rng, source = np.random.default_rng(seed), znormed(source)
    parts = []
    for length in (before, after):
        rows = rng.integers(len(source), size=len(z))
        starts = rng.integers(source.shape[1] - length + 1, size=len(z))
        parts.append(source[rows[:, None], starts[:, None] + np.arange(length)])
    return np.concatenate([parts[0], z, parts[1]], axis=1), before, width


def _check_room(x: np.ndarray, window: int, pad: str) -> None:
    if pad not in PADS:
        raise ValueError(f'pad is {pad!r}, expected "none" or "train"')
    if pad == "none" and x.shape[1] < 2 * window:
        raise ValueError(
            f"a window of {window} frames on both sides needs {2 * window} frames, the series have {x.shape[1]}; "
            'make the window smaller or use pad="train"'
        )


def _check_ratio(settings: DensityRatioSettings) -> None:
    if not 1 <= settings.stacked <= settings.window - 1:
        raise ValueError(
            f"stacked is {settings.stacked}, expected 1..{settings.window - 1}: two samples in a window"
        )
    if not (0 <= settings.alpha < 1 and settings.width > 0 and settings.ridge > 0):
        raise ValueError(
            f"alpha {settings.alpha}, width {settings.width}, ridge {settings.ridge} were given, expected "
            "0 <= alpha < 1, width > 0 and ridge > 0"
        )
