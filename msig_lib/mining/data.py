"""A generated encyclopedia whose every sentence knows what it states, and test questions about it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from msig_lib.mining import wording
from msig_lib.mining.documents import Document
from msig_lib.mining.wording import Fact, pick, say
from msig_lib.mining.words import DOMAIN, GENERAL, KIND, NAMES, RELATIONS, TOPICS, Topic, every_value

SHORTEST, LONGEST = 5, 9  # sentences of a passage

FILLERS = {
    "informative": wording.EMPTY,
    "clear": wording.UNCLEAR,
    "new": wording.REPEATED,
    "relevant": wording.ELSEWHERE,
}
"""What a sentence that is not worth asking about looks like, by the criterion that it fails."""
MOST = len(NAMES) * (len(NAMES) - 1) // 2  # ours: entities of a world; fresh ones have the other names


@dataclass(frozen=True)
class Sentence:
    """A sentence and what holds of it.

    `facts`: those it states, one or two (with the passage before it); `fails`: the criterion by which it is refused, or
    None; `needs_context`: it cannot be understood alone ("it", "the engine"); `about`: the entity it speaks of.
    """

    text: str
    facts: tuple[Fact, ...]
    fails: str | None
    needs_context: bool
    about: str


@dataclass(frozen=True)
class Passage:
    """A document of the encyclopedia: about one entity of a topic."""

    document: Document
    topic: str
    sentences: tuple[Sentence, ...]

    @property
    def entity(self) -> str:
        """Whom it is about: the document's title."""
        return self.document.title

    @cached_property  # asked for with every question that is drawn
    def facts(self) -> tuple[Fact, ...]:
        """The facts that it states about its entity, but for what kind of thing that is."""
        stated = (fact for one in self.sentences if not one.fails for fact in one.facts)
        return tuple(fact for fact in stated if fact.relation != KIND)


@dataclass(frozen=True)
class WorldSettings:
    """Sizes of the encyclopedia; ValueError for impossible ones."""

    entities: int = 8  # of each domain topic; ours: 160 facts in all, as the prototype
    known: int = (
        4  # entities of each general topic that conversations are held on; ours: as many facts as the domain
    )
    facts: int = 5  # of an entity; prototype
    pronouns: float = 0.8  # share of facts told of "it" or "the engine"; prototype
    fillers: tuple[int, int] = (1, 3)  # sentences not worth asking, where there is room; prototype
    doubles: float = 0.15  # ours: share of passages in which one sentence states two facts
    spread: float = 0.3  # ours: share of passages in which one fact takes two sentences

    def __post_init__(self) -> None:
        if not (self.entities >= 1 and self.known >= 1 and 2 <= self.facts <= 6):
            raise ValueError(f"entities and known from 1, facts from 2 to 6 are expected, given {self}")
        if (wanted := len(DOMAIN) * self.entities + len(GENERAL) * self.known) > MOST:
            raise ValueError(f"{wanted} entities are wanted, but there are names for {MOST}, given {self}")
        if not all(0 <= share <= 1 for share in (self.pronouns, self.doubles, self.spread)):
            raise ValueError(f"pronouns, doubles and spread are shares from 0 to 1, given {self}")
        if len(self.fillers) != 2 or not 0 <= self.fillers[0] <= self.fillers[1]:
            raise ValueError(f"fillers is {self.fillers}, expected the fewest and the most")
        told = 1 + self.facts + self.fillers[0]
        if told - (self.doubles > 0) < SHORTEST or told + (self.spread > 0) > LONGEST:
            raise ValueError(
                f"a passage has {SHORTEST} to {LONGEST} sentences: one, one a fact, one more if spread, one less "
                f"if doubled, and fillers; given {self}"
            )


@dataclass(frozen=True)
class Encyclopedia:
    """`passages` by topic of `DOMAIN`, and `known` by general topic: entities of conversations."""

    passages: dict[str, tuple[Passage, ...]]
    known: dict[str, tuple[Passage, ...]]
    names: frozenset[str] = field(repr=False)  # of all of them: fresh entities have others
    settings: WorldSettings = field(default_factory=WorldSettings)

    @property
    def domain(self) -> tuple[Passage, ...]:
        """The passages of all domain topics."""
        return tuple(passage for topic in self.passages.values() for passage in topic)

    def by_id(self) -> dict[str, Passage]:
        """Return every passage by its document's id."""
        return {
            one.document.id: one for group in (self.passages, self.known) for t in group.values() for one in t
        }


