"""`msig data`: which data sets there are, fetching them, verifying them."""

from __future__ import annotations

from typing import Annotated

import typer

from msig_lib.errors import MsigError

app = typer.Typer(help="Data sets: list, fetch, verify.", no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="NAME", help="A data set of `msig data list`.")]


def _known(name: str) -> None:
    from msig_lib import datasets
    from msig_lib.runs.notebook import unknown

    if name not in datasets.names():
        raise MsigError(unknown("data set", name, datasets.names()))


@app.command("list")
def list_all() -> None:
    """Show every data set: whether it can be loaded now, licence, size, what it is."""
    from msig_lib import datasets

    for name in datasets.names():
        there, why = datasets.available(name)
        print(f"{'ready' if there else 'absent':<7} {name:<16} {datasets.describe(name)}")
        if not there:
            print(f"{'':<24} {why}")


@app.command()
def fetch(name: Name) -> None:
    """Get a data set (from the mirror, or its public address) and verify it."""
    from msig_lib import datasets

    _known(name)
    datasets.fetch(name)
    print(f"{name}: fetched and verified, fingerprint {datasets.fingerprint(name)[:16]}")


@app.command()
def verify(name: Name) -> None:
    """Compare a data set's files with the hashes of its manifest."""
    from msig_lib import datasets

    _known(name)
    datasets.verify(name)
    print(f"{name}: as its manifest says, fingerprint {datasets.fingerprint(name)[:16]}")
