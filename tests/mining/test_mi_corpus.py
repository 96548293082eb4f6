import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mi_articles import SMALL, doc

from msig_lib.lm.generate import Completion, Usage
from msig_lib.mining.corpus import (
    Corpus,
    CorpusError,
    LikeTopic,
    LocalLibrary,
    build_corpus,
    corpus_quality,
    oracle_judge,
    oracle_titles,
    read_titles,
)
from msig_lib.mining.data import make_world
from msig_lib.mining.library import one_line
from msig_lib.mining.words import DOMAIN


class Model:
    """A language model that gives `replies` in order, and keeps what it was asked."""

    name = fingerprint = "model"

    def __init__(self, *replies):
        self.replies, self.prompts, self.usage = list(replies), [], Usage()

    def complete(self, prompts, *, n=1, sampling=None, seed):
        assert sampling.temperature == 0
        self.prompts += prompts
        return [[Completion(self.replies.pop(0))] for _ in prompts]


@pytest.fixture(scope="module")
def world():
    return make_world(seed=3)


@pytest.fixture(scope="module")
def pages(world):
    return [one for group in (world.passages, world.known) for topic in group.values() for one in topic]


@pytest.fixture(scope="module")
def library(pages):
    return LocalLibrary([one.document for one in pages])


def titles(world, topic):
    return {one.document.title for one in world.passages[topic]}


@pytest.mark.parametrize("topic", [topic.name for topic in DOMAIN])
def test_hypothetical_titles_find_the_real_pages(world, pages, library, topic):
    proposed = oracle_titles(pages)(topic)
    assert f"list of {topic}" in proposed and not set(proposed) & {one.document.title for one in pages}
    everything = corpus_quality(
        build_corpus(topic, oracle_titles(pages), library, None), titles(world, topic)
    )
    assert everything["found_recall"] == everything["recall"] == 1 and everything["precision"] < 0.5
    for judge in (oracle_judge(pages), LikeTopic()):
        corpus = build_corpus(topic, oracle_titles(pages), library, judge)
        assert {one.title for one in corpus.documents} == titles(world, topic)
        again = build_corpus(topic, oracle_titles(pages), library, judge)
        assert again.documents == corpus.documents and again.log.equals(corpus.log)


def test_log_has_a_row_for_each_result(pages, library):
    corpus = build_corpus(
        "steam engines", oracle_titles(pages), library, LikeTopic(), keywords=["zzz"], per_title=4
    )
    log = corpus.log
    assert list(log.columns) == ["proposed", "source", "found", "document", "kept", "why"]
    assert list(log["proposed"].unique()) == [*oracle_titles(pages)("steam engines"), "zzz"]
    assert log.groupby("proposed").size().max() == 4
    assert log.iloc[-1].tolist() == ["zzz", "keyword", "", "", False, "nothing found"]
    kept = log[log["kept"]]
    assert set(kept["document"]) == {one.id for one in corpus.documents} and set(kept["why"]) == {"related"}
    assert set(log[~log["kept"]]["why"]) <= {"not related", "nothing found"}
    with pytest.raises(ValueError, match=r"topic is 'cats', expected one of .*steam engines"):
        build_corpus("cats", oracle_titles(pages), library, None)


def test_limit_takes_the_best_of_each_search_first():
    corpus = build_corpus("x", lambda topic: ["herb", "steam engine"], LocalLibrary(SMALL), None, limit=2)
    assert [one.title for one in corpus.documents] == ["Herb", "Steam engine"]
    rest = corpus.log[~corpus.log["kept"]]
    assert len(rest) and set(rest["why"]) == {"over the limit"}


def test_one_article_under_two_titles_is_one_document():
    class Redirecting(LocalLibrary):
        def article(self, title):
            return super().article("Herb" if "herb" in title else title)

    corpus = build_corpus("x", lambda topic: ["herb"], Redirecting(SMALL), None)
    assert [one.title for one in corpus.documents] == ["Herb"]
    assert corpus.log["kept"].all() and "another title" in corpus.log["why"][1]


def test_models_propose_and_judge():
    proposer = Model('["Steam engines", "Herbs of  old", "Steam engines"]')
    judge = Model("Boiler\nsteam ENGINE\nNever found")
    corpus = build_corpus("steam", proposer, LocalLibrary(SMALL), judge, keywords=["heals", "Steam engines"])
    assert {one.title for one in corpus.documents} == {"Steam engine", "Boiler"}
    assert "steam" in proposer.prompts[0]
    assert all(one.title in judge.prompts[0] for one in SMALL) and len(judge.prompts) == 1
    sources = dict(zip(corpus.log["proposed"], corpus.log["source"]))
    assert sources == {
        "Steam engines": "proposal", "Herbs of old": "proposal", "heals": "keyword", "": "judge",
    }  # fmt: skip
    last = corpus.log.iloc[-1]
    assert (last["found"], last["kept"]) == ("Never found", False) and "not asked about" in last["why"]
    assert corpus_quality(corpus, {"Boiler"})["found"] == len(SMALL)


@pytest.mark.parametrize(
    "said", ["", "All of them are related.", "[1]", '{"a": 1}', '["Boiler"', "Sure:\nBoiler"]
)
def test_judgement_that_cannot_be_read_keeps_nothing_and_is_told(said):
    corpus = build_corpus("steam", lambda topic: ["steam"], LocalLibrary(SMALL), Model(said))
    assert corpus.documents == ()
    assert list(corpus.log["why"][:-1]) == ["not judged"] * 2
    assert (
        corpus.log["why"].iloc[-1].startswith("malformed, it")
        and said.split("\n")[0] in corpus.log["why"].iloc[-1]
    )


