"""The study, second half: six answers, a judge that reads the caption, pairs, DPO and its controls (thesis 6.2.3).

Whatever is chosen, is chosen on development clips by the judge that reads captions: the method has no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from msig_lib.preference.pairs import Pairs, shuffle_pairs
from msig_lib.preference.train import DPOTrained, response_logprobs
from msig_lib.stats.measured import Measured
from msig_lib.videoqa import evaluate, signal, study
from msig_lib.videoqa.data import SUBSETS, Clips
from msig_lib.videoqa.judges import CORRECT, CaptionJudge, FrameJudge
from msig_lib.videoqa.model import VideoLearner
from msig_lib.videoqa.questions import Question
from msig_lib.videoqa.signal import Pool, agreement, caption_reward, instruction_data, preference_pairs
from msig_lib.videoqa.study import DOMAINS, QUESTION_SEED, Plan, State, tested, world
from msig_lib.videoqa.train import StageSettings, prefer, self_play_pairs, supervise

SIZES = (1, 2, 4, 8, 16, 32, 64)  # N of figure 6.4
SMALL_RATE = 0.6  # row [12] of table 6.2: 3e-7 in the place of 5e-7
ARMS = ("dpo", "dpo-projector", "self-play", "dpo-small-rate", "shuffled", "winners", "sft-longer")
"""Rows [7], [10], [11], [12] of table 6.2, and controls: a coin's order, winners alone, more of the same SFT."""
POINTS = 6  # ours: of DPO's training at which test questions are asked
POOL_SEED = 50  # of the questions that answers are sampled for


@dataclass(frozen=True, eq=False)
class Judged:
    """Sampled answers with the scores of two judges, int [Q M] each, why, and the pairs that the first one's make."""

    pool: Pool
    captions: list[str]
    scores: np.ndarray
    explanations: list[str]
    by_frames: np.ndarray
    pairs: Pairs


@dataclass(frozen=True, eq=False)
class Preferred:
    """An arm's model: weights, what training did (None for more SFT), and the rate that development clips chose.

    `states` has the weights after every sixth of DPO's steps, by step; empty for the other arms.
    """

    arm: str
    seed: int
    state: State
    trained: DPOTrained | None
    rate: float
    states: dict[int, State] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Result:
    """What `learn` returns: measurements, the models by arm, and the judged answers that the pairs come from."""

    seed: int
    measured: list[Measured]
    made: dict[str, Preferred]
    judged: Judged


def judge_answers(
    plan: Plan, of: VideoLearner, seed: int, hallucination: float | None = None, omission: float | None = None
) -> Judged:
    """Sample answers to questions from captions with these rates of errors and score them by caption and by clip.

    The captions with errors are all that the method sees: questions, references and scores come from them.
    """
    clips = world(plan)["train"]
    captioner = plan.captioner(hallucination, omission)
    rows = np.random.default_rng([POOL_SEED, seed]).permutation(len(clips))[: plan.pool].tolist()
    written = dict(zip(rows, captioner.write([clips.scenes[row] for row in rows])))
    found = instruction_data(list(written.values()), seed=[QUESTION_SEED, seed])
    one_each = np.random.default_rng([POOL_SEED, seed, 1]).permutation(len(found))[: plan.pool].tolist()
    asked = [replace(found[i], clip=rows[found[i].clip]) for i in one_each]
    pool = signal.draw(of, asked, clips.frames, plan.samples, seed=seed)
    evidence = [written[q.clip] for q in asked]
    given = ([q.text for q in asked], [q.answer for q in asked], pool.answers())
    scores = caption_reward(evidence, *given, CaptionJudge())
    frames = caption_reward([clips.scenes[q.clip] for q in asked], *given, FrameJudge())
    return Judged(
        pool,
        evidence,
        scores["score"].to_numpy(),
        scores["explanation"].tolist(),
        frames["score"].to_numpy(),
        preference_pairs(scores, seed=seed),
    )


def learn(plan: Plan, start: State, seed: int, arms: Sequence[str] = ARMS) -> Result:
    """Sample, judge, pair and train every arm, each with as many choices of its rate, and test it."""
    first = study.learner(plan, start)
    judged = judge_answers(plan, first, seed)
    found = signal_quality(judged, seed, {"study": "signal"})
    made = {}
    for arm in arms:
        made[arm] = _best(plan, first, judged, arm, seed)
        found.append(Measured("chosen_rate", made[arm].rate, seed, {"study": "rates", "model": arm}))
        found += tested(plan, study.learner(plan, made[arm].state), arm, seed)
    if "dpo" in made:
        found += by_steps(plan, first, made["dpo"])
    return Result(seed, found, made, judged)


