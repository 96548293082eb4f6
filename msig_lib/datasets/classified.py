"""Single-label text from rows: copies removed, near-duplicates kept together, splits fixed by hash.

Used by the loaders in `news` and `charcnn`; knows nothing of files.
"""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass, replace

import numpy as np

from msig_lib.datasets import neardup
from msig_lib.datasets.text import SPLITS, LabelledText, content_fingerprint

DEV = 1_000  # documents of train set aside as dev, at most a tenth of it
SHARES = (0.6, 0.1, 0.3)  # train, dev, test, where no official split is at hand
TAIL = 40  # letters and digits that two texts must end with to be compared as copies
NEAR_LIMIT = 200_000  # documents; near-duplicates are not looked for in more, to keep memory small


@dataclass(frozen=True)
class Row:
    """One document: its text, class (from 0), where it is from, and whether its title may be missing."""

    text: str
    label: int
    name: str
    untitled: bool = False


@dataclass(frozen=True)
class Options:
    """How many documents of each split (None: all), the first by a hash of their text.

    `pool` is the size of train, the unlabelled pool. `limit` is an upper bound for each of the three splits.
    A smaller slice is part of a larger one, and which documents are dev does not depend on these numbers.
    """

    limit: int | None = None
    pool: int | None = None
    dev: int | None = None
    test: int | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "pool", "dev", "test"):
            value, least = getattr(self, name), 1 if name in ("limit", "pool") else 0
            good = isinstance(value, int) and not isinstance(value, bool) and value >= least
            if value is not None and not good:
                raise ValueError(
                    f"{name}={value!r}: expected a whole number of documents from {least}, or None for all."
                )

    def size(self, split: str) -> int | None:
        """Return the largest number of documents of a split, None for no bound."""
        own = {"train": self.pool, "dev": self.dev, "test": self.test}[split]
        given = [n for n in (own, self.limit) if n is not None]
        return min(given) if given else None


def key(text: str) -> str:
    """Return a text in lower case, letters and digits only: how raw and tokenised copies are matched."""
    return "".join(c for c in text.lower() if c.isalnum())


def order(text: str) -> bytes:
    """Return the hash that decides which documents a slice has."""
    return hashlib.sha256(key(text).encode()).digest()


def clean(text: str) -> str:
    """Undo what the collection of AG's news did to web text: `#39;` and `&lt;`, tags, `\\` for a line end."""
    # An apostrophe is written " #39;": a space before it says nothing, one after it that it closes a word.
    text = re.sub(r"\s+&?#39;(?=(?:s|t|re|ve|ll|d|m)\b|[\s.,;:?!)]|$)", "'", text)
    text = re.sub(r"&?(?:amp\s?;)?#(\d{2,5});", r"&#\1;", text)
    text = re.sub(r"&?\b(amp|lt|gt|quot|nbsp);", r"&\1;", text)
    text = html.unescape(html.unescape(text)).replace("\\", " ")
    text = re.sub(r"</?[A-Za-z][^<>]*>", " ", text)
    return " ".join(text.split())


def detokenise(text: str) -> str:
    """Put tokenised English together again.

    `( AP ) - It 's n't " ` and the like are joined by rule. An apostrophe that the source lost is put back in
    one case only, the possessive or "is" ("Iraq s government"); other losses (titles, accents) remain.
    """
    text = re.sub(r"\b(amp|lt|gt|quot) ;", r"&\1;", text)
    text = clean(text)
    text = re.sub(r"``\s*|\s*''", '"', text)
    text = re.sub(r"(?<=[A-Za-z])\s+s\b(?!\.)", "'s", text)
    text = re.sub(r"\s+(n't|'(?:s|re|ve|ll|d|m))\b", r"\1", text)
    text = re.sub(r"\s+([.,;:?!%)\]}])", r"\1", text)
    text = re.sub(r"([(\[{$])\s+", r"\1", text)
    return text


