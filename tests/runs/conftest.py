"""Fixtures of the runner's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_checkout import Tiny, build

from msig_lib.runs import key, store


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """A fresh tiny checkout with an empty cache."""
    return build(tmp_path / "checkout", tmp_path / "cache")


@pytest.fixture
def inside(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """The tiny checkout, with this process's environment and data fingerprints pointing at it."""
    monkeypatch.setenv("MSIG_ROOT", str(tiny.root))
    monkeypatch.setenv("MSIG_CACHE", str(tiny.cache))
    monkeypatch.setattr(key, "fingerprint", lambda name: store.sha256(tiny.root / "data" / name))
    return tiny
