from dataclasses import replace

import numpy as np
import pytest

from msig_lib.mining import wording
from msig_lib.mining.data import WorldSettings, fresh_passages, make_world
from msig_lib.mining.documents import CRITERIA, Document, Mined
from msig_lib.mining.parse import read_output, write_output
from msig_lib.mining.signal import PIECE, OracleTeacher, TemplateTeacher, agree, seed_instances
from msig_lib.mining.words import DOMAIN, GENERAL, KIND, every_value

SETTINGS = WorldSettings(doubles=0.6)


@pytest.fixture(scope="module")
def passages():
    return make_world(SETTINGS, seed=1).domain


def every(passages):
    return [(one.document, i) for one in passages for i in range(len(one.sentences))]


def stated(passages):
    return [sentence for one in passages for sentence in one.sentences]


def worded(make, facts):
    """All that the world's words can make of these facts."""
    return {make(facts, np.random.default_rng(k)) for k in range(40)}


def test_the_oracle_asks_and_answers_what_a_sentence_states(passages):
    found = OracleTeacher(passages).ask(every(passages), seed=0)
    sizes = []
    for (document, i), sentence, mined in zip(every(passages), stated(passages), found):
        assert (mined.document, mined.sentence, mined.malformed) == (document.id, i, "")
        if sentence.fails:
            assert mined.fails == sentence.fails and not (mined.question or mined.answer)
            assert mined.analysis == wording.reason(sentence.fails, sentence.about)
            continue
        assert mined.kept and mined.analysis == wording.findings(sentence.facts)
        choices = [sentence.facts] + ([(fact,) for fact in sentence.facts] if len(sentence.facts) > 1 else [])
        asked = [facts for facts in choices if mined.question in worded(wording.question, facts)]
        assert len(asked) == 1 and mined.answer in worded(wording.answer, asked[0])
        assert sentence.about in mined.question and sentence.about in mined.answer
        sizes += [len(asked[0])] * (len(sentence.facts) > 1)
        assert read_output(write_output(mined, True), True, document.id, i) == mined
    assert set(sizes) == {1, 2} and {mined.fails for mined in found} == {*CRITERIA, None}


def test_the_oracle_without_analysis_says_the_same(passages):
    teachers = OracleTeacher(passages), OracleTeacher(passages, analysis=False)
    full, short = (one.ask(every(passages), seed=0) for one in teachers)
    assert [replace(mined, analysis="") for mined in full] == short


def test_what_the_oracle_says_depends_on_seed_document_and_sentence_only(passages):
    oracle = OracleTeacher(passages, error_rate=0.3)
    items = every(passages)
    found = oracle.ask(items, seed=4)
    assert found == oracle.ask(items, seed=4) != oracle.ask(items, seed=5)
    assert [oracle.ask([item], seed=4)[0] for item in items[::-1]] == found[::-1]
    assert OracleTeacher(passages[::-1], error_rate=0.3).ask(items, seed=4) == found


def test_errors_are_as_frequent_as_stated_and_consistent(passages):
    told = [(p.document, i, s) for p in passages for i, s in enumerate(p.sentences)]
    told = [row for row in told if len(row[2].facts) == 1 and not row[2].fails]
    items = [(document, i) for document, i, _ in told]
    fact = {(document.id, i): sentence.facts[0] for document, i, sentence in told}
    right = OracleTeacher(passages)
    wrong = {}
    for rate in (0.1, 0.3, 1.0):
        oracle, count = OracleTeacher(passages, error_rate=rate), 0
        for seed in range(5):
            for a, b in zip(right.ask(items, seed=seed), oracle.ask(items, seed=seed)):
                assert a.question == b.question
                if a == b:
                    continue
                count += 1
                true = fact[a.document, a.sentence]
                assert a.answer != b.answer and a.analysis != b.analysis
                if true.relation == KIND:
                    continue
                told = [
                    value
                    for value in every_value(true.relation)
                    if value in b.answer and b.answer in worded(wording.answer, [replace(true, value=value)])
                ]
                assert len(told) == 1 and told[0] != true.value
                assert b.analysis == wording.findings([replace(true, value=told[0])])
                wrong.setdefault(rate, set()).add((seed, a.document, a.sentence))
        share, spread = count / (5 * len(items)), (rate * (1 - rate) / (5 * len(items))) ** 0.5
        assert abs(share - rate) <= 4 * spread
    assert wrong[0.1] < wrong[0.3] < wrong[1.0]


def test_one_of_two_facts_is_wrong_and_it_is_asked_for(passages):
    doubles = [(p.document, i) for p in passages for i, s in enumerate(p.sentences) if len(s.facts) == 2]
    assert doubles
    right, wrong = (OracleTeacher(passages, error_rate=rate).ask(doubles, seed=2) for rate in (0.0, 1.0))
    for a, b in zip(right, wrong):
        assert a.question == b.question and a.answer != b.answer and a.analysis != b.analysis
        said, analysed = PIECE.findall(b.answer), PIECE.findall(b.analysis)
        new = [piece for piece in said if piece not in PIECE.findall(a.answer)]
        assert len(new) == 1 and new[0] in analysed and new[0] not in PIECE.findall(a.analysis)


def test_refusals_stay_right(passages):
    refused = [(p.document, i) for p in passages for i, s in enumerate(p.sentences) if s.fails]
    assert OracleTeacher(passages).ask(refused, seed=0) == OracleTeacher(passages, error_rate=1.0).ask(
        refused, seed=0
    )


