"""What chapter 7 says of its results: every number and verdict is that of a log made by hand."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from msig_lib.chartqa import evaluate, sentences, shown, signal, thesis
from msig_lib.chartqa.study import RFT_ARMS, Plan, world
from msig_lib.chartqa.study_pairs import CONTROLS, Arm, Verified
from msig_lib.chartqa.traces import check_traces
from msig_lib.runs.results import Log

ITEMS = 200


def add(log, share, metric="accuracy", **factors):
    """Two seeds that are right on the first questions: differences are exact, and the seeds agree."""
    for seed in (0, 1):
        log.add(metric, (np.arange(ITEMS) < round(share * ITEMS)).astype(float), seed=seed, **factors)


def lines(text):
    """The gains (points) and verdicts of a list, by name."""
    found = re.findall(r"^- (.*): \*\*([+-][\d.]+)(?: \[.*\])?\*\* points \((.*)\)$", text, re.MULTILINE)
    return {name: (float(gain), said) for name, gain, said in found}


@pytest.mark.parametrize(
    "lo, hi, expected",
    [
        (0.011, 0.03, "a gain"),
        (0.01, 0.03, "not decided"),
        (-0.03, -0.011, "a loss"),
        (-0.03, -0.01, "not decided"),
        (-0.009, 0.009, "no difference"),
        (0.001, 0.009, "no difference"),  # surely above 0, and too small to matter
        (-0.01, 0.009, "not decided"),
        (-0.009, 0.01, "not decided"),
        (-0.03, 0.03, "not decided"),
        (np.nan, np.nan, "measured once"),
    ],
)
def test_a_verdict_is_where_the_whole_interval_is(lo, hi, expected):
    assert sentences.verdict(0.5, lo, hi) == expected


def test_what_is_small_can_be_said():
    assert sentences.verdict(0.03, 0.02, 0.04, smallest=0.02) == "not decided"
    assert sentences.verdict(0.03, 0.02, 0.04, smallest=0.05) == "no difference"
    assert sentences.verdict(0.03, 0.02, 0.04, smallest=0.019) == "a gain"


MIXES = {
    ("format", "direct"): 0.1, ("format", "cot"): 0.2, ("direct", "direct"): 0.3, ("direct", "cot"): 0.2,
    ("cot", "direct"): 0.05, ("cot", "cot"): 0.6, ("both", "direct"): 0.35, ("both", "cot"): 0.5,
}  # fmt: skip


def test_mixes_are_compared_form_by_form_at_the_end():
    log = Log()
    for (mix, form), share in MIXES.items():
        add(log, share, study="mixes", budget=1.0, model=mix, form=form)
        add(log, 1 - share, study="mixes", budget=0.5, model=mix, form=form)
    found = lines(sentences.mixes(log, None, 1.0))
    assert found == {
        "Learning answers alone changes answers at once": (20.0, "a gain"),
        "Learning answers alone changes reasoned answers": (0.0, "no difference"),
        "Learning traces alone changes reasoned answers": (40.0, "a gain"),
        "Learning traces alone changes answers at once": (-5.0, "a loss"),
        "Both together against answers alone, answers at once": (5.0, "a gain"),
        "Both together against traces alone, reasoned answers": (-10.0, "a loss"),
    }
    opposite = lines(sentences.mixes(log, None, 0.5))
    assert opposite["Learning answers alone changes answers at once"] == (-20.0, "a loss")
    recorded = sentences.mixes(Log(), log, 1.0)
    assert recorded.count("**†") == len(found) and "†" not in sentences.mixes(log, None, 1.0)
    assert lines(recorded.replace("†", "")) == found
    assert sentences.mixes(Log(), None, 1.0) == ""


def test_what_was_measured_once_is_told_without_an_interval():
    log = Log()
    for (mix, form), share in MIXES.items():
        log.add("accuracy", share, seed=0, study="mixes", budget=1.0, model=mix, form=form)
    said = sentences.mixes(log, None, 1.0)
    assert "- Learning traces alone changes reasoned answers: **+40.0** points (measured once)" in said


def rft_log(wrong=0.31):
    log = Log()
    for model, share in zip(["before", *RFT_ARMS], (0.4, 0.5, 0.4, 0.2, 0.55)):
        for form in ("direct", "cot"):
            add(log, share if form == "cot" else 0.9, study="rft", start="direct", model=model, form=form)
    for model, share in (("self-written", wrong), ("any answer", 0.8)):
        for seed in (0, 1):
            log.add("accepted_wrong", share, seed=seed, study="rft", start="direct", model=model)
    return log


def test_rejection_sampling_is_told_beside_its_controls_and_its_accepted_mistakes():
    said = sentences.rft(rft_log())
    assert lines(said) == {
        "self-written": (10.0, "a gain"),
        "no traces": (0.0, "no difference"),
        "any answer": (-20.0, "a loss"),
        "checked": (15.0, "a gain"),
    }
    assert said.endswith("**31%** have a wrong step.") and said.startswith("Reasoned answers change by:")
    unknown = rft_log()
    unknown.rows = [row for row in unknown.rows if row.metric == "accuracy"]
    assert lines(sentences.rft(unknown)) == lines(said) and "wrong step" not in sentences.rft(unknown)
    assert lines(sentences.rft(Log())) == {} and "nan" not in sentences.rft(Log())


ARMS = {
    Arm(): 0.1, CONTROLS[0]: 0.2, CONTROLS[1]: -0.3, Arm(winners="checked"): 0.15, Arm(winners="lucky"): -0.1,
    Arm(limit=4): 0.0, Arm("both"): 0.3,
}  # fmt: skip


def dpo_rows(log, strength, before=0.5, arms=ARMS):
    named = {"study": "dpo", "strength": strength}
    add(log, before, **named, model="before", form="cot")
    for k, (arm, gain) in enumerate(arms.items()):
        add(log, before + gain, **named, model="after", form="cot", **arm.factors)
        for seed in (0, 1):
            log.add("winner_right", 0.62 + 0.1 * (k > 0), seed=seed, **named, **arm.factors)
    return log


def test_dpo_is_told_for_each_strength_beside_its_controls():
    log = dpo_rows(dpo_rows(Log(), 1.0), 0.5, before=0.4, arms={Arm(): -0.2, CONTROLS[0]: 0.0})
    dpo_rows(log, 0.0, before=0.3, arms={CONTROLS[0]: 0.1})  # DPO itself had no pairs
    said = sentences.dpo(log, None, [0.0, 0.5, 1.0])
    first, second = said.split("From ")[1:]
    own = "DPO on outcomes (62% of the winners are right traces)"
    assert first.startswith("40.0% right:") and second.startswith("50.0% right:")
    assert lines(first) == {own: (-20.0, "a loss"), "the winners alone": (0.0, "no difference")}
    assert lines(second) == {
        own: (10.0, "a gain"),
        "the winners alone": (20.0, "a gain"),
        "shuffled pairs": (-30.0, "a loss"),
        "right traces as winners": (15.0, "a gain"),
        "lucky winners": (-10.0, "a loss"),
    }
    assert sentences.dpo(Log(), None, [1.0]) == sentences.dpo(log, None, []) == ""
    assert sentences.dpo(Log(), log, [1.0]).startswith("From 50.0% right:")


def test_training_is_told_by_where_both_sides_end():
    steps = range(1, 21)
    parts = [
        pd.DataFrame({"step": steps, "arm": arm, "side": side, "value": [sign * s for s in steps], "seed": 0})
        for arm, side, sign in (("DPO", "chosen", 1.0), ("DPO", "rejected", -2.0), ("other", "chosen", 0.0))
    ]
    said = sentences.training(pd.concat(parts))
    expected = "DPO, chosen +18.00 nats; DPO, rejected -36.00 nats; other, chosen +0.00 nats"
    assert said == f"Mean of the last steps: {expected}"  # steps 16 to 20
    assert sentences.training(shown.training_frame({})) == "No pairs, no training."


@pytest.mark.parametrize("data", thesis.TABLE_12_3_1)
def test_the_thesis_s_cuts_are_those_of_its_table(data):
    said = sentences.cut_in_the_thesis(data)
    expected = {
        "ChartQA": "83.0 before DPO, 80.6 with whole responses, "
        "83.9 cut to 70 words, 84.2 cut to 90 words, 81.8 cut to 110 words.",
        "A-OKVQA": "86.2 before DPO, 85.7 with whole responses, "
        "86.7 cut to 70 words, 86.9 cut to 90 words, 86.3 cut to 110 words.",
    }[data]
    assert said == f"Table 12.3.1 has, on {data}, {expected}"


RULES = {
    "one sample": 0.4, "majority": 0.7, "best by SFT probability": 0.6, "best by DPO ratio": 0.5,
    "vote by DPO ratio": 0.7, "any right": 0.95,
}  # fmt: skip


def verify_log(strength=1.0, own=-8.0, picked=-20.0):
    log = Log()
    for n in (1, 4, 64):
        for rule, share in RULES.items():
            add(
                log,
                share if n == 64 else 0.3,
                "verified",
                study="verify",
                strength=strength,
                verifier=rule,
                n=n,
            )
    for rule, nats in (("one sample", own), ("DPO ratio", picked), ("SFT probability", -2.0)):
        values = np.full(10, nats)
        log.add("picked", values, seed=0, study="verify", strength=strength, verifier=rule)
    return log


def test_verifiers_are_compared_with_all_traces():
    said = sentences.verifiers(verify_log(), None, 1.0)
    assert said.startswith("With 64 traces:")
    assert lines(said) == {
        "The best by DPO ratio against one trace alone": (10.0, "a gain"),
        "The best by DPO ratio against the best by SFT probability": (-10.0, "a loss"),
        "The best by DPO ratio against the majority": (-20.0, "a loss"),
        "A vote weighed by the DPO ratio against the majority": (0.0, "no difference"),
    }
    assert "-8.0 nats on the mean" in said and "**-20.0** nats the one" in said
    assert "hardly ever writes" in said


def test_improbable_picks_are_explained_only_where_they_are_improbable():
    said = sentences.verifiers(verify_log(picked=-7.5), None, 1.0)
    assert "**-7.5** nats" in said and "hardly ever writes" not in said
    bare = verify_log()
    bare.rows = [row for row in bare.rows if row.metric == "verified"]
    assert "nats" not in sentences.verifiers(bare, None, 1.0) and lines(sentences.verifiers(bare, None, 1.0))
    for log, strength in ((Log(), 1.0), (verify_log(), 0.5)):
        assert sentences.verifiers(log, None, strength) == "No verifier was measured."
    live, recorded = (
        sentences.verifiers(*logs, 1.0) for logs in ((verify_log(), None), (Log(), verify_log()))
    )
    assert "†" not in live and recorded.count("**†") == 4 and recorded.replace("†", "") == live


def test_blame_is_compared_with_chance_and_the_controls():
    log = Log()
    shares = {"DPO reward": 0.4, "chance": 0.1, "SFT probability": 0.6, "winners only reward": 0.4}
    for rule, share in shares.items():
        add(log, share, "first_mistake", study="verify", strength=1.0, rule=rule)
        add(log, 1 - share, "first_mistake", study="verify", strength=0.5, rule=rule)
    assert lines(sentences.credit(log, None, 1.0)) == {
        "against chance": (30.0, "a gain"),
        "against SFT probability": (-20.0, "a loss"),
        "against winners only reward": (0.0, "no difference"),
    }
    assert lines(sentences.credit(log, None, 0.5))["against chance"] == (-30.0, "a loss")
    assert sentences.credit(Log(), None, 1.0) == "No trace had a mistake to find."
    log.rows = [row for row in log.rows if row.factors["rule"] != "DPO reward"]
    assert sentences.credit(log, None, 1.0) == "No trace had a mistake to find."


def filter_log(kept, good):
    log = Log()
    log.add("teacher_accuracy", [1.0, 1.0, 1.0, 0.0], seed=0, study="filter")
    for rule, by in (("teacher agrees", kept), ("as many at random", kept[::-1])):
        for share, items in evaluate.filtered(by, good).items():
            if np.isfinite(items).any():
                log.add("filter", items, seed=0, study="filter", rule=rule, share=share)
    return log


def test_the_filter_is_told_by_what_it_drops_and_loses():
    good = np.array([True] * 16 + [False] * 4)
    kept = np.array([True] * 14 + [False] * 5 + [True])  # drops 2 of 16 right ones and 3 of 4 wrong ones
    said = sentences.filtering(filter_log(kept, good))
    assert "is right in 75.0% of the questions drops **75%** of the wrong annotations" in said
    assert "(at random: 0%)" in said  # reversed: places 1 to 5 are dropped, all right
    assert "loses **12%** of the right ones; of what it drops, 60% are wrong." in said
    only = filter_log(kept, good)
    only.rows = [row for row in only.rows if row.factors.get("rule") != "as many at random"]
    assert "drops **75%**" in sentences.filtering(only)
    assert sentences.filtering(Log(), only) == sentences.filtering(only)


def test_nothing_is_told_of_a_filter_without_measurements():
    assert sentences.filtering(Log()).startswith("The filter dropped nothing")
    bare = filter_log(np.array([True, False]), np.array([True, False]))
    bare.rows = [row for row in bare.rows if row.metric == "filter"]
    assert sentences.filtering(bare).startswith("The filter dropped nothing")


def test_what_to_remember_counts_gains_and_losses_of_ways_to_use_pairs():
    log = dpo_rows(dpo_rows(Log(), 1.0), 0.5, arms={Arm(): -0.2, CONTROLS[0]: 0.2, CONTROLS[1]: -0.2})
    for source in (rft_log(), verify_log(), verify_log(0.5)):
        for row in source.rows:
            log.add(row.metric, row.value if row.items is None else row.items, seed=row.seed, **row.factors)
    first, own, last = sentences.taken_away(log, None, [0.5, 1.0], 1.0).split("\n")
    # outcome +10, checked +15, lucky -10, cut 0 and, from 0.5, outcome -20; neither controls nor the mixed loss
    assert "over all students: 5." in first and "in **2** of them" in first and first.endswith("worse in 2.")
    gave = re.findall(r"\*\*([+-][\d.]+) \[.*?\]\*\* points \((.*?)\)", own)
    assert gave == [("+10.0", "a gain"), ("+0.0", "no difference")]
    assert own.endswith("; 31% of the accepted traces had a wrong step.")
    assert last == (
        "- With 64 traces: one sample 40.0%, majority 70.0%, best by SFT probability 60.0%, best by DPO ratio 50.0%."
    )
    one = sentences.taken_away(log, None, [0.5], 1.0)
    assert "over all students: 1." in one and "in **0** of them" in one and "worse in 1." in one
    empty = sentences.taken_away(Log(), None, [1.0], 1.0)
    assert empty == ""


# Traces

PLAN = Plan(marks=(3, 4), charts=40, dev=2, test=10, only=("total",))


def judged(models=("DPO", "winners only")):
    """A right trace, a lucky one, one that stops early, and one of a markup that no page should take for its own."""
    charts = world(PLAN)["test"]
    questions = PLAN.ask("test", 1)[0]
    right = questions[0].trace.split()
    lucky = [right[0], str(int(right[1]) % 9 + 1), *right[2:]]
    texts = [
        " ".join(words) for words in (right, lucky, right[:4], [*right[:3], "<script>", "&", '"', *right[6:]])
    ]
    rng = np.random.default_rng(0)
    ids = [tuple(range(1 + len(text.split()))) for text in texts]
    before = [rng.normal(-1, 1, len(one)) for one in ids]
    after = {name: [row + rng.normal(0, 9, len(row)) for row in before] for name in models}
    verdicts = check_traces(texts, questions * 4, charts.tables)
    pool = signal.Pool(questions, 4, ids, texts, before, verdicts)
    return Verified(pool, {"SFT": before, **after}, evaluate.first_mistakes(pool))


@pytest.fixture(scope="module")
def traces():
    return judged()


def test_a_trace_in_words_says_where_it_goes_wrong(traces):
    texts = traces.pool.texts
    assert sentences.trace(traces, 0) == f"{texts[0]}: every step is right, the answer is right."
    assert sentences.trace(traces, 1) == f"{texts[1]}: the first mistake is token 2, the answer is right."
    assert sentences.trace(traces, 2) == f"{texts[2]}: the first mistake is token 5, the answer is wrong."
    made = SimpleNamespace(pool=SimpleNamespace(texts=["7"], verdicts=check_traces(["7"], *asked())))
    assert sentences.trace(made, 0) == "7: the first mistake is token 1, the answer is wrong."


def asked():
    questions, charts = PLAN.ask("test", 1)
    return questions, charts.tables


def test_the_html_of_a_trace_has_its_chart_steps_and_tokens_with_centred_rewards(traces):
    questions, tables = asked()
    table = tables[questions[0].chart]
    for row, ticks in ((0, len(table.values) + 1), (1, len(table.values))):
        html = sentences.trace_frame(traces, PLAN, row)
        assert html.count("<svg") == 1 and html.count("aria-label='right'") == ticks
        assert f"({questions[0].answer})</p>" in html
        label = re.search(r'role="img" aria-label="([^"]*)"', html).group(1)
        assert all(f"{c} {v}" in label for c, v in zip(table.colours, table.values))
        cells = re.findall(r'<span style="([^"]*)">([^<]*)<br><small>([^<]*)</small>', html)
        assert [word for _, word, _ in cells] == [*traces.pool.texts[row].split(), "(end)"]
        ratio = 0.1 * (traces.logprobs["DPO"][row] - traces.pool.logprobs[row])
        thousandths = [float(v.replace("−", "-")) for *_, v in cells]
        np.testing.assert_allclose(thousandths, 1000 * (ratio - ratio.mean()), atol=0.051)
        assert ["wavy" in style for style, *_ in cells] == [
            row == 1 and place == 1 for place in range(len(cells))
        ]


def test_the_mistake_of_a_trace_that_stops_is_its_end(traces):
    html = sentences.trace_frame(traces, PLAN, 2)
    styles = re.findall(r'<span style="([^"]*)">([^<]*)<br>', html)
    assert [word for style, word in styles if "wavy" in style] == ["(end)"] and len(styles) == 5


def test_words_of_a_trace_are_no_markup(traces):
    html = sentences.trace_frame(traces, PLAN, 3)
    assert "<script" not in html and html.count("&lt;script&gt;") == 2  # as a step and as a token
    assert ">&amp;<br>" in html and ">&quot;<br>" in html and "&amp;lt;" not in html
    assert html.count("<div") == html.count("</div>") and html.count("<span") == html.count("</span>")


def test_a_trace_that_no_other_model_judged_is_still_shown():
    alone = judged(models=())
    html = sentences.trace_frame(alone, PLAN, 0)
    found = [float(v.replace("−", "-")) for v in re.findall(r"<small>([^<]*)</small>", html)]
    before = alone.pool.logprobs[0]
    np.testing.assert_allclose(found, 1000 * (before - before.mean()), atol=0.051)
