import numpy as np
import pytest

from msig_lib.lm.generate import Completion, Usage
from msig_lib.videoqa.captions import caption
from msig_lib.videoqa.data import make_clips
from msig_lib.videoqa.judges import (
    CaptionJudge,
    FrameJudge,
    ModelJudge,
    OrderBlindJudge,
    OverlapJudge,
    judge_prompt,
    read_score,
)
from msig_lib.videoqa.questions import TEXTS
from msig_lib.videoqa.reading import content, grade, read_question
from msig_lib.videoqa.signal import qa_pairs

EVENTS = ("red circle bounces", "red circle leaves")
CAPTION = (
    "the red circle moves left , becomes green , enters from the left . "
    "the blue square moves up , enters from the top . "
    "the red circle enters before the blue square enters , the red circle changes ."
)
WAY, CHANGE = TEXTS["direction"].format("red circle"), TEXTS["change"].format("circle")
FIRST, ORDER = TEXTS["first"], TEXTS["order"].format("red circle enters", "blue square enters")


@pytest.mark.parametrize(
    ("answer", "right", "options", "score"),
    [
        ("left", "left", (), 5),
        ("It moves to the left .", "left", (), 5),
        ("2", "2", (), 5),
        ("twice", "2", (), 5),
        ("red to green", "red to green", (), 5),
        ("The red circle, before the blue square.", "red circle", (), 5),
        ("left , fast", "left", (), 4),
        ("left left left", "left", (), 4),
        ("red circle red circle", "red circle", (), 4),
        ("green", "red to green", (), 3),
        ("red circle", "red circle bounces", (), 3),
        ("circle", "red circle", ("red circle", "blue square"), 3),
        ("circle", "red circle", ("red circle", "blue circle"), 2),
        ("red circle", EVENTS[0], EVENTS, 2),
        ("green to red", "red to green", (), 2),
        ("left or right", "left", (), 2),
        ("right", "left", (), 2),
        ("red circle or blue square", "red circle", (), 2),
        ("red square", "red circle", (), 2),
        ("3", "2", (), 2),
        ("2", "left", (), 1),
        ("", "left", (), 1),
        ("before the left", "left", (), 1),
        ("I cannot tell", "left", (), 1),
        ("a dog", "a dog", (), 5),
        ("a cat", "a dog", (), 1),
        ("", "", (), 1),
    ],
)
def test_the_rubric(answer, right, options, score):
    assert grade(answer, right, options)[0] == score
    assert grade(right, right, options)[0] == (5 if right else 1)


def test_without_order_the_words_count():
    assert grade("green to red", "red to green", ordered=False)[0] == 5
    assert grade("green to blue", "red to green", ordered=False)[0] == 2
    assert content("Never!") == ("0",)


@pytest.mark.parametrize("kind", TEXTS)
def test_a_question_is_read_as_it_was_asked(kind):
    names = ("red circle", "blue square")
    asked = names[: TEXTS[kind].count("{")]
    text = TEXTS[kind].format(*asked)
    assert read_question(text) == (kind, asked)
    assert read_question(text.replace(" ?", "?").capitalize()) == (kind, asked)
    assert read_question(f"say , {text}") is None


@pytest.mark.parametrize(
    ("question", "reference", "answer", "score"),
    [
        (WAY, "left", "left", 5),
        (WAY, "left", "up", 2),
        (WAY, "right", "right", 4),  # what is expected, though the caption says left
        (WAY, "right", "left", 3),  # not what is expected, but the caption says so
        (WAY, "right", "up", 2),
        (WAY, "right", "2", 1),
        (TEXTS["size"].format("red circle"), "small", "small", 5),  # the caption does not say
        (TEXTS["size"].format("red circle"), "small", "large", 2),
        (FIRST, "red circle", "red", 3),
        (FIRST, "red circle", "blue square", 2),
        (CHANGE, "red to green", "green to red", 2),
        ("what is it ?", "red circle", "red circle", 5),
    ],
)
def test_the_caption_is_the_evidence(question, reference, answer, score):
    assert CaptionJudge().judge([CAPTION], [question], [reference], [answer]).scores.tolist() == [score]


@pytest.mark.parametrize(
    ("question", "reference", "answer", "score"),
    [
        (CHANGE, "red to green", "green to red", 5),
        (FIRST, "red circle", "blue square", 4),
        (FIRST, "red circle", "red circle", 5),
        (FIRST, "red circle", "blue circle", 2),
        (ORDER, "red circle enters", "blue square enters", 4),
        (ORDER, "red circle enters", "blue square leaves", 2),
        (WAY, "left", "up", 2),
    ],
)
def test_the_judge_that_ignores_order(question, reference, answer, score):
    assert OrderBlindJudge().judge([CAPTION], [question], [reference], [answer]).scores.tolist() == [score]


