"""What the chapter says of its results: sentences whose numbers and verdicts come from the log.

Each function takes this run's log and, to fill in what it lacks, a recorded one (marked with a dagger), and returns
"" where nothing was measured. Differences are paired by seed and item, with 95% intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from msig_lib.mining.shown import (
    AGREEMENT,
    JUDGES,
    KNOWN,
    MINING,
    RECITED,
    TEXTS,
    WRONG,
    count,
    errors_frame,
    known_frame,
    points,
    rewordings_frame,
)
from msig_lib.mining.shown_rows import INSTANCES, PLAIN, compared, measured, of_arm
from msig_lib.mining.study import ARMS
from msig_lib.stats.measured import NOW, RECORDED

CHANCE = 0.5  # of a question with two answers


def verdict(row: Mapping[str, Any], more: str = "more", less: str = "less") -> str:
    """Return "more" or "less" where a difference's whole interval is, else that there is none to be measured.

    >>> verdict({"lo": 0.01, "hi": 0.2}), verdict({"lo": -0.01, "hi": 0.2})
    ('more', 'no measurable difference')
    """
    if not np.isfinite(row["lo"]):
        return "measured once, which decides nothing"
    if row["lo"] > 0:
        return more
    return less if row["hi"] < 0 else "no measurable difference"


def miners(now: Any, recorded: Any = None) -> str:
    """Return how many right pairs a miner finds, against one without analysis and against rules."""
    own = {"miner": "miner", "analysis": True, "error": 0.0}
    against = {
        "the same miner without analysis": {**own, "analysis": False},
        "rules that turn sentences into questions": {"miner": "template", "error": 0.0},
    }
    rows = {name: compared(now, recorded, "found", own, other) for name, other in against.items()}
    rows = {name: row for name, row in rows.items() if row is not None}
    if not rows:
        return ""
    found = next(iter(rows.values()))["a"]
    told = "; ".join(f"against {name} ({row['b']:.1%}) {_told(row)}" for name, row in rows.items())
    return f"The miner finds a right pair for **{found:.1%}** of the sentences worth asking: {told}."


def nouns(now: Any, recorded: Any = None) -> str:
    """Return what a miner does with relations that its seed data had none of, with and without analysis."""
    parts = []
    for analysis, name in ((True, "with analysis"), (False, "without analysis")):
        named = {"miner": "miner", "analysis": analysis, "error": 0.0}
        found = measured(now, "found_by_noun", recorded, bounded=True, **named)
        at = {row["seen"]: row for row in found.to_dict("records")}
        if {True, False} <= set(at):
            parts.append(f"{name} **{_share(at[False])}** (where it has them {_share(at[True])})")
    if not parts:
        return ""
    return f"Right pairs for sentences whose relations the seed data lacks: the miner {_and(parts)}."


def steps(now: Any, recorded: Any = None) -> str:
    """Return what each kind of text adds to the normalised score over all topics (table 5.1)."""
    of = {
        "passages to conversations": ("+ passages", "conversations"),
        "mined pairs to these": ("+ QA", "+ passages"),
        "their answers as text": ("+ augmented", "+ QA"),
    }
    parts = []
    for name, (a, b) in of.items():
        row = compared(now, recorded, "score", of_arm(a, topic="all"), of_arm(b, topic="all"))
        if row is not None:
            parts.append(f"{name} {_told(row)}")
    return f"Over all topics, the score changes by adding {_and(parts)}." if parts else ""


def stored(now: Any, recorded: Any = None) -> str:
    """Return how many facts chatbots continue from the passage, and how many they know when asked."""
    frame = known_frame(now, recorded)
    at = {(row["arm"], row["measure"]): row for row in frame.to_dict("records")}
    parts = []
    for arm in ("+ passages", "+ QA"):
        if (arm, RECITED) in at and (arm, KNOWN) in at:
            recited, known = (_share(at[arm, measure], interval=True) for measure in (RECITED, KNOWN))
            parts.append(
                f"with “{arm}” it continues **{recited}** of the facts from their passage and "
                f"knows **{known}** when asked"
            )
    if not parts:
        return ""
    row = compared(now, recorded, "known", of_arm("+ QA"), of_arm("+ passages"))
    gain = f" Pairs beside the passages change the known facts by {_told(row)}." if row is not None else ""
    return f"Of what a chatbot was told: {'; '.join(parts)}.{gain}"


def augmented(now: Any, recorded: Any = None) -> str:
    """Return what the answers as text add to the facts known: in several wordings, and in the words of the pairs."""
    of = {
        "several wordings": "+ augmented",
        "the very words of the pairs": "+ augmented, same words",
    }
    parts = []
    for name, arm in of.items():
        row = compared(now, recorded, "known", of_arm(arm), of_arm("+ QA"))
        if row is not None:
            parts.append(f"in {name} by {_told(row)}")
    return (
        f"The mined answers as text, beside the pairs, change the facts known {_and(parts)}." if parts else ""
    )


def cost(now: Any, recorded: Any = None) -> str:
    """Return what the kinds of text cost in tokens: each read once, and what the miner read and wrote for the pairs."""
    once = measured(now, "tokens_once", recorded, defaults=PLAIN, **PLAIN, arm=list(ARMS), kind=list(TEXTS))
    if not len(once):
        return ""
    at = {row["kind"]: row for row in once.to_dict("records")}
    told = [f"the {TEXTS[kind]} have **{count(at[kind])}**" for kind in TEXTS if kind in at]
    out = [f"Tokens, each text once: {_and(told)}."]
    named = {"miner": "miner", "analysis": True, "error": 0.0, "of": list(MINING)}
    mining = measured(now, "mining_tokens", recorded, **named)
    spent: dict[str, str] = {}
    if len(mining):  # of several miners that with the most seed instances
        mining = mining.sort_values(["nouns", INSTANCES])
        spent = {row["of"]: count(row) for row in mining.to_dict("records")}
    if spent.keys() == MINING.keys():
        out.append(
            f"To write the pairs the miner read {spent['read']} tokens and wrote {spent['written']}, after "
            f"{spent['learned from']} tokens of training on what the teacher wrote."
        )
    return " ".join(out)


def rewordings(now: Any, recorded: Any = None) -> str:
    """Return what more wordings of the same passages are worth, against one wording and against mined pairs."""
    frame = rewordings_frame(now, recorded)
    alone = frame[(frame["arm"] == "passages alone") & (frame["wordings"] > 1)]
    if not len(alone):
        return ""
    here = alone[alone["origin"] == NOW]
    n = int((here if len(here) else alone)["wordings"].max())
    against = {"passages in one wording": "+ passages", "passages in one wording and mined pairs": "+ QA"}
    rows = {
        name: compared(now, recorded, "known", of_arm("rewordings", wordings=n), of_arm(arm))
        for name, arm in against.items()
    }
    rows = {name: row for name, row in rows.items() if row is not None}
    if not rows:
        return ""
    known = next(iter(rows.values()))["a"]
    told = "; ".join(f"against {name} ({row['b']:.1%}) {_told(row)}" for name, row in rows.items())
    return f"From passages in {n} wordings, without pairs, the chatbot knows **{known:.1%}** of the facts: {told}."


def errors(now: Any, recorded: Any = None) -> str:
    """Return what a teacher's errors do to pairs and to chatbots, and what is mended by keeping what it says twice.

    At the error rate of which most was measured, of several the highest.
    """
    frame = errors_frame(now, recorded)
    frame = frame[frame["error"] > 0]
    if not len(frame):
        return ""
    rate = max(set(frame["error"]), key=lambda error: ((frame["error"] == error).sum(), error))
    at = {(row["measure"], row["source"]): row for row in frame[frame["error"] == rate].to_dict("records")}
    names = {
        "teacher": "of its own pairs",
        "miner": "of those of a miner that learnt from it",
        "agreed": "of those that it gives twice the same",
    }
    pairs = [f"**{_share(at[WRONG, who])}** {name}" for who, name in names.items() if (WRONG, who) in at]
    out = [f"Of a teacher that errs in {rate:.0%} of its answers, {_and(pairs)} are wrong."] if pairs else []
    teacher = of_arm("+ QA", source="oracle", error=rate)
    changes = {
        "with a teacher that does not err": (of_arm("+ QA", source="oracle"), teacher),
        "with a miner of such a teacher, against one of the other,": (
            of_arm("+ QA"),
            of_arm("+ QA", error=rate),
        ),
        "when only what it gives twice the same is kept": (
            of_arm("+ QA", source="agreed", error=rate),
            teacher,
        ),
    }
    rows = {name: compared(now, recorded, "known", *sides) for name, sides in changes.items()}
    told = [f"{name} by {_told(row)}" for name, row in rows.items() if row is not None]
    if told:
        out.append(f"What the chatbot knows changes {_and(told)}.")
    own = {"miner": "miner", "analysis": True}
    row = compared(now, recorded, "found", {**own, "error": rate}, {**own, "error": 0.0})
    if row is not None:
        out.append(
            f"A miner of such a teacher writes a right pair for {row['a']:.1%} of the sentences worth asking, "
            f"against one of a teacher that does not err ({row['b']:.1%}) {_told(row)}."
        )
    return " ".join(out)


def judges(now: Any, recorded: Any = None) -> str:
    """Return how far judges that know no facts agree with the oracle, on answers and on the order of chatbots."""
    found = measured(now, "agreement", recorded, judge=list(JUDGES), measure=list(AGREEMENT))
    parts = []
    for judge, own in found.groupby("judge", sort=False):
        at = {row["measure"]: row for row in own.to_dict("records")}
        if "exact" in at:
            order = (
                f" and puts {at['ordered_alike']['value']:.0%} of the pairs of chatbots in the same order"
                if "ordered_alike" in at
                else ""
            )
            parts.append(
                f"the judge by {JUDGES[str(judge)]} gives the same grade in **{_share(at['exact'])}**{order}"
            )
    return f"Against the oracle, {'; '.join(parts)}." if parts else ""


def two_facts(now: Any, recorded: Any = None) -> str:
    """Return what the fullest arm does with questions about two facts, and with "greater" ones beside a coin."""
    found = measured(now, "accuracy", recorded, bounded=True, defaults=PLAIN, **PLAIN)
    arms = (
        [arm for arm in ("+ augmented", "+ QA", "+ passages") if arm in set(found["arm"])]
        if len(found)
        else []
    )
    if not arms:
        return ""
    at = {row["kind"]: row for row in found[found["arm"] == arms[0]].to_dict("records")}
    out = []
    if "one" in at and "both" in at:
        out.append(
            f"With “{arms[0]}”, **{_share(at['one'])}** of the questions about one fact are answered rightly and "
            f"**{_share(at['both'])}** of those about two."
        )
    if "greater" in at:
        row = at["greater"]
        beside = {"lo": row["lo"] - CHANCE, "hi": row["hi"] - CHANCE}
        told = verdict(beside, "more than", "less than")
        told = "not measurably different from" if told.startswith("no m") else told
        told = "measured once beside" if told.startswith("measured") else told
        out.append(
            f"Which of two entities has the greater number it says rightly in **{_share(row, interval=True)}**, "
            f"{told} the {CHANCE:.0%} of a coin between the two."
        )
    return " ".join(out)


def taken_away(now: Any, recorded: Any = None) -> str:
    """Return what to remember, as a list: pairs against passages, stored against asked, pairs against rewordings."""
    told = [steps(now, recorded), stored(now, recorded), rewordings(now, recorded), miners(now, recorded)]
    return "\n".join(f"- {text}" for text in told if text)


def _told(row: Mapping[str, Any]) -> str:
    """Return a difference in points with its verdict: "+7.0 [+1.2, +12.5] points (more)"."""
    return f"**{points(row)}** points ({verdict(row)})"


def _share(row: Mapping[str, Any], interval: bool = False) -> str:
    mark = "†" * (row["origin"] == RECORDED)
    if interval and np.isfinite(row["lo"]):
        return f"{row['value']:.1%} [{100 * row['lo']:.1f}, {100 * row['hi']:.1f}]{mark}"
    return f"{row['value']:.1%}{mark}"


def _and(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
