from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from msig_lib import datasets


def test_names_and_unknown_name():
    assert datasets.names() == sorted(datasets.names()) and "docstrings" in datasets.names()
    for call in (datasets.load, datasets.fingerprint, datasets.manifest, datasets.available, datasets.states):
        with pytest.raises(KeyError, match=r"docstrings.*xquad_en"):
            call("docstring")


def test_every_loader_has_a_manifest_and_built_sets_have_loaders():
    assert set(datasets.LOADERS) <= set(datasets.names())
    built = {n for n in datasets.names() if datasets.manifest(n).kind == "built"}
    assert built <= set(datasets.LOADERS) and built == set(datasets.BUILT)


def test_fingerprints_need_no_files_and_differ(cache):
    known = {n for n in datasets.names() if all(f.identity for f in datasets.manifest(n).required)}
    known -= set(datasets.BUILT)
    prints = {datasets.fingerprint(n) for n in known}
    assert len(prints) == len(known) >= 8 and all(len(p) == 64 for p in prints)
    with pytest.raises(datasets.DataNotAvailable, match="eurlex4k"):
        datasets.fingerprint("eurlex4k")


def test_describe_has_a_row_for_each_and_builds_nothing(cache):
    frame = datasets.describe().set_index("name")
    assert list(frame.index) == datasets.names()
    assert not frame.loc["eurlex57k", "available"] and "msig data fetch" in frame.loc["eurlex57k", "where"]
    assert frame.loc["docstrings", "available"] and frame.loc["docstrings", "fingerprint"] == ""
    assert frame.loc["eurlex57k", "megabytes"] == pytest.approx(28.9)
    assert datasets.verify("docstrings")[0].state == "missing"
    assert {s.state for s in datasets.states("klcpd")} == {"missing"}
    with pytest.raises(datasets.DataNotAvailable, match="klcpd/beedance-1"):
        datasets.verify("klcpd")


def test_a_run_notes_what_it_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_RUN_DIR", str(tmp_path))
    small = datasets.load("docstrings", limit=300)
    datasets.load("docstrings", limit=100)
    lines = [json.loads(line) for line in (tmp_path / "data.jsonl").read_text().splitlines()]
    assert lines == [{"name": "docstrings", "fingerprint": datasets.fingerprint("docstrings")}] * 2
    assert 200 < len(small) <= 300


def test_importing_opens_no_network_code():
    code = "import sys, msig_lib.datasets; assert 'requests' not in sys.modules, 'requests'"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.skipif(
    not os.environ.get("MSIG_DATA_MIRROR"), reason="MSIG_DATA_MIRROR is not set: no files to verify"
)
def test_mirror_files_are_the_ones_described():
    checked = [s for n in datasets.names() for s in datasets.states(n) if s.where == "mirror"]
    if not checked:
        pytest.skip("the mirror holds none of the described files")
    assert [s for s in checked if s.state == "wrong"] == []


def test_verify_raises_for_a_wrong_file(cache, tmp_path, monkeypatch):
    (tmp_path / "xquad_en").mkdir()
    (tmp_path / "xquad_en/xquad.en.json").write_text("{}")
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(tmp_path))
    assert datasets.available("xquad_en")[0]  # it is there
    for call in (datasets.verify, datasets.load):
        with pytest.raises(datasets.DataMismatch, match=r"xquad\.en\.json"):
            call("xquad_en")
