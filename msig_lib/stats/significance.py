"""The thesis's significance tests (Yang and Liu, 1999: macro t-test, micro sign test), and Holm's correction.

Both tests are one-sided by default ("a is better than b"), as in Yang and Liu. They look at the items of one
run (or of seeds averaged); how sure a difference is over training seeds as well is
`intervals.paired_interval`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy import stats

from msig_lib.stats.ranking import Truth, as_truth, hits_at_k

Alternative = Literal["greater", "less", "two-sided"]


@dataclass(frozen=True)
class TestResult:
    """A test's statistic and p-value, the effect it is about, and how many items it used."""

    __test__ = False  # not a test case, whatever its name suggests to pytest

    statistic: float
    pvalue: float
    effect: float
    n: int


def macro_t_test(a: npt.ArrayLike, b: npt.ArrayLike, alternative: Alternative = "greater") -> TestResult:
    """Paired t-test over labels: is mean(a - b) of per-label F1 [n_labels] above 0 (figure 2.3)?

    [n_seeds, n_labels] is averaged over seeds first; labels without a value on either side are left out.
    `effect` is the mean difference. Identical sides give p = 1. Raises ValueError under two labels.
    """
    d = _differences(a, b)
    if len(d) < 2:
        raise ValueError(f"{len(d)} labels have a value on both sides; the macro t-test needs at least 2.")
    if not d.any():
        return TestResult(0.0, 1.0, 0.0, len(d))
    if np.ptp(d) == 0:  # no spread at all: the sign decides, as in the limit
        p = {"greater": float(d[0] < 0), "less": float(d[0] > 0), "two-sided": 0.0}[_known(alternative)]
        return TestResult(float(np.copysign(np.inf, d[0])), p, float(d[0]), len(d))
    result = stats.ttest_1samp(d, 0.0, alternative=_known(alternative))
    return TestResult(float(result.statistic), float(result.pvalue), float(d.mean()), len(d))


def micro_sign_test(a: npt.ArrayLike, b: npt.ArrayLike, alternative: Alternative = "greater") -> TestResult:
    """Exact binomial sign test over paired measurements: is a > b more often than a < b?

    Give one value per document (P@k, PSP@k: table 2.3's marks) or per decision. Ties are left out; [n_seeds,
    n] is averaged over seeds first. `statistic` is the share of wins of a, `effect` that share minus 1/2, `n`
    the untied items. All tied gives p = 1. Yang and Liu's unit is the single (document, label) decision: for
    rankings see `micro_sign_test_decisions`.
    """
    d = _differences(a, b)
    return _signs(int((d > 0).sum()), int((d < 0).sum()), alternative)


def micro_sign_test_decisions(
    topk_a: npt.ArrayLike, topk_b: npt.ArrayLike, truth: Truth, k: int, alternative: Alternative = "greater"
) -> TestResult:
    """Sign test over the (document, label) decisions in which exactly one of two top-k rankings is right.

    A ranking's decision is right when it includes a true label in its first `k` or leaves a false one out.
    Arguments as in `ranking.hits_at_k`; most decisions are shared correct omissions and tie.
    """
    true = as_truth(truth)
    chosen_a, chosen_b = (_indicator(topk, true, k) for topk in (topk_a, topk_b))
    differ = chosen_a - chosen_b  # +1: only a predicts the label, -1: only b does
    on_true = differ.multiply(true.astype(np.int64))
    only_a, only_b = int((differ == 1).sum()), int((differ == -1).sum())
    right_a, right_b = int((on_true == 1).sum()), int((on_true == -1).sum())
    return _signs(right_a + (only_b - right_b), right_b + (only_a - right_a), alternative)


def holm(pvalues: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return Holm's step-down adjusted p-values in the given shape; NaN entries stay NaN and do not count.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(pvalues, dtype=np.float64)
    known = np.isfinite(p)
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise ValueError(f"p-values span {np.nanmin(p)}..{np.nanmax(p)}; give values between 0 and 1.")
    values = p[known]
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    out = np.full(p.shape, np.nan)
    out[known] = adjusted
    return out


def _known(alternative: str) -> str:
    if alternative not in ("greater", "less", "two-sided"):
        raise ValueError(f"alternative={alternative!r}; use 'greater', 'less' or 'two-sided'.")
    return alternative


def _differences(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.float64]:
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape[-1:] != y.shape[-1:] or not 1 <= x.ndim <= 2 or not 1 <= y.ndim <= 2:
        raise ValueError(
            f"a has shape {x.shape} and b {y.shape}; give [n_items] or [n_seeds, n_items] of each."
        )
    d = np.atleast_2d(x - y)
    valid = np.isfinite(d)
    return np.where(valid, d, 0.0).sum(axis=0)[valid.any(axis=0)] / valid.sum(axis=0)[valid.any(axis=0)]


def _signs(wins: int, losses: int, alternative: str) -> TestResult:
    n = wins + losses
    if not n:
        return TestResult(0.5, 1.0, 0.0, 0)
    p = stats.binomtest(wins, n, 0.5, alternative=_known(alternative)).pvalue
    return TestResult(wins / n, float(p), wins / n - 0.5, n)


def _indicator(topk: npt.ArrayLike, true: sp.csr_array, k: int) -> sp.csr_array:
    hits_at_k(topk, true, k)  # for its checks
    ranks = np.asarray(topk)[:, :k]
    row = np.repeat(np.arange(len(ranks)), k)[ranks.ravel() >= 0]
    column = ranks.ravel()[ranks.ravel() >= 0]
    return sp.csr_array((np.ones(len(row), dtype=np.int64), (row, column)), shape=true.shape)
