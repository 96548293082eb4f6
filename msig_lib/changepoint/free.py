"""Detectors that learn nothing, with what they may choose on validation series (windows, degrees, kernels)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from msig_lib.changepoint import bocpd, correlation_detectors, detectors, evaluate, kernels
from msig_lib.changepoint.data import Series

Detector = Callable[[np.ndarray], np.ndarray]
WINDOWS = (5, 10, 20)  # ours: what fits on both sides of every frame in the middle half of 100
ON_CONDITION = {
    "bocpd": "train series",
    "kinematic": "velocity=True",
    "spring_regression": "springs=True",
    "spring_evidence": "springs=True",
}
VALID = 90  # ours: validation series on which options are compared, evenly over kinds


def families(
    velocity: bool, springs: bool, train: Series | None = None, *, seed: int = 0
) -> dict[str, dict[str, Detector]]:
    """Return {detector: {option: f(X) -> scores [S, T]}}; `velocity`: the second half of the features is speeds.

    `springs` adds the two detectors that are told the physical law of the springs. "bocpd" takes the parameters of its
    autoregression from unlabelled `train` series.
    """
    d, c, k = detectors, correlation_detectors, kernels
    moves = "velocity" if velocity else "all"
    found: dict[str, dict[str, Detector]] = {
        "second_difference": {"": d.second_difference},
        "third_difference": {"": partial(d.third_difference, features=moves)},
        "local_fit": {
            f"{w} frames, degree {degree}, {jumps} jumps": partial(
                d.local_fit, window=w, degree=degree, jumps=range(jumps)
            )
            for w in WINDOWS
            for degree, jumps in ((2, 1), (2, 3), (3, 3), (4, 3))
        },
        "mean_shift": {"": d.cusum},
        "correlation_distance": {
            f"{w} frames, {on.replace('_', ' ')}": partial(c.correlation_distance, window=w, on=on)
            for w in (10, 20)
            for on in ("features", "second_differences")
        },
        "graphical_lasso": {
            f"{w} frames": partial(c.graphical_lasso_distance, window=w, on="features") for w in (10, 20)
        },
        "mmd": {f"{w} frames": partial(k.mmd, settings=k.MMDSettings(window=w)) for w in WINDOWS},
        "rdr": {
            f"{w} frames": partial(k.relative_density_ratio, settings=k.DensityRatioSettings(window=w))
            for w in WINDOWS
        },
        "best_split": {cost: partial(k.ruptures_gain, cost=cost) for cost in k.COSTS},
        "centre_bump": {"": d.centre_bump},
        "always_middle": {"": _middle},
        "random": {"": partial(d.random, seed=seed)},
    }
    if train is not None:
        found["bocpd"] = {"": partial(bocpd.fit_scores, train.X, seed=seed)}
    if velocity:
        found["kinematic"] = {"": d.kinematic_residual}
        found["local_fit"] |= {
            f"{w} frames, degree {degree}, with speeds": partial(d.motion_fit, window=w, degree=degree)
            for w in WINDOWS
            for degree in (3, 4)
        }
    if springs:
        found["spring_regression"] = {
            f"{w} frames": partial(c.spring_regression, window=w, velocity=velocity) for w in WINDOWS
        }
        found["spring_evidence"] = {
            f"{w} frames": partial(c.spring_evidence, window=w, velocity=velocity) for w in WINDOWS
        }
    return found


def choose(
    valid: Series,
    *,
    train: Series | None = None,
    velocity: bool = False,
    springs: bool = False,
    without: Sequence[str] = (),
    only: Sequence[str] | None = None,
) -> dict[str, tuple[Detector, str]]:
    """Return {detector: (f, option)} with each one's option of highest mean AUC over the kinds of `valid`.

    One of a single option is not tried. The AUC forgives a frame (`evaluate.auc`, "near"), so that no detector is
    chosen or dropped for where it puts its peak. Without `train`, unlabelled, there is no "bocpd". ValueError for
    names in `without` or `only` that are no detector, and for one in `only` that these arguments leave out.
    """
    found = families(velocity, springs, train)
    unknown = [name for name in (*without, *(only or ())) if name not in {*found, *ON_CONDITION}]
    if unknown:
        there = ", ".join(dict.fromkeys((*found, *ON_CONDITION)))
        raise ValueError(f"{', '.join(unknown)}: unknown detectors, expected a list of some of {there}")
    for name in only or ():
        if name not in found:
            raise ValueError(f"{name} was asked for, which needs {ON_CONDITION[name]}")
    some = _evenly(valid, VALID)
    return {
        name: best(options, some)
        for name, options in found.items()
        if name not in without and (only is None or name in only)
    }


def best(options: Mapping[str, Detector], valid: Series) -> tuple[Detector, str]:
    """Return the detector, and its option, with the highest mean AUC over the kinds of `valid`, the first of equals.

    ValueError for no options, and where a kind of `valid` has no change to be found.
    """
    if not options:
        raise ValueError("no options were given, expected {option: detector}")
    if len(options) == 1:
        return next((f, option) for option, f in options.items())
    start = valid.X.shape[1] // 4
    means = {}
    for option, detector in options.items():
        scores = detector(valid.X)
        kinds = [valid.kind == kind for kind in dict.fromkeys(valid.kind.tolist())]
        means[option] = np.mean(
            [evaluate.auc(scores[k], valid.change_time[k], neighbours="near", start=start) for k in kinds]
        )
    option = max(means, key=means.__getitem__)
    return options[option], option


def _evenly(valid: Series, most: int) -> Series:
    """Return at most `most` of the series in their order, the first ones of every kind, as many of each."""
    turn = np.empty(len(valid), dtype=np.int64)
    for kind in np.unique(valid.kind):
        turn[valid.kind == kind] = np.arange((valid.kind == kind).sum())
    return valid.subset(np.sort(np.argsort(turn, kind="stable")[:most]))


def _middle(X: np.ndarray) -> np.ndarray:
    return detectors.always_frame(X, X.shape[1] // 2)
