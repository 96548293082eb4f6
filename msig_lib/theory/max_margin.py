"""Theorem 8: which classifier a large-norm minimiser is, under three constraints, and where descent goes.

`points` are signed examples z_i = y_i x_i, float64 [n, k]; the margin of w at z_i is <w, z_i>, no intercept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from msig_lib.theory import margin
from msig_lib.theory.checks import TheoryError


def hard_margin(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Return (unit direction, margin) of the hard-margin SVM; TheoryError when no w has all margins > 0.

    min |w| with <w, z_i> >= 1 is a least-distance problem, solved by non-negative least squares
    (Lawson and Hanson 1974, chapter 23).
    """
    z = np.asarray(points, dtype=np.float64)
    system = np.vstack([z.T, np.ones(len(z))])
    target = np.append(np.zeros(z.shape[1]), 1.0)
    dual, residual = optimize.nnls(system, target)
    gap = system @ dual - target
    if residual < 1e-9:
        raise TheoryError(
            "no direction has a positive margin at every point: the signed points are not separable"
        )
    w = -gap[:-1] / gap[-1]
    unit = w / np.linalg.norm(w)
    return unit, float((z @ unit).min())


def widest_gap(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Return (unit direction, gap) with the largest min_i |<u, z_i>| in the plane: maximum-margin clustering.

    Every line through the origin splits the points; each of the n splits has its hard-margin direction.
    """
    z = np.asarray(points, dtype=np.float64)
    if z.shape[1] != 2:
        raise TheoryError(
            f"splits are enumerated in the plane only; the points have {z.shape[1]} coordinates"
        )
    turns = np.sort(np.mod(np.arctan2(z[:, 1], z[:, 0]) + np.pi / 2, np.pi))
    best: tuple[np.ndarray, float] | None = None
    for angle in (turns + np.append(turns[1:], turns[0] + np.pi)) / 2:
        score = z @ np.array([np.cos(angle), np.sin(angle)])
        if np.abs(score).min() > 1e-8 * np.abs(z).max():  # narrower gaps are rounding
            side = np.sign(score)
            found = hard_margin(side[:, None] * z)
            best = found if best is None or found[1] > best[1] else best
    if best is None:
        raise TheoryError("every line through the origin meets a point; remove the points at the origin")
    return best


def norm_minimiser(points: np.ndarray, tau: float, radius: float, *, inside: bool) -> np.ndarray:
    """Return the minimiser of the summed loss over |w| <= radius in the plane, float64 [2].

    With `inside`, also all margins >= 0. The loss falls along every ray, so that the minimiser lies on the
    circle: a grid of angles, then a bounded search around the best one, on the logarithm of the loss.
    """
    z = np.asarray(points, dtype=np.float64)

    def value(angle: float | np.ndarray) -> np.ndarray:
        m = radius * (np.cos(angle)[..., None] * z[:, 0] + np.sin(angle)[..., None] * z[:, 1])
        logs = special.logsumexp(log_loss(m, tau), axis=-1)
        return np.where(np.any(m < 0, axis=-1), np.inf, logs) if inside else logs

    grid = np.linspace(-np.pi, np.pi, 20001)
    found = value(grid)
    if not np.isfinite(found).any():
        raise TheoryError("no direction has all margins >= 0: the signed points are not separable")
    start, width = grid[int(np.argmin(found))], grid[1] - grid[0]
    best = optimize.minimize_scalar(
        lambda angle: float(value(np.asarray(angle))), bounds=(start - width, start + width),
        method="bounded",
        options={"xatol": 1e-12},
    ).x  # fmt: skip
    return radius * np.array([np.cos(best), np.sin(best)])


def log_loss(m: np.ndarray, tau: float) -> np.ndarray:
    """Return the logarithm of the loss at score m, accurate where the loss itself underflows."""
    x = np.abs(np.asarray(m, dtype=np.float64))
    first = np.log(np.maximum(np.log1p(np.exp(-np.minimum(x, 30))), 1e-300))
    first = np.where(x > 30, -x, first)
    second = np.log(np.maximum(x, 1e-300)) + special.log_expit(-x / tau)
    return np.logaddexp(first, second)


def box_minimiser(points: np.ndarray, tau: float, bound: float) -> np.ndarray:
    """Return the minimiser of the loss over 0 <= margins <= bound by SLSQP (Theorem 8's own constraint)."""
    z = np.asarray(points, dtype=np.float64)
    direction, _ = hard_margin(z)
    start = direction * 0.5 * bound / (z @ direction).max()
    solution = optimize.minimize(
        lambda w: margin.loss(z @ w, tau).sum(), start,
        jac=lambda w: z.T @ margin.slope(z @ w, tau),
        constraints=[optimize.LinearConstraint(z, 0.0, bound)],
        method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    if not solution.success:
        raise TheoryError(
            f"the constrained minimisation failed ({solution.message}); lower the bound {bound}"
        )
    return solution.x


def direction_error_bound(radius: float, gap: float, count: int) -> float:
    """Return our rate: |w_B / B - u*| <= sqrt(4 (ln 2n + ln(1 + B g)) / (B g)), g the gap of u*."""
    return float(np.sqrt(4 * (np.log(2 * count) + np.log1p(radius * gap)) / (radius * gap)))


@dataclass(frozen=True)
class Descent:
    """One run of gradient descent: `kind` is "t2l" (with tau, detached), "logistic" or "hinge"."""

    name: str
    kind: str = "t2l"
    tau: float = 0.1  # thesis 3.4.1
    detached: bool = False

    def slope(self, m: np.ndarray) -> np.ndarray:
        """Return the derivative of the run's loss at margins m, float64, same shape."""
        if self.kind == "t2l":
            return margin.slope(m, self.tau, detached=self.detached)
        if self.kind == "logistic":
            return -special.expit(-m)
        if self.kind == "hinge":
            return -(m < 1).astype(np.float64)
        raise TheoryError(f"unknown loss {self.kind!r}; choose t2l, logistic or hinge")


def descend(
    points: np.ndarray,
    runs: Sequence[Descent],
    start: np.ndarray,
    *,
    rate: float,
    steps: int,
    records: int = 60,
) -> tuple[np.ndarray, np.ndarray]:
    """Run plain gradient descent for all `runs` from `start`; return (iterations [r], w [r, runs, k]).

    Iterations are recorded at about `records` points, evenly on a logarithmic axis.
    """
    z = np.asarray(points, dtype=np.float64)
    keep = np.unique(np.geomspace(1, steps, records).astype(int))
    w = np.tile(np.asarray(start, dtype=np.float64), (len(runs), 1))
    out, force = [], np.empty((len(runs), len(z)))
    t2l = [k for k, run in enumerate(runs) if run.kind == "t2l"]
    others = [k for k in range(len(runs)) if k not in t2l]
    taus = np.array([[runs[k].tau] for k in t2l])
    held = np.array([[runs[k].detached] for k in t2l])
    wanted = iter(keep)
    following = next(wanted)
    for step in range(1, steps + 1):
        m = w @ z.T
        if t2l:
            force[t2l] = margin.slope(m[t2l], taus, detached=held)
        for k in others:
            force[k] = runs[k].slope(m[k])
        w = w - rate * force @ z
        if step == following:
            out.append(w.copy())
            following = next(wanted, 0)
    return keep, np.array(out)


def angles(w: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return the angle between w [..., k] and a unit direction [k], in degrees."""
    length = np.linalg.norm(w, axis=-1)
    across = np.linalg.norm(w - (w @ direction)[..., None] * direction, axis=-1)
    return np.degrees(np.arctan2(across / length, (w @ direction) / length))
