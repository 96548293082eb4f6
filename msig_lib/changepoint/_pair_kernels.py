"""The compiled half of `pairs`: a few receivers with all their senders at a time, in the first-level cache.

Node arrays are [U, H], U = R N rows of R frames of any series; the pairs of a receiver with its N - 1 senders of
the same frame follow each other, so pair arrays are [U, N - 1, ...]. `act` is LINEAR, RELU or ELU. Every kernel
writes into arrays it is given. Rows are passed on as one-dimensional views: only then does LLVM see that they do
not overlap and run 16 values at a time.
"""

from __future__ import annotations

import numpy as np

from msig_lib.changepoint._activation import ELU, RELU, compiled, exp, inlined

BLOCK = 64  # pairs in one matrix product, or as many as a layer is wide: both layers stay in the cache


@inlined
def _activate_sum(a, b, act, out):
    """out = act(a + b)."""
    zero, one = a.dtype.type(0), a.dtype.type(1)
    if act == ELU:
        for c in range(out.size):
            v = a[c] + b[c]
            out[c] = max(v, zero) + exp(min(v, zero)) - one
    elif act == RELU:
        for c in range(out.size):
            out[c] = max(a[c] + b[c], zero)
    else:
        for c in range(out.size):
            out[c] = a[c] + b[c]


@inlined
def _activate(v, b, act):
    """v = act(v + b)."""
    zero, one = v.dtype.type(0), v.dtype.type(1)
    if act == ELU:
        for c in range(v.size):
            x = v[c] + b[c]
            v[c] = max(x, zero) + exp(min(x, zero)) - one
    elif act == RELU:
        for c in range(v.size):
            v[c] = max(v[c] + b[c], zero)
    else:
        for c in range(v.size):
            v[c] = v[c] + b[c]


@inlined
def _times_slope(g, y, act):
    """g = g times the activation's slope where its value is y."""
    zero, one = g.dtype.type(0), g.dtype.type(1)
    if act == ELU:
        for c in range(g.size):
            g[c] = g[c] * (min(y[c], zero) + one)
    elif act == RELU:
        for c in range(g.size):
            g[c] = g[c] if y[c] > zero else zero


@inlined
def _add(total, a):
    for c in range(total.size):
        total[c] += a[c]


@inlined
def _add_scaled(total, scale, a):
    for c in range(total.size):
        total[c] += scale * a[c]


@inlined
def _scale(a, scale, out):
    for c in range(out.size):
        out[c] = scale * a[c]


@inlined
def _dot(a, b):
    total = a.dtype.type(0)
    for c in range(a.size):
        total += a[c] * b[c]
    return total


@inlined
def _hidden(p, q, n, begin, end, act_1, across, b, act_2, h, y):
    """Write both layers of the pairs of the receivers begin .. end - 1 and return how many pairs these are."""
    e = 0
    for u in range(begin, end):
        frame = u - u % n
        for v in range(frame, frame + n):
            if v != u:
                _activate_sum(p[u], q[v], act_1, h[e])
                e += 1
    np.dot(h[:e], across, y[:e])
    for k in range(e):
        _activate(y[k], b, act_2)
    return e


@inlined
def _hidden_back(gy, w, h, e, n, begin, end, act_1, gw, gwb, gp, gq, gh):
    """Add the gradients gy of the second layer before its activation to gw, gp and gq; gh and gwb are scratch."""
    np.dot(gy[:e].T, h[:e], gwb)
    for k in range(gw.shape[0]):
        _add(gw[k], gwb[k])
    np.dot(gy[:e], w, gh[:e])
    e = 0
    for u in range(begin, end):
        frame = u - u % n
        for v in range(frame, frame + n):
            if v != u:
                _times_slope(gh[e], h[e], act_1)
                _add(gp[u], gh[e])
                _add(gq[v], gh[e])
                e += 1


@compiled
def sum_messages(p, q, n, weight, across, b, act_1, act_2, out):
    """out[u] = sum over senders v of weight[u, v] y_uv; `across` [H, H2] is W transposed."""
    few = max(1, max(BLOCK, len(across)) // (n - 1))
    h = np.empty((few * (n - 1), across.shape[0]), p.dtype)
    y = np.empty((few * (n - 1), across.shape[1]), p.dtype)
    out[:] = 0
    for begin in range(0, len(p), few):
        end = min(begin + few, len(p))
        _hidden(p, q, n, begin, end, act_1, across, b, act_2, h, y)
        e = 0
        for u in range(begin, end):
            for k in range(n - 1):
                _add_scaled(out[u], weight[u, k], y[e])
                e += 1


@compiled
def sum_messages_back(g, p, q, n, weight, w, across, b, act_1, act_2, gp, gq, gweight, gw, gb):
    """Add the gradients of `sum_messages` to gp, gq, gw and gb; gweight is written."""
    few = max(1, max(BLOCK, len(across)) // (n - 1))
    h = np.empty((few * (n - 1), w.shape[1]), p.dtype)
    y = np.empty((few * (n - 1), w.shape[0]), p.dtype)
    gh, gy, gwb = np.empty_like(h), np.empty_like(y), np.empty_like(w)
    for begin in range(0, len(p), few):
        end = min(begin + few, len(p))
        _hidden(p, q, n, begin, end, act_1, across, b, act_2, h, y)
        e = 0
        for u in range(begin, end):
            for k in range(n - 1):
                gweight[u, k] = _dot(g[u], y[e])
                _scale(g[u], weight[u, k], gy[e])
                _times_slope(gy[e], y[e], act_2)
                _add(gb, gy[e])
                e += 1
        _hidden_back(gy, w, h, e, n, begin, end, act_1, gw, gwb, gp, gq, gh)


@compiled
def read_pairs(p, q, n, read, across, b, act_1, act_2, out):
    """out[u, v, k] = read[k] . y_uv."""
    few = max(1, max(BLOCK, len(across)) // (n - 1))
    h = np.empty((few * (n - 1), across.shape[0]), p.dtype)
    y = np.empty((few * (n - 1), across.shape[1]), p.dtype)
    for begin in range(0, len(p), few):
        end = min(begin + few, len(p))
        _hidden(p, q, n, begin, end, act_1, across, b, act_2, h, y)
        e = 0
        for u in range(begin, end):
            for k in range(n - 1):
                for c in range(len(read)):
                    out[u, k, c] = _dot(read[c], y[e])
                e += 1


@compiled
def read_pairs_back(g, p, q, n, read, w, across, b, act_1, act_2, gp, gq, gread, gw, gb):
    """Add the gradients of `read_pairs` to all of gp, gq, gread, gw and gb."""
    few = max(1, max(BLOCK, len(across)) // (n - 1))
    h = np.empty((few * (n - 1), w.shape[1]), p.dtype)
    y = np.empty((few * (n - 1), w.shape[0]), p.dtype)
    gh, gy, gwb = np.empty_like(h), np.empty_like(y), np.empty_like(w)
    for begin in range(0, len(p), few):
        end = min(begin + few, len(p))
        _hidden(p, q, n, begin, end, act_1, across, b, act_2, h, y)
        e = 0
        for u in range(begin, end):
            for k in range(n - 1):
                _scale(read[0], g[u, k, 0], gy[e])
                for c in range(1, len(read)):
                    _add_scaled(gy[e], g[u, k, c], read[c])
                for c in range(len(read)):
                    _add_scaled(gread[c], g[u, k, c], y[e])
                _times_slope(gy[e], y[e], act_2)
                _add(gb, gy[e])
                e += 1
        _hidden_back(gy, w, h, e, n, begin, end, act_1, gw, gwb, gp, gq, gh)
