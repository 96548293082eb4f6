"""The encoder's layers: along time (TEL, Eqs. 4.10-4.13) and across variables (SEL, Eqs. 4.14-4.16).

Inside the encoder, node vectors are [T, S, N, d]: frames, series, variables, width.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from msig_lib.changepoint.gru import GRU
from msig_lib.changepoint.pairs import read_pairs, sum_messages


class EluMLP(nn.Module):
    """Two linear maps, each with ELU, then batch norm over all rows: [..., d_in] -> [..., d]."""

    def __init__(self, d_in: int, d: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(d_in, d), nn.Linear(d, d)
        self.norm = nn.BatchNorm1d(d)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        e = F.elu(self.second(F.elu(self.first(h))))
        return self.norm(e.flatten(0, -2)).view(e.shape)


class GRUTemporal(nn.Module):
    """A bidirectional GRU along time, d/2 a direction (Eqs. 4.10-4.12): [T, S, N, d_in] -> [T, S, N, d]."""

    def __init__(self, d_in: int, d: int, heads: int = 0) -> None:
        super().__init__()
        self.gru = GRU(d_in, d // 2)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return self.gru(h.flatten(1, 2)).unflatten(1, h.shape[1:3])


def positions(length: int, d: int) -> torch.Tensor:
    """Return the sines and cosines of the positions 0 .. length - 1, float32 [length, d]."""
    angle = torch.arange(length)[:, None] * torch.exp(torch.arange(0, d, 2) * (-math.log(10000.0) / d))
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)


class Attention(nn.Module):
    """One transformer layer over the second-last axis: [B, L, d] -> [B, L, d] (Eq. 4.13, norm after)."""

    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.wide, self.narrow = nn.Linear(d, heads * d), nn.Linear(heads * d, d)  # official code
        self.norm_1, self.norm_2 = nn.LayerNorm(d), nn.LayerNorm(d)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(h).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        h = self.norm_1(h + self.out(read))
        return self.norm_2(h + self.narrow(F.relu(self.wide(h))))


class TransformerTemporal(nn.Module):
    """A transformer along time with positions: [T, S, N, d_in] -> [T, S, N, d]."""

    def __init__(self, d_in: int, d: int, heads: int) -> None:
        super().__init__()
        self.first = nn.Linear(d_in, d) if d_in != d else nn.Identity()
        self.attention = Attention(d, heads)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        h = self.first(h)
        rows = h.flatten(1, 2).transpose(0, 1) + positions(len(h), h.shape[-1]).to(h)
        return self.attention(rows).transpose(0, 1).unflatten(1, h.shape[1:3])


class TransformerSpatial(nn.Module):
    """A transformer over the variables of each frame, without positions: [T, S, N, d] -> [T, S, N, d]."""

    def __init__(self, d: int, heads: int, official: bool) -> None:
        super().__init__()
        self.attention = Attention(d, heads)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return self.attention(h.flatten(0, 1)).unflatten(0, h.shape[:2])


class PairInput(nn.Linear):
    """The first layer of a network on pairs, W [h_i; h_j] + b, as its part of i and its part of j."""

    def forward(self, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        d = h.shape[-1]
        return F.linear(h, self.weight[:, :d], self.bias), F.linear(h, self.weight[:, d:])


class GNNSpatial(nn.Module):
    """Edge MLP, then node MLP (Eqs. 4.15-4.16): [T, S, N, d] -> [T, S, N, d].

    The official code normalises edges before it averages them; here their average is, which is the same up to the
    scale and spares a second pass over all edges.
    """

    def __init__(self, d: int, heads: int, official: bool) -> None:
        super().__init__()
        self.official = official
        self.first, self.second = PairInput(2 * d, d), nn.Linear(d, d)
        self.norm = nn.BatchNorm1d(d)
        self.node = EluMLP(d, d)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        rows, n = h.flatten(0, 1), h.shape[2]
        weight = rows.new_full((len(rows), n * (n - 1)), 1 / (n - 1) if self.official else 1.0)
        total = sum_messages(*self.first(rows), weight, self.second.weight, self.second.bias, ("elu", "elu"))
        total = self.norm(total.flatten(0, 1)).view(total.shape)
        return self.node(total if self.official else rows + total).view(h.shape)


class GraphHead(nn.Module):
    """The logits of every pair from an MLP on [h_i; h_j] (official code): [R, N, d] -> [R, E, 2].

    The official MLP ends with a batch norm before the logits are read. With `norm` the logits read are normalised
    over all pairs of the batch instead, which spares a pass over the wide vectors. Without, all pairs' logits can
    drift together until the graph is the same everywhere and gives no gradient any more: transformers do within 50
    steps at a learning rate of 3e-3.
    """

    def __init__(self, d: int, norm: bool = False) -> None:
        super().__init__()
        self.first, self.second, self.out = PairInput(2 * d, d), nn.Linear(d, d), nn.Linear(d, 2)
        self.norm = nn.BatchNorm1d(2) if norm else None
        if self.norm is not None:
            self.norm.register_parameter("bias", None)  # the shift is the bias of `out`

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        hidden = self.second.weight, self.second.bias
        read = read_pairs(*self.first(h), self.out.weight, *hidden, ("elu", "elu"))
        if self.norm is not None:
            read = self.norm(read.flatten(0, 1)).view(read.shape)
        return read + self.out.bias


class LinearHead(nn.Module):
    """The logits of every pair from a linear map of [h_i; h_j] (Eq. 4.8): [R, N, d] -> [R, E, 2]."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.first = PairInput(2 * d, 2)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        n = h.shape[1]
        p, q = self.first(h)
        away = ~torch.eye(n, dtype=torch.bool)
        return (p[:, :, None] + q[:, None])[:, away]
