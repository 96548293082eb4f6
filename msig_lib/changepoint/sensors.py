"""Real sensor series with a change each: BasicMotions, ActRecTut, KL-CPD's series and PAMAP2 (thesis 4.5).

Every set comes as `{"train": Series, "valid": Series, "test": Series}` of recordings, persons or stretches of
time that no two parts share. X is in the file's units; `standardise` is for learners and detectors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from msig_lib import datasets
from msig_lib.changepoint import sensor_files
from msig_lib.changepoint.data import Series
from msig_lib.changepoint.sensor_windows import (
    Dating,
    Recording,
    WindowSettings,
    every_window,
    one_change,
    random_parts,
)

PARTS = ("train", "valid", "test")
SHARES = (
    0.6,
    0.2,
    0.2,
)  # of the changes, where one recording is cut by time; ours: as KL-CPD cuts its series
VALID = 0.3  # of the changes of the training person; ours: a fifth left 5 windows of the walk to choose by
THESIS_SIZES = {"valid": 14, "test": 20}  # thesis 4.5; 150 of 184 are for training
PAMAP2_WINDOWS = WindowSettings(every=20)  # thesis 4.5: 5 Hz, so that a window lasts 20 s
Layout = Literal["channels", "sensors"]
SAME = "same activity"
_SHAPES = {"channels": (6, 1), "sensors": (2, 3)}


def basic_motions(
    *,
    seed: int,
    layout: Layout = "channels",
    n_train: int = 480,
    n_valid: int = 96,
    n_test: int = 240,
    n_control: int = 240,
    blend: int = 0,
    low: int = 25,
    high: int = 75,
) -> dict[str, Series]:
    """Return joins of two recordings of different activities, from the aeon package; (100, 6, 1) or (100, 2, 3).

    BasicMotions: 4 activities x 20 recordings of 100 frames at 10 Hz, a watch's accelerometer and gyroscope in
    3 axes. A join shows the first recording before the change and the second from it on, each at its own
    frames; the change is uniform over [low, high]. `layout` makes the six channels variables of one feature,
    or the two sensors variables of three features. Train and valid come from the package's training split (7
    and 3 recordings of each activity), test from its test split. No pair is used twice.

    Joining two recordings is a discontinuity itself. The extra part "control", from the test split, joins two
    recordings of the same activity (kind "same activity"): what is detected there is the seam. `blend` fades
    linearly over that many frames, centred on the change; 0 and 1 are a plain cut.

    Four persons recorded each activity five times, but the file does not say who, and its order does not
    tell: blocks of five and other regular groups are no more alike than random ones (permutation tests on
    means, spreads, correlations and spectra, p > .15). So pairs are drawn from all persons alike.
    ValueError for an unknown layout or more joins than there are pairs.
    """
    if layout not in _SHAPES:
        raise ValueError(f"layout={layout!r} was given, expected one of {', '.join(_SHAPES)}")
    if blend < 0:
        raise ValueError(f"blend={blend} was given, expected 0 frames or more")
    window = WindowSettings(low=low, high=high)
    signal, activity = _basic_motions_files()
    rng = np.random.default_rng([seed, 0])
    train, valid = [], []
    for label in np.unique(activity["train"]):
        rows = rng.permutation(np.flatnonzero(activity["train"] == label))
        train.extend(rows[:7])
        valid.extend(rows[7:])
    test = np.arange(len(activity["test"]))
    wanted = {
        "train": ("train", np.array(train), n_train, False),
        "valid": ("train", np.array(valid), n_valid, False),
        "test": ("test", test, n_test, False),
        "control": ("test", test, n_control, True),
    }
    parts = {}
    for number, (part, (split, rows, size, same)) in enumerate(wanted.items(), start=1):
        draw = np.random.default_rng([seed, number])
        chosen = activity[split][rows]
        pairs = _pairs(chosen, size, same, part, draw)
        time = draw.integers(window.low, window.high + 1, size=size)
        before, after = signal[split][rows[pairs[:, 0]]], signal[split][rows[pairs[:, 1]]]
        weight = _fade(time, window.frames, blend)[:, :, None]
        X = ((1 - weight) * before + weight * after).reshape(size, window.frames, *_SHAPES[layout])
        kinds = [SAME if same else f"{chosen[i]} to {chosen[j]}" for i, j in pairs]
        parts[part] = Series(X, time, np.array(kinds), "basic_motions")
    return parts


def _basic_motions_files() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the signal (40, 100, 6) and the activities (40,) of each split; aeon holds the files itself."""
    from aeon.datasets import load_basic_motions  # here: the import takes two seconds

    signal, activity = {}, {}
    for split in ("train", "test"):
        X, labels = load_basic_motions(split=split)
        if X.shape != (40, 6, 100):
            raise ValueError(
                f"aeon's BasicMotions has shape {X.shape}, expected (40, 6, 100): install the locked version"
            )
        signal[split], activity[split] = X.transpose(0, 2, 1), np.asarray(labels)
    return signal, activity


