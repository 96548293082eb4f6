"""A handful of articles to search in."""

from msig_lib.mining.documents import Document


def doc(title, text, id=None):
    return Document(id or title, title, tuple(text.split("|")))


SMALL = [
    doc("Boiler", "A boiler makes steam and steam and more steam.|Engines use it."),
    doc("Steam engine", "An engine runs on steam."),
    doc("Herb", "A plant that heals."),
    doc("Second herb", "A plant that heals."),
    doc("Third", "A plant that heals."),
    doc("Fourth", "A plant that heals."),
]
