"""Split a docstring into its description and the parameter names it documents: numpydoc, Google and Sphinx
forms."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Sections that describe rather than list; the words under them stay in the description (sympy writes
# "Explanation").
KEPT_SECTIONS = frozenset({"explanation", "description", "overview", "summary", "extended summary"})
PARAMETER_SECTIONS = frozenset(
    {
        "parameters",
        "other parameters",
        "keyword arguments",
        "keyword args",
        "args",
        "arguments",
        "params",
        "kwargs",
    }
)
GOOGLE_SECTIONS = PARAMETER_SECTIONS | {"see also", "side effects"}
GOOGLE_SECTIONS |= frozenset(
    "attributes example examples inputs methods note notes outputs properties raises reference references "
    "return returns shape todo usage warning warnings warns yield yields".split()
)

_UNDERLINE = re.compile(r"^\s*[-=~]{3,}\s*$")
_SIGNATURE = re.compile(r"^[\w.]+\s*\(.*\)\s*(->.*)?$|^[\w.]+\s*\([^)]*$")
_GOOGLE = re.compile(r"^([A-Z][\w ]*):{1,2}\s*$")
_FIELD = re.compile(
    r"^:(param|parameter|arg|argument|key|keyword|type|return|returns|rtype|raises?|var|ivar|cvar|yields?)\b([^:]*):"
)
_NUMPYDOC_ENTRY = re.compile(r"^(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")
_GOOGLE_ENTRY = re.compile(r"^[`*]*(\w+)[`*]*\s*(?:\([^:]*\)|\[[^:]*\])?\s*:")
_DIRECTIVE = re.compile(r"^\.\.\s")
_PROMPT = re.compile(r"^(>>>|In \[\d+\]:)")


@dataclass(frozen=True)
class Parsed:
    """Description (one line of plain words) and the documented parameter names, in order."""

    description: str
    parameters: tuple[str, ...]


def parse(docstring: str) -> Parsed:
    """Parse a cleaned docstring; sections other than the description are dropped, parameter names are
    collected."""
    lines = docstring.expandtabs().splitlines()
    kept: list[str] = []
    names: list[str] = []
    section = ""  # "" while in the description, else the lower-case title
    style = ""
    entry_indent = -1
    i = 0
    while i < len(lines):
        line = lines[i]
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if bare and i + 1 < len(lines) and _is_underline(lines[i + 1], bare):
            title = bare.rstrip(":").lower()
            section, style, entry_indent = ("", "", -1) if title in KEPT_SECTIONS else (title, "numpydoc", -1)
            i += 2
            continue
        google = _GOOGLE.match(bare) if indent == 0 and style != "numpydoc" else None
        if google and google[1].lower() in GOOGLE_SECTIONS:
            section, style, entry_indent = google[1].lower(), "google", -1
        elif field := _FIELD.match(bare) if indent == 0 and style != "numpydoc" else None:
            section, style = field[1], "sphinx"
            if field[1].startswith(("param", "arg", "key")) and field[2].split():
                names.append(field[2].split()[-1])
        elif section and style != "numpydoc" and bare and indent == 0:
            section, style = "", ""  # text after an indented section is description again
            kept.append(line)
        elif not section:
            kept.append(line)
        elif section in PARAMETER_SECTIONS and bare:
            entry_indent = indent if entry_indent < 0 else min(entry_indent, indent)
            if indent == entry_indent:
                names += _entry(bare, style)
        i += 1
    return Parsed(_plain(kept), tuple(dict.fromkeys(names)))


def _is_underline(line: str, title: str) -> bool:
    return bool(_UNDERLINE.match(line)) and len(title.split()) <= 4 and not _UNDERLINE.match(title)


def _entry(bare: str, style: str) -> list[str]:
    match = (_NUMPYDOC_ENTRY if style == "numpydoc" else _GOOGLE_ENTRY).match(bare)
    return [] if match is None else [name.strip().lstrip("*") for name in match[1].split(",")]


def _plain(lines: list[str]) -> str:
    """Join description lines without signature, code, directives and mark-up."""
    out: list[str] = []
    hidden = -1  # indentation of a directive or code block that is being left out
    fenced = prompted = False
    for number, line in enumerate(lines):
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if bare.startswith("```"):
            fenced = not fenced
            continue
        prompted = bool(bare) and (
            prompted or bool(_PROMPT.match(bare))
        )  # code and what it prints, to a blank line
        if fenced or prompted or not bare or _UNDERLINE.match(bare):
            continue
        if hidden >= 0 and indent > hidden:
            continue
        hidden = -1
        if number < 2 and not out and _SIGNATURE.match(bare):
            continue
        if _DIRECTIVE.match(bare):
            hidden = indent
            continue
        if bare.endswith("::"):
            hidden = indent
            bare = bare[:-1]
        out.append(bare)
    text = " ".join(out)
    text = re.sub(r":[\w:+-]+:`~?([^`<]*?)(?:\s*<[^`]*>)?`", r"\1", text)  # roles
    text = re.sub(r"%\([\w:]+\)s|\{[\w.:]+\}", " ", text)  # places to be filled in
    text = re.sub(r"`+([^`]*)`+_*", r"\1", text)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)  # Markdown links
    text = re.sub(r"\[\d+\]_?|https?://\S+", " ", text)
    text = re.sub(r"\*{1,2}(\w[^*]*?)\*{1,2}", r"\1", text)
    text = re.sub(r"</?Tip\b[^>]*>", " ", text)  # boxes in the documentation of transformers
    return re.sub(r"\s+", " ", text).strip()


def label_text(parameter: str) -> str:
    """Return a parameter name as words: `n_clusters` and `nClusters` both give "n clusters"."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", parameter.replace("_", " "))
    return " ".join(words.lower().split())
