"""Errata of chapter 4 that the thesis's own tables show."""

from msig_lib.changepoint.figures import TABLE_4_2


def columns(score: str, kind: int) -> list[float]:
    """AUCs of one score in table 4.2, for location (0), speed (1) or connection (2)."""
    return [cells[kind][0] for name, cells in TABLE_4_2.items() if score in name]


def test_the_speed_scores_of_table_4_2_are_below_what_the_text_says():
    speed = columns("ind", 1)
    assert len(speed) == 3 and max(speed) < 0.97  # the text: over 0.97
    assert min(columns("ind", 0)) > 0.97


def test_the_caption_of_table_4_2_names_the_wrong_score():
    for kind in (0, 1):
        assert max(columns("cor", kind)) < 0.6 < 0.95 < min(columns("ind", kind))
