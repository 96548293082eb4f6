"""What is mined and what comes out: documents as sentences, and one finding for each of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from msig_lib.errors import listing
from msig_lib.mining.splitting import split_sentences

__all__ = [
    "CRITERIA",
    "Counted",
    "Document",
    "Mined",
    "Teacher",
    "make_document",
    "read_documents",
    "split_sentences",
]

CRITERIA = ("clear", "informative", "new", "relevant")
"""What a sentence must be to be asked about (thesis 5.3.1); it is refused by the first that it is not."""


@dataclass(frozen=True)
class Document:
    """A document as its sentences; `id` names it among all that are mined together."""

    id: str
    title: str
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """All sentences, a space between them."""
        return " ".join(self.sentences)


@dataclass(frozen=True)
class Mined:
    """What a teacher or a miner says about one sentence of a document.

    Kept: `question` and `answer` (and `analysis`, where it is asked for). Refused: `fails` is the one of `CRITERIA`
    that the sentence fails. Neither: `malformed` is what the model wrote, which could not be read.
    """

    document: str
    sentence: int
    analysis: str = ""
    fails: str | None = None
    question: str = ""
    answer: str = ""
    malformed: str = ""

    @property
    def kept(self) -> bool:
        """Whether there is a question with its answer."""
        return not self.malformed and self.fails is None


class Teacher(Protocol):
    """Whatever says something about sentences: an oracle, a language model, rules, a trained miner.

    `fingerprint` tells apart any two that could answer differently, as far as that can be known.
    """

    name: str
    fingerprint: str

    def ask(self, items: Sequence[tuple[Document, int]], *, seed: int) -> list[Mined]:
        """Return a finding for each (document, number of its sentence), in order."""
        ...


def make_document(text: str, id: str, title: str = "") -> Document:
    """Return a text as a Document: its sentences by `split_sentences`."""
    return Document(id, title, tuple(split_sentences(text)))


@dataclass
class Counted:
    """What a reading found so far; `sha256` is that of the whole file once it is read to its end."""

    documents: int = 0  # blank ones are not among them
    blank: int = 0
    sentences: int = 0
    sha256: str = ""


def read_documents(
    path: Path | str,
    *,
    text_field: str = "text",
    id_field: str = "id",
    title_field: str = "title",
    counted: Counted | None = None,
) -> Iterator[Document]:
    """Yield the documents of a file of JSON lines, one object a line, as they are read.

    A document without an id gets one of its line number and a hash of its text ("12-5f1c09aa3b7d"); ids may be
    numbers, and a title may be missing. Blank texts are left out and counted in `counted`, if one is given; lines
    with nothing on them are none. In memory are one document, and some 150 bytes for each id. ValueError, with the
    file and the line, for what is no JSON object, no UTF-8, has no text, or an id that was there before.

    >>> for document in read_documents("docs.jsonl"):  # doctest: +SKIP
    ...     print(document.id, len(document.sentences))
    """
    path = Path(path)
    counted = counted if counted is not None else Counted()
    digest = hashlib.sha256()
    seen: dict[bytes, int] = {}
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            digest.update(raw)
            raw = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if not raw.strip():
                continue
            try:
                record = _object(raw)
                text = _string(record, text_field, needed=True)
                name = _id(record, id_field) or f"{number}-{_digest(text).hex()[:12]}"
                title = " ".join(_string(record, title_field).split())
                first = seen.setdefault(_digest(name), number)
                if first != number:
                    raise ValueError(f"the id {name!r} was given on line {first} already")
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from None
            document = make_document(text, name, title)
            if not document.sentences:
                counted.blank += 1
                continue
            counted.documents += 1
            counted.sentences += len(document.sentences)
            yield document
    counted.sha256 = digest.hexdigest()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def _object(raw: bytes) -> dict[str, Any]:
    try:
        record = json.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start + 1})") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"not JSON ({error.msg}, column {error.colno}); expected one object a line"
        ) from None
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(record, dict):
        raise ValueError(f"a JSON {type(record).__name__}, expected an object with a text")
    return record


def _string(record: dict[str, Any], field: str, needed: bool = False) -> str:
    value = record.get(field)
    if value is None and not needed:
        return ""
    if field not in record:
        raise ValueError(f"no field {field!r} among {listing(record, 8)}; text_field names another")
    if not isinstance(value, str):
        raise ValueError(f"the field {field!r} is a {type(value).__name__}, expected a string")
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold and no tokeniser takes
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _id(record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(
            f"the field {field!r} is a {type(value).__name__}, expected a string or a whole number"
        )
    return str(value)
