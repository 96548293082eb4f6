from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from scipy.io import savemat
from sklearn.preprocessing import StandardScaler

from msig_lib import datasets
from msig_lib.changepoint import sensor_files, sensors
from msig_lib.changepoint.data import Series
from msig_lib.changepoint.sensor_windows import (
    WindowSettings,
)
from tests.changepoint.plain_windows import frames_of


def write_mat(path, **variables):
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, variables)
    return path


def set_of(name, folder):
    """A FileSet of what lies in `folder`, as datasets.load gives."""
    paths = {f"{name}/{p.name}": p for p in (folder / name).iterdir()}
    return datasets.FileSet(name, paths, "0" * 64)


@pytest.fixture
def actrectut(tmp_path, monkeypatch):
    """Small files in the format: the number in column c of frame t is 100 t + c, second person from 50,000."""
    rng = np.random.default_rng(0)
    for number, (part, width, classes) in itertools.product((1, 2), (("walk", 24, 6), ("gesture", 15, 12))):
        activities = rng.integers(2, classes + 1, size=16)
        sizes = rng.integers(60, 200, size=32)
        labels = np.repeat(np.stack([np.ones(16, int), activities], axis=1).ravel(), sizes)
        frames = np.arange(len(labels)) + 50_000 * (number - 1)
        data = 100.0 * frames[:, None] + np.arange(width)
        path = tmp_path / "actrectut" / f"subject{number}_{part}.data.mat"
        write_mat(path, data=data, labels=labels.astype(np.uint8)[:, None])
    monkeypatch.setattr(datasets, "load", lambda name: set_of(name, tmp_path))


@pytest.mark.parametrize("part, n, width", [("walk", 4, 6), ("gesture", 3, 5)])
def test_actrectut_channels_go_to_their_sensors(actrectut, part, n, width):
    for series in sensors.actrectut(part, seed=1).values():
        assert series.X.shape[1:] == (100, n, 5) and series.name == f"actrectut {part}"
        channel = series.X.astype(int) % 100
        expected = width * np.arange(n)[:, None] + np.arange(5)  # the walk's sixth column is left out
        assert (channel == expected).all()
        assert (np.diff(series.X[:, :, 0, 0], axis=1) == 100).all()
        assert all(" to " in kind for kind in series.kind)


