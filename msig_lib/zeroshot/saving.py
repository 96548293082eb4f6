"""Saving and loading a GENCoClassifier: safetensors for arrays, JSON for the rest, hashes for both."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.saved import SavedModelError, encoder_state, read_folder, same_encoder, write_folder
from msig_lib.zeroshot.generators import Choice, make_generator
from msig_lib.zeroshot.reader import Reader
from msig_lib.zeroshot.settings import SelfTrainSettings

if TYPE_CHECKING:
    from msig_lib.zeroshot.classifier import GENCoClassifier

__all__ = ["SavedModelError", "load", "save"]
KIND, VERSION = "GENCoClassifier", 1
ARRAYS = (
    "label_vectors", "frozen_label_vectors", "pool_vectors", "pool_frozen", "pool_labels", "pool_probabilities"
)  # fmt: skip


def save(model: GENCoClassifier, folder: Path) -> None:
    """Write `model` to `folder`, which must not exist; it appears whole or not at all."""
    arrays = {name: getattr(model, f"{name}_") for name in ARRAYS}
    arrays |= {f"learned.{name}": value for name, value in model.reader_.arrays(model.encoder_).items()}
    parameters = model.get_params(deep=False)
    settings, generator = parameters["settings"], parameters["generator"]
    parameters |= {
        "labels": [str(name) for name in model.classes_],
        "templates": list(model.templates),
        "encoder": model.encoder_.name,
        "generator": generator if isinstance(generator, str) else None,
        "random_state": int(model.random_state),
        "settings": None if settings is None else asdict(settings),
    }
    state = {
        "parameters": parameters,
        "encoder": encoder_state(model.encoder_),
        "generator": None if model.generator_ is None else model.generator_.name,
        "scale": model.scale_,
        "unit": model.reader_.unit,
        "pool_texts": model.pool_texts_,
        "n_blank": model.n_blank_,
        "history": model.history_,
    }
    write_folder(folder, KIND, VERSION, arrays, state)


def load(
    cls: type[GENCoClassifier], folder: Path, encoder: SentenceEncoder | None, generator: Choice
) -> GENCoClassifier:
    """Read what `save` wrote, after checking version and hashes; see GENCoClassifier.load."""
    arrays, state = read_folder(folder, KIND, VERSION)
    parameters = state["parameters"]
    if parameters["settings"] is not None:
        schedule = tuple(map(tuple, parameters["settings"]["schedule"]))
        parameters["settings"] = SelfTrainSettings(**parameters["settings"] | {"schedule": schedule})
    parameters["templates"] = tuple(parameters["templates"])
    parameters["generator"] = generator if generator is not None else parameters["generator"]
    model = cls(**parameters)
    if model.generator is None and model.inference_samples:
        raise SavedModelError(
            f"{folder} reads {model.inference_samples} continuations by {state['generator']} with every text, "
            "and that generator could not be saved: pass generator="
        )
    model.encoder_ = same_encoder(state["encoder"], encoder)
    model.classes_ = np.array(parameters["labels"], dtype=object)
    for name in ARRAYS:
        setattr(model, f"{name}_", arrays[name])
    learned = {name[8:]: value for name, value in arrays.items() if name.startswith("learned.")}
    model.reader_ = Reader.from_arrays(model.encoder_, learned, model.max_tokens, unit=state["unit"])
    model.scale_, model.history_ = state["scale"], state["history"]
    model.pool_texts_, model.n_blank_ = state["pool_texts"], state["n_blank"]
    scores = model.scale_ * model.pool_frozen_ @ model.frozen_label_vectors_.T
    wanted = model.generator if state["generator"] or generator is not None else None
    model.generator_ = make_generator(
        wanted, model.pool_texts_, model.pool_frozen_, scores, parameters["labels"]
    )
    return model
