from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from msig_lib.lm.encoder import SentenceEncoder
from msig_lib.lm.tiny import build_tiny_encoder
from msig_lib.zeroshot.model import EmbeddingBank, StatesBank, TextBank
from msig_lib.zeroshot.selection import draw_batches, plan, select
from msig_lib.zeroshot.train import OFFICIAL_AG_NEWS, SelfTrainSettings, TrainingDiverged, self_train
from msig_lib.zeroshot.views import Views, nearest

L, DIM = 4, 24
QUICK = SelfTrainSettings(steps=60, learning_rate=6e-3, scale=10.0)
NAMES = [f"class {label}" for label in range(L)]
PROMPTS = [[f"{name} a", f"{name} b"] for name in NAMES]
quick = settings(max_examples=25, deadline=None)


class ToyEncoder:
    """Sentence vectors of a mixture: "2 17" is document 17 of class 2, "class 2 a" a prompt off its centre."""

    dim, device = DIM, torch.device("cpu")

    def __init__(self):
        rng = np.random.default_rng(1)
        self.centres = unit(rng.normal(size=(L, DIM)))
        self.names = unit(self.centres + 0.25 * rng.normal(size=(L, DIM)))
        self.calls = []

    def encode(self, texts, max_tokens=128):
        self.calls.append(list(texts))
        return np.array([self.vector(text) for text in texts], dtype=np.float32)

    def vector(self, text):
        words = text.split()
        rng = np.random.default_rng([ord(c) for c in text])
        if words[:1] == ["class"]:
            return unit(self.names[int(words[1])] + 0.02 * rng.normal(size=DIM))
        label = int(words[-2]) if len(words) > 1 else 0  # what is written last decides
        return unit(self.centres[label] + 0.3 * rng.normal(size=DIM))


class Writer:
    """A generator that writes further documents of the wanted class, and notes what it was asked for."""

    name, fingerprint, cost = "writer", "1", None

    def __init__(self, labels, right=1.0):
        self.labels, self.right, self.asked, self.updates = labels, right, [], []

    def generate(self, rows, labels, n, *, seed):
        self.asked.append((list(rows), None if labels is None else list(labels)))
        wanted = [self.labels[row] for row in rows] if labels is None else labels
        right = int(self.right * n)
        return [
            [f"{y if i < right else (y + 1) % L} {1000 + 10 * row + i}" for i in range(n)]
            for row, y in zip(rows, wanted)
        ]

    def update(self, label_scores):
        self.updates.append(label_scores)


class RecordingBank(EmbeddingBank):
    """A bank that notes the ids of every forward pass."""

    def __init__(self, encoder):
        super().__init__(encoder)
        self.read = []

    def forward(self, learner, ids, *, unit=True):
        self.read.append(ids.tolist())
        return super().forward(learner, ids, unit=unit)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def documents(n, start=0):
    return [f"{i % L} {i}" for i in range(start, start + n)], np.arange(start, start + n) % L


POOL, TRUE = documents(240)
TEST, TEST_TRUE = documents(200, 5000)


@pytest.fixture
def bank():
    return EmbeddingBank(ToyEncoder())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    texts = ["red apple", "green pear", "fast car", "old bus", "about fruit", "about traffic"]
    return SentenceEncoder.load(f"hf:{build_tiny_encoder(tmp_path_factory.mktemp('tiny'), texts, seed=1)}")


def accuracy(found, texts=TEST, labels=TEST_TRUE):
    return np.mean(found.predict_scores(texts).argmax(1) == labels)


def confidences(n, labels, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, labels, n), rng.integers(0, 20, n) / 20  # with ties


# ---- selection


@given(st.integers(1, 60), st.integers(1, 6), st.integers(1, 20), st.integers(0, 999))
@quick
def test_balanced_selection_takes_the_most_confident_of_every_class(n, labels, size, seed):
    y, p = confidences(n, labels, seed)
    rows = select(y, p, size, labels)
    assert (np.diff(rows) > 0).all()
    for label in range(labels):
        inside, outside = p[rows[y[rows] == label]], p[np.setdiff1d(np.flatnonzero(y == label), rows)]
        assert len(inside) == min(size, (y == label).sum())
        assert not len(outside) or not len(inside) or inside.min() >= outside.max()


