"""Where articles are searched and read: the interface, and documents at hand searched by tf-idf."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from msig_lib.errors import listing
from msig_lib.mining.documents import Document


class Library(Protocol):
    """Where articles are searched and read.

    `fingerprint` tells apart any two that could answer differently, as far as that can be known. A library may
    have `problems`, a dict that says by title why `article` gave None.
    """

    name: str
    fingerprint: str

    def search(self, query: str, limit: int) -> list[str]:
        """Return the titles of at most `limit` articles, best first; any words are a query."""
        ...

    def article(self, title: str) -> Document | None:
        """Return the article of this title, None if there is none that can be used."""
        ...


class TfIdf:
    """How like a query documents are: the cosine of tf-idf vectors with the title, plus that with the text.

    Words are lower-case without a plural s; term frequencies are logarithmic. ValueError where no document has
    a word.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        whole = [f"{one.title}\n{one.text}" for one in documents]
        if not any(map(stems, whole)):
            raise ValueError(f"{len(whole)} documents without a word were given, expected some to search in")
        self._vectors = TfidfVectorizer(
            tokenizer=stems, token_pattern=None, lowercase=False, sublinear_tf=True
        ).fit(whole)
        self._titles = self._vectors.transform([one.title for one in documents])
        self._texts = self._vectors.transform([one.text for one in documents])

    def scores(self, query: str) -> np.ndarray:
        """Return 0 to 2 for every document, float64 [n]; 0 where it shares no word with the query."""
        asked = self._vectors.transform([query])
        return ((self._titles + self._texts) @ asked.T).toarray().ravel()


class LocalLibrary:
    """A library of documents at hand, searched by tf-idf; ValueError where two have one title.

    >>> LocalLibrary(documents).search("list of steam engines", 3)  # doctest: +SKIP
    """

    def __init__(self, documents: Sequence[Document], name: str = "local") -> None:
        titles = [one.title for one in documents]
        self._documents = dict(zip(titles, documents))
        if len(self._documents) < len(titles):
            twice = sorted({repr(title) for title in titles if titles.count(title) > 1})
            raise ValueError(
                f"several documents have the title {listing(twice, 5)}: an article is asked for by its title, "
                "give each one of its own"
            )
        self.name = name
        self._index = TfIdf(documents)
        told = [[one.id, one.title, one.sentences] for one in documents]
        self.fingerprint = hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def search(self, query: str, limit: int) -> list[str]:
        """Return the titles most like the query that share a word with it; of equal ones the first given."""
        scores = self._index.scores(query).round(12)  # sums in another order must not break a tie
        best = np.argsort(-scores, kind="stable")[: max(limit, 0)]
        titles = list(self._documents)
        return [titles[row] for row in best if scores[row] > 0]

    def article(self, title: str) -> Document | None:
        """Return the document of exactly this title."""
        return self._documents.get(title)


def stems(text: str) -> list[str]:
    """Return the lower-case words of a text, plurals as singulars (Harman 1991, the S stemmer)."""
    return [_singular(word) for word in re.findall(r"\w\w+", text.lower())]


def one_line(text: str) -> str:
    """Return a text from outside as one line: no control characters, U+FFFD for half a surrogate pair."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).split())


def _singular(word: str) -> str:
    if len(word) < 4:
        return word
    if word.endswith("ies") and word[-4] not in "ae":
        return word[:-3] + "y"
    if word.endswith("s") and word[-3:] not in ("aes", "ees", "oes") and word[-2] not in "us":
        return word[:-1]
    return word
