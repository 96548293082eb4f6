"""CORD_CPD as a scikit-learn estimator: unlabelled series in, change times and their kind out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from msig_lib.changepoint import saving, train
from msig_lib.changepoint.data import edges
from msig_lib.changepoint.memory import kept_memory
from msig_lib.changepoint.model import CorrelationDynamics
from msig_lib.changepoint.settings import ModelSettings, TrainSettings
from msig_lib.changepoint.signal import (
    ALPHA,
    MARGIN,
    Scores,
    ScoreSettings,
    beside_itself,
    change_type,
    peak_times,
    score,
)  # fmt: skip
from msig_lib.lm.threads import one_blas_thread, torch_threads

SCALES = ("feature", "variable")
STEPS = 1100  # ours: training steps of the chapter's recipe (6 epochs of 1,500 series in batches of 8)


class CorrelationCPD(BaseEstimator):
    """Finds where the dynamics or the correlations of multivariate series change, learning from unlabelled series.

    Parameters
    ----------
    spatial : "gnn" or "transformer", temporal : "gru" or "transformer"; None: as in `model_settings`.
    window : frames forecast for the independent score (k of Eq. 4.2).
    alpha, tau : a change is one of the correlation where Norm(s_r) - alpha Norm(s_d) >= tau (4.4.4).
    margin : frames at both ends in which no change is looked for; None: 25, or T // 4 of shorter series.
    scale : what mean and deviation of the training series are taken over: every "feature" over all variables,
        as for particles, or every "variable" by itself, as for sensors in different units.
    hard : forecasts with sampled graphs of 0 and 1 instead of probabilities (the official evaluation).
    model_settings : ModelSettings or None for the defaults.
    train_settings : TrainSettings; None: the defaults with as many epochs as make about 1,100 steps.
    batch, seed, threads : series read at a time when scoring, seed, torch threads (None: as it is).

    Attributes: `model_` (the CorrelationDynamics), `mean_` and `scale_` float64 [1 or N, M], `n_features_in_` = M,
    `n_variables_in_` = N, `history_` (a dict an epoch), and after scoring `graph_` float32 [S, T, N, N]: the
    generated graphs of the series scored last, probability that receiver i hears sender j.

    Series are [S, T, N, M] (series, frames, variables, features), [S, T, N] with one feature, or [T, N], one series.
    Defined corners: NaN is interpolated along time within its series, with a warning, and is an error where a
    variable has nothing else; infinite values are an error. A constant channel becomes 0. Prediction takes series
    of any length above `window`, of the same variables and features. One variable has no pairs: its correlation
    score is 0, its graph empty, and the independent score alone decides. Where no score stands out (constant
    series), the first frame looked at is predicted.

    >>> X = np.random.default_rng(0).normal(size=(8, 40, 3, 2)).cumsum(axis=1)
    >>> model = CorrelationCPD(train_settings=TrainSettings(epochs=1)).fit(X)
    >>> model.predict(X).shape, model.graph_.shape
    ((8,), (8, 40, 3, 3))
    >>> set(model.predict_type(X)) <= {"correlation", "independent"}
    True
    """

    def __init__(
        self,
        spatial: str | None = None,
        temporal: str | None = None,
        *,
        window: int = 5,  # official code
        alpha: float = ALPHA,
        tau: float = 0.0,  # thesis 9.2.4
        margin: int | None = None,
        scale: str = "feature",
        hard: bool = False,  # ours: less noise
        model_settings: ModelSettings | None = None,
        train_settings: TrainSettings | None = None,
        batch: int = 64,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        self.spatial = spatial
        self.temporal = temporal
        self.window = window
        self.alpha = alpha
        self.tau = tau
        self.margin = margin
        self.scale = scale
        self.hard = hard
        self.model_settings = model_settings
        self.train_settings = train_settings
        self.batch = batch
        self.seed = seed
        self.threads = threads

    def fit(self, X: npt.ArrayLike, y: object = None) -> CorrelationCPD:
        """Learn from unlabelled series X; `y` is ignored, it is there for pipelines.

        Raises TypeError or ValueError for what is not a finite array of a documented shape, for series of no more
        than `window` frames and for settings out of range; train.TrainingDiverged when the loss is no number.
        """
        values = as_series(X)
        self._check_length(values.shape[1])
        if self.scale not in SCALES:
            raise ValueError(f"scale is {self.scale!r}, expected {' or '.join(map(repr, SCALES))}")
        chosen = {"spatial": self.spatial, "temporal": self.temporal}
        given = _of_class(self.model_settings, ModelSettings, "model_settings") or ModelSettings()
        settings = replace(given, **{name: value for name, value in chosen.items() if value is not None})
        training = _of_class(self.train_settings, TrainSettings, "train_settings")
        if training is None:
            steps = math.ceil(len(values) / TrainSettings().batch_size)
            training = TrainSettings(epochs=math.ceil(STEPS / steps))
        axes = (0, 1, 2) if self.scale == "feature" else (0, 1)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, spread = values.mean(axes).reshape(-1, values.shape[3]), values.std(axes)
        spread = spread.reshape(mean.shape)
        if not (np.isfinite(mean).all() and np.isfinite(spread).all()):
            raise ValueError("X holds values too large for a mean and a deviation: rescale the series")
        # A deviation below rounding errors is that of a constant: its unit is such that it becomes 0.
        flat = spread <= 1e-12 * np.abs(mean)
        self.n_variables_in_, self.n_features_in_ = values.shape[2:]
        self.mean_, self.scale_ = mean, np.where(flat, np.maximum(1.0, np.abs(mean)), spread)
        self._scored = None
        with torch_threads(self.threads), one_blas_thread(), kept_memory():
            self.model_ = CorrelationDynamics(self.n_features_in_, settings, seed=self.seed)
            history = train.fit(self.model_, beside_itself(self._normed(values)), training, seed=self.seed)
        self.history_ = [{k: saving.plain(v) for k, v in asdict(epoch).items()} for epoch in history]
        return self

    def score_samples(self, X: npt.ArrayLike) -> Scores:
        """Return the change scores of X and its graphs: float64 [S, T] each, graph float32 [S, T, E] (4.1-4.4)."""
        check_is_fitted(self, "model_")
        values = as_series(X)
        if values.shape[2:] != (self.n_variables_in_, self.n_features_in_):
            raise ValueError(
                f"X has {values.shape[2]} variables with {values.shape[3]} features, but the model was fitted on "
                f"{self.n_variables_in_} with {self.n_features_in_}: give the same ones in the same order"
            )
        n_frames = values.shape[1]
        self._check_length(n_frames)
        settings = ScoreSettings(
            window=self.window, hard=self.hard, seed=self.seed, batch=self.batch, start=self._start(n_frames)
        )
        with torch_threads(self.threads), one_blas_thread(), kept_memory():
            found = score(self.model_, self._normed(values), settings)
        self._scored = found.graph
        return found

    def predict(
        self,
        X: npt.ArrayLike,
        *,
        n_changes: int | None = None,
        threshold: float | None = None,
        min_distance: int = 10,
    ) -> npt.NDArray[np.int64] | list[npt.NDArray[np.int64]]:
        """Return the change time of every series, int64 [S]: the first frame after it, where s_en is highest.

        With `n_changes` or `threshold` (s_en is a sum of two z-scores) a list of ascending times, none to several:
        the highest peaks of s_en, at most `n_changes`, above `threshold`, `min_distance` frames apart.
        """
        scores = self.score_samples(X)
        if n_changes is None and threshold is None:
            return scores.predicted()
        return peak_times(
            scores.ensemble, n=n_changes, threshold=threshold, min_distance=min_distance, start=scores.start
        )

    def predict_type(self, X: npt.ArrayLike, times: npt.ArrayLike | None = None) -> npt.NDArray[np.str_]:
        """Return "correlation" or "independent" for every series, str [S], at the labelled or predicted times."""
        return change_type(self.score_samples(X), times, self.alpha, self.tau)

    def graph(self, X: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the generated graphs of X, float32 [S, T, N, N], zeros on the diagonal; they become `graph_`."""
        self.score_samples(X)
        return self.graph_

    @property
    def graph_(self) -> npt.NDArray[np.float32]:
        """Graphs of the series scored last, float32 [S, T, N, N]; AttributeError before any were scored."""
        scored = getattr(self, "_scored", None)
        if scored is None:
            raise AttributeError(
                "graph_ is there once series were scored: call score_samples, predict or graph"
            )
        n = self.n_variables_in_
        full = np.zeros((*scored.shape[:2], n, n), dtype=np.float32)
        full[(..., *edges(n))] = scored
        return full

    def save(self, folder: Path | str) -> None:
        """Write the fitted model to a new folder: safetensors and JSON, no pickle, with hashes."""
        check_is_fitted(self, "model_")
        saving.save(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str) -> CorrelationCPD:
        """Read a model written by `save`; raises lm.saved.SavedModelError for what is not as it was written."""
        return saving.load(cls, Path(folder))

    def _start(self, n_frames: int) -> int:
        start = max(1, min(MARGIN, n_frames // 4)) if self.margin is None else self.margin
        if not 1 <= start <= n_frames - start:
            raise ValueError(
                f"margin is {start} and the series have {n_frames} frames, expected 1..{n_frames // 2}: no frame "
                "is left between the margins"
            )
        return start

    def _check_length(self, n_frames: int) -> None:
        if self.window < 1 or n_frames <= self.window:
            raise ValueError(
                f"the series have {n_frames} frames and window is {self.window}: expected a window of at least 1 "
                "and series longer than it, give longer series or a smaller window"
            )
        self._start(n_frames)

    def _normed(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        with np.errstate(over="ignore"):
            found = ((values - self.mean_) / self.scale_).astype(np.float32)
        if not np.isfinite(found).all():
            raise ValueError("X holds values too far from those of the training series: check their units")
        return found


def as_series(X: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return X as float64 [S, T, N, M] without NaN, interpolated along time (a warning says how many).

    TypeError for what is no numbers, ValueError for another number of dimensions, an empty array, infinite values
    or a variable that is NaN all along a series.
    """
    given = np.asarray(X)
    if given.dtype.kind not in "fiub":
        raise TypeError(f"X is of type {given.dtype}, expected an array of numbers")
    shapes = {2: (None, ..., None), 3: (..., None), 4: (...,)}
    if given.ndim not in shapes or 0 in given.shape:
        raise ValueError(
            f"X has shape {given.shape}, expected (series, frames, variables, features), (series, frames, "
            "variables) or (frames, variables), none of them empty"
        )
    values = given[shapes[given.ndim]].astype(np.float64)
    if np.isinf(values).any():
        where = tuple(int(i) for i in np.argwhere(np.isinf(values))[0])
        raise ValueError(
            f"X is infinite at (series, frame, variable, feature) {where}, expected finite numbers"
        )
    missing = np.isnan(values)
    if missing.any():
        _interpolate(values, missing)
    return values


def _interpolate(values: npt.NDArray[np.float64], missing: npt.NDArray[np.bool_]) -> None:
    """Fill NaN in place, linearly between the known frames and with the nearest one at the ends."""
    empty = np.argwhere(missing.all(axis=1))
    if len(empty):
        series, variable, feature = empty[0].tolist()
        raise ValueError(
            f"series {series} has no number at all in variable {variable}, feature {feature}: leave the variable "
            "or the series out, or fill it"
        )
    frames, columns = np.arange(values.shape[1]), np.argwhere(missing.any(axis=1)).tolist()
    for s, n, m in columns:
        gone = missing[s, :, n, m]
        values[s, gone, n, m] = np.interp(frames[gone], frames[~gone], values[s, ~gone, n, m])
    warnings.warn(
        f"{int(missing.sum())} values are NaN, in {len(columns)} of the channels of {len({s for s, _, _ in columns})} "
        "series: interpolated along time",
        UserWarning,
        stacklevel=3,
    )


def _of_class(value: object, kind: type, name: str) -> object:
    if value is not None and not isinstance(value, kind):
        hint = f": {kind.__name__}(**settings)" if isinstance(value, Mapping) else ""
        raise TypeError(f"{name} is a {type(value).__name__}, expected {kind.__name__} or None{hint}")
    return value
