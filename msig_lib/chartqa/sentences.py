"""What the chapter says of its results: sentences whose numbers and verdicts come from the log."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from msig_lib.chartqa import thesis
from msig_lib.chartqa.display import chart_svg, describe, question_sentence, trace_html
from msig_lib.chartqa.shown import (
    before_dpo,
    dpo_gains,
    rewards_of,
    rft_gains,
    words_of,
)  # fmt: skip
from msig_lib.chartqa.study import Plan, world
from msig_lib.chartqa.study_pairs import CONTROLS, Arm, Verified
from msig_lib.display.words import signs
from msig_lib.stats.measured import RECORDED, differences, intervals
from msig_lib.stats.told import points, verdict


def _told(row: Any, value: str = "value") -> str:
    mark = "†" * (row["origin"] == RECORDED)
    of = verdict(row[value], row["lo"], row["hi"])
    return f"**{points(row[value], row['lo'], row['hi'])}**{mark} points ({of})"


def mixes(now: Any, recorded: Any, end: float) -> str:
    """Return what answers teach about steps, and whether both forms together are best at both."""

    def side(mix: str, form: str) -> dict[str, object]:
        return {"study": "mixes", "budget": end, "model": mix, "form": form}

    asked = {
        "Learning answers alone changes answers at once": (
            side("direct", "direct"),
            side("format", "direct"),
        ),
        "Learning answers alone changes reasoned answers": (side("direct", "cot"), side("format", "cot")),
        "Learning traces alone changes reasoned answers": (side("cot", "cot"), side("format", "cot")),
        "Learning traces alone changes answers at once": (side("cot", "direct"), side("format", "direct")),
        "Both together against answers alone, answers at once": (
            side("both", "direct"),
            side("direct", "direct"),
        ),
        "Both together against traces alone, reasoned answers": (side("both", "cot"), side("cot", "cot")),
    }
    found = differences(now, "accuracy", asked, recorded)
    return _list(found)


def _list(found: pd.DataFrame, value: str = "value") -> str:
    """Return differences as a list of Markdown, a line each."""
    return "\n".join(f"- {name}: {_told(row, value)}" for name, row in found.iterrows())


def rft(now: Any, recorded: Any = None) -> str:
    """Return what its own accepted traces teach a student, beside the controls and the accepted mistakes."""
    found = rft_gains(now, recorded).set_index("model")
    out = "Reasoned answers change by:\n\n" + _list(found, "gain")
    if "self-written" in found.index and np.isfinite(found.loc["self-written", "wrong"]):
        out += (
            f"\n\nOf the traces that were accepted for their answer, "
            f"**{found.loc['self-written', 'wrong']:.0%}** have a wrong step."
        )
    return out


def dpo(now: Any, recorded: Any, strengths: Sequence[float]) -> str:
    """Return for each strength what DPO changes, against its two controls."""
    parts = []
    for strength in strengths:
        found = dpo_gains(now, recorded, strength)
        if Arm() not in found.index:
            continue
        own = found.loc[Arm()]
        controls = {
            "the winners alone": CONTROLS[0],
            "shuffled pairs": CONTROLS[1],
            "right traces as winners": Arm(winners="checked"),
            "lucky winners": Arm(winners="lucky"),
        }
        known = np.isfinite(own["pure"])
        pure = f" ({own['pure']:.0%} of the winners are right traces)" if known else ""
        rows = {f"DPO on outcomes{pure}": Arm(), **controls}
        told = found.loc[[arm for arm in rows.values() if arm in found.index]]
        told.index = [name for name, arm in rows.items() if arm in found.index]
        parts.append(f"From {before_dpo(now, recorded, strength):.1%} right:\n\n{_list(told)}")
    return "\n\n".join(parts)


def training(frame: pd.DataFrame) -> str:
    """Return where both sides of the pairs end, for an alternative text."""
    if not len(frame):
        return "No pairs, no training."
    last = frame[frame["step"] > frame["step"].max() - 5].groupby(["arm", "side"])["value"].mean()
    return "Mean of the last steps: " + "; ".join(
        f"{arm}, {side} {value:+.2f} nats" for (arm, side), value in last.items()
    )


def cut_in_the_thesis(data: str = "ChartQA") -> str:
    """Return what table 12.3.1 says of cutting, on one data set."""
    row = thesis.TABLE_12_3_1[data]
    cut = ", ".join(f"{value:.1f} cut to {words} words" for words, value in row.items() if words > 0)
    return f"Table 12.3.1 has, on {data}, {row[-1]:.1f} before DPO, {row[0]:.1f} with whole responses, {cut}."


def verifiers(now: Any, recorded: Any, strength: float) -> str:
    """Return how the DPO ratio compares as a verifier with the probability, the majority, and its controls."""
    frame = intervals(now, "verified", recorded, strength=strength)
    if not len(frame):
        return "No verifier was measured."
    n = int(frame["n"].max())
    of = {"study": "verify", "strength": strength, "n": n}
    asked = {
        "The best by DPO ratio against one trace alone": (
            "best by DPO ratio",
            "one sample",
        ),
        "The best by DPO ratio against the best by SFT probability": (
            "best by DPO ratio",
            "best by SFT probability",
        ),
        "The best by DPO ratio against the majority": ("best by DPO ratio", "majority"),
        "A vote weighed by the DPO ratio against the majority": ("vote by DPO ratio", "majority"),
    }
    pairs = {name: ({**of, "verifier": a}, {**of, "verifier": b}) for name, (a, b) in asked.items()}
    told = f"With {n} traces:\n\n" + _list(differences(now, "verified", pairs, recorded))
    picked = intervals(now, "picked", recorded, strength=strength)
    at = {row.verifier: row.value for row in picked.itertuples()}
    if {"one sample", "DPO ratio"} <= set(at):
        told += (
            f"\n\nThe student gives a trace of its own {at['one sample']:.1f} nats on the mean, and "
            f"**{at['DPO ratio']:.1f}** nats the one whose DPO ratio is highest."
        )
        if at["DPO ratio"] < at["one sample"]:
            told += (
                " A ratio is largest where little training moves much: on traces that the student hardly ever writes. "
                "Among many, one of these wins, whatever the ratio knows of right and wrong."
            )
    return told


def credit(now: Any, recorded: Any, strength: float) -> str:
    """Return how often the DPO reward finds the first mistake, against chance, the probability and the controls."""
    of = {"study": "verify", "strength": strength}
    rules = ("chance", "SFT probability", "winners only reward", "DPO, shuffled pairs reward")
    pairs = {rule: ({**of, "rule": "DPO reward"}, {**of, "rule": rule}) for rule in rules}
    found = differences(now, "first_mistake", pairs, recorded)
    if not len(found):
        return "No trace had a mistake to find."
    found.index = [f"against {rule}" for rule in found.index]
    return "The lowest DPO reward is the first mistake more often (or less often) by:\n\n" + _list(found)


def filtering(now: Any, recorded: Any = None) -> str:
    """Return what the filter drops and keeps, beside a filter that drops as many at random."""
    frame = intervals(now, "filter", recorded)
    at = {(row.rule, row.share): row.value for row in frame.itertuples()}
    rule, random = "teacher agrees", "as many at random"
    bad, lost = at.get((rule, "bad that are dropped")), at.get((rule, "good that are kept"))
    teacher = intervals(now, "teacher_accuracy", recorded)
    dropped = at.get((rule, "dropped that are bad"))
    if bad is None or lost is None or dropped is None or not len(teacher):
        return "The filter dropped nothing, or no annotation was wrong."
    return (
        f"A teacher that is right in {teacher['value'].iloc[0]:.1%} of the questions drops **{bad:.0%}** of the wrong "
        f"annotations (at random: {at.get((random, 'bad that are dropped'), float('nan')):.0%}) and loses "
        f"**{1 - lost:.0%}** of the right ones; of what it drops, {dropped:.0%} are wrong."
    )


def taken_away(now: Any, recorded: Any, strengths: Sequence[float], end: float) -> str:
    """Return what to remember: which pairs made a student better, what accepted traces were worth, whom to believe."""
    gains, losses, arms = 0, 0, 0
    for strength in strengths:
        found = dpo_gains(now, recorded, strength)
        found = found.loc[[arm for arm in found.index if arm.objective == "dpo" and not arm.shuffled]]
        told = [verdict(row["value"], row["lo"], row["hi"]) for _, row in found.iterrows()]
        arms, gains, losses = arms + len(told), gains + told.count("a gain"), losses + told.count("a loss")
    out = []
    if arms:
        out.append(
            f"Ways to train on pairs that were tried, over all students: {arms}. Reasoned answers became better by a "
            f"point or more, interval and all, in **{gains}** of them, and worse in {losses}."
        )
    found = rft_gains(now, recorded).set_index("model")
    if {"self-written", "no traces"} <= set(found.index):
        own, none = found.loc["self-written"], found.loc["no traces"]
        out.append(
            f"Its own accepted traces gave the student {_told(own, 'gain')}, training longer without them "
            f"{_told(none, 'gain')}"
            + (
                f"; {own['wrong']:.0%} of the accepted traces had a wrong step."
                if np.isfinite(own["wrong"])
                else "."
            )
        )
    by_n = intervals(now, "verified", recorded, strength=end)
    if len(by_n):
        last = by_n[by_n["n"] == by_n["n"].max()].set_index("verifier")["value"]
        rules = ("one sample", "majority", "best by SFT probability", "best by DPO ratio")
        shown = ", ".join(f"{rule} {last[rule]:.1%}" for rule in rules if rule in last.index)
        out.append(f"With {int(by_n['n'].max())} traces: {shown}.")
    return "\n".join(f"- {line}" for line in out)


def trace_frame(judged: Verified, plan: Plan, row: int) -> str:
    """Return HTML of one sampled trace: its chart, question, checked steps, and the tokens with their DPO rewards."""
    question = judged.pool.asked([row])[0]
    table = world(plan)["test"].tables[question.chart]
    svg, width = chart_svg(table, question.chart)
    alt = escape(describe(table, question.chart))
    return (
        f'<div style="max-width:100%"><div role="img" aria-label="{alt}" style="max-width:{width:.0f}px;margin:auto">'
        f"{svg}</div><p><strong>{escape(question_sentence(question, table))}</strong> "
        f"({escape(question.answer)})</p>"
        f"{trace_html(judged.pool.texts[row], question, table, judged.pool.verdicts[row])}"
        f"<p>{_tokens_html(judged, row)}</p></div>"
    )


def _tokens_html(judged: Verified, row: int) -> str:
    rewards = next(iter(rewards_of(judged, row).values()))
    centred = np.asarray(rewards) - np.mean(rewards)
    wrong = judged.pool.verdicts[row].token
    cells = []
    for place, (word, value) in enumerate(zip(words_of(judged, row), centred.tolist())):
        mark = "text-decoration:underline wavy" if place == wrong else ""
        cells.append(
            f'<span style="display:inline-block;text-align:center;margin:0 .3em;{mark}">{escape(word)}'
            f"<br><small>{signs(f'{1000 * value:+.1f}')}</small></span>"
        )
    return "".join(cells)


def trace(judged: Verified, row: int) -> str:
    """Return one sampled trace in words, for assistive software."""
    found = judged.pool.verdicts[row]
    steps = "every step is right" if found.right else f"the first mistake is token {1 + (found.token or 0)}"
    answer = "right" if found.answer_right else "wrong"
    return f"{judged.pool.texts[row]}: {steps}, the answer is {answer}."
