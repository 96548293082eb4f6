"""Images in the language-model room: sampling against `generate`, scoring and training against plain calls."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from msig_lib.lm.decoder import build_tokenizer
from msig_lib.lm.generate import Sampling
from msig_lib.lm.sampling import Sampled, sample
from msig_lib.lm.scoring import Example, score
from msig_lib.lm.training import target_loss
from msig_lib.lm.vision import IMAGE, ImageExample, build, image_example, image_prompt, with_images
from msig_lib.lm.vision_inputs import image_inputs
from tests.benchmarks.compare import Benchmark, Disagreement

QUESTIONS, SAMPLES, HEIGHT, WIDTH = 32, 16, 32, 48
LONGEST, END_LOGIT = 18, 2.0  # traces have at most 18 tokens (chapter 7); with this logit 11 on average
COLOURS = {
    "red": (220, 40, 40), "blue": (40, 70, 220), "green": (40, 170, 60), "yellow": (230, 210, 50),
    "purple": (140, 50, 170), "orange": (240, 140, 30), "cyan": (50, 200, 210), "grey": (120, 120, 120),
}  # fmt: skip
TEXTS = ("how many bars are above 4 ?", "red plus blue ?", "what is the second tallest bar ?", "total ?")


def bars(n: int, seed: int) -> tuple[np.ndarray, list[list[tuple[str, int]]]]:
    """Return charts uint8 [n, 32, 48, 3] of 4 to 6 bars with different colours and heights, and their bars."""
    rng, names = np.random.default_rng(seed), list(COLOURS)
    images, tables = rng.normal(245, 6, (n, HEIGHT, WIDTH, 3)), []
    for image in images:
        count = int(rng.integers(4, 7))
        chosen, heights = rng.permutation(8)[:count], rng.permutation(9)[:count] + 1
        for place, (name, height) in enumerate(zip(chosen, heights)):
            left = place * (WIDTH // count) + int(rng.integers(0, 3))
            right = left + int(rng.integers(3, WIDTH // count - 1))
            image[HEIGHT - 1 - 3 * height : HEIGHT - 1, left:right] = COLOURS[names[name]]
        tables.append([(names[name], int(height)) for name, height in zip(chosen, heights)])
    return np.clip(images + rng.normal(0, 6, images.shape), 0, 255).astype(np.uint8), tables


@cache
def _parts() -> tuple[LlavaForConditionalGeneration, PreTrainedTokenizerFast]:
    words = " ".join(
        [*COLOURS, *map(str, range(50)), *TEXTS, "value of : is then so step done first next last"]
    )
    tokenizer = build_tokenizer([words], special=[IMAGE])
    model = build(tokenizer, seed=0)
    head = torch.nn.Linear(model.config.text_config.hidden_size, len(tokenizer))
    with torch.no_grad():  # an untrained model that ends its traces at random
        head.weight.copy_(model.lm_head.weight)
        head.bias.zero_()
        head.bias[tokenizer.eos_token_id] = END_LOGIT
    model.lm_head = head
    return model, tokenizer


@cache
def _asked() -> tuple[np.ndarray, list[list[int]]]:
    images, _ = bars(QUESTIONS, seed=0)
    prompts = [image_prompt(*_parts(), image[None], TEXTS[i % len(TEXTS)]) for i, image in enumerate(images)]
    return images, prompts


def _generate(rows: range) -> list[list[int]]:
    """Return the new tokens of `SAMPLES` samples for each of these questions, by one call of `generate`."""
    images, prompts = _asked()
    longest = max(len(prompts[row]) for row in rows)
    ids = torch.tensor([[0] * (longest - len(prompts[row])) + prompts[row] for row in rows])
    mask = torch.tensor([[0] * (longest - len(prompts[row])) + [1] * len(prompts[row]) for row in rows])
    with torch.inference_mode():
        out = _parts()[0].generate(
            ids,
            attention_mask=mask,
            **image_inputs(_parts()[0], [images[rows.start : rows.stop]]),
            num_return_sequences=SAMPLES,
            do_sample=True,
            top_k=0,
            max_new_tokens=LONGEST,
        )[:, longest:]
    end = _parts()[1].eos_token_id
    return [row[: row.index(end) + 1] if end in row else row for row in out.tolist()]


def _ours() -> list[list[Sampled]]:
    images, prompts = _asked()
    settings = Sampling(max_tokens=LONGEST)
    return sample(_parts()[0], prompts, SAMPLES, settings, seed=1, images=images[:, None], rows=512)


def _by_question() -> list[list[int]]:
    return [row for i in range(QUESTIONS) for row in _generate(range(i, i + 1))]


def _at_once() -> list[list[int]]:
    return _generate(range(QUESTIONS))


def _as_scored(found: list[list[Sampled]], other: list[list[int]]) -> str:
    """Compare log-probabilities with a scoring pass, and with the peer what can be compared: lengths."""
    images, prompts = _asked()
    rows = [
        with_images(Example.of(prompt, one.ids), image[None])
        for image, prompt, row in zip(images, prompts, found)
        for one in row
    ]
    drawn = np.concatenate([one.logprobs for row in found for one in row])
    gap = np.abs(drawn - np.concatenate(score(_parts()[0], rows))).max()
    ours = np.array([len(one.ids) for row in found for one in row])
    theirs = np.array([len(row) for row in other])
    error = np.hypot(ours.std(), theirs.std()) / np.sqrt(len(ours))
    said = (
        f"{QUESTIONS} questions x {SAMPLES} samples, {ours.mean():.1f} and {theirs.mean():.1f} tokens a sample; "
        f"log-probabilities within {gap:.1e} of a scoring pass"
    )
    if len(ours) != len(theirs) or abs(ours.mean() - theirs.mean()) > 4 * error or gap > 1e-5:
        raise Disagreement(said)
    return said


def _sampling(name: str, peer: object, asked: str) -> Benchmark:
    warm = lambda: sample(_parts()[0], _asked()[1][:1], 1, seed=0, images=_asked()[0][:1, None])  # noqa: E731
    return Benchmark(f"lm-vision-{name}", _ours, peer, asked, _as_scored, prepare=warm, repeats=5)


@cache
def _examples() -> list[ImageExample]:
    """Return captions of charts, eight rows a chart and each twice, as pools of traces have duplicates."""
    images, tables = bars(32, seed=1)
    rng, rows = np.random.default_rng(2), []
    for image, table in zip(images, tables):
        for _ in range(8):
            answer = " ".join(f"{name} {rng.integers(1, 10)} ," for name, _ in table)
            rows += [image_example(*_parts(), image[None], TEXTS[0], answer)] * 2
    return rows


def _plain(examples: list[ImageExample]) -> tuple[Tensor, Tensor]:
    """Return transformers' loss over the targets of a padded batch, and the log-probabilities there."""
    model = _parts()[0]
    ids = [torch.tensor(one.ids) for one in examples]
    labels = [row.masked_fill(~torch.tensor(one.targets), -100) for row, one in zip(ids, examples)]
    ids, labels = (
        torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)
        for rows, fill in ((ids, 0), (labels, -100))
    )
    out = model(input_ids=ids, labels=labels, **image_inputs(model, [one.images for one in examples]))
    after = labels[:, 1:]
    logprobs = out.logits[:, :-1].log_softmax(-1).gather(2, after.clamp_min(0)[..., None])[..., 0]
    return out.loss, logprobs[after != -100]


