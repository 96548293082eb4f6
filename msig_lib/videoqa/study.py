"""The study of chapter 6, stage by stage: each takes weights and a seed, and returns weights and measurements.

clips -> eyes -> captions (pre-training) -> questions and answers (SFT) -> pairs by the caption's judge (DPO)

The second half, from the pairs on, is in `study_pairs`. Every stage is a function of picklable arguments, so that
seeds run side by side in processes; the world is made anew in each of them from its seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from msig_lib.lm.processes import in_processes as in_processes  # notebooks call it as study.in_processes
from msig_lib.stats.measured import Measured
from msig_lib.stats.measured import record as record  # and as study.record
from msig_lib.videoqa import captions as text
from msig_lib.videoqa import evaluate, questions, sight
from msig_lib.videoqa.captions import Captioner
from msig_lib.videoqa.data import SUBSETS, Clips, ClipSettings, Scene, make_world
from msig_lib.videoqa.facts import claims_of
from msig_lib.videoqa.judges import CaptionJudge, FrameJudge, Judge, OrderBlindJudge, OverlapJudge
from msig_lib.videoqa.model import VideoLearner, VideoSettings
from msig_lib.videoqa.questions import KINDS, ONE_FRAME, Question, is_clear
from msig_lib.videoqa.signal import PER_CAPTION, draw, instruction_data, qa_pairs
from msig_lib.videoqa.train import (
    PreferenceSettings,
    StageSettings,
    caption_questions,
    stills,
    supervise,
)

State = dict[str, np.ndarray]
WORLD_SEED = (
    1  # ours: one world for all seeds, which draw the training; settings were chosen on that of seed 0
)
CAPTION_SEED, QUESTION_SEED = 2, 3
DOMAINS = {"test-in": "in", "test-out": "out"}
ASKED = tuple(kind for kind in KINDS if kind not in ONE_FRAME)  # what tests ask: it takes more than one frame
MODELS = ("sft", "image", "other")
EARLY = 4  # ours: the weaker student stops after this part of SFT
DRAWN = 4  # ours: answers at temperature 1 to each test question
JUDGES: tuple[type[Judge], ...] = (CaptionJudge, OrderBlindJudge, OverlapJudge)


@dataclass(frozen=True)
class Plan:
    """Sizes of everything; seeds of the runs are not part of it."""

    clips: int = 8_000
    dev: int = 100  # clips
    test: int = 40  # clips of each of the eight subsets, three questions each (thesis 6.3.2: 2,000)
    clip: ClipSettings = field(default_factory=ClipSettings)
    video: VideoSettings = field(default_factory=VideoSettings)
    sight: sight.SightSettings = field(default_factory=sight.SightSettings)
    hallucination: float = 0.1  # ours: of the captions that everything is made from
    omission: float = 0.1  # ours
    captions: StageSettings = field(default_factory=lambda: StageSettings(800))
    sft: StageSettings = field(default_factory=lambda: StageSettings(1_200))
    shares: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0)  # of pre-training after which captions are looked at
    pool: int = 500  # questions of the pairs (thesis 6.2.3: 20,000)
    samples: int = 6  # thesis 6.2.3
    preference: PreferenceSettings = field(default_factory=PreferenceSettings)
    rates: tuple[float, ...] = (
        3e-4,
    )  # learning rates that each arm of DPO chooses among, on development clips
    ranked: int = 64  # test questions of each domain with a pool of many answers
    ranked_samples: int = 64  # thesis 6.3.2

    def captioner(self, hallucination: float | None = None, omission: float | None = None) -> Captioner:
        """Return the captioner with its own rates of errors, or with these."""
        h = self.hallucination if hallucination is None else hallucination
        o = self.omission if omission is None else omission
        return Captioner(h, o, seed=CAPTION_SEED)


def world(plan: Plan) -> dict[str, Clips]:
    """Return the clips of a plan by split."""
    return _world((("train", plan.clips), ("dev", plan.dev), *((p, plan.test) for p in SUBSETS)), plan.clip)


@lru_cache(maxsize=1)
def _world(sizes: tuple[tuple[str, int], ...], clip: ClipSettings) -> dict[str, Clips]:
    return make_world(dict(sizes), clip, seed=WORLD_SEED)


def captions(plan: Plan, split: str) -> list[str]:
    """Return the captioner's captions of a split."""
    return list(_captions(plan, split))


@lru_cache(maxsize=32)
def _captions(plan: Plan, split: str) -> tuple[str, ...]:
    return tuple(plan.captioner().write(world(plan)[split].scenes))


