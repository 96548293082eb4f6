"""Tables that figures draw: completed where a column is optional, refused where a point would be wrong."""

import numpy as np
import pandas as pd
import pytest

from msig_lib.display.tidy import checked_rows

KEYS = ["method", "n"]
NEEDED = ["method", "n", "value"]


def table(**columns):
    return pd.DataFrame({"method": ["a", "a", "b"], "n": [1, 2, 1], "value": [0.0, 0.4, 1.0], **columns})


def test_a_whole_table_is_returned_as_it_is():
    frame = table(lo=[-0.1, 0.3, np.nan], hi=[0.1, 0.5, 1.2], extra="x")  # an interval may reach beyond
    pd.testing.assert_frame_equal(checked_rows(frame, NEEDED, KEYS, within={"value": 0}), frame)


def test_missing_ends_are_unknown_and_missing_keys_empty():
    frame = table()
    found = checked_rows(frame, NEEDED, [*KEYS, "kind", "seen"])
    assert list(found.columns) == ["method", "n", "value", "lo", "hi", "kind", "seen"]
    assert found[["lo", "hi"]].isna().all(axis=None) and found["lo"].dtype == float
    assert (found[["kind", "seen"]] == "").all(axis=None)
    assert list(frame.columns) == NEEDED  # the caller's table stays
    pd.testing.assert_frame_equal(found[NEEDED], frame)


def test_values_lie_between_their_bound_and_one_or_are_unknown():
    frame = table(gain=[-1.0, np.nan, 1.0])
    assert len(checked_rows(frame, NEEDED, KEYS, within={"gain": -1, "value": 0})) == 3
    with pytest.raises(ValueError, match=r"gain has values from -1 to 1; give shares, 0 to 1 \(not per cent"):
        checked_rows(frame, NEEDED, KEYS, within={"gain": 0})
    assert len(checked_rows(table(value=[0.0, 50.0, -3.0]), NEEDED, KEYS)) == 3  # no bound was asked for


@pytest.mark.parametrize(
    "frame, message",
    [
        (table()[:0], "the table has 0 rows .* needs rows and method, n, value"),
        (table().drop(columns="value"), r"columns \['method', 'n'\]; it needs rows and value"),
        (table(lo=0.1), "only one of lo and hi"),
        (table(hi=0.1), "only one of lo and hi"),
        (table(lo=[0.1, 0.3, 0.2], hi=[0.2, 0.2, np.nan]), "lo above hi"),
        (table(value=[0.5, 50.0, 99.0]), "value has values from 0.5 to 99; give shares, 0 to 1"),
        (table(value=[0.5, -0.1, 0.2]), "value has values from -0.1 to 0.5"),
        (table(method=["a", None, None]), "2 rows have no method; leave them out first"),
        (table(n=[1, np.nan, 1]), "1 rows have no n"),
        (
            table(n=1),
            "several rows of {'method': 'a', 'n': 1}; .* select the other factors .* summarise them",
        ),
        (pd.concat([table(), table()]), "several rows of {'method': 'a', 'n': 1}"),
    ],
)
def test_what_is_wrong_is_said(frame, message):
    with pytest.raises(ValueError, match=message):
        checked_rows(frame, NEEDED, KEYS, within={"value": 0})
