"""Formulas in running text that break at their relations and signs, as TeX breaks them; MathJax never does."""

from __future__ import annotations

import re

from docutils import nodes

MOST = 14  # signs that a line of a phone holds with the words around them; shorter formulas stay whole
TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\S")
OPEN = {"{", "(", "[", r"\left", r"\{", r"\langle", r"\lfloor"}
CLOSE = {"}", ")", "]", r"\right", r"\}", r"\rangle", r"\rfloor"}
RELATIONS = {
    "=",
    "<",
    ">",
    r"\le",
    r"\ge",
    r"\ne",
    r"\approx",
    r"\to",
    r"\in",
    r"\sim",
    r"\propto",
    r"\equiv",
}
SIGNS = {"+", "-"}
SILENT = {"{", "}", "_", "^", r"\,", r"\;", r"\!", r"\ ", "~", r"\left", r"\right", r"\big", r"\Big"}
SILENT |= {r"\mathbf", r"\mathrm", r"\mathcal", r"\frac", r"\tfrac", r"\sqrt", r"\text", r"\bar", r"\hat"}
AFTER = re.compile(r"^[.,;:)!?\u2019\u201d]+")


def width(latex: str) -> int:
    """Return about how many signs a formula shows."""
    return sum(token not in SILENT for token in TOKEN.findall(latex))


def pieces(latex: str) -> list[str]:
    r"""Return a formula as parts between which a line may end: after a relation, in long parts after + and -.

    >>> pieces(r"m_i' \ge |d_i| + \eta a_i |\mathbf{x}_i|^2"), pieces("x > 0")
    (["m_i' \\ge{}", '|d_i| + \\eta a_i |\\mathbf{x}_i|^2'], ['x > 0'])
    """
    if "&" in latex or r"\\" in latex or r"\begin" in latex:
        return [latex]
    parts = [latex]
    for where in (RELATIONS, SIGNS):
        parts = [short for part in parts for short in (_split(part, where) if width(part) > MOST else [part])]
    return parts


def _split(latex: str, where: set[str]) -> list[str]:
    depth, start, parts, before = 0, 0, [], ""
    for token in TOKEN.finditer(latex):
        sign = token[0]
        depth += (sign in OPEN) - (sign in CLOSE)
        left, right = latex[start : token.end()], latex[token.end() :]
        binary = before and before not in RELATIONS | SIGNS  # else it is the sign of a number
        room = width(left) > 3 and (width(right) > 2 or width(left) > MOST)
        if depth == 0 and sign in where and binary and room:
            if not right.lstrip().startswith((":", "=", "}")):
                parts.append(f"{left.strip()}{{}}")  # the empty group keeps the room after the sign
                start = token.end()
        before = sign
    return [*parts, latex[start:].strip()] if depth == 0 else [latex]


def breakable(doctree: nodes.document) -> None:
    """Split the long inline formulas of a page, and keep each one's last part beside the mark that follows it."""
    for node in list(doctree.findall(nodes.math)):
        parts = [nodes.math(part, part, classes=node["classes"]) for part in pieces(node.astext())]
        parent, place = node.parent, node.parent.index(node)
        after = parent[place + 1] if place + 1 < len(parent) else None
        mark = AFTER.match(after) if isinstance(after, nodes.Text) else None
        if mark:
            kept = nodes.inline("", "", parts.pop(), nodes.Text(mark[0]), classes=["msig-together"])
            # By its place: texts are equal by value, and the same comma may stand elsewhere.
            parent[place + 1] = nodes.Text(after[mark.end() :])
            parts.append(kept)
        parent[place : place + 1] = parts
