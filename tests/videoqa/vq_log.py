"""A log in the form of the chapter's contract, with made-up numbers that the tests can reckon with."""

import numpy as np

from msig_lib.preference.train import DPOTrained
from msig_lib.runs import results
from msig_lib.stats.measured import record
from msig_lib.videoqa.data import SUBSETS
from msig_lib.videoqa.shown import EARLY, MODELS, pooled
from msig_lib.videoqa.shown_rows import on_the_way

Q = 40  # questions of a subset
ACCURACY = {  # in the domain; out of it 8 questions of 40 fewer
    "pretrained": 10, "sft": 20, "dpo": 26, "image": 19, "other": 20, "dpo-projector": 23, "self-play": 18,
    "dpo-small-rate": 24, "shuffled": 20, "winners": 22, "sft-longer": 21, "sft-early": 14,
    "dpo-early": 18, "winners-early": 17,
}  # fmt: skip
RATES = (0.0, 0.1, 0.3, 0.5)
JUDGES = {"frames": 0, "caption": 2, "caption, order ignored": 6, "overlap": 12}


def marks(right, n=Q):
    """The first `right` of n answers are right."""
    return (np.arange(n) < right).astype(float)


def made(seeds=(0, 1)):
    """Return a log of all rows of the contract, the same for every seed up to one answer."""
    log = results.open()
    add = log.add
    for kind, share in (("direction", 0.25), ("size", 0.55)):
        add("guess", share, study="world", kind=kind)
    for seed in seeds:
        for k, (domain, part) in enumerate((("in", "test-in"), ("out", "test-out"))):
            for model in MODELS:
                right = ACCURACY[model] - 8 * k + seed
                for subset in SUBSETS[part]:
                    of = {"study": "table", "model": model, "domain": domain, "subset": subset}
                    add("accuracy", marks(right), seed=seed, **of)
                    add("sampled", 0.8 * marks(right), seed=seed, **of)
                    add("score", 1 + 2 * marks(right) + marks(right // 2), seed=seed, **of)
                    add("words", 2.0 + marks(right // 4), seed=seed, **of)
                    add("invents", marks(14 - right // 2), seed=seed, **of)
            for name, more in JUDGES.items():
                for model in ("pretrained", "image", "sft", "dpo"):
                    of = {"study": "judges", "judge": name, "model": model, "domain": domain}
                    add("judged", marks(ACCURACY[model] - 4 * k + more + seed), seed=seed, **of)
                    add("judged_score", 1 + 2 * marks(ACCURACY[model] + more), seed=seed, **of)
            add("accuracy", marks(20 - 8 * k), seed=seed, study="evidence", model="sft", domain=domain)
            for step, right in ((0, 20), (10, 25), (20, 27), (30, 26)):
                of = {
                    "study": "steps",
                    "step": step,
                    "epoch": round(step / 10 + seed / 50, 2),
                    "domain": domain,
                    "model": "dpo",
                }
                add("accuracy", marks(right - 8 * k + seed), seed=seed, **of)
            for rule, rise in (
                ("dpo ratio", 2),
                ("sft probability", 1),
                ("majority", 2),
                ("one sample", 0),
                ("oracle", 4),
            ):
                for n in (1, 8, 64):
                    right = 12 + rise * int(np.log2(n)) - 4 * k + seed
                    add("best_of_n", marks(right), seed=seed, study="ranker", rule=rule, n=n, domain=domain)
            for rule, right in (("sft greedy", 20), ("dpo greedy", 26)):
                add(
                    "best_of_n",
                    marks(right - 4 * k + seed),
                    seed=seed,
                    study="ranker",
                    rule=rule,
                    n=1,
                    domain=domain,
                )
            for size in (500, 2000):
                of = {"study": "captions", "size": size, "domain": domain}
                add("caption_rating", 1 + marks(size // 100) * 2, seed=seed, **of)
                add("caption_coverage", 0.4 + 0.2 * marks(size // 100), seed=seed, **of)
                add("caption_invented", 3 - marks(size // 100), seed=seed, **of)
            for kind in ("direction", "size"):
                for model in ("sft", "dpo"):
                    of = {"study": "kinds", "kind": kind, "model": model, "domain": domain}
                    add("kind_accuracy", marks(ACCURACY[model] - 4 * k, 30), seed=seed, **of)
        for metric, value in (("same_side", 0.9), ("spearman", 0.8), ("pairs", 80.0), ("pair_right", 0.7)):
            add(metric, value, seed=seed, study="signal")
        add("pair_reversed", 0.1, seed=seed, study="signal")
        for score in range(1, 6):
            add("confusion", 0.2, seed=seed, study="signal", given=score, frames=score)
        for kind in ("hallucination", "omission", "both"):
            for rate in RATES:
                of = {"study": "evidence", "kind": kind, "rate": rate}
                add("same_side", 1 - rate * (0.4 if kind == "omission" else 0.8), seed=seed, **of)
                add("spearman", 0.9 - rate, seed=seed, **of)
                add("pairs", 100.0 - 100 * rate, seed=seed, **of)
                add("pair_right", 0.95 - rate / 2, seed=seed, **of)
                for given in range(1, 6):
                    for frames in range(1, 6):
                        add("confusion", 0.2 * (given == frames), seed=seed, given=given, frames=frames, **of)
                for k, domain in enumerate(("in", "out")):
                    right = 20 - 8 * k + int(8 - 20 * rate) + seed
                    add("accuracy", marks(right), seed=seed, model="dpo", domain=domain, **of)
    for what, tokens in (("caption", 60.0), ("clip", 12.0)):
        add("tokens", tokens, study="cost", what=what)
    record(log, pooled(log))
    record(log, pooled(log, EARLY))
    record(log, on_the_way(log))
    return log


def curve(steps=20, fall=0.1):
    """Return a training whose chosen log-ratio falls by `fall` a step and whose rejected one by three times that."""
    zero = np.zeros(steps)
    own = -fall * np.arange(steps)
    return DPOTrained(zero, zero, zero, zero, zero, own, 3 * own, own, 3 * own, None)
