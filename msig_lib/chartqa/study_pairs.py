"""The study, second half: pairs of traces (thesis 7.6.1), whom to believe (7.6.2), which token to blame (7.6.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from msig_lib.chartqa import evaluate, signal, tune
from msig_lib.chartqa.data import Charts
from msig_lib.chartqa.model import Learner
from msig_lib.chartqa.study import Plan, State, dev_accuracy, learner, tested
from msig_lib.preference.pairs import Pairs, shuffle_pairs
from msig_lib.preference.selection import agreeing
from msig_lib.preference.train import DPOTrained
from msig_lib.stats.measured import Measured

SAMPLES = (1, 2, 4, 8, 16, 32, 64)  # N of figure 7.5


@dataclass(frozen=True)
class Arm:
    """One way to learn from pairs; `other` draws the pairs from another model's traces (off-policy)."""

    objective: str = "dpo"
    winners: str = "outcome"
    shuffled: bool = False
    other: bool = False
    beta: float = 0.1
    limit: int | None = None
    per_question: int = 3

    @property
    def factors(self) -> dict[str, Any]:
        """The factors under which its rows are recorded; no cut is limit 0."""
        return {**asdict(self), "limit": self.limit or 0}


CONTROLS = (Arm(objective="nll"), Arm(shuffled=True))
"""What every row of DPO stands beside: learning the same winners alone, and pairs whose order is a coin's."""


@dataclass(frozen=True, eq=False)
class Preferred:
    """An arm's model: weights, what training did, and the learning rate that development questions chose."""

    arm: Arm
    state: State
    trained: DPOTrained
    rate: float


def prefer(
    plan: Plan,
    start: State,
    strength: float,
    arms: Sequence[Arm],
    seed: int,
    other: State | None = None,
) -> tuple[list[Measured], list[Preferred]]:
    """Train each arm on pairs of traces of the model in `start` and test it; rows carry its `strength`.

    Every arm, the controls as well, chooses its learning rate on development questions.
    """
    first = learner(plan, start)
    questions, charts = plan.ask("pool", plan.pool_questions)
    pool = signal.draw(first, questions, charts, plan.pool_samples, seed=seed)
    others = None
    if any(arm.other for arm in arms):
        if other is None:
            raise ValueError("an arm asks for another model's traces: give its weights as `other`")
        others = signal.draw(learner(plan, other), questions, charts, plan.pool_samples, seed=seed)
    named = {"study": "dpo", "strength": strength}
    found = tested(plan, first, seed, **named, model="before")
    found.append(Measured("sample_accuracy", float(pool.right.mean()), seed, named))
    made = []
    for arm in arms:
        drawn = others if arm.other else pool
        chosen = signal.pairs(drawn, seed=seed, winners=arm.winners, per_question=arm.per_question)
        if not len(chosen):
            continue
        if arm == Arm():
            found.append(Measured("pairs", float(len(chosen)), seed, named))
        pure = signal.purity(drawn, chosen.chosen)
        found.append(Measured("winner_right", pure, seed, {**named, **arm.factors}))
        chosen = shuffle_pairs(chosen, seed=seed) if arm.shuffled else chosen
        best = _best(plan, first, drawn, chosen, charts, arm, seed)
        found += tested(plan, learner(plan, best.state), seed, **named, model="after", **arm.factors)
        made.append(best)
    return found, made


def _best(
    plan: Plan, first: Learner, pool: signal.Pool, chosen: Pairs, charts: Charts, arm: Arm, seed: int
) -> Preferred:
    """Return the arm trained at the rate that is best on development questions, the smallest of equals."""
    settings = tune.PreferenceSettings(arm.objective, arm.beta, limit=arm.limit)
    tried = []
    for rate in sorted(plan.rates):
        how = replace(settings, learning_rate=rate)
        tuned, run = tune.prefer(first, pool, chosen, charts, how, seed=seed, on_policy=not arm.other)
        score = dev_accuracy(plan, tuned) if len(plan.rates) > 1 else 0.0
        tried.append((score, Preferred(arm, tuned.state(), run, rate)))
    return max(tried, key=lambda one: one[0])[1]


@dataclass(frozen=True, eq=False)
class Verified:
    """A pool of test traces and the token log-probabilities of each model on them, for figures and explorers."""

    pool: signal.Pool
    logprobs: dict[str, list[np.ndarray]]
    marked: evaluate.Marked


