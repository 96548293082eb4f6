"""Which library modules a notebook depends on, found by reading sources (nothing is imported)."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

from msig_lib.runs.notebook import Cell, NotebookError

CODE = {".py", ".pyc"}


def closure(cells: list[Cell], package: Path, notebook: str = "notebook") -> dict[str, str]:
    """Return {path below the package's parent: SHA-256} of the library files that a notebook's code reaches.

    Follows `import` and `from` (relative ones and those inside functions too; not those for type checkers),
    the literal of `import_module("...")`, and the `__init__` of every package on the way. Files that are not
    code (styles, tables) and lie in a reached package count as well. Raises NotebookError for code that is
    no Python.
    """
    root = package.parent
    waiting: list[Path] = []
    for number, cell in enumerate(cells, 1):
        if cell.kind == "code":
            try:
                tree = ast.parse(_without_magics(cell.source))
            except SyntaxError as error:
                raise NotebookError(f"{notebook}, cell {number}, line {error.lineno}: {error.msg}") from None
            for name in _imported(tree, "", package.name):
                waiting += _files(name, root)
    reached: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except SyntaxError as error:
            raise NotebookError(f"{path.relative_to(root)}, line {error.lineno}: {error.msg}") from None
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        own = module.removesuffix(".__init__") if path.name == "__init__.py" else module.rpartition(".")[0]
        for name in _imported(tree, own, package.name):
            waiting += _files(name, root)
    for init in [path for path in reached if path.name == "__init__.py"]:
        reached.update(
            path
            for path in init.parent.iterdir()
            if path.is_file() and path.suffix not in CODE and path.name[0] != "."
        )
    return {path.relative_to(root).as_posix(): _sha256(path) for path in sorted(reached)}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _without_magics(source: str) -> str:
    """Turn lines of IPython (`%magic`, `!command`) into `pass`; drop cells under a `%%cell` magic."""
    if source.lstrip().startswith("%%"):
        return ""
    lines = []
    for line in source.splitlines():
        bare = line.lstrip()
        lines.append(line[: len(line) - len(bare)] + "pass" if bare[:1] in ("%", "!", "?") else line)
    return "\n".join(lines)


def _imported(tree: ast.AST, own: str, package: str) -> Iterator[str]:
    """Yield the dotted names below `package` that `tree` imports; `own` is the package the code lies in."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending += node.orelse
            continue
        pending += ast.iter_child_nodes(node)
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = own.split(".")[: len(own.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
        yield from (name for name in names if isinstance(name, str) and name.split(".")[0] == package)


def _files(name: str, root: Path) -> list[Path]:
    """Return the files that importing `name` executes (packages on the way, then the module itself)."""
    files, folder = [], root
    for part in name.split("."):
        if (folder / part / "__init__.py").is_file():
            folder = folder / part
            files.append(folder / "__init__.py")
        else:
            if (folder / f"{part}.py").is_file():
                files.append(folder / f"{part}.py")
            break
    return files
