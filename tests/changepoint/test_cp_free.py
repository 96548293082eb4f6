"""Detectors without training: options are taken by the AUC on validation series, worked out with scikit-learn."""

from functools import partial

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from msig_lib.changepoint import detectors, free
from msig_lib.changepoint.data import Series
from msig_lib.changepoint.springs import SpringSettings, observe, splits

SETTINGS = SpringSettings(particles=3, frames=60, steps=5, step=0.02)


def world(n=6, noise=0.01):
    return {
        part: observe(series, noise=noise, seed=k)
        for k, (part, series) in enumerate(splits(2, n, n, seed=1, settings=SETTINGS).items())
    }


def mean_auc(scores, series, start):
    """Mean over kinds of the pooled AUC that forgives a frame, one frame at a time."""
    areas = []
    for kind in sorted(set(series.kind)):
        labels, values = [], []
        for s in np.flatnonzero(series.kind == kind):
            for t in range(start, scores.shape[1] - start + 1):
                away = abs(t - series.change_time[s])
                if away in (1, 2):
                    continue
                labels.append(away == 0)
                values.append(scores[s, max(t - 1, 0) : t + 2].max())
        areas.append(roc_auc_score(labels, values))
    return np.mean(areas)


def test_every_option_of_every_detector_scores_every_frame():
    parts = world(2)
    few = parts["test"]
    for hidden in (False, True):
        seen = observe(few, hide_velocity=hidden, seed=0)
        families = free.families(not hidden, springs=True)
        assert ("kinematic" in families) != hidden and "bocpd" not in families
        assert {"spring_regression", "spring_evidence", "local_fit", "random", "mmd"} <= set(families)
        for name, options in families.items():
            for option in (next(iter(options)), list(options)[-1]):
                found = options[option](seen.X)
                assert found.shape == (6, 60) and found.dtype == np.float64, (name, option)
                assert np.isfinite(found).all(), (name, option)
    assert not {"spring_regression", "kinematic"} & set(free.families(False, springs=False))
    np.testing.assert_array_equal(
        free.families(True, False, seed=3)["random"][""](few.X), detectors.random(few.X, seed=3)
    )
    middle = free.families(True, False)["always_middle"][""](few.X)
    assert (middle.argmax(axis=1) == 30).all() and (middle.sum(axis=1) == 1).all()


def test_bocpd_learns_from_the_unlabelled_training_series_alone(monkeypatch):
    parts = world(1)
    seen = []
    monkeypatch.setattr(free.bocpd, "fit_scores", lambda *given, seed: seen.append((*given, seed)))
    free.families(True, False, parts["train"], seed=2)["bocpd"][""](parts["test"].X)
    ((train, X, seed),) = seen
    assert train is parts["train"].X and X is parts["test"].X and seed == 2


def test_the_option_with_the_best_auc_on_validation_series_is_taken():
    valid = world(8, noise=0.05)["valid"]
    names = ["local_fit", "correlation_distance", "mmd"]
    chosen = free.choose(valid, velocity=True, only=names)
    assert list(chosen) == [name for name in free.families(True, False) if name in names]
    for name, (detector, option) in chosen.items():
        options = free.families(True, False)[name]
        areas = {o: mean_auc(f(valid.X), valid, 15) for o, f in options.items()}
        assert areas[option] == pytest.approx(max(areas.values()), abs=1e-12)
        assert len({round(area, 6) for area in areas.values()}) > 1
        np.testing.assert_array_equal(detector(valid.X), options[option](valid.X))


def test_kinds_count_alike_in_the_choice_however_many_series_they_have():
    n_frames, start = 40, 10
    kind = np.array(["a"] * 6 + ["b"] * 2)
    series = Series(np.zeros((8, n_frames, 1, 1)), np.full(8, 20), kind, "made")

    def right_for(name, X, share=1.0):
        found = np.random.default_rng(0).random((8, n_frames))
        found[kind == name, 20] = 2.0 * share
        found[kind != name, 20] = 0.2
        return found

    options = {"finds a": partial(right_for, "a", share=0.45), "finds b": partial(right_for, "b")}
    pooled = {o: mean_auc(f(None), Series(series.X, series.change_time, ["all"] * 8, "made"), start)
              for o, f in options.items()}  # fmt: skip
    assert pooled["finds a"] > pooled["finds b"]  # three times as many series are of this kind
    assert free.best(options, series)[1] == "finds b"
    assert free.best(dict(reversed(options.items())), series)[1] == "finds b"


