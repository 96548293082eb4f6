"""Two-sample detectors against double sums, least squares and ruptures; toy changes; what they refuse."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import ruptures as rpt

from msig_lib.changepoint import kernels
from msig_lib.changepoint.kernels import DensityRatioSettings, MMDSettings


def toy(shape=(3, 40, 2, 2), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def changed(at=30, seed=1):
    """Four series of 60 frames: two whose mean changes, two whose spread does."""
    x = toy((4, 60, 3, 2), seed)
    x[:2, at:] += 2.0
    x[2:, at:] *= 6.0
    return x


def znorm_by_hand(x):
    z = x.astype(np.float64).reshape(len(x), x.shape[1], -1)
    return (z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True)


def median_by_hand(z):
    return np.median([np.linalg.norm(z[i] - z[j]) for i in range(len(z)) for j in range(i)])


CALLS = {
    "mmd": lambda X: kernels.mmd(X, MMDSettings(window=10)),
    "mmd of blocks": lambda X: kernels.mmd(X, MMDSettings(window=10, blocks=2)),
    "density ratio": lambda X: kernels.relative_density_ratio(X, DensityRatioSettings(window=10)),
    "density ratio of two": lambda X: kernels.relative_density_ratio(
        X, DensityRatioSettings(window=12, stacked=2)
    ),
    "rbf": kernels.ruptures_gain,
    "normal": lambda X: kernels.ruptures_gain(X, cost="normal"),
    "l2": lambda X: kernels.ruptures_gain(X, cost="l2"),
}


@pytest.mark.parametrize("blocks", [1, 3])
def test_mmd_is_the_double_sum(blocks):
    x, w = toy(), 6
    scores = kernels.mmd(x, MMDSettings(window=w, blocks=blocks))
    z = znorm_by_hand(x)
    for s in range(3):
        h = median_by_hand(z[s])

        def k(a, b, h=h):
            return np.exp(-((a - b) ** 2).sum() / (2 * h**2))

        for t in (w, 2 * w, 3 * w + 1, 40 - w):
            after, values = z[s, t : t + w], []
            for back in range(w, blocks * w + 1, w):
                if t < back:
                    continue
                before = z[s, t - back : t - back + w]
                inner = sum(
                    k(b[i], b[j]) for b in (before, after) for i in range(w) for j in range(w) if i != j
                )
                cross = sum(k(a, b) for a in before for b in after)
                values.append(inner / (w * (w - 1)) - 2 * cross / w**2)
            assert scores[s, t] == pytest.approx(np.mean(values), abs=1e-12)
    lowest = scores.min(axis=1, keepdims=True)
    assert (scores[:, :w] == lowest).all() and (scores[:, 40 - w + 1 :] == lowest).all()


def test_series_in_several_chunks_score_as_in_one(monkeypatch):
    x = changed()
    whole = [call(x) for call in CALLS.values()]
    monkeypatch.setattr(kernels, "HELD", 60**2)
    for call, scores in zip(CALLS.values(), whole):
        np.testing.assert_allclose(call(x), scores, rtol=1e-12, atol=1e-14)


def test_mmd_is_unbiased():
    """Over many series without a change its mean is 0, as that of a biased estimate is not."""
    x = toy((400, 24, 1, 2), seed=3)
    at = kernels.mmd(x, MMDSettings(window=12))[:, 12]
    assert abs(at.mean()) < 4 * at.std() / 20


@pytest.mark.parametrize(("stacked", "alpha", "width"), [(1, 0.1, 1.0), (3, 0.0, 0.7), (2, 0.5, 1.3)])
def test_relative_density_ratio_is_least_squares(stacked, alpha, width):
    """An independent fit: the ratio's squared loss as rows of one least-squares problem."""
    x, w, ridge = toy(seed=4), 9, 0.05
    given = DensityRatioSettings(window=w, stacked=stacked, alpha=alpha, width=width, ridge=ridge)
    scores = kernels.relative_density_ratio(x, given)
    z = znorm_by_hand(x)
    n = w - stacked + 1
    for s, t in ((0, w), (1, 20), (2, 40 - w)):
        h = median_by_hand(z[s]) * width * np.sqrt(stacked)
        sides = [[z[s, start + i : start + i + stacked].ravel() for i in range(n)] for start in (t - w, t)]
        total = 0.0
        for p, q in (sides, sides[::-1]):
            basis = [
                np.array([[np.exp(-((y - c) ** 2).sum() / (2 * h**2)) for c in p] for y in side])
                for side in (p, q)
            ]
            # alpha/2 E_p g^2 + (1 - alpha)/2 E_q g^2 + ridge/2 |theta|^2 - mean_p g, completed to a square.
            A = np.vstack(
                [
                    np.sqrt(alpha / n) * basis[0],
                    np.sqrt((1 - alpha) / n) * basis[1],
                    np.sqrt(ridge) * np.eye(n),
                ]
            )
            goal = np.linalg.lstsq(A.T, basis[0].mean(axis=0))[0]
            theta = np.linalg.lstsq(A, goal)[0]
            g = [b @ theta for b in basis]
            total += g[0].mean() - alpha / 2 * (g[0] ** 2).mean() - (1 - alpha) / 2 * (g[1] ** 2).mean() - 0.5
        assert scores[s, t] == pytest.approx(total, abs=1e-9)


