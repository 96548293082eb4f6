"""Assembling and rendering: what ends up where, and what is told when something is wrong."""

import csv
import json
import re
from dataclasses import replace
from html import unescape

import fake
import pytest

from msig_lib import site
from msig_lib.site import chapters, claims_table, details, html, ledger, start
from msig_lib.site.assemble import with_buttons
from msig_lib.site.html import duration


@pytest.fixture
def chapter(tmp_path):
    return chapters.load(tmp_path, {fake.CHAPTER: fake.run(tmp_path / "run")})[0]


def entries(built=(fake.CHAPTER,)):
    return ledger.entries(fake.verdicts(), built=built)


def text(book, name):
    return (book / name).read_text(encoding="utf-8")


def test_built_book_passes_its_own_check(book):
    assert site.check(book) == []


def test_start_page_has_cards_figure_and_counts(book):
    page = text(book, "index.html")
    planned = len(chapters.load(fake.project().book, {})) - 1
    assert page.count('class="msig-card"') == 1 and page.count("msig-card-planned") == planned > 4
    thumb = re.search(r'<div class="msig-thumb"><svg (.*?)</svg>', page, re.DOTALL)[1]
    assert "Six rising curves" in thumb and "min-width" not in thumb and "1 min 23 s" in page
    assert re.findall(r"<strong>(\d+)</strong><span class=\"msig-badge", page) == ["1"] * 5


def test_start_page_shows_what_surprises_most_with_computed_numbers(book):
    shown = re.search(r'<section class="msig-surprise".*?</section>', text(book, "index.html"), re.DOTALL)[0]
    assert "A statement about svm." in shown and "contradicted" in shown
    assert "0.200" in shown and "0.220" in shown and "−0.020</strong> [−0.030, −0.010]" in shown
    assert f'href="{fake.CHAPTER}.html#explore"' in shown


def test_a_finding_that_is_as_stated_is_no_surprise(chapter):
    known = {line.id: line for line in entries()}
    assert start.surprise([replace(chapter, finding="ch02-words")], known) is None
    unsurprising = replace(chapter, finding="ch02-words", surprise=True)
    contradicted = replace(chapter, finding="ch02-svm")
    assert start.surprise([unsurprising, contradicted], known) == (contradicted, known["ch02-svm"])


def test_a_card_that_names_an_unknown_claim_is_told(chapter):
    with pytest.raises(site.SiteError, match=r"no claim 'ch02-nothing'; its claims: ch02-words, ch02-svm"):
        start.page([replace(chapter, finding="ch02-nothing")], entries(), "quick", "")


def test_a_card_shows_the_figure_it_names(chapter):
    other = {**fake.outputs()["cover"]}
    other["text/html"] = other["text/html"].replace("fig-fake-growth", "fig-second")
    cells = [
        *chapter.cells(),
        {"cell_type": "code", "metadata": {}, "outputs": [{"data": other}], "source": ""},
    ]
    both = replace(chapter, notebook={"cells": cells})
    assert 'id="fig-fake-growth"' in both.cover()
    assert 'id="fig-second"' in replace(both, figure="second").cover()


def test_a_tall_figure_shows_its_top_on_a_card_and_a_heavy_one_nothing():
    wide, tall = (f'<figure><svg viewBox="0 0 300 {height}"><g/></svg></figure>' for height in (200, 600))
    assert "slice" not in start.thumbnail(wide) and "xMidYMin slice" in start.thumbnail(tall)
    assert start.thumbnail(None) == "" == start.thumbnail(wide.replace("<g/>", "<g/>" * start.MAX_THUMBNAIL))


def test_chapter_ends_with_claims_and_run_details(book):
    page = text(book, f"{fake.CHAPTER}.html")
    for piece in (
        "A statement about words.",
        "+0.031",
        "c0ffeec0ffee",
        "0.89 GiB",
        "1 min 11 s",
        "A processor, 2 cores",
        "torch 2.13.0",
    ):
        assert piece in page
    # epochs is the notebook's own and seeds the tier's, so only the changed parameter is part of the command
    words = re.sub(r"<[^>]+>", "", page)
    assert f"msig run {fake.CHAPTER} --tier quick -p n_words=16 --force" in words


