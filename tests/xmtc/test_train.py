import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.tiny import build_tiny_encoder
from msig_lib.xmtc.finetune import FineTuneSettings, fine_tune
from msig_lib.xmtc.model import DualEncoder, LabelClassifier
from msig_lib.xmtc.train import (
    Development,
    LabelSampler,
    TrainSettings,
    precision_at_1,
    train,
    train_classifier,
    train_dual_encoder,
    train_joint,
)

L, DIM = 30, 16
QUICK = TrainSettings(epochs=12, batch=32, subset=16, learning_rate=5e-3, vector_rate=2e-2)


def world(n, seed):
    """Documents near a rotation of their labels' vectors, so that poolers have something to learn."""
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(L, DIM))
    labels /= np.linalg.norm(labels, axis=1, keepdims=True)
    turn = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    rng = np.random.default_rng(seed)
    rows = np.sort(np.argsort(rng.random((n, L)), axis=1)[:, :2], axis=1)
    documents = labels[rows].mean(axis=1) @ turn + 0.05 * rng.normal(size=(n, DIM))
    targets = sparse.csr_array((np.ones(2 * n), rows.ravel(), np.arange(0, 2 * n + 1, 2)), shape=(n, L))
    return documents.astype(np.float32), labels.astype(np.float32), targets


@pytest.fixture(scope="module")
def learned():
    documents, labels, targets = world(400, 1)
    test = Development(*world(100, 2)[::2])
    return documents, labels, targets, test


def fit(kind, learned, seed=0, **options):
    documents, labels, targets, _ = learned
    options = {"settings": QUICK} | options
    if kind == "classifier":
        return train_classifier(documents, targets, seed=seed, **options)
    function = train_joint if kind == "joint" else train_dual_encoder
    return function(documents, labels, targets, seed=seed, **options)


@pytest.mark.parametrize("kind", ["dual", "classifier", "joint"])
def test_every_model_learns(kind, learned):
    _, labels, _, test = learned
    before = precision_at_1(DualEncoder(DIM), test, labels)
    found = fit(kind, learned)
    after = precision_at_1(found.model, test, labels)
    assert before < 0.3 and after > 0.8
    assert found.history[-1]["loss"] < 0.5 * found.history[0]["loss"]
    assert found.steps == 12 * 13 and len(found.history) == 12


def test_the_seed_decides_and_nothing_else(learned):
    labels, test = learned[1], learned[3].documents
    torch.manual_seed(1)
    first = fit("dual", learned).score(test, labels)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = fit("dual", learned).score(test, labels)
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(first, again)
    assert not np.allclose(first, fit("dual", learned, seed=1).score(test, labels), atol=1e-3)


def test_the_printed_loss_trains_too(learned):
    found = fit("dual", learned, settings=TrainSettings(**{**vars(QUICK), "loss": "thesis"}))
    assert precision_at_1(found.model, learned[3], learned[1]) > 0.6


def test_patience_keeps_the_best_development_epoch(learned):
    slow = TrainSettings(epochs=40, batch=32, subset=16, learning_rate=2e-2, patience=2, decay=False)
    found = fit("dual", learned, settings=slow, dev=learned[3])
    values = [row["dev_p@1"] for row in found.history]
    assert len(values) < 40 and values.index(max(values)) == len(values) - 3
    assert precision_at_1(found.model, learned[3], learned[1]) == pytest.approx(max(values))


@settings(max_examples=60, deadline=None)
@given(
    n_labels=st.integers(1, 60),
    size=st.integers(1, 40),
    hard_share=st.floats(0, 1),
    density=st.floats(0, 0.3),
    seed=st.integers(0, 999),
)
def test_label_subset(n_labels, size, hard_share, density, seed):
    rng = np.random.default_rng(seed)
    dense = rng.random((12, n_labels)) < density
    hard = rng.integers(-1, n_labels, size=(12, 3))
    options = TrainSettings(subset=size, hard_share=hard_share)
    sampler = LabelSampler(sparse.csr_array(dense), hard, options)
    rows = rng.permutation(12)[:5]
    for _ in range(2):
        subset, wanted = (a.numpy() for a in sampler.draw(rows, torch.Generator().manual_seed(seed)))
        positives = np.flatnonzero(dense[rows].any(axis=0))
        assert len(set(subset.tolist())) == len(subset) == min(n_labels, max(size, len(positives)))
        assert set(positives) <= set(subset.tolist())
        assert np.array_equal(wanted > 0, dense[rows][:, subset])


