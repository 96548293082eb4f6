"""The learner of chapter 7: a small LLaVA that reads a chart and a question, and answers at once or step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers.models import WordLevel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from msig_lib.chartqa.data import Charts
from msig_lib.chartqa.questions import VOCABULARY, Question
from msig_lib.chartqa.traces import extract_answer
from msig_lib.lm.decoder import build_tokenizer
from msig_lib.lm.generate import Sampling
from msig_lib.lm.sampling import sample
from msig_lib.lm.scoring import Example
from msig_lib.lm.vision import VisionSettings, build, image_example, image_prompt, with_images
from msig_lib.lm.vision_inputs import IMAGE

FORMS = ("direct", "cot")  # thesis 7.3: the two prompts
MOST_TOKENS = 32  # of a response; ours: the longest right trace has 28


@dataclass
class Learner:
    """A model with its words. `clone` gives one to train further."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast

    @classmethod
    def new(cls, settings: VisionSettings | None = None, *, seed: int) -> Learner:
        """Return an untrained learner for the world's words."""
        tokenizer = build_tokenizer([], words=VOCABULARY, special=[IMAGE])
        return cls(build(tokenizer, settings or VisionSettings(), seed=seed), tokenizer)

    def clone(self) -> Learner:
        """Return a copy that shares no weights."""
        copy = type(self.model)(self.model.config)
        copy.load_state_dict(self.model.state_dict())
        return Learner(copy.eval(), self.tokenizer)

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights as arrays, for another process or a file; `with_state` puts them back."""
        return {name: value.detach().numpy().copy() for name, value in self.model.state_dict().items()}

    def with_state(self, state: Mapping[str, np.ndarray]) -> Learner:
        """Return a copy with these weights; RuntimeError when they are of another size."""
        copy = self.clone()
        copy.model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
        return copy

    def prompts(self, questions: Sequence[Question], charts: Charts | None, form: str) -> list[list[int]]:
        """Return the token ids that each question is asked with, its chart's image tokens first."""
        return [
            image_prompt(self.model, self.tokenizer, _images(q, charts), q.prompt(form)) for q in questions
        ]

    def examples(self, questions: Sequence[Question], charts: Charts | None, form: str) -> list[Example]:
        """Return what to learn: each question's right response in this form."""
        return [
            image_example(self.model, self.tokenizer, _images(q, charts), q.prompt(form), q.target(form))
            for q in questions
        ]

    def responses(
        self, questions: Sequence[Question], charts: Charts, form: str, ids: Sequence[Sequence[int]]
    ) -> list[Example]:
        """Return questions with these responses (token ids, one each) as examples to learn or to score."""
        prompts = self.prompts(questions, charts, form)
        return [
            with_images(Example.of(prompt, list(own)), _images(q, charts))
            for q, prompt, own in zip(questions, prompts, ids, strict=True)
        ]

    def respond(
        self,
        questions: Sequence[Question],
        charts: Charts | None,
        form: str,
        *,
        n: int = 1,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[list[Response]]:
        """Return n responses to every question; at temperature 0 the most probable one, token by token."""
        drawn = sample(
            self.model,
            self.prompts(questions, charts, form),
            n,
            Sampling(temperature=temperature, max_tokens=MOST_TOKENS),
            seed=seed,
            end=[self.tokenizer.eos_token_id],
            images=[_images(q, charts) for q in questions],
        )
        return [[Response(one.ids, self._text(one.ids), one.logprobs) for one in own] for own in drawn]

    def _text(self, ids: Sequence[int]) -> str:
        """Return the text without the end token; of this world's words one each, so that places are those of ids."""
        ended = bool(ids) and ids[-1] == self.tokenizer.eos_token_id
        said = list(ids[:-1] if ended else ids)
        if isinstance(self.tokenizer.backend_tokenizer.model, WordLevel):
            return " ".join(self.tokenizer.convert_ids_to_tokens(said))
        return self.tokenizer.decode(said, skip_special_tokens=True)


@dataclass(frozen=True, slots=True)
class Response:
    """One response: token ids, their text, and log-probabilities float32 of each token."""

    ids: tuple[int, ...]
    text: str
    logprobs: np.ndarray

    def answer(self, form: str) -> str | None:
        """Return what it answers: all of a direct response, what follows the last "###" of a trace."""
        return " ".join(self.text.split()) if form == "direct" else extract_answer(self.text)


def _images(question: Question, charts: Charts | None) -> np.ndarray | tuple[()]:
    """Return the question's image as uint8 [1, H, W, 3], none for a question without a chart."""
    if question.chart < 0:
        return ()
    if charts is None:
        raise ValueError(
            f"the question {question.text!r} is about chart {question.chart}, but no charts were given"
        )
    return charts.images[question.chart : question.chart + 1]
