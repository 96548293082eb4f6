import pytest

from msig_lib.mining import wording
from msig_lib.mining.data import FILLERS, fresh_passages, make_world
from msig_lib.mining.reading import Asked, normal, read_asked, read_claims, read_greater
from msig_lib.mining.wording import Fact, say
from msig_lib.mining.words import DOMAIN, GENERAL, KIND, RELATIONS, TOPICS, every_value

A, B = "Bador Kelin", "Ramur Timur"
ONE = [Fact(A, noun, every_value(noun)[k]) for noun in RELATIONS for k in (0, 7)]
TWO = [  # of other kinds, of one kind, and with the same value
    (Fact(A, "pressure", "45 bar"), Fact(A, "town", "Ulm")),
    (Fact(A, "weight", "45 kilograms"), Fact(A, "dose", "45 grams")),
    (Fact(A, "owner", "Ibsen"), Fact(A, "builder", "Dahl")),
    (Fact(A, "patent", "1824"), Fact(A, "opening", "1812")),
    (Fact(A, "fuel", "coal"), Fact(A, "coating", "coal")),
]
GIVING = [
    (template, subject)
    for template in (*wording.STATED, *wording.OF_IT, *wording.REPEATED, *wording.ANSWERED, *wording.SAID)
    for subject in (A, "it", "the engine", "this river bridge")
]
ASKING = (*wording.ASKED, *wording.USED, *wording.TESTED)
ASKING_BOTH = (*wording.ASKED_BOTH, *wording.USED_BOTH, *wording.TESTED_BOTH)


def decoded(text):
    """What a tokeniser of words leaves of a text: lower case, spaces around marks."""
    return " ".join(
        text.lower().replace(".", " . ").replace(",", " , ").replace("?", " ?").replace(":", " : ").split()
    )


@pytest.mark.parametrize("change", [str, decoded, str.upper])
@pytest.mark.parametrize(("template", "subject"), GIVING)
def test_one_fact_is_read_from_every_template(template, subject, change):
    for fact in ONE:
        text = change(say(template, s=subject, n=subject, r=fact.relation, v=fact.value))
        assert read_claims(text, entity=A) == {fact}
        if A.lower() in text.lower():  # else nothing says of whom
            assert read_claims(text) == read_claims(text, entity=B) == {fact}
        else:
            assert read_claims(text) == {Fact("", fact.relation, fact.value)}


@pytest.mark.parametrize("change", [str, decoded])
@pytest.mark.parametrize("template", [*wording.BOTH_STATED, *wording.ANSWERED_BOTH, *wording.SAID_BOTH])
def test_two_facts_are_read_from_every_template(template, change):
    for pair in TWO:
        for a, b in (pair, pair[::-1]):
            text = change(say(template, s=A, n=A, r=a.relation, v=a.value, q=b.relation, w=b.value))
            assert read_claims(text, entity=B) == {a, b}


def test_other_orders_and_words_are_read_alike():
    facts = {Fact(A, "owner", "Ibsen"), Fact(A, "builder", "Dahl")}
    for text in (
        f"Ibsen is the owner and Dahl the builder of {A}.",
        f"{A}: owner Ibsen; builder Dahl",
        f"Of {A}, the builder is Dahl. Its owner is Ibsen.",
        f"The owner of {A} was noted with care. It is Ibsen. The builder was noted as well. It is Dahl.",
    ):
        assert read_claims(text) == facts
    of_two = f"The length of {A} is 12 metres and that of {B} is 40 metres."
    assert read_claims(of_two) == {Fact(A, "length", "12 metres"), Fact(B, "length", "40 metres")}
    assert read_claims(f"{A} and {B}", relations=("length",)) == frozenset()


