"""Checks of arguments that the theory functions share."""

from __future__ import annotations

from typing import Any

import numpy as np

from msig_lib.errors import MsigError


class TheoryError(MsigError, ValueError):
    """Raised when a statement is evaluated where its conditions do not hold."""


def cosines(values: Any) -> np.ndarray:
    """Return `values` as float64 cosines; raises TheoryError outside [-1, 1]."""
    array = np.asarray(values, dtype=np.float64)
    if not np.all(np.abs(array) <= 1 + 1e-12):
        raise TheoryError(
            f"cosines lie in [-1, 1], given {array.min()} to {array.max()}; normalise both vectors"
        )
    return np.clip(array, -1.0, 1.0)


def dimension(value: int) -> int:
    """Return an embedding width; raises TheoryError when it is not a whole number of at least 1."""
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise TheoryError(f"the embedding width must be a whole number of at least 1, was {value!r}")
    return int(value)


def temperature(value: float) -> float:
    """Return a temperature; raises TheoryError when it is not positive and finite."""
    if not 0 < value < float("inf"):
        raise TheoryError(
            f"the temperature must be positive and finite, was {value!r}; for its limit 0 use `sharp_loss`"
        )
    return float(value)
