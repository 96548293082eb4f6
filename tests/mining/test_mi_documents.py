"""Sentences of a text, and documents of a file of JSON lines."""

import hashlib
import json
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.mining.documents import Counted, Document, Mined, make_document, read_documents, split_sentences

# Each text with "|" where a sentence ends; written for this test.
MARKED = [
    "It runs.| It stops.| Does it?| Yes!",
    "Dr. Ames met Mrs. Tamm and Prof. J. R. Weber.| They talked.",
    "The pump costs 3.50 crowns and weighs 1,200.75 grams.| It holds.",
    "She moved to the U.S. in May.| He stayed in the U.K.| The shop closed.",
    "J. A. Keller drew it with K. Nagy.| In 1850 it was sold.",
    "See Fig. 3 and Eq. 12.| No. 5 is shown, e.g. The Bell, i.e. a bell.| No.| Others are not.",
    "On Jan. 5 it rained (approx. 3 mm).| On Feb. 6 it did not.",
    "Orsini et al. found it.| Ulm Works Ltd. Bell Co. sold it to Dahl Inc.| The price was low.",
    "They sell oil, coal, etc. and more.| They sell oil, coal, etc.| Peat is extra.",
    '"Who is it?" she asked.| "Stop."| Then he left.',
    "He called it “a wonder.”| Nobody agreed.| (It was late.)| All went home.",
    "It was known.[1]| It was built twice.[2][by whom?]| Why?",
    "Wait...| What?!| No… he said nothing... and left.| Yes.",
    "1. The first part.| 2. The second part.",
    "The site www.example.com has v1.2.3 of it.| Write to a.b@example.com for more.",
    "He left at 5 p.m. on Monday.| She came at 6 a.m.| It was dark.",
    "St. Petersburg lies by the sea.| He lives on Main St.| The street is long.",
    "Its speed is 45 knots.| 12 boats are faster.",
    "all of it is lower case.| every word.| and dr. ames too.",
    "It works with J.-P. Lorca.| At 7 ft.| The wall ends.",
]


@pytest.mark.parametrize("marked", MARKED)
def test_sentences(marked):
    expected = [part.strip() for part in marked.split("|")]
    assert split_sentences(marked.replace("|", "")) == expected


def test_no_spaces_between_sentences():
    assert split_sentences("これは本です。あれは「ペン。」はい") == [
        "これは本です。",
        "あれは「ペン。」",
        "はい",
    ]


def test_line_ends():
    assert split_sentences("The pump runs at\n45 bar. It\r\nis red.") == [
        "The pump runs at 45 bar.",
        "It is red.",
    ]
    assert split_sentences("No stop here\n\n\nNew part") == ["No stop here", "New part"]
    assert split_sentences("Parts:\n- a wheel\n* an axle\n2) two beds") == [
        "Parts:", "- a wheel", "* an axle", "2) two beds",
    ]  # fmt: skip
    assert split_sentences("Its history\nThe bridge was built of stone and iron in 1820.\nIt stands.") == [
        "Its history", "The bridge was built of stone and iron in 1820.", "It stands.",
    ]  # fmt: skip
    wrapped = (
        "The bridge was built of stone and iron in the year that\nWellington came to Bath, and it stands."
    )
    assert split_sentences(wrapped) == [wrapped.replace("\n", " ")]


