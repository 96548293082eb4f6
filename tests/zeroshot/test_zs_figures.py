"""Every figure has labelled axes, draws what it is given, fits a page; the thesis's tables are its own."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from msig_lib import display
from msig_lib.stats import Interval
from msig_lib.zeroshot import calibration, evaluate, figures, figures_rounds, figures_vectors

RNG = np.random.default_rng(0)
FEW = ["politics", "sports", "business", "technology"]
MANY = [f"class {i}" for i in range(14)]
TRUE = RNG.integers(14, size=600)
ROUNDS = [np.where(RNG.random(600) < 0.6 + 0.1 * t, TRUE, (TRUE + 1) % 14) for t in range(3)]
HITS = RNG.random(600) < 0.7
SURE = RNG.random(600)


def interval(mean: float) -> Interval:
    return Interval(mean, mean - 0.02, mean + 0.02, 5, 100)


BY_METHOD = {"ag_news": {m: interval(0.5) for m in figures.MAIN}, "dbpedia14": {"genco": interval(0.9)}}
BY_SIZE = {"GENCo": {500: interval(0.02), 1000: interval(0.03)}, "self-training": {500: interval(0.01)}}
POINTS = RNG.normal(size=(40, 8)), RNG.normal(size=(10, 8)), RNG.normal(size=(4, 8))
OWNERS = {"text_class": RNG.integers(4, size=40), "generated_class": RNG.integers(4, size=10)}
COUNTS = evaluate.confusion(TRUE, ROUNDS[0], 14)

DRAWN = {
    "dots": lambda: figures.interval_dots(BY_METHOD, label="accuracy, per cent"),
    "dots of one set": lambda: figures.interval_dots(
        {"ag_news": {"mine": interval(0.1)}}, label="x", zero=True
    ),
    "f1": lambda: figures.per_class_f1(MANY, {"text": RNG.random(14), "more": np.full(14, np.nan)}),
    "ranking": lambda: figures.ranking_precision({"text": {10: 0.9, 30: 0.8}, "more": {10: 1.0}}),
    "control": lambda: figures_vectors.label_control(np.full((4, 4), 0.25), FEW),
    "control of many": lambda: figures_vectors.label_control(np.eye(14), MANY),
    "projection": lambda: figures_vectors.projection(*POINTS, FEW, **OWNERS, arrows=[(0, 1)]),
    "knowledge": lambda: figures.gain_by_knowledge({"ag_news": {"ngram": interval(0), "copy": interval(1)}}),
    "pool": lambda: figures.gain_by_pool(BY_SIZE),
    "tau": lambda: figures.accuracy_by_tau(
        {"ag_news": {0.1: interval(0.8), 1.0: interval(0.7)}}, {"ag_news": 0.7}
    ),
    "reliability": lambda: figures_rounds.reliability({"zero-shot": calibration.reliability(SURE, HITS)}),
    "pairs": lambda: figures_rounds.confusion_pairs(evaluate.confusion_over_rounds(ROUNDS, TRUE, 14), MANY),
    "flips": lambda: figures_rounds.flips(evaluate.flips(ROUNDS, TRUE)),
    "frame": lambda: figures_rounds.round_frame(COUNTS, MANY, title="round 0", selected=COUNTS // 2),
}


@pytest.mark.parametrize("name", list(DRAWN))
def test_axes_are_labelled_and_filled_and_the_page_can_show_them(name):
    figure = DRAWN[name]()
    assert figure.get_size_inches()[0] <= 5.2  # a wider panel scrolls on a phone
    for axes in figure.axes:
        assert (axes.get_xlabel() and axes.get_ylabel()) or axes.get_yticklabels()
        assert axes.get_xlabel()
        assert axes.lines or axes.patches or axes.images
        for line in axes.lines:  # "C0" would be resolved outside the book's style
            assert not str(line.get_color()).startswith("C")
    shown = display.figure(figure, name="test", caption="What to see.", alt="A drawing.")
    assert "<svg" in shown.html and not plt.fignum_exists(figure.number)


def test_the_same_input_gives_the_same_drawing():
    first, second = (
        display.figure(DRAWN["projection"](), name="test", caption="c", alt="a").fingerprint for _ in range(2)
    )
    assert first == second


def test_the_frame_tells_right_and_wrong_counts():
    figure = figures_rounds.round_frame(
        [[8, 2], [1, 9]], ["a", "b"], title="round 1", selected=[[3, 1], [0, 0]]
    )
    title = figure.axes[0].get_title(loc="left")
    assert title.splitlines() == [
        "round 1",
        "17 right, 3 wrong (85.0% right)",
        "trained on 4: 1 wrong (75.0% right)",
    ]
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["1", "2", "8", "9"]
    colours = figure.axes[0].images[0].get_array()
    assert (
        colours[0, 0, 2] > colours[0, 0, 0] and colours[0, 1, 0] > colours[0, 1, 2]
    )  # blue right, orange wrong
    assert colours[0, 0, 3] > colours[0, 1, 3]
    plt.close(figure)


def test_an_explorer_of_frames_stays_small():
    made = display.explorer(
        lambda round_, tau: figures_rounds.round_frame(
            evaluate.confusion(TRUE, ROUNDS[round_], 14), MANY, title=f"round {round_}, tau {tau}"
        ),
        {"round_": [0, 1], "tau": [0.1]},
        name="rounds",
        caption="Pseudo labels.",
        alt="A matrix.",
    )
    assert made.frames == 2 and len(made.html) < 40_000


def test_tsne_is_an_option_with_a_seed():
    first, second = (
        figures_vectors.projection(*POINTS, FEW, **OWNERS, method="tsne", seed=1) for _ in range(2)
    )
    for a, b in zip(first.axes[0].lines, second.axes[0].lines):
        assert np.array_equal(a.get_xydata(), b.get_xydata())
    plt.close("all")


def test_projection_by_pca_keeps_the_plane_of_most_variance():
    flat = np.column_stack([RNG.normal(size=(50, 2)) * [5, 2], np.zeros((50, 6))])
    turned = flat @ np.linalg.qr(RNG.normal(size=(8, 8)))[0]
    text, label = turned[:46], turned[46:]
    found = figures_vectors._two_dimensions([text, text[:1], label], "pca", 0)[0]
    distances = np.linalg.norm(found[:, None] - found[None], axis=2)
    assert distances == pytest.approx(np.linalg.norm(text[:, None] - text[None], axis=2), abs=1e-9)


def test_the_results_table_has_its_rows_in_order_and_gaps():
    table = figures.results_table(BY_METHOD, figures.MAIN)
    assert list(table.columns) == ["AG News", "DBpedia"]
    assert list(table.index) == [figures.NAMES[m] for m in figures.MAIN]
    assert table.loc["GENCo"].tolist() == ["50.0 [48.0, 52.0]", "90.0 [88.0, 92.0]"]
    assert table.loc["zero-shot", "DBpedia"] is None
    alone = figures.results_table({"x": {"genco": Interval(0.5, np.nan, np.nan, 1, 1)}}, percent=False)
    assert alone.loc["GENCo", "x"] == "0.500"
    assert "48.0" in display.table(table, caption="Accuracy.").html


def test_the_thesis_s_tables_hold_what_it_says_of_them():
    main = figures.thesis_table(figures.TABLE_3_2)
    assert main.shape == (11, 4) and np.isnan(main.loc["LOTClass", "Yahoo Answers"])
    assert int(main.isna().sum().sum()) == 1
    self_trained = main.loc["SimCSE + Self-training (Eq 3.5)*"]
    assert (self_trained > main.loc["Alpaca-7B (LLM)"]).all()  # 3.5.3 says the opposite
    assert (main.loc["GENCo*"] > main.loc[["GENCo* - CA", "GENCo* - IA", "PESCO*"]].max()).all()
    tau = {t: [mean for mean, _ in cells] for t, cells in figures.TABLE_3_4.items()}
    assert len(tau) == 5 and np.argmax([tau[t][0] for t in tau]) == 2  # .1 is best on AG News
    assert (figures.thesis_table(figures.TABLE_3_4).map(len) == 2).all().all()
    assert figures.thesis_table(figures.TABLE_3_5).shape == (6, 4)
    assert set(figures.MAIN) <= set(figures.NAMES)


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda: figures.interval_dots({}, label="x"), "no rows"),
        (lambda: figures.per_class_f1(FEW, {"a": [0.5]}), "4 classes"),
        (lambda: figures_vectors.label_control(np.ones((2, 3)), ["a", "b"]), "a square"),
        (lambda: figures_rounds.round_frame(np.ones((3, 3)), FEW), "a square"),
        (lambda: figures_vectors.projection(*POINTS, FEW[:3], **OWNERS), "one each"),
        (lambda: figures_vectors.projection(*POINTS, FEW, **OWNERS, method="umap"), "'pca' or 'tsne'"),
        (
            lambda: figures_vectors.projection(*POINTS, FEW, text_class=[0], generated_class=[0]),
            "one class for every",
        ),
        (
            lambda: figures_vectors.projection(POINTS[0], POINTS[1][:, :3], POINTS[2], FEW, **OWNERS),
            "one dim",
        ),
        (
            lambda: figures_rounds.confusion_pairs(
                evaluate.confusion_over_rounds(ROUNDS, TRUE, 14), MANY, n=0
            ),
            "n from 1",
        ),
    ],
)
def test_bad_input_says_what_was_expected(call, told):
    with pytest.raises(ValueError, match=told):
        call()
