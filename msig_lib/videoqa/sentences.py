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
from msig_lib.videoqa.figures import DOMAINS, KINDS
from msig_lib.videoqa.shown import (
    CONTROLS,
    MODELS,
    captions,
    epochs,
    evidence,
    judged,
    of_model,
    ranked,
    ranks,
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
                f"- Here, {words}, DPO raises the score by {rise:+.2f} with {100 * gain:+.1f} points{mark}{missing}."
            )
    return "\n".join(lines)


def signal(now: Any, recorded: Any = None) -> str:
    """Return how the two judges agree on the answers that the pairs come from, and what the pairs are by the clip."""
    names = ("same_side", "spearman", "pairs", "pair_right", "pair_reversed")
    found = {name: intervals(now, name, recorded, study="signal") for name in names}
    at = {name: rows.iloc[0]["value"] for name, rows in found.items() if len(rows)}
    if not {"same_side", "pairs"} <= set(at):
        return ""
    mark = "†" * (found["same_side"]["origin"].iloc[0] == RECORDED)
    told = f"The judges put **{at['same_side']:.1%}** of the answers on one side"
    if "spearman" in at:
        told += f" (rank correlation of the scores {at['spearman']:.2f})"
    told += f". The caption's judge gives {at['pairs']:,.0f} pairs a seed"
    if {"pair_right", "pair_reversed"} <= set(at):
        rest = 1 - at["pair_right"] - at["pair_reversed"]
        told += (
            f": by the clip **{at['pair_right']:.1%}** are the right way round, {at['pair_reversed']:.1%} reversed, "
            f"and in {rest:.1%} both answers are right or both wrong"
        )
    return f"{told}{mark}."


def agreement(now: Any, recorded: Any = None) -> str:
    """Return how errors in captions change the agreement of the judges and DPO's gain, for each kind of error."""
    same, gained = evidence(now, recorded)
    lines = []
    for kind, words in KINDS.items():
        own = same[same["kind"] == kind].sort_values("rate") if len(same) else same
        if not len(own):
            continue
        first, last, of = own.iloc[0], own.iloc[-1], "of each" if kind == "both" else words
        parts = [
            f"with {first['rate']:.0%} and with {last['rate']:.0%} {of}, the judges agree on "
            f"**{first['value']:.1%}** and **{last['value']:.1%}** of the answers"
        ]
        for domain, where in DOMAINS.items():
            gain = gained[(gained["kind"] == kind) & (gained["domain"] == domain)].sort_values("rate")
            if len(gain):
                ends = " and ".join(points(r.value, r.lo, r.hi) for r in gain.iloc[[0, -1]].itertuples())
                parts.append(f"DPO gains {ends} points {where}{_until(gain)}")
        mark = "†" * (first["origin"] == RECORDED)
        lines.append(f"- {_capital('; '.join(parts))}{mark}.")
    return "\n".join(lines)


def _until(gain: pd.DataFrame) -> str:
    """Return up to which rate every gain's whole interval is above 0."""
    above = (gain["lo"] > 0).tolist()
    rates = gain["rate"].tolist()
    if not above[0]:
        return " (even the first not surely a gain)"
    stop = above.index(False) if False in above else len(above)
    return f" (surely a gain up to {rates[stop - 1]:.0%})"


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
            f"- {_capital(words)}: highest after {best['epoch']:.1f} epochs, **{best['value']:.1%}**; before "
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


def caption_sizes(now: Any, recorded: Any = None) -> str:
    """Return what more captions to learn from change in the captions that a model writes."""
    found = captions(now, recorded)
    lines = []
    for domain, words in DOMAINS.items():
        own = found[(found["domain"] == domain) & (found["measure"] == "rating")] if len(found) else found
        if len(own) < 2:
            continue
        own = own.sort_values("size")
        few, many = own.iloc[0], own.iloc[-1]
        invented = found[(found["domain"] == domain) & (found["measure"] == "invented")].sort_values("size")
        mark = "†" * (few["origin"] == RECORDED)
        lines.append(
            f"- {_capital(words)}: with {few['size']:,.0f} captions the rating is {few['value']:.2f}, with "
            f"{many['size']:,.0f} it is **{many['value']:.2f}**; false claims a caption: "
            f"{invented['value'].iloc[0]:.2f} and {invented['value'].iloc[-1]:.2f}{mark}."
        )
    return "\n".join(lines)


