"""The figures of the thesis's chapter 6 and appendix 11 that ours stand beside, as printed: per cent, scores 1 to 5."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Row = tuple[float, ...]  # accuracy and score of each set in turn
PUBLIC = ("MSVD-QA", "MSRVTT-QA", "TGIF-QA")
IN = ("ActivityNet-QA", "VIDAL-QA", "WebVid-QA")
OUT = ("MSVD-QA", "MSRVTT-QA", "TGIF-QA", "SSV2-QA")

TABLE_6_1: dict[str, Row] = {
    "Video-ChatGPT": (68.6, 3.8, 58.9, 3.4, 47.8, 3.2),
    "Chat-UniVi": (70.0, 3.8, 53.1, 3.1, 46.1, 3.1),
    "Video-LLaVA": (71.8, 3.9, 59.0, 3.4, 48.4, 3.2),
    "LLaMA-VID 7B": (72.6, 3.9, 58.7, 3.4, 49.2, 3.3),
    "LLaMA-VID 13B": (74.3, 4.0, 59.8, 3.4, 50.8, 3.3),
    "sft": (75.7, 3.9, 58.7, 3.3, 53.5, 3.3),
    "dpo": (80.7, 4.1, 70.2, 3.7, 61.4, 3.5),
}
"""Public benchmarks, judged by gpt-3.5-turbo-0613; the models that the thesis ran on all three."""

TABLE_6_2: dict[str, Row] = {
    "Video-ChatGPT": (34.17, 2.19, 29.35, 2.10, 38.88, 2.27),
    "LLaMA-VID 7B": (36.54, 2.27, 30.58, 2.15, 36.99, 2.24),
    "LLaMA-VID 13B": (37.33, 2.29, 32.50, 2.18, 39.73, 2.30),
    "Chat-UniVi": (39.35, 2.32, 31.40, 2.16, 40.05, 2.31),
    "Video-LLaVA": (41.35, 2.38, 34.30, 2.24, 42.47, 2.39),
    "sft": (66.62, 3.05, 60.50, 2.88, 71.07, 3.17),
    "dpo": (76.62, 3.18, 70.06, 3.04, 79.82, 3.29),
    "image": (69.31, 3.09, 60.57, 2.85, 68.03, 3.02),
    "other": (67.34, 3.02, 62.33, 2.89, 68.98, 3.00),
    "dpo-projector": (71.89, 3.10, 65.57, 2.95, 75.37, 3.21),
    "self-play": (64.11, 2.85, 56.28, 2.68, 67.89, 2.95),
    "dpo-small-rate": (71.13, 3.08, 64.90, 2.92, 73.25, 3.17),
}
"""In the domain, rows [1] to [12] in order, judged by gpt-3.5-turbo-0301."""

TABLE_6_3: dict[str, Row] = {
    "Video-ChatGPT": (34.06, 2.20, 25.65, 1.98, 31.35, 2.09, 19.36, 1.75),
    "LLaMA-VID 7B": (34.14, 2.21, 25.02, 1.99, 27.18, 2.00, 22.16, 1.84),
    "LLaMA-VID 13B": (35.81, 2.25, 26.34, 2.02, 27.58, 2.01, 21.98, 1.83),
    "Chat-UniVi": (35.61, 2.23, 25.89, 2.01, 33.23, 2.13, 20.59, 1.79),
    "Video-LLaVA": (39.46, 2.37, 30.78, 2.15, 32.95, 2.18, 24.31, 1.90),
    "sft": (66.99, 3.09, 57.82, 2.85, 66.13, 3.07, 35.07, 2.23),
    "dpo": (73.64, 3.12, 68.29, 2.98, 74.00, 3.12, 48.89, 2.53),
    "image": (65.19, 2.96, 48.66, 2.52, 53.83, 2.62, 29.60, 2.04),
}
"""Out of the domain, the rows that the thesis has there."""

TABLE_11_1: dict[str, dict[str, Row]] = {
    "0301": {
        "Video-ChatGPT": (78.62, 4.00, 71.67, 3.63, 56.31, 3.45),
        "LLaMA-VID 7B": (82.57, 4.12, 71.94, 3.65, 59.00, 3.63),
        "LLaMA-VID 13B": (83.72, 4.16, 73.63, 3.68, 59.72, 3.66),
        "Chat-UniVi": (80.52, 4.02, 66.92, 3.41, 57.73, 3.49),
        "Video-LLaVA": (81.44, 4.08, 73.29, 3.65, 58.34, 3.61),
        "sft": (85.65, 4.10, 73.85, 3.62, 64.98, 3.65),
        "dpo": (88.50, 4.20, 82.10, 3.84, 75.48, 3.81),
    },
    "0613": {
        "Video-ChatGPT": (68.55, 3.80, 58.90, 3.36, 47.83, 3.21),
        "LLaMA-VID 7B": (72.62, 3.92, 58.73, 3.38, 49.21, 3.28),
        "LLaMA-VID 13B": (74.29, 3.96, 59.82, 3.41, 50.83, 3.33),
        "Chat-UniVi": (70.01, 3.79, 53.08, 3.14, 46.09, 3.12),
        "Video-LLaVA": (71.75, 3.88, 58.97, 3.39, 48.39, 3.24),
        "sft": (75.70, 3.86, 58.73, 3.31, 53.51, 3.30),
        "dpo": (80.73, 4.07, 70.15, 3.66, 61.38, 3.46),
    },
    "1106": {
        "Video-ChatGPT": (73.02, 4.01, 62.09, 3.61, 47.76, 3.36),
        "LLaMA-VID 7B": (75.49, 4.08, 62.09, 3.61, 51.72, 3.47),
        "LLaMA-VID 13B": (76.97, 4.10, 63.16, 3.61, 52.53, 3.50),
        "Chat-UniVi": (72.22, 3.92, 55.02, 3.35, 48.16, 3.31),
        "Video-LLaVA": (74.76, 4.04, 62.70, 3.60, 51.21, 3.45),
        "sft": (81.09, 4.08, 64.13, 3.57, 58.05, 3.53),
        "dpo": (86.05, 4.23, 76.75, 3.85, 70.02, 3.71),
    },
}
"""Public benchmarks by the version of the judge (gpt-3.5-turbo)."""

SUMMARY_11_1: dict[str, dict[str, tuple[float, int]]] = {
    version: dict(zip(TABLE_11_1[version], printed))
    for version, printed in {
        "0301": ((68.87, 6), (71.17, 4), (72.36, 3), (68.39, 7), (71.02, 5), (74.83, 2), (82.03, 1)),
        "0613": ((58.43, 6), (60.19, 4), (61.65, 3), (56.39, 7), (59.70, 5), (62.65, 2), (70.75, 1)),
        "1106": ((60.96, 6), (63.10, 4), (64.22, 3), (58.47, 7), (62.89, 5), (67.76, 2), (77.61, 1)),
    }.items()
}
"""The printed average accuracy and rank."""

FIGURE_6_4 = {"sft sampled": 43.3, "sft greedy": 57.8, "ranker, 64": 62.0, "dpo": 68.29}
"""6.3.2, accuracy on MSRVTT-QA (57.82 and 68.29 in table 6.3); the ranker's is "approximately"."""

