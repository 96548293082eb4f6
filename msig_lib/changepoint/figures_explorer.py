"""The chapter's explorer: one frame a setting of noise, change size and kind, and the same in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from msig_lib.changepoint.figures_springs import BOX, WIDTH, draw_paths, draw_score, particles, peak
from msig_lib.display import style


def explorer_frame(
    paths: npt.ArrayLike,
    scores: Mapping[str, npt.ArrayLike],
    change_time: int,
    *,
    evaluated: tuple[int, int] | None = None,
    box: float = BOX,
) -> Figure:
    """Draw one setting of the explorer: the observed paths, and each method's score over time.

    `paths` float [T, N, M] with the location first; `scores[method]` float [T], for two methods or so.
    """
    found = particles(paths, "paths")
    if not scores:
        raise ValueError("no scores; give {method: [T]} with at least one method")
    with style():
        fig = plt.figure(figsize=(WIDTH, 2.5))
        fig.set_layout_engine("none")  # fixed places: fitting them took half the time of a frame
        draw_paths(fig.add_axes((0.1, 0.2, 0.39, 0.75)), found, change_time, box)
        height = 0.75 / len(scores)
        for k, (name, score) in enumerate(scores.items()):
            ax = fig.add_axes((0.57, 0.95 - (k + 1) * height, 0.41, height - 0.13))
            draw_score(ax, _series(score, len(found), name), change_time, evaluated)
            ax.set_title(name)
            ax.set_yticks([])
            ax.set_ylabel("score")
            ax.tick_params(labelbottom=k == len(scores) - 1)
        ax.set_xlabel("frame")
    return fig


def explorer_words(
    scores: Mapping[str, npt.ArrayLike],
    change_time: int,
    *,
    kind: str,
    noise: float,
    size: str | float | None = None,
    evaluated: tuple[int, int] | None = None,
) -> str:
    """Say in words what `explorer_frame` shows: the setting, and how far off each method's peak is."""
    if not scores:
        raise ValueError("no scores; give {method: [T]} with at least one method")
    of_size = "" if size is None else f" of size {size if isinstance(size, str) else format(size, 'g')}"
    what = "No change" if change_time < 0 else f"A {kind} change{of_size} at frame {change_time}"
    told = [f"{what}, observation noise {noise:g}."]
    for name, score in scores.items():
        at = peak(score, evaluated)
        off = abs(at - change_time)
        far = "on the change" if off == 0 else f"{off} frame{'s' if off > 1 else ''} off"
        told.append(f"{name}: highest at frame {at}{'' if change_time < 0 else ', ' + far}.")
    return " ".join(told)


def _series(values: npt.ArrayLike, frames: int, what: str) -> np.ndarray:
    x = np.asarray(values, dtype=float)
    if x.shape != (frames,):
        raise ValueError(f"{what!r} has shape {x.shape}, expected [{frames}], one value a frame")
    return x
