"""An output that is written as it comes and goes on where it was cut off, also by kill -9."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from msig_lib.cachedir import cache_dir
from msig_lib.errors import MsigError

FORMAT = "msig resumable output, version 1"
BLOCK = 2**20


class JournalError(MsigError):
    """Raised when an output cannot be started or gone on with as asked; the message says what to do."""


class Journal:
    """A file that grows by whole parts, each of them on the disk before the next is begun.

    `out` is the file; beside it are `<out>.journal`, what is done, until all is, and then `<out's
    stem>.provenance.json`, the facts about it. `settings`, JSON values, are what the content follows from: a run that
    finds an output of other settings, or one that was changed, refuses to touch it. After a part `done` (in the
    caller's units) and `state` (JSON values) are kept with it; a part that was cut off is taken away at the next
    start, so that it is written once and whole. Only one process at a time may have an output.

    Use as a context. JournalError names what stands in the way. `finished` holds the facts where all was done before.

    >>> with Journal(Path("pairs.jsonl"), {"seed": 0}) as journal:  # doctest: +SKIP
    ...     for i in range(journal.done, 10):
    ...         journal.append(b"one line\\n", i + 1, {"lines": i + 1})
    ...     journal.finish({"lines": 10})
    """

    def __init__(self, out: Path | str, settings: Mapping[str, Any]) -> None:
        self.out = Path(out)
        self.path = self.out.with_name(f"{self.out.name}.journal")
        self.sidecar = self.out.with_name(f"{self.out.stem}.provenance.json")
        self.settings = json.loads(json.dumps(settings))  # as they are read again
        self.done = 0
        self.state: dict[str, Any] = {}
        self.finished: dict[str, Any] | None = None
        if not self.out.parent.is_dir():
            raise JournalError(f"the folder {self.out.parent} of {self.out.name} does not exist")
        name = hashlib.sha256(os.fsencode(self.out.resolve())).hexdigest()[:32]
        self._lock = FileLock(cache_dir("locks") / f"{name}.lock")
        self._digest = hashlib.sha256()
        self._size = 0

    def __enter__(self) -> Journal:
        try:
            self._lock.acquire(timeout=0.05)
        except Timeout:
            raise JournalError(f"another process is writing {self.out}; wait until it is done") from None
        try:
            if self.path.exists():
                self._resume()
            elif self.sidecar.exists():
                self._check_finished()
            elif self.out.exists():
                raise JournalError(
                    f"{self.out} exists and is not overwritten; give another name, or remove it to start anew"
                )
            else:
                self._note()
            self._file = None if self.finished else self.out.open("ab")
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        self._lock.release()

    def append(self, content: bytes, done: int, state: Mapping[str, Any]) -> None:
        """Add a part, and note what is done with it; both are on the disk when this returns."""
        if self._file is None:
            raise JournalError(f"{self.out} is complete; nothing is added to it")
        if content:
            self._file.write(content)
            self._file.flush()
            os.fsync(self._file.fileno())
        self._digest.update(content)
        self._size += len(content)
        self.done, self.state = done, dict(state)
        self._note()

    def finish(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Write the facts about the complete output, with its hash and settings; the journal is then gone."""
        output = {"name": self.out.name, "sha256": self._digest.hexdigest(), "bytes": self._size}
        self.finished = {"format": FORMAT, "settings": self.settings, "output": output, **facts}
        _replace(self.sidecar, json.dumps(self.finished, indent=1))
        self.path.unlink()
        return self.finished

    def _note(self) -> None:
        known = {
            "done": self.done,
            "bytes": self._size,
            "sha256": self._digest.hexdigest(),
            "state": self.state,
        }
        _replace(self.path, json.dumps({"format": FORMAT, "settings": self.settings, **known}))

    def _resume(self) -> None:
        """Take up what the journal says, and cut off what was written after it."""
        known = _read(self.path)
        self._same_settings(self.path, known["settings"])
        size = self.out.stat().st_size if self.out.exists() else 0
        if size < known["bytes"]:
            raise JournalError(
                f"{self.out} has {size} bytes, but {self.path.name} knows of {known['bytes']}: the file was changed "
                f"or moved. Put it back, or remove {self.path} and what is left of it to start anew."
            )
        if size:
            with self.out.open("r+b") as file:
                left = known["bytes"]
                while block := file.read(min(BLOCK, left)):
                    self._digest.update(block)
                    left -= len(block)
                if self._digest.hexdigest() == known["sha256"]:
                    file.truncate(known["bytes"])
        if self._digest.hexdigest() != known["sha256"]:
            raise JournalError(
                f"{self.out} is not what was written to it: the file was changed. Move it away and remove {self.path} "
                "to start anew."
            )
        self._size, self.done, self.state = known["bytes"], known["done"], known["state"]

    def _check_finished(self) -> None:
        known = _read(self.sidecar)
        self._same_settings(self.sidecar, known["settings"])
        if not self.out.exists():
            raise JournalError(f"{self.sidecar} is there, but {self.out} is not; remove it to start anew")
        with self.out.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != known["output"]["sha256"]:
            raise JournalError(
                f"{self.out} is complete but was changed since; it is not overwritten. Give another name."
            )
        self.finished = known

    def _same_settings(self, path: Path, before: Mapping[str, Any]) -> None:
        names = [name for name in {**before, **self.settings} if before.get(name) != self.settings.get(name)]
        if names:
            told = "; ".join(
                f"{name} was {_shown(before.get(name))} and is {_shown(self.settings.get(name))}"
                for name in names
            )
            raise JournalError(
                f"{self.out} was begun with other settings or another input: {told}. Run it with the same ones, give "
                f"another name, or remove {self.out.name} and {path.name} to start anew."
            )


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["format"] == FORMAT:
            return known
        why = f"its format is {known['format']!r}, expected {FORMAT!r}"
    except (ValueError, KeyError, TypeError) as error:
        why = repr(error)
    raise JournalError(f"{path} is no record of this command ({why}); move it away or give another name")


def _replace(path: Path, text: str) -> None:
    """Give `path` a new content, which it has wholly or not at all."""
    part = path.with_name(f"{path.name}.part")  # one name: what a killed process left is overwritten
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
