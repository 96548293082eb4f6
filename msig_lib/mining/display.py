"""What a page shows of passages and of findings: which sentences are worth asking about, and which parts are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from msig_lib.display import Explorer, FigureOutput, explorer, inline
from msig_lib.display.colours import FOREGROUND
from msig_lib.display.words import checked_name, checked_text, digest
from msig_lib.mining.data import Passage, Sentence
from msig_lib.mining.documents import Mined
from msig_lib.mining.quality import miner_quality
from msig_lib.mining.words import KIND

REFUSED = {
    "clear": "leaves open what holds",
    "informative": "gives nothing that could be asked",
    "new": "repeats what was said",
    "relevant": "is about something else",
}
"""What a sentence does that fails a criterion."""
CARD = (
    "flex:1 1 13rem;min-width:0;overflow-wrap:anywhere;border:1px solid var(--msig-line, currentColor);"
    "border-radius:.5rem;padding:.5rem .75rem"
)


@dataclass(frozen=True)
class Shown:
    """A finding as a page shows it: the verdict, whether it is good, its parts as (name, text, what is wrong)."""

    good: bool
    verdict: str
    parts: tuple[tuple[str, str, str], ...] = ()


NOTHING = Shown(False, "nothing: left out")


def capital(text: str) -> str:
    """Return a text with its first letter in upper case, without white space around it, otherwise as it is."""
    text = text.strip()
    return text[:1].upper() + text[1:]


def truth(sentence: Sentence) -> str:
    """Return in words whether a sentence is worth asking about, what it states, and whether it stands alone."""
    stated = "; ".join(_fact(fact.relation, fact.value) for fact in sentence.facts)
    if sentence.fails:
        words = f"to be refused, not {sentence.fails}: it {REFUSED[sentence.fails]}"
        words += f" ({sentence.about}, {stated})" if stated else ""
    else:
        words = f"worth asking: {stated}"
    return words + ("; needs the passage to be understood" if sentence.needs_context else "")


def judged(passage: Passage, findings: Sequence[Mined]) -> dict[int, Shown]:
    """Return a finding's verdict for each sentence of the passage that `findings` are on.

    Findings on other documents are left out. Verdicts are those of `quality.miner_quality`; its errors too.
    """
    own = [one for one in findings if one.document == passage.document.id]
    rows = miner_quality(own, {passage.document.id: passage}).to_dict("records") if own else []
    return {one.sentence: _shown(one, passage.sentences[one.sentence], row) for one, row in zip(own, rows)}


def shown_passage(passage: Passage, *, name: str, caption: str) -> FigureOutput:
    """Return a figure: the sentences of a passage, each with a mark, what it states or the criterion it fails.

    `name` and `caption` are those of `msig_lib.display.figure`, and so are the errors.
    """
    checked_name(name, "figure")
    checked_text(caption, f"the caption of figure {name!r}")
    items = "".join(
        f"<li>{_sign(not one.fails, 'worth asking', 'to be refused')} {escape(one.text, quote=False)}"
        f"<br/><small>{escape(truth(one), quote=False)}</small></li>"
        for one in passage.sentences
    )
    html = (
        f'<figure class="msig-figure" id="fig-{name}" style="margin:1em 0;color:{FOREGROUND}">'
        f"<p><strong>{escape(passage.entity)}</strong> ({escape(passage.topic)})</p>"
        f'<ol style="overflow-wrap:anywhere">{items}</ol>'
        f'<figcaption class="mathjax_process" style="margin-top:.5em">{inline(caption)}</figcaption></figure>'
    )
    shown = [[one.text, one.fails, truth(one)] for one in passage.sentences]
    return FigureOutput(name, html, digest([passage.document.id, shown]), caption)


def shown_findings(passage: Passage, sentence: int, findings: Mapping[str, Sequence[Mined]]) -> str:
    """Return HTML of what several miners say of one sentence (counted from 0), side by side, wrong parts marked.

    `findings` by a miner's name are all it says of the passage, so that repeated questions are known; others are left
    out. Raises ValueError for a sentence that the passage does not have.
    """
    _check(passage, sentence)
    return _side_by_side(passage, sentence, {name: judged(passage, said) for name, said in findings.items()})


def told_findings(passage: Passage, sentence: int, findings: Mapping[str, Sequence[Mined]]) -> str:
    """Return in words what `shown_findings` shows, for assistive software; its errors."""
    _check(passage, sentence)
    return _in_words(passage, sentence, {name: judged(passage, said) for name, said in findings.items()})


def explore(
    passages: Sequence[Passage], findings_by_miner: Mapping[str, Sequence[Mined]], *, name: str, caption: str
) -> Explorer:
    """Return an explorer over passages and their sentences: what each miner says, and what is wrong with it.

    `findings_by_miner` by the miner's name (as a reader sees it) may hold findings on other passages. Beyond a
    passage's last sentence the last one is shown. Errors are those of `msig_lib.display.explorer`.
    """
    verdicts = [{name: judged(one, said) for name, said in findings_by_miner.items()} for one in passages]
    last = [len(one.sentences) - 1 for one in passages]

    def shown(passage: int, sentence: int) -> str:
        return _side_by_side(passages[passage], min(sentence - 1, last[passage]), verdicts[passage])

    def told(passage: int, sentence: int) -> str:
        return _in_words(passages[passage], min(sentence - 1, last[passage]), verdicts[passage])

    controls: dict[str, Any] = {
        "passage": {
            "values": list(range(len(passages))),
            "kind": "select",
            "format": lambda row: f"{passages[row].entity} ({passages[row].topic})",
        },
        "sentence": {"values": list(range(1, 2 + max(last, default=-1))), "kind": "range"},
    }
    return explorer(shown, controls, name=name, caption=caption, alt=told)


def _side_by_side(passage: Passage, sentence: int, verdicts: Mapping[str, Mapping[int, Shown]]) -> str:
    text = " ".join(
        f"<strong><u>{escape(one.text, quote=False)}</u></strong>"
        if k == sentence
        else escape(one.text, quote=False)
        for k, one in enumerate(passage.sentences)
    )
    cards = "".join(_card(name, found.get(sentence, NOTHING)) for name, found in verdicts.items())
    holds = escape(truth(passage.sentences[sentence]), quote=False)
    return (
        f'<div style="max-width:100%;min-width:0;overflow-wrap:anywhere"><p>{text}</p>'
        f"<p><small>Sentence {sentence + 1} of {len(passage.sentences)} is {holds}.</small></p>"
        f'<div style="display:flex;flex-wrap:wrap;gap:.75rem">{cards}</div></div>'
    )


def _in_words(passage: Passage, sentence: int, verdicts: Mapping[str, Mapping[int, Shown]]) -> str:
    said = "; ".join(f"{name}: {found.get(sentence, NOTHING).verdict}" for name, found in verdicts.items())
    return f"{passage.entity}, sentence {sentence + 1} of {len(passage.sentences)}. {capital(said)}."


def _shown(one: Mined, of: Sentence, row: Mapping[str, Any]) -> Shown:
    if row["malformed"]:
        return Shown(False, "cannot be read", (("Output", one.malformed, "not the one format"),))
    analysis = (("Analysis", capital(one.analysis), ""),) if one.analysis.strip() else ()
    if not row["kept"]:
        named = f"not {one.fails}: it {REFUSED.get(one.fails or '', 'is refused')}"
        if row["should_keep"]:
            return Shown(False, f"refused ({named}), though it is worth asking", analysis)
        other = "" if row["right_criterion"] else f"; the criterion it fails is another: {of.fails}"
        return Shown(True, f"rightly refused, {named}{other}", analysis)
    asked, answered = "", ""
    if not row["stands_alone"]:
        asked = "does not stand alone"
    elif row["supported"] and not row["pair_right"] and row["should_keep"]:
        asked = "asks for what this sentence does not state"
    elif row["duplicate"]:
        asked = "was asked before"
    if not row["supported"]:
        answered = "the passage does not say so"
    parts = (*analysis, ("Question", capital(one.question), asked), ("Answer", capital(one.answer), answered))
    if not row["should_keep"]:
        return Shown(
            False, f"asked, though the sentence is to be refused: it {REFUSED[of.fails or '']}", parts
        )
    return Shown(row["pair_right"], "a right pair" if row["pair_right"] else "a wrong pair", parts)


def _card(name: str, shown: Shown) -> str:
    parts = "".join(
        f"<p style='margin:.35em 0 0'><em>{part}:</em> {escape(text, quote=False)}"
        + (f" <strong style='color:var(--msig-bad, inherit)'>(✗ {escape(wrong)})</strong>" if wrong else "")
        + "</p>"
        for part, text, wrong in shown.parts
    )
    sign = _sign(shown.good, "good", "wrong")
    colour = "var(--msig-good, inherit)" if shown.good else "var(--msig-bad, inherit)"
    return (
        f'<section aria-label="{escape(name)}" style="{CARD}"><p style="margin:0"><strong>{escape(name)}</strong></p>'
        f"<p style='margin:.2em 0 0;color:{colour}'>{sign} {escape(capital(shown.verdict), quote=False)}</p>"
        f"{parts}</section>"
    )


def _sign(good: bool, yes: str, no: str) -> str:
    colour = "var(--msig-good, inherit)" if good else "var(--msig-bad, inherit)"
    mark, label = ("✓", yes) if good else ("✗", no)
    return f"<span role='img' aria-label='{label}' style='color:{colour}'>{mark}</span>"


def _fact(relation: str, value: str) -> str:
    return f"it is a {value}" if relation == KIND else f"{relation} {value}"


def _check(passage: Passage, sentence: int) -> None:
    if not 0 <= sentence < len(passage.sentences):
        raise ValueError(
            f"sentence is {sentence}, but {passage.document.id!r} has {len(passage.sentences)}, counted from 0"
        )
