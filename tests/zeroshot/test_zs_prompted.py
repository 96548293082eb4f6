import numpy as np
import pytest

from msig_lib.lm.decoder import build_decoder, build_tokenizer, save_decoder
from msig_lib.lm.generate import Completion, Sampling, Usage
from msig_lib.lm.local import LocalModel
from msig_lib.lm.threads import torch_threads
from msig_lib.zeroshot import prompted
from msig_lib.zeroshot.corpus_lm import CorpusLM, CorpusLMSettings, topic_vectors, training_pairs
from msig_lib.zeroshot.prompted import PromptedClassifier, PromptedGenerator
from msig_lib.zeroshot.retrieval import Corpus, Neighbourhood
from msig_lib.zeroshot.signal import label_control

NAMES = ["sports", "Science and technology"]


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):  # the work is tiny: several threads only wait for each other
        yield


class Scripted:
    """A TextModel that answers by a rule: `rule(prompt, k)`."""

    def __init__(self, rule, name="scripted"):
        self.rule, self.name, self.fingerprint, self.usage = rule, name, f"{name} 1", Usage()
        self.calls = []

    def complete(self, prompts, *, n=1, sampling=None, seed):
        self.calls.append((list(prompts), n, sampling, seed))
        return [[Completion(self.rule(prompt, k), tokens=5) for k in range(n)] for prompt in prompts]


def test_prompts_hold_the_text_and_for_a_label_its_name():
    model = Scripted(lambda prompt, k: f"  It goes\non {k}. ")
    generator = PromptedGenerator(model, ["{label} a goal", "an atom"], NAMES)
    assert generator.generate([1, 0], [0, 1], 2, seed=3) == [["It goes on 0.", "It goes on 1."]] * 2
    (prompts, n, sampling, seed), *_ = model.calls
    assert n == 2 and seed == 3
    assert (sampling.temperature, sampling.top_p, sampling.min_tokens, sampling.max_tokens) == (
        0.8,
        0.95,
        64,
        128,
    )
    assert "an atom" in prompts[0] and "sports" in prompts[0] and "technology" not in prompts[0]
    assert "{label} a goal" in prompts[1] and "Science and technology" in prompts[1]
    generator.generate([0], None, 1, seed=0)
    assert "{label} a goal" in model.calls[1][0][0] and "sports" not in model.calls[1][0][0]
    assert generator.elaborate(["new text"], 1, seed=0) == [["It goes on 0."]]
    assert (generator.cost.texts, generator.cost.words, generator.cost.tokens) == (6, 24, 30)


def test_equal_prompts_are_asked_once():
    model = Scripted(lambda prompt, k: str(k))
    generator = PromptedGenerator(model, ["a", "a", "b"])
    assert len(generator.generate([0, 1, 2, 0], None, 2, seed=0)) == 4
    assert len(model.calls[0][0]) == 2
    assert generator.generate([], None, 2, seed=0) == [] and len(model.calls) == 1


def test_long_texts_are_cut_at_a_word_and_empty_ones_are_asked_about_all_the_same():
    assert prompted.shortened("one two three", 9) == "one two"
    assert prompted.shortened("one two three", 7) == prompted.shortened("one two three", 8) == "one two"
    assert prompted.shortened("oneword two", 3) == "one"
    assert prompted.shortened("日" * 20, 9) == "日" * 9
    assert prompted.shortened("short", 9) == "short"
    model = Scripted(lambda prompt, k: "")
    long = "word " * 5000
    assert PromptedGenerator(model, [long, ""]).generate([0, 1], None, 1, seed=0) == [[""], [""]]
    assert len(model.calls[0][0][0]) < prompted.LONGEST + len(prompted.ELABORATE)


def test_fingerprint_covers_model_prompts_names_and_sampling():
    def make(name="m", names=NAMES, **options):
        return PromptedGenerator(Scripted(str, name), ["a"], names, **options).fingerprint

    made = [
        make(),
        make("other"),
        make(names=NAMES[::-1]),
        make(elaborate_prompt="Go on: {text}"),
        make(conditional_prompt="{label} {text}"),
        make(sampling=Sampling()),
    ]
    assert len(set(made)) == len(made) and make() == made[0]


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("sports", 0),
        (" Sports.\n", 0),
        ('"SPORTS"', 0),
        ("**Sports**.", 0),
        ("\n\n  science  and technology", 1),
        ("Heading: sports", 0),
        ("**Category:** sports", 0),
        ("Sports\n\nBecause it is about a goal.", 0),
        ("", None),
        ("...", None),
        ("It is sports", None),
        ("sports, Science and technology", None),
        ("technology", None),
        ("politics", None),
        ("not sports", None),
        ("sports sports", None),
    ],
)
def test_an_answer_counts_only_if_it_is_one_class_name(answer, label):
    assert prompted.parsed(answer, prompted.answer_key(NAMES)) == label


