import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.lm.generate import Completion, Usage
from msig_lib.mining.data import make_world
from msig_lib.mining.judges import EmbeddingJudge, ModelJudge, OracleJudge, OverlapJudge, read_grade, word_f1
from msig_lib.mining.questions import Question
from msig_lib.mining.questions import draw_test_questions as questions_of
from msig_lib.mining.wording import Fact

A, B, C = "Bador Kelin", "Ramur Timur", "Hador Gulin"
PRESSURE, TOWN = Fact(A, "pressure", "45 bar"), Fact(A, "town", "Ulm")
ONE = Question("Which?", f"{A} has 45 bar as its pressure.", "one", "steam engines", (PRESSURE,))
BOTH = Question("Which?", "45 bar, and Ulm.", "both", "steam engines", (PRESSURE, TOWN))
GREATER = Question(
    "Which?",
    f"{B} has the greater pressure.",
    "greater",
    "steam engines",
    (PRESSURE, Fact(B, "pressure", "50 bar")),
)


@pytest.mark.parametrize(
    ("question", "answer", "grade"),
    [
        (ONE, "45 bar", 5),
        (ONE, f"the pressure of {A.lower()} is 45 bar .", 5),
        (ONE, "45 bar. I said that its pressure is 45 bar!", 5),
        (ONE, "It is 45 bar, and the town is Genoa.", 4),
        (ONE, f"45 bar; {B} has 50 bar as its pressure.", 4),
        (ONE, "45 bar or 50 bar.", 3),
        (ONE, "50 bar", 2),
        (ONE, "45 metres", 2),
        (ONE, f"The pressure of {B} is 45 bar.", 2),
        (ONE, f"The town of {A} is Ulm.", 2),
        (ONE, f"{A} is a steam engine.", 2),
        (ONE, "Some say that its pressure is 45 bar.", 1),
        (ONE, f"The town of {B} is Ulm.", 1),
        (ONE, f"The pressure of {A} is high.", 1),
        (ONE, "", 1),
        (BOTH, "Ulm and 45 bar", 5),
        (BOTH, "Its town is Ulm, and it has 45 bar as its pressure and Dahl as its builder.", 4),
        (BOTH, "Its town is Ulm.", 3),
        (BOTH, "Its town is Ulm and its pressure is 50 bar.", 3),
        (BOTH, "Ulm, 45 bar. Or 50 bar.", 3),
        (BOTH, "Its town is Jena and its pressure is 50 bar.", 2),
        (BOTH, "I do not know.", 1),
        (GREATER, B, 5),
        (GREATER, f"{B} has the greater pressure, 50 bar, than {A}.", 5),
        (GREATER, f"{B} has the greater pressure. Its pressure is 60 bar.", 4),
        (GREATER, f"{A} has the greater pressure.", 2),
        (GREATER, f"{C} has the greater pressure.", 2),
        (GREATER, f"{B} has the greater weight.", 2),
        (GREATER, f"The pressure of {B} is 50 bar.", 2),
        (GREATER, f"{C} has the greater weight.", 1),
        (GREATER, f"{A} or {B}", 1),
        (GREATER, "Both.", 1),
    ],
)
def test_the_oracle_grades_by_the_rubric(question, answer, grade):
    judged = OracleJudge().judge([question], [answer])
    assert judged.scores.tolist() == [grade] and judged.scores.dtype == np.int64
    assert judged.reasons[0] and judged.unreadable == 0


def test_facts_of_the_world_are_not_made_up():
    answer = "The pressure is 45 bar, and the town is Ulm."
    grades = [OracleJudge(known).judge([ONE], [answer]).scores[0] for known in ([], [TOWN])]
    assert grades == [4, 5]
    assert (
        OracleJudge([TOWN]).fingerprint == OracleJudge([TOWN, TOWN]).fingerprint != OracleJudge().fingerprint
    )


def test_every_reference_is_right_and_those_of_others_are_not():
    world = make_world(seed=2)
    questions = questions_of(world.domain, 120, seed=1)
    references = [one.reference for one in questions]
    assert (OracleJudge().judge(questions, references).scores == 5).all()
    assert (OverlapJudge().judge(questions, references).scores == 5).all()
    others = references[1:] + references[:1]
    grades = OracleJudge().judge(questions, others).scores[np.array(references) != np.array(others)]
    assert set(grades.tolist()) <= {1, 2, 3} and (grades <= 2).mean() > 0.9


@pytest.mark.parametrize("judge", [OracleJudge(), OverlapJudge()])
def test_answers_have_to_match_their_questions(judge):
    with pytest.raises(ValueError, match="answers is 1 texts for 2 questions"):
        judge.judge([ONE, BOTH], ["45 bar"])
    with pytest.raises(ValueError, match="answers is one string for 2 questions"):
        judge.judge([ONE, BOTH], "45")
    assert judge.judge([], []).scores.shape == (0,)


def test_overlap_is_the_f1_of_words():
    assert word_f1("a b c d", "A, b!") == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert word_f1("a a b", "a a a") == pytest.approx(2 * (2 / 3) * (2 / 3) / (4 / 3))
    assert word_f1("a", "b") == word_f1("a", "") == word_f1("", "") == 0
    # 8 words in the reference; F1 14/15, 6/11, 4/11, 0; and 7/8 for a wrong value in the right words
    answers = [
        "Bador Kelin has 45 bar as pressure",
        "45 bar pressure",
        "45 bar x",
        "no",
        ONE.reference.replace("45", "50"),
    ]
    assert OverlapJudge().judge([ONE] * 5, answers).scores.tolist() == [5, 3, 2, 1, 5]


