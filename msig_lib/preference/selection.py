"""Which generated answers are trained on: right samples (STaR, RFT), and what a teacher and an annotation agree on."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from msig_lib.preference.pairs import Ints, checked_samples


@dataclass(frozen=True)
class Selection:
    """Rows of the selected samples, int64 ascending, and what became of the others.

    Of `questions`, `without` had no right sample. Of the samples, `wrong` were wrong, `repeated` had the text
    of another right one of their question, and `over` were more distinct ones than asked for.
    """

    rows: Ints
    questions: int
    without: int
    wrong: int
    repeated: int
    over: int


def select_right(
    right: npt.ArrayLike,
    group: npt.ArrayLike,
    texts: Sequence[Hashable],
    *,
    seed: int,
    per_question: int = 3,  # thesis 7.5
) -> Selection:
    """Return at most `per_question` right samples a question, no two with the same text (thesis 7.5).

    `right` bool [S], `group` int [S], `texts` [S] anything that can be compared (strings, tuples of ids). The
    right samples of a question are gone through in random order, so a text drawn often is likelier to be
    taken. Raises ValueError for lengths that differ, TypeError when `right` is not bool.
    """
    good, question = checked_samples(right, group)
    if len(texts) != len(good):
        raise ValueError(f"{len(texts)} texts for {len(good)} samples, expected one each")
    if per_question < 1:
        raise ValueError(f"per_question is {per_question}, expected at least 1")
    kinds: dict[Hashable, int] = {}
    text = np.array([kinds.setdefault(one, len(kinds)) for one in texts], dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(good))
    order = order[good[order]]
    frame = pd.DataFrame({"question": question[order], "text": text[order]}, index=order)
    distinct = frame.drop_duplicates()
    taken = distinct[distinct.groupby("question").cumcount() < per_question]
    questions = len(np.unique(question))
    return Selection(
        rows=np.sort(taken.index.to_numpy(dtype=np.int64)),
        questions=questions,
        without=questions - frame["question"].nunique(),
        wrong=len(good) - len(frame),
        repeated=len(frame) - len(distinct),
        over=len(distinct) - len(taken),
    )


def agreeing(
    teacher: Sequence[Any],
    annotation: Sequence[Any],
    same: Callable[[Any, Any], bool] = operator.eq,
) -> npt.NDArray[np.bool_]:
    """Return the distillation filter, bool [S]: where the teacher's answer is the annotation's (thesis 12.1.2).

    `same(teacher's, annotation's)` compares two answers. A teacher's None (no answer found) never agrees.
    """
    if len(teacher) != len(annotation):
        raise ValueError(f"{len(teacher)} teacher answers, {len(annotation)} annotations; expected one each")
    return np.array(
        [one is not None and bool(same(one, other)) for one, other in zip(teacher, annotation)], bool
    )


@dataclass(frozen=True)
class FilterQuality:
    """A filter against the truth: counts, and precision and recall of keeping the good and of dropping the bad.

    `precision` is the good share of what is kept and `recall` the kept share of what is good;
    `precision_dropped` is the bad share of what is dropped and `recall_dropped` the dropped share of what is
    bad. NaN where there is nothing to divide by.
    """

    kept_good: int
    kept_bad: int
    dropped_good: int
    dropped_bad: int

    @property
    def precision(self) -> float:
        return _share(self.kept_good, self.kept_bad)

    @property
    def recall(self) -> float:
        return _share(self.kept_good, self.dropped_good)

    @property
    def precision_dropped(self) -> float:
        return _share(self.dropped_bad, self.dropped_good)

    @property
    def recall_dropped(self) -> float:
        return _share(self.dropped_bad, self.kept_bad)


def filter_quality(kept: npt.ArrayLike, good: npt.ArrayLike) -> FilterQuality:
    """Return how a filter's decisions `kept` bool [S] compare with the truth `good` bool [S].

    What is good is the caller's question: the annotation is true, the teacher's answer is, or its whole trace.
    """
    keep, true = np.asarray(kept), np.asarray(good)
    if keep.dtype != bool or true.dtype != bool or keep.shape != true.shape:
        raise ValueError(
            f"kept is {keep.dtype} {keep.shape} and good {true.dtype} {true.shape}, expected bool [S] both"
        )
    cells = [int(((keep == a) & (true == b)).sum()) for a in (True, False) for b in (True, False)]
    return FilterQuality(*cells)


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else float("nan")
