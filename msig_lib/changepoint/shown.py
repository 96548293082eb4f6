"""What the chapter's page shows of the studies: graphs as squares, rows for figures, and sentences that read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from msig_lib.changepoint.data import Series, edge_values, edges
from msig_lib.changepoint.signal import Scores
from msig_lib.changepoint.springs import SpringSettings, observe
from msig_lib.changepoint.study import (
    CORD,
    KINDS,
    NAMES,
    THESIS,
    Learned,
    View,
    World,
    detection,
    least_flips,
)

UNTOLD = {"spring_regression", "spring_evidence", "position"}
"""Detectors that know the law or the labels: a bound, not a rival."""


HARDLY = 0.55  # of connections right: a coin has half

SCORES = {"cor": "correlation", "ind": "independent"}
"""The two scores as the thesis's table 4.2 calls them."""


def thesis_rows(printed: Mapping[str, Sequence], metric: int = 0) -> dict[str, list[float]]:
    """Return one of the thesis's tables (`figures`) under the names of this page's rows.

    Where it has pairs, `metric` says which of the two. KeyError for a method that the thesis does not have.
    """
    of = {label: NAMES[name] for name, label in THESIS.items()}
    rows = {}
    for key, figures in printed.items():
        label, *rest = key.split(", ")
        named = ", ".join([of[label], *(SCORES.get(part, part) for part in rest)])
        rows[named] = [figure[metric] if isinstance(figure, tuple) else figure for figure in figures]
    return rows


def square(values: np.ndarray) -> np.ndarray:
    """Return values of directed pairs [E] as a matrix [N, N] with zeros on its diagonal; ValueError for another E."""
    n = round((1 + np.sqrt(1 + 4 * len(values))) / 2)
    if values.ndim != 1 or len(values) != n * (n - 1):
        raise ValueError(f"values have shape {values.shape}, expected [N(N-1)], one for each directed pair")
    full = np.zeros((n, n), dtype=values.dtype)
    full[edges(n)] = values
    return full


def true_edges(series: Series) -> np.ndarray:
    """Return the true connections at every frame, float32 [S, T, E]: the second graph from the change on.

    ValueError for series without known graphs, or with several changes, whose graphs between are not known.
    """
    if series.graph is None:
        raise ValueError(f"series of {series.name} have no graph, expected series with true connections")
    if any(len(times) > 1 for times in series.times()):
        raise ValueError("some series have several changes, expected one each at most")
    frames = np.arange(series.X.shape[1])
    after = (series.change_time[:, None] >= 0) & (frames >= series.change_time[:, None])
    before_and_after = edge_values(series.graph.astype(np.float32))
    return np.where(after[..., None], before_and_after[:, None, 1], before_and_after[:, None, 0])


def edge_names(n: int) -> list[str]:
    """Return "i hears j" for every directed pair of n variables, counted from 1."""
    return [f"{i + 1} hears {j + 1}" for i, j in zip(*edges(n))]


def coordinate(series: Series, particle: int = 0, row: int = 0) -> np.ndarray:
    """Return one particle's x and its speed along x, float32 [T, 2]; ValueError where the speeds are hidden."""
    if series.X.shape[3] != 4:
        raise ValueError(
            f"the series have {series.X.shape[3]} features, expected 4: x, y and the speeds along them"
        )
    return series.X[row, :, particle][:, [0, 2]]


def three(scores: Scores, row: int) -> dict[str, np.ndarray]:
    """Return one series' three scores by the names of `figures_springs.scores_over_time`, cut off at both ends."""
    correlation, independent = scores.normed()
    named = {"correlation": correlation, "independent": independent, "ensemble": scores.ensemble}
    return {name: cut_off(values[row], scores.start) for name, values in named.items()}


def cut_off(score: np.ndarray, start: int) -> np.ndarray:
    """Return a score [T] whose first and last `start` frames, which do not count, stay in the range of the others."""
    inner = score[start : len(score) - start + 1]
    return np.clip(score, inner.min(), inner.max())


def noisy(series: Series, noise: float) -> Series:
    """Return series with noise, always the same."""
    return observe(series, noise=noise, seed=0)


def one_kind(series: Series) -> Series:
    """Return the series with one name for all kinds of transition, so that they are judged together."""
    return replace(series, kind=np.full(len(series), "transition"))