def judges(now: Any, recorded: Any = None) -> str:
    """Return how far judges are apart in absolute terms, and whether they rank the models alike; then the thesis's."""
    lines = []
    for domain, words in DOMAINS.items():
        found = judged(now, domain, recorded)
        if not len(found):
            continue
        spread = found.groupby("model")["value"].agg(lambda values: values.max() - values.min())
        order = ranks(found)
        alike = sum(order[name].equals(order[order.columns[0]]) for name in order.columns)
        mark = "†" * (found["origin"].iloc[0] == RECORDED)
        lines.append(
            f"- Here, {words}: for one model the judges differ by up to **{100 * spread.max():.0f}** points; {alike} "
            f"of {len(order.columns)} put the models in the order of {order.columns[0]}{mark}."
        )
    tables = thesis.TABLE_11_1.values()
    means = [[thesis.mean(thesis.accuracies(row)) for row in table.values()] for table in tables]
    apart = max(max(one) - min(one) for one in zip(*means))
    by_score = [thesis.ranks(table, thesis.scores)["sft"] for table in tables]
    by_right = " and ".join(str(rank) for rank in sorted({thesis.ranks(table)["sft"] for table in tables}))
    lines.append(
        f"- In the thesis: up to {apart:.0f} points apart, and one order of models by accuracy under all versions. By "
        f"the mean score it is not one: the SFT model, number {by_right} by accuracy, is "
        f"number {', '.join(map(str, by_score))} by score."
    )
    return "\n".join(lines)


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
            fewer = {"a gain": "more often", "a loss": "less often", "no difference": "as often"}
            said = fewer.get(verdict(row["value"], row["lo"], row["hi"]), "not decided whether more often")
            lines.append(
                f"- {_capital(words)}: DPO's answers have {long['value'].iloc[0]:+.2f} words, and name "
                f"what is not there {said}: **{points(row['value'], row['lo'], row['hi'])}** points{mark}."
            )
    return "\n".join(lines)


def cost_in_the_thesis() -> str:
    """Return what the cost of the thesis's reward comes to by its own numbers."""
    at = thesis.costs()
    people = at["dollars a human pair"]
    return (
        f"{at['answers']:,} answers for less than {thesis.COST:.0f} dollars are "
        f"**{at['tokens an answer for the stated cost']:.0f}** tokens each at {thesis.PRICE} dollars a million. A "
        f"caption of {thesis.CAPTION_TOKENS} tokens alone makes **{at['dollars for the captions alone']:.1f}** "
        f"dollars; with the {thesis.PROMPT_WORDS} words of the prompt, one token each, "
        f"{at['dollars for captions and prompts']:.0f}. That is still little beside looking at the frames "
        f"({thesis.VIDEO_TOKENS} tokens at {thesis.PRICE_GPT_4V:.0f} dollars a million: "
        f"{at['dollars for looking at the frames']:,.0f} dollars) or asking people ({people:.2f} dollars a pair; "
        f"{thesis.PAIRS:,} pairs: {people * thesis.PAIRS:,.0f} dollars)."
    )


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
                    f"{_capital(words)}: the DPO model's own answer {own:.1%}, the best of {n} SFT answers "
                    f"by its ratio {best:.1%}, the SFT model's own {base:.1%}."
                )
    return "\n".join(f"- {line}" for line in lines)


def rates_of(frame: pd.DataFrame) -> Sequence[float]:
    """Return the error rates that a frame of `shown.evidence` has, in order."""
    return sorted({float(rate) for rate in frame["rate"] if np.isfinite(rate)}) if len(frame) else []


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
