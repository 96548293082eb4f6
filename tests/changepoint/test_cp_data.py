"""The container of series, and the order of directed pairs."""

import numpy as np
import pytest
import torch

from msig_lib.changepoint.data import Series, edge_values, edges


def made(n_series: int = 4, **changed: object) -> Series:
    rng = np.random.default_rng(n_series)
    n = 3
    upper = np.triu(rng.integers(0, 2, (n_series, 2, n, n)), 1)
    fields = {
        "X": rng.normal(size=(n_series, 10, n, 2)),
        "change_time": np.arange(n_series) + 3,
        "kind": np.array(["walk", "stand"])[np.arange(n_series) % 2],
        "name": "made",
        "graph": upper + upper.swapaxes(2, 3),
        "counterfactual": rng.normal(size=(n_series, 10, n, 2)),
    }
    return Series(**(fields | changed))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 50])
def test_edges_follow_the_loop_of_the_contract(n):
    expected = [(i, j) for i in range(n) for j in range(n) if j != i]
    receivers, senders = edges(n)
    assert list(zip(receivers.tolist(), senders.tolist())) == expected
    assert receivers.dtype == senders.dtype == np.int64


def test_edges_need_a_variable():
    with pytest.raises(ValueError, match="at least 1"):
        edges(0)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 4), (2, 1, 5, 5)])
def test_edge_values_of_arrays_and_tensors(shape):
    graph = np.arange(np.prod(shape)).reshape(shape)
    receivers, senders = edges(shape[-1])
    values = edge_values(graph)
    assert values.shape == (*shape[:-2], shape[-1] * (shape[-1] - 1))
    for e, (i, j) in enumerate(zip(receivers, senders)):
        assert np.array_equal(values[..., e], graph[..., i, j])
    assert np.array_equal(edge_values(torch.from_numpy(graph)).numpy(), values)


def test_edge_values_refuses_what_is_not_square():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        edge_values(np.zeros((2, 3)))


def test_types_are_converted():
    series = made(kind=["a", "b", "a", "b"], change_time=[3, -1, 9, 1])
    assert len(series) == 4 and series.kind.dtype.kind == "U"
    assert (series.X.dtype, series.graph.dtype, series.change_time.dtype) == (np.float32, np.uint8, np.int64)
    assert series.times() == ((3,), (), (9,), (1,))


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"X": np.zeros((4, 10, 3))}, "series, frames, variables, features"),
        ({"X": np.zeros((4, 10, 0, 2))}, "series, frames, variables, features"),
        ({"change_time": [1, 2]}, r"change_time has shape \(2,\)"),
        ({"kind": ["a"]}, r"kind has shape \(1,\)"),
        ({"change_time": [1, 2, 3, 10]}, "is 10 in series 3, expected 1..9"),
        ({"change_time": [1, 2, 0, 3]}, "is 0 in series 2"),
        ({"change_time": [1, 2, -2, 3]}, "is -2 in series 2"),
        ({"graph": np.zeros((4, 3, 3))}, "graph has shape"),
        ({"graph": np.full((4, 2, 3, 3), 0.5)}, "0 or 1"),
        ({"graph": np.broadcast_to(np.eye(3), (4, 2, 3, 3))}, "0 on the diagonal"),
        ({"graph": np.broadcast_to(np.eye(3, k=1), (4, 2, 3, 3))}, "not symmetric"),
        ({"counterfactual": np.zeros((4, 9, 3, 2))}, "expected that of X"),
        ({"changes": [(3,), (4,), (5,)]}, "of 3 series"),
        ({"changes": [(3,), (4,), (5,), (6, 6)]}, "ascending"),
        ({"changes": [(3,), (4,), (5,), (6, 10)]}, "1..9"),
        ({"changes": [(3,), (4,), (5,), (7,)]}, "is 6 in series 3"),
        ({"changes": [(3,), (4,), (5,), (6, 8)]}, "expected -1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changed, words):
    with pytest.raises(ValueError, match=words):
        made(**changed)


def test_change_times_are_whole_numbers():
    with pytest.raises(TypeError, match="whole numbers"):
        made(change_time=[1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    "rows, expected",
    [
        (2, [2]),
        (-1, [3]),
        (np.int64(1), [1]),
        ([3, 0, 3], [3, 0, 3]),
        ([True, False, False, True], [0, 3]),
        (slice(1, None, 2), [1, 3]),
        ([], []),
    ],
)
def test_subset_keeps_every_field_in_order(rows, expected):
    whole = made(changes=[(3,), (4,), (5,), (6,)])
    part = whole.subset(rows)
    for field in ("X", "change_time", "kind", "graph", "counterfactual"):
        assert np.array_equal(getattr(part, field), getattr(whole, field)[expected]), field
    assert part.changes == tuple(whole.changes[row] for row in expected)


def test_subset_of_series_without_options():
    part = made(graph=None, counterfactual=None).subset([0])
    assert part.graph is None and part.counterfactual is None and part.changes is None


@pytest.mark.parametrize(
    "rows, error",
    [
        ([True, False], IndexError),
        ([4], IndexError),
        ([0.5], TypeError),
        ([[0], [1]], TypeError),
        ("a", TypeError),
    ],
)
def test_subset_refuses_other_rows(rows, error):
    with pytest.raises(error):
        made().subset(rows)


def test_concatenate_undoes_subset():
    whole = made()
    joined = Series.concatenate([whole.subset(slice(0, 1)), whole.subset([]), whole.subset(slice(1, 4))])
    for field in ("X", "change_time", "kind", "graph", "counterfactual"):
        assert np.array_equal(getattr(joined, field), getattr(whole, field)), field
    assert joined.name == "made" and joined.changes is None


def test_concatenate_keeps_what_all_parts_have():
    several = made(2, change_time=[-1, -1], changes=[(2, 5), ()], graph=None, name="other")
    joined = Series.concatenate([made(3), several])
    assert joined.graph is None and joined.counterfactual is not None
    assert joined.changes == ((3,), (4,), (5,), (2, 5), ()) and joined.name == "made + other"
    with pytest.raises(ValueError, match="different"):
        Series.concatenate([made(), made(X=np.zeros((4, 11, 3, 2)), counterfactual=None)])
    with pytest.raises(ValueError, match="at least one"):
        Series.concatenate([])