def test_questions(plan: Plan, split: str) -> list[Question]:
    """Return three questions for each clip of a split, with right answers, none of which one frame can answer."""
    return [q for row, scene in enumerate(world(plan)[split].scenes) for q in _asked(scene, row)]


def _asked(scene: Scene, row: int) -> list[Question]:
    found = qa_pairs(scene, 2 * PER_CAPTION, seed=[QUESTION_SEED, row], clip=row, kinds=ASKED)
    return [q for q in found if is_clear(q, scene)][:PER_CAPTION]


def eyes(plan: Plan, seed: int = 0) -> State:
    """Return the weights of a tower that has learnt to see single frames, one for all seeds, as the thesis's CLIP."""
    return sight.train_tower(world(plan)["train"], plan.sight, seed=seed, video=plan.video)[0]


def learner(plan: Plan, state: Mapping[str, np.ndarray]) -> VideoLearner:
    """Return a learner with these weights."""
    return VideoLearner.new(WORDS, plan.video, seed=0).with_state(state)


WORDS = [*text.VOCABULARY, *questions.VOCABULARY]


@dataclass(frozen=True, eq=False)
class Taught:
    """A stage's result: weights, measurements, the losses of its steps, and seconds."""

    seed: int
    state: State
    measured: list[Measured]
    losses: np.ndarray
    seconds: float
    early: State | None = None  # of "sft": after a quarter of its steps


def pretrain(plan: Plan, tower: State, seed: int) -> Taught:
    """Train a new learner on captions and look at its own after each of the plan's shares of the steps."""
    clips = world(plan)["train"]
    first = VideoLearner.new(WORDS, plan.video, seed=seed)
    sight.with_tower(first.model, tower)
    stops = {max(1, round(share * plan.captions.steps)) for share in plan.shares}
    found: list[Measured] = []

    def look(step: int, model: Any) -> None:
        if step in stops:
            size = step * plan.captions.batch
            found.extend(described(plan, VideoLearner(model.eval(), first.tokenizer), size, seed))

    made = caption_questions(captions(plan, "train"))
    tuned, run = supervise(first, made, clips.frames, plan.captions, seed=seed, after_step=look)
    return Taught(seed, tuned.state(), found, run.losses, run.seconds)


def described(plan: Plan, of: VideoLearner, size: int, seed: int) -> list[Measured]:
    """Return how a learner's captions are after `size` captions, by domain (figure 11.2)."""
    out = []
    for part, domain in DOMAINS.items():
        checks = [
            one for name in SUBSETS[part] for one in evaluate.describe(of, world(plan)[f"{part}/{name}"])
        ]
        factors = {"study": "captions", "size": size, "domain": domain}
        for metric, values in (
            ("caption_rating", [one.rating for one in checks]),
            ("caption_coverage", [one.coverage for one in checks]),
            ("caption_invented", [len(one.invented) for one in checks]),
        ):
            out.append(Measured(metric, np.array(values, dtype=float), seed, factors))
    return out


def captioner_itself(plan: Plan) -> list[Measured]:
    """Return how the captioner's own captions are, the most that learning from them can reach."""
    out = []
    for part, domain in DOMAINS.items():
        names = [f"{part}/{name}" for name in SUBSETS[part]]
        rated = [
            text.evaluate_caption(one, scene)
            for name in names
            for one, scene in zip(captions(plan, name), world(plan)[name].scenes)
        ]
        factors = {"study": "captioner", "domain": domain}
        out.append(Measured("caption_rating", np.array(rated, dtype=float), 0, factors))
    return out


