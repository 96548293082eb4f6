"""Language models asked in words: to go on with a text, to write for a label, to classify (table 3.3's roles)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np

from msig_lib.lm.encoder import check_texts
from msig_lib.lm.generate import Sampling, TextModel
from msig_lib.zeroshot.signal import PoolGenerator

# Ours throughout: the thesis's instructions stand in its table 3.3, those of its teacher's training set.
ELABORATE = """Here is how a document begins. Carry on from there for three or four sentences: stay with its \
subject, keep its style, and add details that its readers would expect. Give only the new sentences.

Beginning: {text}

Carrying on:"""
CONDITIONAL = """The document below was sorted under "{label}". Write three or four sentences that bring out what \
links it to {label}, and keep to its people, things and events. Give only the new sentences.

Document: {text}

On {label}:"""
CLASSIFY = """A document is to be sorted under one of these headings: {labels}.

Document: {text}

Reply with the one heading that fits it best, spelled as above, and nothing more.

Heading:"""

WRITING = Sampling(temperature=0.8, top_p=0.95, min_tokens=64, max_tokens=128)  # thesis 3.5.5
ANSWERING = Sampling(temperature=0.0, max_tokens=24)  # ours: a class name needs fewer
LONGEST = 4000  # ours: characters of a text that are shown to the model, about 1,000 tokens


class PromptedGenerator(PoolGenerator):
    """Text that a language model writes when asked; `model` is a local one or a server (`lm.generate`).

    Prompts hold {text}, and for a label {label}. Texts longer than `LONGEST` characters are cut at a word.
    White space in what the model writes becomes single spaces.
    """

    def __init__(
        self,
        model: TextModel,
        texts: Sequence[str],
        class_names: Sequence[str] = (),
        elaborate_prompt: str = ELABORATE,
        conditional_prompt: str = CONDITIONAL,
        sampling: Sampling = WRITING,
    ) -> None:
        super().__init__(texts)
        self.model = model
        self.name = model.name
        self.class_names = check_texts(class_names)
        self.elaborate_prompt = _with_places(elaborate_prompt, "text")
        self.conditional_prompt = _with_places(conditional_prompt, "text", "label")
        self.sampling = sampling
        self.cost.tokens = 0

    @classmethod
    def fit(cls, texts: Sequence[str], model: TextModel, class_names: Sequence[str] = (), **options) -> Self:
        """Return the generator that asks `model` about the pool `texts`; nothing is asked yet."""
        return cls(model, texts, class_names, **options)

    def _parts(self):
        prompts = [self.elaborate_prompt, self.conditional_prompt]
        return [self.model.fingerprint, *prompts, repr(asdict(self.sampling)), *self.class_names]

    def _write(self, rows, labels, n, seed):
        if labels is None:
            return self._elaborate([self.texts[row] for row in rows], n, seed, None)
        if len(labels) and labels.max() >= len(self.class_names):
            raise ValueError(
                f"label {labels.max()} was asked for, but {len(self.class_names)} class_names are known"
            )
        prompts = [
            filled(self.conditional_prompt, text=shortened(self.texts[row]), label=self.class_names[label])
            for row, label in zip(rows, labels)
        ]
        return self._ask(prompts, n, seed)

    def _elaborate(self, texts, n, seed, vectors):
        return self._ask([filled(self.elaborate_prompt, text=shortened(text)) for text in texts], n, seed)

    def _ask(self, prompts: list[str], n: int, seed: int) -> list[list[str]]:
        # a model answers a repeated prompt differently each time, so equal ones are asked once
        distinct = list(dict.fromkeys(prompts))
        if not distinct:
            return []
        found = self.model.complete(distinct, n=n, sampling=self.sampling, seed=seed)
        self.cost.tokens += sum(one.tokens for group in found for one in group)
        written = [[" ".join(one.text.split()) for one in group] for group in found]
        answers = dict(zip(distinct, written))
        return [list(answers[prompt]) for prompt in prompts]


@dataclass(frozen=True)
class Answers:
    """What a language model said about each text.

    `labels` int64 [n], -1 where `texts[i]`, its answer, names no class or not exactly one; `malformed` counts those.
    A malformed answer is a wrong one in every table.
    """

    labels: np.ndarray
    texts: list[str]
    tokens: int
    seconds: float

    @property
    def malformed(self) -> int:
        return int((self.labels < 0).sum())


class PromptedClassifier:
    """A language model as zero-shot classifier (the thesis's Alpaca row), greedy unless `sampling` says otherwise.

    `prompt` holds {text} and {labels}. Raises ValueError for class names that differ only in case or spaces.
    """

    def __init__(
        self,
        model: TextModel,
        class_names: Sequence[str],
        prompt: str = CLASSIFY,
        sampling: Sampling = ANSWERING,
    ) -> None:
        self.model = model
        self.class_names = check_texts(class_names)
        self.prompt = _with_places(prompt, "text", "labels")
        self.sampling = sampling
        answer_key(self.class_names)

    def predict(self, texts: Sequence[str], *, seed: int = 0) -> Answers:
        """Ask about every text; equal texts are asked about once."""
        start = time.perf_counter()
        labels = ", ".join(self.class_names)
        prompts = [filled(self.prompt, text=shortened(t), labels=labels) for t in check_texts(texts)]
        distinct = list(dict.fromkeys(prompts))
        found = self.model.complete(distinct, sampling=self.sampling, seed=seed) if distinct else []
        said = {prompt: group[0].text for prompt, group in zip(distinct, found)}
        answers = [said[prompt] for prompt in prompts]
        key = answer_key(self.class_names)
        numbers = [parsed(answer, key) for answer in answers]
        return Answers(
            np.array([-1 if number is None else number for number in numbers], dtype=np.int64),
            answers,
            sum(one.tokens for group in found for one in group),
            time.perf_counter() - start,
        )


def answer_key(class_names: Sequence[str]) -> dict[str, int]:
    """Return {class name as it is compared: label}; ValueError for no names, or for two that compare equal."""
    key = {_plain(name): label for label, name in enumerate(class_names)}
    if not key or "" in key or len(key) < len(class_names):
        raise ValueError(
            f"class_names are {list(class_names)}, expected names that differ in more than case and spaces"
        )
    return key


def parsed(answer: str, key: Mapping[str, int]) -> int | None:
    """Return the label that an answer names, None unless its first line with text is exactly one class name.

    Forgiven are case, spaces, quotation marks or asterisks around it, a full stop after it, and a word with a
    colon before it ("Topic: sports."). Anything else, such as a sentence, two names or a new class, is not.

    >>> parsed("**Sports**.", {"sports": 0})
    0
    """
    line = next((line for line in answer.splitlines() if line.strip()), "")
    plain = _plain(line)
    if plain not in key:
        plain = _plain(re.sub(r"^\W*(?:heading|topic|category|class|label|answer)\W*:", "", line, flags=re.I))
    return key.get(plain)


def _plain(text: str) -> str:
    bare = " ".join(text.split()).strip(" \"'`*_“”‘’«»").rstrip(".")
    return bare.strip(" \"'`*_“”‘’«»").casefold()


def shortened(text: str, longest: int = LONGEST) -> str:
    """Return `text`, cut after a word to at most `longest` characters."""
    if len(text) <= longest:
        return text
    head = text[:longest]
    within_a_word = not (head[-1].isspace() or text[longest].isspace())
    if within_a_word and len(parts := head.rsplit(None, 1)) == 2:
        head = parts[0]
    return head.rstrip()


def filled(template: str, **values: str) -> str:
    """Return `template` with {name} replaced by each value; braces inside a value stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda hit: values.get(hit[1], hit[0]), template)


def _with_places(template: str, *names: str) -> str:
    missing = [name for name in names if f"{{{name}}}" not in template]
    if missing:
        raise ValueError(f"the prompt {template[:60]!r} has no place for {{{missing[0]}}}")
    return template