@given(st.integers(1, 60), st.integers(1, 6), st.integers(1, 20), st.integers(0, 999))
@quick
def test_selection_by_confidence_takes_the_most_confident_of_all(n, labels, size, seed):
    y, p = confidences(n, labels, seed)
    rows = select(y, p, size, labels, "confidence")
    assert len(rows) == min(n, size * labels)
    assert np.delete(p, rows).max(initial=-1) <= p[rows].min()


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 4), st.integers(1, 9), st.integers(0, 999))
@quick
def test_batches_have_equal_shares_and_use_every_text_equally_often(n, labels, share, steps, seed):
    y, p = confidences(n, labels, seed)
    rows = select(y, p, n, labels)
    drawn = draw_batches(rows, y, steps, share, labels, "balanced", np.random.default_rng(seed))
    present = np.unique(y)
    assert drawn.shape == (steps, share * len(present))
    for step in drawn:
        assert np.bincount(y[step], minlength=labels)[present].tolist() == [share] * len(present)
    for label in present:
        times = np.bincount(drawn[y[drawn] == label], minlength=n)[y == label]
        assert times.max() - times.min() <= 1
    drawn = draw_batches(rows, y, steps, share, labels, "confidence", np.random.default_rng(seed))
    assert drawn.shape == (steps, share * labels) and np.isin(drawn, rows).all()


@given(st.integers(0, 500), st.integers(1, 5000), st.integers(1, 20))
@quick
def test_a_plan_spends_all_steps_and_never_selects_nothing(steps, n, labels):
    rounds = plan(SelfTrainSettings().schedule, steps, n, labels)
    assert sum(s for s, _ in rounds) == steps
    assert all(size >= 1 for _, size in rounds)


def test_the_official_schedule_is_that_of_the_code():
    rounds = plan(OFFICIAL_AG_NEWS.schedule, 1000, 4000, 4)
    assert rounds == [(100, 50), (100, 75), (100, 100), (100, 125), (200, 150), (200, 175), (200, 200)]


# ---- banks


@pytest.mark.parametrize("kind", [EmbeddingBank, StatesBank, TextBank])
def test_a_fresh_learner_gives_the_encoders_vectors(kind, tiny):
    texts = ["red apple", "", "fast car " * 30, "old bus", "red apple"]
    found = kind(tiny)
    ids = found.add(texts)
    assert ids.tolist() == [0, 1, 2, 3, 0] and found.add(["old bus", "new"]).tolist() == [3, 4]
    wanted = tiny.encode(texts, cache=False)
    learner = found.learner()
    loose = 5e-3  # bf16 and float16 states
    np.testing.assert_allclose(found.embed(ids), wanted, atol=loose)
    np.testing.assert_allclose(found.transform(learner, ids), wanted, atol=loose)
    vectors = found.forward(learner, torch.from_numpy(ids))
    np.testing.assert_allclose(vectors.detach(), wanted, atol=loose)
    vectors[:, 0].sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in learner.parameters())
    assert all(p.grad is None and not p.requires_grad for p in tiny.model.parameters())


@pytest.mark.parametrize("kind", [EmbeddingBank, StatesBank, TextBank])
def test_every_learner_trains_and_leaves_the_frozen_encoder_alone(kind, tiny):
    found = kind(tiny)
    pool = ["red apple", "green pear", "fast car", "old bus"] * 3
    before = found.embed(found.add(pool))
    options = replace(QUICK, steps=10, learning_rate=1e-3)
    first, again = (
        self_train(found, [["about fruit"], ["about traffic"]], pool, seed=2, settings=options)
        for _ in range(2)
    )
    np.testing.assert_array_equal(found.embed(found.add(pool)), before)
    assert np.abs(found.transform(first.learner, first.pool_ids) - before).max() > 1e-3
    np.testing.assert_array_equal(first.predict_scores(pool), again.predict_scores(pool))
    assert first.history[0].entropy > first.history[-1].entropy


def test_new_texts_are_encoded_together_and_once(bank):
    bank.add(["0 1", "0 2", "0 1"])
    bank.add(["0 2", "0 3"])
    assert bank.encoder.calls == [["0 1", "0 2"], ["0 3"]]
    assert len(bank) == 3
    with pytest.raises(TypeError, match="one string"):
        bank.add("0 1")


