"""What a claim is: `book/claims/chNN.yml`, read into checked, immutable objects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from msig_lib.errors import MsigError
from msig_lib.project import project
from msig_lib.tiers import Tier

Scalar = str | int | float | bool | None
Direction = Literal["greater", "less", "equal", "not_greater"]


class ClaimError(MsigError, ValueError):
    """Raised for a claims or errata file that cannot be used; names the file, the entry and the field."""


class Strict(BaseModel):
    """A model that refuses fields it does not know, and changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, strict=True)


class Paper(Strict):
    """The thesis's figures for the two sides, in its own units; left out where it shows a plot only."""

    metric: str
    a: float | None = None
    b: float | None = None
    data: str | None = None


def _split_factors(values: Any, known: Iterable[str]) -> Any:
    """Move every key that is not a field into `factors`, so that YAML can name factors in place."""
    if not isinstance(values, dict) or "factors" in values:
        return values
    rest = {str(name): value for name, value in values.items() if name not in known}
    return {**{name: value for name, value in values.items() if name in known}, "factors": rest}


class Side(Strict):
    """One side of a comparison: the factors that tell its rows from the other side's, or a fixed `value`."""

    value: float | None = None
    metric: str | None = None
    factors: dict[str, Scalar] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        return _split_factors(values, ("value", "metric"))

    @model_validator(mode="after")
    def _one_kind(self) -> Side:
        if (self.value is not None) == bool(self.factors or self.metric):
            raise ValueError("name factors (or another metric) that select rows, or a single `value`")
        return self


class Comparison(Strict):
    """a against b in one metric; every key that is not a field is a factor common to both sides."""

    metric: str
    a: Side
    b: Side
    direction: Direction
    smallest_effect: float = Field(ge=0)
    factors: dict[str, Scalar] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _common(cls, values: Any) -> Any:
        return _split_factors(values, ("metric", "a", "b", "direction", "smallest_effect"))

    @model_validator(mode="after")
    def _comparable(self) -> Comparison:
        if self.a.value is not None:
            raise ValueError("a must be measured; put the fixed value on side b")
        if self.a == self.b:
            raise ValueError("a and b are the same rows")
        if both := set(self.factors) & (set(self.a.factors) | set(self.b.factors)):
            raise ValueError(f"{', '.join(sorted(both))}: given for a side and in common; keep one")
        if self.direction == "equal" and self.smallest_effect == 0:
            raise ValueError("direction equal needs a smallest_effect above 0")
        return self


class Check(Strict):
    """A statement that the notebook records as holding or not (`log.check(name, ...)`)."""

    check: str


class Claim(Strict):
    """A statement of the thesis in our words, and what tests it: a comparison, a check, or nothing yet.

    A check shows that the statement is wrong (kind erratum) unless `kind: claim` says that it shows it right.
    """

    id: str = Field(pattern=r"^ch\d\d-[a-z0-9]+(-[a-z0-9]+)*$")
    chapter: str = Field(pattern=r"^ch\d\d(_[a-z0-9]+)*$")
    where: str = Field(min_length=1)
    statement: str = Field(min_length=1)
    kind: Literal["claim", "erratum"]  # left out: erratum for a check, claim for everything else
    paper: Paper | None = None
    tier: Tier = "quick"
    anchor: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.:-]+$")
    test: Comparison | Check | None = None
    needs: str | None = Field(default=None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _which_test(cls, values: Any) -> Any:
        # Decided here, so that a mistake is reported against the one form that was meant.
        if isinstance(values, dict) and isinstance(values.get("test"), dict):
            form = Check if "check" in values["test"] else Comparison
            values = {**values, "test": _as(form, values["test"])}
        if isinstance(values, dict) and "kind" not in values:
            values = {**values, "kind": "erratum" if isinstance(values.get("test"), Check) else "claim"}
        return values

    @model_validator(mode="after")
    def _whole(self) -> Claim:
        if (self.test is None) == (self.needs is None):
            raise ValueError(
                "give exactly one of `test` (what decides it) and `needs` (what a test would take)"
            )
        if self.id.split("-")[0] != self.chapter.split("_")[0]:
            raise ValueError(f"id {self.id} and chapter {self.chapter} name different chapters")
        if self.kind == "erratum" and not isinstance(self.test, Check):
            raise ValueError("an erratum is shown by `test: {check: name}`")
        if self.tier == "smoke":
            raise ValueError("tier smoke decides nothing; use quick, full or paper")
        return self

    def fingerprint(self) -> str:
        """Return 16 hex digits of what is measured (without direction and wording), kept with records."""
        said = self.test.model_dump(exclude={"direction", "smallest_effect"}) if self.test else {}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _as(form: type[Strict], values: dict[str, Any]) -> Strict:
    try:
        return form.model_validate(values)
    except ValidationError as error:
        raise ValueError("; ".join(_told(error, "test"))) from None


def _told(error: ValidationError, within: str = "") -> list[str]:
    lines = []
    for part in error.errors():
        steps = [within, *(str(step) for step in part["loc"] if step != "factors")]
        place = ".".join(filter(None, steps))
        message = part["msg"].removeprefix("Value error, ")
        given = part.get("input")
        shown = f" (given: {given!r})" if isinstance(given, str | int | float) and place else ""
        lines.append(f"{place}: {message}{shown}" if place else message)
    return lines


class _Loader(yaml.SafeLoader):
    """YAML without silently overwritten keys."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} is given twice", key_node.start_mark
            )
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_entries(path: Path, form: type[Strict], what: str) -> tuple[list[Any], list[str]]:
    """Return a YAML list's entries as `form` objects, and what is wrong with the others, a line each."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        return [], [f"{path.name}: not readable as YAML: {' '.join(str(error).split())}"]
    if raw is None:
        return [], []
    if not isinstance(raw, list):
        return [], [f"{path.name}: expected a list of entries (`- id: ...`), found a {type(raw).__name__}"]
    good, wrong = [], []
    for place, entry in enumerate(raw, 1):
        name = entry.get("id") if isinstance(entry, dict) else None
        label = f"{path.name}, {what} {name or f'number {place}'}"
        try:
            good.append(form.model_validate(entry))
        except ValidationError as error:
            wrong += [f"{label}: {line}" for line in _told(error)]
    return good, wrong


def load(folder: Path | None = None) -> list[Claim]:
    """Return every claim of `folder` (default: book/claims), in the order of files and entries.

    Raises ClaimError with one line per mistake: file, claim and field.
    """
    folder = Path(folder) if folder is not None else project().claims
    if not folder.is_dir():
        raise ClaimError(f"no claims folder at {folder}; expected one chNN.yml per chapter in it.")
    claims: list[Claim] = []
    wrong: list[str] = []
    first: dict[str, str] = {}
    for path in sorted(folder.glob("*.yml")):
        found, bad = read_entries(path, Claim, "claim")
        wrong += bad
        for claim in found:
            if claim.id in first:
                wrong.append(f"{path.name}, claim {claim.id}: id is used already in {first[claim.id]}")
            if not path.stem.startswith(claim.id.split("-")[0]):
                wrong.append(f"{path.name}, claim {claim.id}: belongs in {claim.id.split('-')[0]}.yml")
            first.setdefault(claim.id, path.name)
        claims += found
    raise_mistakes(wrong)
    return claims


def raise_mistakes(wrong: Sequence[str]) -> None:
    """Raise one ClaimError that lists every mistake, if there is any."""
    if wrong:
        count = f"{len(wrong)} mistake" + ("s" if len(wrong) > 1 else "")
        raise ClaimError(f"{count} in the book's data; correct and run again:\n  " + "\n  ".join(wrong))
