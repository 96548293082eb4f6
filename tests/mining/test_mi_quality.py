import pytest

from msig_lib.mining.data import Passage, Sentence, make_world
from msig_lib.mining.documents import Document, Mined
from msig_lib.mining.quality import miner_quality, summary
from msig_lib.mining.signal import OracleTeacher
from msig_lib.mining.wording import Fact
from msig_lib.mining.words import KIND

A, B = "Bador Kelin", "Ramur Timur"
PRESSURE, TOWN = Fact(A, "pressure", "45 bar"), Fact(A, "town", "Ulm")
OTHER = Fact(B, "pressure", "50 bar")
SENTENCES = (
    Sentence(f"{A} is a steam engine.", (Fact(A, KIND, "steam engine"),), None, False, A),
    Sentence("Its pressure is 45 bar.", (PRESSURE,), None, True, A),
    Sentence("Some say that the town of it is Jena.", (), "clear", True, A),
    Sentence("The town of it is Ulm.", (TOWN,), None, True, A),
    Sentence(f"Once more, 45 bar is the pressure of {A}.", (PRESSURE,), "new", False, A),
    Sentence(f"The pressure of {B} is 50 bar.", (OTHER,), "relevant", False, B),
)
PASSAGE = Passage(
    Document("steam engines/x", A, tuple(one.text for one in SENTENCES)), "steam engines", SENTENCES
)


def pair(sentence, question, answer):
    return Mined(PASSAGE.document.id, sentence, question=question, answer=answer)


def quality(*findings):
    return miner_quality(findings, {PASSAGE.document.id: PASSAGE})


@pytest.mark.parametrize(
    ("finding", "true"),
    [
        (pair(1, f"What is the pressure of {A}?", "45 bar."), {"supported", "stands_alone", "pair_right"}),
        (pair(1, f"What is the pressure of {A}?", f"{A} has 50 bar as its pressure."), {"stands_alone"}),
        (pair(1, f"What is the pressure of {A}?", "It is high."), {"stands_alone"}),
        (pair(1, f"What is the pressure of {A}?", "45 bar, and the town is Jena."), {"stands_alone"}),
        (pair(1, f"What is the town of {A}?", "The pressure is 45 bar."), {"stands_alone"}),
        (pair(1, f"What is the town of {A}?", "Ulm"), {"supported", "stands_alone"}),  # of another sentence
        (
            pair(1, f"What are the pressure and the town of {A}?", "45 bar and Ulm"),
            {"supported", "stands_alone"},
        ),
        (pair(1, f"What is known about {A}?", "Its pressure is 45 bar."), {"supported", "stands_alone"}),
        (pair(1, "What is its pressure?", "45 bar"), {"supported"}),
        (pair(1, "What is the pressure of the engine?", "45 bar"), {"supported"}),
        (pair(1, f"What is the pressure of {B}?", "45 bar"), {"stands_alone"}),
        (
            pair(1, f"According to the passage, what is the pressure of {A}?", "45 bar"),
            {"supported", "pair_right"},
        ),
        (pair(1, f"Does it have a pressure, {A}?", "45 bar"), {"supported", "pair_right"}),
        (pair(1, f"About {A}: what is its pressure?", "45 bar"), {"supported", "stands_alone", "pair_right"}),
        (pair(0, f"What is {A}?", "A steam engine."), {"supported", "stands_alone", "pair_right"}),
        (pair(0, f"What is {A}?", "A river bridge."), {"stands_alone"}),
        (pair(5, f"What is the pressure of {B}?", "50 bar"), {"supported", "stands_alone", "pair_right"}),
        (pair(2, f"What is the town of {A}?", "Jena"), {"stands_alone"}),
    ],
)
def test_pairs_are_measured(finding, true):
    row = quality(finding).iloc[0]
    assert {name for name in ("supported", "stands_alone", "pair_right", "duplicate") if row[name]} == true
    assert row["kept"] and row["should_keep"] == (finding.sentence not in (2, 4, 5))


