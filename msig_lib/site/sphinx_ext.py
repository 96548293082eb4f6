"""A Sphinx extension for the book: load MathJax also where formulas stand only in figures, tables and captions."""

from __future__ import annotations

from typing import Any

from docutils import nodes


def _note_formulas(app: Any, doctree: nodes.document, docname: str) -> None:
    """Mark a page as having equations when its raw HTML does; Sphinx then loads MathJax on it."""
    for node in doctree.findall(nodes.raw):
        if node.get("format") == "html" and "\\(" in node.astext():
            app.env.get_domain("math").data.setdefault("has_equations", {})[docname] = True
            return


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-resolved", _note_formulas)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
