"""A saved estimator says the same after loading, and a folder that is not as written is refused."""

import json

import numpy as np
import pytest

from msig_lib.changepoint import saving
from msig_lib.changepoint.estimator import CorrelationCPD
from msig_lib.changepoint.saving import SavedModelError
from msig_lib.changepoint.settings import ModelSettings, TrainSettings
from msig_lib.lm.saved import read_folder, write_folder

X = np.random.default_rng(0).normal(size=(6, 30, 3, 2)).cumsum(axis=1).astype(np.float32)
TINY = ModelSettings(encoder_width=8, decoder_width=8)


@pytest.fixture(scope="module")
def model():
    given = {"window": 3, "alpha": np.float64(0.5), "seed": np.int64(7), "scale": "variable", "margin": 4}
    return CorrelationCPD(
        "gnn", model_settings=TINY, train_settings=TrainSettings(epochs=2, batch_size=2), **given
    ).fit(X)


@pytest.fixture()
def folder(model, tmp_path):
    model.save(tmp_path / "deep" / "saved")
    return tmp_path / "deep" / "saved"


def test_what_is_loaded_says_the_same(model, folder):
    again = CorrelationCPD.load(folder)
    assert again.get_params() == model.get_params()
    assert again.history_ == model.history_ and len(again.history_) == 2
    assert (again.n_variables_in_, again.n_features_in_) == (3, 2)
    expected, found = model.score_samples(X), again.score_samples(X)
    for name in ("correlation", "independent", "ensemble", "graph"):
        assert np.array_equal(getattr(expected, name), getattr(found, name))
    assert np.array_equal(model.predict_type(X), again.predict_type(X))
    assert np.array_equal(again.graph_, model.graph_)
    assert sorted(p.name for p in folder.iterdir()) == ["arrays.safetensors", "manifest.json", "state.json"]


@pytest.mark.parametrize("spatial", ["gnn", "transformer"])
@pytest.mark.parametrize("temporal", ["gru", "transformer"])
@pytest.mark.parametrize("output", ["mlp", "rnn"])
def test_every_kind_of_model_can_be_saved(tmp_path, spatial, temporal, output):
    shape = ModelSettings(encoder_width=8, decoder_width=8, heads=2, decoder_output=output)
    model = CorrelationCPD(
        spatial, temporal, model_settings=shape, train_settings=TrainSettings(epochs=1), window=2
    ).fit(X[:, :8])
    model.save(tmp_path / "saved")
    found = CorrelationCPD.load(tmp_path / "saved").score_samples(X).ensemble
    assert np.array_equal(found, model.score_samples(X).ensemble)


def test_what_is_loaded_can_be_saved_again_and_fitted_again(model, folder, tmp_path):
    again = CorrelationCPD.load(folder)
    again.save(tmp_path / "second")
    assert (tmp_path / "second/state.json").read_bytes() == (folder / "state.json").read_bytes()
    assert np.array_equal(again.fit(X).score_samples(X).ensemble, model.score_samples(X).ensemble)


def test_nothing_is_overwritten_and_a_failed_save_leaves_nothing(model, folder, tmp_path, monkeypatch):
    with pytest.raises(FileExistsError, match="nothing is overwritten"):
        model.save(folder)
    monkeypatch.setattr(model, "history_", [{"loss": object()}])
    with pytest.raises(TypeError):
        model.save(tmp_path / "part")
    assert not (tmp_path / "part").exists() and [p.name for p in tmp_path.iterdir()] == ["deep"]


@pytest.mark.parametrize("name", ["arrays.safetensors", "state.json"])
def test_damage_is_found(folder, name):
    path = folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(SavedModelError, match="is damaged"):
        CorrelationCPD.load(folder)
    path.unlink()
    with pytest.raises(SavedModelError, match="missing"):
        CorrelationCPD.load(folder)


def test_folders_of_something_else_are_refused(folder, tmp_path):
    with pytest.raises(SavedModelError, match=r"CorrelationCPD\.save"):
        CorrelationCPD.load(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    for change in ({"version": 99}, {"format": "msig GENCoClassifier"}):
        (folder / "manifest.json").write_text(json.dumps(manifest | change))
        with pytest.raises(SavedModelError, match="fit and save again"):
            CorrelationCPD.load(folder)


def test_weights_of_another_model_are_refused(folder, tmp_path):
    arrays, state = read_folder(folder, saving.KIND, saving.VERSION)
    name = next(name for name, value in arrays.items() if name.startswith(saving.WEIGHTS) and value.ndim)
    short = name.removeprefix(saving.WEIGHTS)
    fewer = {other: value for other, value in arrays.items() if other != name}
    wider = arrays | {name: np.zeros(1000, dtype=np.float32)}
    for label, given in (("fewer", fewer), ("wider", wider), ("more", arrays | {"model.new": arrays[name]})):
        write_folder(tmp_path / label, saving.KIND, saving.VERSION, given, state)
        with pytest.raises(SavedModelError, match="new" if label == "more" else short):
            CorrelationCPD.load(tmp_path / label)
