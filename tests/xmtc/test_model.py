import math

import numpy as np
import pytest
import torch

from msig_lib.xmtc.model import (
    DualEncoder,
    JointModel,
    LabelClassifier,
    Pooler,
    binary_cross_entropy,
    joint_cross_entropy,
    log_average,
    score,
    score_blocks,
)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_untrained_dual_encoder_is_the_scaled_cosine():
    x, z = numbers(5, 8), numbers(7, 8, seed=1)
    expected = 20 * unit(x.numpy()) @ unit(z.numpy()).T - 10
    np.testing.assert_allclose(DualEncoder(8)(x, z).detach(), expected, atol=1e-5)


def test_dual_encoder_equals_pooling_first():
    model, x, z = DualEncoder(8), numbers(5, 8), numbers(7, 8, seed=1)
    with torch.no_grad():
        for i, value in enumerate(model.parameters()):
            value += 0.3 * numbers(1, *value.shape, seed=i + 5)[0]
    expected = model.scale * model.document(x) @ model.label(z).T + model.bias
    torch.testing.assert_close(model(x, z), expected)
    np.testing.assert_allclose(Pooler(8)(x).norm(dim=1).detach(), 1, atol=1e-6)


def test_untrained_classifier_gives_every_label_the_prior():
    logits = LabelClassifier(8, 4)(numbers(3, 8))
    assert logits.shape == (3, 4) and torch.all(logits == -6)


def test_joint_shares_its_document_pooler_and_matches_its_halves():
    model = JointModel(DualEncoder(8), LabelClassifier(8, 6))
    assert model.classifier.document is model.retriever.document
    with torch.no_grad():
        model.classifier.weight += numbers(6, 8, seed=2)
        model.retriever.document.weight += 0.2 * numbers(8, 8, seed=3)
    x, z, subset = numbers(3, 8), numbers(6, 8, seed=4), torch.tensor([4, 1])
    dual, cls = model(x, z[subset], subset)
    torch.testing.assert_close(dual, model.retriever(x, z[subset]))
    torch.testing.assert_close(cls, model.classifier(x, subset))


def brute_force(logits, targets, positive, negative):
    total = 0.0
    for row, wanted in zip(logits.tolist(), targets.tolist()):
        total += sum(positive(f) if y else negative(f) for f, y in zip(row, wanted))
    return total / len(logits)


def sigmoid(f):
    return 1 / (1 + math.exp(-f))


@pytest.mark.parametrize(
    "loss, negative",
    [
        ("corrected", lambda f: -math.log(1 - sigmoid(f))),
        ("thesis", lambda f: -math.log(sigmoid(1 - f))),
    ],
)
def test_loss_against_a_loop(loss, negative):
    logits, targets = 3 * numbers(4, 6), (numbers(4, 6, seed=1) > 0.5).float()
    expected = brute_force(logits, targets, lambda f: -math.log(sigmoid(f)), negative)
    assert float(binary_cross_entropy(logits, targets, loss=loss)) == pytest.approx(expected, rel=1e-5)


def test_printed_and_corrected_loss_at_zero():
    zero, negative = torch.zeros(1, 1), torch.zeros(1, 1)
    assert float(binary_cross_entropy(zero, negative, loss="thesis")) == pytest.approx(0.3133, abs=1e-4)
    assert float(binary_cross_entropy(zero, negative)) == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("loss", ["corrected", "thesis"])
def test_joint_loss_against_a_loop(loss):
    a, b, targets = 2 * numbers(4, 6), 2 * numbers(4, 6, seed=1), (numbers(4, 6, seed=2) > 0).float()
    p = (torch.sigmoid(a.double()) + torch.sigmoid(b.double())) / 2
    if loss == "corrected":
        expected = brute_force(p, targets, lambda f: -math.log(f), lambda f: -math.log(1 - f))
    else:
        expected = brute_force(
            p, targets, lambda f: -math.log(sigmoid(f)), lambda f: -math.log(sigmoid(1 - f))
        )
    assert float(joint_cross_entropy(a, b, targets, loss=loss)) == pytest.approx(expected, rel=1e-5)


def test_average_probability_survives_extreme_logits():
    a, b = torch.tensor([[-200.0, 200.0]]), torch.tensor([[-300.0, 300.0]])
    yes, no = log_average(a, b)
    np.testing.assert_allclose(yes[0], [-200 - math.log(2), 0], atol=1e-4)
    np.testing.assert_allclose(no[0], [0, -200 - math.log(2)], atol=1e-4)
    logits = a.clone().requires_grad_()
    joint_cross_entropy(logits, b, torch.tensor([[1.0, 0.0]])).backward()
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().min() > 0.1


def test_unknown_loss():
    with pytest.raises(ValueError, match="'corrected' or 'thesis'"):
        binary_cross_entropy(torch.zeros(1, 1), torch.zeros(1, 1), loss="hinge")


def test_joint_score_ranks_by_the_average_probability():
    model = JointModel(DualEncoder(8), LabelClassifier(8, 9))
    with torch.no_grad():
        model.classifier.weight += numbers(9, 8, seed=2)
    x, z = numbers(5, 8).numpy(), numbers(9, 8, seed=4).numpy()
    dual, cls = (half.detach() for half in model(torch.tensor(x), torch.tensor(z)))
    average = (dual.sigmoid() + cls.sigmoid()) / 2
    np.testing.assert_allclose(torch.tensor(score(model, x, z)).sigmoid(), average, atol=1e-6)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_blocks_do_not_change_scores(n):
    model, x, z = DualEncoder(8), numbers(n, 8).numpy(), numbers(4, 8, seed=1).numpy()
    blocks = list(score_blocks(model, x, z, block=2))
    assert score(model, x, z).shape == (n, 4)
    np.testing.assert_allclose(np.concatenate(blocks), score(model, x, z), atol=1e-5)


def test_label_texts_are_needed():
    with pytest.raises(ValueError, match="pass labels"):
        score(DualEncoder(8), np.zeros((1, 8), np.float32))
