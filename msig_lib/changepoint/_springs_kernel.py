"""The compiled part of `springs`: integrate many systems of particles side by side."""

from __future__ import annotations

import numpy as np
from numba import njit

LANES = 64  # series side by side: with 5 particles their state stays in the first-level cache


@njit(cache=True, nogil=True)
def _reflect(loc, vel, box):
    """Mirror what is outside [-box, box] back into it, and turn its speed around, in place."""
    for a in range(loc.shape[0]):
        for w in range(LANES):
            if loc[a, w] > box:
                loc[a, w] = 2 * box - loc[a, w]
                vel[a, w] = -abs(vel[a, w])
            if loc[a, w] < -box:
                loc[a, w] = -2 * box - loc[a, w]
                vel[a, w] = abs(vel[a, w])


@njit(cache=True, nogil=True)
def _pull(loc, vel, pull, force, n, step, cap):
    """Add one step's force to the speeds: F_i = sum_j pull_ij (x_i - x_j), one j after the other.

    That is how numpy sums fewer than 8 numbers; only so is the result the official one to the last bit.
    """
    force[:] = 0.0
    for axis in range(2):
        pair = 0
        for i in range(n):
            a = axis * n + i
            for j in range(i + 1, n):
                b = axis * n + j
                for w in range(LANES):
                    part = pull[pair, w] * (loc[a, w] - loc[b, w])
                    force[a, w] += part
                    force[b, w] -= part
                pair += 1
    for a in range(force.shape[0]):
        for w in range(LANES):
            vel[a, w] += step * max(min(force[a, w], cap), -cap)


@njit(cache=True, nogil=True)
def integrate(loc0, vel0, graphs, times, kicks, steps, step, box, spring, cap, out):
    """Fill `out` float64 [S, T, N, 4] with locations and speeds, every `steps` steps; the step is as officially.

    loc0, vel0 float64 [S, 2, N]; graphs uint8 [S, C + 1, N, N]; times int64 [S, C]: change c comes before
    frame times[s, c] and adds kicks[s, c] float64 [2, 2, N] (to locations, to speeds). Every series is
    computed by the same operations in the same order, whatever stands beside it.
    """
    n_series, frames, n, _ = out.shape
    loc = np.zeros((2 * n, LANES))
    vel = np.zeros((2 * n, LANES))
    force = np.zeros((2 * n, LANES))
    pull = np.zeros((n * (n - 1) // 2, LANES))
    for first in range(0, n_series, LANES):
        lanes = min(LANES, n_series - first)
        for w in range(lanes):
            for axis in range(2):
                for i in range(n):
                    loc[axis * n + i, w] = loc0[first + w, axis, i]
                    vel[axis * n + i, w] = vel0[first + w, axis, i]
            _connect(pull, w, graphs[first + w, 0], spring)
        _reflect(loc, vel, box)
        _pull(loc, vel, pull, force, n, step, cap)
        for frame in range(frames):
            for w in range(lanes):
                for c in range(times.shape[1]):
                    if times[first + w, c] == frame:
                        for axis in range(2):
                            for i in range(n):
                                loc[axis * n + i, w] += kicks[first + w, c, 0, axis, i]
                                vel[axis * n + i, w] += kicks[first + w, c, 1, axis, i]
                        _connect(pull, w, graphs[first + w, c + 1], spring)
            for part in range(steps):
                for a in range(2 * n):
                    for w in range(LANES):
                        loc[a, w] += step * vel[a, w]
                _reflect(loc, vel, box)
                if part == steps - 1:  # a frame is kept before the force of its last step
                    for w in range(lanes):
                        for i in range(n):
                            out[first + w, frame, i, 0] = loc[i, w]
                            out[first + w, frame, i, 1] = loc[n + i, w]
                            out[first + w, frame, i, 2] = vel[i, w]
                            out[first + w, frame, i, 3] = vel[n + i, w]
                _pull(loc, vel, pull, force, n, step, cap)


@njit(cache=True, nogil=True)
def _connect(pull, w, graph, spring):
    """Write -spring for every connected pair i < j of `graph` [N, N] into column `w` of `pull`."""
    pair = 0
    for i in range(graph.shape[0]):
        for j in range(i + 1, graph.shape[0]):
            pull[pair, w] = -spring * graph[i, j]
            pair += 1