BENCHMARKS_6_3_1 = ("MSVD-QA", "MSRVTT-QA", "TGIF-QA", "Next-QA")
JUDGE_6_3_1 = {"used": "gpt-3.5-turbo-0611", "selected": "gpt-3.5-turbo-0613"}

JUDGE_11_16 = {"given": {"question", "prediction", "frames"}, "asked to compare": {"caption", "reference"}}
"""What GPT-4V is given to judge an answer, and what its instructions name (figure 11.16)."""

CAPTION_TOKENS, VIDEO_TOKENS = 140, 2048  # 6.2.3, footnote
PROMPT_WORDS = 175  # figure 11.15, counted: words of the prompt without what is filled in
CAPTIONS = {"WebVid": 400_000, "VIDAL": 450_000, "ActivityNet": 50_000}  # 6.2.1
QUESTIONS, SAMPLES, PAIRS = 20_000, 6, 17_000  # 6.2.3
PRICE, PRICE_GPT_4V = 1.5, 30.0  # dollars a million tokens, 6.2.3
COST = 20.0  # dollars, "less than", 6.2.3
HUMAN_COST, HUMAN_PAIRS = 3_000.0, 10_000  # 6.1, 6.2.3
BATCH, EPOCHS, PEAK_STEPS, PEAK_EPOCHS = 128, 3, 350, 2.5  # 6.3, 6.3.2


def accuracies(row: Row) -> Row:
    """Return the accuracies of a row, in per cent."""
    return row[::2]


def scores(row: Row) -> Row:
    """Return the scores of a row."""
    return row[1::2]


def mean(values: Sequence[float]) -> float:
    """Return the mean that the thesis takes over its sets."""
    return sum(values) / len(values)


def ranks(table: Mapping[str, Row], of: Callable[[Row], Row] = accuracies) -> dict[str, int]:
    """Return the rank of each model (1 is best) by its mean accuracy, or by what `of` takes from a row."""
    means = {name: mean(of(row)) for name, row in table.items()}
    return {name: 1 + sum(other > value for other in means.values()) for name, value in means.items()}


def least_score_lost(before: Row, after: Row, rounding: float = 0.01) -> Row:
    """Return for each set the score a question that answers lost at the least, 0 where none need have.

    An answer that becomes right moves from 2 or below to 3 or above, so by a point or more: without any loss the mean
    score rises by the gain in accuracy at the least, and each point that is missing was lost by some answer.
    `rounding` is how far the difference of two printed scores may be off.
    """
    gains = [(b - a) / 100 for a, b in zip(accuracies(before), accuracies(after))]
    moved = [b - a + rounding for a, b in zip(scores(before), scores(after))]
    return tuple(max(0.0, gain - move) for gain, move in zip(gains, moved))


def costs() -> dict[str, float]:
    """Return what the printed numbers of 6.2.3 imply, in dollars, tokens, steps, epochs and ratios."""
    answers = QUESTIONS * SAMPLES
    return {
        "answers": answers,
        "tokens an answer for the stated cost": COST / PRICE * 1e6 / answers,
        "dollars for the captions alone": answers * CAPTION_TOKENS * PRICE / 1e6,
        "dollars for captions and prompts": answers * (CAPTION_TOKENS + PROMPT_WORDS) * PRICE / 1e6,
        "dollars a pair": COST / PAIRS,
        "dollars a human pair": HUMAN_COST / HUMAN_PAIRS,
        "tokens of a video for one of its caption": VIDEO_TOKENS / CAPTION_TOKENS,
        "dollars for looking at the frames": answers * VIDEO_TOKENS * PRICE_GPT_4V / 1e6,
        "share of questions that give a pair": PAIRS / QUESTIONS,
        "epochs at the peak": PEAK_STEPS * BATCH / PAIRS,
        "steps in the stated epochs": PEAK_EPOCHS * PAIRS / BATCH,
    }
