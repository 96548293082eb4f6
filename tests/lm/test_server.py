import copy
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest

from msig_lib.errors import MsigError
from msig_lib.lm.answers import AnswerCache
from msig_lib.lm.generate import Completion, Message, Sampling
from msig_lib.lm.server import OpenAIServer, ServerError, read_completions
from msig_lib.lm.wire import backoff

SECRET = "sk-test-Zx9/+quite\"secret'0123456789"
KEY_ENV = "MSIG_TEST_KEY"


class Loopback:
    """A real HTTP server on this machine. `script` holds what the next requests get, then all go well."""

    def __init__(self):
        self.script, self.requests, self.headers, self.times = [], [], [], []
        self.together = self.most_together = 0
        self.ignore_n = self.refuse_n = False
        self.pause = 0.0
        self.lock = threading.Lock()
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with loopback.lock:
                    loopback.requests.append(body)
                    loopback.headers.append(dict(self.headers) | {"path": self.path})
                    loopback.times.append(time.monotonic())
                    step = loopback.script.pop(0) if loopback.script else None
                    loopback.together += 1
                    loopback.most_together = max(loopback.most_together, loopback.together)
                try:
                    time.sleep(loopback.pause)
                    (step or good)(self, body)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                finally:
                    with loopback.lock:
                        loopback.together -= 1

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        def good(handler, body):
            n = body.get("n", 1)
            if n > 1 and self.refuse_n:
                return send(handler, 400, {"error": {"message": "n must be 1"}})
            return send(handler, 200, answer(body, 1 if self.ignore_n else n))

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def answer(body, n=1):
    said = body["messages"][-1]["content"]
    choices = [
        {"index": i, "finish_reason": "stop", "message": {"content": f"{said}/{body['seed']}/{i}"}}
        for i in range(n)
    ]
    return {"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 3 * n}}


def send(handler, status, data, headers=(), kind="application/json"):
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(raw)))
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(raw)


def fail(status, message="no", headers=()):
    return lambda handler, body: send(handler, status, {"error": {"message": message}}, headers)


def reply(data, **options):
    return lambda handler, body: send(handler, 200, data, **options)


def hang_up(handler, body):
    handler.close_connection = True


def cut_short(handler, body):  # says more bytes than it sends
    raw = json.dumps(answer(body)).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(raw)))
    handler.end_headers()
    handler.wfile.write(raw[:40])
    handler.close_connection = True


def silence(handler, body):
    time.sleep(0.4)
    handler.close_connection = True


def drip(handler, body):  # never silent for long, never done
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.05)


GOOD = {"finish_reason": "stop", "message": {"content": "x"}}
MALFORMED = {
    "truncated JSON": (reply(b'{"choices": [{"message": {"content": "hel'), "not whole JSON"),
    "no JSON": (reply(b"<html>busy</html>", kind="text/html"), "content type 'text/html'"),
    "JSON as text": (reply({"choices": [GOOD]}, kind="text/plain"), "content type 'text/plain'"),
    "a list": (reply([1]), "JSON list"),
    "nested too deep": (reply(b"[" * 200_000), "not whole JSON"),
    "not UTF-8": (reply(b'{"choices": "\xff\xfe"}'), "not whole JSON"),
    "nothing": (reply(b""), "0 bytes"),
    "no choices": (reply({"usage": {}}), "no choices"),
    "empty choices": (reply({"choices": []}), "no choices"),
    "an error with status 200": (reply({"error": {"message": "overloaded"}}), "no choices"),
    "no message": (reply({"choices": [{"finish_reason": "stop"}]}), "no message"),
    "no content": (reply({"choices": [{"message": {"role": "assistant"}}]}), "no message with content"),
    "content is null": (reply({"choices": [{"message": {"content": None}}]}), "a NoneType"),
    "content is a number": (reply({"choices": [{"message": {"content": 5}}]}), "a int"),
    "choice is a string": (reply({"choices": ["hello"]}), "no message"),
}
FAULTS = {
    "429": (fail(429), "HTTP 429: no"),
    "500": (fail(500), "HTTP 500: no"),
    "503": (fail(503), "HTTP 503"),
    "408": (fail(408), "HTTP 408"),
    "hang up": (hang_up, "connection failed"),
    "cut short": (cut_short, "connection failed"),
    "silence": (silence, "no whole reply within 0.2 s"),
    "drip": (drip, "no whole reply within 0.2 s"),
    **MALFORMED,
}


@pytest.fixture
def loopback(monkeypatch):
    monkeypatch.setenv(KEY_ENV, SECRET)
    server = Loopback()
    yield server
    server.close()


