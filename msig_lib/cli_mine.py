"""`msig mine`: questions and answers from the user's own documents, as lines to fine-tune a chatbot on (chapter 5)."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from msig_lib.errors import MsigError, message, told_to_the_user

if TYPE_CHECKING:
    from msig_lib.mining.documents import Counted, Document, Teacher
    from msig_lib.mining.journal import Journal
    from msig_lib.mining.streaming import Finding

BATCH = 16  # ours: what is asked about at a time, and lost at most when the process is killed
SHOWN, CUT = 5, 500  # malformed outputs that the provenance holds, and their characters
PACKAGES = ("msig-lib", "numpy", "tokenizers", "torch", "transformers")


def mine(
    docs: Annotated[Path, typer.Argument(metavar="DOCS", help="JSON lines with a text, an id and a title.")],
    teacher: Annotated[
        str | None, typer.Option("--teacher", help="template (rules), server or hf:<model or folder>.")
    ] = None,
    miner: Annotated[
        Path | None, typer.Option("--miner", help="Instead: the folder of a saved KnowledgeMiner.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="JSON lines to write (default: DOCS.pairs.jsonl).")
    ] = None,
    server: Annotated[
        str | None, typer.Option("--server", help="Its address: http://127.0.0.1:8000/v1.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The server's model.")] = None,
    key_env: Annotated[
        str, typer.Option("--key-env", help="The environment variable with the server's API key.")
    ] = "OPENAI_API_KEY",
    no_analysis: Annotated[
        bool, typer.Option("--no-analysis", help="Ask for question and answer at once.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="Of a local model: cpu, cuda.")] = "cpu",
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="Sentences that are asked about at a time.")
    ] = BATCH,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first documents.")] = None,
    text_field: Annotated[str, typer.Option("--text-field", help="The field that holds the text.")] = "text",
    id_field: Annotated[str, typer.Option("--id-field", help="The field that names the document.")] = "id",
    title_field: Annotated[str, typer.Option("--title-field", help="The field with its title.")] = "title",
    seed: Annotated[int, typer.Option("--seed")] = 0,
) -> None:
    """Mine questions and answers from documents; the same command goes on where it was stopped."""
    with told_to_the_user():
        out = out or docs.with_name(f"{docs.stem}.pairs.jsonl")
        _refuse(docs, out)
        names = {"text_field": text_field, "id_field": id_field, "title_field": title_field}
        source = Source(docs, names, limit)
        asked = _asked(teacher, miner, server, model, key_env, not no_analysis, device)
        source.scan()
        _mine(source, asked, out, batch, seed)


@dataclass
class Source:
    """The file of documents, of which the first `limit` are mined; `scan` looks through all of it first.

    `blank` counts texts without a word in all the file, `documents` and `sentences` what is mined.
    """

    path: Path
    fields: dict[str, str]
    limit: int | None
    sha256: str = ""
    documents: int = 0
    blank: int = 0
    sentences: int = 0

    def scan(self) -> None:
        """Check every line, so that nothing is asked about a file with a mistake in it, and count."""
        counted = _counted()
        for document in self.read(counted):
            self.documents += 1
            self.sentences += len(document.sentences)
        if not self.documents:
            raise MsigError(f"{self.path} has no text with a word in it: there is nothing to ask about")
        self.blank, self.sha256 = counted.blank, counted.sha256

    def read(self, counted: Counted) -> Iterator[Document]:
        """Yield the documents to mine, and read the rest after them too, for the file's hash."""
        from msig_lib.mining.documents import read_documents

        documents = read_documents(self.path, **self.fields, counted=counted)
        yield from islice(documents, self.limit)
        for _ in documents:
            pass


@dataclass(frozen=True)
class Asked:
    """Who is asked, with the settings that its answers follow from."""

    teacher: Teacher
    settings: dict[str, Any]
    ways: dict[str, Any] = field(default_factory=dict)  # of streaming.findings

    @property
    def usage(self) -> dict[str, Any] | None:
        """What its language model, if it has one, was asked by this process."""
        usage = getattr(getattr(self.teacher, "model", None), "usage", None)
        return None if usage is None else asdict(usage)


def _mine(source: Source, asked: Asked, out: Path, batch: int, seed: int) -> None:
    from importlib.metadata import version

    from tqdm import tqdm

    from msig_lib.mining.journal import Journal
    from msig_lib.mining.streaming import findings, sentences

    settings = {
        "input": source.sha256,
        "sentences": source.sentences,
        **source.fields,
        "limit": source.limit,
        **asked.settings,
        "batch": batch,
        "seed": seed,
        "version": version("msig-lib"),
    }
    with Journal(out, settings) as journal:
        if journal.finished is not None:
            print("all was done before; nothing is asked again", file=sys.stderr)
            return _report(journal.finished, journal)
        if journal.done:
            print(f"going on after {journal.done} of {source.sentences} sentences", file=sys.stderr)
        counted = _counted()
        items = islice(sentences(source.read(counted)), journal.done, None)
        bar = tqdm(total=source.sentences, initial=journal.done, desc="sentences", disable=None)
        start = time.monotonic()
        with _goes_on(journal, source.sentences), bar:
            for found in findings(asked.teacher, items, batch=batch, seed=seed, **asked.ways):
                lines = b"".join(_line(one, asked.teacher.name) for one in found if one.kept)
                now = time.monotonic()
                journal.append(lines, journal.done + len(found), _state(journal.state, found, now - start))
                start = now
                bar.update(len(found))
        if counted.sha256 != source.sha256:
            raise MsigError(
                f"{source.path} changed while it was read: remove {out} and {journal.path}, and run again"
            )
        _report(journal.finish(_facts(source, asked, journal.state)), journal)


