"""A small Llama-style decoder and its word-level tokeniser, saved like any Hugging Face checkpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from msig_lib.lm.checkpoints import no_progress

SPECIAL = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<eos>"}
# A number, a word with its apostrophes, a line end, or a run of one sign ("###", "...").
PIECE = r"\d+(?:[.,]\d+)*|\w+(?:['’]\w+)*|\n|([^\w\s])\1*"
# Where decoding leaves out the space: before closing signs, after opening ones, around a hyphen or slash.
GLUE = r" (?=[.,;:!?%)\]}])|(?<=[(\[{]) |(?<=\w) (?=[-/] \w)|(?<=\w [-/]) (?=\w)"


def build_tokenizer(
    texts: Sequence[str],
    *,
    max_words: int | None = None,
    min_count: int = 1,
    words: Sequence[str] = (),
    special: Sequence[str] = (),
    lowercase: bool = False,
) -> PreTrainedTokenizerFast:
    """Return a tokeniser whose tokens are the words, numbers and signs of `texts`.

    Kept are the pieces seen at least `min_count` times, the `max_words` most frequent of them (ties: by the
    alphabet), and `words` in any case; everything else becomes `<unk>`. `special` are further marks such as
    "<topic>" that stay whole in any text and are left out by `decode(ids, skip_special_tokens=True)`. Every
    encoded text starts with `<bos>`, as Llama's do. Decoding puts one space between pieces but for
    punctuation, so that ordinary prose whose pieces are known comes back as it was.

    >>> tokenizer = build_tokenizer(["the cat, a tabby, sat."])
    >>> tokenizer.decode(tokenizer("a cat, the tabby")["input_ids"], skip_special_tokens=True)
    'a cat, the tabby'
    """
    if isinstance(texts, str):
        raise TypeError("texts is one string, expected a list of strings: pass [text]")
    if min_count < 1 or (max_words is not None and max_words < 1):
        raise ValueError(f"min_count is {min_count}, max_words {max_words}; expected numbers from 1")
    marks = [*SPECIAL.values(), *special]
    if len(set(marks)) < len(marks) or not all(mark.strip() for mark in marks):
        raise ValueError(f"special is {list(special)}, expected different marks other than {marks[:4]}")
    split = pre_tokenizers.Split(Regex(PIECE), "removed", invert=True)
    lower = normalizers.Lowercase() if lowercase else None
    seen: Counter[str] = Counter()
    for text in texts:
        seen.update(_pieces(text, split, lower))
    kept = [piece for piece, count in sorted(seen.items(), key=lambda i: (-i[1], i[0])) if count >= min_count]
    forced = dict.fromkeys(piece for word in words for piece in _pieces(word, split, lower))
    listed = [piece for piece in dict.fromkeys([*kept[:max_words], *forced]) if piece not in marks]
    if not listed:
        raise ValueError(f"no piece of the {len(texts)} texts is left with min_count {min_count}")
    vocabulary = {piece: i for i, piece in enumerate([*marks, *listed])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL["unk_token"]))
    if lower is not None:
        tokenizer.normalizer = lower
    tokenizer.pre_tokenizer = split
    begin = SPECIAL["bos_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, vocabulary[begin])]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.WordPiece(prefix="\0", cleanup=False),  # a space between pieces
            decoders.Fuse(),
            decoders.Replace(Regex(" ?\n ?"), "\n"),
            decoders.Replace(Regex(GLUE), ""),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        additional_special_tokens=list(special),
        model_input_names=["input_ids", "attention_mask"],  # Llama takes no token types
        clean_up_tokenization_spaces=False,
        **SPECIAL,
    )


def _pieces(text: str, split: pre_tokenizers.PreTokenizer, lower: normalizers.Normalizer | None) -> list[str]:
    if lower is not None:
        text = lower.normalize_str(text)
    return [piece for piece, _ in split.pre_tokenize_str(text)]


def build_decoder(
    tokenizer: PreTrainedTokenizerFast,
    *,
    seed: int,
    width: int = 96,  # prototype of chapter 7: 128 was no better and 1.45 times slower
    layers: int = 3,  # prototype of chapters 5 and 7
    heads: int = 4,  # prototype of chapter 7
    inner: int | None = None,
    max_positions: int = 512,
    activation: str = "silu",
) -> LlamaForCausalLM:
    """Return an untrained Llama decoder for `tokenizer`'s vocabulary, in float32, input and output tied.

    `width` is a multiple of 2 x `heads`; `inner` is the width of the gated perceptron (8/3 of `width` rounded
    up to a multiple of 8, as in Llama). Weights depend on `seed` only; torch's global state is left as it was.
    """
    config = decoder_config(
        tokenizer,
        width=width,
        layers=layers,
        heads=heads,
        inner=inner,
        max_positions=max_positions,
        activation=activation,
    )
    with torch.random.fork_rng(devices=[]):  # transformers draws initial weights from torch's global state
        torch.manual_seed(seed)
        model = LlamaForCausalLM._from_config(config, attn_implementation="sdpa", dtype=torch.float32)
    return model.eval()


def decoder_config(
    tokenizer: PreTrainedTokenizerFast,
    *,
    width: int,
    layers: int,
    heads: int,
    inner: int | None,
    max_positions: int,
    activation: str,
) -> LlamaConfig:
    """Return the configuration of `build_decoder`'s Llama; the arguments are its."""
    if width < 1 or heads < 1 or width % (2 * heads):
        raise ValueError(f"width is {width}, expected a multiple of 2 x heads = {2 * heads}")
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=inner or -(-8 * width // 24) * 8,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_act=activation,
        max_position_embeddings=max_positions,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def parameters(model: torch.nn.Module) -> int:
    """Return the number of parameters, tied ones once."""
    return sum(value.numel() for value in model.parameters())


def save_decoder(folder: Path | str, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> Path:
    """Write the model (safetensors) and its tokeniser to `folder`, for `LocalModel.load("hf:<folder>")`."""
    with no_progress():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)