def test_of_equals_the_first_is_taken_and_a_single_option_is_not_tried():
    series = world(2)["valid"]
    same = {name: partial(detectors.random, seed=0) for name in ("first", "second")}
    assert free.best(same, series)[1] == "first"

    def never(X):
        raise AssertionError("a single option was tried")

    assert free.best({"only": never}, series) == (never, "only")
    with pytest.raises(ValueError, match="no options"):
        free.best({}, series)


def test_a_detector_is_shown_validation_series_and_nothing_else(monkeypatch):
    parts, shown = world(3), []

    def spy(number, X):
        shown.append((number, X))
        return detectors.random(X, seed=number)

    def families(velocity, springs, train=None):
        return {"spied": {str(k): partial(spy, k) for k in range(3)}, "alone": {"": partial(spy, 9)}}

    monkeypatch.setattr(free, "families", families)
    chosen = free.choose(parts["valid"])
    assert sorted(k for k, _ in shown) == [0, 1, 2]
    assert all(np.array_equal(X, parts["valid"].X) for _, X in shown)
    before = chosen["spied"][1]
    # What it is chosen by are the labels: with others, another choice.
    others = set()
    for seed in range(8):
        times = np.random.default_rng(seed).permutation(parts["valid"].change_time)
        moved = Series(parts["valid"].X, times, parts["valid"].kind, "made")
        others.add(free.choose(moved)["spied"][1])
    assert before in {"0", "1", "2"} and len(others) > 1


def test_at_most_ninety_series_are_used_as_many_of_every_kind(monkeypatch):
    used = []
    monkeypatch.setattr(free, "families", lambda *args: {"spied": {"a": None, "b": None}})
    monkeypatch.setattr(free, "best", lambda options, valid: used.append(valid) or (None, "a"))
    rows = np.arange(150)
    X = np.broadcast_to(rows[:, None, None, None], (150, 20, 1, 1)).astype(float)
    blocks = np.repeat(["a", "b", "c"], 50)
    free.choose(Series(X, np.full(150, 10), blocks, "made"))
    free.choose(Series(X, np.full(150, 10), np.tile(["a", "b", "c"], 50), "made"))
    free.choose(Series(X, np.full(150, 10), np.where(rows < 140, "a", "b"), "made"))
    free.choose(Series(X[:4], np.full(4, 10), blocks[:4], "made"))
    in_blocks, in_turn, few_of_one, short = [valid.X[:, 0, 0, 0].astype(int).tolist() for valid in used]
    assert in_blocks == [*range(30), *range(50, 80), *range(100, 130)]
    assert in_turn == list(range(90))
    assert few_of_one == [*range(80), *range(140, 150)]
    assert short == [0, 1, 2, 3]


def test_mistaken_names_and_series_are_refused():
    valid = world(1)["valid"]
    with pytest.raises(
        ValueError, match=r"local_fitt: unknown detectors, expected .*second_difference.*bocpd"
    ):
        free.choose(valid, only=["local_fitt"])
    with pytest.raises(ValueError, match="unknown detectors"):
        free.choose(valid, without="mmd")
    with pytest.raises(ValueError, match="bocpd was asked for, which needs train series"):
        free.choose(valid, only=["bocpd"])
    with pytest.raises(ValueError, match="kinematic was asked for, which needs velocity=True"):
        free.choose(valid, only=["kinematic"])
    assert list(free.choose(valid, only=["random"], without=["bocpd", "kinematic"])) == ["random"]
    unchanged = Series(valid.X, np.full(len(valid), -1), valid.kind, "made")
    with pytest.raises(ValueError, match="needs both"):
        free.choose(unchanged, only=["mmd"])
