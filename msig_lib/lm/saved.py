"""Fitted models in a folder: safetensors for arrays, JSON for the rest, a hash for each; no pickle."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from msig_lib.lm.arrays import file_sha256
from msig_lib.lm.encoder import SentenceEncoder

MANIFEST, TENSORS, STATE = "manifest.json", "arrays.safetensors", "state.json"


class SavedModelError(RuntimeError):
    """Raised when a saved model is missing, damaged, of another version or for another encoder."""


def write_folder(
    folder: Path, kind: str, version: int, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]
) -> None:
    """Write `arrays` and the JSON values `state` to `folder`, which appears whole or not at all.

    `kind` names the class, `version` its format. Raises FileExistsError: nothing is overwritten.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; give a new folder, nothing is overwritten")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, part / TENSORS)
        (part / STATE).write_text(json.dumps(state), encoding="ascii")
        hashes = {name: file_sha256(part / name) for name in (TENSORS, STATE)}
        manifest = {"format": f"msig {kind}", "version": version, "sha256": hashes}
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        part.chmod(0o755)
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def read_folder(folder: Path, kind: str, version: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the state of a folder by `write_folder`; SavedModelError if it is not as written."""
    _verify(folder, kind, version)
    return load_file(folder / TENSORS), json.loads((folder / STATE).read_text(encoding="utf-8"))


def encoder_state(encoder: SentenceEncoder) -> dict[str, str]:
    """Return what a saved model keeps of the encoder it was trained on."""
    return {"name": encoder.name, "fingerprint": encoder.fingerprint}


def same_encoder(used: Mapping[str, str], given: SentenceEncoder | None) -> SentenceEncoder:
    """Return `given`, or load the encoder of `encoder_state`; SavedModelError if it is another one."""
    found = given or SentenceEncoder.load(used["name"])
    if found.fingerprint != used["fingerprint"]:
        raise SavedModelError(
            f"the model was trained on encoder {used['name']} with hash {used['fingerprint']}, but the one at "
            f"hand, {found.name}, has {found.fingerprint}. Pass encoder= with the first one."
        )
    return found


def _verify(folder: Path, kind: str, version: int) -> None:
    path = folder / MANIFEST
    if not path.is_file():
        raise SavedModelError(f"{folder} holds no {MANIFEST}; expected a folder written by {kind}.save")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found = (manifest["format"], manifest["version"])
        hashes = {name: manifest["sha256"][name] for name in (TENSORS, STATE)}
    except (ValueError, KeyError, TypeError) as error:
        raise SavedModelError(
            f"{path} is not a manifest of a saved model ({error!r}); save it again"
        ) from error
    if found != (f"msig {kind}", version):
        raise SavedModelError(
            f"{path} says {found}, this library reads {(f'msig {kind}', version)}; fit and save again"
        )
    for name, expected in hashes.items():
        actual = file_sha256(folder / name) if (folder / name).is_file() else "missing"
        if actual != expected:
            raise SavedModelError(
                f"{folder / name} is damaged and is not used: SHA-256 {actual}, expected {expected}. "
                "Copy it again or save the model again."
            )
