"""`msig mine`, from a file of documents to a file of pairs."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from mi_small import DOCUMENTS, Chat, Knows, small

from msig_lib import cli_mine
from msig_lib.cli import Msig
from msig_lib.lm.training import TrainSettings
from msig_lib.mining.documents import Document, read_documents
from msig_lib.mining.estimator import KnowledgeMiner
from msig_lib.mining.signal import TemplateTeacher


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def msig(capsys, monkeypatch):
    """Call `msig mine`; returns (status, stdout, stderr)."""
    app = Msig(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(cli_mine.mine)
    app.callback()(lambda: None)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["msig", "mine", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            app(["mine", *map(str, words)])
        return (int(ended.value.code or 0), *capsys.readouterr())

    return call


def documents(path, n=6, blank=True):
    with path.open("w", encoding="utf-8") as file:
        for i in range(n):
            text = f"Pump {i} was built in {1800 + i} by Ames. It is nice. Pump {i} weighs {i + 2} tons. Élan {i} ran."
            print(json.dumps({"id": f"p{i}", "title": f"Pump {i}", "text": text}), file=file)
        if blank:
            print('{"text": "  "}', file=file)
    return path


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_pairs_and_provenance(msig, tmp_path):
    source = documents(tmp_path / "docs.jsonl")
    status, out, err = msig(source, "--teacher", "template", "--batch", 5)
    assert status == 0, err
    rows = read(tmp_path / "docs.pairs.jsonl")
    table = KnowledgeMiner(TemplateTeacher()).fit().mine(read_documents(source))
    kept = table[table.kept]
    assert len(rows) == len(kept) > 6
    for row, (_, pair) in zip(rows, kept.iterrows()):
        assert row == {
            "messages": [
                {"role": "user", "content": pair.question},
                {"role": "assistant", "content": pair.answer},
            ],
            "document": pair.document,
            "title": pair.title,
            "sentence": pair.sentence,
            "analysis": "",
            "miner": "templates",
        }
    facts = json.loads((tmp_path / "docs.pairs.provenance.json").read_text())
    assert facts["input"] == {
        "name": "docs.jsonl", "sha256": sha(source), "documents": 6, "blank": 1, "sentences": 24,
    }  # fmt: skip
    assert facts["output"]["sha256"] == sha(tmp_path / "docs.pairs.jsonl")
    refused = table.fails.dropna().value_counts()
    assert facts["outcomes"] == {"kept": len(kept)} | {f"refused: {k}": n for k, n in refused.items()}
    assert (
        facts["settings"]["fingerprint"] == TemplateTeacher().fingerprint and facts["settings"]["seed"] == 0
    )
    assert f"{len(kept):>8}  kept" in out and "docs.pairs.jsonl" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cache", "docs.jsonl", "docs.pairs.jsonl", "docs.pairs.provenance.json",
    ]  # fmt: skip
    again = msig(source, "--teacher", "template", "--batch", 5)
    assert again[0] == 0 and "nothing is asked again" in again[2] and again[1] == out


def test_lines_are_what_trl_reads(msig, tmp_path):
    """A column "messages" with a list of {"role", "content"}; every line of one schema."""
    msig(documents(tmp_path / "d.jsonl"), "--teacher", "template", "--out", tmp_path / "o.jsonl")
    rows = read(tmp_path / "o.jsonl")
    for row in rows:
        assert [one["role"] for one in row["messages"]] == ["user", "assistant"]
        assert all(set(one) == {"role", "content"} and one["content"].strip() for one in row["messages"])
    assert len({tuple((name, type(value)) for name, value in row.items()) for row in rows}) == 1
    frame = pd.read_json(tmp_path / "o.jsonl", lines=True)
    assert frame.messages.tolist() == [row["messages"] for row in rows]


def test_trl_takes_the_lines_for_conversations(msig, tmp_path):
    utils = pytest.importorskip("trl.data_utils", reason="needs the extra `paper`")
    msig(documents(tmp_path / "d.jsonl"), "--teacher", "template", "--out", tmp_path / "o.jsonl")
    assert all(utils.is_conversational(row) for row in read(tmp_path / "o.jsonl"))


def start(*words):
    command = [sys.executable, "-m", "msig_lib.cli", "mine", *map(str, words)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def test_killed_at_random_places(msig, tmp_path):
    """kill -9, again and again: nothing is lost, nothing comes twice, and the bytes are those of one run."""
    source = documents(tmp_path / "docs.jsonl", 300)
    options = ["--teacher", "template", "--batch", 2]
    assert msig(source, *options, "--out", tmp_path / "whole.jsonl")[0] == 0
    whole = (tmp_path / "whole.jsonl").read_bytes()
    out, rng, size = tmp_path / "killed.jsonl", random.Random(0), 0
    for _ in range(4):
        goal = size + rng.uniform(0, 0.12) * len(whole)
        child = start(source, *options, "--out", out)
        while child.poll() is None and (not out.exists() or out.stat().st_size <= goal):
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL and goal < out.stat().st_size < len(whole)
        assert not (tmp_path / "killed.provenance.json").exists()
        size = out.stat().st_size
    with out.open("ab") as file:  # as if it had died in the middle of a line
        file.write(whole[: len(whole) // 9])
    status, _, err = msig(source, *options, "--out", out)
    assert status == 0 and "going on after" in err
    assert out.read_bytes() == whole
    facts = [json.loads((tmp_path / f"{name}.provenance.json").read_text()) for name in ("whole", "killed")]
    assert facts[0]["outcomes"] == facts[1]["outcomes"] and facts[0]["settings"] == facts[1]["settings"]


def test_other_settings_or_documents_are_refused(msig, tmp_path, monkeypatch):
    source = documents(tmp_path / "docs.jsonl")
    options = ["--teacher", "template", "--batch", 4, "--out", tmp_path / "o.jsonl"]
    calls = iter([False, False, True])

    def ask(self, items, *, seed=0, ask=TemplateTeacher.ask):
        if next(calls, False):
            raise KeyboardInterrupt
        return ask(self, items, seed=seed)

    monkeypatch.setattr(TemplateTeacher, "ask", ask)
    status, _, err = msig(source, *options)
    assert status == 1 and "stopped\n8 of 24 sentences are done; the same command goes on" in err
    before = (tmp_path / "o.jsonl").read_bytes()
    status, _, err = msig(source, *options, "--seed", 5)
    assert status == 1 and "seed was 0 and is 5" in err and "same ones" in err
    source.write_text(source.read_text().replace("Pump 3", "Pomp 3"))
    status, _, err = msig(source, *options)
    assert status == 1 and "another input: input was" in err
    assert (tmp_path / "o.jsonl").read_bytes() == before
    source.write_text(source.read_text().replace("Pomp 3", "Pump 3"))
    assert msig(source, *options)[0] == 0


@pytest.fixture
def chat():
    made = Chat()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_server_as_the_teacher(msig, tmp_path, chat):
    source = documents(tmp_path / "docs.jsonl")
    options = ["--teacher", "server", "--server", chat.url, "--model", "m", "--batch", 8, "--limit", 4]
    chat.ends = 20
    status, _, err = msig(source, *options)
    assert status == 1 and "closed" in err and "8 of 16 sentences are done; the same command goes on" in err
    answered = chat.asked[: chat.ends]
    chat.ends = 10**9
    del chat.asked[:]
    status, out, err = msig(source, *options)
    assert status == 0, err
    assert len(answered) + len(chat.asked) == len({*answered, *chat.asked})  # nothing is paid for twice
    facts = json.loads((tmp_path / "docs.pairs.provenance.json").read_text())
    assert facts["outcomes"] == {"kept": 8, "malformed": 4, "refused: informative": 4}
    assert facts["malformed"][0] == {"document": "p0", "sentence": 3, "output": "I would rather not."}
    assert facts["settings"]["miner"] == "m" and facts["input"]["documents"] == 4
    assert facts["usage"]["calls"] == len(chat.asked)
    rows = read(tmp_path / "docs.pairs.jsonl")
    assert len(rows) == 8 and {row["analysis"] for row in rows} == {"It ran."}
    assert "4  malformed" in out


def test_server_without_analysis(msig, tmp_path, chat):
    options = ["--teacher", "server", "--server", chat.url, "--model", "m", "--no-analysis"]
    assert msig(documents(tmp_path / "docs.jsonl", 1), *options)[0] == 0
    rows = read(tmp_path / "docs.pairs.jsonl")
    assert len(chat.asked) == len(rows) == 4 and rows[0]["analysis"] == ""
    assert rows[0]["messages"][1]["content"] == "\U0001f600 This."


def test_a_saved_miner_and_a_local_model(msig, tmp_path):
    miner = KnowledgeMiner(Knows(), model=small(), seed_instances=8, training=TrainSettings(1), filter=True)
    miner.fit(DOCUMENTS).save(tmp_path / "miner")
    lines = [json.dumps({"key": one.id, "body": one.text}) for one in DOCUMENTS]
    (tmp_path / "docs.jsonl").write_text("\n".join(lines))
    fields = ["--text-field", "body", "--id-field", "key", "--batch", 3]
    status, _, err = msig("docs.jsonl", "--miner", tmp_path / "miner", *fields)
    assert status == 0, err
    facts = json.loads((tmp_path / "docs.pairs.provenance.json").read_text())
    assert facts["settings"]["filter"] is True
    assert facts["settings"]["fingerprint"] == miner.miner_.fingerprint
    untitled = [Document(one.id, "", one.sentences) for one in DOCUMENTS]
    kept = miner.set_params(batch=3).mine(untitled).kept.sum()
    assert facts["outcomes"].get("kept", 0) == kept and sum(facts["outcomes"].values()) == 8
    model = f"hf:{tmp_path / 'miner' / 'model'}"
    status, _, err = msig("docs.jsonl", "--teacher", model, *fields, "--no-analysis", "--out", "o.jsonl")
    assert (
        status == 1 and "8 sentences are done" in err and "128" in err
    )  # the long prompt is too long for it


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--teacher or with --miner"),
        (["--teacher", "template", "--miner", "m"], "one of them"),
        (["--teacher", "rules"], "expected template, server or hf:"),
        (["--teacher", "server"], "--server URL --model NAME"),
        (["--teacher", "template", "--model", "m"], "belong to --teacher server"),
        (["--miner", "nowhere"], "nowhere/learned holds no manifest.json"),
        (["--miner", "m", "--no-analysis"], "belongs to --teacher"),
        (["--teacher", "hf:nowhere-at-all/x"], "neither a folder here"),
        (["--teacher", "template", "--out", "no/o.jsonl"], "folder no of o.jsonl does not exist"),
        (["--teacher", "template", "--out", "docs.jsonl"], "the documents themselves"),
        (["--teacher", "template", "--text-field", "body"], "line 1: no field 'body' among id, title, text"),
    ],
)
def test_mistakes(msig, tmp_path, monkeypatch, words, told):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    documents(tmp_path / "docs.jsonl")
    status, out, err = msig("docs.jsonl", *words)
    assert status == 1 and err.startswith("error: ") and told in err and not out
    assert sorted(os.listdir()) in (["docs.jsonl"], ["cache", "docs.jsonl"])


def test_files_without_documents(msig, tmp_path):
    assert "is no file" in msig("docs.jsonl", "--teacher", "template")[2]
    (tmp_path / "docs.jsonl").write_text('{"text": " "}\n')
    assert "nothing to ask about" in msig("docs.jsonl", "--teacher", "template")[2]
    (tmp_path / "docs.jsonl").write_text('{"text": "Ames is old."}\n{"text": 5}\n')
    status, _, err = msig("docs.jsonl", "--teacher", "template")
    assert status == 1 and "docs.jsonl, line 2: the field 'text' is a int" in err
