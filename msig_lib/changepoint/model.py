"""The correlation-aware dynamics model: an encoder that generates a graph a frame, a decoder that predicts by it."""

from __future__ import annotations

import torch
from torch import nn

from msig_lib.changepoint.decoder import Decoder
from msig_lib.changepoint.layers import (
    EluMLP,
    GNNSpatial,
    GraphHead,
    GRUTemporal,
    LinearHead,
    TransformerSpatial,
    TransformerTemporal,
)
from msig_lib.changepoint.settings import ModelSettings

TEMPORAL = {"gru": GRUTemporal, "transformer": TransformerTemporal}
SPATIAL = {"gnn": GNNSpatial, "transformer": TransformerSpatial}


class CorrelationDynamics(nn.Module):
    """CORD_CPD's encoder and decoder (thesis 4.3) for series of any length and number of variables.

    `n_features` is M. Edges are the E = N (N - 1) directed pairs, receiver by receiver. Weights are drawn from
    `seed`: Glorot normal with biases .1 (official code), PyTorch's own in the GRUs, nearly 0 in the last layer.
    """

    def __init__(self, n_features: int, settings: ModelSettings | None = None, *, seed: int = 0) -> None:
        super().__init__()
        if n_features < 1:
            raise ValueError(f"n_features is {n_features}, expected at least 1")
        s = self.settings = settings or ModelSettings()
        self.n_features = n_features
        d, official = s.encoder_width, s.official
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = EluMLP(n_features, d) if official else nn.Identity()
            self.temporal = nn.ModuleList(
                TEMPORAL[s.temporal](d if official or level else n_features, d, s.heads)
                for level in range(s.levels)
            )
            self.spatial = nn.ModuleList(
                SPATIAL[s.spatial](d, s.heads, official) for _ in range(s.levels - 1)
            )
            self.head = (GraphHead if official else LinearHead)(d)
            self.decoder = Decoder(n_features, s)
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_normal_(module.weight)
                    nn.init.constant_(module.bias, 0.1)
            # ours: start from "nothing changes"; Glorot's size makes 10-step rollouts grow, and the graph is then
            # learned several epochs later
            nn.init.xavier_normal_(self.decoder.out.weight, gain=0.01)
            nn.init.zeros_(self.decoder.out.bias)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the graph's logits float [S, T, E, 2], class 1 = connected, of x [S, T, N, M] (Eqs. 4.8-4.9)."""
        self._check(x)
        h = self.first(x.transpose(0, 1))
        for level, temporal in enumerate(self.temporal):
            h = temporal(h)
            if level < len(self.spatial):
                h = self.spatial[level](h)
        return self.head(h.flatten(0, 1)).unflatten(0, h.shape[:2]).transpose(0, 1)

    def sample_graph(
        self, logits: torch.Tensor, generator: torch.Generator | None = None, hard: bool = False
    ) -> torch.Tensor:
        """Return the graph float [S, T, E], values of class 1 in 0..1, from logits [S, T, E, 2].

        With a generator: a Gumbel-softmax sample at the settings' temperature; without: the softmax probability.
        `hard` rounds it to 0 or 1 and passes the soft value's gradient on.
        """
        difference = logits[..., 1] - logits[..., 0]
        if generator is not None:
            u = torch.rand(difference.shape, generator=generator, dtype=difference.dtype)
            # the difference of two Gumbel draws is one logistic draw
            noise = torch.logit(u, eps=1e-7)
            difference = (difference + noise) / self.settings.temperature
        soft = torch.sigmoid(difference)
        if not hard:
            return soft
        return (difference > 0).to(soft) + (soft - soft.detach())  # the bracket is 0, to the last bit

    def rollout(self, x: torch.Tensor, graph: torch.Tensor, steps: int) -> torch.Tensor:
        """Return predictions of the frames 1 .. T - 1, [S, T - 1, N, M], of x [S, T, N, M] by graph [S, T, E].

        True frames are read at 0, steps, 2 steps, ...; those between are predicted from predictions (Eq. 4.6 at
        steps=1). The graph of frame t predicts frame t + 1.
        """
        self._check(x, graph)
        if steps < 1:
            raise ValueError(f"steps is {steps}, expected at least 1")
        starts = torch.arange(0, x.shape[1] - 1, steps)
        return self.decoder(x, graph, starts, steps).flatten(1, 2)[:, : x.shape[1] - 1]

    def window_errors(self, x: torch.Tensor, graph: torch.Tensor, k: int = 5) -> torch.Tensor:
        """Return s_d float [S, T]: the mean squared error of the k frames from t, predicted from t - 1 (Eq. 4.2).

        A window over the end of the series counts the frames there are. Frame 0 has nothing before it and gets
        its series' smallest error.
        """
        self._check(x, graph)
        if k < 1:
            raise ValueError(f"k is {k}, expected at least 1")
        t = x.shape[1]
        k = min(k, t - 1)
        found = self.decoder(x, graph, torch.arange(t - 1), k)
        ahead = torch.arange(t - 1)[:, None] + 1 + torch.arange(k)
        inside = (ahead < t).to(x)
        error = ((found - x[:, ahead.clamp(max=t - 1)]) ** 2).mean((3, 4)) * inside
        error = error.sum(2) / inside.sum(1)
        return torch.cat([error.min(1, keepdim=True).values, error], dim=1)

    def _check(self, x: torch.Tensor, graph: torch.Tensor | None = None) -> None:
        if x.ndim != 4 or x.shape[3] != self.n_features or x.shape[1] < 2 or x.shape[2] < 2:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (series, frames >= 2, variables >= 2, "
                f"{self.n_features} features)"
            )
        edges = x.shape[2] * (x.shape[2] - 1)
        if graph is not None and graph.shape != (*x.shape[:2], edges):
            raise ValueError(
                f"graph has shape {tuple(graph.shape)}, expected (series, frames, directed pairs) = "
                f"{(*x.shape[:2], edges)}"
            )