@pytest.mark.parametrize("split", ["person", "time"])
def test_actrectut_parts_share_no_frame(actrectut, split):
    parts = sensors.actrectut("walk", seed=1, split=split)
    frames = {part: frames_of(series) for part, series in parts.items()}
    for a, b in itertools.combinations(frames, 2):
        assert not frames[a] & frames[b]
    people = {part: {f // 5_000_000 for f in values} for part, values in frames.items()}
    if split == "person":
        assert people == {"train": {0}, "valid": {0}, "test": {1}}
        assert max(frames["train"]) < min(frames["valid"])
    else:
        assert people == {part: {0, 1} for part in sensors.PARTS}
    assert min(map(len, parts.values())) > 3


def test_actrectut_options(actrectut):
    plain = sensors.actrectut("walk", seed=1)
    again, other = sensors.actrectut("walk", seed=1), sensors.actrectut("walk", seed=2)
    for part in plain:
        assert np.array_equal(plain[part].X, again[part].X)
    assert not np.array_equal(plain["test"].X, other["test"].X)
    strided = sensors.actrectut("walk", seed=1, stride=10)
    assert len(strided["train"]) > 5 * len(plain["train"])
    assert frames_of(strided["train"]) >= frames_of(plain["train"])
    assert np.array_equal(strided["test"].X, plain["test"].X)
    assert not frames_of(strided["train"]) & frames_of(plain["valid"])
    thin = sensors.actrectut("walk", seed=1, window=WindowSettings(frames=20, low=5, high=15, every=4))
    assert (np.diff(thin["train"].X[:, :, 0, 0], axis=1) == 400).all()
    assert any("no activity" in kind for kind in plain["test"].kind)
    joined = sensors.actrectut("walk", seed=1, bridge=1000, dated="end")
    inner = np.concatenate([series.kind for series in joined.values()])
    assert sum("no activity" in kind for kind in inner) <= 2  # the start of either recording
    for wrong in ({"part": "run"}, {"split": "thesis"}, {"dated": "late", "bridge": 1}, {"bridge": -1}):
        with pytest.raises(ValueError, match="expected"):
            sensors.actrectut(**{"seed": 1, **wrong})


@pytest.mark.parametrize(
    "variables, words",
    [
        ({"data": np.zeros((9, 24))}, "'labels' is missing"),
        ({"data": np.zeros((9, 20)), "labels": np.ones((9, 1))}, r"expected \(frames, 24\)"),
        ({"data": np.zeros((9, 24)), "labels": np.ones((8, 1))}, "expected"),
        ({"data": np.zeros((9, 24)), "labels": np.full((9, 1), 7.0)}, r"\[7.0\] are none of 1..6"),
        ({"data": np.zeros((9, 24)), "labels": np.full((9, 1), 1.5)}, "none of"),
        ({"data": np.full((9, 24), np.nan), "labels": np.ones((9, 1))}, "NaN"),
        ({"data": np.full((9, 24), 1j), "labels": np.ones((9, 1))}, "complex"),
        ({"data": "text", "labels": np.ones((9, 1))}, "'data' is char"),
        ({"data": {"a": 1}, "labels": np.ones((9, 1))}, "'data' is struct"),
        ({"data": np.array([1, "a"], dtype=object), "labels": np.ones((9, 1))}, "'data' is cell"),
        ({"data": np.zeros((0, 24)), "labels": np.ones((9, 1))}, "shape"),
        ({"data": np.zeros((9, 24, 2)), "labels": np.ones((9, 1))}, "shape"),
    ],
)
def test_only_matrices_of_numbers_are_read(tmp_path, variables, words):
    path = write_mat(tmp_path / "odd.mat", **variables)
    with pytest.raises(ValueError, match=words) as told:
        sensor_files.actrectut_recording(path, "walk", "1", bridge=0, dated="middle")
    assert str(path) in str(told.value)


@pytest.mark.parametrize(
    "content", [b"", b"MATLAB 5.0 MAT-file" + b"\0" * 200, b"x" * 5000, b"PK\x03\x04" * 99]
)
def test_files_that_are_no_matlab_files_are_refused(tmp_path, content):
    path = tmp_path / "bad.mat"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.mat"):
        sensor_files.klcpd_recording(path)


def test_a_damaged_matlab_file_is_refused(tmp_path):
    path = write_mat(
        tmp_path / "x.mat", Y=np.random.default_rng(0).normal(size=(500, 3)), L=np.zeros((500, 1))
    )
    whole = path.read_bytes()
    for end in (130, 140, 1000, len(whole) - 20):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"x\.mat"):
            sensor_files.klcpd_recording(path)


@pytest.fixture
def klcpd(tmp_path, monkeypatch):
    """Dances of 900 frames with a change every 70, and one long recording; values are frame numbers."""
    for number, name in enumerate([*(f"beedance-{k}" for k in range(1, 7)), "hasc-1"]):
        size = 3000 if number == 6 else 900
        marks = np.zeros((size, 1))
        marks[np.arange(40 + number, size, 70)] = 1
        Y = (np.arange(size) + 10_000.0 * number)[:, None] + 100_000.0 * np.arange(3)
        write_mat(tmp_path / "klcpd" / f"{name}.mat", Y=Y, L=marks)
    monkeypatch.setattr(datasets, "load", lambda name: set_of(name, tmp_path))


def test_bee_dances_are_divided_by_dance(klcpd):
    parts = sensors.klcpd(seed=0, valid=(2, 6), test=(4,))
    dances = {part: {f % 100_000 // 10_000 + 1 for f in frames_of(s)} for part, s in parts.items()}
    assert dances == {"train": {1, 3, 5}, "valid": {2, 6}, "test": {4}}
    series = parts["test"]
    assert series.X.shape[2:] == (3, 1) and set(series.kind.tolist()) == {"change"}
    at = series.X[np.arange(len(series)), series.change_time, 0, 0].astype(int)
    assert ((at - 30_000 - 43) % 70 == 0).all()  # the marked frame is the first after the change
    assert (series.X[:, :, 1] - series.X[:, :, 0] == 100_000).all()


def test_hasc_is_divided_by_time(klcpd):
    frames = {part: frames_of(s) for part, s in sensors.klcpd("hasc", seed=0).items()}
    first = {part: {f % 100_000 for f in values} for part, values in frames.items()}
    assert max(first["train"]) < min(first["valid"]) and max(first["valid"]) < min(first["test"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "fishkiller"},
        {"name": "bees"},
        {"valid": (1,), "test": (1,)},
        {"valid": ()},
        {"test": (7,)},
        {"valid": (1, 2, 3), "test": (4, 5, 6)},
    ],
)
def test_klcpd_refuses_impossible_divisions(klcpd, wrong):
    with pytest.raises(ValueError, match="expected"):
        sensors.klcpd(**{"seed": 0, **wrong})


def test_marks_other_than_0_and_1_are_refused(tmp_path):
    path = write_mat(tmp_path / "x.mat", Y=np.zeros((50, 3)), L=np.full((50, 1), 2))
    with pytest.raises(ValueError, match="0 and 1"):
        sensor_files.klcpd_recording(path)


# PAMAP2


@pytest.fixture(scope="module")
def motions():
    return sensors._basic_motions_files()


def source(X, signal, time, first):
    """The recording that X (100, 6) shows before (first) or after its change."""
    frames = slice(0, time) if first else slice(time, None)
    match = (signal[:, frames].astype(np.float32) == X[None, frames]).all(axis=(1, 2))
    assert match.sum() == 1
    return int(np.argmax(match))


def test_joins_show_two_recordings_around_their_change(motions):
    signal, activity = motions
    parts = sensors.basic_motions(seed=5)
    used = {}
    for part, series in parts.items():
        split = "train" if part in ("train", "valid") else "test"
        assert series.X.shape[1:] == (100, 6, 1)
        pairs = []
        for X, time, kind in zip(series.X[..., 0], series.change_time.tolist(), series.kind.tolist()):
            a, b = source(X, signal[split], time, True), source(X, signal[split], time, False)
            pairs.append((a, b))
            names = activity[split][a], activity[split][b]
            if part == "control":
                assert a != b and names[0] == names[1] and kind == "same activity"
            else:
                assert kind == f"{names[0]} to {names[1]}" and names[0] != names[1]
        assert len(set(pairs)) == len(pairs)
        used[part] = set(itertools.chain(*pairs))
        assert 25 <= series.change_time.min() and series.change_time.max() <= 75
        _, counts = np.unique(series.kind, return_counts=True)
        assert counts.max() - counts.min() <= 1
    assert set(parts["train"].change_time.tolist()) == set(range(25, 76))
    assert not used["train"] & used["valid"]
    assert (len(used["train"]), len(used["valid"]), len(used["test"])) == (28, 12, 40)


def test_layouts_hold_the_same_numbers():
    size = {"n_train": 9, "n_valid": 9, "n_test": 9, "n_control": 9}
    channels = sensors.basic_motions(seed=1, **size)
    grouped = sensors.basic_motions(seed=1, layout="sensors", **size)
    for part in channels:
        assert grouped[part].X.shape == (9, 100, 2, 3)
        assert np.array_equal(grouped[part].X.reshape(9, 100, 6, 1), channels[part].X)
    again, other = sensors.basic_motions(seed=1, **size), sensors.basic_motions(seed=2, **size)
    for part in channels:
        assert np.array_equal(again[part].X, channels[part].X)
        assert not np.array_equal(other[part].X, channels[part].X)
        assert not np.array_equal(other[part].change_time, channels[part].change_time)


@pytest.mark.parametrize("blend", [0, 1, 4, 7])
def test_blending_is_a_line_centred_on_the_change(blend):
    weights = sensors._fade(np.array([30, 51]), 100, blend)
    for row, time in zip(weights, (30, 51)):
        for t in range(100):
            # the share of the second recording: 0 before, 1 after, linear where frames t and t-1 straddle
            share = (t + 0.5 - time) / max(blend, 1) + 0.5
            assert row[t] == pytest.approx(min(max(share, 0), 1))
        assert np.isclose(row[time] + row[time - 1], 1)  # symmetric about the change
        assert ((row > 0) & (row < 1)).sum() == blend - blend % 2
    size = {"n_train": 9, "n_valid": 9, "n_test": 9, "n_control": 9}
    sharp, soft = sensors.basic_motions(seed=1, **size), sensors.basic_motions(seed=1, blend=blend, **size)
    differs = (sharp["test"].X != soft["test"].X).any(axis=(2, 3))
    assert differs.sum(axis=1).max() <= blend - blend % 2
    assert blend <= 1 or differs.any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"layout": "axes"},
        {"n_train": 589},  # 28 recordings, 21 of another activity each
        {"n_valid": 109},
        {"n_control": 361},
        {"n_test": 0},
        {"blend": -1},
        {"low": 0},
        {"high": 100},
    ],
)
def test_impossible_joins_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        sensors.basic_motions(**{"seed": 0, **wrong})


