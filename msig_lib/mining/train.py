"""How the decoder of chapter 5 learns: a base that can read, and chatbots from mixtures of texts (thesis 5.6.1)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

import numpy as np
from transformers import PreTrainedTokenizerFast

from msig_lib.lm.decoder import build_decoder, build_tokenizer
from msig_lib.lm.local import LocalModel
from msig_lib.lm.scoring import Example, text_example
from msig_lib.lm.training import Trained, TrainSettings, train
from msig_lib.mining import prompts, wording, words
from msig_lib.mining.data import Encyclopedia, Passage, fresh_passages
from msig_lib.mining.documents import CRITERIA, Document, Mined
from msig_lib.mining.questions import draw_question
from msig_lib.mining.wording import Fact, say

COPY, FULL = "Copy:", "In full:"
EVERY_TOPIC = (*words.DOMAIN, *words.GENERAL)


@dataclass(frozen=True)
class BaseSettings:
    """How the base is made: what a pretrained model would bring along."""

    width: int = 64  # ours: learns more a CPU second than 96
    layers: int = 3  # prototype
    heads: int = 2  # ours: with four, copying of names took half as many steps again
    copy_steps: int = 350  # of 64 rows of random words; ours: without them names are hardly ever copied
    copy_rate: float = 4e-3
    steps: int = 1000  # of `batch` passages with questions; ours: quick tier
    batch: int = 8  # ours: more, smaller steps were better at equal tokens
    learning_rate: float = 6e-3  # ours: of 3e-3 .. 8e-3 on other passages; at 8e-3 some seeds fail
    turns: tuple[int, int] = (5, 1)  # of each passage: sentences to say in full, questions to answer
    enough: float = (
        0.5  # ours: share of new sentences said in full, below which a base reads on: most reach .8, a few .1
    )
    rounds: int = 3  # ours: of `steps` each, at most

    def __post_init__(self) -> None:
        if min(self.layers, self.heads, self.copy_steps, self.steps, self.batch, self.rounds) < 1:
            raise ValueError(
                f"layers, heads, copy_steps, steps, batch and rounds from 1 are expected, given {self}"
            )
        if not 0 <= self.enough <= 1:
            raise ValueError(f"enough is {self.enough}, expected a share from 0 to 1")
        if self.width < 1 or self.width % (2 * self.heads):
            raise ValueError(f"width is {self.width}, expected a multiple of 2 x heads = {2 * self.heads}")
        if min(self.copy_rate, self.learning_rate) <= 0:
            raise ValueError(f"copy_rate and learning_rate above 0 are expected, given {self}")
        if len(self.turns) != 2 or min(self.turns) < 0 or not any(self.turns):
            raise ValueError(f"turns is {self.turns}, expected two numbers from 0, one of them above")


@dataclass(frozen=True)
class ChatSettings:
    """How a chatbot is trained: all with as many tokens, but for a last batch that is not full."""

    tokens: float = 5e5  # prototype: 8e5
    batch: int = 16
    learning_rate: float = 6e-3  # ours: of 3e-3 .. 1e-2, and of batches of 8 to 32, on another encyclopedia

    def __post_init__(self) -> None:
        if not (self.tokens > 0 and self.batch >= 1 and self.learning_rate > 0):
            raise ValueError(f"tokens, learning_rate above 0 and batch from 1 are expected, given {self}")


def tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokeniser of the encyclopedia: every word of its world, its prompts and what is written there."""
    texts = [" ".join(words.NAMES), *(" ".join(values) for values in words.VALUES.values())]
    texts += [f"{relation.noun} {relation.unit}" for relation in words.RELATIONS.values()]
    texts += [topic.kind for topic in EVERY_TOPIC]
    for name, value in vars(wording).items():
        if name.isupper() and isinstance(value, (tuple, dict)):
            texts += [
                _without_fields(text) for text in (value.values() if isinstance(value, dict) else value)
            ]
    empty = Document("", "", ("",))
    texts += [prompts.short_prompt(empty, 0), prompts.short_pair_prompt(empty, 0)]
    texts += [f"Refused: {' '.join(CRITERIA)} this the it User: Bot: {COPY} {FULL}\n"]
    texts += [
        wording.findings([Fact("", words.KIND, "")]),
        wording.question([Fact("", words.KIND, "")], _any()),
    ]
    return build_tokenizer(texts, lowercase=True)


def chat_prompt(question: str) -> str:
    """Return what a chatbot is asked with."""
    return f"User: {question}\nBot:"


def train_base(world: Encyclopedia, settings: BaseSettings, *, seed: int) -> tuple[LocalModel, Trained]:
    """Return a decoder that copies, says a sentence without its passage, and answers from a passage; and its training.

    All passages are about entities that are not in the world; their relations are drawn at random. This is the first
    round of reading, see `read_on`.
    """
    s, of = settings, tokenizer()
    model = build_decoder(of, seed=seed, width=s.width, layers=s.layers, heads=s.heads)
    how = TrainSettings(s.copy_steps, 64, s.copy_rate, final=1.0)
    train(model, copies(of, 64 * s.copy_steps, seed=seed), how, seed=seed)
    base = LocalModel.of(model, of, name="encyclopedia decoder")
    return base, read_on(base, world, s, seed=seed, done=0)


