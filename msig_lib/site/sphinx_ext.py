"""A Sphinx extension: MathJax for formulas in figures, no thebe, names of our code as code, toggles with names."""

from __future__ import annotations

from pydoc import locate
from typing import Any

from docutils import nodes

from msig_lib.site.formulas import breakable

WHOLE = 30  # signs of code that a phone's line has room for


def _note_formulas(app: Any, doctree: nodes.document, docname: str) -> None:
    """Mark a page as having equations when its raw HTML does; Sphinx then loads MathJax on it."""
    for node in doctree.findall(nodes.raw):
        if node.get("format") == "html" and "\\(" in node.astext():
            app.env.get_domain("math").data.setdefault("has_equations", {})[docname] = True
            return


def _lines(app: Any, doctree: nodes.document, docname: str) -> None:
    """Say where lines may end: in long formulas they may, in short code they may not."""
    breakable(doctree)
    for node in doctree.findall(nodes.literal):
        if len(node.astext()) <= WHOLE:
            node["classes"].append("msig-whole")


def _number_proofs(app: Any, doctree: nodes.document, docname: str) -> None:
    """Give proofs ids of their own: sphinx-proof calls each one `proof`, and HTML wants every id once."""
    seen: dict[str, int] = {}
    for node in doctree.findall(nodes.Element):
        for place, name in enumerate(node.get("ids", ())):
            if name in ("proof", "proof-content"):
                seen[name] = seen.get(name, 0) + 1
                node["ids"][place] = f"{name}-{seen[name]}"


def _without_thebe(app: Any) -> None:
    """Silence sphinx-thebe, which Jupyter Book always loads: its script points to another host and fails."""
    for event, listeners in list(app.events.listeners.items()):
        for listener in list(listeners):
            if getattr(listener.handler, "__module__", "").split(".")[0] == "sphinx_thebe":
                if event in ("env-before-read-docs", "doctree-resolved"):
                    app.disconnect(listener.id)


def _name_code(app: Any, env: Any, node: nodes.Element, shown: nodes.Node) -> nodes.Node | None:
    """Show {py:mod}`msig_lib.stats` as code without a link; a name that does not exist stays a warning."""
    target = node.get("reftarget", "")
    known = node.get("refdomain") == "py" and target.split(".")[0] == "msig_lib"
    return shown if known and locate(target) is not None else None


def _named(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Mend what screen readers are told wrongly.

    MyST-NB gives each "Show the code" one label that hides its words; docutils calls a block of citations a list
    without list items.
    """
    if "body" in context:
        body = context["body"].replace('<summary aria-label="Toggle hidden content">', "<summary>")
        context["body"] = body.replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )


# MathJax's combined file is 1.2 MB, a third of it a menu; the pages need these parts.
MATHJAX = ["input/tex", "output/chtml", "a11y/assistive-mml"]  # each brings along what it builds on


def _lean_mathjax(app: Any, config: Any) -> None:
    """Load only the parts of MathJax that set formulas and describe them to screen readers."""
    config.mathjax_path = "mathjax/startup.js"
    settings = dict(config.mathjax3_config or {})
    config.mathjax3_config = {**settings, "loader": {"load": MATHJAX}}


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", _lean_mathjax, priority=900)  # after the extension that brings MathJax along
    app.connect("builder-inited", _without_thebe)
    app.connect("missing-reference", _name_code)
    app.connect("doctree-resolved", _note_formulas)
    app.connect("doctree-resolved", _number_proofs)
    app.connect("doctree-resolved", _lines)
    app.connect("html-page-context", _named)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
