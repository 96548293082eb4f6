"""What the chapter's tables and figures show, taken from the log of results.

`now` is this run's log, `recorded` that of a slower tier, for what this run has not measured. Tables are frames of
texts in per cent with 95% intervals, recorded ones with a dagger; frames for figures hold shares 0..1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from msig_lib.mining import thesis
from msig_lib.mining.shown_rows import (
    COLUMNS,
    INSTANCES,
    PLAIN,
    arm_name,
    by_arm,
    by_miner,
    measured,
    ordered,
)
from msig_lib.mining.study import ARMS, CONTROLS, TOPICS
from msig_lib.stats.measured import NOW, RECORDED

EVERY = "all topics"
KINDS = {"one": "one fact", "both": "two facts", "greater": "the greater of two (a coin: 50)"}
SHARES = {
    "precision": "rightly kept", "recall": "worth asking, kept", "supported": "supported",
    "stands_alone": "stand alone", "pair_right": "right pairs", "duplicate": "asked before",
    "malformed": "unreadable", "right_criterion": "right criterion",
    "analysis_right": "right analyses", "follows": "answers that follow the analysis",
}  # fmt: skip
"""What a reader sees for the shares of `quality.summary`."""
JUDGES = {"overlap": "words shared with the reference", "embedding": "likeness of sentence vectors"}
AGREEMENT = {
    "exact": "same grade, %",
    "kappa": "weighted kappa",
    "spearman": "rank correlation",
    "ordered_alike": "pairs of chatbots in the same order, %",
}
SENTENCES = {
    "opening": "what it is", "stands alone": "one fact, by name", "needs context": "one fact of “it”",
    "two facts": "two facts", "continues": "value in a sentence of its own",
}  # fmt: skip
PAIRS = {"template": "pairs by rules", "shuffled": "their answers shuffled", "sentences": "sentences alone"}
COVERED = {
    "same_document": "right passage first",
    "same_sentence": "right sentence first",
    "covered": "answered by the first pair",
    "possible": "answered by some pair",
}
FILTERS = {
    "none": "every title found",
    "words alike": "words like the topic's",
    "oracle": "an oracle's filter",
}
WRONG, KNOWN = "wrong pairs", "known facts"
"""Measures of `errors_frame`."""
RECITED = "recited facts"
TEXTS = {"conversations": "conversations", "passages": "passages", "qa": "pairs", "aug": "answers as text"}
"""Kinds of text that a chatbot learns from."""
MINING = {"learned from": "learnt from", "read": "read", "written": "wrote"}
"""What a miner's tokens were for."""


def told(frame: pd.DataFrame, columns: Sequence[str]) -> str:
    """Return a frame's shares in words, in per cent, for an alternative text."""
    return "; ".join(
        f"{', '.join(str(getattr(row, name)) for name in columns)}: {100 * row.value:.1f}%"
        for row in frame.itertuples()
    )


# Frames for figures


