from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from msig_lib.lm.decoder import build_tokenizer
from msig_lib.mining.documents import CRITERIA, Mined
from msig_lib.mining.parse import NOTHING, read_fields, read_output, write_output

KEPT = Mined("d", 3, "It gives the weight.", None, "What does X: the bell, weigh?", "X weighs 4.5 kg.")
REFUSED = Mined("d", 3, "It repeats.", "new")
words = st.text(max_size=40).map(lambda text: " ".join(text.split())).filter(bool)
kept = st.builds(Mined, st.just("d"), st.just(3), words, st.none(), words, words)
refused = st.builds(Mined, st.just("d"), st.just(3), st.just("") | words, st.sampled_from(CRITERIA))


def test_the_format():
    assert write_output(KEPT, True) == (
        "Analysis: It gives the weight.\nQuestion: What does X: the bell, weigh?\nAnswer: X weighs 4.5 kg."
    )
    assert write_output(KEPT, False).startswith("Question: What")
    assert write_output(REFUSED, True) == "Analysis: It repeats.\nRefused: new"
    assert (
        write_output(REFUSED, False) == write_output(replace(REFUSED, analysis=" "), True) == "Refused: new"
    )
    assert write_output(replace(KEPT, answer=" a\n\tb\u2028c "), False).endswith("\nAnswer: a b c")


@given(kept | refused, st.booleans())
@example(replace(KEPT, question="Answer: **Refused:** new", answer="** Analysis : x"), True)
def test_what_is_written_is_read_back(mined, analysis):
    expected = mined if analysis else replace(mined, analysis="")
    assert read_output(write_output(mined, analysis), analysis, "d", 3) == expected


@given(
    st.text() | st.from_regex(r"(?s:((Analysis|Question|Answer|Refused)\s*:.{0,9}\n?){0,4})"), st.booleans()
)
def test_nothing_is_dropped_and_nothing_raises(text, analysis):
    found = read_output(text, analysis, "d", 3)
    assert (found.document, found.sentence) == ("d", 3)
    if found.malformed:
        assert found == Mined("d", 3, malformed=text or NOTHING) and not found.kept
    elif found.kept:
        assert found.question and found.answer and bool(found.analysis) == analysis
    else:
        assert found.fails in CRITERIA and not (found.question or found.answer)


@pytest.mark.parametrize(
    "text",
    [
        "analysis : it gives the weight.\nquestion : what?\nanswer : this.",
        "\n  ANALYSIS:it gives the weight.  \r\n\r\nQuestion:\twhat?\nAnswer   :   this.\n\n",
        "**Analysis:** it gives the weight.\n**Question**: what?\n**Answer :** this.",
    ],
)
def test_what_is_forgiven(text):
    assert read_output(text, True, "d", 0) == Mined("d", 0, "it gives the weight.", None, "what?", "this.")


@pytest.mark.parametrize("said", ["new", "New.", "NEW", "new ."])
def test_a_criterion_in_any_case(said):
    assert read_output(f"refused : {said}", False, "d", 0) == Mined("d", 0, fails="new")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n ",
        "Sure! Here it is.\nAnalysis: a\nQuestion: q\nAnswer: b",
        "Analysis: a\nQuestion: q\nAnswer: b\nI hope this helps.",
        "Analysis: a\nQuestion: q",
        "Question: q\nAnswer: b",
        "Analysis: a",
        "Question: q\nAnalysis: a\nAnswer: b",
        "Analysis: a\nQuestion: q\nQuestion: q2\nAnswer: b",
        "Analysis: a\nQuestion:\nAnswer: b",
        "Analysis: a\nQuestion: q\nAnswer: b\ngoes on",
        "Analysis: a\nQuestion: q\nAnswer: b\nRefused: new",
        "Refused: boring",
        "Refused: new, relevant",
        "Refused:",
        "Refused: new\nAnalysis: why",
        "Analysis a\nQuestion: q\nAnswer: b",
        "*Analysis*: a\nQuestion: q\nAnswer: b",
    ],
)
def test_anything_else_is_malformed_and_kept_as_it_stands(text):
    assert read_output(text, True, "d", 1) == Mined("d", 1, malformed=text or NOTHING)


def test_without_analysis_there_is_none():
    text = "Analysis: a\nQuestion: q\nAnswer: b"
    assert read_output(text, False, "d", 1).malformed == text
    assert read_output("Analysis: a\nRefused: new", False, "d", 1).malformed
    assert read_output("Question: q\nAnswer: b", False, "d", 1).kept


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("analysis", [False, True])
def test_what_a_word_tokeniser_decodes_is_read(lowercase, analysis):
    for mined in (replace(KEPT, answer="It's 4.5 kg (net), well-known."), REFUSED):
        text = write_output(mined, analysis)
        tokenizer = build_tokenizer([text], lowercase=lowercase)
        decoded = tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True)
        expected = text.lower() if lowercase else text
        assert read_output(decoded, analysis, "d", 3) == read_output(expected, analysis, "d", 3)
        assert not read_output(decoded, analysis, "d", 3).malformed


def test_fields_come_in_the_order_written():
    assert list(read_fields("Answer: b\nQuestion: q")) == ["answer", "question"]
    assert read_fields("") == {} and read_fields("Answer: b\nAnswer: c") is None


@pytest.mark.parametrize(
    ("mined", "says"),
    [
        (Mined("d", 2, malformed="?"), "sentence 2 of 'd' is malformed"),
        (replace(REFUSED, fails="boring"), "'boring'.*clear, informative, new, relevant"),
        (replace(KEPT, analysis=" \n"), "no analysis"),
        (replace(KEPT, question=""), "no question"),
        (replace(KEPT, answer="\t"), "no answer"),
    ],
)
def test_what_cannot_be_written(mined, says):
    with pytest.raises(ValueError, match=says):
        write_output(mined, True)
