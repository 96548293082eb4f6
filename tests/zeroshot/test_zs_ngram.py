from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from msig_lib.zeroshot.ngram import NeighbourhoodNgram, NgramSettings, word_pieces
from msig_lib.zeroshot.retrieval import FEWEST, Corpus, Neighbourhood, Retrieval
from msig_lib.zeroshot.signal import label_control

SPORT = "goal match team coach league striker penalty fans stadium referee".split()
SCIENCE = "atom theory proof quantum energy orbit vaccine genome telescope reactor".split()
COMMON = "the a of in after with was new said for".split()
CHANCE = 0.5


def read(texts):
    """Bag-of-words unit vectors, float32: the toy's sentence encoder."""
    words = SPORT + SCIENCE + COMMON
    counts = np.array([[text.split().count(word) for word in words] for text in texts], dtype=np.float32)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def toy(seed=0, n=60):
    """Two classes of 12-word texts, their true labels, vectors, label vectors and scores."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    texts = []
    for label in labels:
        topic = rng.choice((SPORT, SCIENCE)[label], 6)
        texts.append(" ".join(word for pair in zip(topic, rng.choice(COMMON, 6)) for word in pair))
    names = read([" ".join(SPORT), " ".join(SCIENCE)])
    return texts, labels, read(texts), names, 20 * read(texts) @ names.T


def brute_nearest(vectors, query, k, own=None, allowed=None):
    order = sorted(
        (i for i in (range(len(vectors)) if allowed is None else allowed) if i != own),
        key=lambda i: (-round(float(np.float64(vectors[i]) @ np.float64(query)), 9), i),
    )
    return order[:k] + [-1] * (k - len(order))


@pytest.mark.parametrize("kind", [NeighbourhoodNgram, Retrieval])
def test_the_intended_label_is_read_far_above_chance(kind):
    texts, _, vectors, names, scores = toy()
    generator = kind.fit(texts, vectors, scores)
    intended = np.random.default_rng(1).integers(0, 2, len(texts))  # half of them not the text's own class
    written = generator.generate(range(len(texts)), intended, 2, seed=0)
    found = label_control(read([t for group in written for t in group]), np.repeat(intended, 2), names)
    assert found.share > CHANCE + 0.3
    assert (np.diag(found.confusion) > CHANCE + 0.1).all()
    elaborated = generator.generate(range(len(texts)), None, 1, seed=0)
    own = scores.argmax(1)
    assert label_control(read([t for (t,) in elaborated]), own, names).share > CHANCE + 0.3


@pytest.mark.parametrize("kind", [NeighbourhoodNgram, Retrieval])
@pytest.mark.parametrize("labelled", [False, True])
def test_text_depends_on_row_label_sample_and_seed_alone(kind, labelled):
    texts, labels, vectors, _, scores = toy()
    asked = labels if labelled else None
    rows = np.arange(len(texts))
    whole = kind.fit(texts, vectors, scores).generate(rows, asked, 3, seed=4)
    again = kind.fit(texts, vectors, scores)
    for row in (11, 0, 59):
        assert again.generate([row], None if asked is None else [asked[row]], 3, seed=4)[0] == whole[row]
    mixed = again.generate([5, 3, 5], None if asked is None else [1, 0, 0], 2, seed=4)
    if asked is None:
        assert mixed == [whole[5][:2], whole[3][:2], whole[5][:2]]
    else:
        assert mixed[0] == whole[5][:2] and mixed[2] != mixed[0]
    if kind is NeighbourhoodNgram:
        assert again.generate(rows, asked, 3, seed=5) != whole
        assert len(set(whole[0])) == 3


def test_every_pair_of_words_stands_in_the_neighbourhood_or_in_the_table():
    texts, _, vectors, _, scores = toy()
    generator = NeighbourhoodNgram.fit(texts, vectors, scores)
    for label in (None, 0, 1):
        allowed = None if label is None else generator.near.members(label).tolist()
        lent = range(len(texts)) if allowed is None else allowed
        for row in range(10):
            local = [texts[row]] + [
                texts[d] for d in brute_nearest(vectors, vectors[row], 10, row, allowed) if d >= 0
            ]
            pairs, ends, starts = set(), set(), set()
            for text in [*local, *(texts[d] for d in lent)]:
                words = text.split()
                pairs |= set(pairwise(words))
                starts.add(words[0])
                ends.add(words[-1])
            for (text,) in [generator.generate([row], None if label is None else [label], 1, seed=row)[0]]:
                words = text.split()
                assert words[0] in starts and 24 <= len(words) <= 36
                for a, b in pairwise(words):
                    assert (a, b) in pairs or (a in ends and b in starts)


def frequencies(settings, texts, last, seed=0, label_scores=None, labels=None):
    """How often each word follows `last` in 4,000 texts of row 0."""
    vectors = np.eye(len(texts), 4, dtype=np.float32)
    generator = NeighbourhoodNgram.fit(texts, vectors, label_scores, settings)
    (written,) = generator.generate([0], labels, 4000, seed=seed)
    seen = Counter(b for text in written for a, b in pairwise(text.split()) if a == last)
    return {word: count / seen.total() for word, count in seen.items()}


def test_words_follow_in_the_shares_of_the_settings():
    """Pool: "a b a c a b" and "a z": after a, the text itself says b 2/3, c 1/3; the table says b 1/2, c, z 1/4."""
    texts = ["a b a c a b", "a z"]
    local = frequencies(NgramSettings(0, trigram=0, bigram=1, table=0), texts, "a")
    assert local == pytest.approx({"b": 2 / 3, "c": 1 / 3}, abs=0.02)
    table = frequencies(NgramSettings(0, trigram=0, bigram=0, table=1), texts, "a")
    assert table == pytest.approx({"b": 1 / 2, "c": 1 / 4, "z": 1 / 4}, abs=0.02)
    both = frequencies(NgramSettings(0, trigram=0, bigram=0.4, table=0.6), texts, "a")
    expected = {"b": 0.4 * 2 / 3 + 0.6 / 2, "c": 0.4 / 3 + 0.6 / 4, "z": 0.6 / 4}
    assert both == pytest.approx(expected, abs=0.02)


def test_trigrams_know_two_words():
    """After "x a" always b, after "y a" always c, though a is followed by both."""
    settings = NgramSettings(0, trigram=1, bigram=0, table=0)
    generator = NeighbourhoodNgram.fit(["x a b y a c"], np.ones((1, 2)), settings=settings)
    for text in generator.generate([0], None, 50, seed=0)[0]:
        words = text.split()
        for a, b, c in zip(words, words[1:], words[2:]):
            assert b != "a" or c == {"x": "b", "y": "c"}[a]


@pytest.mark.parametrize("k", [1, 3, 100])
@pytest.mark.parametrize("label", [None, 0])
def test_nearest_is_the_brute_force_ranking(k, label):
    texts, _, vectors, _, scores = toy(3)
    near = Neighbourhood(texts, 3 * vectors, scores)
    allowed = None if label is None else near.members(label).tolist()
    rows = np.arange(len(texts))
    found = near.nearest(near.vectors, k, label=label, own=rows)
    for row in rows:
        assert found[row].tolist() == brute_nearest(near.vectors, near.vectors[row], k, row, allowed)


def test_the_confident_half_of_a_class():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(80, 3))
    scores[:, 2] -= 50  # nobody's first choice
    near = Neighbourhood([str(i) for i in range(80)], rng.normal(size=(80, 4)), scores)
    odds = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    own = [i for i in np.argsort(-odds[:, 0]) if odds[i].argmax() == 0]
    assert near.members(0).tolist() == own[: -(-len(own) // 2)]
    assert near.members(2).tolist() == np.argsort(-odds[:, 2])[:FEWEST].tolist()
    few = Neighbourhood([str(i) for i in range(4)], np.eye(4), np.eye(4)[:, :2])
    assert sorted(few.members(1).tolist()) == [0, 1, 2, 3] and few.members(1)[0] == 1
    assert 1 in few.members(0)[1:].tolist()


@pytest.mark.parametrize("kind", [NeighbourhoodNgram, Retrieval])
def test_a_class_without_a_document_is_written_from_the_least_unlike(kind):
    texts, _, vectors, names, scores = toy()
    scores = np.column_stack([scores, scores[:, 1] - 30])  # class 2: nobody's, but like science
    written = kind.fit(texts, vectors, scores).generate(range(0, 60, 2), [2] * 30, 1, seed=0)
    assert label_control(read([t for (t,) in written]), [1] * 30, names).share > 0.6


@pytest.mark.parametrize("kind", [NeighbourhoodNgram, Retrieval])
def test_small_and_empty_pools(kind):
    one = kind.fit(["just one text here"], np.ones((1, 3)), np.ones((1, 2)))
    for labels in (None, [1]):
        (texts,) = one.generate([0], labels, 2, seed=0)
        assert all(set(text.split()) == {"just", "one", "text", "here"} for text in texts)
    empty = kind.fit(["", ""], np.zeros((2, 3)), np.zeros((2, 2)))
    assert empty.generate([0, 1], [0, 1], 2, seed=0) == [["", ""]] * 2
    assert empty.elaborate([""], 1, seed=0, vectors=np.zeros((1, 3))) == [[""]]
    assert empty.generate([], None, 2, seed=0) == []
    assert (
        empty.generate([], [], 2, seed=0) == []
        and empty.elaborate([], 1, seed=0, vectors=np.empty((0, 3))) == []
    )
    some = kind.fit(["", "words of a neighbour"], np.ones((2, 3)))
    assert "words" in some.generate([0], None, 1, seed=0)[0][0]


def test_retrieval_gives_the_nearest_first_and_starts_again():
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.5, 0.5]])
    found = Retrieval.fit(["a", "b", "c", "d"], vectors)
    assert found.generate([0], None, 5, seed=0) == [["b", "d", "c", "b", "d"]]
    assert found.generate([0], None, 5, seed=1) == [["b", "d", "c", "b", "d"]]
    assert found.elaborate(["new"], 2, seed=0, vectors=[[0, 1]]) == [["c", "d"]]


@pytest.mark.parametrize("kind", [NeighbourhoodNgram, Retrieval])
def test_unseen_texts_are_written_the_same_wherever_they_stand(kind):
    texts, _, vectors, _, _ = toy()
    new = ["goal zebra giraffe", "atom of okapi", "goal zebra giraffe"]
    generator = kind.fit(texts, vectors)
    before = generator.generate([0], None, 1, seed=0)
    found = generator.elaborate(new, 3, seed=1, vectors=read(new))
    assert found[0] == found[2] and found[0] != found[1]
    assert generator.elaborate(new[1:2], 3, seed=1, vectors=read(new[1:2]))[0] == found[1]
    assert generator.generate([0], None, 1, seed=0) == before
    if kind is NeighbourhoodNgram:
        many = generator.elaborate(new[:1], 50, seed=1, vectors=read(new[:1]))[0]
        assert any("zebra" in text for text in many) and not any("okapi" in text for text in many)
    if kind is Retrieval:  # a text of the pool is not its own neighbour here either
        assert generator.elaborate(texts[:9], 5, seed=0, vectors=vectors[:9]) == generator.generate(
            range(9), None, 5, seed=0
        )
    with pytest.raises(ValueError, match="pass vectors="):
        generator.elaborate(["x"], 1, seed=0)
    with pytest.raises(ValueError, match="3 columns"):
        generator.elaborate(["x"], 1, seed=0, vectors=np.ones((1, 3)))


@pytest.mark.parametrize("kind", [NeighbourhoodNgram, Retrieval])
def test_a_corpus_lends_its_documents_but_not_the_pools_own(kind):
    texts, labels, vectors, _, scores = toy()
    more = [text.replace("the", "THE") + " outside" for text in texts] + texts[:5]
    corpus = Corpus(more, np.concatenate([vectors, vectors[:5]]), np.concatenate([scores, scores[:5]]))
    plain, rich = kind.fit(texts, vectors, scores), kind.fit(texts, vectors, scores, corpus=corpus)
    assert len(rich.near.texts) == 120 and len(rich.texts) == 60
    for asked in (None, labels):
        written = rich.generate(range(60), asked, 3, seed=0)
        assert sum("outside" in t for group in written for t in group) > 60
        assert not any("outside" in t for g in plain.generate(range(60), asked, 3, seed=0) for t in g)
    unlabelled = kind.fit(texts, vectors, scores, corpus=(more, corpus.vectors))
    assert unlabelled.generate([3], None, 2, seed=0) == rich.generate([3], None, 2, seed=0)
    with pytest.raises(ValueError, match="the corpus's label_scores"):
        unlabelled.generate([3], [0], 2, seed=0)
    assert len({one.fingerprint for one in (plain, rich, unlabelled)}) == 3
    with pytest.raises(ValueError, match="rows run from 0 to 60"):
        rich.generate([0, 60], None, 1, seed=0)


@pytest.mark.parametrize("kind", [NeighbourhoodNgram, Retrieval])
def test_other_pseudo_labels_change_what_is_written_for_labels_only(kind):
    texts, labels, vectors, _, scores = toy()
    generator = kind.fit(texts, vectors, scores)
    print_before, free = generator.fingerprint, generator.generate(range(60), None, 2, seed=0)
    bound = generator.generate(range(60), labels, 2, seed=0)
    generator.update(scores[:, ::-1])
    assert generator.generate(range(60), None, 2, seed=0) == free
    swapped = generator.generate(range(60), labels, 2, seed=0)
    assert swapped != bound and generator.fingerprint != print_before
    fresh = kind.fit(texts, vectors, scores[:, ::-1])
    assert (
        fresh.generate(range(60), labels, 2, seed=0) == swapped and fresh.fingerprint == generator.fingerprint
    )


def test_settings_are_part_of_the_fingerprint():
    texts, _, vectors, _, _ = toy()
    made = [NeighbourhoodNgram.fit(texts, vectors, settings=s) for s in (NgramSettings(), NgramSettings(9))]
    made += [Retrieval.fit(texts, vectors), Retrieval.fit(texts, vectors[::-1])]
    assert len({one.fingerprint for one in made}) == 4


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Two  words\n", [" Two", " words"]),
        ("", []),
        (" \t", []),
        ("日本語 です", ["日", "本", "語", " で", "す"]),
        ("กำลัง go", ["กำ", "ลั", "ง", " go"]),
        ("naïve Привет עולם 🙂!", [" naïve", " Привет", " עולם", " 🙂!"]),
        ("v2你好", [" v2", "你", "好"]),
    ],
)
def test_words_are_cut_at_spaces_or_where_a_script_has_none_into_letters(text, pieces):
    assert word_pieces(text) == pieces
    assert "".join(pieces).split() == text.split()


def test_texts_of_other_scripts_are_recombined_not_quoted_whole():
    texts = ["股票市场今天大幅下跌", "股票市场昨天小幅上涨", "天气今天很好"]
    generator = NeighbourhoodNgram.fit(texts, np.ones((3, 2)))
    written = generator.generate([0], None, 20, seed=0)[0]
    assert all(24 <= len(text) <= 36 and set(text) <= set("".join(texts)) for text in written)
    assert generator.elaborate(["\ud800 lone"], 1, seed=0, vectors=[[1, 1]])[0][0]


def test_a_very_long_document_is_no_trouble():
    long = " ".join(f"w{i}" for i in range(20_000))
    generator = NeighbourhoodNgram.fit([long, "short"], np.ones((2, 2)))
    assert 24 <= len(generator.generate([1], None, 1, seed=0)[0][0].split()) <= 36


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda t, v: NeighbourhoodNgram.fit(t, v[:5]), r"vectors of shape \(5, 30\) for 60 texts"),
        (lambda t, v: NeighbourhoodNgram.fit(t, v * np.nan), "finite"),
        (lambda t, v: NeighbourhoodNgram.fit(t, v, v[:5]), r"label_scores of shape \(5, 30\) for 60"),
        (lambda t, v: NeighbourhoodNgram.fit(t, v).generate([0], [0], 1, seed=0), "needs label_scores"),
        (lambda t, v: Retrieval.fit(t, v, v[:, :2]).generate([0], [2], 1, seed=0), "label 2 .* 2 columns"),
        (lambda t, v: Retrieval.fit(t, v, corpus=(["x"], v)), "for 1 corpus texts"),
        (lambda t, v: NgramSettings(trigram=0.9), "add to 1"),
        (lambda t, v: NgramSettings(least_words=40), "least_words <= most_words"),
        (lambda t, v: NgramSettings(neighbours=-1), "neighbours >= 0"),
        (lambda t, v: Retrieval.fit([], v[:0]), "no texts"),
    ],
)
def test_mistakes_are_named(call, says):
    texts, _, vectors, _, _ = toy()
    with pytest.raises(ValueError, match=says):
        call(texts, vectors)
