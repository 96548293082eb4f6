"""What table 5.1 needs, trained side by side: a seed's miners wait for its base, its chatbots for its miner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from msig_lib.mining import study, study_bases
from msig_lib.mining.linked import Of, linked
from msig_lib.mining.study import Arm, Chatbot, Found, Plan, Seeding, State


@dataclass(frozen=True, eq=False)
class Learned:
    """`bases` and their `rounds` by seed, what miners found by (seeding, seed), the chatbots by arm, then by seed."""

    bases: dict[int, State]
    rounds: dict[int, int]
    mined: dict[tuple[Seeding, int], Found]
    bots: list[Chatbot]


def learn(
    plan: Plan, seeds: Sequence[int], seedings: Sequence[Seeding], arms: Mapping[str, Arm], *, threads: int
) -> Learned:
    """Train a base for every seed, from it a miner for every seeding, and a chatbot for every arm.

    Every seed has its own base, so that what the seeds say is independent of each other. The pairs of the chatbots
    are those of the miner of the first seeding. ValueError for no seeding, or a seed or seeding given twice.
    """
    if not seedings or len(set(seedings)) < len(seedings) or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"seeds are {list(seeds)} and seedings {list(seedings)}: expected different ones, from one"
        )
    first = seedings[0]
    calls: dict = {("base", seed): (study_bases.base, (plan, seed)) for seed in seeds}
    for seeding in seedings:
        for seed in seeds:
            calls["mined", seeding, seed] = (
                study.mined_by,
                (plan, Of(("base", seed), attrgetter("state")), seeding, seed),
            )
    for name, arm in arms.items():
        for seed in seeds:
            needed = arm.qa or arm.aug
            pairs = Of(("mined", first, seed), attrgetter("findings")) if needed else ()
            calls["chat", name, seed] = (
                study.chat,
                (plan, Of(("base", seed), attrgetter("state")), name, arm, pairs, seed),
            )
    done = linked(calls, threads=threads)
    return Learned(
        {seed: done["base", seed].state for seed in seeds},
        {seed: done["base", seed].rounds for seed in seeds},
        {(seeding, seed): done["mined", seeding, seed] for seeding in seedings for seed in seeds},
        [done["chat", name, seed] for name in arms for seed in seeds],
    )
