"""The recurrence of `gru`, a block of rows at a time: their states and the weights stay in the first-level cache."""

from __future__ import annotations

import numpy as np

from msig_lib.changepoint._activation import compiled, exp, inlined

BLOCK = 64  # rows in one matrix product


@inlined
def _update(given, mixed, state, kept, out):
    """r, z = sigmoid(given + mixed), n = tanh(given + r mixed), out = state = (1 - z) n + z state, of one row."""
    h = out.size
    one, two = out.dtype.type(1), out.dtype.type(2)
    x_r, x_z, x_n, r, z, n, m = given[0], given[1], given[2], kept[0], kept[1], kept[2], kept[3]
    for c in range(h):
        r[c] = one / (one + exp(-(x_r[c] + mixed[c])))
    for c in range(h):
        z[c] = one / (one + exp(-(x_z[c] + mixed[h + c])))
    for c in range(h):
        m[c] = mixed[2 * h + c]
        e = exp(-two * (x_n[c] + r[c] * mixed[2 * h + c]))
        n[c] = (one - e) / (one + e)
    for c in range(h):
        new = n[c] + z[c] * (state[c] - n[c])
        state[c] = new
        out[c] = new


@inlined
def _update_back(g, carry, kept, before, to, gm, gate):
    """Gradients of the gates before their activation, also into `gate` with n's mixed part; carry becomes g z."""
    h = g.size
    one = g.dtype.type(1)
    r, z, n, m, gr, gz, gn = kept[0], kept[1], kept[2], kept[3], to[0], to[1], to[2]
    for c in range(h):
        total = g[c] + carry[c]
        carry[c] = total * z[c]
        gz[c] = total * (before[c] - n[c]) * z[c] * (one - z[c])
        gn[c] = total * (one - z[c]) * (one - n[c] * n[c])
    for c in range(h):
        gm[c] = gn[c] * r[c]
        gr[c] = gn[c] * m[c] * r[c] * (one - r[c])
    for c in range(h):
        gate[c] = gr[c]
        gate[h + c] = gz[c]
        gate[2 * h + c] = gm[c]


@compiled
def forward(given, across, bias, start, out, gates):
    """Run the recurrence along the first axis, the second direction backwards.

    given [T, B, D, 3, H]: the inputs' part of r, z and n; across [D, H, 3 H] multiplies the state; bias [D, 3 H] of
    that product; start [B, D, H]. Writes out [T, B, D, H] and gates [T, B, D, 4, H]: r, z, n and n's part of the
    product.
    """
    frames, rows, directions, _, h = given.shape
    few = min(BLOCK, rows)
    state, mixed = np.empty((few, h), given.dtype), np.empty((few, 3 * h), given.dtype)
    for d in range(directions):
        for begin in range(0, rows, few):
            count = min(few, rows - begin)
            for k in range(count):
                for c in range(h):
                    state[k, c] = start[begin + k, d, c]
            for s in range(frames):
                t = s if d == 0 else frames - 1 - s
                np.dot(state[:count], across[d], mixed[:count])
                for k in range(count):
                    b = begin + k
                    for c in range(3 * h):
                        mixed[k, c] += bias[d, c]
                    _update(given[t, b, d], mixed[k], state[k], gates[t, b, d], out[t, b, d])


@compiled
def backward(g, gates, out, start, w, ggiven, gmixed, gstart):
    """Write the gradients of `given`, of n's part of the product [T, B, D, H] and of `start`; w [D, 3 H, H]."""
    frames, rows, directions, h = g.shape
    few = min(BLOCK, rows)
    carry, gate, back = (
        np.empty((few, h), g.dtype),
        np.empty((few, 3 * h), g.dtype),
        np.empty((few, h), g.dtype),
    )
    for d in range(directions):
        for begin in range(0, rows, few):
            count = min(few, rows - begin)
            for k in range(count):
                for c in range(h):
                    carry[k, c] = 0
            for s in range(frames):
                t = frames - 1 - s if d == 0 else s
                for k in range(count):
                    b = begin + k
                    if s == frames - 1:
                        before = start[b, d]
                    else:
                        before = out[t - 1 if d == 0 else t + 1, b, d]
                    _update_back(
                        g[t, b, d],
                        carry[k],
                        gates[t, b, d],
                        before,
                        ggiven[t, b, d],
                        gmixed[t, b, d],
                        gate[k],
                    )
                np.dot(gate[:count], w[d], back[:count])
                for k in range(count):
                    for c in range(h):
                        carry[k, c] += back[k, c]
            for k in range(count):
                for c in range(h):
                    gstart[begin + k, d, c] = carry[k, c]
