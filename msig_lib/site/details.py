"""What is added to an executed notebook: the strip under its title, its claims and its run details."""

from __future__ import annotations

import json
import shlex
from collections.abc import Container, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from msig_lib.site import html
from msig_lib.site.chapters import TARGET, Chapter, SiteError, source
from msig_lib.site.claims_table import table
from msig_lib.site.ledger import Entry


def page(
    chapter: Chapter,
    lines: Sequence[Entry],
    *,
    tier: str,
    defaults: Mapping[str, Any],
    anchors: Iterable[str] = (),
    recorded: str = "",
    shared: Container[str] = (),
) -> dict[str, Any]:
    """Return the notebook of a chapter with everything the book adds to it.

    `lines` are the chapter's claims, `defaults` what the tier file gives, `anchors` further places that other
    pages point to, `recorded` a section of earlier numbers, `shared` targets that another notebook has too:
    Sphinx knows each name once in a book, so they become anchors of the page alone. Raises SiteError when an
    anchor is neither a heading, nor a target, nor a cell tag of the notebook.
    """
    document = json.loads(json.dumps(chapter.notebook))
    wanted = {line.anchor: f"claim {line.id}" for line in lines if line.anchor}
    wanted |= {anchor: "an erratum" for anchor in anchors if anchor not in wanted}
    marks: dict[int, list[str]] = {}
    for anchor, who in wanted.items():
        place = chapter.place(anchor)
        if place is None:
            raise SiteError(
                f"{who} points to {anchor!r} in {chapter.name}, which is no heading, target or cell tag "
                f"there; there are: {', '.join(chapter.anchors())}"
            )
        if anchor not in chapter.ids() or anchor in shared:
            marks.setdefault(place, []).append(anchor)
    cells = []
    for place, cell in enumerate(document["cells"]):
        cells += [
            _markdown(html.raw(f'<span id="{name}" class="msig-anchor"></span>'))
            for name in marks.get(place, ())
        ]
        if cell["cell_type"] == "markdown":
            cell["source"] = TARGET.sub(lambda m: "" if m[1] in shared else m[0], source(cell))
        for output in cell.get("outputs", ()):
            shown = "".join(output.get("data", {}).get("text/html", ""))
            if shown.startswith('<div class="msig-table"'):
                output["data"]["text/html"] = html.readable(shown)
        cells.append(cell)
    first = next(
        (n for n, cell in enumerate(cells) if cell["source"] and cell["cell_type"] == "markdown"), -1
    )
    cells.insert(first + 1, _markdown(html.raw(strip(chapter, lines, tier))))
    if tier == "smoke":
        cells.insert(first + 2, _markdown(SMOKE))
    if recorded:
        cells.append(_markdown(recorded))
    cells.append(_markdown(f"## Claims of this chapter\n\n{claims(chapter, lines)}"))
    cells.append(
        _markdown(f"## Run details\n\n{again(chapter, defaults)}\n\n{html.raw(run_details(chapter))}")
    )
    document["cells"] = cells
    document["metadata"].setdefault("kernelspec", {"display_name": "Python 3"})["name"] = "python3"
    return document


SMOKE = """:::{warning}
This page was made at tier *smoke*, which only tests that everything runs. Its numbers mean nothing.
:::
"""


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def strip(chapter: Chapter, lines: Sequence[Entry], tier: str) -> str:
    """Return the line under a chapter's title: tier, time, how its claims fared, and where to go from here."""
    time = html.took(chapter.provenance)
    counts = html.badges(line.verdict for line in lines)
    links = (
        f'<a href="_sources/{chapter.name}.ipynb" download>Notebook with outputs</a>'
        '<a href="#claims-of-this-chapter">Claims</a><a href="#run-details">Re-run this chapter</a>'
    )
    return (
        f'<div class="msig-strip"><span>Tier {escape(tier)}, executed in {time}</span>{counts}'
        f'<span class="msig-jumps">{links}</span></div>'
    )


