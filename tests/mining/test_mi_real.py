import json

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from msig_lib import datasets
from msig_lib.mining import real
from msig_lib.mining.documents import Mined
from msig_lib.mining.real import FormatError, HumanQuestion

TEXT = 'Ada  Lovelace was born in 1815 in London. She wrote "notes" in 1843. Ada died in 1852, aged 36.'


def asked(name, text, answer, start=None):
    start = TEXT.index(answer) if start is None else start
    return {"id": name, "question": text, "answers": [{"text": answer, "answer_start": start}]}


def squad(*questions, title="Ada_Lovelace", context=TEXT):
    return {
        "version": "1.1",
        "data": [{"title": title, "paragraphs": [{"context": context, "qas": list(questions)}]}],
    }


@pytest.fixture
def path(tmp_path):
    def write(content):
        file = tmp_path / "squad.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return file

    return write


def test_a_file_of_the_form_is_read_as_sentences_and_questions(path):
    found = real.read(
        path(squad(asked("a", " Where was she born? ", "London"), asked("b", "At which age?", "36")))
    )
    (document,) = found.documents
    assert (document.id, document.title) == ("Ada_Lovelace/0", "Ada Lovelace")
    assert document.sentences == (
        "Ada Lovelace was born in 1815 in London.",
        'She wrote "notes" in 1843.',
        "Ada died in 1852, aged 36.",
    )
    assert found.questions == (
        HumanQuestion("a", "Ada_Lovelace/0", 0, "Where was she born?", "London"),
        HumanQuestion("b", "Ada_Lovelace/0", 2, "At which age?", "36"),
    )


@pytest.mark.parametrize("answer", ["Ada", "London.", "She", '"notes"', "1843", "1852, aged 36."])
def test_the_sentence_of_an_answer_is_the_one_that_its_offset_is_in(path, answer):
    found = real.read(path(squad(asked("a", "?", answer))))
    assert answer in found.documents[0].sentences[found.questions[0].sentence]
    last = TEXT.rindex("Ada")
    assert real.read(path(squad(asked("a", "?", "Ada", last)))).questions[0].sentence == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "no readable JSON"),
        ("[]", "not in the form of SQuAD 1.1 at the start"),
        ({"data": []}, "no questions in it"),
        (
            {"data": [{"title": "A", "paragraphs": [{"qas": []}]}]},
            "not in the form of SQuAD 1.1 at the start",
        ),
        (squad({"id": "a", "question": "?", "answers": []}), "after Ada_Lovelace/0"),
        (squad(asked("a", "?", "London", 3)), "question a: the answer 'London' is not at 3"),
        (squad(asked("a", "?", "", 3)), "question a: the answer '' is not at 3"),
    ],
)
def test_what_is_not_of_the_form_is_refused_with_the_file(path, content, says):
    with pytest.raises(FormatError, match=says) as raised:
        real.read(path(content))
    assert "squad.json" in str(raised.value)


PAIRS = [
    Mined("a", 0, question="Where was Ada born?", answer="Ada was born in London."),
    Mined("a", 1, fails="informative"),
    Mined("a", 2, question="How old was Ada?", answer="She was 36."),
    Mined("b", 0, question="Which river flows through London?", answer="The Thames does."),
    Mined("b", 1, malformed="London London London"),
]
ASKED = [
    HumanQuestion("1", "a", 0, "In which town was Ada born?", "london"),
    HumanQuestion("2", "a", 2, "How old was she?", "36"),
    HumanQuestion("3", "b", 0, "Through which town does the Thames flow?", "London"),
    HumanQuestion("4", "b", 1, "Quo vadis?", "Thames"),
    HumanQuestion("5", "b", 0, "Born in London?", "Thames"),
]


def test_each_question_gets_the_best_pair_of_all_and_what_it_is_worth():
    found = real.coverage(PAIRS, ASKED).set_index("question")
    assert found["pair"].tolist() == [0, 2, 3, -1, 0]
    assert found["same_document"].tolist() == [True, True, True, False, False]
    assert found["same_sentence"].tolist() == [True, True, True, False, False]
    assert found["has_answer"].tolist() == [True, True, False, False, False]
    assert found["covered"].tolist() == [True, True, False, False, False]
    assert found["possible"].tolist() == [True, True, False, True, True]
    assert found["words"].tolist() == [5, 3, 3, 0, 5]
    assert found.loc["5", ["rank_document", "rank_answer"]].tolist() == [2, 2]
    assert np.isnan(found.loc["4", "rank_document"])
    short = real.summary(found)
    assert short["covered"] == 0.4 and short["questions"] == 5 and short["words"] == 3.2
    assert short["mrr_document"] == pytest.approx((1 + 1 + 1 + 0 + 0.5) / 5)