def test_our_names_are_code_and_nothing_of_thebe_is_left(book):
    page = text(book, f"{fake.CHAPTER}.html")
    assert re.search(r"<code[^>]*>(<span[^>]*>)?msig_lib\.display", page)
    assert "unpkg" not in page and "x-thebe-config" not in page


def test_every_claim_links_to_the_cell_that_measured_it(book):
    page, card = text(book, f"{fake.CHAPTER}.html"), text(book, "scorecard.html")
    for anchor in ("results", "scores", "explore"):
        assert f'href="{fake.CHAPTER}.html#{anchor}"' in card
        assert page.count(f'id="{anchor}"') == 1


def test_errata_point_to_notebook_and_ledger(book):
    page = text(book, "errata.html")
    assert f'href="{fake.CHAPTER}.html#scores"' in page and 'href="scorecard.html#claim-ch02-bound"' in page


def test_downloads_hold_the_same_ledger(book):
    told = json.loads(text(book, "_static/scorecard.json"))
    rows = list(csv.DictReader(text(book, "_static/scorecard.csv").splitlines()))
    assert told["tier"] == "quick"
    for claim, row, verdict in zip(told["claims"], rows, fake.verdicts(), strict=True):
        assert claim["id"] == row["id"] == verdict.claim.id
        assert claim["verdict"] == row["verdict"] == verdict.verdict
        assert claim["estimate"] == verdict.estimate
        assert row["lo"] == ("" if verdict.lo is None else str(verdict.lo))


def test_claims_of_chapters_without_a_page_have_no_link():
    assert all(not line.link for line in entries(built=()))
    assert "href" not in claims_table.table(entries(built=()), caption="c", chapters=True)


@pytest.mark.parametrize("direction", ["greater", "less", "equal", "not_greater"])
def test_interval_is_drawn_within_its_box(direction):
    drawing = claims_table._interval(0.5, -0.1, 0.9, 0.2, direction)
    values = [float(v) for v in re.findall(r'(?:x1|x2|x|cx)="([\d.]+)"', drawing)]
    assert all(0 <= value <= 144 for value in values)
    bar = re.search(r'class="bar" x1="([\d.]+)" x2="([\d.]+)"', drawing)
    assert float(bar[1]) < 72 < float(bar[2])


def test_unknown_anchor_is_told_with_those_there_are(chapter):
    line = next(line for line in entries() if line.anchor == "scores")
    wrong = ledger.Entry(**{**vars(line), "anchor": "nowhere"})
    with pytest.raises(site.SiteError, match=r"claim ch02-bound points to 'nowhere'.*results.*scores"):
        details.page(chapter, [wrong], tier="quick", defaults={})


def test_a_target_that_another_notebook_has_too_stays_an_anchor_of_its_page(chapter):
    cell = {"cell_type": "markdown", "metadata": {}, "source": "(cost)=\n## What it costs"}
    both = replace(chapter, notebook={**chapter.notebook, "cells": [*chapter.cells(), cell]})
    line = replace(entries()[0], anchor="cost")
    alone, shared = (
        json.dumps(details.page(both, [line], tier="quick", defaults={}, shared=names))
        for names in ((), {"cost"})
    )
    anchor = 'id=\\"cost\\"'
    assert "(cost)=" in alone and anchor not in alone
    assert "(cost)=" not in shared and anchor in shared and "What it costs" in shared


def test_smoke_pages_say_that_their_numbers_mean_nothing(chapter):
    smoke, quick = (details.page(chapter, [], tier=tier, defaults={}) for tier in ("smoke", "quick"))
    assert "mean nothing" in json.dumps(smoke) and "mean nothing" not in json.dumps(quick)


