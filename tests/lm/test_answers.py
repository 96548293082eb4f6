import multiprocessing
import os
import signal
import sqlite3
import stat
import threading

import pytest

from msig_lib.lm.answers import AnswerCache
from msig_lib.lm.generate import Completion, Message, Sampling, messages, request_key

ANSWERS = {
    "a": Completion("one", "stop", 3, (-0.5, -1.25, -2.0)),
    "b": Completion("", "length", 0, None),
    "c": Completion("zwei\n\u4e09 \ud83d", "stop", 2, ()),
    "d": Completion("x" * 100_000, "stop", 1, (float("-inf"),)),
}


def test_what_is_put_is_got_by_another_object(tmp_path):
    path = tmp_path / "deep" / "answers.sqlite"
    AnswerCache(path).put(ANSWERS, model="m")
    assert AnswerCache(path).get([*ANSWERS, "unknown", "a"]) == ANSWERS
    assert len(AnswerCache(path)) == 4 and AnswerCache(path).get([]) == {}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_reading_makes_no_file_and_the_default_place_is_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path / "c"))
    cache = AnswerCache()
    assert cache.get(["a"]) == {} and not cache.path.exists()
    assert cache.path == tmp_path / "c" / "answers" / "answers.sqlite"


def test_first_answer_stays(tmp_path):
    cache = AnswerCache(tmp_path / "a.sqlite")
    cache.put({"a": ANSWERS["a"]})
    cache.put({"a": ANSWERS["b"], "b": ANSWERS["b"]})
    assert cache.get(["a", "b"]) == {"a": ANSWERS["a"], "b": ANSWERS["b"]}


def test_more_keys_than_a_query_takes(tmp_path):
    cache = AnswerCache(tmp_path / "a.sqlite")
    many = {str(i): Completion(f"text {i}") for i in range(2500)}
    cache.put(many)
    assert cache.get(list(many)) == many


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE answers SET answer = replace(answer, 'one', 'two') WHERE key = 'a'",
        "UPDATE answers SET answer = substr(answer, 1, 5) WHERE key = 'a'",
        "UPDATE answers SET answer = x'ff00fe' WHERE key = 'a'",
        "UPDATE answers SET sha256 = x'ff' WHERE key = 'a'",
        "UPDATE answers SET answer = NULL WHERE key = 'a'",
        "UPDATE answers SET sha256 = NULL WHERE key = 'a'",
        # an answer moved to the key of another question
        "UPDATE answers SET answer = (SELECT answer FROM answers WHERE key = 'b'), "
        "sha256 = (SELECT sha256 FROM answers WHERE key = 'b') WHERE key = 'a'",
    ],
)
def test_damaged_entries_are_set_aside(tmp_path, change, caplog):
    cache = AnswerCache(tmp_path / "a.sqlite")
    cache.put(ANSWERS)
    with sqlite3.connect(cache.path) as db:
        assert db.execute(change).rowcount == 1
    db.close()
    rest = {key: ANSWERS[key] for key in "bcd"}
    assert cache.get(list(ANSWERS)) == rest
    assert cache.set_aside() == 1 and len(cache) == 3 and "set aside" in caplog.text
    cache.put({"a": ANSWERS["a"]})
    assert cache.get(list(ANSWERS)) == ANSWERS


@pytest.mark.parametrize("where", ["all", "inside"])
def test_damaged_file_is_renamed(tmp_path, where, caplog):
    cache = AnswerCache(tmp_path / "a.sqlite")
    cache.put(ANSWERS)
    raw = cache.path.read_bytes()
    bad = b"not a database" * 500 if where == "all" else raw[:100] + b"\xff" * 4000 + raw[4100:]
    for number in (1, 2):
        cache.path.write_bytes(bad)
        assert cache.get(["a"]) == {}
        assert (tmp_path / f"a.sqlite.damaged-{number}").read_bytes() == bad
        cache.put({"a": ANSWERS["a"]})
        assert cache.get(["a"]) == {"a": ANSWERS["a"]}
    assert "is damaged" in caplog.text


def test_cache_that_cannot_be_written_only_warns(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.sqlite", tmp_path):
        cache = AnswerCache(path)
        cache.put(ANSWERS)
        assert cache.get(["a"]) == {}
    assert caplog.text.count("cannot be used") >= 2
    assert tmp_path.is_dir()


def test_file_with_other_tables_is_left_as_it_is(tmp_path, caplog):
    path = tmp_path / "a.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE answers (something TEXT)")
    db.close()
    AnswerCache(path).put(ANSWERS)
    assert "cannot be used" in caplog.text and [p.name for p in tmp_path.iterdir()] == ["a.sqlite"]


def test_threads_share_a_file(tmp_path):
    cache = AnswerCache(tmp_path / "a.sqlite")

    def work(first):
        for i in range(first, first + 10):
            cache.put({str(i): Completion(str(i))})

    threads = [threading.Thread(target=work, args=(10 * i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) == 60


def _put_and_die(path):
    AnswerCache(path).put(ANSWERS)
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_process_loses_nothing(tmp_path):
    path = tmp_path / "a.sqlite"
    process = multiprocessing.get_context("fork").Process(target=_put_and_die, args=(path,))
    process.start()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL
    assert AnswerCache(path).get(list(ANSWERS)) == ANSWERS


def test_keys_differ_wherever_the_question_differs():
    hello, other = messages("hello"), (Message("system", "be brief"), Message("user", "hello"))
    base = ("model", hello, Sampling(), 0, 0, 0)
    changed = [
        ("model 2", hello, Sampling(), 0, 0, 0),
        ("model", other, Sampling(), 0, 0, 0),
        ("model", (Message("assistant", "hello"),), Sampling(), 0, 0, 0),
        ("model", hello, Sampling(temperature=0.5), 0, 0, 0),
        ("model", hello, Sampling(stop=("x",)), 0, 0, 0),
        ("model", hello, Sampling(max_tokens=5), 0, 0, 0),
        ("model", hello, Sampling(), 1, 0, 0),
        ("model", hello, Sampling(), 0, 1, 0),
        ("model", hello, Sampling(), 0, 0, 1),
    ]
    keys = [request_key(*parts) for parts in (base, *changed)]
    assert len(set(keys)) == len(keys) and request_key(*base) == keys[0]


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"min_tokens": 200}, "min_tokens"),
        ({"stop": ("",)}, "stop"),
    ],
)
def test_impossible_sampling(settings, says):
    with pytest.raises(ValueError, match=says):
        Sampling(**settings)


def test_prompts_that_are_none():
    with pytest.raises(TypeError, match="stop is the string"):
        Sampling(stop="end")
    with pytest.raises(TypeError, match="expected a string or a tuple of Message"):
        messages(("hello",))
    with pytest.raises(TypeError, match="expected a string or a tuple of Message"):
        messages(7)
    with pytest.raises(ValueError, match="no messages"):
        messages(())
    with pytest.raises(ValueError, match="role is 'robot'"):
        Message("robot", "hello")
    with pytest.raises(TypeError, match="content is a NoneType"):
        Message("user", None)
