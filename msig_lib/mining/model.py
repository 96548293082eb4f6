"""The miner: a decoder fine-tuned to say what a teacher says, from a short prompt (thesis 5.3.2, 5.3.3)."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

from msig_lib.lm.generate import Sampling
from msig_lib.lm.local import LocalModel
from msig_lib.lm.scoring import Example
from msig_lib.lm.training import Trained, TrainSettings, train
from msig_lib.mining.documents import Document, Mined
from msig_lib.mining.parse import malformed, read_output, write_output
from msig_lib.mining.prompts import short_pair_prompt, short_prompt
from msig_lib.mining.signal import Item, checked

MARGIN = 1.5  # ours: outputs may be so much longer than the longest that was learned from
_PROBE = Document("id", "Title", ("One.", "Two."))  # so that other words in the prompt are another miner


class Miner:
    """A language model that writes analysis, question and answer in one go; a Teacher like any other.

    With `analysis=False` question and answer alone (the variant of thesis figure 5.3). `sampling` is greedy unless
    given. Attributes: `name`, `fingerprint` (of the model, the prompt and the sampling), `model`.
    """

    def __init__(
        self,
        model: LocalModel,
        *,
        analysis: bool = True,
        sampling: Sampling = Sampling(temperature=0.0, max_tokens=300),  # noqa: B008 (frozen)
    ) -> None:
        self.model = model
        self.analysis = analysis
        self.sampling = sampling
        self.name = f"miner{'' if analysis else ' without analysis'} ({model.name})"
        parts = [model.fingerprint, analysis, asdict(sampling), self.prompt(_PROBE, 0)]
        self.fingerprint = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def prompt(self, document: Document, i: int) -> str:
        """Return what the model is given about sentence `i`."""
        return (short_prompt if self.analysis else short_pair_prompt)(document, i)

    def ask(self, items: Sequence[Item], *, seed: int) -> list[Mined]:
        """Return the miner's finding on each (document, number of its sentence), in order.

        An output that cannot be read, or that was cut at `sampling.max_tokens`, is a malformed finding. Equal prompts
        are asked once. ValueError, with the document, where the model's context ends before the output does.
        """
        items = checked(items)
        prompts = [self.prompt(document, i) for document, i in items]
        of = dict(zip(reversed(prompts), reversed(items)))  # the first item of each prompt
        distinct = list(dict.fromkeys(prompts))
        try:
            found = self.model.complete(distinct, sampling=self.sampling, seed=seed)
        except ValueError:  # a prompt that leaves no room at all
            for prompt in distinct:
                self._check_room(prompt, of[prompt][0], 1)
            raise
        replies = {prompt: group[0] for prompt, group in zip(distinct, found)}
        for prompt, reply in replies.items():
            if reply.finish == "length" and reply.tokens < self.sampling.max_tokens:
                self._check_room(prompt, of[prompt][0], self.sampling.max_tokens)
        return [
            malformed(replies[prompt].text, document.id, i)
            if replies[prompt].finish == "length"
            else read_output(replies[prompt].text, self.analysis, document.id, i)
            for prompt, (document, i) in zip(prompts, items)
        ]

    def _check_room(self, prompt: str, document: Document, room: int) -> None:
        _check_length(self.model, len(self.model.encode(prompt)), room, document)


def fine_tune(
    model: LocalModel,
    instances: Sequence[tuple[Document, Mined]],
    *,
    analysis: bool = True,
    settings: TrainSettings,
    seed: int,
    temperature: float = 0.0,
) -> tuple[Miner, Trained]:
    """Return a Miner that learned the teacher's `instances`, and how the training went (thesis 5.3.2).

    A copy in float32 is trained on prompt, output, end token, with the loss on output and end token; `model` stays as
    it was. The miner writes at most half as many tokens again as the longest output. Raises ValueError for no
    instances, a malformed one, one without the analysis it should have, one longer than the model's context, and
    words in an output that the model's tokeniser does not know: those it could never write.
    """
    if not instances:
        raise ValueError("there are no instances to learn from")
    shell = Miner(model, analysis=analysis)
    examples = [_example(shell, document, mined) for document, mined in instances]
    copied = copy.deepcopy(model.model).float().requires_grad_(True)
    trained = train(copied, examples, settings, seed=seed)
    learned = LocalModel.of(copied, model.tokenizer, name=model.name)
    longest = max(sum(example.targets) for example in examples)
    sampling = Sampling(temperature=temperature, max_tokens=round(MARGIN * longest))
    return Miner(learned, analysis=analysis, sampling=sampling), trained


def _example(miner: Miner, document: Document, mined: Mined) -> Example:
    if mined.document != document.id:
        raise ValueError(f"an instance has the document {document.id!r} with a finding on {mined.document!r}")
    checked([(document, mined.sentence)])
    model, text = miner.model, write_output(mined, miner.analysis)
    output = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    where = f"sentence {mined.sentence} of document {document.id!r}"
    if model.tokenizer.unk_token_id is not None and model.tokenizer.unk_token_id in output:
        raise ValueError(
            f"what is to be written about {where} has words that the model's tokeniser does not know: {text!r:.300}. "
            "Build the tokeniser with the teacher's outputs too, or take a model with another one."
        )
    prompt = model.encode(miner.prompt(document, mined.sentence))
    _check_length(model, len(prompt), len(output) + 1, document)
    return Example.of(prompt, [*output, model.tokenizer.eos_token_id])


def _check_length(model: LocalModel, prompt: int, output: int, document: Document) -> None:
    """Raise ValueError unless the model reads a prompt and an output of so many tokens together."""
    config = model.model.config.get_text_config(decoder=True)
    limit = getattr(config, "max_position_embeddings", None)
    if limit is not None and prompt + output > limit:
        raise ValueError(
            f"document {document.id!r} makes a prompt of {prompt} tokens, and {output} more are to follow, but the "
            f"model {model.name} reads {limit}: cut the document into shorter ones, take a model that reads more, or "
            "lower the miner's sampling.max_tokens"
        )