def test_an_answer_is_held_as_whole_words_only():
    pairs = [
        Mined("a", 0, question="x", answer="It weighs 1365 kg."),
        Mined("a", 1, question="y", answer="It is (36)!"),
    ]
    found = real.coverage(
        pairs, [HumanQuestion("1", "a", 0, "x", "36"), HumanQuestion("2", "a", 0, "y", "36")]
    )
    assert found["has_answer"].tolist() == [False, True]


def test_pairs_can_be_found_by_their_question_alone():
    pairs = [
        Mined("a", 0, question="What is a bell?", answer="A thing."),
        Mined("b", 0, question="Why?", answer="Rings and chimes."),
    ]
    human = [HumanQuestion("1", "b", 0, "What chimes and rings?", "Rings")]
    assert real.coverage(pairs, human)["pair"].tolist() == [1]
    assert real.coverage(pairs, human, by="question")["pair"].tolist() == [0]
    with pytest.raises(ValueError, match="by is 'answer', expected"):
        real.coverage(pairs, human, by="answer")
    bare = [Mined("a", 0, answer="A sentence.")]
    with pytest.raises(ValueError, match="none of the 1 pairs has a word in its question"):
        real.coverage(bare, human, by="question")


def test_nothing_to_rank_is_told():
    with pytest.raises(ValueError, match="0 kept pairs of 1 findings and 5 questions"):
        real.coverage(PAIRS[1:2], ASKED)
    with pytest.raises(ValueError, match="3 kept pairs of 5 findings and 0 questions"):
        real.coverage(PAIRS, [])


def test_the_similarity_is_the_cosine_of_hand_made_tfidf():
    kept = [one for one in PAIRS if one.kept]
    texts = [f"{one.question} {one.answer}" for one in kept]
    words = [[word.strip("?.").lower() for word in text.split()] for text in texts]
    vocabulary = sorted({word for row in words for word in row})
    df = np.array([sum(word in row for row in words) for word in vocabulary])

    def vector(row):
        counts = np.array([row.count(word) for word in vocabulary], dtype=float)
        return np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * (np.log((1 + 3) / (1 + df)) + 1)

    human = [[word.strip("?.").lower() for word in one.text.split()] for one in ASKED]
    expected = cosine_similarity([vector(row) for row in human], [vector(row) for row in words]).max(1)
    np.testing.assert_allclose(real.coverage(PAIRS, ASKED)["similarity"], expected, atol=1e-9)


def test_the_controls_change_what_they_should():
    mixed = real.shuffled(PAIRS, seed=3)
    assert mixed == real.shuffled(PAIRS, seed=3)
    assert [(one.document, one.sentence, one.question) for one in mixed] == [
        (one.document, one.sentence, one.question) for one in PAIRS if one.kept
    ]
    assert sorted(one.answer for one in mixed) == sorted(one.answer for one in PAIRS if one.kept)
    documents = [real.Document("a", "A", ("One.", "Two.")), real.Document("b", "B", ("Three.",))]
    assert [
        (one.document, one.sentence, one.answer, one.kept) for one in real.sentences_as_pairs(documents)
    ] == [
        ("a", 0, "One.", True),
        ("a", 1, "Two.", True),
        ("b", 0, "Three.", True),
    ]


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path, monkeypatch, path):
    (tmp_path / "xquad_en").mkdir()
    path(squad(asked("a", "?", "London"))).rename(tmp_path / real.FILE)
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(tmp_path))
    with pytest.raises(datasets.DataMismatch, match=r"xquad\.en\.json has the wrong content"):
        real.load()


@pytest.mark.skipif(not datasets.available(real.NAME)[0], reason="XQuAD is not here (MSIG_DATA_MIRROR)")
def test_the_real_paragraphs(monkeypatch):
    monkeypatch.delenv("MSIG_RUN_DIR", raising=False)
    found = real.load()
    assert (len(found.documents), len(found.questions)) == (240, 1190)
    by = {document.id: document for document in found.documents}
    across = [q for q in found.questions if q.answer not in by[q.document].sentences[q.sentence]]
    assert [q.answer[:16] for q in across] == ["regain authority"]  # one answer goes over two sentences
    part = found.first(40)
    assert len(part.documents) == 40 and {q.document for q in part.questions} == {
        d.id for d in part.documents
    }
    with pytest.raises(ValueError, match=r"n is 0, expected 1\.\.240"):
        found.first(0)
    pairs = real.sentences_as_pairs(part.documents)
    plain = real.summary(real.coverage(pairs, part.questions))
    mixed = real.summary(real.coverage(real.shuffled(pairs, 0), part.questions))
    assert plain["covered"] > 0.6 > 0.1 > mixed["covered"]
    assert plain["possible"] > 0.99