def verify(
    plan: Plan, start: State, strength: float, made: Sequence[Preferred], seed: int
) -> tuple[list[Measured], Verified]:
    """Judge N traces a question by each model against the one that wrote them (figures 7.5 and 7.6)."""
    first = learner(plan, start)
    questions, charts = plan.ask("test", plan.verified)
    pool = signal.draw(first, questions, charts, plan.verified_samples, seed=seed)
    logprobs = {"SFT": list(pool.logprobs)}
    logprobs |= {
        name_of(one.arm): tune.trace_logprobs(learner(plan, one.state), pool, charts) for one in made
    }
    before = np.array([row.sum() for row in pool.logprobs], dtype=np.float64)
    scores = {"SFT probability": before}
    for name, rows in list(logprobs.items())[1:]:
        after = np.array([row.sum() for row in rows], dtype=np.float64)
        scores[f"{name} ratio"] = after - before
        scores[f"{name} probability"] = after
    named, found = {"study": "verify", "strength": strength}, []
    n = [size for size in SAMPLES if size <= plan.verified_samples]
    for name, curve in evaluate.curves(pool, scores, n, seed=seed).items():
        for k, size in enumerate(curve.n.tolist()):
            factors = {**named, "verifier": name, "n": size}
            found.append(Measured("verified", curve.value[:, k], seed, factors))
    found.append(Measured("picked", pool.square(before).mean(1), seed, {**named, "verifier": "one sample"}))
    for name, score in scores.items():
        best = pool.square(score).argmax(1)[:, None]
        picked = np.take_along_axis(pool.square(before), best, 1)[:, 0]
        found.append(Measured("picked", picked, seed, {**named, "verifier": name}))
        within = evaluate.within_question_auc(pool, score)
        found.append(Measured("within_auc", within, seed, {**named, "verifier": name}))
    marked = evaluate.first_mistakes(pool)
    found += [replace(row, factors={**named, **row.factors}) for row in _blame(pool, marked, logprobs, seed)]
    return found, Verified(pool, logprobs, marked)


def name_of(arm: Arm) -> str:
    """Return what tables call an arm."""
    words = {"dpo": "DPO", "nll": "winners only", "both": "DPO + .3 NLL"}[arm.objective]
    extra = [
        "shuffled pairs" * arm.shuffled,
        {"outcome": "", "checked": "right traces win", "lucky": "lucky traces win"}[arm.winners],
        "another model's traces" * arm.other,
        f"beta {arm.beta:g}" * (arm.beta != 0.1),
        f"cut to {arm.limit}" * (arm.limit is not None),
        f"{arm.per_question} a question" * (arm.per_question != 3),
    ]
    return ", ".join([words, *filter(None, extra)])


def _blame(
    pool: signal.Pool, marked: evaluate.Marked, logprobs: dict[str, list[np.ndarray]], seed: int
) -> list[Measured]:
    """Rows of how often each rule's lowest token is a trace's first mistake, and chance."""
    if not len(marked.rows):
        return []
    before = [logprobs["SFT"][row] for row in marked.rows]
    rules = {"SFT probability": before}
    for name, rows in list(logprobs.items())[1:]:
        rules[f"{name} reward"] = [rows[row] - old for row, old in zip(marked.rows.tolist(), before)]
    found = []
    for name, rewards in rules.items():
        hit, chance = evaluate.found_first(pool, marked, rewards)
        found.append(Measured("first_mistake", hit, seed, {"rule": name}))
    found.append(Measured("first_mistake", chance, seed, {"rule": "chance"}))
    return found


def distil(plan: Plan, teacher: State, seed: int) -> list[Measured]:
    """Filter noisy annotations by a teacher that disagrees (12.1.2); the truth here is the chart's table.

    Controls: dropping as many at random.
    """
    questions, charts = plan.ask("filter", plan.filter_questions)
    annotations = signal.annotate(questions, plan.noise, seed=seed)
    teaches = evaluate.answer(learner(plan, teacher), questions, charts, "cot")
    said = [verdict.answer for verdict in teaches.verdicts]
    good = np.array([a == q.answer for a, q in zip(annotations, questions)])
    kept = agreeing(said, annotations)
    rng = np.random.default_rng(seed)
    rules = {"teacher agrees": kept, "as many at random": rng.permutation(kept)}
    sound = np.array([verdict.right for verdict in teaches.verdicts])
    found = [Measured("teacher_accuracy", teaches.right.astype(float), seed, {"study": "filter"})]
    found.append(Measured("kept_trace_right", np.where(kept, sound, np.nan), seed, {"study": "filter"}))
    for rule, kept_by in rules.items():
        for share, items in evaluate.filtered(kept_by, good).items():
            if np.isfinite(items).any():
                found.append(
                    Measured("filter", items, seed, {"study": "filter", "rule": rule, "share": share})
                )
    return found
