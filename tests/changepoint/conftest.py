"""Fixtures of the tests of chapter 4's figures."""

from __future__ import annotations

import warnings

import pytest
from matplotlib import pyplot as plt


@pytest.fixture
def nothing_stays_open():
    """Warnings of a drawing are errors, and no figure stays open."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")
