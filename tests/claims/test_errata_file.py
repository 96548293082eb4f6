"""The errata file: its form, and that what it says is shown by something that exists."""

from __future__ import annotations

import json

import pytest

from msig_lib import claims
from msig_lib.claims import ClaimError, errata, table

ENTRY = """
- id: ch02-e01
  chapter: ch02_extreme_classification
  where: "2.3.3"
  says: "One thing."
  right: "Another."
  shown_by: SHOWN
"""


def entries(tmp_path, shown, text=ENTRY):
    path = tmp_path / "errata.yml"
    path.write_text(text.replace("SHOWN", shown))
    return errata.load(path)


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text("def test_it():\n    pass\n\n\ndef helper():\n    pass\n")
    cells = [
        {"cell_type": "markdown", "source": ["(the-target)=\n", "## The *loss*, printed\n"], "metadata": {}},
        {"cell_type": "code", "source": [], "metadata": {"tags": ["shows-it"], "name": "named"}, "id": "c1"},
    ]
    (tmp_path / "notebooks" / "ch02_x.ipynb").write_text(json.dumps({"cells": cells}))
    return tmp_path


@pytest.mark.parametrize(
    "shown",
    [
        "tests/test_x.py::test_it",
        "ch02_x#shows-it",
        "ch02_x#named",
        "ch02_x#the-target",
        "notebooks/ch02_x.ipynb#the-loss-printed",
        "[ch02_x#shows-it, 'tests/test_x.py::test_it[case]']",
    ],
)
def test_what_shows_an_erratum_is_found(checkout, shown):
    assert errata.problems(entries(checkout, shown), root=checkout) == []


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ("tests/test_x.py::test_that", "no such test; tests/test_x.py has test_it"),
        ("tests/test_x.py::helper", "no such test"),
        ("tests/test_y.py::test_it", "no test file"),
        ("ch02_x#elsewhere", "no such anchor; it has"),
        ("ch03_x#shows-it", "no notebook ch03_x.ipynb"),
        ("the proof", "expected notebook#anchor"),
    ],
)
def test_what_shows_nothing_is_told(checkout, shown, message):
    (wrong,) = errata.problems(entries(checkout, shown), root=checkout)
    assert wrong.startswith("erratum ch02-e01: ") and message in wrong


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("says:", "said:", "erratum ch02-e01: (says: Field required|said: Extra)"),
        ("SHOWN", "[]", "shown_by"),
        ("id: ch02-e01", "id: e01", "erratum e01: id"),
        ("id: ch02-e01", "id: ch03-e01", "differ"),
    ],
)
def test_mistakes_in_the_file(tmp_path, old, new, message):
    with pytest.raises(ClaimError, match=message):
        entries(tmp_path, "x#y", ENTRY.replace(old, new))
    with pytest.raises(ClaimError, match="used already"):
        entries(tmp_path, "x#y", ENTRY + ENTRY)


def test_the_claim_of_an_erratum_must_be_one(tmp_path):
    (entry,) = entries(tmp_path, "x#y", ENTRY + "  claim: ch02-wrong\n")
    fields = {"chapter": "ch02_x", "where": "2", "statement": "s"}
    right = claims.Claim.model_validate({"id": "ch02-wrong", "test": {"check": "c"}, **fields})
    plain = claims.Claim.model_validate({"id": "ch02-wrong", "needs": "n", **fields})
    other = claims.Claim.model_validate({"id": "ch02-other", "needs": "n", **fields})
    assert [len(errata.problems([entry], [one])) for one in (right, plain, other)] == [1, 2, 2]


def test_the_books_errata_are_shown():
    found = errata.load()
    assert errata.problems(found, claims.load()) == []
    assert len([entry for entry in found if entry.chapter.startswith("ch02")]) >= 10
    assert len(table.errata_table(found)) == len(found)
