"""Reading claims: what is accepted, and that every mistake names file, claim and field."""

from __future__ import annotations

import pytest

from msig_lib import claims
from msig_lib.claims import ClaimError

GOOD = """
- id: ch02-keywords-beat-names
  chapter: ch02_extreme_classification
  where: "2.5.5, figure 2.4"
  statement: "Sixteen generated words describe a label better than its name alone."
  paper: {metric: macro-F1@5, a: 0.31, b: 1, data: EURLex-4K}
  anchor: results-lengths
  test:
    metric: tail_f1@5_all
    data: docstrings
    a: {method: depl}
    b: {method: de_ret}
    direction: greater
    smallest_effect: 0.01
- id: ch02-above-half
  chapter: ch02_extreme_classification
  where: "2"
  statement: "Above one half."
  tier: full
  test: {metric: p, a: {method: svm}, b: {value: 1}, direction: equal, smallest_effect: 0.1}
- id: ch02-misprint
  chapter: ch02_extreme_classification
  where: "2"
  statement: "Wrong."
  test: {check: it is wrong}
- id: ch02-later
  chapter: ch02_extreme_classification
  where: "2"
  statement: "Large."
  needs: "a GPU"
"""


def write(folder, text, name="ch02.yml"):
    (folder / name).write_text(text)
    return folder


def test_claims_are_read_whole(tmp_path):
    first, fixed, misprint, later = claims.load(write(tmp_path, GOOD))
    assert first.test.factors == {"data": "docstrings"}
    assert first.test.a.factors == {"method": "depl"} and first.tier == "quick" and first.kind == "claim"
    assert first.paper.b == 1 and fixed.test.b.value == 1 and not fixed.test.b.factors
    assert misprint.kind == "erratum" and later.test is None and later.needs == "a GPU"
    with pytest.raises(Exception, match="frozen"):
        first.where = "elsewhere"


def test_the_fingerprint_follows_what_is_measured_only(tmp_path):
    def one(text):
        return claims.load(write(tmp_path, text))[0].fingerprint()

    base = one(GOOD)
    assert one(GOOD.replace("Sixteen", "16")) == base == one(GOOD.replace("effect: 0.01", "effect: 0.02"))
    assert one(GOOD.replace("direction: greater", "direction: less")) == base
    assert one(GOOD.replace("tail_f1@5_all", "p@1")) != base != one(GOOD.replace("docstrings", "eurlex57k"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "direction: greater",
            "direction: bigger",
            r"ch02.yml, claim ch02-keywords-beat-names: test.direction",
        ),
        ("direction: greater", "directions: greater", "test.direction: Field required"),
        ("smallest_effect: 0.01", "smallest_effect: -1", "test.smallest_effect"),
        ("smallest_effect: 0.01", "smallest_effect: a lot", "test.smallest_effect"),
        ("a: {method: depl}", "a: {value: 0.5}", "fixed value on side b"),
        ("b: {method: de_ret}", "b: {method: depl}", "same rows"),
        ("b: {method: de_ret}", "b: {method: de_ret, value: 1}", "test.b: name factors"),
        ("b: {method: de_ret}", "b: {method: [1, 2]}", "test.b.method"),
        ("b: {method: de_ret}", "b: {method: de_ret, data: x}", "data: given for a side and in common"),
        ("anchor: results-lengths", "ancor: x", "ancor: Extra inputs"),
        ("macro-F1@5, a: 0.31", "macro-F1@5, a: high", "paper.a"),
        ("smallest_effect: 0.1}", "smallest_effect: 0}", "ch02-above-half: test.*above 0"),
        ("tier: full", "tier: huge", "ch02-above-half: tier"),
        ("tier: full", "tier: smoke", "smoke decides nothing"),
        ("id: ch02-later", "id: ch03-later", "different chapters"),
        ("id: ch02-later", "id: ch02-misprint", "id is used already in ch02.yml"),
        ("id: ch02-later", "id: later", "claim later: id"),
        ('  needs: "a GPU"', "", "exactly one of"),
        ('needs: "a GPU"', 'needs: "a GPU"\n  test: {check: x}', "exactly one of"),
        ("test: {check: it is wrong}", "kind: erratum\n  needs: x", "erratum is shown by"),
        ("test: {check: it is wrong}", "test: {check: x, seed: 1}", "test.seed: Extra"),
        ('where: "2.5.5, figure 2.4"', 'where: "1"\n  where: "2"', "'where' is given twice"),
        ("- id: ch02-later", "- ch02-later: [", "not readable as YAML"),
    ],
)
def test_a_mistake_names_file_claim_and_field(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(ClaimError, match=message):
        claims.load(write(tmp_path, GOOD.replace(old, new, 1)))


def test_all_mistakes_are_told_at_once(tmp_path):
    text = GOOD.replace("direction: greater", "direction: x").replace("tier: full", "tier: y")
    with pytest.raises(ClaimError, match=r"2 mistakes(.|\n)*beat-names: test.direction(.|\n)*half: tier"):
        claims.load(write(tmp_path, text))


def test_ids_are_unique_across_files_and_claims_in_their_file(tmp_path):
    write(tmp_path, GOOD)
    with pytest.raises(ClaimError, match=r"ch03.yml, claim ch02-later: belongs in ch02.yml"):
        claims.load(write(tmp_path, GOOD, "ch03.yml"))


def test_odd_files(tmp_path):
    with pytest.raises(ClaimError, match="no claims folder"):
        claims.load(tmp_path / "none")
    assert claims.load(write(tmp_path, "")) == []
    with pytest.raises(ClaimError, match="expected a list"):
        claims.load(write(tmp_path, "id: x"))
    with pytest.raises(ClaimError, match="claim number 1"):
        claims.load(write(tmp_path, "- 7"))


def test_the_books_own_claims_load():
    assert len(claims.load()) >= 12
