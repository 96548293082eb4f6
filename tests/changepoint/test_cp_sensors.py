from __future__ import annotations

import dataclasses
import io
import itertools
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from sklearn.preprocessing import StandardScaler

from msig_lib import datasets
from msig_lib.changepoint import sensor_files, sensors
from msig_lib.changepoint.data import Series
from msig_lib.changepoint.sensor_windows import (
    Recording,
    WindowSettings,
    bridged,
    every_window,
    one_change,
    place_windows,
    random_parts,
)

SMALL = WindowSettings(frames=12, low=3, high=8)


def recording(labels, offset=0, names=None):
    """A recording whose signal is the number of the frame, so that windows say where they are from."""
    frames = np.arange(offset, offset + len(labels), dtype=np.float32)
    return Recording(frames[:, None, None], np.asarray(labels, dtype=np.int64), names, "p")


def runs(*lengths):
    """Labels 0, 1, 2, ... with these lengths."""
    return np.repeat(np.arange(len(lengths)), lengths)


def frames_of(series):
    return set(series.X.astype(int).ravel().tolist())


def brute_force(labels, window):
    """Every window with exactly one change, in the asked range: {change: set of positions}."""
    found = {}
    for start in range(len(labels) - window.frames + 1):
        piece = labels[start : start + window.frames]
        changed = [t for t in range(1, window.frames) if piece[t] != piece[t - 1]]
        if len(changed) == 1 and window.low <= changed[0] <= window.high:
            found.setdefault(start + changed[0], set()).add(changed[0])
    return found


# Windows


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_windows_are_those_of_a_search_through_all(lengths, seed):
    labels = runs(*lengths)
    expected = brute_force(labels, SMALL)
    windows = place_windows([recording(labels)], SMALL, np.random.default_rng(seed))
    assert sorted((windows.start + windows.position).tolist()) == sorted(expected)
    for start, position in zip(windows.start.tolist(), windows.position.tolist()):
        assert position in expected[start + position]


def test_every_allowed_position_is_drawn_and_about_equally_often():
    labels = runs(40, 10, 40)  # the first change needs 2 frames of the third run at least
    expected = brute_force(labels, SMALL)
    assert {len(positions) for positions in expected.values()} == {6}
    drawn = {change: [] for change in expected}
    for seed in range(400):
        windows = place_windows([recording(labels)], SMALL, np.random.default_rng(seed))
        for change, position in zip((windows.start + windows.position).tolist(), windows.position.tolist()):
            drawn[change].append(position)
    for change, positions in drawn.items():
        values, counts = np.unique(positions, return_counts=True)
        assert set(values.tolist()) == expected[change]
        assert counts.min() > 400 / 6 / 2


def test_series_show_the_window_with_its_change_and_kind():
    names = {0: "lying", 1: "sitting"}
    series = one_change(
        [recording(runs(20, 15, 9), names=names)], "x", "test", SMALL, np.random.default_rng(0)
    )
    labels = runs(20, 15, 9)
    assert len(series) == 2 and series.name == "x"
    assert series.kind.tolist() == ["lying to sitting", "sitting to activity 2"]
    for X, time in zip(series.X.astype(int), series.change_time.tolist()):
        frames = X.ravel()
        assert np.array_equal(frames, np.arange(frames[0], frames[0] + 12))
        assert labels[frames[time]] != labels[frames[time] - 1]


def test_no_window_is_an_error_that_counts_the_changes():
    with pytest.raises(ValueError, match=r"toy, part 'valid': 2 changes, 5 frames apart.*12 frames"):
        one_change([recording(runs(5, 5, 5))], "toy", "valid", SMALL, np.random.default_rng(0))
    with pytest.raises(ValueError, match="0 changes"):
        one_change([recording(runs(50))], "toy", "valid", SMALL, np.random.default_rng(0))
    with pytest.raises(ValueError, match="has 12 frames"):
        every_window([recording(runs(5, 6))], "toy", "train", SMALL, 1)
    with pytest.raises(ValueError, match="stride"):
        every_window([recording(runs(50))], "toy", "train", SMALL, 0)


@pytest.mark.parametrize(
    "wrong", [{"low": 0}, {"high": 100}, {"low": 60, "high": 50}, {"every": 0}, {"frames": 75}]
)
def test_impossible_windows_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        WindowSettings(**wrong)


