"""Calls that need each other: results, order, what they are given, and what is refused."""

import os
import time
from operator import itemgetter

import pytest
import torch

from msig_lib.mining.linked import Of, linked


def add(*numbers):
    return sum(numbers)


def pair(a, b):
    return {"sum": a + b, "pid": os.getpid(), "threads": torch.get_num_threads()}


def wait(seconds, *_):
    begun = time.monotonic()
    time.sleep(seconds)
    return begun, time.monotonic(), os.getpid()


def fail(text):
    raise RuntimeError(text)


@pytest.mark.parametrize("threads", [1, 2])
def test_results_are_what_the_calls_give_in_any_order_of_needs(threads):
    calls = {
        "last": (add, (Of("b", itemgetter("sum")), Of("a"))),
        "b": (pair, (Of("a"), 5)),
        "a": (add, (1, 2)),
    }
    done = linked(calls, threads=threads)
    assert list(done) == list(calls) and done["a"] == 3 and done["b"]["sum"] == 8 and done["last"] == 11
    assert done["b"]["threads"] == 1 and (done["b"]["pid"] == os.getpid()) == (threads == 1)


def test_a_call_starts_when_its_own_needs_are_done():
    """Not when all calls of a kind are: that is what the study saves time by."""
    wait_done = linked(
        {
            "short": (wait, (0.2,)),
            "long": (wait, (2.0,)),
            "after": (wait, (0.2, Of("short"))),
            "again": (wait, (0.2, Of("after"))),
        },
        threads=2,
    )
    assert wait_done["after"][0] >= wait_done["short"][1] and wait_done["again"][0] >= wait_done["after"][1]
    assert wait_done["again"][1] < wait_done["long"][1]
    assert wait_done["short"][2] == wait_done["after"][2] != wait_done["long"][2]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_cannot_start_is_named_and_errors_come_through(threads):
    with pytest.raises(ValueError, match=r"need \['x'\], which are not among them"):
        linked({"a": (add, (Of("x"),))}, threads=threads)
    with pytest.raises(ValueError, match=r"\['a', 'b'\] need each other"):
        linked({"a": (add, (Of("b"),)), "b": (add, (Of("a"),)), "c": (add, (1,))}, threads=threads)
    with pytest.raises(RuntimeError, match="no such luck"):
        linked({"a": (fail, ("no such luck",)), "b": (add, (Of("a"),))}, threads=threads)


def test_no_threads_are_refused_and_nothing_gives_nothing():
    with pytest.raises(ValueError, match="threads is 0"):
        linked({}, threads=0)
    assert linked({}, threads=2) == {}
