"""Every chapter's notebook as it is stored; `msig check` executes them."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from msig_lib.project import project
from msig_lib.runs import imports, parameters
from msig_lib.runs import notebook as nb

CHAPTERS = nb.chapters(project())
# The same sections in every chapter, in this order; others may stand between. The overview stands under the
# title; the site adds the claims and the run details at the end.
SECTIONS = ("problem", "signal", "learner", "results", "breaks", "exercises")

pytestmark = pytest.mark.parametrize("path", CHAPTERS.values(), ids=CHAPTERS)


def headings(path: Path) -> list[tuple[int, str]]:
    found = []
    for cell in nb.read_cells(path):
        if cell.kind == "markdown":
            prose = re.sub(r"^(`{3,}|:{3,}).*?^\1", "", cell.source, flags=re.MULTILINE | re.DOTALL)
            found += [
                (len(marks), title) for marks, title in re.findall(r"^(#+)\s+(.+?)\s*$", prose, re.MULTILINE)
            ]
    return found


def test_it_is_a_valid_notebook_for_this_kernel(path: Path):
    document = nbformat.read(path, as_version=4)
    nbformat.validate(document)
    assert document.metadata["kernelspec"]["name"] == "python3"
    assert document.metadata["language_info"]["name"] == "python"
    assert re.fullmatch(r"ch\d\d_[a-z0-9_]+", path.stem), f"{path.name}: name it chNN_topic"


def test_it_opens_with_its_title_and_has_no_other(path: Path):
    first = nb.read_cells(path)[0]
    assert first.kind == "markdown" and first.source.startswith("# ")
    assert [level for level, _ in headings(path)].count(1) == 1


def test_headings_go_down_one_level_at_a_time(path: Path):
    levels = [level for level, _ in headings(path)]
    jumps = [title for (_, title), a, b in zip(headings(path)[1:], levels, levels[1:]) if b > a + 1]
    assert jumps == [], f"{path.name}: a level is left out above {jumps}"


def test_the_sections_of_every_chapter_come_in_order(path: Path):
    if "_theory_" in path.stem:
        pytest.skip("a chapter of theory has its own sections")
    titles = [title.lower() for level, title in headings(path) if level == 2]
    places = [[k for k, title in enumerate(titles) if word in title] for word in SECTIONS]
    missing = [word for word, found in zip(SECTIONS, places) if not found]
    assert missing == [], f"{path.name}: no section (##) named with {missing}; it has {titles}"
    firsts = [found[0] for found in places]
    assert firsts == sorted(firsts), f"{path.name}: sections out of order: {titles}"


def test_parameters_are_plain_and_every_tier_fits_them(path: Path):
    defaults = parameters.read(path)
    assert "tier" in defaults, f"{path.name}: parameters need tier"
    for name in nb.tiers(project()):
        entry = nb.read_tier(project(), name).entries.get(path.stem)
        if entry is not None:
            parameters.resolve(path.stem, defaults, name, entry.parameters)


def test_it_runs_at_smoke_and_quick_with_enough_seeds(path: Path):
    for name in ("smoke", "quick"):
        entry = nb.read_tier(project(), name).entries.get(path.stem)
        assert entry is not None, f"notebooks/tiers/{name}.yml lacks {path.stem}"
    seeds = parameters.resolve(path.stem, parameters.read(path), "quick", entry.parameters).get("seeds")
    assert seeds is None or len(seeds) >= 3, f"{path.stem}: tier quick needs 3 seeds or more, has {seeds}"


def test_its_imports_can_be_followed(path: Path):
    found = imports.closure(nb.read_cells(path), project().package, path.name)
    assert "msig_lib/runs/results.py" in found, f"{path.name} records no results"
