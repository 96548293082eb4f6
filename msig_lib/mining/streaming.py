"""Ask about every sentence of a stream of documents, in batches, with or without a second opinion (thesis 5.3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from msig_lib.mining.documents import Document, Mined, Teacher
from msig_lib.mining.signal import Item, agree

SECOND = 10**6  # ours: what is added to the seed for the second sample


@dataclass(frozen=True)
class Finding:
    """A finding with its document; `agreed`: whether two samples gave the same answer, None if one was asked for."""

    document: Document
    mined: Mined
    agreed: bool | None = None

    @property
    def kept(self) -> bool:
        """Whether there is a pair to learn from."""
        return self.mined.kept and self.agreed is not False

    @property
    def outcome(self) -> str:
        """What came of it, for counting: "kept", "malformed", "disagreed" or "refused: " and the criterion."""
        if self.kept or self.mined.malformed:
            return "kept" if self.kept else "malformed"
        return "disagreed" if self.mined.kept else f"refused: {self.mined.fails}"


def sentences(documents: Iterable[Document]) -> Iterator[Item]:
    """Yield (document, number of its sentence) for all sentences of all documents."""
    for document in documents:
        for i in range(len(document.sentences)):
            yield document, i


def findings(
    teacher: Teacher,
    items: Iterable[Item],
    *,
    batch: int,
    seed: int,
    filter: bool = False,
    agreement: float = 1.0,
) -> Iterator[list[Finding]]:
    """Yield what `teacher` says, for `batch` sentences at a time (fewer in the last one).

    With `filter` everything is asked twice, with different seeds, and a pair is kept only where the answers agree
    (`signal.agree`, with its `share`). ValueError for a teacher that would say the same twice.
    """
    if batch < 1:
        raise ValueError(f"batch is {batch}, expected sentences to ask about at a time, from 1")
    sampling = getattr(teacher, "sampling", None)
    if filter and sampling is not None and sampling.temperature == 0:
        raise ValueError(
            f"{teacher.name} answers greedily, so two samples are always the same and filter does nothing: give it a "
            "temperature above 0"
        )
    items = iter(items)
    while block := list(islice(items, batch)):
        found = teacher.ask(block, seed=seed)
        agreed: list[Any] = [None] * len(block)
        if filter:
            agreed = agree(found, teacher.ask(block, seed=seed + SECOND), share=agreement).tolist()
        yield [Finding(document, *rest) for (document, _), *rest in zip(block, found, agreed)]
