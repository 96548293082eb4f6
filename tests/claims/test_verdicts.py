"""Verdicts from measured and recorded numbers, with results recorded as a notebook records them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msig_lib import claims
from msig_lib.claims import Claim, ClaimError, decide, recorded, regress, table
from msig_lib.runs import results
from msig_lib.stats import paired_interval

CHAPTER = "ch02_extreme_classification"


def claim(name="a-beats-b", **changes):
    test = {
        "metric": "f1",
        "data": "docs",
        "a": {"method": "a"},
        "b": {"method": "b"},
        "direction": "greater",
        "smallest_effect": 0.01,
    }
    fields = {
        "id": f"ch02-{name}",
        "chapter": CHAPTER,
        "where": "2.5",
        "statement": "a beats b.",
        "test": test,
    }
    test.update(changes.pop("test", {}))
    fields.update(changes)
    return Claim.model_validate({key: value for key, value in fields.items() if value is not None})


def measured(effect=0.2, n_seeds=3, n_items=60):
    rng = np.random.default_rng(0)
    log = results.open()
    for seed in range(n_seeds):
        base = rng.random(n_items)
        log.add("f1", base + effect + 0.05 * rng.normal(size=n_items), seed=seed, method="a", data="docs")
        log.add("f1", base, seed=seed, method="b", data="docs")
        log.add("f1", 1 - base, seed=seed, method="c", data="docs")
    log.check("it is wrong", True)
    log.check("it is not", False)
    return log


def one(some_claim, rows=None, tier="quick", **kwargs):
    return claims.evaluate([some_claim], {CHAPTER: rows or measured()}, tier, **kwargs)[0]


@pytest.mark.parametrize(
    ("direction", "estimate", "lo", "hi", "verdict"),
    [
        ("greater", 0.2, 0.1, 0.3, "reproduced"),
        ("greater", 0.2, -0.1, 0.5, "inconclusive"),
        ("greater", 0.04, 0.01, 0.08, "inconclusive"),  # above 0, and smaller than what matters
        ("greater", 0.02, 0.01, 0.04, "contradicted"),
        ("greater", -0.2, -0.3, -0.1, "contradicted"),
        ("less", -0.2, -0.3, -0.1, "reproduced"),
        ("less", 0.2, 0.1, 0.3, "contradicted"),
        ("less", -0.2, -0.5, 0.1, "inconclusive"),
        ("not_greater", 0.0, -0.02, 0.02, "reproduced"),
        ("not_greater", -0.2, -0.3, -0.1, "reproduced"),
        ("not_greater", 0.2, 0.1, 0.3, "contradicted"),
        ("not_greater", 0.03, -0.02, 0.08, "inconclusive"),
        ("equal", 0.0, -0.04, 0.04, "reproduced"),
        ("equal", 0.04, 0.02, 0.06, "inconclusive"),
        ("equal", 0.1, 0.06, 0.14, "contradicted"),
        ("equal", -0.1, -0.14, -0.06, "contradicted"),
        ("greater", 0.2, float("nan"), float("nan"), "inconclusive"),
    ],
)
def test_decisions(direction, estimate, lo, hi, verdict):
    assert decide(direction, estimate, lo, hi, smallest=0.05) == verdict


numbers = st.floats(-1, 1)


@given(st.tuples(numbers, numbers, numbers).map(sorted), st.floats(0.001, 0.5))
def test_directions_fit_together(interval, smallest):
    lo, estimate, hi = interval
    greater, less = (decide(d, estimate, lo, hi, smallest) for d in ("greater", "less"))
    assert decide("less", -estimate, -hi, -lo, smallest) == greater
    opposite = {"reproduced": "contradicted", "contradicted": "reproduced", "inconclusive": "inconclusive"}
    assert decide("not_greater", estimate, lo, hi, smallest) == opposite[greater]
    assert not (greater == less == "reproduced")
    if decide("equal", estimate, lo, hi, smallest) == "reproduced":
        assert greater == less == "contradicted"


def test_a_measured_claim_has_the_numbers_of_the_paired_interval():
    rows = measured()
    got = one(claim(), rows)
    a, b = (rows.matrix("f1", method=m, data="docs")[1] for m in "ab")
    assert got.verdict == "reproduced" and (got.n_seeds, got.n_items) == (3, 60)
    assert got.estimate == pytest.approx((a - b).mean()) == pytest.approx(got.a_mean - got.b_mean)
    want = paired_interval(a, b, rng=np.random.default_rng(99), n_boot=20_000)
    assert (got.lo, got.hi) == pytest.approx((want.lo, want.hi), abs=0.1 * (want.hi - want.lo))
    assert one(claim(), rows) == got and (got.tier, got.source) == ("quick", "measured")
    alone = claims.evaluate([claim("other"), claim()], {CHAPTER: rows}, "quick")[1]
    assert (alone.lo, alone.hi) == (got.lo, got.hi)


def test_other_comparisons():
    assert one(claim(test={"direction": "less"})).verdict == "contradicted"
    half = claim(test={"b": {"value": 0.5}})
    got = one(half)
    assert got.b_mean == 0.5 and got.verdict == "reproduced"
    rows = measured()
    rows.add("f1", np.zeros(60), method="fixed", data="docs")  # no seed: it stands beside every seed
    assert one(claim(test={"b": {"method": "fixed"}}), rows).n_seeds == 3
    rows.add("p", 0.25, method="b", data="docs")
    rows.add("p", 0.75, method="a", data="docs")
    single = one(claim(test={"metric": "p"}), rows)
    assert single.verdict == "inconclusive" and single.lo is None and "no interval" in single.reason


def test_ids_align_the_items():
    log = results.open()
    log.add("f1", [1.0, 2.0, 3.0, 4.0], ids="abcd", seed=0, method="a", data="docs")
    log.add("f1", [4.0, 3.0, 2.0, 1.0], ids="dcba", seed=0, method="b", data="docs")
    got = one(claim(), log)
    assert got.estimate == got.lo == got.hi == 0 and got.verdict == "contradicted"
    log.add("f1", [4.0, 3.0, 2.0, 1.0], ids="dcbx", seed=0, method="c", data="docs")
    with pytest.raises(ClaimError, match="different items"):
        one(claim(test={"b": {"method": "c"}}), log)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "f2"}, r"ch02-a-beats-b.*'f2'(.|\n)*f1"),
        ({"a": {"method": "aa"}}, r"ch02-a-beats-b.*'aa'(.|\n)*'a'"),
        ({"data": None}, "ch02-a-beats-b"),
        ({"a": {"seedless": True}}, "ch02-a-beats-b"),
    ],
)
def test_a_missing_row_is_an_error_that_lists_what_there_is(changes, message):
    with pytest.raises(ClaimError, match=message):
        one(claim(test=changes))


def test_seeds_and_items_must_pair():
    log = measured()
    log.add("f1", np.zeros(60), seed=7, method="d", data="docs")
    with pytest.raises(ClaimError, match=r"seeds \[0, 1, 2\].*\[7\]"):
        one(claim(test={"b": {"method": "d"}}), log)
    log.add("f1", np.zeros(59), method="e", data="docs")
    with pytest.raises(ClaimError, match="60 items and b 59"):
        one(claim(test={"b": {"method": "e"}}), log)


def test_checks():
    def checked(name, **kind):
        fields = claim().model_dump(exclude={"test", "kind"})
        return Claim.model_validate({**fields, "test": {"check": name}, **kind})

    assert one(checked("it is wrong")).verdict == "erratum"
    assert one(checked("it is not")).verdict == "inconclusive"
    assert one(checked("it is wrong", kind="claim")).verdict == "reproduced"
    assert one(checked("it is not", kind="claim")).verdict == "contradicted"
    with pytest.raises(ClaimError, match="recorded checks: it is wrong, it is not"):
        one(checked("it is strange"))


def test_what_is_not_attempted_says_what_it_takes():
    got = one(Claim.model_validate({**claim().model_dump(exclude={"test"}), "needs": "a GPU"}))
    assert (got.verdict, got.reason) == ("not attempted", "needs a GPU")
    smoke = one(claim(), tier="smoke")
    assert smoke.verdict == "not attempted" and smoke.estimate is None and "mean nothing" in smoke.reason
    slow = one(claim(tier="full"))
    assert slow.verdict == "not attempted" and f"msig run {CHAPTER} --tier full" in slow.reason
    absent = claims.evaluate([claim()], {}, "quick")[0]
    assert absent.verdict == "not attempted" and f"msig run {CHAPTER} --tier quick" in absent.reason
    with pytest.raises(ClaimError, match="smoke, quick, full, paper"):
        claims.evaluate([], {}, "fast")


def test_recorded_numbers_stand_in_for_slower_tiers(tmp_path):
    slow = claim(tier="full")
    there = one(slow, tier="full")
    recorded.write(CHAPTER, "full", [{"metric": "f1", "value": 1.0}], {"commit": "x"}, [there], tmp_path)
    records = recorded.read(tmp_path)
    got = one(slow, recorded=records)
    assert (got.tier, got.source) == ("full", "recorded")
    assert dataclasses.replace(got, source="measured") == there
    # the direction may change afterwards, what is measured may not
    turned = claim(tier="full", test={"direction": "less"})
    assert one(turned, recorded=records).verdict == "contradicted"
    other = claim(tier="full", test={"b": {"method": "c"}})
    stale = one(other, recorded=records)
    assert stale.verdict == "not attempted" and "for another test" in stale.reason
    # a quick run is preferred for a quick claim; without one, the record stands in
    assert one(claim(), recorded=records).source == "measured"
    assert claims.evaluate([claim()], {}, "quick", recorded=records)[0].source == "recorded"


def test_a_record_that_is_not_whole_is_an_error(tmp_path):
    records = {(CHAPTER, "full"): {"comparisons": {"ch02-a-beats-b": {"estimate": 1.0}}}}
    with pytest.raises(ClaimError, match=r"ch02-a-beats-b.*'lo'"):
        one(claim(tier="full"), recorded=records)
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(ClaimError, match="name like"):
        recorded.read(tmp_path)
    (tmp_path / "notes.json").rename(tmp_path / "ch02_x.full.json")
    with pytest.raises(ClaimError, match="lacks comparisons, provenance, rows"):
        recorded.read(tmp_path)
    (tmp_path / "ch02_x.full.json").write_text("{")
    with pytest.raises(ClaimError, match="cannot be read as JSON"):
        recorded.read(tmp_path)


def verdict(name, outcome, kind="claim"):
    some = (
        claim(name)
        if kind == "claim"
        else Claim.model_validate(
            {**claim(name).model_dump(exclude={"test", "kind"}), "test": {"check": "x"}}
        )
    )
    return claims.Verdict(some, outcome, "because")


def test_only_turned_verdicts_fail_the_build(tmp_path):
    path = tmp_path / "verdicts.json"
    before = [verdict("one", "reproduced"), verdict("two", "contradicted"), verdict("three", "inconclusive")]
    regress.record([*before, verdict("gone", "reproduced")], "quick", path)
    regress.record([verdict("one", "contradicted")], "full", path)
    ledger = regress.load(path)
    assert regress.compare(before, ledger, "full").failures  # tiers are apart
    now = [verdict("one", "contradicted"), verdict("two", "reproduced"), verdict("three", "reproduced")]
    found = regress.compare([*now, verdict("new", "inconclusive")], ledger, "quick")
    assert not found.ok and len(found.failures) == 2
    assert [note.split(":")[0] for note in found.notes] == ["ch02-three", "ch02-new", "ch02-gone"]
    soft = [verdict("one", "inconclusive"), verdict("two", "not attempted")]
    assert regress.compare(soft, ledger, "quick").ok
    assert regress.compare(now, ledger, "smoke") == claims.Regression()


def test_an_erratum_must_stay_shown(tmp_path):
    assert not regress.compare([verdict("e", "inconclusive", "erratum")], {}, "quick").ok
    assert regress.compare([verdict("e", "not attempted", "erratum")], {}, "quick").ok
    assert regress.compare([verdict("e", "erratum", "erratum")], {}, "quick").ok


def test_recording_keeps_what_was_not_run(tmp_path):
    path = tmp_path / "verdicts.json"
    regress.record([verdict("one", "reproduced"), verdict("two", "contradicted")], "quick", path)
    regress.record([verdict("one", "not attempted"), verdict("two", "inconclusive")], "quick", path)
    assert regress.load(path) == {"quick": {"ch02-one": "reproduced", "ch02-two": "inconclusive"}}
    with pytest.raises(ClaimError, match="smoke"):
        regress.record([], "smoke", path)
    path.write_text('{"quick": {"ch02-one": "fine"}}')
    with pytest.raises(ClaimError, match="record again"):
        regress.load(path)
    assert regress.load(tmp_path / "none.json") == {}


def test_tables():
    paper = {"metric": "F1", "a": 0.31, "b": 0.25, "data": "EURLex-4K"}
    verdicts = [
        one(claim(paper=paper, anchor="results")),
        one(claim("slow", tier="full")),
        one(claim("down", test={"direction": "less"})),
    ]
    full = table.scorecard(verdicts)
    assert list(full.columns) == list(table.COLUMNS) and len(full) == 3
    first = full.iloc[0]
    assert first["thesis"] == "0.31 against 0.25 (F1, EURLex-4K)" and first["link"] == f"{CHAPTER}#results"
    assert (first["a"], first["b"], first["n_seeds"]) == ("a", "b", 3)
    assert first["here"].startswith(f"{verdicts[0].a_mean:.3f} against") and "[+0." in first["here"]
    assert full.iloc[1]["tier"] == "full" and "msig run" in full.iloc[1]["here"]
    by = table.counts(verdicts)
    assert by.loc[CHAPTER].to_dict() == {
        "reproduced": 1,
        "contradicted": 1,
        "inconclusive": 0,
        "not attempted": 1,
        "erratum": 0,
    }
    assert list(table.counts(verdicts, by="tier").index) == ["quick", "full"]
    assert list(table.claims_table(verdicts, CHAPTER)) == [
        "Claim",
        "Where",
        "Thesis",
        "Here",
        "Verdict",
        "Tier",
    ]
    assert table.claims_table(verdicts, "ch03_x").empty and table.counts([]).empty


def test_a_claim_on_a_data_set_that_is_not_here_is_not_attempted(monkeypatch):
    from msig_lib import datasets

    one = claim(test={"data": "ag_news"})
    monkeypatch.setattr(datasets, "names", lambda: ["ag_news"])
    monkeypatch.setattr(datasets, "available", lambda name: (False, "not fetched"))
    (verdict,) = claims.evaluate([one], {CHAPTER: measured()}, "quick")
    assert verdict.verdict == "not attempted" and "msig data fetch ag_news" in verdict.reason
    recorded_numbers = {"comparisons": {one.id: dict(_numbers(), test=one.fingerprint())}}
    (verdict,) = claims.evaluate(
        [one], {CHAPTER: measured()}, "quick", recorded={(CHAPTER, "full"): recorded_numbers}
    )
    assert verdict.verdict == "reproduced" and verdict.source == "recorded"


def test_a_run_without_rows_of_a_data_set_that_is_here_is_a_mistake(monkeypatch):
    from msig_lib import datasets

    monkeypatch.setattr(datasets, "names", lambda: ["ag_news"])
    monkeypatch.setattr(datasets, "available", lambda name: (True, "in the mirror"))
    with pytest.raises(ClaimError, match="ag_news"):
        claims.evaluate([claim(test={"data": "ag_news"})], {CHAPTER: measured()}, "quick")


def _numbers():
    sides = {"a_mean": 0.7, "b_mean": 0.5}
    return {"estimate": 0.2, "lo": 0.1, "hi": 0.3, "n_seeds": 5, "n_items": 60} | sides
