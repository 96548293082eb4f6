from __future__ import annotations

import dataclasses
import gzip
import os
import subprocess
import sys

import numpy as np
import pytest

from msig_lib.datasets import docstrings, source
from msig_lib.datasets.neardup import first_words
from msig_lib.datasets.text import content_fingerprint

PART = ("networkx", "numpy")


@pytest.fixture(scope="module")
def corpus():
    return docstrings.load()  # from the user's cache; the smoke notebooks need it there as well


@pytest.fixture(scope="module")
def part():
    return docstrings.build(PART)


def straddling(data) -> int:
    return sum(len(set(data.split[data.groups == g].tolist())) > 1 for g in np.unique(data.groups))


def test_size_and_shape(corpus):
    assert 8_000 < len(corpus) < 16_000
    assert set(corpus.packages) == set(source.PACKAGES)
    assert 2.5 < np.mean([len(labels) for labels in corpus.labels]) < 3.5
    shares = [np.mean(corpus.split == s) for s in ("train", "dev", "test")]
    assert np.allclose(shares, (0.7, 0.1, 0.2), atol=0.02)
    positives = corpus.positives()
    assert positives.min() >= 1 and np.mean(positives < 10) > 0.9  # most labels are tail labels


def test_no_group_straddles_splits(corpus, part):
    assert straddling(corpus) == straddling(part) == 0
    train = {first_words(t) for t in corpus.subset("train").texts}
    assert not any(first_words(t) in train for t in corpus.subset("test").texts)


def test_documents_and_labels_are_clean(corpus):
    assert all(len(t.split()) >= docstrings.MIN_WORDS for t in corpus.texts)
    assert all(
        label == label.lower() and sum(c.isalpha() for c in label) >= 3 for label in corpus.label_names
    )
    assert not {"self", "kwargs", "args"} & set(corpus.label_names)
    assert all(labels == sorted(set(labels)) and labels for labels in corpus.labels)
    assert corpus.label_names == sorted(set(corpus.label_names))
    share = np.mean(["Parameters" in t or ">>>" in t or "-----" in t for t in corpus.texts])
    assert share < 0.005
    i = corpus.names.index("sklearn.cluster._kmeans.k_means")
    assert "n clusters" in [corpus.label_names[j] for j in corpus.labels[i]]


def test_same_pins_same_corpus_in_another_process(part):
    code = f"from msig_lib.datasets import docstrings; print(docstrings.build({PART!r}).fingerprint)"
    environment = os.environ | {"PYTHONHASHSEED": "17", "OMP_NUM_THREADS": "2"}
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True, timeout=120
    )
    assert out.stdout.strip() == part.fingerprint == content_fingerprint(part)


def test_fingerprint_sees_every_part(part):
    changed = [
        dataclasses.replace(part, texts=[*part.texts[:-1], "x"]),
        dataclasses.replace(part, labels=[*part.labels[:-1], []]),
        dataclasses.replace(part, label_names=[*part.label_names[:-1], "x"]),
        dataclasses.replace(part, split=part.split[::-1]),
        dataclasses.replace(part, groups=part.groups + 1),
    ]
    assert len({part.fingerprint, *(content_fingerprint(c) for c in changed)}) == 6


def test_limited_is_a_fixed_part_with_whole_groups(part):
    small = docstrings.limited(part, 200)
    assert 150 <= len(small) <= 200 and straddling(small) == 0
    assert set(small.names) <= set(part.names) and set(small.split) == {"train", "dev", "test"}
    assert small.positives().min() >= 1
    assert docstrings.limited(part, 200).fingerprint == small.fingerprint
    assert len(docstrings.limited(part, 10**6)) == len(part)
    with pytest.raises(ValueError, match="limit=0"):
        docstrings.limited(part, 0)


def test_cache_is_verified_and_rebuilt_when_it_was_changed(cache, part, monkeypatch, capsys):
    builds = []
    monkeypatch.setattr(docstrings, "build", lambda: builds.append(1) or part)
    assert docstrings.cached_fingerprint() is None
    first, again = docstrings.load(), docstrings.load()
    assert len(builds) == 1 and first.fingerprint == again.fingerprint == docstrings.fingerprint()
    assert content_fingerprint(again) == part.fingerprint and again.packages == part.packages
    (path,) = (cache / "data/docstrings").glob("*.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"array", b"arena")))
    assert docstrings.load().fingerprint == part.fingerprint and len(builds) == 2
    assert "set aside" in capsys.readouterr().err
    assert len(list(path.parent.glob("*.bad-*"))) == 1
    path.write_bytes(path.read_bytes()[:-100])  # cut short
    assert docstrings.load().fingerprint == part.fingerprint and len(builds) == 3


def test_cache_key_follows_versions(cache, monkeypatch):
    before = docstrings._cache_path()
    monkeypatch.setattr(source, "versions", lambda: {"numpy": "0"})
    assert docstrings._cache_path() != before


def test_subset_and_take(part):
    dev = part.subset("dev")
    assert set(dev.split) == {"dev"} and dev.label_names == part.label_names
    assert dev.fingerprint == content_fingerprint(dev) != part.fingerprint
    assert part.take(np.array([3, 1])).texts == [part.texts[3], part.texts[1]]
    with pytest.raises(ValueError, match="train, dev, test"):
        part.subset("valid")