def claims(chapter: Chapter, lines: Sequence[Entry]) -> str:
    """Return a chapter's claims as MyST: an introduction and the table."""
    if not lines:
        return "No claim of this chapter is in the ledger yet."
    intro = (
        "Each verdict is computed from the interval of the paired difference: "
        "[how to read them](reading.md), [all claims](scorecard.md)."
    )
    shade = (
        "In the small drawings the vertical line is no difference, the shaded zone is what the claim says, "
        "and the bar is the interval that was measured."
    )
    return f"{intro} {shade}\n\n{html.raw(table(lines, caption=f'Claims of {chapter.heading}'))}"


def again(chapter: Chapter, defaults: Mapping[str, Any]) -> str:
    """Return the command that runs a chapter again exactly as it ran, to be copied (MyST)."""
    return f"Re-run this chapter, in a checkout of the project:\n\n```bash\n{command(chapter, defaults)}\n```"


def run_details(chapter: Chapter) -> str:
    """Return where a chapter's numbers come from (HTML)."""
    told = chapter.provenance
    rows = {"Code": _commit(told.get("commit"))}
    if told.get("key"):
        rows["Run key"] = f"<code>{escape(str(told['key'])[:24])}</code>"
    rows["Tier"] = escape(str(told.get("tier", "")))
    if told.get("seeds"):
        rows["Seeds"] = ", ".join(str(seed) for seed in told["seeds"])
    parameters = told.get("parameters") or {}
    if parameters:
        shown = ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(parameters.items()))
        rows["Parameters"] = f"<code>{escape(shown)}</code>"
    if told.get("data"):
        items = (
            f"{escape(name)} <code>{escape(str(mark)[:12])}</code>"
            for name, mark in sorted(told["data"].items())
        )
        rows["Data"] = ", ".join(items)
    rows["Time"] = html.duration(told.get("seconds"))
    if told.get("cpu_seconds") is not None:
        rows["CPU time"] = html.duration(told["cpu_seconds"])
    if told.get("peak_memory_mib"):
        rows["Peak memory"] = f"{told['peak_memory_mib'] / 1024:.2f} GiB"
    rows["Machine"] = _machine(told.get("hardware") or {}, told.get("threads"))
    packages = {"python": told.get("python"), **(told.get("packages") or {})}
    rows["Packages"] = ", ".join(escape(f"{name} {version}") for name, version in packages.items() if version)
    return html.facts({name: value for name, value in rows.items() if value})


def command(chapter: Chapter, defaults: Mapping[str, Any]) -> str:
    """Return the exact command that runs a chapter again with the parameters it ran with."""
    tier = chapter.provenance.get("tier", "quick")
    usual = {**chapter.defaults, **defaults, "tier": tier}
    words = [f"msig run {chapter.name} --tier {tier}"]
    for name, value in sorted((chapter.provenance.get("parameters") or {}).items()):
        if name not in usual or usual[name] != value:
            text = value if isinstance(value, str) else json.dumps(value)
            words.append(f"-p {shlex.quote(f'{name}={text}')}")
    return " ".join([*words, "--force"])


def _commit(commit: Any) -> str:
    if not commit:
        return ""
    if isinstance(commit, str):
        return f"<code>{escape(commit[:12])}</code>"
    note = " with local changes" if commit.get("dirty") else ""
    return f"commit <code>{escape(str(commit.get('id', ''))[:12])}</code>{note}"


def _machine(hardware: Mapping[str, Any], threads: Any) -> str:
    parts = [str(hardware.get("processor", ""))]
    if hardware.get("cores"):
        parts.append(html.count(int(hardware["cores"]), "core"))
    if threads:
        parts.append(html.count(int(threads), "thread"))
    if hardware.get("memory_gib"):
        parts.append(f"{hardware['memory_gib']:g} GiB of memory")
    if hardware.get("amx"):
        parts.append("AMX")
    parts.append(" ".join(str(hardware[name]) for name in ("system", "architecture") if hardware.get(name)))
    return escape(", ".join(part for part in parts if part))
