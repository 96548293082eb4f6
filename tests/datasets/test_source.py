from __future__ import annotations

import subprocess
import sys

import pytest

from msig_lib.datasets import source

MODULE = '''
raise RuntimeError("imported")

def shown(data, /, axis=None, *rest, keep=True, **more):
    """Documented."""
    def inner(x):
        """Nested functions are nobody's interface."""

def _hidden(a):
    """Private."""

def bare(a):
    pass

class Model:
    """A class."""
    def __init__(self, n_parts, tol=1):
        """Of the constructor."""
    async def fit(self, data):
        """A method."""
    class _Private:
        """No."""
        def method(self): "No."

@dataclass
class Settings:
    """Fields are the constructor's parameters."""
    rate: float
    _secret: int = 0

class Plain:
    """Annotations are no parameters here."""
    rate: float

if True:
    try:
        def guarded(b):
            """Found in blocks too."""
    except ImportError:
        pass
'''


@pytest.fixture
def package(tmp_path):
    root = tmp_path / "toy"
    for folder in ("tests", "externals", "_private"):
        (root / folder).mkdir(parents=True)
        (root / folder / "mod.py").write_text('def found():\n    """In a folder."""\n')
    (root / "__init__.py").write_text('def top():\n    """Of the package."""\n')
    (root / "test_x.py").write_text('def f():\n    """A test."""\n')
    (root / "broken.py").write_text('def f(:\n    """x"""\n')
    (root / "mod.py").write_text(MODULE)
    (root / "loop").symlink_to(root)
    return root


def test_definitions(package):
    found = {d.name: d for d in source.definitions("toy", package)}
    assert set(found) == {
        "toy.top",
        "toy._private.mod.found",
        "toy.mod.shown",
        "toy.mod.Model",
        "toy.mod.Model.fit",
        "toy.mod.Settings",
        "toy.mod.Plain",
        "toy.mod.guarded",
    }
    assert found["toy.mod.shown"].parameters == ("data", "axis", "keep")
    assert found["toy.mod.Model"].parameters == ("self", "n_parts", "tol")
    assert found["toy.mod.Settings"].parameters == ("rate",)
    assert found["toy.mod.Plain"].parameters == ()
    assert [found[n].kind for n in ("toy.top", "toy.mod.Model", "toy.mod.Model.fit")] == [
        "function",
        "class",
        "method",
    ]


def test_private_modules_of_some_packages_are_internal(package):
    names = {d.name for d in source.definitions("torch", package)}
    assert "torch.top" in names and not any("_private" in n for n in names)


def test_missing_package_is_named():
    with pytest.raises(source.SourceNotFound, match="no_such_thing"):
        source.versions(("no_such_thing",))


def test_reading_imports_nothing():
    code = (
        "import sys; from msig_lib.datasets import source; before = set(sys.modules);"
        "n = sum(1 for _ in source.definitions('networkx'));"
        "assert n > 500, n; assert 'networkx' not in set(sys.modules) - before"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
