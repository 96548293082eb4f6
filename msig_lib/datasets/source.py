"""Public functions and classes of installed packages, read from their source text and never imported.

Everything made on the spot from documentation (`docstrings`, later `docstring_topics`) starts here.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path

from msig_lib.errors import MsigError

# Distribution name (what the lock pins) of each import name.
PACKAGES = {
    "matplotlib": "matplotlib",
    "networkx": "networkx",
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "sympy": "sympy",
    "torch": "torch",
    "transformers": "transformers",
}

# Tests, copies of other projects, generated and build-time code: not documentation its package wrote for
# users.
SKIPPED_FOLDERS = frozenset(
    {
        "__pycache__",
        "_build_utils",
        "_generated",
        "_pyinstaller",
        "_testing",
        "_vendor",
        "_vendored",
        "array_api_compat",
        "array_api_extra",
        "distutils",
        "extern",
        "external",
        "externals",
        "f2py",
        "generated",
        "template_heuristics",
        "templates",
        "test",
        "testing",
        "tests",
        "vendored_templates",
    }
)
# The model zoo of transformers: files generated from one another, 12,000 definitions that are mostly copies.
SKIPPED_IN = {"transformers": frozenset({"models"})}
# numpy, scipy, scikit-learn and others define public objects in private modules; in these two, private means
# internal.
PRIVATE_IS_INTERNAL = frozenset({"torch", "transformers"})


class SourceNotFound(MsigError, ModuleNotFoundError):
    """Raised when a package whose documentation is wanted is not installed."""


@dataclass(frozen=True)
class Definition:
    """A public function, method or class with its documentation."""

    package: str
    module: str
    qualname: str
    kind: str  # "function" | "method" | "class"
    parameters: tuple[str, ...]  # of the signature, in order; a class has those of its constructor
    docstring: str  # as `inspect.cleandoc` leaves it

    @property
    def name(self) -> str:
        """Full dotted name, such as `sklearn.cluster._kmeans.KMeans.fit`."""
        return f"{self.module}.{self.qualname}"


def versions(packages: tuple[str, ...] = tuple(PACKAGES)) -> dict[str, str]:
    """Return the installed version of each package; raise SourceNotFound for one that is missing."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(PACKAGES.get(package, package))
        except importlib.metadata.PackageNotFoundError as error:
            raise SourceNotFound(
                f"package {package!r} is not installed, but its documentation is part of this data set: "
                "install the pins of requirements.lock (`make` does it)."
            ) from error
    return found


def folder(package: str) -> Path:
    """Return the folder of an installed package without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SourceNotFound(
            f"no source folder for package {package!r}: install the pins of requirements.lock."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def files(root: Path, package: str) -> Iterator[Path]:
    """Yield the package's Python files in a fixed order, leaving out tests, copies and generated code."""
    skipped = SKIPPED_FOLDERS | SKIPPED_IN.get(package, frozenset())
    for path in sorted(root.iterdir(), key=lambda p: p.name):
        internal = package in PRIVATE_IS_INTERNAL and path.name.startswith("_") and path.name != "__init__.py"
        if internal or path.name in skipped or path.is_symlink():
            continue
        if path.is_dir():
            yield from files(path, package)
        elif path.suffix == ".py" and not path.name.startswith(("test_", "testing_", "conftest")):
            yield path


def definitions(package: str, root: Path | None = None) -> Iterator[Definition]:
    """Yield every documented public definition of a package, ordered by file and line.

    Public means that the names of the definition and of its class have no leading underscore; private
    *modules* are read where the package defines its public objects there. Functions inside functions are left
    out. `root` replaces the installed folder (for tests).
    """
    base = root or folder(package)
    for path in files(base, package):
        text = path.read_text(encoding="utf-8", errors="replace")
        if '"""' not in text and "'''" not in text:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes in somebody else's strings
                tree = ast.parse(text)
        except SyntaxError:  # a template with the suffix .py
            continue
        parts = path.relative_to(base).with_suffix("").parts
        module = ".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))
        yield from _walk(tree.body, package, module, ())


def _walk(body: list[ast.stmt], package: str, module: str, outer: tuple[str, ...]) -> Iterator[Definition]:
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            for block in ("body", "orelse", "finalbody"):
                yield from _walk(getattr(node, block, []), package, module, outer)
        if not isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ) or node.name.startswith("_"):
            continue
        is_class = isinstance(node, ast.ClassDef)
        docstring = ast.get_docstring(node, clean=False)
        if docstring and docstring.strip():
            yield Definition(
                package=package,
                module=module,
                qualname=".".join((*outer, node.name)),
                kind="class" if is_class else "method" if outer else "function",
                parameters=_constructor(node) if is_class else _parameters(node),
                docstring=cleandoc(docstring),
            )
        if is_class:
            yield from _walk(node.body, package, module, (*outer, node.name))


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, ...]:
    arguments = node.args
    return tuple(a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))


def _constructor(node: ast.ClassDef) -> tuple[str, ...]:
    """Parameters of `__init__` or `__new__`; failing these, the fields of a decorated (data) class."""
    methods = {s.name: s for s in node.body if isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef)}
    for name in ("__init__", "__new__"):
        if name in methods:
            return _parameters(methods[name])
    if not node.decorator_list:
        return ()
    fields = (
        s.target.id for s in node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)
    )
    return tuple(f for f in fields if not f.startswith("_"))