def test_all_windows_of_a_stretch_say_what_they_hold():
    labels = runs(20, 3, 17, 21)
    series = every_window([recording(labels), recording(runs(30), 1000)], "x", "train", SMALL, 4)
    starts = [*range(0, len(labels) - 11, 4), *range(1000, 1019, 4)]
    assert series.X[:, 0, 0, 0].astype(int).tolist() == starts
    for row, start in enumerate(starts):
        piece = labels[start : start + 12] if start < 1000 else np.zeros(12)
        expected = tuple(t for t in range(1, 12) if piece[t] != piece[t - 1])
        assert series.changes[row] == expected
        assert series.change_time[row] == (expected[0] if len(expected) == 1 else -1)
        assert series.kind[row] == ["none", "change", "several"][min(len(expected), 2)]
    assert {"none", "change", "several"} == set(series.kind.tolist())


def test_thinning_keeps_every_kth_frame_and_label():
    labels = runs(7, 1, 12, 5)
    thin = recording(labels).thinned(4)
    assert thin.signal.ravel().tolist() == [0, 4, 8, 12, 16, 20, 24]
    # A run between kept frames is not seen: one change where two were.
    assert labels[::4].tolist() == [0, 0, 2, 2, 2, 3, 3] and thin.changes.tolist() == [2, 5]


@given(st.lists(st.integers(2, 9), min_size=3, max_size=12), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_cutting_divides_the_frames_and_the_changes(lengths, parts):
    whole = recording(runs(*lengths))
    n = len(whole.changes)
    if n < parts:
        with pytest.raises(ValueError, match="cannot be cut"):
            whole.cut((1.0,) * parts)
        return
    pieces = whole.cut((1.0,) * parts)
    assert np.array_equal(np.concatenate([p.signal for p in pieces]), whole.signal)
    counts = [len(p.changes) for p in pieces]
    assert sum(counts) == n and min(counts) >= 1 and max(counts) - min(counts) <= 1
    if n > 1:
        assert [len(p.changes) for p in whole.cut((1000.0, 1.0))] == [n - 1, 1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), min_size=1, max_size=12), st.integers(0, 6))
@settings(max_examples=80, deadline=None)
def test_bridging_against_a_walk_through_the_runs(pairs, longest):
    labels = np.repeat([a for a, _ in pairs], [n for _, n in pairs])
    stretches = [(label, len(list(group))) for label, group in itertools.groupby(labels.tolist())]
    for dated in ("start", "middle", "end"):
        expected = []
        for k, (label, size) in enumerate(stretches):
            if label == 0 and size <= longest and 0 < k < len(stretches) - 1:
                first = {"start": 0, "middle": (len(expected) * 2 + size) // 2 - len(expected), "end": size}[
                    dated
                ]
                expected += [stretches[k - 1][0]] * first + [stretches[k + 1][0]] * (size - first)
            else:
                expected += [label] * size
        assert bridged(labels, 0, longest, dated).tolist() == expected
    assert bridged(labels, 0, 0).tolist() == labels.tolist()


def test_bridging_refuses_unknown_words_and_negative_lengths():
    with pytest.raises(ValueError, match="dated='late'"):
        bridged(np.zeros(3), 0, 1, "late")
    with pytest.raises(ValueError, match="-1 frames"):
        bridged(np.zeros(3), 0, -1)


def test_random_parts_share_no_frame_and_have_the_sizes_asked_for():
    rng = np.random.default_rng(3)
    recordings = [recording(runs(*rng.integers(9, 40, size=20)), 10_000 * k) for k in range(4)]
    sizes = {"valid": 5, "test": 9}
    for seed in range(20):
        parts = random_parts(recordings, "x", SMALL, sizes, np.random.default_rng(seed))
        assert (len(parts["valid"]), len(parts["test"])) == (5, 9) and len(parts["train"]) > 9
        for a, b in itertools.combinations(parts, 2):
            assert not frames_of(parts[a]) & frames_of(parts[b])
        total = len(place_windows(recordings, SMALL, np.random.default_rng(seed)))
        assert sum(map(len, parts.values())) == total
    with pytest.raises(ValueError, match="too few"):
        random_parts(recordings[:1], "x", SMALL, {"valid": 50, "test": 9}, np.random.default_rng(0))
    chain = [recording(runs(*[10] * 8))]  # all windows overlap
    with pytest.raises(ValueError, match="share frames"):
        random_parts(chain, "x", SMALL, {"valid": 1, "test": 1}, np.random.default_rng(0))


def test_a_recording_needs_a_label_for_every_frame():
    with pytest.raises(ValueError, match="expected"):
        Recording(np.zeros((5, 1, 1), np.float32), np.zeros(4, np.int64), None, "p")


# MATLAB files


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

LENGTHS = [150, 450, 350, 60, 500, 400, 30, 450, 250]
WINDOW = WindowSettings(frames=12, low=3, high=8, every=10)