def fine_tune(plan: Plan, start: State, model: str, seed: int) -> Taught:
    """Train a pre-trained learner on questions and answers and test it; `model` is one of MODELS.

    "sft": made from the captions. "image": the same beside one frame of each clip ([8]).
    "other": made from the exact annotations, by another writer ([9]).
    """
    clips, written = world(plan)["train"], captions(plan, "train")
    asked = {
        "sft": lambda: instruction_data(written, seed=QUESTION_SEED),
        "image": lambda: instruction_data(written, seed=QUESTION_SEED),
        "other": lambda: [
            q
            for row, scene in enumerate(clips.scenes)
            for q in qa_pairs(scene, seed=[QUESTION_SEED + 1, row], clip=row)
        ],
    }[model]()
    first, early = learner(plan, start), {}

    def keep(step: int, now: Any) -> None:
        if model == "sft" and step == max(1, plan.sft.steps // EARLY):
            early.update(VideoLearner(now, first.tokenizer).state())

    frames = stills(clips.frames, seed=seed) if model == "image" else clips.frames
    tuned, run = supervise(first, asked, frames, plan.sft, seed=seed, after_step=keep)
    found = tested(plan, tuned, model, seed)
    return Taught(seed, tuned.state(), found, run.losses, run.seconds, early or None)


def tested(plan: Plan, of: VideoLearner, model: str, seed: int) -> list[Measured]:
    """Return what the test questions of all subsets say of a model: tables 6.2 and 6.3, by kind, and by judge."""
    out: list[Measured] = []
    named = {"study": "table", "model": model}
    for part, domain in DOMAINS.items():
        rows: dict[str, list[np.ndarray]] = {}
        kinds: list[str] = []
        for name in SUBSETS[part]:
            split = f"{part}/{name}"
            asked, clips = test_questions(plan, split), world(plan)[split]
            found = evaluate.answer(of, asked, clips)
            factors = {**named, "domain": domain, "subset": name}
            for metric, values in (
                ("accuracy", found.right),
                ("score", found.scores.astype(float)),
                ("words", found.words),
                ("invents", found.invents),
            ):
                out.append(Measured(metric, values, seed, factors))
            out.append(Measured("sampled", _sampled(of, asked, clips, seed), seed, factors))
            rows.setdefault(FrameJudge.name, []).append(found.scores)
            for judge in JUDGES:
                scores = evaluate.judged(judge(), found.texts, asked, captions(plan, split))
                rows.setdefault(judge.name, []).append(scores)
            kinds += [q.kind for q in asked]
        out += _judged(rows, kinds, model, domain, seed)
    return out


def _sampled(of: VideoLearner, asked: Sequence[Question], clips: Clips, seed: int) -> np.ndarray:
    """Return the share of right ones among answers at temperature 1, float [Q] (thesis 6.3.2: 43.3% against 57.8%)."""
    pool = draw(of, asked, clips.frames, DRAWN, seed=seed, top_p=1.0)
    found = evaluate.answered(pool.texts, pool.asked(range(len(pool))), clips.scenes)
    return found.right.reshape(len(asked), DRAWN).mean(1)


def _judged(
    rows: Mapping[str, Sequence[np.ndarray]], kinds: Sequence[str], model: str, domain: str, seed: int
) -> list[Measured]:
    out = []
    for judge, parts in rows.items():
        scores = np.concatenate(parts)
        factors = {"study": "judges", "judge": judge, "model": model, "domain": domain}
        out.append(Measured("judged", (scores >= evaluate.CORRECT).astype(float), seed, factors))
        out.append(Measured("judged_score", scores.astype(float), seed, factors))
    right = (np.concatenate(rows[FrameJudge.name]) >= evaluate.CORRECT).astype(float)
    for kind in dict.fromkeys(kinds):
        of_kind = np.array([one == kind for one in kinds], dtype=bool)
        factors = {"study": "kinds", "kind": kind, "model": model, "domain": domain}
        out.append(Measured("kind_accuracy", right[of_kind], seed, factors))
    return out


def pretrained(plan: Plan, start: State, seed: int) -> list[Measured]:
    """Return what a learner answers that has seen captions alone."""
    return tested(plan, learner(plan, start), "pretrained", seed)


def guesses(plan: Plan) -> list[Measured]:
    """Return how often the most frequent answer of each kind is right on the test questions, without a look."""
    asked = [q for part in SUBSETS for name in SUBSETS[part] for q in test_questions(plan, f"{part}/{name}")]
    table = questions.answer_statistics(asked)
    return [
        Measured("guess", row.accuracy, 0, {"study": "world", "kind": row.kind}) for row in table.itertuples()
    ]


def costs(plan: Plan) -> list[Measured]:
    """Return what the signal costs in tokens (words of this world), means over clips and questions of training."""
    clips, written = world(plan)["train"], captions(plan, "train")
    asked = instruction_data(written, seed=QUESTION_SEED)
    spent = {
        "caption": text.words_in(written),
        "clip": float(plan.video.frames * plan.video.tokens),
        "question and answer": text.words_in([f"{q.text} {q.answer}" for q in asked]),
        "claims of a clip": float(np.mean([len(claims_of(scene)) for scene in clips.scenes[:500]])),
    }
    return [Measured("tokens", value, 0, {"study": "cost", "what": what}) for what, value in spent.items()]