@pytest.mark.parametrize(
    ("analysis", "answer", "right", "follows"),
    [
        (f"It gives the pressure of {A}, 45 bar.", "45 bar", True, True),
        (f"It gives the pressure of {A}, 45 bar.", "50 bar", True, False),
        (f"It gives the pressure of {A}, 50 bar.", "50 bar", False, True),
        (f"It gives the pressure of {A}, 50 bar.", "45 bar", False, False),
        (f"It gives the town of {A}, Ulm.", "45 bar", False, False),  # of another sentence
        (f"It gives the pressure of {A}, 45 bar, and the town, Ulm.", "45 bar", False, True),
        (f"It gives the pressure of {A}, 45 bar.", "It is high.", True, False),
        ("It is about an engine.", "45 bar", False, False),
        ("", "45 bar", False, False),
    ],
)
def test_analyses_are_measured_and_whether_answers_follow_them(analysis, answer, right, follows):
    one = Mined(PASSAGE.document.id, 1, analysis, question=f"What is the pressure of {A}?", answer=answer)
    row = quality(one).iloc[0]
    assert (row["analysed"], row["analysis_right"], row["follows"]) == (bool(analysis), right, follows)
    found = summary(quality(one, pair(1, "What is it?", "45 bar"), Mined(one.document, 2, "No.", "clear")))
    assert found["follows_of"] == found["analysis_right_of"] == bool(analysis)
    assert not analysis or (found["follows"], found["analysis_right"]) == (follows, right)


def test_refusals_malformed_findings_and_duplicates_are_counted():
    name = PASSAGE.document.id
    frame = quality(
        pair(0, "Tell me more.", "There is more."),
        pair(1, f"What is the pressure of {A}?", f"The pressure of {A} is 45 bar."),
        Mined(name, 2, fails="informative"),
        Mined(name, 3, malformed="Answer: Ulm", fails=None),
        pair(4, f"Which pressure does {A} have?", "It has 45 bar as its pressure."),
        Mined(name, 5, fails="relevant"),
        pair(0, "tell me MORE", "Yes."),
        Mined(name, 1, fails="clear"),
    )
    assert frame["duplicate"].tolist() == [False] * 4 + [True, False, True, False]
    assert frame["malformed"].tolist() == [False] * 3 + [True] + [False] * 4
    assert frame["right_criterion"].tolist() == [False] * 5 + [True, False, False]
    found = summary(frame)
    assert (found["precision"], found["precision_of"]) == (3 / 4, 4)
    assert (found["recall"], found["recall_of"]) == (3 / 5, 5)
    assert (found["found"], found["pair_right"], found["duplicate"]) == (1 / 5, 2 / 4, 2 / 4)
    assert (found["malformed"], found["malformed_of"]) == (1 / 8, 8)
    assert (found["right_criterion"], found["right_criterion_of"]) == (1 / 2, 2)


def test_the_oracle_is_right_and_its_errors_are_found():
    world = make_world(seed=1)
    by = world.by_id()
    items = [(one.document, i) for one in by.values() for i in range(len(one.sentences))]
    right = summary(miner_quality(OracleTeacher(by.values()).ask(items, seed=0), by))
    ones = ("precision", "recall", "found", "supported", "stands_alone", "pair_right", "right_criterion")
    ones += ("analysis_right", "follows")
    assert all(right[name] == 1 for name in ones)
    assert right["duplicate"] == right["malformed"] == 0
    wrong = OracleTeacher(by.values(), error_rate=0.3).ask(items, seed=0)
    sound = OracleTeacher(by.values()).ask(items, seed=0)
    frame = miner_quality(wrong, by)
    same = [a.answer == b.answer for a, b in zip(wrong, sound)]
    assert summary(frame)["follows"] == 1 > summary(frame)["analysis_right"]  # it is wrong in both alike
    assert (frame["pair_right"] == [s and one.kept for s, one in zip(same, wrong)]).all()


def test_what_cannot_be_measured_is_told():
    with pytest.raises(ValueError, match="document 'y', which is not among the passages"):
        quality(Mined("y", 0))
    with pytest.raises(ValueError, match="sentence 6 of document 'steam engines/x', which it does not have"):
        quality(pair(6, "?", "!"))
    empty = summary(quality())
    assert empty["precision"] != empty["precision"] and empty["recall_of"] == 0
