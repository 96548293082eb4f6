"""A miner that learns from a teacher, and what it mines."""

import json

import numpy as np
import pytest
import torch
from mi_small import DOCUMENTS, Knows, Says, small
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from msig_lib.lm.decoder import save_decoder
from msig_lib.lm.generate import Sampling
from msig_lib.lm.local import LocalModel
from msig_lib.lm.saved import SavedModelError
from msig_lib.lm.training import Trained, TrainSettings
from msig_lib.mining.documents import Mined
from msig_lib.mining.estimator import COLUMNS, KnowledgeMiner, default_training
from msig_lib.mining.model import Miner
from msig_lib.mining.signal import ModelTeacher, TemplateTeacher

QUICK = TrainSettings(200, batch=8, learning_rate=1e-2)


@pytest.fixture(scope="module")
def base():
    return small()


@pytest.fixture(scope="module")
def fitted(base):
    return KnowledgeMiner(Knows(), model=base, seed_instances=8, training=QUICK).fit(DOCUMENTS)


def pairs(table):
    return table[["document", "sentence", "fails", "question", "answer", "analysis"]].to_dict("records")


def test_learns_what_the_teacher_says(fitted, base):
    table = fitted.mine(DOCUMENTS)
    assert tuple(table.columns) == COLUMNS and len(table) == 8
    expected = KnowledgeMiner(Knows()).fit().mine(DOCUMENTS)
    assert pairs(table) == pairs(expected)  # 8 sentences, all of them learned from
    assert table.kept.tolist() == expected.kept.tolist() == [True, False] * 4
    assert table.text.tolist() == [text for one in DOCUMENTS for text in one.sentences]
    assert set(table.miner) == {"miner (small)"} and set(table.fingerprint) == {fitted.miner_.fingerprint}
    assert set(expected.miner) == {"knows"} and set(table.seed) == {0} and set(table.malformed) == {""}
    assert len(fitted.trained_.losses) == 200 and len(fitted.seed_) == 8
    assert fitted.facts_["instances"] == {"kept": 4, "refused: informative": 4}
    assert fitted.facts_["model"] == {"name": "small", "fingerprint": base.fingerprint}


def test_given_model_stays_and_the_seed_decides(fitted, base):
    again = LocalModel.of(base.model, base.tokenizer)
    assert again.fingerprint == base.fingerprint and again.model.training is False
    few = TrainSettings(2, batch=4)
    found = [
        KnowledgeMiner(Knows(), model=base, seed_instances=6, training=few, random_state=seed).fit(DOCUMENTS)
        for seed in (0, 0, 1)
    ]
    prints = [one.miner_.fingerprint for one in found]
    assert prints[0] == prints[1] != prints[2]
    assert [mined for _, mined in found[0].seed_] == [mined for _, mined in found[1].seed_]


def test_ready_instances_and_malformed_ones(base):
    bad = Mined("d0", 1, malformed="What?")
    instances = [(one, Knows(False).ask([(one, 0)], seed=0)[0]) for one in DOCUMENTS] + [(DOCUMENTS[0], bad)]
    miner = KnowledgeMiner(model=base, analysis=False, training=TrainSettings(1)).fit(instances)
    assert miner.facts_["instances"] == {"kept": 4, "malformed": 1} and miner.teacher_ is None
    with pytest.raises(ValueError, match="1 findings can be learned from: all are malformed"):
        miner.fit(instances[-1:])


def test_unreadable_outputs_are_rows_too(base):
    untrained = Miner(base, sampling=Sampling(temperature=0.0, max_tokens=20))
    table = KnowledgeMiner(untrained).fit().mine(DOCUMENTS)
    assert len(table) == 8 and not table.kept.any() and table.malformed.str.len().min() > 0


def test_filter_keeps_what_two_samples_agree_on():
    teacher = Knows(wrong=lambda document, seed: document.id == "d1" and seed == 4)
    table = KnowledgeMiner(teacher, filter=True, batch=3, random_state=4).fit().mine(iter(DOCUMENTS))
    assert table.agreed.tolist() == [True, False, False, False, True, False, True, False]
    assert table.kept.tolist() == [True, False, False, False, True, False, True, False]
    assert table.answer[2] == "It is black." and table.fails[2] is None
    assert [count for count, _ in teacher.asked] == [3, 3, 3, 3, 2, 2]
    assert len({seed for _, seed in teacher.asked}) == 2
    assert KnowledgeMiner(teacher).fit().mine(DOCUMENTS).agreed.isna().all()


def test_filter_needs_samples_that_can_differ(base):
    greedy = KnowledgeMiner(Miner(base), filter=True).fit()
    with pytest.raises(ValueError, match=r"answers greedily.*temperature above 0"):
        greedy.mine(DOCUMENTS)
    learned = KnowledgeMiner(Knows(), model=base, seed_instances=4, training=TrainSettings(1), filter=True)
    assert learned.fit(DOCUMENTS).miner_.sampling.temperature == 1
    assert learned.set_params(temperature=0.5).fit(DOCUMENTS).miner_.sampling.temperature == 0.5


