import numpy as np
import pytest

from msig_lib.zeroshot import signal
from msig_lib.zeroshot.signal import Continuation, Copy, RandomDocument

TEXTS = ["a cat", "a dog", "", "日本語 🙂"]


class Counting(Copy):
    """Copy that writes down what it was asked for and writes the label into each text."""

    asked: list

    def _write(self, rows, labels, n, seed):
        self.asked.append(list(zip(rows.tolist(), labels.tolist())))
        return [[f"{row} {label} {k}" for k in range(n)] for row, label in zip(rows, labels)]


def test_controls_say_what_they_are_named_after():
    assert Copy.fit(TEXTS).generate([1, 2], [0, 1], 2, seed=0) == [["a dog"] * 2, [""] * 2]
    known = Continuation.fit(TEXTS, ["sleeps.", "barks.", "", "x"])
    assert known.generate([1], None, 2, seed=0) == [["barks."] * 2]
    assert known.elaborate(["a cat", ""], 1, seed=9) == [["sleeps."], [""]]
    other = RandomDocument.fit(TEXTS)
    drawn = other.generate([0] * 200, None, 3, seed=1)
    assert drawn[0] == drawn[1], "the same row asked twice"
    many = [text for row in range(4) for text in other.generate([row], None, 300, seed=1)[0]]
    assert all(TEXTS[i // 300] != text for i, text in enumerate(many))
    assert {text: many.count(text) for text in TEXTS} == pytest.approx(dict.fromkeys(TEXTS, 300), abs=60)
    assert set(other.elaborate(["new"], 100, seed=0)[0]) == set(TEXTS)


def test_a_pool_of_one_text_has_nothing_but_itself():
    assert RandomDocument.fit(["only"]).generate([0], None, 2, seed=0) == [["only", "only"]]


@pytest.mark.parametrize("labelled", [False, True])
def test_random_text_depends_on_row_label_sample_and_seed_alone(labelled):
    texts = [f"text {i}" for i in range(500)]
    rows = np.arange(40)
    labels = rows % 3 if labelled else None
    generator = RandomDocument.fit(texts)
    all_at_once = generator.generate(rows, labels, 4, seed=5)
    for row in (7, 0, 39):
        one = generator.generate([row], None if labels is None else [labels[row]], 2, seed=5)[0]
        assert one == all_at_once[row][:2]
    assert generator.generate(rows, labels, 4, seed=6) != all_at_once
    assert generator.elaborate(["b", "a"], 3, seed=5)[1] == generator.elaborate(["a"], 3, seed=5)[0]


def test_streams_are_all_different_and_evenly_spread():
    drawn = signal.streams(3, np.arange(200), np.arange(200) % 5, 50)
    assert drawn.dtype == np.uint64 and len(np.unique(drawn)) == drawn.size
    assert (drawn / 2.0**64).mean() == pytest.approx(0.5, abs=0.02)
    assert not np.array_equal(drawn, signal.streams(-3, np.arange(200), np.arange(200) % 5, 50))
    assert not np.array_equal(drawn, signal.streams(3, np.arange(200), None, 50))


def test_fingerprints_tell_generators_apart():
    made = [
        Copy.fit(TEXTS),
        RandomDocument.fit(TEXTS),
        Copy.fit(TEXTS[:3]),
        Copy.fit([*TEXTS[:2], "日本語 🙂", ""]),
    ]
    made += [Continuation.fit(TEXTS, TEXTS), Continuation.fit(TEXTS, TEXTS[::-1])]
    assert len({one.fingerprint for one in made}) == len(made)
    assert Copy.fit(TEXTS).fingerprint == made[0].fingerprint


def test_cost_counts_texts_and_words():
    generator = Copy.fit(TEXTS)
    generator.generate([0, 3], None, 3, seed=0)
    generator.elaborate(["one two three"], 1, seed=0)
    assert (generator.cost.texts, generator.cost.words, generator.cost.tokens) == (7, 15, None)
    row = signal.cost_table([generator])[0]
    assert row["generator"] == "copy" and row["words a text"] == pytest.approx(15 / 7)
    assert row["ms a text"] == pytest.approx(1000 * generator.cost.seconds / 7)
    assert signal.cost_table([Copy.fit(TEXTS)])[0]["ms a text"] == 0


def test_augment_appends_and_an_empty_side_adds_nothing():
    assert signal.augment(["x", ""], [["a", ""], ["b"]]) == [["x a", "x"], ["b"]]
    assert signal.augment(["x"], [[]]) == [[]]
    with pytest.raises(ValueError, match="2 texts but generated text for 1"):
        signal.augment(["x", "y"], [["a"]])


def test_only_missing_pairs_are_written():
    generator = Counting.fit(TEXTS)
    generator.asked, cache = [], {(0, 1): ["kept", "too", "third"], (1, 1): ["too few"]}
    found = signal.conditional(generator, [0, 1, 2, 1], [1, 1, 0, 1], 2, seed=0, cache=cache)
    assert generator.asked == [[(1, 1), (2, 0)]]
    assert found == [["kept", "too"], ["1 1 0", "1 1 1"], ["2 0 0", "2 0 1"], ["1 1 0", "1 1 1"]]
    signal.conditional(generator, [2, 1], [0, 1], 2, seed=0, cache=cache)
    assert len(generator.asked) == 1 and set(cache) == {(0, 1), (1, 1), (2, 0)}
    assert signal.conditional(generator, [], [], 2, seed=0, cache={}) == []


def test_label_control_is_a_softmax_and_an_argmax():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names, intended = vectors[:4], rng.integers(0, 3, 30)  # nothing is written for label 3
    found = signal.label_control(vectors, intended, names, scale=7.0)
    read, table = [], [[] for _ in range(4)]
    for vector, label in zip(vectors, intended):
        odds = [np.exp(7.0 * float(vector @ name)) for name in names]
        table[label].append(np.array(odds) / sum(odds))
        read.append(int(np.argmax(odds)) == label)
    assert found.share == pytest.approx(np.mean(read))
    for label in range(3):
        assert found.confusion[label] == pytest.approx(np.mean(table[label], axis=0))
        assert found.shares[label] == pytest.approx(np.mean(np.array(read)[intended == label]))
    assert np.isnan(found.confusion[3]).all() and np.isnan(found.shares[3])
    assert found.counts.tolist() == [*np.bincount(intended).tolist(), 0]
    assert np.isnan(signal.label_control(np.empty((0, 6)), [], names).share)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda g: g.generate([4], None, 1, seed=0), r"rows run from 4 to 4, expected 0\.\.3"),
        (lambda g: g.generate([-1], None, 1, seed=0), "rows run from -1"),
        (lambda g: g.generate([0.5], None, 1, seed=0), "whole numbers"),
        (lambda g: g.generate([True], None, 1, seed=0), "whole numbers"),
        (lambda g: g.generate([0, 1], [0], 1, seed=0), "2 rows but 1 labels"),
        (lambda g: g.generate([0], [-1], 1, seed=0), "labels run from -1"),
        (lambda g: g.generate([0], None, 0, seed=0), "n is 0"),
        (lambda g: signal.conditional(g, [0, 1], [0], 1, seed=0, cache={}), "2 rows but 1 labels"),
        (lambda g: Copy.fit([]), "no texts"),
        (lambda g: Continuation.fit(["a"], []), "1 texts but 0 continuations"),
        (lambda g: Continuation.fit(["a"], [""]).elaborate(["b"], 1, seed=0), "not known, the first is 'b'"),
        (
            lambda g: signal.label_control(np.ones((2, 3)), [0, 5], np.ones((2, 3))),
            "intended run from 0 to 5",
        ),
        (lambda g: signal.label_control(np.ones((2, 3)), [0, 1], np.ones((2, 4))), r"expected \[n, dim\]"),
        (lambda g: signal.label_control(np.ones((2, 3)), [0], np.ones((2, 3))), "2 generated vectors but 1"),
    ],
)
def test_mistakes_are_named(call, says):
    with pytest.raises(ValueError, match=says):
        call(Copy.fit(TEXTS))


def test_one_bare_string_is_no_pool():
    with pytest.raises(TypeError, match="one string"):
        Copy.fit("a cat")
    with pytest.raises(TypeError, match="one string"):
        Copy.fit(TEXTS).elaborate("a cat", 1, seed=0)
