"""What the chapter says of its results: sentences whose numbers and verdicts come from the log.

Each takes this run's log and, to fill in what it lacks, a recorded one (marked with a dagger), and returns "" where
nothing was measured. Differences are paired by seed and question, with 95% intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from msig_lib.stats.measured import RECORDED, differences, intervals
from msig_lib.stats.told import listed, points, told, verdict
from msig_lib.videoqa import thesis
from msig_lib.videoqa.figures import DOMAINS
from msig_lib.videoqa.shown import (
    CONTROLS,
    MODELS,
    capital,
    epochs,
    evidence,
    of_model,
    ranked,
)

THESIS_GAINS = {"in": thesis.TABLE_6_2, "out": thesis.TABLE_6_3}


def world(now: Any, recorded: Any = None) -> str:
    """Return how far one gets without a look at the clip."""
    found = intervals(now, "guess", recorded, study="world")
    if not len(found):
        return ""
    best = found.loc[found["value"].idxmax()]
    return (
        f"Over all kinds of question, the most frequent answer is right in **{found['value'].mean():.0%}** on the "
        f"mean, at most in {best['value']:.0%} (“{best['kind']}”)."
    )


def results(now: Any, recorded: Any = None) -> str:
    """Return what each row of tables 6.2 and 6.3 changes, in both domains, beside the thesis's change."""
    pairs, theirs = {}, {}
    asked = [("dpo", "sft"), ("image", "sft"), ("other", "sft"), ("self-play", "sft"), ("dpo-projector", "dpo"),
             ("dpo-small-rate", "dpo")]  # fmt: skip
    for model, over in asked:
        for domain, words in DOMAINS.items():
            name = f"{MODELS[model]} against {MODELS[over]}, {words}"
            pairs[name] = (of_model(model, domain), of_model(over, domain))
            printed = THESIS_GAINS[domain]
            if model in printed and over in printed:
                change = thesis.mean(thesis.accuracies(printed[model])) - thesis.mean(
                    thesis.accuracies(printed[over])
                )
                theirs[name] = f"; thesis {change:+.1f}"
    found = differences(now, "accuracy", pairs, recorded)
    return "\n".join(f"- {name}: {told(row)}{theirs.get(name, '')}" for name, row in found.iterrows())


def controls(now: Any, recorded: Any = None) -> str:
    """Return DPO against its controls, in both domains."""
    pairs = {
        f"DPO against {MODELS[control].removeprefix('DPO, ')}, {words}": (
            of_model("dpo", domain),
            of_model(control, domain),
        )
        for control in CONTROLS
        for domain, words in DOMAINS.items()
    }
    return listed(differences(now, "accuracy", pairs, recorded))


def sampled(now: Any, recorded: Any = None) -> str:
    """Return what DPO does to answers drawn at temperature 1, beside its effect on greedy ones."""
    pairs = {
        f"{name}, {words}": (of_model(model, domain), of_model(start, domain))
        for model, start, name in (
            ("dpo", "sft", "DPO"),
            ("winners", "sft", "the chosen answers alone"),
            ("dpo-early", "sft-early", "DPO from a student that stopped early"),
        )
        for domain, words in DOMAINS.items()
    }
    return listed(differences(now, "sampled", pairs, recorded))


def early(now: Any, recorded: Any = None) -> str:
    """Return what DPO does to a student that stopped SFT early, beside the chosen answers alone and more SFT."""
    lines = []
    for domain, words in DOMAINS.items():
        of = {
            "DPO against no more training": ("dpo-early", "sft-early"),
            "DPO against the chosen answers alone": ("dpo-early", "winners-early"),
            "The whole SFT against the early student": ("sft", "sft-early"),
        }
        pairs = {
            f"{name}, {words}": (of_model(a, domain), of_model(b, domain)) for name, (a, b) in of.items()
        }
        lines.append(listed(differences(now, "accuracy", pairs, recorded)))
    return "\n".join(line for line in lines if line)


def score_lost(now: Any, recorded: Any = None) -> str:
    """Return where the mean score rose by less than the accuracy, in the thesis and here: then answers lost score."""
    lost = thesis.least_score_lost(thesis.TABLE_6_3["sft"], thesis.TABLE_6_3["dpo"])
    sets = [
        f"{name} (by {value:.2f} a question at the least)"
        for name, value in zip(thesis.OUT, lost)
        if value > 0
    ]
    lines = [f"- In table 6.3, answers must have lost score on {' and '.join(sets)}."]
    for domain, words in DOMAINS.items():
        pair = {"": (of_model("dpo", domain), of_model("sft", domain))}
        right, score = (differences(now, metric, pair, recorded) for metric in ("accuracy", "score"))
        if len(right) and len(score):
            gain, rise = right["value"].iloc[0], score["value"].iloc[0]
            mark = "†" * (score["origin"].iloc[0] == RECORDED)
            missing = f"; **{gain - rise:.2f}** a question were lost at the least" if rise < gain else ""
            lines.append(
                f"- Here, {words}, DPO changes the score by {rise:+.2f} with {100 * gain:+.1f} points{mark}{missing}."
            )
    return "\n".join(lines)


def peak(now: Any, recorded: Any = None) -> str:
    """Return where DPO's accuracy on test questions is highest on the way, and what it is at the end."""
    found = epochs(now, recorded)
    lines = []
    for domain, words in DOMAINS.items():
        own = found[found["domain"] == domain].sort_values("epoch") if len(found) else found
        if len(own) < 2:
            continue
        best, last = own.loc[own["value"].idxmax()], own.iloc[-1]
        mark = "†" * (best["origin"] == RECORDED)
        lines.append(
            f"- {capital(words)}: highest after {best['epoch']:.1f} epochs, **{best['value']:.1%}**; before "
            f"{own.iloc[0]['value']:.1%}, at the end, after {last['epoch']:.1f} epochs, {last['value']:.1%}{mark}."
        )
    return "\n".join(lines)