def test_hard_negatives_fill_their_share():
    targets = sparse.csr_array(np.eye(4, 1000))
    hard = np.tile(np.arange(500, 520), (4, 1))
    options = TrainSettings(subset=24, hard_per_document=20, hard_share=0.5)
    subset, _ = LabelSampler(targets, hard, options).draw(np.arange(4), torch.Generator().manual_seed(0))
    assert np.isin(subset.numpy(), hard).sum() in range(10, 13) and len(subset) == 24


@pytest.mark.parametrize(
    "change, says",
    [
        (dict(documents=np.zeros((3, DIM), np.float32)), "3 document embeddings"),
        (dict(labels=np.zeros((3, DIM), np.float32)), "3 label embeddings"),
        (dict(labels=None), "pass labels"),
        (dict(hard=np.zeros((3, 2), int)), "hard has 3 rows"),
        (dict(settings=TrainSettings(patience=1)), "pass dev"),
    ],
)
def test_user_mistakes(learned, change, says):
    documents, labels, targets, _ = learned
    given_ = {"documents": documents, "targets": targets, "labels": labels, "seed": 0} | change
    with pytest.raises(ValueError, match=says):
        train(DualEncoder(DIM), **given_)


@pytest.mark.parametrize("wrong", [dict(epochs=0), dict(subset=0), dict(hard_share=2), dict(loss="x")])
def test_impossible_settings(wrong):
    with pytest.raises(ValueError, match="expected"):
        TrainSettings(**wrong)


@pytest.fixture(scope="module")
def texts_world(tmp_path_factory):
    rng = np.random.default_rng(5)
    words = [f"w{i}" for i in range(40)]
    chosen = rng.integers(0, 10, size=120)
    texts = [" ".join([words[c], *rng.choice(words[10:], rng.integers(1, 6))]) for c in chosen]
    encoder = SentenceEncoder.load(
        f"hf:{build_tiny_encoder(tmp_path_factory.mktemp('tiny'), [' '.join(words)], seed=1)}"
    )
    targets = sparse.csr_array((np.ones(120), chosen, np.arange(121)), shape=(120, 10))
    states = [encoder.token_states(t, layer=1, max_tokens=16, cache=False) for t in (texts, words[:10])]
    return encoder, targets, *states


@pytest.mark.parametrize("kind", ["classifier", "dual"])
def test_tuning_the_encoder_moves_it_and_lowers_the_loss(kind, texts_world):
    encoder, targets, documents, labels = texts_world
    labels = None if kind == "classifier" else labels
    options = FineTuneSettings(
        steps=60, batch=16, label_texts=6, refresh=25, encoder_rate=2e-3, head=TrainSettings(vector_rate=1e-2)
    )
    loss = {}
    for tune in (True, False):
        model = LabelClassifier(encoder.dim, 10) if kind == "classifier" else DualEncoder(encoder.dim)
        found = fine_tune(
            model, encoder, documents, targets, labels, seed=0, tune=tune, settings=options, threads=1
        )
        assert found.steps == 60 and found.score(documents, labels).shape == (120, 10)
        loss[tune] = found.history[-1]["loss"]
        original = [p for layer in encoder.model.encoder.layer[1:] for p in layer.parameters()]
        same = all(torch.equal(a, b) for a, b in zip(found.top.parameters(), original))
        assert same is not tune
    assert loss[True] < 0.8 * loss[False]


def test_fine_tuning_refuses_what_does_not_fit(texts_world):
    encoder, targets, documents, labels = texts_world
    with pytest.raises(ValueError, match="label texts"):
        fine_tune(DualEncoder(encoder.dim), encoder, documents, targets, seed=0)
    with pytest.raises(ValueError, match="rows of targets"):
        fine_tune(DualEncoder(encoder.dim), encoder, documents, targets[:5], labels, seed=0)
