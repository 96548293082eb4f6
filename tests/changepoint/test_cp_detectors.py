"""Training-free detectors: against plain loops and other libraries, where they peak, and what they refuse."""

import numpy as np
import pytest
import ruptures as rpt
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.covariance import graphical_lasso

from msig_lib.changepoint import correlation_detectors as correlation
from msig_lib.changepoint import detectors
from msig_lib.changepoint.springs import CHANGES, observe, simulate

PAIR = 12  # frames a side in the windows of the calls below
MOTION = {
    "second_difference": detectors.second_difference,
    "third_difference": detectors.third_difference,
    "kinematic_residual": detectors.kinematic_residual,
    "local_fit": lambda X: detectors.local_fit(X, window=5),
    "motion_fit": lambda X: detectors.motion_fit(X, window=PAIR),
    "spring_evidence": lambda X: correlation.spring_evidence(X, window=PAIR),
}
OTHERS = {
    "cusum": detectors.cusum,
    "centre_bump": detectors.centre_bump,
    "always_frame": lambda X: detectors.always_frame(X, 20),
    "random": lambda X: detectors.random(X, seed=3),
    "correlation_distance": lambda X: correlation.correlation_distance(X, window=PAIR),
    "graphical_lasso_distance": lambda X: correlation.graphical_lasso_distance(X, window=PAIR, penalty=0.2),
    "spring_regression": correlation.spring_regression,
}
ALL = MOTION | OTHERS


@pytest.fixture(scope="module")
def springs():
    return {kind: simulate(kind, 30, seed=11) for kind in CHANGES}


