"""What the decoder of chapter 5 learns from, and that learning repeats to the bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from msig_lib.lm.scoring import Example, prompt_example
from msig_lib.lm.threads import torch_threads
from msig_lib.mining import prompts, train
from msig_lib.mining.data import WorldSettings, fresh_passages, make_world
from msig_lib.mining.documents import CRITERIA, Mined
from msig_lib.mining.parse import write_output
from msig_lib.mining.questions import conversations, draw_test_questions
from msig_lib.mining.reading import normal, read_claims
from msig_lib.mining.signal import OracleTeacher
from msig_lib.mining.train import EVERY_TOPIC, FULL, BaseSettings, ChatSettings, chat_prompt, mix
from msig_lib.mining.wording import Fact
from msig_lib.mining.words import KIND

TINY = BaseSettings(width=16, layers=1, heads=2, copy_steps=2, steps=2, batch=2)


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


@pytest.fixture(scope="module")
def of():
    return train.tokenizer()


@pytest.fixture(scope="module")
def world():
    return make_world(WorldSettings(entities=3, known=2), seed=1)


@pytest.fixture(scope="module")
def fresh(world):
    return list(fresh_passages(world, 40, seed=1, topics=EVERY_TOPIC, mixed=True))


def weights(model):
    return {name: value.clone() for name, value in model.model.state_dict().items()}


def equal(one, two):
    return all(torch.equal(one[name], two[name]) for name in one) and one.keys() == two.keys()


def ids_of(n, length):
    return [Example.of([2], [k] * (length - 1)) for k in range(4, 4 + n)]


def test_no_word_is_unknown(of, world, fresh):
    others = [one for topic in world.known.values() for one in topic]
    whole = [*world.domain, *others, *fresh]
    texts = [text for passage in whole for text in (passage.document.text, passage.document.title)]
    for analysis in (True, False):
        prompt = prompts.short_prompt if analysis else prompts.short_pair_prompt
        for error in (0.0, 1.0):
            teacher = OracleTeacher(whole, analysis=analysis, error_rate=error)
            for passage in whole:
                items = [(passage.document, i) for i in range(len(passage.sentences))]
                found = teacher.ask(items, seed=0)
                texts += [write_output(one, analysis) for one in found]
                texts += [prompt(*item) for item in items]
    texts += [write_output(Mined("d", 0, fails=fails), False) for fails in CRITERIA]
    asked = [*draw_test_questions(world.domain, 10**4, seed=0), *conversations(others, 500, seed=0)]
    texts += [text for one in asked for text in (chat_prompt(one.text), one.reference)]
    texts += [train.in_full(one.facts) for passage in whole for one in passage.sentences if one.facts]
    texts += [train.COPY, FULL, "Document: "]
    for text in texts:
        ids = of(text, add_special_tokens=False)["input_ids"]
        assert of.unk_token_id not in ids, text
        assert normal(of.decode(ids)) == normal(text)
    assert of.unk_token_id in of("a zebra")["input_ids"]
    assert len(of) < 700 and of.get_vocab() == train.tokenizer().get_vocab()


def test_random_words_are_copied(of):
    rows = train.copies(of, 200, seed=3)
    assert rows == train.copies(of, 200, seed=3) and rows[:9] != train.copies(of, 9, seed=4)
    cue = of(train.COPY)["input_ids"]
    for one in rows:
        answer = [token for token, target in zip(one.ids, one.targets) if target]
        row = answer[:-1]
        assert answer[-1] == of.eos_token_id and not set(row) & set(of.all_special_ids)
        context = one.ids[: -len(answer)]
        assert list(context[: len(cue)]) == cue and list(context[len(cue) : -1]) == row
        assert of.decode(context[-1:]) == "\n"
    assert len({len(one) for one in rows}) > 5


def spans(of, one):
    """The texts that an example has as targets, each with what stands before it."""
    marks = np.flatnonzero(np.diff(np.array([False, *one.targets, False]).astype(int)))
    cuts = [0, *marks.tolist()]
    parts = [of.decode(one.ids[a:b], skip_special_tokens=True) for a, b in pairwise(cuts)]
    assert all(one.ids[b - 1] == of.eos_token_id for b in cuts[2::2])
    return list(zip(parts[::2], parts[1::2]))


@pytest.mark.parametrize("turns", [(5, 1), (0, 2), (2, 0), (99, 1)])
def test_a_passage_is_read_with_turns_about_it(of, fresh, turns):
    rng = np.random.default_rng(0)
    for passage in fresh:
        one = train.reading(of, passage, turns, rng)
        told = [sentence for sentence in passage.sentences if sentence.facts]
        found = spans(of, one)
        full = [pair for pair in found if normal(FULL) in normal(pair[0])]
        assert len(full) == min(turns[0], len(told)) and len(found) - len(full) == turns[1]
        assert normal(found[0][0]).startswith(normal(f"Document: {passage.document.text} User"))
        assert len(one) < 512
        held = {fact for sentence in told for fact in sentence.facts}
        for question, answer in found:
            claims = read_claims(answer)
            assert claims and claims <= held
            assert normal(question).endswith("bot")
        said = [read_claims(answer) for _, answer in full]
        assert all(claims in [set(sentence.facts) for sentence in told] for claims in said)


def test_said_in_full_it_stands_alone():
    facts = (Fact("Bador Kelin", "town", "Ulm"), Fact("Bador Kelin", "power", "45 kilowatts"))
    for told in (facts[:1], facts, (Fact("Bador Kelin", KIND, "river bridge"),)):
        assert read_claims(train.in_full(told), entity="Ramur Timur") == set(told)


def test_examples_of_conversations_begin_as_what_is_asked_later(of, world):
    base, _ = train.train_base(world, TINY, seed=0)
    (one,) = train.conversation_examples(of, [("What is the town of Bador Kelin?", "Ulm.")])
    asked = base.encode(chat_prompt("What is the town of Bador Kelin?"))
    assert list(one.ids[: len(asked)]) == asked and sum(one.targets) == len(one) - len(asked) == 3
    (text,) = train.text_examples(of, ["The town is Ulm."])
    assert all(text.targets[1:]) and text.ids[-1] == of.eos_token_id


def test_pairs_are_those_of_findings_that_are_kept():
    kept = Mined("d", 0, question="Which?", answer="That.")
    found = [kept, Mined("d", 1, fails="new"), Mined("d", 2, malformed="Answer:")]
    assert train.pairs_of(found) == [("Which?", "That.")]


@pytest.mark.parametrize("tokens", [1, 999, 20_000])
def test_mixtures_have_the_tokens_that_are_asked_for(tokens):
    lengths = {"short": 5, "middling": 17, "long": 90}
    kinds = {name: ids_of(30, length) for name, length in lengths.items()}
    for arm in (["short"], ["short", "long"], list(lengths)):
        for seed in range(3):
            found, drawn = mix({name: kinds[name] for name in arm}, tokens, seed=seed)
            count = sum(map(len, found))
            assert drawn == {
                name: sum(len(one) for one in found if len(one) == lengths[name]) for name in arm
            }
            assert tokens <= count < tokens + len(found[-1])
            assert set(found) <= {one for name in arm for one in kinds[name]}


def test_kinds_are_drawn_equally_often_whatever_their_size():
    kinds = {"few": ids_of(3, 5), "many": ids_of(500, 17), "long": ids_of(20, 90)}
    found, _ = mix(kinds, 200_000, seed=0)
    size = {5: "few", 17: "many", 90: "long"}
    drawn = [size[len(one)] for one in found]
    counts = [drawn.count(name) for name in kinds]
    assert stats.chisquare(counts).pvalue > 0.01
    within = [sum(one is own for one in found) for own in kinds["long"]]
    assert stats.chisquare(within).pvalue > 0.01
    runs = [(a, b) for a, b in pairwise(drawn)]
    pairs = [runs.count((a, b)) for a in kinds for b in kinds]
    assert stats.chisquare(pairs).pvalue > 0.01  # one after another, not in turn
    again, other = (mix(kinds, 200_000, seed=seed)[0] for seed in (0, 1))
    assert found == again and found[:50] != other[:50]


def test_kinds_without_examples_are_named():
    with pytest.raises(ValueError, match="no examples of qa, aug to mix"):
        mix({"conversations": ids_of(1, 4), "qa": [], "aug": []}, 10, seed=0)
    with pytest.raises(ValueError, match="no examples of any kind"):
        mix({}, 10, seed=0)


def test_a_base_repeats_to_the_bit(world):
    (one, run), (two, again) = (train.train_base(world, TINY, seed=0) for _ in range(2))
    other, _ = train.train_base(world, TINY, seed=1)
    assert equal(weights(one), weights(two)) and one.fingerprint == two.fingerprint
    assert np.array_equal(run.losses, again.losses) and run.tokens == again.tokens > 0
    assert not equal(weights(one), weights(other))
    assert len(run.losses) == 2 and one.model.config.num_attention_heads == 2


def test_a_base_reads_of_nobody_in_the_world(of, world, monkeypatch):
    seen = []

    def watched(model, examples, *_, **__):
        seen.append((model.get_input_embeddings().weight.detach().clone(), examples))

    monkeypatch.setattr(train, "train", watched)
    for seed in (0, 1):
        train.train_base(world, BaseSettings(width=16, heads=2, copy_steps=1, steps=50), seed=seed)
    (start, copied), (_, read), *others = seen
    for (weight, examples), own in zip(others, (copied, read)):  # the seed draws weights and both texts
        assert not torch.equal(weight, start)
        assert all(one.ids[:9] != other.ids[:9] for one, other in zip(examples, own))
    assert len(copied) == 64 and len(read) == 400
    texts = [normal(of.decode(one.ids, skip_special_tokens=True)) for one in read]
    assert not [name for name in world.names if any(normal(name) in text for text in texts)]
    assert any("steam" in text for text in texts) and any("ship" in text for text in texts)


def test_a_chatbot_leaves_its_base_as_it_was(world):
    base, _ = train.train_base(world, TINY, seed=0)
    before, kinds = weights(base), {"a": ids_of(40, 6), "b": ids_of(40, 30)}
    settings = ChatSettings(tokens=600, batch=4)
    (one, run, drawn), (two, *_) = (train.train_chatbot(base, kinds, settings, seed=3) for _ in range(2))
    other, *_ = train.train_chatbot(base, kinds, settings, seed=4)
    assert equal(weights(base), before)
    assert equal(weights(one), weights(two)) and not equal(weights(one), weights(other))
    assert not equal(weights(one), before) and one.model.config == base.model.config
    examples, counts = mix(kinds, 600, seed=3)
    assert len(run.losses) == len(examples) // 4 and drawn == counts and sum(drawn.values()) >= 600
    _, run, _ = train.train_chatbot(base, kinds, ChatSettings(tokens=1, batch=64), seed=0)
    assert len(run.losses) == 1  # fewer examples than a batch are still learnt


@pytest.mark.parametrize("wrong", [
    {"width": 0}, {"width": 18}, {"width": 64, "heads": 3}, {"layers": 0}, {"heads": 0}, {"copy_steps": 0},
    {"steps": 0}, {"batch": 0}, {"copy_rate": 0.0}, {"learning_rate": -1e-3}, {"turns": (0, 0)},
    {"turns": (-1, 2)}, {"turns": (1, 2, 3)}, {"rounds": 0}, {"enough": 1.1}, {"enough": float("nan")},
])  # fmt: skip
def test_impossible_bases_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        BaseSettings(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"tokens": 0}, {"tokens": float("nan")}, {"batch": 0}, {"learning_rate": 0.0}]
)
def test_impossible_chatbots_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        ChatSettings(**wrong)


def test_conversations_are_those_of_a_pair_by_itself(of):
    pairs = [
        ("What is the pressure of Bador Kelin?", "The pressure of Bador Kelin is 45 bar."),
        ("Who?", "Ulm."),
    ]
    found = train.conversation_examples(of, pairs)
    assert found == [prompt_example(of, train.chat_prompt(asked), said) for asked, said in pairs]
    assert train.conversation_examples(of, []) == []
