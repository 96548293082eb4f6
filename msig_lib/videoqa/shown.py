"""What the chapter's tables and figures show, taken from the log of results (and, where it has none, a record).

A figure's points come from this run or all from the record, whose clips may be others; a table marks recorded cells.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from msig_lib.stats.measured import RECORDED, Measured, differences, intervals
from msig_lib.stats.told import points
from msig_lib.videoqa import thesis
from msig_lib.videoqa.data import SUBSETS
from msig_lib.videoqa.figures import DOMAINS, KINDS

MODELS = {
    "pretrained": "captions only",
    "sft": "[6] SFT",
    "dpo": "[7] DPO",
    "image": "[8] questions on single frames",
    "other": "[9] questions of another writer",
    "dpo-projector": "[10] DPO, projector trained",
    "self-play": "[11] self-play",
    "dpo-small-rate": "[12] DPO, smaller rate",
    "shuffled": "DPO, shuffled pairs",
    "winners": "chosen answers alone",
    "sft-longer": "SFT for longer",
    "sft-early": "SFT, stopped early",
    "dpo-early": "DPO from there",
    "winners-early": "chosen answers alone from there",
}
"""What a reader sees for a model; the numbers are the rows of table 6.2."""
CONTROLS = ("shuffled", "winners", "sft-longer")
EARLY = ("sft-early", "dpo-early", "winners-early")
"""A weaker student and what it learns; its gains are over itself."""
ALL = "all"  # of the subset: all of a domain together
POOLED = ("accuracy", "score", "sampled", "words", "invents")
CAPTION_MEASURES = {
    "rating": "caption_rating",
    "coverage": "caption_coverage",
    "invented": "caption_invented",
}
RULES = ("dpo ratio", "sft probability", "majority", "one sample", "oracle")
COMPARED = ("pretrained", "image", "sft-early", "sft", "dpo")
"""The models that judges are asked to rank: the others differ from these by one thing each."""
NAMES_OF_JUDGES = {"frames": "the clip's judge", "caption": "caption judge", "overlap": "shared words"}


def pooled(log: Any, models: Collection[str] = tuple(set(MODELS) - set(EARLY))) -> list[Measured]:
    """Return the rows of `POOLED` over all subsets of a domain together, to be recorded beside those of each subset.

    The items of a domain's subsets stand one after another in the order of `data.SUBSETS`, the same for all models.
    """
    order = [name for names in SUBSETS.values() for name in names]
    parts: dict[tuple[str, str, str, int], dict[str, np.ndarray]] = {}
    for row in log.rows:
        named = row.factors
        known = named.get("study") == "table" and named.get("model") in models
        if row.metric in POOLED and known and named.get("subset") in order:
            key = (row.metric, str(named["model"]), str(named["domain"]), row.seed)
            parts.setdefault(key, {})[named["subset"]] = np.atleast_1d(
                row.value if row.items is None else row.items
            )
    return [
        Measured(
            metric,
            np.concatenate([own[name] for name in order if name in own]),
            seed,
            {"study": "table", "model": model, "domain": domain, "subset": ALL},
        )
        for (metric, model, domain, seed), own in parts.items()
    ]


def of_model(model: str, domain: str, subset: str = ALL) -> dict[str, str]:
    """Return the factors of a model's rows in a domain."""
    return {"study": "table", "model": model, "domain": domain, "subset": subset}


def gains(now: Any, domain: str, recorded: Any = None, metric: str = "accuracy") -> pd.DataFrame:
    """Return each model's difference to the student it comes from by model: value, lo, hi, seeds, origin."""
    start = {m: "sft-early" if m in EARLY else "sft" for m in MODELS}
    pairs = {m: (of_model(m, domain), of_model(start[m], domain)) for m in MODELS if m != start[m]}
    return differences(now, metric, pairs, recorded)