def of_ensemble(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep of CORD_CPD's three scores the ensemble, and drop the column."""
    if "score" not in frame:
        return frame
    kept = ~frame["method"].isin(list(CORD)) | (frame["score"] == "ensemble")
    return frame[kept].drop(columns="score").reset_index(drop=True)


def in_table_order(frame: pd.DataFrame) -> list[str]:
    """Return the methods of a frame in the order of tables."""
    there = set(frame["method"])
    return [name for name in NAMES if name in there]


def in_units(frame: pd.DataFrame, settings: SpringSettings) -> pd.DataFrame:
    """Return the frame with `size` in each kind's own unit: kicks as standard deviations, flips as pairs.

    `size` comes as a factor, as `study.with_size` takes it, `settings` are those of the world of size 1.
    """
    kick = {"location": settings.location_kick, "speed": settings.speed_kick}
    sizes = [
        least_flips(settings, size) if kind == "connection" else size * kick[kind]
        for kind, size in zip(frame["kind"], frame["size"])
    ]
    return frame.assign(size=np.array(sizes, dtype=float))


def by_noise_in_words(frame: pd.DataFrame, methods: Sequence[str]) -> str:
    """Say the AUC of every method at the lowest and the highest noise, speeds shown, mean over kinds."""
    shown = frame[frame["seen"] == View().factors["seen"]]
    told = []
    for method in methods:
        mean = shown[shown["method"] == method].groupby("noise")["value"].mean()
        if len(mean):
            told.append(
                f"{NAMES[method]}: {mean.iloc[0]:.2f} at noise {mean.index[0]:g}, "
                f"{mean.iloc[-1]:.2f} at {mean.index[-1]:g}"
            )
    return "; ".join(told)


def standing(frame: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return for every kind, noise and view where `method` stands: its AUC, and the best rival's that learns nothing.

    Columns kind, noise, seen, value, lo, hi, rival, rival_value, rival_lo, rival_hi. Rivals are the detectors that
    are neither networks nor told the law. ValueError when the frame has no row of `method`.
    """
    if not (frame["method"] == method).any():
        raise ValueError(f"no rows of {method!r}, only of {', '.join(dict.fromkeys(frame['method']))}")
    frame = frame.reset_index(drop=True)  # rows of several frames may share a label
    rivals = frame[
        ~frame["method"].isin({*CORD, *UNTOLD, "rnn", "rnn_alone", "lstnet", "klcpd", "klcpd_changes"})
    ]
    rows = []
    for mine in frame[frame["method"] == method].itertuples():
        same = rivals[(rivals.kind == mine.kind) & (rivals.noise == mine.noise) & (rivals.seen == mine.seen)]
        if len(same):
            best = same.loc[same["value"].idxmax()]
            rows.append([mine.kind, mine.noise, mine.seen, mine.value, mine.lo, mine.hi,
                         best.method, best.value, best.lo, best.hi])  # fmt: skip
    columns = ["kind", "noise", "seen", "value", "lo", "hi", "rival", "rival_value", "rival_lo", "rival_hi"]
    return pd.DataFrame(rows, columns=columns)


def where_best(frame: pd.DataFrame, method: str) -> str:
    """Say at which noise and for which kinds the method beats every detector that learns nothing."""
    stands = standing(frame, method)
    ahead = stands[stands["lo"] > stands["rival_hi"]]
    places = len(stands)
    if not len(ahead):
        return (
            f"In none of the {places} cells (kind, noise, speeds shown or hidden) is {NAMES[method]} ahead of the "
            "best detector that learns nothing by more than their intervals."
        )
    told = "; ".join(
        f"{row.kind} at noise {row.noise:g}, {row.seen} seen ({row.value:.2f} against {row.rival_value:.2f})"
        for row in ahead.sort_values(["seen", "kind", "noise"]).itertuples()
    )
    cells = f"**{len(ahead)} of {places}** cells"
    return f"{NAMES[method]} is ahead of every detector that learns nothing in {cells}: {told}."


def without_a_graph(now: Any, recorded: Any, **wanted: object) -> str:
    """Say how many seeds of each encoder end with a graph hardly better than a coin, and how right the others are.

    `now` and `recorded` (or None) are tables of results; an encoder that is only in the record is marked.
    """
    told = []
    for method in CORD:
        for results, mark in ((now, ""), (recorded, " †")):
            rows = results.frame() if results is not None else pd.DataFrame(columns=["metric"])
            rows = rows[rows["metric"] == "graph_accuracy"]
            for name, value in {"method": method, **wanted}.items():
                rows = rows[rows[name] == value] if len(rows) else rows
            if len(rows):
                by_seed = rows.groupby("seed")["value"].mean()
                fails = int((by_seed < HARDLY).sum())
                others = by_seed[by_seed >= HARDLY].mean()
                right = f", else {others:.2f} right" if fails < len(by_seed) else ""
                told.append(f"{NAMES[method]} **{fails}** of {len(by_seed)}{right}{mark}")
                break
    return (
        f"Seeds whose graph is hardly better than a coin (fewer than {HARDLY:.0%} of the connections right): "
        + "; ".join(told) + "."
    )  # fmt: skip


def taken_away(frame: pd.DataFrame, method: str) -> str:
    """Say in which share of the cells the method is ahead, tied or behind, by kind of change."""
    stands, told = standing(frame, method), []
    for kind in KINDS:
        of = stands[stands["kind"] == kind]
        if len(of):
            ahead, behind = (of["lo"] > of["rival_hi"]).sum(), (of["hi"] < of["rival_lo"]).sum()
            told.append(
                f"{kind}: ahead in {ahead}, behind in {behind}, no clear difference in {len(of) - ahead - behind}"
            )
    return (
        f"Of the cells of noise and view, {NAMES[method]} against the best detector that learns nothing: "
        + "; ".join(told) + "."
    )  # fmt: skip


def explored(
    learned: Mapping[tuple[str, int, View], Learned],
    seed: int,
    worlds: Mapping[float, World],
    rivals: Mapping[View, tuple],
) -> dict[tuple[str, float, float], dict]:
    """Return the arguments of `figures_explorer.explorer_frame` for every (kind, noise, size), one series each.

    `worlds` by size of the change (1: the thesis's), `rivals[view]` is the detector shown beside CORD_CPD.
    """
    frames = {}
    for view, (rival, name) in rivals.items():
        one = learned["cord_gnn_rnn", seed, view]
        for size, world in worlds.items():
            series = world.part("test", view)
            scores = detection(one.scores if size == 1.0 else one.others[f"{size:g}"])
            start = series.X.shape[1] // 4
            for kind in KINDS:
                row = int(np.flatnonzero(series.kind == kind)[0])
                frames[kind, float(view.noise), size] = {
                    "paths": series.X[row],
                    "scores": {
                        "CORD_CPD": cut_off(scores[row], start),
                        NAMES[name]: rival(series.X[[row]])[0],
                    },
                    "change_time": int(series.change_time[row]),
                    "evaluated": (start, series.X.shape[1] - start + 1),  # first, last + 1
                }
    return frames