def test_batches_change_nothing(fitted):
    one = clone(fitted).set_params(batch=1)
    one.miner_ = fitted.miner_
    assert one.mine(DOCUMENTS).equals(fitted.mine(DOCUMENTS))
    assert [len(found) for found in one.findings(DOCUMENTS)] == [1] * 8


def test_a_language_model_as_the_teacher(base):
    model = Says("Question: Is it?\nAnswer: It is.")
    miner = KnowledgeMiner(model, analysis=False, temperature=0.7).fit()
    assert isinstance(miner.miner_, ModelTeacher) and miner.mine(DOCUMENTS).kept.all()
    assert model.asked[0][1].temperature == 0.7
    KnowledgeMiner(model, model=base, analysis=False, temperature=0.7, seed_instances=3)._teacher(0.7)
    with pytest.raises(TypeError, match="teacher is a str"):
        KnowledgeMiner("template").fit()


def test_saved_and_loaded(fitted, tmp_path):
    fitted.save(tmp_path / "miner")
    assert not [path for path in (tmp_path / "miner").rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]
    torch.manual_seed(0)
    loaded = KnowledgeMiner.load(tmp_path / "miner")
    assert loaded.mine(DOCUMENTS).equals(fitted.mine(DOCUMENTS))  # names and fingerprints too
    assert loaded.seed_ == fitted.seed_ and loaded.facts_ == fitted.facts_ and loaded.training == QUICK
    assert np.array_equal(loaded.trained_.losses, fitted.trained_.losses)
    assert isinstance(loaded.trained_, Trained) and loaded.teacher_ is None
    with pytest.raises(FileExistsError, match="nothing is overwritten"):
        loaded.save(tmp_path / "miner")
    loaded.save(tmp_path / "copy")
    assert KnowledgeMiner.load(tmp_path / "copy").miner_.fingerprint == fitted.miner_.fingerprint
    assert LocalModel.load(f"hf:{tmp_path / 'miner' / 'model'}").complete(["The boat"], seed=0)


@pytest.mark.parametrize("name", ["model/model.safetensors", "model/tokenizer.json", "learned/state.json"])
def test_damage_is_found(fitted, tmp_path, name):
    fitted.save(tmp_path / "miner")
    path = tmp_path / "miner" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(SavedModelError, match="is damaged"):
        KnowledgeMiner.load(tmp_path / "miner")


def test_what_cannot_be_loaded_or_saved(tmp_path, fitted):
    with pytest.raises(SavedModelError, match="no manifest"):
        KnowledgeMiner.load(tmp_path)
    fitted.save(tmp_path / "m")
    manifest = tmp_path / "m" / "learned" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": 99}))
    with pytest.raises(SavedModelError, match="99"):
        KnowledgeMiner.load(tmp_path / "m")
    with pytest.raises(ValueError, match="nothing was learned, templates mines as it is"):
        KnowledgeMiner(TemplateTeacher()).fit().save(tmp_path / "t")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m"]


def test_model_by_name(base, tmp_path):
    folder = save_decoder(tmp_path / "base", base.model, base.tokenizer)
    miner = KnowledgeMiner(Knows(), model=f"hf:{folder}", seed_instances=4, training=TrainSettings(1))
    assert miner.fit(DOCUMENTS).miner_.model.name == f"hf:{folder}"


def test_mistakes(base):
    for call in (lambda m: m.mine([]), lambda m: m.findings([]), lambda m: m.save("x")):
        with pytest.raises(NotFittedError):
            call(KnowledgeMiner(Knows()))
    with pytest.raises(ValueError, match="neither a teacher nor a model"):
        KnowledgeMiner().fit(DOCUMENTS)
    with pytest.raises(ValueError, match="seed is empty"):
        KnowledgeMiner(Knows(), model=base).fit([])
    with pytest.raises(ValueError, match="no teacher to ask about the documents"):
        KnowledgeMiner(model=base).fit(DOCUMENTS)
    with pytest.raises(ValueError, match="n is 600, but the 4 documents with text have 8"):
        KnowledgeMiner(Knows(), model=base).fit(DOCUMENTS)
    with pytest.raises(ValueError, match=r"no analysis.*analysis=False"):
        KnowledgeMiner(Knows(False), model=base, seed_instances=8).fit(DOCUMENTS)
    ready = KnowledgeMiner(Knows()).fit()
    with pytest.raises(TypeError, match=r"a document is a str.*make_document"):
        ready.mine(["One. Two."])
    with pytest.raises(ValueError, match="two documents have the id 'd0'"):
        ready.mine([*DOCUMENTS, DOCUMENTS[0]])
    with pytest.raises(ValueError, match="batch is 0"):
        ready.set_params(batch=0).mine(DOCUMENTS)
    assert list(ready.set_params(batch=1).mine([]).columns) == list(COLUMNS)


def test_parameters_are_only_assigned(base):
    given = dict(teacher=Knows(), model=base, seed_instances=-1, batch=0, training="?", random_state="x")
    miner = KnowledgeMiner(**given)
    assert {name: miner.get_params()[name] for name in given} == given
    assert default_training(600, 400_000) == TrainSettings(113, batch=16, learning_rate=1e-3)
    assert default_training(10, 7 * 10**9).learning_rate == 2e-5