def peaks(frame: pd.DataFrame) -> dict[str, float]:
    """Return the epoch of the highest accuracy of each domain, for `figures.by_epochs`."""
    return {
        domain: float(own.loc[own["value"].idxmax(), "epoch"])
        for domain, own in frame.groupby("domain")
        if len(own)
    }


def ranker(now: Any, recorded: Any = None) -> str:
    """Return ranker against generator, greedy against sampled answers, and what the pool would have allowed."""
    found = ranked(now, recorded)
    if not len(found):
        return ""
    n = int(found["n"].max())
    lines = []
    for domain, words in DOMAINS.items():
        of = {"study": "ranker", "domain": domain}
        asked = {
            f"The best of {n} by the DPO ratio against the DPO model's own answer": (
                ("dpo ratio", n),
                ("dpo greedy", 1),
            ),
            f"The best of {n} by the DPO ratio against the best by the SFT probability": (
                ("dpo ratio", n),
                ("sft probability", n),
            ),
            f"The best of {n} by the DPO ratio against the majority": (("dpo ratio", n), ("majority", n)),
            "A greedy answer of the SFT model against a sampled one": (("sft greedy", 1), ("one sample", 1)),
        }
        pairs = {
            f"{name}, {words}": tuple({**of, "rule": rule, "n": k} for rule, k in sides)
            for name, sides in asked.items()
        }
        lines.append(listed(differences(now, "best_of_n", pairs, recorded)))
    return "\n".join(line for line in lines if line)


def ranker_in_the_thesis() -> str:
    """Return what 6.3.2 has of ranker and generator."""
    at = thesis.FIGURE_6_4
    return (
        f"The thesis has, on MSRVTT-QA, {at['sft sampled']:.1f} for one sample, {at['sft greedy']:.1f} for the greedy "
        f"answer, about {at['ranker, 64']:.0f} for the best of 64, and {at['dpo']:.2f} for the DPO model's own answer."
    )


def probabilities(frame: pd.DataFrame) -> str:
    """Return where chosen and rejected answers end by arm, of `shown.training`: the log-ratio of the last steps."""
    if not len(frame):
        return ""
    last = frame[frame["step"] > 0.9 * frame.groupby("arm")["step"].transform("max")]
    ends = last.groupby(["arm", "side"], sort=False)["value"].mean()
    lines = []
    for arm in dict.fromkeys(frame["arm"]):
        own, other = ends[arm, "chosen"], ends[arm, "rejected"]
        both = " Both fell." if own < 0 and other < 0 else ""
        lines.append(
            f"- {arm}: chosen **{own:+.2f}** nats, rejected {other:+.2f} against the reference.{both}"
        )
    return "\n".join(lines)


def side_effects(now: Any, recorded: Any = None) -> str:
    """Return whether DPO's answers are longer and invent more than those of SFT."""
    lines = []
    for domain, words in DOMAINS.items():
        pair = {"": (of_model("dpo", domain), of_model("sft", domain))}
        long, made_up = (differences(now, metric, pair, recorded) for metric in ("words", "invents"))
        if len(long) and len(made_up):
            row = made_up.iloc[0]
            mark = "†" * (row["origin"] == RECORDED)
            often = {"a gain": "more often", "a loss": "less often", "no difference": "as often"}
            said = often.get(verdict(row["value"], row["lo"], row["hi"]), "not decided")
            lines.append(
                f"- {capital(words)}: DPO changes the length of answers by {long['value'].iloc[0]:+.2f} words, and the "
                f"share that names what is not there by **{points(row['value'], row['lo'], row['hi'])}** "
                f"points{mark} ({said})."
            )
    return "\n".join(lines)


def taken_away(now: Any, recorded: Any = None) -> str:
    """Return what to remember: DPO's gain and its control, errors in captions, ranker and generator."""
    lines = []
    for domain, words in DOMAINS.items():
        found = differences(
            now,
            "accuracy",
            {
                "over SFT": (of_model("dpo", domain), of_model("sft", domain)),
                "over the chosen answers alone": (of_model("dpo", domain), of_model("winners", domain)),
            },
            recorded,
        )
        if len(found):
            parts = ", ".join(f"{name} {told(row)}" for name, row in found.iterrows())
            lines.append(f"DPO gains, {words}: {parts}.")
    same, gained = evidence(now, recorded)
    if len(gained):
        above = int((gained["lo"] > 0).sum())
        lines.append(
            f"Of {len(gained)} settings of errors in captions (kind, rate, domain), DPO gains in **{above}**, interval "
            f"and all; both judges agree on {same['value'].min():.0%} to {same['value'].max():.0%} of the answers."
        )
    found = ranked(now, recorded)
    if len(found):
        n = found["n"].max()
        for domain, words in DOMAINS.items():
            at = found[found["domain"] == domain].set_index(["rule", "n"])["value"]
            sides = [("dpo greedy", 1), ("dpo ratio", n), ("sft greedy", 1)]
            if all(side in at.index for side in sides):
                own, best, base = (at[side] for side in sides)
                lines.append(
                    f"{capital(words)}: the DPO model's own answer {own:.1%}, the best of {n} SFT answers "
                    f"by its ratio {best:.1%}, the SFT model's own {base:.1%}."
                )
    return "\n".join(f"- {line}" for line in lines)


def rates_of(frame: pd.DataFrame) -> Sequence[float]:
    """Return the error rates that a frame of `shown.evidence` has, in order."""
    return sorted({float(rate) for rate in frame["rate"] if np.isfinite(rate)}) if len(frame) else []
