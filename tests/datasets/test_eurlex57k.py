from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zipfile

import numpy as np
import pytest

from msig_lib import datasets
from msig_lib.datasets import eurlex57k, files
from msig_lib.datasets.manifests import DataFile, Manifest


def law(celex, concepts, text="A law about things.", body=("One.", "Two.")):
    return {
        "celex_id": celex,
        "concepts": concepts,
        "title": text + "\n",
        "header": "THE COUNCIL",
        "recitals": " whereas ",
        "main_body": list(body),
        "attachments": "Done at Brussels",
        "type": "Decision",
        "uri": "x",
    }


LAWS = {
    "train": [law(f"T{i}", ["12", "7", str(100 + i)], f"Law number {i}.") for i in range(6)]
    + [law("copy", ["7"], "Seen in test.")],
    "dev": [law("D1", ["7"], "Dev."), law("D2", ["999"], "Only unseen labels.")],
    "test": [law("E1", ["12", "888"], "Seen in test.")],
}


def content(laws):
    lines = (f"{x['celex_id']} {hashlib.sha256(json.dumps(x).encode()).hexdigest()}\n" for x in laws)
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


@pytest.fixture
def toy(cache, tmp_path, monkeypatch):
    """A mirror in the published form and its manifest."""
    folder = tmp_path / "mirror" / "eurlex57k"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(folder.parent))
    names = {str(k): {"label": f"concept {k} "} for k in [7, 12, *range(100, 106)]}
    (folder / "EURLEX57K.labels.json.gz").write_bytes(gzip.compress(json.dumps(names).encode()))
    for split, laws in LAWS.items():
        with tarfile.open(folder / f"eurlex57k_{split}.tar.xz", "w:xz") as tar:
            for item in laws:
                info = tarfile.TarInfo(f"data/datasets/EURLEX57K/{split}/{item['celex_id']}.json")
                blob = json.dumps(item).encode()
                info.size = len(blob)
                tar.addfile(info, io.BytesIO(blob))
    with zipfile.ZipFile(folder / "datasets.zip", "w") as pack:
        pack.writestr("__MACOSX/dataset/train/._T1.json", b"junk")
        for split, laws in LAWS.items():
            for item in laws:
                pack.writestr(f"dataset/{split}/{item['celex_id']}.json", json.dumps(item))
    paths = [f"eurlex57k/eurlex57k_{s}.tar.xz" for s in LAWS] + [eurlex57k.LABELS]
    entries = [
        DataFile(path=p, format="x", sha256=hashlib.sha256((folder.parent / p).read_bytes()).hexdigest())
        for p in paths
    ]
    entries.append(
        DataFile(path=eurlex57k.ZIP, format="zip", sha256=None, trust="first-use", replaces=tuple(paths[:3]))
    )
    return Manifest(
        name="eurlex57k",
        title="t",
        what="w",
        kind="files",
        files=tuple(entries),
        licence="l",
        citation="c",
        content={s: content(laws) for s, laws in LAWS.items()},
        chapters=("ch02",),
        tiers=("full",),
        obtain="o",
    )


def test_texts_labels_and_dropped_documents(toy):
    data = eurlex57k.load(toy)
    assert data.names == ["T0", "T1", "T2", "T3", "T4", "T5", "D1", "E1"]
    assert data.texts[0] == "Law number 0. THE COUNCIL whereas One. Two."
    assert data.label_names == ["concept 7", "concept 12", *(f"concept {i}" for i in range(100, 106))]
    assert data.labels[0] == [0, 1, 2] and data.labels[-1] == [1]
    assert list(data.notes.values()) == [1, 1, 0]
    assert data.positives().tolist() == [6, 6, 1, 1, 1, 1, 1, 1]


def test_limits_nest_and_words_are_cut(toy):
    small, large = eurlex57k.load(toy, limit=2, dev=0), eurlex57k.load(toy, limit=4, max_words=3)
    assert set(small.subset("train").names) < set(large.subset("train").names)
    assert (small.split == "dev").sum() == 0
    assert {len(t.split()) for t in large.texts} == {2 + 1} | ({3})
    assert eurlex57k.load(toy, limit=2, dev=0).fingerprint == small.fingerprint
    with pytest.raises(ValueError, match="limit=0"):
        eurlex57k.load(toy, limit=0)
    with pytest.raises(TypeError, match="size"):
        eurlex57k.load(toy, size=3)


def test_the_zip_gives_the_same_documents(toy, capsys):
    from_tars = eurlex57k.load(toy)
    for path in files.mirror().glob("eurlex57k/*.tar.xz"):
        path.unlink()
    assert eurlex57k.load(toy).fingerprint == from_tars.fingerprint
    assert "no hash of this file is known" in capsys.readouterr().err
    other = toy.model_copy(update={"content": toy.content | {"dev": "0" * 64}})
    with pytest.raises(files.DataMismatch, match="split 'dev'"):
        eurlex57k.load(other)


def test_a_strange_document_is_named():
    with pytest.raises(ValueError, match=r"here\.json.*main_body"):
        eurlex57k._parse(b'{"title": "x"}', "here.json")


@pytest.mark.skipif(
    not os.environ.get("MSIG_DATA_MIRROR"), reason="MSIG_DATA_MIRROR is not set: no EURLEX57K here"
)
def test_the_real_slice():
    here, why = datasets.available("eurlex57k")
    if not here:
        pytest.skip(f"EURLEX57K is not in the mirror: {why}")
    entry = datasets.manifest("eurlex57k")
    laws = list(eurlex57k._read(entry, files.obtain_all(entry, download=False), "dev"))
    assert len(laws) == 6_000
    assert 400 < np.median([len(law.text.split()) for law in laws]) < 460
    assert 5.0 < np.mean([len(law.concepts) for law in laws]) < 5.2