# Standardising


def some_parts(seed=0):
    rng = np.random.default_rng(seed)
    parts = {}
    for part, size in (("train", 30), ("test", 11)):
        X = rng.normal(size=(size, 20, 2, 3)) * [[1, 10, 100], [3, 0, 5]] + [[0, 7, 0.1], [5, 0.1, 9]]
        parts[part] = Series(X, np.full(size, 5), np.full(size, "x"), "s", counterfactual=X + 1)
    return parts


def test_standardising_is_scikit_learns_scaler_on_the_training_part():
    parts = some_parts()
    scaler = StandardScaler().fit(parts["train"].X.astype(np.float64).reshape(-1, 6))
    new = sensors.standardise(parts)
    for part, series in new.items():
        expected = scaler.transform(parts[part].X.astype(np.float64).reshape(-1, 6)).reshape(series.X.shape)
        expected[:, :, 1, 1] = 0  # constant
        assert np.allclose(series.X, expected, atol=1e-5) and series.X.dtype == np.float32
        assert np.array_equal(series.change_time, parts[part].change_time)
    moved = (new["train"].counterfactual - new["train"].X)[0, 0]
    assert moved[1, 1] == 0 and moved[0, 2] == pytest.approx(0.01, rel=0.1)


def test_standardising_learns_nothing_from_other_parts_and_changes_no_input():
    parts = some_parts()
    before = {part: series.X.copy() for part, series in parts.items()}
    other = parts | {"test": dataclasses.replace(parts["test"], X=parts["test"].X * 50 + 3)}
    assert np.array_equal(sensors.standardise(parts)["train"].X, sensors.standardise(other)["train"].X)
    assert all(np.array_equal(before[part], parts[part].X) for part in parts)
    # What is constant in training says nothing later either.
    assert (sensors.standardise(other)["test"].X[:, :, 1, 1] == 0).all()


