"""Parameters of a notebook: read from its tagged cell, checked by type, set by a tier or by hand."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msig_lib.runs.notebook import Cell, NotebookError, read_cells, unknown

TAG = "parameters"
NONE = ("none", "null", "")


class ParameterError(NotebookError):
    """Raised for a parameter that does not exist or has a value of the wrong type."""


def read(path: Path) -> dict[str, Any]:
    """Return {parameter: default} of the cell tagged `parameters`.

    Only plain values are allowed there (numbers, text, bools, None, flat lists of these). Raises
    ParameterError, naming notebook and line, for a missing or repeated cell and for anything else in it.
    """
    cells: list[Cell] = [cell for cell in read_cells(path) if TAG in cell.tags]
    if len(cells) != 1:
        raise ParameterError(f"{path.name} needs exactly one cell tagged {TAG!r}, has {len(cells)}")
    try:
        tree = ast.parse(cells[0].source)
    except SyntaxError as error:
        raise ParameterError(f"{path.name}, {TAG} cell, line {error.lineno}: {error.msg}") from None
    found: dict[str, Any] = {}
    for node in tree.body:
        where = f"{path.name}, {TAG} cell, line {node.lineno}"
        if not (
            isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        ):
            raise ParameterError(f"{where}: only `name = value` is allowed there, was {ast.unparse(node)!r}")
        name = node.targets[0].id
        try:
            value = ast.literal_eval(node.value)
        except ValueError:
            raise ParameterError(
                f"{where}: {name} must be a plain value, was {ast.unparse(node.value)!r}"
            ) from None
        if not _plain(value):
            raise ParameterError(
                f"{where}: {name} must be a number, text, bool, None or a flat list of these, was {value!r}"
            )
        if name in found:
            raise ParameterError(f"{where}: {name} is set twice")
        found[name] = value
    return found


def _plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(not isinstance(item, list) and _plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def resolve(
    chapter: str,
    defaults: Mapping[str, Any],
    tier: str,
    of_tier: Mapping[str, Any],
    given: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return every parameter with its value: defaults, then the tier's, then those given; sorted by name.

    `given` may hold text from a command line, which is parsed to the type of the default. The parameter
    `tier`, where a notebook has one, is always the tier's name. Raises ParameterError (unknown name, wrong
    type).
    """
    values = dict(defaults)
    for name, value in of_tier.items():
        _known(name, defaults, f"{chapter}, notebooks/tiers/{tier}.yml")
        values[name] = checked(name, value, defaults[name], f"{chapter}, notebooks/tiers/{tier}.yml")
    for name, value in (given or {}).items():
        _known(name, defaults, chapter)
        if name == "tier" and value == tier:
            continue
        if name == "tier":
            raise ParameterError(f"{chapter}: parameter 'tier' is set by --tier, not by -p")
        parse = parsed if isinstance(value, str) else checked
        values[name] = parse(name, value, defaults[name], chapter)
    if "tier" in defaults:
        values["tier"] = tier
    return dict(sorted(values.items()))


def _known(name: str, defaults: Mapping[str, Any], where: str) -> None:
    if name not in defaults:
        told = "\n".join(f"  {key} = {value!r}" for key, value in defaults.items())
        message = unknown("parameter", name, list(defaults)).split("; valid:")[0]
        raise ParameterError(f"{where}: {message}; valid, with their defaults:\n{told or '  none'}")


def checked(name: str, value: Any, default: Any, where: str) -> Any:
    """Return `value` when it has the type of `default` (an int becomes a float where one is due)."""
    fits, value = _fit(value, default)
    if not fits:
        raise ParameterError(f"{where}: {name} must be {kind(default)} like {default!r}, was {value!r}")
    return value


def _fit(value: Any, default: Any) -> tuple[bool, Any]:
    if value is None or default is None:
        return _plain(value), value
    if isinstance(default, list):
        if not isinstance(value, list):
            return False, value
        model = default[0] if default else None
        pairs = [_fit(item, model) for item in value]
        fits = all(good and not isinstance(item, list) for good, item in pairs)
        return fits, [item for _, item in pairs] if fits else value
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool), value
    if isinstance(default, float) and isinstance(value, int):
        return True, float(value)
    return type(value) is type(default), value


def kind(default: Any) -> str:
    """Return the name of a default's type for a message ("int", "a list of float", "a plain value")."""
    if isinstance(default, list):
        return f"a list of {kind(default[0])}" if default else "a list"
    return "a plain value" if default is None else type(default).__name__


def parsed(name: str, text: str, default: Any, where: str) -> Any:
    """Return command-line text as a value of the default's type ("3", "1e-3", "true", "[0, 1]" or "0,1")."""
    try:
        value = _parse(text.strip(), default)
    except (ValueError, SyntaxError):
        raise ParameterError(
            f"{where}: {name} must be {kind(default)} like {default!r}, was given {text!r}"
        ) from None
    return checked(name, value, default, where)


def _parse(text: str, default: Any) -> Any:
    if text.lower() in NONE and not (isinstance(default, str) and text == ""):
        return None
    if isinstance(default, list):
        if text.startswith("["):
            try:
                return ast.literal_eval(text)
            except (ValueError, SyntaxError):
                text = text.strip("[]")
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return [_parse(part, default[0] if default else None) for part in parts]
    if isinstance(default, bool):
        truth = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in truth:
            raise ValueError
        return truth[text.lower()]
    if isinstance(default, str):
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        return text[1:-1] if quoted else text
    if default is None:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text
    return type(default)(text)


def from_options(options: Sequence[str]) -> dict[str, str]:
    """Return {name: text} of `name=value` options; raises ParameterError for another form or a repetition."""
    given: dict[str, str] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ParameterError(f"-p takes name=value, was given {option!r} (for example -p epochs=3)")
        if name.strip() in given:
            raise ParameterError(f"-p {name.strip()} was given twice")
        given[name.strip()] = text
    return given
