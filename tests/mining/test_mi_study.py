"""The study of chapter 5 at sizes that take seconds: what each section learns from, measures and records."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from joblib.externals.loky import ProcessPoolExecutor
from mi_study import BIG, PLAN, equal, facts_of, recorded, rows, same, worth_asking

from msig_lib.lm.threads import torch_threads
from msig_lib.mining import study, study_bases, train
from msig_lib.mining.data import fresh_passages
from msig_lib.mining.documents import Mined
from msig_lib.mining.prompts import short_pair_prompt, short_prompt
from msig_lib.mining.reading import normal
from msig_lib.mining.study import ARMS, CONTROLS, TOPICS, Arm, Found, Measured, Plan, Seeding
from msig_lib.mining.wording import varied
from msig_lib.mining.words import DOMAIN, KIND, RELATIONS
from msig_lib.runs.results import Log

SHARES = {
    "precision", "recall", "supported", "stands_alone", "pair_right", "duplicate", "malformed", "right_criterion",
    "analysis_right", "follows",
}  # fmt: skip
MINER = {"miner", "analysis", "instances", "error", "nouns"}
ARM = {"arm", "source", "error", "wordings"}


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


@pytest.fixture(scope="module")
def base():
    with torch_threads(1):
        return study_bases.base(PLAN, 0).state


def test_a_base_comes_back_from_its_weights(base):
    model = study.decoder(PLAN, base)
    assert equal({name: value.numpy() for name, value in model.model.state_dict().items()}, base)
    assert model.model.config.num_attention_heads == PLAN.base.heads
    assert not equal(study_bases.base(PLAN, 1).state, base)
    heads = replace(PLAN, base=replace(PLAN.base, heads=1))
    assert study.decoder(heads, base).model.config.num_attention_heads == 1


@pytest.mark.parametrize(
    ("shares", "rounds"), [([0.5], 1), ([0.0, 0.49, 0.5], 3), ([0.1, 0.6], 2), ([0.0] * 9, 4)]
)
def test_a_base_reads_on_until_it_can_read(monkeypatch, shares, rounds):
    asked, base = iter(shares), study_bases.base(replace(PLAN, base=replace(PLAN.base, rounds=1)), 0).state
    monkeypatch.setattr(study_bases, "_share", lambda model, asked_of: next(asked))
    found = study_bases.base(replace(PLAN, base=replace(PLAN.base, rounds=4)), 0)
    assert found.rounds == rounds and equal(found.state, base) == (rounds == 1)


def test_what_decides_whether_a_base_reads_on_is_read_nowhere_else(monkeypatch):
    seen = []

    def fresh(*args, seed, **options):
        seen.append(seed)
        return fresh_passages(*args, seed=seed, **options)

    for module in (study_bases, train):
        monkeypatch.setattr(module, "fresh_passages", fresh)
    study_bases.abilities(PLAN, study_bases.base(PLAN, 3).state)
    assert len(set(seen)) == len(seen) - 1 and seen.count(555_000) == 2  # once after each round, of three


def test_abilities_are_shares(base, monkeypatch):
    found = study_bases.abilities(PLAN, base)
    assert set(found) == {"answer from a passage", "say a sentence in full"}
    assert all(0 <= share <= 1 for share in found.values())
    seen = {}

    def right(wanted, said):
        assert len(wanted) == len(said) > 0
        seen[len(seen)] = [one.facts for one in wanted]
        return np.array([True] + [False] * (len(wanted) - 1))

    monkeypatch.setattr(study_bases.evaluate, "right", right)
    assert study_bases.abilities(PLAN, base)["answer from a passage"] == 1 / PLAN.dev
    assert not {fact.entity for facts in seen[0] for fact in facts} & study.world(PLAN).names


def test_a_plan_asks_about_each_topic_and_about_others():
    world = study.world(PLAN)
    assert world is study.world(replace(PLAN, questions=3)) and list(world.passages) == list(TOPICS)
    for topic in TOPICS:
        found = PLAN.questions_of(topic)
        assert found == PLAN.questions_of(topic) and len(found) == 10
        own = {fact for passage in world.passages[topic] for fact in passage.facts}
        assert {fact for one in found for fact in one.facts} <= own
    dev = PLAN.dev_questions()
    assert len(dev) == 6 and not {f.entity for one in dev for f in one.facts} & {
        p.entity for p in world.domain
    }


def test_the_oracle_finds_all_and_rules_do_not():
    oracle, rules = (study.asked_by(PLAN, who, 3) for who in ("oracle", "template"))
    for found, who in ((oracle, "oracle"), (rules, "template")):
        assert all(one.factors.keys() == {"miner", "error"} for one in rows(found.measured, "found"))
        assert {one.factors["share"] for one in rows(found.measured, "mined")} == SHARES
        assert {(one.factors["miner"], one.factors["error"]) for one in found.measured} == {(who, 0.0)}
        assert {one.metric for one in found.measured} == {"found", "mined"}
        recorded(found.measured, 3)
        (values,) = rows(found.measured, "found")
        assert len(values.values) == len(worth_asking(PLAN))
        assert len(found.findings) == sum(len(one.sentences) for one in study.world(PLAN).domain)
    assert rows(oracle.measured, "found")[0].values.all()
    assert rows(rules.measured, "found")[0].values.mean() < 1
    assert [one for topic in TOPICS for one in oracle.of(topic)] == oracle.findings == oracle.of()
    assert all(oracle.of(topic) for topic in TOPICS)
    for who, error in (("miner", 0.0), ("template", 0.2)):
        with pytest.raises(ValueError, match=f"who is '{who}' with error {error}"):
            study.asked_by(PLAN, who, 0, error=error)


def test_agreement_refuses_what_is_not_said_twice():
    once, twice = study.asked_by(BIG, "oracle", 1, error=0.4), study.agreed(BIG, 0.4, 1)
    assert [(one.document, one.sentence) for one in twice.findings] == [
        (one.document, one.sentence) for one in once.findings
    ]
    changed = [b for a, b in zip(once.findings, twice.findings) if a != b]
    assert changed and not any(one.kept for one in changed)
    recorded(twice.measured, 1)
    measured = {
        name: {one.factors.get("share", "found"): np.mean(one.values) for one in found.measured}
        for name, found in (("once", once), ("twice", twice))
    }
    assert measured["twice"]["pair_right"] > 0.9 > measured["once"]["pair_right"]
    assert measured["twice"]["recall"] < 0.9 and measured["twice"]["malformed"] == 0
    assert measured["twice"]["found"] <= measured["once"]["found"]
    (found,) = rows(twice.measured, "found")
    assert len(found.values) == len(worth_asking(BIG)) and found.factors == {"miner": "agreed", "error": 0.4}


@pytest.mark.parametrize("seeding", [Seeding(n=8), Seeding(analysis=False, n=8, error=0.5, nouns=12)])
def test_a_miner_is_taught_about_other_topics_and_measured(base, monkeypatch, seeding):
    seen, learn = [], study.fine_tune

    def watched(model, instances, **how):
        seen.append((instances, how))
        return learn(model, instances, **how)

    monkeypatch.setattr(study, "fine_tune", watched)
    found = study.mined_by(PLAN, base, seeding, 2)
    ((instances, how),) = seen
    assert len(instances) == 8 and how["seed"] == 2 and how["settings"] == PLAN.miner
    assert how["analysis"] == seeding.analysis == all(bool(mined.analysis) for _, mined in instances)
    nouns = {topic.noun for topic in DOMAIN}
    for document, _ in instances:
        assert document.title not in study.world(PLAN).names and not nouns & set(document.text.split())
    relations = {word for document, _ in instances for word in document.text.replace(",", "").split()} & set(
        RELATIONS
    )
    assert len(relations) <= seeding.nouns
    recorded(found.measured, 2)
    named = {
        "miner": "miner",
        "analysis": seeding.analysis,
        "instances": 8,
        "error": seeding.error,
        "nouns": seeding.nouns,
    }
    assert all({**one.factors, **named} == one.factors for one in found.measured)
    assert {one.factors["share"] for one in rows(found.measured, "mined")} == SHARES
    short = short_prompt if seeding.analysis else short_pair_prompt
    tokens = {one.factors["of"]: one.values for one in rows(found.measured, "mining_tokens")}
    assert list(tokens) == ["learned from", "read", "written"] and min(tokens.values()) > 0
    assert tokens["read"] == sum(
        len(study.tokenizer()(short(one.document, i))["input_ids"])
        for one in study.world(PLAN).domain
        for i in range(len(one.sentences))
    )
    split = rows(found.measured, "found_by_noun")
    assert [one.factors["seen"] for one in split] == ([True, False] if seeding.nouns < 24 else [])
    assert all(one.factors.keys() - {"share", "seen", "of"} == MINER for one in found.measured)
    assert len(rows(found.measured, "found")[0].values) == len(worth_asking(PLAN))
    again = study.mined_by(PLAN, base, seeding, 2)
    assert again.findings == found.findings and same(again.measured, found.measured)


def test_what_a_sentence_is_about_is_of_relations_seen_or_not(base):
    right = study.asked_by(BIG, "oracle", 0).findings
    seen = set(list(RELATIONS)[::2])
    told = {}  # by document and number of the sentence
    for passage in study.world(BIG).domain:
        for i, one in enumerate(passage.sentences):
            told[passage.document.id, i] = {fact.relation for fact in one.facts if not one.fails} - {KIND}

    def by_noun(spoilt):
        """What is measured when the answers about these sentences are none."""
        findings = [
            replace(one, answer="Nothing.") if one.kept and spoilt(told[one.document, one.sentence]) else one
            for one in right
        ]
        found = study._by_noun(BIG, findings, seen, 0, {"miner": "miner"})
        assert [one.factors for one in found] == [
            {"miner": "miner", "seen": known} for known in (True, False)
        ]
        return [one.values for one in found]

    assert by_noun(lambda nouns: False) == [1.0, 1.0]
    assert by_noun(lambda nouns: not nouns) == [1.0, 1.0]  # what a thing is: of no relation
    assert by_noun(lambda nouns: len(nouns & seen) == 1 and len(nouns) == 2) == [1.0, 1.0]  # of both
    assert by_noun(lambda nouns: nouns and nouns <= seen) == [0.0, 1.0]
    assert by_noun(lambda nouns: not nouns & seen) == [1.0, 0.0]
    assert [one.factors["seen"] for one in study._by_noun(BIG, right, set(RELATIONS), 0, {})] == [True]


def captured(monkeypatch, base, arm, findings=()):
    """The kinds of text that a chatbot would be trained on."""
    seen = []

    class Enough(Exception):
        pass

    def stop(start, kinds, *_, **__):
        seen.append({name: [start.tokenizer.decode(one.ids) for one in own] for name, own in kinds.items()})
        raise Enough

    with monkeypatch.context() as patch, pytest.raises(Enough):
        patch.setattr(study, "train_chatbot", stop)
        study.chat(PLAN, base, "any", arm, findings, 0)
    return seen[0]


def test_arms_are_what_their_names_say(base, monkeypatch):
    oracle = study.asked_by(PLAN, "oracle", 0).findings
    domain = study.world(PLAN).domain
    kinds = {name: captured(monkeypatch, base, arm, oracle) for name, arm in ARMS.items()}
    assert [list(kinds[name]) for name in ARMS] == [
        ["conversations", "passages", "qa", "aug"][: k + 1] for k in range(4)
    ]
    whole = kinds["+ augmented"]
    assert all(whole[name] == own for of in kinds.values() for name, own in of.items())
    kept = [one for one in oracle if one.kept]
    assert [len(whole[name]) for name in list(whole)[:3]] == [40, len(domain), len(kept)]
    assert all(one.entity.lower() in text for one, text in zip(domain, whole["passages"]))
    assert all(one.question.lower()[:-1] in text for one, text in zip(kept, whole["qa"]))
    forms = [[text.lower() for text in varied(one.answer)] for one in kept]
    texts = [normal(text.removeprefix("<bos>").removesuffix("<eos>")) for text in whole["aug"]]
    assert texts == [normal(text) for own in forms for text in own]
    told = Counter(len(one) for one in forms)
    assert {1, 4} <= set(told) <= {1, 4, 7} and told[4] > len(kept) / 2  # what a thing is, one fact, two
    same = captured(monkeypatch, base, CONTROLS["+ augmented, same words"], oracle)
    assert len(same.pop("aug")) == len(kept)
    assert same == kinds["+ QA"]
    talks = [one.entity.lower() for one in domain]
    assert not any(name in text for text in whole["conversations"] for name in talks)
    several = captured(monkeypatch, base, Arm(passages=3))
    assert list(several) == ["conversations", "passages"]
    assert len(set(several["passages"])) == 3 * len(domain) and several["passages"][::3] == whole["passages"]
    assert list(captured(monkeypatch, base, Arm(qa=True), oracle)) == ["conversations", "qa"]


@pytest.mark.parametrize(
    "name, arm", [("conversations", Arm()), ("+ QA", ARMS["+ QA"]), ("rewordings", Arm(2))]
)
def test_a_chatbot_is_measured(base, name, arm):
    before = {key: value.copy() for key, value in base.items()}
    findings = study.asked_by(PLAN, "oracle", 0, error=0.2).findings
    bot = study.chat(PLAN, base, name, arm, findings, 4, source="oracle", error=0.2)
    assert equal(base, before)
    recorded(bot.measured, 4)
    wanted = {"arm": name, "source": "oracle", "error": 0.2, "wordings": max(1, arm.passages)}
    assert all({**one.factors, **wanted} == one.factors for one in bot.measured)
    assert {one.metric for one in bot.measured} == {
        "score", "accuracy", "known", "known_of_topic", "recited", "tokens", "tokens_of", "tokens_once",
    }  # fmt: skip
    scores = {one.factors["topic"]: one.values for one in rows(bot.measured, "score")}
    assert list(scores) == [*TOPICS, "all"] and np.array_equal(
        np.concatenate(list(scores.values())[:4]), scores["all"]
    )
    assert all(len(scores[topic]) == 10 and scores[topic].min() >= 0 for topic in TOPICS)
    kinds = {one.factors["kind"]: len(one.values) for one in rows(bot.measured, "accuracy")}
    assert kinds.keys() == {"one", "both", "greater"} and sum(kinds.values()) == 40
    for metric in ("known", "recited"):
        (one,) = rows(bot.measured, metric)
        assert len(one.values) == len(facts_of(PLAN)) and one.factors.keys() == ARM
    (known,), topics = rows(bot.measured, "known"), rows(bot.measured, "known_of_topic")
    assert [one.factors["topic"] for one in topics] == list(TOPICS)
    assert np.array_equal(np.concatenate([one.values for one in topics]), known.values)
    (whole,), parts = rows(bot.measured, "tokens"), rows(bot.measured, "tokens_of")
    assert 300 < whole.values < 1200 and sum(one.values for one in parts) >= 600
    kinds = ["conversations", *["passages"] * (arm.passages > 0), *["qa"] * arm.qa]
    assert [one.factors["kind"] for one in parts] == kinds
    once = {one.factors["kind"]: one.values for one in rows(bot.measured, "tokens_once")}
    if "passages" in once:
        texts = study.tokenizer()([one.document.text for one in study.world(PLAN).domain])["input_ids"]
        assert once["passages"] >= sum(len(ids) + 1 for ids in texts)  # with the end; of one wording or more
        assert (once["passages"] == sum(len(ids) + 1 for ids in texts)) == (arm.passages == 1)
    assert {topic: len(said) for topic, said in bot.answers.items()} == dict.fromkeys(TOPICS, 10)
    assert len(bot.dev) == 6
    again = study.chat(PLAN, base, name, arm, findings, 4, source="oracle", error=0.2)
    assert again.answers == bot.answers and same(again.measured, bot.measured)


def test_a_miner_without_pairs_adds_nothing(base, monkeypatch):
    refused = [Mined("d", 0, fails="new"), Mined("d", 1, malformed="Answer: yes")]
    for arm, kinds in ((Arm(qa=True, aug=True), []), (ARMS["+ augmented"], ["passages"])):
        assert list(captured(monkeypatch, base, arm, refused)) == ["conversations", *kinds]


def test_what_was_measured_of_nothing_is_not_recorded():
    log = Log()
    found = [Measured("mined", np.nan, 0, {"share": "a"}), Measured("found", np.array([]), 0, {})]
    study.record(log, [*found, Measured("mined", 0.5, 1, {"share": "b"})])
    assert [(row.metric, row.value, row.seed, dict(row.factors)) for row in log.rows] == [
        ("mined", 0.5, 1, {"share": "b"})
    ]


def test_another_process_finds_the_same(base):
    seeding = Seeding(n=4)
    here = study.mined_by(PLAN, base, seeding, 1)
    with ProcessPoolExecutor(max_workers=1, env={"OMP_NUM_THREADS": "1"}) as pool:
        mined = pool.submit(study.mined_by, PLAN, base, seeding, 1).result()
        bot = pool.submit(study.chat, PLAN, base, "conversations", Arm(), mined.findings, 1).result()
    assert mined.findings == here.findings and same(mined.measured, here.measured)
    assert bot.answers == study.chat(PLAN, base, "x", Arm(), [], 1).answers


@pytest.mark.parametrize("make, wrong", [
    (Seeding, {"n": 0}), (Seeding, {"error": 1.2}), (Seeding, {"error": -0.1}), (Seeding, {"nouns": 5}),
    (Seeding, {"nouns": 25}), (Arm, {"passages": -1}), (Plan, {"conversations": 0}), (Plan, {"questions": 0}),
    (Plan, {"dev": 0}),
])  # fmt: skip
def test_impossible_studies_are_refused(make, wrong):
    with pytest.raises(ValueError, match="expected"):
        make(**wrong)


def test_findings_of_a_topic_are_not_those_of_a_longer_name():
    one, other = Mined("steam engines/A", 0), Mined("steam engines too/A", 0)
    assert Found("m", 0, [one, other], []).of("steam engines") == [one]
