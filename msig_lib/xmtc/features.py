"""tf-idf features of chapter 2, the input of the sparse model (thesis 2.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer


@dataclass(frozen=True)
class TfidfSettings:
    """How texts become features; the thesis names tf-idf and nothing more, so all of it is ours."""

    min_df: int = 2  # ours: a word of one document cannot help another
    sublinear: bool = True  # ours: 1 + log(count), usual for text classification
    max_features: int | None = None  # ours: no limit


@dataclass(frozen=True)
class Features:
    """A fitted vocabulary: `words` (n_features) in column order, and `transform`."""

    vectorizer: TfidfVectorizer
    words: np.ndarray

    @classmethod
    def fit(cls, texts: Sequence[str], settings: TfidfSettings | None = None) -> Features:
        """Learn vocabulary and document frequencies from training texts.

        Raises ValueError when no word occurs in enough documents.
        """
        settings = settings or TfidfSettings()
        vectorizer = TfidfVectorizer(
            sublinear_tf=settings.sublinear,
            min_df=settings.min_df,
            max_features=settings.max_features,
            dtype=np.float32,
        )
        try:
            vectorizer.fit(texts)
        except ValueError as error:
            raise ValueError(
                f"no vocabulary from {len(texts)} texts with min_df={settings.min_df}: {error}. "
                "Give more texts, or a smaller min_df."
            ) from error
        return cls(vectorizer, vectorizer.get_feature_names_out())

    def transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Return tf-idf rows of length 1, csr float32 [n, n_features]; a text without known words is a zero row."""
        return self.vectorizer.transform(texts)
