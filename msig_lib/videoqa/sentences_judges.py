"""What the chapter says of judges, captions and their cost; form and rules are those of `sentences`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from msig_lib.stats.measured import RECORDED, intervals
from msig_lib.stats.told import points
from msig_lib.videoqa import thesis
from msig_lib.videoqa.figures import DOMAINS, KINDS
from msig_lib.videoqa.shown import capital, captions, evidence, judged, ranks


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
        lines.append(f"- {capital('; '.join(parts))}{mark}.")
    return "\n".join(lines)


def _until(gain: pd.DataFrame) -> str:
    """Return up to which rate every gain's whole interval is above 0."""
    above = (gain["lo"] > 0).tolist()
    rates = gain["rate"].tolist()
    if not above[0]:
        return " (even the first not surely a gain)"
    stop = above.index(False) if False in above else len(above)
    return f" (surely a gain up to {rates[stop - 1]:.0%})"


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
            f"- {capital(words)}: with {few['size']:,.0f} captions the rating is {few['value']:.2f}, with "
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


def cost_here(now: Any, recorded: Any = None) -> str:
    """Return what reading a caption costs in this world against looking at the clip."""
    found = intervals(now, "tokens", recorded, study="cost")
    at = {row.what: row.value for row in found.itertuples()} if len(found) else {}
    if not {"caption", "clip"} <= set(at):
        return ""
    ratio, theirs = at["clip"] / at["caption"], thesis.costs()["tokens of a video for one of its caption"]
    return (
        f"In the thesis a video has **{theirs:.1f}** tokens for each of its caption's. Here it has {ratio:.2f}: clips "
        f"this small have fewer image tokens than captions have words, so that nothing is saved by reading, and only "
        f"the quality of the signal can be studied."
        if ratio < 1
        else f"A clip has {ratio:.1f} tokens for each of its caption's, in the thesis **{theirs:.1f}**."
    )
