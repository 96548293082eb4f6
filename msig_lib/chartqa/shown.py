"""What the chapter's tables and figures show, taken from the log of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from msig_lib.chartqa.questions import Question
from msig_lib.chartqa.study import RFT_ARMS
from msig_lib.chartqa.study_pairs import CONTROLS, Arm, Preferred, Verified, name_of
from msig_lib.preference.dpo import pad, token_rewards
from msig_lib.stats.measured import RECORDED, differences, intervals
from msig_lib.stats.told import points

MIXES = {
    "format": "① format only", "direct": "② answers", "cot": "③ traces", "both": "④ answers and traces",
}  # fmt: skip
GUESSED = {
    "n": "questions", "best_constant": "best guess", "accuracy": "right", "tokens_mean": "words", "tokens_max": "most",
}  # fmt: skip
FORMS = {"direct": "answer at once", "cot": "reason first"}
WINNERS = {"outcome": "right answers", "checked": "right traces only", "lucky": "lucky traces only"}


def in_order(frame: pd.DataFrame, column: str, order: Sequence[str]) -> pd.DataFrame:
    """Return the rows whose `column` is in `order`, sorted by it."""
    known = frame[frame[column].isin(list(order))]
    return known.sort_values(column, key=lambda names: names.map(list(order).index), kind="stable")


def told(frame: pd.DataFrame, columns: Sequence[str]) -> str:
    """Return a frame's values in words, for an alternative text."""
    return "; ".join(
        f"{' '.join(str(getattr(row, name)) for name in columns)} {row.value:.2f}"
        for row in frame.itertuples()
    )


def misread(question: Question) -> str:
    """Return the trace of a "total" or "sum" with its last mark read one off, and all that follows from it.

    The trace ends "... colour value sum ### sum". ValueError for other kinds.
    """
    if question.kind not in ("total", "sum"):
        raise ValueError(f"the question is of kind {question.kind!r}, expected 'total' or 'sum'")
    words = question.trace.split()
    off = 1 if words[-4] == "1" else -1
    for place in (-4, -3, -1):
        words[place] = str(int(words[place]) + off)
    return " ".join(words)


def rft_gains(now: Any, recorded: Any = None, start: str = "direct") -> pd.DataFrame:
    """Return model, gain, lo, hi of reasoned answers, and wrong: the share of accepted traces with a wrong step."""
    before = {"study": "rft", "start": start, "model": "before", "form": "cot"}
    found = differences(
        now, "accuracy", {arm: ({**before, "model": arm}, before) for arm in RFT_ARMS}, recorded
    )
    wrong = intervals(now, "accepted_wrong", recorded, study="rft", start=start)
    share = dict(zip(wrong["model"], wrong["value"])) if len(wrong) else {}
    found = found.rename(columns={"value": "gain"}).rename_axis("model").reset_index()
    return found.assign(wrong=[share.get(arm, np.nan) for arm in found["model"]])


