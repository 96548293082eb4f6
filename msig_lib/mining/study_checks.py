"""What stands beside the study of chapter 5: corpora, prompts, agreement of judges, real text. Nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from msig_lib import datasets
from msig_lib.mining import prompts, quality, real
from msig_lib.mining.corpus import LikeTopic, build_corpus, corpus_quality, oracle_judge, oracle_titles
from msig_lib.mining.data import Sentence
from msig_lib.mining.documents import Mined
from msig_lib.mining.grades import agreement
from msig_lib.mining.judges import EmbeddingJudge, OracleJudge, OverlapJudge
from msig_lib.mining.library import LocalLibrary
from msig_lib.mining.signal import TemplateTeacher
from msig_lib.mining.study import ARMS, TOPICS, Chatbot, Found, Plan, world
from msig_lib.mining.words import KIND
from msig_lib.stats.measured import Measured

SENTENCES = ("opening", "stands alone", "needs context", "two facts", "continues")
"""Kinds of sentences worth asking about: what a thing is; one fact, with its name or not; two; the second of two."""


def corpora(plan: Plan) -> list[Measured]:
    """Build each topic's corpus from the whole encyclopedia (5.5.1): by searching, by words, by an oracle's filter."""
    here = world(plan)
    passages = list(here.by_id().values())
    library = LocalLibrary([one.document for one in passages])
    filters = {"none": None, "words alike": LikeTopic(), "oracle": oracle_judge(passages)}
    found = []
    for topic in TOPICS:
        wanted = {one.document.title for one in here.passages[topic]}
        for name, judge in filters.items():
            corpus = build_corpus(topic, oracle_titles(passages), library, judge)
            measured = corpus_quality(corpus, wanted)
            for measure in ("precision", "recall", "kept"):
                factors = {"topic": topic, "filter": name, "measure": measure}
                found.append(Measured("corpus", float(measured[measure]), 0, factors))
    return found


def missed(plan: Plan, found: Sequence[Found]) -> list[Measured]:
    """Return right pairs by kind of sentence worth asking about (`SENTENCES`): where a miner's misses are."""
    passages = world(plan).by_id()
    out = []
    for one in found:
        frame = quality.miner_quality(one.findings, passages)
        told = [passages[own.document].sentences[own.sentence] for own in one.findings]
        kinds = np.array(["" if own.fails else _kind(own) for own in told])
        named = next(row.factors for row in one.measured if row.metric == "found")
        for kind in SENTENCES:
            values = frame["pair_right"].to_numpy(float)[kinds == kind]
            if len(values):
                out.append(Measured("found_by_sentence", values, one.seed, {**named, "sentence": kind}))
    return out


def _kind(of: Sentence) -> str:
    """Return which of `SENTENCES` a sentence is that states something."""
    first = of.facts[0].relation
    if first == KIND:
        return "opening"
    if first not in of.text:
        return "continues"
    if len(of.facts) > 1:
        return "two facts"
    return "needs context" if of.needs_context else "stands alone"


def prompt_words(plan: Plan) -> list[Measured]:
    """Return the mean number of words of what a teacher is asked about a kept sentence, and a miner."""
    found = []
    items = [(one.document, i) for one in world(plan).domain for i in range(len(one.sentences))]
    for analysis in (True, False):
        if analysis:
            asked = [
                (
                    prompts.analysis_prompt(d, i),
                    prompts.question_prompt(d, i, ""),
                    prompts.answer_prompt(d, "", i),
                )
                for d, i in items
            ]
            short = [prompts.short_prompt(d, i) for d, i in items]
        else:
            asked = [(prompts.pair_prompt(d, i),) for d, i in items]
            short = [prompts.short_pair_prompt(d, i) for d, i in items]
        for who, texts in (("teacher", [" ".join(each) for each in asked]), ("miner", short)):
            words = float(np.mean([len(text.split()) for text in texts]))
            found.append(Measured("prompt_words", words, 0, {"who": who, "analysis": analysis}))
    return found


def judges(plan: Plan, chatbots: Sequence[Chatbot]) -> list[Measured]:
    """Return how two judges that know no facts agree with the oracle on the chatbots of table 5.1, by seed.

    The thresholds of the embedding judge come from the chatbots' answers about other entities.
    """
    questions = [question for topic in TOPICS for question in plan.questions_of(topic)]
    dev, found = plan.dev_questions(), []
    for seed in sorted({one.seed for one in chatbots}):
        systems = [one for one in chatbots if one.seed == seed and one.arm in ARMS]
        said = [[answer for topic in TOPICS for answer in one.answers[topic]] for one in systems]
        oracle = [OracleJudge().judge(questions, answers).scores for answers in said]
        heard = [answer for one in systems for answer in one.dev]
        fitted = EmbeddingJudge().fit(
            dev * len(systems), heard, OracleJudge().judge(dev * len(systems), heard).scores
        )
        for judge in (OverlapJudge(), fitted):
            every = judge.judge(questions * len(systems), [one for answers in said for one in answers]).scores
            grades = every.reshape(len(systems), len(questions))
            for measure, value in agreement(oracle, grades).items():
                factors = {"judge": judge.name, "measure": measure}
                found.append(Measured("agreement", float(value), seed, factors))
    return found


def real_text() -> list[Measured]:
    """Return how well pairs by rules cover the human questions of XQuAD; nothing when it is not at hand."""
    if not datasets.available(real.NAME)[0]:
        return []
    reading = real.load()
    items = [(document, i) for document in reading.documents for i in range(len(document.sentences))]
    pairs = TemplateTeacher().ask(items, seed=0)
    sources: dict[str, list[Mined]] = {
        "template": pairs,
        "shuffled": real.shuffled(pairs, 0),
        "sentences": real.sentences_as_pairs(reading.documents),
    }
    found = []
    for name, mined in sources.items():
        for by in ("pair", "question") if name != "sentences" else ("pair",):
            frame = real.coverage(mined, reading.questions, by=by)
            for measure in ("same_document", "same_sentence", "covered", "possible"):
                factors = {"pairs": name, "by": by, "measure": measure}
                found.append(Measured("coverage", frame[measure].to_numpy(float), 0, factors))
    return found
