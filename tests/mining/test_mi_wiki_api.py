import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from mi_wiki import AGENT, Wiki, drip, error, hang_up, make, reply

from msig_lib.errors import MsigError
from msig_lib.mining import wiki_api
from msig_lib.mining.mediawiki import MediaWiki, WikiError


@pytest.fixture(scope="module")
def running():
    with closing(Wiki()) as wiki:
        yield wiki


@pytest.fixture
def wiki(running, monkeypatch):
    monkeypatch.setattr(wiki_api, "FIRST_WAIT", 0.01)
    return running.fresh()


FAULTS = {
    "429": (error("x", status=429), "HTTP 429 x about x"),
    "500": (reply(b"<p>no", status=500, kind="text/html"), "HTTP 500"),
    "maxlag": (error("maxlag"), "HTTP 200 maxlag about maxlag"),
    "internal": (error("internal_api_error_DBQueryError"), "HTTP 200 internal_api"),
    "broken JSON": (reply(b'{"query": {"sea'), "not whole JSON"),
    "deep JSON": (reply(b"[" * 100_000), "not whole JSON"),
    "an array": (reply([1]), "a JSON list"),
    "no results": (reply({"query": {}}), "no results"),
    "no titles": (reply({"query": {"search": [{"ns": 0}]}}), "search are no list of titles"),
    "old format": (reply({"query": {"search": [], "pages": {"1": {}}}}), "pages are no list"),
    "hang up": (hang_up, "the connection failed"),
    "drip": (drip, "no whole reply within 0.5 s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_repeated_then_told(wiki, tmp_path, fault):
    step, says = FAULTS[fault]
    slow = {"timeout": 0.5} if fault == "drip" else {}
    wiki.script = [step] * 2
    library = make(wiki, tmp_path, **slow)
    assert library.search("steam", 1) == ["Steam engine"]
    assert len(wiki.requests) == 3 == library.usage.calls and library.usage.retries == 2
    wiki.script = [step] * 2
    with pytest.raises(WikiError, match="2 tries") as caught:
        make(wiki, tmp_path / "other", retries=1, **slow).search("steam", 1)
    assert says in str(caught.value) and wiki.url in str(caught.value) and isinstance(caught.value, MsigError)
    assert not (tmp_path / "other").exists()  # no fault is kept


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (error("badvalue"), "badvalue about badvalue"),
        (error("x", status=403), "HTTP 403"),
        (reply(b"<html>", kind="text/html"), "'text/html', not JSON; base_url should be"),
        (
            reply({}, status=301, headers=[("Location", "http://127.0.0.1:1/api.php")]),
            "127.0.0.1:1/api.php: not",
        ),
        (reply({}, status=302, headers=[("Location", "/w/api.php?x")]), "not followed"),
    ],
)
def test_what_stays_wrong_is_not_repeated(wiki, step, says):
    wiki.script = [step]
    with pytest.raises(WikiError) as caught:
        make(wiki).search("steam", 1)
    assert says in str(caught.value) and len(wiki.requests) == 1


def test_reply_that_is_too_long(wiki, monkeypatch):
    monkeypatch.setattr(wiki_api, "MOST_BYTES", 2000)
    wiki.script = [reply({"query": {"search": []}, "x": "x" * 2000})]
    with pytest.raises(WikiError, match="longer than 2000 bytes"):
        make(wiki).search("steam", 1)
    assert len(wiki.requests) == 1


def test_continuation_without_end(wiki):
    wiki.script = [reply({"query": {"pages": []}, "continue": {"excontinue": 1}})] * 99
    with pytest.raises(WikiError, match="continues after 20"):
        make(wiki).article("X")
    wiki.script = [reply({"query": {"search": [{"title": "A"}]}, "continue": {"sroffset": 1}})] * 99
    assert make(wiki).search("steam", 9) == ["A"]  # nothing new comes: the end


