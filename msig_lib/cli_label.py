"""`msig label`: sort the user's own texts under class names, with nothing labelled by hand (chapter 3)."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from msig_lib.errors import MsigError, listing, told_to_the_user

if TYPE_CHECKING:
    from msig_lib.zeroshot.classifier import GENCoClassifier

BLOCK = 512  # lines that are in memory at a time
POOL = 1000  # ours: texts learned from, the thesis's order; the rest is only sorted, in constant memory
POOL_FOR_A_MODEL = 300  # ours: a language model is asked three times about each, or more
BAD_SHOWN = 5
PACKAGES = ("msig-lib", "numpy", "tokenizers", "torch", "transformers")


def label(
    texts: Annotated[Path, typer.Argument(metavar="TEXTS", help="JSON lines, or .txt with one text a line.")],
    labels: Annotated[str | None, typer.Option("--labels", help='Class names: "politics,sports".')] = None,
    labels_file: Annotated[
        Path | None, typer.Option("--labels-file", help="Class names, one a line.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="JSON lines to write (default: TEXTS.labelled.jsonl).")
    ] = None,
    text_field: Annotated[str, typer.Option("--text-field", help="The field that holds the text.")] = "text",
    label_field: Annotated[str, typer.Option("--label-field", help="The field to write.")] = "label",
    generator: Annotated[
        str, typer.Option("--generator", help="ngram, retrieval, none, server or hf:<model or folder>.")
    ] = "none",
    server: Annotated[
        str | None, typer.Option("--server", help="Its address: http://127.0.0.1:8000/v1.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The server's model.")] = None,
    key_env: Annotated[
        str, typer.Option("--key-env", help="The environment variable with the server's API key.")
    ] = "OPENAI_API_KEY",
    template: Annotated[
        list[str] | None, typer.Option("--template", help='"It is about {label}."; may be repeated.')
    ] = None,
    encoder: Annotated[str, typer.Option("--encoder", help="minilm or hf:<model or folder>.")] = "minilm",
    pool: Annotated[
        int | None,
        typer.Option("--pool", min=1, help=f"Texts to learn from (default: {POOL}, drawn by --seed)."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Threads for the encoder.")] = None,
) -> None:
    """Label texts by self-training: give texts and class names, get a label and probabilities a text."""
    start = time.time()
    with told_to_the_user():
        names = _names(labels, labels_file)
        chosen, is_model = _generator(generator, server, model, key_env)
        out = out or texts.with_name(f"{texts.stem}.labelled.jsonl")
        sidecar = out.with_name(f"{out.stem}.provenance.json")
        _refuse(texts, out, sidecar)
        learner = _classifier(names, encoder, chosen, template, seed, threads)
        source = Source(texts, text_field, (label_field, f"{label_field}_probabilities"))
        found = source.scan(pool or (POOL_FOR_A_MODEL if is_model else POOL), seed, learner.as_read)
        print(f"{found.texts} texts ({found.blank} blank), learning from {len(found.pool)}", file=sys.stderr)
        learner.fit(found.pool)
        with _whole(out, sidecar) as (lines, notes):
            counts, written = _write(learner, source, found, label_field, lines)
            facts = {
                "input": {
                    "name": texts.name,
                    "sha256": found.sha256,
                    "texts": found.texts,
                    "blank": found.blank,
                },
                "output": {"name": out.name, "sha256": written, "counts": counts},
                "pool": len(found.pool),
                **_facts(learner, chosen),
                "seconds": round(time.time() - start, 2),
            }
            notes.write(json.dumps(facts, indent=1).encode())
    for name, count in counts.items():
        print(f"{count:>8}  {name}")
    print(f"labels: {out}\nprovenance: {sidecar}")


@dataclass
class Scanned:
    """What a first reading found: texts in all, blank ones, the file's hash, and a sample to learn from."""

    sha256: str
    texts: int = 0
    blank: int = 0
    pool: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """A file of texts, read line by line; `new_fields` are those that will be added."""

    path: Path
    text_field: str
    new_fields: Sequence[str]

    def scan(self, size: int, seed: int, as_read: Callable[[list[str]], list[str]]) -> Scanned:
        """Check every line, and draw `size` of the texts that are not blank, all equally likely."""
        import numpy as np

        rng = np.random.default_rng(seed)
        found, bad, sample = Scanned(""), [], []
        digest = hashlib.sha256()
        for number, record in self.records(digest, bad):
            found.texts += 1
            text = record[self.text_field]
            if not text.strip():
                found.blank += 1
                continue
            known = found.texts - found.blank
            if known <= size:
                sample.append((number, *as_read([text])))
            elif (place := int(rng.integers(known))) < size:  # a reservoir: memory for `size` texts
                sample[place] = (number, *as_read([text]))
        if bad:
            more = ["…"] if len(bad) > BAD_SHOWN else []
            raise MsigError(
                "\n  ".join([f"{self.path} has lines that are not as expected:", *bad[:BAD_SHOWN], *more])
            )
        if not sample:
            raise MsigError(f"{self.path} has no text with a word in it: there is nothing to learn from")
        found.pool = [text for _, text in sorted(sample)]
        found.sha256 = digest.hexdigest()
        return found

    def records(self, digest: Any, bad: list[str] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (line number, object); what is wrong with other lines goes to `bad`. Empty JSON lines are none."""
        bad = [] if bad is None else bad
        plain = self.path.suffix == ".txt"
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                digest.update(raw)
                raw = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
                if not plain and not raw.strip():
                    continue
                try:
                    line = raw.decode().rstrip("\r\n")
                    yield number, {self.text_field: line} if plain else self._checked(line)
                except ValueError as error:
                    bad.append(f"line {number}: {_why(error)}")
                    if len(bad) > BAD_SHOWN:
                        return

    def _checked(self, line: str) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except RecursionError:
            raise ValueError("it is nested too deep") from None
        if not isinstance(record, dict):
            raise ValueError(
                f"a JSON {type(record).__name__}, expected an object with a field {self.text_field!r}"
            )
        text = record.get(self.text_field)
        if not isinstance(text, str):
            if self.text_field in record:
                raise ValueError(
                    f"the field {self.text_field!r} is a {type(text).__name__}, expected a string"
                )
            raise ValueError(
                f"no field {self.text_field!r} among {listing(record, 8)}; --text-field names another"
            )
        taken = [name for name in self.new_fields if name in record]
        if taken:
            raise ValueError(
                f"the field {taken[0]!r} is there already; --label-field gives the new one a name"
            )
        return record


def _why(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 (byte {error.start + 1})"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg}, column {error.colno})"
    return str(error)


def _write(
    learner: GENCoClassifier, source: Source, found: Scanned, label_field: str, lines: IO[bytes]
) -> tuple[dict[str, int], str]:
    """Write one object a text; return how many got each label, and the SHA-256 of what was written."""
    counts: Counter[str | None] = Counter()
    read, written = hashlib.sha256(), hashlib.sha256()
    for block in _blocks(source.records(read)):
        texts = [record[source.text_field] for _, record in block]
        for text, (_, record), row in zip(texts, block, learner.predict_proba(texts)):
            best = learner.classes_[row.argmax()] if text.strip() else None  # a blank text has no label
            counts[best] += 1
            shares = {str(name): round(float(p), 6) for name, p in zip(learner.classes_, row)}
            line = _encoded({**record, label_field: best, f"{label_field}_probabilities": shares})
            lines.write(line)
            written.update(line)
    if read.hexdigest() != found.sha256:
        raise MsigError(f"{source.path} changed while it was read; nothing was written, run again")
    told = {str(name): counts[name] for name in learner.classes_}
    return told | ({"(blank)": counts[None]} if counts[None] else {}), written.hexdigest()


def _blocks(records: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    while block := list(islice(records, BLOCK)):
        yield block


def _encoded(record: dict[str, Any]) -> bytes:
    try:
        return (json.dumps(record, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold and UTF-8 cannot
        return (json.dumps(record) + "\n").encode()


def _names(labels: str | None, labels_file: Path | None) -> list[str]:
    from msig_lib.zeroshot.classifier import check_labels

    if (labels is None) == (labels_file is None):
        raise MsigError(
            'give the class names with --labels "politics,sports" or with --labels-file, one of them'
        )
    if labels_file is not None:
        try:
            given = labels_file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise MsigError(f"{labels_file} cannot be read as UTF-8 text: {error}") from None
        given = [line for line in given if line.strip()]
    else:
        given = (labels or "").split(",")
    return check_labels([name.strip() for name in given])


def _generator(name: str, server: str | None, model: str | None, key_env: str) -> tuple[Any, bool]:
    """Return the classifier's `generator`, and whether it is a language model."""
    from msig_lib.zeroshot.generators import NAMED

    if name != "server" and (server or model):
        raise MsigError(f"--server and --model belong to --generator server, but it is {name!r}")
    if name == "none":
        return None, False
    if name in NAMED:
        return name, False
    if name == "server":
        from msig_lib.lm.server import OpenAIServer

        if not server or not model:
            raise MsigError("--generator server needs its address and model: --server URL --model NAME")
        return OpenAIServer(server, model, key_env=key_env), True
    if name.startswith("hf:"):
        from msig_lib.lm.local import LocalModel

        return LocalModel.load(name), True
    raise MsigError(
        f"--generator is {name!r}, expected {', '.join(NAMED)}, none, server or hf:<model or folder>"
    )


def _classifier(
    names: list[str], encoder: str, generator: Any, template: list[str] | None, seed: int, threads: int | None
) -> GENCoClassifier:
    from msig_lib.zeroshot.classifier import GENCoClassifier
    from msig_lib.zeroshot.data import TEMPLATES, label_prompts

    templates = tuple(template or TEMPLATES)
    label_prompts(names, templates)  # a mistake shows before anything is loaded
    return GENCoClassifier(
        names, encoder=encoder, generator=generator, templates=templates, random_state=seed, threads=threads
    )


def _facts(learner: GENCoClassifier, chosen: Any) -> dict[str, Any]:
    """Return what the labels follow from."""
    from importlib.metadata import version

    from msig_lib.zeroshot.settings import SelfTrainSettings

    written = learner.generator_
    generator = None
    if written is not None:
        generator = {"name": written.name, "cost": asdict(written.cost)}
        if hasattr(chosen, "usage"):
            generator |= {"model": chosen.fingerprint, "usage": asdict(chosen.usage)}
    return {
        "labels": [str(name) for name in learner.classes_],
        "templates": list(learner.templates),
        "encoder": {"name": learner.encoder_.name, "fingerprint": learner.encoder_.fingerprint},
        "generator": generator,
        "settings": asdict(learner.settings or SelfTrainSettings()),
        "seed": learner.random_state,
        "rounds": learner.history_,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _refuse(texts: Path, out: Path, sidecar: Path) -> None:
    if not texts.is_file():
        raise MsigError(f"{texts} is no file; expected JSON lines, or .txt with one text a line")
    for path in (out, sidecar):
        if path.exists():
            raise MsigError(f"{path} exists and is not overwritten; give another name with --out")
    if not out.parent.is_dir():
        raise MsigError(f"the folder {out.parent} of --out does not exist")


@contextmanager
def _whole(out: Path, sidecar: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Yield two files that get their names when the block ends well, and are gone otherwise."""
    parts = []
    try:
        for path in (out, sidecar):
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
            parts.append((os.fdopen(handle, "wb"), Path(name), path))
        yield parts[0][0], parts[1][0]
        for file, part, path in reversed(parts):  # the labels come last: where they are, all is
            file.flush()
            os.fsync(file.fileno())
            file.close()
            part.chmod(0o644)
            if path.exists():
                raise MsigError(f"{path} appeared meanwhile and is not overwritten")
            os.replace(part, path)
    finally:
        for file, part, _ in parts:
            file.close()
            part.unlink(missing_ok=True)
