"""Pairs of a better and a worse answer, from outcomes (chapter 7) or scores (chapter 6), and their control.

Samples are rows 0..S-1 of the caller's pool; `group` [S] is the question that each one answers. Samples with
the same text are different rows: what is drawn often is paired often, as in the thesis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
BAND = (0.25, 0.85)  # thesis 7.3.3: shares of right samples of the questions that give pairs


@dataclass(frozen=True)
class PairCounts:
    """How many questions gave how many pairs, and why the others gave none.

    `questions` = `kept` + `all_wrong` + `all_right` + `below` + `above`: no right sample, no wrong one, a
    share of right samples below or above the band. `short` of the kept ones had too few samples for
    `per_question` pairs.
    """

    questions: int
    kept: int
    all_wrong: int
    all_right: int
    below: int
    above: int
    short: int
    pairs: int


@dataclass(frozen=True)
class Pairs:
    """P pairs: rows of the better (`chosen`) and the worse sample, and the question, int64 [P], by question.

    `counts` is about how the pairs were built; a subset keeps it. Raises ValueError for unequal lengths.
    """

    chosen: Ints
    rejected: Ints
    group: Ints
    counts: PairCounts | None = None

    def __post_init__(self) -> None:
        for name in ("chosen", "rejected", "group"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.int64))
        if self.chosen.ndim != 1 or not self.chosen.shape == self.rejected.shape == self.group.shape:
            raise ValueError(
                f"chosen {self.chosen.shape}, rejected {self.rejected.shape} and group {self.group.shape} "
                "given, expected three arrays [P]"
            )

    def __len__(self) -> int:
        return len(self.chosen)

    def subset(self, rows: npt.ArrayLike) -> Pairs:
        """Return the pairs at `rows` (positions or a bool mark for each pair), in that order."""
        rows = np.asarray(rows)
        return replace(self, chosen=self.chosen[rows], rejected=self.rejected[rows], group=self.group[rows])


def pairs_from_outcomes(
    right: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    seed: int,
    band: tuple[float, float] = BAND,
    per_question: int = 3,  # thesis 7.3.3
) -> Pairs:
    """Return random (right, wrong) pairs of the questions whose share of right samples is in `band`.

    `right` bool [S], `group` int [S]. The band includes its ends. A question gives `per_question` pairs, or
    as many as it has right or wrong samples: none is in two pairs (ours; the thesis does not say). Raises
    ValueError for shapes that differ or an impossible band, TypeError when `right` is not bool.
    """
    good, question = checked_samples(right, group)
    if not 0 <= band[0] <= band[1] <= 1:
        raise ValueError(f"band is {band}, expected shares 0 <= low <= high <= 1; the thesis has {BAND}")
    return _pairs(good, question, seed, band, per_question)


def pairs_from_scores(
    scores: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    seed: int,
    threshold: float = 3.0,  # thesis 6.2.3: of a judge's scores 1..5
    per_question: int = 1,  # thesis 6.2.3
) -> Pairs:
    """Return random pairs of a sample with score >= `threshold` and one of the same question below it.

    `scores` float [S], `group` int [S]; questions with scores on one side only are dropped (`all_right`,
    `all_wrong`). Raises ValueError for shapes that differ and for NaN: decide what an answer that could not be
    scored is worth first.
    """
    values = np.asarray(scores, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError(
            f"{np.isnan(values).sum()} of the scores are NaN; give them a score or leave them out"
        )
    good, question = checked_samples(values >= threshold, group)
    return _pairs(good, question, seed, (0.0, 1.0), per_question)


def shuffle_pairs(pairs: Pairs, *, seed: int) -> Pairs:
    """Return the control whose labels say nothing: winner and loser of each pair swapped by a fair coin."""
    swap = np.random.default_rng(seed).random(len(pairs)) < 0.5
    return replace(
        pairs,
        chosen=np.where(swap, pairs.rejected, pairs.chosen),
        rejected=np.where(swap, pairs.chosen, pairs.rejected),
    )


def checked_samples(right: npt.ArrayLike, group: npt.ArrayLike) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Return outcomes bool [S] and questions int64 [S]; ValueError or TypeError when they are anything else."""
    good, question = np.asarray(right), np.asarray(group)
    if good.dtype != bool or not (np.issubdtype(question.dtype, np.integer) or not question.size):
        raise TypeError(f"right is {good.dtype} and group {question.dtype}, expected bool and integers")
    if good.ndim != 1 or good.shape != question.shape:
        raise ValueError(f"right is {good.shape} and group {question.shape}, expected both [S]")
    return good, question.astype(np.int64)


def _pairs(
    good: npt.NDArray[np.bool_], group: Ints, seed: int, band: tuple[float, float], per_question: int
) -> Pairs:
    if per_question < 1:
        raise ValueError(f"per_question is {per_question}, expected at least 1")
    # By question, its good samples first, each side in random order: then the pairs are the two sides in step.
    order = np.lexsort((np.random.default_rng(seed).random(len(good)), ~good, group))
    names, start, size = np.unique(group[order], return_index=True, return_counts=True)
    n_good = np.bincount(np.searchsorted(names, group), weights=good, minlength=len(names)).astype(np.int64)
    n_bad, share = size - n_good, n_good / size
    all_wrong, all_right = n_good == 0, n_bad == 0
    mixed = ~all_wrong & ~all_right
    below, above = mixed & (share < band[0]), mixed & (share > band[1])
    kept = mixed & ~below & ~above
    number = np.where(kept, np.minimum(np.minimum(n_good, n_bad), per_question), 0)
    question = np.repeat(np.arange(len(names)), number)
    place = np.arange(len(question)) - np.repeat(np.cumsum(number) - number, number)
    counts = PairCounts(
        questions=len(names),
        kept=int(kept.sum()),
        all_wrong=int(all_wrong.sum()),
        all_right=int(all_right.sum()),
        below=int(below.sum()),
        above=int(above.sum()),
        short=int((kept & (number < per_question)).sum()),
        pairs=len(question),
    )
    first = start[question] + place
    return Pairs(order[first], order[first + n_good[question]], names[question], counts)
