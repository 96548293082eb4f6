"""Chapter 6's study at sizes that take seconds: what each stage trains, chooses and records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from vq_study import PLAN, equal, recorded

from msig_lib.lm.threads import torch_threads
from msig_lib.videoqa import evaluate, signal, study, study_pairs
from msig_lib.videoqa.captions import read_caption
from msig_lib.videoqa.data import SUBSETS
from msig_lib.videoqa.judges import CORRECT
from msig_lib.videoqa.questions import ONE_FRAME
from msig_lib.videoqa.signal import Pool

PARTS = [f"{part}/{name}" for part in SUBSETS for name in SUBSETS[part]]


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


@pytest.fixture(scope="module")
def started():
    with torch_threads(1):
        return study.pretrain(PLAN, study.eyes(PLAN), 0)


@pytest.fixture(scope="module")
def taught(started):
    with torch_threads(1):
        return study.fine_tune(PLAN, started.state, "sft", 0)


def guessing(of, asked, frames, samples=6, **_):
    """In the place of `signal.draw`: the right answer, or another's, as the tiny learner says nothing right."""
    rng = np.random.default_rng(0)
    texts = [q.answer if rng.random() < 0.5 else "purple" for q in asked for _ in range(samples)]
    ids = [tuple(of.tokenizer(text, add_special_tokens=False).input_ids) for text in texts]
    return Pool(list(asked), samples, ids, texts, np.zeros(len(texts), dtype=np.float32))


def test_test_questions_take_more_than_one_frame_and_their_answers_are_right():
    for split in PARTS:
        asked, clips = study.test_questions(PLAN, split), study.world(PLAN)[split]
        assert asked and not {q.kind for q in asked} & set(ONE_FRAME)
        assert evaluate.answered([q.answer for q in asked], asked, clips.scenes).right.all()
        assert max(np.bincount([q.clip for q in asked])) <= 3
    together, clips = study_pairs.pooled(PLAN, "test-out")
    assert evaluate.answered([q.answer for q in together], together, clips.scenes).right.all()


def test_captions_have_the_plans_errors_and_training_questions_come_from_them():
    clips, written = study.world(PLAN)["train"], study.captions(PLAN, "train")
    assert written == PLAN.captioner().write(clips.scenes) != PLAN.captioner(0, 0).write(clips.scenes)
    for q in signal.instruction_data(written, seed=study.QUESTION_SEED):
        assert set(q.claims) <= read_caption(written[q.clip])


def test_pre_training_is_looked_at_on_the_way_and_comes_back_from_its_seed(started):
    log = recorded(started.measured)
    sizes = {row.factors["size"] for row in log.rows}
    assert sizes == {2 * 8, 4 * 8} and len(started.losses) == 4
    again = study.pretrain(PLAN, study.eyes(PLAN), 0)
    assert equal(again.state, started.state) and not equal(
        again.state, study.pretrain(PLAN, study.eyes(PLAN), 1).state
    )


@pytest.mark.parametrize("model", study.MODELS)
def test_fine_tuning_records_every_subset_by_every_judge(started, model):
    made = study.fine_tune(PLAN, started.state, model, 0)
    log = recorded(made.measured)
    seen = {(r.factors["domain"], r.factors["subset"]) for r in log.rows if r.metric == "accuracy"}
    assert seen == {(study.DOMAINS[p], name) for p in SUBSETS for name in SUBSETS[p]}
    judges = {r.factors["judge"] for r in log.rows if r.metric == "judged"}
    assert judges == {"frames", "caption", "caption, order ignored", "overlap"}
    assert not equal(made.state, started.state) and (made.early is not None) == (model == "sft")


def test_the_same_seed_gives_the_same_student_in_another_process(started):
    one, two = (
        study.in_processes(study.fine_tune, [(PLAN, started.state, "sft", s) for s in (0, 1)], threads=k)
        for k in (1, 2)
    )
    assert equal(one[0].state, two[0].state) and equal(one[1].state, two[1].state)
    assert not equal(one[0].state, one[1].state)