def test_an_oracle_tells_what_it_cannot_know(passages):
    first = passages[0].document
    with pytest.raises(ValueError, match=r"'other'.*passages"):
        OracleTeacher(passages).ask([(replace(first, id="other"), 0)], seed=0)
    with pytest.raises(ValueError, match="this text"):
        OracleTeacher(passages).ask([(replace(first, sentences=("It is new.",)), 0)], seed=0)
    for i in (-1, len(first.sentences)):
        with pytest.raises(ValueError, match=f"sentence {i} of .* {len(first.sentences)} sentences"):
            OracleTeacher(passages).ask([(first, i)], seed=0)
    for rate in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="error_rate is"):
            OracleTeacher(passages, error_rate=rate)


def test_seed_data_is_one_sentence_a_document_while_they_last(passages):
    documents = [one.document for one in passages]
    total = sum(len(one.sentences) for one in documents)
    oracle = OracleTeacher(passages)
    some = seed_instances(oracle, documents, 20, 0)
    assert len({mined.document for _, mined in some}) == 20
    assert all(document.id == mined.document for document, mined in some)
    assert some == seed_instances(oracle, documents, 20, 0) != seed_instances(oracle, documents, 20, 1)
    assert [m for _, m in some] == oracle.ask([(d, m.sentence) for d, m in some], seed=0)
    more = seed_instances(oracle, [*documents, Document("empty", "", ())], len(documents) + 30, 0)
    assert more[:20] == some and {m.document for _, m in more[: len(documents)]} == {d.id for d in documents}
    assert len({(m.document, m.sentence) for _, m in more}) == len(more) == len(documents) + 30
    assert {mined.kept for _, mined in more} == {True, False}
    whole = seed_instances(oracle, documents, total, 0)
    assert {(m.document, m.sentence) for _, m in whole} == {(d.id, i) for d, i in every(passages)}
    assert seed_instances(oracle, documents, 0, 0) == []
    for n in (total + 1, -1):
        with pytest.raises(ValueError, match=f"n is {n}, but .* {total} sentences"):
            seed_instances(oracle, documents, n, 0)


def test_seed_sentences_are_drawn_evenly():
    documents = [Document(str(k), "", ("A rings.", "B rings.", "C rings.")) for k in range(600)]
    found = seed_instances(TemplateTeacher(), documents, 300, 7)
    counts = np.bincount([mined.sentence for _, mined in found], minlength=3)
    assert (abs(counts - 100) < 4 * (300 * 2 / 9) ** 0.5).all()
    assert 100 < sum(int(mined.document) < 300 for _, mined in found) < 200


def test_agreement_is_in_what_the_answers_tell():
    def one(answer, **fields):
        return Mined("d", 0, "", None, "q", answer, **fields)

    def same(a, b, **options):
        return agree([one(a)], [one(b)], **options).tolist() == [True]

    assert same("The weight of Nu Ban is 45 bar.", "Nu Ban has 45 BAR as its weight")
    assert not same("The weight is 45 bar.", "The weight is 54 bar.")
    assert not same("It weighs 4.5 kg.", "It weighs 5.4 kg.") and not same(
        "It is made of oak.", "It is made of peat."
    )
    assert not same("It is.", "It was.") and same("It is.", "it is")
    loose = "Amsel built the bridge in 1820.", "The bridge was built by Amsel in 1820, it is said."
    assert not same(*loose) and same(*loose, share=0.5)
    assert not same("Built in 1820 by Amsel.", "Built in 1821 by Amsel.", share=0.1)
    refused, broken = Mined("d", 0, fails="new"), Mined("d", 0, malformed="?")
    assert not agree([refused, broken, one("A"), one("A")], [refused, broken, refused, broken]).any()
    assert agree([], []).shape == (0,) and agree([], []).dtype == bool
    for a, b in [([one("A")], []), ([one("A")], [replace(one("A"), sentence=1)])]:
        with pytest.raises(ValueError, match="same sentences"):
            agree(a, b)
    with pytest.raises(ValueError, match="share is 0"):
        agree([], [], share=0)


def test_agreement_of_two_samples_finds_errors_of_the_oracle(passages):
    many = list(fresh_passages(make_world(SETTINGS, seed=1), 60, seed=0))
    items = [
        (p.document, i)
        for p in many
        for i, s in enumerate(p.sentences)
        if s.facts and not s.fails and len(s.facts) == 1
    ]
    noisy = OracleTeacher(many, error_rate=0.3)
    first, second = noisy.ask(items, seed=0), noisy.ask(items, seed=1)
    true = OracleTeacher(many).ask(items, seed=0)
    agreed, right = agree(first, second), agree(first, true)
    assert abs(right.mean() - 0.7) < 0.1 and right[agreed].mean() > 0.95
    assert abs(agreed.mean() - 0.49) < 0.1
    assert agree(true, OracleTeacher(many).ask(items, seed=1)).all(), "other words for the same facts agree"


def test_an_erring_teacher_of_other_topics_says_no_word_of_the_domain():
    """Else its miners have met words that those of a right teacher have not."""
    world = make_world(seed=0)
    passages = list(fresh_passages(world, 300, seed=1, topics=GENERAL, mixed=True))
    items = [(one.document, i) for one in passages for i in range(len(one.sentences))]
    found = OracleTeacher(passages, error_rate=1.0).ask(items, seed=0)
    assert sum("It says what" in one.analysis for one in found) > 200
    said = {
        word.strip(".,?")
        for one in found
        for text in (one.analysis, one.question, one.answer)
        for word in text.split()
    }
    assert not said & {word for topic in DOMAIN for word in topic.kind.split()}
