"""A language model as a miner: what it learns from, what it is asked, how its outputs are read."""

import pytest
from mi_small import COLOURS, DOCUMENTS, Knows, Says, small

from msig_lib.lm.generate import Sampling
from msig_lib.lm.scoring import prompt_example
from msig_lib.lm.training import TrainSettings
from msig_lib.mining import model as model_module
from msig_lib.mining.documents import Document, Mined
from msig_lib.mining.model import Miner, fine_tune
from msig_lib.mining.parse import write_output
from msig_lib.mining.prompts import short_pair_prompt, short_prompt

QUICK = TrainSettings(1, batch=8)


@pytest.fixture(scope="module")
def base():
    return small()


@pytest.mark.parametrize("analysis", [True, False])
def test_layout_is_prompt_output_end(base, monkeypatch, analysis):
    seen = {}
    monkeypatch.setattr(
        model_module,
        "train",
        lambda network, examples, settings, seed: seen.update(examples=examples, seed=seed) or "trained",
    )
    instances = [(one, Knows(analysis).ask([(one, i)], seed=0)[0]) for one in DOCUMENTS for i in range(2)]
    miner, trained = fine_tune(base, instances, analysis=analysis, settings=QUICK, seed=5)
    prompt = short_prompt if analysis else short_pair_prompt
    expected = [
        prompt_example(base.tokenizer, prompt(one, mined.sentence), write_output(mined, analysis))
        for one, mined in instances
    ]
    assert seen == {"examples": expected, "seed": 5} and trained == "trained"
    assert miner.sampling.temperature == 0 and miner.analysis is analysis
    assert miner.sampling.max_tokens >= 1.4 * max(sum(one.targets) for one in expected)
    assert ("without analysis" in miner.name) is not analysis


def test_outputs_cut_at_max_tokens_are_malformed():
    whole = "Analysis: It is so.\nQuestion: Is it?\nAnswer: It is"
    assert Miner(Says(whole)).ask([(DOCUMENTS[0], 0)], seed=0)[0].kept
    cut = Miner(Says(whole, "length", 300)).ask([(DOCUMENTS[0], 0)], seed=0)[0]
    assert cut.malformed == whole and not cut.kept


def test_equal_prompts_are_asked_once_and_in_order():
    twice = Document("d", "", ("One thing.", "One thing."))
    model = Says("Refused: new")
    found = Miner(model).ask([(twice, 1), (DOCUMENTS[0], 0), (twice, 0)], seed=3)
    assert [(one.document, one.sentence) for one in found] == [("d", 1), ("d0", 0), ("d", 0)]
    assert len(model.asked) == 1 and len(model.asked[0][0]) == 2 and model.asked[0][2] == 3


def test_documents_too_long_for_the_model_are_named(base):
    long = Document("long one", "", tuple(f"The boat is {colour}." for colour in COLOURS * 8))
    near = Document("near", "", tuple("The boat is red." for _ in range(16)))
    with pytest.raises(
        ValueError, match=r"'long one' makes a prompt of \d+ tokens.*reads 128: cut the document"
    ):
        Miner(base).ask([(DOCUMENTS[0], 0), (long, 0)], seed=0)
    with pytest.raises(ValueError, match=r"'near' makes a prompt of \d+ tokens, and 300 more.*reads 128"):
        Miner(base).ask([(near, 0)], seed=0)
    mined = Knows().ask([(DOCUMENTS[0], 0)], seed=0)[0]
    with pytest.raises(ValueError, match="'long one' makes a prompt"):
        fine_tune(base, [(long, Mined("long one", *list(vars(mined).values())[1:]))], settings=QUICK, seed=0)
    assert base.usage.answers  # the short ones were answered


def test_words_that_cannot_be_written(base):
    mined = Mined("d0", 0, "It is vermilion.", None, "How is it?", "It is vermilion.")
    with pytest.raises(ValueError, match=r"sentence 0 of document 'd0' has words.*vermilion"):
        fine_tune(base, [(DOCUMENTS[0], mined)], settings=QUICK, seed=0)
    with pytest.raises(ValueError, match="'d0' with a finding on 'd1'"):
        fine_tune(base, [(DOCUMENTS[0], Mined("d1", 0))], settings=QUICK, seed=0)


def test_fingerprint_tells_miners_apart(base):
    miners = [
        Miner(base),
        Miner(base, analysis=False),
        Miner(base, sampling=Sampling(temperature=1.0)),
        Miner(Says("")),
    ]
    assert len({one.fingerprint for one in miners}) == 4 and Miner(base).fingerprint == miners[0].fingerprint
