import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msig_lib.mining import prompts
from msig_lib.mining.documents import CRITERIA, Document

BELL = Document(
    "d1", "Bell {tower}", ("It rings. {0}", "The {bell} weighs 45 kg.", "{sentence} is cast in Kotor.")
)
ABOUT_A_SENTENCE = {
    "analysis": lambda **o: prompts.analysis_prompt(BELL, 1, **o),
    "question": lambda **o: prompts.question_prompt(BELL, 1, "It gives {its} weight.", **o),
    "pair": lambda **o: prompts.pair_prompt(BELL, 1, **o),
    "short": lambda **o: prompts.short_prompt(BELL, 1, **o),
    "short pair": lambda **o: prompts.short_pair_prompt(BELL, 1, **o),
}


@pytest.mark.parametrize("name", ABOUT_A_SENTENCE)
def test_a_prompt_holds_title_document_and_sentence_as_they_are(name):
    prompt = ABOUT_A_SENTENCE[name]()
    assert f"Bell {{tower}}\n{BELL.text}" in prompt
    assert "Sentence: The {bell} weighs 45 kg.\n" in prompt
    assert prompt.count(BELL.sentences[1]) == 2 and prompt == prompt.strip()
    short = ABOUT_A_SENTENCE[name](longest=30)
    assert BELL.sentences[1] in short and BELL.sentences[0] not in short


def test_prompts_of_later_steps_hold_what_was_said_before():
    assert "Analysis: It gives {its} weight.\n" in ABOUT_A_SENTENCE["question"]()
    prompt = prompts.answer_prompt(BELL, "What does {it} weigh?")
    assert "Question: What does {it} weigh?\n" in prompt and BELL.text in prompt
    narrow = prompts.answer_prompt(BELL, "What?", 2, longest=30)
    assert BELL.sentences[2] in narrow and BELL.sentences[1] not in narrow
    judged = prompts.judge_prompt("{a}?", "{b}.", "{c}.")
    assert [judged.index(text) for text in ("{a}?", "{b}.", "{c}.")] == sorted(
        judged.index(text) for text in ("{a}?", "{b}.", "{c}.")
    )


@pytest.mark.parametrize("name", ["analysis", "pair"])
def test_who_may_refuse_is_told_every_criterion_in_the_order_that_counts(name):
    prompt = ABOUT_A_SENTENCE[name]()
    assert re.findall(r"^- (\w+):", prompt, re.MULTILINE)[: len(CRITERIA)] == list(CRITERIA)
    assert "Refused: <clear, informative, new or relevant>" in prompt


def test_each_step_asks_for_its_lines():
    def asked_for(prompt):
        return re.findall(r"^(Analysis|Question|Answer|Refused|Score|Reason): <", prompt, re.MULTILINE)

    assert asked_for(ABOUT_A_SENTENCE["analysis"]()) == ["Analysis", "Analysis", "Refused"]
    assert asked_for(ABOUT_A_SENTENCE["question"]()) == ["Question"]
    assert asked_for(prompts.answer_prompt(BELL, "What?")) == ["Answer"]
    assert asked_for(ABOUT_A_SENTENCE["pair"]()) == ["Question", "Answer", "Refused"]
    assert asked_for(prompts.judge_prompt("a", "b", "c")) == ["Reason", "Score"]


def test_a_miner_is_told_little():
    plain = Document("d", "", ("One.", "Two."))
    assert prompts.short_prompt(plain, 0).startswith("Document: One. Two.\nSentence: One.\n")
    assert len(prompts.SHORT) < len(prompts.ANALYSIS) / 5
    assert prompts.short_prompt(plain, 0) != prompts.short_pair_prompt(plain, 0)


def test_titles_stand_one_a_line():
    prompt = prompts.related_prompt("steam {engines}", ["James Watt", "Steam (game)"])
    assert "\n\nJames Watt\nSteam (game)\n\n" in prompt and prompt.count("steam {engines}") == 2
    assert "steam {engines}" in prompts.titles_prompt("steam {engines}")


sentences = st.lists(st.text("ab ", max_size=12), min_size=1, max_size=12)


@given(sentences, st.integers(0, 11), st.integers(1, 60))
def test_an_excerpt_is_the_most_around_a_sentence_that_fits(texts, i, longest):
    i %= len(texts)
    document = Document("d", "t", tuple(texts))
    found = prompts.excerpt(document, i, longest=longest)
    assert len(found) <= longest
    if len(document.text) <= longest:
        assert found == document.text
    if len(texts[i]) > longest:
        assert found == texts[i][:longest]
        return
    spans = [
        (a, b) for a in range(i + 1) for b in range(i, len(texts)) if " ".join(texts[a : b + 1]) == found
    ]
    assert spans, "whole sentences, one after the other, with sentence i among them"
    more = [(a, b) for x, y in spans for a, b in ((x - 1, y), (x, y + 1)) if a >= 0 and b < len(texts)]
    fits = [len(" ".join(texts[a : b + 1])) <= longest for a, b in more]
    assert not all(fits) or not more