@pytest.fixture
def cache(tmp_path):
    return AnswerCache(tmp_path / "answers.sqlite")


def make(loopback, cache=False, **options):
    given = {"key_env": KEY_ENV, "timeout": 5, "retries": 3, "first_wait": 0.01, "cache": cache}
    return OpenAIServer(loopback.url, "tiny", **(given | options))


def test_request_follows_the_protocol(loopback):
    model = make(loopback, extra={"max_tokens": None, "max_completion_tokens": 9, "user": "me"})
    prompt = (Message("system", "be brief"), Message("user", "hello \ud83d"))
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=9, min_tokens=2, stop=("\n",))
    found = model.complete([prompt], n=2, sampling=sampling, seed=3)
    (body,) = loopback.requests
    assert isinstance(body.pop("seed"), int)
    assert body == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hello \ud83d"},
        ],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_completion_tokens": 9,
        "min_tokens": 2,
        "stop": ["\n"],
        "n": 2,
        "user": "me",
    }
    assert loopback.headers[0]["path"] == "/v1/chat/completions"
    assert loopback.headers[0]["Authorization"] == f"Bearer {SECRET}"
    assert [len(row) for row in found] == [2] and found[0][0].tokens == 3
    assert found[0][0] != found[0][1]
    assert (model.usage.calls, model.usage.answers, model.usage.cached) == (1, 2, 0)
    assert (model.usage.prompt_tokens, model.usage.completion_tokens) == (5, 6)
    assert model.usage.seconds > 0 and model.usage.retries == 0


def test_answers_come_in_the_order_of_prompts_and_are_asked_once(loopback, cache):
    prompts = [f"p{i}" for i in range(20)]
    model = make(loopback, cache)
    found = model.complete(prompts, n=3, seed=0)
    assert [[one.text.split("/")[0] for one in row] for row in found] == [[p] * 3 for p in prompts]
    assert len(loopback.requests) == 20 and len(cache) == 60
    other = make(loopback, cache)
    assert other.complete(prompts, n=3, seed=0) == found
    assert len(loopback.requests) == 20
    assert other.usage.cached == 60 and other.usage.calls == 0 == other.usage.completion_tokens
    longer = other.complete(prompts[:2], n=4, seed=0)  # only the fourth is new
    assert [row[:3] for row in longer] == found[:2] and [b.get("n") for b in loopback.requests[20:]] == [
        None
    ] * 2
    other.complete(prompts[:1], n=1, seed=1)
    other.complete(prompts[:1], n=1, seed=0, sampling=Sampling(temperature=0))
    assert len(loopback.requests) == 24


def test_repeated_prompts_get_answers_of_their_own(loopback, cache):
    model = make(loopback, cache)
    found = model.complete(["p", "q", "p"], seed=0)
    assert found[0] != found[2] and len(loopback.requests) == 3
    assert model.complete(["p", "p"], seed=0) == [found[0], found[2]] and len(loopback.requests) == 3


def test_many_samples_are_split(loopback):
    assert len(make(loopback).complete(["p"], n=40, seed=0)[0]) == 40
    assert sorted(body["n"] for body in loopback.requests) == [8, 16, 16]


@pytest.mark.parametrize("how", ["ignore_n", "refuse_n"])
def test_server_without_n_is_asked_one_by_one(loopback, how, cache):
    setattr(loopback, how, True)
    model = make(loopback, cache, concurrency=1)
    found = model.complete(["p", "q"], n=4, seed=0)
    assert len({one for row in found for one in row}) == 8  # each sample has a seed of its own
    assert len(loopback.requests) == (8 if how == "ignore_n" else 9)
    assert len(cache) == 8
    model.complete(["r"], n=4, seed=0)
    assert all("n" not in body for body in loopback.requests[-4:])


def test_server_that_refuses_min_tokens_is_asked_without(loopback):
    def strict(handler, body):
        if "min_tokens" in body:
            return send(handler, 400, {"error": {"message": "Unrecognized request argument: min_tokens"}})
        return send(handler, 200, answer(body, body.get("n", 1)))

    loopback.script = [strict] * 99
    model = make(loopback, retries=0, concurrency=1)
    sampling = Sampling(min_tokens=4)
    assert len(model.complete(["p", "q"], n=3, sampling=sampling, seed=0)[1]) == 3
    assert ["min_tokens" in body for body in loopback.requests] == [True, False, False]
    assert [body.get("n") for body in loopback.requests] == [3, 3, 3]


