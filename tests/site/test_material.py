"""Pages of material: glossary, run statistics, environment, how to cite."""

import re
from dataclasses import replace

import fake
import pytest

from msig_lib import site
from msig_lib.site import chapters, glossary, material


@pytest.fixture
def chapter(tmp_path):
    return chapters.load(fake.project().book, {fake.CHAPTER: fake.run(tmp_path / "run")})[0]


def terms(tmp_path, text):
    (tmp_path / "glossary.yml").write_text(text, encoding="utf-8")
    return glossary.load(tmp_path / "glossary.yml")


def test_glossary_is_sorted_and_links_only_to_chapters_of_the_build(tmp_path, chapter):
    given = f"- {{term: zebra, also: [horse], says: Striped., chapters: [{chapter.name}, ch07_visual_reasoning]}}\n"
    found = terms(tmp_path, given + "- {term: Ant, says: Small.}\n")
    planned = replace(
        chapter, name="ch07_visual_reasoning", title="Planned", notebook=None, number=7, short=""
    )
    page = glossary.page(found, [chapter, planned])
    assert page.index("Ant") < page.index("zebra\nhorse\n  Striped. *In:*")
    assert f"<{chapter.name}>`, 7.\u00a0Planned." in page


@pytest.mark.parametrize(
    "text,told",
    [
        ("- {term: a, says: b}\n- {term: c, also: [A], says: d}", "explains 'A' twice"),
        ("- {term: a}", "says: Field required"),
        ("- {term: a, says: b, chapter: ch02}", "chapter: Extra inputs"),
    ],
)
def test_glossary_says_what_is_wrong(tmp_path, text, told):
    with pytest.raises(site.SiteError, match=told):
        terms(tmp_path, text)


def test_glossary_of_an_unknown_chapter_is_told(tmp_path, chapter):
    found = terms(tmp_path, "- {term: a, says: b, chapters: [ch99]}")
    with pytest.raises(site.SiteError, match="unknown chapter 'ch99'; there are: ch02_extreme"):
        glossary.page(found, [chapter])


def test_every_method_is_in_the_glossary():
    known = glossary.load(fake.project().book / "glossary.yml")
    names = {name.lower() for term in known for name in (term.term, *term.also)}
    cards = chapters.load(fake.project().book, {})
    assert {one.short.lower() for one in cards if one.short != "Theory"} <= names


def test_statistics_tell_clock_and_cpu_time_and_the_cache(chapter):
    fresh, kept = (
        material.statistics([chapter], names).replace("\N{NO-BREAK SPACE}", " ")
        for names in ((), {chapter.name})
    )
    for piece in ("1 min 23 s", "1 min 11 s", "0.89 GiB", "1 min 01 s", "0123456789ab"):
        assert piece in fresh
    assert "took 0 from the cache" in fresh and "took 1 from the cache" in kept
    earlier = {k: v for k, v in chapter.provenance.items() if k != "cpu_seconds"}
    assert "not\N{NO-BREAK SPACE}taken" in material.statistics([replace(chapter, provenance=earlier)])


def test_environment_names_pins_of_direct_and_other_packages(book):
    page = re.sub(r"<[^>]+>", " ", (book / "environment.html").read_text(encoding="utf-8"))
    lock = (fake.project().root / "requirements.lock").read_text(encoding="utf-8")
    for name in ("torch", "jupyter-book"):
        version = re.search(rf"^{name}==(.*)$", lock, re.MULTILINE)[1]
        assert re.search(rf"{name}\s+{re.escape(version)}", page)
    assert "A processor, 2 cores, 8 GiB of memory" in page and "packages that these bring along" in page
    assert (book / "_static" / "requirements.lock").read_text(encoding="utf-8") == lock


def test_cite_has_bibtex_of_book_thesis_and_paper(book):
    page = re.sub(r"<[^>]+>", "", (book / "cite.html").read_text(encoding="utf-8"))
    for piece in (
        "@software{msig,",
        "version = {0.1.0}",
        "@phdthesis{zhang2025thesis,",
        "@inproceedings{zhang2023depl,",
    ):
        assert piece in page
