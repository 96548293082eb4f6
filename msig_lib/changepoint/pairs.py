"""Two-layer networks on every directed pair of variables (Eqs. 4.8, 4.15-4.18), without the arrays of pairs.

For node vectors p (of the receiver) and q (of the sender) [R, N, H] and every pair (i, j) of a frame,

    y_ij = act_2(W act_1(p_i + q_j) + b),

of which only the sum over senders, or a few readings a pair, are kept. p and q are the two halves of the first
layer, W_1 [h_i; h_j] = W_r h_i + W_s h_j, so its multiplications are made N and not N (N - 1) times. The wide
vectors of 64 pairs (or of one receiver's, where it has more) exist at a time, in the cache, and are computed again
for the gradient: memory does not grow with the pairs, and nothing waits for it.
"""

from __future__ import annotations

import torch
from torch.autograd.function import once_differentiable

from msig_lib.changepoint import _pair_kernels as kernels
from msig_lib.changepoint._activation import ELU, LINEAR, RELU

ACTIVATIONS = {"linear": LINEAR, "relu": RELU, "elu": ELU}
Acts = tuple[str, str]  # of both layers


def pair_index(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return receivers and senders int64 [N (N - 1)] of all directed pairs, receiver by receiver."""
    receivers, senders = torch.nonzero(~torch.eye(n, dtype=torch.bool), as_tuple=True)
    return receivers, senders


def sum_messages(
    p: torch.Tensor, q: torch.Tensor, weight: torch.Tensor, w: torch.Tensor, b: torch.Tensor, acts: Acts
) -> torch.Tensor:
    """Return the sums over senders j of weight_ij y_ij, [R, N, H2].

    p, q [R, N, H], weight [R, E] with E = N (N - 1), w [H2, H], b [H2], all float32 or all float64 on the CPU.
    """
    return _Pairs.apply(True, *(ACTIVATIONS[a] for a in acts), p, q, weight, w, b)


def read_pairs(
    p: torch.Tensor, q: torch.Tensor, read: torch.Tensor, w: torch.Tensor, b: torch.Tensor, acts: Acts
) -> torch.Tensor:
    """Return `read` y_ij for every pair, [R, E, K]; read [K, H2], the rest as in `sum_messages`."""
    return _Pairs.apply(False, *(ACTIVATIONS[a] for a in acts), p, q, read, w, b)


class _Pairs(torch.autograd.Function):
    """Both of the above: `last` is the weights of the sum, or the matrix that reads a pair."""

    @staticmethod
    def forward(ctx, summed, act_1, act_2, p, q, last, w, b):
        p, q, last, w, b = arrays = [a.detach().contiguous() for a in (p, q, last, w, b)]
        ctx.save_for_backward(*arrays)
        ctx.form = (summed, act_1, act_2)
        rows, n, _ = p.shape
        out = p.new_empty(rows * n, len(w)) if summed else p.new_empty(rows * n, n - 1, len(last))
        flat = [
            p.flatten(0, 1),
            q.flatten(0, 1),
            last.view(rows * n, n - 1) if summed else last,
            w.t().contiguous(),
            b,
        ]
        ps, qs, ls, across, bs = (a.numpy() for a in flat)
        run = kernels.sum_messages if summed else kernels.read_pairs
        run(ps, qs, n, ls, across, bs, act_1, act_2, out.numpy())
        return out.view(rows, n, -1) if summed else out.view(rows, n * (n - 1), -1)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        summed, act_1, act_2 = ctx.form
        p, q, last, w, b = ctx.saved_tensors
        rows, n, _ = p.shape
        grads = [torch.zeros_like(a) for a in (p, q, last, w, b)]
        gp, gq, glast, gw, gb = grads
        g = g.contiguous()
        if summed:
            g, last, glast = g.flatten(0, 1), last.view(rows * n, n - 1), glast.view(rows * n, n - 1)
        else:
            g = g.view(rows * n, n - 1, -1)
        node = [a.flatten(0, 1).numpy() for a in (p, q, gp, gq)]
        run = kernels.sum_messages_back if summed else kernels.read_pairs_back
        across = w.t().contiguous()
        run(
            g.numpy(), node[0], node[1], n, last.numpy(), w.numpy(), across.numpy(), b.numpy(), act_1, act_2,
            node[2], node[3], glast.numpy(), gw.numpy(), gb.numpy(),
        )  # fmt: skip
        return None, None, None, *grads
