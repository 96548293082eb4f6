"""A replaced worker says nothing, other warnings do."""

from __future__ import annotations

import warnings

import pytest

from msig_lib.lm.processes import replacing_quietly


def test_only_the_word_of_a_replaced_worker_is_left_out():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with replacing_quietly():
            warnings.warn(
                "A worker stopped while some jobs were given to the executor.", UserWarning, stacklevel=1
            )
            warnings.warn("A worker is tired", UserWarning, stacklevel=1)
    assert [str(one.message) for one in told] == ["A worker is tired"]
    with pytest.warns(UserWarning, match="A worker stopped"):
        warnings.warn("A worker stopped while some jobs", UserWarning, stacklevel=1)