def test_top_layers_have_no_unnormalised_vectors(tiny):
    with pytest.raises(ValueError, match="unit vectors only"):
        self_train(
            StatesBank(tiny), [["a"], ["b"]], ["red"], seed=0, settings=replace(QUICK, convention="official")
        )


# ---- self-training


def test_self_training_beats_zero_shot_and_selection_and_rounds_are_recorded(bank):
    zero = self_train(bank, PROMPTS, POOL, seed=0, settings=replace(QUICK, steps=0))
    found = self_train(bank, PROMPTS, POOL, seed=0, settings=QUICK)
    assert accuracy(zero) < 0.9 and accuracy(found) > accuracy(zero) + 0.03
    assert len(zero.history) == 1 and zero.history[0].steps == 0
    assert [r.steps for r in found.history] == [5, 9, 18, 28, 0]
    first = found.history[0]
    np.testing.assert_array_equal(first.labels, zero.history[0].labels)
    np.testing.assert_array_equal(first.labels, zero.predict_scores(POOL).argmax(1))
    p = torch.softmax(torch.from_numpy(zero.predict_scores(POOL)), 1).numpy()
    np.testing.assert_allclose(first.confidence, p.max(1), rtol=1e-5)
    assert first.entropy == pytest.approx(-(p * np.log(p)).sum(1).mean(), rel=1e-4)
    assert first.class_counts.tolist() == np.bincount(first.labels, minlength=L).tolist()
    assert first.selected_counts.tolist() == [3] * L and len(first.selected) == 12
    assert found.history[3].selected_counts.max() <= 18
    assert np.isfinite(first.loss) and np.isnan(first.t2g) and np.isnan(found.history[-1].loss)


def test_a_seed_fixes_every_number(bank):
    runs = [self_train(bank, PROMPTS, POOL, seed=s, settings=QUICK) for s in (3, 3, 4)]
    scores = [run.predict_scores(TEST) for run in runs]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert [r.loss for r in runs[0].history[:-1]] == [r.loss for r in runs[1].history[:-1]]
    assert np.abs(scores[0] - scores[2]).max() > 0


def test_a_loss_of_one_step_is_the_equation(bank):
    # one text: the batch is that text three times for the only pseudo label there is
    options = replace(QUICK, steps=1, tau=0.3, prompts="mean")
    found = self_train(bank, PROMPTS, POOL[:1], seed=0, settings=options)
    x = bank.encoder.vector(POOL[0])
    names = unit(np.array([[bank.encoder.vector(p) for p in row] for row in PROMPTS]).mean(1))
    cosine = names @ x
    q, p = (np.exp(10 * cosine / t) / np.exp(10 * cosine / t).sum() for t in (0.3, 1.0))
    assert found.history[0].loss == pytest.approx(-(q * np.log(p)).sum(), rel=1e-4)
    official = replace(options, convention="official")
    q, p = (np.exp(cosine / t) / np.exp(cosine / t).sum() for t in (0.3, 1.0))
    for targets in ("current", "frozen"):
        run = self_train(bank, PROMPTS, POOL[:1], seed=0, settings=replace(official, targets=targets))
        assert run.history[0].loss == pytest.approx(-(q * np.log(p)).sum(), rel=1e-2)
        # plain dot products confide as a cosine at scale 1 does
        assert run.history[0].confidence[0] == pytest.approx(p.max(), rel=1e-2)


