from collections import Counter

import numpy as np
import pytest
from mi_articles import SMALL, doc

from msig_lib.mining.library import LocalLibrary, TfIdf, stems


def test_scores_are_cosines_of_title_and_text():
    """Against tf-idf written out: 1 + ln(tf), ln((1 + n) / (1 + df)) + 1, vectors of length 1."""
    whole = [Counter(stems(f"{one.title} {one.text}")) for one in SMALL]
    df = Counter(word for counts in whole for word in counts)

    def vector(text):
        counts = {word: c for word, c in Counter(stems(text)).items() if word in df}
        weights = {
            word: (1 + np.log(c)) * (np.log((1 + len(SMALL)) / (1 + df[word])) + 1)
            for word, c in counts.items()
        }
        norm = np.sqrt(sum(w * w for w in weights.values())) or 1
        return {word: w / norm for word, w in weights.items()}

    def cosine(a, b):
        return sum(w * b.get(word, 0) for word, w in a.items())

    for query in ("steam engines", "plants that heal a boiler", "unheard of"):
        asked = vector(query)
        expected = [cosine(asked, vector(one.title)) + cosine(asked, vector(one.text)) for one in SMALL]
        assert np.allclose(TfIdf(SMALL).scores(query), expected)


def test_plurals_are_singulars():
    assert stems("Engines, BODIES of gas; buses pass a class's axes! I") == (
        "engine body of gas buse pass class axe".split()
    )


def test_search_is_ranked_and_ties_keep_their_order():
    library = LocalLibrary(SMALL)
    assert library.search("steam engines", 9) == ["Steam engine", "Boiler"]
    assert library.search("heals", 2) == ["Herb", "Second herb"]
    same = LocalLibrary([doc(f"t{i}", "A plant that heals.") for i in (5, 1, 4, 2)])
    assert same.search("plants that heal", 3) == ["t5", "t1", "t4"]
    assert library.search("unheard of", 9) == [] == library.search("", 9) == library.search("steam", 0)
    assert library.article("Herb") is SMALL[2] and library.article("herb") is None


def test_library_needs_titles_of_their_own_and_words():
    with pytest.raises(ValueError, match="title 'Herb'"):
        LocalLibrary([*SMALL, doc("Herb", "Another.", "other")])
    for documents in ([], [doc("", "- -")]):
        with pytest.raises(ValueError, match="without a word"):
            LocalLibrary(documents)


def test_fingerprint_names_the_documents():
    made = {LocalLibrary(SMALL[:k]).fingerprint for k in (5, 6)}
    made.add(LocalLibrary([*SMALL[:5], doc("Fourth", "A plant that|heals.")]).fingerprint)
    assert len(made) == 3 and LocalLibrary(SMALL, "x").fingerprint in made