def scores_frame(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return arm, topic (`EVERY`: all), value, lo, hi, origin of the normalised score (table 5.1)."""
    found = measured(now, "score", recorded, bounded=True, defaults=PLAIN, **PLAIN)
    if not len(found):
        return pd.DataFrame(columns=["arm", "topic", *COLUMNS])
    found = found.replace({"topic": {"all": EVERY}})
    return ordered(found, "arm", ARMS, "topic", [EVERY, *TOPICS])


def known_frame(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return arm, measure (`RECITED`, `KNOWN`), value, lo, hi, origin of the arms without errors, by the miner."""
    parts = []
    for metric, measure in (("recited", RECITED), ("known", KNOWN)):
        found = measured(now, metric, recorded, bounded=True, defaults=PLAIN, source="miner", error=0.0)
        parts.append(found.assign(measure=measure))
    whole = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    if not len(whole):
        return pd.DataFrame(columns=["arm", "measure", *COLUMNS])
    most = whole.loc[whole["arm"] == "rewordings", "wordings"].max()
    whole = whole[(whole["arm"] != "rewordings") | (whole["wordings"] == most)]
    names = [arm_name(row) for row in whole.to_dict("records")]
    order = dict.fromkeys(
        ["conversations", "+ passages", *(n for n in names if "wordings" in n), "QA only", *ARMS, *CONTROLS]
    )
    return ordered(whole.assign(arm=names), "arm", order, "measure", [RECITED, KNOWN])


def rewordings_frame(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return arm ("passages alone" or one with QA), wordings, value, lo, hi, origin of the known facts."""
    found = measured(now, "known", recorded, bounded=True, defaults=PLAIN, source="miner", error=0.0)
    if not len(found):
        return pd.DataFrame(columns=["arm", "wordings", *COLUMNS])
    alone = "passages alone"
    found = found.replace({"arm": {"+ passages": alone, "rewordings": alone}})
    return ordered(found, "arm", [alone, "+ QA", "+ augmented"], "wordings", sorted(set(found["wordings"])))


def errors_frame(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return measure (`WRONG` or `KNOWN`), source, error, value, lo, hi, origin.

    Of the pairs, those that are wrong, by who wrote them; of the facts, those that the chatbot knows that learnt from
    these pairs (arm "+ QA"). Sources: "teacher", "miner" (taught by it), "agreed" (the teacher's, filtered).
    """
    parts = []
    for source, miner in (("teacher", "oracle"), ("miner", "miner"), ("agreed", "agreed")):
        wanted = {"miner": miner, "share": "pair_right", **({"analysis": True} if miner == "miner" else {})}
        pairs = measured(now, "mined", recorded, bounded=True, defaults={"error": 0.0}, **wanted)
        if miner == "miner" and len(pairs):  # of several, as `factors_of`
            pairs = pairs.assign(now=pairs["origin"] == NOW).sort_values(
                ["now", "nouns", INSTANCES], ascending=False
            )
            pairs = pairs.drop_duplicates("error")
        pairs = pairs.assign(value=1 - pairs["value"], lo=1 - pairs["hi"], hi=1 - pairs["lo"])
        known = measured(now, "known", recorded, bounded=True, defaults=PLAIN, arm="+ QA", source=miner)
        parts += [pairs.assign(measure=WRONG, source=source), known.assign(measure=KNOWN, source=source)]
    names = ["measure", "source", "error", *COLUMNS]
    parts = [part[names] for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=names)
    return pd.concat(parts).sort_values(["measure", "source", "error"], ignore_index=True)


def quality_frame(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return miner (its name), value, lo, hi, origin of sentences worth asking with a right pair; errors left out.

    Teacher, rules, then miners with and without analysis, each from the most seed instances to the fewest.
    """
    found = measured(now, "found", recorded, bounded=True, defaults={"error": 0.0}, error=0.0)
    if not len(found):
        return pd.DataFrame(columns=["miner", *COLUMNS])
    found = by_miner(found)
    return found[["miner", *COLUMNS]]


# Tables


def table_5_1(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return the normalised scores in per cent: a row an arm, a column a topic, and all topics last."""
    frame = scores_frame(now, recorded)
    return _wide(frame, "arm", "topic", {name: name for name in [*TOPICS, EVERY]})


def thesis_table() -> pd.DataFrame:
    """Return table 5.1 as the thesis prints it, our topics' counterparts in our order."""
    return pd.DataFrame(
        {
            theirs: [f"{value:.{thesis.DECIMALS[theirs]}f}" for value in thesis.column(theirs)]
            for theirs in thesis.TOPICS.values()
        },
        index=list(thesis.ARMS.values()),
    )


def kinds_table(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return right answers in per cent: a row an arm, a column a kind of question."""
    found = measured(now, "accuracy", recorded, bounded=True, defaults=PLAIN, source="miner", error=0.0)
    return _wide(by_arm(found), "arm", "kind", KINDS)


def quality_table(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return a row a miner or teacher: sentences worth asking with a right pair, and its shares as means over seeds."""
    found = measured(now, "found", recorded, bounded=True, defaults={"error": 0.0}).assign(share="found")
    shares = measured(now, "mined", recorded, bounded=True, defaults={"error": 0.0}).assign(
        lo=np.nan, hi=np.nan
    )
    whole = pd.concat([part for part in (found, shares) if len(part)] or [found], ignore_index=True)
    return _wide(by_miner(whole), "miner", "share", {"found": "found", **SHARES})


def known_by_topic(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return the facts known in per cent in the form of table 5.1: a row an arm, a column a topic, all topics last."""
    parts = [measured(now, "known_of_topic", recorded, bounded=True, defaults=PLAIN, **PLAIN)]
    parts.append(measured(now, "known", recorded, bounded=True, defaults=PLAIN, **PLAIN).assign(topic=EVERY))
    whole = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    if not len(whole):
        return pd.DataFrame()
    frame = ordered(whole, "arm", ARMS, "topic", [*TOPICS, EVERY])
    return _wide(frame, "arm", "topic", {name: name for name in [*TOPICS, EVERY]})


def known_table(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return a row an arm: facts it can recite and facts it knows, in per cent, and the tokens it was trained on.

    Of each kind of text as well, in a column of its own.
    """
    parts = []
    for metric, of in (("recited", RECITED), ("known", KNOWN), ("tokens", "tokens")):
        parts.append(
            measured(now, metric, recorded, bounded=metric != "tokens", defaults=PLAIN).assign(of=of)
        )
    tokens = measured(now, "tokens_of", recorded, defaults=PLAIN, kind=list(TEXTS))
    parts.append(tokens.rename(columns={"kind": "of"}))
    whole = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    columns = {RECITED: "recited", KNOWN: "known", "tokens": "tokens"}
    columns |= {kind: f"of {name}" for kind, name in TEXTS.items()}
    return _wide(by_arm(whole), "arm", "of", columns, dict.fromkeys(("tokens", *TEXTS), count))


def texts_table(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return a row a kind of text: the tokens it has, read once, and how often each arm of table 5.1 reads it."""
    wanted = {"defaults": PLAIN, **PLAIN, "arm": list(ARMS), "kind": list(TEXTS)}
    once = measured(now, "tokens_once", recorded, **wanted)
    drawn = measured(now, "tokens_of", recorded, **wanted)
    if not len(once) or not len(drawn):
        return pd.DataFrame()
    both = once.merge(drawn, on=["arm", "kind", "origin"], suffixes=("", "_of"))
    times = both.assign(value=both["value_of"] / both["value"], column=both["arm"])
    whole = pd.concat([both.drop_duplicates("kind", keep="last").assign(column="once"), times])
    whole = whole.assign(kind=whole["kind"].map(TEXTS), place=whole["kind"].map(list(TEXTS).index))
    columns = {"once": "tokens, read once", **{arm: f"times read, “{arm}”" for arm in ARMS}}
    return _wide(
        whole.sort_values("place", kind="stable"), "kind", "column", columns, dict.fromkeys(columns, count)
    )


def errors_table(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return a row an error rate of the teacher: wrong pairs by who wrote them, and what chatbots know by it."""
    frame = errors_frame(now, recorded).sort_values("error")
    frame = frame.assign(
        of=[f"{row.measure}, {row.source}" for row in frame.itertuples()],
        error=[f"{error:.0%}" for error in frame["error"]],
    )
    columns = [
        f"{measure}, {source}" for measure in (WRONG, KNOWN) for source in ("teacher", "miner", "agreed")
    ]
    table = _wide(frame, "error", "of", dict(zip(columns, columns)))
    return table.rename_axis("wrong answers of the teacher")


def judges_table(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return a row a judge: how far it agrees with the oracle."""
    found = measured(now, "agreement", recorded, measure=list(AGREEMENT), judge=list(JUDGES))
    if len(found):  # none is above 1, correlations may be below 0
        least = found["measure"].map({"kappa": -1.0, "spearman": -1.0}).fillna(0.0)
        found = found.assign(lo=found["lo"].clip(lower=least), hi=found["hi"].clip(upper=1.0))
    plain = {"kappa": _plain, "spearman": _plain}
    return _wide(found.replace({"judge": JUDGES}), "judge", "measure", AGREEMENT, plain)


def coverage_table(now: Any, recorded: Any = None, by: str = "pair") -> pd.DataFrame:
    """Return human questions of real text in per cent: a row a source of pairs, a column what the pairs do for them."""
    found = measured(now, "coverage", recorded, bounded=True, by=by, pairs=list(PAIRS))
    return _wide(found.replace({"pairs": PAIRS}), "pairs", "measure", COVERED)


def corpus_table(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return a row a filter of titles: precision and recall of a topic's corpus in per cent, means over topics."""
    found = measured(now, "corpus", recorded, measure=["precision", "recall"])
    if not len(found):
        return pd.DataFrame()
    found = found.groupby(["filter", "measure"], sort=False, as_index=False).agg(
        value=("value", "mean"), origin=("origin", "first")
    )
    found = found.assign(lo=np.nan, hi=np.nan).replace({"filter": FILTERS})
    return _wide(found, "filter", "measure", {"precision": "precision", "recall": "recall"})


def nouns_table(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return right pairs found in per cent: a row a miner, columns whether its seeds had the sentence's relations."""
    found = measured(now, "found_by_noun", recorded, bounded=True, defaults={"error": 0.0})
    if not len(found):
        return pd.DataFrame()
    found = by_miner(found)
    return _wide(found, "miner", "seen", {True: "relations of the seeds", False: "relations not among them"})


def missed_table(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return right pairs found in per cent: a row a miner or teacher, columns kinds of sentences worth asking."""
    found = measured(now, "found_by_sentence", recorded, bounded=True, defaults={"error": 0.0}, error=0.0)
    if not len(found):
        return pd.DataFrame()
    return _wide(by_miner(found), "miner", "sentence", SENTENCES)


def prompts_table(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return the mean number of words of prompts: rows with and without analysis, columns teacher and miner."""
    found = measured(now, "prompt_words", recorded)
    if not len(found):
        return pd.DataFrame()
    found["analysis"] = found["analysis"].map({True: "with analysis", False: "without"})
    return _wide(
        found,
        "analysis",
        "who",
        {"teacher": "teacher", "miner": "miner"},
        dict.fromkeys(("teacher", "miner"), count),
    )


# Small things


def percent(row: Mapping[str, Any]) -> str:
    """Return a share as "71.2 [65.0, 77.3]" in per cent, a recorded one with a dagger."""
    return _interval(row, 100, 1)


def points(row: Mapping[str, Any]) -> str:
    """Return a difference of shares in points with its sign and interval: "+7.0 [+1.2, +12.5]"."""
    return _interval(row, 100, 1, "+")


def count(row: Mapping[str, Any]) -> str:
    """Return a number as "12,345", a recorded one with a dagger."""
    return f"{row['value']:,.0f}" + "†" * (row["origin"] == RECORDED)


def _plain(row: Mapping[str, Any]) -> str:
    return _interval(row, 1, 2)


def _interval(row: Mapping[str, Any], times: float, digits: int, sign: str = "") -> str:
    values = [round(times * row[name], digits) + 0.0 for name in ("value", "lo", "hi")]  # + 0: no minus zero
    ends = [f"{value:{sign}.{digits}f}".replace("-", "−") for value in values]
    mark = "†" * (row["origin"] == RECORDED)
    return ends[0] + (f" [{ends[1]}, {ends[2]}]" if np.isfinite(row["lo"]) else "") + mark


def _wide(
    frame: pd.DataFrame,
    index: str,
    column: str,
    names: Mapping[Any, str],
    texts: Mapping[Any, Callable[[Mapping[str, Any]], str]] | None = None,
) -> pd.DataFrame:
    """Return texts: rows in the order of the frame, columns in that of `names`, without columns that are empty."""
    if not len(frame):
        return pd.DataFrame()
    cells: dict[Any, dict[Any, str]] = {}
    for row in frame.to_dict("records"):
        how = (texts or {}).get(row[column], percent)
        cells.setdefault(row[index], {})[row[column]] = how(row)
    there = [name for name in names if any(name in row for row in cells.values())]
    return pd.DataFrame({names[name]: {k: row.get(name, "") for k, row in cells.items()} for name in there})
