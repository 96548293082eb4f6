"""A gated recurrent network over all variables, series and directions at once (Eqs. 4.10-4.12)."""

from __future__ import annotations

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from msig_lib.changepoint import _gru_kernels as kernels


class GRU(nn.Module):
    """One GRU layer along time: [T, B, d_in] -> [T, B, directions * width].

    The equations, the order of the gates (r, z, n) and the uniform start of the weights are torch.nn.GRU's; of its
    two biases of r and z only the sum is kept. A compiled recurrence is about ten times as fast here as torch's,
    whose cost is its many small operations.
    """

    def __init__(self, d_in: int, width: int, directions: int = 2) -> None:
        super().__init__()
        self.width, self.directions = width, directions
        self.weight_in = nn.Parameter(torch.empty(directions, 3, width, d_in))
        self.weight_state = nn.Parameter(torch.empty(directions, 3, width, width))
        self.bias_in = nn.Parameter(torch.empty(directions, 3, width))
        self.bias_state = nn.Parameter(torch.empty(directions, width))  # of n, inside its gate r
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(width**-0.5), width**-0.5)

    def forward(self, x: torch.Tensor, start: torch.Tensor | None = None) -> torch.Tensor:
        """Return the states, forward then backward direction; `start` [B, directions, width] is 0 by default."""
        given = F.linear(x, self.weight_in.flatten(0, 2), self.bias_in.flatten())
        given = given.view(*x.shape[:2], self.directions, 3, self.width)
        if start is None:
            start = x.new_zeros(x.shape[1], self.directions, self.width)
        return _Recurrence.apply(given, self.weight_state, self.bias_state, start).flatten(2)

    def step(self, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return the state [B, width] after x [B, d_in], forward direction."""
        r, z, n = F.linear(x, self.weight_in[0].flatten(0, 1), self.bias_in[0].flatten()).chunk(3, dim=1)
        hr, hz, hn = F.linear(state, self.weight_state[0].flatten(0, 1)).chunk(3, dim=1)
        n = torch.tanh(n + torch.sigmoid(r + hr) * (hn + self.bias_state[0]))
        return n + torch.sigmoid(z + hz) * (state - n)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, given, w, bias, start):
        given, w, bias, start = (a.detach().contiguous() for a in (given, w, bias, start))
        frames, rows, directions, _, h = given.shape
        across = w.flatten(1, 2).transpose(1, 2).contiguous()
        mixed = F.pad(bias, (2 * h, 0))  # the product's biases of r and z are in `given`
        out, gates = (
            given.new_empty(frames, rows, directions, h),
            given.new_empty(frames, rows, directions, 4, h),
        )
        kernels.forward(*(a.numpy() for a in (given, across, mixed, start, out, gates)))
        ctx.save_for_backward(w, start, out, gates)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        w, start, out, gates = ctx.saved_tensors
        g = g.contiguous()
        frames, rows, directions, h = g.shape
        ggiven, gmixed = g.new_empty(frames, rows, directions, 3, h), torch.empty_like(g)
        gstart = torch.empty_like(start)
        kernels.backward(
            *(a.numpy() for a in (g, gates, out, start, w.flatten(1, 2), ggiven, gmixed, gstart))
        )
        gw = torch.empty_like(w)
        for d in range(directions):
            # the state each frame starts from: the frame's before it, or `start`
            now, last = (slice(1, None), slice(None, -1)) if d == 0 else (slice(None, -1), slice(1, None))
            end = 0 if d == 0 else -1
            states = out[last, :, d].reshape(-1, h)
            for gate, grad in ((slice(0, 2), ggiven[:, :, d, :2].flatten(2)), (slice(2, 3), gmixed[:, :, d])):
                total = grad[now].reshape(-1, grad.shape[-1]).t() @ states
                total.addmm_(grad[end].t(), start[:, d])
                gw[d, gate] = total.view(-1, h, h)
        return ggiven, gw, gmixed.sum((0, 1)), gstart
