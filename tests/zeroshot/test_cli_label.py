"""`msig label`, from a file of texts to a file of labels."""

import hashlib
import json
import sys
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from msig_lib import cli_label
from msig_lib.cli import Msig
from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.tiny import build_tiny_encoder
from msig_lib.zeroshot.classifier import GENCoClassifier

TOPICS = {
    "fruit": "fruit apple pear plum cherry juice",
    "road traffic": "road traffic train car wheel engine",
}
LABELS = list(TOPICS)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny_encoder(folder, ["category : it is about .", *TOPICS.values()], seed=0)
    return f"hf:{folder}"


@pytest.fixture
def msig(capsys, monkeypatch, tiny):
    """Call `msig label` with the tiny encoder; returns (status, stdout, stderr)."""
    app = Msig(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(cli_label.label)
    app.callback()(lambda: None)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["msig", "label", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            app(["label", *map(str, words), "--encoder", tiny])
        return (int(ended.value.code or 0), *capsys.readouterr())

    return call


def corpus(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(TOPICS[LABELS[i % 2]].split(), 5)) for i in range(n)]


def jsonl(path, texts, name="text"):
    lines = [json.dumps({"id": i, name: text, "extra": [1.5, None, "é"]}) for i, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_labels_a_file(msig, tmp_path, tiny):
    texts = [*corpus(), "", "\ud83d \u2028 apple"]
    source = jsonl(tmp_path / "docs.jsonl", texts)
    status, out, err = msig(source, "--labels", "fruit, road traffic", "--generator", "ngram", "--seed", "3")
    assert status == 0 and "42 texts (1 blank), learning from 41" in err
    rows = read(tmp_path / "docs.labelled.jsonl")
    assert [row["id"] for row in rows] == list(range(42)) and rows[0]["extra"] == [1.5, None, "é"]
    assert [row["text"] for row in rows] == texts
    model = GENCoClassifier(
        LABELS, encoder=SentenceEncoder.load(tiny), generator="ngram", random_state=3
    ).fit(texts)
    expected = model.predict_proba(texts)
    for row, p in zip(rows, expected):
        assert row["label_probabilities"] == pytest.approx(dict(zip(LABELS, p)), abs=2e-3)
        assert row["label"] == (LABELS[p.argmax()] if row["text"] else None)
    facts = json.loads((tmp_path / "docs.labelled.provenance.json").read_text())
    assert facts["input"] == {"name": "docs.jsonl", "sha256": sha(source), "texts": 42, "blank": 1}
    assert facts["output"]["sha256"] == sha(tmp_path / "docs.labelled.jsonl")
    assert sum(facts["output"]["counts"].values()) == 42 and facts["output"]["counts"]["(blank)"] == 1
    assert facts["labels"] == LABELS and facts["seed"] == 3 and facts["pool"] == 41
    assert facts["encoder"]["fingerprint"] == model.encoder_.fingerprint
    assert facts["generator"]["name"] == "n-gram" and facts["generator"]["cost"]["texts"] > 0
    assert facts["rounds"][-1]["class_counts"] == model.history_[-1]["class_counts"]
    for name, count in facts["output"]["counts"].items():
        assert f"{count:>8}  {name}" in out


def test_text_file_other_names_and_places(msig, tmp_path):
    source = tmp_path / "docs.txt"
    source.write_bytes("\ufeff".encode() + "\r\n".join([*corpus(10), "", "last apple"]).encode())
    (tmp_path / "names").write_text("fruit\n\nroad traffic\n")
    options = ["--label-field", "topic", "--out", tmp_path / "o.jsonl", "--generator", "none"]
    status, _, err = msig(source, "--labels-file", "names", *options, "--template", "{label}")
    assert status == 0, err
    rows = read(tmp_path / "o.jsonl")
    assert [row["text"] for row in rows] == [*corpus(10), "", "last apple"]
    assert set(rows[0]) == {"text", "topic", "topic_probabilities"} and rows[10]["topic"] is None
    facts = json.loads((tmp_path / "o.provenance.json").read_text())
    assert facts["generator"] is None and facts["templates"] == ["{label}"]


def test_same_command_same_bytes(msig, tmp_path):
    source = jsonl(tmp_path / "docs.jsonl", corpus())
    for name in ("a", "b"):
        assert msig(source, "--labels", "fruit,road traffic", "--out", f"{name}.jsonl", "--pool", 20)[0] == 0
    assert sha(tmp_path / "a.jsonl") == sha(tmp_path / "b.jsonl")
    assert json.loads((tmp_path / "a.provenance.json").read_text())["pool"] == 20


def test_sample_to_learn_from_is_fair(tmp_path):
    source = cli_label.Source(jsonl(tmp_path / "d.jsonl", [f"t{i}" for i in range(20)]), "text", ())
    counts = np.zeros(20)
    for seed in range(400):
        pool = source.scan(5, seed, list).pool
        assert len(set(pool)) == 5 and pool == sorted(pool, key=lambda text: int(text[1:]))
        counts[[int(text[1:]) for text in pool]] += 1
    assert abs(counts - 100).max() < 40  # 4.6 standard deviations
    assert source.scan(5, 0, list).pool == source.scan(5, 0, list).pool
    assert source.scan(99, 0, list).pool == [f"t{i}" for i in range(20)]


BAD = [
    (b'{"text": "a"', "line 2: not JSON"),
    (b'{"body": "a"}', "line 2: no field 'text' among body"),
    (b'{"text": 5}', "line 2: the field 'text' is a int"),
    (b'{"text": null}', "line 2: the field 'text' is a NoneType"),
    (b'"just text"', "line 2: a JSON str, expected an object"),
    (b'{"text": "a\xff"}', "line 2: not UTF-8 (byte 12)"),
    (b"[" * 100_000, "line 2: it is nested too deep"),
    (b'{"text": "a", "label": "gold"}', "line 2: the field 'label' is there already; --label-field"),
    (b"{}", "line 2: no field 'text' among nothing"),
]


@pytest.mark.parametrize("line, says", BAD)
def test_bad_lines_are_named(msig, tmp_path, line, says):
    source = tmp_path / "docs.jsonl"
    source.write_bytes(b'{"text": "apple"}\n' + line + b'\n\n{"text": "car"}')
    status, _, err = msig(source, "--labels", "fruit,car")
    assert status == 1 and says in err and "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["docs.jsonl"]


def test_many_bad_lines_are_not_all_listed(msig, tmp_path):
    source = tmp_path / "docs.jsonl"
    source.write_text('{"text": "apple"}\n' + "oops\n" * 1000)
    err = msig(source, "--labels", "fruit,car")[2]
    assert [f"line {n}:" in err for n in (2, 6, 7, 1001)] == [True, True, False, False] and "…" in err


def test_nothing_is_overwritten(msig, tmp_path):
    source = jsonl(tmp_path / "docs.jsonl", corpus(6))
    for name in ("docs.labelled.jsonl", "docs.labelled.provenance.json"):
        (tmp_path / name).write_text("mine")
        status, _, err = msig(source, "--labels", "fruit,car")
        assert status == 1 and f"{name} exists and is not overwritten" in err
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    status, _, err = msig(source, "--labels", "fruit,car", "--out", source)
    assert status == 1 and "not overwritten" in err and len(read(source)) == 6


def test_file_that_changes_meanwhile_leaves_nothing(msig, tmp_path, monkeypatch):
    source = jsonl(tmp_path / "docs.jsonl", corpus(6))
    fit = GENCoClassifier.fit

    def fit_and_change(self, texts, y=None):
        source.write_text(source.read_text() + '{"text": "late"}\n')
        return fit(self, texts)

    monkeypatch.setattr(GENCoClassifier, "fit", fit_and_change)
    status, _, err = msig(source, "--labels", "fruit,car")
    assert status == 1 and "changed while it was read" in err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["docs.jsonl"]


def test_failure_while_writing_leaves_nothing(msig, tmp_path, monkeypatch):
    source = jsonl(tmp_path / "docs.jsonl", corpus(6))

    def broken(self, texts):
        raise OSError("no space left on device")

    monkeypatch.setattr(GENCoClassifier, "predict_proba", broken)
    status, _, err = msig(source, "--labels", "fruit,car")
    assert status == 1 and "no space left" in err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["docs.jsonl"]


@pytest.mark.parametrize(
    "options, says",
    [
        ([], "give the class names"),
        (["--labels", "a,b", "--labels-file", "x"], "one of them"),
        (["--labels", "a,A"], "'a', 'A', the same name twice"),
        (["--labels", "a,,b"], "names that are not empty"),
        (["--labels-file", "missing"], "cannot be read"),
        (["--labels", "a,b", "--generator", "gpt"], "--generator is 'gpt', expected ngram"),
        (["--labels", "a,b", "--generator", "server"], "--server URL --model NAME"),
        (["--labels", "a,b", "--server", "http://x"], "belong to --generator server"),
        (["--labels", "a,b", "--generator", "server", "--server", "x", "--model", "m"], "base_url"),
        (["--labels", "a,b", "--generator", "hf:/nowhere"], "neither a folder here"),
        (["--labels", "a,b", "--template", "none"], "no place for the class name"),
        (["--labels", "a,b", "--out", "missing/o.jsonl"], "does not exist"),
    ],
)
def test_mistakes_in_options(msig, tmp_path, options, says, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    status, _, err = msig(jsonl(tmp_path / "docs.jsonl", corpus(6)), *options)
    assert status == 1 and says in err and "Traceback" not in err


def test_files_without_texts(msig, tmp_path):
    assert "is no file" in msig(tmp_path / "none.jsonl", "--labels", "a,b")[2]
    for content in ("", "\n\n", '{"text": " "}\n'):
        (tmp_path / "docs.jsonl").write_text(content)
        status, _, err = msig(tmp_path / "docs.jsonl", "--labels", "a,b")
        assert status == 1 and "no text with a word" in err


def test_server_as_generator(msig, tmp_path, monkeypatch):
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((body, self.headers["Authorization"]))
            choice = {"finish_reason": "stop", "message": {"content": "juice of a plum"}}
            data = {"choices": [choice] * body.get("n", 1), "usage": {"completion_tokens": 4}}
            raw = json.dumps(data).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("MY_KEY", "sk-do-not-show-0123456789")
    try:
        source = jsonl(tmp_path / "docs.jsonl", corpus(8))
        options = ["--generator", "server", "--server", f"http://127.0.0.1:{http.server_port}/v1"]
        options += ["--model", "tiny", "--key-env", "MY_KEY", "--labels", "fruit,road traffic"]
        status, out, err = msig(source, *options)
        assert status == 0, err
        asked = len(seen)
        again = msig(source, *options, "--out", "again.jsonl")
        assert again[0] == 0 and len(seen) == asked  # every answer is in the cache
    finally:
        http.shutdown()
        http.server_close()
    assert asked > 8 and {key for _, key in seen} == {"Bearer sk-do-not-show-0123456789"}
    assert sha(tmp_path / "again.jsonl") == sha(tmp_path / "docs.labelled.jsonl")
    facts = json.loads((tmp_path / "docs.labelled.provenance.json").read_text())
    assert facts["generator"]["usage"]["calls"] == asked and facts["generator"]["cost"]["tokens"] > 0
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert "sk-do-not" not in out + err and not any(b"sk-do-not" in raw for raw in files)


def test_memory_does_not_grow_with_the_file(tmp_path, tiny):
    lines = json.dumps({"text": "apple pear " * 2000}) + "\n"
    (tmp_path / "docs.jsonl").write_text(lines * 400)  # 9 MB
    learner = cli_label._classifier(LABELS, tiny, None, None, 0, 1)
    source = cli_label.Source(tmp_path / "docs.jsonl", "text", ("label",))
    tracemalloc.start()
    found = source.scan(10, 0, learner.as_read)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.texts == 400 and len(found.pool) == 10 and peak < 2e6


def test_command_loads_nothing_heavy_before_it_is_called():
    import subprocess

    code = "import sys, msig_lib.cli_label; sys.exit(bool({'torch', 'numpy', 'httpx'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
