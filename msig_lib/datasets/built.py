"""Keep corpora that are made on the spot in the user's cache, each file with its hash beside it.

A cached corpus belongs to the versions of the packages it was read from and to the text of the modules that
made it; when either changes it is built again.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from msig_lib.cachedir import cache_dir
from msig_lib.datasets import docparse, neardup, source, text
from msig_lib.datasets.hashing import aside, sha256_file, write_whole
from msig_lib.datasets.text import LabelledText

COMMON = (source, docparse, neardup, text)  # what every corpus made from documentation is made with
LISTS = ("texts", "labels", "label_names", "names", "packages", "continuations")


@dataclass(frozen=True)
class Built:
    """A corpus made on the spot: its name, how it is made, what it is made from.

    `build()` returns the corpus; `pins()` the versions of the packages it reads, or raises SourceNotFound;
    `module` is the module whose text, besides that of COMMON, decides what is made.
    """

    name: str
    build: Callable[[], LabelledText]
    pins: Callable[[], dict[str, str]]
    module: ModuleType

    def load(self) -> LabelledText:
        """Return the corpus from the cache, or build it and keep it there."""
        return self.cached() or self.store(self.build())

    def fingerprint(self) -> str:
        """Return the content fingerprint of the whole corpus (it is built when it is not in the cache)."""
        return self.cached_fingerprint() or self.load().fingerprint

    def available(self) -> tuple[bool, str]:
        """Return whether the corpus can be made here, and why not."""
        try:
            self.pins()
        except source.SourceNotFound as error:
            return False, str(error)
        return True, "made from the installed packages"

    def path(self) -> Path:
        """Return the corpus's place in the cache: one for each set of versions and module texts."""
        pins = self.pins() | {"python": f"{sys.version_info[0]}.{sys.version_info[1]}"}
        digest = hashlib.sha256(json.dumps(pins, sort_keys=True).encode())
        for module in (*COMMON, self.module):
            digest.update(Path(module.__file__).read_bytes())
        return cache_dir("data") / self.name / f"{digest.hexdigest()[:24]}.json.gz"

    def cached_fingerprint(self) -> str | None:
        """Return the fingerprint of the corpus in the cache, None when it is not there."""
        path = self.path()
        if not self._verified(path):
            return None
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            return json.loads(stream.readline())["fingerprint"]

    def cached(self) -> LabelledText | None:
        """Return the corpus of the cache, None when it is not there."""
        path = self.path()
        if not self._verified(path):
            return None
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            head, body = json.loads(stream.readline()), json.loads(stream.readline())
        split, groups = np.array(body.pop("split")), np.array(body.pop("groups"), dtype=np.int64)
        return LabelledText(name=self.name, split=split, groups=groups, **head, **body)

    def store(self, data: LabelledText) -> LabelledText:
        """Write a corpus to the cache and return it."""
        path = self.path()
        head = {"fingerprint": data.fingerprint, "notes": data.notes}
        body = {key: getattr(data, key) for key in LISTS}
        body |= {"split": data.split.tolist(), "groups": data.groups.tolist()}
        lines = (json.dumps(part, ensure_ascii=True) + "\n" for part in (head, body))
        blob = gzip.compress("".join(lines).encode("ascii"), compresslevel=6, mtime=0)
        write_whole(path, blob)
        write_whole(path.with_suffix(".sha256"), (hashlib.sha256(blob).hexdigest() + "\n").encode("ascii"))
        return data

    def _verified(self, path: Path) -> bool:
        """Whether the cached corpus is there and has the hash written beside it; a changed one is set
        aside."""
        beside = path.with_suffix(".sha256")
        if not path.is_file() or not beside.is_file():
            return False
        actual = sha256_file(path)
        if actual == beside.read_text(encoding="ascii").strip():
            return True
        moved = aside(path, actual)
        print(
            f"{self.name}: the cached corpus {path.name} has changed; set aside as {moved.name}, building "
            "again.",
            file=sys.stderr,
        )
        return False
