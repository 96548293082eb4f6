"""What this machine's processor is good for: found out by trying, once, and remembered."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch

from msig_lib.cachedir import cache_dir

log = logging.getLogger(__name__)
Precision = Literal["auto", "fp32", "bf16"]

# Sizes of a sentence encoder's products; only the exit status counts.
_TRIAL = "import torch; a = torch.ones(64, 384, dtype=torch.bfloat16); assert float((a @ a.T).sum()) == 64 * 64 * 384"


def cpu_has_bf16() -> bool:
    """Say whether this processor multiplies bfloat16 in AMX tiles, where it was measured 2.6x as fast as fp32.

    AVX-512 BF16 alone does not count: it was 1.8x as fast on one machine and half as fast on another. That a
    processor names AMX is not enough either: under some hypervisors the first product ends the process (illegal
    instruction). So one product is tried in a process of its own, once for each machine and torch version.
    """
    names_it = getattr(torch.cpu, "_is_amx_tile_supported", None)
    if names_it is None or not names_it() or limited_below_amx():
        return False
    return _trial_passes()


def limited_below_amx() -> bool:
    """Say whether the environment keeps oneDNN from AMX, so that bf16 runs without it."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return bool(limit) and limit not in ("ALL", "DEFAULT") and "AMX" not in limit


def use_bf16(precision: Precision, device: torch.device) -> bool:
    """Decide between bf16 and fp32: 'auto' is bf16 on a GPU and on a CPU with AMX that works.

    Raises ValueError for another word, and RuntimeError for 'bf16' on a CPU that would end the process.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise ValueError(f"precision is {precision!r}, expected 'auto', 'fp32' or 'bf16'")
    if precision == "auto":
        return device.type == "cuda" or cpu_has_bf16()
    if precision == "bf16" and device.type == "cpu" and not bf16_is_safe():
        raise RuntimeError(
            "this processor names AMX but does not execute it, and a bf16 product would end the process: use "
            "precision='fp32', or set ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 before Python starts"
        )
    return precision == "bf16"


def bf16_is_safe() -> bool:
    """Say whether bf16 products run at all here, fast or not."""
    names_it = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return names_it is None or not names_it() or limited_below_amx() or _trial_passes()


@lru_cache(maxsize=1)
def _trial_passes() -> bool:
    path = cache_dir("lm") / f"bf16-{_machine()}.json"
    try:
        return bool(json.loads(path.read_text(encoding="ascii"))["passes"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        trial = subprocess.run([sys.executable, "-c", _TRIAL], capture_output=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("bf16 could not be tried (%s), so fp32 is used", error)
        return False
    passes = trial.returncode == 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"passes": passes, "status": trial.returncode}), encoding="ascii")
    except OSError as error:
        log.warning("the outcome of the bf16 trial could not be kept (%s)", error)
    return passes


def _machine() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = [line for line in lines if line.startswith(("model name", "flags"))][:2]
    except OSError:
        processor = [platform.processor()]
    parts = [*processor, platform.release(), platform.node(), torch.__version__]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