def noise(shape=(3, 50, 4, 2), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("name", MOTION)
def test_peak_is_the_labelled_frame_without_noise(springs, name, kind):
    found = MOTION[name](springs[kind].X)[:, 25:76].argmax(axis=1) + 25
    off = found - springs[kind].change_time
    assert np.mean(off == 0) >= (0.7 if name in ("motion_fit", "spring_evidence") else 0.9)
    assert np.mean(np.abs(off) <= 1) >= 0.9


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("change", ["step", "bend"])
def test_difference_peaks_after_a_step_and_after_a_bend(order, change):
    order += order == 1 and change == "bend"  # a first difference does not see a bend
    t = np.arange(40.0)
    for at in (10, 17, 30):
        y = (t >= at) * (
            1.0 if change == "step" else t - (at - 1)
        )  # a bend at at - 1: `at` is the first that differs
        scores = detectors.difference(y[None, :, None, None], order)[0]
        assert scores.argmax() == at
        assert np.sort(scores)[-1] > 1.2 * np.sort(scores)[-2]


@pytest.mark.parametrize(("order", "power", "lean"), [(1, 1, 0.5), (2, 1, 0.5), (3, 2, 0.25), (4, 1, 0.0)])
def test_difference_is_its_formula(order, power, lean):
    x = noise().astype(np.float64)
    pascal = np.array(
        [(-1.0) ** k * np.prod([(order - i) / (i + 1) for i in range(k)]) for k in range(order + 1)]
    )

    def size(s, last):  # of the span that ends at frame `last`
        if last >= x.shape[1] or last - order < 0:
            return None
        return (np.abs(np.tensordot(pascal[::-1], x[s, last - order : last + 1], 1)) ** power).sum()

    got = detectors.difference(x, order, power=power, lean=lean)
    for s in range(len(x)):
        ends = {1: (0,), 2: (0, 1), 3: (1, 0), 4: (1, 2)}[order]  # of the full span and the other, after t
        expected = []
        for t in range(x.shape[1]):
            parts = [size(s, t + end) for end in ends]
            whole = None if None in parts else parts[0] + (lean * parts[1] if len(parts) > 1 else 0)
            expected.append(whole)
        low = min(value for value in expected if value is not None)
        np.testing.assert_allclose(
            got[s], [low if value is None else value for value in expected], rtol=1e-10
        )


def test_kinematic_residual_knows_the_time_between_frames(springs):
    assert detectors.frame_length(springs["speed"].X) == pytest.approx(0.1, rel=0.01)
    velocity = np.sin(np.arange(60)[None, :, None, None] / 5 + noise((2, 1, 3, 2), seed=1)).astype(np.float64)
    steps = 0.25 * (velocity[:, 1:] + velocity[:, :-1]) / 2
    location = np.concatenate([np.zeros_like(velocity[:, :1]), steps.cumsum(axis=1)], axis=1)
    X = np.concatenate([location, velocity], axis=-1)
    assert detectors.frame_length(X) == pytest.approx(0.25)
    X[:, 33:, 1, 0] += 0.5  # a kick of one location
    scores = detectors.kinematic_residual(X, dt=0.3)
    assert (scores.argmax(axis=1) == 33).all()
    missed = np.abs(np.diff(X[..., :2], axis=1) - 0.15 * (velocity[:, 1:] + velocity[:, :-1])).sum(
        axis=(2, 3)
    )
    missed = np.concatenate([missed.min(axis=1, keepdims=True), missed], axis=1)
    bends = detectors.second_difference(velocity)
    expected = sum(part / np.median(part, axis=1, keepdims=True) for part in (missed, bends))
    np.testing.assert_allclose(scores, expected, rtol=1e-9)


@pytest.mark.parametrize("coupled", [False, True])
def test_local_fit_is_two_least_squares_fits(coupled):
    x = (noise((2, 30, 2, 2)) + np.linspace(0, 5, 30)[None, :, None, None]).astype(np.float64)
    window, degree, jumps, dt = 6, 2, (0, 1), 0.3
    got = detectors.local_fit(x, window=window, degree=degree, jumps=jumps, coupled=coupled, dt=dt)
    tau = np.arange(-window, window) + 0.5
    for s in range(2):
        for t in (window, 14, 30 - window):
            total = 0.0
            part = x[s, t - window : t + window]
            for i in range(2):
                columns = [tau**p for p in range(degree + 1)] + [(tau > 0) * tau**p for p in jumps]
                channels = [part[:, i, m] for m in range(2)]
                if coupled:
                    slopes = [p * tau ** max(p - 1, 0) / dt for p in range(degree + 1)]
                    slopes += [(tau > 0) * p * tau ** max(p - 1, 0) / dt for p in jumps]
                    columns = [np.concatenate(pair) for pair in zip(columns, slopes)]
                    channels = [np.concatenate(channels)]
                A = np.stack(columns, axis=1)
                for y in channels:
                    rss = [np.linalg.lstsq(A[:, :k], y)[1][0] for k in (degree + 1, A.shape[1])]
                    total += np.log(rss[0] / rss[1])
            assert got[s, t] == pytest.approx(total, rel=1e-6)
    assert (got[:, :window] == got.min(axis=1, keepdims=True)).all()


def test_fits_outlast_differences_in_noise():
    seen = observe(simulate("location", 40, seed=2), noise=0.05, seed=3)
    right = {}
    for name, call in {"second": detectors.second_difference, "fit": detectors.motion_fit}.items():
        found = call(seen.X)[:, 25:76].argmax(axis=1) + 25
        right[name] = np.mean(np.abs(found - seen.change_time) <= 2)
    assert right["fit"] > 0.8 > right["second"] + 0.2


def test_cusum_is_the_gain_of_ruptures():
    x = noise()
    x[:, 23:] += 1.5
    scores = detectors.cusum(x)
    z = x.reshape(3, 50, -1).astype(np.float64)
    z = (z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True)
    for s in range(3):
        cost = rpt.costs.CostL2().fit(z[s])
        gain = [cost.error(0, 50) - cost.error(0, t) - cost.error(t, 50) for t in range(5, 46)]
        np.testing.assert_allclose(scores[s, 5:46], gain, rtol=1e-8)
        assert scores[s].argmax() == 23


def test_answers_that_ignore_the_data():
    x = noise((2, 100, 3, 2))
    bump, fixed = detectors.centre_bump(x), detectors.always_frame(x)
    assert (bump.argmax(axis=1) == 50).all() and (np.diff(bump[0, :51]) > 0).all()
    np.testing.assert_array_equal(bump, detectors.centre_bump(-3 * x))
    assert fixed.sum() == 2 and (fixed[:, 50] == 1).all()
    drawn = detectors.random(x, seed=1)
    np.testing.assert_array_equal(drawn, detectors.random(7 * x, seed=1))
    np.testing.assert_array_equal(drawn[:1], detectors.random(x[:1], seed=1))
    assert (drawn != detectors.random(x, seed=2)).all()


@pytest.mark.parametrize("name", ALL)
def test_shape_order_and_determinism(name):
    x = noise((4, 60, 3, 4))
    scores = ALL[name](x)
    assert scores.shape == (4, 60) and scores.dtype == np.float64 and np.isfinite(scores).all()
    np.testing.assert_array_equal(scores, ALL[name](x.copy()))
    # Neither the order of variables nor a shift of all locations matters (dt is estimated from differences).
    moved = x[:, :, [2, 0, 1]] + np.array([5, -3, 0, 0], dtype=np.float32)
    np.testing.assert_allclose(scores, ALL[name](moved), rtol=2e-3, atol=2e-3 * np.ptp(scores))
    assert np.isfinite(ALL[name](np.zeros_like(x) + (0 if name not in MOTION else 1e-3 * x))).all()


@given(scale=st.floats(0.01, 100), slope=st.floats(-1, 1), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_differences_feel_no_line_and_scale_with_the_series(scale, slope, seed):
    x = noise((2, 20, 2, 2), seed).astype(np.float64)
    line = slope * np.arange(20.0)[None, :, None, None]
    np.testing.assert_allclose(
        detectors.second_difference(scale * x + line), scale * detectors.second_difference(x), rtol=1e-8
    )
    np.testing.assert_allclose(
        detectors.third_difference(scale * x + line), scale**2 * detectors.third_difference(x), rtol=1e-7
    )


def test_window_correlations_are_numpys():
    x = noise((2, 20, 3, 4)).astype(np.float64) + 100
    x[0, :8, 1, 2] = 7.0  # does not move in the first windows
    got = correlation.window_correlations(x, 6)
    assert got.shape == (2, 15, 3, 4, 4)
    for start in (3, 9, 14):
        expected = np.corrcoef(x[1, start : start + 6, 2], rowvar=False)
        np.testing.assert_allclose(got[1, start, 2], expected, atol=1e-9)
    np.testing.assert_array_equal(got[0, 0, 1, 2], [0, 0, 1, 0])


@pytest.mark.parametrize("on", correlation.OBSERVED)
@pytest.mark.parametrize(("norm", "across"), [("l1", "variables"), ("frobenius", "channels")])
def test_correlation_distance_is_its_definition(on, norm, across):
    x, w = noise((2, 40, 3, 2)).astype(np.float64), 8
    order = correlation.OBSERVED[on]
    got = correlation.correlation_distance(x, window=w, on=on, norm=norm, across=across)
    for t in (w + order, 20, 40 - w - order):
        sides = [np.diff(part, order, axis=0) for part in (x[1, t - w - order : t], x[1, t : t + w + order])]
        if across == "variables":
            pairs = [[np.corrcoef(side[:, :, m], rowvar=False) for side in sides] for m in range(2)]
        else:
            pairs = [[np.corrcoef(side.reshape(w, -1), rowvar=False) for side in sides]]
        change = np.stack([b - a for a, b in pairs])
        expected = np.abs(change).sum() if norm == "l1" else np.sqrt((change**2).sum())
        assert got[1, t] == pytest.approx(expected, rel=1e-8)


def test_graphical_lasso_is_scikit_learns():
    rng = np.random.default_rng(0)
    covariances = np.stack(
        [np.corrcoef(rng.normal(size=(5, 12)) + 2 * rng.normal(size=12)) for _ in range(6)]
    )
    for penalty in (0.05, 0.3):
        got = correlation.graphical_lasso(covariances.reshape(2, 3, 5, 5), penalty, tolerance=1e-8)
        for ours, covariance in zip(got.reshape(6, 5, 5), covariances):
            theirs = graphical_lasso(covariance, penalty, tol=1e-6, enet_tol=1e-9, max_iter=500)[1]
            np.testing.assert_allclose(ours, theirs, atol=2e-5)
    with pytest.raises(ValueError, match="did not converge"):
        correlation.graphical_lasso(covariances, 0.05, max_iter=2)


def correlated(at=40):
    """Two series of 80 frames in which variables 0 and 1 go together until `at`, then 0 and 2."""
    x = noise((2, 80, 4, 2), seed=5)
    x[:, :at, 1] = x[:, :at, 0] + 0.1 * x[:, :at, 1]
    x[:, at:, 2] = x[:, at:, 0] + 0.1 * x[:, at:, 2]
    return x


def test_correlation_change_is_found_without_a_change_of_any_variable():
    x = correlated()
    for call in (correlation.correlation_distance, correlation.graphical_lasso_distance):
        assert (np.abs(call(x, window=12, on="features").argmax(axis=1) - 40) <= 3).all()
    one = correlation.graphical_lasso_distance(x, window=12, on="features", penalty=0.1)[0, 40]
    sides = [np.mean([np.corrcoef(side[:, :, m], rowvar=False) for m in range(2)], axis=0)
             for side in (x[0, 28:40], x[0, 40:52])]  # fmt: skip
    exact = [graphical_lasso(side, 0.1, tol=1e-6, enet_tol=1e-8, max_iter=500)[1] for side in sides]
    assert one == pytest.approx(np.abs(exact[1] - exact[0]).sum(), rel=1e-3)


@pytest.mark.parametrize("velocity", [True, False])
def test_spring_regression_is_least_squares_before_and_after(springs, velocity):
    x = springs["connection"].X[:2].astype(np.float64)
    x = x if velocity else x[..., :2]
    w, t, ridge = 6, 50, 0.02
    got = correlation.spring_regression(x, window=w, velocity=velocity, ridge=ridge)
    found = []
    spans = (
        [range(t - 1 - w, t - 1), range(t - 1, t - 1 + w)]
        if velocity
        else [range(t - 1 - w, t - 1), range(t, t + w)]
    )
    for frames in spans:
        for i in range(5):
            others = [j for j in range(5) if j != i]
            rows, targets = [], []
            for u in frames:
                for axis in range(2):
                    pull = x[1, :, others, axis].T - x[1, :, [i], axis].T
                    if velocity:
                        rows.append((pull[u] + pull[u + 1]) / 2)
                        targets.append(x[1, u + 1, i, 2 + axis] - x[1, u, i, 2 + axis])
                    else:
                        rows.append(pull[u])
                        targets.append(x[1, u + 1, i, axis] - 2 * x[1, u, i, axis] + x[1, u - 1, i, axis])
            A = np.array(rows)
            lam = ridge * (A**2).sum() / 4
            A = np.vstack([A, np.sqrt(lam) * np.eye(4)])
            found.append(np.linalg.lstsq(A, np.r_[targets, np.zeros(4)])[0])
    expected = np.abs(np.array(found[5:]) - np.array(found[:5])).sum()
    assert got[1, t] == pytest.approx(expected, rel=1e-6)


def test_spring_regression_finds_springs_and_little_else(springs):
    wrong = {}
    for kind, series in springs.items():
        found = correlation.spring_regression(series.X)[:, 25:76].argmax(axis=1) + 25
        wrong[kind] = np.mean(np.abs(found - series.change_time) > 2)
    assert wrong["connection"] < 0.2 and min(wrong["location"], wrong["speed"]) > 0.4


def test_spring_evidence_is_a_ratio_of_normal_densities(springs):
    x = observe(springs["speed"].subset(slice(0, 1)), noise=0.03, seed=1).X.astype(np.float64)
    w, t, dt = 8, 47, 0.1
    got = correlation.spring_evidence_by_kind(x, window=w, dt=dt)[:, 0, t]
    prior, expected = correlation.SpringPrior(), np.zeros(3)
    tau, after = (np.arange(2 * w) - (w - 1)) * dt, np.arange(2 * w) >= w
    frames = x[0, t - w : t + w]
    for i in range(5):
        groups = {"smooth": [], "location": [], "speed": [], "connection": []}

        def add(group, location, velocity, deviation, groups=groups):
            groups[group].append(deviation * np.concatenate([location, velocity]))

        zero, y = np.zeros(2 * w), [np.concatenate([frames[:, i, a], frames[:, i, 2 + a]]) for a in range(2)]
        for group, location, velocity, deviation in (
            ("smooth", zero + 1, zero, prior.start), ("smooth", tau, zero + 1, prior.start),
            ("location", after, zero, 0.1), ("speed", after * tau, after, 0.02),
        ):  # fmt: skip
            add(group, np.r_[location, zero], np.r_[velocity, zero], deviation)
            add(group, np.r_[zero, location], np.r_[zero, velocity], deviation)
        pulls = {}
        for j in range(5):
            if j == i:
                continue
            columns = []
            for mask in (np.ones(2 * w), after):  # all the time, and only after the change
                per_axis = []
                for a in range(2):
                    pull = (x[0, :, j, a] - x[0, :, i, a])[t - w : t + w]
                    once = np.r_[0, np.cumsum(dt * (pull[1:] + pull[:-1]) / 2)]
                    once = once - once[w - 1]  # 0 at the last frame before the change
                    twice = np.r_[0, np.cumsum(dt * (once[1:] + once[:-1]) / 2)]
                    per_axis.append((mask * (twice - twice[w - 1]), mask * once))
                columns.append(per_axis)
            pulls[j] = columns
            for group, per_axis, deviation in (
                ("smooth", columns[0], 0.05),
                ("connection", columns[1], 0.05 * 2**0.5),
            ):
                add(
                    group,
                    np.r_[per_axis[0][0], per_axis[1][0]],
                    np.r_[per_axis[0][1], per_axis[1][1]],
                    deviation,
                )
        y = np.concatenate([y[0][: 2 * w], y[1][: 2 * w], y[0][2 * w :], y[1][2 * w :]])
        for columns in pulls.values():
            y = y - 0.05 * np.concatenate([columns[0][a][which] for which in (0, 1) for a in range(2)])
        A = np.stack([column for group in groups.values() for column in group], axis=1)
        noise_variance = np.linalg.lstsq(A, y)[1][0] / (len(y) - A.shape[1])

        def log_density(*names, y=y, groups=groups, variance=noise_variance):
            B = np.stack([column for name in names for column in groups[name]], axis=1)
            return multivariate_normal(cov=B @ B.T + variance * np.eye(len(y))).logpdf(y)

        expected += [log_density("smooth", kind) - log_density("smooth") for kind in correlation.KINDS]
    np.testing.assert_allclose(got, expected, rtol=2e-3, atol=2e-3)


def test_spring_evidence_is_a_posterior_and_tells_the_kind(springs):
    right = []
    for row, kind in enumerate(correlation.KINDS):
        seen = observe(springs[kind], noise=0.02, seed=4)
        posterior = correlation.spring_evidence(seen.X, window=PAIR)
        np.testing.assert_allclose(np.exp(posterior[:, PAIR : 100 - PAIR + 1]).sum(axis=1), 1.0)
        by_kind = correlation.spring_evidence_by_kind(seen.X, window=PAIR)
        right.append(by_kind[:, np.arange(30), seen.change_time].argmax(axis=0) == row)
    assert np.mean(right) > 0.9
    hidden = observe(springs["connection"], hide_velocity=True, seed=4)
    found = correlation.spring_evidence(hidden.X, window=PAIR, velocity=False)[:, 25:76].argmax(axis=1) + 25
    assert np.mean(np.abs(found - hidden.change_time) <= 1) > 0.8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X: detectors.second_difference(X[0]), "expected \\(series, frames"),
        (lambda X: detectors.second_difference(X * np.nan), "not finite"),
        (lambda X: detectors.second_difference(X.astype(str)), "expected numbers"),
        (lambda X: detectors.second_difference(X[:, :3]), "needs 4 frames"),
        (lambda X: detectors.third_difference(X[..., :1]), "locations and as many velocities"),
        (lambda X: detectors.difference(X, 0), "order 0"),
        (lambda X: detectors.difference(X, 2, features="speed"), "features is 'speed'"),
        (lambda X: detectors.frame_length(0 * X), "all velocities are 0"),
        (lambda X: detectors.local_fit(X, window=2, degree=3), "fewer unknowns"),
        (lambda X: detectors.local_fit(X, window=26), "needs 52 frames"),
        (lambda X: detectors.always_frame(X, 50), "frame is 50"),
        (lambda X: correlation.correlation_distance(X[:, :, :1]), "1 variable"),
        (lambda X: correlation.correlation_distance(X, window=25), "needs 54 frames"),
        (lambda X: correlation.correlation_distance(X, window=1), "window is 1"),
        (lambda X: correlation.correlation_distance(X, on="forces"), "on is 'forces'"),
        (lambda X: correlation.graphical_lasso_distance(X, penalty=0), "penalty is 0"),
        (lambda X: correlation.spring_regression(X, window=25), "needs 51 frames"),
        (lambda X: correlation.spring_regression(X[:, :, :1]), "1 variable"),
        (lambda X: correlation.spring_evidence(X, window=2), "8 values a variable"),
        (lambda X: correlation.SpringPrior(spring=-1.0), "values above 0"),
    ],
)
def test_mistakes_are_told(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(noise())