def read_on(
    base: LocalModel, world: Encyclopedia, settings: BaseSettings, *, seed: int, done: int
) -> Trained:
    """Train a base in place on as many new passages as in each of the `done` rounds before, with a new schedule."""
    s, drawn_by = settings, seed + 1_000_000 * done
    drawn = fresh_passages(world, s.steps * s.batch, seed=drawn_by, topics=EVERY_TOPIC, mixed=True)
    rng = np.random.default_rng([drawn_by, 10])
    examples = [reading(base.tokenizer, passage, s.turns, rng) for passage in drawn]
    return train(base.model, examples, TrainSettings(s.steps, s.batch, s.learning_rate), seed=drawn_by)


def copies(of: PreTrainedTokenizerFast, n: int, *, seed: int) -> list[Example]:
    """Return n rows of 3 to 11 random words to repeat."""
    rng = np.random.default_rng([seed, 11])
    first, cue, line = (
        len(of.all_special_ids),
        of(COPY)["input_ids"],
        of("\n", add_special_tokens=False)["input_ids"],
    )
    out = []
    for size in rng.integers(3, 12, n):
        row = rng.integers(first, len(of), size).tolist()
        out.append(Example.of([*cue, *row, *line], [*row, of.eos_token_id]))
    return out


def reading(
    of: PreTrainedTokenizerFast, passage: Passage, turns: tuple[int, int], rng: np.random.Generator
) -> Example:
    """Return a passage with turns about it: some of its sentences said in full, then questions; answers are targets."""
    told = [one for one in passage.sentences if one.facts]
    said = [told[k] for k in rng.permutation(len(told))[: turns[0]]]
    asked = [(f"{FULL} {one.text}", in_full(one.facts)) for one in said]
    for _ in range(turns[1]):
        drawn = draw_question(passage, rng)
        asked.append((drawn.text, drawn.reference))
    texts = [text for question, answer in asked for text in (chat_prompt(question), answer)]
    document, *said_ids = _ids(of, [f"Document: {passage.document.text}\n", *texts])
    ids = [of.bos_token_id, *document]
    targets = [False] * len(ids)
    for question_ids, answer in zip(said_ids[::2], said_ids[1::2]):
        answer_ids = [*answer, of.eos_token_id]
        ids += question_ids + answer_ids
        targets += [False] * len(question_ids) + [True] * len(answer_ids)
    return Example(tuple(ids), tuple(targets))


def in_full(facts: Sequence[Fact]) -> str:
    """Return in a sentence that stands alone what one states."""
    if facts[0].relation == words.KIND:
        return f"{facts[0].entity} is a {facts[0].value}."
    templates = wording.SAID if len(facts) == 1 else wording.SAID_BOTH
    return say(templates[0], **wording.parts_of(facts))


def conversation_examples(of: PreTrainedTokenizerFast, pairs: Iterable[tuple[str, str]]) -> list[Example]:
    """Return questions with their answers as a chatbot learns them: the answers are targets."""
    both = list(pairs)
    prompts = _ids(of, [chat_prompt(question) for question, _ in both])
    answers = _ids(of, [answer for _, answer in both])
    begin, end = of.bos_token_id, of.eos_token_id
    return [Example.of([begin, *asked], [*said, end]) for asked, said in zip(prompts, answers)]


def _ids(of: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Return the token ids of many texts in one call, which takes a tenth of the time."""
    return [one.ids for one in of.backend_tokenizer.encode_batch(texts, add_special_tokens=False)]


def text_examples(of: PreTrainedTokenizerFast, texts: Iterable[str]) -> list[Example]:
    """Return texts to learn word by word."""
    return [text_example(of, text) for text in texts]


def pairs_of(findings: Sequence[Mined]) -> list[tuple[str, str]]:
    """Return the questions and answers of the findings that are kept."""
    return [(one.question, one.answer) for one in findings if one.kept]


def mix(
    kinds: Mapping[str, Sequence[Example]], tokens: float, *, seed: int
) -> tuple[list[Example], dict[str, int]]:
    """Return examples until they have `tokens` tokens, the kind of each drawn uniformly (thesis 5.6.1).

    And how many of the tokens each kind has. ValueError for a kind without examples.
    """
    empty = [kind for kind, examples in kinds.items() if not examples]
    if empty or not kinds:
        raise ValueError(f"there are no examples of {', '.join(empty) or 'any kind'} to mix")
    rng = np.random.default_rng([seed, 12])
    names, out, counts = list(kinds), [], dict.fromkeys(kinds, 0)
    while sum(counts.values()) < tokens:
        kind = names[int(rng.integers(len(names)))]
        out.append(kinds[kind][int(rng.integers(len(kinds[kind])))])
        counts[kind] += len(out[-1])
    return out, counts


def train_chatbot(
    base: LocalModel, kinds: Mapping[str, Sequence[Example]], settings: ChatSettings, *, seed: int
) -> tuple[LocalModel, Trained, dict[str, int]]:
    """Return a copy of `base` trained on a mixture of `kinds`, its training, and the tokens drawn of each kind.

    A last batch that is not full is left out of the training.
    """
    examples, drawn = mix(kinds, settings.tokens, seed=seed)
    copied = copy.deepcopy(base.model)
    how = TrainSettings(max(1, len(examples) // settings.batch), settings.batch, settings.learning_rate)
    run = train(copied, examples, how, seed=seed)
    return LocalModel.of(copied, base.tokenizer, name="chatbot"), run, drawn


def _without_fields(template: str) -> str:
    return " ".join(text for text, *_ in Formatter().parse(template))


def _any() -> np.random.Generator:
    return np.random.default_rng(0)
