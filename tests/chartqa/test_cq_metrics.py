import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from msig_lib.chartqa import metrics
from msig_lib.chartqa.metrics import (
    parse_number,
    relaxed_accuracy,
    relaxed_accuracy_swapped,
    relaxed_match,
    relaxed_match_swapped,
    relaxed_outcomes,
)


def test_the_known_swap_passes_what_should_fail_and_fails_what_should_pass():
    """Fidelity notes, chapter 7: with a target of 100, 105.2 passed and 95.1 failed."""
    assert not relaxed_match("105.2", "100") and relaxed_match("95.1", "100")
    assert relaxed_match_swapped("105.2", "100") and not relaxed_match_swapped("95.1", "100")
    predictions, targets = ["105.2", "95.1", "105.2", "100"], ["100"] * 4
    assert relaxed_accuracy(predictions, targets) == 0.5
    assert relaxed_accuracy_swapped(predictions, targets) == 0.75
    assert relaxed_outcomes(predictions, targets, swapped=True).tolist() == [True, False, True, True]


def plain(prediction, target, reference):
    """The definition in floats, for decimal numbers without frills."""
    return abs(prediction - target) <= 0.05 * abs(reference)


@given(
    st.decimals(-9999, 9999, places=2), st.decimals(-9999, 9999, places=2) | st.none(), st.floats(0.9, 1.1)
)
def test_numbers_are_compared_by_the_definition(target, other, factor):
    prediction = other if other is not None else round(target * Decimal(factor), 2)
    p, t = float(prediction), float(target)
    for reference, match in ((t, relaxed_match), (p, relaxed_match_swapped)):
        assume(abs(abs(p - t) - 0.05 * abs(reference)) > 1e-9)
        assert match(f"{prediction:f}", f"{target:f}") == plain(p, t, reference)


@pytest.mark.parametrize(
    ("prediction", "target", "right"),
    [
        ("1.05", "1", True),  # exactly on the edge, where floats say no
        ("1.0500001", "1", False),
        ("0.95", "1", True),
        ("-1.04", "-1", True),
        ("1", "-1", False),
        ("\N{MINUS SIGN}3", "-3", True),
        ("+3", "3", True),
        ("1e3", "1000", True),
        ("3.", "3", True),
        (".5", "0.5", True),
        ("1,234.5", "1234.5", True),
        ("1234567", "1,234,567", True),
        ("12,34", "1234", False),  # no thousands separators
        ("1,2", "1,2", True),  # the same text
        ("5%", "0.05", True),
        ("5%", "5", False),
        ("5 %", "5.2%", True),
        ("1,200%", "12", True),
        ("0", "0", True),
        ("0.0", "0", True),
        ("-0", "0", True),
        ("0.0001", "0", False),
        ("0", "0.0001", False),
        ("nan", "3", False),
        ("nan", "nan", True),  # a text
        ("inf", "3", False),
        ("Infinity", "inf", False),
        ("", "3", False),
        ("   ", "nan", False),
        (" Blue  Sky ", "blue sky", True),
        ("blue", "blu", False),
        ("Yes", "yes", True),
        ("four", "4", False),
        ("4 apples", "4", False),
        ("$4", "4", False),
        ("2008", "2010", True),  # years are numbers to this measure
        ("[2013, 2016]", "[2013, 2016]", True),
        ("1_000", "1000", False),  # Python's own number format
        ("٣", "3", False),  # digits of another script
    ],
)
def test_each_case_is_defined(prediction, target, right):
    assert relaxed_match(prediction, target) is right


@pytest.mark.parametrize("text", ["1", "-2.5", "1,000", "7%", "1e-3", ".5", "+4"])
def test_numbers_are_read(text):
    value = parse_number(f" {text} ")
    bare = text.rstrip("%").replace(",", "")
    assert float(value) == pytest.approx(float(bare) / (100 if "%" in text else 1))


@pytest.mark.parametrize(
    "text",
    ["", " ", "%", ".", "+", "-.", "e5", "1,00", "1,0000", "1e9999", "nan", "0x1", "1 2", "1.2.3", ",1"],
)
def test_other_texts_are_no_numbers(text):
    assert parse_number(text) is None


@given(st.text(max_size=12))
def test_no_text_breaks_the_reader_and_a_text_matches_itself(text):
    value = parse_number(text)
    assert value is None or math.isfinite(value)
    if text.strip():
        assert relaxed_match(text, text) and relaxed_match_swapped(text, text)
    else:
        with pytest.raises(ValueError, match="the target is empty"):
            relaxed_match("1", text)


def test_accuracy_is_the_mean_of_the_outcomes():
    predictions, targets = ["1", "2", "blue", ""], ["1", "3", "Blue", "0"]
    outcomes = relaxed_outcomes(predictions, targets)
    assert outcomes.dtype == bool and outcomes.tolist() == [True, False, True, False]
    assert relaxed_accuracy(predictions, targets) == np.mean(outcomes) == 0.5
    assert metrics.TOLERANCE == Decimal("0.05")


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="1 predictions for 2 targets"):
        relaxed_accuracy(["1"], ["1", "2"])
    with pytest.raises(TypeError, match="lists of strings"):
        relaxed_outcomes("1", ["1"])
    for accuracy in (relaxed_accuracy, relaxed_accuracy_swapped):
        with pytest.raises(ValueError, match="no predictions"):
            accuracy([], [])
    with pytest.raises(ValueError, match="the target is empty"):
        relaxed_accuracy(["", "1"], ["", "1"])
