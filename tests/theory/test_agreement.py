"""Pairs against a brute-force loop; exact chances against projections that are really drawn."""

import numpy as np
import pytest
from scipy import sparse

from msig_lib.theory import agreement as ag
from msig_lib.theory import checks


def world(seed=0):
    rng = np.random.default_rng(seed)
    phi = np.abs(rng.standard_normal((6, 30))) * (rng.random((6, 30)) < 0.4)
    weights = rng.standard_normal((10, 30)) * (rng.random((10, 30)) < 0.5)
    return phi, weights, [[int(k)] for k in rng.integers(0, 10, 6)]


def test_pairs_against_a_loop():
    phi, weights, positives = world()
    pairs, v = ag.ranked_pairs(
        sparse.csr_array(phi), weights, positives, keywords=4, negatives=99, rng=np.random.default_rng(0)
    )
    unit = phi / np.linalg.norm(phi, axis=1, keepdims=True)
    w = weights / np.linalg.norm(weights, axis=1).max()
    kept = v.toarray()
    found = set()
    for i, (p,) in enumerate(positives):
        found |= {(i, p, n) for n in range(10) if n != p and unit[i] @ w[n] < unit[i] @ w[p]}
    assert found == set(zip(pairs.document, pairs.positive, pairs.negative))
    for k, (i, p, n) in enumerate(zip(pairs.document, pairs.positive, pairs.negative)):
        gap = kept[p] - kept[n]
        assert pairs.margin[k] == pytest.approx(unit[i] @ (w[p] - w[n]))
        assert pairs.kept[k] == pytest.approx(unit[i] @ gap, abs=1e-12)
        assert pairs.length[k] == pytest.approx(np.linalg.norm(gap))
        assert pairs.cosine[k] == pytest.approx(unit[i] @ gap / np.linalg.norm(gap), abs=1e-9)
        lost = [unit[i] @ (w[one] - kept[one]) for one in (p, n)]
        assert pairs.delta[k] == pytest.approx(max(*lost, 0), abs=1e-12)


@pytest.mark.parametrize("kind", ["gaussian", "sklearn-gaussian"])
def test_drawn_projections_agree_with_the_exact_law(kind):
    phi, weights, positives = world(1)
    pairs, v = ag.ranked_pairs(phi, weights, positives, keywords=4, negatives=9, rng=np.random.default_rng(0))
    drawn = ag.projected_errors(phi, v, pairs, 8, kind=kind, draws=600, seed=1)
    exact = ag.exact_errors(pairs, 8)
    assert np.abs(drawn - exact).max() < 5 * 0.5 / np.sqrt(600)
    assert drawn.mean() == pytest.approx(exact.mean(), abs=0.02)


def test_bound_is_above_exact_where_it_applies():
    phi, weights, positives = world(2)
    pairs, _ = ag.ranked_pairs(
        phi, np.abs(weights), positives, keywords=9, negatives=9, rng=np.random.default_rng(0)
    )
    for d in (8, 512, 4096):
        assert np.all(ag.exact_errors(pairs, d) <= ag.bound_errors(pairs, d, "non-negative") + 1e-12)


def test_cosines_of_other_vectors_and_kept_positives():
    phi, weights, positives = world(3)
    pairs, v = ag.ranked_pairs(phi, weights, positives, keywords=4, negatives=9, rng=np.random.default_rng(0))
    np.testing.assert_allclose(ag.pair_cosines(phi, v, pairs), pairs.cosine, atol=1e-12)
    wrong = pairs.cosine <= 0
    kept = {
        (i, p): not wrong[(pairs.document == i) & (pairs.positive == p)].any()
        for i, p in sorted(set(zip(pairs.document, pairs.positive)))
    }
    np.testing.assert_array_equal(ag.kept_positives(pairs, wrong), list(kept.values()))


def test_explained_is_the_area_under_the_curve():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    chance, wrong = rng.random(200).round(1), rng.random(200) < 0.3
    assert ag.explained(chance, wrong) == pytest.approx(roc_auc_score(wrong, chance))
    assert np.isnan(ag.explained(chance, np.zeros(200, dtype=bool)))


def test_mistakes_are_explained():
    phi, weights, positives = world()
    with pytest.raises(checks.TheoryError, match="weights are zero"):
        ag.ranked_pairs(phi, 0 * weights, positives, keywords=2, negatives=2, rng=np.random.default_rng(0))
    pairs, v = ag.ranked_pairs(phi, weights, positives, keywords=2, negatives=2, rng=np.random.default_rng(0))
    with pytest.raises(checks.TheoryError, match="unknown kind"):
        ag.projected_errors(phi, v, pairs, 4, kind="bert", draws=1, seed=0)
