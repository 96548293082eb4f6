"""Saving and loading a DEPLClassifier: safetensors for arrays, JSON for the rest, hashes for both."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from msig_lib.lm.arrays import file_sha256
from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.xmtc.features import Features
from msig_lib.xmtc.model import DualEncoder
from msig_lib.xmtc.signal import Descriptions
from msig_lib.xmtc.svm import SparseLinear
from msig_lib.xmtc.train import TrainSettings

if TYPE_CHECKING:
    from msig_lib.xmtc.classifier import DEPLClassifier

FORMAT, VERSION = "msig DEPLClassifier", 1
MANIFEST, TENSORS, STATE = "manifest.json", "arrays.safetensors", "state.json"


class SavedModelError(RuntimeError):
    """Raised when a saved model is missing, damaged, of another version or for another encoder."""


def save(model: DEPLClassifier, folder: Path) -> None:
    """Write `model` to `folder`, which must not exist; it appears whole or not at all."""
    if folder.exists():
        raise FileExistsError(f"{folder} exists; give a new folder, nothing is overwritten")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        save_file(_arrays(model), part / TENSORS)
        (part / STATE).write_text(json.dumps(_state(model), ensure_ascii=False), encoding="utf-8")
        hashes = {name: file_sha256(part / name) for name in (TENSORS, STATE)}
        manifest = {"format": FORMAT, "version": VERSION, "sha256": hashes}
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        part.chmod(0o755)
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load(cls: type[DEPLClassifier], folder: Path, encoder: SentenceEncoder | None = None) -> DEPLClassifier:
    """Read what `save` wrote, after checking version and hashes; see DEPLClassifier.load."""
    _verify(folder)
    state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    arrays = load_file(folder / TENSORS)
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
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


def _state(model: DEPLClassifier) -> dict:
    parameters = model.get_params(deep=False)
    settings = parameters["train_settings"]
    parameters["train_settings"] = None if settings is None else asdict(settings)
    used = None
    if model.mode != "svm":
        used = {"name": model.encoder_.name, "fingerprint": model.encoder_.fingerprint}
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
    used = state["encoder"]
    model.encoder_ = encoder or SentenceEncoder.load(used["name"])
    if model.encoder_.fingerprint != used["fingerprint"]:
        raise SavedModelError(
            f"the model was trained on encoder {used['name']} with hash {used['fingerprint']}, but the one at "
            f"hand, {model.encoder_.name}, has {model.encoder_.fingerprint}. Pass encoder= with the first one."
        )
    model.label_embeddings_ = arrays["label_embeddings"]
    model.model_ = DualEncoder(model.label_embeddings_.shape[1])
    kept = {name[6:]: torch.from_numpy(v) for name, v in arrays.items() if name.startswith("model.")}
    model.model_.load_state_dict(kept)


def _verify(folder: Path) -> None:
    path = folder / MANIFEST
    if not path.is_file():
        raise SavedModelError(
            f"{folder} holds no {MANIFEST}; expected a folder written by DEPLClassifier.save"
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found = (manifest["format"], manifest["version"])
        hashes = {name: manifest["sha256"][name] for name in (TENSORS, STATE)}
    except (ValueError, KeyError, TypeError) as error:
        raise SavedModelError(
            f"{path} is not a manifest of a saved model ({error!r}); save it again"
        ) from error
    if found != (FORMAT, VERSION):
        raise SavedModelError(
            f"{path} says {found}, this library reads {(FORMAT, VERSION)}; fit and save again"
        )
    for name, expected in hashes.items():
        actual = file_sha256(folder / name) if (folder / name).is_file() else "missing"
        if actual != expected:
            raise SavedModelError(
                f"{folder / name} is damaged and is not used: SHA-256 {actual}, expected {expected}. "
                "Copy it again or save the model again."
            )