def test_the_classifier_counts_malformed_answers():
    said = {"goal": "Sports", "atom": "Science and technology.", "tax": "That would be politics."}
    model = Scripted(lambda prompt, k: next(answer for word, answer in said.items() if word in prompt))
    found = PromptedClassifier(model, NAMES).predict(["a goal", "an atom", "a tax", "a goal"])
    assert found.labels.tolist() == [0, 1, -1, 0] and found.labels.dtype == np.int64
    assert found.malformed == 1 and found.texts[2] == said["tax"] and found.tokens == 15
    prompts, _, sampling, _ = model.calls[0]
    assert len(prompts) == 3 and sampling.temperature == 0
    assert all(name in prompts[0] for name in NAMES)
    assert PromptedClassifier(model, NAMES).predict([]).labels.shape == (0,)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: PromptedGenerator(m, ["a"], elaborate_prompt="Go on."), "no place for {text}"),
        (lambda m: PromptedGenerator(m, ["a"], conditional_prompt="{text}"), "no place for {label}"),
        (
            lambda m: PromptedGenerator(m, ["a"], NAMES).generate([0], [2], 1, seed=0),
            "label 2 .* 2 class_names",
        ),
        (lambda m: PromptedGenerator(m, ["a"]).generate([0], [0], 1, seed=0), "0 class_names"),
        (lambda m: PromptedClassifier(m, ["Sports", "sports "]), "differ in more than case"),
        (lambda m: PromptedClassifier(m, []), "class_names are"),
        (lambda m: PromptedClassifier(m, NAMES, "{text}"), "no place for {labels}"),
    ],
)
def test_mistakes_are_named(call, says):
    with pytest.raises(ValueError, match=says):
        call(Scripted(str))


def test_a_real_local_model_writes_and_answers(tmp_path):
    tokenizer = build_tokenizer([prompted.ELABORATE, prompted.CLASSIFY, "sports science goal atom"])
    model = build_decoder(tokenizer, seed=0, width=16, layers=1, heads=2, max_positions=256)
    local = LocalModel.load(f"hf:{save_decoder(tmp_path / 'model', model, tokenizer)}")
    short = Sampling(temperature=0.8, max_tokens=12, min_tokens=6)
    generator = PromptedGenerator(local, ["a goal", "an atom", "a goal"], NAMES, sampling=short)
    found = generator.generate([0, 1, 2], [0, 1, 0], 2, seed=1)
    assert found[0] == found[2] != found[1] and all(text for group in found for text in group)
    assert generator.generate([1], [1], 1, seed=1)[0][0] == found[1][0]
    assert generator.cost.tokens > 0
    answers = PromptedClassifier(local, NAMES).predict(["a goal"])
    assert answers.malformed == 1 and answers.tokens > 0  # untrained: it babbles


SPORT = "goal match team coach league striker".split()
SCIENCE = "atom theory proof quantum energy orbit".split()
SMALL = CorpusLMSettings(tokens=40_000, width=32, layers=1, heads=2, batch=16, learning_rate=5e-3)


def read(texts):
    counts = np.array([[text.split().count(word) for word in SPORT + SCIENCE] for text in texts], dtype=float)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


@pytest.fixture(scope="module")
def toy():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice((SPORT, SCIENCE)[i % 2], 8)) for i in range(80)]
    names = read([" ".join(SPORT), " ".join(SCIENCE)])
    return texts, read(texts), names, 20 * read(texts) @ names.T


@pytest.fixture(scope="module")
def small_lm(toy):
    texts, vectors, _, scores = toy
    return CorpusLM.fit(texts, vectors, scores, ["goal", "atom"], SMALL, seed=0)


