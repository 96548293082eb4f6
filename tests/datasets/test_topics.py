"""docstring_topics and docstring_background: what is in them, and that nothing leaks between them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from msig_lib import datasets
from msig_lib.datasets import docparse, docstrings, source, topics
from msig_lib.datasets.text import content_fingerprint


@pytest.fixture(scope="module")
def corpus():
    return datasets.load("docstring_topics")  # from the user's cache; the smoke notebook needs it there too


@pytest.fixture(scope="module")
def beyond():
    return datasets.load("docstring_background")


def words(text: str) -> str:
    return " ".join("".join(c if c.isalnum() or c == "_" else " " for c in text.lower()).split())


def test_classes_and_sizes(corpus):
    assert corpus.label_names == sorted(topics.CLASSES) and len(corpus.label_names) == 15
    assert all(len(found) == 1 for found in corpus.labels)
    sizes = np.bincount([found[0] for found in corpus.labels])
    assert sizes.min() >= 100 and sizes.max() == topics.PER_CLASS and 3_500 < len(corpus) < 4_500
    shares = [np.mean(corpus.split == s) for s in ("train", "dev", "test")]
    assert np.allclose(shares, topics.SHARES, atol=0.03)
    assert corpus.positives().min() >= 50
    assert corpus.notes["copies dropped"] > 0
    assert corpus.notes["texts dropped because they occur in two classes"] > 0


def test_no_copies_and_no_group_in_two_splits(corpus):
    assert len({topics.key(t) for t in corpus.texts}) == len(corpus)
    assert all(len(t.split()) >= topics.MIN_WORDS for t in corpus.texts)
    for g in np.unique(corpus.groups):
        assert len(set(corpus.split[corpus.groups == g].tolist())) == 1
    train = {docstrings.neardup.first_words(t) for t in corpus.subset("train").texts}
    assert not any(docstrings.neardup.first_words(t) in train for t in corpus.subset("test").texts)


def test_text_and_continuation_are_the_description(corpus):
    described = {d.name: docparse.parse(d.docstring).description for d in source.definitions("networkx")}
    rows = [i for i, package in enumerate(corpus.packages) if package == "networkx"]
    assert len(rows) > 250
    whole = {f"{corpus.texts[i]} {corpus.continuations[i]}".strip() for i in rows}
    assert whole <= set(described.values())
    assert 0.3 < np.mean([bool(rest) for rest in corpus.continuations]) < 0.7


def test_the_background_holds_no_topic_document(corpus, beyond):
    assert len(beyond) > 4 * len(corpus) and not any(beyond.labels) and set(beyond.split) == {"train"}
    assert not set(beyond.names) & set(corpus.names)
    keys = {topics.key(t) for t in corpus.texts}
    assert not any(topics.key(topics.first_sentence(t)[0]) in keys for t in beyond.texts)
    everything = "\n".join(f" {words(t)} " for t in beyond.texts)
    held_out = corpus.subset("test").texts
    assert not any(f" {words(t)} " in everything for t in held_out[::10])
    assert len({topics.key(t) for t in beyond.texts}) == len(beyond)


def test_limits_nest_and_keep_every_class_and_split(corpus, beyond):
    small, large = topics.limited(corpus, 300), topics.limited(corpus, 900)
    assert set(small.names) < set(large.names) < set(corpus.names)
    assert 250 < len(small) <= 330 and set(small.split) == {"train", "dev", "test"}
    assert {found[0] for found in small.labels} == set(range(15))
    assert small.fingerprint == topics.limited(corpus, 300).fingerprint == content_fingerprint(small)
    assert len(topics.limited(corpus, 10**6)) == len(corpus)
    assert len(datasets.load("docstring_background", limit=50)) == 50
    with pytest.raises(ValueError, match="limit=0"):
        topics.limited(corpus, 0)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Compute the mean. Then stop.", "Compute the mean."),
        ("Use e.g. Newton's method, cf. Eq. 3. It works.", "Use e.g. Newton's method, cf. Eq. 3."),
        ("Only one sentence here", "Only one sentence here"),
        ("Is it planar? (See below.)", "Is it planar?"),
        ("numpy.fft is used. 2 calls are made.", "numpy.fft is used."),
        ("", ""),
    ],
)
def test_first_sentence(text, first):
    found, rest = topics.first_sentence(text)
    assert found == first and f"{found} {rest}".strip() == text


def test_a_summary_without_full_stop_ends_with_its_paragraph():
    told = "Draw a graph with labels on nodes\n\nThe layout is random.\n\nParameters\n----------\nG : graph\n"
    assert topics.split_description(told) == ("Draw a graph with labels on nodes", "The layout is random.")
    assert topics.split_description("Parameters\n----------\nG : graph\n") == ("", "")


@pytest.mark.parametrize(
    ("module", "topic"),
    [
        ("matplotlib.dates", "dates and times"),
        ("matplotlib.datesque", "plotting"),
        ("scipy.sparse.csgraph._tools", "graphs and networks"),
        ("scipy.sparse._csr", "sparse matrices"),
        ("torch.nn.parallel.distributed", "distributed computing"),
        ("torch.nn.modules.conv", "neural networks"),
        ("transformers.image_utils", "image processing"),
        ("scipy.fftpack._basic", "signal processing"),
        ("sklearn.svm._classes", None),
        ("torch", None),
    ],
)
def test_the_topic_is_that_of_the_longest_path(module, topic):
    found = topics.topic_of(module)
    assert (list(topics.CLASSES)[found] if found >= 0 else None) == topic


def document(text: str, topic: int, rest: str = "", name: str = "") -> topics._Document:
    return topics._Document(text, rest, "numpy", name or f"m.{text[:30]}.{topic}", topic)


def toy() -> list[topics._Document]:
    subjects = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
    made = [
        document(f"{a} {b} is computed with {b} and {a}s {topic} times", topic, f"More about {a} {b}.")
        for topic in range(2)
        for a in subjects
        for b in subjects[:4]
    ]
    made += [document(made[0].text.upper(), 0), document("Too short to count.", 0)]
    made += [document("Said of both classes in the same words.", topic) for topic in range(2)]
    return made + [document(f"Nobody knows what number {a} is about, says {a}.", -1) for a in subjects]


def test_selection_drops_copies_and_ambiguous_texts_and_does_not_look_at_order():
    data = topics.select(toy(), per_class=30)
    assert np.bincount([found[0] for found in data.labels]).tolist() == [30, 30]
    assert data.notes["copies dropped"] == 2  # one in its class, one in the other
    assert data.notes["texts dropped because they occur in two classes"] == 1
    assert data.notes["documents beyond the limit of a class"] == 20
    assert not any("both classes" in t or "Too short" in t for t in data.texts)
    assert all(t.split()[0] in rest for t, rest in zip(data.texts, data.continuations))
    again = topics.select(toy()[::-1], per_class=30)
    assert {topics.key(t) for t in again.texts} == {topics.key(t) for t in data.texts}


def test_outside_leaves_out_documents_their_copies_and_texts_that_contain_them():
    documents = toy()
    chosen = topics.select(documents, per_class=30)
    leak = document(f"As it is said: {chosen.texts[0]}, and that is all.", -1, name="leak")
    copy = document(chosen.texts[1], -1, "Told again with another ending.", name="copy")
    beyond = topics.outside([*documents, leak, copy], chosen)
    assert not {"leak", "copy"} & set(beyond.names)
    assert sum("Nobody knows" in t for t in beyond.texts) == 10
    assert beyond.notes["near-duplicates of topic documents dropped"] >= 1


def test_one_reading_makes_both_corpora_and_the_cache_keeps_them(cache, monkeypatch):
    builds = []
    chosen = topics.select(toy(), per_class=30)
    both = (chosen, topics.outside(toy(), chosen))
    monkeypatch.setattr(topics, "build", lambda: builds.append(1) or both)
    assert topics.TOPICS.cached_fingerprint() is None
    assert topics.load().continuations == chosen.continuations
    assert topics.background().texts == both[1].texts and topics.load().fingerprint == chosen.fingerprint
    assert len(builds) == 1
    assert (
        content_fingerprint(topics.load()) == chosen.fingerprint == datasets.fingerprint("docstring_topics")
    )


def test_continuations_go_with_their_texts_and_count_in_the_fingerprint_only_where_there_are_any():
    data = topics.select(toy(), per_class=30)
    part = data.take(np.array([5, 2]))
    assert part.continuations == [data.continuations[5], data.continuations[2]]
    dev = data.subset("dev")
    assert len(dev.continuations) == len(dev)
    bare = dataclasses.replace(data, continuations=[])
    assert bare.take(np.array([1])).continuations == []
    other = dataclasses.replace(data, continuations=[*data.continuations[:-1], "x"])
    assert len({content_fingerprint(d) for d in (data, bare, other)}) == 3


def test_a_run_notes_both_names(tmp_path, monkeypatch):
    monkeypatch.setenv("MSIG_RUN_DIR", str(tmp_path))
    datasets.load("docstring_topics", limit=100)
    datasets.load("docstring_background", limit=10)
    lines = [json.loads(line) for line in (tmp_path / "data.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == ["docstring_topics", "docstring_background"]
    assert lines[1]["fingerprint"] == datasets.fingerprint("docstring_background")
