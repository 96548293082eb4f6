from __future__ import annotations

import pytest


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty user cache and no mirror."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MSIG_CACHE", str(folder))
    monkeypatch.delenv("MSIG_DATA_MIRROR", raising=False)
    monkeypatch.delenv("MSIG_RUN_DIR", raising=False)
    return folder
