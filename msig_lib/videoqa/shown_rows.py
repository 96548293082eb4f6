"""Rows that claims need and that follow from others: ends of a training, of a series of sizes, of all judges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from msig_lib.stats.measured import Measured
from msig_lib.videoqa.captions import Captioner, check_caption, words_in
from msig_lib.videoqa.data import Scene
from msig_lib.videoqa.shown import CAPTION_MEASURES, ranks

LAST = 0.1  # ours: share of a training's steps whose mean is its end


def captioner(scenes: Sequence[Scene], rates: Iterable[tuple[float, float]], *, seed: int) -> pd.DataFrame:
    """Return a row for each (hallucination, omission) rate: what captions with such errors are like, on the mean."""
    rows = {}
    for made_up, left_out in rates:
        texts = Captioner(made_up, left_out, seed=seed).write(scenes)
        checks = [check_caption(text, scene) for text, scene in zip(texts, scenes)]
        rows[f"{made_up:.0%} made up, {left_out:.0%} left out"] = {
            "rating, 0 to 6": np.mean([check.rating for check in checks]),
            "claims it has": np.mean([check.coverage for check in checks]),
            "false claims": np.mean([len(check.invented) for check in checks]),
            "words and marks": words_in(texts),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def ends_of_captions(log: Any) -> list[Measured]:
    """Return each measure of captions for the fewest and the most that a model was pre-trained on (factor captions)."""
    out = []
    for metric in CAPTION_MEASURES.values():
        rows = [row for row in log.rows if row.metric == metric and row.factors.get("study") == "captions"]
        sizes = sorted({row.factors["size"] for row in rows})
        for name, size in zip(("fewest", "most"), (sizes[0], sizes[-1]) if len(sizes) > 1 else ()):
            out += [
                Measured(metric, _items(row), row.seed, _named(row, captions=name))
                for row in rows
                if row.factors["size"] == size
            ]
    return out


def ends_of_training(trained: Mapping[tuple[str, int], Any]) -> list[Measured]:
    """Return the log-ratio (nats) of chosen and rejected answers over the last steps of each (model, seed)."""
    out = []
    for (model, seed), one in trained.items():
        for side, values in (("chosen", one.chosen_ratio), ("rejected", one.rejected_ratio)):
            last = np.asarray(values)[-max(1, round(LAST * len(values))) :]
            out.append(Measured("log_ratio", float(last.mean()), seed, {"model": model, "side": side}))
    return out


def on_the_way(log: Any, apart: float = 0.5) -> list[Measured]:
    """Return DPO's accuracy on the way by epoch, rounded to multiples of `apart`, so that seeds have the same ones.

    Seeds have different numbers of pairs, so their steps differ. Of several steps near one epoch the last counts.
    """
    found = {}
    for row in log.rows:
        if row.metric == "accuracy" and row.factors.get("study") == "steps":
            epoch = round(row.factors["epoch"] / apart) * apart
            found[row.seed, row.factors["domain"], epoch] = _items(row)
    return [
        Measured("on_the_way", values, seed, {"domain": domain, "epoch": float(epoch)})
        for (seed, domain, epoch), values in found.items()
    ]


def judges_apart(log: Any) -> list[Measured]:
    """Return for each model, domain and seed how far apart the judges' accuracies are, highest minus lowest."""
    found: dict[tuple[str, str, int], list[float]] = {}
    for row in log.rows:
        if row.metric == "judged" and row.factors.get("study") == "judges":
            found.setdefault((row.factors["model"], row.factors["domain"], row.seed), []).append(row.value)
    return [
        Measured("judges_apart", max(values) - min(values), seed, {"model": model, "domain": domain})
        for (model, domain, seed), values in found.items()
        if len(values) > 1
    ]


def one_order(frame: pd.DataFrame, models: Iterable[str]) -> bool:
    """Return whether every judge of a frame (judge, model, value) puts these models in the same order."""
    order = ranks(frame[frame["model"].isin(list(models))])
    return all(order[name].equals(order[order.columns[0]]) for name in order.columns)


def _items(row: Any) -> Any:
    return row.value if row.items is None else row.items


def _named(row: Any, *, without: Iterable[str] = ("size", "study"), **more: Any) -> dict[str, Any]:
    return {**{name: value for name, value in row.factors.items() if name not in without}, **more}
