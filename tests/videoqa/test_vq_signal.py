import numpy as np
import pandas as pd
import pytest

from msig_lib.videoqa.captions import Captioner, caption
from msig_lib.videoqa.data import make_clips
from msig_lib.videoqa.facts import claims_of
from msig_lib.videoqa.judges import CaptionJudge, FrameJudge, OverlapJudge
from msig_lib.videoqa.questions import questions_from
from msig_lib.videoqa.signal import agreement, caption_reward, instruction_data, preference_pairs, qa_pairs

CAPTION = "the red circle is small , moves left ."
QUESTIONS = [
    "which way does the red circle move first ?",
    "is the red circle small or large ?",
    "what is it ?",
]
REFERENCES = ["left", "small", "a dog"]
ANSWERS = [["left", "up", "left"], ["small", "small", "small"], ["a cat", "", "my dog"]]


@pytest.fixture(scope="module")
def scenes():
    return make_clips(40, seed=6).scenes


def test_the_reward_is_a_row_for_each_answer():
    judge = CaptionJudge()
    table = caption_reward([CAPTION] * 3, QUESTIONS, REFERENCES, ANSWERS, judge)
    assert table["score"].tolist() == [5, 2, 5, 5, 5, 5, 1, 1, 1]
    assert table["question"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert table["sample"].tolist() == [0, 1, 2] * 3
    assert table["answer"].tolist() == [one for own in ANSWERS for one in own]
    assert set(table["judge"]) == {"caption"} and set(table["version"]) == {"1"}
    assert judge.asked == 6 and table["explanation"].str.len().min() > 0


def test_the_reward_works_on_anybodys_strings_and_uneven_lists():
    table = caption_reward(
        ["A dog runs."] * 3, ["Who?"] * 3, ["a dog"] * 3, ["a dog", ["a cat", "The dog"], []], OverlapJudge()
    )
    assert table["question"].tolist() == [0, 1, 1] and table["score"].tolist() == [5, 3, 3]
    assert caption_reward([], [], [], [], OverlapJudge()).empty


def test_pairs_are_of_a_good_and_a_bad_answer_and_the_rest_is_counted():
    table = caption_reward([CAPTION] * 3, QUESTIONS, REFERENCES, ANSWERS, CaptionJudge())
    pairs = preference_pairs(table, seed=0)
    assert pairs.group.tolist() == [0] and pairs.rejected.tolist() == [1] and pairs.chosen[0] in (0, 2)
    assert (pairs.counts.questions, pairs.counts.all_right, pairs.counts.all_wrong) == (3, 1, 1)
    assert {int(preference_pairs(table, seed=seed).chosen[0]) for seed in range(20)} == {0, 2}
    assert len(preference_pairs(table, seed=0, threshold=2)) == 0
    with pytest.raises(ValueError, match="column score"):
        preference_pairs(table.drop(columns="score"), seed=0)


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="answers 2"):
        caption_reward([CAPTION] * 3, QUESTIONS, REFERENCES, ANSWERS[:2], CaptionJudge())
    with pytest.raises(ValueError, match="captions one string"):
        caption_reward(CAPTION, QUESTIONS, REFERENCES, ANSWERS, CaptionJudge())


def test_questions_are_what_the_caption_alone_gives(scenes):
    captions = Captioner(0.5, 0.2, seed=1).write(scenes)
    found = instruction_data(captions, seed=2)
    assert found == instruction_data(captions, seed=2) != instruction_data(captions, seed=3)
    for row, text in enumerate(captions):
        own = [question for question in found if question.clip == row]
        judge = CaptionJudge()
        answers = [q.answer for q in own]
        judged = judge.judge([text] * len(own), [q.text for q in own], ["nonsense"] * len(own), answers)
        assert (judged.scores >= 3).all()  # the caption says so
        assert len({q.text for q in own}) == len(own) <= 3


def test_each_kind_comes_once_before_any_comes_again(scenes):
    scene = max(scenes, key=lambda one: len(claims_of(one)))
    every = questions_from(claims_of(scene))
    n_kinds = len({question.kind for question in every})
    assert len({q.kind for q in qa_pairs(scene, n_kinds, seed=0)}) == n_kinds
    assert sorted(q.text for q in qa_pairs(scene, 10**6, seed=1)) == sorted(q.text for q in every)
    assert {q.text for q in qa_pairs(caption(scene), 10**6, seed=1)} == {q.text for q in every}
    assert {q.kind for q in qa_pairs(scene, 9, seed=0, kinds=("size",))} == {"size"}
    assert len({qa_pairs(scene, 1, seed=seed)[0].text for seed in range(12)}) > 4
    assert qa_pairs("nothing here", seed=0) == []


def test_agreement_against_pandas():
    rng = np.random.default_rng(1)
    a = rng.integers(1, 6, 200)
    b = np.clip(a + rng.integers(-1, 2, 200), 1, 5)
    found = agreement(a, b)
    assert found.same_side == np.mean([(x >= 3) == (y >= 3) for x, y in zip(a, b)])
    assert found.spearman == pytest.approx(pd.Series(a).rank().corr(pd.Series(b).rank()))
    table = pd.crosstab(a, b).reindex(index=range(1, 6), columns=range(1, 6), fill_value=0)
    assert (found.confusion == table.to_numpy()).all()
    assert np.isnan(agreement([1, 1], [1, 2]).spearman) and agreement([4], [3]).same_side == 1
    for bad in (([], []), ([1], [1, 2]), ([0], [1])):
        with pytest.raises(ValueError, match="two arrays"):
            agreement(*bad)


def test_errors_in_captions_cost_agreement_with_the_frames():
    clips = make_clips(30, seed=8)
    shares = []
    for rate in (0.0, 1.0):
        captions = Captioner(rate, seed=0).write(clips.scenes)
        asked = instruction_data(captions, seed=0)
        scenes = [clips.scenes[q.clip] for q in asked]
        rest = ([q.text for q in asked], [q.answer for q in asked], [q.answer for q in asked])
        by_caption = CaptionJudge().judge([captions[q.clip] for q in asked], *rest)
        shares.append(agreement(by_caption.scores, FrameJudge().judge(scenes, *rest).scores).same_side)
    assert shares[0] == 1 and shares[1] < 0.5