def make_world(settings: WorldSettings | None = None, *, seed: int) -> Encyclopedia:
    """Return an encyclopedia; entities, facts and wording depend on `seed` only."""
    s = settings or WorldSettings()
    rng = np.random.default_rng([seed, 5])
    sizes = {topic: s.entities if topic in DOMAIN else s.known for topic in (*DOMAIN, *GENERAL)}
    names = new_names(sum(sizes.values()), rng, frozenset())
    left = iter(names)
    taken = frozenset(names)
    made = {
        topic.name: tuple(make_passage(topic, next(left), s, rng, taken) for _ in range(size))
        for topic, size in sizes.items()
    }
    domain = {topic.name: made[topic.name] for topic in DOMAIN}
    return Encyclopedia(domain, {t.name: made[t.name] for t in GENERAL}, taken, s)


def fresh_passages(
    world: Encyclopedia,
    n: int,
    *,
    seed: int,
    topics: Sequence[Topic] = GENERAL,
    mixed: bool = False,
    nouns: Sequence[str] = tuple(RELATIONS),
) -> Iterator[Passage]:
    """Yield n passages that name no entity of the world, of `topics` in turn.

    With `mixed` every passage has six relations of `nouns` drawn at random, and calls its entity by words of two
    topics: the words are known, their company is not. ValueError for fewer nouns than six.
    """
    if mixed and len(nouns) < 6:
        raise ValueError(f"nouns are {', '.join(nouns) or 'none'}, expected six or more to draw from")
    rng = np.random.default_rng([seed, 6])
    called = [topic.kind.split() for topic in topics]
    for row in range(n):
        topic = topics[row % len(topics)]
        if mixed:
            drawn = tuple(nouns[k] for k in rng.choice(len(nouns), 6, replace=False))
            like, noun = called[int(rng.integers(len(called)))][0], topic.noun
            topic = Topic(topic.name, noun, f"{like} {noun}", drawn)
        name = new_names(1, rng, world.names)[0]
        yield make_passage(topic, name, world.settings, rng, world.names, number=row)


def make_passage(
    topic: Topic,
    name: str,
    settings: WorldSettings,
    rng: np.random.Generator,
    taken: frozenset[str] = frozenset(),
    *,
    number: int | None = None,
) -> Passage:
    """Return a passage about an entity with new facts; `number` tells apart passages about the same name.

    Names that are `taken` are not given to others that it mentions.
    """
    drawn = [topic.relations[k] for k in rng.permutation(len(topic.relations))[: settings.facts]]
    facts = [draw_fact(name, noun, rng) for noun in drawn]
    return write_passage(topic, facts, settings, rng, taken, number=number)


def draw_fact(entity: str, noun: str, rng: np.random.Generator, other_than: str = "") -> Fact:
    """Return a fact with a value drawn at random, other than the one given."""
    values = [value for value in every_value(noun) if value != other_than]
    return Fact(entity, noun, values[int(rng.integers(len(values)))])


def write_passage(
    topic: Topic,
    facts: Sequence[Fact],
    settings: WorldSettings,
    rng: np.random.Generator,
    taken: frozenset[str] = frozenset(),
    *,
    number: int | None = None,
) -> Passage:
    """Return a passage of 5 to 9 sentences that states these facts of one entity, in an order and words drawn anew."""
    name = facts[0].entity
    opening = Sentence(f"{name} is a {topic.kind}.", (Fact(name, KIND, topic.kind),), None, False, name)
    told = [facts[k] for k in rng.permutation(len(facts))]
    body: list[Sentence] = []
    if rng.random() < settings.doubles:
        body.append(_double(told.pop(), told.pop(), topic, settings, rng))
    spread = rng.random() < settings.spread and bool(told)
    body += [_stated(fact, topic, settings, rng) for fact in (told[1:] if spread else told)]
    body = [body[k] for k in rng.permutation(len(body))]
    low, high = settings.fillers
    for _ in range(int(rng.integers(low, high + 1))):
        fails = list(FILLERS)[int(rng.integers(len(FILLERS)))]
        place = int(rng.integers(1, len(body) + 1))
        filler = _filler(fails, topic, facts, body[:place], settings, rng, taken)
        if 1 + len(body) + 2 * spread < LONGEST:
            body.insert(place, filler)
    if spread:  # last, so that nothing comes between its two sentences
        place = int(rng.integers(0, len(body) + 1))
        body[place:place] = _two_sentences(told[0], topic, settings, rng)
    sentences = (opening, *body)
    mark = f"{topic.name}/{name}" + ("" if number is None else f"#{number}")
    document = Document(mark, name, tuple(one.text for one in sentences))
    return Passage(document, topic.name, sentences)


