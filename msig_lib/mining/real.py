"""Real text: XQuAD's English paragraphs with questions people asked, and how many of them mined pairs answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from msig_lib import datasets
from msig_lib.errors import MsigError
from msig_lib.mining.documents import Document, Mined, make_document
from msig_lib.mining.reading import normal

NAME, FILE = "xquad_en", "xquad_en/xquad.en.json"
TOKEN = r"(?u)\b\w+\b"  # one-letter words and digits count too: "6 sacks", "vitamin C"


class FormatError(MsigError, ValueError):
    """Raised for a file that is not in the form of SQuAD 1.1, as `file: reason`."""


@dataclass(frozen=True)
class HumanQuestion:
    """A question that a person asked of a paragraph: `answer` is a part of the text of `document`.

    `sentence` is the number of the sentence that the answer begins in, by the offset the data gives. 122 of XQuAD's
    1,190 answers stand in several sentences of their paragraph; 86 of these have the offset of the first, which in
    a few is not the sentence that was meant.
    """

    id: str
    document: str
    sentence: int
    text: str
    answer: str


@dataclass(frozen=True)
class Reading:
    """Paragraphs as documents, in the order of the file, and all their questions."""

    documents: tuple[Document, ...]
    questions: tuple[HumanQuestion, ...]

    def first(self, n: int) -> Reading:
        """Return the first `n` documents with their questions; ValueError when there are fewer."""
        if not 1 <= n <= len(self.documents):
            raise ValueError(f"n is {n}, expected 1..{len(self.documents)} documents")
        documents = self.documents[:n]
        names = {document.id for document in documents}
        return Reading(documents, tuple(q for q in self.questions if q.document in names))


def load() -> Reading:
    """Return the verified data set (manifest `xquad_en`); DataNotAvailable when it is not here."""
    return read(datasets.load(NAME).paths[FILE])


def read(path: Path | str) -> Reading:
    """Return paragraphs and questions of a file in the form of SQuAD 1.1; FormatError, with the file, for others.

    A paragraph's id is "<title>/<number>". A question with several answers keeps the first.
    """
    path = Path(path)
    documents: list[Document] = []
    questions: list[HumanQuestion] = []
    try:
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
        for article in articles:
            title = article["title"].replace("_", " ")
            for number, paragraph in enumerate(article["paragraphs"]):
                document, ends = _document(f"{article['title']}/{number}", title, paragraph["context"])
                documents.append(document)
                for asked in paragraph["qas"]:
                    questions.append(_question(asked, document.id, paragraph["context"], ends))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FormatError(f"{path}: no readable JSON ({error})") from error
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        where = f"after {documents[-1].id}" if documents else "at the start"
        raise FormatError(f"{path}: not in the form of SQuAD 1.1 {where} ({error!r})") from error
    except ValueError as error:
        raise FormatError(f"{path}: {error}") from error
    if not questions:
        raise FormatError(f"{path}: no questions in it")
    return Reading(tuple(documents), tuple(questions))


def sentences_as_pairs(documents: Sequence[Document]) -> list[Mined]:
    """Return every sentence as the answer of a pair without a question: passage retrieval, a control of `coverage`."""
    return [
        Mined(document.id, i, answer=sentence)
        for document in documents
        for i, sentence in enumerate(document.sentences)
    ]


def shuffled(findings: Sequence[Mined], seed: int) -> list[Mined]:
    """Return the kept pairs with their answers permuted at random: questions alone, the other control."""
    kept = [one for one in findings if one.kept]
    order = np.random.default_rng(seed).permutation(len(kept))
    return [replace(one, answer=kept[i].answer) for one, i in zip(kept, order)]


def coverage(
    findings: Sequence[Mined], questions: Sequence[HumanQuestion], *, by: str = "pair"
) -> pd.DataFrame:
    """Return, for each human question, what the best of all mined pairs is worth: a row each, in order.

    All kept pairs are ranked by the cosine of tf-idf vectors (words in lower case, 1 + log counts) of the human
    question and of the pair's question and answer together, or with `by="question"` of its question alone; of equal
    ones the first in `findings` leads. Columns:
    `document`, `question` (its id); of the best pair `pair` (row in `findings`, -1 when no pair shares a word),
    `similarity`, `same_document`, `same_sentence` (the one that the human answer begins in), `has_answer` (its
    answer contains the human one, word for word but for case and punctuation), `covered` (same_document and
    has_answer) and `words` of its answer; over all pairs `rank_document`, `rank_sentence`, `rank_answer` (of the first
    pair that is so, from 1; NaN: none, or only pairs that share no word) and `possible` (some pair of the same document
    contains the answer). ValueError when there is no kept pair, no question, or no word to find pairs by.
    """
    if by not in ("pair", "question"):
        raise ValueError(f"by is {by!r}, expected 'pair' or 'question'")
    rows = [i for i, one in enumerate(findings) if one.kept]
    if not rows or not questions:
        raise ValueError(
            f"{len(rows)} kept pairs of {len(findings)} findings and {len(questions)} questions: "
            "expected one or more of both"
        )
    pairs = [findings[i] for i in rows]
    answers = [f" {normal(one.answer)} " for one in pairs]
    of_document = np.array([one.document for one in pairs], dtype=object)
    of_sentence = np.array([one.sentence for one in pairs])
    tfidf = TfidfVectorizer(token_pattern=TOKEN, sublinear_tf=True, dtype=np.float64)
    try:
        texts = tfidf.fit_transform(
            [one.question if by == "question" else f"{one.question} {one.answer}" for one in pairs]
        )
    except ValueError as error:
        raise ValueError(f"none of the {len(pairs)} pairs has a word in its {by} to be found by") from error
    similarities = tfidf.transform([one.text for one in questions]) @ texts.T
    found = []
    for i, question in enumerate(questions):
        scores = np.round(
            similarities[[i]].toarray()[0], 12
        )  # equal pairs stay equal, however they are added up
        order = np.argsort(-scores, kind="stable")
        document = of_document == question.document
        sentence = document & (of_sentence == question.sentence)
        wanted = f" {normal(question.answer)} "
        holds = np.array([wanted in answer for answer in answers])
        best = order[0] if scores[order[0]] > 0 else None
        found.append(
            {
                "document": question.document,
                "question": question.id,
                "pair": -1 if best is None else rows[best],
                "similarity": float(scores[order[0]]),
                "same_document": best is not None and bool(document[best]),
                "same_sentence": best is not None and bool(sentence[best]),
                "has_answer": best is not None and bool(holds[best]),
                "covered": best is not None and bool(document[best] and holds[best]),
                "words": 0 if best is None else len(answers[best].split()),
                "rank_document": _rank(document, scores, order),
                "rank_sentence": _rank(sentence, scores, order),
                "rank_answer": _rank(holds & document, scores, order),
                "possible": bool((document & holds).any()),
            }
        )
    return pd.DataFrame(found)


def summary(frame: pd.DataFrame) -> dict[str, float]:
    """Return the shares of a frame of `coverage`, mean reciprocal ranks (none: 0), mean words, the number asked."""
    shares = ("same_document", "same_sentence", "has_answer", "covered", "possible")
    found: dict[str, float] = {name: float(frame[name].mean()) for name in shares}
    for name in ("document", "sentence", "answer"):
        found[f"mrr_{name}"] = float((1 / frame[f"rank_{name}"]).fillna(0).mean())
    return {**found, "words": float(frame["words"].mean()), "questions": len(frame)}


def _rank(wanted: np.ndarray, scores: np.ndarray, order: np.ndarray) -> float:
    """Return the rank from 1 of the first pair that is `wanted` and shares a word, else NaN."""
    hits = np.flatnonzero(wanted[order] & (scores[order] > 0))
    return float(hits[0] + 1) if len(hits) else np.nan


def _document(name: str, title: str, context: str) -> tuple[Document, list[int]]:
    """Return a paragraph as its sentences, and where each ends, in characters that are not white space."""
    document = make_document(context, name, title)
    return document, np.cumsum([_solid(sentence) for sentence in document.sentences]).tolist()


def _question(asked: dict, document: str, context: str, ends: list[int]) -> HumanQuestion:
    answer = asked["answers"][0]
    text, start = answer["text"], answer["answer_start"]
    if not text.strip() or context[start : start + len(text)] != text:
        raise ValueError(f"question {asked['id']}: the answer {text!r} is not at {start} of {document}")
    sentence = int(np.searchsorted(ends, _solid(context[:start]), side="right"))
    return HumanQuestion(asked["id"], document, sentence, asked["question"].strip(), text)


def _solid(text: str) -> int:
    """Return how many characters are not white space: sentences keep all of these."""
    return len("".join(text.split()))
