from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.changepoint.sensor_windows import (
    Recording,
    WindowSettings,
    bridged,
    every_window,
    one_change,
    place_windows,
    random_parts,
)
from tests.changepoint.plain_windows import brute_force, frames_of

SMALL = WindowSettings(frames=12, low=3, high=8)


def recording(labels, offset=0, names=None):
    """A recording whose signal is the number of the frame, so that windows say where they are from."""
    frames = np.arange(offset, offset + len(labels), dtype=np.float32)
    return Recording(frames[:, None, None], np.asarray(labels, dtype=np.int64), names, "p")


def runs(*lengths):
    """Labels 0, 1, 2, ... with these lengths."""
    return np.repeat(np.arange(len(lengths)), lengths)


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