def test_the_run_is_not_changed_by_its_page(chapter):
    before = json.dumps(chapter.notebook)
    details.page(chapter, entries(), tier="quick", defaults={})
    assert json.dumps(chapter.notebook) == before


def test_long_texts_and_names_in_tables_have_room(chapter):
    cell = {"cell_type": "code", "source": "", "metadata": {}, "execution_count": 1, "outputs": [
        {"output_type": "execute_result", "metadata": {}, "data": {"text/html": text}} for text in (
            ['<div class="msig-table">', f"<td>{'a word ' * 9}</td><td>short</td>"],
            '<div class="msig-table"><th scope="row">a name of some words</th><th scope="row">short</th></div>',
            f"<td>{'a word ' * 9}</td>",
        )
    ]}  # fmt: skip
    chapter.notebook["cells"].append(cell)
    cells = details.page(chapter, [], tier="quick", defaults={})["cells"]
    found = next(one["outputs"] for one in cells if len(one.get("outputs", ())) == 3)
    first, second, third = (one["data"]["text/html"] for one in found)
    assert '<td class="msig-long">a word' in first and "<td>short</td>" in first
    assert '<th scope="row" class="msig-named">a name' in second and '<th scope="row">short' in second
    assert "msig-long" not in third


def test_missing_provenance_is_told(tmp_path):
    run = fake.run(tmp_path / "run")
    (run / "provenance.json").unlink()
    with pytest.raises(site.SiteError, match=r"no provenance\.json; run it again: msig run"):
        chapters.load(tmp_path, {fake.CHAPTER: run})


def test_buttons_only_with_a_repository():
    given = {
        "repository": {"url": "", "branch": "main"},
        "launch_buttons": {"notebook_interface": "jupyterlab"},
    }
    without = with_buttons(given)
    assert "launch_buttons" not in without and not without["html"]["use_repository_button"]
    known = with_buttons({**given, "repository": {"url": "https://example.org/a/b", "branch": "main"}})
    assert known["html"]["use_repository_button"] and known["launch_buttons"]["binderhub_url"]
    assert known["repository"]["path_to_book"] == "notebooks"


def test_a_chapter_can_be_launched_and_downloaded(book):
    page = unescape(text(book, f"{fake.CHAPTER}.html"))
    launch = re.search(r'href="(https://mybinder\.org/[^"]*)"', page)[1]
    assert launch.endswith(f"/somebody/book/main?urlpath=lab/tree/notebooks/{fake.CHAPTER}.ipynb")
    assert f'href="{fake.REPOSITORY}"' in page
    (source,) = set(re.findall(r'href="(_sources/[^"]*\.ipynb)"', page))
    cells = json.loads(text(book, source))["cells"]
    assert any("Six rising curves" in json.dumps(cell.get("outputs", "")) for cell in cells)


def test_broken_page_gives_the_reason_and_keeps_the_earlier_book(tmp_path):
    project = fake.checkout(tmp_path)
    page = project.book / "notation.md"
    page.write_text("# Notation\n\nSee [nothing](nowhere.md).\n", encoding="utf-8")
    (project.build / "book").mkdir(parents=True)
    (project.build / "book" / "index.html").write_text("earlier")
    with pytest.raises(site.SiteError) as caught:
        site.build(project, {}, "quick", [])
    assert re.search(r"notation\.md:3: WARNING: .*nowhere", str(caught.value).splitlines()[-1])
    assert (project.build / "book" / "index.html").read_text() == "earlier"
    assert [path.name for path in project.build.iterdir() if path.name.startswith(".book")] == []


@pytest.mark.parametrize(
    "seconds,shown",
    [(4.23, "4.2 s"), (59.99, "60.0 s"), (83.2, "1 min 23 s"), (185, "3 min 05 s"), (4320, "1 h 12 min")],
)
def test_duration(seconds, shown):
    assert duration(seconds) == shown


def test_errata_have_a_plural():
    one, two = (html.badges(["erratum"] * n) for n in (1, 2))
    assert "1 erratum" in one and "2 errata" in two and "msig-erratum" in two
