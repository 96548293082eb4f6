"""What a page shows of passages and findings is what holds of them, and nothing of a model becomes markup."""

import base64
import gzip
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from msig_lib.display.words import DisplayError
from msig_lib.mining import display as D
from msig_lib.mining.data import Passage, Sentence, WorldSettings, make_world
from msig_lib.mining.documents import CRITERIA, Document, Mined
from msig_lib.mining.quality import miner_quality
from msig_lib.mining.signal import OracleTeacher, TemplateTeacher
from msig_lib.mining.wording import Fact
from msig_lib.mining.words import KIND

NAME = "Bador Kelin"
PRESSURE, FUEL = Fact(NAME, "pressure", "45 bar"), Fact(NAME, "fuel", "coal")
SENTENCES = (
    Sentence(f"{NAME} is a steam engine.", (Fact(NAME, KIND, "steam engine"),), None, False, NAME),
    Sentence("Its pressure is 45 bar.", (PRESSURE,), None, True, NAME),
    Sentence(f"The fuel of {NAME} is coal.", (FUEL,), None, False, NAME),
    Sentence("As was said, the pressure of the engine is 45 bar.", (PRESSURE,), "new", True, NAME),
    Sentence("Many people like this engine.", (), "informative", True, NAME),
)
PASSAGE = Passage(
    Document("steam engines/x", NAME, tuple(s.text for s in SENTENCES)), "steam engines", SENTENCES
)
RIGHT = f"The pressure of {NAME} is 45 bar."


def said(sentence, question="", answer="", **more):
    return Mined(PASSAGE.document.id, sentence, question=question, answer=answer, **more)


def parts(shown):
    return {name: wrong for name, _, wrong in shown.parts}


@pytest.mark.parametrize(
    ("finding", "good", "verdict", "wrong"),
    [
        (said(1, f"What is the pressure of {NAME}?", RIGHT), True, "a right pair", {}),
        (
            said(1, f"What is the pressure of {NAME}?", "It is 50 bar."),
            False,
            "a wrong pair",
            {"Answer": "the passage does not say so"},
        ),
        (
            said(1, "What is its pressure?", RIGHT),
            False,
            "a wrong pair",
            {"Question": "does not stand alone"},
        ),
        (
            said(2, f"What is the pressure of {NAME}?", RIGHT),
            False,
            "a wrong pair",
            {"Question": "asks for what this sentence does not state"},
        ),
        (said(1, fails="clear"), False, "though it is worth asking", None),
        (said(3, fails="new"), True, "rightly refused, not new: it repeats what was said", None),
        (said(3, fails="clear"), True, "another: new", None),
        (said(4, f"Who likes {NAME}?", "Many people."), False, "to be refused: it gives nothing", None),
        (said(1, malformed="question : <b>"), False, "cannot be read", {"Output": "not the one format"}),
    ],
)
def test_verdicts_say_what_is_wrong_and_where(finding, good, verdict, wrong):
    (shown,) = D.judged(PASSAGE, [finding]).values()
    assert shown.good is good and verdict in shown.verdict
    if wrong is not None:
        assert {name: text for name, text in parts(shown).items() if text} == wrong
    row = miner_quality([finding], {PASSAGE.document.id: PASSAGE}).iloc[0]
    assert good == bool(row.pair_right or (not row.kept and not row.should_keep and not row.malformed))


def test_a_question_asked_twice_is_marked_and_other_documents_are_left_out():
    twice = [
        said(1, f"What is the pressure of {NAME}?", RIGHT),
        said(3, f"Which pressure does {NAME} have?", RIGHT),
    ]
    other = replace(twice[0], document="elsewhere")
    found = D.judged(PASSAGE, [other, *twice])
    assert list(found) == [1, 3] and parts(found[1])["Question"] == ""
    assert parts(found[3])["Question"] == "was asked before" and not found[3].good
    assert D.judged(PASSAGE, [other]) == {}