def test_requests_run_side_by_side_within_the_limit(loopback):
    loopback.pause = 0.05
    start = time.monotonic()
    make(loopback, concurrency=3).complete([f"p{i}" for i in range(12)], seed=0)
    assert loopback.most_together == 3
    assert time.monotonic() - start < 0.05 * 12


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_repeated_until_it_goes_well(loopback, fault):
    loopback.script = [FAULTS[fault][0]] * 2
    model = make(loopback, timeout=0.2 if fault in ("silence", "drip") else 5)
    assert model.complete(["p"], seed=0)[0][0].text.startswith("p/")
    assert len(loopback.requests) == 3 == model.usage.calls and model.usage.retries == 2
    assert loopback.requests[0] == loopback.requests[2]


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_that_stay_end_with_a_clear_error(loopback, fault):
    step, says = FAULTS[fault]
    loopback.script = [step] * 9
    slow = fault in ("silence", "drip")
    model = make(loopback, retries=1, timeout=0.2 if slow else 5)
    with pytest.raises(ServerError, match="2 tries") as caught:
        model.complete(["p"], seed=0)
    assert says in str(caught.value) and "model tiny" in str(caught.value)
    assert len(loopback.requests) == 2 and isinstance(caught.value, MsigError)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 413, 422])
def test_refusals_are_not_repeated(loopback, status):
    loopback.script = [fail(status, "because", [("Location", "http://127.0.0.1:1/v1")])]
    with pytest.raises(ServerError, match=f"HTTP {status}: because"):
        make(loopback).complete(["p"], seed=0)
    assert len(loopback.requests) == 1


def test_refusal_of_single_calls_too_ends(loopback):
    loopback.script = [fail(400, "too long")] * 2
    with pytest.raises(ServerError, match="too long"):
        make(loopback, concurrency=1).complete(["p"], n=3, seed=0)
    assert len(loopback.requests) == 2


def test_no_server():
    model = OpenAIServer("http://127.0.0.1:9/v1", "m", key_env=None, retries=1, first_wait=0.01, cache=False)
    with pytest.raises(ServerError, match=r"connection failed.*2 tries"):
        model.complete(["p"], seed=0)


def test_retry_after_is_obeyed(loopback):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=1.5), usegmt=True)
    loopback.script = [
        fail(429, headers=[("Retry-After", "0.4")]),
        fail(503, headers=[("Retry-After", date)]),
    ]
    make(loopback).complete(["p"], seed=0)
    waits = [b - a for a, b in zip(loopback.times, loopback.times[1:])]
    assert 0.4 <= waits[0] < 1 and waits[1] < 2


@pytest.mark.parametrize("given", ["soon", "", "-3", "nan"])
def test_retry_after_that_says_nothing(loopback, given):
    loopback.script = [fail(429, headers=[("Retry-After", given)])]
    make(loopback).complete(["p"], seed=0)
    assert loopback.times[1] - loopback.times[0] < 0.5


@pytest.mark.parametrize("given", ["3600", "inf"])
def test_retry_after_that_is_too_long_ends(loopback, given):
    loopback.script = [fail(429, headers=[("Retry-After", given)])]
    with pytest.raises(ServerError, match="asks to wait"):
        make(loopback).complete(["p"], seed=0)
    assert len(loopback.requests) == 1


def test_backoff_doubles_up_to_a_limit():
    for attempt in range(12):
        waits = {backoff(attempt, 0.5, 60) for _ in range(50)}
        top = min(60, 0.5 * 2**attempt)
        assert top / 2 <= min(waits) and max(waits) <= top and len(waits) > 25
    assert backoff(10**6, 0.5, 60) <= 60


def test_failure_keeps_what_was_answered_and_the_next_call_goes_on(loopback, cache):
    prompts = [f"p{i}" for i in range(10)]
    loopback.script = [None] * 6 + [fail(500)] * 2
    with pytest.raises(ServerError, match="6 of 10 answers are in the cache"):
        make(loopback, cache, retries=1, concurrency=1).complete(prompts, seed=0)
    assert len(loopback.requests) == 8 and len(cache) == 6
    make(loopback, cache).complete(prompts, seed=0)
    assert sorted(body["messages"][0]["content"] for body in loopback.requests[8:]) == prompts[6:]


def test_one_failure_stops_the_others_soon(loopback):
    loopback.script = [fail(401)] + [fail(500)] * 50
    start = time.monotonic()
    with pytest.raises(ServerError):
        make(loopback, first_wait=30, retries=9).complete([f"p{i}" for i in range(30)], seed=0)
    assert time.monotonic() - start < 3 and len(loopback.requests) <= 5


