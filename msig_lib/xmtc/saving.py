"""Saving and loading a DEPLClassifier: safetensors for arrays, JSON for the rest, hashes for both."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.saved import SavedModelError, encoder_state, read_folder, same_encoder, write_folder
from msig_lib.xmtc.features import Features
from msig_lib.xmtc.model import DualEncoder
from msig_lib.xmtc.signal import Descriptions
from msig_lib.xmtc.svm import SparseLinear
from msig_lib.xmtc.train import TrainSettings

if TYPE_CHECKING:
    from msig_lib.xmtc.classifier import DEPLClassifier

__all__ = ["SavedModelError", "load", "save"]
KIND, VERSION = "DEPLClassifier", 1


def save(model: DEPLClassifier, folder: Path) -> None:
    """Write `model` to `folder`, which must not exist; it appears whole or not at all."""
    write_folder(folder, KIND, VERSION, _arrays(model), _state(model))


def load(cls: type[DEPLClassifier], folder: Path, encoder: SentenceEncoder | None = None) -> DEPLClassifier:
    """Read what `save` wrote, after checking version and hashes; see DEPLClassifier.load."""
    arrays, state = read_folder(folder, KIND, VERSION)
    parameters = state["parameters"]
    if parameters["train_settings"] is not None:
        parameters["train_settings"] = TrainSettings(**parameters["train_settings"])
    model = cls(**parameters)
    model.classes_ = np.array(state["classes"], dtype=object)
    model.n_positives_ = arrays["n_positives"]
    model.examples_ = state["examples"]
    model.features_ = _features(state, arrays["idf"])
    shape = (len(model.classes_), len(state["words"]))
    parts = (arrays["svm.data"], arrays["svm.indices"], arrays["svm.indptr"])
    model.svm_ = SparseLinear(
        sparse.csr_array(parts, shape=shape),
        arrays["svm.bias"],
        arrays["svm.n_support"],
        arrays["svm.converged"],
    )
    weights = np.split(arrays["keyword_weights"], np.cumsum([len(w) for w in state["keywords"]])[:-1])
    model.descriptions_ = Descriptions(state["classes"], state["keywords"], weights)
    if state["encoder"] is not None:
        _load_dense(model, state, arrays, encoder)
    return model


def _arrays(model: DEPLClassifier) -> dict[str, np.ndarray]:
    svm = model.svm_
    found = {
        "n_positives": model.n_positives_,
        "idf": model.features_.vectorizer.idf_,
        "keyword_weights": np.concatenate([np.empty(0, np.float32), *model.descriptions_.weights]),
        "svm.data": svm.weights.data,
        "svm.indices": svm.weights.indices,
        "svm.indptr": svm.weights.indptr,
        "svm.bias": svm.bias,
        "svm.n_support": svm.n_support,
        "svm.converged": svm.converged,
    }
    if model.mode != "svm":
        found["label_embeddings"] = model.label_embeddings_
        for name, value in model.model_.state_dict().items():
            found[f"model.{name}"] = value.numpy()
    return found


def _state(model: DEPLClassifier) -> dict:
    parameters = model.get_params(deep=False)
    settings = parameters["train_settings"]
    parameters["train_settings"] = None if settings is None else asdict(settings)
    used = None
    if model.mode != "svm":
        used = encoder_state(model.encoder_)
        parameters["encoder"] = used["name"]
    elif isinstance(parameters["encoder"], SentenceEncoder):
        parameters["encoder"] = parameters["encoder"].name
    vectorizer = model.features_.vectorizer
    return {
        "parameters": parameters,
        "classes": [str(name) for name in model.classes_],
        "examples": model.examples_,
        "words": [str(word) for word in model.features_.words],
        "sublinear": bool(vectorizer.sublinear_tf),
        "keywords": model.descriptions_.words,
        "encoder": used,
    }


def _features(state: dict, idf: np.ndarray) -> Features:
    vocabulary = {word: i for i, word in enumerate(state["words"])}
    vectorizer = TfidfVectorizer(vocabulary=vocabulary, sublinear_tf=state["sublinear"], dtype=np.float32)
    vectorizer.idf_ = idf
    return Features(vectorizer, np.array(state["words"], dtype=object))


def _load_dense(model: DEPLClassifier, state: dict, arrays: dict, encoder: SentenceEncoder | None) -> None:
    model.encoder_ = same_encoder(state["encoder"], encoder)
    model.label_embeddings_ = arrays["label_embeddings"]
    model.model_ = DualEncoder(model.label_embeddings_.shape[1])
    kept = {name[6:]: torch.from_numpy(v) for name, v in arrays.items() if name.startswith("model.")}
    model.model_.load_state_dict(kept)
