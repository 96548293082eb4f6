"""Verdicts as tables for pages and the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from msig_lib.claims.errata import Erratum
from msig_lib.claims.schema import Check, Claim, Comparison, Side
from msig_lib.claims.verdicts import OUTCOMES, Verdict
from msig_lib.tiers import TIERS

COLUMNS = (
    "claim",
    "chapter",
    "where",
    "statement",
    "kind",
    "paper_metric",
    "paper_data",
    "paper_a",
    "paper_b",
    "thesis",
    "metric",
    "a",
    "b",
    "a_mean",
    "b_mean",
    "difference",
    "lo",
    "hi",
    "here",
    "n_seeds",
    "n_items",
    "smallest_effect",
    "verdict",
    "tier",
    "source",
    "reason",
    "anchor",
    "link",
)
_TEXT = {"n_seeds": "Int64", "n_items": "Int64"}


def scorecard(verdicts: Iterable[Verdict], chapter: str | None = None) -> pd.DataFrame:
    """Return one line per claim with everything a page shows (columns: `COLUMNS`), of one chapter or all.

    `thesis` and `here` are ready texts ("0.310 against 0.250"; ours with the 95% interval of the difference);
    `tier` is the numbers' tier, or the one the claim needs; `link` is "chapter#anchor", empty without an
    anchor.
    """
    lines = [_line(verdict) for verdict in verdicts if chapter in (None, verdict.claim.chapter)]
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype(_TEXT)


def claims_table(verdicts: Iterable[Verdict], chapter: str) -> pd.DataFrame:
    """Return the table that closes a chapter: Claim, Where, Thesis, Here, Verdict, Tier (all text)."""
    full = scorecard(verdicts, chapter)
    names = {
        "statement": "Claim",
        "where": "Where",
        "thesis": "Thesis",
        "here": "Here",
        "verdict": "Verdict",
        "tier": "Tier",
    }
    return full[list(names)].rename(columns=names)


def counts(verdicts: Iterable[Verdict], by: str = "chapter") -> pd.DataFrame:
    """Return the number of claims per verdict (columns), one line per chapter (or `by="tier"`)."""
    if by not in ("chapter", "tier"):
        raise ValueError(f"by={by!r}; use 'chapter' or 'tier'.")
    full = scorecard(verdicts)
    table = pd.crosstab(full[by], full["verdict"]).reindex(columns=list(OUTCOMES), fill_value=0)
    if by == "tier":
        table = table.reindex([tier for tier in TIERS if tier in table.index])
    return table.rename_axis(index=by, columns=None).astype("int64")


def errata_table(errata: Sequence[Erratum], chapter: str | None = None) -> pd.DataFrame:
    """Return one line per erratum: id, chapter, where, says, right, shown_by (joined), claim."""
    names = ["id", "chapter", "where", "says", "right", "shown_by", "claim"]
    lines = [
        [*(getattr(entry, name) for name in names[:5]), ", ".join(entry.shown_by), entry.claim or ""]
        for entry in errata
        if chapter in (None, entry.chapter)
    ]
    return pd.DataFrame(lines, columns=names)


def _line(verdict: Verdict) -> dict[str, object]:
    claim, test = verdict.claim, verdict.claim.test
    comparison = test if isinstance(test, Comparison) else None
    paper = claim.paper
    return {
        "claim": claim.id,
        "chapter": claim.chapter,
        "where": claim.where,
        "statement": claim.statement,
        "kind": claim.kind,
        "paper_metric": paper.metric if paper else "",
        "paper_data": (paper.data or "") if paper else "",
        "paper_a": paper.a if paper else None,
        "paper_b": paper.b if paper else None,
        "thesis": _thesis(claim),
        "metric": comparison.metric
        if comparison
        else f"check {test.check}"
        if isinstance(test, Check)
        else "",
        "a": _side(comparison.a) if comparison else "",
        "b": _side(comparison.b) if comparison else "",
        "a_mean": verdict.a_mean,
        "b_mean": verdict.b_mean,
        "difference": verdict.estimate,
        "lo": verdict.lo,
        "hi": verdict.hi,
        "here": _here(verdict),
        "n_seeds": verdict.n_seeds,
        "n_items": verdict.n_items,
        "smallest_effect": comparison.smallest_effect if comparison else None,
        "verdict": verdict.verdict,
        "tier": verdict.tier or claim.tier,
        "source": verdict.source or "",
        "reason": verdict.reason,
        "anchor": claim.anchor or "",
        "link": f"{claim.chapter}#{claim.anchor}" if claim.anchor else "",
    }


def _side(side: Side) -> str:
    if side.value is not None:
        return f"{side.value:g}"
    parts = [str(value) if name == "method" else f"{name} {value}" for name, value in side.factors.items()]
    return ", ".join(([side.metric] if side.metric else []) + parts)


def _thesis(claim: Claim) -> str:
    paper = claim.paper
    if paper is None:
        return ""
    sides = [f"{value:g}" for value in (paper.a, paper.b) if value is not None]
    what = ", ".join(part for part in (paper.metric, paper.data) if part)
    return f"{' against '.join(sides)} ({what})" if sides else what


def _here(verdict: Verdict) -> str:
    if verdict.estimate is None or verdict.a_mean is None or verdict.b_mean is None:
        return verdict.reason if verdict.verdict == "not attempted" or verdict.source else ""
    text = f"{verdict.a_mean:.3f} against {verdict.b_mean:.3f}; difference {verdict.estimate:+.3f}"
    return text if verdict.lo is None else f"{text} [{verdict.lo:+.3f}, {verdict.hi:+.3f}]"