CHILD = """
import sys
from msig_lib.lm.server import OpenAIServer
model = OpenAIServer(sys.argv[1], "tiny", key_env=None, concurrency=2, cache=sys.argv[2])
model.complete([f"p{i}" for i in range(40)], seed=0)
"""


def test_killed_process_loses_no_answer(loopback, cache):
    loopback.pause = 0.03
    child = subprocess.Popen([sys.executable, "-c", CHILD, loopback.url, str(cache.path)])
    while len(loopback.requests) < 12 and child.poll() is None:
        time.sleep(0.01)
    child.kill()
    child.wait()
    before = len(loopback.requests)
    kept = len(cache)
    assert before - 3 <= kept < 40  # all but those under way
    loopback.pause = 0
    model = make(loopback, cache, key_env=None)
    assert len(model.complete([f"p{i}" for i in range(40)], seed=0)) == 40
    assert len(loopback.requests) - before == 40 - kept == model.usage.calls


def echo(status, form=lambda key: key, kind="application/json"):
    def step(handler, body):
        key = form(handler.headers["Authorization"].removeprefix("Bearer "))
        send(handler, status, {"error": {"message": f"bad key {key}, really {key}"}}, kind=kind)

    return step


def escaped(handler, body):  # every letter of the key as a JSON escape, in an answer
    key = "".join(f"\\u{ord(letter):04x}" for letter in SECRET)
    raw = '{"choices": [{"finish_reason": "stop", "message": {"content": "your key is ' + key + '"}}]}'
    send(handler, 200, raw.encode())


def everything(error):
    """All that an error and those behind it hold or print, with the local variables of their frames."""
    seen, parts = set(), []
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        parts += [repr(error), str(error), repr(vars(error)), repr(error.args)]
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        parts += list(trace.format())
        error = error.__cause__ or error.__context__
    return "".join(parts)


def forms():
    return [SECRET, json.dumps(SECRET)[1:-1], quote(SECRET, safe=""), SECRET[3:-3]]


@pytest.mark.parametrize(
    "step",
    [
        echo(401),
        echo(500),
        echo(200),
        echo(429, kind="text/html"),
        echo(400, form=lambda key: "Bearer%20" + quote(key, safe="")),
        reply(b"{", kind=f"text/html; {SECRET}"),
        silence,
        hang_up,
    ],
)
def test_key_is_in_no_error_and_no_log(loopback, step, cache, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    loopback.script = [step] * 9
    model = make(loopback, cache, retries=1, timeout=0.2)
    with pytest.raises(ServerError) as caught:
        model.complete(["p"], seed=0)
    assert loopback.headers[0]["Authorization"] == f"Bearer {SECRET}"
    shown = everything(caught.value) + caplog.text + repr(model) + repr(vars(model)) + repr(vars(model.wire))
    shown += "".join(capfd.readouterr())
    assert "model tiny" in shown
    for form in forms():
        assert form not in shown
    assert SECRET not in repr(model.__reduce_ex__(4))  # what a copy or a pickle would hold


def test_key_is_not_in_the_cache_even_when_the_server_answers_with_it(loopback, cache):
    loopback.script = [escaped, reply({"choices": [GOOD | {"message": {"content": SECRET}}]})]
    found = make(loopback, cache, concurrency=1).complete(["p", "q"], seed=0)
    assert [row[0].text for row in found] == ["your key is [API key]", "[API key]"]
    raw = cache.path.read_bytes()
    assert len(cache) == 2 and not any(form.encode() in raw for form in forms())


def test_key_is_read_when_it_is_used(loopback, monkeypatch):
    model = make(loopback)
    monkeypatch.setenv(KEY_ENV, " another-key\n")
    model.complete(["p"], seed=0)
    monkeypatch.delenv(KEY_ENV)
    model.complete(["p"], seed=0)
    make(loopback, key_env=None).complete(["p"], seed=0)
    assert [h.get("Authorization") for h in loopback.headers] == ["Bearer another-key", None, None]
    loopback.script = [fail(401, "who?")]
    with pytest.raises(ServerError, match=f"environment variable {KEY_ENV}.*not set"):
        model.complete(["p"], seed=0)


def test_placeholder_key_does_not_change_answers(loopback, monkeypatch):
    monkeypatch.setenv(KEY_ENV, "EMPTY")
    assert make(loopback).complete(["EMPTY"], seed=0)[0][0].text.startswith("EMPTY/")


def test_key_with_impossible_letters_is_not_sent_or_shown(loopback, monkeypatch):
    monkeypatch.setenv(KEY_ENV, "sk-abc\r\nX-Evil: 1")
    with pytest.raises(ServerError, match=KEY_ENV) as caught:
        make(loopback).complete(["p"], seed=0)
    shown = everything(caught.value)
    assert "Evil" not in shown and not loopback.requests


def test_key_is_not_sent_over_plain_http(monkeypatch):
    monkeypatch.setenv(KEY_ENV, SECRET)
    model = OpenAIServer("http://192.0.2.1/v1", "m", key_env=KEY_ENV, cache=False)
    with pytest.raises(ServerError, match="unencrypted"):
        model.complete(["p"], seed=0)


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://x/v1", "http://", "http://u:hidden@x/v1", "https://x/v1?key=hidden"]
)
def test_addresses_that_cannot_be(url):
    with pytest.raises(ValueError, match="base_url") as caught:
        OpenAIServer(url, "m")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"retries": -1}, {"concurrency": 0}, {"model": ""}, {"model": None}]
)
def test_impossible_settings(options):
    with pytest.raises(ValueError, match="expected"):
        OpenAIServer("http://127.0.0.1:1/v1", **({"model": "m"} | options))


