"""Values of TRL's DPO trainer, written to `trl_reference.npz`: run this file where trl is installed.

    python tests/preference/make_trl_reference.py

Which code of TRL answers:
- `whole`: the public path. A `DPOTrainer` over a tiny Llama and its reference is given texts; it adds the end
  token, tokenises, truncates (`max_length`, in its data collator), reads both models and returns
  `trainer.compute_loss(model, batch)`, whose `backward` gives the gradients of all weights. Rewards are what it
  logs, pair by pair.
- `alone`: the loss and no model. `trainer._compute_loss`, a private method, with stand-ins for policy and
  reference that return given token log-probabilities; gradients are those of the log-probabilities.

The NLL term is TRL's loss type "sft" beside "sigmoid". Nothing of TRL's is copied.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from msig_lib.lm.decoder import build_decoder, build_tokenizer

FILE = Path(__file__).with_name("trl_reference.npz")
WORDS = [f"w{i}" for i in range(16)]
TOKENIZER = build_tokenizer([" ".join(WORDS)])
PROMPT = 3  # words of every prompt, so that TRL's one max_length cuts all responses alike
PAIRS, LONGEST = 7, 9
# (beta, weight of the NLL term, of the preference term, tokens kept of a response with its end token, or None)
WHOLE = [(0.1, 0.0, 1.0, None), (0.5, 0.3, 1.0, None), (0.1, 0.0, 1.0, 4), (0.5, 0.3, 1.0, 4)]
ALONE = [(0.1, 0.0, 1.0), (0.1, 0.3, 1.0), (2.0, 0.0, 0.5), (0.1, 1.0, 0.0)]


def texts(seed: int = 0) -> list[dict[str, str]]:
    """Return pairs of responses of 1..9 words after prompts of three."""
    rng = np.random.default_rng(seed)
    draw = lambda n: " ".join(rng.choice(WORDS, n))  # noqa: E731
    return [
        {
            "prompt": draw(PROMPT),
            "chosen": f" {draw(rng.integers(1, LONGEST + 1))}",
            "rejected": f" {draw(rng.integers(1, LONGEST + 1))}",
        }
        for _ in range(PAIRS)
    ]


def model(seed: int) -> torch.nn.Module:
    """Return a tiny Llama whose weights come from numpy's generator, so that no library's start matters."""
    found = build_decoder(TOKENIZER, seed=0, width=8, layers=1, heads=2, max_positions=32)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for _, value in sorted(found.named_parameters()):
            value.copy_(torch.from_numpy(rng.normal(0.0, 0.6, value.shape)))
    return found


def gradients(found: torch.nn.Module) -> np.ndarray:
    """Return all gradients as one float32 array, by the parameters' names."""
    return np.concatenate([value.grad.flatten().numpy() for _, value in sorted(found.named_parameters())])


def token_values(seed: int = 1) -> dict[str, np.ndarray]:
    """Return log-probabilities [2 P, L] (chosen, then rejected) of policy and reference, and lengths [2 P]."""
    rng = np.random.default_rng(seed)
    shape = (2 * PAIRS, LONGEST)
    return {
        "policy": -rng.exponential(1.5, shape).astype(np.float32),
        "reference": -rng.exponential(1.5, shape).astype(np.float32),
        "lengths": rng.integers(1, LONGEST + 1, 2 * PAIRS),
    }


def trainer(folder: str, beta: float, nll: float, preference: float, tokens: int | None) -> Any:
    """Return TRL's trainer on `texts()` with these settings; `tokens` of a response are kept."""
    from datasets import Dataset, disable_progress_bars
    from trl import DPOConfig, DPOTrainer

    disable_progress_bars()
    config = DPOConfig(
        output_dir=folder,
        beta=beta,
        loss_type=["sigmoid", "sft"],
        loss_weights=[preference, nll],
        max_length=None if tokens is None else 1 + PROMPT + tokens,
        per_device_train_batch_size=PAIRS,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        report_to="none",
    )
    return DPOTrainer(
        model(2),
        model(3),
        args=config,
        train_dataset=Dataset.from_list(texts()),
        processing_class=TOKENIZER,
    )


def logged(trl: Any, name: str) -> float:
    return trl._metrics["train"][name][-1]


def whole(beta: float, nll: float, preference: float, tokens: int | None) -> dict[str, np.ndarray]:
    """Return TRL's loss, gradients and each pair's rewards by its public path."""
    with tempfile.TemporaryDirectory() as folder:
        trl = trainer(folder, beta, nll, preference, tokens)
        rows = [trl.train_dataset[i] for i in range(PAIRS)]
        trl.model.train()
        batch = trl.data_collator(rows)
        loss = trl.compute_loss(trl.model, batch)
        loss.backward()
        accuracy = logged(trl, "rewards/accuracies")
        last = batch["attention_mask"].sum(1, keepdim=True) - 1
        pairs = []
        for row in rows:
            trl.compute_loss(trl.model, trl.data_collator([row]))
            pairs.append([logged(trl, f"rewards/{name}") for name in ("chosen", "rejected", "margins")])
        return {
            "loss": np.float32(loss.item()),
            "accuracy": np.float32(accuracy),
            "gradients": gradients(trl.model),
            "rewards": np.array(pairs, dtype=np.float32),
            "last": batch["input_ids"].gather(1, last)[:, 0].numpy(),  # the last token of each response read
        }


def alone(beta: float, nll: float, preference: float) -> dict[str, np.ndarray]:
    """Return TRL's loss of given token log-probabilities, and its gradients by them."""
    given = token_values()
    # TRL's models give one position fewer than there are ids, and 0 outside the completion.
    mask = torch.arange(LONGEST + 1) <= torch.from_numpy(given["lengths"])[:, None]
    mask[:, 0] = False
    inside = mask[:, 1:]
    policy = torch.from_numpy(given["policy"]).requires_grad_()

    def stand_in(values: torch.Tensor) -> Any:
        nothing = torch.zeros_like(inside, dtype=torch.float32)
        return lambda **_: SimpleNamespace(
            log_probs=values * inside, entropy=nothing, mean_logits=nothing, is_top1=inside
        )

    with tempfile.TemporaryDirectory() as folder:
        trl = trainer(folder, beta, nll, preference, None)
        trl.model.train()
        trl.ref_model = stand_in(torch.from_numpy(given["reference"]))
        policy_model = stand_in(policy)
        batch = {
            "input_ids": torch.ones_like(mask, dtype=torch.long),
            "attention_mask": torch.ones_like(mask, dtype=torch.long),
            "completion_mask": mask.long(),
        }
        loss = trl._compute_loss(policy_model, batch, False)
        loss.backward()
        return {
            "loss": np.float32(loss.item()),
            "gradients": policy.grad.numpy(),
            "margin": np.float32(logged(trl, "rewards/margins")),
            "accuracy": np.float32(logged(trl, "rewards/accuracies")),
        }


def main() -> int:
    arrays: dict[str, np.ndarray] = {}
    for number, case in enumerate(WHOLE):
        arrays |= {f"whole.{number}.{name}": value for name, value in whole(*case).items()}
    for number, case in enumerate(ALONE):
        arrays |= {f"alone.{number}.{name}": value for name, value in alone(*case).items()}
    provenance = {name: version(name) for name in ("trl", "transformers", "accelerate", "torch", "numpy")}
    provenance |= {"python": platform.python_version(), "whole": WHOLE, "alone": ALONE}
    np.savez_compressed(FILE, provenance=json.dumps(provenance), **arrays)
    print(f"{FILE.name}: {FILE.stat().st_size} bytes, {provenance}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