def results_table(now: Any, domain: str, recorded: Any = None) -> pd.DataFrame:
    """Return a row a model: accuracy, score, its gain over SFT, and what the thesis has (table 6.2 or 6.3).

    Gains are those of the greedy answers, as in the thesis, and of answers sampled at temperature 1.
    """
    accuracy, score = (
        _by_model(intervals(now, metric, recorded, study="table", domain=domain, subset=ALL))
        for metric in ("accuracy", "score")
    )
    found, drawn = (gains(now, domain, recorded, metric) for metric in ("accuracy", "sampled"))
    printed = thesis.TABLE_6_2 if domain == "in" else thesis.TABLE_6_3
    base = thesis.mean(thesis.accuracies(printed["sft"]))
    rows = {}
    for model, name in MODELS.items():
        if model not in accuracy.index:
            continue
        own = accuracy.loc[model]
        gain = found.loc[model] if model in found.index else None
        theirs = thesis.mean(thesis.accuracies(printed[model])) if model in printed else np.nan
        rows[name] = {
            "accuracy": f"{_cell(own)}",
            "gain, points": "" if gain is None else _gain(gain),
            "gain, sampled": _gain(drawn.loc[model]) if model in drawn.index else "",
            "score": f"{score.loc[model, 'value']:.2f}" if model in score.index else "",
            "thesis: accuracy": f"{theirs:.1f}" if np.isfinite(theirs) else "",
            "thesis: gain": f"{theirs - base:+.1f}" if np.isfinite(theirs) and model != "sft" else "",
            "thesis: score": f"{thesis.mean(thesis.scores(printed[model])):.2f}" if model in printed else "",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _gain(row: Any) -> str:
    return points(row["value"], row["lo"], row["hi"]) + "†" * (row["origin"] == RECORDED)


def _by_model(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index("model") if len(frame) else frame


def _cell(row: Any) -> str:
    mark = "†" * (row["origin"] == RECORDED)
    if not np.isfinite(row["lo"]):
        return f"{row['value']:.1%}{mark}"
    return f"{row['value']:.1%} [{100 * row['lo']:.1f}, {100 * row['hi']:.1f}]{mark}"


def by_subset(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return model ("sft", "dpo"), domain, subset, value, lo, hi of each subset's accuracy."""
    names = [name for part in SUBSETS.values() for name in part]
    found = one_source(
        now, recorded, "accuracy", share=True, study="table", model=["sft", "dpo"], subset=names
    )
    if not len(found):
        return found
    return found.sort_values("subset", key=lambda column: column.map(names.index), kind="stable")


def thesis_by_subset() -> pd.DataFrame:
    """Return the same of the thesis: shares 0..1 from tables 6.2 and 6.3."""
    return pd.DataFrame(
        [
            {"model": model, "domain": domain, "subset": name, "value": value / 100}
            for domain, printed, names in (
                ("in", thesis.TABLE_6_2, thesis.IN),
                ("out", thesis.TABLE_6_3, thesis.OUT),
            )
            for model in ("sft", "dpo")
            for name, value in zip(names, thesis.accuracies(printed[model]))
        ]
    )


def one_source(now: Any, recorded: Any, metric: str, *, share: bool = False, **wanted: Any) -> pd.DataFrame:
    """Return `stats.measured.intervals` of this run, or of the record where this run has nothing of it at all."""
    found = intervals(now, metric, share=share, **wanted)
    return found if len(found) or recorded is None else _as_recorded(recorded, metric, share, wanted)


def _as_recorded(recorded: Any, metric: str, share: bool, wanted: Mapping[str, Any]) -> pd.DataFrame:
    return intervals(recorded, metric, share=share, **wanted).assign(origin=RECORDED)


def evidence(now: Any, recorded: Any = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the frames of the chapter's figure, from one run: agreement by kind and rate, gains by domain as well."""
    source = now if len(intervals(now, "same_side", study="evidence")) or recorded is None else recorded
    same = intervals(source, "same_side", study="evidence", share=True)
    pairs = {}
    for row in source.rows:
        named = row.factors
        if row.metric == "accuracy" and named.get("study") == "evidence" and named.get("model") == "dpo":
            key = (named["kind"], named["rate"], named["domain"])
            before = {"study": "evidence", "model": "sft", "domain": named["domain"]}
            pairs[key] = (
                {name: named[name] for name in ("study", "kind", "rate", "model", "domain")},
                before,
            )
    found = differences(source, "accuracy", pairs)
    names = ["kind", "rate", "domain"]
    gained = pd.DataFrame([dict(zip(names, key)) for key in found.index], columns=names)
    gained = pd.concat([gained, found.reset_index(drop=True)], axis=1)
    if source is not now:
        same, gained = same.assign(origin=RECORDED), gained.assign(origin=RECORDED)
    return same, gained


def evidence_table(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return a row for each kind and rate of errors: both judges' agreement, the pairs, and what DPO gains by them."""
    same, gained = evidence(now, recorded)
    source = recorded if len(same) and (same["origin"] == RECORDED).all() else now
    more = {
        name: {(r.kind, r.rate): r.value for r in intervals(source, name, study="evidence").itertuples()}
        for name in ("spearman", "pairs", "pair_right")
    }
    gain = {(r.kind, r.rate, r.domain): points(r.value, r.lo, r.hi) for r in gained.itertuples()}
    rows = {}
    for row in (same.sort_values(["kind", "rate"], kind="stable") if len(same) else same).itertuples():
        key = (row.kind, row.rate)
        rows[f"{KINDS[row.kind]}, {row.rate:.0%}"] = {
            "one side": f"{row.value:.1%}",
            "rank correlation": _number(more["spearman"].get(key), "{:.2f}"),
            "pairs": _number(more["pairs"].get(key), "{:,.0f}"),
            "right way round": _number(more["pair_right"].get(key), "{:.1%}"),
            **{f"gain, {DOMAINS[d]}": gain.get((*key, d), "") for d in DOMAINS},
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _number(value: float | None, how: str) -> str:
    return "" if value is None or not np.isfinite(value) else how.format(value)


def confusion(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return case, given, frames, value (share of all answers) of the answers that the page's pairs come from."""
    found = one_source(now, recorded, "confusion", share=True, study="signal")
    return found.assign(case="all sampled answers") if len(found) else found


def confusions(now: Any, cases: Sequence[tuple[str, float]], recorded: Any = None) -> pd.DataFrame:
    """Return case, given, frames, value (share of the case's answers), the cases named by kind and rate."""
    found = one_source(now, recorded, "confusion", share=True, study="evidence")
    parts = [
        found[(found["kind"] == kind) & np.isclose(found["rate"].astype(float), rate)].assign(
            case=f"{rate:.0%} {KINDS[kind] if kind != 'both' else 'of each'}" if rate else "no errors"
        )
        for kind, rate in cases
        if len(found)
    ]
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=["case", "given", "frames", "value"])
    whole = pd.concat(parts, ignore_index=True)
    return whole.assign(given=whole["given"].astype(int), frames=whole["frames"].astype(int))


def epochs(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return epoch, domain, value, lo, hi of DPO's accuracy on the way (`shown_rows.on_the_way`)."""
    return one_source(now, recorded, "on_the_way", share=True)


def ranked(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return rule, n, domain, value, lo, hi of the best of n, and of both models' greedy answers."""
    return one_source(now, recorded, "best_of_n", share=True, study="ranker")


def captions(now: Any, recorded: Any = None) -> pd.DataFrame:
    """Return measure, size, domain, value, lo, hi of captions by the number that was pre-trained on."""
    parts = [
        one_source(now, recorded, metric, share=measure == "coverage", study="captions").assign(
            measure=measure
        )
        for measure, metric in CAPTION_MEASURES.items()
    ]
    parts = [part for part in parts if len(part)]
    return (
        pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["measure", "size", "domain"])
    )


def judged(now: Any, domain: str, recorded: Any = None, metric: str = "judged") -> pd.DataFrame:
    """Return judge, model, value, lo, hi: what each judge says of each model in a domain."""
    named = {"study": "judges", "domain": domain, "model": list(COMPARED)}
    found = one_source(now, recorded, metric, share=metric == "judged", **named)
    return found.assign(judge=found["judge"].replace(NAMES_OF_JUDGES)) if len(found) else found


def thesis_judged() -> pd.DataFrame:
    """Return the same of table 11.1: version of the judge, model, mean accuracy as a share."""
    return pd.DataFrame(
        [
            {
                "judge": f"gpt-3.5-turbo-{version}",
                "model": model,
                "value": thesis.mean(thesis.accuracies(row)) / 100,
            }
            for version, table in thesis.TABLE_11_1.items()
            for model, row in table.items()
        ]
    )


def ranks(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rank of each model (rows) by each judge (columns), 1 the best, of a frame with judge, model, value."""
    wide = frame.pivot(index="model", columns="judge", values="value")
    wide = wide.reindex(
        index=list(dict.fromkeys(frame["model"])), columns=list(dict.fromkeys(frame["judge"]))
    )
    return wide.rank(ascending=False, method="min").astype("Int64")


def training(trained: Mapping[tuple[str, int], Any]) -> pd.DataFrame:
    """Return step, arm, side, value (log-ratio, nats), seed of `preference.train.DPOTrained` by (model, seed)."""
    rows = [
        {"step": step + 1, "arm": MODELS.get(model, model), "side": side, "value": float(value), "seed": seed}
        for (model, seed), one in trained.items()
        for side, values in (("chosen", one.chosen_ratio), ("rejected", one.rejected_ratio))
        for step, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["step", "arm", "side", "value", "seed"])


def side_effects(now: Any, domain: str, recorded: Any = None) -> pd.DataFrame:
    """Return a row a model: words in an answer, answers that name what is not there, and accuracy."""
    found = {
        metric: _by_model(intervals(now, metric, recorded, study="table", domain=domain, subset=ALL))
        for metric in ("words", "invents", "accuracy")
    }
    rows = {}
    for model, name in MODELS.items():
        if all(model in frame.index for frame in found.values()):
            at = {metric: frame.loc[model] for metric, frame in found.items()}
            mark = "†" * any(row["origin"] == RECORDED for row in at.values())
            rows[name] = {
                "words an answer": f"{at['words']['value']:.2f}{mark}",
                "names what is not there": _cell(at["invents"]),
                "right": _cell(at["accuracy"]),
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def by_kind(now: Any, domain: str, recorded: Any = None) -> pd.DataFrame:
    """Return a row a kind of question: the best guess without looking, accuracy of SFT and of DPO, and the gain."""
    guess = {row.kind: row.value for row in intervals(now, "guess", recorded, study="world").itertuples()}
    found = intervals(now, "kind_accuracy", recorded, share=True, study="kinds", domain=domain)
    kinds = list(dict.fromkeys(found["kind"])) if len(found) else []
    of = {"study": "kinds", "domain": domain}
    pairs = {
        kind: ({**of, "kind": kind, "model": "dpo"}, {**of, "kind": kind, "model": "sft"}) for kind in kinds
    }
    gain = differences(now, "kind_accuracy", pairs, recorded)
    rows = {}
    for kind in kinds:
        own = found[found["kind"] == kind].set_index("model")
        rows[kind] = {
            "best guess": _number(guess.get(kind), "{:.1%}"),
            **{MODELS[m]: _cell(own.loc[m]) if m in own.index else "" for m in ("sft", "dpo")},
            "gain, points": points(*gain.loc[kind, ["value", "lo", "hi"]]) if kind in gain.index else "",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def told(frame: pd.DataFrame, columns: Sequence[str]) -> str:
    """Return a frame's values in words, for an alternative text."""
    return "; ".join(
        f"{' '.join(str(getattr(row, name)) for name in columns)} {row.value:.2f}"
        for row in frame.itertuples()
    )


def capital(words: str) -> str:
    """Return words with a capital."""
    return words[:1].upper() + words[1:]