def learn_early(plan: Plan, start: State, seed: int) -> list[Measured]:
    """Return the same for a student that stopped SFT early: DPO and learning the winners alone.

    Models are called "sft-early", "dpo-early" and "winners-early".
    """
    first = study.learner(plan, start)
    judged = judge_answers(plan, first, seed)
    found = tested(plan, first, "sft-early", seed)
    for arm in ("dpo", "winners"):
        best = _best(plan, first, judged, arm, seed)
        found += tested(plan, study.learner(plan, best.state), f"{arm}-early", seed)
    return found


def signal_quality(judged: Judged, seed: int, factors: dict[str, Any]) -> list[Measured]:
    """Return how the caption's judge agrees with the clip's, and how many of the pairs are right by the clip."""
    met = agreement(judged.scores, judged.by_frames)
    right = judged.by_frames >= CORRECT
    out = [
        Measured("same_side", met.same_side, seed, factors),
        Measured("spearman", met.spearman, seed, factors),
        Measured("pairs", float(len(judged.pairs)), seed, factors),
    ]
    share = met.confusion / met.confusion.sum()
    out += [
        Measured("confusion", share[i, j], seed, {**factors, "given": i + 1, "frames": j + 1})
        for i in range(5)
        for j in range(5)
    ]
    if len(judged.pairs):
        sound = right[judged.pairs.chosen] & ~right[judged.pairs.rejected]
        turned = ~right[judged.pairs.chosen] & right[judged.pairs.rejected]
        out.append(Measured("pair_right", float(sound.mean()), seed, factors))
        out.append(Measured("pair_reversed", float(turned.mean()), seed, factors))
    return out


def _best(plan: Plan, first: VideoLearner, judged: Judged, arm: str, seed: int) -> Preferred:
    """Return an arm trained at the rate that is best on development clips, the smallest of equals."""
    tried = []
    for rate in sorted(plan.rates):
        one = train_arm(plan, first, judged, arm, rate, seed)
        score = dev_accuracy(plan, study.learner(plan, one.state)) if len(plan.rates) > 1 else 0.0
        tried.append((score, one))
    return max(tried, key=lambda one: one[0])[1]


def train_arm(plan: Plan, first: VideoLearner, judged: Judged, arm: str, rate: float, seed: int) -> Preferred:
    """Train one of ARMS at a learning rate; ValueError for another name."""
    if arm not in ARMS:
        raise ValueError(f"arm is {arm!r}, expected one of {', '.join(ARMS)}")
    frames, pairs = world(plan)["train"].frames, judged.pairs
    how = replace(plan.preference, learning_rate=rate * (SMALL_RATE if arm == "dpo-small-rate" else 1))
    if arm == "sft-longer":
        stage = StageSettings(how.steps(len(pairs)), 2 * how.batch, rate)
        tuned, _ = supervise(first, judged.pool.questions, frames, stage, seed=seed)
        return Preferred(arm, seed, tuned.state(), None, rate)
    if arm == "dpo-projector":
        how = replace(how, projector=True)
    elif arm == "self-play":
        pairs = self_play_pairs(judged.pool, seed=seed)
    elif arm == "shuffled":
        pairs = shuffle_pairs(pairs, seed=seed)
    elif arm == "winners":
        how = replace(how, objective="winners")
    states: dict[int, State] = {}
    total = how.steps(len(pairs))
    stops = {max(1, round(total * part / POINTS)) for part in range(1, POINTS + 1)} if arm == "dpo" else ()

    def keep(step: int, now: Any) -> None:
        if step in stops:
            states[step] = VideoLearner(now, first.tokenizer).state()

    tuned, run = prefer(first, judged.pool, pairs, frames, how, seed=seed, after_step=keep)
    return Preferred(arm, seed, tuned.state(), run, how.learning_rate, states)


def dev_accuracy(plan: Plan, of: VideoLearner) -> float:
    """Return the share of development answers that the caption's judge calls right, by which rates are chosen."""
    clips, written = world(plan)["dev"], study.captions(plan, "dev")
    asked = instruction_data(written, seed=QUESTION_SEED)
    texts = evaluate.answer(of, asked, clips).texts
    return float((evaluate.judged(CaptionJudge(), texts, asked, written) >= CORRECT).mean())


def by_steps(plan: Plan, first: VideoLearner, best: Preferred) -> list[Measured]:
    """Return accuracy before DPO and after equal parts of its training (figure 6.4, left)."""
    out = _on_the_way(plan, first, 0, 0.0, best.seed)
    last = max(best.states, default=1)
    for step, state in best.states.items():
        epoch = round(plan.preference.epochs * step / last, 2)
        out += _on_the_way(plan, study.learner(plan, state), step, epoch, best.seed)
    return out