def test_the_overlap_judge_counts_words_only():
    answers = ["red circle", "circle red", "red square", "a red circle there", "", "dog"]
    judged = OverlapJudge().judge([""] * 6, [FIRST] * 6, ["red circle"] * 6, answers)
    assert judged.scores.tolist() == [5, 5, 3, 4, 1, 1]


def test_frames_and_an_errorless_caption_agree_whatever_the_answer():
    clips = make_clips(40, seed=4)
    questions = [q for i, scene in enumerate(clips.scenes) for q in qa_pairs(scene, 4, seed=i, clip=i)][:90]
    assert len(questions) == 90
    rng = np.random.default_rng(0)
    answers = [
        questions[i].answer if i % 2 else questions[j].answer for i, j in enumerate(rng.permutation(90))
    ]
    scenes = [clips.scenes[question.clip] for question in questions]
    rest = ([q.text for q in questions], [q.answer for q in questions], answers)
    by_frames = FrameJudge().judge(scenes, *rest)
    by_caption = CaptionJudge().judge([caption(scene) for scene in scenes], *rest)
    assert by_frames.scores.tolist() == by_caption.scores.tolist()
    assert {1, 2, 5} <= set(by_frames.scores.tolist())
    assert (by_frames.scores[1::2] == 5).all()
    wrong_reference = FrameJudge().judge(scenes, rest[0], ["nonsense"] * 90, answers)
    assert wrong_reference.scores.tolist() == by_frames.scores.tolist()
    absent = FrameJudge().judge(scenes[:1], ["which way does the dog move first ?"], ["left"], ["left"])
    assert absent.scores.tolist() == [1]


def test_nothing_is_judged_twice_and_judges_do_not_mix():
    cache = {}
    inputs = ([CAPTION] * 3, [FIRST] * 3, ["red circle"] * 3, ["blue square", "red circle", "blue square"])
    strict, blind = CaptionJudge(cache=cache), OrderBlindJudge(cache=cache)
    first = strict.judge(*inputs)
    assert first.scores.tolist() == [2, 5, 2] and strict.asked == 2
    assert blind.judge(*inputs).scores.tolist() == [4, 5, 4] and blind.asked == 2
    again = CaptionJudge(cache=cache)
    assert again.judge(*inputs).explanations == first.explanations and again.asked == 0
    assert len({CaptionJudge().fingerprint, OrderBlindJudge().fingerprint, FrameJudge().fingerprint}) == 3
    assert strict.judge([], [], [], []).scores.shape == (0,)


class Fixed:
    """A model that gives the replies it was made with, in turn."""

    name = "fixed"
    fingerprint = "fixed 1"

    def __init__(self, *replies: str) -> None:
        self.replies, self.prompts, self.usage = list(replies), [], Usage()

    def complete(self, prompts, *, n=1, sampling=None, seed):
        self.prompts += prompts
        assert sampling.temperature == 0
        return [[Completion(self.replies.pop(0))] for _ in prompts]


def test_a_model_judge_sees_all_four_and_is_asked_once():
    model = Fixed("Explanation: Fine.\nScore: 5", "It is 2 of 5, so 2")
    judge = ModelJudge(model)
    answers = ["left", "word " * 300, "left"]
    judged = judge.judge(["notes here"] * 3, ["which ?"] * 3, ["expected one"] * 3, answers)
    assert judged.scores.tolist() == [5, 2, 5] and judge.unreadable == 1
    assert judged.explanations == ["Fine.", "It is 2 of 5, so 2", "Fine."]
    assert len(model.prompts) == 2 and model.prompts[1].count("word") == 256
    assert all(part in model.prompts[0] for part in ("notes here", "which ?", "expected one", "left"))
    assert model.prompts[0] == judge_prompt("notes here", "which ?", "expected one", "left")
    assert judge.fingerprint != ModelJudge(model, seed=1).fingerprint


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Explanation: Wrong way.\nScore: 2", (2, "Wrong way.", True)),
        ("**Explanation:** Wrong,\nquite.\n**Score:** 1", (1, "Wrong,\nquite.", True)),
        ("score: 3\nScore: 4", (4, "score: 3\nScore: 4", True)),
        ("Score: 4.5", (4, "Score: 4.5", False)),
        ("Score: 9", (1, "Score: 9", False)),
        ("3 and 4, rather 4", (4, "3 and 4, rather 4", False)),
        ("", (1, "", False)),
    ],
)
def test_scores_are_read_or_guessed_as_in_the_official_code(reply, expected):
    assert read_score(reply) == expected


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="four lists of one length"):
        CaptionJudge().judge([CAPTION], [WAY], ["left"], ["left", "up"])
    with pytest.raises(ValueError, match="a string"):
        CaptionJudge().judge("a", "b", "c", "d")
    with pytest.raises(TypeError, match="sees clips"):
        FrameJudge().judge([CAPTION], [WAY], ["left"], ["left"])
    with pytest.raises(TypeError, match="reads captions"):
        CaptionJudge().judge([make_clips(1, seed=0).scenes[0]], [WAY], ["left"], ["left"])
