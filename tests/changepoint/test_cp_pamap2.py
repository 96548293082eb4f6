from __future__ import annotations

import io
import itertools
import zipfile

import numpy as np
import pytest

from msig_lib import datasets
from msig_lib.changepoint import sensor_files, sensors
from msig_lib.changepoint.sensor_windows import (
    WindowSettings,
)
from tests.changepoint.plain_windows import brute_force

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
