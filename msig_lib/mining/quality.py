"""What a miner's findings are worth, measured against the world that the passages were written from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from msig_lib.mining.data import Passage
from msig_lib.mining.documents import Mined
from msig_lib.mining.reading import Asked, normal, read_asked, read_claims
from msig_lib.mining.wording import Fact

POINTING = re.compile(
    r"\b(?:passages?|documents?|texts?|sentences?|paragraphs?|articles?|context|above|below|(?:afore)?mentioned"
    r"|according to|as (?:was )?said|author|reader)\b"
)
"""Words by which a question points to a text that its reader does not have."""
PRONOUN = re.compile(r"\b(?:it|its|he|him|his|she|her|hers|they|them|their|theirs|this|that|these|those)\b")
MEASURES = ("supported", "stands_alone", "pair_right", "duplicate")
ANALYSED = ("analysed", "analysis_right", "follows")
COLUMNS = (
    "document",
    "sentence",
    "kept",
    "should_keep",
    "malformed",
    "right_criterion",
    *MEASURES,
    *ANALYSED,
)


def miner_quality(findings: Sequence[Mined], passages: Mapping[str, Passage]) -> pd.DataFrame:
    """Return a row for each finding, in order, with these booleans after `document` and `sentence`.

    `kept`: there is a pair. `should_keep`: the sentence meets all criteria. `malformed`: the output could not be
    read. `right_criterion`: refused, rightly, and by the criterion that the sentence fails.

    Of kept pairs, False for others. `supported`: the answer gives a value for every relation that the question asks,
    and claims only what the passage states (a sentence that leaves it open does not; of a question that names no
    relation the answer has to claim something). `stands_alone`: the question names an entity, before any pronoun, and
    points to no text. `pair_right`: supported, and it asks by name for facts of this very sentence. `duplicate`:
    earlier pairs of the same document claimed all that this answer claims (where nothing can be read: their question
    was the same).

    Of kept pairs with an analysis (`analysed`): `analysis_right`, it claims facts of this very sentence and nothing
    else; `follows`, the answer claims nothing that the analysis does not.

    Texts are read by `reading.read_claims`, so that wording does not matter. ValueError for a document that is not
    among `passages` or a sentence it does not have.
    """
    claimed: dict[str, set[Fact]] = {}
    asked_before: set[tuple[str, str]] = set()
    rows = []
    for one in findings:
        passage = passages.get(one.document)
        if passage is None or not 0 <= one.sentence < len(passage.sentences):
            what = "which is not among the passages" if passage is None else "which it does not have"
            raise ValueError(f"a finding is on sentence {one.sentence} of document {one.document!r}, {what}")
        of = passage.sentences[one.sentence]
        row = dict.fromkeys(COLUMNS, False) | {
            "document": one.document,
            "sentence": one.sentence,
            "kept": one.kept,
            "should_keep": of.fails is None,
            "malformed": bool(one.malformed),
            "right_criterion": not one.malformed and of.fails is not None and one.fails == of.fails,
        }
        if one.kept:
            asked = read_asked(one.question)
            claims = _claims(one, asked, passage)
            supported = _supported(claims, asked, passage)
            told = claimed.setdefault(one.document, set())
            same = (one.document, normal(one.question))
            facts = {(fact.entity, fact.relation) for fact in of.facts}
            wanted = {(entity, noun) for entity in asked.entities for noun in asked.relations}
            row |= {
                "supported": supported,
                "stands_alone": _stands_alone(one.question, asked),
                "pair_right": supported and bool(wanted) and wanted <= facts,
                "duplicate": claims <= told if claims else same in asked_before,
            }
            if one.analysis.strip():
                gave = read_claims(one.analysis, entity=passage.entity)
                row |= {
                    "analysed": True,
                    "analysis_right": bool(gave) and gave <= set(of.facts) and not of.fails,
                    "follows": bool(claims) and claims <= gave,
                }
            told |= claims
            asked_before.add(same)
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({name: bool for name in COLUMNS[2:]})


def summary(frame: pd.DataFrame) -> dict[str, float]:
    """Return the shares in a frame of `miner_quality`, each with the number of findings it is of as `<name>_of`.

    `precision`: kept that should be kept; `recall`: sentences worth asking that are kept (malformed ones are not);
    `found`: of the same, those with a right pair; `supported`, `stands_alone`, `pair_right` and `duplicate`: of the
    kept; `analysis_right` and `follows`: of the kept with an analysis; `malformed`: of all; `right_criterion`: of those
    rightly refused. NaN where there is nothing to share.
    """
    kept, should = frame["kept"], frame["should_keep"]
    refused = ~kept & ~should & ~frame["malformed"]
    shares = {
        "precision": (should, kept),
        "recall": (kept, should),
        "found": (frame["pair_right"], should),
        **{name: (frame[name], kept) for name in MEASURES},
        **{name: (frame[name], frame["analysed"]) for name in ANALYSED[1:]},
        "malformed": (frame["malformed"], kept | True),
        "right_criterion": (frame["right_criterion"], refused),
    }
    found: dict[str, float] = {}
    for name, (hits, of) in shares.items():
        found[name] = float(hits[of].mean()) if of.any() else np.nan
        found[f"{name}_of"] = int(of.sum())
    return found


def _claims(one: Mined, asked: Asked, passage: Passage) -> frozenset[Fact]:
    """Return what the answer claims, its pronouns standing for what the question names, else for the title."""
    entity = asked.entities[0] if asked.entities else passage.entity
    return read_claims(one.answer, entity=entity, relations=asked.relations)


def _supported(claims: frozenset[Fact], asked: Asked, passage: Passage) -> bool:
    stated = {fact for sentence in passage.sentences for fact in sentence.facts}
    entities = asked.entities or (passage.entity,)
    given = {(claim.entity, claim.relation) for claim in claims}
    needed = {(entity, noun) for entity in entities for noun in asked.relations}
    return bool(claims) and claims <= stated and needed <= given


def _stands_alone(question: str, asked: Asked) -> bool:
    words = normal(question)
    if not asked.entities or POINTING.search(words):
        return False
    before = words[: words.index(normal(asked.entities[0]))]
    return not PRONOUN.search(before)
