"""A Sphinx extension: load MathJax also where formulas stand only in figures, tables and captions."""

from __future__ import annotations

from typing import Any

from docutils import nodes


def _note_formulas(app: Any, doctree: nodes.document, docname: str) -> None:
    """Mark a page as having equations when its raw HTML does; Sphinx then loads MathJax on it."""
    for node in doctree.findall(nodes.raw):
        if node.get("format") == "html" and "\\(" in node.astext():
            app.env.get_domain("math").data.setdefault("has_equations", {})[docname] = True
            return


def _without_thebe(app: Any) -> None:
    """Silence sphinx-thebe, which Jupyter Book always loads: its script points to another host and fails."""
    for event, listeners in list(app.events.listeners.items()):
        for listener in list(listeners):
            if getattr(listener.handler, "__module__", "").split(".")[0] == "sphinx_thebe":
                if event in ("env-before-read-docs", "doctree-resolved"):
                    app.disconnect(listener.id)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", _without_thebe)
    app.connect("doctree-resolved", _note_formulas)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