def pamap2_table(person, lengths=LENGTHS, activities=(0, 1, 0, 4, 0, 12, 0, 24, 0)):
    """54 columns: time, activity, heart rate, then 51 of 1,000 column + frame / 10 (+ 0.03125 person)."""
    labels = np.repeat(activities, lengths)
    frames = np.arange(len(labels))
    table = np.full((len(labels), 54), np.nan)
    table[:, 0], table[:, 1] = 8.0 + frames / 100, labels
    table[:, 3:] = 1000.0 * np.arange(3, 54) + frames[:, None] / 10 + person / 32
    table[::11, 2] = 100.0  # heart rate is missing almost everywhere and is not used
    return table


def text(table):
    out = io.StringIO()
    np.savetxt(out, table, fmt="%.9g")
    return out.getvalue().replace("nan", "NaN")


def pack(path, tables, nested=True):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as files:
        files.writestr("PAMAP2_Dataset/readme.pdf", b"%PDF")
        for name, table in tables.items():
            files.writestr(f"PAMAP2_Dataset/{name}.dat", table if isinstance(table, str) else text(table))
    path.write_bytes(inner.getvalue())
    if nested:
        with zipfile.ZipFile(path, "w") as outer:
            outer.writestr("readme.pdf", b"%PDF")
            outer.writestr("PAMAP2_Dataset.zip", inner.getvalue())
    return path


@pytest.fixture(scope="module")
def tables():
    made = {f"Protocol/subject10{k}": pamap2_table(k) for k in range(1, 6)}
    made["Optional/subject101"] = pamap2_table(6, LENGTHS[:4], (0, 10, 0, 11))
    return {name: text(table) for name, table in made.items()}


@pytest.fixture
def pamap2(tmp_path, monkeypatch, tables):
    """A mirror with PAMAP2's zip in small, read through the manifest; the file itself."""
    folder = tmp_path / "mirror" / "pamap2"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(folder.parent))
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MSIG_RUN_DIR", raising=False)
    return pack(folder / "pamap2+physical+activity+monitoring.zip", tables)


def test_pamap2_columns_times_and_persons(pamap2):
    parts = sensors.pamap2(seed=0, split="person", window=WINDOW, valid=("104",), test=("105",))
    people = {"train": {1, 2, 3, 6}, "valid": {4}, "test": {5}}
    for part, series in parts.items():
        assert series.X.shape[1:] == (12, 3, 10) and series.name == "pamap2"
        column = series.X // 1000
        per_imu = np.array([0, 1, 2, 3, 7, 8, 9, 10, 11, 12])
        assert (column == 3 + 17 * np.arange(3)[:, None] + per_imu).all()
        value = series.X[:, :, 0, 0].astype(float) - 3000
        assert np.allclose(np.diff(value, axis=1), 1.0)  # 10 frames of a tenth each
        assert {round(v % 1 * 32) for v in value[:, 0]} == people[part]
    labels = np.repeat([0, 1, 0, 4, 0, 12, 0, 24, 0], LENGTHS)[::10]
    series = parts["test"]
    found = set()
    for X, time, kind in zip(series.X, series.change_time.tolist(), series.kind.tolist()):
        start = round(float(X[0, 0, 0]) - 3000 - 5 / 32)
        before, after = labels[start + time - 1], labels[start + time]
        names = sensor_files.PAMAP2_ACTIVITIES
        assert kind == f"{names[before]} to {names[after]}" and before != after
        assert len(np.flatnonzero(np.diff(labels[start : start + 12]))) == 1
        found.add(start + time)
    assert found == set(brute_force(labels, WINDOW))


def test_pamap2_thesis_split_and_plain_zip(pamap2, tables, monkeypatch):
    monkeypatch.setattr(sensors, "THESIS_SIZES", {"valid": 3, "test": 5})
    parts = sensors.pamap2(seed=0, window=WINDOW)
    assert (len(parts["valid"]), len(parts["test"])) == (3, 5) and len(parts["train"]) > 10
    seen = [set(parts[part].X[:, :, 0, 0].ravel().tolist()) for part in sensors.PARTS]  # frame and person
    assert all(not a & b for a, b in itertools.combinations(seen, 2))
    read = {}
    for nested in (True, False):
        path = pack(pamap2.parent / "x.zip", tables, nested)
        read[nested] = sensor_files.pamap2_recordings(path, bridge=0, dated="middle", longest_gap=100)
    assert list(read[True]) == list(read[False]) == ["101", "102", "103", "104", "105"]
    assert [len(v) for v in read[True].values()] == [2, 1, 1, 1, 1]
    assert all(np.array_equal(a.signal, b.signal) for a, b in zip(read[True]["101"], read[False]["101"]))
    pack(pamap2, tables, nested=False)  # another file than the one recorded at first use
    with pytest.raises(datasets.DataMismatch):
        sensors.pamap2(seed=0, window=WINDOW)