def assemble(
    name: str,
    label_names: list[str],
    train: list[Row],
    test: list[Row] | None,
    options: Options,
    notes: dict[str, int] | None = None,
    *,
    total: int | None = None,
) -> LabelledText:
    """Make a LabelledText of rows: of an official train and test split, or (test=None) of one list.

    A copy is a text with the same letters and digits; where titles are missing in one source, also one that
    another text ends with. Copies are dropped from train rather than from test, then from later rows.
    Training documents that are near-duplicates of a test document are dropped; all other near-duplicates
    share a group, and so a split. dev is DEV documents of train (or a tenth of `total`, the size of train
    before it was cut), the first by hash.
    """
    rows, told = _without_copies(test or [], train)
    is_test = np.array([in_test for _, in_test in rows], dtype=bool)
    texts = [row.text for row, _ in rows]
    looked = len(rows) <= NEAR_LIMIT
    groups = neardup.phrase_groups(texts) if looked else np.arange(len(rows), dtype=np.int64)
    tainted = np.isin(groups, groups[is_test]) & ~is_test
    hashes = [order(text) for text in texts]
    if test is None:
        split = neardup.hash_split(neardup.group_fraction(texts, groups), SHARES)[groups]
    else:
        reserved = min(DEV, (len(train) if total is None else total) // 10)
        split = np.where(
            is_test, "test", np.where(_first(hashes, groups, ~is_test & ~tainted, reserved), "dev", "train")
        )
    chosen = []
    for part in SPLITS:
        here = np.flatnonzero((split == part) & ~tainted)
        chosen += sorted(sorted(here.tolist(), key=hashes.__getitem__)[: options.size(part)])
    sizes = np.bincount(groups[~tainted], minlength=1)
    told |= {
        "near-duplicates of test documents dropped from train": int(tainted.sum()),
        "documents with a near-duplicate": int((sizes[groups[~tainted]] > 1).sum()),
        "near-duplicates looked for": int(looked),
    }
    numbers = np.unique(groups[chosen], return_inverse=True)[1] if chosen else groups[:0]
    data = LabelledText(
        name=name,
        texts=[texts[i] for i in chosen],
        labels=[[rows[i][0].label] for i in chosen],
        label_names=list(label_names),
        split=split[chosen] if chosen else split[:0],
        groups=numbers.astype(np.int64),
        fingerprint="",
        names=[rows[i][0].name for i in chosen],
        notes={what: (notes or {}).get(what, 0) + told.get(what, 0) for what in {**(notes or {}), **told}},
    )
    return replace(data, fingerprint=content_fingerprint(data))


def _first(hashes: list[bytes], groups: np.ndarray, among: np.ndarray, count: int) -> np.ndarray:
    """Return which documents are in the first groups, by their smallest hash, that hold `count` documents."""
    found = np.zeros(len(hashes), dtype=bool)
    members: dict[int, list[int]] = {}
    for i in np.flatnonzero(among):
        members.setdefault(int(groups[i]), []).append(int(i))
    left = count
    for _, rows in sorted((min(hashes[i] for i in rows), rows) for rows in members.values()):
        if left <= 0:
            break
        if len(rows) <= left:
            found[rows] = True
            left -= len(rows)
    return found


def _without_copies(test: list[Row], train: list[Row]) -> tuple[list[tuple[Row, bool]], dict[str, int]]:
    """Return the rows without copies, test first, and counts of what was dropped."""
    kept: list[tuple[Row, bool]] = []
    whole: dict[str, int] = {}  # key -> place in kept
    tails: dict[str, list[tuple[str, int]]] = {}
    told = {"copies within test": 0, "copies within train": 0, "train documents that are in test": 0}
    other_class = 0
    for row, in_test in [*((r, True) for r in test), *((r, False) for r in train)]:
        k = key(row.text)
        found = whole.get(k)
        if found is None and len(k) >= TAIL:
            for other, place in tails.get(k[-TAIL:], ()):
                if (row.untitled and other.endswith(k)) or (kept[place][0].untitled and k.endswith(other)):
                    found = place
        if found is None:
            whole[k] = len(kept)
            tails.setdefault(k[-TAIL:], []).append((k, len(kept)))
            kept.append((row, in_test))
            continue
        other_class += kept[found][0].label != row.label
        if in_test:
            told["copies within test"] += 1
        else:
            told["train documents that are in test" if kept[found][1] else "copies within train"] += 1
    return kept, told | {"copies with another class than the one kept": other_class}
