"""Saving and loading a KnowledgeMiner: the model as a checkpoint, the rest as JSON, hashes for both."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msig_lib.lm.checkpoints import fingerprint
from msig_lib.lm.decoder import save_decoder
from msig_lib.lm.generate import Sampling
from msig_lib.lm.local import LocalModel
from msig_lib.lm.saved import SavedModelError, read_folder, write_folder
from msig_lib.lm.training import Trained, TrainSettings
from msig_lib.mining.documents import Document, Mined
from msig_lib.mining.model import Miner

if TYPE_CHECKING:
    from msig_lib.mining.estimator import KnowledgeMiner

KIND, VERSION = "KnowledgeMiner", 1
MODEL, LEARNED = "model", "learned"


def save(estimator: KnowledgeMiner, folder: Path) -> None:
    """Write `estimator` to `folder`, which must not exist; it appears whole or not at all."""
    miner = estimator.miner_
    if estimator.trained_ is None:
        raise ValueError(
            f"nothing was learned, {miner.name} mines as it is: make it again with KnowledgeMiner(teacher)"
        )
    if folder.exists():
        raise FileExistsError(f"{folder} exists; give a new folder, nothing is overwritten")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        save_decoder(part / MODEL, miner.model.model, miner.model.tokenizer)
        write_folder(part / LEARNED, KIND, VERSION, _arrays(estimator), _state(estimator, part / MODEL))
        part.chmod(0o755)
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load(cls: type[KnowledgeMiner], folder: Path, device: str) -> KnowledgeMiner:
    """Read what `save` wrote, after checking version and hashes; see KnowledgeMiner.load."""
    arrays, state = read_folder(folder / LEARNED, KIND, VERSION)
    actual = fingerprint(folder / MODEL) if (folder / MODEL).is_dir() else "missing"
    if actual != state["checkpoint"]:
        raise SavedModelError(
            f"{folder / MODEL} is damaged and is not used: SHA-256 {actual}, expected {state['checkpoint']}. "
            "Copy it again or save the miner again."
        )
    of, training = state["miner"], state["parameters"]["training"]
    if training is not None:
        state["parameters"]["training"] = TrainSettings(**training | {"betas": tuple(training["betas"])})
    estimator = cls(**state["parameters"])
    read = LocalModel.load(f"hf:{folder / MODEL}", device=device)
    # The files are those of the model that was saved, so that it keeps its name and fingerprint.
    model = LocalModel(read.model, read.tokenizer, name=of["name"], fingerprint=of["fingerprint"])
    sampling = Sampling(**of["sampling"])
    estimator.miner_ = Miner(model, analysis=estimator.analysis, sampling=sampling)
    estimator.teacher_ = None
    estimator.trained_ = Trained(arrays["losses"], arrays["norms"], **state["trained"])
    estimator.seed_ = [
        (Document(**one | {"sentences": tuple(one["sentences"])}), Mined(**mined))
        for one, mined in state["seed"]
    ]
    estimator.facts_ = state["facts"]
    return estimator


def _arrays(estimator: KnowledgeMiner) -> dict[str, Any]:
    return {"losses": estimator.trained_.losses, "norms": estimator.trained_.norms}


def _state(estimator: KnowledgeMiner, checkpoint: Path) -> dict[str, Any]:
    given = estimator.get_params(deep=False) | {"teacher": None, "model": None}
    given["random_state"] = int(given["random_state"])
    given["training"] = None if estimator.training is None else asdict(estimator.training)
    miner = estimator.miner_
    return {
        "parameters": given,
        "checkpoint": fingerprint(checkpoint),
        "miner": {
            "name": miner.model.name,
            "fingerprint": miner.model.fingerprint,
            "sampling": asdict(miner.sampling),
        },
        "trained": {"tokens": estimator.trained_.tokens, "seconds": estimator.trained_.seconds},
        "seed": [(asdict(document), asdict(mined)) for document, mined in estimator.seed_],
        "facts": estimator.facts_,
    }
