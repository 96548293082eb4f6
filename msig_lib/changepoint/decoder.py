"""The dynamics decoder (Eqs. 4.17-4.18): the change of every variable from its neighbours in the graph."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from msig_lib.changepoint.gru import GRU
from msig_lib.changepoint.layers import PairInput
from msig_lib.changepoint.pairs import sum_messages
from msig_lib.changepoint.settings import ModelSettings


class Decoder(nn.Module):
    """Predicts the next frame of x from the current one and the graph.

    Messages g_e and node update g_v are MLPs of two layers; g_out is linear, after a GRU over the frames so far
    where `decoder_output` is "rnn". Absent connections send nothing (official `skip_first`). Under "thesis" a
    message has the M features of x, to which it is added, and so a linear last layer.
    """

    def __init__(self, n_features: int, settings: ModelSettings) -> None:
        super().__init__()
        d, m, official = settings.decoder_width, n_features, settings.official
        self.official = official
        self.message_1, self.message_2 = PairInput(2 * m, d), nn.Linear(d, d if official else m)
        self.node_1, self.node_2 = nn.Linear(m + d if official else m, d), nn.Linear(d, d)
        self.gru = GRU(d, d, directions=1) if settings.decoder_output == "rnn" else None
        self.out = nn.Linear(d, m)

    def embed(self, x: torch.Tensor, graph: torch.Tensor) -> torch.Tensor:
        """Return the node vectors of Eqs. 4.17-4.18, [B, N, d], for x [B, N, M] and graph [B, E]."""
        hidden = self.message_2.weight, self.message_2.bias
        acts = ("relu", "relu" if self.official else "linear")
        total = sum_messages(*self.message_1(x), graph, *hidden, acts)
        joined = torch.cat([x, total], dim=-1) if self.official else x + total
        return F.relu(self.node_2(F.relu(self.node_1(joined))))

    def step(
        self, x: torch.Tensor, graph: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the prediction of the next frame [B, N, M] and the GRU's state after this one [B, N, d]."""
        h = self.embed(x, graph)
        if self.gru is not None:
            h = state = self.gru.step(h.flatten(0, 1), state.flatten(0, 1)).view(h.shape)
        return x + self.out(h), state

    def states(self, x: torch.Tensor, graph: torch.Tensor) -> torch.Tensor | None:
        """Return the GRU's state before each true frame [S, T, N, d], None without a GRU."""
        if self.gru is None:
            return None
        s, t, n, _ = x.shape
        h = self.embed(x[:, :-1].flatten(0, 1), graph[:, :-1].flatten(0, 1)).view(s, t - 1, n, -1)
        after = self.gru(h.transpose(0, 1).flatten(1, 2)).view(t - 1, s, n, -1).transpose(0, 1)
        return F.pad(after, (0, 0, 0, 0, 1, 0))

    def forward(self, x: torch.Tensor, graph: torch.Tensor, starts: torch.Tensor, steps: int) -> torch.Tensor:
        """Return predictions of the `steps` frames after each start, [S, G, steps, N, M] (Eq. 4.6).

        x [S, T, N, M], graph [S, T, E], starts int64 [G]. Frame t + 1 is predicted from frame t (true at a start,
        predicted after it) with the graph of frame t; past the end the last frame's graph is kept.
        """
        s, t, n, m = x.shape
        states = self.states(x, graph)
        state = None if states is None else states[:, starts].flatten(0, 1)
        current, found = x[:, starts].flatten(0, 1), []
        frames = (starts[:, None] + torch.arange(steps)).clamp(max=t - 1)
        for now in graph[:, frames].unbind(2):
            current, state = self.step(current, now.flatten(0, 1), state)
            found.append(current)
        return torch.stack(found, dim=1).view(s, len(starts), steps, n, m)