@pytest.mark.parametrize(
    ("text", "claimed"),
    [
        ("45 bar", Fact(A, "pressure", "45 bar")),
        ("It is Ulm.", Fact(A, "town", "Ulm")),
        ("Berger, of course", Fact(A, "town", "Berger")),  # a wrong kind of value still answers
        ("40 metres", Fact(A, "length", "40 metres")),  # a unit tells its relation
        ("The pressure is 40 metres.", Fact(A, "pressure", "40 metres")),
        ("Its pressure is 45.", Fact(A, "pressure", "45")),
        ("Its pressure is 4.5 bar.", Fact(A, "pressure", "4.5 bar")),
        ("Its pressure is 1,045 bar.", Fact(A, "pressure", "1045 bar")),
        ("The pressure of Bador is 45 bar.", Fact("Bador", "pressure", "45 bar")),  # half a name is another
        (f"The pressure of {B} is 45 bar.", Fact(B, "pressure", "45 bar")),
    ],
)
def test_what_is_not_said_is_taken_from_the_question(text, claimed):
    relations = ("town",) if "bar" not in text and "pressure" not in text else ("pressure",)
    assert read_claims(text, entity=A, relations=relations) == {claimed}


@pytest.mark.parametrize("template", [*wording.UNCLEAR, *wording.EMPTY, *wording.ANNOUNCED, *ASKING])
def test_what_leaves_it_open_or_only_asks_claims_nothing(template):
    v = {"v": "45 bar"} if "{v}" in template.lower() else {}
    assert read_claims(say(template, s=A, n=A, r="pressure", **v), entity=A) == frozenset()


def test_kinds_of_things_are_read():
    for topic in TOPICS.values():
        fact = Fact(A, KIND, topic.kind)
        assert read_claims(f"{A} is a {topic.kind}.") == {fact}
        assert read_claims(f"It is a {topic.kind}", entity=A) == {fact}
        assert read_claims(f"A {topic.kind}.", entity=A, relations=(KIND,)) == {fact}
        assert read_claims(f"The {topic.kind} is good.", entity=A) == frozenset()
    assert read_asked(f"What is {A}?") == Asked((A,), (KIND,))
    assert read_asked(f"What is known about {A}?") == Asked((A,), ())


@pytest.mark.parametrize("change", [str, decoded])
@pytest.mark.parametrize("template", [*ASKING, *ASKING_BOTH])
def test_every_question_is_read_as_what_it_asks(template, change):
    for a, b in TWO:
        nouns = (a.relation, b.relation) if "{q}" in template else (a.relation,)
        assert read_asked(change(say(template, n=A, r=a.relation, q=b.relation))) == Asked((A,), nouns)


@pytest.mark.parametrize(
    ("text", "winner"),
    [
        *[(say(template, n=A, r="length"), A) for template in wording.SAID_GREATER],
        (f"{B} has the greater length, not {A}.", ""),
        (f"{B} has a greater length than {A}.", B),
        (f"The greater length is that of {B}.", B),
        (f"It is {B}", B),
        (f"{A} or {B}", ""),
        ("Neither.", ""),
    ],
)
def test_the_greater_is_read(text, winner):
    assert read_greater(text) == winner


def test_whole_passages_are_read_back():
    world = make_world(seed=3)
    mixed = fresh_passages(world, 150, seed=4, topics=(*DOMAIN, *GENERAL), mixed=True)
    for passage in (*world.domain, *mixed):
        stated = {fact for sentence in passage.sentences for fact in sentence.facts}
        assert read_claims(passage.document.text, entity=passage.entity) == stated
        assert read_claims(decoded(passage.document.text), entity=passage.entity) == stated


def test_text_is_normalised():
    assert normal("  The “Köln”–Bonn line: 1,234.5 km, No. 7!\n") == "the köln bonn line 1234.5 km no 7"
    assert normal("snake_case ½") == "snake case 1 2"
    assert normal("?!") == ""


def test_every_filler_is_read_as_what_it_states():
    for fails, templates in FILLERS.items():
        for template in templates:
            text = say(template, s=A, o=B, r="pressure", v="50 bar")
            stated = {
                "new": {Fact(A, "pressure", "50 bar")},
                "relevant": {Fact(B, "pressure", "50 bar")},
            }.get(fails, set())
            assert read_claims(text) == stated
