"""The learner of chapter 6: a small LLaVA that reads the frames of a clip and answers, or describes it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from tokenizers.models import WordLevel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from msig_lib.lm.decoder import build_tokenizer
from msig_lib.lm.generate import Sampling
from msig_lib.lm.sampling import Sampled, sample
from msig_lib.lm.scoring import Example, score
from msig_lib.lm.vision import VisionSettings, build, image_example, image_prompt, with_images
from msig_lib.lm.vision_inputs import IMAGE
from msig_lib.lm.vision_tower import PatchTowerConfig

FRAMES, SIZE = 10, 32  # thesis 6.2.1: ten frames a video; ours: pixels of a side
CUTS = {1: (1, 1), 2: (1, 2), 4: (2, 2)}  # rows, columns that a frame of so many tokens is cut into
MOST_TOKENS = 128  # of a response; ours: room for a detailed caption


class Asked(Protocol):
    """What is asked about a clip: `clip` is its row, -1 for none; `answer` the right one, for `examples`."""

    @property
    def clip(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def answer(self) -> str: ...


@dataclass(frozen=True)
class VideoSettings:
    """Size of the learner. A frame takes `tokens` image tokens, one of `CUTS`; raises ValueError for others.

    A clip is handed over as one strip of its frames: the thesis joins them into a sequence (6.2.1), and the tower
    then has a place for each frame, which ten images at the same place have not.
    """

    tokens: int = 1  # ours, of a frame: with 4, training on answers and on captions takes 1.5 times as long
    tower_width: int = 192  # as chapter 7
    stem: tuple[tuple[int, int, int], ...] = ((16, 5, 2), (32, 5, 2), (64, 3, 2))  # ours: see `sight`
    width: int = 64  # ours: as chapter 7's 96 with half the work
    layers: int = 3  # prototype of chapter 7
    heads: int = 4  # prototype of chapter 7
    frames: int = FRAMES
    size: int = SIZE
    max_positions: int = 256  # ours: 10 frames of 4 tokens, a question, and the longest response

    def __post_init__(self) -> None:
        if self.tokens not in CUTS:
            raise ValueError(f"tokens is {self.tokens}, expected one of {', '.join(map(str, CUTS))} a frame")
        if self.frames < 1 or self.size < 2 or self.size % 2:
            raise ValueError(
                f"frames is {self.frames} and size {self.size}, expected at least 1 frame and an even number of pixels"
            )

    @property
    def vision(self) -> VisionSettings:
        """The settings of `lm.vision.build`."""
        rows, columns = CUTS[self.tokens]
        return VisionSettings(
            image_size=(self.frames * self.size, self.size),
            patch_size=(self.size // rows, self.size // columns),
            tower_width=self.tower_width,
            stem=self.stem,
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            max_positions=self.max_positions,
        )


@dataclass(frozen=True, slots=True)
class Response:
    """One response: token ids (with the end token, if it came), their text, and float32 log-probabilities of each."""

    ids: tuple[int, ...]
    text: str
    logprobs: np.ndarray


@dataclass
class VideoLearner:
    """A model with its words; `frames` of all methods is uint8 [n, F, H, W, 3], the clips that questions name.

    Any LLaVA or LLaVA-NeXT of `lm` will do: one that was not built for strips gets F images a clip.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast

    @classmethod
    def new(cls, words: Sequence[str], settings: VideoSettings | None = None, *, seed: int) -> VideoLearner:
        """Return an untrained learner that knows all pieces of `words` (any texts); others become unknown."""
        tokenizer = build_tokenizer([], words=words, special=[IMAGE])
        return cls(build(tokenizer, (settings or VideoSettings()).vision, seed=seed), tokenizer)

    def clone(self) -> VideoLearner:
        """Return a copy that shares no weights and may change all of them; `lm.vision.freeze` holds some back."""
        model = copy.deepcopy(self.model)
        model.zero_grad()
        return VideoLearner(model.requires_grad_(True).eval(), self.tokenizer)

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights as arrays, for another process or a file; `with_state` puts them back."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self.model.state_dict().items()}

    def with_state(self, state: Mapping[str, np.ndarray]) -> VideoLearner:
        """Return a copy with these weights; RuntimeError when they are of another size."""
        other = self.clone()
        other.model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
        return other

    def prompts(self, questions: Sequence[Asked], frames: np.ndarray | None) -> list[list[int]]:
        """Return the token ids that each question is asked with, its clip's image tokens first."""
        return [image_prompt(self.model, self.tokenizer, self._images(q, frames), q.text) for q in questions]

    def examples(
        self, questions: Sequence[Asked], frames: np.ndarray | None, answers: Sequence[str] | None = None
    ) -> list[Example]:
        """Return questions with their own answers, or with `answers` (one text each), to learn or to score."""
        answers = [q.answer for q in questions] if answers is None else answers
        return [
            image_example(self.model, self.tokenizer, self._images(q, frames), q.text, answer)
            for q, answer in zip(questions, answers, strict=True)
        ]

    def responses(
        self, questions: Sequence[Asked], frames: np.ndarray | None, ids: Sequence[Sequence[int]]
    ) -> list[Example]:
        """Return questions with these responses (token ids, one each), for instance `Response.ids`."""
        return [
            with_images(Example.of(prompt, list(own)), self._images(q, frames))
            for q, prompt, own in zip(questions, self.prompts(questions, frames), ids, strict=True)
        ]

    def respond(
        self,
        questions: Sequence[Asked],
        frames: np.ndarray | None,
        *,
        n: int = 1,
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_tokens: int = MOST_TOKENS,
        seed: int = 0,
    ) -> list[list[Response]]:
        """Return n responses to every question; at temperature 0 the most probable one, token by token.

        The thesis draws six for a preference pair at temperature 1.0 (6.2.3), the official code with top_p .95.
        A clip and its question are read once for all n. A response depends on no other question.
        """
        drawn = sample(
            self.model,
            self.prompts(questions, frames),
            n,
            Sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens),
            seed=seed,
            end=[self.tokenizer.eos_token_id],
            images=[self._images(q, frames) for q in questions],
        )
        return [[self._response(one) for one in own] for own in drawn]

    def score(self, examples: Sequence[Example]) -> list[np.ndarray]:
        """Return the log-probabilities in nats of each example's response, float32 [its tokens]."""
        return score(self.model, examples, batch_tokens=2048)

    def _response(self, one: Sampled) -> Response:
        """Decode without the end token; this world's words one by one, so that places are those of ids."""
        ended = bool(one.ids) and one.ids[-1] == self.tokenizer.eos_token_id
        said = list(one.ids[:-1] if ended else one.ids)
        if isinstance(self.tokenizer.backend_tokenizer.model, WordLevel):
            text = " ".join(self.tokenizer.convert_ids_to_tokens(said))
        else:
            text = self.tokenizer.decode(said, skip_special_tokens=True)
        return Response(one.ids, text, one.logprobs)

    def _images(self, question: Asked, frames: np.ndarray | None) -> np.ndarray | tuple[()]:
        """Return the question's clip as uint8 [1, F x H, W, 3] or [F, H, W, 3], a view; none without a clip."""
        if question.clip < 0:
            return ()
        if frames is None:
            raise ValueError(
                f"the question {question.text!r} is about clip {question.clip}, but no frames were given"
            )
        if frames.ndim != 5 or question.clip >= len(frames):
            raise ValueError(
                f"the question {question.text!r} is about clip {question.clip}, but frames has shape "
                f"{frames.shape}, expected [clips, frames, height, width, 3] with that clip"
            )
        clip = frames[question.clip]
        tower = getattr(self.model.config, "vision_config", None)
        strip = [clip.shape[0] * clip.shape[1], clip.shape[2]]
        if isinstance(tower, PatchTowerConfig) and tower.image_size == strip:
            return clip.reshape(1, *strip, 3)
        return clip