WORDS = 'The a Dr. U.S. 3.5 J. it etc. end. Why? (x) "Go!" … No. 7 [1] é 。 “ ”'.split()
PIECES = st.sampled_from([*WORDS, "\n", "\n\n", "- ", "\u2028", "\t"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=6)), max_size=25).map(" ".join))
def test_nothing_is_lost_and_each_sentence_is_one_line(text):
    found = split_sentences(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(one and one == " ".join(one.split()) for one in found)


def test_time_grows_with_the_text_only():
    for piece in ("Mr. ", "A. B. ", ".", ". \"'", "(\"'", "a. ", "\n", "。", "._", ".[", ".[a"):
        start = time.process_time()
        split_sentences(piece * (100_000 // len(piece)))
        assert time.process_time() - start < 5, piece  # a quadratic search takes minutes


def test_no_text():
    assert split_sentences("") == split_sentences(" \n\t\r\n") == []
    with pytest.raises(TypeError, match="bytes"):
        split_sentences(b"One. Two.")


def test_documents_and_findings():
    document = make_document("One is here. Two is\nthere.", "d", "T")
    assert document == Document("d", "T", ("One is here.", "Two is there."))
    assert document.text == "One is here. Two is there."
    assert Mined("d", 0, question="q", answer="a").kept
    assert not Mined("d", 0, fails="new").kept and not Mined("d", 0, malformed="?").kept


def write(path, records):
    lines = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in records]
    path.write_bytes("\n".join(lines).encode())
    return path


def test_read(tmp_path):
    records = [
        "\ufeff" + json.dumps({"text": "One. Two.", "id": 7, "title": " A\n title "}),
        "",
        {"text": " \n ", "id": "blank"},
        {"text": "Three.", "more": [1]},
        {"text": "Three.", "title": None, "id": None},
        '{"text": "Half \\ud83d a pair, and a whole \\ud83d\\ude00.", "id": "s"}',
    ]
    path = write(tmp_path / "docs.jsonl", records)
    counted = Counted()
    stream = read_documents(path, counted=counted)
    assert next(stream) == Document("7", "A title", ("One.", "Two.")) and counted.documents == 1
    found = list(stream)
    content = hashlib.sha256(b"Three.").hexdigest()[:12]
    assert [one.id for one in found] == [f"4-{content}", f"5-{content}", "s"]
    assert found[0].title == found[1].title == ""
    assert found[2].sentences == ("Half \ufffd a pair, and a whole \U0001f600.",)
    assert counted == Counted(4, 1, 5, hashlib.sha256(path.read_bytes()).hexdigest())


def test_other_names_of_fields(tmp_path):
    path = write(tmp_path / "d", [{"body": "One.", "key": "k", "head": "H"}])
    names = {"text_field": "body", "id_field": "key", "title_field": "head"}
    assert list(read_documents(path, **names)) == [Document("k", "H", ("One.",))]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"text": "x"', "not JSON .*column 13"),
        ("plain words", "not JSON .*one object a line"),
        ('["x"]', "a JSON list, expected an object"),
        ('{"id": "d"}', "no field 'text' among id; text_field names another"),
        ('{"text": null}', "the field 'text' is a NoneType, expected a string"),
        ('{"text": 3}', "the field 'text' is a int, expected a string"),
        ('{"text": "x", "id": true}', "the field 'id' is a bool"),
        ('{"text": "x", "id": 1.5}', "the field 'id' is a float"),
        ('{"text": "x", "title": []}', "the field 'title' is a list"),
        ('{"text": "x", "id": "first"}', "the id 'first' was given on line 1 already"),
        ("[" * 100_000, "it is nested too deep"),
    ],
)
def test_mistakes_name_the_line(tmp_path, line, why):
    path = write(tmp_path / "docs.jsonl", [{"text": "One.", "id": "first"}, line])
    stream = read_documents(path)
    assert next(stream).id == "first"  # what comes before a mistake is read
    with pytest.raises(ValueError, match=f"docs.jsonl, line 2: {why}"):
        list(stream)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "d").write_bytes(b'{"text": "\xff"}\n')
    with pytest.raises(ValueError, match=r"line 1: not UTF-8 \(byte 11\)"):
        list(read_documents(tmp_path / "d"))


def test_memory_does_not_grow_with_the_texts(tmp_path):
    with (tmp_path / "d").open("w") as file:
        for i in range(100):
            file.write(json.dumps({"id": i, "text": "A sentence about it. " * 200}) + "\n")  # 430 kB
    tracemalloc.start()
    try:
        count = sum(len(one.sentences) for one in read_documents(tmp_path / "d"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000 and peak < 200_000
