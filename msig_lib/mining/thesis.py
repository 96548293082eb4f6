"""Table 5.1 of the thesis, which ours stands beside, in per cent as printed."""

from __future__ import annotations

ARMS = {
    "conversations": "OASST",
    "+ passages": "OASST + passage",
    "+ QA": "OASST + passage + QA",
    "+ augmented": "OASST + passage + QA + Aug",
}
"""What the thesis calls each arm of ours."""

TOPICS = {
    "thinking machines": "Artificial General Intelligence",
    "healing plants": "Traditional Medicine in Southeast Asia",
    "steam engines": "History of Steam Engine",
    "surgical robots": "Advances in Robotics Surgery",
}
"""What the thesis calls the topic that each of ours is in the spirit of."""

_COLUMNS = {
    "thinking machines": (77.14, 78.00, 80.67, 82.38),
    "healing plants": (66.65, 68.22, 68.92, 70.47),
    "steam engines": (70.6, 73.2, 79.8, 83.2),
    "surgical robots": (70.96, 71.56, 75.63, 74.96),
}
TABLE_5_1 = {
    (theirs, TOPICS[topic]): value
    for topic, column in _COLUMNS.items()
    for theirs, value in zip(ARMS.values(), column)
}
"""Normalised score by (arm, topic), both named as in the thesis."""

DECIMALS = {TOPICS[topic]: 1 if topic == "steam engines" else 2 for topic in TOPICS}
"""Decimals that the figures of a topic are printed with."""


def column(topic: str) -> list[float]:
    """Return the four printed figures of a topic (ours or the thesis's name) by arm; KeyError for another."""
    theirs = TOPICS.get(topic, topic)
    return [TABLE_5_1[arm, theirs] for arm in ARMS.values()]


def scores() -> dict[tuple[str, str], float]:
    """Return the table by (our arm, our topic) as shares between 0 and 1."""
    return {
        (ours, topic): TABLE_5_1[theirs, TOPICS[topic]] / 100
        for ours, theirs in ARMS.items()
        for topic in TOPICS
    }
