"""Any causal language model on this machine, reading images or not, behind the interface of `lm.generate`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import transformers

from msig_lib.lm.checkpoints import (
    OFFLINE,
    checkpoint_folder,
    fingerprint,
    no_progress,
    require_safetensors,
)
from msig_lib.lm.generate import Completion, Prompt, Sampling, Usage, check_prompts, messages
from msig_lib.lm.sampling import Sampled, sample
from msig_lib.lm.scoring import Example, score
from msig_lib.lm.vision import with_images
from msig_lib.lm.vision_inputs import IMAGE, IMAGE_MODELS, CheckpointPixels, expand_marks
from msig_lib.lm.vision_prefix import SHARED_PREFIX
from msig_lib.lm.vision_tower import PatchTowerConfig

Images = Sequence[np.ndarray]  # of one prompt: uint8 [k, H, W, 3], or a list of [H, W, 3]
TAIL = 8  # tokens without text (end of a UTF-8 sequence, marks) that a stop string's tail may also hold


class LocalModel:
    """A decoder with its tokeniser as a `TextModel`; make one with `load`, or `of` for a model in memory.

    Attributes: `name`, `fingerprint` (SHA-256 over weights, tokeniser and configuration), `usage` (what this object
    was asked so far), `model`, `tokenizer`.
    """

    def __init__(
        self,
        model: transformers.PreTrainedModel,
        tokenizer: transformers.PreTrainedTokenizerBase,
        *,
        name: str,
        fingerprint: str,
        rows: int = 256,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.fingerprint = fingerprint
        self.rows = rows
        self.usage = Usage()

    @classmethod
    def load(cls, name: str, *, device: str = "cpu", dtype: torch.dtype | None = None) -> LocalModel:
        """Load `"hf:<model name or folder>"`, any causal language model that transformers itself knows.

        LLaVA and LLaVA-NeXT too, real ones and those of `lm.vision.build`. Only safetensors weights are read
        and no code from a model's repository is run. `dtype` is float32 on a CPU and the checkpoint's own on a
        GPU unless given. Raises CheckpointUnavailable with what to do, and ValueError for an encoder.
        """
        if not (name.startswith("hf:") and len(name) > 3):
            raise ValueError(f"model {name!r} is unknown: use 'hf:<model name or folder>'")
        folder = checkpoint_folder(name[3:])
        require_safetensors(folder)
        chosen = dtype or (torch.float32 if device == "cpu" else "auto")
        config = transformers.AutoConfig.from_pretrained(folder, **OFFLINE)
        sees = config.model_type in IMAGE_MODELS
        if type(config) in transformers.MODEL_FOR_MASKED_LM_MAPPING and not config.is_decoder:
            raise ValueError(
                f"{name} is an encoder ({config.model_type}), which writes no text: load it with "
                "lm.encoder.SentenceEncoder.load, or zeroshot.cloze.Cloze.load for filling gaps"
            )
        auto = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
        with no_progress():
            model = auto.from_pretrained(
                folder,
                use_safetensors=True,
                dtype=chosen,
                attn_implementation=SHARED_PREFIX if sees else "sdpa",
                **OFFLINE,
            )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **OFFLINE)
        if sees and not isinstance(config.vision_config, PatchTowerConfig):
            model.pixels = CheckpointPixels(transformers.AutoProcessor.from_pretrained(folder, **OFFLINE))
        return cls(model.to(device), tokenizer, name=name, fingerprint=fingerprint(folder))

    @classmethod
    def of(cls, model: Any, tokenizer: Any, *, name: str = "decoder") -> LocalModel:
        """Wrap a model in memory, for instance one just trained. Train it further and wrap it again."""
        digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode())
        digest.update(model.config.to_json_string().encode())
        for key, value in sorted(model.named_parameters()):
            digest.update(key.encode())
            digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
        return cls(model, tokenizer, name=name, fingerprint=digest.hexdigest())

    def complete(
        self,
        prompts: Sequence[Prompt],
        *,
        n: int = 1,
        sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
        seed: int,
        images: Sequence[Images | None] | None = None,
    ) -> list[list[Completion]]:
        """Return `n` completions of every prompt; see `sampling.sample` for what the seed fixes.

        `images` are those of each prompt, for a model that reads them: see `encode`. A completion ends before
        the first stop string. Its `tokens` and `logprobs` count what was drawn, the end token and the stop
        string included; unknown-word and padding tokens are never drawn.
        """
        start = time.perf_counter()
        check_prompts(prompts)
        encoded = self._encoded(prompts, images)
        found = sample(
            self.model,
            encoded,
            n,
            sampling,
            seed=seed,
            suppress=self._never(),
            done=self._stops(sampling.stop),
            rows=self.rows,
            images=images,
        )
        out = [[self._completion(one, sampling.stop) for one in row] for row in found]
        self.usage.calls += len(encoded)
        self.usage.answers += n * len(encoded)
        self.usage.prompt_tokens += sum(map(len, encoded))  # each prompt is read once, whatever n
        self.usage.completion_tokens += sum(one.tokens for row in out for one in row)
        self.usage.seconds += time.perf_counter() - start
        return out

    def score(
        self,
        prompts: Sequence[Prompt],
        completions: Sequence[str],
        *,
        images: Sequence[Images | None] | None = None,
    ) -> list[np.ndarray]:
        """Return the log-probability of each completion's tokens after its prompt, float32 [its tokens].

        The completion is tokenised by itself; the end token is not added. An empty completion has no tokens.
        """
        if len(prompts) != len(completions):
            raise ValueError(
                f"{len(prompts)} prompts but {len(completions)} completions: one each is expected"
            )
        targets = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in completions]
        encoded = self._encoded(prompts, images)
        rows = [row for row, ids in enumerate(targets) if ids]
        examples = [Example.of(encoded[row], targets[row]) for row in rows]
        if images is not None:
            examples = [
                one if images[row] is None else with_images(one, images[row])
                for one, row in zip(examples, rows)
            ]
        out = [np.empty(0, np.float32)] * len(targets)
        for row, values in zip(rows, score(self.model, examples)):
            out[row] = values
        return out

    def encode(self, prompt: Prompt, images: Images = ()) -> list[int]:
        """Return the token ids that the model is given for `prompt`.

        Messages go through the tokeniser's chat template, and a string too, as the user's message; without a
        template a string is continued as it stands, and messages are joined by blank lines. `images`, uint8
        [k, H, W, 3] or a list of images, belong to the first user's message and stand before its text, or
        at its marks "<image>" if it has any (one for each image).
        """
        turns = messages(prompt)
        here = next((i for i, turn in enumerate(turns) if turn.role == "user"), 0)
        unmarked = 0 if any(IMAGE in turn.content for turn in turns) else len(images)
        sees = self.model.config.model_type in IMAGE_MODELS
        if self.tokenizer.chat_template:
            chat = [
                {
                    "role": turn.role,
                    "content": _parts(turn.content, unmarked * (i == here)) if sees else turn.content,
                }
                for i, turn in enumerate(turns)
            ]
            text = self.tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            return expand_marks(self.model, ids, images) if sees else ids
        texts = [IMAGE * (unmarked * (i == here)) + turn.content for i, turn in enumerate(turns)]
        ids = self.tokenizer("\n\n".join(texts))["input_ids"]
        end, begin = self.tokenizer.eos_token_id, self.tokenizer.bos_token_id
        if ids and ids[-1] == end != begin:  # some tokenisers close every text
            ids = ids[:-1]
        ids = expand_marks(self.model, ids, images) if sees else ids
        first = [token for token in (begin, end) if token is not None]
        return ids or first[:1]  # an empty prompt still needs a token to start from

    def _encoded(self, prompts: Sequence[Prompt], images: Sequence[Images | None] | None) -> list[list[int]]:
        shown = [()] * len(prompts) if images is None else [() if own is None else own for own in images]
        if len(shown) != len(prompts):
            raise ValueError(
                f"{len(prompts)} prompts but images for {len(shown)}: one entry each is expected"
            )
        return [self.encode(prompt, own) for prompt, own in zip(prompts, shown)]

    def _completion(self, one: Sampled, stop: Sequence[str]) -> Completion:
        text = self.tokenizer.decode(one.ids, skip_special_tokens=True)
        places = [place for place in map(text.find, stop) if place >= 0]
        text = text[: min(places)] if places else text
        return Completion(text, one.finish, len(one.ids), tuple(one.logprobs.tolist()))

    def _stops(self, stop: Sequence[str]) -> Callable[[Sequence[int]], bool] | None:
        if not stop:
            return None
        tail = max(map(len, stop)) + TAIL

        def done(ids: Sequence[int]) -> bool:
            text = self.tokenizer.decode(ids[-tail:], skip_special_tokens=True)
            return any(one in text for one in stop)

        return done

    def _never(self) -> tuple[int, ...]:
        ends = {self.tokenizer.eos_token_id}
        never = {self.tokenizer.unk_token_id, self.tokenizer.pad_token_id} - ends - {None}
        return tuple(sorted(never))


def _parts(text: str, images: int) -> list[dict[str, str]]:
    """Return a message's content as the chat templates of image models want it."""
    return [{"type": "image"}] * images + [{"type": "text", "text": text}]
