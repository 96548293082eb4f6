import numpy as np
import pytest

from msig_lib.preference.pairs import Pairs
from msig_lib.videoqa import browse
from msig_lib.videoqa.judges import CaptionJudge, FrameJudge
from msig_lib.videoqa.signal import Pool, caption_reward, preference_pairs, qa_pairs
from msig_lib.videoqa.study import Plan, captions, world
from msig_lib.videoqa.study_pairs import Judged

PLAN = Plan(clips=40, dev=2, test=2, hallucination=0.5, omission=0.0)


@pytest.fixture(scope="module")
def judged():
    """Answers as a student would give them: the right one by the clip, the caption's, and nonsense."""
    clips, written = world(PLAN)["train"], captions(PLAN, "train")
    asked = [q for row, text in enumerate(written) for q in qa_pairs(text, 1, seed=row, clip=row)]
    right = {
        (q.clip, q.text): q.answer
        for row, scene in enumerate(clips.scenes)
        for q in qa_pairs(scene, 1000, seed=0, clip=row)
    }
    answers = [[q.answer, right.get((q.clip, q.text), "before"), "the"] for q in asked]
    flat = [one for own in answers for one in own]
    pool = Pool(asked, 3, [(1,)] * len(flat), flat, np.zeros(len(flat), dtype=np.float32))
    given = ([q.text for q in asked], [q.answer for q in asked], answers)
    own = caption_reward([written[q.clip] for q in asked], *given, CaptionJudge())
    true = caption_reward([clips.scenes[q.clip] for q in asked], *given, FrameJudge())
    return Judged(
        pool,
        [written[q.clip] for q in asked],
        own["score"].to_numpy(),
        own["explanation"].tolist(),
        true["score"].to_numpy(),
        preference_pairs(own, seed=0),
    )


def test_half_of_what_is_shown_are_questions_on_which_the_judges_differ(judged):
    found = browse.chosen(judged, 8)
    assert len(found) == len(set(found)) == 8 and found == sorted(found)
    apart = [
        any((judged.scores[3 * q + k] >= 3) != (judged.by_frames[3 * q + k] >= 3) for k in range(3))
        for q in found
    ]
    assert sum(apart) == 4
    assert all(browse.pair_of(judged, q) for q in found)
    assert len(browse.chosen(judged, 1000)) == len(judged.pool.questions)


def test_a_frame_has_the_clip_its_caption_all_answers_and_the_pair(judged):
    (question,) = browse.chosen(judged, 8)[:1]
    html = browse.frame_html(PLAN, judged, question)
    assert html.count("<tr>") == 1 + 3 and html.count("chosen") == html.count("rejected") == 1
    assert html.count("base64,") == 1
    for row in range(3 * question, 3 * question + 3):
        assert judged.explanations[row].replace("'", "&#x27;") in html
    words = browse.frame_words(judged, question)
    assert "Chosen: " in words and "Rejected: " in words and words[0].isupper()


def test_a_question_without_a_pair_says_so(judged):
    none = Judged(**{**vars(judged), "pairs": Pairs([], [], [])})
    assert browse.pair_of(none, 0) is None and "no pair" in browse.frame_words(none, 0)
    assert len(browse.chosen(none, 6)) == 6
    first = judged.pairs.group[0]
    places = browse.pair_of(judged, int(first))
    assert judged.scores[3 * first + places[0]] >= 3 > judged.scores[3 * first + places[1]]
