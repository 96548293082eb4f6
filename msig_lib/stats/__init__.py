"""Ranking metrics, intervals over seeds and items, and the significance tests that the thesis uses."""

from msig_lib.stats.intervals import Interval, mean_interval, paired_interval, ratio_interval
from msig_lib.stats.ranking import (
    PROPENSITY_AB,
    LabelCounts,
    f1_in_frequency_bins,
    hits_at_k,
    label_counts,
    label_f1_at_k,
    macro_f1_at_k,
    precision_at_k,
    propensities,
    psp_at_k,
    psp_terms,
    tail_labels,
)
from msig_lib.stats.significance import (
    TestResult,
    holm,
    macro_t_test,
    micro_sign_test,
    micro_sign_test_decisions,
)

__all__ = [
    "PROPENSITY_AB",
    "Interval",
    "LabelCounts",
    "TestResult",
    "f1_in_frequency_bins",
    "hits_at_k",
    "holm",
    "label_counts",
    "label_f1_at_k",
    "macro_f1_at_k",
    "macro_t_test",
    "mean_interval",
    "micro_sign_test",
    "micro_sign_test_decisions",
    "paired_interval",
    "precision_at_k",
    "propensities",
    "psp_at_k",
    "psp_terms",
    "ratio_interval",
    "tail_labels",
]
