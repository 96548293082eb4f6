"""Figures of label control, of texts in the encoder's space, and the coloured matrix that others use."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from msig_lib.display import COLOURS, NEUTRAL, style

FEW = 8  # classes up to which a cell has room for numbers in full size


def label_control(probabilities: npt.ArrayLike, class_names: Sequence[str]) -> Figure:
    """Draw the mean probability of each class (column) for texts written for a class (row): figure 3.4, left.

    `probabilities` float [L, L], rows sum to 1. Cells show per cent, those under half a per cent nothing.
    """
    shares = square(probabilities, class_names, "probabilities")
    with style(axes__grid=False):
        fig, ax = cells(
            shares,
            class_names,
            np.array(to_rgb(COLOURS[0])),
            lambda i, j: f"{100 * shares[i, j]:.0f}" if shares[i, j] >= 0.005 else "",
        )
        ax.set(xlabel="read by the encoder as", ylabel="written for the class")
    return fig


def projection(
    texts: npt.ArrayLike,
    generated: npt.ArrayLike,
    prompts: npt.ArrayLike,
    class_names: Sequence[str],
    *,
    text_class: npt.ArrayLike,
    generated_class: npt.ArrayLike,
    arrows: Sequence[tuple[int, int]] = (),
    method: str = "pca",
    seed: int = 0,
) -> Figure:
    """Draw texts, generated texts and label prompts in two dimensions (figure 3.4, right).

    Vectors float [., dim]; classes int, prompts in the order of `class_names` (6 classes at most, give fewer
    rows otherwise). `arrows` lead from text i to generated text j. `method` "pca" keeps the two directions of
    most variance of the texts and prompts; "tsne" is scikit-learn's with `seed` (the thesis's choice, whose
    distances between groups mean little).
    """
    parts = [np.asarray(v, dtype=np.float64) for v in (texts, generated, prompts)]
    if any(p.ndim != 2 or p.shape[1] != parts[0].shape[1] for p in parts) or not len(parts[0]):
        raise ValueError(f"vectors have shapes {[p.shape for p in parts]}, expected [., dim] of one dim")
    if len(parts[2]) != len(class_names) or len(class_names) > len(COLOURS):
        raise ValueError(
            f"{len(parts[2])} prompts and {len(class_names)} classes; expected one each, {len(COLOURS)} at most"
        )
    owners = [np.asarray(text_class), np.asarray(generated_class)]
    if [len(o) for o in owners] != [len(p) for p in parts[:2]]:
        raise ValueError("text_class and generated_class need one class for every text and generated text")
    flat = _two_dimensions(parts, method, seed)
    with style():
        fig, ax = plt.subplots(figsize=(5.0, 3.9))
        for c, name in enumerate(class_names):
            ax.plot(*flat[0][owners[0] == c].T, "o", color=COLOURS[c], ms=3.5, alpha=0.6, mew=0)
            ax.plot(*flat[1][owners[1] == c].T, "x", color=COLOURS[c], ms=5, mew=1.1)
            ax.plot(*flat[2][c], "*", color=COLOURS[c], ms=15, mec=NEUTRAL, mew=0.8)
            ax.annotate(name, flat[2][c], xytext=(7, 6), textcoords="offset points", weight="bold")
        for i, j in arrows:
            ax.annotate(
                "", flat[1][j], flat[0][i], arrowprops={"arrowstyle": "->", "color": NEUTRAL, "lw": 1}
            )
        for marker, what in (("o", "text"), ("x", "generated"), ("*", "label prompt")):
            ax.plot([], [], marker, color=NEUTRAL, label=what)
        ax.set(xlabel="first direction", ylabel="second direction", xticks=[], yticks=[])
        ax.margins(0.08)
        fig.legend(loc="outside upper center", ncols=3, handletextpad=0.2)
    return fig


def square(values: npt.ArrayLike, names: Sequence[str], what: str) -> np.ndarray:
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (len(names), len(names)) or not len(names):
        raise ValueError(f"{what} have shape {found.shape} for {len(names)} classes, expected a square")
    return found


def cells(
    shares: np.ndarray,
    names: Sequence[str],
    colour: np.ndarray,
    text: Callable[[int, int], str],
) -> tuple[Figure, plt.Axes]:
    """Draw a matrix whose cells are as dense as the square root of `shares` (0..1), so that rare ones show.

    The page shows through a sparse cell, in either theme. `colour` rgb [3] or [n, n, 3]; `text(i, j)` is
    written into a cell of row i and column j.
    """
    n = len(names)
    few = n <= FEW
    side = 2.0 + (0.44 if few else 0.235) * n
    fig, ax = plt.subplots(figsize=(min(side + 0.4, 5.2), min(side, 5.2)))
    picture = np.zeros((n, n, 4))
    picture[..., :3] = colour
    picture[..., 3] = 0.75 * np.sqrt(np.clip(np.nan_to_num(shares), 0, 1))
    ax.imshow(picture, aspect="auto")
    for i, j in np.ndindex(n, n):
        if text(i, j):
            number = ax.text(j, i, text(i, j), ha="center", va="center", fontsize=9 if few else 7)
            number.set_in_layout(False)  # else the layout measures hundreds of numbers, at a second a frame
    ax.set_xticks(range(n), list(names), rotation=40 if few else 90, ha="right" if few else "center")
    if few:
        for tick in ax.get_xticklabels():
            tick.set_rotation_mode("anchor")
    ax.set_yticks(range(n), list(names))
    return fig, ax


def _two_dimensions(parts: list[np.ndarray], method: str, seed: int) -> list[np.ndarray]:
    ends = np.cumsum([len(p) for p in parts])[:-1]
    if method == "pca":
        from sklearn.decomposition import PCA

        base = np.vstack([parts[0], parts[2]])
        flat = PCA(2, svd_solver="full").fit(base).transform(np.vstack(parts))
    elif method == "tsne":
        from sklearn.manifold import TSNE

        every = np.vstack(parts)
        near = min(30.0, (len(every) - 1) / 3)
        flat = TSNE(2, perplexity=near, init="pca", random_state=seed).fit_transform(every)
    else:
        raise ValueError(f"method is {method!r}, expected 'pca' or 'tsne'")
    return np.split(np.asarray(flat, dtype=float), ends)
