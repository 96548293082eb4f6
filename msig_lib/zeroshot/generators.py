"""From what a user says about generators ("ngram", a language model, a function) to one over the pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from msig_lib.lm.generate import TextModel
from msig_lib.zeroshot.ngram import NeighbourhoodNgram
from msig_lib.zeroshot.prompted import PromptedGenerator
from msig_lib.zeroshot.retrieval import Retrieval
from msig_lib.zeroshot.signal import TextGenerator

NAMED = {"ngram": NeighbourhoodNgram.fit, "retrieval": Retrieval.fit}
Maker = Callable[[list[str], np.ndarray, np.ndarray, list[str]], TextGenerator]
Choice = str | TextModel | TextGenerator | Maker | None


def make_generator(
    given: Choice, texts: list[str], vectors: np.ndarray, scores: np.ndarray, labels: list[str]
) -> TextGenerator | None:
    """Return the generator over the pool `texts` with `vectors` [n, dim] and label `scores` [n, L].

    `given` is a name of `NAMED`, a language model (which is then prompted), a generator that was fitted on
    `texts`, a function of all the other arguments, or None. ValueError or TypeError for anything else.
    """
    known: Any = given
    if given is None:
        return None
    if isinstance(given, str):
        if given not in NAMED:
            names = ", ".join(map(repr, NAMED))
            raise ValueError(f"generator is {given!r}, expected {names}, None, a model or a generator")
        return NAMED[given](texts, vectors, scores)
    if hasattr(known, "complete"):
        return PromptedGenerator(known, texts, labels)
    if hasattr(known, "generate"):
        own = getattr(known, "texts", None)
        if own is not None and list(own) != texts:
            raise ValueError(
                "the generator was fitted on other texts than those that are learned from (blank ones are left "
                "out, long ones cut): pass a function (texts, vectors, scores, labels) -> generator instead"
            )
        return known
    if callable(given):
        return given(texts, vectors, scores, labels)
    raise TypeError(f"generator is a {type(given).__name__}, expected a name, a model or a generator")