def test_pamap2_bridges_transient_stretches(tmp_path):
    path = pack(tmp_path / "x.zip", {"Protocol/subject101": pamap2_table(1)})
    borders = np.cumsum(LENGTHS)
    for dated, first in {"start": borders[1], "middle": borders[1] + 175, "end": borders[2]}.items():
        (one,) = sensor_files.pamap2_recordings(path, bridge=350, dated=dated, longest_gap=9)["101"]
        dates = dict(zip(one.kinds.tolist(), one.changes.tolist()))
        assert dates["lying to walking"] == first  # 350 transient frames between them
        assert dates["walking to transient"] == borders[3]  # 500 are too many
        assert dates["transient to ascending stairs"] == borders[4]
        assert "ascending stairs to rope jumping" in dates and len(dates) == 6


def test_pamap2_gaps(tmp_path):
    table = pamap2_table(1)
    whole = table.copy()
    table[100:150, 4] = np.nan  # short: interpolated
    table[0:30, 20] = np.nan  # short, at the start: the nearest value
    table[2000:2101, 28] = np.nan  # one more than allowed
    table[2000:2500, 8] = np.nan  # the 6 g range is not read
    path = pack(tmp_path / "x.zip", {"Protocol/subject101": table})
    first, second = sensor_files.pamap2_recordings(path, bridge=0, dated="middle", longest_gap=100)["101"]
    assert (len(first), len(second)) == (2000, len(table) - 2101)
    assert np.array_equal(second.labels, whole[2101:, 1].astype(int))
    assert np.allclose(first.signal[:, 0, 1], whole[:2000, 4], atol=1e-3)  # it was a straight line
    assert np.allclose(first.signal[:30, 1, 0], whole[30, 20])
    assert np.allclose(second.signal[0, 1], whole[2101, [20, 21, 22, 23, 27, 28, 29, 30, 31, 32]])
    (one,) = sensor_files.pamap2_recordings(path, bridge=0, dated="middle", longest_gap=101)["101"]
    assert len(one) == len(table) and np.isfinite(one.signal).all()
    # Frames that are not in the file at all, and a sensor that never worked.
    path = pack(tmp_path / "y.zip", {"Protocol/subject101": np.delete(whole, slice(1000, 1200), axis=0)})
    found = sensor_files.pamap2_recordings(path, bridge=0, dated="middle", longest_gap=100)["101"]
    assert [len(r) for r in found] == [1000, len(whole) - 1200]
    whole[:, 40] = np.nan
    path = pack(tmp_path / "z.zip", {"Protocol/subject101": whole})
    assert sensor_files.pamap2_recordings(path, bridge=0, dated="middle", longest_gap=9999) == {"101": []}


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t: t[:, :53], "53 columns"),
        (lambda t: np.flip(t, axis=0), "time that increases"),
        (lambda t: np.where(np.arange(54) == 1, 1.5, t), "whole activity"),
        (lambda t: np.where(np.arange(54) == 1, np.nan, t), "whole activity"),
        (lambda t: text(t[:50]) + "99 1 0 0 x" + " 0" * 49, "not a table"),
        (lambda t: "", "0 columns"),
    ],
)
def test_pamap2_files_of_another_form_are_refused(tmp_path, change, words):
    path = pack(tmp_path / "x.zip", {"Protocol/subject103": change(pamap2_table(1, [60], (1,)))})
    with pytest.raises(ValueError, match=words) as told:
        sensor_files.pamap2_recordings(path, bridge=0, dated="middle", longest_gap=100)
    assert "subject103.dat" in str(told.value)


def test_pamap2_refuses_what_it_cannot_do(pamap2, tmp_path):
    for wrong in (
        {"split": "time"},
        {"stride": 10},
        {"split": "person", "test": ("999",)},
        {"split": "person", "valid": ("101",), "test": ("101",)},
        {"split": "person", "valid": ("101", "102", "103"), "test": ("104", "105")},
        {"longest_gap": -1},
    ):
        with pytest.raises(ValueError):
            sensors.pamap2(**{"seed": 0, "window": WINDOW, **wrong})
    with pytest.raises(ValueError, match="too few"):
        sensors.pamap2(seed=0)
    with pytest.raises(ValueError, match="holds no subject"):
        empty = pack(tmp_path / "x.zip", {"Protocol/other": "1"})
        sensor_files.pamap2_recordings(empty, bridge=0, dated="middle", longest_gap=1)


# BasicMotions


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
