"""The claims with their verdicts in words and numbers, and as CSV and JSON; `claims_table` shows them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from msig_lib.claims import Comparison, Paper, Verdict


@dataclass(frozen=True)
class Entry:
    """One claim with its verdict, as text and numbers (None where nothing was measured)."""

    id: str
    chapter: str
    where: str
    statement: str
    tier: str
    source: str
    anchor: str | None
    verdict: str
    thesis: str
    thesis_a: float | None
    thesis_b: float | None
    metric: str
    direction: str
    smallest_effect: float | None
    a: str  # what sets each side apart
    b: str
    settings: str  # the other factors of the sides
    a_mean: float | None
    b_mean: float | None
    estimate: float | None
    lo: float | None
    hi: float | None
    n_seeds: int | None
    n_items: int | None
    reason: str
    link: str  # the cell that measured it, "" when its chapter is not in this build


Names = Mapping[str, Mapping[str, str]]


def entries(verdicts: Iterable[Verdict], *, built: Container[str], names: Names | None = None) -> list[Entry]:
    """Return verdicts in the form of the pages; `built` names the chapters that have a page.

    `names` are {"metrics": ..., "values": ...}: how what the results abbreviate is written (book/names.yml).
    """
    return [_entry(verdict, built, of_chapter(names or {}, verdict.claim.chapter)) for verdict in verdicts]


def of_chapter(names: Names, chapter: str) -> Names:
    """Return `names` with those that only hold in a chapter ("ch05 kind=both") in the place of the general ones."""
    own = f"{chapter[:4]} "
    values = names.get("values", {})
    return {
        **names, "values": values | {k.removeprefix(own): v for k, v in values.items() if k.startswith(own)}
    }  # fmt: skip


def _entry(verdict: Verdict, built: Container[str], names: Names) -> Entry:
    claim = verdict.claim
    test = claim.test if isinstance(claim.test, Comparison) else None
    a, b, settings = _sides(test, names) if test else ("", "", "")
    page = f"{claim.chapter}.html" + (f"#{claim.anchor}" if claim.anchor else "")
    return Entry(
        id=claim.id,
        chapter=claim.chapter,
        where=claim.where,
        statement=claim.statement,
        tier=verdict.tier or claim.tier,
        source=verdict.source or "",
        anchor=claim.anchor,
        verdict=verdict.verdict,
        direction=test.direction if test else "",
        smallest_effect=test.smallest_effect if test else None,
        thesis=_thesis(claim.paper),
        thesis_a=claim.paper.a if claim.paper else None,
        thesis_b=claim.paper.b if claim.paper else None,
        metric=written(test.metric, names.get("metrics", {})) if test else "",
        a=a,
        b=b,
        settings=settings,
        a_mean=verdict.a_mean,
        b_mean=verdict.b_mean,
        estimate=verdict.estimate,
        lo=verdict.lo,
        hi=verdict.hi,
        n_seeds=verdict.n_seeds,
        n_items=verdict.n_items,
        reason=verdict.reason,
        link=page if claim.chapter in built else "",
    )


def _sides(test: Comparison, names: Names) -> tuple[str, str, str]:
    """Return what the two sides are in words, and the factors that do not set one apart from the other.

    Those are the factors that both share, and numbers and absences that the other side knows nothing of.
    """
    known = names.get("values", {})
    factors = [{k: v for k, v in side.factors.items() if v is not None} for side in (test.a, test.b)]
    words, rest, said = [], {}, set()
    for side, own, other in zip((test.a, test.b), factors, reversed(factors)):
        if side.value is not None:
            words.append("fixed value")
            continue
        apart = {k: v for k, v in own.items() if k not in other or other[k] != v}
        telling = {k: v for k, v in apart.items() if k in other or isinstance(v, str) or v is True}
        if not (telling or side.metric):
            telling = apart or own
        rest |= {factor(k, v, known): None for k, v in own.items() if k not in telling}
        told = [factor(k, v, known) for k, v in telling.items()]
        said.update(told)
        metric = [written(side.metric, names.get("metrics", {}))] if side.metric else []
        words.append(", ".join([*told, *metric]))
    return words[0], words[1], ", ".join(word for word in rest if word not in said)


def factor(name: str, value: object, known: Mapping[str, str]) -> str:
    """Return a factor's value; truth values and numbers say nothing without the factor's name."""
    name = name.replace("_", " ")  # `names` may tell one factor's value from another's: "form=direct"
    if isinstance(value, bool):
        return f"{'with' if value else 'without'} {name}"
    if not isinstance(value, str):
        return f"{name} {value:,g}"
    return known.get(f"{name}={value}") or written(value, known)


def written(text: str, known: Mapping[str, str]) -> str:
    return known.get(text, text.replace("_", " "))


def _thesis(paper: Paper | None) -> str:
    if paper is None:
        return ""
    sides = " against ".join(f"{value:g}" for value in (paper.a, paper.b) if value is not None)
    context = ", ".join(part for part in (paper.metric, paper.data) if part)
    return f"{sides} ({context})" if sides else context


def as_json(lines: Sequence[Entry], tier: str) -> str:
    """Return the ledger as JSON."""
    return (
        json.dumps({"tier": tier, "claims": [asdict(line) for line in lines]}, indent=1, ensure_ascii=False)
        + "\n"
    )


def as_csv(lines: Sequence[Entry]) -> str:
    """Return the ledger as CSV, one claim a line."""
    buffer = io.StringIO()
    names = list(Entry.__dataclass_fields__)
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
    return buffer.getvalue()