def test_a_model_of_the_pool_obeys_labels_and_reads_texts(toy, small_lm):
    texts, _, names, scores = toy
    intended = np.random.default_rng(1).integers(0, 2, len(texts))
    written = small_lm.generate(range(len(texts)), intended, 1, seed=0)
    assert label_control(read([t for (t,) in written]), intended, names).share > 0.8
    mismatch = intended != scores.argmax(1)
    found = label_control(read([t for (t,) in written])[mismatch], intended[mismatch], names)
    assert found.share > 0.8, "the label counts, not the text"
    free = small_lm.generate(range(len(texts)), None, 1, seed=0)
    assert label_control(read([t for (t,) in free]), scores.argmax(1), names).share > 0.7
    assert small_lm.cost.tokens > 0 and small_lm.cost.fit_seconds > 0
    assert small_lm.trained.losses[-20:].mean() < small_lm.trained.losses[:5].mean()


def test_the_same_seed_trains_and_writes_the_same(toy, small_lm):
    texts, vectors, _, scores = toy
    again = CorpusLM.fit(texts, vectors, scores, ["goal", "atom"], SMALL, seed=0)
    whole = small_lm.generate(range(10), [1] * 10, 2, seed=3)
    assert again.generate(range(10), [1] * 10, 2, seed=3) == whole
    assert again.fingerprint == small_lm.fingerprint
    assert [small_lm.generate([row], [1], 2, seed=3)[0] for row in (9, 4)] == [whole[9], whole[4]]
    assert small_lm.elaborate(texts[:2], 2, seed=3) == small_lm.generate([0, 1], None, 2, seed=3)
    assert small_lm.elaborate(["", "unknown 日本語"], 1, seed=0)[0][0]
    assert small_lm.elaborate([], 1, seed=0) == []
    with pytest.raises(ValueError, match=r"label 2 .* trained on 2"):
        small_lm.generate([0], [2], 1, seed=0)


def test_small_pools_and_corpora_train_too():
    few = CorpusLMSettings(tokens=300, width=16, layers=1, heads=2)
    one = CorpusLM.fit(["just one text"], np.ones((1, 2)), settings=few, seed=0)
    assert isinstance(one.generate([0], None, 1, seed=0)[0][0], str)
    with pytest.raises(ValueError, match="trained on 0"):
        one.generate([0], [0], 1, seed=0)
    rich = CorpusLM.fit(["a b", ""], np.eye(2), settings=few, seed=0, corpus=Corpus(["c d"], [[1, 1]]))
    assert "c" in rich.tokenizer.get_vocab() and rich.fingerprint != one.fingerprint
    with pytest.raises(ValueError, match="no piece"):
        CorpusLM.fit([""], np.ones((1, 2)), settings=few, seed=0)
    by_steps = CorpusLMSettings(steps=3, width=16, layers=1, heads=2)
    assert len(CorpusLM.fit(["a b"] * 5, np.eye(5), settings=by_steps, seed=0).trained.losses) == 3
    with pytest.raises(ValueError, match="1 class_names for label_scores of 2"):
        CorpusLM.fit(["a"], [[1]], [[0, 1]], ["x"], settings=few, seed=0)
    with pytest.raises(ValueError, match="from 1 are expected"):
        CorpusLMSettings(steps=0)
    with pytest.raises(ValueError, match="shares in"):
        CorpusLMSettings(free=1.5)


def test_training_pairs_go_from_a_text_to_a_neighbour_of_the_label(toy):
    texts, vectors, _, scores = toy
    near = Neighbourhood(texts, vectors, scores)
    settings = CorpusLMSettings(free=0.25, mismatched=0.5, neighbours=5)
    start, label, target = training_pairs(near, settings, 4000, np.random.default_rng(0))
    assert np.bincount(start).tolist() == [50] * 80
    assert (label < 0).mean() == pytest.approx(0.25, abs=0.03)
    bound = label >= 0
    assert (label[bound] != scores.argmax(1)[start[bound]]).mean() == pytest.approx(0.5, abs=0.03)
    assert (scores.argmax(1)[target[bound]] == label[bound]).all()
    assert (start != target).all()
    for i in np.flatnonzero(~bound)[:50]:
        close = np.round(near.vectors @ near.vectors[start[i]], 6)
        close[start[i]] = -1
        assert close[target[i]] >= np.sort(close)[-5]


def test_topic_vectors_put_words_of_one_topic_together():
    ids = [[0, 1, 2], [1, 2, 0], [3, 4], [4, 3, 4]]
    vectors = topic_vectors(ids, 6, 4, seed=0)
    close = vectors @ vectors.T
    assert np.diag(close)[:5] == pytest.approx(1, abs=1e-5) and not vectors[5].any()
    assert close[0, 1] > 0.9 and close[3, 4] > 0.7 and abs(close[0, 3]) < 0.1
    assert not topic_vectors([[0, 1]], 3, 4, seed=0).any()
