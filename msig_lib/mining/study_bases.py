"""The bases of chapter 5: decoders that read before they mine or chat, and what each of them can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from msig_lib.lm.local import LocalModel
from msig_lib.mining import evaluate
from msig_lib.mining.data import Passage, fresh_passages
from msig_lib.mining.questions import Question, draw_question
from msig_lib.mining.study import WORLD_SEED, Plan, State, decoder, world
from msig_lib.mining.train import EVERY_TOPIC, FULL, chat_prompt, in_full, read_on, train_base
from msig_lib.mining.wording import Fact

Asked = tuple[Passage, str, Sequence[Fact]]  # a passage, what is asked about it, the facts of the answer


@dataclass(frozen=True, eq=False)
class Base:
    """The weights of a decoder that can read, but has not read of the entities of the world; rounds of its reading."""

    state: State
    rounds: int


def base(plan: Plan, seed: int) -> Base:
    """Return a base, which reads on until it says `plan.base.enough` of new sentences in full, or for all its rounds.

    The sentences are of passages of their own: neither those it reads, nor those of `abilities`, nor of the world.
    """
    model, _ = train_base(world(plan), plan.base, seed=seed)
    done = 1
    while done < plan.base.rounds:
        rng = np.random.default_rng([WORLD_SEED, 15])
        if _share(model, _to_say(_new(plan, seed=555_000), rng)) >= plan.base.enough:
            break
        read_on(model, world(plan), plan.base, seed=seed, done=done)
        done += 1
    return Base(
        {name: value.detach().numpy().copy() for name, value in model.model.state_dict().items()}, done
    )


def abilities(plan: Plan, state: State) -> dict[str, float]:
    """Return the shares of right answers on fresh passages: questions answered, sentences said in full."""
    passages, model = _new(plan, seed=987_654), decoder(plan, state)
    rng = np.random.default_rng([WORLD_SEED, 13])
    drawn = [draw_question(passage, rng, both=0.0) for passage in passages]
    asked = [(passage, one.text, one.facts) for passage, one in zip(passages, drawn)]
    return {
        "answer from a passage": _share(model, asked),
        "say a sentence in full": _share(model, _to_say(passages, rng)),
    }


def _new(plan: Plan, *, seed: int) -> list[Passage]:
    """Return passages on every topic about entities that are not in the world."""
    return list(fresh_passages(world(plan), plan.dev, seed=seed, topics=EVERY_TOPIC, mixed=True))


def _to_say(passages: Sequence[Passage], rng: np.random.Generator) -> list[Asked]:
    """Draw a sentence that needs its passage from every passage that has one."""
    told = [[one for one in passage.sentences if one.needs_context and one.facts] for passage in passages]
    drawn = [own[int(rng.integers(len(own)))] if own else None for own in told]
    return [(passage, f"{FULL} {one.text}", one.facts) for passage, one in zip(passages, drawn) if one]


def _share(model: LocalModel, asked: Sequence[Asked]) -> float:
    """Return the share of right answers."""
    prompts = [f"Document: {passage.document.text}\n{chat_prompt(text)}" for passage, text, _ in asked]
    said = [found[0].text for found in model.complete(prompts, sampling=evaluate.ANSWERING, seed=0)]
    wanted = [Question("", in_full(facts), "one", "", tuple(facts)) for _, _, facts in asked]
    return float(evaluate.right(wanted, said).mean())