def _scoring() -> Benchmark:
    def ours() -> np.ndarray:
        return np.concatenate(score(_parts()[0], _examples(), batch_tokens=2048))

    def peer() -> np.ndarray:
        with torch.inference_mode():
            parts = [_plain(_examples()[i : i + 64])[1] for i in range(0, len(_examples()), 64)]
        return torch.cat(parts).numpy()

    return Benchmark("lm-vision-scoring", ours, peer, "peer/ours >= 1.5", _near, prepare=ours, repeats=5)


def _training() -> Benchmark:
    """Forward and backward of 8 batches of 64, without the optimiser's step, which is the same."""

    def losses(plain: bool) -> np.ndarray:
        found = []
        for i in range(8):
            batch = _examples()[i * 64 : i * 64 + 64]
            total, count = (_plain(batch)[0], 1) if plain else target_loss(_parts()[0], batch)
            (total / count).backward()
            _parts()[0].zero_grad()
            found.append(total.item() / count)
        return np.array(found)

    def check(found: np.ndarray, other: np.ndarray) -> str:
        tokens = sum(map(len, _examples()[:512]))
        return f"{_near(found, other)}; {tokens} tokens in {len(found)} batches"

    return Benchmark(
        "lm-vision-training",
        lambda: losses(False),
        lambda: losses(True),
        "ours/peer <= 1.1",
        check,
        prepare=lambda: losses(False),
        repeats=5,
    )


def _near(found: np.ndarray, other: np.ndarray) -> str:
    gap = np.abs(found - other).max()
    if found.shape != other.shape or gap > 1e-5:
        raise Disagreement(f"up to {gap:.1e} apart")
    return f"{found.size} values, largest gap {gap:.1e}"


def benchmarks() -> list[Benchmark]:
    return [
        _sampling("by-question", _by_question, "peer/ours >= 5"),
        _sampling("at-once", _at_once, "peer/ours >= 1"),
        _scoring(),
        _training(),
    ]