def test_titles_are_judged_in_blocks():
    library = LocalLibrary([doc(f"Engine {i:02}x", "It has steam.") for i in range(50)])
    judge = Model("none", "\n".join(f"- Engine {i:02}x" for i in range(41, 50)))
    corpus = build_corpus("steam", lambda topic: ["steam"], library, judge, per_title=50)
    assert (
        len(judge.prompts) == 2 and "Engine 41x" in judge.prompts[1] and "Engine 41x" not in judge.prompts[0]
    )
    assert len(corpus.documents) == 9 and not set(corpus.log["why"]) - {"related", "not related"}


def test_proposals_that_cannot_be_read():
    corpus = build_corpus(
        "steam", Model("Here are some:\nBoiler"), LocalLibrary(SMALL), None, keywords=["herb"]
    )
    assert corpus.log.iloc[0]["source"] == "proposer" and "Here are some" in corpus.log.iloc[0]["why"]
    assert {one.title for one in corpus.documents} == {"Herb", "Second herb"}
    with pytest.raises(CorpusError, match=r"not whole JSON.*give keywords"):
        build_corpus("steam", Model("[oops"), LocalLibrary(SMALL), None)
    with pytest.raises(CorpusError, match="nothing was proposed"):
        build_corpus("steam", lambda topic: [], LocalLibrary(SMALL), None)


def test_arguments_are_checked():
    library = LocalLibrary(SMALL)

    def build(topic="steam", proposer=lambda topic: ["steam"], judge=None, **options):
        return build_corpus(topic, proposer, library, judge, **options)

    with pytest.raises(ValueError, match="expected words"):
        build(" ")
    with pytest.raises(TypeError, match=r"\['herb'\]"):
        build(keywords="herb")
    with pytest.raises(TypeError, match="list of titles"):
        build(proposer=lambda topic: "steam")
    for options in ({"per_title": 0}, {"limit": 0}):
        with pytest.raises(ValueError, match="expected 1 or more"):
            build(**options)
    with pytest.raises(ValueError, match="1 verdicts on 2 titles"):
        build(judge=lambda topic, titles, library: [True])
    for share in (0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="share"):
            LikeTopic(share)


def test_like_topic_leaves_out_what_it_cannot_read():
    class Holes(LocalLibrary):
        def article(self, title):
            return None if title == "Boiler" else super().article(title)

    names = [one.title for one in SMALL]
    assert LikeTopic(0.01)("steam", names, LocalLibrary(SMALL)) == [True, True] + [False] * 4
    assert LikeTopic(0.01)("steam", names, Holes(SMALL)) == [False, True] + [False] * 4
    assert LikeTopic()("unheard of", names, LocalLibrary(SMALL)) == [False] * 6
    assert LikeTopic()("steam", [], LocalLibrary(SMALL)) == []


def test_share_of_the_likest():
    documents = [
        doc("Steam engine", "An engine runs on steam."),
        doc(
            "Town",
            "It has a park and a school and many shops.|Long ago it had a steam engine in its old mill.",
        ),
        doc("Park", "It has trees."),
    ]
    library, names = LocalLibrary(documents), [one.title for one in documents]
    assert LikeTopic()("steam engines", names, library) == [True, False, False]
    assert LikeTopic(0.05)("steam engines", names, library) == [True, True, False]


def test_quality_by_hand():
    corpus = build_corpus(
        "x",
        lambda topic: ["herb", "steam"],
        LocalLibrary(SMALL),
        lambda t, found, lib: ["erb" in f for f in found],
    )
    quality = corpus_quality(corpus, {"Herb", "Steam engine", "Elsewhere"})
    assert quality == {
        "wanted": 3, "found": 4, "kept": 2, "found_precision": 0.5, "found_recall": pytest.approx(2 / 3),
        "precision": 0.5, "recall": pytest.approx(1 / 3), "f1": 0.4,
    }  # fmt: skip
    nothing = corpus_quality(Corpus((), corpus.log), {"Herb"})
    assert np.isnan(nothing["precision"]) and nothing["recall"] == nothing["f1"] == 0
    for wanted in (set(), "Herb"):
        with pytest.raises(ValueError, match="wanted is"):
            corpus_quality(corpus, wanted)


names = st.lists(st.text(min_size=1, max_size=30), max_size=6)


@given(names)
def test_json_arrays_are_read_as_they_are(given_names):
    expected = list(dict.fromkeys(filter(None, map(one_line, given_names))))
    text = json.dumps(given_names)
    if any(name.endswith(":") for name in expected):
        with pytest.raises(ValueError, match="no list of titles"):
            read_titles(text)
    else:
        assert read_titles(text) == expected


@given(st.text(max_size=80))
def test_any_text_is_titles_or_a_valueerror(text):
    try:
        found = read_titles(text)
    except ValueError:
        return
    assert all(one and one == one_line(one) and one.encode() for one in found) and len(set(found)) == len(
        found
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Steam engine\n\n  James  Watt \nSteam engine\n", ["Steam engine", "James Watt"]),
        ("1. Steam engine\n2) James Watt", ["Steam engine", "James Watt"]),
        ("- a\n* b\n• c", ["a", "b", "c"]),
        ("1. FC Union\nFootball", ["1. FC Union", "Football"]),
        ("None.", []),
        ("[]", []),
    ],
)
def test_lines_are_read(text, expected):
    assert read_titles(text) == expected


@pytest.mark.parametrize(
    "text", ["", " \n", "x" * 256, '["a", 1]', '{"a": "b"}', '["a"] and more', "[" * 99999]
)
def test_what_is_no_list_of_titles(text):
    with pytest.raises(ValueError, match="it is "):
        read_titles(text)
