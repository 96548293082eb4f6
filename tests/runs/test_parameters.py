"""Parameters: plain values from the tagged cell, typed, and errors that list what is valid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_checkout import notebook

from msig_lib.runs import parameters

DEFAULTS = {"tier": "quick", "n": 3, "rate": 0.1, "on": False, "name": "x", "seeds": [0, 1], "device": None}


def cell(path: Path, source: str) -> Path:
    place = path / "ch01.ipynb"
    place.write_text(json.dumps(notebook(("markdown", "# T"), ("code", source, ["parameters"]))))
    return place


def test_the_tagged_cell_is_read_without_being_run(tmp_path):
    source = "# sizes\nn = 3\nrate = -1e-3  # per step\non = True\nname = 'x'\nseeds = [0, 1]\ndevice = None"
    assert parameters.read(cell(tmp_path, source)) == {
        "n": 3, "rate": -1e-3, "on": True, "name": "x", "seeds": [0, 1], "device": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("n = 2 * 3", "plain value"),
        ("n = len('abc')", "plain value"),
        ("import os", "only `name = value`"),
        ("a = b = 3", "only `name = value`"),
        ("n: int = 3", "only `name = value`"),
        ("n = {'a': 1}", "flat list"),
        ("n = [[1]]", "flat list"),
        ("n = 1\nn = 2", "line 2: n is set twice"),
        ("n = ", "line 1"),
    ],
)
def test_anything_else_in_the_cell_is_an_error_that_names_the_notebook(tmp_path, source, says):
    with pytest.raises(parameters.ParameterError) as caught:
        parameters.read(cell(tmp_path, source))
    assert "ch01.ipynb" in str(caught.value) and says in str(caught.value)


def test_one_parameters_cell_is_needed(tmp_path):
    place = tmp_path / "ch01.ipynb"
    place.write_text(json.dumps(notebook(("code", "n = 1"))))
    with pytest.raises(parameters.ParameterError, match="exactly one cell"):
        parameters.read(place)


@given(
    n=st.integers(),
    rate=st.floats(allow_nan=False, allow_infinity=False),
    on=st.booleans(),
    seeds=st.lists(st.integers(0, 99)),
    name=st.from_regex(r"[A-Za-z][\w./-]{0,9}", fullmatch=True).filter(
        lambda s: s.lower() not in ("none", "null")
    ),
)
def test_text_of_the_command_line_becomes_the_default_s_type(n, rate, on, seeds, name):
    given = {"n": str(n), "rate": repr(rate), "on": str(on), "seeds": str(seeds), "name": name}
    values = parameters.resolve("ch01", DEFAULTS, "quick", {}, given)
    assert values == {**DEFAULTS, "n": n, "rate": rate, "on": on, "seeds": seeds, "name": name}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("seeds", "4,5", [4, 5]),
        ("seeds", "7", [7]),
        ("rate", "2", 2.0),
        ("on", "yes", True),
        ("device", "cuda", "cuda"),
        ("device", "3", 3),
        ("n", "none", None),
        ("name", "'none'", "none"),
        ("name", "", ""),
    ],
)
def test_forms_that_are_accepted(name, text, value):
    got = parameters.resolve("ch01", DEFAULTS, "quick", {}, {name: text})[name]
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("n", "1.5", "n must be int like 3, was given '1.5'"),
        ("n", "many", "int"),
        ("on", "maybe", "bool"),
        ("seeds", "a,b", "a list of int"),
        ("seeds", "[0, 1.5]", "a list of int"),
        ("tier", "full", "--tier"),
    ],
)
def test_a_wrong_type_says_what_was_expected_and_given(name, value, says):
    with pytest.raises(parameters.ParameterError) as caught:
        parameters.resolve("ch01", DEFAULTS, "quick", {}, {name: value})
    assert says in str(caught.value)


@pytest.mark.parametrize("of_tier", [{"n": True}, {"n": 1.0}, {"on": 1}, {"seeds": 3}, {"name": 3}])
def test_a_tier_s_values_are_checked_too(of_tier):
    with pytest.raises(parameters.ParameterError, match=r"tiers/quick\.yml"):
        parameters.resolve("ch01", DEFAULTS, "quick", of_tier)


def test_an_unknown_parameter_lists_the_valid_ones_with_their_defaults():
    with pytest.raises(parameters.ParameterError) as caught:
        parameters.resolve("ch01", DEFAULTS, "quick", {}, {"rat": "1"})
    assert "did you mean 'rate'?" in str(caught.value) and "seeds = [0, 1]" in str(caught.value)


def test_what_is_given_wins_over_the_tier_and_the_tier_over_the_default():
    values = parameters.resolve("ch01", DEFAULTS, "full", {"n": 5, "rate": 1}, {"rate": "2"})
    assert (values["n"], values["rate"], values["tier"], values["name"]) == (5, 2.0, "full", "x")


@pytest.mark.parametrize("options", [["n"], ["=3"], ["n=1", "n=2"], ["a b=1"]])
def test_options_of_another_form_are_refused(options):
    with pytest.raises(parameters.ParameterError):
        parameters.from_options(options)
