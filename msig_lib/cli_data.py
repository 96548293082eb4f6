"""`msig data`: which data sets there are, fetching them, verifying them."""

from __future__ import annotations

import textwrap
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
    """Show every data set: whether it can be loaded now, size, tiers, licence, title."""
    from msig_lib import datasets

    table = datasets.describe()
    width = max(map(len, table["name"]), default=0)
    for row in table.itertuples():
        state = "ready" if row.available else "absent"
        size = f"{row.megabytes:.1f} MB" if row.megabytes == row.megabytes and row.megabytes else ""
        about = f"{row.title} ({textwrap.shorten(row.licence, 50)})"
        print(f"{state:<7} {row.name:<{width}} {size:>10}  {row.tiers:<18} {about}")
    print("absent: `msig data fetch NAME` gets it, or set MSIG_DATA_MIRROR to a folder that has it")


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
    for state in datasets.verify(name):
        print(f"{state.state:<9} {state.path}" + (f"  {state.detail}" if state.detail else ""))
    print(f"{name}: as its manifest says, fingerprint {datasets.fingerprint(name)[:16]}")