def _line(finding: Finding, miner: str) -> bytes:
    """Return a pair as TRL reads conversations: `messages`, and what it comes from."""
    mined = finding.mined
    record = {
        "messages": [
            {"role": "user", "content": mined.question},
            {"role": "assistant", "content": mined.answer},
        ],
        "document": mined.document,
        "title": finding.document.title,
        "sentence": mined.sentence,
        "analysis": mined.analysis,
        "miner": miner,
    }
    try:
        return (json.dumps(record, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair, which a model may write and UTF-8 cannot hold
        return (json.dumps(record) + "\n").encode()


def _state(state: dict[str, Any], found: list[Finding], seconds: float) -> dict[str, Any]:
    """Return what is known after these findings: how many had which outcome, and some that could not be read."""
    outcomes = Counter(state.get("outcomes", {})) + Counter(one.outcome for one in found)
    bad = [
        {"document": one.mined.document, "sentence": one.mined.sentence, "output": one.mined.malformed[:CUT]}
        for one in found
        if one.mined.malformed
    ]
    return {
        "outcomes": dict(sorted(outcomes.items())),
        "malformed": [*state.get("malformed", []), *bad][:SHOWN],
        "seconds": round(state.get("seconds", 0.0) + seconds, 3),
    }


def _facts(source: Source, asked: Asked, state: dict[str, Any]) -> dict[str, Any]:
    from importlib.metadata import version

    counts = {"documents": source.documents, "blank": source.blank, "sentences": source.sentences}
    return {
        "input": {"name": source.path.name, "sha256": source.sha256, **counts},
        **state,
        "usage": asked.usage,  # of the last start
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _report(facts: dict[str, Any], journal: Journal) -> None:
    for name, count in facts["outcomes"].items():
        print(f"{count:>8}  {name}")
    print(f"pairs: {journal.out}\nprovenance: {journal.sidecar}")


def _asked(
    name: str | None,
    miner: Path | None,
    server: str | None,
    model: str | None,
    key_env: str,
    analysis: bool,
    device: str,
) -> Asked:
    from msig_lib.mining.signal import ModelTeacher, TemplateTeacher

    if (name is None) == (miner is None):
        raise MsigError("say who is asked with --teacher or with --miner, one of them")
    if name != "server" and (server or model):
        raise MsigError("--server and --model belong to --teacher server")
    ways: dict[str, Any] = {}
    if miner is not None:
        from msig_lib.mining.estimator import KnowledgeMiner

        if not analysis:
            raise MsigError("--no-analysis belongs to --teacher: a saved miner does what it has learned")
        learned = KnowledgeMiner.load(miner, device=device)
        teacher: Teacher = learned.miner_
        analysis = learned.analysis
        ways = {"filter": learned.filter, "agreement": learned.agreement}
    elif name == "template":
        teacher = TemplateTeacher()
    elif name == "server":
        from msig_lib.lm.server import OpenAIServer

        if not server or not model:
            raise MsigError("--teacher server needs its address and model: --server URL --model NAME")
        teacher = ModelTeacher(OpenAIServer(server, model, key_env=key_env), analysis=analysis)
    elif str(name).startswith("hf:"):
        from msig_lib.lm.local import LocalModel

        teacher = ModelTeacher(LocalModel.load(str(name), device=device), analysis=analysis)
    else:
        raise MsigError(f"--teacher is {name!r}, expected template, server or hf:<model or folder>")
    settings = {"miner": teacher.name, "fingerprint": teacher.fingerprint, "analysis": analysis}
    return Asked(teacher, {**settings, "device": device, **ways}, ways)


def _counted() -> Counted:
    from msig_lib.mining.documents import Counted

    return Counted()


def _refuse(docs: Path, out: Path) -> None:
    if not docs.is_file():
        raise MsigError(f"{docs} is no file; expected JSON lines, one document a line")
    if out.resolve() == docs.resolve():
        raise MsigError(f"--out is {out}, the documents themselves; give another name")


@contextmanager
def _goes_on(journal: Journal, total: int) -> Iterator[None]:
    """Say with whatever stops the mining that nothing done is lost."""
    try:
        yield
    except (ValueError, TypeError, OSError, MsigError, KeyboardInterrupt) as error:
        why = "stopped" if isinstance(error, KeyboardInterrupt) else message(error)
        raise MsigError(
            f"{why}\n{journal.done} of {total} sentences are done; the same command goes on from there"
        ) from error
