"""A corpus for a topic: hypothetical titles are proposed and searched, what is found is filtered (thesis 5.5.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from msig_lib.errors import MsigError, listing
from msig_lib.lm.generate import Sampling, TextModel
from msig_lib.mining.data import Passage
from msig_lib.mining.documents import Document
from msig_lib.mining.library import Library, LocalLibrary, TfIdf, one_line, stems
from msig_lib.mining.prompts import related_prompt, titles_prompt

__all__ = [
    "Corpus",
    "CorpusError",
    "Judge",
    "Library",
    "LikeTopic",
    "LocalLibrary",
    "Proposer",
    "build_corpus",
    "corpus_quality",
    "oracle_judge",
    "oracle_titles",
    "read_titles",
]

WRITING = Sampling(temperature=0.0, max_tokens=1024)  # ours: some fifty titles
JUDGED = 40  # ours: titles in one question to a model, so that its answer stays short
LONGEST = 255  # characters; MediaWiki's limit for a title in bytes
SHOWN = 200  # characters of an answer that cannot be read, in the log
MARKER = re.compile(r"(?:\d+[.)]|[-*•])\s+")
COLUMNS = ["proposed", "source", "found", "document", "kept", "why"]


class CorpusError(MsigError):
    """Raised when there is nothing to search for."""


Proposer = Callable[[str], Sequence[str]]
"""Gives titles that articles on a topic might have."""
Judge = Callable[[str, Sequence[str], Library], Sequence[bool]]
"""Says of titles of a library whether each belongs to a topic."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """The `documents` on a topic, and how they came in: `log`, with a row for each result of each search.

    Its columns: `proposed` and `source` ("proposal" or "keyword"), what was searched for; `found`, the title of a
    result, "" if there was none; `document`, the id of its article, "" if that was not read; `kept`, and `why`.
    What a model wrote that could not be used has a row of its own (`source` "proposer" or "judge").
    """

    documents: tuple[Document, ...]
    log: pd.DataFrame


@dataclass(frozen=True)
class LikeTopic:
    """A `Judge` without a model: keeps articles at least `share` times as like the topic as the likest of them.

    Likeness is `TfIdf` among the articles asked about, which it reads. It knows words only: of "physics" it keeps
    articles that say so. ValueError for an impossible share.
    """

    share: float = 0.25  # ours: more than one passing mention

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}, expected above 0 and at most 1")

    def __call__(self, topic: str, titles: Sequence[str], library: Library) -> list[bool]:
        """Return whether each title's article is like the topic; one that cannot be read is not."""
        articles = {row: library.article(title) for row, title in enumerate(titles)}
        read = {row: one for row, one in articles.items() if one and stems(f"{one.title} {one.text}")}
        scores = np.zeros(len(titles))
        if read:
            scores[list(read)] = TfIdf(list(read.values())).scores(topic)
        return [bool(score > 0 and score >= self.share * scores.max()) for score in scores]


def oracle_titles(passages: Sequence[Passage]) -> Proposer:
    """Return a `Proposer` that knows what the encyclopedia tells on a topic, but not what its pages are called."""

    def propose(topic: str) -> list[str]:
        relations = [fact.relation for one in passages if one.topic == topic for fact in one.facts]
        if not relations:
            known = sorted({one.topic for one in passages})
            raise ValueError(f"topic is {topic!r}, expected one of {listing(known)}")
        forms = ("list", "history", *dict.fromkeys(relations))
        return [f"{form} of {topic}" for form in forms]

    return propose


def oracle_judge(passages: Sequence[Passage]) -> Judge:
    """Return a `Judge` that knows the topic of every page of the generated encyclopedia."""
    topics = {one.document.title: one.topic for one in passages}
    return lambda topic, titles, library: [topics.get(title) == topic for title in titles]


def build_corpus(
    topic: str,
    proposer: Proposer | TextModel,
    library: Library,
    judge: Judge | TextModel | None,
    *,
    keywords: Sequence[str] = (),
    per_title: int = 10,  # ours: a first page of results
    limit: int = 200,  # ours
    seed: int = 0,
) -> Corpus:
    """Return the articles of `library` on `topic` (thesis 5.5.1).

    Titles come from `proposer`, a function or a model that is asked with `prompts.titles_prompt`; they and the
    user's `keywords` are searched for, `per_title` results each. `judge` keeps the titles that belong to the topic:
    a function such as `LikeTopic()`, a model that is asked with `prompts.related_prompt`, or None for all of them.
    Of these the first `limit` articles are read, the best result of each search before any second best. What a
    model writes that cannot be read proposes and keeps nothing, and is in the log. Raises CorpusError if nothing
    is proposed, ValueError for impossible numbers, and what the library raises.
    """
    if not isinstance(topic, str) or not topic.strip():
        raise ValueError(f"topic is {topic!r}, expected words such as 'steam engines'")
    if isinstance(keywords, str):
        raise TypeError(f"keywords is the string {keywords!r}, expected a list of strings: [{keywords!r}]")
    if per_title < 1 or limit < 1:
        raise ValueError(f"per_title is {per_title} and limit {limit}, expected 1 or more of both")
    proposed, rows = _proposals(topic, proposer, seed)
    sources = dict.fromkeys(proposed, "proposal")
    sources |= {word: "keyword" for word in map(one_line, keywords) if word and word not in sources}
    if not sources:
        said = f" ({rows[0][-1]})" if rows else ""
        raise CorpusError(f"nothing was proposed for {topic!r}{said}: give keywords, or another proposer")
    results = {query: library.search(query, per_title) for query in sources}
    places = [
        (rank, row, one) for row, titles in enumerate(results.values()) for rank, one in enumerate(titles)
    ]
    found = list(dict.fromkeys(title for *_, title in sorted(places)))
    verdicts, more = _judged(topic, found, library, judge, seed)
    why = dict(zip(found, verdicts))
    documents: dict[str, Document] = {}
    read: dict[str, str] = {}
    for title in found:
        if why[title] != "related":
            continue
        if len(documents) == limit:
            why[title] = "over the limit"
        elif (article := library.article(title)) is None:
            why[title] = getattr(library, "problems", {}).get(title, "no article")
        else:
            why[title] = (
                "related" if article.id not in documents else "another title of an article that is kept"
            )
            read[title] = article.id
            documents.setdefault(article.id, article)
    for query, titles in results.items():
        rows += [(query, sources[query], one, read.get(one, ""), one in read, why[one]) for one in titles]
        rows += [] if titles else [(query, sources[query], "", "", False, "nothing found")]
    return Corpus(tuple(documents.values()), pd.DataFrame(rows + more, columns=COLUMNS))