def test_standardising_over_features_pools_the_variables():
    parts = some_parts()
    new = sensors.standardise(parts, over="feature")["train"].X.astype(np.float64)
    assert np.allclose(new.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    assert np.allclose(new.std(axis=(0, 1, 2)), 1, atol=1e-5)
    assert abs(new[:, :, 0, 0].mean()) > 0.5


def test_standardising_refuses_nan_and_a_missing_training_part():
    parts = some_parts()
    with pytest.raises(ValueError, match="'train'"):
        sensors.standardise({"test": parts["test"]})
    with pytest.raises(ValueError, match="'person'"):
        sensors.standardise(parts, over="person")
    X = parts["test"].X.copy()
    X[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="'test' of s holds NaN"):
        sensors.standardise(parts | {"test": dataclasses.replace(parts["test"], X=X)})


def test_summary_counts():
    table = sensors.summary(sensors.basic_motions(seed=0, n_train=10)).set_index("part")
    assert table.loc["train", ["series", "frames", "N", "M"]].tolist() == [10, 100, 6, 1]
    assert table.loc["control", "kinds"] == 1 and (table["first"] >= 25).all() and (table["last"] <= 75).all()


# The real files, where they are


@pytest.mark.skipif(not datasets.available("actrectut")[0], reason="needs actrectut")
@pytest.mark.parametrize("part, sizes", [("walk", (29, 11, 40)), ("gesture", (258, 80, 349))])
def test_windows_of_actrectut(part, sizes):
    parts = sensors.actrectut(part, seed=0)
    assert tuple(len(parts[p]) for p in sensors.PARTS) == sizes
    assert np.std(sensors.standardise(parts)["train"].X, axis=(0, 1)) == pytest.approx(1, abs=1e-4)


@pytest.mark.skipif(not datasets.available("klcpd")[0], reason="needs klcpd")
def test_windows_of_klcpd():
    assert [len(s) for s in sensors.klcpd(seed=0).values()] == [15, 3, 13]
    short = WindowSettings(frames=60, low=15, high=45)
    assert [len(s) for s in sensors.klcpd(seed=0, window=short).values()] == [62, 10, 19]
    assert [len(s) for s in sensors.klcpd("hasc", seed=0).values()] == [37, 11, 13]
