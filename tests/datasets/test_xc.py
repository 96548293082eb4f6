from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import load_svmlight_file

from msig_lib.datasets import xc
from msig_lib.datasets.manifests import DataFile, Manifest


def write(path, text):
    path.write_text(text)
    return path


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8), st.integers(1, 9), st.integers(1, 7))
def test_bag_of_words_equals_scikit_learns_reader(tmp_path_factory, seed, n, v, labels):
    rng = np.random.default_rng(seed)
    x = sparse.random(n, v, density=0.4, rng=rng, dtype=np.float32, format="csr")
    y = rng.random((n, labels)) < 0.3
    lines = []
    for i in range(n):
        row = x[[i]].tocoo()
        features = " ".join(f"{j}:{value!r}" for j, value in zip(row.col, row.data.tolist()))
        lines.append(",".join(map(str, np.flatnonzero(y[i]))) + " " + features)
    path = write(tmp_path_factory.mktemp("xc") / "train.txt", f"{n} {v} {labels}\n" + "\n".join(lines) + "\n")
    found = xc.read_bag_of_words(path)
    assert np.array_equal(found.y.toarray() > 0, y) and found.x.shape == (n, v)
    body = write(path.with_name("body.txt"), "\n".join(lines) + "\n")
    theirs, _ = load_svmlight_file(
        str(body), n_features=v, multilabel=True, zero_based=True, dtype=np.float32
    )
    if theirs.shape[0] == n:  # scikit-learn skips lines with neither labels nor features
        assert np.array_equal(found.x.toarray(), theirs.toarray())
    assert np.array_equal(found.x.toarray(), x.toarray())


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "header"),
        ("2 3\n", 1, "header"),
        ("a b c\n", 1, "header"),
        ("1 3 2\n0,2 1:1\n", 2, "'2' is no label"),
        ("1 3 2\n0,x 1:1\n", 2, "'x' is no label"),
        ("2 3 2\n0 1:1\n0 3:1\n", 3, "'3:1'"),
        ("1 3 2\n0 1\n", 2, "'1' is no"),
        ("1 3 2\n0 1:nan\n", 2, "not finite"),
        ("1 3 2\n0 -1:1\n", 2, "'-1:1'"),
        ("1 3 2\n0 1:1\n0 1:1\n", 3, "more than the 1"),
        ("3 3 2\n0 1:1\n0 1:1\n", 3, "after 2 of 3"),
    ],
)
def test_malformed_bag_of_words_names_file_and_line(tmp_path, text, line, says):
    path = write(tmp_path / "train.txt", text)
    with pytest.raises(xc.FormatError) as error:
        xc.read_bag_of_words(path)
    assert str(error.value).startswith(f"{path}:{line}: ") and says in str(error.value)


def test_documents_without_labels_or_features(tmp_path):
    found = xc.read_bag_of_words(write(tmp_path / "t", "4 2 2\n 0:1\n0:2\n1\n0,1 1:3\n\n"))
    assert found.x.toarray().tolist() == [[1, 0], [2, 0], [0, 0], [0, 3]]
    assert found.y.toarray().tolist() == [[0, 0], [0, 0], [0, 1], [1, 1]]
    with pytest.raises(xc.FormatError, match="twice"):
        xc.read_bag_of_words(write(tmp_path / "t", "1 2 2\n0,0 1:1\n"))


RECORDS = [
    {"uid": "a", "title": "A  law", "content": "about\nfish", "target_ind": [2, 0]},
    {"uid": "b", "title": "", "content": "Other", "target_ind": []},
]


def gz_lines(path, records):
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, records)).encode() + b"\n"))
    return path


@pytest.fixture
def repository_set(cache, tmp_path, monkeypatch):
    folder = tmp_path / "mirror" / "toy"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(folder.parent))
    gz_lines(folder / "trn.json.gz", RECORDS)
    gz_lines(folder / "tst.json.gz", RECORDS[:1])
    (folder / "Yf.txt").write_bytes("fish\ncaf\u00e9\nsea law\n".encode("latin-1"))
    for split in ("train", "test"):
        write(folder / f"{split}.txt", "1 3 3\n0,2 1:0.5\n")
    names = [
        ("trn.json.gz", False),
        ("tst.json.gz", False),
        ("Yf.txt", False),
        ("train.txt", True),
        ("test.txt", True),
    ]
    entries = tuple(
        DataFile(path=f"toy/{n}", format="x", sha256=None, trust="first-use", optional=o) for n, o in names
    )
    return Manifest(
        name="toy",
        title="t",
        what="w",
        kind="files",
        files=entries,
        licence="l",
        citation="c",
        chapters=("ch02",),
        tiers=("paper",),
        obtain="o",
    )


def test_load_both_forms(repository_set):
    data = xc.load(repository_set)
    assert data.texts == ["A law about fish", "Other", "A law about fish"]
    assert data.labels == [[0, 2], [], [0, 2]] and data.label_names == ["fish", "café", "sea law"]
    assert data.split.tolist() == ["train", "train", "test"] and data.names == ["a", "b", "a"]
    assert xc.load(repository_set, form="bow")["test"].y.toarray().tolist() == [[1, 0, 1]]
    with pytest.raises(ValueError, match="'text' or 'bow'"):
        xc.load(repository_set, form="dense")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("{", "not JSON"),
        ("[]", "content"),
        ('{"content": "x"}', "target_ind"),
        ('{"content": "x", "target_ind": [3]}', "below 3"),
        ('{"content": "x", "target_ind": [true]}', "below 3"),
        ('{"content": "x", "target_ind": "1"}', "below 3"),
    ],
)
def test_malformed_raw_text_names_file_and_line(tmp_path, record, says):
    path = write(tmp_path / "trn.json", json.dumps(RECORDS[0]) + "\n" + record + "\n")
    with pytest.raises(xc.FormatError) as error:
        xc.read_raw_text(path, 3)
    assert f"{path}:2: " in str(error.value) and says in str(error.value)


def test_label_names_from_json_lines(tmp_path):
    path = gz_lines(tmp_path / "lbl.json.gz", [{"title": "fish "}, {"title": "sea"}])
    assert xc.read_label_names(path) == ["fish", "sea"]
