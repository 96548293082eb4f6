"""Find a Hugging Face checkpoint's folder, see that it is safe to read, and say which one it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import transformers

from msig_lib.lm.arrays import file_sha256

# What every `from_pretrained` of this project passes: nothing is fetched, no code of a repository is run.
OFFLINE = {"local_files_only": True, "trust_remote_code": False}
WANTED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja"]


class CheckpointUnavailable(RuntimeError):
    """Raised when a model's files are missing, or are not the ones expected."""


def checkpoint_folder(
    name: str,
    *,
    what: str = "model",
    instead: str = "",
    unavailable: type[CheckpointUnavailable] = CheckpointUnavailable,
) -> Path:
    """Return the folder of `name`: a folder here, or a model of the Hugging Face cache or hub.

    Raises `unavailable`, which names `what` and ends with `instead`, when there is no such model.
    """
    if Path(name).expanduser().is_dir():
        folder = Path(name).expanduser().resolve()
    else:
        from huggingface_hub import snapshot_download

        try:
            folder = Path(
                snapshot_download(name, allow_patterns=WANTED, ignore_patterns=["onnx/*", "openvino/*"])
            )
        except Exception as error:
            raise unavailable(
                f"the {what} {name!r} is neither a folder here nor in the local Hugging Face cache, and it "
                f"could not be downloaded ({type(error).__name__}). Without a network, copy the model's folder "
                f"here and load 'hf:<that folder>'{instead}."
            ) from error
    return folder


def require_safetensors(
    folder: Path, unavailable: type[CheckpointUnavailable] = CheckpointUnavailable
) -> None:
    """Raise `unavailable` unless the folder holds safetensors weights."""
    if not any(folder.glob("*.safetensors")):
        raise unavailable(
            f"{folder} holds no .safetensors weights; other formats can run code when they are opened, "
            "so they are not read. Save the model with save_pretrained(folder), which writes safetensors."
        )


def fingerprint(folder: Path) -> str:
    """Return a SHA-256 over the checkpoint's weights, tokeniser and configuration."""
    files = [path for ending in ("safetensors", "json", "txt") for path in sorted(folder.glob(f"*.{ending}"))]
    files += [path for ending in ("model", "jinja") for path in sorted(folder.glob(f"*.{ending}"))]
    lines = "\n".join(f"{path.name} {file_sha256(path)}" for path in files)
    return hashlib.sha256(lines.encode()).hexdigest()


@contextmanager
def no_progress() -> Iterator[None]:
    """Keep the weight loader's progress bar out of notebooks."""
    shown = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers.utils.logging.enable_progress_bar()
