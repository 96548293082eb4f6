"""Every figure has labelled axes and draws what it is given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from msig_lib.theory import figures_margin, figures_projection, max_margin, self_training

RNG = np.random.default_rng(0)
CELLS = pd.DataFrame(
    {"d": [16, 16, 64, 64], "cosine": [0.0, 0.5] * 2, "share": [0.5, 0.1, 0.4, 0.0], "low": 0.0, "high": 0.6}
)
CLOUD = np.abs(RNG.standard_normal((6, 2))) + 0.5
UNIT = max_margin.hard_margin(CLOUD)[0]
DATA, CLASSES = self_training.blobs(self_training.World(points=40), RNG)
PATH = self_training.self_train(DATA, np.array([0.6, 0.8]), 0.1, steps=5)
PAIRS = pd.DataFrame({"cosine": RNG.random(200) * 0.5, "theorem 3": 1.0, "exact": RNG.random(200)})

DRAWN = {
    "exact law": lambda: figures_projection.exact_law(CELLS),
    "jl against width": lambda: figures_projection.jl_against_width(CELLS, 0.4),
    "jl range": lambda: figures_projection.jl_range(64),
    "required margins": lambda: figures_projection.required_margins([64, 256], ["EURLex-4K"]),
    "real margins": lambda: figures_projection.real_margins({"m": RNG.random(9)}, {"needed": 0.9}),
    "four ways": lambda: figures_projection.four_ways(PAIRS, [0, 0.25, 0.5]),
    "negative share": lambda: figures_projection.negative_share({"start": np.ones(3)}, ["1", "2", "3+"]),
    "any error": lambda: figures_projection.any_error(64, 10, 0.4, 0.1, 0.2),
    "loss": lambda: figures_margin.loss_and_slope([0.1, 1.0]),
    "range": lambda: figures_margin.temperature_range(np.arange(3), np.ones(3), np.zeros(3)),
    "directions": lambda: figures_margin.directions(CLOUD, {"SVM": UNIT}),
    "rate": lambda: figures_margin.rate(np.array([1.0, 10]), {"a": np.array([0.5, 0.1])}, 1.0, 6),
    "angle": lambda: figures_margin.angle_of_descent(np.array([1, 10]), {"a": np.array([9.0, 1])}),
    "frame": lambda: figures_margin.self_training_frame(DATA, CLASSES, PATH[0], PATH[-1], "title"),
    "wrong after": lambda: figures_margin.wrong_after([0.1, 0.2], {"a": np.array([0.0, 0.1])}),
    "entropy": lambda: figures_margin.entropy_view(DATA, PATH, [0.1], 0.3),
}


@pytest.mark.parametrize("name", list(DRAWN))
def test_axes_are_labelled_and_filled(name):
    made = DRAWN[name]()
    for figure in made if isinstance(made, list) else [made]:
        for axes in figure.axes:
            assert axes.get_xlabel() and axes.get_ylabel()
            assert axes.lines or axes.patches
            for line in axes.lines:  # "C0" would be resolved outside the book's style
                assert not str(line.get_color()).startswith("C")
        plt.close(figure)
