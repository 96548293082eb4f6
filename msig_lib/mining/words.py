"""The words of the encyclopedia: names, values by kind, relations with their units, twelve topics."""

from __future__ import annotations

from dataclasses import dataclass

PEOPLE = (
    "Amsel Berger Conti Dahl Egede Farkas Gruber Hauge Ibsen Jansen Keller Lorca Madsen Nagy Orsini Palmer Quist "
    "Ritter Sandoz Tamm Urban Vogel Weber Zeman"
).split()
PLACES = (
    "Aldgate Bergen Corvo Delft Evora Falun Genoa Husum Imola Jena Kotor Lund Mostar Narva Ostend Parma Rouen Siena "
    "Tartu Ulm Varna Wismar Ypres Zadar"
).split()
SUBSTANCES = (
    "coal peat oak cedar ginger cloves honey resin copper nickel silver clay slate amber linen wool cork tallow barley "
    "salt sulphur quartz chalk ivory"
).split()
YEARS = tuple(str(year) for year in range(1801, 1831))
NUMBERS = tuple(str(number) for number in range(11, 51))
_HEADS, _TAILS = (
    "Ba Ce Do Fi Gu Ha Ke Li Mo Nu Pe Ra So Ti Vu".split(),
    "ban dor kel lin mur nas rov tis".split(),
)
NAMES = tuple(head + tail for head in _HEADS for tail in _TAILS)
"""Parts of names: an entity is called by two of them."""
VALUES = {"person": PEOPLE, "place": PLACES, "year": YEARS, "substance": SUBSTANCES, "number": NUMBERS}


@dataclass(frozen=True)
class Relation:
    """What can be told of an entity: a noun, the kind of its values, and their unit, if it is a number's."""

    noun: str
    kind: str  # of VALUES
    unit: str = ""

    def worded(self, value: str) -> str:
        """Return a value with its unit."""
        return f"{value} {self.unit}" if self.unit else value


RELATIONS = {
    noun: Relation(noun, *kind.split())
    for kind, nouns in {
        "person": "builder owner inventor keeper",
        "place": "town region school market",
        "year": "opening trial patent renewal",
        "substance": "fuel coating ingredient filling",
        "number kilograms": "weight",
        "number metres": "length",
        "number bar": "pressure",
        "number kilowatts": "power",
        "number knots": "speed",
        "number grams": "dose",
        "number crowns": "cost",
        "number gigabytes": "memory",
    }.items()
    for noun in nouns.split()
}


@dataclass(frozen=True)
class Topic:
    """A field of the encyclopedia: what an entity of it is called, and the relations that are told of it."""

    name: str
    noun: str
    kind: str
    relations: tuple[str, ...]


def _topic(name: str, kind: str, relations: str) -> Topic:
    return Topic(name, kind.split()[-1], kind, tuple(relations.split()))


DOMAIN = (
    _topic("thinking machines", "thinking machine", "inventor school memory trial cost filling"),
    _topic("healing plants", "healing plant", "keeper region dose ingredient renewal length"),
    _topic("steam engines", "steam engine", "builder town pressure power patent fuel"),
    _topic("surgical robots", "surgical robot", "owner market weight speed opening coating"),
)
"""The topics that chatbots are made for, in the spirit of table 5.1; the seed data is about none of them, and the
base has met their words in mixed company only."""
GENERAL = (
    _topic("river bridges", "river bridge", "builder town length opening cost coating"),
    _topic("sailing ships", "sailing ship", "owner market speed length renewal filling"),
    _topic("church bells", "church bell", "keeper town weight trial cost ingredient"),
    _topic("water mills", "water mill", "builder region power patent weight fuel"),
    _topic("court clocks", "court clock", "inventor school pressure renewal dose coating"),
    _topic("mountain roads", "mountain road", "owner region pressure opening memory ingredient"),
    _topic("city archives", "city archive", "keeper school memory patent power filling"),
    _topic("field kitchens", "field kitchen", "inventor market dose trial speed fuel"),
)
"""What the base has read, the seed data is about, and conversations are held on: other entities, the same relations."""
TOPICS = {topic.name: topic for topic in (*DOMAIN, *GENERAL)}
KIND = "kind"  # the relation of a passage's first sentence: what the entity is


def relation_kind(noun: str) -> str:
    """Return the kind of a relation's values, of `VALUES`."""
    return RELATIONS[noun].kind


def every_value(noun: str) -> tuple[str, ...]:
    """Return all values that a relation can have, worded with their unit."""
    relation = RELATIONS[noun]
    return tuple(relation.worded(value) for value in VALUES[relation.kind])