def _pairs(activity: np.ndarray, size: int, same: bool, part: str, rng: np.random.Generator) -> np.ndarray:
    """Return `size` different ordered pairs of rows, int64 (size, 2), evenly over the pairs of activities."""
    alike = activity[:, None] == activity[None, :]
    first, second = np.nonzero(alike & ~np.eye(len(activity), dtype=bool) if same else ~alike)
    if not 1 <= size <= len(first):
        raise ValueError(f"{size} joins for part {part!r} were asked for, expected 1..{len(first)}")
    kinds = np.char.add(np.char.add(activity[first], " to "), activity[second])
    turn = np.empty(len(first), dtype=np.int64)  # how many of its kind come before each pair
    order = rng.permutation(len(first))
    for kind in np.unique(kinds):
        mine = order[kinds[order] == kind]
        turn[mine] = np.arange(len(mine))
    chosen = order[np.argsort(turn[order], kind="stable")][:size]
    return np.stack([first[chosen], second[chosen]], axis=1)


def _fade(time: np.ndarray, frames: int, blend: int) -> np.ndarray:
    """Return the weight of the second recording, (S, frames): a line over `blend` frames around the change."""
    distance = np.arange(frames)[None, :] - (time[:, None] - 0.5)
    return np.clip(distance / max(blend, 1) + 0.5, 0.0, 1.0)


def actrectut(
    part: Literal["walk", "gesture"] = "walk",
    *,
    seed: int,
    split: Literal["person", "time"] = "person",
    window: WindowSettings | None = None,
    stride: int | None = None,
    bridge: int = 0,
    dated: Dating = "middle",
) -> dict[str, Series]:
    """Return true transitions of ActRecTut, X (S, 100, N, 5): N = 4 sensors for "walk", 3 for "gesture".

    Two persons at 32 Hz; places, features and activities are those of `sensor_files`. With split "person" the
    first's recording is train and, at its end, valid (30 per cent of its changes), and the second's is test; with
    "time", each recording is cut into 60, 20 and 20 per cent of its changes. Windows hold one change each, as in the
    thesis; with `stride`, training takes all windows at that distance instead. Label 1, no activity, counts
    as an activity, unless `bridge` (frames at 32 Hz; `sensor_windows.bridged`) joins short stretches.
    Stretches of "gesture" are short, which crowds its changes at both ends of [25, 75]: where changes lie in
    train tells where they lie in test (AUC .65 without looking at X); not so with bridge=64 (.50).
    """
    if part not in sensor_files.PLACES:
        raise ValueError(f"part={part!r} was given, expected 'walk' or 'gesture'")
    if split not in ("person", "time"):
        raise ValueError(f"split={split!r} was given, expected 'person' or 'time'")
    paths = datasets.load("actrectut").paths
    first, second = (
        sensor_files.actrectut_recording(
            paths[f"actrectut/subject{number}_{part}.data.mat"], part, str(number), bridge=bridge, dated=dated
        )
        for number in (1, 2)
    )
    if split == "person":
        train, valid = first.cut((1 - VALID, VALID))
        divided = {"train": [train], "valid": [valid], "test": [second]}
    else:
        divided = dict(zip(PARTS, map(list, zip(first.cut(SHARES), second.cut(SHARES)))))
    return _windows(divided, f"actrectut {part}", window or WindowSettings(), stride, seed)


