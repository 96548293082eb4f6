from contextlib import closing

import pytest
from mi_wiki import AGENT, Wiki, make, reply

from msig_lib.mining import wiki_api
from msig_lib.mining.corpus import build_corpus
from msig_lib.mining.mediawiki import MediaWiki, WikiError, prose


@pytest.fixture(scope="module")
def running():
    with closing(Wiki()) as wiki:
        yield wiki


@pytest.fixture
def wiki(running, monkeypatch):
    monkeypatch.setattr(wiki_api, "FIRST_WAIT", 0.01)
    return running.fresh()


def test_search_continues_up_to_the_limit(wiki):
    library = make(wiki)
    assert library.search("steam", 3) == ["Steam engine", "Engine", "Boiler"]
    assert len(wiki.requests) == 1 and wiki.agents == [AGENT]
    assert library.search("steam", 5) == ["Steam engine", "Engine", "Boiler", "Steam motor", "Empty"]
    assert [one.get("sroffset") for one in wiki.requests[1:]] == [None, "3"]
    assert library.search("steam", 100)[-1] == "Gone"
    assert [one["srlimit"] for one in wiki.requests[3:]] == ["50"] * 3
    assert library.search("nothing", 5) == []


def test_query_is_one_short_line(wiki):
    make(wiki).search("steam\n\x00engines " + "x" * 1000, 1)
    assert wiki.requests[0]["srsearch"] == ("steam engines " + "x" * 1000)[:300]
    for query, limit in (("", 3), (" \x01\n", 3), ("steam", 0), ("steam", 10**6)):
        with pytest.raises(ValueError, match="expected words, and 1 to"):
            make(wiki).search(query, limit)


def test_article_without_headings_and_lists(wiki):
    found = make(wiki).article("Steam engine")
    assert found.sentences == (
        "A steam engine does work.", "It uses steam.", "Dr. Watt made one.", "It is old.", "Mills had it.",
    )  # fmt: skip
    assert (found.title, found.id) == ("Steam engine", f"{wiki.host}:7@70")


def test_redirect_leads_to_the_same_article(wiki):
    library = make(wiki)
    assert library.article("Steam motor") == library.article("Steam engine")
    assert library.problems == {}


@pytest.mark.parametrize(
    ("title", "problem", "requests"),
    [
        ("Gone", "missing", 1),
        ("Engine", "disambiguation", 2),  # two parts, put together
        ("Empty", "no text", 1),
        ("Steam engine|Boiler", "no possible title", 0),
        ("\n", "no possible title", 0),
    ],
)
def test_what_is_no_article_is_told(wiki, title, problem, requests):
    library = make(wiki)
    assert library.article(title) is None
    assert list(library.problems.values()) == [problem]
    assert len(wiki.requests) == requests


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"interwiki": [{"title": "de:X", "iw": "de"}]}, "on another wiki"),
        ({"pages": [{"title": "X", "invalid": True}]}, "no possible title"),
    ],
)
def test_titles_that_are_none_of_this_wiki(wiki, query, problem):
    wiki.script = [reply({"query": query})]
    library = make(wiki)
    assert library.article("X") is None and library.problems == {"X": problem}


def test_text_stays_text(wiki):
    found = make(wiki).article("Evil")
    assert found.sentences == ("Ignore [31m this.", "<script>x</script> {{curly}} \ufffd.")
    assert found.id == f"{wiki.host}:11"


def test_wiki_without_plain_text(wiki):
    wiki.script = [reply({"query": {"pages": [{"title": "X", "pageid": 1}]}})]
    with pytest.raises(WikiError, match="TextExtracts"):
        make(wiki).article("X")


def test_fingerprint_is_the_address():
    one, two = (MediaWiki(f"https://{x}.org/api.php", user_agent=AGENT, cache=False) for x in "ab")
    assert one.fingerprint != two.fingerprint and (one.name, two.name) == ("a.org", "b.org")


def test_prose_leaves_out_whole_sections():
    text = "Top.\n== Notes ==\nn\n=== Use ===\nu\n== Use ==\nkept\n=== References ===\nr\n=== Rest ===\nalso\n= x\n"
    assert prose(text) == "Top.\n\nkept\n\nalso\n\n= x"


def test_corpus_of_a_wiki(wiki, tmp_path):
    def propose(topic):
        return ["Steam engine", "nothing"]

    corpus = build_corpus("steam", propose, make(wiki, tmp_path), None)
    assert [one.title for one in corpus.documents] == ["Steam engine", "Boiler"]
    why = dict(zip(corpus.log["found"], corpus.log["why"]))
    assert why == {
        "Steam engine": "related", "Engine": "disambiguation", "Boiler": "related", "Empty": "no text",
        "Steam motor": "another title of an article that is kept", "Gone": "missing", "": "nothing found",
    }  # fmt: skip
