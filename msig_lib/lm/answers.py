"""Answers of language models on disk: written as they arrive, so that nothing answered is asked again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from msig_lib.cachedir import cache_dir
from msig_lib.lm.generate import Completion

log = logging.getLogger(__name__)
T = TypeVar("T")

WAIT = 30.0  # seconds that a process waits for another one's write
BLOCK = 500  # keys a query; SQLite takes at least 999 values
SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT, sha256 TEXT, model TEXT, written REAL);
CREATE TABLE IF NOT EXISTS aside (key TEXT, answer TEXT, sha256 TEXT, model TEXT, written REAL);
"""


class AnswerCache:
    """Completions by key (`generate.request_key`), in one SQLite file that processes and threads can share.

    `put` returns once the answers are on the disk: a process that is killed loses none. Stored are answers
    and hashes of what was asked, no prompts. An entry that does not match its own hash is set aside in the
    table `aside` and counts as absent; a file that is no database is renamed to `*.damaged-N`. A disk that
    cannot be written, or a lock that is not released, makes a warning, not an error. Connections are opened
    for each operation: nothing is held open, so the object may cross threads and forks.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self._path = None if path is None else Path(path)

    def __repr__(self) -> str:
        return f"AnswerCache({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The file: the one given, or `answers.sqlite` in the user's cache folder as it is now."""
        return self._path or cache_dir("answers") / "answers.sqlite"

    def __len__(self) -> int:
        return self._try(lambda db: db.execute("SELECT count(*) FROM answers").fetchone()[0], 0)

    def get(self, keys: Sequence[str]) -> dict[str, Completion]:
        """Return the answers known for `keys`; damaged ones are set aside and left out."""
        keys = list(dict.fromkeys(keys))
        return self._try(lambda db: _read(db, keys), {}) if keys and self.path.is_file() else {}

    def put(self, answers: Mapping[str, Completion], *, model: str = "") -> None:
        """Keep `answers` by key, in one transaction. An answer that is there already stays."""
        rows = []
        for key, answer in answers.items():
            text = _to_json(answer)
            rows.append((key, text, _hash(key, text), model, time.time()))
        if rows:
            self._try(
                lambda db: db.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)", rows), None
            )

    def set_aside(self) -> int:
        """Return how many damaged entries were set aside."""
        return self._try(lambda db: db.execute("SELECT count(*) FROM aside").fetchone()[0], 0)

    def _try(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Return `work(db)`, once more on a new file if this one is no database, else `otherwise`."""
        path = self.path
        for attempt in range(2):
            try:
                with _open(path) as db:
                    return work(db)
            except (sqlite3.DatabaseError, OSError) as error:
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) and attempt == 0:
                    _rename_damaged(path, error)
                else:  # locked, read-only, full: the file may be sound
                    log.warning("the answer cache %s cannot be used now (%s)", path, error)
                    break
        return otherwise


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection in one transaction, committed at the end. The file is readable by its user only."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    # the default rollback journal: unlike the write-ahead log it works on network file systems
    with closing(sqlite3.connect(path, timeout=WAIT)) as db:
        db.executescript(SCHEMA)
        with db:
            yield db


def _read(db: sqlite3.Connection, keys: list[str]) -> dict[str, Completion]:
    found: dict[str, Completion] = {}
    damaged = []
    for start in range(0, len(keys), BLOCK):
        block = keys[start : start + BLOCK]
        marks = ",".join("?" * len(block))
        query = f"SELECT key, CAST(answer AS BLOB), CAST(sha256 AS BLOB) FROM answers WHERE key IN ({marks})"
        for key, raw, sha256 in db.execute(query, block):
            answer = _checked(key, raw, sha256)
            if answer is None:
                damaged.append((key,))
            else:
                found[key] = answer
    if damaged:
        log.warning("%d damaged answers in the cache are set aside and asked again", len(damaged))
        db.executemany("INSERT INTO aside SELECT * FROM answers WHERE key = ?", damaged)
        db.executemany("DELETE FROM answers WHERE key = ?", damaged)
    return found


def _to_json(answer: Completion) -> str:
    # ASCII only: half a surrogate pair, which a cut answer may end in, is then stored as it is
    return json.dumps([answer.text, answer.finish, answer.tokens, answer.logprobs])


def _checked(key: str, raw: bytes, sha256: bytes) -> Completion | None:
    """Return the answer stored as `raw`, or None if it is not what was written for `key`."""
    try:
        text = bytes(raw).decode("ascii")
        if _hash(key, text).encode() != sha256:
            return None
        content, finish, tokens, logprobs = json.loads(text)
    except (ValueError, TypeError):
        return None
    return Completion(content, finish, tokens, None if logprobs is None else tuple(logprobs))


def _hash(key: str, text: str) -> str:
    return hashlib.sha256(f"{key} {text}".encode()).hexdigest()


def _rename_damaged(path: Path, error: Exception) -> None:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    log.warning("the answer cache %s is damaged (%s); it is kept as %s", path, error, aside.name)
    for suffix in ("", "-journal"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            os.replace(part, aside.with_name(aside.name + suffix))
