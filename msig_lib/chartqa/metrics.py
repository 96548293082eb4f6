"""Relaxed accuracy, the measure of ChartQA (Masry et al. 2022, end of section 5.1), and its known mistake."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt

TOLERANCE = Decimal("0.05")  # of the target; the same paper, after Methani et al. (2020)
# Exponents are limited so that no text makes a number of a million digits.
_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:e[+-]?\d{1,3})?", re.ASCII)


def parse_number(text: str) -> Decimal | None:
    """Return the number that a text is, None for any other text.

    "1,234.5" has thousands separators (in groups of three); "5%" is .05, as in the measure's public
    implementations, so that "5%" and "5" differ; signs, exponents and spaces around are read. "nan", "inf",
    "1,2", "$5" and "5 apples" are no numbers.
    """
    bare = text.strip().lower().replace("\N{MINUS SIGN}", "-")
    percent = bare.endswith("%")
    bare = bare[:-1].rstrip() if percent else bare
    if not _NUMBER.fullmatch(bare) or not re.match(r"[+-]?\.?\d", bare):
        return None
    value = Decimal(bare.replace(",", ""))
    return value / 100 if percent else value


def relaxed_match(prediction: str, target: str) -> bool:
    """Return whether |prediction - target| <= .05 |target|, or whether the texts are the same.

    Two numbers (see `parse_number`) are compared exactly, in decimals; a target of 0 allows 0 only. Otherwise the
    texts have to be equal but for case and spaces (around them, and how many between words). An empty prediction
    is wrong. Years count as numbers, so that 2008 passes for 2010: the measure is known to be generous there.
    Raises ValueError for an empty target.
    """
    return _match(prediction, target, reference=1)


def relaxed_match_swapped(prediction: str, target: str) -> bool:
    """Return what an evaluation kit returned until September 2025: |prediction - target| <= .05 |prediction|.

    With a target of 100 it passes 105.2 and fails 95.1, where `relaxed_match` does the opposite.
    """
    return _match(prediction, target, reference=0)


def _match(prediction: str, target: str, *, reference: int) -> bool:
    if not target.strip():
        raise ValueError("the target is empty, expected an answer: leave questions without one out")
    numbers = parse_number(prediction), parse_number(target)
    if numbers[0] is None or numbers[1] is None:
        return " ".join(prediction.lower().split()) == " ".join(target.lower().split())
    return abs(numbers[0] - numbers[1]) <= TOLERANCE * abs(numbers[reference])


def relaxed_outcomes(
    predictions: Sequence[str], targets: Sequence[str], *, swapped: bool = False
) -> npt.NDArray[np.bool_]:
    """Return for each prediction whether it is right, bool (n,), for intervals over items.

    Raises TypeError for one text instead of a list, ValueError for different lengths or an empty target.
    """
    if isinstance(predictions, str) or isinstance(targets, str):
        raise TypeError("predictions and targets are lists of strings, but one was a single string")
    if len(predictions) != len(targets):
        raise ValueError(f"{len(predictions)} predictions for {len(targets)} targets, expected one each")
    match = relaxed_match_swapped if swapped else relaxed_match
    return np.array([match(p, t) for p, t in zip(predictions, targets)], dtype=bool)


def relaxed_accuracy(predictions: Sequence[str], targets: Sequence[str]) -> float:
    """Return the share of predictions that match their targets; ValueError without any.

    >>> relaxed_accuracy(["105", "95.1", "105.2", "blue "], ["100", "100", "100", "Blue"])
    0.75
    """
    return _mean(relaxed_outcomes(predictions, targets))


def relaxed_accuracy_swapped(predictions: Sequence[str], targets: Sequence[str]) -> float:
    """Return the share that `relaxed_match_swapped` passes: for the erratum only; ValueError without any."""
    return _mean(relaxed_outcomes(predictions, targets, swapped=True))


def _mean(outcomes: npt.NDArray[np.bool_]) -> float:
    if not len(outcomes):
        raise ValueError("no predictions, expected one or more")
    return float(outcomes.mean())
