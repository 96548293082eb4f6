"""Arrays that are given back stay mapped within a block, and only there; elsewhere a block changes nothing."""

import resource

import pytest
import torch

from msig_lib.changepoint import memory
from msig_lib.changepoint.memory import kept_memory

MEGABYTES = 64  # above 32 MB glibc maps every array anew
MANY = 30  # arrays before the heap is large enough: up to 7 were seen


def faults(times=3):
    """Pages that the system handed out for `times` arrays, each given back before the next."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.zeros(MEGABYTES * 2**18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(memory._glibc() is None, reason="the allocator is not glibc's")
def test_pages_are_handed_out_once_in_a_block_and_given_back_after_it():
    anew = faults()
    if anew < 100:
        pytest.skip("the system hands out large pages")
    with kept_memory():
        # the heap grows by some arrays, more where others left it in pieces, before it serves all that follow
        faults(MANY)
        with kept_memory():
            assert faults() < anew / 20
        assert faults() < anew / 20  # the inner block ended nothing
    assert faults() > anew / 2
    with pytest.raises(KeyError), kept_memory():
        raise KeyError
    assert memory._Kept.depth == 0 and faults() > anew / 2


def test_another_allocator_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    with kept_memory():
        assert memory._Kept.depth == 0


def test_what_is_no_linux_has_no_glibc(monkeypatch):
    memory._glibc.cache_clear()
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    try:
        assert memory._glibc() is None
    finally:
        memory._glibc.cache_clear()
