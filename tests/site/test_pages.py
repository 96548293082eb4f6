"""What holds for every page of any rendered book; `make site` runs this on the real one.

`desk` and `phone` are opened once a page; the tests that press keys come after those that only look, and the test
that nothing went wrong comes last.
"""

from __future__ import annotations

import os
import re
import statistics

import pytest

pytestmark = pytest.mark.site

MAX_BYTES = 3_000_000
MAX_SECONDS = 1.5
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
SERIOUS = """async (rules) => {
  const options = {resultTypes: ['violations']};
  if (rules) options.runOnly = {type: 'rule', values: rules};
  const found = await axe.run({exclude: [['mjx-container']]}, options);
  return found.violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(
    v => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 200)} ${(v.nodes[0].any[0] || {}).message || ''}`);
}"""
SKIPPED_LEVELS = """() => {
  const names = ['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map(h => 'article.bd-article ' + h).join();
  const levels = [...document.querySelectorAll(names)].map(e => [Number(e.tagName[1]), e.innerText]);
  return levels.filter((one, k) => one[0] > (k ? levels[k - 1][0] : 0) + 1).map(one => one[1]);
}"""
SILENT = """() => [...document.querySelectorAll('figure.msig-figure')].filter(
  f => f.querySelector('svg, img, canvas')
    && !f.querySelector('svg[role=img][aria-label], img[alt]:not([alt=""]), .msig-said, table')).map(f => f.id)"""


WORDS = """() => {
  const words = (document.querySelector('article') || document.body).cloneNode(true);
  words.querySelectorAll('pre, code, mjx-container, script, svg').forEach(e => e.remove());
  return words.textContent;
}"""
UNSET = """() => [...document.querySelectorAll('article span.math, article div.math')].filter(
  e => !e.querySelector('mjx-container')).map(e => e.textContent.slice(0, 80))"""
LEFT_OVER = re.compile(r"\\[(\[]|\\(frac|mathbf|log|le|ge|sum)\b")  # LaTeX that nobody set
LINKS = """() => [...new Set([...document.links].map(a => a.href.split('#')[0]))].filter(
  h => h.startsWith(location.origin))"""
SQUEEZED = """() => [...document.querySelectorAll('.msig-scroll')].filter(
  e => e.checkVisibility() && e.clientWidth < 60).map(e => e.getAttribute('aria-label'))"""
CUT = """() => [...document.querySelectorAll('mjx-container:not([display])')].filter(e => e.checkVisibility()
  && e.querySelector('mjx-math').getBoundingClientRect().width
    > Math.min(e.getBoundingClientRect().width, e.parentElement.getBoundingClientRect().width) + 2
  ).map(e => e.textContent)"""
SPILT = """() => [...document.querySelectorAll('table.msig-claims')].filter(
  e => e.getBoundingClientRect().right > e.parentElement.getBoundingClientRect().right + 1).length"""
LOADS: dict[str, float] = {}


def test_a_phone_shows_all_without_scrolling_sideways(phone):
    page = phone.page
    assert not page.evaluate(TOO_WIDE)
    assert page.locator("h1").count() == 1
    assert page.evaluate(SKIPPED_LEVELS) == []
    assert page.evaluate(SILENT) == []
    assert page.evaluate(SQUEEZED) == []


def test_a_phone_shows_whole_formulas_in_its_text(phone):
    phone.page.wait_for_function(f"() => ({UNSET})().length === 0")
    assert phone.page.evaluate(CUT) == []


def test_dark_has_contrast(phone, axe):
    phone.page.evaluate(axe)
    assert phone.page.evaluate(SERIOUS, ["color-contrast", "link-in-text-block"]) == []


def test_a_phone_sees_no_error(phone):
    assert phone.problems == []


def test_a_desk_has_no_sideways_scrolling(desk):
    assert not desk.page.evaluate(TOO_WIDE)
    assert desk.page.evaluate(SQUEEZED) == []


def test_claims_keep_to_their_column_at_every_width(desk):
    try:
        for width in (1440, 1200, 1000, 820):
            desk.page.set_viewport_size({"width": width, "height": 900})
            assert not desk.page.evaluate(SPILT), width
            assert not desk.page.evaluate(TOO_WIDE), width
    finally:
        desk.page.set_viewport_size({"width": 1440, "height": 900})


def test_page_is_light(desk):
    LOADS[desk.name] = desk.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")
    heaviest = sorted(desk.sizes.items(), key=lambda item: -item[1])[:4]
    assert 0 < sum(desk.sizes.values()) < MAX_BYTES, heaviest


def test_formulas_are_set(desk):
    try:
        desk.page.wait_for_function(f"() => ({UNSET})().length === 0")
    except Exception:  # Playwright is not imported where there is no browser
        assert desk.page.evaluate(UNSET) == []
    assert desk.page.locator("article mjx-merror").count() == 0
    assert not LEFT_OVER.search(desk.page.evaluate(WORDS))


def test_no_serious_barrier(desk, axe):
    desk.page.evaluate(axe)
    assert desk.page.evaluate(SERIOUS, None) == []


def test_links_and_downloads_are_there(desk):
    """Every file that is linked is answered (anchors: msig_lib.site.check looks at those of every build)."""
    links = desk.page.evaluate(LINKS)
    assert [link for link in links if desk.page.request.fetch(link, method="HEAD").status >= 400] == []


def test_explorers_move_with_every_control(desk):
    for root in desk.page.locator("[data-msig-explorer]").all():
        root.locator(".msig-controls").wait_for(state="visible")
        for control in root.locator(".msig-control select, .msig-control input").all():
            control.focus()
            seen = {root.get_attribute("data-frame")}
            for key in ("End", "Home"):  # of a slider and of a list alike
                desk.page.keyboard.press(key)
                seen.add(root.get_attribute("data-frame"))
            several = control.evaluate("e => (e.options ? e.options.length : Number(e.max) + 1) > 1")
            assert len(seen) > 1 or not several, f"{root.get_attribute('id')} does not move"
        assert root.locator(".msig-said").inner_text().strip()
        assert root.locator(".msig-frame").inner_html().strip()


def test_a_desk_sees_no_error(desk):
    assert desk.problems == []


def test_pages_load_fast_at_the_median():
    if not LOADS:
        pytest.skip("no page was opened")
    median = statistics.median(LOADS.values())
    busy = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0
    if median >= MAX_SECONDS and busy > 1.5:
        pytest.skip(f"median load {median:.2f} s, but the machine is busy (load {busy:.1f} a core)")
    assert median < MAX_SECONDS, sorted(LOADS.items(), key=lambda item: -item[1])[:5]
