"""Saving and loading a CorrelationCPD: safetensors for arrays, JSON for the rest, hashes for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from msig_lib.changepoint.model import CorrelationDynamics
from msig_lib.changepoint.settings import ModelSettings, TrainSettings
from msig_lib.lm.saved import SavedModelError, read_folder, write_folder

if TYPE_CHECKING:
    from msig_lib.changepoint.estimator import CorrelationCPD

__all__ = ["SavedModelError", "load", "save"]
KIND, VERSION = "CorrelationCPD", 1
WEIGHTS = "model."


def save(model: CorrelationCPD, folder: Path) -> None:
    """Write `model` to `folder`, which must not exist; it appears whole or not at all."""
    arrays = {"mean": model.mean_, "scale": model.scale_}
    for name, value in model.model_.state_dict().items():
        arrays[WEIGHTS + name] = value.numpy()
    state = {
        "parameters": {name: plain(value) for name, value in model.get_params(deep=False).items()},
        "model": asdict(model.model_.settings),
        "n_variables": model.n_variables_in_,
        "n_features": model.n_features_in_,
        "history": model.history_,
    }
    write_folder(folder, KIND, VERSION, arrays, state)


def load(cls: type[CorrelationCPD], folder: Path) -> CorrelationCPD:
    """Read what `save` wrote, after checking version and hashes; see CorrelationCPD.load."""
    arrays, state = read_folder(folder, KIND, VERSION)
    parameters = state["parameters"]
    for name, kind in {"model_settings": ModelSettings, "train_settings": TrainSettings}.items():
        if parameters[name] is not None:
            parameters[name] = kind(**parameters[name])
    model = cls(**parameters)
    model.mean_, model.scale_ = arrays["mean"], arrays["scale"]
    model.n_variables_in_, model.n_features_in_ = state["n_variables"], state["n_features"]
    model.history_ = state["history"]
    model.model_ = CorrelationDynamics(model.n_features_in_, ModelSettings(**state["model"]))
    own = model.model_.state_dict()
    kept = {name.removeprefix(WEIGHTS): value for name, value in arrays.items() if name.startswith(WEIGHTS)}
    # A number without dimensions (batch norm's count of batches) comes back with one.
    wrong = sorted(name for name in kept.keys() | own.keys() if _size(kept, name) != _size(own, name))
    if wrong:
        raise SavedModelError(
            f"the weights {wrong} in {folder} are not those of its settings {state['model']}; fit and save again"
        )
    model.model_.load_state_dict({name: torch.from_numpy(kept[name]).view(own[name].shape) for name in own})
    model.model_.eval()
    return model


def _size(arrays: Mapping[str, Any], name: str) -> tuple[int, ...] | None:
    return (tuple(arrays[name].shape) or (1,)) if name in arrays else None


def plain(value: Any) -> Any:
    """Return settings and numpy's numbers as JSON values."""
    if is_dataclass(value):
        return asdict(value)
    return value.item() if isinstance(value, np.generic) else value
