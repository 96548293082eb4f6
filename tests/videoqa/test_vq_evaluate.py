"""What is measured of answers, against hand-made ones and a loop over subsets."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from msig_lib.videoqa import evaluate
from msig_lib.videoqa.captions import Captioner, caption
from msig_lib.videoqa.data import make_clips
from msig_lib.videoqa.judges import CaptionJudge
from msig_lib.videoqa.questions import KINDS, Question, ask
from msig_lib.videoqa.signal import Pool

CLIPS = make_clips(200, seed=4)
ASKED = ask(CLIPS, 40, [kind for kind in KINDS if kind != "first"], seed=0)


def test_right_answers_are_right_by_the_clip_and_invent_nothing():
    found = evaluate.answered([q.answer for q in ASKED], ASKED, CLIPS.scenes)
    assert (found.scores == 5).all() and (found.right == 1).all() and not found.invents.any()
    assert found.words.tolist() == [len(q.answer.split()) for q in ASKED]
    nothing = evaluate.answered(["the dog"] * len(ASKED), ASKED, CLIPS.scenes)
    assert (nothing.scores == 1).all() and not nothing.right.any()


def test_an_answer_invents_when_it_names_a_thing_that_is_not_there():
    scene = next(s for s in CLIPS.scenes if any(t.becomes for t in s.things))
    thing = next(t for t in scene.things if t.becomes)
    assert not evaluate.invents(f"the {thing.name}", scene)
    assert not evaluate.invents(f"{thing.becomes} {thing.shape}", scene)
    other = next(shape for shape in ("circle", "cross") if shape != thing.shape)
    assert evaluate.invents(f"{thing.colour} {other}", scene)
    assert not evaluate.invents("left", scene) and not evaluate.invents("", scene)


def test_another_judge_sees_the_evidence_of_each_clip():
    right = [q.answer for q in ASKED]
    written = [caption(scene) for scene in CLIPS.scenes]
    assert (evaluate.judged(CaptionJudge(), right, ASKED, written) == 5).all()
    wrong = Captioner(hallucination=1.0, seed=0).write(CLIPS.scenes)
    assert (evaluate.judged(CaptionJudge(), right, ASKED, wrong) <= 5).all()
    assert (evaluate.judged(CaptionJudge(), right, ASKED, wrong) < 5).any()


def test_the_best_of_n_is_what_all_subsets_say():
    rng = np.random.default_rng(0)
    asked = [Question(0, "direction", "?", "left", ())] * 3
    texts = rng.choice(["left", "right", "up"], 18).tolist()
    codes = {"left": 0.3, "right": 0.9, "up": -0.2}
    pool = Pool(asked, 6, [(0,)] * 18, texts, np.array([-codes[t] for t in texts], dtype=np.float32))
    right = np.array([t == "left" for t in texts])
    ratio = np.array([codes[t] for t in texts])
    found = evaluate.ranked(pool, right, ratio, [1, 2, 6])
    for q in range(3):
        own = slice(6 * q, 6 * q + 6)
        for k, n in enumerate((1, 2, 6)):
            picks = [list(c) for c in combinations(range(6), n)]
            score, good = ratio[own], right[own]
            best = [np.mean(good[c][score[c] == score[c].max()]) for c in picks]
            assert found["dpo ratio"][q, k] == pytest.approx(np.mean(best))
            least = [np.mean(good[c][score[c] == score[c].min()]) for c in picks]
            assert found["sft probability"][q, k] == pytest.approx(np.mean(least))
            assert found["oracle"][q, k] == pytest.approx(np.mean([good[c].any() for c in picks]))
            assert found["one sample"][q, k] == pytest.approx(good.mean())