def test_the_truth_of_a_sentence_is_in_words():
    told = [D.truth(one) for one in SENTENCES]
    assert told[0] == "worth asking: it is a steam engine"
    assert told[1] == "worth asking: pressure 45 bar; needs the passage to be understood"
    assert told[2] == "worth asking: fuel coal"
    assert told[3].startswith(
        "to be refused, not new: it repeats what was said (Bador Kelin, pressure 45 bar)"
    )
    assert set(D.REFUSED) == set(CRITERIA)


def test_a_shown_passage_has_every_sentence_with_its_mark():
    shown = D.shown_passage(PASSAGE, name="passage", caption="One *passage*.")
    root = ElementTree.fromstring(shown.html)
    items = list(root.iter("li"))
    assert ["".join(item.itertext()) for item in items] == [
        f"{'✗' if one.fails else '✓'} {one.text}{D.truth(one)}" for one in SENTENCES
    ]
    labels = [item.find("span").get("aria-label") for item in items]
    assert labels == ["worth asking"] * 3 + ["to be refused"] * 2
    assert root.get("id") == "fig-passage" and "<em>passage</em>" in shown.html
    other = Passage(PASSAGE.document, "steam engines", (*SENTENCES[:4], replace(SENTENCES[4], fails="clear")))
    assert D.shown_passage(other, name="passage", caption="x").fingerprint != shown.fingerprint
    for wrong in ({"name": "No", "caption": "x"}, {"name": "a", "caption": " "}):
        with pytest.raises(DisplayError):
            D.shown_passage(PASSAGE, **wrong)


def test_findings_stand_side_by_side_escaped_and_with_a_capital():
    evil = said(1, 'is <script>"&</script> bador kelin ?', "<img src=x>")
    findings = {
        "teacher": [said(1, f"What is the pressure of {NAME}?", RIGHT)],
        "a <miner>": [evil],
        "none": [],
    }
    html = D.shown_findings(PASSAGE, 1, findings)
    root = ElementTree.fromstring(html)
    cards = list(root.iter("section"))
    assert [card.get("aria-label") for card in cards] == list(findings)
    texts = ["".join(card.itertext()) for card in cards]
    assert "✓ A right pair" in texts[0] and "✗" not in texts[0]
    assert 'Question: Is <script>"&</script> bador kelin ?' in texts[1] and "(✗ " in texts[1]
    assert "✗ Nothing: left out" in texts[2]
    assert [u.text for u in root.iter("u")] == [SENTENCES[1].text]
    assert not list(root.iter("script")) and not list(root.iter("img"))
    told = D.told_findings(PASSAGE, 1, findings)
    assert told.startswith(f"{NAME}, sentence 2 of 5. Teacher: a right pair; a <miner>: a wrong pair; none:")
    for wrong in (-1, 5):
        with pytest.raises(ValueError, match="has 5, counted from 0"):
            D.shown_findings(PASSAGE, wrong, findings)


def test_the_explorer_holds_every_sentence_of_every_passage():
    world = make_world(WorldSettings(entities=1, known=1), seed=3)
    passages = list(world.domain)
    items = [(one.document, i) for one in passages for i in range(len(one.sentences))]
    findings = {
        "teacher": OracleTeacher(passages, error_rate=0.5).ask(items, seed=0),
        "rules": TemplateTeacher().ask(items),
    }
    found = D.explore(passages, findings, name="findings", caption="What *each* says.")
    longest = max(len(one.sentences) for one in passages)
    assert found.frames == len(passages) * longest and len(found.html) < 60_000
    packed = re.search(r"data-msig-frames>([^<]+)<", found.html)[1]
    store = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert len(store["frames"]) == len(items) == len(set(store["frames"]))
    for row, passage in list(enumerate(passages))[:2]:
        frames = [store["frames"][k] for k in store["order"][row * longest : (row + 1) * longest]]
        last = len(passage.sentences) - 1
        assert frames == [D.shown_findings(passage, min(i, last), findings) for i in range(longest)]
    assert all(f"({one.topic})" in found.html and one.entity in found.html for one in passages)