def test_choice_is_the_least_held_out_loss():
    x = changed()
    base = DensityRatioSettings(window=10)
    only = kernels.choose_density_ratio(x, base, seed=0, widths=(0.7,), ridges=(0.3,))
    assert (only.width, only.ridge) == (0.7, 0.3)
    picked = kernels.choose_density_ratio(x, base, seed=0, ridges=(1e-1, 1e6))
    assert picked.ridge == 1e-1  # a ridge of 1e6 leaves no ratio: its loss is 0, a useful ratio's is negative
    assert picked == kernels.choose_density_ratio(x, base, seed=0, ridges=(1e6, 1e-1))
    assert picked.window == 10 and picked.alpha == base.alpha
    narrow = kernels.choose_density_ratio(
        toy((20, 40, 2, 2)), base, seed=0, widths=(0.01, 1.0), ridges=(0.1,)
    )
    assert narrow.width == 1.0  # a kernel that sees only its centre says nothing of samples left out


def test_ruptures_gain_is_the_cost_by_hand():
    x = toy(seed=6)
    z = znorm_by_hand(x)[1]
    squared = ((z[:, None] - z[None]) ** 2).sum(axis=2)
    gram = np.exp(-np.clip(squared / np.median(squared[np.triu_indices(40, 1)]), 1e-2, 1e2))
    np.fill_diagonal(gram, 1.0)

    def rbf(a, b):
        return b - a - gram[a:b, a:b].sum() / (b - a)

    def normal(a, b):
        return (b - a) * np.linalg.slogdet(np.cov(z[a:b].T) + 1e-6 * np.eye(4))[1]

    for cost, by_hand, least in (("rbf", rbf, 5), ("normal", normal, 9)):
        scores = kernels.ruptures_gain(x, cost=cost)[1]
        expected = [by_hand(0, 40) - by_hand(0, t) - by_hand(t, 40) for t in range(least, 40 - least + 1)]
        np.testing.assert_allclose(scores[least : 40 - least + 1], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("search", [rpt.Dynp, rpt.Binseg])
@pytest.mark.parametrize("cost", ["rbf", "l2"])
def test_ruptures_gain_is_largest_where_ruptures_splits(search, cost):
    x = toy((6, 40, 2, 2), seed=8)
    z = znorm_by_hand(x)
    found = kernels.ruptures_gain(x, cost=cost, min_size=5).argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact = [search(model=cost, min_size=5, jump=1).fit(signal).predict(n_bkps=1)[0] for signal in z]
    np.testing.assert_array_equal(found, exact)


@pytest.mark.parametrize("name", CALLS)
def test_obvious_changes_are_found_and_runs_repeat(name):
    x = changed()
    scores = CALLS[name](x)
    assert scores.shape == (4, 60) and scores.dtype == np.float64 and np.isfinite(scores).all()
    sees = slice(0, 2) if name in ("l2",) else slice(0, 4)
    assert (np.abs(scores[sees].argmax(axis=1) - 30) <= 3).all()
    np.testing.assert_array_equal(scores, CALLS[name](x.copy()))
    np.testing.assert_allclose(scores[1:], CALLS[name](x[1:]), rtol=1e-9, atol=1e-12)  # series do not mix
    np.testing.assert_allclose(scores, CALLS[name](5 * x + 3), rtol=2e-3, atol=2e-4 * np.ptp(scores))


@pytest.mark.parametrize("name", CALLS)
def test_constant_series_have_flat_scores(name):
    x = changed()
    x[1] = 4.0
    x[2, :, 0, 0] = -1.0  # one constant channel among others
    scores = CALLS[name](x)
    assert np.isfinite(scores).all()
    assert np.ptp(scores[1]) < 1e-6 or name == "normal"  # the covariance's ridge weighs more in short sides


def test_pad_from_training_series_scores_every_frame():
    x, train = changed(at=4), toy((5, 50, 3, 2), seed=9)
    for call, given in (
        (kernels.mmd, MMDSettings(window=10, blocks=2, pad="train")),
        (kernels.relative_density_ratio, DensityRatioSettings(window=10, pad="train")),
    ):
        padded = call(x, given, train=train, seed=2)
        without = call(x, replace(given, pad="none"))
        np.testing.assert_array_equal(padded, call(x, given, train=train, seed=2))
        assert (padded != call(x, given, train=train, seed=3)).any()
        inner = slice(20, 51)  # windows that hold no padded frame
        np.testing.assert_allclose(padded[:, inner], without[:, inner], rtol=1e-9, atol=1e-12)
        assert len(np.unique(padded[0])) == 60
        assert (without[:, :10] == without.min(axis=1, keepdims=True)).all()
        with pytest.raises(ValueError, match="no training series"):
            call(x, given)
        with pytest.raises(ValueError, match="train has shape"):
            call(x, given, train=train[:, :8])
        short = call(x[:, :12], given, train=train)  # shorter than two windows
        assert short.shape == (4, 12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X: kernels.mmd(X[0]), "expected \\(series, frames"),
        (lambda X: kernels.mmd(X, MMDSettings(window=1)), "window 1"),
        (lambda X: kernels.mmd(X, MMDSettings(window=21)), "needs 42 frames"),
        (lambda X: kernels.mmd(X, MMDSettings(blocks=0)), "blocks 0"),
        (lambda X: kernels.mmd(X, MMDSettings(pad="test")), "pad is 'test'"),
        (lambda X: kernels.relative_density_ratio(X, DensityRatioSettings(stacked=5)), "stacked is 5"),
        (lambda X: kernels.relative_density_ratio(X, DensityRatioSettings(alpha=1.0)), "alpha 1.0"),
        (lambda X: kernels.relative_density_ratio(X, DensityRatioSettings(ridge=0.0)), "ridge 0.0"),
        (lambda X: kernels.choose_density_ratio(X, seed=0, folds=6), "folds 6"),
        (lambda X: kernels.choose_density_ratio(X, seed=0, widths=()), "widths"),
        (lambda X: kernels.ruptures_gain(X, cost="cosine"), "cost is 'cosine'"),
        (lambda X: kernels.ruptures_gain(X, min_size=21), "min_size is 21"),
        (lambda X: kernels.ruptures_gain(np.tile(X, (1, 1, 5, 1)), cost="normal"), "another cost"),
        (lambda X: kernels.znormed(X + np.inf), "not finite"),
    ],
)
def test_mistakes_are_told(call, message):
    with pytest.raises(ValueError, match=message):
        call(toy())
