"""What table 5.1 is trained with: which base, miner and pairs each of its models has."""

import pytest
from mi_study import PLAN, equal, same

from msig_lib.mining import study, study_bases, study_runs
from msig_lib.mining.study import ARMS, Seeding

SEEDINGS = [Seeding(n=8), Seeding(analysis=False, n=8)]


def test_every_seed_has_a_base_of_its_own_and_all_else_comes_from_it():
    arms = {name: ARMS[name] for name in ("conversations", "+ QA")}
    learned = study_runs.learn(PLAN, [3, 1], SEEDINGS, arms, threads=1)
    assert list(learned.bases) == [3, 1] and not equal(learned.bases[3], learned.bases[1])
    assert [(bot.arm, bot.seed) for bot in learned.bots] == [(name, seed) for name in arms for seed in (3, 1)]
    assert list(learned.mined) == [(seeding, seed) for seeding in SEEDINGS for seed in (3, 1)]
    base = study_bases.base(PLAN, 1).state
    assert equal(learned.bases[1], base)
    found = study.mined_by(PLAN, base, SEEDINGS[0], 1)
    assert learned.mined[SEEDINGS[0], 1].findings == found.findings
    bot = study.chat(PLAN, base, "+ QA", ARMS["+ QA"], found.findings, 1)
    assert bot.answers == learned.bots[3].answers and same(bot.measured, learned.bots[3].measured)


def test_chatbots_have_the_pairs_of_the_first_miner(monkeypatch):
    given = {}

    def linked(calls, *, threads):
        given.update(calls)
        return {key: study_bases.Base({}, 1) for key in calls}

    monkeypatch.setattr(study_runs, "linked", linked)
    study_runs.learn(PLAN, [0, 4], SEEDINGS, ARMS, threads=2)
    for (kind, *_), (_, arguments) in given.items():
        assert kind == "base" or arguments[1].key[0] == "base"
    for name, arm in ARMS.items():
        for seed in (0, 4):
            _, (plan, start, named, own, pairs, of) = given["chat", name, seed]
            assert (plan, start.key, named, own, of) == (PLAN, ("base", seed), name, arm, seed)
            assert pairs == () if not (arm.qa or arm.aug) else pairs.key == ("mined", SEEDINGS[0], seed)


@pytest.mark.parametrize("seeds, seedings", [([0, 0], SEEDINGS), ([0], []), ([0], SEEDINGS[:1] * 2)])
def test_seeds_and_seedings_are_different_ones(seeds, seedings):
    with pytest.raises(ValueError, match="expected different ones"):
        study_runs.learn(PLAN, seeds, seedings, ARMS, threads=1)
