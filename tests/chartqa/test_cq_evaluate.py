"""Answers, verifiers and blame on hand-made pools, against loops over all subsets, pairs and tokens."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import precision_score, recall_score

from msig_lib.chartqa import evaluate
from msig_lib.chartqa.data import ChartSettings, Table, make_charts
from msig_lib.chartqa.model import Response
from msig_lib.chartqa.questions import ask, make_question
from msig_lib.chartqa.signal import Pool
from msig_lib.chartqa.traces import Verdict, check_trace

BARS = Table("bars", ("red", "blue", "green"), ("", "", ""), (4, 7, 2))
TOTAL = make_question("total", BARS, chart=0)
SECOND = make_question("second", BARS, chart=0)
# Text and the place of its first wrong token; None: all right, -1: it stops before it is wrong.
TRACES = [
    ("red 4 4 blue 7 11 green 2 13 ### 13", None),
    ("red 4 4 blue 7 11 green 2 13 ### 12", 10),
    ("red 4 4 blue 8 11 green 2 13 ### 13", 4),  # the right answer all the same
    ("red 4 5 blue 7 12 green 2 14 ### 14", 2),
    ("red 4 4 blue 7 11 ### 11", 6),
    ("red red", 1),
    ("red 4 4 blue 7 11 green 2 13 ### 13 3", 11),
    ("red 4 4 blue 7", -1),
]
END = 3  # any number: only the lengths of ids count here


def pool_of(texts, questions, samples, *, ended=True):
    verdicts = [check_trace(text, BARS, questions[row // samples]) for row, text in enumerate(texts)]
    ids = [(*range(10, 10 + len(text.split())), *([END] * ended)) for text in texts]
    return Pool(questions, samples, ids, texts, [np.zeros(len(own), np.float32) for own in ids], verdicts)


def test_lucky_answers_are_right_ones_with_a_wrong_step():
    texts = [text for text, _ in TRACES]
    verdicts = [check_trace(text, BARS, TOTAL) for text in texts]
    right = np.array([v.answer_right for v in verdicts])
    found = evaluate.Answers("cot", texts, right, verdicts).lucky
    np.testing.assert_array_equal(found, [0, np.nan, 1, np.nan, np.nan, np.nan, np.nan, np.nan])
    assert np.nanmean(found) == 0.5
    nobody = evaluate.Answers("cot", texts[1:2], right[1:2], verdicts[1:2])
    assert np.isnan(nobody.lucky).all()


class Scripted:
    """A learner whose every third response is wrong, in either form."""

    def respond(self, questions, charts, form):
        out = []
        for i, q in enumerate(questions):
            text = q.target(form)
            if i % 3 == 1:
                text = " ".join([*text.split()[:-1], "45"])
            elif i % 3 == 2 and form == "cot":
                words = text.split()
                text = " ".join([words[0], str(int(words[1]) + 1), *words[2:]])
            out.append([Response((), text, np.zeros(0))])
        return out


def test_answers_are_compared_and_traces_checked_in_both_forms():
    charts = make_charts(30, ChartSettings(styles=("bars",)), seed=0)
    questions = ask(charts.tables, 30, ("count", "sum", "total", "second"), seed=0)
    direct, cot = (evaluate.answer(Scripted(), questions, charts, form) for form in ("direct", "cot"))
    expected = [i % 3 != 1 for i in range(30)]
    assert direct.right.tolist() == cot.right.tolist() == expected
    assert direct.texts[0] == questions[0].answer and cot.texts[0] == questions[0].trace
    assert not len(direct.verdicts) and cot.right.dtype == bool
    assert [v.right for v in cot.verdicts] == [i % 3 == 0 for i in range(30)]
    assert np.nanmean(cot.lucky) == 0.5


def answers_pool(seed, questions=3, samples=5):
    """A pool of answers alone: "1" is right, None is no answer."""
    rng = np.random.default_rng(seed)
    answers = rng.choice(np.array(["1", "2", "3", None], dtype=object), questions * samples)
    verdicts = [Verdict((), False, a, a == "1") for a in answers]
    blank = [()] * len(verdicts)
    return Pool([TOTAL] * questions, samples, blank, [""] * len(verdicts), blank, verdicts)


def by_subsets(pool, size, rule):
    """The mean over all subsets of the samples of `rule(answers, rows)` for each question."""
    out = []
    for q in range(len(pool.questions)):
        rows = range(q * pool.samples, (q + 1) * pool.samples)
        found = [
            rule([pool.verdicts[r].answer for r in some], list(some)) for some in combinations(rows, size)
        ]
        out.append(np.mean(found))
    return out


def vote(answers, weights):
    """How often the heaviest answer is right, ties shared; no answer is wrong."""
    total = {}
    for answer, weight in zip(answers, weights):
        if answer is not None:
            total[answer] = total.get(answer, 0.0) + weight
    best = [a for a in total if total[a] > max(total.values()) - 1e-12]
    return best.count("1") / len(best) if best else 0.0


@pytest.mark.parametrize("seed", range(3))
def test_curves_are_means_over_all_subsets(seed):
    pool = answers_pool(seed, questions=20)
    rng = np.random.default_rng(seed)
    ratio, logp = rng.normal(-6, 4, 100), rng.normal(-8, 3, 100)
    logp[1] = logp[0]  # a trace drawn twice has the same score
    n = [1, 2, 3, 5]
    found = evaluate.curves(pool, {"DPO ratio": ratio, "SFT probability": logp}, n, beta=0.03, seed=0)

    def best(scores):
        def rule(answers, rows):
            top = max(scores[r] for r in rows)
            tied = [a for a, r in zip(answers, rows) if scores[r] == top]
            return tied.count("1") / len(tied)

        return rule

    rules = {
        "one sample": lambda answers, rows: answers.count("1") / len(answers),
        "majority": lambda answers, rows: vote(answers, [1.0] * len(rows)),
        "any right": lambda answers, rows: "1" in answers,
        "best by DPO ratio": best(ratio),
        "vote by DPO ratio": lambda answers, rows: vote(answers, expit(0.03 * ratio[rows])),
        "best by SFT probability": best(logp),
        "vote by SFT probability": lambda answers, rows: vote(answers, np.exp(logp[rows])),
    }
    assert set(found) == set(rules)
    for name, rule in rules.items():
        expected = np.array([by_subsets(pool, size, rule) for size in n]).T
        assert found[name].n.tolist() == n
        np.testing.assert_allclose(found[name].value, expected, atol=1e-9, err_msg=name)


def test_a_score_s_name_says_how_it_weighs_and_beta_matters():
    pool = answers_pool(5, questions=20)
    score = 4 * np.random.default_rng(1).normal(size=100)
    both = evaluate.curves(pool, {"ratio": score, "probability": score}, [3, 4], beta=0.05, seed=0)
    np.testing.assert_array_equal(both["best by ratio"].value, both["best by probability"].value)
    assert not np.allclose(both["vote by ratio"].value, both["vote by probability"].value)
    steep = evaluate.curves(pool, {"ratio": score}, [3, 4], beta=5.0, seed=0)["vote by ratio"]
    assert not np.allclose(steep.value, both["vote by ratio"].value)
    default = evaluate.curves(pool, {"ratio": score}, [3, 4], seed=0)["vote by ratio"].value
    tenth = evaluate.curves(pool, {"ratio": score}, [3, 4], beta=0.1, seed=0)["vote by ratio"].value
    np.testing.assert_array_equal(default, tenth)


def test_only_votes_of_large_pools_depend_on_the_seed():
    pool, score = answers_pool(0, samples=14), np.random.default_rng(0).normal(size=42)
    one, same, other = (evaluate.curves(pool, {"ratio": score}, [7], seed=seed) for seed in (0, 0, 1))
    changed = {name for name in one if not np.array_equal(one[name].value, other[name].value)}
    assert changed == {"vote by ratio"}
    assert all(np.array_equal(one[name].value, same[name].value) for name in one)


def test_auc_is_the_share_of_pairs_in_the_right_order():
    pool = answers_pool(3, questions=12, samples=4)
    score = np.random.default_rng(3).integers(0, 4, 48)  # with ties
    found, right = evaluate.within_question_auc(pool, score), pool.square(pool.right)
    values = score.reshape(12, 4)
    kinds = set()
    for q in range(12):
        wins = [(a > b) + (a == b) / 2 for a in values[q][right[q]] for b in values[q][~right[q]]]
        kinds.add(len(wins) > 0)
        assert found[q] == pytest.approx(np.mean(wins)) if wins else np.isnan(found[q])
    assert kinds == {True, False}
    informed = evaluate.within_question_auc(pool, pool.right.astype(float))
    assert set(informed[np.isfinite(informed)]) == {1.0}


@pytest.mark.parametrize("ended", [True, False])
def test_the_first_wrong_token_of_each_trace_is_marked(ended):
    texts, places = zip(*TRACES)
    pool = pool_of(texts, [TOTAL], len(texts), ended=ended)
    found = evaluate.first_mistakes(pool)
    expected = [row for row, place in enumerate(places) if place is not None and place >= 0]
    assert found.rows.tolist() == expected  # neither the right one nor the one that stops early
    assert found.inside.sum(1).tolist() == [len(pool.ids[row]) for row in expected]
    assert found.first.sum(1).tolist() == [1] * len(expected)
    assert found.first.argmax(1).tolist() == [places[row] for row in expected]
    assert not (found.first & ~found.inside).any()


def test_a_pool_without_mistakes_has_no_marks():
    found = evaluate.first_mistakes(pool_of([TRACES[0][0]] * 2, [TOTAL], 2))
    assert len(found.rows) == len(found.inside) == len(found.first) == 0


def blame_pool():
    """Three questions of three samples; the last has no marked trace."""
    right, answer, wrong = (TRACES[k][0] for k in (0, 1, 3))
    read = "red 4 blue 7 green 2 tallest 7 second"
    second = [f"{read} 4 ### blue", f"{read} 2 ### green", f"{read} 4 ### red"]
    texts = [right, answer, wrong, *second, right, right, right]
    return pool_of(texts, [TOTAL, SECOND, TOTAL], 3)


def test_blame_is_counted_trace_by_trace_and_averaged_by_question():
    pool = blame_pool()
    marked = evaluate.first_mistakes(pool)
    assert marked.rows.tolist() == [1, 2, 3, 4]
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(30):
        rewards = [rng.integers(-2, 1, len(pool.ids[row])) for row in marked.rows]  # with ties
        hits, chances = {}, {}
        for row, values in zip(marked.rows.tolist(), rewards):
            lowest = np.flatnonzero(values == values.min()).tolist()
            hits.setdefault(row // 3, []).append(lowest.count(pool.verdicts[row].token) / len(lowest))
            chances.setdefault(row // 3, []).append(1 / len(values))
        hit, chance = evaluate.found_first(pool, marked, rewards)
        np.testing.assert_allclose(hit, [np.mean(hits[0]), np.mean(hits[1]), np.nan])
        np.testing.assert_allclose(chance, [np.mean(chances[0]), np.mean(chances[1]), np.nan])
        seen.update(hit[:2].tolist())
    assert len(seen) > 2
    truth = [-marked.first[k][marked.inside[k]].astype(float) for k in range(4)]
    assert evaluate.found_first(pool, marked, truth)[0][:2].tolist() == [1, 1]
    end = [-(np.arange(len(pool.ids[row])) == len(pool.ids[row]) - 1).astype(float) for row in marked.rows]
    assert evaluate.found_first(pool, marked, end)[0][:2].tolist() == [0, 0]  # the end token is a wrong guess


def test_blame_wants_one_reward_a_token():
    pool = blame_pool()
    marked = evaluate.first_mistakes(pool)
    rewards = [np.zeros(len(pool.ids[row])) for row in marked.rows]
    for wrong in (rewards[:-1], rewards[::-1], [one[:-1] for one in rewards]):
        with pytest.raises(ValueError, match="one a token of the marked traces"):
            evaluate.found_first(pool, marked, wrong)


def test_means_by_question():
    pool = answers_pool(0, questions=6, samples=4)
    rng = np.random.default_rng(0)
    rows, values = rng.choice(20, 9), rng.normal(size=9)  # question 5 has none
    found = evaluate.by_question(pool, rows, values)
    assert found.shape == (6,) and np.isnan(found[5])
    for q in range(5):
        own = values[rows // 4 == q]
        assert found[q] == pytest.approx(own.mean()) if len(own) else np.isnan(found[q])


@pytest.mark.parametrize("seed", range(3))
def test_a_filter_has_the_precision_and_recall_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    kept, good = rng.random(50) < 0.7, rng.random(50) < 0.8
    found = {name: np.nanmean(items) for name, items in evaluate.filtered(kept, good).items()}
    assert found == pytest.approx(
        {
            "kept that are good": precision_score(good, kept),
            "good that are kept": recall_score(good, kept),
            "dropped that are bad": precision_score(good, kept, pos_label=False),
            "bad that are dropped": recall_score(good, kept, pos_label=False),
        }
    )
    items = evaluate.filtered(kept, good)
    assert np.isfinite(items["kept that are good"]).sum() == kept.sum()
    assert np.isfinite(items["bad that are dropped"]).sum() == (~good).sum()
    assert np.isnan(evaluate.filtered([True, True], [True, False])["dropped that are bad"]).all()