def klcpd(
    name: Literal["beedance", "hasc"] = "beedance",
    *,
    seed: int,
    window: WindowSettings | None = None,
    stride: int | None = None,
    valid: Collection[int] = (3,),
    test: Collection[int] = (1,),
) -> dict[str, Series]:
    """Return the labelled changes of KL-CPD's series, X (S, 100, 3, 1), kind "change".

    "beedance": place and heading of six bees' dances (variables x, y, angle), divided by dance: `valid` and
    `test` name those of 1..6 that are not for training. Changes are 14 to 96 frames apart, so that windows of
    100 frames exist for 1, 2, 3 and 4 only; shorter ones (60 frames, changes in [15, 45]) for all. "hasc":
    one person's accelerometer, cut by time into 60, 20 and 20 per cent of its changes. The files are scaled
    to [0, 1] as a whole by their authors.
    """
    if name not in ("beedance", "hasc"):
        why = " (fishkiller has a single variable: no pairs)" if name == "fishkiller" else ""
        raise ValueError(f"name={name!r} was given, expected 'beedance' or 'hasc'{why}")
    chosen = {"valid": {int(k) for k in valid}, "test": {int(k) for k in test}}
    if name == "beedance":
        both = chosen["valid"] | chosen["test"]
        if chosen["valid"] & chosen["test"] or not both < set(range(1, 7)) or not all(chosen.values()):
            raise ValueError(
                f"valid={sorted(chosen['valid'])} and test={sorted(chosen['test'])} were given, expected "
                "different dances of 1..6, with at least one left for training"
            )
    paths = datasets.load("klcpd").paths
    if name == "hasc":
        whole = sensor_files.klcpd_recording(paths["klcpd/hasc-1.mat"])
        divided = {part: [piece] for part, piece in zip(PARTS, whole.cut(SHARES))}
    else:
        divided = {part: [] for part in PARTS}
        for number in range(1, 7):
            part = next((p for p, numbers in chosen.items() if number in numbers), "train")
            divided[part].append(sensor_files.klcpd_recording(paths[f"klcpd/beedance-{number}.mat"]))
    return _windows(divided, f"klcpd {name}", window or WindowSettings(), stride, seed)


def pamap2(
    *,
    seed: int,
    split: Literal["thesis", "person"] = "thesis",
    window: WindowSettings | None = None,
    stride: int | None = None,
    valid: Collection[str] = ("107",),
    test: Collection[str] = ("108", "109"),
    bridge: int = 0,
    dated: Dating = "middle",
    longest_gap: int = 100,
) -> dict[str, Series]:
    """Return PAMAP2's transitions, X (S, 100, 3, 10): hand, chest, ankle; every 20th sample (thesis 4.5).

    Features: temperature, acceleration (the 16 g range), gyroscope, magnetometer. With split "thesis", 14
    windows drawn at random are valid, 20 test, the rest train (150 in the thesis); windows that share frames
    stay together. With "person", all windows of the persons named are valid or test (ours).

    Activity 0, transient, counts as an activity: leaving one activity and beginning the next are two changes
    (our reading: about a dozen activities of eight persons give the thesis's 184 transitions no other way).
    `bridge`, in frames at 100 Hz, makes one change of two when the transient stretch is not longer, dated as
    `dated` says. Values missing for at most `longest_gap` frames are interpolated; windows never reach over a
    longer gap. ValueError for a zip of another format, DataNotAvailable without one.
    """
    if split not in ("thesis", "person"):
        raise ValueError(f"split={split!r} was given, expected 'thesis' or 'person'")
    if split == "thesis" and stride is not None:
        raise ValueError("stride is for split='person': the thesis divides the windows, not the recordings")
    (path,) = datasets.load("pamap2").paths.values()
    people = sensor_files.pamap2_recordings(path, bridge=bridge, dated=dated, longest_gap=longest_gap)
    window = window or PAMAP2_WINDOWS
    if split == "thesis":
        every = [recording for recordings in people.values() for recording in recordings]
        return random_parts(every, "pamap2", window, THESIS_SIZES, np.random.default_rng(seed))
    chosen = {"valid": {str(p) for p in valid}, "test": {str(p) for p in test}}
    both = chosen["valid"] | chosen["test"]
    if chosen["valid"] & chosen["test"] or not both < set(people) or not all(chosen.values()):
        raise ValueError(
            f"valid={sorted(chosen['valid'])} and test={sorted(chosen['test'])} were given, expected different "
            f"persons of {', '.join(people)}, with at least one left for training"
        )
    divided: dict[str, list[Recording]] = {part: [] for part in PARTS}
    for person, recordings in people.items():
        divided[next((p for p, names in chosen.items() if person in names), "train")].extend(recordings)
    return _windows(divided, "pamap2", window, stride, seed)