def reworded(world: Encyclopedia, passage: Passage, n: int, *, seed: int) -> list[Passage]:
    """Return n passages that state the same facts in other words and another order, with the same id.

    Words and order are drawn anew for every passage: they depend on the seed and on the document's id.
    """
    own = int.from_bytes(hashlib.sha256(passage.document.id.encode()).digest()[:8])
    rng = np.random.default_rng([seed, 7, own])
    topic = TOPICS[passage.topic]
    return [write_passage(topic, passage.facts, world.settings, rng, world.names) for _ in range(n)]


def new_names(n: int, rng: np.random.Generator, taken: frozenset[str]) -> list[str]:
    """Return n different names that are not taken."""
    found: dict[str, None] = {}
    while len(found) < n:
        first, second = rng.choice(len(NAMES), 2, replace=False)
        name = f"{NAMES[first]} {NAMES[second]}"
        if name not in taken:
            found[name] = None
    return list(found)


def _subject(name: str, topic: Topic, settings: WorldSettings, rng: np.random.Generator) -> tuple[str, bool]:
    """Return how a sentence calls its entity, and whether the passage is needed to know whom it means."""
    if rng.random() < settings.pronouns:
        return ("the " if rng.random() < 0.5 else "this ") + topic.noun, True
    return name, False


def _stated(fact: Fact, topic: Topic, settings: WorldSettings, rng: np.random.Generator) -> Sentence:
    subject, needs = _subject(fact.entity, topic, settings, rng)
    templates = wording.OF_IT if needs and rng.random() < 0.5 else wording.STATED
    text = say(pick(templates, rng), s=subject, r=fact.relation, v=fact.value)
    return Sentence(text, (fact,), None, needs, fact.entity)


def _double(a: Fact, b: Fact, topic: Topic, settings: WorldSettings, rng: np.random.Generator) -> Sentence:
    subject, needs = _subject(a.entity, topic, settings, rng)
    text = say(pick(wording.BOTH_STATED, rng), s=subject, r=a.relation, v=a.value, q=b.relation, w=b.value)
    return Sentence(text, (a, b), None, needs, a.entity)


def _two_sentences(
    fact: Fact, topic: Topic, settings: WorldSettings, rng: np.random.Generator
) -> list[Sentence]:
    subject, needs = _subject(fact.entity, topic, settings, rng)
    first = say(pick(wording.ANNOUNCED, rng), s=subject, r=fact.relation)
    second = say(pick(wording.FOLLOWED, rng), v=fact.value)
    return [
        Sentence(first, (), "informative", needs, fact.entity),
        Sentence(second, (fact,), None, True, fact.entity),
    ]


def _filler(
    fails: str,
    topic: Topic,
    facts: Sequence[Fact],
    before: Sequence[Sentence],
    settings: WorldSettings,
    rng: np.random.Generator,
    taken: frozenset[str],
) -> Sentence:
    """Return a sentence that fails one criterion. A repetition repeats what stands `before` it."""
    name = facts[0].entity
    subject, needs = _subject(name, topic, settings, rng)
    fact, about = facts[int(rng.integers(len(facts)))], name
    if fails == "new":
        said = [one for sentence in before if not sentence.fails for one in sentence.facts]
        fact = said[int(rng.integers(len(said)))]
    elif fails == "clear":
        fact = draw_fact(name, fact.relation, rng, other_than=fact.value)
    elif fails == "relevant":
        about = new_names(1, rng, taken | {name})[0]
        fact = draw_fact(about, fact.relation, rng)
        needs = False
    text = say(pick(FILLERS[fails], rng), s=subject, o=about, r=fact.relation, v=fact.value)
    stated = (fact,) if fails in ("new", "relevant") else ()
    return Sentence(text, stated, fails, needs, about)
