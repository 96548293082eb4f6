import logging

import numpy as np
import pytest

from msig_lib.lm.arrays import cached_array, texts_sha256


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path))
    return tmp_path / "arrays"


def counted(value):
    calls = []

    def compute():
        calls.append(1)
        return np.asarray(value)

    return compute, calls


def test_computed_once_per_key():
    compute, calls = counted([1.5, 2.5])
    first = cached_array({"a": 1, "b": "x"}, compute)
    again = cached_array({"b": "x", "a": 1}, compute)
    assert len(calls) == 1
    assert np.array_equal(first, again) and first.dtype == again.dtype
    cached_array({"a": 2, "b": "x"}, compute)
    assert len(calls) == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_file_is_computed_again(own_cache, caplog, damage):
    compute, calls = counted(np.arange(100.0))
    cached_array({"k": 1}, compute)
    (path,) = own_cache.glob("*.npy")
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes({"flip": raw, "cut": raw[:50], "empty": b""}[damage])
    with caplog.at_level(logging.WARNING):
        again = cached_array({"k": 1}, compute)
    assert len(calls) == 2 and np.array_equal(again, np.arange(100.0))
    assert "does not match its hash" in caplog.text
    cached_array({"k": 1}, compute)
    assert len(calls) == 2


def test_a_failing_compute_leaves_nothing(own_cache):
    def fail():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cached_array({"k": 1}, fail)
    assert list(own_cache.iterdir()) == []


def test_objects_are_refused():
    with pytest.raises(TypeError, match="object array"):
        cached_array({"k": 1}, lambda: np.array([{}], dtype=object))


def test_lists_of_texts_with_the_same_joined_text_differ():
    lists = [["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"]]
    assert len({texts_sha256(texts) for texts in lists}) == len(lists)
