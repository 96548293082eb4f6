"""The one format of what teachers and miners write about a sentence, written and read strictly.

    Analysis: It gives the pressure of Velan Doru, 45 bar.
    Question: What is the pressure of Velan Doru?
    Answer: The pressure of Velan Doru is 45 bar.

or, with a word of `CRITERIA`, after an analysis or alone:

    Refused: new

A line is one field. What reads otherwise is malformed: it is kept as it stands and counted; nothing in it is guessed.
"""

from __future__ import annotations

import re

from msig_lib.mining.documents import CRITERIA, Mined

_NAME = "analysis|question|answer|refused"  # in any case: some tokenisers lower it
_BOLD = rf"\*\*(?P<bold>{_NAME})(?:\s*:\s*\*\*|\*\*\s*:)"  # "**Question:**", as chat models are used to write
FIELD = re.compile(rf"(?:(?P<plain>{_NAME})\s*:|{_BOLD})\s*(?P<said>\S.*)", re.IGNORECASE)
WITH_ANALYSIS = {("analysis", "question", "answer"), ("analysis", "refused"), ("refused",)}
WITHOUT = {("question", "answer"), ("refused",)}
NOTHING = "(nothing was written)"  # stands for an empty output, which could not be told from a sound finding


def write_output(mined: Mined, analysis: bool) -> str:
    """Return a finding as a miner writes it, without a line end after it; `read_output` gives it back.

    Without `analysis` that of the finding is left out. White space becomes single spaces. Raises ValueError for a
    malformed finding, a criterion that is not one of `CRITERIA`, and an empty field.
    """
    if mined.malformed:
        raise ValueError(
            f"the finding on {_where(mined)} is malformed and cannot be written: leave out those with .malformed"
        )
    if mined.fails is not None and mined.fails not in CRITERIA:
        raise ValueError(f"fails is {mined.fails!r} ({_where(mined)}), expected one of {', '.join(CRITERIA)}")
    if mined.fails is not None:
        said = {"Analysis": mined.analysis} if analysis and mined.analysis.strip() else {}
        said["Refused"] = mined.fails
    else:
        said = {"Analysis": mined.analysis} if analysis else {}
        said |= {"Question": mined.question, "Answer": mined.answer}
    flat = {name: " ".join(text.split()) for name, text in said.items()}
    empty = [name.lower() for name, text in flat.items() if not text]
    if empty:
        raise ValueError(f"the finding on {_where(mined)} has no {empty[0]}: expected a text")
    return "\n".join(f"{name}: {text}" for name, text in flat.items())


def read_output(text: str, analysis: bool, document: str, i: int) -> Mined:
    """Return what `text` says about sentence `i` of the document with the id `document`.

    With `analysis` a question and answer need one before them, and a refusal may have one; without, there is none.
    Forgiven are case, blank lines, spaces around a colon and at the ends of lines, asterisks around a field's name,
    and a full stop after a criterion. Anything else (another order, a field twice, empty or over two lines, other
    words) gives a malformed finding that holds the text.
    """
    said = read_fields(text)
    wanted = WITH_ANALYSIS if analysis else WITHOUT
    if said is None or tuple(said) not in wanted:
        return malformed(text, document, i)
    fails = read_criterion(said["refused"]) if "refused" in said else None
    if fails is None and "refused" in said:
        return malformed(text, document, i)
    return Mined(
        document,
        i,
        analysis=said.get("analysis", ""),
        fails=fails,
        question=said.get("question", ""),
        answer=said.get("answer", ""),
    )


def read_fields(text: str) -> dict[str, str] | None:
    """Return what each line says by its field's name, in order; None if a line is no field, or one comes twice.

    >>> read_fields("question : what is a bell ?\\nAnswer: A thing that rings.")
    {'question': 'what is a bell ?', 'answer': 'A thing that rings.'}
    """
    said: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        hit = FIELD.fullmatch(line)
        if hit is None:
            return None
        name = (hit["plain"] or hit["bold"]).lower()
        if name in said:
            return None
        said[name] = hit["said"]
    return said


def read_criterion(said: str) -> str | None:
    """Return the criterion that is named, None for any other words."""
    plain = said.lower().removesuffix(".").strip()
    return plain if plain in CRITERIA else None


def malformed(text: str, document: str, i: int) -> Mined:
    """Return the finding for what cannot be read."""
    return Mined(document, i, malformed=text or NOTHING)


def _where(mined: Mined) -> str:
    return f"sentence {mined.sentence} of {mined.document!r}"
