"""A training run on disk: weights, optimiser, random state and position in one safetensors file."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's state of a parameter, all tensors


class Checkpoint:
    """Reads and writes one run's file. Its header says, as JSON, which run it is and how far it got.

    The learning rate is a function of the step, so the step is all of the schedule's state. The file is
    written aside and renamed: it is the state after one step or after another, never a part of one.
    """

    def __init__(
        self,
        path: Path | str,
        model: nn.Module,
        optimizer: torch.optim.AdamW,
        settings: Any,
        seed: int,
        examples: Sequence[Any],
    ) -> None:
        self.path = Path(path)
        self.model = model
        self.optimizer = optimizer
        self.run = {
            "settings": json.loads(json.dumps(asdict(settings))),
            "seed": seed,
            "examples": _examples_sha256(examples),
            "parameters": {name: list(value.shape) for name, value in model.named_parameters()},
        }

    def restore(self, losses: np.ndarray, norms: np.ndarray) -> int:
        """Fill the model, the optimiser, torch's random state and the histories; return the steps done.

        0 when there is no file. Raises ValueError when the file belongs to another run or is damaged.
        """
        if not self.path.exists():
            return 0
        try:
            with safe_open(self.path, "pt") as file:
                header = json.loads(file.metadata()["run"])
                step = int(header.pop("step"))
                self._same(header)
                stored = {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{self.path} is not a training checkpoint ({error}); remove it to start afresh"
            ) from error
        with torch.no_grad():
            for name, value in self._weights().items():
                value.copy_(stored[f"model.{name}"])
            for name, value in self.model.named_parameters():
                if f"exp_avg.{name}" in stored:
                    self.optimizer.state[value] = {
                        kind: stored[f"{kind}.{name}"].to(value.device) for kind in MOMENTS
                    }
        losses[:step] = stored["losses"].numpy()
        norms[:step] = stored["norms"].numpy()
        torch.set_rng_state(stored["rng"])
        if "rng_cuda" in stored:
            torch.cuda.set_rng_state(stored["rng_cuda"])
        return step

    def write(self, step: int, losses: np.ndarray, norms: np.ndarray) -> None:
        """Store the state after `step` steps."""
        tensors = {f"model.{name}": value.detach() for name, value in self._weights().items()}
        for name, value in self.model.named_parameters():
            for kind, moment in self.optimizer.state.get(value, {}).items():
                tensors[f"{kind}.{name}"] = moment
        tensors["losses"] = torch.from_numpy(losses[:step].copy())
        tensors["norms"] = torch.from_numpy(norms[:step].copy())
        tensors["rng"] = torch.get_rng_state()
        if next(self.model.parameters()).is_cuda:
            tensors["rng_cuda"] = torch.cuda.get_rng_state()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".part-", suffix=".safetensors")
        os.close(handle)
        try:
            save_file(
                {name: value.contiguous().cpu() for name, value in tensors.items()},
                temporary,
                metadata={"run": json.dumps(self.run | {"step": step})},
            )
            os.replace(temporary, self.path)
        finally:
            Path(temporary).unlink(missing_ok=True)

    def _weights(self) -> dict[str, Tensor]:
        """Parameters and buffers, tied ones once."""
        return dict(self.model.named_parameters()) | dict(self.model.named_buffers())

    def _same(self, header: dict[str, Any]) -> None:
        differ = sorted(key for key in self.run if header.get(key) != self.run[key])
        if not differ:
            return
        said = [
            f"{key} {header.get(key)} there, {self.run[key]} here" if key in ("settings", "seed") else key
            for key in differ
        ]
        raise ValueError(
            f"{self.path} belongs to another training run, which differs in {'; '.join(said)}. "
            "Give this run a file of its own, or remove that one."
        )


def _examples_sha256(examples: Sequence[Any]) -> str:
    """Hash the lengths, and the ids and targets of those that have them."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(len(example).to_bytes(8, "little"))
        digest.update(np.asarray(getattr(example, "ids", ()), dtype=np.int64).tobytes())
        digest.update(np.asarray(getattr(example, "targets", ()), dtype=bool).tobytes())
    return digest.hexdigest()
