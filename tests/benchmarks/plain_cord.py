"""CORD_CPD's equations written down straightforwardly: every pair a row of its own, one GRU call a variable.

The parameters are those of a `CorrelationDynamics`, so that both can be compared from the same start.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from msig_lib.changepoint.data import edges
from msig_lib.changepoint.gru import GRU
from msig_lib.changepoint.model import CorrelationDynamics


def torch_gru(of: GRU) -> nn.GRU:
    """Return PyTorch's GRU with the weights of ours, whose second biases of r and z stay 0."""
    width, directions = of.width, of.directions
    made = nn.GRU(of.weight_in.shape[-1], width, bidirectional=directions == 2)
    with torch.no_grad():
        for d, end in enumerate(("", "_reverse")[:directions]):
            getattr(made, f"weight_ih_l0{end}").copy_(of.weight_in[d].flatten(0, 1))
            getattr(made, f"weight_hh_l0{end}").copy_(of.weight_state[d].flatten(0, 1))
            getattr(made, f"bias_ih_l0{end}").copy_(of.bias_in[d].flatten())
            second = getattr(made, f"bias_hh_l0{end}")
            second.copy_(F.pad(of.bias_state[d], (2 * width, 0)))
            learnt = torch.arange(3 * width) >= 2 * width
            second.register_hook(lambda g, learnt=learnt: g * learnt)
    return made


class PlainCORD(nn.Module):
    """GNN+RNN with an MLP decoder, official convention, of the same weights as `model`."""

    def __init__(self, model: CorrelationDynamics) -> None:
        super().__init__()
        self.settings, self.n_features = model.settings, model.n_features
        self.sample_graph = model.sample_graph
        self.first, (self.spatial,) = model.first, model.spatial
        self.temporal = nn.ModuleList(torch_gru(layer.gru) for layer in model.temporal)
        self.head, self.decoder = model.head, model.decoder

    def pairs(self, h: torch.Tensor) -> torch.Tensor:
        """Return [h_i; h_j] of every pair, [..., E, 2 d] of [..., N, d]."""
        receivers, senders = (torch.from_numpy(k) for k in edges(h.shape[-2]))
        return torch.cat([h[..., receivers, :], h[..., senders, :]], dim=-1)

    def sums(self, pairs: torch.Tensor, n: int) -> torch.Tensor:
        """Return the sums over the senders of every receiver, [..., N, d] of [..., E, d]."""
        receivers = torch.from_numpy(edges(n)[0])
        return pairs.new_zeros(*pairs.shape[:-2], n, pairs.shape[-1]).index_add(-2, receivers, pairs)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x.transpose(0, 1))
        for level, gru in enumerate(self.temporal):
            h = torch.stack([gru(h[:, :, i])[0] for i in range(h.shape[2])], dim=2)
            if level == 0:
                edge, n = self.spatial, h.shape[2]
                message = F.elu(
                    edge.second(F.elu(F.linear(self.pairs(h), edge.first.weight, edge.first.bias)))
                )
                total = self.sums(message / (n - 1), n)
                h = edge.node(edge.norm(total.flatten(0, -2)).view(total.shape))
        head = self.head
        hidden = F.elu(head.second(F.elu(F.linear(self.pairs(h), head.first.weight, head.first.bias))))
        return head.out(hidden).transpose(0, 1)

    def step(self, x: torch.Tensor, graph: torch.Tensor) -> torch.Tensor:
        of = self.decoder
        first = F.relu(F.linear(self.pairs(x), of.message_1.weight, of.message_1.bias))
        message = F.relu(of.message_2(first)) * graph.unsqueeze(-1)
        joined = torch.cat([x, self.sums(message, x.shape[-2])], dim=-1)
        return x + of.out(F.relu(of.node_2(F.relu(of.node_1(joined)))))

    def rollout(self, x: torch.Tensor, graph: torch.Tensor, steps: int) -> torch.Tensor:
        found, current = [], None
        for t in range(x.shape[1] - 1):
            current = self.step(x[:, t] if t % steps == 0 else current, graph[:, t])
            found.append(current)
        return torch.stack(found, dim=1)
