"""What a notebook depends on: modules found by reading, the key's parts, and the reasons told."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_checkout import Tiny

from msig_lib.errors import MsigError
from msig_lib.project import project
from msig_lib.runs import imports, key, recorded
from msig_lib.runs import notebook as nb
from msig_lib.runs.notebook import Cell
from msig_lib.runs.results import ResultsError


def plan(chapter: str = "ch01_first", **given) -> key.Job:
    return key.plan(project(), [chapter], "quick", given)[0]


def package(root, **sources: str):
    for name, source in sources.items():
        path = root / "msig_lib" / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    for folder in [root / "msig_lib", *(p for p in (root / "msig_lib").rglob("*") if p.is_dir())]:
        (folder / "__init__.py").touch()
    return root / "msig_lib"


def reached(root, code: str) -> set[str]:
    found = imports.closure([Cell("code", code, ())], root / "msig_lib")
    return {name.removeprefix("msig_lib/") for name in found}


def test_the_closure_follows_every_form_of_import(tmp_path):
    package(
        tmp_path,
        a="from .b import thing\n",
        b="def thing():\n    from msig_lib import c\n",
        c="import numpy, json\nimport msig_lib.p.q as q\n",
        p__q="from . import r\nfrom ..d import e\n",
        p__r="",
        d="",
        late="",
        typed="",
        unused="import msig_lib.a\n",
        dyn="import importlib\nfrom typing import TYPE_CHECKING\nimportlib.import_module('msig_lib.late')\n"
        "if TYPE_CHECKING:\n    from msig_lib import typed\n",
    )
    (tmp_path / "msig_lib/p/table.csv").write_text("1,2\n")
    deep = {"__init__.py", "a.py", "b.py", "c.py", "d.py", "p/__init__.py", "p/q.py", "p/r.py", "p/table.csv"}
    assert reached(tmp_path, "%matplotlib inline\nfrom msig_lib.a import *\n!ls") == deep
    assert reached(tmp_path, "def f():\n    import msig_lib.p.r") == {
        "__init__.py", "p/__init__.py", "p/r.py", "p/table.csv"
    }  # fmt: skip
    assert reached(tmp_path, "import msig_lib.dyn") == {"__init__.py", "dyn.py", "late.py"}
    assert reached(tmp_path, "import numpy") == reached(tmp_path, "%%bash\nfrom ] nonsense") == set()


def test_the_closure_holds_all_that_python_really_imports():
    """Independent of the reader: import in a fresh interpreter and look at sys.modules."""
    code = "from msig_lib.runs import results"
    script = (
        f"import sys, json\n{code}\nprint(json.dumps([n for n in sys.modules if n.startswith('msig_lib')]))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    loaded = set(json.loads(out))
    real = project().package
    found = imports.closure([Cell("code", code, ())], real)
    names = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in found}
    assert loaded <= names
    # Editing the runner must not make notebooks run again: only these few modules count.
    assert names == {
        "msig_lib",
        "msig_lib.errors",
        "msig_lib.runs",
        "msig_lib.runs.results",
        "msig_lib.runs.rows",
    }


def test_code_that_is_no_python_names_notebook_cell_and_line(inside: Tiny):
    inside.write("ch02_second", ("code", "n = 1", ["parameters"]), ("code", "x = 1\nfor"))
    assert "ch02_second.ipynb, cell 2, line 2" in (plan_problem(inside) or "")


def plan_problem(tiny: Tiny) -> str | None:
    (tiny.root / "notebooks/tiers/quick.yml").write_text("ch02_second: {}\n")
    return key.plan(project(), [], "quick")[0].problem


def edit(tiny: Tiny, path: str, text: str) -> None:
    with (tiny.root / path).open("a") as handle:
        handle.write(text)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("msig_lib/alpha.py", ["msig_lib/alpha.py changed"]),
        ("msig_lib/beta.py", ["msig_lib/beta.py changed"]),
        ("msig_lib/runs/results.py", ["msig_lib/runs/results.py changed"]),
        ("requirements.lock", ["requirements.lock changed"]),
        ("data/toy", ["data toy changed"]),
        ("msig_lib/gamma.py", []),
        ("msig_lib/runs/execute.py", []),
        ("data/other", []),
    ],
)
def test_the_key_changes_with_what_the_notebook_depends_on_and_with_nothing_else(inside: Tiny, path, told):
    before = plan()
    edit(inside, path, "# more\n")
    after = plan()
    assert key.differences(before.parts, after.parts) == told
    assert (before.key != after.key) == bool(told)


def test_the_notebook_and_its_parameters_are_in_the_key(inside: Tiny):
    before = plan()
    assert plan(scale="2.5").key != before.key
    assert key.differences(before.parts, plan(scale="2.5").parts) == ["parameter scale: 1.0 -> 2.5"]
    assert plan(scale="1").key == before.key
    inside.write("ch02_second", ("code", "n = 1", ["parameters"]), ("code", "from msig_lib import gamma"))
    assert plan().key == before.key
    place = inside.root / "notebooks/ch01_first.ipynb"
    document = json.loads(place.read_text())
    document["metadata"]["kernelspec"]["display_name"] = "another"
    place.write_text(json.dumps(document))
    assert plan().key == before.key
    document["cells"][0]["source"] += " More."
    place.write_text(json.dumps(document))
    assert key.differences(before.parts, plan().parts) == ["the notebook changed"]


def test_a_module_that_comes_and_one_that_goes_are_told(inside: Tiny):
    before = plan()
    (inside.root / "msig_lib/alpha.py").write_text("from . import gamma\n\ndef value():\n    return 1\n")
    assert key.differences(before.parts, plan().parts) == [
        "msig_lib/alpha.py changed", "msig_lib/beta.py is gone", "msig_lib/gamma.py is imported now"
    ]  # fmt: skip


def test_data_that_cannot_be_used_is_a_problem_of_that_chapter_alone(inside: Tiny, monkeypatch):
    def absent(name: str) -> str:
        raise MsigError(f"{name} is absent")

    monkeypatch.setattr(key, "fingerprint", absent)
    first, second = key.plan(project(), [], "quick")
    assert first.problem == "toy is absent" and second.problem is None and len(second.key) == 64


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.lists(st.integers()))))
def test_the_digest_does_not_depend_on_the_order_of_keys(values):
    assert key.digest(values) == key.digest(dict(reversed(values.items())))


def test_chapters_are_chosen_by_name_or_prefix():
    known = ["ch02_a", "ch02_b", "ch03_a"]
    assert nb.chosen([], known) == known
    assert nb.chosen(["ch02"], known) == ["ch02_a", "ch02_b"]
    assert nb.chosen(["ch03_a", "notebooks/ch02_b.ipynb"], known) == ["ch03_a", "ch02_b"]
    with pytest.raises(nb.NotebookError, match=r"did you mean 'ch03_a'.*valid: ch02_a, ch02_b, ch03_a"):
        nb.chosen(["ch03a"], known)


def test_a_prefix_means_the_chapters_that_the_tier_has(inside: Tiny):
    inside.write("ch02_more", ("code", "n = 1", ["parameters"]))
    assert [job.chapter for job in key.plan(project(), ["ch02"], "quick")] == ["ch02_second"]
    with pytest.raises(nb.NotebookError, match="no entry for ch02_more; it has ch01_first, ch02_second"):
        key.plan(project(), ["ch02_more"], "quick")
    (inside.root / "notebooks/tiers/quick.yml").write_text("")
    with pytest.raises(nb.NotebookError, match="it has nothing"):
        key.plan(project(), [], "quick")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ch01_first: {dta: [toy]}", "dta: Extra inputs"),
        ("ch01_first: {data: toy}", "data"),
        ("ch09: {}", "unknown chapter 'ch09'"),
        ("tier: {limit_s: -1}", "limit_s"),
        ("- ch01", "must map"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_tier_file_that_is_wrong_says_where(inside: Tiny, text, says):
    (inside.root / "notebooks/tiers/quick.yml").write_text(text)
    with pytest.raises(nb.NotebookError) as caught:
        nb.read_tier(project(), "quick")
    assert "notebooks/tiers/quick.yml" in str(caught.value) and says in str(caught.value)


def test_an_unknown_tier_lists_those_there_are(inside: Tiny):
    with pytest.raises(nb.NotebookError, match=r"did you mean 'quick'.*valid: smoke, quick"):
        nb.read_tier(project(), "quik")


def test_the_tier_s_own_limit_wins(inside: Tiny):
    assert nb.read_tier(project(), "smoke").settings.limit_s == 30
    edit(inside, "notebooks/tiers/smoke.yml", "tier: {limit_s: 12}\n")
    assert nb.read_tier(project(), "smoke").settings.limit_s == 12


def test_what_a_slower_tier_recorded_is_in_the_key_of_a_notebook_that_may_show_it(inside: Tiny):
    before = plan()
    record = inside.root / "book/recorded/ch01_first.full.json"
    record.parent.mkdir(parents=True)
    document = {"rows": [{"metric": "m", "value": 2.0, "seed": 1, "n_items": 1, "factors": {"method": "a"}}]}
    document["provenance"] = {"seeds": [1], "seconds": 120.0, "commit": {"id": "f" * 40}}
    record.write_text(json.dumps(document))
    assert plan().key == before.key  # it imports nothing that reads records
    path = inside.root / "notebooks/ch01_first.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"][-1]["source"] += "\nfrom msig_lib.runs import recorded"
    path.write_text(json.dumps(notebook))
    with_record = plan()
    assert list(with_record.parts["recorded"]) == ["full"]
    found = recorded.read("ch01_first", slower_than="quick")
    assert found.results.select("m", method="a")[0].value == 2.0
    assert "tier full, not measured in this run: 1 seeds, 2 minutes" in found.told
    assert recorded.read("ch01_first", slower_than="full") is None
    with pytest.raises(ValueError, match="'fast', expected one of smoke"):
        recorded.read("ch01_first", slower_than="fast")
    record.write_text(json.dumps({"rows": [{}], "provenance": {}}))
    assert key.differences(with_record.parts, plan().parts) == ["the record of tier full changed"]
    with pytest.raises(ResultsError, match=r"ch01_first\.full\.json is no record"):
        recorded.read("ch01_first", slower_than="quick")
    record.unlink()
    assert key.differences(with_record.parts, plan().parts) == ["the record of tier full is gone"]