def corpus_quality(corpus: Corpus, wanted: set[str]) -> dict[str, float]:
    """Return how well a corpus meets `wanted`, the titles that belong in it; ValueError if that is empty.

    `precision`, `recall` and `f1` are those of its documents, `found_precision` and `found_recall` those of all that
    the searches found, so that search and filter can be told apart; a precision of nothing is nan. `wanted`, `found`
    and `kept` are counts.
    """
    if isinstance(wanted, str) or not wanted:
        raise ValueError(f"wanted is {wanted!r}, expected the titles that belong in the corpus")
    wanted, kept = set(wanted), {one.title for one in corpus.documents}
    found = set(corpus.log.loc[corpus.log["source"] != "judge", "found"]) - {""}
    return {
        "wanted": len(wanted),
        "found": len(found),
        "kept": len(kept),
        "found_precision": _share(found & wanted, found),
        "found_recall": _share(found & wanted, wanted),
        "precision": _share(kept & wanted, kept),
        "recall": _share(kept & wanted, wanted),
        "f1": 2 * len(kept & wanted) / (len(kept) + len(wanted)),
    }


def read_titles(text: str) -> list[str]:
    """Return the titles that a model wrote, each once: one a line, or a JSON array of strings.

    "none" is no title. List markers go where every line has one. ValueError for any other JSON, for no text, and
    for what is no list of titles: a line that ends in a colon, or is longer than a title can be.
    """
    lines = [one_line(line) for line in text.strip().splitlines()]
    lines = [line for line in lines if line]
    if text.lstrip()[:1] in ("[", "{"):
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError("it is not whole JSON") from None
        if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
            raise ValueError("it is JSON, but not an array of strings")
        lines = [line for line in map(one_line, given) if line]
    elif not lines:
        raise ValueError("it is empty")
    elif [line.casefold().rstrip(".") for line in lines] == ["none"]:
        return []
    elif len(lines) > 1 and all(map(MARKER.match, lines)):
        lines = [MARKER.sub("", line, count=1) for line in lines]
    for line in lines:
        if len(line) > LONGEST or line.endswith(":"):
            raise ValueError(f"it is no list of titles ({line[:40]!r})")
    return list(dict.fromkeys(lines))


def _proposals(topic: str, proposer: Proposer | TextModel, seed: int) -> tuple[list[str], list[tuple]]:
    """Return the titles proposed, and log rows of what could not be read."""
    if not hasattr(proposer, "complete"):
        given = proposer(topic)
        if isinstance(given, str):
            raise TypeError(f"the proposer gave the string {given!r:.80}, expected a list of titles")
        return [title for title in dict.fromkeys(map(one_line, given)) if title], []
    text = proposer.complete([titles_prompt(topic)], sampling=WRITING, seed=seed)[0][0].text
    try:
        return read_titles(text), []
    except ValueError as error:
        return [], [("", "proposer", "", "", False, f"malformed, {error}: {one_line(text)[:SHOWN]}")]


def _judged(
    topic: str, titles: Sequence[str], library: Library, judge: Judge | TextModel | None, seed: int
) -> tuple[list[str], list[tuple]]:
    """Return "related", "not related" or "not judged" for each title, and log rows of what could not be used."""
    if judge is None or not titles:
        return ["related"] * len(titles), []
    if not hasattr(judge, "complete"):
        verdicts = list(judge(topic, titles, library))
        if len(verdicts) != len(titles):
            raise ValueError(
                f"the judge gave {len(verdicts)} verdicts on {len(titles)} titles, expected one each"
            )
        return ["related" if one else "not related" for one in verdicts], []
    blocks = [titles[start : start + JUDGED] for start in range(0, len(titles), JUDGED)]
    prompts = [related_prompt(topic, [one_line(title) for title in block]) for block in blocks]
    told, rows = [], []
    for block, (answer, *_) in zip(blocks, judge.complete(prompts, sampling=WRITING, seed=seed)):
        try:
            named = {title.casefold(): title for title in read_titles(answer.text)}
            asked = {one_line(title).casefold() for title in block}
            if named and not asked & set(named):
                raise ValueError("it names no title that was asked about")
        except ValueError as error:
            told += ["not judged"] * len(block)
            said = f"malformed, {error}: {one_line(answer.text)[:SHOWN]}"
            rows.append(("", "judge", "", "", False, said))
            continue
        told += ["related" if one_line(one).casefold() in named else "not related" for one in block]
        strange = [title for key, title in named.items() if key not in asked]
        rows += [("", "judge", one, "", False, "named by the judge, but not asked about") for one in strange]
    return told, rows


def _share(part: set[str], whole: set[str]) -> float:
    return len(part) / len(whole) if whole else float("nan")
