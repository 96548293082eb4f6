"""The figures of the thesis's chapter 7 and appendix 12 that ours stand beside, in per cent as printed."""

from __future__ import annotations

DATA = ("A-OKVQA", "ChartQA", "DocVQA", "InfoVQA", "TextVQA", "AI2D", "SQA", "MathVista")
TABLE_7_2: dict[tuple[str, str], tuple[float, ...]] = {
    ("format", "direct"): (85.8, 70.2, 75.7, 37.7, 68.2, 71.5, 75.4, 39.3),
    ("format", "cot"): (84.3, 71.2, 67.0, 34.9, 62.2, 67.4, 74.4, 40.3),
    ("direct", "direct"): (86.4, 73.7, 78.0, 45.4, 71.9, 78.8, 91.5, 43.2),
    ("direct", "cot"): (85.7, 71.8, 68.8, 38.6, 63.6, 72.5, 85.4, 38.6),
    ("cot", "direct"): (84.9, 71.8, 81.2, 45.7, 72.1, 75.3, 85.0, 41.9),
    ("cot", "cot"): (85.1, 82.2, 81.2, 49.7, 69.9, 77.0, 91.3, 49.2),
    ("both", "direct"): (85.4, 76.1, 82.9, 50.6, 73.1, 79.4, 90.4, 44.3),
    ("both", "cot"): (86.2, 83.0, 81.8, 51.6, 71.1, 78.5, 92.7, 50.6),
}
"""Accuracy by (mix, prompt), a value for each of `DATA`."""

AVERAGES_7_2 = {
    ("format", "direct"): 65.5, ("format", "cot"): 62.7, ("direct", "direct"): 71.1, ("direct", "cot"): 65.6,
    ("cot", "direct"): 69.7, ("cot", "cot"): 73.2, ("both", "direct"): 72.8, ("both", "cot"): 74.4,
}  # fmt: skip
"""The column of averages as printed."""

TABLE_7_4: dict[tuple[str, str], tuple[float, ...]] = {
    ("before", "direct"): TABLE_7_2["direct", "direct"],
    ("before", "cot"): TABLE_7_2["direct", "cot"],
    ("self-written", "direct"): (85.9, 74.6, 79.2, 47.4, 72.1, 79.5, 92.2, 44.4),
    ("self-written", "cot"): (85.9, 77.9, 75.8, 44.0, 25.1, 76.6, 86.8, 42.0),
}
"""Rejection sampling from the direct-trained model: before and after, a value for each of `DATA`."""

TABLE_12_3_1 = {
    "ChartQA": {70: 83.9, 90: 84.2, 110: 81.8, 0: 80.6, -1: 83.0},
    "A-OKVQA": {70: 86.7, 90: 86.9, 110: 86.3, 0: 85.7, -1: 86.2},
}
"""CoT accuracy of DPO by the words that responses are cut to (0: not cut, -1: before DPO)."""

TABLE_12_3_2 = {"before": (86.2, 83.0, 50.6), "DPO": (87.0, 84.2, 52.1), "RFT": (85.4, 84.4, 49.0)}
"""CoT accuracy on A-OKVQA, ChartQA, MathVista before and after DPO, and after RFT on all three."""

MMMU_OF_SFT = {"table 7.3": 40.0, "table 7.5": 40.1}
"""CoT accuracy of the SFT model on MMMU by table."""

DISTILLED = {
    "A-OKVQA": 16.9, "ChartQA": 26.0, "SQA": 6.1, "AI2D": 11.9, "InfoVQA": 22.4, "DocVQA": 37.3, "TextVQA": 29.7,
    "MathVision": 11.0,
}  # fmt: skip
"""Traces in the data set by source, in thousands (7.3.1), said to be 193 in all."""


def chart(table: dict[tuple[str, str], tuple[float, ...]]) -> dict[tuple[str, str], float]:
    """Return a table's ChartQA column as shares between 0 and 1."""
    at = DATA.index("ChartQA")
    return {key: row[at] / 100 for key, row in table.items()}