def test_arguments_of_complete(loopback):
    model = make(loopback)
    with pytest.raises(TypeError, match=r"pass \[prompt\]"):
        model.complete("hello", seed=0)
    for n in (0, True, 1.5):
        with pytest.raises(ValueError, match="whole number from 1"):
            model.complete(["p"], n=n, seed=0)
    assert model.complete([], seed=0) == [] and not loopback.requests


def test_fingerprint_names_address_model_and_fields():
    def made(url="http://127.0.0.1:1/v1", model="m", **options):
        return OpenAIServer(url, model, cache=False, **options).fingerprint

    assert made() == made("http://127.0.0.1:1/v1/") == made("http://127.0.0.1:1/v1/chat/completions")
    assert made() == made(timeout=3, retries=0, key_env=None)
    different = {
        made(), made("http://127.0.0.1:2/v1"), made(model="k"), made(extra={"user": "x"})
    }  # fmt: skip
    assert len(different) == 4


def test_copies_work(loopback, cache):
    model = make(loopback, cache)
    assert copy.deepcopy(model).complete(["p"], seed=0) == model.complete(["p"], seed=0)
    assert len(loopback.requests) == 1


def test_proxies_of_the_environment_are_not_for_this_machine(loopback, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    make(loopback).complete(["p"], seed=0)


def test_reading_a_reply():
    def choice(text, finish="stop"):
        return {"finish_reason": finish, "message": {"content": text}}

    data = {"choices": [choice("one END two"), choice("b", "length"), choice(None, "content_filter")]}
    assert read_completions(data | {"usage": {"completion_tokens": 7}}, 3, (" END",)) == [
        Completion("one", "stop", 3),
        Completion("b", "length", 2),
        Completion("", "stop", 2),
    ]
    assert len(read_completions(data, 2)) == 2
    for usage in (None, 5, {"completion_tokens": "many"}, {"completion_tokens": -1}):
        assert read_completions(data | {"usage": usage}, 1)[0].tokens == 0


@pytest.mark.slow
def test_transformers_serve_with_a_tiny_checkpoint(tmp_path):
    for name in ("fastapi", "uvicorn", "openai", "accelerate"):
        pytest.importorskip(name, reason="transformers serve needs transformers[serving] and accelerate")
    from msig_lib.lm.decoder import build_decoder, build_tokenizer, save_decoder

    tokenizer = build_tokenizer(["the cat sat on the mat"])
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    model = build_decoder(tokenizer, seed=0, width=16, layers=1, heads=2)
    model.generation_config.do_sample = True
    folder = str(save_decoder(tmp_path / "tiny", model, tokenizer))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", folder, "--device", "cpu"]
    serve = subprocess.Popen([*command, "--port", str(port)], env=os.environ | {"HF_HUB_OFFLINE": "1"})
    try:
        server = OpenAIServer(
            f"http://localhost:{port}/v1", folder, key_env=None, retries=60, longest_wait=1, cache=False
        )
        found = server.complete(["the cat", "on"], n=3, sampling=Sampling(max_tokens=8), seed=0)
    finally:
        serve.terminate()
        serve.wait(20)
    assert [len(row) for row in found] == [3, 3] and len({one.text for row in found for one in row}) > 3
    assert {one.tokens for row in found for one in row} <= set(range(1, 9))
    assert server.usage.completion_tokens == sum(one.tokens for row in found for one in row)
