"""The small book in a real browser: explorers, filter, search, theme and downloads do what they say."""

import json
from urllib.parse import quote

import fake
import pytest

pytestmark = pytest.mark.site

CHAPTER = f"{fake.CHAPTER}.html"


def test_formulas_are_rendered_in_text_captions_and_sentences(visit):
    page = visit(CHAPTER)
    page.wait_for_selector(".msig-figure figcaption mjx-container")
    assert page.locator("article mjx-container").count() >= 5
    assert "\\(" not in page.locator("article").inner_text()


def test_wide_table_scrolls_inside_itself_and_by_keyboard(visit):
    page = visit(CHAPTER, width=390)
    region = page.locator(".msig-scroll").first
    assert region.evaluate("e => e.scrollWidth > e.clientWidth")
    region.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("e => e.scrollLeft > 0", arg=region.element_handle())


def test_panels_stand_side_by_side_and_stack_on_a_phone(visit):
    def boxes(width):
        panels = visit(CHAPTER, width=width).locator("#fig-fake-growth .msig-panel")
        return [panels.nth(k).bounding_box() for k in range(2)]

    one, two = boxes(1440)
    assert one["y"] == two["y"] and two["x"] >= one["x"] + one["width"]
    one, two = boxes(390)
    assert two["y"] >= one["y"] + one["height"] and one["width"] > 300


def test_theme_switch_recolours_figures(visit):
    page = visit(CHAPTER)

    def colours():
        return page.evaluate(
            """() => [getComputedStyle(document.querySelector('.msig-figure text')).fill,
                      getComputedStyle(document.body).backgroundColor,
                      getComputedStyle(document.querySelector('.msig-figure').parentElement).backgroundColor]"""
        )

    text, ground, behind = colours()
    button = page.locator("button.theme-switch-button:visible").first
    for _ in range(3):
        button.click()
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    dark_text, dark_ground, dark_behind = colours()
    assert (dark_text, dark_ground) != (text, ground) and dark_text != text and dark_ground != ground
    assert behind == dark_behind == "rgba(0, 0, 0, 0)"


def test_explorer_moves_by_keyboard_and_says_so(visit):
    page = visit(CHAPTER)
    root = page.locator("#fig-fake-power")
    said, drawing = root.locator(".msig-said"), root.locator(".msig-frame path").last
    assert said.inner_text() == "A blue curve of exponent 1."
    before = root.locator(".msig-frame").inner_html()
    slider = root.get_by_label("exponent")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert said.inner_text() == "A blue curve of exponent 2."
    assert slider.get_attribute("aria-valuetext") == "2.0"
    assert root.locator("output").inner_text() == "2.0"
    assert root.locator(".msig-frame").inner_html() != before
    root.get_by_label("colour").select_option("green")
    assert said.inner_text() == "A green curve of exponent 2."
    assert drawing.count() == 1


def test_scorecard_filters(visit):
    page = visit("scorecard.html")
    rows = page.locator("tr[data-claim]:visible")
    assert rows.count() == 5
    page.get_by_label("Verdict").select_option("contradicted")
    assert rows.count() == 1 and "svm" in rows.first.inner_text()
    assert page.locator("[data-count]").inner_text() == "1 of 5 claims"
    page.get_by_label("Chapter").select_option(fake.CHAPTER)
    assert rows.count() == 1
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("document.querySelector('[data-count]').textContent === '5 claims'")
    page.get_by_label("Words").fill("about PSP")
    assert rows.count() == 1
    page.get_by_label("Words").fill("")
    page.get_by_label("Tier").select_option("full")
    assert rows.count() == 1 and "wiki" in rows.first.inner_text()


def test_a_count_on_the_start_page_leads_to_its_claims(visit):
    page = visit("index.html")
    page.locator(".msig-counts a", has_text="erratum").click()
    page.wait_for_selector("[data-msig-filter]:visible")
    assert page.locator("tr[data-claim]:visible").count() == 1


def test_everything_is_there_without_script(visit):
    page = visit("scorecard.html", script=False)
    assert page.locator("tr[data-claim]:visible").count() == 5
    assert page.locator("form[data-msig-filter]:visible").count() == 0
    page = visit(CHAPTER, script=False)
    assert page.locator("#fig-fake-power svg:visible").count() == 1
    assert page.locator("#fig-fake-power input:visible").count() == 0


def test_downloads(visit, book):
    page = visit("scorecard.html")
    with page.expect_download() as got:
        page.get_by_role("link", name="JSON").click()
    ledger = json.loads(got.value.path().read_text())
    assert [claim["verdict"] for claim in ledger["claims"]] == [v.verdict for v in fake.verdicts()]
    with page.expect_download() as got:
        page.get_by_role("link", name="CSV").click()
    assert len(got.value.path().read_text().splitlines()) == 6


def test_search_finds_a_word_of_a_chapter(visit):
    page = visit("search.html?q=breaks")
    page.wait_for_selector("#search-results li a")
    assert CHAPTER in page.locator("#search-results li a").first.get_attribute("href")


@pytest.mark.parametrize(
    "words,term", [("PSP@k", "PSP-k"), ("DPO", "DPO"), ("Johnson-Lindenstrauss", "Johnson-")]
)
def test_search_finds_methods_and_equations_by_name_first_in_the_glossary(visit, words, term):
    page = visit(f"search.html?q={quote(words)}")
    page.wait_for_selector("#search-results li a")
    assert f"glossary.html#term-{term}" in page.locator("#search-results li a").first.get_attribute("href")
