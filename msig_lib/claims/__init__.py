"""The ledger: what the thesis claims, what was measured, and the verdict that follows."""

from msig_lib.claims import errata, recorded, regress, table
from msig_lib.claims.errata import Erratum
from msig_lib.claims.regress import Regression
from msig_lib.claims.schema import Check, Claim, ClaimError, Comparison, Paper, Side, load
from msig_lib.claims.verdicts import LEVEL, OUTCOMES, Verdict, decide, evaluate
from msig_lib.tiers import TIERS

__all__ = [
    "LEVEL",
    "OUTCOMES",
    "TIERS",
    "Check",
    "Claim",
    "ClaimError",
    "Comparison",
    "Erratum",
    "Paper",
    "Regression",
    "Side",
    "Verdict",
    "decide",
    "errata",
    "evaluate",
    "load",
    "recorded",
    "regress",
    "table",
]
