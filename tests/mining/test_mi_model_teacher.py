from dataclasses import replace

import pytest

from msig_lib.lm.answers import AnswerCache
from msig_lib.lm.decoder import build_decoder, build_tokenizer
from msig_lib.lm.generate import Completion, Sampling, Usage, messages, request_key
from msig_lib.lm.local import LocalModel
from msig_lib.mining import prompts, wording
from msig_lib.mining.data import make_world
from msig_lib.mining.documents import Document, Mined
from msig_lib.mining.signal import ModelTeacher, OracleTeacher, TemplateTeacher


class Scripted:
    """A language model that answers by `rule(prompt)`, and keeps what it was asked."""

    def __init__(self, rule, name="m", cache=None):
        self.rule, self.name, self.fingerprint, self.usage = rule, name, f"{name} 1", Usage()
        self.cache, self.calls, self.seeds, self.paid = cache, [], [], []

    def complete(self, prompts, *, n=1, sampling=None, seed):
        assert n == 1
        self.calls.append(list(prompts))
        self.seeds.append(seed)
        out = []
        for place, prompt in enumerate(prompts):
            key = request_key(
                self.fingerprint, messages(prompt), sampling, seed, prompts[:place].count(prompt), 0
            )
            known = self.cache.get([key]) if self.cache is not None else {}
            if key not in known:
                self.paid.append(prompt)
                said = self.rule(prompt)
                known = {key: said if isinstance(said, Completion) else Completion(said)}
                if self.cache is not None:
                    self.cache.put(known)
            out.append([known[key]])
        return out


DOC = Document(
    "d", "Bells", ("A rings.", "B rings.", "C rings.", "D rings.", "E rings.", "F rings.", "G rings.")
)
SAID = {
    "A": ("Analysis: about A", "Question: what of A?", "Answer: A rings."),
    "B": ("Analysis: dull\nRefused: informative",),
    "C": ("I think that C rings.",),
    "D": ("Analysis: about D", "What of D?"),
    "E": ("Analysis: about E", "Question: what of E?", "Unanswerable"),
    "F": ("Analysis: about F", Completion("Question: what of", "length")),
    "G": ("Refused: Relevant.",),
}  # fmt: skip


def by_letter(prompt):
    step = 2 if "Sentence: " not in prompt else 1 if "\nAnalysis: about" in prompt else 0
    letter = prompt.split("Question: what of " if step == 2 else "Sentence: ")[1][0]
    return SAID[letter][step]


def test_a_model_is_asked_in_three_steps_about_what_is_left():
    model = Scripted(by_letter)
    found = ModelTeacher(model).ask([(DOC, i) for i in range(7)], seed=3)
    assert found == [
        Mined("d", 0, "about A", None, "what of A?", "A rings."),
        Mined("d", 1, "dull", "informative"),
        Mined("d", 2, malformed="I think that C rings."),
        Mined("d", 3, malformed="Analysis: about D\nWhat of D?"),
        Mined("d", 4, malformed="Analysis: about E\nQuestion: what of E?\nUnanswerable"),
        Mined("d", 5, malformed="Analysis: about F\nQuestion: what of"),
        Mined("d", 6, "", "relevant"),
    ]
    assert [len(call) for call in model.calls] == [7, 4, 2] and set(model.seeds) == {3}
    assert model.calls[0][1] == prompts.analysis_prompt(DOC, 1)
    assert model.calls[1][0] == prompts.question_prompt(DOC, 0, "about A")
    assert model.calls[2][1] == prompts.answer_prompt(DOC, "what of E?", 4)


def test_without_analysis_a_model_is_asked_once():
    said = {
        "A": "Question: q?\nAnswer: a.",
        "B": "Refused: new",
        "C": "Analysis: c\nQuestion: q?\nAnswer: a.",
        "D": "",
    }
    model = Scripted(lambda prompt: said[prompt.split("Sentence: ")[1][0]])
    found = ModelTeacher(model, analysis=False).ask([(DOC, i) for i in range(4)], seed=0)
    assert [mined.kept for mined in found] == [True, False, False, False] and found[1].fails == "new"
    assert found[2].malformed == said["C"] and found[3].malformed
    assert model.calls == [[prompts.pair_prompt(DOC, i) for i in range(4)]]
    assert ModelTeacher(model).ask([], seed=0) == [] and len(model.calls) == 1


def test_nothing_is_paid_for_twice_whatever_is_asked_together(tmp_path):
    model = Scripted(by_letter, cache=AnswerCache(tmp_path / "answers.sqlite"))
    twin = replace(DOC, id="twin")  # the same text under another id, as in a corpus with copies
    together = ModelTeacher(model).ask([(DOC, 0), (DOC, 0), (twin, 0), (DOC, 1)], seed=0)
    assert [(mined.document, mined.answer) for mined in together[:3]] == [("d", "A rings.")] * 2 + [
        ("twin", "A rings.")
    ]
    assert len(model.paid) == 4
    alone = [
        ModelTeacher(model).ask([(document, i)], seed=0)[0] for document, i in [(DOC, 1), (twin, 0), (DOC, 0)]
    ]
    assert alone == [together[3], together[2], together[0]] and len(model.paid) == 4
    ModelTeacher(model).ask([(DOC, 1)], seed=1)
    assert len(model.paid) == 5, "another seed asks for another sample"


def test_a_real_local_model_is_asked():
    tokenizer = build_tokenizer([prompts.ANALYSIS, prompts.PAIR, DOC.text])
    model = LocalModel.of(build_decoder(tokenizer, seed=0, width=16, layers=1, heads=2), tokenizer)
    for analysis in (True, False):
        teacher = ModelTeacher(model, analysis=analysis, sampling=Sampling(temperature=0.0, max_tokens=8))
        found = teacher.ask([(DOC, 0), (DOC, 1)], seed=0)
        assert all(mined.malformed and not mined.kept for mined in found), "untrained: it babbles"


def test_fingerprints_cover_what_changes_the_answers(monkeypatch):
    passages = make_world(seed=1).domain

    def model(name="m", **options):
        return ModelTeacher(Scripted(str, name), **options).fingerprint

    def oracle(given=passages, **options):
        return OracleTeacher(given, **options).fingerprint

    def all_of_them():
        return [
            *(
                model(),
                model("other"),
                model(analysis=False),
                model(sampling=Sampling(0.7)),
                model(longest=99),
            ),
            *(oracle(), oracle(passages[1:]), oracle(analysis=False), oracle(error_rate=0.1)),
            TemplateTeacher().fingerprint,
        ]

    before = all_of_them()
    assert before == all_of_them() and len(set(before)) == len(before)
    monkeypatch.setattr(prompts, "QUESTION", "Ask! {document} {sentence} {analysis}")
    monkeypatch.setattr(wording, "ASKED", ("{N}: {r}?",))
    changed = [a != b for a, b in zip(before, all_of_them())]
    assert changed == [True, True, False, True, True, True, True, True, True, False]
    with pytest.raises(ValueError, match="longest is 0"):
        ModelTeacher(Scripted(str), longest=0)
