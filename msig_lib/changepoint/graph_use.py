"""What the generated graph is worth to the decoder: forecasts with it, and with graphs that cannot help."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from msig_lib.changepoint.estimator import CorrelationCPD, as_series

SOURCES = ("generated", "another series'", "average")


def errors_by_graph(
    model: CorrelationCPD,
    X: npt.ArrayLike,
    graph: npt.NDArray[np.float32] | None = None,
    *,
    seed: int = 0,
    batch: int = 64,
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the mean squared error of each series' forecasts, float64 [S], by where their graph is from.

    X is float [S, T, N, M], `graph` float32 [S, T, E] as scores hold it (None: made from X). Errors are in training
    deviations, over the windows of `model.window` frames from every frame but the first (Eq. 4.2). "generated" is the
    series' own graph, "another series'" that of a random other one, "average" the mean graph of all, frame by frame.
    A decoder that uses the graph forecasts worse with the last two. ValueError for less than two series or variables,
    and for a graph of another shape; other errors as `model.score_samples`.
    """
    if batch < 1:
        raise ValueError(f"batch is {batch}, expected at least 1 series at a time")
    values = as_series(X)
    if len(values) < 2 or values.shape[2] < 2:
        raise ValueError(f"X has shape {values.shape}, expected at least 2 series of at least 2 variables")
    graph = model.score_samples(values).graph if graph is None else graph
    pairs = values.shape[2] * (values.shape[2] - 1)
    if np.shape(graph) != (*values.shape[:2], pairs):
        raise ValueError(
            f"graph has shape {np.shape(graph)}, expected {(*values.shape[:2], pairs)}, that of X"
        )
    own = torch.from_numpy(graph)
    shift = int(np.random.default_rng(seed).integers(1, len(values)))  # nobody keeps its own graph
    graphs = dict(zip(SOURCES, (own, own.roll(shift, 0), own.mean(0, keepdim=True).expand_as(own))))
    x = torch.from_numpy(model._normed(values))
    model.model_.eval()
    out = {}
    with torch.inference_mode():
        for name, graph in graphs.items():
            parts = [
                model.model_.window_errors(x[i : i + batch], graph[i : i + batch].contiguous(), model.window)
                for i in range(0, len(x), batch)
            ]
            out[name] = torch.cat(parts)[:, 1:].double().mean(1).numpy()
    return out
