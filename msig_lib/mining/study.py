"""The study of chapter 5, section by section: each takes weights and a seed, and returns findings and measurements.

encyclopedia -> base -> seed data -> miner -> mined pairs -> chatbots (table 5.1) -> what they know

Every section is a function of picklable arguments, so that seeds run side by side in processes; the world is made
anew in each of them from its seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from msig_lib.lm.decoder import build_decoder
from msig_lib.lm.local import LocalModel
from msig_lib.lm.scoring import Example
from msig_lib.lm.training import TrainSettings
from msig_lib.mining import evaluate, quality
from msig_lib.mining.data import Encyclopedia, Passage, WorldSettings, fresh_passages, make_world, reworded
from msig_lib.mining.documents import Mined, Teacher
from msig_lib.mining.grades import normalised
from msig_lib.mining.judges import OracleJudge
from msig_lib.mining.model import fine_tune
from msig_lib.mining.questions import Question, conversations, draw_test_questions
from msig_lib.mining.signal import OracleTeacher, TemplateTeacher, agree, seed_instances
from msig_lib.mining.train import (
    BaseSettings,
    ChatSettings,
    conversation_examples,
    pairs_of,
    text_examples,
    tokenizer,
    train_chatbot,
)
from msig_lib.mining.wording import varied
from msig_lib.mining.words import DOMAIN, GENERAL, KIND, RELATIONS
from msig_lib.stats.measured import Measured
from msig_lib.stats.measured import record as record  # notebooks call it as study.record

State = dict[str, np.ndarray]
# Ours: one encyclopedia for all seeds, which draw the training. All settings were chosen on fresh passages and on the
# encyclopedias of seeds 0 and 1; this one was first looked at when they were fixed.
WORLD_SEED = 2
TOPICS = tuple(topic.name for topic in DOMAIN)


@dataclass(frozen=True)
class Seeding:
    """What a miner learns from: `n` seed instances by the oracle.

    `error`: share of wrong answers among them; `nouns`: how many of the relations they have, the others are unseen.
    """

    analysis: bool = True
    n: int = 2400  # prototype: thesis 5.3.1 has 600 for a pretrained model
    error: float = 0.0
    nouns: int = len(RELATIONS)

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.error <= 1 or not 6 <= self.nouns <= len(RELATIONS):
            raise ValueError(
                f"n from 1, error from 0 to 1, nouns from 6 to {len(RELATIONS)} are expected, given {self}"
            )

    @property
    def factors(self) -> dict[str, Any]:
        """The names and values by which measurements of such a miner are found."""
        return {"analysis": self.analysis, "instances": self.n, "error": self.error, "nouns": self.nouns}


@dataclass(frozen=True)
class Arm:
    """What a chatbot learns from, beside conversations (5.6.1); every kind is drawn equally often.

    `passages`: 0, or each in so many wordings (1: as it stands); `qa`: mined pairs; `aug`: their answers as text,
    with `varied` in several wordings (`wording.varied`), else as they are.
    """

    passages: int = 0
    qa: bool = False
    aug: bool = False
    varied: bool = True

    def __post_init__(self) -> None:
        if self.passages < 0:
            raise ValueError(f"passages is {self.passages}, expected 0 or a number of wordings")


ARMS = {
    "conversations": Arm(),
    "+ passages": Arm(passages=1),
    "+ QA": Arm(passages=1, qa=True),
    "+ augmented": Arm(passages=1, qa=True, aug=True),
}
"""The rows of table 5.1."""
CONTROLS = {
    "QA only": Arm(qa=True),
    "+ augmented, same words": Arm(passages=1, qa=True, aug=True, varied=False),
}
"""Beside them: pairs without the passages, and answers as text exactly as the pairs have them."""


@dataclass(frozen=True)
class Plan:
    """Sizes of everything; seeds of the runs are not part of it."""

    world: WorldSettings = field(default_factory=WorldSettings)
    base: BaseSettings = field(default_factory=BaseSettings)
    chat: ChatSettings = field(default_factory=ChatSettings)
    miner: TrainSettings = field(default_factory=lambda: TrainSettings(500, 8, 3e-3))  # ours: see WORLD_SEED
    conversations: int = 6_000
    questions: int = 50  # of each topic; thesis 5.5.2: about 30
    dev: int = 200

    def __post_init__(self) -> None:
        if min(self.conversations, self.questions, self.dev) < 1:
            raise ValueError(f"conversations, questions and dev from 1 are expected, given {self}")

    def questions_of(self, topic: str) -> list[Question]:
        """Return the test questions about a topic."""
        return draw_test_questions(world(self).passages[topic], self.questions, seed=WORLD_SEED)

    def dev_questions(self) -> list[Question]:
        """Return questions in the words of tests about the entities of the conversations."""
        known = [passage for topic in world(self).known.values() for passage in topic]
        return draw_test_questions(known, self.dev, seed=1)


def world(plan: Plan) -> Encyclopedia:
    """Return the encyclopedia of a plan."""
    return _world(plan.world)


@lru_cache(maxsize=2)
def _world(settings: WorldSettings) -> Encyclopedia:
    return make_world(settings, seed=WORLD_SEED)


def decoder(plan: Plan, state: Mapping[str, np.ndarray]) -> LocalModel:
    """Return a decoder with these weights."""
    import torch

    of = tokenizer()
    model = build_decoder(of, seed=0, width=plan.base.width, layers=plan.base.layers, heads=plan.base.heads)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return LocalModel.of(model, of, name="encyclopedia decoder")


@dataclass(frozen=True, eq=False)
class Found:
    """A miner's (or a teacher's) findings on every sentence of the domain, and measurements of them."""

    miner: str
    seed: int
    findings: list[Mined]
    measured: list[Measured]
    seconds: float = 0.0

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The questions and answers that were kept."""
        return pairs_of(self.findings)

    def of(self, topic: str | None = None) -> list[Mined]:
        """Return the findings on one topic."""
        return [one for one in self.findings if topic is None or one.document.startswith(f"{topic}/")]