def test_three_steps_are_three_steps_of_adamw_with_linear_decay(bank):
    options = replace(QUICK, steps=3, tau=0.5, weight_decay=0.1)
    found = self_train(bank, [row[:1] for row in PROMPTS], POOL[:1], seed=0, settings=options)
    z = torch.from_numpy(np.array([bank.encoder.vector(t) for t in [POOL[0], *(row[0] for row in PROMPTS)]]))
    weight = torch.eye(DIM, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.AdamW([weight], lr=1.0, eps=1e-6, weight_decay=0.1)
    for step in range(3):
        out = torch.nn.functional.normalize(z @ weight.T, dim=1)
        logits = 10 * out[:1] @ out[1:].T
        q = torch.softmax(logits / 0.5, 1).detach()
        loss = torch.nn.functional.cross_entropy(logits, q)
        optimiser.param_groups[0]["lr"] = 6e-3 * (1 - step / 3)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    np.testing.assert_allclose(found.learner.weight.detach(), weight.detach(), atol=2e-5)


def test_variants_of_a_seed_draw_the_same_texts_and_prompts():
    drawn = []
    for options in ({}, {"augmented": [["0 1"]] * len(POOL)}, {"generator": Writer(TRUE)}):
        bank = RecordingBank(ToyEncoder())
        once = replace(QUICK, K=int("augmented" in options), steps=5, schedule=((0.0, 1.0),))
        self_train(bank, PROMPTS, POOL, seed=0, settings=once, **options)
        steps = [ids for ids in bank.read if 4 * L <= len(ids) <= 10 * L]
        texts = [ids[:12] if len(ids) < 10 * L else ids[-12:] for ids in steps]
        drawn.append([[bank.texts[i] for i in now] for now in texts])
        drawn[-1] += [[bank.texts[i] for i in ids[12:16]] for ids in steps]
    assert len(drawn[0]) == 10
    # augmentation changes the pseudo labels, so only the generator's variant has the same groups
    assert drawn[0] == drawn[2] and drawn[0][5:] == drawn[1][5:]


def test_the_official_convention_reads_unnormalised_vectors(bank):
    run = self_train(bank, PROMPTS, POOL, seed=0, settings=replace(QUICK, convention="official"))
    weight = run.learner.weight.detach().numpy()
    x = bank.embed(bank.add(TEST)) @ weight.T
    names = np.array([(bank.embed(ids) @ weight.T).mean(0) for ids in run.prompt_ids])
    np.testing.assert_allclose(run.predict_scores(TEST), x @ names.T, atol=1e-5)


def test_tau_1_with_a_detached_q_learns_nothing(bank):
    options = replace(QUICK, tau=1.0, weight_decay=0.0, eps=1.0)  # eps: AdamW would scale rounding up
    found = self_train(bank, PROMPTS, POOL, seed=0, settings=options)
    np.testing.assert_allclose(found.learner.weight.detach(), np.eye(DIM), atol=1e-6)
    moved = self_train(bank, PROMPTS, POOL, seed=0, settings=replace(options, detach=False))
    assert np.abs(moved.learner.weight.detach().numpy() - np.eye(DIM)).max() > 1e-5


def test_one_prompt_a_step_and_their_mean_are_different_runs_of_the_same_quality(bank):
    runs = [
        self_train(bank, PROMPTS, POOL, seed=0, settings=replace(QUICK, prompts=p)) for p in ("one", "mean")
    ]
    assert np.abs(runs[0].predict_scores(TEST) - runs[1].predict_scores(TEST)).max() > 1e-3
    assert abs(accuracy(runs[0]) - accuracy(runs[1])) < 0.03


# ---- augmentation


def test_input_augmentation_reads_the_mean_of_the_joined_texts(bank):
    augmented = [[f"{y} {9000 + i}", ""] if i % 3 else [] for i, y in enumerate(TRUE)]
    found = self_train(
        bank, PROMPTS, POOL, seed=0, settings=replace(QUICK, steps=0, K=2), augmented=augmented
    )
    names = unit(np.array([[bank.encoder.vector(p) for p in row] for row in PROMPTS]).mean(1))
    for i in (0, 1, 5):
        views = [f"{POOL[i]} {more}".strip() for more in augmented[i]] or [POOL[i]]
        mean = unit(np.mean([bank.encoder.vector(v) for v in views], axis=0))
        np.testing.assert_allclose(
            found.predict_scores(POOL[i : i + 1], augmented[i : i + 1])[0], 10 * names @ mean, atol=1e-4
        )
        assert found.history[0].labels[i] == (names @ mean).argmax()


def test_augmentation_improves_the_pseudo_labels_and_k_0_turns_it_off(bank):
    writer = Writer(TRUE)
    plain = self_train(bank, PROMPTS, POOL, seed=0, settings=QUICK)
    off = self_train(bank, PROMPTS, POOL, seed=0, settings=replace(QUICK, K=0, M=0), generator=writer)
    np.testing.assert_array_equal(off.predict_scores(TEST), plain.predict_scores(TEST))
    assert not writer.asked
    found = self_train(bank, PROMPTS, POOL, seed=0, settings=replace(QUICK, M=0), generator=writer)
    assert len(writer.asked) == 1 and writer.asked[0][1] is None
    right = [np.mean(run.history[0].labels == TRUE) for run in (plain, found)]
    assert right[1] > right[0]
    assert np.isfinite(found.history[0].t2g)
    given_by_hand = writer.generate(range(len(POOL)), None, 3, seed=0)
    same = self_train(bank, PROMPTS, POOL, seed=0, settings=QUICK, augmented=given_by_hand)
    np.testing.assert_array_equal(same.predict_scores(TEST), found.predict_scores(TEST))


def test_conditional_texts_are_written_for_trained_pairs_once(bank):
    writer, cache = Writer(TRUE), {}
    options = replace(QUICK, K=0)
    found = self_train(bank, PROMPTS, POOL, seed=0, settings=options, generator=writer, generated=cache)
    asked = [pair for rows, labels in writer.asked for pair in zip(rows, labels)]
    assert len(asked) == len(set(asked)) == len(cache) == sum(r.generated for r in found.history)
    for now, (rows, labels) in zip(found.history, writer.asked):
        assert set(rows) <= set(now.selected.tolist())
        assert now.labels[rows].tolist() == labels
    assert all(len(texts) == 3 for texts in cache.values())
    again = self_train(bank, PROMPTS, POOL, seed=0, settings=options, generator=writer, generated=cache)
    assert sum(r.generated for r in again.history) == 0
    np.testing.assert_array_equal(again.predict_scores(TEST), found.predict_scores(TEST))
    assert not writer.updates
    told = replace(options, update_generator=True)
    self_train(bank, PROMPTS, POOL, seed=0, settings=told, generator=writer, generated=cache)
    assert [u.shape for u in writer.updates] == [(len(POOL), L)] * 4


@pytest.mark.parametrize(("keep", "least", "most"), [(None, 0.35, 0.65), (1, 0.95, 1.0)])
def test_the_official_filter_keeps_the_texts_that_are_read_as_their_label(keep, least, most):
    bank = RecordingBank(ToyEncoder())
    options = replace(QUICK, K=0, M=4, keep=keep, steps=20, schedule=((0.0, 0.1),))
    writer = Writer(TRUE, right=0.5)  # texts 0 and 1 of 4 are of the wanted class
    self_train(bank, PROMPTS, POOL, seed=0, generator=writer, settings=options)
    steps = [ids[: 3 * L] for ids in bank.read if len(ids) == (3 + 1 + 3 + 3) * L]
    assert len(steps) == 20
    numbers = [int(bank.texts[i].split()[1]) % 10 for ids in steps for i in ids]
    assert least <= np.mean([number < 2 for number in numbers]) <= most


def test_positives_are_the_partners_of_eq_3_10(bank):
    positives = [[f"{y} {7000 + i}"] for i, y in enumerate(TRUE)]
    positives[0] = []
    found = self_train(bank, PROMPTS, POOL, seed=0, settings=QUICK, positives=positives)
    assert np.isfinite(found.history[0].t2g)
    without = replace(QUICK, contrastive_weight=0.0)
    off = self_train(bank, PROMPTS, POOL, seed=0, settings=without, positives=positives)
    plain = self_train(bank, PROMPTS, POOL, seed=0, settings=QUICK)
    np.testing.assert_array_equal(off.predict_scores(TEST), plain.predict_scores(TEST))
    printed = replace(QUICK, contrastive_form="thesis")
    other = self_train(bank, PROMPTS, POOL, seed=0, settings=printed, positives=positives)
    assert other.history[0].t2g > found.history[0].t2g  # its denominator holds each text with itself


def test_the_neighbour_mean_is_that_of_the_frozen_nearest(bank):
    found = self_train(bank, PROMPTS, POOL, seed=0, settings=replace(QUICK, steps=0, neighbour_mean=3))
    z = bank.embed(found.pool_ids)
    cosine = z @ z.T - 9 * np.eye(len(z))
    near = np.argsort(-cosine, axis=1)[:, :3]
    mean = unit(z + z[near].sum(1))
    wanted = 10 * mean @ found.label_vectors().T
    np.testing.assert_array_equal(found.history[0].labels, wanted.argmax(1))
    np.testing.assert_allclose(found.predict_scores(POOL, neighbour_mean=3), wanted, atol=1e-4)
    new = bank.add(["2 77777"])
    close = nearest(bank, new, found.pool_ids, 5)[0]
    scores = bank.embed(found.pool_ids) @ bank.embed(new)[0]
    assert set(close) == set(found.pool_ids[np.argsort(-scores)[:5]])
    assert nearest(bank, new, found.pool_ids[:2], 9).shape == (1, 2)


# ---- edges


def test_small_and_odd_inputs_are_defined(bank):
    alone = self_train(bank, PROMPTS, ["1 1"], seed=0, settings=replace(QUICK, neighbour_mean=4))
    assert alone.predict_scores(TEST).shape == (200, L) and alone.history[0].selected.tolist() == [0]
    fewer = self_train(bank, PROMPTS, ["1 1", "2 2"], seed=0, settings=QUICK)
    assert fewer.history[0].selected_counts.sum() <= 2
    same = self_train(bank, PROMPTS, ["1 1"] * 5, seed=0, settings=QUICK)
    assert len(set(same.history[-1].labels)) == 1
    one = self_train(bank, PROMPTS[:1], POOL, seed=0, settings=QUICK)
    assert one.history[0].confidence.tolist() == [1.0] * len(POOL)
    assert one.history[0].loss == 0 and not one.predict_scores(TEST).argmax(1).any()
    twice = self_train(bank, [PROMPTS[0], PROMPTS[0], PROMPTS[1]], POOL, seed=0, settings=QUICK)
    assert np.isfinite(twice.predict_scores(TEST)).all()
    uneven = self_train(bank, [PROMPTS[0][:1], PROMPTS[1], PROMPTS[2] * 2], POOL, seed=0, settings=QUICK)
    assert uneven.predict_scores(TEST).shape == (200, 3)
    assert alone.predict_scores([]).shape == (0, L)


def test_a_class_that_nothing_is_labelled_with_is_only_a_rival(bank):
    only = [text for text, y in zip(POOL, TRUE) if y in (0, 1)]
    found = self_train(bank, PROMPTS, only, seed=0, settings=QUICK)
    empty = found.history[0].class_counts == 0
    assert found.history[0].selected_counts[empty].sum() == 0
    assert np.isfinite([r.loss for r in found.history[:-1]]).all()


def test_a_loss_that_is_no_number_stops_with_what_to_do(bank):
    with pytest.raises(TrainingDiverged, match="finite"):
        self_train(bank, PROMPTS, POOL, seed=0, settings=replace(QUICK, learning_rate=1e38))
    bad = EmbeddingBank(ToyEncoder())
    bad.encoder.vector = lambda text: np.full(DIM, np.nan)
    with pytest.raises(TrainingDiverged, match="240 pool texts have no finite score"):
        self_train(bad, PROMPTS, POOL, seed=0, settings=QUICK)


def test_wrong_inputs_say_what_was_expected(bank):
    with pytest.raises(ValueError, match="pool has no texts"):
        self_train(bank, PROMPTS, [], seed=0)
    with pytest.raises(ValueError, match="label without a prompt"):
        self_train(bank, [["a"], []], POOL, seed=0)
    with pytest.raises(TypeError, match="a list of prompts per label"):
        self_train(bank, ["a", "b"], POOL, seed=0)
    with pytest.raises(ValueError, match="augmented has 1 rows for 240"):
        self_train(bank, PROMPTS, POOL, seed=0, augmented=[["a"]])
    with pytest.raises(ValueError, match="expected one of them"):
        Views(bank, bank.add(POOL), [[]] * 240, 3, bank.add(POOL))


@pytest.mark.parametrize(
    "wrong",
    [
        {"selection": "best"}, {"convention": "paper"}, {"targets": "lag"}, {"tau": -1}, {"scale": 0},
        {"steps": -1}, {"keep": 0}, {"keep": 4}, {"schedule": ((0.1, 0.2),)}, {"schedule": ((0.0, 0.0),)},
        {"schedule": ((0.0, 0.1), (0.0, 0.2))}, {"learning_rate": 0.0}, {"per_class_batch": 0},
    ],
)  # fmt: skip
def test_settings_refuse_what_makes_no_sense(wrong):
    with pytest.raises(ValueError, match="expected"):
        SelfTrainSettings(**wrong)