def rft_table(now: Any, recorded: Any = None, start: str = "direct") -> pd.DataFrame:
    """Return a row for the student before and after each arm: accuracies, the gain, accepted traces, wrong ones."""
    accuracy = intervals(now, "accuracy", recorded, share=True, study="rft", start=start)
    if not len(accuracy):
        return pd.DataFrame()
    accepted = intervals(now, "accepted", recorded, study="rft", start=start)
    number = dict(zip(accepted["model"], accepted["value"])) if len(accepted) else {}
    gains = rft_gains(now, recorded, start).set_index("model")
    rows = {}
    for model in ["before", *RFT_ARMS]:
        of = accuracy[accuracy["model"] == model].set_index("form")
        if set(of.index) != set(FORMS):
            continue
        arm = gains.loc[model] if model in gains.index else None
        rows[model] = {
            **{FORMS[f]: f"{of.loc[f, 'value']:.3f}{'†' * (of.loc[f, 'origin'] == RECORDED)}" for f in FORMS},
            "gain, points": "" if arm is None else points(arm["gain"], arm["lo"], arm["hi"]),
            "accepted": (f"{number[model]:,.0f}" if number[model] else "none here")
            if model in number
            else "",
            "with a wrong step": f"{arm['wrong']:.0%}"
            if arm is not None and np.isfinite(arm["wrong"])
            else "",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def arms_of(now: Any, strength: float) -> list[Arm]:
    """Return the arms that a table of results has rows of at a strength, in order of appearance."""
    known = list(Arm.__dataclass_fields__)
    found = []
    for row in now.rows:
        if (
            row.metric == "accuracy"
            and row.factors.get("strength") == strength
            and "objective" in row.factors
        ):
            given = {name: row.factors[name] for name in known}
            arm = Arm(**{**given, "limit": given["limit"] or None})
            found += [arm] * (arm not in found)
    return found


def dpo_gains(now: Any, recorded: Any, strength: float) -> pd.DataFrame:
    """Return the gain in reasoned answers of each arm at a strength: value, lo, hi by Arm, and `pure`, its winners."""
    named = {"study": "dpo", "strength": strength}
    arms = arms_of(now, strength)
    arms += [arm for arm in (arms_of(recorded, strength) if recorded is not None else []) if arm not in arms]
    pairs = {
        arm: (
            {**named, "model": "after", "form": "cot", **arm.factors},
            {**named, "model": "before", "form": "cot"},
        )
        for arm in arms
    }
    found = differences(now, "accuracy", pairs, recorded)
    pure = []
    for arm in found.index:
        rows = intervals(now, "winner_right", recorded, **named, **arm.factors)
        pure.append(rows["value"].iloc[0] if len(rows) else np.nan)
    return found.assign(pure=pure)


def before_dpo(now: Any, recorded: Any, strength: float) -> float:
    """Return the accuracy of reasoned answers before DPO, NaN when it was not measured."""
    found = intervals(now, "accuracy", recorded, study="dpo", strength=strength, model="before", form="cot")
    return float(found["value"].iloc[0]) if len(found) else float("nan")


def dpo_table(now: Any, recorded: Any, strengths: Sequence[float]) -> pd.DataFrame:
    """Return a row an arm, for each strength its gain in points, and the share of winners that are right traces."""
    columns, pure = {}, {}
    for strength in strengths:
        found = dpo_gains(now, recorded, strength)
        mark = ["†" * (origin == RECORDED) for origin in found["origin"]]
        texts = [points(r.value, r.lo, r.hi) + m for r, m in zip(found.itertuples(), mark)]
        before = before_dpo(now, recorded, strength)
        if not np.isfinite(before):
            continue
        who = f"④ {strength:.0%}" if strength else "②"
        name = f"{who}, from {before:.1%}"
        columns[name] = dict(zip(map(name_of, found.index), texts))
        pure[f"right traces win, {name}"] = {
            name_of(arm): f"{value:.0%}" for arm, value in found["pure"].items() if np.isfinite(value)
        }
    return pd.DataFrame({**columns, **pure}).fillna("")


def gain_map(now: Any, recorded: Any, strengths: Sequence[float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the frames of the chapter's figure: gains of DPO by winners, and of the two controls.

    A student's points all come from this run or all from the record, whose charts may be others.
    """
    gains, controls = [], []
    for strength in strengths:
        source = None if np.isfinite(before_dpo(now, None, strength)) else recorded
        found, before = dpo_gains(now, source, strength), before_dpo(now, source, strength)
        for arm, row in found.iterrows():
            shared = {"strength_accuracy": before, "value": row["value"], "lo": row["lo"], "hi": row["hi"]}
            if arm in CONTROLS:
                controls.append({**shared, "control": name_of(arm).removeprefix("DPO, ")})
            elif arm == Arm(winners=arm.winners):
                gains.append({**shared, "purity": row["pure"], "winners": arm.winners})
    return pd.DataFrame(gains), pd.DataFrame(controls)


def truncation_frame(now: Any, recorded: Any, strength: float) -> pd.DataFrame:
    """Return limit (0: not cut), value, lo, hi of DPO on outcome pairs."""
    found = dpo_gains(now, recorded, strength)
    rows = [
        {"limit": arm.limit or 0, "value": row["value"], "lo": row["lo"], "hi": row["hi"]}
        for arm, row in found.iterrows()
        if arm == Arm(limit=arm.limit)
    ]
    return pd.DataFrame(rows, columns=["limit", "value", "lo", "hi"]).sort_values("limit", ignore_index=True)


def training_frame(preferred: Mapping[tuple[float, int], Sequence[Preferred]]) -> pd.DataFrame:
    """Return step, arm, side, value (log-ratio, nats), seed of DPO and its two controls."""
    rows = []
    for (_, seed), made in preferred.items():
        for one in made:
            if one.arm not in (Arm(), *CONTROLS):
                continue
            for side, values in (
                ("chosen", one.trained.chosen_ratio),
                ("rejected", one.trained.rejected_ratio),
            ):
                rows += [
                    {
                        "step": step + 1,
                        "arm": name_of(one.arm),
                        "side": side,
                        "value": float(value),
                        "seed": seed,
                    }
                    for step, value in enumerate(values)
                ]
    return pd.DataFrame(rows, columns=["step", "arm", "side", "value", "seed"])


def one_mistake(judged: Verified) -> tuple[list[str], dict[str, np.ndarray], int] | None:
    """Return the tokens, their rewards by rule, and the first wrong one, of the first trace with a mistake half-way."""
    for row, first in zip(judged.marked.rows.tolist(), judged.marked.first):
        at = int(first.argmax())
        if 2 <= at < len(judged.pool.ids[row]) - 2 and len(judged.logprobs) > 1:
            return words_of(judged, row), rewards_of(judged, row), at
    return None


def words_of(judged: Verified, row: int) -> list[str]:
    """Return a trace's tokens as words, the end token last."""
    words = judged.pool.texts[row].split()
    return [*words, "(end)"] if len(judged.pool.ids[row]) > len(words) else words


def rewards_of(judged: Verified, row: int) -> dict[str, np.ndarray]:
    """Return a trace's token rewards by rule, float [L]: DPO's and its controls', and the SFT log-probability."""
    before = judged.logprobs["SFT"][row]
    out = {}
    for name, rows in judged.logprobs.items():
        if name != "SFT":
            values, inside = pad([rows[row]])
            out[f"{name} reward"] = token_rewards(values, pad([before])[0], inside)[0]
    return {**out, "SFT probability": before}


def explored(judged: Verified, most: int = 8) -> list[tuple[int, int]]:
    """Return rows (a right answer, a wrong answer) of the first questions that have both."""
    right = judged.pool.square(judged.pool.right)
    found = []
    for q in np.flatnonzero(right.any(1) & ~right.all(1))[:most].tolist():
        at = q * judged.pool.samples
        found.append((at + int(right[q].argmax()), at + int((~right[q]).argmax())))
    return found or [(0, 0)]


def tolerance_edges() -> pd.DataFrame:
    """Return predictions around a target of 100, and which of the two measures passes them."""
    from msig_lib.chartqa.metrics import relaxed_match, relaxed_match_swapped

    tried = [94.9, 95.0, 95.1, 95.3, 100.0, 104.9, 105.0, 105.2, 105.3]
    return pd.DataFrame(
        {
            "prediction": tried,
            "relaxed": [relaxed_match(str(p), "100") for p in tried],
            "swapped": [relaxed_match_swapped(str(p), "100") for p in tried],
        }
    )


def real_sample() -> pd.DataFrame | None:
    """Return how the answers of the ChartQA sample look by who wrote the question, None where it is not at hand."""
    from msig_lib import datasets
    from msig_lib.chartqa import real
    from msig_lib.chartqa.metrics import parse_number, relaxed_match

    if not datasets.available(real.NAME)[0]:
        return None
    rows = {}
    questions = real.load().questions
    for source in dict.fromkeys(q.source for q in questions):
        answers = [q.answer for q in questions if q.source == source]
        years = [a for a in answers if a.isdecimal() and 1900 <= int(a) <= 2100]
        forgiven = [relaxed_match(str(int(a) + 20), a) for a in years]
        rows[source] = {
            "questions": len(answers),
            "numbers": np.mean([parse_number(a) is not None for a in answers]),
            "years": len(years) / len(answers),
            "years for which 20 years later passes": np.mean(forgiven) if forgiven else np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def rft_and_dpo(strength: float) -> dict[str, dict[str, Any]]:
    """Return the factors of accuracy before, after DPO and after rejection sampling of the student trained on both."""
    return {
        "before": {"study": "rft", "start": "both", "model": "before", "form": "cot"},
        "DPO": {"study": "dpo", "strength": strength, "model": "after", "form": "cot", **Arm().factors},
        "RFT": {"study": "rft", "start": "both", "model": "self-written", "form": "cot"},
    }


def has(results: Any, factors: Mapping[str, Any], metric: str = "accuracy") -> bool:
    """Return whether some row of results has these factors."""
    return any(row.metric == metric and row.matches(dict(factors)) for row in results.rows)