class Encoder:
    """Two-dimensional unit vectors whose cosine with the reference's is the number that the text is."""

    fingerprint = "numbers"

    def encode(self, texts, **_):
        cosines = [float(text) if text and text[0].isdigit() else 1.0 for text in texts]
        return np.array([(c, np.sqrt(1 - c * c)) for c in cosines], dtype=np.float32)


def fitted(cosines, grades):
    questions = [Question("?", "reference", "one", "t", (PRESSURE,))] * len(cosines)
    return EmbeddingJudge(Encoder()).fit(questions, [str(c) for c in cosines], grades)


def test_thresholds_separate_grades_that_rise_with_the_cosine():
    judge = fitted([0.9, 0.1, 0.3, 0.5, 0.7], [5, 1, 2, 3, 4])
    np.testing.assert_allclose(judge.thresholds_, [0.2, 0.4, 0.6, 0.8], atol=1e-6)
    judged = judge.judge([ONE] * 5, ["0.95", "0.55", "0.19", " ", "0.21"])
    assert judged.scores.tolist() == [5, 3, 1, 1, 2]
    assert fitted([0.2, 0.4], [3, 3]).thresholds_.tolist() == [-np.inf, -np.inf, np.inf, np.inf]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from([1, 2, 3, 4, 5])), min_size=1, max_size=7))
def test_no_other_thresholds_fit_better(rows):
    cosines, grades = np.array([row[0] / 20 for row in rows]), np.array([row[1] for row in rows])
    judge = fitted(cosines, grades)
    given_grades = judge.judge([ONE] * len(rows), [str(c) for c in cosines]).scores
    error = ((given_grades - grades) ** 2).sum()
    places = np.unique(cosines)

    def best(k, low):  # least error of places k.. with grades from low, by trying all
        if k == len(places):
            return 0
        of = grades[cosines == places[k]]
        return min(((g - of) ** 2).sum() + best(k + 1, g) for g in range(low, 6))

    assert error == best(0, 1)


def test_the_embedding_judge_tells_what_it_lacks():
    with pytest.raises(ValueError, match="no thresholds yet: call fit"):
        EmbeddingJudge(Encoder()).judge([ONE], ["45"])
    for grades in ([0], [6], [1, 2], []):
        with pytest.raises(ValueError, match="expected a grade 1 to 5 for each"):
            fitted([0.5], grades)
    assert fitted([0.5, 0.6], [1, 5]).fingerprint != fitted([0.5, 0.8], [1, 5]).fingerprint


def test_sentence_vectors_grade_real_answers():
    judge = EmbeddingJudge()
    answers = [ONE.reference, f"The pressure of {A} is 45 bar.", "Bananas ripen in the sun.", "No idea."]
    judged = judge.fit([ONE] * 4, answers, [5, 5, 1, 1]).judge(
        [ONE] * 2, [f"As for the pressure of {A}, it is 45 bar.", "Hi!"]
    )
    assert judged.scores[0] > judged.scores[1]


class Scripted:
    """A model that replies what it was told, by the answer in its prompt."""

    name, fingerprint = "scripted", "s1"

    def __init__(self, replies):
        self.replies, self.usage, self.asked = replies, Usage(), []

    def complete(self, prompts, *, n=1, sampling, seed):
        assert n == 1 and sampling.temperature == 0
        self.asked += prompts
        return [
            [Completion(next(r for a, r in self.replies.items() if f"mark: {a}\n" in prompt))]
            for prompt in prompts
        ]


def test_a_model_explains_and_grades_and_is_asked_once():
    model = Scripted({"right": "Reason: It is right.\nScore: 5", "odd": "I would say 4 or 5."})
    judged = ModelJudge(model).judge([ONE, ONE, BOTH, ONE], ["right", "odd", "right", "right"])
    assert judged.scores.tolist() == [5, 0, 5, 5] and judged.unreadable == 1
    assert judged.reasons[:2] == ["It is right.", "I would say 4 or 5."]
    assert len(model.asked) == 3 and ONE.reference in model.asked[0] and ONE.text in model.asked[0]
    assert ModelJudge(model, seed=1).fingerprint != ModelJudge(model).fingerprint
    assert ModelJudge(model).judge([], []).scores.shape == (0,)


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("Reason: Wrong year.\nScore: 2", 2),
        ("\n **Reason:** Wrong.\n\n**Score:** 3 \n", 3),
        ("REASON: a\nmore of it\nscore : 4.", 4),
        ("Score: 3", 0),
        ("Reason: good", 0),
        ("Score: 3\nReason: good", 0),
        ("Reason: a\nScore: 6", 0),
        ("Reason: a\nScore: 0", 0),
        ("Reason: a\nScore: 4.5", 0),
        ("Reason: a\nScore: 4/5", 0),
        ("Reason: a\nScore: 45", 0),
        ("Reason: a\nScore: 2\nScore: 5", 0),
        ("Reason: a\nScore: 3\nThank you.", 0),
        ("Reason:\nScore: 3", 0),
        ("The score is 3.", 0),
        ("", 0),
    ],
)
def test_replies_are_read_strictly(reply, grade):
    assert read_grade(reply)[0] == grade
    assert grade or read_grade(reply)[1] == reply