def _on_the_way(plan: Plan, of: VideoLearner, step: int, epoch: float, seed: int) -> list[Measured]:
    out = []
    for part, domain in DOMAINS.items():
        asked, clips = pooled(plan, part)
        right = evaluate.answer(of, asked[::2], clips).right
        factors = {"study": "steps", "step": step, "epoch": epoch, "domain": domain, "model": "dpo"}
        out.append(Measured("accuracy", right, seed, factors))
    return out


def pooled(plan: Plan, part: str) -> tuple[list[Question], Clips]:
    """Return all questions of a domain's four subsets, and their clips together."""
    asked, frames, scenes = [], [], []
    for name in SUBSETS[part]:
        clips = world(plan)[f"{part}/{name}"]
        asked += [replace(q, clip=q.clip + len(scenes)) for q in study.test_questions(plan, f"{part}/{name}")]
        frames.append(clips.frames)
        scenes += clips.scenes
    return asked, Clips(np.concatenate(frames), tuple(scenes), part)


def evidence(
    plan: Plan, start: State, seed: int, kind: str, rate: float, dpo_rate: float | None
) -> list[Measured]:
    """Return what a captioner with this rate of errors is worth as a source of rewards: agreement, pairs, DPO.

    Without a learning rate `dpo_rate` nothing is trained.

    `kind` is "hallucination", "omission" or "both". The learner in `start` stays the same: it learnt from captions
    with the plan's own rates. ValueError for another kind.
    """
    if kind not in ("hallucination", "omission", "both"):
        raise ValueError(f"kind is {kind!r}, expected hallucination, omission or both")
    first = study.learner(plan, start)
    h, o = (rate if kind in (one, "both") else 0.0 for one in ("hallucination", "omission"))
    judged = judge_answers(plan, first, seed, h, o)
    factors = {"study": "evidence", "kind": kind, "rate": rate}
    found = signal_quality(judged, seed, factors)
    if dpo_rate is None or not len(judged.pairs):
        return found
    tuned = study.learner(plan, train_arm(plan, first, judged, "dpo", dpo_rate, seed).state)
    return found + [
        Measured("accuracy", right, seed, {**factors, "model": "dpo", "domain": domain})
        for domain, right in _by_domain(plan, tuned).items()
    ]


def evidence_start(plan: Plan, start: State, seed: int) -> list[Measured]:
    """Return where the models of `evidence` start from: the accuracy before DPO."""
    factors = {"study": "evidence", "model": "sft"}
    return [
        Measured("accuracy", right, seed, {**factors, "domain": domain})
        for domain, right in _by_domain(plan, study.learner(plan, start)).items()
    ]


def _by_domain(plan: Plan, of: VideoLearner) -> dict[str, np.ndarray]:
    return {DOMAINS[part]: evaluate.answer(of, *pooled(plan, part)).right for part in DOMAINS}


def rank(plan: Plan, start: State, dpo: State, seed: int) -> list[Measured]:
    """Return the best of N answers of the SFT model by DPO's ratio and other rules, and both greedy (figure 6.4)."""
    before, after = study.learner(plan, start), study.learner(plan, dpo)
    out = []
    sizes = [n for n in SIZES if n <= plan.ranked_samples]
    for part, domain in DOMAINS.items():
        every, clips = pooled(plan, part)
        picked = np.random.default_rng([POOL_SEED, 2]).permutation(len(every))[: plan.ranked].tolist()
        asked = [every[i] for i in picked]
        pool = signal.draw(before, asked, clips.frames, plan.ranked_samples, seed=seed)
        flat = pool.asked(range(len(pool)))
        right = evaluate.answered(pool.texts, flat, clips.scenes).right.astype(bool)
        ratio = _log_ratio(before, after, pool, clips)
        for rule, values in evaluate.ranked(pool, right, ratio, sizes).items():
            for k, n in enumerate(sizes):
                factors = {"study": "ranker", "rule": rule, "n": n, "domain": domain}
                out.append(Measured("best_of_n", values[:, k], seed, factors))
        for rule, of in (("sft greedy", before), ("dpo greedy", after)):
            factors = {"study": "ranker", "rule": rule, "n": 1, "domain": domain}
            out.append(Measured("best_of_n", evaluate.answer(of, asked, clips).right, seed, factors))
    return out


def _log_ratio(before: VideoLearner, after: VideoLearner, pool: Pool, clips: Clips) -> np.ndarray:
    """Return how much more probable each answer became, float [Q M] in nats; equal answers are scored once."""
    keys = [(row // pool.samples, pool.ids[row]) for row in range(len(pool))]
    first = {key: row for row, key in reversed(list(enumerate(keys)))}
    rows = list(first.values())
    examples = after.responses(pool.asked(rows), clips.frames, [pool.ids[row] for row in rows])
    change = response_logprobs(after.model, examples) - response_logprobs(before.model, examples)
    found = dict(zip(first, change.tolist()))
    return np.array([found[key] for key in keys])