def test_retry_after_is_obeyed(wiki):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=1.3), usegmt=True)
    wiki.script = [
        error("ratelimited", status=429, headers=[("Retry-After", "0.3")]),
        error("maxlag", headers=[("Retry-After", date)]),
    ]
    make(wiki, longest_wait=3).search("steam", 1)
    first, second, third = wiki.times
    assert second - first >= 0.3 and third - first >= 0.29
    wiki.script = [error("x", status=503, headers=[("Retry-After", "3600")])]
    with pytest.raises(WikiError, match="asks to wait 3600 s"):
        make(wiki).search("steam", 1)


def test_delay_between_requests_but_not_for_known_ones(wiki, tmp_path, monkeypatch):
    library = make(wiki, tmp_path, delay=0.1)
    library.search("steam", 7)
    gaps = [after - before for before, after in zip(wiki.times, wiki.times[1:])]
    assert len(gaps) == 2 and min(gaps) >= 0.1
    monkeypatch.setattr(time, "sleep", None)  # whoever waits now fails
    library.search("steam", 7)


def test_known_replies_cost_no_request(wiki, tmp_path):
    def work(library):
        return library.search("steam", 7), library.article("Steam engine"), library.article("Gone")

    first, second = make(wiki, tmp_path), make(wiki, tmp_path)
    found = work(first)
    asked = len(wiki.requests)
    assert asked == 5 == first.usage.calls and first.usage.cached == 0
    assert work(second) == found and second.problems == first.problems
    assert len(wiki.requests) == asked and second.usage.calls == 0 and second.usage.cached == 5


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw.replace(b"It boils.", b"It coils."),
        lambda raw: b"",
        lambda raw: b"[]",
        lambda raw: b"\xff" + raw,
    ],
)
def test_damaged_cache_is_set_aside_and_asked_again(wiki, tmp_path, damage, caplog):
    found = make(wiki, tmp_path).article("Boiler")
    (path,) = tmp_path.iterdir()
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    assert make(wiki, tmp_path).article("Boiler") == found and len(wiki.requests) == 2
    assert "damaged" in caplog.text
    names = sorted(one.name for one in tmp_path.iterdir())
    assert len(names) == 2 and names[0] == path.name and names[1].startswith(f"{path.name}.bad-")
    assert make(wiki, tmp_path).article("Boiler") == found and len(wiki.requests) == 2


def test_reply_to_another_request_is_not_taken(wiki, tmp_path):
    make(wiki, tmp_path).article("Boiler")
    (boiler,) = tmp_path.iterdir()
    make(wiki, tmp_path).article("Steam engine")
    (engine,) = set(tmp_path.iterdir()) - {boiler}
    engine.write_bytes(boiler.read_bytes())
    assert make(wiki, tmp_path).article("Steam engine").title == "Steam engine"


def test_cache_that_cannot_be_written(wiki, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    assert make(wiki, tmp_path / "file" / "x").search("steam", 1) == ["Steam engine"]
    assert "cannot be" in caplog.text


@pytest.mark.parametrize(
    "url", ["", "en.wikipedia.org", "http://en.wikipedia.org/w/api.php", "ftp://127.0.0.1/", "https://", None]
)
def test_addresses_that_cannot_be_asked(url):
    with pytest.raises(ValueError, match="https address"):
        MediaWiki(url, user_agent=AGENT, cache=False)


def test_addresses_with_secrets_are_not_shown():
    for url in ("https://u:hidden@x.org/api.php", "https://x.org/api.php?key=hidden"):
        with pytest.raises(ValueError, match="expected none") as caught:
            MediaWiki(url, user_agent=AGENT, cache=False)
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("agent", ["", "python-httpx", "me\r\nX: y@z", "né@x.org", None])
def test_user_agent_must_say_who_asks(agent):
    with pytest.raises(ValueError, match="how to reach"):
        MediaWiki("https://x.org/api.php", user_agent=agent, cache=False)


@pytest.mark.parametrize("options", [{"timeout": 0}, {"retries": -1}, {"delay": float("nan")}])
def test_impossible_settings(options):
    with pytest.raises(ValueError, match="expected"):
        MediaWiki("https://x.org/api.php", user_agent=AGENT, cache=False, **options)