def test_arms_learn_from_the_pairs_and_choose_their_rate_on_development_clips(taught, monkeypatch):
    monkeypatch.setattr(signal, "draw", guessing)
    asked = []
    monkeypatch.setattr(study_pairs, "dev_accuracy", lambda plan, of: asked.append(of) or len(asked))
    found = study_pairs.learn(replace(PLAN, rates=(1e-3, 1e-2)), taught.state, 0)
    assert len(asked) == 2 * len(study_pairs.ARMS)
    rates = {arm: one.rate for arm, one in found.made.items()}  # each arm's last try is the best here
    assert rates["dpo"] == 1e-2 and rates["dpo-small-rate"] == pytest.approx(6e-3)
    log = recorded(found.measured)
    assert {r.factors["model"]: r.value for r in log.rows if r.metric == "chosen_rate"} == rates
    assert {r.factors["model"] for r in log.rows if r.metric == "score"} == set(study_pairs.ARMS)
    states = [one.state for one in found.made.values()]
    assert all(not equal(a, b) for i, a in enumerate(states) for b in states[:i])
    steps = sorted({r.factors["step"] for r in log.rows if r.factors["study"] == "steps"})
    assert steps[0] == 0 and steps[-1] == len(found.made["dpo"].trained.loss) and len(steps) > 2
    right, wrong = (
        found.judged.scores[found.judged.pairs.chosen],
        found.judged.scores[found.judged.pairs.rejected],
    )
    assert (right >= CORRECT).all() and (wrong < CORRECT).all()


def test_a_wrong_captioner_makes_wrong_pairs_and_a_right_one_none(taught, monkeypatch):
    monkeypatch.setattr(signal, "draw", guessing)
    of = study.learner(PLAN, taught.state)
    quality = {}
    for rate in (0.0, 0.9):
        judged = study_pairs.judge_answers(PLAN, of, 0, rate, 0.0)
        rows = study_pairs.signal_quality(judged, 0, {})
        quality[rate] = {r.metric: r.values for r in rows if r.metric != "confusion"}
        assert sum(r.values for r in rows if r.metric == "confusion") == pytest.approx(1)
    assert quality[0.0]["same_side"] == 1 == quality[0.0]["pair_right"]
    assert quality[0.9]["same_side"] < 0.9 and quality[0.9]["pair_right"] < 0.9


def test_evidence_records_agreement_alone_without_a_rate_and_names_its_kinds(taught, monkeypatch):
    monkeypatch.setattr(signal, "draw", guessing)
    alone = study_pairs.evidence(PLAN, taught.state, 0, "omission", 0.3, None)
    both = study_pairs.evidence(PLAN, taught.state, 0, "omission", 0.3, 1e-3)
    assert "accuracy" not in {r.metric for r in alone}
    assert [r.factors["domain"] for r in both if r.metric == "accuracy"] == ["in", "out"]
    recorded(both + study_pairs.evidence_start(PLAN, taught.state, 0))
    with pytest.raises(ValueError, match="kind is 'noise', expected hallucination, omission or both"):
        study_pairs.evidence(PLAN, taught.state, 0, "noise", 0.3, 1e-3)
    with pytest.raises(ValueError, match="arm is 'ppo'"):
        study_pairs.train_arm(PLAN, study.learner(PLAN, taught.state), None, "ppo", 1e-3, 0)


def test_ranking_has_every_rule_and_size_and_one_sample_is_the_same_for_all(taught):
    rows = study_pairs.rank(PLAN, taught.state, taught.state, 0)
    recorded(rows)
    value = {(r.factors["rule"], r.factors["n"], r.factors["domain"]): r.values for r in rows}
    rules = {key[0] for key in value}
    assert rules == {
        "one sample",
        "dpo ratio",
        "sft probability",
        "majority",
        "oracle",
        "sft greedy",
        "dpo greedy",
    }
    for domain in ("in", "out"):
        first = value["one sample", 1, domain]
        assert all(np.allclose(value[rule, 1, domain], first) for rule in ("dpo ratio", "majority", "oracle"))
        # without training the ratio says nothing, and every size is a sample picked at random
        assert np.allclose(value["dpo ratio", 4, domain], first, atol=1e-6)
        assert np.array_equal(value["sft greedy", 1, domain], value["dpo greedy", 1, domain])


def test_costs_and_guesses_are_counts_of_the_world():
    spent = {r.factors["what"]: r.values for r in study.costs(PLAN)}
    assert spent["clip"] == 10 and spent["caption"] > 20
    assert all(0 < r.values <= 1 for r in study.guesses(PLAN))
