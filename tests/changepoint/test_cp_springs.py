"""The particle-spring world: against a plain loop, against physics, and against what its labels promise."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from plain_springs import plain_dataset
from scipy import stats

from msig_lib.changepoint.springs import (
    CHANGES,
    KINDS,
    SpringSettings,
    draw,
    integrate,
    observe,
    simulate,
    splits,
)

DEFAULT = SpringSettings()
SHORT = SpringSettings(frames=40, steps=10)  # a tenth of the thesis's steps a frame


def states(kind, n, settings, seed=0, convention="ours"):
    return integrate(draw(kind, n, seed=seed, settings=settings, convention=convention), settings)


def first_different(a, b):
    """Return the first frame in which two arrays (S, T, ...) differ, T where they do not."""
    different = (a != b).reshape(*a.shape[:2], -1).any(2)
    return np.where(different.any(1), different.argmax(1), a.shape[1])


# Against the plain loop


@pytest.mark.parametrize("kind", CHANGES)
def test_official_series_equal_the_plain_loop_to_the_last_bit(kind):
    series = simulate(kind, 2, seed=42, convention="official")
    found = states(kind, 2, DEFAULT, 42, "official")
    for s, plain in enumerate(plain_dataset(kind, 2, 42)):
        assert np.array_equal(found[s], plain.states)
        assert np.array_equal(series.X[s], plain.states.astype(np.float32))
        assert series.change_time[s] == plain.label
        assert np.array_equal(series.graph[s], [plain.before, plain.after])


@pytest.mark.parametrize("n", [2, 7, 9, 20])
def test_walls_cap_and_any_number_of_particles_equal_the_plain_loop(n):
    kind = "connection" if n > 3 else "location"
    options = {"spring": 3.0, "start_speed": 30.0, "steps": 50, "frames": 40}
    settings = SpringSettings(particles=n, force_cap=4.0, **options)
    found = states(kind, 2, settings, 3, "official")
    plain = [one.states for one in plain_dataset(kind, 2, 3, n=n, cap=4.0, **options)]
    # numpy adds 8 numbers or more in another order than one after the other
    assert np.array_equal(found, plain) if n < 8 else np.allclose(found, plain, rtol=0, atol=1e-9)
    assert np.abs(found[..., :2]).max() > 4.9


def test_official_change_times_of_seed_42():
    # Written down from a run of the official code, not of the loop above.
    expected = {"location": [41, 61, 41, 36], "speed": [41, 61, 41, 36], "connection": [40, 50, 51, 37]}
    for kind, times in expected.items():
        drawn = draw(kind, 4, seed=42, settings=DEFAULT, convention="official")
        assert drawn.labels[:, 0].tolist() == times


# Against physics


def test_without_springs_particles_fly_straight_and_are_mirrored_at_the_walls():
    settings = SpringSettings(connection_probability=0.0, start_speed=4.0)
    drawn = draw("none", 5, seed=1, settings=settings)
    time = np.arange(1, 101).reshape(1, -1, 1, 1) * 0.1
    start, speed = (array.transpose(0, 2, 1)[:, None] for array in (drawn.location, drawn.speed))
    unfolded = (start + time * speed + 5) % 20  # a path between mirrors repeats after 4 half widths
    expected = np.where(unfolded > 10, 20 - unfolded, unfolded) - 5
    found = integrate(drawn, settings)
    assert np.abs(found[..., :2] - expected).max() < 1e-9
    assert np.array_equal(np.abs(found[..., 2:]), np.broadcast_to(np.abs(speed), found[..., 2:].shape))
    assert (found[..., 2:] * speed < 0).any() and np.linalg.norm(found[..., 2:], axis=-1) == pytest.approx(4)


def test_two_particles_on_a_spring_swing_as_the_exact_solution():
    settings = SpringSettings(particles=2, connection_probability=1.0, spring=2.0, start_speed=0.1)
    drawn = draw("none", 4, seed=0, settings=settings)
    apart, closing = (np.diff(array, axis=2)[:, None, :, 0] for array in (drawn.location, drawn.speed))
    rate = 2.0  # square root of 2 springs over a mass of 1
    time = np.arange(1, 101).reshape(1, -1, 1) * 0.1
    expected = apart * np.cos(rate * time) + closing / rate * np.sin(rate * time)
    found = np.diff(integrate(drawn, settings)[..., :2], axis=2)[:, :, 0]
    assert np.abs(found - expected).max() < 0.01  # of the order of the step, as the scheme is
    finer = replace(settings, step=0.0001, steps=1000)
    again = np.diff(integrate(drawn, finer)[..., :2], axis=2)[:, :, 0]
    assert np.abs(again - expected).max() < 0.15 * np.abs(found - expected).max()


def test_momentum_and_energy_are_kept_away_from_the_walls():
    settings = SpringSettings(box=1e3, connection_probability=0.7)
    drawn = draw("none", 30, seed=2, settings=settings)
    found = integrate(drawn, settings)
    momentum = found[..., 2:].sum(2)
    assert np.abs(momentum - momentum[:, :1]).max() < 1e-12
    stretch = found[..., :, None, :2] - found[..., None, :, :2]
    potential = 0.25 * 0.1 * (drawn.graphs[:, 0][:, None, :, :, None] * stretch**2).sum((2, 3, 4))
    energy = 0.5 * (found[..., 2:] ** 2).sum((2, 3)) + potential
    assert np.ptp(energy / energy[:, :1], axis=1).max() < 2e-3
    assert np.ptp(potential / energy, axis=1).min() > 0.02  # so that there was something to keep


def test_a_series_does_not_depend_on_what_stands_beside_it():
    drawn = draw("location", 70, seed=4, settings=SHORT)
    whole = integrate(drawn, SHORT)
    for rows in (slice(3, 4), slice(60, 70)):
        part = type(drawn)(**{name: array[rows] for name, array in vars(drawn).items()})
        assert np.array_equal(integrate(part, SHORT), whole[rows])


def test_escaping_particles_are_reported():
    with pytest.raises(ValueError, match=r"left the box: a step of 1\.0"):
        simulate("none", 2, seed=0, settings=SpringSettings(step=1.0, spring=1e3, force_cap=1e9))


# What the labels promise


@pytest.mark.parametrize("convention", ["ours", "official"])
@pytest.mark.parametrize("kind", CHANGES)
def test_series_equal_their_counterfactual_until_the_label(kind, convention):
    series = simulate(kind, 80, seed=5, convention=convention, counterfactual=True)
    early = convention == "official" and kind == "connection"
    first = first_different(series.X, series.counterfactual)
    assert np.array_equal(series.change_time, first - early)
    gap = (series.X - series.counterfactual)[np.arange(80), first]  # (S, N, 4)
    if kind == "connection":
        reconnected = (series.graph[:, 0] != series.graph[:, 1]).any(2)
        size = np.abs(gap).max(2)
        assert (size[reconnected] > 0).all() and not reconnected.all()
        assert (size / size.max(1, keepdims=True))[
            ~reconnected
        ].max() < 0.01  # reached through the others only
        flips = (series.graph[:, 0] != series.graph[:, 1]).sum((1, 2)) // 2
        assert flips.min() == (6 if convention == "official" else 5)
    else:
        assert (gap[..., :2] != 0).all() and np.array_equal(series.graph[:, 0], series.graph[:, 1])
        spread = {"location": 0.1, "speed": 0.02}[kind]
        kick = gap[..., :2] if kind == "location" else gap[..., 2:]
        assert kick.std() == pytest.approx(spread, rel=0.1) and abs(kick.mean()) < 0.2 * spread


def test_larger_kicks_and_more_flips_are_as_asked():
    settings = replace(SHORT, location_kick=0.5, speed_kick=0.3, flips=9)
    spread = {kind: draw(kind, 400, seed=1, settings=settings).kicks for kind in ("location", "speed")}
    assert spread["location"][:, 0, 0].std() == pytest.approx(0.5, rel=0.05)
    assert spread["speed"][:, 0, 1].std() == pytest.approx(0.3, rel=0.05)
    assert not spread["location"][:, 0, 1].any() and not spread["speed"][:, 0, 0].any()
    graphs = draw("connection", 50, seed=1, settings=settings).graphs
    assert (graphs[:, 0] != graphs[:, 1]).sum((1, 2)).min() >= 18


def test_change_times_fill_the_range_evenly():
    times = draw("location", 5100, seed=0, settings=SHORT).times[:, 0]
    assert (times.min(), times.max()) == (10, 30)
    times = draw("location", 5100, seed=0, settings=DEFAULT).times[:, 0]
    assert stats.chisquare(np.bincount(times, minlength=76)[25:]).pvalue > 0.01
    assert set(times) == set(range(25, 76))


def test_official_change_times_stay_near_the_middle():
    times = draw("speed", 5000, seed=0, settings=DEFAULT, convention="official").times[:, 0]
    assert set(times) == set(range(36, 65))
    assert 1.5 < (times == 50).sum() / (times == 49).sum() < 2.5  # int() rounds to the middle from both sides


def test_connection_label_can_name_the_frame_whose_step_is_the_first_new_one():
    settings = replace(SHORT, connection_label="graph")
    series = simulate("connection", 300, seed=0, settings=settings, counterfactual=True)
    assert np.array_equal(series.change_time + 1, first_different(series.X, series.counterfactual))
    assert (series.change_time.min(), series.change_time.max()) == (10, 30)
    official = simulate(
        "connection", 9, seed=0, settings=replace(SHORT, connection_label="frame"), convention="official",
        counterfactual=True,
    )  # fmt: skip
    assert np.array_equal(official.change_time, first_different(official.X, official.counterfactual))
    kicked = simulate("location", 9, seed=0, settings=settings, counterfactual=True)
    assert np.array_equal(kicked.change_time, first_different(kicked.X, kicked.counterfactual))


def test_series_without_a_change_are_their_counterfactual():
    series = simulate("none", 5, seed=0, settings=SHORT, counterfactual=True)
    assert np.array_equal(series.X, series.counterfactual) and series.changes is None
    assert (series.change_time == -1).all() and set(series.kind) == {"none"}
    assert np.array_equal(series.graph[:, 0], series.graph[:, 1])


def test_every_one_of_several_changes_shows_at_its_time():
    settings = replace(SHORT, n_changes=4, min_gap=6, first_change=5, last_change=35)
    drawn = draw("several", 60, seed=0, settings=settings)
    assert np.diff(drawn.times, axis=1).min() == 6
    assert (drawn.times.min(), drawn.times.max()) == (5, 35) and set(drawn.changes.ravel()) == {0, 1, 2}
    whole = integrate(drawn, settings)
    for c in range(4):
        # The times of change c and all later ones are moved behind the end.
        without = replace(drawn, times=np.where(np.arange(4) >= c, 99, drawn.times))
        assert np.array_equal(first_different(whole, integrate(without, settings)), drawn.times[:, c])
    series = simulate("several", 60, seed=0, settings=settings)
    assert series.changes == tuple(map(tuple, drawn.times.tolist())) and (series.change_time == -1).all()
    assert np.array_equal(series.graph, drawn.graphs[:, [0, -1]])
    single = simulate("several", 3, seed=0, settings=replace(settings, n_changes=1))
    assert single.changes == tuple((time,) for time in single.change_time.tolist())


def test_several_changes_fill_the_range_without_favourites():
    settings = replace(SHORT, n_changes=2, min_gap=3, first_change=10, last_change=15)
    pairs, counts = np.unique(
        draw("several", 3000, seed=0, settings=settings).times, axis=0, return_counts=True
    )
    assert pairs.tolist() == [[10, 13], [10, 14], [10, 15], [11, 14], [11, 15], [12, 15]]
    assert stats.chisquare(counts).pvalue > 0.01


# Seeds


@pytest.mark.parametrize("convention", ["ours", "official"])
def test_same_seed_same_series_and_fewer_are_the_first_of_more(convention):
    kind, options = "connection", {"settings": SHORT, "convention": convention}
    many = simulate(kind, 9, seed=7, **options)
    few = simulate(kind, 4, seed=7, **options)
    assert np.array_equal(few.X, many.X[:4]) and np.array_equal(few.change_time, many.change_time[:4])
    assert not (simulate(kind, 4, seed=8, **options).X == few.X).any()


def test_kinds_are_independent_by_our_convention():
    starts = [draw(kind, 300, seed=0, settings=SHORT) for kind in KINDS]
    for a, b in pairwise(starts):
        assert abs(np.corrcoef(a.location.ravel(), b.location.ravel())[0, 1]) < 0.1
        assert 0.4 < (a.graphs[:, 0] == b.graphs[:, 0])[:, 0, 1].mean() < 0.6


def test_kinds_share_everything_but_the_change_on_request_and_officially():
    shared = {kind: simulate(kind, 6, seed=0, settings=replace(SHORT, shared_start=True)) for kind in CHANGES}
    official = {
        kind: simulate(kind, 6, seed=0, settings=SHORT, convention="official") for kind in CHANGES[:2]
    }
    for group in (shared, official):
        times = group["location"].change_time
        for series in group.values():
            assert np.array_equal(series.change_time, times)
            assert np.array_equal(series.graph[:, 0], group["location"].graph[:, 0])
            assert np.array_equal(
                first_different(series.X, group["location"].X) < 40, series.kind != "location"
            )
            for s, time in enumerate(times):
                assert np.array_equal(series.X[s, :time], group["location"].X[s, :time])


# Sizes and mistakes


@pytest.mark.parametrize("particles", [2, 3, 8, 50])
def test_any_number_of_particles(particles):
    settings = SpringSettings(particles=particles, frames=8, steps=5)
    series = simulate("connection", 3, seed=0, settings=settings, counterfactual=True)
    assert series.X.shape == (3, 8, particles, 4) and series.graph.shape == (3, 2, particles, particles)
    pairs = particles * (particles - 1) // 2
    assert ((series.graph[:, 0] != series.graph[:, 1]).sum((1, 2)) // 2 >= pairs / 2).all()
    assert np.array_equal(series.change_time, first_different(series.X, series.counterfactual))
    assert len(simulate("location", 0, seed=0, settings=settings)) == 0


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"particles": 1}, "particles is 1, expected a whole number of at least 2"),
        ({"frames": 2.5}, "frames is 2.5"),
        ({"steps": 0}, "steps is 0"),
        ({"step": 0.0}, "step is 0.0"),
        ({"box": float("nan")}, "box is nan"),
        ({"location_kick": -0.1}, "location_kick is -0.1"),
        ({"connection_probability": 1.5}, "1.5, expected 0..1"),
        ({"flips": 11}, r"flips is 11, expected 1..10: 5 particles"),
        ({"flips": 0}, "flips is 0"),
        ({"connection_label": "first"}, "'frame', 'graph' or None"),
        ({"first_change": 60, "last_change": 50}, r"60..50, expected within 1..99"),
        ({"last_change": 100}, "expected within"),
        ({"last_change": 99, "connection_label": "graph"}, "after last_change"),
        ({"n_changes": 0}, "n_changes is 0"),
    ],
)
def test_impossible_settings_are_refused(changed, words):
    with pytest.raises(ValueError, match=words):
        SpringSettings(**changed)


@pytest.mark.parametrize(
    "arguments, changed, words",
    [
        ({"kind": "edge"}, {}, "kind is 'edge', expected one of location"),
        ({"n": -1}, {}, "n is -1"),
        ({"n": 1.5}, {}, "n is 1.5"),
        ({"seed": -1}, {}, "seed is -1"),
        ({"seed": True}, {}, "seed is True"),
        ({"convention": "thesis"}, {}, "'ours' or 'official'"),
        ({"kind": "several"}, {"n_changes": 30}, "30 changes at least 10 frames apart do not fit in 10..30"),
        ({"kind": "connection"}, {"connection_probability": 1.0}, "no connections that differ in 5 of 10"),
        ({"kind": "several", "convention": "official"}, {}, "one change a series"),
        ({"convention": "official"}, {"first_change": 3}, "are for convention='ours'"),
        ({"convention": "official"}, {"shared_start": True}, "are for convention='ours'"),
        ({"convention": "official"}, {"frames": 41}, "even number of at least 32"),
        ({"kind": "connection", "convention": "official"}, {"particles": 3}, "3 pairs cannot flip 6"),
    ],
)
def test_impossible_requests_are_refused(arguments, changed, words):
    arguments = {"kind": "location", "n": 2, "seed": 0, "settings": replace(SHORT, **changed)} | arguments
    with pytest.raises(ValueError, match=words):
        simulate(arguments.pop("kind"), arguments.pop("n"), **arguments)


# Splits


def test_splits_mix_the_kinds_from_independent_streams():
    parts = splits(4, 2, 0, seed=0, settings=SHORT, counterfactual=True)
    assert {name: len(series) for name, series in parts.items()} == {"train": 12, "valid": 6, "test": 0}
    assert parts["train"].kind.tolist() == list(CHANGES) * 4
    starts = np.concatenate([parts[name].X[:, 0] for name in parts]).reshape(18, -1)
    assert len(np.unique(starts, axis=0)) == 18
    again = splits(4, 2, 1, seed=0, settings=SHORT)
    assert np.array_equal(again["train"].X, parts["train"].X)
    assert not np.array_equal(splits(4, seed=1, settings=SHORT)["train"].X, parts["train"].X)
    one = splits(2, 1, 1, seed=0, settings=SHORT, kinds=["none"])
    assert one["train"].kind.tolist() == ["none", "none"]


def test_official_splits_are_one_stream_per_kind():
    parts = splits(3, 2, 1, seed=42, settings=SHORT, convention="official")
    for kind in CHANGES:
        whole = simulate(kind, 6, seed=42, settings=SHORT, convention="official")
        found = [series.subset(series.kind == kind).X for series in parts.values()]
        assert np.array_equal(np.concatenate(found), whole.X)


@pytest.mark.parametrize("arguments", [{"n_valid": -1}, {"kinds": "location"}, {"kinds": ["none", "none"]}])
def test_impossible_splits_are_refused(arguments):
    with pytest.raises(ValueError, match="expected a"):
        splits(**({"n_train": 1, "n_valid": 1, "n_test": 1, "seed": 0, "settings": SHORT} | arguments))


# Observations


def test_observation_noise_has_its_size_and_leaves_the_change_in_place():
    series = simulate("location", 60, seed=0, settings=SHORT, counterfactual=True)
    seen = observe(series, noise=0.05, seed=3)
    added = seen.X - series.X
    assert added.std(axis=(0, 1, 2)) == pytest.approx([0.05] * 4, rel=0.05)
    assert stats.kstest(added.ravel()[:5000] / 0.05, "norm").pvalue > 0.01
    assert np.array_equal(first_different(seen.X, seen.counterfactual), series.change_time)
    assert np.array_equal(observe(series, noise=0.05, seed=3).X, seen.X)
    assert not np.array_equal(observe(series, noise=0.05, seed=4).X, seen.X)
    assert np.allclose(observe(series, noise=0.1, seed=3).X - series.X, 2 * added, atol=1e-6)


def test_hidden_velocity_leaves_the_location_as_it_is():
    series = simulate("speed", 3, seed=0, settings=SHORT, counterfactual=True)
    hidden = observe(series, noise=0.05, hide_velocity=True, seed=3)
    assert hidden.X.shape == hidden.counterfactual.shape == (3, 40, 5, 2)
    assert np.array_equal(hidden.X, observe(series, noise=0.05, seed=3).X[..., :2])
    assert np.array_equal(hidden.graph, series.graph) and hidden.name == series.name
    assert np.array_equal(observe(series, seed=0).X, series.X)
    assert (
        observe(simulate("none", 2, seed=0, settings=SHORT), hide_velocity=True, seed=0).counterfactual
        is None
    )


@pytest.mark.parametrize("noise", [-0.1, float("nan"), float("inf")])
def test_impossible_noise_is_refused(noise):
    with pytest.raises(ValueError, match="noise is"):
        observe(simulate("none", 1, seed=0, settings=SHORT), noise=noise, seed=0)


def test_velocity_can_be_hidden_once():
    series = observe(simulate("none", 1, seed=0, settings=SHORT), hide_velocity=True, seed=0)
    with pytest.raises(ValueError, match="X has 2"):
        observe(series, hide_velocity=True, seed=0)
