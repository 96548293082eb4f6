import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msig_lib.mining.data import make_world
from msig_lib.mining.documents import Document, Mined
from msig_lib.mining.rules import pair, question, with_name
from msig_lib.mining.signal import TemplateTeacher


@pytest.mark.parametrize(
    ("sentence", "asked"),
    [
        ("The pressure of Velan Doru is 45 bar.", "What is the pressure of Velan Doru?"),
        ("Velan Doru is a steam engine.", "What is Velan Doru?"),
        ("Velan Doru has 45 bar as its pressure.", "What does Velan Doru have as its pressure?"),
        ("45 bar is the pressure of Velan Doru.", "What is the pressure of Velan Doru?"),
        ("Paris is the capital of France, with the Louvre.", "What is the capital of France?"),
        ("The Eiffel Tower was completed in 1889.", "In which year was the Eiffel Tower completed?"),
        ("The town had 45 bridges before the war.", "How many bridges before the war did the town have?"),
        ("There are 45 bridges in Kotor.", "How many bridges are there in Kotor?"),
        ("Mount Ubu is about 300 metres high.", "How many metres high is Mount Ubu?"),
        ("The Louvre is located in Paris.", "Where is the Louvre located?"),
        ("The Eiffel Tower was built by Sauvestre.", "By whom or what was the Eiffel Tower built?"),
        ("In 1820, the mills were sold to Amsel.", "What happened to the mills in 1820?"),
        ("For Velan Doru, the pressure is 45 bar.", "What is the pressure for Velan Doru?"),
        ("As for the fuel of Velan Doru, it is peat.", "What is the fuel of Velan Doru?"),
        ("However, Lund has a market.", "What does Lund have?"),
        ("Some say that the weight of the bell is 45 kg.", "What is the weight of the bell?"),
        ("Velan Doru weighs 45 tons.", "What is known about Velan Doru?"),
        ("Rain fell on Lund for 45 days.", "What is known about Lund?"),
        ("The bell that Amsel cast is in Lund.", "What is known about Amsel?"),
        ("It fell for 45 days.", None),
    ],
)  # fmt: skip
def test_questions_by_rule(sentence, asked):
    assert question(sentence) == asked


ENGINE = Document("d", "Velan Doru (engine)", ("Velan Doru is a big steam engine of Lund.",))


@pytest.mark.parametrize(
    ("sentence", "named"),
    [
        ("It has 45 valves.", "Velan Doru has 45 valves."),
        ("Its fuel is peat.", "Velan Doru's fuel is peat."),
        ("The steam engine runs on peat.", "Velan Doru runs on peat."),
        ("The fuel of this engine is peat.", "The fuel of Velan Doru is peat."),
        ("45 bar is its pressure.", "45 bar is Velan Doru's pressure."),
        ("The fire engine is red.", "The fire engine is red."),
        ("Its owner named Velan Doru.", "Its owner named Velan Doru."),
        ("Italy is far.", "Italy is far."),
    ],
)
def test_the_title_stands_for_what_means_it(sentence, named):
    assert with_name(sentence, ENGINE) == named
    assert with_name(sentence, Document("d", "", (sentence,))) == sentence


@pytest.mark.parametrize(
    ("sentence", "fails"),
    [
        ("Who built the bridge of Lund?", "informative"),
        ('He asked: "Who built Lund?"', "informative"),
        ("Lund has 4.", "clear"),
        ("Many people like such engines.", "informative"),
        ("This was built in Lund in 1820.", "clear"),
        ("Velan Doru is a big steam engine of Lund.", "new"),
        ("", "clear"),
    ],
)
def test_what_the_rules_refuse(sentence, fails):
    assert pair(Document("d", "Velan Doru", (*ENGINE.sentences, sentence)), 1) == fails


def test_the_answer_is_the_sentence_and_both_stand_alone():
    document = Document(
        "d", "Lund", ("Lund is a town.", "It has 45 bridges.", "The findings were published in Nature.")
    )
    assert TemplateTeacher().ask([(document, i) for i in (1, 2)], seed=9) == [
        Mined("d", 1, "", None, "How many bridges does Lund have?", "Lund has 45 bridges."),
        Mined("d", 2, "", None, "Lund: what happened to the findings?", document.sentences[2]),
    ]
    with pytest.raises(ValueError, match="sentence 3"):
        TemplateTeacher().ask([(document, 3)])


def test_the_baseline_is_a_fair_one_in_the_generated_world():
    passages = make_world(seed=2).domain
    told = [(p, i) for p in passages for i, s in enumerate(p.sentences) if not s.fails and len(s.facts) == 1]
    found = TemplateTeacher().ask([(p.document, i) for p, i in told])
    good = 0
    for (passage, i), mined in zip(told, found):
        fact = passage.sentences[i].facts[0]
        good += mined.kept and fact.entity in mined.question and fact.value in mined.answer
    assert good > 0.7 * len(told)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4), st.text(max_size=20))
def test_any_text_gives_a_finding(sentences, title):
    document = Document("d", title, tuple(sentences))
    for mined in TemplateTeacher().ask([(document, i) for i in range(len(sentences))]):
        assert not mined.kept or (mined.question.endswith("?") and mined.answer)


@pytest.mark.parametrize("piece", ["A of ", "the ", "is was ", "has 4 as ", "X, ", "Mr. ", "'s ", " "])
def test_long_texts_take_no_time(piece):
    start = time.process_time()
    for size in (990, 100_000):
        pair(
            Document("d", "Title", ("Title is a " + piece * 200, "It is 4 " + piece * (size // len(piece)))),
            1,
        )
    assert time.process_time() - start < 5, "no rule may take exponential time"
