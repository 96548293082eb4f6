"""A log of chapter 5 made by hand: every share is exact, and the seeds agree unless they are told not to."""

import numpy as np

from msig_lib.mining.study import TOPICS
from msig_lib.mining.words import RELATIONS
from msig_lib.runs.results import Log

ITEMS = 200
PLAIN = {"source": "miner", "error": 0.0, "wordings": 1}
ARMS = {"conversations": 0.0, "+ passages": 0.02, "+ QA": 0.4, "+ augmented": 0.55}
MINERS = {
    (True, 2400, 0.0): 0.7, (False, 2400, 0.0): 0.6, (True, 600, 0.0): 0.45, (True, 2400, 0.2): 0.5,
}  # fmt: skip


def add(log, metric, share, runs=(0, 1), items=ITEMS, **factors):
    """The first items are right, in every seed."""
    for seed in runs:
        log.add(metric, (np.arange(items) < round(share * items)).astype(float), seed=seed, **factors)


def chatbot(log, share, recited=None, **factors):
    """A chatbot's rows: `share` is what it knows, scores and answers follow."""
    named = {**PLAIN, **factors}
    add(log, "known", share, **named)
    add(log, "recited", share if recited is None else recited, **named)
    for seed in (0, 1):
        log.add("tokens", 4e5, seed=seed, **named)
        for k, kind in enumerate(texts_of(named["arm"])):
            log.add("tokens_of", 1e5 * (k + 1), seed=seed, kind=kind, **named)
            log.add("tokens_once", 1e4 / (k + 1), seed=seed, kind=kind, **named)
    for k, topic in enumerate(TOPICS):
        add(log, "known_of_topic", share + 0.01 * k, items=100, topic=topic, **named)
    for k, topic in enumerate([*TOPICS, "all"]):
        add(
            log, "score", 0.2 + share / 2 + 0.01 * (k % 4), items=50 if k < 4 else ITEMS, topic=topic, **named
        )
    for kind, of in (("one", share), ("both", share / 4), ("greater", 0.5 * (share > 0.1))):
        add(log, "accuracy", of, items=40, kind=kind, **named)


def texts_of(arm):
    """The kinds of text that an arm is trained on."""
    kinds = {"QA only": ["conversations", "qa"], "rewordings": ["conversations", "passages"]}
    whole = ["conversations", "passages", "qa", "aug"]
    return kinds.get(arm) or whole[: 1 + list(ARMS).index(arm.removesuffix(", same words"))]


def miner(log, share, pair_right, **factors):
    """A miner's or a teacher's rows."""
    add(log, "found", share, items=100, **factors)
    for sentence, of in (("opening", share / 2), ("stands alone", share)):
        add(log, "found_by_sentence", of, items=20, sentence=sentence, **factors)
    for seed in (0, 1):
        shares = {"precision": 0.9, "recall": 0.8, "pair_right": pair_right, "malformed": 0.05}
        for name, value in shares.items():
            log.add("mined", value, seed=seed, share=name, **factors)
        if factors["miner"] == "miner":
            for of, tokens in (("learned from", 3e5), ("read", 2e4), ("written", 4e3)):
                log.add("mining_tokens", tokens, seed=seed, of=of, **factors)


def full_log(arms=ARMS, miners=MINERS):
    """Everything that the notebook records."""
    log = Log()
    for arm, share in arms.items():
        chatbot(log, share, recited=0.95 * (arm != "conversations"), arm=arm)
    chatbot(log, 0.3, recited=0.1, arm="QA only")
    chatbot(log, 0.45, recited=0.95, arm="+ augmented, same words")
    for n, share in ((2, 0.03), (8, 0.2)):
        chatbot(log, share, recited=0.9, arm="rewordings", wordings=n)
    chatbot(log, 0.25, arm="+ QA", source="template")
    for error, share in ((0.0, 0.5), (0.2, 0.35), (0.4, 0.2)):
        chatbot(log, share, arm="+ QA", source="oracle", error=error)
        miner(log, 1 - error, 1 - error, miner="oracle", error=error)
        if error:
            chatbot(log, share + 0.05, arm="+ QA", source="agreed", error=error)
            miner(log, 0.9 - error, 0.98, miner="agreed", error=error)
            chatbot(log, share - 0.1, arm="+ QA", error=error)
    miner(log, 0.3, 0.35, miner="template", error=0.0)
    for (analysis, n, error), share in miners.items():
        miner(
            log,
            share,
            share + 0.1,
            miner="miner",
            analysis=analysis,
            instances=n,
            error=error,
            nouns=len(RELATIONS),
        )
    for analysis, unseen in ((True, 0.1), (False, 0.4)):
        for seen, share in ((True, 0.8), (False, unseen)):
            named = {"analysis": analysis, "instances": 2400, "error": 0.0, "nouns": 12}
            add(log, "found_by_noun", share, items=60, miner="miner", seen=seen, **named)
    agreement = {"n": 800, "exact": 0.6, "kappa": 0.7, "spearman": 0.65, "ordered_alike": 5 / 6}
    for judge, lift in (("overlap", 0.0), ("embedding", 0.1)):
        for measure, value in agreement.items():
            log.add("agreement", value + lift * (measure != "n"), seed=0, judge=judge, measure=measure)
    for k, pairs in enumerate(("template", "shuffled", "sentences")):
        for measure in ("same_document", "covered", "possible"):
            add(log, "coverage", 0.8 - 0.2 * k, runs=(0,), pairs=pairs, by="pair", measure=measure)
    for topic in TOPICS:
        for name, precision in (("none", 0.5), ("words alike", 0.9), ("oracle", 1.0)):
            for measure, value in (("precision", precision), ("recall", 0.8), ("kept", 12.0)):
                log.add("corpus", value, seed=0, topic=topic, filter=name, measure=measure)
    for analysis in (True, False):
        for who, words in (("teacher", 700.0), ("miner", 90.0)):
            log.add("prompt_words", words, seed=0, who=who, analysis=analysis)
    return log