def asked_by(plan: Plan, who: str, seed: int, *, error: float = 0.0) -> Found:
    """Return what the "oracle" or the "template" says about every sentence of the domain; ValueError for others."""
    if who not in ("oracle", "template") or (who == "template" and error):
        raise ValueError(
            f"who is {who!r} with error {error}, expected 'oracle', or 'template' without errors"
        )
    teacher: Teacher = TemplateTeacher()
    if who == "oracle":
        teacher = OracleTeacher(world(plan).domain, error_rate=error)
    findings = ask_all(teacher, world(plan).domain, seed=seed)
    return Found(who, seed, findings, judged(plan, findings, seed, miner=who, error=error))


def agreed(plan: Plan, error: float, seed: int) -> Found:
    """Return what an oracle with errors says twice the same about, and refuses the rest: filtering by agreement."""
    first, second = (asked_by(plan, "oracle", draw, error=error) for draw in (seed, 1000 + seed))
    same = agree(first.findings, second.findings)
    findings = [
        one if keep or not one.kept else Mined(one.document, one.sentence, one.analysis, "clear")
        for one, keep in zip(first.findings, same)
    ]
    return Found("agreed", seed, findings, judged(plan, findings, seed, miner="agreed", error=error))


def mined_by(plan: Plan, state: State, seeding: Seeding, seed: int) -> Found:
    """Fine-tune a miner on the oracle's seed data and let it mine the domain, whose topics the seed data has not."""
    nouns = tuple(np.random.default_rng([seed, 14]).permutation(list(RELATIONS))[: seeding.nouns].tolist())
    passages = list(
        fresh_passages(world(plan), seeding.n, seed=20_000 + seed, topics=GENERAL, mixed=True, nouns=nouns)
    )
    teacher = OracleTeacher(passages, analysis=seeding.analysis, error_rate=seeding.error)
    instances = seed_instances(teacher, [one.document for one in passages], seeding.n, seed)
    miner, run = fine_tune(
        decoder(plan, state), instances, analysis=seeding.analysis, settings=plan.miner, seed=seed
    )
    findings = ask_all(miner, world(plan).domain, seed=seed)
    named = {"miner": "miner", **seeding.factors}
    found = judged(plan, findings, seed, **named)
    usage = miner.model.usage
    for of, tokens in (
        ("learned from", run.tokens), ("read", usage.prompt_tokens), ("written", usage.completion_tokens),
    ):  # fmt: skip
        found.append(Measured("mining_tokens", float(tokens), seed, {**named, "of": of}))
    if seeding.nouns < len(RELATIONS):
        found += _by_noun(plan, findings, set(nouns), seed, named)
    return Found("miner", seed, findings, found, run.seconds)


def ask_all(teacher: Teacher, passages: Sequence[Passage], *, seed: int) -> list[Mined]:
    """Return a finding on every sentence of every passage."""
    items = [(one.document, i) for one in passages for i in range(len(one.sentences))]
    return teacher.ask(items, seed=seed)


def judged(plan: Plan, findings: Sequence[Mined], seed: int, **factors: Any) -> list[Measured]:
    """Return a miner's quality: a share of its sentences or pairs a row, and pairs found by sentence worth asking."""
    frame = quality.miner_quality(findings, world(plan).by_id())
    shares = {name: value for name, value in quality.summary(frame).items() if not name.endswith("_of")}
    found = frame.loc[frame["should_keep"], "pair_right"].to_numpy(float)
    shares.pop("found")
    return [
        Measured("found", found, seed, factors),
        *(Measured("mined", value, seed, {**factors, "share": name}) for name, value in shares.items()),
    ]