def _windows(
    divided: Mapping[str, list[Recording]], name: str, window: WindowSettings, stride: int | None, seed: int
) -> dict[str, Series]:
    parts = {}
    for number, (part, recordings) in enumerate(divided.items()):
        if part == "train" and stride is not None:
            parts[part] = every_window(recordings, name, part, window, stride)
        else:
            rng = np.random.default_rng([seed, number])
            parts[part] = one_change(recordings, name, part, window, rng)
    return parts


def standardise(
    parts: Mapping[str, Series], *, over: Literal["channel", "feature"] = "channel"
) -> dict[str, Series]:
    """Return new parts with mean 0 and standard deviation 1 in "train", by the figures of "train" alone.

    `over="channel"`: one mean and deviation for each feature of each variable (sensors differ in scale and
    direction). `over="feature"`: one for each feature over all variables, as the official code does. What is
    constant in "train" becomes 0 in every part. ValueError without "train", or where X is not finite.
    """
    if "train" not in parts:
        raise ValueError(f"parts {', '.join(parts) or 'none'} were given, expected one called 'train'")
    if over not in ("channel", "feature"):
        raise ValueError(f"over={over!r} was given, expected 'channel' or 'feature'")
    for part, series in parts.items():
        if not np.isfinite(series.X).all():
            raise ValueError(f"part {part!r} of {series.name} holds NaN or infinity: interpolate it first")
    X = parts["train"].X.astype(np.float64)
    axes = (0, 1) if over == "channel" else (0, 1, 2)
    constant = X.max(axis=axes, keepdims=True) == X.min(axis=axes, keepdims=True)
    mean, deviation = X.mean(axis=axes, keepdims=True), X.std(axis=axes, keepdims=True)
    scale = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, deviation))

    def scaled(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else ((values - mean) * scale).astype(np.float32)

    return {
        part: replace(series, X=scaled(series.X), counterfactual=scaled(series.counterfactual))
        for part, series in parts.items()
    }


def summary(parts: Mapping[str, Series]) -> pd.DataFrame:
    """Return one row for each part: series, frames, N, M, different kinds, middle and range of the changes."""
    rows = []
    for part, series in parts.items():
        times = series.change_time[series.change_time >= 0]
        rows.append(
            {
                "part": part,
                "series": len(series),
                "frames": series.X.shape[1],
                "N": series.X.shape[2],
                "M": series.X.shape[3],
                "kinds": len(np.unique(series.kind)),
                "one change": len(times),
                "first": int(times.min()) if len(times) else None,
                "median": float(np.median(times)) if len(times) else None,
                "last": int(times.max()) if len(times) else None,
            }
        )
    return pd.DataFrame(rows)
