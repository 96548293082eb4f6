from __future__ import annotations

import hashlib

import pytest
import yaml

from msig_lib.datasets import manifests as m

GOOD = {
    "name": "toy",
    "title": "Toy",
    "what": "Three lines.",
    "kind": "files",
    "files": [
        {
            "path": "toy/a.txt",
            "format": "text",
            "sha256": "0" * 64,
            "bytes": 3,
            "urls": ["https://example.org/a"],
        }
    ],
    "licence": "CC0",
    "citation": "Nobody.",
    "chapters": ["ch02"],
    "tiers": ["quick"],
    "obtain": "Write it.",
}


def write(folder, **changes):
    path = folder / "toy.yml"
    path.write_text(yaml.safe_dump(GOOD | changes))
    return path


def file(**changes):
    return {"files": [GOOD["files"][0] | changes]}


def test_reads_what_is_right(tmp_path):
    found = m.read(write(tmp_path))
    assert found.size == 3
    assert found.file("toy/a.txt").identity == "0" * 64
    with pytest.raises(KeyError, match=r"toy/a\.txt"):
        found.file("b")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"adress": "x"}, "adress"),
        (file(sha="x"), "sha"),
        (file(sha256="abc"), "sha256"),
        (file(sha256="A" * 64), "sha256"),
        (file(sha256=None), "first-use"),
        (file(trust="first-use"), "without a known hash"),
        (file(path="../a.txt"), "relative path"),
        (file(path="/toy/a.txt"), "relative path"),
        (file(path="a.txt"), "folder of their own"),
        (file(urls=["ftp://example.org/a"]), "urls"),
        (file(content_sha256="1" * 64), "content_sha256"),
        (file(replaces=["toy/b.txt"]), "toy/b.txt"),
        (file(bytes=0), "bytes"),
        ({"files": GOOD["files"] * 2}, "listed twice"),
        ({"files": []}, "lists its files"),
        ({"kind": "built"}, "has none"),
        ({"tiers": ["fast"]}, "tiers"),
        ({"name": "other"}, "file's name"),
        ({"licence": " "}, "licence"),
    ],
)
def test_refuses_and_names_file_and_field(tmp_path, changes, says):
    path = write(tmp_path, **changes)
    with pytest.raises(m.ManifestError) as error:
        m.read(path)
    assert says in str(error.value) and str(path) in str(error.value)


def test_is_frozen(tmp_path):
    with pytest.raises(ValueError, match="frozen"):
        m.read(write(tmp_path)).name = "x"


def test_the_books_manifests_are_valid_and_say_what_is_not_verified():
    found = m.read_all()
    assert {"docstrings", "eurlex57k", "eurlex4k", "wiki10_31k", "amazoncat_13k", "wiki_500k"} <= set(found)
    for entry in found.values():
        for item in entry.files:
            assert (item.sha256 is None) == (item.trust == "first-use")
            assert item.urls or item.format == "folder" or len(entry.obtain) > 40  # a way to get it
    assert all(f.trust == "first-use" for f in found["wiki_500k"].files)


def test_replacing_files_are_not_required():
    entry = m.read_all()["eurlex57k"]
    assert "eurlex57k/datasets.zip" not in {f.path for f in entry.required}
    assert set(entry.content) == {"train", "dev", "test"}
    assert hashlib.sha256(b"").hexdigest() not in {f.sha256 for f in entry.files}