def _by_noun(plan: Plan, findings: list[Mined], seen: set[str], seed: int, named: dict) -> list[Measured]:
    """Return pairs found by whether the miner's seed data had the sentence's relations, all or none of them."""
    passages = world(plan).by_id()
    frame = quality.miner_quality(findings, passages)
    sentences = [passages[one.document].sentences[one.sentence] for one in findings]
    told = [set() if one.fails else {fact.relation for fact in one.facts} - {KIND} for one in sentences]
    out = []
    for known in (True, False):
        rows = [k for k, nouns in enumerate(told) if nouns and all((noun in seen) == known for noun in nouns)]
        values = frame["pair_right"].to_numpy(float)[rows]
        if len(values):
            out.append(Measured("found_by_noun", float(values.mean()), seed, {**named, "seen": known}))
    return out


@dataclass(frozen=True, eq=False)
class Chatbot:
    """A chatbot's answers to the test questions by topic, and to development questions; and measurements."""

    arm: str
    seed: int
    answers: dict[str, list[str]]
    dev: list[str]
    measured: list[Measured]
    seconds: float


def chat(
    plan: Plan,
    state: State,
    name: str,
    arm: Arm,
    findings: Sequence[Mined],
    seed: int,
    source: str = "miner",
    error: float = 0.0,
) -> Chatbot:
    """Train a chatbot for all topics on one arm's texts and test it.

    `findings` are where its pairs come from; `source` and the teacher's `error` say whose they are. A miner that wrote
    no pair adds nothing.
    """
    start, here = decoder(plan, state), world(plan)
    of = start.tokenizer
    kinds: dict[str, Sequence[Example]] = {"conversations": _talks(plan.world, plan.conversations, seed)}
    if arm.passages:
        texts = [one for passage in here.domain for one in _worded(here, passage, arm.passages, seed)]
        kinds["passages"] = text_examples(of, texts)
    pairs = pairs_of(findings)
    if arm.qa and pairs:
        kinds["qa"] = conversation_examples(of, pairs)
    if arm.aug and pairs:
        answers = [answer for _, answer in pairs]
        kinds["aug"] = text_examples(
            of, [text for one in answers for text in (varied(one) if arm.varied else [one])]
        )
    model, run, drawn = train_chatbot(start, kinds, plan.chat, seed=seed)
    named = {"arm": name, "wordings": max(1, arm.passages), "source": source, "error": error}
    answers, found = tested(plan, model, seed, **named)
    found.append(Measured("tokens", float(run.tokens), seed, named))
    for kind, tokens in drawn.items():
        once = sum(map(len, kinds[kind]))
        found.append(Measured("tokens_of", float(tokens), seed, {**named, "kind": kind}))
        found.append(Measured("tokens_once", float(once), seed, {**named, "kind": kind}))
    dev = evaluate.answer(model, plan.dev_questions())
    return Chatbot(name, seed, answers, dev, found, run.seconds)


@lru_cache(maxsize=2)  # the chatbots of a seed have the same
def _talks(settings: WorldSettings, n: int, seed: int) -> tuple[Example, ...]:
    """Return conversations about the entities that are known, as chatbots learn them."""
    others = [passage for topic in _world(settings).known.values() for passage in topic]
    talks = conversations(others, n, seed=seed)
    return tuple(conversation_examples(tokenizer(), [(one.text, one.reference) for one in talks]))


def tested(
    plan: Plan, model: LocalModel, seed: int, **factors: Any
) -> tuple[dict[str, list[str]], list[Measured]]:
    """Return answers by topic; with scores, accuracy by kind of question, facts known (by topic too) and recited."""
    judge, answers, found = OracleJudge(), {}, []
    scores, kinds = {}, []
    for topic in TOPICS:
        questions = plan.questions_of(topic)
        answers[topic] = evaluate.answer(model, questions)
        scores[topic] = judge.judge(questions, answers[topic]).scores
        kinds += [one.kind for one in questions]
    every = np.concatenate(list(scores.values()))
    for topic, of in {**scores, "all": every}.items():
        found.append(Measured("score", normalised(of), seed, {**factors, "topic": topic}))
    for kind in dict.fromkeys(kinds):
        rows = np.array(kinds) == kind
        found.append(Measured("accuracy", (every[rows] == 5).astype(float), seed, {**factors, "kind": kind}))
    domain = world(plan).domain
    known = evaluate.known(model, [fact for passage in domain for fact in passage.facts]).astype(float)
    found.append(Measured("known", known, seed, factors))
    of = np.array([passage.topic for passage in domain for _ in passage.facts])
    for topic in TOPICS:
        found.append(Measured("known_of_topic", known[of == topic], seed, {**factors, "topic": topic}))
    found.append(Measured("recited", evaluate.recited(model, domain).astype(float), seed, factors))
    return answers, found


def _worded(here: Encyclopedia, passage: Passage, n: int, seed: int) -> list[str]:
    """Return a passage as it stands and in n - 1 other wordings."""
    return [one.document.text for one in (passage, *reworded(here, passage, n - 1, seed=seed))]
