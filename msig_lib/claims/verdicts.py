"""From measured or recorded numbers to verdicts; nobody types one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np

from msig_lib import datasets
from msig_lib.claims.schema import Check, Claim, ClaimError, Comparison, Direction, Side
from msig_lib.stats import Interval, paired_interval
from msig_lib.tiers import TIERS, Tier

Outcome = Literal["reproduced", "contradicted", "inconclusive", "not attempted", "erratum"]
OUTCOMES: tuple[Outcome, ...] = ("reproduced", "contradicted", "inconclusive", "not attempted", "erratum")
LEVEL = 0.95  # ours: the interval named on every page
N_BOOT = 2000  # ours: the ends move by about 3% of the interval's width between draws


class MeasuredRows(Protocol):
    """What a claim needs of a run's results (`msig_lib.runs.results.Results` has it)."""

    def matrix(self, metric: str, **factors: Any) -> tuple[Sequence[int | None], np.ndarray]: ...

    def checks(self) -> Mapping[str, bool]: ...


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict with the numbers it rests on; None where there is no number.

    `tier` is the tier the numbers are from, `source` whether they were measured in this build or recorded in
    book/recorded; `reason` says in words why it is this verdict.
    """

    claim: Claim
    verdict: Outcome
    reason: str
    estimate: float | None = None
    lo: float | None = None
    hi: float | None = None
    n_seeds: int | None = None
    n_items: int | None = None
    a_mean: float | None = None
    b_mean: float | None = None
    tier: Tier | None = None
    source: Literal["measured", "recorded"] | None = None


def decide(
    direction: Direction, estimate: float, lo: float, hi: float, smallest: float
) -> Literal["reproduced", "contradicted", "inconclusive"]:
    """Return the verdict on "a is `direction` than b" from the interval [lo, hi] of a - b.

    greater: reproduced when the interval is above 0 and the estimate reaches the smallest effect of interest;
    contradicted when the whole interval is under that effect. less is its mirror image. not_greater:
    reproduced when the whole interval is under the smallest effect, contradicted when "greater" would be
    reproduced. equal: reproduced when the interval lies within (-s, s), contradicted when it lies wholly
    beyond s or under -s. Everything else, an unknown interval (NaN) included, is inconclusive.
    """
    if not all(map(math.isfinite, (estimate, lo, hi))):
        return "inconclusive"
    if direction == "less":
        return decide("greater", -estimate, -hi, -lo, smallest)
    above, below = lo > 0 and estimate >= smallest, hi < smallest
    if direction == "greater":
        return "reproduced" if above else "contradicted" if below else "inconclusive"
    if direction == "not_greater":
        return "reproduced" if below else "contradicted" if above else "inconclusive"
    within, beyond = -smallest < lo and hi < smallest, lo > smallest or hi < -smallest
    return "reproduced" if within else "contradicted" if beyond else "inconclusive"


def evaluate(
    claims: Iterable[Claim],
    results: Mapping[str, MeasuredRows],
    tier: Tier,
    *,
    recorded: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
    n_boot: int = N_BOOT,
) -> list[Verdict]:
    """Return one verdict per claim from the `results` of each chapter's run at `tier`.

    A claim that this run cannot test takes the comparison in `recorded` (see `recorded.read`), keyed by
    chapter and tier, from the highest tier that has one. Each claim's resampling is seeded from the SHA-256
    of its id, so a verdict does not depend on the other claims. Raises ClaimError when a run lacks a row that
    a claim of its tier names.
    """
    if tier not in TIERS:
        raise ClaimError(f"tier {tier!r}; use one of {', '.join(TIERS)}.")
    return [_verdict(claim, results, tier, recorded or {}, n_boot) for claim in claims]


def _verdict(
    claim: Claim,
    results: Mapping[str, MeasuredRows],
    tier: Tier,
    recorded: Mapping[tuple[str, str], Mapping[str, Any]],
    n_boot: int,
) -> Verdict:
    if claim.test is None:
        return Verdict(claim, "not attempted", f"needs {claim.needs}")
    if tier == "smoke":
        return Verdict(claim, "not attempted", "smoke tier: its numbers mean nothing")
    run = f"msig run {claim.chapter} --tier {claim.tier if _above(claim.tier, tier) else tier}"
    absent = _absent_data(claim, results.get(claim.chapter))
    if claim.chapter in results and not _above(claim.tier, tier) and absent is None:
        return measure(claim, results[claim.chapter], tier, n_boot)
    stale = ""
    for at in reversed(TIERS):
        numbers = recorded.get((claim.chapter, at), {}).get("comparisons", {}).get(claim.id)
        if numbers is None or _above(claim.tier, at):
            continue
        if numbers.get("test", claim.fingerprint()) == claim.fingerprint():
            return from_recorded(claim, numbers, at)
        stale = f"; the numbers recorded at tier {at} were for another test"
    if absent and not _above(claim.tier, tier):
        return Verdict(
            claim, "not attempted", f"needs the data set {absent}: msig data fetch {absent}{stale}"
        )
    why = f"needs tier {claim.tier}" if _above(claim.tier, tier) else f"{claim.chapter} was not run at {tier}"
    return Verdict(claim, "not attempted", f"{why}: {run}{stale}")


def _absent_data(claim: Claim, rows: MeasuredRows | None) -> str | None:
    """The optional data set that a claim is about and that a run did without, if so.

    A run without any row of a set that *is* at hand is a mistake of the notebook, which `measure` reports.
    """
    if rows is None or not isinstance(claim.test, Comparison):
        return None
    sides = (claim.test.factors, claim.test.a.factors, claim.test.b.factors)
    for name in {str(factors["data"]) for factors in sides if "data" in factors}:
        measured = any(row.factors.get("data") == name for row in getattr(rows, "rows", ()))
        if not measured and name in datasets.names() and not datasets.available(name)[0]:
            return name
    return None


def _above(one: Tier, other: str) -> bool:
    return TIERS.index(one) > TIERS.index(other)  # type: ignore[arg-type]


def measure(claim: Claim, rows: MeasuredRows, tier: Tier, n_boot: int = N_BOOT) -> Verdict:
    """Return the verdict on a claim from a run's rows; raises ClaimError when they do not answer it."""
    if isinstance(claim.test, Check):
        held = rows.checks()
        if claim.test.check not in held:
            raise ClaimError(
                f"claim {claim.id}: no check {claim.test.check!r} was recorded in {claim.chapter}; "
                f"recorded checks: {', '.join(held) or 'none'}."
            )
        return _from_check(claim, held[claim.test.check], tier, "measured")
    test = claim.test
    if not isinstance(test, Comparison):
        raise ClaimError(f"claim {claim.id} has no test; it cannot be measured.")
    seeds_a, a, ids_a = _rows(claim, test, test.a, rows)
    if test.b.value is not None:
        b = np.full((1, a.shape[1]), float(test.b.value))
    else:
        seeds_b, b, ids_b = _rows(claim, test, test.b, rows)
        a, b = _pair_seeds(claim, seeds_a, a, seeds_b, b)
        b = _pair_items(claim, a, ids_a, b, ids_b)
    digest = hashlib.sha256(claim.id.encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    try:
        interval = paired_interval(a, b, rng=rng, level=LEVEL, n_boot=n_boot)
    except ValueError as error:
        raise ClaimError(f"claim {claim.id}: {error}") from None
    # Side means over the items that were compared, so that they differ by the estimate.
    x, y = np.broadcast_arrays(a, b)
    valid = np.isfinite(x - y)
    a_mean, b_mean = (float(np.mean([r[v].mean() for r, v in zip(side, valid)])) for side in (x, y))
    return _from_interval(claim, interval, a_mean, b_mean, tier, "measured")


def from_recorded(claim: Claim, numbers: Mapping[str, Any], tier: Tier) -> Verdict:
    """Return the verdict on a claim from its recorded comparison; raises ClaimError when it is not whole."""
    try:
        if isinstance(claim.test, Check):
            return _from_check(claim, bool(numbers["passed"]), tier, "recorded")
        known = {
            key: math.nan if numbers[key] is None else float(numbers[key]) for key in ("estimate", "lo", "hi")
        }
        interval = Interval(**known, n_seeds=int(numbers["n_seeds"]), n_items=int(numbers["n_items"]))
        sides = float(numbers["a_mean"]), float(numbers["b_mean"])
    except (KeyError, TypeError, ValueError) as error:
        raise ClaimError(
            f"claim {claim.id}: its numbers recorded at tier {tier} lack {error}; record again."
        ) from None
    return _from_interval(claim, interval, *sides, tier, "recorded")


def _from_check(claim: Claim, held: bool, tier: Tier, source: Literal["measured", "recorded"]) -> Verdict:
    name = claim.test.check if isinstance(claim.test, Check) else ""
    if claim.kind == "erratum":
        outcome: Outcome = "erratum" if held else "inconclusive"
        reason = f"check {name}: " + ("shown" if held else "no longer holds, so the error is not shown")
    else:
        outcome = "reproduced" if held else "contradicted"
        reason = f"check {name}: " + ("holds" if held else "does not hold")
    return Verdict(claim, outcome, reason, tier=tier, source=source)


def _from_interval(
    claim: Claim,
    got: Interval,
    a_mean: float,
    b_mean: float,
    tier: Tier,
    source: Literal["measured", "recorded"],
) -> Verdict:
    test = claim.test
    outcome = decide(test.direction, got.estimate, got.lo, got.hi, test.smallest_effect)
    known = math.isfinite(got.lo)
    n = f"{got.n_seeds} seed{'s' * (got.n_seeds > 1)}, {got.n_items} item{'s' * (got.n_items > 1)}"
    spread = f"95% interval [{got.lo:.4g}, {got.hi:.4g}]" if known else "no interval from one number"
    reason = f"a - b = {got.estimate:.4g}, {spread}, smallest effect {test.smallest_effect:g}; {n}"
    verdict = Verdict(claim, outcome, reason, got.estimate, got.lo, got.hi, got.n_seeds, got.n_items)
    verdict = replace(verdict, a_mean=a_mean, b_mean=b_mean, tier=tier, source=source)
    return verdict if known else replace(verdict, lo=None, hi=None)


def _rows(
    claim: Claim, test: Comparison, side: Side, rows: MeasuredRows
) -> tuple[list[int | None], np.ndarray, list[str] | None]:
    metric, factors = side.metric or test.metric, {**test.factors, **side.factors}
    try:
        seeds, values = rows.matrix(metric, **factors)
    except (ValueError, KeyError) as error:
        raise ClaimError(f"claim {claim.id} ({claim.chapter}): {error}") from None
    ids = rows.ids(metric, **factors) if hasattr(rows, "ids") else None
    return list(seeds), np.atleast_2d(np.asarray(values, dtype=np.float64)), ids


def _pair_seeds(
    claim: Claim, seeds_a: list[int | None], a: np.ndarray, seeds_b: list[int | None], b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the seeds that both sides have; a single row without a seed stands beside every seed."""
    if seeds_a == seeds_b or [None] in (seeds_a, seeds_b):
        return a, b
    if set(seeds_a) != set(seeds_b):
        raise ClaimError(
            f"claim {claim.id}: a was measured with seeds {seeds_a} and b with {seeds_b}; "
            "measure both with the same seeds, or a method without randomness once with seed None."
        )
    return a, b[[seeds_b.index(seed) for seed in seeds_a]]


def _pair_items(
    claim: Claim, a: np.ndarray, ids_a: list[str] | None, b: np.ndarray, ids_b: list[str] | None
) -> np.ndarray:
    if ids_a is not None and ids_b is not None and ids_a != ids_b:
        if set(ids_a) != set(ids_b):
            odd = sorted(set(ids_a) ^ set(ids_b))[:3]
            raise ClaimError(f"claim {claim.id}: a and b have different items ({', '.join(odd)}, ...).")
        place = {name: at for at, name in enumerate(ids_b)}
        return b[:, [place[name] for name in ids_a]]
    if a.shape[1] != b.shape[1]:
        raise ClaimError(
            f"claim {claim.id}: a has {a.shape[1]} items and b {b.shape[1]}; "
            "a paired comparison needs the same items on both sides."
        )
    return b
