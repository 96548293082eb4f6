"""`msig pdf` and `msig linkcheck`: what is made of, and asked about, the rendered book."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from msig_lib.errors import MsigError


def _book() -> Path:
    from msig_lib.project import project

    book = project().build / "book"
    if not (book / "index.html").is_file():
        raise MsigError(f"there is no rendered book in {book}; make it first: msig book")
    return book


def pdf(
    out: Annotated[Path | None, typer.Option("--out", help="The file (default: _build/book.pdf).")] = None,
) -> None:
    """Print the rendered book as one PDF with Chromium: equations, figures, an outline."""
    from msig_lib.site import pdf as printing

    book = _book()
    target = printing.write(book, out or book.parent / "book.pdf")
    print(f"{target} ({target.stat().st_size / 1e6:.1f} MB)")


def linkcheck() -> None:
    """Ask every address that the rendered book links to on other hosts (needs a network)."""
    from msig_lib.site import links

    found = links.external(_book())
    answers = links.check_all(found)
    for answer in answers:
        if answer.state != "ok":
            print(f"{answer.state:<8} {answer.address}  {answer.told}  ({', '.join(answer.pages)})")
    lost = sum(answer.state == "lost" for answer in answers)
    refused = sum(answer.state == "refused" for answer in answers)
    print(
        f"{len(answers)} addresses: {len(answers) - lost - refused} answered, {refused} refuse programs, {lost} lost"
    )
    if lost:
        print("correct the lost ones, or run again when the network is better", file=sys.stderr)
        raise typer.Exit(1)
